import { scanPart } from '../../src/aof/scan.ts'
import { BufferSource } from '../../src/bytes/source.ts'
import { Window } from '../../src/bytes/window.ts'
import { Argument } from '../../src/keyspace/argument.ts'
import { Keyspace, KIND_NAMES } from '../../src/keyspace/keyspace.ts'
import { Preamble } from '../../src/keyspace/preamble.ts'
import { Replayer } from '../../src/keyspace/replayer.ts'
import type { RdbTarget } from '../../src/rdb/targets.ts'
import { RdbWriter, type WriteOptions } from '../../src/rdb/writer.ts'
import { CommandTable } from '../../src/servers/commands.ts'
import type { ServerName } from '../../src/servers/servers.ts'
import { KeyspaceDigest } from '../../src/values/digest.ts'
import { type Kind, NO_EXPIRY } from '../../src/values/elements.ts'
import { Slice } from '../../src/values/slice.ts'
import { type Answer, AnswerSink } from '../rdb/answers.ts'

export interface Replayed {
  readonly keyspace: Keyspace
  readonly replayer: Replayer
  /** `name: reply` of each, in order. */
  readonly rejected: string[]
  readonly unsupported: string[]
}

export interface ReplayOptions {
  readonly server?: ServerName
  /** Bytes read at once: what is longer is a long record. */
  readonly chunk?: number
  /** Whether the last record may be cut. */
  readonly torn?: boolean
  /** Further names of commands. */
  readonly allow?: readonly string[]
  readonly hllSparseMaxBytes?: number
  /** Whether values of an RDB are decoded at once, and none stays encoded. */
  readonly decoded?: boolean
}

/** Replays one part. */
export function replay(log: Uint8Array, options: ReplayOptions = {}): Promise<Replayed> {
  return replayParts([log], options)
}

/** Replays parts, one behind the other, each with or without an RDB at its beginning. */
export async function replayParts(
  parts: readonly Uint8Array[],
  {
    server = 'valkey-9.1',
    chunk,
    torn = false,
    allow,
    hllSparseMaxBytes = 3000,
    decoded = false,
  }: ReplayOptions = {},
): Promise<Replayed> {
  const rejected: string[] = []
  const unsupported: string[] = []
  const keyspace = new Keyspace({ databases: 16, server, hllSparseMaxBytes })
  const replayer = new Replayer(keyspace, new CommandTable(server, allow), {
    rejected: (_offset, name, { reply }) => rejected.push(`${name}: ${reply}`),
    unsupported: (_offset, name) => unsupported.push(name),
  })
  for (const part of parts) {
    const source = new BufferSource(part)
    const preamble = new Preamble(keyspace, keyspace.store.extents.add(source), {
      damaged(error) {
        throw error
      },
      duplicate(offset) {
        throw new Error(`a key is there twice, at ${offset}`)
      },
      refused(offset, { reply }) {
        throw new Error(`the library at ${offset}: ${reply}`)
      },
    })
    replayer.enter(source)
    const end = await scanPart(
      source,
      {
        rdb: event => preamble.event(event),
        records: batch => void replayer.records(batch),
        long: record => void replayer.long(record),
      },
      { databases: 16, values: true, ...(chunk === undefined ? {} : { window: new Window(source, chunk) }) },
    )
    if (end.error !== undefined && !(torn && end.error.kind === 'torn')) throw end.error
    preamble.end()
    if (decoded) decodeAll(keyspace)
  }
  return { keyspace, replayer, rejected, unsupported }
}

/** Asks for the value of every key. */
export function decodeAll(keyspace: Keyspace): void {
  const key = new Argument()
  keyspace.forEach(cell => {
    keyspace.key(cell, key)
    keyspace.find(new Argument().of(key.copy()), keyspace.database(cell))
  })
}

/** The keyspace as an RDB. */
export function rdbOf(keyspace: Keyspace, target: RdbTarget, options: WriteOptions = {}): Buffer {
  const writer = new RdbWriter(target, options)
  const key = new Slice()
  for (let db = 0; db < keyspace.databases; db++) {
    if (keyspace.count(db) === 0) continue
    writer.select(db)
    keyspace.forEach(cell => {
      if (keyspace.database(cell) !== db) return
      keyspace.key(cell, key)
      const head = { key, expireAtMs: keyspace.expiry(cell), idle: -1, frequency: -1 }
      keyspace.emit(cell, writer.entry(head))
    })
  }
  writer.finish()
  return Buffer.from(writer.take())
}

export function digestOf(keyspace: Keyspace, server: ServerName): string {
  const digest = new KeyspaceDigest({ server })
  const key = new Slice()
  keyspace.forEach(cell => {
    keyspace.key(cell, key)
    const kind = KIND_NAMES[keyspace.kind(cell)] as Kind
    digest.key(keyspace.database(cell), key, kind, keyspace.expiry(cell))
    keyspace.emit(cell, digest)
  })
  return digest.hex()
}

/** What the keyspace holds, as a server would say it; keys that are opaque have no value. */
export function answersOf(keyspace: Keyspace): Answer[] {
  const answers: Answer[] = []
  const key = new Slice()
  keyspace.forEach(cell => {
    keyspace.key(cell, key)
    const expiry = keyspace.expiry(cell)
    const sink = new AnswerSink()
    keyspace.emit(cell, sink)
    answers.push({
      ...{ db: keyspace.database(cell), key: textOf(key), ...sink.take() },
      ...(expiry === NO_EXPIRY ? {} : { expireAtMs: String(expiry) }),
    })
  })
  return answers
}

/** Sources of its libraries, sorted. */
export function functionsOf(keyspace: Keyspace): string[] {
  return Array.from(keyspace.functions.entries(), ([, source]) =>
    Buffer.from(source).toString('latin1'),
  ).sort()
}

export function argument(text: string): Argument {
  return new Argument().ofText(text)
}

export function textOf(slice: Slice): string {
  return Buffer.from(slice.copy()).toString('latin1')
}

/** mulberry32. */
export function generator(seed: number): (below: number) => number {
  let state = seed >>> 0
  return below => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4294967296) * below)
  }
}
