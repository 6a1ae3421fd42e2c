import { describe, it } from 'vitest'
import { foundServers } from '../../helpers/servers.ts'
import { type Command, expectSame } from '../loading.ts'
import { generator } from '../replaying.ts'

/*
 * Bits of strings: short and long ones, numbers, and those that stand in the log; every type of field at every place.
 */

type Random = (below: number) => number

const pick = <T>(random: Random, items: readonly T[]): T => items[random(items.length)]
const aCase = (random: Random, word: string) => (random(2) === 0 ? word : word.toLowerCase())
const key = (random: Random) => `${random(25) === 0 ? 'l' : 'b'}${random(8)}`
const integer = (random: Random) =>
  pick(random, [
    String(random(300) - 150),
    String(random(300) - 150),
    String(random(2 ** 32)),
    '9223372036854775807',
    '-9223372036854775808',
    '4611686018427387904',
    '-1',
    ...(random(8) === 0 ? ['9223372036854775808', '1.0', '', 'x', '01'] : []),
  ])

function bit(random: Random): string {
  if (random(30) === 0) return pick(random, ['-1', '', 'x', '9223372036854775808', '1.5', '#3', '01'])
  return String(random(random(6) === 0 ? 100_000 : random(3) === 0 ? 2000 : 130))
}

function bytes(random: Random): Buffer {
  return Buffer.from(Array.from({ length: random(random(5) === 0 ? 9000 : 40) }, () => random(256)))
}

function fieldType(random: Random): string {
  if (random(40) === 0) return pick(random, ['u64', 'i65', 'i0', 'u0', 'x8', 'i', '', 'I8', 'i-1', 'i08'])
  const signed = random(2) === 0
  return `${signed ? 'i' : 'u'}${1 + random(signed ? 64 : 63)}`
}

function operation(random: Random): string[] {
  const place = () => (random(4) === 0 ? `#${random(30)}` : bit(random))
  switch (random(10)) {
    case 0:
      return [aCase(random, 'GET'), fieldType(random), place()]
    case 1:
    case 2:
      return [aCase(random, 'OVERFLOW'), aCase(random, pick(random, ['WRAP', 'SAT', 'FAIL']))]
    case 3:
    case 4:
    case 5:
      return [aCase(random, 'SET'), fieldType(random), place(), integer(random)]
    case 6:
      return random(10) === 0
        ? pick(random, [['OVERFLOW', 'x'], ['SET', 'u8'], ['nothing'], ['GET', 'i8']])
        : []
    default:
      return [aCase(random, 'INCRBY'), fieldType(random), place(), integer(random)]
  }
}

const several = (random: Random, make: (random: Random) => string[]) =>
  Array.from({ length: 1 + random(4) }, () => make(random)).flat()

const COMMANDS: ((random: Random) => Command)[] = [
  r => ['SETBIT', key(r), bit(r), r(30) === 0 ? pick(r, ['2', '-1', 'x', '01', '']) : String(r(2))],
  r => ['setbit', key(r), bit(r), '1'],
  r => ['BITFIELD', key(r), ...several(r, operation)],
  r => ['BITFIELD', key(r), ...several(r, operation)],
  r => ['bitfield', key(r), ...several(r, operation)],
  r => ['BITOP', aCase(r, pick(r, ['AND', 'OR', 'XOR', 'x'])), key(r), ...several(r, q => [key(q)])],
  r => ['BITOP', aCase(r, 'NOT'), ...several(r, q => [key(q)]).slice(0, 3), key(r)],
  r => ['SET', key(r), bytes(r)],
  r => ['SET', key(r), String(r(1000)), 'PXAT', '1900000000000'],
  r => ['INCRBY', key(r), '7'],
  r => ['APPEND', key(r), bytes(r)],
  r => ['SETRANGE', key(r), String(r(5000)), bytes(r)],
  r => ['DEL', key(r)],
  r => ['RPUSH', `l${r(8)}`, 'x'],
]

const ROUNDS = process.env.AOFKIT_LONG ? 30 : 2

describe.each(foundServers())('%s', server => {
  it.each(Array.from({ length: ROUNDS }, (_, i) => i + 1))(
    'has the same strings after random commands on bits (seed %i)',
    async seed => {
      const random = generator(seed)
      const commands = Array.from({ length: 5000 }, () => pick(random, COMMANDS)(random))
      // valkey 8.1.1 loses track of expiries.
      await expectSame(
        server,
        commands.filter(command => server.name !== 'valkey-8.1' || !command.includes('PXAT')),
      )
    },
    120_000,
  )
})
