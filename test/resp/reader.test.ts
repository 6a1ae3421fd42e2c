import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encode, everySplit, PieceSource, scan } from '../helpers/chunks.ts'

const text = (value: string) => Buffer.from(value, 'latin1')
const whole = (value: string | Uint8Array) =>
  scan(new PieceSource([typeof value === 'string' ? text(value) : value]), 1 << 16)

const LOG = Buffer.concat([
  encode('SELECT', '0'),
  text('#TS:1700000000\r\n'),
  encode('SET', 'k', 'a value of more than ten bytes'),
  encode('SET', '', Uint8Array.of(0, 255, 13, 10, 42)),
  encode('MULTI'),
  encode('RPUSH', 'list', ...Array.from({ length: 12 }, (_, i) => `${i}`)),
  encode('EXEC'),
])

describe('reading what servers write', () => {
  it('finds the same records at the same offsets wherever the input is split', async () => {
    const expected = await whole(LOG)
    expect(expected.records.map(record => record.args[0] ?? record.annotation)).toEqual([
      'SELECT',
      '#TS:1700000000\r\n',
      'SET',
      'SET',
      'MULTI',
      'RPUSH',
      'EXEC',
    ])
    expect(expected.records[3].args).toEqual(['SET', '', '\x00\xff\r\n*'])
    expect(expected.records[5].args).toHaveLength(14)
    expect(expected).toMatchObject({ oddities: [], stop: undefined, end: LOG.length })
    for (const record of expected.records)
      expect(LOG[record.offset]).toBe(record.args.length === 0 ? 0x23 : 0x2a)
    for (const pieces of everySplit(LOG))
      expect(await scan(new PieceSource(pieces), 1 << 10)).toEqual(expected)
  })

  it('gives records larger than the window by their positions, whatever the window', async () => {
    const log = Buffer.concat([encode('SET', 'a', 'x'.repeat(300)), encode('DEL', 'a')])
    const at = (needle: string) => log.indexOf(needle)
    for (let chunk = 40; chunk < 400; chunk++) {
      const result = await scan(new PieceSource([log]), chunk)
      expect(result.end).toBe(log.length)
      expect(result.records).toHaveLength(2)
      expect(result.records[1].offset).toBe(at('*2'))
      const [first] = result.records
      if (first.args[0] !== 'SET') {
        expect(first.args).toEqual([`${at('SET')}+3`, `${at('a\r\n')}+1`, `${at('xxx')}+300`])
      }
    }
  })

  it('reads back any commands, in any pieces, through any window', async () => {
    const argument = fc.uint8Array({ maxLength: 40 })
    const command = fc.array(argument, { minLength: 1, maxLength: 6 })
    await fc.assert(
      fc.asyncProperty(
        fc.array(command, { maxLength: 12 }),
        fc.integer({ min: 24, max: 600 }),
        fc.infiniteStream(fc.integer({ min: 1, max: 90 })),
        async (commands, chunk, sizes) => {
          const log = Buffer.concat(commands.map(args => encode(...args)))
          const pieces: Uint8Array[] = []
          for (let at = 0; at < log.length; ) {
            const size = sizes.next().value as number
            pieces.push(log.subarray(at, at + size))
            at += size
          }
          const result = await scan(new PieceSource(pieces), chunk)
          expect(result.stop).toBeUndefined()
          expect(result.end).toBe(log.length)
          expect(result.records).toHaveLength(commands.length)
          let offset = 0
          for (const [i, args] of commands.entries()) {
            expect(result.records[i].offset).toBe(offset)
            const shown = result.records[i].args
            if (!/^\d+\+\d+$/.test(shown[0])) {
              expect(shown).toEqual(args.map(arg => Buffer.from(arg).toString('latin1')))
            }
            offset += encode(...args).length
          }
        },
      ),
    )
  })
})

describe('the end of the input', () => {
  it('calls every cut inside a record torn, and keeps the records before it', async () => {
    const expected = await whole(LOG)
    const boundaries = new Set([...expected.records.map(record => record.offset), LOG.length])
    for (let cut = 0; cut <= LOG.length; cut++) {
      for (const chunk of [40, 1 << 10]) {
        const result = await scan(new PieceSource([LOG.subarray(0, cut)]), chunk)
        const boundary = Math.max(...[...boundaries].filter(offset => offset <= cut))
        expect(result.end, `cut at ${cut}`).toBe(boundary)
        expect(result.stop?.kind, `cut at ${cut}`).toBe(cut === boundary ? undefined : 'torn')
      }
    }
  })

  it('looks at a torn end once more, and stops at the first boundary behind the old size', async () => {
    const [first, second, third] = [encode('SET', 'k', 'v'), encode('DEL', 'k'), encode('DEL', 'x')]
    for (const chunk of [16, 1 << 10]) {
      const source = new PieceSource([first, second.subarray(0, 9)])
      source.later = [Buffer.concat([second.subarray(9), third])]
      const result = await scan(source, chunk)
      expect(result.records).toHaveLength(2)
      expect(result).toMatchObject({ stop: undefined, end: first.length + second.length })
    }
  })

  it('still calls an end torn that has grown without becoming whole', async () => {
    const source = new PieceSource([encode('SET', 'k', 'v').subarray(0, 9)])
    source.later = [encode('SET', 'k', 'v').subarray(9, 12)]
    expect((await scan(source, 1 << 10)).stop?.kind).toBe('torn')
  })
})

// Each line was tried on redis 7.0.15, redis 8.0.6, valkey 8.1.1 and valkey 9.1.2 (test/servers/framing.test.ts).
describe('what servers read although no server writes it', () => {
  it.each([
    ['a sign', '*+1\r\n$+4\r\nPING\r\n', ['PING'], 'resp.header.form'],
    ['spaces', '* 1\r\n$ 4\r\nPING\r\n', ['PING'], 'resp.header.form'],
    ['leading zeros', '*001\r\n$004\r\nPING\r\n', ['PING'], 'resp.header.form'],
    ['no number as an empty argument', '*2\r\n$4\r\nECHO\r\n$\r\n\r\n', ['ECHO', ''], 'resp.header.form'],
    ['a negative zero', '*2\r\n$4\r\nECHO\r\n$-0\r\n\r\n', ['ECHO', ''], 'resp.header.form'],
    // check-aof refuses these.
    ['something behind the number', '*1x\r\n$4y\r\nPING\r\n', ['PING'], 'resp.header.line'],
    ['LF alone behind a header', '*1\n$4\nPING\r\n', ['PING'], 'resp.header.line'],
    ['a NUL behind the number', '*1\x00\r\n$4\r\nPING\r\n', ['PING'], 'resp.header.line'],
    ['a count that wraps around 32 bits', '*4294967297\r\n$4\r\nPING\r\n', ['PING'], 'resp.header.line'],
  ])('loads %s, and notes it', async (_, log, args, code) => {
    for (const pieces of everySplit(text(log))) {
      const result = await scan(new PieceSource(pieces), 1 << 10)
      expect(result.stop).toBeUndefined()
      expect(result.records.map(record => record.args)).toEqual([args])
      expect(new Set(result.oddities.map(oddity => oddity.code))).toEqual(new Set([code]))
    }
  })

  it('passes over two wrong bytes behind an argument, and notes where they stand', async () => {
    const log = '*1\r\n$4\r\nPINGxx*1\r\n$4\r\nPING\r\n'
    for (const pieces of everySplit(text(log))) {
      const result = await scan(new PieceSource(pieces), 1 << 10)
      expect(result.records).toHaveLength(2)
      expect(result.oddities).toEqual([{ code: 'resp.bulk.terminator', offset: log.indexOf('xx') }])
    }
  })

  it('goes on behind 1,023 bytes of an annotation as if a new line began', async () => {
    const log = `${'#'.repeat(3000)}\r\n*1\r\n$4\r\nPING\r\n`
    const result = await whole(log)
    expect(result.stop).toBeUndefined()
    expect(result.records.at(-1)).toEqual({ offset: 3002, args: ['PING'] })
  })
})

describe('what no server reads', () => {
  it.each([
    ['resp.record.type', '\xef\xbb\xbf*1\r\n$4\r\nPING\r\n', 0],
    ['resp.record.type', '*1\r\n$4\r\nPING\r\n\0\0\0\0', 14],
    ['resp.record.type', 'SET a b\r\n', 0],
    ['resp.record.argc', '*0\r\n', 0],
    ['resp.record.argc', '*-1\r\n', 0],
    ['resp.record.argc', '*\r\n', 0],
    ['resp.record.argc', '*4294967296\r\n', 0],
    ['resp.record.argc', '*9223372036854775808\r\n', 0],
    ['resp.bulk.type', '*2\r\n$4\r\nPING\r\n*1\r\n$4\r\nPING\r\n', 14],
    ['resp.bulk.length', '*1\r\n$-1\r\n', 4],
    ['resp.bulk.length', '*1\r\n$9223372036854775807\r\n', 4],
    ['resp.annotation.length', `#${'x'.repeat(1030)}\r\n`, 0],
  ])('stops at %s in %j', async (code, log, offset) => {
    for (const pieces of everySplit(text(log.length > 1000 ? log.slice(0, 1040) : log))) {
      const result = await scan(new PieceSource(pieces), 1 << 12)
      expect(result.stop).toEqual({ kind: 'corrupt', code, offset })
    }
  })

  it('asks for no memory on the word of a length or a count', async () => {
    const before = process.memoryUsage().arrayBuffers
    for (const log of ['*1\r\n$99999999999\r\nx', '*2147483647\r\n$1\r\nx\r\n$1\r\n']) {
      const result = await scan(new PieceSource([text(log)]), 1 << 10)
      expect(result.stop?.kind).toBe('torn')
    }
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1 << 22)
  })

  it('ends with a typed error or a clean end on any bytes, through any window', async () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc
        .array(fc.constantFrom('*', '$', '#', '1', '2', '3', '-', '\r', '\n', '\r\n', 'a', '\0', ' '), {
          maxLength: 90,
        })
        .map(pieces => text(pieces.join(''))),
    )
    await fc.assert(
      fc.asyncProperty(bytes, fc.integer({ min: 24, max: 300 }), async (input, chunk) => {
        const small = await scan(new PieceSource([input]), chunk)
        const large = await scan(new PieceSource([input]), 1 << 12)
        expect(small.end).toBe(large.end)
        expect(small.stop).toEqual(large.stop)
        expect(small.oddities).toEqual(large.oddities)
        expect(small.records.map(record => record.offset)).toEqual(large.records.map(record => record.offset))
      }),
      { numRuns: 500 },
    )
  })
})
