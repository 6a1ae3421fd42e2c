import { type Finding, Findings, type FoundSoFar } from '../aof/finding.ts'
import { type Input, openPart, type Part } from '../aof/parts.ts'
import { type PartEnd, type PartVisitor, scanPart } from '../aof/scan.ts'
import { Beginning } from '../bytes/beginning.ts'
import { type FormatError, JobError } from '../bytes/errors.ts'
import { escapeBytes, escapeName } from '../bytes/escape.ts'
import type { KeptSource } from '../bytes/source.ts'
import { HANDLERS } from '../keyspace/commands/table.ts'
import { Keyspace } from '../keyspace/keyspace.ts'
import { Preamble } from '../keyspace/preamble.ts'
import type { Rejection } from '../keyspace/rejection.ts'
import { type OmitCommand, Replayer } from '../keyspace/replayer.ts'
import { SHARDS } from '../keyspace/shard.ts'
import type { RdbEvent } from '../rdb/events.ts'
import type { TargetName } from '../rdb/targets.ts'
import type { LongRecord } from '../resp/long-record.ts'
import type { Batch, Oddity } from '../resp/scanner.ts'
import { isModuleName, knownTo } from '../servers/commands.ts'
import type { ServerName } from '../servers/servers.ts'
import type { Slice } from '../values/slice.ts'
import { countBehind, windowFrom } from './behind.ts'
import { LogServer } from './log-server.ts'
import type { LogOptions } from './verify.ts'

export interface ReplayOptions extends LogOptions {
  /** The clock, in Unix seconds; by default the last `#TS:` before a command. */
  readonly asOf?: number | undefined
  /** By name in small letters: which argument is the key, of commands that are kept for it; 0: none is. */
  readonly keyPositions?: ReadonlyMap<string, number>
  /** The servers' `hll-sparse-max-bytes`. */
  readonly hllSparseMaxBytes?: number | undefined
  /** Whether scripts are left out, rather than refused. */
  readonly skipScripts?: boolean
  /** Where reading ends, by part: 0 for those that are left out. Default: all is read. */
  readonly ends?: ReadonlyMap<Part, number>
  /** Sees the records before they are carried out. */
  readonly watch?: ((batch: Batch) => void) | undefined
  /** Which commands are passed over as if they were not there; never `SELECT`, `MULTI` and the like. Default: none. */
  readonly omit?: OmitCommand
  /** How parts are opened, which stay open until {@link Replay.close}. */
  readonly open?: (part: Part) => Promise<KeptSource>
}

/** A log that was replayed, and the keyspace that a server would have. */
export interface Replay {
  readonly keyspace: Keyspace
  readonly server: ServerName
  /** For whom the server that wrote the RDB part wrote; undefined where there is none, or it does not say. */
  readonly target: TargetName | undefined
  /** Commands that were met, those without effect included. */
  readonly commands: number
  /** Commands that a server refuses as it loads. */
  readonly rejected: number
  /** Scripts that were left out. */
  readonly scripts: number
  /** Bytes that were read. */
  readonly bytes: number
  /**
   * `replay.rejected` and `replay.clock` are warnings; errors are what keeps a server from loading the log as it is, or
   * from loading all of it.
   */
  readonly findings: readonly Finding[]
  /** The first finding of each kind, and how many there are. */
  readonly firstFindings: readonly { readonly first: Finding; readonly count: number }[]
  /**
   * Whether the only error is a torn end that servers with `aof-load-truncated yes` forgive, and that hides nothing: no
   * whole commands behind it, no preamble that would be lost.
   */
  readonly torn: boolean
  /** Unix seconds of the last `#TS:`, else of the time when the RDB was written. */
  readonly writtenAt: number | undefined
  /** Behind the last command that counts: the part, the offset in it and the database that is selected there. */
  readonly reached: { readonly part: Part; readonly offset: number; readonly db: number } | undefined
  /** Closes the parts: after that values that stand in them cannot be had. */
  close(): Promise<void>
}

/**
 * Builds the keyspace that a server has when it has loaded this log: nothing expires, rejected commands are passed over,
 * a transaction that is not closed does not count. Reading ends at the first place that servers do not get over.
 *
 * @param progress is told the bytes read so far, in all parts
 * @throws JobError for a command that cannot be carried out: of which nothing is known, or a script
 */
export async function replayLog(
  input: Input,
  options: ReplayOptions,
  progress?: (bytes: number) => void,
): Promise<LogReplay> {
  const run = new LogReplay(input, options, progress)
  try {
    await run.run()
    run.finish([])
    return run
  } catch (error) {
    await run.close()
    throw error
  }
}

/** Thrown by the replay of a half when it meets a command that needs both. */
export class NeedsBoth extends Error {
  override readonly name = 'NeedsBoth'
}

/** What one half has to tell the other when it is done, as another thread can be told. */
export interface HalfReport {
  readonly commands: number
  readonly rejected: number
  readonly found: FoundSoFar
  readonly clockMissed: boolean
  readonly keys: number
  /** Of each part that was read, where reading ended. */
  readonly ends: readonly number[]
}

/** Bytes of a key, and of a command's name, that a message shows. */
const SHOWN = 60
/** Bytes of a log for each key that it is taken to have, at first. */
const BYTES_PER_KEY = 1024
const SCRIPTS: ReadonlySet<string> = new Set(['eval', 'evalsha', 'fcall'])

/** The replay of a log, or of half of its keys: {@link run}, then {@link finish}. */
export class LogReplay implements Replay, PartVisitor {
  scripts = 0
  rejected = 0
  bytes = 0
  torn = false
  reached: Replay['reached']
  readonly #input: Pick<Input, 'parts' | 'size' | 'findings'>
  readonly #options: ReplayOptions
  readonly #progress: ((bytes: number) => void) | undefined
  readonly #findings = new Findings()
  readonly #server: LogServer
  readonly #sources: KeptSource[] = []
  /** The half that this is; undefined: it is all. */
  #shard: number | undefined
  /**
   * What brings the keys of the other half here, for a command that needs them; undefined: it cannot be carried out
   * ({@link NeedsBoth}).
   */
  takeOthers: (() => Promise<void>) | undefined
  /** Commands that other halves have counted. */
  #others = 0
  readonly #ends: number[] = []
  #stopped = false
  #keyspace: Keyspace | undefined
  #replayer: Replayer | undefined
  #createdAt: number | undefined

  #part: Part
  #source: KeptSource | undefined
  /** Of the part: what came before the RDB's entries, whoever takes them, and whether commands have come. */
  #header: RdbEvent | undefined
  #preamble: Preamble | undefined
  #inCommands = false

  /**
   * @param shard the half of the keyspace that is to be built (`SHARDS`); default: all of it
   * @param keyspace where it is built; default: a new one
   */
  constructor(
    input: Pick<Input, 'parts' | 'size' | 'findings'>,
    options: ReplayOptions,
    progress: ((bytes: number) => void) | undefined,
    shard?: number,
    keyspace?: Keyspace,
  ) {
    this.#keyspace = keyspace
    this.#input = input
    this.#options = options
    this.#progress = progress
    this.#shard = shard
    this.#server = new LogServer(options.as, options.allowCommands)
    this.#part = input.parts[0]
    if (keyspace !== undefined) this.#setClock(keyspace)
    if (this.#reports) for (const finding of input.findings) this.#findings.add(finding)
  }

  /** Whether what is no key's is told here. */
  get #reports(): boolean {
    return this.#shard === undefined || this.#shard === 0
  }

  /** Made when the first key comes: by then it is known which server wrote the log. */
  get keyspace(): Keyspace {
    if (this.#keyspace === undefined) {
      const { databases, hllSparseMaxBytes } = this.#options
      const shards = this.#shard === undefined ? 1 : SHARDS
      const expected = (this.#input.size ?? 0) / BYTES_PER_KEY / shards
      this.#keyspace = new Keyspace({
        databases,
        server: this.server,
        expected,
        ...(hllSparseMaxBytes === undefined ? {} : { hllSparseMaxBytes }),
      })
      this.#setClock(this.#keyspace)
    }
    return this.#keyspace
  }

  #setClock(keyspace: Keyspace): void {
    const { asOf } = this.#options
    if (asOf !== undefined) keyspace.clock = Math.floor(asOf * 1000)
  }

  get server(): ServerName {
    return this.#server.name
  }

  get target(): TargetName | undefined {
    return this.#server.target
  }

  get findings(): Finding[] {
    return this.#findings.list()
  }

  get firstFindings(): { readonly first: Finding; readonly count: number }[] {
    return this.#findings.firsts()
  }

  get writtenAt(): number | undefined {
    return this.#replayer?.lastTimestamp ?? this.#createdAt
  }

  get commands(): number {
    return (this.#replayer?.commands ?? 0) + this.#others
  }

  get report(): HalfReport {
    return {
      commands: this.commands,
      rejected: this.rejected,
      found: this.#findings.soFar,
      clockMissed: this.keyspace.clockMissed,
      keys: this.keyspace.size,
      ends: this.#ends,
    }
  }

  /** Reads the log. @throws NeedsBoth when this is a half, and not enough */
  async run(): Promise<void> {
    const { parts } = this.#input
    for (const part of parts) {
      const limit = this.#options.ends?.get(part)
      if (limit === 0) continue
      const source = await this.#open(part, limit)
      this.#begin(part, source)
      const end = await scanPart(source, this, { databases: this.#options.databases, values: true })
      this.bytes += end.offset
      this.#ends.push(end.offset)
      if (this.#stopped) return
      if (!(await this.#end(end, source, part === parts.at(-1)))) break
    }
  }

  /** The log was read: puts the findings in their order, and together with what other halves have to tell. */
  finish(others: readonly HalfReport[]): void {
    const names = this.#input.parts.map(part => part.name)
    // What concerns the whole log comes first.
    const partOf = ({ part, offset }: Finding) =>
      part === undefined || offset === undefined ? -1 : names.indexOf(part)
    this.#findings.merge(
      others.map(({ found }) => found),
      (a, b) => partOf(a) - partOf(b) || (a.offset ?? -1) - (b.offset ?? -1),
    )
    for (const { commands, rejected, found } of others) {
      this.#others += commands
      this.rejected += rejected
      for (const { first } of found.kinds.values()) if (first.severity === 'error') this.torn = false
    }
    if (this.keyspace.clockMissed || others.some(({ clockMissed }) => clockMissed)) {
      this.#findings.add({
        code: 'replay.clock',
        severity: 'warning',
        message:
          'times that the log gives relative to now are counted from 1970: it has no #TS:, and --as-of gives none',
      })
    }
  }

  async close(): Promise<void> {
    for (const source of this.#sources.splice(0)) await source.close()
  }

  rdb(event: RdbEvent): void {
    if (event.kind === 'header') {
      this.#server.noteMagic(event.magic)
      this.#header = event
      return
    }
    if (event.kind === 'aux') {
      this.#server.noteAux(event.name, event.value)
      this.#noteTime(event.name, event.value)
      return
    }
    if (this.#preamble === undefined) {
      const number = this.keyspace.store.extents.add(this.#source as KeptSource)
      this.#preamble = new Preamble(
        this.keyspace,
        number,
        {
          damaged: (error, key) => this.#damaged(error, key),
          duplicate: (offset, key) => this.#duplicate(offset, key),
          refused: (offset, rejection) => this.#refused(offset, rejection),
        },
        this.#shard,
      )
      if (this.#header !== undefined) this.#preamble.event(this.#header)
    }
    this.#preamble.event(event)
  }

  records(batch: Batch): void | Promise<void> {
    this.#options.watch?.(batch)
    const replayer = this.#enter()
    const done = replayer.records(batch)
    if (done < batch.count) return this.#recordsOfBoth(replayer, batch, done)
    for (const oddity of batch.oddities) this.#odd(oddity)
  }

  async #recordsOfBoth(replayer: Replayer, batch: Batch, done: number): Promise<void> {
    await this.#becomeWhole(replayer)
    replayer.records(batch, done)
    for (const oddity of batch.oddities) this.#odd(oddity)
  }

  long(record: LongRecord): void | Promise<void> {
    this.#options.watch?.(record.asBatch())
    const replayer = this.#enter()
    if (!replayer.long(record)) return this.#longOfBoth(replayer, record)
    for (const oddity of record.oddities) this.#odd(oddity)
  }

  async #longOfBoth(replayer: Replayer, record: LongRecord): Promise<void> {
    await this.#becomeWhole(replayer)
    replayer.long(record)
    for (const oddity of record.oddities) this.#odd(oddity)
  }

  async #becomeWhole(replayer: Replayer): Promise<void> {
    if (this.takeOthers === undefined) throw new NeedsBoth()
    await this.takeOthers()
    replayer.makeWhole()
    this.#shard = undefined
  }

  progress(offset: number): boolean {
    this.#progress?.(this.bytes + offset)
    return this.#stopped
  }

  /** Has {@link run} come back soon: nobody wants what it does. */
  stop(): void {
    this.#stopped = true
  }

  async #open(part: Part, limit: number | undefined): Promise<KeptSource> {
    const open = this.#options.open ?? (part => openPart(part, { again: true }) as Promise<KeptSource>)
    const source = await open(part)
    this.#sources.push(source)
    return limit === undefined ? source : new Beginning(source, limit)
  }

  #begin(part: Part, source: KeptSource): void {
    this.#part = part
    this.#source = source
    this.#header = undefined
    this.#preamble = undefined
    this.#inCommands = false
  }

  /** The replayer, when the first command of a part has come. */
  #enter(): Replayer {
    const { asOf, keyPositions, omit } = this.#options
    this.#replayer ??= new Replayer(
      this.keyspace,
      this.#server.table,
      {
        rejected: (offset, name, rejection) => this.#reject(offset, name, rejection),
        unsupported: (offset, name) => this.#unsupported(offset, name),
      },
      asOf === undefined,
      keyPositions,
      omit,
      this.#shard,
    )
    if (!this.#inCommands) this.#replayer.enter(this.#source as KeptSource)
    this.#inCommands = true
    return this.#replayer
  }

  /** The part ends; whether servers would read on. */
  async #end(end: PartEnd, source: KeptSource, last: boolean): Promise<boolean> {
    const { error } = end
    this.#preamble?.end()
    const open = this.#inCommands ? (this.#replayer as Replayer).open : -1
    if (!this.#reports) return error === undefined && open < 0
    const before = this.#findings.errors
    const offset = open >= 0 ? open : end.offset
    this.reached = { part: this.#part, offset, db: this.#inCommands ? this.keyspace.selected : 0 }
    if (error !== undefined) this.#error(error.code, error.offset, error.message)
    else if (open >= 0)
      this.#error('transaction.torn', open, 'MULTI without EXEC up to the end: none of it counts')
    else return true
    if (!last) return false
    const losesPreamble = end.preambleEnd > 0 && (open >= 0 ? open : end.offset) === end.preambleEnd
    this.torn = before === 0 && !losesPreamble && end.format !== 'rdb'
    if (error !== undefined && this.torn) {
      this.torn = error.kind === 'torn' && !/^(gzip|zstd)\./.test(error.code)
      if (this.torn && end.size - end.offset > 1) {
        this.torn = (await countBehind(windowFrom(source, end.offset + 1), this.#server.table)) === undefined
      }
    }
    return false
  }

  #odd({ code, offset }: Oddity): void {
    if (code === 'resp.header.form' || !this.#reports) return
    this.#error(code, offset, 'servers read over it, check-aof refuses it')
  }

  #noteTime(name: Uint8Array | undefined, value: Uint8Array | undefined): void {
    if (name === undefined || value === undefined || Buffer.from(name).toString('latin1') !== 'ctime') return
    const seconds = Number(Buffer.from(value).toString('latin1'))
    if (Number.isSafeInteger(seconds)) this.#createdAt = seconds
  }

  #reject(offset: number, name: string, { reply }: Rejection): void {
    const shown = escapeName(name.toUpperCase().replace('|', ' '))
    // These two are of the log, not of the keyspace: check-aof refuses them.
    if (name === 'exec' || name === 'multi') {
      const what = name === 'exec' ? 'EXEC without MULTI' : 'MULTI inside MULTI'
      this.#error(`transaction.${name}`, offset, `${what}: servers pass over it, check-aof refuses it`)
      return
    }
    this.rejected++
    this.#findings.add({
      code: 'replay.rejected',
      severity: 'warning',
      part: this.#part.name,
      offset,
      message: `${shown}: servers refuse it as they load, and go on: ${escapeName(reply)}`,
    })
  }

  #unsupported(offset: number, name: string): void {
    const place = `${escapeName(this.#part.name)}:${offset}`
    const bytes = Buffer.from(name, 'latin1')
    const shown = escapeBytes(bytes, SHOWN)
    const lower = name.toLowerCase()
    if (SCRIPTS.has(lower)) {
      if (this.#options.skipScripts === true) {
        this.scripts++
        return
      }
      throw new JobError(
        'replay.script',
        `${place}: ${shown}: a script, which only a server can run`,
        'let a server of the version that wrote the log load a copy and rewrite it (BGREWRITEAOF), or leave scripts out with --skip-scripts',
      )
    }
    const option = `--allow-commands ${shown}@N keeps it for the key that is its argument N (0: it has none)`
    const { table } = this.#server
    if (
      table.lookup(bytes, 0, bytes.length) >= 0 &&
      !this.#options.allowCommands.some(allowed => allowed.toLowerCase() === lower)
    )
      throw new JobError('replay.unsupported', `${place}: ${shown} is not replayed by this version`, option)
    if (
      isModuleName(bytes, 0, bytes.length) ||
      this.#options.allowCommands.some(allowed => allowed.toLowerCase() === lower)
    )
      throw new JobError('replay.opaque', `${place}: ${shown}: it is not known which key it changes`, option)
    const others = knownTo(bytes, 0, bytes.length)
    const hints: string[] = []
    if (others.length > 0) hints.push(`${others.join(', ')} would: --as ${others.at(-1)}`)
    if (Object.hasOwn(HANDLERS, lower))
      hints.push(`--allow-commands ${shown} replays it, as newer servers do`)
    throw new JobError(
      'replay.unknown',
      `${place}: ${table.server} knows no command "${shown}": it does not start on this log`,
      hints.length > 0 ? hints.join('; ') : option,
    )
  }

  #damaged({ code, offset, message }: FormatError, key: Slice | undefined): void {
    this.#error(
      code,
      offset,
      key === undefined || key.length === 0 ? message : `${message} (key "${shown(key)}")`,
    )
  }

  #duplicate(offset: number, key: Slice): void {
    this.#error('rdb.key.duplicate', offset, `key "${shown(key)}" was there before: servers do not start`)
  }

  #refused(offset: number, { reply }: Rejection): void {
    const code = / already exists$/.test(reply) ? 'rdb.function.duplicate' : 'rdb.function.header'
    this.#error(code, offset, `a library of functions that servers refuse: ${escapeName(reply)}`)
  }

  #error(code: string, offset: number, message: string): void {
    this.#findings.add({ code, severity: 'error', part: this.#part.name, offset, message })
  }
}

function shown({ bytes, at, end }: Slice): string {
  return escapeBytes(bytes.subarray(at, end), SHOWN)
}
