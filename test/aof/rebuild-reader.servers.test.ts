import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { RebuildReader } from '../../src/aof/rebuild-reader.ts'
import { scanPart } from '../../src/aof/scan.ts'
import { BufferSource } from '../../src/bytes/source.ts'
import { EntryReader } from '../../src/rdb/entries.ts'
import { librarySource } from '../../src/rdb/functions.ts'
import { NO_EXPIRY } from '../../src/values/elements.ts'
import { KeyspaceFingerprint } from '../../src/values/fingerprint.ts'
import { RebuildableElements } from '../../src/values/rebuildable.ts'
import { Slice } from '../../src/values/slice.ts'
import { foundServers, type Loaded, type Reply } from '../helpers/servers.ts'
import { FILLABLE, fill } from '../rdb/fill.ts'

const SEED = Number(process.env.AOFKIT_SEED ?? 20240507)

/** The rewriter of redis 8.0.6 crashes when it comes to a vector set. */
async function deleteVectorSets({ query }: Loaded): Promise<void> {
  for (let db = 0; db < 16; db++) {
    await query('SELECT', db)
    const [, keys] = (await query('SCAN', 0, 'COUNT', 10_000_000, 'TYPE', 'vectorset')) as [Reply, Buffer[]]
    for (const key of keys) await query('DEL', key)
  }
}

/** The base that a rewrite by the server makes. */
async function rewrite(server: Loaded, preamble: 'yes' | 'no'): Promise<Uint8Array> {
  expect(String(await server.query('CONFIG', 'SET', 'aof-use-rdb-preamble', preamble))).toBe('OK')
  expect(await server.query('BGREWRITEAOF')).not.toBeInstanceOf(Error)
  const folder = join(server.folder, 'appendonlydir')
  for (;;) {
    const info = String(await server.query('INFO', 'persistence'))
    if (/aof_rewrite_in_progress:0/.test(info) && /aof_rewrite_scheduled:0/.test(info)) {
      expect(info).toContain('aof_last_bgrewrite_status:ok')
      break
    }
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  const ending = preamble === 'yes' ? '.base.rdb' : '.base.aof'
  const name = (await readdir(folder)).find(file => file.endsWith(ending)) as string
  return readFile(join(folder, name))
}

/** What commands can rebuild of an RDB or of commands. */
async function fingerprintOf(base: Uint8Array): Promise<string> {
  const fingerprint = new KeyspaceFingerprint()
  const rebuildable = new RebuildableElements(fingerprint)
  const entries = new EntryReader({
    entry: ({ db, key, kind, expireAtMs }) => rebuildable.of(fingerprint.key(db, key, kind, expireAtMs)),
    damaged(error) {
      throw error
    },
  })
  const commands = new RebuildReader({
    key: (db, key, kind) => fingerprint.key(db, key, kind, NO_EXPIRY),
    expires: atMs => fingerprint.expires(atMs),
    functions: source => fingerprint.functions(source),
  })
  const library = new Slice()
  const { error } = await scanPart(
    new BufferSource(base),
    {
      rdb(event) {
        entries.event(event)
        if (event.kind !== 'function') return
        librarySource(event.bytes as Uint8Array, event.offset, library)
        fingerprint.functions(library)
      },
      records: batch => commands.records(batch),
      long: record => commands.long(record, base.subarray(record.offset, record.end)),
    },
    { databases: 16, values: true },
  )
  if (error !== undefined) throw error
  commands.finish()
  return fingerprint.hex()
}

describe.skipIf(foundServers().length === 0)('reading what servers write as commands', () => {
  it.each(foundServers())(
    '%s: gives the same keyspace as the RDB that it writes',
    { timeout: 120_000 },
    async server => {
      const loaded = await server.load({}, { args: FILLABLE })
      try {
        const made = await fill(loaded.query, server.name, SEED)
        await made.expire()
        if (server.name === 'redis-8.0') await deleteVectorSets(loaded)
        const rdb = await rewrite(loaded, 'yes')
        const commands = await rewrite(loaded, 'no')
        expect(commands.length).toBeGreaterThan(10_000)
        expect(Buffer.from(commands.subarray(0, 5)).toString()).not.toBe('REDIS')
        expect(await fingerprintOf(commands)).toBe(await fingerprintOf(rdb))
      } finally {
        await loaded.stop()
      }
    },
  )
})
