import { FormatError } from '../../bytes/errors.ts'
import { HashTemplates } from '../../rdb/encodings/template.ts'
import { valueType } from '../../rdb/format.ts'
import { type Payload, readPayload } from '../../rdb/payload.ts'
import { stringHead } from '../../rdb/strings.ts'
import { ValueReader } from '../../rdb/value-reader.ts'
import { loadsRdb, loadsType } from '../../servers/servers.ts'
import { type ElementSink, IgnoredElements } from '../../values/elements.ts'
import { Argument } from '../argument.ts'
import type { Call } from '../call.ts'
import { type Cell, CellKind } from '../cells.ts'
import { type Keyspace, KIND_NAMES } from '../keyspace.ts'
import { NOT_AN_INTEGER, Rejection, SYNTAX } from '../rejection.ts'
import { UNPACKED_ZSETS, ZsetFiller } from '../zset-filler.ts'
import type { Handlers } from './handler.ts'

export const BAD_PAYLOAD = new Rejection('ERR DUMP payload version or checksum are wrong')
const BAD_DATA = new Rejection('ERR Bad data format')
const BUSY = new Rejection('BUSYKEY Target key name already exists.')
const NEGATIVE_TTL = new Rejection('ERR Invalid TTL value, must be >= 0')
const NEGATIVE_IDLE = new Rejection('ERR Invalid IDLETIME value, must be >= 0')
const BAD_FREQUENCY = new Rejection('ERR Invalid FREQ value, must be >= 0 and <= 255')
const MOST_FREQUENT = 255n

/** A string of one byte is plain from here on: below it is an encoding. */
const PLAIN_BELOW = 0xc0
const STRING = 0

const READER = new ValueReader(new HashTemplates())
const NOBODY = new IgnoredElements()
const TEXT = new Argument()

interface Options {
  readonly replace: boolean
  readonly absolute: boolean
}

function optionsOf(call: Call): Options | Rejection {
  let replace = false
  let absolute = false
  let idle = false
  let frequency = false
  for (let i = 4; i < call.argc; i++) {
    if (call.is(i, 'REPLACE')) replace = true
    else if (call.is(i, 'ABSTTL')) absolute = true
    else if (call.is(i, 'IDLETIME') && i + 1 < call.argc && !frequency) {
      const seconds = call.int64(++i)
      if (seconds === undefined) return NOT_AN_INTEGER
      if (seconds < 0n) return NEGATIVE_IDLE
      idle = true
    } else if (call.is(i, 'FREQ') && i + 1 < call.argc && !idle) {
      const uses = call.int64(++i)
      if (uses === undefined) return NOT_AN_INTEGER
      if (uses < 0n || uses > MOST_FREQUENT) return BAD_FREQUENCY
      frequency = true
    } else return SYNTAX
  }
  return { replace, absolute }
}

/** What the argument holds, if the server takes its version. */
function payloadOf(bytes: Uint8Array, offset: number, keyspace: Keyspace): Payload | undefined {
  try {
    const payload = readPayload(bytes, offset)
    return loadsRdb(keyspace.server, payload.magic, payload.version) ? payload : undefined
  } catch (error) {
    if (error instanceof FormatError) return undefined
    throw error
  }
}

/** Gives the elements of a payload; false when they cannot be decoded. */
function decode(bytes: Uint8Array, { magic, type, value, end }: Payload, sink: ElementSink): boolean {
  try {
    READER.begin(magic, type, value, sink)
    READER.feed(bytes, value, end)
    READER.finish()
    return true
  } catch (error) {
    if (error instanceof FormatError) return false
    throw error
  }
}

/** Fills the empty value of a key with what the payload holds; false when that is nothing, or cannot be decoded. */
function fill(
  keyspace: Keyspace,
  cell: Cell,
  argument: Argument,
  bytes: Uint8Array,
  payload: Payload,
): boolean {
  const { magic, type, value, end } = payload
  const kind = keyspace.kind(cell)
  if (kind === CellKind.Module || kind === CellKind.Array) {
    if (!decode(bytes, payload, NOBODY)) return false
    const place = { part: argument.part, offset: argument.offset + value, length: end - value }
    keyspace.opaques.setValue(cell, { ...place, magic, type })
    return true
  }
  if (type === STRING && bytes[value] < PLAIN_BELOW) {
    // It stays where it stands in the log.
    if (!decode(bytes, payload, NOBODY)) return false
    const size = stringHead(bytes, value, end, 0)?.size as number
    TEXT.of(bytes, value + size, end)
    TEXT.part = argument.part
    if (argument.offset >= 0) TEXT.offset = argument.offset + value + size
    keyspace.strings.set(cell, TEXT)
    return true
  }
  const sink = UNPACKED_ZSETS.has(type) ? new ZsetFiller(keyspace).of(cell) : keyspace.sink(cell)
  if (!decode(bytes, payload, sink)) return false
  return kind === CellKind.String || kind === CellKind.Stream || keyspace.length(cell) > 0
}

// biome-ignore lint/suspicious/noConfusingVoidType: as Handler
function restore(call: Call, keyspace: Keyspace): Rejection | void {
  const options = optionsOf(call)
  if (options instanceof Rejection) return options
  const before = keyspace.findKey(call.at(1))
  if (before !== 0 && !options.replace) return BUSY
  const ttl = call.int64(2)
  if (ttl === undefined) return NOT_AN_INTEGER
  if (ttl < 0n) return NEGATIVE_TTL
  const argument = call.at(3)
  const bytes = argument.bytes.subarray(argument.at, argument.end)
  const payload = payloadOf(bytes, argument.offset, keyspace)
  if (payload === undefined) return BAD_PAYLOAD
  const type = valueType(payload.magic, payload.type)
  if (type === undefined || !loadsType(keyspace.server, payload.magic, payload.type)) return BAD_DATA
  if (before !== 0) {
    // Nothing is lost for a payload that is none.
    const probe = new Probe()
    if (!decode(bytes, payload, probe) || probe.empty) return BAD_DATA
    keyspace.remove(before)
  }
  const cell = keyspace.create(call.at(1), KIND_NAMES.indexOf(type.kind) as CellKind)
  if (!fill(keyspace, cell, argument, bytes, payload)) {
    keyspace.remove(cell)
    return BAD_DATA
  }
  if (ttl === 0n) return
  keyspace.setExpiryExact(cell, options.absolute ? ttl : BigInt.asIntN(64, ttl + BigInt(keyspace.clock)))
}

/** Finds out whether a collection has elements. */
class Probe extends IgnoredElements {
  empty = false
  #collection = false
  #elements = 0

  override begin(kind: string): void {
    this.#collection = kind === 'list' || kind === 'set' || kind === 'zset' || kind === 'hash'
  }

  override item(): void {
    this.#elements++
  }

  override member(): void {
    this.#elements++
  }

  override scored(): void {
    this.#elements++
  }

  override field(): void {
    this.#elements++
  }

  override end(): void {
    this.empty = this.#collection && this.#elements === 0
  }
}

export const RESTORE: Handlers = { restore, 'restore-asking': restore }
