import { once } from 'node:events'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { generator } from '../../bench/logs.ts'
import { encode } from '../helpers/chunks.ts'
import { call, callJson, start } from '../helpers/command.ts'
import { temporaryFolder } from '../helpers/temp.ts'
import { bytes, double, entry, int64, len, listpack, type Piece, rdb, select, str } from '../rdb/build.ts'
import { MANIFEST, place } from './repairing.ts'

const SEED = Number(process.env.AOFKIT_SEED ?? 20240509)
const LONG = process.env.AOFKIT_LONG !== undefined

/** A count, and the strings. */
function strings(...texts: (string | Uint8Array)[]): Piece[] {
  return [len(texts.length), ...texts.map(text => str(text))]
}

function expiry(ms: number | bigint): Piece[] {
  return [0xfc, int64(ms)]
}

const id = (ms: number, seq: number) => {
  const raw = Buffer.alloc(16)
  raw.writeBigUInt64BE(BigInt(ms))
  raw.writeBigUInt64BE(BigInt(seq), 8)
  return raw
}

/** One of each kind, two databases, and what is not to be counted. */
const LOG = rdb(
  'REDIS0012',
  [0xf5, str("#!lua name=l\nredis.register_function('f', function() return 1 end)")],
  entry(0, 'string', str('value')),
  expiry(2 ** 40),
  entry(1, 'list', strings('a', 'b', 'a')),
  entry(2, 'set', strings('x', 'yy')),
  select(7),
  entry(5, 'zset', [len(2), str('one'), double(0.1), str('two'), double(-Infinity)]),
  expiry(2n ** 62n),
  entry(4, 'hash', [len(1), str('field'), str('value')]),
  entry(4, 'empty', len(0)),
  entry(2, 'empty too', len(0)),
)

async function dumped(log: Buffer, ...args: string[]): Promise<unknown[]> {
  const { status, out, err } = await call('replay', place(temporaryFolder(), log), '--dump', ...args)
  expect({ status, err }).toEqual({ status: 0, err: '' })
  return lines(out)
}

function lines(out: Buffer): unknown[] {
  return out
    .toString()
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line))
}

describe('replay', () => {
  it('counts keys, expiries, types, elements and bytes of each database', async () => {
    const report = await callJson('replay', place(temporaryFolder(), LOG))
    expect(report).toEqual({
      status: 0,
      err: '',
      databases: {
        0: { keys: 3, expires: 1, types: { string: 1, list: 1, set: 1 }, elements: 6, bytes: 24 },
        7: { keys: 2, expires: 1, types: { zset: 1, hash: 1 }, elements: 3, bytes: 24 },
      },
      functions: 1,
      rejected: 0,
    })
  })

  it('selects by key, database and type', async () => {
    const path = place(temporaryFolder(), LOG)
    const keys = async (...args: string[]) =>
      ((await dumped(LOG, ...args)) as { key: string }[]).map(({ key }) => key)
    expect(await keys('--key', '*t')).toEqual(['list', 'set', 'zset'])
    expect(await keys('--db', '7')).toEqual(['zset', 'hash'])
    expect(await keys('--type', 'hash,LIST'.toLowerCase())).toEqual(['list', 'hash'])
    expect(await keys('--key', '*t', '--db', '0', '--type', 'set')).toEqual(['set'])
    const { databases } = await callJson<{ databases: object }>('replay', path, '--type', 'set')
    expect(databases).toEqual({ 0: { keys: 1, expires: 0, types: { set: 1 }, elements: 2, bytes: 6 } })
    const bad = await call('replay', path, '--type', 'sets')
    expect(bad.status).toBe(2)
  })

  it('takes parts of any log, annotations between them', async () => {
    const manifest = (...names: string[]) =>
      Buffer.from(names.map((name, i) => `file ${name} seq 1 type ${i === 0 ? 'b' : 'i'}\n`).join(''))
    const parts = (incr: Buffer) => ({
      'a.aof.1.base.rdb': LOG,
      'a.aof.1.incr.aof': incr,
      [MANIFEST]: manifest('a.aof.1.base.rdb', 'a.aof.1.incr.aof'),
    })
    for (const incr of [Buffer.alloc(0), Buffer.from('#TS:1700000000\r\n')]) {
      const sound = await callJson<{ functions: number }>('replay', place(temporaryFolder(), parts(incr)))
      expect(sound).toMatchObject({ status: 0, err: '', functions: 1 })
    }
    const command = encode('SET', 'a', '1')
    const long = encode('SET', 'a', 'x'.repeat(9_000_000))
    for (const log of [parts(command), parts(long), Buffer.concat([LOG, command])]) {
      const { databases } = await callJson<{ databases: object }>('replay', place(temporaryFolder(), log))
      expect(databases).toMatchObject({
        0: { keys: 4, types: { string: 2, list: 1, set: 1 } },
        7: { keys: 2 },
      })
    }
  })

  it('names damage and goes on: a value that cannot be decoded, a key that is there twice, a torn end', async () => {
    const bad = [len(2), str('a'), 0xc3, len(2), len(9), 0, 0]
    const log = rdb('REDIS0010', entry(1, 'bad', bad), entry(0, 'k', str('v')), entry(0, 'k', str('w')))
    const folder = temporaryFolder()
    const { status, out, err } = await call('replay', place(folder, log.subarray(0, -9)), '--dump')
    expect(status).toBe(1)
    expect(lines(out)).toEqual([
      { db: 0, key: 'bad', type: 'list', value: ['a'], incomplete: true },
      { db: 0, key: 'k', type: 'string', value: 'v' },
      { db: 0, key: 'k', type: 'string', value: 'w' },
    ])
    const said = err.trimEnd().split('\n')
    expect(said).toHaveLength(3)
    expect(said[0]).toMatch(/^aofkit: log:\d+: .*\(key "bad"\) \(rdb\./)
    expect(said[1]).toMatch(/^aofkit: log:27: key "k" was there before: .*\(rdb\.key\.duplicate\)/)
    expect(said[2]).toContain('rdb.truncated')
    // Servers have no keys without elements: it is no second one.
    await dumped(rdb('REDIS0010', entry(2, 'k', len(0)), entry(0, 'k', str('v')), entry(4, 'k', len(0))))
    const summary = await callJson<{ databases: object }>('replay', place(temporaryFolder(), log))
    expect(summary).toMatchObject({ status: 1, databases: { 0: { keys: 3, elements: 3 } } })
  })
})

describe('replay --dump', () => {
  it('has a line for each key, with its value as its type has it', async () => {
    expect(await dumped(LOG)).toEqual([
      { db: 0, key: 'string', type: 'string', value: 'value' },
      { db: 0, key: 'list', type: 'list', expireAtMs: 2 ** 40, value: ['a', 'b', 'a'] },
      { db: 0, key: 'set', type: 'set', value: ['x', 'yy'] },
      {
        db: 7,
        key: 'zset',
        type: 'zset',
        value: [
          ['one', '0.1'],
          ['two', '-inf'],
        ],
      },
      { db: 7, key: 'hash', type: 'hash', expireAtMs: `${2n ** 62n}`, value: [['field', 'value']] },
    ])
  })

  it('has the expiry of a field beside it', async () => {
    const fields = [int64(1000), len(2), len(5), str('a'), str('1'), len(0), str('b'), str('2')]
    expect(await dumped(rdb('REDIS0012', entry(24, 'h', fields)))).toMatchObject([
      {
        value: [
          ['a', '1', 1004],
          ['b', '2'],
        ],
      },
    ])
  })

  it('has all of a stream', async () => {
    const stream = [
      [len(1), str(id(5, 0)), str(listpack('1', '0', '1', 'f', '0', '2', '0', '1', 'v', '4'))],
      [len(1), len(5), len(1), len(5), len(1), len(3), len(9), len(4)],
      [len(2)],
      [str('first'), len(5), len(1), len(4)],
      [len(1), id(5, 1), int64(1000), len(3)],
      [
        len(2),
        str('busy'),
        int64(2000),
        int64(3000),
        len(1),
        id(5, 1),
        str('idle'),
        int64(4000),
        int64(-1),
        len(0),
      ],
      [str('second'), len(0), len(0), len(2n ** 64n - 1n), len(0), len(0)],
    ]
    expect(await dumped(rdb('REDIS0011', entry(21, 's', stream)))).toEqual([
      {
        db: 0,
        key: 's',
        type: 'stream',
        value: {
          entries: [{ id: '5-1', fields: [['f', 'v']] }],
          length: 1,
          lastId: '5-1',
          firstId: '5-1',
          maxDeletedId: '3-9',
          entriesAdded: 4,
          groups: [
            {
              name: 'first',
              lastId: '5-1',
              entriesRead: 4,
              pending: [{ id: '5-1', deliveredAtMs: 1000, deliveries: 3 }],
              consumers: [
                { name: 'busy', seenAtMs: 2000, activeAtMs: 3000, pending: ['5-1'] },
                { name: 'idle', seenAtMs: 4000, activeAtMs: null, pending: [] },
              ],
            },
            { name: 'second', lastId: '0-0', entriesRead: null, pending: [], consumers: [] },
          ],
        },
      },
    ])
  })

  it('has a module as base64, whatever pieces it is read in', async () => {
    for (const size of [1, 2, 3, 1000, 1001, 5_000_000]) {
      const value = bytes([len(1), 5, str(Buffer.alloc(size, 'xyz\xff')), 0])
      const [line] = await dumped(rdb('REDIS0011', entry(7, 'm', value)))
      expect(line).toMatchObject({ type: 'module' })
      expect((line as { value: { base64: string } }).value.base64 === value.toString('base64')).toBe(true)
    }
  })

  it('has every byte of every string', async () => {
    const text = fc.oneof(
      fc.uint8Array({ maxLength: 50 }).map(array => Buffer.from(array)),
      fc.string({ unit: 'binary' }).map(text => Buffer.from(text)),
    )
    const shown = (buffer: Buffer) => {
      const same = Buffer.from(buffer.toString()).equals(buffer)
      return same ? buffer.toString() : { base64: buffer.toString('base64') }
    }
    await fc.assert(
      fc.asyncProperty(text, fc.array(text, { minLength: 1 }), async (key, items) => {
        expect(await dumped(rdb('REDIS0010', [1, str(key), ...strings(...items)]))).toEqual([
          { db: 0, key: shown(key), type: 'list', value: items.map(shown) },
        ])
      }),
      { numRuns: 50 },
    )
    for (const long of [Buffer.alloc(200_001, 'größe'), Buffer.alloc(200_001, 0xff)]) {
      const [line] = await dumped(rdb('REDIS0010', entry(0, 'k', str(long))))
      expect(JSON.stringify((line as { value: unknown }).value) === JSON.stringify(shown(long))).toBe(true)
    }
  })

  it('ends the line of a value in which the file ends, and says that it is incomplete', async () => {
    const items = Array.from({ length: 100_000 }, (_, i) => `item ${i}`)
    const log = rdb('REDIS0010', entry(1, 'list', strings(...items))).subarray(0, 1_000_000)
    const { status, out } = await call('replay', place(temporaryFolder(), log), '--dump')
    expect(status).toBe(1)
    const [{ value, incomplete }] = lines(out) as { value: string[]; incomplete: boolean }[]
    expect(incomplete).toBe(true)
    expect(value.length).toBeGreaterThan(80_000)
    expect(value.every((item, i) => item === items[i])).toBe(true)
  })

  it('never waits for a value to be whole: its first elements are there before its last', async () => {
    const folder = temporaryFolder()
    const path = join(folder, 'log')
    // Millions of elements, of which the file has some, and zeros that take no place: empty strings.
    writeFileSync(path, bytes(Buffer.from('REDIS0010'), 1, str('list'), len(2 ** 33)))
    const file = await open(path, 'a')
    await file.truncate(2 ** 26)
    await file.close()
    const child = start(['replay', path, '--dump'])
    const [first] = await once(child.stdout!, 'data')
    expect(String(first).startsWith('{"db":0,"key":"list","type":"list","value":["","",""')).toBe(true)
    // Nobody reads on: it ends, quietly.
    child.stdout!.destroy()
    expect(await once(child, 'exit')).toEqual([0, null])
  })

  it('has lines of JSON, whatever the bytes, and print too', { timeout: 120_000 }, async () => {
    const random = generator(SEED)
    const int = (below: number) => Math.floor(random() * below)
    const folder = temporaryFolder()
    const files = readdirSync('fixtures/rdb').filter(name => name.endsWith('.rdb'))
    for (let run = 0; run < (LONG ? 5000 : 150); run++) {
      const log = readFileSync(join('fixtures/rdb', files[int(files.length)]))
      if (log.length > 200_000) continue
      for (let i = int(4); i >= 0; i--) log[9 + int(log.length - 9)] = int(256)
      const path = join(folder, 'log')
      writeFileSync(path, int(4) === 0 ? log.subarray(0, int(log.length)) : log)
      for (const args of [
        ['replay', path, '--dump'],
        ['print', path, '--json'],
        ['print', path, '--format', 'resp'],
      ]) {
        const { status, out, err } = await call(...args)
        expect([0, 1, 2], `${err} at ${SEED}, ${run}`).toContain(status)
        expect(err).not.toMatch(/undefined|Invalid|not a function|out of (range|bounds)/)
        if (!args.includes('resp')) lines(out)
      }
    }
  })
})
