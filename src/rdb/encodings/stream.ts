import { createHash } from 'node:crypto'
import { corrupt } from '../../bytes/errors.ts'
import { type ElementSink, PASSED_OVER, type StreamState } from '../../values/elements.ts'
import { Slice } from '../../values/slice.ts'
import type { Cursor } from '../cursor.ts'
import { IdTable } from './ids.ts'
import type { Odd } from './packed.ts'
import { isBefore, NodeReader } from './stream-node.ts'

/**
 * A stream. Ids are two lengths where nothing is said, else 16 bytes, high ones first; times 8 bytes, signed, low ones
 * first, in ms; `n×` is a length and so many of what follows.
 *
 *     n× (string id of the node, string node)                see stream-node.ts
 *     length entries, id last                                since version 2: id first, id highest deleted, length added
 *     n× group:  string name, id last                        since version 2: length entries read
 *                n× pending: 16 bytes id, time of delivery, length deliveries
 *                n× consumer: string name, time seen         since version 3: time active
 *                             n× 16 bytes id
 *                since version 5: n× 16 bytes id, handed back
 *     since version 4: length duration, length limit, n× (string producer, n× (string id, id)), length added, length repeated
 *
 * Nothing before the end says how many entries or groups there are, so a writer has to have them all first.
 */
export type StreamVersion = 1 | 2 | 3 | 4 | 5

const ID_SIZE = 16
/** What "not known" is as a number of entries read, or a time. */
const NOT_KNOWN = -1n

/** What a step of the reader takes. */
const Part = {
  NodeCount: 0,
  Node: 1,
  State: 2,
  Group: 3,
  Pending: 4,
  ConsumerCount: 5,
  Consumer: 6,
  Owned: 7,
  NackedCount: 8,
  Nacked: 9,
  Idempotence: 10,
  Producer: 11,
  Produced: 12,
  Sums: 13,
} as const

/**
 * Decodes a stream, one node, group, consumer or id after the other: what is kept of it are the ids of its nodes, the
 * names of its groups, and of one group the names of consumers and what is pending.
 *
 * Corrupt is what no server loads, or cannot be decoded: `rdb.stream.key`, `rdb.stream.empty-node`, `rdb.stream.node`,
 * `rdb.stream.duplicate`, `rdb.stream.nodes`, `rdb.stream.owned`. Odd are, of nodes, `rdb.stream.count`,
 * `rdb.stream.lp-count`, `rdb.stream.flags`, `rdb.stream.order`; of the stream, `rdb.stream.length`,
 * `rdb.stream.last-id`, `rdb.stream.first-id`, `rdb.stream.deleted-id`, `rdb.stream.added`; of a group,
 * `rdb.stream.unowned`, `rdb.stream.owners`.
 */
export class StreamReader {
  #version: StreamVersion = 1
  #odd: Odd | undefined
  #part: number = Part.NodeCount
  /** What is still to come of each kind. */
  #nodes = 0
  #groups = 0
  #pendings = 0
  #consumers = 0
  #ids = 0
  #producers = 0

  readonly #nodeReader = new NodeReader()
  readonly #nodeIds = new IdTable()
  readonly #pendingIds = new IdTable()
  readonly #groupNames = new Set<string>()
  readonly #consumerNames = new Set<string>()
  readonly #text = new Slice()
  readonly #node = new Slice()
  /** Number of the consumer whose ids come. */
  #consumer = 0
  #groupOffset = 0
  #length = 0n
  #lastMs = 0n
  #lastSeq = 0n
  #duration = 0n
  #limit = 0n

  /** Begins with a value. */
  begin(version: StreamVersion, odd: Odd | undefined): void {
    this.#version = version
    this.#odd = odd
    this.#part = Part.NodeCount
    this.#nodeReader.begin(odd)
    this.#nodeIds.clear()
    this.#groupNames.clear()
  }

  /**
   * Takes the next part from the cursor; true after the last one. When the bytes run out on the way, nothing has
   * changed but the cursor.
   */
  step(cursor: Cursor, sink: ElementSink): boolean {
    switch (this.#part) {
      case Part.NodeCount:
        this.#nodes = cursor.length()
        this.#part = this.#nodes > 0 ? Part.Node : Part.State
        return false
      case Part.Node:
        this.#readNode(cursor, sink)
        if (--this.#nodes === 0) this.#part = Part.State
        return false
      case Part.State:
        this.#readState(cursor, sink)
        return this.#nextGroup()
      case Part.Group:
        this.#readGroup(cursor, sink)
        this.#part = this.#pendings > 0 ? Part.Pending : Part.ConsumerCount
        return false
      case Part.Pending:
        this.#readPending(cursor, sink)
        if (--this.#pendings === 0) this.#part = Part.ConsumerCount
        return false
      case Part.ConsumerCount:
        this.#readConsumerCount(cursor)
        return this.#nextConsumer()
      case Part.Consumer:
        this.#readConsumer(cursor, sink)
        if (this.#ids === 0) return this.#nextConsumer()
        this.#part = Part.Owned
        return false
      case Part.Owned:
        this.#readOwned(cursor, sink)
        if (--this.#ids > 0) return false
        return this.#nextConsumer()
      case Part.NackedCount:
        this.#ids = cursor.length()
        if (this.#ids === 0) return this.#endGroup()
        this.#part = Part.Nacked
        return false
      case Part.Nacked:
        this.#readNacked(cursor, sink)
        return --this.#ids === 0 && this.#endGroup()
      case Part.Idempotence:
        this.#readIdempotence(cursor)
        this.#part = this.#producers > 0 ? Part.Producer : Part.Sums
        return false
      case Part.Producer:
        this.#readProducer(cursor, sink)
        if (this.#ids > 0) this.#part = Part.Produced
        else this.#nextProducer()
        return false
      case Part.Produced:
        this.#readProduced(cursor, sink)
        if (--this.#ids === 0) this.#nextProducer()
        return false
      default: {
        const added = cursor.length64()
        const repeated = cursor.length64()
        sink.idempotence(this.#duration, this.#limit, added, repeated)
        return true
      }
    }
  }

  #readNode(cursor: Cursor, sink: ElementSink): void {
    const { offset } = cursor
    const id = this.#text
    // Needed, however short strings must be to be wanted.
    cursor.packed(id)
    if (id.length !== ID_SIZE)
      throw corrupt('rdb.stream.key', offset, `the id of a node has ${id.length} bytes, not ${ID_SIZE}`)
    cursor.packed(this.#node)
    const ms = uint64At(id.bytes, id.at)
    const seq = uint64At(id.bytes, id.at + 8)
    if (!this.#nodeIds.add(id.bytes, id.at)) throw duplicate(offset, `the node ${ms}-${seq}`)
    this.#nodeReader.read(ms, seq, this.#node, cursor.textOffset, cursor.plain, sink)
  }

  #readState(cursor: Cursor, sink: ElementSink): void {
    const { offset } = cursor
    const length = cursor.length64()
    const lastMs = cursor.length64()
    const lastSeq = cursor.length64()
    const entries = this.#nodeReader
    const state = {
      length,
      lastId: { ms: lastMs, seq: lastSeq },
      // Of an older stream, what servers take for it when they load it: so these never disagree with its entries.
      firstId: { ms: entries.firstMs, seq: entries.firstSeq },
      maxDeletedId: { ms: 0n, seq: 0n },
      entriesAdded: length,
    }
    if (this.#version >= 2) {
      state.firstId = { ms: cursor.length64(), seq: cursor.length64() }
      state.maxDeletedId = { ms: cursor.length64(), seq: cursor.length64() }
      state.entriesAdded = cursor.length64()
    }
    const groups = cursor.length()
    const nodes = this.#nodeIds
    if (!nodes.rising && !nodes.settle()) throw duplicate(offset, 'a node')
    if (length > 0n && nodes.count === 0)
      throw corrupt('rdb.stream.nodes', offset, `a stream of ${length} entries without any node`)
    if (this.#odd !== undefined) this.#checkState(state, this.#odd, offset)
    this.#length = length
    this.#lastMs = lastMs
    this.#lastSeq = lastSeq
    this.#groups = groups
    sink.state(state)
  }

  #checkState(
    { length, lastId, firstId, maxDeletedId, entriesAdded }: StreamState,
    odd: Odd,
    offset: number,
  ): void {
    const { live, firstMs, firstSeq, lastMs, lastSeq } = this.#nodeReader
    if (length !== BigInt(live))
      odd('rdb.stream.length', offset, `a stream of ${live} entries says that it has ${length}`)
    if (isBefore(lastId.ms, lastId.seq, lastMs, lastSeq))
      odd(
        'rdb.stream.last-id',
        offset,
        `the last id is ${name(lastId)}, behind it is an entry ${lastMs}-${lastSeq}`,
      )
    if (live > 0 && (firstId.ms !== firstMs || firstId.seq !== firstSeq))
      odd(
        'rdb.stream.first-id',
        offset,
        `the first id is ${name(firstId)}, the first entry ${firstMs}-${firstSeq}`,
      )
    if (isBefore(lastId.ms, lastId.seq, maxDeletedId.ms, maxDeletedId.seq))
      odd(
        'rdb.stream.deleted-id',
        offset,
        `${name(maxDeletedId)} was deleted, but ${name(lastId)} is the last id`,
      )
    if (entriesAdded < length)
      odd('rdb.stream.added', offset, `${entriesAdded} entries were added to a stream that has ${length}`)
  }

  /** To the next group, or to what follows them: true when nothing does. */
  #nextGroup(): boolean {
    if (this.#groups > 0) this.#part = Part.Group
    else if (this.#version >= 4) this.#part = Part.Idempotence
    else return true
    return false
  }

  #readGroup(cursor: Cursor, sink: ElementSink): void {
    const { offset } = cursor
    const group = this.#text
    cursor.string(group)
    const lastMs = cursor.length64()
    const lastSeq = cursor.length64()
    const read =
      this.#version >= 2 ? BigInt.asIntN(64, cursor.length64()) : this.#assumedRead(lastMs, lastSeq)
    const pendings = cursor.length()
    if (!isNew(group, this.#groupNames)) throw duplicate(offset, 'a group')
    this.#groupOffset = offset
    this.#pendings = pendings
    this.#pendingIds.clear()
    this.#consumerNames.clear()
    this.#consumer = 0
    sink.group(group, lastMs, lastSeq, read)
  }

  /** How many entries a group has read whose stream is older than that number: as servers estimate it. */
  #assumedRead(lastMs: bigint, lastSeq: bigint): bigint {
    if (this.#length === 0n) return 0n
    if (lastMs === this.#lastMs && lastSeq === this.#lastSeq) return this.#length
    if (isBefore(this.#lastMs, this.#lastSeq, lastMs, lastSeq)) return NOT_KNOWN
    const { firstMs, firstSeq } = this.#nodeReader
    if (isBefore(lastMs, lastSeq, firstMs, firstSeq)) return 0n
    return lastMs === firstMs && lastSeq === firstSeq ? 1n : NOT_KNOWN
  }

  #readPending(cursor: Cursor, sink: ElementSink): void {
    const { bytes, at, offset } = cursor
    const ms = cursor.uint64be()
    const seq = cursor.uint64be()
    const deliveredAtMs = cursor.int64()
    const deliveries = cursor.length64()
    if (!this.#pendingIds.add(bytes, at)) throw duplicate(offset, `the pending entry ${ms}-${seq}`)
    sink.pending(ms, seq, deliveredAtMs, deliveries)
  }

  #readConsumerCount(cursor: Cursor): void {
    const { offset } = cursor
    this.#consumers = cursor.length()
    if (!this.#pendingIds.settle()) throw duplicate(offset, 'before here a pending entry')
  }

  /** To the next consumer, or to what follows them. */
  #nextConsumer(): boolean {
    if (this.#consumers > 0) this.#part = Part.Consumer
    else if (this.#version >= 5) this.#part = Part.NackedCount
    else return this.#endGroup()
    return false
  }

  #readConsumer(cursor: Cursor, sink: ElementSink): void {
    const { offset } = cursor
    const consumer = this.#text
    cursor.string(consumer)
    const seenAtMs = cursor.int64()
    // Servers assume the same when they load an older one.
    const activeAtMs = this.#version >= 3 ? cursor.int64() : seenAtMs
    this.#ids = cursor.length()
    if (!isNew(consumer, this.#consumerNames)) throw duplicate(offset, 'a consumer')
    this.#consumers--
    this.#consumer++
    sink.consumer(consumer, seenAtMs, activeAtMs)
  }

  #readOwned(cursor: Cursor, sink: ElementSink): void {
    const { bytes, at, offset } = cursor
    const ms = cursor.uint64be()
    const seq = cursor.uint64be()
    const index = this.#pendingIds.find(bytes, at)
    if (index < 0)
      throw corrupt('rdb.stream.owned', offset, `a consumer owns ${ms}-${seq}, which is not pending`)
    const owner = this.#pendingIds.owner(index)
    if (owner === this.#consumer) throw duplicate(offset, `with a consumer the pending entry ${ms}-${seq}`)
    if (owner !== 0) this.#odd?.('rdb.stream.owners', offset, `the pending entry ${ms}-${seq} has two owners`)
    this.#pendingIds.own(index, this.#consumer)
    sink.owned(ms, seq)
  }

  #readNacked(cursor: Cursor, sink: ElementSink): void {
    const { bytes, at, offset } = cursor
    const ms = cursor.uint64be()
    const seq = cursor.uint64be()
    const index = this.#pendingIds.find(bytes, at)
    if (index < 0)
      throw corrupt('rdb.stream.owned', offset, `${ms}-${seq} was handed back, and is not pending`)
    if (this.#pendingIds.owner(index) !== 0)
      this.#odd?.(
        'rdb.stream.owners',
        offset,
        `the pending entry ${ms}-${seq} was handed back, and has an owner`,
      )
    this.#pendingIds.own(index, HANDED_BACK)
    sink.nacked(ms, seq)
  }

  #endGroup(): boolean {
    const { count, owned } = this.#pendingIds
    if (owned < count)
      this.#odd?.(
        'rdb.stream.unowned',
        this.#groupOffset,
        `${count - owned} pending entries belong to no consumer`,
      )
    this.#groups--
    return this.#nextGroup()
  }

  #readIdempotence(cursor: Cursor): void {
    this.#duration = cursor.length64()
    this.#limit = cursor.length64()
    this.#producers = cursor.length()
  }

  #readProducer(cursor: Cursor, sink: ElementSink): void {
    cursor.string(this.#text)
    this.#ids = cursor.length()
    sink.producer(this.#text)
  }

  #readProduced(cursor: Cursor, sink: ElementSink): void {
    cursor.string(this.#text)
    const ms = cursor.length64()
    const seq = cursor.length64()
    sink.produced(this.#text, ms, seq)
  }

  #nextProducer(): void {
    this.#part = --this.#producers > 0 ? Part.Producer : Part.Sums
  }
}

/** The owner of what has none any more. */
const HANDED_BACK = 0xffff_ffff

function duplicate(offset: number, what: string) {
  return corrupt('rdb.stream.duplicate', offset, `${what} stands there twice`)
}

function name({ ms, seq }: { ms: bigint; seq: bigint }): string {
  return `${ms}-${seq}`
}

/** Names that are remembered at most: of a stream's groups, of a group's consumers. */
const MOST_NAMES = 1 << 20
/**
 * Of longer ones a digest is remembered, which is longer than that. Compressed, they may take 88 times what they have in
 * the file, and JavaScript tells apart very long ones only by looking at all of them.
 */
const LONGEST_NAME = 31

/** Adds a name. What is too long to be looked at counts as new, and so does all beyond the first million. */
function isNew({ bytes, at, end, length }: Slice, names: Set<string>): boolean {
  if (bytes === PASSED_OVER || names.size === MOST_NAMES) return true
  const name = Buffer.from(bytes.buffer, bytes.byteOffset + at, end - at)
  const before = names.size
  names.add(
    length > LONGEST_NAME ? createHash('sha256').update(name).digest('binary') : name.toString('latin1'),
  )
  return names.size > before
}

function uint64At(bytes: Uint8Array, at: number): bigint {
  return new DataView(bytes.buffer, bytes.byteOffset + at, 8).getBigUint64(0)
}
