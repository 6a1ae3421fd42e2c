import { Crc64 } from '../bytes/crc64.ts'
import { corrupt } from '../bytes/errors.ts'
import { KNOWN_VERSIONS, type Magic } from './format.ts'

/**
 * What `DUMP` gives and `RESTORE` takes: a value alone.
 *
 *     type (1 byte)  value  version (2 bytes)  checksum (8 bytes, of all before it)      both low byte first
 *
 * There is no magic: versions from 80 on are Valkey's.
 */

const VERSION_SIZE = 2
const CHECKSUM_SIZE = 8
/** Bytes behind the value. */
export const PAYLOAD_FOOTER_SIZE = VERSION_SIZE + CHECKSUM_SIZE

export interface Payload {
  /** The file in which the type would mean the same. */
  readonly magic: Magic
  readonly version: number
  readonly type: number
  /** The encoded value stands at `bytes[value, end)`. */
  readonly value: number
  readonly end: number
}

/** A payload of the encoded `value`. Servers refuse one whose version is above their own. */
export function writePayload(type: number, value: Uint8Array, version: number): Uint8Array {
  const end = 1 + value.length
  const bytes = new Uint8Array(end + PAYLOAD_FOOTER_SIZE)
  bytes[0] = type
  bytes.set(value, 1)
  const view = new DataView(bytes.buffer)
  view.setUint16(end, version, true)
  view.setBigUint64(end + VERSION_SIZE, checksum(bytes, end + VERSION_SIZE), true)
  return bytes
}

/**
 * What the payload `bytes` holds.
 *
 * @param offset of its first byte in the part, for the error
 * @throws FormatError `rdb.payload.size`, `rdb.payload.version` for one that nobody writes, `rdb.payload.checksum`
 */
export function readPayload(bytes: Uint8Array, offset: number): Payload {
  const end = bytes.length - PAYLOAD_FOOTER_SIZE
  if (end < 1) throw corrupt('rdb.payload.size', offset, `a payload of only ${bytes.length} bytes`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const version = view.getUint16(end, true)
  const magic = version < KNOWN_VERSIONS.VALKEY[0] ? 'REDIS' : 'VALKEY'
  const [lowest, highest] = KNOWN_VERSIONS[magic]
  if (version < lowest || version > highest)
    throw corrupt('rdb.payload.version', offset + end, `a payload of version ${version}`)
  const computed = checksum(bytes, end + VERSION_SIZE)
  const stored = view.getBigUint64(end + VERSION_SIZE, true)
  if (stored !== computed) {
    const hex = (sum: bigint) => sum.toString(16).padStart(2 * CHECKSUM_SIZE, '0')
    throw corrupt(
      'rdb.payload.checksum',
      offset + end + VERSION_SIZE,
      `a payload with the checksum ${hex(stored)} has ${hex(computed)}`,
    )
  }
  return { magic, version, type: bytes[0], value: 1, end }
}

function checksum(bytes: Uint8Array, end: number): bigint {
  const crc = new Crc64()
  crc.update(bytes, 0, end)
  return crc.value()
}
