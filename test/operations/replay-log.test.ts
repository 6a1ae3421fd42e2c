import { spawnSync } from 'node:child_process'
import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { encode } from '../helpers/chunks.ts'
import { bundle, call, callJson } from '../helpers/command.ts'
import { temporaryFolder } from '../helpers/temp.ts'
import { entry, len, rdb, select, str } from '../rdb/build.ts'
import { MANIFEST, place } from './repairing.ts'

const aux = (name: string, value: string) => [0xfa, str(name), str(value)]
const BASE = rdb(
  'REDIS0011',
  aux('ctime', '1700000000'),
  select(2),
  entry(0, 'base', str('v')),
  entry(1, 'l', len(1), str('a')),
)

const commands = (...list: string[][]) => Buffer.concat(list.map(args => encode(...args)))

async function dumped(log: Parameters<typeof place>[1], ...args: string[]) {
  const { status, out, err } = await call('replay', place(temporaryFolder(), log), '--dump', ...args)
  const lines = out.toString().trimEnd()
  return {
    status,
    err,
    keys: lines === '' ? [] : lines.split('\n').map(line => JSON.parse(line)),
  }
}

const log = (...list: string[][]) => dumped(commands(...list))
const string = (db: number, key: string, value: string, more: object = {}) => ({
  db,
  key,
  type: 'string',
  ...more,
  value,
})

describe('replay of a log', () => {
  it('begins every part, and what follows a preamble, in database 0', async () => {
    const manifest =
      'file a.1.base.rdb seq 1 type b\nfile a.1.incr.aof seq 1 type i\nfile a.2.incr.aof seq 2 type i\n'
    const { keys, status } = await dumped({
      'a.1.base.rdb': BASE,
      'a.1.incr.aof': commands(['SET', 'one', '1'], ['SELECT', '5'], ['SET', 'two', '2']),
      'a.2.incr.aof': commands(['SET', 'three', '3']),
      [MANIFEST]: Buffer.from(manifest),
    })
    expect(status).toBe(0)
    expect(keys).toContainEqual(string(0, 'one', '1'))
    expect(keys).toContainEqual(string(5, 'two', '2'))
    expect(keys).toContainEqual(string(0, 'three', '3'))
    expect(await dumped(Buffer.concat([BASE, commands(['SET', 'k', 'v'])]))).toMatchObject({
      keys: expect.arrayContaining([string(0, 'k', 'v'), string(2, 'base', 'v')]),
    })
  })

  it('stays in its database when SELECT fails', async () => {
    const { keys, err } = await log(['SELECT', '3'], ['SELECT', '16'], ['SET', 'k', 'v'])
    expect(keys).toEqual([string(3, 'k', 'v')])
    expect(err).toMatch(/^aofkit: log:\d+: SELECT: .*DB index is out of range \(replay\.rejected\)\n$/)
  })

  it('leaves out a transaction without its EXEC, and what is torn', async () => {
    const sound = commands(['SET', 'k', 'v'], ['MULTI'], ['SET', 'a', '1'], ['EXEC'])
    const open = Buffer.concat([sound, commands(['MULTI'], ['SET', 'k', 'w'], ['DEL', 'a'])])
    const torn = Buffer.concat([sound, encode('SET', 'k', 'w').subarray(0, -3)])
    for (const [bytes, code] of [
      [open, 'transaction.torn'],
      [torn, 'resp.torn.bulk'],
    ] as const) {
      const { keys, status, err } = await dumped(bytes)
      expect(keys).toEqual([string(0, 'k', 'v'), string(0, 'a', '1')])
      expect({ status, code: err.includes(`(${code})`) }).toEqual({ status: 1, code: true })
      expect((await dumped(bytes, '--load-truncated')).status).toBe(0)
    }
    // A server would lose whole commands, or the preamble.
    const behind = Buffer.concat([
      sound,
      Buffer.from('*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$999999\r\nx\r\n'),
      sound,
      sound,
    ])
    expect((await dumped(behind, '--load-truncated')).status).toBe(1)
    const preamble = Buffer.concat([BASE, encode('SET', 'k', 'w').subarray(0, -3)])
    expect((await dumped(preamble, '--load-truncated')).status).toBe(1)
  })

  it('counts times from --as-of, from the last #TS: before them, or says that it cannot', async () => {
    const expiring = commands(['SET', 'k', 'v', 'EX', '10'])
    const annotated = Buffer.concat([
      Buffer.from('#TS:1700000000\r\n'),
      expiring,
      Buffer.from('#TS:1800000000\r\n'),
    ])
    const at = (expireAtMs: number) => [string(0, 'k', 'v', { expireAtMs })]
    expect(await dumped(annotated)).toEqual({ status: 0, err: '', keys: at(1_700_000_010_000) })
    expect(await dumped(annotated, '--as-of', '1600000000')).toEqual({
      status: 0,
      err: '',
      keys: at(1_600_000_010_000),
    })
    const { keys, err, status } = await dumped(expiring)
    expect({ keys, status }).toEqual({ keys: at(10_000), status: 0 })
    expect(err).toContain('(replay.clock)')
  })

  it('names a command that it cannot carry out, with its offset', async () => {
    const first = encode('SET', 'k', 'v')
    const refused = async (...args: string[]) => {
      const { status, err, keys } = await dumped(Buffer.concat([first, encode(...args)]))
      expect({ status, keys }).toEqual({ status: 2, keys: [] })
      return err
    }
    expect(await refused('EVAL', 'return 1', '0')).toMatch(
      /^aofkit: log:27: EVAL: a script, .*\n.*--skip-scripts\n$/,
    )
    expect(await refused('NOSUCH', 'k')).toMatch(/^aofkit: log:27: redis-8\.0 knows no command "NOSUCH"/)
    expect(await refused('MY.SET', 'k')).toMatch(
      /^aofkit: log:27: MY\.SET: .*which key.*\n--allow-commands MY\.SET@N /,
    )
  })

  it.each([
    ['XDELEX', 'x', 'IDS', '1', '1-1'],
    ['XACKDEL', 'x', 'g', 'IDS', '1', '1-1'],
    ['XNACK', 'x', 'g', 'FAIL', 'IDS', '1', '1-1'],
    ['XCFGSET', 'x', 'IDMP-DURATION', '5'],
    ['DELEX', 'k', 'IFEQ', 'v'],
    ['LMOVEM', 'l', 'm', 'LEFT', 'LEFT'],
  ])('says how %s is replayed, which only newer servers know, and does so', async (name, ...args) => {
    const bytes = Buffer.concat([encode('SET', 'k', 'v'), encode(name, ...args)])
    const { status, err } = await dumped(bytes)
    expect(status).toBe(2)
    expect(err).toMatch(
      new RegExp(`log:27: .* knows no command "${name}".*\n--allow-commands ${name} replays it`),
    )
    const { keys } = await dumped(bytes, '--allow-commands', name)
    expect(keys).toEqual(name === 'DELEX' ? [] : [string(0, 'k', 'v')])
  })

  it('says of a command that only the others know which they are, and that it can be replayed all the same', async () => {
    const bytes = encode('MSETEX', '1', 'k', 'v', 'KEEPTTL')
    const { err } = await dumped(bytes)
    expect(err).toMatch(/"MSETEX".*\nvalkey-9\.1 would: --as valkey-9\.1; --allow-commands MSETEX replays it/)
    for (const args of [
      ['--as', 'valkey-9.1'],
      ['--allow-commands', 'msetex'],
    ]) {
      expect(await dumped(bytes, ...args)).toMatchObject({ status: 0, keys: [string(0, 'k', 'v')] })
    }
  })

  it('keeps a command of arrays, which only newer servers know, for its key', async () => {
    const bytes = commands(['ARSET', 'a', '0', 'x'], ['ARINSERT', 'a', 'y'], ['SET', 'k', 'v'])
    const { status, err } = await dumped(bytes)
    expect({ status, err }).toEqual({
      status: 2,
      err: expect.stringMatching(/"ARSET".*\n--allow-commands ARSET@N /),
    })
    const { keys } = await dumped(bytes, '--allow-commands', 'ARSET@1,ARINSERT@1')
    expect(keys).toMatchObject([{ key: 'a', type: 'module' }, { key: 'k' }])
  })

  it('leaves scripts out when it is told to, and counts them', async () => {
    const bytes = commands(
      ['SET', 'k', 'v'],
      ['EVAL', 'return 1', '0'],
      ['MULTI'],
      ['evalsha', 'f'.repeat(40), '0'],
      ['EXEC'],
    )
    const report = await callJson('replay', place(temporaryFolder(), bytes), '--skip-scripts')
    expect(report).toMatchObject({ status: 0, scripts: 2, databases: { 0: { keys: 1 } } })
  })

  it('counts libraries of functions', async () => {
    const library = (name: string) => `#!lua name=${name}\nredis.register_function('f', function() end)`
    const bytes = commands(
      ['FUNCTION', 'LOAD', library('a')],
      ['FUNCTION', 'LOAD', library('b')],
      ['FUNCTION', 'DELETE', 'a'],
    )
    expect(await callJson('replay', place(temporaryFolder(), bytes))).toMatchObject({
      functions: 1,
      rejected: 0,
    })
  })

  it('counts commands that a server refuses, and shows the first', async () => {
    const bytes = commands(['SET', 'k', 'v'], ['LPUSH', 'k', 'a'], ['LPUSH', 'k', 'a'], ['INCR', 'k'])
    const report = await callJson<{ err: string }>('replay', place(temporaryFolder(), bytes))
    expect(report).toMatchObject({ status: 0, rejected: 3 })
    expect(report.err).toMatch(
      /^aofkit: log:27: LPUSH: .*WRONGTYPE.* \(replay\.rejected, the first of 3\)\n$/,
    )
  })

  it('reads standard input and compressed files, whose values are looked at again', async () => {
    const bytes = Buffer.concat([
      BASE,
      commands(['SET', 'k', 'x'.repeat(5000)], ['MULTI'], ['APPEND', 'k', 'y'], ['EXEC']),
      commands(['SELECT', '2'], ['DEL', 'base'], ['RPUSH', 'l', 'b']),
    ])
    const expected = [
      string(0, 'k', `${'x'.repeat(5000)}y`),
      { db: 2, key: 'l', type: 'list', value: ['a', 'b'] },
    ]
    const sorted = (lines: { db: number }[]) => lines.sort((a, b) => a.db - b.db)
    expect(sorted((await dumped(gzipSync(bytes))).keys)).toEqual(expected)
    const { stdout, status } = spawnSync(process.execPath, [bundle(), 'replay', '-', '--dump'], {
      input: bytes,
    })
    const lines = stdout.toString().trimEnd().split('\n')
    const keys = sorted(lines.map(line => JSON.parse(line)))
    expect({ status, keys }).toEqual({ status: 0, keys: expected })
  })

  it('does not go on behind a part that servers do not get over', async () => {
    const { keys, status } = await dumped({
      'a.1.incr.aof': Buffer.concat([commands(['SET', 'k', 'v']), Buffer.from('nothing of the kind\r\n')]),
      'a.2.incr.aof': commands(['DEL', 'k']),
      [MANIFEST]: Buffer.from('file a.1.incr.aof seq 1 type i\nfile a.2.incr.aof seq 2 type i\n'),
    })
    expect({ keys, status }).toEqual({ keys: [string(0, 'k', 'v')], status: 1 })
  })

  it('keeps what an RDB has when the key is there already, and says so', async () => {
    const { keys, status, err } = await dumped({
      'a.1.incr.aof': commands(['SELECT', '2'], ['SET', 'base', 'mine']),
      'a.2.incr.aof': BASE,
      [MANIFEST]: Buffer.from('file a.1.incr.aof seq 1 type i\nfile a.2.incr.aof seq 2 type i\n'),
    })
    expect(status).toBe(1)
    expect(err).toContain('(rdb.key.duplicate)')
    expect(keys).toContainEqual(string(2, 'base', 'mine'))
    expect(keys).toHaveLength(2)
  })
})

describe('replay of commands of modules', () => {
  it('keeps them for their key, which other commands still move and remove', async () => {
    const module = (db: number, key: string, more: object = {}) => ({
      db,
      key,
      type: 'module',
      ...more,
      value: { base64: '' },
      incomplete: true,
    })
    const { keys, err } = await log(
      ['JSON.SET', 'a', '$', '1'],
      ['json.set', 'b', '$', '1'],
      ['VADD', 'v', 'VALUES', '1', '1', 'e'],
      ['BF.ADD', 'gone', 'x'],
      ['PEXPIREAT', 'a', '1900000000000'],
      ['RENAME', 'b', 'c'],
      ['MOVE', 'v', '3'],
      ['COPY', 'c', 'd'],
      ['DEL', 'gone'],
      ['LPUSH', 'a', 'x'],
    )
    expect(keys).toEqual([
      module(0, 'a', { expireAtMs: 1_900_000_000_000 }),
      module(0, 'c'),
      module(3, 'v'),
      module(0, 'd'),
    ])
    expect(err).toContain('WRONGTYPE')
  })

  it('keeps all commands for a key of an unknown one, until it gets a new value', async () => {
    const bytes = commands(
      ['HSET', 'h', 'f', '1'],
      ['MY.THING', 'x', 'h'],
      ['HSET', 'h', 'g', '2'],
      ['SADD', 's', 'a'],
      ['MY.THING', 'x', 's'],
      ['SET', 's', 'again'],
      ['SUNIONSTORE', 'u', 'h'],
    )
    const { keys, status, err } = await dumped(bytes, '--allow-commands', 'my.thing@2')
    expect({ status, err }).toEqual({ status: 0, err: '' })
    expect(keys.map(({ key, type }) => [key, type])).toEqual([
      ['h', 'module'],
      ['s', 'string'],
      ['u', 'module'],
    ])
    const free = await dumped(bytes, '--allow-commands', 'my.thing@0')
    expect(free.keys).toContainEqual({
      db: 0,
      key: 'h',
      type: 'hash',
      value: [
        ['f', '1'],
        ['g', '2'],
      ],
    })
  })
})

describe('verify --replay', () => {
  const bytes = Buffer.concat([
    Buffer.from('#TS:1700000000\r\n'),
    commands(['SET', 'k', 'v'], ['LPUSH', 'k', 'a'], ['HSET', 'h', 'f', 'v']),
  ])
  const verified = (content: Buffer, ...args: string[]) =>
    callJson<{ verdict: string; findings: { code: string }[]; replay: object }>(
      'verify',
      place(temporaryFolder(), content),
      ...args,
    )
  const codes = async (content: Buffer, ...args: string[]) => {
    const { status, findings } = await verified(content, ...args)
    return [status, ...findings.map(({ code }) => code)]
  }

  it('reports what a server would refuse, and what there is', async () => {
    expect(await verified(bytes, '--replay')).toMatchObject({
      status: 0,
      verdict: 'sound',
      findings: [{ code: 'replay.rejected', severity: 'warning', part: 'log', offset: 43 }],
      replay: { databases: { 0: { keys: 2 } }, functions: 0, rejected: 1, writtenAt: 1_700_000_000 },
    })
    expect((await verified(bytes, '--replay', '--strict')).status).toBe(1)
    expect((await verified(bytes)).replay).toBeUndefined()
  })

  it('checks how many keys there are', async () => {
    expect(await codes(bytes, '--expect-keys', '2')).toEqual([0, 'replay.rejected'])
    expect(await codes(bytes, '--expect-keys', '1..2')).toEqual([0, 'replay.rejected'])
    expect(await codes(bytes, '--expect-keys', '3')).toEqual([1, 'replay.rejected', 'expect.keys'])
    expect(await codes(bytes, '--expect-keys', '0..1')).toEqual([1, 'replay.rejected', 'expect.keys'])
    expect((await call('verify', place(temporaryFolder(), bytes), '--expect-keys', '3..2')).status).toBe(2)
  })

  it('checks the digest', async () => {
    const path = place(temporaryFolder(), bytes)
    const { digest } = await callJson<{ digest: string }>('digest', path)
    expect(await codes(bytes, '--expect-digest', digest.toUpperCase())).toEqual([0, 'replay.rejected'])
    expect(await codes(bytes, '--expect-digest', '0'.repeat(40))).toEqual([
      1,
      'replay.rejected',
      'expect.digest',
    ])
    expect((await call('verify', path, '--expect-digest', 'abc')).status).toBe(2)
  })

  it('checks how old it is, by the last #TS:, else by the RDB', async () => {
    const now = ['--as-of', '1700003600']
    for (const content of [bytes, BASE]) {
      expect((await verified(content, '--expect-newer-than', '1h', ...now)).status).toBe(0)
      expect((await verified(content, '--expect-newer-than', '59m', ...now)).status).toBe(1)
      expect((await verified(content, '--expect-newer-than', '30d')).status).toBe(1)
    }
    expect(await codes(commands(['SET', 'k', 'v']), '--expect-newer-than', '7d')).toEqual([1, 'expect.newer'])
    expect(
      (await call('verify', place(temporaryFolder(), bytes), '--expect-newer-than', 'soon')).status,
    ).toBe(2)
  })

  it('replays what servers load of a log that is torn or corrupt', async () => {
    const sound = commands(['SET', 'k', 'v'])
    const unknown = Buffer.concat([sound, commands(['NOSUCH', 'k'], ['SET', 'a', '1'])])
    const torn = Buffer.concat([sound, encode('SET', 'b', '1').subarray(0, -4)])
    for (const [content, verdict] of [
      [unknown, 'corrupt'],
      [torn, 'torn'],
    ] as const) {
      expect(await verified(content, '--replay')).toMatchObject({
        status: 1,
        verdict,
        replay: { databases: { 0: { keys: 1 } } },
      })
    }
    expect((await verified(torn, '--replay', '--load-truncated')).status).toBe(0)
  })

  it('reads standard input twice', () => {
    const { stdout, status } = spawnSync(
      process.execPath,
      [bundle(), 'verify', '-', '--json', '--expect-keys', '2'],
      {
        input: bytes,
      },
    )
    expect(status).toBe(0)
    expect(JSON.parse(stdout.toString())).toMatchObject({
      bytes: bytes.length,
      replay: { databases: { 0: { keys: 2 } } },
    })
  })
})
