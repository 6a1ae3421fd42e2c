import { FileSource } from '../src/bytes/file-source.ts'
import { Window } from '../src/bytes/window.ts'
import {
  type CopiedValue,
  checkOutput,
  type WrittenKey,
  type WrittenKeys,
} from '../src/operations/compact-check.ts'
import { type Entry, EntryReader } from '../src/rdb/entries.ts'
import { RdbWalk } from '../src/rdb/walk.ts'
import { type ElementSink, type Kind, NO_EXPIRY } from '../src/values/elements.ts'
import { KeyspaceFingerprint } from '../src/values/fingerprint.ts'
import { Slice } from '../src/values/slice.ts'

/*
 * Reading an RDB back, with its values compared with those of a file, and with their elements fingerprinted:
 *
 *     node scripts/run.js bench/compact-check.ts FILE
 */

const ROUNDS = 5
const path = process.argv[2]

const KINDS: readonly Kind[] = ['string', 'list', 'set', 'zset', 'hash', 'stream', 'module', 'array']
const MOST = 2_000_000
const COLUMNS = 6

/** The keys of a file, in columns, so that they can be given again at little cost. */
class Keys implements WrittenKeys, WrittenKey {
  readonly key = new Slice()
  db = 0
  kind: Kind = 'string'
  expireAtMs = NO_EXPIRY
  copied: CopiedValue | undefined
  copying = true
  count = 0
  readonly #bytes = new Uint8Array(1 << 27)
  /** Of each: where the key begins, database, kind, offset, length and type of the value. */
  readonly #rows = new Float64Array(MOST * COLUMNS)
  readonly #expiries = new BigInt64Array(MOST)
  readonly #place: { source: FileSource; offset: number; length: number; type: number }
  #end = 0
  #next = 0

  constructor(source: FileSource) {
    this.#place = { source, offset: 0, length: 0, type: 0 }
  }

  add({ key, db, kind, expireAtMs, valueOffset, type }: Entry): void {
    const row = this.count * COLUMNS
    this.#bytes.set(key.bytes.subarray(key.at, key.end), this.#end)
    this.#rows.set([this.#end, db, KINDS.indexOf(kind), valueOffset, 0, type], row)
    this.#end += key.length
    this.#rows[row + COLUMNS] = this.#end
    this.#expiries[this.count++] = expireAtMs
  }

  end(i: number, end: number): void {
    this.#rows[i * COLUMNS + 4] = end - this.#rows[i * COLUMNS + 3]
  }

  rewind(): void {
    this.#next = 0
  }

  next(): WrittenKey | undefined {
    if (this.#next === this.count) return undefined
    const expiry = this.#expiries[this.#next]
    const rows = this.#rows
    const row = this.#next++ * COLUMNS
    this.key.set(this.#bytes, rows[row], rows[row + COLUMNS])
    this.db = rows[row + 1]
    this.kind = KINDS[rows[row + 2]]
    this.expireAtMs = expiry
    this.#place.offset = rows[row + 3]
    this.#place.length = rows[row + 4]
    this.#place.type = rows[row + 5]
    this.copied = this.copying ? this.#place : undefined
    return this
  }
}

const file = await FileSource.open(path)
const keys = new Keys(file)
const fingerprint = new KeyspaceFingerprint()
const reader = new EntryReader({
  entry(entry): ElementSink {
    keys.add(entry)
    return fingerprint.key(entry.db, entry.key, entry.kind, entry.expireAtMs)
  },
  damaged(error) {
    throw error
  },
})
const walk = new RdbWalk(new Window(await FileSource.open(path)), { values: true })
for (let event = await walk.next(); event !== undefined; event = await walk.next()) {
  const before = keys.count
  reader.event(event)
  if (event.kind !== 'entries') continue
  const from = event.inPieces ? before - 1 : before
  for (let i = 0; i < event.entries.count; i++) keys.end(from + i, event.entries.end[i])
}

const empty = new KeyspaceFingerprint()
for (const copying of [true, false]) {
  const times: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    keys.copying = copying
    keys.rewind()
    const source = await FileSource.open(path)
    const from = process.cpuUsage()
    const wall = process.hrtime.bigint()
    await checkOutput(source, { keys, fingerprint: copying ? empty : fingerprint, databases: 16 })
    const { user, system } = process.cpuUsage(from)
    times.push((user + system) / 1000)
    if (round === 0) console.log(`first: ${Number((process.hrtime.bigint() - wall) / 1_000_000n)} ms`)
    await source.close()
  }
  const ms = times.sort((a, b) => a - b)[ROUNDS >> 1]
  const rate = ((file.size as number) / ms / 1000).toFixed(0)
  console.log(
    `${copying ? 'copied' : 'decoded'}: ${ms.toFixed(0)} ms of CPU for ${keys.count} keys, ${rate} MB/s`,
  )
}
await file.close()
