import { JobError } from '../../bytes/errors.ts'
import { escapeName } from '../../bytes/escape.ts'
import { formatTime } from '../../bytes/figures.ts'
import type { Source } from '../../bytes/source.ts'
import type { Rebuilt, Selected } from '../../operations/print.ts'
import { DOLLAR, STAR } from '../../resp/format.ts'
import type { LongRecord } from '../../resp/long-record.ts'
import { argumentHeader, encodeRecord, recordHeader, TERMINATOR } from '../../resp/writer.ts'
import type { Io } from '../io.ts'
import { jsonName, jsonPieces, jsonText } from './json.ts'
import { LineWriter } from './lines.ts'

/** Bytes of one argument that a line shows, unless all are wanted. */
export const SHORT = 100

export type Format = 'text' | 'jsonl' | 'resp'

/** Writes commands in one of the formats. */
export interface Printer {
  /** Whether values larger than a window must be read again to be written. */
  readonly wholeValues: boolean
  command(selected: Selected): Promise<void> | undefined
  rebuilt(rebuilt: Rebuilt): void
  /** The part ends inside a transaction whose MULTI was printed. */
  unfinished(): void
  /** Hands on what was written so far. */
  pause(): Promise<void>
  end(): void
}

export interface PrinterOptions {
  /** Values are not shortened. */
  readonly full: boolean
  /** Only so many of the last are written. */
  readonly last: number | undefined
}

export function printerFor(format: Format, options: PrinterOptions, io: Io): Printer {
  const sink = options.last === undefined ? directly(io) : keepingLast(options.last, io)
  if (format === 'jsonl') return new JsonPrinter(sink)
  if (format === 'resp') return new RespPrinter(sink)
  return new TextPrinter(sink, options.full)
}

/** Where finished pieces go. A new item begins with `begin`. */
interface PieceSink {
  /** Whether items are kept apart: each must be whole in its pieces, and stand by itself. */
  readonly separate: boolean
  begin(): void
  piece(bytes: Uint8Array): void
  pause(): Promise<void>
  end(): void
}

function directly(io: Io): PieceSink {
  return { separate: false, begin() {}, piece: bytes => io.out(bytes), pause: () => io.flush(), end() {} }
}

/** Keeps the last items until the end; what comes after that, in a log that is followed, goes directly. */
function keepingLast(count: number, io: Io): PieceSink {
  let ring: Uint8Array[][] = []
  let next = 0
  let ended = false
  return {
    separate: true,
    begin() {
      if (ended || count === 0) return
      ring[next % count] = []
      next++
    },
    piece(bytes) {
      if (ended) io.out(bytes)
      else if (count > 0) ring[(next - 1) % count].push(bytes)
    },
    async pause() {
      if (ended) await io.flush()
    },
    end() {
      if (ended) return
      ended = true
      for (let i = Math.max(0, next - count); i < next; i++)
        for (const bytes of ring[i % count]) io.out(bytes)
      ring = []
    },
  }
}

/** Bytes of a value that are read and written at once. A multiple of 3, so that pieces of base64 can be joined. */
const PIECE = 3 << 18

/** The same for text of JSON, which may be six times as long. */
const JSON_PIECE = PIECE / 16

/**
 * The arguments of a record that need not be in memory, piece by piece. Small ones are taken from what was read for
 * those before them: there may be millions.
 */
class ValueReader {
  readonly #source: Source
  readonly #buffer = new Uint8Array(PIECE)
  #from = 0
  #to = 0

  constructor(source: Source) {
    this.#source = source
  }

  /** Pieces of `length` bytes from `offset` on, void after the next one is asked for. */
  async *pieces(offset: number, length: number): AsyncGenerator<Uint8Array> {
    for (let done = 0; done < length; ) {
      const at = offset + done
      if (at < this.#from || at + Math.min(length - done, PIECE) > this.#to) {
        const count = await this.#source.readAt(this.#buffer, at)
        if (count === 0) return
        this.#from = at
        this.#to = at + count
      }
      const piece = this.#buffer.subarray(
        at - this.#from,
        Math.min(this.#to - this.#from, at - this.#from + length - done),
      )
      yield piece
      done += piece.length
    }
  }
}

/** Arguments of one command that a line shows, unless all are wanted. */
const MAX_ARGUMENTS = 100

const NOTHING: Uint8Array = new Uint8Array(0)

/** Where a command stands, by which its line begins: between two texts that are mostly those of the line before. */
interface Place {
  before(part: string): string
  behind(db: number, time: number | undefined): string
}

/** What prints each command as one line. */
abstract class LinePrinter implements Printer {
  abstract readonly wholeValues: boolean
  protected readonly sink: PieceSink
  protected readonly lines: LineWriter
  readonly #place: Place
  #part: string | undefined
  #db = -1
  #time: number | undefined
  /** What stands before and behind the offset. */
  #before = NOTHING
  #behind = NOTHING

  constructor(sink: PieceSink, place: Place) {
    this.sink = sink
    this.lines = new LineWriter(bytes => sink.piece(bytes))
    this.#place = place
  }

  abstract command(selected: Selected): Promise<void> | undefined
  abstract rebuilt(rebuilt: Rebuilt): void

  unfinished(): void {}

  async pause(): Promise<void> {
    this.lines.flush()
    await this.sink.pause()
  }

  end(): void {
    this.lines.flush()
    this.sink.end()
  }

  protected begin(part: string, offset: number, db: number, time: number | undefined): void {
    this.sink.begin()
    if (part !== this.#part) {
      this.#part = part
      this.#before = Buffer.from(this.#place.before(part))
    }
    if (db !== this.#db || time !== this.#time) {
      this.#db = db
      this.#time = time
      this.#behind = Buffer.from(this.#place.behind(db, time))
    }
    this.lines.bytes(this.#before)
    this.lines.number(offset)
    this.lines.bytes(this.#behind)
  }

  protected finish(): void {
    this.lines.end()
    if (this.sink.separate) this.lines.flush()
  }
}

class TextPrinter extends LinePrinter {
  readonly wholeValues: boolean
  readonly #limit: number
  readonly #arguments: number

  constructor(sink: PieceSink, full: boolean) {
    super(sink, {
      before: part => `${escapeName(part)}:`,
      behind: (db, time) => ` ${db} ${time === undefined ? '-' : formatTime(time)}`,
    })
    this.wholeValues = full
    this.#limit = full ? Number.POSITIVE_INFINITY : SHORT
    this.#arguments = full ? Number.POSITIVE_INFINITY : MAX_ARGUMENTS
  }

  command({ part, source, batch, index, db, time, long }: Selected): Promise<void> | undefined {
    this.begin(part, batch.offset(index), db, time)
    if (long !== undefined && this.wholeValues) return this.#longCommand(source, long)
    const lines = this.lines
    const first = batch.first[index]
    const there = batch.first[index + 1] - first
    const argc = long?.argc ?? there
    const shown = Math.min(there, this.#arguments)
    for (let a = first; a < first + shown; a++) {
      lines.space()
      lines.argument(batch.bytes, batch.start[a], batch.length[a], batch.length[a], this.#limit)
    }
    if (long !== undefined && shown < this.#arguments && shown < long.kept) {
      // The argument that leaves the head of a long record: as much of it as is there.
      const start = long.start[shown] - long.offset
      lines.space()
      lines.argument(long.head, start, Math.max(0, long.head.length - start), long.length[shown], this.#limit)
      if (argc > shown + 1) lines.text(` … (${argc - shown - 1} more)`)
    } else if (argc > shown) lines.text(` … (${argc - shown} more)`)
    this.finish()
    return undefined
  }

  rebuilt({ part, offset, db, command }: Rebuilt): void {
    this.begin(part, offset, db, undefined)
    const lines = this.lines
    const { bytes, start, end, size, count } = command
    const shown = Math.min(count, this.#arguments)
    for (let a = 0; a < shown; a++) {
      lines.space()
      lines.argument(bytes, start[a], end[a] - start[a], size[a], this.#limit)
    }
    if (count > shown) lines.text(` … (${count - shown} more)`)
    this.finish()
  }

  async #longCommand(source: Source, long: LongRecord): Promise<void> {
    this.lines.text(' ')
    const values = new ValueReader(source)
    for (let a = 0; a < long.kept; a++) {
      if (a > 0) this.lines.space()
      this.lines.text('"')
      for await (const piece of values.pieces(long.start[a], long.length[a])) {
        this.lines.escaped(piece)
        await this.sink.pause()
      }
      this.lines.text('"')
    }
    if (long.argc > long.kept) this.lines.text(` … (${long.argc - long.kept} more)`)
    this.finish()
  }
}

/** `{"part":"…","offset":N,"db":N,"time":N,"args":[…]}`: one object a line. */
class JsonPrinter extends LinePrinter {
  readonly wholeValues = true

  constructor(sink: PieceSink) {
    super(sink, {
      before: part => `{"part":${jsonText(jsonName(part))},"offset":`,
      behind: (db, time) => `,"db":${db}${time === undefined ? '' : `,"time":${time}`},"args":[`,
    })
  }

  command({ part, source, batch, index, db, time, long }: Selected): Promise<void> | undefined {
    this.begin(part, batch.offset(index), db, time)
    if (long !== undefined) return this.#longCommand(source, long)
    const first = batch.first[index]
    for (let a = first; a < batch.first[index + 1]; a++) {
      if (a > first) this.lines.text(',')
      this.#argument(batch.bytes, batch.start[a], batch.length[a])
    }
    this.finish()
    return undefined
  }

  rebuilt({ part, offset, db, command }: Rebuilt): void {
    this.begin(part, offset, db, undefined)
    const { bytes, start, end, count } = command
    for (let a = 0; a < count; a++) {
      if (a > 0) this.lines.text(',')
      this.#argument(bytes, start[a], end[a] - start[a])
    }
    this.finish()
  }

  #argument(bytes: Uint8Array, start: number, length: number): void {
    if (this.lines.jsonString(bytes, start, length)) return
    for (const piece of jsonPieces(bytes.subarray(start, start + length))) this.lines.text(piece)
  }

  protected override finish(): void {
    this.lines.text(']}')
    super.finish()
  }

  async #longCommand(source: Source, long: LongRecord): Promise<void> {
    refuseTooMany(long)
    const values = new ValueReader(source)
    for (let a = 0; a < long.kept; a++) {
      if (a > 0) this.lines.text(',')
      const valid = await isUtf8(values.pieces(long.start[a], long.length[a]))
      this.lines.text(valid ? '"' : '{"base64":"')
      const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
      for await (const piece of values.pieces(long.start[a], long.length[a])) {
        for (let at = 0; at < piece.length; at += JSON_PIECE) {
          if (piece.length > SHORT || a % 1000 === 0) await this.pause()
          const bytes = piece.subarray(at, at + JSON_PIECE)
          this.lines.text(
            valid
              ? jsonText(decoder.decode(bytes, { stream: true })).slice(1, -1)
              : Buffer.from(bytes).toString('base64'),
          )
        }
      }
      this.lines.text(valid ? '"' : '"}')
    }
    this.finish()
  }
}

async function isUtf8(bytes: AsyncIterable<Uint8Array>): Promise<boolean> {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  try {
    for await (const piece of bytes) decoder.decode(piece, { stream: true })
    decoder.decode()
    return true
  } catch {
    return false
  }
}

/** The records themselves, in the form that servers write, with a `SELECT` where the database changes. */
class RespPrinter implements Printer {
  readonly wholeValues = true
  readonly #sink: PieceSink
  /** What is put together of small pieces; empty whenever something larger goes to the sink. */
  readonly #lines: LineWriter
  #db = 0

  constructor(sink: PieceSink) {
    this.#sink = sink
    this.#lines = new LineWriter(bytes => sink.piece(bytes))
  }

  command({ source, batch, index, db, long }: Selected): Promise<void> | undefined {
    const first = batch.first[index]
    this.#lines.flush()
    this.#sink.begin()
    if (db !== this.#db || this.#sink.separate) this.#sink.piece(encodeRecord(['SELECT', `${db}`]))
    this.#db = db
    if (long !== undefined) return this.#longCommand(source, long)
    if (batch.oddities.length === 0) {
      this.#sink.piece(batch.bytes.slice(batch.record[index], batch.record[index + 1]))
      return undefined
    }
    const args = []
    for (let a = first; a < batch.first[index + 1]; a++) {
      args.push(batch.bytes.subarray(batch.start[a], batch.start[a] + batch.length[a]))
    }
    this.#sink.piece(encodeRecord(args))
    return undefined
  }

  rebuilt({ db, command }: Rebuilt): void {
    this.#sink.begin()
    const lines = this.#lines
    if (db !== this.#db || this.#sink.separate) lines.bytes(encodeRecord(['SELECT', `${db}`]))
    this.#db = db
    const { bytes, start, end, size, count } = command
    lines.header(STAR, count)
    for (let a = 0; a < count; a++) {
      lines.header(DOLLAR, size[a])
      lines.span(bytes, start[a], end[a])
      lines.bytes(TERMINATOR)
    }
    lines.written(this.#sink.separate)
  }

  /** Open, it would take what is printed next for its own, and the ECHO by which redis-cli --pipe knows the end. */
  unfinished(): void {
    this.#lines.flush()
    this.#sink.piece(encodeRecord(['DISCARD']))
  }

  pause(): Promise<void> {
    this.#lines.flush()
    return this.#sink.pause()
  }

  end(): void {
    this.#lines.flush()
    this.#sink.end()
  }

  async #longCommand(source: Source, long: LongRecord): Promise<void> {
    refuseTooMany(long)
    this.#sink.piece(recordHeader(long.argc))
    const values = new ValueReader(source)
    for (let a = 0; a < long.argc; a++) {
      this.#sink.piece(argumentHeader(long.length[a]))
      for await (const piece of values.pieces(long.start[a], long.length[a])) {
        this.#sink.piece(piece.slice())
        if (piece.length > SHORT || a % 1000 === 0) await this.#sink.pause()
      }
      this.#sink.piece(TERMINATOR)
    }
  }
}

/** Nothing is left out in silence: where a line must be the whole command, one of too many arguments ends the job. */
function refuseTooMany({ offset, argc, kept }: LongRecord): void {
  if (kept === argc) return
  throw new JobError(
    'print.arguments',
    `the command at ${offset} has ${argc} arguments; at most ${kept} can be printed as jsonl or resp`,
  )
}
