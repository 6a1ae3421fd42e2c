import { type Exports, instantiate } from '../bytes/wasm.ts'
import { SCORE_MODULE } from './score.generated.ts'
import type { Slice } from './slice.ts'

/*
 * Scores as text. Servers print them in two ways, which differ in digits and in form:
 *
 *                    redis 7.0: printf("%.17g")    later ones: fpconv
 *     0.1            0.10000000000000001           0.1
 *     100000000      100000000                     1e+8
 *     1e-7           9.9999999999999995e-08        1e-7
 *     5e-324         4.9406564584124654e-324       5e-324
 *
 * fpconv has its digits from Grisu2, which are the shortest in 999 of 1,000 cases: so JavaScript's will not do.
 */

/** Below it a number of at most six digits behind the point is printed as JavaScript does, in both ways. */
const SIMPLE = 1e8
const ALL_SIX_DIGITS = 64

function isSimple(score: number): boolean {
  // Six digits behind the point are those of a multiple of 1/64.
  return Math.abs(score) < SIMPLE && Number.isInteger(score * ALL_SIX_DIGITS)
}

/** As C prints it with `%.17g`. */
export function scoreText17(score: number): string {
  if (isSimple(score)) return withZero(score)
  if (!Number.isFinite(score)) return notFinite(score)
  const [digits, power] = rounded(Math.abs(score)).split('e')
  const exponent = Number(power)
  const sign = score < 0 ? '-' : ''
  const significant = digits.replace('.', '').replace(/0+$/, '')
  if (exponent >= -4 && exponent < 17) return sign + inPlace(significant, exponent)
  return `${sign}${pointed(significant)}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`
}

/** With 17 digits. Of a number that lies exactly between two, JavaScript takes the larger one, C the even one. */
function rounded(score: number): string {
  // Such a number has 18 digits, the last a 5: so it is no integer, and a multiple of 2^-25, since 5^26 has 19 digits.
  if (Number.isInteger(score) || !Number.isInteger(score * 2 ** 25)) return score.toExponential(16)
  const between = /^(\d)\.(\d{16})50*e(.*)$/.exec(score.toExponential(40))
  if (between === null) return score.toExponential(16)
  const lower = BigInt(between[1] + between[2])
  const even = String(lower + (lower & 1n))
  const exponent = Number(between[3]) + even.length - 17
  return `${even[0]}.${even.slice(1)}e${exponent}`
}

/** As fpconv prints it (redis from 7.2 on, valkey), and so DEBUG DIGEST; ZSCORE prints integers in full. */
export function scoreTextShortest(score: number): string {
  if (isSimple(score)) return withZero(score)
  if (!Number.isFinite(score)) return notFinite(score)
  const sign = score < 0 ? '-' : ''
  const { bytes, digits } = grisu()
  const count = digits(Math.abs(score))
  const significant = LATIN1.decode(bytes.subarray(DIGITS_AT, DIGITS_AT + count))
  const lastPower = power[0]
  const exponent = lastPower + count - 1
  if (lastPower >= 0 ? exponent < count + 7 : lastPower > -7 || Math.abs(exponent) < 4)
    return sign + inPlace(significant, exponent)
  return `${sign}${pointed(significant)}e${exponent < 0 ? '-' : '+'}${Math.abs(exponent)}`
}

function withZero(score: number): string {
  return Object.is(score, -0) ? '-0' : String(score)
}

function notFinite(score: number): string {
  return Number.isNaN(score) ? 'nan' : score < 0 ? '-inf' : 'inf'
}

/** Digits with the point where it belongs: behind the first one, moved by `exponent`. */
function inPlace(digits: string, exponent: number): string {
  if (exponent < 0) return `0.${'0'.repeat(-exponent - 1)}${digits}`
  const point = exponent + 1
  if (digits.length <= point) return digits.padEnd(point, '0')
  return `${digits.slice(0, point)}.${digits.slice(point)}`
}

function pointed(digits: string): string {
  return digits.length === 1 ? digits : `${digits[0]}.${digits.slice(1)}`
}

/** What `strtod` takes for a number, at the beginning of a text. */
const NUMBER = /^[\t-\r ]*([+-]?)(?:(\d+\.?\d*(?:e[+-]?\d+)?|\.\d+(?:e[+-]?\d+)?)|(inf)|(nan))/i

/**
 * The score that a server reads from text in an RDB: what `strtod` makes of it, so that what stands behind the number
 * is passed over. Undefined where there is none. Hexadecimal digits, which no server writes, are not read.
 */
export function scoreIn(text: Slice): number | undefined {
  const { bytes, at, end } = text
  const length = end - at
  if (length > 0 && length <= MOST_EXACT) {
    const negative = bytes[at] === MINUS
    let value = 0
    let point = -1
    let i = negative ? at + 1 : at
    for (; i < end; i++) {
      const digit = bytes[i] - ZERO
      if (digit >= 0 && digit <= 9) value = value * 10 + digit
      else if (bytes[i] === POINT && point < 0 && i + 1 < end) point = i
      else break
    }
    // Both are exact, so their quotient is the nearest double.
    if (i === end && bytes[end - 1] !== MINUS) {
      if (point >= 0) value /= POWERS_OF_TEN[end - point - 1]
      return negative ? -value : value
    }
  }
  // Servers look at no more of it.
  const match = NUMBER.exec(LATIN1.decode(bytes.subarray(at, Math.min(end, at + MOST_TEXT))))
  if (match === null) return undefined
  const [, sign, number, infinite] = match
  const size =
    number !== undefined ? Number(number) : infinite !== undefined ? Number.POSITIVE_INFINITY : Number.NaN
  return sign === '-' ? -size : size
}

/** The same, and 0 where there is none, as servers take it from packed sorted sets. */
export function parseScore(text: Slice): number {
  return scoreIn(text) ?? 0
}

const ZERO = 0x30
const MINUS = 0x2d
const POINT = 0x2e
/** Characters of a number whose digits, taken as an integer, are exact whatever they are. */
const MOST_EXACT = 15
const POWERS_OF_TEN = Array.from({ length: MOST_EXACT }, (_, i) => 10 ** i)
const MOST_TEXT = 128
const LATIN1 = new TextDecoder('latin1')

const DIGITS_AT = 1024
const POWER_AT = 1056
const FIRST_POWER = -348
const LAST_POWER = 340
const STEP = 8

type Module = Exports<{ digits(score: number): number }>

let loaded: Module | undefined
let power = new Int32Array(1)

function grisu(): Module {
  if (loaded !== undefined) return loaded
  const module: Module = instantiate(SCORE_MODULE)
  const powers = new BigUint64Array(module.bytes.buffer)
  for (let k = FIRST_POWER, i = 0; k <= LAST_POWER; k += STEP, i++) powers[i] = upperBits(k)
  power = new Int32Array(module.bytes.buffer, POWER_AT, 1)
  loaded = module
  return module
}

/** The upper 64 bits of 10^k, rounded. */
function upperBits(k: number): bigint {
  // Below one, of a multiple of it that is large enough.
  const value = k >= 0 ? (10n ** BigInt(k)) << 64n : (1n << 1300n) / 10n ** BigInt(-k)
  const excess = BigInt(value.toString(2).length - 64)
  return (value + (1n << (excess - 1n))) >> excess
}
