import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { RebuildReader, type RebuiltKeys } from '../../src/aof/rebuild-reader.ts'
import { scanPart } from '../../src/aof/scan.ts'
import { FormatError } from '../../src/bytes/errors.ts'
import { BufferSource } from '../../src/bytes/source.ts'
import { Window } from '../../src/bytes/window.ts'
import { writePayload } from '../../src/rdb/payload.ts'
import type { Command } from '../../src/values/command.ts'
import { NO_EXPIRY } from '../../src/values/elements.ts'
import { KeyspaceFingerprint } from '../../src/values/fingerprint.ts'
import { RebuildCommands } from '../../src/values/rebuild.ts'
import { RebuildableElements } from '../../src/values/rebuildable.ts'
import { encodeCommand } from '../helpers/servers.ts'
import { possible, slice, someKeys, type ToldKey, tellValue } from '../values/telling.ts'

/** Keys that go into a fingerprint. */
function into(fingerprint: KeyspaceFingerprint): RebuiltKeys {
  return {
    key: (db, key, kind) => fingerprint.key(db, key, kind, NO_EXPIRY),
    expires: atMs => fingerprint.expires(atMs),
    functions: source => fingerprint.functions(source),
  }
}

/** Reads a log of commands. */
async function read(log: Uint8Array, keys: RebuiltKeys, chunk?: number): Promise<void> {
  const source = new BufferSource(log)
  const reader = new RebuildReader(keys)
  const end = await scanPart(
    source,
    {
      rdb() {},
      records: batch => reader.records(batch),
      long: record => reader.long(record, log.subarray(record.offset, record.end)),
    },
    { window: new Window(source, chunk) },
  )
  if (end.error !== undefined) throw end.error
  reader.finish()
}

async function fingerprintOf(log: Uint8Array, chunk?: number): Promise<string> {
  const fingerprint = new KeyspaceFingerprint()
  await read(log, into(fingerprint), chunk)
  return fingerprint.hex()
}

function log(...commands: readonly string[]): Buffer {
  return Buffer.concat(commands.map(line => encodeCommand(line.split(' '))))
}

/** Offset and message of the error that the commands are. */
async function errorOf(...commands: string[]): Promise<string> {
  try {
    await fingerprintOf(log(...commands))
  } catch (error) {
    if (!(error instanceof FormatError)) throw error
    // Which of the commands it is.
    let at = 0
    let i = 0
    while (at < error.offset) at += log(commands[i++]).length
    return at === error.offset ? `${i + 1}: ${error.message}` : `within ${i}: ${error.message}`
  }
  return 'none'
}

function rebuilt(keys: readonly ToldKey[], setWithExpiry = false): Buffer {
  const commands: Buffer[] = []
  const rebuild = new RebuildCommands(
    ({ bytes, start, end, count }: Command) => {
      const args = Array.from({ length: count }, (_, a) => bytes.slice(start[a], end[a]))
      commands.push(encodeCommand(args))
    },
    { payload: value => writePayload(7, value, 12), setWithExpiry },
  )
  let db = -1
  for (const key of keys) {
    if (key.db !== db) commands.push(encodeCommand(['SELECT', key.db]))
    db = key.db
    rebuild.key(slice(key.key), key.expireAtMs)
    tellValue(rebuild, key)
  }
  return Buffer.concat(commands)
}

function fingerprintOfTold(keys: readonly ToldKey[]): string {
  const fingerprint = new KeyspaceFingerprint()
  const rebuildable = new RebuildableElements(fingerprint)
  for (const key of keys) {
    fingerprint.key(key.db, slice(key.key), key.kind, key.expireAtMs)
    tellValue(rebuildable, key)
  }
  return fingerprint.hex()
}

const STREAM = ['XADD s 1-1 a b', 'XSETID s 1-1 ENTRIESADDED 1 MAXDELETEDID 0-0']
const GROUP = 'XGROUP CREATE s g 1-1 ENTRIESREAD 1'
const CLAIM = 'XCLAIM s g c 0 1-1 TIME 5 RETRYCOUNT 1 JUSTID FORCE'

describe('reading the commands that rebuild keys', () => {
  it('gives the keys that RebuildCommands was told, from windows of any size', async () => {
    await fc.assert(
      fc.asyncProperty(someKeys, fc.constantFrom(64, 100, 1 << 16), async (told, chunk) => {
        const keys = told.map(possible).sort((a, b) => a.db - b.db)
        const expected = fingerprintOfTold(keys)
        expect(await fingerprintOf(rebuilt(keys), chunk)).toBe(expected)
        expect(await fingerprintOf(rebuilt(keys, true), chunk)).toBe(expected)
      }),
    )
  })

  it('takes the forms that servers write for fields that expire', async () => {
    const told: ToldKey = {
      ...{ db: 0, key: 'h', expireAtMs: 9n, kind: 'hash' },
      value: [
        ['f', '1', 5n],
        ['g', '2', 6n],
        ['h', '3', NO_EXPIRY],
      ],
    }
    const expected = fingerprintOfTold([told])
    // Ours, redis 8.0, valkey 9.1.
    const forms = [
      ['HMSET h f 1 g 2 h 3', 'HPEXPIREAT h 5 FIELDS 1 f', 'HPEXPIREAT h 6 FIELDS 1 g'],
      ['HMSET h h 3 f 1', 'HPEXPIREAT h 5 FIELDS 1 f', 'HMSET h g 2', 'HPEXPIREAT h 6 FIELDS 1 g'],
      ['HSETEX h PXAT 5 FIELDS 1 f 1', 'HSETEX h PXAT 6 FIELDS 1 g 2', 'HMSET h h 3'],
    ]
    for (const form of forms)
      expect(await fingerprintOf(log('SELECT 0', ...form, 'PEXPIREAT h 9'))).toBe(expected)
    expect(await fingerprintOf(log(...forms[0]))).not.toBe(expected)
  })

  it('takes what servers write for streams without entries, and nothing else for them', async () => {
    const made = await fingerprintOf(
      log('XADD s MAXLEN 0 0-1 x y', 'XSETID s 5-5 ENTRIESADDED 1 MAXDELETEDID 0-0'),
    )
    const id = [0n, 0n] as const
    const state = { length: 0n, lastId: [5n, 5n] as const, firstId: id, maxDeletedId: id, entriesAdded: 1n }
    const value = { entries: [], state, groups: [], producers: [], idempotence: undefined }
    expect(made).toBe(fingerprintOfTold([{ db: 0, key: 's', expireAtMs: NO_EXPIRY, kind: 'stream', value }]))
  })

  it.each([
    ['another command', ['SET a 1', 'DEL a'], '2: DEL rebuilds no key'],
    ['small letters', ['set a 1'], '1: set rebuilds no key'],
    ['another form', ['SET a 1 PXAT 5'], '1: SET does not have the form in which it rebuilds a key'],
    ['a string twice', ['SET a 1', 'SET a 1'], '2: SET is for a key that is there already'],
    ['another kind', ['SADD a 1', 'RPUSH a 1'], '2: RPUSH is for a key that is a set'],
    ['a member without a score', ['ZADD a 1'], '1: ZADD does not have the form in which it rebuilds a key'],
    ['no score', ['ZADD a 1x m'], '1: ZADD has a score that is none: "1x"'],
    ['a score that is not a number', ['ZADD a nan m'], '1: ZADD has a score that is none: "nan"'],
    ['a score of a sign', ['ZADD a - m'], '1: ZADD has a score that is none: "-"'],
    [
      'the expiry of another key',
      ['SET a 1', 'PEXPIREAT b 1'],
      '2: PEXPIREAT is for a key that is not there',
    ],
    ['an expiry of none', ['PEXPIREAT b 1'], '1: PEXPIREAT is for a key that is not there'],
    ['no time', ['SET a 1', 'PEXPIREAT a 01'], '2: PEXPIREAT has no integer where there must be one: "01"'],
    [
      'no expiry',
      ['SET a 1', 'PEXPIREAT a -1'],
      '2: PEXPIREAT does not have the form in which it rebuilds a key',
    ],
    [
      'two expiries',
      ['SET a 1', 'PEXPIREAT a 1', 'PEXPIREAT a 1'],
      '3: PEXPIREAT comes behind the end of its key',
    ],
    [
      'a value behind it',
      ['SADD a 1', 'PEXPIREAT a 1', 'SADD a 2'],
      '3: SADD comes behind the end of its key',
    ],
    [
      'a field that is not there',
      ['HMSET a f v', 'HPEXPIREAT a 5 FIELDS 1 g'],
      '2: HPEXPIREAT names a field that is not in the HMSET before it',
    ],
    [
      'a field twice',
      ['HMSET a f v', 'HPEXPIREAT a 5 FIELDS 2 f f'],
      '2: HPEXPIREAT names a field that is not in the HMSET before it',
    ],
    [
      'a field of before',
      ['HMSET a f v', 'HMSET a g v', 'HPEXPIREAT a 5 FIELDS 1 f'],
      '3: HPEXPIREAT names a field that is not in the HMSET before it',
    ],
    [
      'another number of fields',
      ['HMSET a f v', 'HPEXPIREAT a 5 FIELDS 2 f'],
      '2: HPEXPIREAT does not have the form in which it rebuilds a key',
    ],
    [
      'a database without keys',
      ['SELECT 1', 'SELECT 2'],
      '2: SELECT does not have the form in which it rebuilds a key',
    ],
    [
      'a database without keys at the end',
      ['SET a 1', 'SELECT 2'],
      '2: the end selects a database that has no keys',
    ],
    ['a database that is none', ['SELECT -1'], '1: SELECT does not have the form in which it rebuilds a key'],
    ['a stream without XSETID', [STREAM[0], 'SET a 1'], '2: SET comes while a stream lacks its XSETID'],
    ['the same at the end', [STREAM[0]], '1: the end comes while a stream lacks its XSETID'],
    ['a group before XSETID', [STREAM[0], GROUP], '2: XGROUP does not stand between XSETID and PEXPIREAT'],
    [
      'an entry behind XSETID',
      [...STREAM, 'XADD s 2-1 a b'],
      '3: XADD adds to a stream behind XSETID, or to one that is empty',
    ],
    ['an entry twice', [STREAM[0], STREAM[0]], '2: XADD has an id that does not rise'],
    ['an id that is none', ['XADD s 1-x a b'], '1: XADD has no number where there must be one'],
    ['an id without a number', ['XADD s 1 a b'], '1: XADD has no id where there must be one: "1"'],
    [
      'an id too large',
      ['XADD s 1-18446744073709551616 a b'],
      '1: XADD has no number where there must be one',
    ],
    [
      'XSETID below an entry',
      [STREAM[0], 'XSETID s 0-5 ENTRIESADDED 1 MAXDELETEDID 0-0'],
      '2: XSETID sets an id below that of the last entry',
    ],
    [
      'XSETID below a deleted entry',
      [STREAM[0], 'XSETID s 1-1 ENTRIESADDED 1 MAXDELETEDID 1-2'],
      '2: XSETID sets an id below that of a deleted entry',
    ],
    [
      'XSETID with too few',
      [STREAM[0], 'XSETID s 1-1 ENTRIESADDED 0 MAXDELETEDID 0-0'],
      '2: XSETID tells of fewer entries than there are',
    ],
    ['XSETID twice', [...STREAM, STREAM[1]], '3: XSETID comes twice'],
    [
      'a claim without a group',
      [...STREAM, CLAIM],
      '3: XCLAIM is for a group that was not made right before',
    ],
    [
      'a claim in another group',
      [...STREAM, GROUP, 'XGROUP CREATE s h 1-1 ENTRIESREAD 1', CLAIM],
      '5: XCLAIM is for a group that was not made right before',
    ],
    ['a group of another key', [...STREAM, 'SET a 1', GROUP], '4: XGROUP is for a key that is not there'],
    [
      'a claim in a group of another stream',
      [...STREAM, GROUP, ...STREAM.map(line => line.replace(' s ', ' t ')), CLAIM.replace(' s ', ' t ')],
      '6: XCLAIM is for a group that was not made right before',
    ],
    [
      'what makes a server forget producers behind them',
      [...STREAM, 'XIDMPRECORD s p i 1-1', 'XCFGSET s IDMP-DURATION 5 IDMP-MAXSIZE 5'],
      '4: XCFGSET comes behind XIDMPRECORD',
    ],
    ['a payload that is none', ['RESTORE a 0 xyz ABSTTL'], 'within 1: a payload of only 3 bytes'],
    [
      'another subcommand',
      ['FUNCTION DELETE x'],
      '1: FUNCTION does not have the form in which it rebuilds a key',
    ],
  ])('refuses %s', async (_, commands, expected) => {
    expect(await errorOf(...commands)).toBe(expected)
  })

  it('takes each of those without what is wrong with it', async () => {
    expect(await errorOf(...STREAM, GROUP, CLAIM, 'PEXPIREAT s 5', 'SELECT 1', 'SADD a 1', 'SADD a 2')).toBe(
      'none',
    )
    expect(await errorOf('ZADD a -1 a 1.5 b 3e+300 c 1e-7 d inf e -inf f -0 g 0.1 h')).toBe('none')
  })

  it('refuses what only loads, but is not what a server writes', async () => {
    const odd = Buffer.from('*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nbxx')
    await expect(fingerprintOf(odd)).rejects.toThrow('not as a server writes it: resp.bulk.terminator')
    const long = Buffer.concat([odd.subarray(0, 24), encodeCommand(['x'.repeat(200)]).subarray(4)])
    long.write('xx', long.length - 2)
    await expect(fingerprintOf(long, 64)).rejects.toThrow('not as a server writes it')
  })

  it('refuses to restore what has commands of its own', async () => {
    const restore = (type: number) =>
      fingerprintOf(
        encodeCommand(['RESTORE', 'k', '0', writePayload(type, Buffer.of(1, 0x61), 12), 'ABSTTL']),
      )
    await expect(restore(0)).rejects.toThrow('RESTORE restores a value of type 0')
    expect(await restore(7)).toMatch(/^[0-9a-f]{32}$/)
  })

  it('refuses a command of more arguments than anybody writes', async () => {
    const head = Buffer.from('*1100002\r\n$4\r\nSADD\r\n$1\r\na\r\n')
    const members = Buffer.alloc(1_100_000 * 7, '$1\r\nm\r\n')
    await expect(fingerprintOf(Buffer.concat([head, members]))).rejects.toThrow(
      'a record that is not as a server writes it',
    )
  })

  it('gives a key that comes again as another one', async () => {
    const [apart, together] = await Promise.all([
      fingerprintOf(log('SADD a 1', 'SADD b 1', 'SADD a 2')),
      fingerprintOf(log('SADD a 1 2', 'SADD b 1')),
    ])
    expect(apart).not.toBe(together)
  })

  it('gives libraries of functions', async () => {
    const fingerprint = new KeyspaceFingerprint()
    fingerprint.functions(slice('source'))
    expect(await fingerprintOf(log('FUNCTION LOAD source'))).toBe(fingerprint.hex())
  })
})
