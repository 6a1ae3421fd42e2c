import { FormatError, jobError } from './errors.ts'
import { escapeName } from './escape.ts'
import type { Source } from './source.ts'

/** Pieces that come one after the other and cannot be asked for again: a pipe, decompressed data. */
export class StreamSource implements Source {
  readonly name: string
  readonly size = undefined
  readonly seekable = false
  readonly #pieces: AsyncIterator<Uint8Array>
  readonly #close: () => Promise<void>
  #piece: Uint8Array = new Uint8Array(0)
  #ended = false

  /** @param pieces each one is used before the next one is asked for */
  constructor(name: string, pieces: AsyncIterable<Uint8Array>, close: () => Promise<void>) {
    this.name = name
    this.#pieces = pieces[Symbol.asyncIterator]()
    this.#close = close
  }

  async read(target: Uint8Array, from: number, to: number): Promise<number> {
    if (this.#piece.length === 0 && !(await this.#next())) return 0
    const piece = this.#piece.subarray(0, to - from)
    target.set(piece, from)
    this.#piece = this.#piece.subarray(piece.length)
    return piece.length
  }

  async readAt(): Promise<number> {
    throw new Error('a stream cannot be read twice')
  }

  /** The first bytes; they will be read all the same. */
  async peek(count: number): Promise<Uint8Array> {
    let head: Uint8Array = new Uint8Array(0)
    do head = Buffer.concat([head, this.#piece])
    while (head.length < count && (await this.#next()))
    this.#piece = head
    return head.subarray(0, count)
  }

  async grow(): Promise<boolean> {
    return false
  }

  async close(): Promise<void> {
    this.#ended = true
    await this.#close()
    // Not awaited: a generator answers only when what it waits for has come, and from a pipe that may be never.
    this.#pieces.return?.().catch(() => {})
  }

  /** Gets the next piece that is not empty; false at the end. */
  async #next(): Promise<boolean> {
    while (!this.#ended) {
      let result: IteratorResult<Uint8Array>
      try {
        result = await this.#pieces.next()
      } catch (error) {
        throw error instanceof FormatError ? error : jobError(`reading ${shownName(this.name)}`, error)
      }
      this.#piece = result.done ? new Uint8Array(0) : result.value
      this.#ended ||= result.done === true
      if (this.#piece.length > 0) return true
    }
    return false
  }
}

/** The name of a source in a sentence. */
export function shownName(name: string): string {
  return name === '-' ? 'standard input' : escapeName(name)
}
