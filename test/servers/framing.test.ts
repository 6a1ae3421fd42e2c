import { describe, expect, it } from 'vitest'
import { foundServers, type Loaded, type Server } from '../helpers/servers.ts'
import { FRAMING_CASES, type FramingCase } from './framing-cases.ts'

const PART = 'appendonlydir/appendonly.aof.1.incr.aof'

/**
 * What a server does, in the words of a case. What loads with `no` does so with `yes`, and what is refused with `yes` is
 * with `no`: the start that is likely to tell is tried first.
 */
async function outcome(server: Server, { bytes, outcome }: FramingCase): Promise<object> {
  const start = async (truncated: 'yes' | 'no') => {
    const loaded = await server.load(bytes, { truncated })
    const keys = loaded.started ? await keysOf(loaded) : []
    const size = loaded.sizes[PART]
    await loaded.stop()
    return { started: loaded.started, crashed: loaded.crashed, keys, size }
  }
  const strict = outcome === 'loads' ? await start('no') : undefined
  if (strict?.started) return { outcome: 'loads', keys: strict.keys, ...changed(strict.size, bytes) }
  const lenient = await start('yes')
  if (lenient.crashed) return { outcome: 'crashes', keys: [] }
  if (!lenient.started) return { outcome: 'stops', keys: [] }
  const { started } = strict ?? (await start('no'))
  return { outcome: started ? 'loads' : 'torn', keys: lenient.keys, ...changed(lenient.size, bytes) }
}

function changed(size: number | undefined, bytes: Uint8Array): { validUpTo?: number | undefined } {
  return size === bytes.length ? {} : { validUpTo: size }
}

async function keysOf(loaded: Loaded): Promise<string[]> {
  const keys = await loaded.query('KEYS', '*')
  return Array.isArray(keys) ? keys.map(String).sort() : [String(keys)]
}

it('gives every case a name of its own', () => {
  expect(new Set(FRAMING_CASES.map(({ name }) => name)).size).toBe(FRAMING_CASES.length)
})

describe.each(foundServers())('%s', server => {
  it('does with every form of a log what the case says', { timeout: 120_000 }, async () => {
    const wrong: object[] = []
    const waiting = [...FRAMING_CASES]
    const work = async () => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        const { name, bytes: _, ...expected } = next
        const found = await outcome(server, next)
        try {
          expect(found).toEqual(expected)
        } catch {
          wrong.push({ name, expected, found })
        }
      }
    }
    await Promise.all([work(), work()])
    expect(wrong).toEqual([])
  })
})
