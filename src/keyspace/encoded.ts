import { FormatError, JobError } from '../bytes/errors.ts'
import { escapeName } from '../bytes/escape.ts'
import { HashTemplates } from '../rdb/encodings/template.ts'
import type { Magic } from '../rdb/format.ts'
import { ValueReader } from '../rdb/value-reader.ts'
import type { ElementSink } from '../values/elements.ts'
import { Slice } from '../values/slice.ts'
import { type Cell, segmentOfCell, Word, wordOf } from './cells.ts'
import { type Extents, ReadAhead } from './extents.ts'
import type { Storage } from './storage.ts'
import type { EncodedValue } from './types/opaques.ts'

/*
 * Values of an RDB that nobody has asked for stay where they stand. The words of the cell:
 *
 *     0, 1   offset: low 32 bits | the rest, part << 16
 *     2, 3   length: low 32 bits | the rest, what << 16
 *
 * `what` is its magic and its type.
 */
const V = Word.Value
const TWO_32 = 2 ** 32
const IS_VALKEY = 0x4000
const TYPE = 0xff

/** Bytes of a longer value are not read at once. */
const PIECE = 1 << 18

/** Where an encoded value stands: to be filled (`Keyspace.encoded`). */
export class EncodedPlace implements EncodedValue {
  part = 0
  offset = 0
  length = 0
  magic: Magic = 'REDIS'
  type = 0
}

export class EncodedValues {
  readonly #store: Storage
  readonly #extents: Extents
  readonly #ahead: ReadAhead
  readonly #reader = new ValueReader(new HashTemplates())
  readonly #slice = new Slice()
  #piece = new Uint8Array(0)

  constructor(store: Storage) {
    this.#store = store
    this.#extents = store.extents
    this.#ahead = new ReadAhead(store.extents)
  }

  /** Writes where the value stands into a cell, whose words are void. */
  set(cell: Cell, { part, offset, length, magic, type }: EncodedValue): void {
    const words = this.#store.cells.words[segmentOfCell(cell)]
    const at = wordOf(cell) + V
    words[at] = offset | 0
    words[at + 1] = Math.floor(offset / TWO_32) | (part << 16)
    words[at + 2] = length | 0
    words[at + 3] = Math.floor(length / TWO_32) | (((magic === 'VALKEY' ? IS_VALKEY : 0) | type) << 16)
  }

  /** Reads it from there. */
  read(cell: Cell, place: EncodedPlace): void {
    const words = this.#store.cells.words[segmentOfCell(cell)]
    const at = wordOf(cell) + V
    place.part = words[at + 1] >>> 16
    place.offset = (words[at] >>> 0) + (words[at + 1] & 0xffff) * TWO_32
    place.length = (words[at + 2] >>> 0) + (words[at + 3] & 0xffff) * TWO_32
    const what = words[at + 3] >>> 16
    place.magic = what & IS_VALKEY ? 'VALKEY' : 'REDIS'
    place.type = what & TYPE
  }

  /**
   * Gives the elements of an encoded value: with the memory of the largest one. The sink must not ask for another one
   * meanwhile.
   *
   * @param ends whether the sink is told of the end
   * @throws JobError `input.changed` when it cannot be decoded, which is known of no value in a keyspace
   */
  decode({ part, offset, length, magic, type }: EncodedValue, sink: ElementSink, ends: boolean): void {
    const reader = this.#reader
    try {
      reader.begin(magic, type, offset, sink)
      if (length <= PIECE) {
        const slice = this.#slice
        this.#ahead.read(part, offset, length, slice)
        reader.feed(slice.bytes, slice.at, slice.end)
      } else this.#feedPieces(part, offset, length)
      if (ends) reader.finish()
    } catch (error) {
      if (!(error instanceof FormatError)) throw error
      const name = escapeName(this.#extents.source(part).name)
      throw new JobError(
        'input.changed',
        `${name} was changed while it was read: the value at ${offset} is another one now (${error.message})`,
      )
    }
  }

  #feedPieces(part: number, offset: number, length: number): void {
    if (this.#piece.length === 0) this.#piece = new Uint8Array(PIECE)
    for (let done = 0; done < length; done += PIECE) {
      const piece = this.#piece.subarray(0, Math.min(PIECE, length - done))
      this.#extents.fill(part, offset + done, piece)
      this.#reader.feed(piece, 0, piece.length)
    }
  }
}
