import type { ServerName } from '../servers/servers.ts'
import { Slice } from '../values/slice.ts'

const ZERO = 0x30
const MINUS = 0x2d
/** An integer of so many digits is exact whatever they are. */
const MOST_DIGITS = 15
/** No number that a server takes is longer. */
const LONGEST = 128
const DECIMAL = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/
const INFINITE = /^([+-]?)inf(?:inity)?$/i
const HEXADECIMAL = /^([+-]?)0x(?:([\da-f]+)\.?([\da-f]*)|\.([\da-f]+))(?:p([+-]?\d+))?$/i
const ZEROS = /^[+-]?[0.]+(?:[eE]|$)/

/** The score of an argument, or the change of one, as a server reads it; undefined when it is none. */
export function parseScoreArgument(text: Slice, server: ServerName): number | undefined {
  return parseDouble(text, server !== 'valkey-9.1')
}

/**
 * A number as `strtod` reads it, when it is all of a text. Undefined when it is none, too large, or too small.
 * @param hexadecimal whether such digits count
 */
export function parseDouble(text: Slice, hexadecimal: boolean): number | undefined {
  const { bytes, at, end } = text
  const negative = bytes[at] === MINUS
  let i = negative ? at + 1 : at
  if (i < end && end - i <= MOST_DIGITS) {
    let value = 0
    for (; i < end; i++) {
      const digit = bytes[i] - ZERO
      if (digit < 0 || digit > 9) break
      value = value * 10 + digit
    }
    if (i === end) return negative ? -value : value
  }
  if (end - at > LONGEST || end === at) return undefined
  let digits = ''
  for (let p = at; p < end; p++) digits += String.fromCharCode(bytes[p])
  const infinite = INFINITE.exec(digits)
  if (infinite !== null) return infinite[1] === '-' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY
  const decimal = DECIMAL.test(digits)
  const value = decimal ? Number(digits) : hexadecimal ? parseHexadecimal(digits) : undefined
  if (value === undefined || !Number.isFinite(value)) return undefined
  if (value === 0 && decimal && !ZEROS.test(digits)) return undefined
  return value
}

/**
 * A bound of a range of scores as servers read it: what is too large is infinite, and nothing at all is 0. With redis 7.0
 * and valkey 8.1, which ask `strtod`, spaces may stand before it, and digits be hexadecimal.
 */
export function parseBound(text: Slice, server: ServerName): number | undefined {
  const { bytes, end } = text
  let at = text.at
  if (at === end) return 0
  const strict = server === 'redis-8.0' || server === 'valkey-9.1'
  if (!strict) while (at < end && (bytes[at] === 0x20 || (bytes[at] >= 0x09 && bytes[at] <= 0x0d))) at++
  const value = parseDouble(REST.set(bytes, at, end), !strict)
  if (value !== undefined || end - at > LONGEST) return value
  const digits = Buffer.from(bytes.subarray(at, end)).toString('latin1')
  return DECIMAL.test(digits) ? Number(digits) : undefined
}

const REST = new Slice()

function parseHexadecimal(digits: string): number | undefined {
  const match = HEXADECIMAL.exec(digits)
  if (match === null) return undefined
  const [, sign, whole = '', behind = '', alone = '', power = '0'] = match
  const fraction = behind + alone
  const size = Number(BigInt(`0x0${whole}${fraction}`)) * 2 ** (Number(power) - 4 * fraction.length)
  return sign === '-' ? -size : size
}
