import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { beforeAll, describe, expect, it } from 'vitest'
import { generator } from '../../bench/logs.ts'
import { encode } from '../helpers/chunks.ts'
import { bundle, call, ended, start } from '../helpers/command.ts'
import { PRELOAD } from '../helpers/interrupt.ts'
import { forEachParallel } from '../helpers/parallel.ts'
import { temporaryFolder } from '../helpers/temp.ts'
import { entry, rdb, select, str } from '../rdb/build.ts'
import { type Log, MANIFEST, partsOf, place, stateOf, temporariesIn } from './repairing.ts'
import type { Files } from './server-logs.ts'

/*
 * What a compaction leaves that does not come to its end. It is interrupted at its calls of the system, and at random
 * moments. With AOFKIT_LONG=1 at all of them, otherwise at a sample.
 */

const LONG = process.env.AOFKIT_LONG !== undefined
const SEED = Number(process.env.AOFKIT_SEED ?? 20261121)

const FILE = Buffer.concat([
  encode('SET', 'key', 'value'),
  encode('SET', 'key', 'another value'),
  encode('RPUSH', 'list', 'a', 'b'),
])

const PARTS: Files = {
  'a.aof.1.base.rdb': rdb('REDIS0010', select(0), entry(0, 'in the base', str('1'))),
  'a.aof.1.incr.aof': FILE,
  'a.aof.2.incr.aof': encode('DEL', 'list'),
  [MANIFEST]: Buffer.from(
    'file a.aof.1.base.rdb seq 1 type b\nfile a.aof.1.incr.aof seq 1 type i\nfile a.aof.2.incr.aof seq 2 type i\n',
  ),
}

interface Way {
  readonly name: string
  readonly log: Log
  readonly args: readonly string[]
  readonly inPlace: boolean
}

const WAYS: readonly Way[] = [
  { name: 'a file, elsewhere', log: FILE, args: [], inPlace: false },
  { name: 'a file, in place', log: FILE, args: [], inPlace: true },
  { name: 'a file, as commands', log: FILE, args: ['--no-preamble'], inPlace: true },
  { name: 'a folder, elsewhere', log: PARTS, args: [], inPlace: false },
  { name: 'a folder, in place', log: PARTS, args: [], inPlace: true },
  { name: 'a folder, in place, without a backup', log: PARTS, args: ['--no-backup'], inPlace: true },
]

/** What a server would load from a path, one part behind the other; undefined where nothing is. */
function loadedFrom(path: string): string | undefined {
  if (!existsSync(path)) return undefined
  if (!existsSync(join(path, MANIFEST))) return readFileSync(path, 'latin1')
  const parts = partsOf(readFileSync(join(path, MANIFEST)))
  return parts.map(name => readFileSync(join(path, name), 'latin1')).join('')
}

let preload: string
let home: string

beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'aofkit-test-'))
  preload = join(home, 'preload.cjs')
  writeFileSync(preload, PRELOAD)
  return () => rmSync(home, { recursive: true, force: true })
})

function argumentsOf({ inPlace, args }: Pick<Way, 'inPlace' | 'args'>, path: string): string[] {
  return ['compact', path, ...(inPlace ? ['--in-place'] : ['--output', `${path}.out`]), ...args]
}

/** Runs a compaction that is interrupted at call number `at`. */
function interrupt(way: Way, path: string, env: Record<string, string>) {
  return ended(
    start(argumentsOf(way, path), { env: { ...process.env, NODE_OPTIONS: `--require ${preload}`, ...env } }),
  )
}

interface Whole {
  readonly before: string
  readonly after: string
  /** Calls of the system that could be interrupted. */
  readonly calls: number
}

const known = new Map<Way, Promise<Whole>>()

/** One that comes to its end. */
function wholeOf(way: Way): Promise<Whole> {
  const found = known.get(way) ?? runWhole(way)
  known.set(way, found)
  return found
}

async function runWhole(way: Way): Promise<Whole> {
  const folder = mkdtempSync(join(home, 'whole-'))
  const count = join(folder, 'count')
  const path = place(folder, way.log)
  const before = loadedFrom(path) as string
  const { status, err } = await interrupt(way, path, { COUNT: count })
  expect(status, err).toBe(0)
  const after = loadedFrom(way.inPlace ? path : `${path}.out`) as string
  expect(after).not.toBe(before)
  return { before, after, calls: Number(readFileSync(count, 'utf8')) }
}

/** The old state or the new one is there; another compaction comes to its end, and leaves nothing of the first. */
async function expectOldOrNew(way: Way, { before, after }: Whole, path: string): Promise<'old' | 'new'> {
  const folder = join(path, '..')
  const target = way.inPlace ? path : `${path}.out`
  if (!way.inPlace) expect(loadedFrom(path), 'the source').toBe(before)
  const there = loadedFrom(target)
  const state = there === after ? 'new' : 'old'
  if (state === 'old') expect(there, 'the old state').toBe(way.inPlace ? before : undefined)
  if (there !== undefined) expect((await call('verify', target)).out.toString()).toContain('sound')

  const again = state === 'new' && !way.inPlace ? ['--force'] : []
  const { status, err } = await call(...argumentsOf(way, path), ...again)
  expect(status, err).toBe(0)
  expect(loadedFrom(target), 'the state after another one').toBe(after)
  expect(temporariesIn(folder)).toEqual([])
  if (existsSync(join(target, MANIFEST))) {
    const listed = [...partsOf(readFileSync(join(target, MANIFEST))), MANIFEST]
    const unlisted = readdirSync(target).filter(
      name => !listed.includes(name) && !/\.old(\.\d+)?$/.test(name),
    )
    expect(unlisted, 'files that nobody lists').toEqual([])
  }
  return state
}

/** Numbers from 1 to `count`: all of them, or some. */
function sample(count: number, some: number): number[] {
  const numbers = Array.from({ length: count }, (_, i) => i + 1)
  if (LONG || count <= some) return numbers
  return Array.from({ length: some }, (_, i) => numbers[Math.floor(((i + 0.5) * count) / some)])
}

describe.each(WAYS)('a compaction of $name', way => {
  it('that is killed at any of its calls leaves the old state or the new one', async () => {
    const whole = await wholeOf(way)
    expect(whole.calls).toBeGreaterThan(5)
    const states = new Set<string>()
    await forEachParallel(
      sample(whole.calls, 5).flatMap(at =>
        (LONG ? ['before', 'after'] : ['after']).map(when => ({ at, when })),
      ),
      async ({ at, when }) => {
        const folder = mkdtempSync(join(home, 'killed-'))
        const path = place(folder, way.log)
        const { signal, err } = await interrupt(way, path, { AT: `${at}`, WHEN: when, SIGNAL: 'SIGKILL' })
        const context = `${when} call ${at} of ${whole.calls}`
        expect(signal, `${context}: ${err}`).toBe('SIGKILL')
        const left = readdirSync(folder, { recursive: true }).join(' ')
        states.add(
          await expectOldOrNew(way, whole, path).catch(error => {
            throw new Error(`${context}, which left ${left}: ${error.message}`, { cause: error })
          }),
        )
      },
    )
    if (LONG) expect(states).toEqual(new Set(['old', 'new']))
  }, 600_000)

  it('that is told to end, at any of its calls, takes back what it did not finish', async () => {
    const whole = await wholeOf(way)
    await forEachParallel([...sample(whole.calls, 3).entries()], async ([i, at]) => {
      const folder = mkdtempSync(join(home, 'told-'))
      const path = place(folder, way.log)
      const before = stateOf(folder)
      const [SIGNAL, wanted] = i % 2 === 0 ? ['SIGINT', 130] : ['SIGTERM', 143]
      const { status, err } = await interrupt(way, path, { AT: `${at}`, WHEN: 'after', SIGNAL: `${SIGNAL}` })
      const context = `${SIGNAL} after call ${at} of ${whole.calls}`
      // At its very end it may be done before it hears.
      expect([wanted, ...(at === whole.calls ? [0] : [])], `${context}: ${err}`).toContain(status)
      expect(temporariesIn(folder), context).toEqual([])
      if (stateOf(folder) === before) return
      await expectOldOrNew(way, whole, path)
    })
  }, 600_000)
})

describe('a compaction of a large log', () => {
  const log = Buffer.concat(
    Array.from({ length: LONG ? 50_000 : 10_000 }, (_, i) =>
      encode('SET', `key:${i % 7000}`, `${i}`.repeat(200)),
    ),
  )

  it.each([true, false])(
    `that is killed at any moment leaves one state or the other (in place: %s, seed ${SEED})`,
    async inPlace => {
      const random = generator(SEED)
      const way = { name: '', log, args: [], inPlace }
      const started = Date.now()
      const whole = await runWhole(way)
      const time = Date.now() - started
      for (let i = 0; i < (LONG ? 40 : 2); i++) {
        const folder = mkdtempSync(join(home, 'large-'))
        const path = place(folder, log)
        const child = start(argumentsOf(way, path))
        const end = ended(child)
        // Most of the time goes into what stands first, starting and reading: rather towards the end.
        await wait(time * (0.3 + 0.7 * random()))
        child.kill('SIGKILL')
        await end
        await expectOldOrNew(way, whole, path)
        rmSync(folder, { recursive: true })
      }
    },
    600_000,
  )
})

describe('a compaction for which there is no room', () => {
  // What does not shrink.
  const random = generator(SEED)
  const noise = Buffer.from(Array.from({ length: 2_500_000 }, () => Math.floor(random() * 256)))
  const large = Buffer.concat(
    Array.from({ length: 50 }, (_, i) =>
      encode('SET', `key:${i}`, noise.subarray(i * 50_000, (i + 1) * 50_000)),
    ),
  )
  const LOGS: readonly (readonly [string, Log])[] = [
    ['a file', large],
    ['a folder', { ...PARTS, 'a.aof.2.incr.aof': large }],
  ]

  it.for(LOGS.flatMap(([name, log]) => [true, false].map(inPlace => [name, inPlace, log] as const)))(
    'on a full disk leaves everything as it was: %s, in place: %s',
    async ([, inPlace, log], context) => {
      const folder = temporaryFolder()
      const disk = join(folder, 'disk')
      mkdirSync(disk)
      const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', disk], {
        encoding: 'utf8',
      })
      if (mounted.status !== 0)
        return context.skip(`no small disk can be mounted: ${mounted.stderr || mounted.error}`)
      try {
        const path = place(inPlace ? disk : folder, log)
        if (!inPlace) writeFileSync(join(disk, 'filler'), Buffer.alloc(2_500_000))
        const before = stateOf(folder)
        const way = inPlace ? ['--in-place'] : ['--output', join(disk, 'out')]
        const { status, out, err } = await ended(start(['compact', path, ...way]))
        expect(err).toMatch(/^aofkit: cannot write .*: no space left on the disk\n$/)
        expect({ status, out: out.toString() }).toEqual({ status: 2, out: '' })
        expect(stateOf(folder)).toBe(before)
      } finally {
        execFileSync('umount', [disk])
      }
    },
  )

  it('that may not write so large a file leaves everything as it was', async () => {
    for (const [, log] of LOGS) {
      for (const inPlace of [true, false]) {
        const folder = temporaryFolder()
        const path = place(folder, log)
        const before = stateOf(folder)
        const args = argumentsOf({ inPlace, args: [] }, path).map(arg => `'${arg}'`)
        const { status, stderr, stdout } = spawnSync(
          'bash',
          ['-c', `ulimit -f 1024; exec ${process.execPath} ${bundle()} ${args.join(' ')}`],
          { encoding: 'utf8' },
        )
        expect(stderr).toMatch(/^aofkit: cannot write .*: file too large for this file system or limit\n$/)
        expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
        expect(stateOf(folder)).toBe(before)
      }
    }
  })
})
