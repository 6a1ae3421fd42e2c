import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  dividesServers,
  ListpackReader,
  ListpackWriter,
  listpackElementSize,
} from '../../../src/rdb/encodings/listpack.ts'
import { Slice } from '../../../src/values/slice.ts'
import { bytes, str } from '../build.ts'
import {
  BORDERS,
  damage,
  damaged,
  dump,
  elements,
  latin1,
  open,
  patched,
  payload,
  read,
  SERVERS,
  written,
} from './packed.ts'

const reader = new ListpackReader()
const writer = new ListpackWriter()
const slice = new Slice()

const narrow = new ListpackWriter({ narrow: true })

function pack(texts: readonly string[], by = writer): Buffer {
  by.reset()
  for (const text of texts) by.append(slice.set(latin1(text)))
  return Buffer.from(by.finish().copy())
}

/** Header and end around elements as they are. */
function around(count: number, ...pieces: (Uint8Array | number)[]): Buffer {
  const packed = bytes([0, 0, 0, 0], count & 0xff, count >> 8, pieces, 0xff)
  packed.writeUInt32LE(packed.length, 0)
  return packed
}

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex')

/** An element, and how servers write it. */
const ENCODED: [string, string][] = [
  ['0', '00 01'],
  ['127', '7f 01'],
  ['128', 'c080 02'],
  ['-1', 'dfff 02'],
  ['4095', 'cfff 02'],
  ['-4096', 'd000 02'],
  ['4096', 'f10010 03'],
  ['-4097', 'f1ffef 03'],
  ['32767', 'f1ff7f 03'],
  ['-32768', 'f10080 03'],
  ['32768', 'f2008000 04'],
  ['-8388608', 'f2000080 04'],
  ['8388607', 'f2ffff7f 04'],
  ['8388608', 'f300008000 05'],
  ['-2147483648', 'f300000080 05'],
  ['2147483647', 'f3ffffff7f 05'],
  ['2147483648', 'f40000008000000000 09'],
  ['-2147483649', 'f4ffffff7fffffffff 09'],
  ['9007199254740993', 'f40100000000002000 09'],
  ['9223372036854775807', 'f4ffffffffffffff7f 09'],
  ['-9223372036854775808', 'f40000000000000080 09'],
  ['9223372036854775808', '93 39323233333732303336383534373735383038 14'],
  ['-0', '82 2d30 03'],
  ['01', '82 3031 03'],
  ['', '80 01'],
  ['a', '81 61 02'],
  ['x'.repeat(63), `bf ${'78'.repeat(63)} 40`],
  ['x'.repeat(64), `e040 ${'78'.repeat(64)} 42`],
  ['x'.repeat(125), `e07d ${'78'.repeat(125)} 7f`],
  ['x'.repeat(126), `e07e ${'78'.repeat(126)} 0180`],
  ['x'.repeat(4095), `efff ${'78'.repeat(4095)} 2081`],
  ['x'.repeat(4096), `f000100000 ${'78'.repeat(4096)} 2085`],
  ['x'.repeat(16377), `f0f93f0000 ${'78'.repeat(16377)} 7ffe`],
  ['x'.repeat(16378), `f0fa3f0000 ${'78'.repeat(16378)} 00ffff`],
  ['x'.repeat(2097145), `f0f9ff1f00 ${'78'.repeat(2097145)} 7ffffe`],
  ['x'.repeat(2097146), `f0faff1f00 ${'78'.repeat(2097146)} 00ffffff`],
]

describe('listpacks', () => {
  it.each(ENCODED.map(([text, code]) => [text.length > 30 ? `${text.length} bytes` : text, text, code]))(
    'encode and decode "%s" as servers do',
    (_name, text, code) => {
      const packed = around(1, hex(code))
      expect(pack([text]).equals(packed)).toBe(true)
      const { elements: found, offsets, odd, error } = read(reader, packed, { offset: 100 })
      expect({ found: found[0] === text, offsets, odd, error }).toEqual({
        found: true,
        offsets: [106],
        odd: [],
      })
    },
  )

  it.each([
    [16377, '7ffe', '7ffe'],
    [16378, '00ffff', '7fff'],
    [16379, '018080', '018080'],
    [2097146, '00ffffff', '7fffff'],
  ])(
    'have two forms where a back-length is all ones, and both are read (%i bytes)',
    (length, code, shorter) => {
      const text = Buffer.alloc(length, 'x')
      const of = (by: ListpackWriter) => {
        by.reset()
        by.append(slice.set(text))
        by.append(slice.set(latin1('1')))
        return by.finish()
      }
      for (const [by, back, options] of [
        [writer, code, {}],
        [narrow, shorter, { narrow: true }],
      ] as const) {
        const { bytes: packed, end } = of(by)
        expect(Buffer.from(packed.subarray(6 + 5 + length, end)).toString('hex')).toBe(`${back}0101ff`)
        expect(listpackElementSize(slice.set(text), options)).toBe(5 + length + back.length / 2)
        const odd: string[] = []
        reader.open(of(by), 0, true, told => odd.push(told))
        expect([
          reader.next(slice),
          slice.length,
          reader.next(slice),
          slice.length,
          reader.next(slice),
        ]).toEqual([true, length, true, 1, false])
        expect(odd).toEqual([])
      }
      expect(dividesServers(slice.set(text))).toBe(code !== shorter)
    },
  )

  it('come out as they went in, with all sizes said before', () => {
    fc.assert(
      fc.property(elements, texts => {
        writer.reset()
        for (const text of texts) {
          slice.set(latin1(`__${text}__`), 2, text.length + 2)
          const expected = writer.size + listpackElementSize(slice)
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

  it('take an integer as what its digits would become', () => {
    for (const text of BORDERS.filter(text => /^(-?[1-9]\d*|0)$/.test(text) && text.length < 20)) {
      const exact = BigInt(text)
      if (BigInt.asIntN(64, exact) !== exact) continue
      writer.reset()
      writer.appendInteger(Number.isSafeInteger(Number(exact)) ? Number(exact) : exact)
      expect(Buffer.from(writer.finish().copy())).toEqual(pack([text]))
    }
  })

  it('say no count from 65535 elements on', () => {
    const few = pack(Array(65534).fill('1'))
    expect(few.readUInt16LE(4)).toBe(65534)
    expect(read(reader, few)).toMatchObject({ count: 65534, odd: [] })
    for (const count of [65535, 65536, 70000]) {
      const many = pack(Array(count).fill('1'))
      expect(many.readUInt16LE(4)).toBe(65535)
      const { elements: found, count: promised, odd } = read(reader, many)
      expect([found.length, promised, odd]).toEqual([count, -1, []])
    }
  })

  it('are read over in their longer forms, which servers take too', () => {
    const packed = around(2, hex('f10500 03'), hex('f003000000 616263 08'))
    expect(read(reader, packed)).toMatchObject({ elements: ['5', 'abc'], odd: [] })
  })

  const sound = pack(['a', '1', 'bc', '300'])

  it.each<[string, Uint8Array, string, number]>([
    ['is empty', Buffer.of(), 'rdb.listpack.size', 50],
    ['has no room for an end', sound.subarray(0, 6), 'rdb.listpack.size', 50],
    ['says that it is larger', patched(sound, { 0: sound.length + 1 }), 'rdb.listpack.size', 50],
    ['says that it is smaller', patched(sound, { 0: sound.length - 1 }), 'rdb.listpack.size', 50],
    ['says that it is 16 MiB larger', patched(sound, { 3: 1 }), 'rdb.listpack.size', 50],
    ['has another end byte', patched(sound, { [-1]: 0xfe }), 'rdb.listpack.end', 50],
    ['has an unknown encoding', patched(sound, { 9: 0xf5 }), 'rdb.listpack.element', 59],
    ['has a text that leaves it', patched(sound, { 11: 0xbf }), 'rdb.listpack.element', 61],
    ['has a long text that leaves it', patched(sound, { 11: 0xef }), 'rdb.listpack.element', 61],
    ['has an integer that leaves it', patched(sound, { 15: 0xf4 }), 'rdb.listpack.element', 65],
    ['ends inside the length of a text', around(1, 0xf0, 1, 0, 0), 'rdb.listpack.element', 56],
    ['ends inside a short integer', around(1, 0xc0), 'rdb.listpack.element', 56],
    ['ends before the back-length', around(1, 0x81, 0x61), 'rdb.listpack.element', 56],
    ['ends inside the back-length', around(1, 0xe0, 126, Buffer.alloc(127)), 'rdb.listpack.element', 56],
    ['has a text of 4 GiB', around(1, 0xf0, hex('ffffffff'), 0), 'rdb.listpack.element', 56],
  ])('that %s: an error, at the offset of what is wrong', (_name, packed, code, offset) => {
    const { error, odd } = read(reader, packed, { offset: 50 })
    expect({ error, odd }).toEqual({ error: { kind: 'corrupt', code, offset }, odd: [] })
    expect(read(reader, packed, { offset: 50, plain: false }).error?.offset).toBe(50)
  })

  it.each<[string, Uint8Array, string[], { code: string; offset: number }[]]>([
    ['fewer elements', patched(sound, { 4: 3 }), ['a', '1', 'bc', '300'], [{ code: 'count', offset: 50 }]],
    ['more elements', patched(sound, { 4: 5 }), ['a', '1', 'bc', '300'], [{ code: 'count', offset: 50 }]],
    [
      'back-lengths',
      patched(sound, { 8: 3, 14: 9 }),
      ['a', '1', 'bc', '300'],
      [{ code: 'backlen', offset: 56 }],
    ],
    [
      'back-lengths of six bytes',
      around(1, 0x86, Buffer.alloc(6, 0x80), 0x87),
      ['\x80'.repeat(6)],
      [{ code: 'backlen', offset: 56 }],
    ],
    [
      'back-lengths of seven bytes that add up',
      around(1, 0x86, 0, Buffer.alloc(5, 0x80), 0x87),
      [`\0${'\x80'.repeat(5)}`],
      [{ code: 'backlen', offset: 56 }],
    ],
    [
      'back-lengths in their first byte',
      around(1, 0xe0, 126, Buffer.alloc(126), 2, 0x80),
      ['\0'.repeat(126)],
      [{ code: 'backlen', offset: 56 }],
    ],
    [
      'back-lengths of two bytes',
      around(1, 0xe0, 126, Buffer.alloc(126), 1, 0x81),
      ['\0'.repeat(126)],
      [{ code: 'backlen', offset: 56 }],
    ],
    ['an end', around(1, 0x81, 0x61, 2, 0xff, 5, 1), ['a'], [{ code: 'behind', offset: 59 }]],
    [
      'an end and elements',
      around(2, 0x81, 0x61, 2, 0xff, 5, 1),
      ['a'],
      [
        { code: 'behind', offset: 59 },
        { code: 'count', offset: 50 },
      ],
    ],
  ])('that promise other %s: odd, and read all the same', (_name, packed, found, odd) => {
    const told = odd.map(({ code, offset }) => ({ code: `rdb.listpack.${code}`, offset }))
    const reading = read(reader, packed, { offset: 50 })
    expect(reading).toMatchObject({ elements: found, odd: told })
    expect(reading.error).toBeUndefined()
    expect(read(reader, packed, { look: false })).toMatchObject({ elements: found, odd: [] })
    const compressed = read(reader, packed, { offset: 50, plain: false })
    expect(compressed.odd).toEqual(told.map(({ code }) => ({ code, offset: 50 })))
    expect(compressed.offsets).toEqual(found.map(() => 50))
  })

  it('take back-lengths that servers can read, even if part of them is text', () => {
    // 0x83 goes on before itself, where it finds nothing to add.
    expect(read(reader, around(1, 0x82, 0x61, 0, 0x83))).toMatchObject({ elements: ['a\0'], odd: [] })
  })

  it('of arbitrary or damaged bytes give elements or a FormatError, whatever stands around them', () => {
    const check = (packed: Uint8Array) => {
      const first = read(reader, packed)
      expect(read(reader, packed, { around: 0 })).toEqual(first)
      expect(read(reader, packed, { around: 0x81 })).toEqual(first)
      expect(read(reader, packed, { look: false }).elements).toEqual(first.elements)
    }
    fc.assert(fc.property(fc.uint8Array({ maxLength: 100 }), check))
    const headed = fc.uint8Array({ maxLength: 100 }).map(body => around(body.length & 7, body))
    fc.assert(fc.property(headed, check), { numRuns: 500 })
    fc.assert(
      fc.property(elements, damage, fc.boolean(), (texts, how, sizeRight) => {
        const packed = damaged(pack(texts), how)
        if (sizeRight && packed.length > 6) {
          packed.writeUInt32LE(packed.length, 0)
          packed[packed.length - 1] = 0xff
        }
        check(packed)
      }),
      { numRuns: 500 },
    )
  })

  it.each([16, 17, 20])('that servers wrote are written byte for byte the same (type %i)', async type => {
    const all = await written(type)
    expect(all.length).toBeGreaterThan(2)
    for (const { name, packed } of all) {
      const { elements: texts, odd, error } = read(reader, packed)
      expect({ name, odd, error }).toEqual({ name, odd: [] })
      expect(pack(texts).equals(packed), name).toBe(true)
    }
  })

  describe.skipIf(SERVERS.length === 0)('on a real server', () => {
    it.each(SERVERS)('%s packs every border as we do, and takes it back', async server => {
      const loaded = await open(
        server,
        ...['--hash-max-listpack-value', '4mb', '--hash-max-listpack-entries', '1000'],
      )
      try {
        const pairs = BORDERS.map((text, i) => [`field ${i}`, text])
        await loaded.query('HSET', 'key', ...pairs.flat().map(latin1))
        const { type, packed } = await dump(loaded, 'key')
        expect(type).toBe(16)
        const { elements: texts, odd, error } = read(reader, packed)
        expect({ odd, error }).toEqual({ odd: [] })
        // Not as lists: a difference would be megabytes long.
        expect(texts.findIndex((text, i) => text !== pairs.flat()[i])).toBe(-1)
        const [own, other] = server.name === 'valkey-9.1' ? [narrow, writer] : [writer, narrow]
        expect(pack(pairs.flat(), own).equals(packed)).toBe(true)
        const restore = async (by: ListpackWriter, flat: string[]) =>
          String(await loaded.query('RESTORE', 'copy', 0, payload(16, str(pack(flat, by))), 'REPLACE'))
        expect(await restore(own, pairs.flat())).toBe('OK')
        expect(await restore(other, pairs.flat())).toMatch(/Bad data format/)
        const common = pairs.filter(([, text]) => !dividesServers(slice.set(latin1(text))))
        expect(await restore(other, common.flat())).toBe('OK')
      } finally {
        await loaded.stop()
      }
    })
  })
})
