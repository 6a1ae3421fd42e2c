import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { looksLikeTimestamp, parseTimestamp } from '../../src/aof/annotation.ts'

const read = (line: string) => {
  const bytes = Buffer.from(`before${line}TS:1\r\n`, 'latin1')
  const [from, to] = [6, 6 + line.length]
  return { time: parseTimestamp(bytes, from, to), claims: looksLikeTimestamp(bytes, from, to) }
}

describe('a timestamp', () => {
  it.each([
    ['#TS:1700000000\r\n', 1_700_000_000],
    ['#TS:0\r\n', 0],
    ['#TS:0000000001\r\n', 1],
    ['#TS:999999999999\r\n', 999_999_999_999],
  ])('%j is read', (line, time) => {
    expect(read(line)).toEqual({ time, claims: true })
  })

  it.each([
    '#TS:\r\n',
    '#TS\r\n',
    '#TS:12\n',
    '#TS:x\r\n',
    '#TS:12x\r\n',
    '#TS: 12\r\n',
    '#TS:-1\r\n',
    '#TS:+1\r\n',
    '#TS:1.5\r\n',
    '#TS:1700000000 \r\n',
    '#TS:1234567890123\r\n',
    '#TS-1\r\n',
    '#TS1\r\n',
    `#TS:${'9'.repeat(400)}\r\n`,
  ])('%j claims to be one and is none', line => {
    expect(read(line)).toEqual({ time: undefined, claims: true })
  })

  it.each([
    '#\r\n',
    '#T\r\n',
    '#ts:1\r\n',
    '# TS:1\r\n',
    '#comment TS:1\r\n',
    '#',
    '##TS:1\r\n',
    '#T',
    '#TX:1\r\n',
  ])('%j is another annotation', line => {
    expect(read(line)).toEqual({ time: undefined, claims: false })
  })

  it('is read exactly, or not at all', () => {
    const line = fc
      .array(
        fc.constantFrom('#', 'T', 'S', ':', '0', '1', '9', '\r', '\n', ' ', '#TS:', '1700000000', '\r\n'),
        { maxLength: 8 },
      )
      .map(words => words.join(''))
    fc.assert(
      fc.property(line, text => {
        const digits = /^#TS:(\d{1,12})\r.$/s.exec(text)?.[1]
        expect(read(text).time).toBe(digits === undefined ? undefined : Number(digits))
      }),
      { numRuns: 1000 },
    )
  })
})
