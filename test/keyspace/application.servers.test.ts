import { describe, expect, it } from 'vitest'
import { foundServers } from '../helpers/servers.ts'
import { compareApplication } from './application.ts'

/*
 * Programs that work with a server until it is killed, with a rewrite in between: what a copy of its log loads as must be
 * what the replay makes of it. scripts/application-log.ts lets them work for longer.
 */

describe.each(foundServers())('the log of programs that used %s', server => {
  it.each([true, false])(
    'has the digest and the values that the server has (preamble: %s)',
    { timeout: 120_000 },
    async preamble => {
      const options = { seconds: 1, seed: 1, rewrites: 1, preamble }
      const { failure, commands, keys, sent, compared } = await compareApplication(server, options)
      expect(failure).toBeUndefined()
      expect(Math.min(commands, sent)).toBeGreaterThan(100)
      expect(keys).toBeGreaterThan(50)
      expect(compared).toBeGreaterThan(5)
    },
  )
})
