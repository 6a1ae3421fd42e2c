import type { Call } from '../call.ts'
import { type Cell, CellKind } from '../cells.ts'
import { parseScoreArgument } from '../doubles.ts'
import type { Keyspace } from '../keyspace.ts'
import { Rejection, SYNTAX, WRONGTYPE } from '../rejection.ts'
import { longAt } from './destination.ts'
import type { Handlers } from './handler.ts'

/*
 * Commands that take elements from the first of several keys that is there. Servers log what they came to, LPOP or
 * ZPOPMIN; scripts of old ones log them as they are. While a log is loading nobody waits.
 */

const NO_KEYS = new Rejection('ERR numkeys should be greater than 0')
const NO_COUNT = new Rejection('ERR count should be greater than 0')
const NO_TIMEOUT = new Rejection('ERR timeout is not a float or out of range')
const NEGATIVE_TIMEOUT = new Rejection('ERR timeout is negative')

/** Takes up to so many elements from one end: the head or the smallest scores, or the other one. */
type Take = (keyspace: Keyspace, cell: Cell, first: boolean, count: number) => void

const takeItems: Take = (keyspace, cell, first, count) => {
  if (first) keyspace.lists.dropFront(cell, count)
  else keyspace.lists.dropBack(cell, count)
}

const takeMembers: Take = (keyspace, cell, first, count) => {
  const length = keyspace.zsets.length(cell)
  const taken = Math.min(count, length)
  if (first) keyspace.zsets.removeRanks(cell, 0, taken)
  else keyspace.zsets.removeRanks(cell, length - taken, length)
}

/** What is popped from, and the words that say from which end of it. */
interface Popped {
  readonly kind: CellKind
  readonly take: Take
  readonly first: string
  readonly last: string
}

const ITEMS: Popped = { kind: CellKind.List, take: takeItems, first: 'LEFT', last: 'RIGHT' }
const MEMBERS: Popped = { kind: CellKind.Zset, take: takeMembers, first: 'MIN', last: 'MAX' }

function popFirst(
  call: Call,
  keyspace: Keyspace,
  popped: Popped,
  keys: { from: number; to: number },
  first: boolean,
  count: number,
  // biome-ignore lint/suspicious/noConfusingVoidType: as Handler
): Rejection | void {
  for (let i = keys.from; i < keys.to; i++) {
    const cell = keyspace.find(call.at(i))
    if (cell === 0) continue
    if (keyspace.kind(cell) !== popped.kind) return WRONGTYPE
    popped.take(keyspace, cell, first, count)
    return
  }
}

function timeoutAt(call: Call, keyspace: Keyspace, i: number): Rejection | undefined {
  const timeout = parseScoreArgument(call.at(i), keyspace.server)
  if (timeout === undefined || timeout * 1000 >= 2 ** 63) return NO_TIMEOUT
  return timeout < 0 ? NEGATIVE_TIMEOUT : undefined
}

// biome-ignore lint/suspicious/noConfusingVoidType: as Handler
function blocking(call: Call, keyspace: Keyspace, popped: Popped, first: boolean): Rejection | void {
  const refused = timeoutAt(call, keyspace, call.argc - 1)
  if (refused !== undefined) return refused
  return popFirst(call, keyspace, popped, { from: 1, to: call.argc - 1 }, first, 1)
}

/** @param at where the number of keys is */
// biome-ignore lint/suspicious/noConfusingVoidType: as Handler
function several(call: Call, keyspace: Keyspace, popped: Popped, at: number): Rejection | void {
  const keys = longAt(call, at)
  if (!(keys >= 1)) return NO_KEYS
  const where = at + keys + 1
  if (where >= call.argc) return SYNTAX
  const first = call.is(where, popped.first)
  if (!first && !call.is(where, popped.last)) return SYNTAX
  let count = 1
  if (call.argc > where + 1) {
    if (!call.is(where + 1, 'COUNT') || call.argc < where + 3) return SYNTAX
    count = longAt(call, where + 2)
    if (!(count >= 1)) return NO_COUNT
    if (call.argc > where + 3) return SYNTAX
  }
  if (at > 1) {
    const refused = timeoutAt(call, keyspace, 1)
    if (refused !== undefined) return refused
  }
  return popFirst(call, keyspace, popped, { from: at + 1, to: where }, first, count)
}

export const POPS: Handlers = {
  blpop: (call, keyspace) => blocking(call, keyspace, ITEMS, true),
  brpop: (call, keyspace) => blocking(call, keyspace, ITEMS, false),
  bzpopmin: (call, keyspace) => blocking(call, keyspace, MEMBERS, true),
  bzpopmax: (call, keyspace) => blocking(call, keyspace, MEMBERS, false),
  lmpop: (call, keyspace) => several(call, keyspace, ITEMS, 1),
  blmpop: (call, keyspace) => several(call, keyspace, ITEMS, 2),
  zmpop: (call, keyspace) => several(call, keyspace, MEMBERS, 1),
  bzmpop: (call, keyspace) => several(call, keyspace, MEMBERS, 2),
}
