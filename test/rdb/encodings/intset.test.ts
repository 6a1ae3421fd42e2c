import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { integerIn } from '../../../src/bytes/decimal.ts'
import { IntsetReader, IntsetWriter } from '../../../src/rdb/encodings/intset.ts'
import { bytes, str } from '../build.ts'
import {
  BORDERS,
  damage,
  damaged,
  dump,
  latin1,
  open,
  patched,
  payload,
  read,
  SERVERS,
  written,
} from './packed.ts'

const reader = new IntsetReader()
const writer = new IntsetWriter()

/** As members are appended: a bigint only where a number would not do. */
const exact = (value: bigint) => (Number.isSafeInteger(Number(value)) ? Number(value) : value)

function pack(members: readonly (number | bigint)[]): Buffer {
  writer.reset()
  for (const member of members) writer.append(member)
  return Buffer.from(writer.finish().copy())
}

function intset(width: number, count: number, ...members: bigint[]): Buffer {
  const buffer = Buffer.alloc(8 + width * members.length)
  buffer.writeUInt32LE(width, 0)
  buffer.writeUInt32LE(count, 4)
  for (const [i, member] of members.entries()) {
    const all = Buffer.alloc(8)
    all.writeBigInt64LE(member)
    all.copy(buffer, 8 + i * width, 0, width)
  }
  return buffer
}

const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
const member = fc.oneof(
  fc.integer({ min: -40000, max: 40000 }).map(BigInt),
  fc.integer().map(BigInt),
  fc.maxSafeInteger().map(BigInt),
  int64,
)
const byValue = (a: bigint, b: bigint) => (a < b ? -1 : a > b ? 1 : 0)

describe('intsets', () => {
  it.each<[number, bigint[]]>([
    [2, [0n]],
    [2, [-32768n, 32767n]],
    [4, [-32769n]],
    [4, [32768n]],
    [4, [-2147483648n, 0n, 2147483647n]],
    [8, [-2147483649n]],
    [8, [2147483648n]],
    [8, [-9007199254740991n, 9007199254740991n]],
    [8, [-9007199254740993n, -9007199254740992n, 1n, 9007199254740992n, 9007199254740993n]],
    [8, [-9223372036854775808n, 9223372036854775807n]],
  ])('are %i bytes wide for %s, whatever order they come in', (width, members) => {
    const packed = intset(width, members.length, ...members)
    expect(pack(members.map(exact))).toEqual(packed)
    expect(pack(members.map(exact).reverse())).toEqual(packed)
    expect(writer.size).toBe(packed.length)
    const reading = read(reader, packed, { offset: 100 })
    expect(reading).toMatchObject({ elements: members.map(String), count: members.length, odd: [] })
    expect(reading.offsets).toEqual(members.map((_, i) => 108 + i * width))
    expect(read(reader, packed, { offset: 100, plain: false }).offsets).toEqual(members.map(() => 100))
  })

  it('come out sorted, with their size said before', () => {
    fc.assert(
      fc.property(fc.uniqueArray(member, { minLength: 1, maxLength: 200 }), members => {
        writer.reset()
        for (const value of members) writer.append(exact(value))
        const { size, count } = writer
        const packed = writer.finish()
        expect([count, size]).toEqual([members.length, packed.length])
        const reading = read(reader, packed.copy())
        expect(reading).toMatchObject({ elements: members.toSorted(byValue).map(String), odd: [] })
        expect(reading.error).toBeUndefined()
      }),
    )
  })

  it('forget what was written before a reset, and take more after they were finished', () => {
    writer.reset()
    writer.append(9007199254740993n)
    writer.reset()
    writer.append(5)
    writer.append(3)
    expect(Buffer.from(writer.finish().copy())).toEqual(intset(2, 2, 3n, 5n))
    writer.append(4)
    expect(Buffer.from(writer.finish().copy())).toEqual(intset(2, 3, 3n, 4n, 5n))
  })

  const sound = pack([1, 2, 3])
  const WRONG: [string, Uint8Array, string][] = [
    ['is empty', Buffer.of(), 'size'],
    ['has no room for its count', sound.subarray(0, 7), 'size'],
    ['has integers of 3 bytes', patched(sound, { 0: 3 }), 'encoding'],
    ['has integers of 16 MiB', patched(sound, { 3: 1 }), 'encoding'],
    ['promises more', patched(sound, { 4: 4 }), 'size'],
    ['promises fewer', patched(sound, { 4: 2 }), 'size'],
    ['promises 2^32 - 1', patched(sound, { 4: 255, 5: 255, 6: 255, 7: 255 }), 'size'],
    ['ends inside an integer', sound.subarray(0, -1), 'size'],
    ['has no members', intset(2, 0), 'empty'],
  ]

  it.each(WRONG)('that %s: an error, at the offset of the intset', (_name, packed, code) => {
    expect(read(reader, packed, { offset: 50 }).error).toEqual({
      kind: 'corrupt',
      code: `rdb.intset.${code}`,
      offset: 50,
    })
  })

  it.each<[number, bigint[], number | undefined]>([
    [2, [1n, 3n, 2n, 1n], 2],
    [2, [-1n, -2n], 1],
    [2, [5n, 5n], 1],
    [2, [-1n, 0n, 1n], undefined],
    [4, [-1n, -65536n], 1],
    [4, [-65536n, -1n, 0n, 65536n], undefined],
    [8, [9007199254740993n, 9007199254740992n], 1],
    [8, [9007199254740992n, 9007199254740993n], undefined],
    [8, [-4294967296n, -4294967295n, -1n, 2147483648n, 4294967295n, 4294967296n], undefined],
    [8, [4294967296n, 4294967295n], 1],
    [8, [-(2n ** 63n), -(2n ** 63n)], 1],
  ])('of %i bytes that do not rise are odd, once, and read as they stand: %s', (width, members, at) => {
    const packed = intset(width, members.length, ...members)
    const odd = at === undefined ? [] : [{ code: 'rdb.intset.order', offset: 58 + at * width }]
    expect(read(reader, packed, { offset: 50 })).toMatchObject({ elements: members.map(String), odd })
    expect(read(reader, packed, { look: false })).toMatchObject({ elements: members.map(String), odd: [] })
  })

  it('of arbitrary or damaged bytes give members or a FormatError, whatever stands around them', () => {
    const check = (packed: Uint8Array) => {
      const first = read(reader, packed)
      expect(read(reader, packed, { around: 0 })).toEqual(first)
      expect(read(reader, packed, { look: false }).elements).toEqual(first.elements)
    }
    fc.assert(fc.property(fc.uint8Array({ maxLength: 100 }), check))
    fc.assert(
      fc.property(fc.array(member, { minLength: 1, maxLength: 30 }), damage, (members, how) =>
        check(damaged(pack(members.map(exact)), how)),
      ),
    )
  })

  it('that servers wrote are written byte for byte the same', async () => {
    const all = await written(11)
    expect(all.length).toBeGreaterThan(3)
    for (const { name, packed } of all) {
      const { elements: members, odd, error } = read(reader, packed)
      expect({ name, odd, error }).toEqual({ name, odd: [] })
      expect(pack(members.map(text => exact(BigInt(text))).reverse()).equals(packed), name).toBe(true)
    }
  })

  describe.skipIf(SERVERS.length === 0)('on a real server', () => {
    it.each(SERVERS)('%s packs the same members as we do, and refuses what we refuse', async server => {
      const loaded = await open(server)
      const restore = async (packed: Uint8Array) =>
        String(await loaded.query('RESTORE', 'copy', 0, payload(11, str(packed)), 'REPLACE'))
      try {
        for (const bits of [15n, 31n, 53n, 63n]) {
          const members = BORDERS.flatMap(text => {
            const value = integerIn(latin1(text), 0, text.length)
            return value === undefined || BigInt.asIntN(Number(bits) + 1, BigInt(value)) !== BigInt(value)
              ? []
              : [value]
          })
          await loaded.query('DEL', 'key')
          await loaded.query('SADD', 'key', ...members.map(String))
          const { type, packed } = await dump(loaded, 'key')
          expect(type).toBe(11)
          expect(pack(members)).toEqual(packed)
          expect(await restore(pack(members))).toBe('OK')
        }
        for (const [name, packed] of WRONG)
          if (packed.length > 0) expect(`${name}: ${await restore(packed)}`).toMatch(/Bad data format/)
        // As `sanitize-dump-payload yes` has it; only valkey 9.1 looks at the order without being told to.
        expect(await restore(intset(2, 2, 2n, 1n))).toMatch(/Bad data format/)
        expect(await restore(intset(2, 2, 1n, 1n))).toMatch(/Bad data format/)
        expect(await restore(bytes(intset(4, 2, 1n, 2n)))).toBe('OK')
      } finally {
        await loaded.stop()
      }
    })

    it.each(SERVERS)('%s takes the same texts for integers as we do', async server => {
      const loaded = await open(server)
      try {
        for (const text of BORDERS.filter(text => text.length < 300)) {
          await loaded.query('DEL', 'key')
          await loaded.query('SADD', 'key', latin1(text))
          const isInteger = integerIn(latin1(text), 0, text.length) !== undefined
          expect([text, String(await loaded.query('OBJECT', 'ENCODING', 'key')) === 'intset']).toEqual([
            text,
            isInteger,
          ])
        }
      } finally {
        await loaded.stop()
      }
    })
  })
})

describe('integers in a text', () => {
  it('are found when they are written as they would be printed, and have 64 bits', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 66n), max: 2n ** 66n }), value => {
        const text = latin1(`7${value}7`)
        const fits = BigInt.asIntN(64, value) === value
        expect(integerIn(text, 1, text.length - 1)).toBe(fits ? exact(value) : undefined)
      }),
    )
  })

  it('are not found in anything else', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'0123456789-+. '), maxLength: 22 }), text => {
        const canonical = /^(0|-?[1-9]\d*)$/.test(text) && BigInt.asIntN(64, BigInt(text)) === BigInt(text)
        const found = integerIn(latin1(text), 0, text.length)
        expect(found).toBe(canonical ? exact(BigInt(text)) : undefined)
        // Never -0.
        if (found !== undefined) expect(String(found)).toBe(text)
      }),
      { numRuns: 1000 },
    )
  })
})
