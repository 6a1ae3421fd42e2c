import { type Cell, CellKind } from '../keyspace/cells.ts'
import { type Keyspace, KIND_NAMES } from '../keyspace/keyspace.ts'
import type { EncodedValue } from '../keyspace/types/opaques.ts'
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

/**
 * Writes keys in their order. What is not copied as it stands in the log goes through the watcher, too.
 *
 * @param wrote is told the cell and the bytes that its key takes now
 */
export async function writeKeys(
  keyspace: Keyspace,
  order: KeyOrder,
  writer: KeyWriter,
  drainage: Drainage,
  watcher: ElementWatcher | undefined,
  wrote: (cell: Cell, bytes: number) => void,
): Promise<void> {
  const head = new KeyHead()
  const both = new BothSinks()
  const piece = new Uint8Array(PIECE)
  const { extents } = keyspace.store
  for (const { db, expires, from, to } of order.databases) {
    writer.select(db, to - from, expires)
    for (let i = from; i < to; i++) {
      const cell = order.cell(i)
      keyspace.key(cell, head.key)
      head.expireAtMs = keyspace.expiry(cell)
      const before = writer.size
      const copied = copiedFrom(keyspace, cell)
      if (copied !== undefined && beginCopy(writer, head, copied)) {
        const { part, offset, length } = copied
        for (let done = 0; done < length; done += PIECE) {
          const size = Math.min(PIECE, length - done)
          extents.fill(part, offset + done, piece.subarray(0, size))
          writer.more(piece, 0, size)
          if (drainage.due) await drainage.flush()
        }
        if (copied.encoded === undefined) writer.endLong(head)
      } else {
        const mayExpire = keyspace.kind(cell) === CellKind.Hash ? keyspace.hashes.mayExpire : false
        const sink = writer.entry(head, mayExpire ? undefined : false)
        if (watcher === undefined) keyspace.emit(cell, sink)
        else {
          const kind = KIND_NAMES[keyspace.kind(cell)] as Kind
          keyspace.emit(cell, both.of(watcher.key(db, head.key, kind, head.expireAtMs), sink))
        }
        if (drainage.due) await drainage.flush()
      }
      wrote(cell, writer.size - before)
    }
  }
}

/** What of a key's value can be copied from the log; undefined when its elements are to be written. */
export interface Copied {
  readonly part: number
  readonly offset: number
  readonly length: number
  /** Undefined: it is the text of a string. */
  readonly encoded: EncodedValue | undefined
}

function copiedFrom(keyspace: Keyspace, cell: Cell): Copied | undefined {
  const kind = keyspace.kind(cell)
  if (kind === CellKind.String) {
    const extent = keyspace.strings.extent(cell)
    if (extent === undefined) return undefined
    const length = keyspace.strings.length(cell)
    return length > LONGEST_HELD ? { ...extent, length, encoded: undefined } : undefined
  }
  return undefined
}

function beginCopy(writer: KeyWriter, head: EntryHead, { encoded, length }: Copied): boolean {
  if (encoded !== undefined) return writer.copyValue(head, encoded.magic, encoded.type)
  writer.longString(head, length)
  return true
}
