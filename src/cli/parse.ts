import yargs, { type Argv } from 'yargs'
import type { JobError } from '../bytes/errors.ts'
import { escapeName } from '../bytes/escape.ts'
import { type Command, type FlagOption, isFlag, type Options } from './define.ts'
import { usage } from './options.ts'

/*
 * The words of a call. yargs takes them apart and lays out the help; what it made of them is checked here: it would
 * pass over much in silence, and shows words that nobody has escaped.
 */

/** A call that was taken apart: the help or version that it asks for, or what to do. */
export type Call =
  | { readonly text: string }
  | { readonly args: Record<string, unknown> & { readonly path: string } }

export interface ParserOptions {
  readonly version: string
  /** Columns that help may take. */
  readonly columns: number
}

/** Takes apart the words behind a command's name. */
export async function parseCommand(
  name: string,
  command: Command,
  words: readonly string[],
  options: ParserOptions,
): Promise<Call> {
  const parser = parserFor(
    `aofkit ${name} PATH [OPTION ...]\n\n${command.describe}.\nPATH is what to read (\`aofkit --help\` says what it can be), - is standard input.`,
    options,
  )
  const declared = Object.entries(command.options)
  for (const [key, option] of declared) if (option.group === undefined) addOption(parser, key, option)
  addHelp(parser)
  for (const [key, option] of declared) if (option.group !== undefined) addOption(parser, key, option)
  for (const [call, says] of command.examples ?? []) parser.example(call, says)
  if (command.epilogue !== undefined) parser.epilogue(command.epilogue)

  const { problem, ...parsed } = parse(parser, plainFlags(words, command.options))
  const text = await asked(parser, parsed.args, options)
  if (text !== undefined) return { text }
  checkOptions(parsed.args, words, command.options)
  if (problem !== undefined) throw problem
  const [path, ...others] = parsed.paths
  if (path === undefined) throw usage(`${name} needs a PATH`)
  if (others.length > 0) {
    const all = parsed.paths.map(item => `"${escapeName(item)}"`)
    throw usage(`${name} takes one PATH, not ${all.length}: ${all.join(', ')}`)
  }
  if (path === '') throw usage('the path is empty')
  return { args: { ...parsed.args, path } }
}

/** Takes apart a call without a known command: there is help in it, or it cannot be understood. */
export async function parseOverview(
  commands: readonly { readonly name: string; readonly describe: string }[],
  words: readonly string[],
  options: ParserOptions,
): Promise<Call> {
  const parser = parserFor('aofkit COMMAND PATH [OPTION ...]', options)
  for (const { name, describe } of commands) parser.command(`${name} PATH`, describe)
  addHelp(parser)
  parser.epilogue(
    'PATH is an AOF file, an RDB file, a manifest, a folder of a multi-part AOF (appendonlydir, or the data folder around it), or - for standard input; single files may be compressed with gzip or zstd.\nExit status: 0 sound or done, 1 damage or difference, 2 the job could not be done.',
  )
  const { args, paths, problem } = parse(parser, words)
  const text = await asked(parser, args, options)
  if (text !== undefined) return { text }
  checkOptions(args, words, {})
  if (problem !== undefined) throw problem
  const names = commands.map(({ name }) => name)
  const [word] = paths
  if (word === undefined || words[0] === '--') throw usage(`which command: ${names.join(', ')}?`)
  throw usage(`no command "${escapeName(word)}"${didYouMean(word, names)}`)
}

const OWN = 'Options:'

function parserFor(text: string, { columns }: ParserOptions): Argv {
  return (
    yargs()
      .scriptName('aofkit')
      .usage(text)
      .locale('en')
      .updateStrings({
        'Not enough arguments following: %s': '--%s needs a value (behind a = where it begins with a dash)',
        'Argument unexpected for: %s': '--%s takes no value',
      })
      .parserConfiguration({
        'camel-case-expansion': false,
        'dot-notation': false,
        'duplicate-arguments-array': true,
        'parse-numbers': false,
        'parse-positional-numbers': false,
        'populate--': true,
      })
      .wrap(columns)
      .exitProcess(false)
      // Its own would take a path that is called "help" for a wish.
      .help(false)
      .version(false)
  )
}

/** Groups stand in the help in the order in which they get their first option. */
function addOption(parser: Argv, key: string, option: Options[string]): void {
  const { describe, group = OWN } = option
  if (!isFlag(option)) {
    parser.option(key, { ...option, group })
    return
  }
  parser.option(key, { boolean: true, nargs: 0, describe, group, hidden: option.negated === true })
  if (option.negated === true) parser.option(shownAs(key, option), { boolean: true, describe, group })
}

function addHelp(parser: Argv): void {
  parser
    .option('help', { alias: 'h', boolean: true, nargs: 0, describe: 'Show help', group: OWN })
    .option('version', { boolean: true, nargs: 0, describe: 'Show version number', group: OWN })
}

/** A flag that is on unless it is switched off stands in the help as the word that does so. */
function shownAs(key: string, option: FlagOption): string {
  return option.negated === true ? `no-${key}` : key
}

/** `--json=true` as `--json`, `--json=false` as `--no-json`: to yargs a flag takes no value, so it swallows no word. */
function plainFlags(words: readonly string[], options: Options): string[] {
  const end = words.indexOf('--')
  return words.map((word, index) => {
    const [, key = '', value] = /^--([^=]+)=(true|false)$/.exec(word) ?? []
    const option = Object.hasOwn(options, key) ? options[key] : undefined
    if (option === undefined || !isFlag(option) || (end >= 0 && index > end)) return word
    return value === 'true' ? `--${key}` : `--no-${key}`
  })
}

function parse(
  parser: Argv,
  words: readonly string[],
): { args: Record<string, unknown>; paths: string[]; problem: JobError | undefined } {
  let problem: JobError | undefined
  parser.fail((message, error) => {
    problem ??= usage(message ?? error.message)
  })
  const { _, $0, '--': behind = [], ...args } = parser.parseSync([...words]) as Record<string, unknown>
  return { args, paths: [...(_ as string[]), ...(behind as string[])], problem }
}

/** The help or version, when that is what the call is about. */
async function asked(
  parser: Argv,
  args: Record<string, unknown>,
  { version }: ParserOptions,
): Promise<string | undefined> {
  if (args.help === true) return parser.getHelp()
  return args.version === true ? version : undefined
}

const EVERYWHERE: Options = {
  help: { boolean: true, describe: '' },
  h: { boolean: true, describe: '' },
  version: { boolean: true, describe: '' },
}

function checkOptions(args: Record<string, unknown>, words: readonly string[], options: Options): void {
  const known: Options = { ...EVERYWHERE, ...options }
  for (const [key, value] of Object.entries(args)) {
    const option = Object.hasOwn(known, key) ? known[key] : undefined
    // To yargs, `--no-` goes with every option.
    const isNegated = value === false || (Array.isArray(value) && value.includes(false))
    if (option !== undefined && (isFlag(option) || !isNegated)) continue
    const given = words.find(word => spells(word, key)) ?? (key.length > 1 ? `--${key}` : `-${key}`)
    const spelled = given.split('=', 1)[0]
    const names = Object.entries(options).map(([name, item]) =>
      isFlag(item) ? `--${shownAs(name, item)}` : `--${name}`,
    )
    throw usage(`no option ${escapeName(spelled)}${didYouMean(spelled, names)}`)
  }
}

function spells(word: string, key: string): boolean {
  const name = word.split('=', 1)[0]
  return name === `--${key}` || name === `--no-${key}`
}

function didYouMean(word: string, names: readonly string[]): string {
  let nearest: string | undefined
  let least = Math.min(3, Math.ceil(word.replace(/^-+/, '').length / 2))
  for (const name of names) {
    const distance = editDistance(word.toLowerCase(), name, least)
    if (distance < least) {
      least = distance
      nearest = name
    }
  }
  return nearest === undefined ? '' : `; did you mean ${nearest}?`
}

/** Letters to add, take away or change to make one word of the other; `enough` when there are at least so many. */
function editDistance(a: string, b: string, enough: number): number {
  if (Math.abs(a.length - b.length) >= enough) return enough
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)))
    }
    row = next
  }
  return row[b.length]
}
