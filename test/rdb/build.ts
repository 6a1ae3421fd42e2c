/** RDB files piece by piece, for what no server here writes, and for damage. Numbers as the format has them. */
import { Crc64 } from '../../src/bytes/crc64.ts'

export type Piece = Uint8Array | number | Piece[]

/** Pieces one after the other; a number is a byte. */
export function bytes(...pieces: Piece[]): Buffer {
  const flat = (piece: Piece): Uint8Array[] =>
    typeof piece === 'number' ? [Uint8Array.of(piece)] : Array.isArray(piece) ? piece.flatMap(flat) : [piece]
  return Buffer.concat(pieces.flatMap(flat))
}

/** A length in its shortest form. */
export function len(value: number | bigint): Buffer {
  const exact = BigInt(value)
  if (exact < 64n) return Buffer.of(Number(exact))
  if (exact < 16384n) return Buffer.of(0x40 | Number(exact >> 8n), Number(exact & 0xffn))
  if (exact < 1n << 32n) {
    const buffer = Buffer.of(0x80, 0, 0, 0, 0)
    buffer.writeUInt32BE(Number(exact), 1)
    return buffer
  }
  const buffer = Buffer.alloc(9, 0x81)
  buffer.writeBigUInt64BE(exact, 1)
  return buffer
}

/** A string as it is: a length and its bytes. */
export function str(text: string | Uint8Array): Buffer {
  const body = Buffer.from(text as string)
  return bytes(len(body.length), body)
}

/** Little-endian 64 bits. */
export function int64(value: number | bigint): Buffer {
  const buffer = Buffer.alloc(8)
  buffer.writeBigInt64LE(BigInt(value))
  return buffer
}

export function double(value: number): Buffer {
  const buffer = Buffer.alloc(8)
  buffer.writeDoubleLE(value)
  return buffer
}

/** Bytes that LZF cannot shorten, the same for the same numbers. */
export function noise(length: number, seed = length): Buffer {
  const noise = Buffer.alloc(length)
  let state = seed
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0
    noise[i] = state >>> 24
  }
  return noise
}

/** The checksum that belongs behind `content`. */
export function checksum(content: Uint8Array): Buffer {
  const crc = new Crc64()
  crc.update(content)
  const buffer = Buffer.alloc(8)
  buffer.writeBigUInt64LE(crc.value())
  return buffer
}

/** A file: header, pieces, end mark, checksum (from version 5 on). */
export function rdb(header: string, ...pieces: Piece[]): Buffer {
  const content = bytes(Buffer.from(header, 'latin1'), pieces, 0xff)
  const version = Number.parseInt(header.slice(header.startsWith('VALKEY') ? 6 : 5), 10)
  return version < 5 ? content : bytes(content, checksum(content))
}

export const select = (db: number): Buffer => bytes(254, len(db))
export const aux = (name: string, value: string): Buffer => bytes(250, str(name), str(value))

/** An entry: type, key, encoded value. */
export const entry = (type: number, key: string, ...value: Piece[]): Buffer => bytes(type, str(key), value)

/** A listpack of numbers up to 127 and of strings of less than 126 bytes. */
export function listpack(...items: string[]): Buffer {
  const body = items.map(item => {
    if (/^\d+$/.test(item) && Number(item) < 128) return bytes(Number(item), 1)
    const text = Buffer.from(item)
    if (text.length < 64) return bytes(0x80 | text.length, text, 1 + text.length)
    if (text.length >= 126) throw new RangeError('too long for this helper')
    return bytes(0xe0, text.length, text, 2 + text.length)
  })
  const content = Buffer.concat(body)
  const buffer = Buffer.alloc(6)
  buffer.writeUInt32LE(content.length + 7, 0)
  buffer.writeUInt16LE(items.length, 4)
  return bytes(buffer, content, 0xff)
}

/** A ziplist of strings of less than 64 bytes. */
export function ziplist(...items: string[]): Buffer {
  let previous = 0
  let tail = 10
  let at = 10
  const body = items.map(item => {
    const text = Buffer.from(item)
    if (text.length >= 64) throw new RangeError('too long for this helper')
    const piece = bytes(previous, text.length, text)
    tail = at
    at += piece.length
    previous = piece.length
    return piece
  })
  const content = Buffer.concat(body)
  const buffer = Buffer.alloc(10)
  buffer.writeUInt32LE(content.length + 11, 0)
  buffer.writeUInt32LE(tail, 4)
  buffer.writeUInt16LE(items.length, 8)
  return bytes(buffer, content, 0xff)
}
