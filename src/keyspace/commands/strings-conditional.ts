import { xxh3 } from '../../bytes/xxh3.ts'
import { Slice } from '../../values/slice.ts'
import type { Call } from '../call.ts'
import { type Cell, CellKind } from '../cells.ts'
import type { Keyspace } from '../keyspace.ts'
import { Rejection, SYNTAX, WRONGTYPE } from '../rejection.ts'
import { EX, EXAT, PX, PXAT, setTime, type TimeForm, timeAt } from './expiry.ts'
import { type Handlers, nothing } from './handler.ts'
import { putString, stringAt } from './strings.ts'

/*
 * Commands that set, keep or delete strings on conditions, and when they expire. Conditions of newer servers (IFEQ of
 * Valkey 8.1, the others of Redis 8.4) count whatever the server: where they stand in a log, somebody knew them.
 */

type Condition = 'IFEQ' | 'IFNE' | 'IFDEQ' | 'IFDNE'

/** What is said behind a key and its value. One object, which is filled again and again. */
class Options {
  onlyNew = false
  onlyOld = false
  get = false
  keep = false
  persist = false
  form: TimeForm | undefined
  /** Argument of the time. */
  time = 0
  condition: Condition | undefined
  /** Argument that the condition compares with. */
  operand = 0

  /** Arguments from `i` on; false: they are no such options. @param allowed whether what only SET takes is allowed */
  read(call: Call, from: number, allowed: 'set' | 'getex' | 'msetex'): boolean {
    this.onlyNew = false
    this.onlyOld = false
    this.get = false
    this.keep = false
    this.persist = false
    this.form = undefined
    this.condition = undefined
    for (let i = from; i < call.argc; i++) {
      const form = timeForm(call, i)
      if (form !== undefined) {
        // The same one may be given again: the last counts.
        if (this.keep || this.persist || (this.form ?? form) !== form || ++i === call.argc) return false
        this.form = form
        this.time = i
      } else if (allowed === 'getex') {
        if (this.form !== undefined || !call.is(i, 'PERSIST')) return false
        this.persist = true
      } else if (call.is(i, 'KEEPTTL') && this.form === undefined) this.keep = true
      else if (call.is(i, 'NX') && !this.onlyOld && this.condition === undefined) this.onlyNew = true
      else if (call.is(i, 'XX') && !this.onlyNew && this.condition === undefined) this.onlyOld = true
      else if (allowed !== 'set') return false
      else if (call.is(i, 'GET')) this.get = true
      else {
        const condition = conditionAt(call, i)
        if (condition === undefined || this.condition !== undefined || this.onlyNew || this.onlyOld)
          return false
        if (++i === call.argc) return false
        this.condition = condition
        this.operand = i
      }
    }
    return true
  }
}

const OPTIONS = new Options()
const TEXT = new Slice()

function timeForm(call: Call, i: number): TimeForm | undefined {
  if (call.is(i, 'PXAT')) return PXAT
  if (call.is(i, 'EX')) return EX
  if (call.is(i, 'PX')) return PX
  return call.is(i, 'EXAT') ? EXAT : undefined
}

function conditionAt(call: Call, i: number): Condition | undefined {
  const word = call.word(i)
  return word === 'IFEQ' || word === 'IFNE' || word === 'IFDEQ' || word === 'IFDNE' ? word : undefined
}

const DIGEST_DIGITS = 16
const BAD_DIGEST = new Rejection('ERR must be exactly 16 hexadecimal characters')

/** Whether a digest that the condition is given has as many digits as it must have. */
function isFit(call: Call, condition: Condition, operand: number): boolean {
  return condition === 'IFEQ' || condition === 'IFNE' || call.at(operand).length === DIGEST_DIGITS
}

/** Whether the string of the cell is as the condition has it. */
function holds(call: Call, keyspace: Keyspace, cell: Cell, condition: Condition, operand: number): boolean {
  keyspace.strings.read(cell, TEXT)
  const given = call.at(operand)
  switch (condition) {
    case 'IFEQ':
      return TEXT.equals(given)
    case 'IFNE':
      return !TEXT.equals(given)
    default: {
      const digest = xxh3(TEXT.copy()).toString(16).padStart(DIGEST_DIGITS, '0')
      return (digest === call.word(operand).toLowerCase()) === (condition === 'IFDEQ')
    }
  }
}

// biome-ignore lint/suspicious/noConfusingVoidType: as Handler
function set(call: Call, keyspace: Keyspace): Rejection | void {
  const options = OPTIONS
  if (!options.read(call, 3, 'set')) return SYNTAX
  const { condition, operand, form } = options
  let time: number | bigint | undefined
  if (form !== undefined) {
    const given = timeAt(call, keyspace, options.time, form, 'set', true)
    if (given instanceof Rejection) return given
    time = given
  }
  if (options.onlyNew || options.onlyOld || options.get || condition !== undefined) {
    if (condition !== undefined && !isFit(call, condition, operand)) return BAD_DIGEST
    const cell = stringAt(call, keyspace)
    if (cell === undefined && (options.get || condition !== undefined)) return WRONGTYPE
    if (cell === 0) {
      if (options.onlyOld || condition === 'IFEQ' || condition === 'IFDEQ') return
    } else if (options.onlyNew) return
    else if (condition !== undefined && !holds(call, keyspace, cell as Cell, condition, operand)) return
  }
  const cell = putString(keyspace, call.at(1), call.value(2), options.keep)
  if (time !== undefined) setTime(keyspace, cell, time)
}

// biome-ignore lint/suspicious/noConfusingVoidType: as Handler
function setWithTime(call: Call, keyspace: Keyspace, form: TimeForm, name: string): Rejection | void {
  const time = timeAt(call, keyspace, 2, form, name, true)
  if (time instanceof Rejection) return time
  setTime(keyspace, putString(keyspace, call.at(1), call.value(3)), time)
}

const BAD_NUMBER_OF_KEYS = new Rejection('ERR invalid numkeys value or out of range')

export const CONDITIONAL_STRINGS: Handlers = {
  set,
  setex: (call, keyspace) => setWithTime(call, keyspace, EX, 'setex'),
  psetex: (call, keyspace) => setWithTime(call, keyspace, PX, 'psetex'),

  getex(call, keyspace) {
    const options = OPTIONS
    if (!options.read(call, 2, 'getex')) return SYNTAX
    const { form, persist } = options
    const cell = stringAt(call, keyspace)
    if (form === undefined) {
      if (cell === undefined) return WRONGTYPE
      if (cell !== 0 && persist) keyspace.clearExpiry(cell)
      return
    }
    const time = timeAt(call, keyspace, options.time, form, 'getex', true)
    // What servers look at first.
    if (keyspace.server === 'valkey-9.1' && time instanceof Rejection) return time
    if (cell === undefined) return WRONGTYPE
    if (cell === 0) return
    if (time instanceof Rejection) return time
    setTime(keyspace, cell, time)
  },

  /** Of Valkey 9.1 and of Redis 8.4, which mean the same by it. */
  msetex(call, keyspace) {
    const count = call.argc < 4 ? 0 : call.number(1)
    if (!(count >= 1 && count < 2 ** 31)) return BAD_NUMBER_OF_KEYS
    const behind = 2 + 2 * count
    const options = OPTIONS
    if (behind > call.argc || !options.read(call, behind, 'msetex')) return SYNTAX
    let time: number | bigint | undefined
    if (options.form !== undefined) {
      const given = timeAt(call, keyspace, options.time, options.form, 'msetex', true)
      if (given instanceof Rejection) return given
      time = given
    }
    const { onlyNew, onlyOld, keep } = options
    if (onlyNew || onlyOld) {
      for (let i = 2; i < behind; i += 2) if ((keyspace.findKey(call.at(i)) === 0) === onlyOld) return
    }
    for (let i = 2; i < behind; i += 2) {
      const cell = putString(keyspace, call.at(i), call.value(i + 1), keep)
      if (time !== undefined) setTime(keyspace, cell, time)
    }
  },

  /** Of Valkey 9. */
  delifeq(call, keyspace) {
    if (call.argc !== 3) return wrongArity('delifeq')
    const cell = stringAt(call, keyspace)
    if (cell === undefined) return WRONGTYPE
    if (cell !== 0 && holds(call, keyspace, cell, 'IFEQ', 2)) keyspace.remove(cell)
  },

  /** Of Redis 8.4, which logs it as DEL. */
  delex(call, keyspace) {
    if (call.argc !== 2 && call.argc !== 4) return wrongArity('delex')
    const cell = keyspace.find(call.at(1))
    if (call.argc === 2) {
      if (cell !== 0) keyspace.remove(cell)
      return
    }
    const condition = conditionAt(call, 2)
    if (condition === undefined) return SYNTAX
    if (!isFit(call, condition, 3)) return BAD_DIGEST
    if (cell === 0) return
    if (keyspace.kind(cell) !== CellKind.String) return WRONGTYPE
    if (holds(call, keyspace, cell, condition, 3)) keyspace.remove(cell)
  },

  /** Reads; of servers that are newer than the tables of commands. */
  digest: nothing,
}

function wrongArity(command: string): Rejection {
  return new Rejection(`ERR wrong number of arguments for '${command}' command`)
}
