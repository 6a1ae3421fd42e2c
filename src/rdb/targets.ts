/**
 * For whom an RDB is written: the two lines of servers by what their releases load and how they encode values, as
 * data. Sources: `rdb.c`, `config.c`, `quicklist.c` and the type files of Redis 6.2, 7.0, 7.2, 7.4 and Valkey 7.2, 8.0;
 * redis 8.0.6, valkey 8.1.1 and 9.1.2 were asked.
 */
import { type Magic, valueType } from './format.ts'

export type TargetName =
  | 'redis-6.2'
  | 'redis-7.0'
  | 'redis-7.2'
  | 'redis-7.4'
  | 'redis-8.0'
  | 'valkey-7.2'
  | 'valkey-8.0'
  | 'valkey-8.1'
  | 'valkey-9.0'
  | 'valkey-9.1'
  | 'common'

export type Family = 'redis' | 'valkey'

export interface RdbTarget {
  readonly name: TargetName
  /** Whose modules it can have; `common` can count on none. */
  readonly family: Family | undefined
  readonly magic: Magic
  readonly version: number
  /** The release that stands for it in the field `redis-ver` or `valkey-ver`. */
  readonly release: string | undefined
  /** How small collections are packed. */
  readonly packing: 'ziplist' | 'listpack'
  /**
   * In which form it has back-lengths in listpacks of which there are two (listpack.ts); undefined where neither can be
   * counted on, and elements with one are not packed.
   */
  readonly backLengths: 'wide' | 'narrow' | undefined
  /** The highest type that means the same under both magics and loads here. */
  readonly highestType: number
  readonly streams: 1 | 2 | 3
  /** Whose form it has for fields that expire. */
  readonly fieldExpiry: Family | undefined
  /** Bytes of the longest item of a list that is packed like others; a longer one is a node of its own, as it is. */
  readonly longestPackedItem: number
  readonly functions: boolean
  /** Whether the module type of vector sets is built in. */
  readonly vectorSets: boolean
}

/**
 * Up to where collections are packed: defaults of the servers, the same in all releases since 6.2 as far as they have
 * them. Counts are of elements (pairs are one), sizes in bytes.
 */
export const PACKED_LIMITS = {
  /** Of a field, of its value, of a member. */
  element: 64,
  hash: 512,
  zset: 128,
  /** Of other members than integers. */
  set: 128,
  intset: 512,
  /** Of a list's node. */
  node: 8192,
} as const

type Line = Omit<RdbTarget, 'name' | 'release'>

const REDIS_6_2: Line = {
  family: 'redis',
  magic: 'REDIS',
  version: 9,
  packing: 'ziplist',
  backLengths: 'wide',
  highestType: 15,
  streams: 1,
  fieldExpiry: undefined,
  longestPackedItem: Number.POSITIVE_INFINITY,
  functions: false,
  vectorSets: false,
}
const REDIS_7_0: Line = {
  ...REDIS_6_2,
  version: 10,
  packing: 'listpack',
  highestType: 19,
  streams: 2,
  longestPackedItem: (1 << 30) - 1,
  functions: true,
}
const REDIS_7_2: Line = { ...REDIS_7_0, version: 11, highestType: 21, streams: 3 }
const REDIS_7_4: Line = {
  ...REDIS_7_2,
  version: 12,
  fieldExpiry: 'redis',
  longestPackedItem: PACKED_LIMITS.node,
}
const REDIS_8_0: Line = { ...REDIS_7_4, vectorSets: true }
const VALKEY_7_2: Line = { ...REDIS_7_2, family: 'valkey' }
const VALKEY_8: Line = { ...VALKEY_7_2, longestPackedItem: PACKED_LIMITS.node }
const VALKEY_9: Line = {
  ...VALKEY_8,
  magic: 'VALKEY',
  version: 80,
  fieldExpiry: 'valkey',
  // Some release of this line changed it; 9.1.2 has it changed.
  backLengths: undefined,
}

export const RDB_TARGETS: Readonly<Record<TargetName, RdbTarget>> = {
  'redis-6.2': { name: 'redis-6.2', release: '6.2.0', ...REDIS_6_2 },
  'redis-7.0': { name: 'redis-7.0', release: '7.0.0', ...REDIS_7_0 },
  'redis-7.2': { name: 'redis-7.2', release: '7.2.0', ...REDIS_7_2 },
  'redis-7.4': { name: 'redis-7.4', release: '7.4.0', ...REDIS_7_4 },
  'redis-8.0': { name: 'redis-8.0', release: '8.0.0', ...REDIS_8_0 },
  'valkey-7.2': { name: 'valkey-7.2', release: '7.2.5', ...VALKEY_7_2 },
  'valkey-8.0': { name: 'valkey-8.0', release: '8.0.0', ...VALKEY_8 },
  'valkey-8.1': { name: 'valkey-8.1', release: '8.1.0', ...VALKEY_8 },
  'valkey-9.0': { name: 'valkey-9.0', release: '9.0.0', ...VALKEY_9 },
  'valkey-9.1': { name: 'valkey-9.1', release: '9.1.0', ...VALKEY_9, backLengths: 'narrow' },
  // What redis 7.0 writes, and every server here loads.
  common: {
    name: 'common',
    release: undefined,
    ...REDIS_7_0,
    family: undefined,
    backLengths: undefined,
    longestPackedItem: PACKED_LIMITS.node,
  },
}

/** Of the oldest first, as they are to be listed; `common` last. */
export const TARGET_NAMES = Object.keys(RDB_TARGETS) as readonly TargetName[]

export function isTargetName(name: string): name is TargetName {
  return Object.hasOwn(RDB_TARGETS, name)
}

const RELEASE = /^(\d+)\.(\d+)/

/**
 * The target that stands for the server which wrote a file with these fields: the newest that is not newer, and of newer
 * ones than are known here the last. Undefined where the fields do not say, or it is older than all.
 */
export function targetOf(aux: ReadonlyMap<string, string>): TargetName | undefined {
  const family = aux.has('valkey-ver') ? 'valkey' : 'redis'
  const match = RELEASE.exec(aux.get(`${family}-ver`) ?? '')
  if (match === null) return undefined
  const release = Number(match[1]) * 1000 + Number(match[2])
  return TARGET_NAMES.findLast(name => {
    const found = RELEASE.exec(RDB_TARGETS[name].release ?? '')
    if (RDB_TARGETS[name].family !== family || found === null) return false
    return Number(found[1]) * 1000 + Number(found[2]) <= release
  })
}

/** Type 22 is the first that means something else under each magic. */
const HIGHEST_SHARED_TYPE = 21

/**
 * Whether an entry of `type`, from a file with `magic`, means the same in a file for `target` and loads there. That the
 * target has the module of a module's value is not said by it.
 */
export function loadsAsItStands(target: RdbTarget, magic: Magic, type: number): boolean {
  if (valueType(magic, type) === undefined) return false
  if (type <= HIGHEST_SHARED_TYPE) return type <= target.highestType
  // 22 and 23 of Redis are those of its release candidates, which it goes on loading.
  return fieldsMayExpire(type) && target.fieldExpiry === magic.toLowerCase()
}

/** Whether a hash of `type` has room for expiries of its fields. */
export function fieldsMayExpire(type: number): boolean {
  return type > HIGHEST_SHARED_TYPE && type <= 25
}

/** Where an RDB will stand. */
export type Place =
  /** As the base of a multi-part AOF. */
  | 'base'
  /** In front of the commands of a single AOF. */
  | 'preamble'
  /** Alone. */
  | 'file'

/**
 * The fields that say who is meant to load a file and where it stands; those that differ from run to run (time, memory)
 * are left out. No server asks for any of them.
 */
export function auxFields(target: RdbTarget, place: Place): [name: string, value: string][] {
  const fields: [string, string][] = [['redis-bits', '64']]
  if (target.release !== undefined)
    fields.unshift([target.family === 'valkey' ? 'valkey-ver' : 'redis-ver', target.release])
  // Since 7.0 servers write `aof-base`, 1 in a base and 0 elsewhere, and no preambles; before it was `aof-preamble`.
  if (place === 'preamble') fields.push(['aof-preamble', '1'])
  else fields.push(['aof-base', place === 'base' ? '1' : '0'])
  return fields
}
