import type { ServerName } from '../servers/servers.ts'
import { type ElementSink, IgnoredElements, type Kind, NO_EXPIRY } from '../values/elements.ts'
import { Slice } from '../values/slice.ts'
import { Argument } from './argument.ts'
import {
  type Cell,
  CellKind,
  ENCODED,
  KIND_BYTE,
  KIND_MASK,
  LONG_KEY,
  SHORT_KEY,
  segmentOfCell,
  Word,
  wordOf,
} from './cells.ts'
import { EncodedPlace, EncodedValues } from './encoded.ts'
import { Functions } from './functions.ts'
import { hashOf, withNumber } from './hash.ts'
import { KeyTable } from './key-table.ts'
import { Storage } from './storage.ts'
import { sameBytes } from './texts.ts'
import { Hashes } from './types/hashes.ts'
import { Lists } from './types/lists.ts'
import { type EncodedValue, Opaques, type Place } from './types/opaques.ts'
import { Sets } from './types/sets.ts'
import { Streams } from './types/streams.ts'
import { Strings } from './types/strings.ts'
import { MOST_PACKED_MEMBERS, Zsets } from './types/zsets.ts'
import { UNPACKED_ZSETS } from './zset-filler.ts'

const KEY_SHIFT = 16
const TWO_32 = 2 ** 32

/** The names of kinds, by number. */
export const KIND_NAMES: readonly (Kind | 'free')[] = [
  'free',
  'string',
  'list',
  'set',
  'zset',
  'hash',
  'stream',
  'module',
  'array',
]

export interface KeyspaceOptions {
  readonly databases: number
  readonly server: ServerName
  /** Keys, roughly: too many cost nothing but a little time. */
  readonly expected?: number
  /** `hll-sparse-max-bytes`, which logs do not tell. Default: servers' 3000. */
  readonly hllSparseMaxBytes?: number
}

/** What a database holds. */
interface Space {
  /** Never used again: a database that was flushed gets another one. */
  readonly number: number
  db: number
  keys: number
}

/**
 * All databases. A command works on the one that is {@link selected}: it asks for a key, and gets a number, its cell, or
 * 0 when there is no such key:
 *
 *     const cell = keyspace.find(call.at(1))
 *     if (cell !== 0 && keyspace.kind(cell) !== CellKind.Hash) return WRONGTYPE
 *
 * What stands in a cell is the business of the types: `keyspace.hashes`, … A collection without elements is removed
 * when the command is done (`settle`).
 *
 * Values from an RDB stay encoded, as they stand in the log, until a key is looked for with `find` or `open`. Who needs
 * the key only, whatever its value is, looks for it with `findKey`: of the cell that this gives nothing of the types may
 * be asked.
 */
export class Keyspace {
  readonly store = new Storage()
  readonly strings = new Strings(this.store)
  readonly hashes = new Hashes(this.store)
  readonly sets = new Sets(this.store)
  readonly zsets = new Zsets(this.store)
  readonly lists = new Lists(this.store)
  readonly streams = new Streams(this.store)
  /** Values of modules, arrays, and what unknown commands were given to. */
  readonly opaques = new Opaques(this.store)
  readonly functions = new Functions()
  /** What belongs to no key and cannot be interpreted, in order: data of modules, commands that name no key. */
  readonly unkeyed: Place[] = []
  /** How many databases there are. */
  readonly databases: number
  /** As which server commands are carried out, where servers differ. */
  readonly server: ServerName
  /** Bytes of a HyperLogLog that becomes dense when it needs more. */
  readonly hllSparseMaxBytes: number
  /** Whether {@link clock} was asked for before it was set: what depends on it is wrong. */
  clockMissed = false

  #clock: number | undefined
  #selected = 0
  readonly #table: KeyTable
  /** By database. */
  #spaces: Space[] = []
  /** Those that are set aside, by database. */
  #aside: Space[] = []
  /** By number. */
  readonly #live = new Map<number, Space>()
  #nextSpace = 0
  /** Keys of databases that were flushed, and whose cells were not given back yet. */
  #dead = 0
  readonly #filler = new Filler(this)
  readonly #encodedValues = new EncodedValues(this.store)
  readonly #place = new EncodedPlace()
  /** Not the one that others fill, who may be on the way. */
  readonly #decodedFiller = new Filler(this)

  constructor({ databases, server, expected = 0, hllSparseMaxBytes = 3000 }: KeyspaceOptions) {
    this.databases = databases
    this.server = server
    this.hllSparseMaxBytes = hllSparseMaxBytes
    this.#table = new KeyTable(expected)
  }

  /** Milliseconds since 1970, for times that are given relative to it; 0 until it is known. */
  get clock(): number {
    if (this.#clock === undefined) this.clockMissed = true
    return this.#clock ?? 0
  }

  get hasClock(): boolean {
    return this.#clock !== undefined
  }

  /** {@link clock}, where it is no harm when it is not known. */
  get roughClock(): number {
    return this.#clock ?? 0
  }

  set clock(ms: number) {
    this.#clock = ms
  }

  /** The database that commands work on. */
  get selected(): number {
    return this.#selected
  }

  set selected(db: number) {
    if (db !== this.#selected) this.#forget()
    this.#selected = db
  }

  /** Keys in all databases. */
  get size(): number {
    return this.#table.count - this.#dead
  }

  /** Keys of a database. */
  count(db: number): number {
    return this.#spaces[db]?.keys ?? 0
  }

  /** So many keys are said to come: no more than a hint. */
  expect(keys: number): void {
    this.#table.expect(keys)
  }

  /**
   * Looks at where keys with these hashes would be found, all at once, so that it is near when they are asked for.
   *
   * @param count at most {@link MOST_PREFETCHED}
   */
  touch(hashes: Int32Array, count: number, db: number): void {
    const { number } = this.#space(db)
    const mixed = this.#mixed
    for (let k = 0; k < count; k++) mixed[k] = withNumber(hashes[k], number)
    this.#table.touch(mixed, count)
  }

  /** The key's cell, with its value decoded; 0: there is none. */
  find(key: Argument, db: number = this.selected): Cell {
    const cell = this.findKey(key, db)
    if (cell !== 0 && this.isEncoded(cell)) this.#decode(cell)
    return cell
  }

  /** The same for those who only need the key: its value may be encoded, and nothing of the types can be asked then. */
  findKey(key: Argument, db: number = this.selected): Cell {
    if (key.place >= 0 && db === this.selected) {
      const near = this.#near[key.place]
      if (near !== 0) return near
    }
    const space = this.#space(db)
    const hash = withNumber(keyHash(key), space.number)
    for (let cell = this.#table.first(hash); cell !== 0; cell = this.#table.next(hash)) {
      if (this.#isKey(cell, hash, space.number, key)) return cell
    }
    return 0
  }

  /** Makes a key that is not there, with an empty value and without an expiry. */
  create(key: Argument, kind: CellKind, db: number = this.selected): Cell {
    const cell = this.#createKey(key, kind, db)
    this.#begin(cell, kind)
    return cell
  }

  #createKey(key: Argument, kindByte: number, db: number): Cell {
    const space = this.#space(db)
    const cell = this.store.cells.allocate()
    const words = this.store.cells.words[segmentOfCell(cell)]
    const start = wordOf(cell)
    words[start + Word.Meta] = kindByte
    words[start + Word.ExpiryLow] = -1
    words[start + Word.ExpiryHigh] = -1
    this.#setKey(cell, key, withNumber(keyHash(key), space.number), space.number)
    space.keys++
    return cell
  }

  /** Makes a key that is not there, without an expiry, whose value is found where it stands in the log. */
  createEncoded(key: Argument, kind: CellKind, value: EncodedValue, db: number = this.selected): Cell {
    const cell = this.#createKey(key, kind | ENCODED, db)
    this.#encodedValues.set(cell, value)
    return cell
  }

  /** The same with another place, for one that is encoded. */
  setEncoded(cell: Cell, value: EncodedValue): void {
    this.#encodedValues.set(cell, value)
  }

  /** Whether the value is as it stands in the log: what the types know of the cell means nothing then. */
  isEncoded(cell: Cell): boolean {
    const words = this.store.cells.words[segmentOfCell(cell)]
    return (words[wordOf(cell) + Word.Meta] & ENCODED) !== 0
  }

  /**
   * Where the value stands in the log, encoded as an RDB has it: whatever nobody has changed or looked into, unless it
   * is a plain string, and values of modules and arrays. False when it stands nowhere.
   */
  encoded(cell: Cell, place: EncodedPlace): boolean {
    if (this.isEncoded(cell)) {
      this.#encodedValues.read(cell, place)
      return true
    }
    const kind = this.kind(cell)
    if (kind !== CellKind.Module && kind !== CellKind.Array) return false
    const { opaques } = this
    const value = opaques.value(cell)
    if (value === undefined || opaques.covers(cell) || opaques.commands(cell) > 0) return false
    Object.assign(place, value)
    return true
  }

  #decode(cell: Cell): void {
    const kind = this.kind(cell)
    this.#encodedValues.read(cell, this.#place)
    this.#setKind(cell, kind)
    this.#begin(cell, kind)
    this.#decodedFiller.cell = cell
    const sink = kind === CellKind.Stream ? this.streams.sink(cell) : this.#decodedFiller
    const { type } = this.#place
    this.#encodedValues.decode(this.#place, sink, true)
    if (kind === CellKind.Zset && UNPACKED_ZSETS.has(type)) this.zsets.pack(cell)
  }

  /** The key's cell, which is made if there is none; 0: it holds another kind. */
  open(key: Argument, kind: CellKind): Cell {
    const cell = this.find(key)
    if (cell === 0) return this.create(key, kind)
    return this.kind(cell) === kind ? cell : 0
  }

  /** The key is gone; its cell is void. */
  remove(cell: Cell): void {
    const words = this.store.cells.words[segmentOfCell(cell)]
    const start = wordOf(cell)
    this.#forgetCell(cell)
    const space = this.#spaceOf(words[start + Word.Space])
    if (space === undefined) this.#dead--
    else space.keys--
    this.#release(cell)
    this.#table.remove(words[start + Word.Hash], cell)
    this.#freeKey(cell)
    this.store.cells.release(cell)
  }

  /** Gives the key another value, empty and of any kind. Its expiry stays. */
  replace(cell: Cell, kind: CellKind): void {
    this.#release(cell)
    this.#setKind(cell, kind)
    this.#begin(cell, kind)
  }

  #setKind(cell: Cell, kind: CellKind): void {
    const words = this.store.cells.words[segmentOfCell(cell)]
    const meta = wordOf(cell) + Word.Meta
    words[meta] = (words[meta] & ~KIND_BYTE) | kind
  }

  kind(cell: Cell): CellKind {
    return (this.store.cells.words[segmentOfCell(cell)][wordOf(cell) + Word.Meta] & KIND_MASK) as CellKind
  }

  /** Makes the slice the bytes of the key. */
  key(cell: Cell, slice: Slice): void {
    const segment = segmentOfCell(cell)
    const words = this.store.cells.words[segment]
    const start = wordOf(cell)
    const length = (words[start + Word.Meta] >>> KEY_SHIFT) & 0xff
    if (length !== LONG_KEY) {
      const from = (start + Word.Key) << 2
      slice.set(this.store.cells.bytes[segment], from, from + length)
      return
    }
    const size = words[start + Word.Key]
    this.store.texts.read(words[start + Word.Key + 1], size, 0, size, slice)
  }

  /** The database of a key. */
  database(cell: Cell): number {
    return this.#spaceOf(this.store.cells.words[segmentOfCell(cell)][wordOf(cell) + Word.Space])?.db ?? -1
  }

  hasExpiry(cell: Cell): boolean {
    const words = this.store.cells.words[segmentOfCell(cell)]
    const start = wordOf(cell)
    return (words[start + Word.ExpiryLow] & words[start + Word.ExpiryHigh]) !== -1
  }

  /** When the key expires, in milliseconds since 1970, exact; `NO_EXPIRY`: never. */
  expiry(cell: Cell): bigint {
    const words = this.store.cells.words[segmentOfCell(cell)]
    const start = wordOf(cell)
    return (BigInt(words[start + Word.ExpiryHigh]) << 32n) | BigInt(words[start + Word.ExpiryLow] >>> 0)
  }

  /** @param atMs an integer of at most 2^53 without its sign */
  setExpiry(cell: Cell, atMs: number): void {
    this.#setExpiry(cell, atMs | 0, Math.floor(atMs / TWO_32))
  }

  setExpiryExact(cell: Cell, atMs: bigint): void {
    this.#setExpiry(cell, Number(BigInt.asIntN(32, atMs)), Number(BigInt.asIntN(64, atMs) >> 32n))
  }

  clearExpiry(cell: Cell): void {
    this.#setExpiry(cell, -1, -1)
  }

  /** Gives the key another name, or another database. There must be none of that name. */
  rename(cell: Cell, to: Argument, db: number = this.selected): void {
    const words = this.store.cells.words[segmentOfCell(cell)]
    const start = wordOf(cell)
    const space = this.#space(db)
    this.#forgetCell(cell)
    const before = this.#spaceOf(words[start + Word.Space])
    if (before !== undefined) before.keys--
    space.keys++
    this.#table.remove(words[start + Word.Hash], cell)
    this.#freeKey(cell)
    this.#setKey(cell, to, withNumber(keyHash(to), space.number), space.number)
  }

  /** Makes a key that is not there with the value and the expiry of another. */
  copy(from: Cell, to: Argument, db: number = this.selected): Cell {
    if (this.#isCovered(from)) return this.#copyCovered(from, to, db)
    const cell = this.#copyValue(from, to, db)
    const source = this.store.cells.words[segmentOfCell(from)]
    const start = wordOf(from)
    this.#setExpiry(cell, source[start + Word.ExpiryLow], source[start + Word.ExpiryHigh])
    return cell
  }

  #copyValue(from: Cell, to: Argument, db: number): Cell {
    const kind = this.kind(from)
    if (this.isEncoded(from)) {
      this.#encodedValues.read(from, this.#place)
      return this.createEncoded(to, kind, this.#place, db)
    }
    const cell = this.create(to, kind, db)
    switch (kind) {
      case CellKind.String:
        this.strings.copy(from, cell)
        break
      case CellKind.Module:
      case CellKind.Array:
        this.opaques.copy(from, cell)
        break
      default:
        this.emit(from, this.sink(cell))
    }
    if (kind === CellKind.Zset && !this.zsets.isPacked(from)) this.zsets.unpack(cell)
    return cell
  }

  #isCovered(cell: Cell): boolean {
    return this.kind(cell) === CellKind.Module && this.opaques.covers(cell)
  }

  /** The same for a key that is {@link cover}ed: what is beneath is copied, too. */
  #copyCovered(from: Cell, to: Argument, db: number): Cell {
    const commands = Array.from({ length: this.opaques.commands(from) }, (_, i) =>
      this.opaques.command(from, i),
    )
    this.opaques.uncover(from)
    const cell = this.copy(from, to, db)
    for (const key of [from, cell]) {
      this.cover(key)
      for (const command of commands) this.opaques.addCommand(key, command)
    }
    return cell
  }

  /** Exchanges what two databases hold. */
  swap(a: number, b: number): void {
    const space = this.#space(a)
    this.#forget()
    const other = this.#space(b)
    space.db = b
    other.db = a
    this.#spaces[a] = other
    this.#spaces[b] = space
  }

  /** Empties a database. At once: cells are given back when there are enough of them. */
  flush(db: number): void {
    const space = this.#space(db)
    if (space.keys === 0) return
    this.#forget()
    this.#dead += space.keys
    this.#live.delete(space.number)
    this.#newSpace(db)
    if (this.#dead > LEAST_DEAD && this.#dead > this.size) this.#sweep()
  }

  flushAll(): void {
    for (const space of [...this.#spaces]) if (space !== undefined) this.flush(space.db)
  }

  /** Puts every key out of sight, until {@link takeBack}: commands find an empty keyspace, and no clock. */
  setAside(): void {
    this.#forget()
    this.#clock = undefined
    this.#aside = this.#spaces
    this.#spaces = []
  }

  /** What was set aside is there again, beside what has come since. No key may be in both. */
  takeBack(): void {
    this.#forget()
    const from = new Map(this.#aside.filter(space => space !== undefined).map(space => [space.number, space]))
    const { end, words } = this.store.cells
    const slice = this.#slice
    for (let i = 1; i < end; i++) {
      const cell = i | 0
      const segment = words[segmentOfCell(cell)]
      const start = wordOf(cell)
      if ((segment[start + Word.Meta] & KIND_MASK) === CellKind.Free) continue
      const before = from.get(segment[start + Word.Space])
      if (before === undefined) continue
      const space = this.#space(before.db)
      this.key(cell, slice)
      const hash = withNumber(hashOf(slice.bytes, slice.at, slice.end), space.number)
      this.#table.remove(segment[start + Word.Hash], cell)
      segment[start + Word.Hash] = hash
      segment[start + Word.Space] = space.number
      this.#table.add(hash, cell)
      space.keys++
    }
    for (const number of from.keys()) this.#live.delete(number)
    this.#aside = []
  }

  /** Calls `visit` with every key, in the order of cells, which is roughly that in which keys were made. */
  forEach(visit: (cell: Cell) => void): void {
    const { end } = this.store.cells
    for (let i = 1; i < end; i++) if (this.#isLive(i | 0)) visit(i | 0)
  }

  /** The key behind this one in the order of {@link forEach}; 0: there is none. @param cell 0: before the first */
  nextKey(cell: Cell): Cell {
    const { end } = this.store.cells
    for (let i = (cell >>> 0) + 1; i < end; i++) if (this.#isLive(i | 0)) return i | 0
    return 0
  }

  /** Makes a key opaque: what it holds stays beneath, and every command for it is to be kept. */
  cover(cell: Cell): void {
    this.opaques.cover(cell)
    this.#setKind(cell, CellKind.Module)
    this.opaques.loosen(cell)
  }

  /** Gives a key's value, element by element; one that is encoded stays so. */
  emit(cell: Cell, sink: ElementSink): void {
    if (this.isEncoded(cell)) {
      this.#encodedValues.read(cell, this.#place)
      this.#encodedValues.decode(this.#place, sink, true)
      return
    }
    switch (this.kind(cell)) {
      case CellKind.String:
        sink.begin('string', 1)
        this.strings.read(cell, this.#slice)
        sink.string(this.#slice)
        break
      case CellKind.Hash:
        this.hashes.emit(cell, sink)
        break
      case CellKind.Set:
        this.sets.emit(cell, sink)
        break
      case CellKind.Zset:
        this.zsets.emit(cell, sink)
        break
      case CellKind.List:
        this.lists.emit(cell, sink)
        break
      case CellKind.Stream:
        this.streams.emit(cell, sink)
        break
      case CellKind.Module:
      case CellKind.Array:
        this.#emitOpaque(cell, sink)
        return
      default:
        throw new RangeError(`kind ${this.kind(cell)}`)
    }
    sink.end()
  }

  /** Of a value that commands have changed what it was before them, and no end. */
  #emitOpaque(cell: Cell, sink: ElementSink): void {
    const { opaques } = this
    const value = opaques.value(cell)
    if (value === undefined) {
      sink.begin('module', -1)
      sink.raw(this.#slice.set(NOTHING))
    } else this.#encodedValues.decode(value, sink, opaques.commands(cell) === 0)
  }

  /** Who fills the empty value of a key; void when the next one is asked for. */
  sink(cell: Cell): ElementSink {
    if (this.kind(cell) === CellKind.Stream) return this.streams.sink(cell)
    this.#filler.cell = cell
    return this.#filler
  }

  /** After every command: removes the collections that it left without elements. */
  settle(): void {
    const { emptied } = this.store
    if (emptied.length === 0) return
    for (const cell of emptied) if (this.#isLive(cell) && this.length(cell) === 0) this.remove(cell)
    // To set its length takes ten times as long.
    while (emptied.length > 0) emptied.pop()
  }

  /** Elements of a collection, bytes of a string. Those of an encoded one are counted. */
  length(cell: Cell): number {
    if (this.isEncoded(cell)) {
      const counter = new Counter()
      this.emit(cell, counter)
      return counter.length
    }
    switch (this.kind(cell)) {
      case CellKind.String:
        return this.strings.length(cell)
      case CellKind.Hash:
        return this.hashes.length(cell)
      case CellKind.Set:
        return this.sets.length(cell)
      case CellKind.Zset:
        return this.zsets.length(cell)
      case CellKind.List:
        return this.lists.length(cell)
      default:
        return 1
    }
  }

  /**
   * Looks for the keys of the next commands together: at buckets, then at cells, then at the beginnings of values. Loops
   * that do little but touch them let the processor fetch many lines at once. What is found is what {@link find} gives
   * for arguments that have their `place` among them.
   *
   * @param hashes of the keys; `count` of them, at most {@link MOST_PREFETCHED}
   * @param start where each key begins in the view, behind which three bytes must be readable
   * @param length in bytes; -1: there is no key
   */
  prefetch(view: DataView, hashes: Int32Array, start: Int32Array, length: Int32Array, count: number): void {
    const { number } = this.#space(this.selected)
    const table = this.#table
    const mixed = this.#mixed
    const near = this.#near
    for (let k = 0; k < count; k++) mixed[k] = withNumber(hashes[k], number)
    table.touch(mixed, count)
    table.firsts(mixed, count, near)
    this.store.cells.touch(near, mixed, count)
    const words = this.store.cells.words
    const refs = this.#refs
    let blocks = 0
    for (let k = 0; k < count; k++) {
      const cell = near[k]
      if (cell === 0) continue
      const segment = words[segmentOfCell(cell)]
      const at = wordOf(cell)
      if (this.#isKeyInView(segment, at, mixed[k], number, view, start[k], length[k])) {
        const kind = segment[at + Word.Meta] & KIND_BYTE
        // Of a collection that is one block: others have how large they are in the third word.
        if (kind < CellKind.List || kind > CellKind.Hash || segment[at + Word.Value + 2] !== 0) continue
        refs[blocks++] = segment[at + Word.Value]
      } else near[k] = 0
    }
    this.touched = this.store.memory.touch(refs, blocks)
    this.#found = count
  }

  /** What was found is void: another database was selected, or is under that number. */
  #forget(): void {
    this.#near.fill(0)
  }

  /** The cell is no longer that of the key for which it was found. */
  #forgetCell(cell: Cell): void {
    const near = this.#near
    for (let k = 0; k < this.#found; k++) if (near[k] === cell) near[k] = 0
  }

  #isKeyInView(
    words: Int32Array,
    start: number,
    hash: number,
    space: number,
    view: DataView,
    at: number,
    length: number,
  ): boolean {
    if (words[start + Word.Hash] !== hash || words[start + Word.Space] !== space) return false
    if (((words[start + Word.Meta] >>> KEY_SHIFT) & 0xff) !== length || length > SHORT_KEY) return false
    let word = start + Word.Key
    let p = at
    const end = at + length
    for (; p + 4 <= end; p += 4) if (words[word++] !== view.getInt32(p, true)) return false
    if (p === end) return true
    return ((words[word] ^ view.getInt32(p, true)) & (0xffffff >>> ((p + 3 - end) << 3))) === 0
  }

  /** Of {@link prefetch}. */
  readonly #mixed = new Int32Array(MOST_PREFETCHED)
  readonly #refs = new Int32Array(MOST_PREFETCHED)
  /** The cells that were found; 0: none, or it is to be looked for again. */
  readonly #near = new Int32Array(MOST_PREFETCHED)
  #found = 0
  /** A sum of what was loaded, so that loading it has a result; it means nothing. */
  touched = 0
  readonly #slice = new Slice()

  #space(db: number): Space {
    return this.#spaces[db] ?? this.#newSpace(db)
  }

  #newSpace(db: number): Space {
    const space = { number: this.#nextSpace++, db, keys: 0 }
    this.#spaces[db] = space
    this.#live.set(space.number, space)
    return space
  }

  #spaceOf(number: number): Space | undefined {
    const selected = this.#spaces[this.selected]
    if (selected?.number === number) return selected
    return this.#live.get(number)
  }

  #isLive(cell: Cell): boolean {
    const words = this.store.cells.words[segmentOfCell(cell)]
    const start = wordOf(cell)
    if ((words[start + Word.Meta] & KIND_MASK) === CellKind.Free) return false
    return this.#dead === 0 || this.#spaceOf(words[start + Word.Space]) !== undefined
  }

  #isKey(cell: Cell, hash: number, space: number, key: Slice): boolean {
    const segment = segmentOfCell(cell)
    const words = this.store.cells.words[segment]
    const start = wordOf(cell)
    if (words[start + Word.Hash] !== hash || words[start + Word.Space] !== space) return false
    const { length } = key
    const kept = (words[start + Word.Meta] >>> KEY_SHIFT) & 0xff
    if (length <= SHORT_KEY) {
      const from = (start + Word.Key) << 2
      return kept === length && sameBytes(this.store.cells.bytes[segment], from, key.bytes, key.at, length)
    }
    return (
      kept === LONG_KEY &&
      words[start + Word.Key] === length &&
      this.store.texts.equals(words[start + Word.Key + 1], key)
    )
  }

  #setKey(cell: Cell, key: Slice, hash: number, space: number): void {
    const segment = segmentOfCell(cell)
    const words = this.store.cells.words[segment]
    const start = wordOf(cell)
    const { length, bytes, at: from } = key
    words[start + Word.Hash] = hash
    words[start + Word.Space] = space
    const meta = words[start + Word.Meta] & ~(0xff << KEY_SHIFT)
    if (length <= SHORT_KEY) {
      words[start + Word.Meta] = meta | (length << KEY_SHIFT)
      const target = this.store.cells.bytes[segment]
      const to = (start + Word.Key) << 2
      for (let i = 0; i < length; i++) target[to + i] = bytes[from + i]
    } else {
      words[start + Word.Meta] = meta | (LONG_KEY << KEY_SHIFT)
      words[start + Word.Key] = length
      words[start + Word.Key + 1] = this.store.texts.add(bytes, from, key.end)
    }
    this.#table.add(hash, cell)
  }

  #freeKey(cell: Cell): void {
    const words = this.store.cells.words[segmentOfCell(cell)]
    const start = wordOf(cell)
    if (((words[start + Word.Meta] >>> KEY_SHIFT) & 0xff) !== LONG_KEY) return
    this.store.texts.free(words[start + Word.Key + 1], words[start + Word.Key])
  }

  #setExpiry(cell: Cell, low: number, high: number): void {
    const words = this.store.cells.words[segmentOfCell(cell)]
    const start = wordOf(cell)
    words[start + Word.ExpiryLow] = low
    words[start + Word.ExpiryHigh] = high
  }

  #begin(cell: Cell, kind: CellKind): void {
    switch (kind) {
      case CellKind.String:
        this.strings.begin(cell)
        return
      case CellKind.Hash:
        this.hashes.begin(cell)
        break
      case CellKind.Set:
        this.sets.begin(cell)
        break
      case CellKind.Zset:
        this.zsets.begin(cell)
        break
      case CellKind.List:
        this.lists.begin(cell)
        break
      case CellKind.Stream:
        // An empty one stays.
        this.streams.begin(cell)
        return
      case CellKind.Module:
      case CellKind.Array:
        this.opaques.begin(cell)
        return
    }
    this.store.emptied.push(cell)
  }

  #release(cell: Cell): void {
    if (this.isEncoded(cell)) return
    switch (this.kind(cell)) {
      case CellKind.String:
        this.strings.release(cell)
        break
      case CellKind.Hash:
        this.hashes.release(cell)
        break
      case CellKind.Set:
        this.sets.release(cell)
        break
      case CellKind.Zset:
        this.zsets.release(cell)
        break
      case CellKind.List:
        this.lists.release(cell)
        break
      case CellKind.Stream:
        this.streams.release(cell)
        break
      case CellKind.Module:
      case CellKind.Array:
        if (this.opaques.uncover(cell)) this.#release(cell)
        break
    }
  }

  #sweep(): void {
    const { end } = this.store.cells
    const words = this.store.cells.words
    for (let i = 1; i < end; i++) {
      const cell = i | 0
      const segment = words[segmentOfCell(cell)]
      if ((segment[wordOf(cell) + Word.Meta] & KIND_MASK) === CellKind.Free) continue
      if (this.#spaceOf(segment[wordOf(cell) + Word.Space]) === undefined) this.remove(cell)
    }
  }
}

/** Hashes that {@link Keyspace.prefetch} takes at once. */
export const MOST_PREFETCHED = 128

/** Cells that may wait for being given back, however few keys there are. */
const LEAST_DEAD = 1 << 16

function keyHash(key: Argument): number {
  if (key.hashed) return key.hash
  key.hash = hashOf(key.bytes, key.at, key.end)
  key.hashed = true
  return key.hash
}

const NOTHING = new Uint8Array(0)

/** Fills the value of a key from a stream of elements. */
class Filler extends IgnoredElements {
  cell: Cell = 0
  readonly #keyspace: Keyspace
  readonly #argument = new Argument()
  readonly #value = new Argument()

  constructor(keyspace: Keyspace) {
    super()
    this.#keyspace = keyspace
  }

  override string(value: Slice): void {
    this.#keyspace.strings.set(this.cell, this.#argument.ofSlice(value))
  }

  override item(value: Slice): void {
    this.#keyspace.lists.pushBack(this.cell, this.#argument.ofSlice(value))
  }

  override member(value: Slice): void {
    this.#keyspace.sets.add(this.cell, this.#argument.ofSlice(value))
  }

  override scored(member: Slice, score: number): void {
    this.#keyspace.zsets.fill(this.cell, this.#argument.ofSlice(member), score)
  }

  override field(name: Slice, value: Slice, expireAtMs: bigint): void {
    const field = this.#argument.ofSlice(name)
    this.#keyspace.hashes.set(this.cell, field, this.#value.ofSlice(value))
    if (expireAtMs !== NO_EXPIRY) this.#keyspace.hashes.setExpiry(this.cell, field, expireAtMs)
  }

  override end(): void {
    const { cell } = this
    const keyspace = this.#keyspace
    if (keyspace.kind(cell) !== CellKind.Zset) return
    // One that was packed elsewhere, where more members are allowed.
    if (keyspace.zsets.length(cell) > MOST_PACKED_MEMBERS) keyspace.zsets.unpack(cell)
  }
}

/** Counts as `Keyspace.length` does. */
class Counter extends IgnoredElements {
  length = 0
  #ofStream = false

  override begin(kind: Kind): void {
    this.#ofStream = kind === 'stream'
    this.length = this.#ofStream ? 1 : 0
  }

  override string(value: Slice): void {
    this.length = value.length
  }

  override item(): void {
    this.length++
  }

  override member(): void {
    this.length++
  }

  override scored(): void {
    this.length++
  }

  override field(): void {
    if (!this.#ofStream) this.length++
  }
}
