import { Slice } from '../../values/slice.ts'
import { Argument } from '../argument.ts'
import type { Call } from '../call.ts'
import { type Cell, CellKind } from '../cells.ts'
import { parseScoreArgument } from '../doubles.ts'
import type { Keyspace } from '../keyspace.ts'
import type { Walk } from '../members.ts'
import { NOT_AN_INTEGER, Rejection, SYNTAX, WRONGTYPE } from '../rejection.ts'
import { MOST_PACKED_MEMBERS } from '../types/zsets.ts'
import { cellsAt, longAt, store } from './destination.ts'
import type { Handlers } from './handler.ts'
import {
  countBeforeMember,
  countBeforeScore,
  isMemberBound,
  NO_MEMBER_BOUND,
  NO_SCORE_BOUND,
  scoreBound,
} from './zset-bounds.ts'

const NO_WEIGHT = new Rejection('ERR weight value is not a float')
const LIMIT_BY_RANK = new Rejection(
  'ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX',
)

const MEMBER = new Argument()
const FOUND = new Slice()

const hasMembers = (kind: CellKind) => kind === CellKind.Zset || kind === CellKind.Set

/** Sums up scores; what would be no number is 0. */
function sum(a: number, b: number): number {
  const total = a + b
  return Number.isNaN(total) ? 0 : total
}

// Not Math.min and Math.max, which say otherwise of what is no number, and of zeros with a sign.
const smaller = (a: number, b: number) => (b < a ? b : a)
const larger = (a: number, b: number) => (b > a ? b : a)

/** A set or a sorted set as input of an operation. */
interface Input {
  readonly cell: Cell
  readonly size: number
  readonly weight: number
}

interface Operation {
  /** In ascending order of their size, which decides what sums of scores are rounded to; of a difference as given. */
  readonly inputs: readonly Input[]
  readonly aggregate: (a: number, b: number) => number
  /** Whether the members count, each for its weight, and not their scores (Redis 8.8). */
  readonly counts: boolean
}

/** @param name of the command: a difference has neither weights nor an aggregate */
function operation(call: Call, keyspace: Keyspace, name: string): Operation | Rejection {
  const count = longAt(call, 2)
  if (Number.isNaN(count)) return NOT_AN_INTEGER
  if (count < 1) return new Rejection(`ERR at least 1 input key is needed for '${name}' command`)
  if (count > call.argc - 3) return SYNTAX
  const cells = cellsAt(call, keyspace, 3, count, hasMembers)
  if (cells === undefined) return WRONGTYPE
  const weighted = name !== 'zdiffstore'
  const weights = new Float64Array(count).fill(1)
  let aggregate = sum
  let counts = false
  for (let i = 3 + count; i < call.argc; ) {
    if (!weighted) return SYNTAX
    if (call.is(i, 'WEIGHTS') && call.argc - i > count) {
      for (let k = 0; k < count; k++) {
        const weight = parseScoreArgument(call.at(i + 1 + k), keyspace.server)
        if (weight === undefined) return NO_WEIGHT
        weights[k] = weight
      }
      i += 1 + count
    } else if (call.is(i, 'AGGREGATE') && call.argc - i > 1) {
      counts = call.is(i + 1, 'COUNT')
      if (counts || call.is(i + 1, 'SUM')) aggregate = sum
      else if (call.is(i + 1, 'MIN')) aggregate = smaller
      else if (call.is(i + 1, 'MAX')) aggregate = larger
      else return SYNTAX
      i += 2
    } else return SYNTAX
  }
  const inputs = cells.map((cell, k) => ({ cell, size: sizeOf(keyspace, cell), weight: weights[k] }))
  if (weighted) inputs.sort((a, b) => a.size - b.size)
  return { inputs, aggregate, counts }
}

function sizeOf(keyspace: Keyspace, cell: Cell): number {
  return cell === 0 ? 0 : keyspace.length(cell)
}

function walkOf(keyspace: Keyspace, cell: Cell): Walk {
  const walk = isSet(keyspace, cell) ? keyspace.sets.walk() : keyspace.zsets.walk()
  walk.begin(cell)
  return walk
}

function isSet(keyspace: Keyspace, cell: Cell): boolean {
  return keyspace.kind(cell) === CellKind.Set
}

/** The score of a member, which in a set is 1; NaN when it is not there. */
function scoreIn(keyspace: Keyspace, cell: Cell, member: Argument): number {
  if (!isSet(keyspace, cell)) return keyspace.zsets.score(cell, member)
  return keyspace.sets.has(cell, member) ? 1 : Number.NaN
}

// biome-ignore lint/suspicious/noConfusingVoidType: as Handler
function zunionstore(call: Call, keyspace: Keyspace): Rejection | void {
  const given = operation(call, keyspace, 'zunionstore')
  if (given instanceof Rejection) return given
  const { inputs, aggregate, counts } = given
  const { zsets } = keyspace
  store(keyspace, call.at(1), CellKind.Zset, target => {
    for (const { cell, size, weight } of inputs) {
      if (size === 0) continue
      const plain = counts || isSet(keyspace, cell)
      const walk = walkOf(keyspace, cell)
      while (walk.next()) {
        const weighted = weight * (plain ? 1 : zsets.scoreOf(walk))
        const score = Number.isNaN(weighted) ? 0 : weighted
        const member = MEMBER.ofSlice(walk.name)
        const before = zsets.score(target, member)
        zsets.fill(target, member, Number.isNaN(before) ? score : aggregate(before, score))
      }
    }
    zsets.pack(target)
  })
}

// biome-ignore lint/suspicious/noConfusingVoidType: as Handler
function zinterstore(call: Call, keyspace: Keyspace): Rejection | void {
  const given = operation(call, keyspace, 'zinterstore')
  if (given instanceof Rejection) return given
  const { aggregate, counts } = given
  const [smallest, ...others] = given.inputs
  const { zsets } = keyspace
  store(keyspace, call.at(1), CellKind.Zset, target => {
    if (smallest.size === 0) return
    const plain = counts || isSet(keyspace, smallest.cell)
    const walk = walkOf(keyspace, smallest.cell)
    members: while (walk.next()) {
      let score = smallest.weight * (plain ? 1 : zsets.scoreOf(walk))
      if (Number.isNaN(score)) score = 0
      const member = MEMBER.ofSlice(walk.name)
      for (const { cell, weight } of others) {
        const other = scoreIn(keyspace, cell, member)
        if (Number.isNaN(other)) continue members
        score = aggregate(score, weight * (counts ? 1 : other))
      }
      zsets.fill(target, member, score)
    }
    zsets.pack(target)
  })
}

// biome-ignore lint/suspicious/noConfusingVoidType: as Handler
function zdiffstore(call: Call, keyspace: Keyspace): Rejection | void {
  const given = operation(call, keyspace, 'zdiffstore')
  if (given instanceof Rejection) return given
  const [first, ...rest] = given.inputs
  const others = rest.filter(({ size }) => size > 0)
  const { zsets } = keyspace
  store(keyspace, call.at(1), CellKind.Zset, target => {
    if (first.size === 0) return
    const plain = isSet(keyspace, first.cell)
    const walk = walkOf(keyspace, first.cell)
    members: while (walk.next()) {
      const score = plain ? 1 : zsets.scoreOf(walk)
      const member = MEMBER.ofSlice(walk.name)
      for (const { cell } of others) if (!Number.isNaN(scoreIn(keyspace, cell, member))) continue members
      zsets.fill(target, member, score)
    }
    zsets.pack(target)
  })
}

/** Ranks, from the smallest score, of which a range has those from `first` up to, not including, `end`. */
interface Ranks {
  readonly first: number
  readonly end: number
}

const NO_RANKS: Ranks = { first: 0, end: 0 }

/** Who finds the ranks in a sorted set, once it is known to be one. */
type Range = (cell: Cell) => Ranks

function rangeByRank(call: Call, keyspace: Keyspace, reverse: boolean): Range | Rejection {
  const given = longAt(call, 3)
  const last = longAt(call, 4)
  if (Number.isNaN(given) || Number.isNaN(last)) return NOT_AN_INTEGER
  return cell => {
    const length = keyspace.zsets.length(cell)
    const from = Math.max(0, given < 0 ? given + length : given)
    const to = Math.min(length - 1, last < 0 ? last + length : last)
    if (from > to) return NO_RANKS
    return reverse ? { first: length - 1 - to, end: length - from } : { first: from, end: to + 1 }
  }
}

function rangeByScore(call: Call, keyspace: Keyspace, reverse: boolean): Range | Rejection {
  const min = scoreBound(call.at(reverse ? 4 : 3), keyspace.server)
  const max = scoreBound(call.at(reverse ? 3 : 4), keyspace.server)
  if (min === undefined || max === undefined) return NO_SCORE_BOUND
  return cell => ({
    first: countBeforeScore(keyspace, cell, min, false),
    end: countBeforeScore(keyspace, cell, max, true),
  })
}

function rangeByMember(call: Call, keyspace: Keyspace, reverse: boolean): Range | Rejection {
  const min = reverse ? 4 : 3
  const max = reverse ? 3 : 4
  if (!isMemberBound(call.at(min)) || !isMemberBound(call.at(max))) return NO_MEMBER_BOUND
  return cell => ({
    first: countBeforeMember(keyspace, cell, call.at(min), false),
    end: countBeforeMember(keyspace, cell, call.at(max), true),
  })
}

/** Of a range those behind `offset`, at most `count` (below 0: all), counted from its beginning or from its end. */
function limited({ first, end }: Ranks, offset: number, count: number, reverse: boolean): Ranks {
  // Where it is negative, servers of some versions count from the other end, in large sorted sets only.
  if (offset < 0) return NO_RANKS
  const left = Math.max(0, end - first - offset)
  const taken = count < 0 ? left : Math.min(left, count)
  return reverse
    ? { first: end - offset - taken, end: end - offset }
    : { first: first + offset, end: first + offset + taken }
}

// biome-ignore lint/suspicious/noConfusingVoidType: as Handler
function zrangestore(call: Call, keyspace: Keyspace): Rejection | void {
  let reverse = false
  let by: 'RANK' | 'SCORE' | 'LEX' = 'RANK'
  let offset = 0
  let count = -1
  for (let i = 5; i < call.argc; i++) {
    if (call.is(i, 'LIMIT') && call.argc - i > 2) {
      offset = longAt(call, i + 1)
      count = longAt(call, i + 2)
      if (Number.isNaN(offset) || Number.isNaN(count)) return NOT_AN_INTEGER
      i += 2
    } else if (!reverse && call.is(i, 'REV')) reverse = true
    else if (by === 'RANK' && call.is(i, 'BYLEX')) by = 'LEX'
    else if (by === 'RANK' && call.is(i, 'BYSCORE')) by = 'SCORE'
    else return SYNTAX
  }
  if (count !== -1 && by === 'RANK') return LIMIT_BY_RANK
  const rangeOf = by === 'RANK' ? rangeByRank : by === 'SCORE' ? rangeByScore : rangeByMember
  const range = rangeOf(call, keyspace, reverse)
  if (range instanceof Rejection) return range
  const source = keyspace.find(call.at(2))
  if (source !== 0 && keyspace.kind(source) !== CellKind.Zset) return WRONGTYPE
  const { zsets } = keyspace
  store(keyspace, call.at(1), CellKind.Zset, target => {
    if (source === 0) return
    const all = range(source)
    const { first, end } = by === 'RANK' ? all : limited(all, offset, count, reverse)
    // How many come is known only of ranks; and what is stored is not packed afterwards, so that their order counts.
    if (by === 'RANK' && end - first > MOST_PACKED_MEMBERS) zsets.unpack(target)
    for (let i = 0; i < end - first; i++) {
      const score = zsets.atRank(source, reverse ? end - 1 - i : first + i, FOUND)
      zsets.set(target, MEMBER.ofSlice(FOUND), score)
    }
  })
}

export const ZSET_STORES: Handlers = { zunionstore, zinterstore, zdiffstore, zrangestore }
