import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import initWabt from 'wabt'
import { generator } from '../../bench/logs.ts'
import { SEED } from '../../src/bytes/seed.ts'
import { Window } from '../../src/bytes/window.ts'
import { fingerprint } from '../../src/operations/fingerprints.ts'
import { ValueCheck } from '../../src/operations/value-check.ts'
import { ListpackWriter } from '../../src/rdb/encodings/listpack.ts'
import { compressLzf } from '../../src/rdb/encodings/lzf.ts'
import { EntryReader } from '../../src/rdb/entries.ts'
import { EntryBatch } from '../../src/rdb/events.ts'
import { SIEVE_MODULE } from '../../src/rdb/sieve.generated.ts'
import { Sieve } from '../../src/rdb/sieve.ts'
import { LZF } from '../../src/rdb/strings.ts'
import { RdbWalk } from '../../src/rdb/walk.ts'
import { Slice } from '../../src/values/slice.ts'
import { PieceSource } from '../helpers/chunks.ts'
import { fileOf, VALUE_CASES } from '../operations/value-cases.ts'
import { bytes, double, len, listpack, type Piece, str } from './build.ts'
import { node, packed } from './encodings/streams.ts'
import { around, VALUES } from './values.ts'

/** All but those of modules. */
const ALL_TYPES = ~(1 << 7)

interface Encoded {
  readonly type: number
  readonly key: Uint8Array
  readonly value: Uint8Array
}

/** A batch of entries that stand one after the other, between other bytes. */
function batchOf(entries: readonly Encoded[], around: Uint8Array = Buffer.alloc(64, 0xff)): EntryBatch {
  const batch = new EntryBatch(Math.max(1, entries.length))
  batch.count = entries.length
  batch.base = 1000
  batch.bytes = bytes(around, ...entries.flatMap(({ type, key, value }) => [type, key, value]), around)
  let at = batch.base + around.length
  entries.forEach(({ type, key, value }, i) => {
    batch.type[i] = type
    batch.offset[i] = at
    batch.key[i] = at + 1
    batch.value[i] = at + 1 + key.length
    batch.end[i] = at = batch.value[i] + value.length
  })
  return batch
}

/** Offsets of the entries that the sieve does not pass. */
function closely(batch: EntryBatch, types = ALL_TYPES): Set<number> {
  const sieve = new Sieve(SEED)
  sieve.look(batch, types)
  return new Set(sieve.closely.offset.subarray(0, sieve.closely.count))
}

/** Offsets of the entries that something is wrong with, of any severity, and what. */
function faults(batch: EntryBatch, magic: 'REDIS' | 'VALKEY' = 'REDIS'): Map<number, string> {
  const found = new Map<number, string>()
  let offset = 0
  const check = new ValueCheck(fault => found.set(offset, fault.code))
  const reader = new EntryReader({
    entry(entry) {
      offset = entry.offset
      if (entry.type === 0 && batch.bytes[entry.valueOffset - batch.base] !== LZF) return undefined
      check.start(magic, entry.type, entry.offset)
      return check
    },
    damaged(error, entry) {
      if (check.open) check.broken(error.code, error.offset, error.message)
      else found.set(entry?.offset ?? -1, error.code)
    },
    odd: (code, at, message) => check.odd(code, at, message),
  })
  reader.event({ kind: 'header', offset: 0, end: 9, magic, version: 11 })
  reader.event({ kind: 'entries', entries: batch, inPieces: false })
  return found
}

/** Whether the sieve passes a value; when it does, nothing may be wrong with it. */
function passes(type: number, value: Uint8Array, around?: Uint8Array): boolean {
  const batch = batchOf([{ type, key: str('key'), value }], around)
  const passed = closely(batch).size === 0
  if (passed) expect([...faults(batch).values()], value.toString()).toEqual([])
  return passed
}

/** The entries of a file, each on its own. */
async function entriesOf(file: Uint8Array): Promise<Encoded[]> {
  const walk = new RdbWalk(new Window(new PieceSource([file]), 1 << 20), { values: true })
  const found: Encoded[] = []
  for (let event = await walk.next(); event !== undefined; event = await walk.next()) {
    if (event.kind !== 'entries' || event.inPieces) continue
    const { entries } = event
    for (let i = 0; i < entries.count; i++) {
      const of = (from: number, to: number) =>
        Buffer.from(entries.bytes.subarray(from - entries.base, to - entries.base))
      found.push({
        type: entries.type[i],
        key: of(entries.key[i], entries.value[i]),
        value: of(entries.value[i], entries.end[i]),
      })
    }
  }
  return found
}

const FOLDER = 'fixtures/rdb'
const FIXTURES = readdirSync(FOLDER)
  .filter(file => file.endsWith('.rdb'))
  .map(name => ({ name, file: readFileSync(join(FOLDER, name)) }))

/** Types that the sieve knows, strings left aside. */
const KNOWN: ReadonlySet<number> = new Set([2, 4, 5, 11, 15, 16, 17, 18, 19, 20, 21])

/** A compressed string. */
function lzf(text: Uint8Array): Buffer {
  const room = Buffer.alloc(text.length)
  const size = compressLzf(text, 0, text.length, room, 0)
  if (size === 0) throw new RangeError('it cannot be compressed')
  return bytes(LZF, len(size), len(text.length), room.subarray(0, size))
}

function intset(width: 2 | 4 | 8, ...members: number[]): Buffer {
  const set = Buffer.alloc(8 + members.length * width)
  set.writeUInt32LE(width, 0)
  set.writeUInt32LE(members.length, 4)
  members.forEach((member, i) => {
    if (width === 8) set.writeBigInt64LE(BigInt(member), 8 + 8 * i)
    else set.writeIntLE(member, 8 + width * i, width)
  })
  return set
}

const count = (times: number, text: (i: number) => string) => Array.from({ length: times }, (_, i) => text(i))

/** Values in which nothing is wrong, in all forms that are known, so small that a change of a byte often matters. */
const SOUND: readonly (readonly [number, Buffer])[] = [
  [0, lzf(Buffer.from('abcabcabcabcabcabcabcabcabcabcabcabcabcabcdefdefdefdefdef'))],
  [2, bytes(len(4), str('m1'), str('m2'), [0xc0, 7], [0xc1, 0, 1])],
  [4, bytes(len(3), str('f1'), str('f2'), str('f2'), lzf(Buffer.alloc(100, 'ab')), str('17'), str(''))],
  [5, bytes(len(3), str('m1'), double(1.5), str('m2'), double(-1), str('m3'), double(Infinity))],
  [11, str(intset(2, -5, 1, 2, 300))],
  [11, str(intset(4, -70_000, 1, 2))],
  [11, str(intset(8, -5e12, -1, 5e12))],
  [16, str(packed('f1', 'v', 'f2', 12, 'f3', -3000, 'f4', 'x'.repeat(63), 'f5', 2n ** 40n, 7, 40_000))],
  [16, str(long('f1', 'x'.repeat(64), 'f2', 'y'.repeat(130)))],
  [16, lzf(packed(...count(20, i => `field:${i % 2 === 0 ? i : 'same'}`)))],
  [17, str(packed('m1', '1.25', 'm2', 2, 'm3', '2.5', 'm4', '100.125', 'm5', 70_000))],
  [17, str(packed('m1', '-2.75', 'm2', -2, 'm3', '-0.5', 'm4', '0.12345678901234568', 'm5', 3))],
  [18, bytes(len(2), len(2), str(packed('a', 1, 'b', 'a')), len(1), str('c'))],
  [20, str(packed('m1', 'm2', 1, 2, 300, -70_000, 9_000_000, 2n ** 40n, '12a', '007'))],
  [
    19,
    bytes(
      [len(2), node([5n, 0n], 1, 1, 1, 'f', 0, 2, 0, 0, 'v', 4, 1, 0, 1, 1, 'g', 'w', 6)],
      [node([6n, 1n], 1, 0, 1, 'f', 0, 2, 0, 0, 'v', 4)],
      [len(2), len(6), len(1), len(5), len(0), len(5), len(1), len(3), len(0)],
    ),
  ],
  [
    15,
    bytes(len(1), node([2n ** 40n, 7n], 1, 0, 0, 0, 0, 3, -1, 0, 4), len(1), len(2n ** 41n), len(0), len(0)),
  ],
]

describe('the sieve', () => {
  it('passes nothing of what ValueCheck has to say something about', async () => {
    let passed = 0
    const files = [...VALUE_CASES.map(fileOf), ...VALUES.map(value => around(value).file)]
    for (const file of [...files, ...FIXTURES.map(({ file }) => file)]) {
      for (const entry of await entriesOf(file)) {
        const magic = file.subarray(0, 5).toString() === 'REDIS' ? 'REDIS' : 'VALKEY'
        const batch = batchOf([entry])
        if (closely(batch).size > 0) continue
        expect([...faults(batch, magic).values()]).toEqual([])
        passed++
      }
    }
    expect(passed).toBeGreaterThan(400)
  })

  it('passes what servers write: of collections in the fixtures, all but streams with groups, and scores with exponents', async () => {
    const refused = new Set<string>()
    let all = 0
    for (const { name, file } of FIXTURES) {
      if (name.startsWith('built')) continue
      for (const entry of await entriesOf(file)) {
        if (!KNOWN.has(entry.type) && entry.type !== 0) continue
        all++
        if (closely(batchOf([entry])).size > 0) refused.add(entry.key.subarray(1).toString())
      }
    }
    expect([...refused].sort()).toEqual(['stream', 'zset'])
    expect(all).toBeGreaterThan(250)
  })

  it.each(SOUND.map(([type, value], i) => [i, type, value] as const))(
    'passes sound value %i, of type %i, and of its damages none that is one',
    (seed, type, value) => {
      expect(passes(type, value)).toBe(true)
      const random = generator(seed + 1)
      const below = (n: number) => Math.floor(random() * n)
      let passed = 0
      const rounds = 3000
      for (let round = 0; round < rounds; round++) {
        const damaged = damage(value, below)
        // What is no string any more the walk does not give.
        if (type === 0 && damaged[0] !== LZF) continue
        if (passes(type, damaged)) passed++
      }
      expect(passed).toBeLessThan(rounds)
    },
  )

  it('passes hardly any value that is nothing but random bytes, and ends', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...KNOWN),
        fc.uint8Array({ minLength: 1, maxLength: 60 }),
        (type, value) => {
          passes(type, value)
          passes(type, bytes(str(value)))
          passes(type, str(bytes(len(value.length), value)))
        },
      ),
      { numRuns: 3000 },
    )
  })

  it('takes no byte from before or behind a value', () => {
    const random = generator(3)
    const below = (n: number) => Math.floor(random() * n)
    for (const [type, value] of SOUND)
      for (let round = 0; round < 300; round++) {
        const cut = value.subarray(0, 1 + below(value.length))
        const behind = Buffer.concat([value.subarray(cut.length), Buffer.alloc(40, 0x31)])
        const results = [behind, Buffer.alloc(40), Buffer.alloc(40, 0xff)].map(around =>
          passes(type, cut, around),
        )
        expect(new Set(results).size, `${type} ${cut.toString('hex')}`).toBe(1)
      }
  })

  describe('names', () => {
    const set = (...members: Piece[]) => bytes(len(members.length), members)

    it.each<[string, number, Buffer]>([
      ['text twice', 2, set(str('a'), str('b'), str('a'))],
      ['an integer in two widths', 2, set([0xc0, 7], [0xc1, 7, 0])],
      ['an integer and its digits', 2, set([0xc0, 0xf9], str('-7'))],
      ['compressed and not', 2, set(str(Buffer.alloc(60, 'a')), lzf(Buffer.alloc(60, 'a')))],
      ['a field', 4, bytes(len(2), str('a'), str('b'), str('a'), str('c'))],
      ['a member with scores', 5, bytes(len(2), str('a'), double(1), str('a'), double(2))],
      ['a packed integer in two widths', 20, str(bytes(header(13, 2), 7, 1, [0xf1, 7, 0], 3, 0xff))],
      ['a packed integer and its digits', 20, str(bytes(header(12, 2), 7, 1, 0x81, 0x37, 2, 0xff))],
      [
        'the lowest integer and its digits',
        20,
        str(bytes(header(39, 2), 0xf4, [0, 0, 0, 0, 0, 0, 0, 0x80], 9, text('-9223372036854775808'), 0xff)),
      ],
      ['after very many', 2, set(...count(600, i => `m${i}`).map(str), str('m599'))],
    ])('are not passed when they are there twice: %s', (_, type, value) => {
      expect(passes(type, value)).toBe(false)
    })

    it.each<[string, number, Buffer]>([
      ['digits with a zero before them', 2, set([0xc0, 7], str('07'), str('-07'), str('7 '))],
      ['zeros', 2, set([0xc0, 0], str('-0'), str('00'), str(''), str('-'))],
      ['digits of more than 64 bits', 2, set(str('18446744073709551615'), [0xc0, 0xff])],
      [
        'the lowest integer, and a lower one',
        2,
        set(str('-9223372036854775808'), str('-9223372036854775809')),
      ],
      ['a beginning of another one', 2, set(...count(40, i => 'a'.repeat(i)).map(str))],
      ['very many', 2, set(...count(4095, i => `m${i}`).map(str))],
    ])('are passed when they only look alike: %s', (_, type, value) => {
      expect(passes(type, value)).toBe(true)
    })

    it('are those of one value only', () => {
      const entries = count(1024, i => `key ${i}`).map(key => ({
        type: 20,
        key: str(key),
        value: str(listpack('a', 'b', '7')),
      }))
      expect(closely(batchOf(entries)).size).toBe(0)
    })
  })

  it('passes scores only when they are numbers that do not fall', () => {
    const score = fc.oneof(
      fc.double({ noNaN: true }).map(String),
      fc.integer().map(String),
      fc.integer({ min: -99, max: 99 }).map(n => String(n / 8)),
      fc.tuple(fc.nat(20), fc.nat(3)).map(([n, zeros]) => `${n}.${'0'.repeat(zeros)}1`),
      fc.constantFrom(
        '',
        '-',
        '.',
        '1.',
        '.5',
        '-.5',
        '1..2',
        '-0',
        '0',
        '0.0',
        '+1',
        ' 1',
        '1e3',
        'inf',
        'nan',
        '1x',
      ),
    )
    let passed = 0
    fc.assert(
      fc.property(fc.array(score, { minLength: 1, maxLength: 3 }), scores => {
        const value = str(packed(...scores.flatMap((text, i) => [`m${i}`, text])))
        if (passes(17, value)) passed++
      }),
      { numRuns: 5000 },
    )
    expect(passed).toBeGreaterThan(500)
  })

  it('passes rising scores as servers print them, also when they are equal', () => {
    const random = generator(5)
    for (let round = 0; round < 200; round++) {
      const scores = Array.from({ length: 20 }, () => (random() - 0.3) * 10 ** Math.floor(random() * 6))
      scores.push(scores[3], scores[7])
      scores.sort((a, b) => a - b)
      const texts = scores.map(String)
      if (texts.some(text => text.includes('e'))) continue
      expect(passes(17, str(packed(...texts.flatMap((score, i) => [`m${i}`, score])))), texts.join()).toBe(
        true,
      )
    }
  })

  it('never passes NaN', () => {
    for (const nan of [
      [0xf0, 0x7f, 1],
      [0xf8, 0xff, 0],
      [0xff, 0x7f, 0xff],
    ]) {
      const score = Buffer.from([nan[2], 0, 0, 0, 0, 0, nan[0], nan[1]])
      expect(passes(5, bytes(len(1), str('a'), score))).toBe(false)
    }
  })

  it('passes no value without elements', () => {
    for (const type of [2, 4, 5, 18]) expect(passes(type, len(0)), `${type}`).toBe(false)
    for (const type of [16, 17, 20]) expect(passes(type, str(listpack())), `${type}`).toBe(false)
    expect(passes(18, bytes(len(1), len(2), str(listpack())))).toBe(false)
    expect(passes(18, bytes(len(1), len(1), str('')))).toBe(false)
    expect(passes(11, str(intset(2)))).toBe(false)
  })

  it('passes large values, and those that fill the memory of its module to the end', () => {
    const nodes = count(131, i => 'x'.repeat(8000 - i))
    const list = bytes(
      len(nodes.length),
      nodes.map(text => [len(2), str(long(text, 'b'))]),
    )
    expect(passes(18, list)).toBe(true)
    const room = (1 << 20) - 4
    for (const size of [room, room + 1]) {
      const value = bytes(len(2), len(1), str(Buffer.alloc(size - 21, 'y')), len(2), str(listpack('end')))
      expect(value.length - size).toBe(0)
      expect(passes(18, value)).toBe(size === room)
    }
    expect(passes(0, lzf(Buffer.alloc(65_536, 'abc')))).toBe(true)
    expect(passes(0, lzf(Buffer.alloc(65_537, 'abc')))).toBe(false)
  })

  it('takes a batch whose bytes do not fit into its module in parts', () => {
    const entries = count(40, i => `key ${i}`).map((key, i) => ({
      type: i % 7 === 0 ? 16 : 0,
      key: str(key),
      value:
        i % 7 === 0
          ? str(listpack('a', 'b', i === 14 ? 'a' : 'c', 'd'))
          : str(Buffer.alloc(i === 9 ? 2e6 : 1e5)),
    }))
    const batch = batchOf(entries)
    expect([...closely(batch)]).toEqual([batch.offset[9], batch.offset[14]])
  })

  it('passes only types that it may', () => {
    const value = str(listpack('a', 'b'))
    const batch = batchOf([16, 20, 17, 0, 99].map(type => ({ type, key: str('k'), value })))
    expect([...closely(batch, (1 << 16) | (1 << 0))]).toEqual([1, 2, 4].map(i => batch.offset[i]))
  })

  it('hands on all that is known of the others', () => {
    const batch = batchOf([
      { type: 0, key: str('a'), value: str('b') },
      { type: 1, key: str('c'), value: bytes(len(1), str('d')) },
    ])
    batch.db = 3
    batch.expireAtMs.set([1n, 2n])
    batch.idle.set([3, 4])
    batch.frequency.set([5, 6])
    const sieve = new Sieve(SEED)
    sieve.look(batch, ALL_TYPES)
    const { closely } = sieve
    expect([closely.count, closely.db, closely.type[0], closely.expireAtMs[0]]).toEqual([1, 3, 1, 2n])
    expect([closely.idle[0], closely.frequency[0], closely.end[0]]).toEqual([4, 6, batch.end[1]])
    expect(Buffer.from(closely.keyBytes(0) ?? []).toString()).toBe('c')
  })

  it('makes the same fingerprints of keys as others do, and none of integers and of what is damaged', () => {
    const texts = count(200, i => 'äb\0ÿ-'.repeat(40).slice(0, i)).map(text => Buffer.from(text, 'latin1'))
    texts.push(Buffer.alloc(99, 'lzf'))
    const damaged = bytes(LZF, len(2), len(10), [0x20, 0])
    const keys = [...texts.slice(0, -1).map(str), lzf(texts[200]), Buffer.of(0xc0, 7), damaged]
    const batch = batchOf(keys.map(key => ({ type: 0, key, value: str('v') })))
    for (const db of [0, 15]) {
      batch.db = db
      const sieve = new Sieve(SEED)
      sieve.look(batch, ALL_TYPES)
      const words = new Int32Array(2 * keys.length)
      for (const [i, text] of texts.entries()) fingerprint(text, 0, text.length, db, words, 2 * i)
      expect(sieve.prints.subarray(0, words.length)).toEqual(words)
      expect(Array.from(sieve.closely.offset.subarray(0, sieve.closely.count))).toEqual([
        batch.offset[keys.length - 1],
      ])
    }
  })

  it('is what sieve.wat assembles to', async () => {
    const wabt = await initWabt()
    const wat = readFileSync('src/rdb/sieve.wat', 'utf8')
    const { buffer } = wabt.parseWat('sieve.wat', wat, { bulk_memory: true, simd: true }).toBinary({})
    expect(SIEVE_MODULE, 'run `node scripts/make-wasm.js`').toBe(Buffer.from(buffer).toString('base64'))
  })
})

/** Another value that is near. */
function damage(value: Buffer, below: (n: number) => number): Buffer {
  const damaged = Buffer.from(value)
  const at = below(damaged.length)
  const other = below(damaged.length)
  switch (below(6)) {
    case 0:
      damaged[at] ^= 1 << below(8)
      return damaged
    case 1:
      damaged[at] = below(256)
      return damaged
    case 2:
      damaged[at] = damaged[other]
      damaged[other] += 1
      return damaged
    case 3:
      return damaged.subarray(0, at + 1)
    case 4:
      return Buffer.concat([damaged.subarray(0, at), damaged.subarray(other)])
    default:
      damaged.copyWithin(at, other, other + below(12))
      return damaged
  }
}

/** The head of a listpack. */
function header(size: number, elements: number): Buffer {
  const head = Buffer.alloc(6)
  head.writeUInt32LE(size, 0)
  head.writeUInt16LE(elements, 4)
  return head
}

/** A short text as an element of a listpack. */
const text = (short: string): Buffer => bytes(0x80 | short.length, Buffer.from(short), 1 + short.length)

/** A listpack of texts of any size. */
function long(...texts: string[]): Buffer {
  const writer = new ListpackWriter()
  for (const text of texts) writer.append(new Slice().set(Buffer.from(text)))
  return Buffer.from(writer.finish().copy())
}
