import { type ElementSink, IgnoredElements, type Kind, type StreamState } from './elements.ts'
import type { Slice } from './slice.ts'

/** Gives each element to two sinks, first to the one and then to the other. */
export class BothSinks implements ElementSink {
  #first: ElementSink = new IgnoredElements()
  #second: ElementSink = this.#first

  /** Who gets what comes next. */
  of(first: ElementSink, second: ElementSink): this {
    this.#first = first
    this.#second = second
    return this
  }

  begin(kind: Kind, count: number): void {
    this.#first.begin(kind, count)
    this.#second.begin(kind, count)
  }

  string(value: Slice): void {
    this.#first.string(value)
    this.#second.string(value)
  }

  item(value: Slice): void {
    this.#first.item(value)
    this.#second.item(value)
  }

  member(value: Slice): void {
    this.#first.member(value)
    this.#second.member(value)
  }

  scored(member: Slice, score: number): void {
    this.#first.scored(member, score)
    this.#second.scored(member, score)
  }

  field(name: Slice, value: Slice, expireAtMs: bigint): void {
    this.#first.field(name, value, expireAtMs)
    this.#second.field(name, value, expireAtMs)
  }

  entry(ms: bigint, seq: bigint, fields: number): void {
    this.#first.entry(ms, seq, fields)
    this.#second.entry(ms, seq, fields)
  }

  state(state: StreamState): void {
    this.#first.state(state)
    this.#second.state(state)
  }

  group(name: Slice, lastMs: bigint, lastSeq: bigint, entriesRead: bigint): void {
    this.#first.group(name, lastMs, lastSeq, entriesRead)
    this.#second.group(name, lastMs, lastSeq, entriesRead)
  }

  pending(ms: bigint, seq: bigint, deliveredAtMs: bigint, deliveries: bigint): void {
    this.#first.pending(ms, seq, deliveredAtMs, deliveries)
    this.#second.pending(ms, seq, deliveredAtMs, deliveries)
  }

  consumer(name: Slice, seenAtMs: bigint, activeAtMs: bigint): void {
    this.#first.consumer(name, seenAtMs, activeAtMs)
    this.#second.consumer(name, seenAtMs, activeAtMs)
  }

  owned(ms: bigint, seq: bigint): void {
    this.#first.owned(ms, seq)
    this.#second.owned(ms, seq)
  }

  nacked(ms: bigint, seq: bigint): void {
    this.#first.nacked(ms, seq)
    this.#second.nacked(ms, seq)
  }

  producer(id: Slice): void {
    this.#first.producer(id)
    this.#second.producer(id)
  }

  produced(id: Slice, ms: bigint, seq: bigint): void {
    this.#first.produced(id, ms, seq)
    this.#second.produced(id, ms, seq)
  }

  idempotence(duration: bigint, limit: bigint, added: bigint, repeated: bigint): void {
    this.#first.idempotence(duration, limit, added, repeated)
    this.#second.idempotence(duration, limit, added, repeated)
  }

  raw(bytes: Slice): void {
    this.#first.raw(bytes)
    this.#second.raw(bytes)
  }

  next(index: bigint): void {
    this.#first.next(index)
    this.#second.next(index)
  }

  slot(index: bigint, value: Slice): void {
    this.#first.slot(index, value)
    this.#second.slot(index, value)
  }

  end(): void {
    this.#first.end()
    this.#second.end()
  }
}
