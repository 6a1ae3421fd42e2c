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

/** A file name in JSON: it need not be UTF-8 either. */
export function jsonName(name: string): string | { base64: string } {
  return hasStrayBytes(name) ? { base64: nameBytes(name).toString('base64') } : name
}

/** One document, with a line break. */
export function toJson(value: unknown): string {
  return `${JSON.stringify(value, (_, item) => (typeof item === 'bigint' ? item.toString() : item), 2)}\n`
}
