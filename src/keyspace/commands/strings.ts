import { INT64_MAX, INT64_MIN } from '../../bytes/decimal.ts'
import { Slice } from '../../values/slice.ts'
import { Argument } from '../argument.ts'
import type { Call } from '../call.ts'
import { type Cell, CellKind } from '../cells.ts'
import type { Keyspace } from '../keyspace.ts'
import { LongDouble } from '../long-double.ts'
import {
  NAN_OR_INFINITY,
  NOT_A_FLOAT,
  NOT_AN_INTEGER,
  Rejection,
  WOULD_OVERFLOW,
  WRONGTYPE,
} from '../rejection.ts'
import type { Handlers } from './handler.ts'

/** `proto-max-bulk-len`, which logs do not tell; servers' default. */
const LONGEST = 512 * 2 ** 20
const TOO_LONG = new Rejection('ERR string exceeds maximum allowed size (proto-max-bulk-len)')

/** Gives a key a string, whatever it held. */
export function putString(keyspace: Keyspace, key: Argument, value: Argument, keepExpiry = false): Cell {
  let cell = keyspace.findKey(key)
  if (cell === 0) cell = keyspace.create(key, CellKind.String)
  else {
    if (keyspace.kind(cell) !== CellKind.String || keyspace.isEncoded(cell))
      keyspace.replace(cell, CellKind.String)
    if (!keepExpiry) keyspace.clearExpiry(cell)
  }
  keyspace.strings.set(cell, value)
  return cell
}

const SCRATCH = new Slice()

/** The cell of a string; 0: there is no such key; undefined: it holds another kind. */
export function stringAt(call: Call, keyspace: Keyspace): Cell | undefined {
  const cell = keyspace.find(call.at(1))
  return cell !== 0 && keyspace.kind(cell) !== CellKind.String ? undefined : cell
}

// biome-ignore lint/suspicious/noConfusingVoidType: as Handler
function add(call: Call, keyspace: Keyspace, by: number | bigint | undefined): Rejection | void {
  let cell = stringAt(call, keyspace)
  if (cell === undefined) return WRONGTYPE
  if (by === undefined) return NOT_AN_INTEGER
  const before = cell === 0 ? 0 : keyspace.strings.number(cell)
  if (typeof by === 'number' && Number.isSafeInteger(before + by)) {
    if (cell === 0) cell = keyspace.create(call.at(1), CellKind.String)
    keyspace.strings.setNumber(cell, before + by)
    return
  }
  const exact = cell === 0 ? 0n : keyspace.strings.int64(cell)
  if (exact === undefined) return NOT_AN_INTEGER
  const sum = exact + BigInt(by)
  if (sum > INT64_MAX || sum < INT64_MIN) return WOULD_OVERFLOW
  if (cell === 0) cell = keyspace.create(call.at(1), CellKind.String)
  keyspace.strings.setInt64(cell, sum)
}

function integer(call: Call, i: number): number | bigint | undefined {
  const number = call.number(i)
  return Number.isNaN(number) ? call.int64(i) : number
}

const DECREMENT_OVERFLOW = new Rejection('ERR decrement would overflow')
const OFFSET_OUT_OF_RANGE = new Rejection('ERR offset is out of range')

export const STRINGS: Handlers = {
  setnx(call, keyspace) {
    if (keyspace.findKey(call.at(1)) === 0) putString(keyspace, call.at(1), call.value(2))
  },

  getset(call, keyspace) {
    if (stringAt(call, keyspace) === undefined) return WRONGTYPE
    putString(keyspace, call.at(1), call.value(2))
  },

  getdel(call, keyspace) {
    const cell = stringAt(call, keyspace)
    if (cell === undefined) return WRONGTYPE
    if (cell !== 0) keyspace.remove(cell)
  },

  mset(call, keyspace) {
    if (call.argc % 2 === 0) return new Rejection("ERR wrong number of arguments for 'mset' command")
    for (let i = 1; i < call.argc; i += 2) putString(keyspace, call.at(i), call.value(i + 1))
  },

  msetnx(call, keyspace) {
    if (call.argc % 2 === 0) return new Rejection("ERR wrong number of arguments for 'msetnx' command")
    for (let i = 1; i < call.argc; i += 2) if (keyspace.findKey(call.at(i)) !== 0) return
    for (let i = 1; i < call.argc; i += 2) putString(keyspace, call.at(i), call.value(i + 1))
  },

  append(call, keyspace) {
    const cell = stringAt(call, keyspace)
    if (cell === undefined) return WRONGTYPE
    if (cell === 0) {
      putString(keyspace, call.at(1), call.value(2))
      return
    }
    const length = keyspace.strings.length(cell)
    const value = call.at(2)
    if (length + value.length > LONGEST) return TOO_LONG
    keyspace.strings.write(cell, length, value)
  },

  setrange(call, keyspace) {
    const offset = call.number(2)
    if (Number.isNaN(offset)) return call.int64(2) === undefined ? NOT_AN_INTEGER : TOO_LONG
    if (offset < 0) return OFFSET_OUT_OF_RANGE
    let cell = stringAt(call, keyspace)
    if (cell === undefined) return WRONGTYPE
    const value = call.at(3)
    if (value.length === 0) return
    if (offset + value.length > LONGEST) return TOO_LONG
    if (cell === 0) cell = keyspace.create(call.at(1), CellKind.String)
    keyspace.strings.write(cell, offset, value)
  },

  incr: (call, keyspace) => add(call, keyspace, 1),
  decr: (call, keyspace) => add(call, keyspace, -1),

  incrby(call, keyspace) {
    return add(call, keyspace, integer(call, 2))
  },

  decrby(call, keyspace) {
    const by = integer(call, 2)
    if (by === undefined) return NOT_AN_INTEGER
    if (by === INT64_MIN) return DECREMENT_OVERFLOW
    return add(call, keyspace, -by)
  },

  incrbyfloat(call, keyspace) {
    let cell = stringAt(call, keyspace)
    if (cell === undefined) return WRONGTYPE
    let before = LongDouble.ZERO
    if (cell !== 0) {
      keyspace.strings.read(cell, SCRATCH)
      const parsed = LongDouble.parse(SCRATCH)
      if (parsed === undefined) return NOT_A_FLOAT
      before = parsed
    }
    const by = LongDouble.parse(call.at(2))
    if (by === undefined) return NOT_A_FLOAT
    const sum = before.plus(by)
    if (sum === undefined) return NAN_OR_INFINITY
    if (cell === 0) cell = keyspace.create(call.at(1), CellKind.String)
    keyspace.strings.set(cell, new Argument().ofText(sum.text()))
  },
}
