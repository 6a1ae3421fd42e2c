import { parseTimestamp } from '../aof/annotation.ts'
import { CONTROL_IDS } from '../aof/context.ts'
import { JobError } from '../bytes/errors.ts'
import type { KeptSource } from '../bytes/source.ts'
import { LongRecord } from '../resp/long-record.ts'
import { Batch, Scanner, Stop } from '../resp/scanner.ts'
import { type CommandTable, ids } from '../servers/commands.ts'
import { Call } from './call.ts'
import { type Handler, nothing } from './commands/handler.ts'
import { handlersOf } from './commands/table.ts'
import { hashInView, hashOf } from './hash.ts'
import type { Keyspace } from './keyspace.ts'
import { OpaqueCommands } from './opaque-commands.ts'
import { Rejection } from './rejection.ts'
import { handlersOfShard, Place, Shard } from './shard.ts'

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
  #handlers: readonly (Handler | undefined)[]
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

  /** The half of the keyspace that this is; undefined: it is all of it. */
  #shard: Shard | undefined
  /** Whether another half counts the command, and reports on it. */
  #silent = false
  /** Whether the command that is next cannot be carried out by a half. */
  #stopped = false

  /** By place in the group. */
  readonly #records = new Int32Array(GROUP)
  readonly #places = new Uint8Array(GROUP)
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
   * @param shard the half of the keyspace that this is (`SHARDS`); undefined: it is all of it
   */
  constructor(
    keyspace: Keyspace,
    table: CommandTable,
    report: ReplayReport,
    annotated = true,
    positions: ReadonlyMap<string, number> = new Map(),
    omit?: OmitCommand,
    shard?: number,
  ) {
    this.#omit = omit
    this.#keyspace = keyspace
    this.#table = table
    this.#report = report
    this.#annotated = annotated
    this.#handlers = handlersOf(table, table.flags.length)
    this.#call = new Call(keyspace.store.extents)
    this.#opaque = new OpaqueCommands(keyspace, table, positions)
    if (shard === undefined) return
    this.#shard = new Shard(shard, table, this.#handlers, this.#opaque)
    this.#handlers = handlersOfShard(shard, table, this.#handlers)
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

  /**
   * Carries out whole records; they are void afterwards. How many of the batch were: not all, if this is a half of the
   * keyspace, and the next one needs both.
   *
   * @param first of those that are to be carried out
   */
  records(batch: Batch, first = 0): number {
    this.#call.batch(batch)
    for (let from = first; from < batch.count; ) {
      from = this.#group(batch, from)
      if (this.#stopped) return from
    }
    return batch.count
  }

  /** The keyspace has all keys from now on, where it was a half. */
  makeWhole(): void {
    this.#shard = undefined
    this.#silent = false
    this.#stopped = false
    this.#handlers = handlersOf(this.#table, this.#table.flags.length)
  }

  /** A record larger than the window; false when it was not carried out, as for {@link records}. */
  long(record: LongRecord): boolean {
    const head = record.asBatch()
    const id = head.first[1] > 0 ? this.#idOf(head, 0) : -1
    if (this.#waiting >= 0) return true
    if (this.#omit?.(head, 0, record.argc) === true) return true
    if (this.#shard !== undefined) {
      const place = this.#placeOfLong(this.#shard, record, head, id)
      if (place === Place.Nowhere) return false
      if (place === Place.Elsewhere) return true
      this.#silent = place === Place.Everywhere && this.#shard.index > 0
    }
    this.#applyLong(record, head, id)
    return true
  }

  #applyLong(record: LongRecord, head: Batch, id: number): void {
    const handler = this.#handlers[id]
    if (id < 0 || handler === undefined) {
      this.#unsupported(head, 0, id, record.end, record)
      return
    }
    if (this.#keyspace.opaques.anyLoose && this.#opaque.keepLoose(head, 0, id, record.end)) return
    this.#call.long(record)
    this.#run(handler, id, record.argc)
  }

  /**
   * Carries out the next records, up to one for which others had to be read again, or one that needs both halves; the one
   * that is next.
   */
  #group(batch: Batch, from: number): number {
    const keyspace = this.#keyspace
    const { bytes, first, start, length, view } = batch
    const ids = this.#ids
    const hashes = this.#hashes
    const keys = this.#keys
    const lengths = this.#lengths
    const shard = this.#shard
    let count = 0
    let next = from
    for (; next < batch.count && count < GROUP; next++) {
      const a = first[next]
      const argc = first[next + 1] - a
      const k = count
      const id = argc === 0 ? ANNOTATION : this.#table.lookup(bytes, start[a], length[a])
      const hash = argc < 2 ? 0 : hashInView(view, start[a + 1], length[a + 1])
      if (shard !== undefined && id !== ANNOTATION) {
        const place = shard.place(batch, next, id, argc, hash)
        if (place === Place.Elsewhere) continue
        this.#places[k] = place
      }
      count++
      this.#records[k] = next
      ids[k] = id
      hashes[k] = hash
      lengths[k] = -1
      if (argc < 2) continue
      keys[k] = start[a + 1]
      lengths[k] = length[a + 1]
    }
    keyspace.prefetch(view, hashes, keys, lengths, count)
    this.#void = false
    for (let k = 0; k < count; k++) {
      const i = this.#records[k]
      if (shard !== undefined) {
        const place = this.#places[k]
        // What is queued has its turn with EXEC.
        this.#stopped = place === Place.Nowhere && this.#waiting < 0
        this.#silent = place === Place.Everywhere && shard.index > 0
        if (this.#stopped) return i
      }
      this.#apply(batch, i, k)
      if (this.#stopped) return i
      if (this.#void) return i + 1
    }
    return next
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
    if (!this.#silent) this.commands++
    const rejection = this.#table.arityOk(id, argc) ? handler(this.#call, this.#keyspace) : WRONG_ARITY
    if (rejection !== undefined) this.#reject(this.#call.offset, this.#table.name(id), rejection)
    this.#keyspace.settle()
  }

  #reject(offset: number, name: string, rejection: Rejection): void {
    if (!this.#silent) this.#report.rejected(offset, name, rejection)
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
    const offset = batch.offset(i)
    if (id === ids.exec && this.#waiting >= 0 && this.#needsBoth(this.#waiting, offset)) {
      this.#call.batch(batch)
      this.#stopped = true
      return
    }
    if (!this.#silent) this.commands++
    if (id === ids.multi) {
      if (this.#waiting >= 0) return
      if (this.#exec >= 0) {
        this.#reject(offset, 'multi', NESTED_MULTI)
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
      this.#exec = 0
      this.#read(
        from,
        offset,
        queued => this.records(queued),
        record => this.long(record),
      )
      this.#exec = -1
      this.#call.batch(batch)
      this.#void = true
    } else if (this.#exec >= 0) this.#exec = -1
    else this.#reject(offset, 'exec', EXEC_ALONE)
  }

  /** Whether one of the records that were queued cannot be carried out by a half. */
  #needsBoth(from: number, to: number): boolean {
    const shard = this.#shard
    if (shard === undefined) return false
    let found = false
    this.#read(
      from,
      to,
      batch => {
        for (let i = 0; i < batch.count && !found; i++) {
          found = batch.argc(i) > 0 && this.#placeOf(shard, batch, i) === Place.Nowhere
        }
      },
      record => {
        const head = record.asBatch()
        const id = head.first[1] > 0 ? this.#idOf(head, 0) : -1
        found ||= this.#placeOfLong(shard, record, head, id) === Place.Nowhere
      },
    )
    return found
  }

  #placeOf(shard: Shard, batch: Batch, i: number): Place {
    const a = batch.first[i] + 1
    const argc = batch.argc(i)
    const hash = argc < 2 ? 0 : hashOf(batch.bytes, batch.start[a], batch.start[a] + batch.length[a])
    return shard.place(batch, i, this.#idOf(batch, i), argc, hash)
  }

  #placeOfLong(shard: Shard, record: LongRecord, head: Batch, id: number): Place {
    const hash = head.argc(0) < 2 ? 0 : hashOf(head.bytes, head.start[1], head.start[1] + head.length[1])
    return shard.place(head, 0, id, record.argc, hash)
  }

  /** Reads the records between two offsets of the part again, which have gone by and were whole. */
  #read(from: number, to: number, records: (batch: Batch) => void, long: (record: LongRecord) => void): void {
    const source = this.#source as KeptSource
    const scanner = new Scanner()
    const bytes = new Uint8Array(CHUNK + SLACK)
    const batch = new Batch(CHUNK)
    for (let offset = from; offset < to; ) {
      const size = Math.min(CHUNK, to - offset)
      if (source.readAtSync(bytes.subarray(0, size), offset) < size) {
        throw new JobError('input.shrank', `${source.name} became shorter while it was read`)
      }
      batch.clear(bytes, offset)
      const end = scanner.scan(batch, 0, size, false)
      if (scanner.stop === Stop.Error) throw scanner.error
      if (batch.count === 0) {
        const record = readLong(source, bytes, offset, to)
        long(record)
        offset = record.end
        continue
      }
      records(batch)
      offset += end
    }
  }
}

function readLong(source: KeptSource, bytes: Uint8Array, from: number, to: number): LongRecord {
  const record = new LongRecord(from)
  let offset = from
  while (!record.done) {
    const size = Math.min(CHUNK, to - offset)
    source.readAtSync(bytes.subarray(0, size), offset)
    const used = record.feed(bytes, 0, size, offset + size === to, offset)
    if (record.error !== undefined) throw record.error
    offset += used
  }
  return record
}

const ANNOTATION = -2
/** Bytes behind what is scanned that must be readable. */
const SLACK = 64
