import { describe, it } from 'vitest'
import { foundServers } from '../../helpers/servers.ts'
import { type Command, expectSame } from '../loading.ts'
import { generator } from '../replaying.ts'

type Random = (below: number) => number

const pick = <T>(random: Random, items: readonly T[]): T => items[random(items.length)]
const times = (count: number, make: () => string[]) => Array.from({ length: count }, make).flat()

const number = (random: Random) =>
  pick(random, [String(random(50)), String(random(1000) / 8), `-${1 + random(9)}`, '1e3', 'inf', '-inf', '3'])
const text = (random: Random) =>
  pick(random, [`t${random(20)}`, `T${random(20)}`, 'ä', '_', String(random(100))])
// Not 1e400: what strtod says of it is taken for what it says of the next ones, too.
const weight = (random: Random) =>
  pick(random, [
    number(random),
    number(random),
    number(random),
    '',
    ...(random(60) === 0 ? ['x', '1 ', ' 1', '0x10'] : []),
  ])
const pattern = (random: Random) =>
  pick(random, ['w_*', 'h_*->f', 'h_*->g', 'w_*x', '*', '#', 'nosort', 'l*', 'h_*->', 'w_**', 'w_*->f'])
/** A list that has only numbers, one of texts, and sets and sorted sets of both. */
const source = (random: Random) =>
  pick(random, [
    'ln',
    'lt',
    'en',
    'et',
    'zn',
    'zt',
    'out',
    ...(random(20) === 0 ? ['w_1', 'h_1', 'missing'] : []),
  ])

function sort(random: Random): Command {
  const from = source(random)
  const options: string[][] = []
  const bySomething = random(2) === 0
  // Equal or missing texts come in the order of a set or a sorted set's table, which nobody knows.
  const by = bySomething
    ? pick(random, ['w_*', 'h_*->f', 'nosort', 'w_**', 'w_*->f', 'nothing_*'])
    : undefined
  if (by !== undefined) options.push(['BY', by])
  const ties = by !== undefined && !from.startsWith('l')
  if (random(2) === 0 && !ties) options.push(['ALPHA'])
  if (random(2) === 0) options.push([pick(random, ['ASC', 'DESC', 'desc'])])
  if (random(2) === 0) options.push(['LIMIT', String(random(12) - 2), String(random(12) - 2)])
  for (let i = random(6) - 3; i > 0; i--) options.push(['GET', pattern(random)])
  if (random(10) !== 0)
    options.push(['STORE', random(3) === 0 ? pick(random, ['out', from, 'w_3']) : `out${random(150)}`])
  if (random(60) === 0) options.push([pick(random, ['LIMIT', 'STORE', 'BY', 'x'])])
  options.sort(() => random(3) - 1)
  return [pick(random, ['SORT', 'sort']), from, ...options.flat()]
}

const COMMANDS: readonly ((random: Random) => Command)[] = [
  r => ['RPUSH', 'ln', ...times(1 + r(20), () => [number(r)])],
  r => ['RPUSH', 'lt', ...times(1 + r(20), () => [text(r)])],
  r => ['SADD', 'en', ...times(1 + r(10), () => [number(r)])],
  r => ['SADD', 'et', ...times(1 + r(10), () => [text(r)])],
  r => ['ZADD', 'zn', ...times(1 + r(10), () => [number(r), number(r)])],
  r => ['ZADD', 'zt', ...times(1 + r(10), () => [number(r), text(r)])],
  r => ['SET', `w_${pick(r, [number(r), text(r)])}`, weight(r)],
  r => ['HSET', `h_${pick(r, [number(r), text(r)])}`, 'f', weight(r), 'g', text(r)],
  r => ['DEL', pick(r, [source(r), `w_${number(r)}`, `w_${text(r)}`, `h_${text(r)}`])],
  r => ['LTRIM', pick(r, ['ln', 'lt']), '0', '60'],
  sort,
  sort,
  sort,
  sort,
  sort,
]

const ROUNDS = process.env.AOFKIT_LONG ? 40 : 2

describe.each(foundServers())('%s', server => {
  it.each(Array.from({ length: ROUNDS }, (_, i) => i + 1))(
    'sorts as the server does (seed %i)',
    async seed => {
      const random = generator(seed)
      await expectSame(
        server,
        Array.from({ length: 3000 }, () => pick(random, COMMANDS)(random)),
      )
    },
  )
})
