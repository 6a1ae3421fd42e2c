import { expect, it } from 'vitest'
import type { Keyspace } from '../../src/keyspace/keyspace.ts'
import { visitKeys } from '../../src/operations/keys.ts'
import { KeyspaceSummary } from '../../src/operations/keyspace-summary.ts'
import { encodeCommand } from '../helpers/servers.ts'
import { replay } from '../keyspace/replaying.ts'

async function summaryOf(keyspace: Keyspace): Promise<KeyspaceSummary['databases']> {
  const summary = new KeyspaceSummary()
  const visitor = {
    key: summary.key.bind(summary),
    cut: summary.cut.bind(summary),
    async damage() {},
    async pause() {},
    full: false,
    done: false,
  }
  await visitKeys(keyspace, {}, visitor, 0)
  return summary.databases
}

const LONG = 'x'.repeat(300)

it('counts the same whether values are looked at or passed over', async () => {
  const commands = [
    ['APPEND', 'text', LONG],
    ['APPEND', 'text', LONG.repeat(30)],
    ['SETBIT', 'bits', '100000', '1'],
    ['SET', 'short', 'abc'],
    ['INCRBY', 'number', '-12345'],
    ['RPUSH', 'list', LONG, 'a'],
    ['SADD', 'set', LONG, 'b'],
    ['HSET', 'hash', LONG, LONG, 'c', 'd'],
    ['HINCRBYFLOAT', 'hash', LONG.slice(1), '1.5'],
    ['XADD', 'stream', '1-1', LONG, LONG, 'e', LONG],
  ]
  const { keyspace, rejected } = await replay(Buffer.concat(commands.map(words => encodeCommand(words))))
  expect(rejected).toEqual([])
  const looked = await summaryOf(keyspace)
  expect(looked.get(0)?.bytes).toBeGreaterThan(20_000)
  keyspace.store.extents.passOver = true
  expect(await summaryOf(keyspace)).toEqual(looked)
})

it('counts strings of 512 MiB that are zeros without reading them', async () => {
  const keys = 300
  const commands = Array.from({ length: keys }, (_, i) => ['SETBIT', `key:${i}`, `${2 ** 32 - 1}`, '1'])
  const { keyspace } = await replay(Buffer.concat(commands.map(words => encodeCommand(words))))
  keyspace.store.extents.passOver = true
  const counts = (await summaryOf(keyspace)).get(0)
  expect(counts?.keys).toBe(keys)
  expect(counts?.bytes).toBeGreaterThan(keys * 2 ** 29)
})
