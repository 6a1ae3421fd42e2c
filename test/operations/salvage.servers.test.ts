import { describe, expect, it } from 'vitest'
import { generator } from '../../bench/logs.ts'
import { DAMAGES, damage } from '../damage.ts'
import { foundServers } from '../helpers/servers.ts'
import { compareSurvivors, kindsFor, originalsOf, placesFor, salvageDamaged, serverLog } from './salvaging.ts'

const SEED = Number(process.env.AOFKIT_SEED ?? 20240507)
const RUNS = process.env.AOFKIT_LONG === undefined ? 1 : 50

describe.each(foundServers())('a log that %s wrote, damaged and salvaged', writer => {
  it('loads on every server, with all keys that no lost command named as they were', {
    timeout: 1_000_000,
  }, async () => {
    const random = generator(SEED)
    const log = await serverLog(writer, 3000, random)
    const originals = originalsOf(log)
    for (let run = 0; run < RUNS; run++) {
      const places = placesFor(25, log.length, random)
      const kinds = kindsFor(places, Object.keys(DAMAGES), random)
      const pieces = damage(
        log,
        kinds.map(kind => DAMAGES[kind]),
        places,
        random,
      )
      const outcome = await salvageDamaged(log, originals, pieces, writer.name)
      expect(outcome.invented).toEqual([])
      expect(outcome.lost).toBeLessThanOrEqual(75)
      for (const server of foundServers())
        expect(await compareSurvivors(server, log, originals, outcome)).toBeGreaterThan(100)
    }
  })
})
