import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { JobError } from '../../src/bytes/errors.ts'
import { Window } from '../../src/bytes/window.ts'
import { EntryReader } from '../../src/rdb/entries.ts'
import { RDB_TARGETS, type RdbTarget, TARGET_NAMES } from '../../src/rdb/targets.ts'
import { RdbWalk } from '../../src/rdb/walk.ts'
import { RdbWriter } from '../../src/rdb/writer.ts'
import { type ElementSink, type Kind, NO_EXPIRY, PASSED_OVER } from '../../src/values/elements.ts'
import { Slice } from '../../src/values/slice.ts'
import { PieceSource } from '../helpers/chunks.ts'
import { Calls } from './calls.ts'
import { walk } from './walking.ts'

const slice = (text: string): Slice => new Slice().set(Buffer.from(text, 'latin1'))
const KEY = { key: slice('key'), expireAtMs: NO_EXPIRY, idle: -1, frequency: -1 }

type Feed = (sink: ElementSink) => void

/** The file with one value. */
function file(
  target: RdbTarget,
  feed: Feed,
  options: { fieldsExpire?: boolean | undefined; compress?: boolean } = {},
): Buffer {
  const writer = new RdbWriter(target, { modules: 'redis', ...options })
  feed(writer.entry(KEY, options.fieldsExpire))
  writer.finish()
  return Buffer.from(writer.take())
}

async function typeOf(target: RdbTarget, feed: Feed, fieldsExpire?: boolean): Promise<number> {
  const { entries, error } = await walk(file(target, feed, { fieldsExpire }))
  expect(error).toBeUndefined()
  return entries[0].type
}

/** What is told of the first value, line by line, and what is odd about it. */
async function read(bytes: Buffer): Promise<string[]> {
  const calls = new Calls()
  const reader = new EntryReader({
    entry: () => calls,
    damaged(error) {
      calls.lines.push(`${error.code}: ${error.message}`)
    },
    odd(code, offset, message) {
      calls.lines.push(`${code} at ${offset}: ${message}`)
    },
  })
  const walk = new RdbWalk(new Window(new PieceSource([bytes])), { values: true })
  for (let event = await walk.next(); event !== undefined; event = await walk.next()) reader.event(event)
  expect(walk.error).toBeUndefined()
  return calls.lines
}

const list =
  (items: readonly string[], count = items.length): Feed =>
  sink => {
    sink.begin('list', count)
    for (const item of items) sink.item(slice(item))
    sink.end()
  }
const set =
  (members: readonly string[], count = members.length): Feed =>
  sink => {
    sink.begin('set', count)
    for (const member of members) sink.member(slice(member))
    sink.end()
  }
const zset =
  (members: readonly (readonly [string, number])[], count = members.length): Feed =>
  sink => {
    sink.begin('zset', count)
    for (const [member, score] of members) sink.scored(slice(member), score)
    sink.end()
  }
type Field = readonly [name: string, value: string, expireAtMs?: bigint]
const hash =
  (fields: readonly Field[], count = fields.length): Feed =>
  sink => {
    sink.begin('hash', count)
    for (const [name, value, expireAtMs] of fields)
      sink.field(slice(name), slice(value), expireAtMs ?? NO_EXPIRY)
    sink.end()
  }
const string =
  (text: string): Feed =>
  sink => {
    sink.begin('string', 1)
    sink.string(slice(text))
    sink.end()
  }

const numbered = (count: number, name = 'm'): string[] =>
  Array.from({ length: count }, (_, i) => `${name}${i}`)
const pairs = (count: number): Field[] => numbered(count).map(name => [name, 'v'])
const scored = (count: number): [string, number][] => numbered(count).map((name, i) => [name, i])

const REDIS_6 = RDB_TARGETS['redis-6.2']
const REDIS_7 = RDB_TARGETS['redis-7.0']
const REDIS_8 = RDB_TARGETS['redis-8.0']
const VALKEY_8 = RDB_TARGETS['valkey-8.1']
const VALKEY_9 = RDB_TARGETS['valkey-9.1']

describe('the encoding of a value', () => {
  it.each([
    ['redis-6.2', [11, 11, 2, 2, 2]],
    ['redis-7.0', [11, 11, 2, 2, 2]],
    ['redis-8.0', [11, 11, 20, 20, 2]],
    ['valkey-9.1', [11, 11, 20, 20, 2]],
  ] as const)('of sets for %s: integers up to 512, others up to 128', async (name, types) => {
    const target = RDB_TARGETS[name]
    const integers = (count: number) => Array.from({ length: count }, (_, i) => String(i - 3))
    const sets = [integers(1), integers(512), numbered(1), [...integers(127), 'a'], [...integers(128), 'a']]
    for (const [i, members] of sets.entries()) {
      expect(await typeOf(target, set(members)), `${i}`).toBe(types[i])
      expect(await typeOf(target, set(members, -1)), `${i}, not announced`).toBe(types[i])
    }
    expect(await typeOf(target, set(integers(513)))).toBe(2)
    expect(await typeOf(target, set(['x'.repeat(64)]))).toBe(types[2])
    expect(await typeOf(target, set(['x'.repeat(65)]))).toBe(2)
    expect(await typeOf(target, set([]))).toBe(2)
  })

  it.each([
    ['redis-6.2', 12],
    ['redis-7.0', 17],
    ['redis-8.0', 17],
    ['valkey-9.1', 17],
  ] as const)('of sorted sets for %s: packed up to 128 members of 64 bytes', async (name, packed) => {
    const target = RDB_TARGETS[name]
    for (const count of [128, -1]) expect(await typeOf(target, zset(scored(128), count))).toBe(packed)
    for (const count of [129, -1]) expect(await typeOf(target, zset(scored(129), count))).toBe(5)
    expect(await typeOf(target, zset([['x'.repeat(64), 1]]))).toBe(packed)
    expect(await typeOf(target, zset([['x'.repeat(65), 1]]))).toBe(5)
    expect(await typeOf(target, zset([]))).toBe(5)
  })

  it.each([
    ['redis-6.2', 13],
    ['redis-7.0', 16],
    ['redis-8.0', 16],
    ['valkey-9.1', 16],
  ] as const)('of hashes for %s: packed up to 512 fields of 64 bytes', async (name, packed) => {
    const target = RDB_TARGETS[name]
    for (const expire of [false, undefined]) {
      for (const count of [512, -1])
        expect(await typeOf(target, hash(pairs(512), count), expire)).toBe(packed)
      for (const count of [513, -1]) expect(await typeOf(target, hash(pairs(513), count), expire)).toBe(4)
      expect(await typeOf(target, hash([['x'.repeat(64), 'x'.repeat(64)]]), expire)).toBe(packed)
      expect(await typeOf(target, hash([['x'.repeat(65), 'v']]), expire)).toBe(4)
      expect(await typeOf(target, hash([['f', 'x'.repeat(65)]]), expire)).toBe(4)
      expect(await typeOf(target, hash([]), expire)).toBe(4)
    }
  })

  it('of hashes whose fields expire is that of their family', async () => {
    const some = (count: number, value = 'v'): Field[] => [...pairs(count - 1), ['f', value, 1000n]]
    expect(await typeOf(REDIS_8, hash(some(512)))).toBe(25)
    expect(await typeOf(REDIS_8, hash(some(513)))).toBe(24)
    expect(await typeOf(REDIS_8, hash(some(2, 'x'.repeat(65))))).toBe(24)
    expect(await typeOf(VALKEY_9, hash(some(2)))).toBe(22)
    expect(await typeOf(VALKEY_9, hash(some(600, 'x'.repeat(65))))).toBe(22)
  })

  it('of lists is nodes of 8 KiB, large items by themselves', async () => {
    const nodes = async (target: RdbTarget, items: string[]) => {
      const bytes = file(target, list(items), { compress: false })
      const { entries } = await walk(bytes)
      return `${entries[0].type}: ${bytes[entries[0].valueAt]}`
    }
    expect(await nodes(REDIS_6, ['a', 'b'])).toBe('14: 1')
    expect(await nodes(REDIS_7, ['a', 'b'])).toBe('18: 1')
    // 7 bytes around all, 3 around each item of 100 bytes; for the next one 8 are reckoned. (Ziplists: 11, 3, 3.)
    expect(await nodes(REDIS_8, Array(79).fill('x'.repeat(100)))).toBe('18: 1')
    expect(await nodes(REDIS_8, Array(80).fill('x'.repeat(100)))).toBe('18: 2')
    expect(await nodes(REDIS_6, Array(79).fill('x'.repeat(100)))).toBe('14: 1')
    expect(await nodes(REDIS_6, Array(80).fill('x'.repeat(100)))).toBe('14: 2')
    expect(await nodes(REDIS_8, ['a', 'x'.repeat(8193), 'b'])).toBe('18: 3')
    expect(await nodes(REDIS_8, Array(100).fill('x'.repeat(8192)))).toBe('18: 64')
    expect(await nodes(REDIS_8, [])).toBe('18: 0')
  })

  it('of a large item is a node as it is where servers make such', async () => {
    const container = (target: RdbTarget, size: number) => {
      const bytes = file(target, list(['x'.repeat(size)]), { compress: false })
      return bytes[9 + 1 + 4 + 1]
    }
    expect(container(REDIS_8, 8193)).toBe(1)
    expect(container(REDIS_8, 8192)).toBe(2)
    expect(container(VALKEY_8, 8193)).toBe(1)
    expect(container(REDIS_7, 8193)).toBe(2)
  })

  it('of strings is an integer, compressed, or as they are', () => {
    const encoded = (text: string, compress = true) => {
      const bytes = file(REDIS_8, string(text), { compress })
      return bytes.subarray(9 + 1 + 4, bytes.length - 9).toString('latin1')
    }
    expect(encoded('')).toBe('\0')
    expect(encoded('0')).toBe('\xc0\0')
    expect(encoded('-128')).toBe('\xc0\x80')
    expect(encoded('127')).toBe('\xc0\x7f')
    expect(encoded('128')).toBe('\xc1\x80\0')
    expect(encoded('-32768')).toBe('\xc1\0\x80')
    expect(encoded('32768')).toBe('\xc2\0\x80\0\0')
    expect(encoded('-2147483648')).toBe('\xc2\0\0\0\x80')
    expect(encoded('2147483648')).toBe('\x0a2147483648')
    for (const text of ['-0', '00', '+1', ' 1', '1 ', '-', '1.5', '1e3'])
      expect(encoded(text)).toBe(String.fromCharCode(text.length) + text)
    expect(encoded('x'.repeat(20))).toBe(`\x14${'x'.repeat(20)}`)
    expect(encoded('x'.repeat(21)).replace(/^(.)./, '$1?')).toMatch('\xc3?\x15')
    expect(encoded('x'.repeat(21), false)).toBe(`\x15${'x'.repeat(21)}`)
    // Behind its sizes, whichever they take.
    for (const size of [63, 64, 100, 16383, 16384, 70_000, 300_000])
      expect(encoded('x'.repeat(size)).length).toBeLessThan(size / 20 + 12)
  })
})

describe('a value', () => {
  it('is written alike, whatever was written before', async () => {
    const values: Feed[] = [
      set(['1', '2']),
      set(numbered(700)),
      set(['a', 'x'.repeat(65)]),
      hash([['f', 'v', 1000n]]),
      hash([['f', 'x'.repeat(65)]]),
      hash(pairs(700)),
      list(Array(100).fill('x'.repeat(1000))),
      zset([['x'.repeat(65), 1]]),
      zset(scored(200)),
      string('x'),
      list([]),
    ]
    const spans = async (bytes: Buffer) =>
      (await walk(bytes)).entries.map(({ offset, end }) => bytes.toString('latin1', offset, end))
    const alone = new Map<Feed, string>()
    for (const value of values) alone.set(value, (await spans(file(REDIS_8, value)))[0])
    const writer = new RdbWriter(REDIS_8)
    const order: Feed[] = []
    for (const first of values) for (const second of values) order.push(first, second)
    for (const value of order) value(writer.entry(KEY))
    writer.finish()
    expect(await spans(Buffer.from(writer.take()))).toEqual(order.map(value => alone.get(value)))
  })
})

describe('what the target cannot hold', () => {
  const refusal = (target: RdbTarget, feed: Feed, key = 'key'): string => {
    const writer = new RdbWriter(target, { modules: 'redis' })
    writer.select(3)
    try {
      feed(writer.entry({ ...KEY, key: slice(key) }))
    } catch (error) {
      if (error instanceof JobError) return `${error.code}: ${error.message}`
      throw error
    }
    return 'none'
  }
  const expiring = hash([['f', 'v', 1000n]])

  it('is an error that names the key and the target', () => {
    expect(refusal(REDIS_7, expiring, 'a\n"b')).toBe(
      'rdb.target: an RDB for redis-7.0 cannot hold fields that expire of the key "a\\n\\"b" in database 3',
    )
    expect(refusal(RDB_TARGETS.common, expiring, 'k'.repeat(1000))).toBe(
      `rdb.target: an RDB for common cannot hold fields that expire of the key "${'k'.repeat(64)}"… (1000 bytes) in database 3`,
    )
  })

  it('is a text in a stream whose form in a listpack no server shares with all others', () => {
    const stream = (size: number): Feed => {
      return sink => {
        sink.begin('stream', 1)
        sink.entry(1n, 0n, 1)
        sink.field(slice('name'), slice('x'.repeat(size)), NO_EXPIRY)
      }
    }
    expect(refusal(RDB_TARGETS.common, stream(16_377))).toBe('none')
    expect(refusal(RDB_TARGETS.common, stream(16_378))).toContain('a name or value of 16378 bytes')
    expect(refusal(RDB_TARGETS['valkey-9.0'], stream(16_378))).toContain('cannot hold')
    expect(refusal(RDB_TARGETS['valkey-9.1'], stream(16_378))).toBe('none')
  })

  it('is a field that expires, where there are none or none so late', () => {
    for (const name of TARGET_NAMES) {
      const holds = ['redis-7.4', 'redis-8.0', 'valkey-9.0', 'valkey-9.1'].includes(name)
      expect(refusal(RDB_TARGETS[name], expiring) === 'none', name).toBe(holds)
    }
    const at = (expireAtMs: bigint) => hash([['f', 'v', expireAtMs]])
    expect(refusal(REDIS_8, at(2n ** 48n - 1n))).toBe('none')
    for (const expireAtMs of [2n ** 48n, 0n, -2n])
      expect(refusal(REDIS_8, at(expireAtMs))).toContain(`expires at ${expireAtMs} ms`)
    for (const expireAtMs of [2n ** 63n - 1n, 2n ** 48n, 0n])
      expect(refusal(VALKEY_9, at(expireAtMs))).toBe('none')
    expect(refusal(VALKEY_9, at(-2n))).toContain('expires at -2 ms')
  })

  it('is a score that is not a number, for any', () => {
    for (const name of TARGET_NAMES) {
      expect(refusal(RDB_TARGETS[name], zset([['m', Number.NaN]]))).toContain('not a number')
      expect(refusal(RDB_TARGETS[name], zset([['m', Number.NaN]], 200))).toContain('not a number')
    }
  })

  it('is an array, what Redis 8.6 has in streams, and a stream out of order', () => {
    const stream =
      (more: Feed): Feed =>
      sink => {
        sink.begin('stream', -1)
        more(sink)
      }
    const entry = (sink: ElementSink, ms: bigint) => {
      sink.entry(ms, 0n, 1)
      sink.field(slice('f'), slice('v'), NO_EXPIRY)
    }
    expect(refusal(REDIS_8, sink => sink.begin('array', 1))).toContain('an array')
    expect(
      refusal(
        REDIS_8,
        stream(sink => sink.nacked(1n, 1n)),
      ),
    ).toContain('XNACK')
    expect(
      refusal(
        REDIS_8,
        stream(sink => sink.producer(slice('p'))),
      ),
    ).toContain('producers')
    expect(
      refusal(
        REDIS_8,
        stream(sink => {
          entry(sink, 5n)
          entry(sink, 5n)
        }),
      ),
    ).toContain('order')
  })

  it('is a value of a module of the other family, or of one that nobody knows', () => {
    const module: Feed = sink => {
      sink.begin('module', -1)
      // In two pieces, as it may come.
      sink.raw(slice('\x81\x01\x02'))
      sink.raw(slice('\x03\x04\x05\x06\x07\x08\0'))
      sink.end()
    }
    expect(refusal(REDIS_7, module)).toBe('none')
    expect(refusal(VALKEY_9, module)).toContain('values of modules of redis')
    expect(refusal(RDB_TARGETS.common, module)).toContain('values of modules of redis')
    const writer = new RdbWriter(REDIS_7)
    expect(() => module(writer.entry(KEY))).toThrow('values of modules')
  })

  it('is a vector set before Redis 8', () => {
    const vectors =
      (version: number): Feed =>
      sink => {
        sink.begin('module', -1)
        sink.raw(slice(`\x81\xbd\xe7\x2d\xa2\xbb\x1e${String.fromCharCode(0xb4 | (version >> 8))}\0`))
        sink.end()
      }
    for (const version of [0, 0x300]) {
      expect(refusal(REDIS_7, vectors(version))).toContain('vector sets')
      expect(refusal(REDIS_8, vectors(version))).toBe('none')
    }
  })
})

describe('a text that was passed over', () => {
  const gone = new Slice().set(PASSED_OVER, 0, 70_000)
  const feeds: [string, Feed][] = [
    ['string', sink => sink.string(gone)],
    ['list', sink => sink.item(gone)],
    ['set', sink => sink.member(gone)],
    ['zset', sink => sink.scored(gone, 1)],
    ['hash', sink => sink.field(slice('f'), gone, NO_EXPIRY)],
  ]
  it.each(feeds)('is never written: %s', (kind, feed) => {
    for (const target of [REDIS_7, REDIS_8])
      for (const count of [1, 100_000]) {
        const sink = new RdbWriter(target).entry(KEY)
        sink.begin(kind as Kind, count)
        expect(() => feed(sink)).toThrow('not there')
      }
  })
})

describe('a count that was wrong', () => {
  const feeds: [string, (count: number) => Feed, string][] = [
    ['set', count => set(numbered(700), count), 'begin set 700'],
    ['sorted set', count => zset(scored(700), count), 'begin zset 700'],
    ['hash', count => hash(pairs(700), count), 'begin hash 700'],
    ['set of long members', count => set([...numbered(699), 'x'.repeat(65)], count), 'begin set 700'],
  ]
  it.each(feeds)('is put right while it can be: %s', async (_what, feed, first) => {
    for (const count of [-1, 0, 1, 699, 701, 20_000, 2 ** 33]) {
      const lines = await read(file(REDIS_7, feed(count)))
      expect(lines[0], String(count)).toBe(first)
      expect(lines).toHaveLength(702)
    }
  })

  it('is an error when it was given away', () => {
    const writer = new RdbWriter(REDIS_7)
    const sink = writer.entry(KEY)
    sink.begin('set', 700)
    for (const member of numbered(300_000)) sink.member(slice(member))
    expect(writer.pending).toBeGreaterThan(1 << 20)
    writer.take()
    expect(() => sink.end()).toThrow(JobError)
  })
})

/** Sorted, where order means nothing; a count that is not said counts for nothing. */
function unordered(lines: readonly string[]): string[] {
  const [first, ...rest] = lines
  return [first.replace(/ -?\d+$/, ''), ...(/list|string/.test(first) ? rest : rest.sort())]
}

const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 30 }).map(made => Buffer.from(made).toString('latin1')),
  fc.maxSafeInteger().map(String),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String),
  fc.integer({ min: -200, max: 200 }).map(String),
  fc.string({ minLength: 50, maxLength: 80 }),
  fc.integer({ min: 8180, max: 8200 }).map(size => 'long '.repeat(size / 5)),
)
const texts = fc.uniqueArray(text, { maxLength: 200, size: 'max' })
const score = fc.oneof(fc.double({ noNaN: true }), fc.integer(), fc.constantFrom(-0, 0, 1e21, 1e17, 0.1))
const expiry = fc.oneof(
  fc.constant(NO_EXPIRY),
  fc.bigInt({ min: 1n, max: 2n ** 48n - 1n }),
  fc.bigInt({ min: 1_800_000_000_000n, max: 1_800_000_100_000n }),
)
const feed = fc.oneof(
  text.map(string),
  fc.array(text, { maxLength: 200, size: 'max' }).map(items => list(items)),
  fc.tuple(texts, fc.boolean()).map(([members, known]) => set(members, known ? members.length : -1)),
  fc
    .uniqueArray(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), { maxLength: 600, size: 'max' })
    .map(members => set(members.map(String))),
  fc
    .tuple(texts, fc.array(score, { minLength: 200, maxLength: 200 }), fc.boolean())
    .map(([members, scores, known]) =>
      zset(
        members.map((member, i) => [member, scores[i]]),
        known ? members.length : -1,
      ),
    ),
)
const fields = fc.tuple(texts, fc.array(text, { minLength: 200, maxLength: 200 }), fc.boolean())

describe('any value', () => {
  it.each(TARGET_NAMES)('written for %s is read as it was', async name => {
    const target = RDB_TARGETS[name]
    const plainHash = fields.map(([names, values, known]) =>
      hash(
        names.map((field, i) => [field, values[i]]),
        known ? names.length : -1,
      ),
    )
    await fc.assert(
      fc.asyncProperty(fc.oneof(feed, plainHash), fc.boolean(), async (value, compress) => {
        const told = new Calls()
        value(told)
        expect(unordered(await read(file(target, value, { compress })))).toEqual(unordered(told.lines))
      }),
      { numRuns: 60 },
    )
  })

  it.each(['redis-7.4', 'valkey-9.0'] as const)(
    'with fields that expire, written for %s, too',
    async name => {
      const expiring = fc
        .tuple(fields, fc.array(expiry, { minLength: 200, maxLength: 200 }))
        .map(([[names, values, known], expiries]) =>
          hash(
            names.map((field, i) => [field, values[i], expiries[i]]),
            known ? names.length : -1,
          ),
        )
      await fc.assert(
        fc.asyncProperty(expiring, async value => {
          const told = new Calls()
          value(told)
          expect(unordered(await read(file(RDB_TARGETS[name], value)))).toEqual(unordered(told.lines))
        }),
        { numRuns: 100 },
      )
    },
  )

  it('of packed sorted sets goes up, of others down', async () => {
    const members: [string, number][] = [
      ['b', 2],
      ['a', 2],
      ['c', Number.NEGATIVE_INFINITY],
      ['aa', 2],
      ['d', Number.POSITIVE_INFINITY],
      ['e', -0],
      ['f', 0.1],
    ]
    const up = ['c -Infinity', 'e -0', 'f 0.1', 'a 2', 'aa 2', 'b 2', 'd Infinity'].map(
      line => `scored ${line}`,
    )
    expect((await read(file(REDIS_8, zset(members)))).slice(1, -1)).toEqual(up)
    const long = 'x'.repeat(65)
    const plain = await read(file(REDIS_8, zset([...members, [long, 1000]])))
    expect(plain.slice(1, -1)).toEqual([...up.slice(0, -1), `scored ${long} 1000`, up.at(-1)].reverse())
  })

  it('of packed fields that expire begins with the next to go, and ends with those that stay', async () => {
    const value = hash([
      ['stays', '1'],
      ['late', '2', 3000n],
      ['soon', '3', 1000n],
      ['too', '4'],
      ['also late', '5', 3000n],
    ])
    const bytes = file(REDIS_8, value, { compress: false })
    expect((await read(bytes)).slice(1, -1)).toEqual(
      ['soon 3 1000', 'late 2 3000', 'also late 5 3000', 'stays 1 -1', 'too 4 -1'].map(
        line => `field ${line}`,
      ),
    )
    // The earliest stands in front.
    expect(bytes.readBigInt64LE(9 + 1 + 4)).toBe(1000n)
  })
})
