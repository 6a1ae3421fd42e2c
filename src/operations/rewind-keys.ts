import type { Input } from '../aof/parts.ts'
import type { Glob } from '../bytes/glob.ts'
import { Sink } from '../bytes/sink.ts'
import { CellKind } from '../keyspace/cells.ts'
import { type Keyspace, KIND_NAMES } from '../keyspace/keyspace.ts'
import { writePayload } from '../rdb/payload.ts'
import { encodeRecord } from '../resp/writer.ts'
import type { Command } from '../values/command.ts'
import { type Kind, NO_EXPIRY } from '../values/elements.ts'
import { RebuildCommands } from '../values/rebuild.ts'
import { Slice } from '../values/slice.ts'
import { type ReplayOptions, replayLog } from './replay.ts'
import type { KeptPartOpener, RewindPlan } from './rewind.ts'
import { thenOf } from './rewind-preview.ts'

export interface RebuiltKeys {
  /** Keys that are given. */
  readonly keys: number
  readonly commands: number
  readonly bytes: number
  /** Of them, those whose time to live is over: servers delete them as they come. */
  readonly expired: number
  /** Keys that match and cannot be rebuilt, since commands of which nothing is known changed them; some of them. */
  readonly opaque: number
  readonly opaqueNames: readonly Uint8Array[]
}

export interface KeyTarget {
  /** A file; undefined: the bytes are given to {@link give}. */
  readonly output?: string | undefined
  readonly force: boolean
  /** Takes bytes that are its own. */
  give(bytes: Uint8Array): void | Promise<void>
}

/** Names of keys that are told of. */
const TOLD = 3
/** Bytes that are gathered before they are written. */
const PIECE = 1 << 20
const MODULE_VALUE = 7
/** Of the RDB whose form RESTORE is given: the oldest that has values of modules, which every server takes. */
const PAYLOAD_VERSION = 9

/**
 * Gives the commands that bring keys back as a plan would leave them, for `redis-cli --pipe` and as a log: `SELECT`, and
 * for each key `DEL`, since what is there now would be added to, and the commands that rebuild it. A string needs no
 * `DEL`. Keys that match and were not there then are not touched.
 *
 * @param nowMs Unix milliseconds: what has expired is counted
 * @throws JobError as {@link replayLog}, and when the file cannot be written
 */
export async function rebuildKeys(
  input: Input,
  plan: RewindPlan,
  glob: Glob,
  options: ReplayOptions,
  open: KeptPartOpener,
  target: KeyTarget,
  nowMs: number,
  progress?: (bytes: number) => void,
): Promise<RebuiltKeys> {
  const replay = await replayLog(input, { ...options, open, ...thenOf(plan) }, progress)
  try {
    const { output, force } = target
    if (output === undefined) return await new KeyWriter(nowMs, target.give).run(replay.keyspace, glob)
    const sink = await Sink.create(output, { replace: force })
    try {
      const keys = await new KeyWriter(nowMs, bytes => sink.write(bytes)).run(replay.keyspace, glob)
      await sink.commit()
      return keys
    } finally {
      await sink.abort()
    }
  } finally {
    await replay.close()
  }
}

class KeyWriter {
  readonly #nowMs: bigint
  readonly #give: (bytes: Uint8Array) => void | Promise<void>
  #pieces: Uint8Array[] = []
  #size = 0
  #keys = 0
  #commands = 0
  #bytes = 0
  #expired = 0
  #opaque = 0
  readonly #opaqueNames: Uint8Array[] = []

  constructor(nowMs: number, give: (bytes: Uint8Array) => void | Promise<void>) {
    this.#nowMs = BigInt(Math.floor(nowMs))
    this.#give = give
  }

  async run(keyspace: Keyspace, glob: Glob): Promise<RebuiltKeys> {
    const rebuild = new RebuildCommands(command => this.#command(command), {
      payload: value => writePayload(MODULE_VALUE, value, PAYLOAD_VERSION),
    })
    const key = new Slice()
    let selected = -1
    for (let cell = keyspace.nextKey(0); cell !== 0; cell = keyspace.nextKey(cell)) {
      keyspace.key(cell, key)
      if (!glob.test(key.bytes, key.at, key.length)) continue
      const kind = KIND_NAMES[keyspace.kind(cell)] as Kind
      if (keyspace.kind(cell) === CellKind.Module && keyspace.opaques.commands(cell) > 0) {
        this.#opaque++
        if (this.#opaqueNames.length < TOLD) this.#opaqueNames.push(key.copy())
        continue
      }
      const db = keyspace.database(cell)
      if (db !== selected) this.#add(encodeRecord(['SELECT', `${db}`]))
      selected = db
      // SET takes the place of whatever is there.
      if (kind !== 'string') this.#add(encodeRecord(['DEL', key.copy()]))
      const expireAtMs = keyspace.expiry(cell)
      if (expireAtMs !== NO_EXPIRY && expireAtMs < this.#nowMs) this.#expired++
      rebuild.key(key, expireAtMs)
      keyspace.emit(cell, rebuild)
      this.#keys++
      if (this.#size > PIECE) await this.#flush()
    }
    await this.#flush()
    return {
      keys: this.#keys,
      commands: this.#commands,
      bytes: this.#bytes,
      expired: this.#expired,
      opaque: this.#opaque,
      opaqueNames: this.#opaqueNames,
    }
  }

  #command({ bytes, start, end, count }: Command): void {
    const args = Array.from({ length: count }, (_, a) => bytes.subarray(start[a], end[a]))
    this.#add(encodeRecord(args))
  }

  #add(record: Uint8Array): void {
    this.#pieces.push(record)
    this.#size += record.length
    this.#commands++
    this.#bytes += record.length
  }

  async #flush(): Promise<void> {
    if (this.#size === 0) return
    const bytes = Buffer.concat(this.#pieces)
    this.#pieces = []
    this.#size = 0
    await this.#give(bytes)
  }
}
