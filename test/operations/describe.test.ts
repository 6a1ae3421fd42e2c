import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { describeRecord } from '../../src/operations/describe.ts'
import { encode } from '../helpers/chunks.ts'

const text = (bytes: Uint8Array) => describeRecord(bytes)?.text

describe('a command in few words', () => {
  it('is whole where it is whole, whatever follows', () => {
    const record = encode('SET', 'user:1', 'v')
    const expected = { text: 'SET user:1 v', whole: 3, promised: 3, end: record.length }
    expect(describeRecord(record)).toEqual(expected)
    expect(describeRecord(Buffer.concat([record, Buffer.from('*9\r\nrubbish')]))).toEqual(expected)
  })

  it('shows words as they are, and quotes everything else', () => {
    expect(text(encode('set', 'a{b}.c-d_e@f', '-12'))).toBe('set a{b}.c-d_e@f -12')
    expect(text(encode('SET', 'two words', 'line\nbreak'))).toBe('SET "two words" "line\\nbreak"')
    expect(text(encode('SET', '"', '\x1b[31m'))).toBe('SET "\\"" "\\x1b[31m"')
    expect(text(encode('SET', 'ü', Uint8Array.of(0, 255)))).toBe('SET "\\xc3\\xbc" "\\x00\\xff"')
  })

  it('shows arguments that are empty', () => {
    expect(text(encode('SET', '', 'v'))).toBe('SET "" v')
    expect(text(encode('ECHO', ''))).toBe('ECHO ""')
  })

  it('shortens long values, and says how long they are', () => {
    expect(text(encode('SET', 'k', 'x'.repeat(40)))).toBe(`SET k ${'x'.repeat(40)}`)
    expect(text(encode('SET', 'k', 'x'.repeat(5000)))).toBe(`SET k "${'x'.repeat(40)}"… (5,000 bytes)`)
  })

  it('shows four arguments, and that there are more', () => {
    expect(text(encode('MSET', 'a', '1', 'b'))).toBe('MSET a 1 b')
    expect(text(encode('MSET', 'a', '1', 'b', '2'))).toBe('MSET a 1 b …')
    expect(describeRecord(encode('DEL', ...Array.from({ length: 500 }, () => 'k')))).toMatchObject({
      text: 'DEL k k k …',
      whole: 501,
      promised: 501,
    })
  })
})

describe('a cut command in few words', () => {
  const record = encode('SET', 'user:1', 'a value')

  it('tells how many of its arguments are whole, and shows what there is of the one that is not', () => {
    const found = Array.from({ length: record.length }, (_, cut) => describeRecord(record.subarray(0, cut)))
    for (const [cut, described] of found.entries()) {
      if (described === undefined) continue
      expect(described.promised).toBe(3)
      expect(described.end).toBeUndefined()
      const there = record.subarray(0, cut).toString('latin1')
      const whole = [/SET\r\n/, /user:1\r\n/].filter(argument => argument.test(there)).length
      expect(described.whole, `cut at ${cut}`).toBe(whole)
    }
    expect(found[record.indexOf('SET')]).toBeUndefined()
    expect(found[record.indexOf('SET') + 2]?.text).toBe('"SE"… (3 bytes)')
    expect(found[record.indexOf('user:1') + 4]?.text).toBe('SET "user"… (6 bytes)')
    expect(found[record.indexOf('a value') + 1]?.text).toBe('SET user:1 "a"… (7 bytes)')
    expect(found[record.length - 1]?.text).toBe('SET user:1 "a value"')
  })

  it('is undefined without a name, and for what is no record', () => {
    for (const bytes of [
      '',
      '*',
      '*3',
      '*3\r\n',
      '*3\r\n$3\r\n',
      '#TS:1\r\n',
      'SET a b\r\n',
      '\0\0\0',
      '*0\r\n',
      '*3\r\nSET',
      '$3\r\nSET\r\n',
    ])
      expect(describeRecord(Buffer.from(bytes)), bytes).toBeUndefined()
  })

  it('takes lengths that lie for what they are', () => {
    expect(describeRecord(Buffer.from('*2147483647\r\n$3\r\nSET\r\n$1\r\nk\r\n'))).toEqual({
      text: 'SET k',
      whole: 2,
      promised: 2_147_483_647,
      end: undefined,
    })
    expect(text(Buffer.from('*2\r\n$3\r\nSET\r\n$99999999999\r\nab'))).toBe(
      'SET "ab"… (99,999,999,999 bytes)',
    )
    expect(text(Buffer.from('*2\r\n$3\r\nSET\r\n$-1\r\nab'))).toBe('SET')
  })

  it('never fails, and never shows a control character', () => {
    const word = fc.constantFrom(
      '*',
      '$',
      '1',
      '3',
      '\r\n',
      'SET',
      '\x1b',
      '\0',
      '-',
      '*2\r\n',
      '$3\r\nSET\r\n',
    )
    const soup = fc.array(word, { maxLength: 20 }).map(words => Buffer.from(words.join('')))
    fc.assert(
      fc.property(fc.oneof(soup, fc.uint8Array({ maxLength: 60 })), bytes => {
        const described = describeRecord(bytes)
        // biome-ignore lint/suspicious/noControlCharactersInRegex: it is what must not be there
        if (described !== undefined) expect(described.text).not.toMatch(/[\x00-\x1f\x7f]/)
      }),
      { numRuns: 500 },
    )
  })
})
