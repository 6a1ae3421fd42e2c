import { describe, expect, it } from 'vitest'
import { CellKind } from '../../../src/keyspace/cells.ts'
import { Keyspace } from '../../../src/keyspace/keyspace.ts'
import { Id } from '../../../src/keyspace/types/stream-id.ts'
import { AnswerSink, type StreamAnswer } from '../../rdb/answers.ts'
import { argument, generator } from '../replaying.ts'

const newKeyspace = () => new Keyspace({ databases: 16, server: 'valkey-9.1' })

function answer(keyspace: Keyspace, cell: number): StreamAnswer {
  const sink = new AnswerSink()
  keyspace.emit(cell, sink)
  return (sink.take() as { value: StreamAnswer }).value
}

function add(keyspace: Keyspace, cell: number, id: Id, fields: readonly string[]): void {
  keyspace.streams.start()
  for (let i = 0; i < fields.length; i += 2)
    keyspace.streams.field(argument(fields[i]), argument(fields[i + 1]))
  keyspace.streams.add(cell, id)
}

const TEXTS = [
  '',
  '0',
  '-0',
  '007',
  '12345',
  '-12345',
  '1700000000000',
  '-140737488355328',
  '9007199254740991',
  '9223372036854775807',
  'text',
  'x'.repeat(64),
  'y'.repeat(65),
  'z'.repeat(9000),
]

describe('a stream', () => {
  it('is what a list of entries would be, whatever is added, deleted and trimmed', () => {
    const random = generator(11)
    const keyspace = newKeyspace()
    const { streams } = keyspace
    const cell = keyspace.create(argument('s'), CellKind.Stream)
    let model: [string, string[]][] = []
    const id = new Id()
    const text = () => TEXTS[random(random(10) === 0 ? TEXTS.length : 11)]
    for (let i = 1; i < 6000; i++) {
      const fields = Array.from({ length: 1 + random(random(50) === 0 ? 900 : 3) }, (_, k) => [
        random(9) === 0 ? text() : `f${k}`,
        text(),
      ]).flat()
      add(keyspace, cell, id.of(BigInt(i >> 2), BigInt(i & 3) << 33n), fields)
      model.push([`${id.ms}-${id.seq}`, fields])
      for (let k = random(4); k > 0; k--) {
        const n = Math.max(0, i - random(1200))
        const there = model.findIndex(([name]) => name === `${n >> 2}-${BigInt(n & 3) << 33n}`)
        expect(streams.has(cell, id.of(BigInt(n >> 2), BigInt(n & 3) << 33n))).toBe(there >= 0)
        if (random(2) > 0 || there < 0) continue
        expect(streams.delete(cell, id)).toBe(true)
        streams.refresh(cell)
        model.splice(there, 1)
      }
      if (random(100) === 0) {
        const length = random(model.length + 5)
        const gone = Math.max(0, model.length - length)
        expect(streams.trim(cell, length, undefined, false)).toBe(gone)
        model = model.slice(gone)
      }
    }
    const { entries, length, firstId } = answer(keyspace, cell)
    expect(entries).toEqual(model)
    expect([length, firstId]).toEqual([String(model.length), model[0][0]])
  })

  it('gives all its memory back, to be used again', () => {
    const keyspace = newKeyspace()
    let size = 0
    for (let round = 0; round < 4; round++) {
      const cell = keyspace.create(argument('s'), CellKind.Stream)
      for (let i = 1; i < 3000; i++) {
        add(keyspace, cell, new Id().of(BigInt(i), 0n), [
          'x'.repeat(i % 3 === 0 ? 100 : 5),
          'y'.repeat(i % 200),
          `${i % 50}`,
          'z'.repeat(70),
        ])
        if (i % 7 === 0) keyspace.streams.delete(cell, new Id().of(BigInt(i - 5), 0n))
        if (i % 500 === 0) keyspace.streams.trim(cell, 300, undefined, false)
      }
      if (round === 1) size = keyspace.store.memory.size
      keyspace.remove(cell)
    }
    expect(keyspace.store.memory.size).toBe(size)
  })

  it('is copied with all that it has, and the copy is its own', () => {
    const keyspace = newKeyspace()
    const cell = keyspace.create(argument('s'), CellKind.Stream)
    const { streams } = keyspace
    for (let i = 1; i < 500; i++)
      add(keyspace, cell, new Id().of(BigInt(i), 2n ** 63n), ['n'.repeat(70), 'v'.repeat(i), 'b', `${i}`])
    const readers = streams.makeReaders(cell)
    const sink = keyspace.sink(cell)
    const slice = argument('group')
    sink.group(slice, 3n, 4n, -1n)
    for (let i = 1n; i < 600n; i++) sink.pending(i, 1n, -i, 2n ** 64n - i)
    sink.consumer(argument('\u00ff'), 5n, -1n)
    for (let i = 1n; i < 300n; i++) sink.owned(i, 1n)
    sink.consumer(argument('b'), 6n, 7n)
    for (let i = 301n; i < 400n; i++) sink.owned(i, 1n)
    for (let i = 400n; i < 600n; i++) sink.nacked(i, 1n)
    sink.producer(argument('p'))
    sink.produced(argument('i'), 9n, 9n)
    sink.idempotence(1n, 2n, 3n, 4n)
    const copy = keyspace.copy(cell, argument('t'))
    const before = answer(keyspace, cell)
    expect(answer(keyspace, copy)).toEqual(before)
    expect([
      before.groups[0].nacked?.length,
      before.groups[0].consumers.map(({ owned }) => owned.length),
    ]).toEqual([200, [99, 299]])
    streams.trim(copy, 10, undefined, false)
    streams.group(copy, 'group')?.acknowledge(new Id().of(1n, 1n))
    expect(readers.groups.size).toBe(1)
    expect(answer(keyspace, cell)).toEqual(before)
  })
})
