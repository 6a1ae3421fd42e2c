import { Argument } from '../argument.ts'
import type { Call } from '../call.ts'
import { type Cell, CellKind } from '../cells.ts'
import type { Keyspace } from '../keyspace.ts'
import {
  INDEX_OUT_OF_RANGE,
  NO_SUCH_KEY,
  NOT_AN_INTEGER,
  OUT_OF_RANGE,
  type Rejection,
  SYNTAX,
  WRONGTYPE,
} from '../rejection.ts'
import type { Handlers } from './handler.ts'

const TAKEN = new Argument()

// biome-ignore lint/suspicious/noConfusingVoidType: as Handler
function push(call: Call, keyspace: Keyspace, front: boolean, make: boolean): Rejection | void {
  const key = call.at(1)
  let cell = keyspace.find(key)
  if (cell === 0) {
    if (!make) return
    cell = keyspace.create(key, CellKind.List)
  } else if (keyspace.kind(cell) !== CellKind.List) return WRONGTYPE
  for (let i = 2; i < call.argc; i++) {
    if (front) keyspace.lists.pushFront(cell, call.value(i))
    else keyspace.lists.pushBack(cell, call.value(i))
  }
}

// biome-ignore lint/suspicious/noConfusingVoidType: as Handler
function pop(call: Call, keyspace: Keyspace, front: boolean): Rejection | void {
  let count = 1
  if (call.argc > 2) {
    count = call.number(2)
    if (!(count >= 0)) return OUT_OF_RANGE
  }
  const cell = keyspace.find(call.at(1))
  if (cell === 0) return
  if (keyspace.kind(cell) !== CellKind.List) return WRONGTYPE
  if (front) keyspace.lists.dropFront(cell, count)
  else keyspace.lists.dropBack(cell, count)
}

/** Moves an item from one list to another, or within one. */
// biome-ignore lint/suspicious/noConfusingVoidType: as Handler
function move(call: Call, keyspace: Keyspace, fromFront: boolean, toFront: boolean): Rejection | void {
  const source = keyspace.find(call.at(1))
  if (source === 0) return
  if (keyspace.kind(source) !== CellKind.List) return WRONGTYPE
  const there = keyspace.find(call.at(2))
  if (there !== 0 && keyspace.kind(there) !== CellKind.List) return WRONGTYPE
  const { lists } = keyspace
  const position = fromFront ? 0 : lists.length(source) - 1
  lists.take(source, position, TAKEN)
  lists.delete(source, position)
  const target = there === 0 ? keyspace.create(call.at(2), CellKind.List) : there
  if (toFront) lists.pushFront(target, TAKEN)
  else lists.pushBack(target, TAKEN)
}

/** An index as it is given, from the head, or, negative, from behind the tail; NaN when it is none. */
function index(call: Call, i: number): number {
  const number = call.number(i)
  if (!Number.isNaN(number)) return number
  const exact = call.int64(i)
  return exact === undefined ? Number.NaN : Number(exact)
}

/** Whether argument `i` says LEFT; undefined: nor RIGHT. */
function isLeft(call: Call, i: number): boolean | undefined {
  if (call.is(i, 'LEFT')) return true
  return call.is(i, 'RIGHT') ? false : undefined
}

export const LISTS: Handlers = {
  rpush: (call, keyspace) => push(call, keyspace, false, true),
  lpush: (call, keyspace) => push(call, keyspace, true, true),
  rpushx: (call, keyspace) => push(call, keyspace, false, false),
  lpushx: (call, keyspace) => push(call, keyspace, true, false),
  lpop: (call, keyspace) => pop(call, keyspace, true),
  rpop: (call, keyspace) => pop(call, keyspace, false),
  rpoplpush: (call, keyspace) => move(call, keyspace, false, true),
  brpoplpush: (call, keyspace) => move(call, keyspace, false, true),

  lmove(call, keyspace) {
    const from = isLeft(call, 3)
    const to = isLeft(call, 4)
    if (from === undefined || to === undefined) return SYNTAX
    return move(call, keyspace, from, to)
  },

  blmove(call, keyspace) {
    const from = isLeft(call, 3)
    const to = isLeft(call, 4)
    if (from === undefined || to === undefined) return SYNTAX
    return move(call, keyspace, from, to)
  },

  ltrim(call, keyspace) {
    let from = index(call, 2)
    let to = index(call, 3)
    if (Number.isNaN(from) || Number.isNaN(to)) return NOT_AN_INTEGER
    const cell = keyspace.find(call.at(1))
    if (cell === 0) return
    if (keyspace.kind(cell) !== CellKind.List) return WRONGTYPE
    const length = keyspace.lists.length(cell)
    if (from < 0) from = Math.max(0, length + from)
    if (to < 0) to = length + to
    to = Math.min(to, length - 1)
    if (from > to || from >= length) {
      keyspace.remove(cell)
      return
    }
    keyspace.lists.dropBack(cell, length - 1 - to)
    keyspace.lists.dropFront(cell, from)
  },

  lset(call, keyspace) {
    const cell = keyspace.find(call.at(1))
    if (cell === 0) return NO_SUCH_KEY
    if (keyspace.kind(cell) !== CellKind.List) return WRONGTYPE
    let position = index(call, 2)
    if (Number.isNaN(position)) return NOT_AN_INTEGER
    const length = keyspace.lists.length(cell)
    if (position < 0) position += length
    if (position < 0 || position >= length) return INDEX_OUT_OF_RANGE
    keyspace.lists.set(cell, position, call.value(3))
  },

  lrem(call, keyspace) {
    const count = index(call, 2)
    if (Number.isNaN(count)) return NOT_AN_INTEGER
    const cell = keyspace.find(call.at(1))
    if (cell === 0) return
    if (keyspace.kind(cell) !== CellKind.List) return WRONGTYPE
    const positions = positionsOf(keyspace, cell, call.at(3), count)
    // From the end, so that those before keep their positions.
    if (count >= 0) positions.reverse()
    for (const position of positions) keyspace.lists.delete(cell, position)
  },

  linsert(call, keyspace) {
    const before = call.is(2, 'BEFORE')
    if (!before && !call.is(2, 'AFTER')) return SYNTAX
    const cell = keyspace.find(call.at(1))
    if (cell === 0) return
    if (keyspace.kind(cell) !== CellKind.List) return WRONGTYPE
    const walk = keyspace.lists.walk()
    const pivot = call.at(3)
    let position = 0
    for (walk.begin(cell); walk.next(); position++) {
      if (!walk.equals(pivot)) continue
      keyspace.lists.insert(cell, before ? position : position + 1, call.value(4))
      return
    }
  },
}

/**
 * Where the value stands: the first `count` places from the head, or, negative, from the tail; 0: all of them. What stands
 * behind the last of them is not looked at, so that a long list costs as much as it does a server.
 */
function positionsOf(keyspace: Keyspace, cell: Cell, value: Argument, count: number): number[] {
  const positions: number[] = []
  const walk = keyspace.lists.walk()
  if (count < 0) {
    let position = keyspace.lists.length(cell) - 1
    for (walk.beginBack(cell); walk.previous(); position--) {
      if (walk.equals(value) && positions.push(position) === -count) break
    }
    return positions
  }
  let position = 0
  for (walk.begin(cell); walk.next(); position++) {
    if (walk.equals(value) && positions.push(position) === count) break
  }
  return positions
}
