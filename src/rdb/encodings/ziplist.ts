import { integerIn } from '../../bytes/decimal.ts'
import { corrupt, type FormatError } from '../../bytes/errors.ts'
import { int16At, int24At, int32At, int64At, putInteger, uint32At } from '../../bytes/little-endian.ts'
import { Slice } from '../../values/slice.ts'
import type { Odd, PackedReader, PackedWriter } from './packed.ts'

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
/** What the count says when there are as many elements or more. */
const COUNT_UNKNOWN = 0xffff
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

const NO_BYTES = new Uint8Array(0)

export class ZiplistReader implements PackedReader {
  count = 0
  #bytes: Uint8Array = NO_BYTES
  #at = 0
  /** Where the end byte of the whole stands; elements end at it. */
  #last = 0
  /** Where the element begins that was given last. */
  #start = 0
  /** Elements given. */
  #given = 0
  /** Where the string begins, in the bytes and in the part. */
  #from = 0
  #offset = 0
  #plain = true
  #odd: Odd | undefined
  #beforeTold = false

  /** @throws FormatError `rdb.ziplist.size`, `rdb.ziplist.end`: servers refuse both */
  open(text: Slice, offset: number, plain: boolean, odd: Odd | undefined): void {
    const { bytes, at, end, length } = text
    if (length <= HEADER_SIZE) throw corrupt('rdb.ziplist.size', offset, `a ziplist of only ${length} bytes`)
    const size = uint32At(bytes, at)
    if (size !== length)
      throw corrupt('rdb.ziplist.size', offset, `a ziplist of ${length} bytes says that it has ${size}`)
    if (bytes[end - 1] !== END) throw corrupt('rdb.ziplist.end', offset, 'a ziplist without its end byte')
    const count = bytes[at + 8] | (bytes[at + 9] << 8)
    this.count = count === COUNT_UNKNOWN ? -1 : count
    this.#bytes = bytes
    this.#at = at + HEADER_SIZE
    this.#last = end - 1
    this.#start = at + HEADER_SIZE
    this.#given = 0
    this.#from = at
    this.#offset = offset
    this.#plain = plain
    this.#odd = odd
    this.#beforeTold = false
  }

  get offset(): number {
    return this.#offsetOf(this.#start)
  }

  /**
   * Tells, each once, `rdb.ziplist.prevlen`; at the end `rdb.ziplist.count`, `rdb.ziplist.tail`, and
   * `rdb.ziplist.behind` of bytes behind an end byte: nobody reads those.
   *
   * @throws FormatError `rdb.ziplist.element`
   */
  next(slice: Slice): boolean {
    const bytes = this.#bytes
    const start = this.#at
    if (bytes[start] === END) return this.#end()
    const large = bytes[start] === LARGE_BEFORE
    const at = large ? start + 5 : start + 1
    if (at >= this.#last) throw this.#leaves(start)
    const before = large ? uint32At(bytes, start + 1) : bytes[start]
    if (before !== start - this.#start) this.#checkBefore(start, before)
    const first = bytes[at]
    let end = at + 1
    if (first < TEXT_14) {
      end += first
      if (end > this.#last) throw this.#leaves(start)
      slice.set(bytes, at + 1, end)
    } else {
      end = this.#larger(bytes, start, at, first, slice)
    }
    this.#start = start
    this.#at = end
    this.#given++
    return true
  }

  /** Makes `slice` the element whose encoding stands at `at`; gives its end. */
  #larger(bytes: Uint8Array, start: number, at: number, first: number, slice: Slice): number {
    const head = at + headSize(first)
    if (head === at)
      throw corrupt(
        'rdb.ziplist.element',
        this.#offsetOf(start),
        `0x${first.toString(16)} starts no element of a ziplist`,
      )
    if (head > this.#last) throw this.#leaves(start)
    if (first < INT_16) {
      const length =
        first < TEXT_32
          ? ((first & 0x3f) << 8) | bytes[at + 1]
          : ((bytes[at + 1] << 24) | (bytes[at + 2] << 16) | (bytes[at + 3] << 8) | bytes[at + 4]) >>> 0
      if (head + length > this.#last) throw this.#leaves(start)
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
    if (this.#odd === undefined || this.#beforeTold) return
    this.#beforeTold = true
    this.#odd(
      'rdb.ziplist.prevlen',
      this.#offsetOf(start),
      `an element of a ziplist stands behind one of ${start - this.#start} bytes and says ${before}`,
    )
  }

  #end(): false {
    const odd = this.#odd
    this.#odd = undefined
    if (odd === undefined) return false
    const behind = this.#last - this.#at
    if (behind > 0)
      odd('rdb.ziplist.behind', this.#offsetOf(this.#at), `${behind} bytes behind the end byte of a ziplist`)
    if (this.count >= 0 && this.count !== this.#given)
      odd(
        'rdb.ziplist.count',
        this.#offset,
        `a ziplist of ${this.#given} elements says that it has ${this.count}`,
      )
    const tail = uint32At(this.#bytes, this.#from + 4)
    const last = this.#start - this.#from
    // Of an empty one, servers only ask that it be inside.
    if (this.#given > 0 ? tail !== last : tail > this.#last - this.#from)
      odd('rdb.ziplist.tail', this.#offset, `the last element of a ziplist begins at ${last}, not at ${tail}`)
    return false
  }

  #offsetOf(at: number): number {
    return this.#plain ? this.#offset + at - this.#from : this.#offset
  }

  #leaves(at: number): FormatError {
    return corrupt('rdb.ziplist.element', this.#offsetOf(at), 'an element reaches beyond its ziplist')
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

const SMALLEST = 256
/** A buffer that was needed once for something large is not kept. */
const LARGEST_KEPT = 1 << 20
const LARGEST_SIZE = 0xffff_ffff

export class ZiplistWriter implements PackedWriter {
  count = 0
  #buffer: Uint8Array = new Uint8Array(SMALLEST)
  #end = HEADER_SIZE
  /** Where the last element begins. */
  #tail = HEADER_SIZE
  readonly #whole = new Slice()

  get size(): number {
    return this.#end + 1
  }

  reset(): void {
    this.count = 0
    this.#end = HEADER_SIZE
    this.#tail = HEADER_SIZE
    if (this.#buffer.length > LARGEST_KEPT) this.#buffer = new Uint8Array(SMALLEST)
  }

  /** Bytes that `append` would add. */
  elementSize(element: Slice): number {
    const { bytes, at, end } = element
    const value = integerIn(bytes, at, end)
    const size = value === undefined ? textHead(end - at) + end - at : integerSize(value)
    return this.#beforeSize() + size
  }

  /** @throws RangeError beyond 4 GiB, which the format cannot say */
  append(element: Slice): void {
    const { bytes, at, end } = element
    const value = integerIn(bytes, at, end)
    if (value === undefined) this.#appendText(bytes, at, end - at)
    else this.#appendInteger(value)
    this.count++
  }

  #appendInteger(value: number | bigint): void {
    const size = integerSize(value)
    const at = this.#begin(size)
    if (size === 1) {
      this.#buffer[at] = INT_4_FIRST + Number(value)
    } else {
      this.#buffer[at] = INTEGER_ENCODINGS[size]
      putInteger(this.#buffer, at + 1, value, size - 1)
    }
    this.#end = at + size
  }

  #appendText(bytes: Uint8Array, from: number, length: number): void {
    const head = textHead(length)
    const at = this.#begin(head + length)
    const buffer = this.#buffer
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
    this.#end = to + length
  }

  /** Writes what stands before an element of `size`; gives where that goes. */
  #begin(size: number): number {
    const before = this.#end - this.#tail
    const start = this.#end
    const beforeSize = this.#beforeSize()
    const buffer = this.#room(beforeSize + size)
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
    return this.#end - this.#tail < LARGE_BEFORE ? 1 : 5
  }

  finish(): Slice {
    const buffer = this.#room(0)
    const { size } = this
    putInteger(buffer, 0, size, 4)
    putInteger(buffer, 4, this.#tail, 4)
    putInteger(buffer, 8, Math.min(this.count, COUNT_UNKNOWN), 2)
    buffer[size - 1] = END
    return this.#whole.set(buffer, 0, size)
  }

  /** The buffer, with room for so many bytes and the end. */
  #room(more: number): Uint8Array {
    const size = this.size + more
    if (size > this.#buffer.length) {
      if (size > LARGEST_SIZE) throw new RangeError('a ziplist cannot have more than 4 GiB')
      const larger = new Uint8Array(Math.min(2 * size, LARGEST_SIZE))
      larger.set(this.#buffer.subarray(0, this.#end))
      this.#buffer = larger
    }
    return this.#buffer
  }
}
