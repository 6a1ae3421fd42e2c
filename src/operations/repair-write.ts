import { link, rename, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Findings } from '../aof/finding.ts'
import type { Part } from '../aof/parts.ts'
import { JobError, jobError } from '../bytes/errors.ts'
import { escapeName } from '../bytes/escape.ts'
import { systemPath } from '../bytes/names.ts'
import { openSource } from '../bytes/open.ts'
import { writersOf } from '../bytes/open-files.ts'
import { FolderSink, keepBackup, Sink, type SinkOptions, stampOf } from '../bytes/sink.ts'
import type { Source } from '../bytes/source.ts'
import { CommandTable } from '../servers/commands.ts'
import { LogServer } from './log-server.ts'
import { normalizePart } from './normalize.ts'
import { PartCheck } from './part-check.ts'
import {
  cutName,
  droppedName,
  manifestFor,
  manifestWith,
  type PartOpener,
  type PartPlan,
  type RepairOptions,
  type RepairPlan,
  type Span,
  successorOf,
} from './repair.ts'

export interface WriteResult {
  /** The file or folder that holds the result. */
  readonly output: string
  readonly spans: readonly Span[]
  /** Where what was replaced is kept. */
  readonly backups: readonly string[]
  readonly warnings: readonly string[]
}

export interface Destination {
  /** A new place; undefined: in place. */
  readonly output?: string | undefined
  readonly force: boolean
  readonly backup: boolean
}

/** Carries out a plan. Nothing of the input is changed unless it is done in place, and then last. */
export async function writeRepair(
  plan: RepairPlan,
  options: RepairOptions,
  open: PartOpener,
  to: Destination,
): Promise<WriteResult> {
  const writer = new RepairWriter(plan, options, open, to)
  try {
    if (to.output === undefined) return await writer.inPlace()
    return await (plan.input.layout === 'multi-part'
      ? writer.intoFolder(to.output)
      : writer.intoFile(to.output))
  } catch (error) {
    await writer.undo()
    throw error
  }
}

class RepairWriter {
  readonly #plan: RepairPlan
  readonly #options: RepairOptions
  readonly #open: PartOpener
  readonly #to: Destination
  readonly #spans: Span[] = []
  readonly #backups: string[] = []
  readonly #warnings: string[] = []
  /** Files that keep what is cut from sources which are still as they were. */
  readonly #saved: string[] = []

  constructor(plan: RepairPlan, options: RepairOptions, open: PartOpener, to: Destination) {
    this.#plan = plan
    this.#options = options
    this.#open = open
    this.#to = to
  }

  async intoFile(output: string): Promise<WriteResult> {
    const [part] = this.#plan.parts
    const sink = await Sink.create(output, { replace: this.#to.force, ...modelled(part.part) })
    try {
      await this.#keepCut(part, dirname(sink.path), sink)
      this.#warnings.push(...(await sink.commit()).warnings)
    } catch (error) {
      await sink.abort()
      throw error
    }
    return this.#result(output)
  }

  async intoFolder(output: string): Promise<WriteResult> {
    const { input, parts } = this.#plan
    const manifestPath = input.manifestPath as string
    const folder = await FolderSink.create(output, { replace: this.#to.force, like: input.folder as string })
    try {
      for (const part of parts) {
        if (part.action === 'drop') {
          await this.#copyWhole(part, join(folder.folder, droppedName(part.part.name)))
          this.#spans.push(droppedSpan(part))
          continue
        }
        const sink = await Sink.create(join(folder.folder, part.part.name), modelled(part.part))
        await this.#keepCut(part, folder.folder, sink)
        this.#warnings.push(...(await sink.commit()).warnings)
      }
      const name = manifestPath.slice(dirname(manifestPath).length).replace(/^\/+/, '')
      const manifest = await Sink.create(join(folder.folder, name), { like: manifestPath })
      await manifest.write(manifestFor(this.#plan))
      await manifest.commit()
      const { backup, warnings } = await folder.commit()
      if (backup !== undefined) this.#backups.push(backup)
      this.#warnings.push(...warnings)
    } catch (error) {
      await folder.abort()
      throw error
    }
    return this.#result(output)
  }

  async inPlace(): Promise<WriteResult> {
    const { input, parts } = this.#plan
    await this.#refuseWriters()
    const dropped = parts.filter(({ action }) => action === 'drop')
    for (const part of parts) {
      if (part.action === 'keep' || part.action === 'drop') continue
      // With later parts to be dropped, only the manifest can make both true at once: so it gets a new file to name.
      if (dropped.length > 0 && part.action === 'cut') await this.#replaceThroughManifest(part, dropped)
      else await this.#replace(part)
    }
    return this.#result(input.folder ?? input.path)
  }

  /** Takes away what was saved of a source that was not replaced after all. */
  async undo(): Promise<void> {
    for (const path of this.#saved) await unlink(systemPath(path)).catch(() => {})
  }

  #result(output: string): WriteResult {
    return { output, spans: this.#spans, backups: this.#backups, warnings: this.#warnings }
  }

  /** Another file takes the name of the part. */
  async #replace(plan: PartPlan): Promise<void> {
    const { path } = plan.part
    const unchanged = await stampOf(path)
    const sink = await Sink.create(path, { replace: true, like: path })
    try {
      await this.#keepCut(plan, dirname(sink.path), sink)
      const { backup, warnings } = await sink.commit({ backup: this.#to.backup, unchanged })
      this.#saved.length = 0
      if (backup !== undefined) this.#backups.push(backup)
      this.#warnings.push(...warnings)
    } catch (error) {
      await sink.abort()
      throw error
    }
  }

  /** What is left of a part becomes a new part; the manifest names it, and no longer those behind it. */
  async #replaceThroughManifest(plan: PartPlan, dropped: readonly PartPlan[]): Promise<void> {
    const { input } = this.#plan
    const folder = input.folder as string
    const manifestPath = input.manifestPath as string
    for (const { part } of dropped) await refuseExisting(join(folder, droppedName(part.name)))
    const successor = successorOf(input, plan.part)
    const unchanged = await stampOf(manifestPath)
    const path = join(folder, successor.file)
    const sink = await Sink.create(path, modelled(plan.part))
    try {
      await this.#keepCut(plan, folder, sink)
      this.#warnings.push(...(await sink.commit()).warnings)
    } catch (error) {
      await sink.abort()
      throw error
    }
    const manifest = await Sink.create(manifestPath, { replace: true, like: manifestPath })
    try {
      await manifest.write(manifestWith(this.#plan, plan.part.name, successor))
      const { backup } = await manifest.commit({ backup: this.#to.backup, unchanged })
      if (backup !== undefined) this.#backups.push(backup)
    } catch (error) {
      await manifest.abort()
      await unlink(systemPath(path)).catch(() => {})
      throw error
    }
    this.#saved.length = 0
    // From here on the new state is there; what follows only gives the old files names that say what they are.
    if (this.#to.backup) this.#backups.push(await keepBackup(plan.part.path))
    await unlink(systemPath(plan.part.path))
    for (const part of dropped) {
      await moveAside(part.part.path, join(folder, droppedName(part.part.name)))
      this.#spans.push(droppedSpan(part))
    }
  }

  /** Writes what stays of a part to `sink`, and before that what does not stay to a file in `folder`. */
  async #keepCut(plan: PartPlan, folder: string, sink: Sink): Promise<void> {
    const source = await this.#open(plan.part)
    try {
      if (plan.action === 'cut') await this.#saveTail(plan, source, folder)
      if (plan.action === 'normalize' || (this.#options.normalize && plan.report.verdict !== 'sound')) {
        await this.#normalize(plan, source, folder, sink)
      } else if (plan.part.role !== 'single' || this.#plan.input.compression === undefined) {
        await copyPrefix(sink, plan, source)
      } else {
        await sink.copyRange(source, 0, plan.end)
      }
      await this.#check(plan, sink)
    } finally {
      await source.close()
    }
  }

  async #saveTail({ part, report, end, reason }: PartPlan, source: Source, folder: string): Promise<void> {
    const file = cutName(part.name, end)
    const path = join(folder, file)
    if (await saveRange(path, source, end, report.size, modelled(part))) this.#saved.push(path)
    this.#spans.push({ part: part.name, offset: end, end: report.size, file, fileOffset: 0, reason })
  }

  async #normalize({ part, end }: PartPlan, source: Source, folder: string, sink: Sink): Promise<void> {
    const taken: Span[] = []
    let cutSink: Sink | undefined
    const table = new CommandTable(this.#plan.report.server, this.#options.allowCommands)
    const scanned = await this.#open(part)
    try {
      await normalizePart(scanned, table, this.#options.databases, {
        write: bytes => sink.write(bytes),
        copy: (from, to) => sink.copyRange(source, from, Math.min(to, end)),
        taken: async (from, to, reason) => {
          if (from >= end) return
          const file = cutName(part.name, taken[0]?.offset ?? from)
          cutSink ??= await Sink.create(join(folder, file), modelled(part))
          taken.push({ part: part.name, offset: from, end: to, file, fileOffset: cutSink.size, reason })
          await cutSink.copyRange(source, from, to)
        },
      })
      const saved = await cutSink?.commit()
      if (saved !== undefined) this.#saved.push(saved.path)
    } catch (error) {
      await cutSink?.abort()
      throw error
    } finally {
      await scanned.close()
    }
    this.#spans.push(...taken)
  }

  /** Reads the result back from the disk: it must be what servers load, to its last byte. */
  async #check({ part, report, action }: PartPlan, sink: Sink): Promise<void> {
    if (action === 'keep') return
    const server = new LogServer(this.#plan.report.server, this.#options.allowCommands)
    const place = { file: part.name, type: part.role, last: true }
    const check = new PartCheck(place, new Findings(), server, this.#options.databases)
    const result = await check.run(await sink.reread())
    if (
      result.validUpTo === result.size &&
      result.verdict !== 'corrupt' &&
      result.commands <= report.commands
    )
      return
    throw new JobError(
      'repair.check',
      `what was written for ${escapeName(part.name)}, read back, is ${result.verdict} at ${result.validUpTo}; nothing was replaced`,
    )
  }

  async #copyWhole({ part, report }: PartPlan, path: string): Promise<void> {
    const source = await this.#open(part)
    try {
      await saveRange(path, source, 0, report.size, modelled(part))
    } finally {
      await source.close()
    }
  }

  async #refuseWriters(): Promise<void> {
    for (const { part, action } of this.#plan.parts) {
      if (action === 'keep') continue
      const { pids, known } = await writersOf(part.path)
      if (pids.length > 0 && !this.#to.force) {
        throw new JobError(
          'repair.in-use',
          `${escapeName(part.name)} is open for writing by process ${pids.join(', ')}: what that writes would be lost`,
          'stop the server first, or write elsewhere with --output; --force replaces it all the same',
        )
      }
      if (!known) {
        this.#warnings.push(
          `whether another process writes to ${escapeName(part.name)} could not be found out`,
        )
      }
    }
  }
}

function modelled({ path, role }: Part): SinkOptions {
  return role === 'single' && (path === '-' || path.startsWith('/dev/') || path.startsWith('/proc/'))
    ? {}
    : { like: path }
}

function droppedSpan({ part, report, reason }: PartPlan): Span {
  return { part: part.name, offset: 0, end: report.size, file: droppedName(part.name), fileOffset: 0, reason }
}

async function copyPrefix(sink: Sink, { part, end }: PartPlan, source: Source): Promise<void> {
  if (part.path === '-' || source.size === undefined) await sink.copyRange(source, 0, end)
  else await sink.copyPrefix(part.path, end)
}

/**
 * Keeps a range of a source as a file; true when it made it. A file of that name is refused, unless it holds just these
 * bytes: then an earlier repair was killed before it replaced the source.
 */
async function saveRange(
  path: string,
  source: Source,
  from: number,
  to: number,
  options: SinkOptions,
): Promise<boolean> {
  let sink: Sink
  try {
    sink = await Sink.create(path, options)
  } catch (error) {
    if (!(error instanceof JobError && error.code === 'output.exists')) throw error
    if (await holds(path, source, from, to)) return false
    throw keptAlready(path, error)
  }
  try {
    await sink.copyRange(source, from, to)
    await sink.commit()
    return true
  } catch (error) {
    await sink.abort()
    throw error
  }
}

const COMPARED_AT_ONCE = 1 << 20

/** Whether a file holds the bytes `[from, to)` of a source, and nothing else. */
async function holds(path: string, source: Source, from: number, to: number): Promise<boolean> {
  const kept = await openSource(path, { decompress: false })
  try {
    if (kept.size !== to - from) return false
    const ours = new Uint8Array(COMPARED_AT_ONCE)
    const theirs = new Uint8Array(COMPARED_AT_ONCE)
    for (let at = from; at < to; at += COMPARED_AT_ONCE) {
      const length = Math.min(COMPARED_AT_ONCE, to - at)
      await source.readAt(ours.subarray(0, length), at)
      await kept.readAt(theirs.subarray(0, length), at - from)
      if (Buffer.compare(ours.subarray(0, length), theirs.subarray(0, length)) !== 0) return false
    }
    return true
  } finally {
    await kept.close()
  }
}

function keptAlready(path: string, { message }: JobError): JobError {
  return new JobError(
    'repair.kept-already',
    `${message}: it was to keep what is cut`,
    `move ${escapeName(path)} away; it may be all that is left of an earlier repair`,
  )
}

async function refuseExisting(path: string): Promise<void> {
  const there = await stampOf(path).catch(() => undefined)
  if (there !== undefined)
    throw keptAlready(path, new JobError('output.exists', `${escapeName(path)} exists already`))
}

/** Gives a file another name, never one that is taken. */
async function moveAside(path: string, target: string): Promise<void> {
  try {
    await link(systemPath(path), systemPath(target)).then(
      () => unlink(systemPath(path)),
      error => {
        if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw error
        return rename(systemPath(path), systemPath(target))
      },
    )
  } catch (error) {
    throw jobError(`cannot rename ${escapeName(path)} to ${escapeName(target)}`, error)
  }
}
