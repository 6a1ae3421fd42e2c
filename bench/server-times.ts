import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { copyFile, mkdir, mkdtemp, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { childrenWork } from './processes.ts'

/* How long servers take for what aofkit does without one. */

/** Seconds that SAVE takes in the server at `serverBinary` when it has loaded the RDB at `path`; bytes that it writes. */
export function saveTime(path: string, serverBinary: string): Promise<{ seconds: number; bytes: number }> {
  return loaded(path, serverBinary, async (ask, folder) => ({
    seconds: await ask('SAVE'),
    bytes: (await stat(join(folder, 'dump.rdb'))).size,
  }))
}

/** Seconds that DEBUG DIGEST takes in it, and loading before that. */
export function digestTime(path: string, serverBinary: string): Promise<{ seconds: number; load: number }> {
  return loaded(path, serverBinary, async (ask, _folder, load) => ({
    seconds: await ask('DEBUG DIGEST'),
    load,
  }))
}

/** Seconds of processors that the server takes for it; as {@link loadTime} where that is not known. */
export async function loadWork(path: string, serverBinary: string): Promise<number> {
  const before = childrenWork()
  const seconds = await loadTime(path, serverBinary)
  const after = childrenWork()
  return before === undefined || after === undefined ? seconds : after - before
}

/** Seconds that the server at `serverBinary` takes to load the log at `path`, which has commands only. */
export async function loadTime(path: string, serverBinary: string): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'aofkit-bench-'))
  try {
    const parts = join(folder, 'appendonlydir')
    await mkdir(parts)
    await symlink(path, join(parts, 'appendonly.aof.1.incr.aof'))
    await writeFile(join(parts, 'appendonly.aof.manifest'), 'file appendonly.aof.1.incr.aof seq 1 type i\n')
    const server = spawn(
      serverBinary,
      [
        ...['--port', '0', '--unixsocket', join(folder, 'socket'), '--dir', folder, '--save', ''],
        ...['--appendonly', 'yes', '--appendfsync', 'no', '--auto-aof-rewrite-percentage', '0'],
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    )
    try {
      let log = ''
      server.stdout.setEncoding('utf8').on('data', text => {
        log += text
      })
      while (!LOADED_LOG.test(log)) {
        if (server.exitCode !== null) throw new Error(log)
        await new Promise(resolve => setTimeout(resolve, 20))
      }
      return Number(LOADED_LOG.exec(log)?.[1])
    } finally {
      const gone = server.exitCode === null ? once(server, 'exit') : undefined
      server.kill('SIGKILL')
      await gone
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Seconds that a command takes. */
type Ask = (command: string) => Promise<number>

async function loaded<T>(
  path: string,
  serverBinary: string,
  work: (ask: Ask, folder: string, load: number) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'aofkit-bench-'))
  try {
    await copyFile(path, join(folder, 'dump.rdb'))
    const socketPath = join(folder, 'socket')
    const server = spawn(
      serverBinary,
      [
        ...['--port', '0', '--unixsocket', socketPath, '--dir', folder, '--save', '', '--appendonly', 'no'],
        ...['--enable-debug-command', 'yes'],
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    )
    try {
      let log = ''
      server.stdout.setEncoding('utf8').on('data', text => {
        log += text
      })
      while (!LOADED.test(log) || !existsSync(socketPath)) {
        if (server.exitCode !== null) throw new Error(log)
        await new Promise(resolve => setTimeout(resolve, 20))
      }
      const socket = connect(socketPath)
      const ask = async (command: string) => {
        const started = performance.now()
        socket.write(`${command}\r\n`)
        const [reply] = await once(socket, 'data')
        if (!String(reply).startsWith('+')) throw new Error(String(reply))
        return (performance.now() - started) / 1000
      }
      const result = await work(ask, folder, Number(LOADED.exec(log)?.[1]))
      socket.destroy()
      return result
    } finally {
      const gone = server.exitCode === null ? once(server, 'exit') : undefined
      server.kill('SIGKILL')
      await gone
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

const LOADED = /DB loaded from disk: ([\d.]+)/
const LOADED_LOG = /DB loaded from append only file: ([\d.]+)/
