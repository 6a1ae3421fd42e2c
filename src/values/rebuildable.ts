import type { Kind, StreamState } from './elements.ts'
import { PassingElements } from './passing.ts'
import { PendingEntries } from './pending.ts'
import { IDMP_DURATION, IDMP_MAXSIZE, MOST_DELIVERIES } from './rebuild.ts'
import { Slice } from './slice.ts'

/** Of what no command tells. */
const NO_TIME = -1n

/**
 * Hands on of a value what commands can rebuild of it: what `RebuildReader` gives when it reads what `RebuildCommands`
 * gave. So fingerprints of a keyspace and of its commands can be compared. Left out are the times at which consumers were
 * seen, pending entries that nobody has, when entries were delivered that were handed back, what a stream says of its
 * length and its first entry, if that is wrong, and of idempotence its counts, producers who sent nothing, and numbers
 * that every stream has. A pending entry comes right before who has it.
 */
export class RebuildableElements extends PassingElements {
  #entries = 0n
  #firstMs = 0n
  #firstSeq = 0n
  readonly #pending = new PendingEntries()
  /** The producer, until something is told that was sent by him. */
  #producer: Slice | undefined
  #slots = 0
  #next: bigint | undefined

  override begin(kind: Kind, count: number): void {
    this.#entries = 0n
    this.#firstMs = 0n
    this.#firstSeq = 0n
    this.#producer = undefined
    this.#slots = 0
    this.#next = undefined
    this.sink.begin(kind, count)
  }

  override entry(ms: bigint, seq: bigint, fields: number): void {
    if (this.#entries++ === 0n) {
      this.#firstMs = ms
      this.#firstSeq = seq
    }
    this.sink.entry(ms, seq, fields)
  }

  override state({ lastId, maxDeletedId, entriesAdded }: StreamState): void {
    const firstId = { ms: this.#firstMs, seq: this.#firstSeq }
    this.sink.state({ length: this.#entries, lastId, firstId, maxDeletedId, entriesAdded })
  }

  override group(name: Slice, lastMs: bigint, lastSeq: bigint, entriesRead: bigint): void {
    this.#pending.clear()
    this.sink.group(name, lastMs, lastSeq, entriesRead)
  }

  override pending(ms: bigint, seq: bigint, deliveredAtMs: bigint, deliveries: bigint): void {
    this.#pending.add(ms, seq, deliveredAtMs, deliveries)
  }

  override consumer(name: Slice, _seenAtMs: bigint, _activeAtMs: bigint): void {
    this.sink.consumer(name, NO_TIME, NO_TIME)
  }

  override owned(ms: bigint, seq: bigint): void {
    const place = this.#pending.find(ms, seq)
    if (place < 0) return
    this.sink.pending(ms, seq, this.#pending.deliveredAtMs(place), this.#deliveries(place))
    this.sink.owned(ms, seq)
  }

  override nacked(ms: bigint, seq: bigint): void {
    const place = this.#pending.find(ms, seq)
    if (place < 0) return
    this.sink.pending(ms, seq, NO_TIME, this.#deliveries(place))
    this.sink.nacked(ms, seq)
  }

  #deliveries(place: number): bigint {
    const deliveries = this.#pending.deliveries(place)
    return deliveries < MOST_DELIVERIES ? deliveries : MOST_DELIVERIES
  }

  override producer(id: Slice): void {
    this.#producer = new Slice().set(id.copy())
  }

  override produced(id: Slice, ms: bigint, seq: bigint): void {
    if (this.#producer !== undefined) this.sink.producer(this.#producer)
    this.#producer = undefined
    this.sink.produced(id, ms, seq)
  }

  override idempotence(duration: bigint, limit: bigint, _added: bigint, _repeated: bigint): void {
    if ((duration === IDMP_DURATION && limit === IDMP_MAXSIZE) || duration === 0n || limit === 0n) return
    this.sink.idempotence(duration, limit, 0n, 0n)
  }

  override next(index: bigint): void {
    this.#next = index
  }

  override slot(index: bigint, value: Slice): void {
    this.#slots++
    this.sink.slot(index, value)
  }

  override end(): void {
    if (this.#next !== undefined && this.#slots > 0) this.sink.next(this.#next)
    this.sink.end()
  }
}
