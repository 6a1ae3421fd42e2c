import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PendingEntries } from '../../src/values/pending.ts'

describe('pending entries', () => {
  const id = fc.tuple(fc.bigInt(0n, 5n), fc.bigInt(0n, 5n))
  const most = 2n ** 64n - 1n
  const large = fc.tuple(fc.bigInt(most - 5n, most), fc.bigInt(most - 5n, most))

  it('are found by their ids, in whatever order they came, and no others', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.oneof(id, large), { selector: String, maxLength: 60 }), ids => {
        const pending = new PendingEntries()
        // What was there before the last clear is forgotten.
        pending.add(1n, 1n, 7n, 7n)
        pending.clear()
        for (const [i, [ms, seq]] of ids.entries()) pending.add(ms, seq, BigInt(-i), BigInt(i))
        for (const [i, [ms, seq]] of ids.entries()) {
          const place = pending.find(ms, seq)
          expect([pending.deliveredAtMs(place), pending.deliveries(place)]).toEqual([BigInt(-i), BigInt(i)])
        }
        const has = new Set(ids.map(String))
        for (let ms = 0n; ms <= 5n; ms++)
          for (let seq = 0n; seq <= 5n; seq++)
            if (!has.has(`${ms},${seq}`)) expect(pending.find(ms, seq)).toBe(-1)
      }),
    )
  })

  it('are found among very many that do not rise, without a search through all', () => {
    const pending = new PendingEntries()
    const count = 200_000
    for (let i = count; i > 0; i--) pending.add(BigInt(i), 0n, 0n, BigInt(i))
    const began = performance.now()
    for (let i = 1; i <= count; i++)
      if (pending.deliveries(pending.find(BigInt(i), 0n)) !== BigInt(i)) throw new Error()
    expect(performance.now() - began).toBeLessThan(5000)
  })
})
