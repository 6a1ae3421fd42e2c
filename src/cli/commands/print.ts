import { openPart, type Part, resolveInput } from '../../aof/parts.ts'
import { JobError } from '../../bytes/errors.ts'
import { escapeName } from '../../bytes/escape.ts'
import { Glob } from '../../bytes/glob.ts'
import { LogServer } from '../../operations/log-server.ts'
import { type PrintVisitor, printPart, type Selection } from '../../operations/print.ts'
import { defineCommand } from '../define.ts'
import { Exit } from '../exit.ts'
import {
  choice,
  flag,
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
import { startProgress } from '../render/progress.ts'
import { printerFor } from '../render/record.ts'

export const print = defineCommand({
  command: 'print <path>',
  describe: 'The commands, one a line: part and offset, database, time, command',
  epilogue: `Values longer than 100 bytes are shortened in text, unless --full. An entry of an RDB part is a line of its type, key, size and expiry. A command has the time of the last #TS: before it.
A log that is torn or damaged is printed as far as it goes; the exit status is then 1.`,
  examples: [
    ['aofkit print PATH --last 20', 'what happened last'],
    ["aofkit print PATH --key 'user:1*' --command set,del", 'what happened to some keys'],
    ['aofkit print PATH --db 3 --format resp | redis-cli --pipe', 'run a part of it again'],
  ],
  options: {
    command: word('Only these commands (NAME,…; a subcommand as xgroup|create)'),
    key: word('Only commands that touch a key matching this glob, as for KEYS'),
    db: word('Only these databases (N,…)'),
    'from-offset': word('Only from this offset on ([PART:]N)'),
    'to-offset': word('Only before this offset ([PART:]N)'),
    since: word('Only commands of this time or later (needs #TS: annotations)'),
    until: word('Only commands of this time or earlier (needs #TS: annotations)'),
    limit: word('Only the first N that are left'),
    last: word('Only the last N that are left'),
    follow: flag('Go on as the log grows, also across a rewrite'),
    format: word('text, jsonl, or resp (for redis-cli --pipe)'),
    full: flag('Do not shorten values'),
    ...logOptions,
    ...outputOptions,
  },
  async run(args, io) {
    const options = readLogOptions(args)
    const format =
      choice('format', args.format, ['text', 'jsonl', 'resp']) ?? (args.json === true ? 'jsonl' : 'text')
    const limit = wholeNumber('limit', args.limit)
    const last = wholeNumber('last', args.last)
    const input = await resolveInput(args.path)
    if (args.follow === true && last !== undefined) throw usage('--last and --follow exclude each other')
    const ranges = partRanges(
      input.parts,
      place('from-offset', args['from-offset']),
      place('to-offset', args['to-offset']),
    )
    const selection = {
      commands: given(list(args.command).map(name => name.toLowerCase())),
      key: args.key === undefined ? undefined : new Glob(String(args.key)),
      databases: given(list(args.db).map(db => wholeNumber('db', db) as number)),
      since: time('since', args.since),
      until: time('until', args.until),
    }
    const server = new LogServer(options.as, options.allowCommands)
    const printer = printerFor(format, { full: args.full === true, last }, io)
    const bar = startProgress(io, io.outIsTerminal ? false : args.progress, input.size)
    let damaged = input.findings.some(({ severity }) => severity === 'error')
    for (const finding of input.findings) {
      if (finding.severity === 'error') io.err(`aofkit: ${finding.message}\n`)
    }
    let timed = selection.since === undefined && selection.until === undefined
    let before = 0
    let printed = 0
    for (const part of input.parts) {
      const range = ranges.get(part)
      if (range === undefined) continue
      const source = await openPart(part, { again: printer.wholeValues })
      const visitor: PrintVisitor = {
        command(selected) {
          const written = printer.command(part.name, source, selected)
          printed++
          const enough = (limit !== undefined && printed >= limit) || io.closed
          return written === undefined ? enough : written.then(() => enough)
        },
        entry(magic, entries, index) {
          printer.entry(part.name, magic, entries, index)
          printed++
          return (limit !== undefined && printed >= limit) || io.closed
        },
        async pause(offset) {
          bar.update(before + offset)
          await printer.pause()
          return io.closed
        },
      }
      try {
        if (limit === 0) break
        const end = await printPart(source, { ...selection, ...range }, server, options.databases, visitor)
        timed ||= end.timed
        if (end.error !== undefined) {
          damaged = true
          await printer.pause()
          io.err(
            `aofkit: ${escapeName(part.name)}:${end.error.offset}: ${end.error.message} (${end.error.code}); verify says what it means\n`,
          )
        }
        if (end.done) break
        before += source.size ?? 0
      } finally {
        await source.close()
      }
    }
    printer.end()
    bar.stop()
    await io.flush()
    if (!timed)
      io.err('aofkit: the log has no #TS: annotations, so --since and --until find no times in it\n')
    return damaged ? Exit.Damaged : Exit.Ok
  },
})

function given<T>(items: readonly T[]): ReadonlySet<T> | undefined {
  return items.length === 0 ? undefined : new Set(items)
}

type Range = Pick<Selection, 'from' | 'to'>
type Place = { readonly part?: string | undefined; readonly offset: number } | undefined

/** Which parts are read, and from where to where. */
function partRanges(parts: readonly Part[], from: Place, to: Place): Map<Part, Range> {
  const index = (bound: Place, option: string): number => {
    if (bound === undefined) return -1
    if (bound.part === undefined) {
      if (parts.length > 1) throw usage(`the log has several parts: --${option} PART:N`)
      return 0
    }
    const found = parts.findIndex(({ name }) => name === bound.part)
    if (found < 0) throw new JobError('usage', `no part is called ${escapeName(bound.part)}`)
    return found
  }
  const first = index(from, 'from-offset')
  const last = index(to, 'to-offset')
  const ranges = new Map<Part, Range>()
  for (const [i, part] of parts.entries()) {
    if (i < first || (last >= 0 && i > last)) continue
    ranges.set(part, {
      from: i === first ? (from?.offset ?? 0) : 0,
      to: i === last ? (to?.offset ?? 0) : Number.POSITIVE_INFINITY,
    })
  }
  return ranges
}
