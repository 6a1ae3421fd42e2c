import { describe, expect, it } from 'vitest'
import { encodeCommand } from '../helpers/servers.ts'
import { argument, digestOf, replay } from './replaying.ts'

function log(...commands: string[]): Buffer {
  return Buffer.concat(commands.map(command => encodeCommand(command.split(' '))))
}

describe('a transaction', () => {
  it('counts when its EXEC is there', async () => {
    const { keyspace } = await replay(log('MULTI', 'SET a 1', 'SELECT 3', 'SET b 2', 'EXEC', 'SET c 3'))
    expect([keyspace.count(0), keyspace.count(3)]).toEqual([1, 2])
  })

  it('does not when the log ends before', async () => {
    const { keyspace, replayer } = await replay(log('SET a 1', 'MULTI', 'SET b 2', 'DEL a'))
    expect(keyspace.count(0)).toBe(1)
    expect(keyspace.find(argument('a'))).not.toBe(0)
    expect(replayer.open).toBe(log('SET a 1').length)
  })

  it('is carried out once, wherever the windows end', async () => {
    const commands: string[] = []
    for (let i = 0; i < 400; i++)
      commands.push('MULTI', `INCR n`, `RPUSH l ${i}`, `APPEND s ${'x'.repeat(i)}`, 'EXEC')
    const bytes = log(...commands)
    const whole = await replay(bytes)
    expect(whole.rejected).toEqual([])
    const digest = digestOf(whole.keyspace, 'valkey-9.1')
    for (const chunk of [100, 333, 1000, 4096]) {
      const pieces = await replay(bytes, { chunk })
      expect(pieces.rejected).toEqual([])
      expect(digestOf(pieces.keyspace, 'valkey-9.1')).toBe(digest)
    }
  })

  it('may be nested or end twice: that is refused, and replay goes on', async () => {
    const { rejected, keyspace } = await replay(log('MULTI', 'MULTI', 'SET a 1', 'EXEC', 'EXEC', 'SET b 1'))
    expect(rejected).toEqual(['multi: ERR MULTI calls can not be nested', 'exec: ERR EXEC without MULTI'])
    expect(keyspace.count(0)).toBe(2)
  })
})

it('comes to the same with records that are larger than the window', async () => {
  const long = 'v'.repeat(100_000)
  const bytes = log(
    `SET s ${long}`,
    `APPEND s ${long}`,
    `SETRANGE s 50000 ${long}`,
    `HSET h ${'f'.repeat(3000)} ${long} g ${long}`,
    `RPUSH l ${Array.from({ length: 300 }, (_, i) => `${i}${'i'.repeat(i * 3)}`).join(' ')} ${long}`,
    `LREM l 1 ${long}`,
    `SADD set ${'m'.repeat(5000)} ${long}`,
    `ZADD z 1 ${long} 2 ${'n'.repeat(300)}`,
    `ZINCRBY z 5 ${long}`,
  )
  const whole = await replay(bytes)
  expect(whole.rejected).toEqual([])
  const pieces = await replay(bytes, { chunk: 512 })
  expect(pieces.rejected).toEqual([])
  expect(digestOf(pieces.keyspace, 'valkey-9.1')).toBe(digestOf(whole.keyspace, 'valkey-9.1'))
})

it('reports what a server refuses, and goes on', async () => {
  const { rejected, keyspace } = await replay(
    log(
      'SET a x',
      'INCR a',
      'HSET a f v',
      'LPUSH a x',
      'SELECT 99',
      'SETEX a 0 v',
      'EXPIRE a x',
      'SET b 1',
      'RENAME c d',
      'GET a b c',
      'HSET h f',
    ),
  )
  expect(rejected).toEqual([
    'incr: ERR value is not an integer or out of range',
    'hset: WRONGTYPE Operation against a key holding the wrong kind of value',
    'lpush: WRONGTYPE Operation against a key holding the wrong kind of value',
    'select: ERR DB index is out of range',
    "setex: ERR invalid expire time in 'setex' command",
    'expire: ERR value is not an integer or out of range',
    'rename: ERR no such key',
    'get: ERR wrong number of arguments',
    'hset: ERR wrong number of arguments',
  ])
  expect(keyspace.size).toBe(2)
})

it('says which commands it does not know, and passes over those without effect', async () => {
  const { unsupported, rejected } = await replay(
    log('MY.SET k 1', 'GET k', 'PUBLISH c m', 'PING', 'SCRIPT LOAD x'),
  )
  expect(unsupported).toEqual(['MY.SET'])
  expect(rejected).toEqual([])
})

it('takes the time from annotations', async () => {
  const bytes = Buffer.concat([Buffer.from('#TS:1700000000\r\n'), log('SET a 1', 'EXPIRE a 10')])
  const { keyspace } = await replay(bytes)
  expect(keyspace.expiry(keyspace.find(argument('a')))).toBe(1_700_000_010_000n)
})

it('leaves no key without elements, whatever the last one fell to', async () => {
  const { keyspace, rejected } = await replay(
    log(
      'RPUSH l a b',
      'LPOP l 2',
      'SADD s a',
      'SREM s a',
      'HSET h f v',
      'HDEL h f',
      'ZADD z 1 a',
      'ZREM z a',
      'ZADD z XX 1 b',
      'RPUSH m a',
      'RPOPLPUSH m n',
      'SADD t a',
      'SMOVE t u a',
      'HSET g f x',
      'HINCRBY q f x',
      'LTRIM n 5 1',
      'SREM u a',
      'DEL g',
      'ZADD p 1 a 2 b',
      'ZPOPMIN p 9',
    ),
  )
  expect(rejected).toEqual(['hincrby: ERR value is not an integer or out of range'])
  expect(keyspace.size).toBe(0)
})

it('finds the right key when another of the same group took its cell', async () => {
  const commands: string[] = []
  for (let i = 0; i < 3000; i++)
    commands.push(
      `SET k${i % 7} ${i}`,
      `DEL k${(i * 3) % 7}`,
      `RENAME k${i % 5} k${(i + 1) % 7}`,
      `APPEND k${i % 3} z`,
    )
  const bytes = log(...commands)
  const all = await replay(bytes)
  // One by one there is nothing to look ahead to.
  const single = await replay(bytes, { chunk: 40 })
  expect(digestOf(all.keyspace, 'valkey-9.1')).toBe(digestOf(single.keyspace, 'valkey-9.1'))
})
