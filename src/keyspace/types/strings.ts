import { integerIn } from '../../bytes/decimal.ts'
import { PASSED_OVER } from '../../values/elements.ts'
import { Slice } from '../../values/slice.ts'
import type { Argument } from '../argument.ts'
import { type Cell, segmentOfCell, Word, wordOf } from '../cells.ts'
import { LARGEST } from '../memory.ts'
import type { Storage } from '../storage.ts'
import { copyBytes } from '../texts.ts'

/*
 * The words of a string's value, by the form in its cell:
 *
 *     Short    up to 16 bytes; how many is the detail of the cell
 *     Integer  low half, high half
 *     Text     its ref, its length in bytes
 *     Extent   offset: low 32 bits; upper 16 bits, part << 16; length: low 32 bits, the rest
 */
const Form = { Short: 0, Integer: 1, Text: 2, Extent: 3 } as const

export const LONGEST_SHORT = 16
const FORM_SHIFT = 8
const DETAIL_SHIFT = 24
const FORM_AND_DETAIL = 0xff00ff00 | 0
const V = Word.Value
const TWO_32 = 2 ** 32

/** Number of the part (`Extents.add`), and the offset in it. */
export interface Extent {
  readonly part: number
  readonly offset: number
}

export class Strings {
  readonly #store: Storage
  readonly #slice = new Slice()

  constructor(store: Storage) {
    this.#store = store
  }

  /** Makes it empty; the words of the value are void. */
  begin(cell: Cell): void {
    this.#form(cell, Form.Short, 0)
  }

  /** Its value is given up: `begin` or `set…` must follow, or the cell is given up, too. */
  release(cell: Cell): void {
    const words = this.#store.cells.words[segmentOfCell(cell)]
    const at = wordOf(cell)
    if (((words[at + Word.Meta] >>> FORM_SHIFT) & 0xff) === Form.Text) {
      this.#store.texts.free(words[at + V], words[at + V + 1] >>> 0)
    }
  }

  /** A new value: longer ones are left where they stand in the log. */
  set(cell: Cell, value: Argument): void {
    this.release(cell)
    const { length } = value
    const words = this.#store.cells.words[segmentOfCell(cell)]
    const at = wordOf(cell)
    if (length <= LONGEST_SHORT) {
      this.#form(cell, Form.Short, length)
      const target = this.#store.cells.bytes[segmentOfCell(cell)]
      const to = (at + V) << 2
      const { bytes, at: from } = value
      for (let i = 0; i < length; i++) target[to + i] = bytes[from + i]
    } else if (value.offset >= 0) {
      this.#form(cell, Form.Extent, 0)
      words[at + V] = value.offset | 0
      words[at + V + 1] = Math.floor(value.offset / TWO_32) | (value.part << 16)
      words[at + V + 2] = length | 0
      words[at + V + 3] = Math.floor(length / TWO_32)
    } else {
      this.#form(cell, Form.Text, 0)
      words[at + V] = this.#store.texts.add(value.bytes, value.at, value.end)
      words[at + V + 1] = length
    }
  }

  /** A new value: an integer of at most 2^53, which is read and changed fastest. */
  setNumber(cell: Cell, value: number): void {
    this.release(cell)
    this.#form(cell, Form.Integer, 0)
    this.#setHalves(cell, value | 0, Math.floor(value / TWO_32))
  }

  /** A new value: an integer of 64 bits. */
  setInt64(cell: Cell, value: bigint): void {
    this.release(cell)
    this.#form(cell, Form.Integer, 0)
    this.#setHalves(cell, Number(BigInt.asIntN(32, value)), Number(value >> 32n))
  }

  /** Length in bytes. */
  length(cell: Cell): number {
    const words = this.#store.cells.words[segmentOfCell(cell)]
    const at = wordOf(cell)
    const meta = words[at + Word.Meta]
    switch ((meta >>> FORM_SHIFT) & 0xff) {
      case Form.Short:
        return meta >>> DETAIL_SHIFT
      case Form.Text:
        return words[at + V + 1] >>> 0
      case Form.Extent:
        return (words[at + V + 2] >>> 0) + words[at + V + 3] * TWO_32
      default:
        return this.#slice.integer(this.int64(cell) as bigint).length
    }
  }

  /** Makes the slice its bytes: void after the next call for any string. For those who count, only their number. */
  read(cell: Cell, slice: Slice): void {
    if (this.#store.extents.passOver) slice.set(PASSED_OVER, 0, this.length(cell))
    else this.readRange(cell, 0, this.length(cell), slice)
  }

  /** Makes the slice its bytes `from` to `to`, which must be there. */
  readRange(cell: Cell, from: number, to: number, slice: Slice): void {
    const segment = segmentOfCell(cell)
    const words = this.#store.cells.words[segment]
    const at = wordOf(cell)
    switch ((words[at + Word.Meta] >>> FORM_SHIFT) & 0xff) {
      case Form.Short: {
        const start = (at + V) << 2
        slice.set(this.#store.cells.bytes[segment], start + from, start + to)
        return
      }
      case Form.Text:
        this.#store.texts.read(words[at + V], words[at + V + 1] >>> 0, from, to, slice)
        return
      case Form.Extent: {
        const { part, offset } = this.#extent(cell)
        this.#store.extents.read(part, offset + from, to - from, slice)
        return
      }
      default:
        slice.integer(this.int64(cell) as bigint)
        slice.end = slice.at + to
        slice.at += from
    }
  }

  /** As an integer of at most 2^53; NaN when it is another one or none. */
  number(cell: Cell): number {
    const words = this.#store.cells.words[segmentOfCell(cell)]
    const at = wordOf(cell)
    if (((words[at + Word.Meta] >>> FORM_SHIFT) & 0xff) === Form.Integer) {
      const value = words[at + V + 1] * TWO_32 + (words[at + V] >>> 0)
      return Number.isSafeInteger(value) ? value : Number.NaN
    }
    const value = this.int64(cell)
    return value === undefined || BigInt.asIntN(53, value) !== value ? Number.NaN : Number(value)
  }

  /** As an integer of 64 bits; undefined when it is none. */
  int64(cell: Cell): bigint | undefined {
    const words = this.#store.cells.words[segmentOfCell(cell)]
    const at = wordOf(cell)
    if (((words[at + Word.Meta] >>> FORM_SHIFT) & 0xff) === Form.Integer) {
      return (BigInt(words[at + V + 1]) << 32n) | BigInt(words[at + V] >>> 0)
    }
    if (this.length(cell) > LONGEST_INTEGER) return undefined
    this.read(cell, this.#slice)
    return parseInt64(this.#slice)
  }

  /** Puts bytes at `offset`: with zeros before them where it was shorter. */
  write(cell: Cell, offset: number, value: Argument): void {
    const { length } = value
    if (length === 0) return
    const end = offset + length
    const before = this.length(cell)
    // What stands in the log, or in the cell, may be what is written, too: it is read first.
    const all = end > LONGEST_SHORT || before > LONGEST_SHORT
    if (!all) {
      this.#makeShort(cell, Math.max(end, before), before)
      const target = this.#store.cells.bytes[segmentOfCell(cell)]
      copyBytes(value.bytes, value.at, target, ((wordOf(cell) + V) << 2) + offset, length)
      return
    }
    this.#makeText(cell)
    const words = this.#store.cells.words[segmentOfCell(cell)]
    const at = wordOf(cell)
    const { texts } = this.#store
    if (end > before) {
      words[at + V] = texts.extend(words[at + V], before, end)
      words[at + V + 1] = end
    }
    texts.write(words[at + V], words[at + V + 1] >>> 0, offset, value.bytes, value.at, value.end)
  }

  /** Makes it at least so long, with zeros. */
  extend(cell: Cell, length: number): void {
    const before = this.length(cell)
    if (length <= before) return
    this.#makeText(cell)
    const words = this.#store.cells.words[segmentOfCell(cell)]
    const at = wordOf(cell)
    words[at + V] = this.#store.texts.extend(words[at + V], before, length)
    words[at + V + 1] = length
  }

  /** The byte at an offset that is there. */
  byte(cell: Cell, offset: number): number {
    const words = this.#store.cells.words[segmentOfCell(cell)]
    const at = wordOf(cell)
    if (((words[at + Word.Meta] >>> FORM_SHIFT) & 0xff) === Form.Text) {
      return this.#store.texts.byte(words[at + V], words[at + V + 1] >>> 0, offset)
    }
    this.readRange(cell, offset, offset + 1, this.#slice)
    return this.#slice.bytes[this.#slice.at]
  }

  /** Changes the byte at an offset that is there. */
  setByte(cell: Cell, offset: number, value: number): void {
    this.#makeText(cell)
    const words = this.#store.cells.words[segmentOfCell(cell)]
    const at = wordOf(cell)
    this.#store.texts.setByte(words[at + V], words[at + V + 1] >>> 0, offset, value)
  }

  /** Gives a cell without a value the value of another. */
  copy(from: Cell, to: Cell): void {
    const source = this.#store.cells.words[segmentOfCell(from)]
    const start = wordOf(from)
    const target = this.#store.cells.words[segmentOfCell(to)]
    const at = wordOf(to)
    const meta = source[start + Word.Meta]
    this.#form(to, (meta >>> FORM_SHIFT) & 0xff, meta >>> DETAIL_SHIFT)
    for (let i = V; i < Word.Key; i++) target[at + i] = source[start + i]
    if (((meta >>> FORM_SHIFT) & 0xff) !== Form.Text) return
    const length = source[start + V + 1] >>> 0
    target[at + V] = this.#store.texts.copy(source[start + V], length)
  }

  #setHalves(cell: Cell, low: number, high: number): void {
    const words = this.#store.cells.words[segmentOfCell(cell)]
    const at = wordOf(cell)
    words[at + V] = low
    words[at + V + 1] = high
  }

  #form(cell: Cell, form: number, detail: number): void {
    const words = this.#store.cells.words[segmentOfCell(cell)]
    const at = wordOf(cell) + Word.Meta
    words[at] = (words[at] & ~FORM_AND_DETAIL) | (form << FORM_SHIFT) | (detail << DETAIL_SHIFT)
  }

  /** Where its bytes stand in the log; undefined when it is in memory. */
  extent(cell: Cell): Extent | undefined {
    const words = this.#store.cells.words[segmentOfCell(cell)]
    if (((words[wordOf(cell) + Word.Meta] >>> FORM_SHIFT) & 0xff) !== Form.Extent) return undefined
    return this.#extent(cell)
  }

  #extent(cell: Cell): Extent {
    const words = this.#store.cells.words[segmentOfCell(cell)]
    const at = wordOf(cell) + V
    const high = words[at + 1]
    return { part: high >>> 16, offset: (words[at] >>> 0) + (high & 0xffff) * TWO_32 }
  }

  #makeShort(cell: Cell, length: number, before: number): void {
    this.read(cell, this.#slice)
    const held = this.#slice.copy()
    this.release(cell)
    this.#form(cell, Form.Short, length)
    const target = this.#store.cells.bytes[segmentOfCell(cell)]
    const to = (wordOf(cell) + V) << 2
    target.set(held, to)
    target.fill(0, to + before, to + length)
  }

  #makeText(cell: Cell): void {
    const words = this.#store.cells.words[segmentOfCell(cell)]
    const at = wordOf(cell)
    const form = (words[at + Word.Meta] >>> FORM_SHIFT) & 0xff
    if (form === Form.Text) return
    const length = this.length(cell)
    const { texts } = this.#store
    const ref = texts.create(length)
    if (form === Form.Extent) {
      const { part, offset } = this.#extent(cell)
      for (let done = 0; done < length; done += PIECE) {
        const count = Math.min(PIECE, length - done)
        this.#store.extents.read(part, offset + done, count, this.#slice)
        texts.write(ref, length, done, this.#slice.bytes, this.#slice.at, this.#slice.end)
      }
    } else {
      this.read(cell, this.#slice)
      texts.write(ref, length, 0, this.#slice.bytes, this.#slice.at, this.#slice.end)
    }
    this.#form(cell, Form.Text, 0)
    words[at + V] = ref
    words[at + V + 1] = length
  }
}

/** Bytes read at once of a value that is to be changed. */
const PIECE = 8 * LARGEST

const LONGEST_INTEGER = 20

/** An integer of 64 bits as servers take it: no sign but `-`, no zero in front; undefined when it is none. */
export function parseInt64(text: Slice): bigint | undefined {
  if (text.bytes === PASSED_OVER) return undefined
  const value = integerIn(text.bytes, text.at, text.end)
  return value === undefined ? undefined : BigInt(value)
}
