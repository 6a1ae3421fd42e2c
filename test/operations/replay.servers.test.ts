import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { call, callJson } from '../helpers/command.ts'
import { foundServers } from '../helpers/servers.ts'
import {
  type Answer,
  askAll,
  askFunctions,
  type GroupAnswer,
  shortened,
  type ValueAnswer,
} from '../rdb/answers.ts'
import { FILLABLE, fill } from '../rdb/fill.ts'

/*
 * What replay says of an RDB is what the server says that saved it.
 */

const SEED = Number(process.env.AOFKIT_SEED ?? 20240508)

type Text = string | { base64: string }
type Whole = number | string

interface Line {
  readonly db: number
  readonly key: Text
  readonly type: ValueAnswer['kind']
  readonly expireAtMs?: Whole
  // biome-ignore lint/suspicious/noExplicitAny: it is another thing for each type.
  readonly value: any
}

const latin1 = (text: Text) =>
  (typeof text === 'string' ? Buffer.from(text) : Buffer.from(text.base64, 'base64')).toString('latin1')

function byName(a: readonly unknown[], b: readonly unknown[]): number {
  return String(a[0]) < String(b[0]) ? -1 : 1
}

function answerOf({ db, key, type, expireAtMs, value }: Line): Answer {
  const place = {
    db,
    key: latin1(key),
    ...(expireAtMs === undefined ? {} : { expireAtMs: String(expireAtMs) }),
  }
  switch (type) {
    case 'string':
    case 'module':
      return { ...place, kind: type, value: latin1(value) }
    case 'list':
      return { ...place, kind: type, value: value.map(latin1) }
    case 'set':
      return { ...place, kind: type, value: value.map(latin1).sort() }
    case 'zset': {
      const scored = value.map(([member, score]: [Text, string]) => [latin1(member), score])
      return { ...place, kind: type, value: scored.sort(byName) }
    }
    case 'hash': {
      const fields = value.map(([name, text, time]: [Text, Text, Whole | undefined]) =>
        [name, text].map(latin1).concat(time === undefined ? [] : String(time)),
      )
      return { ...place, kind: type, value: fields.sort(byName) }
    }
    case 'stream':
      return { ...place, kind: type, value: streamOf(value) }
    default:
      throw new Error(`no server here has the type ${type}`)
  }
}

function streamOf({ entries, groups, length, entriesAdded, lastId, firstId, maxDeletedId }: Line['value']) {
  return {
    length: String(length),
    lastId,
    firstId,
    maxDeletedId,
    entriesAdded: String(entriesAdded),
    entries: entries.map(({ id, fields }: { id: string; fields: Text[][] }): [string, string[]] => [
      id,
      fields.flat().map(latin1),
    ]),
    groups: groups.map(groupOf),
  }
}

function groupOf({ name, lastId, entriesRead, pending, consumers }: Line['value']): GroupAnswer {
  return {
    name: latin1(name),
    lastId,
    ...(entriesRead === null ? {} : { entriesRead: String(entriesRead) }),
    pending: pending.map((entry: Line['value']) => [
      entry.id,
      String(entry.deliveredAtMs),
      String(entry.deliveries),
    ]),
    consumers: consumers.map((consumer: Line['value']) => ({
      name: latin1(consumer.name),
      seenAtMs: String(consumer.seenAtMs),
      ...(consumer.activeAtMs === null ? {} : { activeAtMs: String(consumer.activeAtMs) }),
      owned: consumer.pending,
    })),
  }
}

/** In one order, scores as the dump has them; a server may lose the sign of -0. */
function comparable(answers: readonly Answer[]): Answer[] {
  return answers
    .map(answer => {
      if (answer.kind !== 'zset') return shortened(answer)
      const score = (text: string) => text.replace('Infinity', 'inf').replace(/^-0$/, '0')
      const value = answer.value.map(([member, text]): [string, string] => [member, score(text)])
      return shortened({ ...answer, value })
    })
    .sort((a, b) => a.db - b.db || (a.key < b.key ? -1 : 1))
}

const servers = foundServers()

describe.skipIf(servers.length === 0)('replay of an RDB says what the server says that saved it', () => {
  it.each(servers)('%s', { timeout: 300_000 }, async server => {
    const filled = await server.load({}, { args: FILLABLE })
    try {
      await fill(filled.query, server.name, SEED)
      expect(String(await filled.query('SAVE'))).toBe('OK')
      const path = join(filled.folder, 'dump.rdb')
      const answers = await askAll(filled.query, server.name)
      const { out, err, status } = await call('replay', path, '--dump')
      expect({ status, err }).toEqual({ status: 0, err: '' })
      const lines = out
        .toString()
        .trimEnd()
        .split('\n')
        .map(line => answerOf(JSON.parse(line)))
      expect(comparable(lines)).toEqual(comparable(answers))

      const { databases, functions } = await callJson<{
        databases: Record<string, { keys: number; types: Record<string, number> }>
        functions: number
      }>('replay', path)
      expect(functions).toBe((await askFunctions(filled.query)).length)
      for (const [db, { keys, types }] of Object.entries(databases)) {
        const there = answers.filter(answer => answer.db === Number(db))
        expect(keys).toBe(there.length)
        for (const [type, count] of Object.entries(types))
          expect(count).toBe(there.filter(({ kind }) => kind === type).length)
      }
      expect(Object.values(databases).reduce((sum, { keys }) => sum + keys, 0)).toBe(answers.length)
    } finally {
      await filled.stop()
    }
  })
})
