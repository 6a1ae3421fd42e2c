import { type Cell, CellKind } from '../keyspace/cells.ts'
import { EncodedPlace } from '../keyspace/encoded.ts'
import { ReadAhead } from '../keyspace/extents.ts'
import { type Keyspace, KIND_NAMES } from '../keyspace/keyspace.ts'
import { fieldsMayExpire } from '../rdb/targets.ts'
import type { EntryHead } from '../rdb/writer.ts'
import { BothSinks } from '../values/both.ts'
import { type ElementSink, type Kind, NO_EXPIRY } from '../values/elements.ts'
import { Slice } from '../values/slice.ts'
import type { KeyOrder } from './key-order.ts'
import type { KeyWriter } from './key-writer.ts'

/** Bytes that go to the disk at once. */
const ENOUGH = 1 << 20
/** A string that is longer is not held in memory: it goes from file to file as it is. */
const LONGEST_HELD = 32 * 2 ** 20
const PIECE = 1 << 20
/** Values up to this length are read together with those behind them. */
const READ_AHEAD = 32 * 1024

/** Drains a writer while it is written to: the disk and we work at the same time. */
export class Drainage {
  readonly #writer: KeyWriter
  readonly #write: (bytes: Uint8Array) => Promise<void>
  #writing: Promise<void> = Promise.resolve()

  constructor(writer: KeyWriter, write: (bytes: Uint8Array) => Promise<void>) {
    this.#writer = writer
    this.#write = write
  }

  /** Whether there is enough to be written. */
  get due(): boolean {
    return this.#writer.pending >= ENOUGH
  }

  /** Begins to write what is ready, when the last writing is done. */
  async flush(): Promise<void> {
    await this.#writing
    this.#writing = this.#write(this.#writer.take())
    // Awaited by the next one.
    this.#writing.catch(() => {})
  }

  /** Writes all that is ready. */
  async end(): Promise<void> {
    await this.flush()
    await this.#writing
  }
}

/** Takes keys and their elements: `KeyspaceFingerprint`. */
export interface ElementWatcher {
  key(db: number, key: Slice, kind: Kind, expireAtMs: bigint): ElementSink
}

/** What stands in front of the value. One object serves for all keys. */
export class KeyHead implements EntryHead {
  readonly key = new Slice()
  expireAtMs = NO_EXPIRY
  readonly idle = -1
  readonly frequency = -1
}

/** Keys whose values are copied as they stand in the log, and the others. */
export class Copies {
  /** Of the last one that is copied: see {@link find}. */
  readonly place = new EncodedPlace()
  /** Whether it is an encoded value of an RDB; else the bytes of a string. */
  encoded = false
  readonly #keyspace: Keyspace

  constructor(keyspace: Keyspace) {
    this.#keyspace = keyspace
  }

  /** Whether the value of a key stands in the log so that it may be copied: then `place` says where. */
  find(cell: Cell): boolean {
    const keyspace = this.#keyspace
    this.encoded = keyspace.encoded(cell, this.place)
    if (this.encoded) return true
    if (keyspace.kind(cell) !== CellKind.String || keyspace.strings.length(cell) <= LONGEST_HELD) return false
    const extent = keyspace.strings.extent(cell)
    if (extent === undefined) return false
    this.place.part = extent.part
    this.place.offset = extent.offset
    this.place.length = keyspace.strings.length(cell)
    return true
  }
}

/**
 * Writes keys in their order. What is not copied as it stands in the log goes through the watcher, too.
 *
 * @param wrote is told each key, the bytes that it takes now, and whether its value was copied
 */
export async function writeKeys(
  keyspace: Keyspace,
  order: KeyOrder,
  writer: KeyWriter,
  drainage: Drainage,
  watcher: ElementWatcher | undefined,
  wrote: (key: Slice, bytes: number, copied: boolean) => void,
): Promise<void> {
  const head = new KeyHead()
  const both = new BothSinks()
  const copies = new Copies(keyspace)
  const { place } = copies
  const { extents } = keyspace.store
  const ahead = new ReadAhead(extents)
  const text = new Slice()
  let piece: Uint8Array | undefined
  for (const { db, expires, from, to } of order.databases) {
    writer.select(db, to - from, expires)
    for (let i = from; i < to; i++) {
      const cell = order.cell(i)
      keyspace.key(cell, head.key)
      head.expireAtMs = keyspace.expiry(cell)
      const before = writer.size
      const copied = copies.find(cell) && begin(writer, head, copies)
      if (copied) {
        if (place.length <= READ_AHEAD) {
          ahead.read(place.part, place.offset, place.length, text)
          writer.more(text.bytes, text.at, text.end)
        } else {
          piece ??= new Uint8Array(PIECE)
          for (let done = 0; done < place.length; done += PIECE) {
            const size = Math.min(PIECE, place.length - done)
            extents.fill(place.part, place.offset + done, piece.subarray(0, size))
            writer.more(piece, 0, size)
            if (drainage.due) await drainage.flush()
          }
        }
      } else {
        const mayExpire = keyspace.kind(cell) === CellKind.Hash && mayHaveExpiries(keyspace, copies)
        const sink = writer.entry(head, mayExpire ? undefined : false)
        const kind = keyspace.kind(cell)
        const name = KIND_NAMES[kind] as Kind
        const taker =
          watcher === undefined ? sink : both.of(watcher.key(db, head.key, name, head.expireAtMs), sink)
        keyspace.emit(cell, taker)
        // The value as it was before the commands, which follow behind the keys.
        if (kind === CellKind.Module && keyspace.opaques.commands(cell) > 0) taker.end()
      }
      wrote(head.key, writer.size - before, copied)
      if (drainage.due) await drainage.flush()
    }
  }
}

/** Whether fields of a hash may expire. */
function mayHaveExpiries({ hashes }: Keyspace, { encoded, place }: Copies): boolean {
  return encoded ? fieldsMayExpire(place.type) : hashes.mayExpire
}

/** Begins to copy a value; false where it cannot stand in the result as it is. */
function begin(writer: KeyWriter, head: EntryHead, { encoded, place }: Copies): boolean {
  return encoded ? writer.copyValue(head, place.magic, place.type) : writer.longString(head, place.length)
}
