import type { Batch } from '../resp/scanner.ts'
import { type CommandTable, Flag, ids } from '../servers/commands.ts'
import type { Argument } from './argument.ts'
import { type Handler, nothing } from './commands/handler.ts'
import { putString } from './commands/strings.ts'
import { hashOf } from './hash.ts'
import type { OpaqueCommands } from './opaque-commands.ts'

/*
 * A keyspace in two halves, so that two threads can fill them from the same log without a word to each other. A key
 * belongs to the half that a bit of its hash names; a command to that of its keys. What has no key and changes what
 * keys there are (SELECT, FLUSHALL, …) both carry out, each for its own. What has keys in both halves neither can.
 */

/** Halves: always so many, whatever machine it is, since what comes out of them shows it. */
export const SHARDS = 2

/**
 * The half of a key, by {@link hashOf} its bytes. The highest bit: when the hash is mixed with a number (`withNumber`), it
 * changes no bit but the highest, in which the lower ones meet as well, so that tables find nothing missing.
 */
export function shardOf(hash: number): number {
  return hash >>> 31
}

/** {@link shardOf} a key, whose hash is worked out when it is not known. */
export function shardOfKey(key: Argument): number {
  if (!key.hashed) {
    key.hash = hashOf(key.bytes, key.at, key.end)
    key.hashed = true
  }
  return shardOf(key.hash)
}

/** Where a command is carried out. */
export const Place = {
  Here: 0,
  Elsewhere: 1,
  /** By every half, for its own keys; the first one counts it. */
  Everywhere: 2,
  /** By none: it has keys in several halves, or may have. */
  Nowhere: 3,
} as const
export type Place = (typeof Place)[keyof typeof Place]

/** How the place of a command is found, by its id. */
const Role = {
  First: 0,
  OneKey: 1,
  Pieces: 2,
  Keys: 3,
  Everywhere: 4,
  Nowhere: 5,
  Container: 6,
  Opaque: 7,
} as const
type Role = (typeof Role)[keyof typeof Role]

const EVERYWHERE: ReadonlySet<number> = new Set([
  ids.select,
  ids.swapdb,
  ids.flushdb,
  ids.flushall,
  ids.reset,
  ids.multi,
  ids.exec,
])
/** Commands that are the same as one for each key, and how many arguments each has. */
const PIECES: Readonly<Record<string, number>> = { del: 1, unlink: 1, mset: 2 }

/** The handlers of a half, by id: what several halves carry out, it does for its own keys. */
export function handlersOfShard(
  shard: number,
  table: CommandTable,
  handlers: readonly (Handler | undefined)[],
): (Handler | undefined)[] {
  return handlers.map((handler, id) =>
    handler !== undefined && table.name(id) === 'mset' ? msetOf(shard, handler) : handler,
  )
}

function msetOf(shard: number, mset: Handler): Handler {
  return (call, keyspace) => {
    // A name or a value is missing: it is refused.
    if (call.argc % 2 === 0) return mset(call, keyspace)
    for (let i = 1; i < call.argc; i += 2) {
      const key = call.at(i)
      if (shardOfKey(key) === shard) putString(keyspace, key, call.value(i + 1))
    }
  }
}

/** Commands that are carried out although none of the servers knows them, whose only key is their first argument. */
const NEWER: ReadonlySet<string> = new Set([
  ...['delex', 'digest'],
  ...['xackdel', 'xcfgset', 'xdelex', 'xidmprecord', 'xnack'],
])

/** One half: knows which commands of a log are its own. */
export class Shard {
  /** From 0 on. What belongs to no key is for 0. */
  readonly index: number
  readonly #table: CommandTable
  readonly #handlers: readonly (Handler | undefined)[]
  readonly #opaque: OpaqueCommands
  /** By id. */
  readonly #roles: Uint8Array
  readonly #pieces: Uint8Array

  /** @param handlers by id, of the commands that are carried out */
  constructor(
    index: number,
    table: CommandTable,
    handlers: readonly (Handler | undefined)[],
    opaque: OpaqueCommands,
  ) {
    this.index = index
    this.#table = table
    this.#handlers = handlers
    this.#opaque = opaque
    this.#roles = Uint8Array.from(handlers, (_, id) => this.#roleOf(id))
    this.#pieces = Uint8Array.from(handlers, (_, id) => PIECES[table.name(id)] ?? 0)
  }

  #roleOf(id: number): Role {
    const handler = this.#handlers[id]
    if (EVERYWHERE.has(id)) return Role.Everywhere
    if (handler === nothing && (this.#table.flags[id] & Flag.Write) === 0) return Role.First
    if (handler === undefined) return this.#table.isContainer(id) ? Role.Container : Role.Opaque
    const name = this.#table.name(id)
    if (Object.hasOwn(PIECES, name)) return Role.Pieces
    // Which keys its patterns mean is not known before it is carried out.
    if (name === 'sort') return Role.Nowhere
    const keys = this.#table.keys(id)
    if (keys === undefined) return NEWER.has(name) ? Role.OneKey : Role.Nowhere
    return keys === 'none' ? Role.First : keys === 'first' ? Role.OneKey : Role.Keys
  }

  /**
   * Where record `i` is carried out. Of one larger than the window its first arguments are enough, unless it has keys in
   * other places.
   *
   * @param id of the command; negative: no server knows it
   * @param argc arguments, which may be more than the batch has
   * @param hash of its first argument, if the batch has it
   */
  place(batch: Batch, i: number, id: number, argc: number, hash: number): Place {
    const role = id < 0 ? Role.Opaque : this.#roles[id]
    switch (role) {
      case Role.OneKey:
        return this.#ofFirst(batch.argc(i), argc, hash)
      case Role.First:
        return this.#at(0)
      case Role.Pieces:
        if (argc > 1 + this.#pieces[id]) return Place.Everywhere
        return this.#ofFirst(batch.argc(i), argc, hash)
      case Role.Everywhere:
        return Place.Everywhere
      case Role.Keys:
        if (batch.argc(i) < argc) return Place.Nowhere
        return this.#ofKeys(batch, i, this.#table.keyPositions(id, batch, batch.first[i], argc))
      case Role.Container:
        return this.#ofSubcommand(batch, i, id)
      case Role.Opaque:
        return this.#ofOpaque(batch, i, id)
      default:
        return Place.Nowhere
    }
  }

  #at(shard: number): Place {
    return shard === this.index ? Place.Here : Place.Elsewhere
  }

  #ofFirst(here: number, argc: number, hash: number): Place {
    if (argc < 2) return this.#at(0)
    return here < 2 ? Place.Nowhere : this.#at(shardOf(hash))
  }

  #ofSubcommand(batch: Batch, i: number, id: number): Place {
    const a = batch.first[i]
    const argc = batch.argc(i)
    const sub =
      argc < 2 ? -1 : this.#table.lookupSub(id, batch.bytes, batch.start[a + 1], batch.length[a + 1])
    if (sub < 0 || this.#handlers[sub] === undefined) return this.#ofOpaque(batch, i, id)
    if (this.#roles[sub] === Role.First) return this.#at(0)
    return this.#ofKeys(batch, i, this.#table.keyPositions(sub, batch, a, argc))
  }

  #ofOpaque(batch: Batch, i: number, id: number): Place {
    const positions = this.#opaque.positions(batch, i, id)
    // Where nothing is known of it the first one says so.
    return positions === undefined || positions.length === 0 ? this.#at(0) : this.#ofKeys(batch, i, positions)
  }

  #ofKeys(batch: Batch, i: number, positions: readonly number[]): Place {
    const { bytes, start, length } = batch
    let shard = -1
    for (const position of positions) {
      const a = batch.first[i] + position
      const its = shardOf(hashOf(bytes, start[a], start[a] + length[a]))
      if (shard >= 0 && its !== shard) return Place.Nowhere
      shard = its
    }
    return shard < 0 ? Place.Nowhere : this.#at(shard)
  }
}
