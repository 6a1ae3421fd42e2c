import { describe, expect, it } from 'vitest'
import { foundServers } from '../helpers/servers.ts'
import { compareRound, leftOut } from './differential.ts'

/*
 * Servers write logs, of commands that a seed gives; each log is loaded by a server, whole and cut, and replayed. What
 * they have then must be the same: DEBUG DIGEST, every key with its value and its time, fields' times, streams with
 * their groups, functions. A failure says after which command it differs, keeps the log, and shows the shortest one that
 * still differs. `AOFKIT_SEED=N` runs a seed again; with AOFKIT_LONG=1 there are more seeds, and
 * scripts/replay-differential.ts goes on without end.
 */

const LONG = process.env.AOFKIT_LONG !== undefined
const FIRST_SEED = Number(process.env.AOFKIT_SEED ?? 4711)
const SEEDS = Array.from({ length: LONG ? 12 : 1 }, (_, i) => FIRST_SEED + i)

describe.each(foundServers())('%s', server => {
  const missing = leftOut(server)
  if (missing.length > 0) console.log(`${server.name}: no handlers yet for ${missing.join(', ')}`)

  it.each(SEEDS)(
    'has what the replay has, at every cut of its logs (seed %i)',
    { timeout: 120_000 },
    async seed => {
      const round = { seed, commands: LONG ? 3000 : 500, cuts: LONG ? 15 : 4, tornCuts: LONG ? 2 : 1 }
      const { failure, compared, deaths } = await compareRound(server, round)
      expect(failure).toBeUndefined()
      expect(compared).toBeGreaterThan(20)
      expect(deaths).toBe(0)
    },
  )
})
