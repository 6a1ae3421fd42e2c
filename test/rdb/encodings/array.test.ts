import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ArrayReader } from '../../../src/rdb/encodings/array.ts'
import { bytes, double, int64, len, type Piece, str } from '../build.ts'
import { VALUES } from '../values.ts'
import { type SteppingOptions, stepped } from './stepping.ts'

function read(value: Uint8Array, options?: SteppingOptions) {
  const reader = new ArrayReader()
  return stepped(
    odd => {
      reader.begin(odd)
      return reader
    },
    value,
    options,
  )
}

const array = (...slots: Piece[]): Buffer => bytes(len(slots.length), len(0), slots)
const number = (value: number): Piece => [len(2), double(value)]

describe('ArrayReader', () => {
  it('gives slots with their indexes, numbers as the texts that were put there', () => {
    const value = array(
      [len(0), len(0), str('longer than seven')],
      [len(1), len(3), str('short')],
      [len(2), len(1), int64(-12)],
      [len(3), len(1), int64(2n ** 61n - 1n)],
      [len(5), number(1.5)],
      [len(6), number(1)],
      [len(7), number(-0)],
      [len(8), number(4e8)],
      [len(9), number(0.00001)],
      [len(10), number(1e20)],
      [len(2n ** 64n - 2n), len(0), [0xc0, 7]],
    )
    const { lines, odd, end, taken } = read(value)
    expect([...odd, end, taken]).toEqual(['done', value.length])
    expect(lines).toEqual([
      ...['slot 0 longer than seven', 'slot 1 short', 'slot 2 -12', 'slot 3 2305843009213693951'],
      ...['slot 5 1.5', 'slot 6 1.0', 'slot 7 -0.0', 'slot 8 400000000.0', 'slot 9 0.00001'],
      'slot 10 1e+20',
      'slot 18446744073709551614 7',
    ])
  })

  it('says where the next insertion goes: behind the last', () => {
    const next = (last: number | bigint) => read(bytes(len(0), len(1), len(last))).lines
    expect(next(0)).toEqual(['next 1'])
    expect(next(2n ** 64n - 2n)).toEqual(['next 18446744073709551615'])
    // As servers have it that never inserted.
    expect(next(2n ** 64n - 1n)).toEqual([])
    expect(read(bytes(len(0), len(0)))).toMatchObject({ lines: [], end: 'done' })
  })

  it('refuses tags that are not known, and an index that no slot has', () => {
    expect(read(bytes(len(1), len(2)), { offset: 50 }).end).toBe('rdb.tag 51')
    expect(read(array([len(1), len(4), str('a')]), { offset: 50 }).end).toBe('rdb.tag 53')
    expect(read(array([len(2n ** 64n - 1n), len(0), str('a')])).end).toBe('rdb.array.index 2')
  })

  it('finds odd what servers do not write: indexes that do not rise, and no numbers', () => {
    const a: Piece = [len(0), str('a')]
    expect(read(array([len(1), a], [len(2), a])).odd).toEqual([])
    expect(read(array([len(1), a], [len(1), a])).odd).toEqual(['rdb.array.order 6'])
    expect(read(array([len(2), a], [len(1), a])).odd).toEqual(['rdb.array.order 6'])
    expect(read(array([len(1), number(Number.NaN)])).odd).toEqual(['rdb.array.number 4'])
  })

  it('tells the same wherever the bytes at hand end for a while, and wants more of what is cut', () => {
    for (const { encoded } of VALUES.filter(({ type }) => type === 28)) {
      const value = bytes(encoded)
      const whole = read(value)
      expect(whole.end).toBe('done')
      for (let cut = 0; cut <= value.length; cut++) expect(read(value, { cuts: [cut] })).toEqual(whole)
      for (let size = 0; size < value.length; size++) expect(read(value.subarray(0, size)).end).toBe('short')
    }
  })

  it('gives nothing but a FormatError for arbitrary bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.boolean(), (value, small) => {
        read(small ? value.map(byte => byte & 7) : value)
      }),
      { numRuns: 500 },
    )
  })
})
