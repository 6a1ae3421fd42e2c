import { type BigIntStats, existsSync, readdirSync, realpathSync, statSync, unlinkSync } from 'node:fs'
import { unlink } from 'node:fs/promises'
import { basename, dirname, join, sep } from 'node:path'
import { type EntryType, type Manifest, type ManifestEntry, printManifest } from '../aof/manifest.ts'
import type { Input, Part } from '../aof/parts.ts'
import { JobError, jobError } from '../bytes/errors.ts'
import { escapeName } from '../bytes/escape.ts'
import { FileSource } from '../bytes/file-source.ts'
import { decodeName, systemPath } from '../bytes/names.ts'
import { writersOf } from '../bytes/open-files.ts'
import { type FileStamp, FolderSink, keepBackup, Sink, type SinkOptions, stampOf } from '../bytes/sink.ts'
import { sameBytes } from './same-bytes.ts'

/*
 * Where a compacted log goes. A multi-part one in place gets new files under the next numbers of their sequences, which
 * nobody reads until the manifest names them:
 *
 *     1. NAME.N+1.base.rdb, NAME.M+1.incr.aof   written, checked, fsync, then their names
 *     2. PART.old                               hard links to the parts that are replaced
 *     3. NAME.manifest                          replaced: from here on the log is the new one
 *     4. PART                                   their old names go
 */

export type Layout = 'single' | 'multi-part'

export interface CompactPlace {
  /** A new place; undefined: in place. */
  readonly output: string | undefined
  readonly force: boolean
  readonly backup: boolean
}

export interface CompactedFiles {
  /** The file or folder that holds the result. */
  readonly output: string
  /** Where what was replaced is kept. */
  readonly backups: readonly string[]
  readonly warnings: readonly string[]
}

/** What servers call a multi-part log unless they are told otherwise. */
const USUAL_NAME = 'appendonly.aof'
const PART_NAME = /^(.*)\.\d+\.(?:base|incr)\.(?:rdb|aof)$/s

/** The files of the result, as long as they have no name. */
export interface CompactFiles {
  /** Takes the keys. */
  readonly base: Sink
  /** Takes commands behind them: of a single file the same. */
  readonly tail: Sink
  readonly inPlace: boolean
  /** Gives the files their names. Throws a JobError, and leaves everything as it was, when that cannot be done. */
  commit(): Promise<CompactedFiles>
  /** Removes everything that is not finished. Nothing is thrown. */
  abort(): Promise<void>
}

/** Refuses what cannot be, and begins the files of a result. */
export async function beginFiles(
  input: Input,
  layout: Layout,
  preamble: boolean,
  to: CompactPlace,
): Promise<CompactFiles> {
  if (to.output === undefined) {
    if (layout !== input.layout) {
      throw new JobError(
        'compact.layout',
        `${escapeName(input.path)} stays ${input.layout} in place`,
        'use --output',
      )
    }
    const warnings = await refuseWriters(input, to.force)
    return layout === 'single'
      ? SingleInPlace.begin(input, to, warnings)
      : PartsInPlace.begin(input, preamble, to, warnings)
  }
  refuseSame(input, to.output)
  return layout === 'single'
    ? NewFile.begin(input, to.output, to)
    : NewFolder.begin(input, to.output, preamble, to)
}

class NewFile implements CompactFiles {
  readonly inPlace = false
  readonly base: Sink
  readonly #output: string

  private constructor(sink: Sink, output: string) {
    this.base = sink
    this.#output = output
  }

  static async begin(input: Input, output: string, { force }: CompactPlace): Promise<NewFile> {
    const [part] = input.parts
    return new NewFile(await Sink.create(output, { replace: force, ...modelled(part) }), output)
  }

  get tail(): Sink {
    return this.base
  }

  async commit(): Promise<CompactedFiles> {
    const { warnings } = await this.base.commit()
    return { output: this.#output, backups: [], warnings }
  }

  abort(): Promise<void> {
    return this.base.abort()
  }
}

class SingleInPlace implements CompactFiles {
  readonly inPlace = true
  readonly base: Sink
  readonly #path: string
  readonly #backup: boolean
  readonly #before: FileStamp
  readonly #warnings: readonly string[]

  private constructor(
    base: Sink,
    path: string,
    backup: boolean,
    before: FileStamp,
    warnings: readonly string[],
  ) {
    this.base = base
    this.#path = path
    this.#backup = backup
    this.#before = before
    this.#warnings = warnings
  }

  static async begin(
    input: Input,
    { backup }: CompactPlace,
    warnings: readonly string[],
  ): Promise<SingleInPlace> {
    const { path } = input.parts[0]
    const before = await stampOf(path)
    const sink = await Sink.create(path, { replace: true, like: path })
    return new SingleInPlace(sink, path, backup, before, warnings)
  }

  get tail(): Sink {
    return this.base
  }

  async commit(): Promise<CompactedFiles> {
    const { backup, warnings } = await this.base.commit({ backup: this.#backup, unchanged: this.#before })
    return {
      output: this.#path,
      backups: backup === undefined ? [] : [backup],
      warnings: [...this.#warnings, ...warnings],
    }
  }

  abort(): Promise<void> {
    return this.base.abort()
  }
}

/** Names and entries of a multi-part result. */
function namesOf(input: Input, preamble: boolean, next: { base: bigint; incr: bigint }) {
  const name = input.parts.map(part => PART_NAME.exec(part.name)?.[1]).find(found => found !== undefined)
  const prefix = input.layout === 'single' ? USUAL_NAME : (name ?? USUAL_NAME)
  const base: ManifestEntry = {
    file: `${prefix}.${next.base}.base.${preamble ? 'rdb' : 'aof'}`,
    seq: next.base,
    type: 'b',
    extra: [],
  }
  const incr: ManifestEntry = {
    file: `${prefix}.${next.incr}.incr.aof`,
    seq: next.incr,
    type: 'i',
    extra: [],
  }
  return { prefix, base, incr }
}

class NewFolder implements CompactFiles {
  readonly inPlace = false
  readonly base: Sink
  readonly tail: Sink
  readonly #folder: FolderSink
  readonly #manifest: string
  readonly #entries: readonly ManifestEntry[]
  readonly #output: string
  readonly #like: SinkOptions

  private constructor(
    folder: FolderSink,
    sinks: readonly [base: Sink, tail: Sink],
    manifest: string,
    entries: readonly ManifestEntry[],
    output: string,
    like: SinkOptions,
  ) {
    this.#folder = folder
    this.base = sinks[0]
    this.tail = sinks[1]
    this.#manifest = manifest
    this.#entries = entries
    this.#output = output
    this.#like = like
  }

  static async begin(
    input: Input,
    output: string,
    preamble: boolean,
    { force }: CompactPlace,
  ): Promise<NewFolder> {
    const { prefix, base, incr } = namesOf(input, preamble, { base: 1n, incr: 1n })
    const model = modelled(input.parts[0])
    const like = input.folder ?? model.like
    const folder = await FolderSink.create(output, {
      replace: force,
      ...(like === undefined ? {} : { like }),
    })
    try {
      const sinks = [
        await Sink.create(join(folder.folder, base.file), model),
        await Sink.create(join(folder.folder, incr.file), model),
      ] as const
      return new NewFolder(folder, sinks, `${prefix}.manifest`, [base, incr], output, model)
    } catch (error) {
      await folder.abort()
      throw error
    }
  }

  async commit(): Promise<CompactedFiles> {
    const found = [await this.base.commit(), await this.tail.commit()]
    const manifest = await Sink.create(join(this.#folder.folder, this.#manifest), this.#like)
    await manifest.write(printManifest({ entries: this.#entries }))
    found.push(await manifest.commit())
    const folder = await this.#folder.commit()
    return {
      output: this.#output,
      backups: folder.backup === undefined ? [] : [folder.backup],
      warnings: [...new Set([...found.flatMap(({ warnings }) => warnings), ...folder.warnings])],
    }
  }

  async abort(): Promise<void> {
    await this.base.abort()
    await this.tail.abort()
    await this.#folder.abort()
  }
}

function nextNumber({ entries }: Manifest, type: EntryType): bigint {
  return (
    entries.reduce((last, entry) => (entry.type === type && entry.seq > last ? entry.seq : last), 0n) + 1n
  )
}

class PartsInPlace implements CompactFiles {
  readonly inPlace = true
  readonly base: Sink
  readonly tail: Sink
  readonly #input: Input
  readonly #entries: readonly ManifestEntry[]
  readonly #backup: boolean
  readonly #stamps: ReadonlyMap<string, FileStamp>
  readonly #warnings: string[]
  /** Files that have their name, and are of no use unless the manifest names them. */
  readonly #named: string[] = []

  private constructor(
    input: Input,
    sinks: readonly [base: Sink, tail: Sink],
    entries: readonly ManifestEntry[],
    backup: boolean,
    stamps: ReadonlyMap<string, FileStamp>,
    warnings: readonly string[],
  ) {
    this.#input = input
    this.base = sinks[0]
    this.tail = sinks[1]
    this.#entries = entries
    this.#backup = backup
    this.#stamps = stamps
    this.#warnings = [...warnings]
  }

  static async begin(
    input: Input,
    preamble: boolean,
    { backup }: CompactPlace,
    warnings: readonly string[],
  ): Promise<PartsInPlace> {
    const { manifest, manifestPath, folder } = input
    if (manifest === undefined || manifestPath === undefined || folder === undefined) {
      throw new JobError('compact.manifest', `${escapeName(input.path)} has no manifest`, 'use --output')
    }
    const stamps = new Map<string, FileStamp>()
    for (const path of [...input.parts.map(({ path }) => path), manifestPath])
      stamps.set(path, await stampOf(path))
    const numbers = { base: nextNumber(manifest, 'b'), incr: nextNumber(manifest, 'i') }
    const taken = ({ file }: ManifestEntry) => existsSync(systemPath(join(folder, file)))
    while (taken(namesOf(input, preamble, numbers).base)) numbers.base++
    while (taken(namesOf(input, preamble, numbers).incr)) numbers.incr++
    const { base, incr } = namesOf(input, preamble, numbers)
    const model = modelled(input.parts[0])
    const first = await Sink.create(join(folder, base.file), model)
    try {
      const sinks = [first, await Sink.create(join(folder, incr.file), model)] as const
      const history = manifest.entries.filter(({ type }) => type === 'h')
      return new PartsInPlace(input, sinks, [base, ...history, incr], backup, stamps, warnings)
    } catch (error) {
      await first.abort()
      throw error
    }
  }

  async commit(): Promise<CompactedFiles> {
    const { manifestPath, folder, path } = this.#input
    const manifest = await Sink.create(manifestPath as string, {
      replace: true,
      like: manifestPath as string,
    })
    const backups: string[] = []
    const links: string[] = []
    const unchanged = this.#stamps.get(manifestPath as string) as FileStamp
    // A signal ends the process here and now: what has its name already, and is of no use alone, goes then too. Once the
    // manifest is another file, it is the log.
    const undo = () => {
      if (!isStill(manifestPath as string, unchanged)) return
      for (const file of [...this.#named.splice(0), ...links.splice(0)]) unlinkQuietly(file)
    }
    process.on('exit', undo)
    try {
      await manifest.write(printManifest({ entries: this.#entries }))
      for (const sink of [this.base, this.tail]) {
        this.#named.push(sink.path)
        this.#warnings.push(...(await sink.commit()).warnings)
      }
      for (const [file, before] of this.#stamps) await refuseChanged(file, before)
      const replaced = this.#replaced()
      if (this.#backup) for (const file of replaced) links.push(keepBackup(file))
      const { backup, warnings } = await manifest.commit({ backup: this.#backup, unchanged })
      this.#named.length = 0
      backups.push(...links.splice(0))
      if (backup !== undefined) backups.push(backup)
      this.#warnings.push(...warnings)
      await this.#retire([...replaced, ...(await this.#leftovers())])
    } catch (error) {
      await manifest.abort()
      undo()
      throw error
    } finally {
      process.off('exit', undo)
    }
    return { output: folder ?? path, backups, warnings: [...new Set(this.#warnings)] }
  }

  async abort(): Promise<void> {
    await this.base.abort()
    await this.tail.abort()
    for (const file of this.#named.splice(0)) unlinkQuietly(file)
  }

  /** The parts that leave the log; one that is listed twice once. */
  #replaced(): string[] {
    return [...new Set(this.#input.parts.map(({ path }) => path))]
  }

  /**
   * What an earlier attempt left that was killed: parts that have their `.old` already, before their manifest was
   * replaced or after it, and results that no manifest names and that are the same as this one.
   */
  async #leftovers(): Promise<string[]> {
    const folder = this.#input.folder as string
    const listed = new Set(
      [...(this.#input.manifest?.entries ?? []), ...this.#entries].map(({ file }) => file),
    )
    const names = readdirSync(systemPath(folder), { encoding: 'buffer' }).map(decodeName)
    const left: string[] = []
    for (const name of names) {
      const path = join(folder, name)
      if (listed.has(name) || !PART_NAME.test(name)) continue
      const found = statSync(systemPath(path), { bigint: true, throwIfNoEntry: false })
      if (found === undefined || !found.isFile()) continue
      const kept = names.some(
        other => other.startsWith(`${name}.old`) && isStill(join(folder, other), stampFrom(found)),
      )
      // An empty one holds nothing that could be lost.
      if (kept || found.size === 0n || (await isCopy(path, this.base.path))) left.push(path)
    }
    return left
  }

  /** Takes the old parts their names. The new state is there already: what fails here is a warning. */
  async #retire(files: readonly string[]): Promise<void> {
    for (const file of files) {
      try {
        await unlink(systemPath(file))
      } catch (error) {
        const { message } = jobError(`${escapeName(basename(file))} is no longer part of the log, but`, error)
        this.#warnings.push(message)
      }
    }
  }
}

function unlinkQuietly(path: string): void {
  try {
    unlinkSync(systemPath(path))
  } catch {
    // It was there only for a log that has not come about.
  }
}

function stampFrom({ dev, ino, size, mtimeNs }: BigIntStats): FileStamp {
  return { device: dev, inode: ino, size, modifiedAtNs: mtimeNs }
}

/** Whether two files hold the same. */
async function isCopy(path: string, other: string): Promise<boolean> {
  const { size } = statSync(systemPath(path))
  if (size !== statSync(systemPath(other)).size) return false
  const sources = [await FileSource.open(path), await FileSource.open(other)]
  try {
    return await sameBytes(sources[0], 0, sources[1], 0, size)
  } finally {
    for (const source of sources) await source.close()
  }
}

function isStill(path: string, { device, inode }: FileStamp): boolean {
  const now = statSync(systemPath(path), { bigint: true, throwIfNoEntry: false })
  return now !== undefined && now.dev === device && now.ino === inode
}

async function refuseChanged(path: string, before: FileStamp): Promise<void> {
  const now = await stampOf(path)
  if (now.inode === before.inode && now.size === before.size && now.modifiedAtNs === before.modifiedAtNs)
    return
  throw new JobError(
    'output.changed',
    `${escapeName(path)} was changed while its replacement was made; nothing was replaced`,
    'stop the server that writes to it, and try again',
  )
}

/** Refuses to replace what a process writes to; returns what could not be found out. */
async function refuseWriters({ parts }: Input, force: boolean): Promise<string[]> {
  const warnings: string[] = []
  for (const part of parts) {
    const { pids, known } = await writersOf(part.path)
    if (pids.length > 0 && !force) {
      throw new JobError(
        'compact.in-use',
        `${escapeName(part.name)} is open for writing by process ${pids.join(', ')}: what that writes would be lost`,
        'stop the server first, or write elsewhere with --output; --force replaces it all the same',
      )
    }
    if (!known) {
      warnings.push(`whether another process writes to ${escapeName(part.name)} could not be found out`)
    }
  }
  return warnings
}

/** Refuses a target that is the source, or holds it: with --output that stays as it is. */
function refuseSame(input: Input, output: string): void {
  const target = statSync(systemPath(output), { bigint: true, throwIfNoEntry: false })
  if (target === undefined) return
  const sources = [
    ...input.parts.map(({ path }) => path),
    ...(input.folder === undefined ? [] : [input.folder]),
  ]
  for (const path of sources) {
    const source = statSync(systemPath(path === '-' ? '/dev/stdin' : path), {
      bigint: true,
      throwIfNoEntry: false,
    })
    if (source === undefined) continue
    const same = source.dev === target.dev && source.ino === target.ino
    if (!same && !(target.isDirectory() && isInside(path, output))) continue
    const what = same ? 'is what is to be compacted' : 'holds what is to be compacted'
    throw new JobError(
      'compact.same',
      `${escapeName(output)} ${what}; with --output that stays as it is`,
      'use --in-place, or write elsewhere',
    )
  }
}

function isInside(path: string, folder: string): boolean {
  if (path === '-') return false
  const real = (name: string) => realpathSync(systemPath(name))
  return `${dirname(real(path))}${sep}`.startsWith(`${real(folder)}${sep}`)
}

function modelled({ path, size }: Part): SinkOptions {
  return size === undefined || path === '-' || /^\/(?:dev|proc)\//.test(path) ? {} : { like: path }
}
