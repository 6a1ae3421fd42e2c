import { nothing } from '../src/keyspace/commands/handler.ts'
import { FAMILIES, HANDLERS, hasEffect } from '../src/keyspace/commands/table.ts'
import { MODULE_PREFIXES } from '../src/keyspace/opaque-commands.ts'
import { CommandTable, commandNames, Flag, idOf, knownTo } from '../src/servers/commands.ts'
import { SERVERS } from '../src/servers/servers.ts'

/** Commands that none of the servers here knows, and the first Redis that does. */
const NEWER: Readonly<Record<string, string>> = {
  blmovem: 'redis 8.10',
  delex: 'redis 8.4',
  digest: 'redis 8.4',
  lmovem: 'redis 8.10',
  xdelex: 'redis 8.2',
  xackdel: 'redis 8.2',
  xcfgset: 'redis 8.6',
  xidmprecord: 'redis 8.6',
  xnack: 'redis 8.8',
}

/** What only a server can run: `--skip-scripts` leaves it out. */
const SCRIPTS: ReadonlySet<string> = new Set(['eval', 'evalsha', 'fcall'])
const TRANSACTIONS: ReadonlySet<string> = new Set(['multi', 'exec'])

interface Line {
  readonly name: string
  readonly cells: readonly string[]
}

/** The text of docs/commands.md. */
export function commandDocs(): string {
  const replayed: Line[] = []
  const without: Line[] = []
  const opaque: Line[] = []
  const refused: Line[] = []
  // Flags are those of all servers together.
  const { flags } = new CommandTable(SERVERS[0])
  for (const name of new Set([...commandNames(), ...Object.keys(HANDLERS)])) {
    const flag = NEWER[name] === undefined ? flags[idOf(name)] : 0
    // Its subcommands have lines of their own.
    if ((flag & Flag.Container) !== 0 && HANDLERS[name] === undefined) continue
    const line = (...more: string[]): Line => ({ name, cells: [shown(name), ...serversOf(name), ...more] })
    if (HANDLERS[name] !== undefined && HANDLERS[name] !== nothing) replayed.push(line(fileOf(name)))
    else if (TRANSACTIONS.has(name)) replayed.push(line('`replayer.ts`'))
    else if (!hasEffect(name, flag)) without.push(line())
    else if ((flag & Flag.Module) !== 0) opaque.push(line())
    else
      refused.push(
        line(SCRIPTS.has(name) ? '`--skip-scripts`' : `\`--allow-commands ${shown(name.split('|')[0])}@N\``),
      )
  }
  return `<!-- Written by scripts/make-command-docs.ts: do not edit. -->

# What replaying does with each command

From the tables that \`replay\`, \`digest\` and \`verify --replay\` go by: ${replayed.length} commands and
subcommands are replayed, ${without.length} have no effect on keys, ${opaque.length} are kept for their key, ${refused.length} are refused.
✓: the server knows it. A command that the server whose behaviour counts (\`--as\`) does not know is an error, as it would
be when that server starts.

## Replayed

Carried out as a server does that loads the log, in the file of \`src/keyspace/commands\` that is named, with all of its
options. Commands with a version instead of marks are newer than the servers here: \`--allow-commands NAME\` makes them known.

${table(replayed, ['carried out in'])}

## Opaque

Commands of modules. Their key becomes opaque: its value and its commands are kept as they stand, in order, and \`DEL\`,
\`RENAME\`, expiries and flushes still apply to it. The same goes for commands of modules that a server loads, where the
first argument is the key (${MODULE_PREFIXES.map(prefix => `\`${prefix.toUpperCase()}*\``).join(', ')}), and for any other with
\`--allow-commands NAME@N\`, which says that argument N is its key (0: it has none). What defines an index (\`FT.CREATE\`,
\`FT.ALTER\`, …) concerns no key, and is kept beside them.

${table(opaque)}

## Refused

Replaying stops with an error that names the command, its offset and the option that helps. Servers log other commands
for what these do, except for scripts before redis 7.0.

${table(refused, ['option'])}

## Without effect on keys

Passed over.

${table(without)}
`
}

function table(lines: readonly Line[], more: readonly string[] = []): string {
  const rows = [...lines].sort((a, b) => (a.name < b.name ? -1 : 1)).map(({ cells }) => cells)
  const head = ['command', ...SERVERS.map(server => server.replace('-', ' ')), ...more]
  return [head, head.map(() => '---'), ...rows].map(cells => `| ${cells.join(' | ')} |`).join('\n')
}

/** `XGROUP CREATE`. */
function shown(name: string): string {
  return name.toUpperCase().replace('|', ' ')
}

/** A mark for each server that knows it; of a newer command, who does. */
function serversOf(name: string): string[] {
  const [container, sub] = name.split('|')
  const bytes = Buffer.from(sub ?? container, 'latin1')
  const known = new Set(knownTo(bytes, 0, bytes.length, sub === undefined ? -1 : idOf(container)))
  if (known.size > 0) return SERVERS.map(server => (known.has(server) ? '✓' : ''))
  const since = NEWER[name]
  if (since === undefined) throw new Error(`${name}: no server knows it, and it is not said who does`)
  return [since, '', '', '']
}

function fileOf(name: string): string {
  const family = Object.keys(FAMILIES).find(family => FAMILIES[family][name] !== undefined)
  return `\`${family}.ts\``
}
