import { type Finding, Findings } from '../aof/finding.ts'
import { type Input, openPart, type Part } from '../aof/parts.ts'
import { type PartVisitor, scanPart } from '../aof/scan.ts'
import type { FormatError } from '../bytes/errors.ts'
import { escapeBytes, escapeName } from '../bytes/escape.ts'
import type { Source } from '../bytes/source.ts'
import { type Entry, EntryReader, type EntryVisitor } from '../rdb/entries.ts'
import type { RdbEvent } from '../rdb/walk.ts'
import type { ServerName } from '../servers/servers.ts'
import { type KeyCount, KeyspaceDigest } from '../values/digest.ts'
import type { ElementSink } from '../values/elements.ts'
import type { Slice } from '../values/slice.ts'
import { DuplicateKeys } from './duplicate-keys.ts'
import { noDigest } from './keyspace-digest.ts'
import { LogServer } from './log-server.ts'
import { isRdbAlone } from './rdb-keys.ts'
import type { ReplayOptions } from './replay.ts'
import { replayShards, type ShardedReplay } from './shards.ts'

export interface DigestOptions extends ReplayOptions {
  /** Whether keys that have no digest, those of modules, are left out. */
  readonly ignoreOpaque: boolean
}

export interface DigestReport {
  /** 40 digits. With findings that are errors: of what could be read. */
  readonly digest: string
  /** Whose digest it is. */
  readonly server: ServerName
  /** Keys that count, by database. */
  readonly databases: ReadonlyMap<number, Readonly<KeyCount>>
  /** Keys that were left out. */
  readonly opaque: number
  /** Scripts that were left out. */
  readonly scripts: number
  readonly findings: readonly Finding[]
  /** As in {@link Replay.torn}. */
  readonly torn: boolean
}

/**
 * What `DEBUG DIGEST` prints on a server that has loaded this log, nothing expired. Of RDB alone it takes the memory of
 * the largest element, and some 40 MB for a look at keys that are there twice; else that of the keyspace.
 *
 * @param progress is told the bytes read so far, in all parts
 * @throws JobError for a key without a digest, and as {@link replayLog}
 */
export async function digestLog(
  input: Input,
  options: DigestOptions,
  progress?: (bytes: number) => void,
): Promise<DigestReport> {
  if (!(await isRdbAlone(input, options.databases))) return digestReplayed(input, options, progress)
  const findings = new Findings()
  for (const finding of input.findings) findings.add(finding)
  const run = new Run(options, findings)
  let bytes = 0
  for (const part of input.parts) {
    const source = await openPart(part)
    const before = bytes
    try {
      bytes += await run.part(part, source, progress && (offset => progress(before + offset)))
    } finally {
      await source.close()
    }
  }
  const { digest, opaque } = run
  return {
    digest: digest.hex(),
    server: run.server.name,
    databases: digest.counts,
    opaque,
    findings: findings.list(),
    torn: false,
    scripts: 0,
  }
}

async function digestReplayed(
  input: Input,
  options: DigestOptions,
  progress?: (bytes: number) => void,
): Promise<DigestReport> {
  const replay = await replayShards(input, options, progress)
  try {
    const { server, findings, torn, scripts } = replay
    const { digest, opaque } = await digestShards(replay, server, options.ignoreOpaque)
    return { digest: digest.hex(), server, databases: digest.counts, opaque, findings, torn, scripts }
  } finally {
    await replay.close()
  }
}

/**
 * Digests the keys of a log.
 *
 * @throws JobError `digest.opaque` for a key without a digest, unless `ignoreOpaque`
 */
export async function digestShards(
  replay: ShardedReplay,
  server: ServerName,
  ignoreOpaque: boolean,
): Promise<{ digest: KeyspaceDigest; opaque: number }> {
  const digest = new KeyspaceDigest({ server })
  let opaque = 0
  for (const half of await replay.each('digest', { server, ignoreOpaque })) {
    digest.add(half.databases)
    opaque += half.opaque
  }
  return { digest, opaque }
}

/** Types of sorted sets that are not packed, with scores as text and as doubles. */
const UNPACKED: ReadonlySet<number> = new Set([3, 5])
/** Bytes of a key that are shown in a message. */
const SHOWN = 80

class Run implements PartVisitor, EntryVisitor {
  readonly server: LogServer
  opaque = 0
  readonly #options: DigestOptions
  readonly #findings: Findings
  #digest: KeyspaceDigest | undefined
  #part = ''
  #reader = new EntryReader(this)
  #duplicates = new DuplicateKeys()
  /** Of the entry whose value is read. */
  #offset = -1
  /** Of entries whose values have no elements: no keys to servers. */
  readonly #empty: number[] = []
  #progress: ((offset: number) => void) | undefined

  constructor(options: DigestOptions, findings: Findings) {
    this.#options = options
    this.#findings = findings
    this.server = new LogServer(options.as, options.allowCommands)
  }

  /** Made when the first key comes: by then it is known which server wrote the log. */
  get digest(): KeyspaceDigest {
    this.#digest ??= new KeyspaceDigest({ server: this.server.name })
    return this.#digest
  }

  /** Reads a part; how many bytes it has. */
  async part(part: Part, source: Source, progress: ((offset: number) => void) | undefined): Promise<number> {
    this.#part = part.name
    this.#progress = progress
    this.#reader = new EntryReader(this)
    this.#duplicates = new DuplicateKeys()
    const end = await scanPart(source, this, { databases: this.#options.databases, values: true })
    for (const { start, offset } of this.#duplicates.found())
      this.#error(
        'rdb.key.duplicate',
        offset,
        `key "${escapeBytes(start, SHOWN)}" was there before: servers do not start`,
      )
    if (end.error !== undefined) this.#error(end.error.code, end.error.offset, end.error.message)
    return end.size
  }

  rdb(event: RdbEvent): void {
    if (event.kind === 'header') this.server.noteMagic(event.magic)
    else if (event.kind === 'aux') this.server.noteAux(event.name, event.value)
    this.#reader.event(event)
    if (event.kind !== 'entries') return
    this.#look()
    this.#duplicates.add(event.entries, this.#empty)
    this.#empty.length = 0
  }

  entry(entry: Entry): ElementSink | undefined {
    const { key, kind } = entry
    this.#look()
    if (KeyspaceDigest.knows(kind)) {
      this.#offset = entry.offset
      this.digest.key(entry.db, key, kind, entry.expireAtMs, UNPACKED.has(entry.type))
      return this.digest
    }
    if (!this.#options.ignoreOpaque) throw noDigest(`${escapeName(this.#part)}:${entry.offset}`, key, kind)
    this.opaque++
    return undefined
  }

  damaged({ code, offset, message }: FormatError, entry: Entry | undefined): void {
    if (entry === undefined) this.#error(code, offset, message)
    else this.#error(code, offset, `${message} (key "${shown(entry.key)}")`)
  }

  // There are none.
  records(): void {}

  long(): void {}

  progress(offset: number): undefined {
    this.#progress?.(offset)
  }

  /** Looks at what became of the value that was read last. */
  #look(): void {
    if (this.#offset >= 0 && this.digest.empty) this.#empty.push(this.#offset)
    this.#offset = -1
  }

  #error(code: string, offset: number, message: string): void {
    this.#findings.add({ code, severity: 'error', part: this.#part, offset, message })
  }
}

function shown({ bytes, at, end }: Slice): string {
  return escapeBytes(bytes.subarray(at, end), SHOWN)
}
