import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { crc32, deflateRawSync, gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compressionOf } from '../../src/bytes/compression.ts'
import { FormatError, JobError } from '../../src/bytes/errors.ts'
import { decompressGzip } from '../../src/bytes/gzip.ts'
import { openSource } from '../../src/bytes/open.ts'
import { BufferSource } from '../../src/bytes/source.ts'
import { Xxh64 } from '../../src/bytes/xxh64.ts'
import { decompressZstd } from '../../src/bytes/zstd.ts'
import { bundleScript } from '../helpers/child.ts'
import { temporaryFolder } from '../helpers/temp.ts'

type Decompress = typeof decompressGzip

interface Result {
  readonly text: string
  /** `code at offset` of what was thrown after that. */
  readonly failure: string | undefined
}

async function run(
  decompress: Decompress,
  bytes: Uint8Array,
  splits: readonly number[] = [],
): Promise<Result> {
  let text = ''
  try {
    for await (const piece of decompress(new BufferSource(bytes, { splits }))) {
      text += Buffer.from(piece).toString('latin1')
    }
    return { text, failure: undefined }
  } catch (error) {
    if (error instanceof FormatError)
      return { text, failure: `${error.kind} ${error.code} at ${error.offset}` }
    if (error instanceof JobError) return { text, failure: error.code }
    throw error
  }
}

/** Commands with repeated words: enough of it for every part of zstd's format. */
function sample(): string {
  const words =
    'the of and to in is was for on that with as his they at be this from have or by one had not but what all were when'.split(
      ' ',
    )
  let state = 1
  const random = (limit: number): number => {
    state = (state * 48271) % 2147483647
    return state % limit
  }
  let text = ''
  for (let line = 0; line < 150; line++) {
    const value = Array.from({ length: 3 + random(9) }, () => words[random(words.length)]).join(' ')
    text += `*3\r\n$3\r\nSET\r\n$6\r\nkey:${10 + random(90)}\r\n$${value.length}\r\n${value}\r\n`
  }
  return text
}

/** Bytes that cannot be compressed, the same each time. */
function noise(length: number): Buffer {
  const bytes = Buffer.alloc(length)
  let state = 1
  for (let index = 0; index < length; index++) {
    state = (state * 48271) % 2147483647
    bytes[index] = state >> 8
  }
  return bytes
}

const SAMPLE = sample()
/** `zstd -19 --check`, 1.5.4: Huffman codes, four streams, tables of its own for all kinds of code. */
const SAMPLE_ZSTD = Buffer.from(
  'KLUv/QRoTT8AxhhFHGBrddgYUb0IUY08DGUdUDKAW+4mcvKWRFMBxwFCAD0AOQC9MpHYo3RsHMUXeN6neb2nV+kDkNrq5ac0mD3L' +
    'oUMH4C2vcfinSU6fDxOVPhzPSw6AysABQGrQPMQBWAZCIXAAVBDZlsXgHcM/q3q6WKTInEOKJiwxtvxAJiIc3+mdEuoFE1068DaS' +
    'n2CSrOXZFB5WOY+PINck2ZLzGKughD8xyzX3fXjHktlepyu1tJ7qnDQ9SazqCTVvTMwcao4jY9c0/ILIeguVDQKXlbrKVJRoxrQ8' +
    'Iq21ItuoiZ+r1L6xRrJkq7Hj1GnGZzqqRxaV7yev1RiuQ+me9PyVjNJeoquXLYYh7Owa9zbEEDsg+6WprtsKg2moorUrSSpbuwFi' +
    'EIRhOCBNpFX5QhgZVDdWIIGIxEkgJDM7Y16/JvER3Xe1WhLze9U35vKh32d75XM8Fmn7MRb7qruN/7EnMUFAL2evOgsudXPrxNCV' +
    '4tGCkQIbZMmP5Ekc8IdHPTSLmES8Gqdi5On+rYRBYsyIJHJZJeJS/UThA4fKEJSs3W1kGQaFiDfb41ZSnA8g9vHP5TEBQe+Mml2Q' +
    'U1bfckq+8rD37YWlorml/q94lF8CSIXWtDpSP9ZUG3D5XRw+QVMnkLrHiVxGL3oxNFwq1xEsuFHKpSsvR3dJqG0xh9SJd5qkWYF1' +
    'EP4d8F7pfAdYUZQWyuFYeVV/VPl5O/UWlqnnRzXADxmRrzS2YgudJR4BIiWmez8dl6xtF1KASF6H7DXiiNMUbbx+Qr/8yakoiH6Q' +
    '8g8ASG0hrbmrhz2KXuoVmwNHh5erOZkLBzyuaRAMy5Vy0w5JBJa0wMiYtEetRdo/c1BP0GpogYsl4Mdd1IVLnq+XpT35bhTEqgpg' +
    'KE05rt1qebKhhdWa3Fy1u90w9r53Pov34mQYQDoN/D0YAnPzImhwnk7ohFeQF6wiOMLegqHNVlvhoEJUVKkbii08xKpV5xVburwG' +
    'EeRhON1l1ldZB9ZG4BYnKIrNn0cBBVXZrd6BUG8V7rgZj0GlfgALiOfEFrQpYHV+UB79WgGgUZkKiQEYkqYDml4Dm+MgkWQzcqNI' +
    'NNFo9nSH4TYRkSzMifUPUSa2AuuLqsBpVuxgiOFrVWESJh5DfDzTMPzBbw/O3YsKxz4ZIpksHGxQGYeI4MOPke6dogweUDGqIfzu' +
    'G6VetEZOCeMhqYM1hgj+bqdU7BG3RFcvuaPhD3cOpwUNdc4KS7aowv8vZUYNJfWvAoZyEwi6SlxMIOEWI0fri4klILHaxjg2r13G' +
    'nyJ73fgUdXmSIK018UeOT7UYPb/ORX3D+lkkZ4xR2RUXQmCSJ2W2phL/ZUzBmiPLg28Fe6L2dlMgM1X9FRLpN/AfC/1Z0RXSjF7/' +
    'RtPJI+8rWRrqrRYExdBonXRZ7kZO27Eish+H5WMi6+gAdFcflwwJDKq6O3sbMLpWlzkQEXHOvmbVmOfEstb3wxFWGwnbiAEJLzLv' +
    'XDbzeggmQdscVKGfLhRbp6V6ZgfkV9gjQhKBuVdBYn5mEo7ugWWvXIKios4L5tKbRwU7AF7RN2o40V78Hwm4dF38E3dGsXAwtNJX' +
    'CkLRAA7lix660C4bQKcSBOYBzkbFqUhITSQh42/+1n2RcjUg2+WWM6mVizwh/1I/YgQVyiDh25YEWKC0CUPnQ7toQZ5LJdMOJePK' +
    't96Uu9z/OMy7bvQWkZNhT3KQhvGo8tUq5ZApRvF0B53zTDiM3IRwp7st3selreTYSwfVIMRFfXH/AjNImY8UXFAfvPmk929MDTsR' +
    'B91vvRy3ZJWR1aU3AC43CvD9M1U/oKpagL95djona0OUZEPNBsyz6HhMpw/VA8lCL48TqiVQhBs4n1K+2Z4S4oL0aA50ky78yokm' +
    'HE6dL5M7bVLqeB5XvvQj4fkp8Kj6yZC694bMtv8CYilALzV9SFdnLkHSpUDH2zJpCmokYtzdptC9ZWQQm1jZJAS+wmqWJhxLCSe2' +
    'okuK4UHzjkRgQOIRHffcj6TGsbKXQYQlwHSttSwz25Cm90/tCIKxbV0HYHoBu/d553hWYznDd4PNUnlZOSt0/UkKATspAZ0lD1Bc' +
    'uT4rhlibkKyREoEPxmlv1v3pCmW9MKGZsK1z6qmlDRDL7N0cDtZqUIUg7wkkgj9t6Zkd0mU6hAqMd4IIGTzAx7oS2iJsZ9GqgZCK' +
    'qt7AzAfhKS+KuiFSMZ9740ceDcFyDhEc1wUjKCux4K7w0AJSMquL2lR4KWlVJE/LkSUdkXtSjLRhHaWjSq+bZ5Emry+A0kxlDCP1' +
    'lJoTYaLDJcFCsBMy37JjCCRo6t/v0GqDrlUnL6bh1rgWexuw+B1hEiUI/I5OHRXMDVrPT2yPYhIbL3hrtbk3QCdBUfZ85wAgY5fA' +
    'HJ0VGB0CRjZDIHBSqyWDbMcq+cEDJU3QPi5A8IgniCn00N+BI/4y6Auv0tRP5ZBoTQBLKLKOTnAV2MiwY+5yPKJerruYFO68idQ9' +
    'LCBCLJ9F8PyiqP36YToAE9qgze1ZOuaV8YrYDh2PP8wdFsnJ1gODOpOAgdm05+c15Vtr2hjTG6CwtzdCYNRLUJBKYSOiJQVfa2zp' +
    'akjRTUwRV7INKgOu67KUA/NWRtZBGAH5DbFgJ83j2MonJ7I2k2Gfi7gduPCEn/ZB6lpiS1k+WsRjCzoiwnGtwUY8lY+dslHIMEBl' +
    'vFstFg3a9OMI2Zqtow==',
  'base64',
)

describe('gzip', () => {
  const text = 'SET key value\r\n'.repeat(20)
  const zipped = gzipSync(text)

  it('is told by its first bytes', () => {
    expect(compressionOf(zipped)).toBe('gzip')
    expect(compressionOf(Buffer.from('*3\r\n'))).toBe(undefined)
    expect(compressionOf(Buffer.of(0x1f, 0x8b))).toBe(undefined)
  })

  it('gives its content, wherever the input is split', async () => {
    for (let split = 0; split <= zipped.length; split++) {
      expect(await run(decompressGzip, zipped, [split])).toEqual({ text, failure: undefined })
    }
    const each = Array.from(zipped.keys())
    expect(await run(decompressGzip, zipped, each)).toEqual({ text, failure: undefined })
  })

  it('may have several members, empty ones too, and zeros behind them', async () => {
    const members = Buffer.concat([zipped, gzipSync(''), gzipSync('more'), gzipSync(''), Buffer.alloc(1000)])
    for (let split = 0; split <= members.length; split += 7) {
      expect(await run(decompressGzip, members, [split])).toEqual({ text: `${text}more`, failure: undefined })
    }
  })

  it('may have every optional field in its header', async () => {
    const header = Buffer.concat([
      Buffer.of(0x1f, 0x8b, 8, 2 | 4 | 8 | 16, 1, 2, 3, 4, 0, 3),
      Buffer.of(5, 0, 0x41, 0, 0, 0x1f, 0x8b),
      Buffer.from('name with \x1f\x8b\0comment\0', 'latin1'),
      Buffer.of(0x12, 0x34),
    ])
    const trailer = Buffer.alloc(8)
    trailer.writeUInt32LE(crc32(text), 0)
    trailer.writeUInt32LE(text.length, 4)
    const member = Buffer.concat([header, deflateRawSync(text), trailer])
    for (let split = 0; split <= member.length; split++) {
      expect(await run(decompressGzip, member, [split])).toEqual({ text, failure: undefined })
    }
  })

  it('is torn, at the member that is cut, at every length that is too short', async () => {
    const two = Buffer.concat([zipped, zipped])
    for (let length = 0; length < two.length; length++) {
      const { text: got, failure } = await run(decompressGzip, two.subarray(0, length))
      expect((text + text).startsWith(got)).toBe(true)
      if (length === 0 || length === zipped.length) expect(failure).toBe(undefined)
      else if (length < 3) expect(failure).toBe('corrupt gzip.trailing at 0')
      else if (length < zipped.length) expect(failure).toBe('torn gzip.truncated at 0')
      else if (length < zipped.length + 3) expect(failure).toBe(`corrupt gzip.trailing at ${zipped.length}`)
      else expect(failure).toBe(`torn gzip.truncated at ${zipped.length}`)
    }
  })

  it('delivers what stands before a cut in the compressed data', async () => {
    const long = Array.from({ length: 50_000 }, (_, index) => `${index}\r\n`).join('')
    const { text: got, failure } = await run(decompressGzip, gzipSync(long).subarray(0, 100_000))
    expect(failure).toBe('torn gzip.truncated at 0')
    expect(long.startsWith(got)).toBe(true)
    expect(got.length).toBeGreaterThan(200_000)
  })

  it('is corrupt when checksum, size, header or data are wrong, or something follows', async () => {
    const damaged = async (at: number, value: number): Promise<Result> => {
      const bytes = Buffer.from(zipped)
      bytes[at] = value
      return run(decompressGzip, bytes)
    }
    const end = zipped.length
    expect(await damaged(end - 5, 0)).toEqual({ text, failure: `corrupt gzip.checksum at ${end - 8}` })
    expect(await damaged(end - 1, 1)).toEqual({ text, failure: `corrupt gzip.size at ${end - 4}` })
    expect(await damaged(3, 0x20)).toEqual({ text: '', failure: 'corrupt gzip.header at 3' })
    expect(await damaged(10, 0xff)).toEqual({ text: '', failure: 'corrupt gzip.data at 10' })
    const followed = (more: string) => run(decompressGzip, Buffer.concat([zipped, Buffer.from(more)]))
    expect(await followed('garbage')).toEqual({ text, failure: `corrupt gzip.trailing at ${end}` })
    expect(await followed('\0\0garbage')).toEqual({ text, failure: `corrupt gzip.trailing at ${end + 2}` })
  })

  it('says exactly where, also far into a file', async () => {
    const long = gzipSync(noise(900_000))
    expect(long.length).toBeGreaterThan(600_000)
    const { failure } = await run(decompressGzip, Buffer.concat([long, Buffer.from('garbage')]))
    expect(failure).toBe(`corrupt gzip.trailing at ${long.length}`)
  })

  it('gives the content or an error, whatever bytes are changed', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(zipped.length - 1), fc.nat(255), async (at, value) => {
        const bytes = Buffer.from(zipped)
        bytes[at] = value
        const { text: got, failure } = await run(decompressGzip, bytes)
        if (failure === undefined) expect(got).toBe(text)
      }),
      { numRuns: 500 },
    )
  })
})

describe('zstd', () => {
  it('is told by its first bytes', () => {
    expect(compressionOf(SAMPLE_ZSTD)).toBe('zstd')
    expect(compressionOf(skippable('x'))).toBe('zstd')
    expect(compressionOf(Buffer.of(0x28, 0xb5, 0x2f))).toBe(undefined)
  })

  it('gives its content, wherever the input is split', async () => {
    for (let split = 0; split <= SAMPLE_ZSTD.length; split += 13) {
      expect(await run(decompressZstd, SAMPLE_ZSTD, [split])).toEqual({ text: SAMPLE, failure: undefined })
    }
    const each = Array.from(SAMPLE_ZSTD.keys())
    expect(await run(decompressZstd, SAMPLE_ZSTD, each)).toEqual({ text: SAMPLE, failure: undefined })
  })

  it('may have frames of all kinds one after the other', async () => {
    const frames = [
      SAMPLE_ZSTD,
      skippable('nothing'),
      frame('raw', 'abc'),
      frame('rle', 'zzzzz'),
      frame('raw', ''),
    ]
    const text = `${SAMPLE}abczzzzz`
    expect(await run(decompressZstd, Buffer.concat(frames))).toEqual({ text, failure: undefined })
    const many = Buffer.concat(
      Array.from({ length: 20_000 }, (_, index) => frame('raw', index % 2 ? 'a' : '')),
    )
    expect(await run(decompressZstd, many)).toEqual({ text: 'a'.repeat(10_000), failure: undefined })
  })

  it('is torn at every length that is too short, at the frame or block that is cut', async () => {
    const two = Buffer.concat([frame('raw', 'abc'), SAMPLE_ZSTD])
    const first = frame('raw', 'abc').length
    for (let length = 0; length < two.length; length += length < 50 || length > two.length - 20 ? 1 : 11) {
      const { text, failure } = await run(decompressZstd, two.subarray(0, length))
      expect(`abc${SAMPLE}`.startsWith(text)).toBe(true)
      if (length === 0 || length === first) expect(failure).toBe(undefined)
      else if (length < 4 || (length > first && length < first + 4))
        expect(failure).toContain('corrupt zstd.trailing')
      else expect(failure).toMatch(/^torn zstd\.truncated at /)
    }
    expect((await run(decompressZstd, two.subarray(0, -1))).failure).toBe(
      `torn zstd.truncated at ${two.length - 4}`,
    )
    expect((await run(decompressZstd, skippable('abc').subarray(0, -1))).failure).toBe(
      'torn zstd.truncated at 0',
    )
  })

  it('is corrupt when its checksum, its size, or a block is wrong, or something follows', async () => {
    const changed = (at: number, value: number): Buffer => {
      const bytes = Buffer.from(SAMPLE_ZSTD)
      bytes[bytes.length + at] = value
      return bytes
    }
    const { length } = SAMPLE_ZSTD
    expect(await run(decompressZstd, changed(-1, SAMPLE_ZSTD[length - 1] ^ 1))).toEqual({
      text: SAMPLE,
      failure: `corrupt zstd.checksum at ${length - 4}`,
    })
    expect((await run(decompressZstd, changed(-10, SAMPLE_ZSTD[length - 10] ^ 1))).failure).toMatch(
      /^corrupt zstd\.(block|checksum) at /,
    )
    const wrongSize = Buffer.from(frame('raw', 'abc'))
    wrongSize[5] = 4
    expect(await run(decompressZstd, wrongSize)).toEqual({ text: 'abc', failure: 'corrupt zstd.size at 0' })
    const reserved = Buffer.from(frame('raw', 'abc'))
    reserved[6] |= 6
    expect(await run(decompressZstd, reserved)).toEqual({ text: '', failure: 'corrupt zstd.block at 6' })
    expect(await run(decompressZstd, Buffer.concat([SAMPLE_ZSTD, Buffer.from('more')]))).toEqual({
      text: SAMPLE,
      failure: `corrupt zstd.trailing at ${length}`,
    })
    const flagged = Buffer.from(SAMPLE_ZSTD)
    flagged[4] |= 8
    expect(await run(decompressZstd, flagged)).toEqual({ text: '', failure: 'corrupt zstd.header at 0' })
  })

  it('gives the content or an error, and soon, whatever bytes are changed', async () => {
    const changes = fc.array(fc.tuple(fc.nat(SAMPLE_ZSTD.length - 1), fc.nat(255)), {
      minLength: 1,
      maxLength: 3,
    })
    await fc.assert(
      fc.asyncProperty(changes, async list => {
        const bytes = Buffer.from(SAMPLE_ZSTD)
        for (const [at, value] of list) bytes[at] = value
        const start = performance.now()
        const { text, failure } = await run(decompressZstd, bytes)
        if (failure === undefined) expect(text).toBe(SAMPLE)
        expect(performance.now() - start).toBeLessThan(1000)
      }),
      { numRuns: 300 },
    )
  })

  it('ends on blocks that make other decoders go on for ever', async () => {
    // A Huffman tree whose compressed weights have one symbol that takes no bits: fzstd 0.1.1 never ends on it.
    const block = Buffer.from('42400206f003ffffff01800100', 'hex')
    const pieces = decompressZstd(new BufferSource(frameOf(2, block.length, block)))
    await expect(pieces.next()).rejects.toMatchObject({
      code: 'zstd.block',
      offset: 6,
      message: 'zstd: a block cannot be decompressed: more than 255 Huffman weights',
    })
  })

  it('is refused when it needs more memory than is given, or a dictionary, and takes none for what it only claims', async () => {
    const header = (window: number) => Buffer.of(0x28, 0xb5, 0x2f, 0xfd, 0, window)
    expect((await run(decompressZstd, header(0xff))).failure).toBe('zstd.window')
    expect((await run(decompressZstd, header((17 << 3) | 1))).failure).toBe('zstd.window')
    expect((await run(decompressZstd, header(17 << 3))).failure).toBe('torn zstd.truncated at 6')
    const claims = Buffer.concat([header(17 << 3), Buffer.of(1 | (3 << 3), 0, 0), Buffer.from('abc')])
    const before = process.memoryUsage().rss
    for (let round = 0; round < 20; round++)
      expect(await run(decompressZstd, claims)).toEqual({ text: 'abc', failure: undefined })
    expect(process.memoryUsage().rss - before).toBeLessThan(50 << 20)
    expect((await run(decompressZstd, Buffer.of(0x28, 0xb5, 0x2f, 0xfd, 0x21, 7, 3, 1, 0, 0))).failure).toBe(
      'zstd.dictionary',
    )
  })

  it('is decoded only from what is there: a distance may not reach back further', async () => {
    // One literal, one sequence with tables of a single code each: take the literal, copy 3 bytes from `distance` back.
    const sequence = (offsetCode: number) =>
      Buffer.of(1 << 3, 0x61, 1, 0x54, 1, offsetCode, 0, 1 << offsetCode)
    const decode = (offsetCode: number) => run(decompressZstd, frameOf(2, 8, sequence(offsetCode)))
    expect(await decode(2)).toEqual({ text: 'aaaa', failure: undefined })
    expect(await decode(3)).toEqual({ text: '', failure: 'corrupt zstd.block at 6' })
  })

  it('gives what was put in, at every level and for every kind of data', async context => {
    if (spawnSync('zstd', ['--version']).status !== 0) return context.skip('needs the program zstd')
    const random = noise(150_000)
    const data = {
      empty: Buffer.alloc(0),
      byte: Buffer.from('x'),
      zeros: Buffer.alloc(1_000_000),
      random,
      sparse: random.map(byte => (byte < 250 ? 65 : byte)),
      pairs: random.map(byte => byte & 1),
      program: readFileSync(process.execPath).subarray(1_000_000, 1_400_000),
      log: Buffer.from(SAMPLE.repeat(20)),
    }
    const levels = [
      ['-1'],
      ['--fast=5'],
      ['-3', '--no-check'],
      ['-9', '--long=27'],
      ['-19'],
      ['-T2', '-B300000'],
    ]
    const far = Buffer.concat(Array.from({ length: 30 }, () => random.subarray(0, 125_000)))
    const cases = Object.entries(data).map(([name, input]) => [name, input, levels] as const)
    for (const [name, input, chosen] of [...cases, ['far', far, [['-3', '--zstd=wlog=17']]] as const]) {
      for (const level of chosen) {
        const bytes = execFileSync('zstd', ['-q', '-c', ...level], { input, maxBuffer: 1 << 25 })
        const { text, failure } = await run(decompressZstd, bytes)
        expect(failure, `${name} ${level}`).toBe(undefined)
        expect(Buffer.from(text, 'latin1').equals(input), `${name} ${level}`).toBe(true)
      }
    }
  })
})

describe('xxHash', () => {
  it('is that of its authors, in whatever pieces the data comes', () => {
    const digest = (...pieces: string[]): string => {
      const hash = new Xxh64()
      for (const piece of pieces) hash.update(Buffer.from(piece))
      return hash.digest().toString(16).padStart(16, '0')
    }
    expect(digest()).toBe('ef46db3751d8e999')
    expect(digest('a')).toBe('d24ec4f1a98c6e5b')
    expect(digest('abc')).toBe('44bc2cf5ad770999')
    const long = 'xxhash of more than thirty-two bytes, with a rest of thirteen'
    for (let split = 0; split <= long.length; split++) {
      expect(digest(long.slice(0, split), long.slice(split))).toBe(digest(long))
    }
  })
})

describe('compressed input', () => {
  it('is read in constant memory, however much it expands', context => {
    if (process.platform !== 'linux') return context.skip('needs /proc to tell the peak')
    const folder = temporaryFolder()
    const script = bundleScript(
      folder,
      `import { readFileSync } from 'node:fs'
       import { openSource } from './src/bytes/open.ts'
       const source = await openSource(process.argv[2])
       const target = new Uint8Array(1 << 20)
       let size = 0
       for (;;) {
         const count = await source.read(target, 0, target.length)
         if (count === 0) break
         size += count
       }
       await source.close()
       // Not resourceUsage: its peak includes that of the process that started this one.
       const status = readFileSync('/proc/self/status', 'latin1')
       console.log(size, Math.round(Number(/^VmHWM:\\s+(\\d+)/m.exec(status)[1]) / 1024))`,
    )
    const content = 300_000_000
    const block = deflatedZeros(content)
    writeFileSync(join(folder, 'zeros.gz'), block)
    const runs = [frameOf(1, 131_072, Buffer.of(0), 2288)]
    writeFileSync(join(folder, 'zeros.zst'), Buffer.concat(runs))
    for (const name of ['zeros.gz', 'zeros.zst']) {
      const { stdout } = spawnSync(process.execPath, [script, join(folder, name)], { encoding: 'utf8' })
      const [size, megabytes] = stdout.split(' ').map(Number)
      expect(size).toBeGreaterThan(290_000_000)
      expect(megabytes, name).toBeLessThan(110)
    }
  })

  it('says at which offset of which file what is wrong, and closes it', async () => {
    const path = join(temporaryFolder(), 'log.gz')
    writeFileSync(path, gzipSync('abc').subarray(0, -1))
    const source = await openSource(path)
    const target = new Uint8Array(10)
    expect(await source.read(target, 0, 10)).toBe(3)
    await expect(source.read(target, 0, 10)).rejects.toMatchObject({
      code: 'gzip.truncated',
      kind: 'torn',
      offset: 0,
    })
    await source.close()
    const plain = await openSource(path, { decompress: false })
    expect(plain.size).toBe(22)
    await plain.close()
  })
})

function skippable(text: string): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeUInt32LE(0x184d2a53, 0)
  bytes.writeUInt32LE(text.length, 4)
  return Buffer.concat([bytes, Buffer.from(text)])
}

/** A frame of one raw or run-length block, with its content size, without a checksum. */
function frame(kind: 'raw' | 'rle', text: string): Buffer {
  const block = (Number(kind === 'rle') << 1) | (text.length << 3) | 1
  return Buffer.concat([
    Buffer.of(0x28, 0xb5, 0x2f, 0xfd, 0x20, text.length, block & 255, block >> 8, 0),
    Buffer.from(kind === 'rle' ? text.slice(0, 1) : text),
  ])
}

/** A frame with a window of 128 KiB and the same block several times. */
function frameOf(type: number, size: number, body: Uint8Array, times = 1): Buffer {
  const block = (last: boolean) => {
    const header = Buffer.alloc(3)
    header.writeUIntLE(Number(last) | (type << 1) | (size << 3), 0, 3)
    return Buffer.concat([header, body])
  }
  const start = Buffer.of(0x28, 0xb5, 0x2f, 0xfd, 0, 7 << 3)
  return Buffer.concat([start, ...Array.from({ length: times }, (_, index) => block(index === times - 1))])
}

/** So many zeros in one gzip member. */
function deflatedZeros(size: number): Buffer {
  return execFileSync('bash', ['-c', `head -c ${size} /dev/zero | gzip -c`], { maxBuffer: 1 << 25 })
}
