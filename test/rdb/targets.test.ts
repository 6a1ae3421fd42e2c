import { describe, expect, it } from 'vitest'
import { VALUE_TYPES } from '../../src/rdb/format.ts'
import {
  auxFields,
  fieldsMayExpire,
  isTargetName,
  loadsAsItStands,
  PACKED_LIMITS,
  RDB_TARGETS,
  TARGET_NAMES,
} from '../../src/rdb/targets.ts'
import { loadsRdb, loadsType, SERVERS } from '../../src/servers/servers.ts'
import { foundServers } from '../helpers/servers.ts'

describe('targets', () => {
  it('are known by their names, and nothing else is one', () => {
    for (const name of TARGET_NAMES) expect(RDB_TARGETS[name].name).toBe(name)
    expect(isTargetName('redis-8.0')).toBe(true)
    expect(isTargetName('constructor')).toBe(false)
  })

  it('have what the server of their name loads: version, and every type as it stands', () => {
    for (const server of SERVERS) {
      const target = RDB_TARGETS[server]
      expect(loadsRdb(server, target.magic, target.version), server).toBe(true)
      for (const { code, REDIS, VALKEY } of VALUE_TYPES) {
        if (REDIS !== undefined && target.magic === 'REDIS')
          expect(loadsAsItStands(target, 'REDIS', code), `${server} ${code}`).toBe(
            loadsType(server, 'REDIS', code),
          )
        if (VALKEY !== undefined && target.magic === 'VALKEY')
          expect(loadsAsItStands(target, 'VALKEY', code), `${server} ${code}`).toBe(
            loadsType(server, 'VALKEY', code),
          )
      }
    }
  })

  it('have in common what each of the servers loads', () => {
    const { common } = RDB_TARGETS
    for (const server of SERVERS) {
      expect(loadsRdb(server, common.magic, common.version), server).toBe(true)
      for (const { code } of VALUE_TYPES)
        if (loadsAsItStands(common, 'REDIS', code))
          expect(loadsType(server, 'REDIS', code), `${server} ${code}`).toBe(true)
    }
  })

  it('take type 22 as it stands only from a file of their own family', () => {
    expect(loadsAsItStands(RDB_TARGETS['valkey-9.1'], 'VALKEY', 22)).toBe(true)
    expect(loadsAsItStands(RDB_TARGETS['valkey-9.1'], 'REDIS', 22)).toBe(false)
    expect(loadsAsItStands(RDB_TARGETS['redis-8.0'], 'REDIS', 22)).toBe(true)
    expect(loadsAsItStands(RDB_TARGETS['redis-8.0'], 'VALKEY', 22)).toBe(false)
    expect(loadsAsItStands(RDB_TARGETS['redis-7.0'], 'REDIS', 22)).toBe(false)
  })

  it('take nothing that is newer than they are', () => {
    for (const type of [26, 27, 28, 29, 30, 31, 32])
      for (const name of TARGET_NAMES) expect(loadsAsItStands(RDB_TARGETS[name], 'REDIS', type)).toBe(false)
    expect([4, 16, 21, 22, 24, 25, 26].filter(fieldsMayExpire)).toEqual([22, 24, 25])
  })
})

describe('fields', () => {
  it('say for whom a file is and where it stands, the same at any time', () => {
    expect(auxFields(RDB_TARGETS['redis-7.0'], 'base')).toEqual([
      ['redis-ver', '7.0.0'],
      ['redis-bits', '64'],
      ['aof-base', '1'],
    ])
    expect(auxFields(RDB_TARGETS['valkey-9.1'], 'file')).toEqual([
      ['valkey-ver', '9.1.0'],
      ['redis-bits', '64'],
      ['aof-base', '0'],
    ])
    expect(auxFields(RDB_TARGETS.common, 'preamble')).toEqual([
      ['redis-bits', '64'],
      ['aof-preamble', '1'],
    ])
  })
})

const FOUND = foundServers()

describe.skipIf(FOUND.length === 0).each(FOUND)('%s', server => {
  it('packs up to where we do', async () => {
    const loaded = await server.load(Buffer.alloc(0))
    const settings: Record<string, string> = {}
    try {
      const reply = (await loaded.query('CONFIG', 'GET', '*-max-*')) as Buffer[]
      for (let i = 0; i < reply.length; i += 2) settings[String(reply[i])] = String(reply[i + 1])
    } finally {
      await loaded.stop()
    }
    expect(settings).toMatchObject({
      'hash-max-listpack-entries': String(PACKED_LIMITS.hash),
      'hash-max-listpack-value': String(PACKED_LIMITS.element),
      'zset-max-listpack-entries': String(PACKED_LIMITS.zset),
      'zset-max-listpack-value': String(PACKED_LIMITS.element),
      'set-max-intset-entries': String(PACKED_LIMITS.intset),
      // 8 KiB a node.
      'list-max-listpack-size': '-2',
    })
    if (RDB_TARGETS[server.name].highestType >= 20)
      expect(settings).toMatchObject({
        'set-max-listpack-entries': String(PACKED_LIMITS.set),
        'set-max-listpack-value': String(PACKED_LIMITS.element),
      })
  })
})
