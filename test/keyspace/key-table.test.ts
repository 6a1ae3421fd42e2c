import { expect, it } from 'vitest'
import { type Cell, Cells, segmentOfCell, Word, wordOf } from '../../src/keyspace/cells.ts'
import { KeyTable } from '../../src/keyspace/key-table.ts'
import { generator } from './replaying.ts'

function has(table: KeyTable, hash: number, cell: Cell): boolean {
  for (let found = table.first(hash); found !== 0; found = table.next(hash)) if (found === cell) return true
  return false
}

it.each([0, 1_000_000])(
  'finds what was added and not removed, however it grew (%i keys expected)',
  expected => {
    const random = generator(2)
    const cells = new Cells()
    const table = new KeyTable(expected)
    const kept: { hash: number; cell: Cell }[] = []
    const gone: { hash: number; cell: Cell }[] = []
    for (let i = 0; i < 100_000; i++) {
      if (kept.length > 0 && random(10) < 3) {
        const place = random(kept.length)
        const key = kept[place]
        kept[place] = kept[kept.length - 1]
        kept.pop()
        table.remove(key.hash, key.cell)
        gone.push(key)
      } else {
        // Some have the hash of another.
        const hash = random(5) === 0 && kept.length > 0 ? kept[random(kept.length)].hash : random(2 ** 32) | 0
        const cell = cells.allocate()
        cells.words[segmentOfCell(cell)][wordOf(cell) + Word.Hash] = hash
        table.add(hash, cell)
        kept.push({ hash, cell })
      }
    }
    expect(table.count).toBe(kept.length)
    expect(kept.every(({ hash, cell }) => has(table, hash, cell))).toBe(true)
    expect(gone.some(({ hash, cell }) => has(table, hash, cell))).toBe(false)
  },
)

it('holds thousands of keys of one hash', () => {
  const cells = new Cells()
  const table = new KeyTable(0)
  const same = Array.from({ length: 20_000 }, () => cells.allocate())
  for (const cell of same) {
    cells.words[segmentOfCell(cell)][wordOf(cell) + Word.Hash] = 0x1234
    table.add(0x1234, cell)
  }
  const found = new Set<Cell>()
  for (let cell = table.first(0x1234); cell !== 0; cell = table.next(0x1234)) found.add(cell)
  expect(found.size).toBe(same.length)
})
