import { JobError } from '../bytes/errors.ts'
import { Segment } from './memory.ts'

/**
 * A key, by number: valid until the key is removed. 0: no key. 32 bits; as a number it may be negative.
 */
export type Cell = number

/** What a key holds; 0 is a cell that is free. */
export const CellKind = {
  Free: 0,
  String: 1,
  List: 2,
  Set: 3,
  Zset: 4,
  Hash: 5,
  Stream: 6,
  Module: 7,
  Array: 8,
} as const
export type CellKind = (typeof CellKind)[keyof typeof CellKind]

/**
 * Words of a cell: 64 bytes, one line of a processor's cache.
 *
 *     0      hash of key and space
 *     1      space: which contents of a database (keyspace.ts); of a free cell, the next free one
 *     2      kind | ENCODED | form << 8 | bytes of a short key << 16 (LONG_KEY: longer) | detail << 24
 *     3, 4   expiry: milliseconds since 1970, low and high half; -1, -1: none
 *     5-8    the value, as its kind and form have it; of an encoded one, where it stands (encoded.ts)
 *     9-15   the key, up to 28 bytes; of a longer one its length (9) and its text (10)
 *
 * 100 million keys: 6.4 GB of cells, 1.1 to 2.2 GB of table (key-table.ts); 382 segments.
 */
export const Word = { Hash: 0, Space: 1, Meta: 2, ExpiryLow: 3, ExpiryHigh: 4, Value: 5, Key: 9 } as const

/** Of {@link Word.Meta}: the kind, and whether the value is still as it stands in the log. */
export const KIND_MASK = 0x7f
export const ENCODED = 0x80
/** Both. */
export const KIND_BYTE = KIND_MASK | ENCODED

export const SHORT_KEY = 28
export const LONG_KEY = 0xff

const WORDS_BITS = 4
const SEGMENT_BITS = 18
const INDEX_MASK = (1 << SEGMENT_BITS) - 1
const MOST = 2 ** 32

export class Cells {
  /** By {@link segmentOfCell}; a cell's words begin at {@link wordOf}. */
  readonly words: Int32Array[] = []
  readonly bytes: Uint8Array[] = []
  #count = 1
  #free: Cell = 0

  constructor() {
    // So that there is something at 0, which whoever looks ahead may ask for.
    this.#newSegment()
  }

  /** Cells up to this number have been used. */
  get end(): number {
    return this.#count
  }

  /** A cell whose words mean nothing. */
  allocate(): Cell {
    const cell = this.#free
    if (cell !== 0) {
      this.#free = this.words[cell >>> SEGMENT_BITS][((cell & INDEX_MASK) << WORDS_BITS) + Word.Space]
      return cell
    }
    if (this.#count === MOST) throw new JobError('memory.limit', 'more than 4,294,967,295 keys')
    if (this.#count >>> SEGMENT_BITS >= this.words.length) this.#newSegment()
    return this.#count++ | 0
  }

  /**
   * Writes to so many cells, so that they are near when they are asked for, what is there already: their hashes.
   * @param cells 0 where there is none
   */
  touch(cells: Int32Array, hashes: Int32Array, count: number): void {
    const { words } = this
    for (let i = 0; i < count; i++) {
      const cell = cells[i]
      words[cell >>> SEGMENT_BITS][((cell & INDEX_MASK) << WORDS_BITS) + Word.Hash] = hashes[i]
    }
  }

  #newSegment(): void {
    const segment = new Segment(1 << (SEGMENT_BITS + WORDS_BITS + 2))
    this.words.push(segment.words)
    this.bytes.push(segment.bytes)
  }

  /**
   * Leaves out the numbers up to this one, which take no memory: for tests of numbers that only a machine with hundreds of
   * GiB of memory comes to.
   */
  skipTo(number: number): void {
    const segment = number >>> SEGMENT_BITS
    while (this.words.length < segment) {
      this.words.push(this.words[0])
      this.bytes.push(this.bytes[0])
    }
    if (this.words.length === segment) this.#newSegment()
    this.#count = number
  }

  release(cell: Cell): void {
    const words = this.words[cell >>> SEGMENT_BITS]
    const at = (cell & INDEX_MASK) << WORDS_BITS
    words[at + Word.Meta] = CellKind.Free
    words[at + Word.Space] = this.#free
    this.#free = cell
  }
}

export function segmentOfCell(cell: Cell): number {
  return cell >>> SEGMENT_BITS
}

/** Index of the cell's first word in its segment. */
export function wordOf(cell: Cell): number {
  return (cell & INDEX_MASK) << WORDS_BITS
}
