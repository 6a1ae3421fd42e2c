import { describe, expect, it } from 'vitest'
import { CommandTable } from '../../src/servers/commands.ts'
import { type Hazard, hazardOf } from '../../src/servers/hazards.ts'
import { SERVERS } from '../../src/servers/servers.ts'
import { encodeCommand, foundServers } from '../helpers/servers.ts'

const table = new CommandTable('redis-8.0')

function hazard(text: string, inTransaction: boolean): Hazard | undefined {
  const words = text.split(' ')
  const bytes = Buffer.from(text)
  const start: number[] = []
  let at = 0
  for (const word of words) {
    start.push(at)
    at += word.length + 1
  }
  const args = { bytes, start, length: words.map(word => word.length) }
  return hazardOf(table.lookup(bytes, 0, words[0].length), args, 0, words.length, inTransaction)
}

/** Commands, and the servers that they end outside and inside of a transaction. */
const CASES: [command: string, outside: readonly string[], inside: readonly string[]][] = [
  ['PSYNC ? -1', SERVERS, SERVERS],
  ['PSYNC 0123456789012345678901234567890123456789 1', SERVERS, SERVERS],
  ['PSYNC x 1 FAILOVER', [], []],
  ['SHUTDOWN', [], []],
  ['SHUTDOWN NOW', SERVERS, SERVERS],
  ['shutdown nosave force now', SERVERS, SERVERS],
  ['SHUTDOWN SAVE NOSAVE NOW', [], []],
  ['SHUTDOWN NOW ABORT', [], []],
  ['SHUTDOWN NOSAVE', [], []],
  ['WAIT 1 0', ['redis-7.0'], []],
  ['WAIT 1 1', ['redis-7.0'], []],
  ['WAIT 1 -1', [], []],
  ['WAIT 01 0', [], []],
  ['WAIT 0 0', [], []],
  ['DISCARD', [], SERVERS],
  ['RESET', [], SERVERS],
  ['DEBUG SEGFAULT', SERVERS, SERVERS],
  ['debug panic', SERVERS, SERVERS],
  ['DEBUG ASSERT', SERVERS, SERVERS],
  ['DEBUG OOM', SERVERS, SERVERS],
  ['DEBUG LOADAOF', SERVERS, SERVERS],
  ['DEBUG RELOAD', ['redis-8.0'], []],
  ['DEBUG SLEEP 0', [], []],
  ['SYNC', [], []],
  ['MONITOR', [], []],
  ['SUBSCRIBE channel', [], []],
  ['BLPOP nokey 0', [], []],
  ['CLIENT KILL ID 0', [], []],
  ['QUIT', [], []],
  ['MULTI', [], []],
  ['EXEC', [], []],
]

describe('hazardOf', () => {
  it.each(CASES)('says whom %s ends', (command, outside, inside) => {
    expect(hazard(command, false)?.servers ?? []).toEqual(outside)
    expect(hazard(command, true)?.servers ?? []).toEqual(inside)
  })

  it('knows the two that cannot be tried where servers run behind a loader of their own', () => {
    expect(hazard('DEBUG RESTART', false)?.servers).toEqual(SERVERS)
    expect(hazard('DEBUG CRASH-AND-RECOVER', true)?.servers).toEqual(SERVERS)
  })
})

describe.each(foundServers())('%s', server => {
  it.each(CASES)('ends on %s exactly where hazardOf says so', async (command, outside, inside) => {
    const words = command.split(' ')
    for (const within of [false, true]) {
      // MULTI and EXEC would change what the frame around them means.
      if (within && (command === 'MULTI' || command === 'EXEC')) continue
      const commands = within
        ? [['MULTI'], words, ['EXEC']]
        : command === 'MULTI'
          ? [words, ['EXEC']]
          : [words]
      const log = Buffer.concat([...commands, ['SET', 'behind', '1']].map(encodeCommand))
      const loaded = await server.load(log, { args: ['--replicaof', 'no', 'one'] })
      const behind = loaded.started ? await loaded.query('EXISTS', 'behind') : undefined
      await loaded.stop()
      const ends = (within ? inside : outside).includes(server.name)
      expect([loaded.started, behind], `${command}, ${within ? 'inside' : 'outside'} of MULTI`).toEqual(
        ends ? [false, undefined] : [true, 1],
      )
    }
  })
})
