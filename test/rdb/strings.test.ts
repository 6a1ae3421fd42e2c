import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FormatError } from '../../src/bytes/errors.ts'
import { decompressLzf } from '../../src/rdb/encodings/lzf.ts'
import { lengthAt, lengthSize } from '../../src/rdb/length.ts'
import { decodeString, stringEnd, stringHead } from '../../src/rdb/strings.ts'
import { bytes, len, str } from './build.ts'

/** Greedy and slow: each run or reference as long as it can be. */
function compress(text: Uint8Array): Buffer {
  const pieces: Uint8Array[] = []
  let run = 0
  const flush = (at: number) => {
    for (; run > 0; ) {
      const count = Math.min(run, 32)
      pieces.push(Buffer.of(count - 1), text.subarray(at - run, at - run + count))
      run -= count
    }
  }
  for (let at = 0; at < text.length; ) {
    let [length, distance] = [0, 0]
    for (let from = Math.max(0, at - 8192); from < at; from++) {
      let same = 0
      while (same < 264 && at + same < text.length && text[from + same] === text[at + same]) same++
      if (same > length) [length, distance] = [same, at - from - 1]
    }
    if (length < 3) {
      run++
      at++
      continue
    }
    flush(at)
    const high = distance >> 8
    if (length < 9) pieces.push(Buffer.of(((length - 2) << 5) | high, distance & 255))
    else pieces.push(Buffer.of(0xe0 | high, length - 9, distance & 255))
    at += length
  }
  flush(text.length)
  return Buffer.concat(pieces)
}

const texts = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc.array(fc.constantFrom(97, 98), { maxLength: 600 }).map(list => Uint8Array.from(list)),
)

describe('decompressLzf', () => {
  it('gives back what was compressed', () => {
    fc.assert(
      fc.property(texts, text => {
        const compressed = compress(text)
        expect(Buffer.from(decompressLzf(compressed, 0, compressed.length, text.length, 0))).toEqual(
          Buffer.from(text),
        )
      }),
    )
  })

  it('takes references of every distance and length', () => {
    const text = Buffer.concat([
      Buffer.from('start'),
      Buffer.alloc(8180, 120),
      Buffer.from('start'.repeat(60)),
    ])
    const compressed = compress(text)
    expect(Buffer.from(decompressLzf(compressed, 0, compressed.length, text.length, 0))).toEqual(text)
  })

  it.each([
    ['that ends inside a run', [3, 97], 4],
    ['that ends inside a short reference', [0, 97, 0x20], 4],
    ['that ends inside a long reference', [0, 97, 0xe0, 5], 4],
    ['that refers to before its beginning', [0, 97, 0x20, 1], 4],
    ['that becomes longer by a run', [1, 97, 97], 1],
    ['that becomes longer by a reference', [0, 97, 0x20, 0], 2],
    ['that becomes shorter', [0, 97], 2],
    ['that cannot become as long', [0, 97], 2 ** 40],
    ['that is empty', [], 1],
  ])('refuses one %s', (_what, compressed, size) => {
    const source = Uint8Array.from(compressed as number[])
    expect(() => decompressLzf(source, 0, source.length, size as number, 77)).toThrow(
      expect.objectContaining({ name: 'FormatError', code: 'rdb.lzf', offset: 77 }),
    )
  })

  it('gives a typed error, or exactly the size that was claimed, for any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat(5000), (source, size) => {
        try {
          expect(decompressLzf(source, 0, source.length, size, 0)).toHaveLength(size)
        } catch (error) {
          expect(error).toBeInstanceOf(FormatError)
        }
      }),
    )
  })
})

describe('strings', () => {
  const forms: [form: string, encoded: Buffer, text: string][] = [
    ['6-bit length', str('text'), 'text'],
    ['empty', str(''), ''],
    ['14-bit length', str('x'.repeat(64)), 'x'.repeat(64)],
    ['32-bit length', str('x'.repeat(20_000)), 'x'.repeat(20_000)],
    ['64-bit length', bytes(0x81, 0, 0, 0, 0, 0, 0, 0, 1, 97), 'a'],
    ['8 bits', bytes(0xc0, 0x80), '-128'],
    ['16 bits', bytes(0xc1, 0xff, 0x7f), '32767'],
    ['16 bits, negative', bytes(0xc1, 0, 0x80), '-32768'],
    ['32 bits', bytes(0xc2, 0, 0, 0, 0x80), '-2147483648'],
    ['compressed', bytes(0xc3, len(5), len(10), Buffer.of(0, 97, 0xe0, 0, 0)), 'aaaaaaaaaa'],
  ]

  it.each(forms)('of the form %s are found and decoded', (_form, encoded, text) => {
    const around = bytes(7, encoded, 9)
    const head = stringHead(around, 1, around.length, 0)!
    expect(1 + head.size + head.body).toBe(1 + encoded.length)
    expect([-1, 1 + encoded.length]).toContain(stringEnd(around, 1))
    const decoded = decodeString(around, 1, 1 + encoded.length, 0)
    expect(Buffer.from(decoded).toString('latin1')).toBe(text)
  })

  it('are found when the compressed part has a long length', () => {
    for (const size of [64, 20_000]) {
      const encoded = bytes(0xc3, len(size), len(size), Buffer.alloc(size))
      expect([-1, encoded.length]).toContain(stringEnd(encoded, 0))
      expect(stringHead(encoded, 0, encoded.length, 0)).toEqual({ size: encoded.length - size, body: size })
    }
  })

  it('are not found as long as their head is cut', () => {
    for (const [, encoded] of forms) {
      const { size } = stringHead(encoded, 0, encoded.length, 0)!
      for (let end = 0; end < size; end++) expect(stringHead(encoded, 0, end, 0)).toBeUndefined()
    }
  })
})

describe('lengths', () => {
  it('are read in each form', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), value => {
        const encoded = len(value)
        expect(lengthSize(encoded[0])).toBe(encoded.length)
        expect(lengthAt(encoded, 0)).toBe(value)
      }),
    )
  })
})
