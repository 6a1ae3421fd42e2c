import { describe, expect, it } from 'vitest'
import type { Command } from '../../src/values/command.ts'
import { NO_EXPIRY } from '../../src/values/elements.ts'
import { RebuildCommands } from '../../src/values/rebuild.ts'
import { encodeCommand, foundServers } from '../helpers/servers.ts'
import { slice } from './telling.ts'

/** 2100, and 1970. */
const LATER = 4_102_444_800_000n
const PAST = 1000n
const HASHES: Readonly<Record<string, readonly bigint[]>> = {
  mixed: [LATER, LATER, NO_EXPIRY, LATER, LATER + 1n, NO_EXPIRY],
  all: [LATER],
  past: [PAST, LATER, NO_EXPIRY],
  'only past': [PAST, PAST],
  many: Array.from({ length: 200 }, (_, i) => (i % 3 === 0 ? NO_EXPIRY : LATER + BigInt(i >> 3))),
}

function log(setWithExpiry: boolean): Buffer {
  const commands: Buffer[] = []
  const rebuild = new RebuildCommands(
    ({ bytes, start, end, count }: Command) => {
      commands.push(encodeCommand(Array.from({ length: count }, (_, a) => bytes.slice(start[a], end[a]))))
    },
    { setWithExpiry },
  )
  for (const [key, times] of Object.entries(HASHES)) {
    rebuild.key(slice(key), NO_EXPIRY)
    rebuild.begin('hash', times.length)
    times.forEach((time, i) => {
      rebuild.field(slice(`field ${i}`), slice(`value ${i}`), time)
    })
    rebuild.end()
  }
  return Buffer.concat(commands)
}

const servers = foundServers().filter(({ name }) => name === 'redis-8.0' || name === 'valkey-9.1')

if (servers.length === 0)
  it('needs redis 8.0 or valkey 9.1, which know HSETEX', context => context.skip('neither is here'))

describe.skipIf(servers.length === 0)('fields that expire, set with HSETEX', () => {
  it.each(servers)('%s: are what they are when HPEXPIREAT says when they expire', async server => {
    const states = await Promise.all(
      [false, true].map(async setWithExpiry => {
        const loaded = await server.load(log(setWithExpiry))
        try {
          expect({ started: loaded.started, errors: loaded.errors }).toEqual({ started: true, errors: [] })
          const state: Record<string, unknown> = { digest: String(await loaded.query('DEBUG', 'DIGEST')) }
          for (const [key, times] of Object.entries(HASHES)) {
            const fields = times.map((_, i) => `field ${i}`)
            state[key] = await loaded.query('HPEXPIRETIME', key, 'FIELDS', fields.length, ...fields)
          }
          return state
        } finally {
          await loaded.stop()
        }
      }),
    )
    expect(states[1]).toEqual(states[0])
    expect((states[1].mixed as number[]).slice(0, 3)).toEqual([Number(LATER), Number(LATER), -1])
  })
})
