import { describe, it } from 'vitest'
import type { ServerName } from '../../../src/servers/servers.ts'
import { foundServers } from '../../helpers/servers.ts'
import { type Command, expectSame } from '../loading.ts'
import { generator } from '../replaying.ts'

type Random = (below: number) => number

const pick = <T>(random: Random, items: readonly T[]): T => items[random(items.length)]
const times = (count: number, make: () => string[]) => Array.from({ length: count }, make).flat()
const aCase = (random: Random, word: string) => (random(2) === 0 ? word : word.toLowerCase())

const key = (random: Random) => (random(30) === 0 ? pick(random, ['s', 'missing']) : `g${random(4)}`)
/** So many that most of what is stored is still there at the end, when it is compared. */
const result = (random: Random) => `d${random(150)}`
const member = (random: Random) => `m${random(300)}`

/** Near one of some towns, or anywhere, poles and date line included. */
function place(random: Random): string[] {
  if (random(60) === 0)
    return pick(random, [
      ['180', '85.05112878'],
      ['-180', '-85.05112878'],
      ['181', '0'],
      ['0', '86'],
      ['x', '0'],
      ['0', '0'],
    ])
  const [longitude, latitude, spread] = pick(random, [
    [13.361389, 38.115556, 0.5],
    [-122.4, 37.79, 0.01],
    [179.9, -36, 0.5],
    [0, 0, 2],
    [13.4, 38.1, 0],
    [20, 80, 9],
    [0, 0, 170],
  ])
  const at = (middle: number, most: number) =>
    Math.max(-most, Math.min(most, middle + ((random(2000001) - 1000000) / 1000000) * spread))
  return [String(at(longitude, 180)), String(at(latitude, 85))]
}

/** Of a polygon whose center is on the map: servers do not say what becomes of one whose center is not. */
const corner = (random: Random) => [
  String(random(100) - 50 + random(1000) / 1000),
  String(random(120) - 60 + random(1000) / 1000),
]

const number = (random: Random) =>
  pick(random, [
    String(random(5000)),
    String(random(1000) / 7),
    '0',
    '200',
    String(random(30000000)),
    ...(random(20) === 0 ? ['x', '-1', ''] : []),
  ])
const unit = (random: Random) =>
  aCase(random, pick(random, ['M', 'KM', 'FT', 'MI', 'KM', ...(random(30) === 0 ? ['YD'] : [])]))

function options(random: Random): string[][] {
  const given: string[][] = []
  if (random(2) === 0) given.push([aCase(random, pick(random, ['ASC', 'DESC']))])
  if (random(2) === 0)
    given.push([
      'COUNT',
      random(20) === 0 ? number(random) : String(1 + random(20)),
      ...(random(3) === 0 ? ['any'] : []),
    ])
  if (random(60) === 0) given.push([pick(random, ['ANY', 'WITHDIST', 'WITHCOORD', 'x', 'COUNT'])])
  return given
}

function shuffled(random: Random, given: string[][]): string[] {
  return given
    .map(option => ({ option, at: random(1000) }))
    .sort((a, b) => a.at - b.at)
    .flatMap(({ option }) => option)
}

/** Beyond 1,600 km the last digit of a distance may be another one. */
const near = (random: Random) => String(random(6400) / 8)

function search(random: Random, server: ServerName): Command {
  const given = options(random)
  const source = key(random)
  const target = random(3) === 0 ? source : random(9) === 0 ? 'g3' : result(random)
  const polygon = server === 'valkey-9.1' && random(3) === 0
  // The center of a polygon comes from an arc tangent, whose last digit may be another one.
  const byDistance = !polygon && random(3) === 0
  const size = byDistance ? near : number
  if (polygon) {
    const corners = 3 + random(4)
    given.push([
      'BYPOLYGON',
      random(40) === 0 ? number(random) : String(corners),
      ...times(corners, () => corner(random)),
    ])
  }
  if (!polygon || random(20) === 0)
    given.push(random(2) === 0 ? ['FROMMEMBER', member(random)] : ['FROMLONLAT', ...place(random)])
  if (!polygon || random(20) === 0) {
    given.push(
      random(2) === 0
        ? ['BYRADIUS', size(random), unit(random)]
        : ['BYBOX', size(random), size(random), unit(random)],
    )
  }
  if (byDistance) given.push([aCase(random, 'STOREDIST')])
  // Servers that check the number of arguments stop when there are fewer.
  if (random(40) === 0 && given.flat().length > 7) given.pop()
  while (given.flat().length < 5) given.push(['ASC'])
  return ['GEOSEARCHSTORE', target, source, ...shuffled(random, given)]
}

function radius(random: Random): Command {
  const given = options(random)
  const byDistance = random(2) === 0
  if (byDistance || random(5) !== 0)
    given.push([aCase(random, byDistance ? 'STOREDIST' : 'STORE'), random(9) === 0 ? 'g3' : result(random)])
  const byMember = random(2) === 0
  return [
    byMember ? 'GEORADIUSBYMEMBER' : 'GEORADIUS',
    key(random),
    ...(byMember ? [member(random)] : place(random)),
    byDistance ? near(random) : number(random),
    unit(random),
    ...shuffled(random, given),
  ]
}

type Maker = (random: Random, server: ServerName) => Command
const COMMANDS: readonly Maker[] = [
  r => ['GEOADD', key(r), ...times(1 + r(r(4) === 0 ? 200 : 5), () => [...place(r), member(r)])],
  r => [
    'GEOADD',
    key(r),
    ...shuffled(r, [['NX'], ['xx'], ['CH']].slice(r(3), 1 + r(3))),
    ...times(1 + r(5), () => [...place(r), member(r)]),
    ...(r(30) === 0 ? ['1'] : []),
  ],
  r => ['ZADD', key(r), pick(r, ['1', '-5', '4503599627370495', 'inf', '1.5', '1e16']), member(r)],
  r => ['ZREM', key(r), ...times(30, () => [member(r)])],
  r => ['PEXPIREAT', result(r), '2000000000000'],
  () => ['SET', 's', 'x'],
  search,
  search,
  search,
  radius,
  radius,
]

const ROUNDS = process.env.AOFKIT_LONG ? 40 : 2

describe.each(foundServers())('%s', server => {
  it.each(Array.from({ length: ROUNDS }, (_, i) => i + 1))(
    'searches places as the server does (seed %i)',
    async seed => {
      const random = generator(seed)
      await expectSame(
        server,
        Array.from({ length: 3000 }, () => pick(random, COMMANDS)(random, server.name)),
      )
    },
  )
})
