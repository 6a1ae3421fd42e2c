import { LONGEST_INTEGER, putDigits } from '../bytes/decimal.ts'

const NO_BYTES = new Uint8Array(0)

/**
 * Bytes that stand somewhere: `bytes[at, end)`. One object is filled again and again, so that handing out an element
 * makes nothing; whoever is given one copies what is to be kept.
 */
export class Slice {
  bytes: Uint8Array = NO_BYTES
  at = 0
  end = 0
  /** For what stands nowhere: digits of integers, decompressed text. */
  #own: Uint8Array = NO_BYTES

  get length(): number {
    return this.end - this.at
  }

  set(bytes: Uint8Array, at = 0, end: number = bytes.length): this {
    this.bytes = bytes
    this.at = at
    this.end = end
    return this
  }

  /** Makes it `size` bytes of a buffer of its own, to be written; what it pointed to before is void. */
  room(size: number): Uint8Array {
    // A buffer that was needed once for something large is not kept.
    if (this.#own.length < size || this.#own.length > LARGEST_KEPT)
      this.#own = new Uint8Array(Math.max(size, SMALLEST))
    this.bytes = this.#own
    this.at = 0
    this.end = size
    return this.#own
  }

  /** Makes it the decimal digits of an integer. */
  integer(value: number | bigint): this {
    const own = this.room(LONGEST_INTEGER)
    if (typeof value === 'bigint' || !Number.isSafeInteger(value)) {
      const digits = String(value)
      for (let i = 0; i < digits.length; i++) own[i] = digits.charCodeAt(i)
      this.end = digits.length
      return this
    }
    this.at = putDigits(own, LONGEST_INTEGER, value)
    this.end = LONGEST_INTEGER
    return this
  }

  /** The same bytes, to be kept. */
  copy(): Uint8Array {
    return this.bytes.slice(this.at, this.end)
  }

  equals(other: Slice): boolean {
    const { bytes, at } = this
    const { length } = other
    if (length !== this.length) return false
    for (let i = 0; i < length; i++) if (bytes[at + i] !== other.bytes[other.at + i]) return false
    return true
  }
}

const SMALLEST = 64
const LARGEST_KEPT = 1 << 20
