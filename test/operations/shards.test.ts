import { statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, it } from 'vitest'
import { resolveInput } from '../../src/aof/parts.ts'
import { FileSource } from '../../src/bytes/file-source.ts'
import { CellKind } from '../../src/keyspace/cells.ts'
import { HANDLERS } from '../../src/keyspace/commands/table.ts'
import { digestShards } from '../../src/operations/digest.ts'
import { KeyspaceSummary } from '../../src/operations/keyspace-summary.ts'
import type { LogReplay, ReplayOptions } from '../../src/operations/replay.ts'
import { TASKS } from '../../src/operations/shard-tasks.ts'
import { replayShards, type Sharing } from '../../src/operations/shards.ts'
import { knownTo } from '../../src/servers/commands.ts'
import { Slice } from '../../src/values/slice.ts'
import { encode } from '../helpers/chunks.ts'
import { encodeCommand } from '../helpers/servers.ts'
import { temporaryFolder } from '../helpers/temp.ts'
import { bundleWorker } from '../helpers/worker.ts'
import { Generator } from '../keyspace/generate.ts'
import { AnswerSink } from '../rdb/answers.ts'
import { entry, len, rdb, select, str } from '../rdb/build.ts'
import { type Log, MANIFEST, place } from './repairing.ts'

/*
 * Whatever is asked of a log, it is the same whether it was replayed as a whole, in halves one after the other, or in two
 * threads.
 */

const WORKER = bundleWorker()
const WHOLE: Sharing = { least: Number.POSITIVE_INFINITY }
const HALVES: Sharing = { least: 0, longestRecord: Number.POSITIVE_INFINITY, thread: false }
const THREADS: Sharing = { ...HALVES, thread: true, worker: WORKER }

const OPTIONS: ReplayOptions = { databases: 16, allowCommands: ['own.cmd'] }

const plain = (value: unknown) =>
  JSON.stringify(value, (_, inner) => (typeof inner === 'bigint' ? `${inner}` : inner))

/** All there is of each key. */
function answers({ keyspace }: LogReplay): string[] {
  const found: string[] = []
  const key = new Slice()
  keyspace.forEach(cell => {
    keyspace.key(cell, key)
    const place = [keyspace.database(cell), Buffer.from(key.copy()).toString('latin1'), keyspace.expiry(cell)]
    if (keyspace.kind(cell) === CellKind.Module) {
      const { opaques } = keyspace
      const commands = Array.from({ length: opaques.commands(cell) }, (_, i) => {
        const { offset, length, position } = opaques.command(cell, i)
        return [offset, length, position]
      })
      found.push(plain([...place, commands, opaques.isLoose(cell), opaques.covers(cell)]))
      return
    }
    const sink = new AnswerSink()
    keyspace.emit(cell, sink)
    found.push(plain([...place, sink.take()]))
  })
  return found
}

// Only this thread knows it.
Object.assign(TASKS, { answers })

async function told(path: string, sharing: Sharing, options: ReplayOptions = OPTIONS) {
  const replay = await replayShards(await resolveInput(path), options, undefined, sharing)
  try {
    const summary = new KeyspaceSummary()
    for (const databases of await replay.each('summary', {})) summary.add(databases)
    const { digest, opaque } = await digestShards(replay, replay.server, true)
    const { commands, rejected, scripts, bytes, findings, firstFindings, torn, writtenAt, keys, functions } =
      replay
    return {
      shards: replay.shards,
      answers:
        sharing.thread === true ? [] : (await replay.each('answers' as never, {} as never)).flat().sort(),
      told: {
        databases: [...summary.databases]
          .sort(([a], [b]) => a - b)
          .map(([db, counts]) => [db, { ...counts, types: [...counts.types].sort() }]),
        digest: digest.hex(),
        counts: [...digest.counts].sort(([a], [b]) => a - b),
        ...{
          opaque,
          commands,
          rejected,
          scripts,
          bytes,
          findings,
          firstFindings,
          torn,
          writtenAt,
          keys,
          functions,
        },
      },
    }
  } finally {
    await replay.close()
  }
}

/** Fails where halves tell another story; how many keyspaces there were in the end. */
async function expectSame(log: Log, options: ReplayOptions = OPTIONS, threads = true): Promise<number> {
  const path = place(temporaryFolder(), log)
  const whole = await told(path, WHOLE, options)
  expect(whole.shards).toBe(1)
  const halves = await told(path, HALVES, options)
  expect(halves.told).toEqual(whole.told)
  expect(halves.answers).toEqual(whole.answers)
  if (threads) {
    const both = await told(path, THREADS, options)
    expect(both.told).toEqual(whole.told)
    expect(both.shards).toBe(halves.shards)
  }
  return halves.shards
}

const commands = (...list: (string | Uint8Array)[][]) => Buffer.concat(list.map(args => encode(...args)))

/** Many keys of every type: some in each half. */
const KEYS = Array.from({ length: 40 }, (_, i) => [
  ['SET', `s${i}`, `${i}`],
  ['RPUSH', `l${i}`, 'a', 'b', `${i}`],
  ['SADD', `e${i}`, 'm', `${i}`],
  ['ZADD', `z${i}`, '1', 'm', `${i}`, `n${i}`],
  ['HSET', `h${i}`, 'f', `${i}`],
  ['XADD', `x${i}`, '1-1', 'f', `${i}`],
]).flat()

const AFTER = [
  ['INCR', 's7'],
  ['RPUSH', 'l8', 'more'],
  ['HDEL', 'h9', 'f'],
  ['SET', 'new', 'v'],
]

/** Commands with keys in both halves: with so many names, some are. */
const SPANNING: Record<string, (i: number) => string[]> = {
  rename: i => ['RENAME', `s${i}`, `other${i}`],
  renamenx: i => ['RENAMENX', `s${i}`, `other${i}`],
  copy: i => ['COPY', `h${i}`, `copy${i}`],
  sunionstore: i => ['SUNIONSTORE', `u${i}`, `e${i}`, `e${i + 1}`],
  zinterstore: i => ['ZINTERSTORE', `u${i}`, '2', `z${i}`, `z${i + 1}`],
  lmove: i => ['LMOVE', `l${i}`, `l${i + 1}`, 'LEFT', 'RIGHT'],
  smove: i => ['SMOVE', `e${i}`, `e${i + 1}`, 'm'],
  bitop: i => ['BITOP', 'OR', `b${i}`, `s${i}`, `s${i + 1}`],
  pfmerge: i => ['PFMERGE', `p${i}`, `q${i}`],
  msetnx: i => ['MSETNX', `s${i}a`, '1', `s${i}b`, '2'],
  sort: i => ['SORT', `l${i}`, 'ALPHA', 'BY', 's*', 'STORE', `sorted${i}`],
  zrangestore: i => ['ZRANGESTORE', `r${i}`, `z${i}`, '0', '-1'],
  geosearchstore: i => ['GEOSEARCHSTORE', `g${i}`, `z${i}`, 'FROMLONLAT', '0', '0', 'BYRADIUS', '1', 'km'],
  georadius: i => ['GEORADIUS', `z${i}`, '0', '0', '1', 'km', 'STORE', `g${i}`],
  lmpop: i => ['LMPOP', '2', `nothing${i}`, `l${i}`, 'LEFT'],
  'json.mset': i => ['JSON.MSET', `j${i}`, '$', '1', `k${i}`, '$', '2'],
}

describe('a log that is replayed in halves', () => {
  it.each([1, 2, 3, 4, 5, 6])(
    'has the same keys after random commands of every family (seed %i)',
    async seed => {
      const servers = ['redis-7.0', 'redis-8.0', 'valkey-8.1', 'valkey-9.1'] as const
      const as = servers[seed % 4]
      const generator = new Generator({ server: as, seed, live: false })
      const log = generator.log(600).map(encodeCommand)
      await expectSame(Buffer.concat(log), { ...OPTIONS, as })
    },
  )

  it.each([7, 8, 9, 10, 11, 12])('stays in halves where no command needs both (seed %i)', async seed => {
    const only =
      /^(?!.*(store|rename|copy|move|pop|push|bitop|pfmerge|pfcount|msetnx|msetex|smove|sort|xreadgroup|georadius))/
    const as = seed % 2 === 0 ? 'redis-8.0' : 'valkey-9.1'
    const generator = new Generator({ server: as, seed, live: false, only })
    const log = generator.log(3000).map(encodeCommand)
    expect(await expectSame(Buffer.concat(log), { ...OPTIONS, as })).toBe(2)
  })

  it('is the same up to wherever it is cut', async () => {
    const log = Buffer.concat(
      new Generator({ server: 'redis-8.0', seed: 20, live: false }).log(300).map(encodeCommand),
    )
    for (let cut = 1; cut < log.length; cut += 1 + Math.floor(log.length / 60))
      await expectSame(log.subarray(0, cut), OPTIONS, false)
  })

  it.each(Object.keys(SPANNING))('becomes whole before a command with keys in both: %s', async name => {
    const spanning = Array.from({ length: 8 }, (_, i) => SPANNING[name](i * 3))
    expect(
      await expectSame(commands(...KEYS, ...AFTER, ...spanning, ...AFTER), OPTIONS, name === 'rename'),
    ).toBe(1)
  })

  it('carries commands out in halves that have several keys, each its own or all in one', async () => {
    const keys = KEYS.map(([, key]) => key)
    const log = commands(
      ...KEYS,
      ['DEL', ...keys.slice(0, 50)],
      ['UNLINK', 'nothing', ...keys.slice(50, 80)],
      ['MSET', ...keys.slice(60, 90).flatMap(key => [key, `new ${key}`])],
      ['MSET', 'odd', 'number', 'of'],
      ['COPY', 's30', 's30', 'DB', '3'],
      ['MOVE', 's31', '4'],
      ['TOUCH', 's1', 's2', 's3'],
      ['PUBLISH', 'channel', 'text'],
      ['RENAME', 's32', 's32'],
      ...AFTER,
    )
    expect(await expectSame(log)).toBe(2)
  })

  it('minds what has no key, and counts it once', async () => {
    const log = commands(
      ...KEYS,
      ['SELECT', '2'],
      ...KEYS.slice(0, 60),
      ['SELECT', '99'],
      ['SWAPDB', '0', '2'],
      ['SWAPDB', '0', '99'],
      ['FLUSHDB', 'NOW'],
      ...KEYS.slice(20, 90),
      ['EXEC'],
      ['DISCARD'],
      ['FUNCTION', 'LOAD', '#!lua name=a\n'],
      ['FUNCTION', 'LOAD', '#!lua name=a\n'],
      ['SELECT', '3'],
      ...KEYS.slice(100, 120),
      ['FLUSHDB'],
      ['SCRIPT', 'LOAD', 'return 1'],
      ...AFTER,
    )
    expect(await expectSame(log)).toBe(2)
    expect(await expectSame(Buffer.concat([log, commands(['FLUSHALL'], ...AFTER)]))).toBe(2)
    expect(
      await expectSame(Buffer.concat([log, commands(['RENAME', 's3', 'x'], ['RENAME', 's3', 'y'])])),
    ).toBe(1)
  })

  it('keeps transactions together, however far their ends are apart', async () => {
    const many = Array.from({ length: 9000 }, (_, i) => ['SET', `key${i % 700}`, `value ${i}`])
    const spans = [
      ['RENAME', 's1', 'y1'],
      ['RENAME', 's2', 'y2'],
      ['RENAME', 's3', 'y3'],
    ]
    const near = commands(['MULTI'], ...KEYS, ['EXEC'], ['MULTI'], ['INCR', 's1'], ['EXEC'])
    const far = commands(['MULTI'], ...many, ['MULTI'], ...KEYS, ['EXEC'], ...AFTER)
    expect(await expectSame(near)).toBe(2)
    expect(await expectSame(far)).toBe(2)
    expect(
      await expectSame(Buffer.concat([near, commands(['MULTI'], ...AFTER, ...spans, ...AFTER, ['EXEC'])])),
    ).toBe(1)
    expect(
      await expectSame(
        Buffer.concat([near, commands(['MULTI'], ...many, ...spans, ...many, ['EXEC'], ...AFTER)]),
      ),
    ).toBe(1)
    // None of what an open one has queued counts.
    expect(await expectSame(Buffer.concat([near, commands(['MULTI'], ...many, ...spans, ...AFTER)]))).toBe(2)
  })

  it('takes commands that are larger than a window', async () => {
    const large = 'v'.repeat(5 << 20)
    const log = commands(
      ...KEYS,
      ['SET', 's1', large],
      ['SET', 's2', large],
      ['DEL', ...Array.from({ length: 60_000 }, (_, i) => `s${i}${' long'.repeat(i > 40 ? 10 : 0)}`)],
      [
        'MSET',
        ...Array.from({ length: 30_000 }, (_, i) => [
          `m${i % 500}`,
          `${i} ${'is its value'.repeat(9)}`,
        ]).flat(),
      ],
      ['FUNCTION', 'LOAD', `#!lua name=a\n${large}`],
      ...AFTER,
    )
    expect(await expectSame(log)).toBe(2)
    const spanning = commands(
      ['SUNIONSTORE', ...Array.from({ length: 60_000 }, (_, i) => `e${i}${' long'.repeat(10)}`)],
      ...AFTER,
    )
    expect(await expectSame(Buffer.concat([log, spanning]))).toBe(1)
    expect(await expectSame(Buffer.concat([log, commands(['SET', large, 'v'], ...AFTER)]))).toBe(1)
  })

  it('minds clocks', async () => {
    const line = (time: number) => Buffer.from(`#TS:${time}\r\n`)
    const times = commands(...KEYS.map(([, key], i) => ['EXPIRE', key, `${i}`]))
    const spanning = commands(['RENAME', 's1', 'a'], ['RENAME', 's2', 'b'], ['RENAME', 's3', 'c'])
    const log = Buffer.concat([commands(...KEYS), line(1000), times, line(2000), commands(...AFTER)])
    expect(await expectSame(log)).toBe(2)
    expect(await expectSame(Buffer.concat([commands(...KEYS), times]))).toBe(2)
    const unknownFirst = Buffer.concat([commands(...KEYS), times, line(1000), commands(...AFTER)])
    expect(await expectSame(unknownFirst)).toBe(2)
    expect(await expectSame(Buffer.concat([unknownFirst, spanning, times]))).toBe(1)
    expect(await expectSame(Buffer.concat([log, spanning]), { ...OPTIONS, asOf: 5000 })).toBe(1)
  })

  it('divides what RDBs hold, in several parts', async () => {
    const base = (from: number) =>
      rdb(
        'REDIS0011',
        [0xfa, str('ctime'), str('1700000000')],
        [0xf5, str('#!lua name=base\n')],
        select(2),
        ...Array.from({ length: 30 }, (_, i) => entry(0, `base${from + i}`, str(`value ${i}`))),
        ...Array.from({ length: 30 }, (_, i) => entry(1, `list${from + i}`, len(1), str('a'.repeat(i * 9)))),
      )
    const manifest = (...lines: string[]) => Buffer.from(lines.map(line => `file ${line}\n`).join(''))
    const log = (last: string[][]) => ({
      'a.1.base.rdb': base(0),
      'a.1.incr.aof': Buffer.concat([
        base(40),
        commands(['SELECT', '2'], ...AFTER, ['APPEND', 'base3', 'x'], ...last),
      ]),
      'a.2.incr.aof': commands(...KEYS, ...AFTER),
      [MANIFEST]: manifest(
        'a.1.base.rdb seq 1 type b',
        'a.1.incr.aof seq 1 type i',
        'a.2.incr.aof seq 2 type i',
      ),
    })
    expect(await expectSame(log([]))).toBe(2)
    const spanning = ['RENAME', 'COPY', 'RENAMENX'].map((name, i) => [name, `base${i}`, `moved${i}`])
    expect(await expectSame(log(spanning))).toBe(1)
    // The same keys twice.
    expect(
      await expectSame({ ...log([]), 'a.1.incr.aof': Buffer.concat([base(20), commands(...AFTER)]) }),
    ).toBe(2)
  })

  it('tells of what is wrong in the same words and order', async () => {
    const wrong = Array.from({ length: 70 }, (_, i) => [
      ['LPUSH', `s${i % 40}`, 'x'],
      ['HSET', `e${i % 40}`, 'f', 'v'],
    ]).flat()
    const odd = Buffer.from('*3\r\n$3\r\nSET\r\n$2\r\ns1\r\n$1\r\nvxx')
    const log = Buffer.concat([
      commands(...KEYS, ...wrong),
      odd,
      commands(...wrong, ['SELECT', 'x'], ...AFTER),
    ])
    expect(await expectSame(log)).toBe(2)
    expect(await expectSame(Buffer.concat([log, Buffer.from('*3\r\n$3\r\nSE')]))).toBe(2)
    expect(await expectSame(Buffer.concat([log, Buffer.from('what'), log]))).toBe(2)
  })

  it('keeps commands of modules for their keys', async () => {
    const kept = Array.from({ length: 20 }, (_, i) => [
      ['JSON.SET', `j${i}`, '$', '1'],
      ['OWN.CMD', 'sub', `s${i}`],
      ['FT.CREATE', 'index'],
      ['INCR', `s${i}`],
    ]).flat()
    const options = { ...OPTIONS, keyPositions: new Map([['own.cmd', 2]]) }
    expect(await expectSame(commands(...KEYS, ...kept, ...AFTER), options)).toBe(2)
    expect(
      await expectSame(
        commands(...KEYS, ...kept, ['RENAME', 's1', 'a'], ['RENAME', 's2', 'b'], ['RENAME', 's3', 'c']),
        options,
      ),
    ).toBe(1)
  })

  it('knows where the keys of newer commands are', async () => {
    const newer = Object.keys(HANDLERS).filter(
      name => !name.includes('|') && knownTo(Buffer.from(name), 0, name.length).length === 0,
    )
    const options = { ...OPTIONS, allowCommands: newer }
    const moves = newer.filter(name => name.endsWith('lmovem'))
    const each = (names: string[]) =>
      Array.from({ length: 9 }, (_, i) => names.map(name => [name, `s${i}`, `l${i}`])).flat()
    const ofOne = newer.filter(name => !moves.includes(name))
    expect(await expectSame(commands(...KEYS, ...each(ofOne), ...AFTER), options)).toBe(2)
    // These have two.
    expect(moves).not.toEqual([])
    expect(await expectSame(commands(...KEYS, ...each(moves), ...AFTER), options)).toBe(1)
  })

  it('leaves out scripts, and counts them once', async () => {
    const log = commands(...KEYS, ['EVAL', 'return 1', '2', 's1', 's2'], ...AFTER)
    expect(await expectSame(log, { ...OPTIONS, skipScripts: true })).toBe(2)
  })

  it('ends where it is told to', async () => {
    const path = place(temporaryFolder(), commands(...KEYS, ...AFTER))
    const { parts } = await resolveInput(path)
    const input = await resolveInput(path)
    const ends = new Map([[input.parts[0], commands(...KEYS).length]])
    const counts = []
    for (const sharing of [WHOLE, HALVES, THREADS]) {
      const replay = await replayShards(input, { ...OPTIONS, ends }, undefined, sharing)
      counts.push(replay.commands)
      await replay.close()
    }
    expect(counts).toEqual([KEYS.length, KEYS.length, KEYS.length])
    expect(parts).toHaveLength(1)
  })

  it('is whole where it is small, compressed, or not in a file, and where its records are long', async () => {
    const path = place(temporaryFolder(), commands(...KEYS))
    expect((await told(path, { ...HALVES, least: 1e6 })).shards).toBe(1)
    const bytes = statSync(path).size / KEYS.length
    expect((await told(path, { ...HALVES, longestRecord: bytes - 1 })).shards).toBe(1)
    expect((await told(path, { ...HALVES, longestRecord: bytes + 1 })).shards).toBe(2)
    const input = await resolveInput(path)
    const open = async () => FileSource.open(path)
    const replay = await replayShards(input, { ...OPTIONS, open }, undefined, HALVES)
    expect(replay.shards).toBe(1)
    await replay.close()
  })
})

describe('the thread of the second half', () => {
  const failing = async (log: Buffer, worker = WORKER, options = OPTIONS) => {
    const path = place(temporaryFolder(), log)
    return replayShards(await resolveInput(path), options, undefined, { ...THREADS, worker }).catch(
      error => error,
    )
  }

  it('lets errors through as they are', async () => {
    expect(await failing(commands(...KEYS, ['EVAL', 'x', '0']))).toMatchObject({
      name: 'JobError',
      code: 'replay.script',
      message: expect.stringContaining('EVAL: a script'),
      hint: expect.stringContaining('--skip-scripts'),
    })
    // Of so many keys some are in the second half.
    for (const key of ['j1', 'j2', 'j3', 'j4', 'j5', 'j6']) {
      const replay = await failing(commands(...KEYS, ['JSON.SET', key, '$', '1']))
      await expect(digestShards(replay, 'redis-8.0', false)).rejects.toMatchObject({
        name: 'JobError',
        code: 'digest.opaque',
        message: expect.stringContaining(`the key "${key}"`),
        hint: expect.stringContaining('--ignore-opaque'),
      })
      await replay.close()
    }
  })

  it('is told of when it dies, before the log is read and after', async () => {
    const folder = temporaryFolder()
    const worker = (code: string) => {
      const path = join(folder, `${Buffer.from(code).toString('hex').slice(0, 40)}.mjs`)
      writeFileSync(path, code)
      return pathToFileURL(path)
    }
    const log = commands(...KEYS)
    const thread = { name: 'JobError', code: 'replay.thread' }
    expect(await failing(log, worker('process.exit(3)'))).toMatchObject(thread)
    expect(await failing(log, worker('throw new Error("gone")'))).toMatchObject({
      ...thread,
      message: expect.stringContaining('gone'),
    })
    expect(await failing(log, new URL('file:///nowhere/worker.mjs'))).toMatchObject(thread)
    const memory = 'throw Object.assign(new Error(), { code: "ERR_WORKER_OUT_OF_MEMORY" })'
    expect(await failing(log, worker(memory))).toMatchObject({ name: 'JobError', code: 'memory.limit' })
    const report = `{ commands: 0, rejected: 0, found: { listed: [], kinds: new Map() }, clockMissed: false, keys: 0, ends: [${log.length}] }`
    const dyingLate = worker(
      `import { parentPort } from 'node:worker_threads'
      parentPort.postMessage({ id: 0, value: ${report} })
      parentPort.on('message', () => process.exit(3))`,
    )
    const replay = await failing(log, dyingLate)
    await expect(replay.each('summary', {})).rejects.toMatchObject(thread)
    await expect(replay.each('summary', {})).rejects.toMatchObject(thread)
    await replay.close()
  })
})
