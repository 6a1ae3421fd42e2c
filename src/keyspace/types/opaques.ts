import type { Magic } from '../../rdb/format.ts'
import { type Cell, segmentOfCell, Word, wordOf } from '../cells.ts'
import type { Ref } from '../memory.ts'
import type { Storage } from '../storage.ts'

/*
 * Values that cannot be interpreted, kept as places in the log: the encoded value of an RDB or of a RESTORE, if there is
 * one, and the commands that came for it since, in their order. A value keeps what it was before beneath it, when a
 * command of which nothing is known met a key of another kind.
 *
 * The words of its text, the first five of which are those of the cell of what is beneath:
 *
 *     0       form and detail, and kind; 0: nothing is beneath
 *     1-4     its value
 *     5-7     not used
 *     then    a record of 4 words each:
 *             offset: low 32 bits | the rest, part << 16 | length: low 32 bits | the rest, what << 16
 *
 * `what` is the number of the argument that is the key, of a command; of a value VALUE, its magic and its type.
 *
 * The words of the cell: ref of the text, its length in bytes, 1 when commands of any kind are kept (see `isLoose`).
 */
const HEADER = 8
const RECORD = 4
const VALUE = 0x8000
const IS_VALKEY = 0x4000
const TYPE = 0xff
const MOST_POSITION = VALUE - 1
const V = Word.Value
const TWO_32 = 2 ** 32
/** Of a cell: all but the length of its key. */
const NOT_OF_KEY = 0xff00ffff | 0

/** Where bytes stand in a part of the log. */
export interface Place {
  /** Number of the part (`Extents.add`). */
  readonly part: number
  readonly offset: number
  readonly length: number
}

/** An encoded value, as it stands in an RDB. */
export interface EncodedValue extends Place {
  readonly magic: Magic
  readonly type: number
}

/** A command, from its header to its end. */
export interface KeptCommand extends Place {
  /** Number of the argument that is the key, under whatever name it was known then. */
  readonly position: number
}

export class Opaques {
  readonly #store: Storage
  /** Whether there ever was a key for which commands of any kind are kept. */
  anyLoose = false

  constructor(store: Storage) {
    this.#store = store
  }

  /** Makes it one of which nothing is known; the words of the value are void. */
  begin(cell: Cell): void {
    const ref = this.#store.texts.create(HEADER * 4)
    for (let i = 0; i < HEADER; i++) this.#store.texts.setWord(ref, HEADER * 4, i, 0)
    this.#set(cell, ref, HEADER * 4)
    const words = this.#words(cell)
    words[wordOf(cell) + V + 2] = 0
  }

  /** Puts it over what the cell holds, which is found again by {@link uncover}. */
  cover(cell: Cell): void {
    const words = this.#words(cell)
    const at = wordOf(cell)
    const before = [words[at + Word.Meta] & NOT_OF_KEY]
    for (let i = 0; i < 4; i++) before.push(words[at + V + i])
    this.begin(cell)
    const ref = words[at + V]
    before.forEach((word, i) => {
      this.#store.texts.setWord(ref, HEADER * 4, i, word)
    })
  }

  /** Gives the value up; true when the cell holds now what was beneath it. */
  uncover(cell: Cell): boolean {
    const words = this.#words(cell)
    const at = wordOf(cell)
    const ref = words[at + V]
    const length = words[at + V + 1] >>> 0
    const { texts } = this.#store
    const meta = texts.word(ref, length, 0)
    if (meta !== 0) {
      words[at + Word.Meta] = (words[at + Word.Meta] & ~NOT_OF_KEY) | meta
      for (let i = 0; i < 4; i++) words[at + V + i] = texts.word(ref, length, 1 + i)
    }
    texts.free(ref, length)
    return meta !== 0
  }

  /** Makes one that has just begun the same as another one, but for what is beneath. */
  copy(from: Cell, to: Cell): void {
    for (let i = 0; i < this.records(from); i++) {
      const record = this.#record(from, i)
      this.#add(to, record)
    }
    const loose = this.isLoose(from)
    if (loose) this.loosen(to)
  }

  /** Whether something is beneath it. */
  covers(cell: Cell): boolean {
    const words = this.#words(cell)
    const at = wordOf(cell)
    return this.#store.texts.word(words[at + V], words[at + V + 1] >>> 0, 0) !== 0
  }

  /**
   * Whether nothing is known of what it may hold, so that commands of every kind are kept. Otherwise it is a value of a
   * module, and other commands are refused.
   */
  isLoose(cell: Cell): boolean {
    return this.#words(cell)[wordOf(cell) + V + 2] === 1
  }

  loosen(cell: Cell): void {
    this.#words(cell)[wordOf(cell) + V + 2] = 1
    this.anyLoose = true
  }

  /** The encoded value from which it started; before any command. */
  setValue(cell: Cell, { part, offset, length, magic, type }: EncodedValue): void {
    this.#add(cell, [part, offset, length, VALUE | (magic === 'VALKEY' ? IS_VALKEY : 0) | type])
  }

  /** @throws RangeError beyond argument 32,767, which no command has for its key */
  addCommand(cell: Cell, { part, offset, length, position }: KeptCommand): void {
    if (position > MOST_POSITION) throw new RangeError(`the key is argument ${position}`)
    this.#add(cell, [part, offset, length, position])
  }

  /** The encoded value from which it started; undefined when commands made it. */
  value(cell: Cell): EncodedValue | undefined {
    if (this.records(cell) === 0) return undefined
    const [part, offset, length, what] = this.#record(cell, 0)
    if ((what & VALUE) === 0) return undefined
    return { part, offset, length, magic: what & IS_VALKEY ? 'VALKEY' : 'REDIS', type: what & TYPE }
  }

  /** How many commands came for it. */
  commands(cell: Cell): number {
    return this.records(cell) - (this.value(cell) === undefined ? 0 : 1)
  }

  /** Command `i` of them. */
  command(cell: Cell, i: number): KeptCommand {
    const first = this.value(cell) === undefined ? 0 : 1
    const [part, offset, length, position] = this.#record(cell, first + i)
    return { part, offset, length, position }
  }

  records(cell: Cell): number {
    const bytes = this.#words(cell)[wordOf(cell) + V + 1] >>> 0
    return (bytes / 4 - HEADER) / RECORD
  }

  #record(cell: Cell, i: number): [part: number, offset: number, length: number, what: number] {
    const words = this.#words(cell)
    const ref = words[wordOf(cell) + V]
    const size = words[wordOf(cell) + V + 1] >>> 0
    const word = (k: number) => this.#store.texts.word(ref, size, HEADER + i * RECORD + k)
    const place = word(1)
    const rest = word(3)
    return [
      place >>> 16,
      (word(0) >>> 0) + (place & 0xffff) * TWO_32,
      (word(2) >>> 0) + (rest & 0xffff) * TWO_32,
      rest >>> 16,
    ]
  }

  #add(cell: Cell, [part, offset, length, what]: readonly [number, number, number, number]): void {
    const { texts } = this.#store
    const words = this.#words(cell)
    const at = wordOf(cell)
    const before = words[at + V + 1] >>> 0
    const size = before + RECORD * 4
    const ref = texts.extend(words[at + V], before, size)
    this.#set(cell, ref, size)
    const first = before / 4
    texts.setWord(ref, size, first, offset | 0)
    texts.setWord(ref, size, first + 1, Math.floor(offset / TWO_32) | (part << 16))
    texts.setWord(ref, size, first + 2, length | 0)
    texts.setWord(ref, size, first + 3, Math.floor(length / TWO_32) | (what << 16))
  }

  #set(cell: Cell, ref: Ref, length: number): void {
    const words = this.#words(cell)
    words[wordOf(cell) + V] = ref
    words[wordOf(cell) + V + 1] = length | 0
  }

  #words(cell: Cell): Int32Array {
    return this.#store.cells.words[segmentOfCell(cell)]
  }
}
