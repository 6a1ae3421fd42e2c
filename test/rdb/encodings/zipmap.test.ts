import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ZipmapReader } from '../../../src/rdb/encodings/zipmap.ts'
import { bytes, str } from '../build.ts'
import { damage, damaged, latin1, open, patched, payload, read, SERVERS } from './packed.ts'

const reader = new ZipmapReader()

/** As servers until 2.4 wrote them, `free` bytes behind each value. */
function zipmap(pairs: readonly (readonly [name: string, value: string])[], free = 0): Buffer {
  const length = (text: string) => {
    if (text.length < 254) return Buffer.of(text.length)
    const long = Buffer.alloc(5, 0xfe)
    long.writeUInt32LE(text.length, 1)
    return long
  }
  return bytes(
    Math.min(pairs.length, 254),
    pairs.map(([name, value]) => [
      ...[length(name), latin1(name), length(value), free, latin1(value), Buffer.alloc(free, 0xff)],
    ]),
    0xff,
  )
}

const text = fc.oneof(
  fc.string({ unit: 'binary-ascii', maxLength: 20 }),
  fc.constantFrom('', '1', 'x'.repeat(253), 'x'.repeat(254), 'x'.repeat(255), 'x'.repeat(70000)),
)
const pairs = fc.array(fc.tuple(text, text), { minLength: 1, maxLength: 10 })

describe('zipmaps', () => {
  it('give names and values in turn, without the free bytes', () => {
    fc.assert(
      fc.property(pairs, fc.nat(4), (all, free) => {
        const reading = read(reader, zipmap(all, free))
        expect(reading).toMatchObject({ elements: all.flat(), count: 2 * all.length, odd: [] })
        expect(reading.error).toBeUndefined()
      }),
    )
  })

  it('say where a name or value is', () => {
    const packed = zipmap([['name', 'value']], 2)
    expect(read(reader, packed, { offset: 100 }).offsets).toEqual([101, 106])
    expect(read(reader, packed, { offset: 100, plain: false }).offsets).toEqual([100, 100])
  })

  it('say no count from 254 pairs on', () => {
    for (const count of [253, 254, 300]) {
      const all = Array.from({ length: count }, (_, i) => [`name ${i}`, ''] as const)
      const reading = read(reader, zipmap(all))
      expect([reading.elements.length, reading.count, reading.odd]).toEqual([
        2 * count,
        count < 254 ? 2 * count : -1,
        [],
      ])
    }
  })

  const marked = bytes(1, 1, 0x61, 0xff, 44, 1, 0, 0, 0, Buffer.alloc(300, 'v'), 0xff)

  it('may begin a long length of a value with the end byte, as servers take it', () => {
    expect(read(reader, marked)).toMatchObject({ elements: ['a', 'v'.repeat(300)], odd: [] })
  })

  const sound = zipmap([
    ['a', '1'],
    ['bc', '300'],
  ])
  /** `02 01 'a' 01 00 '1' 02 'bc' 03 00 '300' ff`: each with code and offset, when it stands at 50. */
  const WRONG: [string, Uint8Array, string, number][] = [
    ['is empty', Buffer.of(), 'rdb.zipmap.size', 50],
    ['has no room for an end', Buffer.of(0xff), 'rdb.zipmap.size', 50],
    ['has another end byte', patched(sound, { [-1]: 0 }), 'rdb.zipmap.end', 50],
    ['has no fields', Buffer.of(0, 0xff), 'rdb.zipmap.empty', 50],
    ['has a name that leaves it', patched(sound, { 6: 50 }), 'rdb.zipmap.element', 56],
    ['has a name that reaches its end', patched(sound, { 6: 7 }), 'rdb.zipmap.element', 56],
    ['has a value that leaves it', patched(sound, { 9: 4 }), 'rdb.zipmap.element', 59],
    ['has free bytes that leave it', patched(sound, { 10: 1 }), 'rdb.zipmap.element', 59],
    ['has a name of 4 GiB', bytes(1, 0xfe, Buffer.alloc(5, 0xff)), 'rdb.zipmap.element', 51],
    ['ends inside a length', bytes(1, 0xfe, 0, 0, 0xff), 'rdb.zipmap.element', 51],
    ['ends before the number of free bytes', bytes(1, 1, 97, 0, 0xff), 'rdb.zipmap.element', 53],
    [
      'has a short name with a long length',
      bytes(1, 0xfe, 1, 0, 0, 0, 97, 1, 0, 98, 0xff),
      'rdb.zipmap.element',
      51,
    ],
  ]

  it.each(WRONG)('that %s: an error, at the offset of what is wrong', (_name, packed, code, offset) => {
    expect(read(reader, packed, { offset: 50 }).error).toEqual({ kind: 'corrupt', code, offset })
    expect(read(reader, packed, { offset: 50, plain: false }).error?.offset).toBe(50)
  })

  it('are told odd when their count is wrong, or something is behind the end', () => {
    const whole = ['a', '1', 'bc', '300']
    for (const count of [0, 1, 3, 255]) {
      const packed = patched(sound, { 0: count })
      const odd = [{ code: 'rdb.zipmap.count', offset: 50 }]
      expect(read(reader, packed, { offset: 50 })).toMatchObject({ elements: whole, odd })
      expect(read(reader, packed, { look: false })).toMatchObject({ elements: whole, odd: [] })
    }
    const behind = [{ code: 'rdb.zipmap.behind', offset: 50 + sound.length - 1 }]
    expect(read(reader, bytes(sound, 1, 2, 0xff), { offset: 50 })).toMatchObject({
      elements: whole,
      odd: behind,
    })
  })

  it('of arbitrary or damaged bytes give elements or a FormatError, whatever stands around them', () => {
    const check = (packed: Uint8Array) => {
      const first = read(reader, packed)
      expect(read(reader, packed, { around: 0 })).toEqual(first)
      expect(read(reader, packed, { around: 1 })).toEqual(first)
      expect(read(reader, packed, { look: false }).elements).toEqual(first.elements)
    }
    fc.assert(fc.property(fc.uint8Array({ maxLength: 100 }), check))
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 60 }).map(body => bytes(body, 0xff)),
        check,
      ),
      { numRuns: 500 },
    )
    fc.assert(
      fc.property(pairs, fc.nat(4), damage, (all, free, how) => check(damaged(zipmap(all, free), how))),
    )
  })

  describe.skipIf(SERVERS.length === 0)('on a real server', () => {
    it.each(SERVERS)('%s takes what we read and refuses what we refuse', async server => {
      const loaded = await open(server)
      const restore = async (packed: Uint8Array) =>
        String(await loaded.query('RESTORE', 'key', 0, payload(9, str(packed)), 'REPLACE'))
      try {
        const long = 'x'.repeat(254)
        expect(
          await restore(
            zipmap(
              [
                ['a', '1'],
                ['', long],
                [long, ''],
              ],
              3,
            ),
          ),
        ).toBe('OK')
        expect(String(await loaded.query('HGET', 'key', ''))).toBe(long)
        expect(String(await loaded.query('HGET', 'key', long))).toBe('')
        expect(await restore(marked)).toBe('OK')
        expect(await loaded.query('HSTRLEN', 'key', 'a')).toBe(300)
        for (const [name, packed] of WRONG) {
          if (packed.length > 0) expect(`${name}: ${await restore(packed)}`).toMatch(/Bad data format/)
        }
        // A wrong count is refused as well; what is behind the end is not.
        expect(await restore(patched(sound, { 0: 3 }))).toMatch(/Bad data format/)
        expect(await restore(bytes(sound, 1, 2, 0xff))).toBe('OK')
        expect(await loaded.query('HLEN', 'key')).toBe(2)
      } finally {
        await loaded.stop()
      }
    })
  })
})
