import { LONGEST_INTEGER, putDigits } from '../bytes/decimal.ts'
import { PASSED_OVER } from './elements.ts'
import type { Slice } from './slice.ts'

/** Arguments of the commands that are made most: 64 pairs, a name and a key. */
const USUAL_ARGUMENTS = 130
const USUAL_BYTES = 1 << 12
/** A buffer that was needed once for something large is not kept. */
const LARGEST_KEPT = 1 << 22
/** Shorter pieces are copied faster byte by byte. */
const SHORT_COPY = 48
const DIGITS = new Uint8Array(LONGEST_INTEGER)

/**
 * One command, put together argument by argument and read as positions: argument `a` has `size[a]` bytes, and those
 * that are kept of it stand at `bytes[start[a], end[a])`. One object makes many.
 */
export class Command {
  /** How many arguments, its name included. */
  count = 0
  bytes: Uint8Array = new Uint8Array(USUAL_BYTES)
  start = new Float64Array(USUAL_ARGUMENTS)
  end = new Float64Array(USUAL_ARGUMENTS)
  size = new Float64Array(USUAL_ARGUMENTS)
  #at = 0
  #length = 0
  readonly #keep: number

  /** @param keep bytes that are kept of an argument at most */
  constructor(keep: number = Number.POSITIVE_INFINITY) {
    this.#keep = keep
  }

  /** Bytes of all arguments together, kept or not. */
  get length(): number {
    return this.#length
  }

  clear(): void {
    if (this.bytes.length > LARGEST_KEPT) this.bytes = new Uint8Array(USUAL_BYTES)
    this.count = 0
    this.#at = 0
    this.#length = 0
  }

  /** Adds `bytes[at, end)`. */
  add(bytes: Uint8Array, at: number, end: number): void {
    const size = end - at
    const kept = bytes === PASSED_OVER ? 0 : Math.min(size, this.#keep)
    this.#room(kept)
    const to = this.#at
    if (kept > SHORT_COPY) this.bytes.set(bytes.subarray(at, at + kept), to)
    else for (let i = 0; i < kept; i++) this.bytes[to + i] = bytes[at + i]
    this.#added(kept, size)
  }

  slice(slice: Slice): void {
    this.add(slice.bytes, slice.at, slice.end)
  }

  /** Adds to the last argument. */
  append({ bytes, at, end }: Slice): void {
    this.#room(end - at)
    this.bytes.set(bytes.subarray(at, end), this.#at)
    this.#at += end - at
    this.end[this.count - 1] = this.#at
    this.size[this.count - 1] += end - at
    this.#length += end - at
  }

  /** Adds what another command has as its argument `a`. */
  copy(other: Command, a: number): void {
    this.add(other.bytes, other.start[a], other.end[a])
    this.size[this.count - 1] = other.size[a]
    this.#length += other.size[a] - (other.end[a] - other.start[a])
  }

  /** Adds text of ASCII. */
  text(text: string): void {
    const { length } = text
    this.#room(length)
    this.#write(text)
    this.#added(length, length)
  }

  /** Adds the digits of a whole number. */
  number(value: number): void {
    if (!Number.isSafeInteger(value) || Object.is(value, -0)) {
      this.text(String(value))
      return
    }
    this.#room(LONGEST_INTEGER)
    const size = this.#digits(value, this.#at)
    this.#added(size, size)
  }

  integer(value: bigint): void {
    this.text(String(value))
  }

  /** Adds the id of a stream's entry. */
  id(ms: bigint, seq: bigint): void {
    this.text(`${ms}-${seq}`)
  }

  /** Adds a score, as exact as it is, in digits that every server reads. */
  score(score: number): void {
    if (Number.isSafeInteger(score) && !Object.is(score, -0)) this.number(score)
    else this.text(scoreText(score))
  }

  #added(kept: number, size: number): void {
    if (this.count === this.start.length) this.#moreArguments()
    const a = this.count++
    this.start[a] = this.#at
    this.#at += kept
    this.end[a] = this.#at
    this.size[a] = size
    this.#length += size
  }

  #write(text: string): void {
    for (let i = 0; i < text.length; i++) this.bytes[this.#at + i] = text.charCodeAt(i)
  }

  /** Writes a number from index `at` on; how many bytes. */
  #digits(value: number, at: number): number {
    const from = putDigits(DIGITS, LONGEST_INTEGER, value)
    for (let i = from; i < LONGEST_INTEGER; i++) this.bytes[at + i - from] = DIGITS[i]
    return LONGEST_INTEGER - from
  }

  #room(size: number): void {
    const needed = this.#at + size
    if (needed <= this.bytes.length) return
    const larger = new Uint8Array(Math.max(2 * this.bytes.length, needed))
    larger.set(this.bytes.subarray(0, this.#at))
    this.bytes = larger
  }

  #moreArguments(): void {
    this.start = twice(this.start)
    this.end = twice(this.end)
    this.size = twice(this.size)
  }
}

/** A score in the fewest digits that read back as the same number. */
export function scoreText(score: number): string {
  if (score === Number.POSITIVE_INFINITY) return 'inf'
  if (score === Number.NEGATIVE_INFINITY) return '-inf'
  if (Number.isNaN(score)) return 'nan'
  return Object.is(score, -0) ? '-0' : String(score)
}

function twice(numbers: Float64Array): Float64Array<ArrayBuffer> {
  const larger = new Float64Array(2 * numbers.length)
  larger.set(numbers)
  return larger
}
