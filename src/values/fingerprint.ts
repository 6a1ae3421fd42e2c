import { randomFillSync } from 'node:crypto'
import { type Exports, instantiate } from '../bytes/wasm.ts'
import { type ElementSink, type Kind, NO_EXPIRY, type StreamState } from './elements.ts'
import { FINGERPRINT_MODULE } from './fingerprint.generated.ts'
import type { Slice } from './slice.ts'

/*
 * 128 bits that stand for a keyspace with everything in it. H is SipHash-1-3 under a secret; what has no order is added,
 * each half of the hashes for itself, modulo 2^64: unlike exclusive or, that also sees what is there twice.
 *
 *     keyspace        sum of H(key), H(library), H(unkeyed)
 *     key             tag.size  kind.db  key  content  expiry  sum?
 *     string, list    (tag.size  text)…
 *     set, zset, hash sum of H(tag.size  text  and what belongs to it) of each element;  an array's slots too
 *     stream          (tag.fields  id  (tag.size  size  expiry  name  value)…)…  tag  state;  sum of H of each of:
 *       group         tag.size  name  last id  entries read;  sum of H of each pending and nacked one, and of:
 *         consumer      tag.size  name  times;  sum of H of each id owned
 *       producer      tag.size  id  (tag.size  id  entry)…
 *       idempotence   tag  its four numbers
 *     module          bytes  how many
 *
 * All is words of 64 bits; numbers stand as doubles, 64-bit integers and scores as they are, texts with zeros up to the
 * next word. What follows shows from the tag, how much from the size beside it, and a `sum` (two halves, and of how many
 * hashes) is there when anything was added: so no two keyspaces have the same messages.
 */

/** Before each thing, with its size: 256 times that is added. Nothing depends on the numbers but that they differ. */
const Tag = {
  Key: 1,
  Text: 2,
  Member: 3,
  Scored: 4,
  Field: 5,
  Entry: 6,
  State: 7,
  Group: 8,
  Pending: 9,
  Consumer: 10,
  Owned: 11,
  Nacked: 12,
  Producer: 13,
  Produced: 14,
  Idempotence: 15,
  Next: 16,
  Slot: 17,
  Library: 18,
  Unkeyed: 19,
} as const
type Tag = (typeof Tag)[keyof typeof Tag]
const ONE_BYTE = 256

const KINDS: Readonly<Record<Kind, number>> = {
  string: 0,
  list: 1,
  set: 2,
  zset: 3,
  hash: 4,
  stream: 5,
  module: 6,
  array: 7,
}
const KIND_COUNT = 8

/** Records, and where messages are put together (fingerprint.wat). A message of a group is short, but for its name. */
const KEYSPACE = 0
const KEY = 64
const GROUP = 128
const READER = 192
const LEAF = 256
const SUM = 40
const SECRET_AT = 512
const KEY_MESSAGE = [1024, 66_560] as const
const LEAF_MESSAGE = [66_560, 123_904] as const
const GROUP_MESSAGE = [123_904, 125_952] as const
const READER_MESSAGE = [125_952, 128_000] as const
/** 32-bit words of a sum: two halves, and a count. */
const SUM_WORDS = 6

/** Shorter texts are copied faster one by one than by a call. */
const SHORT = 64
/** Bytes of the numbers that stand between two texts at most. */
const NUMBERS = 64

type Module = Exports<{
  begin(record: number): void
  absorb(record: number, from: number, to: number): void
  finish(record: number, sum: number): void
  once(record: number, from: number, to: number, sum: number): void
  clear(record: number): void
}>

/**
 * Four 32-bit words, another one in every process and thread. Who works together is given the same: {@link KeyspaceFingerprint}
 * takes it.
 */
export const SECRET: readonly number[] = [...randomFillSync(new Uint32Array(4))]

/**
 * The sum of a fingerprint, to be sent to another thread: four 32-bit words of the 128 bits, and the number of keys,
 * libraries and unkeyed data in two.
 */
export type FingerprintWords = readonly number[]

/**
 * Takes keys with their values, in any order:
 *
 *     key … begin … end   key … begin … end   hex
 *
 * A key whose value got no `end` does not count. The order of keys, of members, of scored members, of fields of a hash,
 * of groups, consumers and pending entries does not count either; everything else does: that of a list's items, of a
 * stream's entries and their fields, and every byte, expiry, time and number that an {@link ElementSink} is told, but for
 * the counts of `begin`. Pending entries may also come behind consumers.
 *
 * Two keyspaces that differ by accident (a disk, memory, a fault of whoever wrote one of them) have the same fingerprint
 * with a probability of 2^-128. SipHash was made for those who choose what is hashed and do not know the secret, and
 * they are never shown a hash here: against them it stands for as long as SipHash-1-3, with which Rust and Python keep
 * their tables, cannot be told from chance. So with a secret of the process a log cannot be written in such a way that a
 * fault is overlooked. It is no digest to keep: another process gets another one.
 */
export class KeyspaceFingerprint implements ElementSink {
  readonly #module: Module = instantiate(FINGERPRINT_MODULE)
  readonly #words: Uint32Array
  readonly #sum: BigInt64Array
  readonly #key: Message
  readonly #leaf: Message
  readonly #group: Message
  readonly #reader: Message
  #inStream = false
  /** Whether the key has not come to its end. */
  #open = false
  #inGroup = false
  /** The record to which the consumer or producer will be added; -1: there is none. */
  #readerOf = -1
  #expireAtMs = NO_EXPIRY
  /** Bytes of a module's value. */
  #raw = -1
  #unkeyed = 0

  /** @param secret four 32-bit words; fingerprints of different ones cannot be compared */
  constructor(secret: ArrayLike<number> = SECRET) {
    const { buffer } = this.#module.bytes
    const words = new Uint32Array(buffer)
    words.set([secret[0], secret[1], secret[2], secret[3]], SECRET_AT >> 2)
    this.#words = words.subarray((KEYSPACE + SUM) >> 2, ((KEYSPACE + SUM) >> 2) + SUM_WORDS)
    this.#sum = new BigInt64Array(buffer, KEYSPACE + SUM, SUM_WORDS / 2)
    this.#key = new Message(this.#module, KEY, KEY_MESSAGE)
    this.#leaf = new Message(this.#module, LEAF, LEAF_MESSAGE)
    this.#group = new Message(this.#module, GROUP, GROUP_MESSAGE)
    this.#reader = new Message(this.#module, READER, READER_MESSAGE)
  }

  /**
   * A key; its value follows.
   *
   * @param expireAtMs milliseconds since 1970, or `NO_EXPIRY`
   */
  key(db: number, key: Slice, kind: Kind, expireAtMs: bigint): this {
    if (this.#open) this.#drop()
    this.#open = true
    this.#inStream = kind === 'stream'
    this.#raw = kind === 'module' ? 0 : -1
    this.#expireAtMs = expireAtMs
    const message = this.#key
    message.begin()
    message.head(Tag.Key, key.length)
    message.number(db * KIND_COUNT + KINDS[kind])
    message.text(key)
    return this
  }

  /** When the key expires, where that is known only behind its value, and before its `end`. */
  expires(atMs: bigint): void {
    this.#expireAtMs = atMs
  }

  /** A library of functions, by its source. */
  functions(source: Slice): void {
    const leaf = this.#leaf
    leaf.begin()
    leaf.head(Tag.Library, source.length)
    leaf.text(source)
    leaf.finish(KEYSPACE)
  }

  /** What belongs to no key, like data of modules: their order counts. */
  unkeyed(bytes: Slice): void {
    const leaf = this.#leaf
    leaf.begin()
    leaf.head(Tag.Unkeyed, bytes.length)
    leaf.number(this.#unkeyed++)
    leaf.text(bytes)
    leaf.finish(KEYSPACE)
  }

  begin(_kind: Kind, _count: number): void {}

  string(value: Slice): void {
    this.#key.head(Tag.Text, value.length)
    this.#key.text(value)
  }

  item(value: Slice): void {
    this.#key.head(Tag.Text, value.length)
    this.#key.text(value)
  }

  member(value: Slice): void {
    const leaf = this.#leaf
    leaf.begin()
    leaf.head(Tag.Member, value.length)
    leaf.text(value)
    leaf.finish(KEY)
  }

  scored(member: Slice, score: number): void {
    const leaf = this.#leaf
    leaf.begin()
    leaf.head(Tag.Scored, member.length)
    leaf.number(score)
    leaf.text(member)
    leaf.finish(KEY)
  }

  field(name: Slice, value: Slice, expireAtMs: bigint): void {
    if (this.#inStream) {
      this.#addField(this.#key, name, value, expireAtMs)
      return
    }
    const leaf = this.#leaf
    leaf.begin()
    this.#addField(leaf, name, value, expireAtMs)
    leaf.finish(KEY)
  }

  #addField(message: Message, name: Slice, value: Slice, expireAtMs: bigint): void {
    message.head(Tag.Field, name.length)
    message.number(value.length)
    message.integer(expireAtMs)
    message.text(name)
    message.text(value)
  }

  entry(ms: bigint, seq: bigint, fields: number): void {
    this.#key.head(Tag.Entry, fields)
    this.#key.integer(ms)
    this.#key.integer(seq)
  }

  state(state: StreamState): void {
    const message = this.#key
    message.head(Tag.State, 0)
    message.integer(state.length)
    message.integer(state.entriesAdded)
    for (const { ms, seq } of [state.lastId, state.firstId, state.maxDeletedId]) {
      message.integer(ms)
      message.integer(seq)
    }
  }

  group(name: Slice, lastMs: bigint, lastSeq: bigint, entriesRead: bigint): void {
    this.#endGroup()
    this.#inGroup = true
    const message = this.#group
    message.begin()
    message.head(Tag.Group, name.length)
    message.text(name)
    message.integer(lastMs)
    message.integer(lastSeq)
    message.integer(entriesRead)
  }

  pending(ms: bigint, seq: bigint, deliveredAtMs: bigint, deliveries: bigint): void {
    const leaf = this.#leafOf(Tag.Pending, ms, seq)
    leaf.integer(deliveredAtMs)
    leaf.integer(deliveries)
    leaf.finish(GROUP)
  }

  consumer(name: Slice, seenAtMs: bigint, activeAtMs: bigint): void {
    this.#endReader()
    const message = this.#beginReader(Tag.Consumer, name, GROUP)
    message.integer(seenAtMs)
    message.integer(activeAtMs)
  }

  owned(ms: bigint, seq: bigint): void {
    this.#leafOf(Tag.Owned, ms, seq).finish(READER)
  }

  nacked(ms: bigint, seq: bigint): void {
    this.#leafOf(Tag.Nacked, ms, seq).finish(GROUP)
  }

  producer(id: Slice): void {
    this.#endGroup()
    this.#beginReader(Tag.Producer, id, KEY)
  }

  produced(id: Slice, ms: bigint, seq: bigint): void {
    const message = this.#reader
    message.head(Tag.Produced, id.length)
    message.text(id)
    message.integer(ms)
    message.integer(seq)
  }

  idempotence(duration: bigint, limit: bigint, added: bigint, repeated: bigint): void {
    const leaf = this.#leafOf(Tag.Idempotence, duration, limit)
    leaf.integer(added)
    leaf.integer(repeated)
    leaf.finish(KEY)
  }

  raw(bytes: Slice): void {
    this.#raw += bytes.length
    this.#key.bytes(bytes)
  }

  next(index: bigint): void {
    const leaf = this.#leaf
    leaf.begin()
    leaf.head(Tag.Next, 0)
    leaf.integer(index)
    leaf.finish(KEY)
  }

  slot(index: bigint, value: Slice): void {
    const leaf = this.#leaf
    leaf.begin()
    leaf.head(Tag.Slot, value.length)
    leaf.integer(index)
    leaf.text(value)
    leaf.finish(KEY)
  }

  end(): void {
    const message = this.#key
    if (this.#inStream) this.#endGroup()
    if (this.#raw >= 0) {
      message.align()
      message.number(this.#raw)
    }
    message.integer(this.#expireAtMs)
    message.finish(KEYSPACE)
    this.#open = false
  }

  /** Adds what another one was given, under the same secret; their unkeyed data do not follow each other. */
  add(other: KeyspaceFingerprint | FingerprintWords): void {
    const words = BigInt64Array.from(sumOf(other))
    for (let i = 0; i < words.length; i++) this.#sum[i] += words[i]
  }

  /** Whether what was given is the same. */
  equals(other: KeyspaceFingerprint | FingerprintWords): boolean {
    const words = other instanceof KeyspaceFingerprint ? other.words() : other
    return this.#words.every((word, i) => word === words[i])
  }

  /** To be given to {@link add} or {@link equals} elsewhere. */
  words(): FingerprintWords {
    return [...this.#words]
  }

  /** The 128 bits: 32 digits. */
  hex(): string {
    return [...this.#words.subarray(0, 4)].map(word => word.toString(16).padStart(8, '0')).join('')
  }

  #leafOf(tag: Tag, first: bigint, second: bigint): Message {
    const leaf = this.#leaf
    leaf.begin()
    leaf.head(tag, 0)
    leaf.integer(first)
    leaf.integer(second)
    return leaf
  }

  #beginReader(tag: Tag, name: Slice, sum: number): Message {
    this.#readerOf = sum
    const message = this.#reader
    message.begin()
    message.head(tag, name.length)
    message.text(name)
    return message
  }

  #endReader(): void {
    if (this.#readerOf < 0) return
    this.#reader.finish(this.#readerOf)
    this.#readerOf = -1
  }

  #endGroup(): void {
    this.#endReader()
    if (this.#inGroup) this.#group.finish(KEY)
    this.#inGroup = false
  }

  /** Forgets the key that has no end. */
  #drop(): void {
    for (const record of [KEY, GROUP, READER]) this.#module.clear(record)
    this.#inGroup = false
    this.#readerOf = -1
  }
}

/** The two halves and the count of a sum. */
function sumOf(of: KeyspaceFingerprint | FingerprintWords): BigInt64Array {
  const words = of instanceof KeyspaceFingerprint ? of.words() : of
  return new BigInt64Array(Uint32Array.from(words).buffer)
}

/** What is to be hashed next, put together in the module's memory; what is longer than the room there goes on. */
class Message {
  readonly #module: Module
  readonly #bytes: Uint8Array
  readonly #numbers: Float64Array
  readonly #integers: BigInt64Array
  readonly #record: number
  readonly #start: number
  readonly #end: number
  #at: number
  /** Whether the beginning of it was hashed. */
  #begun = false

  constructor(module: Module, record: number, [start, end]: readonly [number, number]) {
    this.#module = module
    this.#bytes = module.bytes
    this.#numbers = new Float64Array(module.bytes.buffer)
    this.#integers = new BigInt64Array(module.bytes.buffer)
    this.#record = record
    this.#start = start
    // There is always room for the numbers before a text, and for a word behind it.
    this.#end = end - NUMBERS
    this.#at = start
  }

  begin(): void {
    this.#at = this.#start
    this.#begun = false
  }

  head(tag: Tag, size: number): void {
    // Here and behind texts: so that numbers never have to ask.
    if (this.#at >= this.#end) this.#flush()
    this.number(size * ONE_BYTE + tag)
  }

  number(value: number): void {
    this.#numbers[this.#at >>> 3] = value
    this.#at += 8
  }

  integer(value: bigint): void {
    this.#integers[this.#at >>> 3] = value
    this.#at += 8
  }

  /** Adds a text, and zeros up to the next word. */
  text(slice: Slice): void {
    const { bytes, at: from, end } = slice
    const size = end - from
    const at = this.#at
    if (at + size >= this.#end) {
      this.bytes(slice)
      this.align()
      return
    }
    this.#numbers[(at + size) >>> 3] = 0
    const to = this.#bytes
    if (size > SHORT) to.set(bytes.subarray(from, end), at)
    else for (let i = 0; i < size; i++) to[at + i] = bytes[from + i]
    this.#at = (at + size + 7) & -8
  }

  /** Adds bytes as they are; before anything else comes, {@link align}. */
  bytes({ bytes, at, end }: Slice): void {
    while (at < end) {
      if (this.#at >= this.#end) this.#flush()
      const size = Math.min(end - at, this.#end - this.#at)
      this.#bytes.set(bytes.subarray(at, at + size), this.#at)
      this.#at += size
      at += size
    }
  }

  /** Adds zeros up to the next word. */
  align(): void {
    while ((this.#at & 7) !== 0) this.#bytes[this.#at++] = 0
    if (this.#at >= this.#end) this.#flush()
  }

  /** Adds the hash of it to a sum. */
  finish(sum: number): void {
    if (this.#begun) {
      this.#module.absorb(this.#record, this.#start, this.#at)
      this.#module.finish(this.#record, sum)
    } else this.#module.once(this.#record, this.#start, this.#at, sum)
  }

  #flush(): void {
    if (!this.#begun) this.#module.begin(this.#record)
    this.#begun = true
    this.#module.absorb(this.#record, this.#start, this.#at)
    this.#at = this.#start
  }
}
