import { resolveInput } from '../../aof/parts.ts'
import { escapeName, quoteForShell } from '../../bytes/escape.ts'
import { formatBytes, formatCount, plural } from '../../bytes/figures.ts'
import { type VerifyReport, verifyLog } from '../../operations/verify.ts'
import { defineCommand } from '../define.ts'
import { Exit } from '../exit.ts'
import type { Io } from '../io.ts'
import { flag, logOptions, outputOptions, readLogOptions, sizeOrShare, word } from '../options.ts'
import { renderFindings, renderVerdict } from '../render/findings.ts'
import { jsonName, toJson } from '../render/json.ts'
import { startProgress } from '../render/progress.ts'
import { renderTable } from '../render/table.ts'
import { repeated } from '../repeated.ts'

export const verify = defineCommand({
  command: 'verify <path>',
  describe: 'Read every byte and say what servers would do with it; never writes',
  epilogue: `Verdicts: sound; damaged (servers load it, check-aof refuses it); torn (the end is cut off: servers start with what is before, if aof-load-truncated is yes); corrupt (servers do not start).
Exit status: 0 sound (also torn, with --load-truncated), 1 anything else, 2 the job could not be done.`,
  examples: [
    ['aofkit verify /var/lib/redis', 'the log of a data folder'],
    ['zstd -dc backup.aof.zst | aofkit verify -', 'a stream; `aofkit verify backup.aof.zst` does it too'],
    ['aofkit verify --json --load-truncated --max-loss 1mb PATH', 'for a script that starts a server'],
  ],
  options: {
    'load-truncated': flag('A torn end is fine, as for a server with aof-load-truncated yes (exit 0)'),
    'max-loss': word('With --load-truncated: not when more than SIZE or PERCENT would be lost'),
    strict: flag('Warnings are damage too (exit 1)'),
    ...logOptions,
    ...outputOptions,
  },
  async run(args, io) {
    const maxLoss = sizeOrShare('max-loss', args['max-loss'])
    const options = readLogOptions(args)
    const input = await resolveInput(args.path)
    const bar = startProgress(io, args.progress, input.size)
    const report = await verifyLog(input, options, done => bar.update(done)).finally(() => bar.stop())
    const lost = report.bytes - keptByCut(report)
    const tooMuch = maxLoss !== undefined && lost > maxLoss(report.bytes)
    const accepted =
      args['load-truncated'] === true &&
      report.verdict === 'torn' &&
      report.behind === undefined &&
      !report.behindUnknown &&
      !report.losesPreamble &&
      !tooMuch
    const warned = args.strict === true && report.findings.some(({ severity }) => severity === 'warning')
    const sound = (report.verdict === 'sound' || accepted) && !warned
    const remarks: string[] = []
    if (accepted) remarks.push('A torn end is accepted (--load-truncated).')
    if (tooMuch && args['load-truncated'] === true) remarks.push('More would be lost than --max-loss allows.')
    if (warned) remarks.push('Warnings count (--strict).')
    if (args.json === true) io.out(toJson(jsonReport(report)))
    else io.out(textReport(args.path, report, remarks, repeated(args, REPEATED), io))
    return sound ? Exit.Ok : Exit.Damaged
  },
})

/** Options that the command to run next must have too. */
const REPEATED = ['as', 'databases', 'allow-commands'] as const

/** Bytes that repair keeps: of the parts up to the first that is cut. */
function keptByCut({ parts }: VerifyReport): number {
  const first = parts.findIndex(({ validUpTo, size }) => validUpTo < size)
  const kept = first < 0 ? parts : parts.slice(0, first + 1)
  return kept.reduce((total, part) => total + part.validUpTo, 0)
}

function jsonReport(report: VerifyReport): unknown {
  const { verdict, bytes, commands, keys, parts, findings, server, behind, doNotStart } = report
  return {
    verdict,
    bytes,
    commands,
    keys,
    parts: parts.map(part => ({ ...part, file: jsonName(part.file) })),
    findings: findings.map(finding => ({
      ...finding,
      ...(finding.part === undefined ? {} : { part: jsonName(finding.part) }),
    })),
    server,
    ...(behind === undefined ? {} : { behind: { ...behind, part: jsonName(behind.part) } }),
    doNotStart,
  }
}

function textReport(
  path: string,
  report: VerifyReport,
  remarks: readonly string[],
  options: string,
  io: Io,
): string {
  const { style } = io
  const blocks: string[] = []
  if (report.parts.length > 0) {
    blocks.push(
      renderTable(
        [
          { title: style.dim('part') },
          { title: style.dim('type') },
          { title: style.dim('format') },
          { title: style.dim('size'), right: true },
          { title: style.dim('commands'), right: true },
          { title: style.dim('keys'), right: true },
          { title: style.dim('verdict') },
        ],
        report.parts.map(part => [
          escapeName(part.file),
          part.type,
          part.format,
          formatBytes(part.size),
          formatCount(part.commands),
          formatCount(part.keys),
          renderVerdict(part.verdict, style),
        ]),
      ),
    )
  }
  if (report.findings.length > 0) blocks.push(renderFindings(report.findings, style))
  const summary = [
    `${style.bold(renderVerdict(report.verdict, style))}: ${meaning(report)}`,
    `${plural(report.commands, 'command')}, ${plural(report.keys, 'key')} in RDB parts, ${formatBytes(report.bytes)}, judged as ${report.server} would.`,
  ]
  const cut = cutFigures(report)
  if (cut !== undefined) summary.push(cut)
  summary.push(...remarks)
  const next = nextStep(path, report, options)
  if (next !== undefined) summary.push(`Next: ${style.bold(next)}`)
  if (report.doNotStart) summary.push(style.red.bold('Do not start a server on it before that is done.'))
  blocks.push(`${summary.join('\n')}\n`)
  return blocks.join('\n')
}

/** What a cut would keep and lose, where one is possible. */
function cutFigures(report: VerifyReport): string | undefined {
  if (report.verdict !== 'torn' && report.verdict !== 'corrupt') return undefined
  if (hasError(report, 'rdb.') || hasError(report, 'manifest.')) return undefined
  const kept = keptByCut(report)
  const first = report.parts.findIndex(({ validUpTo, size }) => validUpTo < size)
  const later = report.parts.length - 1 - first
  const parts = first >= 0 && later > 0 ? ` and leave out ${plural(later, 'part')} behind it` : ''
  const behind =
    report.behind === undefined ? '' : `, with ${plural(report.behind.commands, 'whole command')} in it`
  return `A cut would keep ${formatBytes(kept)} and lose ${formatBytes(report.bytes - kept)}${behind}${parts}.`
}

function meaning(report: VerifyReport): string {
  if (report.findings.some(({ code }) => NOT_FOUND.has(code))) {
    return 'servers do not find it: they start without what it holds.'
  }
  switch (report.verdict) {
    case 'sound':
      return 'servers start on it, and load all of it.'
    case 'damaged':
      return 'servers start on it and load all of it, but check-aof or a newer server refuses it.'
    case 'torn':
      return report.findings.some(({ code }) => code === 'resp.annotation.torn')
        ? 'servers start on it and load all of it, but not again once they have written to it.'
        : 'with aof-load-truncated yes (the default) servers start, without its end; with no they do not.'
    case 'corrupt':
      return 'servers do not start on it.'
  }
}

/** Findings about a log that is there, but that a server passes by. */
const NOT_FOUND: ReadonlySet<string> = new Set(['manifest.missing', 'manifest.misnamed', 'manifest.no-parts'])

function nextStep(path: string, report: VerifyReport, options: string): string | undefined {
  const quoted = `${quoteForShell(path)}${options}`
  if (report.verdict === 'sound') return undefined
  if (hasError(report, 'rdb.')) {
    return report.keys > 0 ? `aofkit print ${quoted} lists the keys that can still be read` : undefined
  }
  if (hasError(report, 'manifest.')) return `correct that, then aofkit verify ${quoted}`
  if (report.verdict === 'damaged') return `aofkit repair ${quoted} --normalize --dry-run`
  // Nothing before the damage: a cut is no help.
  if (keptByCut(report) === 0) return undefined
  if (path === '-') return `aofkit repair -${options} --output FILE, with the same input`
  return `aofkit repair ${quoted} --dry-run`
}

function hasError({ findings }: VerifyReport, code: string): boolean {
  return findings.some(finding => finding.severity === 'error' && finding.code.startsWith(code))
}
