import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { escapeBytes, escapeInto, escapeName, quoteBytes, quoteForShell } from '../../src/bytes/escape.ts'
import { decodeName, hasStrayBytes, nameBytes } from '../../src/bytes/names.ts'

const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1')

describe('escaping bytes', () => {
  it('writes every byte as redis-cli 7.0 and valkey-cli 9.1 do', () => {
    // Printed by both for `--no-raw GET` of a value of all bytes, in order.
    const printed =
      '\\x00\\x01\\x02\\x03\\x04\\x05\\x06\\a\\b\\t\\n\\x0b\\x0c\\r\\x0e\\x0f' +
      '\\x10\\x11\\x12\\x13\\x14\\x15\\x16\\x17\\x18\\x19\\x1a\\x1b\\x1c\\x1d\\x1e\\x1f' +
      ' !\\"#$%&\'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\\\]^_' +
      '`abcdefghijklmnopqrstuvwxyz{|}~\\x7f' +
      Array.from({ length: 128 }, (_, index) => `\\x${(128 + index).toString(16)}`).join('')
    const all = Uint8Array.from({ length: 256 }, (_, index) => index)
    expect(escapeBytes(all)).toBe(printed)
    expect(quoteBytes(all)).toBe(`"${printed}"`)
  })

  it('loses nothing: what is shown can be turned back into the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), value => {
        expect(Buffer.from(restored(escapeBytes(value)))).toEqual(Buffer.from(value))
      }),
    )
  })

  it('shows so many bytes of a longer string, and its size', () => {
    expect(escapeBytes(bytes('abcdef'), 6)).toBe('abcdef')
    expect(escapeBytes(bytes('abcdefg'), 6)).toBe('abcdef… (7 bytes)')
    expect(quoteBytes(bytes('a\nb\nc'), 2)).toBe('"a\\n"… (5 bytes)')
    expect(quoteBytes(bytes('…'), 0)).toBe('""… (1 bytes)')
  })

  it('escapes strings longer than its pieces, at every place in them', () => {
    const long = new Uint8Array(50_000).fill(0xff)
    expect(escapeBytes(long)).toBe('\\xff'.repeat(50_000))
  })

  it('escapes a range into a buffer and says where it ends', () => {
    const target = Buffer.alloc(16, '.')
    expect(escapeInto(target, 1, bytes('xa\x00bx'), 1, 4)).toBe(7)
    expect(target.toString()).toBe('.a\\x00b.........')
  })
})

describe('names of files', () => {
  it('keeps letters of all scripts, and shows what is invisible or moves the cursor by its bytes', () => {
    expect(escapeName('Datei ä 日本 🙂.aof')).toBe('Datei ä 日本 🙂.aof')
    expect(escapeName('a\x1b[2Jb\nc\x9b')).toBe('a\\x1b[2Jb\\nc\\xc2\\x9b')
    expect(escapeName('gpj.\u202eexe')).toBe('gpj.\\xe2\\x80\\xaeexe')
    expect(escapeName('back\\slash')).toBe('back\\\\slash')
  })

  it('shows bytes that are not UTF-8 as such', () => {
    expect(escapeName(decodeName(Buffer.from([0x61, 0xff, 0xc3, 0x28])))).toBe('a\\xff\\xc3(')
  })

  it('are the same bytes again on the way to the system', () => {
    const hostile = fc.array(
      fc.constantFrom(
        0x41,
        0x80,
        0xbf,
        0xc3,
        0xa4,
        0xed,
        0xb2,
        0x80,
        0xf0,
        0x9f,
        0x99,
        0x82,
        0xff,
        0xef,
        0xbb,
      ),
      { maxLength: 12 },
    )
    fc.assert(
      fc.property(hostile, array => {
        const name = decodeName(Uint8Array.from(array))
        expect([...nameBytes(name)]).toEqual(array)
      }),
      { numRuns: 1000 },
    )
    expect(hasStrayBytes('🙂ä')).toBe(false)
    expect(hasStrayBytes(decodeName(Uint8Array.of(0xf0, 0x9f, 0x99)))).toBe(true)
  })

  it('become one word of a command line', () => {
    expect(quoteForShell('/data/a-b.1.incr.aof')).toBe('/data/a-b.1.incr.aof')
    expect(quoteForShell('two words')).toBe("'two words'")
    expect(quoteForShell("it's")).toBe("'it'\\''s'")
    expect(quoteForShell('-rf')).toBe("'./-rf'")
    expect(quoteForShell("a'\n\x1b")).toBe("$'a\\'\\n\\x1b'")
    expect(quoteForShell('')).toBe("''")
  })
})

function restored(text: string): number[] {
  const named: Record<string, number> = { n: 10, r: 13, t: 9, a: 7, b: 8, '"': 34, '\\': 92 }
  return [...text.matchAll(/\\x(..)|\\(.)|([^\\])/g)].map(([, hex, letter, plain]) =>
    hex !== undefined ? Number.parseInt(hex, 16) : letter !== undefined ? named[letter] : plain.charCodeAt(0),
  )
}
