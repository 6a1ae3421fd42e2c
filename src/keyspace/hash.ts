/**
 * 32 bits of a text, well mixed in all of them. The same in every process, so that the order in which collections are
 * handed out is, too.
 */
export function hashOf(bytes: Uint8Array, at: number, end: number): number {
  let hash = (end - at) ^ 0x2545f491
  let p = at
  for (; p + 4 <= end; p += 4) {
    const word = bytes[p] | (bytes[p + 1] << 8) | (bytes[p + 2] << 16) | (bytes[p + 3] << 24)
    hash = Math.imul(hash ^ word, FACTOR_A)
    hash ^= hash >>> 15
  }
  let rest = 0
  for (let shift = 0; p < end; p++, shift += 8) rest |= bytes[p] << shift
  hash = Math.imul(hash ^ rest, FACTOR_A)
  hash ^= hash >>> 16
  hash = Math.imul(hash, FACTOR_B)
  hash ^= hash >>> 13
  hash = Math.imul(hash, FACTOR_C)
  return hash ^ (hash >>> 16)
}

/** The same of `length` bytes at an index of a view; three bytes behind them must be readable. */
export function hashInView(view: DataView, at: number, length: number): number {
  let hash = length ^ 0x2545f491
  const end = at + length
  let p = at
  for (; p + 4 <= end; p += 4) {
    hash = Math.imul(hash ^ view.getInt32(p, true), FACTOR_A)
    hash ^= hash >>> 15
  }
  if (p < end) hash ^= view.getInt32(p, true) & (0xffffff >>> ((p + 3 - end) << 3))
  hash = Math.imul(hash, FACTOR_A)
  hash ^= hash >>> 16
  hash = Math.imul(hash, FACTOR_B)
  hash ^= hash >>> 13
  hash = Math.imul(hash, FACTOR_C)
  return hash ^ (hash >>> 16)
}

/** The hash of a text and a number. */
export function withNumber(hash: number, number: number): number {
  const mixed = Math.imul(hash ^ Math.imul(number, FACTOR_A), FACTOR_B)
  return mixed ^ (mixed >>> 15)
}

const FACTOR_A = 0x9e3779b1
const FACTOR_B = 0x85ebca6b
const FACTOR_C = 0xc2b2ae35
