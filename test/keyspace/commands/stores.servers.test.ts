import { describe, it } from 'vitest'
import { foundServers } from '../../helpers/servers.ts'
import { type Command, expectSame } from '../loading.ts'
import { generator } from '../replaying.ts'

/*
 * Commands that read several keys and store what they compute, and those that pop from several keys, on colliding keys
 * of all types.
 */

type Random = (below: number) => number

const pick = <T>(random: Random, items: readonly T[]): T => items[random(items.length)]
const times = (count: number, make: () => string[]) => Array.from({ length: count }, make).flat()

const key = (random: Random, types = 'ez') =>
  `${random(25) === 0 ? pick(random, ['s', 'l', 'e', 'z', 'g', 'nothing']) : pick(random, [...types])}${random(5)}`
/** Mostly one of so many that what is stored there is still there at the end, when it is compared. */
const target = (random: Random, types?: string) => (random(3) === 0 ? key(random, types) : `o${random(150)}`)
const member = (random: Random) =>
  random(40) === 0
    ? `${'long '.repeat(1 + random(100))}${random(3)}`
    : `${random(3) === 0 ? '' : 'm'}${random(60)}`
const score = (random: Random) =>
  pick(random, [
    '1',
    '2.5',
    '-3',
    '1e10',
    'inf',
    '-inf',
    '0.1',
    '0.2',
    '0.3',
    '0.7',
    '3.14159',
    '1e-7',
    String(random(100)),
  ])
const weight = (random: Random) =>
  pick(random, [
    '1',
    '2',
    '0.1',
    '-1.5',
    'inf',
    '-inf',
    '3',
    '1e300',
    ...(random(8) === 0 ? ['x', '', '1 '] : []),
  ])
const count = (random: Random) =>
  pick(random, [
    '1',
    '2',
    '3',
    '5',
    '100',
    ...(random(3) === 0 ? ['0', '-1', 'x', '9223372036854775807', '9223372036854775808', ''] : []),
  ])
const aCase = (random: Random, word: string) => (random(2) === 0 ? word : word.toLowerCase())

function operation(random: Random): Command {
  const name = pick(random, ['ZUNIONSTORE', 'ZINTERSTORE', 'ZDIFFSTORE', 'zunionstore'])
  const keys = 1 + random(4)
  const options: string[] = []
  if (name !== 'ZDIFFSTORE' || random(9) === 0) {
    if (random(2) === 0)
      options.push(
        aCase(random, 'WEIGHTS'),
        ...times(random(12) === 0 ? keys - 1 : keys, () => [weight(random)]),
      )
    if (random(2) === 0)
      options.push(
        'AGGREGATE',
        aCase(random, pick(random, ['SUM', 'MIN', 'MAX', ...(random(8) === 0 ? ['AVG'] : [])])),
      )
  }
  return [
    name,
    target(random),
    random(20) === 0 ? count(random) : String(keys),
    ...times(keys, () => [key(random)]),
    ...options,
  ]
}

function bound(random: Random, by: string): string {
  if (by === 'BYLEX')
    return pick(random, [
      '-',
      '+',
      '[m1',
      '(m2',
      '[m3',
      '(5',
      '[',
      '(m',
      ...(random(9) === 0 ? ['x', '', '--'] : []),
    ])
  if (by === 'BYSCORE')
    return `${random(3) === 0 ? '(' : ''}${random(9) === 0 ? pick(random, ['x', '', '1e400', ' 1', '1 ', '0x10']) : score(random)}`
  return random(12) === 0 ? count(random) : String(random(30) - 15)
}

function range(random: Random): Command {
  const by = pick(random, ['', 'BYSCORE', 'BYLEX'])
  const source = by === 'BYLEX' ? `q${random(2)}` : key(random)
  const options = [...(by === '' ? [] : [aCase(random, by)]), ...(random(2) === 0 ? ['REV'] : [])]
  if (random(2) === 0) options.push('LIMIT', String(random(4)), String(random(8) - 1))
  if (random(30) === 0) options.push(pick(random, ['WITHSCORES', 'REV', 'BYLEX', 'LIMIT']))
  return [
    'ZRANGESTORE',
    random(4) === 0 ? source : target(random),
    source,
    bound(random, by),
    bound(random, by),
    ...options,
  ]
}

const COMMANDS: readonly ((random: Random) => Command)[] = [
  r => ['SADD', key(r, 'e'), ...times(1 + r(r(6) === 0 ? 300 : 6), () => [member(r)])],
  r => ['SREM', key(r, 'e'), ...times(1 + r(3), () => [member(r)])],
  r => ['ZADD', key(r, 'z'), ...times(1 + r(r(6) === 0 ? 300 : 6), () => [score(r), member(r)])],
  r => ['ZADD', `q${r(2)}`, ...times(1 + r(4), () => ['7', member(r)])],
  r => ['RPUSH', key(r, 'l'), ...times(1 + r(4), () => [member(r)])],
  r => ['SET', `s${r(5)}`, member(r)],
  r => ['PEXPIREAT', key(r), '2000000000000'],
  r => ['DEL', key(r, 'ezl')],
  r => [
    pick(r, ['SINTERSTORE', 'SUNIONSTORE', 'SDIFFSTORE']),
    target(r, 'e'),
    ...times(1 + r(4), () => [key(r, 'e')]),
  ],
  operation,
  operation,
  operation,
  range,
  range,
  r => [
    pick(r, ['BLPOP', 'BRPOP']),
    ...times(1 + r(3), () => [key(r, 'l')]),
    pick(r, ['0', '1.5', '-1', 'x', '10']),
  ],
  r => [
    pick(r, ['BZPOPMIN', 'BZPOPMAX']),
    ...times(1 + r(3), () => [key(r, 'z')]),
    pick(r, ['0', '1.5', '-1', 'x', '10']),
  ],
  r => {
    const list = r(2) === 0
    const keys = 1 + r(3)
    const blocks = r(2) === 0
    return [
      `${blocks ? 'B' : ''}${list ? 'L' : 'Z'}MPOP`,
      ...(blocks ? [pick(r, ['0', '0.1', '-1'])] : []),
      r(15) === 0 ? count(r) : String(keys),
      ...times(keys, () => [key(r, list ? 'l' : 'z')]),
      aCase(r, list ? pick(r, ['LEFT', 'RIGHT']) : pick(r, ['MIN', 'MAX'])),
      ...(r(2) === 0 ? [aCase(r, 'COUNT'), count(r)] : []),
      ...(r(20) === 0 ? ['COUNT', '1'] : []),
    ]
  },
  r => ['SADD', 'only', member(r)],
  () => ['SRANDMEMBER', 'only', '3'],
  r => ['SPOP', key(r, 'e'), '100000'],
]

const ROUNDS = process.env.AOFKIT_LONG ? 40 : 2

describe.each(foundServers())('%s', server => {
  it.each(Array.from({ length: ROUNDS }, (_, i) => i + 1))(
    'stores what it computes as the server does (seed %i)',
    async seed => {
      const random = generator(seed)
      await expectSame(
        server,
        Array.from({ length: 3000 }, () => pick(random, COMMANDS)(random)),
      )
    },
  )
})
