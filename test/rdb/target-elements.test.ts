import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BufferSource } from '../../src/bytes/source.ts'
import { Window } from '../../src/bytes/window.ts'
import { EntryReader } from '../../src/rdb/entries.ts'
import { TargetElements } from '../../src/rdb/target-elements.ts'
import { RDB_TARGETS, type RdbTarget, TARGET_NAMES } from '../../src/rdb/targets.ts'
import { RdbWalk } from '../../src/rdb/walk.ts'
import { RdbWriter } from '../../src/rdb/writer.ts'
import { NO_EXPIRY } from '../../src/values/elements.ts'
import { KeyspaceFingerprint } from '../../src/values/fingerprint.ts'
import { possible, slice, someKeys, type ToldKey, tellValue } from '../values/telling.ts'

/** The same, changed so that the target can hold it. */
function holdable(key: ToldKey, target: RdbTarget): ToldKey {
  const told = possible(key)
  const { db, expireAtMs } = told
  switch (told.kind) {
    case 'module':
    case 'array':
      return { db, expireAtMs, key: told.key, kind: 'string', value: 'instead' }
    case 'hash': {
      const time = (atMs: bigint) =>
        target.fieldExpiry === undefined || atMs <= 0n ? NO_EXPIRY : (atMs >> 17n) + 1n
      const value = told.value.map(
        ([name, text, atMs]) => [name, text, time(atMs)] as [string, string, bigint],
      )
      return { ...told, value }
    }
    case 'stream': {
      const groups = told.value.groups.map(group => {
        const owned = new Set(group.consumers.flatMap(consumer => consumer.owned.map(String)))
        return { ...group, nacked: [], pending: group.pending.filter(({ id }) => owned.has(String(id))) }
      })
      const { entries } = told.value
      // Each way in which servers estimate what a group has read.
      groups.forEach((group, i) => {
        const ids = [entries[0]?.id, entries.at(-1)?.id, told.value.state.lastId, [0n, 0n] as const]
        group.lastId = ids[i] ?? group.lastId
      })
      const state = { ...told.value.state, length: BigInt(entries.length) }
      const value = { ...told.value, state, groups, producers: [] }
      if (value.idempotence !== undefined) value.idempotence = [100n, 100n, 0n, 0n]
      return { ...told, value }
    }
    default:
      return told
  }
}

function written(keys: readonly ToldKey[], target: RdbTarget): Uint8Array {
  const writer = new RdbWriter(target)
  for (const key of keys) {
    writer.select(key.db)
    const head = { key: slice(key.key), expireAtMs: key.expireAtMs, idle: -1, frequency: -1 }
    tellValue(writer.entry(head), key)
  }
  writer.finish()
  return writer.take()
}

async function read(file: Uint8Array): Promise<{ hex: string; odd: string[] }> {
  const fingerprint = new KeyspaceFingerprint()
  const odd: string[] = []
  const reader = new EntryReader({
    entry: ({ db, key, kind, expireAtMs }) => fingerprint.key(db, key, kind, expireAtMs),
    damaged(error) {
      throw error
    },
    odd(code) {
      odd.push(code)
    },
  })
  const walk = new RdbWalk(new Window(new BufferSource(file)), { values: true })
  for (let event = await walk.next(); event !== undefined; event = await walk.next()) reader.event(event)
  if (walk.error !== undefined) throw walk.error
  return { hex: fingerprint.hex(), odd: odd.filter(code => !code.startsWith('rdb.stream.')) }
}

describe('what an RDB for a target holds of a value', () => {
  it.each(TARGET_NAMES)('%s: is what is read of it', async name => {
    const target = RDB_TARGETS[name]
    await fc.assert(
      fc.asyncProperty(someKeys, async told => {
        const keys = told.map(key => holdable(key, target))
        const fingerprint = new KeyspaceFingerprint()
        const elements = new TargetElements(fingerprint, target)
        for (const key of keys) {
          fingerprint.key(key.db, slice(key.key), key.kind, key.expireAtMs)
          tellValue(elements, key)
        }
        expect(await read(written(keys, target))).toEqual({ hex: fingerprint.hex(), odd: [] })
      }),
    )
  })
})
