import { isUtf8 } from 'node:buffer'
import { hasStrayBytes, nameBytes } from '../../bytes/names.ts'

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** A byte string in JSON: a string where it is UTF-8, else `{ "base64": "…" }`. */
export function jsonBytes(bytes: Uint8Array): string | { base64: string } {
  try {
    return utf8.decode(bytes)
  } catch {
    return { base64: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64') }
  }
}

/** Bytes that become text at once. A multiple of 3, so that pieces of base64 can be joined. */
const PIECE = 3 << 14

/** The same as text, in pieces: as one string a long value would be more than JavaScript has room for. */
export function* jsonPieces(bytes: Uint8Array): Generator<string> {
  if (bytes.length <= PIECE) {
    yield jsonText(jsonBytes(bytes))
    return
  }
  const valid = isUtf8(bytes)
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  yield valid ? '"' : '{"base64":"'
  for (let at = 0; at < bytes.length; at += PIECE) {
    const piece = bytes.subarray(at, at + PIECE)
    yield valid
      ? jsonText(decoder.decode(piece, { stream: true })).slice(1, -1)
      : Buffer.from(piece.buffer, piece.byteOffset, piece.length).toString('base64')
  }
  yield valid ? '"' : '"}'
}

/** A file name in JSON: it need not be UTF-8 either. */
export function jsonName(name: string): string | { base64: string } {
  return hasStrayBytes(name) ? { base64: nameBytes(name).toString('base64') } : name
}

/** What JSON allows raw, and a terminal acts on or turns its direction of writing by. */
const UNSHOWABLE = /[\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g

/**
 * A value as JSON of which every character can be shown: others stand as `\uXXXX`, which is the same value. (They can
 * only be inside strings.)
 */
export function jsonText(value: unknown, indent?: number): string {
  const text = JSON.stringify(value, (_, item) => (typeof item === 'bigint' ? item.toString() : item), indent)
  return text.replace(UNSHOWABLE, unit => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** One document, with a line break. */
export function toJson(value: unknown): string {
  return `${jsonText(value, 2)}\n`
}

/** Integers beyond 2^53 become strings. */
export function jsonInteger(value: bigint): number | string {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value.toString()
}
