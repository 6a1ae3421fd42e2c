import type { Slice } from '../../values/slice.ts'

const TWO_32 = 2 ** 32
const TWO_64 = 1n << 64n

/** The id of an entry: milliseconds and a sequence number of 64 bits each, as four words of 32 bits. */
export class Id {
  msHigh = 0
  msLow = 0
  seqHigh = 0
  seqLow = 0

  get ms(): bigint {
    return (BigInt(this.msHigh >>> 0) << 32n) | BigInt(this.msLow >>> 0)
  }

  get seq(): bigint {
    return (BigInt(this.seqHigh >>> 0) << 32n) | BigInt(this.seqLow >>> 0)
  }

  get isZero(): boolean {
    return (this.msHigh | this.msLow | this.seqHigh | this.seqLow) === 0
  }

  get isLargest(): boolean {
    return (this.msHigh & this.msLow & this.seqHigh & this.seqLow) === -1
  }

  set(msHigh: number, msLow: number, seqHigh: number, seqLow: number): this {
    this.msHigh = msHigh | 0
    this.msLow = msLow | 0
    this.seqHigh = seqHigh | 0
    this.seqLow = seqLow | 0
    return this
  }

  copy(id: Id): this {
    return this.set(id.msHigh, id.msLow, id.seqHigh, id.seqLow)
  }

  of(ms: bigint, seq: bigint): this {
    return this.set(high(ms), low(ms), high(seq), low(seq))
  }

  /** The first one of a millisecond. @param ms an integer from 0 to 2^53 */
  ofTime(ms: number): this {
    return this.set(Math.floor(ms / TWO_32), ms, 0, 0)
  }

  /** Takes four words from `words[at]` on. */
  read(words: Int32Array, at: number): this {
    return this.set(words[at], words[at + 1], words[at + 2], words[at + 3])
  }

  write(words: Int32Array, at: number): void {
    words[at] = this.msHigh
    words[at + 1] = this.msLow
    words[at + 2] = this.seqHigh
    words[at + 3] = this.seqLow
  }

  /** Negative when it comes before the other one, 0 when they are the same. */
  compare(other: Id): number {
    if (this.msHigh !== other.msHigh) return (this.msHigh >>> 0) - (other.msHigh >>> 0)
    if (this.msLow !== other.msLow) return (this.msLow >>> 0) - (other.msLow >>> 0)
    if (this.seqHigh !== other.seqHigh) return (this.seqHigh >>> 0) - (other.seqHigh >>> 0)
    return (this.seqLow >>> 0) - (other.seqLow >>> 0)
  }

  /** The same with four words. */
  compareTo(words: Int32Array, at: number): number {
    if (this.msHigh !== words[at]) return (this.msHigh >>> 0) - (words[at] >>> 0)
    if (this.msLow !== words[at + 1]) return (this.msLow >>> 0) - (words[at + 1] >>> 0)
    if (this.seqHigh !== words[at + 2]) return (this.seqHigh >>> 0) - (words[at + 2] >>> 0)
    return (this.seqLow >>> 0) - (words[at + 3] >>> 0)
  }

  /** Makes it the next one: the first of all behind the last of all, and then false. */
  increment(): boolean {
    this.seqLow = (this.seqLow + 1) | 0
    if (this.seqLow !== 0) return true
    this.seqHigh = (this.seqHigh + 1) | 0
    if (this.seqHigh !== 0) return true
    this.msLow = (this.msLow + 1) | 0
    if (this.msLow !== 0) return true
    this.msHigh = (this.msHigh + 1) | 0
    return this.msHigh !== 0
  }
}

/** How an argument is one. */
export const Parsed = { Invalid: 0, Whole: 1, WithoutSequence: 2 } as const
export type Parsed = (typeof Parsed)[keyof typeof Parsed]

/** Servers take no longer ones. */
const LONGEST = 127
const ZERO = 0x30
const MINUS = 0x2d
const PLUS = 0x2b
const STAR = 0x2a
/** Digits that are exact in a number. */
const MOST_DIGITS = 15

export interface IdOptions {
  /** `-` and `+` are the first and the last of all; otherwise they are none. */
  readonly ends?: boolean
  /** `ms-*` is one without a sequence number. */
  readonly star?: boolean
}

/** Reads an id as servers do: `ms` alone is `ms-0`. */
export function parseId(text: Slice, id: Id, { ends = false, star = false }: IdOptions = {}): Parsed {
  const { bytes, at } = text
  if (text.length > LONGEST) return Parsed.Invalid
  // To servers it is a text of C.
  let end = at
  let dash = -1
  for (; end < text.end && bytes[end] !== 0; end++) if (dash < 0 && bytes[end] === MINUS) dash = end
  if (end - at === 1 && (bytes[at] === MINUS || bytes[at] === PLUS)) {
    if (!ends) return Parsed.Invalid
    const word = bytes[at] === MINUS ? 0 : -1
    id.set(word, word, word, word)
    return Parsed.Whole
  }
  if (!parseHalf(bytes, at, dash < 0 ? end : dash)) return Parsed.Invalid
  id.set(halfHigh, halfLow, 0, 0)
  if (dash < 0) return Parsed.Whole
  if (star && end - dash === 2 && bytes[dash + 1] === STAR) return Parsed.WithoutSequence
  if (!parseHalf(bytes, dash + 1, end)) return Parsed.Invalid
  id.seqHigh = halfHigh
  id.seqLow = halfLow
  return Parsed.Whole
}

/** What {@link parseHalf} found. */
let halfHigh = 0
let halfLow = 0

function parseHalf(bytes: Uint8Array, at: number, end: number): boolean {
  if (end - at > MOST_DIGITS) return parseOddHalf(bytes, at, end)
  if (at === end) return false
  let value = 0
  for (let i = at; i < end; i++) {
    const digit = bytes[i] - ZERO
    if (digit < 0 || digit > 9) return parseOddHalf(bytes, at, end)
    value = value * 10 + digit
  }
  halfHigh = Math.floor(value / TWO_32) | 0
  halfLow = value | 0
  return true
}

/** What `strtoull` takes, too: spaces, signs, and less than nothing as what is missing to 2^64. */
function parseOddHalf(bytes: Uint8Array, at: number, end: number): boolean {
  const text = String.fromCharCode(...bytes.subarray(at, end))
  const match = /^[ \t-\r]*([+-]?)(\d+)$/.exec(text)
  if (match === null) return false
  const digits = BigInt(match[2])
  if (digits >= TWO_64) return false
  const negative = match[1] === '-'
  // What is a negative number to everybody is refused.
  if (negative && /^-[1-9]/.test(text) && digits <= 1n << 63n) return false
  const value = BigInt.asUintN(64, negative ? -digits : digits)
  halfHigh = high(value)
  halfLow = low(value)
  return true
}

/** The upper word of 64 bits. */
export function high(value: bigint): number {
  return Number(BigInt.asIntN(32, value >> 32n))
}

/** The lower word of 64 bits. */
export function low(value: bigint): number {
  return Number(BigInt.asIntN(32, value))
}
