import type { Slice } from '../../values/slice.ts'
import { Murmur } from './murmur.ts'

/*
 * What stands in a string that PFADD has made, byte for byte as servers have it:
 *
 *     HYLL  encoding (1)  0 0 0  cached cardinality (8)  registers
 *
 * The highest bit of the cardinality says that it is out of date. There are 16,384 registers: dense, 6 bits each, from the
 * lowest bit of a byte on; or sparse, as a run-length code:
 *
 *     00nnnnnn           n + 1 registers that are 0
 *     01nnnnnn nnnnnnnn  the same
 *     1vvvvvnn           n + 1 registers that are v + 1
 */

export const HEADER = 16
export const REGISTERS = 16384
export const DENSE_SIZE = HEADER + (REGISTERS * 6) / 8
/** Offsets of the cached cardinality, and of its highest byte. */
const CARD = 8
export const OUT_OF_DATE = CARD + 7

const DENSE = 0
const SPARSE = 1
const ENCODING = 4

/** Bits of a hash that choose the register, and those that are left. */
const P = 14
const Q = 64 - P

const LONGEST_ZERO = 64
const LARGEST_VALUE = 32
const LONGEST_VALUE = 4
/** How many codes are looked at when neighbours are put together. */
const LOOKED_AT = 5
/** Bytes by which one register may lengthen a sparse code. */
const GROWTH = 3

const ALPHA = 0.7213475204444817
const TWO_32 = 2 ** 32

/** Which register an element belongs to, and what it makes of it at least. */
export class ElementHash {
  index = 0
  value = 0
  readonly #murmur = new Murmur()

  of(element: Slice): void {
    const murmur = this.#murmur
    murmur.hash(element)
    this.index = murmur.low & (REGISTERS - 1)
    this.value = patternLength(murmur.low, murmur.high)
  }
}

/** A dense one, wherever its bytes are. */
export interface DenseBytes {
  byte(offset: number): number
  setByte(offset: number, value: number): void
}

/** Makes a register of a dense one at least `value`; whether it was less. */
export function raiseRegister(dense: DenseBytes, index: number, value: number): boolean {
  const bit = index * 6
  const p = HEADER + (bit >>> 3)
  const shift = bit & 7
  const first = dense.byte(p)
  if (shift <= 2) {
    if (((first >>> shift) & 0x3f) >= value) return false
    dense.setByte(p, (first & ~(0x3f << shift)) | (value << shift))
    return true
  }
  const next = dense.byte(p + 1)
  if ((((first >>> shift) | (next << (8 - shift))) & 0x3f) >= value) return false
  dense.setByte(p, (first & ~(0x3f << shift)) | (value << shift))
  dense.setByte(p + 1, (next & ~(0x3f >>> (8 - shift))) | (value >>> (8 - shift)))
  return true
}

/** One that is worked on, in memory of its own. */
export class HyperLogLog {
  length = 0
  bytes = new Uint8Array(DENSE_SIZE)
  /** Bytes of a sparse one that becomes dense when it needs more: `hll-sparse-max-bytes`. */
  sparseMost = 0
  readonly #hash = new ElementHash()

  /** One without elements. */
  clear(): void {
    this.length = HEADER
    this.bytes.fill(0, 0, HEADER + 2)
    for (let i = 0; i < 4; i++) this.bytes[i] = MAGIC[i]
    this.bytes[ENCODING] = SPARSE
    this.length = putZeros(this.bytes, HEADER, REGISTERS)
  }

  /** That of a string; false: it is none. */
  load(text: Slice): boolean {
    const { bytes, at, length } = text
    if (!isHyperLogLog(text)) return false
    // What was needed once for something large is not kept.
    if (this.bytes.length < length + GROWTH || this.bytes.length > LARGEST_KEPT) {
      this.bytes = new Uint8Array(Math.max(length + GROWTH + 1, DENSE_SIZE))
    }
    this.bytes.set(bytes.subarray(at, at + length))
    this.bytes[length] = 0
    this.length = length
    return true
  }

  get dense(): boolean {
    return this.bytes[ENCODING] === DENSE
  }

  /** Whether the cardinality is that of the registers. */
  get counted(): boolean {
    return this.bytes[OUT_OF_DATE] < 0x80
  }

  byte(offset: number): number {
    return this.bytes[offset]
  }

  setByte(offset: number, value: number): void {
    this.bytes[offset] = value
  }

  /** The registers have changed. */
  invalidate(): void {
    this.bytes[OUT_OF_DATE] |= 0x80
  }

  /** Adds an element; whether a register has changed, undefined: they are damaged. */
  add(element: Slice): boolean | undefined {
    this.#hash.of(element)
    return this.set(this.#hash.index, this.#hash.value)
  }

  /** Makes a register at least `value`; whether it was less, undefined: they are damaged. */
  set(index: number, value: number): boolean | undefined {
    return this.dense ? raiseRegister(this, index, value) : this.#setSparse(index, value)
  }

  /** Makes each of 16,384 values at least that of its register; false: they are damaged. */
  mergeInto(most: Uint8Array): boolean {
    const { bytes } = this
    if (this.dense) {
      for (let i = 0; i < REGISTERS; i++) {
        const value = registerOf(bytes, i)
        if (value > most[i]) most[i] = value
      }
      return true
    }
    let index = 0
    for (let p = HEADER; p < this.length; p += sizeOf(bytes, p)) {
      const run = runOf(bytes, p)
      if (index + run > REGISTERS) return false
      const value = registerValue(bytes, p)
      if (value > 0) for (let i = index; i < index + run; i++) if (value > most[i]) most[i] = value
      index += run
    }
    return index === REGISTERS
  }

  /** False: the registers are damaged. */
  makeDense(): boolean {
    if (this.dense) return true
    const registers = new Uint8Array(REGISTERS)
    if (!this.mergeInto(registers)) return false
    const dense = new Uint8Array(DENSE_SIZE)
    dense.set(this.bytes.subarray(0, HEADER))
    dense[ENCODING] = DENSE
    this.bytes = dense
    this.length = DENSE_SIZE
    for (let i = 0; i < REGISTERS; i++) if (registers[i] > 0) raiseRegister(this, i, registers[i])
    return true
  }

  /** Counts the elements, and keeps their number where it belongs; false: the registers are damaged. */
  count(): boolean {
    const histogram = new Float64Array(64)
    const { bytes } = this
    if (this.dense) for (let i = 0; i < REGISTERS; i++) histogram[registerOf(bytes, i)]++
    else {
      let index = 0
      for (let p = HEADER; p < this.length; p += sizeOf(bytes, p)) {
        const run = runOf(bytes, p)
        histogram[registerValue(bytes, p)] += run
        index += run
      }
      if (index !== REGISTERS) return false
    }
    const count = estimate(histogram)
    // What is no number of 64 bits is what processors make of it.
    const high = count < TWO_63 ? Math.floor(count / TWO_32) : 0x80000000
    const low = count < TWO_63 ? count % TWO_32 : 0
    for (let i = 0; i < 4; i++) {
      bytes[CARD + i] = low >>> (i << 3)
      bytes[CARD + 4 + i] = high >>> (i << 3)
    }
    return true
  }

  #promote(index: number, value: number): boolean | undefined {
    return this.makeDense() ? raiseRegister(this, index, value) : undefined
  }

  #setSparse(index: number, value: number): boolean | undefined {
    if (value > LARGEST_VALUE) return this.#promote(index, value)
    const { bytes, length } = this
    let p = HEADER
    let before = -1
    let first = 0
    let run = 0
    while (p < length) {
      run = runOf(bytes, p)
      if (index < first + run) break
      before = p
      p += sizeOf(bytes, p)
      first += run
    }
    if (p >= length) return undefined
    const old = registerValue(bytes, p)
    if (old >= value) return false
    if (run === 1 && !isXzero(bytes, p)) bytes[p] = valueCode(value, 1)
    else {
      let end = putRun(SPLIT, 0, old, index - first)
      SPLIT[end++] = valueCode(value, 1)
      end = putRun(SPLIT, end, old, first + run - 1 - index)
      const size = sizeOf(bytes, p)
      const change = end - size
      if (change > 0 && length + change > this.sparseMost) return this.#promote(index, value)
      this.#grow(change)
      this.bytes.copyWithin(p + end, p + size, length)
      for (let i = 0; i < end; i++) this.bytes[p + i] = SPLIT[i]
      this.length += change
    }
    this.#join(before < 0 ? HEADER : before)
    this.invalidate()
    return true
  }

  #grow(by: number): void {
    if (this.length + by < this.bytes.length) return
    const grown = new Uint8Array((this.length + by) * 2)
    grown.set(this.bytes)
    this.bytes = grown
  }

  /** Puts runs of the same value together, as far as servers do it. */
  #join(from: number): void {
    const { bytes } = this
    let p = from
    for (let left = LOOKED_AT; left > 0 && p < this.length; left--) {
      const code = bytes[p]
      if (code < 0x80) {
        p += sizeOf(bytes, p)
        continue
      }
      const next = p + 1 < this.length ? bytes[p + 1] : 0
      if ((code & 0xfc) === (next & 0xfc)) {
        const run = (code & 3) + (next & 3) + 2
        if (run <= LONGEST_VALUE) {
          bytes.copyWithin(p, p + 1, this.length)
          bytes[p] = (code & 0xfc) | (run - 1)
          this.length--
          continue
        }
      }
      p++
    }
  }
}

const MAGIC = [0x48, 0x59, 0x4c, 0x4c]
const LARGEST_KEPT = 1 << 16
const TWO_63 = 2 ** 63
/** What one code is split into. */
const SPLIT = new Uint8Array(8)

/** Whether a string may be one: sparse registers are looked at when they are used. */
function isHyperLogLog(text: Slice): boolean {
  if (!hasHeader(text)) return false
  const encoding = text.bytes[text.at + ENCODING]
  return encoding === SPARSE || (encoding === DENSE && text.length === DENSE_SIZE)
}

/** Whether these are the first bytes of a dense one. */
export function isDenseHeader(text: Slice): boolean {
  return hasHeader(text) && text.bytes[text.at + ENCODING] === DENSE
}

function hasHeader({ bytes, at, length }: Slice): boolean {
  if (length < HEADER) return false
  for (let i = 0; i < 4; i++) if (bytes[at + i] !== MAGIC[i]) return false
  return true
}

function isXzero(bytes: Uint8Array, p: number): boolean {
  return (bytes[p] & 0xc0) === 0x40
}

function sizeOf(bytes: Uint8Array, p: number): number {
  return isXzero(bytes, p) ? 2 : 1
}

function runOf(bytes: Uint8Array, p: number): number {
  const code = bytes[p]
  if (code >= 0x80) return (code & 3) + 1
  return code >= 0x40 ? (((code & 0x3f) << 8) | bytes[p + 1]) + 1 : code + 1
}

function registerValue(bytes: Uint8Array, p: number): number {
  const code = bytes[p]
  return code >= 0x80 ? ((code >>> 2) & 0x1f) + 1 : 0
}

function valueCode(value: number, run: number): number {
  return 0x80 | ((value - 1) << 2) | (run - 1)
}

/** Writes the code for a run, which may be empty; where it ends. */
function putRun(bytes: Uint8Array, p: number, value: number, run: number): number {
  if (run === 0) return p
  if (value === 0) return putZeros(bytes, p, run)
  bytes[p] = valueCode(value, run)
  return p + 1
}

function putZeros(bytes: Uint8Array, p: number, run: number): number {
  if (run <= LONGEST_ZERO) {
    bytes[p] = run - 1
    return p + 1
  }
  bytes[p] = 0x40 | ((run - 1) >>> 8)
  bytes[p + 1] = run - 1
  return p + 2
}

function registerOf(bytes: Uint8Array, index: number): number {
  const bit = index * 6
  const p = HEADER + (bit >>> 3)
  const shift = bit & 7
  // Behind the last register nothing is there, and nothing of it is wanted.
  return ((bytes[p] >>> shift) | (bytes[p + 1] << (8 - shift))) & 0x3f
}

/** Of the bits of a hash behind the first fourteen, how many there are up to the first that is 1; at most 51. */
function patternLength(low: number, high: number): number {
  const rest = low >>> P
  if (rest !== 0) return trailingZeros(rest) + 1
  return high === 0 ? Q + 1 : trailingZeros(high) + 32 - P + 1
}

function trailingZeros(word: number): number {
  return 31 - Math.clz32(word & -word)
}

/** How many elements there were, of which registers have so many of each value (O. Ertl, arXiv:1702.01284). */
function estimate(histogram: Float64Array): number {
  let z = REGISTERS * tau((REGISTERS - histogram[Q + 1]) / REGISTERS)
  for (let i = Q; i >= 1; i--) {
    z += histogram[i]
    z *= 0.5
  }
  z += REGISTERS * sigma(histogram[0] / REGISTERS)
  const count = (ALPHA * REGISTERS * REGISTERS) / z
  const whole = Math.floor(count)
  return count - whole >= 0.5 ? whole + 1 : whole
}

function sigma(of: number): number {
  if (of === 1) return Number.POSITIVE_INFINITY
  let x = of
  let y = 1
  let z = x
  for (;;) {
    x *= x
    const before = z
    z += x * y
    y += y
    if (before === z) return z
  }
}

function tau(of: number): number {
  if (of === 0 || of === 1) return 0
  let x = of
  let y = 1
  let z = 1 - x
  for (;;) {
    x = Math.sqrt(x)
    const before = z
    y *= 0.5
    z -= (1 - x) * (1 - x) * y
    if (before === z) return z / 3
  }
}
