import { statSync, unlinkSync } from 'node:fs'
import { link, realpath, rename, unlink } from 'node:fs/promises'
import { basename, dirname, join, sep } from 'node:path'
import { Findings } from '../aof/finding.ts'
import type { Part } from '../aof/parts.ts'
import { JobError, jobError } from '../bytes/errors.ts'
import { escapeName } from '../bytes/escape.ts'
import { decodeName, systemPath } from '../bytes/names.ts'
import { openSource } from '../bytes/open.ts'
import { writersOf } from '../bytes/open-files.ts'
import { type FileStamp, FolderSink, keepBackup, Sink, type SinkOptions, stampOf } from '../bytes/sink.ts'
import type { Source } from '../bytes/source.ts'
import { LogServer } from './log-server.ts'
import { PartCheck } from './part-check.ts'
import {
  droppedName,
  manifestFor,
  manifestWith,
  type PartOpener,
  type PartPlan,
  plannedSpans,
  type RepairOptions,
  type RepairPlan,
  type Span,
  spansOf,
  successorsOf,
} from './repair.ts'

export interface WriteResult {
  /** The file or folder that holds the result. */
  readonly output: string
  readonly spans: readonly Span[]
  /** Where what was replaced is kept. */
  readonly backups: readonly string[]
  /** Parts of which the rest has another name now. */
  readonly renamed: readonly { readonly part: string; readonly file: string }[]
  readonly warnings: readonly string[]
}

export interface Destination {
  /** A new place; undefined: in place. */
  readonly output?: string | undefined
  readonly force: boolean
  readonly backup: boolean
}

/**
 * Carries out a plan. Nothing of the input is changed unless it is done in place, and then last. Throws a JobError for
 * what is refused or does not work; everything is then as it was, or the error says which parts are not.
 */
export async function writeRepair(
  plan: RepairPlan,
  options: RepairOptions,
  open: PartOpener,
  to: Destination,
): Promise<WriteResult> {
  const writer = new RepairWriter(plan, options, open, to)
  // A signal ends the process here and now: what has its name already, and is of no use alone, goes then too.
  const undo = () => writer.undo()
  process.on('exit', undo)
  try {
    if (to.output === undefined) return await writer.inPlace()
    return await (plan.input.layout === 'multi-part'
      ? writer.intoFolder(to.output)
      : writer.intoFile(to.output))
  } catch (error) {
    await writer.abort()
    throw error
  } finally {
    process.off('exit', undo)
  }
}

/** A file that has its name, and is of use only when `target` is another file than it was. */
interface Named {
  readonly path: string
  /** Bytes. */
  readonly size: number
  readonly target: string
  /** Undefined: it was not there. */
  readonly before: FileStamp | undefined
}

/** A result that is written and checked, and has no name yet. */
interface Prepared {
  readonly plan: PartPlan
  readonly sink: Sink
  /** What keeps the bytes that are cut; undefined when there are none. */
  readonly cut: Sink | undefined
}

class RepairWriter {
  readonly #plan: RepairPlan
  readonly #options: RepairOptions
  readonly #open: PartOpener
  readonly #to: Destination
  readonly #backups: string[] = []
  readonly #warnings: string[] = []
  readonly #sinks: Sink[] = []
  readonly #named: Named[] = []

  constructor(plan: RepairPlan, options: RepairOptions, open: PartOpener, to: Destination) {
    this.#plan = plan
    this.#options = options
    this.#open = open
    this.#to = to
  }

  async intoFile(output: string): Promise<WriteResult> {
    const [plan] = this.#plan.parts
    const source = stampIfThere(plan.part.path === '-' ? '/dev/stdin' : plan.part.path)
    const before = stampIfThere(output)
    if (this.#to.force && before !== undefined && source !== undefined && isSameFile(before, source)) {
      throw new JobError(
        'repair.same',
        `${escapeName(output)} is what is to be repaired; with --output it stays as it is`,
        'use --in-place',
      )
    }
    const prepared = await this.#prepare(plan, output, { replace: this.#to.force, ...modelled(plan.part) })
    const target = prepared.sink.path
    if (spansOf(plan).some(({ file }) => join(dirname(target), file) === target)) {
      throw new JobError('repair.same', `${escapeName(output)} is to keep what is cut`, 'choose another name')
    }
    await this.#name(prepared.cut, target, before)
    this.#warnings.push(...(await prepared.sink.commit()).warnings)
    return this.#result(output)
  }

  async intoFolder(output: string): Promise<WriteResult> {
    const { input, parts } = this.#plan
    if (this.#to.force) await refuseAround(output, input.folder as string)
    const manifestPath = input.manifestPath as string
    const folder = await FolderSink.create(output, { replace: this.#to.force, like: input.folder as string })
    try {
      for (const plan of parts) {
        if (plan.action === 'drop') {
          await this.#copyWhole(plan, join(folder.folder, droppedName(plan.part.name)))
          continue
        }
        const prepared = await this.#prepare(plan, join(folder.folder, plan.part.name), modelled(plan.part))
        await prepared.cut?.commit()
        this.#warnings.push(...(await prepared.sink.commit()).warnings)
      }
      const like = stampIfThere(manifestPath) === undefined ? input.parts[0].path : manifestPath
      const manifest = await Sink.create(join(folder.folder, basename(manifestPath)), { like })
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
    const { input, parts, stamps } = this.#plan
    await this.#refuseWriters()
    const dropped = parts.filter(({ action }) => action === 'drop')
    // With later parts to be dropped, only the manifest can make both true at once: so it gets a new file to name.
    const renamed = dropped.length > 0 ? parts.find(({ action }) => action === 'cut') : undefined
    const inPlace: Prepared[] = []
    for (const plan of parts) {
      if (plan.action === 'keep' || plan.action === 'drop' || plan === renamed) continue
      const { path } = plan.part
      inPlace.push(await this.#prepare(plan, path, { replace: true, like: path }))
    }
    const successor = renamed && (await this.#prepareSuccessor(renamed, dropped))
    const rebuilt = this.#plan.rebuilt === undefined ? undefined : await this.#prepareManifest()
    await this.#refuseChanged()
    const replaced: string[] = []
    try {
      for (const prepared of inPlace) {
        const { path, name } = prepared.plan.part
        const unchanged = stamps.get(path) as FileStamp
        await this.#name(prepared.cut, path, unchanged)
        const { backup, warnings } = await prepared.sink.commit({ backup: this.#to.backup, unchanged })
        replaced.push(name)
        if (backup !== undefined) this.#backups.push(backup)
        this.#warnings.push(...warnings)
      }
      if (successor !== undefined) await this.#switchManifest(successor)
      if (rebuilt !== undefined) {
        const { backup, warnings } = await rebuilt.commit({
          backup: this.#to.backup && stampIfThere(rebuilt.path) !== undefined,
        })
        if (backup !== undefined) this.#backups.push(backup)
        this.#warnings.push(...warnings)
      }
    } catch (error) {
      throw replaced.length === 0 ? error : afterSome(replaced, error)
    }
    const result = this.#result(input.folder ?? input.path)
    if (successor === undefined) return result
    const { plan, sink } = successor.prepared
    const unmoved = await this.#setAside(plan, dropped)
    return {
      ...result,
      spans: result.spans.map(span => (unmoved.has(span.file) ? { ...span, file: span.part } : span)),
      renamed: [{ part: plan.part.name, file: basename(sink.path) }],
    }
  }

  /** Removes everything that is not finished. */
  async abort(): Promise<void> {
    for (const sink of this.#sinks) await sink.abort()
    this.undo()
  }

  /** Takes away what has a name although what it belongs to has not come about. Nothing is thrown. */
  undo(): void {
    for (const { path, size, target, before } of this.#named.splice(0)) {
      const now = stampIfThere(target)
      const same = now === undefined || before === undefined ? now === before : isSameFile(now, before)
      if (!same || stampIfThere(path)?.size !== BigInt(size)) continue
      try {
        unlinkSync(systemPath(path))
      } catch {
        // It is a copy of bytes that are still where they were.
      }
    }
  }

  #result(output: string): WriteResult {
    return {
      output,
      spans: plannedSpans(this.#plan),
      backups: this.#backups,
      renamed: [],
      warnings: this.#warnings,
    }
  }

  /** Writes what stays of a part, and what does not, and reads the first back. */
  async #prepare(plan: PartPlan, target: string, options: SinkOptions): Promise<Prepared> {
    const sink = this.#opened(await Sink.create(target, options))
    const source = await this.#open(plan.part)
    try {
      const cut = await this.#keepCut(plan, dirname(sink.path), source)
      await copyKept(sink, plan, source)
      await this.#check(plan, sink)
      return { plan, sink, cut }
    } finally {
      await source.close()
    }
  }

  /**
   * The file that keeps the spans of a part. One of that name is refused, unless it holds just these bytes: then an
   * earlier repair was killed before it was done.
   */
  async #keepCut(plan: PartPlan, folder: string, source: Source): Promise<Sink | undefined> {
    const spans = spansOf(plan)
    if (spans.length === 0) return undefined
    const path = join(folder, spans[0].file)
    const save = async (to: Sink | Comparison) => {
      for (const { offset, end } of spans) await to.copyRange(source, offset, end)
    }
    const taken = stampIfThere(path) !== undefined
    if (taken && !(await holdsJust(path, save))) throw keptAlready(path)
    const sink = this.#opened(await Sink.create(path, { ...modelled(plan.part), replace: taken }))
    await save(sink)
    return sink
  }

  /** What is left of a part, as a new part, and the manifest that names it and no longer those behind it. */
  async #prepareSuccessor(plan: PartPlan, dropped: readonly PartPlan[]): Promise<Successor> {
    const { input } = this.#plan
    const folder = input.folder as string
    const manifestPath = input.manifestPath as string
    for (const { part } of dropped) {
      const path = join(folder, droppedName(part.name))
      if (stampIfThere(path) !== undefined) throw keptAlready(path)
    }
    for (const entry of successorsOf(input, plan.part)) {
      const path = join(folder, entry.file)
      const taken = stampIfThere(path) !== undefined
      // An earlier repair may have been killed before the manifest named it.
      if (taken && !(await this.#isResultOf(plan, path))) continue
      const prepared = await this.#prepare(plan, path, { ...modelled(plan.part), replace: taken })
      const manifest = this.#opened(await Sink.create(manifestPath, { replace: true, like: manifestPath }))
      await manifest.write(manifestWith(this.#plan, plan.part.name, entry))
      return { prepared, manifest }
    }
    throw new Error('names do not end')
  }

  /** A manifest that was made anew, where there is none that can be read. */
  async #prepareManifest(): Promise<Sink> {
    const { input } = this.#plan
    const path = input.manifestPath as string
    const there = stampIfThere(path) !== undefined
    const sink = this.#opened(
      await Sink.create(path, { replace: there, like: there ? path : input.parts[0].path }),
    )
    await sink.write(manifestFor(this.#plan))
    return sink
  }

  async #isResultOf(plan: PartPlan, path: string): Promise<boolean> {
    const source = await this.#open(plan.part)
    try {
      return await holdsJust(path, to => copyKept(to, plan, source))
    } finally {
      await source.close()
    }
  }

  async #switchManifest({ prepared, manifest }: Successor): Promise<void> {
    const manifestPath = this.#plan.input.manifestPath as string
    const unchanged = this.#plan.stamps.get(manifestPath) as FileStamp
    await this.#name(prepared.cut, manifestPath, unchanged)
    await this.#name(prepared.sink, manifestPath, unchanged)
    const { backup, warnings } = await manifest.commit({ backup: this.#to.backup, unchanged })
    if (backup !== undefined) this.#backups.push(backup)
    this.#warnings.push(...warnings)
  }

  /**
   * Gives files that have left the log names that say what they are; returns the names that could not be given. The new
   * state is there already: what fails here is a warning.
   */
  async #setAside(cut: PartPlan, dropped: readonly PartPlan[]): Promise<ReadonlySet<string>> {
    const folder = this.#plan.input.folder as string
    const unmoved = new Set<string>()
    const attempt = async ({ part }: PartPlan, work: () => Promise<void>, otherwise: () => void) => {
      try {
        await work()
        // A link to what was moved leads nowhere now.
        const name = join(folder, part.name)
        if (name !== part.path) await unlink(systemPath(name))
      } catch (error) {
        const { message } = jobError(`${escapeName(part.name)} is no longer part of the log, but`, error)
        this.#warnings.push(message)
        otherwise()
      }
    }
    const { path } = cut.part
    await attempt(
      cut,
      async () => {
        if (this.#to.backup) this.#backups.push(keepBackup(path))
        await unlink(systemPath(path))
      },
      () => {},
    )
    for (const plan of dropped) {
      const name = droppedName(plan.part.name)
      await attempt(
        plan,
        () => moveAside(plan.part.path, join(folder, name)),
        () => unmoved.add(name),
      )
    }
    return unmoved
  }

  /**
   * Gives a file its name, which it has for good when `target` is another file than `before`. Known before it has it: a
   * signal may come in between.
   */
  async #name(sink: Sink | undefined, target: string, before: FileStamp | undefined): Promise<void> {
    if (sink === undefined) return
    const named = { path: sink.path, size: sink.size, target, before }
    this.#named.push(named)
    try {
      this.#warnings.push(...(await sink.commit()).warnings)
    } catch (error) {
      // Somebody else's.
      if (error instanceof JobError && error.code === 'output.exists') this.#named.pop()
      throw error
    }
  }

  /** Reads the result back from the disk: it must be what servers load, to its last byte. */
  async #check({ part, report, action, end, patches }: PartPlan, sink: Sink): Promise<void> {
    if (action === 'keep') return
    const size = patches.reduce((total, { offset, end, by }) => total + by.length - (end - offset), end)
    const server = new LogServer(this.#plan.report.server, this.#options.allowCommands)
    const place = { file: part.name, type: part.role, last: true }
    const findings = new Findings()
    const check = new PartCheck(place, findings, server, this.#options.databases)
    const result = await check.run(await sink.reread())
    const reasons = new Set(patches.map(({ reason }) => reason))
    const left = findings.list().find(({ code }) => reasons.has(code))
    const loads = result.verdict === 'sound' || result.verdict === 'damaged'
    if (loads && result.size === size && result.keys === report.keys && left === undefined) return
    const what =
      left === undefined
        ? `is ${result.verdict} at ${result.validUpTo} of ${result.size} bytes, where ${size} were to be sound`
        : `still has ${left.code} at ${left.offset}`
    throw new JobError(
      'repair.check',
      `what was written for ${escapeName(part.name)}, read back, ${what}; nothing was replaced`,
    )
  }

  async #copyWhole({ part, report }: PartPlan, path: string): Promise<void> {
    const source = await this.#open(part)
    const sink = this.#opened(await Sink.create(path, modelled(part)))
    try {
      await sink.copyRange(source, 0, report.size)
      await sink.commit()
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

  /** The plan is about the files as they were before they were read. */
  async #refuseChanged(): Promise<void> {
    const { parts, input, stamps } = this.#plan
    const changing = parts.filter(({ action }) => action !== 'keep').map(({ part }) => part.path)
    const manifest = input.manifestPath
    for (const path of manifest === undefined || !stamps.has(manifest) ? changing : [...changing, manifest]) {
      if (isSame(await stampOf(path), stamps.get(path) as FileStamp)) continue
      throw new JobError(
        'output.changed',
        `${escapeName(path)} was changed while its replacement was made; nothing was replaced`,
        'stop the server that writes to it, and try again',
      )
    }
  }

  #opened(sink: Sink): Sink {
    this.#sinks.push(sink)
    return sink
  }
}

/** A part under another name, and the manifest that has it; both without their names. */
interface Successor {
  readonly prepared: Prepared
  readonly manifest: Sink
}

function modelled(part: Part): SinkOptions {
  return isFile(part) ? { like: part.path } : {}
}

/** Whether the part's path is that of a file, and not of something that the shell opened. */
function isFile({ path, size }: Part): boolean {
  return size !== undefined && path !== '-' && !/^\/(?:dev|proc)\//.test(path)
}

/** Writes what the result has of a part. */
async function copyKept(to: Sink | Comparison, plan: PartPlan, source: Source): Promise<void> {
  const { part, end, patches } = plan
  let done = patches[0]?.offset ?? end
  // Of compressed input the size is not known.
  if (to instanceof Sink && isFile(part) && source.size !== undefined) await to.copyPrefix(part.path, done)
  else await to.copyRange(source, 0, done)
  for (const [index, patch] of patches.entries()) {
    await to.write(patch.by)
    done = patches[index + 1]?.offset ?? end
    await to.copyRange(source, patch.end, done)
  }
}

const COMPARED_AT_ONCE = 1 << 20

/** Takes bytes as a sink does, and only looks whether they are those of a file. */
class Comparison {
  same = true
  readonly #kept: Source
  #position = 0

  constructor(kept: Source) {
    this.#kept = kept
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (!this.same) return
    const there = new Uint8Array(bytes.length)
    const count = await this.#kept.readAt(there, this.#position)
    this.#position += bytes.length
    this.same = count === bytes.length && Buffer.compare(there, bytes) === 0
  }

  async copyRange(source: Source, from: number, to: number): Promise<void> {
    const block = new Uint8Array(Math.min(COMPARED_AT_ONCE, to - from))
    for (let at = from; at < to && this.same; at += block.length) {
      const count = await source.readAt(block.subarray(0, Math.min(block.length, to - at)), at)
      await this.write(block.subarray(0, count))
    }
  }

  get complete(): boolean {
    return this.same && this.#position === this.#kept.size
  }
}

/** Whether a file holds just what `produce` writes. */
async function holdsJust(path: string, produce: (to: Comparison) => Promise<void>): Promise<boolean> {
  const kept = await openSource(path, { decompress: false })
  try {
    const comparison = new Comparison(kept)
    await produce(comparison)
    return comparison.complete
  } finally {
    await kept.close()
  }
}

function keptAlready(path: string): JobError {
  return new JobError(
    'repair.kept-already',
    `${escapeName(path)} exists already, with other bytes: it was to keep what is cut`,
    `move ${escapeName(path)} away; it may be all that is left of an earlier repair`,
  )
}

/** An error that was met when some parts had been replaced. */
function afterSome(names: readonly string[], error: unknown): unknown {
  if (!(error instanceof JobError)) return error
  const done = names.map(escapeName).join(', ')
  return new JobError(error.code, `${error.message}; replaced before that: ${done}`, error.hint)
}

/** A folder that is replaced is moved aside whole: the log must not be in it. */
async function refuseAround(output: string, folder: string): Promise<void> {
  const target = await realpath(systemPath(output), { encoding: 'buffer' }).then(decodeName, () => undefined)
  if (target === undefined || !`${folder}${sep}`.startsWith(`${target}${sep}`)) return
  throw new JobError(
    'repair.same',
    `${escapeName(output)} holds what is to be repaired; with --output that stays as it is`,
    'use --in-place, or write elsewhere',
  )
}

/** What a file is; undefined where there is none, or none that we may look at. Synchronous: for the end of the process. */
function stampIfThere(path: string): FileStamp | undefined {
  try {
    const { dev, ino, size, mtimeNs } = statSync(systemPath(path), { bigint: true })
    return { device: dev, inode: ino, size, modifiedAtNs: mtimeNs }
  } catch {
    return undefined
  }
}

function isSameFile(a: FileStamp, b: FileStamp): boolean {
  return a.device === b.device && a.inode === b.inode
}

function isSame(a: FileStamp, b: FileStamp): boolean {
  return isSameFile(a, b) && a.size === b.size && a.modifiedAtNs === b.modifiedAtNs
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
