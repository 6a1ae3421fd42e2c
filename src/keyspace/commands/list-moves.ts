import { Argument } from '../argument.ts'
import type { Call } from '../call.ts'
import { CellKind } from '../cells.ts'
import type { Keyspace } from '../keyspace.ts'
import { OUT_OF_RANGE, type Rejection, SYNTAX, WRONGTYPE } from '../rejection.ts'
import { longAt } from './destination.ts'
import type { Handlers } from './handler.ts'

/*
 * Several items moved from one list to another (Redis 8.10), as its documentation and redis/redis#15405 and #15755 have it:
 *
 *     LMOVEM source destination LEFT|RIGHT LEFT|RIGHT [COUNT|EXACTLY count OBO|BULK]
 */

/** @param options the argument at which the number of items stands, if there is any */
// biome-ignore lint/suspicious/noConfusingVoidType: as Handler
function moveSeveral(call: Call, keyspace: Keyspace, options: number): Rejection | void {
  const fromFront = call.is(3, 'LEFT')
  const toFront = call.is(4, 'LEFT')
  if (!(fromFront || call.is(3, 'RIGHT')) || !(toFront || call.is(4, 'RIGHT'))) return SYNTAX
  let count = 1
  let exactly = false
  let inOrder = false
  if (call.argc !== options) {
    if (call.argc !== options + 3) return SYNTAX
    exactly = call.is(options, 'EXACTLY')
    inOrder = call.is(options + 2, 'BULK')
    if (!(exactly || call.is(options, 'COUNT')) || !(inOrder || call.is(options + 2, 'OBO'))) return SYNTAX
    count = longAt(call, options + 1)
    if (!(count > 0)) return OUT_OF_RANGE
  }
  const source = keyspace.find(call.at(1))
  if (source === 0) return
  if (keyspace.kind(source) !== CellKind.List) return WRONGTYPE
  const there = keyspace.find(call.at(2))
  if (there !== 0 && keyspace.kind(there) !== CellKind.List) return WRONGTYPE
  const { lists } = keyspace
  const length = lists.length(source)
  if (exactly && length < count) return
  const taken = Math.min(count, length)
  const items: Argument[] = []
  // All of them before the first comes to its place, also within one list.
  for (let i = 0; i < taken; i++) {
    const position = fromFront ? 0 : lists.length(source) - 1
    const item = new Argument()
    lists.take(source, position, item)
    items.push(item)
    lists.delete(source, position)
  }
  const target = there === 0 ? keyspace.create(call.at(2), CellKind.List) : there
  // One by one, those that are taken first get there first; in bulk their order stays as it was in the source.
  if (inOrder && fromFront === toFront) items.reverse()
  for (const item of items) {
    if (toFront) lists.pushFront(target, item)
    else lists.pushBack(target, item)
  }
}

export const LIST_MOVES: Handlers = {
  lmovem: (call, keyspace) => moveSeveral(call, keyspace, 5),
  // Nobody waits while a log is loading.
  blmovem: (call, keyspace) => moveSeveral(call, keyspace, 6),
}
