import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { generator } from '../../bench/logs.ts'
import { encode } from '../helpers/chunks.ts'
import { call, callJson } from '../helpers/command.ts'
import { temporaryFolder } from '../helpers/temp.ts'
import { nameOf, recordsOf } from '../keyspace/logs.ts'
import { entry, rdb, select, str } from '../rdb/build.ts'
import { MANIFEST, place, stateOf, temporariesIn } from './repairing.ts'
import {
  folderOf,
  madeUpParts,
  type Parts,
  partsIn,
  prefix,
  type RewindJson,
  recordsIn,
} from './rewinding.ts'

const SEED = Number(process.env.AOFKIT_SEED ?? 20240606)

const TIMED = Buffer.concat([
  encode('SET', 'a', '1'),
  Buffer.from('#TS:1000\r\n'),
  encode('SET', 'b', '2'),
  Buffer.from('#TS:1002\r\n'),
  encode('MULTI'),
  encode('SET', 'c', '3'),
  Buffer.from('#TS:1003\r\n'),
  encode('FLUSHALL'),
  encode('EXEC'),
  encode('SET', 'd', '4'),
])
const MULTI = TIMED.indexOf('*1\r\n$5\r\nMULTI')

async function rewound(
  log: Buffer | Parts,
  ...args: string[]
): Promise<{ report: RewindJson & { status: number | null; err: string }; parts: Parts }> {
  const folder = temporaryFolder()
  const path = place(folder, log instanceof Map ? folderOf(log) : (log as Buffer))
  const output = join(folder, 'result')
  const before = stateOf(path)
  const report = await callJson<RewindJson>('rewind', path, '--output', output, ...args)
  expect(stateOf(path), 'the source').toBe(before)
  expect(temporariesIn(folder)).toEqual([])
  const dry = await callJson<RewindJson>('rewind', path, '--dry-run', '--no-preview', ...args)
  const { status, output: _, ...same } = report
  expect(dry).toMatchObject({ ...same, output: null, status: report.dropped > 0 ? 1 : 0 })
  expect(status).toBe(0)
  return { report, parts: partsIn(output) }
}

async function refused(log: Buffer | Parts, ...args: string[]): Promise<string> {
  const folder = temporaryFolder()
  const path = place(folder, log instanceof Map ? folderOf(log) : (log as Buffer))
  const { status, err, out } = await call('rewind', path, '--output', join(folder, 'result'), ...args)
  expect(status).toBe(2)
  expect(out.toString()).toBe('')
  expect(readdirSync(folder)).toEqual(['log'])
  return err
}

describe('rewind of one file', () => {
  it.each([
    ['999', 'SET a 1, which has no time', TIMED.indexOf('#TS:1000'), undefined],
    ['1000', 'up to the next #TS:', TIMED.indexOf('#TS:1002'), 1000],
    ['1001', 'the same, between two', TIMED.indexOf('#TS:1002'), 1000],
    ['1970-01-01T00:16:42Z', 'before a transaction that ends later', MULTI, 1002],
    ['1003', 'all of it', TIMED.length, 1003],
    ['2000', 'all of it', TIMED.length, 1003],
  ])('--to-time %s keeps %s', async (time, _, offset, last) => {
    const { report, parts } = await rewound(TIMED, '--to-time', time)
    expect(parts.get('log')).toEqual(TIMED.subarray(0, offset))
    expect(report).toMatchObject({
      kept: offset,
      dropped: TIMED.length - offset,
      cutAt: { part: 'log', offset, ...(last === undefined ? {} : { time: last }) },
    })
    expect(report.cutAt?.time).toBe(last)
  })

  it('cuts at an offset, in front of what the offset is inside of', async () => {
    for (let offset = 1; offset <= TIMED.length; offset++) {
      const ends = recordsIn(new Map([['log', TIMED]]))
      const inside = ends.find(({ end }) => end > offset)
      const expected = inside?.boundary ?? TIMED.length
      if (expected === 0) continue
      const folder = temporaryFolder()
      const path = place(folder, TIMED)
      const report = await callJson<RewindJson>(
        ...['rewind', path, '--dry-run', '--no-preview', '--to-offset', `${offset}`],
      )
      expect(report.cutAt?.offset, `for ${offset}`).toBe(expected)
    }
  })

  it('cuts in front of the last match, or of another one that --nth names', async () => {
    const log = Buffer.concat(
      ['a', 'b', 'c'].flatMap(key => [encode('SET', key, '1'), encode('flushall', 'ASYNC')]),
    )
    const flushes = recordsIn(new Map([['log', log]])).filter(
      ({ args }) => args?.[0].toString() === 'flushall',
    )
    for (const [nth, index] of [
      [[], 2],
      [['--nth', 'last'], 2],
      [['--nth', 'first'], 0],
      [['--nth', '2'], 1],
    ] as const) {
      const { parts, report } = await rewound(log, '--before', 'FLUSHALL', ...nth)
      expect(parts.get('log')).toEqual(log.subarray(0, flushes[index].offset))
      expect(report.commandsDropped).toBe(6 - 2 * index - 1)
    }
    expect(await refused(log, '--before', 'flushall', '--nth', '4')).toContain('there is no number 4')
    expect(await refused(log, '--before', 'flushdb')).toContain('no command of the log matches "flushdb"')
  })

  it('cuts in front of the transaction that a match is in', async () => {
    const { parts, report } = await rewound(TIMED, '--before', 'flushall')
    expect(parts.get('log')).toEqual(TIMED.subarray(0, MULTI))
    expect(report.commandsDropped).toBe(5)
  })

  it('finds no time in a log without #TS:, and says what there is instead', async () => {
    const err = await refused(encode('SET', 'a', 'b'), '--to-time', '1000')
    expect(err).toContain('no #TS: annotations')
    expect(err).toMatch(/--to-offset 27 keeps all up to the end of log, last written at 20/)
    expect(err).toContain('--before PATTERN')
  })

  it('refuses a cut that leaves nothing, unless it may', async () => {
    expect(await refused(TIMED, '--to-offset', '3')).toContain('would leave no command and no key')
    const { parts } = await rewound(TIMED, '--to-offset', '3', '--allow-empty')
    expect(parts.get('log')).toEqual(Buffer.alloc(0))
  })

  it('refuses an offset behind the end', async () => {
    expect(await refused(TIMED, '--to-offset', `${TIMED.length + 1}`)).toContain(`ends at ${TIMED.length}`)
  })

  it('says so when the clock went back', async () => {
    const log = Buffer.concat([
      Buffer.from('#TS:1000\r\n'),
      encode('SET', 'a', '1'),
      Buffer.from('#TS:2000\r\n'),
      encode('SET', 'b', '1'),
      Buffer.from('#TS:1500\r\n'),
      encode('SET', 'c', '1'),
    ])
    const { parts, report } = await rewound(log, '--to-time', '1700')
    expect(parts.get('log')).toEqual(log.subarray(0, log.indexOf('#TS:2000')))
    expect(report.err).toContain('the clock went back')
  })

  it('keeps a preamble whole, and is not cut inside it', async () => {
    const preamble = rdb('REDIS0010', select(0), entry(0, 'k', str('v')))
    const log = Buffer.concat([preamble, encode('SET', 'a', 'b'), encode('FLUSHALL')])
    const { parts } = await rewound(log, '--before', 'set')
    expect(parts.get('log')).toEqual(preamble)
    expect(await refused(log, '--to-offset', '20')).toContain('is inside the RDB')
  })

  it('counts what is in front of a torn end, and says that the rest goes', async () => {
    const torn = Buffer.concat([TIMED, encode('SET', 'e', '5').subarray(0, -4)])
    const { parts, report } = await rewound(torn, '--to-time', '2000')
    expect(parts.get('log')).toEqual(TIMED)
    expect(report.err).toContain('torn')
    const open = Buffer.concat([TIMED, encode('MULTI'), encode('SET', 'e', '5')])
    expect((await rewound(open, '--to-time', '2000')).parts.get('log')).toEqual(TIMED)
    expect((await rewound(open, '--to-offset', `${open.length}`)).parts.get('log')).toEqual(TIMED)
  })

  it('goes by what is in front of a damage when the moment is there, else refuses', async () => {
    const damaged = Buffer.concat([
      TIMED,
      Buffer.from('garbage\r\n'),
      encode('FLUSHALL'),
      encode('SET', 'x', 'y'),
    ])
    const { parts, report } = await rewound(damaged, '--to-time', '1001')
    expect(parts.get('log')).toEqual(TIMED.subarray(0, TIMED.indexOf('#TS:1002')))
    expect(report.err).toContain('damaged, behind the moment')
    expect(await refused(damaged, '--to-time', '2000')).toContain('damaged at log')
    expect(await refused(damaged, '--without', 'flushall')).toContain('damaged at log')
    const last = await rewound(damaged, '--before', 'flushall')
    expect(last.parts.get('log')).toEqual(TIMED.subarray(0, MULTI))
    expect(last.report.err).toContain('the last match in front of it counts')
  })

  it('refuses when what is in front of the moment would not load', async () => {
    const log = Buffer.concat([encode('SET', 'a', '1'), encode('NOSUCH', 'x'), encode('FLUSHALL')])
    expect(await refused(log, '--before', 'flushall')).toContain('would not load: log:27')
  })

  it('takes the place of nothing without --force, and never of its source', async () => {
    const folder = temporaryFolder()
    const path = place(folder, TIMED)
    const output = join(folder, 'there')
    writeFileSync(output, 'x')
    const args = ['rewind', path, '--to-time', '1000', '--output']
    expect((await call(...args, output)).err).toContain('exists already')
    expect((await call(...args, path, '--force')).err).toContain('is the log that is rewound')
    expect(readFileSync(path)).toEqual(TIMED)
    expect((await call(...args, output, '--force')).status).toBe(0)
    expect(readFileSync(output)).toEqual(TIMED.subarray(0, TIMED.indexOf('#TS:1002')))
  })
})

describe('rewind of a multi-part log', () => {
  const base = rdb('REDIS0010', select(0), entry(0, 'k', str('v')))
  const log: Parts = new Map([
    ['appendonly.aof.1.base.rdb', base],
    ['appendonly.aof.1.incr.aof', TIMED],
    [
      'appendonly.aof.2.incr.aof',
      Buffer.concat([encode('SET', 'e', '5'), Buffer.from('#TS:1010\r\n'), encode('DEL', 'k')]),
    ],
  ])

  it('drops the parts behind the cut, and takes them from the manifest', async () => {
    const { parts, report } = await rewound(log, '--to-time', '1001')
    expect([...parts.keys()]).toEqual(['appendonly.aof.1.base.rdb', 'appendonly.aof.1.incr.aof'])
    expect(parts.get('appendonly.aof.1.base.rdb')).toEqual(base)
    expect(parts.get('appendonly.aof.1.incr.aof')).toEqual(TIMED.subarray(0, TIMED.indexOf('#TS:1002')))
    expect(report.droppedParts).toEqual(['appendonly.aof.2.incr.aof'])
    expect(report.kept + report.dropped).toBe([...log.values()].reduce((sum, { length }) => sum + length, 0))
  })

  it('gives what a part begins with the time of the last part', async () => {
    const { parts } = await rewound(log, '--to-time', '1005')
    expect(parts.get('appendonly.aof.2.incr.aof')).toEqual(encode('SET', 'e', '5'))
  })

  it('leaves out a part of which nothing is left', async () => {
    const { parts } = await rewound(log, '--to-offset', 'appendonly.aof.2.incr.aof:0')
    expect([...parts.keys()]).toEqual(['appendonly.aof.1.base.rdb', 'appendonly.aof.1.incr.aof'])
    expect(await refused(log, '--to-offset', '3')).toContain('PART:N')
    expect(await refused(log, '--to-offset', 'nothing:3')).toContain('no part is called nothing')
  })

  it('refuses a time from before its RDB was written', async () => {
    const old = new Map(log)
    old.set(
      'appendonly.aof.1.base.rdb',
      readFileSync('fixtures/manifest/redis-8.0/appendonly.aof.2.base.rdb'),
    )
    expect(await refused(old, '--to-time', '900')).toContain('the moment is not in it')
  })

  it('refuses a log that is not whole', async () => {
    const folder = temporaryFolder()
    const path = place(folder, { ...folderOf(log), 'appendonly.aof.1.incr.aof': Buffer.alloc(0) })
    writeFileSync(join(path, MANIFEST), 'file gone.aof seq 1 type i\n')
    const { status, err } = await call(
      'rewind',
      path,
      '--to-time',
      '1000',
      '--output',
      join(folder, 'result'),
    )
    expect({ status, err }).toMatchObject({ status: 2, err: expect.stringContaining('gone.aof') })
  })
})

describe('rewind of random logs', () => {
  it(`is what stands in front of the moment, byte for byte (seed ${SEED})`, async () => {
    const next = generator(SEED)
    const random = (below: number) => Math.floor(next() * below)
    for (let round = 0; round < 60; round++) {
      const log = madeUpParts(random, 1 + random(3))
      const records = recordsIn(log)
      const folder = temporaryFolder()
      const path = place(folder, folderOf(log))
      const output = join(folder, 'result')
      const names = [...log.keys()]
      const end = {
        part: names.at(-1) as string,
        boundary: (log.get(names.at(-1) as string) as Buffer).length,
      }
      const at = records[random(records.length)]
      const flushes = records.filter(({ args }) => /^flushall$/i.test(`${args?.[0]}`))
      const [args, where] = [
        () => [['--to-offset', `${at.part}:${at.offset + random(at.end - at.offset)}`], at] as const,
        () => {
          const time = 1_700_000_000 + random(30)
          return [['--to-time', `${time}`], records.find(record => (record.time ?? 0) > time) ?? end] as const
        },
        () => [['--before', 'flushall'], flushes.at(-1)] as const,
        () => [['--before', 'FLUSHALL*', '--nth', '2'], flushes[1]] as const,
      ][random(4)]()
      const call = await callJson<RewindJson>('rewind', path, '--output', output, '--allow-empty', ...args)
      const timed = records.some(({ args }) => args === undefined)
      if (where === undefined || (args[0] === '--to-time' && !timed)) {
        expect(call.status, args.join(' ')).toBe(2)
        continue
      }
      expect(call.err.replaceAll(/^aofkit: warning: the first #TS: .*\n/g, ''), args.join(' ')).toBe('')
      const expected = prefix(log, where.part, where.boundary)
      expect(partsIn(output), `round ${round}: ${args.join(' ')}`).toEqual(expected)
      const count = (parts: Parts) => recordsIn(parts).filter(({ args }) => args !== undefined).length
      expect(call.commandsDropped).toBe(count(log) - count(expected))
    }
  })
})

/** What is left of records without those that match, in the simplest way there is. */
function without(parts: Parts, matches: (args: readonly Buffer[]) => boolean): Parts {
  const left = new Map<string, Buffer>()
  for (const [name, bytes] of parts) {
    const kept: Buffer[] = []
    const unit = { open: false, pieces: [] as { bytes: Buffer; name: string }[], dropped: false }
    for (const record of recordsOf(bytes)) {
      const piece = { bytes: bytes.subarray(record.offset, record.end), name: nameOf(record) }
      const steers = ['#', 'select', 'multi', 'exec'].includes(piece.name)
      if (piece.name === 'multi') Object.assign(unit, { open: true, pieces: [], dropped: false })
      const gone = !steers && matches(record.args as readonly Buffer[])
      if (gone) unit.dropped = true
      else if (unit.open) unit.pieces.push(piece)
      else kept.push(piece.bytes)
      if (piece.name !== 'exec') continue
      unit.open = false
      const inside = unit.pieces.slice(1, -1)
      const empty = unit.dropped && inside.every(({ name }) => name === '#' || name === 'select')
      kept.push(...(empty ? inside : unit.pieces).map(({ bytes }) => bytes))
    }
    left.set(name, Buffer.concat(kept))
  }
  return left
}

describe('rewind --without', () => {
  it('keeps everything but the commands that match', async () => {
    const { parts, report } = await rewound(TIMED, '--without', 'flushall')
    expect(parts.get('log')?.toString()).toBe(TIMED.toString().replace('*1\r\n$8\r\nFLUSHALL\r\n', ''))
    expect(report).toMatchObject({ cutAt: null, commandsDropped: 1, matches: 1, dropped: 18 })
  })

  it('leaves out a transaction of which nothing else is left, and never a SELECT', async () => {
    const log = Buffer.concat([
      encode('MULTI'),
      encode('SELECT', '3'),
      encode('DEL', 'a'),
      encode('EXEC'),
      encode('SET', 'b', '1'),
      encode('MULTI'),
      encode('EXEC'),
    ])
    const { parts, report } = await rewound(log, '--without', 'DEL *')
    expect(parts.get('log')).toEqual(
      Buffer.concat([encode('SELECT', '3'), encode('SET', 'b', '1'), encode('MULTI'), encode('EXEC')]),
    )
    expect(report).toMatchObject({ commandsDropped: 3, matches: 1 })
  })

  it('copies what is larger than the window, and leaves it out', async () => {
    const large = encode('SET', 'large', Buffer.alloc(9 << 20, 'x'))
    const log = Buffer.concat([
      encode('MULTI'),
      large,
      encode('DEL', 'a'),
      encode('EXEC'),
      encode('SET', 'b', '1'),
    ])
    const kept = await rewound(log, '--without', 'del')
    expect(
      kept.parts
        .get('log')
        ?.equals(Buffer.concat([encode('MULTI'), large, encode('EXEC'), encode('SET', 'b', '1')])),
    ).toBe(true)
    const dropped = await rewound(log, '--without', 'SET large*')
    expect(dropped.parts.get('log')).toEqual(
      Buffer.concat([encode('MULTI'), encode('DEL', 'a'), encode('EXEC'), encode('SET', 'b', '1')]),
    )
  })

  it('keeps a preamble, and cuts a torn end off', async () => {
    const preamble = rdb('REDIS0010', select(0), entry(0, 'k', str('v')))
    const torn = encode('SET', 'c', '1').subarray(0, -3)
    const log = Buffer.concat([preamble, encode('DEL', 'k'), encode('SET', 'b', '1'), torn])
    const { parts, report } = await rewound(log, '--without', 'del')
    expect(parts.get('log')).toEqual(Buffer.concat([preamble, encode('SET', 'b', '1')]))
    expect(report.cutAt).toEqual({ part: 'log', offset: log.length - torn.length })
    expect(report.err).toContain('torn')
  })

  it('changes nothing where nothing matches', async () => {
    const { parts, report } = await rewound(TIMED, '--without', 'flushdb')
    expect(parts.get('log')).toEqual(TIMED)
    expect(report).toMatchObject({ kept: TIMED.length, dropped: 0, commandsDropped: 0, cutAt: null })
  })

  it(`is that of random logs, byte for byte (seed ${SEED})`, async () => {
    const next = generator(SEED + 1)
    const random = (below: number) => Math.floor(next() * below)
    const name = (args: readonly Buffer[]) => args[0].toString().toLowerCase()
    const ways: readonly [string, (args: readonly Buffer[]) => boolean][] = [
      ['set', args => name(args) === 'set'],
      ['flush*', args => name(args).startsWith('flush')],
      ['del key:[0-4]', args => name(args) === 'del' && /[0-4]/.test(`${args[1]}`)],
      ['*key:1*', args => args.some(arg => arg.includes('key:1'))],
      ['*', () => true],
    ]
    for (let round = 0; round < 50; round++) {
      const log = madeUpParts(random, 1 + random(3))
      const folder = temporaryFolder()
      const path = place(folder, folderOf(log))
      const output = join(folder, 'result')
      const [pattern, matches] = ways[random(ways.length)]
      const report = await callJson<RewindJson>(
        'rewind',
        path,
        '--output',
        output,
        '--allow-empty',
        '--without',
        pattern,
      )
      expect(report.err).toBe('')
      const expected = without(log, matches)
      expect(partsIn(output), `round ${round}: ${pattern}`).toEqual(expected)
      const count = (parts: Parts) => recordsIn(parts).filter(({ args }) => args !== undefined).length
      expect(report.commandsDropped).toBe(count(log) - count(expected))
    }
  })
})
