import type { Call } from '../call.ts'
import type { Keyspace } from '../keyspace.ts'
import { NO_SUCH_KEY, Rejection, SYNTAX } from '../rejection.ts'
import { EX, EXAT, PX, PXAT, setTime, type TimeForm, timeAt } from './expiry.ts'
import type { Handlers } from './handler.ts'

// biome-ignore lint/suspicious/noConfusingVoidType: as Handler
function remove(call: Call, keyspace: Keyspace): Rejection | void {
  for (let i = 1; i < call.argc; i++) {
    const cell = keyspace.findKey(call.at(i))
    if (cell !== 0) keyspace.remove(cell)
  }
}

const CONFLICT = new Rejection('ERR NX and XX, GT or LT options at the same time are not compatible')
const GT_AND_LT = new Rejection('ERR GT and LT options at the same time are not compatible')

// biome-ignore lint/suspicious/noConfusingVoidType: as Handler
function expire(call: Call, keyspace: Keyspace, form: TimeForm, name: string): Rejection | void {
  let nx = false
  let xx = false
  let gt = false
  let lt = false
  for (let i = 3; i < call.argc; i++) {
    if (call.is(i, 'NX')) nx = true
    else if (call.is(i, 'XX')) xx = true
    else if (call.is(i, 'GT')) gt = true
    else if (call.is(i, 'LT')) lt = true
    else return new Rejection(`ERR Unsupported option ${call.word(i)}`)
  }
  if (nx && (xx || gt || lt)) return CONFLICT
  if (gt && lt) return GT_AND_LT
  let time = timeAt(call, keyspace, 2, form, name, false)
  if (time instanceof Rejection) return time
  // Others keep such times, and take -1 for none.
  if (time < 0 && keyspace.server === 'valkey-9.1') time = 0
  const cell = keyspace.findKey(call.at(1))
  if (cell === 0) return
  if (nx || xx || gt || lt) {
    const has = keyspace.hasExpiry(cell)
    if (nx ? has : xx && !has) return
    // A key that never expires expires later than any.
    if (gt && (!has || BigInt(time) <= keyspace.expiry(cell))) return
    if (lt && has && BigInt(time) >= keyspace.expiry(cell)) return
  }
  setTime(keyspace, cell, time)
}

const SAME_OBJECT = new Rejection('ERR source and destination objects are the same')
const DB_OUT_OF_RANGE = new Rejection('ERR DB index is out of range')
const NOT_A_DB = new Rejection('ERR value is out of range')
const INVALID_DB = new Rejection('ERR invalid DB index')
const INVALID_FIRST_DB = new Rejection('ERR invalid first DB index')
const INVALID_SECOND_DB = new Rejection('ERR invalid second DB index')

/** The database of argument `i`; undefined when it is no number, -1 when there is no such database. */
function database(call: Call, keyspace: Keyspace, i: number): number | undefined {
  const db = call.number(i)
  if (Number.isNaN(db)) return call.int64(i) === undefined ? undefined : -1
  return db < 0 || db >= keyspace.databases ? -1 : db
}

// biome-ignore lint/suspicious/noConfusingVoidType: as Handler
function rename(call: Call, keyspace: Keyspace, onlyNew: boolean): Rejection | void {
  const cell = keyspace.findKey(call.at(1))
  if (cell === 0) return NO_SUCH_KEY
  const other = keyspace.findKey(call.at(2))
  if (other === cell) return
  if (other !== 0) {
    if (onlyNew) return
    keyspace.remove(other)
  }
  keyspace.rename(cell, call.at(2))
}

const FLUSH_MODES = ['SYNC', 'ASYNC']

export const KEYS: Handlers = {
  del: remove,
  unlink: remove,
  expire: (call, keyspace) => expire(call, keyspace, EX, 'expire'),
  pexpire: (call, keyspace) => expire(call, keyspace, PX, 'pexpire'),
  expireat: (call, keyspace) => expire(call, keyspace, EXAT, 'expireat'),
  pexpireat: (call, keyspace) => expire(call, keyspace, PXAT, 'pexpireat'),

  persist(call, keyspace) {
    const cell = keyspace.findKey(call.at(1))
    if (cell !== 0) keyspace.clearExpiry(cell)
  },

  rename: (call, keyspace) => rename(call, keyspace, false),
  renamenx: (call, keyspace) => rename(call, keyspace, true),

  move(call, keyspace) {
    const db = database(call, keyspace, 2)
    if (db === undefined) return NOT_A_DB
    if (db < 0) return DB_OUT_OF_RANGE
    if (db === keyspace.selected) return SAME_OBJECT
    const cell = keyspace.findKey(call.at(1))
    if (cell === 0 || keyspace.findKey(call.at(1), db) !== 0) return
    keyspace.rename(cell, call.at(1), db)
  },

  copy(call, keyspace) {
    let db = keyspace.selected
    let replace = false
    for (let i = 3; i < call.argc; i++) {
      if (call.is(i, 'REPLACE')) replace = true
      else if (call.is(i, 'DB') && i + 1 < call.argc) {
        const given = database(call, keyspace, ++i)
        if (given === undefined) return NOT_A_DB
        if (given < 0) return DB_OUT_OF_RANGE
        db = given
      } else return SYNTAX
    }
    const cell = keyspace.findKey(call.at(1))
    if (db === keyspace.selected && call.at(1).equals(call.at(2))) return SAME_OBJECT
    if (cell === 0) return
    const other = keyspace.findKey(call.at(2), db)
    if (other !== 0) {
      if (!replace) return
      keyspace.remove(other)
    }
    keyspace.copy(cell, call.at(2), db)
  },

  swapdb(call, keyspace) {
    const first = database(call, keyspace, 1)
    if (first === undefined) return INVALID_FIRST_DB
    const second = database(call, keyspace, 2)
    if (second === undefined) return INVALID_SECOND_DB
    if (first < 0 || second < 0) return DB_OUT_OF_RANGE
    if (first !== second) keyspace.swap(first, second)
  },

  flushdb(call, keyspace) {
    if (call.argc > 2 || (call.argc === 2 && !FLUSH_MODES.includes(call.word(1)))) return SYNTAX
    keyspace.flush(keyspace.selected)
  },

  flushall(call, keyspace) {
    if (call.argc > 2 || (call.argc === 2 && !FLUSH_MODES.includes(call.word(1)))) return SYNTAX
    keyspace.flushAll()
  },

  select(call, keyspace) {
    const db = database(call, keyspace, 1)
    if (db === undefined) return INVALID_DB
    if (db < 0) return DB_OUT_OF_RANGE
    keyspace.selected = db
  },
}
