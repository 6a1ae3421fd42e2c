import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { JobError } from '../../src/bytes/errors.ts'
import { RDB_TARGETS, type RdbTarget, TARGET_NAMES } from '../../src/rdb/targets.ts'
import { RdbWriter } from '../../src/rdb/writer.ts'
import { loadsRdb, loadsType } from '../../src/servers/servers.ts'
import { NO_EXPIRY } from '../../src/values/elements.ts'
import { Slice } from '../../src/values/slice.ts'
import { forEachParallel } from '../helpers/parallel.ts'
import { encodeCommand, foundServers, type Loaded, type Reply, type Server } from '../helpers/servers.ts'
import { entry, int64, len, rdb, str } from './build.ts'
import { FILLABLE, fill } from './fill.ts'
import { rewritten } from './rewriting.ts'
import { fixtures, walk } from './walking.ts'

const SERVERS = foundServers()

/** Whether `server` loads what is written for `target`. */
function promises(target: RdbTarget, server: Server): boolean {
  return (
    loadsRdb(server.name, target.magic, target.version) &&
    loadsType(server.name, target.magic, target.highestType)
  )
}

/** What a server says of all that it has: its digest covers keys and values, the rest is asked. */
async function answers(loaded: Loaded, keys: readonly (readonly [db: number, key: string])[]) {
  const expiries: string[] = []
  let selected = -1
  for (const [db, key] of keys) {
    if (db !== selected) await loaded.query('SELECT', db)
    selected = db
    expiries.push(String(await loaded.query('PEXPIRETIME', Buffer.from(key, 'latin1'))))
  }
  return {
    digest: String(await loaded.query('DEBUG', 'DIGEST')),
    keyspace: String(await loaded.query('INFO', 'keyspace')).replace(/avg_ttl=\d+/g, ''),
    functions: ((await loaded.query('FUNCTION', 'LIST', 'WITHCODE')) as Reply[])
      .map(library => JSON.stringify(library))
      .sort(),
    expiries: expiries.join(),
  }
}

type Answers = Awaited<ReturnType<typeof answers>>

/** What the server has after loading the file as the base of a log; why it does not start. */
async function load(server: Server, file: Buffer, args: string[] = []): Promise<Answers | string> {
  const { entries } = await walk(file, { chunk: 1 << 20 })
  const loaded = await server.load(file, { as: 'base', args })
  try {
    if (!loaded.started) return loaded.errors.join('; ')
    return await answers(
      loaded,
      entries.map(({ db, key }) => [db, key ?? ''] as const),
    )
  } finally {
    await loaded.stop()
  }
}

/**
 * Writes the file anew for each target, loads that on each server that the target promises to load on, and compares with
 * what the server has after loading the original. Gives the targets that could be written.
 */
async function compare(file: Buffer, modules: 'redis' | 'valkey', args?: string[]): Promise<string[]> {
  const written: string[] = []
  const distinct = new Map<string, { copy: Buffer; target: RdbTarget }>()
  for (const name of TARGET_NAMES) {
    const target = RDB_TARGETS[name]
    let copy: Buffer
    try {
      copy = await rewritten(file, target, { modules })
    } catch (error) {
      if (!(error instanceof JobError)) throw error
      continue
    }
    written.push(name)
    // Many differ in nothing but the release that they name.
    const { records } = await walk(copy)
    const fields = records.findLast(({ kind }) => kind === 'aux')
    const behind = fields?.kind === 'aux' ? fields.end : 0
    distinct.set(`${target.magic}${target.version}${copy.toString('latin1', behind, copy.length - 8)}`, {
      copy,
      target,
    })
  }
  const originals = new Map<Server, Answers | string>()
  await forEachParallel(SERVERS, async server => {
    originals.set(server, await load(server, file, args))
  })
  const jobs = [...distinct.values()].flatMap(({ copy, target }) =>
    SERVERS.filter(server => promises(target, server)).map(server => ({ copy, target, server })),
  )
  await forEachParallel(jobs, async ({ copy, target, server }) => {
    const answer = await load(server, copy, args)
    const original = originals.get(server)
    // One that cannot load the original has nothing to compare with.
    if (typeof original === 'object') expect(answer, `${target.name} on ${server.name}`).toEqual(original)
    else expect(answer, `${target.name} on ${server.name}`).toBeTypeOf('object')
  })
  return written
}

/** Lets the server do something, and gives the RDB that it then saves. */
async function saved(server: Server, work: (running: Loaded) => Promise<unknown>): Promise<Buffer> {
  const running = await server.load(Buffer.alloc(0), { args: FILLABLE })
  try {
    if (!running.started) throw new Error(running.log)
    await work(running)
    expect(String(await running.query('SAVE'))).toBe('OK')
    return readFileSync(join(running.folder, 'dump.rdb'))
  } finally {
    await running.stop()
  }
}

/** Some of every type below and above the thresholds, of texts that compress, texts that do not, and numbers. */
const SCRIPT = `
local seed = 1
local function int(n)
  seed = (seed * 16807) % 2147483647
  return seed % n
end
local words = { 'alpha', 'beta', 'gamma', 'delta', 'epsilon', 'omega' }
local function text()
  local kind = int(4)
  if kind == 0 then return tostring(int(100000)) end
  if kind == 1 then return redis.sha1hex(tostring(int(1000000000))) end
  local made = {}
  for i = 1, 1 + int(12) do made[i] = words[int(6) + 1] end
  return table.concat(made, ' ') .. int(1000)
end
for i = 1, 4000 do
  local kind = int(8)
  local n = int(20) == 0 and 600 or 1 + int(20)
  local key = 'key:' .. i
  if kind < 2 then redis.call('SET', key, text())
  elseif kind == 2 then for f = 1, n do redis.call('HSET', key, 'field:' .. f, text()) end
  elseif kind == 3 then for m = 1, n do redis.call('SADD', key, int(1000000)) end
  elseif kind == 4 then for m = 1, n do redis.call('SADD', key, text()) end
  elseif kind == 5 then for m = 1, n do redis.call('ZADD', key, int(10000) / 8, text()) end
  elseif kind == 6 then for m = 1, n do redis.call('RPUSH', key, text()) end
  else for m = 1, n do redis.call('XADD', key, m .. '-1', 'name', text(), 'other', text()) end
  end
  if int(3) == 0 then redis.call('PEXPIREAT', key, 4000000000000 + i) end
end
redis.call('RPUSH', 'large', string.rep('large item ', 2000), 'x')
redis.call('SET', 'very large', string.rep('very large string ', 50000))`

/** Of texts: one that is packed, and one that is not. */
const SIZES = [1, 100]

function expiring(target: RdbTarget, expireAtMs: bigint): Buffer {
  const writer = new RdbWriter(target)
  for (const size of SIZES) {
    const key = new Slice().set(Buffer.from(`key ${size}`))
    const text = new Slice().set(Buffer.alloc(size, 'x'))
    const sink = writer.entry({ key, expireAtMs: NO_EXPIRY, idle: -1, frequency: -1 })
    sink.begin('hash', 1)
    sink.field(text, text, expireAtMs)
    sink.end()
  }
  writer.finish()
  return Buffer.from(writer.take())
}

/** Bytes of texts whose back-lengths in listpacks have two forms (encodings/listpack.ts), and of their neighbours. */
const BORDERS = [16_377, 16_378, 16_379, 2_097_146]

/** A list, and a stream, with an item or a value of each size; without the stream where the target refuses one. */
function bordering(target: RdbTarget): { file: Buffer; streams: boolean } {
  const streams = target.backLengths !== undefined
  const writer = new RdbWriter(target)
  const begin = (key: string) =>
    writer.entry({ key: new Slice().set(Buffer.from(key)), expireAtMs: NO_EXPIRY, idle: -1, frequency: -1 })
  const texts = BORDERS.map(size => new Slice().set(Buffer.alloc(size, 'x')))
  const list = begin('list')
  list.begin('list', texts.length)
  for (const text of texts) list.item(text)
  list.end()
  const name = new Slice().set(Buffer.from('name'))
  const state = {
    lastId: { ms: 9n, seq: 9n },
    firstId: { ms: 1n, seq: 0n },
    maxDeletedId: { ms: 0n, seq: 0n },
  }
  if (streams) {
    const stream = begin('stream')
    stream.begin('stream', texts.length)
    for (const [i, text] of texts.entries()) {
      stream.entry(BigInt(i + 1), 0n, 1)
      stream.field(name, text, NO_EXPIRY)
    }
    stream.state({ ...state, length: BigInt(texts.length), entriesAdded: BigInt(texts.length) })
    stream.end()
  }
  writer.finish()
  return { file: Buffer.from(writer.take()), streams }
}

describe.skipIf(SERVERS.length === 0)('a real server', () => {
  it('loads, and reads from both ends, what other servers keep in another form', async () => {
    const jobs = TARGET_NAMES.flatMap(name =>
      SERVERS.filter(server => promises(RDB_TARGETS[name], server))
        // Where the line of the server differs from that of the target, its form may too.
        .filter(
          server =>
            name === 'common' || RDB_TARGETS[server.name].backLengths === RDB_TARGETS[name].backLengths,
        )
        .map(server => ({ name, server })),
    )
    await forEachParallel(jobs, async ({ name, server }) => {
      const { file, streams } = bordering(RDB_TARGETS[name])
      const loaded = await server.load(file, { as: 'base' })
      try {
        const what = `${name} on ${server.name}`
        expect(loaded.started, `${what}: ${loaded.log}`).toBe(true)
        const sizes = (replies: Reply) => (replies as Buffer[]).map(item => item.length)
        expect(sizes(await loaded.query('LRANGE', 'list', 0, -1)), what).toEqual(BORDERS)
        // From its tail.
        expect(((await loaded.query('LINDEX', 'list', -2)) as Buffer).length, what).toBe(BORDERS.at(-2))
        if (!streams) return
        const entries = (await loaded.query('XREVRANGE', 'stream', '+', '-')) as [Buffer, Buffer[]][]
        expect(
          entries.map(([, [, text]]) => text.length),
          what,
        ).toEqual(BORDERS.toReversed())
      } finally {
        await loaded.stop()
      }
    })
  })

  it.each(fixtures().map(({ name, bytes }) => [name, bytes] as const))(
    'has the same after loading %s and after loading it written anew, for every target that it loads',
    async (name, file) => {
      const written = await compare(file, name.startsWith('valkey') ? 'valkey' : 'redis')
      if (name.endsWith('module')) expect(written).toEqual(['redis-8.0'])
      else if (name.endsWith('field-expiry')) expect(written).toHaveLength(4)
      else expect(written).toContain('common')
    },
    60_000,
  )

  // What the oldest saves, all load.
  it('has the same after loading all that the oldest can have, written for every target', async () => {
    const file = await saved(SERVERS[0], running =>
      fill((...args) => running.query(...args), SERVERS[0].name, 20240502).then(filled => filled.expire()),
    )
    // When a server packs a sorted set it makes 0 of -0; one that is packed already keeps it, as text.
    const written = await compare(file, 'redis', ['--zset-max-listpack-entries', '0'])
    expect(written.length).toBeGreaterThanOrEqual(9)
  }, 120_000)

  describe.each(SERVERS)('%s', server => {
    it('takes what we write as a preamble, and alone', async () => {
      const file = rdb('REDIS0010', entry(0, 'key', str('value')))
      for (const target of [RDB_TARGETS[server.name], RDB_TARGETS.common]) {
        const preamble = await rewritten(file, target, { place: 'preamble' })
        const log = Buffer.concat([preamble, encodeCommand(['SET', 'other', 'value'])])
        const loaded = await server.load(log, { as: 'single' })
        try {
          expect([loaded.started, loaded.errors]).toEqual([true, []])
          expect(loaded.log).toContain('RDB has an AOF tail')
          expect(await loaded.query('DBSIZE')).toBe(2)
          await writeFile(join(loaded.folder, 'dump.rdb'), await rewritten(file, target, { place: 'file' }))
          expect(String(await loaded.query('DEBUG', 'RELOAD', 'NOSAVE'))).toBe('OK')
          expect(await loaded.query('DBSIZE')).toBe(1)
        } finally {
          await loaded.stop()
        }
      }
    })

    it('saves files that are no smaller than ours by more than 2 %', async () => {
      const file = await saved(server, async running => {
        const reply = await running.query('EVAL', SCRIPT, 0)
        if (reply instanceof Error) throw reply
        if (RDB_TARGETS[server.name].fieldExpiry === undefined) return
        for (let i = 0; i < 300; i++) {
          for (let f = 0; f <= i % 9; f++)
            await running.query('HSET', `hash:${i}`, `field ${f}`, `value ${f}`)
          await running.query('HPEXPIREAT', `hash:${i}`, 4_000_000_000_000 + i, 'FIELDS', 1, 'field 0')
        }
      })
      const ours = await rewritten(file, RDB_TARGETS[server.name])
      expect(ours.length / file.length).toBeLessThan(1.02)
      expect(ours.length / file.length).toBeGreaterThan(0.95)
      // And in the same encodings, but for sets of numbers that a string went through.
      const types = async (of: Buffer) => (await walk(of)).entries.map(({ key, type }) => `${key} ${type}`)
      expect((await types(ours)).sort()).toEqual((await types(file)).sort())
    }, 60_000)
  })

  describe.each(SERVERS.filter(({ name }) => RDB_TARGETS[name].fieldExpiry !== undefined))('%s', server => {
    it('takes fields that expire whenever we let them', async () => {
      const target = RDB_TARGETS[server.name]
      const latest = target.fieldExpiry === 'redis' ? 2n ** 48n - 1n : 2n ** 63n - 1n
      for (const time of [target.fieldExpiry === 'redis' ? 1n : 0n, 2n ** 42n, latest]) {
        const loaded = await server.load(expiring(target, time), { as: 'base' })
        try {
          expect(loaded.started, `${time}: ${loaded.errors}`).toBe(true)
          expect(Number(await loaded.query('DBSIZE')), String(time)).toBe(2)
          if (time < BigInt(Date.now())) continue
          for (const size of SIZES) {
            const name = 'x'.repeat(size)
            expect(String(await loaded.query('HPEXPIRETIME', `key ${size}`, 'FIELDS', '1', name))).toBe(
              String(time),
            )
          }
        } finally {
          await loaded.stop()
        }
      }
    })

    it.runIf(RDB_TARGETS[server.name].fieldExpiry !== undefined)('refuses those that we refuse', async () => {
      const target = RDB_TARGETS[server.name]
      const [header, refused] =
        target.fieldExpiry === 'redis'
          ? (['REDIS0012', [24, int64(2n ** 48n), len(1), len(1), str('f'), str('v')]] as const)
          : (['VALKEY080', [22, len(1), str('f'), str('v'), int64(-2n)]] as const)
      const [type, ...value] = refused
      expect(await load(server, rdb(header, entry(type, 'key', ...value)))).toBeTypeOf('string')
      expect(() => expiring(target, target.fieldExpiry === 'redis' ? 2n ** 48n : -2n)).toThrow(JobError)
    })
  })
})
