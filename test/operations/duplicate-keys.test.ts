import { describe, expect, it } from 'vitest'
import { generator } from '../../bench/logs.ts'
import { BufferSource } from '../../src/bytes/source.ts'
import { Window } from '../../src/bytes/window.ts'
import { DuplicateKeys } from '../../src/operations/duplicate-keys.ts'
import { FingerprintTable, fingerprint } from '../../src/operations/fingerprints.ts'
import { RdbWalk } from '../../src/rdb/walk.ts'
import { entry, type Piece, rdb, select, str } from '../rdb/build.ts'

const key = (name: string): Piece => entry(0, name, str('v'))

/** What is found in a file, as `database name@offset`. */
async function found(file: Uint8Array, passedOver: readonly number[] = []): Promise<string[]> {
  const walk = new RdbWalk(new Window(new BufferSource(file), 1 << 16))
  const duplicates = new DuplicateKeys()
  for (let event = await walk.next(); event !== undefined; event = await walk.next())
    if (event.kind === 'entries') {
      const { entries } = event
      const offsets = Array.from({ length: entries.count }, (_, i) => entries.offset[i])
      duplicates.add(
        entries,
        offsets.filter(offset => passedOver.includes(offset)),
      )
    }
  expect(walk.error).toBeUndefined()
  return [...duplicates.found()].map(
    ({ db, offset, start }) => `${db} ${Buffer.from(start).toString('latin1')}@${offset}`,
  )
}

describe('keys that are there twice', () => {
  it('are named with database and offset, each time but the first', async () => {
    const file = rdb(
      'REDIS0010',
      key('a'),
      key('b'),
      key('a'),
      select(3),
      key('a'),
      key('b'),
      key('b'),
      key('b'),
    )
    const at = (n: number) => 9 + n * Buffer.from(key('a') as Uint8Array).length
    expect(await found(file)).toEqual([`0 a@${at(2)}`, `3 b@${at(5) + 2}`, `3 b@${at(6) + 2}`])
  })

  it('do not count when they are passed over', async () => {
    const size = Buffer.from(key('a') as Uint8Array).length
    const file = rdb('REDIS0010', key('a'), key('a'))
    expect(await found(file, [9])).toEqual([])
    expect(await found(file, [9 + size])).toEqual([])
    expect(await found(file, [9, 9 + size])).toEqual([])
    expect(await found(file)).toHaveLength(1)
  })

  it('are found among very many, and nothing else is', async () => {
    const random = generator(7)
    const count = 300_000
    const names = Array.from({ length: count }, (_, i) => `user:${i}:${Math.floor(random() * 10)}`)
    const repeated = [5, 17, 100_000, count - 1].map(i => names[i])
    const file = rdb('REDIS0010', [...names, ...repeated].map(key))
    expect((await found(file)).map(text => text.split(/[ @]/)[1])).toEqual(repeated)
  })

  it('show no more than the beginning of a long key', async () => {
    const long = 'k'.repeat(5000)
    const [duplicate] = await found(rdb('REDIS0010', key(long), key(long)))
    expect(duplicate).toMatch(/^0 k{61}@/)
  })
})

describe('fingerprints', () => {
  const printOf = (text: string, salt = 0) => {
    const words = new Int32Array(2)
    const bytes = Buffer.from(`x${text}x`, 'latin1')
    fingerprint(bytes, 1, bytes.length - 1, salt, words, 0)
    return words.join(' ')
  }

  it('differ in every bit of what they stand for, its length and its salt', () => {
    const texts = Array.from({ length: 40 }, (_, size) => '\0'.repeat(size))
    for (let size = 1; size < 14; size++)
      for (let bit = 0; bit < 8 * size; bit++) {
        const bytes = Buffer.alloc(size)
        bytes[bit >> 3] = 1 << (bit & 7)
        texts.push(bytes.toString('latin1'))
      }
    const prints = texts.flatMap(text => [printOf(text), printOf(text, 1)])
    expect(new Set(prints).size).toBe(prints.length)
  })

  it('use both words to the full: of a million numbers as text, few share one of them', () => {
    const count = 1_000_000
    const words = new Int32Array(2 * count)
    const bytes = Buffer.alloc(20)
    for (let i = 0; i < count; i++) fingerprint(bytes, 0, bytes.write(`user:${i}`), 0, words, 2 * i)
    for (const half of [0, 1]) {
      const one = Int32Array.from({ length: count }, (_, i) => words[2 * i + half]).sort()
      let same = 0
      for (let i = 1; i < count; i++) if (one[i] === one[i - 1]) same++
      // By chance 116.
      expect(same).toBeLessThan(300)
    }
  })

  it('are a set as long as they are in a table, and gone when that is cleared', () => {
    const table = new FingerprintTable()
    const words = Int32Array.from({ length: 20_000 }, (_, i) => Math.imul(i + 1, 0x2c1b3c6d))
    for (let round = 0; round < 2; round++) {
      for (let place = 0; place < words.length; place += 2) {
        expect(table.slotOf(words, place)).toBe(-1)
        expect(table.add(words, place)).toBe(true)
        expect(table.add(words, place)).toBe(false)
      }
      const slots = new Set(Array.from({ length: 10_000 }, (_, i) => table.slotOf(words, 2 * i)))
      expect(slots.size).toBe(10_000)
      expect(Math.min(...slots)).toBeGreaterThanOrEqual(0)
      expect(Math.max(...slots)).toBeLessThan(table.size)
      table.clear()
    }
  })
})
