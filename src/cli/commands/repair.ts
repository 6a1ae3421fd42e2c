import { type Input, openPart, type Part, resolveInput } from '../../aof/parts.ts'
import { escapeBytes, escapeName, quoteBytes, quoteForShell } from '../../bytes/escape.ts'
import { formatBytes, plural } from '../../bytes/figures.ts'
import type { Source } from '../../bytes/source.ts'
import {
  exactBytes,
  firstCut,
  manifestFor,
  type PartOpener,
  plannedSpans,
  planRepair,
  type RepairPlan,
  type Span,
} from '../../operations/repair.ts'
import { planSalvageRepair } from '../../operations/repair-salvage.ts'
import { type WriteResult, writeRepair } from '../../operations/repair-write.ts'
import type { Guess, SalvageFigures } from '../../operations/salvage.ts'
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
  readLogOptions,
  sizeOrShare,
  usage,
  word,
} from '../options.ts'
import { renderVerdict } from '../render/findings.ts'
import { jsonBytes, jsonName, toJson } from '../render/json.ts'
import { startProgress } from '../render/progress.ts'
import { repeated } from '../repeated.ts'

export const repair = defineCommand({
  command: 'repair <path>',
  describe: 'Cut what servers do not load, and keep what was cut',
  epilogue: `Each part is cut where verify says that it is valid up to. What is cut is kept beside the result, as PART.cut-OFFSET; parts behind a cut leave the log, and are kept as PART.dropped.
With --salvage nothing is cut: each damaged span is skipped, up to the next place that is provably the beginning of a command, and all that is sound on both sides stays, later parts too. What is skipped is kept in PART.cut-OFFSET as well.
Exit status: 0 the result loads, 1 with --dry-run: there is something to cut, 2 refused or not possible; nothing was changed then.`,
  examples: [
    ['aofkit repair PATH --dry-run', 'what would be kept, and what lost'],
    ['aofkit repair PATH --output repaired', 'the source stays as it is'],
    ['aofkit repair /var/lib/redis --in-place', 'the old file is kept as NAME.old'],
    ['aofkit repair PATH --salvage --dry-run', 'what skipping the damage would keep, and what lose'],
  ],
  options: {
    output: word('Write the result here: a file, or for a multi-part log a folder'),
    'in-place': flag('Replace what must change, and keep it as NAME.old'),
    'dry-run': flag('Only say what would be done'),
    backup: negatedFlag('Do not keep what is replaced in place'),
    force: flag('Replace an existing result; repair in place although a process writes to the log'),
    'keep-later-parts': flag('Parts behind one that is cut stay in the log'),
    'allow-empty': flag('Cut even if nothing is left'),
    normalize: flag('Also write what is merely damaged in the form that servers write'),
    salvage: flag('Skip what is damaged, and keep what is sound behind it'),
    'after-gap': word('With --salvage, where a SELECT may be lost: carry-on (default), or skip-until-select'),
    'max-loss': word('Refuse to cut more than SIZE or PERCENT'),
    ...logOptions,
    ...outputOptions,
  },
  async run(args, io) {
    const output = lastGiven(args.output)
    const dryRun = args['dry-run'] === true
    const modes = [output !== undefined, args['in-place'] === true, dryRun].filter(Boolean).length
    if (modes !== 1) throw usage('repair takes one of --output DEST, --in-place and --dry-run')
    const options = {
      ...readLogOptions(args),
      keepLaterParts: args['keep-later-parts'] === true,
      allowEmpty: args['allow-empty'] === true,
      normalize: args.normalize === true,
      maxLoss: sizeOrShare('max-loss', args['max-loss']),
    }
    const afterGap = choice('after-gap', args['after-gap'], ['carry-on', 'skip-until-select'])
    const salvage = args.salvage === true
    if (salvage && options.normalize) {
      throw usage(
        '--salvage skips what --normalize would mend: first --normalize, then --salvage, or only one of them',
      )
    }
    if (!salvage && afterGap === 'skip-until-select') throw usage('--after-gap goes with --salvage')
    const input = await resolveInput(args.path)
    if (args['in-place'] === true) refuseInPlace(input)
    const sources = new Sources()
    const bar = startProgress(io, args.progress, input.size)
    try {
      const told = (done: number) => bar.update(done)
      const plan = salvage
        ? await planSalvageRepair(
            input,
            { ...options, skipUntilSelect: afterGap === 'skip-until-select' },
            sources.open,
            told,
          )
        : await planRepair(input, options, sources.open, told)
      bar.stop()
      if (dryRun) {
        const spans = plannedSpans(plan)
        const shown = args.json === true ? [] : await preview(plan, sources.open)
        io.out(
          args.json === true
            ? jsonReport(plan, spans, null)
            : plan.salvaged !== undefined
              ? salvageReport(
                  plan,
                  plan.salvaged,
                  spans,
                  io,
                  nextOfDryRun(args.path, plan, repeated(args, REPEATED), io),
                )
              : dryRunReport(args.path, plan, shown, repeated(args, REPEATED), io),
        )
        return plan.changes ? Exit.Damaged : Exit.Ok
      }
      if (output === undefined && !plan.changes) {
        io.out(
          args.json === true
            ? jsonReport(plan, [], input.path)
            : `${renderVerdict(plan.report.verdict, io.style)}: nothing to ${salvage ? 'skip' : 'cut'}; nothing was changed.\n`,
        )
        return Exit.Ok
      }
      const destination = { output, force: args.force === true, backup: args.backup !== false }
      const result = await writeRepair(plan, options, sources.open, destination)
      for (const warning of result.warnings) io.err(`aofkit: warning: ${warning}\n`)
      io.out(
        args.json === true
          ? jsonReport(plan, result.spans, result.output, result.backups)
          : plan.salvaged !== undefined
            ? salvageReport(plan, plan.salvaged, result.spans, io, nextOfSalvage(result, io))
            : textReport(plan, result, io),
      )
      return Exit.Ok
    } finally {
      bar.stop()
      await sources.close()
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
      `${input.path === '-' ? 'standard input' : escapeName(input.path)} cannot be repaired in place: --output FILE`,
    )
  }
}

/** Opens parts; standard input, which cannot be opened twice, is kept open and read again by offset. */
class Sources {
  readonly #kept: Source[] = []

  readonly open: PartOpener = async (part: Part) => {
    if (part.size !== undefined) return openPart(part, { again: true })
    if (this.#kept.length === 0) this.#kept.push(await openPart(part, { again: true }))
    else return rewound(this.#kept[0])
    return { ...bound(this.#kept[0]), close: async () => {} }
  }

  async close(): Promise<void> {
    for (const source of this.#kept) await source.close()
  }
}

function bound(source: Source): Source {
  return {
    name: source.name,
    size: source.size,
    seekable: source.seekable,
    read: (target, from, to) => source.read(target, from, to),
    readAt: (target, offset) => source.readAt(target, offset),
    grow: () => source.grow(),
    close: () => source.close(),
  }
}

/** A source from its start again, by offset. */
function rewound(source: Source): Source {
  let position = 0
  return {
    ...bound(source),
    async read(target, from, to) {
      const at = position
      position += to - from
      return source.readAt(target.subarray(from, to), at)
    },
    grow: async () => false,
    close: async () => {},
  }
}

function jsonReport(
  plan: RepairPlan,
  spans: readonly Span[],
  output: string | null,
  backups: readonly string[] = [],
): string {
  const { report, kept, cut, salvaged, rebuilt } = plan
  return toJson({
    verdict: report.verdict,
    kept,
    cut,
    spans: spans.map(({ guess, ...span }) => ({
      ...span,
      part: jsonName(span.part),
      file: jsonName(span.file),
      ...(guess === undefined ? {} : { guess: jsonGuess(guess) }),
    })),
    output: output === null ? null : jsonName(output),
    ...(salvaged === undefined
      ? {}
      : {
          commands: salvaged.commands,
          keys: salvaged.keys,
          commandsDropped: salvaged.dropped,
          gaps: salvaged.gaps,
          keysAffected: [...salvaged.affected.keys.values()].map(jsonBytes),
          counters: [...salvaged.affected.counters.values()].map(jsonBytes),
          ...(salvaged.affected.more ? { moreKeys: true } : {}),
        }),
    ...(rebuilt === undefined
      ? {}
      : {
          manifest: Buffer.from(manifestFor(plan)).toString(),
          partsMissing: rebuilt.missing.map(jsonName),
          filesLeft: rebuilt.left.map(jsonName),
        }),
    ...(backups.length === 0 ? {} : { backups: backups.map(jsonName) }),
  })
}

interface Preview {
  readonly part: string
  readonly lines: readonly string[]
}

async function preview(plan: RepairPlan, open: PartOpener): Promise<Preview[]> {
  const previews: Preview[] = []
  for (const part of plan.parts) {
    if (part.action !== 'cut' && part.action !== 'drop') continue
    const source = await open(part.part)
    const { behind } = plan.report
    try {
      const from = behind?.part === part.part.name ? behind.offset : -1
      previews.push({ part: part.part.name, lines: await firstCut(source, part, from) })
    } finally {
      await source.close()
    }
  }
  return previews
}

/** Options that the repair must have, as its dry run had them. */
const REPEATED = [
  'as',
  'databases',
  'allow-commands',
  'keep-later-parts',
  'allow-empty',
  'normalize',
  'salvage',
  'after-gap',
  'max-loss',
] as const

function dryRunReport(
  path: string,
  plan: RepairPlan,
  previews: readonly Preview[],
  options: string,
  io: Io,
): string {
  const { style } = io
  const { report, kept, cut, parts } = plan
  const verdict = style.bold(renderVerdict(report.verdict, style))
  const count = report.findings.length
  const lines = [count === 0 ? verdict : `${verdict}: ${plural(count, 'finding')}, which verify lists`]
  if (!plan.changes) {
    if (report.verdict === 'damaged')
      lines.push('Servers load all of it. --normalize would write it so that check-aof accepts it too.')
    else lines.push('Nothing to cut.')
    return `${lines.join('\n')}\n`
  }
  for (const { part, report: found, action, end } of parts) {
    const name = escapeName(part.name)
    if (action === 'keep') lines.push(`${name}: stays as it is, ${formatBytes(found.size)}`)
    if (action === 'normalize')
      lines.push(`${name}: is written anew, ${formatBytes(found.size)}, in sound framing`)
    if (action === 'cut')
      lines.push(`${name}: ${style.yellow('is cut')} at ${end}; ${exactBytes(found.size - end)} go`)
    if (action === 'drop')
      lines.push(
        `${name}: ${style.yellow('leaves the log')}, ${exactBytes(found.size)} with ${plural(found.commands, 'command')} (--keep-later-parts keeps it)`,
      )
    for (const line of previews.find(({ part: of }) => of === part.name)?.lines ?? [])
      lines.push(style.dim(`    ${line}`))
  }
  lines.push(
    `Keeps ${exactBytes(kept)}, cuts ${exactBytes(cut)}${report.behind === undefined ? '' : `, with ${plural(report.behind.commands, 'whole command')} behind the damage`}.`,
  )
  lines.push(nextOfDryRun(path, plan, options, io))
  return `${lines.join('\n')}\n`
}

function nextOfDryRun(path: string, plan: RepairPlan, options: string, { style }: Io): string {
  const inPlace = plan.input.compression === undefined && plan.input.size !== undefined
  const call = style.bold(`aofkit repair ${quoteForShell(path)}${options} --output DEST`)
  return `Next: ${call}${inPlace ? ', or --in-place, which keeps the old file as NAME.old' : ''}`
}

function nextOfSalvage({ output, backups }: WriteResult, { style }: Io): string {
  const kept = backups.map(backup => `  what was replaced is kept as ${escapeName(backup)}\n`)
  return `${style.green('done')}: ${escapeName(output)}\n${kept.join('')}Next: ${style.bold(`aofkit verify ${quoteForShell(output)}`)}`
}

/** What a salvage skips, what it keeps, and what nobody can know. */
function salvageReport(
  plan: RepairPlan,
  salvaged: SalvageFigures,
  spans: readonly Span[],
  { style }: Io,
  next: string,
): string {
  const { report, kept, cut, changes } = plan
  const lines = [`${style.bold(renderVerdict(report.verdict, style))}`]
  if (!changes) return `${lines[0]}: nothing to skip.\n`
  if (plan.rebuilt !== undefined) {
    const text = Buffer.from(manifestFor(plan)).toString('latin1')
    const said = text
      .trimEnd()
      .split('\n')
      .map(line => `    ${escapeBytes(Buffer.from(line, 'latin1'))}`)
    lines.push('The manifest is made anew from the parts that are there:', ...said)
    const { missing, left } = plan.rebuilt
    if (missing.length > 0) lines.push(`Was listed and is not there: ${missing.map(escapeName).join(', ')}`)
    if (left.length > 0) lines.push(`Is named like a part and not in it: ${left.map(escapeName).join(', ')}`)
  }
  for (const { part, offset, end, file, fileOffset, reason, guess } of spans.slice(0, LISTED)) {
    lines.push(
      `  ${escapeName(part)}:${offset}-${end} ${style.yellow('skipped')}: ${exactBytes(end - offset)}, ${reason}${guess === undefined ? '' : `, ${shownGuess(guess)}`}; kept in ${escapeName(file)}${fileOffset > 0 ? ` at ${fileOffset}` : ''}`,
    )
  }
  if (spans.length > LISTED)
    lines.push(`  and ${plural(spans.length - LISTED, 'span')} more; --json lists them all`)
  const { commands, dropped, gaps, affected } = salvaged
  lines.push(
    `Keeps ${plural(commands, 'command')}${salvaged.keys === 0 ? '' : ` and ${plural(salvaged.keys, 'key')} of RDB parts`}, ${exactBytes(kept)}; skips ${plural(spans.length, 'span')}, ${exactBytes(cut)} (${((100 * cut) / Math.max(1, report.bytes)).toFixed(2)} %)${dropped === 0 ? '' : `, with ${plural(dropped, 'whole command')} of broken transactions or refused by servers`}.`,
  )
  if (gaps > 0) {
    lines.push(
      `Not known behind ${gaps === 1 ? 'the gap' : `each of ${gaps} gaps`}: whether a SELECT was lost; commands go to the database that was selected before.`,
    )
  }
  const keys = [...affected.keys.values()]
  if (keys.length > 0) {
    lines.push(
      `Keys known to be affected: ${affected.more ? 'more than ' : ''}${keys.length}: ${shownKeys(keys)}`,
    )
  }
  const counters = [...affected.counters.values()]
  if (counters.length > 0) {
    lines.push(`Missed a change that later ones build on (INCR, RPUSH, …): ${shownKeys(counters)}`)
  }
  lines.push(next)
  return `${lines.join('\n')}\n`
}

function shownGuess({ command, key }: Guess): string {
  const name = command.toUpperCase().replace('|', ' ')
  return key === undefined ? name : `${name} ${quoteBytes(key, SHOWN_KEY)}`
}

function shownKeys(keys: readonly Uint8Array[]): string {
  const shown = keys.slice(0, LISTED).map(key => quoteBytes(key, SHOWN_KEY))
  return keys.length > LISTED ? `${shown.join(', ')}, …` : shown.join(', ')
}

/** Bytes of a key that text shows. */
const SHOWN_KEY = 60

function jsonGuess({ command, key }: Guess): unknown {
  return { command, ...(key === undefined ? {} : { key: jsonBytes(key) }) }
}

function textReport(plan: RepairPlan, { output, spans, backups }: WriteResult, io: Io): string {
  const { style } = io
  const lines = [
    `${style.green('done')}: ${escapeName(output)}; kept ${exactBytes(plan.kept)}, cut ${exactBytes(plan.cut)}`,
  ]
  for (const { part, offset, end, file, fileOffset, reason } of spans.slice(0, LISTED)) {
    lines.push(
      `  ${escapeName(part)}:${offset}-${end} (${exactBytes(end - offset)}, ${reason}) is in ${escapeName(file)}${fileOffset > 0 ? ` at ${fileOffset}` : ''}`,
    )
  }
  if (spans.length > LISTED)
    lines.push(`  and ${plural(spans.length - LISTED, 'span')} more; --json lists them all`)
  for (const backup of backups) lines.push(`  what was replaced is kept as ${escapeName(backup)}`)
  lines.push(`Next: ${style.bold(`aofkit verify ${quoteForShell(output)}`)}`)
  return `${lines.join('\n')}\n`
}

/** Spans that are listed in text. */
const LISTED = 10
