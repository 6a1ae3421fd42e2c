import { expect, it } from 'vitest'
import { at, LARGEST, Memory, type Ref, segmentOf } from '../../src/keyspace/memory.ts'
import { generator } from './replaying.ts'

it('gives every block to one owner only, and leaves its bytes alone until it is freed', () => {
  const random = generator(1)
  const memory = new Memory()
  const blocks: { ref: Ref; size: number; mark: number }[] = []
  const check = ({ ref, size, mark }: (typeof blocks)[number]) => {
    const bytes = memory.bytes[segmentOf(ref)].subarray(at(ref), at(ref) + size)
    expect(bytes.every(byte => byte === mark)).toBe(true)
  }
  for (let i = 0; i < 20_000; i++) {
    if (blocks.length > 0 && random(100) < 45) {
      const [block] = blocks.splice(random(blocks.length), 1)
      check(block)
      memory.free(block.ref)
    } else {
      const size = random(10) === 0 ? 1 + random(LARGEST) : 1 + random(200)
      const ref = memory.allocate(size)
      expect(memory.capacity(ref)).toBeGreaterThanOrEqual(size)
      const mark = random(256)
      memory.bytes[segmentOf(ref)].fill(mark, at(ref), at(ref) + size)
      blocks.push({ ref, size, mark })
    }
  }
  blocks.forEach(check)
})

it('uses the pages of blocks that are gone for blocks of another size', () => {
  const memory = new Memory()
  for (let size = 16; size <= LARGEST; size += 16) {
    const refs = Array.from({ length: 500 }, () => memory.allocate(size))
    for (const ref of refs) memory.free(ref)
  }
  // 500 blocks of the largest size, and a page that each size keeps.
  expect(memory.size).toBeLessThan(500 * LARGEST + 40 * 65536)
})

it('keeps the bytes of a block that gets larger', () => {
  const memory = new Memory()
  let ref = memory.allocate(16)
  memory.bytes[segmentOf(ref)].set(Buffer.from('sixteen bytes..!'), at(ref))
  for (let size = 32; size <= LARGEST; size *= 2) ref = memory.resize(ref, 16, size)
  expect(Buffer.from(memory.bytes[segmentOf(ref)].subarray(at(ref), at(ref) + 16)).toString()).toBe(
    'sixteen bytes..!',
  )
})
