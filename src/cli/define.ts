import type { Exit } from './exit.ts'
import type { Io } from './io.ts'

/** An option that is there or not. As yargs takes it. */
export interface FlagOption {
  readonly boolean: true
  readonly describe: string
  readonly group?: string
  /** On by default: `--no-NAME` switches it off, and is what help shows. */
  readonly negated?: true
}

export function isFlag(option: FlagOption | WordOption): option is FlagOption {
  return 'boolean' in option
}

/** An option with a value. */
export interface WordOption {
  readonly string: true
  readonly requiresArg: true
  readonly describe: string
  readonly group?: string
  readonly default?: string
}

/** What yargs gives for a {@link WordOption}: an array when it was repeated. */
export type Given = string | readonly string[] | undefined

export type Options = Readonly<Record<string, FlagOption | WordOption>>

export type Arguments<O extends Options> = {
  readonly [name in keyof O]: O[name] extends FlagOption ? boolean | undefined : Given
} & { readonly path: string }

/** One subcommand: what it is called and takes, and what it does. Its file is loaded when it is called. */
export interface Command<O extends Options = Options> {
  /** How it is called: `verify <path>`. */
  readonly command: string
  readonly describe: string
  /** Paragraphs for the end of its help. */
  readonly epilogue?: string
  readonly examples?: readonly (readonly [call: string, says: string])[]
  readonly options: O
  run(args: Arguments<O>, io: Io): Promise<Exit>
}

export function defineCommand<const O extends Options>(command: Command<O>): Command {
  return command as unknown as Command
}
