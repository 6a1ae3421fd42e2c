import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { jsonInteger, jsonText, toJson } from '../../../src/cli/render/json.ts'

describe('JSON', () => {
  it('has nothing in it that a terminal acts on, and the same value', () => {
    const odd = [
      '\x7f',
      '\x80',
      '\x9b',
      '\u200b',
      '\u200f',
      '\u2028',
      '\u2029',
      '\u202e',
      '\u2066',
      '\u2069',
      '\ufeff',
    ]
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.constantFrom(...odd), fc.string({ unit: 'binary' }))), words => {
        const value = { [words.join('')]: words }
        for (const text of [jsonText(value), toJson(value)]) {
          expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)))
          expect(text.replaceAll('\n', '')).not.toMatch(
            /[\p{Cc}\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/u,
          )
        }
      }),
    )
  })

  it('leaves letters of all scripts as they are', () => {
    expect(jsonText('größe 尺寸 😀 \u202e')).toBe('"größe 尺寸 😀 \\u202e"')
  })

  it('has integers beyond 2^53 as strings', () => {
    expect([jsonInteger(2n ** 53n - 1n), jsonInteger(2n ** 53n)]).toEqual([2 ** 53 - 1, '9007199254740992'])
    expect(jsonText({ n: 2n ** 60n })).toBe('{"n":"1152921504606846976"}')
  })
})
