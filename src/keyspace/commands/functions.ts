import { FormatError } from '../../bytes/errors.ts'
import { Cursor } from '../../rdb/cursor.ts'
import { Opcode } from '../../rdb/format.ts'
import { PAYLOAD_FOOTER_SIZE, readPayload } from '../../rdb/payload.ts'
import { Slice } from '../../values/slice.ts'
import type { Argument } from '../argument.ts'
import { libraryName, NO_LIBRARY } from '../functions.ts'
import { Rejection } from '../rejection.ts'
import type { Handler, Handlers } from './handler.ts'
import { BAD_PAYLOAD } from './restore.ts'

const nothing: Handler = () => {}

const FLUSH_MODE = new Rejection('ERR FUNCTION FLUSH only supports SYNC|ASYNC option')
const POLICY = new Rejection(
  'ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.',
)
const NO_FUNCTION = new Rejection('ERR given type is not a function')

/** The sources in a payload of FUNCTION DUMP, one `245 string` behind the other. */
function sourcesIn(payload: Argument): Uint8Array[] | Rejection {
  // Of no libraries only the footer is there.
  if (payload.length === PAYLOAD_FOOTER_SIZE) return []
  const bytes = payload.bytes.subarray(payload.at, payload.end)
  try {
    const { end } = readPayload(bytes, payload.offset)
    const cursor = new Cursor(Number.POSITIVE_INFINITY)
    cursor.set(bytes, 0, end, 0)
    const source = new Slice()
    const sources: Uint8Array[] = []
    while (cursor.at < end) {
      if (cursor.byte() !== Opcode.Function) return NO_FUNCTION
      cursor.string(source)
      sources.push(source.copy())
    }
    return sources
  } catch (error) {
    // What is cut shows as the cursor's own signal.
    if (error instanceof FormatError || !(error instanceof Error)) return BAD_PAYLOAD
    throw error
  }
}

export const FUNCTIONS: Handlers = {
  'function|load'(call, keyspace) {
    const source = call.argc - 1
    let replace = false
    for (let i = 2; i < source; i++) {
      if (!call.is(i, 'REPLACE')) return new Rejection(`ERR Unknown option given: ${call.word(i)}`)
      replace = true
    }
    return keyspace.functions.load(call.at(source), replace)
  },

  'function|delete'(call, keyspace) {
    const name = Buffer.from(call.at(2).copy()).toString('latin1')
    if (!keyspace.functions.delete(name)) return NO_LIBRARY
  },

  'function|flush'(call, keyspace) {
    if (call.argc > 3 || (call.argc === 3 && !call.is(2, 'SYNC') && !call.is(2, 'ASYNC'))) return FLUSH_MODE
    keyspace.functions.clear()
  },

  'function|restore'(call, keyspace) {
    const policy = call.argc === 4 ? call.word(3) : 'APPEND'
    if (call.argc > 4 || !['FLUSH', 'APPEND', 'REPLACE'].includes(policy)) return POLICY
    const sources = sourcesIn(call.at(2))
    if (sources instanceof Rejection) return sources
    const { functions } = keyspace
    const slice = new Slice()
    const names = new Set<string>()
    for (const source of sources) {
      const name = libraryName(slice.set(source))
      if (name instanceof Rejection) return name
      if (names.has(name) || (policy === 'APPEND' && functions.has(name)))
        return new Rejection(`ERR Library ${name} already exists`)
      names.add(name)
    }
    if (policy === 'FLUSH') functions.clear()
    for (const source of sources) functions.load(slice.set(source), true)
  },

  'function|dump': nothing,
  'function|help': nothing,
  'function|kill': nothing,
  'function|list': nothing,
  'function|stats': nothing,
}
