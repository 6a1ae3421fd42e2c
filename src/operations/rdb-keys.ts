import { type Input, openPart, type Part } from '../aof/parts.ts'
import { type PartEnd, type PartVisitor, scanPart } from '../aof/scan.ts'
import type { FormatError } from '../bytes/errors.ts'
import { escapeBytes } from '../bytes/escape.ts'
import { type Entry, EntryReader } from '../rdb/entries.ts'
import type { EntryBatch, RdbEvent } from '../rdb/events.ts'
import type { ElementSink } from '../values/elements.ts'
import { DuplicateKeys } from './duplicate-keys.ts'
import { FirstFindings } from './first-findings.ts'
import type { KeySelection, KeySink, KeyVisitor } from './keys.ts'

/** Bytes of a key that a message shows. */
const MAX_KEY = 60
const LINE_END = Buffer.from('\r\n')

/**
 * Whether a log is RDB and nothing else, so that its keys can be handed on as they are read. Where that cannot be found
 * out without reading it all twice (standard input, compressed): false.
 */
export async function isRdbAlone(input: Input, databases: number): Promise<boolean> {
  if (input.size === undefined) return false
  for (const part of input.parts) if (part.size !== 0 && !(await isRdb(part, databases))) return false
  return true
}

async function isRdb(part: Part, databases: number): Promise<boolean> {
  const source = await openPart(part)
  try {
    // A log that goes on behind its preamble ends like this, and hardly any RDB does.
    const end = new Uint8Array(LINE_END.length)
    await source.readAt(end, Math.max(0, (source.size as number) - end.length))
    if (LINE_END.equals(end)) return false
    let commands = false
    const found = () => {
      commands = true
    }
    const visitor: PartVisitor = { rdb() {}, records: found, long: found, progress: () => commands }
    const { format } = await scanPart(source, visitor, { databases })
    return format === 'rdb'
  } finally {
    await source.close()
  }
}

/**
 * Hands the keys of a log that {@link isRdbAlone} on as they are read: takes the memory of the largest element. How many
 * libraries of functions it has.
 */
export async function streamRdbKeys(
  input: Input,
  selection: KeySelection,
  options: { readonly databases: number },
  visitor: KeyVisitor,
): Promise<number> {
  let before = 0
  let functions = 0
  for (const part of input.parts) {
    const source = await openPart(part)
    try {
      const replay = new RdbPart(part, selection, visitor, before)
      await replay.close(await scanPart(source, replay, { databases: options.databases, values: true }))
      functions += replay.functions
      before = replay.reached
    } finally {
      await source.close()
    }
    if (visitor.done) break
  }
  return functions
}

class RdbPart implements PartVisitor {
  functions = 0
  /** Bytes that were read, of this part and those before it. */
  reached: number
  readonly #part: Part
  readonly #selection: KeySelection
  readonly #visitor: KeyVisitor
  readonly #duplicates = new DuplicateKeys()
  /** Offsets of entries whose values have no elements. */
  readonly #empty: number[] = []
  readonly #before: number
  readonly #reader: EntryReader
  readonly #findings = new FirstFindings()
  /** Offset of the entry whose value is taken, and by whom. */
  #taken = -1
  #sink: KeySink | undefined
  /** Up to which the part was read when that was last told. */
  #offset = 0

  constructor(part: Part, selection: KeySelection, visitor: KeyVisitor, before: number) {
    this.#part = part
    this.#selection = selection
    this.#visitor = visitor
    this.#before = before
    this.reached = before
    this.#reader = new EntryReader({
      entry: entry => this.#entry(entry),
      damaged: (error, entry) => this.#damaged(error, entry),
    })
  }

  rdb(event: RdbEvent): void | Promise<void> {
    if (this.#visitor.done) return
    if (event.kind === 'function' || event.kind === 'function-pre-release') this.functions++
    this.#reader.event(event)
    if (event.kind === 'entries') this.#addKeys(event.entries)
    if (!this.#visitor.full) return
    return this.#visitor.pause(this.#before + this.#offset)
  }

  // There are none.
  records(): void {}

  long(): void {}

  async progress(offset: number): Promise<boolean> {
    this.#offset = offset
    await this.#visitor.pause(this.#before + offset)
    return this.#visitor.done
  }

  /** The part was read as far as it can be. */
  async close({ error, offset }: PartEnd): Promise<void> {
    for (const { start, offset } of this.#duplicates.found())
      this.#blame('rdb.key.duplicate', offset, `key "${shown(start)}" was there before: servers do not start`)
    if (error !== undefined) {
      // It may be in the value that was taken.
      if (this.#taken >= 0) this.#visitor.cut()
      this.#blame(error.code, error.offset, error.message)
    }
    await this.#findings.report((first, count) => this.#visitor.damage(first, count))
    this.reached = this.#before + offset
  }

  #entry(entry: Entry): ElementSink | undefined {
    const { key, databases, types } = this.#selection
    this.#look()
    if (databases?.has(entry.db) === false || types?.has(entry.kind) === false) return undefined
    if (key !== undefined && !key.test(entry.key.bytes, entry.key.at, entry.key.length)) return undefined
    this.#taken = entry.offset
    this.#sink = this.#visitor.key(entry)
    return this.#sink
  }

  #damaged(error: FormatError, entry: Entry | undefined): void {
    if (entry === undefined) {
      this.#blame(error.code, error.offset, error.message)
      return
    }
    const { key, offset } = entry
    if (this.#taken === offset) this.#visitor.cut()
    // One that was not taken may be one whose key cannot be read.
    else if (key.length > 0) return
    this.#taken = -1
    const name = shown(key.bytes.subarray(key.at, key.end))
    this.#blame(error.code, error.offset, `${error.message} (key "${name}")`)
  }

  /** Looks at what became of the value that was taken last. */
  #look(): void {
    if (this.#taken >= 0 && this.#sink?.exists === false) this.#empty.push(this.#taken)
    this.#taken = -1
  }

  #addKeys(entries: EntryBatch): void {
    this.#look()
    this.#duplicates.add(entries, this.#empty)
    this.#empty.length = 0
  }

  #blame(code: string, offset: number, message: string): void {
    this.#findings.add({ code, severity: 'error', part: this.#part.name, offset, message })
  }
}

function shown(key: Uint8Array): string {
  return escapeBytes(key, MAX_KEY)
}
