import { JobError } from '../bytes/errors.ts'

/**
 * Where a block begins, in units of 16 bytes: 32 bits, which reach 64 GiB. 0: no block. It may be negative as a number:
 * `>>>` takes it apart.
 *
 *     ref   | segment: 12 bits | page in it: 8 bits | unit in the page: 12 bits |
 */
export type Ref = number

/** The largest block, in bytes. What is longer is a tree of such blocks (texts.ts). */
export const LARGEST = 4096

const UNIT = 16
const UNITS_PER_PAGE_BITS = 12
const PAGE = UNIT << UNITS_PER_PAGE_BITS
const SEGMENT_BITS = 20
const SEGMENT = UNIT << SEGMENT_BITS
const PAGES_PER_SEGMENT = SEGMENT / PAGE
const MOST_PAGES = 2 ** (32 - UNITS_PER_PAGE_BITS)
const UNIT_MASK = (1 << SEGMENT_BITS) - 1
const PAGE_UNIT_MASK = (1 << UNITS_PER_PAGE_BITS) - 1

/**
 * Buffers of this size come from the system 16 bytes behind the start of a page; so much further on, what is aligned to
 * 64 bytes here is so for the processor, too, and a record of 64 bytes is one miss, not two. Where that does not hold,
 * only time is lost.
 */
const ALIGNMENT = 48

/** Sizes of blocks: steps of 16 bytes to 256, then four a doubling. So at most a fifth of a block is not asked for. */
const SIZES: number[] = []
for (let size = UNIT; size <= 256; size += UNIT) SIZES.push(size)
for (let size = 256; size < LARGEST; size *= 2)
  for (let quarter = 5; quarter <= 8; quarter++) SIZES.push((size * quarter) / 4)

/** By size in units, rounded up. */
const CLASS = Uint8Array.from({ length: LARGEST / UNIT + 1 }, (_, units) =>
  SIZES.findIndex(size => size >= units * UNIT),
)
const UNITS_OF_CLASS = Int32Array.from(SIZES, size => size / UNIT)
const BLOCKS_OF_CLASS = Int32Array.from(SIZES, size => Math.floor(PAGE / size))

/** A byte of blocks that {@link Memory.touch} is told of, which means nothing: to be written to. */
const TOUCHED = 2
/** Words of a line of a processor's cache. */
const LINE = 16
/** Lines of a block that are looked at, its last one not counted. */
const MOST_LINES = 8

/** Bytes behind a segment that may be looked at, and mean nothing: four at a time are read at its end, too. */
const SLACK = 64

/** A buffer of `bytes` bytes as three views. */
export class Segment {
  readonly bytes: Uint8Array
  readonly words: Int32Array
  readonly view: DataView

  constructor(bytes: number) {
    const buffer = new ArrayBuffer(ALIGNMENT + bytes + SLACK)
    this.bytes = new Uint8Array(buffer, ALIGNMENT)
    this.words = new Int32Array(buffer, ALIGNMENT)
    this.view = new DataView(buffer, ALIGNMENT)
  }
}

/**
 * Blocks of 16 to 4,096 bytes outside the JavaScript heap. Pages of 64 KiB hold blocks of one size; a page whose last
 * block was freed serves any size, so that values which grow leave nothing behind for good. What the system has not
 * been asked for yet costs nothing.
 *
 * 100 million keys with values of 100 bytes: 7 bytes a block more for its rounding, 10.7 GB of 64 GiB.
 */
export class Memory {
  /** By `ref >>> 20`; a block begins at byte `at(ref)` of its segment. */
  readonly bytes: Uint8Array[] = []
  readonly words: Int32Array[] = []
  readonly views: DataView[] = []

  /** By page. */
  #class = new Uint8Array(PAGES_PER_SEGMENT)
  #used = new Int32Array(PAGES_PER_SEGMENT)
  /** First of the freed blocks, by its unit plus one, each with the next one in its first four bytes; 0: none. */
  #freed = new Int32Array(PAGES_PER_SEGMENT)
  /** Blocks that were never used begin at this unit. */
  #fresh = new Int32Array(PAGES_PER_SEGMENT)
  /** Among the pages of its class that have room; of a page that serves no class, the next such page. */
  #next = new Int32Array(PAGES_PER_SEGMENT)
  #previous = new Int32Array(PAGES_PER_SEGMENT)
  /** By class: a page that has room; 0: none. */
  readonly #roomy = new Int32Array(SIZES.length)
  #empty = 0
  /** Page 0 is not used, so that no block is at 0. */
  #pages = 1

  constructor() {
    // So that there is something at 0, which whoever looks ahead may ask for.
    this.#newSegment()
  }

  /** Bytes of pages in use. */
  get size(): number {
    return this.#pages * PAGE
  }

  /** A block of at least `size` bytes, at most {@link LARGEST}; what is in it means nothing. */
  allocate(size: number): Ref {
    const kind = CLASS[(size + UNIT - 1) >>> 4]
    let page = this.#roomy[kind]
    if (page === 0) page = this.#newPage(kind)
    const freed = this.#freed[page]
    let unit: number
    if (freed !== 0) {
      unit = freed - 1
      const ref = (page << UNITS_PER_PAGE_BITS) | unit
      this.#freed[page] = this.words[ref >>> SEGMENT_BITS][(ref & UNIT_MASK) << 2]
    } else {
      unit = this.#fresh[page]
      this.#fresh[page] = unit + UNITS_OF_CLASS[kind]
    }
    if (++this.#used[page] === BLOCKS_OF_CLASS[kind]) this.#unlink(page, kind)
    return (page << UNITS_PER_PAGE_BITS) | unit
  }

  free(ref: Ref): void {
    const page = ref >>> UNITS_PER_PAGE_BITS
    const kind = this.#class[page]
    this.words[ref >>> SEGMENT_BITS][(ref & UNIT_MASK) << 2] = this.#freed[page]
    this.#freed[page] = (ref & PAGE_UNIT_MASK) + 1
    const used = --this.#used[page]
    if (used === BLOCKS_OF_CLASS[kind] - 1) this.#link(page, kind)
    else if (used === 0 && (this.#roomy[kind] !== page || this.#next[page] !== 0)) {
      this.#unlink(page, kind)
      this.#next[page] = this.#empty
      this.#empty = page
    }
  }

  /**
   * Writes to the beginnings of so many blocks, and looks at what is used of them, which their first two bytes say: so
   * that it is near when it is asked for. Of these blocks the third byte must mean nothing, as the result does.
   */
  touch(refs: Int32Array, count: number): number {
    const { bytes, words } = this
    for (let i = 0; i < count; i++) {
      const ref = refs[i]
      bytes[ref >>> SEGMENT_BITS][((ref & UNIT_MASK) << 4) + TOUCHED] = 0
    }
    let sum = 0
    for (let i = 0; i < count; i++) {
      const ref = refs[i]
      const segment = words[ref >>> SEGMENT_BITS]
      const start = (ref & UNIT_MASK) << 2
      const end = start + ((segment[start] & 0xffff) >>> 2)
      sum = (sum + segment[end]) | 0
      const most = Math.min(end, start + MOST_LINES * LINE)
      for (let word = start + LINE; word < most; word += LINE) sum = (sum + segment[word]) | 0
    }
    return sum
  }

  /** Bytes that the block can hold. */
  capacity(ref: Ref): number {
    return SIZES[this.#class[ref >>> UNITS_PER_PAGE_BITS]]
  }

  /** A block of at least `size` bytes with the first `keep` bytes of another, which is given up. */
  resize(ref: Ref, keep: number, size: number): Ref {
    const next = this.allocate(size)
    this.copy(ref, next, keep)
    this.free(ref)
    return next
  }

  /** Copies the first `size` bytes of a block to another. */
  copy(from: Ref, to: Ref, size: number): void {
    const source = this.words[from >>> SEGMENT_BITS]
    const target = this.words[to >>> SEGMENT_BITS]
    const start = (from & UNIT_MASK) << 2
    const end = start + ((size + 3) >>> 2)
    const shift = ((to & UNIT_MASK) << 2) - start
    for (let i = start; i < end; i++) target[i + shift] = source[i]
  }

  /** Leaves out the pages before the one with this block, as `Cells.skipTo` does cells: for tests. */
  skipTo(ref: Ref): void {
    this.#pages = ref >>> UNITS_PER_PAGE_BITS
    const segment = segmentOf(ref)
    while (this.bytes.length < segment) {
      this.bytes.push(this.bytes[0])
      this.words.push(this.words[0])
      this.views.push(this.views[0])
    }
    if (this.bytes.length === segment) this.#newSegment()
    while (this.#pages >= this.#class.length) this.#growTables()
  }

  #newPage(kind: number): number {
    let page = this.#empty
    if (page !== 0) this.#empty = this.#next[page]
    else page = this.#pages++
    if (page >= this.#class.length) this.#growTables()
    if (page / PAGES_PER_SEGMENT >= this.bytes.length) this.#newSegment()
    this.#class[page] = kind
    this.#used[page] = 0
    this.#freed[page] = 0
    this.#fresh[page] = 0
    this.#next[page] = 0
    this.#previous[page] = 0
    this.#roomy[kind] = page
    return page
  }

  #newSegment(): void {
    if (this.#pages > MOST_PAGES) {
      throw new JobError('memory.limit', 'the keyspace needs more than 64 GiB of memory')
    }
    const segment = new Segment(SEGMENT)
    this.bytes.push(segment.bytes)
    this.words.push(segment.words)
    this.views.push(segment.view)
  }

  // At most 21 MiB, and that with 64 GiB of blocks.
  #growTables(): void {
    const grown = (table: Int32Array) => {
      const next = new Int32Array(2 * table.length)
      next.set(table)
      return next
    }
    const kinds = new Uint8Array(2 * this.#class.length)
    kinds.set(this.#class)
    this.#class = kinds
    this.#used = grown(this.#used)
    this.#freed = grown(this.#freed)
    this.#fresh = grown(this.#fresh)
    this.#next = grown(this.#next)
    this.#previous = grown(this.#previous)
  }

  #link(page: number, kind: number): void {
    const next = this.#roomy[kind]
    this.#next[page] = next
    this.#previous[page] = 0
    if (next !== 0) this.#previous[next] = page
    this.#roomy[kind] = page
  }

  #unlink(page: number, kind: number): void {
    const next = this.#next[page]
    const previous = this.#previous[page]
    if (next !== 0) this.#previous[next] = previous
    if (previous !== 0) this.#next[previous] = next
    else this.#roomy[kind] = next
  }
}

/** Index of the block's first byte in its segment. */
export function at(ref: Ref): number {
  return (ref & UNIT_MASK) << 4
}

/** Index of the block's segment in {@link Memory.bytes}, `words` and `views`. */
export function segmentOf(ref: Ref): number {
  return ref >>> SEGMENT_BITS
}
