import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { generator } from '../../bench/logs.ts'
import { encode } from '../helpers/chunks.ts'
import { call, callJson } from '../helpers/command.ts'
import { Server } from '../helpers/servers.ts'
import { temporaryFolder } from '../helpers/temp.ts'
import { filesOf, madeUp } from '../keyspace/logs.ts'
import { place } from './repairing.ts'
import { folderOf, madeUpParts, type RewindJson } from './rewinding.ts'

const SEED = Number(process.env.AOFKIT_SEED ?? 20240609)

type Counts = { now: number; after: number; gained: number; lost: number; changed: number }

interface Json extends RewindJson {
  readonly preview: {
    readonly databases: Record<string, Counts & { examples: Record<'gained' | 'lost' | 'changed', string[]> }>
    readonly functions: { now: number; after: number }
  }
}

/** Keys and what they hold, by database and name. */
async function dump(path: string): Promise<Map<string, string>> {
  const { out } = await call('replay', path, '--dump')
  const lines = out
    .toString()
    .split('\n')
    .filter(line => line !== '')
  return new Map(
    lines.map(line => {
      const { db, key, type, ...rest } = JSON.parse(line)
      const sorted = ['set', 'zset', 'hash'].includes(type)
        ? { ...rest, value: rest.value.map((item: unknown) => JSON.stringify(item)).sort() }
        : rest
      // When consumers were seen is the time of the replay.
      return [
        JSON.stringify([db, key]),
        JSON.stringify([type, sorted]).replace(/"(?:seen|active)AtMs":[^,}]+/g, ''),
      ]
    }),
  )
}

function compared(now: Map<string, string>, then: Map<string, string>): Record<string, Counts> {
  const databases: Record<string, Counts> = {}
  const of = (place: string) => {
    databases[JSON.parse(place)[0]] ??= { now: 0, after: 0, gained: 0, lost: 0, changed: 0 }
    return databases[JSON.parse(place)[0]]
  }
  for (const place of now.keys()) {
    of(place).now++
    if (!then.has(place)) of(place).lost++
  }
  for (const [place, value] of then) {
    of(place).after++
    if (!now.has(place)) of(place).gained++
    else if (now.get(place) !== value) of(place).changed++
  }
  return databases
}

async function expectPreview(path: string, args: readonly string[]): Promise<void> {
  const output = join(temporaryFolder(), 'result')
  const { status, err } = await call('rewind', path, '--allow-empty', '--output', output, ...args)
  if (status === 2) return
  const { preview } = await callJson<Json>('rewind', path, '--allow-empty', '--dry-run', ...args)
  const [now, then] = [await dump(path), await dump(output)]
  const counts = Object.fromEntries(
    Object.entries(preview.databases).map(([db, { examples: _, ...counts }]) => [db, counts]),
  )
  expect(counts, `${args.join(' ')}\n${err}`).toEqual(compared(now, then))
  for (const [db, { examples, gained, lost, changed }] of Object.entries(preview.databases)) {
    const at = (key: unknown) => JSON.stringify([Number(db), key])
    expect([examples.gained, examples.lost, examples.changed].map(({ length }) => length)).toEqual(
      [gained, lost, changed].map(count => Math.min(count, 3)),
    )
    expect(examples.gained.every(key => then.has(at(key)) && !now.has(at(key)))).toBe(true)
    expect(examples.lost.every(key => now.has(at(key)) && !then.has(at(key)))).toBe(true)
    expect(examples.changed.every(key => now.get(at(key)) !== then.get(at(key)))).toBe(true)
  }
}

describe('the preview of a rewind', () => {
  it('says which keys come back, are lost and change, with examples', async () => {
    const log = Buffer.concat([
      encode('SET', 'a', '1'),
      encode('SET', 'b', '1'),
      encode('RPUSH', 'c', '1', '2'),
      encode('SET', 'same', '1'),
      encode('DEL', 'a'),
      encode('SET', 'b', '2'),
      encode('LPUSH', 'c', '3'),
      encode('SELECT', '2'),
      encode('SET', 'new\n', '1'),
    ])
    const path = place(temporaryFolder(), log)
    const { status, out } = await call('rewind', path, '--before', 'del', '--dry-run')
    expect(status).toBe(1)
    expect(out.toString()).toContain(
      `db  keys now  keys then  come back  are lost  change
 0         3          4          1         0       2
 2         1          0          0         1       0
come back in database 0: "a"
change in database 0: "b", "c"
are lost in database 2: "new\\n"
`,
    )
  })

  it('goes without a replay when that cannot be, or with --no-preview', async () => {
    const path = place(temporaryFolder(), Buffer.concat([encode('EVAL', 'x', '0'), encode('FLUSHALL')]))
    const first = await call('rewind', path, '--before', 'flushall', '--dry-run')
    expect(first.err).toContain('what becomes of the keys is not known')
    const second = await call('rewind', path, '--before', 'flushall', '--dry-run', '--no-preview')
    expect(second).toMatchObject({ status: 1, err: '' })
  })

  it(`is what two dumps say (seed ${SEED})`, async () => {
    const next = generator(SEED)
    const random = (below: number) => Math.floor(next() * below)
    for (let round = 0; round < 25; round++) {
      const parts = madeUpParts(random, 1 + random(3))
      const path = place(temporaryFolder(), folderOf(parts))
      const names = [...parts.keys()]
      const name = names[random(names.length)]
      const offset = random((parts.get(name) as Buffer).length)
      await expectPreview(
        path,
        [
          ['--to-offset', `${name}:${offset}`],
          ['--before', 'flush*'],
          ['--without', 'flush*'],
          ['--without', 'set key:*'],
        ][random(4)],
      )
    }
  })

  it(`is what two dumps say of values of all types (seed ${SEED})`, { timeout: 60_000 }, async () => {
    // Its name is enough: the log is made up.
    const server = new Server('redis-8.0', '')
    for (let seed = SEED; seed < SEED + 4; seed++) {
      const log = madeUp(server, { seed, commands: 1500, only: undefined })
      const path = place(temporaryFolder(), filesOf(log))
      const offset = Math.floor((log[0].bytes.length * (seed - SEED + 1)) / 5)
      await expectPreview(path, ['--to-offset', `${log[0].name}:${offset}`])
    }
  })
})
