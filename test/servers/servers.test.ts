import { describe, expect, it } from 'vitest'
import { loadsRdb, SERVER_FACTS, SERVERS, serverOf, serversIn } from '../../src/servers/servers.ts'
import { foundServers } from '../helpers/servers.ts'

describe('serverOf', () => {
  it.each([
    [{ 'redis-ver': '6.2.14' }, 'REDIS', 'redis-7.0'],
    [{ 'redis-ver': '7.0.15' }, 'REDIS', 'redis-7.0'],
    [{ 'redis-ver': '7.2.4' }, 'REDIS', 'redis-8.0'],
    [{ 'redis-ver': '8.0.6' }, 'REDIS', 'redis-8.0'],
    [{ 'redis-ver': '255.255.255' }, 'REDIS', 'redis-8.0'],
    [{ 'valkey-ver': '8.1.1' }, 'REDIS', 'valkey-8.1'],
    [{ 'valkey-ver': '9.0.0' }, 'VALKEY', 'valkey-9.1'],
    [{ 'valkey-ver': '10.1.0' }, 'VALKEY', 'valkey-9.1'],
    [{}, 'VALKEY', 'valkey-9.1'],
    [{}, 'REDIS', undefined],
    [{ 'redis-ver': 'unstable' }, 'REDIS', undefined],
  ] as const)('takes %j with magic %s for %s', (aux, magic, server) => {
    expect(serverOf(new Map<string, string>(Object.entries(aux)), magic)).toBe(server)
  })
})

it('gives each server a bit of its own, and finds it by that', () => {
  for (const name of SERVERS) expect(serversIn(SERVER_FACTS[name].bit)).toEqual([name])
  expect(serversIn(15)).toEqual(SERVERS)
})

describe.each(foundServers())('%s', server => {
  it('loads, as a base, the RDB versions that loadsRdb says, and no others', async () => {
    const wrong: string[] = []
    for (const magic of ['REDIS', 'VALKEY'] as const) {
      for (const version of [0, 1, 5, 9, 10, 11, 12, 13, 79, 80, 81]) {
        const header = magic + String(version).padStart(9 - magic.length, '0')
        // The end, and a checksum that is switched off, which versions below 5 do not have.
        const bytes = Buffer.from(`${header}\xff${version < 5 ? '' : '\0'.repeat(8)}`, 'latin1')
        const loaded = await server.load(bytes, { as: 'base' })
        await loaded.stop()
        if (loaded.started !== loadsRdb(server.name, magic, version))
          wrong.push(`${header}: ${loaded.errors}`)
      }
    }
    expect(wrong).toEqual([])
  })
})
