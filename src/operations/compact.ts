import type { Finding } from '../aof/finding.ts'
import type { Input, Part } from '../aof/parts.ts'
import { JobError } from '../bytes/errors.ts'
import { escapeName, quoteForShell } from '../bytes/escape.ts'
import { writersOf } from '../bytes/open-files.ts'
import { type FileStamp, stampOf } from '../bytes/sink.ts'
import type { Cell } from '../keyspace/cells.ts'
import { type Keyspace, KIND_NAMES } from '../keyspace/keyspace.ts'
import { writePayload } from '../rdb/payload.ts'
import { TargetElements } from '../rdb/target-elements.ts'
import { type Place, RDB_TARGETS, type RdbTarget, type TargetName } from '../rdb/targets.ts'
import { CommandTable } from '../servers/commands.ts'
import type { Kind } from '../values/elements.ts'
import { KeyspaceFingerprint } from '../values/fingerprint.ts'
import { RebuildableElements } from '../values/rebuildable.ts'
import { Slice } from '../values/slice.ts'
import { type CarriedOver, carryOver, logStamps } from './carry-over.ts'
import {
  type Checkpoint,
  type CopiedValue,
  checkOutput,
  type WrittenKey,
  type WrittenKeys,
} from './compact-check.ts'
import { beginFiles, type CompactFiles, type CompactPlace, type Layout } from './compact-files.ts'
import { KeyOrder } from './key-order.ts'
import { CommandKeyWriter, type KeyWriter, RdbKeyWriter } from './key-writer.ts'
import { OpaqueRecords } from './opaque-records.ts'
import { type Replay, type ReplayOptions, replayLog } from './replay.ts'
import { type PrefixSpace, Space } from './space.ts'
import { Copies, Drainage, type ElementWatcher, writeKeys } from './write-keys.ts'

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
      // What a server is writing may end anywhere: whether it is torn shows when its end has come.
      const { part } = replay.reached ?? {}
      const growing = to.output !== undefined && part !== undefined && (await isGrowing(part))
      if (!(growing && replay.torn)) refuseUnsound(input, replay, options)
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
    const opaque = this.#opaque
    this.#order = new KeyOrder(
      keyspace,
      options.dropExpired
        ? cell => opaque.hasValue(cell) && (opaque.hasCommands(cell) || !isExpired(keyspace, cell))
        : cell => opaque.hasValue(cell),
    )
    this.#expired = keyspace.size - this.#order.size - opaque.withoutValue
  }

  async run(): Promise<CompactReport> {
    const { base, tail, inPlace } = this.#files
    const { keyspace, bytes } = this.#replay
    const { target, raised, written } = await this.#writeKeys()
    const opaque = await this.#writeOpaque(written)
    if (this.#options.verify) await this.#check(written, opaque)
    const table = new CommandTable(this.#replay.server, this.#options.allowCommands)
    const carried = inPlace
      ? undefined
      : await carryOver(this.#input, this.#replay, this.#stamps, table, tail)
    if (carried === undefined) refuseUnsound(this.#input, this.#replay, this.#options)
    const before = { bytes, commands: this.#replay.commands, keys: keyspace.size }
    const after = {
      bytes: base === tail ? base.size : base.size + tail.size,
      commands: written.commands + opaque.commands + (carried?.commands ?? 0),
      keys: keyspace.size - this.#expired,
    }
    const committed = await this.#files.commit()
    return {
      ...{ before, after, layout: this.#layout, target, raised, carried },
      verified: this.#options.verify,
      expired: this.#expired,
      ...committed,
      findings: this.#replay.firstFindings,
      superseded: this.#space.superseded(MOST_PREFIXES),
    }
  }

  /** Writes the keys for the first of the targets that can hold them. */
  async #writeKeys(): Promise<Pick<CompactReport, 'target' | 'raised'> & { written: WrittenBase }> {
    const { target: chosen } = this.#options
    const usual = chosen ?? this.#replay.target ?? 'common'
    const targets = chosen === undefined ? [...new Set([usual, this.#replay.server, ...HIGHEST])] : [usual]
    let reason: JobError | undefined
    for (const target of targets) {
      try {
        const written = await this.#writeFor(RDB_TARGETS[target])
        const raised = reason === undefined ? undefined : { from: usual, reason: reason.message }
        return { target, raised, written }
      } catch (error) {
        if (!(error instanceof JobError) || error.code !== 'rdb.target') throw error
        reason ??= error
        await this.#files.base.restart()
        this.#space.restart()
      }
    }
    throw reason
  }

  async #writeFor(target: RdbTarget): Promise<WrittenBase> {
    const { keyspace } = this.#replay
    const { base } = this.#files
    const fingerprint = this.#options.verify ? new KeyspaceFingerprint() : undefined
    const writer = this.#writer(target, fingerprint)
    const drainage = new Drainage(writer, bytes => base.write(bytes))
    const copied = new Bits(this.#order.size)
    const checkpoints: Checkpoint[] = []
    try {
      const library = new Slice()
      for (const [, source] of keyspace.functions.entries()) {
        writer.function(library.set(source))
        fingerprint?.functions(library)
      }
      let keys = 0
      const watcher = fingerprint && this.#watcher(target, fingerprint)
      await writeKeys(keyspace, this.#order, writer, drainage, watcher, (key, size, wasCopied) => {
        this.#space.wrote(key, size)
        if (wasCopied) copied.set(keys)
        if (++keys % CHECKED_TOGETHER === 0 && fingerprint !== undefined)
          checkpoints.push({ keys, words: fingerprint.words() })
      })
      writer.finish()
    } finally {
      await drainage.end()
    }
    return { commands: writer.commands, fingerprint, copied, checkpoints, end: base.size }
  }

  /** Who sees the elements that are written, as the result can hold them. */
  #watcher(target: RdbTarget, fingerprint: KeyspaceFingerprint): ElementWatcher {
    const elements = this.#options.preamble
      ? new TargetElements(fingerprint, target)
      : new RebuildableElements(fingerprint)
    return { key: (db, key, kind, expireAtMs) => elements.of(fingerprint.key(db, key, kind, expireAtMs)) }
  }

  #writer(target: RdbTarget, fingerprint: KeyspaceFingerprint | undefined): KeyWriter {
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
      fingerprint?.unkeyed(new Slice().set(record))
    }
    return writer
  }

  /** Writes the commands that only a server can carry out, into the fingerprint of the file in which they are. */
  async #writeOpaque({ fingerprint: ofKeys }: WrittenBase): Promise<WrittenTail> {
    const { base, tail } = this.#files
    const fingerprint = base === tail ? ofKeys : ofKeys && new KeyspaceFingerprint()
    const slice = new Slice()
    let commands = 0
    await this.#opaque.records(async record => {
      commands++
      fingerprint?.unkeyed(slice.set(record))
      await tail.write(record)
    })
    return { commands, fingerprint }
  }

  /** Reads what was written back from the disk: it must be what it was meant to be. */
  async #check(written: WrittenBase, opaque: WrittenTail): Promise<void> {
    const { base, tail } = this.#files
    const { databases } = this.#options
    const { fingerprint, copied, checkpoints, end } = written
    if (fingerprint === undefined || opaque.fingerprint === undefined) return
    const keys = new KeysOfOrder(this.#replay.keyspace, this.#order, copied)
    const output = { keys, fingerprint, checkpoints, databases }
    const one = base === tail
    await checkOutput(await base.reread(), one ? { ...output, copiedCommands: end } : output)
    if (one || opaque.commands === 0) return
    const none = { next: () => undefined }
    const rest = { keys: none, fingerprint: opaque.fingerprint, databases, copiedCommands: 0 }
    await checkOutput(await tail.reread(), rest)
  }
}

/** The keys, as they were written. */
interface WrittenBase {
  readonly commands: number
  /** Undefined: nobody wants to look. */
  readonly fingerprint: KeyspaceFingerprint | undefined
  /** By place in the order: whose values were copied. */
  readonly copied: Bits
  readonly checkpoints: readonly Checkpoint[]
  /** Offset behind them. */
  readonly end: number
}

/** Commands behind the keys. */
interface WrittenTail {
  readonly commands: number
  readonly fingerprint: KeyspaceFingerprint | undefined
}

class Bits {
  readonly #bytes: Uint8Array

  constructor(count: number) {
    this.#bytes = new Uint8Array((count >>> 3) + 1)
  }

  set(i: number): void {
    this.#bytes[i >>> 3] |= 1 << (i & 7)
  }

  has(i: number): boolean {
    return (this.#bytes[i >>> 3] & (1 << (i & 7))) !== 0
  }
}

/** The keys of an order once more, for whoever compares them. */
class KeysOfOrder implements WrittenKeys {
  readonly #keyspace: Keyspace
  readonly #order: KeyOrder
  readonly #copied: Bits
  readonly #copies: Copies
  readonly #key = new Slice()
  #next = 0

  constructor(keyspace: Keyspace, order: KeyOrder, copied: Bits) {
    this.#keyspace = keyspace
    this.#order = order
    this.#copied = copied
    this.#copies = new Copies(keyspace)
  }

  next(): WrittenKey | undefined {
    if (this.#next === this.#order.size) return undefined
    const i = this.#next++
    const keyspace = this.#keyspace
    const cell = this.#order.cell(i)
    keyspace.key(cell, this.#key)
    return {
      db: keyspace.database(cell),
      key: this.#key,
      kind: KIND_NAMES[keyspace.kind(cell)] as Kind,
      expireAtMs: keyspace.expiry(cell),
      copied: this.#copied.has(i) ? this.#place(cell) : undefined,
    }
  }

  #place(cell: Cell): CopiedValue {
    const copies = this.#copies
    copies.find(cell)
    const { part, offset, length, type } = copies.place
    return { source: this.#keyspace.store.extents.source(part), offset, length, type, text: !copies.encoded }
  }
}

/** The newest of each family: what no other target can hold. */
const HIGHEST: readonly TargetName[] = ['redis-8.0', 'valkey-9.1']
/** Type of a module's value. */
const MODULE = 7
/** Keys between two looks at the fingerprint: a difference is placed among so many. */
const CHECKED_TOGETHER = 4096

/** Whether a process writes to a part, or has done so since it was opened. */
async function isGrowing({ path, size }: Part): Promise<boolean> {
  if (size === undefined || path === '-') return false
  return (await stampOf(path)).size > BigInt(size) || (await writersOf(path)).pids.length > 0
}

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
