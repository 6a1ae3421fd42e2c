import type { Source } from './source.ts'

/**
 * A stretch of a source in memory, moved forward over it. The reader works on `bytes[start, end)` and says with
 * {@link advance} how far it got; what it could not use yet (a record cut by the end of the window) is carried over in
 * front of the next bytes. While one stretch is worked on, the next one is being read into a second buffer.
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

  readonly #source: Source
  readonly #chunk: number
  #spare: Uint8Array
  #pending: Promise<number> | undefined

  /** Bytes behind `end` that may be read without leaving the buffer; their content means nothing. */
  static readonly SLACK = 64

  /** @param chunk bytes to read at once, and the most that {@link advance} can carry */
  constructor(source: Source, chunk = DEFAULT_CHUNK) {
    this.#source = source
    this.#chunk = chunk
    this.bytes = new Uint8Array(2 * chunk + Window.SLACK)
    this.#spare = new Uint8Array(0)
    this.start = chunk
    this.end = chunk
    this.base = -chunk
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
    if (this.#spare.length === 0) this.#spare = new Uint8Array(this.bytes.length)
    const count = await (this.#pending ?? this.#read())
    this.#pending = undefined
    if (count === 0) {
      this.ended = true
      return false
    }
    const next = this.#spare
    const position = this.offset
    next.set(this.bytes.subarray(from, this.end), this.#chunk - carried)
    this.#spare = this.bytes
    this.bytes = next
    this.start = this.#chunk - carried
    this.end = this.#chunk + count
    this.base = position - this.start
    this.#pending = this.#read()
    // Awaited by the next advance; a failure before that must not count as unhandled.
    this.#pending.catch(() => {})
    return true
  }

  /** Looks whether the source has grown since it ended; when true, {@link advance} goes on. */
  async grow(): Promise<boolean> {
    if (!(await this.#source.grow())) return false
    this.ended = false
    this.#pending = undefined
    return true
  }

  #read(): Promise<number> {
    return this.#source.read(this.#spare, this.#chunk, 2 * this.#chunk)
  }
}

/** Small enough to stay in a core's cache between the kernel's copy and the scanner, by measurement (bench/). */
export const DEFAULT_CHUNK = 1 << 20
