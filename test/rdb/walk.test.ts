import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Source } from '../../src/bytes/source.ts'
import { Window } from '../../src/bytes/window.ts'
import { valueType } from '../../src/rdb/format.ts'
import { RdbWalk } from '../../src/rdb/walk.ts'
import { everySplit, PieceSource } from '../helpers/chunks.ts'
import { aux, bytes, entry, int64, len, type Piece, rdb, select, str } from './build.ts'
import { around, MODULE_DATA, VALUES } from './values.ts'
import { boundaries, fixtures, type Walked, walk } from './walking.ts'

const FIXTURES = fixtures()

/** One of each size that is worth every byte: what takes longer is sampled. */
function* offsets(size: number): Generator<number> {
  const step = size < 1500 ? 1 : 29
  for (let offset = 0; offset < size; offset += step) yield offset
}

const plain = (key: string) => entry(0, key, str('value'))

describe('a file that a server wrote', () => {
  it('is there for every server', () => {
    for (const server of ['redis-7.0', 'redis-8.0', 'valkey-8.1', 'valkey-9.1'])
      expect(FIXTURES.filter(({ name }) => name.startsWith(server)).length).toBeGreaterThan(5)
  })

  describe.each(FIXTURES)('$name', ({ bytes: file, facts }) => {
    it('has the keys, types and expiries that the server said, database by database', async () => {
      const { entries, records, error } = await walk(file)
      expect(error).toBeUndefined()
      const header = records[0]
      if (header.kind !== 'header') throw new Error('no header')
      const found: typeof facts.databases = {}
      for (const { db, key, type, expireAtMs } of entries) {
        found[db] ??= { size: 0, keys: {} }
        found[db].size++
        const kind = valueType(header.magic, type)!.kind
        found[db].keys[Buffer.from(key!, 'latin1').toString('base64')] = {
          type: kind === 'module' ? 'vectorset' : kind,
          ...(expireAtMs === -1n ? {} : { expireAtMs: Number(expireAtMs) }),
        }
      }
      for (const database of Object.values(facts.databases))
        for (const key of Object.values(database.keys)) delete (key as { encoding?: string }).encoding
      expect(found).toEqual(facts.databases)
    })

    it('is covered without a gap, and its checksum is right or switched off', async () => {
      const { entries, records } = await walk(file)
      const spans = [...entries, ...records].sort((a, b) => a.offset - b.offset)
      let at = 0
      for (const span of spans) {
        expect(span.offset).toBe(at)
        at = span.end
      }
      expect(at).toBe(file.length)
      const end = records.at(-1)!
      if (end.kind !== 'end') throw new Error('no end')
      expect([0n, end.checksum!.computed]).toContain(end.checksum!.stored)
    })

    it('is the same however it is cut', async () => {
      const whole = await walk(file)
      const same = (walked: Walked) => {
        expect(walked.entries).toEqual(whole.entries)
        expect(walked.records).toEqual(whole.records)
        expect(walked.error).toBeUndefined()
      }
      for (const chunk of [128, 1 << 12]) {
        for (const at of offsets(file.length))
          same(await walk([file.subarray(0, at), file.subarray(at)], { chunk }))
        for (const size of [1, 2, 3, 7, 64, 1000]) {
          const count = Math.ceil(file.length / size)
          const pieces = Array.from({ length: count }, (_, i) => file.subarray(i * size, (i + 1) * size))
          same(await walk(pieces, { chunk }))
        }
      }
    })

    it('is torn at the record in which it is cut, wherever that is', async () => {
      const starts = boundaries(await walk(file))
      for (const chunk of [128, 1 << 12])
        for (const size of offsets(file.length)) {
          const { error, offset } = await walk(file.subarray(0, size), { chunk })
          const start = starts.findLast(start => start <= size)
          expect(error, `${size} bytes`).toMatchObject({ kind: 'torn', code: 'rdb.truncated', offset: start })
          expect(offset).toBe(start)
        }
    })

    it('gives nothing but typed errors when bytes are changed', async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.tuple(fc.nat(file.length - 1), fc.nat(255)), { minLength: 1, maxLength: 3 }),
          fc.constantFrom(128, 4096),
          async (changes, chunk) => {
            const changed = Buffer.from(file)
            for (const [at, byte] of changes) changed[at] = byte
            if (changed.equals(file)) return
            const { error } = await walk(changed, { chunk }).catch(ignoreBadKeys)
            // Where the checksum is switched off, or its own bytes say so, much goes through.
            if (error !== undefined) expect(error.code).toMatch(/^rdb\.[a-z]+$/)
          },
        ),
        { numRuns: 60 },
      )
    })
  })
})

/** Keys are decoded on request; that error belongs to who asks. */
function ignoreBadKeys(error: unknown): { error: undefined | { code: string } } {
  expect(error).toMatchObject({ name: 'FormatError', code: 'rdb.lzf' })
  return { error: undefined }
}

describe('the layout of each type', () => {
  it.each(VALUES)('$type: $name', async value => {
    const { type } = value
    const { file, at, end } = around(value)
    const whole = await walk(file)
    expect(whole.error).toBeUndefined()
    expect(whole.entries.map(({ key }) => key)).toEqual(['before', 'key', 'after'])
    expect(whole.entries[1]).toMatchObject({ db: 2, type, offset: at, keyAt: at + 1, valueAt: at + 5, end })
    for (const chunk of [64, 4096])
      for (const pieces of everySplit(file)) {
        const { entries, error } = await walk(pieces, { chunk })
        expect(error).toBeUndefined()
        expect(entries).toEqual(whole.entries)
      }
    for (let size = at; size < end; size++)
      expect((await walk(file.subarray(0, size), { chunk: 64 })).error).toMatchObject({
        kind: 'torn',
        offset: at,
      })
  })

  it('has a value here for every type that is known', () => {
    for (const magic of ['REDIS', 'VALKEY'] as const)
      for (let type = 0; type < 242; type++)
        if (valueType(magic, type) !== undefined && (magic === 'REDIS' || type > 21))
          expect(VALUES.some(value => value.type === type && value.header.startsWith(magic))).toBe(true)
  })
})

describe('what stands between entries', () => {
  it('is told with its span', async () => {
    const file = rdb(
      'REDIS0012',
      aux('redis-ver', '8.0.6'),
      [250, str('n'), [0xc1, 0x39, 5]],
      [247, len(2n ** 60n), len(2), len(1), MODULE_DATA],
      [245, str('#!lua name=l\n')],
      [246, str('l'), str('LUA'), len(1), str('text'), str('code')],
      [246, str('l'), str('LUA'), len(0), str('code')],
      select(3),
      [251, len(70), len(1)],
      [244, len(16383), len(2), len(0)],
      plain('a'),
    )
    const { records, error, entries } = await walk(file)
    expect(error).toBeUndefined()
    expect(entries).toMatchObject([{ db: 3, key: 'a' }])
    const text = (value: unknown) => Buffer.from(value as Uint8Array).toString()
    expect(
      records.map(record => (record.kind === 'aux' ? [text(record.name), text(record.value)] : record.kind)),
    ).toEqual([
      'header',
      ['redis-ver', '8.0.6'],
      ['n', '1337'],
      'module-aux',
      'function',
      'function-pre-release',
      'function-pre-release',
      'select',
      'resize',
      'slot',
      'end',
    ])
    expect(records[7]).toMatchObject({ db: 3 })
    expect(records[8]).toMatchObject({ keys: 70, expires: 1 })
    expect(records[9]).toMatchObject({ slot: 16383, keys: 2, expires: 0 })
    for (const pieces of everySplit(file))
      expect((await walk(pieces, { chunk: 64 })).records).toEqual(records)
  })

  it('tells opcodes apart that Redis and Valkey use for different things', async () => {
    const valkey = rdb('VALKEY080', [243, str('A'.repeat(40)), len(1), len(0), len(16383)], plain('a'))
    expect((await walk(valkey)).records[1]).toMatchObject({ kind: 'slot-import', offset: 9, end: 55 })
    const redis = rdb('REDIS0013', [243, len(1), Buffer.from('CLAS'), MODULE_DATA], plain('a'))
    const { entries, records } = await walk(redis)
    expect(records.map(({ kind }) => kind)).toEqual(['header', 'end'])
    expect(entries).toMatchObject([{ offset: 9, keyAt: redis.length - 9 - 8, key: 'a' }])
    for (const pieces of everySplit(redis))
      expect((await walk(pieces, { chunk: 64 })).entries).toEqual(entries)
  })

  it('takes metadata of any size for a part of the entry behind it', async () => {
    const metadata = [243, len(1), Buffer.from('CLAS'), [len(5), str('x'.repeat(5000)), len(0)]]
    const file = rdb('REDIS0013', plain('a'), metadata, plain('b'))
    const { entries, error } = await walk(file, { chunk: 1024 })
    expect(error).toBeUndefined()
    expect(entries[1]).toMatchObject({ key: 'b', offset: entries[0].end })
    const cut = await walk(file.subarray(0, entries[0].end + 3000), { chunk: 1024 })
    expect(cut.error).toMatchObject({ kind: 'torn', offset: entries[0].end })
  })

  it('refuses a compressed string that claims more than 2^53 bytes, wherever it is cut', async () => {
    const value = bytes(0xc3, len(3), len(2n ** 60n), 0, 97, 0)
    const file = rdb('REDIS0010', plain('a'), entry(0, 'k', value), plain('b'))
    for (const pieces of [[file], ...everySplit(file)])
      for (const chunk of [64, 1024])
        expect((await walk(pieces, { chunk })).error).toMatchObject({ code: 'rdb.length' })
  })

  it('says so when a window is too small for what must be there at once', () => {
    const window = new Window(new PieceSource([]), 27)
    expect(() => new RdbWalk(window)).toThrow(RangeError)
  })

  it('reads records of any form in the smallest windows', async () => {
    const numbers = [len(2n ** 40n), len(2n ** 40n), len(2n ** 40n)]
    const file = rdb('REDIS0012', bytes(244, numbers), bytes(244, numbers), plain('k'))
    for (const pieces of everySplit(file)) {
      const { records, entries, error } = await walk(pieces, { chunk: 28 })
      expect(error).toBeUndefined()
      expect(records.map(record => record.kind)).toEqual(['header', 'slot', 'slot', 'end'])
      expect(entries).toHaveLength(1)
    }
  })

  it('gives up the name and value of a field of 64 KiB, and goes on behind it', async () => {
    const file = rdb('REDIS0010', aux('lua', 'x'.repeat(1 << 16)), aux('a', 'b'), plain('k'))
    const { records, entries } = await walk(file, { chunk: 4096 })
    expect(records[1]).toMatchObject({ kind: 'aux', name: undefined, value: undefined, offset: 9 })
    expect(records[2]).toMatchObject({ kind: 'aux', offset: records[1].end })
    expect(entries).toHaveLength(1)
  })
})

describe('what is said about an entry before it', () => {
  const entries = async (...pieces: Piece[]) => {
    const walked = await walk(rdb('REDIS0012', ...pieces))
    expect(walked.error).toBeUndefined()
    return walked.entries
  }

  it('is part of the span, and belongs to one entry only', async () => {
    const [a, b] = await entries(
      252,
      int64(1_900_000_000_000),
      248,
      len(100),
      249,
      200,
      plain('a'),
      plain('b'),
    )
    expect(a).toMatchObject({ offset: 9, expireAtMs: 1_900_000_000_000n, idle: 100, frequency: 200 })
    expect(a.keyAt).toBe(9 + 9 + 3 + 2 + 1)
    expect(b).toMatchObject({ offset: a.end, expireAtMs: -1n, idle: -1, frequency: -1 })
  })

  it('keeps 64 bits of milliseconds, and takes seconds as signed 32 bits', async () => {
    const ms = (value: bigint) => entries(252, int64(value), plain('a')).then(([a]) => a.expireAtMs)
    for (const value of [2n ** 63n - 1n, -(2n ** 63n), 0n, -2n, 2n ** 53n + 1n])
      expect(await ms(value)).toBe(value)
    const s = (value: number) =>
      entries(253, int64(value).subarray(0, 4), plain('a')).then(([a]) => a.expireAtMs)
    expect(await s(2147483647)).toBe(2_147_483_647_000n)
    expect(await s(-2147483648)).toBe(-2_147_483_648_000n)
    expect(await s(1)).toBe(1000n)
  })

  it('waits for the next key as in servers, whatever comes in between', async () => {
    const [a] = await entries(252, int64(5), aux('x', 'y'), select(1), plain('a'))
    expect(a).toMatchObject({ db: 1, expireAtMs: 5n, idle: -1 })
    expect(a.offset).toBe(a.keyAt - 1)
  })
})

describe('keys', () => {
  it('are decoded whatever their encoding', async () => {
    const compressed = bytes(0xc3, len(5), len(14), Buffer.of(0, 97, 0xe0, 4, 0))
    const file = rdb(
      'REDIS0010',
      [0, compressed, str('v')],
      [0, 0xc0, 0x85, str('v')],
      [0, 0xc1, 0x39, 0x05, str('v')],
      [0, 0xc2, 0, 0, 0, 0x80, str('v')],
      [0, len(0), str('v')],
      [0, str('k'.repeat(100)), str('v')],
    )
    const expected = ['a'.repeat(14), '-123', '1337', '-2147483648', '', 'k'.repeat(100)]
    for (const pieces of everySplit(file)) {
      const { entries } = await walk(pieces, { chunk: 128 })
      expect(entries.map(({ key }) => key)).toEqual(expected)
    }
  })

  it('stay at hand when the value is larger than the window', async () => {
    const file = rdb('REDIS0010', entry(0, 'large', str('x'.repeat(300_000))), plain('small'))
    const { entries, error } = await walk(file, { chunk: 1024 })
    expect(error).toBeUndefined()
    expect(entries).toMatchObject([
      { key: 'large', offset: 9, valueAt: 16, end: 16 + 5 + 300_000 },
      { key: 'small' },
    ])
  })

  it('are given up when they are longer than 64 KiB and cut by a window', async () => {
    const long = 'k'.repeat(100_000)
    const before = entry(0, 'before', str('x'.repeat(100_000)))
    const file = rdb('REDIS0010', before, entry(4, long, len(1), str('f'), str('v')), plain('small'))
    const cut = await walk(file, { chunk: 4096 })
    const at = 9 + before.length
    expect(cut.entries).toMatchObject([
      { key: 'before', end: at },
      { key: undefined, keyAt: at + 1, valueAt: at + 1 + 5 + 100_000 },
      { key: 'small' },
    ])
    const whole = await walk(file, { chunk: 1 << 18 })
    expect(whole.entries[1]).toMatchObject({ key: long, end: cut.entries[1].end })
  })

  it('come in batches when there are many', async () => {
    const keys = Array.from({ length: 5000 }, (_, i) => `key:${i}`)
    const { entries, batches } = await walk(rdb('REDIS0010', ...keys.map(plain)), { chunk: 1 << 20 })
    expect(entries.map(({ key }) => key)).toEqual(keys)
    expect(batches).toBe(5)
  })
})

describe('the end', () => {
  const file = rdb('REDIS0010', plain('a'))

  it('leaves the window right behind the checksum', async () => {
    const tail = Buffer.from('*1\r\n$4\r\nPING\r\n')
    for (const pieces of everySplit(bytes(file, tail))) {
      const { behind, offset, error } = await walk(pieces)
      expect(error).toBeUndefined()
      expect(offset).toBe(file.length)
      expect(tail.indexOf(behind)).toBe(0)
    }
    expect((await walk(bytes(file, tail))).behind).toEqual(tail)
  })

  it('has a checksum from version 5 on', async () => {
    const wrong = rdb('REDIS0005', plain('a'))
    expect((await walk(wrong)).error).toBeUndefined()
    wrong[wrong.length - 1] ^= 1
    expect((await walk(wrong)).error?.code).toBe('rdb.checksum')
  })

  it('has no checksum before version 5', async () => {
    const old = rdb('REDIS0004', plain('a'))
    const { records, behind } = await walk(bytes(old, Buffer.alloc(8, 7)))
    expect(records.at(-1)).toEqual({
      kind: 'end',
      offset: old.length - 1,
      end: old.length,
      checksum: undefined,
    })
    expect(behind).toEqual(Buffer.alloc(8, 7))
  })

  it('tells a checksum of zero as it is, and takes it for none', async () => {
    const off = Buffer.from(file)
    off.fill(0, off.length - 8)
    const { records, error } = await walk(off)
    const end = records.at(-1)!
    expect(end.kind === 'end' && end.checksum).toMatchObject({ stored: 0n, offset: off.length - 8 })
    expect(end.kind === 'end' && end.checksum?.computed).not.toBe(0n)
    expect(error).toBeUndefined()
  })

  it('is told before the error when the checksum is wrong', async () => {
    const wrong = Buffer.from(file)
    wrong[15] ^= 1
    for (const pieces of everySplit(wrong)) {
      const { records, error, offset } = await walk(pieces)
      expect(records.at(-1)).toMatchObject({ kind: 'end', end: file.length })
      expect(error).toMatchObject({ kind: 'corrupt', code: 'rdb.checksum', offset: file.length - 8 })
      expect(offset).toBe(file.length)
    }
  })
})

describe('errors', () => {
  const cases: [what: string, code: string, offset: number, file: Buffer, message?: RegExp][] = [
    ['another file', 'rdb.magic', 0, Buffer.from('*1\r\n$4\r\nPING\r\n'), /starts with "\*1\\r\\n\$4/],
    ['lower case', 'rdb.magic', 0, rdb('redis0010')],
    ['version 0', 'rdb.version', 0, rdb('REDIS0000')],
    ['a version that is no number', 'rdb.version', 0, rdb('REDISabcd')],
    ['a version of the future', 'rdb.version', 0, rdb('REDIS0099'), /1 to 15/],
    ["Redis' version under Valkey's magic", 'rdb.version', 0, rdb('VALKEY011')],
    ["Valkey's version under Redis' magic", 'rdb.version', 0, rdb('REDIS0080')],
    [
      'an unknown type',
      'rdb.type',
      17,
      rdb('REDIS0012', plain(''), [77, str('user:1'), str('v')]),
      /77.*key "user:1"/,
    ],
    ['an unknown type that is cut', 'rdb.type', 9, rdb('REDIS0012', 77, len(2n ** 40n)), /77/],
    ['a type of the other family', 'rdb.type', 9, rdb('VALKEY080', entry(24, 'k', int64(0))), /24.*key "k"/],
    ['a type between', 'rdb.type', 9, rdb('REDIS0012', entry(8, 'k', str('v')))],
    ['modules before their release', 'rdb.type', 9, rdb('REDIS0008', entry(6, 'k', len(1))), /4\.0/],
    ['an unknown opcode', 'rdb.opcode', 9, rdb('VALKEY081', 242, plain('a')), /242/],
    [
      'a byte that starts no length',
      'rdb.length',
      12,
      rdb('REDIS0012', entry(0, 'k', 0x82)),
      /0x82.*key "k"/,
    ],
    ['the same in a list', 'rdb.length', 12, rdb('REDIS0012', entry(1, 'k', 0xbf)), /key "k"/],
    ['the same in a key', 'rdb.length', 10, rdb('REDIS0012', 0, 0xa0)],
    ['the same in a database', 'rdb.length', 10, rdb('REDIS0012', 254, 0x90)],
    ['the same in a compressed string', 'rdb.length', 14, rdb('REDIS0012', entry(0, 'k', 0xc3, 1, 0x83))],
    [
      'a size beyond 2^53',
      'rdb.length',
      12,
      rdb('REDIS0012', entry(0, 'k', len(2n ** 63n))),
      /9223372036854775808/,
    ],
    ['a count beyond 2^53', 'rdb.length', 12, rdb('REDIS0012', entry(4, 'k', len(2n ** 53n)))],
    ['an unknown string encoding', 'rdb.string', 12, rdb('REDIS0012', entry(0, 'k', 0xc4)), /0xc4/],
    ['the same in a list', 'rdb.string', 13, rdb('REDIS0012', entry(1, 'k', len(1), 0xff))],
    [
      'an unknown module opcode',
      'rdb.tag',
      13,
      rdb('REDIS0012', entry(7, 'k', len(1), len(6))),
      /6.*key "k"/,
    ],
    ['a module record without its tag', 'rdb.tag', 11, rdb('REDIS0012', 247, len(1), len(1), len(1), len(0))],
    [
      'an array element of no kind',
      'rdb.tag',
      15,
      rdb('REDIS0014', entry(28, 'k', len(1), len(0), len(0), len(4))),
    ],
    ['a template that does not exist', 'rdb.template', 12, rdb('REDIS0015', entry(32, 'k', len(7))), /7/],
    ['a database beyond the last', 'rdb.database', 9, rdb('REDIS0012', select(16)), /16/],
    [
      'a field that cannot be decompressed',
      'rdb.lzf',
      15,
      rdb('REDIS0012', 250, str('n'), 0xc3, len(3), len(10), Buffer.from('abc')),
    ],
  ]

  it.each(cases)('%s: %s at %i', async (_what, code, offset, file, message) => {
    for (const chunk of [64, 4096])
      for (const pieces of everySplit(file)) {
        const { error } = await walk(pieces, { chunk })
        expect(error).toMatchObject({ code, offset, kind: 'corrupt' })
        if (message !== undefined) expect(error!.message).toMatch(message)
      }
  })

  it('come after the entries before them, and tell where those end', async () => {
    const file = rdb('REDIS0012', plain('a'), plain('b'), [252, int64(5)], [77, str('c'), str('v')])
    for (const pieces of everySplit(file)) {
      const { entries, error, offset } = await walk(pieces)
      expect(entries.map(({ key }) => key)).toEqual(['a', 'b'])
      expect(offset).toBe(entries[1].end)
      expect(error?.offset).toBe(entries[1].end + 9)
    }
  })

  it('names the key in which the file is cut', async () => {
    const file = bytes(Buffer.from('REDIS0012'), entry(4, 'user:\n1', len(3), str('field')))
    for (const chunk of [64, 4096])
      expect((await walk(file, { chunk })).error?.message).toBe(
        'the RDB ends inside an entry of type hash-hashtable, after 16 bytes of it (key "user:\\n1")',
      )
  })

  it('counts databases as told', async () => {
    const file = rdb('REDIS0012', select(99), plain('a'))
    expect((await walk(file)).error?.code).toBe('rdb.database')
    expect((await walk(file, { databases: 100 })).entries[0].db).toBe(99)
  })

  it('takes a version as servers do, with blanks before it and anything behind', async () => {
    for (const header of ['REDIS  12', 'REDIS+012', 'REDIS12xx', 'VALKEY 80']) {
      const walked = await walk(rdb(header, plain('a')))
      expect(walked.records[0]).toMatchObject({ version: header.startsWith('R') ? 12 : 80 })
    }
  })

  it('are all there is to random bytes', async () => {
    const headers = ['REDIS0012', 'REDIS0015', 'VALKEY080', 'REDIS0004', '']
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...headers),
        fc.oneof(
          fc.uint8Array({ maxLength: 400 }),
          // Types and small numbers more often than chance would have it.
          fc.array(fc.oneof(fc.nat(33), fc.integer({ min: 240, max: 255 }), fc.nat(255)), { maxLength: 400 }),
        ),
        fc.constantFrom(64, 4096),
        async (header, content, chunk) => {
          const file = bytes(Buffer.from(header), Uint8Array.from(content))
          const { error } = await walk(file, { chunk }).catch(ignoreBadKeys)
          if (error !== undefined) expect(error.code).toMatch(/^rdb\.[a-z]+$/)
        },
      ),
      { numRuns: 2000 },
    )
  })
})

/** `head`, then `size` bytes more, `filler` over and over, never more than a window of them in memory. */
function endless(head: Uint8Array, filler: Uint8Array, size: number): Source {
  const much = Buffer.alloc(filler.length << 16, filler)
  let left = size
  let begun = false
  return {
    name: 'endless',
    size: undefined,
    seekable: false,
    async read(target, from, to) {
      if (!begun) {
        begun = true
        target.set(head, from)
        return head.length
      }
      // Whole fillers only, so that each read goes on where the last one ended.
      const room = Math.min(to - from, left, much.length)
      const count = room - (room % filler.length)
      target.set(much.subarray(0, count), from)
      left -= count
      return count
    },
    readAt: async () => 0,
    grow: async () => false,
    close: async () => {},
  }
}

describe('memory', () => {
  const claims: [what: string, head: Buffer][] = [
    ['a string of 2^40 bytes', entry(0, 'k', len(2n ** 40n))],
    ['a compressed string of 2^40 bytes', entry(0, 'k', 0xc3, len(2n ** 40n), len(2n ** 41n))],
    ['a list of 2^40 elements', entry(1, 'k', len(2n ** 40n))],
    ['a hash of 2^40 fields', entry(4, 'k', len(2n ** 40n))],
    ['a stream of 2^40 nodes', entry(21, 'k', len(2n ** 40n))],
    ['a module value without an end', entry(7, 'k', len(1), len(5), str(''))],
    ['a key of 2^40 bytes', bytes(0, len(2n ** 40n))],
    ['a field of 2^40 bytes', bytes(250, str('n'), len(2n ** 40n))],
    ['a template of 2^40 names', bytes(242, len(1), len(2n ** 40n))],
  ]

  it.each(claims)('does not grow with %s', async (_what, head) => {
    // As an element: a string of five bytes; to a module: the tag of a string, and an empty one.
    const filler = head[0] === 7 ? Buffer.of(5, 0) : Buffer.of(5, 1, 2, 3, 4, 6)
    const before = process.memoryUsage()
    const source = endless(bytes(Buffer.from('REDIS0015'), head), filler, 12_000_000)
    const { error } = await walk(source, { chunk: 1 << 16 })
    const after = process.memoryUsage()
    expect(error).toMatchObject({ kind: 'torn', offset: 9 })
    expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(2_000_000)
    expect(after.heapUsed - before.heapUsed).toBeLessThan(30_000_000)
  })
})
