import { Slice } from '../values/slice.ts'
import { Argument } from './argument.ts'
import { type Cell, segmentOfCell, Word, wordOf } from './cells.ts'
import { hashOf } from './hash.ts'
import { at, LARGEST, type Memory, type Ref, segmentOf } from './memory.ts'
import { copyText, moveText, sameText } from './moves.ts'
import type { Storage } from './storage.ts'
import { copyBytes } from './texts.ts'
import { get32, LONGEST_INLINE, put32 } from './values.ts'

/*
 * The members of a set, a sorted set or a hash: names, each with a payload, found by name. A small collection is one run,
 * a packed block; a large one is a table of runs, which grows run by run (linear hashing).
 *
 *     run      used bytes (2)  TOUCHED (1)  CHAINED (1)    the run that follows (4), where one is chained
 *              entries
 *     entry    eight bits of the name's hash (1)  length of the name (1)  payload  name
 *              of a name longer than 250 bytes: 255, and for the name its text (4) and its length (4)
 *
 * Words of the value:  0  the run, or the table's directory: a text of refs; 0 when there is none
 *                      1  members
 *                      2  runs in the table; 0: a small one
 *                      3  for the type
 */

const V = Word.Value
const ROOT = V
const COUNT = V + 1
const RUNS = V + 2

/** A small collection that exceeds one of these becomes a table. */
const MOST_ENTRIES = 128
const MOST_BYTES = 2048
/** Members a run when a table begins to grow, and when it is made. */
const MOST_PER_RUN = 8
const FIRST_PER_RUN = 4

/** A run that grows gets this part of its size more. */
const ROOM_SHIFT = 3

const LONGEST_NAME = 250
const LONG_NAME = 0xff
const LONG_NAME_SIZE = 8
const HEADER = 4
const CHAINED_HEADER = 8
const CHAINED = 1 << 31
const USED_MASK = 0xffff

/**
 * Payloads of {@link Members}: how many bytes, or who says it of each; then a first byte of up to {@link LONGEST_INLINE}
 * is a number of bytes that follow it.
 */
export type PayloadSize = number | ((bytes: Uint8Array, at: number) => number)

export class Members {
  /** Where the entry that was last found or made stands: void after the next change of any collection. */
  bytes: Uint8Array = new Uint8Array(0)
  view: DataView = new DataView(new ArrayBuffer(0))
  /** Index in {@link bytes} of the payload. */
  payload = 0
  /** Its run, and by which number the table knows it; -1: it is the only one. */
  #run: Ref = 0
  #index = 0
  /** The run before it of the same number, which it is chained to; 0: none. */
  #before: Ref = 0

  readonly #store: Storage
  readonly #memory: Memory
  readonly #fixed: number
  readonly #variable: ((bytes: Uint8Array, at: number) => number) | undefined
  readonly #name = new Slice()

  constructor(store: Storage, payload: PayloadSize) {
    this.#store = store
    this.#memory = store.memory
    this.#fixed = typeof payload === 'number' ? payload : -1
    this.#variable = typeof payload === 'number' ? undefined : payload
  }

  begin(cell: Cell): void {
    const words = this.#store.cells.words[segmentOfCell(cell)]
    const start = wordOf(cell)
    for (let i = V; i < Word.Key; i++) words[start + i] = 0
  }

  count(cell: Cell): number {
    return this.#store.cells.words[segmentOfCell(cell)][wordOf(cell) + COUNT] >>> 0
  }

  /** Looks for a member; whether it is there. Then {@link payload} is its. */
  find(cell: Cell, name: Argument): boolean {
    const words = this.#store.cells.words[segmentOfCell(cell)]
    const start = wordOf(cell)
    const root = words[start + ROOT]
    const hash = nameHash(name)
    const runs = words[start + RUNS] >>> 0
    this.#before = 0
    if (runs === 0) {
      this.#index = -1
      this.#run = root
      return root !== 0 && this.#scan(root, name, hash >>> 24)
    }
    this.#index = runOf(hash, runs)
    let run = this.#runAt(root, runs, this.#index)
    for (;;) {
      this.#run = run
      if (this.#scan(run, name, hash >>> 24)) return true
      const next = this.#nextRun(run)
      if (next === 0) return false
      this.#before = run
      run = next
    }
  }

  /** Adds a member that is not there, with room for a payload, which {@link payload} then is to be filled. */
  add(cell: Cell, name: Argument, payload: number): void {
    const words = this.#store.cells.words[segmentOfCell(cell)]
    const start = wordOf(cell)
    const hash = nameHash(name)
    words[start + COUNT]++
    if (words[start + RUNS] === 0) {
      const size = entrySize(name, payload)
      const root = words[start + ROOT]
      const header = root === 0 ? HEADER : this.#header(root)
      if ((header & USED_MASK) + size <= MOST_BYTES && words[start + COUNT] >>> 0 <= MOST_ENTRIES) {
        this.#index = -1
        this.#before = 0
        this.#run = root
        words[start + ROOT] = this.#append(root, name, hash, payload)
        return
      }
      this.#makeTable(cell)
    }
    this.#addToTable(cell, name, hash, payload)
  }

  /** Gives the entry that was last found another size of payload, which is then to be filled. */
  resize(cell: Cell, payload: number): void {
    const before = this.#payloadSize(this.bytes, this.payload)
    const change = payload - before
    if (change === 0) return
    const run = this.#run
    const header = this.#header(run)
    const used = header & USED_MASK
    const offset = this.payload - at(run)
    if (used + change > LARGEST) {
      // It leaves the run for one that is chained.
      readName(this.#store, this.bytes, this.payload, before, this.#name)
      const name = new Argument().of(this.#name.copy())
      this.remove(cell)
      const words = this.#store.cells.words[segmentOfCell(cell)]
      const start = wordOf(cell)
      words[start + COUNT]++
      if (words[start + RUNS] === 0) this.#makeTable(cell)
      this.#addToTable(cell, name, nameHash(name), payload)
      return
    }
    // What follows moves before the run shrinks, and after it has grown.
    if (change < 0) moveText(this.view, this.payload + payload, this.payload + before, at(run) + used)
    this.#setHeader(run, header + change)
    const target = this.#fit(cell, run, Math.min(used, used + change), used + change)
    const view = this.#memory.views[segmentOf(target)]
    const from = at(target)
    if (change > 0) moveText(view, from + offset + payload, from + offset + before, from + used)
    this.#run = target
    this.bytes = this.#memory.bytes[segmentOf(target)]
    this.view = view
    this.payload = from + offset
  }

  /** Removes the entry that was last found. Its payload was given up before. */
  remove(cell: Cell): void {
    this.#freeName(this.bytes, this.payload)
    this.#cut(cell)
  }

  /** All of it is given up. @param free is called for each payload */
  release(cell: Cell, free: ((bytes: Uint8Array, at: number) => void) | undefined): void {
    const words = this.#store.cells.words[segmentOfCell(cell)]
    const start = wordOf(cell)
    const root = words[start + ROOT]
    if (root === 0) return
    const runs = words[start + RUNS] >>> 0
    if (runs === 0) {
      this.#freeRun(root, free)
      return
    }
    for (let i = 0; i < runs; i++) {
      let run = this.#runAt(root, runs, i)
      while (run !== 0) {
        const next = this.#nextRun(run)
        this.#freeRun(run, free)
        run = next
      }
    }
    this.#store.texts.free(root, runs * 4)
  }

  /** A walk through the members: `for (walk.begin(cell); walk.next(); )`. Nothing may be changed meanwhile. */
  walk(): Walk {
    return new Walk(this, this.#store)
  }

  payloadSize(bytes: Uint8Array, at: number): number {
    return this.#payloadSize(bytes, at)
  }

  /** Bytes of the entry that begins there. */
  #entrySize(bytes: Uint8Array, entry: number): number {
    const length = bytes[entry + 1]
    return 2 + this.#payloadSize(bytes, entry + 2) + (length === LONG_NAME ? LONG_NAME_SIZE : length)
  }

  #payloadSize(bytes: Uint8Array, at: number): number {
    return this.#fixed >= 0 ? this.#fixed : this.#variable!(bytes, at)
  }

  #scan(run: Ref, name: Argument, tag: number): boolean {
    const view = this.#memory.views[segmentOf(run)]
    const start = at(run)
    const header = view.getInt32(start, true)
    const end = start + (header & USED_MASK)
    const { length } = name
    const wanted = tag | ((length > LONGEST_NAME ? LONG_NAME : length) << 8)
    const fixed = this.#fixed
    let p = start + (header < 0 ? CHAINED_HEADER : HEADER)
    while (p < end) {
      const head = view.getInt32(p, true)
      const kept = (head >>> 8) & 0xff
      const payload =
        fixed >= 0
          ? fixed
          : ((head >>> 16) & 0xff) <= LONGEST_INLINE
            ? 1 + ((head >>> 16) & 0xff)
            : this.#long(run, p)
      if ((head & 0xffff) === wanted && this.#isName(run, view, p + 2 + payload, name)) {
        this.view = view
        this.bytes = this.#memory.bytes[segmentOf(run)]
        this.payload = p + 2
        return true
      }
      p += 2 + payload + (kept === LONG_NAME ? LONG_NAME_SIZE : kept)
    }
    return false
  }

  #long(run: Ref, entry: number): number {
    return this.#payloadSize(this.#memory.bytes[segmentOf(run)], entry + 2)
  }

  #isName(run: Ref, view: DataView, at: number, name: Argument): boolean {
    const { length } = name
    if (length <= LONGEST_NAME) return sameText(view, at, name.view, name.at, length)
    const bytes = this.#memory.bytes[segmentOf(run)]
    return get32(bytes, at + 4) === length && this.#store.texts.equals(get32(bytes, at), name)
  }

  /** Adds an entry to a run with room for it, or to a new one (0); the run, which may be another then. */
  #append(run: Ref, name: Argument, hash: number, payload: number): Ref {
    const size = entrySize(name, payload)
    let target = run
    let header: number
    if (run === 0) {
      target = this.#memory.allocate(HEADER + size)
      header = HEADER
    } else {
      header = this.#header(run)
      const used = header & USED_MASK
      if (used + size > this.#memory.capacity(run)) {
        // With some room, so that not every member that comes moves the others.
        target = this.#memory.resize(run, used, Math.min(LARGEST, used + size + (used >>> ROOM_SHIFT)))
      }
    }
    const bytes = this.#memory.bytes[segmentOf(target)]
    const entry = at(target) + (header & USED_MASK)
    this.#setHeader(target, header + size)
    const { length } = name
    const behind = entry + 2 + payload
    bytes[entry] = hash >>> 24
    this.bytes = bytes
    this.view = this.#memory.views[segmentOf(target)]
    this.payload = entry + 2
    this.#run = target
    if (length > LONGEST_NAME) {
      bytes[entry + 1] = LONG_NAME
      put32(bytes, behind, this.#store.texts.add(name.bytes, name.at, name.end))
      put32(bytes, behind + 4, length)
      return target
    }
    bytes[entry + 1] = length
    copyText(name.view, name.at, this.view, behind, length)
    return target
  }

  /** Removes the bytes of the entry that was last found. */
  #cut(cell: Cell): void {
    const words = this.#store.cells.words[segmentOfCell(cell)]
    const start = wordOf(cell)
    const run = this.#run
    const header = this.#header(run)
    const used = header & USED_MASK
    const entry = this.payload - 2
    const size = this.#entrySize(this.bytes, entry)
    moveText(this.view, entry, entry + size, at(run) + used)
    this.#setHeader(run, header - size)
    const count = words[start + COUNT] >>> 0
    words[start + COUNT] = count - 1
    if (count === 1) this.#store.emptied.push(cell)
    if (this.#index < 0 && count === 1) {
      this.#memory.free(run)
      words[start + ROOT] = 0
    } else this.#fit(cell, run, used - size, used - size)
  }

  /** The run, or another with its first `keep` bytes, that holds `size` bytes and not many more. */
  #fit(cell: Cell, run: Ref, keep: number, size: number): Ref {
    const capacity = this.#memory.capacity(run)
    if (size <= capacity && (size * 2 > capacity || capacity <= 32)) return run
    const target = this.#memory.resize(run, keep, size)
    if (this.#before !== 0) {
      put32(this.#memory.bytes[segmentOf(this.#before)], at(this.#before) + HEADER, target)
    } else this.#setRun(cell, this.#index, target)
    return target
  }

  #setRun(cell: Cell, index: number, run: Ref): void {
    const words = this.#store.cells.words[segmentOfCell(cell)]
    const start = wordOf(cell)
    if (index < 0) words[start + ROOT] = run
    else this.#store.texts.setWord(words[start + ROOT], (words[start + RUNS] >>> 0) * 4, index, run)
  }

  #runAt(directory: Ref, runs: number, index: number): Ref {
    return this.#store.texts.word(directory, runs * 4, index)
  }

  #addToTable(cell: Cell, name: Argument, hash: number, payload: number): void {
    const words = this.#store.cells.words[segmentOfCell(cell)]
    const start = wordOf(cell)
    const count = words[start + COUNT] >>> 0
    let runs = words[start + RUNS] >>> 0
    // Once it has begun, it goes on until every run of before was split.
    if (count > MOST_PER_RUN * runs || (runs & (runs - 1)) !== 0) {
      this.#split(cell)
      runs = words[start + RUNS] >>> 0
    }
    this.#put(words[start + ROOT], runs, name, hash, payload)
  }

  #put(directory: Ref, runs: number, name: Argument, hash: number, payload: number): void {
    const index = runOf(hash, runs)
    const run = this.#runAt(directory, runs, index)
    const next = this.#putInRun(run, name, hash, payload)
    if (next !== run) this.#store.texts.setWord(directory, runs * 4, index, next)
    this.#index = index
    this.#before = 0
  }

  #putInRun(run: Ref, name: Argument, hash: number, payload: number): Ref {
    if ((this.#header(run) & USED_MASK) + entrySize(name, payload) <= LARGEST) {
      return this.#append(run, name, hash, payload)
    }
    const head = this.#memory.allocate(CHAINED_HEADER + entrySize(name, payload))
    this.#setHeader(head, CHAINED_HEADER | CHAINED)
    put32(this.#memory.bytes[segmentOf(head)], at(head) + HEADER, run)
    return this.#append(head, name, hash, payload)
  }

  #makeTable(cell: Cell): void {
    const words = this.#store.cells.words[segmentOfCell(cell)]
    const start = wordOf(cell)
    const run = words[start + ROOT]
    let runs = 2
    while (runs * FIRST_PER_RUN < words[start + COUNT] >>> 0) runs *= 2
    const directory = this.#store.texts.create(runs * 4)
    for (let i = 0; i < runs; i++) this.#store.texts.setWord(directory, runs * 4, i, this.#emptyRun())
    words[start + ROOT] = directory
    words[start + RUNS] = runs
    if (run !== 0) this.#distribute(run, directory, runs)
  }

  #split(cell: Cell): void {
    const words = this.#store.cells.words[segmentOfCell(cell)]
    const start = wordOf(cell)
    const runs = words[start + RUNS] >>> 0
    const { texts } = this.#store
    const directory = texts.extend(words[start + ROOT], runs * 4, runs * 4 + 4)
    words[start + ROOT] = directory
    words[start + RUNS] = runs + 1
    const level = 2 ** (31 - Math.clz32(runs))
    const from = runs - level
    const size = (runs + 1) * 4
    const run = texts.word(directory, size, from)
    texts.setWord(directory, size, from, this.#emptyRun())
    texts.setWord(directory, size, runs, this.#emptyRun())
    this.#distribute(run, directory, runs + 1)
  }

  /** Puts the entries of a chain of runs where they belong; the chain is given up. */
  #distribute(first: Ref, directory: Ref, runs: number): void {
    const name = this.#name
    for (let run = first; run !== 0; ) {
      const bytes = this.#memory.bytes[segmentOf(run)]
      const header = this.#header(run)
      const end = at(run) + (header & USED_MASK)
      let p = at(run) + (header < 0 ? CHAINED_HEADER : HEADER)
      while (p < end) {
        readName(this.#store, bytes, p + 2, this.#payloadSize(bytes, p + 2), name)
        const next = p + this.#entrySize(bytes, p)
        this.#move(bytes, p, next, hashOf(name.bytes, name.at, name.end), directory, runs)
        p = next
      }
      const next = this.#nextRun(run)
      this.#memory.free(run)
      run = next
    }
  }

  /** Puts an entry, as it is, into its run. */
  #move(bytes: Uint8Array, from: number, to: number, hash: number, directory: Ref, runs: number): void {
    const index = runOf(hash, runs)
    const size = to - from
    let run = this.#runAt(directory, runs, index)
    let header = this.#header(run)
    let used = header & USED_MASK
    if (used + size > LARGEST) {
      const head = this.#memory.allocate(CHAINED_HEADER + size)
      put32(this.#memory.bytes[segmentOf(head)], at(head) + HEADER, run)
      run = head
      header = CHAINED_HEADER | CHAINED
      used = CHAINED_HEADER
      this.#store.texts.setWord(directory, runs * 4, index, run)
    } else if (used + size > this.#memory.capacity(run)) {
      run = this.#memory.resize(run, used, used + size)
      this.#store.texts.setWord(directory, runs * 4, index, run)
    }
    const target = this.#memory.bytes[segmentOf(run)]
    copyBytes(bytes, from, target, at(run) + used, size)
    this.#setHeader(run, header + size)
  }

  #emptyRun(): Ref {
    const run = this.#memory.allocate(HEADER)
    this.#setHeader(run, HEADER)
    return run
  }

  #header(run: Ref): number {
    return this.#memory.words[segmentOf(run)][at(run) >>> 2]
  }

  #setHeader(run: Ref, header: number): void {
    this.#memory.words[segmentOf(run)][at(run) >>> 2] = header
  }

  #nextRun(run: Ref): Ref {
    const words = this.#memory.words[segmentOf(run)]
    const start = at(run) >>> 2
    return words[start] < 0 ? words[start + 1] : 0
  }

  #freeName(bytes: Uint8Array, payload: number): void {
    if (bytes[payload - 1] !== LONG_NAME) return
    const at = payload + this.#payloadSize(bytes, payload)
    this.#store.texts.free(get32(bytes, at), get32(bytes, at + 4))
  }

  #freeRun(run: Ref, free: ((bytes: Uint8Array, at: number) => void) | undefined): void {
    const bytes = this.#memory.bytes[segmentOf(run)]
    const header = this.#header(run)
    const end = at(run) + (header & USED_MASK)
    let p = at(run) + (header < 0 ? CHAINED_HEADER : HEADER)
    while (p < end) {
      const next = p + this.#entrySize(bytes, p)
      this.#freeName(bytes, p + 2)
      free?.(bytes, p + 2)
      p = next
    }
    this.#memory.free(run)
  }
}

/** A walk through the members of a collection, which must not be changed meanwhile. */
export class Walk {
  /** The member: void after the next step. */
  readonly name = new Slice()
  bytes: Uint8Array = new Uint8Array(0)
  view: DataView = new DataView(new ArrayBuffer(0))
  /** Index in {@link bytes} of its payload. */
  payload = 0
  readonly #members: Members
  readonly #store: Storage
  #root: Ref = 0
  #runs = 0
  #index = 0
  #run: Ref = 0
  #next = 0
  #end = 0

  constructor(members: Members, store: Storage) {
    this.#members = members
    this.#store = store
  }

  begin(cell: Cell): void {
    const words = this.#store.cells.words[segmentOfCell(cell)]
    const start = wordOf(cell)
    this.#root = words[start + ROOT]
    this.#runs = words[start + RUNS] >>> 0
    this.#index = 0
    this.#next = 0
    this.#end = 0
    this.#run = 0
    if (this.#root !== 0 && this.#runs === 0) this.#enter(this.#root)
  }

  /** Goes to the next member; false when there is none. */
  next(): boolean {
    while (this.#next >= this.#end) if (!this.#nextRun()) return false
    const { bytes } = this
    const entry = this.#next
    const size = this.#members.payloadSize(bytes, entry + 2)
    readName(this.#store, bytes, entry + 2, size, this.name)
    this.payload = entry + 2
    this.#next = entry + 2 + size + (bytes[entry + 1] === LONG_NAME ? LONG_NAME_SIZE : bytes[entry + 1])
    return true
  }

  #nextRun(): boolean {
    if (this.#run !== 0) {
      const words = this.#store.memory.words[segmentOf(this.#run)]
      const start = at(this.#run) >>> 2
      if (words[start] < 0) {
        this.#enter(words[start + 1])
        return true
      }
    }
    if (this.#index >= this.#runs) return false
    this.#enter(this.#store.texts.word(this.#root, this.#runs * 4, this.#index++))
    return true
  }

  #enter(run: Ref): void {
    const header = this.#store.memory.words[segmentOf(run)][at(run) >>> 2]
    this.#run = run
    this.bytes = this.#store.memory.bytes[segmentOf(run)]
    this.view = this.#store.memory.views[segmentOf(run)]
    this.#next = at(run) + (header < 0 ? CHAINED_HEADER : HEADER)
    this.#end = at(run) + (header & USED_MASK)
  }
}

function readName(store: Storage, bytes: Uint8Array, payload: number, size: number, slice: Slice): void {
  const length = bytes[payload - 1]
  const at = payload + size
  if (length !== LONG_NAME) {
    slice.set(bytes, at, at + length)
    return
  }
  const kept = get32(bytes, at + 4)
  store.texts.read(get32(bytes, at), kept, 0, kept, slice)
}

function nameHash(name: Argument): number {
  if (name.hashed) return name.hash
  name.hash = hashOf(name.bytes, name.at, name.end)
  name.hashed = true
  return name.hash
}

function entrySize(name: Slice, payload: number): number {
  return 2 + (name.length > LONGEST_NAME ? LONG_NAME_SIZE : name.length) + payload
}

/** Which of so many runs a hash belongs to. */
function runOf(hash: number, runs: number): number {
  const level = 31 - Math.clz32(runs)
  const low = hash & ((1 << level) - 1)
  return low < runs - (1 << level) ? hash & ((2 << level) - 1) : low
}
