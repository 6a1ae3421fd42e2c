/** A sink that writes down what it is told, a line a call. */
import { type ElementSink, type Kind, PASSED_OVER, type StreamState } from '../../src/values/elements.ts'
import type { Slice } from '../../src/values/slice.ts'

/** The text of a slice, as latin1; `<n>` for one that was passed over. */
const text = (slice: Slice): string =>
  slice.bytes === PASSED_OVER ? `<${slice.length}>` : Buffer.from(slice.copy()).toString('latin1')

export class Calls implements ElementSink {
  readonly lines: string[] = []

  #note(...words: (string | number | bigint)[]): void {
    this.lines.push(words.join(' '))
  }

  begin(kind: Kind, count: number): void {
    this.#note('begin', kind, count)
  }
  string(value: Slice): void {
    this.#note('string', text(value))
  }
  item(value: Slice): void {
    this.#note('item', text(value))
  }
  member(value: Slice): void {
    this.#note('member', text(value))
  }
  scored(member: Slice, score: number): void {
    this.#note('scored', text(member), Object.is(score, -0) ? '-0' : score)
  }
  field(name: Slice, value: Slice, expireAtMs: bigint): void {
    this.#note('field', text(name), text(value), expireAtMs)
  }
  entry(ms: bigint, seq: bigint, fields: number): void {
    this.#note('entry', `${ms}-${seq}`, fields)
  }
  state({ length, lastId, firstId, maxDeletedId, entriesAdded }: StreamState): void {
    const ids = [lastId, firstId, maxDeletedId].map(({ ms, seq }) => `${ms}-${seq}`)
    this.#note('state', length, ...ids, entriesAdded)
  }
  group(name: Slice, lastMs: bigint, lastSeq: bigint, entriesRead: bigint): void {
    this.#note('group', text(name), `${lastMs}-${lastSeq}`, entriesRead)
  }
  pending(ms: bigint, seq: bigint, deliveredAtMs: bigint, deliveries: bigint): void {
    this.#note('pending', `${ms}-${seq}`, deliveredAtMs, deliveries)
  }
  consumer(name: Slice, seenAtMs: bigint, activeAtMs: bigint): void {
    this.#note('consumer', text(name), seenAtMs, activeAtMs)
  }
  owned(ms: bigint, seq: bigint): void {
    this.#note('owned', `${ms}-${seq}`)
  }
  nacked(ms: bigint, seq: bigint): void {
    this.#note('nacked', `${ms}-${seq}`)
  }
  producer(id: Slice): void {
    this.#note('producer', text(id))
  }
  produced(id: Slice, ms: bigint, seq: bigint): void {
    this.#note('produced', text(id), `${ms}-${seq}`)
  }
  idempotence(duration: bigint, limit: bigint, added: bigint, repeated: bigint): void {
    this.#note('idempotence', duration, limit, added, repeated)
  }
  raw(bytes: Slice): void {
    // However many calls it takes.
    const last = this.lines.at(-1) ?? ''
    if (last.startsWith('raw')) this.lines[this.lines.length - 1] = last + text(bytes)
    else this.#note('raw', text(bytes))
  }
  next(index: bigint): void {
    this.#note('next', index)
  }
  slot(index: bigint, value: Slice): void {
    this.#note('slot', index, text(value))
  }
  end(): void {
    this.#note('end')
  }
}
