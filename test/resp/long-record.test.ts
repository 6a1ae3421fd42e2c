import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Source } from '../../src/bytes/source.ts'
import { Window } from '../../src/bytes/window.ts'
import { LongRecord } from '../../src/resp/long-record.ts'
import { RespReader } from '../../src/resp/reader.ts'
import { encode, PieceSource, scan } from '../helpers/chunks.ts'

/** Feeds a record by pieces of these sizes, what is left unused in front of the next, as a window does. */
function feedAll(bytes: Uint8Array, sizes: readonly number[], offset = 0): LongRecord {
  const record = new LongRecord(offset)
  let used = 0
  let end = 0
  for (let i = 0; !record.done && record.error === undefined; i++) {
    const final = end === bytes.length
    end = Math.min(bytes.length, end + sizes[i % sizes.length])
    // A copy: nothing may be kept of a buffer that is used again.
    const buffer = Uint8Array.from(bytes.subarray(used, end))
    used += record.feed(buffer, 0, buffer.length, final, offset + used)
    buffer.fill(0x2a)
  }
  return record
}

const positions = ({ start, length, kept }: LongRecord) =>
  Array.from({ length: kept }, (_, i) => [start[i], length[i]])

interface Piece {
  /** Bytes, or how many of no matter which. */
  readonly content: Uint8Array | number
}

/** A source of gigabytes that costs nothing: of the bytes that do not matter only the number is given. */
function lazySource(pieces: readonly Piece[]): Source {
  let index = 0
  let done = 0
  return {
    name: 'lazy',
    size: undefined,
    seekable: false,
    async read(target, from, to) {
      let at = from
      while (index < pieces.length && at < to) {
        const { content } = pieces[index]
        const size = typeof content === 'number' ? content : content.length
        const count = Math.min(size - done, to - at)
        if (typeof content !== 'number') target.set(content.subarray(done, done + count), at)
        at += count
        done += count
        if (done === size) {
          index++
          done = 0
        }
      }
      return at - from
    },
    readAt: async () => 0,
    grow: async () => false,
    close: async () => {},
  }
}

const text = (content: string): Piece => ({ content: Buffer.from(content, 'latin1') })
const any = (content: number): Piece => ({ content })

describe('a record larger than the window', () => {
  it('has its positions whatever the pieces that it comes in', () => {
    const argument = fc.uint8Array({ maxLength: 60 })
    fc.assert(
      fc.property(
        fc.array(argument, { minLength: 1, maxLength: 100 }),
        fc.array(fc.integer({ min: 1, max: 70 }), { minLength: 1, maxLength: 9 }),
        fc.constantFrom(0, 17, 2 ** 33 + 1),
        (args, sizes, offset) => {
          const bytes = encode(...args)
          const record = feedAll(bytes, sizes, offset)
          expect(record).toMatchObject({
            done: true,
            error: undefined,
            offset,
            argc: args.length,
            count: args.length,
          })
          expect(record.end).toBe(offset + bytes.length)
          expect(record.oddities).toEqual([])
          let at = offset + `*${args.length}\r\n`.length
          const expected = args.map(arg => {
            const start = at + `$${arg.length}\r\n`.length
            at = start + arg.length + 2
            return [start, arg.length]
          })
          expect(positions(record)).toEqual(expected)
          expect(Buffer.from(record.head)).toEqual(bytes)
        },
      ),
    )
  })

  it('ends where it ends, whatever follows', () => {
    const record = encode('SET', 'k', 'value')
    const more = Buffer.concat([record, encode('DEL', 'k')])
    const long = new LongRecord(0)
    expect(long.feed(more, 0, more.length, true, 0)).toBe(record.length)
    expect([long.done, long.end, long.head.length]).toEqual([true, record.length, record.length])
  })

  it('gives the same error at the same place as a record within the window, wherever it is cut', async () => {
    const log = Buffer.concat([encode('PING'), encode('SET', 'key', 'x'.repeat(150), 'NX')])
    for (let cut = encode('PING').length; cut < log.length; cut++) {
      const whole = await scan(new PieceSource([log.subarray(0, cut)]), 1 << 12)
      for (const chunk of [24, 40, 100]) {
        const long = await scan(new PieceSource([log.subarray(0, cut)]), chunk)
        expect([long.stop, long.end], `cut at ${cut}, window of ${chunk}`).toEqual([whole.stop, whole.end])
      }
    }
  })

  it('says how large a torn argument is, and how much of it is missing', async () => {
    const bytes = encode('SET', 'k', 'x'.repeat(1000)).subarray(0, -302)
    const reader = new RespReader(new Window(new PieceSource([bytes]), 64))
    expect(await reader.next()).toBeUndefined()
    expect(reader.error).toMatchObject({
      kind: 'torn',
      offset: bytes.indexOf('$1000'),
      message: 'an argument of 1000 bytes needs 302 more than there are',
    })
    expect([reader.offset, reader.broken?.offset, reader.broken?.count]).toEqual([0, 0, 2])
  })

  it.each([
    ['resp.bulk.type', '?'],
    ['resp.bulk.length', '$-1\r\n'],
  ])('ends at %s, with what is at hand of it', async (code, wrong) => {
    const before = `*3\r\n$3\r\nSET\r\n$150\r\n${'x'.repeat(150)}\r\n`
    const reader = new RespReader(new Window(new PieceSource([Buffer.from(before + wrong)]), 64))
    expect(await reader.next()).toBeUndefined()
    expect(reader.error).toMatchObject({ kind: 'corrupt', code, offset: before.length })
    expect([reader.offset, Buffer.from(reader.broken?.head ?? []).toString()]).toEqual([0, before])
  })

  it('notes each oddity once, whatever the pieces', () => {
    const bytes = Buffer.from(`*+3\r\n$3\r\nSETxx$+1\r\nk\r\n$100\n${'v'.repeat(100)}\n\n`)
    const expected = ['$3', 'xx', '$+1', '$100', '\n\n'].slice(1).map(odd => bytes.indexOf(odd))
    for (let size = 1; size < bytes.length; size++) {
      const { oddities, done } = feedAll(bytes, [size])
      expect(done).toBe(true)
      expect(oddities.map(({ offset }) => offset)).toEqual([0, ...expected])
      expect(oddities.map(({ code }) => code.split('.')[1])).toEqual([
        'header',
        'bulk',
        'header',
        'header',
        'bulk',
      ])
    }
  })

  it('notes no more oddities than anybody reads', () => {
    const bytes = Buffer.from(`*5000\r\n${'$1\r\nxab'.repeat(5000)}`)
    const { oddities, done } = feedAll(bytes, [1000])
    expect(done).toBe(true)
    expect(oddities).toHaveLength(1000)
  })
})

describe('the head of a long record', () => {
  it('is its first 64 KiB, and a batch of the arguments that are whole in it', () => {
    const bytes = encode('SET', 'key', 'a'.repeat(65_000), 'b'.repeat(2000), 'c')
    for (const sizes of [[bytes.length], [1000], [70_000, 1]]) {
      const record = feedAll(bytes, sizes, 500)
      expect(bytes.subarray(0, 1 << 16).equals(record.head)).toBe(true)
      const batch = record.asBatch()
      expect([batch.count, batch.offset(0), batch.argc(0)]).toEqual([1, 500, 3])
      const args = [0, 1, 2].map(a =>
        Buffer.from(batch.bytes).toString('latin1', batch.start[a], batch.start[a] + batch.length[a]),
      )
      expect(args).toEqual(['SET', 'key', 'a'.repeat(65_000)])
    }
  })

  it('may not even hold the name', () => {
    const batch = feedAll(encode('x'.repeat(70_000), 'k'), [5000]).asBatch()
    expect([batch.count, batch.argc(0)]).toEqual([1, 0])
  })

  it('has room for the shortest arguments', () => {
    const record = feedAll(Buffer.from(`*30000\n${'$\n..'.repeat(30_000)}`), [1 << 15])
    const batch = record.asBatch()
    expect(batch.argc(0)).toBe(Math.floor(((1 << 16) - 7 - 2) / 4) + 1)
    expect(batch.start[batch.argc(0) - 1]).toBeGreaterThan((1 << 16) - 8)
  })
})

describe('records of gigabytes', () => {
  it('have exact offsets, and so has what follows, beyond 2^31 and 2^32', async () => {
    const first = '*3\r\n$3\r\nSET\r\n$1\r\na\r\n$5000000000\r\n'
    const second = '*2\r\n$4\r\nECHO\r\n$2\r\nhi\r\n'
    const third = '*3\r\n$6\r\nAPPEND\r\n$1\r\na\r\n$2147483649\r\n'
    const source = lazySource([
      text(first),
      any(5e9),
      text(`\r\n${second}${third}`),
      any(2 ** 31 + 1),
      text('xx!'),
    ])
    const reader = new RespReader(new Window(source, 1 << 20))

    let batch = await reader.next()
    expect(batch?.count).toBe(0)
    expect(positions(reader.long!)).toEqual([
      [8, 3],
      [17, 1],
      [first.length, 5_000_000_000],
    ])
    const secondAt = first.length + 5e9 + 2
    expect([reader.long?.end, reader.offset]).toEqual([secondAt, secondAt])

    batch = await reader.next()
    expect([reader.long, batch?.count, batch?.offset(0), batch?.argc(0)]).toEqual([undefined, 1, secondAt, 2])
    const thirdAt = secondAt + second.length
    expect(reader.offset).toBe(thirdAt)

    await reader.next()
    const value = thirdAt + third.length
    expect(reader.long).toMatchObject({ offset: thirdAt, kept: 3, end: value + 2 ** 31 + 3 })
    expect(positions(reader.long!)[2]).toEqual([value, 2 ** 31 + 1])
    expect(reader.long?.oddities).toEqual([
      { code: 'resp.bulk.terminator', offset: value + 2 ** 31 + 1, length: 2 },
    ])

    expect(await reader.next()).toBeUndefined()
    expect(reader.error).toMatchObject({ code: 'resp.record.type', offset: value + 2 ** 31 + 3 })
  })

  it('are torn with exact figures', async () => {
    const header = '*2\r\n$4\r\nECHO\r\n$70000000000\r\n'
    const reader = new RespReader(new Window(lazySource([text(header), any(5e9)]), 1 << 20))
    expect(await reader.next()).toBeUndefined()
    expect(reader.error).toMatchObject({
      kind: 'torn',
      offset: header.indexOf('$7'),
      message: `an argument of 70000000000 bytes needs ${65e9 + 2} more than there are`,
    })
    expect(reader.offset).toBe(0)
  })

  it('are millions of arguments in bounded memory: positions of the first million are kept', async () => {
    const count = 1_300_000
    const argument = Buffer.from('$1\r\nx\r\n'.repeat(100_000))
    const pieces = Array.from({ length: 13 }, () => ({ content: argument }))
    const reader = new RespReader(
      new Window(lazySource([text(`*${count}\r\n`), ...pieces, text('*1\r\n$4\r\nPING\r\n')]), 1 << 16),
    )
    const before = process.memoryUsage().arrayBuffers
    expect((await reader.next())?.count).toBe(0)
    const record = reader.long!
    expect(record).toMatchObject({ argc: count, count, kept: 1 << 20, done: true })
    expect(record.start.length).toBe(1 << 20)
    expect([record.start[0], record.start[1e6], record.length[1e6]]).toEqual([14, 14 + 7e6, 1])
    // Two numbers of eight bytes for each argument that is kept, and what that grew from.
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(48 << 20)
    expect((await reader.next())?.offset(0)).toBe(10 + 7 * count)
  })
})
