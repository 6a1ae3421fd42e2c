import { type Cell, Cells, segmentOfCell, wordOf } from './cells.ts'
import { Segment } from './memory.ts'

/*
 * From hashes to cells. Buckets of 16 words, one line of a processor's cache:
 *
 *     0-6    by slot: the hash
 *     7      a further bucket for what does not fit; 0: none
 *     8-14   by slot: the cell; 0: the slot is free
 *     15     means nothing: to be written to (`touch`)
 *
 * The table grows bucket by bucket: when there are more than six keys a bucket, every key that comes splits two
 * buckets until all are split (linear hashing). So it never stands still to be copied, and takes 11 to 22 bytes a key.
 */

const SLOTS = 7
const OVERFLOW = 7
const FIRST_CELL = 8
const TOUCHED = 15
const MOST_PER_BUCKET = 6
const SPLITS_PER_KEY = 2
const SMALLEST_BITS = 10
/** From the start: 8 MiB, for 786 thousand keys. */
const LARGEST_BITS = 17

const BUCKET_BITS = 4
const SEGMENT_BITS = 16
const INDEX_MASK = (1 << SEGMENT_BITS) - 1

export class KeyTable {
  /** Buckets for what does not fit. */
  readonly #overflow = new Cells()
  readonly #segments: Int32Array[] = []
  #count = 0
  /** 2^bits buckets are there, and those that split ones have given. */
  #bits: number
  /** Buckets that are split; 0 as well when none is to be. */
  #split = 0
  #splitting = false
  /** Where the last cell was found: the search goes on behind it. */
  #words: Int32Array
  #at = 0
  #slot = 0

  /** @param expected keys for which buckets are there from the start */
  constructor(expected: number) {
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

  /**
   * Writes to the buckets of so many hashes, so that they are near when they are asked for. A processor waits for what
   * it reads, a few lines at a time; what it writes it goes on from at once.
   */
  touch(hashes: Int32Array, count: number): void {
    const mask = (1 << this.#bits) - 1
    const split = this.#split
    const segments = this.#segments
    for (let i = 0; i < count; i++) {
      const low = hashes[i] & mask
      const bucket = low < split ? hashes[i] & ((mask << 1) | 1) : low
      segments[bucket >>> SEGMENT_BITS][((bucket & INDEX_MASK) << BUCKET_BITS) + TOUCHED] = 0
    }
  }

  /** The first cell of each hash that is not in a further bucket; 0: none. */
  firsts(hashes: Int32Array, count: number, cells: Int32Array): void {
    const mask = (1 << this.#bits) - 1
    const split = this.#split
    const segments = this.#segments
    for (let i = 0; i < count; i++) {
      const hash = hashes[i]
      const low = hash & mask
      const bucket = low < split ? hash & ((mask << 1) | 1) : low
      const words = segments[bucket >>> SEGMENT_BITS]
      const at = (bucket & INDEX_MASK) << BUCKET_BITS
      let slot = 0
      while (slot < SLOTS && words[at + slot] !== hash) slot++
      cells[i] = slot < SLOTS ? words[at + FIRST_CELL + slot] : 0
    }
  }

  /** The first cell of this hash; 0: none. */
  first(hash: number): Cell {
    const bucket = this.#bucketOf(hash)
    this.#words = this.#segments[bucket >>> SEGMENT_BITS]
    this.#at = (bucket & INDEX_MASK) << BUCKET_BITS
    this.#slot = 0
    return this.next(hash)
  }

  /** The next one, after the last {@link first} or `next`. */
  next(hash: number): Cell {
    let words = this.#words
    let at = this.#at
    for (let slot = this.#slot; ; slot = 0) {
      for (; slot < SLOTS; slot++) {
        if (words[at + slot] !== hash) continue
        const cell = words[at + FIRST_CELL + slot]
        if (cell === 0) continue
        this.#slot = slot + 1
        return cell
      }
      const more = words[at + OVERFLOW]
      if (more === 0) {
        this.#slot = SLOTS
        return 0
      }
      words = this.#overflow.words[segmentOfCell(more)]
      at = wordOf(more)
      this.#words = words
      this.#at = at
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
      this.#words[this.#at + FIRST_CELL + this.#slot - 1] = 0
      this.#count--
      return
    }
  }

  #bucketOf(hash: number): number {
    const low = hash & ((1 << this.#bits) - 1)
    return low < this.#split ? hash & ((1 << (this.#bits + 1)) - 1) : low
  }

  #insert(bucket: number, hash: number, cell: Cell): void {
    const words = this.#segments[bucket >>> SEGMENT_BITS]
    const at = (bucket & INDEX_MASK) << BUCKET_BITS
    if (put(words, at, hash, cell)) return
    const first = words[at + OVERFLOW]
    if (first !== 0 && put(this.#overflow.words[segmentOfCell(first)], wordOf(first), hash, cell)) return
    const more = this.#overflow.allocate()
    const further = this.#overflow.words[segmentOfCell(more)]
    const start = wordOf(more)
    further.fill(0, start, start + 16)
    further[start + OVERFLOW] = first
    words[at + OVERFLOW] = more
    put(further, start, hash, cell)
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

  /** Those of the next bucket that belong to its new sibling go there; further buckets are emptied and filled again. */
  #splitNext(): void {
    const from = this.#split
    const bit = 1 << this.#bits
    const to = from + 2 ** this.#bits
    while (to >>> SEGMENT_BITS >= this.#segments.length) this.#segments.push(newSegment())
    this.#split++
    const words = this.#segments[from >>> SEGMENT_BITS]
    const at = (from & INDEX_MASK) << BUCKET_BITS
    for (let slot = 0; slot < SLOTS; slot++) {
      const cell = words[at + FIRST_CELL + slot]
      const hash = words[at + slot]
      if (cell === 0 || (hash & bit) === 0) continue
      words[at + FIRST_CELL + slot] = 0
      this.#insert(to, hash, cell)
    }
    let more = words[at + OVERFLOW]
    words[at + OVERFLOW] = 0
    while (more !== 0) {
      const further = this.#overflow.words[segmentOfCell(more)]
      const start = wordOf(more)
      for (let slot = 0; slot < SLOTS; slot++) {
        const cell = further[start + FIRST_CELL + slot]
        const hash = further[start + slot]
        if (cell !== 0) this.#insert((hash & bit) === 0 ? from : to, hash, cell)
      }
      const next = further[start + OVERFLOW]
      this.#overflow.release(more)
      more = next
    }
  }
}

/** Puts a cell into a free slot of a bucket; false when there is none. */
function put(words: Int32Array, at: number, hash: number, cell: Cell): boolean {
  for (let slot = 0; slot < SLOTS; slot++) {
    if (words[at + FIRST_CELL + slot] !== 0) continue
    words[at + slot] = hash
    words[at + FIRST_CELL + slot] = cell
    return true
  }
  return false
}

function newSegment(): Int32Array {
  return new Segment(4 << (SEGMENT_BITS + BUCKET_BITS)).words
}
