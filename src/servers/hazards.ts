import { type Arguments, idOf, integerAt, isWord } from './commands.ts'
import { SERVERS, type ServerName } from './servers.ts'

/*
 * Commands that are known and have the right number of arguments, and yet end a server that replays them. No server
 * writes one into its log. Found by replaying every command and subcommand, outside and inside of MULTI, on every server
 * with the AOF as its only source (a replica answers PSYNC with an error instead).
 *
 * What stands in a transaction is executed at its EXEC: without one, nothing happens.
 */

export interface Hazard {
  /** Those that it happens to. */
  readonly servers: readonly ServerName[]
  /** What the server does, as in "redis-8.0 crashes". */
  readonly what: string
}

interface Rule extends Hazard {
  readonly id: number
  /** `inside`: only within MULTI and EXEC; `outside`: only elsewhere. */
  readonly where: 'anywhere' | 'inside' | 'outside'
  /** Whether the arguments are those that do it. */
  readonly when: (args: Arguments, first: number, argc: number) => boolean
}

const always = () => true

const RULES: readonly Rule[] = [
  // The queue that EXEC walks is freed under it.
  { id: idOf('discard'), servers: SERVERS, where: 'inside', when: always, what: 'crashes at the EXEC' },
  { id: idOf('reset'), servers: SERVERS, where: 'inside', when: always, what: 'crashes at the EXEC' },
  {
    id: idOf('psync'),
    servers: SERVERS,
    where: 'anywhere',
    when: (args, first, argc) => argc <= 3 || !isWord(args, first + 3, 'failover'),
    what: 'crashes',
  },
  { id: idOf('shutdown'), servers: SERVERS, where: 'anywhere', when: shutsDown, what: 'shuts down' },
  // An assertion that a client which loads a log never waits; the later ones do not let it wait.
  { id: idOf('wait'), servers: ['redis-7.0'], where: 'outside', when: waits, what: 'crashes' },
  { id: idOf('debug'), servers: SERVERS, where: 'anywhere', when: debug('assert'), what: 'crashes' },
  { id: idOf('debug'), servers: SERVERS, where: 'anywhere', when: debug('loadaof'), what: 'crashes' },
  { id: idOf('debug'), servers: SERVERS, where: 'anywhere', when: debug('oom'), what: 'crashes' },
  { id: idOf('debug'), servers: SERVERS, where: 'anywhere', when: debug('panic'), what: 'crashes' },
  { id: idOf('debug'), servers: SERVERS, where: 'anywhere', when: debug('segfault'), what: 'crashes' },
  { id: idOf('debug'), servers: ['redis-8.0'], where: 'outside', when: debug('reload'), what: 'crashes' },
  {
    id: idOf('debug'),
    servers: SERVERS,
    where: 'anywhere',
    when: debug('crash-and-recover'),
    what: 'starts anew again and again',
  },
  {
    id: idOf('debug'),
    servers: SERVERS,
    where: 'anywhere',
    when: debug('restart'),
    what: 'starts anew again and again',
  },
]

/** Ids of the commands about which {@link hazardOf} may have something to say. */
export const HAZARDOUS_IDS: ReadonlySet<number> = new Set(RULES.map(rule => rule.id))

/**
 * What a command does to a server that replays it, when that ends the server. Its arguments are those from `first` on,
 * `argc` of them.
 */
export function hazardOf(
  id: number,
  args: Arguments,
  first: number,
  argc: number,
  inTransaction: boolean,
): Hazard | undefined {
  if (!HAZARDOUS_IDS.has(id)) return undefined
  return RULES.find(
    rule =>
      rule.id === id &&
      (rule.where === 'anywhere' || (rule.where === 'inside') === inTransaction) &&
      rule.when(args, first, argc),
  )
}

// Without NOW it is refused, since it would have to wait for replicas; contradicting or unknown words as well.
function shutsDown(args: Arguments, first: number, argc: number): boolean {
  const seen = new Set<string>()
  for (let i = 1; i < argc; i++) {
    const word = ['now', 'nosave', 'save', 'force'].find(known => isWord(args, first + i, known))
    if (word === undefined) return false
    seen.add(word)
  }
  return seen.has('now') && !(seen.has('save') && seen.has('nosave'))
}

// To wait for no replica takes no time; a time below 0 is refused.
function waits(args: Arguments, first: number): boolean {
  return (integerAt(args, first + 1) ?? 0) > 0 && (integerAt(args, first + 2) ?? -1) >= 0
}

function debug(word: string): Rule['when'] {
  return (args, first) => isWord(args, first + 1, word)
}
