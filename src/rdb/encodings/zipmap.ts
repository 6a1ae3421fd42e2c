import { corrupt } from '../../bytes/errors.ts'
import { uint32At } from '../../bytes/little-endian.ts'
import type { Slice } from '../../values/slice.ts'
import { type Odd, PackedReader } from './packed.ts'

/**
 * A small hash, until Redis 2.4. Numbers low byte first:
 *
 *     count of pairs (1 byte, 254: not said)  pair …  0xff
 *
 *     pair:    length name  length free value  free bytes that nobody wants
 *     length:  a byte, or from 254 on 0xfe and 4 bytes (of a value also 0xff and 4 bytes)
 *     free:    1 byte
 *
 * Servers turn it into a listpack when they load one, and look at all of it then: they refuse what is only odd here.
 */

const HEADER_SIZE = 1
const COUNT_UNKNOWN = 254
const LONG = 0xfe
const END = 0xff

/** Gives names and values in turn. */
export class ZipmapReader extends PackedReader {
  protected readonly format = 'zipmap'

  /** @throws FormatError `rdb.zipmap.size`, `rdb.zipmap.end`, `rdb.zipmap.empty`: servers refuse them */
  open(text: Slice, offset: number, plain: boolean, odd: Odd | undefined): void {
    const { bytes, at, end, length } = text
    if (length <= HEADER_SIZE) throw corrupt('rdb.zipmap.size', offset, `a zipmap of only ${length} bytes`)
    if (bytes[end - 1] !== END) throw corrupt('rdb.zipmap.end', offset, 'a zipmap without its end byte')
    if (bytes[at + HEADER_SIZE] === END) throw corrupt('rdb.zipmap.empty', offset, 'a zipmap without fields')
    this.count = bytes[at] === COUNT_UNKNOWN ? -1 : 2 * bytes[at]
    this.begin(text, HEADER_SIZE, end - 1, offset, plain, odd)
  }

  /**
   * Tells at the end `rdb.zipmap.count`, and `rdb.zipmap.behind` of bytes behind an end byte: nobody reads those.
   *
   * @throws FormatError `rdb.zipmap.element`
   */
  next(slice: Slice): boolean {
    const bytes = this.bytes
    const start = this.at
    const isName = (this.given & 1) === 0
    if (isName && bytes[start] === END) return this.end('fields', 2)
    const long = bytes[start] >= LONG
    // A value's length is followed by how many bytes are free behind it.
    const from = start + (long ? 5 : 1) + (isName ? 0 : 1)
    if (from > this.last) throw this.leaves(start)
    const length = long ? uint32At(bytes, start + 1) : bytes[start]
    // Servers look for the text behind the shortest form that a length could have, and refuse what they find there.
    if (long && length < LONG)
      throw corrupt(
        'rdb.zipmap.element',
        this.offsetOf(start),
        `a length of ${length} in a zipmap takes five bytes`,
      )
    const end = from + length
    const next = isName ? end : end + bytes[from - 1]
    // The end byte, which is behind every pair, cannot be where a value begins.
    if (next > this.last || (isName && next === this.last)) throw this.leaves(start)
    slice.set(bytes, from, end)
    this.start = start
    this.at = next
    this.given++
    return true
  }
}
