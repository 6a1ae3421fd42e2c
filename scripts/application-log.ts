/**
 * Lets programs work with servers, as queues, session stores and caches do (test/keyspace/application.ts), kills the
 * servers meanwhile, and compares what aofkit makes of their logs with what they have when they load a copy:
 *
 *     AOFKIT_SERVERS=… node scripts/run.js scripts/application-log.ts [SERVER|all] [SECONDS] [REWRITES] [SEED]
 */
import { foundServers } from '../test/helpers/servers.ts'
import { compareApplication } from '../test/keyspace/application.ts'

const [which = 'all', seconds = '60', rewrites = '3', seed = '1'] = process.argv.slice(2)
for (const server of foundServers().filter(({ name }) => which === 'all' || name === which)) {
  for (const preamble of [true, false]) {
    const outcome = await compareApplication(server, {
      ...{ seconds: Number(seconds), rewrites: Number(rewrites), seed: Number(seed), preamble },
    })
    console.log(`${server.name}, preamble ${preamble ? 'yes' : 'no'}: ${JSON.stringify(outcome)}`)
    if (outcome.failure !== undefined) process.exitCode = 1
  }
}
