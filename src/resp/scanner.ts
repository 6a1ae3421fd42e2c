import { corrupt, type FormatError, torn } from '../bytes/errors.ts'
import { CR, DOLLAR, HASH, LF, MAX_LINE, STAR, ZERO } from './format.ts'

/*
 * The frame machine: bytes in, positions out; no I/O, no await, no object per record, nothing decoded.
 * It answers as servers read (format.ts), and has a fast path for the form in which they write.
 */

/** What servers load although no server writes it. `offset` is in the part. */
export interface Oddity {
  readonly code: 'resp.bulk.terminator' | 'resp.header.form'
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
  /** Offset in the part of `bytes[0]`; may be negative. */
  base = 0
  count = 0
  readonly record: Int32Array
  readonly first: Int32Array
  readonly start: Int32Array
  readonly length: Int32Array
  oddities: Oddity[] = []

  /** @param window the most bytes that a batch spans: no record in it can have more arguments than fit there */
  constructor(window: number) {
    const args = Math.ceil(window / SHORTEST_ARGUMENT)
    this.record = new Int32Array(MAX_RECORDS + 1)
    this.first = new Int32Array(MAX_RECORDS + 1)
    this.start = new Int32Array(args)
    this.length = new Int32Array(args)
  }

  clear(bytes: Uint8Array, base: number): void {
    this.bytes = bytes
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

  /**
   * Adds the whole records of `bytes[from, end)` to a cleared batch; the index behind the last of them.
   * @param final nothing follows `end`: what is left is judged as a server judges it at the end of a file.
   * Bytes up to `end + 32` must be readable.
   */
  scan(batch: Batch, from: number, end: number, final: boolean): number {
    const { bytes, record, first, start, length } = batch
    let p = from
    let n = batch.count
    let a = first[n]
    record[n] = from
    this.stop = Stop.More
    scanning: while (p < end) {
      if (n === MAX_RECORDS) {
        this.stop = Stop.Full
        break
      }
      const at = p
      // `*N\r\n`
      let argc = bytes[p + 1] - ZERO
      if (bytes[p] === STAR && argc > 0 && argc <= 9) {
        p += 2
        let digit = bytes[p] - ZERO
        while (digit >= 0 && digit <= 9 && p - at < 10) {
          argc = argc * 10 + digit
          digit = bytes[++p] - ZERO
        }
        if (bytes[p] === CR && bytes[p + 1] === LF && p + 2 <= end) p += 2
        else argc = -1
      } else {
        argc = -1
      }
      if (argc < 0) {
        if (bytes[at] === HASH) {
          const next = lineEnd(bytes, at, end, final)
          const cut = next > 0 && bytes[next - 1] !== LF
          if (next < 0 || (cut && next === end && !final)) {
            p = at
            break
          }
          if (cut && next === end) {
            this.#fail(torn('resp.annotation.torn', batch.base + at, 'the file ends inside an annotation'))
            p = at
            break
          }
          if (cut && bytes[next] !== STAR && bytes[next] !== HASH) {
            this.#fail(
              corrupt(
                'resp.annotation.length',
                batch.base + at,
                `an annotation of more than ${MAX_LINE} bytes`,
              ),
            )
            p = at
            break
          }
          p = next
          record[++n] = p
          first[n] = a
          continue
        }
        const header = this.#header(batch, at, end, final, STAR)
        if (header === undefined) {
          p = at
          break
        }
        argc = header.value
        p = header.next
      }
      for (let left = argc; left > 0; left--) {
        // `$N\r\n`, N bytes, two bytes
        const line = p
        let size = bytes[p + 1] - ZERO
        if (bytes[p] === DOLLAR && size >= 0 && size <= 9 && (size > 0 || bytes[p + 2] === CR)) {
          p += 2
          let digit = bytes[p] - ZERO
          while (digit >= 0 && digit <= 9 && p - line < 10) {
            size = size * 10 + digit
            digit = bytes[++p] - ZERO
          }
          if (bytes[p] === CR && bytes[p + 1] === LF && p + 2 <= end) p += 2
          else size = -1
        } else {
          size = -1
        }
        if (size < 0) {
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
        if (bytes[p] !== CR || bytes[p + 1] !== LF) {
          batch.oddities.push({ code: 'resp.bulk.terminator', offset: batch.base + p, length: 2 })
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
    return p
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
    if (result.odd) {
      batch.oddities.push({
        code: 'resp.header.form',
        offset: batch.base + at,
        length: Math.min(result.next - at, MAX_LINE),
      })
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
): (Header & { odd: boolean }) | FormatError | undefined {
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
  const crlf = bytes[next - 2] === CR && bytes[next - 1] === LF
  const odd = !(number.plain && crlf && number.end === next - 2)
  if (prefix === STAR) {
    // A NUL right behind `*` reads as an empty line: only at the end of the file does that count as cut.
    if (bytes[at + 1] === 0 && next === end && final) {
      return torn('resp.torn.header', base + at, 'the file ends behind "*" and zeros')
    }
    const argc = Number(BigInt.asIntN(32, number.value))
    if (argc < 1) {
      return corrupt('resp.record.argc', base + at, `a record of ${number.value} arguments`)
    }
    return { value: argc, next, odd: odd || BigInt(argc) !== number.value }
  }
  if (number.value < 0n || number.value > MAX_BULK) {
    return corrupt('resp.bulk.length', base + at, `a length of ${number.value} bytes`)
  }
  return { value: Number(number.value), next, odd }
}

/** Lengths beyond this crash servers when they ask for the memory; up to it they read on and meet the file's end. */
const MAX_BULK = (1n << 47n) - 1n

const PREFIX_NAME: Record<number, string> = { [STAR]: '"*"', [DOLLAR]: '"$"' }

/** Index behind the line that begins at `at`, as fgets sees it; -1 when that is not known yet. */
function lineEnd(bytes: Uint8Array, at: number, end: number, final: boolean): number {
  const limit = Math.min(end, at + MAX_LINE)
  for (let i = at; i < limit; i++) if (bytes[i] === LF) return i + 1
  if (limit - at === MAX_LINE || final) return limit
  return -1
}

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
  return { value, end: p, plain }
}

const INT64_MAX = (1n << 63n) - 1n
const INT64_MIN = -(1n << 63n)

/** @param line offset of the argument's header. @param left bytes that are there behind it */
export function tornBulk(line: number, size: number, left: number): FormatError {
  const missing = size + 2 - left
  return torn('resp.torn.bulk', line, `an argument of ${size} bytes needs ${missing} more than there are`)
}
