import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { copyFile, mkdir, mkdtemp, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises'
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
  return (await loadedLog(path, serverBinary, async load => ({ load }))).load
}

/** What a server takes that loads a log and rewrites it. */
export interface Rewrite {
  /** From its start to the end of the rewrite. */
  readonly seconds: number
  /** Of the base that it writes. */
  readonly bytes: number
}

/** Seconds that the server takes to load the log, a file of commands or the folder of a multi-part one, and to rewrite it. */
export function rewriteTime(path: string, serverBinary: string): Promise<Rewrite> {
  return loadedLog(path, serverBinary, async (load, folder, socketPath, output) => {
    const socket = connect(socketPath)
    const started = performance.now()
    socket.write('BGREWRITEAOF\r\n')
    const [reply] = await once(socket, 'data')
    socket.destroy()
    if (!String(reply).startsWith('+')) throw new Error(String(reply))
    while (!REWRITTEN.test(output())) await new Promise(resolve => setTimeout(resolve, 5))
    const seconds = load + (performance.now() - started) / 1000
    const parts = join(folder, 'appendonlydir')
    const base = (await readdir(parts)).find(name => name.endsWith('.base.rdb'))
    return { seconds, bytes: (await stat(join(parts, base as string))).size }
  })
}

async function loadedLog<T>(
  path: string,
  serverBinary: string,
  work: (load: number, folder: string, socket: string, output: () => string) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'aofkit-bench-'))
  try {
    const parts = join(folder, 'appendonlydir')
    const socket = join(folder, 'socket')
    await mkdir(parts)
    if ((await stat(path)).isDirectory()) {
      // A copy: it writes there.
      for (const name of await readdir(path)) await copyFile(join(path, name), join(parts, name))
    } else {
      await symlink(path, join(parts, 'appendonly.aof.1.incr.aof'))
      await writeFile(join(parts, 'appendonly.aof.manifest'), 'file appendonly.aof.1.incr.aof seq 1 type i\n')
    }
    const server = spawn(
      serverBinary,
      [
        ...['--port', '0', '--unixsocket', socket, '--dir', folder, '--save', ''],
        ...['--appendonly', 'yes', '--appendfsync', 'no', '--auto-aof-rewrite-percentage', '0'],
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    )
    try {
      let log = ''
      server.stdout.setEncoding('utf8').on('data', text => {
        log += text
      })
      while (!READY.test(log)) {
        if (server.exitCode !== null) throw new Error(log)
        await new Promise(resolve => setTimeout(resolve, 20))
      }
      let load = 0
      for (const [, seconds] of log.matchAll(LOADED_PART)) load += Number(seconds)
      return await work(load, folder, socket, () => log)
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
const READY = /Ready to accept connections/
/** Of the base; the last of them is of all. */
const LOADED_PART = /DB loaded from append only file: ([\d.]+)/g
const REWRITTEN = /Background AOF rewrite finished successfully/
