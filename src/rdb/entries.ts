import { corrupt, FormatError } from '../bytes/errors.ts'
import type { ElementSink, Kind } from '../values/elements.ts'
import { Slice } from '../values/slice.ts'
import { Cursor } from './cursor.ts'
import { HashTemplates } from './encodings/template.ts'
import { EntryBatch, type RdbEvent } from './events.ts'
import { type Magic, valueType } from './format.ts'
import { type ReadOptions, ValueReader } from './value-reader.ts'

/** A key and where it stands. Void after the call that brings it. Offsets from the start of the part. */
export interface Entry {
  readonly db: number
  readonly magic: Magic
  readonly type: number
  readonly kind: Kind
  readonly key: Slice
  /** Of the first byte of the entry: its expiry, idle time or frequency, or its type. */
  readonly offset: number
  /** Of the encoded value. */
  readonly valueOffset: number
  /** Milliseconds since 1970, or `NO_EXPIRY`. */
  readonly expireAtMs: bigint
  /** Seconds since the last use, or -1; number of uses, logarithmic, or -1. */
  readonly idle: number
  readonly frequency: number
}

export interface EntryVisitor {
  /** The next entry: who takes the elements of its value; undefined when nobody wants them. */
  entry(entry: Entry): ElementSink | undefined
  /**
   * Its value, or its key, cannot be decoded. A sink that took part of it gets no more, and no `end`. Without an entry:
   * a template for those that follow.
   */
  damaged(error: FormatError, entry: Entry | undefined): void
  /** Something about its encoding is odd. Absent: nobody looks. */
  odd?(code: string, offset: number, message: string, entry: Entry): void
}

/**
 * Decodes the values of an RDB: what `RdbWalk` gives, with `values`, goes in, entries and elements come out. The value
 * that is larger than a window comes in pieces, and so do its elements: a file that ends inside it leaves its sink
 * without an `end`.
 */
export class EntryReader {
  readonly #visitor: EntryVisitor
  readonly #reader: ValueReader
  readonly #templates = new HashTemplates()
  readonly #entry = new CurrentEntry()
  /** Whether somebody takes the value that comes in pieces. */
  #taking = false

  constructor(visitor: EntryVisitor, options: Pick<ReadOptions, 'most'> = {}) {
    this.#visitor = visitor
    const odd =
      visitor.odd === undefined
        ? undefined
        : (code: string, offset: number, message: string) => visitor.odd?.(code, offset, message, this.#entry)
    this.#reader = new ValueReader(this.#templates, { ...options, odd })
  }

  /** Takes what the walk has met. */
  event(event: RdbEvent): void {
    switch (event.kind) {
      case 'header':
        this.#entry.magic = event.magic
        return
      case 'template':
        this.#define(event.bytes, event.offset)
        return
      case 'entries': {
        const { entries, inPieces } = event
        if (inPieces) this.#finish()
        else for (let i = 0; i < entries.count; i++) this.#whole(entries, i)
        return
      }
      case 'piece':
        this.#piece(event.entries, event.first, event.bytes, event.from, event.to)
    }
  }

  #define(bytes: Uint8Array | undefined, offset: number): void {
    try {
      if (bytes === undefined) throw corrupt('rdb.template', offset, 'a hash template too long to be kept')
      this.#templates.define(bytes, offset)
    } catch (error) {
      if (!(error instanceof FormatError)) throw error
      this.#visitor.damaged(error, undefined)
    }
  }

  #whole(entries: EntryBatch, i: number): void {
    try {
      if (!this.#begin(entries, i)) return
      this.#reader.feed(entries.bytes, entries.value[i] - entries.base, entries.end[i] - entries.base)
      this.#reader.finish()
    } catch (error) {
      this.#damaged(error)
    }
  }

  /** Whether somebody wants the value. */
  #begin(entries: EntryBatch, i: number): boolean {
    const entry = this.#entry
    entry.set(entries, i)
    const sink = this.#visitor.entry(entry)
    if (sink === undefined) return false
    this.#reader.begin(entry.magic, entry.type, entry.valueOffset, sink)
    return true
  }

  /** Takes the next bytes of a value, and with the first its entry. */
  #piece(entries: EntryBatch, first: boolean, bytes: Uint8Array, from: number, to: number): void {
    if (!first && !this.#taking) return
    this.#taking = false
    try {
      if (first && !this.#begin(entries, 0)) return
      this.#reader.feed(bytes, from, to)
      this.#taking = true
    } catch (error) {
      this.#damaged(error)
    }
  }

  #finish(): void {
    if (!this.#taking) return
    this.#taking = false
    try {
      this.#reader.finish()
    } catch (error) {
      this.#damaged(error)
    }
  }

  #damaged(error: unknown): void {
    if (!(error instanceof FormatError)) throw error
    this.#visitor.damaged(error, this.#entry)
  }
}

const NO_BYTES = new Uint8Array(0)

class CurrentEntry implements Entry {
  magic: Magic = 'REDIS'
  readonly key = new Slice()
  #entries = new EntryBatch(0)
  #index = 0
  readonly #cursor = new Cursor(Number.POSITIVE_INFINITY)

  /**
   * Makes it number `index` of a batch.
   *
   * @throws FormatError when its key cannot be decompressed; it is then empty
   */
  set(entries: EntryBatch, index: number): void {
    this.#entries = entries
    this.#index = index
    this.key.set(NO_BYTES)
    const { bytes, base } = entries
    const at = entries.key[index] - base
    const end = entries.value[index] - base
    if (at < 0 || end > bytes.length)
      throw corrupt('rdb.key.size', this.offset, 'the key is too long to be read')
    this.#cursor.set(bytes, at, end, base + at)
    this.#cursor.string(this.key)
  }

  get db(): number {
    return this.#entries.db
  }

  get type(): number {
    return this.#entries.type[this.#index]
  }

  get kind(): Kind {
    return valueType(this.magic, this.type)?.kind ?? 'module'
  }

  get offset(): number {
    return this.#entries.offset[this.#index]
  }

  get valueOffset(): number {
    return this.#entries.value[this.#index]
  }

  get expireAtMs(): bigint {
    return this.#entries.expireAtMs[this.#index]
  }

  get idle(): number {
    return this.#entries.idle[this.#index]
  }

  get frequency(): number {
    return this.#entries.frequency[this.#index]
  }
}
