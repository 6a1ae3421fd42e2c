import { integerIn } from '../../bytes/decimal.ts'
import { corrupt, type FormatError } from '../../bytes/errors.ts'
import { type ElementSink, NO_EXPIRY } from '../../values/elements.ts'
import { Slice } from '../../values/slice.ts'
import { type ListpackOptions, ListpackReader, ListpackWriter } from './listpack.ts'
import type { Odd } from './packed.ts'
import { Texts } from './texts.ts'

/**
 * A node of a stream: some entries that follow each other, in a listpack. Ids count from the id of the node, which is
 * that of its first entry, each half for itself and modulo 2^64.
 *
 *     count  deleted  number of names  name …  0             then for each entry
 *     flags  ms  seq  value …  lp-count                      where its names are those above (flag 2)
 *     flags  ms  seq  number of fields  name value …  lp-count
 *
 * Flag 1: deleted, and still there. lp-count says of how many elements the entry consists, itself left out; servers go
 * backwards by it, as they do by the 0 above. What they load without a look (all but valkey 9.1) ends them when the key
 * is read, where a number is none or an entry is not whole.
 */

const DELETED = 1
const SAME_NAMES = 2

/** The ids of an entry besides its fields: flags, ms, seq. */
const HEAD_ELEMENTS = 3

/** An element of a listpack takes that much at least: nothing that promises more is believed. */
const SMALLEST_ELEMENT = 2

const LARGEST_HALF = (1n << 64n) - 1n

/** Whether the first id comes before the second. */
export function isBefore(ms: bigint, seq: bigint, otherMs: bigint, otherSeq: bigint): boolean {
  return ms < otherMs || (ms === otherMs && seq < otherSeq)
}

/** Reads the nodes of one stream after the other, and remembers of a stream what is asked of it at its end. */
export class NodeReader {
  /** Entries so far that are not deleted. */
  live = 0
  /** The first of them, as servers meet them: in the node whose id is the lowest. */
  firstMs = LARGEST_HALF
  firstSeq = LARGEST_HALF
  /** The highest entry, also of those that are deleted; only looked for when somebody wants to know what is odd. */
  lastMs = 0n
  lastSeq = 0n

  readonly #packed = new ListpackReader()
  readonly #names = new Texts()
  readonly #element = new Slice()
  readonly #name = new Slice()
  readonly #value = new Slice()
  #odd: Odd | undefined
  readonly #told = new Set<string>()
  /** The node of the first entry. */
  #firstNodeMs = LARGEST_HALF
  #firstNodeSeq = LARGEST_HALF
  #entries = 0

  /** Begins with a stream. */
  begin(odd: Odd | undefined): void {
    this.live = 0
    this.firstMs = LARGEST_HALF
    this.firstSeq = LARGEST_HALF
    this.lastMs = 0n
    this.lastSeq = 0n
    this.#odd = odd
    this.#told.clear()
    this.#firstNodeMs = LARGEST_HALF
    this.#firstNodeSeq = LARGEST_HALF
    this.#entries = 0
  }

  /**
   * Gives the entries of the node `ms`-`seq`.
   *
   * @param offset of the text in the part
   * @param plain whether offsets go on inside the text
   * @throws FormatError `rdb.stream.empty-node`, `rdb.stream.node`, and those of listpacks
   */
  read(ms: bigint, seq: bigint, text: Slice, offset: number, plain: boolean, sink: ElementSink): void {
    const packed = this.#packed
    const element = this.#element
    const name = this.#name
    const value = this.#value
    packed.open(text, offset, plain, this.#odd)
    const most = text.length / SMALLEST_ELEMENT

    if (!packed.next(element)) throw corrupt('rdb.stream.empty-node', offset, 'a node without elements')
    const claimed = this.#integer(element)
    this.#next(element)
    const claimedDeleted = this.#integer(element)
    const names = this.#readNames(most)

    let live = 0
    let deleted = 0
    while (packed.next(element)) {
      const at = packed.offset
      const flags = this.#number(element, 'flags')
      this.#next(element)
      const entryMs = this.#half(ms, element)
      this.#next(element)
      const entrySeq = this.#half(seq, element)
      const same = (flags & SAME_NAMES) !== 0
      const isLive = (flags & DELETED) === 0
      let fields = names
      if (!same) {
        this.#next(element)
        fields = this.#count(element, most)
      }
      if (this.#odd !== undefined) this.#checkId(entryMs, entrySeq, ms, seq, at)
      if ((flags & ~(DELETED | SAME_NAMES)) !== 0)
        this.#tell('rdb.stream.flags', at, `an entry with the flags ${flags}: known are 1 and 2`)
      if (isLive) {
        if (live++ === 0) this.#first(entryMs, entrySeq, ms, seq)
        sink.entry(entryMs, entrySeq, fields)
      } else deleted++
      for (let i = 0; i < fields; i++) {
        if (same) this.#names.get(i, name)
        else this.#next(name)
        this.#next(value)
        if (isLive) sink.field(name, value, NO_EXPIRY)
      }
      const elements = HEAD_ELEMENTS + (same ? fields : 2 * fields + 1)
      if (!packed.next(element)) {
        this.#tell('rdb.stream.lp-count', at, 'an entry without its lp-count')
        break
      }
      if (this.#integer(element) !== elements)
        this.#tell(
          'rdb.stream.lp-count',
          packed.offset,
          `an entry of ${elements} elements has another lp-count`,
        )
    }
    this.live += live
    if (claimed !== live || claimedDeleted !== deleted)
      this.#tell(
        'rdb.stream.count',
        offset,
        `a node of ${live} entries, and ${deleted} deleted ones, says something else`,
      )
  }

  /** The names that entries share; how many. */
  #readNames(most: number): number {
    const packed = this.#packed
    const element = this.#element
    const names = this.#names
    this.#next(element)
    const count = this.#count(element, most)
    names.clear()
    for (let i = 0; i < count; i++) {
      this.#next(element)
      names.add(element)
    }
    this.#next(element)
    if (this.#integer(element) !== 0)
      this.#tell('rdb.stream.lp-count', packed.offset, 'the names of a node do not end with 0')
    return count
  }

  #next(slice: Slice): void {
    if (!this.#packed.next(slice))
      throw corrupt('rdb.stream.node', this.#packed.offset, 'a node ends inside an entry')
  }

  #integer({ bytes, at, end }: Slice): number | bigint | undefined {
    return integerIn(bytes, at, end)
  }

  /** A small number: what is larger means nothing. */
  #number(slice: Slice, what: string): number {
    const value = this.#integer(slice)
    if (typeof value !== 'number') throw this.#noNumber(what)
    return value
  }

  #count(slice: Slice, most: number): number {
    const value = this.#number(slice, 'number of fields')
    if (value < 0 || value > most)
      throw corrupt(
        'rdb.stream.node',
        this.#packed.offset,
        `${value} fields in a node that is too small for them`,
      )
    return value
  }

  #half(base: bigint, slice: Slice): bigint {
    const difference = this.#integer(slice)
    if (difference === undefined) throw this.#noNumber('part of an id')
    return difference === 0 ? base : BigInt.asUintN(64, base + BigInt(difference))
  }

  #noNumber(what: string): FormatError {
    return corrupt(
      'rdb.stream.node',
      this.#packed.offset,
      `no number where the ${what} of an entry should be`,
    )
  }

  /** Whether ids rise, deleted ones included. */
  #checkId(ms: bigint, seq: bigint, nodeMs: bigint, nodeSeq: bigint, offset: number): void {
    const rises = this.#entries++ === 0 || isBefore(this.lastMs, this.lastSeq, ms, seq)
    if (!rises)
      this.#tell(
        'rdb.stream.order',
        offset,
        `the entry ${ms}-${seq} stands behind ${this.lastMs}-${this.lastSeq}`,
      )
    else {
      this.lastMs = ms
      this.lastSeq = seq
      if (isBefore(ms, seq, nodeMs, nodeSeq))
        this.#tell(
          'rdb.stream.order',
          offset,
          `the entry ${ms}-${seq} stands in the node ${nodeMs}-${nodeSeq}`,
        )
    }
  }

  #first(ms: bigint, seq: bigint, nodeMs: bigint, nodeSeq: bigint): void {
    if (this.live > 0 && !isBefore(nodeMs, nodeSeq, this.#firstNodeMs, this.#firstNodeSeq)) return
    this.firstMs = ms
    this.firstSeq = seq
    this.#firstNodeMs = nodeMs
    this.#firstNodeSeq = nodeSeq
  }

  /** Once a stream: what is wrong with one entry is wrong with many. */
  #tell(code: string, offset: number, message: string): void {
    if (this.#odd === undefined || this.#told.has(code)) return
    this.#told.add(code)
    this.#odd(code, offset, message)
  }
}

/** Servers begin a new node where one has so many bytes with the next entry (`stream-node-max-bytes`), or entries. */
const MOST_BYTES = 4096
const MOST_ENTRIES = 100

/** Where the count of a finished node stands, behind the head of the listpack: one byte, since it is at most 127. */
const COUNT_AT = 6

/** Packs entries into nodes, as servers do that add one after the other. */
export class NodeWriter {
  readonly #packed: ListpackWriter
  readonly #done: (ms: bigint, seq: bigint, node: Slice) => void
  readonly #names = new Texts()
  /** Names and values of the entry that is not whole, in turns. */
  readonly #fields = new Texts()
  #missing = 0
  #ms = 0n
  #seq = 0n
  #nodeMs = 0n
  #nodeSeq = 0n
  #entries = 0
  readonly #element = new Slice()
  readonly #other = new Slice()

  /** @param done given each whole node; the slice is void afterwards */
  constructor(done: (ms: bigint, seq: bigint, node: Slice) => void, options: ListpackOptions = {}) {
    this.#done = done
    this.#packed = new ListpackWriter(options)
  }

  begin(): void {
    this.#entries = 0
    this.#missing = 0
  }

  /** As many calls of `field` follow. */
  entry(ms: bigint, seq: bigint, fields: number): void {
    this.#ms = ms
    this.#seq = seq
    this.#fields.clear()
    this.#missing = fields
    if (fields === 0) this.#add(0)
  }

  field(name: Slice, value: Slice): void {
    this.#fields.add(name)
    this.#fields.add(value)
    if (--this.#missing === 0) this.#add(this.#fields.count >> 1)
  }

  end(): void {
    if (this.#entries === 0) return
    const node = this.#packed.finish()
    node.bytes[node.at + COUNT_AT] = this.#entries
    this.#entries = 0
    this.#done(this.#nodeMs, this.#nodeSeq, node)
  }

  #add(count: number): void {
    const packed = this.#packed
    const fields = this.#fields
    const element = this.#element
    if (this.#entries === MOST_ENTRIES || packed.size + fields.size >= MOST_BYTES) this.end()
    if (this.#entries === 0) this.#beginNode(count)
    const same = this.#isSame(count)
    packed.appendInteger(same ? SAME_NAMES : 0)
    packed.appendInteger(difference(this.#ms, this.#nodeMs))
    packed.appendInteger(difference(this.#seq, this.#nodeSeq))
    if (!same) packed.appendInteger(count)
    for (let i = 0; i < 2 * count; i++) if (!same || i % 2 === 1) packed.append(fields.get(i, element))
    packed.appendInteger(HEAD_ELEMENTS + (same ? count : 2 * count + 1))
    this.#entries++
  }

  #beginNode(count: number): void {
    const packed = this.#packed
    this.#nodeMs = this.#ms
    this.#nodeSeq = this.#seq
    packed.reset()
    // How many there will be is not known yet.
    packed.appendInteger(0)
    packed.appendInteger(0)
    packed.appendInteger(count)
    this.#names.clear()
    for (let i = 0; i < count; i++) {
      const name = this.#fields.get(2 * i, this.#element)
      this.#names.add(name)
      packed.append(name)
    }
    packed.appendInteger(0)
  }

  #isSame(count: number): boolean {
    const names = this.#names
    if (count !== names.count) return false
    for (let i = 0; i < count; i++)
      if (!this.#fields.get(2 * i, this.#element).equals(names.get(i, this.#other))) return false
    return true
  }
}

function difference(half: bigint, base: bigint): number | bigint {
  if (half === base) return 0
  const exact = BigInt.asIntN(64, half - base)
  const number = Number(exact)
  return Number.isSafeInteger(number) ? number : exact
}
