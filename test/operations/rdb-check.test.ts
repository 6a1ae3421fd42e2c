import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { ServerName } from '../../src/servers/servers.ts'
import { foundServers } from '../helpers/servers.ts'
import { temporaryFolder } from '../helpers/temp.ts'
import { verifyPath } from '../helpers/verify.ts'
import { bytes, int64, len, rdb, str } from '../rdb/build.ts'

const HASH_WITH_TTL = bytes(24, str('hash'), int64(0), len(1), len(0), str('field'), str('value'))
const SLOTS = bytes(244, len(0), len(1), len(0), 0, str('key'), str('value'))
/** The name of a module as nine times six bits, and a version. */
const MODULE = bytes(7, str('doc'), len(0x4242424242424242n), len(0))
const TEMPLATE = bytes(242, len(1), len(1), str('field'))

async function codes(file: Uint8Array, as: ServerName): Promise<string[]> {
  const path = join(temporaryFolder(), 'dump.rdb')
  writeFileSync(path, file)
  const { findings } = await verifyPath(path, { as })
  return findings.map(({ severity, code }) => `${severity} ${code}`)
}

describe('an RDB, against the server that is to load it', () => {
  it.each([
    ['a hash with field expiries', rdb('REDIS0010', HASH_WITH_TTL), { 'redis-8.0': [] }, ['error rdb.type']],
    ['sizes of slots', rdb('REDIS0010', SLOTS), { 'redis-8.0': [], 'valkey-9.1': [] }, ['error rdb.opcode']],
    ['a template', rdb('REDIS0010', TEMPLATE), {}, ['error rdb.opcode']],
    ['a version of Redis 8', rdb('REDIS0012'), { 'redis-8.0': [] }, ['error rdb.version']],
    ['a version of Valkey 9', rdb('VALKEY080'), { 'valkey-9.1': [] }, ['error rdb.version']],
    ['a value of a module', rdb('REDIS0010', MODULE), { 'redis-8.0': [] }, ['warning rdb.module']],
  ] as [string, Buffer, Partial<Record<ServerName, string[]>>, string[]][])(
    '%s',
    async (_, file, known, others) => {
      for (const as of ['redis-7.0', 'redis-8.0', 'valkey-8.1', 'valkey-9.1'] as const) {
        expect(await codes(file, as), as).toEqual(known[as] ?? others)
      }
    },
  )

  const servers = foundServers()
  it.skipIf(servers.length === 0)('is judged as the servers do', async () => {
    const files = {
      hash: rdb('REDIS0010', HASH_WITH_TTL),
      slots: rdb('REDIS0010', SLOTS),
      template: rdb('REDIS0010', TEMPLATE),
      twelve: rdb('REDIS0012'),
      valkey: rdb('VALKEY080'),
    }
    for (const server of servers) {
      for (const [name, file] of Object.entries(files)) {
        const loaded = await server.load(file, { as: 'base' })
        await loaded.stop()
        const errors = (await codes(file, server.name)).filter(code => code.startsWith('error'))
        expect(loaded.started, `${server.name}: ${name}\n${loaded.log.slice(-400)}`).toBe(errors.length === 0)
      }
    }
  })
})
