import type { Input, Part } from '../aof/parts.ts'
import { CellKind } from '../keyspace/cells.ts'
import { type Keyspace, KIND_NAMES } from '../keyspace/keyspace.ts'
import { IgnoredElements, type Kind, type StreamState } from '../values/elements.ts'
import { Slice } from '../values/slice.ts'
import { fingerprint } from './fingerprints.ts'
import { type Replay, type ReplayOptions, replayLog } from './replay.ts'
import type { KeptPartOpener, RewindPlan } from './rewind.ts'

/** What a database has now, and what it would have. */
export interface DatabasePreview {
  /** Keys. */
  now: number
  after: number
  /** Keys that are not there now, that would be gone, and that would have another value or expiry. */
  gained: number
  lost: number
  changed: number
  /** Names of some of them: of those lost, where they are among the keys that were made last. */
  readonly examples: Record<'gained' | 'lost' | 'changed', Uint8Array[]>
}

export interface RewindPreview {
  /** By database, ascending. */
  readonly databases: ReadonlyMap<number, DatabasePreview>
  /** Libraries of functions. */
  readonly functions: { readonly now: number; readonly after: number }
}

/** Names for each database and change. */
const EXAMPLES = 3
/** Keys of now whose names are remembered, and bytes of a name: those are for examples only. */
const REMEMBERED = 1 << 14
const LONGEST_NAME = 200

/**
 * What the keyspace would gain and lose by a rewind, against what a server that loads the log has now. Two replays, one
 * after the other: of the first a fingerprint of each key is kept, some 25 to 50 bytes.
 *
 * @param open how parts are opened, which stay open while they are replayed
 * @param progress is told the bytes read so far, of both
 * @throws JobError as {@link replayLog}
 */
export async function previewRewind(
  input: Input,
  plan: RewindPlan,
  options: ReplayOptions,
  open: KeptPartOpener,
  progress?: (bytes: number) => void,
): Promise<RewindPreview> {
  const preview = new Preview()
  let bytes = 0
  const now = await replayLog(input, { ...options, open }, progress)
  try {
    preview.remember(now)
    bytes = now.bytes
  } finally {
    await now.close()
  }
  const then = await replayLog(
    input,
    { ...options, open, ...thenOf(plan) },
    progress && (done => progress(bytes + done)),
  )
  try {
    return preview.compare(then)
  } finally {
    await then.close()
  }
}

/** What a replay of the result leaves out. */
export function thenOf({ input, moment, parts }: RewindPlan): Pick<ReplayOptions, 'ends' | 'omit'> {
  const ends = new Map<Part, number>(input.parts.map(part => [part, 0]))
  for (const { part, end } of parts) ends.set(part, end)
  if (moment.kind !== 'without') return { ends }
  return { ends, omit: (batch, i, argc) => moment.pattern.test(batch, i, argc) }
}

interface Name {
  readonly db: number
  readonly name: Uint8Array
}

class Preview {
  readonly #databases = new Map<number, DatabasePreview>()
  readonly #table = new PrintTable()
  readonly #names: Name[] = []
  readonly #print = new ValuePrint()
  readonly #key = new Slice()
  readonly #words = new Int32Array(4)
  #functions = 0

  remember({ keyspace }: Replay): void {
    this.#functions = keyspace.functions.size
    let number = 0
    for (let cell = keyspace.nextKey(0); cell !== 0; cell = keyspace.nextKey(cell)) {
      const db = this.#read(keyspace, cell)
      this.#table.add(this.#words)
      this.#of(db).now++
      const { bytes, at, end, length } = this.#key
      if (length <= LONGEST_NAME) this.#names[number++ % REMEMBERED] = { db, name: bytes.slice(at, end) }
    }
  }

  compare({ keyspace }: Replay): RewindPreview {
    const words = this.#words
    const kept = new Map<number, number>()
    for (let cell = keyspace.nextKey(0); cell !== 0; cell = keyspace.nextKey(cell)) {
      const db = this.#read(keyspace, cell)
      const database = this.#of(db)
      database.after++
      const slot = this.#table.find(words)
      if (slot < 0) {
        database.gained++
        this.#example(database.examples.gained)
        continue
      }
      kept.set(db, (kept.get(db) ?? 0) + 1)
      if (this.#table.see(slot, words)) continue
      database.changed++
      this.#example(database.examples.changed)
    }
    for (const [db, database] of this.#databases) database.lost = database.now - (kept.get(db) ?? 0)
    this.#lostNames()
    return {
      databases: new Map([...this.#databases].sort(([a], [b]) => a - b)),
      functions: { now: this.#functions, after: keyspace.functions.size },
    }
  }

  #lostNames(): void {
    const words = this.#words
    for (const { db, name } of this.#names) {
      const { lost } = this.#of(db).examples
      if (lost.length === EXAMPLES) continue
      fingerprint(name, 0, name.length, db, words, 0)
      const slot = this.#table.find(words)
      if (slot >= 0 && !this.#table.wasSeen(slot)) lost.push(name)
    }
  }

  /** Makes the words those of a key and its value; its database. */
  #read(keyspace: Keyspace, cell: number): number {
    const words = this.#words
    const key = this.#key
    const db = keyspace.database(cell)
    const kind = keyspace.kind(cell)
    this.#print.start(KIND_NAMES[kind] as Kind, keyspace.expiry(cell))
    keyspace.emit(cell, this.#print)
    // What they do is not known; that there are more of them is.
    if (kind === CellKind.Module) this.#print.commands(keyspace.opaques.commands(cell))
    words[2] = this.#print.first
    words[3] = this.#print.second
    keyspace.key(cell, key)
    fingerprint(key.bytes, key.at, key.end, db, words, 0)
    return db
  }

  #example(list: Uint8Array[]): void {
    if (list.length < EXAMPLES) list.push(this.#key.copy())
  }

  #of(db: number): DatabasePreview {
    let database = this.#databases.get(db)
    if (database === undefined) {
      database = {
        now: 0,
        after: 0,
        gained: 0,
        lost: 0,
        changed: 0,
        examples: { gained: [], lost: [], changed: [] },
      }
      this.#databases.set(db, database)
    }
    return database
  }
}

const SMALLEST = 1 << 10
/** Words of a slot: two of the key, two of its value. */
const SLOT = 4

/** Fingerprints of keys, each with that of its value: an open hash that grows by doubling. */
class PrintTable {
  #words = new Int32Array(SLOT * SMALLEST)
  #seen = new Uint8Array(SMALLEST)
  #count = 0

  /** Adds a key that is not there. */
  add(from: Int32Array): void {
    if (3 * ++this.#count > 2 * this.#seen.length) this.#grow()
    put(this.#words, from, 0)
  }

  /** The slot of a key, or -1. */
  find(from: Int32Array): number {
    const at = placeOf(this.#words, from[0], from[1])
    return (this.#words[at] | this.#words[at + 1]) === 0 ? -1 : at / SLOT
  }

  /** Takes note that the key is there, and says whether its value is the same. */
  see(slot: number, from: Int32Array): boolean {
    this.#seen[slot] = 1
    return this.#words[slot * SLOT + 2] === from[2] && this.#words[slot * SLOT + 3] === from[3]
  }

  wasSeen(slot: number): boolean {
    return this.#seen[slot] === 1
  }

  #grow(): void {
    const before = this.#words
    this.#words = new Int32Array(2 * before.length)
    this.#seen = new Uint8Array(this.#words.length / SLOT)
    for (let at = 0; at < before.length; at += SLOT) {
      if ((before[at] | before[at + 1]) !== 0) put(this.#words, before, at)
    }
  }
}

function put(words: Int32Array, from: Int32Array, at: number): void {
  const to = placeOf(words, from[at], from[at + 1])
  for (let k = 0; k < SLOT; k++) words[to + k] = from[at + k]
}

function placeOf(words: Int32Array, first: number, second: number): number {
  const mask = words.length / SLOT - 1
  for (let slot = second & mask; ; slot = (slot + 1) & mask) {
    const at = slot * SLOT
    if (words[at] === first && words[at + 1] === second) return at
    if ((words[at] | words[at + 1]) === 0) return at
  }
}

/** The fingerprint of a value: the same for the same elements, of sets, sorted sets and hashes in any order. */
class ValuePrint extends IgnoredElements {
  first = 0
  second = 0
  /** Of what has an order: how many came before. */
  #index = 0
  #ordered = false
  readonly #words = new Int32Array(2)
  readonly #number = new Uint8Array(24)
  readonly #view = new DataView(this.#number.buffer)

  start(kind: Kind, expireAtMs: bigint): void {
    this.first = 0
    this.second = 0
    this.#index = 0
    this.#ordered = kind === 'list' || kind === 'stream' || kind === 'module' || kind === 'array'
    this.#text(kind)
    this.#numbers(expireAtMs, 0n, 0n)
  }

  commands(count: number): void {
    this.#numbers(BigInt(count), 0n, 0n)
  }

  override string(value: Slice): void {
    this.#add(value, 1)
  }

  override item(value: Slice): void {
    this.#add(value, 2)
  }

  override member(value: Slice): void {
    this.#add(value, 3)
  }

  override scored(member: Slice, score: number): void {
    this.#view.setFloat64(0, score)
    this.#pair(member, this.#number, 0, 8)
  }

  override field(name: Slice, value: Slice, expireAtMs: bigint): void {
    this.#view.setBigInt64(0, expireAtMs)
    const words = this.#words
    fingerprint(this.#number, 0, 8, 5, words, 0)
    fingerprint(value.bytes, value.at, value.end, words[0] ^ words[1], words, 0)
    this.#add(name, words[0] ^ (words[1] << 1))
  }

  override entry(ms: bigint, seq: bigint, fields: number): void {
    this.#numbers(ms, seq, BigInt(fields))
  }

  override state({ length, lastId, maxDeletedId, entriesAdded }: StreamState): void {
    this.#numbers(length, lastId.ms, lastId.seq)
    this.#numbers(entriesAdded, maxDeletedId.ms, maxDeletedId.seq)
  }

  override group(name: Slice, lastMs: bigint, lastSeq: bigint, entriesRead: bigint): void {
    this.#add(name, 6)
    this.#numbers(lastMs, lastSeq, entriesRead)
  }

  override pending(ms: bigint, seq: bigint, _deliveredAtMs: bigint, deliveries: bigint): void {
    this.#numbers(ms, seq, deliveries)
  }

  // When a consumer was seen is the time of the replay.
  override consumer(name: Slice): void {
    this.#add(name, 7)
  }

  override owned(ms: bigint, seq: bigint): void {
    this.#numbers(ms, seq, 1n)
  }

  override raw(bytes: Slice): void {
    this.#add(bytes, 8)
  }

  override slot(index: bigint, value: Slice): void {
    this.#numbers(index, 0n, 0n)
    this.#add(value, 9)
  }

  #pair(slice: Slice, bytes: Uint8Array, at: number, end: number): void {
    const words = this.#words
    fingerprint(bytes, at, end, 4, words, 0)
    this.#add(slice, words[0] ^ (words[1] << 1))
  }

  #numbers(a: bigint, b: bigint, c: bigint): void {
    this.#view.setBigInt64(0, a)
    this.#view.setBigInt64(8, b)
    this.#view.setBigInt64(16, c)
    this.#bytes(this.#number, 0, 24, 10)
  }

  #text(text: string): void {
    const { length } = text
    for (let i = 0; i < length; i++) this.#number[i] = text.charCodeAt(i)
    this.#bytes(this.#number, 0, length, 11)
  }

  #add({ bytes, at, end }: Slice, salt: number): void {
    this.#bytes(bytes, at, end, salt)
  }

  #bytes(bytes: Uint8Array, at: number, end: number, salt: number): void {
    const words = this.#words
    fingerprint(bytes, at, end, this.#ordered ? salt ^ Math.imul(++this.#index, ODD) : salt, words, 0)
    this.first = (this.first + words[0]) | 0
    this.second = (this.second + words[1]) | 0
  }
}

const ODD = 0x9e3779b1 | 0
