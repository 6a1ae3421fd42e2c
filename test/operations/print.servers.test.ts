import { connect } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { generator } from '../../bench/logs.ts'
import { call } from '../helpers/command.ts'
import { type Client, foundServers, type Server } from '../helpers/servers.ts'
import { temporaryFolder } from '../helpers/temp.ts'
import { place } from './repairing.ts'
import { failRewrite, filesIn, multiPartLog, rewrite, writeSome } from './server-logs.ts'

/*
 * What print gives of logs that servers wrote: fed to a fresh server it makes the same data, and the arguments are what
 * was written.
 */

const SEED = Number(process.env.AOFKIT_SEED ?? 20240505)

type Command = (string | Buffer | number)[]

/** Commands that stand in a log as they were given, of all sizes and kinds of bytes. */
function commands(count: number): Command[] {
  const random = generator(SEED)
  const int = (n: number) => Math.floor(random() * n)
  const bytes = () => Buffer.from(Array.from({ length: int(60) }, () => int(256)))
  const text = () =>
    ['', 'Grüße', '日本語', '\ufeffx', '"quoted"\\', '\u001b[1m', '{"base64":"AA=="}'][int(7)]
  const value = () => (int(2) === 0 ? bytes() : text())
  return Array.from({ length: count }, (_, i): Command => {
    switch (i % 5) {
      case 0:
        return ['SET', `string:${int(20)}`, value()]
      case 1:
        return ['HSET', `hash:${int(5)}`, value(), value()]
      case 2:
        return ['RPUSH', `list:${int(5)}`, value(), value(), value()]
      case 3:
        return ['SADD', Buffer.concat([Buffer.from('set:'), bytes()]), value()]
      default:
        return ['ZADD', `zset:${int(5)}`, int(100), value()]
    }
  })
}

async function send(client: Client, list: readonly Command[]): Promise<void> {
  for (const reply of await Promise.all(list.map(args => client.query(...args)))) {
    if (reply instanceof Error) throw reply
  }
}

interface Line {
  readonly args: (string | { base64: string })[]
}

function argumentsOf(out: Buffer): Buffer[][] {
  return out
    .toString()
    .trimEnd()
    .split('\n')
    .map(line => (JSON.parse(line) as Line).args)
    .map(args =>
      args.map(arg => (typeof arg === 'string' ? Buffer.from(arg) : Buffer.from(arg.base64, 'base64'))),
    )
}

/** Gives bytes to a server, as `redis-cli --pipe` does; its error replies. */
function feed(socketPath: string, bytes: Buffer): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath)
    let replies = ''
    socket.on('error', reject)
    socket.setEncoding('latin1').on('data', text => {
      replies += text
      if (!replies.endsWith('$8\r\nall done\r\n')) return
      socket.destroy()
      resolve(replies.split('\r\n').filter(line => line.startsWith('-')))
    })
    socket.write(bytes)
    socket.write('*2\r\n$4\r\nECHO\r\n$8\r\nall done\r\n')
  })
}

async function digestOf(server: Server, log: string): Promise<string> {
  const loaded = await server.load(log, { truncated: 'no' })
  const digest = String(await loaded.query('DEBUG', 'DIGEST'))
  await loaded.stop()
  expect(digest).toMatch(/^[1-9a-f][0-9a-f]{39}|[0-9a-f]{40}$/)
  return digest
}

const servers = foundServers()

describe.skipIf(servers.length === 0).each(servers.map(server => ({ server, name: server.name })))(
  'print of a log of $name',
  ({ server }) => {
    it('as RESP makes the same data in a fresh server', async () => {
      // A base of commands, which can be printed so, two incr parts, several databases, transactions and times.
      const folder = await server.run(
        async client => {
          await writeSome(client, 'base')
          await send(client, commands(200))
          await rewrite(client)
          await client.query('SELECT', 2)
          await client.query('SET', 'expiring', 'x', 'EX', 100_000)
          await client.query('SET', 'large', 'y'.repeat(5_000_000))
          await failRewrite(client)
          await writeSome(client, 'more')
          await client.query('SWAPDB', 2, 3)
          await client.query('XADD', 'stream', '*', 'field', 'value')
        },
        { args: ['--aof-use-rdb-preamble', 'no', '--aof-timestamp-enabled', 'yes'] },
      )
      const { status, out, err } = await call('print', folder, '--format', 'resp')
      expect({ status, err }).toEqual({ status: 0, err: '' })
      const fresh = await server.load(Buffer.alloc(0), { args: ['--replicaof', 'no', 'one'] })
      try {
        expect(await feed(join(fresh.folder, 'socket'), out)).toEqual([])
        expect(String(await fresh.query('DEBUG', 'DIGEST'))).toBe(await digestOf(server, folder))
      } finally {
        await fresh.stop()
      }
    })

    it('as RESP of one database makes the same data in that one', async () => {
      const folder = await server.run(async client => {
        await writeSome(client, 'some')
      })
      const { out } = await call('print', folder, '--format', 'resp', '--db', '3')
      const fresh = await server.load(Buffer.alloc(0), { args: ['--replicaof', 'no', 'one'] })
      try {
        // Without its MULTI, which stands in another database's stretch or in this one.
        expect((await feed(join(fresh.folder, 'socket'), out)).filter(error => !/EXEC/.test(error))).toEqual(
          [],
        )
        expect(String(await fresh.query('INFO', 'keyspace'))).toMatch(/db3:keys=3,/)
        expect(String(await fresh.query('INFO', 'keyspace'))).not.toMatch(/db0/)
      } finally {
        await fresh.stop()
      }
    })

    it('as JSON Lines has the arguments that were written, byte for byte', async () => {
      const written: Command[] = [...commands(500), ['SET', 'large', Buffer.alloc(5_000_000, 0xfe)]]
      const folder = await server.run(client => send(client, written))
      const { status, out, err } = await call('print', folder, '--json')
      expect({ status, err }).toEqual({ status: 0, err: '' })
      const [select, ...others] = argumentsOf(out)
      expect(select.map(String)).toEqual(['SELECT', '0'])
      expect(others).toHaveLength(written.length)
      for (const [i, args] of others.entries()) {
        const wanted = written[i].map(arg => (arg instanceof Buffer ? arg : Buffer.from(`${arg}`)))
        const same = args.length === wanted.length && args.every((arg, a) => arg.equals(wanted[a]))
        expect(same, `command ${i}: ${written[i].slice(0, 2)}`).toBe(true)
      }
    })

    it('has the commands for the keys of its base, with their expiry', async () => {
      const at = Math.floor(Date.now() / 1000) * 1000 + 90_000_000
      const folder = await server.run(async client => {
        await writeSome(client, 'base')
        await client.query('PEXPIREAT', 'base:list', at)
        await client.query('XADD', 'base:stream', '1-1', 'a', 'b')
        await rewrite(client)
      })
      const { out } = await call('print', folder, '--json')
      const lines = out
        .toString()
        .trimEnd()
        .split('\n')
        .map(line => JSON.parse(line))
      const shown = lines.map(({ db, args }) => `${db} ${args[0]} ${args[1]}`)
      expect(shown.sort()).toEqual(
        [
          '0 RPUSH base:list',
          '0 PEXPIREAT base:list',
          '0 SET base:long',
          '0 XADD base:stream',
          '0 XSETID base:stream',
          '0 SET base:string',
          '0 SADD set',
          '3 HMSET base:hash',
          '3 ZADD base:zset',
          '3 SET counter',
        ].sort(),
      )
      expect(lines.find(({ args }) => args[0] === 'PEXPIREAT').args[2]).toBe(`${at}`)
    })

    it('that was cut anywhere has the commands that are whole', async () => {
      const log = await multiPartLog(server)
      const [name] = Object.keys(log).filter(file => file.endsWith('4.incr.aof'))
      const whole = await call('print', place(temporaryFolder(), log[name]), '--json')
      const lines = whole.out.toString().split('\n')
      for (let cut = 20; cut < log[name].length; cut += 97) {
        const { status, out, err } = await call(
          'print',
          place(temporaryFolder(), log[name].subarray(0, cut)),
          '--json',
        )
        const there = out.toString().split('\n').slice(0, -1)
        expect(there).toEqual(lines.slice(0, there.length))
        expect(status, err).toBe(err === '' ? 0 : 1)
      }
    })

    it('leaves the log as it is, and does not trouble a server that writes it', async () => {
      const folder = await server.run(async client => {
        await writeSome(client, 'one')
        const [, directory] = (await client.query('CONFIG', 'GET', 'dir')) as Buffer[]
        const { status, err } = await call('print', String(directory))
        expect({ status, err }).toEqual({ status: 0, err: '' })
        await writeSome(client, 'two')
      })
      expect(Object.keys(filesIn(folder)).filter(name => name.includes('aofkit'))).toEqual([])
    })
  },
)
