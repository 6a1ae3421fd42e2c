import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { JobError } from '../../src/bytes/errors.ts'
import type { Magic } from '../../src/rdb/format.ts'
import { RDB_TARGETS, TARGET_NAMES } from '../../src/rdb/targets.ts'
import { RdbWriter } from '../../src/rdb/writer.ts'
import { NO_EXPIRY } from '../../src/values/elements.ts'
import { Slice } from '../../src/values/slice.ts'
import { aux, bytes, entry, int64, len, rdb, select, str } from './build.ts'
import { decode } from './decoding.ts'
import { rewritten } from './rewriting.ts'
import { fixtures, walk } from './walking.ts'

const REDIS_7 = RDB_TARGETS['redis-7.0']
const REDIS_8 = RDB_TARGETS['redis-8.0']
const slice = (text: string): Slice => new Slice().set(Buffer.from(text))
const head = (key: string, more = {}) => ({
  ...{ key: slice(key), expireAtMs: NO_EXPIRY, idle: -1, frequency: -1 },
  ...more,
})

function putString(writer: RdbWriter, key: string, value: Slice): void {
  const sink = writer.entry(head(key))
  sink.begin('string', 1)
  sink.string(value)
  sink.end()
}

function putList(writer: RdbWriter, key: string, items: number, item: Slice): void {
  const sink = writer.entry(head(key))
  sink.begin('list', items)
  for (let i = 0; i < items; i++) sink.item(item)
  sink.end()
}

const all = (writer: RdbWriter): Buffer => {
  writer.finish()
  return Buffer.from(writer.take())
}

describe('a file', () => {
  it.each(TARGET_NAMES)('for %s begins with magic and version and ends with a checksum', async name => {
    const target = RDB_TARGETS[name]
    const file = all(new RdbWriter(target))
    const { records, error } = await walk(file)
    expect(error).toBeUndefined()
    expect(records).toMatchObject([
      { kind: 'header', magic: target.magic, version: target.version },
      { kind: 'end', end: file.length },
    ])
  })

  it('has every record as it was written', () => {
    const writer = new RdbWriter(REDIS_7)
    writer.aux('redis-bits', '64')
    writer.aux('name', 'value')
    writer.function(slice('code'))
    writer.select(300)
    writer.resize(70_000, 2)
    putString(writer, 'key', slice('value'))
    writer.entry(head('old', { expireAtMs: -5n })).begin('string', 1)
    writer.takeBack()
    const sink = writer.entry(head('12', { expireAtMs: 2n ** 42n, idle: 100, frequency: 255 }))
    sink.begin('string', 1)
    sink.string(slice('x'))
    sink.end()
    expect(all(writer)).toEqual(
      rdb(
        'REDIS0010',
        [250, str('redis-bits'), 0xc0, 64, aux('name', 'value'), 245, str('code'), select(300)],
        [251, len(70_000), len(2), entry(0, 'key', str('value'))],
        [252, int64(2n ** 42n), 248, len(100), 249, 255, 0, 0xc0, 12, str('x')],
      ),
    )
  })

  it('is the same however it is drained and fed', async () => {
    for (const { name, bytes } of fixtures()) {
      if (!/(types|large|field-expiry)$/.test(name)) continue
      const target = name.startsWith('valkey-9') ? RDB_TARGETS['valkey-9.1'] : REDIS_8
      const whole = await rewritten(bytes, target)
      for (const options of [{ enough: 1 }, { enough: 1000, chunk: 512 }, { enough: 1, told: false }])
        expect((await rewritten(bytes, target, options)).equals(whole), name).toBe(true)
    }
  })

  it('is the same when it is written again', async () => {
    for (const { name, bytes } of fixtures()) {
      if (!/(types|large|field-expiry)$/.test(name)) continue
      const target = name.startsWith('valkey-9') ? RDB_TARGETS['valkey-9.1'] : REDIS_8
      const once = await rewritten(bytes, target)
      expect((await rewritten(once, target)).equals(once), name).toBe(true)
    }
  })
})

describe('draining', () => {
  it('gives views that stay while more is written, until the next', () => {
    const writer = new RdbWriter(REDIS_8, { compress: false })
    const taken: Buffer[] = []
    let view: Uint8Array = writer.take()
    for (let i = 0; i < 2000; i++) {
      const before = Buffer.from(view)
      putString(writer, `key ${i}`, slice('x'.repeat(i % 300)))
      if (i % 7 === 0) {
        expect(before.equals(view)).toBe(true)
        taken.push(Buffer.from(view))
        view = writer.take()
      }
    }
    taken.push(Buffer.from(view))
    taken.push(all(writer))
    const file = Buffer.concat(taken)
    expect(file.length).toBe(writer.size)
    const again = new RdbWriter(REDIS_8, { compress: false })
    for (let i = 0; i < 2000; i++) putString(again, `key ${i}`, slice('x'.repeat(i % 300)))
    expect(file.equals(all(again))).toBe(true)
  })

  it('holds back an entry of which too little is known, and no more than that', () => {
    const writer = new RdbWriter(REDIS_8)
    putString(writer, 'before', slice('value'))
    const ready = writer.pending
    const sink = writer.entry(head('list'))
    sink.begin('list', -1)
    for (let i = 0; i < 50_000; i++) sink.item(new Slice().set(randomBytes(100)))
    expect(writer.pending).toBe(ready)
    expect(writer.take()).toHaveLength(ready)
    expect(writer.take()).toHaveLength(0)
    sink.end()
    expect(writer.pending).toBeGreaterThan(5_000_000)
  })

  it('gives away a large value that is written as it comes', () => {
    const writer = new RdbWriter(REDIS_8)
    const sink = writer.entry(head('hash'), false)
    const count = 200_000
    sink.begin('hash', count)
    let most = 0
    for (let i = 0; i < count; i++) {
      sink.field(slice(`field:${i}`), new Slice().set(randomBytes(40)), NO_EXPIRY)
      most = Math.max(most, writer.pending)
      if (writer.pending > 1 << 21) writer.take()
    }
    sink.end()
    expect(most).toBeLessThan(3 << 20)
  })
})

describe('large values', () => {
  it('of any number of nodes get their count in front', async () => {
    const item = new Slice().set(randomBytes(8000))
    for (const nodes of [2, 63, 64, 16_383, 16_384]) {
      const writer = new RdbWriter(REDIS_8, { compress: false })
      const small = new Slice().set(item.bytes, 0, nodes > 100 ? 4100 : 8000)
      putList(writer, 'list', nodes, small)
      putString(writer, 'after', slice('value'))
      const file = all(writer)
      const { entries, error } = await walk(file)
      expect(error).toBeUndefined()
      expect(entries.map(({ key }) => key)).toEqual(['list', 'after'])
      const count = len(nodes)
      expect(file.subarray(entries[0].valueAt, entries[0].valueAt + count.length).equals(count)).toBe(true)
    }
  })

  it('of 100 MB are read as they were, compressed or not', async () => {
    const large = Buffer.alloc(100 << 20, 'some text that repeats itself ')
    for (const value of [large, randomBytes(100 << 20)]) {
      const writer = new RdbWriter(REDIS_8)
      putString(writer, 'large', new Slice().set(value))
      const file = all(writer)
      expect(file.length < value.length / 20).toBe(value === large)
      const { entries, error } = await walk(file)
      expect([entries.length, error]).toEqual([1, undefined])
    }
  })
})

describe('an entry that does not come to its end', () => {
  it('is taken back as if it had never begun', () => {
    for (const items of [0, 10, 100_000]) {
      const writer = new RdbWriter(REDIS_8)
      putString(writer, 'before', slice('value'))
      const sink = writer.entry(head('list', { expireAtMs: 5n }))
      sink.begin('list', items)
      for (let i = 0; i < items; i++) sink.item(slice(`item ${i}`))
      expect(writer.takeBack()).toBe(true)
      putString(writer, 'after', slice('value'))
      const without = new RdbWriter(REDIS_8)
      for (const key of ['before', 'after']) putString(without, key, slice('value'))
      expect(all(writer).equals(all(without))).toBe(true)
    }
  })

  it('cannot be taken back once part of it was taken', () => {
    const writer = new RdbWriter(REDIS_8)
    const sink = writer.entry(head('set'))
    sink.begin('set', 300_000)
    for (let i = 0; i < 200_000; i++) sink.member(slice(`member ${i}`))
    writer.take()
    expect(writer.takeBack()).toBe(false)
  })
})

describe('copying', () => {
  it('of all entries gives the same entries', async () => {
    for (const { name, bytes: file } of fixtures()) {
      if (name.includes('module')) continue
      const target = RDB_TARGETS[/^(redis|valkey)-\d\.\d/.exec(name)?.[0] as 'redis-7.0']
      const copy = await rewritten(file, target, { copied: true })
      const entriesOf = async (of: Buffer) =>
        (await walk(of)).entries.map(({ offset, end }) => of.toString('latin1', offset, end))
      expect(await entriesOf(copy), name).toEqual(await entriesOf(file))
    }
  })

  const copy = (magic: Magic, span: Buffer, target = REDIS_7) => {
    const writer = new RdbWriter(target, { modules: 'redis' })
    const copied = writer.copyEntry(magic, span, 0, span.length)
    const file = all(writer)
    return copied ? file.subarray(9, -9).toString('latin1') : file.length === 18 ? 'no' : 'no, but something'
  }

  it('takes what stands before an entry with it', () => {
    const plain = entry(0, 'key', str('value'))
    for (const before of [
      [252, int64(5n)],
      [253, 1, 2, 3, 4],
      [248, len(5)],
      [248, len(500)],
      [248, len(70_000)],
      [249, 250],
      [252, int64(5n), 249, 0],
    ]) {
      const span = bytes(...before, plain)
      expect(copy('REDIS', span)).toBe(span.toString('latin1'))
    }
  })

  it('leaves what does not load, or means something else, to be decoded', () => {
    const listpack = entry(20, 'set', str('not looked at'))
    expect(copy('REDIS', listpack)).toBe('no')
    expect(copy('REDIS', listpack, REDIS_8)).toBe(listpack.toString('latin1'))
    expect(copy('REDIS', entry(24, 'hash'), REDIS_7)).toBe('no')
    expect(copy('REDIS', entry(22, 'hash'), RDB_TARGETS['valkey-9.1'])).toBe('no')
    expect(copy('VALKEY', entry(22, 'hash'), REDIS_8)).toBe('no')
    // Metadata of modules.
    expect(copy('REDIS', bytes(243, len(0), entry(0, 'key', str('value'))))).toBe('no')
    // Modules are looked at.
    expect(copy('REDIS', entry(7, 'key', len(5), len(0)))).toBe('no')
    expect(copy('REDIS', bytes(252, int64(1n)))).toBe('no')
    expect(copy('REDIS', Buffer.of(248))).toBe('no')
  })

  it('goes on with what follows', () => {
    const span = entry(0, 'key', str('value'))
    const writer = new RdbWriter(REDIS_7)
    writer.copyEntry('REDIS', span, 0, 4)
    writer.copyMore(span, 4, span.length)
    expect(all(writer)).toEqual(rdb('REDIS0010', span))
  })

  it('takes records only where they load', () => {
    const record = bytes(245, str('code'))
    for (const name of TARGET_NAMES) {
      const writer = new RdbWriter(RDB_TARGETS[name], { modules: 'valkey' })
      if (name === 'redis-6.2') {
        expect(() => writer.copyRecord('function', record, 0, record.length)).toThrow(JobError)
        expect(() => writer.function(slice('code'))).toThrow('redis-6.2 cannot hold functions')
      } else {
        writer.copyRecord('function', record, 0, record.length)
        expect(writer.size).toBe(9 + record.length)
      }
      const takes = name.startsWith('valkey')
      const copyAux = () => writer.copyRecord('module-aux', record, 0, record.length)
      if (takes) copyAux()
      else expect(copyAux).toThrow('data of modules')
    }
  })
})

describe('the values of the fixtures', () => {
  it.each(fixtures().map(({ name, bytes }) => [name, bytes] as const))(
    '%s are read as they were, from a file for each target',
    async (name, file) => {
      const modules = name.startsWith('valkey') ? 'valkey' : 'redis'
      const before = await decode(file)
      let written = 0
      for (const targetName of TARGET_NAMES) {
        let copy: Buffer
        try {
          copy = await rewritten(file, RDB_TARGETS[targetName], { modules })
        } catch (error) {
          if (!(error instanceof JobError)) throw error
          expect(error.message).toMatch(
            /functions$|(fields that expire|vector sets|modules( of redis)?) of the key "/,
          )
          continue
        }
        const after = await decode(copy)
        // Streams forget what older ones have no room for.
        const comparable = ({ answers }: typeof after) =>
          answers
            .filter(({ kind }) => kind !== 'stream' || RDB_TARGETS[targetName].streams === 3)
            .map(answer => JSON.stringify(answer))
            .sort()
        expect(comparable(after), targetName).toEqual(comparable(before))
        expect(after.answers).toHaveLength(before.answers.length)
        expect(after.functions).toEqual(before.functions)
        expect([...after.hints].sort()).toEqual([...before.hints].sort())
        written++
      }
      // Vector sets have but one.
      expect(written).toBeGreaterThanOrEqual(name === 'redis-8.0-module' ? 1 : 2)
    },
  )
})
