import { expect, it } from 'vitest'
import { LongDouble } from '../../src/keyspace/long-double.ts'
import { Slice } from '../../src/values/slice.ts'

function parse(text: string): LongDouble | undefined {
  return LongDouble.parse(new Slice().set(Buffer.from(text)))
}

// Replies of redis 7.0.15 to INCRBYFLOAT.
it.each([
  ['0', '0.1', '0.1'],
  ['0.1', '0.2', '0.3'],
  ['10.50', '0.1', '10.6'],
  ['3', '1.0e2', '103'],
  ['1e17', '1', '100000000000000001'],
  ['-1', '1', '0'],
  ['0', '1e-18', '0'],
])('adds %s and %s to %s, with 64 bits and 17 places', (a, b, sum) => {
  expect(
    parse(a)
      ?.plus(parse(b) as LongDouble)
      ?.text(),
  ).toBe(sum)
})

it('reads nothing but numbers that can be had', () => {
  for (const text of ['', 'x', '1x', ' 1', '1 ', 'inf', 'nan', '1e5000', '--1', '.', 'e5'])
    expect(parse(text)).toBeUndefined()
})
