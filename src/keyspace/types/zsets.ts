import type { ElementSink } from '../../values/elements.ts'
import { Slice } from '../../values/slice.ts'
import { Argument } from '../argument.ts'
import { type Cell, segmentOfCell, Word, wordOf } from '../cells.ts'
import { Members, type Walk } from '../members.ts'
import { at, type Ref, segmentOf } from '../memory.ts'
import { type Probe, SEQUENCE_WORDS, Sequence } from '../sequence.ts'
import type { Storage } from '../storage.ts'
import { copyBytes } from '../texts.ts'
import { Values } from '../values.ts'

/** Members, and bytes of the longest one, that servers keep in a listpack at most (`zset-max-listpack-…`). */
export const MOST_PACKED_MEMBERS = 128
export const LONGEST_PACKED_MEMBER = 64

const SCORE_SIZE = 8
/** In the detail of the cell: that it is not packed. */
const UNPACKED = 1 << 24
/** The word of the value that the members leave to the type: the order, once somebody has asked for it; 0: not yet. */
const ORDER = Word.Value + 3

/**
 * Sorted sets: members with scores. Their order is kept only from the first question about ranks or ranges on: a
 * sequence (sequence.ts) of items of a score (8) and a member.
 *
 * Servers pack small ones, with scores as text in which a zero has no sign, until they grow; they stay unpacked when they
 * shrink. So the cell remembers which of the two it would be, for the sake of -0.
 */
export class Zsets {
  readonly #store: Storage
  readonly #members: Members
  readonly #order: Sequence
  readonly #walk: Walk
  readonly #probe: ScoreProbe
  readonly #item = new Argument()
  readonly #found = new Slice()
  readonly #member = new Argument()
  #scratch = new Uint8Array(64)

  constructor(store: Storage) {
    this.#store = store
    this.#members = new Members(store, SCORE_SIZE)
    this.#order = new Sequence(store)
    this.#walk = this.#members.walk()
    this.#probe = new ScoreProbe(store)
  }

  begin(cell: Cell): void {
    this.#members.begin(cell)
  }

  isPacked(cell: Cell): boolean {
    return (this.#store.cells.words[segmentOfCell(cell)][wordOf(cell) + Word.Meta] & UNPACKED) === 0
  }

  /** From now on zeros keep their signs. */
  unpack(cell: Cell): void {
    this.#store.cells.words[segmentOfCell(cell)][wordOf(cell) + Word.Meta] |= UNPACKED
  }

  /** What was just filled, and nobody has asked for the order of, is packed if it is small enough. */
  pack(cell: Cell): void {
    this.unpack(cell)
    if (this.length(cell) > MOST_PACKED_MEMBERS) return
    const walk = this.#walk
    for (walk.begin(cell); walk.next(); ) if (walk.name.length > LONGEST_PACKED_MEMBER) return
    for (walk.begin(cell); walk.next(); ) {
      if (this.scoreOf(walk) === 0) walk.view.setFloat64(walk.payload, 0, true)
    }
    this.#store.cells.words[segmentOfCell(cell)][wordOf(cell) + Word.Meta] &= ~UNPACKED
  }

  release(cell: Cell): void {
    const order = this.#orderOf(cell)
    if (order !== 0) {
      this.#order.release(this.#words(order), at(order) >>> 2)
      this.#store.memory.free(order)
    }
    this.#members.release(cell, undefined)
  }

  length(cell: Cell): number {
    return this.#members.count(cell)
  }

  /** The member's score; NaN when it is not there. */
  score(cell: Cell, member: Argument): number {
    const members = this.#members
    return members.find(cell, member) ? members.view.getFloat64(members.payload, true) : Number.NaN
  }

  /** Gives a member a score as a command does, whether it had one or not; true when it is new. */
  set(cell: Cell, member: Argument, score: number): boolean {
    if (!this.isPacked(cell)) return this.fill(cell, member, score)
    const fits = this.length(cell) < MOST_PACKED_MEMBERS && member.length <= LONGEST_PACKED_MEMBER
    if (!fits && !this.#members.find(cell, member)) {
      this.unpack(cell)
      return this.fill(cell, member, score)
    }
    return this.fill(cell, member, score === 0 ? 0 : score)
  }

  /** The same, with just this score. */
  fill(cell: Cell, member: Argument, score: number): boolean {
    const members = this.#members
    const found = members.find(cell, member)
    const order = this.#orderOf(cell)
    // Servers leave a zero its sign when it gets the other one.
    if (found && members.view.getFloat64(members.payload, true) === score) return false
    if (order !== 0 && found) {
      const before = members.view.getFloat64(members.payload, true)
      members.view.setFloat64(members.payload, score, true)
      this.#removeItem(order, member, before)
    } else {
      if (!found) members.add(cell, member, SCORE_SIZE)
      members.view.setFloat64(members.payload, score, true)
    }
    if (order !== 0) this.#addItem(order, member, score)
    return !found
  }

  /** Whether it was there. */
  delete(cell: Cell, member: Argument): boolean {
    const members = this.#members
    if (!members.find(cell, member)) return false
    const order = this.#orderOf(cell)
    if (order !== 0) this.#removeItem(order, member, members.view.getFloat64(members.payload, true))
    members.remove(cell)
    return true
  }

  /** How many members have a smaller score, or, inclusive, one that is not larger. */
  countBelow(cell: Cell, score: number, inclusive: boolean): number {
    const order = this.#ordered(cell)
    this.#probe.byScore(score, inclusive)
    return this.#order.search(this.#words(order), at(order) >>> 2, this.#probe)
  }

  /** The same by member, where all scores are equal: how many stand before it. */
  countBelowMember(cell: Cell, member: Slice, inclusive: boolean): number {
    const order = this.#ordered(cell)
    this.#probe.byMember(member, inclusive)
    return this.#order.search(this.#words(order), at(order) >>> 2, this.#probe)
  }

  /** Makes the slice the member of a rank that is there, which counts from the smallest score; its score. */
  atRank(cell: Cell, rank: number, member: Slice): number {
    const order = this.#ordered(cell)
    this.#order.read(this.#words(order), at(order) >>> 2, rank, this.#found)
    const { bytes, at: from, end } = this.#found
    member.set(bytes, from + SCORE_SIZE, end)
    return scoreAt(bytes, from)
  }

  /** Removes the members of ranks from `from` up to, not including, `to`. */
  removeRanks(cell: Cell, from: number, to: number): void {
    const order = this.#ordered(cell)
    const first = Math.max(0, from)
    const last = Math.min(to, this.length(cell))
    // From the end, so that of those to come none moves.
    for (let rank = last - 1; rank >= first; rank--) {
      const words = this.#words(order)
      this.#order.read(words, at(order) >>> 2, rank, this.#found)
      this.#member.of(this.#found.bytes, this.#found.at + SCORE_SIZE, this.#found.end)
      if (this.#members.find(cell, this.#member)) this.#members.remove(cell)
      this.#order.remove(words, at(order) >>> 2, rank)
    }
  }

  /** A walk through the members in no order; the sorted set must not be changed meanwhile. */
  walk(): Walk {
    return this.#members.walk()
  }

  /** The score of the member at which a walk is. */
  scoreOf(walk: Walk): number {
    return walk.view.getFloat64(walk.payload, true)
  }

  emit(cell: Cell, sink: ElementSink): void {
    sink.begin('zset', this.length(cell))
    const walk = this.#walk
    for (walk.begin(cell); walk.next(); ) sink.scored(walk.name, this.scoreOf(walk))
  }

  #orderOf(cell: Cell): Ref {
    return this.#store.cells.words[segmentOfCell(cell)][wordOf(cell) + ORDER]
  }

  #words(order: Ref): Int32Array {
    return this.#store.memory.words[segmentOf(order)]
  }

  #ordered(cell: Cell): Ref {
    const kept = this.#orderOf(cell)
    if (kept !== 0) return kept
    const order = this.#store.memory.allocate(SEQUENCE_WORDS * 4)
    this.#order.begin(this.#words(order), at(order) >>> 2)
    this.#store.cells.words[segmentOfCell(cell)][wordOf(cell) + ORDER] = order
    const walk = this.#members.walk()
    for (walk.begin(cell); walk.next(); ) this.#addItem(order, walk.name, this.scoreOf(walk))
    return order
  }

  #addItem(order: Ref, member: Slice, score: number): void {
    const words = this.#words(order)
    const owner = at(order) >>> 2
    this.#probe.byBoth(score, member)
    const position = this.#order.search(words, owner, this.#probe)
    const size = SCORE_SIZE + member.length
    if (this.#scratch.length < size) this.#scratch = new Uint8Array(2 * size)
    putScore(this.#scratch, score)
    copyBytes(member.bytes, member.at, this.#scratch, SCORE_SIZE, member.length)
    this.#order.insert(words, owner, position, this.#item.of(this.#scratch, 0, size))
  }

  #removeItem(order: Ref, member: Slice, score: number): void {
    const words = this.#words(order)
    const owner = at(order) >>> 2
    this.#probe.byBoth(score, member)
    this.#order.remove(words, owner, this.#order.search(words, owner, this.#probe))
  }
}

const score = new Float64Array(1)
const scoreBytes = new Uint8Array(score.buffer)

function scoreAt(bytes: Uint8Array, from: number): number {
  for (let i = 0; i < SCORE_SIZE; i++) scoreBytes[i] = bytes[from + i]
  return score[0]
}

function putScore(bytes: Uint8Array, value: number): void {
  score[0] = value
  bytes.set(scoreBytes)
}

/** Compares items of the order with what is looked for. */
class ScoreProbe implements Probe {
  readonly #values: Values
  readonly #item = new Slice()
  #score = 0
  #member: Slice | undefined
  #byScore = true
  /** What an item is that is equal in all that is compared: -1, it still stands before what is looked for. */
  #equal = 0

  constructor(store: Storage) {
    this.#values = new Values(store)
  }

  byScore(score: number, inclusive: boolean): void {
    this.#score = score
    this.#member = undefined
    this.#byScore = true
    this.#equal = inclusive ? -1 : 0
  }

  byMember(member: Slice, inclusive: boolean): void {
    this.#member = member
    this.#byScore = false
    this.#equal = inclusive ? -1 : 0
  }

  byBoth(score: number, member: Slice): void {
    this.#score = score
    this.#member = member
    this.#byScore = true
    this.#equal = 0
  }

  compare(bytes: Uint8Array, at: number): number {
    const item = this.#item
    this.#values.read(bytes, at, item)
    if (this.#byScore) {
      const kept = scoreAt(item.bytes, item.at)
      if (kept < this.#score) return -1
      if (kept > this.#score) return 1
    }
    const member = this.#member
    if (member === undefined) return this.#equal
    const length = item.length - SCORE_SIZE
    const from = item.at + SCORE_SIZE
    const common = Math.min(length, member.length)
    for (let i = 0; i < common; i++) {
      const difference = item.bytes[from + i] - member.bytes[member.at + i]
      if (difference !== 0) return difference
    }
    return length === member.length ? this.#equal : length - member.length
  }
}
