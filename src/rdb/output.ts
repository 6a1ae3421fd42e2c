import { constants } from 'node:buffer'
import { Crc64 } from '../bytes/crc64.ts'
import { integerIn } from '../bytes/decimal.ts'
import { JobError } from '../bytes/errors.ts'
import type { Slice } from '../values/slice.ts'
import { compressLzf } from './encodings/lzf.ts'
import type { ValueOutput } from './encodings/output.ts'
import { INT8, INT16, INT32, LZF } from './strings.ts'

const SMALLEST = 1 << 16
/** A buffer that had to grow further, for one large value, is not kept. */
const LARGEST_KEPT = 8 << 20
/** What is held back goes out all the same, where that is allowed, once it has grown to so many bytes. */
const HELD_BACK = 1 << 20

/** Texts that are longer are no integer of 32 bits. */
const LONGEST_INTEGER = 11
const LOWEST_INTEGER = -0x8000_0000
const HIGHEST_INTEGER = 0x7fff_ffff
/** Servers try to compress what is longer, and keep it when that saves four bytes. */
const LONGEST_UNCOMPRESSED = 20
const LEAST_SAVED = 4
/** Up to here a loop is faster than the call that copies, by measurement. */
const FEW = 32

const NOTHING = new Uint8Array(0)
const OCTETS = new Uint8Array(8)
const VIEW = new DataView(OCTETS.buffer)

/**
 * Bytes of an RDB on their way out, with their checksum: they gather in a buffer that the owner drains.
 *
 *     taken | pending | held back |
 *           0         held        at
 *
 * What is held back can still be changed: a type that is not known yet, a count that comes late.
 */
export class Output implements ValueOutput {
  readonly #compress: boolean
  readonly #crc = new Crc64()
  #bytes: Uint8Array = new Uint8Array(SMALLEST)
  /** What `take` gave last, to be written next. */
  #spare: Uint8Array = new Uint8Array(SMALLEST)
  #at = 0
  /** Index from which on it is held back; -1 when nothing is. */
  #held = -1
  #strictly = false
  /** Bytes before index 0. */
  #before = 0

  /** @param compress whether strings are compressed where that saves something */
  constructor(compress: boolean) {
    this.#compress = compress
  }

  /** Bytes written so far, taken or not: the offset of the next one. */
  get size(): number {
    return this.#before + this.#at
  }

  /** Bytes that `take` would give. */
  get pending(): number {
    if (this.#held < 0 || (!this.#strictly && this.#at - this.#held > HELD_BACK)) return this.#at
    return this.#held
  }

  /** What is ready: a view, valid until the next call of `take`. What is written meanwhile stands elsewhere. */
  take(): Uint8Array {
    const to = this.pending
    if (to === 0) return NOTHING
    const full = this.#bytes
    this.#crc.update(full, 0, to)
    const rest = this.#at - to
    this.#bytes = this.#spare.length >= rest ? this.#spare : new Uint8Array(full.length)
    this.#bytes.set(full.subarray(to, this.#at))
    this.#spare = full.length <= LARGEST_KEPT ? full : new Uint8Array(SMALLEST)
    this.#before += to
    // Negative: it is gone.
    this.#held = this.#held < 0 ? -1 : this.#held - to
    this.#at = rest
    return full.subarray(0, to)
  }

  /** Ends with the checksum of all bytes. */
  finish(): void {
    this.#crc.update(this.#bytes, 0, this.#at)
    this.int64(BigInt.asIntN(64, this.#crc.value()))
  }

  /** Holds back what comes from now on, however much it becomes, until `loosen` or `release`. */
  hold(): void {
    this.#held = this.#at
    this.#strictly = true
  }

  /** What is held back may go out when it is more than 1 MiB. */
  loosen(): void {
    this.#strictly = false
  }

  release(): void {
    this.#held = -1
  }

  /** Takes back what was held back. False when part of it was taken already. */
  undo(): boolean {
    if (this.#held < 0) return false
    this.#at = this.#held
    this.#held = -1
    return true
  }

  /** Whether the byte at `offset` can still be changed. */
  has(offset: number): boolean {
    return offset >= this.#before
  }

  /** Changes the byte at `offset`, which is held back. */
  change(offset: number, byte: number): void {
    this.#bytes[offset - this.#before] = byte
  }

  /** Puts a length in the place of `size` bytes at `offset`, which are held back; what stands behind them moves. */
  replace(offset: number, size: number, length: number): void {
    const needed = lengthBytes(length)
    this.#room(needed)
    const at = offset - this.#before
    const end = this.#at
    if (needed !== size) this.#bytes.copyWithin(at + needed, at + size, end)
    this.#at = at
    this.length(length)
    this.#at = end + needed - size
  }

  byte(value: number): void {
    const buffer = this.#room(1)
    buffer[this.#at++] = value
  }

  /** A number in the length encoding, in its shortest form; of 64 bits at most, unsigned. */
  length(value: number | bigint): void {
    if (typeof value === 'bigint') {
      if (value <= 0xffff_ffffn) {
        this.length(Number(value))
      } else {
        this.byte(0x81)
        this.uint64(value)
      }
      return
    }
    const buffer = this.#room(9)
    let at = this.#at
    if (value < 0x40) {
      buffer[at++] = value
    } else if (value < 0x4000) {
      buffer[at++] = 0x40 | (value >> 8)
      buffer[at++] = value
    } else {
      if (value > 0xffff_ffff) {
        buffer[at++] = 0x81
        at = putUint32(buffer, at, Math.floor(value / 0x1_0000_0000))
      } else {
        buffer[at++] = 0x80
      }
      at = putUint32(buffer, at, value)
    }
    this.#at = at
  }

  /** A signed integer of 64 bits, low byte first. */
  int64(value: bigint): void {
    VIEW.setBigInt64(0, value, true)
    this.#octets()
  }

  /** An unsigned integer of 64 bits, high byte first. */
  uint64(value: bigint): void {
    VIEW.setBigUint64(0, value, false)
    this.#octets()
  }

  /** Low byte first. */
  double(value: number): void {
    VIEW.setFloat64(0, value, true)
    this.#octets()
  }

  #octets(): void {
    const buffer = this.#room(8)
    const at = this.#at
    for (let i = 0; i < 8; i++) buffer[at + i] = OCTETS[i]
    this.#at = at + 8
  }

  /** Bytes as they are. */
  raw(bytes: Uint8Array, from: number, to: number): void {
    const length = to - from
    const buffer = this.#room(length)
    const at = this.#at
    if (length <= FEW) for (let i = 0; i < length; i++) buffer[at + i] = bytes[from + i]
    else buffer.set(bytes.subarray(from, to), at)
    this.#at = at + length
  }

  /** A string in the encoding that servers choose: as an integer, compressed, or as it is. */
  text(value: Slice): void {
    this.string(value.bytes, value.at, value.end)
  }

  /** The same for `bytes[from, to)`. */
  string(bytes: Uint8Array, from: number, to: number): void {
    if (to > bytes.length) throw new RangeError('a text whose bytes are not there')
    const length = to - from
    if (length <= LONGEST_INTEGER) {
      // Neither `-` nor a digit: most texts are known by their first character.
      if (bytes[from] <= 0x39 && this.#integer(bytes, from, to)) return
    } else if (length > LONGEST_UNCOMPRESSED && this.#compress && this.#compressed(bytes, from, to)) {
      return
    }
    this.length(length)
    this.raw(bytes, from, to)
  }

  #integer(bytes: Uint8Array, from: number, to: number): boolean {
    const value = integerIn(bytes, from, to)
    if (typeof value !== 'number' || value < LOWEST_INTEGER || value > HIGHEST_INTEGER) return false
    const buffer = this.#room(5)
    let at = this.#at
    if (value >= -0x80 && value <= 0x7f) {
      buffer[at++] = INT8
      buffer[at++] = value
    } else {
      const short = value >= -0x8000 && value <= 0x7fff
      buffer[at++] = short ? INT16 : INT32
      buffer[at++] = value
      buffer[at++] = value >> 8
      if (!short) {
        buffer[at++] = value >> 16
        buffer[at++] = value >> 24
      }
    }
    this.#at = at
    return true
  }

  #compressed(bytes: Uint8Array, from: number, to: number): boolean {
    const length = to - from
    const most = length - LEAST_SAVED
    const head = 1 + lengthBytes(most) + lengthBytes(length)
    const buffer = this.#room(head + most)
    const at = this.#at
    // Behind the largest head that it can get, so that it seldom has to move.
    const size = compressLzf(bytes, from, to, buffer, at + head)
    if (size === 0) return false
    const saved = lengthBytes(most) - lengthBytes(size)
    if (saved > 0) buffer.copyWithin(at + head - saved, at + head, at + head + size)
    buffer[at] = LZF
    this.#at = at + 1
    this.length(size)
    this.length(length)
    this.#at += size
    return true
  }

  /** The buffer, with room for so many bytes at `#at`. */
  #room(size: number): Uint8Array {
    if (this.#at + size > this.#bytes.length) this.#grow(size)
    return this.#bytes
  }

  #grow(size: number): void {
    const needed = this.#at + size
    if (needed > constants.MAX_LENGTH)
      throw new JobError('rdb.memory', `a value takes more than ${constants.MAX_LENGTH} bytes of memory`)
    const larger = new Uint8Array(Math.min(Math.max(2 * this.#bytes.length, needed), constants.MAX_LENGTH))
    larger.set(this.#bytes.subarray(0, this.#at))
    this.#bytes = larger
  }
}

/** Bytes of a length in its shortest form. */
function lengthBytes(value: number): number {
  return value < 0x40 ? 1 : value < 0x4000 ? 2 : value <= 0xffff_ffff ? 5 : 9
}

function putUint32(buffer: Uint8Array, at: number, value: number): number {
  buffer[at] = value >>> 24
  buffer[at + 1] = value >>> 16
  buffer[at + 2] = value >>> 8
  buffer[at + 3] = value
  return at + 4
}
