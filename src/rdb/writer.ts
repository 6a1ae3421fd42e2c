import { JobError } from '../bytes/errors.ts'
import { quoteBytes } from '../bytes/escape.ts'
import { type ElementSink, NO_EXPIRY } from '../values/elements.ts'
import { Slice } from '../values/slice.ts'
import { FIRST_OPCODE, HEADER_SIZE, type Magic, Opcode } from './format.ts'
import { lengthSize } from './length.ts'
import { Output } from './output.ts'
import { type Family, loadsAsItStands, type RdbTarget } from './targets.ts'
import { ValueWriter } from './value-writer.ts'

export interface WriteOptions {
  /** Whether strings are compressed where that saves something (`rdbcompression`). Default: true. */
  readonly compress?: boolean
  /**
   * Whose modules wrote values and data that are copied as they are: a target of the other family cannot have them.
   * Absent: nobody knows, so no target can.
   */
  readonly modules?: Family | undefined
}

/** What stands before the value of an entry. `Entry` of entries.ts is one. */
export interface EntryHead {
  readonly key: Slice
  /** Milliseconds since 1970, or `NO_EXPIRY`. */
  readonly expireAtMs: bigint
  /** Seconds since the last use, or -1; number of uses, logarithmic, or -1. */
  readonly idle: number
  readonly frequency: number
}

/** Records that can be copied as they stand. */
export type CopiedRecord = 'function' | 'module-aux'

/** Bytes of a key that an error shows. */
const SHOWN_KEY = 64

/**
 * Writes an RDB for a target, in the order of the calls:
 *
 *     new RdbWriter(target)
 *     aux …  function …
 *     (select  resize?  (entry → elements | copyEntry | copyValue | longString)…)…
 *     finish
 *
 * Its bytes are drained as they come, so that memory does not grow with the file:
 *
 *     if (writer.pending >= enough) await sink.write(writer.take())
 *
 * What `take` gives is valid until its next call: one may write on while it is being written to a disk. The same calls
 * give the same bytes, however they are drained. What the target cannot hold is a JobError `rdb.target`.
 */
export class RdbWriter {
  readonly target: RdbTarget
  readonly #output: Output
  readonly #values: ValueWriter
  readonly #modules: Family | undefined
  readonly #text = new Slice()
  #db = 0
  /** The beginning of the last key, for errors. */
  readonly #keyBytes = new Uint8Array(SHOWN_KEY)
  #keySize = 0

  constructor(target: RdbTarget, { compress = true, modules }: WriteOptions = {}) {
    this.target = target
    this.#modules = modules
    const output = new Output(compress)
    this.#output = output
    this.#values = new ValueWriter(target, output, modules, what => this.#refuseValue(what))
    const version = String(target.version).padStart(HEADER_SIZE - target.magic.length, '0')
    const header = Buffer.from(target.magic + version, 'latin1')
    output.raw(header, 0, header.length)
  }

  /** Bytes that are ready to be taken. */
  get pending(): number {
    return this.#output.pending
  }

  /** Bytes of the file so far, taken or not. */
  get size(): number {
    return this.#output.size
  }

  /** What is ready: a view, valid until the next call of `take`. */
  take(): Uint8Array {
    return this.#output.take()
  }

  aux(name: string, value: string): void {
    this.#output.byte(Opcode.Aux)
    this.#output.text(this.#text.set(Buffer.from(name)))
    this.#output.text(this.#text.set(Buffer.from(value)))
  }

  /** A library of functions, by its source. */
  function(source: Slice): void {
    this.#checkRecord('function')
    this.#output.byte(Opcode.Function)
    this.#output.text(source)
  }

  /** Copies a record as it stands in `bytes[at, end)`; more of it may follow, see {@link copyMore}. */
  copyRecord(kind: CopiedRecord, bytes: Uint8Array, at: number, end: number): void {
    this.#checkRecord(kind)
    this.#output.raw(bytes, at, end)
  }

  #checkRecord(kind: CopiedRecord): void {
    const { functions, family } = this.target
    if (kind === 'function' && !functions) throw this.#refused('functions')
    if (kind === 'module-aux' && (family === undefined || this.#modules !== family))
      throw this.#refused('data of modules')
  }

  /** Entries that follow are of this database. */
  select(db: number): void {
    this.#db = db
    this.#output.byte(Opcode.SelectDb)
    this.#output.length(db)
  }

  /** How many keys the database will have, and how many of them with an expiry: so servers need not grow their tables. */
  resize(keys: number, expires: number): void {
    this.#output.byte(Opcode.ResizeDb)
    this.#output.length(keys)
    this.#output.length(expires)
  }

  /**
   * An entry, whose value goes to the sink that is given, up to its `end`. Collections are best announced with their
   * count: else they stay in memory until their end. Large sorted sets load fastest from the greatest on.
   *
   * @param fieldsExpire whether a hash may have fields that expire; where that is not known, for a target that has such,
   *   a hash stays in memory until its end
   */
  entry(head: EntryHead, fieldsExpire?: boolean): ElementSink {
    const output = this.#output
    output.hold()
    const typeAt = this.#head(head, STRING)
    this.#values.start(typeAt, fieldsExpire)
    return this.#values
  }

  /**
   * Begins an entry whose encoded value is to be copied as it stands elsewhere, by {@link copyMore}. False, and nothing
   * is written, where {@link copyEntry} would say so.
   *
   * @param magic of the file that the value comes from
   */
  copyValue(head: EntryHead, magic: Magic, type: number): boolean {
    if (type === MODULE || !loadsAsItStands(this.target, magic, type)) return false
    this.#head(head, type)
    return true
  }

  /** Begins a string of so many bytes, which follow by {@link copyMore}: one that is too long to be held in memory. */
  longString(head: EntryHead, length: number): void {
    this.#head(head, STRING)
    this.#output.length(length)
  }

  /** Writes what stands before a value; the offset of its type. */
  #head({ key, expireAtMs, idle, frequency }: EntryHead, type: number): number {
    const output = this.#output
    if (expireAtMs !== NO_EXPIRY) {
      output.byte(Opcode.ExpireMs)
      output.int64(expireAtMs)
    }
    if (idle >= 0) {
      output.byte(Opcode.Idle)
      output.length(idle)
    }
    if (frequency >= 0) {
      output.byte(Opcode.Frequency)
      output.byte(frequency)
    }
    this.#keepKey(key)
    const typeAt = output.size
    output.byte(type)
    output.text(key)
    return typeAt
  }

  /** Takes the entry back whose value did not come to its end. False when part of it was taken already. */
  takeBack(): boolean {
    return this.#output.undo()
  }

  /**
   * Copies an entry as it stands in `bytes[at, end)`, with what stands before it; of a long one the rest may follow, see
   * {@link copyMore}, but its type must be there. False, and nothing is written, when it means something else to the
   * target, or does not load there: then it is to be decoded, and its elements written.
   *
   * @param magic of the file that it comes from
   */
  copyEntry(magic: Magic, bytes: Uint8Array, at: number, end: number): boolean {
    const typeAt = typeIn(bytes, at, end)
    if (typeAt < 0 || !loadsAsItStands(this.target, magic, bytes[typeAt])) return false
    if (bytes[typeAt] === MODULE) return false
    this.#output.raw(bytes, at, end)
    return true
  }

  /** The next bytes of what is being copied. */
  copyMore(bytes: Uint8Array, at: number, end: number): void {
    this.#output.raw(bytes, at, end)
  }

  /** The end mark and the checksum. */
  finish(): void {
    this.#output.byte(Opcode.End)
    this.#output.finish()
  }

  #keepKey({ bytes, at, length }: Slice): void {
    this.#keySize = length
    const count = Math.min(length, SHOWN_KEY)
    for (let i = 0; i < count; i++) this.#keyBytes[i] = bytes[at + i]
  }

  #refuseValue(what: string): never {
    const shown = this.#keyBytes.subarray(0, Math.min(this.#keySize, SHOWN_KEY))
    const key = `${quoteBytes(shown)}${this.#keySize > SHOWN_KEY ? `… (${this.#keySize} bytes)` : ''}`
    throw this.#refused(what, ` of the key ${key} in database ${this.#db}`)
  }

  #refused(what: string, where = ''): JobError {
    return new JobError('rdb.target', `an RDB for ${this.target.name} cannot hold ${what}${where}`)
  }
}

const STRING = 0
/** Decoded first, to see whose module it is. */
const MODULE = 7

/**
 * Index of the type of the entry at `bytes[at]`; -1 when `end` cuts it, or when something stands before it that is not
 * known to every server.
 */
function typeIn(bytes: Uint8Array, at: number, end: number): number {
  while (at < end) {
    const first = bytes[at]
    if (first === Opcode.ExpireMs) at += 9
    else if (first === Opcode.Expire) at += 5
    else if (first === Opcode.Frequency) at += 2
    else if (first === Opcode.Idle) at += 1 + (at + 1 < end ? lengthSize(bytes[at + 1]) : 1)
    else return first < FIRST_OPCODE ? at : -1
  }
  return -1
}
