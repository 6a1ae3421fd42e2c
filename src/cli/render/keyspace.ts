import type { ChalkInstance } from 'chalk'
import { formatBytes, formatCount, plural } from '../../bytes/figures.ts'
import type { DatabaseSummary, KeyspaceSummary } from '../../operations/keyspace-summary.ts'
import type { Kind } from '../../values/elements.ts'
import { renderTable } from './table.ts'

/** In the order in which they are told. */
export const KINDS: readonly Kind[] = ['string', 'list', 'set', 'zset', 'hash', 'stream', 'module', 'array']

/** What there is besides keys: libraries of functions, commands that servers refuse, scripts that were left out. */
export interface KeyspaceRest {
  readonly functions: number
  readonly rejected: number
  readonly scripts: number
}

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

/** As `replay --json` has it. */
export function keyspaceJson(summary: KeyspaceSummary, { functions, rejected, scripts }: KeyspaceRest) {
  return {
    databases: Object.fromEntries(
      inOrder(summary).map(([db, counts]) => [db, { ...counts, types: Object.fromEntries(typesOf(counts)) }]),
    ),
    functions,
    rejected,
    ...(scripts === 0 ? {} : { scripts }),
  }
}

/** A table of databases, and what there is besides them. */
export function keyspaceText(
  summary: KeyspaceSummary,
  { functions, rejected, scripts }: KeyspaceRest,
  style: ChalkInstance,
): string {
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
    scripts === 0 ? '' : `${plural(scripts, 'script')} left out.`,
  ].filter(line => line !== '')
  return [rows.length === 0 ? '' : table, lines.map(line => `${line}\n`).join('')]
    .filter(text => text !== '')
    .join('\n')
}
