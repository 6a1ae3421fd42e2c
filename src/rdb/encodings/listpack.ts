import { integerIn } from '../../bytes/decimal.ts'
import { corrupt } from '../../bytes/errors.ts'
import { int16At, int24At, int32At, int64At, putInteger, uint32At } from '../../bytes/little-endian.ts'
import type { Slice } from '../../values/slice.ts'
import { type Odd, PackedReader, PackedWriter } from './packed.ts'

/**
 * Elements packed, since Redis 5.0. Numbers low byte first, unless drawn:
 *
 *     size of all (4 bytes)  count (2 bytes, 65535: not said)  element …  0xff
 *
 *     element:  0nnnnnnn                     0 to 127
 *               10llllll text                text of up to 63 bytes
 *               110nnnnn nnnnnnnn            signed, 13 bits
 *               1110llll llllllll text       text of up to 4095 bytes
 *               0xf0 length (4 bytes) text
 *               0xf1 2 bytes, 0xf2 3 bytes, 0xf3 4 bytes, 0xf4 8 bytes      signed
 *               and its size so far, to be read from behind: 7 bits a byte, high ones first, 0x80 in all but the first
 *
 * Sizes of 2^14 - 1, 2^21 - 1 and 2^28 - 1 come in two forms. Servers used to write them with a byte more than needed,
 * a leading zero; valkey 9.1.2 (valkey-io/valkey#3601), and Redis since redis/redis#15151, write the shorter form. Each
 * refuses what the other wrote, or loads it and crashes when it is read: a listpack with such an element loads on one
 * side only.
 *
 * Servers but valkey 9.1 look at no more than size and end byte when they load one (`sanitize-dump-payload no`), and
 * pass over a key whose count is 0. What is wrong with elements ends them later, when somebody reads the key.
 */

const HEADER_SIZE = 6
const END = 0xff

const TEXT_6 = 0x80
const INT_13 = 0xc0
const TEXT_12 = 0xe0
const TEXT_32 = 0xf0
const INT_16 = 0xf1
const INT_24 = 0xf2
const INT_32 = 0xf3
const INT_64 = 0xf4

export class ListpackReader extends PackedReader {
  protected readonly format = 'listpack'
  #backTold = false

  /** @throws FormatError `rdb.listpack.size`, `rdb.listpack.end`: servers refuse both */
  open(text: Slice, offset: number, plain: boolean, odd: Odd | undefined): void {
    this.beginSized(text, HEADER_SIZE, offset, plain, odd)
    this.#backTold = false
  }

  /**
   * Tells, each once, `rdb.listpack.backlen`; at the end `rdb.listpack.count`, and `rdb.listpack.behind` of bytes
   * behind an end byte: nobody reads those.
   *
   * @throws FormatError `rdb.listpack.element`
   */
  next(slice: Slice): boolean {
    const bytes = this.bytes
    const at = this.at
    const first = bytes[at]
    if (first >= INT_13) return first === END ? this.end() : this.#nextLarger(bytes, at, first, slice)
    const size = first < TEXT_6 ? 1 : 1 + (first & 0x3f)
    const next = at + size + 1
    if (next > this.last) throw this.leaves(at)
    if (bytes[next - 1] !== size) this.#checkBack(at, size, next)
    this.start = at
    this.at = next
    this.given++
    if (first < TEXT_6) slice.integer(first)
    else slice.set(bytes, at + 1, next - 1)
    return true
  }

  #nextLarger(bytes: Uint8Array, at: number, first: number, slice: Slice): boolean {
    const head = headSize(first)
    if (head === 0)
      throw corrupt(
        'rdb.listpack.element',
        this.offsetOf(at),
        `0x${first.toString(16)} starts no element of a listpack`,
      )
    // Of an element that is cut here, what is read behind the end makes no difference: it leaves the listpack anyway.
    let size = head
    if (first === TEXT_32) size += uint32At(bytes, at + 1)
    else if ((first & 0xf0) === TEXT_12) size += ((first & 0x0f) << 8) | bytes[at + 1]
    let next = at + size + backSize(size, false)
    // All ones in the narrow form, a zero first in the other.
    if (isBorder(size) && bytes[at + size] === 0x7f) next--
    if (next > this.last) throw this.leaves(at)
    if (size > 127 || bytes[next - 1] !== size) this.#checkBack(at, size, next)
    this.start = at
    this.at = next
    this.given++
    if (first < TEXT_12) slice.integer((((first << 8) | bytes[at + 1]) << 19) >> 19)
    else if (first <= TEXT_32) slice.set(bytes, at + head, at + size)
    else if (first === INT_16) slice.integer(int16At(bytes, at + 1))
    else if (first === INT_24) slice.integer(int24At(bytes, at + 1))
    else if (first === INT_32) slice.integer(int32At(bytes, at + 1))
    else slice.integer(int64At(bytes, at + 1))
    return true
  }

  #checkBack(at: number, size: number, next: number): void {
    if (this.odd === undefined || this.#backTold || backLength(this.bytes, next) === size) return
    this.#backTold = true
    this.odd(
      'rdb.listpack.backlen',
      this.offsetOf(at),
      `an element of ${size} bytes in a listpack is followed by another size`,
    )
  }
}

/** Bytes before the text or the integer is complete: all but text itself; 0 where `first` starts no element. */
function headSize(first: number): number {
  if (first < TEXT_12 || (first & 0xf0) === TEXT_12) return 2
  switch (first) {
    case INT_16:
      return 3
    case INT_24:
      return 4
    case TEXT_32:
    case INT_32:
      return 5
    case INT_64:
      return 9
    default:
      return 0
  }
}

/** Bytes that say, behind an element of `size`, how large it is. */
function backSize(size: number, narrow: boolean): number {
  const first = narrow ? 1 : 0
  if (size <= 0x7f) return 1
  if (size < 0x3fff + first) return 2
  if (size < 0x1f_ffff + first) return 3
  return size < 0xfff_ffff + first ? 4 : 5
}

/** Whether there are two forms of it. */
function isBorder(size: number): boolean {
  return size === 0x3fff || size === 0x1f_ffff || size === 0xfff_ffff
}

/** The size that stands before `end`, read as servers do: in as many bytes as it says itself; -1 beyond five. */
function backLength(bytes: Uint8Array, end: number): number {
  let size = 0
  let scale = 1
  for (let i = 1; i <= 5; i++) {
    const byte = bytes[end - i]
    size += (byte & 0x7f) * scale
    if (byte < 0x80) return size
    scale *= 0x80
  }
  return -1
}

export interface ListpackOptions {
  /** Back-lengths of 2^14 - 1 and the like in their shortest form, as valkey 9.1.2 wants them. Default: no. */
  readonly narrow?: boolean
}

/** Bytes that {@link ListpackWriter.append} would add. */
export function listpackElementSize(element: Slice, { narrow = false }: ListpackOptions = {}): number {
  const size = sizeOf(element)
  return size + backSize(size, narrow)
}

/** Whether a listpack with the element loads on some servers only: on those for which it was written. */
export function dividesServers(element: Slice): boolean {
  return isBorder(sizeOf(element))
}

function sizeOf({ bytes, at, end }: Slice): number {
  const value = integerIn(bytes, at, end)
  return value === undefined ? textSize(end - at) : integerSize(value)
}

function textSize(length: number): number {
  return length + (length < 64 ? 1 : length < 4096 ? 2 : 5)
}

function integerSize(value: number | bigint): number {
  if (typeof value === 'bigint') return 9
  if (value >= 0 && value <= 127) return 1
  if (value >= -0x1000 && value <= 0xfff) return 2
  if (value >= -0x8000 && value <= 0x7fff) return 3
  if (value >= -0x80_0000 && value <= 0x7f_ffff) return 4
  return value >= -0x8000_0000 && value <= 0x7fff_ffff ? 5 : 9
}

export class ListpackWriter extends PackedWriter {
  readonly #narrow: boolean

  constructor({ narrow = false }: ListpackOptions = {}) {
    super(HEADER_SIZE)
    this.#narrow = narrow
  }

  appendInteger(value: number | bigint): void {
    const at = this.end
    const size = integerSize(value)
    const buffer = this.room(size + 1)
    if (size === 1) {
      buffer[at] = Number(value)
    } else if (size === 2) {
      buffer[at] = INT_13 | ((Number(value) >> 8) & 0x1f)
      buffer[at + 1] = Number(value)
    } else {
      buffer[at] = size === 9 ? INT_64 : INT_16 + size - 3
      putInteger(buffer, at + 1, value, size - 1)
    }
    buffer[at + size] = size
    this.end = at + size + 1
    this.count++
  }

  protected appendText(bytes: Uint8Array, from: number, length: number): void {
    let at = this.end
    const size = textSize(length)
    const back = backSize(size, this.#narrow)
    const buffer = this.room(size + back)
    if (length < 64) {
      buffer[at++] = TEXT_6 | length
      for (let i = 0; i < length; i++) buffer[at + i] = bytes[from + i]
    } else {
      if (length < 4096) {
        buffer[at++] = TEXT_12 | (length >> 8)
        buffer[at++] = length
      } else {
        buffer[at++] = TEXT_32
        putInteger(buffer, at, length, 4)
        at += 4
      }
      buffer.set(bytes.subarray(from, from + length), at)
    }
    at += length
    let rest = size
    for (let i = back - 1; i > 0; i--) {
      buffer[at + i] = 0x80 | (rest & 0x7f)
      rest >>>= 7
    }
    buffer[at] = rest
    this.end = at + back
    this.count++
  }
}
