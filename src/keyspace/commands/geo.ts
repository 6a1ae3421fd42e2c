import { Slice } from '../../values/slice.ts'
import { Argument } from '../argument.ts'
import type { Call } from '../call.ts'
import { type Cell, CellKind } from '../cells.ts'
import { parseScoreArgument } from '../doubles.ts'
import { Gathered } from '../gathered.ts'
import {
  areasOf,
  box,
  circle,
  firstScore,
  MOST_LATITUDE,
  MOST_LONGITUDE,
  type Place,
  placeOf,
  polygon,
  type Shape,
  scoreOf,
  scoresIn,
} from '../geohash.ts'
import type { Keyspace } from '../keyspace.ts'
import { partialSort } from '../partial-sort.ts'
import { NOT_A_FLOAT, NOT_AN_INTEGER, Rejection, SYNTAX, WRONGTYPE } from '../rejection.ts'
import { longAt, store } from './destination.ts'
import type { Handlers } from './handler.ts'
import { zsetToAddTo } from './zset-hints.ts'

const NO_RADIUS = new Rejection('ERR need numeric radius')
const NEGATIVE_RADIUS = new Rejection('ERR radius cannot be negative')
const NO_WIDTH = new Rejection('ERR need numeric width')
const NO_HEIGHT = new Rejection('ERR need numeric height')
const NEGATIVE_BOX = new Rejection('ERR height or width cannot be negative')
const NO_UNIT = new Rejection('ERR unsupported unit provided. please use M, KM, FT, MI')
const NO_MEMBER = new Rejection('ERR could not decode requested zset member')
const NO_CORNERS = new Rejection('ERR invalid number of vertices')
const FEW_CORNERS = new Rejection('ERR GEOSEARCH BYPOLYGON must have at least 3 vertices')
const NO_COUNT = new Rejection('ERR COUNT must be > 0')
const ANY_OF_WHAT = new Rejection('ERR the ANY argument requires COUNT argument')

/** What a unit is in meters. */
const UNITS: Readonly<Record<string, number>> = { M: 1, KM: 1000, FT: 0.3048, MI: 1609.34 }

const MEMBER = new Argument()

/** The place of two arguments, longitude first. */
function placeAt(call: Call, keyspace: Keyspace, i: number): Place | Rejection {
  const longitude = parseScoreArgument(call.at(i), keyspace.server)
  const latitude = parseScoreArgument(call.at(i + 1), keyspace.server)
  if (longitude === undefined || latitude === undefined) return NOT_A_FLOAT
  if (Math.abs(longitude) > MOST_LONGITUDE || Math.abs(latitude) > MOST_LATITUDE) {
    return new Rejection(`ERR invalid longitude,latitude pair ${longitude.toFixed(6)},${latitude.toFixed(6)}`)
  }
  return { longitude, latitude }
}

// biome-ignore lint/suspicious/noConfusingVoidType: as Handler
function geoadd(call: Call, keyspace: Keyspace): Rejection | void {
  let nx = false
  let xx = false
  let first = 2
  for (; first < call.argc; first++) {
    if (call.is(first, 'NX')) nx = true
    else if (call.is(first, 'XX')) xx = true
    else if (!call.is(first, 'CH')) break
  }
  const left = call.argc - first
  if (left % 3 !== 0 || (nx && xx)) return SYNTAX
  const scores = new Float64Array(left / 3)
  for (let k = 0; k < scores.length; k++) {
    const place = placeAt(call, keyspace, first + 3 * k)
    if (place instanceof Rejection) return place
    scores[k] = scoreOf(place)
  }
  if (left === 0) return SYNTAX
  const cell = zsetToAddTo(call, keyspace, xx, first + 2, 3)
  if (cell instanceof Rejection) return cell
  if (cell === 0) return
  const { zsets } = keyspace
  for (let k = 0; k < scores.length; k++) {
    const member = call.at(first + 3 * k + 2)
    if ((nx || xx) && Number.isNaN(zsets.score(cell, member)) === xx) continue
    zsets.set(cell, member, scores[k])
  }
}

/** A search as it is put together from the options of a command. */
interface Search {
  /** Argument with the key of the sorted set, and of the one to store to; 0: none. */
  readonly source: number
  destination: number
  byDistance: boolean
  center: Place | undefined
  /** Makes the shape around a center. */
  shape: ((center: Place) => Shape) | undefined
  /** One unit of distances, in meters. */
  meters: number
  order: 'ASC' | 'DESC' | undefined
  count: number
  any: boolean
  /** Whether something is asked for that cannot be stored. */
  hasExtras: boolean
}

function newSearch(source: number, destination: number): Search {
  return {
    source,
    destination,
    byDistance: false,
    center: undefined,
    shape: undefined,
    meters: 1,
    order: undefined,
    count: 0,
    any: false,
    hasExtras: false,
  }
}

/** Sines that servers take for 0. */
function nearestOf(keyspace: Keyspace): number {
  return keyspace.server === 'valkey-9.1' ? 1e-15 : 0
}

function parseCircle(call: Call, keyspace: Keyspace, i: number, search: Search): Rejection | undefined {
  const radius = parseScoreArgument(call.at(i), keyspace.server)
  if (radius === undefined) return NO_RADIUS
  if (radius < 0) return NEGATIVE_RADIUS
  const meters = UNITS[call.word(i + 1)]
  if (meters === undefined) return NO_UNIT
  search.meters = meters
  search.shape = center => circle(center, radius, meters, nearestOf(keyspace))
  return undefined
}

function parseBox(call: Call, keyspace: Keyspace, i: number, search: Search): Rejection | undefined {
  const width = parseScoreArgument(call.at(i), keyspace.server)
  if (width === undefined) return NO_WIDTH
  const height = parseScoreArgument(call.at(i + 1), keyspace.server)
  if (height === undefined) return NO_HEIGHT
  if (width < 0 || height < 0) return NEGATIVE_BOX
  const meters = UNITS[call.word(i + 2)]
  if (meters === undefined) return NO_UNIT
  search.meters = meters
  search.shape = center => box(center, width, height, meters, nearestOf(keyspace))
  return undefined
}

/** The place of a member; undefined: it is not there. */
function memberPlace(keyspace: Keyspace, cell: Cell, member: Argument): Place | undefined {
  const score = keyspace.zsets.score(cell, member)
  if (Number.isNaN(score)) return undefined
  const place = { longitude: 0, latitude: 0 }
  placeOf(score, place)
  return place
}

function noSuchMember(call: Call, keyspace: Keyspace, i: number): Rejection {
  return keyspace.server === 'valkey-9.1'
    ? new Rejection(`ERR member ${textAt(call, i)} does not exist`)
    : NO_MEMBER
}

/** An option that all searches have; the number of its last argument, or 0: it is none. */
function parseCommon(call: Call, i: number, search: Search): number | Rejection {
  if (call.is(i, 'WITHDIST') || call.is(i, 'WITHHASH') || call.is(i, 'WITHCOORD')) search.hasExtras = true
  else if (call.is(i, 'ANY')) search.any = true
  else if (call.is(i, 'ASC')) search.order = 'ASC'
  else if (call.is(i, 'DESC')) search.order = 'DESC'
  else if (call.is(i, 'COUNT') && i + 1 < call.argc) {
    search.count = longAt(call, i + 1)
    if (Number.isNaN(search.count)) return NOT_AN_INTEGER
    return search.count <= 0 ? NO_COUNT : i + 1
  } else return 0
  return i
}

/** GEORADIUS, and the same around a member. */
// biome-ignore lint/suspicious/noConfusingVoidType: as Handler
function georadius(call: Call, keyspace: Keyspace, byMember: boolean): Rejection | void {
  const source = keyspace.find(call.at(1))
  if (source !== 0 && keyspace.kind(source) !== CellKind.Zset) return WRONGTYPE
  const search = newSearch(1, 0)
  const radius = byMember ? 3 : 4
  if (!byMember) {
    const center = placeAt(call, keyspace, 2)
    if (center instanceof Rejection) return center
    search.center = center
  } else if (source !== 0) {
    search.center = memberPlace(keyspace, source, call.at(2))
    if (search.center === undefined) return noSuchMember(call, keyspace, 2)
  }
  if (!byMember || source !== 0) {
    const refused = parseCircle(call, keyspace, radius, search)
    if (refused !== undefined) return refused
  }
  for (let i = radius + 2; i < call.argc; i++) {
    const end = parseCommon(call, i, search)
    if (end instanceof Rejection) return end
    if (end > 0) i = end
    else if ((call.is(i, 'STORE') || call.is(i, 'STOREDIST')) && i + 1 < call.argc) {
      search.byDistance = call.is(i, 'STOREDIST')
      search.destination = ++i
    } else return SYNTAX
  }
  if (search.destination > 0 && search.hasExtras) return withExtras('STORE option in GEORADIUS')
  if (search.any && search.count === 0) return ANY_OF_WHAT
  carryOut(call, keyspace, source, search)
}

function withExtras(what: string): Rejection {
  return new Rejection(`ERR ${what} is not compatible with WITHDIST, WITHHASH and WITHCOORD options`)
}

// biome-ignore lint/suspicious/noConfusingVoidType: as Handler
function geosearchstore(call: Call, keyspace: Keyspace): Rejection | void {
  const source = keyspace.find(call.at(2))
  if (source !== 0 && keyspace.kind(source) !== CellKind.Zset) return WRONGTYPE
  const search = newSearch(2, 1)
  let from: 'MEMBER' | 'LONLAT' | undefined
  let by: 'RADIUS' | 'BOX' | 'POLYGON' | undefined
  for (let i = 3; i < call.argc; i++) {
    const left = call.argc - 1 - i
    const end = parseCommon(call, i, search)
    if (end instanceof Rejection) return end
    let refused: Rejection | undefined
    if (end > 0) i = end
    else if (call.is(i, 'STOREDIST')) search.byDistance = true
    else if (call.is(i, 'FROMMEMBER') && left > 0 && from !== 'LONLAT' && by !== 'POLYGON') {
      from = 'MEMBER'
      i++
      if (source === 0) continue
      search.center = memberPlace(keyspace, source, call.at(i))
      if (search.center === undefined) return noSuchMember(call, keyspace, i)
    } else if (call.is(i, 'FROMLONLAT') && left > 1 && from !== 'MEMBER' && by !== 'POLYGON') {
      const center = placeAt(call, keyspace, i + 1)
      if (center instanceof Rejection) return center
      from = 'LONLAT'
      search.center = center
      i += 2
    } else if (call.is(i, 'BYRADIUS') && left > 1 && (by === undefined || by === 'RADIUS')) {
      refused = parseCircle(call, keyspace, i + 1, search)
      by = 'RADIUS'
      i += 2
    } else if (call.is(i, 'BYBOX') && left > 2 && (by === undefined || by === 'BOX')) {
      refused = parseBox(call, keyspace, i + 1, search)
      by = 'BOX'
      i += 3
    } else if (call.is(i, 'BYPOLYGON') && left > 0 && by === undefined && from === undefined) {
      const corners = cornersAt(call, keyspace, i + 1)
      if (corners instanceof Rejection) return corners
      const shape = polygon(corners, nearestOf(keyspace))
      search.shape = () => shape
      search.center = shape.center
      by = 'POLYGON'
      i += 1 + 2 * corners.length
    } else return SYNTAX
    if (refused !== undefined) return refused
  }
  if (search.hasExtras) return withExtras('GEOSEARCHSTORE')
  if (from === undefined && by !== 'POLYGON') {
    return new Rejection(
      `ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for ${textAt(call, 0)}`,
    )
  }
  if (by === undefined) {
    const choice = keyspace.server === 'valkey-9.1' ? 'BYRADIUS, BYBOX and BYPOLYGON' : 'BYRADIUS and BYBOX'
    return new Rejection(`ERR exactly one of ${choice} can be specified for ${textAt(call, 0)}`)
  }
  if (search.any && search.count === 0) return ANY_OF_WHAT
  carryOut(call, keyspace, source, search)
}

function textAt(call: Call, i: number): string {
  return Buffer.from(call.at(i).copy()).toString('latin1')
}

function cornersAt(call: Call, keyspace: Keyspace, i: number): Place[] | Rejection {
  const count = longAt(call, i)
  if (Number.isNaN(count)) return NO_CORNERS
  if (count < 3 || 2 * count > call.argc - i - 1) return FEW_CORNERS
  const corners: Place[] = []
  for (let k = 0; k < count; k++) {
    const corner = placeAt(call, keyspace, i + 1 + 2 * k)
    if (corner instanceof Rejection) return corner
    corners.push(corner)
  }
  return corners
}

function carryOut(call: Call, keyspace: Keyspace, source: Cell, search: Search): void {
  if (search.destination === 0) return
  const members = new Gathered()
  const scores = new Gathered()
  const { center, shape } = search
  if (source !== 0 && center !== undefined && shape !== undefined) {
    gather(keyspace, source, shape(center), search.any ? search.count : 0, members, scores)
  }
  const chosen = choose(members, search)
  const found = new Slice()
  store(keyspace, call.at(search.destination), CellKind.Zset, target => {
    for (const k of chosen) {
      members.read(k, found)
      const score = search.byDistance ? members.number(k) / search.meters : scores.number(k)
      keyspace.zsets.fill(target, MEMBER.ofSlice(found), score)
    }
    keyspace.zsets.pack(target)
  })
}

const NOTHING = new Slice()

/** Gathers the members within a shape with their distances, and, beside them, their scores. @param most 0: all */
function gather(
  keyspace: Keyspace,
  source: Cell,
  shape: Shape,
  most: number,
  members: Gathered,
  scores: Gathered,
): void {
  const { zsets } = keyspace
  const member = new Slice()
  const place = { longitude: 0, latitude: 0 }
  for (const area of areasOf(shape)) {
    const from = firstScore(area)
    const end = zsets.countBelow(source, from + scoresIn(area.step), false)
    for (let rank = zsets.countBelow(source, from, false); rank < end; rank++) {
      const score = zsets.atRank(source, rank, member)
      placeOf(score, place)
      const away = shape.distanceTo(place)
      if (away < 0) continue
      members.add(member, away)
      scores.add(NOTHING, score)
      if (most > 0 && members.length >= most) return
    }
  }
}

/** Positions of those that are to be stored. */
function choose(members: Gathered, { order, count, any }: Search): Int32Array {
  const all = new Int32Array(members.length)
  for (let k = 0; k < all.length; k++) all[k] = k
  const taken = count === 0 ? all.length : Math.min(count, all.length)
  // Which ones they are is said by their distance, unless any will do.
  const sorted = order ?? (count > 0 && !any ? 'ASC' : undefined)
  if (sorted === undefined || taken === all.length) return all.subarray(0, taken)
  const sign = sorted === 'ASC' ? 1 : -1
  partialSort(all, (a, b) => sign * (members.number(a) - members.number(b)), 0, taken - 1)
  return all.subarray(0, taken)
}

export const GEO: Handlers = {
  geoadd,
  geosearchstore,
  georadius: (call, keyspace) => georadius(call, keyspace, false),
  georadiusbymember: (call, keyspace) => georadius(call, keyspace, true),
}
