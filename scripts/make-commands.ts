/**
 * Asks real servers which commands they know and writes src/servers/commands.generated.ts.
 *
 *     node scripts/run.js scripts/make-commands.ts FOLDER
 *
 * FOLDER holds bin/NAME-server for each of the four servers.
 */
import { writeFileSync } from 'node:fs'
import { SERVERS } from '../src/servers/servers.ts'
import { type Reply, serversInFolder, versionOf } from '../test/helpers/servers.ts'

const TARGET = 'src/servers/commands.generated.ts'

interface Command {
  arity: Map<string, number>
  flags: Set<string>
  /** Newest server's answer wins: they differ in marks like `incomplete`, hardly ever in positions. */
  keys: string
}

const FLAGS: Record<string, string> = {
  write: 'w',
  readonly: 'r',
  admin: 'a',
  blocking: 'b',
  pubsub: 'p',
  module: 'm',
  movablekeys: 'k',
  no_multi: 'n',
}

const folder = process.argv[2]
if (folder === undefined) throw new Error('usage: make-commands FOLDER')
const commands = new Map<string, Command>()
const versions: string[] = []

const servers = serversInFolder(folder)
if (servers.length !== SERVERS.length) throw new Error(`${folder} has not all of ${SERVERS.join(', ')}`)
for (const server of servers) {
  versions.push(versionOf(server.binary).replace(/ sha=.*/, ''))
  const running = await server.load(new Uint8Array(0))
  for (const command of list(await running.query('COMMAND'))) take(server.name, command)
  await running.stop()
}

function take(server: string, reply: Reply): void {
  const fields = list(reply)
  const name = text(fields[0]).toLowerCase()
  const subcommands = list(fields[9])
  const known = commands.get(name) ?? { arity: new Map(), flags: new Set(), keys: '' }
  commands.set(name, known)
  known.arity.set(server, Number(fields[1]))
  for (const flag of list(fields[2]).map(text)) if (FLAGS[flag] !== undefined) known.flags.add(FLAGS[flag])
  if (subcommands.length > 0) known.flags.add('c')
  const keys = list(fields[8]).flatMap(keySpec).join(';')
  if (known.keys !== '' && known.keys !== keys)
    console.error(`${name}: keys ${known.keys}, on ${server} ${keys}`)
  known.keys = keys
  for (const subcommand of subcommands) take(server, subcommand)
}

/** `1` or `STREAMS@1` (where to begin), then `:last/step/limit` or `#count/first/step` (what to find from there). */
function keySpec(reply: Reply): string[] {
  const spec = map(reply)
  // A channel, or something else that only routes a command in a cluster.
  if (list(spec.get('flags')!).map(text).includes('not_key')) return []
  const begin = map(spec.get('begin_search')!)
  const find = map(spec.get('find_keys')!)
  const type = text(begin.get('type')!)
  if (type === 'unknown' || text(find.get('type')!) === 'unknown') return []
  const where = map(begin.get('spec')!)
  const how = map(find.get('spec')!)
  const from =
    type === 'index' ? `${where.get('index')}` : `${text(where.get('keyword')!)}@${where.get('startfrom')}`
  const to =
    text(find.get('type')!) === 'range'
      ? `:${how.get('lastkey')}/${how.get('keystep')}/${how.get('limit')}`
      : `#${how.get('keynumidx')}/${how.get('firstkey')}/${how.get('keystep')}`
  return [to === ':0/1/0' ? from : from + to]
}

function list(reply: Reply): Reply[] {
  if (!Array.isArray(reply)) throw new Error(`no list: ${reply}`)
  return reply
}

function text(reply: Reply): string {
  if (!Buffer.isBuffer(reply)) throw new Error(`no string: ${reply}`)
  return reply.toString('latin1')
}

function map(reply: Reply): Map<string, Reply> {
  const items = list(reply)
  return new Map(
    Array.from({ length: items.length / 2 }, (_, i) => [text(items[2 * i]), items[2 * i + 1]] as const),
  )
}

const lines = [...commands].sort(([a], [b]) => (a < b ? -1 : 1))
const rows = lines.map(([name, { arity, flags, keys }]) => {
  const arities = SERVERS.map(server => arity.get(server) ?? '')
  const same = arities.every(value => value === arities[0])
  return [name, same ? arities[0] : arities.join(','), [...flags].sort().join('') || '-', keys]
    .join(' ')
    .trimEnd()
})
writeFileSync(
  TARGET,
  `// Written by scripts/make-commands.ts from the answers of
${versions.map(version => `//   ${version}\n`).join('')}// Do not edit.

/**
 * A line for each command and subcommand: name, arity (one, or one a server in the order of SERVERS, empty where it is
 * unknown), flags, key specs. What the letters and specs mean stands in commands.ts, which reads this.
 */
export const COMMANDS = \`
${rows.join('\n')}
\`
`,
)
console.log(`${TARGET}: ${rows.length} commands and subcommands`)
