import type { Key, KeySink } from '../../operations/keys.ts'
import { scoreText } from '../../values/command.ts'
import { type Kind, NO_EXPIRY, type StreamState } from '../../values/elements.ts'
import { Slice } from '../../values/slice.ts'
import { ARRAY, JsonLine, OBJECT } from './json-line.ts'
import type { LineWriter } from './lines.ts'

// Brackets that are open inside …
const LINE = 1
/** … the object that a stream is, */
const VALUE = 2
/** the list of its entries or groups, or `idmp`, */
const LIST = 3
/** a group, or the list of producers, */
const GROUP = 4
const PRODUCERS = 4
/** a list of the group's. */
const GROUP_LIST = 5
/** Bytes that become whole digits of base64. */
const BASE64_UNIT = 3
/** Bytes that become base64 at once: a multiple of the unit. */
const BASE64_AT_ONCE = BASE64_UNIT << 14

/**
 * Writes keys as JSON Lines, each element as it comes:
 *
 *     {"db":0,"key":"…","type":"…","expireAtMs":N,"value":…}
 *
 *     string  "…"                 list, set  ["…",…]           hash    [["field","value",expireAtMs?],…]
 *     zset    [["member","score"],…]                           array   {"next":N,"slots":[[index,"…"],…]}
 *     module  {"base64":"…"}
 *     stream  {"entries":[{"id":"ms-seq","fields":[["…","…"],…]},…],"length":N,"lastId":"…","firstId":"…",
 *              "maxDeletedId":"…","entriesAdded":N,"groups":[{"name":"…","lastId":"…","entriesRead":N|null,
 *              "pending":[{"id":"…","deliveredAtMs":N,"deliveries":N},…],
 *              "consumers":[{"name":"…","seenAtMs":N,"activeAtMs":N|null,"pending":["…",…]},…],"nacked":["…",…]},…],
 *              "idmp":{"producers":[{"id":"…","entries":[["…","ms-seq"],…]},…],"duration":N,"limit":N,"added":N,
 *              "repeated":N}}
 *
 * A line whose value breaks off ends with `"incomplete":true`.
 */
export class KeyDump implements KeySink {
  exists = false
  readonly #lines: LineWriter
  readonly #json: JsonLine
  #db = 0
  readonly #key = new Slice()
  #kind: Kind = 'string'
  #expireAtMs = NO_EXPIRY
  /** Whether its line is begun, which waits for the first element: servers have no keys without any. */
  #begun = false
  /** Of a stream: what of the group it is in was begun, and whether `idmp` was. */
  #inGroup = false
  #hasConsumers = false
  #hasNacked = false
  #hasProducers = false
  /** Of an array. */
  #next: bigint | undefined
  /** Bytes of a module that are no whole unit of base64 yet. */
  readonly #rest = new Uint8Array(BASE64_UNIT)
  #restSize = 0

  constructor(lines: LineWriter) {
    this.#lines = lines
    this.#json = new JsonLine(lines)
  }

  /** Who takes the value of the key. */
  key({ db, key, kind, expireAtMs }: Key): this {
    this.#db = db
    this.#key.room(key.length).set(key.bytes.subarray(key.at, key.end))
    this.#kind = kind
    this.#expireAtMs = expireAtMs
    this.#begun = false
    this.exists = false
    this.#inGroup = false
    this.#hasProducers = false
    this.#next = undefined
    this.#restSize = 0
    return this
  }

  begin(kind: Kind, _count: number): void {
    if (kind !== 'stream') return
    this.#begin()
    this.#json.open(OBJECT)
    this.#json.name('entries')
    this.#json.open(ARRAY)
  }

  string(value: Slice): void {
    this.#begin()
    this.#json.string(value)
  }

  item(value: Slice): void {
    this.#beginArray()
    this.#json.string(value)
  }

  member(value: Slice): void {
    this.#beginArray()
    this.#json.string(value)
  }

  scored(member: Slice, score: number): void {
    this.#beginArray()
    const json = this.#json
    json.open(ARRAY)
    json.string(member)
    json.word(scoreText(score))
    json.close()
  }

  field(name: Slice, value: Slice, expireAtMs: bigint): void {
    this.#beginArray()
    const json = this.#json
    json.open(ARRAY)
    json.string(name)
    json.string(value)
    if (expireAtMs !== NO_EXPIRY) json.integer(expireAtMs)
    json.close()
  }

  entry(ms: bigint, seq: bigint, _fields: number): void {
    const json = this.#json
    json.closeTo(LIST)
    json.open(OBJECT)
    this.#id('id', ms, seq)
    json.name('fields')
    json.open(ARRAY)
  }

  state({ length, lastId, firstId, maxDeletedId, entriesAdded }: StreamState): void {
    const json = this.#json
    json.closeTo(VALUE)
    this.#integer('length', length)
    this.#id('lastId', lastId.ms, lastId.seq)
    this.#id('firstId', firstId.ms, firstId.seq)
    this.#id('maxDeletedId', maxDeletedId.ms, maxDeletedId.seq)
    this.#integer('entriesAdded', entriesAdded)
    json.name('groups')
    json.open(ARRAY)
  }

  group(name: Slice, lastMs: bigint, lastSeq: bigint, entriesRead: bigint): void {
    this.#endGroup()
    const json = this.#json
    json.open(OBJECT)
    json.name('name')
    json.string(name)
    this.#id('lastId', lastMs, lastSeq)
    this.#known('entriesRead', entriesRead)
    json.name('pending')
    json.open(ARRAY)
    this.#inGroup = true
    this.#hasConsumers = false
    this.#hasNacked = false
  }

  pending(ms: bigint, seq: bigint, deliveredAtMs: bigint, deliveries: bigint): void {
    this.#json.open(OBJECT)
    this.#id('id', ms, seq)
    this.#integer('deliveredAtMs', deliveredAtMs)
    this.#integer('deliveries', deliveries)
    this.#json.close()
  }

  consumer(name: Slice, seenAtMs: bigint, activeAtMs: bigint): void {
    this.#openConsumers()
    const json = this.#json
    json.closeTo(GROUP_LIST)
    json.open(OBJECT)
    json.name('name')
    json.string(name)
    this.#integer('seenAtMs', seenAtMs)
    this.#known('activeAtMs', activeAtMs)
    json.name('pending')
    json.open(ARRAY)
  }

  owned(ms: bigint, seq: bigint): void {
    this.#json.word(`${ms}-${seq}`)
  }

  nacked(ms: bigint, seq: bigint): void {
    if (!this.#hasNacked) {
      this.#openConsumers()
      this.#hasNacked = true
      this.#json.closeTo(GROUP)
      this.#json.name('nacked')
      this.#json.open(ARRAY)
    }
    this.#json.word(`${ms}-${seq}`)
  }

  producer(id: Slice): void {
    this.#openProducers()
    const json = this.#json
    json.closeTo(PRODUCERS)
    json.open(OBJECT)
    json.name('id')
    json.string(id)
    json.name('entries')
    json.open(ARRAY)
  }

  produced(id: Slice, ms: bigint, seq: bigint): void {
    const json = this.#json
    json.open(ARRAY)
    json.string(id)
    json.word(`${ms}-${seq}`)
    json.close()
  }

  idempotence(duration: bigint, limit: bigint, added: bigint, repeated: bigint): void {
    this.#openProducers()
    this.#json.closeTo(LIST)
    this.#integer('duration', duration)
    this.#integer('limit', limit)
    this.#integer('added', added)
    this.#integer('repeated', repeated)
  }

  raw({ bytes, at, end }: Slice): void {
    if (!this.#begun) {
      this.#begin()
      this.#json.open(OBJECT)
      this.#json.name('base64')
      this.#lines.text('"')
    }
    let from = at
    while (this.#restSize > 0 && from < end) {
      this.#rest[this.#restSize++] = bytes[from++]
      if (this.#restSize === BASE64_UNIT) this.#endBase64()
    }
    const whole = end - ((end - from) % BASE64_UNIT)
    for (; from < whole; from += BASE64_AT_ONCE)
      this.#lines.text(base64(bytes, from, Math.min(whole, from + BASE64_AT_ONCE)))
    for (let i = whole; i < end; i++) this.#rest[this.#restSize++] = bytes[i]
  }

  next(index: bigint): void {
    this.#next = index
  }

  slot(index: bigint, value: Slice): void {
    const json = this.#json
    if (!this.#begun) {
      this.#begin()
      json.open(OBJECT)
      if (this.#next !== undefined) this.#integer('next', this.#next)
      json.name('slots')
      json.open(ARRAY)
    }
    json.open(ARRAY)
    json.integer(index)
    json.string(value)
    json.close()
  }

  end(): void {
    if (!this.#begun) return
    if (this.#kind === 'stream') this.#endGroup()
    this.#endModule()
    this.#json.end()
    this.#begun = false
  }

  /** The value breaks off, unless it had its end: the line says so. */
  cut(): void {
    if (!this.#begun) return
    this.#endModule()
    this.#json.closeTo(LINE)
    this.#json.name('incomplete')
    this.#json.literal('true')
    this.#json.end()
    this.#begun = false
  }

  /** Begins the line, up to the value. */
  #begin(): void {
    this.#begun = true
    this.exists = true
    const json = this.#json
    json.open(OBJECT)
    json.name('db')
    json.literal(`${this.#db}`)
    json.name('key')
    json.string(this.#key)
    json.name('type')
    json.word(this.#kind)
    if (this.#expireAtMs !== NO_EXPIRY) this.#integer('expireAtMs', this.#expireAtMs)
    json.name('value')
  }

  /** The same, with the array that the value is, unless that is open. */
  #beginArray(): void {
    if (this.#begun) return
    this.#begin()
    this.#json.open(ARRAY)
  }

  #id(name: string, ms: bigint, seq: bigint): void {
    this.#json.name(name)
    this.#json.word(`${ms}-${seq}`)
  }

  #integer(name: string, value: bigint): void {
    this.#json.name(name)
    this.#json.integer(value)
  }

  /** A number that is -1 where it is not known. */
  #known(name: string, value: bigint): void {
    this.#json.name(name)
    if (value === -1n) this.#json.literal('null')
    else this.#json.integer(value)
  }

  #openConsumers(): void {
    if (this.#hasConsumers) return
    this.#hasConsumers = true
    this.#json.closeTo(GROUP)
    this.#json.name('consumers')
    this.#json.open(ARRAY)
  }

  #endGroup(): void {
    if (!this.#inGroup) return
    this.#openConsumers()
    this.#inGroup = false
    this.#json.closeTo(LIST)
  }

  #openProducers(): void {
    this.#endGroup()
    if (this.#hasProducers) return
    this.#hasProducers = true
    this.#json.closeTo(VALUE)
    this.#json.name('idmp')
    this.#json.open(OBJECT)
    this.#json.name('producers')
    this.#json.open(ARRAY)
  }

  #endModule(): void {
    if (this.#kind !== 'module') return
    this.#endBase64()
    this.#lines.text('"')
  }

  #endBase64(): void {
    this.#lines.text(base64(this.#rest, 0, this.#restSize))
    this.#restSize = 0
  }
}

function base64(bytes: Uint8Array, at: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + at, end - at).toString('base64')
}
