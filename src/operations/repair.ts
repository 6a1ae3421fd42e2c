import { type Manifest, type ManifestEntry, printManifest } from '../aof/manifest.ts'
import type { Input, Part } from '../aof/parts.ts'
import { JobError } from '../bytes/errors.ts'
import { escapeName } from '../bytes/escape.ts'
import { formatBytes } from '../bytes/figures.ts'
import type { Source } from '../bytes/source.ts'
import { describeRecord } from './describe.ts'
import type { PartReport } from './part-check.ts'
import { type LogOptions, type VerifyReport, verifyLog } from './verify.ts'

/*
 * Repair, in this order:
 *
 * 1. Verify: where does each part stop being what servers load?
 * 2. Plan: which parts are kept whole, cut, dropped, or written anew in sound framing; what of it is refused. Nothing is
 *    written yet, and a dry run ends here.
 * 3. Write (repair-write.ts): what is cut goes into files of its own first, then the results, each read back and
 *    verified before it takes a name; a manifest last.
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
}

export interface PartPlan {
  readonly part: Part
  readonly report: PartReport
  readonly action: 'keep' | 'cut' | 'normalize' | 'drop'
  /** Bytes of it that the result is made of. */
  readonly end: number
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
  const report = await verifyLog(input, options, progress, open)
  refuseManifest(report)
  const first = report.parts.findIndex(isCut)
  const parts = report.parts.map((part, index): PartPlan => {
    const base = { part: input.parts[index], report: part, reason: reasonFor(report, part) }
    if (first >= 0 && index > first && !options.keepLaterParts) {
      return { ...base, action: 'drop', end: 0, reason: 'later-part' }
    }
    if (isCut(part)) {
      if (part.verdict === 'corrupt' && part.validUpTo === 0 && part.format !== 'resp') refuseRdb(part)
      return { ...base, action: 'cut', end: part.validUpTo }
    }
    if (options.normalize && part.verdict === 'damaged')
      return { ...base, action: 'normalize', end: part.size }
    return { ...base, action: 'keep', end: part.size }
  })
  const kept = parts.reduce((total, { end }) => total + end, 0)
  const cut = report.bytes - kept
  if (cut > 0 && !options.allowEmpty && parts.every(isEmpty)) refuseEmpty(report)
  if (options.maxLoss !== undefined && cut > options.maxLoss(report.bytes)) {
    throw new JobError(
      'repair.max-loss',
      `the repair would cut ${cut} of ${report.bytes} bytes, more than --max-loss allows; nothing was changed`,
    )
  }
  return { input, report, parts, kept, cut, changes: parts.some(({ action }) => action !== 'keep') }
}

function isCut(part: PartReport): boolean {
  return part.validUpTo < part.size
}

/** Nothing of it is left that a server would load. */
function isEmpty({ action, end, report }: PartPlan): boolean {
  if (action === 'drop') return true
  return end <= report.preambleEnd && report.keys === 0
}

function reasonFor(report: VerifyReport, part: PartReport): string {
  const finding = report.findings.find(
    ({ severity, part: file }) => severity === 'error' && file === part.file,
  )
  return finding?.code ?? ''
}

function refuseManifest({ findings }: VerifyReport): void {
  const finding = findings.find(({ severity, code }) => severity === 'error' && code.startsWith('manifest.'))
  if (finding === undefined) return
  const where = finding.part === undefined ? '' : `${escapeName(finding.part)}: `
  throw new JobError(
    'repair.manifest',
    `repair cuts parts; it cannot mend what the manifest says or lacks: ${where}${finding.message}`,
    'a part can be repaired alone: give its path',
  )
}

function refuseRdb(part: PartReport): never {
  throw new JobError(
    'repair.rdb',
    `${escapeName(part.file)} is an RDB that servers do not load; cutting it would leave nothing of it, so it is left as it is`,
    'verify says what is wrong with it',
  )
}

function refuseEmpty({ findings }: VerifyReport): never {
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

/** What a plan cuts, by part. Normalizing finds its spans as it writes. */
export function plannedSpans({ parts }: RepairPlan): Span[] {
  return parts.flatMap(({ part, report, action, end, reason }): Span[] => {
    if (action === 'drop') {
      const file = droppedName(part.name)
      return [{ part: part.name, offset: 0, end: report.size, file, fileOffset: 0, reason }]
    }
    if (action !== 'cut') return []
    return [
      {
        part: part.name,
        offset: end,
        end: report.size,
        file: cutName(part.name, end),
        fileOffset: 0,
        reason,
      },
    ]
  })
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
 * A name that no part has yet, for what is left of a part: that of the next one in its sequence, as a server would
 * call it. A file under a new name can be complete before the manifest knows of it.
 */
export function successorOf(input: Input, part: Part): ManifestEntry {
  const entries = entriesOf(input)
  const own = entries.find(({ file, type }) => file === part.name && type !== 'h')
  if (own === undefined) throw new Error(`${part.name} is not in the manifest`)
  const [highest] = entries
    .filter(({ type }) => type === own.type || (type === 'h' && own.type === 'b'))
    .map(({ seq }) => seq)
    .sort((a, b) => (a < b ? 1 : -1))
  const match = /^(.*)\.\d+\.((?:base|incr)\.(?:rdb|aof))$/s.exec(part.name)
  const seq = highest + 1n
  const file = match === null ? `${part.name}.${seq}` : `${match[1]}.${seq}.${match[2]}`
  return { ...own, file, seq }
}

/** `1,234 bytes (1.2 KB)`, for texts that must be exact and readable. */
export function exactBytes(bytes: number): string {
  return bytes < 1024 ? formatBytes(bytes) : `${bytes} bytes (${formatBytes(bytes)})`
}
