import { describe, expect, it } from 'vitest'
import { encodeCommand, foundServers, type Reply } from '../../helpers/servers.ts'
import { type Command, expectSame } from '../loading.ts'
import { replay } from '../replaying.ts'

const library = (name: string, code = `redis.register_function('${name}_f', function() return 1 end)`) =>
  `#!lua name=${name}\n${code}`

async function listed(ask: (...args: string[]) => Promise<Reply>) {
  const libraries = (await ask('FUNCTION', 'LIST', 'WITHCODE')) as Reply[][]
  return libraries
    .map(entry => {
      const at = (field: string) => String(entry[entry.findIndex(item => String(item) === field) + 1])
      return `${at('library_name')}: ${at('library_code')}`
    })
    .sort()
}

describe.each(foundServers())('%s', server => {
  async function expectSameFunctions(commands: readonly Command[]): Promise<void> {
    await expectSame(server, commands)
    const log = Buffer.concat(commands.map(encodeCommand))
    const loaded = await server.load(log)
    try {
      const { keyspace } = await replay(log, { server: server.name })
      const ours = [...keyspace.functions.entries()].map(
        ([name, source]) => `${name}: ${Buffer.from(source).toString()}`,
      )
      expect(ours.sort()).toEqual(await listed((...args) => loaded.query(...args)))
    } finally {
      await loaded.stop()
    }
  }

  it('has the same libraries, and refuses the same', () =>
    expectSameFunctions([
      ['FUNCTION', 'LOAD', library('a')],
      ['FUNCTION', 'LOAD', library('a')],
      ['function', 'load', 'replace', `${library('a')} -- again`],
      ['FUNCTION', 'LOAD', 'FOO', library('b')],
      ['FUNCTION', 'LOAD', library('b')],
      ['FUNCTION', 'LOAD', library('c')],
      ['FUNCTION', 'LOAD', 'none'],
      ['FUNCTION', 'LOAD', '#!lua'],
      ['FUNCTION', 'LOAD', '#!lua name=x y\n'],
      ['FUNCTION', 'LOAD', '#!lua name=x name=y\n'],
      ['FUNCTION', 'LOAD', '#!lua name=x-y\n'],
      ['FUNCTION', 'LOAD', '#!lua\nx'],
      ['FUNCTION', 'LOAD', '#!js name=x\n'],
      ['FUNCTION', 'DELETE', 'c'],
      ['FUNCTION', 'DELETE', 'c'],
      ['FUNCTION', 'FLUSH', 'NEVER'],
      ['FUNCTION', 'RESTORE', 'x'],
      ['FUNCTION', 'RESTORE', 'x', 'y'],
      ['FLUSHALL'],
    ]))

  it('loses them by FLUSH', () =>
    expectSameFunctions([
      ['FUNCTION', 'LOAD', library('a')],
      ['FUNCTION', 'FLUSH', 'async'],
      ['FUNCTION', 'LOAD', library('b')],
    ]))

  it('takes the payloads that it wrote', async () => {
    const loaded = await server.load(
      Buffer.concat([library('a'), library('b')].map(code => encodeCommand(['FUNCTION', 'LOAD', code]))),
    )
    const payload = (await loaded.query('FUNCTION', 'DUMP')) as Buffer
    const nothing = (await foundNothing()) as Buffer
    await loaded.stop()
    for (const policy of [[], ['flush'], ['APPEND'], ['REPLACE'], ['other']]) {
      await expectSameFunctions([
        ['FUNCTION', 'LOAD', library('c')],
        ['FUNCTION', 'LOAD', library('b', "redis.register_function('b_f', function() return 2 end)")],
        ['FUNCTION', 'RESTORE', payload, ...policy],
        ['FUNCTION', 'RESTORE', nothing, ...policy],
      ])
    }
    await expectSameFunctions([['FUNCTION', 'RESTORE', payload]])
  }, 60_000)

  async function foundNothing(): Promise<Reply> {
    const empty = await server.load(Buffer.alloc(0))
    try {
      return await empty.query('FUNCTION', 'DUMP')
    } finally {
      await empty.stop()
    }
  }
})
