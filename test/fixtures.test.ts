import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { allFixtures, FIXTURES, type Fixture, sizeOfFixtures, withoutExpectation } from '../fixtures/all.ts'
import type { ExpectedReport } from '../fixtures/expectation.ts'
import { JobError } from '../src/bytes/errors.ts'
import type { LogOptions, VerifyReport } from '../src/operations/verify.ts'
import { forEachParallel } from './helpers/parallel.ts'
import { foundServers, type Log, type Server } from './helpers/servers.ts'
import { verifyPath } from './helpers/verify.ts'

const ALL = allFixtures()

/** What verify finds, in the form of an expectation. */
function asExpectation({ verdict, parts, findings, doNotStart }: VerifyReport): ExpectedReport {
  return {
    verdict,
    parts: parts.map(({ file, verdict, size, validUpTo }) => ({ file, verdict, size, validUpTo })),
    findings: findings.map(({ code, severity, part, offset }) => ({
      code,
      severity,
      ...(part === undefined ? {} : { part }),
      ...(offset === undefined ? {} : { offset }),
    })),
    doNotStart,
  }
}

async function observe(path: string, options: Partial<LogOptions>): Promise<unknown> {
  try {
    return asExpectation(await verifyPath(path, options))
  } catch (error) {
    if (error instanceof JobError) return { refused: error.code }
    throw error
  }
}

describe('verify', () => {
  it.each(ALL)('finds in $name what the damage says that there is', async ({ path, expected }) => {
    const { as, ...rest } = 'refused' in expected ? { as: undefined, ...expected } : expected
    expect(await observe(path, as === undefined ? {} : { as })).toEqual(rest)
  })
})

describe('the fixtures', () => {
  it('each have an expectation', () => {
    expect(withoutExpectation()).toEqual([])
    expect(ALL.length).toBeGreaterThan(80)
  })

  it('take less than 1 MiB', () => {
    expect(sizeOfFixtures()).toBeLessThan(1 << 20)
  })

  it('in corrupt/ are named for the code that is found in them', () => {
    const named = ALL.filter(({ name }) => name.startsWith('corrupt/'))
    for (const { name, expected } of named) expect(codesOf(expected), name).toContain(codeInName(name))
  })

  it('show every code that the source can produce', () => {
    const shown = new Set(ALL.flatMap(({ expected }) => codesOf(expected)))
    const codes = codesInSource()
    expect(codes.size).toBeGreaterThan(60)
    expect([...codes].filter(code => !shown.has(code) && !(code in ELSEWHERE)).sort()).toEqual([])
    // What is listed here and has got a fixture, or is gone from the source, has no place here any more.
    expect(Object.keys(ELSEWHERE).filter(code => shown.has(code) || !codes.has(code))).toEqual([])
  })
})

/** Codes that no file in a folder can show, and where they are tested instead. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  'input.changed': 'test/keyspace/encoded.test.ts, test/operations/compact.test.ts: while it is read',
  'input.closed': 'a mistake of the caller',
  'input.folder': 'test/bytes/source.test.ts',
  'input.kind': 'test/bytes/source.test.ts',
  'input.missing': 'test/transcripts/verify.txt',
  'input.shrank': 'test/bytes/source.test.ts',
  'input.terminal': 'test/bytes/source.test.ts',
  'manifest.size': 'test/aof/parts.test.ts: 16 MiB',
  'rdb.count': 'a mistake of the caller',
  'rdb.function.size': 'a library of more than 512 MiB',
  'rdb.key.size': 'test/rdb/entries.test.ts: a key of more than 512 MiB',
  'rdb.memory': 'more bytes than Node has buffers for',
  'rdb.module': 'test/operations/rdb-check.test.ts: no server here writes one that it does not load',
  'rdb.payload.checksum': 'test/rdb/payload.test.ts: of RESTORE',
  'rdb.payload.size': 'test/rdb/payload.test.ts',
  'rdb.payload.version': 'test/rdb/payload.test.ts',
  'rdb.target': 'test/rdb/writer.test.ts: of what is written',
  'rdb.value.end': 'test/rdb/value-reader.test.ts: the walk finds it first',
  'rdb.value.size': 'test/rdb/value-reader.test.ts: more than 1 GiB',
  'rdb.magic': 'test/rdb/walk.test.ts: to a log, other bytes are no RDB but commands',
}

/** `corrupt/resp.bulk.type+line-feeds.aof`: `resp.bulk.type` */
function codeInName(name: string): string {
  return /^corrupt\/(.*?)(?:\+.*)?(?:\.(?:aof|rdb))?(?:\.(?:gz|zst))?$/.exec(name)![1].replace(/\+.*/, '')
}

function codesOf(expected: Fixture['expected']): string[] {
  if ('refused' in expected) return [expected.refused]
  return expected.findings.map(({ code }) => code)
}

/** Codes of findings and of errors about what is read, by the strings in the source. */
function codesInSource(): Set<string> {
  const codes = new Set<string>()
  const source = join(FIXTURES, '../src')
  for (const file of readdirSync(source, { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith('.ts')) continue
    const text = readFileSync(join(source, file), 'utf8')
    // In these two the prefix is put before the code in one place.
    const prefixed = /^aof\/(?:manifest|parts)\.ts$/.test(file)
    if (prefixed) for (const [, code] of text.matchAll(REPORTED)) codes.add(`manifest.${code}`)
    for (const [, code] of (prefixed ? text.replace(REPORTED, '') : text).matchAll(CODE)) codes.add(code)
  }
  return codes
}

const FAMILIES = 'resp|transaction|command|annotation|manifest|part|rdb|gzip|zstd|input'
const CODE = new RegExp(`'((?:${FAMILIES})\\.[a-z0-9-]+(?:\\.[a-z0-9-]+)*)'`, 'g')
const REPORTED = /(?:new LineError\(|report\(\s*(?:'\w+'|[^,']+ \? '\w+' : '\w+'),)\s*'([a-z.-]+)'/g

/*
 * The expectations are held against real servers: what is sound or damaged starts with `aof-load-truncated no`, what is
 * torn only with `yes`, what is corrupt does not start. Except that redis does not look at the number of arguments, that
 * no server here has a module, and that a torn annotation is read as a whole one.
 */

/** Servers go on as if nothing had been there. */
const STARTS_EMPTY = new Set(['manifest.missing', 'manifest.misnamed', 'manifest.no-parts'])

describe.each(foundServers())('%s', server => {
  it('starts on what is sound, damaged or torn, and not on what is corrupt', async () => {
    // Servers read no compressed logs; what is refused is no log.
    const logs = ALL.filter(({ name, expected }) => 'verdict' in expected && !/\.(?:gz|zst)$/.test(name))
    const wrong: string[] = []
    await forEachParallel(logs, async fixture => {
      wrong.push(...(await disagreements(server, fixture)))
    })
    expect(wrong).toEqual([])
  }, 60_000)
})

/** What the server does with a fixture that is not what verify says that it would do. */
async function disagreements(server: Server, { name, path }: Fixture): Promise<string[]> {
  const { verdict, findings } = await verifyPath(path, { as: server.name })
  const codes = findings.map(({ code }) => code)
  const log = logAt(path)
  const wrong: string[] = []
  const expectStart = async (truncated: 'yes' | 'no', starts: boolean, empty = false) => {
    const running = await server.load(log, { truncated, as: 'single', args: argumentsFor(log) })
    const isEmpty = running.started && !String(await running.query('INFO', 'keyspace')).includes('keys=')
    await running.stop()
    if (running.started === starts && (!empty || isEmpty)) return
    const did = running.started ? `starts${isEmpty ? ' empty' : ''}` : 'does not start'
    wrong.push(
      `${name}: ${verdict} (${codes}), but with ${truncated} ${server.name} ${did}\n${running.log.slice(-300)}`,
    )
  }
  if (codes.includes('command.arity') && server.name.startsWith('redis')) return []
  if (codes.includes('command.module')) await expectStart('yes', false)
  else if (codes.some(code => STARTS_EMPTY.has(code))) await expectStart('no', true, true)
  else {
    // What starts with `no` starts with `yes` as well; what does not start with `yes` does not with `no`.
    const readsOn = codes.includes('resp.annotation.torn')
    if (verdict === 'torn' || verdict === 'corrupt') await expectStart('yes', verdict === 'torn')
    if (verdict !== 'corrupt') await expectStart('no', verdict !== 'torn' || readsOn)
  }
  return wrong
}

/** A fixture as the servers of the tests take it: bytes, a folder of parts, or files by their path below that. */
function logAt(path: string): Log {
  if (statSync(path).isFile()) return readFileSync(path)
  const names = readdirSync(path)
  if (!names.includes('appendonlydir')) return path
  const files: Record<string, Uint8Array> = {}
  for (const name of readdirSync(join(path, 'appendonlydir'))) {
    files[name] = readFileSync(join(path, 'appendonlydir', name))
  }
  for (const name of names) {
    if (name !== 'appendonlydir') files[join('..', name)] = readFileSync(join(path, name))
  }
  return files
}

/** The server has to be told the name of its log. */
function argumentsFor(log: Log): string[] {
  const names = typeof log === 'string' ? readdirSync(log) : log instanceof Uint8Array ? [] : Object.keys(log)
  const manifest = names.find(name => name.endsWith('.manifest'))
  return manifest === undefined ? [] : ['--appendfilename', manifest.slice(0, -'.manifest'.length)]
}
