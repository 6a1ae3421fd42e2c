import { INT64_MAX, INT64_MIN } from '../../bytes/decimal.ts'
import { Slice } from '../../values/slice.ts'
import { Argument } from '../argument.ts'
import type { Call } from '../call.ts'
import { CellKind } from '../cells.ts'
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
import { parseInt64 } from '../types/strings.ts'
import type { Handlers } from './handler.ts'

const HASH_VALUE_IS_NO_INTEGER = new Rejection('ERR hash value is not an integer')
const HASH_VALUE_IS_NO_FLOAT = new Rejection('ERR hash value is not a float')
const SCRATCH = new Slice()

// biome-ignore lint/suspicious/noConfusingVoidType: as Handler
function set(call: Call, keyspace: Keyspace, name: string): Rejection | void {
  if (call.argc % 2 !== 0) return new Rejection(`ERR wrong number of arguments for '${name}' command`)
  const cell = keyspace.open(call.at(1), CellKind.Hash)
  if (cell === 0) return WRONGTYPE
  for (let i = 2; i < call.argc; i += 2) keyspace.hashes.set(cell, call.at(i), call.value(i + 1))
}

export const HASHES: Handlers = {
  hset: (call, keyspace) => set(call, keyspace, 'hset'),
  hmset: (call, keyspace) => set(call, keyspace, 'hmset'),

  hsetnx(call, keyspace) {
    const cell = keyspace.open(call.at(1), CellKind.Hash)
    if (cell === 0) return WRONGTYPE
    if (!keyspace.hashes.has(cell, call.at(2))) keyspace.hashes.set(cell, call.at(2), call.value(3))
  },

  hdel(call, keyspace) {
    const cell = keyspace.find(call.at(1))
    if (cell === 0) return
    if (keyspace.kind(cell) !== CellKind.Hash) return WRONGTYPE
    for (let i = 2; i < call.argc; i++) keyspace.hashes.delete(cell, call.at(i))
  },

  hincrby(call, keyspace) {
    const by = call.int64(3)
    if (by === undefined) return NOT_AN_INTEGER
    const cell = keyspace.open(call.at(1), CellKind.Hash)
    if (cell === 0) return WRONGTYPE
    let before: bigint | undefined = 0n
    if (keyspace.hashes.get(cell, call.at(2), SCRATCH)) before = parseInt64(SCRATCH)
    if (before === undefined) return HASH_VALUE_IS_NO_INTEGER
    const sum = before + by
    if (sum > INT64_MAX || sum < INT64_MIN) return WOULD_OVERFLOW
    keyspace.hashes.set(cell, call.at(2), VALUE.ofText(String(sum)), true)
  },

  hincrbyfloat(call, keyspace) {
    const by = LongDouble.parse(call.at(3))
    if (by === undefined) return NOT_A_FLOAT
    const cell = keyspace.open(call.at(1), CellKind.Hash)
    if (cell === 0) return WRONGTYPE
    let before: LongDouble | undefined = LongDouble.ZERO
    if (keyspace.hashes.get(cell, call.at(2), SCRATCH)) before = LongDouble.parse(SCRATCH)
    if (before === undefined) return HASH_VALUE_IS_NO_FLOAT
    const sum = before.plus(by)
    if (sum === undefined) return NAN_OR_INFINITY
    keyspace.hashes.set(cell, call.at(2), VALUE.ofText(sum.text()), true)
  },
}

const VALUE = new Argument()
