import { SortedIds } from './sorted-ids.ts'
import { high, Id, low } from './stream-id.ts'

/** Reads entries of a stream for a group. */
export interface Consumer {
  /** Each character a byte. */
  readonly name: string
  /** What a pending entry says of its owner. */
  readonly number: number
  /** Milliseconds since 1970; -1 where he never was. */
  seenAtMs: number | bigint
  activeAtMs: number | bigint
  /** Pending entries that are his. */
  readonly owned: SortedIds
}

/** Of a pending entry: nobody's, as damaged streams have it, or handed back (redis 8.8). */
export const NOBODY = 0
export const HANDED_BACK = -1

/** Words beside a pending id: when it was delivered (2), how often (2), to whom. */
const TIME = 0
const DELIVERIES = 2
const OWNER = 4
const PENDING_WORDS = 5
const TWO_32 = 2 ** 32

/** What consumers of a stream share: what they have read, and what of it is not acknowledged. */
export class Group {
  readonly lastId = new Id()
  /** How many entries it has read; -1: that is not known. */
  entriesRead: number | bigint = -1
  /** Each character of a name is a byte. */
  readonly consumers = new Map<string, Consumer>()
  readonly pending = new SortedIds(PENDING_WORDS)
  readonly #byNumber: (Consumer | undefined)[] = [undefined]
  /** Numbers of consumers who are gone. */
  readonly #free: number[] = []
  readonly #id = new Id()

  /** The names of consumers in the order of servers. */
  get names(): string[] {
    return [...this.consumers.keys()].sort()
  }

  /** Makes a consumer who is not there. */
  addConsumer(name: string, seenAtMs: number | bigint, activeAtMs: number | bigint): Consumer {
    const number = this.#free.pop() ?? this.#byNumber.length
    const consumer = { name, number, seenAtMs, activeAtMs, owned: new SortedIds(0) }
    this.#byNumber[number] = consumer
    this.consumers.set(name, consumer)
    return consumer
  }

  /** Removes a consumer, and what he has not acknowledged. */
  removeConsumer(consumer: Consumer): void {
    const { owned } = consumer
    for (owned.first(); owned.here; owned.advance()) {
      if (this.pending.find(owned.read(this.#id))) this.pending.remove()
    }
    this.consumers.delete(consumer.name)
    this.#byNumber[consumer.number] = undefined
    // Consumers who come and go leave nothing behind.
    while (this.#byNumber.length > 1 && this.#byNumber[this.#byNumber.length - 1] === undefined)
      this.#byNumber.pop()
  }

  /** Makes an id that is not pending so: nobody's, never delivered. It is the current one, as after a `find`. */
  add(id: Id): void {
    this.pending.insert(id)
  }

  /** Whether it was pending. */
  acknowledge(id: Id): boolean {
    if (!this.pending.find(id)) return false
    this.drop()
    return true
  }

  /** Removes the current pending entry, and goes to the one behind it. */
  drop(): void {
    const owner = this.owner()
    if (owner?.owned.find(this.pending.read(this.#id))) owner.owned.remove()
    this.pending.remove()
  }

  /** Of the current pending entry: whose it is. */
  owner(): Consumer | undefined {
    return this.#byNumber[this.ownerNumber()]
  }

  /** Number of a consumer, {@link NOBODY} or {@link HANDED_BACK}. */
  ownerNumber(): number {
    return this.pending.words[this.pending.at + OWNER]
  }

  /** Of the current pending entry: makes it a consumer's. */
  give(consumer: Consumer): void {
    const before = this.owner()
    if (before === consumer) return
    this.#take(before)
    if (!consumer.owned.find(this.#id)) consumer.owned.insert(this.#id)
    this.pending.words[this.pending.at + OWNER] = consumer.number
  }

  /** Of the current pending entry: takes it away from its consumer. */
  handBack(): void {
    this.#take(this.owner())
    this.pending.words[this.pending.at + OWNER] = HANDED_BACK
  }

  #take(consumer: Consumer | undefined): void {
    this.pending.read(this.#id)
    if (consumer?.owned.find(this.#id)) consumer.owned.remove()
  }

  /** Of the current pending entry, in milliseconds since 1970. */
  get deliveredAtMs(): bigint {
    return BigInt.asIntN(64, this.#half(TIME))
  }

  set deliveredAtMs(ms: number | bigint) {
    this.#setHalf(TIME, ms)
  }

  /** How often the current pending entry was delivered. */
  get deliveries(): bigint {
    return this.#half(DELIVERIES)
  }

  set deliveries(count: number | bigint) {
    this.#setHalf(DELIVERIES, count)
  }

  /** Counts one more delivery of the current pending entry. */
  deliver(): void {
    const { words, at } = this.pending
    words[at + DELIVERIES + 1] = (words[at + DELIVERIES + 1] + 1) | 0
    if (words[at + DELIVERIES + 1] === 0) words[at + DELIVERIES] = (words[at + DELIVERIES] + 1) | 0
  }

  #half(word: number): bigint {
    const { words, at } = this.pending
    return (BigInt(words[at + word] >>> 0) << 32n) | BigInt(words[at + word + 1] >>> 0)
  }

  #setHalf(word: number, value: number | bigint): void {
    const { words, at } = this.pending
    const exact = typeof value === 'bigint'
    words[at + word] = exact ? high(value) : Math.floor(value / TWO_32)
    words[at + word + 1] = exact ? low(value) : value
  }
}

/** What was added as what by producers who may say the same twice (redis 8.6). */
export class Idempotence {
  /** Seconds for which, and how many per producer, are remembered; sums of entries added so, and of those refused. */
  duration = 100n
  limit = 100n
  added = 0n
  repeated = 0n
  /** By producer, then by his id of the entry; the oldest first. Each character of a name is a byte. */
  readonly producers = new Map<string, Map<string, Id>>()

  /** As which entry the producer's is known. */
  find(producer: string, name: string): Id | undefined {
    return this.producers.get(producer)?.get(name)
  }

  /** Remembers an entry: of a producer who has too many, the oldest is forgotten. */
  record(producer: string, name: string, id: Id): void {
    let produced = this.producers.get(producer)
    if (produced === undefined) {
      produced = new Map()
      this.producers.set(producer, produced)
    }
    produced.set(name, new Id().copy(id))
    for (const oldest of produced.keys()) {
      if (BigInt(produced.size) <= this.limit || this.limit === 0n) break
      produced.delete(oldest)
    }
  }
}
