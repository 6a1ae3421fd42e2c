import { escapeBytes } from '../bytes/escape.ts'

/*
 * The first line of a library of functions says who runs it and how it is called: `#!lua name=mylib`. Servers split it
 * into words as redis-cli would, so what is quoted may be an escape; that is not looked into here, nor is the code behind
 * the line, which only a server can compile.
 */

const LINE_FEED = 0x0a
/** Bytes of the line that a message shows. */
const SHOWN = 60

export interface FunctionFault {
  readonly code: string
  readonly message: string
}

/** Checks the libraries of one RDB, one after the other. */
export class FunctionCheck {
  readonly #names = new Set<string>()

  /** What makes servers refuse the library, if anything does. */
  add(library: Uint8Array): FunctionFault | undefined {
    const end = library.indexOf(LINE_FEED)
    const line = Buffer.from(library.subarray(0, end < 0 ? library.length : end)).toString('latin1')
    const wrong = (why: string): FunctionFault => ({
      code: 'rdb.function.header',
      message: `a library of functions must start with "#!lua name=NAME", on a line of its own; ${why} "${escapeBytes(Buffer.from(line, 'latin1'), SHOWN)}"`,
    })
    if (end < 0 || !line.startsWith('#!')) return wrong('this one starts with')
    if (/["'\\]/.test(line)) return undefined
    const [engine, ...words] = line.slice(2).split(SPACE)
    if (words.at(-1) === '') words.pop()
    if (engine.toLowerCase() !== 'lua') return wrong('no server here has the engine of')
    const name = words.length === 1 ? /^name=(\w+)$/i.exec(words[0])?.[1] : undefined
    if (name === undefined) return wrong('there is no name, or more than that, in')
    if (this.#names.has(name))
      return { code: 'rdb.function.duplicate', message: `the library of functions "${name}" is there twice` }
    this.#names.add(name)
    return undefined
  }
}

/** As C has it. A character of the line is a byte: not more of them are space. */
const SPACE = /[ \t\v\f\r]+/
