import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { encode } from '../helpers/chunks.ts'
import { bundle, call, ended, start } from '../helpers/command.ts'
import { PRELOAD } from '../helpers/interrupt.ts'
import { forEachParallel } from '../helpers/parallel.ts'
import { temporaryFolder } from '../helpers/temp.ts'
import { entry, rdb, select, str } from '../rdb/build.ts'
import { type Log, place, stateOf, temporariesIn } from './repairing.ts'
import { folderOf, partsIn } from './rewinding.ts'

/*
 * What a rewind leaves that does not come to its end: nothing, or the whole result; and the source as it was.
 */

const LONG = process.env.AOFKIT_LONG !== undefined
const ONE = encode('SET', 'key', 'v'.repeat(1000))
const BEFORE = Buffer.concat(Array.from({ length: 2000 }, () => ONE))
const FILE = Buffer.concat([BEFORE, encode('FLUSHALL'), ONE])
const FOLDER = folderOf(
  new Map([
    ['appendonly.aof.1.base.rdb', rdb('REDIS0010', select(0), entry(0, 'in the base', str('1')))],
    ['appendonly.aof.1.incr.aof', FILE],
    ['appendonly.aof.2.incr.aof', ONE],
  ]),
)
const WAYS = [
  { name: 'a file', log: FILE as Log, words: ['--before', 'flushall'] },
  { name: 'a folder', log: FOLDER as Log, words: ['--before', 'flushall'] },
  { name: 'a folder that is filtered', log: FOLDER as Log, words: ['--without', 'flushall'] },
]

let preload: string
let home: string

beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'aofkit-test-'))
  preload = join(home, 'preload.cjs')
  writeFileSync(preload, PRELOAD)
  return () => rmSync(home, { recursive: true, force: true })
})

type Way = (typeof WAYS)[number]

function interrupt({ words }: Way, path: string, env: Record<string, string>) {
  return ended(
    start(['rewind', path, ...words, '--output', `${path}.out`], {
      env: { ...process.env, NODE_OPTIONS: `--require ${preload}`, ...env },
    }),
  )
}

async function expectNothingOrAll({ words }: Way, path: string, source: string): Promise<void> {
  expect(stateOf(path), 'the source').toBe(source)
  const output = `${path}.out`
  const whole = `${path}.whole`
  expect((await call('rewind', path, ...words, '--output', whole)).status).toBe(0)
  if (existsSync(output)) {
    expect(partsIn(output)).toEqual(partsIn(whole))
    return
  }
  // The next one is not in the way of what this one left, and takes it away.
  expect((await call('rewind', path, ...words, '--output', output)).status).toBe(0)
  expect(partsIn(output)).toEqual(partsIn(whole))
  expect(temporariesIn(join(path, '..'))).toEqual([])
}

describe.each(WAYS)('a rewind of $name', way => {
  it('that is killed or told to end at any of its calls leaves nothing, or all of it', {
    timeout: 600_000,
  }, async () => {
    const count = join(home, `count-${WAYS.indexOf(way)}`)
    const counted = place(mkdtempSync(join(home, 'counted-')), way.log)
    expect((await interrupt(way, counted, { COUNT: count })).status).toBe(0)
    const calls = Number(readFileSync(count, 'utf8'))
    expect(calls).toBeGreaterThan(6)
    const some = LONG ? calls : 3
    const strikes = Array.from({ length: some }, (_, i) => ({
      at: Math.ceil(((i + 1) * calls) / some),
      signal: i % 2 === 0 ? 'SIGKILL' : 'SIGTERM',
    }))
    await forEachParallel(strikes, async ({ at, signal }) => {
      const folder = mkdtempSync(join(home, 'struck-'))
      const path = place(folder, way.log)
      const source = stateOf(path)
      await interrupt(way, path, { AT: `${at}`, WHEN: 'after', SIGNAL: signal })
      if (signal === 'SIGTERM') expect(temporariesIn(folder), `call ${at} of ${calls}`).toEqual([])
      await expectNothingOrAll(way, path, source).catch(error => {
        throw new Error(`${signal} after call ${at} of ${calls}: ${error.message}`, { cause: error })
      })
      rmSync(folder, { recursive: true })
    })
  })

  it('for which there is no room leaves everything as it was', async context => {
    const folder = temporaryFolder()
    const disk = join(folder, 'disk')
    mkdirSync(disk)
    const options = ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', disk]
    const mounted = spawnSync('mount', options, { encoding: 'utf8' })
    if (mounted.status !== 0)
      return context.skip(`no small disk can be mounted: ${mounted.stderr || mounted.error}`)
    try {
      const path = place(folder, way.log)
      const before = stateOf(folder)
      const { status, out, err } = await ended(
        start(['rewind', path, ...way.words, '--output', join(disk, 'out')]),
      )
      expect(err).toMatch(/^aofkit: cannot write .*: no space left on the disk\n$/)
      expect({ status, out: out.toString() }).toEqual({ status: 2, out: '' })
      expect(stateOf(folder)).toBe(before)
      expect(readdirSync(disk)).toEqual([])
    } finally {
      execFileSync('umount', [disk])
    }
  })

  it('that may not write so large a file leaves everything as it was', () => {
    const folder = temporaryFolder()
    const path = place(folder, way.log)
    const before = stateOf(folder)
    const args = ['rewind', path, ...way.words, '--output', `${path}.out`].map(arg => `'${arg}'`)
    const { status, stderr, stdout } = spawnSync(
      'bash',
      ['-c', `ulimit -f 1024; exec ${process.execPath} ${bundle()} ${args.join(' ')}`],
      { encoding: 'utf8' },
    )
    expect(stderr).toMatch(/^aofkit: cannot write .*: file too large for this file system or limit\n$/)
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
    expect(stateOf(folder)).toBe(before)
  })
})

describe('the result of a rewind', () => {
  it('has the modes of its source', async () => {
    const folder = temporaryFolder()
    const path = place(folder, FOLDER)
    const modes = (of: string) =>
      execFileSync('stat', ['-c', '%a %u %g', of, ...readdirSync(of).map(name => join(of, name))]).toString()
    execFileSync('chmod', ['2750', path])
    for (const name of readdirSync(path)) execFileSync('chmod', ['604', join(path, name)])
    const output = join(folder, 'out')
    expect((await call('rewind', path, '--before', 'flushall', '--output', output)).status).toBe(0)
    rmSync(join(path, 'appendonly.aof.2.incr.aof'))
    expect(modes(output)).toBe(modes(path))
  })

  it('replaces a folder only with --force, which keeps it', async () => {
    const folder = temporaryFolder()
    const path = place(folder, FOLDER)
    const output = join(folder, 'out')
    const words = ['rewind', path, '--before', 'flushall', '--output', output]
    expect((await call(...words)).status).toBe(0)
    const before = stateOf(output)
    expect((await call(...words)).err).toContain('exists already')
    expect((await call(...words, '--force')).status).toBe(0)
    expect(stateOf(`${output}.old`)).toBe(before)
    const { err } = await call('rewind', path, '--before', 'flushall', '--output', folder, '--force')
    expect(err).toContain('holds the log that is rewound')
  })
})
