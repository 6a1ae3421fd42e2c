import { integerIn } from '../../bytes/decimal.ts'
import { corrupt } from '../../bytes/errors.ts'
import { int16At, int24At, int32At, int64At, putInteger, uint32At } from '../../bytes/little-endian.ts'
import type { Slice } from '../../values/slice.ts'
import { type Odd, PackedReader, PackedWriter } from './packed.ts'

/**
 * Elements packed, until Redis 6.2. Numbers low byte first, lengths of text high byte first:
 *
 *     size of all (4 bytes)  where the last element begins (4 bytes)  count (2 bytes, 65535: not said)  element …  0xff
 *
 *     element:  size of the one before it: a byte, or 0xfe and 4 bytes; then
 *               00llllll text                     text of up to 63 bytes
 *               01llllll llllllll text            text of up to 16383 bytes
 *               10...... length (4 bytes) text
 *               1111nnnn                          n - 1: 0 to 12
 *               0xfe 1 byte, 0xc0 2 bytes, 0xf0 3 bytes, 0xd0 4 bytes, 0xe0 8 bytes       signed
 *
 * Servers since Redis 7.0 turn it into a listpack when they load one, and look at all of it then: they refuse what is
 * only odd here.
 */

const HEADER_SIZE = 10
const TAIL_AT = 4
const END = 0xff
/** The size before takes five bytes; larger ones than needed occur. */
const LARGE_BEFORE = 0xfe

const TEXT_14 = 0x40
const TEXT_32 = 0x80
const INT_16 = 0xc0
const INT_32 = 0xd0
const INT_64 = 0xe0
const INT_24 = 0xf0
const INT_4_FIRST = 0xf1
const INT_4_LAST = 0xfd
const INT_8 = 0xfe

export class ZiplistReader extends PackedReader {
  protected readonly format = 'ziplist'
  #beforeTold = false

  /** @throws FormatError `rdb.ziplist.size`, `rdb.ziplist.end`: servers refuse both */
  open(text: Slice, offset: number, plain: boolean, odd: Odd | undefined): void {
    this.beginSized(text, HEADER_SIZE, offset, plain, odd)
    this.#beforeTold = false
  }

  /**
   * Tells, each once, `rdb.ziplist.prevlen`; at the end `rdb.ziplist.count`, `rdb.ziplist.tail`, and
   * `rdb.ziplist.behind` of bytes behind an end byte: nobody reads those.
   *
   * @throws FormatError `rdb.ziplist.element`
   */
  next(slice: Slice): boolean {
    const bytes = this.bytes
    const start = this.at
    if (bytes[start] === END) return this.end()
    const large = bytes[start] === LARGE_BEFORE
    const at = large ? start + 5 : start + 1
    if (at >= this.last) throw this.leaves(start)
    const before = large ? uint32At(bytes, start + 1) : bytes[start]
    if (before !== start - this.start) this.#checkBefore(start, before)
    const first = bytes[at]
    let end = at + 1
    if (first < TEXT_14) {
      end += first
      if (end > this.last) throw this.leaves(start)
      slice.set(bytes, at + 1, end)
    } else {
      end = this.#larger(bytes, start, at, first, slice)
    }
    this.start = start
    this.at = end
    this.given++
    return true
  }

  /** Makes `slice` the element whose encoding stands at `at`; gives its end. */
  #larger(bytes: Uint8Array, start: number, at: number, first: number, slice: Slice): number {
    const head = at + headSize(first)
    if (head === at)
      throw corrupt(
        'rdb.ziplist.element',
        this.offsetOf(start),
        `0x${first.toString(16)} starts no element of a ziplist`,
      )
    if (head > this.last) throw this.leaves(start)
    if (first < INT_16) {
      const length =
        first < TEXT_32
          ? ((first & 0x3f) << 8) | bytes[at + 1]
          : ((bytes[at + 1] << 24) | (bytes[at + 2] << 16) | (bytes[at + 3] << 8) | bytes[at + 4]) >>> 0
      if (head + length > this.last) throw this.leaves(start)
      slice.set(bytes, head, head + length)
      return head + length
    }
    if (first === INT_16) slice.integer(int16At(bytes, at + 1))
    else if (first === INT_32) slice.integer(int32At(bytes, at + 1))
    else if (first === INT_64) slice.integer(int64At(bytes, at + 1))
    else if (first === INT_24) slice.integer(int24At(bytes, at + 1))
    else if (first === INT_8) slice.integer((bytes[at + 1] << 24) >> 24)
    else slice.integer(first - INT_4_FIRST)
    return head
  }

  #checkBefore(start: number, before: number): void {
    if (this.odd === undefined || this.#beforeTold) return
    this.#beforeTold = true
    this.odd(
      'rdb.ziplist.prevlen',
      this.offsetOf(start),
      `an element of a ziplist stands behind one of ${start - this.start} bytes and says ${before}`,
    )
  }

  protected override end(): false {
    const { odd } = this
    super.end()
    if (odd === undefined) return false
    const tail = uint32At(this.bytes, this.from + TAIL_AT)
    const last = this.start - this.from
    // Of an empty one, servers only ask that it be inside.
    if (this.given > 0 ? tail !== last : tail > this.last - this.from)
      odd(
        'rdb.ziplist.tail',
        this.offsetOf(this.from),
        `the last element of a ziplist begins at ${last}, not at ${tail}`,
      )
    return false
  }
}

/** Bytes of the encoding, with the integer; 0 where `first` is none. */
function headSize(first: number): number {
  if (first < TEXT_14) return 1
  if (first < TEXT_32) return 2
  if (first < INT_16) return 5
  if (first >= INT_4_FIRST && first <= INT_4_LAST) return 1
  switch (first) {
    case INT_8:
      return 2
    case INT_16:
      return 3
    case INT_24:
      return 4
    case INT_32:
      return 5
    case INT_64:
      return 9
    default:
      return 0
  }
}

function textHead(length: number): number {
  return length < 0x40 ? 1 : length < 0x4000 ? 2 : 5
}

/** Bytes of the encoding and the integer. */
function integerSize(value: number | bigint): number {
  if (typeof value === 'bigint') return 9
  if (value >= 0 && value <= 12) return 1
  if (value >= -0x80 && value <= 0x7f) return 2
  if (value >= -0x8000 && value <= 0x7fff) return 3
  if (value >= -0x80_0000 && value <= 0x7f_ffff) return 4
  return value >= -0x8000_0000 && value <= 0x7fff_ffff ? 5 : 9
}

/** By the size of integer and encoding. */
const INTEGER_ENCODINGS = [0, 0, INT_8, INT_16, INT_24, INT_32, 0, 0, 0, INT_64]

export class ZiplistWriter extends PackedWriter {
  /** Where the last element begins. */
  #tail = HEADER_SIZE

  constructor() {
    super(HEADER_SIZE)
  }

  override reset(): void {
    super.reset()
    this.#tail = HEADER_SIZE
  }

  /** Bytes that `append` would add. */
  elementSize(element: Slice): number {
    const { bytes, at, end } = element
    const value = integerIn(bytes, at, end)
    const size = value === undefined ? textHead(end - at) + end - at : integerSize(value)
    return this.#beforeSize() + size
  }

  appendInteger(value: number | bigint): void {
    const size = integerSize(value)
    const at = this.#begin(size)
    if (size === 1) {
      this.buffer[at] = INT_4_FIRST + Number(value)
    } else {
      this.buffer[at] = INTEGER_ENCODINGS[size]
      putInteger(this.buffer, at + 1, value, size - 1)
    }
    this.end = at + size
    this.count++
  }

  protected appendText(bytes: Uint8Array, from: number, length: number): void {
    const head = textHead(length)
    const at = this.#begin(head + length)
    const buffer = this.buffer
    const to = at + head
    if (head === 1) {
      buffer[at] = length
      for (let i = 0; i < length; i++) buffer[to + i] = bytes[from + i]
    } else {
      if (head === 2) {
        buffer[at] = TEXT_14 | (length >> 8)
      } else {
        buffer[at] = TEXT_32
        buffer[at + 1] = length >>> 24
        buffer[at + 2] = length >>> 16
        buffer[at + 3] = length >>> 8
      }
      buffer[to - 1] = length
      buffer.set(bytes.subarray(from, from + length), to)
    }
    this.end = to + length
    this.count++
  }

  /** Writes what stands before an element of `size`; gives where that goes. */
  #begin(size: number): number {
    const before = this.end - this.#tail
    const start = this.end
    const beforeSize = this.#beforeSize()
    const buffer = this.room(beforeSize + size)
    if (beforeSize === 1) {
      buffer[start] = before
    } else {
      buffer[start] = LARGE_BEFORE
      putInteger(buffer, start + 1, before, 4)
    }
    this.#tail = start
    return start + beforeSize
  }

  #beforeSize(): number {
    return this.end - this.#tail < LARGE_BEFORE ? 1 : 5
  }

  override finish(): Slice {
    const whole = super.finish()
    putInteger(whole.bytes, TAIL_AT, this.#tail, 4)
    return whole
  }
}
