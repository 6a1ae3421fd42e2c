import { readdirSync, readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { scanPart } from '../../src/aof/scan.ts'
import { FormatError, type JobError } from '../../src/bytes/errors.ts'
import { BufferSource } from '../../src/bytes/source.ts'
import { Window } from '../../src/bytes/window.ts'
import { EncodedPlace } from '../../src/keyspace/encoded.ts'
import { Extents } from '../../src/keyspace/extents.ts'
import { Keyspace } from '../../src/keyspace/keyspace.ts'
import { Preamble } from '../../src/keyspace/preamble.ts'
import { compressLzf } from '../../src/rdb/encodings/lzf.ts'
import { RDB_TARGETS } from '../../src/rdb/targets.ts'
import { IgnoredElements } from '../../src/values/elements.ts'
import { encodeCommand } from '../helpers/servers.ts'
import { type Answer, shortened } from '../rdb/answers.ts'
import { bytes, double, entry, len, listpack, noise, type Piece, rdb, select, str } from '../rdb/build.ts'
import { around, VALUES } from '../rdb/values.ts'
import { Generator } from './generate.ts'
import {
  answersOf,
  argument,
  decodeAll,
  digestOf,
  type Replayed,
  rdbOf,
  replay,
  replayParts,
} from './replaying.ts'

/** Types that are held otherwise: as a place of their own kind, or as hashes that cannot be decoded by themselves. */
const MODULE = 7
const ARRAY = 28
const REFERENCES = [30, 32]
/** The value that is made up of it says that one message is both owned and handed back: servers write no such thing. */
const NACKED = 27

/** In an order that says nothing: groups and consumers stand in a file in any. */
function sorted(keyspace: Keyspace): Answer[] {
  const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1)
  const answers = answersOf(keyspace).sort((a, b) => a.db - b.db || (a.key < b.key ? -1 : 1))
  for (const { kind, value } of answers) {
    if (kind !== 'stream') continue
    value.groups.sort(byName)
    for (const { consumers } of value.groups) consumers.sort(byName)
  }
  return shortened(answers)
}

/** Keys with their times, without values. */
function keysOf(keyspace: Keyspace): Answer[] {
  return sorted(keyspace).map(({ db, key, kind, expireAtMs }) => ({ db, key, kind, expireAtMs })) as Answer[]
}

function log(...commands: string[]): Buffer {
  return Buffer.concat(commands.map(command => encodeCommand(command.split(' '))))
}

/** The value of a key as a test would write it; undefined: there is no such key. */
function heldBy({ keyspace }: Replayed, key: string, db = 0): unknown {
  return answersOf(keyspace).find(answer => answer.key === key && answer.db === db)?.value
}

function isEncoded({ keyspace }: Replayed, key: string, db = 0): boolean | undefined {
  const cell = keyspace.findKey(argument(key), db)
  return cell === 0 ? undefined : keyspace.isEncoded(cell)
}

function compressed(text: Buffer): Piece[] {
  const room = Buffer.alloc(text.length)
  const size = compressLzf(text, 0, text.length, room, 0)
  return [0xc3, len(size), len(text.length), room.subarray(0, size)]
}

const LONG = Buffer.from('a text that repeats itself, '.repeat(10))

/** One key of each kind, in database 0, that stays encoded. */
const BASE = rdb(
  'REDIS0011',
  select(0),
  entry(0, 's', compressed(LONG)),
  entry(18, 'l', len(1), len(2), str(listpack('a', 'b', 'c'))),
  entry(20, 'set', str(listpack('a', 'b', 'c'))),
  entry(17, 'z', str(listpack('a', '1', 'b', '2'))),
  entry(16, 'h', str(listpack('f', 'v', 'g', 'w'))),
  ...VALUES.filter(({ type }) => type === 21).map(({ type, encoded }) => entry(type, 'x', encoded)),
)
/** About ten seconds; AOFKIT_LONG=1 takes minutes. */
const RUNS = process.env.AOFKIT_LONG === undefined ? 8 : 100

const KEYS = ['s', 'l', 'set', 'z', 'h', 'x']

const withBase = (...commands: string[]) => replay(Buffer.concat([BASE, log(...commands)]))

describe.each(VALUES.filter(({ loads }) => loads))('a value of type $type, $name,', value => {
  const { type, name, header, encoded } = value
  const { file } = around(value)
  const server = header.startsWith('VALKEY') ? 'valkey-9.1' : 'redis-8.0'

  it('is where it stands in the file, whatever it is read with', async () => {
    for (const chunk of [undefined, 64, 200]) {
      const { keyspace } = await replay(file, { server, ...(chunk === undefined ? {} : { chunk }) })
      const cell = keyspace.findKey(argument('key'), 2)
      if (name.startsWith('empty')) {
        expect(cell).toBe(0)
        continue
      }
      const place = new EncodedPlace()
      const stands = keyspace.encoded(cell, place)
      const isPlain = type === 0 && name !== 'compressed string'
      if (isPlain || REFERENCES.includes(type)) {
        // Of a string that is not at hand as a whole nothing else is known.
        if (chunk === undefined || REFERENCES.includes(type)) expect(stands).toBe(false)
        continue
      }
      expect(keyspace.isEncoded(cell)).toBe(type !== MODULE && type !== ARRAY)
      expect(stands).toBe(true)
      expect(place).toMatchObject({ part: 0, type, magic: header.slice(0, -3).replace(/0$/, '') })
      expect(file.subarray(place.offset, place.offset + place.length)).toEqual(bytes(encoded))
    }
  })

  it('is the same to who looks at it, decoded or not', async () => {
    const whole = await replay(file, { server })
    const cell = whole.keyspace.findKey(argument('key'), 2)
    const count = cell === 0 ? 0 : whole.keyspace.length(cell)
    const lazily = sorted(whole.keyspace)
    const digest = () => (type === ARRAY ? '' : digestOf(whole.keyspace, server))
    const before = digest()
    if (type === NACKED) return
    decodeAll(whole.keyspace)
    if (cell !== 0) expect(whole.keyspace.isEncoded(cell)).toBe(false)
    expect(sorted(whole.keyspace)).toEqual(lazily)
    expect(digest()).toBe(before)
    if (cell !== 0) expect(whole.keyspace.length(cell)).toBe(count)
    for (const chunk of [64, 100, 300]) {
      const { keyspace } = await replay(file, { server, chunk })
      expect(sorted(keyspace)).toEqual(lazily)
      decodeAll(keyspace)
      expect(sorted(keyspace)).toEqual(lazily)
    }
  })
})

describe('an encoded value', () => {
  it.each([
    'EXPIRE KEY 100',
    'PEXPIREAT KEY 1900000000000 NX',
    'PERSIST KEY',
    'RENAME KEY other',
    'RENAMENX KEY KEY',
    'MOVE KEY 5',
    'COPY KEY other',
    'COPY KEY KEY DB 3',
    'SWAPDB 0 7',
    'SETNX KEY value',
    'MSETNX KEY value other value',
    'JSON.SET KEY $ 1',
  ])('stays so in %s', async command => {
    for (const key of KEYS) {
      const { keyspace, rejected } = await withBase(command.replaceAll('KEY', key))
      expect(rejected.filter(reply => !/^json\.set/i.test(reply))).toEqual([])
      keyspace.forEach(cell => {
        expect(keyspace.isEncoded(cell)).toBe(true)
      })
      expect(keyspace.size).toBe(command.startsWith('COPY') ? 7 : 6)
    }
  })

  it.each([
    'DEL KEY',
    'UNLINK KEY',
    'SET KEY value',
    'MSET KEY value',
    'SETEX KEY 10 value',
    'RENAME other KEY',
    'FLUSHDB',
    'COPY other KEY REPLACE',
    'SUNIONSTORE KEY nothing',
    'SDIFFSTORE KEY other',
    'SORT other STORE KEY',
  ])('gives way in %s', async command => {
    for (const key of KEYS) {
      const { keyspace, rejected } = await withBase('SADD other 1', command.replaceAll('KEY', key))
      expect(rejected).toEqual([])
      const cell = keyspace.findKey(argument(key))
      if (cell !== 0) expect(keyspace.isEncoded(cell)).toBe(false)
      for (const left of KEYS)
        if (left !== key && command !== 'FLUSHDB')
          expect(keyspace.isEncoded(keyspace.findKey(argument(left)))).toBe(true)
    }
  })

  it('is changed by commands as any other', async () => {
    const replayed = await withBase(
      'APPEND s !',
      'RPUSH l d',
      'LPUSH l 0',
      'SADD set d',
      'SREM set a',
      'ZADD z 3 c',
      'ZINCRBY z 5 a',
      'HSET h f changed',
      'HDEL h g',
      'XDEL x 0-1',
    )
    expect(replayed.rejected).toEqual([])
    expect(heldBy(replayed, 's')).toBe(`${LONG}!`)
    expect(heldBy(replayed, 'l')).toEqual(['0', 'a', 'b', 'c', 'd'])
    expect(heldBy(replayed, 'set')).toEqual(['b', 'c', 'd'])
    expect(heldBy(replayed, 'z')).toEqual([
      ['a', '6'],
      ['b', '2'],
      ['c', '3'],
    ])
    expect(heldBy(replayed, 'h')).toEqual([['f', 'changed']])
    expect(KEYS.map(key => isEncoded(replayed, key))).toEqual(KEYS.map(() => false))
  })

  it('is of its kind to commands for another one, which are refused', async () => {
    const { rejected } = await withBase(
      'INCR l',
      'LPUSH set a',
      'SADD z a',
      'ZADD h 1 a',
      'HSET x f v',
      'XADD s 1-1 f v',
    )
    expect(rejected.map(reply => reply.replace(/^\w+: (\w+) .*/, '$1'))).toEqual(
      Array.from({ length: 6 }, () => 'WRONGTYPE'),
    )
  })

  it('is decoded by a transaction, and by one that is read again because it goes across windows', async () => {
    const commands = ['MULTI', 'HSET h f changed', `SET pad ${'p'.repeat(3000)}`, 'RPUSH l d', 'EXEC']
    for (const chunk of [undefined, 200]) {
      const options = chunk === undefined ? {} : { chunk }
      const replayed = await replay(Buffer.concat([BASE, log(...commands)]), options)
      expect(heldBy(replayed, 'h')).toEqual([
        ['f', 'changed'],
        ['g', 'w'],
      ])
      expect(heldBy(replayed, 'l')).toEqual(['a', 'b', 'c', 'd'])
    }
    const open = await replay(Buffer.concat([BASE, log('MULTI', 'HSET h f changed')]))
    expect(isEncoded(open, 'h')).toBe(true)
  })

  it('goes on where its key goes', async () => {
    const replayed = await withBase(
      'RENAME h renamed',
      'COPY renamed copied',
      'MOVE set 1',
      'SWAPDB 1 2',
      'PEXPIREAT l 1900000000000',
      'COPY l m DB 2 REPLACE',
      'HSET copied f changed',
      'SELECT 2',
      'SADD set d',
      'RPUSH m d',
    )
    expect(replayed.rejected).toEqual([])
    expect([isEncoded(replayed, 'renamed'), isEncoded(replayed, 'copied')]).toEqual([true, false])
    expect(heldBy(replayed, 'renamed')).toEqual([
      ['f', 'v'],
      ['g', 'w'],
    ])
    expect(heldBy(replayed, 'copied')).toEqual([
      ['f', 'changed'],
      ['g', 'w'],
    ])
    expect(heldBy(replayed, 'set', 2)).toEqual(['a', 'b', 'c', 'd'])
    expect(heldBy(replayed, 'l')).toEqual(['a', 'b', 'c'])
    expect(heldBy(replayed, 'm', 2)).toEqual(['a', 'b', 'c', 'd'])
    const times = answersOf(replayed.keyspace).filter(({ expireAtMs }) => expireAtMs !== undefined)
    expect(times.map(({ key }) => key).sort()).toEqual(['l', 'm'])
  })

  it('is a source like any other, also of what is stored in its place', async () => {
    const replayed = await withBase(
      'SUNIONSTORE union set nothing',
      'SUNIONSTORE set set union',
      'SORT l ALPHA DESC STORE l',
      'ZUNIONSTORE z 1 z WEIGHTS 2',
      'SMOVE union other a',
      'LMOVE l m LEFT RIGHT',
    )
    expect(replayed.rejected).toEqual([])
    expect(heldBy(replayed, 'set')).toEqual(['a', 'b', 'c'])
    expect(heldBy(replayed, 'union')).toEqual(['b', 'c'])
    expect([heldBy(replayed, 'l'), heldBy(replayed, 'm')]).toEqual([['b', 'a'], ['c']])
    expect(heldBy(replayed, 'z')).toEqual([
      ['a', '2'],
      ['b', '4'],
    ])
  })

  it('of a sorted set keeps the sign of a -0 from then on where servers have not packed it', async () => {
    const zset = (key: string, count: number, longest: number) =>
      entry(
        5,
        key,
        len(count),
        Array.from({ length: count }, (_, i) => [str(i === 0 ? 'm'.repeat(longest) : `m${i}`), double(i)]),
      )
    const base = rdb(
      'REDIS0011',
      select(0),
      zset('few', 3, 64),
      zset('long', 3, 65),
      zset('many', 129, 1),
      entry(17, 'packed', str(listpack('a', '1'))),
    )
    const keys = ['few', 'long', 'many', 'packed']
    const commands = keys.map(key => `ZADD ${key} -0 new`)
    const replayed = await replay(Buffer.concat([base, log(...commands)]))
    const scores = keys.map(key => new Map(heldBy(replayed, key) as [string, string][]).get('new'))
    expect(scores).toEqual(['0', '-0', '-0', '0'])
  })

  it('is found through the patterns of SORT', async () => {
    const base = rdb(
      'REDIS0011',
      select(0),
      entry(18, 'l', len(1), len(2), str(listpack('1', '2', '3'))),
      ...[1, 2, 3].map(i => entry(16, `h${i}`, str(listpack('by', String(9 - i), 'get', `got${i}`)))),
    )
    const replayed = await replay(Buffer.concat([base, log('SORT l BY h*->by GET h*->get GET # STORE to')]))
    expect(heldBy(replayed, 'to')).toEqual(['got3', '3', 'got2', '2', 'got1', '1'])
    expect(isEncoded(replayed, 'l')).toBe(false)
  })

  it('is replaced by RESTORE, or stays as it was when that is refused', async () => {
    const payload = Buffer.from('\x00\x01v\x0b\x00', 'latin1')
    const restore = (...more: string[]) => encodeCommand(['RESTORE', 'h', '0', payload, ...more])
    const refused = await replay(Buffer.concat([BASE, restore(), restore('REPLACE')]))
    expect(refused.rejected).toHaveLength(2)
    expect(isEncoded(refused, 'h')).toBe(true)
  })

  it('lies beneath a key of which nothing is known, and comes with its copies', async () => {
    const commands = log('MY.THING h 1', 'COPY h copied', 'DEL h', 'RENAME copied h', 'DEL h', 'SADD h a')
    const at = (count: number) => {
      const lines = commands.toString('latin1').split(/(?=\*\d\r\n)/)
      return Buffer.concat([BASE, Buffer.from(lines.slice(0, count).join(''), 'latin1')])
    }
    const keyspaces: Keyspace[] = []
    for (let count = 0; count <= 6; count++) {
      const keyspace = new Keyspace({ databases: 16, server: 'redis-8.0' })
      keyspaces.push(keyspace)
      await loadInto(keyspace, at(count), new Map([['my.thing', 1]]))
    }
    const kinds = keyspaces.map(keyspace =>
      ['h', 'copied'].map(key => {
        const cell = keyspace.findKey(argument(key))
        return cell === 0 ? 0 : keyspace.kind(cell)
      }),
    )
    expect(kinds).toEqual([
      [5, 0],
      [7, 0],
      [7, 7],
      [0, 7],
      [7, 0],
      [0, 0],
      [3, 0],
    ])
    const [, covered] = keyspaces
    const cell = covered.findKey(argument('h'))
    expect(covered.isEncoded(cell)).toBe(false)
    expect(covered.encoded(cell, new EncodedPlace())).toBe(false)
    covered.opaques.uncover(cell)
    expect(covered.isEncoded(cell)).toBe(true)
    const fields: string[] = []
    covered.emit(
      cell,
      new (class extends IgnoredElements {
        override field(name: { copy(): Uint8Array }): void {
          fields.push(Buffer.from(name.copy()).toString())
        }
      })(),
    )
    expect(fields).toEqual(['f', 'g'])
  })

  it('takes no memory but that of its key', async () => {
    const value = str(listpack(...Array.from({ length: 20 }, (_, m) => `member${m}`)))
    const many = Array.from({ length: 50_000 }, (_, i) => entry(20, `k${i}`, value))
    const base = rdb('REDIS0011', select(0), many)
    // Where it stands must not be taken for a place in memory: there is none as far out.
    const replayed = await replay(Buffer.concat([base, log('SADD k49999 new', 'PERSIST k49998')]))
    expect(replayed.keyspace.size).toBe(50_000)
    expect(replayed.keyspace.store.memory.bytes.length).toBeLessThan(2)
    expect(heldBy(replayed, 'k49999')).toHaveLength(21)
  })

  it('is said to have changed when it cannot be decoded any more', async () => {
    const file = Buffer.from(BASE)
    const { keyspace } = await replay(file)
    const cell = keyspace.findKey(argument('h'))
    const place = new EncodedPlace()
    keyspace.encoded(cell, place)
    file.fill(0xff, place.offset, place.offset + place.length)
    let error: unknown
    try {
      keyspace.find(argument('h'))
    } catch (thrown) {
      error = thrown
    }
    expect((error as JobError).code).toBe('input.changed')
  })
})

/** Loads into a keyspace a log with commands of which nothing is known but their keys. */
async function loadInto(
  keyspace: Keyspace,
  bytes: Buffer,
  positions: ReadonlyMap<string, number>,
): Promise<void> {
  const { Replayer } = await import('../../src/keyspace/replayer.ts')
  const { CommandTable } = await import('../../src/servers/commands.ts')
  const source = new BufferSource(bytes)
  const nobody = {
    ...{ damaged() {}, duplicate() {}, refused() {}, rejected() {} },
    unsupported(_offset: number, name: string) {
      throw new Error(name)
    },
  }
  const preamble = new Preamble(keyspace, keyspace.store.extents.add(source), nobody)
  const replayer = new Replayer(keyspace, new CommandTable('redis-8.0'), nobody, true, positions)
  replayer.enter(source)
  await scanPart(
    source,
    {
      rdb: event => preamble.event(event),
      records: batch => void replayer.records(batch),
      long: record => void replayer.long(record),
    },
    { databases: 16, values: true },
  )
}

interface Findings {
  readonly keyspace: Keyspace
  readonly damaged: string[]
  readonly duplicates: string[]
}

/** What is found in an RDB that may be damaged. */
async function findings(file: Buffer, chunk?: number): Promise<Findings> {
  const keyspace = new Keyspace({ databases: 16, server: 'redis-8.0' })
  const damaged: string[] = []
  const duplicates: string[] = []
  const source = new BufferSource(file)
  const preamble = new Preamble(keyspace, keyspace.store.extents.add(source), {
    damaged(error, key) {
      expect(error).toBeInstanceOf(FormatError)
      damaged.push(`${key === undefined ? '' : Buffer.from(key.copy()).toString('latin1')}: ${error.code}`)
    },
    duplicate(_offset, key) {
      duplicates.push(Buffer.from(key.copy()).toString('latin1'))
    },
    refused() {},
  })
  await scanPart(
    source,
    { rdb: event => preamble.event(event), records() {}, long() {} },
    { databases: 16, values: true, ...(chunk === undefined ? {} : { window: new Window(source, chunk) }) },
  )
  preamble.end()
  return { keyspace, damaged, duplicates }
}

describe('a preamble', () => {
  const good = (key: string) => entry(16, key, str(listpack('f', 'v')))
  const bad = Buffer.from(listpack('f', 'v'))
  bad[6] = 0xf5
  const truncated = listpack('f', 'v').subarray(0, -1)

  it.each<[string, Piece[]]>([
    ['listpack', [entry(16, 'bad', str(bad))]],
    ['listpack without its end', [entry(20, 'bad', str(truncated))]],
    ['compressed string', [entry(0, 'bad', 0xc3, len(3), len(100), Buffer.of(0, 97, 0xff))]],
    ['quicklist', [entry(18, 'bad', len(1), len(2), str(bad))]],
    ['number of the encoding', [entry(18, 'bad', len(1), len(9), str(bad))]],
    ['template that is not there', [entry(32, 'bad', len(3), str('v'))]],
  ])('reports a damaged %s, with its key, and goes on without it', async (_name, pieces) => {
    const file = rdb('REDIS0015', select(0), good('a'), ...pieces, good('b'))
    for (const chunk of [undefined, 64]) {
      const { keyspace, damaged } = await findings(file, chunk)
      if (damaged.length === 0) {
        // Without it the walk knows no end of the value.
        expect(pieces).toContainEqual(expect.objectContaining({ 0: 32 }))
        continue
      }
      expect(damaged).toHaveLength(1)
      expect(damaged[0]).toMatch(/^bad: rdb\./)
      expect(keyspace.size).toBe(2)
      expect(keyspace.findKey(argument('bad'))).toBe(0)
    }
  })

  it('reports a damaged value of each type', async () => {
    let reported = 0
    for (const value of VALUES) {
      if (value.type === MODULE || value.type === 0) continue
      const { file, at, end } = around(value)
      for (let change = at + 5; change < end; change += 23) {
        const changed = Buffer.from(file)
        changed[change] ^= 0x80
        // Not the sum over all of it.
        changed.fill(0, changed.length - 8)
        const { keyspace, damaged } = await findings(changed)
        reported += damaged.length
        // What was taken can be decoded, then or later.
        sorted(keyspace)
        decodeAll(keyspace)
      }
    }
    expect(reported).toBeGreaterThan(10)
  }, 60_000)

  it('has no key without elements', async () => {
    const file = rdb(
      'REDIS0011',
      select(0),
      good('a'),
      ...[1, 2, 3, 4, 5].map(type => entry(type, `empty${type}`, len(0))),
      ...[16, 17, 20].map(type => entry(type, `empty${type}`, str(listpack()))),
      entry(18, 'empty18', len(1), len(2), str(listpack())),
      good('b'),
    )
    for (const chunk of [undefined, 64]) {
      const { keyspace, damaged } = await findings(file, chunk)
      expect(damaged).toEqual([])
      expect(keyspace.size).toBe(2)
    }
  })

  it('decodes for good what says to have more elements than it has', async () => {
    const wrong = Buffer.from(listpack('a', 'b'))
    wrong.writeUInt16LE(9, 4)
    const text = 'x'.repeat(50)
    const long = Buffer.from(listpack(...Array.from({ length: 10 }, (_, i) => `${i}${text}`)))
    long.writeUInt16LE(9, 4)
    const file = rdb(
      'REDIS0011',
      select(0),
      entry(20, 'few', str(wrong)),
      entry(20, 'long', str(long)),
      good('a'),
    )
    for (const chunk of [undefined, 64]) {
      const { keyspace, damaged } = await findings(file, chunk)
      expect(damaged).toEqual([])
      const cells = ['few', 'long', 'a'].map(key => keyspace.findKey(argument(key)))
      expect(cells.map(cell => keyspace.isEncoded(cell))).toEqual([false, false, true])
      expect(cells.map(cell => keyspace.length(cell))).toEqual([2, 10, 1])
    }
  })

  it('reports a key that is there twice, and keeps its first value', async () => {
    const file = rdb('REDIS0011', select(0), good('a'), entry(2, 'a', len(1), str('m')), select(1), good('a'))
    for (const chunk of [undefined, 64]) {
      const { keyspace, duplicates } = await findings(file, chunk)
      expect(duplicates).toEqual(['a'])
      expect(answersOf(keyspace).map(({ kind }) => kind)).toEqual(['hash', 'hash'])
    }
  })

  it('keeps nothing of a value in which the file ends', async () => {
    const file = rdb('REDIS0011', select(0), good('a'), entry(4, 'b', len(2), str('f'), str(noise(5000))))
    const { keyspace } = await findings(file.subarray(0, 3000), 512)
    expect(answersOf(keyspace).map(({ key }) => key)).toEqual(['a'])
  })

  it('takes the sign of a -0 from sorted sets that servers pack, and from no other', async () => {
    const members = (count: number, longest: number) =>
      Array.from({ length: count }, (_, i) => [
        str(i === 0 ? 'm'.repeat(longest) : `m${i}`),
        double(i === 1 ? -0 : i),
      ])
    const zset = (key: string, count: number, longest: number) =>
      entry(5, key, len(count), members(count, longest))
    const file = rdb(
      'REDIS0011',
      select(0),
      zset('few', 128, 64),
      zset('many', 129, 64),
      zset('long', 128, 65),
      entry(5, 'none', len(1), str('m'), double(1)),
    )
    const { keyspace } = await findings(file)
    const signs = () =>
      answersOf(keyspace).map(({ key, value }) => [
        key,
        (value as [string, string][]).some(([, score]) => score === '-0'),
      ])
    const expected = [
      ['few', false],
      ['many', true],
      ['long', true],
      ['none', false],
    ]
    expect(signs()).toEqual(expected)
    expect(
      ['few', 'many', 'long', 'none'].map(key => keyspace.isEncoded(keyspace.findKey(argument(key)))),
    ).toEqual([false, true, true, true])
    decodeAll(keyspace)
    expect(signs()).toEqual(expected)
  })

  it('keeps values that are larger than a window where they stand', async () => {
    const text = Buffer.alloc(300_000, 'ab')
    const fields = Array.from({ length: 3000 }, (_, i) => [str(`field${i}`), str(noise(50, i))])
    const file = rdb(
      'REDIS0011',
      select(0),
      entry(4, 'hash', len(3000), fields),
      entry(0, 'text', str(noise(100_000))),
      entry(0, 'packed', compressed(text)),
      good('b'),
    )
    const { keyspace, damaged } = await findings(file, 1 << 12)
    expect(damaged).toEqual([])
    const cells = ['hash', 'text', 'packed', 'b'].map(key => keyspace.findKey(argument(key)))
    expect(cells.map(cell => keyspace.isEncoded(cell))).toEqual([true, false, true, true])
    expect(cells.map(cell => keyspace.length(cell))).toEqual([3000, 100_000, 300_000, 1])
    const before = sorted(keyspace)
    decodeAll(keyspace)
    expect(sorted(keyspace)).toEqual(before)
    expect(cells.map(cell => keyspace.length(cell))).toEqual([3000, 100_000, 300_000, 1])
  })

  it.each(readdirSync('fixtures/rdb').filter(name => /^(?!.*(array|module)).*\.rdb$/.test(name)))(
    'has the same of %s, decoded or not',
    async name => {
      const file = readFileSync(`fixtures/rdb/${name}`)
      const { keyspace } = await findings(file)
      const digest = digestOf(keyspace, 'redis-8.0')
      const before = sorted(keyspace)
      decodeAll(keyspace)
      expect(sorted(keyspace)).toEqual(before)
      expect(digestOf(keyspace, 'redis-8.0')).toBe(digest)
    },
  )
})

describe('a base and commands behind it', () => {
  it.each(['redis-8.0', 'valkey-9.1'] as const)(
    'come to the same, decoded at once or not, as %s',
    async server => {
      await fc.assert(
        fc.asyncProperty(
          fc.nat(),
          fc.boolean(),
          fc.constantFrom(undefined, 777),
          async (seed, compress, chunk) => {
            const made = new Generator({ server, seed, live: false }).log(600).map(encodeCommand)
            const first = await replay(Buffer.concat(made.slice(0, 300)), { server, torn: true })
            const base = rdbOf(first.keyspace, RDB_TARGETS[server], { compress })
            const tail = Buffer.concat(made.slice(300))
            const options = { server, ...(chunk === undefined ? {} : { chunk }) }
            const lazily = await replayParts([base, tail], options)
            const atOnce = await replayParts([base, tail], { ...options, decoded: true })
            expect(lazily.rejected).toEqual(atOnce.rejected)
            expect(sorted(lazily.keyspace)).toEqual(sorted(atOnce.keyspace))
            expect(digestOf(lazily.keyspace, server)).toBe(digestOf(atOnce.keyspace, server))
            // And as if the commands before were there instead.
            const whole = await replayParts([Buffer.concat(made.slice(0, 300)), tail], {
              ...options,
              torn: true,
            })
            expect(digestOf(lazily.keyspace, server)).toBe(digestOf(whole.keyspace, server))
            expect(keysOf(lazily.keyspace)).toEqual(keysOf(whole.keyspace))
          },
        ),
        { numRuns: RUNS },
      )
    },
    1_800_000,
  )
})

it('refuses a log of more parts than cells can name, and counts none twice in a row', () => {
  const extents = new Extents()
  const source = new BufferSource(Buffer.alloc(1))
  expect([extents.add(source), extents.add(source)]).toEqual([0, 0])
  for (let i = 1; i < 65_536; i++) extents.add(new BufferSource(Buffer.alloc(0)))
  expect(() => extents.add(new BufferSource(Buffer.alloc(0)))).toThrow(/more than 65536 parts/)
})
