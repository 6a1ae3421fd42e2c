/**
 * Logs that real servers wrote, for the tests of operations: kept by kind, with the files of their folder.
 */
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { Client, Server } from '../helpers/servers.ts'

/** Files of a folder, by name. */
export type Files = Record<string, Buffer>

export function filesIn(folder: string): Files {
  return Object.fromEntries(readdirSync(folder).map(name => [name, readFileSync(join(folder, name))]))
}

/** A base with keys, and three incr parts: two rewrites were begun after the first, and failed. */
export async function multiPartLog(server: Server, args: readonly string[] = []): Promise<Files> {
  const folder = await server.run(
    async client => {
      await writeSome(client, 'base')
      await rewrite(client)
      await writeSome(client, 'first')
      await failRewrite(client)
      await writeSome(client, 'second')
      await failRewrite(client)
      await writeSome(client, 'third')
    },
    { args: ['--aof-timestamp-enabled', 'yes', ...args] },
  )
  return filesIn(folder)
}

/** Values of several types, binary ones too, in two databases, and a transaction. */
export async function writeSome(client: Client, prefix: string): Promise<void> {
  const commands: (string | Uint8Array | number)[][] = [
    ['SELECT', 0],
    ['SET', `${prefix}:string`, Buffer.from([0, 13, 10, 42, 255, 36])],
    ['RPUSH', `${prefix}:list`, 'a', 'b', ''],
    ['SELECT', 3],
    ['MULTI'],
    ['HSET', `${prefix}:hash`, 'field', '*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n'],
    ['INCR', 'counter'],
    ['EXEC'],
    ['ZADD', `${prefix}:zset`, '1.5', 'one', '-inf', 'two'],
    ['SELECT', 0],
    ['SET', `${prefix}:long`, 'x'.repeat(300)],
    ['SADD', 'set', prefix],
  ]
  for (const args of commands) await asked(client, ...args)
}

async function asked(client: Client, ...args: (string | Uint8Array | number)[]): Promise<string> {
  const reply = await client.query(...args)
  if (reply instanceof Error) throw new Error(`${args.join(' ')}: ${reply.message}`)
  return String(reply)
}

/** A rewrite, waited for. */
export async function rewrite(client: Client): Promise<void> {
  await asked(client, 'BGREWRITEAOF')
  await settled(client, 'ok')
}

/** A rewrite that is killed: what is written from its beginning on is in a new incr part, and the old ones stay. */
export async function failRewrite(client: Client): Promise<void> {
  await asked(client, 'CONFIG', 'SET', 'rdb-key-save-delay', 10_000_000)
  await asked(client, 'BGREWRITEAOF')
  const pid = /process_id:(\d+)/.exec(await asked(client, 'INFO', 'server'))?.[1]
  for (const child of childrenOf(String(pid))) process.kill(child, 'SIGKILL')
  await settled(client, 'err')
  await asked(client, 'CONFIG', 'SET', 'rdb-key-save-delay', 0)
}

function childrenOf(pid: string): number[] {
  const list =
    process.platform === 'linux'
      ? readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1')
      : execFileSync('pgrep', ['-P', pid], { encoding: 'latin1' })
  return list.trim().split(/\s+/).map(Number)
}

async function settled(client: Client, status: 'ok' | 'err'): Promise<void> {
  for (;;) {
    const info = await asked(client, 'INFO', 'persistence')
    if (/aof_rewrite_in_progress:0/.test(info) && info.includes(`aof_last_bgrewrite_status:${status}`)) return
    await wait(5)
  }
}
