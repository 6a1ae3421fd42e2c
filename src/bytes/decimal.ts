/**
 * A decimal integer as servers take it in an argument (`string2ll`): an optional `-`, digits, no leading zero, no sign
 * before 0, nothing else. Undefined when it is none, or beyond 2^53.
 */
export function parseInteger(bytes: Uint8Array, start: number, length: number): number | undefined {
  const negative = bytes[start] === 0x2d
  const from = negative ? start + 1 : start
  const end = start + length
  if (end - from < 1 || end - from > 16) return undefined
  if (bytes[from] === 0x30 && length > 1) return undefined
  let value = 0
  for (let i = from; i < end; i++) {
    const digit = bytes[i] - 0x30
    if (!(digit >= 0 && digit <= 9)) return undefined
    value = value * 10 + digit
  }
  if (!Number.isSafeInteger(value)) return undefined
  return negative ? -value : value
}
