import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { LONGEST_INTEGER, parseInteger, putDigits } from '../../src/bytes/decimal.ts'
import { foundServers, type Loaded } from '../helpers/servers.ts'

const parse = (text: string) => {
  const bytes = Buffer.from(text, 'latin1')
  return parseInteger(bytes, 0, bytes.length)
}

/** What string2ll takes, said in another way, less what is beyond 2^53. */
function expected(text: string): number | undefined {
  if (!/^(0|-?[1-9][0-9]*)$/.test(text)) return undefined
  const exact = BigInt(text)
  const number = Number(exact)
  return Number.isSafeInteger(number) && BigInt(number) === exact ? number : undefined
}

const CASES = [
  ...['0', '1', '-1', '9', '10', '-10', '123456789', '9007199254740991', '-9007199254740991'],
  ...['', '-', '--1', '+1', '-0', '00', '01', '-01', ' 1', '1 ', '1x', 'x1', '1.0', '1e3', '0x10', '1\0'],
  ...['9007199254740992', '-9007199254740992', '9007199254740993', '9999999999999999', '10000000000000000'],
  ...['9223372036854775807', '9223372036854775808', '-9223372036854775808', '18446744073709551616'],
  ...['0'.repeat(16), `0${'1'.repeat(15)}`, '1'.repeat(400), '/', ':', '1:', '1/', '-/', '\xb1', '\x00'],
]

const text = fc.oneof(
  fc.string({ unit: fc.constantFrom('-', '+', '0', '1', '9', ' ', '.', '\0', ':', '/'), maxLength: 18 }),
  fc.bigInt({ min: -(2n ** 64n), max: 2n ** 64n }).map(String),
  fc.bigInt({ min: 2n ** 53n - 20n, max: 2n ** 53n + 20n }).map(String),
)

describe('an integer in an argument', () => {
  it.each(CASES.map(example => [example]))('%j is what string2ll says it is', example => {
    expect(parse(example)).toBe(expected(example))
  })

  it('is read exactly or not at all', () => {
    fc.assert(
      fc.property(text, example => {
        expect(parse(example)).toBe(expected(example))
      }),
      { numRuns: 2000 },
    )
  })

  it('ends where its length says, whatever stands before and behind it', () => {
    fc.assert(
      fc.property(text, fc.nat(3), fc.constantFrom('', '0', '7', '-', 'x'), (example, before, behind) => {
        const bytes = Buffer.from(`${'1-0'.slice(0, before)}${example}${behind}`, 'latin1')
        expect(parseInteger(bytes, before, example.length)).toBe(expected(example))
      }),
    )
  })

  it('is never taken from bytes that are not there', () => {
    expect(parseInteger(Buffer.from('12'), 1, 5)).toBeUndefined()
    expect(parseInteger(Buffer.from('-5'), 0, 0)).toBeUndefined()
    expect(parseInteger(Buffer.from('-5'), 2, 0)).toBeUndefined()
  })
})

// A server stores a string as an integer exactly when string2ll takes it.
describe.each(foundServers())('%s', server => {
  let loaded: Loaded
  beforeAll(async () => {
    loaded = await server.load(new Uint8Array(0), { args: ['--replicaof', 'no', 'one'] })
  })
  afterAll(async () => {
    await loaded.stop()
  })

  it('takes the same strings for integers', async () => {
    const inReach = (example: string) => !/^-?\d{16,}$/.test(example) || expected(example) !== undefined
    const examples = [...CASES, ...fc.sample(text, { numRuns: 400, seed: 7 })].filter(inReach)
    await Promise.all(
      examples.map((example, i) => loaded.query('SET', `k${i}`, Buffer.from(example, 'latin1'))),
    )
    const encodings = await Promise.all(examples.map((_, i) => loaded.query('OBJECT', 'ENCODING', `k${i}`)))
    const wrong = examples.filter(
      (example, i) => (String(encodings[i]) === 'int') !== (parse(example) !== undefined),
    )
    expect(wrong).toEqual([])
    expect(encodings.filter(encoding => String(encoding) === 'int').length).toBeGreaterThan(20)
  })
})

describe('the digits of an integer', () => {
  const digits = (value: number) => {
    const bytes = Buffer.alloc(LONGEST_INTEGER + 4, 'x')
    const at = putDigits(bytes, LONGEST_INTEGER + 2, value)
    expect([bytes[at - 1], bytes[LONGEST_INTEGER + 2]]).toEqual([0x78, 0x78])
    return bytes.toString('latin1', at, LONGEST_INTEGER + 2)
  }

  it('are those that JavaScript gives, up to the last that is exact', () => {
    const near = fc.integer({ min: 0, max: 100 }).map(less => Number.MAX_SAFE_INTEGER - less)
    fc.assert(
      fc.property(
        fc.oneof(
          fc.maxSafeInteger(),
          fc.integer(),
          near,
          near.map(value => -value),
        ),
        value => {
          expect(digits(value)).toBe(String(value))
        },
      ),
    )
    for (const value of [0, 9, 10, -1, 2 ** 31 - 1, 2 ** 31, -(2 ** 31), 1e9, 1e9 - 1, 1e15])
      expect(digits(value)).toBe(String(value))
  })
})
