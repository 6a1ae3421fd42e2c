import { describe, expect, it } from 'vitest'
import { generator } from '../../bench/logs.ts'
import type { RewindMoment } from '../../src/operations/moments.ts'
import { encode } from '../helpers/chunks.ts'
import { call, callJson } from '../helpers/command.ts'
import { temporaryFolder } from '../helpers/temp.ts'
import { place } from './repairing.ts'
import { folderOf, madeUpParts, type Parts, type RewindJson } from './rewinding.ts'

const SEED = Number(process.env.AOFKIT_SEED ?? 20240608)

async function listed(log: Buffer | Parts): Promise<RewindMoment[]> {
  const path = place(temporaryFolder(), log instanceof Map ? folderOf(log) : (log as Buffer))
  const { out } = await call('rewind', path, '--list', '--json')
  return out
    .toString()
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line))
}

async function ofKind(kind: RewindMoment['kind'], ...pieces: Buffer[]): Promise<RewindMoment[]> {
  return (await listed(Buffer.concat(pieces))).filter(moment => moment.kind === kind)
}

const sets = (count: number, from = 0) =>
  Buffer.concat(Array.from({ length: count }, (_, i) => encode('SET', `key:${from + i}`, 'value')))
const dels = (count: number, name = 'DEL') =>
  Buffer.concat(Array.from({ length: count }, (_, i) => encode(name, `user:${i}`)))
const ts = (time: number) => Buffer.from(`#TS:${time}\r\n`)

describe('the moments of a log', () => {
  it('are flushes with their databases and times, in front of the transaction that they are in', async () => {
    const log = [ts(1000), sets(3), encode('SELECT', '3'), encode('FLUSHDB')]
    const inside = [encode('MULTI'), encode('SET', 'a', 'b'), encode('flushall', 'ASYNC'), encode('EXEC')]
    const before = Buffer.concat(log).length
    expect(await ofKind('flush', ...log, ...inside)).toEqual([
      {
        kind: 'flush',
        part: 'log',
        offset: before - encode('FLUSHDB').length,
        time: 1000,
        db: 3,
        what: 'FLUSHDB of database 3',
      },
      {
        kind: 'flush',
        part: 'log',
        offset: before,
        time: 1000,
        db: 3,
        what: 'flushall ASYNC, in a transaction',
      },
    ])
  })

  it('are deletions of many keys, with what their names begin with', async () => {
    const [deletion, ...more] = await ofKind(
      'deletion',
      sets(500),
      ts(1000),
      dels(90),
      ts(1001),
      dels(30, 'UNLINK'),
      sets(500),
    )
    expect(more).toEqual([])
    expect(deletion).toMatchObject({
      offset: sets(500).length + ts(1000).length,
      keys: 120,
      commands: 120,
      end: Buffer.concat([sets(500), ts(1000), dels(90), ts(1001), dels(30, 'UNLINK')]).length,
      what: '120 keys deleted by 120 commands, in 1 second, user:*',
    })
  })

  it('are deletions by one command', async () => {
    const del = encode('DEL', ...Array.from({ length: 100 }, (_, i) => `${i}`))
    expect(await ofKind('deletion', sets(5), del)).toMatchObject([
      { keys: 100, commands: 1, offset: sets(5).length },
    ])
    expect(await ofKind('deletion', sets(5), encode('DEL', ...Array.from({ length: 99 }, String)))).toEqual(
      [],
    )
  })

  it('are no deletions where as much is written, or where they are far apart', async () => {
    const mixed = Array.from({ length: 500 }, (_, i) => [
      encode('DEL', `a${i}`),
      encode('SET', `b${i}`, ''),
    ]).flat()
    expect(await ofKind('deletion', ...mixed)).toEqual([])
    const slow = Array.from({ length: 500 }, (_, i) => [ts(1000 + 100 * i), encode('DEL', `a${i}`)]).flat()
    expect(await ofKind('deletion', ...slow)).toEqual([])
    const few = Array.from({ length: 500 }, (_, i) => [
      encode('DEL', `a${i}`, `b${i}`, `c${i}`, `d${i}`, `e${i}`),
      encode('SET', 'x', ''),
    ]).flat()
    expect(await ofKind('deletion', ...few)).toMatchObject([{ keys: 2500, commands: 999 }])
  })

  it('are transactions of many commands, and what they are', async () => {
    const small = [encode('MULTI'), dels(3), sets(96), encode('EXEC')]
    const large = [encode('MULTI'), dels(3), sets(97), encode('EXEC')]
    expect(await ofKind('transaction', ...small, ...large, ...small)).toMatchObject([
      {
        offset: Buffer.concat(small).length,
        end: Buffer.concat([...small, ...large]).length,
        commands: 100,
        what: 'a transaction of 100 commands: SET 97, DEL 3',
      },
    ])
  })

  it('are times, condensed to so many that they can be looked at', async () => {
    const log = Buffer.concat(
      Array.from({ length: 5000 }, (_, i) => [ts(1_700_000_000 + i), encode('SET', 'a', `${i}`)]).flat(),
    )
    const times = (await listed(log)).filter(({ kind }) => kind === 'time')
    expect(times.length).toBeGreaterThan(5)
    expect(times.length).toBeLessThanOrEqual(40)
    expect(times[0]).toMatchObject({ time: 1_700_000_000, offset: 0 })
    expect(times.reduce((sum, { commands = 0 }) => sum + commands, 0)).toBe(5000)
    for (const { time = 0, offset } of times) {
      const at = log.indexOf(ts(time))
      expect(offset).toBe(at)
    }
  })

  it('are times that jump about, however many', async () => {
    const log = Buffer.concat(Array.from({ length: 2000 }, (_, i) => ts((i % 2) * 1_700_000_000 + i)))
    expect((await listed(log)).length).toBeLessThan(100)
  })

  it('are the last of a kind, where there are many; the others are counted', async () => {
    const path = place(
      temporaryFolder(),
      Buffer.concat(Array.from({ length: 1000 }, () => encode('FLUSHALL'))),
    )
    const { out, err, status } = await call('rewind', path, '--list', '--json')
    expect(status).toBe(0)
    const flushes = out
      .toString()
      .split('\n')
      .filter(line => line.includes('"flush"'))
    expect(flushes.length).toBe(200)
    expect(JSON.parse(flushes.at(-1) as string).offset).toBe(999 * encode('FLUSHALL').length)
    expect(err).toContain('800 moments of the kind flush in front of these are not listed')
  })

  it('end where the log is damaged', async () => {
    const path = place(temporaryFolder(), Buffer.concat([sets(3), Buffer.from('garbage\r\n')]))
    const { out, err, status } = await call('rewind', path, '--list')
    expect(status).toBe(1)
    expect(out.toString()).toMatch(/ log:105 +end +damaged here/)
    expect(err).toContain('resp.record.type')
  })

  it(`can all be gone back to: the log is cut just there (seed ${SEED})`, async () => {
    const next = generator(SEED)
    const random = (below: number) => Math.floor(next() * below)
    for (let round = 0; round < 15; round++) {
      const path = place(temporaryFolder(), folderOf(madeUpParts(random, 1 + random(3))))
      const { out } = await call('rewind', path, '--list', '--json')
      for (const line of out.toString().trimEnd().split('\n')) {
        const { part, offset }: RewindMoment = JSON.parse(line)
        const { cutAt, err } = await callJson<RewindJson>(
          ...[
            'rewind',
            path,
            '--dry-run',
            '--no-preview',
            '--allow-empty',
            '--to-offset',
            `${part}:${offset}`,
          ],
        )
        expect(cutAt, `${line}\n${err}`).toMatchObject({ part, offset })
      }
    }
  })
})
