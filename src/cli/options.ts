import { JobError } from '../bytes/errors.ts'
import { escapeName } from '../bytes/escape.ts'
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
    'Commands of modules, or of servers unknown to aofkit, to take as they are (NAME,…)',
    {
      group: 'Log:',
    },
  ),
  as: word(`Whose behaviour counts: ${SERVERS.join(', ')}; default: the server that wrote the log`, {
    group: 'Log:',
  }),
  'hll-sparse-max-bytes': word("The servers' setting of this name", { default: '3000', group: 'Log:' }),
  'as-of': word('The clock, where a log has none: a time; default: its last #TS:', { group: 'Log:' }),
} as const

export const outputOptions = {
  json: flag('One JSON document on standard output', 'Output:'),
  progress: flag('Show progress on standard error; default: when it is a terminal', 'Output:'),
} as const

/** Reads {@link logOptions}. */
export function readLogOptions(args: { readonly [name in keyof typeof logOptions]?: Given }): LogOptions {
  wholeNumber('hll-sparse-max-bytes', args['hll-sparse-max-bytes'])
  time('as-of', args['as-of'])
  return {
    databases: wholeNumber('databases', args.databases, 1) as number,
    allowCommands: list(args['allow-commands']),
    as: server('as', args.as),
  }
}
