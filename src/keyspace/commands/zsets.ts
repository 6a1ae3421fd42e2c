import type { Call } from '../call.ts'
import { type Cell, CellKind } from '../cells.ts'
import { parseScoreArgument } from '../doubles.ts'
import type { Keyspace } from '../keyspace.ts'
import { NOT_A_FLOAT, NOT_AN_INTEGER, OUT_OF_RANGE, Rejection, SYNTAX, WRONGTYPE } from '../rejection.ts'
import type { Handlers } from './handler.ts'
import {
  countBeforeMember,
  countBeforeScore,
  isMemberBound,
  NO_MEMBER_BOUND,
  NO_SCORE_BOUND,
  scoreBound,
} from './zset-bounds.ts'
import { zsetToAddTo } from './zset-hints.ts'

const XX_AND_NX = new Rejection('ERR XX and NX options at the same time are not compatible')
const GT_LT_NX = new Rejection('ERR GT, LT, and/or NX options at the same time are not compatible')
const INCR_PAIRS = new Rejection('ERR INCR option supports a single increment-element pair')
const NOT_A_NUMBER = new Rejection('ERR resulting score is not a number (NaN)')

// biome-ignore lint/suspicious/noConfusingVoidType: as Handler
function zadd(call: Call, keyspace: Keyspace): Rejection | void {
  let nx = false
  let xx = false
  let gt = false
  let lt = false
  let incr = false
  let first = 2
  // Flags are words; a score begins with a letter only when it is infinite.
  for (; first < call.argc && call.isWord(first); first++) {
    if (call.is(first, 'NX')) nx = true
    else if (call.is(first, 'XX')) xx = true
    else if (call.is(first, 'CH')) continue
    else if (call.is(first, 'INCR')) incr = true
    else if (call.is(first, 'GT')) gt = true
    else if (call.is(first, 'LT')) lt = true
    else break
  }
  const left = call.argc - first
  if (left === 0 || left % 2 !== 0) return SYNTAX
  if (nx && xx) return XX_AND_NX
  if ((gt && nx) || (lt && nx) || (gt && lt)) return GT_LT_NX
  if (incr && left > 2) return INCR_PAIRS
  // All scores are read before anything is changed.
  for (let i = first; i < call.argc; i += 2)
    if (parseScoreArgument(call.at(i), keyspace.server) === undefined) return NOT_A_FLOAT
  const cell = zsetToAddTo(call, keyspace, xx, first + 1, 2)
  if (cell instanceof Rejection) return cell
  if (cell === 0) return
  const { zsets } = keyspace
  if (!nx && !xx && !gt && !lt && !incr) {
    for (let i = first; i < call.argc; i += 2)
      zsets.set(cell, call.at(i + 1), parseScoreArgument(call.at(i), keyspace.server) as number)
    return
  }
  for (let i = first; i < call.argc; i += 2) {
    let score = parseScoreArgument(call.at(i), keyspace.server) as number
    const member = call.at(i + 1)
    const before = zsets.score(cell, member)
    if (Number.isNaN(before)) {
      if (!xx) zsets.set(cell, member, score)
      continue
    }
    if (nx) continue
    if (incr) {
      score += before
      if (Number.isNaN(score)) return NOT_A_NUMBER
    }
    if ((gt && score <= before) || (lt && score >= before)) continue
    zsets.set(cell, member, score)
  }
}

/** The cell of a sorted set; 0: there is no such key; undefined: it holds another kind. */
function zsetAt(call: Call, keyspace: Keyspace): Cell | undefined {
  const cell = keyspace.find(call.at(1))
  return cell !== 0 && keyspace.kind(cell) !== CellKind.Zset ? undefined : cell
}

// biome-ignore lint/suspicious/noConfusingVoidType: as Handler
function pop(call: Call, keyspace: Keyspace, smallest: boolean): Rejection | void {
  let count = 1
  if (call.argc > 3) return SYNTAX
  if (call.argc === 3) {
    count = call.number(2)
    if (!(count >= 0)) return OUT_OF_RANGE
  }
  const cell = zsetAt(call, keyspace)
  if (cell === undefined) return WRONGTYPE
  if (cell === 0) return
  const length = keyspace.zsets.length(cell)
  if (smallest) keyspace.zsets.removeRanks(cell, 0, count)
  else keyspace.zsets.removeRanks(cell, length - Math.min(count, length), length)
}

export const ZSETS: Handlers = {
  zadd,

  zincrby(call, keyspace) {
    const by = parseScoreArgument(call.at(2), keyspace.server)
    if (by === undefined) return NOT_A_FLOAT
    const cell = keyspace.open(call.at(1), CellKind.Zset)
    if (cell === 0) return WRONGTYPE
    const before = keyspace.zsets.score(cell, call.at(3))
    const score = Number.isNaN(before) ? by : before + by
    if (Number.isNaN(score)) return NOT_A_NUMBER
    keyspace.zsets.set(cell, call.at(3), score)
  },

  zrem(call, keyspace) {
    const cell = keyspace.find(call.at(1))
    if (cell === 0) return
    if (keyspace.kind(cell) !== CellKind.Zset) return WRONGTYPE
    for (let i = 2; i < call.argc; i++) keyspace.zsets.delete(cell, call.at(i))
  },

  zpopmin: (call, keyspace) => pop(call, keyspace, true),
  zpopmax: (call, keyspace) => pop(call, keyspace, false),

  zremrangebyrank(call, keyspace) {
    const first = call.int64(2)
    const last = call.int64(3)
    if (first === undefined || last === undefined) return NOT_AN_INTEGER
    const cell = zsetAt(call, keyspace)
    if (cell === undefined) return WRONGTYPE
    if (cell === 0) return
    const length = keyspace.zsets.length(cell)
    const from = first < 0n ? Math.max(0, length + Number(first)) : Number(first)
    const to = last < 0n ? length + Number(last) : Number(last)
    if (from <= to && from < length) keyspace.zsets.removeRanks(cell, from, to + 1)
  },

  zremrangebyscore(call, keyspace) {
    const min = scoreBound(call.at(2), keyspace.server)
    const max = scoreBound(call.at(3), keyspace.server)
    if (min === undefined || max === undefined) return NO_SCORE_BOUND
    const cell = zsetAt(call, keyspace)
    if (cell === undefined) return WRONGTYPE
    if (cell === 0) return
    const from = countBeforeScore(keyspace, cell, min, false)
    keyspace.zsets.removeRanks(cell, from, countBeforeScore(keyspace, cell, max, true))
  },

  zremrangebylex(call, keyspace) {
    if (!isMemberBound(call.at(2)) || !isMemberBound(call.at(3))) return NO_MEMBER_BOUND
    const cell = zsetAt(call, keyspace)
    if (cell === undefined) return WRONGTYPE
    if (cell === 0) return
    const from = countBeforeMember(keyspace, cell, call.at(2), false)
    keyspace.zsets.removeRanks(cell, from, countBeforeMember(keyspace, cell, call.at(3), true))
  },
}
