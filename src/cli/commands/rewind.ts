import type { Finding } from '../../aof/finding.ts'
import { openPart, resolveInput } from '../../aof/parts.ts'
import { Beginning } from '../../bytes/beginning.ts'
import { JobError } from '../../bytes/errors.ts'
import { escapeName, quoteBytes, quoteForShell } from '../../bytes/escape.ts'
import { formatCount, formatTime, plural } from '../../bytes/figures.ts'
import { Glob } from '../../bytes/glob.ts'
import type { KeptSource } from '../../bytes/source.ts'
import { CommandPattern } from '../../operations/command-pattern.ts'
import { listMoments, type Moments, type RewindMoment } from '../../operations/moments.ts'
import { exactBytes } from '../../operations/repair.ts'
import {
  firstDropped,
  type KeptPartOpener,
  type Moment,
  openKept,
  planRewind,
  type RewindPlan,
} from '../../operations/rewind.ts'
import type { RebuiltKeys } from '../../operations/rewind-keys.ts'
import type { RewindPreview } from '../../operations/rewind-preview.ts'
import { type RewindResult, writeRewind } from '../../operations/rewind-write.ts'
import { type Arguments, defineCommand } from '../define.ts'
import { Exit } from '../exit.ts'
import type { Io } from '../io.ts'
import {
  flag,
  lastGiven,
  logOptions,
  negatedFlag,
  outputOptions,
  place,
  readLogOptions,
  readReplayOptions,
  replayOptions,
  time,
  usage,
  wholeNumber,
  word,
} from '../options.ts'
import { place as placeOf } from '../render/findings.ts'
import { jsonBytes, jsonName, jsonText, toJson } from '../render/json.ts'
import { startProgress } from '../render/progress.ts'
import { renderTable } from '../render/table.ts'
import { repeated } from '../repeated.ts'

const options = {
  output: word('Write the result here: a file, or for a multi-part log a folder'),
  list: flag('List the moments that one can go back to'),
  'dry-run': flag('Only say what would be kept and dropped'),
  'to-time': word('Keep what is annotated #TS: with this time or an earlier one'),
  'to-offset': word('Keep what is in front of this offset ([PART:]N), or of what it is inside of'),
  before: word('Keep what is in front of a command that matches PATTERN'),
  nth: word('Which of those that match --before: first, last, or a number'),
  without: word('Keep everything but the commands that match PATTERN'),
  'only-key': word(
    'Instead of the log: the commands that bring back the keys matching this glob, as for KEYS',
  ),
  preview: negatedFlag('With --dry-run: do not replay the log to see which keys come and go'),
  force: flag('Replace what has the name DEST'),
  'allow-empty': flag('Cut even if nothing is left'),
  ...logOptions,
  ...replayOptions,
  ...outputOptions,
} as const

export const rewind = defineCommand({
  command: 'rewind <path>',
  describe: 'Point-in-time recovery: keep the log up to a moment, at a new place',
  epilogue: `A PATTERN is the name of a command in any case, which matches whatever its arguments (flushall, 'xgroup|create'), or a glob over the command as print --full shows it ('DEL user:*'). Commands of the log are matched, not the keys of an RDB.
A cut is never inside a transaction, a record or an annotation: the boundary in front of them is taken. Parts behind it are not in the result, nor in its manifest. --without leaves out what matches, and a transaction of which nothing else is left; SELECT, MULTI and EXEC match nothing.
--only-key writes a file (or, with --output -, to standard output) for redis-cli --pipe instead: SELECT, and for each key that matches DEL, so that nothing is added to what is there now, and the commands that rebuild it as it was at the moment. Keys that were not there then are not touched. Without a moment it is the end of the log.
--list shows the moments to choose from, one a line; with --json as JSON Lines. A place in it is what --to-offset takes: what stands in front of it is kept. Times are condensed to 40 at most. A deletion is 100 keys and more by DEL and UNLINK, with hardly anything in between; a transaction, one of 100 commands and more.
The source is only read: what the result has not is still there. The result is read back, and is what servers load, before it has its name.
Exit status: 0 the result is there, 1 with --dry-run: something would be dropped; with --list: the log is damaged; with --only-key: keys are left out, 2 refused or not possible; nothing was written then.`,
  examples: [
    ['aofkit rewind PATH --before flushall --dry-run', 'what would come back'],
    ['aofkit rewind PATH --before flushall --output rewound', 'the log up to the last FLUSHALL'],
    ['aofkit rewind PATH --to-time 2024-05-01T14:04:59 --output rewound', 'the log up to a second'],
    [
      "aofkit rewind PATH --before flushall --only-key 'user:*' --output - | redis-cli --pipe",
      'some keys back into a running server',
    ],
    ['aofkit rewind PATH --list', 'times, flushes, mass deletions, and their offsets'],
    ["aofkit rewind PATH --without 'DEL user:*' --output rewound", 'the log as if they had not been'],
  ],
  options,
  async run(args, io) {
    if (args.list === true) return list(args, io)
    const log = { ...readLogOptions(args), allowEmpty: args['allow-empty'] === true }
    const moment = momentOf(args)
    const output = lastGiven(args.output)
    const dryRun = args['dry-run'] === true
    if ((output !== undefined) === dryRun) throw usage('rewind takes either --output DEST or --dry-run')
    const input = await resolveInput(args.path)
    const bar = startProgress(io, args.progress, input.size)
    // What can be read only once is kept, to be read again.
    const kept =
      input.size === undefined ? ((await openPart(input.parts[0], { again: true })) as KeptSource) : undefined
    const open: KeptPartOpener = kept ? async () => new Beginning(kept, Number.POSITIVE_INFINITY) : openKept
    try {
      const plan = await planRewind(input, moment, log, open, done => bar.update(done))
      bar.stop()
      for (const { message, ...where } of plan.findings) {
        const at = placeOf(where)
        io.err(`aofkit: warning: ${at === '' ? '' : `${at}: `}${message}\n`)
      }
      if (args['only-key'] !== undefined) return await onlyKeys(args, plan, open, io)
      if (output === undefined) {
        const previewed = args.preview !== false ? await preview(args, plan, open, io) : undefined
        io.out(
          args.json === true
            ? jsonReport(plan, null, previewed)
            : dryRunReport(args, plan, await firstDropped(plan, open), previewed, io),
        )
        return plan.dropped > 0 ? Exit.Damaged : Exit.Ok
      }
      const result = await writeRewind(plan, log, { output, force: args.force === true }, open)
      for (const warning of result.warnings) io.err(`aofkit: warning: ${warning}\n`)
      io.out(args.json === true ? jsonReport(plan, result.output) : textReport(plan, result, io))
      return Exit.Ok
    } finally {
      bar.stop()
      await kept?.close()
    }
  },
})

type Args = Arguments<typeof options>

/** Options that say what the result is: a list has none. */
const OF_A_RESULT = [
  'output',
  'only-key',
  'dry-run',
  'to-time',
  'to-offset',
  'before',
  'nth',
  'without',
] as const

async function list(args: Args, io: Io): Promise<Exit> {
  const other = OF_A_RESULT.find(name => args[name] !== undefined)
  if (other !== undefined) throw usage(`--list goes without --${other}`)
  const input = await resolveInput(args.path)
  const bar = startProgress(io, args.progress, input.size)
  let found: Moments
  try {
    found = await listMoments(input, readLogOptions(args), done => bar.update(done))
  } finally {
    bar.stop()
  }
  const { moments, omitted, timed, damage } = found
  io.out(args.json === true ? moments.map(momentJson).join('') : momentsText(moments, io))
  for (const { severity, message } of input.findings) if (severity === 'error') io.err(`aofkit: ${message}\n`)
  for (const [kind, count] of omitted)
    io.err(
      `aofkit: ${plural(count, 'moment')} of the kind ${kind} in front of these ${count === 1 ? 'is' : 'are'} not listed\n`,
    )
  if (!timed && args.json !== true)
    io.err('aofkit: the log has no #TS: annotations (aof-timestamp-enabled was no): go by offsets\n')
  if (damage !== undefined) {
    const { part, error } = damage
    const what = error === undefined ? 'it ends inside a transaction' : `${error.message} (${error.code})`
    io.err(
      `aofkit: ${placeOf({ part, ...(error === undefined ? {} : { offset: error.offset }) })}: ${what}; verify says what it means\n`,
    )
  }
  return damage !== undefined || input.findings.some(({ severity }) => severity === 'error')
    ? Exit.Damaged
    : Exit.Ok
}

function momentJson({ kind, part, offset, time, what, ...more }: RewindMoment): string {
  return `${jsonText({ kind, part: jsonName(part), offset, ...(time === undefined ? {} : { time }), what, ...more })}\n`
}

function momentsText(moments: readonly RewindMoment[], io: Io): string {
  const { style } = io
  return renderTable(
    [
      { title: style.dim('time') },
      { title: style.dim('go back to') },
      { title: style.dim('kind') },
      { title: style.dim('what comes then') },
    ],
    moments.map(({ kind, part, offset, time, what }) => [
      time === undefined ? '-' : formatTime(time),
      `${escapeName(part)}:${offset}`,
      kind === 'flush' || kind === 'deletion' ? style.yellow(kind) : kind,
      what,
    ]),
  )
}

/** What becomes of the keys, unless the log cannot be replayed. */
async function preview(
  args: Args,
  plan: RewindPlan,
  open: KeptPartOpener,
  io: Io,
): Promise<RewindPreview | undefined> {
  const { input } = plan
  // Loaded for those who ask for it: without it rewind starts sooner.
  const { previewRewind } = await import('../../operations/rewind-preview.ts')
  const bar = startProgress(io, args.progress, input.size === undefined ? undefined : 2 * input.size)
  try {
    return await previewRewind(input, plan, readReplayOptions(args), open, done => bar.update(done))
  } catch (error) {
    if (!(error instanceof JobError) || !error.code.startsWith('replay.')) throw error
    bar.stop()
    io.err(`aofkit: warning: what becomes of the keys is not known: ${error.message}\n`)
    if (error.hint !== undefined) io.err(`${error.hint}\n`)
    return undefined
  } finally {
    bar.stop()
  }
}

/** The keys that match as they were then, instead of the log. */
async function onlyKeys(args: Args, plan: RewindPlan, open: KeptPartOpener, io: Io): Promise<Exit> {
  const output = lastGiven(args.output)
  const { input } = plan
  const toStdout = output === '-'
  const { rebuildKeys } = await import('../../operations/rewind-keys.ts')
  const bar = startProgress(io, args.progress, input.size)
  let found: RebuiltKeys
  try {
    found = await rebuildKeys(
      input,
      plan,
      new Glob(lastGiven(args['only-key']) as string),
      readReplayOptions(args),
      open,
      {
        output: toStdout ? undefined : output,
        force: args.force === true,
        give: toStdout
          ? bytes => {
              io.out(bytes)
              return io.flush()
            }
          : () => {},
      },
      Date.now(),
      done => bar.update(done),
    )
  } finally {
    bar.stop()
  }
  const { keys, commands, bytes, expired, opaque, opaqueNames } = found
  if (expired > 0) {
    io.err(
      `aofkit: warning: of ${plural(expired, 'key')} the time to live is over: a server deletes ${expired === 1 ? 'it' : 'them'} at once\n`,
    )
  }
  if (opaque > 0) {
    const names = opaqueNames.map(name => quoteBytes(name, SHOWN)).join(', ')
    io.err(
      `aofkit: ${plural(opaque, 'key')} of a module, or of a command that --allow-commands names, cannot be rebuilt and ${opaque === 1 ? 'is' : 'are'} left out: ${names}${opaque > opaqueNames.length ? ', …' : ''}\n`,
    )
  }
  if (args.json === true && !toStdout) {
    io.out(
      toJson({
        ...reportOf(plan, output ?? null),
        onlyKeys: { keys, commands, bytes, expired, opaque },
      }),
    )
  } else if (!toStdout) {
    const { style } = io
    const lines = [
      ...(output === undefined ? [] : [`${style.green('done')}: ${escapeName(output)}`]),
      `${plural(keys, 'key')} as they were, in ${plural(commands, 'command')}, ${exactBytes(bytes)}.`,
    ]
    if (output !== undefined) lines.push(`Next: ${style.bold(`redis-cli --pipe < ${quoteForShell(output)}`)}`)
    io.out(`${lines.join('\n')}\n`)
  }
  if (opaque > 0) return Exit.Damaged
  return output === undefined && keys > 0 ? Exit.Damaged : Exit.Ok
}

/** The one moment that is asked for. */
function momentOf(args: Args): Moment {
  const before = lastGiven(args.before)
  const without = lastGiven(args.without)
  const nth = nthOf(args)
  if (nth !== undefined && before === undefined) throw usage('--nth goes with --before')
  const moments: Moment[] = []
  const at = time('to-time', args['to-time'])
  if (at !== undefined) moments.push({ kind: 'time', time: at })
  const offset = place('to-offset', args['to-offset'])
  if (offset !== undefined) moments.push({ kind: 'offset', place: offset })
  if (before !== undefined)
    moments.push({ kind: 'before', pattern: pattern('before', before), nth: nth ?? 'last' })
  if (without !== undefined) moments.push({ kind: 'without', pattern: pattern('without', without) })
  // Keys as they are now may be wanted, too; a log that is kept whole is not.
  if (moments.length === 0 && args['only-key'] !== undefined) return { kind: 'end' }
  if (moments.length !== 1) {
    throw usage(
      'rewind takes one of --to-time TIME, --to-offset [PART:]N, --before PATTERN and --without PATTERN',
    )
  }
  return moments[0]
}

function pattern(option: string, text: string): CommandPattern {
  if (text === '') throw usage(`--${option} takes the name of a command, or a glob`)
  return new CommandPattern(text)
}

function nthOf(args: Args): number | 'last' | undefined {
  const text = lastGiven(args.nth)
  if (text === undefined || text === 'last') return text
  if (text === 'first') return 1
  if (!/^\d+$/.test(text))
    throw usage(`--nth takes first, last or a number from 1 on, not "${escapeName(text)}"`)
  return wholeNumber('nth', text, 1)
}

function jsonReport(plan: RewindPlan, output: string | null, previewed?: RewindPreview): string {
  return toJson({
    ...reportOf(plan, output),
    ...(previewed === undefined ? {} : { preview: previewJson(previewed) }),
  })
}

function reportOf(plan: RewindPlan, output: string | null) {
  const { kept, dropped, commandsDropped, cut, droppedParts, findings } = plan
  return {
    kept,
    dropped,
    commandsDropped,
    cutAt:
      cut === undefined
        ? null
        : {
            part: jsonName(cut.part.name),
            offset: cut.offset,
            ...(cut.time === undefined ? {} : { time: cut.time }),
          },
    output: output === null ? null : jsonName(output),
    ...(plan.moment.kind === 'before' || plan.moment.kind === 'without' ? { matches: plan.matches } : {}),
    droppedParts: droppedParts.map(({ name }) => jsonName(name)),
    ...(findings.length === 0 ? {} : { warnings: findings.map(warningJson) }),
  }
}

function previewJson({ databases, functions }: RewindPreview) {
  return {
    databases: Object.fromEntries(
      [...databases].map(([db, { examples, ...counts }]) => [
        db,
        {
          ...counts,
          examples: Object.fromEntries(
            Object.entries(examples).map(([name, keys]) => [name, keys.map(key => jsonBytes(key))]),
          ),
        },
      ]),
    ),
    functions,
  }
}

function previewText({ databases, functions }: RewindPreview, io: Io): string[] {
  const { style } = io
  const right = (title: string) => ({ title: style.dim(title), right: true })
  const rows = [...databases].map(([db, { now, after, gained, lost, changed }]) => [
    `${db}`,
    formatCount(now),
    formatCount(after),
    formatCount(gained),
    formatCount(lost),
    formatCount(changed),
  ])
  const table = renderTable(
    [
      right('db'),
      right('keys now'),
      right('keys then'),
      right('come back'),
      right('are lost'),
      right('change'),
    ],
    rows,
  )
  const lines = rows.length === 0 ? ['No keys, now or then.'] : table.trimEnd().split('\n')
  for (const [db, { examples, gained, lost, changed }] of databases) {
    const told = [
      ['come back', examples.gained, gained],
      ['are lost', examples.lost, lost],
      ['change', examples.changed, changed],
    ] as const
    for (const [what, keys, count] of told) {
      if (keys.length === 0) continue
      const more = count > keys.length ? ', …' : ''
      lines.push(`${what} in database ${db}: ${keys.map(key => quoteBytes(key, SHOWN)).join(', ')}${more}`)
    }
  }
  if (functions.now !== functions.after)
    lines.push(`Libraries of functions: ${functions.now} now, ${functions.after} then.`)
  return lines
}

/** Bytes of a key that are shown. */
const SHOWN = 60

function warningJson({ part, offset, message }: Finding) {
  return {
    ...(part === undefined ? {} : { part: jsonName(part) }),
    ...(offset === undefined ? {} : { offset }),
    message,
  }
}

/** Options that the call that writes must have, as its dry run had them. */
const REPEATED = [
  'to-time',
  'to-offset',
  'before',
  'nth',
  'without',
  'as',
  'databases',
  'allow-commands',
  'allow-empty',
] as const

/** Where it is cut, and what that costs. */
function summary(plan: RewindPlan, io: Io): string[] {
  const { style } = io
  const { cut, kept, dropped, commandsKept, commandsDropped, parts, droppedParts, moment, matches } = plan
  const lines: string[] = []
  if (moment.kind === 'before') {
    const one = matches === 1 && moment.nth === 'last'
    lines.push(
      `${plural(matches, 'command')} ${matches === 1 ? 'matches' : 'match'}${one ? '' : `; it is cut in front of ${moment.nth === 'last' ? 'the last one' : `number ${moment.nth}`}`}.`,
    )
  }
  if (moment.kind === 'without')
    lines.push(`${plural(matches, 'command')} ${matches === 1 ? 'matches' : 'match'}.`)
  if (cut !== undefined) {
    const at = style.bold(`${escapeName(cut.part.name)}:${cut.offset}`)
    const when = cut.time === undefined ? '' : `, ${formatTime(cut.time)} by the last #TS: in front of it`
    lines.push(`${dropped > 0 ? 'Cut' : 'Nothing is cut off: the log ends'} at ${at}${when}.`)
  }
  for (const { part, end, filtered, size } of parts) {
    if (filtered) lines.push(`${escapeName(part.name)}: ${exactBytes(end - size)} are left out`)
  }
  for (const part of droppedParts) lines.push(`${escapeName(part.name)}: ${style.yellow('leaves the log')}`)
  lines.push(
    `Keeps ${exactBytes(kept)} with ${plural(commandsKept, 'command')}, drops ${exactBytes(dropped)} with ${plural(commandsDropped, 'command')}.`,
  )
  return lines
}

function dryRunReport(
  args: Args,
  plan: RewindPlan,
  first: Awaited<ReturnType<typeof firstDropped>>,
  previewed: RewindPreview | undefined,
  io: Io,
): string {
  const lines = summary(plan, io)
  if (first.length > 0) lines.push('The first that goes:')
  for (const { offset, text } of first) lines.push(io.style.dim(`    ${offset}: ${text}`))
  if (previewed !== undefined) lines.push('', ...previewText(previewed, io), '')
  const call = `aofkit rewind ${quoteForShell(args.path)}${repeated(args, REPEATED)} --output DEST`
  lines.push(`Next: ${io.style.bold(call)}`)
  return `${lines.join('\n')}\n`
}

function textReport(plan: RewindPlan, { output, backup }: RewindResult, io: Io): string {
  const { style } = io
  const lines = [`${style.green('done')}: ${escapeName(output)}`, ...summary(plan, io)]
  if (backup !== undefined) lines.push(`What was replaced is kept as ${escapeName(backup)}`)
  lines.push(`Next: ${style.bold(`aofkit verify ${quoteForShell(output)}`)}`)
  return `${lines.join('\n')}\n`
}
