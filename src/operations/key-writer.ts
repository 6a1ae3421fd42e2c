import { JobError } from '../bytes/errors.ts'
import { quoteBytes } from '../bytes/escape.ts'
import type { Magic } from '../rdb/format.ts'
import { auxFields, type Family, type Place, type RdbTarget } from '../rdb/targets.ts'
import { type EntryHead, RdbWriter, type WriteOptions } from '../rdb/writer.ts'
import { RecordOutput } from '../resp/output.ts'
import { Command } from '../values/command.ts'
import type { ElementSink } from '../values/elements.ts'
import { RebuildCommands } from '../values/rebuild.ts'
import type { Slice } from '../values/slice.ts'

/**
 * Writes a keyspace, as an RDB or as commands:
 *
 *     function …  (select  (entry → elements | copyValue more… | longString more…)…)…  finish
 *
 * Its bytes are drained as they come: see `RdbWriter`.
 */
export interface KeyWriter {
  /** Bytes so far, taken or not. */
  readonly size: number
  readonly pending: number
  /** Commands so far; of an RDB none. */
  readonly commands: number
  take(): Uint8Array
  /** A library of functions, by its source. */
  function(source: Slice): void
  /** The keys that follow are of this database. */
  select(db: number, keys: number, expires: number): void
  /** @param fieldsExpire whether a hash may have fields that expire; undefined where that is not known */
  entry(head: EntryHead, fieldsExpire: boolean | undefined): ElementSink
  /** Begins a key whose encoded value follows; false where it cannot stand here as it is. */
  copyValue(head: EntryHead, magic: Magic, type: number): boolean
  /** Begins a string that is too long to be held in memory, whose bytes follow; false where it is to be held. */
  longString(head: EntryHead, length: number): boolean
  /** The next bytes of what was begun. */
  more(bytes: Uint8Array, at: number, end: number): void
  finish(): void
}

/** Writes an RDB. */
export class RdbKeyWriter implements KeyWriter {
  readonly commands = 0
  readonly #writer: RdbWriter

  constructor(target: RdbTarget, place: Place, options: WriteOptions) {
    this.#writer = new RdbWriter(target, options)
    for (const [name, value] of auxFields(target, place)) this.#writer.aux(name, value)
  }

  get size(): number {
    return this.#writer.size
  }

  get pending(): number {
    return this.#writer.pending
  }

  take(): Uint8Array {
    return this.#writer.take()
  }

  /** A record with data of modules that belong to no key, as it stands in `bytes`. */
  moduleAux(bytes: Uint8Array): void {
    this.#writer.copyRecord('module-aux', bytes, 0, bytes.length)
  }

  function(source: Slice): void {
    this.#writer.function(source)
  }

  select(db: number, keys: number, expires: number): void {
    this.#writer.select(db)
    this.#writer.resize(keys, expires)
  }

  entry(head: EntryHead, fieldsExpire: boolean | undefined): ElementSink {
    return this.#writer.entry(head, fieldsExpire)
  }

  copyValue(head: EntryHead, magic: Magic, type: number): boolean {
    return this.#writer.copyValue(head, magic, type)
  }

  longString(head: EntryHead, length: number): boolean {
    this.#writer.longString(head, length)
    return true
  }

  more(bytes: Uint8Array, at: number, end: number): void {
    this.#writer.copyMore(bytes, at, end)
  }

  finish(): void {
    this.#writer.finish()
  }
}

/** Writes the commands that rebuild the keys. */
export class CommandKeyWriter implements KeyWriter {
  readonly #output = new RecordOutput()
  readonly #rebuild: RebuildCommands
  readonly #command = new Command()
  #selected = 0
  /** The key that is written. */
  #key: Slice | undefined

  /**
   * @param modules whose modules wrote the values that are kept as they are
   * @param payload as of `RebuildOptions`
   */
  constructor(target: RdbTarget, modules: Family | undefined, payload: (value: Uint8Array) => Uint8Array) {
    const known = {
      fieldExpiry: target.fieldExpiry !== undefined,
      streamCounts: target.streams > 1,
      functions: target.functions,
      redis88: false,
      refuse: (what: string): never => {
        const key = this.#key === undefined ? '' : ` of the key ${quoteBytes(bytesOf(this.#key))}`
        throw new JobError('rdb.target', `a log for ${target.name} cannot hold ${what}${key}`)
      },
    }
    this.#rebuild = new RebuildCommands(command => this.#output.command(command), {
      known,
      // HSETEX: Valkey 9.0, Redis 8.0.
      setWithExpiry: target.fieldExpiry === 'valkey' || target.vectorSets,
      payload: value =>
        target.family === undefined || target.family !== modules
          ? known.refuse('the value of a module')
          : payload(value),
    })
  }

  get size(): number {
    return this.#output.size
  }

  get pending(): number {
    return this.#output.pending
  }

  get commands(): number {
    return this.#output.records
  }

  take(): Uint8Array {
    return this.#output.take()
  }

  function(source: Slice): void {
    this.#rebuild.functions(source)
  }

  select(db: number): void {
    if (db === this.#selected) return
    this.#selected = db
    this.#start('SELECT').number(db)
    this.#output.command(this.#command)
  }

  entry({ key, expireAtMs }: EntryHead): ElementSink {
    this.#key = key
    this.#rebuild.key(key, expireAtMs)
    return this.#rebuild
  }

  copyValue(): boolean {
    return false
  }

  // The one who reads commands back holds one whole, and so may we.
  longString(): boolean {
    return false
  }

  more(): void {}

  finish(): void {}

  #start(name: string): Command {
    this.#command.clear()
    this.#command.text(name)
    return this.#command
  }
}

/** Bytes of a key that an error shows. */
const SHOWN_KEY = 64

function bytesOf({ bytes, at, end }: Slice): Uint8Array {
  return bytes.subarray(at, Math.min(end, at + SHOWN_KEY))
}
