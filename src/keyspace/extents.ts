import { JobError } from '../bytes/errors.ts'
import { escapeName } from '../bytes/escape.ts'
import type { KeptSource } from '../bytes/source.ts'
import { PASSED_OVER } from '../values/elements.ts'
import type { Slice } from '../values/slice.ts'

/** Bytes read at once: values that stand one behind the other are read together. */
const READ = 64 * 1024

/**
 * The sources of a log's parts, by number, for values that stand in them. They stay open as long as the keyspace is
 * asked.
 */
export class Extents {
  readonly #sources: KeptSource[] = []
  /** Of what is {@link read}, only the length is given (`PASSED_OVER`): for those who count. */
  passOver = false
  readonly #buffer = new Uint8Array(READ)
  #part = -1
  #from = 0
  #to = 0

  /** The number of a part whose values may be referred to. */
  add(source: KeptSource): number {
    this.#sources.push(source)
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
    if (length > READ / 2) {
      const room = slice.room(length)
      this.#fill(part, offset, room.subarray(slice.at, slice.end))
      return
    }
    if (part !== this.#part || offset < this.#from || offset + length > this.#to) {
      // Reading on pays when values are asked for in their order, and only then.
      const inOrder = part === this.#part && offset >= this.#to && offset < this.#to + READ
      const count = inOrder ? READ : length
      this.#part = part
      this.#from = offset
      this.#to = offset + this.#read(part, offset, this.#buffer.subarray(0, count))
      if (this.#to < offset + length) this.#missing(part, offset)
    }
    slice.set(this.#buffer, offset - this.#from, offset - this.#from + length)
  }

  /** Fills `target` with what stands there. */
  fill(part: number, offset: number, target: Uint8Array): void {
    this.#fill(part, offset, target)
  }

  #fill(part: number, offset: number, target: Uint8Array): void {
    if (this.#read(part, offset, target) < target.length) this.#missing(part, offset)
  }

  #read(part: number, offset: number, target: Uint8Array): number {
    return this.#sources[part].readAtSync(target, offset)
  }

  #missing(part: number, offset: number): never {
    const name = escapeName(this.#sources[part].name)
    throw new JobError(
      'input.shrank',
      `${name} became shorter while it was read: ${offset} is behind its end`,
    )
  }
}
