/**
 * What is in a data set, in a form that can be compared: as a server answers when it is asked ({@link askAll}), and
 * as elements give it ({@link AnswerSink}).
 *
 * Bytes are latin1 here, each character a byte, and whole numbers are their digits, since 64 bits are more than a
 * number has. What has no order is sorted.
 */
import { createHash } from 'node:crypto'
import type { ServerName } from '../../src/servers/servers.ts'
import {
  type ElementSink,
  type Kind,
  NO_EXPIRY,
  PASSED_OVER,
  type StreamState,
} from '../../src/values/elements.ts'
import type { Slice } from '../../src/values/slice.ts'
import type { Reply } from '../helpers/servers.ts'

export type Arg = string | Uint8Array | number
export type Ask = (...args: readonly Arg[]) => Promise<Reply>

/** A field of a hash, its value, and when it expires, if ever. */
export type FieldAnswer = [name: string, value: string, expireAtMs?: string]

export interface GroupAnswer {
  name: string
  lastId: string
  /** Absent where it is not known. */
  entriesRead?: string
  pending: [id: string, deliveredAtMs: string, deliveries: string][]
  /** `activeAtMs` is absent where it never was, or is not known. */
  consumers: { name: string; seenAtMs: string; activeAtMs?: string; owned: string[] }[]
  /** Redis 8.8. */
  nacked?: string[]
}

export interface StreamAnswer {
  length: string
  lastId: string
  firstId: string
  maxDeletedId: string
  entriesAdded: string
  /** Names and values by turns. */
  entries: [id: string, fields: string[]][]
  groups: GroupAnswer[]
  /** Redis 8.6. */
  idempotence?: {
    duration: string
    limit: string
    added: string
    repeated: string
    producers: [id: string, produced: [id: string, entry: string][]][]
  }
}

/** A sorted set's score is the shortest text that JavaScript has for it. */
export type ValueAnswer =
  | { kind: 'string'; value: string }
  | { kind: 'list'; value: string[] }
  | { kind: 'set'; value: string[] }
  | { kind: 'zset'; value: [member: string, score: string][] }
  | { kind: 'hash'; value: FieldAnswer[] }
  | { kind: 'stream'; value: StreamAnswer }
  /** Encoded, without the type. */
  | { kind: 'module'; value: string }
  | { kind: 'array'; value: { next?: string; slots: [index: string, value: string][] } }

export type Answer = ValueAnswer & {
  db: number
  key: string
  /** Absent where it never does. */
  expireAtMs?: string
}

/** Servers on which fields expire. */
export const EXPIRES_FIELDS: ReadonlySet<ServerName> = new Set(['redis-8.0', 'valkey-9.1'])

/** Bytes behind the value in what `DUMP` gives: version and checksum. */
const DUMP_TAIL = 10

/** Fields in a command at most: arguments of a call stand on the stack. */
const MOST_FIELDS = 10_000

/** Names a key of a database; the key is latin1. */
export function place(db: number, key: string): string {
  return `${db} ${key}`
}

export function byPlace(answers: readonly Answer[]): Map<string, Answer> {
  return new Map(answers.map(answer => [place(answer.db, answer.key), answer]))
}

/** All keys that a server has and shows, which leaves out those that have expired; databases in their order. */
export async function askAll(ask: Ask, server: ServerName, databases = 16): Promise<Answer[]> {
  const answers: Answer[] = []
  for (let db = 0; db < databases; db++) {
    if (databases > 1) await insist(ask, 'SELECT', db)
    const keys = (await insist(ask, 'KEYS', '*')) as Buffer[]
    const found = await Promise.all(keys.map(key => askKey(ask, server, db, key)))
    answers.push(...found)
  }
  return answers
}

async function askKey(ask: Ask, server: ServerName, db: number, key: Buffer): Promise<Answer> {
  const [type, expiry] = await Promise.all([insist(ask, 'TYPE', key), insist(ask, 'PEXPIRETIME', key)])
  const value = await askValue(ask, server, String(type), key)
  return {
    ...{ db, key: latin1(key), ...value },
    ...(expiry === -1 ? {} : { expireAtMs: String(expiry) }),
  }
}

async function askValue(ask: Ask, server: ServerName, type: string, key: Buffer): Promise<ValueAnswer> {
  switch (type) {
    case 'string':
      return { kind: type, value: latin1(await insist(ask, 'GET', key)) }
    case 'list':
      return { kind: type, value: texts(await insist(ask, 'LRANGE', key, 0, -1)) }
    case 'set':
      return { kind: type, value: texts(await insist(ask, 'SMEMBERS', key)).sort() }
    case 'zset': {
      const reply = pairs(texts(await insist(ask, 'ZRANGE', key, 0, -1, 'WITHSCORES')))
      return {
        kind: type,
        value: reply.map(([member, score]) => scored(member, scoreOf(score))).sort(byName),
      }
    }
    case 'hash': {
      const fields: FieldAnswer[] = pairs(texts(await insist(ask, 'HGETALL', key)))
      // In a listpack no field has a time: there the answer would take a search for each.
      const packed = String(await insist(ask, 'OBJECT', 'ENCODING', key)) === 'listpack'
      if (EXPIRES_FIELDS.has(server) && !packed) await askTimes(ask, key, fields)
      return { kind: type, value: fields.sort(byName) }
    }
    case 'stream':
      return { kind: type, value: streamOf(await insist(ask, 'XINFO', 'STREAM', key, 'FULL', 'COUNT', 0)) }
    default: {
      const dump = (await insist(ask, 'DUMP', key)) as Buffer
      return { kind: 'module', value: latin1(dump.subarray(1, -DUMP_TAIL)) }
    }
  }
}

/** Adds the time to each field that has one. */
export async function askTimes(ask: Ask, key: Uint8Array, fields: FieldAnswer[]): Promise<void> {
  for (let from = 0; from < fields.length; from += MOST_FIELDS) {
    const some = fields.slice(from, from + MOST_FIELDS)
    const names = some.map(([name]) => Buffer.from(name, 'latin1'))
    const times = (await insist(ask, 'HPEXPIRETIME', key, 'FIELDS', names.length, ...names)) as Reply[]
    for (const [i, time] of times.entries()) if (time !== -1) some[i][2] = String(time)
  }
}

/** Sources of the function libraries, sorted. */
export async function askFunctions(ask: Ask): Promise<string[]> {
  const libraries = (await insist(ask, 'FUNCTION', 'LIST', 'WITHCODE')) as Reply[]
  return libraries.map(library => latin1(named(library).get('library_code')!)).sort()
}

async function insist(ask: Ask, ...args: Arg[]): Promise<Reply> {
  const reply = await ask(...args)
  if (reply instanceof Error) throw new Error(`${args.join(' ').slice(0, 200)}: ${reply.message}`)
  return reply
}

export function latin1(reply: Reply | Uint8Array): string {
  return Buffer.from(reply as Buffer).toString('latin1')
}

function texts(reply: Reply): string[] {
  return (reply as Buffer[]).map(latin1)
}

function pairs(list: readonly string[]): [string, string][] {
  return Array.from({ length: list.length / 2 }, (_, i) => [list[2 * i], list[2 * i + 1]])
}

/** Names and values by turns. */
function named(reply: Reply): Map<string, Reply> {
  const list = reply as Reply[]
  return new Map(Array.from({ length: list.length / 2 }, (_, i) => [String(list[2 * i]), list[2 * i + 1]]))
}

function byName(a: readonly [string, ...unknown[]], b: readonly [string, ...unknown[]]): number {
  return a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0
}

function scoreOf(text: string): number {
  return text === 'inf' ? Number.POSITIVE_INFINITY : text === '-inf' ? Number.NEGATIVE_INFINITY : Number(text)
}

function scored(member: string, score: number): [string, string] {
  return [member, Object.is(score, -0) ? '-0' : String(score)]
}

function streamOf(reply: Reply): StreamAnswer {
  const info = named(reply)
  const text = (name: string) => String(info.get(name))
  return {
    length: text('length'),
    lastId: text('last-generated-id'),
    firstId: text('recorded-first-entry-id'),
    maxDeletedId: text('max-deleted-entry-id'),
    entriesAdded: text('entries-added'),
    entries: (info.get('entries') as [Buffer, Reply][]).map(([id, fields]) => [String(id), texts(fields)]),
    groups: (info.get('groups') as Reply[]).map(groupOf),
  }
}

function groupOf(reply: Reply): GroupAnswer {
  const group = named(reply)
  const read = group.get('entries-read')
  // The names of both lists changed: `pending` to `pel`.
  const pending = (group.get('pending') ?? group.get('pel')) as [Buffer, Buffer, Reply, Reply][]
  return {
    name: latin1(group.get('name')!),
    lastId: String(group.get('last-delivered-id')),
    ...(read === null ? {} : { entriesRead: String(read) }),
    pending: pending.map(([id, , time, deliveries]) => [String(id), String(time), String(deliveries)]),
    consumers: (group.get('consumers') as Reply[]).map(reply => {
      const consumer = named(reply)
      // Redis 7.0 does not know; later servers assume this when they load what it saved.
      const active = consumer.get('active-time') ?? consumer.get('seen-time')
      const owned = (consumer.get('pending') ?? consumer.get('pel')) as [Buffer, Reply, Reply][]
      return {
        name: latin1(consumer.get('name')!),
        seenAtMs: String(consumer.get('seen-time')),
        ...(active === -1 ? {} : { activeAtMs: String(active) }),
        owned: owned.map(([id]) => String(id)),
      }
    }),
  }
}

/** Of a stream without what its RDB `type` does not have, and what servers guess when they load it. */
export function withoutGuesses(answer: Answer, type: number): Answer {
  if (answer.kind !== 'stream' || type >= 21) return answer
  const groups = answer.value.groups.map(({ entriesRead, consumers, ...group }) => ({
    ...group,
    ...(type === 15 || entriesRead === undefined ? {} : { entriesRead }),
    consumers: consumers.map(({ activeAtMs: _, ...consumer }) => consumer),
  }))
  return { ...answer, value: { ...answer.value, groups } }
}

const LONGEST_TEXT = 200

/** The value with texts that are long replaced by their length and SHA-1. */
export function shortened<T>(value: T): T {
  if (typeof value === 'string') {
    if (value.length <= LONGEST_TEXT) return value
    const hash = createHash('sha1').update(value, 'latin1').digest('hex')
    return `${value.length} bytes, ${hash}` as T
  }
  if (Array.isArray(value)) return value.map(shortened) as T
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, shortened(item)])) as T
}

/** Takes a value and gives it as an answer. */
export class AnswerSink implements ElementSink {
  #value: ValueAnswer | undefined
  #count = 0
  #elements = 0
  #stream: Partial<StreamAnswer> = {}
  #fields: string[] = []
  #fieldsLeft = 0
  #raw: Uint8Array[] = []
  #producers: [string, [string, string][]][] = []
  #ended = false

  /** The value, once it has ended. */
  take(): ValueAnswer {
    if (!this.#ended) throw new Error('the value has not ended')
    if (this.#fieldsLeft > 0) throw new Error(`${this.#fieldsLeft} fields of an entry are missing`)
    if (this.#count >= 0 && this.#elements !== this.#count)
      throw new Error(`${this.#count} elements were announced, and ${this.#elements} came`)
    const value = this.#value!
    if (value.kind === 'set') value.value.sort()
    if (value.kind === 'zset' || value.kind === 'hash') value.value.sort(byName)
    if (value.kind === 'module') value.value = latin1(Buffer.concat(this.#raw))
    return value
  }

  begin(kind: Kind, count: number): void {
    if (this.#value !== undefined) throw new Error('a value has begun in another')
    this.#count = count
    switch (kind) {
      case 'string':
      case 'module':
        this.#value = { kind, value: '' }
        this.#count = -1
        break
      case 'stream':
        this.#stream = { entries: [], groups: [] }
        this.#value = { kind, value: this.#stream as StreamAnswer }
        break
      case 'array':
        this.#value = { kind, value: { slots: [] } }
        break
      default:
        this.#value = { kind, value: [] }
    }
  }

  string(value: Slice): void {
    this.#of('string').value = textOf(value)
  }

  item(value: Slice): void {
    this.#elements++
    this.#of('list').value.push(textOf(value))
  }

  member(value: Slice): void {
    this.#elements++
    this.#of('set').value.push(textOf(value))
  }

  scored(member: Slice, score: number): void {
    this.#elements++
    this.#of('zset').value.push(scored(textOf(member), score))
  }

  field(name: Slice, value: Slice, expireAtMs: bigint): void {
    const field: FieldAnswer = [textOf(name), textOf(value)]
    if (this.#value?.kind === 'stream') {
      if (this.#fieldsLeft-- === 0) throw new Error('a field belongs to no entry')
      this.#fields.push(...(field as [string, string]))
      return
    }
    this.#elements++
    if (expireAtMs !== NO_EXPIRY) field.push(String(expireAtMs))
    this.#of('hash').value.push(field)
  }

  entry(ms: bigint, seq: bigint, fields: number): void {
    if (this.#fieldsLeft > 0) throw new Error(`${this.#fieldsLeft} fields of an entry are missing`)
    this.#elements++
    this.#fields = []
    this.#fieldsLeft = fields
    this.#of('stream').value.entries.push([idOf(ms, seq), this.#fields])
  }

  state({ length, lastId, firstId, maxDeletedId, entriesAdded }: StreamState): void {
    Object.assign(this.#stream, {
      length: String(length),
      lastId: idOf(lastId.ms, lastId.seq),
      firstId: idOf(firstId.ms, firstId.seq),
      maxDeletedId: idOf(maxDeletedId.ms, maxDeletedId.seq),
      entriesAdded: String(entriesAdded),
    })
  }

  group(name: Slice, lastMs: bigint, lastSeq: bigint, entriesRead: bigint): void {
    this.#stream.groups!.push({
      name: textOf(name),
      lastId: idOf(lastMs, lastSeq),
      ...(entriesRead === -1n ? {} : { entriesRead: String(entriesRead) }),
      pending: [],
      consumers: [],
    })
  }

  pending(ms: bigint, seq: bigint, deliveredAtMs: bigint, deliveries: bigint): void {
    this.#group().pending.push([idOf(ms, seq), String(deliveredAtMs), String(deliveries)])
  }

  consumer(name: Slice, seenAtMs: bigint, activeAtMs: bigint): void {
    this.#group().consumers.push({
      name: textOf(name),
      seenAtMs: String(seenAtMs),
      ...(activeAtMs === -1n ? {} : { activeAtMs: String(activeAtMs) }),
      owned: [],
    })
  }

  owned(ms: bigint, seq: bigint): void {
    this.#group().consumers.at(-1)!.owned.push(idOf(ms, seq))
  }

  nacked(ms: bigint, seq: bigint): void {
    const group = this.#group()
    group.nacked ??= []
    group.nacked.push(idOf(ms, seq))
  }

  producer(id: Slice): void {
    this.#producers.push([textOf(id), []])
  }

  produced(id: Slice, ms: bigint, seq: bigint): void {
    this.#producers.at(-1)![1].push([textOf(id), idOf(ms, seq)])
  }

  idempotence(duration: bigint, limit: bigint, added: bigint, repeated: bigint): void {
    const [d, l, a, r] = [duration, limit, added, repeated].map(String)
    this.#stream.idempotence = { duration: d, limit: l, added: a, repeated: r, producers: this.#producers }
  }

  raw(bytes: Slice): void {
    this.#raw.push(bytes.copy())
  }

  next(index: bigint): void {
    this.#of('array').value.next = String(index)
  }

  slot(index: bigint, value: Slice): void {
    this.#elements++
    this.#of('array').value.slots.push([String(index), textOf(value)])
  }

  end(): void {
    this.#ended = true
  }

  #group(): GroupAnswer {
    return this.#stream.groups!.at(-1)!
  }

  #of<K extends Kind>(kind: K): Extract<ValueAnswer, { kind: K }> {
    if (this.#value?.kind !== kind) throw new Error(`an element of a ${kind} in a ${this.#value?.kind}`)
    return this.#value as Extract<ValueAnswer, { kind: K }>
  }
}

export function textOf(slice: Slice): string {
  if (slice.bytes === PASSED_OVER) throw new Error('a string was passed over')
  return latin1(slice.bytes.subarray(slice.at, slice.end))
}

function idOf(ms: bigint, seq: bigint): string {
  return `${ms}-${seq}`
}
