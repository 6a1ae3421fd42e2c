/**
 * What stands in RDB files: versions, opcodes, types, and since when. Sources: `rdb.h` of Redis (to version 12) and of
 * Valkey (to version 81), librdb (to version 15); docs/rdb.md.
 *
 *     magic  version  record …  0xff  checksum
 *     record:  opcode operands  |  [expiry] [idle | frequency] [metadata] type key value
 */

import type { Kind } from '../values/elements.ts'

/**
 * Two lines of one format: Redis wrote up to version 11 for both, then they parted. Valkey counts from 80 on, under a
 * magic of its own, and gives numbers from 22 to 243 other meanings.
 */
export type Magic = 'REDIS' | 'VALKEY'

/** Versions whose layouts are known here. Servers load fewer: see `loadsRdb` in servers.ts. */
export const KNOWN_VERSIONS: Readonly<Record<Magic, readonly [lowest: number, highest: number]>> = {
  REDIS: [1, 15],
  VALKEY: [80, 81],
}

/** Bytes of magic and version together: `REDIS0012`, `VALKEY080`. */
export const HEADER_SIZE = 9
/** Files of older versions end with the opcode, without a checksum. */
export const FIRST_VERSION_WITH_CHECKSUM = 5
export const CHECKSUM_SIZE = 8

export const Opcode = {
  /** Redis 8.10 (15): field names that hashes of types 30 and 32 share. Valkey 9.2 has another meaning for it. */
  Template: 242,
  /** Redis 8.6 (13): metadata that modules attached to the next key. */
  KeyMetadata: 243,
  /** Valkey 9.0 (80): a slot migration that was under way. */
  SlotImport: 243,
  /** Redis 7.4 (12): sizes of a cluster slot. */
  SlotInfo: 244,
  /** Redis 7.0 (10): source of a function library. */
  Function: 245,
  /** Release candidates of Redis 7.0. Redis 7.0 loads it, all that came later refuse the file. */
  FunctionPreRelease: 246,
  /** Redis 5.0 (9): data of a module outside any key. */
  ModuleAux: 247,
  /** Redis 5.0 (9): seconds since the next key was used. */
  Idle: 248,
  /** Redis 5.0 (9): how often the next key was used, logarithmic. */
  Frequency: 249,
  /** Redis 3.2 (7): a name and a value. */
  Aux: 250,
  /** Redis 3.2 (7): number of keys and of expiries in the selected database. */
  ResizeDb: 251,
  /** Redis 2.6 (3): when the next key expires, in milliseconds. */
  ExpireMs: 252,
  /** When the next key expires, in seconds. */
  Expire: 253,
  SelectDb: 254,
  End: 255,
} as const

/** Bytes below are types, the others opcodes: no server has, or had, a type as high. */
export const FIRST_OPCODE = 242

export interface ValueType {
  readonly code: number
  /** How servers' own checkers call it. */
  readonly name: string
  readonly kind: Kind
  /** First version that has it, under each magic that has it. */
  readonly REDIS?: number
  readonly VALKEY?: number
}

/** Under the magic VALKEY since its first version. */
const V = 80

export const VALUE_TYPES: readonly ValueType[] = [
  { code: 0, name: 'string', kind: 'string', REDIS: 1, VALKEY: V },
  { code: 1, name: 'list-linked', kind: 'list', REDIS: 1, VALKEY: V },
  { code: 2, name: 'set-hashtable', kind: 'set', REDIS: 1, VALKEY: V },
  { code: 3, name: 'zset-v1', kind: 'zset', REDIS: 1, VALKEY: V },
  { code: 4, name: 'hash-hashtable', kind: 'hash', REDIS: 1, VALKEY: V },
  { code: 5, name: 'zset-v2', kind: 'zset', REDIS: 8, VALKEY: V },
  { code: 7, name: 'module-value', kind: 'module', REDIS: 8, VALKEY: V },
  { code: 9, name: 'hash-zipmap', kind: 'hash', REDIS: 2, VALKEY: V },
  { code: 10, name: 'list-ziplist', kind: 'list', REDIS: 2, VALKEY: V },
  { code: 11, name: 'set-intset', kind: 'set', REDIS: 2, VALKEY: V },
  { code: 12, name: 'zset-ziplist', kind: 'zset', REDIS: 2, VALKEY: V },
  { code: 13, name: 'hash-ziplist', kind: 'hash', REDIS: 4, VALKEY: V },
  { code: 14, name: 'quicklist', kind: 'list', REDIS: 7, VALKEY: V },
  { code: 15, name: 'stream', kind: 'stream', REDIS: 9, VALKEY: V },
  { code: 16, name: 'hash-listpack', kind: 'hash', REDIS: 10, VALKEY: V },
  { code: 17, name: 'zset-listpack', kind: 'zset', REDIS: 10, VALKEY: V },
  { code: 18, name: 'quicklist-v2', kind: 'list', REDIS: 10, VALKEY: V },
  { code: 19, name: 'stream-v2', kind: 'stream', REDIS: 10, VALKEY: V },
  { code: 20, name: 'set-listpack', kind: 'set', REDIS: 11, VALKEY: V },
  { code: 21, name: 'stream-v3', kind: 'stream', REDIS: 11, VALKEY: V },
  // Release candidates of Redis 7.4 only; Redis still loads them.
  { code: 22, name: 'hash-hashtable-md-pre-release', kind: 'hash', REDIS: 12 },
  { code: 22, name: 'hash-volatile-items', kind: 'hash', VALKEY: V },
  { code: 23, name: 'hash-listpack-md-pre-release', kind: 'hash', REDIS: 12 },
  { code: 24, name: 'hash-hashtable-md', kind: 'hash', REDIS: 12 },
  { code: 25, name: 'hash-listpack-md', kind: 'hash', REDIS: 12 },
  { code: 26, name: 'stream-v4', kind: 'stream', REDIS: 13 },
  { code: 27, name: 'stream-v5', kind: 'stream', REDIS: 14 },
  { code: 28, name: 'array', kind: 'array', REDIS: 14 },
  // 29 and 31 stand in DUMP payloads; Redis loads them from files too.
  { code: 29, name: 'hash-template-listpack', kind: 'hash', REDIS: 15 },
  { code: 30, name: 'hash-template-listpack-ref', kind: 'hash', REDIS: 15 },
  { code: 31, name: 'hash-template-array', kind: 'hash', REDIS: 15 },
  { code: 32, name: 'hash-template-array-ref', kind: 'hash', REDIS: 15 },
]

const BY_CODE: Readonly<Record<Magic, readonly (ValueType | undefined)[]>> = {
  REDIS: index('REDIS'),
  VALKEY: index('VALKEY'),
}

function index(magic: Magic): (ValueType | undefined)[] {
  const types: (ValueType | undefined)[] = new Array(FIRST_OPCODE).fill(undefined)
  for (const type of VALUE_TYPES) if (type[magic] !== undefined) types[type.code] = type
  return types
}

/** What a type byte means under `magic`; undefined when it is not known. */
export function valueType(magic: Magic, code: number): ValueType | undefined {
  return BY_CODE[magic][code]
}

/** The magic that `bytes[at, …)` starts with, as far as there are bytes; undefined when it is no RDB. */
export function magicAt(bytes: Uint8Array, at: number, end: number): Magic | undefined {
  const starts = (magic: Magic) => {
    for (let i = 0; i < magic.length && at + i < end; i++)
      if (bytes[at + i] !== magic.charCodeAt(i)) return false
    return true
  }
  return starts('REDIS') ? 'REDIS' : starts('VALKEY') ? 'VALKEY' : undefined
}
