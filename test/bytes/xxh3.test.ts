import { describe, expect, it } from 'vitest'
import { xxh3 } from '../../src/bytes/xxh3.ts'

// What the reference implementation gives for `abcabc…` of each length, one or more for each of its ways.
const HASHES: [length: number, hash: string][] = [
  [0, '2d06800538d394c2'],
  [1, 'e6c632b61e964e1f'],
  [3, '78af5f94892f3950'],
  [4, '7f19cb4037cc496f'],
  [8, '52cd515c332f6c23'],
  [9, '13dd3f95c5b9b197'],
  [16, 'c0f3723d394267bf'],
  [17, '1f2bbb698bd6908a'],
  [32, 'c599e486418b6d31'],
  [33, '4b5573d618bc7629'],
  [64, '59ec2a2b7eb5d8a8'],
  [65, '25f488b1cfac9c06'],
  [96, 'a320f73ad3085a3a'],
  [97, '1e97b39830c00d39'],
  [128, '2cd5bb991419a058'],
  [129, '9f902614ababf941'],
  [200, '8591535567f1f4b6'],
  [240, '3aae89411f56ad96'],
  [241, '44bc371aea22e8eb'],
  [512, '1257dbdf5e711bc2'],
  [1024, 'b7b85fa35077678f'],
  [1025, '0c09f0a6ad64b9fb'],
  [3000, '1fa2f942314cd628'],
]

describe('xxh3', () => {
  it.each(HASHES)('hashes %i bytes as the reference implementation does', (length, hash) => {
    expect(xxh3(Buffer.alloc(length, 'abc')).toString(16).padStart(16, '0')).toBe(hash)
  })

  it('hashes bytes in the middle of a buffer', () => {
    const bytes = Buffer.alloc(100, 'abc')
    expect(xxh3(Buffer.concat([Buffer.from('xxx'), bytes]).subarray(3))).toBe(xxh3(bytes))
  })
})
