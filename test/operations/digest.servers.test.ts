import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { resolveInput } from '../../src/aof/parts.ts'
import { digestLog } from '../../src/operations/digest.ts'
import { encodeCommand, foundServers } from '../helpers/servers.ts'
import { temporaryFolder } from '../helpers/temp.ts'
import { bytes, double, entry, len, rdb, select, str } from '../rdb/build.ts'

const FOLDER = 'fixtures/rdb'
const FILES = readdirSync(FOLDER).filter(file => file.endsWith('.rdb'))
const OPTIONS = { databases: 16, allowCommands: [], ignoreOpaque: false } as const

describe.each(foundServers())('%s', server => {
  it.each(FILES)('prints the same DEBUG DIGEST of %s, when it loads it', async file => {
    const path = join(FOLDER, file)
    const loaded = await server.load(readFileSync(path), { as: 'base' })
    try {
      if (!loaded.started) return
      const theirs = String(await loaded.query('DEBUG', 'DIGEST'))
      expect(theirs).toMatch(/^[0-9a-f]{40}$/)
      const { digest, databases, findings } = await digestLog(await resolveInput(path), {
        ...OPTIONS,
        as: server.name,
        ignoreOpaque: file.includes('module'),
      })
      expect(findings).toEqual([])
      if (!file.includes('module')) expect(digest).toBe(theirs)
      const keyspace = String(await loaded.query('INFO', 'keyspace'))
      const counts = [...keyspace.matchAll(/db(\d+):keys=(\d+),expires=(\d+)/g)]
      if (!file.includes('module'))
        expect(databases).toEqual(
          new Map(counts.map(([, db, keys, expires]) => [+db, { keys: +keys, expires: +expires }])),
        )
    } finally {
      await loaded.stop()
    }
  })

  it('prints the same for scores of -0 that commands gave, which lose their sign in small sets', async () => {
    const log = encodeCommand(['ZADD', 'small', '-0', 'm', '1', 'n'])
    const path = join(temporaryFolder(), 'log')
    writeFileSync(path, log)
    const loaded = await server.load(log)
    try {
      const { digest } = await digestLog(await resolveInput(path), { ...OPTIONS, as: server.name })
      expect(digest).toBe(String(await loaded.query('DEBUG', 'DIGEST')))
    } finally {
      await loaded.stop()
    }
  })

  it('prints the same for sets that it packs as it loads them, and for those that it does not', async () => {
    const zset = (count: number, longest: number) => [
      len(count),
      bytes(str('x'.repeat(longest)), double(-0)),
      ...Array.from({ length: count - 1 }, (_, i) => bytes(str(`m${i}`), double(i % 2 ? -0 : i / 3))),
    ]
    const file = rdb(
      'REDIS0010',
      select(0),
      entry(5, 'small', ...zset(128, 64)),
      entry(5, 'many', ...zset(129, 64)),
      entry(5, 'long', ...zset(3, 65)),
      entry(3, 'text', len(1), str('m'), str('-0')),
      select(9),
      entry(0, 'other database', str('')),
    )
    const loaded = await server.load(file, { as: 'base' })
    try {
      const path = join(temporaryFolder(), 'dump.rdb')
      writeFileSync(path, file)
      const { digest } = await digestLog(await resolveInput(path), { ...OPTIONS, as: server.name })
      expect(digest).toBe(String(await loaded.query('DEBUG', 'DIGEST')))
    } finally {
      await loaded.stop()
    }
  })
})
