export const INT64_MAX = (1n << 63n) - 1n
export const INT64_MIN = -(1n << 63n)

/** Characters of the longest integer of 64 bits, with its sign. */
export const LONGEST_INTEGER = 20

const ZERO = 0x30
const MINUS = 0x2d

/**
 * A decimal integer as servers take it in an argument (`string2ll`): an optional `-`, digits, no leading zero, no sign
 * before 0, nothing else. Undefined when it is none, or beyond 2^53.
 */
export function parseInteger(bytes: Uint8Array, start: number, length: number): number | undefined {
  const negative = bytes[start] === MINUS
  const from = negative ? start + 1 : start
  const end = start + length
  if (end - from < 1 || end - from > 16) return undefined
  if (bytes[from] === ZERO && length > 1) return undefined
  let value = 0
  for (let i = from; i < end; i++) {
    const digit = bytes[i] - ZERO
    if (!(digit >= 0 && digit <= 9)) return undefined
    value = value * 10 + digit
  }
  if (!Number.isSafeInteger(value)) return undefined
  return negative ? -value : value
}

/** Puts the digits of an integer, exact up to 2^53, before `bytes[end]`; the index of the first. */
export function putDigits(bytes: Uint8Array, end: number, value: number): number {
  let at = end
  let rest = Math.abs(value)
  // Nine digits at a time, so that the division below is one of small integers.
  while (rest > 0x7fff_ffff) {
    const next = Math.floor(rest / 1_000_000_000)
    let part = (rest - next * 1_000_000_000) | 0
    for (let i = 0; i < 9; i++) {
      const tenth = (part / 10) | 0
      bytes[--at] = ZERO + part - tenth * 10
      part = tenth
    }
    rest = next
  }
  let part = rest | 0
  do {
    const tenth = (part / 10) | 0
    bytes[--at] = ZERO + part - tenth * 10
    part = tenth
  } while (part > 0)
  if (value < 0) bytes[--at] = MINUS
  return at
}

/**
 * The integer that the text `bytes[at, end)` is exactly, as servers decide whether to keep a text as one
 * (`string2ll`): digits without leading zeros, `-` before all but 0, 64 bits. A bigint only beyond 2^53.
 */
export function integerIn(bytes: Uint8Array, at: number, end: number): number | bigint | undefined {
  const length = end - at
  if (length === 0 || length > LONGEST_INTEGER) return undefined
  const negative = bytes[at] === MINUS
  let i = negative ? at + 1 : at
  let value = i < end ? bytes[i] - ZERO : -1
  if (value <= 0 || value > 9) return value === 0 && length === 1 ? 0 : undefined
  while (++i < end) {
    const digit = bytes[i] - ZERO
    if (digit < 0 || digit > 9) return undefined
    value = value * 10 + digit
  }
  // Rounding never brings a larger one below.
  if (value > Number.MAX_SAFE_INTEGER) return largeIn(bytes, at, end)
  return negative ? -value : value
}

function largeIn(bytes: Uint8Array, at: number, end: number): bigint | undefined {
  const value = BigInt(String.fromCharCode(...bytes.subarray(at, end)))
  return BigInt.asIntN(64, value) === value ? value : undefined
}
