/**
 * Lets servers write logs, and compares what aofkit makes of them with what the servers do (test/keyspace/differential.ts
 * says how), until it differs or is stopped:
 *
 *     AOFKIT_SERVERS=… node scripts/run.js scripts/replay-differential.ts [SERVER|all] [SEED] [ROUNDS] [COMMANDS] [ONLY]
 *
 * ONLY is a pattern: of commands whose names, in small letters, match it. With KEEP_GOING in the environment it does not
 * end with what differs.
 */
import { foundServers } from '../test/helpers/servers.ts'
import { compareRound, leftOut } from '../test/keyspace/differential.ts'

const [which = 'all', seed = '1', rounds = 'Infinity', commands = '3000', only] = process.argv.slice(2)
const servers = foundServers().filter(({ name }) => which === 'all' || name === which)
for (const server of servers)
  console.log(`${server.name}: left out for want of a handler: ${leftOut(server).join(', ') || 'none'}`)

const sums = new Map(
  servers.map(({ name }) => [name, { logs: 0, commands: 0, compared: 0, deaths: 0, failures: 0 }]),
)
for (let round = 0; round < Number(rounds); round++) {
  for (const server of servers) {
    const sum = sums.get(server.name)!
    const result = await compareRound(server, {
      seed: Number(seed) + round,
      commands: Number(commands),
      cuts: 15,
      tornCuts: 2,
      only: only === undefined ? undefined : new RegExp(only),
    })
    sum.logs += result.logs
    sum.commands += result.commands
    sum.compared += result.compared
    sum.deaths += result.deaths
    if (result.failure !== undefined) {
      sum.failures++
      console.log(result.failure)
      process.exitCode = 1
      if (process.env.KEEP_GOING === undefined) process.exit()
    }
  }
  if (round % 5 === 4 || round === Number(rounds) - 1)
    for (const [name, sum] of sums) console.log(`${name}: ${JSON.stringify(sum)}`)
}
