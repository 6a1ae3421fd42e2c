import type { Slice } from '../values/slice.ts'

/** Bits of the fraction of an x86 extended double, with its leading one. */
const BITS = 64
/** Of the lowest bit: those of the smallest and of the largest number. */
const LOWEST = -16445
const HIGHEST = 16383 - (BITS - 1)
/** Bytes that servers look at. */
const LONGEST = 5 * 1024
const FORM = /^([+-]?)(?:(\d+)(?:\.(\d*))?|\.(\d+))(?:[eE]([+-]?\d{1,9}))?$/
const INFINITY_FORM = /^[+-]?inf(?:inity)?$/i
const DECIMALS = 17n

/**
 * The `long double` of servers on x86-64, in which INCRBYFLOAT and HINCRBYFLOAT count: exact, by integers. Hexadecimal
 * numbers, which servers take, too, are not read.
 */
export class LongDouble {
  static readonly ZERO = new LongDouble(0n, 0)
  /** The number is `fraction * 2 ** exponent`. */
  readonly #fraction: bigint
  readonly #exponent: number

  private constructor(fraction: bigint, exponent: number) {
    this.#fraction = fraction
    this.#exponent = exponent
  }

  /** What `strtold` makes of all of a text; undefined when it is no finite number that can be had. */
  static parse(text: Slice): LongDouble | undefined {
    if (text.length === 0 || text.length > LONGEST) return undefined
    const digits = Buffer.from(text.bytes.buffer, text.bytes.byteOffset + text.at, text.length).toString(
      'latin1',
    )
    if (INFINITY_FORM.test(digits)) return undefined
    const match = FORM.exec(digits)
    if (match === null) return undefined
    const [, sign, whole = '', behind, alone, power = '0'] = match
    const fraction = behind ?? alone ?? ''
    const size = BigInt(whole + fraction)
    const exponent = Number(power) - fraction.length
    if (size === 0n) return LongDouble.ZERO
    if (exponent + String(size).length > 5000) return undefined
    if (exponent + String(size).length < -5000) return undefined
    const numerator = (sign === '-' ? -size : size) * (exponent > 0 ? 10n ** BigInt(exponent) : 1n)
    const denominator = exponent < 0 ? 10n ** BigInt(-exponent) : 1n
    return LongDouble.#rounded(numerator, denominator, 0)
  }

  /** The sum, rounded; undefined when it is too large. */
  plus(other: LongDouble): LongDouble | undefined {
    const exponent = Math.min(this.#exponent, other.#exponent)
    const sum =
      (this.#fraction << BigInt(this.#exponent - exponent)) +
      (other.#fraction << BigInt(other.#exponent - exponent))
    return LongDouble.#rounded(sum, 1n, exponent)
  }

  /** As servers print it: `%.17Lf` without zeros at the end. */
  text(): string {
    const negative = this.#fraction < 0n
    const size = negative ? -this.#fraction : this.#fraction
    const scale = 10n ** DECIMALS
    const shifted = size * scale
    const scaled =
      this.#exponent >= 0
        ? shifted << BigInt(this.#exponent)
        : divideToEven(shifted, 1n << BigInt(-this.#exponent))
    const decimals = String(scaled % scale)
      .padStart(Number(DECIMALS), '0')
      .replace(/0+$/, '')
    const text = decimals === '' ? String(scaled / scale) : `${scaled / scale}.${decimals}`
    return negative && text !== '0' ? `-${text}` : text
  }

  /** `numerator / denominator * 2 ** exponent`, rounded to what fits. */
  static #rounded(numerator: bigint, denominator: bigint, exponent: number): LongDouble | undefined {
    if (numerator === 0n) return LongDouble.ZERO
    const size = numerator < 0n ? -numerator : numerator
    let shift = bits(size) - bits(denominator) - BITS
    let fraction = 0n
    for (;;) {
      if (exponent + shift < LOWEST) shift = LOWEST - exponent
      fraction =
        shift >= 0
          ? divideToEven(size, denominator << BigInt(shift))
          : divideToEven(size << BigInt(-shift), denominator)
      if (bits(fraction) <= BITS) break
      shift++
    }
    if (exponent + shift > HIGHEST) return undefined
    if (fraction === 0n) return undefined
    return new LongDouble(numerator < 0n ? -fraction : fraction, exponent + shift)
  }
}

function bits(size: bigint): number {
  const hex = size.toString(16)
  return (hex.length - 1) * 4 + (32 - Math.clz32(Number.parseInt(hex[0], 16)))
}

function divideToEven(numerator: bigint, denominator: bigint): bigint {
  const quotient = numerator / denominator
  const twice = (numerator % denominator) * 2n
  if (twice > denominator || (twice === denominator && (quotient & 1n) === 1n)) return quotient + 1n
  return quotient
}
