import { describe, expect, it } from 'vitest'
import { SERVERS } from '../../../src/servers/servers.ts'
import { encodeCommand } from '../../helpers/servers.ts'
import type { Answer, FieldAnswer } from '../../rdb/answers.ts'
import { answersOf, replay } from '../replaying.ts'
import { argumentsOf, DOCUMENTED } from './documented.ts'

function shown(answer: Answer): string {
  return textOfValue(answer) + (answer.expireAtMs === undefined ? '' : `@${answer.expireAtMs}`)
}

function textOfValue(answer: Answer): string {
  switch (answer.kind) {
    case 'list':
      return `[${answer.value.join(' ')}]`
    case 'set':
      return `{${[...answer.value].sort().join(' ')}}`
    case 'zset':
      return `(${[...answer.value]
        .sort(byScore)
        .map(pair => pair.join(' '))
        .join(', ')})`
    case 'hash':
      return `<${[...answer.value].sort().map(fieldOf).join(' ')}>`
    default:
      return String(answer.value)
  }
}

function byScore([a, x]: readonly [string, string], [b, y]: readonly [string, string]): number {
  return Number(x) - Number(y) || (a < b ? -1 : 1)
}

function fieldOf([name, value, time]: FieldAnswer): string {
  return `${name}=${value}${time === undefined ? '' : `@${time}`}`
}

describe.each(Object.keys(DOCUMENTED))('the keyspace after commands for %s', family => {
  it.each(DOCUMENTED[family])(
    'is what is documented: $commands',
    async ({ commands, keys, refused = [], servers = SERVERS }) => {
      const log = Buffer.concat(commands.map(command => encodeCommand(argumentsOf(command))))
      for (const server of servers) {
        const { keyspace, rejected } = await replay(log, { server })
        const found = answersOf(keyspace).map(answer => [
          `${answer.db > 0 ? `${answer.db}:` : ''}${answer.key}`,
          shown(answer),
        ])
        expect(Object.fromEntries(found), server).toEqual(keys)
        expect(
          rejected.map((text, i) => text.slice(0, refused[i]?.length ?? 99)),
          server,
        ).toEqual(refused)
      }
    },
  )
})
