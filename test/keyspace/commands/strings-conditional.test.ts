import { describe, expect, it } from 'vitest'
import { xxh3 } from '../../../src/bytes/xxh3.ts'
import { Slice } from '../../../src/values/slice.ts'
import { encodeCommand } from '../../helpers/servers.ts'
import { argument, replay, textOf } from '../replaying.ts'

/*
 * What only servers have that are newer than those of the differential tests.
 */

async function carriedOut(...commands: string[][]) {
  const log = Buffer.concat(commands.map(encodeCommand))
  const replayed = await replay(log, { server: 'redis-8.0', allow: ['DELEX', 'MSETEX', 'DIGEST', 'DELIFEQ'] })
  const { keyspace } = replayed
  return {
    ...replayed,
    get(key: string): string | undefined {
      const cell = keyspace.find(argument(key))
      const text = new Slice()
      if (cell !== 0) keyspace.strings.read(cell, text)
      return cell === 0 ? undefined : textOf(text)
    },
    expiry: (key: string) => keyspace.expiry(keyspace.find(argument(key))),
  }
}

const digestOf = (text: string) => xxh3(Buffer.from(text)).toString(16).padStart(16, '0')
const HELLO = digestOf('hello')

describe('SET with the conditions of Redis 8.4', () => {
  it.each([
    [['IFNE', 'other'], 'new'],
    [['IFNE', 'hello'], 'hello'],
    [['IFDEQ', HELLO], 'new'],
    [['ifdeq', HELLO.toUpperCase()], 'new'],
    [['IFDEQ', digestOf('other')], 'hello'],
    [['IFDNE', HELLO], 'hello'],
    [['IFDNE', digestOf('other')], 'new'],
    [['IFEQ', 'hello', 'GET', 'KEEPTTL'], 'new'],
  ])('%j leaves %s', async (options, value) => {
    const { get, rejected } = await carriedOut(['SET', 'k', 'hello'], ['SET', 'k', 'new', ...options])
    expect([get('k'), rejected]).toEqual([value, []])
  })

  it.each([
    ['IFEQ', 'x', undefined],
    ['IFNE', 'x', 'new'],
    ['IFDEQ', HELLO, undefined],
    ['IFDNE', HELLO, 'new'],
  ])('%s of a key that is not there', async (condition, operand, value) => {
    const { get } = await carriedOut(['SET', 'k', 'new', condition, operand])
    expect(get('k')).toBe(value)
  })

  it('refuses two conditions, and digests that are none', async () => {
    const { rejected, get } = await carriedOut(
      ['SET', 'k', 'hello'],
      ['SET', 'k', 'new', 'IFEQ', 'hello', 'IFNE', 'x'],
      ['SET', 'k', 'new', 'NX', 'IFDEQ', HELLO],
      ['SET', 'k', 'new', 'IFDEQ', HELLO, 'XX'],
      ['SET', 'k', 'new', 'IFDEQ'],
      ['SET', 'k', 'new', 'IFDEQ', 'abc'],
    )
    expect(rejected).toHaveLength(5)
    expect(get('k')).toBe('hello')
  })
})

describe('DELEX', () => {
  it.each([
    [[], undefined],
    [['IFEQ', 'hello'], undefined],
    [['IFEQ', 'x'], 'hello'],
    [['IFNE', 'x'], undefined],
    [['ifdeq', HELLO], undefined],
    [['IFDNE', HELLO], 'hello'],
  ])('%j leaves %s', async (condition, value) => {
    const { get, rejected } = await carriedOut(['SET', 'k', 'hello'], ['DELEX', 'k', ...condition])
    expect([get('k'), rejected]).toEqual([value, []])
  })

  it('deletes other types only without a condition', async () => {
    const { keyspace, rejected } = await carriedOut(
      ['RPUSH', 'l', 'x'],
      ['DELEX', 'l', 'IFEQ', 'x'],
      ['DELEX', 'missing', 'IFEQ', 'x'],
      ['DELEX', 'l', 'x'],
      ['DELEX', 'l', 'x', 'y'],
    )
    expect(rejected).toEqual([
      expect.stringContaining('WRONGTYPE'),
      expect.stringContaining('wrong number of arguments'),
      'delex: ERR syntax error',
    ])
    expect(keyspace.size).toBe(1)
    expect((await carriedOut(['RPUSH', 'l', 'x'], ['DELEX', 'l'])).keyspace.size).toBe(0)
  })
})

describe('MSETEX in a log of Redis', () => {
  it('sets all keys with one time, or none', async () => {
    const { get, expiry } = await carriedOut(
      ['MSETEX', '2', 'a', '1', 'b', '2', 'PXAT', '1900000000000'],
      ['MSETEX', '2', 'a', 'x', 'c', 'x', 'NX'],
      ['MSETEX', '2', 'a', 'x', 'c', 'x', 'XX', 'EXAT', '1'],
      ['MSETEX', '1', 'b', '3', 'XX', 'KEEPTTL'],
    )
    expect([get('a'), get('b'), get('c')]).toEqual(['1', '3', undefined])
    expect([expiry('a'), expiry('b')]).toEqual([1_900_000_000_000n, 1_900_000_000_000n])
  })
})
