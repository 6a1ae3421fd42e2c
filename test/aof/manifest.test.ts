import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  entriesToLoad,
  looksLikeManifest,
  type Manifest,
  parseManifest,
  printManifest,
} from '../../src/aof/manifest.ts'
import { decodeName } from '../../src/bytes/names.ts'
import { encodeCommand, foundServers } from '../helpers/servers.ts'

const parse = (text: string) => parseManifest(Buffer.from(text, 'latin1'), 'm')
const codes = (text: string) => parse(text).findings.map(({ code, severity }) => `${severity} ${code}`)
const files = (text: string) => parse(text).manifest.entries.map(({ file }) => file)

const BASE = 'file a.1.base.aof seq 1 type b\n'
const INCR = 'file a.1.incr.aof seq 1 type i\n'

describe('reading a manifest', () => {
  it('gives names, sequence numbers, types and the pairs it does not know, in order', () => {
    const { manifest, findings } = parse(
      '# written by hand\nfile a.2.base.rdb seq 2 type b\nfile a.1.incr.aof seq 1 type h\n' +
        'type i startoffset 4711 SEQ 3 File "a b.3.incr.aof" "two words" ""\n',
    )
    expect(findings).toEqual([])
    expect(manifest.entries).toEqual([
      { file: 'a.2.base.rdb', seq: 2n, type: 'b', extra: [] },
      { file: 'a.1.incr.aof', seq: 1n, type: 'h', extra: [] },
      {
        file: 'a b.3.incr.aof',
        seq: 3n,
        type: 'i',
        extra: [
          ['startoffset', '4711'],
          ['two words', ''],
        ],
      },
    ])
    expect(entriesToLoad(manifest).map(({ file }) => file)).toEqual(['a.2.base.rdb', 'a b.3.incr.aof'])
  })

  it('loads the base first wherever it stands', () => {
    expect(entriesToLoad(parse(INCR + BASE).manifest).map(({ type }) => type)).toEqual(['b', 'i'])
  })

  it('says the line, its offset and the reason of each line that a server refuses, and reads the others', () => {
    const { manifest, findings } = parse(`${BASE}file x seq 1\n${INCR}file a seq 0 type i\n`)
    expect(manifest.entries).toHaveLength(2)
    expect(findings).toEqual([
      {
        code: 'manifest.words',
        severity: 'error',
        part: 'm',
        offset: 31,
        message:
          'line 2 ("file x seq 1"): 4 words, where pairs for file, seq and type are needed; a server refuses to start',
      },
      {
        code: 'manifest.seq',
        severity: 'error',
        part: 'm',
        offset: 75,
        message: 'line 4 ("file a seq 0 type i"): no sequence number other than 0; a server refuses to start',
      },
    ])
  })

  it('shows the bytes of a line escaped and shortened', () => {
    expect(parse(`\x1b[2J${'x'.repeat(200)}\n`).findings[0].message).toMatch(
      /^line 1 \("\\x1b\[2Jx+"… \(204 bytes\)\)/,
    )
  })

  it('decodes names that are not UTF-8 without loss', () => {
    expect(files('file a\xff\xc3\xa4 seq 1 type b\n')).toEqual(['a\udcffä'])
  })
})

/** A manifest, whether servers start with it (or which one alone), and what we find. */
const CASES: readonly (readonly [
  name: string,
  text: string,
  starts: boolean | string,
  findings: readonly string[],
])[] = [
  ['a base', BASE, true, []],
  ['a base and an incr', BASE + INCR, true, []],
  ['an incr before its base', INCR + BASE, true, []],
  ['keys in capitals and in another order', 'TYPE b SEQ 1 FILE a.1.base.aof\n', true, []],
  ['unknown pairs', 'file a.1.base.aof seq 1 type b foo bar startoffset 5\n', true, []],
  [
    'types that are words',
    'file a.1.base.aof seq 1 type base\nfile a.1.incr.aof seq 1 type incremental\n',
    true,
    [],
  ],
  ['a key twice, the last one counting', 'file none seq 1 type b file a.1.base.aof\n', true, []],
  ['a comment', `# hello\n${BASE}`, true, []],
  ['a comment without an end', `${BASE}# hello`, true, []],
  ['a comment with a zero byte', `#\0\n${BASE}`, true, []],
  ['a comment behind a space', ` # file\n${BASE}`, false, ['error manifest.words']],
  ['a comment of 1,024 bytes', `#${'x'.repeat(1022)}\n${BASE}`, true, []],
  [
    'a comment of 1,025 bytes, whose end is a line of its own',
    `#${'x'.repeat(1023)}\n${BASE}`,
    false,
    ['error manifest.blank'],
  ],
  ['a comment of 1,024 bytes whose rest is an entry', `#${'x'.repeat(1023)}${BASE}`, true, []],
  ['CRLF', BASE.replace('\n', '\r\n'), true, []],
  ['tabs and spaces', '  file\ta.1.base.aof   seq 1 type\t\tb \t\n', true, []],
  ['a form feed between words', 'file a.1.base.aof seq 1 type b \f\n', true, []],
  ['a form feed before a word', '\f file \va.1.base.aof seq 1 type b\n', true, []],
  ['double quotes', '"file" "a.1.base.aof" "seq" "1" "type" "b"\n', true, []],
  ['escapes', 'file "\\x61.1.base\\.aof" seq 1 type b\n', true, []],
  ['single quotes', "file 'a.1.base.aof' seq '1' type 'b'\n", true, []],
  ['text behind quotes', 'file "a.1".base\'.aof\' seq 1 type b\n', 'valkey-9.1', ['error manifest.quotes']],
  ['quotes at the end of a word', 'file a.1.base".aof" seq 1 type b\n', true, []],
  ['quotes that do not close', 'file "a.1.base.aof seq 1 type b\n', false, ['error manifest.quotes']],
  ['single quotes that do not close', "file a.1.base.aof' seq 1 type b\n", false, ['error manifest.quotes']],
  ['an odd number of words', 'file a.1.base.aof seq 1 type b foo\n', false, ['error manifest.words']],
  ['too few words', 'file a.1.base.aof seq 1\n', false, ['error manifest.words']],
  ['no file', 'foo a.1.base.aof seq 1 type b\n', false, ['error manifest.key']],
  ['no seq', 'file a.1.base.aof foo 1 type b\n', false, ['error manifest.seq']],
  ['no type', 'file a.1.base.aof seq 1 foo b\n', false, ['error manifest.key']],
  ['an empty type', 'file a.1.base.aof seq 1 type ""\n', false, ['error manifest.key']],
  ['another type', 'file a.1.base.aof seq 1 type x\n', false, ['error manifest.type']],
  ['a type in capitals', 'file a.1.base.aof seq 1 type B\n', false, ['error manifest.type']],
  ['sequence number 0', 'file a.1.base.aof seq 0 type b\n', false, ['error manifest.seq']],
  ['a sequence number that is none', 'file a.1.base.aof seq one type b\n', false, ['error manifest.seq']],
  ['a sequence number with something behind it', 'file a.1.base.aof seq 1x type b\n', true, []],
  ['a sequence number in hex', 'file a.1.base.aof seq 0x1 type b\n', false, ['error manifest.seq']],
  ['a sequence number with a sign and zeros', 'file a.1.base.aof seq +007 type b\n', true, []],
  ['a negative sequence number of a base', 'file a.1.base.aof seq -1 type b\n', true, []],
  [
    'a negative sequence number of an incr',
    'file a.1.incr.aof seq -1 type i\n',
    false,
    ['error manifest.sequence'],
  ],
  ['a sequence number beyond 64 bits', `file a.1.incr.aof seq 99999999999999999999 type i\n`, true, []],
  ['two bases', BASE + BASE, false, ['error manifest.base']],
  ['falling sequence numbers', `file a.2.incr.aof seq 2 type i\n${INCR}`, false, ['error manifest.sequence']],
  ['equal sequence numbers', `${INCR}file b seq 1 type i\n`, false, ['error manifest.sequence']],
  ['a gap', `${INCR}file a.3.incr.aof seq 3 type i\n`, true, ['warning manifest.gap']],
  ['a first incr that is not number 1', 'file a.7.incr.aof seq 7 type i\n', true, []],
  ['a file twice', `${INCR}file a.1.incr.aof seq 2 type i\n`, true, ['warning manifest.twice']],
  ['history in any order', `file h2 seq 2 type h\nfile h1 seq 2 type h\n${BASE}`, true, []],
  ['nothing', '', false, ['error manifest.empty']],
  ['nothing but a comment', '# nothing\n', true, []],
  ['a blank line at the end', `${BASE}\n`, false, ['error manifest.blank']],
  ['a line of spaces', `   \n${BASE}`, false, ['error manifest.blank']],
  ['no newline at the end', BASE.trim(), false, ['error manifest.newline']],
  ['a line cut in the middle', `${BASE}file a.1.in`, false, ['error manifest.newline']],
  ['a line of 1,024 bytes', `${BASE.trim()}${' '.repeat(993)}\n`, true, []],
  [
    'a line of 1,025 bytes',
    `${BASE.trim()}${' '.repeat(994)}\n`,
    false,
    ['error manifest.line', 'error manifest.blank'],
  ],
  ['a zero byte in a line', 'file a.1.base.aof\0 seq 1 type b\n', false, ['error manifest.nul']],
  ['zeros instead of lines', '\0'.repeat(62), false, ['error manifest.nul']],
  ['zeros behind a line', `${BASE}${'\0'.repeat(30)}`, false, ['error manifest.nul']],
  [
    'an escaped zero byte, which ends a word',
    'file "a.1.base.aof\\x00junk" seq "1\\x002" type b\n',
    true,
    [],
  ],
  ['a path', 'file ./a.1.base.aof seq 1 type b\n', false, ['error manifest.name']],
  ['a path out of the folder', 'file ../a.1.base.aof seq 1 type b\n', false, ['error manifest.name']],
  ['a backslash', 'file a\\b seq 1 type b\n', false, ['error manifest.name']],
  [
    'a path that a later name replaces',
    'file ../x seq 1 type b file a.1.base.aof\n',
    false,
    ['error manifest.name'],
  ],
  ['the folder itself', 'file . seq 1 type b\n', false, ['error manifest.name']],
  ['the folder above', 'file .. seq 1 type b\n', false, ['error manifest.name']],
  ['an empty name', 'file "" seq 1 type b\n', false, ['error manifest.name']],
  [
    'a log instead of a manifest',
    '*1\r\n$4\r\nPING\r\n',
    false,
    ['error manifest.words', 'error manifest.words', 'error manifest.words'],
  ],
]

it.each(CASES)('takes %s as servers do', (_, text, starts, findings) => {
  expect(codes(text)).toEqual(findings)
  expect(findings.some(finding => finding.startsWith('error'))).toBe(starts !== true)
})

describe.each(foundServers())('%s', server => {
  it.each(CASES)('treats %s as we say', async (_, text, starts) => {
    const parts: Record<string, Uint8Array> = { 'appendonly.aof.manifest': Buffer.from(text, 'latin1') }
    const value = encodeCommand(['SET', 'key', 'value'])
    for (const file of ['a.1.base.aof', 'a.1.incr.aof', 'a.2.incr.aof', 'a.3.incr.aof', 'a.7.incr.aof'])
      parts[file] = value
    const loaded = await server.load(parts)
    try {
      expect(loaded.started, loaded.log).toBe(starts === true || starts === server.name)
    } finally {
      await loaded.stop()
    }
  })

  it('reads what we print for odd names', async () => {
    const names = ["it's.aof", 'two words.aof', 'tab\tquote".aof', 'ä日本.aof', 'x'.repeat(200)]
    const manifest: Manifest = {
      entries: names.map((file, index) => ({
        file,
        seq: BigInt(index + 1),
        type: 'i',
        extra: [['startoffset', '5']],
      })),
    }
    const log = Object.fromEntries(names.map(name => [name, encodeCommand(['INCR', 'count'])]))
    const loaded = await server.load({ ...log, 'appendonly.aof.manifest': printManifest(manifest) })
    try {
      expect(loaded.started, loaded.log).toBe(true)
      expect(String(await loaded.query('GET', 'count'))).toBe('5')
    } finally {
      await loaded.stop()
    }
  })

  it('writes manifests that we read and print byte for byte', async () => {
    const folder = await server.run([['SET', 'key', 'value']], {
      args: ['--appendfilename', 'two words ä.aof'],
    })
    const bytes = readFileSync(`${folder}/two words ä.aof.manifest`)
    const { manifest, findings } = parseManifest(bytes, 'm')
    expect(findings).toEqual([])
    expect(manifest.entries.map(({ file }) => file)).toEqual([
      'two words ä.aof.1.base.rdb',
      'two words ä.aof.1.incr.aof',
    ])
    expect(Buffer.from(printManifest(manifest)).toString()).toBe(bytes.toString())
  })
})

describe('printing a manifest', () => {
  const name = fc
    .array(fc.oneof(fc.integer({ min: 1, max: 255 }), fc.constantFrom(0x20, 0x22, 0x27, 0x5c, 0x0a, 0x61)), {
      minLength: 1,
      maxLength: 60,
    })
    .map(bytes => decodeName(Uint8Array.from(bytes)))
  const file = name.filter(text => !/[/\\]/.test(text) && text !== '.' && text !== '..')
  const key = name.filter(text => !['file', 'seq', 'type'].includes(text.toLowerCase()))
  const extra = fc.array(fc.tuple(key, fc.oneof(name, fc.constant(''))), { maxLength: 1 })

  it('and reading it again gives the same manifest', () => {
    const entry = fc.record({
      file,
      seq: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).filter(seq => seq !== 0n),
      type: fc.constant('h' as const),
      extra,
    })
    fc.assert(
      fc.property(fc.array(entry, { minLength: 1, maxLength: 5 }), entries => {
        const manifest: Manifest = { entries }
        expect(parseManifest(printManifest(manifest), 'm')).toEqual({ manifest, findings: [] })
      }),
      { numRuns: 500 },
    )
  })

  it('escapes less where a line would become longer than servers read', () => {
    const manifest: Manifest = { entries: [{ file: '日'.repeat(85), seq: 1n, type: 'b', extra: [] }] }
    const bytes = printManifest(manifest)
    expect(bytes.length).toBeLessThan(300)
    expect(parseManifest(bytes, 'm')).toEqual({ manifest, findings: [] })
  })

  it('is refused for a line that servers cannot read', () => {
    const manifest: Manifest = {
      entries: [{ file: 'a', seq: 1n, type: 'b', extra: [['x', 'y'.repeat(1002)]] }],
    }
    expect(() => printManifest(manifest)).toThrow("the manifest's line for a takes 1025 bytes")
  })
})

describe('a manifest', () => {
  it('is told from a log by its first line that is no comment', () => {
    const looks = (text: string) => looksLikeManifest(Buffer.from(text, 'latin1'))
    expect(looks(BASE)).toBe(true)
    expect(looks(`# comment\n\t FILE x`)).toBe(true)
    expect(looks('"file" x "seq" 1 "type" b\n')).toBe(true)
    expect(looks('foo bar type b seq 1 file x\n')).toBe(true)
    expect(looks('#TS:1700000000\r\n*1\r\n$4\r\nfile\r\n')).toBe(false)
    expect(looks('# only comments\n')).toBe(false)
    expect(looks('file\n')).toBe(false)
    expect(looks('filex y\n')).toBe(false)
    expect(looks('REDIS0011')).toBe(false)
    expect(looks('')).toBe(false)
  })
})
