import { describe, it } from 'vitest'
import { foundServers } from '../../helpers/servers.ts'
import { expectSame } from '../loading.ts'
import { argumentsOf, DOCUMENTED } from './documented.ts'

/* What is documented is what servers do: the same commands, with the digest and the refusals of each server. */

describe.each(foundServers())('%s', server => {
  it.each(Object.keys(DOCUMENTED))(
    'does with commands for %s what the keyspace does',
    { timeout: 120_000 },
    async family => {
      for (const { commands, servers } of DOCUMENTED[family]) {
        if (servers === undefined || servers.includes(server.name))
          await expectSame(server, commands.map(argumentsOf))
      }
    },
  )
})
