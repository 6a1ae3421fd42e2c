import { type Input, resolveInput } from '../../aof/parts.ts'
import { escapeBytes, escapeName, quoteForShell } from '../../bytes/escape.ts'
import { formatBytes, formatCount, plural } from '../../bytes/figures.ts'
import { type CompactOptions, type CompactReport, compactLog } from '../../operations/compact.ts'
import type { Layout } from '../../operations/compact-files.ts'
import { type Growth, growthOf } from '../../operations/growth.ts'
import { exactBytes } from '../../operations/repair.ts'
import { TARGET_NAMES } from '../../rdb/targets.ts'
import { defineCommand } from '../define.ts'
import { Exit } from '../exit.ts'
import type { Io } from '../io.ts'
import {
  choice,
  flag,
  lastGiven,
  logOptions,
  negatedFlag,
  outputOptions,
  readReplayOptions,
  replayOptions,
  size,
  usage,
  wholeNumber,
  word,
} from '../options.ts'
import { jsonBytes, jsonName, toJson } from '../render/json.ts'
import { startProgress } from '../render/progress.ts'
import { renderTable } from '../render/table.ts'

const LAYOUTS: readonly Layout[] = ['single', 'multi-part']

export const compact = defineCommand({
  command: 'compact <path>',
  describe:
    'Rewrite a log to the smallest one with the same keyspace, as BGREWRITEAOF does, without a server',
  epilogue: `The result is read back and compared with the keyspace before it takes the place of anything. Keys that have expired stay, as in servers' rewrites; what commands of modules made is kept as it stands in the log.
A log to which a server writes can be compacted to --output: what was appended meanwhile is carried over.
--target: ${TARGET_NAMES.join(', ')}. common loads on all of them.
Exit status: 0 done, or nothing to do with --if-growth; 2 refused or not possible: everything is as it was then.`,
  examples: [
    ['aofkit compact PATH --output compacted', 'the source stays as it is'],
    ['aofkit compact /var/lib/redis --in-place', 'what is replaced is kept as NAME.old'],
    ['aofkit compact PATH --in-place --if-growth 100 --min-size 64mb', 'only when a server would'],
  ],
  options: {
    output: word('Write the result here: a file, or for a multi-part log a folder'),
    'in-place': flag('Replace the log, and keep what is replaced as NAME.old'),
    layout: word(`${LAYOUTS.join(' or ')}; default: that of the input`),
    preamble: negatedFlag('Commands only, as with aof-use-rdb-preamble no'),
    compress: negatedFlag('Do not compress strings, as with rdbcompression no'),
    target: word('Which server shall load it; default: the one that wrote the RDB part, else common'),
    'if-growth': word('Do nothing unless it is PERCENT larger than its base (auto-aof-rewrite-percentage)'),
    'min-size': word('Do nothing unless it is larger than SIZE (auto-aof-rewrite-min-size)'),
    'drop-expired': flag('Leave keys out that have expired by --as-of or the last #TS:'),
    verify: negatedFlag('Do not read the result back'),
    backup: negatedFlag('Do not keep what is replaced in place'),
    force: flag('Replace an existing result; compact in place although a process writes to the log'),
    'load-truncated': flag('A torn end is left out, as by a server with aof-load-truncated yes'),
    ...logOptions,
    ...replayOptions,
    ...outputOptions,
  },
  async run(args, io) {
    const output = lastGiven(args.output)
    const inPlace = args['in-place'] === true
    if ((output !== undefined) === inPlace) throw usage('compact takes one of --output DEST and --in-place')
    const percent = wholeNumber('if-growth', args['if-growth'])
    const minSize = size('min-size', args['min-size'])
    const options: CompactOptions = {
      ...readReplayOptions(args),
      layout: choice('layout', args.layout, LAYOUTS),
      preamble: args.preamble !== false,
      compress: args.compress !== false,
      target: choice('target', args.target, TARGET_NAMES),
      dropExpired: args['drop-expired'] === true,
      verify: args.verify !== false,
      loadTruncated: args['load-truncated'] === true,
    }
    const input = await resolveInput(args.path)
    if (inPlace) refuseInPlace(input)
    if (percent !== undefined || minSize !== undefined) {
      const growth = await growthOf(input, { percent: percent ?? 0, minSize: minSize ?? 0 })
      if (growth !== undefined && !growth.due) {
        const why = notDue(growth, percent ?? 0, minSize ?? 0)
        io.out(args.json === true ? toJson(untouched(growth, why)) : `nothing to do: ${why}\n`)
        return Exit.Ok
      }
    }
    const started = performance.now()
    const bar = startProgress(io, args.progress, input.size)
    try {
      const place = { output, force: args.force === true, backup: args.backup !== false }
      const report = await compactLog(input, options, place, done => bar.update(done))
      bar.stop()
      for (const warning of warningsOf(report)) io.err(`aofkit: warning: ${warning}\n`)
      const seconds = (performance.now() - started) / 1000
      io.out(args.json === true ? toJson(jsonReport(report, seconds)) : textReport(report, seconds, io))
      return Exit.Ok
    } finally {
      bar.stop()
    }
  },
})

function refuseInPlace(input: Input): void {
  if (input.compression !== undefined) {
    throw usage(
      `${escapeName(input.path)} is compressed (${input.compression}): --output FILE, which will not be`,
    )
  }
  if (input.layout === 'single' && (input.size === undefined || input.path === '-')) {
    throw usage(
      `${input.path === '-' ? 'standard input' : escapeName(input.path)} cannot be compacted in place: --output FILE`,
    )
  }
}

function notDue({ bytes, base, percent }: Growth, wanted: number, minSize: number): string {
  if (bytes <= minSize) return `${exactBytes(bytes)} is not more than --min-size ${formatBytes(minSize)}`
  return `${percent} % larger than its base of ${formatBytes(base)}, and --if-growth is ${wanted} %`
}

function untouched({ bytes, base, percent }: Growth, reason: string) {
  return { compacted: false, reason, bytes, baseBytes: base, growthPercent: percent }
}

function warningsOf({ warnings, findings, raised, target }: CompactReport): string[] {
  const found = [...warnings]
  if (raised !== undefined) found.push(`written for ${target}: ${raised.reason}`)
  for (const { first, count } of findings) {
    if (!first.code.startsWith('replay.')) continue
    const more = count > 1 ? `, the first of ${formatCount(count)}` : ''
    const at = first.part === undefined ? '' : `${escapeName(first.part)}:${first.offset}: `
    found.push(`${at}${first.message} (${first.code}${more})`)
  }
  return found
}

function jsonReport(report: CompactReport, seconds: number) {
  const { before, after, layout, target, raised, verified, carried, expired, output, backups, superseded } =
    report
  return {
    before,
    after,
    layout,
    target,
    ...(raised === undefined ? {} : { raisedFrom: raised.from }),
    verified,
    ...(expired === 0 ? {} : { expired }),
    ...(carried === undefined ? {} : { carriedOver: { ...carried, part: jsonName(carried.part) } }),
    output: jsonName(output),
    ...(backups.length === 0 ? {} : { backups: backups.map(jsonName) }),
    superseded: superseded.map(({ prefix, before, after }) => ({
      prefix: prefix === undefined ? null : jsonBytes(prefix),
      before,
      after,
    })),
    seconds: Math.round(seconds * 1000) / 1000,
  }
}

function textReport(report: CompactReport, seconds: number, io: Io): string {
  const { before, after, layout, target, verified, carried, expired, output, backups, superseded } = report
  const { style } = io
  const ratio = after.bytes === 0 ? '' : `, ${share(after.bytes, before.bytes)} of it`
  const lines = [
    `${style.green('done')}: ${escapeName(output)} (${layout}, for ${target}${verified ? ', read back and compared' : style.yellow(', not verified')})`,
    `  before  ${formatBytes(before.bytes)}, ${plural(before.commands, 'command')}, ${plural(before.keys, 'key')}`,
    `  after   ${formatBytes(after.bytes)}${ratio}, ${plural(after.commands, 'command')}, ${plural(after.keys, 'key')}`,
    `  time    ${seconds.toFixed(1)} s, ${formatBytes(Math.round(before.bytes / Math.max(seconds, 0.001)))}/s`,
  ]
  if (expired > 0) lines.push(`  left out, since they had expired: ${plural(expired, 'key')}`)
  if (carried !== undefined) {
    lines.push(
      `  ${plural(carried.commands, 'command')} appended meanwhile carried over: ${escapeName(carried.part)} up to ${carried.to}`,
    )
  }
  for (const backup of backups) lines.push(`  what was replaced is kept as ${escapeName(backup)}`)
  if (superseded.length > 0) {
    lines.push('', 'Where the space went (estimated):')
    const rows = superseded.map(({ prefix, before, after }) => [
      prefix === undefined ? '(others)' : `${escapeBytes(prefix)}*`,
      formatBytes(before),
      formatBytes(after),
      formatBytes(before - after),
    ])
    const columns = [
      { title: style.dim('keys') },
      { title: style.dim('before'), right: true },
      { title: style.dim('after'), right: true },
      { title: style.dim('superseded'), right: true },
    ]
    lines.push(renderTable(columns, rows).trimEnd())
  }
  lines.push('', `Next: ${style.bold(`aofkit verify ${quoteForShell(output)}`)}`)
  return `${lines.join('\n')}\n`
}

function share(part: number, whole: number): string {
  const percent = whole === 0 ? 100 : (part / whole) * 100
  return percent < 10 ? `${percent.toFixed(1)} %` : `${Math.round(percent)} %`
}
