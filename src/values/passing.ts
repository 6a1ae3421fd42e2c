import type { ElementSink, Kind, StreamState } from './elements.ts'
import type { Slice } from './slice.ts'

/** Hands everything on: to be extended by those who change some of it. */
export class PassingElements implements ElementSink {
  protected sink: ElementSink

  constructor(sink: ElementSink) {
    this.sink = sink
  }

  /** Who takes the next value. */
  of(sink: ElementSink): this {
    this.sink = sink
    return this
  }

  begin(kind: Kind, count: number): void {
    this.sink.begin(kind, count)
  }

  string(value: Slice): void {
    this.sink.string(value)
  }

  item(value: Slice): void {
    this.sink.item(value)
  }

  member(value: Slice): void {
    this.sink.member(value)
  }

  scored(member: Slice, score: number): void {
    this.sink.scored(member, score)
  }

  field(name: Slice, value: Slice, expireAtMs: bigint): void {
    this.sink.field(name, value, expireAtMs)
  }

  entry(ms: bigint, seq: bigint, fields: number): void {
    this.sink.entry(ms, seq, fields)
  }

  state(state: StreamState): void {
    this.sink.state(state)
  }

  group(name: Slice, lastMs: bigint, lastSeq: bigint, entriesRead: bigint): void {
    this.sink.group(name, lastMs, lastSeq, entriesRead)
  }

  pending(ms: bigint, seq: bigint, deliveredAtMs: bigint, deliveries: bigint): void {
    this.sink.pending(ms, seq, deliveredAtMs, deliveries)
  }

  consumer(name: Slice, seenAtMs: bigint, activeAtMs: bigint): void {
    this.sink.consumer(name, seenAtMs, activeAtMs)
  }

  owned(ms: bigint, seq: bigint): void {
    this.sink.owned(ms, seq)
  }

  nacked(ms: bigint, seq: bigint): void {
    this.sink.nacked(ms, seq)
  }

  producer(id: Slice): void {
    this.sink.producer(id)
  }

  produced(id: Slice, ms: bigint, seq: bigint): void {
    this.sink.produced(id, ms, seq)
  }

  idempotence(duration: bigint, limit: bigint, added: bigint, repeated: bigint): void {
    this.sink.idempotence(duration, limit, added, repeated)
  }

  raw(bytes: Slice): void {
    this.sink.raw(bytes)
  }

  next(index: bigint): void {
    this.sink.next(index)
  }

  slot(index: bigint, value: Slice): void {
    this.sink.slot(index, value)
  }

  end(): void {
    this.sink.end()
  }
}
