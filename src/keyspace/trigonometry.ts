/*
 * Sine, cosine and arc sine as the C library has them (glibc 2.28 and later, 2.34 for the arc sine, on a processor with
 * fused multiplication and addition): servers store distances that they compute with it, and JavaScript's last digit is
 * another one in one case of eight. Near a multiple of 1/128, whose sine and cosine are known to twice the digits, short
 * polynomials do the rest. What is rounded when is part of the result.
 */

/** Multiples of 1/128 up to a quarter of a circle. */
const MULTIPLES = 202
const PER_UNIT = 128
/** Bits behind the point while the table is made. */
const FRACTION_BITS = 200
const ONE = 1n << BigInt(FRACTION_BITS)

/** Of each multiple: sine, what it lacks; cosine, what it lacks. */
let table: Float64Array | undefined

function makeTable(): Float64Array {
  const made = new Float64Array(4 * MULTIPLES)
  const step = ONE / BigInt(PER_UNIT)
  const stepSine = series(step, step)
  const stepCosine = series(ONE, step)
  let s = 0n
  let c = ONE
  for (let k = 0; k < MULTIPLES; k++) {
    split(s, made, 4 * k)
    split(c, made, 4 * k + 2)
    const next = (s * stepCosine + c * stepSine) >> BigInt(FRACTION_BITS)
    c = (c * stepCosine - s * stepSine) >> BigInt(FRACTION_BITS)
    s = next
  }
  return made
}

/** The series of the sine when it begins with `x`, of the cosine when it begins with 1. */
function series(first: bigint, x: bigint): bigint {
  const square = (x * x) >> BigInt(FRACTION_BITS)
  let sum = 0n
  let term = first
  for (let n = first === ONE ? 1n : 2n; term !== 0n; n += 2n) {
    sum += term
    term = -((term * square) >> BigInt(FRACTION_BITS)) / (n * (n + 1n))
  }
  return sum
}

function split(value: bigint, target: Float64Array, at: number): void {
  const scale = 2 ** -FRACTION_BITS
  const nearest = Number(value)
  target[at] = nearest * scale
  target[at + 1] = Number(value - BigInt(nearest)) * scale
}

/** To split a number into two of half the digits. */
const SPLITTER = 2 ** 27 + 1

/** What `a * b` lacks that is `product`. */
function lacking(a: number, b: number, product: number): number {
  const ca = SPLITTER * a
  const cb = SPLITTER * b
  const ah = ca - (ca - a)
  const bh = cb - (cb - b)
  const al = a - ah
  const bl = b - bh
  return ah * bh - product + ah * bl + al * bh + al * bl
}

/** `a * b + c`, rounded once. */
function fused(a: number, b: number, c: number): number {
  const product = a * b
  const sum = product + c
  const part = sum - product
  return sum + (product - (sum - part) + (c - part) + lacking(a, b, product))
}

// The polynomials' coefficients, for angles up to 1/256, and of the sine alone up to 0.126.
const SINE_3 = -0.16666666666666488
const SINE_5 = 0.008333332142857223
const COSINE_2 = 0.5
const COSINE_4 = -0.04166666666666644
const COSINE_6 = 0.0013888887493700762
const SMALL_3 = -0.16666666666666666
const SMALL_5 = 0.008333333333332329
const SMALL_7 = -0.00019841269834414642
const SMALL_9 = 2.755729806860771e-6
const SMALL_11 = -2.5022014848318398e-8

const SMALL = 0.126
const MIDDLE = 0.85546875
const FAR = 2.4262638092041016
const TINY_SINE = 2 ** -26
const TINY_COSINE = 2 ** -27

/** A quarter of a circle, and what it lacks. */
const QUARTER = Math.PI / 2
const QUARTER_REST = 6.123233995736766e-17
/** The same in four pieces, of which multiples are exact. */
const QUARTER_1 = 1.5707963407039642
const QUARTER_2 = -1.3909067564377153e-8
const QUARTER_3 = -4.97899623147991e-17
const QUARTER_4 = -1.9034889620193266e-25

/** The sine of `x + rest`, of an angle up to {@link MIDDLE}. */
function nearSine(x: number, rest: number): number {
  if (Math.abs(x) < SMALL) {
    const square = x * x
    let t = fused(square, SMALL_11, SMALL_9)
    t = fused(t, square, SMALL_7)
    t = fused(t, square, SMALL_5)
    t = fused(t, square, SMALL_3)
    return x + fused(fused(t, x, -0.5 * rest), square, rest)
  }
  table ??= makeTable()
  const size = Math.abs(x)
  const k = nearestMultiple(size)
  const dx = x <= 0 ? -rest : rest
  const r = size - k / PER_UNIT
  const square = r * r
  const s = fused(r * square, fused(square, SINE_5, SINE_3), dx) + r
  const c = fused(r, dx, square * fused(fused(square, COSINE_6, COSINE_4), square, COSINE_2))
  const sine = table[4 * k]
  const more = fused(-c, sine, fused(s, table[4 * k + 3], table[4 * k + 1]))
  const value = sine + fused(s, table[4 * k + 2], more)
  return x < 0 ? -value : value
}

/** The cosine of `x + rest`, of an angle up to {@link MIDDLE}. */
function nearCosine(x: number, rest: number): number {
  table ??= makeTable()
  const size = Math.abs(x)
  const k = nearestMultiple(size)
  const r = size - k / PER_UNIT + (x < 0 ? -rest : rest)
  const square = r * r
  const s = fused(r * square, fused(square, SINE_5, SINE_3), r)
  const c = fused(fused(square, COSINE_6, COSINE_4), square, COSINE_2) * square
  const cosine = table[4 * k + 2]
  const more = fused(-c, cosine, fused(-s, table[4 * k + 1], table[4 * k + 3]))
  return cosine + fused(-s, table[4 * k], more)
}

/** Of two that are equally near, the even one. */
function nearestMultiple(size: number): number {
  return (size + NEAREST - NEAREST) * PER_UNIT
}

/** Added to a number and taken away again it leaves a multiple of 1/128. */
const NEAREST = 1.5 * 2 ** 45

/** @param x up to half a circle; of larger angles it is JavaScript's sine */
export function sine(x: number): number {
  const size = Math.abs(x)
  if (size < TINY_SINE) return x
  if (size < MIDDLE) return nearSine(x, 0)
  if (size < FAR) {
    const value = nearCosine(QUARTER - size, QUARTER_REST)
    return x < 0 ? -value : value
  }
  if (size > Math.PI) return Math.sin(x)
  const y = size - 2 * QUARTER_1 - 2 * QUARTER_2
  const middle = y - 2 * QUARTER_3
  const a = middle - 2 * QUARTER_4
  const rest = y - middle - 2 * QUARTER_3 + (middle - a - 2 * QUARTER_4)
  const value = nearSine(a, rest)
  return x < 0 ? value : -value
}

/** @param x up to 2.4; of larger angles it is JavaScript's cosine */
export function cosine(x: number): number {
  const size = Math.abs(x)
  if (size < TINY_COSINE) return 1
  if (size < MIDDLE) return nearCosine(x, 0)
  if (!(size < FAR)) return Math.cos(x)
  const y = QUARTER - size
  const a = y + QUARTER_REST
  return nearSine(a, y - a + QUARTER_REST)
}

const ARC_3 = 0.1666666666666641
const ARC_5 = 0.07500000000261227
const ARC_7 = 0.044642856142105974
const ARC_9 = 0.03038212685821193
const ARC_11 = 0.022355121102652562
const ARC_13 = 0.018138290340456505
const SMALL_ARC = 0.125

/** Beyond 0.125, which is a distance of 1,600 km, it is the nearest number, which in one case of 600 is not glibc's. */
export function arcSine(x: number): number {
  if (x < TINY_SINE || x >= 1) return Math.asin(x)
  if (x >= SMALL_ARC) return nearestArcSine(x)
  const square = x * x
  let t = fused(square, ARC_13, ARC_11)
  t = fused(t, square, ARC_9)
  t = fused(t, square, ARC_7)
  t = fused(t, square, ARC_5)
  t = fused(t, square, ARC_3)
  return fused(t, x * square, x)
}

/** JavaScript's arc sine, brought nearer by what its sine lacks. */
function nearestArcSine(x: number): number {
  table ??= makeTable()
  const angle = Math.asin(x)
  const k = Math.round(angle * PER_UNIT)
  const r = angle - k / PER_UNIT
  const square = r * r
  const sine = table[4 * k]
  const cosine = table[4 * k + 2]
  const sineRest = r * square * (-1 / 6 + square / 120)
  const cosineRest = square * (-0.5 + square * (1 / 24 - square / 720))
  const product = cosine * r
  const away = x - sine
  const left = away - product
  const part = left - away
  const rounded = away - (left - part) - (product + part)
  const small = rounded - lacking(cosine, r, product) - table[4 * k + 1] - table[4 * k + 3] * r
  const lack = left + (small - cosine * sineRest - sine * cosineRest)
  return angle + lack / (cosine - sine * r)
}

/** JavaScript's: its last digit may be another one than glibc's. */
export const arcTangent2 = Math.atan2
