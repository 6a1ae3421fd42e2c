import type { Argument } from '../argument.ts'
import type { Call } from '../call.ts'
import type { Cell, CellKind } from '../cells.ts'
import type { Keyspace } from '../keyspace.ts'

/*
 * Commands that compute a collection and store it under a key, which may be one of those that they read.
 */

/**
 * Makes the destination an empty value, and lets `fill` fill it. What it held can still be read, by its cell, until
 * `fill` returns. Without elements there is no such key afterwards.
 */
export function store(keyspace: Keyspace, key: Argument, kind: CellKind, fill: (cell: Cell) => void): void {
  const before = keyspace.findKey(key)
  // Out of the way, to a database that nobody can select.
  if (before !== 0) keyspace.rename(before, key, keyspace.databases)
  fill(keyspace.create(key, kind))
  if (before !== 0) keyspace.remove(before)
}

/** Argument `i` as an integer, which may be rounded beyond 2^53; NaN when it is none of 64 bits. */
export function longAt(call: Call, i: number): number {
  const number = call.number(i)
  if (!Number.isNaN(number)) return number
  const exact = call.int64(i)
  return exact === undefined ? Number.NaN : Number(exact)
}

/** The cells of `count` keys from argument `first` on, 0 where there is none; undefined: one is of another kind. */
export function cellsAt(
  call: Call,
  keyspace: Keyspace,
  first: number,
  count: number,
  isRight: (kind: CellKind) => boolean,
): Cell[] | undefined {
  const cells: Cell[] = []
  for (let i = first; i < first + count; i++) {
    const cell = keyspace.find(call.at(i))
    if (cell !== 0 && !isRight(keyspace.kind(cell))) return undefined
    cells.push(cell)
  }
  return cells
}
