import { Crc64 } from '../src/bytes/crc64.ts'
import { generator } from './logs.ts'

/*
 * CRC64 of 64 MB in chunks of 1 MiB, as the reader of RDB files asks for it (copying included), against the best that
 * was found without WebAssembly: eight tables of 32-bit halves.
 */

const SIZE = 64_000_000
const CHUNK = 1 << 20

/** Eight tables; the low and the high half of each word side by side. */
const TABLES = new Int32Array(8 * 512)
for (let byte = 0; byte < 256; byte++) {
  let crc = BigInt(byte)
  for (let bit = 0; bit < 8; bit++) crc = crc & 1n ? (crc >> 1n) ^ 0x95ac9329ac4bc9b5n : crc >> 1n
  TABLES[2 * byte] = Number(BigInt.asIntN(32, crc))
  TABLES[2 * byte + 1] = Number(BigInt.asIntN(32, crc >> 32n))
}
for (let at = 512; at < TABLES.length; at += 2) {
  const [low, high] = [TABLES[at - 512], TABLES[at - 511]]
  TABLES[at] = ((low >>> 8) | (high << 24)) ^ TABLES[2 * (low & 255)]
  TABLES[at + 1] = (high >>> 8) ^ TABLES[2 * (low & 255) + 1]
}

let low = 0
let high = 0

function halves(bytes: Uint8Array, start: number, end: number): void {
  let at = start
  for (; at + 8 <= end; at += 8) {
    low ^= bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)
    high ^= bytes[at + 4] | (bytes[at + 5] << 8) | (bytes[at + 6] << 16) | (bytes[at + 7] << 24)
    const a = 3584 + 2 * (low & 255)
    const b = 3072 + 2 * ((low >>> 8) & 255)
    const c = 2560 + 2 * ((low >>> 16) & 255)
    const d = 2048 + 2 * (low >>> 24)
    const e = 1536 + 2 * (high & 255)
    const f = 1024 + 2 * ((high >>> 8) & 255)
    const g = 512 + 2 * ((high >>> 16) & 255)
    const h = 2 * (high >>> 24)
    low = TABLES[a] ^ TABLES[b] ^ TABLES[c] ^ TABLES[d] ^ TABLES[e] ^ TABLES[f] ^ TABLES[g] ^ TABLES[h]
    high =
      TABLES[a + 1] ^
      TABLES[b + 1] ^
      TABLES[c + 1] ^
      TABLES[d + 1] ^
      TABLES[e + 1] ^
      TABLES[f + 1] ^
      TABLES[g + 1] ^
      TABLES[h + 1]
  }
  for (; at < end; at++) {
    const index = 2 * ((low ^ bytes[at]) & 255)
    low = ((low >>> 8) | (high << 24)) ^ TABLES[index]
    high = (high >>> 8) ^ TABLES[index + 1]
  }
}

const bytes = new Uint8Array(SIZE)
const random = generator(1)
for (let i = 0; i < SIZE; i++) bytes[i] = random() * 256

function measure(name: string, run: () => bigint): void {
  let best = Number.POSITIVE_INFINITY
  let crc = 0n
  for (let round = 0; round < 7; round++) {
    const start = performance.now()
    crc = run()
    best = Math.min(best, performance.now() - start)
  }
  const speed = (SIZE / best / 1000).toFixed(0)
  console.log(`${name.padEnd(24)} ${speed.padStart(6)} MB/s  ${crc.toString(16).padStart(16, '0')}`)
}

const start = performance.now()
new Crc64().update(bytes, 0, 1)
console.log(`${'first use'.padEnd(24)} ${(performance.now() - start).toFixed(2).padStart(6)} ms`)
measure('WebAssembly', () => {
  const crc = new Crc64()
  for (let at = 0; at < SIZE; at += CHUNK) crc.update(bytes, at, Math.min(at + CHUNK, SIZE))
  return crc.value()
})
measure('tables of 32-bit halves', () => {
  low = 0
  high = 0
  for (let at = 0; at < SIZE; at += CHUNK) halves(bytes, at, Math.min(at + CHUNK, SIZE))
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0)
})
