import { INT64_MAX, INT64_MIN } from '../../bytes/decimal.ts'
import type { Call } from '../call.ts'
import type { Keyspace } from '../keyspace.ts'
import { NOT_AN_INTEGER, Rejection } from '../rejection.ts'

/** How a time is given: its unit, and whether it counts from now. */
export interface TimeForm {
  readonly seconds: boolean
  readonly relative: boolean
}

export const EX: TimeForm = { seconds: true, relative: true }
export const PX: TimeForm = { seconds: false, relative: true }
export const EXAT: TimeForm = { seconds: true, relative: false }
export const PXAT: TimeForm = { seconds: false, relative: false }

/** The time of argument `i` in milliseconds since 1970, exact; the rejection when it is none or cannot be counted. */
export function timeAt(
  call: Call,
  keyspace: Keyspace,
  i: number,
  form: TimeForm,
  command: string,
  positive: boolean,
): number | bigint | Rejection {
  const number = call.number(i)
  // So that nothing below leaves what a number has exactly.
  if (Math.abs(number) < 1e12 || (Math.abs(number) < 1e15 && !form.seconds)) {
    if (positive && number <= 0) return invalidTime(command)
    return (form.seconds ? number * 1000 : number) + (form.relative ? keyspace.clock : 0)
  }
  let exact = call.int64(i)
  if (exact === undefined) return NOT_AN_INTEGER
  if (positive && exact <= 0n) return invalidTime(command)
  if (form.seconds) {
    exact *= 1000n
    if (exact > INT64_MAX || exact < INT64_MIN) return invalidTime(command)
  }
  if (form.relative) exact += BigInt(keyspace.clock)
  return exact > INT64_MAX || exact < INT64_MIN ? invalidTime(command) : exact
}

export function setTime(keyspace: Keyspace, cell: number, time: number | bigint): void {
  if (typeof time === 'number') keyspace.setExpiry(cell, time)
  else keyspace.setExpiryExact(cell, time)
}

export function invalidTime(command: string): Rejection {
  return new Rejection(`ERR invalid expire time in '${command}' command`)
}
