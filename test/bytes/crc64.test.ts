import { readFile } from 'node:fs/promises'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import initWabt from 'wabt'
import { CRC64_MODULE } from '../../src/bytes/crc64.generated.ts'
import { Crc64 } from '../../src/bytes/crc64.ts'

const POLYNOMIAL = 0xad93d23594c935a9n

/** Bit by bit, as the definition says. */
function plain(bytes: Uint8Array): bigint {
  const reflected = 0x95ac9329ac4bc9b5n
  let crc = 0n
  for (const byte of bytes) {
    crc ^= BigInt(byte)
    for (let bit = 0; bit < 8; bit++) crc = crc & 1n ? (crc >> 1n) ^ reflected : crc >> 1n
  }
  return crc
}

const table = Array.from({ length: 256 }, (_, byte) => plain(Uint8Array.of(byte)))

/** The same with a table of bytes, for long inputs. */
function byTable(bytes: Uint8Array): bigint {
  let crc = 0n
  for (const byte of bytes) crc = (crc >> 8n) ^ table[Number((crc ^ BigInt(byte)) & 0xffn)]
  return crc
}

function crc64(...pieces: Uint8Array[]): bigint {
  const crc = new Crc64()
  for (const piece of pieces) crc.update(piece)
  return crc.value()
}

/** Bytes that repeat after 2^32 only. */
function noise(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length)
  let state = seed
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0
    bytes[i] = state >>> 24
  }
  return bytes
}

describe('Crc64', () => {
  it('gives the check value of the polynomial', () => {
    expect(crc64(Buffer.from('123456789'))).toBe(0xe9c6d914c4b8d9can)
  })

  it('is zero for no bytes and for zeros', () => {
    expect(crc64()).toBe(0n)
    expect(crc64(new Uint8Array(100_000))).toBe(0n)
  })

  it('agrees with the definition for every length up to 300 bytes', () => {
    const bytes = noise(300)
    for (let length = 0; length <= 300; length++)
      expect(crc64(bytes.subarray(0, length))).toBe(plain(bytes.subarray(0, length)))
  })

  it('agrees around every size at which it changes its way', () => {
    const bytes = noise(300_000, 7)
    for (const size of [3123, 4096, 8192, 8192 + 3123, 65_536, 131_072, 2 * 131_072, 131_072 + 8192])
      for (let length = size - 18; length <= size + 18; length++)
        expect(crc64(bytes.subarray(0, length)), `${length} bytes`).toBe(byTable(bytes.subarray(0, length)))
  })

  it('does not depend on how the bytes are cut', () => {
    const bytes = noise(400_000, 3)
    const whole = byTable(bytes)
    fc.assert(
      fc.property(fc.array(fc.nat({ max: bytes.length }), { maxLength: 8 }), cuts => {
        const at = [0, ...cuts.sort((a, b) => a - b), bytes.length]
        expect(crc64(...at.slice(1).map((end, i) => bytes.subarray(at[i], end)))).toBe(whole)
      }),
    )
  })

  it('takes a range of a buffer', () => {
    const bytes = noise(50_000)
    const crc = new Crc64()
    crc.update(bytes, 17, 40_001)
    crc.update(bytes, 5, 5)
    expect(crc.value()).toBe(byTable(bytes.subarray(17, 40_001)))
  })

  it('keeps checksums apart that are computed in turn', () => {
    const [a, b] = [noise(20_000, 1), noise(20_000, 2)]
    const [first, second] = [new Crc64(), new Crc64()]
    first.update(a, 0, 10_000)
    second.update(b, 0, 10_000)
    first.update(a, 10_000)
    second.update(b, 10_000)
    expect([first.value(), second.value()]).toEqual([byTable(a), byTable(b)])
  })
})

describe('the WebAssembly module', () => {
  it('clears bytes with a multiple of the polynomial', async () => {
    const wat = await readFile('src/bytes/crc64.wat', 'utf8')
    const exponents = [...wat.match(/f = (.*)/)![1].matchAll(/x\^(\d+)/g)].map(match => Number(match[1]))
    expect(exponents).toHaveLength(7)
    let [remainder, power] = [0n, 1n]
    for (let exponent = 0; exponent <= Math.max(...exponents); exponent++) {
      if (exponent === 0 || exponents.includes(exponent)) remainder ^= power
      power = power >> 63n ? ((power << 1n) & 0xffffffffffffffffn) ^ POLYNOMIAL : power << 1n
    }
    expect(remainder).toBe(0n)
  })

  it('is what crc64.wat assembles to', async () => {
    const wabt = await initWabt()
    const wat = await readFile('src/bytes/crc64.wat', 'utf8')
    const { buffer } = wabt.parseWat('crc64.wat', wat, { bulk_memory: true, simd: true }).toBinary({})
    expect(CRC64_MODULE, 'run `node scripts/make-wasm.js`').toBe(Buffer.from(buffer).toString('base64'))
  })
})
