import { expect, it } from 'vitest'
import { Memory } from '../../src/keyspace/memory.ts'
import { Texts } from '../../src/keyspace/texts.ts'
import { Slice } from '../../src/values/slice.ts'
import { generator } from './replaying.ts'

const SIZES = [
  1,
  15,
  1024,
  4095,
  4096,
  4097,
  5120,
  12_345,
  (128 << 10) + 1,
  4 << 20,
  (16 << 20) + 1,
  (16 << 20) + 5000,
]

function bytesOf(size: number): Buffer {
  const random = generator(size)
  return Buffer.from(Uint8Array.from({ length: size }, () => 1 + random(255)))
}

it.each(SIZES)('gives back a text of %i bytes, whole and in parts, and all of its memory', size => {
  const memory = new Memory()
  const texts = new Texts(memory)
  const bytes = bytesOf(size)
  const ref = texts.add(bytes, 0, size)
  const slice = new Slice()
  texts.read(ref, size, 0, size, slice)
  expect(Buffer.compare(slice.copy(), bytes)).toBe(0)
  texts.read(ref, size, size >> 1, size, slice)
  expect(Buffer.compare(slice.copy(), bytes.subarray(size >> 1))).toBe(0)
  expect(texts.equals(ref, new Slice().set(bytes))).toBe(true)
  const changed = Buffer.from(bytes)
  changed[size - 1] ^= 1
  expect(texts.equals(ref, new Slice().set(changed))).toBe(false)
  const copy = texts.copy(ref, size)
  texts.setByte(ref, size, 0, bytes[0] ^ 1)
  expect(texts.byte(copy, size, 0)).toBe(bytes[0])
  texts.free(ref, size)
  texts.free(copy, size)
  const used = memory.size
  const again = texts.add(bytes, 0, size)
  texts.free(texts.copy(again, size), size)
  expect(memory.size).toBe(used)
})

it('grows from any length to any other, with zeros behind', () => {
  for (const before of SIZES) {
    for (const after of SIZES) {
      if (after <= before) continue
      const texts = new Texts(new Memory())
      const bytes = bytesOf(before)
      const ref = texts.extend(texts.add(bytes, 0, before), before, after)
      texts.write(ref, after, after - 1, Buffer.from('!'), 0, 1)
      const slice = new Slice()
      texts.read(ref, after, 0, after, slice)
      const expected = Buffer.alloc(after)
      bytes.copy(expected)
      expected[after - 1] = 0x21
      expect(Buffer.compare(slice.copy(), expected)).toBe(0)
    }
  }
})

it('takes no memory for what is only zeros', () => {
  const memory = new Memory()
  const texts = new Texts(memory)
  const size = 2 ** 32
  const ref = texts.create(size)
  texts.setByte(ref, size, size - 1, 7)
  expect(texts.byte(ref, size, size - 1)).toBe(7)
  expect(texts.byte(ref, size, size / 2)).toBe(0)
  expect(memory.size).toBeLessThan(1 << 18)
})

it('takes about 3 KiB for a byte far out, and 2 more when there was something at the beginning', () => {
  for (const before of [0, 1]) {
    const memory = new Memory()
    const texts = new Texts(memory)
    const size = 2 ** 25
    for (let i = 0; i < 1000; i++) {
      const ref = texts.extend(texts.add(Buffer.from('x'), 0, before), before, size)
      texts.setByte(ref, size, size - 1, 7)
    }
    expect(memory.size / 1000).toBeLessThan(before === 0 ? 3200 : 5400)
  }
})
