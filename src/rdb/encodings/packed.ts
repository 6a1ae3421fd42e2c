import { integerIn } from '../../bytes/decimal.ts'
import { corrupt, type FormatError } from '../../bytes/errors.ts'
import { putInteger, uint32At } from '../../bytes/little-endian.ts'
import { Slice } from '../../values/slice.ts'

/*
 * Small collections stand in one string: elements one after the other, packed. Whoever reads them need not know in
 * which of the formats (listpack.ts, ziplist.ts, zipmap.ts, intset.ts). What these have in common is here:
 *
 *     header  element …  0xff                (an intset has no end byte)
 */

/**
 * Told what is odd about an encoded value: it can be decoded all the same, and servers load it, or some do. The offset
 * is in the part; inside what is compressed, it is that of the compressed string.
 */
export type Odd = (code: string, offset: number, message: string) => void

const NO_BYTES = new Uint8Array(0)
const END = 0xff
/** What the count says when there are as many elements or more. */
const COUNT_UNKNOWN = 0xffff

/** Reads a packed string, element by element. One object reads many. */
export abstract class PackedReader {
  /** How many elements the header promises; -1 where it does not say (more than it has room for). */
  count = 0
  /** As it stands in codes and messages. */
  protected abstract readonly format: string
  protected bytes: Uint8Array = NO_BYTES
  /** Where the next element begins. */
  protected at = 0
  /** Where the element begins that was given last. */
  protected start = 0
  /** Where elements end: at the end byte of the whole. */
  protected last = 0
  /** Elements given. */
  protected given = 0
  /** Absent also once all was told. */
  protected odd: Odd | undefined
  /** Where the string begins, in the bytes and in the part. */
  protected from = 0
  #offset = 0
  #plain = true

  /**
   * Begins with the string at `text`.
   *
   * @param offset of the text in the part
   * @param plain whether it stands there as it is, so that offsets go on inside it (else it was compressed)
   * @param odd where to say what does not add up (counts, back-lengths, what stands behind the end); absent: not looked at
   * @throws FormatError when its header cannot be right
   */
  abstract open(text: Slice, offset: number, plain: boolean, odd: Odd | undefined): void

  /**
   * Makes `slice` the next element: a view, or the digits of an integer. False at the end.
   *
   * @throws FormatError when the element cannot be read
   */
  abstract next(slice: Slice): boolean

  /** Offset in the part of the element that `next` gave last; of the string where that was compressed. */
  get offset(): number {
    return this.offsetOf(this.start)
  }

  /** Begins with the elements, behind the header: they end at index `last`. */
  protected begin(
    text: Slice,
    headerSize: number,
    last: number,
    offset: number,
    plain: boolean,
    odd: Odd | undefined,
  ): void {
    const { bytes, at } = text
    this.bytes = bytes
    this.at = at + headerSize
    this.start = at + headerSize
    this.last = last
    this.given = 0
    this.odd = odd
    this.from = at
    this.#offset = offset
    this.#plain = plain
  }

  /**
   * The same of a string whose header has its size in the first four bytes, and in the last two the count.
   *
   * @throws FormatError `rdb.….size`, `rdb.….end`: servers refuse both
   */
  protected beginSized(
    text: Slice,
    headerSize: number,
    offset: number,
    plain: boolean,
    odd: Odd | undefined,
  ): void {
    const { format } = this
    const { bytes, at, end, length } = text
    if (length <= headerSize)
      throw corrupt(`rdb.${format}.size`, offset, `a ${format} of only ${length} bytes`)
    const size = uint32At(bytes, at)
    if (size !== length)
      throw corrupt(`rdb.${format}.size`, offset, `a ${format} of ${length} bytes says that it has ${size}`)
    if (bytes[end - 1] !== END) throw corrupt(`rdb.${format}.end`, offset, `a ${format} without its end byte`)
    const count = bytes[at + headerSize - 2] | (bytes[at + headerSize - 1] << 8)
    this.count = count === COUNT_UNKNOWN ? -1 : count
    this.begin(text, headerSize, end - 1, offset, plain, odd)
  }

  /** Offset in the part of what stands at index `at`. */
  protected offsetOf(at: number): number {
    return this.#plain ? this.#offset + at - this.from : this.#offset
  }

  /**
   * An end byte was met: tells, once, of bytes behind it (nobody reads those), and of a count that is wrong.
   *
   * @param unit what is counted, which consists of so many elements
   */
  protected end(unit = 'elements', elements = 1): false {
    const { odd, format } = this
    this.odd = undefined
    if (odd === undefined) return false
    const behind = this.last - this.at
    if (behind > 0)
      odd(
        `rdb.${format}.behind`,
        this.offsetOf(this.at),
        `${behind} bytes behind the end byte of a ${format}`,
      )
    if (this.count >= 0 && this.count !== this.given)
      odd(
        `rdb.${format}.count`,
        this.#offset,
        `a ${format} of ${this.given / elements} ${unit} says that it has ${this.count / elements}`,
      )
    return false
  }

  /** The element at index `at` does not end where it could. */
  protected leaves(at: number): FormatError {
    return corrupt(
      `rdb.${this.format}.element`,
      this.offsetOf(at),
      `an element reaches beyond its ${this.format}`,
    )
  }
}

const SMALLEST = 256
/** A buffer that was needed once for something large is not kept. */
const LARGEST_KEPT = 1 << 20
const LARGEST_SIZE = 0xffff_ffff

/** Writes a packed string, whose header has its size first, and the count last. One object writes many. */
export abstract class PackedWriter {
  /** Elements so far. */
  count = 0
  protected buffer: Uint8Array = new Uint8Array(SMALLEST)
  /** Index behind the last element. */
  protected end: number
  readonly #headerSize: number
  readonly #whole = new Slice()

  constructor(headerSize: number) {
    this.#headerSize = headerSize
    this.end = headerSize
  }

  /** Bytes that the string would have now. */
  get size(): number {
    return this.end + 1
  }

  /** Begins anew. */
  reset(): void {
    this.count = 0
    this.end = this.#headerSize
    if (this.buffer.length > LARGEST_KEPT) this.buffer = new Uint8Array(SMALLEST)
  }

  /**
   * Adds an element, as the servers would encode it: as an integer when its text is exactly that of one.
   *
   * @throws RangeError beyond 4 GiB, which no format can say
   */
  append({ bytes, at, end }: Slice): void {
    const value = integerIn(bytes, at, end)
    if (value === undefined) this.appendText(bytes, at, end - at)
    else this.appendInteger(value)
  }

  /** What `append` does with its digits. A bigint only beyond 2^53, and of 64 bits at most. */
  abstract appendInteger(value: number | bigint): void

  /** What `append` does with other texts: `bytes[from, from + length)`. */
  protected abstract appendText(bytes: Uint8Array, from: number, length: number): void

  /** Completes the string: a view, valid until the next reset. */
  finish(): Slice {
    const buffer = this.room(0)
    const { size } = this
    putInteger(buffer, 0, size, 4)
    putInteger(buffer, this.#headerSize - 2, Math.min(this.count, COUNT_UNKNOWN), 2)
    buffer[size - 1] = END
    return this.#whole.set(buffer, 0, size)
  }

  /** The buffer, with room for so many bytes and the end. */
  protected room(more: number): Uint8Array {
    const size = this.size + more
    if (size > this.buffer.length) {
      if (size > LARGEST_SIZE) throw new RangeError('a packed string cannot have more than 4 GiB')
      const larger = new Uint8Array(Math.min(2 * size, LARGEST_SIZE))
      larger.set(this.buffer.subarray(0, this.end))
      this.buffer = larger
    }
    return this.buffer
  }
}
