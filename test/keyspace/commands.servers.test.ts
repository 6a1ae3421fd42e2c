import { describe, expect, it } from 'vitest'
import type { ServerName } from '../../src/servers/servers.ts'
import { encodeCommand, foundServers, type Server } from '../helpers/servers.ts'
import { digestOf, generator, replay } from './replaying.ts'

/*
 * Commands with colliding keys and wrong types, as a log: a server that has loaded it and the keyspace must have the same
 * digest.
 */

type Random = (below: number) => number
const TYPES = ['s', 'n', 'l', 'h', 'e', 'z']

function key(random: Random, type: string): string {
  return `${random(15) === 0 ? TYPES[random(TYPES.length)] : type}${random(6)}${random(9) === 0 ? '-a key that is longer than a cell has room for' : ''}`
}

function text(random: Random): string {
  const kind = random(20)
  if (kind === 0) return ''
  if (kind === 1) return 'long '.repeat(random(400))
  if (kind === 2) return String(random(1e9) - 5e8)
  return `${'abcdefghijklmnopqrstuvwxyz'.slice(0, random(26))}${random(30)}`
}

const member = (random: Random) =>
  random(30) === 0 ? `${'m'.repeat(random(400))}${random(3)}` : `m${random(40)}`

function score(random: Random): string {
  const scores = [
    '0',
    '1',
    '1.5',
    '-3',
    '1e10',
    'inf',
    '-inf',
    '0.1',
    '+5',
    '1e400',
    'x',
    '3.14159265358979',
    '1e-7',
    '12345678901234567890',
    '.5',
    '5.',
    ' 1',
    '1 ',
  ]
  return random(3) === 0 ? scores[random(scores.length)] : String(random(100))
}

function integer(random: Random): string {
  const numbers = [
    '0',
    '1',
    '-1',
    '9223372036854775807',
    '-9223372036854775808',
    '9223372036854775808',
    '01',
    '1.0',
    '',
    '9007199254740993',
  ]
  return random(3) === 0 ? numbers[random(numbers.length)] : String(random(2000) - 1000)
}

function float(random: Random): string {
  const numbers = [
    '0.1',
    '-0.25',
    '1e5',
    '3',
    '5.0e3',
    'abc',
    '1e-20',
    '123456789.123456789',
    '-7.77',
    'inf',
    '1e30',
    '.5',
  ]
  return numbers[random(numbers.length)]
}

const several = (random: Random, make: (random: Random) => string[]) =>
  Array.from({ length: 1 + random(random(10) === 0 ? 200 : 4) }, () => make(random)).flat()

const time = (random: Random) =>
  random(12) === 0
    ? ['0', '-5', 'x', '9223372036854775807'][random(4)]
    : String(1_900_000_000_000 + random(1e9))

const COMMANDS: ((random: Random) => string[])[] = [
  r => ['SET', key(r, 's'), text(r)],
  r => ['SET', key(r, 's'), text(r), 'PXAT', time(r)],
  r => ['set', key(r, 's'), text(r), ['NX', 'XX', 'keepttl', 'GET'][r(4)], ...(r(3) === 0 ? ['XX'] : [])],
  r => ['SETNX', key(r, 's'), text(r)],
  r => ['MSET', ...several(r, q => [key(q, 's'), text(q)])],
  r => ['MSETNX', ...several(r, q => [key(q, 's'), text(q)])],
  r => ['GETSET', key(r, 's'), text(r)],
  r => ['GETDEL', key(r, 's')],
  r => ['GETEX', key(r, 's'), ...(r(2) === 0 ? ['PERSIST'] : ['PXAT', time(r)])],
  r => ['APPEND', key(r, 's'), text(r)],
  r => ['SETRANGE', key(r, 's'), String(r(r(5) === 0 ? 9000 : 40) - 1), text(r)],
  r => ['INCRBY', key(r, 'n'), integer(r)],
  r => ['DECRBY', key(r, 'n'), integer(r)],
  r => ['INCR', key(r, 'n')],
  r => ['DECR', key(r, 'n')],
  r => ['SET', key(r, 'n'), integer(r)],
  r => ['INCRBYFLOAT', key(r, 'n'), float(r)],
  r => ['DEL', ...several(r, q => [key(q, TYPES[q(6)])]).slice(0, 3)],
  r => ['UNLINK', key(r, TYPES[r(6)])],
  r => [
    'PEXPIREAT',
    key(r, TYPES[r(6)]),
    time(r),
    ...(r(3) === 0 ? [['NX', 'XX', 'GT', 'LT', 'nx'][r(5)]] : []),
  ],
  r => ['PERSIST', key(r, TYPES[r(6)])],
  r => ['RENAME', key(r, TYPES[r(6)]), key(r, TYPES[r(6)])],
  r => ['RENAMENX', key(r, TYPES[r(6)]), key(r, TYPES[r(6)])],
  r => ['MOVE', key(r, TYPES[r(6)]), String(r(4))],
  r => [
    'COPY',
    key(r, TYPES[r(6)]),
    key(r, TYPES[r(6)]),
    ...(r(2) === 0 ? ['REPLACE'] : []),
    ...(r(2) === 0 ? ['DB', String(r(18))] : []),
  ],
  r => (r(40) === 0 ? ['SWAPDB', String(r(4)), String(r(4))] : ['SELECT', String(r(3))]),
  r => (r(100) === 0 ? ['FLUSHALL'] : r(60) === 0 ? ['FLUSHDB'] : ['SELECT', '0']),
  r => ['HSET', key(r, 'h'), ...several(r, q => [member(q), text(q)])],
  r => ['HMSET', key(r, 'h'), ...several(r, q => [member(q), integer(q)])],
  r => ['HSETNX', key(r, 'h'), member(r), text(r)],
  r => ['HDEL', key(r, 'h'), ...several(r, q => [member(q)])],
  r => ['HINCRBY', key(r, 'h'), member(r), integer(r)],
  r => ['HINCRBYFLOAT', key(r, 'h'), member(r), float(r)],
  r => ['SADD', key(r, 'e'), ...several(r, q => [q(4) === 0 ? integer(q) : member(q)])],
  r => ['SREM', key(r, 'e'), ...several(r, q => [q(4) === 0 ? integer(q) : member(q)])],
  r => ['SMOVE', key(r, 'e'), key(r, 'e'), member(r)],
  r => [['RPUSH', 'LPUSH', 'RPUSHX', 'LPUSHX'][r(4)], key(r, 'l'), ...several(r, q => [text(q)])],
  r => ['RPUSH', key(r, 'l'), ...several(r, q => [member(q)])],
  r => [['LPOP', 'RPOP'][r(2)], key(r, 'l'), ...(r(2) === 0 ? [String(r(5) - 1)] : [])],
  r => ['LTRIM', key(r, 'l'), String(r(30) - 10), String(r(60) - 10)],
  r => ['LSET', key(r, 'l'), String(r(60) - 30), text(r)],
  r => ['LREM', key(r, 'l'), String(r(5) - 2), member(r)],
  r => ['LINSERT', key(r, 'l'), ['BEFORE', 'after', 'x'][r(3)], member(r), text(r)],
  r => ['LMOVE', key(r, 'l'), key(r, 'l'), ['LEFT', 'RIGHT'][r(2)], ['LEFT', 'RIGHT'][r(2)]],
  r => ['RPOPLPUSH', key(r, 'l'), key(r, 'l')],
  r => ['ZADD', key(r, 'z'), ...several(r, q => [score(q), member(q)])],
  r => [
    'ZADD',
    key(r, 'z'),
    ...[['NX'], ['XX'], ['GT'], ['LT'], ['XX', 'GT', 'CH'], ['NX', 'GT'], ['incr']][r(7)],
    ...several(r, q => [score(q), member(q)]),
  ],
  r => ['ZINCRBY', key(r, 'z'), score(r), member(r)],
  r => ['ZREM', key(r, 'z'), ...several(r, q => [member(q)])],
  r => [['ZPOPMIN', 'ZPOPMAX'][r(2)], key(r, 'z'), ...(r(2) === 0 ? [String(r(5))] : [])],
  r => ['ZREMRANGEBYRANK', key(r, 'z'), String(r(20) - 5), String(r(10) - 5)],
  r => [
    'ZREMRANGEBYSCORE',
    key(r, 'z'),
    `${r(3) === 0 ? '(' : ''}${score(r)}`,
    `${r(3) === 0 ? '(' : ''}${score(r)}`,
  ],
]

/** valkey 8.1.1 loses track of expiries in such logs, and fails one of its assertions sooner or later. */
function isFatal(record: readonly string[], server: ServerName): boolean {
  return server === 'valkey-8.1' && (record[0] === 'PEXPIREAT' || record.includes('PXAT'))
}

function randomLog(seed: number, commands: number, server: ServerName): Buffer {
  const random = generator(seed)
  const records = Array.from({ length: commands }, () => COMMANDS[random(COMMANDS.length)](random))
  return Buffer.concat(records.filter(record => !isFatal(record, server)).map(encodeCommand))
}

const ROUNDS = process.env.AOFKIT_LONG ? 40 : 4

describe.each(foundServers())('%s', server => {
  it.each(Array.from({ length: ROUNDS }, (_, i) => i + 1))(
    'has the same keys after a random log (seed %i)',
    async seed => {
      const log = randomLog(seed, 6000, server.name)
      const loaded = await server.load(log)
      try {
        expect(loaded.started, loaded.log).toBe(true)
        const digest = String(await loaded.query('DEBUG', 'DIGEST'))
        const { keyspace } = await replay(log, { server: server.name })
        if (digestOf(keyspace, server.name) !== digest) await explain(seed, server, 6000)
      } finally {
        await loaded.stop()
      }
    },
  )
})

/** Finds the shortest log of this seed whose digests differ. */
async function explain(seed: number, server: Server, most: number): Promise<never> {
  let good = 0
  let bad = most
  while (bad - good > 1) {
    const middle = (good + bad) >>> 1
    const log = randomLog(seed, middle, server.name)
    const loaded = await server.load(log)
    const digest = String(await loaded.query('DEBUG', 'DIGEST'))
    await loaded.stop()
    const { keyspace } = await replay(log, { server: server.name })
    if (digestOf(keyspace, server.name) === digest) good = middle
    else bad = middle
  }
  const last = randomLog(seed, bad, server.name).subarray(randomLog(seed, good, server.name).length)
  throw new Error(
    `seed ${seed}: differs after command ${bad}: ${JSON.stringify(last.toString('latin1').slice(0, 2000))}`,
  )
}
