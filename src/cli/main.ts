import yargs from 'yargs'
import manifest from '../../package.json' with { type: 'json' }
import { FormatError, JobError } from '../bytes/errors.ts'
import { escapeName } from '../bytes/escape.ts'
import { argumentName } from '../bytes/names.ts'
import { removeTemporaries } from '../bytes/temporaries.ts'
import type { Command } from './define.ts'
import { Exit } from './exit.ts'
import { type Io, processIo } from './io.ts'

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
]

/**
 * Runs the command line `argv` (without `node` and the script). The exit status: every error ends here, as one line on
 * standard error.
 */
export async function main(argv: readonly string[], io: Io): Promise<Exit> {
  let status: Exit = Exit.Ok
  try {
    const loaded = COMMANDS.find(({ name }) => name === argv[0])
    const called = await loaded?.load()
    const parser = yargs()
      .scriptName('aofkit')
      .usage('aofkit COMMAND PATH [OPTION ...]')
      .locale('en')
      .version(manifest.version)
      .alias({ help: 'h' })
      .parserConfiguration({ 'duplicate-arguments-array': true, 'parse-numbers': false })
      .strict()
      .demandCommand(1, 'Which command? `aofkit --help` lists them.')
      .wrap(Math.min(io.columns ?? 100, 120))
      .exitProcess(false)
      .fail((message, error) => {
        throw error ?? new JobError('usage', message)
      })
      .epilogue(
        'PATH is an AOF file, an RDB file, a manifest, a folder of a multi-part AOF (appendonlydir, or the data folder around it), or - for standard input; single files may be compressed with gzip or zstd.\nExit status: 0 sound or done, 1 damage or difference, 2 the job could not be done.',
      )
    for (const { name, describe } of COMMANDS) {
      if (name !== argv[0] || called === undefined) parser.command(`${name} <path>`, describe)
    }
    if (called !== undefined) {
      parser.command(
        called.command,
        called.describe,
        builder => {
          builder
            .usage(`aofkit ${called.command.replace('<path>', 'PATH')} [OPTION ...]\n\n${called.describe}`)
            .positional('path', {
              type: 'string',
              demandOption: true,
              describe: 'What to read (see aofkit --help)',
            })
            .options(called.options)
          for (const [call, says] of called.examples ?? []) builder.example(call, says)
          if (called.epilogue !== undefined) builder.epilogue(called.epilogue)
          return builder
        },
        async args => {
          // yargs makes an empty string of a dash that stands for standard input.
          const path = args.path === '' && argv.includes('-') ? '-' : args.path
          status = await called.run({ ...args, path } as never, io)
        },
      )
    }
    const output = await new Promise<string>((resolve, reject) => {
      parser
        .parseAsync([...argv], {}, (error, _args, text) => (error ? reject(error) : resolve(text)))
        .catch(reject)
    })
    if (output !== '') io.out(`${output}\n`)
    await io.flush()
    return status
  } catch (error) {
    await io.flush()
    io.err(`${describeError(error)}\n`)
    return error instanceof FormatError ? Exit.Damaged : Exit.Failed
  }
}

function describeError(error: unknown): string {
  if (error instanceof JobError) {
    const text = `aofkit: ${error.message}`
    if (error.code === 'usage') return `${text}\nTry: aofkit --help`
    return error.hint === undefined ? text : `${text}\n${error.hint}`
  }
  if (error instanceof FormatError) return `aofkit: ${error.message} (${error.code} at ${error.offset})`
  const message = error instanceof Error ? error.message : String(error)
  if (process.env.AOFKIT_DEBUG !== undefined && error instanceof Error) return `aofkit: ${error.stack}`
  return `aofkit: ${escapeName(message)}`
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
