import { describe, expect, it } from 'vitest'
import { forEachParallel } from '../helpers/parallel.ts'
import { foundServers } from '../helpers/servers.ts'
import { temporaryFolder } from '../helpers/temp.ts'
import { verifyBytes } from '../helpers/verify.ts'
import { fileOf, VALUE_CASES } from './value-cases.ts'

/*
 * Whether a real server starts on a log whose base holds the value, and what verify says about it.
 */

const SERVERS = foundServers()

describe.skipIf(SERVERS.length === 0).each(SERVERS)('%s', server => {
  it('starts where verify says that it does, and not where it says corrupt', async () => {
    const wrong: string[] = []
    await forEachParallel(VALUE_CASES, async value => {
      const file = fileOf(value)
      const loaded = await server.load(file, { as: 'base' })
      await loaded.stop()
      const { verdict, findings } = await verifyBytes(temporaryFolder(), file, { as: server.name })
      if (loaded.started === (verdict !== 'corrupt')) return
      const found = findings.map(({ code }) => code).join(', ')
      const did = loaded.started ? 'starts' : `does not start: ${loaded.errors.slice(0, 2).join('; ')}`
      wrong.push(`${value.name}: ${verdict} (${found}), but it ${did}`)
    })
    expect(wrong).toEqual([])
  }, 120_000)
})
