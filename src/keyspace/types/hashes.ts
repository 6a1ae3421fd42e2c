import { type ElementSink, NO_EXPIRY } from '../../values/elements.ts'
import { Slice } from '../../values/slice.ts'
import type { Argument } from '../argument.ts'
import type { Cell } from '../cells.ts'
import { Members, type Walk } from '../members.ts'
import type { Storage } from '../storage.ts'
import { get32, packedSize, put32, sizeOf, Values } from '../values.ts'

/** Before the value of a field that expires: this, then when (8), in milliseconds since 1970. */
const EXPIRES = 0xff
const EXPIRY_SIZE = 9

function fieldSize(bytes: Uint8Array, at: number): number {
  return bytes[at] === EXPIRES ? EXPIRY_SIZE + packedSize(bytes, at + EXPIRY_SIZE) : packedSize(bytes, at)
}

function valueAt(bytes: Uint8Array, at: number): number {
  return bytes[at] === EXPIRES ? at + EXPIRY_SIZE : at
}

function expiryAt(bytes: Uint8Array, at: number): bigint {
  if (bytes[at] !== EXPIRES) return NO_EXPIRY
  return (BigInt(get32(bytes, at + 5)) << 32n) | BigInt(get32(bytes, at + 1) >>> 0)
}

function putExpiry(bytes: Uint8Array, at: number, atMs: bigint): void {
  bytes[at] = EXPIRES
  put32(bytes, at + 1, Number(BigInt.asIntN(32, atMs)))
  put32(bytes, at + 5, Number(BigInt.asIntN(64, atMs) >> 32n))
}

/** Hashes: fields with values, some of which expire. */
export class Hashes {
  /** Whether any field was ever given an expiry. */
  mayExpire = false
  readonly #members: Members
  readonly #values: Values
  readonly #walk: Walk
  readonly #value = new Slice()
  readonly #freeValue: (bytes: Uint8Array, at: number) => void

  constructor(store: Storage) {
    this.#members = new Members(store, fieldSize)
    this.#values = new Values(store)
    this.#walk = this.#members.walk()
    this.#freeValue = (bytes, at) => this.#values.free(bytes, valueAt(bytes, at))
  }

  begin(cell: Cell): void {
    this.#members.begin(cell)
  }

  release(cell: Cell): void {
    this.#members.release(cell, this.#freeValue)
  }

  length(cell: Cell): number {
    return this.#members.count(cell)
  }

  has(cell: Cell, field: Argument): boolean {
    return this.#members.find(cell, field)
  }

  /** Makes the slice the field's value, void after the next change; false when there is no such field. */
  get(cell: Cell, field: Argument, slice: Slice): boolean {
    const members = this.#members
    if (!members.find(cell, field)) return false
    this.#values.read(members.bytes, valueAt(members.bytes, members.payload), slice)
    return true
  }

  /**
   * Gives a field a value, whether there was one or not; true when it is new.
   * @param keepExpiry otherwise it expires no more
   */
  set(cell: Cell, field: Argument, value: Argument, keepExpiry = false): boolean {
    const members = this.#members
    const size = sizeOf(value)
    if (!members.find(cell, field)) {
      members.add(cell, field, size)
      this.#values.put(members.bytes, members.view, members.payload, value)
      return true
    }
    const { bytes, payload } = members
    this.#freeValue(bytes, payload)
    const expiry = keepExpiry ? expiryAt(bytes, payload) : NO_EXPIRY
    const before = expiry === NO_EXPIRY ? 0 : EXPIRY_SIZE
    members.resize(cell, before + size)
    if (before > 0) putExpiry(members.bytes, members.payload, expiry)
    this.#values.put(members.bytes, members.view, members.payload + before, value)
    return false
  }

  /** Whether it was there. */
  delete(cell: Cell, field: Argument): boolean {
    const members = this.#members
    if (!members.find(cell, field)) return false
    this.#freeValue(members.bytes, members.payload)
    members.remove(cell)
    return true
  }

  /** When a field expires, in milliseconds since 1970; `NO_EXPIRY`: never, or it is not there. */
  expiry(cell: Cell, field: Argument): bigint {
    const members = this.#members
    return members.find(cell, field) ? expiryAt(members.bytes, members.payload) : NO_EXPIRY
  }

  /** @param atMs `NO_EXPIRY`: never. False when there is no such field */
  setExpiry(cell: Cell, field: Argument, atMs: bigint): boolean {
    this.mayExpire = true
    const members = this.#members
    if (!members.find(cell, field)) return false
    const at = valueAt(members.bytes, members.payload)
    const value = members.bytes.slice(at, at + packedSize(members.bytes, at))
    const before = atMs === NO_EXPIRY ? 0 : EXPIRY_SIZE
    members.resize(cell, before + value.length)
    if (before > 0) putExpiry(members.bytes, members.payload, atMs)
    members.bytes.set(value, members.payload + before)
    return true
  }

  /** A walk through the fields, whose payloads {@link valueOf} and {@link expiryOf} understand. */
  walk(): Walk {
    return this.#members.walk()
  }

  /** The value of the field at which a walk is. */
  valueOf(walk: Walk, slice: Slice): void {
    this.#values.read(walk.bytes, valueAt(walk.bytes, walk.payload), slice)
  }

  expiryOf(walk: Walk): bigint {
    return expiryAt(walk.bytes, walk.payload)
  }

  emit(cell: Cell, sink: ElementSink): void {
    sink.begin('hash', this.length(cell))
    const walk = this.#walk
    for (walk.begin(cell); walk.next(); ) {
      this.valueOf(walk, this.#value)
      sink.field(walk.name, this.#value, this.expiryOf(walk))
    }
  }
}
