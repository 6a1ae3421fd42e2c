import { FormatError } from '../bytes/errors.ts'
import { type Entry, EntryReader, type EntryVisitor } from '../rdb/entries.ts'
import type { EntryBatch, RdbEvent } from '../rdb/events.ts'
import { librarySource } from '../rdb/functions.ts'
import { lengthAt, lengthSize, NO_LENGTH } from '../rdb/length.ts'
import { type ElementSink, NO_EXPIRY } from '../values/elements.ts'
import { Slice } from '../values/slice.ts'
import { Argument } from './argument.ts'
import { type Cell, CellKind } from './cells.ts'
import { type Keyspace, KIND_NAMES } from './keyspace.ts'
import type { Rejection } from './rejection.ts'
import { shardOfKey } from './shard.ts'
import type { EncodedValue } from './types/opaques.ts'
import { UNPACKED_ZSETS, ZsetFiller } from './zset-filler.ts'

/** Who is told what cannot be taken from an RDB. */
export interface PreambleReport {
  /** @param key of the value that is damaged; undefined: it is no value. Void after the call */
  damaged(error: FormatError, key: Slice | undefined): void
  /** The key is there already; the value that it had stays. Void after the call */
  duplicate(offset: number, key: Slice): void
  /** A library of functions that servers refuse. */
  refused(offset: number, rejection: Rejection): void
}

const UNKEYED: ReadonlySet<RdbEvent['kind']> = new Set(['function', 'function-pre-release', 'module-aux'])
const STRING = 0
/** A string that begins with less is a length and its bytes. */
const ENCODED = 0xc0
/** Strings up to this length are copied into their cell. */
const LONGEST_COPIED = 16
/** Bytes of the longest length. */
const LONGEST_HEAD = 9
const NO_BYTES = new Uint8Array(0)

/** Puts what an RDB holds into the keyspace: a preamble, a base, or whatever part is one. */
export class Preamble implements EntryVisitor {
  readonly #keyspace: Keyspace
  readonly #report: PreambleReport
  readonly #part: number
  /** The half of the keyspace whose keys are taken; undefined: all are. */
  readonly #shard: number | undefined
  readonly #reader = new EntryReader(this)
  readonly #zset: ZsetFiller
  readonly #key = new Argument()
  readonly #text = new Argument()
  readonly #library = new Slice()
  /** The key whose value is being filled, and the offset of its entry; 0: none is. */
  #cell: Cell = 0
  #entry = -1
  /** Keys whose values stay encoded, and where these begin: where they end shows when the batch is done. */
  readonly #encoded: (Pick<EncodedValue, 'magic' | 'type' | 'offset'> & { readonly cell: Cell })[] = []
  /** The bytes at hand, and the offset of the first of them. */
  #bytes: Uint8Array = NO_BYTES
  #base = 0

  /**
   * @param part in which the RDB stands (`Extents.add`)
   * @param shard the half of the keyspace that this is (`SHARDS`); undefined: it is all of it
   */
  constructor(keyspace: Keyspace, part: number, report: PreambleReport, shard?: number) {
    this.#shard = shard
    this.#keyspace = keyspace
    this.#part = part
    this.#report = report
    this.#zset = new ZsetFiller(keyspace)
  }

  /** Takes what the walk through the RDB, with its values, has met. */
  event(event: RdbEvent): void {
    // What belongs to no key is for the first.
    if ((this.#shard ?? 0) > 0 && UNKEYED.has(event.kind)) return
    switch (event.kind) {
      case 'function':
      case 'function-pre-release':
        this.#addLibrary(event.bytes as Uint8Array, event.offset)
        return
      case 'module-aux':
        this.#keyspace.unkeyed.push({
          part: this.#part,
          offset: event.offset,
          length: event.end - event.offset,
        })
        return
      case 'piece':
        this.#bytes = event.bytes.subarray(0, event.to)
        this.#base = event.first ? event.entries.value[0] - event.from : 0
        this.#reader.event(event)
        return
      case 'entries':
        this.#bytes = event.entries.bytes
        this.#base = event.entries.base
        this.#reader.event(event)
        this.#settle()
        this.#keepEncoded(event.entries)
        return
      default:
        this.#reader.event(event)
    }
  }

  /** The RDB ends; in the middle of a value that is then not kept. */
  end(): void {
    if (this.#cell !== 0) this.#keyspace.remove(this.#cell)
    this.#cell = 0
    for (const { cell } of this.#encoded) this.#keyspace.remove(cell)
    this.#encoded.length = 0
  }

  entry(entry: Entry): ElementSink | undefined {
    const keyspace = this.#keyspace
    this.#settle()
    const key = this.#key.ofSlice(entry.key)
    if (this.#shard !== undefined && shardOfKey(key) !== this.#shard) return undefined
    if (keyspace.find(key, entry.db) !== 0) {
      this.#report.duplicate(entry.offset, entry.key)
      return undefined
    }
    const kind = KIND_NAMES.indexOf(entry.kind) as CellKind
    const cell = keyspace.create(key, kind, entry.db)
    if (entry.expireAtMs !== NO_EXPIRY) keyspace.setExpiryExact(cell, entry.expireAtMs)
    if (kind === CellKind.Module || kind === CellKind.Array) {
      this.#encoded.push({ cell, magic: entry.magic, type: entry.type, offset: entry.valueOffset })
      return undefined
    }
    this.#cell = cell
    this.#entry = entry.offset
    if (entry.type === STRING && this.#referTo(cell, entry.valueOffset)) return undefined
    if (UNPACKED_ZSETS.has(entry.type)) return this.#zset.of(cell)
    return keyspace.sink(cell)
  }

  damaged(error: FormatError, entry: Entry | undefined): void {
    // One whose key cannot be read was not begun.
    if (entry !== undefined && this.#cell !== 0 && entry.offset === this.#entry) {
      this.#keyspace.remove(this.#cell)
      this.#cell = 0
    }
    if (this.#isOurs(entry)) this.#report.damaged(error, entry?.key)
  }

  #isOurs(entry: Entry | undefined): boolean {
    if (this.#shard === undefined) return true
    return (entry === undefined ? 0 : shardOfKey(this.#key.ofSlice(entry.key))) === this.#shard
  }

  /** The last value is whole; a collection without elements is no key. */
  #settle(): void {
    this.#cell = 0
    this.#keyspace.settle()
  }

  /** Lets a plain string stay where it stands; false when it is not plain, or its head is not at hand. */
  #referTo(cell: Cell, offset: number): boolean {
    const bytes = this.#bytes
    const at = offset - this.#base
    if (at < 0 || at + LONGEST_HEAD > bytes.length || bytes[at] >= ENCODED) return false
    const head = lengthSize(bytes[at])
    if (head === NO_LENGTH) return false
    const length = lengthAt(bytes, at)
    const from = at + head
    if (length <= LONGEST_COPIED && from + length > bytes.length) return false
    const text = this.#text.of(bytes, from, from + length)
    text.part = this.#part
    text.offset = offset + head
    this.#keyspace.strings.set(cell, text)
    return true
  }

  /** The batch is done: it is known where its values end. */
  #keepEncoded({ count, value, end }: EntryBatch): void {
    let i = 0
    for (const { cell, magic, type, offset } of this.#encoded) {
      while (i < count && value[i] !== offset) i++
      this.#keyspace.opaques.setValue(cell, {
        part: this.#part,
        offset,
        length: end[i] - offset,
        magic,
        type,
      })
    }
    this.#encoded.length = 0
  }

  #addLibrary(record: Uint8Array, offset: number): void {
    try {
      librarySource(record, offset, this.#library)
    } catch (error) {
      if (!(error instanceof FormatError)) throw error
      this.#report.damaged(error, undefined)
      return
    }
    const rejection = this.#keyspace.functions.load(this.#library, false)
    if (rejection !== undefined) this.#report.refused(offset, rejection)
  }
}
