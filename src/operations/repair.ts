import { type Manifest, type ManifestEntry, printManifest } from '../aof/manifest.ts'
import type { Input, Part, Rebuilt } from '../aof/parts.ts'
import { scanPart } from '../aof/scan.ts'
import { JobError } from '../bytes/errors.ts'
import { escapeName } from '../bytes/escape.ts'
import { formatBytes } from '../bytes/figures.ts'
import { type FileStamp, stampOf } from '../bytes/sink.ts'
import type { Source } from '../bytes/source.ts'
import { CommandTable } from '../servers/commands.ts'
import { describeRecord } from './describe.ts'
import { findPatches, MENDED, type Patch, upTo } from './normalize.ts'
import type { PartReport } from './part-check.ts'
import type { Guess, SalvageFigures, SalvageSpan } from './salvage.ts'
import { type LogOptions, type VerifyReport, verifyLog } from './verify.ts'

/*
 * Repair, in this order:
 *
 * 1. Verify: where does each part stop being what servers load?
 * 2. Plan: which parts are kept whole, cut, dropped, or written anew in sound framing; what of it is refused. Nothing is
 *    written yet, and a dry run ends here.
 * 3. Write (repair-write.ts): what is cut and the results, into temporary files; each result is read back and verified.
 *    Then they take their names: first what was cut, then the results, a manifest last.
 */

export interface RepairOptions extends LogOptions {
  /** Parts behind the first that is cut stay in the log. */
  readonly keepLaterParts: boolean
  /** A result without a command or key is all right. */
  readonly allowEmpty: boolean
  /** What servers load although check-aof refuses it is written as it should be. */
  readonly normalize: boolean
  /** The most bytes that may be cut, of so many. */
  readonly maxLoss?: ((bytes: number) => number) | undefined
}

/** Bytes of a part that are not in the result, and where they are kept. */
export interface Span {
  readonly part: string
  readonly offset: number
  readonly end: number
  /** Name of the file that holds them, beside the result, and where in it they begin. */
  readonly file: string
  readonly fileOffset: number
  /** Code of the finding. */
  readonly reason: string
  /** Bytes that stand in the result in its place, where it was normalized and not only left out. */
  readonly replacedBy?: number
  /** What stood there, as far as it can still be read. */
  readonly guess?: Guess
}

export interface PartPlan {
  readonly part: Part
  readonly report: PartReport
  readonly action: 'keep' | 'cut' | 'normalize' | 'salvage' | 'drop'
  /** Bytes of it that the result is made of. */
  readonly end: number
  /** What is changed in them: when normalizing; when salvaging, what is skipped. */
  readonly patches: readonly SalvageSpan[]
  /** Why it is cut: the code of the finding. */
  readonly reason: string
}

export interface RepairPlan {
  readonly input: Input
  readonly report: VerifyReport
  readonly parts: readonly PartPlan[]
  /** Bytes that the result has, and that it has not. What normalizing changes is not counted. */
  readonly kept: number
  readonly cut: number
  /** Whether there is anything to do. */
  readonly changes: boolean
  /** What the files were before they were read, by path: nothing else may be replaced. */
  readonly stamps: ReadonlyMap<string, FileStamp>
  /** Of a salvage. */
  readonly salvaged?: SalvageFigures
  /** The manifest was made anew, and is to be written: the input has it. */
  readonly rebuilt?: Rebuilt
}

/** How the parts of a log are opened; standard input can be opened only once. */
export type PartOpener = (part: Part) => Promise<Source>

/**
 * Verifies a log and plans its repair. Throws a JobError for what is refused: a damaged manifest or RDB, a cut that
 * would leave nothing, or more than may be lost.
 */
export async function planRepair(
  input: Input,
  options: RepairOptions,
  open: PartOpener,
  progress?: (bytes: number) => void,
): Promise<RepairPlan> {
  const stamps = await stampsOf(input)
  const report = await verifyLog(input, options, progress, open)
  refuseManifest(report)
  const first = report.parts.findIndex(isCut)
  const parts: PartPlan[] = []
  for (const [index, found] of report.parts.entries()) {
    const dropped = first >= 0 && index > first && !options.keepLaterParts
    const part = input.parts[index]
    parts.push(
      dropped
        ? { part, report: found, action: 'drop', end: 0, patches: [], reason: 'later-part' }
        : await planPart(part, report, found, options, open),
    )
  }
  const kept = parts.reduce((total, { end }) => total + end, 0)
  const cut = report.bytes - kept
  const changes = parts.some(({ action }) => action !== 'keep')
  if (changes) refuseTwice(input)
  if (cut > 0 && !options.allowEmpty && (await isEmpty(parts, open))) refuseEmpty(report)
  if (options.maxLoss !== undefined && cut > options.maxLoss(report.bytes)) {
    throw new JobError(
      'repair.max-loss',
      `the repair would cut ${cut} of ${report.bytes} bytes, more than --max-loss allows; nothing was changed`,
    )
  }
  return { input, report, parts, kept, cut, changes, stamps }
}

async function planPart(
  part: Part,
  report: VerifyReport,
  found: PartReport,
  options: RepairOptions,
  open: PartOpener,
): Promise<PartPlan> {
  const cut = isCut(found)
  if (cut && found.verdict === 'corrupt' && found.validUpTo === 0 && found.format !== 'resp') refuseRdb(found)
  let patches: Patch[] = []
  if (options.normalize && found.verdict !== 'sound') {
    const source = await open(part)
    try {
      const table = new CommandTable(report.server, options.allowCommands)
      patches = await findPatches(source, found.validUpTo, table, options.databases)
    } finally {
      await source.close()
    }
  }
  const action = cut ? 'cut' : patches.length > 0 ? 'normalize' : 'keep'
  return { part, report: found, action, end: found.validUpTo, patches, reason: reasonFor(report, found) }
}

export async function stampsOf({ parts, manifestPath }: Input): Promise<Map<string, FileStamp>> {
  const files = parts.filter(({ size }) => size !== undefined).map(({ path }) => path)
  const stamps = new Map<string, FileStamp>()
  for (const path of manifestPath === undefined ? files : [...files, manifestPath]) {
    stamps.set(path, await stampOf(path))
  }
  return stamps
}

function isCut(part: PartReport): boolean {
  return part.validUpTo < part.size
}

/** Whether nothing is left that a server would load: no key, and no command. */
async function isEmpty(parts: readonly PartPlan[], open: PartOpener): Promise<boolean> {
  for (const { part, action, end, report } of parts) {
    if (action === 'drop') continue
    if (report.keys > 0) return false
    if (end > report.preambleEnd && (await holdsCommand(part, end, open))) return false
  }
  return true
}

/** Whether the first `end` bytes of a part are more than annotations. */
async function holdsCommand(part: Part, end: number, open: PartOpener): Promise<boolean> {
  const source = await open(part)
  let found = false
  try {
    await scanPart(
      upTo(source, end),
      {
        rdb() {},
        records(batch) {
          for (let i = 0; i < batch.count && !found; i++) found = batch.argc(i) > 0
        },
        long() {
          found = true
        },
        progress: () => found,
      },
      { databases: Number.POSITIVE_INFINITY },
    )
    return found
  } finally {
    await source.close()
  }
}

/** The code of what a part is cut for; empty when it is not. */
function reasonFor({ findings }: VerifyReport, { file, size, validUpTo }: PartReport): string {
  if (validUpTo === size) return ''
  const finding = findings.find(
    ({ severity, part, offset, code }) =>
      severity === 'error' && part === file && (offset ?? 0) >= validUpTo && !MENDED.has(code),
  )
  return finding?.code ?? ''
}

export function refuseManifest({ findings }: Pick<VerifyReport, 'findings'>): void {
  const finding = findings.find(({ severity, code }) => severity === 'error' && code.startsWith('manifest.'))
  if (finding === undefined) return
  const where = finding.part === undefined ? '' : `${escapeName(finding.part)}: `
  throw new JobError(
    'repair.manifest',
    `repair cuts parts; it cannot mend what the manifest says or lacks: ${where}${finding.message}`,
    '--salvage makes a manifest from the parts that are there; a part can be repaired alone: give its path',
  )
}

/** A file that is listed twice is two parts, and cannot become two different ones. */
export function refuseTwice({ parts }: Input): void {
  const names = new Set<string>()
  for (const { name } of parts) {
    if (names.has(name)) {
      throw new JobError(
        'repair.manifest',
        `${escapeName(name)} is listed twice in the manifest: what is cut from it would be missing in both places`,
        'take one of its lines out of the manifest first',
      )
    }
    names.add(name)
  }
}

function refuseRdb(part: PartReport): never {
  throw new JobError(
    'repair.rdb',
    `${escapeName(part.file)} is an RDB that servers do not load; cutting it would leave nothing of it, so it is left as it is`,
    'verify says what is wrong with it; --salvage keeps the entries that can be read',
  )
}

export function refuseEmpty({ findings }: Pick<VerifyReport, 'findings'>): never {
  const finding = findings.find(({ severity }) => severity === 'error')
  throw new JobError(
    'repair.empty',
    `the cut would leave no command and no key, so nothing was changed. ${finding?.message ?? ''}`.trim(),
    '--allow-empty does it all the same',
  )
}

/** The name of the file that keeps what is cut from a part, from `offset` on. */
export function cutName(part: string, offset: number): string {
  const name = part === '-' ? 'stdin' : part
  return `${name}.cut-${offset}`
}

/** The name of a part that leaves the log as a whole. */
export function droppedName(part: string): string {
  return `${part}.dropped`
}

/** What a plan takes out of the log, by part. */
export function plannedSpans({ parts }: RepairPlan): Span[] {
  return parts.flatMap(spansOf)
}

/** What is taken out of one part: all of it in one file, one after the other. */
export function spansOf({ part, report, action, end, reason, patches }: PartPlan): Span[] {
  if (action === 'drop') {
    return [
      { part: part.name, offset: 0, end: report.size, file: droppedName(part.name), fileOffset: 0, reason },
    ]
  }
  const file = cutName(part.name, patches[0]?.offset ?? end)
  let fileOffset = 0
  const spans: Span[] = []
  for (const { offset, end, reason, by, guess } of patches) {
    const replaced = by.length === 0 ? {} : { replacedBy: by.length }
    const guessed = guess === undefined ? {} : { guess }
    spans.push({ part: part.name, offset, end, file, fileOffset, reason, ...replaced, ...guessed })
    fileOffset += end - offset
  }
  if (action === 'cut')
    spans.push({ part: part.name, offset: end, end: report.size, file, fileOffset, reason })
  return spans
}

/** Commands of what is cut that a preview shows, and the bytes that are looked at for them. */
const SHOWN = 5
const LOOK = 1 << 16

/** The first commands of what is cut from a part, for people; the first may be broken. */
export async function firstCut(source: Source, { end, report }: PartPlan, behind: number): Promise<string[]> {
  if (!source.seekable) return []
  const shown: string[] = []
  let from = end
  while (shown.length < SHOWN && from < report.size) {
    const bytes = new Uint8Array(Math.min(LOOK, report.size - from))
    const record = describeRecord(bytes.subarray(0, await source.readAt(bytes, from)))
    if (record === undefined || record.end === undefined) {
      if (record !== undefined)
        shown.push(`${from}: ${record.text} (${record.whole} of ${record.promised} arguments)`)
      if (behind <= from) break
      from = behind
      continue
    }
    shown.push(`${from}: ${record.text}`)
    from += record.end
  }
  return shown
}

/** The manifest of a result that is written to a new place: history and what is dropped are not in it. */
export function manifestFor({ input, parts }: RepairPlan): Uint8Array {
  const gone = new Set(parts.filter(({ action }) => action === 'drop').map(({ part }) => part.name))
  return printManifest({
    entries: entriesOf(input).filter(({ file, type }) => type !== 'h' && !gone.has(file)),
  })
}

/** The manifest of a folder in which one part was replaced by another file, and the later ones were dropped. */
export function manifestWith({ input, parts }: RepairPlan, part: string, by: ManifestEntry): Uint8Array {
  const gone = new Set(parts.filter(({ action }) => action === 'drop').map(({ part }) => part.name))
  const entries = entriesOf(input)
    .filter(({ file }) => !gone.has(file))
    .map(entry => (entry.file === part && entry.type !== 'h' ? by : entry))
  return printManifest({ entries })
}

function entriesOf({ manifest }: Input): Manifest['entries'] {
  if (manifest === undefined) throw new Error('a multi-part log without a manifest is refused before')
  return manifest.entries
}

/**
 * Names for what is left of a part, each with a file that no part has yet: that of the next one in its sequence, as a
 * server would call it, then those behind that. A file under a new name can be complete before the manifest knows of it.
 */
export function* successorsOf(input: Input, part: Part): Generator<ManifestEntry, never> {
  const entries = entriesOf(input)
  const own = entries.find(({ file, type }) => file === part.name && type !== 'h')
  if (own === undefined) throw new Error(`${part.name} is not in the manifest`)
  const [highest] = entries
    .filter(({ type }) => type === own.type)
    .map(({ seq }) => seq)
    .sort((a, b) => (a < b ? 1 : -1))
  const match = /^(.*)\.\d+\.((?:base|incr)\.(?:rdb|aof))$/s.exec(part.name)
  for (let seq = highest + 1n; ; seq++) {
    const name = match === null ? `${part.name}.${seq}` : `${match[1]}.${seq}.${match[2]}`
    // A server would delete what is also listed as history.
    if (entries.every(({ file }) => file !== name)) yield { ...own, file: name, seq }
  }
}

/** `1,234 bytes (1.2 KB)`, for texts that must be exact and readable. */
export function exactBytes(bytes: number): string {
  return bytes < 1024 ? formatBytes(bytes) : `${bytes} bytes (${formatBytes(bytes)})`
}
