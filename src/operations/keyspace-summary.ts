import { IgnoredElements, type Kind, NO_EXPIRY, type StreamState } from '../values/elements.ts'
import type { Slice } from '../values/slice.ts'
import type { Key, KeySink } from './keys.ts'

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
    const counts = this.#counts(this.#db)
    counts.keys++
    if (this.#expires) counts.expires++
    counts.types.set(this.#kind, (counts.types.get(this.#kind) ?? 0) + 1)
    counts.elements += this.#kind === 'module' ? 1 : this.#elements
    counts.bytes += this.#keyBytes + this.#bytes
  }

  /** Adds the counts of other keys. */
  add(databases: ReadonlyMap<number, DatabaseSummary>): void {
    for (const [db, { keys, expires, types, elements, bytes }] of databases) {
      const counts = this.#counts(db)
      counts.keys += keys
      counts.expires += expires
      for (const [kind, count] of types) counts.types.set(kind, (counts.types.get(kind) ?? 0) + count)
      counts.elements += elements
      counts.bytes += bytes
    }
  }

  #counts(db: number): DatabaseSummary {
    let counts = this.databases.get(db)
    if (counts === undefined) {
      counts = { keys: 0, expires: 0, types: new Map(), elements: 0, bytes: 0 }
      this.databases.set(db, counts)
    }
    return counts
  }

  #add(bytes: number): void {
    this.exists = true
    this.#elements++
    this.#bytes += bytes
  }
}
