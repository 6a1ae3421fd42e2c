import { describe, expect, it } from 'vitest'
import { Murmur } from '../../../src/keyspace/types/murmur.ts'
import { Slice } from '../../../src/values/slice.ts'
import { encodeCommand, foundServers } from '../../helpers/servers.ts'
import { argument, generator, replay } from '../replaying.ts'

const M = 0xc6a4a7935bd1e995n
const MASK = (1n << 64n) - 1n

/** As it is defined. */
function murmur(bytes: Uint8Array): bigint {
  let hash = 0xadc83b19n ^ ((BigInt(bytes.length) * M) & MASK)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  let at = 0
  for (; at + 8 <= bytes.length; at += 8) {
    let k = (view.getBigUint64(at, true) * M) & MASK
    k = ((k ^ (k >> 47n)) * M) & MASK
    hash = ((hash ^ k) * M) & MASK
  }
  if (at < bytes.length) {
    for (let i = at; i < bytes.length; i++) hash ^= BigInt(bytes[i]) << BigInt(8 * (i - at))
    hash = (hash * M) & MASK
  }
  hash = ((hash ^ (hash >> 47n)) * M) & MASK
  return hash ^ (hash >> 47n)
}

describe('Murmur', () => {
  it('gives the 64 bits that the definition gives, whatever the length', () => {
    const random = generator(1)
    const ours = new Murmur()
    for (let i = 0; i < 3000; i++) {
      const bytes = Uint8Array.from({ length: i % 41 }, () => random(256))
      ours.hash(new Slice().set(bytes))
      const hash = (BigInt(ours.high >>> 0) << 32n) | BigInt(ours.low >>> 0)
      expect(hash).toBe(murmur(bytes))
    }
  })
})

describe('hllSparseMaxBytes', () => {
  const commands = Array.from({ length: 500 }, (_, i) => ['PFADD', i % 2 === 0 ? 'a' : 'b', `element ${i}`])
  const log = Buffer.concat([...commands, ['PFMERGE', 'c', 'a', 'b'], ['PFCOUNT', 'c']].map(encodeCommand))

  async function sizes(hllSparseMaxBytes: number): Promise<number[]> {
    const { keyspace } = await replay(log, { hllSparseMaxBytes })
    return ['a', 'b', 'c'].map(key => keyspace.strings.length(keyspace.find(argument(key))))
  }

  it('says when one becomes dense', async () => {
    expect(Math.max(...(await sizes(3000)))).toBeLessThan(3000)
    expect(await sizes(200)).toEqual([12_304, 12_304, 12_304])
  })

  it.each(foundServers())('is what it is for %s', async server => {
    for (const most of [0, 100, 700, 1200, 15_000]) {
      const { keyspace } = await replay(log, { server: server.name, hllSparseMaxBytes: most })
      const loaded = await server.load(log, { args: ['--hll-sparse-max-bytes', String(most)] })
      const text = new Slice()
      try {
        for (const key of ['a', 'b', 'c']) {
          keyspace.strings.read(keyspace.find(argument(key)), text)
          expect(Buffer.from(text.copy()).equals((await loaded.query('GET', key)) as Buffer)).toBe(true)
        }
      } finally {
        await loaded.stop()
      }
    }
  })
})

describe('HyperLogLogs that are damaged', () => {
  const header = Buffer.from('HYLL\x01\0\0\0\0\0\0\0\0\0\0\x80', 'latin1')

  it.each([
    ['registers that are missing', Buffer.from([0x3f])],
    ['no registers', Buffer.from([])],
    ['more registers than there are', Buffer.from([0x7f, 0xff, 0x7f, 0xff])],
    ['a code without its second byte', Buffer.from([0x7f])],
  ])('are refused, and stay: %s', async (_, registers) => {
    const value = Buffer.concat([header, registers])
    const commands = [
      ['SET', 'h', value],
      ['PFCOUNT', 'h'],
      ['PFMERGE', 'h', 'h'],
      ['PFDEBUG', 'TODENSE', 'h'],
    ]
    const { keyspace, rejected } = await replay(Buffer.concat(commands.map(encodeCommand)))
    const damaged = 'INVALIDOBJ Corrupted HLL object detected'
    expect(rejected).toEqual([`pfcount: ${damaged}`, `pfmerge: ${damaged}`, `pfdebug: ${damaged}`])
    const text = new Slice()
    keyspace.strings.read(keyspace.find(argument('h')), text)
    expect(value.equals(text.copy())).toBe(true)
  })
})
