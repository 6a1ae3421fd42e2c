import type { Slice } from '../../values/slice.ts'

const SMALLEST = 64
/** Room that was needed once for something large is not kept. */
const LARGEST_KEPT = 1 << 20

/** Texts kept side by side, by number: names of fields, for as long as values refer to them. */
export class Texts {
  count = 0
  #bytes: Uint8Array = new Uint8Array(SMALLEST)
  #ends: Uint32Array = new Uint32Array(SMALLEST >> 2)

  /** Bytes of all of them. */
  get size(): number {
    return this.count === 0 ? 0 : this.#ends[this.count - 1]
  }

  clear(): void {
    this.count = 0
    if (this.#bytes.length > LARGEST_KEPT) this.#bytes = new Uint8Array(SMALLEST)
    if (this.#ends.length > LARGEST_KEPT) this.#ends = new Uint32Array(SMALLEST >> 2)
  }

  add({ bytes, at, end }: Slice): void {
    const { count, size } = this
    const next = size + end - at
    if (next > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(2 * this.#bytes.length, next))
      larger.set(this.#bytes.subarray(0, size))
      this.#bytes = larger
    }
    if (count === this.#ends.length) {
      const larger = new Uint32Array(2 * count)
      larger.set(this.#ends)
      this.#ends = larger
    }
    const target = this.#bytes
    // Most are a few bytes: a loop is faster than a view and a call.
    if (end - at <= SMALLEST) for (let to = size; at < end; ) target[to++] = bytes[at++]
    else target.set(bytes.subarray(at, end), size)
    this.#ends[count] = next
    this.count = count + 1
  }

  /** Points `slice` at number `index`; valid until the next `add` or `clear`. */
  get(index: number, slice: Slice): Slice {
    return slice.set(this.#bytes, index === 0 ? 0 : this.#ends[index - 1], this.#ends[index])
  }
}
