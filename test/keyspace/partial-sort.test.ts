import { describe, expect, it } from 'vitest'
import { partialSort } from '../../src/keyspace/partial-sort.ts'
import { generator } from './replaying.ts'

describe('partialSort', () => {
  it('puts what is asked for where it belongs, and loses nothing', () => {
    const random = generator(1)
    for (let round = 0; round < 500; round++) {
      const count = 1 + random(random(4) === 0 ? 400 : 20)
      const items = Int32Array.from({ length: count }, () => random(random(2) === 0 ? 5 : 1000))
      const first = random(count)
      const last = first + random(count - first)
      const sorted = items.slice().sort((a, b) => a - b)
      partialSort(items, (a, b) => a - b, first, last)
      expect(items.slice(first, last + 1)).toEqual(sorted.slice(first, last + 1))
      expect(items.slice().sort((a, b) => a - b)).toEqual(sorted)
    }
  })

  // Of items 0, 1, …, sorted by what is left of 7 * item divided by `rest`.
  it.each([
    { count: 20, rest: 3, first: 0, last: 9, expected: [0, 15, 9, 3, 12, 18, 6, 19, 1, 4] },
    {
      count: 60,
      rest: 4,
      first: 5,
      last: 20,
      expected: [48, 44, 0, 8, 40, 36, 52, 12, 32, 56, 7, 3, 11, 15, 19, 23],
    },
    { count: 7, rest: 2, first: 0, last: 3, expected: [4, 2, 6, 0] },
  ])(
    'puts equal ones of $count in the order in which servers have them',
    ({ count, rest, first, last, expected }) => {
      const items = Int32Array.from({ length: count }, (_, i) => i)
      partialSort(items, (a, b) => ((7 * a) % rest) - ((7 * b) % rest), first, last)
      expect([...items.subarray(first, last + 1)]).toEqual(expected)
    },
  )
})
