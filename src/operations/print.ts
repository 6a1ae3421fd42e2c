import { Context } from '../aof/context.ts'
import type { Finding } from '../aof/finding.ts'
import { type Input, openPart, type Part } from '../aof/parts.ts'
import { type PartEnd, type PartVisitor, scanPart } from '../aof/scan.ts'
import { corrupt, FormatError, JobError } from '../bytes/errors.ts'
import { escapeBytes, escapeName } from '../bytes/escape.ts'
import type { Source } from '../bytes/source.ts'
import { type Entry, EntryReader } from '../rdb/entries.ts'
import { librarySource } from '../rdb/functions.ts'
import { writePayload } from '../rdb/payload.ts'
import type { RdbEvent } from '../rdb/walk.ts'
import type { LongRecord } from '../resp/long-record.ts'
import type { Batch, Oddity } from '../resp/scanner.ts'
import { idOf, ids, integerAt, isWord } from '../servers/commands.ts'
import type { Command } from '../values/command.ts'
import type { ElementSink } from '../values/elements.ts'
import { RebuildCommands } from '../values/rebuild.ts'
import { Slice } from '../values/slice.ts'
import { CommandCheck } from './command-check.ts'
import { FirstFindings } from './first-findings.ts'
import { FollowedSource, LogFollower } from './follow.ts'
import { Judgement } from './judgement.ts'
import { type KeyTest, PASS_ON } from './key-names.ts'
import { LogServer } from './log-server.ts'
import { RdbSupport } from './rdb-support.ts'
import type { LogOptions } from './verify.ts'

/** Which commands are wanted: those that meet every condition. */
export interface Selection {
  /** Lower-case names: `set`, `xgroup|create`. */
  readonly commands?: ReadonlySet<string> | undefined
  /** One of the command's keys matches, or is affected: see {@link PrintOptions.effects}. */
  readonly key?: KeyTest | undefined
  readonly databases?: ReadonlySet<number> | undefined
  /** Unix seconds, inclusive; a command has the time of the last timestamp before it. */
  readonly since?: number | undefined
  readonly until?: number | undefined
  readonly from?: Place | undefined
  /** Exclusive. */
  readonly to?: Place | undefined
  /** So many, and no more. */
  readonly limit?: number | undefined
}

export interface Place {
  /** Name of a part's file; absent: the only one. */
  readonly part?: string | undefined
  readonly offset: number
}

export interface PrintOptions extends LogOptions {
  /** Go on with what is appended, until the visitor has enough. */
  readonly follow: boolean
  /** Whether values that are larger than a window will be read again. */
  readonly wholeValues: boolean
  /** Bytes that are wanted of an argument of a command that rebuilds a key. Default: all. */
  readonly keep?: number | undefined
  /** Whether `SELECT` is among the commands; what it does is known from each command's database. */
  readonly selects: boolean
  /** Whether `MULTI`, `EXEC` and `DISCARD` are. */
  readonly transactions: boolean
  /** Whether what does something to the wanted keys without naming them is selected with them: flushes and swaps. */
  readonly effects?: boolean
}

/** A command that was selected; void after the call that brings it. */
export interface Selected {
  part: string
  /** Where larger values can be read again. */
  source: Source
  db: number
  time: number | undefined
  /** Where the command is, and its index there. */
  batch: Batch
  index: number
  /** Set when it is larger than the window: the batch then has only its first arguments. */
  long: LongRecord | undefined
}

/** One of the commands that rebuild an entry of an RDB; void after the call that brings it. */
export interface Rebuilt {
  part: string
  /** Of the entry, or of the library of functions. */
  offset: number
  db: number
  command: Command
}

/** Who is given what was selected. */
export interface PrintVisitor {
  command(selected: Selected): void | Promise<void>
  rebuilt(rebuilt: Rebuilt): void
  /**
   * Something for which a part is not sound, of those commands that were read.
   * @param count how many of its code there are: this is the first
   */
  damage(finding: Finding, count: number): Promise<void>
  /** A part was read to its end, or to the first thing that is wrong, inside a transaction that it was given. */
  unfinished(): void
  /** Called once a window, with the bytes read so far in all parts: time to write. */
  pause(bytes: number): Promise<void>
  /** Everything that is there by now was read. Only while a log is followed. */
  idle(): Promise<void>
  /** A log that is followed goes on in another file. */
  moved(part: string): Promise<void>
  /** Whether it wants no more. */
  readonly done: boolean
}

export interface PrintEnd {
  /** Whether a wanted key got what another one held, which is not wanted: by RENAME or COPY. */
  readonly hasFormerNames: boolean
  /** Whether a timestamp was met. */
  readonly timed: boolean
}

/** Gives the commands of a log that are selected, and those that rebuild the keys of its RDB parts, in their order. */
export async function printLog(
  input: Input,
  selection: Selection,
  options: PrintOptions,
  visitor: PrintVisitor,
): Promise<PrintEnd> {
  const server = new LogServer(options.as, options.allowCommands)
  const follower = options.follow ? new LogFollower(input) : undefined
  const ranges = partRanges(input.parts, selection)
  const count = { left: selection.limit ?? Number.POSITIVE_INFINITY }
  let time: number | undefined
  let before = 0
  let hasFormerNames = false
  const print = async (part: Part, range: Range, followed: boolean) => {
    const opened = await openPart(part, { again: options.wholeValues })
    if (followed) await follower?.begin(part)
    let reached = -1
    const source: Source =
      follower !== undefined && followed
        ? new FollowedSource(
            opened,
            () => follower.over(),
            async () => {
              // The source reads ahead: what it has handed out is printed when nothing moves any more.
              if (printer.reached === reached) {
                await printer.report()
                await visitor.idle()
              }
              reached = printer.reached
              return printer.done
            },
          )
        : opened
    const printer: PartPrinter = new PartPrinter(
      part,
      source,
      { ...selection, ...range },
      server,
      options,
      visitor,
      count,
      before,
      time,
    )
    try {
      await printer.close(
        await scanPart(source, printer, { databases: options.databases, values: range.entries }),
      )
      before += printer.reached
      time = printer.time
      hasFormerNames ||= printer.hasFormerNames
      return printer.done
    } finally {
      await source.close()
    }
  }
  for (const [part, range] of ranges) {
    const last = part === input.parts.at(-1)
    if (count.left <= 0 || (await print(part, range, last)))
      return { timed: time !== undefined, hasFormerNames }
  }
  while (follower?.next !== undefined && !visitor.done) {
    await visitor.moved(follower.next.name)
    // A file that was rewritten begins with everything there is: what was appended since stands behind its RDB.
    if (await print(follower.next, { ...WHOLE, entries: false }, true)) break
  }
  return { timed: time !== undefined, hasFormerNames }
}

type Wanted = Omit<Selection, 'from' | 'to'>

interface Range {
  /** Offsets in the part; `to` exclusive. */
  readonly from: number
  readonly to: number
  /** Whether the entries of an RDB are wanted. */
  readonly entries: boolean
}

const WHOLE: Range = { from: 0, to: Number.POSITIVE_INFINITY, entries: true }

/** Which parts are read, and from where to where. */
function partRanges(parts: readonly Part[], { from, to }: Selection): Map<Part, Range> {
  const first = partOf(parts, from)
  const last = partOf(parts, to)
  const ranges = new Map<Part, Range>()
  for (const [i, part] of parts.entries()) {
    if (i < first || (last >= 0 && i > last)) continue
    ranges.set(part, {
      from: i === first ? (from?.offset ?? 0) : 0,
      to: i === last ? (to?.offset ?? 0) : WHOLE.to,
      entries: true,
    })
  }
  return ranges
}

/** Index of the part that a place is in; -1 without a place. */
function partOf(parts: readonly Part[], place: Place | undefined): number {
  if (place === undefined) return -1
  if (place.part === undefined) {
    if (parts.length > 1) throw new JobError('usage', 'the log has several parts: give the offset as PART:N')
    return 0
  }
  const found = parts.findIndex(({ name }) => name === place.part)
  if (found < 0) throw new JobError('usage', `no part is called ${escapeName(place.part)}`)
  return found
}

class PartPrinter implements PartVisitor {
  /** As in {@link PrintEnd}. */
  hasFormerNames = false
  /** Offset behind the last records that were given to it. */
  reached = 0
  /** Up to which it was read when that was last told. */
  #offset = 0
  readonly #part: Part
  readonly #range: Wanted & Range
  readonly #server: LogServer
  readonly #options: PrintOptions
  readonly #visitor: PrintVisitor
  readonly #count: { left: number }
  readonly #before: number
  readonly #context: Context
  readonly #findings = new FirstFindings()
  readonly #judgement: Judgement
  readonly #support: RdbSupport
  readonly #selected: Selected
  readonly #entries: EntryPrinter | undefined
  /** Ids of the commands that are left out. */
  readonly #leftOut: ReadonlySet<number>
  /** Whether a command's id matters to whether it is selected. */
  readonly #needsId: boolean
  #check: CommandCheck | undefined

  constructor(
    part: Part,
    source: Source,
    range: Wanted & Range,
    server: LogServer,
    options: PrintOptions,
    visitor: PrintVisitor,
    count: { left: number },
    before: number,
    time: number | undefined,
  ) {
    this.#part = part
    this.#range = range
    this.#server = server
    this.#options = options
    this.#visitor = visitor
    this.#count = count
    this.#before = before
    this.#context = new Context(options.databases)
    // Servers write a timestamp once a second, whatever part they are at.
    this.#context.time = time
    this.#judgement = new Judgement(part.name, this.#findings)
    this.#support = new RdbSupport(server, this.#judgement)
    this.#leftOut = new Set([
      ...(options.selects ? [] : [ids.select]),
      ...(options.transactions ? [] : [ids.multi, ids.exec, ids.discard]),
    ])
    this.#needsId = this.#leftOut.size > 0 || range.commands !== undefined || range.key !== undefined
    const nothing = undefined as never
    this.#selected = {
      part: part.name,
      source,
      db: 0,
      time: undefined,
      batch: nothing,
      index: 0,
      long: undefined,
    }
    this.#entries = range.entries
      ? new EntryPrinter(part.name, range, options.keep, visitor, count, this.#judgement)
      : undefined
  }

  get done(): boolean {
    return this.#count.left <= 0 || this.#visitor.done
  }

  /** Of the last timestamp, in this part or before it. */
  get time(): number | undefined {
    return this.#context.time
  }

  async records(batch: Batch): Promise<void> {
    const { to } = this.#range
    let i = 0
    for (; i < batch.count && this.#count.left > 0 && batch.offset(i) < to; i++) {
      const argc = batch.argc(i)
      if (argc === 0) {
        this.#context.annotation(batch, i)
        continue
      }
      if (!this.#wants(batch, i, argc)) continue
      const written = this.#give(batch, i, undefined)
      if (written !== undefined) await written
    }
    this.reached = batch.offset(i)
    for (const oddity of batch.oddities) this.#odd(oddity)
  }

  async long(record: LongRecord): Promise<void> {
    if (this.#count.left <= 0 || record.offset >= this.#range.to) return
    const batch = record.asBatch()
    if (this.#wants(batch, 0, record.argc)) await this.#give(batch, 0, record)
    this.reached = record.end
    for (const oddity of record.oddities) this.#odd(oddity)
  }

  #odd({ code, offset }: Oddity): void {
    if (offset >= this.reached || code === 'resp.header.form') return
    const what =
      code === 'resp.bulk.terminator' ? 'other bytes than CR LF behind an argument' : 'an odd header line'
    this.#judgement.blame('damaged', code, offset, `${what}: servers load it, check-aof refuses it`)
  }

  /** The part was read as far as it is wanted, or as far as it can be. */
  async close({ format, error, offset }: PartEnd): Promise<void> {
    const { transaction } = this.#context
    if (!this.done && offset < this.#range.to) {
      if (format !== 'resp') this.#closeRdb()
      if (error !== undefined) this.#entries?.cut()
      if (error !== undefined) {
        this.#judgement.blame(error.kind, error.code, error.offset, error.message)
      } else if (transaction >= 0) {
        const message = 'MULTI without EXEC up to the end: nothing in it counts'
        this.#judgement.blame('torn', 'transaction.torn', transaction, message)
      }
    }
    if (transaction >= 0 && this.#options.transactions) this.#visitor.unfinished()
    await this.report()
    this.reached = offset
  }

  #closeRdb(): void {
    this.#support.end()
    if (this.#part.role !== 'incr') return
    const message = 'an RDB in the place of an incr part: servers load it, check-aof refuses it'
    this.#judgement.blame('damaged', 'part.rdb-incr', 0, message)
  }

  /** Tells the visitor of what is wrong and was not told yet. */
  async report(): Promise<void> {
    await this.#findings.report((first, count) => this.#visitor.damage(first, count))
  }

  #give(batch: Batch, index: number, long: LongRecord | undefined): void | Promise<void> {
    this.#selected.batch = batch
    this.#selected.index = index
    this.#selected.long = long
    this.#count.left--
    return this.#visitor.command(this.#selected)
  }

  rdb(event: RdbEvent): void | Promise<void> {
    this.#support.event(event)
    const entries = this.#entries
    if (entries === undefined || this.done) return
    entries.event(event)
    // A window holds little of what may come out of it when it is compressed.
    if (entries.written < MUCH) return
    entries.written = 0
    return this.#visitor.pause(this.#before + this.#offset)
  }

  async progress(offset: number): Promise<boolean> {
    this.#offset = offset
    await this.#visitor.pause(this.#before + offset)
    return this.done || offset >= this.#range.to
  }

  /** Follows the command, and says whether it is selected. */
  #wants(batch: Batch, i: number, argc: number): boolean {
    const context = this.#context
    const { from, databases, since, until } = this.#range
    // A SELECT belongs to the database that it leaves: the one in force where it stands.
    const { db, time } = context
    this.#check ??= new CommandCheck(this.#server.table, context, this.#options.databases, this.#judgement)
    this.#check.check(batch, i, argc)
    if (batch.offset(i) < from) return false
    if (databases?.has(db) === false && !this.#reaches(databases, batch, i)) return false
    if (since !== undefined && (time === undefined || time < since)) return false
    // What stands before the first timestamp is older than it.
    if (until !== undefined && time !== undefined && time > until) return false
    if (this.#needsId && !this.#isAsked(batch, i, argc)) return false
    this.#selected.db = db
    this.#selected.time = time
    return true
  }

  /** Whether it is a command that is asked for, on a key that is asked for. */
  #isAsked(batch: Batch, i: number, argc: number): boolean {
    const { commands, key } = this.#range
    const a = batch.first[i]
    const there = batch.first[i + 1] - a
    const id = there === 0 ? -1 : this.#server.table.lookup(batch.bytes, batch.start[a], batch.length[a])
    if (this.#leftOut.has(id)) return false
    if (commands !== undefined && !this.#isOneOf(commands, batch, a, there, id)) return false
    if (key === undefined) return true
    key.enter?.(this.#part.name, batch.offset(i))
    return this.#touches(key, batch, a, there, argc, id)
  }

  #isOneOf(commands: ReadonlySet<string>, batch: Batch, a: number, there: number, id: number): boolean {
    if (there === 0) return false
    if (commands.has(lowerCase(batch, a))) return true
    return id >= 0 && there > 1 && this.#server.table.isContainer(id)
      ? commands.has(`${lowerCase(batch, a)}|${lowerCase(batch, a + 1)}`)
      : false
  }

  /** Whether a command for a wanted key does something in one of these databases, although another one is selected. */
  #reaches(databases: ReadonlySet<number>, batch: Batch, i: number): boolean {
    if (this.#range.key === undefined || this.#options.effects !== true) return false
    const a = batch.first[i]
    const there = batch.first[i + 1] - a
    if (there === 0) return false
    const number = (argument: number) => {
      const value = argument < there ? integerAt(batch, a + argument) : undefined
      return value !== undefined && databases.has(value)
    }
    switch (this.#server.table.lookup(batch.bytes, batch.start[a], batch.length[a])) {
      case ids.flushall:
        return true
      case ids.swapdb:
        return number(1) || number(2)
      case MOVE:
        return number(2)
      case COPY:
        for (let k = 3; k + 1 < there; k++) if (isWord(batch, a + k, 'db') && number(k + 1)) return true
        return false
      default:
        return false
    }
  }

  #touches(key: KeyTest, batch: Batch, a: number, there: number, argc: number, id: number): boolean {
    if (this.#options.effects === true && EFFECTS.has(id)) return true
    // Of a command that is not known, a module's, the first argument is taken for its key.
    if (id < 0) return there > 1 && key.test(batch.bytes, batch.start[a + 1], batch.length[a + 1])
    const container = this.#server.table.isContainer(id) && there > 1
    const sub = container
      ? this.#server.table.lookupSub(id, batch.bytes, batch.start[a + 1], batch.length[a + 1])
      : id
    const found = this.#server.table
      .keyPositions(sub, batch, a, argc)
      .filter(
        position =>
          position < there && key.test(batch.bytes, batch.start[a + position], batch.length[a + position]),
      )
    if (PASS_ON.has(id) && found.length === 1 && found[0] === 2) this.hasFormerNames = true
    return found.length > 0
  }
}

/** What is done to keys that are not named. */
const EFFECTS: ReadonlySet<number> = new Set([ids.flushall, ids.flushdb, ids.swapdb])
const MOVE = idOf('move')
const COPY = idOf('copy')
/** Bytes of commands after which they are handed on, in the middle of a window too. */
const MUCH = 1 << 20
/** Strings that take more are not kept where only their first bytes are wanted. */
const LONG_VALUE = 1 << 24
/** Bytes of a key that a message shows. */
const MAX_KEY = 60
const MODULE_VALUE = 7

/** Gives the commands that rebuild the entries of an RDB. */
class EntryPrinter {
  /** Bytes of the commands that were given since this was last set. */
  written = 0
  readonly #range: Wanted & Range
  readonly #visitor: PrintVisitor
  readonly #count: { left: number }
  readonly #judgement: Judgement
  readonly #reader: EntryReader
  readonly #rebuild: RebuildCommands
  readonly #rebuilt: Rebuilt
  readonly #source = new Slice()
  /** Version of the file. */
  #version = 0
  /** Offset of the entry whose value is taken. */
  #taken = -1

  constructor(
    part: string,
    range: Wanted & Range,
    keep: number | undefined,
    visitor: PrintVisitor,
    count: { left: number },
    judgement: Judgement,
  ) {
    this.#range = range
    this.#visitor = visitor
    this.#count = count
    this.#judgement = judgement
    this.#rebuild = new RebuildCommands(command => this.#give(command), {
      keep,
      payload: value => writePayload(MODULE_VALUE, value, this.#version),
    })
    this.#rebuilt = { part, offset: 0, db: 0, command: undefined as never }
    this.#reader = new EntryReader(
      {
        entry: entry => this.#entry(entry),
        damaged: (error, entry) => this.#damaged(error, entry),
      },
      { most: keep === undefined ? undefined : Math.max(keep, LONG_VALUE) },
    )
  }

  event(event: RdbEvent): void {
    if (event.kind === 'header') this.#version = event.version
    if (event.kind === 'function' || event.kind === 'function-pre-release')
      this.#functions(event.offset, event.bytes)
    else this.#reader.event(event)
  }

  /** Gives what there is of a value that the part ends in. */
  cut(): void {
    this.#rebuild.cut()
  }

  #wants(db: number, offset: number): boolean {
    const { databases, since, from, to } = this.#range
    if (this.#count.left <= 0 || since !== undefined || this.#visitor.done) return false
    return databases?.has(db) !== false && offset >= from && offset < to
  }

  #entry(entry: Entry): ElementSink | undefined {
    const { db, offset, key } = entry
    if (!this.#wants(db, offset)) return undefined
    const wanted = this.#range.key
    wanted?.enter?.(this.#rebuilt.part, offset)
    if (wanted?.test(key.bytes, key.at, key.length) === false) return undefined
    this.#rebuilt.db = db
    this.#rebuilt.offset = offset
    this.#taken = offset
    this.#rebuild.key(key, entry.expireAtMs)
    return this.#rebuild
  }

  #functions(offset: number, bytes: Uint8Array | undefined): void {
    if (!this.#wants(0, offset) || this.#range.key !== undefined) return
    try {
      if (bytes === undefined)
        throw corrupt('rdb.function.size', offset, 'a library of functions that is too long')
      librarySource(bytes, offset, this.#source)
    } catch (error) {
      if (!(error instanceof FormatError)) throw error
      this.#judgement.blame(error.kind, error.code, error.offset, error.message)
      return
    }
    this.#rebuilt.db = 0
    this.#rebuilt.offset = offset
    this.#rebuild.functions(this.#source)
  }

  #damaged(error: FormatError, entry: Entry | undefined): void {
    if (entry === undefined) {
      this.#judgement.blame(error.kind, error.code, error.offset, error.message)
      return
    }
    const { key, offset, db } = entry
    if (this.#taken === offset) this.#rebuild.cut()
    // One that was not taken may be one whose key cannot be read.
    else if (key.length > 0 || !this.#wants(db, offset)) return
    const message = `${error.message} (key "${escapeBytes(key.bytes.subarray(key.at, key.end), MAX_KEY)}")`
    this.#judgement.blame(error.kind, error.code, error.offset, message)
  }

  #give(command: Command): void {
    const { commands } = this.#range
    if (this.#count.left <= 0 || (commands !== undefined && !isOneOf(commands, command))) return
    this.#count.left--
    this.written += command.length
    this.#rebuilt.command = command
    this.#visitor.rebuilt(this.#rebuilt)
  }
}

function isOneOf(commands: ReadonlySet<string>, command: Command): boolean {
  const word = (a: number) =>
    Buffer.from(
      command.bytes.buffer,
      command.bytes.byteOffset + command.start[a],
      command.end[a] - command.start[a],
    )
      .toString('latin1')
      .toLowerCase()
  const name = word(0)
  if (commands.has(name)) return true
  return (name === 'xgroup' || name === 'function') && commands.has(`${name}|${word(1)}`)
}

function lowerCase(batch: Batch, argument: number): string {
  const start = batch.start[argument]
  return Buffer.from(batch.bytes.buffer, batch.bytes.byteOffset + start, Math.min(batch.length[argument], 64))
    .toString('latin1')
    .toLowerCase()
}
