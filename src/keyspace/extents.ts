import { JobError } from '../bytes/errors.ts'
import { escapeName } from '../bytes/escape.ts'
import type { KeptSource } from '../bytes/source.ts'
import { PASSED_OVER } from '../values/elements.ts'
import type { Slice } from '../values/slice.ts'

/** Bytes read at once: values that stand one behind the other are read together. */
const READ = 64 * 1024
const MOST_PARTS = 2 ** 16

/**
 * The sources of a log's parts, by number, for values that stand in them. They stay open as long as the keyspace is
 * asked.
 */
export class Extents {
  readonly #sources: KeptSource[] = []
  /**
   * Of what is {@link read}, and of strings and long elements in memory, only the length is given (`PASSED_OVER`): for
   * those who count.
   */
  passOver = false
  readonly #ahead = new ReadAhead(this)

  /**
   * The number of a part whose values may be referred to; of one that is added again at once, the same.
   *
   * @throws JobError `replay.parts` beyond 65,536 parts: cells have 16 bits for the number
   */
  add(source: KeptSource): number {
    if (this.#sources.at(-1) !== source) {
      if (this.#sources.length === MOST_PARTS) {
        throw new JobError('replay.parts', `a log of more than ${MOST_PARTS} parts cannot be replayed`)
      }
      this.#sources.push(source)
    }
    return this.#sources.length - 1
  }

  source(part: number): KeptSource {
    return this.#sources[part]
  }

  /** Makes the slice the bytes that stand there; void after the next call. */
  read(part: number, offset: number, length: number, slice: Slice): void {
    if (this.passOver) {
      slice.set(PASSED_OVER, 0, length)
      return
    }
    this.#ahead.read(part, offset, length, slice)
  }

  /** Fills `target` with what stands there. */
  fill(part: number, offset: number, target: Uint8Array): void {
    if (this.fillSome(part, offset, target) < target.length) this.missing(part, offset)
  }

  /** The same with as much as there is before the end of the part; the number of bytes. */
  fillSome(part: number, offset: number, target: Uint8Array): number {
    return this.#sources[part].readAtSync(target, offset)
  }

  /** Throws: what was there ends before this offset now. */
  missing(part: number, offset: number): never {
    const name = escapeName(this.#sources[part].name)
    throw new JobError(
      'input.shrank',
      `${name} became shorter while it was read: ${offset} is behind its end`,
    )
  }
}

/** Reads what stands in parts, and more at once when it is asked for in its order. */
export class ReadAhead {
  readonly #extents: Extents
  readonly #buffer = new Uint8Array(READ)
  #part = -1
  #from = 0
  #to = 0

  constructor(extents: Extents) {
    this.#extents = extents
  }

  /** Makes the slice the bytes that stand there; void after the next call. */
  read(part: number, offset: number, length: number, slice: Slice): void {
    if (length > READ / 2) {
      const room = slice.room(length)
      this.#extents.fill(part, offset, room.subarray(slice.at, slice.end))
      return
    }
    if (part !== this.#part || offset < this.#from || offset + length > this.#to) {
      // Reading on pays when values are asked for in their order, and only then.
      const inOrder = part === this.#part && offset >= this.#to && offset < this.#to + READ
      const count = inOrder ? READ : length
      this.#part = part
      this.#from = offset
      this.#to = offset + this.#extents.fillSome(part, offset, this.#buffer.subarray(0, count))
      if (this.#to < offset + length) this.#extents.missing(part, offset)
    }
    slice.set(this.#buffer, offset - this.#from, offset - this.#from + length)
  }
}
