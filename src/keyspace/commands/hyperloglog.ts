import { Slice } from '../../values/slice.ts'
import { Argument } from '../argument.ts'
import type { Call } from '../call.ts'
import { type Cell, CellKind } from '../cells.ts'
import type { Keyspace } from '../keyspace.ts'
import { Rejection, WRONGTYPE } from '../rejection.ts'
import {
  DENSE_SIZE,
  type DenseBytes,
  ElementHash,
  HEADER,
  HyperLogLog,
  isDenseHeader,
  OUT_OF_DATE,
  REGISTERS,
  raiseRegister,
} from '../types/hyperloglog.ts'
import type { Handlers } from './handler.ts'

const NOT_ONE = new Rejection('WRONGTYPE Key is not a valid HyperLogLog string value.')
const DAMAGED = new Rejection('INVALIDOBJ Corrupted HLL object detected')
const NO_KEY = new Rejection('ERR The specified key does not exist')

const WORK = new HyperLogLog()
const HASH = new ElementHash()
const MERGED = new Uint8Array(REGISTERS)
const TEXT = new Slice()
const VALUE = new Argument()

/** Takes what the key of argument `i` holds into {@link WORK}: its cell, 0 when there is no such key. */
function load(call: Call, keyspace: Keyspace, i: number): Cell | Rejection {
  WORK.sparseMost = keyspace.hllSparseMaxBytes
  const cell = keyspace.find(call.at(i))
  if (cell === 0) return 0
  if (keyspace.kind(cell) !== CellKind.String) return WRONGTYPE
  keyspace.strings.read(cell, TEXT)
  return WORK.load(TEXT) ? cell : NOT_ONE
}

/** Gives the key what {@link WORK} has become. */
function store(keyspace: Keyspace, cell: Cell): void {
  const value = VALUE.of(WORK.bytes, 0, WORK.length)
  if (keyspace.strings.length(cell) === WORK.length) keyspace.strings.write(cell, 0, value)
  else keyspace.strings.set(cell, value)
}

// biome-ignore lint/suspicious/noConfusingVoidType: as Handler
function count(call: Call, keyspace: Keyspace): Rejection | void {
  if (call.argc > 2) {
    for (let i = 1; i < call.argc; i++) {
      const cell = load(call, keyspace, i)
      if (cell instanceof Rejection) return cell
      if (cell !== 0 && !WORK.mergeInto(MERGED)) return DAMAGED
    }
    return
  }
  const cell = load(call, keyspace, 1)
  if (cell instanceof Rejection) return cell
  if (cell === 0 || WORK.counted) return
  if (!WORK.count()) return DAMAGED
  store(keyspace, cell)
}

/** A dense one in the keyspace: it is changed where it is, whatever its size. */
class DenseString implements DenseBytes {
  readonly #keyspace: Keyspace
  readonly #cell: Cell

  constructor(keyspace: Keyspace, cell: Cell) {
    this.#keyspace = keyspace
    this.#cell = cell
  }

  byte(offset: number): number {
    return this.#keyspace.strings.byte(this.#cell, offset)
  }

  setByte(offset: number, value: number): void {
    this.#keyspace.strings.setByte(this.#cell, offset, value)
  }
}

function isDense(keyspace: Keyspace, cell: Cell): boolean {
  if (keyspace.kind(cell) !== CellKind.String || keyspace.strings.length(cell) !== DENSE_SIZE) return false
  keyspace.strings.readRange(cell, 0, HEADER, TEXT)
  return isDenseHeader(TEXT)
}

function addDense(call: Call, keyspace: Keyspace, cell: Cell): void {
  const dense = new DenseString(keyspace, cell)
  let changed = false
  for (let i = 2; i < call.argc; i++) {
    HASH.of(call.at(i))
    if (raiseRegister(dense, HASH.index, HASH.value)) changed = true
  }
  if (changed) dense.setByte(OUT_OF_DATE, dense.byte(OUT_OF_DATE) | 0x80)
}

export const HYPERLOGLOG: Handlers = {
  pfadd(call, keyspace) {
    const found = keyspace.find(call.at(1))
    if (found !== 0 && isDense(keyspace, found)) return addDense(call, keyspace, found)
    let cell = load(call, keyspace, 1)
    if (cell instanceof Rejection) return cell
    let changed = cell === 0
    if (cell === 0) {
      cell = keyspace.create(call.at(1), CellKind.String)
      WORK.clear()
    }
    let rejection: Rejection | undefined
    for (let i = 2; i < call.argc; i++) {
      const added = WORK.add(call.at(i))
      if (added) changed = true
      else if (added === undefined) {
        // What was added before stays.
        rejection = DAMAGED
        break
      }
    }
    if (!changed) return rejection
    if (rejection === undefined) WORK.invalidate()
    store(keyspace, cell)
    return rejection
  },

  pfcount: count,

  pfmerge(call, keyspace) {
    MERGED.fill(0)
    let dense = false
    for (let i = 1; i < call.argc; i++) {
      const cell = load(call, keyspace, i)
      if (cell instanceof Rejection) return cell
      if (cell === 0) continue
      if (WORK.dense) dense = true
      if (!WORK.mergeInto(MERGED)) return DAMAGED
    }
    let cell = load(call, keyspace, 1) as Cell
    if (cell === 0) {
      cell = keyspace.create(call.at(1), CellKind.String)
      WORK.clear()
    }
    if (dense) WORK.makeDense()
    for (let i = 0; i < REGISTERS; i++) if (MERGED[i] > 0) WORK.set(i, MERGED[i])
    WORK.invalidate()
    store(keyspace, cell)
  },

  /** Two of its forms leave a sparse one dense. */
  pfdebug(call, keyspace) {
    const cell = load(call, keyspace, 2)
    if (cell === 0) return NO_KEY
    if (cell instanceof Rejection) return cell
    const form = call.word(1)
    if (form === 'GETREG' || form === 'TODENSE') {
      if (WORK.dense) return
      if (!WORK.makeDense()) return DAMAGED
      store(keyspace, cell)
    } else if (form === 'DECODE') {
      if (WORK.dense) return new Rejection('ERR HLL encoding is not sparse')
    } else if (form !== 'ENCODING') return new Rejection(`ERR Unknown PFDEBUG subcommand '${form}'`)
  },

  pfselftest() {},
}
