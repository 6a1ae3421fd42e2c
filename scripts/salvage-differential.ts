/**
 * Has servers write logs, damages them (test/damage.ts), salvages them, and holds the results against the originals
 * (test/operations/salvaging.ts): no command invented, at most three sound ones lost for each damage, every server loads
 * the result, and keys that nothing lost touched are what they were. Until something differs, or it is stopped:
 *
 *     AOFKIT_SERVERS=… node scripts/run.js scripts/salvage-differential.ts [SEED] [LOGS] [COMMANDS] [DAMAGES] [ONLY]
 *
 * ONLY is a pattern: kinds of damage whose names match it. Each log is damaged ten times. With KEEP_GOING in the
 * environment it does not end with what differs. Without servers it makes logs by itself, and loads nothing.
 */
import { generator } from '../bench/logs.ts'
import { DAMAGES, damage, LARGE_DAMAGES } from '../test/damage.ts'
import { foundServers } from '../test/helpers/servers.ts'
import {
  compareSurvivors,
  kindsFor,
  madeLog,
  originalsOf,
  placesFor,
  salvageDamaged,
  serverLog,
} from '../test/operations/salvaging.ts'

const [seed = '1', logs = 'Infinity', commands = '4000', damages = '10', only = '.'] = process.argv.slice(2)
const DAMAGED_LOGS = 10
const servers = process.env.AOFKIT_SERVERS === undefined ? [] : foundServers()
const all = { ...DAMAGES, ...LARGE_DAMAGES }
const names = Object.keys(only === '.' ? DAMAGES : all).filter(name => new RegExp(only).test(name))
const sum = { logs: 0, damaged: 0, damages: 0, lost: 0, unseen: 0, loads: 0, compared: 0, failures: 0 }

for (let round = 0; round < Number(logs); round++) {
  const random = generator(Number(seed) + round)
  const writer = servers[round % servers.length]
  const log =
    writer === undefined
      ? madeLog(Number(commands), random, false)
      : await serverLog(writer, Number(commands), random)
  const originals = originalsOf(log)
  sum.logs++
  for (let time = 0; time < DAMAGED_LOGS; time++) {
    const places = placesFor(Number(damages), log.length, random)
    const kinds = kindsFor(places, names, random)
    const pieces = damage(
      log,
      kinds.map(name => all[name]),
      places,
      random,
    )
    try {
      const outcome = await salvageDamaged(log, originals, pieces)
      const { lost, unseen, invented } = outcome
      sum.damaged++
      sum.damages += kinds.length
      sum.lost += lost
      sum.unseen += unseen
      if (invented.length > 0)
        throw new Error(`${invented.length} commands invented: ${invented.slice(0, 2).join('\n')}`)
      if (lost > 3 * kinds.length) throw new Error(`${lost} sound commands lost`)
      for (const server of servers) {
        sum.compared += await compareSurvivors(server, log, originals, outcome)
        sum.loads++
      }
    } catch (error) {
      sum.failures++
      const what = kinds.map((kind, i) => `${places[i]}: ${kind}`).join('; ')
      console.log(
        `seed ${Number(seed) + round}, damage ${time}: ${(error as Error).message.slice(0, 600)}\n  ${what}`,
      )
      if (process.env.KEEP_GOING === undefined) process.exit(1)
    }
  }
  if (round % 5 === 4 || round === Number(logs) - 1) console.log(JSON.stringify(sum))
}
process.exitCode = sum.failures > 0 ? 1 : 0
