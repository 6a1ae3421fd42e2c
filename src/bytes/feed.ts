import type { Source } from './source.ts'

/** Bytes that stay readable before and behind what is there; their content means nothing. */
const MARGIN = 16

/**
 * A stretch of a source for a decoder that asks for so many bytes at a time:
 *
 *     bytes  | margin | … used … | [start, end) | room | margin |
 */
export class Feed {
  readonly bytes: Uint8Array
  start = MARGIN
  end = MARGIN
  /** Whether nothing follows `end`. */
  ended = false
  readonly #source: Source
  /** Offset in the source of `bytes[0]`. */
  #base = -MARGIN

  /** @param capacity the most that can be asked for at once, in bytes */
  constructor(source: Source, capacity: number) {
    this.#source = source
    this.bytes = new Uint8Array(2 * MARGIN + 2 * capacity)
  }

  /** Offset in the source of `start`. */
  get offset(): number {
    return this.#base + this.start
  }

  /** Bytes that are there. */
  get left(): number {
    return this.end - this.start
  }

  /** Waits until `count` bytes are there; false when the source ends before that. */
  async need(count: number): Promise<boolean> {
    while (this.end - this.start < count) if (!(await this.more())) return false
    return true
  }

  /** Reads on; false at the end of the source. */
  async more(): Promise<boolean> {
    if (this.ended) return false
    const room = this.bytes.length - MARGIN
    if (this.start === this.end || this.start > room >> 1 || this.end === room) {
      this.bytes.copyWithin(MARGIN, this.start, this.end)
      this.#base += this.start - MARGIN
      this.end -= this.start - MARGIN
      this.start = MARGIN
    }
    const count = await this.#source.read(this.bytes, this.end, room)
    this.end += count
    if (count === 0) this.ended = true
    return count > 0
  }

  /** Passes over `count` bytes, which need not be there yet; false when the source ends before that. */
  async skip(count: number): Promise<boolean> {
    while (count > this.left) {
      count -= this.left
      this.start = this.end
      if (!(await this.more())) return false
    }
    this.start += count
    return true
  }
}
