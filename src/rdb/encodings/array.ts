import { corrupt } from '../../bytes/errors.ts'
import type { ElementSink } from '../../values/elements.ts'
import { scoreTextShortest } from '../../values/score.ts'
import { Slice } from '../../values/slice.ts'
import type { Cursor } from '../cursor.ts'
import type { Odd } from './packed.ts'

/**
 * An array (Redis 8.8): what stands in its slots, by rising index, and where the next insertion goes.
 *
 *     length count   length 0, or length 1 and length index of the last insertion
 *     count times:   length index   length tag   string (tags 0 and 3), 8 bytes signed (1), double (2)
 *
 * Numbers have low bytes first. Servers keep a text as a number only where the number gives the same text.
 */

const TEXT = 0
const INTEGER = 1
const DOUBLE = 2
const SHORT_TEXT = 3

const LARGEST_INDEX = (1n << 64n) - 2n
/** What the index of the last insertion is before there was one. */
const NO_INSERTION = (1n << 64n) - 1n

/** Servers print smaller integers in full. */
const FULL_INTEGERS = 2 ** 52

/** The text of a slot that is kept as a double: as servers print it, and with a fraction in any case. */
function doubleText(number: number): string {
  const isFull = Number.isInteger(number) && Math.abs(number) < FULL_INTEGERS && !Object.is(number, -0)
  const text = isFull ? String(number) : scoreTextShortest(number)
  return Number.isFinite(number) && !/[.e]/.test(text) ? `${text}.0` : text
}

/** Decodes arrays, slot by slot. Odd are `rdb.array.order` of indexes, and `rdb.array.number` for what no text gives. */
export class ArrayReader {
  readonly #value = new Slice()
  #odd: Odd | undefined
  #begun = false
  #left = 0
  #last = -1n

  /** Begins with a value. */
  begin(odd: Odd | undefined): void {
    this.#odd = odd
    this.#begun = false
    this.#last = -1n
  }

  /**
   * Takes the next part from the cursor; true after the last one. When the bytes run out on the way, nothing has
   * changed but the cursor.
   *
   * @throws FormatError `rdb.tag`, `rdb.array.index`
   */
  step(cursor: Cursor, sink: ElementSink): boolean {
    if (this.#begun) {
      this.#readSlot(cursor, sink)
      return --this.#left === 0
    }
    const count = cursor.length()
    const { offset } = cursor
    const said = cursor.length()
    if (said > 1) throw corrupt('rdb.tag', offset, `${said} where a tag is expected`)
    const last = said === 1 ? cursor.length64() : NO_INSERTION
    this.#begun = true
    this.#left = count
    if (last !== NO_INSERTION) sink.next(last + 1n)
    return count === 0
  }

  #readSlot(cursor: Cursor, sink: ElementSink): void {
    const value = this.#value
    const { offset } = cursor
    const index = cursor.length64()
    const tagOffset = cursor.offset
    const tag = cursor.length()
    if (tag === TEXT || tag === SHORT_TEXT) cursor.string(value)
    else if (tag === INTEGER) value.integer(cursor.int64())
    else if (tag === DOUBLE) this.#readDouble(cursor)
    else throw corrupt('rdb.tag', tagOffset, `${tag} where a tag is expected`)
    if (index > LARGEST_INDEX) throw corrupt('rdb.array.index', offset, `no slot has the index ${index}`)
    if (index <= this.#last)
      this.#odd?.('rdb.array.order', offset, `the slot ${index} stands behind ${this.#last}`)
    this.#last = index
    sink.slot(index, value)
  }

  #readDouble(cursor: Cursor): void {
    const { offset } = cursor
    const number = cursor.double()
    if (!Number.isFinite(number)) this.#odd?.('rdb.array.number', offset, `the number ${number} in a slot`)
    const text = doubleText(number)
    const bytes = this.#value.room(text.length)
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i)
  }
}
