import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { IdTable } from '../../../src/rdb/encodings/ids.ts'
import { rawId } from './streams.ts'

const half = fc.oneof(
  fc.bigInt(0n, 3n),
  fc.constantFrom(2n ** 32n, 2n ** 64n - 1n),
  fc.bigInt(0n, 2n ** 64n - 1n),
)
const id = fc.tuple(half, half)

describe('IdTable', () => {
  it('finds the ids that were added, in whatever order, and no others', () => {
    fc.assert(
      fc.property(fc.uniqueArray(id, { maxLength: 80, selector: String }), fc.array(id), (added, others) => {
        const table = new IdTable()
        for (const one of added) expect(table.add(rawId(one), 0)).toBe(true)
        expect(table.settle()).toBe(true)
        expect(table.count).toBe(added.length)
        const known = new Set(added.map(String))
        const numbers = added.map(one => table.find(rawId(one), 0))
        expect(numbers.sort((a, b) => a - b)).toEqual(added.map((_, i) => i))
        for (const other of others) expect(table.find(rawId(other), 0) >= 0).toBe(known.has(String(other)))
      }),
    )
  })

  it('knows when one was added twice: at once when it was the last, else when all are there', () => {
    const table = new IdTable()
    table.add(rawId([1, 1]), 0)
    expect(table.add(rawId([1, 1]), 0)).toBe(false)
    table.clear()
    for (const seq of [1, 2, 1]) expect(table.add(rawId([7, seq]), 0)).toBe(true)
    expect(table.rising).toBe(false)
    expect(table.settle()).toBe(false)
    table.clear()
    for (const seq of [1, 2, 3]) table.add(rawId([7, seq]), 0)
    expect(table.settle()).toBe(true)
  })

  it('remembers owners, and counts what has one once', () => {
    const table = new IdTable()
    for (let seq = 0; seq < 50; seq++) table.add(rawId([1, seq]), 0)
    table.settle()
    const index = table.find(rawId([1, 30]), 0)
    expect(table.owner(index)).toBe(0)
    table.own(index, 2)
    table.own(index, 3)
    expect(table.owner(index)).toBe(3)
    expect(table.owned).toBe(1)
    table.clear()
    table.add(rawId([1, 30]), 0)
    table.settle()
    expect(table.owner(0)).toBe(0)
    expect(table.owned).toBe(0)
  })
})
