import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { generator } from '../../bench/logs.ts'
import { callJson } from '../helpers/command.ts'
import { foundServers, type Loaded, type Server } from '../helpers/servers.ts'
import { temporaryFolder } from '../helpers/temp.ts'
import { filesOf, type Log, type Recorded, recordsOf, unitsOf, written } from '../keyspace/logs.ts'
import type { RewindJson } from './rewinding.ts'

/*
 * What is rewound is what a server has that loads just what it wrote up to that moment: random commands of real servers,
 * with rewrites, transactions and scripts in between. The prefix is taken by other code.
 */

const SEED = Number(process.env.AOFKIT_SEED ?? 20240607)
const COMMANDS = process.env.AOFKIT_LONG === undefined ? 300 : 3000
const MOMENTS = process.env.AOFKIT_LONG === undefined ? 4 : 40

/** How the log is written: the server is on its own, or a replica that expires nothing. */
const COURSES = [
  { name: 'with RDB bases and times', preamble: true, timestamps: true, rewrites: 2 },
  { name: 'with bases of commands and times', preamble: false, timestamps: true, rewrites: 1 },
  { name: 'without times', preamble: true, timestamps: false, rewrites: 1 },
]

async function digestOf(server: Server, log: Parameters<Server['load']>[0]): Promise<string> {
  const loaded: Loaded = await server.load(log, { truncated: 'no' })
  try {
    expect(
      loaded.errors.filter(line => !line.includes('while replaying')),
      loaded.log,
    ).toEqual([])
    expect(loaded.started, loaded.log).toBe(true)
    return String(await loaded.query('DEBUG', 'DIGEST'))
  } finally {
    await loaded.stop()
  }
}

/** Where units begin in a part, behind its RDB. */
function boundariesOf({ name, bytes }: Log[number]): number[] {
  if (name.endsWith('.rdb')) return []
  return unitsOf(recordsOf(bytes)).map(([first]: readonly Recorded[]) => first.offset)
}

describe.each(foundServers())('%s', server => {
  it.each(COURSES)(
    `has after a rewind what it had then, $name (seed ${SEED})`,
    { timeout: 300_000 },
    async course => {
      const next = generator(SEED)
      const random = (below: number) => Math.floor(next() * below)
      const logs = await written(server, { ...course, seed: SEED, commands: COMMANDS, replica: false })
      for (const log of logs.slice(-2)) {
        const folder = temporaryFolder()
        const path = join(folder, 'log')
        mkdirSync(path)
        for (const [name, bytes] of Object.entries(filesOf(log))) writeFileSync(join(path, name), bytes)
        const places = log.flatMap(part => boundariesOf(part).map(offset => ({ part, offset })))
        if (places.length === 0) continue
        for (let moment = 0; moment < MOMENTS / 2; moment++) {
          const { part, offset } = places[random(places.length)]
          const output = join(folder, `result-${moment}`)
          const report = await callJson<RewindJson>(
            ...['rewind', path, '--allow-empty', '--output', output],
            ...['--to-offset', `${part.name}:${offset + random(4)}`],
          )
          expect(report, report.err).toMatchObject({ status: 0, cutAt: { part: part.name, offset } })
          const parts = log.slice(0, log.indexOf(part) + 1)
          const expected = parts.map(each =>
            each === part ? { name: each.name, bytes: each.bytes.subarray(0, offset) } : each,
          )
          expect(await digestOf(server, output)).toBe(await digestOf(server, filesOf(expected)))
        }
      }
    },
  )

  it("cuts at a time where the server's own tool does", async context => {
    const tool = server.binary.replace(/-server$/, '-check-aof')
    if (!existsSync(tool)) return context.skip(`${tool} is not there`)
    const nextSecond = () => new Promise(resolve => setTimeout(resolve, 1050))
    const written = await server.run(
      async client => {
        for (let second = 0; second < 3; second++) {
          for (const key of ['a', 'b', 'c']) await client.query('SET', key, second)
          await client.query('MULTI')
          await client.query('SELECT', second)
          await client.query('INCR', 'n')
          await client.query('EXEC')
          await nextSecond()
        }
      },
      { args: ['--aof-timestamp-enabled', 'yes'] },
    )
    const log = readFileSync(join(written, 'appendonly.aof.1.incr.aof'))
    const times = recordsOf(log)
      .filter(({ args }) => args === undefined)
      .map(({ offset, end }) => Number(log.toString('latin1', offset + 4, end - 2)))
    expect(times.length).toBeGreaterThanOrEqual(3)
    const folder = temporaryFolder()
    for (const time of times.slice(0, -1)) {
      const theirs = join(folder, `theirs-${time}.aof`)
      writeFileSync(theirs, log)
      // Some are the server itself, which goes by its name.
      const argv0 = `${server.name.split('-')[0]}-check-aof`
      const { status } = spawnSync(tool, ['--truncate-to-timestamp', `${time}`, theirs], {
        stdio: 'ignore',
        argv0,
      })
      expect(status).toBe(0)
      const path = join(folder, 'log.aof')
      writeFileSync(path, log)
      const output = join(folder, `ours-${time}.aof`)
      const report = await callJson<RewindJson>('rewind', path, '--to-time', `${time}`, '--output', output)
      expect(report, report.err).toMatchObject({ status: 0 })
      expect(readFileSync(output).equals(readFileSync(theirs))).toBe(true)
    }
  })

  it(`brings keys back as they were then, over whatever they are now (seed ${SEED})`, {
    timeout: 300_000,
  }, async () => {
    const next = generator(SEED + 1)
    const random = (below: number) => Math.floor(next() * below)
    const course = { preamble: true, timestamps: true, rewrites: 1, replica: true }
    const log = (await written(server, { ...course, seed: SEED + 1, commands: COMMANDS })).at(-1) as Log
    const folder = temporaryFolder()
    const path = join(folder, 'log')
    mkdirSync(path)
    for (const [name, bytes] of Object.entries(filesOf(log))) writeFileSync(join(path, name), bytes)
    const part = log.at(-1) as Log[number]
    const boundaries = boundariesOf(part)
    for (const glob of ['*', '[a-m]*', 's?']) {
      const offset = boundaries[random(boundaries.length)]
      const output = join(folder, `${glob.length}.aof`)
      const report = await callJson<{ onlyKeys: { keys: number } }>(
        ...['rewind', path, '--to-offset', `${part.name}:${offset}`],
        ...['--only-key', glob, '--output', output],
      )
      expect(report.status, report.err).toBe(0)
      const prefix = log.map(each =>
        each === part ? { name: each.name, bytes: each.bytes.subarray(0, offset) } : each,
      )
      const then = await server.load(filesOf(prefix), { truncated: 'no' })
      // Over what the whole log has left.
      const now = await server.load(filesOf(log), { args: ['--replica-read-only', 'no'] })
      try {
        let keys = 0
        for (const { args } of recordsOf(readFileSync(output))) {
          const reply = await now.query(...(args as readonly Buffer[]))
          expect(reply, String(args?.slice(0, 3))).not.toBeInstanceOf(Error)
        }
        for (let db = 0; db < 16; db++) {
          for (const each of [then, now]) await each.query('SELECT', db)
          for (const key of (await then.query('KEYS', glob)) as Buffer[]) {
            keys++
            for (const [...words] of [['DEBUG', 'DIGEST-VALUE'], ['PEXPIRETIME'], ['TYPE']]) {
              expect(String(await now.query(...words, key)), `${words} ${key}`).toBe(
                String(await then.query(...words, key)),
              )
            }
          }
        }
        // KEYS does not show those whose time is over.
        expect(report.onlyKeys.keys).toBeGreaterThanOrEqual(keys)
      } finally {
        await then.stop()
        await now.stop()
      }
      // As a log, too, and nothing else is in it.
      if (glob === '*')
        expect(await digestOf(server, readFileSync(output))).toBe(await digestOf(server, filesOf(prefix)))
    }
  })

  it('starts on a rewound log, goes on writing to it, and starts again', async () => {
    const folder = await server.run(async client => {
      await client.query('SET', 'a', '1')
      await client.query('BGREWRITEAOF')
      for (;;) {
        const info = String(await client.query('INFO', 'persistence'))
        if (/aof_rewrite_in_progress:0/.test(info) && /aof_rewrite_scheduled:0/.test(info)) break
      }
      await client.query('FLUSHALL')
    })
    const work = temporaryFolder()
    // Nothing is left of the incr part: only the base is in the new manifest.
    for (const [name, args] of [
      ['without', ['--without', 'flushall']],
      ['before', ['--before', 'flushall', '--nth', 'first']],
      ['boundary', ['--to-offset', 'appendonly.aof.2.incr.aof:0']],
    ] as const) {
      const output = join(work, name)
      const report = await callJson<RewindJson>('rewind', folder, '--output', output, ...args)
      expect(report, report.err).toMatchObject({ status: 0 })
      const first = await server.load(output, { args: ['--replicaof', 'no', 'one'] })
      const again = join(work, `${name}-again`)
      try {
        expect(String(await first.query('GET', 'a'))).toBe('1')
        expect(String(await first.query('SET', 'b', '2'))).toBe('OK')
        await first.query('CONFIG', 'SET', 'appendfsync', 'always')
        await first.query('SET', 'c', '3')
        cpSync(join(first.folder, 'appendonlydir'), again, { recursive: true })
      } finally {
        await first.stop()
      }
      const second = await server.load(again, { truncated: 'no' })
      try {
        expect(second.started, second.log).toBe(true)
        expect(await second.query('DBSIZE')).toBe(3)
      } finally {
        await second.stop()
      }
    }
  })
})
