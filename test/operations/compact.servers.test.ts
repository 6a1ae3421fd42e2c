import { spawnSync } from 'node:child_process'
import { mkdirSync, realpathSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { resolveInput } from '../../src/aof/parts.ts'
import { type CompactOptions, type CompactReport, compactLog } from '../../src/operations/compact.ts'
import { foundServers, type Server } from '../helpers/servers.ts'
import { temporaryFolder } from '../helpers/temp.ts'
import { differences, Reloader } from '../keyspace/comparing.ts'
import { filesOf, type Log, madeUp, readParts, written } from '../keyspace/logs.ts'

/*
 * Logs that servers write, and others, compacted: what a server has when it has loaded the result must be what it has when
 * it has loaded the log itself.
 */

const LONG = process.env.AOFKIT_LONG !== undefined
const FIRST_SEED = Number(process.env.AOFKIT_SEED ?? 815)
const SEEDS = Array.from({ length: LONG ? 12 : 1 }, (_, i) => FIRST_SEED + i)

const OPTIONS: CompactOptions = {
  ...{ databases: 16, allowCommands: [], as: undefined, preamble: true, compress: true },
  ...{ dropExpired: false, verify: true, loadTruncated: false },
}

async function compacted(
  log: Log,
  server: Server,
  options: Partial<CompactOptions>,
): Promise<{ result: Log; report: CompactReport }> {
  const folder = join(temporaryFolder(), 'log')
  mkdirSync(folder)
  for (const [name, bytes] of Object.entries(filesOf(log))) writeFileSync(join(folder, name), bytes)
  const output = `${folder}-compacted`
  const report = await compactLog(
    await resolveInput(folder),
    { ...OPTIONS, as: server.name, ...options },
    { output, force: false, backup: true },
  )
  return { result: readParts(output), report }
}

describe.each(foundServers())('%s', server => {
  const reloader = new Reloader(server)
  const targets: [string, Partial<CompactOptions>][] = [
    ['as a preamble for itself', { target: server.name }],
    ['as a preamble for whom it may', {}],
    ['uncompressed', { compress: false }],
    ['as commands', { preamble: false, target: server.name }],
  ]

  it.each(SEEDS.flatMap(seed => targets.map(([name, options]) => [seed, name, options] as const)))(
    'has the same when it has loaded what was compacted (seed %i, %s)',
    { timeout: 120_000 },
    async (seed, _name, options) => {
      const round = { seed, commands: LONG ? 3000 : 800 }
      const course = { ...round, replica: true, timestamps: false, rewrites: 1 }
      const logs = [
        madeUp(server, round),
        ...(await written(server, { ...course, preamble: seed % 2 === 0 })),
      ]
      try {
        for (const log of logs) {
          const before = await reloader.state(log)
          if (before === undefined) continue
          const { result } = await compacted(log, server, options)
          const after = await reloader.state(result)
          expect(after, 'the server does not load the result').toBeDefined()
          if (after !== undefined) expect(differences(after, before)).toEqual([])
        }
      } finally {
        await reloader.stop()
      }
    },
  )
})

const found = foundServers()

describe.each(found.filter(({ name }) => name === 'redis-8.0'))('%s', server => {
  it('has vector sets that were changed since their base, as they are there and by their commands', async () => {
    const add = (n: number) => ['VADD', 'vectors', 'VALUES', '2', String(n), '1', `element ${n}`]
    const folder = await server.run(async client => {
      for (let n = 0; n < 20; n++) await client.query(...add(n))
      await client.query('BGREWRITEAOF')
      for (let look = 0; ; look++) {
        const info = String(await client.query('INFO', 'persistence'))
        if (/aof_rewrite_in_progress:0/.test(info) && /aof_rewrite_scheduled:0/.test(info)) break
        expect(look).toBeLessThan(1000)
        await wait(10)
      }
      for (let n = 20; n < 30; n++) await client.query(...add(n))
      await client.query('VREM', 'vectors', 'element 3')
    })
    const output = join(temporaryFolder(), 'compacted')
    const input = await resolveInput(folder)
    const report = await compactLog(
      input,
      { ...OPTIONS, as: undefined },
      { output, force: false, backup: true },
    )
    expect(report).toMatchObject({ target: 'redis-8.0', verified: true, after: { keys: 1, commands: 11 } })
    const loaded = await server.load(filesOf(readParts(output)), { truncated: 'no' })
    try {
      expect(loaded.errors).toEqual([])
      expect(await loaded.query('VCARD', 'vectors')).toBe(29)
    } finally {
      await loaded.stop()
    }
  })
})

describe('a log compacted for all', () => {
  it.each([true, false])(
    'loads on every server without an error, with one keyspace, and check-aof accepts it (preamble: %s)',
    { timeout: 120_000 },
    async preamble => {
      // Of the oldest: what it knows all know.
      const [server] = found
      const log = madeUp(server, { seed: FIRST_SEED, commands: 1500 })
      const { result } = await compacted(log, server, { target: 'common', preamble })
      const files = filesOf(result)
      const answers = new Set<string>()
      for (const other of found) {
        const loaded = await other.load(files, { truncated: 'no' })
        try {
          expect({ started: loaded.started, errors: loaded.errors }, other.name).toEqual({
            started: true,
            errors: [],
          })
          answers.add(
            String(await loaded.query('INFO', 'keyspace')).replace(
              /,avg_ttl=\d+|,subexpiry=\d+|,keys_with_volatile_items=\d+/g,
              '',
            ),
          )
        } finally {
          await loaded.stop()
        }
        const folder = join(temporaryFolder(), 'log')
        mkdirSync(folder)
        for (const [name, bytes] of Object.entries(files)) writeFileSync(join(folder, name), bytes)
        const checked = spawnSync(realpathSync(other.binary.replace(/-server$/, '-check-aof')), [
          join(folder, 'appendonly.aof.manifest'),
        ])
        expect(checked.stdout.toString(), other.name).toContain('All AOF files and manifest are valid')
      }
      expect(answers.size, [...answers].join()).toBe(1)
    },
  )
})
