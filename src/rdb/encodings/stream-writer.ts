import type { StreamState } from '../../values/elements.ts'
import type { Slice } from '../../values/slice.ts'
import type { ListpackOptions } from './listpack.ts'
import type { ValueOutput } from './output.ts'
import { isBefore, NodeWriter } from './stream-node.ts'

/** Of an id: two halves of 8 bytes, high ones first. */
const ID_SIZE = 16

interface WrittenConsumer {
  readonly name: Uint8Array
  readonly seenAtMs: bigint
  readonly activeAtMs: bigint
  /** What is pending is in the buffer, from here on. */
  readonly at: number
  count: number
}

interface WrittenGroup {
  readonly name: Uint8Array
  readonly lastMs: bigint
  readonly lastSeq: bigint
  readonly entriesRead: bigint
  readonly at: number
  count: number
  readonly consumers: WrittenConsumer[]
}

/** Bytes of a pending entry in the buffer: as in the file, but for the deliveries, which are 8 bytes here. */
const PENDING_SIZE = 32
const TIME_AT = 16
const DELIVERIES_AT = 24

const SMALLEST_BUFFER = 1024

/**
 * Encodes a stream whose elements it is given, in the order of {@link ElementSink}: nodes as servers make them, and
 * the rest as it stands. Counts come first in the file, so all is kept, encoded, until the end.
 */
export class StreamWriter {
  readonly #out: ValueOutput
  readonly #nodeWriter: NodeWriter
  #version: 1 | 2 | 3 = 3
  #nodes: { readonly ms: bigint; readonly seq: bigint; readonly bytes: Uint8Array }[] = []
  #state: StreamState | undefined
  #groups: WrittenGroup[] = []
  /** Pending entries, and ids of those that consumers own. */
  #buffer: Uint8Array = new Uint8Array(0)
  #view = new DataView(this.#buffer.buffer)
  #used = 0
  #lastMs = 0n
  #lastSeq = 0n
  #entries = 0

  constructor(out: ValueOutput, options: ListpackOptions = {}) {
    this.#out = out
    this.#nodeWriter = new NodeWriter((ms, seq, { bytes, at, end }) => {
      this.#nodes.push({ ms, seq, bytes: bytes.slice(at, end) })
    }, options)
  }

  /** Begins with a value. */
  begin(version: 1 | 2 | 3): void {
    this.#version = version
    this.#nodeWriter.begin()
    this.#nodes = []
    this.#state = undefined
    this.#groups = []
    this.#buffer = new Uint8Array(0)
    this.#used = 0
    this.#entries = 0
  }

  /** @throws RangeError when the entry does not come after the one before: servers would find only one of the two */
  entry(ms: bigint, seq: bigint, fields: number): void {
    if (this.#entries++ > 0 && !isBefore(this.#lastMs, this.#lastSeq, ms, seq))
      throw new RangeError(`the entry ${ms}-${seq} does not come after ${this.#lastMs}-${this.#lastSeq}`)
    this.#lastMs = ms
    this.#lastSeq = seq
    this.#nodeWriter.entry(ms, seq, fields)
  }

  field(name: Slice, value: Slice): void {
    this.#nodeWriter.field(name, value)
  }

  state(state: StreamState): void {
    this.#nodeWriter.end()
    this.#state = state
  }

  group(name: Slice, lastMs: bigint, lastSeq: bigint, entriesRead: bigint): void {
    const consumers: WrittenConsumer[] = []
    this.#groups.push({
      name: name.copy(),
      lastMs,
      lastSeq,
      entriesRead,
      at: this.#used,
      count: 0,
      consumers,
    })
  }

  pending(ms: bigint, seq: bigint, deliveredAtMs: bigint, deliveries: bigint): void {
    const at = this.#room(PENDING_SIZE)
    this.#putId(at, ms, seq)
    this.#view.setBigInt64(at + TIME_AT, deliveredAtMs, true)
    this.#view.setBigUint64(at + DELIVERIES_AT, deliveries)
    this.#groups[this.#groups.length - 1].count++
  }

  consumer(name: Slice, seenAtMs: bigint, activeAtMs: bigint): void {
    const { consumers } = this.#groups[this.#groups.length - 1]
    consumers.push({ name: name.copy(), seenAtMs, activeAtMs, at: this.#used, count: 0 })
  }

  owned(ms: bigint, seq: bigint): void {
    this.#putId(this.#room(ID_SIZE), ms, seq)
    const { consumers } = this.#groups[this.#groups.length - 1]
    consumers[consumers.length - 1].count++
  }

  /** Gives the whole value to the output. */
  end(): void {
    const out = this.#out
    const state = this.#state
    if (state === undefined) throw new RangeError('a stream without its state')
    out.length(this.#nodes.length)
    for (const { ms, seq, bytes } of this.#nodes) {
      SCRATCH_VIEW.setBigUint64(0, ms)
      SCRATCH_VIEW.setBigUint64(8, seq)
      out.string(SCRATCH, 0, ID_SIZE)
      out.string(bytes, 0, bytes.length)
    }
    out.length(state.length)
    this.#id(state.lastId)
    if (this.#version >= 2) {
      this.#id(state.firstId)
      this.#id(state.maxDeletedId)
      out.length(state.entriesAdded)
    }
    out.length(this.#groups.length)
    for (const group of this.#groups) this.#writeGroup(group)
    // Of a large stream nothing stays behind.
    this.begin(this.#version)
  }

  #writeGroup({ name, lastMs, lastSeq, entriesRead, at, count, consumers }: WrittenGroup): void {
    const out = this.#out
    out.string(name, 0, name.length)
    out.length(lastMs)
    out.length(lastSeq)
    if (this.#version >= 2) out.length(BigInt.asUintN(64, entriesRead))
    out.length(count)
    for (let i = 0; i < count; i++) {
      const from = at + i * PENDING_SIZE
      out.raw(this.#buffer, from, from + DELIVERIES_AT)
      out.length(this.#view.getBigUint64(from + DELIVERIES_AT))
    }
    out.length(consumers.length)
    for (const consumer of consumers) {
      out.string(consumer.name, 0, consumer.name.length)
      this.#time(consumer.seenAtMs)
      if (this.#version >= 3) this.#time(consumer.activeAtMs)
      out.length(consumer.count)
      out.raw(this.#buffer, consumer.at, consumer.at + consumer.count * ID_SIZE)
    }
  }

  #id({ ms, seq }: { ms: bigint; seq: bigint }): void {
    this.#out.length(ms)
    this.#out.length(seq)
  }

  #time(ms: bigint): void {
    SCRATCH_VIEW.setBigInt64(0, ms, true)
    this.#out.raw(SCRATCH, 0, 8)
  }

  #putId(at: number, ms: bigint, seq: bigint): void {
    this.#view.setBigUint64(at, ms)
    this.#view.setBigUint64(at + 8, seq)
  }

  /** Index of so many new bytes in the buffer. */
  #room(size: number): number {
    const at = this.#used
    this.#used = at + size
    if (this.#used > this.#buffer.length) {
      const larger = new Uint8Array(Math.max(SMALLEST_BUFFER, 2 * this.#buffer.length))
      larger.set(this.#buffer.subarray(0, at))
      this.#buffer = larger
      this.#view = new DataView(larger.buffer)
    }
    return at
  }
}

const SCRATCH = new Uint8Array(ID_SIZE)
const SCRATCH_VIEW = new DataView(SCRATCH.buffer)
