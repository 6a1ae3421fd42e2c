import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { copyFile, mkdtemp, rm, stat } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { FileSource } from '../src/bytes/file-source.ts'
import { Sink } from '../src/bytes/sink.ts'
import { Window } from '../src/bytes/window.ts'
import { EntryReader } from '../src/rdb/entries.ts'
import { fieldsMayExpire, isTargetName, RDB_TARGETS, type TargetName } from '../src/rdb/targets.ts'
import { RdbWalk } from '../src/rdb/walk.ts'
import { RdbWriter } from '../src/rdb/writer.ts'

/*
 * Writing an RDB from decoded values, compressed, against a server's SAVE of the same data.
 *
 *     node scripts/run.js bench/write-rdb.ts IN OUT [TARGET]      the whole process, to be timed
 *     node scripts/run.js bench/write-rdb.ts IN --save SERVER     how long the server's SAVE takes, and its LOAD of IN
 */

const ENOUGH = 1 << 20

/** Decodes every value of the RDB `from` and writes it anew to `to`. */
export async function rewrite(from: string, to: string, target: TargetName = 'redis-8.0'): Promise<void> {
  const source = await FileSource.open(from)
  const sink = await Sink.create(to, { replace: true })
  try {
    const walk = new RdbWalk(new Window(source), { values: true })
    const { family } = RDB_TARGETS[target]
    const writer = new RdbWriter(RDB_TARGETS[target], { modules: family })
    const reader = new EntryReader({
      entry: entry => writer.entry(entry, fieldsMayExpire(entry.type)),
      damaged: error => {
        throw error
      },
    })
    let writing: Promise<void> = Promise.resolve()
    for (let event = await walk.next(); event !== undefined; event = await walk.next()) {
      switch (event.kind) {
        case 'select':
          writer.select(event.db)
          break
        case 'resize':
          writer.resize(event.keys, event.expires)
          break
        case 'aux':
          if (event.name !== undefined && event.value !== undefined)
            writer.aux(Buffer.from(event.name).toString(), Buffer.from(event.value).toString())
          break
        case 'function':
        case 'module-aux':
          if (event.bytes !== undefined) writer.copyRecord(event.kind, event.bytes, 0, event.bytes.length)
          break
        default:
          reader.event(event)
      }
      if (writer.pending < ENOUGH) continue
      await writing
      writing = sink.write(writer.take())
    }
    if (walk.error !== undefined) throw walk.error
    writer.finish()
    await writing
    await sink.write(writer.take())
    await sink.commit()
  } finally {
    await sink.abort()
    await source.close()
  }
}

/** Seconds that the server at `serverBinary` needs to load the RDB at `path`, and to save it again; and bytes of that. */
export async function saveTime(
  path: string,
  serverBinary: string,
): Promise<{ load: number; save: number; bytes: number }> {
  const folder = await mkdtemp(join(tmpdir(), 'aofkit-bench-'))
  try {
    await copyFile(path, join(folder, 'dump.rdb'))
    const socketPath = join(folder, 'socket')
    const server = spawn(
      serverBinary,
      ['--port', '0', '--unixsocket', socketPath, '--dir', folder, '--save', '', '--appendonly', 'no'],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    )
    try {
      let log = ''
      server.stdout.setEncoding('utf8').on('data', text => {
        log += text
      })
      const gone = once(server, 'exit')
      while (!/DB loaded from disk: [\d.]+/.test(log) || !existsSync(socketPath)) {
        if (server.exitCode !== null) throw new Error(log)
        await new Promise(resolve => setTimeout(resolve, 20))
      }
      const load = Number(/DB loaded from disk: ([\d.]+)/.exec(log)?.[1])
      const socket = connect(socketPath)
      const started = performance.now()
      socket.write('SAVE\r\n')
      const [reply] = await once(socket, 'data')
      const save = (performance.now() - started) / 1000
      if (!String(reply).startsWith('+OK')) throw new Error(String(reply))
      socket.destroy()
      server.kill('SIGKILL')
      await gone
      return { load, save, bytes: (await stat(join(folder, 'dump.rdb'))).size }
    } finally {
      server.kill('SIGKILL')
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

if (process.argv[1] !== undefined && resolve(process.argv[1]).endsWith('write-rdb.ts')) {
  const [from, to, last] = process.argv.slice(2)
  if (to === '--save') {
    console.log(JSON.stringify(await saveTime(from, last)))
  } else {
    if (last !== undefined && !isTargetName(last)) throw new Error(`no target: ${last}`)
    await rewrite(from, to, last)
  }
}
