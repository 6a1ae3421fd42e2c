import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { call, callJson } from '../helpers/command.ts'
import { type Client, foundServers } from '../helpers/servers.ts'
import { temporaryFolder } from '../helpers/temp.ts'
import { failRewrite, rewrite } from './server-logs.ts'

/*
 * The figures of inspect, held against what a server was told to do, and what it says of itself.
 */

interface InspectJson {
  readonly path: string
  readonly layout: string
  readonly parts: readonly {
    readonly file: string
    readonly type: string
    readonly format: string
    readonly size: number
    readonly rdbVersion?: number
    readonly aux?: Record<string, string>
    readonly keys: number
    readonly commands: number
    readonly databases: readonly number[]
    readonly firstTimestamp?: number
    readonly lastTimestamp?: number
    readonly transactions: number
  }[]
  readonly bytes: number
  readonly growthPercent?: number
  readonly server: string
  readonly beingWritten: boolean | null
}

async function infoOf(client: Pick<Client, 'query'>, name: string): Promise<number> {
  const text = String(await client.query('INFO', 'persistence'))
  const value = new RegExp(`^${name}:(\\d+)\\r?$`, 'm').exec(text)?.[1]
  if (value === undefined) throw new Error(`no ${name} in ${text}`)
  return Number(value)
}

async function folderOf(client: Client): Promise<string> {
  const [, directory] = (await client.query('CONFIG', 'GET', 'dir')) as Buffer[]
  return String(directory)
}

const servers = foundServers()

describe.skipIf(servers.length === 0).each(servers.map(server => ({ server, name: server.name })))(
  'inspect of a log of $name',
  ({ server }) => {
    it('counts what the server was told to do', async () => {
      const before = Math.floor(Date.now() / 1000)
      const folder = await server.run(
        async client => {
          for (let i = 0; i < 7; i++) await client.query('SET', `key:${i}`, 'x')
          await client.query('SELECT', 9)
          for (let i = 0; i < 5; i++) await client.query('RPUSH', `list:${i}`, 'x', 'y')
          await rewrite(client)
          // Servers annotate a second once, in whatever part they are then.
          await wait(1100)
          // In the incr part: a SELECT before the first command, and one wherever the database changes.
          for (let i = 0; i < 11; i++) await client.query('INCR', 'counter')
          for (let i = 0; i < 3; i++) {
            await client.query('SELECT', 4)
            await client.query('MULTI')
            await client.query('SADD', 'set', i, i + 1)
            await client.query('DEL', 'nothing', 'set')
            await client.query('EXEC')
          }
          await failRewrite(client)
          await client.query('SET', 'last', 'x')
        },
        { args: ['--aof-timestamp-enabled', 'yes'] },
      )
      const after = Math.ceil(Date.now() / 1000)
      const inspected = await callJson<InspectJson>('inspect', folder)
      expect(inspected).toMatchObject({
        status: 0,
        err: '',
        path: folder,
        layout: 'multi-part',
        server: server.name,
      })
      const [base, first, second] = inspected.parts
      expect(inspected.parts).toHaveLength(3)
      expect(base).toMatchObject({
        type: 'base',
        format: 'rdb',
        keys: 12,
        commands: 0,
        databases: [0, 9],
        transactions: 0,
      })
      const version = base.aux?.['valkey-ver'] ?? base.aux?.['redis-ver']
      expect(version?.startsWith(server.name.split('-')[1])).toBe(true)
      expect(base.aux).toMatchObject({ 'aof-base': '1' })
      expect(Number(base.aux?.ctime)).toBeGreaterThanOrEqual(before)
      expect(Number(base.aux?.ctime)).toBeLessThanOrEqual(after)
      expect(first).toMatchObject({
        type: 'incr',
        format: 'resp',
        keys: 0,
        // SELECT 9, the INCRs, SELECT 4, and MULTI, SADD, DEL, EXEC three times.
        commands: 1 + 11 + 1 + 3 * 4,
        databases: [4, 9],
        transactions: 3,
      })
      expect(second).toMatchObject({ commands: 2, databases: [4], transactions: 0 })
      const { firstTimestamp = 0, lastTimestamp = 0 } = first
      expect(firstTimestamp).toBeGreaterThanOrEqual(before + 1)
      expect(lastTimestamp).toBeGreaterThanOrEqual(firstTimestamp)
      expect(lastTimestamp).toBeLessThanOrEqual(after)
      expect(inspected.bytes).toBe(base.size + first.size + second.size)
    })

    it('says by how much the log has outgrown its base, as the server counts it', async () => {
      const copies = temporaryFolder()
      const figures: { folder: string; current: number; base: number }[] = []
      let copy = 0
      await server.run(async client => {
        const take = async () => {
          const folder = join(copies, `${++copy}`)
          cpSync(join(await folderOf(client), 'appendonlydir'), folder, { recursive: true })
          const current = await infoOf(client, 'aof_current_size')
          figures.push({ folder, current, base: await infoOf(client, 'aof_base_size') })
        }
        await client.query('SET', 'a', 'x'.repeat(5000))
        await rewrite(client)
        await take()
        await client.query('SET', 'b', 'z'.repeat(100))
        await take()
        await client.query('SET', 'c', 'incompressible'.repeat(1000))
        await take()
        await failRewrite(client)
        await client.query('SET', 'd', 'another part'.repeat(999))
        await take()
      })
      for (const { folder, current, base } of figures) {
        const { bytes, growthPercent } = await callJson<InspectJson>('inspect', folder)
        expect(bytes).toBe(current)
        // What servers compare with auto-aof-rewrite-percentage: whole numbers.
        expect(growthPercent).toBe(Math.floor((current * 100) / base) - 100)
      }
      expect(figures).toHaveLength(4)
      const restarted = await server.load(figures[3].folder)
      const again = await callJson<InspectJson>('inspect', join(restarted.folder, 'appendonlydir'))
      const [current, base] = [
        await infoOf(restarted, 'aof_current_size'),
        await infoOf(restarted, 'aof_base_size'),
      ]
      await restarted.stop()
      expect(again.bytes).toBe(current)
      expect(again.growthPercent).toBe(Math.floor((current * 100) / base) - 100)
    })

    it('says whether the server has it open', async context => {
      if (process.platform !== 'linux') return context.skip('only Linux tells who holds a file open')
      const folder = await server.run(async client => {
        await client.query('SET', 'a', 'b')
        const data = await folderOf(client)
        const pid = /process_id:(\d+)/.exec(String(await client.query('INFO', 'server')))?.[1]
        for (const path of [data, join(data, 'appendonlydir', 'appendonly.aof.1.incr.aof')]) {
          expect(await callJson('inspect', path)).toMatchObject({ status: 0, beingWritten: true })
        }
        const { out } = await call('inspect', data)
        expect(out.toString()).toContain(`It is being written to, by process ${pid}.`)
      })
      const { beingWritten } = await callJson<InspectJson>('inspect', folder)
      // Null where processes hide: on such a machine it cannot be known.
      expect([false, null]).toContain(beingWritten)
      expect((await call('inspect', folder)).out.toString()).not.toContain('being written')
    })

    it('has the same figures of a single file, with the preamble as its base', async () => {
      const folder = await server.run(async client => {
        await client.query('SET', 'a', 'x'.repeat(500))
        await rewrite(client)
        for (let i = 0; i < 20; i++) await client.query('SET', `key:${i}`, 'x')
      })
      const { parts } = await callJson<InspectJson>('inspect', folder)
      const files = parts.map(({ file }) => readFileSync(join(folder, file)))
      const path = join(temporaryFolder(), 'single')
      writeFileSync(path, Buffer.concat(files))
      const single = await callJson<InspectJson>('inspect', path)
      expect(single.layout).toBe('single')
      expect(single.parts).toMatchObject([{ type: 'single', format: 'rdb+resp', keys: 1, commands: 21 }])
      expect(single.growthPercent).toBe(Math.floor((single.bytes * 100) / parts[0].size) - 100)
    })
  },
)
