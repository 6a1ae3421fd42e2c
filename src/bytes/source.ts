/**
 * Bytes to read: a file, a buffer, standard input, or one of these decompressed. One interface, in order, with the
 * possibility to look back where the input is a file.
 */
export interface Source {
  /** As the user named it: a path or `-`. Escape before showing. */
  readonly name: string
  /** Bytes that will be delivered; undefined while that is unknown (a pipe, compressed input). */
  readonly size: number | undefined
  /** Whether {@link readAt} works. */
  readonly seekable: boolean
  /**
   * Reads the next bytes into `target[from, to)`; the number read, at least 1, or 0 at the end (a file: at its size
   * at opening). Throws a JobError when the system refuses or the file has shrunk. Of a seekable source, several may be
   * under way: they get the bytes in the order of the calls.
   */
  read(target: Uint8Array, from: number, to: number): Promise<number>
  /** Fills `target` from `offset`; the number read, less than its length only at the end. */
  readAt(target: Uint8Array, offset: number): Promise<number>
  /** Looks at the size of a file once more; true when it has grown, and {@link read} goes on up to the new size. */
  grow(): Promise<boolean>
  close(): Promise<void>
}

/** A source whose bytes can be had again at once: what it has delivered, until it is closed. */
export interface KeptSource extends Source {
  /** Fills `target` from `offset`; the number read, less than its length only at the end. */
  readAtSync(target: Uint8Array, offset: number): number
}

/** Bytes in memory; for tests also in pieces of chosen sizes. */
export class BufferSource implements KeptSource {
  readonly name: string
  readonly seekable = true
  #bytes: Uint8Array
  #appended: Uint8Array = new Uint8Array(0)
  #position = 0
  /** Where reads end although more is there, ascending. */
  readonly #splits: readonly number[]

  /** @param splits offsets that no read goes across */
  constructor(bytes: Uint8Array, options: { name?: string; splits?: readonly number[] } = {}) {
    this.name = options.name ?? 'buffer'
    this.#bytes = bytes
    this.#splits = options.splits ?? []
  }

  get size(): number {
    return this.#bytes.length
  }

  async read(target: Uint8Array, from: number, to: number): Promise<number> {
    const split = this.#splits.find(offset => offset > this.#position) ?? this.#bytes.length
    const end = Math.min(this.#bytes.length, split, this.#position + to - from)
    target.set(this.#bytes.subarray(this.#position, end), from)
    const count = end - this.#position
    this.#position = end
    return count
  }

  async readAt(target: Uint8Array, offset: number): Promise<number> {
    return this.readAtSync(target, offset)
  }

  readAtSync(target: Uint8Array, offset: number): number {
    const piece = this.#bytes.subarray(offset, offset + target.length)
    target.set(piece)
    return piece.length
  }

  /** Puts `bytes` behind what is there: delivered after the next {@link grow}. */
  append(bytes: Uint8Array): void {
    this.#appended = Buffer.concat([this.#appended, bytes])
  }

  async grow(): Promise<boolean> {
    if (this.#appended.length === 0) return false
    this.#bytes = Buffer.concat([this.#bytes, this.#appended])
    this.#appended = new Uint8Array(0)
    return true
  }

  async close(): Promise<void> {}
}
