import { type Input, resolveInput } from '../../aof/parts.ts'
import { escapeName } from '../../bytes/escape.ts'
import { formatCount } from '../../bytes/figures.ts'
import { Glob } from '../../bytes/glob.ts'
import { findKeyNames } from '../../operations/key-names.ts'
import { type PrintVisitor, printLog, type Selection } from '../../operations/print.ts'
import { defineCommand } from '../define.ts'
import { Exit } from '../exit.ts'
import {
  choice,
  flag,
  lastGiven,
  list,
  logOptions,
  outputOptions,
  place,
  readLogOptions,
  time,
  usage,
  wholeNumber,
  word,
} from '../options.ts'
import { place as placeOf } from '../render/findings.ts'
import { startProgress } from '../render/progress.ts'
import { printerFor, SHORT } from '../render/record.ts'

export const print = defineCommand({
  command: 'print <path>',
  describe: 'The commands, one a line: part and offset, database, time, command',
  epilogue: `Values longer than 100 bytes are shortened in text, unless --full. An RDB part is printed as the commands that rebuild its keys, each at the offset of its entry; they have no time, so --since leaves them out. A command has the time of the last #TS: before it.
As resp, SELECT stands where the database changes; MULTI and EXEC are left out unless the whole log is printed (no filter, --limit, --last or --follow), and a transaction that is cut off at the end of it is closed with DISCARD.
A log that is torn, damaged or corrupt is printed as far as it goes. Exit status: 0 sound as far as it was read, 1 not, 2 the job could not be done.`,
  examples: [
    ['aofkit print PATH --last 20', 'what happened last'],
    ['aofkit print PATH --key user:1 --history', 'all that ever happened to a key'],
    ["aofkit print PATH --key 'user:1*' --command set,del", 'what happened to some keys'],
    ['aofkit print PATH --db 3 --format resp | redis-cli --pipe', 'run a part of it again'],
  ],
  options: {
    command: word('Only these commands (NAME,…; a subcommand as xgroup|create)'),
    key: word(
      'Only commands that touch a key matching this glob, as for KEYS: those that name it, and (not as resp) flushes and swaps of databases',
    ),
    history: flag(
      'With the --key of one key: under the names, too, that it had before a RENAME or COPY; reads the log several times',
    ),
    db: word('Only these databases (N,…)'),
    'from-offset': word('Only from this offset on ([PART:]N)'),
    'to-offset': word('Only before this offset ([PART:]N)'),
    since: word('Only commands of this time or later (needs #TS: annotations)'),
    until: word('Only commands of this time or earlier (needs #TS: annotations)'),
    limit: word('Only the first N that are left'),
    last: word('Only the last N that are left (with --limit: of the first ones)'),
    follow: flag(
      'Show the last 10 (or --last N, or all from --from-offset or --since), then go on as the log grows',
    ),
    format: word('text, jsonl, or resp (for redis-cli --pipe)'),
    full: flag('Do not shorten values'),
    ...logOptions,
    ...outputOptions,
  },
  async run(args, io) {
    const options = readLogOptions(args)
    const asked = choice('format', args.format, ['text', 'jsonl', 'resp'])
    if (args.json === true && asked !== undefined && asked !== 'jsonl') {
      throw usage(`--json is --format jsonl: it does not go with --format ${asked}`)
    }
    const format = asked ?? (args.json === true ? 'jsonl' : 'text')
    const follow = args.follow === true
    const selection: { -readonly [name in keyof Selection]: Selection[name] } = {
      commands: given(list(args.command).map(name => name.toLowerCase())),
      key: args.key === undefined ? undefined : new Glob(lastGiven(args.key) as string),
      databases: given(list(args.db).map(db => wholeNumber('db', db) as number)),
      from: place('from-offset', args['from-offset']),
      to: place('to-offset', args['to-offset']),
      since: time('since', args.since),
      until: time('until', args.until),
      limit: wholeNumber('limit', args.limit),
    }
    const fromStart = selection.from !== undefined || selection.since !== undefined
    const last = wholeNumber('last', args.last) ?? (follow && !fromStart ? FOLLOWED : undefined)
    const whole = last === undefined && Object.values(selection).every(condition => condition === undefined)
    const input = await resolveInput(args.path)
    const { key } = args
    if (args.history === true) {
      const name = historyKey(lastGiven(key), format, input)
      const bar = startProgress(io, args.progress, input.size)
      const names = await findKeyNames(input, Buffer.from(name), options, done => bar.update(done)).finally(
        () => bar.stop(),
      )
      if (names.incomplete) io.err('aofkit: the key has had more names than are looked for\n')
      selection.key = names
    }
    const printer = printerFor(format, { full: args.full === true, last }, io)
    const bar = startProgress(io, io.outIsTerminal || follow ? false : args.progress, input.size)
    let damaged = false
    for (const { severity, message } of input.findings) {
      if (severity !== 'error') continue
      damaged = true
      io.err(`aofkit: ${message}\n`)
    }
    const visitor: PrintVisitor = {
      command: selected => printer.command(selected),
      rebuilt: rebuilt => printer.rebuilt(rebuilt),
      async pause(bytes) {
        bar.update(bytes)
        await printer.pause()
      },
      async idle() {
        printer.end()
        await printer.pause()
      },
      async moved(part) {
        await printer.pause()
        io.err(`aofkit: the log was rewritten and goes on in ${escapeName(part)}\n`)
      },
      async damage(finding, count) {
        damaged = true
        await printer.pause()
        const more = count > 1 ? `, the first of ${formatCount(count)}` : ''
        const what = `${finding.message} (${finding.code}${more}); verify says what it means`
        io.err(`aofkit: ${placeOf(finding)}: ${what}\n`)
      },
      unfinished: () => printer.unfinished(),
      get done() {
        return io.closed
      },
    }
    try {
      const { timed, hasFormerNames } = await printLog(
        input,
        selection,
        {
          ...options,
          follow,
          wholeValues: printer.wholeValues && !follow,
          keep: printer.wholeValues ? undefined : SHORT,
          selects: format !== 'resp',
          transactions: format !== 'resp' || whole,
          // A flush is not to be run again because somebody wanted one key.
          effects: format !== 'resp',
        },
        visitor,
      )
      printer.end()
      await printer.pause()
      if (hasFormerNames && format === 'text' && !args.history) {
        io.err(
          'aofkit: what a key here holds came to it under another name, by RENAME or COPY: --history shows what was before that\n',
        )
      }
      const timesWanted = selection.since !== undefined || selection.until !== undefined
      if (timesWanted && !timed) {
        io.err('aofkit: the log has no #TS: annotations, so --since and --until find no times in it\n')
      }
    } finally {
      bar.stop()
    }
    return damaged ? Exit.Damaged : Exit.Ok
  },
})

/** The one key whose history is wanted. */
function historyKey(key: string | undefined, format: string, { size }: Input): string {
  if (key === undefined || /[*?[\\]/.test(key))
    throw usage('--history takes the --key of one key, and no glob')
  if (format === 'resp') throw usage('--history is to be read: it does not go with --format resp')
  if (size === undefined)
    throw usage('--history reads the log several times: it needs a file that is not compressed')
  return key
}

/** How many commands --follow begins with, as `tail -f` does. */
const FOLLOWED = 10

function given<T>(items: readonly T[]): ReadonlySet<T> | undefined {
  return items.length === 0 ? undefined : new Set(items)
}
