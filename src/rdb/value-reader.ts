import { corrupt } from '../bytes/errors.ts'
import type { ElementSink } from '../values/elements.ts'
import { Cursor, type LeftOut, SHORT } from './cursor.ts'
import { type Decoder, Decoders } from './decoders.ts'
import { LzfCheck } from './encodings/lzf.ts'
import type { Odd } from './encodings/packed.ts'
import type { HashTemplates } from './encodings/template.ts'
import type { Magic } from './format.ts'

export interface ReadOptions {
  /**
   * Strings inside values that take more bytes than this, here or decompressed, are passed over: of them only the
   * length is given. Default: none is, and a string takes as much memory as it has bytes.
   */
  readonly most?: number | undefined
  /** Where to say what is odd about an encoding; absent: not looked for. */
  readonly odd?: Odd | undefined
}

const NO_BYTES = new Uint8Array(0)
/** Bytes that are added at once to those of an element that is not whole yet. */
const LEAST = 256
/** Larger buffers Node.js 20 does not have. */
const LARGEST_CARRY = 0xffff_ffff
/** Of a carry that had to grow further, the room is not kept for the next value. */
const LARGEST_KEPT = 1 << 20

/**
 * Decodes values: the encoded bytes come in pieces of any size, the elements go to a sink, each as soon as all of its
 * bytes are there. What is kept between pieces is an element that is not whole, so a value may be larger than memory.
 *
 *     reader.begin(magic, type, offset, sink)
 *     reader.feed(bytes, at, end)              any number of times
 *     reader.finish()
 *
 * An error ends the value; its sink is not told.
 */
export class ValueReader {
  readonly #cursor: Cursor
  readonly #decoders: Decoders
  readonly #check = new LzfCheck()
  #decoder: Decoder | undefined
  #sink: ElementSink | undefined
  #done = false
  /** Offset in the part of the first byte that no element was made of. */
  #offset = 0

  /** What is there of the next element, when it is not whole: `carry[0, carried)`. */
  #carry: Uint8Array = NO_BYTES
  #carried = 0
  /** Bytes of it that must be there before it is worth another try. */
  #needed = 0
  /** Bytes that are to be passed over next, behind what is carried; and whether they are compressed. */
  #skip = 0
  #checking = false

  constructor(templates: HashTemplates, { most = Number.POSITIVE_INFINITY, odd }: ReadOptions = {}) {
    this.#cursor = new Cursor(most)
    this.#decoders = new Decoders(templates, odd)
  }

  /**
   * Begins with a value of `type` in a file under `magic`, which stands at `offset` in its part.
   *
   * @throws FormatError `rdb.type` when it is of a type that cannot be decoded
   */
  begin(magic: Magic, type: number, offset: number, sink: ElementSink): void {
    this.#sink = sink
    this.#done = false
    this.#offset = offset
    this.#carried = 0
    this.#needed = 0
    this.#skip = 0
    if (this.#carry.length > LARGEST_KEPT) this.#carry = NO_BYTES
    this.#cursor.keepAll()
    this.#decoder = this.#decoders.of(magic, type)
    if (this.#decoder === undefined)
      throw corrupt('rdb.type', offset, `values of type ${type} cannot be decoded`)
    this.#decoder.begin()
  }

  /**
   * Takes the next bytes of the value.
   *
   * @throws FormatError when they cannot be what they claim
   */
  feed(bytes: Uint8Array, at: number, end: number): void {
    while (at < end) {
      if (this.#skip > 0) at += this.#pass(bytes, at, end)
      else if (this.#carried === 0) at = this.#feedWhole(bytes, at, end)
      else at = this.#feedCarry(bytes, at, end)
    }
  }

  /** Decodes from the piece itself, and carries what remains of it, up to a body that is to be left out. */
  #feedWhole(bytes: Uint8Array, at: number, end: number): number {
    const used = this.#run(bytes, at, end)
    const { leaving } = this.#cursor
    const kept = leaving === undefined ? end : used + leaving.at
    if (used < kept) this.#keep(bytes, used, kept)
    if (leaving !== undefined) this.#leave(leaving)
    return kept
  }

  /** Adds to what is carried, and decodes that. */
  #feedCarry(bytes: Uint8Array, at: number, end: number): number {
    // No more than the element is known to need: what follows it need not be copied.
    const count = Math.min(end - at, Math.max(this.#needed - this.#carried, LEAST))
    this.#keep(bytes, at, at + count)
    if (this.#carried < this.#needed) return at + count
    this.#runCarried()
    const { leaving } = this.#cursor
    const kept = leaving === undefined ? 0 : leaving.at
    // What is more than was needed stands in the piece as well.
    const more = this.#carried - kept
    if (leaving === undefined && more > count) return at + count
    this.#carried = kept
    if (leaving !== undefined) this.#leave(leaving)
    return at + count - more
  }

  /**
   * The value has no more bytes.
   *
   * @throws FormatError `rdb.value.end` when it should have
   */
  finish(): void {
    if (!this.#done && this.#decoder?.open !== true)
      throw corrupt('rdb.value.end', this.#offset, 'the value ends too early')
    this.#sink?.end()
  }

  /**
   * Decodes what is whole in `bytes[at, end)`, the first of which is the first that no element was made of. The index
   * behind what was used.
   */
  #run(bytes: Uint8Array, at: number, end: number): number {
    const cursor = this.#cursor
    const decoder = this.#decoder as Decoder
    const sink = this.#sink as ElementSink
    cursor.set(bytes, at, end, this.#offset)
    let from = at
    try {
      while (!this.#done) {
        this.#done = decoder.step(cursor, sink)
        from = cursor.at
        this.#offset = cursor.offset
        cursor.keepAll()
      }
    } catch (error) {
      if (error !== SHORT) throw error
      this.#needed = cursor.leaving === undefined ? cursor.needed - from : 0
      if (cursor.leaving !== undefined) cursor.leaving.at -= from
      return from
    }
    if (from < end)
      throw corrupt('rdb.value.end', this.#offset, `${end - from} bytes behind the end of the value`)
    this.#needed = 0
    return from
  }

  /** The same for what is carried; what was used is given up. */
  #runCarried(): void {
    const used = this.#run(this.#carry, 0, this.#carried)
    if (used > 0) this.#carry.copyWithin(0, used, this.#carried)
    this.#carried -= used
  }

  #keep(bytes: Uint8Array, at: number, end: number): void {
    const size = this.#carried + end - at
    if (size > this.#carry.length) {
      if (size > LARGEST_CARRY)
        throw corrupt(
          'rdb.value.size',
          this.#offset,
          'an element of more than 4 GiB is more than memory takes at once',
        )
      const larger = new Uint8Array(Math.max(Math.min(2 * this.#carry.length, LARGEST_CARRY), size))
      larger.set(this.#carry.subarray(0, this.#carried))
      this.#carry = larger
    }
    this.#carry.set(bytes.subarray(at, end), this.#carried)
    this.#carried = size
  }

  /** Passes over the body of a string, which is to come next. */
  #leave({ at, body, text }: LeftOut): void {
    this.#checking = text !== undefined
    if (text !== undefined) this.#check.begin(body, text, this.#cursor.textOffset)
    this.#cursor.leaveOut(at)
    this.#skip = body
  }

  /** Passes over what is to be left out of `bytes[at, end)`; the number of bytes. */
  #pass(bytes: Uint8Array, at: number, end: number): number {
    const passed = Math.min(this.#skip, end - at)
    if (this.#checking) this.#check.feed(bytes, at, at + passed)
    this.#skip -= passed
    // The element may end with it.
    if (this.#skip === 0) this.#runCarried()
    return passed
  }
}
