import { statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { write } from './logs.ts'
import { aofkit, data, median, run, tool } from './processes.ts'
import { loadWork } from './server-times.ts'
import { randomOf, WORKLOADS, type Workload } from './workloads.ts'

/*
 * What a command costs when there is four times as much of everything: whole processes that replay a log and a quarter of
 * it, in turn, each less what a sixty-fourth takes, so that neither start-up nor the compiler's warming hides anything. In
 * time of processors, as far as the system tells it.
 *
 * A ratio above 1 that a server has, too, is that of caches, which hold the small structure and not the large one.
 */

const ROUNDS = 5
const MOST = 1.5
/** The part of a log that is taken off. */
const LEAST = 64
/** How many times as many commands are left in the large one. */
const MORE = (1 - 1 / LEAST) / (1 / 4 - 1 / LEAST)

interface Costs {
  readonly small: number
  readonly large: number
  readonly ratio: number
}

function logOf(workload: Workload, part: number): string {
  const size = Math.floor(workload.commands / part)
  const name = workload.name.replace(/[^a-z]+/gi, '-').toLowerCase()
  return write(join(data, `flat-${name}-${size}.aof`), emit => {
    emit('SELECT', '0')
    workload.emit(emit, size, randomOf(4))
  })
}

/** Measures the workloads whose name contains one of the words, or all. */
export async function flatCosts(words: readonly string[]): Promise<void> {
  const named = WORKLOADS.map(workload => ({ ...workload, title: `flat cost, ${workload.name}` }))
  const chosen = named.filter(({ title }) => words.length === 0 || words.some(word => title.includes(word)))
  if (chosen.length === 0) return
  const server = tool('server', ['valkey-9.1', 'redis-8.0', 'redis-7.0'])
  const work = async (path: string) => (await run(process.execPath, [aofkit, 'replay', path])).work
  process.stdout.write(
    `replay of a log and of a quarter of it, less a sixty-fourth: medians of ${ROUNDS} rounds; cost a command in the large one against the small one (at most ${MOST})\n\n`,
  )
  for (const workload of chosen) {
    const full = logOf(workload, 1)
    const quarter = logOf(workload, 4)
    const least = logOf(workload, LEAST)
    const measure = async (cost: (path: string) => Promise<number>): Promise<Costs> => {
      const idle = await cost(least)
      const small = (await cost(quarter)) - idle
      const large = (await cost(full)) - idle
      return { small, large, ratio: large / small / MORE }
    }
    const rounds: Costs[] = []
    for (let i = 0; i < ROUNDS; i++) rounds.push(await measure(work))
    const theirs: number[] = []
    if (server !== undefined && workload.noServer === undefined) {
      for (let i = 0; i < ROUNDS; i++) theirs.push((await measure(path => loadWork(path, server))).ratio)
    }
    const small = median(rounds.map(round => round.small))
    const large = median(rounds.map(round => round.large))
    const its =
      theirs.length > 0
        ? `; ${basename(server as string)} loading it: ${median(theirs).toFixed(2)}`
        : workload.noServer === undefined
          ? ''
          : `; no server: ${workload.noServer}`
    process.stdout.write(
      `${workload.title} (${(statSync(full).size / 1e6).toFixed(0)} MB)\n  ${small.toFixed(2)} s and ${large.toFixed(2)} s for 4 times as many\n  ratio: ${median(rounds.map(round => round.ratio)).toFixed(2)}${its}\n\n`,
    )
  }
}
