import { readFile } from 'node:fs/promises'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import initWabt from 'wabt'
import { FormatError } from '../../../src/bytes/errors.ts'
import { LZF_MODULE } from '../../../src/rdb/encodings/lzf.generated.ts'
import { compressLzf, decompressLzf, decompressLzfInto, LzfCheck } from '../../../src/rdb/encodings/lzf.ts'
import { lengthAt, lengthSize } from '../../../src/rdb/length.ts'
import { Slice } from '../../../src/values/slice.ts'
import { everySplit } from '../../helpers/chunks.ts'
import { foundServers } from '../../helpers/servers.ts'
import { noise } from '../build.ts'

/** Bytes that the WebAssembly module takes at once. */
const BLOCK = 262_144
const FILLED = 0xa5

/** Compressed, or undefined where that saves too little; nothing else in the target may change. */
function compress(text: Uint8Array): Uint8Array | undefined {
  const room = Math.max(text.length - 4, 0)
  const target = new Uint8Array(5 + room + 5).fill(FILLED)
  const size = compressLzf(
    Buffer.concat([Buffer.of(1, 2, 3), text, Buffer.of(4)]),
    3,
    3 + text.length,
    target,
    5,
  )
  expect(size).toBeLessThanOrEqual(room)
  const around = [...target.subarray(0, 5), ...target.subarray(5 + room)]
  expect(around.every(byte => byte === FILLED)).toBe(true)
  return size === 0 ? undefined : target.slice(5, 5 + size)
}

/** As the format says; undefined for what it does not allow. */
function plainly(source: Uint8Array, size: number): Buffer | undefined {
  const text: number[] = []
  for (let at = 0; at < source.length; ) {
    const control = source[at++]
    if (control < 32) {
      if (at + control >= source.length) return undefined
      for (const end = at + control + 1; at < end; ) text.push(source[at++])
    } else {
      let count = (control >> 5) + 2
      if (count === 9) count += source[at++]
      const from = text.length - ((control & 31) << 8) - source[at++] - 1
      if (at > source.length || from < 0) return undefined
      for (let i = 0; i < count; i++) text.push(text[from + i])
    }
    if (text.length > size) return undefined
  }
  return text.length === size ? Buffer.from(text) : undefined
}

function decompressed(source: Uint8Array, size: number): Buffer | undefined {
  return typed(() => Buffer.from(decompressLzf(source, 0, source.length, size, 7)))
}

function checked(pieces: readonly Uint8Array[], size: number): true | undefined {
  return typed(() => {
    const check = new LzfCheck()
    check.begin(
      pieces.reduce((sum, piece) => sum + piece.length, 0),
      size,
      7,
    )
    for (const piece of pieces) check.feed(piece, 0, piece.length)
    return true
  })
}

function typed<T>(run: () => T): T | undefined {
  try {
    return run()
  } catch (error) {
    expect(error).toBeInstanceOf(FormatError)
    expect(error).toMatchObject({ code: 'rdb.lzf', kind: 'corrupt', offset: 7 })
    return undefined
  }
}

function sentences(size: number): Buffer {
  const words = 'a server writes what it knows into one file and another reads it again'.split(' ')
  const random = noise(size)
  let text = ''
  for (let i = 0; text.length < size; i++) text += `${words[random[i] % words.length]}${random[i] % 7} `
  return Buffer.from(text.slice(0, size))
}

const texts = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc.array(fc.constantFrom(97, 98), { maxLength: 900 }).map(list => Uint8Array.from(list)),
  fc
    .array(fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 40 }), fc.integer({ min: 1, max: 30 })), {
      maxLength: 8,
    })
    .map(list => Buffer.concat(list.flatMap(([piece, times]) => new Array<Uint8Array>(times).fill(piece)))),
)

/** A run or a reference, encoded. */
const items = fc.oneof(
  fc.uint8Array({ minLength: 1, maxLength: 32 }).map(run => [run.length - 1, ...run]),
  fc
    .tuple(fc.integer({ min: 1, max: 7 }), fc.nat(255), fc.oneof(fc.nat(40), fc.nat(8191)))
    .map(([length, more, distance]) =>
      length < 7
        ? [(length << 5) | (distance >> 8), distance & 255]
        : [0xe0 | (distance >> 8), more, distance & 255],
    ),
)

const streams = fc
  .tuple(fc.uint8Array({ minLength: 1, maxLength: 32 }), fc.array(items, { maxLength: 60 }))
  .map(([run, rest]) => Uint8Array.from([run.length - 1, ...run, ...rest.flat()]))

describe('compressLzf', () => {
  it('makes something smaller that becomes the same again, or nothing', () => {
    fc.assert(
      fc.property(texts, text => {
        const compressed = compress(text)
        if (compressed !== undefined) expect(plainly(compressed, text.length)).toEqual(Buffer.from(text))
      }),
    )
  })

  it.each([
    ['one block', BLOCK],
    ['one block and a byte', BLOCK + 1],
    ['one block and three bytes', BLOCK + 3],
    ['three blocks', 3 * BLOCK - 5],
  ])('compresses %s of text, zeros, and text behind noise', (_what, size) => {
    for (const text of [
      sentences(size),
      Buffer.alloc(size),
      Buffer.concat([noise(size >> 1), sentences(size - (size >> 1))]),
    ]) {
      const compressed = compress(text)!
      expect(compressed.length).toBeLessThan(size * 0.9)
      expect(decompressed(compressed, size)?.equals(text)).toBe(true)
    }
  })

  it('gives nothing for noise of any size, nor for what is too short', () => {
    for (const size of [0, 1, 2, 3, 4, 5, 30, 1000, BLOCK, BLOCK + 1])
      expect(compress(noise(size))).toBeUndefined()
  })

  it('saves four bytes or gives nothing', () => {
    // Seven letters as they are take eight bytes, and so many more of them two.
    const [run, reference] = [1, 2]
    expect(compress(Buffer.from('abcdefgabcdefg'))).toHaveLength(7 + run + reference)
    expect(compress(Buffer.from('abcdefgabcdef'))).toBeUndefined()
  })

  it('refers 8192 bytes back and no further', () => {
    const text = (between: number) =>
      Buffer.concat([Buffer.from('the same'), noise(between, 1), Buffer.from('the same')])
    // 8192 bytes of noise take 8448, whatever is saved behind them: only the zeros make it worth the while.
    const zeros = Buffer.alloc(1000)
    const near = compress(Buffer.concat([text(8184), zeros]))!
    const far = compress(Buffer.concat([text(8185), zeros]))!
    expect(plainly(near, 9200)).toEqual(Buffer.concat([text(8184), zeros]))
    expect(plainly(far, 9201)).toEqual(Buffer.concat([text(8185), zeros]))
    expect(far.length - near.length).toBe(1 + 8 - 2)
  })

  it('gives the same whatever was compressed before, however much that was', () => {
    const text = sentences(3000)
    const first = compress(text)
    const target = new Uint8Array(1)
    // Places are counted in 31 bits, 8,193 and more for each string: so they begin anew.
    for (let i = 0; i < 265_000; i++) {
      compressLzf(text, i % 1000, (i % 1000) + 5, target, 0)
      if (i % 5000 === 0) expect(compress(text)).toEqual(first)
    }
    expect(compress(text)).toEqual(first)
    const zeros = Buffer.alloc(100)
    expect(compress(zeros)).toEqual(compress(zeros))
  })
})

describe('decompressLzf and LzfCheck', () => {
  it('do what the format says with every run and reference', () => {
    fc.assert(
      fc.property(streams, fc.nat(3), (source, more) => {
        const size = (plainly(source, Infinity)?.length ?? 100) + more
        const expected = plainly(source, size)
        expect(decompressed(source, size)).toEqual(expected)
        expect(checked([source], size)).toBe(expected === undefined ? undefined : true)
      }),
      { numRuns: 500 },
    )
  })

  it('repeat from every distance, any number of times', () => {
    for (let distance = 1; distance <= 33; distance++)
      for (let count = 3; count <= 264; count += distance < 17 ? 1 : 13) {
        const run = Array.from({ length: 32 }, (_, i) => i)
        const reference = count < 9 ? [((count - 2) << 5) | 0, distance - 1] : [0xe0, count - 9, distance - 1]
        // One behind the other: what the first wrote too much must not show.
        const source = Uint8Array.from([31, ...run, 0, 99, ...reference, 0, 98, 0x20, 0])
        const size = 32 + 1 + count + 1 + 3
        expect(decompressed(source, size)).toEqual(plainly(source, size)!)
      }
  })

  it('agree about compressed text that was changed, cut or lengthened, and about wrong sizes', () => {
    const change = fc.record({
      at: fc.nat(),
      byte: fc.nat(255),
      cut: fc.constantFrom(0, 0, 0, 1, 2, 5),
      more: fc.constantFrom(0, 0, 0, -1, 1, 100),
    })
    let bad = 0
    fc.assert(
      fc.property(texts, change, (text, { at, byte, cut, more }) => {
        const compressed = compress(text)
        if (compressed === undefined) return
        compressed[at % compressed.length] = byte
        const source = compressed.subarray(0, compressed.length - cut)
        const size = Math.max(0, text.length + more)
        const expected = plainly(source, size)
        if (expected === undefined) bad++
        expect(decompressed(source, size)).toEqual(expected)
        const half = source.length >> 1
        expect(checked([source.subarray(0, half), source.subarray(half)], size)).toBe(
          expected === undefined ? undefined : true,
        )
      }),
      { numRuns: 500 },
    )
    expect(bad).toBeGreaterThan(50)
  })

  it('agree about any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat(3000), (source, size) => {
        const expected = plainly(source, size)
        expect(decompressed(source, size)).toEqual(expected)
        expect(checked([source], size)).toBe(expected === undefined ? undefined : true)
      }),
    )
  })

  it('say the same about each kind of damage', () => {
    for (const [source, size] of [
      [[3, 97], 4],
      [[0, 97, 0x20], 4],
      [[0, 97, 0xe0, 5], 15],
      [[0, 97, 0x20, 1], 4],
      [[1, 97, 97], 1],
      [[0, 97, 0x20, 0], 2],
      [[0, 97], 2],
      [[0, 97], 2 ** 40],
      [[], 1],
    ] as [number[], number][]) {
      const bytes = Uint8Array.from(source)
      const message = (run: () => void) => {
        try {
          run()
        } catch (error) {
          return (error as FormatError).message
        }
        return 'all is well'
      }
      const said = message(() => decompressLzf(bytes, 0, bytes.length, size, 0))
      expect(said).toMatch(/^compressed string \(\d+ bytes\): it /)
      expect(
        message(() => {
          const check = new LzfCheck()
          check.begin(bytes.length, size, 0)
          check.feed(bytes, 0, bytes.length)
        }),
      ).toBe(said)
    }
  })

  it('take what is longer than a block, compressed or not', () => {
    for (const text of [
      sentences(5 * BLOCK + 17),
      Buffer.alloc(20 * BLOCK),
      Buffer.concat([noise(BLOCK), sentences(BLOCK)]),
    ]) {
      const compressed = compress(text)!
      expect(decompressed(compressed, text.length)?.equals(text)).toBe(true)
      expect(checked([compressed], text.length)).toBe(true)
      expect(decompressed(compressed, text.length - 1)).toBeUndefined()
      expect(decompressed(compressed, text.length + 1)).toBeUndefined()
      expect(decompressed(compressed.subarray(0, -1), text.length)).toBeUndefined()
      expect(checked([compressed.subarray(0, -1)], text.length)).toBeUndefined()
    }
  })

  it('refer back over the end of a block', () => {
    const filler = Array.from({ length: BLOCK / 32 }, (_, i) => [31, ...noise(32, i)]).flat()
    // 8192 bytes back from 10 bytes behind the end of the block, and from its very end.
    for (const [run, distance] of [
      [[9, ...noise(10)], 8191],
      [[], 8191],
      [[], 0],
    ] as const) {
      const source = Uint8Array.from([...filler, ...run, 0xe0 | (distance >> 8), 255, distance & 255])
      const size = BLOCK + Math.max(0, run.length - 1) + 264
      expect(decompressed(source, size)?.equals(plainly(source, size)!)).toBe(true)
    }
  })

  it('hands out a slice of its own', () => {
    const slice = new Slice()
    const text = sentences(300)
    const compressed = compress(text)!
    decompressLzfInto(slice, compressed, 0, compressed.length, 300, 0)
    expect(Buffer.from(slice.copy())).toEqual(text)
    expect(() => decompressLzfInto(slice, compressed, 0, compressed.length, 2 ** 50, 9)).toThrow(FormatError)
  })

  it('is checked in pieces of any size', () => {
    const source = Uint8Array.from([2, 97, 98, 99, 0x20, 0, 0xe0, 3, 4])
    for (const pieces of everySplit(source)) expect(checked([...pieces], 18)).toBe(true)
    expect(checked([source], 17)).toBeUndefined()
  })

  it('refuses a size that no memory holds, however much is compressed', () => {
    const compressed = new Uint8Array(50_000_000)
    for (const decompress of [
      () => decompressLzf(compressed, 0, compressed.length, 2 ** 32, 7),
      () => decompressLzfInto(new Slice(), compressed, 0, compressed.length, 2 ** 32, 7),
    ])
      expect(decompress).toThrow(expect.objectContaining({ code: 'rdb.lzf', offset: 7 }))
  })

  it('counts sizes that no memory holds', () => {
    const check = new LzfCheck()
    const piece = new Uint8Array(3 * 100_000)
    for (let at = 0; at < piece.length; at += 3) piece.set([0xe0, 255, 0], at)
    const pieces = 160
    check.begin(2 + pieces * piece.length, 1 + pieces * 100_000 * 264, 0)
    check.feed(Uint8Array.of(0, 97), 0, 2)
    for (let i = 1; i < pieces; i++) check.feed(piece, 0, piece.length)
    expect(() => check.feed(piece, 0, piece.length - 3)).not.toThrow()
    expect(() => check.feed(Uint8Array.of(0xe0, 254, 0), 0, 3)).toThrow(
      /becomes 4224000000 bytes, not the 4224000001/,
    )
  })
})

describe('the WebAssembly module', () => {
  it('is what lzf.wat assembles to', async () => {
    const wabt = await initWabt()
    const wat = await readFile('src/rdb/encodings/lzf.wat', 'utf8')
    const { buffer } = wabt.parseWat('lzf.wat', wat, { bulk_memory: true, simd: true }).toBinary({})
    expect(LZF_MODULE, 'run `node scripts/make-wasm.js`').toBe(Buffer.from(buffer).toString('base64'))
  })
})

describe.each(foundServers())('%s', server => {
  it('compresses the same strings to about the same size', async () => {
    const strings = [
      ...[21, 40, 100, 300, 1000, 8000, 70_000, 600_000].map(sentences),
      ...[21, 60, 9000].map(size => Buffer.alloc(size, 'ab')),
      ...[30, 3000].map(size => noise(size)),
      Buffer.from(
        JSON.stringify(
          Array.from({ length: 200 }, (_, id) => ({ id, name: `user ${id * 7919}`, on: id % 2 })),
        ),
      ),
    ]
    const loaded = await server.load(Buffer.alloc(0), { args: ['--replicaof', 'no', 'one'] })
    let [ours, theirs] = [0, 0]
    try {
      for (const text of strings) {
        await loaded.query('SET', 'key', text)
        const dump = (await loaded.query('DUMP', 'key')) as Buffer
        const compressed = compress(text)
        // The type, the string, version and checksum.
        const encoded = dump.subarray(1, -10)
        if (encoded[0] !== 0xc3) {
          expect(compressed, `${text.length} bytes`).toBeUndefined()
          continue
        }
        const second = 1 + lengthSize(encoded[1])
        const size = lengthAt(encoded, 1)
        const body = encoded.subarray(second + lengthSize(encoded[second]))
        expect(body).toHaveLength(size)
        expect(decompressed(body, text.length)?.equals(text)).toBe(true)
        expect(compressed!.length, `${text.length} bytes`).toBeLessThanOrEqual(size * 1.02 + 2)
        ours += compressed!.length
        theirs += size
      }
    } finally {
      await loaded.stop()
    }
    expect(ours / theirs).toBeLessThan(1.01)
  })
})
