import { PASSED_OVER } from '../values/elements.ts'
import { Slice } from '../values/slice.ts'
import type { Argument } from './argument.ts'
import { copyText } from './moves.ts'
import type { Storage } from './storage.ts'

/*
 * Values inside packed blocks, by their first byte:
 *
 *     0-64   so many bytes follow
 *     0x80   in a text:  ref (4), length (4)
 *     0x81   in the log: offset (6), part (2), length (6)
 *
 * Numbers are little-endian. What follows a value, or stands before it, is the business of who keeps it.
 */

export const LONGEST_INLINE = 64
export const IN_TEXT = 0x80
export const IN_LOG = 0x81
const TEXT_SIZE = 9
const EXTENT_SIZE = 15
const TWO_32 = 2 ** 32

/** Bytes that the value at `bytes[at]` takes in its block. */
export function packedSize(bytes: Uint8Array, at: number): number {
  const first = bytes[at]
  if (first <= LONGEST_INLINE) return 1 + first
  return first === IN_TEXT ? TEXT_SIZE : EXTENT_SIZE
}

/** Bytes that a value will take in a block. */
export function sizeOf(value: Argument): number {
  const { length } = value
  if (length <= LONGEST_INLINE) return 1 + length
  return value.offset >= 0 ? EXTENT_SIZE : TEXT_SIZE
}

export class Values {
  readonly #store: Storage
  readonly #slice = new Slice()

  constructor(store: Storage) {
    this.#store = store
  }

  /** Writes a value to `bytes[at]`, which are in the view, too, where there is room of {@link sizeOf} it. */
  put(bytes: Uint8Array, view: DataView, at: number, value: Argument): void {
    const { length } = value
    if (length <= LONGEST_INLINE) {
      bytes[at] = length
      copyText(value.view, value.at, view, at + 1, length)
    } else if (value.offset >= 0) {
      bytes[at] = IN_LOG
      put32(bytes, at + 1, value.offset | 0)
      put16(bytes, at + 5, Math.floor(value.offset / TWO_32))
      put16(bytes, at + 7, value.part)
      put32(bytes, at + 9, length | 0)
      put16(bytes, at + 13, Math.floor(length / TWO_32))
    } else {
      bytes[at] = IN_TEXT
      put32(bytes, at + 1, this.#store.texts.add(value.bytes, value.at, value.end))
      put32(bytes, at + 5, length)
    }
  }

  /** Makes the slice the value at `bytes[at]`: void when another is read, or anything is changed. */
  read(bytes: Uint8Array, at: number, slice: Slice): void {
    const first = bytes[at]
    if (first <= LONGEST_INLINE) {
      slice.set(bytes, at + 1, at + 1 + first)
    } else if (first === IN_TEXT) {
      const length = get32(bytes, at + 5) >>> 0
      if (this.#store.extents.passOver) slice.set(PASSED_OVER, 0, length)
      else this.#store.texts.read(get32(bytes, at + 1), length, 0, length, slice)
    } else {
      const offset = (get32(bytes, at + 1) >>> 0) + get16(bytes, at + 5) * TWO_32
      this.#store.extents.read(get16(bytes, at + 7), offset, this.length(bytes, at), slice)
    }
  }

  /** Makes the argument the value at `bytes[at]`, with the place in the log where it stands, if it does. */
  readArgument(bytes: Uint8Array, at: number, argument: Argument): void {
    this.read(bytes, at, argument)
    argument.hashed = false
    argument.place = -1
    argument.offset = -1
    if (bytes[at] !== IN_LOG) return
    argument.offset = (get32(bytes, at + 1) >>> 0) + get16(bytes, at + 5) * TWO_32
    argument.part = get16(bytes, at + 7)
  }

  /** Length in bytes of the value at `bytes[at]`. */
  length(bytes: Uint8Array, at: number): number {
    const first = bytes[at]
    if (first <= LONGEST_INLINE) return first
    if (first === IN_TEXT) return get32(bytes, at + 5) >>> 0
    return (get32(bytes, at + 9) >>> 0) + get16(bytes, at + 13) * TWO_32
  }

  equals(bytes: Uint8Array, at: number, value: Slice): boolean {
    if (this.length(bytes, at) !== value.length) return false
    this.read(bytes, at, this.#slice)
    return this.#slice.equals(value)
  }

  /** The value at `bytes[at]` is given up. */
  free(bytes: Uint8Array, at: number): void {
    if (bytes[at] === IN_TEXT) this.#store.texts.free(get32(bytes, at + 1), get32(bytes, at + 5) >>> 0)
  }
}

export function put32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value
  bytes[at + 1] = value >>> 8
  bytes[at + 2] = value >>> 16
  bytes[at + 3] = value >>> 24
}

export function get32(bytes: Uint8Array, at: number): number {
  return bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)
}

function put16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value
  bytes[at + 1] = value >>> 8
}

function get16(bytes: Uint8Array, at: number): number {
  return bytes[at] | (bytes[at + 1] << 8)
}
