import { type Input, openPart } from '../aof/parts.ts'
import { type PartVisitor, scanPart } from '../aof/scan.ts'
import type { RdbEvent } from '../rdb/walk.ts'
import type { Batch } from '../resp/scanner.ts'
import { type CommandTable, idOf } from '../servers/commands.ts'
import { LogServer } from './log-server.ts'
import type { LogOptions } from './verify.ts'

/** Which keys are wanted. */
export interface KeyTest {
  /** The next keys stand in a command, or an entry, at this offset of a part of this name. */
  enter?(part: string, offset: number): void
  test(bytes: Uint8Array, start: number, length: number): boolean
}

/** Commands that give what a key holds to another one: their first argument to their second. */
export const PASS_ON: ReadonlySet<number> = new Set(['rename', 'renamenx', 'copy'].map(idOf))

/** Names that are looked for at most. */
const MOST_NAMES = 1000

interface Name {
  readonly bytes: Uint8Array
  /** Up to there: index of the part, and offset in it. */
  part: number
  until: number
}

/**
 * A key, and the names under which what it holds was known before: those of keys that were renamed to it, or copied, up to
 * the last time that this happened. In all databases, as MOVE, COPY and SWAPDB go across them.
 */
export class KeyNames implements KeyTest {
  /** There are more names than are looked for. */
  incomplete = false
  readonly #parts: readonly string[]
  readonly #names: Name[] = []
  #part = 0
  #offset = 0

  constructor(parts: readonly string[], key: Uint8Array) {
    this.#parts = parts
    this.#names.push({ bytes: key, part: Number.POSITIVE_INFINITY, until: Number.POSITIVE_INFINITY })
  }

  /** The names besides that of the key. */
  get former(): Uint8Array[] {
    return this.#names.slice(1).map(({ bytes }) => bytes)
  }

  enter(part: string, offset: number): void {
    const index = this.#parts.indexOf(part)
    // A part that is followed is behind all of them.
    this.#part = index < 0 ? this.#parts.length : index
    this.#offset = offset
  }

  test(bytes: Uint8Array, start: number, length: number): boolean {
    for (const name of this.#names) {
      if (name.bytes.length !== length || !isSame(name.bytes, bytes, start)) continue
      return this.#part < name.part || (this.#part === name.part && this.#offset <= name.until)
    }
    return false
  }

  /** What is under this name now goes to one that is known. Whether that says anything new. */
  add(bytes: Uint8Array): boolean {
    const known = this.#names.find(name => name.bytes.length === bytes.length && isSame(name.bytes, bytes, 0))
    if (known === undefined) {
      if (this.#names.length > MOST_NAMES) {
        this.incomplete = true
        return false
      }
      this.#names.push({ bytes: bytes.slice(), part: this.#part, until: this.#offset })
      return true
    }
    if (this.#part < known.part || (this.#part === known.part && this.#offset <= known.until)) return false
    known.part = this.#part
    known.until = this.#offset
    return true
  }
}

/**
 * Finds the former names of a key: passes over the log until one finds nothing new, mostly two.
 *
 * @param progress is told the bytes read so far, in all parts, of one pass
 */
export async function findKeyNames(
  input: Input,
  key: Uint8Array,
  options: LogOptions,
  progress?: (bytes: number) => void,
): Promise<KeyNames> {
  const names = new KeyNames(
    input.parts.map(({ name }) => name),
    key,
  )
  const finder = new NameFinder(names, options)
  do {
    finder.found = false
    let before = 0
    for (const part of input.parts) {
      const source = await openPart(part)
      try {
        finder.part = part.name
        finder.report = progress && (offset => progress(before + offset))
        const { size, error } = await scanPart(source, finder, { databases: options.databases })
        before += size
        if (error !== undefined) break
      } finally {
        await source.close()
      }
    }
  } while (finder.found)
  return names
}

class NameFinder implements PartVisitor {
  found = false
  part = ''
  report: ((offset: number) => void) | undefined
  readonly #names: KeyNames
  readonly #server: LogServer
  #table: CommandTable | undefined

  constructor(names: KeyNames, { as, allowCommands }: LogOptions) {
    this.#names = names
    this.#server = new LogServer(as, allowCommands)
  }

  rdb(event: RdbEvent): void {
    if (event.kind === 'header') this.#server.noteMagic(event.magic)
    else if (event.kind === 'aux') this.#server.noteAux(event.name, event.value)
  }

  records(batch: Batch): void {
    this.#table ??= this.#server.table
    const table = this.#table
    const names = this.#names
    const { bytes, first, start, length } = batch
    for (let i = 0; i < batch.count; i++) {
      const a = first[i]
      if (first[i + 1] - a < 3 || !PASS_ON.has(table.lookup(bytes, start[a], length[a]))) continue
      names.enter(this.part, batch.offset(i))
      if (!names.test(bytes, start[a + 2], length[a + 2])) continue
      if (names.add(bytes.subarray(start[a + 1], start[a + 1] + length[a + 1]))) this.found = true
    }
  }

  // A name so long that it is no name.
  long(): void {}

  progress(offset: number): undefined {
    this.report?.(offset)
  }
}

function isSame(name: Uint8Array, bytes: Uint8Array, start: number): boolean {
  for (let k = 0; k < name.length; k++) if (name[k] !== bytes[start + k]) return false
  return true
}
