import { expect, it } from 'vitest'
import { encodeCommand } from '../../helpers/servers.ts'
import { answersOf, replay } from '../replaying.ts'

/** Lists after the commands, by key; what is refused. */
async function listsAfter(
  ...commands: string[]
): Promise<{ lists: Record<string, string>; rejected: string[] }> {
  const log = Buffer.concat(commands.map(command => encodeCommand(command.split(' '))))
  const { keyspace, rejected } = await replay(log, { allow: ['lmovem', 'blmovem'] })
  const lists = answersOf(keyspace).map(({ key, value }) => [key, String(value).replaceAll(',', ' ')])
  return { lists: Object.fromEntries(lists), rejected }
}

it.each([
  ['LEFT LEFT COUNT 2 OBO', '3 4', '2 1 a b'],
  ['LEFT LEFT COUNT 2 BULK', '3 4', '1 2 a b'],
  ['LEFT RIGHT COUNT 2 OBO', '3 4', 'a b 1 2'],
  ['LEFT RIGHT COUNT 2 BULK', '3 4', 'a b 1 2'],
  ['RIGHT LEFT COUNT 2 OBO', '1 2', '3 4 a b'],
  ['RIGHT LEFT COUNT 2 BULK', '1 2', '3 4 a b'],
  ['RIGHT RIGHT COUNT 2 OBO', '1 2', 'a b 4 3'],
  ['right right count 2 bulk', '1 2', 'a b 3 4'],
  ['LEFT RIGHT EXACTLY 3 BULK', '4', 'a b 1 2 3'],
  ['LEFT RIGHT EXACTLY 5 BULK', '1 2 3 4', 'a b'],
  ['LEFT RIGHT', '2 3 4', 'a b 1'],
])('LMOVEM s d %s leaves %s, and makes %s', async (options, source, target) => {
  const { lists } = await listsAfter('RPUSH s 1 2 3 4', 'RPUSH d a b', `LMOVEM s d ${options}`)
  expect(lists).toEqual({ s: source, d: target })
})

it('LMOVEM takes all that there are, and removes a list without items', async () => {
  const { lists } = await listsAfter(
    'RPUSH s 1 2',
    'LMOVEM s d LEFT RIGHT COUNT 9 BULK',
    'LMOVEM no d LEFT LEFT',
  )
  expect(lists).toEqual({ d: '1 2' })
})

it('LMOVEM within a list takes all items before it gives the first one back', async () => {
  const { lists } = await listsAfter(
    ...[
      'RPUSH k 1 2 3 4',
      'LMOVEM k k LEFT LEFT COUNT 2 OBO',
      'RPUSH m 1 2 3',
      'LMOVEM m m LEFT RIGHT COUNT 3 BULK',
    ],
  )
  expect(lists).toEqual({ k: '2 1 3 4', m: '1 2 3' })
})

it('BLMOVEM has a timeout before the number', async () => {
  const { lists, rejected } = await listsAfter('RPUSH s 1 2 3', 'BLMOVEM s d LEFT RIGHT 0 COUNT 2 BULK')
  expect(lists).toEqual({ s: '3', d: '1 2' })
  expect(rejected).toEqual([])
})

it('LMOVEM is refused for other types, without an order, and for no items', async () => {
  const { lists, rejected } = await listsAfter(
    ...[
      'RPUSH s 1',
      'SET x 1',
      'LMOVEM s x LEFT LEFT',
      'LMOVEM x s LEFT LEFT',
      'LMOVEM s d LEFT LEFT COUNT 1',
    ],
    ...['LMOVEM s d LEFT UP', 'LMOVEM s d LEFT LEFT COUNT 0 OBO', 'LMOVEM s d LEFT LEFT SOME 1 OBO'],
  )
  expect(lists.s).toBe('1')
  expect(rejected.map(text => text.split(' ')[1])).toEqual([
    'WRONGTYPE',
    'WRONGTYPE',
    'ERR',
    'ERR',
    'ERR',
    'ERR',
  ])
})
