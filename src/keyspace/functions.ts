import type { Slice } from '../values/slice.ts'
import { Rejection } from './rejection.ts'

/*
 * Libraries of functions. The first line of the source says who runs it and how it is called: `#!lua name=mylib`. The code
 * behind that line only a server can compile: that it fails there, or that a function's name is in use in another
 * library, is not found out here.
 */

const LINE_FEED = 0x0a
/** As C has it. A character of the line is a byte: not more of them are space. */
const SPACE = /[ \t\v\f\r]+/

const MISSING_HEADER = new Rejection('ERR Missing library metadata')
const INVALID_HEADER = new Rejection('ERR Invalid library metadata')
const NO_NAME = new Rejection('ERR Library name was not given')
const NAME_TWICE = new Rejection('ERR Invalid metadata value, name argument was given multiple times')
const BAD_NAME = new Rejection(
  'ERR Library names can only contain letters, numbers, or underscores(_) and must be at least one character long',
)
export const NO_LIBRARY = new Rejection('ERR Library not found')

/** The libraries of a server, by name. */
export class Functions {
  readonly #libraries = new Map<string, Uint8Array>()

  get size(): number {
    return this.#libraries.size
  }

  /** Names and sources, in the order in which the names came. */
  entries(): IterableIterator<[name: string, source: Uint8Array]> {
    return this.#libraries.entries()
  }

  /** Takes a copy of the source. */
  load(source: Slice, replace: boolean): Rejection | undefined {
    const name = libraryName(source)
    if (name instanceof Rejection) return name
    if (!replace && this.#libraries.has(name)) return new Rejection(`ERR Library '${name}' already exists`)
    this.#libraries.set(name, source.copy())
    return undefined
  }

  has(name: string): boolean {
    return this.#libraries.has(name)
  }

  /** Whether it was there. */
  delete(name: string): boolean {
    return this.#libraries.delete(name)
  }

  clear(): void {
    this.#libraries.clear()
  }
}

/** What the first line calls the library, as a text of bytes. */
export function libraryName({ bytes, at, end }: Slice): string | Rejection {
  if (bytes[at] !== 0x23 || bytes[at + 1] !== 0x21 || end - at < 2) return MISSING_HEADER
  const lineEnd = bytes.subarray(at, end).indexOf(LINE_FEED)
  if (lineEnd < 0) return INVALID_HEADER
  const line = Buffer.from(bytes.subarray(at + 2, at + lineEnd)).toString('latin1')
  const [engine, ...words] = line.split(SPACE)
  if (words.at(-1) === '') words.pop()
  let name: string | undefined
  for (const word of words) {
    const value = /^name=(.*)$/is.exec(word)?.[1]
    if (value === undefined) return new Rejection(`ERR Invalid metadata value given: ${word}`)
    if (name !== undefined) return NAME_TWICE
    name = value.replace(/^(["'])(.*)\1$/s, '$2')
  }
  if (name === undefined) return NO_NAME
  if (!/^\w+$/.test(name)) return BAD_NAME
  if (engine.toLowerCase() !== 'lua') return new Rejection(`ERR Engine '${engine}' not found`)
  return name
}
