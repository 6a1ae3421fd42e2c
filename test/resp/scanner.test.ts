import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FormatError } from '../../src/bytes/errors.ts'
import { Batch, readHeader, Scanner, Stop, tornBulk } from '../../src/resp/scanner.ts'
import { encode } from '../helpers/chunks.ts'

/** Bytes behind the end that the scanner may look at. */
const SLACK = 64

/** `bytes` with room behind, filled with what a window has there: anything. */
function padded(bytes: Uint8Array, behind: Uint8Array | number = 0): Buffer {
  const buffer = Buffer.alloc(bytes.length + SLACK, behind as Uint8Array)
  buffer.set(bytes)
  return buffer
}

interface Result {
  records: (string[] | string)[]
  offsets: number[]
  oddities: string[]
  stop: Stop
  end: number
  error?: { code: string; offset: number; kind: string }
}

function scanAll(buffer: Buffer, end: number, final: boolean, base = 0): Result {
  const scanner = new Scanner()
  const batch = new Batch(end + SLACK)
  batch.clear(buffer, base)
  const next = scanner.scan(batch, 0, end, final)
  const text = (from: number, to: number) => buffer.toString('latin1', from, to)
  const result: Result = { records: [], offsets: [], oddities: [], stop: scanner.stop, end: next }
  for (let i = 0; i < batch.count; i++) {
    result.offsets.push(batch.offset(i))
    const args = Array.from({ length: batch.argc(i) }, (_, n) => {
      const a = batch.first[i] + n
      return text(batch.start[a], batch.start[a] + batch.length[a])
    })
    result.records.push(args.length === 0 ? text(batch.record[i], batch.record[i + 1]) : args)
  }
  result.oddities = batch.oddities.map(({ code, offset, length }) => `${code}@${offset}+${length}`)
  if (scanner.stop === Stop.Error) {
    const { code, offset, kind } = scanner.error!
    result.error = { code, offset, kind }
  }
  return result
}

/**
 * The loader of servers (loadSingleAppendOnlyFile), in its words: fgets into 1,024 bytes, atoi, strtol, fread. Says
 * what it loads, and how it ends.
 */
function load(log: Buffer): { records: string[][]; end: 'eof' | 'torn' | 'corrupt'; valid: number } {
  const records: string[][] = []
  let at = 0
  let valid = 0
  const fgets = (): Buffer | undefined => {
    if (at >= log.length) return undefined
    const newline = log.indexOf(0x0a, at)
    const to = Math.min(newline < 0 ? log.length : newline + 1, at + 1023, log.length)
    const line = log.subarray(at, to)
    at = to
    return line
  }
  // What C makes of a buffer: it ends at the first NUL.
  const number = (line: Buffer): bigint => {
    const digits = /^[ \t\n\v\f\r]*([+-]?[0-9]+)/.exec(
      line.toString('latin1').slice(1).split('\0', 1)[0],
    )?.[1]
    const value = BigInt(digits?.replace('+', '') ?? 0)
    return value > 2n ** 63n - 1n ? 2n ** 63n - 1n : value < -(2n ** 63n) ? -(2n ** 63n) : value
  }
  for (;;) {
    valid = at
    const line = fgets()
    if (line === undefined) return { records, end: 'eof', valid }
    if (line[0] === 0x23) {
      if (line.at(-1) === 0x0a) continue
      if (at >= log.length) return { records, end: 'torn', valid }
      if (log[at] === 0x2a || log[at] === 0x23) continue
      return { records, end: 'corrupt', valid }
    }
    if (line[0] !== 0x2a) return { records, end: 'corrupt', valid }
    if (line.length === 1 || line[1] === 0)
      return { records, end: at >= log.length ? 'torn' : 'corrupt', valid }
    const argc = Number(BigInt.asIntN(32, number(line)))
    if (argc < 1) return { records, end: 'corrupt', valid }
    const args: string[] = []
    while (args.length < argc) {
      const header = fgets()
      if (header === undefined) return { records, end: 'torn', valid }
      if (header[0] !== 0x24) return { records, end: 'corrupt', valid }
      const size = number(header)
      if (size < 0n || size > 1n << 46n) return { records, end: 'corrupt', valid }
      if (size + 2n > BigInt(log.length - at)) return { records, end: 'torn', valid }
      args.push(log.toString('latin1', at, at + Number(size)))
      at += Number(size) + 2
    }
    records.push(args)
  }
}

const WORDS = [
  ...['*', '$', '#', '\r\n', '\n', '0', '1', '2', '9', '-', '+', ' ', '\0', 'ab', '\t'],
  ...['*1\r\n', '*2\r\n', '$1\r\nx\r\n', '$0\r\n\r\n', '$2\r\nabcd', '$12\r\nabcdefghijkl\r\n', '#TS:1\r\n'],
  ...['*1\r\n', '*2\r\n', '$1\r\nx\r\n', '$0\r\n\r\n', '$2\r\nabcd', '$12\r\nabcdefghijkl\r\n', '#TS:1\r\n'],
  ...['*01\r\n', '$+1\r\n', '*1\n', '$3x\r\nabc\r\n', '*4294967297\r\n', '$\n..'],
  // As long as servers read at once, and longer.
  ...[`#${'x'.repeat(1021)}\r\n`, `#${'x'.repeat(1022)}`, `#${'#'.repeat(1100)}`],
]
const soup = fc
  .array(fc.constantFrom(...WORDS), { maxLength: 24 })
  .map(words => Buffer.from(words.join(''), 'latin1'))

const command = fc.array(fc.uint8Array({ maxLength: 15 }), { minLength: 1, maxLength: 14 })
const log = fc
  .array(
    fc.oneof(
      command.map(args => encode(...args)),
      fc.constant(Buffer.from('#TS:1700000000\r\n')),
    ),
    { maxLength: 8 },
  )
  .map(records => Buffer.concat(records))

describe('the frame machine', () => {
  it('loads what the loop of the servers loads, and ends as it does', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          soup,
          log,
          fc.tuple(log, soup).map(parts => Buffer.concat(parts)),
        ),
        bytes => {
          const result = scanAll(padded(bytes, 0x0a), bytes.length, true)
          const expected = load(bytes)
          expect(result.records.filter(record => typeof record !== 'string')).toEqual(expected.records)
          expect(result.error?.kind ?? 'eof').toBe(expected.end)
          expect(result.end).toBe(expected.valid)
        },
      ),
      { numRuns: 3000 },
    )
  })

  it('notes as odd exactly what servers do not write', () => {
    fc.assert(
      fc.property(soup, bytes => {
        const { records, oddities, end } = scanAll(padded(bytes), bytes.length, true)
        const written = Buffer.concat(
          records.map(record =>
            typeof record === 'string'
              ? Buffer.from(record, 'latin1')
              : encode(...record.map(arg => Buffer.from(arg, 'latin1'))),
          ),
        )
        expect(oddities.length === 0).toBe(written.equals(bytes.subarray(0, end)))
      }),
      { numRuns: 2000 },
    )
  })

  it('takes nothing from what is left in the buffer behind the end', () => {
    fc.assert(
      fc.property(log, fc.nat(400), fc.boolean(), (bytes, cut, final) => {
        const end = Math.min(cut, bytes.length)
        // The very bytes that would make the record whole, and others.
        const stale = Buffer.concat([bytes, Buffer.alloc(SLACK, '\r\n$1')])
        const clean = padded(bytes.subarray(0, end))
        expect(scanAll(stale, end, final)).toEqual(scanAll(clean, end, final))
      }),
      { numRuns: 1000 },
    )
  })

  it('waits at the record that goes on behind the end, and calls it torn only when nothing follows', () => {
    const [first, second] = [encode('SET', 'k', 'v'), encode('APPEND', 'k', 'x'.repeat(120))]
    const bytes = Buffer.concat([first, second])
    for (let end = first.length; end < bytes.length; end++) {
      const buffer = padded(bytes.subarray(0, end))
      expect(scanAll(buffer, end, false)).toMatchObject({ stop: Stop.More, end: first.length, offsets: [0] })
      const final = scanAll(buffer, end, true)
      expect(final.end).toBe(first.length)
      if (end > first.length) expect(final).toMatchObject({ stop: Stop.Error, error: { kind: 'torn' } })
    }
  })

  it('names a torn argument by the place of its header, and says how many bytes are missing', () => {
    const bytes = encode('SET', 'k', 'x'.repeat(50)).subarray(0, -12)
    const header = bytes.indexOf('$50')
    expect(scanAll(padded(bytes), bytes.length, true, 1000).error).toEqual({
      kind: 'torn',
      code: 'resp.torn.bulk',
      offset: 1000 + header,
    })
    expect(tornBulk(7, 50, 40)).toMatchObject({
      offset: 7,
      message: 'an argument of 50 bytes needs 12 more than there are',
    })
  })

  it('drops the oddities of a record that it gives up, and keeps those of whole ones', () => {
    const bytes = Buffer.from('*1\r\n$+4\r\nPING\r\n*2\r\n$+4\r\nECHOxx$5\r\nab')
    const kept = ['resp.header.form@4+5']
    expect(scanAll(padded(bytes), bytes.length, false).oddities).toEqual(kept)
    expect(scanAll(padded(bytes), bytes.length, true)).toMatchObject({
      oddities: kept,
      error: { offset: 30 },
    })
  })

  it('stops when a batch is full, and goes on from there', () => {
    const commands = Array.from({ length: 25 }, (_, i) => encode('SET', `k${i}`, `${i}`))
    const bytes = Buffer.concat(commands)
    const buffer = padded(bytes)
    const scanner = new Scanner()
    const batch = new Batch(bytes.length, 10)
    const counts: number[] = []
    let at = 0
    do {
      batch.clear(buffer, 0)
      const from = at
      at = scanner.scan(batch, at, bytes.length, true)
      expect(batch.record[0]).toBe(from)
      counts.push(batch.count)
    } while (scanner.stop === Stop.Full)
    expect(counts).toEqual([10, 10, 5])
    expect([at, scanner.stop]).toEqual([bytes.length, Stop.More])
  })

  it('has room for as many arguments as fit between the ends of a window, in their shortest form', () => {
    for (const argument of ['$\n..', '$0\r\n\r\n']) {
      for (const count of [1, 9, 10, 5000]) {
        const bytes = Buffer.from(`*${count}\r\n${argument.repeat(count)}`)
        const batch = new Batch(bytes.length)
        batch.clear(padded(bytes), 0)
        new Scanner().scan(batch, 0, bytes.length, false)
        expect([batch.count, batch.argc(0)]).toEqual([1, count])
        expect(batch.start[count - 1]).toBe(bytes.length - 2)
        expect(batch.length.slice(0, count).every(size => size === 0)).toBe(true)
      }
    }
  })

  it('gives exact offsets where a base is beyond 2^32, in records, oddities and errors', () => {
    const base = 2 ** 42 + 3
    const bytes = Buffer.from('*1\r\n$4\r\nPINGxx*1\r\n$4\r\nPING\r\nx')
    expect(scanAll(padded(bytes), bytes.length, true, base)).toMatchObject({
      offsets: [base, base + 14],
      oddities: [`resp.bulk.terminator@${base + 12}+2`],
      error: { code: 'resp.record.type', offset: base + 28 },
    })
  })

  it('knows no number that is rounded: what is beyond 2^46 is refused', () => {
    const header = (text: string, prefix: number) => {
      const bytes = Buffer.from(text)
      return readHeader(bytes, 0, bytes.length, false, prefix, 0)
    }
    const [STAR, DOLLAR] = [0x2a, 0x24]
    expect(header('$70368744177664\r\n', DOLLAR)).toMatchObject({ value: 2 ** 46 })
    expect(header('$9007199254740993\r\n', DOLLAR)).toBeInstanceOf(FormatError)
    expect(header('$70368744177665\r\n', DOLLAR)).toMatchObject({ code: 'resp.bulk.length' })
    expect(header(`$${'9'.repeat(600)}\r\n`, DOLLAR)).toMatchObject({ code: 'resp.bulk.length' })
    expect(header('*2147483647\r\n', STAR)).toMatchObject({ value: 2 ** 31 - 1 })
    expect(header('*2147483648\r\n', STAR)).toMatchObject({ code: 'resp.record.argc' })
    expect(header('*18446744073709551617\r\n', STAR)).toMatchObject({ code: 'resp.record.argc' })
  })

  it('uses a batch for one buffer after the other', () => {
    const scanner = new Scanner()
    const batch = new Batch(256)
    for (const word of ['first', 'second']) {
      const bytes = encode('ECHO', word)
      const shifted = Buffer.concat([Buffer.alloc(9), padded(bytes)]).subarray(9)
      batch.clear(shifted, 0)
      scanner.scan(batch, 0, bytes.length, true)
      expect(shifted.toString('latin1', batch.start[1], batch.start[1] + batch.length[1])).toBe(word)
    }
  })
})
