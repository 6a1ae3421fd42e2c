import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { generator } from '../../bench/logs.ts'
import { Findings } from '../../src/aof/finding.ts'
import { BufferSource } from '../../src/bytes/source.ts'
import { Window } from '../../src/bytes/window.ts'
import { LogServer } from '../../src/operations/log-server.ts'
import { PartCheck } from '../../src/operations/part-check.ts'
import { AffectedKeys } from '../../src/operations/salvage.ts'
import { planRdbSalvage, type RdbSalvage } from '../../src/operations/salvage-rdb.ts'
import { RdbWalk } from '../../src/rdb/walk.ts'
import { encode } from '../helpers/chunks.ts'
import { foundServers } from '../helpers/servers.ts'
import { entry, rdb, select, str } from '../rdb/build.ts'

const SEED = Number(process.env.AOFKIT_SEED ?? 20240508)
const RUNS = process.env.AOFKIT_LONG === undefined ? 60 : 5000

interface Found {
  readonly key: string
  readonly bytes: string
  readonly offset: number
  readonly end: number
}

/** The entries of a sound RDB. */
async function entriesOf(bytes: Buffer): Promise<Found[]> {
  const walk = new RdbWalk(new Window(new BufferSource(bytes)), { values: true })
  const found: Found[] = []
  for (let event = await walk.next(); event !== undefined; event = await walk.next()) {
    if (event.kind !== 'entries') continue
    const { count, offset, end, db } = event.entries
    for (let i = 0; i < count; i++) {
      const key = Buffer.from(event.entries.keyBytes(i) ?? '').toString('latin1')
      found.push({
        key: `${db}:${key}`,
        bytes: bytes.toString('latin1', offset[i], end[i]),
        offset: offset[i],
        end: end[i],
      })
    }
  }
  return found
}

async function salvage(bytes: Buffer): Promise<RdbSalvage & { result: Buffer }> {
  const plan = await planRdbSalvage(
    new BufferSource(bytes),
    new LogServer(undefined, []),
    16,
    new AffectedKeys(),
  )
  const pieces: Uint8Array[] = []
  let at = 0
  for (const { offset, end, by } of plan.spans) {
    expect(offset).toBeGreaterThanOrEqual(at)
    pieces.push(bytes.subarray(at, offset), by)
    at = end
  }
  return { ...plan, result: Buffer.concat([...pieces, bytes.subarray(at)]) }
}

async function check(bytes: Buffer) {
  const place = { file: 'x', type: 'single', last: true } as const
  const findings = new Findings()
  const report = await new PartCheck(place, findings, new LogServer(undefined, []), 16).run(
    new BufferSource(bytes),
  )
  return { ...report, errors: findings.list().filter(({ severity }) => severity === 'error') }
}

const key = (i: number) => entry(0, `key:${i}`, str(`value ${i}`))
const rest = (count: number, from = 0) => Array.from({ length: count }, (_, i) => key(from + i))

describe('a damaged RDB', () => {
  it('loses nothing by a wrong checksum', async () => {
    const sound = rdb('REDIS0010', select(0), ...rest(5))
    const wrong = Buffer.from(sound)
    wrong[wrong.length - 1] ^= 1
    const { result, keys, first } = await salvage(wrong)
    expect({ keys, first, same: result.equals(sound) }).toEqual({
      keys: 5,
      first: 'rdb.checksum',
      same: true,
    })
    expect((await salvage(sound)).spans).toEqual([])
  })

  it('that is cut keeps every whole entry, and gets an end', async () => {
    const sound = rdb('REDIS0010', select(0), ...rest(5))
    for (let end = 20; end < sound.length; end++) {
      const { result, keys } = await salvage(sound.subarray(0, end))
      expect(await check(result), `${end}`).toMatchObject({ verdict: 'sound', keys })
    }
    expect((await salvage(sound.subarray(0, -9))).keys).toBe(5)
  })

  it('keeps the entries on both sides, and the commands behind it', async () => {
    const sound = rdb(
      'REDIS0010',
      select(0),
      ...rest(5),
      Buffer.from('\xf0\xff broken', 'latin1'),
      ...rest(5, 10),
    )
    const log = Buffer.concat([sound, encode('SET', 'a', 'b')])
    const { result, keys, gaps, end } = await salvage(log)
    // The last one before the damage may be part of it.
    expect({ keys, gaps, end }).toEqual({ keys: 9, gaps: 1, end: sound.length })
    expect(await check(result)).toMatchObject({ verdict: 'sound', keys: 9, commands: 1 })
  })

  it('loses the second of two entries of one key', async () => {
    const { result, keys } = await salvage(rdb('REDIS0010', select(0), ...rest(5), key(2), key(7)))
    expect(keys).toBe(6)
    expect(await check(result)).toMatchObject({ verdict: 'sound', keys: 6 })
  })

  it('goes on with the database before the gap, and refuses a header that cannot be read', async () => {
    const damaged = rdb('REDIS0010', select(3), ...rest(4), Buffer.from([0xf0, 0xff]), ...rest(4, 10))
    expect((await entriesOf((await salvage(damaged)).result)).map(({ key }) => key)).toContain('3:key:12')
    await expect(salvage(Buffer.from('REDIS00xx and more'))).rejects.toThrow('header')
  })

  const folder = fileURLToPath(new URL('../../fixtures/rdb', import.meta.url))
  const files = readdirSync(folder).filter(name => /^(redis|valkey)-[\d.]+-types\.rdb$/.test(name))

  it.each(files)(
    '%s, overwritten anywhere, loads afterwards with nearly all of its sound entries',
    async name => {
      const sound = readFileSync(join(folder, name))
      const originals = await entriesOf(sound)
      const known = new Set(originals.map(({ bytes }) => bytes))
      let lost = 0
      for (let run = 0; run < RUNS; run++) {
        const random = generator(SEED + run)
        const size = 1 + Math.floor(random() * (run % 3 === 0 ? 100 : 4))
        const at = 9 + Math.floor(random() * (sound.length - 9 - size))
        const damaged = Buffer.from(sound)
        for (let i = at; i < at + size; i++) damaged[i] = Math.floor(random() * 256)
        const context = `seed ${SEED + run}: ${size} bytes at ${at}`
        const { result, keys, spans } = await salvage(damaged)
        const report = await check(result)
        expect(['sound', 'damaged'], `${context}: ${JSON.stringify([report.errors, spans])}`).toContain(
          report.verdict,
        )
        expect(report.keys, context).toBe(keys)
        const there = await entriesOf(result)
        const left = new Set(there.map(({ bytes }) => bytes))
        const intact = originals.filter(({ offset, end }) => end <= at || offset >= at + size)
        lost += intact.filter(({ bytes }) => !left.has(bytes)).length
        // What is new is what was changed, and no more than that.
        const changed = there.filter(({ bytes }) => !known.has(bytes)).length
        expect(
          changed,
          `${context}, ${JSON.stringify(spans.map(({ offset, end }) => [offset, end]))}`,
        ).toBeLessThanOrEqual(4)
      }
      expect(lost / RUNS).toBeLessThan(4)
    },
  )
})

describe.each(foundServers())('%s', server => {
  it('loads what was salvaged of its own RDB', async () => {
    const written = readFileSync(
      fileURLToPath(new URL(`../../fixtures/rdb/${server.name}-types.rdb`, import.meta.url)),
    )
    for (let run = 0; run < 6; run++) {
      const random = generator(SEED + run)
      const damaged = Buffer.from(written)
      const at = 200 + Math.floor(random() * (written.length - 300))
      for (let i = at; i < at + 1 + run * 10; i++) damaged[i] = Math.floor(random() * 256)
      const { result } = await salvage(Buffer.concat([damaged, encode('SET', 'behind', 'it')]))
      const loaded = await server.load(result, { as: 'base', truncated: 'no' })
      try {
        expect(loaded.started, `${SEED + run}: ${loaded.log.slice(-400)}`).toBe(true)
        expect(String(await loaded.query('GET', 'behind'))).toBe('it')
      } finally {
        await loaded.stop()
      }
    }
  })
})
