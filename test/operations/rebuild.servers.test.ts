import { readdirSync, readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadsRdb, type ServerName } from '../../src/servers/servers.ts'
import { call } from '../helpers/command.ts'
import { forEachParallel } from '../helpers/parallel.ts'
import { foundServers, type Loaded, type Server } from '../helpers/servers.ts'
import { type Answer, askAll, askFunctions, type GroupAnswer, shortened } from '../rdb/answers.ts'
import { FILLABLE, fill } from '../rdb/fill.ts'

/*
 * The commands that print gives of an RDB make a server what the RDB itself makes it: the same DEBUG DIGEST, and the same
 * of what that leaves out. What no command can do is left out: pending entries that were deleted, when consumers were
 * seen, the sign of a score of -0 in a packed sorted set, and the first id of an empty stream of old, which servers make
 * up.
 */

const SEED = Number(process.env.AOFKIT_SEED ?? 20240507)
const LONG = process.env.AOFKIT_LONG !== undefined
const FOLDER = 'fixtures/rdb'

/** All that a server says of its data. */
async function stateOf(loaded: Loaded, server: ServerName) {
  expect(loaded.started, loaded.log).toBe(true)
  const answers = await askAll(loaded.query, server)
  const signs = answers.some(
    ({ kind, value }) => kind === 'zset' && value.some(([, score]) => score === '-0'),
  )
  return {
    digest: signs ? 'depends on the sign of -0' : String(await loaded.query('DEBUG', 'DIGEST')),
    functions: await askFunctions(loaded.query),
    keys: answers
      .map(answer => shortened(rebuildable(answer, server)))
      .sort((a, b) => a.db - b.db || (a.key < b.key ? -1 : 1)),
  }
}

function rebuildable(answer: Answer, server: ServerName): Answer {
  if (answer.kind === 'zset') {
    const value = answer.value.map(([member, score]): [string, string] => [
      member,
      score === '-0' ? '0' : score,
    ])
    return { ...answer, value }
  }
  if (answer.kind !== 'stream') return answer
  const there = new Set(answer.value.entries.map(([id]) => id))
  const groups = answer.value.groups.map(group => rebuildableGroup(group, there, server))
  const firstId = answer.value.length === '0' ? '0-0' : answer.value.firstId
  return { ...answer, value: { ...answer.value, firstId, groups } }
}

function rebuildableGroup(
  { pending, consumers, ...group }: GroupAnswer,
  there: ReadonlySet<string>,
  server: ServerName,
): GroupAnswer {
  return {
    ...group,
    pending: pending.filter(([id]) => there.has(id)),
    consumers: consumers.flatMap(({ name, owned }) => {
      const left = owned.filter(id => there.has(id))
      // Redis 7.0 makes no consumer when the first entry that he claims is not there.
      if (server === 'redis-7.0' && left.length === 0 && owned.length > 0) return []
      return { name, seenAtMs: '', owned: left }
    }),
  }
}

/** Loads the RDB, and the commands that print gives of it, and compares what comes of them. */
async function compare(server: Server, path: string): Promise<void> {
  const printed = await call('print', path, '--format', 'resp', '--as', server.name)
  expect({ status: printed.status, err: printed.err }).toEqual({ status: 0, err: '' })
  const [expected, rebuilt] = await Promise.all([
    server.load(await readFile(path), { as: 'base' }),
    server.load(printed.out),
  ])
  try {
    const wanted = await stateOf(expected, server.name)
    const made = await stateOf(rebuilt, server.name)
    expect(rebuilt.errors).toEqual([])
    expect({ ...made, digest: wanted.digest.startsWith('depends') ? wanted.digest : made.digest }).toEqual(
      wanted,
    )
  } finally {
    await Promise.all([expected.stop(), rebuilt.stop()])
  }
}

/** Whether the server loads an RDB of the fixtures. */
function loads(server: ServerName, name: string): boolean {
  // Of those that no server wrote it is said who loads them.
  const { servers } = JSON.parse(readFileSync(join(FOLDER, `${name}.json`), 'utf8'))
  if (servers !== undefined) return Object.hasOwn(servers, server)
  const head = readFileSync(join(FOLDER, `${name}.rdb`))
    .subarray(0, 9)
    .toString('latin1')
  const magic = head.startsWith('VALKEY') ? 'VALKEY' : 'REDIS'
  return loadsRdb(server, magic, Number(head.slice(magic.length)))
}

const servers = foundServers()
const fixtures = readdirSync(FOLDER)
  .filter(name => name.endsWith('.rdb'))
  .map(name => name.slice(0, -'.rdb'.length))

describe.skipIf(servers.length === 0)(
  'print --format resp of an RDB makes a server what the RDB makes it',
  () => {
    it.each(servers)('%s: each of the fixtures that it loads', { timeout: 120_000 }, async server => {
      const loaded = fixtures.filter(name => loads(server.name, name))
      expect(loaded.length).toBeGreaterThan(5)
      await forEachParallel(loaded, name => compare(server, join(FOLDER, `${name}.rdb`)))
    })

    it.each(servers)('%s: made-up data of every type and encoding', { timeout: 300_000 }, async server => {
      for (let round = 0; round < (LONG ? 10 : 1); round++) {
        const filled = await server.load({}, { args: FILLABLE })
        try {
          const made = await fill(filled.query, server.name, SEED + round)
          await made.expire()
          expect(String(await filled.query('SAVE'))).toBe('OK')
          await compare(server, join(filled.folder, 'dump.rdb'))
        } finally {
          await filled.stop()
        }
      }
    })
  },
)
