import { corrupt } from '../bytes/errors.ts'
import { decompressLzf } from './encodings/lzf.ts'
import { lengthAt, lengthSize, NO_LENGTH, noLength, tooLong } from './length.ts'

/**
 * A string: a length and so many bytes, or one of these (integers low byte first):
 *
 *     0xc0 1 byte        0xc1 2 bytes        0xc2 4 bytes          a signed integer, for its decimal digits
 *     0xc3 length length bytes                                     compressed size, size, LZF
 */

const FIRST_ENCODED = 0xc0
export const INT8 = 0xc0
export const INT16 = 0xc1
export const INT32 = 0xc2
export const LZF = 0xc3

/** Bytes of a length below 4 GiB. */
const USUAL_LENGTH = 5

/**
 * Index behind the string at `bytes[at]` when it is in one of the usual forms, else -1. Reads and points beyond the
 * bytes that are there: what it gives holds only when it is not behind their end.
 */
export function stringEnd(bytes: Uint8Array, at: number): number {
  const first = bytes[at]
  if (first < 0x40) return at + 1 + first
  if (first < 0x80) return at + 2 + (((first & 0x3f) << 8) | bytes[at + 1])
  if (first === LZF) {
    const size = bytes[at + 1]
    if (size >= 0x80) return -1
    const second = at + (size < 0x40 ? 2 : 3)
    const secondSize = lengthSize(bytes[second])
    if (secondSize === NO_LENGTH || secondSize > USUAL_LENGTH) return -1
    return second + secondSize + lengthAt(bytes, at + 1)
  }
  if (first === INT8) return at + 2
  if (first === INT16) return at + 3
  if (first === INT32) return at + 5
  return -1
}

export interface StringHead {
  /** Bytes before the body. */
  readonly size: number
  /** Bytes of the body: text, an integer, or compressed. */
  readonly body: number
}

/**
 * What stands before the body of the string at `bytes[at]`; undefined when `end` cuts it (19 bytes at most).
 *
 * @param base offset of `bytes[0]` in the part
 * @throws FormatError `rdb.length`, `rdb.string`
 */
export function stringHead(bytes: Uint8Array, at: number, end: number, base: number): StringHead | undefined {
  if (at >= end) return undefined
  const first = bytes[at]
  if (first < FIRST_ENCODED) {
    const size = wholeLength(bytes, at, end, base)
    return size === 0 ? undefined : { size, body: lengthAt(bytes, at) }
  }
  if (first === INT8) return { size: 1, body: 1 }
  if (first === INT16) return { size: 1, body: 2 }
  if (first === INT32) return { size: 1, body: 4 }
  if (first !== LZF)
    throw corrupt('rdb.string', base + at, `0x${first.toString(16)} is no encoding of a string`)
  const compressed = wholeLength(bytes, at + 1, end, base)
  if (compressed === 0) return undefined
  const plain = wholeLength(bytes, at + 1 + compressed, end, base)
  return plain === 0 ? undefined : { size: 1 + compressed + plain, body: lengthAt(bytes, at + 1) }
}

/** Bytes of the length at `bytes[at]`; 0 when `end` cuts it. */
function wholeLength(bytes: Uint8Array, at: number, end: number, base: number): number {
  if (at >= end) return 0
  const size = lengthSize(bytes[at])
  if (size === NO_LENGTH) throw noLength(bytes[at], base + at)
  if (at + size > end) return 0
  if (!Number.isSafeInteger(lengthAt(bytes, at))) throw tooLong(bytes, at, base + at)
  return size
}

/**
 * The text of the string that stands at `bytes[at, end)`, all of which must be there: a view of `bytes` where it can
 * be one.
 *
 * @param base offset of `bytes[0]` in the part
 * @throws FormatError `rdb.lzf`, and as {@link stringHead}
 */
export function decodeString(bytes: Uint8Array, at: number, end: number, base: number): Uint8Array {
  const head = stringHead(bytes, at, end, base)
  if (head === undefined || at + head.size + head.body !== end)
    throw new RangeError(`no string at ${base + at} to ${base + end}`)
  const body = at + head.size
  switch (bytes[at]) {
    case INT8:
      return digits((bytes[body] << 24) >> 24)
    case INT16:
      return digits(((bytes[body] | (bytes[body + 1] << 8)) << 16) >> 16)
    case INT32:
      return digits(bytes[body] | (bytes[body + 1] << 8) | (bytes[body + 2] << 16) | (bytes[body + 3] << 24))
    case LZF: {
      const size = lengthAt(bytes, at + 1 + lengthSize(bytes[at + 1]))
      return decompressLzf(bytes, body, end, size, base + body)
    }
    default:
      return bytes.subarray(body, end)
  }
}

function digits(value: number): Uint8Array {
  return Buffer.from(String(value), 'latin1')
}
