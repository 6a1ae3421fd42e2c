import { openPart, resolveInput } from '../../aof/parts.ts'
import { Beginning } from '../../bytes/beginning.ts'
import { escapeName, quoteForShell } from '../../bytes/escape.ts'
import { formatBytes, formatCount, plural } from '../../bytes/figures.ts'
import type { KeptSource } from '../../bytes/source.ts'
import type { ReplayCheck } from '../../operations/replay-check.ts'
import { type VerifyReport, verifyLog } from '../../operations/verify.ts'
import { defineCommand, type Given } from '../define.ts'
import { Exit } from '../exit.ts'
import type { Io } from '../io.ts'
import {
  duration,
  flag,
  lastGiven,
  logOptions,
  outputOptions,
  range,
  readReplayOptions,
  replayOptions,
  sizeOrShare,
  usage,
  word,
} from '../options.ts'
import { renderFindings, renderVerdict } from '../render/findings.ts'
import { jsonName, toJson } from '../render/json.ts'
import { keyspaceJson, keyspaceText } from '../render/keyspace.ts'
import { startProgress } from '../render/progress.ts'
import { renderTable } from '../render/table.ts'
import { repeated } from '../repeated.ts'

export const verify = defineCommand({
  command: 'verify <path>',
  describe: 'Read every byte and say what servers would do with it; never writes',
  epilogue: `Verdicts: sound; damaged (servers load it, check-aof refuses it); torn (the end is cut off: servers start with what is before, if aof-load-truncated is yes); corrupt (servers do not start).
--replay builds the keyspace of what servers load as well, tells of commands that they refuse meanwhile, and how many keys there are; the --expect options do so, too, and each is a finding when it is missed.
Exit status: 0 sound (also torn, with --load-truncated), 1 anything else, a missed expectation too, 2 the job could not be done.`,
  examples: [
    ['aofkit verify /var/lib/redis', 'the log of a data folder'],
    ['zstd -dc backup.aof.zst | aofkit verify -', 'a stream; `aofkit verify backup.aof.zst` does it too'],
    ['aofkit verify --json --load-truncated --max-loss 1mb PATH', 'for a script that starts a server'],
  ],
  options: {
    'load-truncated': flag('A torn end is fine, as for a server with aof-load-truncated yes (exit 0)'),
    'max-loss': word('With --load-truncated: not when more than SIZE or PERCENT would be lost'),
    strict: flag('Warnings are damage too (exit 1)'),
    replay: flag('Apply every command to a keyspace in memory'),
    'expect-keys': word('How many keys there must be: MIN or MIN..MAX'),
    'expect-digest': word('What DEBUG DIGEST must print: 40 hex digits'),
    'expect-newer-than': word(
      'How old the last that was written may be, by the last #TS:, else the time of the RDB: 90s, 36h, 7d',
    ),
    'ignore-opaque': flag('Leave keys of modules out of the digest'),
    ...logOptions,
    ...replayOptions,
    ...outputOptions,
  },
  async run(args, io) {
    const maxLoss = sizeOrShare('max-loss', args['max-loss'])
    const options = readReplayOptions(args)
    const expectations = {
      keys: range('expect-keys', args['expect-keys']),
      digest: digestOption('expect-digest', args['expect-digest']),
      newerThan: duration('expect-newer-than', args['expect-newer-than']),
    }
    const replays = args.replay === true || Object.values(expectations).some(value => value !== undefined)
    const now = options.asOf ?? Date.now() / 1000
    const input = await resolveInput(args.path)
    const bar = startProgress(io, args.progress, input.size)
    // What can be read only once is kept, to be read again.
    const kept =
      replays && input.size === undefined
        ? ((await openPart(input.parts[0], { again: true })) as KeptSource)
        : undefined
    const open = kept && (async () => new Beginning(kept, Number.POSITIVE_INFINITY))
    let report: VerifyReport
    let replayed: ReplayCheck | undefined
    try {
      report = await verifyLog(input, options, done => bar.update(done), open)
      if (replays) {
        const checked = {
          ...options,
          ignoreOpaque: args['ignore-opaque'] === true,
          ...(open ? { open } : {}),
        }
        // Loaded for those who ask for it: without it verify starts sooner.
        const { checkReplay } = await import('../../operations/replay-check.ts')
        bar.again('replaying')
        replayed = await checkReplay(input, report, checked, expectations, now, done => bar.update(done))
        report = { ...report, findings: [...report.findings, ...replayed.findings] }
      }
    } finally {
      bar.stop()
      await kept?.close()
    }
    const missed = replayed?.findings.some(({ severity }) => severity === 'error') === true
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
    const sound = (report.verdict === 'sound' || accepted) && !warned && !missed
    const remarks: string[] = []
    if (accepted) remarks.push('A torn end is accepted (--load-truncated).')
    if (tooMuch && args['load-truncated'] === true) remarks.push('More would be lost than --max-loss allows.')
    if (warned) remarks.push('Warnings count (--strict).')
    if (missed) remarks.push('It is not what is expected.')
    if (args.json === true) io.out(toJson(jsonReport(report, replayed)))
    else io.out(textReport(args.path, report, replayed, remarks, repeated(args, REPEATED), io))
    return sound ? Exit.Ok : Exit.Damaged
  },
})

/** Forty hex digits, in small letters. */
function digestOption(option: string, value: Given): string | undefined {
  const text = lastGiven(value)?.toLowerCase()
  if (text !== undefined && !/^[0-9a-f]{40}$/.test(text)) throw usage(`--${option} takes 40 hex digits`)
  return text
}

/** Options that the command to run next must have too. */
const REPEATED = ['as', 'databases', 'allow-commands'] as const

/** Bytes that repair keeps: of the parts up to the first that is cut. */
function keptByCut({ parts }: VerifyReport): number {
  const first = parts.findIndex(({ validUpTo, size }) => validUpTo < size)
  const kept = first < 0 ? parts : parts.slice(0, first + 1)
  return kept.reduce((total, part) => total + part.validUpTo, 0)
}

function jsonReport(report: VerifyReport, replayed: ReplayCheck | undefined): unknown {
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
    ...(replayed === undefined
      ? {}
      : {
          replay: {
            ...keyspaceJson(replayed.summary, replayed),
            ...(replayed.digest === undefined ? {} : { digest: replayed.digest }),
            ...(replayed.writtenAt === undefined ? {} : { writtenAt: replayed.writtenAt }),
          },
        }),
  }
}

function textReport(
  path: string,
  report: VerifyReport,
  replayed: ReplayCheck | undefined,
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
  if (replayed !== undefined) blocks.push(keyspaceText(replayed.summary, replayed, style))
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
  const salvage =
    path === '-'
      ? `aofkit repair -${options} --salvage --output FILE, with the same input`
      : `aofkit repair ${quoted} --salvage --dry-run`
  if (hasError(report, 'rdb.')) {
    if (report.keys === 0) return undefined
    return report.verdict === 'corrupt'
      ? salvage
      : `aofkit print ${quoted} lists the keys that can still be read`
  }
  if (hasError(report, 'manifest.')) {
    return hasError(report, 'manifest.misnamed') ? `correct that, then aofkit verify ${quoted}` : salvage
  }
  if (report.verdict === 'damaged') return `aofkit repair ${quoted} --normalize --dry-run`
  if (report.behind !== undefined) return salvage
  // Nothing before the damage: a cut is no help.
  if (keptByCut(report) === 0) return undefined
  if (path === '-') return `aofkit repair -${options} --output FILE, with the same input`
  return `aofkit repair ${quoted} --dry-run`
}

function hasError({ findings }: VerifyReport, code: string): boolean {
  return findings.some(finding => finding.severity === 'error' && finding.code.startsWith(code))
}
