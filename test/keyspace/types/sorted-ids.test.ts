import { describe, expect, it } from 'vitest'
import { SortedIds } from '../../../src/keyspace/types/sorted-ids.ts'
import { Id } from '../../../src/keyspace/types/stream-id.ts'
import { generator } from '../replaying.ts'

const id = (number: number) => new Id().of(BigInt(number % 1000), BigInt(number))

function all(ids: SortedIds): string[] {
  const found: string[] = []
  const current = new Id()
  for (ids.first(); ids.here; ids.advance()) {
    ids.read(current)
    found.push(`${current.ms}-${current.seq}:${ids.words[ids.at]}`)
  }
  return found
}

describe('ids in their order', () => {
  it('are what was added and not removed, with what stands beside them', () => {
    const random = generator(5)
    const ids = new SortedIds(1)
    const model = new Map<number, number>()
    for (let round = 0; round < 20_000; round++) {
      const number = random(random(2) === 0 ? 4000 : 40_000)
      const found = ids.find(id(number))
      expect(found).toBe(model.has(number))
      if (random(round > 12_000 ? 3 : 2) === 0) {
        if (!found) ids.insert(id(number))
        ids.words[ids.at] = round
        model.set(number, round)
      } else if (found) {
        ids.remove()
        model.delete(number)
      }
    }
    const expected = [...model].sort(([a], [b]) => (a % 1000) - (b % 1000) || a - b)
    expect(ids.count).toBe(model.size)
    expect(all(ids)).toEqual(expected.map(([number, beside]) => `${number % 1000}-${number}:${beside}`))
  })

  it('are found from any id on', () => {
    const ids = new SortedIds(0)
    for (let i = 0; i < 3000; i += 3) {
      expect(ids.find(new Id().of(BigInt(i), 0n))).toBe(false)
      ids.insert(new Id().of(BigInt(i), 0n))
    }
    const found = new Id()
    for (const from of [0, 1, 767, 768, 1500, 2996, 2997]) {
      ids.seek(new Id().of(BigInt(from), 0n))
      expect(Number(ids.read(found).ms)).toBe(Math.ceil(from / 3) * 3)
    }
    ids.seek(new Id().of(2998n, 0n))
    expect(ids.here).toBe(false)
  })

  it('go on behind one that is removed', () => {
    const ids = new SortedIds(0)
    for (let i = 0; i < 1000; i++) {
      ids.find(new Id().of(BigInt(i), 0n))
      ids.insert(new Id().of(BigInt(i), 0n))
    }
    const found = new Id()
    let left = 0
    ids.first()
    for (let i = 0; ids.here; i++) {
      expect(Number(ids.read(found).ms)).toBe(i)
      if (i % 10 === 0) {
        left++
        ids.advance()
      } else ids.remove()
    }
    expect([ids.count, left]).toEqual([100, 100])
  })
})
