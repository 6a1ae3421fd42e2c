import type { ElementSink, Kind, StreamState } from '../values/elements.ts'
import { PassingElements } from '../values/passing.ts'
import type { Slice } from '../values/slice.ts'
import type { RdbTarget } from './targets.ts'

/** How many entries a group has read, where that is not known. */
const NOT_KNOWN = -1n
const NO_ID = { ms: 0n, seq: 0n }
const HALF = (1n << 64n) - 1n
/** What servers take for the first id of a stream without entries that does not say it. */
const LARGEST_ID = { ms: HALF, seq: HALF }

/**
 * Hands on of a value what an RDB for a target holds of it: what `EntryReader` gives when it reads what `RdbWriter`
 * wrote. So fingerprints of a keyspace and of its RDB can be compared. It is all but what streams have since later
 * releases: of idempotence, what every stream of Redis 8.6 has; before Redis 7.2, when consumers were active; before 7.0,
 * what the stream says of entries that it had and groups of those that they read. There it is what servers assume when
 * they load it.
 */
export class TargetElements extends PassingElements {
  readonly #streams: number
  #entries = 0n
  #first = LARGEST_ID
  #last = NO_ID

  constructor(sink: ElementSink, target: RdbTarget) {
    super(sink)
    this.#streams = target.streams
  }

  override begin(kind: Kind, count: number): void {
    this.#entries = 0n
    this.#first = LARGEST_ID
    this.sink.begin(kind, count)
  }

  override entry(ms: bigint, seq: bigint, fields: number): void {
    if (this.#entries++ === 0n) this.#first = { ms, seq }
    this.sink.entry(ms, seq, fields)
  }

  override state(state: StreamState): void {
    this.#last = state.lastId
    if (this.#streams >= 2) {
      this.sink.state(state)
      return
    }
    const { length, lastId } = state
    this.#entries = length
    this.sink.state({ length, lastId, firstId: this.#first, maxDeletedId: NO_ID, entriesAdded: length })
  }

  override group(name: Slice, lastMs: bigint, lastSeq: bigint, entriesRead: bigint): void {
    const read = this.#streams >= 2 ? entriesRead : this.#assumedRead(lastMs, lastSeq)
    this.sink.group(name, lastMs, lastSeq, read)
  }

  #assumedRead(ms: bigint, seq: bigint): bigint {
    const first = compare(ms, seq, this.#first)
    const last = compare(ms, seq, this.#last)
    if (this.#entries === 0n) return 0n
    if (last === 0) return this.#entries
    if (last > 0) return NOT_KNOWN
    if (first < 0) return 0n
    return first === 0 ? 1n : NOT_KNOWN
  }

  override consumer(name: Slice, seenAtMs: bigint, activeAtMs: bigint): void {
    this.sink.consumer(name, seenAtMs, this.#streams >= 3 ? activeAtMs : seenAtMs)
  }

  // What no target has, its writer has refused; or there is nothing in it.

  override nacked(): void {}

  override producer(): void {}

  override produced(): void {}

  override idempotence(): void {}

  override next(): void {}

  override slot(): void {}
}

/** How an id compares to another one. */
function compare(ms: bigint, seq: bigint, other: { readonly ms: bigint; readonly seq: bigint }): number {
  if (ms !== other.ms) return ms < other.ms ? -1 : 1
  return seq === other.seq ? 0 : seq < other.seq ? -1 : 1
}
