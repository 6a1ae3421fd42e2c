/**
 * What a PATH is: a single log, or a multi-part one with its manifest and parts. Found out by content; names decide
 * only where servers go by them, and where the content says nothing.
 *
 *     data folder  |  appendonlydir  |  appendonly.aof.manifest
 *     (dir)        |  (appenddirname)|  appendonly.aof.1.base.rdb
 *                  |                 |  appendonly.aof.1.incr.aof
 *                  |  appendonly.aof    (a single log of Redis 6 and earlier)
 */
import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from 'node:fs'
import { lstat, readdir, realpath, stat } from 'node:fs/promises'
import { dirname, join, sep } from 'node:path'
import { type Compression, compressionOf } from '../bytes/compression.ts'
import { JobError, jobError } from '../bytes/errors.ts'
import { escapeName } from '../bytes/escape.ts'
import { decodeName, systemPath } from '../bytes/names.ts'
import { openSource } from '../bytes/open.ts'
import type { Source } from '../bytes/source.ts'
import type { Finding } from './finding.ts'
import {
  entriesToLoad,
  looksLikeManifest,
  type Manifest,
  type ManifestEntry,
  parseManifest,
} from './manifest.ts'

export type PartRole = 'single' | 'base' | 'incr'

export interface Part {
  /** The file's name, as the manifest has it; `-` for standard input. */
  readonly name: string
  /** Where to open it; a link is resolved. */
  readonly path: string
  readonly role: PartRole
  /** Bytes on disk at the time of looking; undefined for standard input. */
  readonly size: number | undefined
}

export interface Input {
  /** As it was given. */
  readonly path: string
  readonly layout: 'single' | 'multi-part'
  /** In the order in which a server loads them; those that are missing are left out. */
  readonly parts: readonly Part[]
  /** Of a single file. */
  readonly compression: Compression | undefined
  /** Bytes of all parts as they will be read; undefined where that is unknown (standard input, compressed). */
  readonly size: number | undefined
  /** The folder of the manifest and the parts, links resolved; undefined for a single file. */
  readonly folder: string | undefined
  /** Undefined for a single file, and where the manifest is missing. */
  readonly manifestPath: string | undefined
  readonly manifest: Manifest | undefined
  readonly findings: readonly Finding[]
  /** A server that starts here makes it worse. */
  readonly doNotStart: boolean
}

/** Bytes at the start of a file that show what it is; comments of a manifest may come first. */
const HEAD = 16 * 1024
/** A manifest has a line for each part: this is room for 100,000 of them. */
const MAX_MANIFEST = 16 << 20
/** How many names a message lists. */
const LISTED = 5
/** The folder of the parts, unless the server's `appenddirname` says otherwise. */
const PARTS_FOLDER = 'appendonlydir'
/** What a server calls its parts. */
const PART_NAME = /^(.*)\.(\d+)\.(base|incr)\.(rdb|aof)$/s
/** Files on their way to another name: servers' (`temp-…`, `temp_…`) and ours. */
const TEMPORARY_NAME = /^temp[-_]|^\..*\.aofkit-/s
const MANIFEST_SUFFIX = '.manifest'

/**
 * Finds out what `path` is. What is wrong with a manifest, or with what it lists, comes as findings.
 *
 * Throws a JobError for what cannot be read, for a folder that holds no log or several manifests, and for a part that
 * is a link to somewhere outside its folder.
 */
export async function resolveInput(path: string): Promise<Input> {
  if (path === '-') return single(path, undefined, undefined)
  const stats = await statusOf(path)
  if (stats.isDirectory()) return resolveFolder(path)
  // A pipe that the shell made has no second beginning, and everything else is refused when it is opened.
  if (!stats.isFile()) return single(path, undefined, undefined)
  const head = headOf(path)
  if (isManifest(path, head)) return resolveManifest(path, [])
  return single(path, stats.size, compressionOf(head))
}

/** Opens a part: of a multi-part log as it is, since servers decompress nothing. */
export function openPart(part: Part, options: { readonly again?: boolean } = {}): Promise<Source> {
  return openSource(part.path, { ...options, decompress: part.role === 'single' })
}

function single(path: string, size: number | undefined, compression: Compression | undefined): Input {
  const name = path.slice(path.lastIndexOf(sep) + 1)
  return {
    path,
    layout: 'single',
    parts: [{ name, path, role: 'single', size }],
    compression,
    size: compression === undefined ? size : undefined,
    folder: undefined,
    manifestPath: undefined,
    manifest: undefined,
    findings: [],
    doNotStart: false,
  }
}

/** A manifest by its content, or by its name where the content can be nothing else that we know. */
function isManifest(path: string, head: Uint8Array): boolean {
  if (looksLikeManifest(head)) return true
  if (!path.endsWith(MANIFEST_SUFFIX) || compressionOf(head) !== undefined) return false
  const start = Buffer.from(head.subarray(0, 6)).toString('latin1')
  return (
    !start.startsWith('*') && !start.startsWith('REDIS') && start !== 'VALKEY' && !start.startsWith('#TS:')
  )
}

async function resolveFolder(path: string): Promise<Input> {
  const here = await lookInto(path, true)
  if (here.manifests.length > 0 || here.parts.length > 0) return resolveParts(path, here)
  const subfolders = here.folders.includes(PARTS_FOLDER) ? [PARTS_FOLDER] : here.folders
  const found: { path: string; content: FolderContent }[] = []
  for (const name of subfolders) {
    const below = join(path, name)
    // Other subfolders of a data folder are nobody's business when they cannot be read.
    const content = await lookInto(below, name === PARTS_FOLDER).catch(error => {
      if (name === PARTS_FOLDER) throw error
      return undefined
    })
    if (content && (content.manifests.length > 0 || content.parts.length > 0))
      found.push({ path: below, content })
  }
  if (found.length > 1) {
    const names = found.map(({ path }) => path)
    throw new JobError(
      'input.several',
      `${escapeName(path)} holds several logs: ${list(names)}`,
      'name one of them',
    )
  }
  if (found.length === 1) return resolveParts(found[0].path, found[0].content)
  const files = here.files.filter(name => /\.(?:aof|rdb)$/.test(name))
  throw new JobError(
    'input.no-log',
    `${escapeName(path)} holds no manifest and no parts of a log`,
    files.length > 0 ? `name the file itself: ${list(files.map(name => join(path, name)))}` : undefined,
  )
}

interface FolderContent {
  /** Files named `….manifest`; where there are none, files that have the content of one. */
  readonly manifests: readonly string[]
  /** Files named like parts. */
  readonly parts: readonly string[]
  readonly files: readonly string[]
  readonly folders: readonly string[]
}

/** @param byContent whether to look into files that are not named like a manifest when none is */
async function lookInto(folder: string, byContent: boolean): Promise<FolderContent> {
  const files: string[] = []
  const folders: string[] = []
  try {
    for (const entry of await readdir(systemPath(folder), { withFileTypes: true, encoding: 'buffer' })) {
      const name = decodeName(entry.name as unknown as Buffer)
      const target = entry.isSymbolicLink()
        ? await stat(systemPath(join(folder, name))).catch(() => undefined)
        : entry
      if (target?.isFile()) files.push(name)
      else if (target?.isDirectory()) folders.push(name)
    }
  } catch (error) {
    throw jobError(`cannot read the folder ${escapeName(folder)}`, error)
  }
  files.sort()
  folders.sort()
  const settled = files.filter(name => !TEMPORARY_NAME.test(name))
  const parts = settled.filter(name => PART_NAME.test(name))
  const named = settled.filter(name => name.endsWith(MANIFEST_SUFFIX))
  const unnamed = byContent && named.length === 0 ? settled.filter(name => !PART_NAME.test(name)) : []
  const manifests = [...named, ...unnamed.filter(name => hasManifestContent(join(folder, name)))]
  return { manifests, parts, files, folders }
}

function hasManifestContent(path: string): boolean {
  try {
    return looksLikeManifest(headOf(path))
  } catch {
    // Whatever it is, a server could not read it as its manifest either.
    return false
  }
}

async function resolveParts(folder: string, content: FolderContent): Promise<Input> {
  const { manifests, parts } = content
  if (manifests.length > 1) {
    const message = `${escapeName(folder)} holds several manifests: ${list(manifests, manifests.length)}`
    throw new JobError('input.several', message, 'name one of them')
  }
  if (manifests.length === 0) return withoutManifest(folder, parts)
  return resolveManifest(join(folder, manifests[0]), parts)
}

/** @param present files named like parts beside it; looked for when there are none */
async function resolveManifest(path: string, present: readonly string[]): Promise<Input> {
  const folder = await realFolder(dirname(path))
  const name = path.slice(path.lastIndexOf(sep) + 1)
  const { manifest, findings } = parseManifest(await readManifest(path), name)
  const report = (severity: Finding['severity'], code: string, message: string, part?: string): void => {
    findings.push({ code: `manifest.${code}`, severity, ...(part === undefined ? {} : { part }), message })
  }
  let doNotStart = false
  const entries = entriesToLoad(manifest)
  const unlisted = (present.length > 0 ? present : (await lookInto(folder, false)).parts).filter(
    file => !manifest.entries.some(entry => entry.file === file),
  )
  if (!name.endsWith(MANIFEST_SUFFIX)) {
    doNotStart = true
    report(
      'error',
      'misnamed',
      `${escapeName(name)} has the content of a manifest, but servers look for one named ….manifest: without it they start empty; do not start one on this folder`,
      name,
    )
  }
  const parts: Part[] = []
  const old = await oldLog(folder, name)
  for (const entry of entries) {
    const role = entry.type === 'b' ? 'base' : 'incr'
    const part = await findPart(folder, entry.file, role)
    if (part === 'irregular') {
      report('error', 'part.kind', 'is no regular file: a server cannot load it', entry.file)
    } else if (part !== undefined) parts.push(part)
    else if (old !== undefined && entries.length === 1 && role === 'base' && entry.file === old.name) {
      // A server was stopped between writing the manifest and moving the file (redis 7.0: aofUpgradePrepare).
      parts.push({ ...old, role })
      const message = `still stands in ${escapeName(dirname(old.path))}: an upgrade from a single file was interrupted; a server that starts there finishes it`
      report('warning', 'upgrade', message, entry.file)
    } else {
      report(
        'error',
        'part.missing',
        'is listed in the manifest but missing; a server refuses to start',
        entry.file,
      )
    }
  }
  const moved = parts.some(part => part.path === old?.path)
  if (entries.length > 0 && old !== undefined && !moved) {
    const message = `${escapeName(old.path)} (${old.size} bytes) stands beside the multi-part log: servers do not read it; it is what was there before an upgrade, or another server's`
    report('warning', 'old-log', message)
  }
  if (entries.length === 0 && findings.every(({ severity }) => severity !== 'error')) {
    const lost = unlisted.length > 0
    doNotStart ||= lost
    report(lost ? 'error' : 'warning', 'no-parts', noParts(unlisted, old), name)
  } else if (unlisted.length > 0) {
    const message = `named like parts but not listed in the manifest, so that no server reads them: ${list(unlisted)}`
    report('warning', 'unlisted', message)
  }
  const history = manifest.entries.filter(({ type }) => type === 'h').map(({ file }) => file)
  if (history.length > 0) {
    report(
      'warning',
      'history',
      `servers delete files listed as history when they start: ${list(history)}`,
      name,
    )
  }
  if (entries.length > 0 && !entries.some(({ type }) => type === 'b')) {
    report(
      'warning',
      'no-base',
      'no base is listed: servers start with what is in the incr parts alone',
      name,
    )
  }
  return multiPart(path, folder, parts, findings, doNotStart, path, manifest)
}

function noParts(unlisted: readonly string[], old: Part | undefined): string {
  const adopted = old === undefined ? 'empty' : `with ${escapeName(old.path)}, an old single log,`
  const lost =
    unlisted.length > 0
      ? `, and writes over what looks like parts here: ${list(unlisted)}; do not start it`
      : ''
  return `the manifest lists no part to load: a server starts ${adopted}${lost}`
}

/** Parts whose manifest is gone. A server that starts here goes on as if nothing had been there (TRAPS 11). */
async function withoutManifest(folder: string, names: readonly string[]): Promise<Input> {
  const real = await realFolder(folder)
  const order = names
    .map(name => {
      const [, prefix, seq, kind] = PART_NAME.exec(name)!
      return { name, prefix, seq: BigInt(seq), kind }
    })
    .sort((a, b) => (a.kind === b.kind ? Number(a.seq - b.seq) : a.kind === 'base' ? -1 : 1))
  // A rewrite leaves the old base until the new one is in the manifest: the latest is the one to go by.
  const base = order.filter(({ kind }) => kind === 'base').at(-1)
  const parts: Part[] = []
  for (const { name, kind } of order) {
    if (kind === 'base' && name !== base?.name) continue
    const part = await findPart(real, name, kind as PartRole)
    if (part !== undefined && part !== 'irregular') parts.push(part)
  }
  const log = order[0].prefix
  const old = await oldLog(real, `${log}${MANIFEST_SUFFIX}`)
  const starts =
    old === undefined
      ? `would start empty, may overwrite ${escapeName(`${log}.1.base.rdb`)}, append to ${escapeName(`${log}.1.incr.aof`)}, and replay that on an empty base at its next start`
      : `would take over the old single log ${escapeName(old.path)} and ignore these`
  const message = `the manifest is missing, but parts of a log are here: ${list(names)}. A server ${starts}: do not start one before ${escapeName(`${log}${MANIFEST_SUFFIX}`)} is back`
  const findings: Finding[] = [{ code: 'manifest.missing', severity: 'error', message }]
  return multiPart(folder, real, parts, findings, true, undefined, undefined)
}

/** A log with a manifest that was made anew, and what of the old one is not in it. */
export interface Rebuilt {
  readonly input: Input
  /** Parts that the old manifest lists, and that are not there. */
  readonly missing: readonly string[]
  /** Files named like parts that are not in it: older bases, and parts of other logs. */
  readonly left: readonly string[]
}

/**
 * The log with a manifest made from what can be read of the old one and from the files that are there: by their names,
 * the base with the highest number, and incr parts in their order. History is left out, so that servers delete nothing.
 * Throws a JobError where names contradict each other.
 */
export async function rebuildManifest(input: Input): Promise<Rebuilt> {
  const folder = input.folder as string
  const files = (await lookInto(folder, false)).parts
  const old = input.manifest?.entries ?? []
  const manifestName = input.manifestPath?.slice(input.manifestPath.lastIndexOf(sep) + 1)
  const stem = manifestName?.endsWith(MANIFEST_SUFFIX)
    ? manifestName.slice(0, -MANIFEST_SUFFIX.length)
    : undefined
  const names = [...old.map(({ file }) => file), ...input.parts.map(({ name }) => name), ...files]
  const prefixes = names.flatMap(name => PART_NAME.exec(name)?.[1] ?? [])
  const log = stem !== undefined && prefixes.includes(stem) ? stem : prefixes[0]
  if (log === undefined) {
    throw new JobError('repair.manifest', `no file in ${escapeName(folder)} is named like a part of a log`)
  }
  const entries = old.filter(({ type }) => type !== 'h')
  const missing: string[] = []
  const listed = new Set(old.map(({ file }) => file))
  for (const file of files) {
    const [, prefix, seq, kind] = PART_NAME.exec(file)!
    if (prefix !== log || listed.has(file) || BigInt(seq) === 0n) continue
    entries.push({ file, seq: BigInt(seq), type: kind === 'base' ? 'b' : 'i', extra: [] })
  }
  // What the manifest says comes before what names say; of bases that nobody lists, a rewrite made the last one.
  const bases = entries.filter(({ type }) => type === 'b')
  const base =
    bases.find(({ file }) => listed.has(file)) ?? bases.sort((a, b) => (a.seq < b.seq ? -1 : 1)).at(-1)
  const incr = entries
    .filter(({ type }) => type === 'i')
    .sort((a, b) => (a.seq < b.seq ? -1 : a.seq > b.seq ? 1 : 0))
  const twice = incr.find(({ seq }, i) => i > 0 && incr[i - 1].seq === seq)
  if (twice !== undefined) {
    throw new JobError(
      'repair.manifest',
      `two incr parts have the number ${twice.seq}, one of them ${escapeName(twice.file)}: which comes first cannot be told`,
      'move one of them away',
    )
  }
  const parts: Part[] = []
  const kept: ManifestEntry[] = []
  for (const entry of base === undefined ? incr : [base, ...incr]) {
    const part = await findPart(folder, entry.file, entry.type === 'b' ? 'base' : 'incr')
    if (part === undefined || part === 'irregular') {
      missing.push(entry.file)
      continue
    }
    parts.push(part)
    kept.push(entry)
  }
  const path = input.manifestPath ?? join(folder, `${log}${MANIFEST_SUFFIX}`)
  const rebuilt = multiPart(input.path, folder, parts, [], input.doNotStart, path, { entries: kept })
  const left = files.filter(file => kept.every(entry => entry.file !== file))
  return { input: rebuilt, missing, left }
}

function multiPart(
  path: string,
  folder: string,
  parts: readonly Part[],
  findings: readonly Finding[],
  doNotStart: boolean,
  manifestPath: string | undefined,
  manifest: Manifest | undefined,
): Input {
  const size = parts.reduce((total, part) => total + (part.size ?? 0), 0)
  const compression = undefined
  return {
    path,
    layout: 'multi-part',
    parts,
    compression,
    size,
    folder,
    manifestPath,
    manifest,
    findings,
    doNotStart,
  }
}

/** The file of a part; undefined when it is missing. */
async function findPart(
  folder: string,
  name: string,
  role: PartRole,
): Promise<Part | 'irregular' | undefined> {
  let path = join(folder, name)
  try {
    if ((await lstat(systemPath(path))).isSymbolicLink()) {
      path = decodeName(await realpath(systemPath(path), { encoding: 'buffer' }))
      if (dirname(path) !== folder) {
        throw new JobError(
          'input.link',
          `part ${escapeName(name)} is a link that leaves its folder, to ${escapeName(path)}`,
          'a part can be read alone: give its path',
        )
      }
    }
    const stats = await stat(systemPath(path))
    return stats.isFile() ? { name, path, role, size: stats.size } : 'irregular'
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw jobError(`cannot read part ${escapeName(name)}`, error)
  }
}

/** A single log of the time before multi-part ones, in the folder above: servers adopt it in some cases. */
async function oldLog(folder: string, manifestName: string): Promise<Part | undefined> {
  if (!manifestName.endsWith(MANIFEST_SUFFIX)) return undefined
  const name = manifestName.slice(0, -MANIFEST_SUFFIX.length)
  const path = join(dirname(folder), name)
  const stats = await stat(systemPath(path)).catch(() => undefined)
  return stats?.isFile() ? { name, path, role: 'single', size: stats.size } : undefined
}

async function readManifest(path: string): Promise<Uint8Array> {
  const source = await openSource(path, { decompress: false })
  try {
    const size = source.size ?? 0
    if (size > MAX_MANIFEST) {
      throw new JobError(
        'manifest.size',
        `${escapeName(path)} begins like a manifest, but has ${size} bytes, at most ${MAX_MANIFEST} are read`,
      )
    }
    const bytes = new Uint8Array(size)
    return bytes.subarray(0, await source.readAt(bytes, 0))
  } finally {
    await source.close()
  }
}

async function statusOf(path: string): Promise<Stats> {
  try {
    return await stat(systemPath(path))
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      throw new JobError('input.missing', `${escapeName(path)}: no such file or folder`)
    }
    throw jobError(`cannot read ${escapeName(path)}`, error)
  }
}

async function realFolder(path: string): Promise<string> {
  try {
    return decodeName(await realpath(systemPath(path), { encoding: 'buffer' }))
  } catch (error) {
    throw jobError(`cannot read the folder ${escapeName(path)}`, error)
  }
}

/** The first bytes of a regular file. Synchronous: a folder may hold thousands of files to look into. */
function headOf(path: string): Uint8Array {
  let fd: number | undefined
  try {
    fd = openSync(systemPath(path), constants.O_RDONLY | constants.O_NONBLOCK)
    if (!fstatSync(fd).isFile()) return new Uint8Array(0)
    const head = new Uint8Array(HEAD)
    return head.subarray(0, readSync(fd, head, 0, HEAD, 0))
  } catch (error) {
    throw jobError(`cannot read ${escapeName(path)}`, error)
  } finally {
    if (fd !== undefined) closeSync(fd)
  }
}

function list(names: readonly string[], most = LISTED): string {
  const shown = names.slice(0, most).map(escapeName).join(', ')
  return names.length > most ? `${shown} and ${names.length - most} more` : shown
}
