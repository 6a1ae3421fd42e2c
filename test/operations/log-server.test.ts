import { describe, expect, it } from 'vitest'
import { LogServer } from '../../src/operations/log-server.ts'
import { DEFAULT_SERVER, SERVERS } from '../../src/servers/servers.ts'

const bytes = (text: string) => Buffer.from(text)
const known = (server: LogServer, name: string) => server.table.lookup(bytes(name), 0, name.length) >= 0

/** A log that begins with an RDB of this magic and these AUX fields. */
function written(
  magic: 'REDIS' | 'VALKEY',
  aux: Record<string, string>,
  chosen?: (typeof SERVERS)[number],
): LogServer {
  const server = new LogServer(chosen, [])
  server.noteMagic(magic)
  for (const [name, value] of Object.entries(aux)) server.noteAux(bytes(name), bytes(value))
  return server
}

describe('the server that counts for a log', () => {
  it('is the default where nothing tells who wrote it', () => {
    expect(new LogServer(undefined, []).name).toBe(DEFAULT_SERVER)
    expect(written('REDIS', {}).name).toBe(DEFAULT_SERVER)
    expect(written('REDIS', { ctime: '1' }).name).toBe(DEFAULT_SERVER)
  })

  it.each([
    ['REDIS', { 'redis-ver': '7.0.15' }, 'redis-7.0'],
    ['REDIS', { 'redis-ver': '6.2.14' }, 'redis-7.0'],
    ['REDIS', { 'redis-ver': '8.0.6' }, 'redis-8.0'],
    ['REDIS', { 'valkey-ver': '8.1.1' }, 'valkey-8.1'],
    ['REDIS', { 'redis-ver': '7.2.4', 'valkey-ver': '8.1.1' }, 'valkey-8.1'],
    ['VALKEY', { 'valkey-ver': '9.1.2' }, 'valkey-9.1'],
    ['VALKEY', {}, 'valkey-9.1'],
  ] as const)('is the one that wrote %s with %j', (magic, aux, name) => {
    expect(written(magic, aux).name).toBe(name)
  })

  it('is the one that the user names, whoever wrote the log', () => {
    for (const chosen of SERVERS)
      expect(written('VALKEY', { 'valkey-ver': '9.1.2' }, chosen).name).toBe(chosen)
  })

  it('is told by the first RDB, not by a later one', () => {
    const server = written('REDIS', { 'redis-ver': '7.0.1' })
    server.noteMagic('VALKEY')
    server.noteAux(bytes('redis-ver'), bytes('8.0.0'))
    expect(server.name).toBe('redis-7.0')
  })

  it('is not told by a field that was too long to be read', () => {
    const server = new LogServer(undefined, [])
    server.noteMagic('REDIS')
    server.noteAux(undefined, bytes('7.0.0'))
    server.noteAux(bytes('redis-ver'), undefined)
    expect(server.name).toBe(DEFAULT_SERVER)
  })
})

describe('its commands', () => {
  it('are those of that server', () => {
    expect(known(written('REDIS', { 'redis-ver': '8.0.6' }), 'vadd')).toBe(true)
    expect(known(written('REDIS', { 'redis-ver': '7.0.15' }), 'vadd')).toBe(false)
  })

  it('and those that the user allows, in any case', () => {
    const server = new LogServer('redis-7.0', ['Mod.Thing'])
    expect([known(server, 'MOD.THING'), known(server, 'mod.other')]).toEqual([true, false])
  })

  it('are settled when they are first asked for', () => {
    const server = new LogServer(undefined, [])
    const { table } = server
    server.noteMagic('VALKEY')
    expect(server.table).toBe(table)
    expect(table.server).toBe(DEFAULT_SERVER)
  })
})
