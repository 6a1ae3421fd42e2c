import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CallCache } from '../../src/servers/call-cache.ts'

interface Call {
  readonly name: Uint8Array
  readonly argc: number
}

/** The name in a buffer, with other bytes before and behind it, as it stands in a window. */
function placed(name: Uint8Array, noise: number): { view: DataView; start: number } {
  const bytes = new Uint8Array(name.length + 24).fill(noise)
  bytes.set(name, 5)
  return { view: new DataView(bytes.buffer), start: 5 }
}

const has = (cache: CallCache, { name, argc }: Call, noise = 0) => {
  const { view, start } = placed(name, noise)
  return cache.has(view, start, name.length, argc)
}

const add = (cache: CallCache, { name, argc }: Call, noise = 0) => {
  const { view, start } = placed(name, noise)
  cache.add(view, start, name.length, argc)
}

const key = ({ name, argc }: Call) => `${Buffer.from(name).toString('hex')}/${argc}`
const named = (name: string, argc: number): Call => ({ name: Buffer.from(name), argc })

// More than a window holds.
const MOST_ARGUMENTS = 2 ** 27 - 1

// Few different bytes, so that names meet in their parts.
const byte = fc.oneof(fc.constantFrom(0, 0x20, 0x41, 0x53, 0x61, 0x73, 0xff), fc.nat(255))
const call: fc.Arbitrary<Call> = fc.record({
  name: fc.uint8Array({ maxLength: 20 }).chain(free => fc.constantFrom(free, free.slice(0, 12))),
  argc: fc.oneof(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: MOST_ARGUMENTS })),
})
const similar = fc.record({
  name: fc.array(byte, { maxLength: 13 }).map(bytes => Uint8Array.from(bytes)),
  argc: fc.integer({ min: 1, max: 3 }),
})

describe('the calls that were found to be in order', () => {
  it('are only those that were added, with the number of arguments that they were added with', () => {
    const calls = fc.array(fc.oneof(call, similar), { maxLength: 60 })
    fc.assert(
      fc.property(calls, calls, fc.nat(255), (added, asked, noise) => {
        const cache = new CallCache()
        const known = new Set<string>()
        for (const item of added) {
          add(cache, item, noise)
          known.add(key(item))
        }
        for (const item of [...added, ...asked]) {
          if (has(cache, item, 255 - noise)) expect(known, key(item)).toContain(key(item))
        }
      }),
      { numRuns: 300 },
    )
  })

  it('are not even mistaken for one that differs in a single bit', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 1, maxLength: 12 }),
        fc.integer({ min: 1, max: 5000 }),
        (name, argc) => {
          const cache = new CallCache()
          add(cache, { name, argc })
          expect(has(cache, { name, argc }, 0xff)).toBe(true)
          for (let bit = 0; bit < name.length * 8; bit++) {
            const other = name.slice()
            other[bit >> 3] ^= 1 << (bit & 7)
            expect(has(cache, { name: other, argc })).toBe(false)
          }
          for (let bit = 0; bit < 27; bit++) {
            const different = (argc ^ (1 << bit)) >>> 0
            if (different > 0)
              expect(has(cache, { name, argc: different }), `${argc} and ${different}`).toBe(false)
          }
          expect(has(cache, { name: name.subarray(1), argc })).toBe(false)
          expect(has(cache, { name: Buffer.concat([name, name]), argc })).toBe(false)
        },
      ),
      { numRuns: 200 },
    )
  })

  it('are told apart by every part of a name, also where they share a place', () => {
    const around = [
      (part: string) => `${part}withexpi`,
      (part: string) => `zran${part}bysc`,
      (part: string) => `hpexpire${part}`,
    ]
    for (const name of around) {
      const cache = new CallCache()
      for (let i = 0; i < 4000; i += 2) add(cache, named(name(`${1000 + i}`), 3))
      for (let i = 1; i < 4000; i += 2)
        expect(has(cache, named(name(`${1000 + i}`), 3)), name(`${1000 + i}`)).toBe(false)
    }
  })

  it('are told apart by case, since they are kept as they were written', () => {
    const cache = new CallCache()
    add(cache, named('SET', 3))
    expect([has(cache, named('SET', 3)), has(cache, named('set', 3)), has(cache, named('Set', 3))]).toEqual([
      true,
      false,
      false,
    ])
  })

  it('are none at first, of no length and no number of arguments', () => {
    const cache = new CallCache()
    for (let length = 0; length <= 13; length++)
      for (const argc of [1, 2, 16, 256, 4096, MOST_ARGUMENTS])
        expect(has(cache, { name: new Uint8Array(length), argc }), `${length} bytes, ${argc}`).toBe(false)
  })

  it('are remembered as long as they are few, with every length that the servers use most', () => {
    const calls = [
      'del',
      'set',
      'hset',
      'rpush',
      'expire',
      'publish',
      'sinterst',
      'pexpireat',
      'hpexpireat',
      'zremrangeby',
      'zremrangebyl',
    ]
    for (const name of calls) {
      const cache = new CallCache()
      add(cache, named(name, 3))
      expect(has(cache, named(name, 3), 7), name).toBe(true)
    }
  })

  it('take no more room the more there are: older ones are forgotten', () => {
    const cache = new CallCache()
    const calls = Array.from({ length: 5000 }, (_, i) => named(`name${i}`, 1 + (i % 7)))
    for (const item of calls) add(cache, item)
    const remembered = calls.filter(item => has(cache, item)).length
    expect(remembered).toBeGreaterThan(100)
    expect(remembered).toBeLessThanOrEqual(256)
  })

  it('may be asked for at the end of a buffer that has eight bytes from the name on', () => {
    const cache = new CallCache()
    for (let length = 1; length <= 12; length++) {
      const view = new DataView(new Uint8Array(Math.max(8, length)).fill(length + 64).buffer)
      cache.add(view, 0, length, 2)
      expect(cache.has(view, 0, length, 2)).toBe(true)
    }
  })
})
