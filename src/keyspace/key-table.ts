import { type Cell, Cells, segmentOfCell, Word, wordOf } from './cells.ts'
import { Segment } from './memory.ts'

/*
 * From hashes to cells. Buckets of 64 bytes, one line of a processor's cache:
 *
 *     0-11   by slot: the upper eight bits of the hash, at least 1; 0: the slot is free
 *     12-15  a further bucket for what does not fit; 0: none
 *     16-63  by slot: the cell
 *
 * The table grows bucket by bucket: when there are more than nine keys a bucket, every key that comes splits two
 * buckets until all are split (linear hashing). So it never stands still to be copied, and takes 7 to 14 bytes a key.
 */

const SLOTS = 12
const OVERFLOW = 3
const FIRST_CELL = 4
const MOST_PER_BUCKET = 9
const SPLITS_PER_KEY = 2
const SMALLEST_BITS = 10
/** From the start: 16 MiB, for 2.4 million keys. */
const LARGEST_BITS = 18

const BUCKET_BITS = 4
const SEGMENT_BITS = 16
const INDEX_MASK = (1 << SEGMENT_BITS) - 1

const ONES = 0x01010101
const HIGHS = 0x80808080 | 0

export class KeyTable {
  readonly #cells: Cells
  /** Buckets for what does not fit. */
  readonly #overflow = new Cells()
  readonly #segments: Int32Array[] = []
  #count = 0
  /** 2^bits buckets are there, and those that split ones have given. */
  #bits: number
  /** Buckets that are split; 0 as well when none is to be. */
  #split = 0
  #splitting = false
  /** Where the last {@link candidate} was found to begin: the search goes on from it. */
  #words: Int32Array
  #at = 0
  #slot = 0

  /** @param expected keys for which buckets are there from the start */
  constructor(cells: Cells, expected: number) {
    this.#cells = cells
    this.#bits = SMALLEST_BITS
    this.#segments.push(newSegment())
    this.#words = this.#segments[0]
    this.expect(expected)
  }

  /** Makes buckets for so many keys, while there are none; up to 2.4 million, since it may be a mere claim. */
  expect(keys: number): void {
    if (this.#count > 0 || this.#split > 0) return
    while (this.#bits < LARGEST_BITS && MOST_PER_BUCKET * 2 ** this.#bits < keys) this.#bits++
    while (this.#segments.length < 2 ** (this.#bits - SEGMENT_BITS)) this.#segments.push(newSegment())
  }

  get count(): number {
    return this.#count
  }

  /** Looks at the buckets of so many hashes, so that they are near when they are asked for; the result means nothing. */
  touch(hashes: Int32Array, count: number): number {
    const mask = (1 << this.#bits) - 1
    const split = this.#split
    const segments = this.#segments
    let sum = 0
    for (let i = 0; i < count; i++) {
      const low = hashes[i] & mask
      const bucket = low < split ? hashes[i] & ((mask << 1) | 1) : low
      sum = (sum + segments[bucket >>> SEGMENT_BITS][(bucket & INDEX_MASK) << BUCKET_BITS]) | 0
    }
    return sum
  }

  /** The first cell that may have this hash; 0: none. */
  first(hash: number): Cell {
    const bucket = this.#bucketOf(hash)
    this.#words = this.#segments[bucket >>> SEGMENT_BITS]
    this.#at = (bucket & INDEX_MASK) << BUCKET_BITS
    this.#slot = 0
    return this.next(hash)
  }

  /** The next one, after the last {@link first} or `next`. */
  next(hash: number): Cell {
    const tag = hash >>> 24 || 1
    let slot = this.#slot
    for (;;) {
      const words = this.#words
      const at = this.#at
      while (slot < SLOTS) {
        // Four tags at a time: a byte of the difference is 0 where one is equal.
        const difference = words[at + (slot >>> 2)] ^ Math.imul(tag, ONES)
        let equal = (difference - ONES) & ~difference & HIGHS & (-1 << ((slot & 3) << 3))
        while (equal !== 0) {
          const found = (slot & ~3) + ((31 - Math.clz32(equal & -equal)) >>> 3)
          // A borrow can mark a byte above one that is equal.
          if (((difference >>> ((found & 3) << 3)) & 0xff) === 0) {
            this.#slot = found + 1
            return words[at + FIRST_CELL + found]
          }
          equal &= equal - 1
        }
        slot = (slot & ~3) + 4
      }
      const more = words[at + OVERFLOW]
      if (more === 0) return 0
      this.#words = this.#overflow.words[segmentOfCell(more)]
      this.#at = wordOf(more)
      slot = 0
    }
  }

  add(hash: number, cell: Cell): void {
    this.#insert(this.#bucketOf(hash), hash, cell)
    this.#count++
    if (this.#splitting || this.#count > MOST_PER_BUCKET * 2 ** this.#bits) this.#grow()
  }

  remove(hash: number, cell: Cell): void {
    for (let found = this.first(hash); found !== 0; found = this.next(hash)) {
      if (found !== cell) continue
      const slot = this.#slot - 1
      this.#words[this.#at + (slot >>> 2)] &= ~(0xff << ((slot & 3) << 3))
      this.#count--
      return
    }
  }

  #bucketOf(hash: number): number {
    const low = hash & ((1 << this.#bits) - 1)
    return low < this.#split ? hash & ((1 << (this.#bits + 1)) - 1) : low
  }

  #insert(bucket: number, hash: number, cell: Cell): void {
    const tag = hash >>> 24 || 1
    let words = this.#segments[bucket >>> SEGMENT_BITS]
    let at = (bucket & INDEX_MASK) << BUCKET_BITS
    for (;;) {
      for (let group = 0; group < 3; group++) {
        const tags = words[at + group]
        const free = (tags - ONES) & ~tags & HIGHS
        if (free === 0) continue
        // The lowest mark is right.
        const shift = 24 - (Math.clz32(free & -free) & ~7)
        words[at + group] = tags | (tag << shift)
        words[at + FIRST_CELL + (group << 2) + (shift >>> 3)] = cell
        return
      }
      let more = words[at + OVERFLOW]
      if (more === 0) {
        more = this.#overflow.allocate()
        words[at + OVERFLOW] = more
        this.#overflow.words[segmentOfCell(more)].fill(0, wordOf(more), wordOf(more) + 16)
      }
      words = this.#overflow.words[segmentOfCell(more)]
      at = wordOf(more)
    }
  }

  #grow(): void {
    this.#splitting = true
    for (let i = 0; i < SPLITS_PER_KEY; i++) {
      this.#splitNext()
      if (this.#split < 2 ** this.#bits) continue
      this.#bits++
      this.#split = 0
      this.#splitting = false
      return
    }
  }

  #splitNext(): void {
    const from = this.#split
    const to = from + 2 ** this.#bits
    while (to >>> SEGMENT_BITS >= this.#segments.length) this.#segments.push(newSegment())
    this.#split++
    let words = this.#segments[from >>> SEGMENT_BITS]
    let at = (from & INDEX_MASK) << BUCKET_BITS
    const cells = MOVED
    let count = 0
    for (let given: Cell = 0; ; ) {
      for (let slot = 0; slot < SLOTS; slot++) {
        if (((words[at + (slot >>> 2)] >>> ((slot & 3) << 3)) & 0xff) === 0) continue
        if (count < cells.length) cells[count] = words[at + FIRST_CELL + slot]
        else cells.push(words[at + FIRST_CELL + slot])
        count++
      }
      const more = words[at + OVERFLOW]
      words[at] = 0
      words[at + 1] = 0
      words[at + 2] = 0
      words[at + OVERFLOW] = 0
      if (given !== 0) this.#overflow.release(given)
      if (more === 0) break
      given = more
      words = this.#overflow.words[segmentOfCell(more)]
      at = wordOf(more)
    }
    const bit = 2 ** this.#bits
    const hashes = HASHES
    while (hashes.length < count) hashes.push(0)
    // Loads alone first: the processor then waits for all of them at once.
    for (let i = 0; i < count; i++) {
      const cell = cells[i]
      hashes[i] = this.#cells.words[segmentOfCell(cell)][wordOf(cell) + Word.Hash]
    }
    for (let i = 0; i < count; i++) this.#insert((hashes[i] & bit) === 0 ? from : to, hashes[i], cells[i])
  }
}

/** Cells of the bucket that is being split. */
const MOVED: Cell[] = new Array(64).fill(0)
const HASHES: number[] = new Array(64).fill(0)

function newSegment(): Int32Array {
  return new Segment(4 << (SEGMENT_BITS + BUCKET_BITS)).words
}
