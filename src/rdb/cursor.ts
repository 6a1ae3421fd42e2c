import { corrupt } from '../bytes/errors.ts'
import { PASSED_OVER } from '../values/elements.ts'
import type { Slice } from '../values/slice.ts'
import { decompressLzfInto, LONGEST_STRING } from './encodings/lzf.ts'
import { lengthAt, lengthSize, NO_LENGTH, noLength, tooLong } from './length.ts'
import { INT8, INT16, INT32, LZF } from './strings.ts'

/** Thrown where the bytes at hand end: what was begun is to be begun anew with more of them. */
export const SHORT = Symbol('short')

const NO_BYTES = new Uint8Array(0)
/** Servers let no packed string grow further (`LISTPACK_MAX_SAFETY_LIMIT`). */
const MOST_PACKED = 1 << 30

/** The body of a string that is longer than wanted. */
export interface LeftOut {
  /** Index of its first byte. */
  at: number
  /** Its bytes. */
  readonly body: number
  /** Those of its text, when it is compressed. */
  readonly text: number | undefined
}

/** Reads what a value consists of, one after the other, from the bytes that are at hand. */
export class Cursor {
  bytes: Uint8Array = NO_BYTES
  /** Index of the next byte. */
  at = 0
  /** Index behind the last byte that is at hand. */
  end = 0
  /** Offset in the part of `bytes[0]`; after a string that was passed over it is another one. */
  base = 0
  /** Of the string that was read last: offset in the part of its text, or of what that was decompressed from. */
  textOffset = 0
  /** Of the same: whether it stands in the part as it is, so that offsets go on inside it. */
  plain = true
  /** After {@link SHORT}: the index up to which bytes must be there before it is worth another try. */
  needed = 0

  readonly #most: number
  /** Indexes of strings whose bodies are left out of `bytes`, since they are longer than wanted; rising. */
  readonly #leftOut: number[] = []
  /** After {@link SHORT}: the body that is to be left out next. */
  leaving: LeftOut | undefined

  /** @param most strings that take more bytes are passed over: a slice then has the right length and no bytes */
  constructor(most: number) {
    this.#most = most
  }

  /** Offset in the part of the next byte. */
  get offset(): number {
    return this.base + this.at
  }

  /** Points it at `bytes[at, end)`, the first of which stands at `offset` in the part. */
  set(bytes: Uint8Array, at: number, end: number, offset: number): void {
    this.bytes = bytes
    this.at = at
    this.end = end
    this.base = offset - at
  }

  /** From now on the body of the string at `at` is not among the bytes. */
  leaveOut(at: number): void {
    this.#leftOut.push(at)
    this.leaving = undefined
  }

  /** What was left out lies behind. */
  keepAll(): void {
    if (this.#leftOut.length > 0) this.#leftOut.length = 0
    this.leaving = undefined
  }

  byte(): number {
    if (this.at >= this.end) this.#short(1)
    return this.bytes[this.at++]
  }

  /** A number in the length encoding, exact. */
  length(): number {
    const { bytes, at } = this
    const first = bytes[at]
    if (first < 0x40 && at < this.end) {
      this.at = at + 1
      return first
    }
    const size = this.#lengthSize()
    const value = lengthAt(bytes, at)
    if (!Number.isSafeInteger(value)) throw tooLong(bytes, at, this.base + at)
    this.at = at + size
    return value
  }

  /** The same, of up to 64 bits. */
  length64(): bigint {
    const { bytes, at } = this
    const size = this.#lengthSize()
    this.at = at + size
    if (size < 9) return BigInt(lengthAt(bytes, at))
    return (BigInt(uint32At(bytes, at + 1)) << 32n) | BigInt(uint32At(bytes, at + 5))
  }

  #lengthSize(): number {
    const { at } = this
    if (at >= this.end) this.#short(1)
    const size = lengthSize(this.bytes[at])
    if (size === NO_LENGTH) throw noLength(this.bytes[at], this.base + at)
    if (at + size > this.end) this.#short(size)
    return size
  }

  /** The next `size` bytes, as they are. */
  take(size: number, slice: Slice): void {
    if (this.at + size > this.end) this.#short(size)
    slice.set(this.bytes, this.at, this.at + size)
    this.at += size
  }

  /**
   * A string in any encoding, decoded.
   *
   * @throws FormatError `rdb.length`, `rdb.string`, `rdb.lzf`; `rdb.value.size` for one of more than 4 GiB that is not
   *   passed over
   */
  string(slice: Slice): void {
    this.#string(slice, this.#most)
  }

  /**
   * A string in which elements are packed: never passed over.
   *
   * @throws FormatError as {@link string}, and `rdb.value.size` for one that no server makes: more than 1 GiB
   */
  packed(slice: Slice): void {
    const { offset } = this
    this.#string(slice, MOST_PACKED)
    if (slice.bytes === PASSED_OVER)
      throw corrupt('rdb.value.size', offset, `${slice.length} bytes of packed elements`)
  }

  #string(slice: Slice, most: number): void {
    const { bytes, at } = this
    const first = bytes[at]
    if (first < 0x40 && at + 1 + first <= this.end && first <= most) {
      this.textOffset = this.base + at + 1
      this.plain = true
      this.at = at + 1 + first
      slice.set(bytes, at + 1, this.at)
      return
    }
    if (at >= this.end) this.#short(1)
    this.textOffset = this.base + at + 1
    this.plain = false
    switch (first) {
      case INT8:
        if (at + 2 > this.end) this.#short(2)
        slice.integer((bytes[at + 1] << 24) >> 24)
        this.at = at + 2
        return
      case INT16:
        if (at + 3 > this.end) this.#short(3)
        slice.integer(((bytes[at + 1] | (bytes[at + 2] << 8)) << 16) >> 16)
        this.at = at + 3
        return
      case INT32:
        if (at + 5 > this.end) this.#short(5)
        slice.integer(bytes[at + 1] | (bytes[at + 2] << 8) | (bytes[at + 3] << 16) | (bytes[at + 4] << 24))
        this.at = at + 5
        return
      case LZF:
        this.#compressed(slice, most)
        return
    }
    if (first >= INT8)
      throw corrupt('rdb.string', this.base + at, `0x${first.toString(16)} is no encoding of a string`)
    const size = this.length()
    const body = this.at
    this.textOffset = this.base + body
    this.plain = true
    if (this.#isLeftOut(slice, most, at, body, size, size, undefined)) return
    if (body + size > this.end) {
      this.at = at
      this.#short(body - at + size)
    }
    slice.set(bytes, body, body + size)
    this.at = body + size
  }

  #compressed(slice: Slice, most: number): void {
    const { at } = this
    this.at = at + 1
    const packed = this.length()
    const size = this.length()
    const body = this.at
    this.textOffset = this.base + body
    if (this.#isLeftOut(slice, most, at, body, packed, size, size)) return
    if (body + packed > this.end) {
      this.at = at
      this.#short(body - at + packed)
    }
    decompressLzfInto(slice, this.bytes, body, body + packed, size, this.base + body)
    this.at = body + packed
  }

  /** Whether the string at `at` is passed over; throws when its body has yet to be left out. */
  #isLeftOut(
    slice: Slice,
    most: number,
    at: number,
    body: number,
    bodySize: number,
    size: number,
    text: number | undefined,
  ): boolean {
    if (size <= most && bodySize <= most) {
      if (size > LONGEST_STRING || bodySize > LONGEST_STRING)
        throw corrupt(
          'rdb.value.size',
          this.base + at,
          `a string of ${size} bytes is more than memory takes at once`,
        )
      return false
    }
    if (!this.#leftOut.includes(body)) {
      this.leaving = { at: body, body: bodySize, text }
      this.at = at
      throw SHORT
    }
    slice.set(PASSED_OVER, 0, size)
    this.base += bodySize
    return true
  }

  /** A double, low byte first. */
  double(): number {
    if (this.at + 8 > this.end) this.#short(8)
    for (let i = 0; i < 8; i++) OCTETS[i] = this.bytes[this.at + i]
    this.at += 8
    return VIEW.getFloat64(0, true)
  }

  /** A signed integer, low byte first. */
  int64(): bigint {
    if (this.at + 8 > this.end) this.#short(8)
    for (let i = 0; i < 8; i++) OCTETS[i] = this.bytes[this.at + i]
    this.at += 8
    return VIEW.getBigInt64(0, true)
  }

  /** An unsigned integer, high byte first. */
  uint64be(): bigint {
    if (this.at + 8 > this.end) this.#short(8)
    for (let i = 0; i < 8; i++) OCTETS[i] = this.bytes[this.at + i]
    this.at += 8
    return VIEW.getBigUint64(0, false)
  }

  #short(size: number): never {
    this.needed = this.at + size
    throw SHORT
  }
}

const OCTETS = new Uint8Array(8)
const VIEW = new DataView(OCTETS.buffer)

function uint32At(bytes: Uint8Array, at: number): number {
  return bytes[at] * 0x100_0000 + ((bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3])
}
