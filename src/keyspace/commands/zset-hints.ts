import type { Call } from '../call.ts'
import { type Cell, CellKind } from '../cells.ts'
import type { Keyspace } from '../keyspace.ts'
import { type Rejection, WRONGTYPE } from '../rejection.ts'
import { LONGEST_PACKED_MEMBER, MOST_PACKED_MEMBERS } from '../types/zsets.ts'

/**
 * Whether a server takes a packed sorted set apart before it adds anything, for what a command is going to add:
 *
 *                 new                                       there
 *     redis 7.0   first member is long                      no
 *     redis 8.0   many members, or the first is long        many members
 *     valkey      many members, or any is long              the same
 *
 * @param first argument that is a member; of those behind it, every `step`th is one
 */
function needsUnpacked(call: Call, keyspace: Keyspace, cell: Cell, first: number, step: number): boolean {
  const { server } = keyspace
  const isNew = keyspace.zsets.length(cell) === 0
  const count = Math.ceil((call.argc - first) / step)
  if (server !== 'redis-7.0' && count > MOST_PACKED_MEMBERS) return true
  if (server === 'redis-7.0' || server === 'redis-8.0')
    return isNew && call.value(first).length > LONGEST_PACKED_MEMBER
  for (let i = first; i < call.argc; i += step) if (call.value(i).length > LONGEST_PACKED_MEMBER) return true
  return false
}

/**
 * The cell of a sorted set to which a command is going to add; 0: there is none, and none is to be made.
 *
 * @param xx whether none is to be made
 * @param first argument that is a member; of those behind it, every `step`th is one
 */
export function zsetToAddTo(
  call: Call,
  keyspace: Keyspace,
  xx: boolean,
  first: number,
  step: number,
): Cell | Rejection {
  const key = call.at(1)
  let cell = keyspace.find(key)
  if (cell === 0) {
    if (xx) return 0
    cell = keyspace.create(key, CellKind.Zset)
  } else if (keyspace.kind(cell) !== CellKind.Zset) return WRONGTYPE
  if (needsUnpacked(call, keyspace, cell, first, step)) keyspace.zsets.unpack(cell)
  return cell
}
