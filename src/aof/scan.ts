import type { FormatError } from '../bytes/errors.ts'
import type { Source } from '../bytes/source.ts'
import { Window } from '../bytes/window.ts'
import { magicAt } from '../rdb/format.ts'
import { type RdbEvent, RdbWalk, type WalkOptions } from '../rdb/walk.ts'
import type { LongRecord } from '../resp/long-record.ts'
import { RespReader } from '../resp/reader.ts'
import type { Batch } from '../resp/scanner.ts'

/** Who is told what a part holds, in its order. */
export interface PartVisitor {
  /** What stands in an RDB at the part's start. Void after the call. */
  rdb(event: RdbEvent): void | Promise<void>
  /** Whole records; void after the call. */
  records(batch: Batch): void | Promise<void>
  /** A record larger than the window. */
  long(record: LongRecord): void | Promise<void>
  /** Called once a window, with the offset that was reached: to show progress. True ends the reading. */
  progress?(offset: number): boolean | undefined | Promise<boolean | undefined>
}

/** How reading a part ended. */
export interface PartEnd {
  readonly format: 'resp' | 'rdb' | 'rdb+resp'
  /** Offset behind the last whole record or the RDB; inside an RDB that is wrong: where its last whole entry ends. */
  readonly offset: number
  /** Offset behind the RDB; 0 when there is none. */
  readonly preambleEnd: number
  /** Bytes that were there. */
  readonly size: number
  /** Why reading ended before the end. */
  readonly error: FormatError | undefined
  /** What could be read of the record that the error is in: the bytes from {@link offset} on, some KiB of them. */
  readonly rest: Uint8Array
  /** Where reading stopped: at {@link offset}, or, in a record larger than the window, somewhere behind it. */
  readonly window: Window
}

export interface ScanOptions extends WalkOptions {
  /** Where the source is read; what it has already is scanned first. Default: a window at its beginning. */
  readonly window?: Window
}

/** Bytes of a broken record that are handed out for messages. */
const REST = 1 << 16

/** Reads one part from its start to its end or to the first thing that is wrong: a preamble, then records. */
export async function scanPart(source: Source, visitor: PartVisitor, options: ScanOptions): Promise<PartEnd> {
  const window = options.window ?? new Window(source)
  while (window.end - window.start < MAGIC && (await window.advance(window.start))) {
    // A source may hand out single bytes.
  }
  const magic = magicAt(window.bytes, window.start, window.end)
  let preambleEnd = 0
  if (magic !== undefined && window.end - window.start >= magic.length) {
    const end = await scanRdb(source, window, visitor, options)
    if (end !== undefined) return end
    preambleEnd = window.offset
  }
  return scanRecords(source, window, visitor, preambleEnd)
}

/** Reads an RDB; undefined when it is sound and something follows it. */
async function scanRdb(
  source: Source,
  window: Window,
  visitor: PartVisitor,
  options: ScanOptions,
): Promise<PartEnd | undefined> {
  const walk = new RdbWalk(window, options)
  let base = window.base
  let enough = false
  for (let event = await walk.next(); event !== undefined; event = await walk.next()) {
    const called = visitor.rdb(event)
    if (called !== undefined) await called
    if (window.base !== base) {
      base = window.base
      enough = (await visitor.progress?.(window.offset)) === true
      if (enough) break
    }
  }
  const whole = walk.error === undefined
  const behind = window.offset
  if (whole && !enough && (window.start < window.end || (await window.advance(window.start))))
    return undefined
  return {
    format: 'rdb',
    offset: whole ? behind : walk.offset,
    preambleEnd: whole ? behind : 0,
    size: Math.max(window.base + window.end, source.size ?? 0),
    error: window.failure ?? walk.error,
    rest: new Uint8Array(0),
    window,
  }
}

async function scanRecords(
  source: Source,
  window: Window,
  visitor: PartVisitor,
  preambleEnd: number,
): Promise<PartEnd> {
  const reader = new RespReader(window)
  let base = window.base
  for (let batch = await reader.next(); batch !== undefined; batch = await reader.next()) {
    const called = reader.long === undefined ? visitor.records(batch) : visitor.long(reader.long)
    if (called !== undefined) await called
    if (window.base !== base) {
      base = window.base
      if ((await visitor.progress?.(reader.offset)) === true) break
    }
  }
  const error = window.failure ?? reader.error
  const rest = window.bytes.slice(window.start, Math.min(window.end, window.start + REST))
  return {
    format: preambleEnd > 0 ? 'rdb+resp' : 'resp',
    offset: reader.offset,
    preambleEnd,
    size: error === undefined ? reader.offset : Math.max(window.base + window.end, source.size ?? 0),
    error,
    rest: reader.broken?.head ?? rest,
    window,
  }
}

/** Bytes of the longest magic. */
const MAGIC = 6
