import { arcSine, arcTangent2, cosine, sine } from './trigonometry.ts'

/*
 * Places on Earth as scores: longitude and latitude, halved so often (`step`, up to 26 times), give a bit each by turns.
 * A score is what 26 steps give: 52 bits. Fewer steps name an area, whose places are a range of scores.
 */

export const MOST_LONGITUDE = 180
export const MOST_LATITUDE = 85.05112878
/** Bits of each coordinate in a score. */
export const STEPS = 26

const EARTH_RADIUS = 6372797.560856
const RADIANS = Math.PI / 180
/** Half of the map's width, in meters. */
const MAP_RADIUS = 20037726.37
const TWO_32 = 2 ** 32
const TWO_64 = 2 ** 64

export interface Place {
  longitude: number
  latitude: number
}

/** One of the areas into which `step` halvings divide the map, by its column and its row. */
export interface Area {
  readonly column: number
  readonly row: number
  readonly step: number
}

/** In degrees. */
export interface Bounds {
  west: number
  south: number
  east: number
  north: number
}

/** The area in which a place is. At the eastern and northern edge of the map it is one beyond the last. */
export function areaOf(place: Place, step: number): Area {
  const size = 2 ** step
  return {
    column: Math.trunc(((place.longitude + MOST_LONGITUDE) / (2 * MOST_LONGITUDE)) * size),
    row: Math.trunc(((place.latitude + MOST_LATITUDE) / (2 * MOST_LATITUDE)) * size),
    step,
  }
}

export function boundsOf({ column, row, step }: Area): Bounds {
  const size = 2 ** step
  return {
    west: -MOST_LONGITUDE + (column / size) * (2 * MOST_LONGITUDE),
    south: -MOST_LATITUDE + (row / size) * (2 * MOST_LATITUDE),
    east: -MOST_LONGITUDE + ((column + 1) / size) * (2 * MOST_LONGITUDE),
    north: -MOST_LATITUDE + ((row + 1) / size) * (2 * MOST_LATITUDE),
  }
}

/** The area so many columns and rows away; the map has no end. */
export function neighbour({ column, row, step }: Area, columns: number, rows: number): Area {
  const last = 2 ** step - 1
  return {
    column: columns === 0 ? column : (column + columns) & last,
    row: rows === 0 ? row : (row + rows) & last,
    step,
  }
}

/** The first score of an area; {@link scoresIn} many belong to it. */
export function firstScore({ column, row, step }: Area): number {
  return interleave(row, column) * scoresIn(step)
}

export function scoresIn(step: number): number {
  return 4 ** (STEPS - step)
}

export function scoreOf(place: Place): number {
  return firstScore(areaOf(place, STEPS))
}

/** Makes the place that of a score. */
export function placeOf(score: number, place: Place): void {
  let low = score % TWO_32
  let high = Math.floor(score / TWO_32)
  if (!(score >= 0 && score < TWO_64)) {
    const bits = asUnsigned(score)
    low = Number(bits & 0xffffffffn)
    high = Number(bits >> 32n)
  }
  const row = squeeze(low) + squeeze(high) * 0x10000
  const column = squeeze(low >>> 1) + squeeze(high >>> 1) * 0x10000
  const { west, south, east, north } = boundsOf({ column, row, step: STEPS })
  place.longitude = Math.max(-MOST_LONGITUDE, Math.min(MOST_LONGITUDE, (west + east) / 2))
  place.latitude = Math.max(-MOST_LATITUDE, Math.min(MOST_LATITUDE, (south + north) / 2))
}

/** What is no score of a place is taken for one all the same, as a processor makes an integer of it. */
function asUnsigned(score: number): bigint {
  if (score < 0 && score >= -LARGEST) return BigInt.asUintN(64, BigInt(Math.trunc(score)))
  return score > 0 ? 0n : BigInt(LARGEST)
}

const LARGEST = 2 ** 63

function interleave(even: number, odd: number): number {
  const low = spread(even & 0xffff) + 2 * spread(odd & 0xffff)
  return low + (spread(even >>> 16) + 2 * spread(odd >>> 16)) * TWO_32
}

/** Puts a zero before each of sixteen bits. */
function spread(bits: number): number {
  let x = bits
  x = (x | (x << 8)) & 0x00ff00ff
  x = (x | (x << 4)) & 0x0f0f0f0f
  x = (x | (x << 2)) & 0x33333333
  x = (x | (x << 1)) & 0x55555555
  return x
}

/** Takes every other of 32 bits, from the lowest one on. */
function squeeze(bits: number): number {
  let x = bits & 0x55555555
  x = (x | (x >>> 1)) & 0x33333333
  x = (x | (x >>> 2)) & 0x0f0f0f0f
  x = (x | (x >>> 4)) & 0x00ff00ff
  return (x | (x >>> 8)) & 0x0000ffff
}

/** Meters along a meridian. */
function latitudeDistance(a: number, b: number): number {
  return EARTH_RADIUS * Math.abs(b * RADIANS - a * RADIANS)
}

/**
 * Meters between two places, on a sphere.
 * @param nearest sines of half the difference of longitudes up to this one are taken for 0
 */
export function distance(a: Place, b: Place, nearest: number): number {
  const v = sine((b.longitude * RADIANS - a.longitude * RADIANS) / 2)
  if (Math.abs(v) <= nearest) return latitudeDistance(a.latitude, b.latitude)
  const from = a.latitude * RADIANS
  const to = b.latitude * RADIANS
  const u = sine((to - from) / 2)
  return 2 * EARTH_RADIUS * arcSine(Math.sqrt(u * u + cosine(from) * cosine(to) * v * v))
}

/** What is searched for: places within a shape around a center. */
export interface Shape {
  readonly center: Place
  readonly bounds: Bounds
  /** Meters from the center within which all of it is. */
  readonly radius: number
  /** Meters from the center to a place, if it is in the shape; otherwise -1. */
  distanceTo(place: Place): number
}

function boundsAround({ longitude, latitude }: Place, width: number, height: number): Bounds {
  const rows = height / EARTH_RADIUS / RADIANS
  const above = width / EARTH_RADIUS / cosine((latitude + rows) * RADIANS) / RADIANS
  const below = width / EARTH_RADIUS / cosine((latitude - rows) * RADIANS) / RADIANS
  const columns = latitude < 0 ? below : above
  return {
    west: longitude - columns,
    south: latitude - rows,
    east: longitude + columns,
    north: latitude + rows,
  }
}

/** @param meters one unit of `radius` */
export function circle(center: Place, radius: number, meters: number, nearest: number): Shape {
  const size = meters * radius
  return {
    center,
    bounds: boundsAround(center, size, size),
    radius: size,
    distanceTo(place) {
      const away = distance(center, place, nearest)
      return away > radius * meters ? -1 : away
    },
  }
}

export function box(center: Place, width: number, height: number, meters: number, nearest: number): Shape {
  const wide = (width * meters) / 2
  const high = (height * meters) / 2
  const beside: Place = { longitude: center.longitude, latitude: 0 }
  return {
    center,
    bounds: boundsAround(center, (meters * width) / 2, (meters * height) / 2),
    radius: Math.sqrt((width / 2) * (width / 2) + (height / 2) * (height / 2)) * meters,
    distanceTo(place) {
      if (latitudeDistance(place.latitude, center.latitude) > high) return -1
      beside.latitude = place.latitude
      if (distance(place, beside, nearest) > wide) return -1
      return distance(center, place, nearest)
    },
  }
}

/** @param corners at least three */
export function polygon(corners: readonly Place[], nearest: number): Shape {
  const bounds: Bounds = {
    west: MOST_LONGITUDE,
    south: MOST_LATITUDE,
    east: -MOST_LONGITUDE,
    north: -MOST_LATITUDE,
  }
  let x = 0
  let y = 0
  let z = 0
  for (const { longitude, latitude } of corners) {
    if (longitude < bounds.west) bounds.west = longitude
    if (longitude > bounds.east) bounds.east = longitude
    if (latitude < bounds.south) bounds.south = latitude
    if (latitude > bounds.north) bounds.north = latitude
    const lambda = longitude * RADIANS
    const phi = latitude * RADIANS
    x += cosine(phi) * cosine(lambda)
    y += cosine(phi) * sine(lambda)
    z += sine(phi)
  }
  const center: Place = {
    longitude: arcTangent2(y, x) / RADIANS,
    latitude: arcTangent2(z, Math.sqrt(x * x + y * y)) / RADIANS,
  }
  const { west, south, east, north } = bounds
  let radius = 0
  for (const longitude of [west, east]) {
    for (const latitude of [north, south]) {
      radius = Math.max(radius, distance(center, { longitude, latitude }, nearest))
    }
  }
  return {
    center,
    bounds,
    radius,
    distanceTo: place => (isWithin(place, corners) ? distance(center, place, nearest) : -1),
  }
}

/** Whether a ray to the east crosses an odd number of edges. */
function isWithin({ longitude, latitude }: Place, corners: readonly Place[]): boolean {
  let inside = false
  let b = corners[corners.length - 1]
  for (const a of corners) {
    if (a.latitude > latitude !== b.latitude > latitude) {
      const width = b.longitude - a.longitude
      const crossing = (width * (latitude - a.latitude)) / (b.latitude - a.latitude) + a.longitude
      if (longitude < crossing) inside = !inside
    }
    b = a
  }
  return inside
}

/** The areas in which all places of a shape are, in the order in which servers look at them. */
export function areasOf({ center, bounds, radius }: Shape): Area[] {
  let step = stepsFor(radius, center.latitude)
  let area = areaOf(center, step)
  const isTooSmall =
    boundsOf(neighbour(area, 0, 1)).north < bounds.north ||
    boundsOf(neighbour(area, 0, -1)).south > bounds.south ||
    boundsOf(neighbour(area, 1, 0)).east < bounds.east ||
    boundsOf(neighbour(area, -1, 0)).west > bounds.west
  if (step > 1 && isTooSmall) {
    step--
    area = areaOf(center, step)
  }
  const { west, south, east, north } = boundsOf(area)
  const all = step < 2
  const isIn = (columns: number, rows: number) =>
    all ||
    !(
      (rows < 0 && south < bounds.south) ||
      (rows > 0 && north > bounds.north) ||
      (columns < 0 && west < bounds.west) ||
      (columns > 0 && east > bounds.east)
    )
  const areas = [area]
  for (const [columns, rows] of NEIGHBOURS) {
    if (!isIn(columns, rows)) continue
    const next = neighbour(area, columns, rows)
    const last = areas[areas.length - 1]
    // With so few areas that those on both sides are the same.
    if (areas.length > 1 && last.column === next.column && last.row === next.row) continue
    areas.push(next)
  }
  return areas
}

const NEIGHBOURS: readonly (readonly [columns: number, rows: number])[] = [
  [0, 1],
  [0, -1],
  [1, 0],
  [-1, 0],
  [1, 1],
  [-1, 1],
  [1, -1],
  [-1, -1],
]

/** How small areas may be, so that nine of them cover the shape in most cases. */
function stepsFor(radius: number, latitude: number): number {
  if (radius === 0) return STEPS
  let step = -1
  for (let size = radius; size < MAP_RADIUS; size *= 2) step++
  const away = Math.abs(latitude)
  if (away > 66) step--
  if (away > 80) step--
  return Math.max(1, Math.min(STEPS, step))
}
