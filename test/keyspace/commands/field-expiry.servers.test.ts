import { describe, expect, it } from 'vitest'
import { CommandTable, idOf } from '../../../src/servers/commands.ts'
import { encodeCommand, foundServers } from '../../helpers/servers.ts'
import { expectSameAnswers } from '../answers.ts'
import { type Command, expectSame } from '../loading.ts'
import { generator } from '../replaying.ts'

/*
 * Fields that expire. Digests say at most whether a field does: when it does is asked for at the end.
 */

type Random = (below: number) => number

const pick = <T>(random: Random, items: readonly T[]): T => items[random(items.length)]
const aCase = (random: Random, word: string) => (random(2) === 0 ? word : word.toLowerCase())
const oneOf = (random: Random, chance: number, items: string[]) => (random(chance) === 0 ? items : [])
const key = (random: Random) =>
  random(30) === 0 ? pick(random, ['text', 'nothing', 'fields']) : `h${random(5)}`
const field = (random: Random) => (random(40) === 0 ? 'long '.repeat(60) : `f${random(40)}`)

function someFields(random: Random): string[] {
  return Array.from({ length: 1 + random(random(20) === 0 ? 60 : 4) }, () => field(random))
}

/** `FIELDS`, how many, and they: mostly so. */
function fields(random: Random, withValues = false): string[] {
  const names = someFields(random)
  const items = withValues ? names.flatMap(name => [name, `value ${random(100)}`]) : names
  const count =
    random(25) === 0
      ? pick(random, ['0', '-1', 'x', '', '9223372036854775807', '1', '01'])
      : String(names.length)
  if (random(40) === 0)
    return pick(random, [
      [count, ...items],
      ['FIELD', count, ...items],
      ['FIELDS', ...items],
    ])
  return [aCase(random, 'FIELDS'), count, ...items]
}

const NO_TIMES = ['x', '', '-1', '01', '1.5', '9223372036854775808', '-9223372036854775808']
/** The last that servers take, and the first that they do not, by unit. */
const EDGES = {
  1: ['70368744177663', '70368744177664', '9223372036854775807'],
  1000: ['70368744177', '70368744178', '9223372036854775', '9223372036854776', '9223372036854775807'],
}

const later = (random: Random, unit: number) => String(Math.floor((2e12 + random(1e9)) / unit))
const time = (random: Random, unit: number) =>
  random(20) === 0 ? pick(random, NO_TIMES) : later(random, unit)
const edge = (random: Random, unit: 1 | 1000) => pick(random, EDGES[unit])

function condition(random: Random): string[] {
  if (random(2) === 0) return []
  if (random(12) === 0)
    return pick(random, [['NX', 'XX'], ['GT', 'LT'], ['XX', 'GT'], ['x'], ['NX', 'NX'], ['XX', 'LT']])
  return [aCase(random, pick(random, ['NX', 'XX', 'GT', 'LT']))]
}

function when(random: Random): string[] {
  if (random(4) === 0) return []
  return pick(random, [
    ['PXAT', time(random, 1)],
    ['exat', time(random, 1000)],
    ['PXAT', edge(random, 1)],
    ['EXAT', edge(random, 1000)],
  ])
}

function setOptions(random: Random): string[] {
  const options = [
    ...when(random),
    ...oneOf(random, 4, [aCase(random, 'KEEPTTL')]),
    ...oneOf(random, 3, [aCase(random, pick(random, ['FNX', 'FXX']))]),
    ...oneOf(random, 8, [aCase(random, pick(random, ['NX', 'XX']))]),
    ...oneOf(random, 40, [pick(random, ['PERSIST', 'GET', 'FNX', 'FXX', 'PXAT', 'x'])]),
  ]
  return random(20) === 0 ? options.reverse() : options
}

function getOptions(random: Random): string[] {
  return [
    ...when(random),
    ...oneOf(random, 4, [aCase(random, 'PERSIST')]),
    ...oneOf(random, 40, [pick(random, ['KEEPTTL', 'FNX', 'PXAT', 'x'])]),
  ]
}

const COMMANDS: ((random: Random) => Command)[] = [
  r => ['HSET', key(r), ...someFields(r).flatMap(name => [name, String(r(100))])],
  r => ['HSET', key(r), ...someFields(r).flatMap(name => [name, String(r(100))])],
  r => ['HPEXPIREAT', key(r), time(r, 1), ...condition(r), ...fields(r)],
  r => ['HPEXPIREAT', key(r), time(r, 1), ...condition(r), ...fields(r)],
  r => ['hexpireat', key(r), time(r, 1000), ...condition(r), ...fields(r)],
  r => ['HPEXPIREAT', key(r), edge(r, 1), ...condition(r), ...fields(r)],
  r => ['HEXPIREAT', key(r), edge(r, 1000), ...condition(r), ...fields(r)],
  r => ['HPERSIST', key(r), ...fields(r)],
  r => ['HSETEX', key(r), ...setOptions(r), ...fields(r, true)],
  r => ['HSETEX', key(r), ...setOptions(r), ...fields(r, true)],
  r => ['HGETEX', key(r), ...getOptions(r), ...fields(r)],
  r => ['HGETDEL', key(r), ...fields(r)],
  r => ['HDEL', key(r), ...someFields(r)],
  r => ['HSETNX', key(r), field(r), 'new'],
  r => ['HINCRBY', key(r), `n${r(3)}`, '3'],
  r => (r(20) === 0 ? ['DEL', key(r)] : ['RENAME', key(r), key(r)]),
  r => ['COPY', key(r), key(r), 'REPLACE'],
  () => ['SET', 'text', 'x'],
]

const FIELD_EXPIRY = ['redis-8.0', 'valkey-9.1']
const all = foundServers()
const ROUNDS = process.env.AOFKIT_LONG ? 30 : 3

describe.each(all.filter(server => !FIELD_EXPIRY.includes(server.name)))('%s', server => {
  it.each(['HPEXPIREAT', 'HPERSIST', 'HSETEX', 'HGETEX', 'HGETDEL'])(
    'does not start on %s, which it does not know',
    async name => {
      const loaded = await server.load(encodeCommand([name, 'h', 'FIELDS', '1', 'f']))
      if (loaded.started) await loaded.stop()
      expect(loaded.started).toBe(false)
      expect(new CommandTable(server.name).lookup(Buffer.from(name), 0, name.length)).toBeLessThan(0)
    },
  )
})

describe.each(all.filter(server => FIELD_EXPIRY.includes(server.name)))('%s', server => {
  it.each(Array.from({ length: ROUNDS }, (_, i) => i + 1))(
    'has the same fields with the same times after random commands (seed %i)',
    async seed => {
      const random = generator(seed)
      const commands = Array.from({ length: 3000 }, () => pick(random, COMMANDS)(random))
      // With other numbers of arguments servers do not start.
      const table = new CommandTable(server.name)
      const wanted = commands.filter(([name, ...rest]) =>
        table.arityOk(idOf(String(name).toLowerCase()), rest.length + 1),
      )
      await expectSame(server, wanted)
      await expectSameAnswers(server, wanted)
    },
    120_000,
  )
})
