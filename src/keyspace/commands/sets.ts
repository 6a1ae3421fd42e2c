import { CellKind } from '../cells.ts'
import { WRONGTYPE } from '../rejection.ts'
import type { Handlers } from './handler.ts'

export const SETS: Handlers = {
  sadd(call, keyspace) {
    const cell = keyspace.open(call.at(1), CellKind.Set)
    if (cell === 0) return WRONGTYPE
    for (let i = 2; i < call.argc; i++) keyspace.sets.add(cell, call.at(i))
  },

  srem(call, keyspace) {
    const cell = keyspace.find(call.at(1))
    if (cell === 0) return
    if (keyspace.kind(cell) !== CellKind.Set) return WRONGTYPE
    for (let i = 2; i < call.argc; i++) keyspace.sets.delete(cell, call.at(i))
  },

  smove(call, keyspace) {
    const source = keyspace.find(call.at(1))
    if (source === 0) return
    if (keyspace.kind(source) !== CellKind.Set) return WRONGTYPE
    const there = keyspace.find(call.at(2))
    if (there !== 0 && keyspace.kind(there) !== CellKind.Set) return WRONGTYPE
    if (there === source || !keyspace.sets.delete(source, call.at(3))) return
    const target = there === 0 ? keyspace.create(call.at(2), CellKind.Set) : there
    keyspace.sets.add(target, call.at(3))
  },
}
