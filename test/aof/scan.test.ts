import { describe, expect, it } from 'vitest'
import { type PartEnd, type PartVisitor, scanPart } from '../../src/aof/scan.ts'
import { corrupt, JobError } from '../../src/bytes/errors.ts'
import { BufferSource, type Source } from '../../src/bytes/source.ts'
import { Window } from '../../src/bytes/window.ts'
import { encode, everySplit, PieceSource } from '../helpers/chunks.ts'
import { aux, entry, rdb, select, str } from '../rdb/build.ts'

interface Scanned {
  end: PartEnd
  /** What the visitor was told: kinds of RDB events with their keys, names of commands with their offsets. */
  events: string[]
  progress: number[]
}

async function scan(
  source: Source,
  { chunk = 1 << 12, until = Number.POSITIVE_INFINITY }: { chunk?: number; until?: number } = {},
): Promise<Scanned> {
  const events: string[] = []
  const progress: number[] = []
  const visitor: PartVisitor = {
    async rdb(event) {
      if (event.kind !== 'entries') events.push(event.kind)
      else {
        for (let i = 0; i < event.entries.count; i++)
          events.push(`${event.entries.db}/${Buffer.from(event.entries.keyBytes(i) as Uint8Array)}`)
      }
    },
    records(batch) {
      for (let i = 0; i < batch.count; i++) {
        const a = batch.first[i]
        const name =
          batch.argc(i) === 0
            ? '#'
            : Buffer.from(batch.bytes.slice(batch.start[a], batch.start[a] + batch.length[a]))
        events.push(`${name}@${batch.offset(i)}`)
      }
    },
    async long(record) {
      events.push(`long@${record.offset}-${record.end}`)
    },
    progress(offset) {
      progress.push(offset)
      return progress.length >= until
    },
  }
  const end = await scanPart(source, visitor, { databases: 16, window: new Window(source, chunk) })
  return { end, events, progress }
}

const LOG = Buffer.concat([
  encode('SELECT', '0'),
  Buffer.from('#TS:17\r\n'),
  encode('SET', 'k', 'v'),
  encode('DEL', 'k'),
])
const RDB = rdb(
  'REDIS0011',
  aux('redis-ver', '7.2.0'),
  select(0),
  entry(0, 'a', str('1')),
  select(3),
  entry(0, 'b', str('2')),
)
const RDB_EVENTS = ['header', 'aux', 'select', '0/a', 'select', '3/b']

describe('reading a part', () => {
  it('gives commands with their offsets, and where they end', async () => {
    const second = encode('SELECT', '0').length
    const third = second + 8
    const fourth = third + encode('SET', 'k', 'v').length
    for (const pieces of everySplit(LOG)) {
      const { end, events } = await scan(new PieceSource(pieces))
      expect(events).toEqual(['SELECT@0', `#@${second}`, `SET@${third}`, `DEL@${fourth}`])
      expect(end).toMatchObject({
        format: 'resp',
        offset: LOG.length,
        preambleEnd: 0,
        size: LOG.length,
        error: undefined,
      })
      expect(end.rest).toHaveLength(0)
    }
  })

  it('gives what a preamble holds, then the commands behind it, wherever the input is split', async () => {
    const bytes = Buffer.concat([RDB, LOG])
    const commands = (await scan(new BufferSource(LOG))).events.map(event =>
      event.replace(/\d+$/, offset => `${Number(offset) + RDB.length}`),
    )
    for (const pieces of everySplit(bytes)) {
      const { end, events } = await scan(new PieceSource(pieces))
      expect(events.filter(event => event !== 'end')).toEqual([...RDB_EVENTS, ...commands])
      expect(end).toMatchObject({
        format: 'rdb+resp',
        offset: bytes.length,
        preambleEnd: RDB.length,
        size: bytes.length,
        error: undefined,
      })
    }
  })

  it('knows an RDB without commands, and the other magic', async () => {
    for (const bytes of [RDB, rdb('VALKEY080', select(0), entry(0, 'a', str('1')))]) {
      for (const pieces of everySplit(bytes)) {
        const { end } = await scan(new PieceSource(pieces))
        expect(end).toMatchObject({
          format: 'rdb',
          offset: bytes.length,
          preambleEnd: bytes.length,
          error: undefined,
        })
      }
    }
  })

  it('knows an empty part', async () => {
    const { end, events } = await scan(new BufferSource(new Uint8Array(0)))
    expect(end).toMatchObject({ format: 'resp', offset: 0, preambleEnd: 0, size: 0, error: undefined })
    expect(events).toEqual([])
  })

  it('takes less than a magic for a record that is wrong', async () => {
    for (const text of ['R', 'REDI', 'VALKE', 'REDIX0011', 'redis0011']) {
      for (const pieces of everySplit(Buffer.from(text))) {
        const { end } = await scan(new PieceSource(pieces))
        expect(end).toMatchObject({
          format: 'resp',
          offset: 0,
          error: { code: 'resp.record.type', offset: 0 },
        })
        // As much as came before the error was met.
        expect(end.rest.length).toBeGreaterThan(0)
        expect(text).toMatch(Buffer.from(end.rest).toString())
      }
    }
  })
})

describe('the end of a part', () => {
  it('is the last whole record, with the error and what there is of the one that is wrong', async () => {
    for (const before of [new Uint8Array(0), RDB]) {
      const bytes = Buffer.concat([before, LOG, Buffer.from('*1\r\n$4\r\nPI')])
      const { end } = await scan(new BufferSource(bytes))
      expect(end).toMatchObject({
        format: before.length === 0 ? 'resp' : 'rdb+resp',
        offset: before.length + LOG.length,
        preambleEnd: before.length,
        size: bytes.length,
        error: { kind: 'torn', code: 'resp.torn.bulk' },
      })
      expect(Buffer.from(end.rest).toString()).toBe('*1\r\n$4\r\nPI')
    }
  })

  it('has the size of the whole part, also when reading ended long before', async () => {
    const bytes = Buffer.concat([LOG, Buffer.from('?'), Buffer.alloc(100_000, LOG)])
    expect((await scan(new BufferSource(bytes), { chunk: 1 << 11 })).end).toMatchObject({
      offset: LOG.length,
      size: bytes.length,
    })
  })

  it('hands out 64 KiB of a broken record, no more', async () => {
    const value = 'x'.repeat(200_000)
    const bytes = Buffer.concat([LOG, encode('SET', 'k', value).subarray(0, -1)])
    for (const chunk of [1 << 11, 1 << 20]) {
      const { end } = await scan(new BufferSource(bytes), { chunk })
      expect(end).toMatchObject({ offset: LOG.length, error: { code: 'resp.torn.bulk' } })
      expect(bytes.subarray(LOG.length, LOG.length + (1 << 16)).equals(end.rest)).toBe(true)
    }
  })

  it('inside an RDB is where its last whole entry ends, and no preamble', async () => {
    for (let cut = RDB.indexOf('a') + 4; cut < RDB.length; cut++) {
      const { end } = await scan(new BufferSource(RDB.subarray(0, cut)))
      expect(end).toMatchObject({ format: 'rdb', preambleEnd: 0, size: cut })
      expect(end.error).toBeDefined()
      expect(end.offset).toBeLessThanOrEqual(cut)
    }
  })

  it('is met again after a look whether a torn end has grown', async () => {
    const source = new PieceSource([LOG, encode('SET', 'x', 'y').subarray(0, 10)])
    source.later = [encode('SET', 'x', 'y').subarray(10)]
    const { end } = await scan(source)
    expect(end).toMatchObject({ error: undefined, offset: LOG.length + encode('SET', 'x', 'y').length })
  })

  it('is the error of what decompresses, after all that came before it', async () => {
    const pieces = [LOG, LOG.subarray(0, 5)]
    const source: Source = {
      name: 'gz',
      size: undefined,
      seekable: false,
      async read(target, from) {
        const piece = pieces.shift()
        if (piece === undefined) throw corrupt('gzip.data', 7, 'damaged')
        target.set(piece, from)
        return piece.length
      },
      readAt: async () => 0,
      grow: async () => false,
      close: async () => {},
    }
    const { end, events } = await scan(source)
    expect(events).toHaveLength(4)
    expect(end).toMatchObject({
      offset: LOG.length,
      size: LOG.length + 5,
      error: { code: 'gzip.data', offset: 7 },
    })
  })

  it('is no finding when the system fails: that error is thrown', async () => {
    const source = new BufferSource(LOG)
    source.read = async () => {
      throw new JobError('system.eio', 'broken disk')
    }
    await expect(scan(source)).rejects.toThrow('broken disk')
  })
})

describe('records larger than the window', () => {
  it('are given as such, in their order', async () => {
    const bytes = Buffer.concat([LOG, encode('SET', 'k', 'x'.repeat(5000)), LOG])
    const { end, events } = await scan(new BufferSource(bytes), { chunk: 1 << 11 })
    const at = LOG.length
    const next = bytes.length - LOG.length
    expect(events.slice(4, 6)).toEqual([`long@${at}-${next}`, `SELECT@${next}`])
    expect(end).toMatchObject({ offset: bytes.length, error: undefined })
  })
})

describe('progress', () => {
  const many = Buffer.concat(Array.from({ length: 600 }, (_, i) => encode('SET', `key:${i}`, 'value')))
  const entries = rdb(
    'REDIS0011',
    select(0),
    ...Array.from({ length: 2000 }, (_, i) => entry(0, `key:${i}`, str('some value'))),
  )

  it('is told once a window, with rising offsets', async () => {
    for (const bytes of [many, entries, Buffer.concat([entries, many])]) {
      const { progress } = await scan(new BufferSource(bytes), { chunk: 1 << 11 })
      expect(progress.length).toBeGreaterThan(bytes.length / (1 << 11) / 2)
      expect(progress.length).toBeLessThan((bytes.length / (1 << 11)) * 2)
      expect(progress).toEqual([...progress].sort((a, b) => a - b))
      expect(progress.at(-1)).toBeLessThanOrEqual(bytes.length)
    }
  })

  it('can end the reading among commands, at a boundary and without an error', async () => {
    const { end, events } = await scan(new BufferSource(many), { chunk: 1 << 11, until: 3 })
    expect(end.error).toBeUndefined()
    expect(end.offset).toBeLessThan(many.length)
    expect(events).toHaveLength(many.subarray(0, end.offset).toString().split('SET').length - 1)
  })

  it('can end the reading inside an RDB, without an error: what follows is not taken for commands', async () => {
    for (const bytes of [entries, Buffer.concat([entries, many])]) {
      const { end, events, progress } = await scan(new BufferSource(bytes), { chunk: 1 << 11, until: 2 })
      expect(end.error).toBeUndefined()
      expect(progress).toHaveLength(2)
      expect(events.length).toBeLessThan(1000)
      expect(events.filter(event => event.includes('@'))).toEqual([])
    }
  })
})
