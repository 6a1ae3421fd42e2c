import type { Slice } from '../values/slice.ts'
import type { Argument } from './argument.ts'
import { at, type Memory, type Ref, segmentOf } from './memory.ts'
import type { Storage } from './storage.ts'
import { copyBytes } from './texts.ts'
import { packedSize, sizeOf, Values } from './values.ts'

/*
 * Items in an order, found by position: a tree of packed leaves, in which every node knows how many items are below each
 * of its children. The words of one, which whoever keeps it has:
 *
 *     0  the leaf, or the topmost node; 0: no items
 *     1  items
 *     2  levels of nodes above the leaves
 *
 *     leaf  end (2) TOUCHED (1) 0 (1) start (2) items (2)  free  [start: item … :end]  free
 *     item  value (values.ts)  bytes of it (1)
 *     node  children (4)  for each: ref (4)  items below it (4)
 */

export const SEQUENCE_WORDS = 3
const ROOT = 0
const COUNT = 1
const HEIGHT = 2

const LEAF_HEADER = 8
/** Bytes of a leaf, at most: what it costs to change one, and what is moved when it is split. */
const LEAF = 2048
const NODE = 1024
const MOST_CHILDREN = (NODE - 8) / 8
const HIGHEST = 8

export interface Probe {
  /** Less than 0: the item at `bytes[at]` stands before what is looked for. */
  compare(bytes: Uint8Array, at: number): number
}

export class Sequence {
  readonly #store: Storage
  readonly #memory: Memory
  readonly #values: Values
  /** The way to {@link #leaf} from the top: nodes, and which child of each. */
  readonly #nodes = new Int32Array(HIGHEST)
  readonly #children = new Int32Array(HIGHEST)
  #leaf: Ref = 0
  /** Index in its segment of the item that was found. */
  #item = 0

  constructor(store: Storage) {
    this.#store = store
    this.#memory = store.memory
    this.#values = new Values(store)
  }

  begin(words: Int32Array, owner: number): void {
    words[owner + ROOT] = 0
    words[owner + COUNT] = 0
    words[owner + HEIGHT] = 0
  }

  count(words: Int32Array, owner: number): number {
    return words[owner + COUNT] >>> 0
  }

  release(words: Int32Array, owner: number): void {
    if (words[owner + ROOT] !== 0) this.#free(words[owner + ROOT], words[owner + HEIGHT])
    this.begin(words, owner)
  }

  /** Makes the slice the item at a position that is there. */
  read(words: Int32Array, owner: number, position: number, slice: Slice): void {
    this.#locate(words, owner, position)
    this.#values.read(this.#memory.bytes[segmentOf(this.#leaf)], this.#item, slice)
  }

  /** The same, with the place in the log where the item stands, if it does. */
  readArgument(words: Int32Array, owner: number, position: number, argument: Argument): void {
    this.#locate(words, owner, position)
    this.#values.readArgument(this.#memory.bytes[segmentOf(this.#leaf)], this.#item, argument)
  }

  pushBack(words: Int32Array, owner: number, value: Argument): void {
    const size = sizeOf(value) + 1
    if (words[owner + ROOT] === 0) {
      this.#first(words, owner, value, size)
      return
    }
    this.#locateLast(words, owner)
    let leaf = this.#leaf
    const used = this.#end(leaf) - this.#start(leaf)
    if (this.#end(leaf) + size > this.#memory.capacity(leaf)) {
      if (LEAF_HEADER + used + size > LEAF) {
        while (this.#splitNode(words, owner)) this.#locateLast(words, owner)
        leaf = this.#newLeaf(size)
        this.#putItem(leaf, LEAF_HEADER, value, size)
        this.#setBounds(leaf, LEAF_HEADER, LEAF_HEADER + size, 1)
        this.#addLeaf(words, owner, leaf, 1, 0, 1)
        return
      }
      leaf = this.#reshape(words, owner, used + size)
    }
    const end = this.#end(leaf)
    this.#putItem(leaf, end, value, size)
    this.#setBounds(leaf, this.#start(leaf), end + size, this.#items(leaf) + 1)
    this.#countUp(words, owner, 1)
  }

  pushFront(words: Int32Array, owner: number, value: Argument): void {
    const size = sizeOf(value) + 1
    if (words[owner + ROOT] === 0) {
      this.#first(words, owner, value, size)
      return
    }
    this.#locate(words, owner, 0)
    let leaf = this.#leaf
    const used = this.#end(leaf) - this.#start(leaf)
    if (this.#start(leaf) - size < LEAF_HEADER) {
      if (LEAF_HEADER + used + size > LEAF) {
        while (this.#splitNode(words, owner)) this.#locate(words, owner, 0)
        // Whole, and filled from its end: more will come before it.
        leaf = this.#newLeaf(LEAF - LEAF_HEADER)
        this.#putItem(leaf, LEAF - size, value, size)
        this.#setBounds(leaf, LEAF - size, LEAF, 1)
        this.#addLeaf(words, owner, leaf, 1, 0, 0)
        return
      }
      leaf = this.#reshapeToEnd(words, owner, used + size)
    }
    const before = this.#start(leaf) - size
    this.#putItem(leaf, before, value, size)
    this.#setBounds(leaf, before, this.#end(leaf), this.#items(leaf) + 1)
    this.#countUp(words, owner, 1)
  }

  /** Puts an item before the one at `position`, or behind the last. */
  insert(words: Int32Array, owner: number, position: number, value: Argument): void {
    const count = this.count(words, owner)
    if (position === count || position === 0) {
      if (position === count) this.pushBack(words, owner, value)
      else this.pushFront(words, owner, value)
      return
    }
    this.#locate(words, owner, position)
    const size = sizeOf(value) + 1
    this.#gap(words, owner, position, size)
    const leaf = this.#leaf
    this.#putItem(leaf, this.#item - at(leaf), value, size)
    this.#setBounds(leaf, this.#start(leaf), this.#end(leaf), this.#items(leaf) + 1)
    this.#countUp(words, owner, 1)
  }

  /** Gives the position another item. */
  replace(words: Int32Array, owner: number, position: number, value: Argument): void {
    this.#locate(words, owner, position)
    const bytes = this.#memory.bytes[segmentOf(this.#leaf)]
    const before = packedSize(bytes, this.#item) + 1
    const size = sizeOf(value) + 1
    this.#values.free(bytes, this.#item)
    // So that the item is one that can be moved whatever becomes of it.
    if (size > before) this.#gap(words, owner, position, size - before, before)
    else if (size < before) this.#closeGap(this.#leaf, this.#item - at(this.#leaf), before - size)
    this.#putItem(this.#leaf, this.#item - at(this.#leaf), value, size)
  }

  remove(words: Int32Array, owner: number, position: number): void {
    this.#locate(words, owner, position)
    this.#removeFound(words, owner)
  }

  /** Removes so many items, which are there, from the front. */
  dropFront(words: Int32Array, owner: number, count: number): void {
    for (let left = count; left > 0; ) {
      this.#locate(words, owner, 0)
      left -= this.#dropInLeaf(words, owner, left, true)
    }
  }

  dropBack(words: Int32Array, owner: number, count: number): void {
    for (let left = count; left > 0; ) {
      this.#locateLast(words, owner)
      left -= this.#dropInLeaf(words, owner, left, false)
    }
  }

  /** How many items stand before what is looked for; the items must be in its order. */
  search(words: Int32Array, owner: number, probe: Probe): number {
    let ref = words[owner + ROOT]
    if (ref === 0) return 0
    let before = 0
    for (let height = words[owner + HEIGHT]; height > 0; height--) {
      const segment = this.#memory.words[segmentOf(ref)]
      const start = at(ref) >>> 2
      // The last child whose first item stands before it.
      let low = 0
      let high = segment[start] - 1
      while (low < high) {
        const middle = (low + high + 1) >>> 1
        const leaf = this.#firstLeaf(segment[start + 1 + 2 * middle], height - 1)
        const first = at(leaf) + this.#start(leaf)
        if (probe.compare(this.#memory.bytes[segmentOf(leaf)], first) < 0) low = middle
        else high = middle - 1
      }
      for (let i = 0; i < low; i++) before += segment[start + 2 + 2 * i] >>> 0
      ref = segment[start + 1 + 2 * low]
    }
    const bytes = this.#memory.bytes[segmentOf(ref)]
    const end = at(ref) + this.#end(ref)
    let p = at(ref) + this.#start(ref)
    while (p < end && probe.compare(bytes, p) < 0) {
      before++
      p += packedSize(bytes, p) + 1
    }
    return before
  }

  walk(): SequenceWalk {
    return new SequenceWalk(this.#store)
  }

  #free(ref: Ref, height: number): void {
    if (height > 0) {
      const segment = this.#memory.words[segmentOf(ref)]
      const start = at(ref) >>> 2
      for (let i = 0; i < segment[start]; i++) this.#free(segment[start + 1 + 2 * i], height - 1)
    } else this.#freeItems(ref, this.#start(ref), this.#end(ref))
    this.#memory.free(ref)
  }

  #freeItems(leaf: Ref, from: number, to: number): void {
    const bytes = this.#memory.bytes[segmentOf(leaf)]
    for (let p = at(leaf) + from; p < at(leaf) + to; p += packedSize(bytes, p) + 1)
      this.#values.free(bytes, p)
  }

  #first(words: Int32Array, owner: number, value: Argument, size: number): void {
    const leaf = this.#newLeaf(size)
    this.#putItem(leaf, LEAF_HEADER, value, size)
    this.#setBounds(leaf, LEAF_HEADER, LEAF_HEADER + size, 1)
    words[owner + ROOT] = leaf
    words[owner + COUNT] = 1
    words[owner + HEIGHT] = 0
  }

  #newLeaf(size: number): Ref {
    return this.#memory.allocate(LEAF_HEADER + size)
  }

  /** Finds the leaf and the item of a position, and remembers the way. */
  #locate(words: Int32Array, owner: number, position: number): void {
    let ref = words[owner + ROOT]
    let left = position
    const height = words[owner + HEIGHT]
    for (let level = 0; level < height; level++) {
      const segment = this.#memory.words[segmentOf(ref)]
      const start = at(ref) >>> 2
      let child = 0
      for (
        let below = segment[start + 2] >>> 0;
        left >= below;
        below = segment[start + 2 + 2 * child] >>> 0
      ) {
        left -= below
        child++
      }
      this.#nodes[level] = ref
      this.#children[level] = child
      ref = segment[start + 1 + 2 * child]
    }
    this.#leaf = ref
    const bytes = this.#memory.bytes[segmentOf(ref)]
    const items = this.#items(ref)
    if (left <= items >>> 1) {
      let p = at(ref) + this.#start(ref)
      for (; left > 0; left--) p += packedSize(bytes, p) + 1
      this.#item = p
    } else {
      let p = at(ref) + this.#end(ref)
      for (; left < items; left++) p -= bytes[p - 1]
      this.#item = p
    }
  }

  /** Finds the last leaf and its last item. */
  #locateLast(words: Int32Array, owner: number): void {
    let ref = words[owner + ROOT]
    const height = words[owner + HEIGHT]
    for (let level = 0; level < height; level++) {
      const segment = this.#memory.words[segmentOf(ref)]
      const start = at(ref) >>> 2
      const child = segment[start] - 1
      this.#nodes[level] = ref
      this.#children[level] = child
      ref = segment[start + 1 + 2 * child]
    }
    this.#leaf = ref
    const end = at(ref) + this.#end(ref)
    this.#item = end - this.#memory.bytes[segmentOf(ref)][end - 1]
  }

  #firstLeaf(ref: Ref, height: number): Ref {
    let first = ref
    for (let level = height; level > 0; level--) {
      first = this.#memory.words[segmentOf(first)][(at(first) >>> 2) + 1]
    }
    return first
  }

  /** Items more, or less, on the way to the leaf. */
  #countUp(words: Int32Array, owner: number, change: number): void {
    words[owner + COUNT] += change
    for (let level = 0; level < words[owner + HEIGHT]; level++) {
      const node = this.#nodes[level]
      this.#memory.words[segmentOf(node)][(at(node) >>> 2) + 2 + 2 * this.#children[level]] += change
    }
  }

  #removeFound(words: Int32Array, owner: number): void {
    const leaf = this.#leaf
    const bytes = this.#memory.bytes[segmentOf(leaf)]
    const size = packedSize(bytes, this.#item) + 1
    this.#values.free(bytes, this.#item)
    this.#countUp(words, owner, -1)
    const items = this.#items(leaf)
    if (items === 1) {
      this.#memory.free(leaf)
      this.#removeChild(words, owner)
      return
    }
    const start = this.#start(leaf)
    const offset = this.#item - at(leaf)
    if (offset === start) this.#setBounds(leaf, start + size, this.#end(leaf), items - 1)
    else {
      this.#closeGap(leaf, offset, size)
      this.#setBounds(leaf, start, this.#end(leaf), items - 1)
    }
    this.#shrink(words, owner)
  }

  #dropInLeaf(words: Int32Array, owner: number, most: number, front: boolean): number {
    const leaf = this.#leaf
    const items = this.#items(leaf)
    const start = this.#start(leaf)
    const end = this.#end(leaf)
    if (items <= most) {
      this.#freeItems(leaf, start, end)
      this.#countUp(words, owner, -items)
      this.#memory.free(leaf)
      this.#removeChild(words, owner)
      return items
    }
    const bytes = this.#memory.bytes[segmentOf(leaf)]
    if (front) {
      let p = at(leaf) + start
      for (let i = 0; i < most; i++) p += packedSize(bytes, p) + 1
      this.#freeItems(leaf, start, p - at(leaf))
      this.#setBounds(leaf, p - at(leaf), end, items - most)
    } else {
      let p = at(leaf) + end
      for (let i = 0; i < most; i++) p -= bytes[p - 1]
      this.#freeItems(leaf, p - at(leaf), end)
      this.#setBounds(leaf, start, p - at(leaf), items - most)
    }
    this.#countUp(words, owner, -most)
    this.#shrink(words, owner)
    return most
  }

  /** Gives memory back when most of a leaf is free. */
  #shrink(words: Int32Array, owner: number): void {
    const leaf = this.#leaf
    const used = this.#end(leaf) - this.#start(leaf)
    if ((LEAF_HEADER + used) * 4 < this.#memory.capacity(leaf)) this.#reshape(words, owner, used)
  }

  /** Moves the items of the leaf to the start of a block with room for `size` bytes of them. */
  #reshape(words: Int32Array, owner: number, size: number): Ref {
    const leaf = this.#leaf
    const start = this.#start(leaf)
    const length = this.#end(leaf) - start
    const items = this.#items(leaf)
    const capacity = this.#memory.capacity(leaf)
    const wanted = LEAF_HEADER + size
    const source = this.#memory.bytes[segmentOf(leaf)]
    const from = at(leaf) + start
    let target = leaf
    if (wanted > capacity || wanted * 4 < capacity) {
      target = this.#memory.allocate(wanted)
      copyBytes(source, from, this.#memory.bytes[segmentOf(target)], at(target) + LEAF_HEADER, length)
      this.#memory.free(leaf)
      this.#setLeaf(words, owner, target)
    } else source.copyWithin(at(leaf) + LEAF_HEADER, from, from + length)
    this.#item += at(target) + LEAF_HEADER - from
    this.#setBounds(target, LEAF_HEADER, LEAF_HEADER + length, items)
    this.#leaf = target
    return target
  }

  /** Moves the items of the leaf to the end of a block with room for `size` bytes of them. */
  #reshapeToEnd(words: Int32Array, owner: number, size: number): Ref {
    const before = this.#leaf
    const used = this.#end(before) - this.#start(before)
    // A good part of it is free then: else every call would move them.
    const wanted = Math.min(LEAF - LEAF_HEADER, size + (size >>> 1))
    const leaf =
      LEAF_HEADER + wanted > this.#memory.capacity(before) ? this.#reshape(words, owner, wanted) : before
    const bytes = this.#memory.bytes[segmentOf(leaf)]
    const end = Math.min(this.#memory.capacity(leaf), LEAF)
    const from = at(leaf) + this.#start(leaf)
    bytes.copyWithin(at(leaf) + end - used, from, from + used)
    this.#item += at(leaf) + end - used - from
    this.#setBounds(leaf, end - used, end, this.#items(leaf))
    return leaf
  }

  /**
   * Makes room for `size` bytes at the item at `position`, which was found; behind its first `keep` bytes, the others
   * are moved.
   */
  #gap(words: Int32Array, owner: number, position: number, size: number, keep = 0): void {
    let used = this.#end(this.#leaf) - this.#start(this.#leaf)
    if (LEAF_HEADER + used + size > LEAF) {
      while (this.#splitNode(words, owner)) this.#locate(words, owner, position)
      this.#splitLeaf(words, owner)
      this.#locate(words, owner, position)
      used = this.#end(this.#leaf) - this.#start(this.#leaf)
    }
    if (this.#end(this.#leaf) + size > this.#memory.capacity(this.#leaf))
      this.#reshape(words, owner, used + size)
    const leaf = this.#leaf
    const bytes = this.#memory.bytes[segmentOf(leaf)]
    const end = this.#end(leaf)
    const from = this.#item + keep
    bytes.copyWithin(from + size, from, at(leaf) + end)
    this.#setBounds(leaf, this.#start(leaf), end + size, this.#items(leaf))
  }

  /** Takes `size` bytes out of a leaf. */
  #closeGap(leaf: Ref, offset: number, size: number): void {
    const bytes = this.#memory.bytes[segmentOf(leaf)]
    const end = this.#end(leaf)
    const from = at(leaf) + offset
    bytes.copyWithin(from, from + size, at(leaf) + end)
    this.#setBounds(leaf, this.#start(leaf), end - size, this.#items(leaf))
  }

  /** Moves the second half of the leaf's items to a leaf of their own. There must be room in the node above. */
  #splitLeaf(words: Int32Array, owner: number): void {
    const leaf = this.#leaf
    const bytes = this.#memory.bytes[segmentOf(leaf)]
    const start = this.#start(leaf)
    const end = this.#end(leaf)
    const items = this.#items(leaf)
    let p = at(leaf) + start
    let kept = 0
    while (p - at(leaf) < (start + end) >>> 1) {
      p += packedSize(bytes, p) + 1
      kept++
    }
    const offset = p - at(leaf)
    const length = end - offset
    const right = this.#newLeaf(length)
    copyBytes(bytes, p, this.#memory.bytes[segmentOf(right)], at(right) + LEAF_HEADER, length)
    this.#setBounds(right, LEAF_HEADER, LEAF_HEADER + length, items - kept)
    this.#setBounds(leaf, start, offset, kept)
    this.#addLeaf(words, owner, right, items - kept, items - kept, 1)
  }

  /**
   * Adds a leaf right (1) or left (0) of the one that was found. There must be room in the node above. Afterwards the
   * way is void.
   * @param taken of its items, so many were in the one that was found
   */
  #addLeaf(words: Int32Array, owner: number, leaf: Ref, items: number, taken: number, side: number): void {
    const height = words[owner + HEIGHT]
    if (height === 0) {
      const count = words[owner + COUNT] - taken
      const old = words[owner + ROOT]
      if (side === 1) this.#newRoot(words, owner, old, count, leaf, items)
      else this.#newRoot(words, owner, leaf, items, old, count)
      words[owner + COUNT] = count + items
      return
    }
    this.#countUp(words, owner, items - taken)
    const node = this.#nodes[height - 1]
    const child = this.#children[height - 1]
    this.#changeCount(node, child, -items)
    this.#insertChild(node, child + side, leaf, items)
  }

  #newRoot(words: Int32Array, owner: number, left: Ref, before: number, right: Ref, behind: number): void {
    const root = this.#memory.allocate(NODE)
    const segment = this.#memory.words[segmentOf(root)]
    const start = at(root) >>> 2
    segment[start] = 2
    segment[start + 1] = left
    segment[start + 2] = before
    segment[start + 3] = right
    segment[start + 4] = behind
    words[owner + ROOT] = root
    words[owner + HEIGHT]++
  }

  #insertChild(node: Ref, slot: number, child: Ref, items: number): void {
    const segment = this.#memory.words[segmentOf(node)]
    const start = at(node) >>> 2
    const children = segment[start]
    segment.copyWithin(start + 3 + 2 * slot, start + 1 + 2 * slot, start + 1 + 2 * children)
    segment[start] = children + 1
    segment[start + 1 + 2 * slot] = child
    segment[start + 2 + 2 * slot] = items
  }

  #changeCount(node: Ref, child: number, change: number): void {
    this.#memory.words[segmentOf(node)][(at(node) >>> 2) + 2 + 2 * child] += change
  }

  /** Splits the highest full node on the way, so that all get room; true when there was one: the way is void then. */
  #splitNode(words: Int32Array, owner: number): boolean {
    for (let level = 0; level < words[owner + HEIGHT]; level++) {
      const node = this.#nodes[level]
      const segment = this.#memory.words[segmentOf(node)]
      const start = at(node) >>> 2
      if (segment[start] < MOST_CHILDREN) continue
      const kept = MOST_CHILDREN >>> 1
      const right = this.#memory.allocate(NODE)
      const target = this.#memory.words[segmentOf(right)]
      const to = at(right) >>> 2
      let before = 0
      let behind = 0
      for (let i = 0; i < MOST_CHILDREN; i++) {
        const items = segment[start + 2 + 2 * i] >>> 0
        if (i < kept) before += items
        else {
          behind += items
          target[to + 1 + 2 * (i - kept)] = segment[start + 1 + 2 * i]
          target[to + 2 + 2 * (i - kept)] = items
        }
      }
      segment[start] = kept
      target[to] = MOST_CHILDREN - kept
      if (level === 0) this.#newRoot(words, owner, node, before, right, behind)
      else {
        this.#changeCount(this.#nodes[level - 1], this.#children[level - 1], -behind)
        this.#insertChild(this.#nodes[level - 1], this.#children[level - 1] + 1, right, behind)
      }
      return true
    }
    return false
  }

  /** The leaf that was found is gone: so is its place, and what became empty or needless above it. */
  #removeChild(words: Int32Array, owner: number): void {
    let level = words[owner + HEIGHT] - 1
    for (; level >= 0; level--) {
      const node = this.#nodes[level]
      const segment = this.#memory.words[segmentOf(node)]
      const start = at(node) >>> 2
      const children = segment[start] - 1
      const slot = this.#children[level]
      segment.copyWithin(start + 1 + 2 * slot, start + 3 + 2 * slot, start + 3 + 2 * children)
      segment[start] = children
      if (children > 0) break
      this.#memory.free(node)
    }
    if (level < 0) {
      words[owner + ROOT] = 0
      words[owner + HEIGHT] = 0
    }
    while (words[owner + HEIGHT] > 0) {
      const root = words[owner + ROOT]
      const segment = this.#memory.words[segmentOf(root)]
      if (segment[at(root) >>> 2] > 1) return
      words[owner + ROOT] = segment[(at(root) >>> 2) + 1]
      words[owner + HEIGHT]--
      this.#memory.free(root)
    }
  }

  #setLeaf(words: Int32Array, owner: number, leaf: Ref): void {
    const height = words[owner + HEIGHT]
    if (height === 0) words[owner + ROOT] = leaf
    else {
      const node = this.#nodes[height - 1]
      this.#memory.words[segmentOf(node)][(at(node) >>> 2) + 1 + 2 * this.#children[height - 1]] = leaf
    }
  }

  #start(leaf: Ref): number {
    return this.#memory.words[segmentOf(leaf)][(at(leaf) >>> 2) + 1] & 0xffff
  }

  #end(leaf: Ref): number {
    return this.#memory.words[segmentOf(leaf)][at(leaf) >>> 2] & 0xffff
  }

  #items(leaf: Ref): number {
    return this.#memory.words[segmentOf(leaf)][(at(leaf) >>> 2) + 1] >>> 16
  }

  #setBounds(leaf: Ref, start: number, end: number, items: number): void {
    const segment = this.#memory.words[segmentOf(leaf)]
    segment[at(leaf) >>> 2] = end
    segment[(at(leaf) >>> 2) + 1] = start | (items << 16)
  }

  #putItem(leaf: Ref, offset: number, value: Argument, size: number): void {
    const bytes = this.#memory.bytes[segmentOf(leaf)]
    const start = at(leaf) + offset
    this.#values.put(bytes, this.#memory.views[segmentOf(leaf)], start, value)
    bytes[start + size - 1] = size
  }
}

/** A walk through the items, which must not be changed meanwhile. */
export class SequenceWalk {
  bytes: Uint8Array = new Uint8Array(0)
  /** Index in {@link bytes} of the item: a value (values.ts). */
  item = 0
  readonly #memory: Memory
  readonly #nodes = new Int32Array(HIGHEST)
  readonly #children = new Int32Array(HIGHEST)
  #height = 0
  #next = 0
  #end = 0

  constructor(store: Storage) {
    this.#memory = store.memory
  }

  begin(words: Int32Array, owner: number): void {
    this.#height = words[owner + HEIGHT]
    this.#next = 0
    this.#end = 0
    if (words[owner + ROOT] !== 0) this.#descend(words[owner + ROOT], 0)
  }

  /** Begins behind the last item: only {@link previous} may follow. */
  beginBack(words: Int32Array, owner: number): void {
    this.#height = words[owner + HEIGHT]
    this.#next = 0
    this.#end = 0
    if (words[owner + ROOT] !== 0) this.#descend(words[owner + ROOT], 0, true)
  }

  /** Goes to the next item; false when there is none. */
  next(): boolean {
    if (this.#next >= this.#end && !this.#nextLeaf()) return false
    this.item = this.#next
    this.#next += packedSize(this.bytes, this.item) + 1
    return true
  }

  /** Goes to the item before; false when there is none. */
  previous(): boolean {
    if (this.#next >= this.#end && !this.#previousLeaf()) return false
    this.#end -= this.bytes[this.#end - 1]
    this.item = this.#end
    return true
  }

  #descend(ref: Ref, from: number, last = false): void {
    let child = ref
    for (let level = from; level < this.#height; level++) {
      const segment = this.#memory.words[segmentOf(child)]
      const start = at(child) >>> 2
      const slot = last ? segment[start] - 1 : 0
      this.#nodes[level] = child
      this.#children[level] = slot
      child = segment[start + 1 + 2 * slot]
    }
    this.bytes = this.#memory.bytes[segmentOf(child)]
    const words = this.#memory.words[segmentOf(child)]
    const start = at(child) >>> 2
    this.#next = at(child) + (words[start + 1] & 0xffff)
    this.#end = at(child) + (words[start] & 0xffff)
  }

  #nextLeaf(): boolean {
    for (let level = this.#height - 1; level >= 0; level--) {
      const node = this.#nodes[level]
      const segment = this.#memory.words[segmentOf(node)]
      const start = at(node) >>> 2
      const child = ++this.#children[level]
      if (child >= segment[start]) continue
      this.#descend(segment[start + 1 + 2 * child], level + 1)
      return true
    }
    return false
  }
  #previousLeaf(): boolean {
    for (let level = this.#height - 1; level >= 0; level--) {
      if (this.#children[level] === 0) continue
      const node = this.#nodes[level]
      const child = --this.#children[level]
      this.#descend(this.#memory.words[segmentOf(node)][(at(node) >>> 2) + 1 + 2 * child], level + 1, true)
      return true
    }
    return false
  }
}
