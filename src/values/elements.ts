import type { Slice } from './slice.ts'

/*
 * A value as a stream of elements: how it goes from an RDB into the keyspace, from the keyspace into an RDB, and from
 * both into a digest, a dump or commands. So none of these knows another, and a hash of ten million fields is never an
 * array.
 */

export type Kind = 'string' | 'list' | 'set' | 'zset' | 'hash' | 'stream' | 'module' | 'array'

/** No expiry. Servers cannot tell it from the time -1 either. */
export const NO_EXPIRY = -1n

/** `bytes` of a slice that was too long to be wanted: its length is right, its bytes are not there. */
export const PASSED_OVER = new Uint8Array(0)

/** Unsigned 64 bits each. */
export interface StreamId {
  readonly ms: bigint
  readonly seq: bigint
}

/** What a stream remembers besides its entries. */
export interface StreamState {
  /** Entries that it has. */
  readonly length: bigint
  readonly lastId: StreamId
  /** The three are kept since Redis 7.0; of an older stream they are what servers assume when they load it. */
  readonly firstId: StreamId
  readonly maxDeletedId: StreamId
  readonly entriesAdded: bigint
}

/**
 * Takes one value. Slices and what they point to are void after the call that brings them.
 *
 *     begin  string                                     end
 *     begin  (item | member | scored | field)…          end
 *     begin  (entry field…)… state  (group pending… (consumer owned…)… nacked…)…  (producer produced…)… idempotence?  end
 *     begin  raw…                                       end
 *     begin  next? slot…                                end
 */
export interface ElementSink {
  /** A value begins. How many items, members, fields, entries or slots it has; -1 where that is not known yet. */
  begin(kind: Kind, count: number): void
  /** All of a string. */
  string(value: Slice): void
  /** Of a list, from its head on. */
  item(value: Slice): void
  /** Of a set, in no order. */
  member(value: Slice): void
  /** Of a sorted set, in the order in which it was kept: that may be up, down or none. */
  scored(member: Slice, score: number): void
  /** Of a hash, in no order, or of a stream's entry, in its order. Milliseconds since 1970, or {@link NO_EXPIRY}. */
  field(name: Slice, value: Slice, expireAtMs: bigint): void

  /** Of a stream, in order of their ids: so many calls of `field` follow. */
  entry(ms: bigint, seq: bigint, fields: number): void
  /** After the last entry. */
  state(state: StreamState): void
  /** How many entries it has read; -1 where that is not known. */
  group(name: Slice, lastMs: bigint, lastSeq: bigint, entriesRead: bigint): void
  /** Of the group: read by someone and not acknowledged. Unix milliseconds. */
  pending(ms: bigint, seq: bigint, deliveredAtMs: bigint, deliveries: bigint): void
  /**
   * Of the group. Unix milliseconds; `activeAtMs` is -1 where it never was. Of streams that are older than this time it
   * is what servers assume when they load them: the other one.
   */
  consumer(name: Slice, seenAtMs: bigint, activeAtMs: bigint): void
  /** Of the consumer: what is pending is his. */
  owned(ms: bigint, seq: bigint): void
  /** Of the group: pending, and handed back (Redis 8.8). */
  nacked(ms: bigint, seq: bigint): void
  /** Of the stream (Redis 8.6): an idempotent producer, then what it sent and as which entry that stands. */
  producer(id: Slice): void
  produced(id: Slice, ms: bigint, seq: bigint): void
  /** Seconds for which, and how many per producer, are remembered; sums of entries added so, and of those refused. */
  idempotence(duration: bigint, limit: bigint, added: bigint, repeated: bigint): void

  /** Encoded bytes of a module's value, as they stand in the RDB; in several calls when there are many. */
  raw(bytes: Slice): void

  /** Of an array (Redis 8.8): where the next insertion goes, when that was said. */
  next(index: bigint): void
  /** Of an array, by rising index. A number is given as its text. */
  slot(index: bigint, value: Slice): void

  end(): void
}

/** Takes nothing: to be extended by those who want some. */
export class IgnoredElements implements ElementSink {
  begin(_kind: Kind, _count: number): void {}
  string(_value: Slice): void {}
  item(_value: Slice): void {}
  member(_value: Slice): void {}
  scored(_member: Slice, _score: number): void {}
  field(_name: Slice, _value: Slice, _expireAtMs: bigint): void {}
  entry(_ms: bigint, _seq: bigint, _fields: number): void {}
  state(_state: StreamState): void {}
  group(_name: Slice, _lastMs: bigint, _lastSeq: bigint, _entriesRead: bigint): void {}
  pending(_ms: bigint, _seq: bigint, _deliveredAtMs: bigint, _deliveries: bigint): void {}
  consumer(_name: Slice, _seenAtMs: bigint, _activeAtMs: bigint): void {}
  owned(_ms: bigint, _seq: bigint): void {}
  nacked(_ms: bigint, _seq: bigint): void {}
  producer(_id: Slice): void {}
  produced(_id: Slice, _ms: bigint, _seq: bigint): void {}
  idempotence(_duration: bigint, _limit: bigint, _added: bigint, _repeated: bigint): void {}
  raw(_bytes: Slice): void {}
  next(_index: bigint): void {}
  slot(_index: bigint, _value: Slice): void {}
  end(): void {}
}
