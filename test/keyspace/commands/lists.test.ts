import { describe, expect, it } from 'vitest'
import { encodeCommand } from '../../helpers/servers.ts'
import { AnswerSink } from '../../rdb/answers.ts'
import { argument, replay } from '../replaying.ts'

/** The items of the list `l` when these commands were replayed. */
async function listAfter(commands: readonly (readonly string[])[]): Promise<string[]> {
  const { keyspace, rejected } = await replay(Buffer.concat(commands.map(words => encodeCommand([...words]))))
  expect(rejected).toEqual([])
  const cell = keyspace.find(argument('l'))
  if (cell === 0) return []
  const sink = new AnswerSink()
  keyspace.emit(cell, sink)
  return (sink.take() as { value: string[] }).value
}

/** What LREM leaves of items. */
function without(items: readonly string[], value: string, count: number): string[] {
  const places = items.flatMap((item, i) => (item === value ? [i] : []))
  const gone = new Set(count > 0 ? places.slice(0, count) : count < 0 ? places.slice(count) : places)
  return items.filter((_, i) => !gone.has(i))
}

describe('LREM', () => {
  // Long enough for nodes above nodes.
  const items = Array.from({ length: 60_000 }, (_, i) => `${(i * 7919) % 1000}:${'x'.repeat(i % 60)}`)
  const push = Array.from({ length: 60 }, (_, i) => ['RPUSH', 'l', ...items.slice(1000 * i, 1000 * i + 1000)])

  it.each([1, 3, 1000, 0, -1, -3, -1000])(
    'removes the first from the head, the last from the tail, or all (count %i)',
    async count => {
      for (const value of [items[0], items[31_234], items[59_999], 'not there']) {
        const left = await listAfter([...push, ['LREM', 'l', `${count}`, value]])
        expect(left).toEqual(without(items, value, count))
      }
    },
  )

  it.each([2, 0, -2])('removes the key with the last item (count %i)', async count => {
    expect(
      await listAfter([
        ['RPUSH', 'l', 'a', 'a'],
        ['LREM', 'l', `${count}`, 'a'],
      ]),
    ).toEqual([])
  })
})
