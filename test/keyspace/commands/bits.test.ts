import { describe, expect, it } from 'vitest'
import { Slice } from '../../../src/values/slice.ts'
import { encodeCommand } from '../../helpers/servers.ts'
import { argument, generator, replay } from '../replaying.ts'

type Command = readonly (string | Uint8Array | number)[]

async function carriedOut(...commands: Command[]) {
  const replayed = await replay(Buffer.concat(commands.map(encodeCommand)), { server: 'redis-8.0' })
  const { keyspace } = replayed
  return {
    ...replayed,
    get(key: string): Buffer | undefined {
      const cell = keyspace.find(argument(key))
      if (cell === 0) return undefined
      const text = new Slice()
      keyspace.strings.read(cell, text)
      return Buffer.from(text.copy())
    },
  }
}

describe('BITOP with the operators of Redis 8.2', () => {
  const sources: Command[] = [
    ['SET', 'x', Buffer.from([0b11110000, 0b11111111])],
    ['SET', 'y', Buffer.from([0b11001100])],
    ['SET', 'z', Buffer.from([0b10101010, 0b00001111, 0b00000001])],
  ]

  it.each([
    ['DIFF', [0b00010000, 0b11110000, 0]],
    ['diff1', [0b00001110, 0, 1]],
    ['ANDOR', [0b11100000, 0b00001111, 0]],
    ['One', [0b00010110, 0b11110000, 1]],
  ])('has %s', async (operator, bytes) => {
    const { get, rejected } = await carriedOut(...sources, ['BITOP', operator, 'to', 'x', 'y', 'z'])
    expect(rejected).toEqual([])
    expect([...(get('to') ?? [])]).toEqual(bytes)
  })

  it.each(['DIFF', 'DIFF1', 'ANDOR'])('refuses %s of one source', async operator => {
    const { rejected } = await carriedOut(...sources, ['BITOP', operator, 'to', 'x'])
    expect(rejected).toEqual([`bitop: ERR BITOP ${operator} must be called with at least two source keys.`])
  })

  it('takes ONE of one source, which is that source', async () => {
    const { get } = await carriedOut(...sources, ['BITOP', 'ONE', 'to', 'z'])
    expect(get('to')).toEqual(get('z'))
  })

  it('gives the same in pieces as byte by byte, with the target among the sources', async () => {
    const random = generator(7)
    const values = [20_000, 9000, 4096].map(length => Buffer.from(Array.from({ length }, () => random(256))))
    const { get } = await carriedOut(...values.map((value, i): Command => ['SET', `s${i}`, value]), [
      'BITOP',
      'ANDOR',
      's1',
      's0',
      's1',
      's2',
    ])
    const expected = Buffer.from(
      values[0].map((byte, i) => byte & ((values[1][i] ?? 0) | (values[2][i] ?? 0))),
    )
    expect(get('s1')?.equals(expected)).toBe(true)
  })
})

describe('BITFIELD that saturates', () => {
  it.each([
    ['-9223372036854775808', 0x7f],
    ['-9223372036854775681', 0x7f],
    ['-9223372036854775680', 0x80],
    ['-129', 0x80],
    ['-128', 0x80],
    ['128', 0x7f],
  ])('makes %s of 8 bits what servers make of it', async (operand, byte) => {
    const { get } = await carriedOut(['BITFIELD', 'b', 'OVERFLOW', 'SAT', 'SET', 'i8', '0', operand])
    expect([...(get('b') ?? [])]).toEqual([byte])
  })
})

describe('BITFIELD', () => {
  const BITS = 512

  /** What is changed in a string of {@link BITS} bits, reckoned in integers without end. */
  function changed(
    all: bigint,
    signed: boolean,
    bits: number,
    at: number,
    operation: string,
    by: bigint,
    how: string,
  ) {
    const size = BigInt(bits)
    const behind = BigInt(BITS - at - bits)
    const mask = (1n << size) - 1n
    const there = (all >> behind) & mask
    const before = signed ? BigInt.asIntN(bits, there) : there
    const value = operation === 'SET' ? (signed ? by : BigInt.asUintN(64, by)) : before + by
    const most = signed ? (1n << (size - 1n)) - 1n : mask
    const least = signed ? -most - 1n : 0n
    let result = value
    if (value < least || value > most) {
      if (how === 'FAIL') return all
      if (how === 'SAT') result = value > most ? most : least
    }
    return (all & ~(mask << behind)) | (BigInt.asUintN(bits, result) << behind)
  }

  it('is exact for fields of every width, at every bit, whatever they do when they overflow', async () => {
    const random = generator(11)
    const commands: Command[] = [['SETRANGE', 'b', BITS / 8 - 1, Buffer.from([0])]]
    let all = 0n
    for (let i = 0; i < 6000; i++) {
      const signed = random(2) === 0
      const bits = 1 + random(signed ? 64 : 63)
      const at = random(BITS - bits + 1)
      const operation = random(2) === 0 ? 'SET' : 'INCRBY'
      const how = ['WRAP', 'SAT', 'FAIL'][random(3)]
      const size = BigInt(1 + random(54))
      let by = BigInt(random(2 ** 30)) * BigInt(random(2 ** 30))
      by = BigInt.asIntN(Number(size), by)
      commands.push([
        'BITFIELD',
        'b',
        'OVERFLOW',
        how,
        operation,
        `${signed ? 'i' : 'u'}${bits}`,
        at,
        `${by}`,
      ])
      all = changed(all, signed, bits, at, operation, by, how)
    }
    const { get, rejected } = await carriedOut(...commands)
    expect(rejected).toEqual([])
    expect(get('b')?.toString('hex')).toBe(all.toString(16).padStart(BITS / 4, '0'))
  })
})

describe('bits that are far out', () => {
  const FAR = 2 ** 32 - 1

  it('take no memory for the zeros before them', async () => {
    const { keyspace, rejected } = await carriedOut(
      ['SETBIT', 'far', FAR, '1'],
      ['BITFIELD', 'field', 'SET', 'u8', `#${2 ** 29 - 1}`, '255'],
    )
    expect(rejected).toEqual([])
    for (const key of ['far', 'field']) {
      const cell = keyspace.find(argument(key))
      expect(keyspace.strings.length(cell)).toBe(2 ** 29)
      expect(keyspace.strings.byte(cell, 2 ** 29 - 1)).toBe(key === 'field' ? 255 : 1)
      expect(keyspace.strings.byte(cell, 2 ** 28)).toBe(0)
    }
    const reserved = keyspace.store.memory.bytes.reduce((sum, { length }) => sum + length, 0)
    expect(reserved).toBeLessThan(2 ** 26)
  })

  it('are refused behind the longest string', async () => {
    const { rejected, keyspace } = await carriedOut(
      ['SETBIT', 'far', FAR + 1, '1'],
      ['BITFIELD', 'far', 'SET', 'u8', `#${2 ** 29}`, '1'],
      ['BITFIELD', 'far', 'SET', 'u8', '#1152921504606846976', '1'],
    )
    expect(rejected).toEqual(Array(3).fill(expect.stringContaining('bit offset is not an integer')))
    expect(keyspace.size).toBe(0)
  })
})
