import { statSync } from 'node:fs'
import { realpath } from 'node:fs/promises'
import { basename, join, sep } from 'node:path'
import { Findings } from '../aof/finding.ts'
import type { Part } from '../aof/parts.ts'
import { scanPart } from '../aof/scan.ts'
import { Beginning } from '../bytes/beginning.ts'
import { JobError } from '../bytes/errors.ts'
import { escapeName } from '../bytes/escape.ts'
import { decodeName, systemPath } from '../bytes/names.ts'
import { FolderSink, Sink, type SinkOptions } from '../bytes/sink.ts'
import type { KeptSource } from '../bytes/source.ts'
import { LogServer } from './log-server.ts'
import { type FilterOutput, MatchFilter } from './match-filter.ts'
import { PartCheck } from './part-check.ts'
import {
  type KeptPart,
  type KeptPartOpener,
  openKept,
  type RewindOptions,
  type RewindPlan,
  rewoundManifest,
} from './rewind.ts'

export interface RewindResult {
  /** The file or folder that holds the result. */
  readonly output: string
  /** What had its name before, when that was a folder. */
  readonly backup: string | undefined
  readonly warnings: readonly string[]
}

export interface RewindTarget {
  readonly output: string
  /** What has that name already is replaced. */
  readonly force: boolean
}

/**
 * Writes what a plan keeps to a new place: a file, or for a multi-part log a folder. Every part is read back before it
 * has its name, and is what servers load. The source is only read. Throws a JobError for what is refused or does not
 * work; nothing is left behind then.
 */
export async function writeRewind(
  plan: RewindPlan,
  options: RewindOptions,
  { output, force }: RewindTarget,
  open: KeptPartOpener = openKept,
): Promise<RewindResult> {
  const server = new LogServer(options.as, options.allowCommands)
  const write = (part: KeptPart, path: string, more: SinkOptions) =>
    writePart(plan, part, path, more, options, server, open)
  const { input, parts } = plan
  if (input.layout === 'single') {
    const [part] = parts
    if (force) refuseSource(output, part.part)
    const sink = await write(part, output, { replace: force })
    try {
      const { warnings } = await sink.commit()
      return { output, backup: undefined, warnings }
    } finally {
      await sink.abort()
    }
  }
  const from = input.folder as string
  if (force) await refuseAround(output, from)
  const folder = await FolderSink.create(output, { replace: force, like: from })
  const warnings: string[] = []
  try {
    for (const part of parts) {
      const sink = await write(part, join(folder.folder, part.part.name), {})
      warnings.push(...(await sink.commit()).warnings)
    }
    const like = input.manifestPath as string
    const manifest = await Sink.create(join(folder.folder, basename(like)), { like })
    await manifest.write(rewoundManifest(plan))
    await manifest.commit()
    const committed = await folder.commit()
    return { output, backup: committed.backup, warnings: [...warnings, ...committed.warnings] }
  } finally {
    await folder.abort()
  }
}

/** Writes one part, without its name yet, and reads it back. */
async function writePart(
  plan: RewindPlan,
  kept: KeptPart,
  path: string,
  more: SinkOptions,
  options: RewindOptions,
  server: LogServer,
  open: KeptPartOpener,
): Promise<Sink> {
  const { part, end, filtered } = kept
  const isFile = part.size !== undefined && part.path !== '-' && !/^\/(?:dev|proc)\//.test(part.path)
  const sink = await Sink.create(path, isFile ? { ...more, like: part.path } : more)
  try {
    const source = await open(part)
    try {
      if (filtered) await copyFiltered(plan, kept, source, sink, options)
      // Of compressed input the size is not known: its bytes are others on the disk.
      else if (isFile && plan.input.compression === undefined) await sink.copyPrefix(part.path, end)
      else await sink.copyRange(source, 0, end)
    } finally {
      await source.close()
    }
    await check(plan, kept, sink, options, server)
    return sink
  } catch (error) {
    await sink.abort()
    throw error
  }
}

/** Bytes that are gathered before they are written. */
const PIECE = 1 << 20

async function copyFiltered(
  { moment }: RewindPlan,
  { end }: KeptPart,
  source: KeptSource,
  sink: Sink,
  { databases, as, allowCommands }: RewindOptions,
): Promise<void> {
  if (moment.kind !== 'without') throw new Error('nothing is left out')
  const output = new Gathered(source, sink)
  // Names are what matters of a server here, and those are the same for all.
  const server = new LogServer(as, allowCommands)
  const filter = new MatchFilter(moment.pattern, server, output)
  let inRecords = false
  const enter = async (from: number) => {
    inRecords = true
    if (from > 0) await filter.preamble(from)
  }
  await scanPart(
    new Beginning(source, end),
    {
      rdb() {},
      async records(batch) {
        if (!inRecords) await enter(batch.offset(0))
        await filter.records(batch)
      },
      async long(record) {
        if (!inRecords) await enter(record.offset)
        await filter.long(record)
      },
    },
    { databases },
  )
  await output.flush()
}

/** Gathers pieces, and writes them together. */
class Gathered implements FilterOutput {
  readonly #source: KeptSource
  readonly #sink: Sink
  #buffer = new Uint8Array(2 * PIECE)
  #size = 0

  constructor(source: KeptSource, sink: Sink) {
    this.#source = source
    this.#sink = sink
  }

  bytes(bytes: Uint8Array, from: number, to: number): void {
    const size = this.#size + to - from
    if (size > this.#buffer.length) {
      const larger = new Uint8Array(2 * size)
      larger.set(this.#buffer.subarray(0, this.#size))
      this.#buffer = larger
    }
    this.#buffer.set(bytes.subarray(from, to), this.#size)
    this.#size = size
  }

  async span(from: number, to: number): Promise<void> {
    await this.flush()
    await this.#sink.copyRange(this.#source, from, to)
  }

  pause(): undefined | Promise<void> {
    return this.#size < PIECE ? undefined : this.flush()
  }

  async flush(): Promise<void> {
    await this.#sink.write(this.#buffer.subarray(0, this.#size))
    this.#size = 0
  }
}

/** Reads a part of the result back from the disk: it must be what servers load, to its last byte. */
async function check(
  plan: RewindPlan,
  { part, size, commands, keys }: KeptPart,
  sink: Sink,
  { databases }: RewindOptions,
  server: LogServer,
): Promise<void> {
  const place = { file: part.name, type: part.role, last: plan.parts.at(-1)?.part === part }
  const findings = new Findings()
  const report = await new PartCheck(place, findings, server, databases).run(await sink.reread())
  const loads = report.verdict === 'sound' || report.verdict === 'damaged'
  if (loads && report.size === size && report.commands === commands && report.keys === keys) return
  const name = escapeName(part.name)
  if (loads) {
    throw new JobError(
      'rewind.check',
      `what was written for ${name}, read back, has ${report.commands} commands and ${report.keys} keys in ${report.size} bytes, where ${commands}, ${keys} and ${size} were kept; nothing has its name yet`,
    )
  }
  const error = findings.list().find(({ severity }) => severity === 'error')
  const where = error?.offset === undefined ? '' : `:${error.offset}`
  throw new JobError(
    'rewind.damaged',
    `what is in front of the moment would not load: ${name}${where}: ${error?.message ?? report.verdict}`,
    'repair the log first, and rewind the result; nothing was written',
  )
}

/** With --force, too, the source stays what it is. */
function refuseSource(output: string, { path }: Part): void {
  const stats = (path: string) => statSync(systemPath(path), { bigint: true, throwIfNoEntry: false })
  const target = stats(output)
  const source = stats(path === '-' ? '/dev/stdin' : path)
  if (target === undefined || source === undefined) return
  if (target.dev !== source.dev || target.ino !== source.ino) return
  throw new JobError(
    'rewind.same',
    `${escapeName(output)} is the log that is rewound: the result goes to a new place`,
    'choose another name',
  )
}

/** A folder that is replaced is moved aside whole: the log must not be in it. */
async function refuseAround(output: string, folder: string): Promise<void> {
  const target = await realpath(systemPath(output), { encoding: 'buffer' }).then(decodeName, () => undefined)
  if (target === undefined || !`${folder}${sep}`.startsWith(`${target}${sep}`)) return
  throw new JobError(
    'rewind.same',
    `${escapeName(output)} holds the log that is rewound: the result goes to a new place`,
    'choose another name',
  )
}
