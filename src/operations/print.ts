import { CONTROL_IDS, Context } from '../aof/context.ts'
import { type PartVisitor, scanPart } from '../aof/scan.ts'
import type { FormatError } from '../bytes/errors.ts'
import type { Glob } from '../bytes/glob.ts'
import type { Source } from '../bytes/source.ts'
import type { Magic } from '../rdb/format.ts'
import type { EntryBatch, RdbEvent } from '../rdb/walk.ts'
import type { LongRecord } from '../resp/long-record.ts'
import type { Batch } from '../resp/scanner.ts'
import type { CommandTable } from '../servers/commands.ts'
import type { LogServer } from './log-server.ts'

/** Which commands are wanted: those that meet every condition. */
export interface Selection {
  /** Lower-case names: `set`, `xgroup|create`. */
  readonly commands?: ReadonlySet<string> | undefined
  /** One of the command's keys matches. */
  readonly key?: Glob | undefined
  readonly databases?: ReadonlySet<number> | undefined
  /** Offset in the part, inclusive. */
  readonly from: number
  /** Offset in the part, exclusive. */
  readonly to: number
  /** Unix seconds, inclusive; a command has the time of the last timestamp before it in its part. */
  readonly since?: number | undefined
  readonly until?: number | undefined
}

/** A command that was selected; void after the call that brings it. */
export interface Selected {
  db: number
  time: number | undefined
  /** Where the command is, and its index there. */
  batch: Batch
  index: number
  /** Set when it is larger than the window: the batch then has only its first arguments. */
  long: LongRecord | undefined
}

/** Who is given what was selected. */
export interface PrintVisitor {
  /** True: enough. */
  command(selected: Selected): boolean | undefined | Promise<boolean | undefined>
  /** An entry of an RDB part: number `index` of a batch. True: enough. */
  entry(magic: Magic, entries: EntryBatch, index: number): boolean | undefined
  /** Called once a window, with the offset reached: time to write. True: enough. */
  pause(offset: number): Promise<boolean>
}

export interface PrintEnd {
  /** The visitor had enough. */
  readonly done: boolean
  /** What ended reading early: the part is damaged there. */
  readonly error: FormatError | undefined
  readonly format: 'resp' | 'rdb' | 'rdb+resp'
  /** Whether a timestamp was met. */
  readonly timed: boolean
}

/** Gives the commands of one part that are selected, and the entries of its RDB, in their order. */
export async function printPart(
  source: Source,
  selection: Selection,
  server: LogServer,
  databases: number,
  visitor: PrintVisitor,
): Promise<PrintEnd> {
  const printer = new PartPrinter(selection, server, databases, visitor)
  const end = await scanPart(source, printer, { databases })
  return {
    done: printer.done,
    error: printer.done ? undefined : end.error,
    format: end.format,
    timed: printer.timed,
  }
}

class PartPrinter implements PartVisitor {
  done = false
  readonly #selection: Selection
  readonly #server: LogServer
  readonly #visitor: PrintVisitor
  readonly #context: Context
  readonly #selected: Selected = {
    db: 0,
    time: undefined,
    batch: undefined as never,
    index: 0,
    long: undefined,
  }
  #table: CommandTable | undefined
  #magic: Magic = 'REDIS'

  constructor(selection: Selection, server: LogServer, databases: number, visitor: PrintVisitor) {
    this.#selection = selection
    this.#server = server
    this.#visitor = visitor
    this.#context = new Context(databases)
  }

  get timed(): boolean {
    return this.#context.time !== undefined
  }

  async records(batch: Batch): Promise<void> {
    for (let i = 0; i < batch.count && !this.done; i++) {
      if (batch.argc(i) === 0) {
        this.#context.annotation(batch, i)
        continue
      }
      if (!this.#wants(batch, i, batch.argc(i))) continue
      this.#selected.batch = batch
      this.#selected.index = i
      this.#selected.long = undefined
      const enough = this.#visitor.command(this.#selected)
      if (enough === true || (enough instanceof Promise && (await enough) === true)) this.done = true
    }
  }

  async long(record: LongRecord): Promise<void> {
    const batch = record.asBatch()
    if (this.done || !this.#wants(batch, 0, record.argc)) return
    this.#selected.batch = batch
    this.#selected.index = 0
    this.#selected.long = record
    if ((await this.#visitor.command(this.#selected)) === true) this.done = true
  }

  rdb(event: RdbEvent): void {
    if (event.kind === 'header') {
      this.#magic = event.magic
      this.#server.noteMagic(event.magic)
    }
    if (event.kind === 'aux') this.#server.noteAux(event.name, event.value)
    if (event.kind !== 'entries') return
    const { entries } = event
    const { databases, commands, since } = this.#selection
    if (databases?.has(entries.db) === false || commands !== undefined || since !== undefined) return
    for (let i = 0; i < entries.count && !this.done; i++) {
      if (entries.offset[i] < this.#selection.from || entries.offset[i] >= this.#selection.to) continue
      if (this.#selection.key !== undefined) {
        const key = entries.keyBytes(i)
        if (key === undefined || !this.#selection.key.test(key, 0, key.length)) continue
      }
      if (this.#visitor.entry(this.#magic, entries, i) === true) this.done = true
    }
  }

  async progress(offset: number): Promise<boolean> {
    if (await this.#visitor.pause(offset)) this.done = true
    return this.done || offset >= this.#selection.to
  }

  /** Follows the command, and says whether it is selected. */
  #wants(batch: Batch, i: number, argc: number): boolean {
    this.#table ??= this.#server.table
    const context = this.#context
    const { from, to, databases, since, until, commands, key } = this.#selection
    const a = batch.first[i]
    const there = batch.first[i + 1] - a
    const id = there === 0 ? -1 : this.#table.lookup(batch.bytes, batch.start[a], batch.length[a])
    // A SELECT belongs to the database that it leaves: the one in force where it stands.
    const db = context.db
    if (CONTROL_IDS.has(id)) context.control(batch, i, id)
    const offset = batch.offset(i)
    if (offset < from || offset >= to) return false
    if (databases?.has(db) === false) return false
    const { time } = context
    if (since !== undefined && (time === undefined || time < since)) return false
    // What stands before the first timestamp is older than it.
    if (until !== undefined && time !== undefined && time > until) return false
    if (commands !== undefined && !this.#isOneOf(commands, batch, a, there, id)) return false
    if (key !== undefined && !this.#touches(key, batch, a, there, argc, id)) return false
    this.#selected.db = db
    this.#selected.time = time
    return true
  }

  #isOneOf(commands: ReadonlySet<string>, batch: Batch, a: number, there: number, id: number): boolean {
    if (there === 0) return false
    if (commands.has(lowerCase(batch, a))) return true
    return id >= 0 && there > 1 && this.#table!.isContainer(id)
      ? commands.has(`${lowerCase(batch, a)}|${lowerCase(batch, a + 1)}`)
      : false
  }

  #touches(key: Glob, batch: Batch, a: number, there: number, argc: number, id: number): boolean {
    // Of a command that is not known, a module's, the first argument is taken for its key.
    if (id < 0) return there > 1 && key.test(batch.bytes, batch.start[a + 1], batch.length[a + 1])
    const container = this.#table!.isContainer(id) && there > 1
    const sub = container
      ? this.#table!.lookupSub(id, batch.bytes, batch.start[a + 1], batch.length[a + 1])
      : id
    return this.#table!.keyPositions(sub, batch, a, argc).some(
      position =>
        position < there && key.test(batch.bytes, batch.start[a + position], batch.length[a + position]),
    )
  }
}

function lowerCase(batch: Batch, argument: number): string {
  const start = batch.start[argument]
  return Buffer.from(batch.bytes.buffer, batch.bytes.byteOffset + start, Math.min(batch.length[argument], 64))
    .toString('latin1')
    .toLowerCase()
}
