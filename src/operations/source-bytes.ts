import type { KeptSource } from '../bytes/source.ts'

/** Bytes that are read at once where values stand one behind the other. */
const AHEAD = 1 << 18
/** So far behind the last value the next one may begin. */
const GAP = 1 << 16
/** Fewer bytes are compared faster one by one than by a call. */
const SHORT = 48

/** Compares bytes with those of a source, at best in the order of that. Holds 256 KiB of it. */
export class SourceBytes {
  readonly #source: KeptSource
  readonly #buffer = new Uint8Array(AHEAD)
  #from = 0
  #to = 0

  constructor(source: KeptSource) {
    this.#source = source
  }

  /** Whether the source has `bytes[from, to)` at `offset`. */
  equal(offset: number, bytes: Uint8Array, from: number, to: number): boolean {
    while (from < to) {
      if (offset < this.#from || offset >= this.#to) this.#fill(offset, to - from)
      const at = offset - this.#from
      const count = Math.min(to - from, this.#to - offset)
      // It became shorter.
      if (count <= 0) return false
      if (!same(this.#buffer, at, bytes, from, count)) return false
      from += count
      offset += count
    }
    return true
  }

  #fill(offset: number, needed: number): void {
    const inOrder = offset >= this.#to && offset < this.#to + GAP
    const count = inOrder ? AHEAD : Math.min(needed, AHEAD)
    this.#from = offset
    this.#to = offset + this.#source.readAtSync(this.#buffer.subarray(0, count), offset)
  }
}

function same(one: Uint8Array, at: number, other: Uint8Array, from: number, count: number): boolean {
  if (count > SHORT) {
    return Buffer.compare(one.subarray(at, at + count), other.subarray(from, from + count)) === 0
  }
  for (let i = 0; i < count; i++) if (one[at + i] !== other[from + i]) return false
  return true
}
