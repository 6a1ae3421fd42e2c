import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ZiplistReader, ZiplistWriter } from '../../../src/rdb/encodings/ziplist.ts'
import { Slice } from '../../../src/values/slice.ts'
import { bytes, str, ziplist } from '../build.ts'
import {
  BORDERS,
  damage,
  damaged,
  elements,
  latin1,
  open,
  patched,
  payload,
  read,
  SERVERS,
} from './packed.ts'

const reader = new ZiplistReader()
const writer = new ZiplistWriter()
const slice = new Slice()

function pack(texts: readonly string[]): Buffer {
  writer.reset()
  for (const text of texts) writer.append(slice.set(latin1(text)))
  return Buffer.from(writer.finish().copy())
}

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex')

/** Header and end around elements as they are; the last begins at `tail`. */
function around(tail: number, count: number, ...pieces: (Uint8Array | number)[]): Buffer {
  const packed = bytes([0, 0, 0, 0, 0, 0, 0, 0], count & 0xff, count >> 8, pieces, 0xff)
  packed.writeUInt32LE(packed.length, 0)
  packed.writeUInt32LE(tail, 4)
  return packed
}

/** An element, and how servers wrote it. */
const ENCODED: [string, string][] = [
  ['0', 'f1'],
  ['12', 'fd'],
  ['13', 'fe0d'],
  ['-1', 'feff'],
  ['127', 'fe7f'],
  ['-128', 'fe80'],
  ['128', 'c08000'],
  ['-129', 'c07fff'],
  ['32767', 'c0ff7f'],
  ['-32768', 'c00080'],
  ['32768', 'f0008000'],
  ['8388607', 'f0ffff7f'],
  ['-8388608', 'f0000080'],
  ['8388608', 'd000008000'],
  ['2147483647', 'd0ffffff7f'],
  ['-2147483648', 'd000000080'],
  ['2147483648', 'e00000008000000000'],
  ['9007199254740993', 'e00100000000002000'],
  ['9223372036854775807', 'e0ffffffffffffff7f'],
  ['-9223372036854775808', 'e00000000000000080'],
  ['9223372036854775808', '13 39323233333732303336383534373735383038'],
  ['01', '02 3031'],
  ['', '00'],
  ['x'.repeat(63), `3f ${'78'.repeat(63)}`],
  ['x'.repeat(64), `4040 ${'78'.repeat(64)}`],
  ['x'.repeat(16383), `7fff ${'78'.repeat(16383)}`],
  ['x'.repeat(16384), `8000004000 ${'78'.repeat(16384)}`],
]

describe('ziplists', () => {
  it.each(ENCODED.map(([text, code]) => [text.length > 30 ? `${text.length} bytes` : text, text, code]))(
    'encode and decode "%s" as servers did',
    (_name, text, code) => {
      const packed = around(10, 1, 0, hex(code))
      expect(pack([text]).equals(packed)).toBe(true)
      const { elements: found, offsets, odd, error } = read(reader, packed, { offset: 100 })
      expect({ found: found[0] === text, offsets, odd, error }).toEqual({
        found: true,
        offsets: [110],
        odd: [],
      })
    },
  )

  it('say the size of the element before in five bytes from 254 on', () => {
    for (const [length, before] of [
      [250, 'fd'],
      [251, 'fefe000000'],
      [252, 'feff000000'],
      [70000, 'fe76110100'],
    ] as const) {
      const text = 'x'.repeat(length)
      const packed = pack([text, 'y'])
      expect(packed.subarray(-before.length / 2 - 3).toString('hex')).toBe(`${before}0179ff`)
      const { elements: found, odd } = read(reader, packed)
      expect([found[0] === text, found[1], odd]).toEqual([true, 'y', []])
    }
  })

  it('come out as they went in, with all sizes said before', () => {
    fc.assert(
      fc.property(elements, texts => {
        writer.reset()
        for (const text of texts) {
          slice.set(latin1(`__${text}__`), 2, text.length + 2)
          const expected = writer.size + writer.elementSize(slice)
          writer.append(slice)
          expect(writer.size).toBe(expected)
        }
        const packed = writer.finish()
        expect(packed.length).toBe(writer.size)
        const reading = read(reader, packed.copy())
        expect(reading).toMatchObject({ elements: texts, count: texts.length, odd: [] })
        expect(reading.error).toBeUndefined()
      }),
    )
  })

  it('say no count from 65535 elements on', () => {
    for (const count of [65534, 65535, 70000]) {
      const packed = pack(Array(count).fill('1'))
      const { elements: found, count: promised, odd } = read(reader, packed)
      expect([found.length, promised, odd]).toEqual([count, count < 65535 ? count : -1, []])
    }
  })

  it.each([
    ['a size before in five bytes that needs one', around(13, 2, 0, 1, 0x61, hex('fe03000000 01 62'))],
    ['a text in a longer form than needed', around(17, 2, 0, hex('8000000001 61'), 7, 1, 0x62)],
    [
      'bits in the first byte of a long text, which mean nothing',
      around(17, 2, 0, hex('bf00000001 61'), 7, 1, 0x62),
    ],
  ])('may have %s', (_name, packed) => {
    expect(read(reader, packed)).toMatchObject({ elements: ['a', 'b'], odd: [] })
  })

  const sound = pack(['a', '1', 'bc', '300'])

  it.each<[string, Uint8Array, string, number]>([
    ['is empty', Buffer.of(), 'rdb.ziplist.size', 50],
    ['has no room for an end', sound.subarray(0, 10), 'rdb.ziplist.size', 50],
    ['says that it is larger', patched(sound, { 0: sound.length + 1 }), 'rdb.ziplist.size', 50],
    ['says that it is smaller', patched(sound, { 0: sound.length - 1 }), 'rdb.ziplist.size', 50],
    ['has another end byte', patched(sound, { [-1]: 0xfe }), 'rdb.ziplist.end', 50],
    ['has an unknown encoding', patched(sound, { 14: 0xff }), 'rdb.ziplist.element', 63],
    ['has another unknown encoding', patched(sound, { 14: 0xc1 }), 'rdb.ziplist.element', 63],
    ['has a text that leaves it', patched(sound, { 16: 0x3f }), 'rdb.ziplist.element', 65],
    ['has a longer text that leaves it', patched(sound, { 16: 0x7f }), 'rdb.ziplist.element', 65],
    ['has a text of 4 GiB', around(10, 1, 0, hex('80ffffffff')), 'rdb.ziplist.element', 60],
    ['has an integer that leaves it', patched(sound, { 20: 0xe0 }), 'rdb.ziplist.element', 69],
    ['ends inside the length of a text', around(10, 1, 0, 0x80, 0, 0), 'rdb.ziplist.element', 60],
    ['ends behind the size before', around(10, 1, 0), 'rdb.ziplist.element', 60],
    ['ends inside the size before', around(10, 1, 0xfe, 0, 0), 'rdb.ziplist.element', 60],
  ])('that %s: an error, at the offset of what is wrong', (_name, packed, code, offset) => {
    const { error, odd } = read(reader, packed, { offset: 50 })
    expect({ error, odd }).toEqual({ error: { kind: 'corrupt', code, offset }, odd: [] })
    expect(read(reader, packed, { offset: 50, plain: false }).error?.offset).toBe(50)
  })

  const all = ['a', '1', 'bc', '300']
  it.each<[string, Uint8Array, string[], [string, number][]]>([
    ['fewer elements', patched(sound, { 8: 3 }), all, [['count', 50]]],
    ['more elements', patched(sound, { 8: 5 }), all, [['count', 50]]],
    ['sizes before', patched(sound, { 13: 2, 15: 9 }), all, [['prevlen', 63]]],
    ['something before the first', patched(sound, { 10: 7 }), all, [['prevlen', 60]]],
    ['a last element', patched(sound, { 4: 15 }), all, [['tail', 50]]],
    ['a last element outside', patched(sound, { 7: 1 }), all, [['tail', 50]]],
    ['a last element of none outside', patched(ziplist(), { 4: 11 }), [], [['tail', 50]]],
    ['an end', around(10, 1, 0, 1, 0x61, 0xff, 3, 1), ['a'], [['behind', 63]]],
  ])('that promise %s that are not so: odd, and read all the same', (_name, packed, found, odd) => {
    const told = odd.map(([code, offset]) => ({ code: `rdb.ziplist.${code}`, offset }))
    const reading = read(reader, packed, { offset: 50 })
    expect(reading).toMatchObject({ elements: found, odd: told })
    expect(reading.error).toBeUndefined()
    expect(read(reader, packed, { look: false })).toMatchObject({ elements: found, odd: [] })
    const compressed = read(reader, packed, { offset: 50, plain: false })
    expect(compressed.odd).toEqual(told.map(({ code }) => ({ code, offset: 50 })))
    expect(compressed.offsets).toEqual(found.map(() => 50))
  })

  it('of arbitrary or damaged bytes give elements or a FormatError, whatever stands around them', () => {
    const check = (packed: Uint8Array) => {
      const first = read(reader, packed)
      expect(read(reader, packed, { around: 0 })).toEqual(first)
      expect(read(reader, packed, { around: 0xfe })).toEqual(first)
      expect(read(reader, packed, { look: false }).elements).toEqual(first.elements)
    }
    fc.assert(fc.property(fc.uint8Array({ maxLength: 100 }), check))
    const headed = fc.uint8Array({ maxLength: 100 }).map(body => around(10, body.length & 7, body))
    fc.assert(fc.property(headed, check), { numRuns: 500 })
    fc.assert(
      fc.property(elements, damage, fc.boolean(), (texts, how, sizeRight) => {
        const packed = damaged(pack(texts), how)
        if (sizeRight && packed.length > 10) {
          packed.writeUInt32LE(packed.length, 0)
          packed[packed.length - 1] = 0xff
        }
        check(packed)
      }),
      { numRuns: 500 },
    )
  })

  describe.skipIf(SERVERS.length === 0)('on a real server', () => {
    it.each(SERVERS)('%s takes what we pack, and looks at all of it', async server => {
      const loaded = await open(server)
      const restore = async (type: number, value: Uint8Array) =>
        String(await loaded.query('RESTORE', 'key', 0, payload(type, value), 'REPLACE'))
      try {
        const flat = BORDERS.flatMap((text, i) => [`field ${i}`, text])
        expect(await restore(13, str(pack(flat)))).toBe('OK')
        const fields = (await loaded.query(
          'HMGET',
          'key',
          ...BORDERS.map((_, i) => `field ${i}`),
        )) as Buffer[]
        expect(fields.findIndex((field, i) => field.toString('latin1') !== BORDERS[i])).toBe(-1)
        expect(await restore(10, str(pack(BORDERS)))).toBe('OK')
        const list = (await loaded.query('LRANGE', 'key', 0, -1)) as Buffer[]
        expect(list.findIndex((item, i) => item.toString('latin1') !== BORDERS[i])).toBe(-1)
        expect(list).toHaveLength(BORDERS.length)
        // What is odd here is refused there.
        const small = pack(['a', '1', 'bc', '300'])
        expect(await restore(13, str(small))).toBe('OK')
        for (const changes of [{ 8: 3 }, { 15: 9 }, { 10: 7 }, { 4: 15 }, { 7: 1 }]) {
          expect(read(reader, patched(small, changes)).odd).toHaveLength(1)
          expect(await restore(13, str(patched(small, changes)))).toMatch(/Bad data format/)
        }
      } finally {
        await loaded.stop()
      }
    })
  })
})
