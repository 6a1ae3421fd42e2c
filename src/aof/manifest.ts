/**
 * Manifests of multi-part logs (Redis 7 and later): which files make up a log, one a line.
 *
 *     # a comment
 *     file appendonly.aof.2.base.rdb seq 2 type b
 *     file appendonly.aof.1.incr.aof seq 1 type h
 *     file "append only.aof.3.incr.aof" seq 3 type i startoffset 4711
 *
 * Pairs of key and value in any order, quoted as redis-cli takes them; types: `b` base, `i` incr, `h` history (replaced
 * by a rewrite, to be deleted). Servers exit on the first line they cannot read, and read lines as C strings from a
 * buffer of 1,024 bytes; what they make of odd ones is followed here to the letter (redis 7.0 and 8.0, valkey 8.1 and
 * 9.1 are alike in it).
 */
import { JobError } from '../bytes/errors.ts'
import { escapeBytes, escapeName, quoteBytes } from '../bytes/escape.ts'
import { decodeName, nameBytes } from '../bytes/names.ts'
import type { Finding, Severity } from './finding.ts'

export type EntryType = 'b' | 'h' | 'i'

export interface ManifestEntry {
  /** A name in the manifest's folder; see names.ts for bytes that are not UTF-8. */
  readonly file: string
  readonly seq: bigint
  readonly type: EntryType
  /** Pairs that no server known to us reads, or that mean nothing without the log's server (`startoffset`). */
  readonly extra: readonly (readonly [key: string, value: string])[]
}

export interface Manifest {
  /** In the order in which they are listed. */
  readonly entries: readonly ManifestEntry[]
}

/** The longest line that servers read, in bytes, with its end. */
const MAX_LINE = 1024
/** How much of a line a message shows, in bytes. */
const SHOWN = 100
/** What a server's `atoll` makes of numbers beyond 64 bits. */
const MAX_SEQ = 2n ** 63n - 1n

const NEWLINE = 0x0a
const COMMENT = 0x23

/** The entries that a server loads, in the order in which it does: the base, then the incr parts. */
export function entriesToLoad(manifest: Manifest): ManifestEntry[] {
  return [
    ...manifest.entries.filter(({ type }) => type === 'b'),
    ...manifest.entries.filter(({ type }) => type === 'i'),
  ]
}

/**
 * Reads a manifest. A line that servers refuse is an error and is left out; what is odd but loads is a warning. Offsets
 * are those of lines.
 *
 * @param part the name of the manifest's file, for the findings
 */
export function parseManifest(bytes: Uint8Array, part: string): { manifest: Manifest; findings: Finding[] } {
  const findings: Finding[] = []
  const entries: ManifestEntry[] = []
  const report = (severity: Severity, code: string, offset: number, message: string): void => {
    findings.push({ code: `manifest.${code}`, severity, part, offset, message })
  }
  let last = 0n
  let number = 0
  for (const { from, to } of linesOf(bytes)) {
    number++
    if (bytes[from] === COMMENT) continue
    const line = bytes.subarray(from, to)
    const where = `line ${number} (${quoteBytes(line.subarray(0, endOfText(line)), SHOWN)})`
    let parsed: ReturnType<typeof parseLine>
    try {
      parsed = parseLine(line)
    } catch (error) {
      if (!(error instanceof LineError)) throw error
      report('error', error.code, from, `${where}: ${error.message}; a server refuses to start`)
      continue
    }
    const { entry, joined } = parsed
    if (joined) {
      const message = `${where}: text right behind closing quotes: valkey 9.1 takes it as part of the word, other servers refuse to start`
      report('error', 'quotes', from, message)
    }
    const base = entries.find(({ type }) => type === 'b')
    if (entry.type === 'b' && base !== undefined) {
      const message = `${where}: a second base, after ${escapeName(base.file)}; a server refuses to start`
      report('error', 'base', from, message)
      continue
    }
    if (entry.type === 'i') {
      if (entry.seq <= last) {
        const message = `${where}: sequence number ${entry.seq} after ${last}: they must rise from line to line; a server refuses to start`
        report('error', 'sequence', from, message)
        continue
      }
      if (last > 0n && entry.seq !== last + 1n) {
        report(
          'warning',
          'gap',
          from,
          `${where}: sequence number ${entry.seq} after ${last}: is a part missing?`,
        )
      }
      last = entry.seq
    }
    const twice = entry.type !== 'h' && entries.some(({ type, file }) => type !== 'h' && file === entry.file)
    if (twice) {
      const message = `${where}: ${escapeName(entry.file)} is listed a second time: servers replay it twice`
      report('warning', 'twice', from, message)
    }
    entries.push(entry)
  }
  if (number === 0) report('error', 'empty', 0, 'the manifest is empty; a server refuses to start')
  return { manifest: { entries }, findings }
}

/**
 * A manifest's bytes: servers read them, and reading them gives the same manifest. Names are quoted as servers do, and
 * also where servers should (redis 7.0 to valkey 9.1 write a name with `'` so that they cannot read it again). Comments
 * are not kept; servers drop them too.
 *
 * Throws a JobError for an entry that takes more than the 1,024 bytes that servers read.
 */
export function printManifest(manifest: Manifest): Uint8Array {
  return Buffer.concat(manifest.entries.map(printEntry))
}

/**
 * Whether a file that begins with `head` is a manifest: its first line that is no comment starts with one of the keys,
 * or names all three of them.
 */
export function looksLikeManifest(head: Uint8Array): boolean {
  for (const { from, to } of linesOf(head)) {
    if (head[from] === COMMENT) continue
    const text = Buffer.from(head.subarray(from, to)).toString('latin1')
    if (/^[ \t\v\f\r]*(?:file|seq|type)[ \t]/i.test(text)) return true
    const keys = splitArguments(text.trim())?.words.filter((_, index) => index % 2 === 0)
    return KEYS.every(key => keys?.some(word => word.toLowerCase() === key))
  }
  return false
}

const KEYS = ['file', 'seq', 'type']

/** Lines as servers get them from `fgets`: the newline belongs to its line, and a longer line comes in pieces. */
function* linesOf(bytes: Uint8Array): Generator<{ from: number; to: number }> {
  for (let from = 0; from < bytes.length; ) {
    const newline = bytes.indexOf(NEWLINE, from)
    const to = Math.min(newline < 0 ? bytes.length : newline + 1, from + MAX_LINE)
    yield { from, to }
    from = to
  }
}

class LineError extends Error {
  readonly code: string

  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}

function parseLine(line: Uint8Array): { entry: ManifestEntry; joined: boolean } {
  // To the server a line is a C string: what stands behind a NUL is not there, its newline neither.
  const nul = line.indexOf(0)
  if (nul >= 0) {
    throw new LineError('nul', line.every(byte => byte === 0) ? 'nothing but zeros' : 'a zero byte')
  }
  if (line.at(-1) !== NEWLINE) {
    throw line.length < MAX_LINE
      ? new LineError('newline', 'the line does not end: the file was cut off')
      : new LineError('line', `longer than ${MAX_LINE} bytes`)
  }
  const text = Buffer.from(line).toString('latin1').replace(TRIMMED, '')
  if (text === '') throw new LineError('blank', 'a blank line')
  const split = splitArguments(text)
  if (split === undefined) throw new LineError('quotes', 'quotes that are not closed')
  const { words, joined } = split
  if (words.length < 6 || words.length % 2 !== 0) {
    throw new LineError('words', `${words.length} words, where pairs for file, seq and type are needed`)
  }
  let file: string | undefined
  let seq = 0n
  let type = ''
  const extra: [string, string][] = []
  for (let index = 0; index < words.length; index += 2) {
    const key = asCString(words[index])
    const value = asCString(words[index + 1])
    switch (key.toLowerCase()) {
      case 'file':
        file = decodeName(Buffer.from(value, 'latin1'))
        // A server checks each one, also those that a later one in the line replaces.
        if (/[/\\]/.test(file)) {
          throw new LineError('name', 'a name with / or \\: parts stand in the folder of the manifest')
        }
        break
      case 'seq':
        seq = asNumber(value)
        break
      case 'type':
        type = value.slice(0, 1)
        break
      default:
        extra.push([decoded(words[index]), decoded(words[index + 1])])
    }
  }
  if (file === undefined) throw new LineError('key', 'no file')
  if (seq === 0n) throw new LineError('seq', 'no sequence number other than 0')
  if (type === '') throw new LineError('key', 'no type')
  if (type !== 'b' && type !== 'h' && type !== 'i') {
    const shown = escapeBytes(Buffer.from(type, 'latin1'))
    throw new LineError('type', `type ${shown}, where b (base), i (incr) or h (history) is needed`)
  }
  if (file === '' || file === '.' || file === '..') {
    throw new LineError('name', `"${file}" is no name of a file`)
  }
  return { entry: { file, seq, type, extra }, joined }
}

/** What servers trim from both ends of a line. */
const TRIMMED = /^[ \t\r\n]+|[ \t\r\n]+$/g
/** C's `isspace`. */
const SPACE = /[ \t\n\v\f\r]/

/** Where the text of a line ends: before the characters that end it. */
function endOfText(line: Uint8Array): number {
  let end = line.length
  while (end > 0 && (line[end - 1] === 0x0d || line[end - 1] === NEWLINE)) end--
  return end
}

const asCString = (word: string): string => word.split('\0', 1)[0]
const decoded = (word: string): string => decodeName(Buffer.from(word, 'latin1'))

/** C's `atoll`: what looks like a number at the start; 0 when nothing does. */
function asNumber(text: string): bigint {
  const match = /^[ \t\n\v\f\r]*([+-]?)(\d+)/.exec(text)
  if (match === null) return 0n
  const value = BigInt(match[2])
  if (match[1] === '-') return value > MAX_SEQ ? -MAX_SEQ - 1n : -value
  return value > MAX_SEQ ? MAX_SEQ : value
}

interface Words {
  readonly words: readonly string[]
  /** Whether text stands right behind closing quotes: part of the word to valkey 9.1, an error to all others. */
  readonly joined: boolean
}

/**
 * Splits a line into words as redis-cli and the servers do (`sdssplitargs`), one character a byte; undefined when its
 * quotes do not close.
 */
function splitArguments(line: string): Words | undefined {
  const words: string[] = []
  let joined = false
  let at = 0
  for (;;) {
    while (at < line.length && SPACE.test(line[at])) at++
    if (at === line.length) return { words, joined }
    let word = ''
    // C's isspace counts two more characters, but only between words.
    while (at < line.length && !' \n\r\t'.includes(line[at])) {
      const character = line[at++]
      if (character !== '"' && character !== "'") {
        word += character
        continue
      }
      const quoted = character === '"' ? doubleQuoted(line, at) : singleQuoted(line, at)
      if (quoted === undefined) return undefined
      word += quoted.text
      at = quoted.end
      joined ||= at < line.length && !' \n\r\t'.includes(line[at])
    }
    words.push(word)
  }
}

const LETTERS: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', b: '\b', a: '\x07' }

function doubleQuoted(line: string, at: number): { text: string; end: number } | undefined {
  let text = ''
  while (at < line.length) {
    const character = line[at]
    if (character === '"') return { text, end: at + 1 }
    const hex = /^\\x([0-9a-fA-F]{2})/.exec(line.slice(at, at + 4))?.[1]
    if (hex !== undefined) {
      text += String.fromCharCode(Number.parseInt(hex, 16))
      at += 4
    } else if (character === '\\' && at + 1 < line.length) {
      text += LETTERS[line[at + 1]] ?? line[at + 1]
      at += 2
    } else {
      text += character
      at++
    }
  }
  return undefined
}

function singleQuoted(line: string, at: number): { text: string; end: number } | undefined {
  let text = ''
  while (at < line.length) {
    if (line[at] === "'") return { text, end: at + 1 }
    if (line.startsWith("\\'", at)) at++
    text += line[at]
    at++
  }
  return undefined
}

function printEntry(entry: ManifestEntry): Buffer {
  const print = (quote: (bytes: Buffer) => string): Buffer => {
    const words = ['file', entry.file, 'seq', entry.seq.toString(), 'type', entry.type, ...entry.extra.flat()]
    return Buffer.from(`${words.map(word => quote(nameBytes(word))).join(' ')}\n`, 'latin1')
  }
  const line = print(quoteWord)
  if (line.length <= MAX_LINE) return line
  // A server would write the line above, and not read it again. With as few escapes as possible it may be short enough.
  const short = print(quoteSparingly)
  if (short.length <= MAX_LINE) return short
  const message = `the manifest's line for ${escapeName(entry.file)} takes ${short.length} bytes; servers read ${MAX_LINE}`
  throw new JobError('manifest.line', message)
}

/** Words that need no quotes: printable ASCII without spaces, quotes and backslashes. */
const PLAIN = /^[!#-&(-[\]-~]+$/

function quoteWord(bytes: Buffer): string {
  const text = bytes.toString('latin1')
  return PLAIN.test(text) ? text : quoteBytes(bytes)
}

function quoteSparingly(bytes: Buffer): string {
  const text = bytes.toString('latin1')
  if (PLAIN.test(text)) return text
  return `"${text.replace(/["\\]/g, '\\$&').replaceAll('\n', '\\n').replaceAll('\0', '\\x00')}"`
}
