import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { VALUE_TYPES } from '../../src/rdb/format.ts'
import { everySplit } from '../helpers/chunks.ts'
import { shortened, withoutGuesses } from './answers.ts'
import { type Decoded, decode } from './decoding.ts'

/*
 * The files of fixtures/rdb, and what servers said that they hold; of what no server knows, what the script says that
 * built it.
 */

const FOLDER = 'fixtures/rdb'

interface Facts {
  databases: Record<string, { keys: Record<string, { type: string; expireAtMs?: number }> }>
  values: Record<string, Record<string, unknown>>
  functions?: string[]
  /** By key, where the server was told to evict by them. */
  idletime?: Record<string, number>
  freq?: Record<string, number>
}

const FILES = readdirSync(FOLDER)
  .filter(file => file.endsWith('.rdb'))
  .map(file => ({
    name: file.slice(0, -4),
    rdb: readFileSync(join(FOLDER, file)),
    facts: JSON.parse(readFileSync(join(FOLDER, file.replace('.rdb', '.json')), 'utf8')) as Facts,
  }))

const SMALL = FILES.filter(({ rdb }) => rdb.length < 600)

/** What was decoded, in the form of the facts. */
function asFacts({ answers, types, functions }: Decoded): Facts {
  const databases: Facts['databases'] = {}
  const values: Facts['values'] = {}
  const [stream = 21] = [15, 19].filter(type => types.has(type))
  for (const answer of answers) {
    const { db, key, kind, expireAtMs, value } = withoutGuesses(answer, stream)
    const name = Buffer.from(key, 'latin1').toString('base64')
    databases[db] ??= { keys: {} }
    databases[db].keys[name] = {
      type: kind,
      ...(expireAtMs === undefined ? {} : { expireAtMs: Number(expireAtMs) }),
    }
    values[db] ??= {}
    values[db][name] = shortened(value)
  }
  return { databases, values, ...(functions.length === 0 ? {} : { functions: functions.map(shortened) }) }
}

function keysOf({ databases }: Facts): Facts['databases'] {
  return Object.fromEntries(
    Object.entries(databases).map(([db, { keys }]) => [
      db,
      {
        keys: Object.fromEntries(
          Object.entries(keys).map(([key, { type, expireAtMs }]) => [
            key,
            {
              type: type === 'vectorset' ? 'module' : type,
              ...(expireAtMs === undefined ? {} : { expireAtMs }),
            },
          ]),
        ),
      },
    ]),
  )
}

describe('fixtures/rdb', () => {
  it.each(FILES)('$name decodes to what it was said to hold', async ({ rdb, facts }) => {
    const decoded = asFacts(await decode(rdb))
    expect(decoded.databases).toEqual(keysOf(facts))
    expect(decoded.values).toEqual(facts.values)
    expect(decoded.functions).toEqual(facts.functions)
  })

  it('has every type of value, under each magic that gave the number a meaning of its own', async () => {
    const found = { REDIS: new Set<number>(), VALKEY: new Set<number>() }
    for (const { rdb } of FILES) {
      const { magic, types } = await decode(rdb)
      for (const type of types) found[magic].add(type)
    }
    const missing = VALUE_TYPES.filter(
      ({ code, REDIS }) => !found[REDIS === undefined ? 'VALKEY' : 'REDIS'].has(code),
    )
    expect(missing.map(({ name }) => name)).toEqual([])
    expect(found.VALKEY.size).toBeGreaterThan(9)
  })

  it.each(FILES.filter(({ facts }) => facts.idletime ?? facts.freq))(
    '$name has the hints that the server gave',
    async ({ rdb, facts }) => {
      const { hints } = await decode(rdb)
      const found = (of: 'idle' | 'frequency', none: number) => {
        const entries = [...hints].map(([at, hint]) => [
          Buffer.from(at.slice(2), 'latin1').toString('base64'),
          hint[of],
        ])
        return entries.every(([, value]) => value === none) ? undefined : Object.fromEntries(entries)
      }
      expect(found('frequency', -1)).toEqual(facts.freq)
      const idle = found('idle', -1)
      expect(idle === undefined).toBe(facts.idletime === undefined)
      // The server was asked a moment after it had saved.
      for (const [key, seconds] of Object.entries(facts.idletime ?? {}))
        expect(Math.abs(seconds - idle![key])).toBeLessThan(3)
    },
  )

  it.each(FILES)('$name gives the same in windows of any size', async ({ rdb }) => {
    const whole = await decode(rdb)
    // The smallest has room for what is never cut: an opcode, three lengths.
    const sizes = rdb.length > 4000 ? [28, 61, 1000] : Array.from({ length: 60 }, (_, i) => 28 + i)
    for (const chunk of sizes) expect(await decode(rdb, chunk), `windows of ${chunk}`).toEqual(whole)
  })

  it.each(SMALL)('$name gives the same cut anywhere', async ({ rdb }) => {
    const whole = await decode(rdb)
    for (const pieces of everySplit(rdb))
      expect(await decode(pieces, 64), `cut at ${pieces[0].length}`).toEqual(whole)
  })
})
