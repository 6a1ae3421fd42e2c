import { CONTROL_IDS, Context } from '../aof/context.ts'
import type { Finding } from '../aof/finding.ts'
import { type Input, openPart, type Part } from '../aof/parts.ts'
import { type PartVisitor, scanPart } from '../aof/scan.ts'
import { type FormatError, torn } from '../bytes/errors.ts'
import { type Writers, writersOf } from '../bytes/open-files.ts'
import type { Source } from '../bytes/source.ts'
import type { Magic } from '../rdb/format.ts'
import type { RdbEvent } from '../rdb/walk.ts'
import type { LongRecord } from '../resp/long-record.ts'
import type { Batch } from '../resp/scanner.ts'
import { type CommandTable, isModuleName } from '../servers/commands.ts'
import type { ServerName } from '../servers/servers.ts'
import { growthPercent } from './growth.ts'
import { LogServer } from './log-server.ts'
import type { LogOptions } from './verify.ts'

export interface PartSummary {
  readonly file: string
  readonly type: Part['role']
  readonly format: 'resp' | 'rdb' | 'rdb+resp'
  /** Bytes; of compressed input, those that it unpacks to. */
  readonly size: number
  readonly rdbMagic?: Magic
  readonly rdbVersion?: number
  /** The RDB's AUX fields, by name; values that are not UTF-8 as bytes. */
  readonly aux?: ReadonlyMap<string, Uint8Array>
  /** In the RDB. */
  readonly keys: number
  /** Behind it. */
  readonly commands: number
  /** Databases that have keys or are selected, ascending. */
  readonly databases: readonly number[]
  /** Unix seconds of the first and last `#TS:`. */
  readonly firstTimestamp?: number
  readonly lastTimestamp?: number
  /** Closed by `EXEC`. */
  readonly transactions: number
  /** Places that servers or check-aof refuse, beside {@link error}: verify says what they are. */
  readonly wrong: number
  /** Why reading ended before the end, or a transaction that nothing ends. */
  readonly error?: FormatError
}

export interface Inspection {
  readonly layout: Input['layout']
  readonly parts: readonly PartSummary[]
  readonly bytes: number
  /**
   * By how many per cent the log has outgrown its base (or preamble), as servers count it for
   * `auto-aof-rewrite-percentage`; undefined where there is none.
   */
  readonly growthPercent: number | undefined
  /** The server that wrote it, as far as it says so. */
  readonly server: ServerName
  readonly findings: readonly Finding[]
  /** Who holds the last part open for writing. */
  readonly writers: Writers
}

/** What a log is, without replaying it: one pass, constant memory. */
export async function inspectLog(
  input: Input,
  options: LogOptions,
  progress?: (bytes: number) => void,
): Promise<Inspection> {
  const server = new LogServer(options.as, options.allowCommands)
  const parts: PartSummary[] = []
  let bytes = 0
  let base = 0
  for (const part of input.parts) {
    const source = await openPart(part)
    const before = bytes
    try {
      const count = new PartCount(part, server, options.databases)
      const summary = await count.run(source, progress && (offset => progress(before + offset)))
      parts.push(summary)
      bytes += summary.size
      if (part.role === 'base') base += summary.size
      // An RDB alone has not grown: it is no log.
      else if (part.role === 'single' && summary.format === 'rdb+resp') base += count.preambleEnd
    } finally {
      await source.close()
    }
  }
  const last = input.parts.at(-1)
  return {
    layout: input.layout,
    parts,
    bytes,
    growthPercent: base === 0 ? undefined : growthPercent(bytes, base),
    server: server.name,
    findings: input.findings,
    writers: last?.size === undefined ? { pids: [], known: false } : await writersOf(last.path),
  }
}

class PartCount implements PartVisitor {
  preambleEnd = 0
  readonly #part: Part
  readonly #server: LogServer
  readonly #context: Context
  readonly #databases = new Set<number>()
  readonly #aux = new Map<string, Uint8Array>()
  #progress: ((offset: number) => void) | undefined
  #table: CommandTable | undefined
  #header: { readonly magic: Magic; readonly version: number } | undefined
  #keys = 0
  #commands = 0
  #wrong = 0
  #firstTimestamp: number | undefined

  constructor(part: Part, server: LogServer, databases: number) {
    this.#part = part
    this.#server = server
    this.#context = new Context(databases)
  }

  async run(source: Source, progress: ((offset: number) => void) | undefined): Promise<PartSummary> {
    this.#progress = progress
    const end = await scanPart(source, this, { databases: Number.POSITIVE_INFINITY })
    this.preambleEnd = end.preambleEnd
    const { transaction } = this.#context
    const open =
      transaction < 0 ? undefined : torn('transaction.torn', transaction, 'MULTI without EXEC up to the end')
    const error = end.error ?? open
    const last = this.#context.time
    return {
      file: this.#part.name,
      type: this.#part.role,
      format: end.format,
      size: end.size,
      ...(this.#header === undefined
        ? {}
        : { rdbMagic: this.#header.magic, rdbVersion: this.#header.version, aux: this.#aux }),
      keys: this.#keys,
      commands: this.#commands,
      databases: [...this.#databases].sort((a, b) => a - b),
      ...(this.#firstTimestamp === undefined || last === undefined
        ? {}
        : { firstTimestamp: this.#firstTimestamp, lastTimestamp: last }),
      transactions: this.#context.transactions,
      wrong: this.#wrong,
      ...(error === undefined ? {} : { error }),
    }
  }

  rdb(event: RdbEvent): void {
    switch (event.kind) {
      case 'header':
        this.#header = { magic: event.magic, version: event.version }
        this.#server.noteMagic(event.magic)
        return
      case 'aux':
        this.#server.noteAux(event.name, event.value)
        if (event.name !== undefined && event.value !== undefined && this.#aux.size < MAX_AUX) {
          this.#aux.set(Buffer.from(event.name).toString('latin1'), event.value)
        }
        return
      case 'entries':
        this.#keys += event.entries.count
        this.#databases.add(event.entries.db)
        return
    }
  }

  records(batch: Batch): void {
    this.#table ??= this.#server.table
    const table = this.#table
    const context = this.#context
    let commands = batch.count
    for (let i = 0; i < batch.count; i++) {
      const a = batch.first[i]
      if (batch.first[i + 1] === a) {
        commands--
        context.annotation(batch, i)
        this.#firstTimestamp ??= context.time
        continue
      }
      const id = table.lookup(batch.bytes, batch.start[a], batch.length[a])
      if (CONTROL_IDS.has(id)) {
        const problem = context.control(batch, i, id)
        if (problem === 'exec-alone' || problem === 'multi-nested') this.#wrong++
      } else {
        this.#databases.add(context.db)
        if (
          id >= 0
            ? !table.arityOk(id, batch.argc(i))
            : !isModuleName(batch.bytes, batch.start[a], batch.length[a])
        ) {
          this.#wrong++
        }
      }
    }
    this.#commands += commands
    for (const { code } of batch.oddities) if (code !== 'resp.header.form') this.#wrong++
  }

  long(_: LongRecord): void {
    this.#commands++
    this.#databases.add(this.#context.db)
  }

  progress(offset: number): undefined {
    this.#progress?.(offset)
  }
}

/** AUX fields that are kept; servers write ten. */
const MAX_AUX = 100
