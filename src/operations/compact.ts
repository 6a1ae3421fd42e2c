import type { Finding } from '../aof/finding.ts'
import type { Input } from '../aof/parts.ts'
import { JobError } from '../bytes/errors.ts'
import { escapeName, quoteForShell } from '../bytes/escape.ts'
import type { FileStamp } from '../bytes/sink.ts'
import type { Cell } from '../keyspace/cells.ts'
import type { Keyspace } from '../keyspace/keyspace.ts'
import { writePayload } from '../rdb/payload.ts'
import { type Place, RDB_TARGETS, type RdbTarget, type TargetName } from '../rdb/targets.ts'
import { RecordOutput } from '../resp/output.ts'
import { CommandTable } from '../servers/commands.ts'
import { Slice } from '../values/slice.ts'
import { type CarriedOver, carryOver, logStamps } from './carry-over.ts'
import { beginFiles, type CompactFiles, type CompactPlace, type Layout } from './compact-files.ts'
import { KeyOrder } from './key-order.ts'
import { CommandKeyWriter, type KeyWriter, RdbKeyWriter } from './key-writer.ts'
import { OpaqueRecords } from './opaque-records.ts'
import { type Replay, type ReplayOptions, replayLog } from './replay.ts'
import { type PrefixSpace, Space } from './space.ts'
import { Drainage, writeKeys } from './write-keys.ts'

/*
 * Compaction, in this order:
 *
 * 1. Replay the log: the keyspace has its keys in memory, and of longer values where they stand in the log.
 * 2. Write the keys, in the order of their values in the log, into a file without a name, and with them a fingerprint of
 *    what they are.
 * 3. Read the file back and compare it with the keys.
 * 4. Carry over what was appended to the log meanwhile.
 * 5. Give the files their names, the manifest last (compact-files.ts).
 */

export interface CompactOptions extends ReplayOptions {
  /** Default: that of the input. */
  readonly layout?: Layout | undefined
  /** Whether keys are written as an RDB, and not as commands. */
  readonly preamble: boolean
  readonly compress: boolean
  /** Default: the server that wrote the RDB part, else `common`; raised when the keyspace needs it. */
  readonly target?: TargetName | undefined
  /** Whether keys are left out that have expired by the clock. */
  readonly dropExpired: boolean
  readonly verify: boolean
  /** Whether a torn end is all right. */
  readonly loadTruncated: boolean
}

export interface LogFigures {
  readonly bytes: number
  /** Of an RDB none. */
  readonly commands: number
  /** Keys that a server has when it has loaded the log. */
  readonly keys: number
}

export interface CompactReport {
  readonly before: LogFigures
  readonly after: LogFigures
  readonly layout: Layout
  readonly target: TargetName
  /** What the usual target could not hold, for which another was taken. */
  readonly raised: { readonly from: TargetName; readonly reason: string } | undefined
  readonly verified: boolean
  /** What was appended while the log was read, and stands behind the keys. */
  readonly carried: CarriedOver | undefined
  /** Keys that were left out since they had expired. */
  readonly expired: number
  readonly output: string
  readonly backups: readonly string[]
  readonly warnings: readonly string[]
  readonly findings: readonly { readonly first: Finding; readonly count: number }[]
  readonly superseded: readonly PrefixSpace[]
}

/** Logs up to this size are looked at in full for where their space goes, of larger ones one command in so many. */
const LOOKED_AT = 64 * 2 ** 20
const SAMPLED = 64
/** Prefixes that a report shows. */
const MOST_PREFIXES = 10

/**
 * Rewrites a log to the smallest one with the same keyspace.
 *
 * @param progress is told the bytes of the log read so far
 * @throws JobError for a log that is not sound, for what the target cannot hold, for a result that is not the keyspace;
 *   everything is as it was then
 */
export async function compactLog(
  input: Input,
  options: CompactOptions,
  to: CompactPlace,
  progress?: (bytes: number) => void,
): Promise<CompactReport> {
  const layout = options.layout ?? input.layout
  const space = new Space((input.size ?? Number.POSITIVE_INFINITY) > LOOKED_AT ? SAMPLED : 1)
  const stamps = await logStamps(input)
  const files = await beginFiles(input, layout, options.preamble, to)
  try {
    const replay = await replayLog(input, { ...options, watch: batch => space.watch(batch) }, progress)
    try {
      refuseUnsound(input, replay, options)
      return await new Compaction(input, options, layout, replay, files, space, stamps).run()
    } finally {
      await replay.close()
    }
  } finally {
    await files.abort()
  }
}

class Compaction {
  readonly #input: Input
  readonly #options: CompactOptions
  readonly #layout: Layout
  readonly #replay: Replay
  readonly #files: CompactFiles
  readonly #space: Space
  readonly #stamps: ReadonlyMap<string, FileStamp>
  readonly #opaque: OpaqueRecords
  readonly #order: KeyOrder
  readonly #expired: number

  constructor(
    input: Input,
    options: CompactOptions,
    layout: Layout,
    replay: Replay,
    files: CompactFiles,
    space: Space,
    stamps: ReadonlyMap<string, FileStamp>,
  ) {
    this.#input = input
    this.#options = options
    this.#layout = layout
    this.#replay = replay
    this.#files = files
    this.#space = space
    this.#stamps = stamps
    const { keyspace } = replay
    if (options.dropExpired) refuseWithoutClock(keyspace)
    this.#opaque = new OpaqueRecords(keyspace)
    const expired = options.dropExpired ? new Set<Cell>() : undefined
    this.#order = new KeyOrder(keyspace, cell => {
      if (expired !== undefined && isExpired(keyspace, cell)) expired.add(cell)
      else return this.#opaque.hasValue(cell)
      return false
    })
    this.#expired = expired?.size ?? 0
  }

  async run(): Promise<CompactReport> {
    const { base, tail } = this.#files
    const { keyspace, bytes } = this.#replay
    const { target, raised, commands } = await this.#writeKeys()
    const opaque = await this.#writeOpaque()
    const table = new CommandTable(this.#replay.server, this.#options.allowCommands)
    const inPlace = this.#files.inPlace
    const carried = inPlace
      ? undefined
      : await carryOver(this.#input, this.#replay, this.#stamps, table, tail)
    const before = { bytes, commands: this.#replay.commands, keys: keyspace.size }
    const size = base === tail ? base.size : base.size + tail.size
    const after = {
      bytes: size,
      commands: commands + opaque + (carried?.commands ?? 0),
      keys: keyspace.size - this.#expired,
    }
    const committed = await this.#files.commit()
    return {
      ...{ before, after, layout: this.#layout, target, raised, carried },
      verified: false,
      expired: this.#expired,
      ...committed,
      findings: this.#replay.firstFindings,
      superseded: this.#space.superseded(MOST_PREFIXES),
    }
  }

  /** Writes the keys for the first of the targets that can hold them. */
  async #writeKeys(): Promise<Pick<CompactReport, 'target' | 'raised'> & { commands: number }> {
    const { target: chosen } = this.#options
    const usual = chosen ?? this.#replay.target ?? 'common'
    const targets = chosen === undefined ? [...new Set([usual, this.#replay.server, ...HIGHEST])] : [usual]
    let reason: JobError | undefined
    for (const target of targets) {
      try {
        const commands = await this.#writeFor(RDB_TARGETS[target])
        const raised = reason === undefined ? undefined : { from: usual, reason: reason.message }
        return { target, raised, commands }
      } catch (error) {
        if (!(error instanceof JobError) || error.code !== 'rdb.target') throw error
        reason ??= error
        await this.#files.base.restart()
      }
    }
    throw reason
  }

  /** Writes the keys; how many commands that takes. */
  async #writeFor(target: RdbTarget): Promise<number> {
    const { keyspace } = this.#replay
    const { base } = this.#files
    const writer = this.#writer(target)
    const drainage = new Drainage(writer, bytes => base.write(bytes))
    try {
      const library = new Slice()
      for (const [, source] of keyspace.functions.entries()) writer.function(library.set(source))
      const key = new Slice()
      await writeKeys(keyspace, this.#order, writer, drainage, undefined, (cell, size) => {
        keyspace.key(cell, key)
        this.#space.wrote(key, size)
      })
      writer.finish()
      return writer.commands
    } finally {
      await drainage.end()
    }
  }

  #writer(target: RdbTarget): KeyWriter {
    const { preamble, compress } = this.#options
    const { keyspace } = this.#replay
    const { family: modules } = RDB_TARGETS[this.#replay.target ?? this.#replay.server]
    if (!preamble) {
      if (this.#opaque.aux.length > 0) {
        throw new JobError(
          'compact.opaque',
          'the log has data of modules that belong to no key, for which there are no commands',
          'leave out --no-preamble',
        )
      }
      return new CommandKeyWriter(target, modules, value => writePayload(MODULE, value, target.version))
    }
    const place: Place = this.#layout === 'single' ? 'preamble' : 'base'
    const writer = new RdbKeyWriter(target, place, { compress, modules })
    for (const { part, offset, length } of this.#opaque.aux) {
      const record = new Uint8Array(length)
      keyspace.store.extents.fill(part, offset, record)
      writer.moduleAux(record)
    }
    return writer
  }

  /** Writes the commands that only a server can carry out; how many. */
  async #writeOpaque(): Promise<number> {
    if (this.#opaque.count === 0) return 0
    const { tail } = this.#files
    const output = new RecordOutput()
    await this.#opaque.write(output, () => (output.pending < ENOUGH ? undefined : tail.write(output.take())))
    await tail.write(output.take())
    return output.records
  }
}

/** The newest of each family: what no other target can hold. */
const HIGHEST: readonly TargetName[] = ['redis-8.0', 'valkey-9.1']
/** Type of a module's value. */
const MODULE = 7
/** Bytes that go to the disk at once. */
const ENOUGH = 1 << 20

function refuseWithoutClock(keyspace: Keyspace): void {
  if (keyspace.hasClock) return
  throw new JobError(
    'compact.clock',
    'which keys have expired is not known: the log has no #TS:',
    '--as-of TIME says by which time',
  )
}

function isExpired(keyspace: Keyspace, cell: Cell): boolean {
  return keyspace.hasExpiry(cell) && keyspace.expiry(cell) <= BigInt(Math.floor(keyspace.clock))
}

function refuseUnsound(
  input: Input,
  { firstFindings, torn }: Replay,
  { loadTruncated }: CompactOptions,
): void {
  const found = firstFindings.find(({ first }) => first.severity === 'error')
  if (found === undefined || (torn && loadTruncated)) return
  const { part, offset, message, code } = found.first
  const place = part === undefined ? '' : `${escapeName(part)}${offset === undefined ? '' : `:${offset}`}: `
  throw new JobError(
    'compact.unsound',
    `the log is not sound, so nothing was written: ${place}${message} (${code})`,
    torn
      ? `--load-truncated does without the torn end, as servers do; or: aofkit repair ${quoteForShell(input.path)} --dry-run`
      : `aofkit repair ${quoteForShell(input.path)} --dry-run`,
  )
}
