import type { KeptSource } from './source.ts'

/** The first bytes of a source, from its start on: however often it was read before. Does not close it. */
export class Beginning implements KeptSource {
  readonly seekable = true
  readonly #source: KeptSource
  readonly #end: number
  #position = 0

  /** @param end Infinity: all of it */
  constructor(source: KeptSource, end: number) {
    this.#source = source
    this.#end = end
  }

  get name(): string {
    return this.#source.name
  }

  get size(): number | undefined {
    const { size } = this.#source
    if (this.#end === Number.POSITIVE_INFINITY) return size
    return Math.min(this.#end, size ?? this.#end)
  }

  async read(target: Uint8Array, from: number, to: number): Promise<number> {
    const at = this.#position
    const length = Math.min(to - from, this.#end - at)
    if (length <= 0) return 0
    // Taken at once: the next call may come before this one is done.
    this.#position += length
    const count = await this.readAt(target.subarray(from, from + length), at)
    if (count < length) this.#position = Math.min(this.#position, at + count)
    return count
  }

  readAt(target: Uint8Array, offset: number): Promise<number> {
    return this.#source.readAt(this.#within(target, offset), offset)
  }

  readAtSync(target: Uint8Array, offset: number): number {
    return this.#source.readAtSync(this.#within(target, offset), offset)
  }

  async grow(): Promise<boolean> {
    return false
  }

  async close(): Promise<void> {}

  #within(target: Uint8Array, offset: number): Uint8Array {
    return target.subarray(0, Math.max(0, Math.min(target.length, this.#end - offset)))
  }
}
