import { JobError } from '../bytes/errors.ts'
import type { LongRecord } from '../resp/long-record.ts'
import type { Batch } from '../resp/scanner.ts'
import { PASSED_OVER } from '../values/elements.ts'
import { Argument } from './argument.ts'
import type { Extents } from './extents.ts'
import { parseInt64 } from './types/strings.ts'

/** Arguments that are handed out before the first of them is used again. */
const RING = 16
const NO_ARGUMENTS = new Int32Array(0)

/**
 * A command as its handler sees it: its arguments by number, 0 being its name. An {@link Argument} is void after
 * fifteen more were asked for, and when the handler returns: what is to be kept is given to the keyspace, which copies
 * it or remembers where it stands.
 */
export class Call {
  /** Arguments, the name counted. */
  argc = 0
  /** Offset in the part. */
  offset = 0
  readonly #extents: Extents
  #part = 0
  #bytes: Uint8Array = PASSED_OVER
  #base = 0
  #first = 0
  #start: Int32Array = NO_ARGUMENTS
  #length: Int32Array = NO_ARGUMENTS
  #long: LongRecord | undefined
  /** Place and hash of the first argument, which were looked at before; a place of -1: they were not. */
  #place = -1
  #hash = 0
  readonly #ring = Array.from({ length: RING }, () => new Argument())
  #turn = 0

  constructor(extents: Extents) {
    this.#extents = extents
  }

  /** Which part the records to come are from. */
  enter(part: number): void {
    this.#part = part
  }

  /** The batch whose records follow. */
  batch(batch: Batch): void {
    this.#bytes = batch.bytes
    this.#base = batch.base
    this.#start = batch.start
    this.#length = batch.length
    this.#long = undefined
  }

  /** Record `i` of the batch. @param place of its first argument in {@link Keyspace.prefetch}; -1: none */
  record(batch: Batch, i: number, place: number, hash: number): void {
    this.#first = batch.first[i]
    this.argc = batch.first[i + 1] - this.#first
    this.offset = batch.base + batch.record[i]
    this.#place = place
    this.#hash = hash
  }

  /** A record whose arguments are read from their source when they are asked for. */
  long(record: LongRecord): void {
    this.#long = record
    this.#bytes = record.head
    this.#base = record.offset
    this.argc = record.argc
    this.offset = record.offset
    this.#place = -1
    if (record.kept < record.argc) {
      throw new JobError('replay.arguments', `a command of ${record.argc} arguments at ${record.offset}`)
    }
  }

  /** Argument `i`. */
  at(i: number): Argument {
    const argument = this.value(i)
    if (this.#long !== undefined && argument.bytes === PASSED_OVER) {
      const { length } = argument
      const { offset, part } = argument
      this.#extents.fill(part, offset, argument.room(length).subarray(0, length))
      argument.offset = offset
    }
    return argument
  }

  /**
   * Argument `i` as something that is only to be kept, not looked at: of one that is larger than memory its bytes may
   * not be there (`PASSED_OVER`), but its length and where it stands are.
   */
  value(i: number): Argument {
    const argument = this.#ring[this.#turn++ & (RING - 1)]
    const long = this.#long
    if (long !== undefined) {
      const start = long.start[i] - this.#base
      const length = long.length[i]
      const here = start + length <= this.#bytes.length
      argument.set(here ? this.#bytes : PASSED_OVER, here ? start : 0, here ? start + length : length)
      argument.part = this.#part
      argument.offset = long.start[i]
      argument.hashed = false
      argument.place = -1
      return argument
    }
    const a = this.#first + i
    const start = this.#start[a]
    argument.bytes = this.#bytes
    argument.at = start
    argument.end = start + this.#length[a]
    argument.part = this.#part
    argument.offset = this.#base + start
    if (i === 1) {
      argument.place = this.#place
      argument.hashed = this.#place >= 0
      argument.hash = this.#hash
    } else {
      argument.place = -1
      argument.hashed = false
    }
    return argument
  }

  /** Argument `i` as an integer of at most fifteen digits; NaN when it has more or is none. */
  number(i: number): number {
    const { bytes, view, at, end } = this.at(i)
    const negative = bytes[at] === MINUS
    let p = negative ? at + 1 : at
    if (end - p < 1 || end - p > MOST_DIGITS) return Number.NaN
    if (bytes[p] === ZERO && end - at > 1) return Number.NaN
    let value = 0
    // Four digits at a time: what is left of each byte without the zero must be at most nine.
    for (; p + 4 <= end; p += 4) {
      const digits = view.getInt32(p, true) ^ FOUR_ZEROS
      if (((digits | (digits + 0x06060606)) & 0xf0f0f0f0) !== 0) return Number.NaN
      const pairs = (digits * 10 + (digits >>> 8)) & 0x00ff00ff
      value = value * 10_000 + (pairs & 0xff) * 100 + (pairs >>> 16)
    }
    for (; p < end; p++) {
      const digit = bytes[p] - ZERO
      if (digit < 0 || digit > 9) return Number.NaN
      value = value * 10 + digit
    }
    return negative ? -value : value
  }

  /** Argument `i` as an integer of 64 bits; undefined when it is none. */
  int64(i: number): bigint | undefined {
    return parseInt64(this.at(i))
  }

  /** Whether argument `i` begins with a letter. */
  isWord(i: number): boolean {
    const { bytes, at, end } = this.at(i)
    return at < end && bytes[at] >= 0x41
  }

  /** Whether argument `i` is this word, given in capitals, in any case. */
  is(i: number, word: string): boolean {
    const { bytes, at, end } = this.at(i)
    if (end - at !== word.length) return false
    for (let k = 0; k < word.length; k++) {
      const byte = bytes[at + k]
      if ((byte >= 0x61 && byte <= 0x7a ? byte - 0x20 : byte) !== word.charCodeAt(k)) return false
    }
    return true
  }

  /** Argument `i` in capitals, when it may be a word of a command: up to 32 bytes; else empty. */
  word(i: number): string {
    const { bytes, at, end } = this.at(i)
    if (end - at > LONGEST_WORD) return ''
    let word = ''
    for (let p = at; p < end; p++) {
      const byte = bytes[p]
      word += String.fromCharCode(byte >= 0x61 && byte <= 0x7a ? byte - 0x20 : byte)
    }
    return word
  }
}

const ZERO = 0x30
const MINUS = 0x2d
const FOUR_ZEROS = 0x30303030
/** Fifteen digits are always exact. */
const MOST_DIGITS = 15
const LONGEST_WORD = 32
