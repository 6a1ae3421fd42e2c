import { integerIn } from '../../bytes/decimal.ts'
import { listpackElementSize } from '../../rdb/encodings/listpack.ts'
import {
  type ElementSink,
  IgnoredElements,
  NO_EXPIRY,
  PASSED_OVER,
  type StreamState,
} from '../../values/elements.ts'
import { Slice } from '../../values/slice.ts'
import { Argument } from '../argument.ts'
import { type Cell, segmentOfCell, Word, wordOf } from '../cells.ts'
import { at, LARGEST, segmentOf } from '../memory.ts'
import type { Storage } from '../storage.ts'
import { get32, packedSize, put32, sizeOf, Values } from '../values.ts'
import { Group, HANDED_BACK, Idempotence } from './stream-groups.ts'
import { high, Id, low } from './stream-id.ts'

/*
 * Streams. A cell has the ref of a head and the number of what groups and producers there are (0: none). Words:
 *
 *     head   length (2: a double)  entries added (2: low, high)  last id (4)  first id (4)  highest deleted id (4)
 *            index: ref, bytes  first node  end of the nodes  empty nodes
 *     index  for each node: ref, bytes
 *     node   id (4)  entries  deleted ones  bytes to a server  where the first entry begins  last id (4)
 *            number of names  bytes of names,  then elements (names), then entries
 *
 * An entry is flags (1), its size behind this (count), milliseconds from the node's (half), sequence number (half), then
 * its values as elements; with other names than the node's: number of names (count), bytes of names (count), names,
 * values. Entries that are deleted stay until their node has no others, as they do in servers, which decide by nodes what
 * `~` trims: so a node ends where a server would end it. An empty node consists of its id.
 */
const Head = {
  Length: 0,
  Added: 2,
  Last: 4,
  First: 8,
  Deleted: 12,
  Index: 16,
  IndexBytes: 17,
  From: 18,
  To: 19,
  Empty: 20,
} as const
const HEAD_BYTES = 84
const Node = { Id: 0, Live: 4, Deleted: 5, Served: 6, First: 7, Last: 8, Names: 12, NamesBytes: 13 } as const
const NODE_BYTES = 56
/** Bytes of a node without entries. */
const EMPTY_BYTES = 16
const SMALLEST_INDEX = 16
/** Empty nodes are removed when they are so many, and half of all. */
const LEAST_EMPTY = 16
/** So many nodes at the front of an index that are gone make it worth moving the others. */
const LEAST_GONE = 16

const DELETED = 1
const SAME_NAMES = 2

/** As servers are set up: a node that has so many bytes with the next entry, or entries, gets no more. */
const MOST_BYTES = 4096
const MOST_ENTRIES = 100
/** Servers take no larger entry. */
export const LARGEST_ENTRY = 2 ** 30

/** Of a listpack: head and end; the numbers of live and of deleted entries, and the 0 behind the names. */
const SERVED_FRAME = 7 + 3 * 2
const TWO_32 = 2 ** 32

/*
 * Elements are values (values.ts) or, where that is shorter, integers of 16, 32, 48 or 64 bits.
 */
const INT_16 = 0x90
const INT_32 = 0x91
const INT_48 = 0x92
const INT_64 = 0x93
/** Shorter texts are as short as they are. */
const SHORTEST_INTEGER = 4
const LONGEST_INTEGER = 20

/** What a stream has besides its entries. */
export interface Readers {
  /** Each character of a name is a byte. */
  readonly groups: Map<string, Group>
  idempotence: Idempotence | undefined
}

export class Streams {
  readonly #store: Storage
  readonly #values: Values
  /** By number. */
  readonly #readers: (Readers | undefined)[] = [undefined]
  readonly #freeReaders: number[] = []
  readonly #names = new Packer()
  readonly #fields = new Packer()
  readonly #head = new Packer()
  #count = 0
  /** Bytes of names and values of the entry that is being made, as they came, and as a server packs them. */
  #size = 0
  #servedNames = 0
  #servedValues = 0
  /** Whether names of it are kept elsewhere, so that packed bytes do not tell whether they are the same. */
  #farNames = false

  readonly #id = new Id()
  readonly #node = new Id()
  /** Of the node to which an entry is added: while another stream is copied, what is open stays so. */
  readonly #tail = new Id()
  readonly #slice = new Slice()
  readonly #element = new Slice()
  readonly #name = new Slice()
  readonly #filler: StreamFiller

  /** The node that is looked at ({@link #open}): its bytes begin here. */
  #bytes: Uint8Array = PASSED_OVER
  #base = 0
  /** The entry that was found ({@link #next}), from the beginning of the node; what it has begins at `#content`. */
  #entry = 0
  #entryEnd = 0
  #content = 0

  constructor(store: Storage) {
    this.#store = store
    this.#values = new Values(store)
    this.#filler = new StreamFiller(this)
  }

  begin(cell: Cell): void {
    const { memory, texts } = this.#store
    const head = memory.allocate(HEAD_BYTES)
    const words = memory.words[segmentOf(head)]
    const from = at(head) >>> 2
    words.fill(0, from, from + (HEAD_BYTES >>> 2))
    words[from + Head.Index] = texts.create(SMALLEST_INDEX)
    words[from + Head.IndexBytes] = SMALLEST_INDEX
    const cellWords = this.#store.cells.words[segmentOfCell(cell)]
    cellWords[wordOf(cell) + Word.Value] = head
    cellWords[wordOf(cell) + Word.Value + 1] = 0
  }

  release(cell: Cell): void {
    const { memory, texts } = this.#store
    const words = this.#words(cell)
    const h = this.#at(cell)
    for (let i = words[h + Head.From]; i < words[h + Head.To]; i++) this.#freeNode(words, h, i)
    texts.free(words[h + Head.Index], words[h + Head.IndexBytes])
    const cellWords = this.#store.cells.words[segmentOfCell(cell)]
    const number = cellWords[wordOf(cell) + Word.Value + 1]
    if (number !== 0) {
      this.#readers[number] = undefined
      this.#freeReaders.push(number)
    }
    memory.free(cellWords[wordOf(cell) + Word.Value])
  }

  /** Entries. */
  length(cell: Cell): number {
    const head = this.#store.cells.words[segmentOfCell(cell)][wordOf(cell) + Word.Value]
    return this.#store.memory.views[segmentOf(head)].getFloat64(at(head), true)
  }

  #setLength(cell: Cell, length: number): void {
    const head = this.#store.cells.words[segmentOfCell(cell)][wordOf(cell) + Word.Value]
    this.#store.memory.views[segmentOf(head)].setFloat64(at(head), length, true)
  }

  /** Makes the id the last one that was given. */
  lastId(cell: Cell, id: Id): Id {
    return id.read(this.#words(cell), this.#at(cell) + Head.Last)
  }

  setLastId(cell: Cell, id: Id): void {
    id.write(this.#words(cell), this.#at(cell) + Head.Last)
  }

  /** Makes the id that of the first entry; of an empty stream, 0-0. */
  firstId(cell: Cell, id: Id): Id {
    return id.read(this.#words(cell), this.#at(cell) + Head.First)
  }

  setFirstId(cell: Cell, id: Id): void {
    id.write(this.#words(cell), this.#at(cell) + Head.First)
  }

  maxDeletedId(cell: Cell, id: Id): Id {
    return id.read(this.#words(cell), this.#at(cell) + Head.Deleted)
  }

  setMaxDeletedId(cell: Cell, id: Id): void {
    id.write(this.#words(cell), this.#at(cell) + Head.Deleted)
  }

  entriesAdded(cell: Cell): bigint {
    const words = this.#words(cell)
    const added = this.#at(cell) + Head.Added
    return (BigInt(words[added + 1] >>> 0) << 32n) | BigInt(words[added] >>> 0)
  }

  setEntriesAdded(cell: Cell, count: bigint): void {
    const words = this.#words(cell)
    const added = this.#at(cell) + Head.Added
    words[added] = low(count)
    words[added + 1] = high(count)
  }

  /** Groups and producers; undefined: there are none. */
  readers(cell: Cell): Readers | undefined {
    return this.#readers[this.#store.cells.words[segmentOfCell(cell)][wordOf(cell) + Word.Value + 1]]
  }

  group(cell: Cell, name: string): Group | undefined {
    return this.readers(cell)?.groups.get(name)
  }

  /** Groups and producers, of whom there may be none yet. */
  makeReaders(cell: Cell): Readers {
    const there = this.readers(cell)
    if (there !== undefined) return there
    const number = this.#freeReaders.pop() ?? this.#readers.length
    const readers = { groups: new Map<string, Group>(), idempotence: undefined }
    this.#readers[number] = readers
    this.#store.cells.words[segmentOfCell(cell)][wordOf(cell) + Word.Value + 1] = number
    return readers
  }

  /** An entry is made: {@link field} follows for each of its fields, then {@link add} or {@link append}. */
  start(): void {
    this.#names.clear()
    this.#fields.clear()
    this.#count = 0
    this.#size = 0
    this.#servedNames = 0
    this.#servedValues = 0
    this.#farNames = false
  }

  field(name: Argument, value: Argument): void {
    this.#count++
    this.#size += name.length + value.length
    this.#servedNames += this.#names.element(this.#values, name)
    this.#servedValues += this.#fields.element(this.#values, value)
    if (name.length > LONGEST_NEAR) this.#farNames = true
  }

  /** Adds the entry that was made, with an id behind the last one: the last one now. */
  add(cell: Cell, id: Id): void {
    this.append(cell, id)
    const words = this.#words(cell)
    const h = this.#at(cell)
    id.write(words, h + Head.Last)
    if (this.length(cell) === 1) id.write(words, h + Head.First)
    const added = h + Head.Added
    words[added] = (words[added] + 1) | 0
    if (words[added] === 0) words[added + 1] = (words[added + 1] + 1) | 0
  }

  /** Puts the entry that was made behind the others, and nothing else. */
  append(cell: Cell, id: Id): void {
    const { texts } = this.#store
    const words = this.#words(cell)
    const h = this.#at(cell)
    let i = words[h + Head.To] - 1
    let same = true
    if (i < words[h + Head.From] || this.#isFull(words, h, i)) i = this.#newNode(words, h, id)
    else same = this.#hasSameNames(this.#ref(words, h, i), this.#nodeBytes(words, h, i))
    const ref = this.#ref(words, h, i)
    const size = this.#nodeBytes(words, h, i)
    this.#toHeader(ref, size)
    this.#tail.read(this.#header, this.#headerAt + Node.Id)
    const head = this.#head
    const served = this.#encodeEntry(id, same)
    const to = size + head.end + (same ? 0 : this.#names.end) + this.#fields.end
    const next = texts.extend(ref, size, to)
    texts.write(next, to, size, head.bytes, 0, head.end)
    if (!same) texts.write(next, to, size + head.end, this.#names.bytes, 0, this.#names.end)
    texts.write(next, to, to - this.#fields.end, this.#fields.bytes, 0, this.#fields.end)
    if (same && this.#farNames) this.#freeFar(this.#names)
    this.#toHeader(next, to)
    const header = this.#header
    const n = this.#headerAt
    header[n + Node.Live]++
    header[n + Node.Served] += served
    id.write(header, n + Node.Last)
    this.#setNode(words, h, i, next, to)
    this.#setLength(cell, this.length(cell) + 1)
  }

  /** Whether a server would put the entry that is being made into another node. */
  #isFull(words: Int32Array, h: number, i: number): boolean {
    this.#toHeader(this.#ref(words, h, i), this.#nodeBytes(words, h, i))
    const header = this.#header
    const n = this.#headerAt
    return (
      header[n + Node.Served] + this.#size >= MOST_BYTES ||
      header[n + Node.Live] + header[n + Node.Deleted] >= MOST_ENTRIES
    )
  }

  /** Looks at the first words of a node. */
  #toHeader(ref: number, size: number): void {
    const { memory, texts } = this.#store
    const block = size <= LARGEST ? ref : texts.first(ref, size)
    this.#header = memory.words[segmentOf(block)]
    this.#headerAt = at(block) >>> 2
  }

  /** Whether there is such an entry. */
  has(cell: Cell, id: Id): boolean {
    return this.#find(this.#words(cell), this.#at(cell), id) >= 0
  }

  /** Makes it the id of the first entry that does not come before it; false when there is none. */
  seek(cell: Cell, id: Id): boolean {
    return this.#seekFrom(cell, id, this.#nodeOf(this.#words(cell), this.#at(cell), id))
  }

  #seekFrom(cell: Cell, id: Id, node: number): boolean {
    const words = this.#words(cell)
    const h = this.#at(cell)
    const target = this.#id.copy(id)
    for (let i = Math.max(node, words[h + Head.From]); i < words[h + Head.To]; i++) {
      if (!this.#open(words, h, i)) continue
      while (this.#next(id)) if (!this.#isDeleted() && id.compare(target) >= 0) return true
    }
    return false
  }

  /** Makes it the id of the last entry; false when there is none. */
  last(cell: Cell, id: Id): boolean {
    const words = this.#words(cell)
    const h = this.#at(cell)
    let found = false
    for (let i = words[h + Head.To] - 1; i >= words[h + Head.From] && !found; i--) {
      if (!this.#open(words, h, i)) continue
      while (this.#next(this.#id)) {
        if (this.#isDeleted()) continue
        id.copy(this.#id)
        found = true
      }
    }
    return found
  }

  /** Deletes an entry; false when it is not there. What the stream says of its first one is left to {@link refresh}. */
  delete(cell: Cell, id: Id): boolean {
    const words = this.#words(cell)
    const h = this.#at(cell)
    const i = this.#find(words, h, id)
    if (i < 0) return false
    const live = this.#deleteEntry(words, h, i)
    if (live === 0) this.#emptyNode(words, h, i)
    this.#setLength(cell, this.length(cell) - 1)
    return true
  }

  /** After entries were deleted: finds out which is the first one now. */
  refresh(cell: Cell): void {
    const id = FIRST.set(0, 0, 0, 0)
    if (this.length(cell) > 0) this.#seekFrom(cell, id, 0)
    this.setFirstId(cell, id)
  }

  /**
   * Deletes the first entries until there are so many, or none that comes before an id; the number of those deleted.
   *
   * @param whole only whole nodes, as servers have them
   */
  trim(cell: Cell, length: number, before: Id | undefined, whole: boolean): number {
    const words = this.#words(cell)
    const h = this.#at(cell)
    const all = this.length(cell)
    let left = all
    while (words[h + Head.From] < words[h + Head.To]) {
      if (before === undefined && left <= length) break
      const i = words[h + Head.From]
      const ref = this.#ref(words, h, i)
      const size = this.#nodeBytes(words, h, i)
      if (size === EMPTY_BYTES) {
        this.#dropFirst(words, h)
        continue
      }
      this.#toHeader(ref, size)
      const header = this.#header
      const n = this.#headerAt
      const live = header[n + Node.Live]
      const goes = before === undefined ? left - live >= length : before.compareTo(header, n + Node.Last) > 0
      if (goes) {
        this.#dropFirst(words, h)
        left -= live
        continue
      }
      if (whole) break
      this.#open(words, h, i)
      const first = this.#content
      let keep = first
      while (this.#next(this.#id)) {
        keep = this.#entry
        if (before === undefined ? left <= length : this.#id.compare(before) >= 0) break
        keep = this.#entryEnd
        if (this.#isDeleted()) continue
        left--
        if (this.#deleteEntry(words, h, i) === 0) break
      }
      if (keep !== first) header[n + Node.First] = keep
      if (header[n + Node.Live] === 0) this.#emptyNode(words, h, i)
      break
    }
    if (left !== all) {
      this.#setLength(cell, left)
      this.refresh(cell)
    }
    return all - left
  }

  emit(cell: Cell, sink: ElementSink): void {
    sink.begin('stream', this.length(cell))
    const words = this.#words(cell)
    const h = this.#at(cell)
    for (let i = words[h + Head.From]; i < words[h + Head.To]; i++)
      if (this.#open(words, h, i)) this.#emitNode(sink)
    const last = this.lastId(cell, new Id())
    const first = this.firstId(cell, new Id())
    const deleted = this.maxDeletedId(cell, new Id())
    sink.state({
      length: BigInt(this.length(cell)),
      lastId: { ms: last.ms, seq: last.seq },
      firstId: { ms: first.ms, seq: first.seq },
      maxDeletedId: { ms: deleted.ms, seq: deleted.seq },
      entriesAdded: this.entriesAdded(cell),
    })
    const readers = this.readers(cell)
    if (readers === undefined) return
    for (const name of [...readers.groups.keys()].sort()) {
      this.#emitGroup(name, readers.groups.get(name) as Group, sink)
    }
    if (readers.idempotence !== undefined) this.#emitIdempotence(readers.idempotence, sink)
  }

  /** Who fills an empty stream; void when the next one is asked for. */
  sink(cell: Cell): ElementSink {
    this.#filler.fill(cell)
    return this.#filler
  }

  #emitNode(sink: ElementSink): void {
    const names = this.#header[this.#headerAt + Node.Names]
    const id = this.#id
    while (this.#next(id)) {
      if (this.#isDeleted()) continue
      const bytes = this.#bytes
      let name = this.#base + NODE_BYTES
      let value = this.#base + this.#content
      let count = names
      if ((bytes[this.#base + this.#entry] & SAME_NAMES) === 0) {
        count = getCount(bytes, value)
        value += countSize(bytes, value)
        const namesBytes = getCount(bytes, value)
        name = value + countSize(bytes, value)
        value = name + namesBytes
      }
      sink.entry(id.ms, id.seq, count)
      for (let k = 0; k < count; k++) {
        this.#read(bytes, name, this.#name)
        // Both may have been read from where only one has room.
        if (bytes[name] > LONGEST_NEAR && this.#name.bytes !== PASSED_OVER) this.#name.set(this.#name.copy())
        this.#read(bytes, value, this.#element)
        sink.field(this.#name, this.#element, NO_EXPIRY)
        name += elementSize(bytes, name)
        value += elementSize(bytes, value)
      }
    }
  }

  #emitGroup(name: string, group: Group, sink: ElementSink): void {
    const slice = this.#slice
    const id = this.#id
    sink.group(text(slice, name), group.lastId.ms, group.lastId.seq, BigInt(group.entriesRead))
    const { pending } = group
    for (pending.first(); pending.here; pending.advance()) {
      pending.read(id)
      sink.pending(id.ms, id.seq, group.deliveredAtMs, group.deliveries)
    }
    for (const name of group.names) {
      const consumer = group.consumers.get(name)
      if (consumer === undefined) continue
      sink.consumer(text(slice, name), BigInt(consumer.seenAtMs), BigInt(consumer.activeAtMs))
      const { owned } = consumer
      for (owned.first(); owned.here; owned.advance()) {
        owned.read(id)
        sink.owned(id.ms, id.seq)
      }
    }
    for (pending.first(); pending.here; pending.advance()) {
      if (group.ownerNumber() !== HANDED_BACK) continue
      pending.read(id)
      sink.nacked(id.ms, id.seq)
    }
  }

  #emitIdempotence({ producers, duration, limit, added, repeated }: Idempotence, sink: ElementSink): void {
    for (const producer of [...producers.keys()].sort()) {
      sink.producer(text(this.#slice, producer))
      for (const [name, id] of producers.get(producer) as Map<string, Id>) {
        sink.produced(text(this.#slice, name), id.ms, id.seq)
      }
    }
    sink.idempotence(duration, limit, added, repeated)
  }

  #words(cell: Cell): Int32Array {
    return this.#store.memory.words[
      segmentOf(this.#store.cells.words[segmentOfCell(cell)][wordOf(cell) + Word.Value])
    ]
  }

  /** Index of the first word of the head. */
  #at(cell: Cell): number {
    return at(this.#store.cells.words[segmentOfCell(cell)][wordOf(cell) + Word.Value]) >>> 2
  }

  #ref(words: Int32Array, h: number, i: number): number {
    return this.#store.texts.word(words[h + Head.Index], words[h + Head.IndexBytes], 2 * i)
  }

  #nodeBytes(words: Int32Array, h: number, i: number): number {
    return this.#store.texts.word(words[h + Head.Index], words[h + Head.IndexBytes], 2 * i + 1)
  }

  #setNode(words: Int32Array, h: number, i: number, ref: number, size: number): void {
    this.#store.texts.setWord(words[h + Head.Index], words[h + Head.IndexBytes], 2 * i, ref)
    this.#store.texts.setWord(words[h + Head.Index], words[h + Head.IndexBytes], 2 * i + 1, size)
  }

  /** Number of a new node at the end, without entries and with the names of the entry that is being made. */
  #newNode(words: Int32Array, h: number, id: Id): number {
    const { texts } = this.#store
    const i = words[h + Head.To]
    // It will probably be as long as the one before.
    const needed = NODE_BYTES + this.#names.end
    const usual = i > words[h + Head.From] ? this.#nodeBytes(words, h, i - 1) : 0
    const place = this.#roomForNode(words, h)
    const ref = texts.create(needed > LARGEST ? needed : Math.max(needed, Math.min(usual, LARGEST)))
    // A long text has no block yet.
    texts.setWord(ref, needed, 0, 0)
    this.#toHeader(ref, needed)
    const header = this.#header
    const n = this.#headerAt
    id.write(header, n + Node.Id)
    header[n + Node.Live] = 0
    header[n + Node.Deleted] = 0
    header[n + Node.Served] = SERVED_FRAME + integerSize(this.#count) + this.#servedNames
    header[n + Node.First] = needed
    header[n + Node.Names] = this.#count
    header[n + Node.NamesBytes] = this.#names.end
    texts.write(ref, needed, NODE_BYTES, this.#names.bytes, 0, this.#names.end)
    // They are this node's now.
    this.#farNames = false
    this.#setNode(words, h, place, ref, needed)
    words[h + Head.To] = place + 1
    return place
  }

  /** Makes the index long enough for one more node; its number. */
  #roomForNode(words: Int32Array, h: number): number {
    const { texts } = this.#store
    const bytes = words[h + Head.IndexBytes]
    const to = words[h + Head.To]
    if (to * 8 < bytes) return to
    const from = words[h + Head.From]
    if (from >= LEAST_GONE && 2 * from >= to) {
      this.#compact(words, h)
      return words[h + Head.To]
    }
    words[h + Head.Index] = texts.extend(words[h + Head.Index], bytes, 2 * bytes)
    words[h + Head.IndexBytes] = 2 * bytes
    return to
  }

  /** Moves nodes to the front of the index, and drops those that are empty. */
  #compact(words: Int32Array, h: number): void {
    let next = 0
    for (let i = words[h + Head.From]; i < words[h + Head.To]; i++) {
      const ref = this.#ref(words, h, i)
      const size = this.#nodeBytes(words, h, i)
      if (size === EMPTY_BYTES) this.#store.texts.free(ref, size)
      else this.#setNode(words, h, next++, ref, size)
    }
    words[h + Head.From] = 0
    words[h + Head.To] = next
    words[h + Head.Empty] = 0
  }

  /** Number of the last node that does not begin behind the id; one less than the first when there is none. */
  #nodeOf(words: Int32Array, h: number, id: Id): number {
    let before = words[h + Head.From] - 1
    let to = words[h + Head.To] - 1
    let middle = to
    while (before < to) {
      this.#toHeader(this.#ref(words, h, middle), this.#nodeBytes(words, h, middle))
      if (id.compareTo(this.#header, this.#headerAt) >= 0) before = middle
      else to = middle - 1
      middle = (before + to + 1) >> 1
    }
    return before
  }

  /** Number of the node in which the entry is, which is open then; -1: it is not there. */
  #find(words: Int32Array, h: number, id: Id): number {
    const i = this.#nodeOf(words, h, id)
    if (i < words[h + Head.From] || !this.#open(words, h, i)) return -1
    if (id.compareTo(this.#header, this.#headerAt + Node.Last) > 0) return -1
    const node = this.#node
    const bytes = this.#bytes
    const msLow = (id.msLow - node.msLow) | 0
    const msHigh = (id.msHigh - node.msHigh - (id.msLow >>> 0 < node.msLow >>> 0 ? 1 : 0)) | 0
    const end = this.#base + this.#openSize
    for (let from = this.#base + this.#entryEnd; from < end; ) {
      let p = from + 1
      const size = getCount(bytes, p)
      p += countSize(bytes, p)
      const next = p + size
      if (isHalf(bytes, p, msHigh, msLow)) {
        p += halfSize(bytes, p)
        if (isHalf(bytes, p, id.seqHigh, id.seqLow) && (bytes[from] & DELETED) === 0) {
          this.#entry = from - this.#base
          this.#entryEnd = next - this.#base
          this.#content = p + halfSize(bytes, p) - this.#base
          return i
        }
      }
      from = next
    }
    return -1
  }

  #openSize = 0
  /** The first words of a node ({@link #toHeader}). */
  #header: Int32Array = NO_WORDS
  #headerAt = 0

  /** Goes to before the first entry of a node; false when it is empty. */
  #open(words: Int32Array, h: number, i: number): boolean {
    const { memory, texts } = this.#store
    const ref = this.#ref(words, h, i)
    const size = this.#nodeBytes(words, h, i)
    if (size === EMPTY_BYTES) return false
    this.#openSize = size
    if (size <= LARGEST) {
      this.#bytes = memory.bytes[segmentOf(ref)]
      this.#base = at(ref)
    } else {
      texts.read(ref, size, 0, size, this.#slice)
      // Other texts may be read before this one is done with.
      this.#bytes = this.#slice.copy()
      this.#base = 0
    }
    this.#toHeader(ref, size)
    this.#node.read(this.#header, this.#headerAt)
    this.#entryEnd = this.#header[this.#headerAt + Node.First]
    this.#content = this.#entryEnd
    return true
  }

  /** Goes to the next entry of the open node, and makes the id its; false when there is none. */
  #next(id: Id): boolean {
    const bytes = this.#bytes
    const base = this.#base
    this.#entry = this.#entryEnd
    if (this.#entry >= this.#openSize) return false
    let p = base + this.#entry + 1
    const size = getCount(bytes, p)
    p += countSize(bytes, p)
    this.#entryEnd = p - base + size
    getHalf(bytes, p)
    p += halfSize(bytes, p)
    const msLow = (this.#node.msLow >>> 0) + (gotLow >>> 0)
    const msHigh = this.#node.msHigh + gotHigh + (msLow >= TWO_32 ? 1 : 0)
    getHalf(bytes, p)
    p += halfSize(bytes, p)
    id.set(msHigh, msLow, gotHigh, gotLow)
    this.#content = p - base
    return true
  }

  #isDeleted(): boolean {
    return (this.#bytes[this.#base + this.#entry] & DELETED) !== 0
  }

  /** Marks the entry at which the open node is; how many are left in it. */
  #deleteEntry(words: Int32Array, h: number, i: number): number {
    const { texts } = this.#store
    const ref = this.#ref(words, h, i)
    const size = this.#nodeBytes(words, h, i)
    const flags = this.#bytes[this.#base + this.#entry] | DELETED
    this.#freeEntry()
    this.#bytes[this.#base + this.#entry] = flags
    if (size > LARGEST) texts.setByte(ref, size, this.#entry, flags)
    this.#toHeader(ref, size)
    this.#header[this.#headerAt + Node.Deleted]++
    return --this.#header[this.#headerAt + Node.Live]
  }

  /** Gives up what the entry at which the open node is has elsewhere. */
  #freeEntry(): void {
    const bytes = this.#bytes
    let p = this.#base + this.#content
    if ((bytes[this.#base + this.#entry] & SAME_NAMES) === 0) {
      p += countSize(bytes, p)
      p += countSize(bytes, p)
    }
    for (const end = this.#base + this.#entryEnd; p < end; p += elementSize(bytes, p)) {
      if (bytes[p] === IN_TEXT) this.#values.free(bytes, p)
    }
  }

  /** Gives up a node and all that is in it. */
  #freeNode(words: Int32Array, h: number, i: number): void {
    const { texts } = this.#store
    const ref = this.#ref(words, h, i)
    const size = this.#nodeBytes(words, h, i)
    if (this.#open(words, h, i)) {
      while (this.#next(this.#id)) if (!this.#isDeleted()) this.#freeEntry()
      this.#freeNames()
    }
    texts.free(ref, size)
  }

  /** Gives up what names of the open node are kept elsewhere. */
  #freeNames(): void {
    const bytes = this.#bytes
    let p = this.#base + NODE_BYTES
    for (
      const end = p + this.#header[this.#headerAt + Node.NamesBytes];
      p < end;
      p += elementSize(bytes, p)
    ) {
      if (bytes[p] === IN_TEXT) this.#values.free(bytes, p)
    }
  }

  #dropFirst(words: Int32Array, h: number): void {
    const i = words[h + Head.From]
    if (this.#nodeBytes(words, h, i) === EMPTY_BYTES) words[h + Head.Empty]--
    this.#freeNode(words, h, i)
    words[h + Head.From] = i + 1
    if (words[h + Head.From] === words[h + Head.To]) {
      words[h + Head.From] = 0
      words[h + Head.To] = 0
    }
  }

  /** Of a node whose last entry was deleted only the id stays, until it is at an end, or one of many. */
  #emptyNode(words: Int32Array, h: number, i: number): void {
    const { texts } = this.#store
    const ref = this.#ref(words, h, i)
    const size = this.#nodeBytes(words, h, i)
    this.#open(words, h, i)
    const id = this.#node
    this.#freeNames()
    texts.free(ref, size)
    const empty = texts.create(EMPTY_BYTES)
    texts.setWord(empty, EMPTY_BYTES, 0, id.msHigh)
    texts.setWord(empty, EMPTY_BYTES, 1, id.msLow)
    texts.setWord(empty, EMPTY_BYTES, 2, id.seqHigh)
    texts.setWord(empty, EMPTY_BYTES, 3, id.seqLow)
    this.#setNode(words, h, i, empty, EMPTY_BYTES)
    words[h + Head.Empty]++
    while (words[h + Head.From] < words[h + Head.To] && this.#isEmpty(words, h, words[h + Head.From])) {
      this.#dropFirst(words, h)
    }
    while (words[h + Head.From] < words[h + Head.To] && this.#isEmpty(words, h, words[h + Head.To] - 1)) {
      this.#freeNode(words, h, --words[h + Head.To])
      words[h + Head.Empty]--
    }
    const empties = words[h + Head.Empty]
    if (empties >= LEAST_EMPTY && 2 * empties >= words[h + Head.To] - words[h + Head.From])
      this.#compact(words, h)
  }

  #isEmpty(words: Int32Array, h: number, i: number): boolean {
    return this.#nodeBytes(words, h, i) === EMPTY_BYTES
  }

  /** Whether the entry that is being made has the names of a node. */
  #hasSameNames(ref: number, size: number): boolean {
    const { texts } = this.#store
    this.#toHeader(ref, size)
    if (this.#header[this.#headerAt + Node.Names] !== this.#count) return false
    const names = this.#names
    const bytes = this.#header[this.#headerAt + Node.NamesBytes]
    if (!this.#farNames && bytes !== names.end) return false
    texts.read(ref, size, NODE_BYTES, NODE_BYTES + bytes, this.#slice)
    if (!this.#farNames) {
      const { bytes: theirs, at: from } = this.#slice
      for (let i = 0; i < names.end; i++) if (theirs[from + i] !== names.bytes[i]) return false
      return true
    }
    const theirs = this.#slice.copy()
    let p = 0
    let q = 0
    for (let k = 0; k < this.#count; k++) {
      this.#read(theirs, p, this.#element)
      const theirName = this.#element.copy()
      this.#read(names.bytes, q, this.#name)
      if (!this.#name.equals(this.#element.set(theirName))) return false
      p += elementSize(theirs, p)
      q += elementSize(names.bytes, q)
    }
    return true
  }

  #freeFar({ bytes, end }: Packer): void {
    for (let p = 0; p < end; p += elementSize(bytes, p)) if (bytes[p] === IN_TEXT) this.#values.free(bytes, p)
  }

  /** Puts what stands before an entry's fields into the head; the bytes that the entry has for a server. */
  #encodeEntry(id: Id, same: boolean): number {
    const head = this.#head
    const node = this.#tail
    const count = this.#count
    const names = this.#names.end
    const values = this.#fields.end
    const msLow = (id.msLow - node.msLow) | 0
    const msHigh = (id.msHigh - node.msHigh - (id.msLow >>> 0 < node.msLow >>> 0 ? 1 : 0)) | 0
    const ids = halfBytes(msHigh, msLow) + halfBytes(id.seqHigh, id.seqLow)
    const rest = same ? 0 : countBytes(count) + countBytes(names) + names
    head.clear()
    head.byte(same ? SAME_NAMES : 0)
    head.count(ids + rest + values)
    head.half(msHigh, msLow)
    head.half(id.seqHigh, id.seqLow)
    if (!same) {
      head.count(count)
      head.count(names)
    }
    const seqLow = (id.seqLow - node.seqLow) | 0
    const seqHigh = (id.seqHigh - node.seqHigh - (id.seqLow >>> 0 < node.seqLow >>> 0 ? 1 : 0)) | 0
    let served = 2 + wordsSize(msHigh, msLow) + wordsSize(seqHigh, seqLow) + this.#servedValues
    if (!same) served += integerSize(count) + this.#servedNames
    return served + integerSize(same ? count + 3 : 2 * count + 4)
  }

  /** Makes the slice the element at `bytes[at]`. */
  #read(bytes: Uint8Array, at: number, slice: Slice): void {
    switch (bytes[at]) {
      case INT_16:
        slice.integer((get32(bytes, at + 1) << 16) >> 16)
        break
      case INT_32:
        slice.integer(get32(bytes, at + 1))
        break
      case INT_48:
        slice.integer((get32(bytes, at + 1) >>> 0) + ((get32(bytes, at + 5) << 16) >> 16) * TWO_32)
        break
      case INT_64:
        slice.integer((get32(bytes, at + 1) >>> 0) + get32(bytes, at + 5) * TWO_32)
        break
      default:
        this.#values.read(bytes, at, slice)
    }
  }
}

const FIRST = new Id()
const NO_WORDS = new Int32Array(0)
/** Elements up to this size are inside their node; the first byte of others is larger. */
const LONGEST_NEAR = 64
const IN_TEXT = 0x80

function text(slice: Slice, name: string): Slice {
  return slice.set(Buffer.from(name, 'latin1'))
}

/** Bytes that an integer takes in a listpack. */
function integerSize(value: number): number {
  if (value >= 0 && value <= 127) return 2
  if (value >= -0x1000 && value <= 0xfff) return 3
  if (value >= -0x8000 && value <= 0x7fff) return 4
  if (value >= -0x80_0000 && value <= 0x7f_ffff) return 5
  return value >= -0x8000_0000 && value <= 0x7fff_ffff ? 6 : 10
}

function wordsSize(high: number, low: number): number {
  return high === low >> 31 ? integerSize(low) : 10
}

function elementSize(bytes: Uint8Array, at: number): number {
  const first = bytes[at]
  if (first < INT_16) return packedSize(bytes, at)
  return first === INT_64 ? 9 : 3 + 2 * (first - INT_16)
}

/*
 * Counts: a byte up to 253, else 254 and 2 bytes, or 255 and 4. Halves of ids, in the same way, with 253 for 8 bytes.
 */
const EIGHT = 253
const TWO = 254
const FOUR = 255

function countBytes(count: number): number {
  return count < EIGHT ? 1 : count < 0x1_0000 ? 3 : 5
}

function countSize(bytes: Uint8Array, at: number): number {
  return bytes[at] < EIGHT ? 1 : bytes[at] === TWO ? 3 : 5
}

function getCount(bytes: Uint8Array, at: number): number {
  const first = bytes[at]
  if (first < EIGHT) return first
  return first === TWO ? bytes[at + 1] | (bytes[at + 2] << 8) : get32(bytes, at + 1) >>> 0
}

function halfBytes(high: number, low: number): number {
  return high === 0 ? countBytes(low >>> 0) : 9
}

function halfSize(bytes: Uint8Array, at: number): number {
  return bytes[at] === EIGHT ? 9 : countSize(bytes, at)
}

function isHalf(bytes: Uint8Array, at: number, high: number, low: number): boolean {
  const first = bytes[at]
  if (first < EIGHT) return low === first && high === 0
  if (first === EIGHT) return get32(bytes, at + 1) === low && get32(bytes, at + 5) === high
  return high === 0 && getCount(bytes, at) === low >>> 0
}

/** What {@link getHalf} found. */
let gotHigh = 0
let gotLow = 0

function getHalf(bytes: Uint8Array, at: number): void {
  if (bytes[at] === EIGHT) {
    gotLow = get32(bytes, at + 1)
    gotHigh = get32(bytes, at + 5)
  } else {
    gotLow = getCount(bytes, at)
    gotHigh = 0
  }
}

const SMALLEST_PACKER = 1024
/** A buffer that was needed once for something large is not kept. */
const LARGEST_KEPT = 1 << 20

/** Bytes of an entry that is being made. */
class Packer {
  bytes: Uint8Array = new Uint8Array(SMALLEST_PACKER)
  end = 0
  #view = new DataView(this.bytes.buffer)

  clear(): void {
    this.end = 0
    if (this.bytes.length > LARGEST_KEPT) this.#room(SMALLEST_PACKER, true)
  }

  byte(value: number): void {
    this.#need(1)
    this.bytes[this.end++] = value
  }

  count(count: number): void {
    this.#need(5)
    const { bytes, end } = this
    if (count < EIGHT) bytes[end] = count
    else if (count < 0x1_0000) {
      bytes[end] = TWO
      bytes[end + 1] = count
      bytes[end + 2] = count >>> 8
    } else {
      bytes[end] = FOUR
      put32(bytes, end + 1, count)
    }
    this.end += countBytes(count)
  }

  half(high: number, low: number): void {
    if (high === 0) {
      this.count(low >>> 0)
      return
    }
    this.#need(9)
    this.bytes[this.end] = EIGHT
    put32(this.bytes, this.end + 1, low)
    put32(this.bytes, this.end + 5, high)
    this.end += 9
  }

  /** Adds an element; the bytes that it takes in a listpack. */
  element(values: Values, value: Argument): number {
    const { length } = value
    if (length >= SHORTEST_INTEGER && length <= LONGEST_INTEGER) {
      const integer = integerIn(value.bytes, value.at, value.end)
      if (typeof integer === 'number') {
        this.#integer(integer)
        return integerSize(integer)
      }
    }
    this.#need(sizeOf(value))
    values.put(this.bytes, this.#view, this.end, value)
    this.end += sizeOf(value)
    return listpackSize(value)
  }

  #integer(value: number): void {
    this.#need(9)
    const { bytes, end } = this
    const upper = Math.floor(value / TWO_32)
    put32(bytes, end + 1, value | 0)
    if (value === (value << 16) >> 16) {
      bytes[end] = INT_16
      this.end += 3
    } else if (value === (value | 0)) {
      bytes[end] = INT_32
      this.end += 5
    } else if (upper === (upper << 16) >> 16) {
      bytes[end] = INT_48
      put32(bytes, end + 5, upper)
      this.end += 7
    } else {
      bytes[end] = INT_64
      put32(bytes, end + 5, upper)
      this.end += 9
    }
  }

  #need(more: number): void {
    if (this.end + more > this.bytes.length) this.#room(2 * (this.end + more), false)
  }

  #room(size: number, empty: boolean): void {
    const { bytes } = this
    this.bytes = new Uint8Array(size)
    if (!empty) this.bytes.set(bytes.subarray(0, this.end))
    this.#view = new DataView(this.bytes.buffer)
  }
}

/** Bytes that an element takes in a listpack, which needs not be in memory when it is long. */
function listpackSize(value: Argument): number {
  const { length } = value
  if (length <= LONGEST_INTEGER) return listpackElementSize(value)
  const size = length + (length < 64 ? 1 : length < 4096 ? 2 : 5)
  return size + (size <= 127 ? 1 : size < 0x3fff ? 2 : size < 0x1f_ffff ? 3 : size < 0xfff_ffff ? 4 : 5)
}

/** Fills an empty stream with elements. */
class StreamFiller extends IgnoredElements {
  #cell: Cell = 0
  readonly #streams: Streams
  readonly #id = new Id()
  readonly #name = new Argument()
  readonly #value = new Argument()
  #missing = 0
  #group: Group | undefined
  #consumer = ''
  #producer = ''

  constructor(streams: Streams) {
    super()
    this.#streams = streams
  }

  fill(cell: Cell): void {
    this.#cell = cell
    this.#missing = 0
    this.#group = undefined
  }

  override entry(ms: bigint, seq: bigint, fields: number): void {
    this.#id.of(ms, seq)
    this.#missing = fields
    this.#streams.start()
    if (fields === 0) this.#streams.append(this.#cell, this.#id)
  }

  override field(name: Slice, value: Slice): void {
    this.#streams.field(this.#name.ofSlice(name), this.#value.ofSlice(value))
    if (--this.#missing === 0) this.#streams.append(this.#cell, this.#id)
  }

  override state({ lastId, firstId, maxDeletedId, entriesAdded }: StreamState): void {
    const streams = this.#streams
    const cell = this.#cell
    streams.setLastId(cell, this.#id.of(lastId.ms, lastId.seq))
    streams.setFirstId(cell, this.#id.of(firstId.ms, firstId.seq))
    streams.setMaxDeletedId(cell, this.#id.of(maxDeletedId.ms, maxDeletedId.seq))
    streams.setEntriesAdded(cell, entriesAdded)
  }

  override group(name: Slice, lastMs: bigint, lastSeq: bigint, entriesRead: bigint): void {
    const group = new Group()
    group.lastId.of(lastMs, lastSeq)
    group.entriesRead = entriesRead
    this.#streams.makeReaders(this.#cell).groups.set(latin1(name), group)
    this.#group = group
  }

  override pending(ms: bigint, seq: bigint, deliveredAtMs: bigint, deliveries: bigint): void {
    const group = this.#group as Group
    this.#id.of(ms, seq)
    if (!group.pending.find(this.#id)) group.add(this.#id)
    group.deliveredAtMs = deliveredAtMs
    group.deliveries = deliveries
  }

  override consumer(name: Slice, seenAtMs: bigint, activeAtMs: bigint): void {
    const group = this.#group as Group
    this.#consumer = latin1(name)
    if (!group.consumers.has(this.#consumer)) group.addConsumer(this.#consumer, seenAtMs, activeAtMs)
  }

  override owned(ms: bigint, seq: bigint): void {
    const group = this.#group as Group
    const consumer = group.consumers.get(this.#consumer)
    if (consumer !== undefined && group.pending.find(this.#id.of(ms, seq))) group.give(consumer)
  }

  override nacked(ms: bigint, seq: bigint): void {
    const group = this.#group as Group
    if (group.pending.find(this.#id.of(ms, seq))) group.handBack()
  }

  override producer(id: Slice): void {
    this.#producer = latin1(id)
    this.#idempotence().producers.set(this.#producer, new Map())
  }

  override produced(id: Slice, ms: bigint, seq: bigint): void {
    this.#idempotence().producers.get(this.#producer)?.set(latin1(id), new Id().of(ms, seq))
  }

  override idempotence(duration: bigint, limit: bigint, added: bigint, repeated: bigint): void {
    Object.assign(this.#idempotence(), { duration, limit, added, repeated })
  }

  #idempotence(): Idempotence {
    const readers = this.#streams.makeReaders(this.#cell)
    readers.idempotence ??= new Idempotence()
    return readers.idempotence
  }
}

function latin1({ bytes, at, end }: Slice): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + at, end - at).toString('latin1')
}
