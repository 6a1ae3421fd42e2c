import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { generator } from '../../bench/logs.ts'
import { encode } from '../helpers/chunks.ts'
import { call, ended, start } from '../helpers/command.ts'
import { temporaryFolder } from '../helpers/temp.ts'
import { bytes, entry, int64, len, rdb, select, str } from '../rdb/build.ts'
import { MANIFEST, place } from './repairing.ts'

const SEED = Number(process.env.AOFKIT_SEED ?? 20240504)
const LONG = process.env.AOFKIT_LONG !== undefined

/** A command as it stands in a log, read without anything of this project. */
interface Line {
  readonly part: string
  readonly offset: number
  readonly db: number
  readonly time?: number
  readonly args: Buffer[]
}

/** Reads a sound log: as simple as can be. */
function read(part: string, log: Buffer): Line[] {
  const lines: Line[] = []
  let db = 0
  let time: number | undefined
  let at = 0
  const header = () => {
    const end = log.indexOf('\r\n', at)
    const text = log.toString('latin1', at, end)
    at = end + 2
    return text
  }
  while (at < log.length) {
    const offset = at
    const head = header()
    if (head.startsWith('#TS:')) time = Number(head.slice(4))
    if (!head.startsWith('*')) continue
    const args = Array.from({ length: Number(head.slice(1)) }, () => {
      const length = Number(header().slice(1))
      at += length + 2
      return log.subarray(at - length - 2, at - 2)
    })
    lines.push({ part, offset, db, ...(time === undefined ? {} : { time }), args })
    if (args[0].toString('latin1').toLowerCase() === 'select') db = Number(args[1])
  }
  return lines
}

/** What `--format jsonl` says of them. */
function asJson(lines: readonly Line[]): unknown[] {
  return lines.map(line => ({ ...line, args: line.args.map(jsonValue) }))
}

function jsonValue(bytes: Buffer): unknown {
  const text = bytes.toString()
  return Buffer.from(text).equals(bytes) ? text : { base64: bytes.toString('base64') }
}

async function printed(...args: string[]): Promise<unknown[]> {
  const { status, out, err } = await call('print', ...args, '--json')
  expect({ status, err }).toEqual({ status: 0, err: '' })
  return jsonLines(out)
}

function jsonLines(out: Buffer): unknown[] {
  return out
    .toString()
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line))
}

/** A log of many commands in four databases, with times and transactions; some have no time yet. */
function makeLog(count: number): Buffer {
  const random = generator(SEED)
  const int = (n: number) => Math.floor(random() * n)
  const key = () => `${['user', 'session', 'Übergang'][int(3)]}:${int(8)}`
  const pieces: Buffer[] = []
  let time = 1_700_000_000
  for (let i = 0; i < count; i++) {
    if (i > 10 && int(5) === 0) {
      time += int(90)
      pieces.push(Buffer.from(`#TS:${time}\r\n`))
    }
    switch (int(9)) {
      case 0:
        pieces.push(encode('SELECT', `${int(4)}`))
        break
      case 1:
        pieces.push(encode('MULTI'), encode('INCR', key()), encode('del', key(), key()), encode('EXEC'))
        break
      case 2:
        pieces.push(encode('XGROUP', 'CREATE', key(), 'group', '$', 'MKSTREAM'))
        break
      case 3:
        pieces.push(encode('HSET', key(), 'f', Buffer.from([255, int(256), 0, 10])))
        break
      case 4:
        pieces.push(encode('XADD', key(), '*', 'a', 'b'))
        break
      default:
        pieces.push(encode('SET', key(), 'x'.repeat(int(300))))
    }
  }
  return Buffer.concat(pieces)
}

describe('print selects', () => {
  const log = makeLog(400)
  const lines = read('log', log)
  const times = lines.flatMap(({ time }) => time ?? [])
  let path: string
  beforeAll(() => {
    const folder = mkdtempSync(join(tmpdir(), 'aofkit-test-'))
    path = place(folder, log)
    return () => rmSync(folder, { recursive: true })
  })

  it('all of it, in the order of the log', async () => {
    expect(lines.length).toBeGreaterThan(300)
    expect(await printed(path)).toEqual(asJson(lines))
  })

  const name = (line: Line, i: number) => line.args[i].toString('latin1').toLowerCase()

  /** The keys that a command touches. */
  function keysOf(line: Line): string[] {
    const all = line.args.map(arg => arg.toString())
    switch (name(line, 0)) {
      case 'select':
      case 'multi':
      case 'exec':
        return []
      case 'del':
        return all.slice(1)
      case 'xgroup':
        return [all[2]]
      default:
        return [all[1]]
    }
  }

  const filters: [option: string, value: string, wanted: (line: Line) => boolean][] = [
    ['--command', 'set', line => name(line, 0) === 'set'],
    ['--command', 'SET,Del', line => ['set', 'del'].includes(name(line, 0))],
    ['--command', 'xgroup|create', line => name(line, 0) === 'xgroup'],
    ['--command', 'xgroup|destroy', () => false],
    ['--command', 'xgroup,multi', line => ['xgroup', 'multi'].includes(name(line, 0))],
    ['--db', '2', line => line.db === 2],
    ['--db', '0,3', line => line.db === 0 || line.db === 3],
    ['--key', 'user:*', line => keysOf(line).some(key => key.startsWith('user:'))],
    ['--key', 'session:[1-3]', line => keysOf(line).some(key => /^session:[123]$/.test(key))],
    ['--key', 'Übergang:5', line => keysOf(line).includes('Übergang:5')],
    ['--key', '*:?', line => keysOf(line).length > 0],
    ['--from-offset', `${lines[100].offset}`, line => line.offset >= lines[100].offset],
    ['--from-offset', `log:${lines[100].offset + 1}`, line => line.offset > lines[100].offset],
    ['--to-offset', `${lines[250].offset}`, line => line.offset < lines[250].offset],
    ['--since', `${times[50]}`, line => (line.time ?? 0) >= times[50]],
    ['--since', '2023-11-14T22:20:00', line => (line.time ?? 0) >= 1_700_000_400],
    ['--since', '2023-11-14T23:20:00+01:00', line => (line.time ?? 0) >= 1_700_000_400],
    ['--until', `${times[150]}`, line => (line.time ?? 0) <= times[150]],
  ]

  it.each(filters)('what %s %s asks for', async (option, value, wanted) => {
    const expected = lines.filter(wanted)
    if (value !== 'xgroup|destroy') expect(expected.length).toBeGreaterThan(0)
    expect(expected.length).toBeLessThan(lines.length)
    expect(await printed(path, option, value)).toEqual(asJson(expected))
  })

  it('what meets all that is asked for, the first of it or the last', async () => {
    const random = generator(SEED)
    for (let i = 0; i < (LONG ? 300 : 20); i++) {
      const some = new Map<string, (typeof filters)[number]>()
      for (const filter of filters) if (random() < 0.2) some.set(filter[0], filter)
      const args = [...some.values()].flatMap(([option, value]) => [option, value])
      let expected = lines.filter(line => [...some.values()].every(([, , wanted]) => wanted(line)))
      const count = Math.floor(random() * 30)
      const which = random()
      if (which < 0.35) {
        args.push('--limit', `${count}`)
        expected = expected.slice(0, count)
      } else if (which < 0.7) {
        args.push('--last', `${count}`)
        expected = expected.slice(Math.max(0, expected.length - count))
      }
      expect(await printed(path, ...args), args.join(' ')).toEqual(asJson(expected))
    }
  })

  it('the same in text: a line for each, with part, offset, database and time', async () => {
    const { out } = await call('print', path, '--db', '1,2')
    const heads = out
      .toString()
      .trimEnd()
      .split('\n')
      .map(line => line.split(' ').slice(0, 4).join(' '))
    expect(heads).toEqual(
      lines
        .filter(({ db }) => db === 1 || db === 2)
        .map(({ offset, db, time, args }) => {
          const when = time === undefined ? '-' : new Date(time * 1000).toISOString().replace('.000Z', 'Z')
          return `log:${offset} ${db} ${when} ${args[0].toString()}`
        }),
    )
  })

  it('the same as RESP: the commands with a SELECT wherever the database changes', async () => {
    const { status, out } = await call('print', path, '--format', 'resp', '--db', '1,3', '--command', 'set')
    expect(status).toBe(0)
    const expected = lines.filter(line => (line.db === 1 || line.db === 3) && name(line, 0) === 'set')
    const commands = read('', out)
    const selects = commands.filter(line => name(line, 0) === 'select')
    const others = commands.filter(line => name(line, 0) !== 'select')
    expect(others.map(({ db, args }) => ({ db, args }))).toEqual(
      expected.map(({ db, args }) => ({ db, args })),
    )
    expect(selects.length).toBeLessThan(expected.length)
  })

  it('nothing, and says so, where times are asked for and there are none', async () => {
    const untimed = place(temporaryFolder(), encode('SET', 'a', '1'))
    const { status, out, err } = await call('print', untimed, '--since', '1700000000')
    expect({ status, out: out.toString() }).toEqual({ status: 0, out: '' })
    expect(err).toContain('no #TS: annotations')
  })
})

describe('print of several parts', () => {
  const base = rdb(
    'REDIS0010',
    select(0),
    entry(0, 'plain', str('1')),
    [0xfc, Buffer.from([0, 0, 0, 0, 0, 1, 0, 0])],
    entry(0, 'expiring', str('22')),
    select(5),
    entry(0, 'elsewhere', str('333')),
  )
  const first = makeLog(30)
  const second = makeLog(50)
  const parts = {
    'a.aof.1.base.rdb': base,
    'a.aof.1.incr.aof': first,
    'a.aof.2.incr.aof': second,
    [MANIFEST]: Buffer.from(
      'file a.aof.1.base.rdb seq 1 type b\nfile a.aof.1.incr.aof seq 1 type i\nfile a.aof.2.incr.aof seq 2 type i\n',
    ),
  }
  let path: string
  beforeAll(() => {
    const folder = mkdtempSync(join(tmpdir(), 'aofkit-test-'))
    path = place(folder, parts)
    return () => rmSync(folder, { recursive: true })
  })
  const before = read('a.aof.1.incr.aof', first)
  // The time goes on from part to part, as the server's did.
  const time = before.at(-1)?.time
  const incr = [
    ...before,
    ...read('a.aof.2.incr.aof', second).map(line =>
      line.time === undefined && time !== undefined ? { ...line, time } : line,
    ),
  ]
  const keys = [
    { db: 0, args: ['SET', 'plain', '1'] },
    { db: 0, args: ['SET', 'expiring', '22'] },
    { db: 0, args: ['PEXPIREAT', 'expiring', `${2 ** 40}`] },
    { db: 5, args: ['SET', 'elsewhere', '333'] },
  ].map(line => ({ part: 'a.aof.1.base.rdb', offset: expect.any(Number), ...line }))

  it('has commands for the keys of the base first, then its own, each part beginning in database 0', async () => {
    expect(await printed(path)).toEqual([...keys, ...asJson(incr)])
  })

  it('has the last of all parts together, and the first', async () => {
    expect(await printed(path, '--last', '60')).toEqual(asJson(incr.slice(-60)))
    expect(await printed(path, '--limit', '5')).toEqual([...keys, ...asJson(incr.slice(0, 1))])
    expect(await printed(path, '--limit', '2')).toEqual(keys.slice(0, 2))
  })

  it('begins and ends in the part that is named', async () => {
    const [a, b] = [read('', first), read('', second)]
    const from = `a.aof.1.incr.aof:${a[10].offset}`
    const to = `a.aof.2.incr.aof:${b[20].offset}`
    expect(await printed(path, '--from-offset', from, '--to-offset', to)).toEqual(
      asJson(incr.slice(10, a.length + 20)),
    )
    for (const bad of ['77', 'a.aof.9.incr.aof:0']) {
      const { status, err } = await call('print', path, '--from-offset', bad)
      expect(status, err).toBe(2)
    }
  })

  it('selects what rebuilds the base by key, database, command and offset, and none of it by time', async () => {
    expect(await printed(path, '--key', 'e*')).toEqual(keys.slice(1))
    expect(await printed(path, '--db', '5')).toEqual(keys.slice(3))
    const sets = incr.filter(({ args }) => args[0].toString() === 'SET')
    const isSet = ({ args }: { args: string[] }) => args[0] === 'SET'
    expect(await printed(path, '--command', 'set')).toEqual([...keys.filter(isSet), ...asJson(sets)])
    expect(await printed(path, '--command', 'pexpireat')).toEqual(keys.slice(2, 3))
    const offset = base.indexOf('expiring') - 11
    const from = await printed(path, '--from-offset', `a.aof.1.base.rdb:${offset}`, '--limit', '3')
    expect(from).toEqual([{ ...keys[1], offset }, { ...keys[2], offset }, keys[3]])
    const to = await printed(path, '--to-offset', `a.aof.1.base.rdb:${offset}`)
    expect(to).toEqual(keys.slice(0, 1))
    const timed = incr.filter(line => line.time !== undefined)
    expect(await printed(path, '--since', '1700000000')).toEqual(asJson(timed))
  })

  it('as RESP has what rebuilds the base, with a SELECT where the database changes', async () => {
    const { status, out } = await call('print', path, '--format', 'resp', '--limit', '4')
    expect(status).toBe(0)
    const words = keys.map(({ args }) => args)
    const expected = [...words.slice(0, 3), ['SELECT', '5'], words[3]].map(args => encode(...args))
    expect(out.toString()).toBe(Buffer.concat(expected).toString())
    const last = await call(
      'print',
      path,
      '--format',
      'resp',
      '--to-offset',
      `a.aof.1.base.rdb:${base.length}`,
      '--last',
      '1',
    )
    expect(last.out.toString()).toBe(`${encode('SELECT', '5')}${encode('SET', 'elsewhere', '333')}`)
  })
})

describe('print of an RDB', () => {
  const long = 'x'.repeat(1000)
  const list = (...items: string[]) => [len(items.length), ...items.map(item => str(item))]

  it('shortens arguments in text, unless --full', async () => {
    const path = place(
      temporaryFolder(),
      rdb('REDIS0010', entry(0, 'key', str(long)), entry(1, 'list', list(long))),
    )
    const short = await call('print', path)
    expect(short.out.toString()).toBe(
      ['SET key', 'RPUSH list']
        .map((words, i) => `log:${i === 0 ? 9 : 1016} 0 - ${words} "${long.slice(0, 100)}"… (1000 bytes)\n`)
        .join(''),
    )
    const full = await call('print', path, '--full')
    expect(full.out.toString()).toBe(`log:9 0 - SET key ${long}\nlog:1016 0 - RPUSH list ${long}\n`)
  })

  it('shows only the first of many arguments, and how many there are', async () => {
    const items = Array.from({ length: 64 }, (_, i) => [str(`f${i}`), str('v')])
    const path = place(temporaryFolder(), rdb('REDIS0010', entry(4, 'hash', [len(64), ...items])))
    const { out } = await call('print', path)
    expect(out.toString()).toMatch(/ f48 v … \(30 more\)\n$/)
    expect((await call('print', path, '--full')).out.toString()).toMatch(/ f63 v\n$/)
  })

  it('names a key whose value cannot be decoded, gives what it has of it, goes on, and exits 1', async () => {
    const bad = [len(3), str('a'), str('b'), 0xc3, len(2), len(9), 0, 0]
    const log = rdb(
      'REDIS0010',
      entry(0, 'before', str('1')),
      entry(1, 'bad key', bad),
      entry(0, 'after', str('2')),
    )
    const words = [
      ['SET', 'before', '1'],
      ['RPUSH', 'bad key', 'a', 'b'],
      ['SET', 'after', '2'],
    ]
    for (const format of ['jsonl', 'resp']) {
      const { status, out, err } = await call('print', place(temporaryFolder(), log), '--format', format)
      expect(status).toBe(1)
      expect(err).toMatch(
        /^aofkit: log:\d+: .* \(key "bad key"\) \(rdb\.[a-z.]+\); verify says what it means\n$/,
      )
      if (format === 'jsonl') expect(jsonLines(out)).toMatchObject(words.map(args => ({ args })))
      else expect(out.equals(Buffer.concat(words.map(args => encode(...args))))).toBe(true)
    }
    // Of a key that was not asked for nothing is decoded, and nothing is said.
    const other = await call('print', place(temporaryFolder(), log), '--key', 'after')
    expect({ status: other.status, err: other.err }).toEqual({ status: 0, err: '' })
  })

  it('gives what there is of a value that the file ends in', async () => {
    const items = Array.from({ length: 100_000 }, (_, i) => str(`item ${i}`))
    const log = rdb('REDIS0010', [0xfc, int64(99)], entry(1, 'list', [len(items.length), ...items]))
    const { status, out, err } = await call(
      'print',
      place(temporaryFolder(), log.subarray(0, 1_000_000)),
      '--json',
    )
    expect(status).toBe(1)
    expect(err).toContain('rdb.truncated')
    const lines = jsonLines(out) as { args: string[] }[]
    const given = lines.flatMap(({ args }) => (args[0] === 'RPUSH' ? args.slice(2) : []))
    expect(given.length).toBeGreaterThan(80_000)
    expect(given.every((item, i) => item === `item ${i}`)).toBe(true)
    expect(lines.at(-1)?.args).toEqual(['PEXPIREAT', 'list', '99'])
  })

  it('loads libraries of functions, also those of a release candidate', async () => {
    const source = `#!lua name=l\nredis.register_function('f', function() return 1 end)`
    const old = [0xf6, str('l'), str('LUA'), 1, str('about'), str('code')]
    const path = place(temporaryFolder(), rdb('REDIS0010', [0xf5, str(source)], old, entry(0, 'k', str('v'))))
    const args = (lines: unknown[]) => lines.map(line => (line as { args: string[] }).args)
    const load = (text: string) => ['FUNCTION', 'LOAD', text]
    const all = [load(source), load('#!LUA name=l\ncode'), ['SET', 'k', 'v']]
    expect(args(await printed(path, '--as', 'redis-7.0'))).toEqual(all)
    expect(args(await printed(path, '--as', 'redis-7.0', '--command', 'function|load'))).toEqual(
      all.slice(0, 2),
    )
    expect(args(await printed(path, '--as', 'redis-7.0', '--key', '*'))).toEqual(all.slice(2))
    expect(args(await printed(path, '--as', 'redis-7.0', '--db', '1'))).toEqual([])
  })

  it('with --limit stops early, however large it is', async () => {
    const folder = temporaryFolder()
    const path = join(folder, 'log')
    writeFileSync(path, bytes(Buffer.from('REDIS0010'), entry(0, 'k', str('v'))))
    // A string of zeros that take no place on the disk.
    const size = 2 ** 40
    const file = await open(path, 'a')
    await file.write(bytes(0, str('zeros'), len(size)))
    await file.truncate((await file.stat()).size + size)
    await file.close()
    const { status, out, err } = await call('print', path, '--limit', '1')
    expect({ status, err, out: out.toString() }).toEqual({ status: 0, err: '', out: 'log:9 0 - SET k v\n' })
  })

  it('gives a value of millions of elements in bounded memory', async () => {
    const folder = temporaryFolder()
    const count = 1_000_000
    const fields = Buffer.concat(
      Array.from({ length: count }, (_, i) => bytes(str(`field:${i}`), str('value'))),
    )
    const path = place(folder, rdb('REDIS0010', entry(4, 'hash', [len(count), fields])))
    for (const format of ['text', 'resp', 'jsonl']) {
      const { status, err, memory } = await measured(folder, ['print', path, '--format', format])
      expect({ status, err }).toEqual({ status: 0, err: '' })
      expect(memory).toBeLessThan(150)
    }
  }, 60_000)
})

describe('print of a damaged log', () => {
  const log = makeLog(60)
  const lines = read('log', log)

  it.each([
    ['torn', log.subarray(0, -3), lines.length - 1],
    ['corrupt', Buffer.concat([log, Buffer.from('garbage')]), lines.length],
    [
      'corrupt in the middle',
      Buffer.concat([log.subarray(0, lines[20].offset), Buffer.from('?'), log.subarray(lines[20].offset)]),
      20,
    ],
  ])('that is %s has what can be read, says where it ends, and exits 1', async (_, bytes, whole) => {
    const path = place(temporaryFolder(), bytes)
    for (const format of ['jsonl', 'resp', 'text']) {
      const { status, out, err } = await call('print', path, '--format', format)
      expect(status).toBe(1)
      expect(err).toMatch(/^aofkit: log:\d+: .* \([a-z.]+\); verify says what it means\n$/)
      if (format === 'jsonl') expect(jsonLines(out)).toEqual(asJson(lines.slice(0, whole)))
      if (format === 'text') expect(out.toString().trimEnd().split('\n')).toHaveLength(whole)
    }
  })

  it('goes on with the next part', async () => {
    const path = place(temporaryFolder(), {
      'a.aof.1.incr.aof': encode('SET', 'a', '1').subarray(0, -1),
      'a.aof.2.incr.aof': encode('SET', 'b', '2'),
      [MANIFEST]: Buffer.from('file a.aof.1.incr.aof seq 1 type i\nfile a.aof.2.incr.aof seq 2 type i\n'),
    })
    const { status, out } = await call('print', path, '--json')
    expect(status).toBe(1)
    expect(jsonLines(out)).toMatchObject([{ part: 'a.aof.2.incr.aof', args: ['SET', 'b', '2'] }])
  })

  it('does not mention damage behind what was asked for', async () => {
    const path = place(temporaryFolder(), Buffer.concat([log, Buffer.from('garbage')]))
    for (const args of [
      ['--limit', '5'],
      ['--to-offset', `${lines[5].offset}`],
    ]) {
      expect(await printed(path, ...args)).toEqual(asJson(lines.slice(0, 5)))
    }
  })
})

describe('print of what servers refuse, lose or only pass over', () => {
  const set = encode('SET', 'k', 'v')
  const shown = async (log: Buffer, ...args: string[]) => {
    const { status, out, err } = await call('print', place(temporaryFolder(), log), ...args)
    return { status, lines: out.toString().split('\n').length - 1, err }
  }

  it.each([
    ['a transaction that is open at the end', [set, encode('MULTI'), set], 27, 'transaction.torn'],
    ['an unknown command', [set, encode('SETT', 'k', 'v'), set], 27, 'command.unknown'],
    ['a wrong number of arguments', [set, encode('GET', 'a', 'b'), set], 27, 'command.arity'],
    ['EXEC without MULTI', [set, encode('EXEC'), set], 27, 'transaction.exec'],
    ['a wrong terminator', [set, Buffer.from('*1\r\n$4\r\nPINGxx'), set], 39, 'resp.bulk.terminator'],
  ])('has all of it, names the place, and exits 1: %s', async (_, records, offset, code) => {
    const { status, lines, err } = await shown(Buffer.concat(records))
    expect({ status, lines }).toEqual({ status: 1, lines: records.length })
    expect(err).toMatch(/^aofkit: log:\d+: [^\n]+; verify says what it means\n$/)
    expect(err).toContain(`aofkit: log:${offset}: `)
    expect(err).toContain(`(${code})`)
  })

  it('names the first of many, and how many there are', async () => {
    const log = Buffer.concat([set, ...Array.from({ length: 1500 }, () => encode('SETT', 'k', 'v'))])
    const { status, lines, err } = await shown(log)
    expect({ status, lines }).toEqual({ status: 1, lines: 1501 })
    expect(err).toMatch(/^aofkit: log:27: [^\n]+ \(command\.unknown, the first of 1,500\); [^\n]+\n$/)
  })

  it('says nothing of what is behind the commands that are asked for, or only odd', async () => {
    const log = Buffer.concat([set, encode('SETT'), encode('MULTI')])
    expect(await shown(log, '--limit', '1')).toEqual({ status: 0, lines: 1, err: '' })
    expect(await shown(log, '--to-offset', '27')).toEqual({ status: 0, lines: 1, err: '' })
    expect(await shown(encode('JSON.SET', 'k', '$', '1'))).toEqual({ status: 0, lines: 1, err: '' })
    expect(await shown(encode('SETT', 'k'), '--allow-commands', 'sett')).toMatchObject({ status: 0, err: '' })
  })
})

describe('print as RESP', () => {
  const log = Buffer.concat(
    [
      ['SELECT', '1'],
      ['SET', 'a', '1'],
      ['MULTI'],
      ['SET', 'b', '2'],
      ['SELECT', '2'],
      ['SET', 'c', '3'],
      ['EXEC'],
      ['DEL', 'a'],
    ].map(args => encode(...args)),
  )
  const commands = async (bytes: Buffer, ...args: string[]) => {
    const { out } = await call('print', place(temporaryFolder(), bytes), '--format', 'resp', ...args)
    return read('', out).map(line => line.args.join(' '))
  }

  it('has the transactions of a log that is printed whole', async () => {
    expect(await commands(log)).toEqual([
      ...['SELECT 1', 'SET a 1', 'MULTI', 'SET b 2', 'SELECT 2', 'SET c 3', 'EXEC', 'DEL a'],
    ])
  })

  // An open one would swallow the ECHO by which redis-cli --pipe knows that all was answered: it would wait.
  it('closes one that is open at the end, as servers drop it', async () => {
    const cut = log.subarray(0, log.indexOf(encode('EXEC')))
    expect((await commands(cut)).slice(-2)).toEqual(['SET c 3', 'DISCARD'])
    expect((await commands(log.subarray(0, cut.length - 3))).slice(-2)).toEqual(['SET b 2', 'DISCARD'])
  })

  it('has commands without MULTI and EXEC wherever it is a selection, and limits count what is there', async () => {
    const plain = ['SELECT 1', 'SET a 1', 'SET b 2', 'SELECT 2', 'SET c 3', 'DEL a']
    expect(await commands(log, '--limit', '100')).toEqual(plain)
    expect(await commands(log, '--from-offset', '0')).toEqual(plain)
    expect(await commands(log, '--limit', '2')).toEqual(plain.slice(0, 3))
    expect(await commands(log, '--limit', '3')).toEqual(plain.slice(0, 5))
    expect(await commands(log, '--last', '2')).toEqual(['SELECT 2', 'SET c 3', 'SELECT 2', 'DEL a'])
    expect(await commands(log, '--db', '1')).toEqual(['SELECT 1', 'SET a 1', 'SET b 2'])
    expect(await commands(log, '--command', 'exec,multi,select')).toEqual([])
  })
})

describe('print of several parts', () => {
  it('keeps the time of the part before: servers write a timestamp once a second, not once a part', async () => {
    const folder = temporaryFolder()
    writeFileSync(
      join(folder, 'a.aof.manifest'),
      'file a.aof.1.incr.aof seq 1 type i\nfile a.aof.2.incr.aof seq 2 type i\n',
    )
    writeFileSync(
      join(folder, 'a.aof.1.incr.aof'),
      Buffer.concat([Buffer.from('#TS:1700000000\r\n'), encode('SET', 'a', '1')]),
    )
    writeFileSync(join(folder, 'a.aof.2.incr.aof'), encode('SET', 'b', '2'))
    const since = await call('print', folder, '--since', '1700000000', '--json')
    const lines = since.out
      .toString()
      .trim()
      .split('\n')
      .map(line => JSON.parse(line))
    expect(lines.map(({ args, time }) => [args[1], time])).toEqual([
      ['a', 1700000000],
      ['b', 1700000000],
    ])
    expect((await call('print', folder, '--until', '1699999999', '--json')).out.toString()).toBe('')
  })

  it('takes --last of what --limit leaves', async () => {
    const log = place(temporaryFolder(), Buffer.concat(['a', 'b', 'c', 'd'].map(key => encode('DEL', key))))
    const { out } = await call('print', log, '--limit', '3', '--last', '2', '--json')
    expect(out.toString().match(/"[a-d]"/g)).toEqual(['"b"', '"c"'])
  })
})

describe('print refuses options that contradict each other', () => {
  it.each([
    ['--json', '--format', 'text'],
    ['--format', 'resp', '--json'],
  ])('%s %s %s', async (...args) => {
    const path = place(temporaryFolder(), encode('SET', 'k', 'v'))
    const { status, out, err } = await call('print', path, ...args)
    expect({ status, out: out.toString() }).toEqual({ status: 2, out: '' })
    expect(err).toMatch(/^aofkit: --[^\n]+\nTry: aofkit print --help\n$/)
    expect((await call('print', path, '--json', '--format', 'jsonl')).status).toBe(0)
  })
})

describe('print of large values', () => {
  const value = Buffer.alloc(5_000_000)
  for (let i = 0; i < value.length; i++) value[i] = (i * 7919) >> 3
  const text = Buffer.from('Grüße, '.repeat(900_000))
  const log = Buffer.concat([encode('SET', 'binary', value), encode('SET', 'text', text), encode('DEL', 'a')])

  it('has every byte of them as JSON Lines, as RESP, and as text with --full', async () => {
    const path = place(temporaryFolder(), log)
    const [binary, long, del] = (await printed(path)) as { args: (string | { base64: string })[] }[]
    const { base64 } = binary.args[2] as { base64: string }
    expect(Buffer.from(base64, 'base64').equals(value)).toBe(true)
    expect(long.args[2] === text.toString()).toBe(true)
    expect(del.args).toEqual(['DEL', 'a'])

    const resp = await call('print', path, '--format', 'resp')
    expect(resp.out.equals(log)).toBe(true)

    const full = await call('print', path, '--full')
    const [first] = full.out.toString('latin1').split('\n')
    const shown = first.slice(first.indexOf('binary" "') + 9, -1)
    expect(unescaped(shown).equals(value)).toBe(true)
  })

  it('shows the beginning of them in text, and how long they are', async () => {
    const path = place(temporaryFolder(), log)
    const { out } = await call('print', path)
    expect(out.length).toBeLessThan(1500)
    expect(out.toString()).toContain('… (5000000 bytes)')
    expect(out.toString()).toContain(`… (${text.length} bytes)`)
  })

  it('has the last of them too', async () => {
    const path = place(temporaryFolder(), log)
    const { out } = await call('print', path, '--format', 'resp', '--last', '2')
    expect(
      out.equals(
        Buffer.concat([
          encode('SELECT', '0'),
          encode('SET', 'text', text),
          encode('SELECT', '0'),
          encode('DEL', 'a'),
        ]),
      ),
    ).toBe(true)
  })
})

/** What redis-cli shows, back as bytes. */
function unescaped(shown: string): Buffer {
  const letters: Record<string, number> = { n: 10, r: 13, t: 9, a: 7, b: 8, '"': 34, '\\': 92 }
  const bytes = Buffer.alloc(shown.length)
  let length = 0
  for (let i = 0; i < shown.length; i++) {
    if (shown[i] !== '\\') bytes[length++] = shown.charCodeAt(i)
    else if (shown[++i] !== 'x') bytes[length++] = letters[shown[i]]
    else {
      bytes[length++] = Number.parseInt(shown.slice(i + 1, i + 3), 16)
      i += 2
    }
  }
  return bytes.subarray(0, length)
}

describe('print of a command with a great many arguments', () => {
  const count = LONG ? 1_000_000 : 400_000
  const members = Array.from({ length: count }, (_, i) => `$${`${i}`.length}\r\n${i}\r\n`).join('')
  const log = Buffer.from(`*${count + 2}\r\n$4\r\nSADD\r\n$1\r\nk\r\n${members}`)

  it.each(LONG ? ['jsonl', 'resp', 'text'] : ['jsonl', 'resp'])(
    'has every one of them, in bounded memory: %s',
    async format => {
      const folder = temporaryFolder()
      const path = place(folder, log)
      const { status, out, err, memory } = await measured(folder, [
        'print',
        path,
        '--format',
        format,
        '--full',
      ])
      expect({ status, err }).toEqual({ status: 0, err: '' })
      if (format === 'resp') expect(out.equals(log)).toBe(true)
      else if (format === 'jsonl') {
        const { args } = JSON.parse(out.toString())
        expect(args).toHaveLength(count + 2)
        expect(args.slice(2).every((arg: string, i: number) => arg === `${i}`)).toBe(true)
      } else expect(out.toString().trimEnd().split(' ')).toHaveLength(count + 2 + 3)
      expect(memory).toBeLessThan(150)
    },
  )
})

describe('print of a value that is larger than memory should be', () => {
  const size = LONG ? 1_000_000_000 : 60_000_000

  it.each([
    // As JSON a zero is six bytes.
    ['jsonl', 150],
    ['resp', 150],
    ['text', 150],
  ] as const)(
    'takes no more memory for it: %s',
    async (format, most) => {
      const folder = temporaryFolder()
      const path = join(folder, 'log')
      // Zeros, which take no place on the disk.
      const head = Buffer.from(`*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$${size}\r\n`)
      writeFileSync(path, head)
      const file = await open(path, 'r+')
      await file.write(Buffer.from('\r\n'), 0, 2, head.length + size)
      await file.close()
      const { status, err, memory, length } = await measured(
        folder,
        ['print', path, '--format', format, '--full'],
        false,
      )
      expect({ status, err }).toEqual({ status: 0, err: '' })
      expect(length).toBeGreaterThan(size)
      expect(memory).toBeLessThan(most)
    },
    300_000,
  )
})

/** Runs aofkit, and measures the most memory that it had, in MB; 0 where the system does not tell. */
async function measured(folder: string, args: string[], keep = true) {
  const preload = join(folder, 'measure.cjs')
  const figure = join(folder, 'status')
  // Not what getrusage says: that begins with the memory of the process which started this one.
  writeFileSync(
    preload,
    `const fs = require('node:fs')
     process.on('exit', () => fs.existsSync('/proc/self/status') && fs.writeFileSync(${JSON.stringify(figure)}, fs.readFileSync('/proc/self/status')))`,
  )
  const child = start(args, { env: { ...process.env, NODE_OPTIONS: `--require ${preload}` } })
  let length = 0
  child.stdout?.on('data', data => {
    length += data.length
  })
  const { status, err, out } = keep ? await ended(child) : await endedWithoutOutput(child)
  const text = existsSync(figure) ? readFileSync(figure, 'latin1') : ''
  const kilobytes = /^VmHWM:\s*(\d+) kB$/m.exec(text)?.[1]
  return { status, err, out, length, memory: kilobytes === undefined ? 0 : Number(kilobytes) / 1024 }
}

async function endedWithoutOutput(child: ChildProcess) {
  let err = ''
  child.stderr?.setEncoding('utf8').on('data', text => {
    err += text
  })
  const [status] = await once(child, 'close')
  return { status, err, out: Buffer.alloc(0) }
}

describe('what print writes as text', () => {
  const printable = (out: Buffer) => out.toString('latin1').replaceAll('\xe2\x80\xa6', '')

  it('is printable ASCII and ends of lines, whatever keys, values, names and files hold', async () => {
    const folder = temporaryFolder()
    const bytes = fc.uint8Array({ maxLength: 150 }).map(array => Buffer.from(array))
    const nasty = fc.constantFrom(
      '\u001b[2J',
      '\r',
      '\u0007',
      '\u009b31m',
      '\u202e',
      '\ufeff',
      '\n',
      '\u007f',
      '\0',
    )
    const word = fc.oneof(
      bytes,
      nasty.map(text => Buffer.from(text)),
      fc.string().map(text => Buffer.from(text)),
    )
    let number = 0
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(word, { minLength: 1, maxLength: 5 }), { minLength: 1, maxLength: 5 }),
        fc.array(bytes, { maxLength: 2 }),
        bytes,
        nasty,
        async (commands, keys, tail, name) => {
          const preamble =
            keys.length === 0
              ? []
              : [rdb('REDIS0010', select(0), ...keys.map(key => [0, str(key), str('x')]))]
          const log = Buffer.concat([...preamble, ...commands.map(args => encode(...args)), tail])
          const file = join(folder, `${++number}${name.replaceAll('\0', '')}`)
          writeFileSync(file, log)
          for (const command of [
            ['print'],
            ['print', '--full'],
            ['verify'],
            ['inspect'],
            ['repair', '--dry-run', '--allow-empty'],
          ]) {
            const { out, err } = await call(command[0], file, ...command.slice(1))
            const said = command[0] === 'print' ? printable(out) + err : `${out}${err}`
            expect(said.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u)
            if (command[0] === 'print') expect(printable(out)).toMatch(/^[\x20-\x7e\n]*$/)
          }
        },
      ),
      { seed: SEED, numRuns: LONG ? 1000 : 12 },
    )
  }, 600_000)
})
