import { Findings } from '../aof/finding.ts'
import { type Input, type Part, rebuildManifest } from '../aof/parts.ts'
import { FormatError, JobError } from '../bytes/errors.ts'
import type { Source } from '../bytes/source.ts'
import { magicAt } from '../rdb/format.ts'
import { LogServer } from './log-server.ts'
import { upTo } from './normalize.ts'
import { PartCheck, type PartReport } from './part-check.ts'
import {
  type PartOpener,
  type PartPlan,
  type RepairOptions,
  type RepairPlan,
  refuseEmpty,
  refuseManifest,
  refuseTwice,
  stampsOf,
} from './repair.ts'
import { AffectedKeys, planSalvage, type Salvage } from './salvage.ts'
import { planRdbSalvage, type RdbSalvage } from './salvage-rdb.ts'
import { type Verdict, worst } from './verdict.ts'
import { type VerifyReport, verifyLog } from './verify.ts'

export interface SalvageRepairOptions extends RepairOptions {
  /** Behind a gap, commands are kept from the next `SELECT` on only. */
  readonly skipUntilSelect: boolean
}

/**
 * Plans a salvage of all parts, each by itself: what is damaged in it is skipped, and what is sound on both sides stays.
 * Throws a JobError for what is refused: a damaged RDB, a result without a command or key, more than may be lost.
 */
export async function planSalvageRepair(
  given: Input,
  options: SalvageRepairOptions,
  open: PartOpener,
  progress?: (bytes: number) => void,
): Promise<RepairPlan> {
  const wrong = given.findings.find(
    ({ severity, code }) => severity === 'error' && code.startsWith('manifest.'),
  )
  if (wrong?.code === 'manifest.misnamed') refuseManifest({ findings: given.findings })
  const rebuilt = wrong === undefined ? undefined : await rebuildManifest(given)
  const input = rebuilt?.input ?? given
  const stamps = await stampsOf({ ...input, manifestPath: given.manifestPath })
  const server = new LogServer(options.as, options.allowCommands)
  const affected = new AffectedKeys()
  const parts: PartPlan[] = []
  const figures = { commands: 0, dropped: 0, spans: 0, gaps: 0, affected }
  let findings: VerifyReport['findings'] = input.findings
  let verdict: Verdict = rebuilt === undefined ? 'sound' : 'corrupt'
  let bytes = 0
  for (const part of input.parts) {
    const last = part === input.parts.at(-1)
    const before = bytes
    const told = progress && ((offset: number) => progress(before + offset))
    const rdb = (await beginsWithRdb(part, open))
      ? await verifyPart(input, part, options, open, server, told)
      : undefined
    const broken = rdb !== undefined && rdb.verdict === 'corrupt' && rdb.validUpTo === 0
    const base = broken ? await salvageRdb(part, options, open, server, affected, told) : undefined
    const from = base?.end ?? rdb?.preambleEnd ?? 0
    const { salvage, size, whole } = await salvagePart(part, from, options, open, server, told)
    const found = reportOf(
      part,
      salvage,
      size,
      rdb && { ...rdb, keys: base?.keys ?? rdb.keys, preambleEnd: from },
    )
    const spans = base === undefined ? salvage.spans : [...base.spans, ...salvage.spans]
    const judged =
      rdb?.verdict ??
      (salvage.first === 'line' ? (await verifyPart(input, part, options, open, server)).verdict : undefined)
    const of = whole ? (judged ?? verdictOf(salvage, last)) : 'corrupt'
    verdict = worst(verdict, of)
    bytes += size
    parts.push({
      part,
      report: { ...found, verdict: of },
      action: spans.length > 0 ? 'salvage' : 'keep',
      end: size,
      patches: spans,
      reason: spans[0]?.reason ?? '',
    })
    figures.commands += salvage.commands
    figures.dropped += salvage.dropped
    figures.spans += spans.length
    figures.gaps += salvage.gaps + (base?.gaps ?? 0)
    affected.addAll(salvage.affected)
  }
  const cut = parts.reduce(
    (total, { patches }) => patches.reduce((sum, { offset, end }) => sum + end - offset, total),
    0,
  )
  const changes = rebuilt !== undefined || parts.some(({ action }) => action !== 'keep')
  if (changes) refuseTwice(input)
  const keys = parts.reduce((total, { report }) => total + report.keys, 0)
  if (cut > 0 && !options.allowEmpty && figures.commands + keys === 0) {
    if (findings.length === 0) findings = (await verifyLog(input, options, undefined, open)).findings
    refuseEmpty({ findings })
  }
  if (options.maxLoss !== undefined && cut > options.maxLoss(bytes)) {
    throw new JobError(
      'repair.max-loss',
      `the salvage would skip ${cut} of ${bytes} bytes, more than --max-loss allows; nothing was changed`,
    )
  }
  const report: VerifyReport = {
    verdict,
    bytes,
    commands: figures.commands + figures.dropped,
    keys,
    parts: parts.map(plan => plan.report),
    findings,
    server: server.name,
    behindUnknown: false,
    doNotStart: input.doNotStart,
    losesPreamble: false,
  }
  return {
    input,
    report,
    parts,
    kept: bytes - cut,
    cut,
    changes,
    stamps,
    salvaged: { ...figures, keys },
    ...(rebuilt === undefined ? {} : { rebuilt }),
  }
}

async function beginsWithRdb(part: Part, open: PartOpener): Promise<boolean> {
  const source = await open(part)
  try {
    const head = new Uint8Array(MAGIC)
    // Of a pipe, what is asked for by offset must have been read.
    if (source.size === undefined) await sizeOf(source)
    const there = await source.readAt(head, 0)
    return magicAt(head, 0, there) !== undefined && there === MAGIC
  } finally {
    await source.close()
  }
}

const MAGIC = 6

async function salvagePart(
  part: Part,
  from: number,
  options: SalvageRepairOptions,
  open: PartOpener,
  server: LogServer,
  progress?: (offset: number) => void,
): Promise<{ salvage: Salvage; size: number; whole: boolean }> {
  const source = await open(part)
  try {
    const { size, whole } =
      source.size === undefined ? await sizeOf(source) : { size: source.size, whole: true }
    const salvage = await planSalvage(upTo(source, size), from, server.table, options, progress)
    return { salvage, size, whole }
  } finally {
    await source.close()
  }
}

async function salvageRdb(
  part: Part,
  options: SalvageRepairOptions,
  open: PartOpener,
  server: LogServer,
  affected: AffectedKeys,
  progress?: (offset: number) => void,
): Promise<RdbSalvage> {
  const source = await open(part)
  try {
    const size = source.size ?? (await sizeOf(source)).size
    return await planRdbSalvage(upTo(source, size), server, options.databases, affected, progress)
  } finally {
    await source.close()
  }
}

/** Reads a source of unknown size to its end, or to where what it decompresses is damaged; the bytes until there. */
async function sizeOf(source: Source): Promise<{ readonly size: number; readonly whole: boolean }> {
  const block = new Uint8Array(1 << 20)
  let size = 0
  try {
    for (let count = 1; count > 0; size += count) count = await source.read(block, 0, block.length)
    return { size, whole: true }
  } catch (error) {
    if (!(error instanceof FormatError)) throw error
    return { size, whole: false }
  }
}

/** One part as verify sees it; who wrote its RDB decides whose behaviour counts for all. */
async function verifyPart(
  input: Input,
  part: Part,
  options: SalvageRepairOptions,
  open: PartOpener,
  server: LogServer,
  progress?: (offset: number) => void,
): Promise<PartReport> {
  const source = await open(part)
  try {
    const place = { file: part.name, type: part.role, last: part === input.parts.at(-1) }
    return await new PartCheck(place, new Findings(), server, options.databases).run(source, progress)
  } finally {
    await source.close()
  }
}

function reportOf(part: Part, salvage: Salvage, size: number, rdb: PartReport | undefined): PartReport {
  const validUpTo = salvage.spans[0]?.offset ?? size
  const commands = salvage.commands + salvage.dropped
  if (rdb !== undefined) return { ...rdb, commands }
  const { name: file, role: type } = part
  return { file, type, format: 'resp', verdict: 'sound', size, validUpTo, preambleEnd: 0, commands, keys: 0 }
}

function verdictOf({ first, damaged }: Salvage, last: boolean): Verdict {
  if (first === undefined) return damaged ? 'damaged' : 'sound'
  return first === 'torn' && last ? 'torn' : 'corrupt'
}
