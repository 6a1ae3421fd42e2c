import { FormatError } from './errors.ts'
import type { Source } from './source.ts'

/**
 * A stretch of a source in memory, moved forward over it. The reader works on `bytes[start, end)` and says with
 * {@link advance} how far it got; what it could not use yet (a record cut by the end of the window) is carried over in
 * front of the next bytes. While one stretch is worked on, the next ones are being read into other buffers.
 *
 *     bytes  |  headroom  |        chunk         | slack |
 *                  ^start (carried)              ^end
 */
export class Window {
  /** The buffer of now; another one after each {@link advance}. Readable up to `end + SLACK`. */
  bytes: Uint8Array
  /** First byte that has not been used. */
  start: number
  /** Behind the last byte that is there. */
  end: number
  /** Offset in the source of `bytes[0]`; may be negative. The offset of `bytes[i]` is `base + i`. */
  base: number
  /** Whether nothing follows `end`. */
  ended = false
  /** Why nothing follows, when that is not the end: what the source decompresses is damaged there. */
  failure: FormatError | undefined

  readonly #source: Source
  readonly #chunk: number
  /** Buffers that are being filled, in the order of the source. */
  readonly #ahead: Ahead[] = []
  #spare: Uint8Array[] = []

  /** Bytes behind `end` that may be read without leaving the buffer; their content means nothing. */
  static readonly SLACK = 64

  /**
   * @param chunk bytes to read at once, and the most that {@link advance} can carry
   * @param offset of the source's first byte
   */
  constructor(source: Source, chunk = chunkFor(source), offset = 0) {
    this.#source = source
    this.#chunk = chunk
    this.bytes = new Uint8Array(2 * chunk + Window.SLACK)
    this.start = chunk
    this.end = chunk
    this.base = offset - chunk
  }

  /** The most that {@link advance} can carry over, in bytes. */
  get headroom(): number {
    return this.#chunk
  }

  /** Offset in the source of `start`. */
  get offset(): number {
    return this.base + this.start
  }

  /**
   * Gives up everything before `from` (an index into `bytes`), keeps the rest, and adds the next bytes behind it.
   * False when there are none: then only `start` has moved. `end - from` must not exceed {@link headroom}.
   */
  async advance(from: number): Promise<boolean> {
    const carried = this.end - from
    if (carried > this.#chunk) throw new RangeError(`${carried} bytes to carry, room for ${this.#chunk}`)
    this.start = from
    if (this.ended) return false
    this.#readAhead()
    const { buffer, count: pending } = this.#ahead.shift() as Ahead
    const count = await this.#settle(pending)
    if (count === 0) {
      this.ended = true
      this.#spare.push(buffer)
      return false
    }
    const position = this.offset
    buffer.set(this.bytes.subarray(from, this.end), this.#chunk - carried)
    this.#spare.push(this.bytes)
    this.bytes = buffer
    this.start = this.#chunk - carried
    this.end = this.#chunk + count
    this.base = position - this.start
    this.#readAhead()
    return true
  }

  /** Looks whether the source has grown since it ended; when true, {@link advance} goes on. */
  async grow(): Promise<boolean> {
    if (!(await this.#source.grow())) return false
    // What is under way was asked for before it had grown, and is nothing.
    for (const { buffer, count } of this.#ahead.splice(0)) {
      await count
      this.#spare.push(buffer)
    }
    this.ended = false
    return true
  }

  /** The number of bytes of a read; 0 where the source is damaged. */
  async #settle(pending: Promise<number>): Promise<number> {
    try {
      return await pending
    } catch (error) {
      // What was asked for behind it does not follow what is here.
      this.ended = true
      if (!(error instanceof FormatError)) throw error
      this.failure = error
      return 0
    }
  }

  #readAhead(): void {
    const depth = this.#source.seekable ? DEPTH : 1
    while (this.#ahead.length < depth) {
      const buffer = this.#spare.pop() ?? new Uint8Array(this.bytes.length)
      const count = this.#source.read(buffer, this.#chunk, 2 * this.#chunk)
      // Awaited by a later advance; a failure before that must not count as unhandled.
      count.catch(() => {})
      this.#ahead.push({ buffer, count })
    }
  }
}

interface Ahead {
  readonly buffer: Uint8Array
  readonly count: Promise<number>
}

/** Reads under way: so that one can go on while the end of another is on its way to us. */
const DEPTH = 2

/** By measurement: half as much leaves the kernel waiting, more wins nothing. */
const LARGEST_CHUNK = 2 << 20
/** So that a small file that grows is still read in reasonable steps. */
const SMALLEST_CHUNK = 64 << 10

/** Room for what the source is known to have: for a small file it costs more to get buffers than to read it. */
function chunkFor({ size = LARGEST_CHUNK }: Source): number {
  let chunk = SMALLEST_CHUNK
  while (chunk < size && chunk < LARGEST_CHUNK) chunk *= 2
  return chunk
}
