import type { Finding } from '../../aof/finding.ts'
import { resolveInput } from '../../aof/parts.ts'
import { formatCount } from '../../bytes/figures.ts'
import { Glob } from '../../bytes/glob.ts'
import { type KeyVisitor, visitKeys } from '../../operations/keys.ts'
import { KeyspaceSummary } from '../../operations/keyspace-summary.ts'
import { isRdbAlone, streamRdbKeys } from '../../operations/rdb-keys.ts'
import { replayLog } from '../../operations/replay.ts'
import { replayShards } from '../../operations/shards.ts'
import type { Kind } from '../../values/elements.ts'
import { defineCommand } from '../define.ts'
import { Exit } from '../exit.ts'
import {
  choice,
  flag,
  lastGiven,
  list,
  logOptions,
  outputOptions,
  readReplayOptions,
  replayOptions,
  wholeNumber,
  word,
} from '../options.ts'
import { KeyDump } from '../render/dump.ts'
import { place } from '../render/findings.ts'
import { toJson } from '../render/json.ts'
import { type KeyspaceRest, KINDS, keyspaceJson, keyspaceText } from '../render/keyspace.ts'
import { LineWriter } from '../render/lines.ts'
import { startProgress } from '../render/progress.ts'

export const replay = defineCommand({
  command: 'replay <path>',
  describe: 'Build the keyspace and summarise it, or print it (--dump)',
  epilogue: `The keyspace is that of a server which has loaded the log and expired nothing: commands that it refuses are passed over (rejected), a transaction without EXEC does not count. Times relative to now are counted from --as-of, else from the last #TS:.
Keys of modules, and of commands that --allow-commands names, are opaque: their commands are kept, not carried out.
Elements are items, members, fields and entries; bytes are those of keys and of the strings in their values.
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
    'load-truncated': flag('A torn end is fine, as for a server with aof-load-truncated yes (exit 0)'),
    ...logOptions,
    ...replayOptions,
    ...outputOptions,
  },
  async run(args, io) {
    const options = readReplayOptions(args)
    const databases = list(args.db).map(db => wholeNumber('db', db) as number)
    const types = list(args.type).map(type => choice('type', type, KINDS) as Kind)
    const wanted = {
      key: lastGiven(args.key),
      databases: databases.length === 0 ? undefined : new Set(databases),
      types: types.length === 0 ? undefined : new Set(types),
    }
    const selection = { ...wanted, key: wanted.key === undefined ? undefined : new Glob(wanted.key) }
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
    const say = ({ message, code, severity, ...where }: Finding, count = 1) => {
      const at = place(where)
      const more = count > 1 ? `, the first of ${formatCount(count)}` : ''
      const next = severity === 'error' ? '; verify says what it means' : ''
      io.err(`aofkit: ${at === '' ? '' : `${at}: `}${message} (${code}${more})${next}\n`)
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
        say(finding, count)
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
    let end: KeyspaceRest
    try {
      if (await isRdbAlone(input, options.databases)) {
        for (const finding of input.findings) {
          if (finding.severity !== 'error') continue
          damaged = true
          io.err(`aofkit: ${finding.message}\n`)
        }
        end = { functions: await streamRdbKeys(input, selection, options, visitor), rejected: 0, scripts: 0 }
      } else {
        const update = (bytes: number) => bar.update(bytes)
        // One keyspace to be printed: the order is that in which its keys were made.
        const replayed = dumps
          ? await replayLog(input, options, update)
          : await replayShards(input, options, update)
        try {
          for (const { first, count } of replayed.firstFindings) {
            if (first.severity === 'error') damaged = true
            if (first.severity === 'error' || first.code.startsWith('replay.')) say(first, count)
          }
          if (replayed.torn && args['load-truncated'] === true) damaged = false
          if ('keyspace' in replayed) await visitKeys(replayed.keyspace, selection, visitor, replayed.bytes)
          else for (const databases of await replayed.each('summary', wanted)) summary.add(databases)
          const { rejected, scripts } = replayed
          const functions = 'keyspace' in replayed ? replayed.keyspace.functions.size : replayed.functions
          end = { functions, rejected, scripts }
        } finally {
          await replayed.close()
        }
      }
      await write()
    } finally {
      bar.stop()
    }
    if (!dumps)
      io.out(args.json === true ? toJson(keyspaceJson(summary, end)) : keyspaceText(summary, end, io.style))
    return damaged ? Exit.Damaged : Exit.Ok
  },
})

/** Bytes that are written without a look at whether anyone takes them. */
const MUCH = 1 << 20
