import type { Slice } from '../../values/slice.ts'

/*
 * MurmurHash64A as servers have it for HyperLogLog. A product of 64 bits is put together from pieces: a number cannot
 * hold it, and a bigint costs more than all the rest.
 */

/** 0xc6a4a7935bd1e995 */
const M_LOW = 0x5bd1e995
const M_HIGH = 0xc6a4a793 | 0
/** The halves of the first. */
const M_LOW_LOW = M_LOW & 0xffff
const M_LOW_HIGH = M_LOW >>> 16
/** The hash is shifted by 47: its upper half by so much becomes the lower. */
const R = 47 - 32
const SEED = 0xadc83b19 | 0

export class Murmur {
  /** The halves of the last hash, signed. */
  low = 0
  high = 0

  hash(text: Slice): void {
    const { bytes, at, end } = text
    this.low = end - at
    this.high = 0
    this.#multiply()
    let low = this.low ^ SEED
    let high = this.high
    let p = at
    for (; p + 8 <= end; p += 8) {
      this.low = bytes[p] | (bytes[p + 1] << 8) | (bytes[p + 2] << 16) | (bytes[p + 3] << 24)
      this.high = bytes[p + 4] | (bytes[p + 5] << 8) | (bytes[p + 6] << 16) | (bytes[p + 7] << 24)
      this.#multiply()
      this.low ^= this.high >>> R
      this.#multiply()
      this.low ^= low
      this.high ^= high
      this.#multiply()
      low = this.low
      high = this.high
    }
    this.low = low
    this.high = high
    if (p < end) {
      for (let i = p; i < end; i++) {
        const shift = (i - p) << 3
        if (shift < 32) this.low ^= bytes[i] << shift
        else this.high ^= bytes[i] << (shift - 32)
      }
      this.#multiply()
    }
    this.low ^= this.high >>> R
    this.#multiply()
    this.low ^= this.high >>> R
  }

  /** Times the constant, modulo 2^64. */
  #multiply(): void {
    const { low, high } = this
    const a = low & 0xffff
    const b = low >>> 16
    const middle = a * M_LOW_HIGH + ((a * M_LOW_LOW) >>> 16)
    const upper = b * M_LOW_LOW + (middle & 0xffff)
    const carried = b * M_LOW_HIGH + (middle >>> 16) + (upper >>> 16)
    this.low = Math.imul(low, M_LOW)
    this.high = ((carried | 0) + Math.imul(low, M_HIGH) + Math.imul(high, M_LOW)) | 0
  }
}
