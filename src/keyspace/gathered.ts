import type { Slice } from '../values/slice.ts'

const FIRST_BYTES = 4096
const FIRST_ITEMS = 64

/**
 * Texts with a number each, kept by position outside of the keyspace: what a command has found, before it stores some of
 * it in another order.
 */
export class Gathered {
  #bytes = new Uint8Array(FIRST_BYTES)
  #used = 0
  #numbers = new Float64Array(FIRST_ITEMS)
  /** Where each begins; of the next one, too. */
  #starts = new Float64Array(FIRST_ITEMS + 1)
  #count = 0

  get length(): number {
    return this.#count
  }

  add(text: Slice, number: number): void {
    const { length } = text
    const index = this.#count++
    if (index === this.#numbers.length) {
      this.#numbers = doubled(this.#numbers, 2 * index)
      this.#starts = doubled(this.#starts, 2 * index + 1)
    }
    if (this.#used + length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(2 * this.#bytes.length, this.#used + length))
      grown.set(this.#bytes.subarray(0, this.#used))
      this.#bytes = grown
    }
    this.#bytes.set(text.bytes.subarray(text.at, text.end), this.#used)
    this.#used += length
    this.#numbers[index] = number
    this.#starts[index + 1] = this.#used
  }

  /** Makes the slice the text at a position: void when another is added. */
  read(index: number, slice: Slice): void {
    slice.set(this.#bytes, this.#starts[index], this.#starts[index + 1])
  }

  number(index: number): number {
    return this.#numbers[index]
  }

  setNumber(index: number, number: number): void {
    this.#numbers[index] = number
  }

  /** Less than 0: the text at `a` stands before the one at `b`, byte by byte. */
  compare(a: number, b: number): number {
    const bytes = this.#bytes
    const from = this.#starts[a]
    const at = this.#starts[b]
    const length = this.#starts[a + 1] - from
    const other = this.#starts[b + 1] - at
    const common = Math.min(length, other)
    for (let i = 0; i < common; i++) {
      const difference = bytes[from + i] - bytes[at + i]
      if (difference !== 0) return difference
    }
    return length - other
  }
}

function doubled(numbers: Float64Array, length: number): Float64Array<ArrayBuffer> {
  const grown = new Float64Array(length)
  grown.set(numbers)
  return grown
}
