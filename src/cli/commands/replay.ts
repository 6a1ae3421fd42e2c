import { resolveInput } from '../../aof/parts.ts'
import { formatBytes, formatCount, plural } from '../../bytes/figures.ts'
import { Glob } from '../../bytes/glob.ts'
import {
  type DatabaseSummary,
  KeyspaceSummary,
  type KeyVisitor,
  type ReplayEnd,
  replayLog,
} from '../../operations/replay.ts'
import type { Kind } from '../../values/elements.ts'
import { defineCommand } from '../define.ts'
import { Exit } from '../exit.ts'
import type { Io } from '../io.ts'
import {
  choice,
  flag,
  lastGiven,
  list,
  logOptions,
  outputOptions,
  readLogOptions,
  wholeNumber,
  word,
} from '../options.ts'
import { KeyDump } from '../render/dump.ts'
import { place } from '../render/findings.ts'
import { toJson } from '../render/json.ts'
import { LineWriter } from '../render/lines.ts'
import { startProgress } from '../render/progress.ts'
import { renderTable } from '../render/table.ts'

const KINDS: readonly Kind[] = ['string', 'list', 'set', 'zset', 'hash', 'stream', 'module', 'array']

export const replay = defineCommand({
  command: 'replay <path>',
  describe: 'Build the keyspace and summarise it, or print it (--dump)',
  epilogue: `So far for logs of RDB parts alone: where there are commands it refuses.
Elements are items, members, fields and entries; bytes are those of keys and of the strings in their values. Nothing expires.
--dump prints a key a line, as JSON: db, key, type, expireAtMs and value; jq reads it. A string that is not UTF-8 is {"base64": "…"}, an integer beyond 2^53 a string. A line whose value could not be read to its end says "incomplete": true.
Exit status: 0 all of it was read, 1 something is damaged or would not load (verify says what that means), 2 the job could not be done.`,
  examples: [
    ['aofkit replay PATH', 'how many keys of what type'],
    ["aofkit replay PATH --dump --key 'user:*'", 'what some keys hold'],
  ],
  options: {
    dump: flag('Print the keys and their values as JSON Lines'),
    key: word('Only keys matching this glob, as for KEYS'),
    db: word('Only these databases (N,…)'),
    type: word(`Only keys of these types (${KINDS.join(', ')})`),
    ...logOptions,
    ...outputOptions,
  },
  async run(args, io) {
    const options = readLogOptions(args)
    const databases = list(args.db).map(db => wholeNumber('db', db) as number)
    const types = list(args.type).map(type => choice('type', type, KINDS) as Kind)
    const selection = {
      key: args.key === undefined ? undefined : new Glob(lastGiven(args.key) as string),
      databases: databases.length === 0 ? undefined : new Set(databases),
      types: types.length === 0 ? undefined : new Set(types),
    }
    const input = await resolveInput(args.path)
    const dumps = args.dump === true
    let waiting = 0
    const lines = new LineWriter(bytes => {
      waiting += bytes.length
      io.out(bytes)
    })
    const summary = new KeyspaceSummary()
    const sink = dumps ? new KeyDump(lines) : summary
    const bar = startProgress(io, dumps && io.outIsTerminal ? false : args.progress, input.size)
    let damaged = false
    for (const { severity, message } of input.findings) {
      if (severity !== 'error') continue
      damaged = true
      io.err(`aofkit: ${message}\n`)
    }
    const write = async () => {
      lines.flush()
      waiting = 0
      await io.flush()
    }
    const visitor: KeyVisitor = {
      key: key => sink.key(key),
      cut: () => sink.cut(),
      async damage(finding, count) {
        damaged = true
        await write()
        const more = count > 1 ? `, the first of ${formatCount(count)}` : ''
        const what = `${finding.message} (${finding.code}${more}); verify says what it means`
        io.err(`aofkit: ${place(finding)}: ${what}\n`)
      },
      async pause(bytes) {
        bar.update(bytes)
        await write()
      },
      get full() {
        return waiting > MUCH
      },
      get done() {
        return io.closed
      },
    }
    try {
      const end = await replayLog(input, selection, options, visitor)
      await write()
      if (!dumps)
        io.out(args.json === true ? toJson(jsonSummary(summary, end)) : textSummary(summary, end, io))
    } finally {
      bar.stop()
    }
    return damaged ? Exit.Damaged : Exit.Ok
  },
})

/** Bytes that are written without a look at whether anyone takes them. */
const MUCH = 1 << 20

function inOrder({ databases }: KeyspaceSummary): [number, DatabaseSummary][] {
  return [...databases].sort(([a], [b]) => a - b)
}

/** Types in the order of their names: that of the log is none. */
function typesOf({ types }: DatabaseSummary): [Kind, number][] {
  return KINDS.flatMap(kind => {
    const count = types.get(kind)
    return count === undefined ? [] : [[kind, count] as [Kind, number]]
  })
}

function jsonSummary(summary: KeyspaceSummary, { functions, rejected }: ReplayEnd) {
  return {
    databases: Object.fromEntries(
      inOrder(summary).map(([db, counts]) => [db, { ...counts, types: Object.fromEntries(typesOf(counts)) }]),
    ),
    functions,
    rejected,
  }
}

function textSummary(summary: KeyspaceSummary, { functions, rejected }: ReplayEnd, { style }: Io): string {
  const title = (text: string) => style.dim(text)
  const rows = inOrder(summary).map(([db, counts]) => [
    `${db}`,
    formatCount(counts.keys),
    formatCount(counts.expires),
    formatCount(counts.elements),
    formatBytes(counts.bytes),
    typesOf(counts)
      .map(([kind, count]) => `${kind} ${formatCount(count)}`)
      .join(', '),
  ])
  const table = renderTable(
    [
      { title: title('db'), right: true },
      { title: title('keys'), right: true },
      { title: title('expires'), right: true },
      { title: title('elements'), right: true },
      { title: title('bytes'), right: true },
      { title: title('types') },
    ],
    rows,
  )
  const lines = [
    rows.length === 0 ? 'No keys.' : '',
    functions === 0 ? '' : `${plural(functions, 'library', 'libraries')} of functions.`,
    rejected === 0 ? '' : `${plural(rejected, 'command')} that a server refuses.`,
  ].filter(line => line !== '')
  return [rows.length === 0 ? '' : table, lines.map(line => `${line}\n`).join('')]
    .filter(text => text !== '')
    .join('\n')
}
