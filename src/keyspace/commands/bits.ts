import { INT64_MAX, integerIn } from '../../bytes/decimal.ts'
import { Slice } from '../../values/slice.ts'
import { Argument } from '../argument.ts'
import type { Call } from '../call.ts'
import { type Cell, CellKind } from '../cells.ts'
import type { Keyspace } from '../keyspace.ts'
import { NOT_AN_INTEGER, Rejection, SYNTAX, WRONGTYPE } from '../rejection.ts'
import type { Handlers } from './handler.ts'

/**
 * Bits of the longest string, of 512 MiB. Servers that load a log take any offset, but what stands in one was within
 * `proto-max-bulk-len`, whose default this is.
 */
const MOST_BITS = 2 ** 32
const BAD_OFFSET = new Rejection('ERR bit offset is not an integer or out of range')
const BAD_BIT = new Rejection('ERR bit is not an integer or out of range')
const BAD_TYPE = new Rejection(
  'ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.',
)
const BAD_OVERFLOW = new Rejection('ERR Invalid OVERFLOW type specified')
const ONE_SOURCE = new Rejection('ERR BITOP NOT must be called with a single source key.')

const TEXT = new Slice()
const PIECE = new Argument()

/** The cell of a string of at least so many bytes, which is made or made longer; 0: the key holds another kind. */
function stringOf(call: Call, keyspace: Keyspace, length: number): Cell {
  const cell = keyspace.open(call.at(1), CellKind.String)
  if (cell !== 0 && keyspace.strings.length(cell) < length) {
    keyspace.strings.write(cell, length - 1, PIECE.of(ZERO))
  }
  return cell
}

const ZERO = new Uint8Array(1)

/** The bit where something begins; undefined when it is out of range. @param bits what `#` counts in; 0: it is no number */
function offsetAt(call: Call, i: number, bits: number): number | undefined {
  const argument = call.at(i)
  const counted = bits > 0 && argument.length > 0 && argument.bytes[argument.at] === 0x23
  const number = integerIn(argument.bytes, argument.at + (counted ? 1 : 0), argument.end)
  if (number === undefined) return undefined
  let offset = counted ? Number(number) * bits : Number(number)
  // Servers count on in 64 bits.
  if (counted && !Number.isSafeInteger(offset)) {
    offset = Number(BigInt.asIntN(64, BigInt(number) * BigInt(bits)))
  }
  return offset < 0 || offset >= MOST_BITS ? undefined : offset
}

const U = 0x75
const I = 0x69

const Overflow = { Wrap: 0, Saturate: 1, Fail: 2 } as const
type Overflow = (typeof Overflow)[keyof typeof Overflow]

/** What BITFIELD does to a field; of those that one command has, the objects are used again by the next one. */
class FieldChange {
  signed = false
  bits = 0
  offset = 0
  overflow: Overflow = Overflow.Wrap
  /** Whether the operand is added to what is there. */
  added = false
  /** A bigint where numbers would not be exact: {@link isNarrow}. */
  operand: number | bigint = 0
}
const CHANGES: FieldChange[] = []
/** More of them are not kept. */
const MOST_KEPT = 64

/** Makes argument `i` the field's type; false when it is none. */
function readType(call: Call, i: number, field: FieldChange): boolean {
  const { bytes, at, end } = call.at(i)
  const signed = bytes[at] === I
  if (at === end || (!signed && bytes[at] !== U)) return false
  const size = integerIn(bytes, at + 1, end)
  if (size === undefined || size < 1 || size > (signed ? 64 : 63)) return false
  field.signed = signed
  field.bits = Number(size)
  return true
}

function overflowAt(call: Call, i: number): Overflow | undefined {
  if (call.is(i, 'WRAP')) return Overflow.Wrap
  if (call.is(i, 'SAT')) return Overflow.Saturate
  return call.is(i, 'FAIL') ? Overflow.Fail : undefined
}

/** Reads the changes that BITFIELD asks for into {@link CHANGES}: how many they are. */
function readChanges(call: Call): number | Rejection {
  let count = 0
  let overflow: Overflow = Overflow.Wrap
  if (CHANGES.length > MOST_KEPT) CHANGES.length = MOST_KEPT
  for (let i = 2; i < call.argc; ) {
    const left = call.argc - i - 1
    const isGet = call.is(i, 'GET')
    const added = call.is(i, 'INCRBY')
    if (call.is(i, 'OVERFLOW') && left >= 1) {
      const given = overflowAt(call, i + 1)
      if (given === undefined) return BAD_OVERFLOW
      overflow = given
      i += 2
      continue
    }
    if (isGet ? left < 2 : !(added || call.is(i, 'SET')) || left < 3) return SYNTAX
    if (count === CHANGES.length) CHANGES.push(new FieldChange())
    const field = CHANGES[count]
    if (!readType(call, i + 1, field)) return BAD_TYPE
    const offset = offsetAt(call, i + 2, field.bits)
    if (offset === undefined) return BAD_OFFSET
    i += 3
    if (isGet) continue
    field.offset = offset
    field.overflow = overflow
    field.added = added
    const number = call.number(i)
    const operand = isNarrow(field, number) ? number : call.int64(i)
    if (operand === undefined) return NOT_AN_INTEGER
    field.operand = operand
    i++
    count++
  }
  return count
}

/** Such fields, and what is added to them, are exact as numbers. */
const MOST_NARROW_BITS = 48
const MOST_NARROW = 2 ** 52

/** Whether a change can be reckoned in numbers. @param operand NaN: it is none */
function isNarrow({ signed, bits, added }: FieldChange, operand: number): boolean {
  // An operand below zero counts without a sign as what its 64 bits are.
  return bits <= MOST_NARROW_BITS && Math.abs(operand) <= MOST_NARROW && (signed || added || operand >= 0)
}

/** The same as {@link fitted}, in numbers; NaN: it does not fit, and is not to be made to. */
function fittedNarrow(value: number, { signed, bits, overflow }: FieldChange): number {
  const all = 2 ** bits
  const most = signed ? all / 2 - 1 : all - 1
  const least = signed ? -all / 2 : 0
  if (value >= least && value <= most) return value
  if (overflow === Overflow.Fail) return Number.NaN
  if (overflow === Overflow.Saturate) return value > most ? most : least
  // With or without a sign, it has the same bits.
  return ((value % all) + all) % all
}

/** The same as {@link change}, in numbers. */
function changeNarrow(keyspace: Keyspace, cell: Cell, field: FieldChange, operand: number): void {
  const { offset, bits, signed, added } = field
  const first = Math.floor(offset / 8)
  const last = Math.floor((offset + bits - 1) / 8)
  const behind = (last + 1) * 8 - offset - bits
  keyspace.strings.readRange(cell, first, last + 1, TEXT)
  const { bytes, at } = TEXT
  const count = last - first + 1
  for (let i = 0; i < count; i++) FIELD[i] = bytes[at + i]
  const inFirst = 0xff >>> (offset % 8)
  let value = operand
  if (added) {
    let before = FIELD[0] & inFirst
    if (count === 1) before >>>= behind
    else {
      for (let i = 1; i < count - 1; i++) before = before * 256 + FIELD[i]
      before = before * (256 >>> behind) + (FIELD[count - 1] >>> behind)
    }
    if (signed && before >= 2 ** (bits - 1)) before -= 2 ** bits
    value += before
  }
  value = fittedNarrow(value, field)
  if (Number.isNaN(value)) return
  let rest = value < 0 ? value + 2 ** bits : value
  // From the last byte on; of the first and the last one, a part stays.
  for (let i = count - 1; i >= 0; i--) {
    const shift = i === count - 1 ? behind : 0
    const size = 256 >>> shift
    const mask = (i === 0 ? inFirst : 0xff) & (0xff << shift)
    FIELD[i] = (FIELD[i] & ~mask) | (((rest % size) << shift) & mask)
    rest = Math.floor(rest / size)
  }
  keyspace.strings.write(cell, first, PIECE.of(FIELD, 0, count))
}

/** The value as a field of this type; undefined: it does not fit, and is not to be made to. */
function fitted(value: bigint, { signed, bits, overflow, added }: FieldChange): bigint | undefined {
  const wrapped = signed ? BigInt.asIntN(bits, value) : BigInt.asUintN(bits, value)
  if (wrapped === value || overflow === Overflow.Wrap) return wrapped
  if (overflow === Overflow.Fail) return undefined
  const most = (1n << BigInt(signed ? bits - 1 : bits)) - 1n
  if (value > 0n) return most
  if (!signed) return 0n
  // Servers take what is left up to the largest in 64 bits: of an operand far below zero it overflows.
  return !added && most - value > INT64_MAX ? most : -most - 1n
}

/** Bytes of a field of 64 bits that begins within a byte. */
const MOST_BYTES = 9
const FIELD = new Uint8Array(MOST_BYTES)

function change(keyspace: Keyspace, cell: Cell, field: FieldChange): void {
  const { offset, bits, signed, added, operand } = field
  if (typeof operand === 'number') {
    changeNarrow(keyspace, cell, field, operand)
    return
  }
  const first = Math.floor(offset / 8)
  const last = Math.floor((offset + bits - 1) / 8)
  const behind = BigInt((last + 1) * 8 - offset - bits)
  let all = 0n
  keyspace.strings.readRange(cell, first, last + 1, TEXT)
  for (let p = TEXT.at; p < TEXT.end; p++) all = (all << 8n) | BigInt(TEXT.bytes[p])
  let value: bigint | undefined
  if (added) {
    const before = all >> behind
    value = fitted((signed ? BigInt.asIntN(bits, before) : BigInt.asUintN(bits, before)) + operand, field)
  } else {
    // An operand below zero counts as what its bits are without a sign.
    value = fitted(signed ? operand : BigInt.asUintN(64, operand), field)
  }
  if (value === undefined) return
  const mask = ((1n << BigInt(bits)) - 1n) << behind
  all = (all & ~mask) | ((value << behind) & mask)
  for (let i = last - first; i >= 0; i--) {
    FIELD[i] = Number(all & 0xffn)
    all >>= 8n
  }
  keyspace.strings.write(cell, first, PIECE.of(FIELD, 0, last - first + 1))
}

type Operation = 'AND' | 'OR' | 'XOR' | 'NOT' | 'DIFF' | 'DIFF1' | 'ANDOR' | 'ONE'
/** The last four came with Redis 8.2. A log in which they stand is one of a server that knows them. */
const OPERATIONS = new Set<string>(['AND', 'OR', 'XOR', 'NOT', 'DIFF', 'DIFF1', 'ANDOR', 'ONE'])
/** The first source has a part of its own in these. */
const FIRST_APART = new Set<string>(['DIFF', 'DIFF1', 'ANDOR'])

/** Bytes that are combined at once, and words of four. */
const CHUNK = 4096
const CHUNK_WORDS = CHUNK / 4

/** A piece of a string, four bytes at a time; behind its end there are zeros. */
class Piece {
  readonly words = new Int32Array(CHUNK_WORDS)
  readonly bytes = new Uint8Array(this.words.buffer)

  read({ strings }: Keyspace, cell: Cell, from: number): void {
    const count = cell === 0 ? 0 : Math.max(0, Math.min(strings.length(cell) - from, CHUNK))
    if (count > 0) {
      strings.readRange(cell, from, from + count, TEXT)
      this.bytes.set(TEXT.bytes.subarray(TEXT.at, TEXT.end))
    }
    this.bytes.fill(0, count)
  }

  /** Whether the first so many bytes are the same. */
  startsAs(other: Piece, count: number): boolean {
    const { words } = this
    const whole = count >>> 2
    for (let k = 0; k < whole; k++) if (words[k] !== other.words[k]) return false
    for (let k = whole << 2; k < count; k++) if (this.bytes[k] !== other.bytes[k]) return false
    return true
  }
}

/** Combines a piece of each source. */
class Combined extends Piece {
  readonly #first = new Piece()
  readonly #source = new Piece()
  /** Bits that more than one source has. */
  readonly #common = new Int32Array(CHUNK_WORDS)
  readonly #operation: Operation

  constructor(operation: Operation) {
    super()
    this.#operation = operation
  }

  make(keyspace: Keyspace, sources: readonly Cell[], from: number): void {
    if (FIRST_APART.has(this.#operation)) {
      this.#first.read(keyspace, sources[0], from)
      this.words.fill(0)
    } else this.read(keyspace, sources[0], from)
    this.#common.fill(0)
    for (let i = 1; i < sources.length; i++) {
      this.#source.read(keyspace, sources[i], from)
      this.#add(this.#source.words)
    }
    this.#finish()
  }

  #add(words: Int32Array): void {
    const all = this.words
    switch (this.#operation) {
      case 'AND':
        for (let k = 0; k < CHUNK_WORDS; k++) all[k] &= words[k]
        break
      case 'XOR':
        for (let k = 0; k < CHUNK_WORDS; k++) all[k] ^= words[k]
        break
      case 'ONE':
        for (let k = 0; k < CHUNK_WORDS; k++) {
          const word = words[k]
          this.#common[k] |= all[k] & word
          all[k] = (all[k] ^ word) & ~this.#common[k]
        }
        break
      default:
        for (let k = 0; k < CHUNK_WORDS; k++) all[k] |= words[k]
    }
  }

  #finish(): void {
    const all = this.words
    const first = this.#first.words
    switch (this.#operation) {
      case 'NOT':
        for (let k = 0; k < CHUNK_WORDS; k++) all[k] = ~all[k]
        break
      case 'DIFF':
        for (let k = 0; k < CHUNK_WORDS; k++) all[k] = first[k] & ~all[k]
        break
      case 'DIFF1':
        for (let k = 0; k < CHUNK_WORDS; k++) all[k] &= ~first[k]
        break
      case 'ANDOR':
        for (let k = 0; k < CHUNK_WORDS; k++) all[k] &= first[k]
        break
    }
  }
}

/** Gives a string what the sources make; it may be one of them. */
function combine(
  keyspace: Keyspace,
  target: Cell,
  sources: readonly Cell[],
  operation: Operation,
  length: number,
): void {
  const { strings } = keyspace
  const combined = new Combined(operation)
  if (length <= CHUNK) {
    combined.make(keyspace, sources, 0)
    strings.set(target, PIECE.of(combined.bytes, 0, length))
    return
  }
  strings.extend(target, length)
  const there = new Piece()
  for (let from = 0; from < length; from += CHUNK) {
    const count = Math.min(CHUNK, length - from)
    combined.make(keyspace, sources, from)
    // Zeros where there is nothing need no memory.
    there.read(keyspace, target, from)
    if (!combined.startsAs(there, count)) strings.write(target, from, PIECE.of(combined.bytes, 0, count))
  }
}

export const BITS: Handlers = {
  setbit(call, keyspace) {
    let offset = call.number(2)
    if (!(offset >= 0 && offset < MOST_BITS)) {
      const exact = offsetAt(call, 2, 0)
      if (exact === undefined) return BAD_OFFSET
      offset = exact
    }
    const bit = call.number(3)
    if (bit !== 0 && bit !== 1) return BAD_BIT
    const at = Math.floor(offset / 8)
    const cell = stringOf(call, keyspace, at + 1)
    if (cell === 0) return WRONGTYPE
    const mask = 0x80 >>> (offset % 8)
    const before = keyspace.strings.byte(cell, at)
    const after = bit === 1 ? before | mask : before & ~mask
    if (after === before) return
    FIELD[0] = after
    keyspace.strings.write(cell, at, PIECE.of(FIELD, 0, 1))
  },

  bitfield(call, keyspace) {
    const changes = readChanges(call)
    if (changes instanceof Rejection) return changes
    if (changes === 0) {
      const cell = keyspace.find(call.at(1))
      return cell !== 0 && keyspace.kind(cell) !== CellKind.String ? WRONGTYPE : undefined
    }
    let end = 0
    for (let i = 0; i < changes; i++) end = Math.max(end, CHANGES[i].offset + CHANGES[i].bits)
    const cell = stringOf(call, keyspace, Math.ceil(end / 8))
    if (cell === 0) return WRONGTYPE
    for (let i = 0; i < changes; i++) change(keyspace, cell, CHANGES[i])
  },

  bitop(call, keyspace) {
    const operation = call.word(1)
    if (!OPERATIONS.has(operation)) return SYNTAX
    if (operation === 'NOT' && call.argc !== 4) return ONE_SOURCE
    if (FIRST_APART.has(operation) && call.argc < 5) {
      return new Rejection(`ERR BITOP ${operation} must be called with at least two source keys.`)
    }
    const sources: Cell[] = []
    let length = 0
    for (let i = 3; i < call.argc; i++) {
      const cell = keyspace.find(call.at(i))
      if (cell !== 0) {
        if (keyspace.kind(cell) !== CellKind.String) return WRONGTYPE
        length = Math.max(length, keyspace.strings.length(cell))
      }
      sources.push(cell)
    }
    let target = keyspace.find(call.at(2))
    if (length === 0) {
      if (target !== 0) keyspace.remove(target)
      return
    }
    if (target === 0) target = keyspace.create(call.at(2), CellKind.String)
    else {
      keyspace.clearExpiry(target)
      if (!sources.includes(target)) keyspace.replace(target, CellKind.String)
    }
    combine(keyspace, target, sources, operation as Operation, length)
  },
}
