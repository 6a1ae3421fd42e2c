/**
 * The real servers whose behaviour this project follows, as data. Each stands for a range of releases that treat a log
 * alike; `tried` is the release on which every fact here was found out.
 */
export type ServerName = 'redis-7.0' | 'redis-8.0' | 'valkey-8.1' | 'valkey-9.1'

export interface ServerFacts {
  readonly name: ServerName
  readonly family: 'redis' | 'valkey'
  readonly tried: string
  /** One bit for each server, for sets of servers in a number. */
  readonly bit: number
  /** RDB versions that it loads in a log, by the magic before them: lowest and highest. */
  readonly rdb: { readonly REDIS: VersionRange; readonly VALKEY?: VersionRange }
  /** The highest type of value that it knows in a file with the magic; it does not look at the file's version. */
  readonly types: { readonly REDIS: number; readonly VALKEY?: number }
  /** Whether it passes over the sizes of a cluster's slots (opcode 244). */
  readonly slots: boolean
}

type VersionRange = readonly [lowest: number, highest: number]

/** Every server, the older ones of a family first. */
export const SERVERS: readonly ServerName[] = ['redis-7.0', 'redis-8.0', 'valkey-8.1', 'valkey-9.1']

export const SERVER_FACTS: Readonly<Record<ServerName, ServerFacts>> = {
  'redis-7.0': {
    name: 'redis-7.0',
    family: 'redis',
    tried: '7.0.15',
    bit: 1,
    rdb: { REDIS: [1, 10] },
    types: { REDIS: 19 },
    slots: false,
  },
  'redis-8.0': {
    name: 'redis-8.0',
    family: 'redis',
    tried: '8.0.6',
    bit: 2,
    rdb: { REDIS: [1, 12] },
    types: { REDIS: 25 },
    slots: true,
  },
  'valkey-8.1': {
    name: 'valkey-8.1',
    family: 'valkey',
    tried: '8.1.1',
    bit: 4,
    rdb: { REDIS: [1, 11] },
    types: { REDIS: 21 },
    slots: false,
  },
  'valkey-9.1': {
    name: 'valkey-9.1',
    family: 'valkey',
    tried: '9.1.2',
    bit: 8,
    rdb: { REDIS: [1, 11], VALKEY: [80, 80] },
    types: { REDIS: 21, VALKEY: 22 },
    slots: true,
  },
}

/** Whom to follow when a log does not say who wrote it. */
export const DEFAULT_SERVER: ServerName = 'redis-8.0'

export function isServerName(name: string): name is ServerName {
  return Object.hasOwn(SERVER_FACTS, name)
}

/** The servers in a set of {@link ServerFacts.bit}s, in the order of {@link SERVERS}. */
export function serversIn(bits: number): ServerName[] {
  return SERVERS.filter(name => (SERVER_FACTS[name].bit & bits) !== 0)
}

/**
 * Whether `server` loads an RDB with this magic and version as a preamble or a base. (As a plain RDB valkey 8.1 would
 * also take VALKEY001 to VALKEY011, which nobody writes.)
 */
export function loadsRdb(server: ServerName, magic: 'REDIS' | 'VALKEY', version: number): boolean {
  const range = SERVER_FACTS[server].rdb[magic]
  return range !== undefined && version >= range[0] && version <= range[1]
}

/** Whether `server` knows a type of value in a file with this magic. */
export function loadsType(server: ServerName, magic: 'REDIS' | 'VALKEY', type: number): boolean {
  return type <= (SERVER_FACTS[server].types[magic] ?? -1)
}

/**
 * Which server stands for the one that wrote an RDB, by its AUX fields `redis-ver` and `valkey-ver` and its magic;
 * undefined when they do not tell.
 */
export function serverOf(
  aux: { get(name: string): string | undefined },
  magic: 'REDIS' | 'VALKEY',
): ServerName | undefined {
  const valkey = version(aux.get('valkey-ver'))
  if (valkey !== undefined) return valkey.major < 9 ? 'valkey-8.1' : 'valkey-9.1'
  if (magic === 'VALKEY') return 'valkey-9.1'
  const redis = version(aux.get('redis-ver'))
  if (redis === undefined) return undefined
  return redis.major < 7 || (redis.major === 7 && redis.minor < 2) ? 'redis-7.0' : 'redis-8.0'
}

function version(text: string | undefined): { major: number; minor: number } | undefined {
  const match = /^(\d{1,9})\.(\d{1,9})/.exec(text ?? '')
  return match === null ? undefined : { major: Number(match[1]), minor: Number(match[2]) }
}
