import { LONGEST_INTEGER, putDigits } from '../bytes/decimal.ts'
import type { Command } from '../values/command.ts'
import { CR, DOLLAR, LF, STAR } from './format.ts'

const SMALLEST = 1 << 16
/** A buffer that had to grow further, for one large record, is not kept. */
const LARGEST_KEPT = 8 << 20
/** Shorter pieces are copied faster byte by byte. */
const SHORT_COPY = 48
const NOTHING = new Uint8Array(0)
const DIGITS = new Uint8Array(LONGEST_INTEGER)

/** Records on their way out, in the form that servers write: they gather in a buffer that the owner drains. */
export class RecordOutput {
  /** Records so far. */
  records = 0
  #bytes = new Uint8Array(SMALLEST)
  /** What `take` gave last, to be written next. */
  #spare = new Uint8Array(SMALLEST)
  #at = 0
  #before = 0

  /** Bytes written so far, taken or not. */
  get size(): number {
    return this.#before + this.#at
  }

  /** Bytes that `take` would give. */
  get pending(): number {
    return this.#at
  }

  /** What is ready: a view, valid until the next call of `take`. What is written meanwhile stands elsewhere. */
  take(): Uint8Array {
    const to = this.#at
    if (to === 0) return NOTHING
    const full = this.#bytes
    this.#bytes = this.#spare
    this.#spare = full.length <= LARGEST_KEPT ? full : new Uint8Array(SMALLEST)
    this.#before += to
    this.#at = 0
    return full.subarray(0, to)
  }

  command({ count, bytes, start, end }: Command): void {
    this.begin(count)
    for (let a = 0; a < count; a++) this.argument(bytes, start[a], end[a])
  }

  /** Begins a record of so many arguments. */
  begin(argc: number): void {
    this.records++
    this.#header(STAR, argc)
  }

  /** The next argument of the record: `bytes[at, end)`. */
  argument(bytes: Uint8Array, at: number, end: number): void {
    this.#header(DOLLAR, end - at)
    this.#copy(bytes, at, end)
    this.#room(2)
    this.#bytes[this.#at++] = CR
    this.#bytes[this.#at++] = LF
  }

  #copy(bytes: Uint8Array, from: number, to: number): void {
    this.#room(to - from)
    const at = this.#at
    const target = this.#bytes
    if (to - from <= SHORT_COPY) for (let i = from; i < to; i++) target[at + i - from] = bytes[i]
    else target.set(bytes.subarray(from, to), at)
    this.#at = at + to - from
  }

  #header(prefix: number, value: number): void {
    this.#room(1 + LONGEST_INTEGER + 2)
    const target = this.#bytes
    target[this.#at++] = prefix
    if (value < 10) target[this.#at++] = 0x30 + value
    else {
      let p = putDigits(DIGITS, LONGEST_INTEGER, value)
      while (p < LONGEST_INTEGER) target[this.#at++] = DIGITS[p++]
    }
    target[this.#at++] = CR
    target[this.#at++] = LF
  }

  #room(size: number): void {
    const needed = this.#at + size
    if (needed <= this.#bytes.length) return
    const larger = new Uint8Array(Math.max(2 * this.#bytes.length, needed))
    larger.set(this.#bytes.subarray(0, this.#at))
    this.#bytes = larger
  }
}
