import { Slice } from '../values/slice.ts'

const NO_VIEW = new DataView(new ArrayBuffer(0))

/** Bytes that may stand in a part of the log, where they can be found again. */
export class Argument extends Slice {
  /** Number of the part ({@link Extents.add}) and offset in it; an offset of -1: they stand nowhere. */
  part = 0
  offset = -1
  /** Of a key: {@link hashOf} its bytes, once it is known. */
  hash = 0
  hashed = false
  /** Of a key that was looked for before (`Keyspace.prefetch`), its place there; -1: it was not. */
  place = -1

  #view: DataView = NO_VIEW
  #viewed: Uint8Array | undefined

  /** Its {@link bytes}, for several at once. */
  get view(): DataView {
    const { bytes } = this
    if (this.#viewed !== bytes) {
      this.#viewed = bytes
      this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    }
    return this.#view
  }

  /** Makes it bytes that stand nowhere else. */
  of(bytes: Uint8Array, at = 0, end: number = bytes.length): this {
    this.set(bytes, at, end)
    this.offset = -1
    this.hashed = false
    this.place = -1
    return this
  }

  /** Makes it the bytes of a slice. */
  ofSlice(slice: Slice): this {
    return this.of(slice.bytes, slice.at, slice.end)
  }

  /** Makes it the UTF-8 of a text. */
  ofText(text: string): this {
    return this.of(Buffer.from(text))
  }
}
