import type { ServerName } from '../../servers/servers.ts'
import { Slice } from '../../values/slice.ts'
import type { Argument } from '../argument.ts'
import type { Cell } from '../cells.ts'
import { parseBound } from '../doubles.ts'
import type { Keyspace } from '../keyspace.ts'
import { Rejection } from '../rejection.ts'

/*
 * Bounds of ranges in sorted sets: `(1.5`, `-inf` by score; `[a`, `(a`, `-`, `+` by member.
 */

export const NO_SCORE_BOUND = new Rejection('ERR min or max is not a float')
export const NO_MEMBER_BOUND = new Rejection('ERR min or max not valid string range item')

const OPEN = 0x28
const CLOSED = 0x5b
const MINUS = 0x2d
const PLUS = 0x2b

const REST = new Slice()

export interface ScoreBound {
  readonly score: number
  /** It is not in the range itself. */
  readonly open: boolean
}

export function scoreBound(argument: Argument, server: ServerName): ScoreBound | undefined {
  const { bytes, at, end } = argument
  const open = at < end && bytes[at] === OPEN
  const score = parseBound(REST.set(bytes, open ? at + 1 : at, end), server)
  return score === undefined ? undefined : { score, open }
}

/** How many members stand before a range by score begins, or, of its upper bound, ends. */
export function countBeforeScore(keyspace: Keyspace, cell: Cell, bound: ScoreBound, upper: boolean): number {
  return keyspace.zsets.countBelow(cell, bound.score, upper !== bound.open)
}

export function isMemberBound({ bytes, at, length }: Argument): boolean {
  if (length === 0) return false
  if (bytes[at] === OPEN || bytes[at] === CLOSED) return true
  return length === 1 && (bytes[at] === MINUS || bytes[at] === PLUS)
}

/** The same by member, where all scores are equal. */
export function countBeforeMember(keyspace: Keyspace, cell: Cell, bound: Argument, upper: boolean): number {
  const first = bound.bytes[bound.at]
  if (first !== OPEN && first !== CLOSED) return first === MINUS ? 0 : keyspace.zsets.length(cell)
  REST.set(bound.bytes, bound.at + 1, bound.end)
  return keyspace.zsets.countBelowMember(cell, REST, upper ? first === CLOSED : first === OPEN)
}
