import type { ServerName } from '../../servers/servers.ts'
import { Slice } from '../../values/slice.ts'
import { Argument } from '../argument.ts'
import type { Call } from '../call.ts'
import { type Cell, CellKind } from '../cells.ts'
import { parseBound, parseDouble } from '../doubles.ts'
import { Gathered } from '../gathered.ts'
import type { Keyspace } from '../keyspace.ts'
import { type Compare, partialSort } from '../partial-sort.ts'
import { NOT_AN_INTEGER, Rejection, SYNTAX, WRONGTYPE } from '../rejection.ts'
import { longAt, store } from './destination.ts'
import type { Handlers } from './handler.ts'

const NO_SCORES = new Rejection("ERR One or more scores can't be converted into double")

const STAR = 0x2a
const HASH_SIGN = 0x23
const SPACE = 0x20
const TAB = 0x09
const CARRIAGE_RETURN = 0x0d
const NOTHING = new Slice()

/** What BY and GET look up: `user:*->name`, `weight_*`, or `#`, the element itself. */
class Pattern {
  readonly isElement: boolean
  /** Whether it says the same of every element: then there is nothing to look up. */
  readonly isConstant: boolean
  readonly #before: Buffer
  readonly #behind: Buffer
  readonly #field: Argument | undefined
  readonly #key = new Argument()

  constructor(argument: Argument) {
    const bytes = Buffer.from(argument.copy())
    const star = bytes.indexOf(STAR)
    this.isElement = bytes.length === 1 && bytes[0] === HASH_SIGN
    this.isConstant = star < 0
    const arrow = bytes.indexOf('->', star + 1)
    const isField = arrow >= 0 && arrow + 2 < bytes.length
    this.#before = bytes.subarray(0, Math.max(0, star))
    this.#behind = bytes.subarray(star + 1, isField ? arrow : bytes.length)
    this.#field = isField ? new Argument().of(Buffer.from(bytes.subarray(arrow + 2))) : undefined
  }

  /** Makes the slice what the pattern stands for with this element; false: there is no such thing. */
  lookUp(keyspace: Keyspace, element: Slice, slice: Slice): boolean {
    if (this.isElement) {
      slice.set(element.bytes, element.at, element.end)
      return true
    }
    if (this.isConstant) return false
    const name = Buffer.concat([this.#before, element.bytes.subarray(element.at, element.end), this.#behind])
    const cell = keyspace.find(this.#key.of(name))
    if (cell === 0) return false
    if (this.#field !== undefined) {
      return keyspace.kind(cell) === CellKind.Hash && keyspace.hashes.get(cell, this.#field, slice)
    }
    if (keyspace.kind(cell) !== CellKind.String) return false
    keyspace.strings.read(cell, slice)
    return true
  }
}

/** What is asked for. */
interface Request {
  descending: boolean
  alpha: boolean
  offset: number
  count: number
  by: Pattern | undefined
  readonly get: Pattern[]
  /** Number of the argument with the destination; 0: none. */
  destination: number
}

function parse(call: Call): Request | Rejection {
  const request: Request = {
    descending: false,
    alpha: false,
    offset: 0,
    count: -1,
    by: undefined,
    get: [],
    destination: 0,
  }
  for (let i = 2; i < call.argc; i++) {
    const left = call.argc - i - 1
    if (call.is(i, 'ASC')) request.descending = false
    else if (call.is(i, 'DESC')) request.descending = true
    else if (call.is(i, 'ALPHA')) request.alpha = true
    else if (call.is(i, 'LIMIT') && left >= 2) {
      request.offset = longAt(call, ++i)
      request.count = longAt(call, ++i)
      if (Number.isNaN(request.offset) || Number.isNaN(request.count)) return NOT_AN_INTEGER
    } else if (call.is(i, 'STORE') && left >= 1) request.destination = ++i
    else if (call.is(i, 'BY') && left >= 1) request.by = new Pattern(call.at(++i))
    else if (call.is(i, 'GET') && left >= 1) request.get.push(new Pattern(call.at(++i)))
    else return SYNTAX
  }
  return request
}

/** The elements of a list or a sorted set in their order, of a set in none. */
function elementsOf(keyspace: Keyspace, cell: Cell): Gathered {
  const elements = new Gathered()
  const element = new Slice()
  switch (cell === 0 ? undefined : keyspace.kind(cell)) {
    case CellKind.List: {
      const walk = keyspace.lists.walk()
      for (walk.begin(cell); walk.next(); ) {
        walk.read(element)
        elements.add(element, 0)
      }
      break
    }
    case CellKind.Set: {
      const walk = keyspace.sets.walk()
      for (walk.begin(cell); walk.next(); ) elements.add(walk.name, 0)
      break
    }
    case CellKind.Zset:
      for (let rank = 0; rank < keyspace.zsets.length(cell); rank++) {
        keyspace.zsets.atRank(cell, rank, element)
        elements.add(element, 0)
      }
      break
  }
  return elements
}

/** A number to sort by, up to the first zero byte; undefined: it is none to this server. */
function weightOf(text: Slice, server: ServerName): number | undefined {
  const { bytes, at } = text
  let { end } = text
  for (let i = at; i < end; i++) if (bytes[i] === 0) end = i
  if (at === end) return server === 'valkey-9.1' ? undefined : 0
  switch (server) {
    case 'redis-8.0':
      return parseBound(NUMBER.set(bytes, at, end), server)
    case 'valkey-9.1':
      return parseDouble(NUMBER.set(bytes, at, end), false)
    default: {
      let from = at
      while (from < end && (bytes[from] === SPACE || (bytes[from] >= TAB && bytes[from] <= CARRIAGE_RETURN)))
        from++
      const weight = parseDouble(NUMBER.set(bytes, from, end), true)
      return weight !== 0 && Math.abs(weight ?? 0) < SMALLEST_NORMAL ? undefined : weight
    }
  }
}

/** What is smaller is out of range for `strtod`. */
const SMALLEST_NORMAL = 2 ** -1022
const NUMBER = new Slice()

/** How elements are compared: made from what BY finds for each, or from themselves. Undefined: one has no number. */
function comparison(keyspace: Keyspace, elements: Gathered, request: Request): Compare | undefined {
  const { alpha, by } = request
  const sign = request.descending ? -1 : 1
  const element = new Slice()
  const found = new Slice()
  if (alpha && by === undefined) return (a, b) => sign * elements.compare(a, b)
  if (alpha) {
    const texts = new Gathered()
    for (let i = 0; i < elements.length; i++) {
      elements.read(i, element)
      if (by?.lookUp(keyspace, element, found)) texts.add(found, 1)
      else texts.add(NOTHING, 0)
    }
    // What was not found comes first.
    return (a, b) => sign * (texts.number(a) - texts.number(b) || texts.compare(a, b))
  }
  for (let i = 0; i < elements.length; i++) {
    elements.read(i, element)
    if (by === undefined) found.set(element.bytes, element.at, element.end)
    else if (!by.lookUp(keyspace, element, found)) continue
    const weight = weightOf(found, keyspace.server)
    if (weight === undefined) return undefined
    elements.setNumber(i, weight)
  }
  return (a, b) => {
    const difference = elements.number(a) - elements.number(b)
    // Infinite ones have no difference.
    if (difference > 0) return sign
    if (difference < 0) return -sign
    return sign * elements.compare(a, b)
  }
}

/** Positions of the elements in the order that is asked for; undefined: one has no number. */
function sorted(
  keyspace: Keyspace,
  cell: Cell,
  elements: Gathered,
  request: Request,
  first: number,
  last: number,
): Int32Array | undefined {
  const order = new Int32Array(elements.length)
  for (let i = 0; i < order.length; i++) order[i] = i
  let { by, alpha } = request
  if (by?.isConstant) {
    if (cell !== 0 && keyspace.kind(cell) !== CellKind.Set)
      return request.descending ? order.reverse() : order
    // So that what is stored does not depend on the order of a set.
    by = undefined
    alpha = true
  }
  const compare = comparison(keyspace, elements, { ...request, by, alpha })
  if (compare === undefined) return undefined
  if (by !== undefined && (first !== 0 || last !== order.length - 1)) partialSort(order, compare, first, last)
  else order.sort(compare)
  return order
}

// biome-ignore lint/suspicious/noConfusingVoidType: as Handler
function sort(call: Call, keyspace: Keyspace): Rejection | void {
  const request = parse(call)
  if (request instanceof Rejection) return request
  const cell = keyspace.find(call.at(1))
  const kind = cell === 0 ? CellKind.List : keyspace.kind(cell)
  if (kind !== CellKind.List && kind !== CellKind.Set && kind !== CellKind.Zset) return WRONGTYPE
  // Servers take a sorted set apart for it, and leave it so.
  if (kind === CellKind.Zset) keyspace.zsets.unpack(cell)
  const elements = elementsOf(keyspace, cell)
  const first = Math.max(0, request.offset)
  const end = request.count < 0 ? elements.length : Math.min(elements.length, first + request.count)
  const order = sorted(keyspace, cell, elements, request, first, end - 1)
  if (order === undefined) return NO_SCORES
  if (request.destination === 0) return
  // All of it before anything is stored: the destination may be among what is looked up.
  const results = new Gathered()
  const element = new Slice()
  const found = new Slice()
  for (let i = first; i < end; i++) {
    elements.read(order[i], element)
    if (request.get.length === 0) results.add(element, 0)
    for (const pattern of request.get) {
      results.add(pattern.lookUp(keyspace, element, found) ? found : NOTHING, 0)
    }
  }
  store(keyspace, call.at(request.destination), CellKind.List, target => {
    for (let i = 0; i < results.length; i++) {
      results.read(i, element)
      keyspace.lists.pushBack(target, RESULT.ofSlice(element))
    }
  })
}

const RESULT = new Argument()

export const SORT: Handlers = { sort }
