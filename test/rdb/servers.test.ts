import { describe, expect, it } from 'vitest'
import { valueType } from '../../src/rdb/format.ts'
import { loadsRdb, SERVER_FACTS } from '../../src/servers/servers.ts'
import { foundServers, type LoadOptions, type Server } from '../helpers/servers.ts'
import { aux, bytes, entry, int64, len, rdb, select, str } from './build.ts'
import { VALUES } from './values.ts'
import { walk } from './walking.ts'

const SERVERS = foundServers()
const plain = (key: string) => entry(0, key, str('value'))

/** What a server makes of a file as the base of a log: how many keys each database has, or that it refuses it. */
async function load(server: Server, file: Uint8Array, options: LoadOptions = {}) {
  const loaded = await server.load(file, { as: 'base', ...options })
  try {
    if (!loaded.started) return { started: false as const, why: loaded.errors.join('; ') }
    const keys: Record<string, number> = {}
    for (const [, db, count] of String(await loaded.query('INFO', 'keyspace')).matchAll(
      /^db(\d+):keys=(\d+)/gm,
    ))
      keys[db] = Number(count)
    return { started: true as const, keys }
  } finally {
    await loaded.stop()
  }
}

function keysOf({ entries }: Awaited<ReturnType<typeof walk>>): Record<string, number> {
  const keys: Record<string, number> = {}
  for (const { db } of entries) keys[db] = (keys[db] ?? 0) + 1
  return keys
}

describe.skipIf(SERVERS.length === 0)('a real server, given the file as the base of a log', () => {
  describe.each(SERVERS)('%s', server => {
    const { rdb: versions, family } = SERVER_FACTS[server.name]
    const headers = [`REDIS${String(versions.REDIS[1]).padStart(4, '0')}`]
    if (versions.VALKEY !== undefined) headers.push(`VALKEY${String(versions.VALKEY[1]).padStart(3, '0')}`)

    it.each(headers)('loads what is walked: every type of %s', async header => {
      const magic = header.startsWith('VALKEY') ? 'VALKEY' : 'REDIS'
      const version = Number(header.slice(magic.length))
      const values = VALUES.filter(({ type, loads, header: first }) => {
        const since = valueType(magic, type)?.[magic]
        // Valkey knows no type that Redis added after they parted.
        if (!loads || since === undefined || since > version) return false
        return type < 22 || first.startsWith(magic)
      })
      expect(values.length).toBeGreaterThan(20)
      const file = rdb(
        header,
        select(1),
        values.map(({ type, encoded }, i) => entry(type, `key:${i}`, encoded)),
        select(2),
        plain('last'),
      )
      const walked = await walk(file)
      expect(walked.error).toBeUndefined()
      const keys = keysOf(walked)
      // Servers pass over keys without elements.
      keys[1] -= values.filter(({ name }) => name.startsWith('empty')).length
      expect(await load(server, file)).toEqual({ started: true, keys })
    })

    const header = 'REDIS0010'
    const zeroed = (file: Buffer) => file.fill(0, file.length - 8)
    const changed = (file: Buffer, at: number) => {
      file[at] ^= 1
      return file
    }
    const cases: [what: string, file: Buffer, options?: LoadOptions & { databases?: number }][] = [
      ['nothing but header and end', rdb(header)],
      ['a checksum of zero', zeroed(rdb(header, plain('a')))],
      ['a checksum that is wrong', changed(rdb(header, plain('a')), 12)],
      ['version 4, without a checksum', rdb('REDIS0004', plain('a'))],
      ['version 0', rdb('REDIS0000', plain('a'))],
      ['a version of the future', rdb('REDIS0099', plain('a'))],
      ['an unknown type', rdb(header, entry(77, 'k', str('v')))],
      ['a type between', rdb(header, entry(8, 'k', str('v')))],
      ['modules before their release', rdb(header, entry(6, 'k', len(1)))],
      ['the last database', rdb(header, select(15), plain('a'))],
      ['a database beyond the last, empty', rdb(header, select(16))],
      ['more databases', rdb(header, select(16), plain('a')), { args: ['--databases', '17'], databases: 17 }],
      ['an expiry, a field, and a key', rdb(header, 252, int64(2n ** 41n), aux('x', 'y'), plain('a'))],
      ['an expiry and the end', rdb(header, 252, int64(2n ** 41n))],
      ['an idle time of 2^62 seconds', rdb(header, 248, len(2n ** 62n), plain('a'))],
      ['a field that cannot be decompressed', rdb(header, 250, str('n'), 0xc3, len(3), len(10), str('ab'))],
      ['a byte that starts no length', rdb(header, entry(0, 'k', 0x82))],
      ['a string of no known encoding', rdb(header, entry(0, 'k', 0xc4, 1))],
      ['a string of 2^40 bytes', rdb(header, entry(0, 'k', len(2n ** 40n)))],
      ['a string of 2^63 bytes', rdb(header, entry(0, 'k', len(2n ** 63n)))],
      ['a module record without its tag', rdb(header, 247, len(1), len(1), len(1), len(0))],
      ['no end', bytes(Buffer.from(header), plain('a'))],
      ['a function', rdb(header, 245, str("#!lua name=l\nredis.register_function('f', function() end)"))],
    ]

    it.each(cases)('agrees on %s', async (_what, file, { databases = 16, ...options } = {}) => {
      const walked = await walk(file, { databases })
      const answer = await load(server, file, options)
      expect(answer.started, JSON.stringify(answer)).toBe(walked.error === undefined)
      if (answer.started) expect(answer.keys).toEqual(keysOf(walked))
    })

    it('refuses the file cut anywhere, even where truncated logs are loaded', async () => {
      const file = rdb(header, select(1), plain('a'))
      for (let size = 1; size < file.length; size++) {
        const answer = await load(server, file.subarray(0, size), { truncated: 'yes' })
        expect(answer.started, `${size} bytes`).toBe(false)
      }
    })

    it('takes functions of release candidates in Redis 7.0 only', async () => {
      const code = str("redis.register_function('f', function() end)")
      const file = rdb(header, 246, str('l'), str('LUA'), len(0), code, plain('a'))
      expect((await walk(file)).records[1].kind).toBe('function-pre-release')
      expect((await load(server, file)).started).toBe(server.name === 'redis-7.0')
    })

    it('takes sizes of slots where they are known', async () => {
      const file = rdb(header, 244, len(1), len(2), len(3), plain('a'))
      expect((await walk(file)).records[1].kind).toBe('slot')
      expect((await load(server, file)).started).toBe(['redis-8.0', 'valkey-9.1'].includes(server.name))
    })

    it('keeps to the versions of its family', async () => {
      for (const [magic, version] of [
        ['REDIS', 11],
        ['REDIS', 12],
        ['VALKEY', 80],
        ['VALKEY', 81],
      ] as const) {
        const digits = String(version).padStart(magic === 'REDIS' ? 4 : 3, '0')
        const { started } = await load(server, rdb(`${magic}${digits}`, plain('a')))
        expect(started, `${family} and ${magic}${digits}`).toBe(loadsRdb(server.name, magic, version))
      }
    })
  })
})
