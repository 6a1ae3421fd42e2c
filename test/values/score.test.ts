import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import initWabt from 'wabt'
import { SCORE_MODULE } from '../../src/values/score.generated.ts'
import { parseScore, scoreText17, scoreTextShortest } from '../../src/values/score.ts'
import { Slice } from '../../src/values/slice.ts'
import { foundServers } from '../helpers/servers.ts'

const parse = (text: string) => parseScore(new Slice().set(Buffer.from(`<${text}>`), 1, text.length + 1))

const VIEW = new DataView(new ArrayBuffer(8))

function ofBits(bits: bigint): number {
  VIEW.setBigUint64(0, bits)
  return VIEW.getFloat64(0)
}

/** With a quarter it has 18 digits, the last a 5. */
const BETWEEN = 1234567890123456

/** Numbers of every kind, the same in each run. */
function numbers(count: number): number[] {
  let state = 7n
  const random = () => {
    state = BigInt.asUintN(64, state * 6364136223846793005n + 1442695040888963407n)
    return BigInt.asUintN(64, (state >> 33n) ^ state ^ (state << 31n))
  }
  const kinds: (() => number)[] = [
    () => ofBits(random()),
    () => Number(BigInt.asIntN(64, random())),
    () => Number(random() >> (random() % 64n)),
    () => Number(random() % 100_000n) / 2,
    () => Number(random() % 1_000_000n) / 1000,
    () => Number(random() >> 11n) / 2 ** 53,
    () => Number(random() % 1000n) * 10 ** Number(random() % 40n),
    () => Number(random() % 1000n) / 10 ** Number(random() % 40n),
    () => ofBits(random() >> 12n),
    () => 2 ** (Number(random() % 2098n) - 1074),
    // Exactly between two of 17 digits.
    () => (Number(random() % 2n ** 52n) * 2 + 1) / 4,
    () => -Number(random() % 1_700_000_000_000n) / 1000,
  ]
  const some = Array.from({ length: count }, (_, i) => kinds[i % kinds.length]())
  return [...EDGES, ...some.filter(Number.isFinite)]
}

const EDGES = [
  ...[0, -0, 1, -1, 1e7, 99_999_999, 1e8, 100_000_001, 1e15, 1e16, 1e17, 123456789e8, 1e21, 1e22, 1e23],
  ...[0.5, 1 / 64, 1 / 128, 1e-4, 1e-5, 1e-6, 1e-7, 123e-7, 1234.5678901, 12345.1234567, 99_999_999.984375],
  ...[Number.MAX_VALUE, Number.MIN_VALUE, 2 ** -1022, 2 ** -1022 - 2 ** -1074, 2 ** 53, 2 ** 53 + 2, 2 ** 63],
  ...[Infinity, -Infinity, BETWEEN + 0.25, BETWEEN + 0.75, 5e-324, 9.5367431640625e-7],
]

describe('scoreText17 and scoreTextShortest', () => {
  it.each([
    [0, '0', '0'],
    [-0, '-0', '-0'],
    [0.1, '0.10000000000000001', '0.1'],
    [1e8, '100000000', '1e+8'],
    [-3e21, '-3e+21', '-3e+21'],
    [1e-7, '9.9999999999999995e-08', '1e-7'],
    [12345.1234567, '12345.123456699999', '1.23451234567e+4'],
    [BETWEEN + 0.5, '1234567890123456.5', '1234567890123456.5'],
    [BETWEEN + 0.25, '1234567890123456.2', '1234567890123456.2'],
    [BETWEEN + 0.75, '1234567890123456.8', '1234567890123456.7'],
    [5e-324, '4.9406564584124654e-324', '5e-324'],
    [Infinity, 'inf', 'inf'],
    [-Infinity, '-inf', '-inf'],
    [NaN, 'nan', 'nan'],
  ])('print %f as servers do', (score, text17, shortest) => {
    expect(scoreText17(score)).toBe(text17)
    expect(scoreTextShortest(score)).toBe(shortest)
  })

  it('print what is read as the same number again', () => {
    for (const score of numbers(20_000)) {
      expect(parse(scoreText17(score))).toBe(score)
      expect(parse(scoreTextShortest(score))).toBe(score)
    }
    fc.assert(
      fc.property(fc.double(), score => {
        expect(parse(scoreText17(score))).toBe(score)
        expect(parse(scoreTextShortest(score))).toBe(score)
      }),
    )
  })

  it('differ from the shortest digits now and then, as Grisu2 does', () => {
    const digits = (text: string) => text.replace(/e.*$|[-.]/g, '').replace(/^0+|0+$/g, '')
    const all = numbers(20_000).filter(Number.isFinite)
    const longer = all.filter(score => digits(scoreTextShortest(score)) !== digits(String(score)))
    expect(longer.length).toBeGreaterThan(0)
    expect(longer.length).toBeLessThan(all.length / 20)
  })
})

describe('parseScore', () => {
  it.each([
    ['17', 17],
    ['-17', -17],
    ['+5', 5],
    ['007', 7],
    ['999999999999999', 999999999999999],
    ['9007199254740993', 9007199254740992],
    ['18446744073709551616', 2 ** 64],
    ['3.25', 3.25],
    ['.5', 0.5],
    ['5.', 5],
    ['1e+8', 1e8],
    ['-1.5E-10', -1.5e-10],
    ['1e999', Infinity],
    ['1e-999', 0],
    ['-0', -0],
    ['0', 0],
    ['inf', Infinity],
    ['-inf', -Infinity],
    ['INFINITY', Infinity],
    ['nan', NaN],
    ['-nan', NaN],
    ['', 0],
    ['abc', 0],
    ['12abc', 12],
    ['1e', 1],
    ['1e+', 1],
    ['.', 0],
    [' 4', 4],
    ['--4', 0],
  ])('reads %j as strtod does', (text, score) => {
    expect(parse(text)).toBe(score)
  })

  it('gives a number for any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), bytes => {
        expect(typeof parseScore(new Slice().set(bytes))).toBe('number')
      }),
    )
  })
})

describe('the WebAssembly module', () => {
  it('is what score.wat assembles to', async () => {
    const wabt = await initWabt()
    const wat = await readFile('src/values/score.wat', 'utf8')
    const { buffer } = wabt.parseWat('score.wat', wat, { bulk_memory: true, simd: true }).toBinary({})
    expect(SCORE_MODULE, 'run `node scripts/make-wasm.js`').toBe(Buffer.from(buffer).toString('base64'))
  })
})

const sha1 = (bytes: Uint8Array | string) => createHash('sha1').update(bytes).digest()
const xor = (a: Uint8Array, b: Uint8Array) => Buffer.from(a.map((byte, i) => byte ^ b[i]))
const NOTHING = Buffer.alloc(20)
const mix = (digest: Uint8Array, bytes: Uint8Array | string) => sha1(xor(digest, sha1(bytes)))

/** What DEBUG DIGEST-VALUE says of a sorted set with the one member `m`. */
function digestOf(text: string): string {
  return xor(mix(NOTHING, Buffer.of(0, 0, 0, 3)), sha1(mix(mix(NOTHING, 'm'), text))).toString('hex')
}

describe.each(foundServers())('%s', server => {
  it('prints every number for its digest just so', async () => {
    const print = server.name === 'redis-7.0' ? scoreText17 : scoreTextShortest
    const scores = numbers(process.env.AOFKIT_LONG ? 300_000 : 12_000)
    const loaded = await server.load(Buffer.alloc(0), { args: ['--replicaof', 'no', 'one'] })
    try {
      for (let from = 0; from < scores.length; from += 1000) {
        const some = scores.slice(from, from + 1000)
        const keys = some.map((_, i) => `k${i}`)
        await loaded.query('FLUSHALL')
        const added = await Promise.all(
          some.map((score, i) =>
            loaded.query('ZADD', keys[i], Object.is(score, -0) ? '-0' : scoreText17(score), 'm'),
          ),
        )
        expect(added.every(reply => reply === 1)).toBe(true)
        const digests = (await loaded.query('DEBUG', 'DIGEST-VALUE', ...keys)) as Buffer[]
        for (const [i, score] of some.entries()) {
          // In a listpack zero is an integer, without a sign.
          const kept = Object.is(score, -0) ? 0 : score
          if (digests[i].toString() !== digestOf(print(kept)))
            expect.fail(`${score} (${print(kept)}): ${digests[i]}, here ${digestOf(print(kept))}`)
        }
      }
    } finally {
      await loaded.stop()
    }
  })
})
