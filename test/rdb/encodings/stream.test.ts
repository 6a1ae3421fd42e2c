import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compressLzf } from '../../../src/rdb/encodings/lzf.ts'
import { StreamReader, type StreamVersion } from '../../../src/rdb/encodings/stream.ts'
import { StreamWriter } from '../../../src/rdb/encodings/stream-writer.ts'
import { type ElementSink, IgnoredElements, type StreamState } from '../../../src/values/elements.ts'
import { Slice } from '../../../src/values/slice.ts'
import { foundServers } from '../../helpers/servers.ts'
import { AnswerSink, type Ask, askAll, type StreamAnswer } from '../answers.ts'
import { bytes, entry, len, rdb, select, str } from '../build.ts'
import { VALUES } from '../values.ts'
import { fixtures, walk } from '../walking.ts'
import { Output, type SteppingOptions, stepped } from './stepping.ts'
import { DAMAGES, node, oldStream, one, rawId } from './streams.ts'

const SERVERS = foundServers()
const VERSIONS: Readonly<Record<number, StreamVersion>> = { 15: 1, 19: 2, 21: 3, 26: 4, 27: 5 }

function read(version: StreamVersion, value: Uint8Array, options?: SteppingOptions) {
  const reader = new StreamReader()
  return stepped(
    odd => {
      reader.begin(version, odd)
      return reader
    },
    value,
    options,
  )
}

/** The pieces of values.ts: one entry, a group with two pending ones, and one that has nothing. */
function expected(version: StreamVersion): string[] {
  const from = (first: number, ...lines: string[]) => (version >= first ? lines : [])
  const active = 1_700_000_000_000
  return [
    'entry 0-1 1',
    'field field value -1',
    version >= 2 ? 'state 1 9223372036854775808-0 0-1 0-0 5' : 'state 1 9223372036854775808-0 0-1 0-0 1',
    version >= 2 ? 'group group 0-2 -1' : 'group group 0-2 -1',
    'pending 0-1 1700000000000 1',
    'pending 0-2 1700000000000 300',
    `consumer reader 1700000000000 ${active}`,
    'owned 0-1',
    `consumer other 1700000000000 ${active}`,
    'owned 0-2',
    `consumer idle 1700000000000 ${active}`,
    ...from(5, 'nacked 0-1'),
    'group empty 0-0 0',
    ...from(4, 'producer producer', 'produced first 1-2', 'produced second 3-4', 'idempotence 100 10 7 8'),
  ]
}

describe('StreamReader', () => {
  const values = VALUES.filter(({ type }) => type in VERSIONS)

  it('decodes a stream of each version', () => {
    expect(values).toHaveLength(5)
    for (const { type, encoded } of values) {
      const value = bytes(encoded)
      const { lines, end, taken } = read(VERSIONS[type], value)
      expect(lines).toEqual(expected(VERSIONS[type]))
      expect(end).toBe('done')
      expect(taken).toBe(value.length)
    }
  })

  it('tells the same wherever the bytes at hand end for a while', () => {
    for (const { type, encoded } of values) {
      const value = bytes(encoded)
      const whole = read(VERSIONS[type], value)
      for (let cut = 0; cut <= value.length; cut++)
        expect(read(VERSIONS[type], value, { cuts: [cut] })).toEqual(whole)
      const everywhere = Array.from({ length: value.length }, (_, i) => i)
      expect(read(VERSIONS[type], value, { cuts: everywhere })).toEqual(whole)
    }
  })

  it('wants more of a value that is cut, at every byte', () => {
    for (const { type, encoded } of values) {
      const value = bytes(encoded)
      for (let size = 0; size < value.length; size++)
        expect(read(VERSIONS[type], value.subarray(0, size)).end).toBe('short')
    }
  })

  /** A stream of nothing but groups, of which nothing but their names are known. */
  const groups = (...names: Uint8Array[]) =>
    bytes([0, 0, 0, 0], len(names.length), ...names.map(name => [name, 0, 0, 0, 0]))

  it('finds groups of the same name, also of a long one', () => {
    const [long, other] = ['a', 'b'].map(end => str(`${'x'.repeat(1000)}${end}`))
    expect(read(1, groups(long, str('x'), other)).end).toBe('done')
    expect(read(1, groups(long, str('x'), other, long)).end).toMatch(/^rdb\.stream\.duplicate/)
  })

  it('takes no longer for names that begin alike, and are long only decompressed', () => {
    const target = new Uint8Array(1000)
    // A minute, if each was compared with all: longer than a test may take.
    const names = Array.from({ length: 8000 }, (_, i) => {
      const name = Buffer.from(`${'x'.repeat(20_000)}${i + 1000}`)
      const size = compressLzf(name, 0, name.length, target, 0)
      return bytes(0xc3, len(size), len(name.length), target.slice(0, size))
    })
    expect(read(1, groups(...names)).end).toBe('done')
  })

  it('passes over deleted entries, and gives fields with the names of the node or their own', () => {
    const value = bytes(
      len(1),
      node([7, 1], 2, 1, 1, 'n', 0, 2, 0, 0, 'first', 4, 3, 1, 0, 'gone', 4, 0, 2, 5, 2, 'a', 1, '', 'b', 8),
      [len(2), len(9), len(6), len(7), len(1), len(8), len(1), len(3), len(0)],
    )
    const { lines, odd, end } = read(2, value)
    expect([...odd, end]).toEqual(['done'])
    expect(lines).toEqual([
      ...['entry 7-1 1', 'field n first -1'],
      ...['entry 9-6 2', 'field a 1 -1', 'field  b -1'],
      'state 2 9-6 7-1 8-1 3',
    ])
  })

  it.each(DAMAGES)('says of a stream what is wrong: $name', ({ value, error, odd = [] }) => {
    const offset = 1000
    const result = read(2, value, { offset })
    const code = (text: string) => text.split(' ')[0]
    expect(code(result.end)).toBe(error ?? 'done')
    expect(result.odd.map(code)).toEqual(odd)
    for (const said of [...result.odd, ...(error === undefined ? [] : [result.end])]) {
      expect(Number(said.split(' ')[1])).toBeGreaterThanOrEqual(offset)
      expect(Number(said.split(' ')[1])).toBeLessThanOrEqual(offset + value.length)
    }
    // Who does not want to know what is odd is told the same otherwise.
    expect(read(2, value, { offset, look: false })).toEqual({ ...result, odd: [] })
    for (let cut = 0; cut <= value.length; cut++)
      expect(read(2, value, { offset, cuts: [cut] })).toEqual(result)
  })

  it('points at the element of a node that is wrong', () => {
    const value = bytes(len(1), node([1, 1], 1, 0, 1, 'f', 0, 'x', 0, 0, 'v', 4))
    // The count; 17 bytes of id; the length of the node; the head of the listpack, and five elements.
    expect(read(2, value, { offset: 100 }).end).toBe(
      `rdb.stream.node ${100 + 1 + 17 + 1 + 6 + 3 * 2 + 3 + 2}`,
    )
  })

  it('points at the pending entry that is not there', () => {
    const { value } = DAMAGES.find(({ error }) => error === 'rdb.stream.owned')!
    expect(read(2, value).end).toBe(`rdb.stream.owned ${value.length - 16}`)
  })

  it('says of many entries once that they are odd', () => {
    const entries = Array.from({ length: 50 }, () => [2, 0, 0, 'v', 9]).flat()
    const value = bytes(
      len(2),
      ...[node([1, 1], 50, 0, 1, 'f', 0, ...entries), node([2, 1], 50, 0, 1, 'f', 0, ...entries)],
      ...[len(100), len(2), len(1), len(1), len(1), len(0), len(0), len(100), len(0)],
    )
    expect(read(2, value).odd.map(text => text.split(' ')[0])).toEqual([
      'rdb.stream.lp-count',
      'rdb.stream.order',
    ])
  })

  it('knows what was handed back: it is pending, and of nobody', () => {
    const value = (owned: number[], nacked: number[]) =>
      bytes(
        ...[len(0), len(0), len(0), len(0), len(0), len(0), len(0), len(0), len(0)],
        ...[len(1), str('g'), len(0), len(0), len(0)],
        ...[len(2), [1, 2].map(seq => [rawId([0, seq]), Buffer.alloc(8), len(1)])],
        ...[len(1), str('c'), Buffer.alloc(16), len(owned.length), owned.map(seq => rawId([0, seq]))],
        ...[len(nacked.length), nacked.map(seq => rawId([0, seq]))],
        Buffer.alloc(5),
      )
    const said = (owned: number[], nacked: number[]) => {
      const { odd, end } = read(5, value(owned, nacked))
      return [...odd, end].map(text => text.split(' ')[0])
    }
    expect(said([1], [2])).toEqual(['done'])
    expect(said([1], [])).toEqual(['rdb.stream.unowned', 'done'])
    expect(said([1, 2], [2])).toEqual(['rdb.stream.owners', 'done'])
    expect(said([1], [3])).toEqual(['rdb.stream.owned'])
  })

  it('promises no more fields than a node has room for', () => {
    const entry = (fields: number) => one(1, 0, 0, 0, 0, 0, 0, fields, 'a', 'b', 6)
    expect(read(2, entry(3)).lines).toEqual(['entry 1-1 3', 'field a b -1'])
    expect(read(2, entry(3)).end).toMatch(/^rdb.stream.node /)
    expect(read(2, entry(1_000_000)).lines).toEqual([])
    expect(read(2, entry(1_000_000)).end).toMatch(/^rdb.stream.node /)
  })

  it('keeps nothing of a stream for the next', () => {
    const reader = new StreamReader()
    const once = (value: Uint8Array) =>
      stepped(odd => {
        reader.begin(2, odd)
        return reader
      }, value)
    for (const { value } of DAMAGES) {
      expect(once(value)).toEqual(read(2, value))
      once(value.subarray(0, value.length / 2))
      expect(once(value)).toEqual(read(2, value))
    }
  })

  it('sets nothing aside for what is only promised', () => {
    const before = process.memoryUsage().arrayBuffers
    const many = len(2n ** 40n)
    const heads = bytes(len(0), len(0), len(0), len(0), len(0), len(0), len(0), len(0), len(0))
    expect(read(2, bytes(many)).end).toBe('short')
    expect(read(2, bytes(heads, many)).end).toBe('short')
    expect(read(2, bytes(heads, len(1), str('g'), len(0), len(0), len(0), many)).end).toBe('short')
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1 << 20)
  })

  it('gives nothing but a FormatError for arbitrary bytes, and for sound ones with some changed', () => {
    const sources = values.map(({ type, encoded }) => ({ version: VERSIONS[type], value: bytes(encoded) }))
    fc.assert(
      fc.property(fc.constantFrom(1, 2, 3, 4, 5), fc.uint8Array({ maxLength: 100 }), (version, value) => {
        read(version as StreamVersion, value)
      }),
    )
    fc.assert(
      fc.property(
        fc.constantFrom(...sources),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        ({ version, value }, changes) => {
          const damaged = Buffer.from(value)
          for (const [at, byte] of changes) damaged[at % damaged.length] = byte
          read(version, damaged)
        },
      ),
      { numRuns: 2000 },
    )
  })
})

describe.each(fixtures())('the streams of $name', ({ bytes: file }) => {
  // What they hold is compared in fixtures.test.ts.
  it('have nothing odd, and are the same when they were written again', async () => {
    const { entries } = await walk(file)
    for (const { type, valueAt, end } of entries.filter(({ type }) => type in VERSIONS)) {
      const version = VERSIONS[type] as 1 | 2 | 3
      const encoded = file.subarray(valueAt, end)
      const whole = read(version, encoded)
      expect([...whole.odd, whole.end]).toEqual(['done'])
      expect(read(version, again(version, encoded)).lines).toEqual(whole.lines)
    }
  })
})

/** A stream, read and written. */
function again(version: 1 | 2 | 3, encoded: Uint8Array): Buffer {
  const output = new Output()
  const sink = new WritingSink(new StreamWriter(output), version)
  const reader = new StreamReader()
  reader.begin(version, undefined)
  stepped(() => ({ step: cursor => reader.step(cursor, sink) }), encoded)
  sink.writer.end()
  return output.take()
}

function answerOf(version: StreamVersion, value: Uint8Array): StreamAnswer {
  const reader = new StreamReader()
  reader.begin(version, undefined)
  const sink = new AnswerSink()
  sink.begin('stream', -1)
  stepped(() => ({ step: cursor => reader.step(cursor, sink) }), value)
  sink.end()
  return sink.take().value as StreamAnswer
}

/** Groups and consumers by name. */
function inOrder({ groups, ...rest }: StreamAnswer): StreamAnswer {
  return {
    ...rest,
    groups: groups.map(group => ({ ...group, consumers: [...group.consumers].sort(byName) })).sort(byName),
  }
}

interface Written {
  entries: { id: [bigint, bigint]; fields: [string, string][] }[]
  groups: {
    name: string
    last: [bigint, bigint]
    read: bigint
    pending: { id: [bigint, bigint]; at: bigint; deliveries: bigint; owner: number }[]
    consumers: { name: string; seen: bigint; active: bigint }[]
  }[]
  added: bigint
}

const slice = (text: string) => new Slice().set(Buffer.from(text, 'latin1'))
const isBefore = (a: [bigint, bigint], b: [bigint, bigint]) => a[0] < b[0] || (a[0] === b[0] && a[1] < b[1])

type Target = Pick<ElementSink, 'entry' | 'field' | 'state' | 'group' | 'pending' | 'consumer' | 'owned'>

/** Gives a stream to whoever takes its elements. */
function give({ entries, groups, added }: Written, target: Target): void {
  for (const { id, fields } of entries) {
    target.entry(...id, fields.length)
    for (const [name, value] of fields) target.field(slice(name), slice(value), -1n)
  }
  const [first, last] = [entries[0]?.id ?? [0n, 0n], entries.at(-1)?.id ?? [0n, 0n]]
  target.state({
    length: BigInt(entries.length),
    lastId: { ms: last[0], seq: last[1] },
    firstId: { ms: first[0], seq: first[1] },
    maxDeletedId: { ms: 0n, seq: 0n },
    entriesAdded: added + BigInt(entries.length),
  })
  for (const { name, last, read, pending, consumers } of groups) {
    target.group(slice(name), ...last, read)
    for (const { id, at, deliveries } of pending) target.pending(...id, at, deliveries)
    for (const [i, consumer] of consumers.entries()) {
      target.consumer(slice(consumer.name), consumer.seen, consumer.active)
      for (const { id, owner } of pending) if (owner % consumers.length === i) target.owned(...id)
    }
  }
}

function write(version: 1 | 2 | 3, stream: Written): Buffer {
  const output = new Output()
  const writer = new StreamWriter(output)
  writer.begin(version)
  give(stream, writer)
  writer.end()
  return output.take()
}

const uint64 = fc.oneof(
  fc.bigInt(0n, 20n),
  fc.bigInt(0n, 2n ** 64n - 1n),
  fc.bigInt(2n ** 53n - 2n, 2n ** 53n + 2n),
)
const id = fc.tuple(uint64, uint64)
const text = fc.oneof(
  fc.string({ maxLength: 5 }),
  fc.integer().map(String),
  fc.uint8Array({ maxLength: 90 }).map(array => Buffer.from(array).toString('latin1')),
)
const ids = (maxLength: number) =>
  fc
    .uniqueArray(id, { maxLength, selector: String })
    .map(list => list.sort((a, b) => (isBefore(a, b) ? -1 : 1)))
const names = fc.constantFrom<string[]>([], ['f'], ['f', 'g'], ['g', 'f'], ['1', '2', '3'])

const anyStream: fc.Arbitrary<Written> = fc.record({
  entries: fc.oneof({ weight: 4, arbitrary: ids(12) }, { weight: 1, arbitrary: ids(250) }).chain(list =>
    fc.tuple(
      ...list.map(id =>
        fc
          .oneof({ weight: 5, arbitrary: names }, { weight: 1, arbitrary: fc.array(text, { maxLength: 4 }) })
          .chain(names =>
            fc.record({
              id: fc.constant(id),
              fields: fc.tuple(...names.map(name => fc.tuple(fc.constant(name), text))),
            }),
          ),
      ),
    ),
  ) as fc.Arbitrary<Written['entries']>,
  groups: fc.uniqueArray(
    fc.record({
      name: text,
      last: id,
      read: fc.bigInt(-1n, 2n ** 62n),
      pending: ids(20).chain(list =>
        fc.tuple(
          ...list.map(id =>
            fc.record({
              id: fc.constant(id),
              at: fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n),
              // Servers show more as a negative number.
              deliveries: fc.bigInt(0n, 2n ** 63n - 1n),
              owner: fc.nat(10),
            }),
          ),
        ),
      ) as fc.Arbitrary<Written['groups'][number]['pending']>,
      consumers: fc.uniqueArray(
        fc.record({ name: text, seen: fc.bigInt(0n, 2n ** 45n), active: fc.bigInt(-1n, 2n ** 45n) }),
        { minLength: 1, maxLength: 4, selector: ({ name }) => name },
      ),
    }),
    { maxLength: 3, selector: ({ name }) => name },
  ),
  added: fc.bigInt(0n, 100n),
})

describe('StreamWriter', () => {
  it('writes what is read again as it was, in each version', () => {
    fc.assert(
      fc.property(anyStream, stream => {
        for (const version of [1, 2, 3] as const) {
          const value = write(version, stream)
          const { lines, odd, end, taken } = read(version, value)
          expect([...odd, end, taken]).toEqual(['done', value.length])
          expect(lines).toEqual(linesOf(version, stream))
        }
      }),
      { numRuns: 60 },
    )
  })

  it('begins a new node after 100 entries, and before 4096 bytes', () => {
    const nodes = (count: number, size: number) => {
      const entries = Array.from({ length: count }, (_, i) => ({
        id: [1n, BigInt(i)] as [bigint, bigint],
        fields: [['f', 'x'.repeat(size)]] as [string, string][],
      }))
      return write(3, { entries, groups: [], added: 0n })[0]
    }
    expect(nodes(100, 1)).toBe(1)
    expect(nodes(101, 1)).toBe(2)
    expect(nodes(3, 2000)).toBe(2)
    expect(nodes(3, 5000)).toBe(3)
  })

  it('refuses entries that do not rise: servers would find only some of them', () => {
    const writer = new StreamWriter(new Output())
    writer.begin(3)
    writer.entry(2n, 1n, 0)
    expect(() => writer.entry(2n, 1n, 0)).toThrow('the entry 2-1 does not come after 2-1')
    expect(() => writer.entry(1n, 5n, 0)).toThrow(RangeError)
    writer.begin(3)
    writer.entry(1n, 5n, 0)
  })

  it('keeps nothing of a stream for the next', () => {
    const output = new Output()
    const writer = new StreamWriter(output)
    const stream: Written = {
      entries: [{ id: [1n, 1n], fields: [['f', 'v']] }],
      groups: [{ name: 'g', last: [0n, 0n], read: 0n, pending: [], consumers: [] }],
      added: 0n,
    }
    writer.begin(3)
    give(stream, writer)
    writer.end()
    const first = output.take()
    // One that is given up.
    writer.begin(3)
    give({ ...stream, groups: [...stream.groups, { ...stream.groups[0], name: 'h' }] }, writer)
    writer.begin(3)
    give(stream, writer)
    writer.end()
    expect(output.take()).toEqual(first)
  })
})

/** What is to be read of a stream that was written. */
function linesOf(version: number, stream: Written): string[] {
  const lines: string[] = []
  const text = (slice: Slice) => Buffer.from(slice.copy()).toString('latin1')
  const { entries } = stream
  const old = version < 2
  give(stream, {
    entry: (ms, seq, fields) => lines.push(`entry ${ms}-${seq} ${fields}`),
    field: (name, value) => lines.push(`field ${text(name)} ${text(value)} -1`),
    state({ length, lastId, firstId, entriesAdded }) {
      const none = 2n ** 64n - 1n
      const first = old && entries.length === 0 ? { ms: none, seq: none } : firstId
      const added = old ? length : entriesAdded
      lines.push(`state ${length} ${lastId.ms}-${lastId.seq} ${first.ms}-${first.seq} 0-0 ${added}`)
    },
    group(name, ms, seq, read) {
      lines.push(`group ${text(name)} ${ms}-${seq} ${old ? guess(entries, [ms, seq]) : read}`)
    },
    pending: (ms, seq, at, deliveries) => lines.push(`pending ${ms}-${seq} ${at} ${deliveries}`),
    consumer: (name, seen, active) =>
      lines.push(`consumer ${text(name)} ${seen} ${version < 3 ? seen : active}`),
    owned: (ms, seq) => lines.push(`owned ${ms}-${seq}`),
  } as Partial<Target> as Target)
  return lines
}

function guess(entries: Written['entries'], id: [bigint, bigint]): bigint | number {
  const last = entries.at(-1)?.id
  if (last === undefined) return 0
  const first = entries[0].id
  if (String(id) === String(last)) return entries.length
  if (isBefore(last, id)) return -1
  if (isBefore(id, first)) return 0
  return String(id) === String(first) ? 1 : -1
}

describe.skipIf(SERVERS.length === 0)('a real server', () => {
  const OLD = [
    [0, 0],
    [1, 1],
    [2, 0],
    [2, 1],
    [3, 0],
    [4, 1],
    [5, 1],
    [9, 9],
  ] as const

  async function streamsOf(server: (typeof SERVERS)[number], file: Uint8Array) {
    const loaded = await server.load(file, { as: 'base' })
    try {
      if (!loaded.started) throw new Error(loaded.errors.join('; '))
      const ask: Ask = (...args) => loaded.query(...args)
      const answers = await askAll(ask, server.name, 1)
      return new Map(answers.map(({ key, value }) => [key, value as StreamAnswer]))
    } finally {
      await loaded.stop()
    }
  }

  describe.each(SERVERS)('%s', server => {
    it.each(DAMAGES)('loads a stream, or does not, as is said of it: $name', async ({ value, refused }) => {
      const file = rdb('REDIS0010', select(0), entry(19, 'k', value))
      const loaded = await server.load(file, { as: 'base' })
      await loaded.stop()
      const refuses = refused === 'all' || (refused !== 'none' && refused.includes(server.name))
      expect(loaded.crashed).toBe(false)
      expect(loaded.started).toBe(!refuses)
    })

    it('assumes what old streams leave out, as we do', async () => {
      const values = [oldStream([4, 1], OLD), oldStream([5, 1], OLD), oldStream([5, 1], OLD, false)]
      const file = rdb(
        'REDIS0009',
        select(0),
        values.map((value, i) => entry(15, `k${i}`, value)),
      )
      const answers = await streamsOf(server, file)
      for (const [i, value] of values.entries()) {
        const { groups, ...state } = answers.get(`k${i}`)!
        const { groups: ours, ...ourState } = answerOf(1, value)
        expect(ourState).toEqual(state)
        const read = (list: typeof groups) => list.map(({ name, entriesRead }) => [name, entriesRead])
        expect(read(ours).sort()).toEqual(read(groups).sort())
      }
    })

    it('finds in a stream that was written what we read of it', async () => {
      const streams = fc.sample(anyStream, { numRuns: 30, seed: 7 })
      const version = server.name === 'redis-7.0' ? 2 : 3
      const values = streams.map(stream => write(version, stream))
      const file = rdb(
        version === 2 ? 'REDIS0010' : 'REDIS0011',
        select(0),
        values.map((value, i) => entry(version === 2 ? 19 : 21, `k${i}`, value)),
      )
      const answers = await streamsOf(server, file)
      for (const [i, value] of values.entries()) {
        expect(inOrder(answerOf(version, value))).toEqual(inOrder(answers.get(`k${i}`)!))
      }
    })

    it('writes no more than we do for a stream from which much was deleted', async () => {
      const loaded = await server.load(rdb('REDIS0010'), {
        as: 'base',
        args: ['--rdbcompression', 'no', '--replicaof', 'no', 'one'],
      })
      try {
        const ask: Ask = (...args) => loaded.query(...args)
        for (let i = 1; i <= 1000; i++) await ask('XADD', 'k', `${i}-1`, 'field', `value ${i}`, 'n', i)
        for (let i = 1; i <= 1000; i += i % 3) await ask('XDEL', 'k', `${i}-1`)
        await ask('XGROUP', 'CREATE', 'k', 'g', 0)
        for (const name of ['a', 'b'])
          await ask('XREADGROUP', 'GROUP', 'g', name, 'COUNT', 100, 'STREAMS', 'k', '>')
        const dump = (await ask('DUMP', 'k')) as Buffer
        const version = VERSIONS[dump[0]] as 2 | 3
        const encoded = dump.subarray(1, -10)
        const written = again(version, encoded)
        expect(written.length).toBeLessThan(encoded.length)
        const { lines, odd } = read(version, written)
        expect(odd).toEqual([])
        expect(lines).toEqual(read(version, encoded).lines)
        expect(lines.filter(line => line.startsWith('owned'))).toHaveLength(200)
      } finally {
        await loaded.stop()
      }
    })

    it('begins a new node at the same byte', async () => {
      const loaded = await server.load(rdb('REDIS0010'), {
        as: 'base',
        args: ['--rdbcompression', 'no', '--replicaof', 'no', 'one'],
      })
      try {
        const sizes = new Set<number>()
        for (let size = 2040; size < 2080; size++) {
          const entries = [2000, size].map((size, i) => ({
            id: [1n, BigInt(i + 1)] as [bigint, bigint],
            fields: [['f', 'x'.repeat(size)]] as [string, string][],
          }))
          await loaded.query('DEL', 'k')
          for (const { id, fields } of entries) await loaded.query('XADD', 'k', id.join('-'), ...fields[0])
          const dump = (await loaded.query('DUMP', 'k')) as Buffer
          const version = VERSIONS[dump[0]] as 2 | 3
          expect(write(version, { entries, groups: [], added: 0n })).toEqual(dump.subarray(1, -10))
          sizes.add(dump[1])
        }
        expect([...sizes]).toEqual([1, 2])
      } finally {
        await loaded.stop()
      }
    })

    it('makes the same bytes of the same entries', async () => {
      const streams = fc.sample(anyStream, { numRuns: 30, seed: 11 }).filter(
        // XADD has no entries without fields, and none with the id 0-0.
        ({ entries }) =>
          entries.length > 0 &&
          entries.every(({ id, fields }) => fields.length > 0 && (id[0] > 0n || id[1] > 0n)),
      )
      expect(streams.length).toBeGreaterThan(5)
      const loaded = await server.load(rdb('REDIS0010'), {
        as: 'base',
        args: ['--rdbcompression', 'no', '--replicaof', 'no', 'one'],
      })
      try {
        for (const { entries } of streams) {
          await loaded.query('DEL', 'k')
          for (const { id, fields } of entries)
            await loaded.query(
              'XADD',
              'k',
              id.join('-'),
              ...fields.flat().map(text => Buffer.from(text, 'latin1')),
            )
          const dump = (await loaded.query('DUMP', 'k')) as Buffer
          const version = VERSIONS[dump[0]] as 2 | 3
          expect(write(version, { entries, groups: [], added: 0n })).toEqual(dump.subarray(1, -10))
        }
      } finally {
        await loaded.stop()
      }
    })
  })
})

function byName(a: { name: string }, b: { name: string }): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0
}

/** Passes a stream on to a writer. */
class WritingSink extends IgnoredElements {
  readonly writer: StreamWriter

  constructor(writer: StreamWriter, version: 1 | 2 | 3) {
    super()
    this.writer = writer
    writer.begin(version)
  }

  override entry(ms: bigint, seq: bigint, fields: number): void {
    this.writer.entry(ms, seq, fields)
  }
  override field(name: Slice, value: Slice): void {
    this.writer.field(name, value)
  }
  override state(state: StreamState): void {
    this.writer.state(state)
  }
  override group(name: Slice, lastMs: bigint, lastSeq: bigint, entriesRead: bigint): void {
    this.writer.group(name, lastMs, lastSeq, entriesRead)
  }
  override pending(ms: bigint, seq: bigint, deliveredAtMs: bigint, deliveries: bigint): void {
    this.writer.pending(ms, seq, deliveredAtMs, deliveries)
  }
  override consumer(name: Slice, seenAtMs: bigint, activeAtMs: bigint): void {
    this.writer.consumer(name, seenAtMs, activeAtMs)
  }
  override owned(ms: bigint, seq: bigint): void {
    this.writer.owned(ms, seq)
  }
}
