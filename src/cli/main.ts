import manifest from '../../package.json' with { type: 'json' }
import { FormatError, JobError } from '../bytes/errors.ts'
import { escapeName } from '../bytes/escape.ts'
import { argumentName } from '../bytes/names.ts'
import { removeTemporaries } from '../bytes/temporaries.ts'
import type { Command } from './define.ts'
import { Exit } from './exit.ts'
import { type Io, processIo } from './io.ts'
import { parseCommand, parseOverview } from './parse.ts'

const COMMANDS: readonly { name: string; describe: string; load: () => Promise<Command> }[] = [
  {
    name: 'inspect',
    describe: 'What is this: parts, sizes, versions, keys, times; nothing is replayed',
    load: async () => (await import('./commands/inspect.ts')).inspect,
  },
  {
    name: 'print',
    describe: 'The commands, one a line, filtered',
    load: async () => (await import('./commands/print.ts')).print,
  },
  {
    name: 'verify',
    describe: 'Read every byte: would a server start, and with what? Never writes',
    load: async () => (await import('./commands/verify.ts')).verify,
  },
  {
    name: 'repair',
    describe: 'Cut what servers do not load, and keep what was cut',
    load: async () => (await import('./commands/repair.ts')).repair,
  },
  {
    name: 'rewind',
    describe: 'Go back to a moment: keep the log up to it, or without some commands, at a new place',
    load: async () => (await import('./commands/rewind.ts')).rewind,
  },
  {
    name: 'replay',
    describe: 'The keys that a server would have: how many, of what; or all of them, as JSON Lines',
    load: async () => (await import('./commands/replay.ts')).replay,
  },
  {
    name: 'digest',
    describe: 'What DEBUG DIGEST would print on a server that loaded it',
    load: async () => (await import('./commands/digest.ts')).digest,
  },
  {
    name: 'compact',
    describe: 'Rewrite it to the smallest log with the same keyspace, offline, and check that it is',
    load: async () => (await import('./commands/compact.ts')).compact,
  },
]

/**
 * Runs the command line `argv` (without `node` and the script). The exit status: every error ends here, as one line on
 * standard error.
 */
export async function main(argv: readonly string[], io: Io): Promise<Exit> {
  // The command is the first word that is no option.
  const at = argv.findIndex(word => !word.startsWith('-'))
  const known = argv.slice(0, at).includes('--') ? undefined : COMMANDS.find(({ name }) => name === argv[at])
  try {
    const options = { version: manifest.version, columns: Math.min(io.columns ?? 100, 120) }
    const command = await known?.load()
    const call =
      known === undefined || command === undefined
        ? await parseOverview(COMMANDS, argv, options)
        : await parseCommand(known.name, command, argv.toSpliced(at, 1), options)
    let status: Exit = Exit.Ok
    if ('text' in call) io.out(`${call.text}\n`)
    else status = (await command?.run(call.args as never, io)) ?? Exit.Ok
    await io.flush()
    return status
  } catch (error) {
    await io.flush()
    io.err(`${describeError(error, known?.name)}\n`)
    return error instanceof FormatError ? Exit.Damaged : Exit.Failed
  }
}

/** @param command that was called */
function describeError(error: unknown, command: string | undefined): string {
  if (error instanceof JobError) {
    const text = `aofkit: ${error.message}`
    if (error.code === 'usage') {
      return `${text}\nTry: aofkit ${command === undefined ? '' : `${command} `}--help`
    }
    return error.hint === undefined ? text : `${text}\n${error.hint}`
  }
  if (error instanceof FormatError) return `aofkit: ${error.message} (${error.code} at ${error.offset})`
  if (process.env.AOFKIT_DEBUG !== undefined && error instanceof Error) return `aofkit: ${error.stack}`
  return `aofkit: ${escapeName(unexpected(error))}`
}

/** What can be said of something that was thrown: it need not be an error, nor have a message. */
function unexpected(error: unknown): string {
  try {
    if (error instanceof Error) return error.message || error.name
    return String(error) || 'failed without a reason'
  } catch {
    return 'failed without a reason'
  }
}

/** The process itself: its arguments, its output, its signals; `bin/aofkit.js` is this call. */
export async function run(): Promise<void> {
  for (const [signal, status] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    process.on(signal, () => {
      removeTemporaries()
      process.exit(status)
    })
  }
  const status = await main(process.argv.slice(2).map(argumentName), processIo())
  process.exitCode ??= status
}
