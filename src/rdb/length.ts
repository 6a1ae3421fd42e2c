import { corrupt, type FormatError } from '../bytes/errors.ts'

/**
 * The length encoding, which carries sizes, counts and numbers. The first two bits say how:
 *
 *     00nnnnnn                        6 bits
 *     01nnnnnn nnnnnnnn               14 bits, high byte first
 *     10000000 4 bytes                32 bits, high byte first
 *     10000001 8 bytes                64 bits, high byte first (from version 8)
 *     11eeeeee                        a string in encoding e, see strings.ts
 *
 * Where no string can stand, servers take the last form as the six-bit number; so do we. Other bytes are no length.
 */

/** What {@link lengthSize} gives for a byte that starts no length. */
export const NO_LENGTH = 0

/** Bytes of the length that starts with `first`. */
export function lengthSize(first: number): number {
  if (first < 0x40 || first >= 0xc0) return 1
  if (first < 0x80) return 2
  return first === 0x80 ? 5 : first === 0x81 ? 9 : NO_LENGTH
}

/** The length at `bytes[at]`, all of which must be there; rounded beyond 2^53. */
export function lengthAt(bytes: Uint8Array, at: number): number {
  const first = bytes[at]
  if (first < 0x40) return first
  if (first < 0x80) return ((first & 0x3f) << 8) | bytes[at + 1]
  if (first >= 0xc0) return first & 0x3f
  if (first === 0x80) return uint32At(bytes, at + 1)
  return uint32At(bytes, at + 1) * 0x1_0000_0000 + uint32At(bytes, at + 5)
}

function uint32At(bytes: Uint8Array, at: number): number {
  return bytes[at] * 0x100_0000 + ((bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3])
}

export function noLength(first: number, offset: number): FormatError {
  return corrupt('rdb.length', offset, `0x${first.toString(16)} starts no length`)
}

/** For the 64-bit length at `bytes[at]`, which is beyond 2^53. */
export function tooLong(bytes: Uint8Array, at: number, offset: number): FormatError {
  const exact = (BigInt(uint32At(bytes, at + 1)) << 32n) | BigInt(uint32At(bytes, at + 5))
  return corrupt('rdb.length', offset, `a length of ${exact}, beyond 2^53`)
}
