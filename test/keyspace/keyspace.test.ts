import { expect, it } from 'vitest'
import { CellKind } from '../../src/keyspace/cells.ts'
import { hashOf } from '../../src/keyspace/hash.ts'
import { Keyspace } from '../../src/keyspace/keyspace.ts'
import { NO_EXPIRY } from '../../src/values/elements.ts'
import { Slice } from '../../src/values/slice.ts'
import { answersOf, argument, generator, textOf } from './replaying.ts'

function put(keyspace: Keyspace, key: string, value: string): void {
  const cell = keyspace.open(argument(key), CellKind.String)
  keyspace.strings.set(cell, argument(value))
}

function get(keyspace: Keyspace, key: string, db = keyspace.selected): string | undefined {
  const cell = keyspace.find(argument(key), db)
  if (cell === 0) return undefined
  const slice = new Slice()
  keyspace.strings.read(cell, slice)
  return textOf(slice)
}

it('keeps keys of any length apart', () => {
  const keyspace = new Keyspace({ databases: 16, server: 'valkey-9.1' })
  const keys = Array.from({ length: 300 }, (_, i) => 'k'.repeat(i * 37))
  for (const [i, key] of keys.entries()) put(keyspace, key, String(i))
  for (const [i, key] of keys.entries()) expect(get(keyspace, key)).toBe(String(i))
  const slice = new Slice()
  const found: string[] = []
  keyspace.forEach(cell => {
    keyspace.key(cell, slice)
    found.push(textOf(slice))
  })
  expect(found).toEqual(keys)
})

it('has in each database what a Map of it has, after flushes and swaps', () => {
  const random = generator(7)
  const keyspace = new Keyspace({ databases: 200_000, server: 'valkey-9.1' })
  const model = new Map<number, Map<string, string>>()
  const of = (db: number) => model.get(db) ?? model.set(db, new Map()).get(db)!
  const databases = [0, 1, 15, 16, 199_999]
  for (let i = 0; i < 200_000; i++) {
    const db = databases[random(5)]
    const key = `key ${random(2000)}`
    const choice = random(1000)
    keyspace.selected = db
    if (choice < 600) {
      put(keyspace, key, String(i))
      of(db).set(key, String(i))
    } else if (choice < 900) {
      const cell = keyspace.find(argument(key))
      expect(cell !== 0).toBe(of(db).delete(key))
      if (cell !== 0) keyspace.remove(cell)
    } else if (choice < 990) expect(get(keyspace, key)).toBe(of(db).get(key))
    else if (choice < 994) {
      const other = databases[random(5)]
      keyspace.swap(db, other)
      const kept = of(db)
      model.set(db, of(other))
      model.set(other, kept)
    } else {
      keyspace.flush(db)
      of(db).clear()
    }
    expect(keyspace.count(db)).toBe(of(db).size)
  }
  expect(keyspace.size).toBe([...model.values()].reduce((sum, { size }) => sum + size, 0))
  for (const [db, keys] of model) for (const [key, value] of keys) expect(get(keyspace, key, db)).toBe(value)
  keyspace.flushAll()
  expect(keyspace.size).toBe(0)
})

it('gives the cells of flushed databases back', () => {
  const keyspace = new Keyspace({ databases: 16, server: 'valkey-9.1' })
  for (let round = 0; round < 20; round++) {
    for (let i = 0; i < 20_000; i++) put(keyspace, `key ${i}`, 'x')
    keyspace.flush(0)
  }
  expect(keyspace.store.cells.end).toBeLessThan(120_000)
})

it('keeps an expiry to the millisecond, up to the end of 64 bits', () => {
  const keyspace = new Keyspace({ databases: 16, server: 'valkey-9.1' })
  const cell = keyspace.create(argument('key'), CellKind.String)
  expect(keyspace.expiry(cell)).toBe(NO_EXPIRY)
  for (const time of [0, 1, -5, 2 ** 31, 2 ** 32, 1_900_000_000_123, 2 ** 53 - 1, -(2 ** 40)]) {
    keyspace.setExpiry(cell, time)
    expect(keyspace.expiry(cell)).toBe(BigInt(time))
    expect(keyspace.hasExpiry(cell)).toBe(true)
  }
  for (const time of [(1n << 63n) - 1n, -(1n << 63n), (1n << 53n) + 1n]) {
    keyspace.setExpiryExact(cell, time)
    expect(keyspace.expiry(cell)).toBe(time)
  }
  keyspace.clearExpiry(cell)
  expect(keyspace.hasExpiry(cell)).toBe(false)
})

it('copies every kind of value, so that neither changes with the other', () => {
  const keyspace = new Keyspace({ databases: 16, server: 'valkey-9.1' })
  const value = 'v'.repeat(5000)
  const cells = [CellKind.String, CellKind.Hash, CellKind.Set, CellKind.Zset, CellKind.List].map(kind => {
    const cell = keyspace.create(argument(`from ${kind}`), kind)
    if (kind === CellKind.String) keyspace.strings.write(cell, 0, argument(value))
    for (let i = 0; i < 500; i++) {
      if (kind === CellKind.Hash) keyspace.hashes.set(cell, argument(`f${i}`), argument(value))
      else if (kind === CellKind.Set) keyspace.sets.add(cell, argument(`f${i}`))
      else if (kind === CellKind.Zset) keyspace.zsets.set(cell, argument(`f${i}`), i)
      else if (kind === CellKind.List) keyspace.lists.pushBack(cell, argument(value))
    }
    keyspace.setExpiry(cell, 77)
    return cell
  })
  for (const cell of cells) {
    const copy = keyspace.copy(cell, argument(`to ${keyspace.kind(cell)}`), 3)
    expect(keyspace.length(copy)).toBe(keyspace.length(cell))
    expect(keyspace.expiry(copy)).toBe(77n)
    keyspace.remove(cell)
    expect(keyspace.length(copy)).toBeGreaterThan(0)
    keyspace.remove(copy)
  }
  keyspace.settle()
  expect(keyspace.size).toBe(0)
})

it('leaves as they are the values that it looks at ahead, small and large, and finds their keys', () => {
  const keyspace = new Keyspace({ databases: 16, server: 'valkey-9.1' })
  const keys: string[] = []
  for (const count of [1, 5, 60, 600]) {
    const values = Array.from({ length: count }, (_, i) => argument(`value ${i}`))
    const open = (key: string, kind: CellKind) => {
      keys.push(key)
      return keyspace.open(argument(key), kind)
    }
    const set = open(`set ${count}`, CellKind.Set)
    const list = open(`list ${count}`, CellKind.List)
    const hash = open(`hash ${count}`, CellKind.Hash)
    const zset = open(`zset ${count}`, CellKind.Zset)
    for (const [i, value] of values.entries()) {
      keyspace.sets.add(set, value)
      keyspace.lists.pushBack(list, value)
      keyspace.hashes.set(hash, value, value)
      keyspace.zsets.set(zset, value, i)
    }
    keyspace.strings.set(open(`string ${count}`, CellKind.String), argument('x'.repeat(count)))
  }
  keyspace.settle()
  const before = answersOf(keyspace)
  const bytes = new Uint8Array(Buffer.from(`${keys.join('')}....`))
  const start = new Int32Array(keys.length)
  for (let i = 1; i < keys.length; i++) start[i] = start[i - 1] + keys[i - 1].length
  const length = Int32Array.from(keys, key => key.length)
  const hashes = Int32Array.from(keys, (_, i) => hashOf(bytes, start[i], start[i] + length[i]))
  keyspace.prefetch(new DataView(bytes.buffer), hashes, start, length, keys.length)
  for (const [place, key] of keys.entries()) {
    const near = argument(key)
    near.place = place
    expect(keyspace.find(near)).toBe(keyspace.find(argument(key)))
  }
  expect(answersOf(keyspace)).toEqual(before)
})
