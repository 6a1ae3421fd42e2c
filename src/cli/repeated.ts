import { quoteForShell } from '../bytes/escape.ts'
import { logOptions } from './options.ts'

/**
 * The options of a call that a call to be made next must have too, as they stand on a command line, each with a space
 * before it.
 */
export function repeated(args: Readonly<Record<string, unknown>>, names: readonly string[]): string {
  return names
    .flatMap(name => {
      const value = args[name]
      const byDefault = (logOptions as Record<string, { default?: string }>)[name]?.default
      if (value === undefined || value === false || value === byDefault) return []
      if (value === true) return [` --${name}`]
      return (Array.isArray(value) ? value : [value]).map(item => ` --${name} ${quoteForShell(String(item))}`)
    })
    .join('')
}
