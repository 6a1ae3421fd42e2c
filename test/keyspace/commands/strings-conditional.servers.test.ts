import { describe, it } from 'vitest'
import type { ServerName } from '../../../src/servers/servers.ts'
import { foundServers } from '../../helpers/servers.ts'
import { expectSameAnswers } from '../answers.ts'
import { type Command, expectSame } from '../loading.ts'
import { generator } from '../replaying.ts'

/*
 * All options of SET, GETEX and MSETEX, in any order, with right and wrong times. Relative ones count from the clock, and
 * are left out.
 */

type Random = (below: number) => number

const pick = <T>(random: Random, items: readonly T[]): T => items[random(items.length)]
const aCase = (random: Random, word: string) => (random(2) === 0 ? word : word.toLowerCase())
const key = (random: Random) => (random(15) === 0 ? pick(random, ['list', 'nothing']) : `s${random(6)}`)
const value = (random: Random) =>
  pick(random, ['a', 'b', '', '12', 'a longer value, which stands in the log', String(random(5))])

function time(random: Random, unit: number): string {
  if (random(8) === 0) {
    return pick(random, [
      ...['0', '-1', 'x', '', '01', '1.5', '9223372036854775807', '9223372036854775808', '9223372036854775'],
      '9223372036854776',
    ])
  }
  return String(Math.floor((2e12 + random(1e9)) / unit))
}

const when = (random: Random) =>
  random(2) === 0 ? [aCase(random, 'PXAT'), time(random, 1)] : [aCase(random, 'EXAT'), time(random, 1000)]

function options(random: Random, words: readonly string[]): string[] {
  const few = random(12) === 0 ? 4 : 2
  return Array.from({ length: random(few + 1) }, () => {
    const word = pick(random, [...words, 'AT'])
    if (word === 'AT') return when(random)
    return word.startsWith('IF') ? [aCase(random, word), value(random)] : [aCase(random, word)]
  }).flat()
}

const SET = ['NX', 'XX', 'GET', 'KEEPTTL']

function commandsOf(server: ServerName): ((random: Random) => Command)[] {
  const words = server.startsWith('valkey') ? [...SET, 'IFEQ', 'IFEQ'] : SET
  const junk = ['PERSIST', 'EXAT', 'x', 'PXAT']
  return [
    r => ['SET', key(r), value(r), ...options(r, words)],
    r => ['SET', key(r), value(r), ...options(r, words)],
    r => ['SET', key(r), value(r), ...options(r, words), ...(r(8) === 0 ? [pick(r, junk)] : [])],
    r => ['GETEX', key(r), ...options(r, ['PERSIST'])],
    r => ['GETEX', key(r), ...options(r, ['PERSIST', 'KEEPTTL', 'NX'])],
    r => ['SET', key(r), value(r), ...when(r)],
    r => ['GETDEL', key(r)],
    r => ['GETSET', key(r), value(r)],
    () => ['RPUSH', 'list', 'x'],
    ...(server === 'valkey-9.1' ? OF_VALKEY_9 : []),
  ]
}

function msetex(random: Random): string[] {
  const count = 1 + random(3)
  const pairs = Array.from({ length: count }, () => [key(random), value(random)]).flat()
  const given =
    random(15) === 0
      ? pick(random, ['0', '-1', 'x', '', '2147483648', '2', '9223372036854775807'])
      : String(count)
  return ['MSETEX', given, ...pairs, ...options(random, random(8) === 0 ? words9 : ['NX', 'XX', 'KEEPTTL'])]
}

const words9 = ['NX', 'XX', 'KEEPTTL', 'GET', 'IFEQ', 'PERSIST']
const OF_VALKEY_9: ((random: Random) => Command)[] = [msetex, msetex, r => ['DELIFEQ', key(r), value(r)]]

const ROUNDS = process.env.AOFKIT_LONG ? 30 : 2

describe.each(foundServers())('%s', server => {
  it.each(Array.from({ length: ROUNDS }, (_, i) => i + 1))(
    'has the same strings with the same times after random commands (seed %i)',
    async seed => {
      const random = generator(seed)
      const forms = commandsOf(server.name)
      // valkey 8.1.1 loses track of expiries.
      const commands = Array.from({ length: 3000 }, () => pick(random, forms)(random)).filter(
        command => server.name !== 'valkey-8.1' || !/AT/i.test(command.slice(2).join(' ')),
      )
      await expectSame(server, commands)
      await expectSameAnswers(server, commands)
    },
    120_000,
  )
})
