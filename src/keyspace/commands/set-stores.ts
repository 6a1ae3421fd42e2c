import { Argument } from '../argument.ts'
import type { Call } from '../call.ts'
import { type Cell, CellKind } from '../cells.ts'
import type { Keyspace } from '../keyspace.ts'
import { OUT_OF_RANGE, Rejection, SYNTAX, WRONGTYPE } from '../rejection.ts'
import { cellsAt, longAt, store } from './destination.ts'
import type { Handlers } from './handler.ts'

const MEMBER = new Argument()
const AT_RANDOM = new Rejection('ERR which members SPOP removed is not in the log')

const isSet = (kind: CellKind) => kind === CellKind.Set

function sourcesOf(call: Call, keyspace: Keyspace): Cell[] | undefined {
  return cellsAt(call, keyspace, 2, call.argc - 2, isSet)
}

export const SET_STORES: Handlers = {
  sinterstore(call, keyspace) {
    const sources = sourcesOf(call, keyspace)
    if (sources === undefined) return WRONGTYPE
    const { sets } = keyspace
    store(keyspace, call.at(1), CellKind.Set, target => {
      if (sources.includes(0)) return
      const [smallest, ...others] = sources.sort((a, b) => sets.length(a) - sets.length(b))
      const walk = sets.walk()
      for (walk.begin(smallest); walk.next(); ) {
        const member = MEMBER.ofSlice(walk.name)
        if (others.every(other => sets.has(other, member))) sets.add(target, member)
      }
    })
  },

  sunionstore(call, keyspace) {
    const sources = sourcesOf(call, keyspace)
    if (sources === undefined) return WRONGTYPE
    const { sets } = keyspace
    store(keyspace, call.at(1), CellKind.Set, target => {
      const walk = sets.walk()
      for (const source of sources) {
        if (source === 0) continue
        for (walk.begin(source); walk.next(); ) sets.add(target, MEMBER.ofSlice(walk.name))
      }
    })
  },

  sdiffstore(call, keyspace) {
    const sources = sourcesOf(call, keyspace)
    if (sources === undefined) return WRONGTYPE
    const { sets } = keyspace
    store(keyspace, call.at(1), CellKind.Set, target => {
      const first = sources[0]
      const others = sources.slice(1).filter(other => other !== 0)
      if (first === 0) return
      const walk = sets.walk()
      for (walk.begin(first); walk.next(); ) {
        const member = MEMBER.ofSlice(walk.name)
        if (!others.some(other => sets.has(other, member))) sets.add(target, member)
      }
    })
  },

  /** Servers log what it took, as SREM or DEL: what can be known is what all of a set is. */
  spop(call, keyspace) {
    if (call.argc > 3) return SYNTAX
    const count = call.argc === 3 ? longAt(call, 2) : 1
    if (!(count >= 0)) return OUT_OF_RANGE
    const cell = keyspace.find(call.at(1))
    if (cell === 0) return
    if (keyspace.kind(cell) !== CellKind.Set) return WRONGTYPE
    if (count === 0) return
    if (count < keyspace.sets.length(cell)) return AT_RANDOM
    keyspace.remove(cell)
  },
}
