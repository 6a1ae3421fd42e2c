import { describe, expect, it } from 'vitest'
import { Id, Parsed, parseId } from '../../../src/keyspace/types/stream-id.ts'
import { argument } from '../replaying.ts'

const parsed = (text: string, options = {}) => {
  const id = new Id()
  const result = parseId(argument(text), id, options)
  return result === Parsed.Invalid
    ? undefined
    : `${id.ms}-${id.seq}${result === Parsed.WithoutSequence ? '*' : ''}`
}

const LARGEST = '18446744073709551615'

describe('the id of an entry', () => {
  it.each([
    ['0', '0-0'],
    ['5', '5-0'],
    ['1700000000000-12', '1700000000000-12'],
    [`${LARGEST}-${LARGEST}`, `${LARGEST}-${LARGEST}`],
    ['4294967296-4294967295', '4294967296-4294967295'],
    ['007-08', '7-8'],
    ['+7- 8', '7-8'],
    ['9--01', `9-${LARGEST}`],
    ['5\u0000x', '5-0'],
  ])('%j is %s', (text, id) => expect(parsed(text)).toBe(id))

  it.each([
    '',
    '-',
    '+',
    'x',
    '5-',
    '-5',
    '5--1',
    '1-2-3',
    '1.5',
    '1 ',
    '18446744073709551616',
    '5-*',
    '9'.repeat(128),
  ])('%j is none', text => expect(parsed(text)).toBeUndefined())

  it('may lack its sequence number, or be an end, where that is allowed', () => {
    expect(parsed('5-*', { star: true })).toBe('5-0*')
    expect(parsed('-', { ends: true })).toBe('0-0')
    expect(parsed('+', { ends: true })).toBe(`${LARGEST}-${LARGEST}`)
  })

  it('has a next one, and the last has none', () => {
    const next = (ms: bigint, seq: bigint) => {
      const id = new Id().of(ms, seq)
      return [id.increment(), id.ms, id.seq]
    }
    const most = 2n ** 64n - 1n
    expect(next(1n, 2n)).toEqual([true, 1n, 3n])
    expect(next(1n, 2n ** 32n - 1n)).toEqual([true, 1n, 2n ** 32n])
    expect(next(1n, most)).toEqual([true, 2n, 0n])
    expect(next(2n ** 32n - 1n, most)).toEqual([true, 2n ** 32n, 0n])
    expect(next(most, most)).toEqual([false, 0n, 0n])
  })

  it('compares without a sign', () => {
    const ids = [
      '0-0',
      '0-1',
      '0-2147483648',
      '0-4294967296',
      '1-0',
      '2147483648-0',
      `${LARGEST}-0`,
      `${LARGEST}-${LARGEST}`,
    ]
    const read = (text: string) => {
      const id = new Id()
      parseId(argument(text), id)
      return id
    }
    for (const [i, a] of ids.entries())
      for (const [j, b] of ids.entries()) expect(Math.sign(read(a).compare(read(b)))).toBe(Math.sign(i - j))
  })
})
