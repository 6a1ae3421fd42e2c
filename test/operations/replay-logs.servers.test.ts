import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { resolveInput } from '../../src/aof/parts.ts'
import { openSource } from '../../src/bytes/open.ts'
import { digestShards } from '../../src/operations/digest.ts'
import { replayShards } from '../../src/operations/shards.ts'
import { foundServers, type Loaded, type Log, type Server } from '../helpers/servers.ts'
import { multiPartLog } from './server-logs.ts'

/*
 * Whole logs of the fixtures, sound and not: where a server loads one, the keyspace is the server's.
 */

const OPTIONS = { databases: 16, allowCommands: [] } as const
/** Logs whose keys only a server with a module, or one that runs scripts, can have. */
const REFUSED: Readonly<Record<string, string>> = {
  'corrupt/command.script.aof': 'replay.script',
}

/** Logs of a folder that some server loads. */
function logs(folder: string): string[] {
  return readdirSync(join('fixtures', folder))
    .filter(name => name.endsWith('.expect.json') && !name.includes('.rdb.'))
    .filter(name => {
      const expected = JSON.parse(readFileSync(join('fixtures', folder, name), 'utf8'))
      return expected.verdict !== undefined && expected.verdict !== 'corrupt' && expected.parts.length > 0
    })
    .map(name => `${folder}/${name.slice(0, -'.expect.json'.length)}`)
}

// A server looks only for a manifest of the name that it was given.
const LOGS = [...logs('aof'), ...logs('manifest'), ...logs('corrupt')].filter(
  name => name !== 'manifest/quoted-names',
)

async function logOf(path: string): Promise<Log> {
  if (existsSync(join(path, 'appendonlydir'))) return join(path, 'appendonlydir')
  if (!/\.aof(\.gz|\.zst)?$/.test(path)) return path
  const source = await openSource(path, { again: true })
  try {
    const pieces: Buffer[] = []
    for (let piece = Buffer.alloc(65_536), count = 1; count > 0; piece = Buffer.alloc(65_536)) {
      count = await source.read(piece, 0, piece.length)
      pieces.push(piece.subarray(0, count))
    }
    return Buffer.concat(pieces)
  } finally {
    await source.close()
  }
}

async function serverSays(loaded: Loaded) {
  const keyspace = String(await loaded.query('INFO', 'keyspace'))
  const libraries = (await loaded.query('FUNCTION', 'LIST')) as unknown[]
  return {
    digest: String(await loaded.query('DEBUG', 'DIGEST')),
    counts: Object.fromEntries(
      [...keyspace.matchAll(/db(\d+):keys=(\d+),expires=(\d+)/g)].map(([, db, keys, expires]) => [
        db,
        { keys: Number(keys), expires: Number(expires) },
      ]),
    ),
    functions: libraries.length,
  }
}

/** What we say of a log; in halves (`least` 0) the same as of the whole. */
async function weSay(path: string, server: Server, least: number) {
  const options = { ...OPTIONS, as: server.name }
  const sharing = { least, longestRecord: Number.POSITIVE_INFINITY, thread: false }
  const replay = await replayShards(await resolveInput(path), options, undefined, sharing)
  try {
    const { digest } = await digestShards(replay, server.name, true)
    return {
      digest: digest.hex(),
      counts: Object.fromEntries(digest.counts),
      functions: replay.functions,
    }
  } finally {
    await replay.close()
  }
}

const WHOLE = Number.POSITIVE_INFINITY

describe.each(foundServers())('%s', server => {
  it.each(LOGS)('has the keys of %s, when it loads it', async name => {
    const path = join('fixtures', name)
    const log = await logOf(path)
    const loaded = await server.load(log, { as: 'single' })
    try {
      if (!loaded.started) return
      if (REFUSED[name] !== undefined) {
        await expect(weSay(path, server, WHOLE)).rejects.toMatchObject({ code: REFUSED[name] })
        return
      }
      const theirs = await serverSays(loaded)
      expect(await weSay(path, server, WHOLE)).toEqual(theirs)
      expect(await weSay(path, server, 0)).toEqual(theirs)
    } finally {
      await loaded.stop()
    }
  })

  it('has the keys of a base and three incr parts that it wrote', async () => {
    const files = await multiPartLog(server)
    const loaded = await server.load(files)
    try {
      const theirs = await serverSays(loaded)
      expect(await weSay(join(loaded.folder, 'appendonlydir'), server, WHOLE)).toEqual(theirs)
      expect(await weSay(join(loaded.folder, 'appendonlydir'), server, 0)).toEqual(theirs)
    } finally {
      await loaded.stop()
    }
  })
})
