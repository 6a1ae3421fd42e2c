import type { Slice } from '../values/slice.ts'
import { at, LARGEST, type Memory, type Ref, segmentOf } from './memory.ts'

/*
 * Texts in memory: up to 4,096 bytes a block, longer ones a tree, so that none is moved as it grows and none needs
 * memory in one piece. The length is kept by whoever keeps the text.
 *
 *     node   128 refs of nodes or leaves, 0 where there are nothing but zeros
 *     leaf   1,024 bytes
 *
 * Both are small, so that a bit far out in a text of zeros takes 2 to 3 KiB.
 */

const LEAF = 1024
const LEAF_WORDS = LEAF / 4
const CHILDREN = 128
const CHILD_BITS = 7
const NODE = CHILDREN * 4

/** Levels of nodes above the leaves of a text. */
function heightOf(length: number): number {
  if (length <= LARGEST) return 0
  let height = 1
  for (let reach = LEAF * CHILDREN; reach < length; reach *= CHILDREN) height++
  return height
}

export class Texts {
  readonly #memory: Memory

  constructor(memory: Memory) {
    this.#memory = memory
  }

  /** Keeps `bytes[from, to)`. */
  add(bytes: Uint8Array, from: number, to: number): Ref {
    const ref = this.create(to - from)
    this.write(ref, to - from, 0, bytes, from, to)
    return ref
  }

  /** A text of so many bytes: those of a short one are still to be written, a long one is zeros. */
  create(length: number): Ref {
    if (length <= LARGEST) return this.#memory.allocate(length)
    return this.#node()
  }

  /** Makes a text longer: what is added are zeros. Never shorter. */
  extend(ref: Ref, length: number, to: number): Ref {
    if (length > LARGEST) return this.#raise(ref, heightOf(length), heightOf(to))
    if (to <= LARGEST) {
      const grown = this.#memory.capacity(ref) >= to ? ref : this.#memory.resize(ref, length, to)
      this.#zero(grown, length, to)
      return grown
    }
    const root = this.#node()
    const bytes = this.#memory.bytes[segmentOf(ref)]
    this.write(root, to, 0, bytes, at(ref), at(ref) + length)
    this.#memory.free(ref)
    return root
  }

  free(ref: Ref, length: number): void {
    this.#free(ref, heightOf(length))
  }

  /** Another text with the same bytes. */
  copy(ref: Ref, length: number): Ref {
    if (length > LARGEST) return this.#copy(ref, heightOf(length))
    const copy = this.#memory.allocate(length)
    this.#memory.copy(ref, copy, length)
    return copy
  }

  /** Puts `bytes[from, to)` at `offset` of a text of `length` bytes. */
  write(ref: Ref, length: number, offset: number, bytes: Uint8Array, from: number, to: number): void {
    let done = from
    const height = heightOf(length)
    while (done < to) {
      const position = offset + done - from
      const inside = height === 0 ? position : position % LEAF
      const count = height === 0 ? to - done : Math.min(to - done, LEAF - inside)
      const block = height === 0 ? ref : this.#leaf(ref, height, position, true)
      const target = this.#memory.bytes[segmentOf(block)]
      copyBytes(bytes, done, target, at(block) + inside, count)
      done += count
    }
  }

  /** Makes the slice bytes `from` to `to` of a text of `length` bytes: in place where they lie in one block. */
  read(ref: Ref, length: number, from: number, to: number, slice: Slice): void {
    if (length <= LARGEST) {
      const start = at(ref)
      slice.set(this.#memory.bytes[segmentOf(ref)], start + from, start + to)
      return
    }
    const height = heightOf(length)
    const room = slice.room(to - from)
    for (let position = from; position < to; ) {
      const inside = position % LEAF
      const count = Math.min(to - position, LEAF - inside)
      const block = this.#leaf(ref, height, position, false)
      const target = slice.at + position - from
      if (block === 0) room.fill(0, target, target + count)
      else copyBytes(this.#memory.bytes[segmentOf(block)], at(block) + inside, room, target, count)
      position += count
    }
  }

  /** One byte of a text of `length` bytes. */
  byte(ref: Ref, length: number, offset: number): number {
    if (length <= LARGEST) return this.#memory.bytes[segmentOf(ref)][at(ref) + offset]
    const leaf = this.#leaf(ref, heightOf(length), offset, false)
    return leaf === 0 ? 0 : this.#memory.bytes[segmentOf(leaf)][at(leaf) + (offset % LEAF)]
  }

  setByte(ref: Ref, length: number, offset: number, value: number): void {
    if (length <= LARGEST) {
      this.#memory.bytes[segmentOf(ref)][at(ref) + offset] = value
      return
    }
    const leaf = this.#leaf(ref, heightOf(length), offset, true)
    this.#memory.bytes[segmentOf(leaf)][at(leaf) + (offset % LEAF)] = value
  }

  /** Four bytes of a text that is used as a list of numbers. */
  word(ref: Ref, length: number, index: number): number {
    if (length <= LARGEST) return this.#memory.words[segmentOf(ref)][(at(ref) >>> 2) + index]
    const leaf = this.#leaf(ref, heightOf(length), index * 4, false)
    return leaf === 0 ? 0 : this.#memory.words[segmentOf(leaf)][(at(leaf) >>> 2) + (index % LEAF_WORDS)]
  }

  setWord(ref: Ref, length: number, index: number, value: number): void {
    if (length <= LARGEST) {
      this.#memory.words[segmentOf(ref)][(at(ref) >>> 2) + index] = value
      return
    }
    const leaf = this.#leaf(ref, heightOf(length), index * 4, true)
    this.#memory.words[segmentOf(leaf)][(at(leaf) >>> 2) + (index % LEAF_WORDS)] = value
  }

  /** The block that begins with the first bytes of a text; they must have been written. */
  first(ref: Ref, length: number): Ref {
    let block = ref
    for (let height = heightOf(length); height > 0; height--)
      block = this.#memory.words[segmentOf(block)][at(block) >>> 2]
    return block
  }

  /** Whether a text of the slice's length is equal to it. */
  equals(ref: Ref, text: Slice): boolean {
    const { bytes, at: from, length } = text
    const height = heightOf(length)
    const size = height === 0 ? LARGEST : LEAF
    for (let done = 0; done < length; done += size) {
      const block = height === 0 ? ref : this.#leaf(ref, height, done, false)
      const count = Math.min(size, length - done)
      if (block === 0) {
        for (let i = 0; i < count; i++) if (bytes[from + done + i] !== 0) return false
      } else if (!sameBytes(this.#memory.bytes[segmentOf(block)], at(block), bytes, from + done, count)) {
        return false
      }
    }
    return true
  }

  #node(): Ref {
    const node = this.#memory.allocate(NODE)
    this.#zero(node, 0, NODE)
    return node
  }

  #raise(ref: Ref, from: number, to: number): Ref {
    let root = ref
    for (let height = from; height < to; height++) {
      const node = this.#node()
      this.#memory.words[segmentOf(node)][at(node) >>> 2] = root
      root = node
    }
    return root
  }

  /** The leaf with the byte at `offset`; 0 where there are zeros, unless it is to be made. */
  #leaf(root: Ref, height: number, offset: number, make: boolean): Ref {
    const number = Math.floor(offset / LEAF)
    let ref = root
    for (let level = height - 1; level >= 0; level--) {
      const words = this.#memory.words[segmentOf(ref)]
      const index = (at(ref) >>> 2) + ((number >>> (CHILD_BITS * level)) & (CHILDREN - 1))
      let next = words[index]
      if (next === 0) {
        if (!make) return 0
        if (level > 0) next = this.#node()
        else {
          next = this.#memory.allocate(LEAF)
          this.#zero(next, 0, LEAF)
        }
        words[index] = next
      }
      ref = next
    }
    return ref
  }

  #copy(ref: Ref, height: number): Ref {
    if (ref === 0) return 0
    const size = height === 0 ? LEAF : NODE
    const copy = this.#memory.allocate(size)
    this.#memory.copy(ref, copy, size)
    if (height === 0) return copy
    const words = this.#memory.words[segmentOf(copy)]
    const first = at(copy) >>> 2
    for (let i = 0; i < CHILDREN; i++) words[first + i] = this.#copy(words[first + i], height - 1)
    return copy
  }

  #free(ref: Ref, height: number): void {
    if (ref === 0) return
    if (height > 0) {
      const words = this.#memory.words[segmentOf(ref)]
      const first = at(ref) >>> 2
      for (let i = 0; i < CHILDREN; i++) this.#free(words[first + i], height - 1)
    }
    this.#memory.free(ref)
  }

  #zero(ref: Ref, from: number, to: number): void {
    const start = at(ref)
    this.#memory.bytes[segmentOf(ref)].fill(0, start + from, start + to)
  }
}

/** Below this a loop is faster than the call that would do it. */
const SHORT = 64

export function copyBytes(
  source: Uint8Array,
  from: number,
  target: Uint8Array,
  to: number,
  count: number,
): void {
  if (count < SHORT) for (let i = 0; i < count; i++) target[to + i] = source[from + i]
  else target.set(source.subarray(from, from + count), to)
}

export function sameBytes(a: Uint8Array, from: number, b: Uint8Array, at: number, count: number): boolean {
  for (let i = 0; i < count; i++) if (a[from + i] !== b[at + i]) return false
  return true
}
