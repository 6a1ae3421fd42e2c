/** Keyspaces as plain data, and how they are told to a sink. */
import fc from 'fast-check'
import { type ElementSink, type Kind, NO_EXPIRY } from '../../src/values/elements.ts'
import { Slice } from '../../src/values/slice.ts'

export type Id = readonly [ms: bigint, seq: bigint]

export interface ToldGroup {
  name: string
  lastId: Id
  entriesRead: bigint
  pending: { id: Id; deliveredAtMs: bigint; deliveries: bigint }[]
  consumers: { name: string; seenAtMs: bigint; activeAtMs: bigint; owned: Id[] }[]
  nacked: Id[]
}

export interface ToldStream {
  entries: { id: Id; fields: [string, string][] }[]
  state: { length: bigint; lastId: Id; firstId: Id; maxDeletedId: Id; entriesAdded: bigint }
  groups: ToldGroup[]
  producers: { id: string; produced: { id: string; entry: Id }[] }[]
  idempotence: [bigint, bigint, bigint, bigint] | undefined
}

export type ToldValue =
  | { kind: 'string'; value: string }
  | { kind: 'list' | 'set'; value: string[] }
  | { kind: 'zset'; value: [string, number][] }
  | { kind: 'hash'; value: [string, string, bigint][] }
  | { kind: 'stream'; value: ToldStream }
  | { kind: 'module'; value: string }
  | { kind: 'array'; value: { next: bigint | undefined; slots: [bigint, string][] } }

/** Texts are of bytes, one a character. */
export type ToldKey = { db: number; key: string; expireAtMs: bigint } & ToldValue

/** Who takes keys: a fingerprint, for one. */
export interface KeyTaker {
  key(db: number, key: Slice, kind: Kind, expireAtMs: bigint): ElementSink
}

export function slice(text: string): Slice {
  return new Slice().set(Buffer.from(text, 'latin1'))
}

export function tell(taker: KeyTaker, keys: readonly ToldKey[]): void {
  for (const key of keys) {
    const sink = taker.key(key.db, slice(key.key), key.kind, key.expireAtMs)
    tellValue(sink, key)
  }
}

export function tellValue(sink: ElementSink, key: ToldValue): void {
  sink.begin(key.kind, -1)
  switch (key.kind) {
    case 'string':
      sink.string(slice(key.value))
      break
    case 'list':
      for (const item of key.value) sink.item(slice(item))
      break
    case 'set':
      for (const member of key.value) sink.member(slice(member))
      break
    case 'zset':
      for (const [member, score] of key.value) sink.scored(slice(member), score)
      break
    case 'hash':
      for (const [name, value, expireAtMs] of key.value) sink.field(slice(name), slice(value), expireAtMs)
      break
    case 'stream':
      tellStream(sink, key.value)
      break
    case 'module':
      sink.raw(slice(key.value))
      break
    case 'array':
      if (key.value.next !== undefined) sink.next(key.value.next)
      for (const [index, value] of key.value.slots) sink.slot(index, slice(value))
  }
  sink.end()
}

function tellStream(sink: ElementSink, { entries, state, groups, producers, idempotence }: ToldStream): void {
  const id = ([ms, seq]: Id) => ({ ms, seq })
  for (const { id, fields } of entries) {
    sink.entry(...id, fields.length)
    for (const [name, value] of fields) sink.field(slice(name), slice(value), NO_EXPIRY)
  }
  sink.state({
    ...state,
    lastId: id(state.lastId),
    firstId: id(state.firstId),
    maxDeletedId: id(state.maxDeletedId),
  })
  for (const group of groups) {
    sink.group(slice(group.name), ...group.lastId, group.entriesRead)
    for (const { id, deliveredAtMs, deliveries } of group.pending)
      sink.pending(...id, deliveredAtMs, deliveries)
    for (const { name, seenAtMs, activeAtMs, owned } of group.consumers) {
      sink.consumer(slice(name), seenAtMs, activeAtMs)
      for (const id of owned) sink.owned(...id)
    }
    for (const id of group.nacked) sink.nacked(...id)
  }
  for (const { id, produced } of producers) {
    sink.producer(slice(id))
    for (const { id, entry } of produced) sink.produced(slice(id), ...entry)
  }
  if (idempotence !== undefined) sink.idempotence(...idempotence)
}

const text = fc.uint8Array({ maxLength: 20 }).map(bytes => Buffer.from(bytes).toString('latin1'))
const some = <T>(of: fc.Arbitrary<T>) => fc.array(of, { maxLength: 4 })
const uint64 = fc.bigInt(0n, (1n << 64n) - 1n)
const int64 = fc.bigInt(-(1n << 63n), (1n << 63n) - 1n)
const anId: fc.Arbitrary<Id> = fc.tuple(uint64, uint64)
const named = <T>(of: fc.Arbitrary<T>, name: (one: T) => string) =>
  fc.uniqueArray(of, { selector: name, maxLength: 4 })

const group: fc.Arbitrary<ToldGroup> = fc.record({
  name: text,
  lastId: anId,
  entriesRead: int64,
  pending: some(fc.record({ id: anId, deliveredAtMs: int64, deliveries: uint64 })),
  consumers: named(
    fc.record({ name: text, seenAtMs: int64, activeAtMs: int64, owned: some(anId) }),
    consumer => consumer.name,
  ),
  nacked: some(anId),
})

const stream: fc.Arbitrary<ToldStream> = fc.record({
  entries: some(fc.record({ id: anId, fields: some(fc.tuple(text, text)) })),
  state: fc.record({
    length: uint64,
    lastId: anId,
    firstId: anId,
    maxDeletedId: anId,
    entriesAdded: uint64,
  }),
  groups: named(group, one => one.name),
  producers: named(
    fc.record({ id: text, produced: some(fc.record({ id: text, entry: anId })) }),
    producer => producer.id,
  ),
  idempotence: fc.option(fc.tuple(uint64, uint64, uint64, uint64), { nil: undefined }),
})

export const aValue: fc.Arbitrary<ToldValue> = fc.oneof(
  fc.record({ kind: fc.constant('string' as const), value: text }),
  fc.record({ kind: fc.constantFrom('list' as const, 'set' as const), value: some(text) }),
  fc.record({
    kind: fc.constant('zset' as const),
    value: some(fc.tuple(text, fc.double({ noNaN: true }))),
  }),
  fc.record({ kind: fc.constant('hash' as const), value: some(fc.tuple(text, text, int64)) }),
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('stream' as const), value: stream }) },
  fc.record({ kind: fc.constant('module' as const), value: text }),
  fc.record({
    kind: fc.constant('array' as const),
    value: fc.record({
      next: fc.option(uint64, { nil: undefined }),
      slots: some(fc.tuple(uint64, text)),
    }),
  }),
)

export const someKeys: fc.Arbitrary<ToldKey[]> = fc.uniqueArray(
  fc
    .tuple(fc.record({ db: fc.nat(15), key: text, expireAtMs: int64 }), aValue)
    .map(([head, value]) => ({ ...head, ...value }) as ToldKey),
  { selector: ({ db, key }) => `${db} ${key}`, maxLength: 5 },
)

/** The same, changed so that a server can have it: nothing empty, nothing twice, ids that rise. */
export function possible(key: ToldKey): ToldKey {
  const once = <T>(list: readonly T[], name: (one: T) => unknown): T[] => [
    ...new Map(list.map(one => [String(name(one)), one])).values(),
  ]
  switch (key.kind) {
    case 'list':
      return { ...key, value: key.value.length > 0 ? key.value : [''] }
    case 'set':
      return { ...key, value: once([...key.value, 'one'], one => one) }
    case 'zset':
      return { ...key, value: once([...key.value, ['one', 1] as [string, number]], ([member]) => member) }
    case 'hash': {
      const fields = key.value.map(([name, value, at]) => [name, value, at < 0n ? NO_EXPIRY : at] as const)
      return { ...key, value: once([...fields, ['f', 'v', NO_EXPIRY]], ([name]) => name) as never }
    }
    case 'array':
      return { ...key, value: { ...key.value, slots: [...key.value.slots, [1n << 63n, 'one']] } }
    case 'stream':
      return { ...key, value: possibleStream(key.value) }
    default:
      return key
  }
}

function possibleStream({ entries, groups, producers, idempotence, state }: ToldStream): ToldStream {
  const order = (a: Id, b: Id) => (a[0] !== b[0] ? (a[0] < b[0] ? -1 : 1) : a[1] < b[1] ? -1 : 1)
  const ids = entries.map(({ id }) => [id[0] >> 1n, (id[1] >> 1n) + 1n] as Id).sort(order)
  const made = ids.map((id, i) => ({ id, fields: [...entries[i].fields, ['f', 'v'] as [string, string]] }))
  const lastId: Id = [(1n << 63n) + (state.lastId[0] >> 1n), state.lastId[1]]
  const maxDeletedId: Id = [state.maxDeletedId[0] >> 1n, state.maxDeletedId[1]]
  return {
    entries: made,
    state: { ...state, lastId, maxDeletedId, entriesAdded: (state.entriesAdded >> 2n) + 10n },
    producers,
    idempotence: idempotence?.map(number => number >> 1n) as ToldStream['idempotence'],
    groups: groups.map(group => {
      const pending = group.pending.map(({ deliveredAtMs, deliveries }, i) => ({
        id: [BigInt(i), 1n] as Id,
        deliveredAtMs,
        deliveries,
      }))
      const owners = group.consumers.length
      return {
        ...group,
        entriesRead: group.entriesRead < 0n ? -1n : group.entriesRead,
        pending,
        // One of them nobody has.
        nacked: pending.filter((_, i) => i % (owners + 2) === owners).map(({ id }) => id),
        consumers: group.consumers.map((consumer, c) => ({
          ...consumer,
          owned: pending.filter((_, i) => i % (owners + 2) === c).map(({ id }) => id),
        })),
      }
    }),
  }
}
