import type { Finding } from '../aof/finding.ts'
import { type Input, openPart, type Part } from '../aof/parts.ts'
import { type PartEnd, type PartVisitor, scanPart } from '../aof/scan.ts'
import { type FormatError, JobError } from '../bytes/errors.ts'
import { escapeBytes, escapeName } from '../bytes/escape.ts'
import type { Glob } from '../bytes/glob.ts'
import { type Entry, EntryReader } from '../rdb/entries.ts'
import type { EntryBatch, RdbEvent } from '../rdb/events.ts'
import type { LongRecord } from '../resp/long-record.ts'
import type { Batch } from '../resp/scanner.ts'
import {
  type ElementSink,
  IgnoredElements,
  type Kind,
  NO_EXPIRY,
  type StreamState,
} from '../values/elements.ts'
import type { Slice } from '../values/slice.ts'
import { DuplicateKeys } from './duplicate-keys.ts'
import { FirstFindings } from './first-findings.ts'

/** Which keys are wanted: those that meet every condition. */
export interface KeySelection {
  readonly key?: Glob | undefined
  readonly databases?: ReadonlySet<number> | undefined
  readonly types?: ReadonlySet<Kind> | undefined
}

/** A key of the keyspace. Void after the call that brings it. */
export interface Key {
  readonly db: number
  readonly key: Slice
  readonly kind: Kind
  /** Milliseconds since 1970, or `NO_EXPIRY`. */
  readonly expireAtMs: bigint
}

/** Takes values of keys. */
export interface KeySink extends ElementSink {
  /** Whether the last value has elements, or is a stream: servers have no other keys. */
  readonly exists: boolean
}

/** Who is given the keyspace. */
export interface KeyVisitor {
  /** The next key: who takes its value. */
  key(key: Key): KeySink
  /** The value of the last key breaks off, unless it had its `end`: its sink gets no more. */
  cut(): void
  /**
   * Something for which the log does not load as it is.
   * @param count how many of its code there are: this is the first
   */
  damage(finding: Finding, count: number): Promise<void>
  /** Called once a window, and when {@link full}, with the bytes read so far in all parts: time to write. */
  pause(bytes: number): Promise<void>
  /** Whether it has much to write: a window holds little of what may come out of it. */
  readonly full: boolean
  /** Whether it wants no more. */
  readonly done: boolean
}

export interface ReplayEnd {
  /** Libraries of functions. */
  readonly functions: number
  /** Commands that a server refuses. */
  readonly rejected: number
}

/**
 * Builds the keyspace of a log, and hands it on key by key. Logs of RDB parts alone, for now: where commands show at the
 * beginning of a part nothing is handed on.
 *
 * @throws JobError `replay.commands` when there are commands
 */
export async function replayLog(
  input: Input,
  selection: KeySelection,
  options: { readonly databases: number },
  visitor: KeyVisitor,
): Promise<ReplayEnd> {
  // What is no file can be read only once.
  for (const part of input.parts) if (part.size !== undefined) await refuseCommandsAtStart(part)
  let before = 0
  let functions = 0
  for (const part of input.parts) {
    const source = await openPart(part)
    try {
      const replay = new PartReplay(part, selection, visitor, before)
      await replay.close(await scanPart(source, replay, { databases: options.databases, values: true }))
      functions += replay.functions
      before = replay.reached
    } finally {
      await source.close()
    }
    if (visitor.done) break
  }
  return { functions, rejected: 0 }
}

/** A visitor of a part that wants nothing of it but to know whether it begins with commands. */
async function refuseCommandsAtStart(part: Part): Promise<void> {
  const source = await openPart(part)
  try {
    const records = (batch: Batch) => refuseCommands(part, batch)
    const long = (record: LongRecord) => refuse(part, record.offset)
    const visitor: PartVisitor = { rdb() {}, records, long, progress: () => true }
    await scanPart(source, visitor, { databases: Number.POSITIVE_INFINITY, values: true })
  } finally {
    await source.close()
  }
}

function refuseCommands(part: Part, batch: Batch): void {
  for (let i = 0; i < batch.count; i++) if (batch.argc(i) > 0) refuse(part, batch.offset(i))
}

function refuse(part: Part, offset: number): never {
  throw new JobError(
    'replay.commands',
    `${escapeName(part.name)}:${offset}: a command; this version replays RDB parts only`,
    'aofkit print shows the commands',
  )
}

/** Bytes of a key that a message shows. */
const MAX_KEY = 60

class PartReplay implements PartVisitor {
  functions = 0
  /** Bytes that were read, of this part and those before it. */
  reached: number
  readonly #part: Part
  readonly #selection: KeySelection
  readonly #visitor: KeyVisitor
  readonly #duplicates = new DuplicateKeys()
  /** Offsets of entries whose values have no elements. */
  readonly #empty: number[] = []
  readonly #before: number
  readonly #reader: EntryReader
  readonly #findings = new FirstFindings()
  /** Offset of the entry whose value is taken, and by whom. */
  #taken = -1
  #sink: KeySink | undefined
  /** Up to which the part was read when that was last told. */
  #offset = 0

  constructor(part: Part, selection: KeySelection, visitor: KeyVisitor, before: number) {
    this.#part = part
    this.#selection = selection
    this.#visitor = visitor
    this.#before = before
    this.reached = before
    this.#reader = new EntryReader({
      entry: entry => this.#entry(entry),
      damaged: (error, entry) => this.#damaged(error, entry),
    })
  }

  rdb(event: RdbEvent): void | Promise<void> {
    if (this.#visitor.done) return
    if (event.kind === 'function' || event.kind === 'function-pre-release') this.functions++
    this.#reader.event(event)
    if (event.kind === 'entries') this.#addKeys(event.entries)
    if (!this.#visitor.full) return
    return this.#visitor.pause(this.#before + this.#offset)
  }

  records(batch: Batch): void {
    refuseCommands(this.#part, batch)
  }

  long(record: LongRecord): void {
    refuse(this.#part, record.offset)
  }

  async progress(offset: number): Promise<boolean> {
    this.#offset = offset
    await this.#visitor.pause(this.#before + offset)
    return this.#visitor.done
  }

  /** The part was read as far as it can be. */
  async close({ error, offset }: PartEnd): Promise<void> {
    for (const { start, offset } of this.#duplicates.found())
      this.#blame('rdb.key.duplicate', offset, `key "${shown(start)}" was there before: servers do not start`)
    if (error !== undefined) {
      // It may be in the value that was taken.
      if (this.#taken >= 0) this.#visitor.cut()
      this.#blame(error.code, error.offset, error.message)
    }
    await this.#findings.report((first, count) => this.#visitor.damage(first, count))
    this.reached = this.#before + offset
  }

  #entry(entry: Entry): ElementSink | undefined {
    const { key, databases, types } = this.#selection
    this.#look()
    if (databases?.has(entry.db) === false || types?.has(entry.kind) === false) return undefined
    if (key !== undefined && !key.test(entry.key.bytes, entry.key.at, entry.key.length)) return undefined
    this.#taken = entry.offset
    this.#sink = this.#visitor.key(entry)
    return this.#sink
  }

  #damaged(error: FormatError, entry: Entry | undefined): void {
    if (entry === undefined) {
      this.#blame(error.code, error.offset, error.message)
      return
    }
    const { key, offset } = entry
    if (this.#taken === offset) this.#visitor.cut()
    // One that was not taken may be one whose key cannot be read.
    else if (key.length > 0) return
    this.#taken = -1
    const name = shown(key.bytes.subarray(key.at, key.end))
    this.#blame(error.code, error.offset, `${error.message} (key "${name}")`)
  }

  /** Looks at what became of the value that was taken last. */
  #look(): void {
    if (this.#taken >= 0 && this.#sink?.exists === false) this.#empty.push(this.#taken)
    this.#taken = -1
  }

  #addKeys(entries: EntryBatch): void {
    this.#look()
    this.#duplicates.add(entries, this.#empty)
    this.#empty.length = 0
  }

  #blame(code: string, offset: number, message: string): void {
    this.#findings.add({ code, severity: 'error', part: this.#part.name, offset, message })
  }
}

function shown(key: Uint8Array): string {
  return escapeBytes(key, MAX_KEY)
}

/** What a database holds. */
export interface DatabaseSummary {
  keys: number
  /** Keys that expire. */
  expires: number
  /** Keys of each type that there is. */
  readonly types: Map<Kind, number>
  /** Items, members, fields and entries; a string, or a module's value, is one. */
  elements: number
  /** Bytes of keys and of the strings in their values. */
  bytes: number
}

/** Counts what there is. */
export class KeyspaceSummary extends IgnoredElements implements KeySink {
  exists = false
  readonly databases = new Map<number, DatabaseSummary>()
  #db = 0
  #kind: Kind = 'string'
  #expires = false
  #keyBytes = 0
  #elements = 0
  #bytes = 0
  #counted = false

  /** Who takes the value of the key. */
  key(key: Key): this {
    this.#db = key.db
    this.#kind = key.kind
    this.#expires = key.expireAtMs !== NO_EXPIRY
    this.#keyBytes = key.key.length
    this.#elements = 0
    this.#bytes = 0
    this.exists = false
    this.#counted = false
    return this
  }

  override string(value: Slice): void {
    this.#add(value.length)
  }

  override item(value: Slice): void {
    this.#add(value.length)
  }

  override member(value: Slice): void {
    this.#add(value.length)
  }

  override scored(member: Slice, _score: number): void {
    this.#add(member.length)
  }

  override field(name: Slice, value: Slice, _expireAtMs: bigint): void {
    if (this.#kind === 'stream') this.#bytes += name.length + value.length
    else this.#add(name.length + value.length)
  }

  override entry(_ms: bigint, _seq: bigint, _fields: number): void {
    this.exists = true
    this.#elements++
  }

  override state(_state: StreamState): void {
    this.exists = true
  }

  override slot(_index: bigint, value: Slice): void {
    this.#add(value.length)
  }

  override raw(bytes: Slice): void {
    this.exists = true
    this.#bytes += bytes.length
  }

  override end(): void {
    this.cut()
  }

  /** The value breaks off: counts what there is of it. */
  cut(): void {
    if (!this.exists || this.#counted) return
    this.#counted = true
    let counts = this.databases.get(this.#db)
    if (counts === undefined) {
      counts = { keys: 0, expires: 0, types: new Map(), elements: 0, bytes: 0 }
      this.databases.set(this.#db, counts)
    }
    counts.keys++
    if (this.#expires) counts.expires++
    counts.types.set(this.#kind, (counts.types.get(this.#kind) ?? 0) + 1)
    counts.elements += this.#kind === 'module' ? 1 : this.#elements
    counts.bytes += this.#keyBytes + this.#bytes
  }

  #add(bytes: number): void {
    this.exists = true
    this.#elements++
    this.#bytes += bytes
  }
}
