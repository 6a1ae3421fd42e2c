import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Glob } from '../../src/bytes/glob.ts'
import { foundServers, type Loaded } from '../helpers/servers.ts'

function matches(pattern: string, text: string): boolean {
  const bytes = Buffer.from(text, 'latin1')
  return new Glob(Buffer.from(pattern, 'latin1')).test(bytes, 0, bytes.length)
}

/** Pattern, what it matches, what it does not: all of it is also asked of a server. */
const CASES: readonly (readonly [pattern: string, yes: readonly string[], no: readonly string[]])[] = [
  ['', [''], ['a']],
  ['abc', ['abc'], ['ab', 'abcd', 'ABC', '']],
  ['a?c', ['abc', 'a?c', 'a*c', 'a\xffc'], ['ac', 'abbc']],
  ['?', ['a', '*', '\0', '\n'], ['', 'ab']],
  ['*', ['', 'a', 'abc', '*'], []],
  ['a*', ['a', 'ab', 'a*'], ['', 'ba']],
  ['*a', ['a', 'ba', 'aa'], ['', 'ab']],
  ['*a*', ['a', 'bab', 'ab', 'ba'], ['', 'b']],
  ['a*b*c', ['abc', 'aXbYc', 'abbcc', 'abcbc'], ['ab', 'acb', 'abcd']],
  ['a**c', ['ac', 'abc'], ['a', 'c']],
  ['a*?c', ['abc', 'abbc'], ['ac']],
  ['[abc]', ['a', 'b', 'c'], ['', 'd', 'ab', '[']],
  ['[a-c]x', ['ax', 'bx', 'cx'], ['dx', '-x']],
  ['[c-a]', ['a', 'b', 'c'], ['d', '-']],
  // A range that ends with the bracket, in a set that is not closed.
  ['[a-]', ['a', ']', '^'], ['b', '-']],
  ['[-a]', ['a', '-'], ['b']],
  ['[a-c-e]', ['a', 'b', 'c', '-', 'e'], ['d']],
  ['[^a]', ['b', '^'], ['a', '']],
  ['[^a-c]', ['d', '^', '-'], ['a', 'b', 'c']],
  ['[a^]', ['a', '^'], ['b']],
  ['[^]', ['a', '^', ']'], ['', 'ab']],
  ['[]', [], ['', 'a', ']', '[]']],
  ['[]a]', [], ['a', ']', 'aa]', 'a]']],
  ['[^]a]', ['xa]', ']a]'], ['a', 'x']],
  ['[\\]]', [']'], ['\\', '[']],
  ['[\\^a]', ['^', 'a'], ['\\', 'b']],
  ['[a\\-c]', ['a', '-', 'c'], ['b', '\\']],
  ['[\\\\]', ['\\'], [']']],
  ['[\\', ['\\'], ['', '[', 'a']],
  ['[', [], ['', '[', 'a']],
  ['[^', ['a', '^', '['], ['', 'ab']],
  ['[abc', ['a', 'b', 'c'], ['d', '[', 'abc', '[abc']],
  ['[a-', ['a', '-'], ['b', '[']],
  ['x[ab]*y', ['xay', 'xbzzy'], ['xcy', 'xy']],
  ['\\*', ['*'], ['a', '\\*', '']],
  ['\\?', ['?'], ['a']],
  ['\\[a]', ['[a]'], ['a']],
  ['\\a', ['a'], ['\\a']],
  ['\\\\', ['\\'], ['\\\\', '']],
  ['\\', ['\\'], ['', 'a']],
  ['a\\', ['a\\'], ['a']],
  ['*\\', ['\\', 'a\\'], ['', 'a']],
  ['^a', ['^a'], ['b']],
  [']', [']'], ['']],
  ['[\xc0-\xff]', ['\xc0', '\xe9'], ['\xbf', 'a']],
  ['*\xff', ['\xff', 'a\xff'], ['\xffa']],
  ['user:1???:*', ['user:1000:name', 'user:1abc:'], ['user:1000', 'user:100:x']],
]

describe('a glob', () => {
  it.each(CASES)('%j matches %j, and not %j', (pattern, yes, no) => {
    expect(yes.filter(text => !matches(pattern, text))).toEqual([])
    expect(no.filter(text => matches(pattern, text))).toEqual([])
  })

  it('looks at the bytes that it is given, not at those around them', () => {
    const bytes = Buffer.from('xxabcxx')
    for (const pattern of ['abc', 'a*c', '[a]bc', '*c', 'a?c']) {
      const glob = new Glob(pattern)
      expect(glob.test(bytes, 2, 3), pattern).toBe(true)
      expect(glob.test(bytes, 2, 4), pattern).toBe(false)
      expect(glob.test(bytes, 1, 4), pattern).toBe(pattern === '*c')
    }
  })

  it('takes a string as UTF-8, and bytes as they are', () => {
    const key = Buffer.from('grüße')
    expect(new Glob('gr*ß?').test(key, 0, key.length)).toBe(true)
    expect(new Glob('grü??e').test(key, 0, key.length)).toBe(true)
    expect(new Glob(Buffer.from('grüße')).test(key, 0, key.length)).toBe(true)
    expect(new Glob('grüss').test(key, 0, key.length)).toBe(false)
  })

  it('matches every text by itself, its special bytes behind a backslash', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 30 }), fc.nat(30), (text, other) => {
        const quoted = Uint8Array.from([...text].flatMap(byte => [0x5c, byte]))
        expect(new Glob(quoted).test(text, 0, text.length)).toBe(true)
        if (other < text.length) expect(new Glob(quoted).test(text, 0, other)).toBe(false)
      }),
    )
  })

  // Tried at every place for every star, these would take longer than the universe has existed.
  it('never goes back further than to its last star', () => {
    const text = Buffer.from('a'.repeat(2000))
    let looked = 0
    const counted = new Proxy(text, {
      get(target, name) {
        looked++
        return target[name as unknown as number]
      },
    })
    for (const pattern of [
      `${'a*'.repeat(300)}b`,
      `${'*a'.repeat(300)}*b`,
      `${'*?'.repeat(300)}b`,
      `*${'a'.repeat(300)}b`,
    ]) {
      looked = 0
      expect(new Glob(pattern).test(counted, 0, text.length)).toBe(false)
      expect(looked).toBeLessThanOrEqual((pattern.length + 1) * text.length)
    }
  })
})

describe.each(foundServers())('KEYS of %s', server => {
  let loaded: Loaded
  let keys: Buffer[]

  beforeAll(async () => {
    loaded = await server.load(new Uint8Array(0), { args: ['--replicaof', 'no', 'one'] })
    const alphabet = fc.constantFrom(...'*?[]^-\\abc')
    const random = fc.sample(fc.string({ unit: alphabet, maxLength: 5 }), { numRuns: 300, seed: 11 })
    const named = CASES.flatMap(([, yes, no]) => [...yes, ...no])
    keys = [...new Set([...random, ...named])].map(key => Buffer.from(key, 'latin1'))
    await loaded.query('MSET', ...keys.flatMap(key => [key, 'v']))
  })
  afterAll(async () => {
    await loaded.stop()
  })

  /** Patterns for which the server and the glob choose other keys, with the keys. */
  async function differences(patterns: readonly string[]): Promise<object[]> {
    const replies = await Promise.all(
      patterns.map(pattern => loaded.query('KEYS', Buffer.from(pattern, 'latin1'))),
    )
    const sorted = (found: readonly Buffer[]) => found.map(key => key.toString('latin1')).sort()
    return patterns.flatMap((pattern, i) => {
      const theirs = sorted(replies[i] as Buffer[])
      const ours = sorted(keys.filter(key => matches(pattern, key.toString('latin1'))))
      const wrong = [
        ...ours.filter(key => !theirs.includes(key)),
        ...theirs.filter(key => !ours.includes(key)),
      ]
      // To servers the empty key is matched by one star, but not by two, which is nothing anybody could want.
      if (/^\*\*+$/.test(pattern) && wrong.join() === '' && ours.includes('')) return []
      return wrong.length === 0 ? [] : [{ pattern, wrong }]
    })
  }

  it('chooses the same keys for every known case', async () => {
    expect(await differences(CASES.map(([pattern]) => pattern))).toEqual([])
  })

  it('chooses the same keys for any pattern', async () => {
    const pattern = fc.string({ unit: fc.constantFrom(...'*?[]^-\\abc**[^-'), maxLength: 9 })
    const patterns = fc.sample(pattern, { numRuns: 1200, seed: 5 })
    expect(await differences(patterns)).toEqual([])
  })
})
