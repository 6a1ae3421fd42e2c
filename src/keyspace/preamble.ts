import { corrupt, FormatError } from '../bytes/errors.ts'
import { SEED } from '../bytes/seed.ts'
import { Cursor } from '../rdb/cursor.ts'
import { HashTemplates } from '../rdb/encodings/template.ts'
import type { EntryBatch, RdbEvent } from '../rdb/events.ts'
import { FIRST_OPCODE, type Magic, valueType } from '../rdb/format.ts'
import { librarySource } from '../rdb/functions.ts'
import { lengthAt, lengthSize, NO_LENGTH } from '../rdb/length.ts'
import { Sieve } from '../rdb/sieve.ts'
import { INT8, LZF } from '../rdb/strings.ts'
import { ValueReader } from '../rdb/value-reader.ts'
import { type ElementSink, IgnoredElements, type Kind } from '../values/elements.ts'
import { Slice } from '../values/slice.ts'
import { Argument } from './argument.ts'
import { type Cell, CellKind } from './cells.ts'
import { EncodedPlace } from './encoded.ts'
import { hashInView } from './hash.ts'
import { type Keyspace, KIND_NAMES } from './keyspace.ts'
import type { Rejection } from './rejection.ts'
import { SHARDS, shardOfKey } from './shard.ts'
import { LONGEST_SHORT } from './types/strings.ts'
import { isPacked, UNPACKED_ZSETS, ZsetFiller } from './zset-filler.ts'

/** Who is told what cannot be taken from an RDB. */
export interface PreambleReport {
  /** @param key of the value that is damaged, empty when it cannot be read; undefined: it is no value. Void after the call */
  damaged(error: FormatError, key: Slice | undefined): void
  /** The key is there already; the value that it had stays. Void after the call */
  duplicate(offset: number, key: Slice): void
  /** A library of functions that servers refuse. */
  refused(offset: number, rejection: Rejection): void
}

const UNKEYED: ReadonlySet<RdbEvent['kind']> = new Set(['function', 'function-pre-release', 'module-aux'])
const STRING = 0
/** Types of hashes whose names stand elsewhere in the file: they cannot be decoded by themselves. */
const TEMPLATE_REFERENCES: ReadonlySet<string> = new Set([
  'hash-template-listpack-ref',
  'hash-template-array-ref',
])
/** All but those of modules, which are as long as they are. */
const SIEVED = ~(1 << 7)
/** Keys whose places are looked at together. */
const GROUP = 64
/** A length below is one byte. */
const SHORT_LENGTH = 0x40
/** Bytes behind a key that {@link hashInView} may read. */
const LOOKED_AT = 3
/** Bytes of the longest length. */
const LONGEST_HEAD = 9

/**
 * Puts what an RDB holds into the keyspace: a preamble, a base, or whatever part is one. Values stay encoded where they
 * stand, but each is known to be sound: the sieve has passed it, or it was decoded once to see.
 */
export class Preamble {
  readonly #keyspace: Keyspace
  readonly #report: PreambleReport
  readonly #part: number
  /** The half of the keyspace whose keys are taken; undefined: all are. */
  readonly #shard: number | undefined
  readonly #sieve = new Sieve(SEED)
  readonly #templates = new HashTemplates()
  readonly #reader = new ValueReader(this.#templates)
  readonly #cursor = new Cursor(Number.POSITIVE_INFINITY)
  readonly #probe = new Probe()
  readonly #zset: ZsetFiller
  #magic: Magic = 'REDIS'
  /** Of values, by type. */
  readonly #kinds = new Uint8Array(FIRST_OPCODE)
  readonly #references: boolean[] = []

  readonly #name = new Slice()
  readonly #key = new Argument()
  readonly #text = new Argument()
  readonly #place = new EncodedPlace()
  readonly #library = new Slice()
  readonly #hashes = new Int32Array(GROUP)
  /** The key whose value comes in pieces; 0: none does, or nobody wants it. */
  #cell: Cell = 0
  /** Whether that value is decoded. */
  #decoding = false

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
    if (!this.#isFirst && UNKEYED.has(event.kind)) return
    switch (event.kind) {
      case 'header':
        this.#begin(event.magic)
        return
      case 'resize':
        this.#keyspace.expect(this.#shard === undefined ? event.keys : event.keys / SHARDS)
        return
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
      case 'template':
        this.#define(event.bytes, event.offset)
        return
      case 'piece': {
        const { entries, first, bytes, from, to } = event
        if (first) this.#beginPieces(entries, bytes, from, to)
        if (this.#decoding) this.#feedPiece(bytes, from, to)
        return
      }
      case 'entries':
        if (event.inPieces) this.#endPieces(event.entries)
        else this.#batch(event.entries)
    }
  }

  /** Whether what is no key's is told here. */
  get #isFirst(): boolean {
    return this.#shard === undefined || this.#shard === 0
  }

  /** The RDB ends; in the middle of a value that is then not kept. */
  end(): void {
    this.#drop()
  }

  #batch(entries: EntryBatch): void {
    const { closely } = this.#sieve
    this.#sieve.look(entries, SIEVED)
    let next = 0
    for (let i = 0; i < entries.count; i++) {
      if (i % GROUP === 0) this.#touch(entries, i)
      const passed = next === closely.count || closely.offset[next] !== entries.offset[i]
      if (!passed) next++
      const hash = this.#hashes[i % GROUP]
      if (!this.#readKey(entries, i, hash) || !this.#isOurs()) continue
      if (this.#isNew(entries, i)) this.#takeValue(entries, i, passed)
    }
  }

  /** Looks together at where the next keys will be put. */
  #touch({ bytes, base, key, count, db }: EntryBatch, from: number): void {
    const hashes = this.#hashes
    const { view } = this.#text.of(bytes)
    const most = Math.min(GROUP, count - from)
    for (let k = 0; k < most; k++) {
      const at = key[from + k] - base
      const length = bytes[at]
      hashes[k] = isShort(bytes, at) ? hashInView(view, at + 1, length) : 0
    }
    this.#keyspace.touch(hashes, most, db)
  }

  /**
   * Reads the key of an entry; false when it cannot be, which is reported.
   *
   * @param hash of one that is short and plain, if it is known
   */
  #readKey(entries: EntryBatch, i: number, hash?: number): boolean {
    const { bytes, base } = entries
    const at = entries.key[i] - base
    const end = entries.value[i] - base
    const key = this.#key
    if (hash !== undefined && isShort(bytes, at)) {
      key.of(bytes, at + 1, end)
      key.hash = hash
      key.hashed = true
      return true
    }
    const name = this.#name
    try {
      if (at < 0 || end > bytes.length)
        throw corrupt('rdb.key.size', entries.offset[i], 'the key is too long to be read')
      this.#cursor.set(bytes, at, end, base + at)
      this.#cursor.string(name)
    } catch (error) {
      if (!(error instanceof FormatError)) throw error
      if (this.#isFirst) this.#report.damaged(error, name.set(NO_BYTES))
      return false
    }
    key.ofSlice(name)
    return true
  }

  /** Whether the key belongs to the half that is taken. */
  #isOurs(): boolean {
    return this.#shard === undefined || shardOfKey(this.#key) === this.#shard
  }

  #isNew({ db, offset }: EntryBatch, i: number): boolean {
    if (this.#keyspace.findKey(this.#key, db) === 0) return true
    this.#report.duplicate(offset[i], this.#key)
    return false
  }

  /** @param passed whether the sieve has found nothing to look at */
  #takeValue(entries: EntryBatch, i: number, passed: boolean): void {
    const { bytes, base } = entries
    const type = entries.type[i]
    const at = entries.value[i] - base
    if (type === STRING && bytes[at] !== LZF) {
      this.#takeString(entries, i, at)
      return
    }
    const kind = this.#kindOf(type)
    if (this.#references[type]) {
      this.#fill(entries, i, kind)
      return
    }
    const mayLoseSign = UNPACKED_ZSETS.has(type) && isPacked(lengthAt(bytes, at))
    const sound = kind === CellKind.Module || (passed && !mayLoseSign)
    if (sound || this.#probeValue(entries, i, kind)) this.#keep(entries, i, kind)
  }

  /** Decodes a value to see what is in it: true when it can stay as it is, else it is settled what becomes of it. */
  #probeValue(entries: EntryBatch, i: number, kind: CellKind): boolean {
    const probe = this.#probe
    if (!this.#decode(entries, i, probe) || probe.isEmpty) return false
    const losesSign = UNPACKED_ZSETS.has(entries.type[i]) && probe.losesSign
    if (!losesSign && !probe.isMiscounted) return true
    this.#fill(entries, i, kind, losesSign)
    return false
  }

  /** Makes the key, and decodes its value for good. */
  #fill(entries: EntryBatch, i: number, kind: CellKind, losesSign = false): void {
    const cell = this.#create(entries, i, kind)
    const sink = losesSign ? this.#zset.of(cell) : this.#keyspace.sink(cell)
    if (!this.#decode(entries, i, sink)) this.#keyspace.remove(cell)
    this.#keyspace.settle()
  }

  /** One that is not compressed: it is at hand at once. */
  #takeString(entries: EntryBatch, i: number, at: number): void {
    const { bytes } = entries
    const cell = this.#create(entries, i, CellKind.String)
    if (bytes[at] < INT8) {
      this.#referTo(cell, bytes, at, entries.value[i])
      return
    }
    this.#cursor.set(bytes, at, entries.end[i] - entries.base, entries.value[i])
    this.#cursor.string(this.#name)
    this.#keyspace.strings.set(cell, this.#text.ofSlice(this.#name))
  }

  /** Lets a plain string stay where it stands: its head, at least, is at `bytes[at]`. */
  #referTo(cell: Cell, bytes: Uint8Array, at: number, offset: number): void {
    const head = lengthSize(bytes[at])
    const text = this.#text.of(bytes, at + head, at + head + lengthAt(bytes, at))
    text.part = this.#part
    text.offset = offset + head
    this.#keyspace.strings.set(cell, text)
  }

  /** Makes the key with its value as it stands there. */
  #keep(entries: EntryBatch, i: number, kind: CellKind, length = entries.end[i] - entries.value[i]): Cell {
    const place = this.#placeOf(entries, i, length)
    if (isOpaque(kind)) {
      const cell = this.#create(entries, i, kind)
      this.#keyspace.opaques.setValue(cell, place)
      return cell
    }
    const cell = this.#keyspace.createEncoded(this.#key, kind, place, entries.db)
    this.#setExpiry(cell, entries, i)
    return cell
  }

  #create(entries: EntryBatch, i: number, kind: CellKind): Cell {
    const cell = this.#keyspace.create(this.#key, kind, entries.db)
    this.#setExpiry(cell, entries, i)
    return cell
  }

  #setExpiry(cell: Cell, { expiryWords, expireAtMs }: EntryBatch, i: number): void {
    // As a BigInt only where there is one.
    if ((expiryWords[2 * i] & expiryWords[2 * i + 1]) !== -1)
      this.#keyspace.setExpiryExact(cell, expireAtMs[i])
  }

  #placeOf(entries: EntryBatch, i: number, length: number): EncodedPlace {
    const place = this.#place
    place.part = this.#part
    place.offset = entries.value[i]
    place.length = length
    place.magic = this.#magic
    place.type = entries.type[i]
    return place
  }

  /** Decodes a value that is at hand; false when it is damaged, which is reported. */
  #decode({ type, value, end, bytes, base }: EntryBatch, i: number, sink: ElementSink): boolean {
    try {
      this.#reader.begin(this.#magic, type[i], value[i], sink)
      this.#reader.feed(bytes, value[i] - base, end[i] - base)
      this.#reader.finish()
      return true
    } catch (error) {
      if (!(error instanceof FormatError)) throw error
      this.#report.damaged(error, this.#key)
      return false
    }
  }

  #beginPieces(entries: EntryBatch, bytes: Uint8Array, from: number, to: number): void {
    this.#cell = 0
    this.#decoding = false
    if (!this.#readKey(entries, 0) || !this.#isOurs() || !this.#isNew(entries, 0)) return
    // The key is wanted again when the value turns out to be damaged.
    this.#key.of(this.#key.copy())
    const type = entries.type[0]
    const kind = this.#kindOf(type)
    if (type === STRING && canStay(bytes, from, to)) {
      this.#cell = this.#create(entries, 0, kind)
      this.#referTo(this.#cell, bytes, from, entries.value[0])
      return
    }
    const isReference = this.#references[type]
    this.#cell =
      isReference || isOpaque(kind) ? this.#create(entries, 0, kind) : this.#keep(entries, 0, kind, 0)
    if (kind === CellKind.Module) return
    try {
      const sink = isReference ? this.#keyspace.sink(this.#cell) : this.#probe
      this.#reader.begin(this.#magic, type, entries.value[0], sink)
      this.#decoding = true
    } catch (error) {
      this.#damagedPiece(error)
    }
  }

  #feedPiece(bytes: Uint8Array, from: number, to: number): void {
    try {
      this.#reader.feed(bytes, from, to)
    } catch (error) {
      this.#damagedPiece(error)
    }
  }

  #damagedPiece(error: unknown): void {
    if (!(error instanceof FormatError)) throw error
    this.#report.damaged(error, this.#key)
    this.#drop()
  }

  /** The value that came in pieces is whole: it is known where it ends. */
  #endPieces(entries: EntryBatch): void {
    if (this.#cell === 0) return
    const keyspace = this.#keyspace
    try {
      if (this.#decoding) this.#reader.finish()
    } catch (error) {
      this.#damagedPiece(error)
      return
    }
    const cell = this.#cell
    const place = this.#placeOf(entries, 0, entries.end[0] - entries.value[0])
    const kind = keyspace.kind(cell)
    if (isOpaque(kind)) keyspace.opaques.setValue(cell, place)
    else if (!keyspace.isEncoded(cell)) keyspace.settle()
    else if (this.#probe.isEmpty) keyspace.remove(cell)
    else {
      keyspace.setEncoded(cell, place)
      if (this.#probe.isMiscounted) keyspace.find(this.#key, entries.db)
    }
    this.#cell = 0
    this.#decoding = false
  }

  /** Gives up the value that comes in pieces. */
  #drop(): void {
    if (this.#cell !== 0) this.#keyspace.remove(this.#cell)
    this.#cell = 0
    this.#decoding = false
  }

  #begin(magic: Magic): void {
    this.#magic = magic
    for (let type = 0; type < FIRST_OPCODE; type++) {
      const { kind, name } = valueType(magic, type) ?? UNKNOWN
      this.#kinds[type] = KIND_NAMES.indexOf(kind)
      this.#references[type] = TEMPLATE_REFERENCES.has(name)
    }
  }

  #kindOf(type: number): CellKind {
    return this.#kinds[type] as CellKind
  }

  #define(bytes: Uint8Array | undefined, offset: number): void {
    try {
      if (bytes === undefined) throw corrupt('rdb.template', offset, 'a hash template too long to be kept')
      this.#templates.define(bytes, offset)
    } catch (error) {
      if (!(error instanceof FormatError)) throw error
      if (this.#isFirst) this.#report.damaged(error, undefined)
    }
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

/** What the walk does not let by. */
const UNKNOWN = { kind: 'module', name: '' } as const

const NO_BYTES = new Uint8Array(0)

/** Whether there is a key of less than 64 bytes, as it is, with more behind it than a hash looks at. */
function isShort(bytes: Uint8Array, at: number): boolean {
  return at >= 0 && bytes[at] < SHORT_LENGTH && at + SHORT_LENGTH + LOOKED_AT < bytes.length
}

function isOpaque(kind: CellKind): boolean {
  return kind === CellKind.Module || kind === CellKind.Array
}

/** Whether a string whose bytes are at hand up to `to` is plain, and need not be copied into its cell. */
function canStay(bytes: Uint8Array, from: number, to: number): boolean {
  if (from + LONGEST_HEAD > to || bytes[from] >= INT8 || lengthSize(bytes[from]) === NO_LENGTH) return false
  return lengthAt(bytes, from) > LONGEST_SHORT
}

/** Looks at a value that stays encoded. */
class Probe extends IgnoredElements {
  #isCollection = false
  #announced = -1
  #count = 0
  #longest = 0
  #negativeZero = false

  /** Whether it is a collection without elements, which is no key. */
  get isEmpty(): boolean {
    return this.#isCollection && this.#count === 0
  }

  /**
   * Whether it says to have more or fewer elements than it has. Such a value is decoded for good: who is given one of the
   * keyspace can rely on what is announced.
   */
  get isMiscounted(): boolean {
    return this.#isCollection && this.#announced >= 0 && this.#announced !== this.#count
  }

  /** Of a sorted set that is not packed: whether servers pack it as they load it, and change a -0. */
  get losesSign(): boolean {
    return this.#negativeZero && isPacked(this.#count, this.#longest)
  }

  override begin(kind: Kind, count: number): void {
    this.#announced = count
    this.#isCollection = kind !== 'string' && kind !== 'stream' && kind !== 'array'
    this.#count = 0
    this.#longest = 0
    this.#negativeZero = false
  }

  override item(): void {
    this.#count++
  }

  override member(): void {
    this.#count++
  }

  override scored({ length }: Slice, score: number): void {
    this.#count++
    if (length > this.#longest) this.#longest = length
    if (Object.is(score, -0)) this.#negativeZero = true
  }

  override field(): void {
    this.#count++
  }
}
