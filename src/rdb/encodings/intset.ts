import { integerIn } from '../../bytes/decimal.ts'
import { corrupt } from '../../bytes/errors.ts'
import { int16At, int32At, int64At, putInteger, uint32At } from '../../bytes/little-endian.ts'
import { Slice } from '../../values/slice.ts'
import { type Odd, PackedReader } from './packed.ts'

/**
 * A set of integers, rising, none twice. All numbers low byte first:
 *
 *     width (4 bytes: 2, 4 or 8)  count (4 bytes)  count × signed integer of that width
 *
 * Also here: integers as text and as bytes, for all packed formats.
 */

const HEADER_SIZE = 8
const WIDEST = 8
const NO_BYTES = new Uint8Array(0)

export class IntsetReader extends PackedReader {
  protected readonly format = 'intset'
  #width = 2
  /** The member before in two halves, which compare exactly. */
  #high = 0
  #low = 0

  /** @throws FormatError `rdb.intset.size`, `rdb.intset.encoding`, `rdb.intset.empty`: servers refuse all three */
  open(text: Slice, offset: number, plain: boolean, odd: Odd | undefined): void {
    const { bytes, at, length } = text
    if (length < HEADER_SIZE) throw corrupt('rdb.intset.size', offset, `an intset of only ${length} bytes`)
    const width = uint32At(bytes, at)
    if (width !== 2 && width !== 4 && width !== WIDEST)
      throw corrupt('rdb.intset.encoding', offset, `an intset of integers of ${width} bytes, not 2, 4 or 8`)
    const count = uint32At(bytes, at + 4)
    if (HEADER_SIZE + count * width !== length)
      throw corrupt(
        'rdb.intset.size',
        offset,
        `an intset of ${count} integers of ${width} bytes cannot have ${length} bytes`,
      )
    if (count === 0) throw corrupt('rdb.intset.empty', offset, 'an intset without members')
    this.count = count
    this.begin(text, HEADER_SIZE, text.end, offset, plain, odd)
    this.#width = width
    this.#high = -0x8000_0000
    this.#low = -1
  }

  /** Tells `rdb.intset.order`, once, of members that do not rise. */
  next(slice: Slice): boolean {
    const { at, bytes } = this
    if (at === this.last) return false
    const width = this.#width
    this.start = at
    this.at = at + width
    if (width === 2) slice.integer(int16At(bytes, at))
    else if (width === 4) slice.integer(int32At(bytes, at))
    else slice.integer(int64At(bytes, at))
    if (this.odd !== undefined) this.#compare(at, slice)
    return true
  }

  #compare(at: number, slice: Slice): void {
    const { bytes } = this
    const width = this.#width
    const low = width === 2 ? int16At(bytes, at) : int32At(bytes, at)
    const high = width === WIDEST ? int32At(bytes, at + 4) : low >> 31
    const rises = high > this.#high || (high === this.#high && low >>> 0 > this.#low)
    this.#high = high
    this.#low = low >>> 0
    if (rises) return
    const member = Buffer.from(slice.copy()).toString('latin1')
    this.odd?.('rdb.intset.order', this.offset, `members of an intset must rise: ${member} does not`)
    this.odd = undefined
  }
}

/** Writes an intset: members in any order, each once. Unlike the other writers it takes numbers, not text. */
export class IntsetWriter {
  count = 0
  /** Members that a double holds, as long as there are no others. */
  #numbers = new Float64Array(SMALLEST)
  /** All of them, once there are others. */
  #large: BigInt64Array | undefined
  #lowest = 0
  #highest = 0
  /** Whether each was above the one before. */
  #rising = true
  #buffer: Uint8Array = NO_BYTES
  readonly #whole = new Slice()

  /** Bytes of an integer in it: 2, 4 or 8, as the largest needs. */
  get width(): number {
    if (this.#large !== undefined) return WIDEST
    if (this.#lowest >= -0x8000 && this.#highest <= 0x7fff) return 2
    return this.#lowest >= -0x8000_0000 && this.#highest <= 0x7fff_ffff ? 4 : WIDEST
  }

  /** Bytes that the intset would have now. */
  get size(): number {
    return HEADER_SIZE + this.count * this.width
  }

  reset(): void {
    this.count = 0
    this.#large = undefined
    this.#lowest = 0
    this.#highest = 0
    this.#rising = true
    if (this.#numbers.length > LARGEST_KEPT / 8) this.#numbers = new Float64Array(SMALLEST)
    if (this.#buffer.length > LARGEST_KEPT) this.#buffer = NO_BYTES
  }

  /** Adds a member, of 64 bits at most; a bigint beyond 2^53, as {@link integerIn} gives them. */
  append(value: number | bigint): void {
    if (typeof value === 'bigint' || this.#large !== undefined) this.#appendLarge(BigInt(value))
    else this.#appendNumber(value)
  }

  #appendNumber(value: number): void {
    const { count } = this
    if (count === this.#numbers.length) this.#numbers = grown(this.#numbers, new Float64Array(count * 2))
    if (count > 0 && value <= this.#numbers[count - 1]) this.#rising = false
    if (value < this.#lowest) this.#lowest = value
    if (value > this.#highest) this.#highest = value
    this.#numbers[count] = value
    this.count = count + 1
  }

  #appendLarge(value: bigint): void {
    const { count } = this
    if (this.#large === undefined) {
      this.#large = new BigInt64Array(Math.max(SMALLEST, count * 2))
      for (let i = 0; i < count; i++) this.#large[i] = BigInt(this.#numbers[i])
    } else if (count === this.#large.length) {
      this.#large = grown(this.#large, new BigInt64Array(count * 2))
    }
    if (count > 0 && value <= this.#large[count - 1]) this.#rising = false
    this.#large[count] = value
    this.count = count + 1
  }

  /** Completes the intset: a view, valid until the next reset. */
  finish(): Slice {
    const { count, width, size } = this
    const values = this.#large ?? this.#numbers
    // Typed arrays sort by value, and in place.
    if (!this.#rising) values.subarray(0, count).sort()
    this.#rising = true
    if (this.#buffer.length < size) this.#buffer = new Uint8Array(Math.max(size, 2 * this.#buffer.length))
    const buffer = this.#buffer
    putInteger(buffer, 0, width, 4)
    putInteger(buffer, 4, count, 4)
    for (let i = 0; i < count; i++) putInteger(buffer, HEADER_SIZE + i * width, values[i], width)
    return this.#whole.set(buffer, 0, size)
  }
}

const SMALLEST = 64
/** Bytes: a buffer that was needed once for something large is not kept. */
const LARGEST_KEPT = 1 << 20

function grown<Values extends Float64Array | BigInt64Array>(from: Values, to: Values): Values {
  ;(to as Float64Array).set(from as Float64Array)
  return to
}
