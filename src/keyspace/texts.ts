import type { Slice } from '../values/slice.ts'
import { at, LARGEST, type Memory, type Ref, segmentOf } from './memory.ts'

/*
 * Texts in memory: up to 4,096 bytes a block, longer ones a tree, so that none is moved as it grows and none needs
 * memory in one piece. The length is kept by whoever keeps the text.
 *
 *     node   1,024 refs of nodes or blocks, 0 where there are nothing but zeros
 *     block  4,096 bytes
 */

const CHILDREN = LARGEST / 4
const CHILD_BITS = 10

/** Levels of nodes above the blocks of a text. */
function heightOf(length: number): number {
  let height = 0
  for (let reach = LARGEST; reach < length; reach *= CHILDREN) height++
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
    const block = this.#memory.resize(ref, length, LARGEST)
    this.#zero(block, length, LARGEST)
    return this.#raise(block, 0, heightOf(to))
  }

  free(ref: Ref, length: number): void {
    this.#free(ref, heightOf(length))
  }

  /** Another text with the same bytes. */
  copy(ref: Ref, length: number): Ref {
    return this.#copy(ref, heightOf(length), Math.min(length, LARGEST))
  }

  /** Puts `bytes[from, to)` at `offset` of a text of `length` bytes. */
  write(ref: Ref, length: number, offset: number, bytes: Uint8Array, from: number, to: number): void {
    let done = from
    const height = heightOf(length)
    while (done < to) {
      const position = offset + done - from
      const inside = height === 0 ? position : position % LARGEST
      const count = Math.min(to - done, LARGEST - inside)
      const block = height === 0 ? ref : this.#block(ref, height, position, true)
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
      const inside = position % LARGEST
      const count = Math.min(to - position, LARGEST - inside)
      const block = this.#block(ref, height, position, false)
      const target = slice.at + position - from
      if (block === 0) room.fill(0, target, target + count)
      else copyBytes(this.#memory.bytes[segmentOf(block)], at(block) + inside, room, target, count)
      position += count
    }
  }

  /** One byte of a text of `length` bytes. */
  byte(ref: Ref, length: number, offset: number): number {
    const block = length <= LARGEST ? ref : this.#block(ref, heightOf(length), offset, false)
    return block === 0 ? 0 : this.#memory.bytes[segmentOf(block)][at(block) + (offset % LARGEST)]
  }

  setByte(ref: Ref, length: number, offset: number, value: number): void {
    const block = length <= LARGEST ? ref : this.#block(ref, heightOf(length), offset, true)
    this.#memory.bytes[segmentOf(block)][at(block) + (offset % LARGEST)] = value
  }

  /** Four bytes of a text that is used as a list of numbers. */
  word(ref: Ref, length: number, index: number): number {
    if (length <= LARGEST) return this.#memory.words[segmentOf(ref)][(at(ref) >>> 2) + index]
    const block = this.#block(ref, heightOf(length), index * 4, false)
    return block === 0 ? 0 : this.#memory.words[segmentOf(block)][(at(block) >>> 2) + (index % CHILDREN)]
  }

  setWord(ref: Ref, length: number, index: number, value: number): void {
    const block = length <= LARGEST ? ref : this.#block(ref, heightOf(length), index * 4, true)
    this.#memory.words[segmentOf(block)][(at(block) >>> 2) + (index % CHILDREN)] = value
  }

  /** Whether a text of the slice's length is equal to it. */
  equals(ref: Ref, text: Slice): boolean {
    const { bytes, at: from, length } = text
    const height = heightOf(length)
    for (let done = 0; done < length; done += LARGEST) {
      const block = height === 0 ? ref : this.#block(ref, height, done, false)
      const count = Math.min(LARGEST, length - done)
      if (block === 0) {
        for (let i = 0; i < count; i++) if (bytes[from + done + i] !== 0) return false
      } else if (!sameBytes(this.#memory.bytes[segmentOf(block)], at(block), bytes, from + done, count)) {
        return false
      }
    }
    return true
  }

  #node(): Ref {
    const node = this.#memory.allocate(LARGEST)
    this.#zero(node, 0, LARGEST)
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

  /** The block with the byte at `offset`; 0 where there are zeros, unless it is to be made. */
  #block(root: Ref, height: number, offset: number, make: boolean): Ref {
    const number = Math.floor(offset / LARGEST)
    let ref = root
    for (let level = height - 1; level >= 0; level--) {
      const child =
        level === 0 ? number % CHILDREN : Math.floor(number / 2 ** (CHILD_BITS * level)) % CHILDREN
      const words = this.#memory.words[segmentOf(ref)]
      const index = (at(ref) >>> 2) + child
      let next = words[index]
      if (next === 0) {
        if (!make) return 0
        next = this.#node()
        words[index] = next
      }
      ref = next
    }
    return ref
  }

  #copy(ref: Ref, height: number, size: number): Ref {
    if (ref === 0) return 0
    const copy = this.#memory.allocate(size)
    this.#memory.copy(ref, copy, size)
    if (height === 0) return copy
    for (let i = 0; i < CHILDREN; i++) {
      const index = (at(copy) >>> 2) + i
      const words = this.#memory.words[segmentOf(copy)]
      words[index] = this.#copy(words[index], height - 1, LARGEST)
    }
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
