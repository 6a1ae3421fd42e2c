import { spawn } from 'node:child_process'
import {
  appendFileSync,
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { resolveInput } from '../../src/aof/parts.ts'
import { Sink } from '../../src/bytes/sink.ts'
import { BufferSource } from '../../src/bytes/source.ts'
import { type CompactOptions, compactLog } from '../../src/operations/compact.ts'
import type { CompactPlace } from '../../src/operations/compact-files.ts'
import { KeyOrder } from '../../src/operations/key-order.ts'
import { replayLog } from '../../src/operations/replay.ts'
import { Slice } from '../../src/values/slice.ts'
import { encode } from '../helpers/chunks.ts'
import { call } from '../helpers/command.ts'
import { temporaryFolder } from '../helpers/temp.ts'
import { stateOf, temporariesIn } from './repairing.ts'

const OPTIONS: CompactOptions = {
  ...{ databases: 16, allowCommands: [], as: undefined, preamble: true, compress: true },
  ...{ dropExpired: false, verify: true, loadTruncated: false },
}

function compact(path: string, options: Partial<CompactOptions> = {}, place: Partial<CompactPlace> = {}) {
  const to = { output: `${path}.out`, force: false, backup: true, ...place }
  return resolveInput(path).then(input => compactLog(input, { ...OPTIONS, ...options }, to))
}

function logOf(...commands: readonly (readonly (string | Uint8Array)[])[]): Buffer {
  return Buffer.concat(commands.map(args => encode(...args)))
}

function file(content: Uint8Array, name = 'log'): string {
  const path = join(temporaryFolder(), name)
  writeFileSync(path, content)
  return path
}

const REREAD = Sink.prototype.reread

const LONG_TEXT = 'a text that is long enough to stay in the log '.repeat(20)
/** Something of everything. */
const LOG = logOf(
  ['SELECT', '0'],
  ['SET', 'string', LONG_TEXT],
  ['SET', 'volatile', 'x', 'PXAT', '4000000000000'],
  ['HSET', 'hash', 'field', 'value', 'other', LONG_TEXT],
  ['RPUSH', 'list', 'a', 'b', 'c'],
  ['SADD', 'set', '1', '2', 'three'],
  ['ZADD', 'zset', '-0.5', 'minus', '1', 'one'],
  ['XADD', 'stream', '1-1', 'field', 'value'],
  ['XGROUP', 'CREATE', 'stream', 'group', '0'],
  [
    'XCLAIM',
    'stream',
    'group',
    'consumer',
    '0',
    '1-1',
    'TIME',
    '1700000000000',
    'RETRYCOUNT',
    '3',
    'FORCE',
    'JUSTID',
    'LASTID',
    '1-1',
  ],
  ['FUNCTION', 'LOAD', "#!lua name=lib\nredis.register_function('f', function() return 1 end)"],
  ['SELECT', '9'],
  ['SET', 'string', 'in another database'],
)

afterEach(() => {
  vi.restoreAllMocks()
})

describe('compactLog', () => {
  it.each([true, false])('gives the same bytes for the same log (preamble: %s)', async preamble => {
    const path = file(LOG)
    await compact(path, { preamble })
    await compact(path, { preamble }, { output: `${path}.again` })
    expect(readFileSync(`${path}.again`).equals(readFileSync(`${path}.out`))).toBe(true)
  })

  it.each([true, false])('leaves what was compacted as it is (preamble: %s)', async preamble => {
    const path = file(LOG)
    const first = await compact(path, { preamble })
    const again = await compact(`${path}.out`, { preamble })
    expect(again.after).toEqual({ ...first.after, bytes: statSync(`${path}.out`).size })
    expect(readFileSync(`${path}.out.out`).equals(readFileSync(`${path}.out`))).toBe(true)
  })

  it('has the keyspace of the log, whatever it is written as', async () => {
    const path = file(LOG)
    const dump = async (path: string) =>
      (await call('replay', path, '--dump')).out.toString().split('\n').sort().join('\n')
    const expected = await dump(path)
    for (const options of [{}, { preamble: false }, { compress: false }, { layout: 'multi-part' as const }]) {
      const output = join(temporaryFolder(), 'out')
      const report = await compact(path, options, { output })
      expect(report).toMatchObject({
        verified: true,
        target: 'common',
        before: { keys: 8 },
        after: { keys: 8 },
      })
      expect(await dump(output)).toBe(expected)
    }
  })

  // Each is one change of what was written, where it is read back.
  const CHANGES: readonly (readonly [what: string, find: Buffer, by: Buffer])[] = [
    ['a byte of a value', Buffer.from('three'), Buffer.from('thrEe')],
    ['an expiry', littleEndian(4000000000000n), littleEndian(4000000000001n)],
    ['the time of a pending entry', littleEndian(1700000000000n), littleEndian(1700000000001n)],
    ['a function', Buffer.from('name=lib'), Buffer.from('name=lob')],
    ['the name of a key', Buffer.from('zset'), Buffer.from('zzet')],
    ['a database', Buffer.from([0xfe, 9]), Buffer.from([0xfe, 8])],
  ]

  it.each(CHANGES)(
    'notices that %s reads back otherwise, and leaves everything as it was',
    async (_, find, by) => {
      for (const inPlace of [false, true]) {
        const path = file(LOG)
        const folder = join(path, '..')
        const before = stateOf(folder)
        vi.spyOn(Sink.prototype, 'reread').mockImplementation(async function (this: Sink) {
          const source = await REREAD.call(this)
          const content = Buffer.alloc(this.size)
          await source.readAt(content, 0)
          const at = content.indexOf(find)
          expect(at, 'what is to be changed').toBeGreaterThan(0)
          by.copy(content, at)
          return new BufferSource(content) as never
        })
        const place = inPlace ? { output: undefined } : {}
        await expect(compact(path, { compress: false }, place)).rejects.toMatchObject({
          code: 'compact.verify',
        })
        expect(stateOf(folder)).toBe(before)
        expect(temporariesIn(folder)).toEqual([])
      }
    },
  )

  it('raises the target when the usual one cannot hold a key, and names it', async () => {
    const log = file(logOf(['HSET', 'h', 'f', 'v'], ['HPEXPIREAT', 'h', '4000000000000', 'FIELDS', '1', 'f']))
    for (const preamble of [true, false]) {
      const output = `${log}.${preamble}`
      const { target, raised } = await compact(log, { preamble }, { output })
      expect(target).toBe('redis-8.0')
      expect(raised).toMatchObject({ from: 'common', reason: expect.stringContaining('"h"') })
      await expect(compact(log, { preamble, target: 'redis-7.0' })).rejects.toMatchObject({
        code: 'rdb.target',
      })
      await expect(compact(log, { preamble, target: 'common' })).rejects.toMatchObject({ code: 'rdb.target' })
    }
  })

  it('carries over what is appended while the log is read', async () => {
    for (const preamble of [true, false]) {
      const path = file(LOG)
      const late = logOf(['SET', 'late', '1'], ['MULTI'], ['INCR', 'late'], ['INCR', 'late'], ['EXEC'])
      const open = logOf(['MULTI'], ['SET', 'open', '1'])
      // Once the keys are written the server has gone on.
      let appended = false
      vi.spyOn(Sink.prototype, 'reread').mockImplementation(function (this: Sink) {
        if (!appended) appendFileSync(path, Buffer.concat([late, open]))
        appended = true
        return REREAD.call(this)
      })
      const { carried, after } = await compact(path, { preamble })
      expect(carried).toEqual({ part: 'log', from: LOG.length, to: LOG.length + late.length, commands: 5 })
      expect(after.commands).toBeGreaterThanOrEqual(5)
      vi.restoreAllMocks()
      const output = readFileSync(`${path}.out`)
      // Behind the database that was selected there.
      expect(
        output
          .subarray(-late.length - 23)
          .equals(
            logOf(
              ['SELECT', '9'],
              ['SET', 'late', '1'],
              ['MULTI'],
              ['INCR', 'late'],
              ['INCR', 'late'],
              ['EXEC'],
            ),
          ),
      ).toBe(true)
      const dump = (await call('replay', `${path}.out`, '--dump', '--db', '9')).out.toString()
      expect(dump).toContain('"key":"late","type":"string","value":"3"')
    }
  })

  it('takes a log that ends in an open transaction while it grows, and refuses one that does not', async context => {
    if (process.platform !== 'linux') context.skip('only Linux tells who has a file open')
    const path = file(Buffer.concat([LOG, logOf(['MULTI'], ['SET', 'late', '1'])]))
    await expect(compact(path)).rejects.toMatchObject({ code: 'compact.unsound' })
    // A server has it open.
    const descriptor = openSync(path, 'a')
    const server = spawn('sleep', ['60'], { stdio: [descriptor, 'ignore', 'ignore'] })
    try {
      let rest = logOf(['EXEC'])
      vi.spyOn(Sink.prototype, 'reread').mockImplementation(function (this: Sink) {
        appendFileSync(path, rest)
        rest = Buffer.alloc(0)
        return REREAD.call(this)
      })
      const { carried } = await compact(path)
      expect(carried).toEqual({ part: 'log', from: LOG.length, to: statSync(path).size, commands: 3 })
      // It does not come to an end.
      appendFileSync(path, logOf(['MULTI']))
      await expect(compact(path, {}, { output: `${path}.two` })).rejects.toMatchObject({
        code: 'compact.unsound',
      })
    } finally {
      server.kill()
      closeSync(descriptor)
    }
  })

  it('carries over into the incr part of a multi-part log, and notices when it is rewritten meanwhile', async () => {
    const folder = join(temporaryFolder(), 'log')
    mkdirSync(folder)
    writeFileSync(join(folder, 'a.aof.manifest'), 'file a.aof.1.incr.aof seq 1 type i\n')
    writeFileSync(join(folder, 'a.aof.1.incr.aof'), LOG)
    let change = () => appendFileSync(join(folder, 'a.aof.1.incr.aof'), encode('SET', 'late', '1'))
    vi.spyOn(Sink.prototype, 'reread').mockImplementation(function (this: Sink) {
      change()
      change = () => {}
      return REREAD.call(this)
    })
    const { carried } = await compact(folder)
    expect(carried).toMatchObject({ part: 'a.aof.1.incr.aof', commands: 1 })
    expect(readFileSync(join(`${folder}.out`, 'a.aof.1.incr.aof'), 'latin1')).toBe(
      logOf(['SELECT', '9'], ['SET', 'late', '1']).toString('latin1'),
    )
    change = () =>
      writeFileSync(
        join(folder, 'a.aof.manifest'),
        'file a.aof.1.incr.aof seq 1 type i\nfile b seq 2 type i\n',
      )
    await expect(compact(folder, {}, { output: `${folder}.two` })).rejects.toMatchObject({
      code: 'input.changed',
    })
  })

  it('refuses a source that became shorter, or changed in place, while it was compacted', async () => {
    for (const output of [undefined, 'elsewhere']) {
      for (const change of [
        (path: string) => truncateSync(path, 100),
        (path: string) => writeFileSync(path, Buffer.concat([LOG, LOG])),
      ]) {
        // What is only appended is carried over elsewhere.
        if (output !== undefined && change.toString().includes('concat')) continue
        const path = file(LOG)
        vi.spyOn(Sink.prototype, 'reread').mockImplementation(function (this: Sink) {
          change(path)
          return REREAD.call(this)
        })
        const place = { output: output === undefined ? undefined : `${path}.out` }
        await expect(compact(path, {}, place)).rejects.toMatchObject({
          code: expect.stringMatching(/changed|shrank/),
        })
        vi.restoreAllMocks()
        expect(temporariesIn(join(path, '..'))).toEqual([])
      }
    }
  })

  it('refuses a target that is the source through a link, or holds it', async () => {
    const path = file(LOG)
    symlinkSync(path, `${path}.link`)
    await expect(compact(path, {}, { output: `${path}.link`, force: true })).rejects.toMatchObject({
      code: 'compact.same',
    })
    await expect(
      compact(path, { layout: 'multi-part' }, { output: join(path, '..'), force: true }),
    ).rejects.toMatchObject({ code: 'compact.same' })
    expect(readFileSync(path).equals(LOG)).toBe(true)
  })

  it('keeps commands of modules behind the keys, in their order and for the names that their keys have now', async () => {
    const path = file(
      logOf(
        ['JSON.SET', 'doc', '$', '{}'],
        ['SET', 'other', '1'],
        ['JSON.SET', 'doc', '$.a', '1'],
        ['RENAME', 'doc', 'document'],
        ['PEXPIREAT', 'document', '4000000000000'],
        ['JSON.SET', 'gone', '$', '{}'],
        ['DEL', 'gone'],
      ),
    )
    const { after } = await compact(path)
    expect(after).toMatchObject({ keys: 2, commands: 3 })
    const printed = (await call('print', `${path}.out`)).out.toString()
    expect(
      printed
        .split('\n')
        .map(line => line.split(' - ')[1])
        .filter(Boolean),
    ).toEqual([
      'SET other 1',
      'JSON.SET document "$" {}',
      'JSON.SET document "$.a" 1',
      'PEXPIREAT document 4000000000000',
    ])
  })

  it('refuses to keep a command of a module of whose keys some are gone', async () => {
    const path = file(logOf(['JSON.MSET', 'a', '$', '1', 'b', '$', '2'], ['DEL', 'b']))
    await expect(compact(path)).rejects.toMatchObject({ code: 'compact.opaque' })
  })

  it('copies strings that are too long for memory as they stand in the log', async () => {
    const long = Buffer.alloc(33 * 2 ** 20, 'abc ')
    const path = file(logOf(['SET', 'before', 'x'], ['SET', 'long', long], ['SET', 'behind', LONG_TEXT]))
    const { after } = await compact(path)
    expect(after.bytes).toBeGreaterThan(long.length)
    await compact(path, { preamble: false }, { output: `${path}.commands` })
    for (const output of [`${path}.out`, `${path}.commands`]) {
      const { out } = await call('digest', output)
      expect(out.toString()).toBe((await call('digest', path)).out.toString())
    }
  }, 60_000)
})

describe('KeyOrder', () => {
  it('has each database once, values in memory first, and the others as they stand in the log', async () => {
    const text = (n: number) => `${n} `.repeat(20)
    const path = file(
      logOf(
        ...['c', 'a', 'b'].map((key, i) => ['SET', key, text(i)]),
        ['SELECT', '2'],
        ['SET', 'two', text(9)],
        ['SELECT', '0'],
        ['SET', 'short', '1'],
        ['SET', 'c', text(3)],
        ['RPUSH', 'list', 'x'],
      ),
    )
    const replay = await replayLog(await resolveInput(path), OPTIONS)
    try {
      const { keyspace } = replay
      const order = new KeyOrder(keyspace)
      const names = (from: number, to: number) => {
        const found: string[] = []
        const slice = new Slice()
        for (let i = from; i < to; i++) {
          keyspace.key(order.cell(i), slice)
          found.push(Buffer.from(slice.copy()).toString())
        }
        return found
      }
      expect(order.databases.map(({ db, from, to }) => [db, names(from, to)])).toEqual([
        [0, ['short', 'list', 'a', 'b', 'c']],
        [2, ['two']],
      ])
      expect(order.size).toBe(6)
    } finally {
      await replay.close()
    }
  })
})

function littleEndian(value: bigint): Buffer {
  const found = Buffer.alloc(8)
  found.writeBigInt64LE(value)
  return found
}
