import { INT64_MAX } from '../../bytes/decimal.ts'
import { NO_EXPIRY } from '../../values/elements.ts'
import type { Argument } from '../argument.ts'
import type { Call } from '../call.ts'
import { type Cell, CellKind } from '../cells.ts'
import type { Keyspace } from '../keyspace.ts'
import { NOT_AN_INTEGER, Rejection, SYNTAX, WRONGTYPE } from '../rejection.ts'
import { EX, EXAT, invalidTime, PX, PXAT, type TimeForm } from './expiry.ts'
import type { Handlers } from './handler.ts'

/*
 * Fields of hashes that expire. Redis 7.4 and Valkey 9 have commands of the same names, and each its own way to read them
 * and its own limits; what they do then is the same. A field whose time has passed is still there: Valkey sees it so while
 * it loads, and before a server saw it gone, it has logged that.
 */

/** Redis takes times up to this. */
const REDIS_LATEST = 70_368_744_177_663n

/** Which fields a command is about, and what is to become of them. */
interface Request {
  /** Argument of the first. */
  from: number
  /** When they are to expire; undefined: that stays. */
  time: bigint | undefined
  persist: boolean
  keep: boolean
  onlyNew: boolean
  onlyOld: boolean
  onlyNewKey: boolean
  onlyOldKey: boolean
  onlyLater: boolean
  onlyEarlier: boolean
}

function request(from: number, time?: bigint): Request {
  return {
    ...{ from, time, persist: false, keep: false },
    ...{ onlyNew: false, onlyOld: false, onlyNewKey: false, onlyOldKey: false },
    ...{ onlyLater: false, onlyEarlier: false },
  }
}

const NEGATIVE_TIME = new Rejection('ERR invalid expire time, must be >= 0')
const NO_FIELDS = new Rejection('ERR Mandatory argument FIELDS is missing or not at the right position')
const NOT_POSITIVE = new Rejection('ERR Number of fields must be a positive integer')
const NOT_ABOVE_ZERO = new Rejection('ERR Parameter `numFields` should be greater than 0')
const INVALID_COUNT = new Rejection('ERR invalid number of fields')
const OTHER_COUNT = new Rejection('ERR The `numfields` parameter must match the number of arguments')
const BAD_COUNT = new Rejection(
  'ERR numfields should be greater than 0 and match the provided number of fields',
)
const MISSING_TIME = new Rejection('ERR missing expire time')
const TWO_CONDITIONS = new Rejection('ERR Only one of FXX or FNX arguments can be specified')
const TWO_TIMES = new Rejection('ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified')
const CONFLICT = new Rejection('ERR NX and XX, GT or LT options at the same time are not compatible')
const GT_AND_LT = new Rejection('ERR GT and LT options at the same time are not compatible')

const TIMES: Readonly<Record<string, TimeForm>> = { EX, PX, EXAT, PXAT }

function isRedis(keyspace: Keyspace): boolean {
  return keyspace.server.startsWith('redis')
}

function wrongArity(command: string): Rejection {
  return new Rejection(`ERR wrong number of arguments for '${command}' command`)
}

/** The time of argument `i` in milliseconds since 1970. */
function timeAt(
  call: Call,
  keyspace: Keyspace,
  i: number,
  form: TimeForm,
  command: string,
): bigint | Rejection {
  const redis = isRedis(keyspace)
  const latest = redis ? REDIS_LATEST : INT64_MAX
  const given = call.int64(i)
  if (given === undefined) return NOT_AN_INTEGER
  if (given < 0n) return redis ? NEGATIVE_TIME : invalidTime(command)
  const now = form.relative ? BigInt(keyspace.clock) : 0n
  if (form.seconds && given > latest / 1000n) return invalidTime(command)
  const ms = form.seconds ? given * 1000n : given
  return ms > latest - now ? invalidTime(command) : ms + now
}

/** The cell of a hash; 0: there is no such key; undefined: it holds another kind. */
function hashAt(call: Call, keyspace: Keyspace): Cell | undefined {
  const cell = keyspace.find(call.at(1))
  return cell !== 0 && keyspace.kind(cell) !== CellKind.Hash ? undefined : cell
}

/** The first field behind `FIELDS` and their number, which must stand at `i`, as Redis reads it. */
function redisFields(call: Call, i: number, unfit: Rejection): number | Rejection {
  if (i >= call.argc || !call.is(i, 'FIELDS')) return NO_FIELDS
  const count = i + 1 < call.argc ? call.int64(i + 1) : undefined
  if (count === undefined || count < 1n) return unfit
  return count === BigInt(call.argc - i - 2) ? i + 2 : OTHER_COUNT
}

/** Where `FIELDS` stands from `i` on; the last argument when it stands nowhere. Valkey looks for it so. */
function placeOfFields(call: Call, from: number): number {
  let i = from
  while (i < call.argc - 1 && !call.is(i, 'FIELDS')) i++
  return i
}

/** The first field behind the number that must stand at `i`, of which there must be so many, as Valkey reads it. */
function valkeyFields(call: Call, i: number, each: number): number | Rejection {
  if (i >= call.argc) return BAD_COUNT
  const count = call.int64(i)
  if (count === undefined) return NOT_AN_INTEGER
  return count > 0n && count * BigInt(each) === BigInt(call.argc - i - 1) ? i + 1 : BAD_COUNT
}

function expireRequest(call: Call, keyspace: Keyspace, form: TimeForm, command: string): Request | Rejection {
  if (call.argc < 4) return wrongArity(command)
  if (isRedis(keyspace)) {
    if (hashAt(call, keyspace) === undefined) return WRONGTYPE
    const time = timeAt(call, keyspace, 2, form, command)
    if (time instanceof Rejection) return time
    const wanted = request(0, time)
    const conditioned = condition(wanted, call.word(3))
    const from = redisFields(call, conditioned ? 4 : 3, NOT_ABOVE_ZERO)
    if (from instanceof Rejection) return from
    wanted.from = from
    return wanted
  }
  const wanted = request(0)
  const place = placeOfFields(call, 3)
  if (place === call.argc - 1) return BAD_COUNT
  for (let i = 3; i < place; i++) {
    if (!condition(wanted, call.word(i))) return new Rejection(`ERR Unsupported option ${text(call, i)}`)
  }
  const { onlyNew, onlyOld, onlyLater, onlyEarlier } = wanted
  if (onlyNew && (onlyOld || onlyLater || onlyEarlier)) return CONFLICT
  if (onlyLater && onlyEarlier) return GT_AND_LT
  const from = valkeyFields(call, place + 1, 1)
  if (from instanceof Rejection) return from
  const time = timeAt(call, keyspace, 2, form, command)
  if (time instanceof Rejection) return time
  if (hashAt(call, keyspace) === undefined) return WRONGTYPE
  wanted.from = from
  wanted.time = time
  return wanted
}

function condition(wanted: Request, word: string): boolean {
  if (word === 'NX') wanted.onlyNew = true
  else if (word === 'XX') wanted.onlyOld = true
  else if (word === 'GT') wanted.onlyLater = true
  else if (word === 'LT') wanted.onlyEarlier = true
  else return false
  return true
}

function setTime(keyspace: Keyspace, cell: Cell, field: Argument, wanted: Request): void {
  const { hashes } = keyspace
  const time = wanted.time as bigint
  const { onlyNew, onlyOld, onlyLater, onlyEarlier } = wanted
  if (onlyNew || onlyOld || onlyLater || onlyEarlier) {
    const before = hashes.expiry(cell, field)
    if (before === NO_EXPIRY) {
      if (onlyOld || onlyLater) return
    } else if (onlyNew || (onlyLater && time <= before) || (onlyEarlier && time >= before)) return
  }
  hashes.setExpiry(cell, field, time)
}

// biome-ignore lint/suspicious/noConfusingVoidType: as Handler
function expire(call: Call, keyspace: Keyspace, form: TimeForm, command: string): Rejection | void {
  const wanted = expireRequest(call, keyspace, form, command)
  if (wanted instanceof Rejection) return wanted
  const cell = keyspace.find(call.at(1))
  if (cell === 0) return
  for (let i = wanted.from; i < call.argc; i++) setTime(keyspace, cell, call.at(i), wanted)
}

function redisSetRequest(call: Call, keyspace: Keyspace): Request | Rejection {
  const wanted = request(0)
  for (let i = 2; i < call.argc; i++) {
    const word = call.word(i)
    const form = TIMES[word]
    if (word === 'FIELDS') {
      if (i >= call.argc - 3) return wrongArity('hsetex')
      const count = call.number(i + 1)
      if (!(count >= 1 && count < 2 ** 31)) return INVALID_COUNT
      if (count * 2 !== call.argc - i - 2) return wrongArity('hsetex')
      wanted.from = i + 2
      return hashAt(call, keyspace) === undefined ? WRONGTYPE : wanted
    }
    if (form !== undefined || word === 'KEEPTTL') {
      if (wanted.time !== undefined || wanted.keep) return TWO_TIMES
      if (form === undefined) {
        wanted.keep = true
        continue
      }
      if (++i >= call.argc) return MISSING_TIME
      const time = timeAt(call, keyspace, i, form, 'hsetex')
      if (time instanceof Rejection) return time
      wanted.time = time
    } else if (word === 'FXX' || word === 'FNX') {
      if (wanted.onlyNew || wanted.onlyOld) return TWO_CONDITIONS
      wanted.onlyNew = word === 'FNX'
      wanted.onlyOld = word === 'FXX'
    } else return new Rejection(`ERR unknown argument: ${text(call, i)}`)
  }
  return wrongArity('hsetex')
}

/**
 * What valkey makes of HSETEX and HGETEX: their options stand before `FIELDS`, in any order, and the key is looked at before
 * the time is.
 *
 * @param step arguments for each field
 * @param take notes another option than a time; false when it may not stand there
 */
function valkeyRequest(
  call: Call,
  keyspace: Keyspace,
  name: string,
  step: number,
  take: (word: string, wanted: Request, timed: boolean) => boolean,
): Request | Rejection {
  const wanted = request(0)
  const place = placeOfFields(call, 1)
  if (place === call.argc - 1) return BAD_COUNT
  let time = 0
  let form: TimeForm | undefined
  for (let i = 2; i < place; i++) {
    const word = call.word(i)
    const given = TIMES[word]
    const timed = form !== undefined
    if (given !== undefined && !timed && !wanted.keep && !wanted.persist && i + 1 < place) {
      form = given
      time = ++i
    } else if (!take(word, wanted, timed)) return SYNTAX
  }
  const from = valkeyFields(call, place + 1, step)
  if (from instanceof Rejection) return from
  wanted.from = from
  const cell = hashAt(call, keyspace)
  if (cell === undefined) return WRONGTYPE
  if (cell === 0 ? wanted.onlyOldKey : wanted.onlyNewKey) return wanted
  if (form !== undefined) {
    const given = timeAt(call, keyspace, time, form, name)
    if (given instanceof Rejection) return given
    wanted.time = given
  }
  return wanted
}

function takeSetOption(word: string, wanted: Request, timed: boolean): boolean {
  if (word === 'KEEPTTL' && !timed) wanted.keep = true
  else if (word === 'NX' && !wanted.onlyOldKey) wanted.onlyNewKey = true
  else if (word === 'XX' && !wanted.onlyNewKey) wanted.onlyOldKey = true
  else if (word === 'FNX' && !wanted.onlyOld) wanted.onlyNew = true
  else if (word === 'FXX' && !wanted.onlyNew) wanted.onlyOld = true
  else return false
  return true
}

function takeGetOption(word: string, wanted: Request, timed: boolean): boolean {
  if (word !== 'PERSIST' || timed) return false
  wanted.persist = true
  return true
}

function mayBeSet(call: Call, keyspace: Keyspace, cell: Cell, wanted: Request): boolean {
  if (cell === 0) return !wanted.onlyOld && !wanted.onlyOldKey
  if (wanted.onlyNewKey) return false
  if (wanted.onlyNew || wanted.onlyOld) {
    for (let i = wanted.from; i < call.argc; i += 2) {
      if (keyspace.hashes.has(cell, call.at(i)) === wanted.onlyNew) return false
    }
  }
  return true
}

function redisGetRequest(call: Call, keyspace: Keyspace): Request | Rejection {
  if (hashAt(call, keyspace) === undefined) return WRONGTYPE
  const wanted = request(0)
  const word = call.word(2)
  const form = TIMES[word]
  let place = 2
  if (form !== undefined) {
    const time = timeAt(call, keyspace, 3, form, 'hgetex')
    if (time instanceof Rejection) return time
    wanted.time = time
    place = 4
  } else if (word === 'PERSIST') {
    wanted.persist = true
    place = 3
  }
  const from = redisFields(call, place, NOT_POSITIVE)
  if (from instanceof Rejection) return from
  wanted.from = from
  return wanted
}

/** The first field of a command whose fields stand behind `FIELDS` and their number at once. */
function plainFields(call: Call, keyspace: Keyspace): number | Rejection {
  if (isRedis(keyspace)) {
    return hashAt(call, keyspace) === undefined ? WRONGTYPE : redisFields(call, 2, NOT_POSITIVE)
  }
  if (!call.is(2, 'FIELDS')) return SYNTAX
  const from = valkeyFields(call, 3, 1)
  if (from instanceof Rejection) return from
  return hashAt(call, keyspace) === undefined ? WRONGTYPE : from
}

function text(call: Call, i: number): string {
  return Buffer.from(call.at(i).copy()).toString('latin1')
}

export const FIELD_EXPIRY: Handlers = {
  hexpire: (call, keyspace) => expire(call, keyspace, EX, 'hexpire'),
  hpexpire: (call, keyspace) => expire(call, keyspace, PX, 'hpexpire'),
  hexpireat: (call, keyspace) => expire(call, keyspace, EXAT, 'hexpireat'),
  hpexpireat: (call, keyspace) => expire(call, keyspace, PXAT, 'hpexpireat'),

  hpersist(call, keyspace) {
    const from = plainFields(call, keyspace)
    if (from instanceof Rejection) return from
    const cell = keyspace.find(call.at(1))
    if (cell === 0) return
    for (let i = from; i < call.argc; i++) keyspace.hashes.setExpiry(cell, call.at(i), NO_EXPIRY)
  },

  hsetex(call, keyspace) {
    const wanted = isRedis(keyspace)
      ? redisSetRequest(call, keyspace)
      : valkeyRequest(call, keyspace, 'hsetex', 2, takeSetOption)
    if (wanted instanceof Rejection) return wanted
    let cell = keyspace.find(call.at(1))
    if (!mayBeSet(call, keyspace, cell, wanted)) return
    if (cell === 0) cell = keyspace.create(call.at(1), CellKind.Hash)
    for (let i = wanted.from; i < call.argc; i += 2) {
      const field = call.at(i)
      keyspace.hashes.set(cell, field, call.value(i + 1), wanted.keep)
      if (wanted.time !== undefined) keyspace.hashes.setExpiry(cell, field, wanted.time)
    }
  },

  hgetex(call, keyspace) {
    const wanted = isRedis(keyspace)
      ? redisGetRequest(call, keyspace)
      : valkeyRequest(call, keyspace, 'hgetex', 1, takeGetOption)
    if (wanted instanceof Rejection) return wanted
    const cell = keyspace.find(call.at(1))
    if (cell === 0 || (wanted.time === undefined && !wanted.persist)) return
    const time = wanted.time ?? NO_EXPIRY
    for (let i = wanted.from; i < call.argc; i++) keyspace.hashes.setExpiry(cell, call.at(i), time)
  },

  hgetdel(call, keyspace) {
    const from = plainFields(call, keyspace)
    if (from instanceof Rejection) return from
    const cell = keyspace.find(call.at(1))
    if (cell === 0) return
    for (let i = from; i < call.argc; i++) keyspace.hashes.delete(cell, call.at(i))
  },
}
