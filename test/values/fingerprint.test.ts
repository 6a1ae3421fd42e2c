import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Kind, NO_EXPIRY } from '../../src/values/elements.ts'
import { KeyspaceFingerprint } from '../../src/values/fingerprint.ts'
import { Slice } from '../../src/values/slice.ts'
import { slice, someKeys, type ToldKey, type ToldStream, type ToldValue, tell } from './telling.ts'

const SECRET = [1, 0x89abcdef, 3, 0xffffffff]
const FULL = 0xffff_ffff_ffff_ffffn

function fingerprint(keys: readonly ToldKey[], secret = SECRET): string {
  const made = new KeyspaceFingerprint(secret)
  tell(made, keys)
  return made.hex()
}

function key(value: ToldValue, head: Partial<ToldKey> = {}): ToldKey {
  return { db: 0, key: 'key', expireAtMs: NO_EXPIRY, ...head, ...value } as ToldKey
}

/** SipHash-1-3 with 128 bits, written from its description: low and high half. */
function sipHash(message: Uint8Array, secret: readonly number[]): [bigint, bigint] {
  const k0 = BigInt(secret[0]) | (BigInt(secret[1]) << 32n)
  const k1 = BigInt(secret[2]) | (BigInt(secret[3]) << 32n)
  const v = [
    k0 ^ 0x736f6d6570736575n,
    k1 ^ 0x646f72616e646f6dn ^ 0xeen,
    k0 ^ 0x6c7967656e657261n,
    k1 ^ 0x7465646279746573n,
  ]
  const rotate = (x: bigint, by: bigint) => ((x << by) | (x >> (64n - by))) & FULL
  const half = (a: number, b: number, by: bigint) => {
    v[a] = (v[a] + v[b]) & FULL
    v[b] = rotate(v[b], by) ^ v[a]
  }
  const round = () => {
    half(0, 1, 13n)
    v[0] = rotate(v[0], 32n)
    half(2, 3, 16n)
    half(0, 3, 21n)
    half(2, 1, 17n)
    v[2] = rotate(v[2], 32n)
  }
  const padded = Buffer.alloc(8 * (Math.floor(message.length / 8) + 1))
  padded.set(message)
  padded[padded.length - 1] = message.length & 0xff
  for (let at = 0; at < padded.length; at += 8) {
    const word = padded.readBigUInt64LE(at)
    v[3] ^= word
    round()
    v[0] ^= word
  }
  v[2] ^= 0xeen
  for (let i = 0; i < 3; i++) round()
  const low = v[0] ^ v[1] ^ v[2] ^ v[3]
  v[1] ^= 0xddn
  for (let i = 0; i < 3; i++) round()
  return [low, v[0] ^ v[1] ^ v[2] ^ v[3]]
}

/** As {@link KeyspaceFingerprint.hex} gives it. */
function hexOf([low, high]: readonly [bigint, bigint]): string {
  return [low & 0xffffffffn, low >> 32n, high & 0xffffffffn, high >> 32n]
    .map(word => word.toString(16).padStart(8, '0'))
    .join('')
}

function words(...all: (number | bigint | string)[]): Buffer {
  return Buffer.concat(
    all.map(word => {
      const bytes = Buffer.alloc(typeof word === 'string' ? (word.length + 7) & -8 : 8)
      if (typeof word === 'string') bytes.write(word, 'latin1')
      else if (typeof word === 'number') bytes.writeDoubleLE(word)
      else bytes.writeBigInt64LE(word)
      return bytes
    }),
  )
}

const STREAM: ToldStream = {
  entries: [
    { id: [1n, 1n], fields: [['a', 'b']] },
    {
      id: [1n, 2n],
      fields: [
        ['c', 'd'],
        ['e', 'f'],
      ],
    },
  ],
  state: { length: 2n, lastId: [1n, 3n], firstId: [1n, 1n], maxDeletedId: [1n, 3n], entriesAdded: 3n },
  groups: [
    {
      name: 'g',
      lastId: [1n, 2n],
      entriesRead: 2n,
      pending: [
        { id: [1n, 1n], deliveredAtMs: 100n, deliveries: 1n },
        { id: [1n, 2n], deliveredAtMs: 100n, deliveries: 2n },
      ],
      consumers: [
        { name: 'x', seenAtMs: 100n, activeAtMs: 90n, owned: [[1n, 1n]] },
        { name: 'y', seenAtMs: 100n, activeAtMs: -1n, owned: [] },
      ],
      nacked: [[1n, 2n]],
    },
    { name: 'h', lastId: [0n, 0n], entriesRead: -1n, pending: [], consumers: [], nacked: [] },
  ],
  producers: [
    { id: 'p', produced: [{ id: 'i', entry: [1n, 1n] }] },
    { id: 'q', produced: [] },
  ],
  idempotence: [100n, 10n, 1n, 0n],
}

/** The stream with one thing changed. */
function changed(change: (stream: ToldStream) => void): ToldKey {
  const copy = structuredClone(STREAM)
  change(copy)
  return key({ kind: 'stream', value: copy })
}

/** Paths of what may be longer: not of pairs and ids. */
const LISTS =
  /(?:^|\.(?:value|entries|fields|groups|pending|consumers|owned|nacked|producers|produced|slots))$/

/** Every text, number and boolean in plain data, one after the other changed a little: the data so changed. */
function* changes<T>(data: T): Generator<{ path: string; data: T }> {
  function* at(
    value: unknown,
    path: string,
    put: (value: unknown) => unknown,
  ): Generator<{ path: string; data: T }> {
    const change = (to: unknown) => ({ path, data: put(to) as T })
    if (typeof value === 'bigint') yield change(BigInt.asIntN(64, value + 1n))
    else if (typeof value === 'number') {
      yield change(Object.is(value, 0) ? 1 : value + 1 === value ? -value : value + 1)
    } else if (typeof value === 'string' && !path.endsWith('.kind')) {
      yield change(`${value}\0`)
      if (value !== '') yield change(String.fromCharCode(value.charCodeAt(0) ^ 1) + value.slice(1))
    } else if (Array.isArray(value)) {
      for (const [i, one] of value.entries()) {
        yield* at(one, `${path}[${i}]`, to => put(value.with(i, to)))
        if (LISTS.test(path)) yield change([...value, one])
      }
    } else if (typeof value === 'object' && value !== null) {
      for (const [name, one] of Object.entries(value))
        yield* at(one, `${path}.${name}`, to => put({ ...value, [name]: to }))
    }
  }
  yield* at(data, '', to => to)
}

describe('the fingerprint of a keyspace', () => {
  it('is the sum of SipHash-1-3 of its keys as words', () => {
    const one = words(256 * 3 + 1, 2 * 8, 'key', 256 * 5 + 2, 'value', -1n)
    expect(fingerprint([key({ kind: 'string', value: 'value' }, { db: 2 })])).toBe(
      hexOf(sipHash(one, SECRET)),
    )
    const member = sipHash(words(256 * 9 + 3, 'member 12'), SECRET)
    const other = sipHash(words(256 * 0 + 3), SECRET)
    const sum = member.map((half, i) => BigInt.asIntN(64, half + other[i]))
    const set = words(256 * 3 + 1, 2, 'key', 5n, ...sum, 2n)
    expect(fingerprint([key({ kind: 'set', value: ['member 12', ''] }, { expireAtMs: 5n })])).toBe(
      hexOf(sipHash(set, SECRET)),
    )
  })

  it('does not depend on the order of keys, members, groups, consumers and pending entries', () => {
    const shuffled = <T>(of: readonly T[]) => fc.shuffledSubarray([...of], { minLength: of.length })
    fc.assert(
      fc.property(
        someKeys.chain(keys => fc.tuple(fc.constant(keys), shuffled(keys), fc.infiniteStream(fc.nat()))),
        ([keys, otherwise, numbers]) => {
          const mix = <T>(list: T[]): T[] =>
            list
              .map(one => [numbers.next().value as number, one] as const)
              .sort(([a], [b]) => a - b)
              .map(([, one]) => one)
          const mixed = otherwise.map(one => {
            if (one.kind === 'set') return { ...one, value: mix(one.value) }
            if (one.kind === 'zset') return { ...one, value: mix(one.value) }
            if (one.kind === 'hash') return { ...one, value: mix(one.value) }
            if (one.kind !== 'stream') return one
            const { groups, producers } = one.value
            const value = {
              ...one.value,
              producers: mix(producers),
              groups: mix(groups).map(group => ({
                ...group,
                pending: mix(group.pending),
                nacked: mix(group.nacked),
                consumers: mix(group.consumers).map(consumer => ({
                  ...consumer,
                  owned: mix(consumer.owned),
                })),
              })),
            }
            return { ...one, value }
          })
          expect(fingerprint(mixed)).toBe(fingerprint(keys))
        },
      ),
    )
  })

  it('changes with every text, number, time and element that is told', () => {
    fc.assert(
      fc.property(someKeys, keys => {
        const before = fingerprint(keys)
        for (const { path, data } of changes(keys)) expect(fingerprint(data), path).not.toBe(before)
      }),
    )
  })

  it('sees a change of each thing in a stream', () => {
    const seen = new Map([[fingerprint([changed(() => {})]), 'nothing changed']])
    let count = 0
    for (const { path, data } of changes(STREAM)) {
      const hex = fingerprint([key({ kind: 'stream', value: data })])
      expect(seen.get(hex), path).toBeUndefined()
      seen.set(hex, path)
      count++
    }
    expect(count).toBeGreaterThan(70)
    for (const change of [
      (s: ToldStream) => s.entries.reverse(),
      (s: ToldStream) => s.entries[1].fields.reverse(),
      (s: ToldStream) => s.groups.pop(),
      (s: ToldStream) => s.groups[1].consumers.push(s.groups[0].consumers.pop()!),
      (s: ToldStream) => s.groups[1].pending.push(s.groups[0].pending.pop()!),
      (s: ToldStream) => s.groups[0].consumers[1].owned.push(s.groups[0].consumers[0].owned.pop()!),
      (s: ToldStream) => s.groups[0].consumers[0].owned.push(s.groups[0].nacked.pop()!),
      (s: ToldStream) => s.producers[1].produced.push(s.producers[0].produced.pop()!),
      (s: ToldStream) => {
        s.idempotence = undefined
      },
    ]) {
      const hex = fingerprint([changed(change)])
      expect(seen.get(hex), String(change)).toBeUndefined()
      seen.set(hex, String(change))
    }
  })

  it('tells apart what is nearly the same', () => {
    const hash = (...fields: [string, string][]) =>
      key({ kind: 'hash', value: fields.map(([name, value]) => [name, value, NO_EXPIRY]) })
    const different: ToldKey[][] = [
      [],
      [key({ kind: 'string', value: '' })],
      [key({ kind: 'module', value: '' })],
      [key({ kind: 'string', value: '\0' })],
      [key({ kind: 'string', value: 'a' }, { key: 'keyv' })],
      [key({ kind: 'string', value: 'va' })],
      [key({ kind: 'list', value: ['va'] })],
      [key({ kind: 'list', value: ['v', 'a'] })],
      [key({ kind: 'list', value: ['a', 'v'] })],
      [key({ kind: 'list', value: ['', 'va'] })],
      [key({ kind: 'list', value: ['va', ''] })],
      [key({ kind: 'set', value: ['va'] })],
      // With exclusive or these would be the same.
      [key({ kind: 'set', value: ['a', 'a'] })],
      [key({ kind: 'set', value: ['b', 'b'] })],
      [key({ kind: 'set', value: [] })],
      [key({ kind: 'set', value: ['a', 'a', 'b'] })],
      [key({ kind: 'set', value: ['a', 'b', 'b'] })],
      [key({ kind: 'set', value: ['b'] })],
      [hash(['field', 'value'])],
      [hash(['fieldv', 'alue'])],
      [hash(['fiel', 'dvalue'])],
      [hash(['value', 'field'])],
      [hash(['f', 'v'], ['g', 'w'])],
      [hash(['f', 'w'], ['g', 'v'])],
      [key({ kind: 'zset', value: [['m', 0]] })],
      [key({ kind: 'zset', value: [['m', -0]] })],
      [key({ kind: 'zset', value: [['m', Number.MIN_VALUE]] })],
      [key({ kind: 'zset', value: [['m', 0.1 + 0.2]] })],
      [key({ kind: 'zset', value: [['m', 0.3]] })],
      [key({ kind: 'string', value: 'a' }), key({ kind: 'string', value: 'b' }, { db: 1 })],
      [key({ kind: 'string', value: 'b' }), key({ kind: 'string', value: 'a' }, { db: 1 })],
    ]
    expect(new Set(different.map(keys => fingerprint(keys))).size).toBe(different.length)
  })

  it('sees an expiry that differs by a millisecond, when it comes before the value and when behind it', () => {
    const value = { kind: 'string' as const, value: 'v' }
    const at = (expireAtMs: bigint) => fingerprint([key(value, { expireAtMs })])
    expect(new Set([at(NO_EXPIRY), at(0n), at(1n), at(1n << 62n), at((1n << 62n) + 1n)]).size).toBe(5)
    const late = new KeyspaceFingerprint(SECRET)
    late.key(0, slice('key'), 'string', NO_EXPIRY).begin('string', 1)
    late.string(slice('v'))
    late.expires(1n)
    late.end()
    expect(late.hex()).toBe(at(1n))
  })

  it('is the same however long texts are put together, and sees a bit of them', () => {
    const long = (size: number) => Buffer.alloc(size, 'abcdefghijk').toString('latin1')
    const message = (text: string) => words(256 * 3 + 1, 0, 'key', 256 * text.length + 2, text, -1n)
    // Around the room that a message has.
    for (let size = 65_300; size < 65_536; size += 3) {
      const text = long(size)
      expect(fingerprint([key({ kind: 'string', value: text })])).toBe(hexOf(sipHash(message(text), SECRET)))
    }
    const longest = long(300_001)
    for (const kind of ['list', 'set'] as const) {
      const before = fingerprint([key({ kind, value: ['x', longest, 'y'] })])
      for (const at of [0, 65_000, 299_999, 300_000]) {
        const other = `${longest.slice(0, at)}z${longest.slice(at + 1)}`
        expect(fingerprint([key({ kind, value: ['x', other, 'y'] })])).not.toBe(before)
      }
    }
  })

  it('does not depend on the pieces in which the value of a module comes', () => {
    const bytes = Buffer.alloc(150_000, 'some bytes of a module')
    const inPieces = (...ends: number[]) => {
      const made = new KeyspaceFingerprint(SECRET)
      made.key(0, slice('key'), 'module', NO_EXPIRY).begin('module', -1)
      let at = 0
      for (const end of [...ends, bytes.length]) {
        made.raw(new Slice().set(bytes, at, end))
        at = end
      }
      made.end()
      return made.hex()
    }
    const whole = inPieces()
    expect(whole).toBe(fingerprint([key({ kind: 'module', value: bytes.toString('latin1') })]))
    fc.assert(
      fc.property(fc.array(fc.nat(bytes.length)), ends => {
        expect(inPieces(...ends.sort((a, b) => a - b))).toBe(whole)
      }),
    )
  })

  it('leaves out a key whose value breaks off', () => {
    const made = new KeyspaceFingerprint(SECRET)
    const broken: [Kind, (to: KeyspaceFingerprint) => void][] = [
      ['set', to => to.member(slice('m'))],
      ['list', to => to.item(slice('x'.repeat(200_000)))],
      [
        'stream',
        to => {
          to.group(slice('g'), 1n, 1n, 1n)
          to.pending(1n, 1n, 1n, 1n)
          to.consumer(slice('c'), 1n, 1n)
          to.owned(1n, 1n)
        },
      ],
    ]
    const keys = [changed(() => {}), key({ kind: 'set', value: ['a'] })]
    for (const [kind, begin] of broken) {
      made.key(0, slice('broken'), kind, NO_EXPIRY).begin(kind, -1)
      begin(made)
      tell(made, keys)
    }
    expect(made.hex()).toBe(fingerprint([...keys, ...keys, ...keys]))
  })

  it('covers libraries of functions and what belongs to no key, in its order', () => {
    const made = (...calls: ['functions' | 'unkeyed', string][]) => {
      const one = new KeyspaceFingerprint(SECRET)
      for (const [name, text] of calls) one[name](slice(text))
      return one.hex()
    }
    expect(
      new Set([
        made(),
        made(['functions', '']),
        made(['unkeyed', '']),
        made(['functions', 'a']),
        made(['functions', 'a'], ['functions', 'a']),
        made(['functions', 'a'], ['functions', 'b']),
        made(['unkeyed', 'a'], ['unkeyed', 'b']),
        made(['unkeyed', 'b'], ['unkeyed', 'a']),
      ]).size,
    ).toBe(8)
    expect(made(['functions', 'b'], ['functions', 'a'])).toBe(made(['functions', 'a'], ['functions', 'b']))
  })

  it('is made of those of parts, also by way of numbers', () => {
    fc.assert(
      fc.property(someKeys, fc.nat(5), (keys, at) => {
        const parts = [keys.slice(0, at), keys.slice(at)].map(some => {
          const part = new KeyspaceFingerprint(SECRET)
          tell(part, some)
          return part
        })
        const whole = new KeyspaceFingerprint(SECRET)
        whole.add(structuredClone(parts[0].words()))
        whole.add(parts[1])
        expect(whole.hex()).toBe(fingerprint(keys))
        const same = new KeyspaceFingerprint(SECRET)
        tell(same, keys)
        expect(whole.equals(same)).toBe(true)
        expect(whole.equals(same.words())).toBe(true)
        tell(same, [key({ kind: 'string', value: '' })])
        expect(whole.equals(same)).toBe(false)
      }),
    )
  })

  it('is another one under another secret', () => {
    const keys = [key({ kind: 'string', value: 'v' })]
    for (let i = 0; i < 4; i++) {
      const secret = SECRET.with(i, SECRET[i] ^ 0x100)
      expect(fingerprint(keys, secret)).not.toBe(fingerprint(keys))
    }
    const own = new KeyspaceFingerprint()
    tell(own, keys)
    expect(own.hex()).not.toBe(fingerprint(keys))
  })
})
