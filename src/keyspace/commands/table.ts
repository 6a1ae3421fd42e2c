import { type CommandTable, Flag } from '../../servers/commands.ts'
import { BITS } from './bits.ts'
import { CONNECTION } from './connection.ts'
import { FIELD_EXPIRY } from './field-expiry.ts'
import { FUNCTIONS } from './functions.ts'
import { GEO } from './geo.ts'
import type { Handler, Handlers } from './handler.ts'
import { HASHES } from './hashes.ts'
import { HYPERLOGLOG } from './hyperloglog.ts'
import { KEYS } from './keys.ts'
import { LIST_MOVES } from './list-moves.ts'
import { LISTS } from './lists.ts'
import { POPS } from './pops.ts'
import { RESTORE } from './restore.ts'
import { SET_STORES } from './set-stores.ts'
import { SETS } from './sets.ts'
import { SORT } from './sort.ts'
import { STREAMS } from './streams.ts'
import { STRINGS } from './strings.ts'
import { CONDITIONAL_STRINGS } from './strings-conditional.ts'
import { ZSET_STORES } from './zset-stores.ts'
import { ZSETS } from './zsets.ts'

/** Every command that changes keys, by name; a family has a file beside this one. */
export const HANDLERS: Handlers = {
  ...KEYS,
  ...STRINGS,
  ...CONDITIONAL_STRINGS,
  ...HASHES,
  ...SETS,
  ...LISTS,
  ...LIST_MOVES,
  ...ZSETS,
  ...STREAMS,
  ...SET_STORES,
  ...ZSET_STORES,
  ...POPS,
  ...SORT,
  ...GEO,
  ...RESTORE,
  ...BITS,
  ...HYPERLOGLOG,
  ...FIELD_EXPIRY,
  ...FUNCTIONS,
  ...CONNECTION,
}

/** Commands that change no key although servers flag them as writes, or do not flag them. */
const WITHOUT_EFFECT = new Set([
  'publish',
  'spublish',
  'script',
  'script|load',
  'script|flush',
  'ping',
  'watch',
  'unwatch',
])

/** Not flagged as writes, and of effect all the same. */
const WITH_EFFECT = new Set(['multi', 'exec', 'eval', 'evalsha', 'fcall', 'debug'])

export const nothing: Handler = () => {}

function changesNothing(flags: number): boolean {
  return (flags & (Flag.Write | Flag.Container | Flag.Allowed)) === 0
}

/** The handlers by the ids of a server's table: {@link nothing} for what has no effect, undefined for the rest. */
export function handlersOf(table: CommandTable, count: number): (Handler | undefined)[] {
  return Array.from({ length: count }, (_, id) => {
    const name = table.name(id)
    const handler = HANDLERS[name]
    if (handler !== undefined) return handler
    if (WITHOUT_EFFECT.has(name)) return nothing
    return changesNothing(table.flags[id]) && !WITH_EFFECT.has(name) ? nothing : undefined
  })
}
