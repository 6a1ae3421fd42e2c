import { parseTimestamp } from '../aof/annotation.ts'
import { CONTROL_IDS } from '../aof/context.ts'
import { JobError } from '../bytes/errors.ts'
import type { KeptSource } from '../bytes/source.ts'
import { LongRecord } from '../resp/long-record.ts'
import { Batch, Scanner, Stop } from '../resp/scanner.ts'
import { type CommandTable, ids } from '../servers/commands.ts'
import { Call } from './call.ts'
import type { Handler } from './commands/handler.ts'
import { handlersOf, nothing } from './commands/table.ts'
import { hashInView } from './hash.ts'
import type { Keyspace } from './keyspace.ts'
import { OpaqueCommands } from './opaque-commands.ts'
import { Rejection } from './rejection.ts'

/** Whether a command is passed over; never asked of annotations, `SELECT`, `MULTI` and the like. */
export type OmitCommand = (batch: Batch, i: number, argc: number) => boolean

/** Who is told what could not be carried out. */
export interface ReplayReport {
  /** The server refuses the command, and goes on. */
  rejected(offset: number, name: string, rejection: Rejection): void
  /** Nobody here knows what the command does. */
  unsupported(offset: number, name: string): void
}

/**
 * Commands whose keys are looked up together: what one waits for from memory comes while the others are looked at. More
 * would push each other out of the nearest cache.
 */
const GROUP = 64
/** Bytes of a transaction that are read at once when it has gone by. */
const CHUNK = 1 << 20

const WRONG_ARITY = new Rejection('ERR wrong number of arguments')
const NESTED_MULTI = new Rejection('ERR MULTI calls can not be nested')
const EXEC_ALONE = new Rejection('ERR EXEC without MULTI')

/**
 * Carries out the commands of a log's parts, in their order. A transaction counts when its EXEC is there, and not
 * before.
 */
export class Replayer {
  /** Commands that were carried out, those without effect included. */
  commands = 0
  readonly #keyspace: Keyspace
  readonly #table: CommandTable
  readonly #report: ReplayReport
  readonly #handlers: readonly (Handler | undefined)[]
  readonly #call: Call
  readonly #opaque: OpaqueCommands
  readonly #omit: OmitCommand | undefined
  /** Whether `#TS:` lines set the clock. */
  readonly #annotated: boolean
  #source: KeptSource | undefined
  /** Unix seconds of the last `#TS:`. */
  lastTimestamp: number | undefined
  /** Offset behind the MULTI whose EXEC was not met yet; -1: none. And of that MULTI. */
  #waiting = -1
  #multi = -1
  /** Index in the batch of the EXEC of the open transaction; -1: none is open. */
  #exec = -1

  /** By place in the group. */
  readonly #ids = new Int32Array(GROUP)
  readonly #hashes = new Int32Array(GROUP)
  readonly #keys = new Int32Array(GROUP)
  readonly #lengths = new Int32Array(GROUP)
  /** Whether what is known of the group is void: other records were looked at. */
  #void = false

  /**
   * @param annotated whether timestamps in the log set the clock
   * @param positions of the keys of commands that nobody here knows (`OpaqueCommands`)
   * @param omit which commands are passed over as if they were not there
   */
  constructor(
    keyspace: Keyspace,
    table: CommandTable,
    report: ReplayReport,
    annotated = true,
    positions: ReadonlyMap<string, number> = new Map(),
    omit?: OmitCommand,
  ) {
    this.#omit = omit
    this.#keyspace = keyspace
    this.#table = table
    this.#report = report
    this.#annotated = annotated
    this.#handlers = handlersOf(table, table.flags.length)
    this.#call = new Call(keyspace.store.extents)
    this.#opaque = new OpaqueCommands(keyspace, table, positions)
  }

  /** A part begins, or what follows its preamble. */
  enter(source: KeptSource): void {
    this.#source = source
    const part = this.#keyspace.store.extents.add(source)
    this.#call.enter(part)
    this.#opaque.part = part
    this.#keyspace.selected = 0
    this.#waiting = -1
    this.#exec = -1
  }

  /** Offset of the MULTI of the transaction that is open: what it queued was not carried out; -1: none. */
  get open(): number {
    return this.#waiting < 0 ? -1 : this.#multi
  }

  /** Whole records; they are void afterwards. */
  records(batch: Batch): void {
    this.#call.batch(batch)
    for (let from = 0; from < batch.count; ) {
      from = this.#group(batch, from, Math.min(batch.count, from + GROUP))
    }
  }

  /** A record larger than the window. */
  long(record: LongRecord): void {
    const head = record.asBatch()
    const id = head.first[1] > 0 ? this.#idOf(head, 0) : -1
    if (this.#waiting >= 0) return
    if (this.#omit?.(head, 0, record.argc) === true) return
    const handler = this.#handlers[id]
    if (id < 0 || handler === undefined) {
      this.#unsupported(head, 0, id, record.end, record)
      return
    }
    if (this.#keyspace.opaques.anyLoose && this.#opaque.keepLoose(head, 0, id, record.end)) return
    this.#call.long(record)
    this.#run(handler, id, record.argc)
  }

  /** Carries out records `from` to `to`, or up to a transaction that had to be read again; the one that is next. */
  #group(batch: Batch, from: number, to: number): number {
    const keyspace = this.#keyspace
    const { bytes, first, start, length } = batch
    const ids = this.#ids
    const hashes = this.#hashes
    const count = to - from
    const keys = this.#keys
    const lengths = this.#lengths
    const { view } = batch
    for (let k = 0; k < count; k++) {
      const a = first[from + k]
      const argc = first[from + k + 1] - a
      ids[k] = argc === 0 ? ANNOTATION : this.#table.lookup(bytes, start[a], length[a])
      lengths[k] = -1
      if (argc < 2) continue
      keys[k] = start[a + 1]
      lengths[k] = length[a + 1]
      hashes[k] = hashInView(view, start[a + 1], length[a + 1])
    }
    keyspace.prefetch(view, hashes, keys, lengths, count)
    this.#void = false
    for (let k = 0; k < count; k++) {
      this.#apply(batch, from + k, k)
      if (this.#void) return from + k + 1
    }
    return to
  }

  #apply(batch: Batch, i: number, k: number): void {
    const id = this.#ids[k]
    if (id === ANNOTATION) {
      this.#annotation(batch, i)
      return
    }
    if (id === ids.multi || id === ids.exec) {
      this.#control(batch, i, id)
      return
    }
    if (this.#waiting >= 0) return
    if (this.#omit !== undefined && !CONTROL_IDS.has(id) && this.#omit(batch, i, batch.argc(i))) return
    const handler = id < 0 ? undefined : this.#handlers[id]
    if (handler === undefined) {
      this.#unsupported(batch, i, id, batch.base + batch.record[i + 1])
      return
    }
    if (
      this.#keyspace.opaques.anyLoose &&
      this.#opaque.keepLoose(batch, i, id, batch.base + batch.record[i + 1])
    )
      return
    this.#call.record(batch, i, k, this.#hashes[k])
    this.#run(handler, id, this.#call.argc)
  }

  #run(handler: Handler, id: number, argc: number): void {
    this.commands++
    if (!this.#table.arityOk(id, argc)) {
      this.#report.rejected(this.#call.offset, this.#table.name(id), WRONG_ARITY)
      return
    }
    const rejection = handler(this.#call, this.#keyspace)
    if (rejection !== undefined) this.#report.rejected(this.#call.offset, this.#table.name(id), rejection)
    this.#keyspace.settle()
  }

  #unsupported(batch: Batch, i: number, id: number, end: number, long?: LongRecord): void {
    this.commands++
    if (id >= 0 && this.#table.isContainer(id) && batch.argc(i) > 1) {
      const a = batch.first[i] + 1
      const sub = this.#table.lookupSub(id, batch.bytes, batch.start[a], batch.length[a])
      const handler = sub < 0 ? undefined : this.#handlers[sub]
      if (handler !== undefined) {
        if (this.#keyspace.opaques.anyLoose && this.#opaque.keepLoose(batch, i, id, end)) return
        if (long === undefined) this.#call.record(batch, i, -1, 0)
        else this.#call.long(long)
        if (handler !== nothing) this.#run(handler, sub, this.#call.argc)
        return
      }
    }
    const kept = this.#opaque.keep(batch, i, id, end)
    if (kept === true) return
    const a = batch.first[i]
    const bytes = batch.bytes.subarray(batch.start[a], batch.start[a] + batch.length[a])
    const name = Buffer.from(bytes).toString('latin1')
    if (kept === false) this.#report.unsupported(batch.offset(i), name)
    else this.#report.rejected(batch.offset(i), name, kept)
  }

  #annotation(batch: Batch, i: number): void {
    const time = parseTimestamp(batch.bytes, batch.record[i], batch.record[i + 1])
    if (time === undefined) return
    this.lastTimestamp = time
    if (this.#annotated) this.#keyspace.clock = time * 1000
  }

  #idOf(batch: Batch, i: number): number {
    const a = batch.first[i]
    return this.#table.lookup(batch.bytes, batch.start[a], batch.length[a])
  }

  #control(batch: Batch, i: number, id: number): void {
    this.commands++
    const offset = batch.offset(i)
    if (id === ids.multi) {
      if (this.#waiting >= 0) return
      if (this.#exec >= 0) {
        this.#report.rejected(offset, 'multi', NESTED_MULTI)
        return
      }
      // Nearly always its EXEC is near, and what is between can be carried out at once.
      let exec = i + 1
      while (exec < batch.count && !(batch.argc(exec) > 0 && this.#idOf(batch, exec) === ids.exec)) exec++
      if (exec < batch.count) this.#exec = exec
      else {
        this.#multi = offset
        this.#waiting = batch.base + batch.record[i + 1]
      }
      return
    }
    if (this.#waiting >= 0) {
      const from = this.#waiting
      this.#waiting = -1
      this.#replayRange(from, offset)
      this.#call.batch(batch)
      this.#void = true
    } else if (this.#exec >= 0) this.#exec = -1
    else this.#report.rejected(offset, 'exec', EXEC_ALONE)
  }

  /** Carries out the records between two offsets of the part, which have gone by and were whole. */
  #replayRange(from: number, to: number): void {
    const source = this.#source as KeptSource
    const scanner = new Scanner()
    const bytes = new Uint8Array(CHUNK + SLACK)
    const batch = new Batch(CHUNK)
    this.#exec = 0
    for (let offset = from; offset < to; ) {
      const size = Math.min(CHUNK, to - offset)
      if (source.readAtSync(bytes.subarray(0, size), offset) < size) {
        throw new JobError('input.shrank', `${source.name} became shorter while it was read`)
      }
      batch.clear(bytes, offset)
      const end = scanner.scan(batch, 0, size, false)
      if (scanner.stop === Stop.Error) throw scanner.error
      if (batch.count === 0) {
        offset = this.#replayLong(source, bytes, offset, to)
        continue
      }
      this.records(batch)
      offset += end
    }
    this.#exec = -1
  }

  #replayLong(source: KeptSource, bytes: Uint8Array, from: number, to: number): number {
    const record = new LongRecord(from)
    let offset = from
    while (!record.done) {
      const size = Math.min(CHUNK, to - offset)
      source.readAtSync(bytes.subarray(0, size), offset)
      const used = record.feed(bytes, 0, size, offset + size === to, offset)
      if (record.error !== undefined) throw record.error
      offset += used
    }
    this.long(record)
    return record.end
  }
}

const ANNOTATION = -2
/** Bytes behind what is scanned that must be readable. */
const SLACK = 64
