import { FormatError } from '../bytes/errors.ts'
import { CR, DOLLAR, LF, STAR } from './format.ts'
import { Batch, type Oddity, readHeader, tornBulk } from './scanner.ts'

/** Bytes of a long record that are kept: its name and first arguments are almost always within. */
const HEAD = 1 << 16
/** Arguments whose positions are kept: 16 MiB of memory. */
const MAX_KEPT = 1 << 20
const MAX_ODDITIES = 1000

/**
 * One record larger than the window, read piece by piece in constant memory: values are passed over, positions are
 * kept. Whoever wants the bytes reads them again from the source.
 */
export class LongRecord {
  /** Offset in the part of the record. */
  readonly offset: number
  /** Offset behind it; known once {@link done}. */
  end = -1
  /** Arguments that the header promises, at least 1; -1 until it was read. */
  argc = -1
  /** Arguments read so far. */
  count = 0
  /** Offsets and lengths in bytes of the first {@link kept} arguments. */
  start = new Float64Array(64)
  length = new Float64Array(64)
  kept = 0
  /** The first bytes of the record, beginning at {@link offset}. */
  head = new Uint8Array(0)
  oddities: Oddity[] = []
  done = false
  error: FormatError | undefined

  /** Bytes of the current argument that were not seen yet; -1 while its header is awaited. */
  #left = -1
  /** Its size, and the offset of its header. */
  #size = 0
  #line = 0

  constructor(offset: number) {
    this.offset = offset
  }

  /**
   * Goes on with `bytes[from, end)`; `base + i` is the offset of `bytes[i]`. The index up to which bytes were used: all
   * but an unfinished header or terminator, until {@link done} or {@link error}.
   */
  feed(bytes: Uint8Array, from: number, end: number, final: boolean, base: number): number {
    const p = this.#feed(bytes, from, end, final, base)
    if (this.head.length < HEAD) {
      const piece = bytes.subarray(from, Math.min(p, from + HEAD - this.head.length))
      const head = new Uint8Array(this.head.length + piece.length)
      head.set(this.head)
      head.set(piece, this.head.length)
      this.head = head
    }
    return p
  }

  /**
   * The record as a batch of one, as far as its head goes: its arguments are those that lie whole within, so there may
   * be fewer than {@link argc}.
   */
  asBatch(): Batch {
    const batch = new Batch(this.head.length, 1)
    batch.clear(this.head, this.offset)
    let a = 0
    while (a < this.kept && this.start[a] + this.length[a] <= this.offset + this.head.length) {
      batch.start[a] = this.start[a] - this.offset
      batch.length[a] = this.length[a]
      a++
    }
    batch.count = 1
    batch.record[1] = this.head.length
    batch.first[1] = a
    return batch
  }

  #feed(bytes: Uint8Array, from: number, end: number, final: boolean, base: number): number {
    let p = from
    while (this.count !== this.argc) {
      if (this.#left < 0) {
        const header = readHeader(bytes, p, end, final, this.argc < 0 ? STAR : DOLLAR, base)
        if (header === undefined) return p
        if (header instanceof FormatError) {
          this.error = header
          return p
        }
        if (header.oddity !== undefined) {
          this.#odd({ code: header.oddity, offset: base + p, length: header.next - p })
        }
        this.#line = base + p
        p = header.next
        if (this.argc < 0) this.argc = header.value
        else {
          this.#keep(base + p, header.value)
          this.#left = header.value
          this.#size = header.value
        }
        continue
      }
      const step = Math.min(this.#left, end - p)
      p += step
      this.#left -= step
      if (this.#left > 0 || end - p < 2) {
        if (final) this.error = tornBulk(this.#line, this.#size, this.#size - this.#left + end - p)
        return p
      }
      if (bytes[p] !== CR || bytes[p + 1] !== LF) {
        this.#odd({ code: 'resp.bulk.terminator', offset: base + p, length: 2 })
      }
      p += 2
      this.#left = -1
      this.count++
    }
    this.done = true
    this.end = base + p
    return p
  }

  #odd(oddity: Oddity): void {
    if (this.oddities.length < MAX_ODDITIES) this.oddities.push(oddity)
  }

  #keep(offset: number, size: number): void {
    if (this.kept === MAX_KEPT) return
    if (this.kept === this.start.length) {
      const start = new Float64Array(2 * this.kept)
      start.set(this.start)
      this.start = start
      const length = new Float64Array(2 * this.kept)
      length.set(this.length)
      this.length = length
    }
    this.start[this.kept] = offset
    this.length[this.kept++] = size
  }
}
