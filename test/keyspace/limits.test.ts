import { expect, it } from 'vitest'
import { type Cell, CellKind, Cells } from '../../src/keyspace/cells.ts'
import { Keyspace } from '../../src/keyspace/keyspace.ts'
import { Memory } from '../../src/keyspace/memory.ts'
import { AnswerSink } from '../rdb/answers.ts'
import { argument } from './replaying.ts'

/*
 * Numbers of cells and refs of blocks have 32 bits, and are negative as numbers of JavaScript from 2^31 on.
 */

const COUNT = 3000

function emitted(keyspace: Keyspace, cell: Cell): unknown {
  const sink = new AnswerSink()
  keyspace.emit(cell, sink)
  return (sink.take() as { value: unknown }).value
}

it('finds keys, and goes from one to the next, on both sides of the 2^31st', () => {
  const keyspace = new Keyspace({ databases: 16, server: 'redis-8.0' })
  const first = 2 ** 31 - COUNT / 2
  keyspace.store.cells.skipTo(first)
  for (let i = 0; i < COUNT; i++) {
    const cell = keyspace.create(argument(`key:${i}`), CellKind.String)
    keyspace.strings.set(cell, argument(`value of ${i}`))
  }
  expect(keyspace.find(argument(`key:${COUNT - 1}`))).toBeLessThan(0)
  // What is freed is used again.
  for (let i = 0; i < COUNT; i += 3) keyspace.remove(keyspace.find(argument(`key:${i}`)))
  for (let i = 0; i < COUNT; i += 3) {
    const cell = keyspace.create(argument(`again:${i}`), CellKind.List)
    keyspace.lists.pushBack(cell, argument(`item of ${i}`))
  }
  expect(keyspace.store.cells.end).toBe(first + COUNT)

  const found = new Map<string, unknown>()
  const key = argument('')
  for (let cell = keyspace.nextKey((first - 1) | 0); cell !== 0; cell = keyspace.nextKey(cell)) {
    keyspace.key(cell, key)
    found.set(Buffer.from(key.copy()).toString(), emitted(keyspace, cell))
  }
  const expected = new Map<string, unknown>()
  for (let i = 0; i < COUNT; i++) {
    if (i % 3 === 0) expected.set(`again:${i}`, [`item of ${i}`])
    else expected.set(`key:${i}`, `value of ${i}`)
  }
  expect(new Map([...found].sort())).toEqual(new Map([...expected].sort()))
})

it('keeps values on both sides of the 32nd GiB of memory', () => {
  const keyspace = new Keyspace({ databases: 16, server: 'redis-8.0' })
  keyspace.store.memory.skipTo((2 ** 31 - (8 << 12)) | 0)
  const list = keyspace.create(argument('list'), CellKind.List)
  const set = keyspace.create(argument('set'), CellKind.Set)
  const names = Array.from({ length: 60_000 }, (_, i) => `${'x'.repeat(i % 50)}${i}`)
  for (const name of names) {
    keyspace.lists.pushBack(list, argument(name))
    keyspace.sets.add(set, argument(name))
  }
  expect(emitted(keyspace, list)).toEqual(names)
  expect((emitted(keyspace, set) as string[]).sort()).toEqual([...names].sort())
  keyspace.remove(list)
  keyspace.remove(set)
})

it('says what is missing when there is no further number', () => {
  const cells = new Cells()
  cells.skipTo(2 ** 32 - 2)
  expect([cells.allocate(), cells.allocate()]).toEqual([-2, -1])
  expect(() => cells.allocate()).toThrow('more than 4,294,967,295 keys')
  const memory = new Memory()
  memory.skipTo((2 ** 32 - (3 << 12)) | 0)
  for (let page = 0; page < 3; page++) for (let i = 0; i < 16; i++) memory.allocate(4096)
  expect(() => memory.allocate(4096)).toThrow('more than 64 GiB')
})
