import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { KeyspaceDigest } from '../../src/values/digest.ts'
import { type Kind, NO_EXPIRY } from '../../src/values/elements.ts'
import { Slice } from '../../src/values/slice.ts'

type Value =
  | { readonly kind: 'string'; readonly text: Uint8Array }
  | { readonly kind: 'list' | 'set'; readonly items: readonly Uint8Array[] }
  | { readonly kind: 'zset'; readonly members: readonly (readonly [Uint8Array, number])[] }
  | { readonly kind: 'hash'; readonly fields: readonly (readonly [Uint8Array, Uint8Array, boolean])[] }
  | {
      readonly kind: 'stream'
      readonly entries: readonly (readonly [bigint, bigint, readonly Uint8Array[]])[]
    }

interface Key {
  readonly db: number
  readonly key: Uint8Array
  readonly expires: boolean
  readonly value: Value
}

const slice = (bytes: Uint8Array) => new Slice().set(Buffer.concat([Buffer.of(9, 9), bytes]), 2)
const time = (expires: boolean) => (expires ? 1n : NO_EXPIRY)

function feed(digest: KeyspaceDigest, { db, key, expires, value }: Key, unpacked = false): void {
  digest.key(db, slice(key), value.kind, time(expires), unpacked)
  digest.begin(value.kind, -1)
  switch (value.kind) {
    case 'string':
      digest.string(slice(value.text))
      break
    case 'list':
      for (const item of value.items) digest.item(slice(item))
      break
    case 'set':
      for (const item of value.items) digest.member(slice(item))
      break
    case 'zset':
      for (const [member, score] of value.members) digest.scored(slice(member), score)
      break
    case 'hash':
      for (const [name, text, marked] of value.fields) digest.field(slice(name), slice(text), time(marked))
      break
    case 'stream':
      for (const [ms, seq, fields] of value.entries) {
        digest.entry(ms, seq, fields.length / 2)
        for (let i = 0; i < fields.length; i += 2)
          digest.field(slice(fields[i]), slice(fields[i + 1]), NO_EXPIRY)
      }
  }
  digest.end()
}

function digestOf(
  keys: readonly Key[],
  server: 'redis-7.0' | 'redis-8.0' | 'valkey-9.1' = 'redis-8.0',
): string {
  const digest = new KeyspaceDigest({ server })
  for (const key of keys) feed(digest, key)
  return digest.hex()
}

// The same as it is written down in the head of digest.ts.
const H = (bytes: Uint8Array | string) => createHash('sha1').update(bytes).digest()
const plus = (a: Uint8Array, b: Uint8Array) => Buffer.from(a.map((byte, i) => byte ^ b[i]))
const times = (digest: Uint8Array, bytes: Uint8Array | string) => H(plus(digest, H(bytes)))
const ZERO = Buffer.alloc(20)
const number = (value: number) => Buffer.of(value >>> 24, value >>> 16, value >>> 8, value)
const KINDS: readonly Kind[] = ['string', 'list', 'set', 'zset', 'hash', 'module', 'stream']

function written(keys: readonly Key[], marks: boolean): string {
  let whole: Buffer = ZERO
  for (const db of [...new Set(keys.map(key => key.db))].sort((a, b) => a - b)) {
    const there = keys.filter(key => key.db === db && !isEmpty(key.value))
    if (there.length === 0) continue
    whole = times(whole, number(db))
    for (const { key, expires, value } of there) {
      let digest = times(times(ZERO, key), number(KINDS.indexOf(value.kind)))
      if (value.kind === 'string') digest = times(digest, value.text)
      if (value.kind === 'list') for (const item of value.items) digest = times(digest, item)
      if (value.kind === 'set') for (const item of value.items) digest = plus(digest, H(item))
      if (value.kind === 'zset')
        for (const [member, score] of value.members)
          digest = plus(digest, H(times(times(ZERO, member), String(score))))
      if (value.kind === 'hash')
        for (const [name, text, marked] of value.fields) {
          const field = times(times(ZERO, name), text)
          digest = plus(digest, H(marks && marked ? plus(field, H('!!hexpire!!')) : field))
        }
      if (value.kind === 'stream')
        for (const [ms, seq, fields] of value.entries) {
          digest = times(digest, `${ms}.${seq}`)
          for (const field of fields) digest = times(digest, field)
        }
      if (expires) digest = plus(digest, H('!!expire!!'))
      whole = plus(whole, H(digest))
    }
  }
  return whole.toString('hex')
}

function isEmpty(value: Value): boolean {
  const all = { ...value } as { items?: unknown[]; members?: unknown[]; fields?: unknown[] }
  return (all.items ?? all.members ?? all.fields)?.length === 0
}

const bytes = fc.uint8Array({ maxLength: 90 })
const list = <T>(item: fc.Arbitrary<T>) => fc.array(item, { maxLength: 5 })
const id = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })
const values: fc.Arbitrary<Value> = fc.oneof(
  bytes.map(text => ({ kind: 'string' as const, text })),
  fc.record({ kind: fc.constantFrom('list' as const, 'set' as const), items: list(bytes) }),
  list(
    fc.tuple(
      bytes,
      fc.integer({ min: -99_999, max: 99_999 }).map(n => n / 8),
    ),
  ).map(members => ({
    kind: 'zset' as const,
    members: members.filter(([, score]) => !Object.is(score, -0)),
  })),
  list(fc.tuple(bytes, bytes, fc.boolean())).map(fields => ({ kind: 'hash' as const, fields })),
  list(
    fc.tuple(
      id,
      id,
      list(fc.tuple(bytes, bytes)).map(pairs => pairs.flat()),
    ),
  ).map(entries => ({
    kind: 'stream' as const,
    entries,
  })),
)
const keyspaces = fc.array(fc.record({ db: fc.nat(3), key: bytes, expires: fc.boolean(), value: values }), {
  maxLength: 12,
})

const text = (value: string): Value => ({ kind: 'string', text: Buffer.from(value) })
const some = (key: string, value: Value = text('v'), db = 0): Key => ({
  db,
  key: Buffer.from(key),
  expires: false,
  value,
})

describe('KeyspaceDigest', () => {
  it('is what the formula says, for every kind of value', () => {
    fc.assert(
      fc.property(keyspaces, keys => {
        expect(digestOf(keys)).toBe(written(keys, true))
        expect(digestOf(keys, 'valkey-9.1')).toBe(written(keys, false))
      }),
    )
  })

  it('does not depend on the order of keys and databases', () => {
    const keys = [some('a'), some('b', text('w'), 2), some('c', text('x'), 1), some('d', text('y'), 2)]
    expect(digestOf([keys[3], keys[0], keys[2], keys[1]])).toBe(digestOf(keys))
    expect(digestOf([some('a', text('v'), 1)])).not.toBe(digestOf([some('a', text('v'), 2)]))
  })

  it('is 40 zeros for nothing, and leaves empty collections out, but not empty strings and streams', () => {
    expect(digestOf([])).toBe('0'.repeat(40))
    const empty = (['list', 'set'] as const).map(kind => some(kind, { kind, items: [] }))
    expect(
      digestOf([...empty, some('z', { kind: 'zset', members: [] }), some('h', { kind: 'hash', fields: [] })]),
    ).toBe('0'.repeat(40))
    for (const value of [text(''), { kind: 'stream', entries: [] } as const]) {
      const digest = new KeyspaceDigest({ server: 'redis-8.0' })
      feed(digest, some('k', value))
      expect(digest.counts).toEqual(new Map([[0, { keys: 1, expires: 0 }]]))
      expect(digest.hex()).not.toBe('0'.repeat(40))
    }
  })

  it('does not count a key whose value did not come to its end', () => {
    const digest = new KeyspaceDigest({ server: 'redis-8.0' })
    feed(digest, some('a'))
    digest.key(0, slice(Buffer.from('broken')), 'zset', 5n, true)
    digest.begin('zset', 3)
    digest.scored(slice(Buffer.from('m')), -0)
    expect(digest.hex()).toBe(digestOf([some('a')]))
    const long = some('b', {
      kind: 'zset',
      members: [
        [Buffer.from('n'), -0],
        [Buffer.alloc(65), 1],
      ],
    })
    feed(digest, long, true)
    expect(digest.hex()).toBe(digestOf([some('a'), long]))
    expect(digest.counts).toEqual(new Map([[0, { keys: 2, expires: 0 }]]))
  })

  it('can be asked again and goes on', () => {
    const digest = new KeyspaceDigest({ server: 'redis-8.0' })
    feed(digest, some('a'))
    expect(digest.hex()).toBe(digest.hex())
    feed(digest, some('b', text('w'), 7))
    feed(digest, some('c'))
    expect(digest.hex()).toBe(digestOf([some('a'), some('c'), some('b', text('w'), 7)]))
  })

  it('prints scores as each server does', () => {
    const keys = [some('k', { kind: 'zset', members: [[Buffer.from('m'), 0.1]] })]
    expect(digestOf(keys, 'redis-7.0')).not.toBe(digestOf(keys, 'redis-8.0'))
    expect(digestOf(keys, 'valkey-9.1')).toBe(digestOf(keys, 'redis-8.0'))
  })

  it('takes the sign of -0 when a server would pack the set', () => {
    const zset = (score: number, members: number, longest: number) =>
      some('k', {
        kind: 'zset',
        members: [
          [Buffer.from('m'), score],
          ...Array.from({ length: members - 2 }, (_, i) => [Buffer.of(i), 1] as const),
          [Buffer.alloc(longest), score],
        ],
      })
    const digest = (key: Key, unpacked: boolean) => {
      const digest = new KeyspaceDigest({ server: 'redis-8.0' })
      feed(digest, key, unpacked)
      return digest.hex()
    }
    expect(digest(zset(-0, 128, 64), true)).toBe(digest(zset(0, 128, 64), true))
    for (const [members, longest] of [
      [129, 64],
      [128, 65],
    ]) {
      expect(digest(zset(-0, members, longest), true)).toBe(digest(zset(-0, members, longest), false))
      expect(digest(zset(-0, members, longest), true)).not.toBe(digest(zset(0, members, longest), true))
    }
    expect(digest(zset(-0, 3, 5), false)).not.toBe(digest(zset(0, 3, 5), false))
  })

  it('refuses kinds that it does not know', () => {
    const digest = new KeyspaceDigest({ server: 'redis-8.0' })
    expect(KeyspaceDigest.knows('module')).toBe(false)
    expect(KeyspaceDigest.knows('array')).toBe(false)
    expect(() => digest.key(0, slice(Buffer.from('k')), 'module', NO_EXPIRY)).toThrow(RangeError)
  })
})
