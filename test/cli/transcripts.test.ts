/*
 * Golden transcripts: what each command prints, whole. A file of test/transcripts has blocks like this one:
 *
 *     # why it is here
 *     @copy manifest/torn log
 *     repair log --in-place
 *     ----
 *     standard output
 *     2> standard error
 *     => log/appendonly.aof.manifest 88
 *     exit 0
 *
 * Calls run in the folder of the fixtures. Those behind `@copy FIXTURE [NAME]` run in a new folder that holds copies,
 * `@same` is that of the block before; then the files that are in it afterwards are listed with their sizes. `@stdin
 * FIXTURE` is a process of its own that reads it. Output with bytes that move a cursor is shown escaped, and is an error,
 * unless it is RESP, or known and marked `@bug`.
 *
 * Whether other processes write to a file can be found out on one machine and not on another: it is left out, and so is
 * how long something took.
 *
 * AOFKIT_UPDATE=1 writes the files anew, with the results of new blocks, which end at their rule. Read them before they
 * are committed.
 */
import {
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join, relative, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { FIXTURES } from '../../fixtures/all.ts'
import { escapeBytes } from '../../src/bytes/escape.ts'
import { call, run as runProcess } from '../helpers/command.ts'

const FOLDER = resolve('test/transcripts')
const UPDATE = process.env.AOFKIT_UPDATE !== undefined
const RULE = '----'

interface Block {
  /** Comments and what is to be done before, as they stand there. */
  readonly before: readonly string[]
  readonly call: string
  readonly expected: string
}

function parse(text: string): Block[] {
  const blocks: Block[] = []
  const lines = text.split('\n')
  for (let at = 0; at < lines.length; ) {
    if (lines[at] === '') {
      at++
      continue
    }
    const rule = lines.indexOf(RULE, at)
    if (rule < 0) throw new Error(`no ${RULE} behind line ${at + 1}`)
    // A new block has no result yet.
    const result = lines.findIndex((line, index) => index > rule && /^exit \d+$/.test(line))
    const next = lines.indexOf(RULE, rule + 1)
    const end = result < 0 || (next >= 0 && next < result) ? rule + 1 : result + 1
    blocks.push({
      before: lines.slice(at, rule - 1),
      call: lines[rule - 1],
      expected: lines.slice(rule + 1, end).join('\n'),
    })
    at = end
  }
  return blocks
}

function print(blocks: readonly (Block & { actual: string })[]): string {
  return blocks
    .map(({ before, call, actual }) => `${[...before, call, RULE, actual].join('\n')}\n`)
    .join('\n')
}

/** The words of a call, as a shell takes them: plain, in single quotes, or as `$'…'`. */
function words(call: string): string[] {
  const found: string[] = []
  for (const [word] of call.matchAll(/(?:\$?'(?:[^'\\]|\\.)*'|[^\s'])+/g)) {
    found.push(
      word.replace(/(\$?)'((?:[^'\\]|\\.)*)'/g, (_, dollar, inside) =>
        dollar === '' ? inside : unescaped(inside),
      ),
    )
  }
  return found
}

function unescaped(text: string): string {
  const letters: Readonly<Record<string, string>> = { n: '\n', r: '\r', e: '\x1b' }
  return text.replace(/\\(?:x([0-9a-f]{2})|(.))/g, (_, hex, letter) =>
    hex === undefined ? (letters[letter] ?? letter) : String.fromCharCode(Number.parseInt(hex, 16)),
  )
}

let home = ''
let work = ''

beforeAll(() => {
  home = realpathSync(mkdtempSync(join(tmpdir(), 'aofkit-test-')))
})

afterAll(() => {
  rmSync(home, { recursive: true, force: true })
})

async function run({ before, call: line }: Block): Promise<string> {
  const steps = before.filter(step => step.startsWith('@')).map(words)
  const copies = steps.filter(([step]) => step === '@copy')
  if (copies.length > 0) work = mkdtempSync(join(home, 'work-'))
  for (const [, fixture, name = basename(fixture)] of copies) {
    cpSync(join(FIXTURES, fixture), join(work, name), { recursive: true, verbatimSymlinks: true })
  }
  const inWork = copies.length > 0 || steps.some(([step]) => step === '@same')
  const folder = inWork ? work : FIXTURES
  const input = steps.find(([step]) => step === '@stdin')?.[1]
  const { status, out, err } =
    input === undefined
      ? await inFolder(folder, () => call(...words(line)))
      : await runProcess(words(line), { cwd: folder, input: readFileSync(join(FIXTURES, input)) })
  return [
    ...marked('', out),
    ...marked('2> ', Buffer.from(err)),
    ...(inWork ? list(work) : []).map(file => `=> ${file}`),
    `exit ${status}`,
  ]
    .join('\n')
    .replaceAll(work === '' ? '\0' : work, '/copy')
    .replaceAll(FIXTURES, '/fixtures')
    .replaceAll(/^2> aofkit: warning: whether another process writes to .* could not be found out\n/gm, '')
    .replaceAll(/"beingWritten": (?:null|false)/g, '"beingWritten": null or false')
    .replaceAll(/^ {2}time {4}.*$/gm, '  time    left out')
    .replaceAll(/"seconds": [\d.]+/g, '"seconds": left out')
}

async function inFolder<T>(folder: string, work: () => Promise<T>): Promise<T> {
  const back = process.cwd()
  process.chdir(folder)
  try {
    return await work()
  } finally {
    process.chdir(back)
  }
}

/** Lines of output as they are; all of them escaped where there are bytes among them that are not to be shown. */
function marked(mark: string, output: Buffer): string[] {
  if (output.length === 0) return []
  const text = output.toString()
  const lines = isShowable(text)
    ? text.split('\n')
    : [
        '(escaped)',
        ...output
          .toString('latin1')
          .split('\n')
          .map(line => escapeBytes(Buffer.from(line, 'latin1'))),
      ]
  const last = lines.pop()
  return [...lines, ...(last === '' ? [] : [last, '(no line end)'])].map(line => `${mark}${line}`)
}

function isShowable(text: string): boolean {
  return !/[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069\ufeff\ufffd]/u.test(text.replaceAll('\n', ''))
}

function list(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(entry => !entry.isDirectory())
    .map(entry => join(entry.parentPath, entry.name))
    .map(path => `${relative(folder, path)} ${statSync(path).size}`)
    .sort()
}

describe.each(readdirSync(FOLDER).filter(name => name.endsWith('.txt')))('%s', file => {
  const path = join(FOLDER, file)
  const blocks = parse(readFileSync(path, 'utf8'))
  const done: (Block & { actual: string })[] = []

  it.each(blocks)('$call', async block => {
    const actual = await run(block)
    done.push({ ...block, actual })
    if (!UPDATE) expect(actual).toBe(block.expected)
    // RESP is bytes; everything else is for eyes.
    const isRaw = /^(?:2> )?\(escaped\)$/m.test(actual) && !/resp\b/.test(block.call)
    expect(isRaw, 'whether it has bytes that move a cursor').toBe(block.before.includes('@bug'))
  })

  afterAll(() => {
    // Not when only some of them were run.
    if (UPDATE && done.length === blocks.length) writeFileSync(path, print(done))
  })
})
