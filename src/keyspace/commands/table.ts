import { type CommandTable, Flag } from '../../servers/commands.ts'
import { BITS } from './bits.ts'
import { CONNECTION } from './connection.ts'
import { FIELD_EXPIRY } from './field-expiry.ts'
import { FUNCTIONS } from './functions.ts'
import { GEO } from './geo.ts'
import { type Handler, type Handlers, nothing } from './handler.ts'
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

/** Commands that are carried out, by family: each has the file of that name beside this one. */
export const FAMILIES: Readonly<Record<string, Handlers>> = {
  keys: KEYS,
  strings: STRINGS,
  'strings-conditional': CONDITIONAL_STRINGS,
  hashes: HASHES,
  sets: SETS,
  lists: LISTS,
  'list-moves': LIST_MOVES,
  zsets: ZSETS,
  streams: STREAMS,
  'set-stores': SET_STORES,
  'zset-stores': ZSET_STORES,
  pops: POPS,
  sort: SORT,
  geo: GEO,
  restore: RESTORE,
  bits: BITS,
  hyperloglog: HYPERLOGLOG,
  'field-expiry': FIELD_EXPIRY,
  functions: FUNCTIONS,
  connection: CONNECTION,
}

/** Every command that changes keys, by name. */
export const HANDLERS: Handlers = Object.assign({}, ...Object.values(FAMILIES))

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

function changesNothing(flags: number): boolean {
  return (flags & (Flag.Write | Flag.Container | Flag.Allowed)) === 0
}

/** The handlers by the ids of a server's table: {@link nothing} for what has no effect, undefined for the rest. */
export function handlersOf(table: CommandTable, count: number): (Handler | undefined)[] {
  return Array.from({ length: count }, (_, id) => {
    const name = table.name(id)
    return HANDLERS[name] ?? (hasEffect(name, table.flags[id]) ? undefined : nothing)
  })
}

/**
 * Whether a command that has no handler may be more than something to pass over.
 * @param flags of its server's table
 */
export function hasEffect(name: string, flags: number): boolean {
  return !WITHOUT_EFFECT.has(name) && (!changesNothing(flags) || WITH_EFFECT.has(name))
}
