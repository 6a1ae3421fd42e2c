import { SEED } from '../bytes/seed.ts'

/**
 * Byte strings as 64 bits, in two words, so that millions of them can be told apart in little memory. They depend on a
 * seed that is another one in every process: nobody can write a file in which two strings have the same.
 */

const [SEED_FIRST, SEED_SECOND] = SEED

/** Puts the fingerprint of `bytes[at, end)` into two words from `place` on; never both are zero. */
export function fingerprint(
  bytes: Uint8Array,
  at: number,
  end: number,
  salt: number,
  words: Int32Array,
  place: number,
): void {
  const size = end - at
  let first = SEED_FIRST ^ size
  let second = SEED_SECOND ^ salt ^ Math.imul(size, 0x735a2d97)
  for (const last = end - 3; at < last; at += 4) {
    let block = bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)
    block = Math.imul(block, 0x2c1b3c6d)
    block = Math.imul(block ^ (block >>> 15), -0x61c88647)
    first ^= block
    first = Math.imul((first << 13) | (first >>> 19), 5) + second
    second = Math.imul(second ^ block ^ (block >>> 16), -0x3d4d51cb)
    second = (second << 17) | (second >>> 15)
  }
  let rest = at < end ? bytes[at] : 0
  if (at + 1 < end) rest |= bytes[at + 1] << 8
  if (at + 2 < end) rest |= bytes[at + 2] << 16
  rest = Math.imul(rest, 0x2c1b3c6d)
  rest = Math.imul(rest ^ (rest >>> 15), -0x61c88647)
  first ^= rest
  second ^= (rest << 7) | (rest >>> 25)
  // What differs anywhere is to differ in all bits: tables go by some of them.
  first = Math.imul(first ^ (first >>> 16), -0x7a143595)
  first = Math.imul(first ^ (first >>> 13), -0x3d4d51cb)
  second = Math.imul(second ^ (second >>> 15), 0x297a2d39)
  second = Math.imul(second ^ (second >>> 12), 0x735a2d97)
  first ^= first >>> 16
  second ^= second >>> 15
  words[place] = first
  words[place + 1] = (first | second) === 0 ? 1 : second
}

/** Slots of a table in the beginning: a power of two. */
const SMALLEST = 64
/** A table that was needed once for something large is not kept. */
const LARGEST_KEPT = 1 << 11

/** A set of fingerprints: an open hash, of two words a slot, that grows by doubling. */
export class FingerprintTable {
  count = 0
  #words = new Int32Array(2 * SMALLEST)

  /** Slots. */
  get size(): number {
    return this.#words.length / 2
  }

  /** Adds the fingerprint at `place` of `from`. Whether it was not there. */
  add(from: Int32Array, place: number): boolean {
    const words = this.#words
    const first = from[place]
    const second = from[place + 1]
    const at = placeOf(words, first, second)
    if ((words[at] | words[at + 1]) !== 0) return false
    words[at] = first
    words[at + 1] = second
    // One slot in three stays free.
    if (++this.count * 3 > words.length) this.#words = grown(words)
    return true
  }

  /** The slot of the fingerprint at `place` of `from`, or -1. It is another one after an addition. */
  slotOf(from: Int32Array, place: number): number {
    const words = this.#words
    const at = placeOf(words, from[place], from[place + 1])
    return (words[at] | words[at + 1]) === 0 ? -1 : at >> 1
  }

  clear(): void {
    this.count = 0
    if (this.size > LARGEST_KEPT) this.#words = new Int32Array(2 * SMALLEST)
    else this.#words.fill(0)
  }
}

/** Where a fingerprint is, or is to be. */
function placeOf(words: Int32Array, first: number, second: number): number {
  const mask = words.length - 2
  let at = second & mask
  for (;;) {
    const there = words[at]
    if (there === first && words[at + 1] === second) return at
    if ((there | words[at + 1]) === 0) return at
    at = (at + 2) & mask
  }
}

function grown(words: Int32Array): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(2 * words.length)
  for (let i = 0; i < words.length; i += 2) {
    const first = words[i]
    const second = words[i + 1]
    if ((first | second) === 0) continue
    const at = placeOf(larger, first, second)
    larger[at] = first
    larger[at + 1] = second
  }
  return larger
}
