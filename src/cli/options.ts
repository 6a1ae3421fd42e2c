import { JobError } from '../bytes/errors.ts'
import { escapeName } from '../bytes/escape.ts'
import type { ReplayOptions } from '../operations/replay.ts'
import type { LogOptions } from '../operations/verify.ts'
import { isServerName, SERVERS, type ServerName } from '../servers/servers.ts'
import type { FlagOption, Given, WordOption } from './define.ts'

/*
 * Options that several commands take, and how their values are read. yargs gives an option that was repeated as an
 * array: lists join them, everything else takes the last.
 */

export function lastGiven(value: Given): string | undefined {
  return typeof value === 'string' || value === undefined ? value : value.at(-1)
}

/** `A,B` and `--x A --x B`: both give A and B. */
export function list(value: Given): string[] {
  if (value === undefined) return []
  const all = typeof value === 'string' ? [value] : value
  return all.flatMap(item => item.split(',')).filter(item => item !== '')
}

/** @param message a line; words of the call in it are escaped */
export function usage(message: string): JobError {
  return new JobError('usage', message)
}

function shown(text: string): string {
  return `"${escapeName(text)}"`
}

/** A whole number, 0 or more. */
export function wholeNumber(option: string, value: Given, least = 0): number | undefined {
  const text = lastGiven(value)
  if (text === undefined) return undefined
  const number = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN
  if (!(Number.isSafeInteger(number) && number >= least)) {
    throw usage(`--${option} takes a whole number from ${least} on, not ${shown(text)}`)
  }
  return number
}

const UNITS: Record<string, number> = {
  '': 1,
  b: 1,
  k: 1000,
  kb: 1024,
  m: 1000 ** 2,
  mb: 1024 ** 2,
  g: 1000 ** 3,
  gb: 1024 ** 3,
}

/** A size as servers' configuration has it (`64mb` is binary, `64m` decimal), in bytes. */
export function size(option: string, value: Given): number | undefined {
  const text = lastGiven(value)
  if (text === undefined) return undefined
  const [, digits = '', unit = ''] = /^(\d{1,15})([a-z]*)$/.exec(text.toLowerCase()) ?? []
  const bytes = Number(digits) * (UNITS[unit] ?? Number.NaN)
  if (digits === '' || !Number.isSafeInteger(bytes)) {
    throw usage(`--${option} takes a size like 64mb, not ${shown(text)}`)
  }
  return bytes
}

/** A size, or a share of the whole: `1mb`, `0.5%`. */
export function sizeOrShare(option: string, value: Given): ((whole: number) => number) | undefined {
  const text = lastGiven(value)
  if (text === undefined) return undefined
  const share = /^(\d{1,3}(?:\.\d{1,9})?)%$/.exec(text)?.[1]
  if (share !== undefined) return whole => (whole * Number(share)) / 100
  const bytes = size(option, value) as number
  return () => bytes
}

const DURATIONS: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 }

/** `90s`, `36h`, `7d`, in seconds. */
export function duration(option: string, value: Given): number | undefined {
  const text = lastGiven(value)
  if (text === undefined) return undefined
  const [, digits = '', unit = ''] = /^(\d{1,9})([smhdw])$/.exec(text) ?? []
  if (digits === '') throw usage(`--${option} takes a duration like 90s, 36h or 7d, not ${shown(text)}`)
  return Number(digits) * DURATIONS[unit]
}

/** `MIN`, or `MIN..MAX`. */
export function range(
  option: string,
  value: Given,
): { readonly least: number; readonly most: number } | undefined {
  const text = lastGiven(value)
  if (text === undefined) return undefined
  const [, least = '', most] = /^(\d{1,15})(?:\.\.(\d{1,15}))?$/.exec(text) ?? []
  const limits = { least: Number(least), most: most === undefined ? Number.POSITIVE_INFINITY : Number(most) }
  if (least === '' || limits.most < limits.least)
    throw usage(`--${option} takes MIN or MIN..MAX, not ${shown(text)}`)
  return limits
}

/** ISO 8601 (UTC without a zone) or Unix seconds, as Unix seconds. */
export function time(option: string, value: Given): number | undefined {
  const text = lastGiven(value)
  if (text === undefined) return undefined
  if (/^\d{1,12}(\.\d{1,3})?$/.test(text)) return Number(text)
  const match = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)(Z|[+-]\d\d:?\d\d)?)?$/i.exec(
    text,
  )
  const [, day, clock = '00:00:00', zone = 'Z'] = match ?? []
  const milliseconds = isDay(day) ? Date.parse(`${day}T${clock}${zone.toUpperCase()}`) : Number.NaN
  if (Number.isNaN(milliseconds)) {
    throw usage(`--${option} takes a time like 2024-05-01T12:00:00 (UTC) or Unix seconds, not ${shown(text)}`)
  }
  return milliseconds / 1000
}

/** Whether a day is in the calendar: JavaScript takes 2024-02-30 for the first of March. */
function isDay(day: string | undefined): boolean {
  const midnight = new Date(`${day}T00:00:00Z`)
  return !Number.isNaN(midnight.getTime()) && midnight.toISOString().startsWith(`${day}T`)
}

export function server(option: string, value: Given): ServerName | undefined {
  const text = lastGiven(value)
  if (text === undefined) return undefined
  if (!isServerName(text)) throw usage(`--${option} takes one of ${SERVERS.join(', ')}, not ${shown(text)}`)
  return text
}

/** One of several words. */
export function choice<const W extends string>(
  option: string,
  value: Given,
  words: readonly W[],
): W | undefined {
  const text = lastGiven(value)
  if (text === undefined) return undefined
  const found = words.find(item => item === text)
  if (found === undefined) throw usage(`--${option} takes one of ${words.join(', ')}, not ${shown(text)}`)
  return found
}

/** `[PART:]N`: an offset, and the part that it is in. */
export function place(
  option: string,
  value: Given,
): { readonly part: string | undefined; readonly offset: number } | undefined {
  const text = lastGiven(value)
  if (text === undefined) return undefined
  const colon = text.lastIndexOf(':')
  const offset = wholeNumber(option, text.slice(colon + 1)) as number
  return { part: colon < 0 ? undefined : text.slice(0, colon), offset }
}

/** Declares an option with a value; what the value means is read by the functions above. */
export function word(describe: string, more: Pick<WordOption, 'group' | 'default'> = {}): WordOption {
  return { string: true, requiresArg: true, describe, ...more }
}

export function flag(describe: string, group?: string): FlagOption {
  return group === undefined ? { boolean: true, describe } : { boolean: true, describe, group }
}

/** Declares a flag that is on unless `--no-NAME` is given; `describe` says what that does. */
export function negatedFlag(describe: string): FlagOption {
  return { boolean: true, negated: true, describe }
}

/** Options of every command that interprets the log. */
export const logOptions = {
  databases: word('Databases that the server has', { default: '16', group: 'Log:' }),
  'allow-commands': word(
    'Commands of modules, or of servers unknown to aofkit, to take as they are (NAME,…); NAME@N says which argument is their key, 0 that they have none',
    {
      group: 'Log:',
    },
  ),
  as: word(`Whose behaviour counts: ${SERVERS.join(', ')}; default: the server that wrote the log`, {
    group: 'Log:',
  }),
  'hll-sparse-max-bytes': word("The servers' setting of this name", { default: '3000', group: 'Log:' }),
  'as-of': word('The clock: a time; default: the last #TS: of the log', { group: 'Log:' }),
} as const

export const outputOptions = {
  json: flag('One JSON document on standard output', 'Output:'),
  progress: flag('Show progress on standard error; default: when it is a terminal', 'Output:'),
} as const

/** Behind the name of a command: which argument is its key. */
const KEY_POSITION = /@(\d{1,4})$/

/** Options of every command that replays the log. */
export const replayOptions = {
  'skip-scripts': flag('Leave out EVAL, EVALSHA and FCALL, which only a server can run', 'Log:'),
} as const

/** Reads {@link logOptions} and {@link replayOptions}. */
export function readReplayOptions(
  args: { readonly [name in keyof typeof logOptions]?: Given } & {
    readonly [name in keyof typeof replayOptions]?: boolean | undefined
  },
): ReplayOptions {
  const keyPositions = new Map<string, number>()
  for (const name of list(args['allow-commands'])) {
    const position = KEY_POSITION.exec(name)?.[1]
    if (position !== undefined)
      keyPositions.set(name.replace(KEY_POSITION, '').toLowerCase(), Number(position))
  }
  return {
    ...readLogOptions(args),
    asOf: time('as-of', args['as-of']),
    hllSparseMaxBytes: wholeNumber('hll-sparse-max-bytes', args['hll-sparse-max-bytes']),
    keyPositions,
    skipScripts: args['skip-scripts'] === true,
  }
}

/** Reads {@link logOptions}. */
export function readLogOptions(args: { readonly [name in keyof typeof logOptions]?: Given }): LogOptions {
  wholeNumber('hll-sparse-max-bytes', args['hll-sparse-max-bytes'])
  time('as-of', args['as-of'])
  return {
    databases: wholeNumber('databases', args.databases, 1) as number,
    allowCommands: list(args['allow-commands']).map(name => name.replace(KEY_POSITION, '')),
    as: server('as', args.as),
  }
}
