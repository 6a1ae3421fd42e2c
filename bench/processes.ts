import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/* Whole processes, and what they take. */

export const root = dirname(dirname(process.argv[1] ?? fileURLToPath(import.meta.url)))
/** Where the generated logs are. */
export const data = join(root, 'bench', '.data')
export const aofkit = join(root, 'bin', 'aofkit.js')

export interface Run {
  readonly seconds: number
  /** Of processors, in user and system; where that is not known, as {@link seconds}. */
  readonly work: number
  /** Peak, in MB; what was seen by looking every few milliseconds. */
  readonly memory: number
}

export function run(command: string, args: readonly string[]): Promise<Run> {
  return new Promise((resolve, reject) => {
    const started = process.hrtime.bigint()
    const before = childrenWork()
    const child = spawn(command, args, { stdio: 'ignore' })
    let memory = 0
    const look = () => {
      try {
        const status = readFileSync(`/proc/${child.pid}/status`, 'latin1')
        memory = Math.max(memory, Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024)
      } catch {
        // Gone, or no Linux.
      }
    }
    const timer = setInterval(look, 5)
    child.once('error', reject)
    child.once('exit', code => {
      clearInterval(timer)
      if (code === 2) reject(new Error(`${command} ${args.join(' ')} could not do it`))
      else {
        const seconds = Number(process.hrtime.bigint() - started) / 1e9
        const after = childrenWork()
        const work = before === undefined || after === undefined ? seconds : after - before
        resolve({ seconds, work, memory })
      }
    })
  })
}

/**
 * Seconds of processors that all children which are gone took; undefined where that is not known. On a machine that has
 * other things to do it says more than a clock does.
 */
export function childrenWork(): number | undefined {
  try {
    // Behind the name, which may hold anything; in hundredths of a second, whatever the clock of the kernel is.
    const fields = readFileSync('/proc/self/stat', 'latin1')
      .replace(/^.*\) /s, '')
      .split(' ')
    return (Number(fields[13]) + Number(fields[14])) / 100
  } catch {
    return undefined
  }
}

export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]
}

/** What a server brings (`server`, `check-aof`, …). Redis 8.0's by preference: it is the fastest of its kind. */
export function tool(name: string, servers = ['redis-8.0', 'valkey-9.1', 'redis-7.0']): string | undefined {
  const folder = process.env.AOFKIT_SERVERS
  const candidates = folder
    ? servers.map(server => join(folder, 'bin', `${server}-${name}`))
    : (process.env.PATH ?? '').split(delimiter).map(path => join(path, `redis-${name}`))
  return candidates.find(path => existsSync(path))
}
