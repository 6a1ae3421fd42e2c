import { describe, expect, it } from 'vitest'
import type { Command } from '../../src/values/command.ts'
import { type Kind, NO_EXPIRY } from '../../src/values/elements.ts'
import { RebuildCommands, type RebuildOptions } from '../../src/values/rebuild.ts'
import { Slice } from '../../src/values/slice.ts'

function slice(text: string | Uint8Array): Slice {
  return new Slice().set(Buffer.from(text as string))
}

/** The commands for a value that `tell` tells, each a line of its arguments. */
function commands(
  kind: Kind,
  tell: (rebuild: RebuildCommands) => void,
  options: RebuildOptions & { expireAtMs?: bigint; key?: string } = {},
): string[] {
  const { rebuild, lines } = rebuilding(options)
  rebuild.key(slice(options.key ?? 'key'), options.expireAtMs ?? NO_EXPIRY)
  rebuild.begin(kind, -1)
  tell(rebuild)
  rebuild.end()
  return lines
}

function rebuilding(options: RebuildOptions = {}) {
  const lines: string[] = []
  const rebuild = new RebuildCommands(({ bytes, start, end, count }: Command) => {
    const words = Array.from({ length: count }, (_, a) =>
      Buffer.from(bytes.subarray(start[a], end[a])).toString('latin1'),
    )
    lines.push(words.join(' '))
  }, options)
  return { rebuild, lines }
}

/** `call` for 0, 1, … */
function times(count: number, call: (i: number) => void): void {
  for (let i = 0; i < count; i++) call(i)
}

const STATE = {
  length: 0n,
  lastId: { ms: 7n, seq: 1n },
  firstId: { ms: 0n, seq: 0n },
  maxDeletedId: { ms: 2n, seq: 2n },
  entriesAdded: 9n,
}
const XSETID = 'XSETID key 7-1 ENTRIESADDED 9 MAXDELETEDID 2-2'
const EMPTY_STREAM = ['XADD key MAXLEN 0 0-1 x y', XSETID]

describe('the commands that rebuild a key', () => {
  it('set a string, and when it expires', () => {
    const tell = (rebuild: RebuildCommands) => rebuild.string(slice('value'))
    expect(commands('string', tell)).toEqual(['SET key value'])
    expect(commands('string', tell, { expireAtMs: -5n })).toEqual(['SET key value', 'PEXPIREAT key -5'])
  })

  it('take 64 items each', () => {
    const items = (from: number, to: number, text: (i: number) => string) =>
      Array.from({ length: to - from }, (_, i) => text(from + i)).join(' ')
    const item = (i: number) => `i${i}`
    const pair = (i: number) => `f${i} v${i}`
    const scored = (i: number) => `${i + 0.5} m${i}`
    expect(commands('list', rebuild => times(130, i => rebuild.item(slice(item(i)))))).toEqual([
      `RPUSH key ${items(0, 64, item)}`,
      `RPUSH key ${items(64, 128, item)}`,
      `RPUSH key ${items(128, 130, item)}`,
    ])
    expect(commands('set', rebuild => times(64, i => rebuild.member(slice(item(i)))))).toEqual([
      `SADD key ${items(0, 64, item)}`,
    ])
    expect(commands('zset', rebuild => times(65, i => rebuild.scored(slice(`m${i}`), i + 0.5)))).toEqual([
      `ZADD key ${items(0, 64, scored)}`,
      `ZADD key ${items(64, 65, scored)}`,
    ])
    expect(
      commands('hash', rebuild => times(65, i => rebuild.field(slice(`f${i}`), slice(`v${i}`), NO_EXPIRY))),
    ).toEqual([`HMSET key ${items(0, 64, pair)}`, `HMSET key ${items(64, 65, pair)}`])
  })

  it('take fewer items when these are long, also when of each only the first bytes are kept', () => {
    const item = slice(Buffer.alloc(400_000, 'x'))
    const counts = (lines: string[]) => lines.map(line => line.split(' ').length - 2)
    const tell = (rebuild: RebuildCommands) => times(10, () => rebuild.item(item))
    expect(counts(commands('list', tell))).toEqual([3, 3, 3, 1])
    expect(counts(commands('list', tell, { keep: 10 }))).toEqual([3, 3, 3, 1])
  })

  it('say when fields expire, of neighbours with one time together, behind the fields they are about', () => {
    const at = [5n, 5n, NO_EXPIRY, 5n, 6n, 6n, NO_EXPIRY]
    const tell = (count: number) => (rebuild: RebuildCommands) =>
      times(count, i => rebuild.field(slice(`f${i}`), slice('v'), at[i % at.length]))
    expect(commands('hash', tell(7), { expireAtMs: 9n })).toEqual([
      'HMSET key f0 v f1 v f2 v f3 v f4 v f5 v f6 v',
      'HPEXPIREAT key 5 FIELDS 2 f0 f1',
      'HPEXPIREAT key 5 FIELDS 1 f3',
      'HPEXPIREAT key 6 FIELDS 2 f4 f5',
      'PEXPIREAT key 9',
    ])
    const names = commands('hash', tell(70)).map(line => line.split(' ')[0])
    expect(names.indexOf('HPEXPIREAT')).toBe(1)
    expect(names.lastIndexOf('HMSET')).toBeLessThan(names.lastIndexOf('HPEXPIREAT'))
    expect(names.filter(name => name === 'HMSET')).toHaveLength(2)
    // Fields without a time after some with one.
    const mixed = (rebuild: RebuildCommands) => {
      times(64, i => rebuild.field(slice(`f${i}`), slice('v'), 5n))
      rebuild.field(slice('last'), slice('v'), NO_EXPIRY)
    }
    expect(commands('hash', mixed).slice(2)).toEqual(['HMSET key last v'])
  })

  it('set fields that expire with HSETEX where that is wanted', () => {
    const times = [5n, 5n, NO_EXPIRY, 5n, 6n, 6n, NO_EXPIRY]
    const tell = (rebuild: RebuildCommands) => {
      times.forEach((time, i) => {
        rebuild.field(slice(`f${i}`), slice('v'), time)
      })
    }
    expect(commands('hash', tell, { setWithExpiry: true, expireAtMs: 9n })).toEqual([
      'HMSET key f2 v f6 v',
      'HSETEX key PXAT 5 FIELDS 2 f0 v f1 v',
      'HSETEX key PXAT 5 FIELDS 1 f3 v',
      'HSETEX key PXAT 6 FIELDS 2 f4 v f5 v',
      'PEXPIREAT key 9',
    ])
    const all = (rebuild: RebuildCommands) => rebuild.field(slice('f'), slice('v'), 0n)
    expect(commands('hash', all, { setWithExpiry: true })).toEqual(['HSETEX key PXAT 0 FIELDS 1 f v'])
    const none = (rebuild: RebuildCommands) => rebuild.field(slice('f'), slice('v'), NO_EXPIRY)
    expect(commands('hash', none, { setWithExpiry: true })).toEqual(['HMSET key f v'])
  })

  it('are none for a collection without elements, whatever key came before', () => {
    const { rebuild, lines } = rebuilding()
    rebuild.key(slice('one'), 5n)
    rebuild.begin('string', 1)
    rebuild.string(slice('v'))
    rebuild.end()
    rebuild.key(slice('two'), 5n)
    rebuild.begin('hash', 0)
    rebuild.end()
    expect(lines).toEqual(['SET one v', 'PEXPIREAT one 5'])
  })

  it('make a stream: entries, state, groups with their consumers and what is pending', () => {
    const lines = commands(
      'stream',
      rebuild => {
        rebuild.entry(1n, 2n ** 64n - 1n, 2)
        rebuild.field(slice('a'), slice('1'), NO_EXPIRY)
        rebuild.field(slice('b'), slice('2'), NO_EXPIRY)
        rebuild.entry(7n, 1n, 1)
        rebuild.field(slice('c'), slice('3'), NO_EXPIRY)
        rebuild.state({ ...STATE, length: 2n })
        rebuild.group(slice('first'), 7n, 1n, 9n)
        rebuild.pending(1n, 0n, 1000n, 1n)
        rebuild.pending(7n, 1n, 2000n, 2n ** 64n - 1n)
        rebuild.consumer(slice('idle'), 5n, -1n)
        rebuild.consumer(slice('busy'), 5n, 6n)
        rebuild.owned(7n, 1n)
        rebuild.owned(1n, 0n)
        rebuild.consumer(slice('last'), 5n, -1n)
        rebuild.group(slice('second'), 0n, 0n, -1n)
      },
      { expireAtMs: 3n },
    )
    expect(lines).toEqual([
      'XADD key 1-18446744073709551615 a 1 b 2',
      'XADD key 7-1 c 3',
      XSETID,
      'XGROUP CREATE key first 7-1 ENTRIESREAD 9',
      'XGROUP CREATECONSUMER key first idle',
      // RETRYCOUNT takes no more.
      'XCLAIM key first busy 0 7-1 TIME 2000 RETRYCOUNT 9223372036854775807 JUSTID FORCE',
      'XCLAIM key first busy 0 1-0 TIME 1000 RETRYCOUNT 1 JUSTID FORCE',
      'XGROUP CREATECONSUMER key first last',
      'XGROUP CREATE key second 0-0 ENTRIESREAD -1',
      'PEXPIREAT key 3',
    ])
  })

  it('make a stream without entries by one that keeps nothing of what it adds', () => {
    expect(commands('stream', rebuild => rebuild.state(STATE))).toEqual(EMPTY_STREAM)
  })

  it('hand entries back, 64 with one number of deliveries at a time', () => {
    const lines = commands('stream', rebuild => {
      rebuild.state(STATE)
      rebuild.group(slice('g'), 7n, 1n, 9n)
      times(70, i => rebuild.pending(BigInt(i), 0n, 1000n, i < 66 ? 1n : 2n))
      rebuild.consumer(slice('idle'), 5n, -1n)
      times(70, i => rebuild.nacked(BigInt(i), 0n))
    })
    const ids = (from: number, to: number) =>
      Array.from({ length: to - from }, (_, i) => `${from + i}-0`).join(' ')
    expect(lines.slice(3)).toEqual([
      'XGROUP CREATECONSUMER key g idle',
      `XNACK key g FAIL IDS 64 ${ids(0, 64)} RETRYCOUNT 1 FORCE`,
      `XNACK key g FAIL IDS 2 ${ids(64, 66)} RETRYCOUNT 1 FORCE`,
      `XNACK key g FAIL IDS 4 ${ids(66, 70)} RETRYCOUNT 2 FORCE`,
    ])
  })

  it('set what is remembered of producers before the records that it would forget', () => {
    const tell = (duration: bigint, limit: bigint) => (rebuild: RebuildCommands) => {
      rebuild.state(STATE)
      rebuild.group(slice('g'), 7n, 1n, 9n)
      rebuild.consumer(slice('idle'), 5n, -1n)
      rebuild.producer(slice('p'))
      rebuild.produced(slice('one'), 1n, 1n)
      rebuild.produced(slice('two'), 2n, 1n)
      rebuild.producer(slice('q'))
      rebuild.produced(slice('one'), 3n, 1n)
      rebuild.idempotence(duration, limit, 3n, 1n)
    }
    const records = ['XIDMPRECORD key p one 1-1', 'XIDMPRECORD key p two 2-1', 'XIDMPRECORD key q one 3-1']
    const consumer = 'XGROUP CREATECONSUMER key g idle'
    expect(commands('stream', tell(100n, 100n)).slice(3)).toEqual([consumer, ...records])
    expect(commands('stream', tell(0n, 0n)).slice(3)).toEqual([consumer, ...records])
    const configured = 'XCFGSET key IDMP-DURATION 60 IDMP-MAXSIZE 100'
    expect(commands('stream', tell(60n, 100n)).slice(3)).toEqual([consumer, configured, ...records])
  })

  it('restore a module from its bytes, when it is said what RESTORE takes', () => {
    const tell = (rebuild: RebuildCommands) => {
      rebuild.raw(slice('one'))
      rebuild.raw(slice('two'))
    }
    const payload = (value: Uint8Array) => Buffer.from(`<${Buffer.from(value)}>`)
    expect(commands('module', tell, { payload, expireAtMs: 5n })).toEqual([
      'RESTORE key 0 <onetwo> ABSTTL',
      'PEXPIREAT key 5',
    ])
    expect(commands('module', tell, { expireAtMs: 5n })).toEqual([])
  })

  it('fill an array, and then set where the next insertion goes', () => {
    const lines = commands('array', rebuild => {
      rebuild.next(70n)
      times(65, i => rebuild.slot(2n ** 63n + BigInt(i), slice(`v${i}`)))
    })
    expect(lines.map(line => line.slice(0, 40))).toEqual([
      'ARMSET key 9223372036854775808 v0 922337',
      'ARMSET key 9223372036854775872 v64',
      'ARSEEK key 70',
    ])
  })

  it('hold what there is of a value that breaks off, and when it expires', () => {
    const { rebuild, lines } = rebuilding()
    rebuild.key(slice('key'), 5n)
    rebuild.begin('list', 3)
    rebuild.item(slice('a'))
    rebuild.cut()
    rebuild.key(slice('stream'), 5n)
    rebuild.begin('stream', -1)
    rebuild.entry(1n, 1n, 2)
    rebuild.field(slice('half'), slice('an entry'), NO_EXPIRY)
    rebuild.cut()
    rebuild.cut()
    expect(lines).toEqual(['RPUSH key a', 'PEXPIREAT key 5'])
  })

  it('load libraries of functions', () => {
    const { rebuild, lines } = rebuilding()
    rebuild.functions(slice('#!lua name=l'))
    expect(lines).toEqual(['FUNCTION LOAD #!lua name=l'])
  })

  it('do not depend on what slices hold after the call', () => {
    const shared = new Slice()
    const { rebuild, lines } = rebuilding()
    rebuild.key(shared.set(Buffer.from('key')), NO_EXPIRY)
    shared.bytes.fill(0x21)
    rebuild.begin('list', 2)
    rebuild.item(shared.set(Buffer.from('a')))
    shared.bytes.fill(0x21)
    rebuild.item(shared.set(Buffer.from('b')))
    shared.bytes.fill(0x21)
    rebuild.end()
    expect(lines).toEqual(['RPUSH key a b'])
  })
})
