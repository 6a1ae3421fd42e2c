import { describe, expect, it } from 'vitest'
import { FormatError } from '../../src/bytes/errors.ts'
import { HashTemplates } from '../../src/rdb/encodings/template.ts'
import type { Magic } from '../../src/rdb/format.ts'
import { type ReadOptions, ValueReader } from '../../src/rdb/value-reader.ts'
import { bytes, double, int64, len, listpack, type Piece, str, ziplist } from './build.ts'
import { Calls } from './calls.ts'

const OFFSET = 1000

/** What a sink is told when the value comes in these pieces; the error last, when there is one. */
function read(type: number, pieces: readonly Uint8Array[], options: ReadOptions & { magic?: Magic } = {}) {
  const calls = new Calls()
  const reader = new ValueReader(new HashTemplates(), options)
  try {
    reader.begin(options.magic ?? 'REDIS', type, OFFSET, calls)
    for (const piece of pieces) {
      // In the middle of a buffer, as in a window.
      const around = Buffer.concat([Buffer.alloc(7, 0x41), piece, Buffer.alloc(9, 0x42)])
      reader.feed(around, 7, 7 + piece.length)
    }
    reader.finish()
  } catch (error) {
    if (!(error instanceof FormatError)) throw error
    calls.lines.push(`${error.code} at ${error.offset - OFFSET}`)
  }
  return calls.lines
}

/** The value whole, cut in two everywhere, and byte by byte. */
function* everySplit(value: Uint8Array): Generator<Uint8Array[]> {
  yield [value]
  for (let at = 1; at < value.length; at++) yield [value.subarray(0, at), value.subarray(at)]
  yield Array.from(value, byte => Uint8Array.of(byte))
}

const lzf = (size: number, ...packed: Piece[]): Buffer => {
  const body = bytes(...packed)
  return bytes(0xc3, len(body.length), len(size), body)
}
/** 300 times the letter a: one as it is, then one back, 264 and 35 bytes long. */
const MANY_A = lzf(300, 0, 97, 0xe0, 255, 0, 0xe0, 26, 0)

interface Case {
  name: string
  type: number
  magic?: Magic
  value: Piece[]
  calls: string[]
}

const CASES: Case[] = [
  { name: 'a string', type: 0, value: [str('text')], calls: ['begin string 1', 'string text'] },
  { name: 'an integer', type: 0, value: [0xc1, 0, 0x80], calls: ['begin string 1', 'string -32768'] },
  {
    name: 'a compressed string',
    type: 0,
    value: [MANY_A],
    calls: ['begin string 1', `string ${'a'.repeat(300)}`],
  },
  {
    name: 'a list',
    type: 1,
    value: [len(3), str('a'), str(''), 0xc0, 0x80],
    calls: ['begin list 3', 'item a', 'item ', 'item -128'],
  },
  { name: 'an empty list', type: 1, value: [len(0)], calls: ['begin list 0'] },
  {
    name: 'a set',
    type: 2,
    value: [len(2), str('a'), str('b')],
    calls: ['begin set 2', 'member a', 'member b'],
  },
  {
    name: 'a sorted set of texts',
    type: 3,
    value: [len(4), str('a'), 4, Buffer.from('-1.5'), str('b'), 253, str('c'), 254, str('d'), 255],
    calls: ['begin zset 4', 'scored a -1.5', 'scored b NaN', 'scored c Infinity', 'scored d -Infinity'],
  },
  {
    name: 'a sorted set',
    type: 5,
    value: [len(2), str('a'), double(0.1), str('b'), double(-0)],
    calls: ['begin zset 2', 'scored a 0.1', 'scored b -0'],
  },
  {
    name: 'a hash',
    type: 4,
    value: [len(2), str('f'), str('v'), MANY_A, MANY_A],
    calls: ['begin hash 2', 'field f v -1', `field ${'a'.repeat(300)} ${'a'.repeat(300)} -1`],
  },
  {
    name: 'a hash with expiries before the fields',
    type: 22,
    value: [len(2), len(2n ** 41n), str('f'), str('v'), len(0), str('g'), str('w')],
    calls: ['begin hash 2', `field f v ${2n ** 41n}`, 'field g w -1'],
  },
  {
    name: 'a hash with expiries behind the values',
    type: 22,
    magic: 'VALKEY',
    value: [len(2), str('f'), str('v'), int64(-1), str('g'), str('w'), int64(2n ** 60n)],
    calls: ['begin hash 2', 'field f v -1', `field g w ${2n ** 60n}`],
  },
  {
    name: 'a hash with expiries counted from the earliest',
    type: 24,
    value: [
      int64(5000),
      len(3),
      len(1),
      str('f'),
      str('v'),
      len(0),
      str('g'),
      str('w'),
      len(11),
      str('h'),
      str('x'),
    ],
    calls: ['begin hash 3', 'field f v 5000', 'field g w -1', 'field h x 5010'],
  },
  {
    name: 'a zipmap',
    type: 9,
    value: [str(bytes(1, 1, 97, 2, 0, 98, 99, 255))],
    calls: ['begin hash 1', 'field a bc -1'],
  },
  {
    name: 'a list as a ziplist',
    type: 10,
    value: [str(ziplist('a', 'b'))],
    calls: ['begin list 2', 'item a', 'item b'],
  },
  {
    name: 'an intset',
    type: 11,
    value: [str(bytes(2, 0, 0, 0, 2, 0, 0, 0, 0xfb, 0xff, 5, 0))],
    calls: ['begin set 2', 'member -5', 'member 5'],
  },
  {
    name: 'a sorted set as a ziplist',
    type: 12,
    value: [str(ziplist('a', '1.5'))],
    calls: ['begin zset 1', 'scored a 1.5'],
  },
  {
    name: 'a hash as a ziplist',
    type: 13,
    value: [str(ziplist('f', 'v'))],
    calls: ['begin hash 1', 'field f v -1'],
  },
  {
    name: 'a quicklist of ziplists',
    type: 14,
    value: [len(2), str(ziplist('a')), str(ziplist('b', 'c'))],
    calls: ['begin list -1', 'item a', 'item b', 'item c'],
  },
  {
    name: 'a hash as a listpack',
    type: 16,
    value: [str(listpack('f', '12'))],
    calls: ['begin hash 1', 'field f 12 -1'],
  },
  {
    name: 'a sorted set as a listpack',
    type: 17,
    value: [str(listpack('a', '7', 'b', 'inf', 'c', '-0'))],
    calls: ['begin zset 3', 'scored a 7', 'scored b Infinity', 'scored c -0'],
  },
  {
    name: 'a quicklist',
    type: 18,
    value: [len(3), len(2), str(listpack('a', 'b')), len(1), MANY_A, len(2), str(listpack('c'))],
    calls: ['begin list -1', 'item a', 'item b', `item ${'a'.repeat(300)}`, 'item c'],
  },
  {
    name: 'a set as a listpack',
    type: 20,
    value: [str(listpack('a', '5'))],
    calls: ['begin set 2', 'member a', 'member 5'],
  },
  {
    name: 'a listpack with expiries',
    type: 25,
    value: [int64(100), str(listpack('f', 'v', '100', 'g', 'w', '0'))],
    calls: ['begin hash 2', 'field f v 100', 'field g w -1'],
  },
  {
    name: 'a listpack with expiries of a release candidate',
    type: 23,
    value: [str(listpack('f', 'v', '100', 'g', 'w', '0'))],
    calls: ['begin hash 2', 'field f v 100', 'field g w -1'],
  },
  {
    name: "a module's value",
    type: 7,
    value: [len(2n ** 63n), len(2), len(5), len(0)],
    calls: ['begin module -1', `raw ${Buffer.from([...len(2n ** 63n), 2, 5, 0]).toString('latin1')}`],
  },
]

describe('a value', () => {
  for (const { name, type, magic = 'REDIS', value, calls } of CASES) {
    it(`that is ${name} gives its elements, however it is cut`, () => {
      for (const pieces of everySplit(bytes(value)))
        expect(read(type, pieces, { magic })).toEqual([...calls, 'end'])
    })
  }

  it('that ends too early is refused at the element that is not whole', () => {
    const value = bytes(len(2), str('abc'), str('def'))
    for (let size = 1; size < value.length; size++)
      expect(read(2, [value.subarray(0, size)]).at(-1)).toBe(`rdb.value.end at ${size < 5 ? 1 : 5}`)
    expect(read(2, [])).toEqual(['rdb.value.end at 0'])
  })

  it('that goes on behind its end is refused there', () => {
    const value = bytes(len(1), str('abc'), 7)
    for (const pieces of everySplit(value))
      expect(read(2, pieces)).toEqual(['begin set 1', 'member abc', 'rdb.value.end at 5'])
  })

  it('of a type that is not known is refused', () => {
    expect(read(99, [bytes(1)])).toEqual(['rdb.type at 0'])
  })

  it('whose packed elements do not pair up is refused', () => {
    expect(read(16, [str(listpack('f', 'v', 'g'))]).at(-1)).toMatch(/^rdb\.hash\.pairs at \d+$/)
    expect(read(17, [str(listpack('m'))]).at(-1)).toMatch(/^rdb\.zset\.pairs at \d+$/)
    expect(read(25, [bytes(int64(0), str(listpack('f', 'v')))]).at(-1)).toMatch(/^rdb\.hash\.pairs at \d+$/)
  })

  it('with an expiry of a field that is no integer is refused', () => {
    const value = bytes(int64(0), str(listpack('f', 'v', 'soon')))
    expect(read(25, [value]).at(-1)).toMatch(/^rdb\.hash\.expiry at \d+$/)
  })

  it('with a node of a kind that nobody writes is refused', () => {
    expect(read(18, [bytes(len(1), len(3), str('a'))])).toEqual([
      'begin list -1',
      'rdb.quicklist.container at 1',
    ])
  })

  it('with a node that is empty is odd', () => {
    const odd: string[] = []
    read(18, [bytes(len(1), len(2), str(listpack()))], {
      odd: (code, offset) => odd.push(`${code} ${offset - OFFSET}`),
    })
    expect(odd).toEqual(['rdb.quicklist.node 1'])
  })
})

describe('a string that is longer than wanted', () => {
  const LONG = str('x'.repeat(40))
  const cases: [string, number, Piece[], string[]][] = [
    ['is passed over as a value', 0, [LONG], ['begin string 1', 'string <40>']],
    ['is passed over when it is compressed', 0, [MANY_A], ['begin string 1', 'string <300>']],
    [
      'is passed over as a name',
      4,
      [len(2), LONG, str('v'), str('g'), str('w')],
      ['begin hash 2', 'field <40> v -1', 'field g w -1'],
    ],
    [
      'is passed over as a value of a field',
      4,
      [len(2), str('f'), LONG, str('g'), str('w')],
      ['begin hash 2', 'field f <40> -1', 'field g w -1'],
    ],
    [
      'is passed over twice in a field',
      4,
      [len(2), LONG, MANY_A, str('g'), str('w')],
      ['begin hash 2', 'field <40> <300> -1', 'field g w -1'],
    ],
    [
      'is passed over between others',
      1,
      [len(3), str('a'), LONG, str('b')],
      ['begin list 3', 'item a', 'item <40>', 'item b'],
    ],
    [
      'is passed over before a score',
      5,
      [len(2), LONG, double(1.5), str('b'), double(2)],
      ['begin zset 2', 'scored <40> 1.5', 'scored b 2'],
    ],
  ]
  for (const [name, type, value, calls] of cases) {
    it(`${name}, however it is cut`, () => {
      for (const pieces of everySplit(bytes(value)))
        expect(read(type, pieces, { most: 39 })).toEqual([...calls, 'end'])
    })
  }

  it('is no reason to forget where things are', () => {
    const value = bytes(len(4), LONG, LONG, str('a'), 0xc4)
    for (const pieces of everySplit(value))
      expect(read(2, pieces, { most: 39 }).at(-1)).toBe(`rdb.string at ${1 + 41 + 41 + 2}`)
  })

  it('is checked all the same when it is compressed', () => {
    const value = lzf(301, 0, 97, 0xe0, 255, 0, 0xe0, 26, 0)
    for (const pieces of everySplit(value)) expect(read(0, pieces, { most: 39 })).toEqual(['rdb.lzf at 4'])
  })

  it('is refused where no server packs as much', () => {
    const references = Buffer.alloc(3 * 4_200_000)
    for (let i = 0; i < references.length; i += 3) references.set([0xe0, 255, 0], i)
    const value = lzf(1 + 264 * 4_200_000, 0, 97, references)
    const pieces = Array.from({ length: 100 }, (_, i) => value.subarray(i * 130_000, (i + 1) * 130_000))
    expect(read(16, pieces, { most: 39 })).toEqual(['rdb.value.size at 0'])
    expect(read(16, pieces)).toEqual(['rdb.value.size at 0'])
  })

  it('never is the id of a node', () => {
    const node = listpack('1', '0', '1', 'field', '0', '2', '0', '0', 'value', '4')
    const value = bytes(len(1), str(Buffer.alloc(16, 1)), str(node), [1, 0, 0, 0])
    expect(read(15, [value], { most: 10 }).slice(1, 3)).toEqual(read(15, [value]).slice(1, 3))
  })

  it('never is one in which elements are packed', () => {
    const items = Array.from({ length: 30 }, (_, i) => `item ${i}`)
    expect(read(10, [str(ziplist(...items))], { most: 39 }).slice(1, -1)).toEqual(
      items.map(item => `item ${item}`),
    )
  })
})

describe('what could cost more than its bytes', () => {
  /** So many bytes of a list whose items are compressed and longer than wanted. */
  function longItems(items: number): Buffer {
    const { length } = MANY_A
    return bytes(len(items), Buffer.alloc(items * length, MANY_A))
  }

  it('is not copied again and again: strings that are passed over, many in one piece', () => {
    const calls = new Calls()
    const reader = new ValueReader(new HashTemplates(), { most: 39 })
    // Minutes, if each moved what stands behind it: longer than a test may take.
    const value = longItems(800_000)
    reader.begin('REDIS', 1, OFFSET, calls)
    reader.feed(value, 0, value.length)
    reader.finish()
    expect(calls.lines.length).toBe(800_002)
    expect(new Set(calls.lines.slice(1, -1))).toEqual(new Set(['item <300>']))
  })

  it('is refused before there is room for it: a string beyond 4 GiB', () => {
    expect(read(0, [bytes(len(5n << 30n), 120)])).toEqual(['rdb.value.size at 0'])
    expect(read(1, [bytes(len(1), 0xc3, len(64 << 20), len(5n << 30n))])).toEqual([
      'begin list 1',
      'rdb.value.size at 1',
    ])
  })

  it('tells the same of them in pieces of every size', () => {
    const value = bytes(
      len(6),
      str('f'),
      MANY_A,
      MANY_A,
      MANY_A,
      MANY_A,
      str('g'),
      str('x'.repeat(45)),
      str('v'),
    )
    const whole = read(4, [bytes(value, str('h'), MANY_A, MANY_A, str('i'))], { most: 39 })
    expect(whole.at(-1)).toBe('end')
    const all = bytes(value, str('h'), MANY_A, MANY_A, str('i'))
    for (const pieces of everySplit(all)) expect(read(4, pieces, { most: 39 })).toEqual(whole)
  })
})
