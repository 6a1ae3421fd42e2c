/** Logs that seeds give, compared with a server. */
import type { Server } from '../helpers/servers.ts'
import { check, Reloader } from './comparing.ts'
import { Generator } from './generate.ts'
import { type Course, type Log, madeUp, recordsOf, written } from './logs.ts'
import { generator } from './replaying.ts'

export interface Compared {
  /** In words; undefined: none was found. */
  readonly failure: string | undefined
  /** Logs that servers wrote, or could have. */
  readonly logs: number
  /** Commands in them. */
  readonly commands: number
  /** Logs, whole and cut, that were compared. */
  readonly compared: number
  /** Logs on which the server died. */
  readonly deaths: number
}

export interface Round {
  readonly seed: number
  /** In each log, about. */
  readonly commands: number
  /** Of each log. */
  readonly cuts: number
  readonly tornCuts: number
  /** Only commands whose name, in small letters, matches. */
  readonly only?: RegExp | undefined
}

/** Commands that are left out for a server, since no handler is there for what it logs. */
export function leftOut(server: Server): readonly string[] {
  return new Generator({ server: server.name, seed: 1, live: true }).missing
}

/**
 * One log that is made up, and some that a server writes: with and without preambles, as a primary and as a replica; and
 * made up commands behind the base of a server, whose values they find as they were saved.
 */
export async function compareRound(server: Server, round: Round): Promise<Compared> {
  const { seed } = round
  const random = generator(seed ^ 0x5eed)
  const course = (preamble: boolean, replica: boolean): Course => ({
    ...round,
    ...{ preamble, replica, timestamps: random(2) === 0, rewrites: 2 },
  })
  const flip = random(2) === 0
  const sources: (() => Promise<Log[]>)[] = [
    async () => [madeUp(server, round)],
    () => written(server, course(true, flip)),
    () => written(server, course(false, !flip)),
    async () => behindBase(server, round, await written(server, course(true, flip))),
  ]
  const hllSparseMaxBytes = [3000, 3000, 0, 200, 16_000][random(5)]
  const reloader = new Reloader(server, { hllSparseMaxBytes, packs: [128, 0, 1, 16, 1000][random(5)] })
  const sum = { logs: 0, commands: 0, compared: 0 }
  try {
    for (const source of sources) {
      for (const log of await source()) {
        const { failure, compared } = await check(reloader, log, { ...round, random })
        sum.logs++
        sum.commands += commandsIn(log)
        sum.compared += compared
        if (failure !== undefined)
          return { ...sum, failure: `AOFKIT_SEED=${seed}: ${failure}`, deaths: reloader.failures }
      }
    }
  } finally {
    await reloader.stop()
  }
  return { ...sum, failure: undefined, deaths: reloader.failures }
}

/** Other commands of the same kinds behind the last base that the logs have. */
function behindBase(server: Server, round: Round, logs: readonly Log[]): Log[] {
  const base = logs.findLast(([first]) => first.name.endsWith('.base.rdb'))?.[0]
  if (base === undefined) return []
  return [[base, ...madeUp(server, { ...round, seed: round.seed ^ 0xba5e })]]
}

function commandsIn(log: Log): number {
  let commands = 0
  for (const { name, bytes } of log) if (!name.endsWith('.rdb')) commands += recordsOf(bytes).length
  return commands
}
