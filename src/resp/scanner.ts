import { INT64_MAX, INT64_MIN } from '../bytes/decimal.ts'
import { corrupt, type FormatError, torn } from '../bytes/errors.ts'
import { CR, DOLLAR, HASH, LF, MAX_LINE, STAR, ZERO } from './format.ts'

/*
 * The frame machine: bytes in, positions out; no I/O, no await, no object per record, nothing decoded.
 * It answers as servers read (format.ts), and has a fast path for the form in which they write.
 */

/**
 * What servers load although no server writes it: wrong bytes behind an argument, a header line that check-aof refuses
 * too, or a number in a form that both accept. `offset` is in the part.
 */
export interface Oddity {
  readonly code: 'resp.bulk.terminator' | 'resp.header.line' | 'resp.header.form'
  readonly offset: number
  /** Bytes from `offset` that are odd. */
  readonly length: number
}

/**
 * Whole records, as positions in a buffer. Valid until the next call of what filled it.
 *
 * Record `i` stands at `bytes[record[i], record[i + 1])`; its arguments are those from `first[i]` to `first[i + 1]`
 * (exclusive), argument `a` at `bytes[start[a], start[a] + length[a])`. An annotation is a record of no arguments.
 */
export class Batch {
  bytes: Uint8Array = EMPTY
  /** The same bytes, for several at once. */
  view: DataView = new DataView(EMPTY.buffer)
  /** Offset in the part of `bytes[0]`; may be negative. */
  base = 0
  count = 0
  readonly record: Int32Array
  readonly first: Int32Array
  readonly start: Int32Array
  readonly length: Int32Array
  oddities: Oddity[] = []

  /**
   * @param window the most bytes that a batch spans: no record in it can have more arguments than fit there
   * @param records the most records that it takes
   */
  constructor(window: number, records = MAX_RECORDS) {
    const args = Math.ceil(window / SHORTEST_ARGUMENT)
    this.record = new Int32Array(records + 1)
    this.first = new Int32Array(records + 1)
    this.start = new Int32Array(args)
    this.length = new Int32Array(args)
  }

  clear(bytes: Uint8Array, base: number): void {
    if (bytes !== this.bytes) {
      this.bytes = bytes
      this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    }
    this.base = base
    this.count = 0
    this.first[0] = 0
    if (this.oddities.length > 0) this.oddities = []
  }

  /** Offset in the part of record `i`. */
  offset(i: number): number {
    return this.base + this.record[i]
  }

  argc(i: number): number {
    return this.first[i + 1] - this.first[i]
  }
}

const EMPTY = new Uint8Array(0)
/** Servers read a missing number as 0, take LF alone, and do not look at the terminator. */
const SHORTEST_ARGUMENT = '$\n..'.length
/** Enough to make a call worth it, few enough that positions stay in a core's cache. */
const MAX_RECORDS = 4096

const CRLF = CR | (LF << 8)
/** Four bytes as one number, the digits left out. */
const STAR_DIGIT_CRLF = STAR | (CRLF << 16)
const DOLLAR_DIGIT_CRLF = DOLLAR | (CRLF << 16)
const DOLLAR_TWO_DIGITS_CR = DOLLAR | (CR << 24)

/** The number of one to nine digits before a CR LF, as servers write it; -1 for everything else. */
export function plainNumber(bytes: Uint8Array, from: number): number {
  let p = from
  let value = 0
  let digit = bytes[p] - ZERO
  while (digit >= 0 && digit <= 9 && p - from < 9) {
    value = value * 10 + digit
    digit = bytes[++p] - ZERO
  }
  if (p === from || bytes[p] !== CR || bytes[p + 1] !== LF) return -1
  return bytes[from] === ZERO && p - from > 1 ? -1 : value
}

/** How many digits a number of {@link plainNumber} has; of -1, it does not matter. */
export function digitsOf(value: number): number {
  let digits = 1
  for (let limit = 10; limit <= value; limit *= 10) digits++
  return digits
}

/** Why {@link scan} came back. */
export const Stop = {
  /** The batch is full: take it, call again. */
  Full: 0,
  /** The record at the returned position goes on behind the end of what is there. */
  More: 1,
  /** The record at the returned position is wrong: `scanner.error`. */
  Error: 2,
} as const
export type Stop = (typeof Stop)[keyof typeof Stop]

/** A header line as a server understands it. */
interface Header {
  value: number
  /** Index behind the line. */
  next: number
}

export class Scanner {
  stop: Stop = Stop.More
  /** Set when `stop` is Error. */
  error: FormatError | undefined
  /** Arguments of a record: more are an error. For those who look at the same bytes again and again. */
  most = Number.POSITIVE_INFINITY
  /** Whether a wrong terminator, and a header line that check-aof refuses, are errors too: nothing odd is read over. */
  strict = false
  /** Arguments that the last {@link scan} read, those of a record that it gave up included. */
  read = 0

  /**
   * Adds the whole records of `bytes[from, end)` to a cleared batch; the index behind the last of them.
   * @param final nothing follows `end`: what is left is judged as a server judges it at the end of a file.
   * Bytes up to `end + 32` must be readable.
   */
  scan(batch: Batch, from: number, end: number, final: boolean): number {
    const { bytes, view, record, first, start, length } = batch
    const full = record.length - 1
    let p = from
    let n = batch.count
    let a = first[n]
    record[n] = from
    this.stop = Stop.More
    scanning: while (p < end) {
      if (n === full) {
        this.stop = Stop.Full
        break
      }
      const at = p
      // `*N\r\n`: of one digit mostly, and then one load and one comparison.
      let argc = -1
      let word = view.getInt32(p, true)
      if ((word & 0xffff00ff) === STAR_DIGIT_CRLF) {
        argc = ((word >> 8) & 0xff) - ZERO
        p += 4
        if (argc < 1 || argc > 9 || p > end) argc = -1
      } else if ((word & 0xff) === STAR) {
        argc = plainNumber(bytes, p + 1)
        p += digitsOf(argc) + 3
        if (argc < 1 || p > end) argc = -1
      }
      if (argc < 0) {
        p = at
        if (bytes[at] === HASH) {
          const next = this.#annotation(batch, at, end, final)
          if (next < 0) break
          p = next
          record[++n] = p
          first[n] = a
          continue
        }
        const header = this.#header(batch, at, end, final, STAR)
        if (header === undefined) break
        argc = header.value
        p = header.next
      }
      if (argc > this.most) {
        this.#fail(corrupt('resp.record.argc', batch.base + at, `a record of ${argc} arguments`))
        p = at
        break
      }
      for (let left = argc; left > 0; left--) {
        // `$N\r\n`, N bytes, two bytes
        const line = p
        let size = -1
        word = view.getInt32(p, true)
        if ((word & 0xffff00ff) === DOLLAR_DIGIT_CRLF) {
          size = ((word >> 8) & 0xff) - ZERO
          p += 4
          if (size > 9) size = -1
        } else if ((word & 0xff0000ff) === DOLLAR_TWO_DIGITS_CR && bytes[p + 4] === LF) {
          const high = ((word >> 8) & 0xff) - ZERO
          const low = ((word >> 16) & 0xff) - ZERO
          p += 5
          if (high > 0 && high <= 9 && low >= 0 && low <= 9) size = high * 10 + low
        } else if ((word & 0xff) === DOLLAR) {
          size = plainNumber(bytes, p + 1)
          p += digitsOf(size) + 3
        }
        // A header may also seem to be there by what is left in the buffer behind the end.
        if (size < 0 || p > end) {
          const header = this.#header(batch, line, end, final, DOLLAR)
          if (header === undefined) {
            p = at
            break scanning
          }
          size = header.value
          p = header.next
        }
        if (size > end - p - 2) {
          if (final) this.#fail(tornBulk(batch.base + line, size, end - p))
          p = at
          break scanning
        }
        start[a] = p
        length[a++] = size
        p += size
        if (view.getInt16(p, true) !== CRLF) {
          batch.oddities.push({ code: 'resp.bulk.terminator', offset: batch.base + p, length: 2 })
          if (this.strict) {
            this.#fail(
              corrupt('resp.bulk.terminator', batch.base + p, 'expected "\\r\\n" behind an argument'),
            )
            p = at
            break scanning
          }
        }
        p += 2
      }
      record[++n] = p
      first[n] = a
    }
    // Oddities of a record that was given up are found again with it.
    while (batch.oddities.length > 0 && batch.oddities[batch.oddities.length - 1].offset >= batch.base + p) {
      batch.oddities.pop()
    }
    batch.count = n
    this.read = a
    return p
  }

  /** Index behind the annotation at `at`; -1: more is needed, or it has failed (see `stop`). */
  #annotation(batch: Batch, at: number, end: number, final: boolean): number {
    const { bytes, base } = batch
    const next = lineEnd(bytes, at, end, final)
    if (next < 0 || bytes[next - 1] === LF) return next
    if (next === end) {
      if (final) this.#fail(torn('resp.annotation.torn', base + at, 'the file ends inside an annotation'))
      return -1
    }
    // Servers go on as if a new line began here.
    if (bytes[next] === STAR || bytes[next] === HASH) return next
    this.#fail(corrupt('resp.annotation.length', base + at, `an annotation of more than ${MAX_LINE} bytes`))
    return -1
  }

  #fail(error: FormatError): undefined {
    this.stop = Stop.Error
    this.error = error
    return undefined
  }

  /** The slow, exact reading of one header; undefined: more is needed, or it has failed (see `stop`). */
  #header(batch: Batch, at: number, end: number, final: boolean, prefix: number): Header | undefined {
    const result = readHeader(batch.bytes, at, end, final, prefix, batch.base)
    if (result === undefined) return undefined
    if (result instanceof Error) return this.#fail(result)
    if (this.strict && result.oddity === 'resp.header.line') {
      return this.#fail(corrupt(result.oddity, batch.base + at, 'expected a number and "\\r\\n"'))
    }
    if (result.oddity !== undefined) {
      batch.oddities.push({ code: result.oddity, offset: batch.base + at, length: result.next - at })
    }
    return result
  }
}

/**
 * Reads a header line as servers do (fgets, then atoi for `*` or strtol for `$`).
 * Undefined when the line goes on behind `end` and more may follow; an error when a server would stop here.
 */
export function readHeader(
  bytes: Uint8Array,
  at: number,
  end: number,
  final: boolean,
  prefix: number,
  base: number,
): (Header & { oddity: Oddity['code'] | undefined }) | FormatError | undefined {
  if (at >= end) {
    if (!final) return undefined
    return torn('resp.torn.header', base + at, `the file ends where ${PREFIX_NAME[prefix]} should follow`)
  }
  if (bytes[at] !== prefix) {
    const code = prefix === STAR ? 'resp.record.type' : 'resp.bulk.type'
    return corrupt(code, base + at, `expected ${PREFIX_NAME[prefix]}`)
  }
  const next = lineEnd(bytes, at, end, final)
  if (next < 0) return undefined
  if (next - at === 1 && prefix === STAR) {
    return torn('resp.torn.header', base + at, 'the file ends behind "*"')
  }
  const number = parseNumber(bytes, at + 1, next)
  const oddity = (wrapped: boolean) => {
    const clean = bytes[number.end] === CR && bytes[number.end + 1] === LF && number.end + 2 <= next
    if (!clean || wrapped || next - at > MAX_CHECKED_LINE) return 'resp.header.line'
    return number.plain ? undefined : 'resp.header.form'
  }
  if (prefix === STAR) {
    // A NUL right behind `*` reads as an empty line: only at the end of the file does that count as cut.
    if (bytes[at + 1] === 0 && next === end && final && next - at < MAX_LINE) {
      return torn('resp.torn.header', base + at, 'the file ends behind "*" and zeros')
    }
    const argc = Number(BigInt.asIntN(32, number.value))
    if (argc < 1) {
      return corrupt('resp.record.argc', base + at, `a record of ${number.value} arguments`)
    }
    return { value: argc, next, oddity: oddity(BigInt(argc) !== number.value) }
  }
  if (number.value < 0n || number.value > MAX_BULK) {
    return corrupt('resp.bulk.length', base + at, `a length of ${number.value} bytes`)
  }
  return { value: Number(number.value), next, oddity: oddity(false) }
}

/**
 * Up to here servers ask for the memory, get it from an overcommitting system, and meet the file's end; somewhere
 * between this and 2^47, the end of the address space, they crash.
 */
const MAX_BULK = 1n << 46n

const PREFIX_NAME: Record<number, string> = { [STAR]: '"*"', [DOLLAR]: '"$"' }

/** Index behind the line that begins at `at`, as fgets sees it; -1 when that is not known yet. */
function lineEnd(bytes: Uint8Array, at: number, end: number, final: boolean): number {
  const limit = Math.min(end, at + MAX_LINE)
  for (let i = at; i < limit; i++) if (bytes[i] === LF) return i + 1
  if (limit - at === MAX_LINE || final) return limit
  return -1
}

/** The most that check-aof reads of a header line, in bytes. */
const MAX_CHECKED_LINE = 127

/** strtol: spaces, a sign, digits up to the first byte that is none; saturates at 64 bits. */
function parseNumber(
  bytes: Uint8Array,
  from: number,
  to: number,
): { value: bigint; end: number; plain: boolean } {
  let p = from
  while (p < to && (bytes[p] === 0x20 || (bytes[p] >= 0x09 && bytes[p] <= 0x0d))) p++
  const negative = bytes[p] === 0x2d
  if (p < to && (negative || bytes[p] === 0x2b)) p++
  const digits = p
  let value = 0n
  while (p < to && bytes[p] >= ZERO && bytes[p] <= ZERO + 9) {
    if (value <= INT64_MAX) value = value * 10n + BigInt(bytes[p] - ZERO)
    p++
  }
  if (negative) value = -value
  if (value > INT64_MAX) value = INT64_MAX
  if (value < INT64_MIN) value = INT64_MIN
  const plain = digits === from && p > digits && (bytes[digits] !== ZERO || p - digits === 1)
  return { value, end: p > digits ? p : from, plain }
}

/** @param line offset of the argument's header. @param left bytes that are there behind it */
export function tornBulk(line: number, size: number, left: number): FormatError {
  const missing = size + 2 - left
  return torn('resp.torn.bulk', line, `an argument of ${size} bytes needs ${missing} more than there are`)
}
