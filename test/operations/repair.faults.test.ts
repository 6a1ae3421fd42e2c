import { execFileSync, spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
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
 * What a repair leaves that does not come to its end. It is interrupted at each of its calls of the system, by a script
 * that is loaded before it, and at random moments. With AOFKIT_LONG=1 at all of them, otherwise at a sample.
 */

const LONG = process.env.AOFKIT_LONG !== undefined
const SEED = Number(process.env.AOFKIT_SEED ?? 20240503)

const SOUND = Buffer.concat([encode('SET', 'key', 'value'), encode('DEL', 'key'), encode('SET', 'a', 'b')])
const TAIL = encode('SET', 'other', 'value').subarray(0, -9)
const TORN = Buffer.concat([SOUND, TAIL])

/** A middle part is to be cut, and one behind it to be dropped. */
const PARTS: Files = {
  'a.aof.1.base.rdb': rdb('REDIS0010', select(0), entry(0, 'in the base', str('1'))),
  'a.aof.1.incr.aof': SOUND,
  'a.aof.2.incr.aof': TORN,
  'a.aof.3.incr.aof': Buffer.concat([SOUND, SOUND]),
  [MANIFEST]: Buffer.from(
    'file a.aof.1.base.rdb seq 1 type b\nfile a.aof.1.incr.aof seq 1 type i\nfile a.aof.2.incr.aof seq 2 type i\nfile a.aof.3.incr.aof seq 3 type i\n',
  ),
}

/** A middle part is damaged in two places. */
const DAMAGED = Buffer.concat([SOUND, Buffer.from('*?\r\n'), SOUND, TAIL, SOUND])
const DAMAGED_PARTS: Files = { ...PARTS, 'a.aof.2.incr.aof': DAMAGED }
const SALVAGED = Buffer.concat([SOUND, SOUND, SOUND])
const SKIPPED = Buffer.concat([Buffer.from('*?\r\n'), TAIL])

interface Way {
  readonly name: string
  readonly salvage?: boolean
  readonly log: Log
  /** What a server would load of it, before and after. */
  readonly before: readonly Buffer[]
  readonly after: readonly Buffer[]
  /** What is cut or dropped, in files of its own. */
  readonly kept: readonly Buffer[]
  readonly inPlace: boolean
}

const CUTS: readonly Way[] = [
  { name: 'a file, elsewhere', log: TORN, inPlace: false },
  { name: 'a file, in place', log: TORN, inPlace: true },
  { name: 'a folder, elsewhere', log: PARTS, inPlace: false },
  { name: 'a folder, in place', log: PARTS, inPlace: true },
].map(way => ({
  ...way,
  before: way.log === PARTS ? contentOf(PARTS) : [TORN],
  after: way.log === PARTS ? [...contentOf(PARTS).slice(0, 2), SOUND] : [SOUND],
  kept: way.log === PARTS ? [TAIL, PARTS['a.aof.3.incr.aof']] : [TAIL],
}))

const SALVAGES: readonly Way[] = [
  { name: 'a file with damage to skip, elsewhere', log: DAMAGED, inPlace: false },
  { name: 'a file with damage to skip, in place', log: DAMAGED, inPlace: true },
  { name: 'a folder with damage to skip, elsewhere', log: DAMAGED_PARTS, inPlace: false },
  { name: 'a folder with damage to skip, in place', log: DAMAGED_PARTS, inPlace: true },
].map(way => {
  const before = way.log === DAMAGED_PARTS ? contentOf(DAMAGED_PARTS) : [DAMAGED]
  const after = before.map(bytes => (bytes === DAMAGED ? SALVAGED : bytes))
  return { ...way, salvage: true, before, after, kept: [SKIPPED] }
})

const WAYS = [...CUTS, ...SALVAGES]

function contentOf(files: Files): Buffer[] {
  return partsOf(files[MANIFEST]).map(name => files[name])
}

/** What a server would load from a path; undefined where nothing is. */
function loadedFrom(path: string): Buffer[] | undefined {
  if (!existsSync(path)) return undefined
  if (!existsSync(join(path, MANIFEST))) return [readFileSync(path)]
  return partsOf(readFileSync(join(path, MANIFEST))).map(name => readFileSync(join(path, name)))
}

function same(a: readonly Buffer[] | undefined, b: readonly Buffer[]): boolean {
  return a !== undefined && a.length === b.length && a.every((bytes, i) => bytes.equals(b[i]))
}

/** Whether these bytes are a file of their own, somewhere below a folder. */
function isKept(folder: string, bytes: Buffer): boolean {
  return readdirSync(folder, { recursive: true, withFileTypes: true }).some(
    entry => entry.isFile() && readFileSync(join(entry.parentPath, entry.name)).equals(bytes),
  )
}

let preload: string
let home: string

beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'aofkit-test-'))
  preload = join(home, 'preload.cjs')
  writeFileSync(preload, PRELOAD)
  return () => rmSync(home, { recursive: true, force: true })
})

function argumentsOf(way: Way, path: string): string[] {
  const salvage = way.salvage === true ? ['--salvage'] : []
  return ['repair', path, ...salvage, ...(way.inPlace ? ['--in-place'] : ['--output', `${path}.out`])]
}

/** Runs a repair that is interrupted at call number `at`. */
function interrupt(way: Way, path: string, env: Record<string, string>) {
  return ended(
    start(argumentsOf(way, path), { env: { ...process.env, NODE_OPTIONS: `--require ${preload}`, ...env } }),
  )
}

/** How many calls a repair makes that could be interrupted. */
function callsOf(way: Way): Promise<number> {
  const known = counted.get(way) ?? countCalls(way)
  counted.set(way, known)
  return known
}

const counted = new Map<Way, Promise<number>>()

async function countCalls(way: Way): Promise<number> {
  const folder = mkdtempSync(join(home, 'counted-'))
  const count = join(folder, 'count')
  const { status, err } = await interrupt(way, place(folder, way.log), { COUNT: count })
  expect(status, err).toBe(0)
  return Number(readFileSync(count, 'utf8'))
}

/** The old state or the new one is there, with nothing lost; a second repair comes to its end. */
async function expectOldOrNew(way: Way, path: string): Promise<'old' | 'new'> {
  const folder = join(path, '..')
  const target = way.inPlace ? path : `${path}.out`
  const there = loadedFrom(target)
  if (!way.inPlace) expect(same(loadedFrom(path), way.before), 'the source').toBe(true)
  const state = same(there, way.after) ? 'new' : 'old'
  if (state === 'old') {
    if (way.inPlace) expect(same(there, way.before), 'the old state').toBe(true)
    else expect(there).toBeUndefined()
  } else for (const bytes of way.kept) expect(isKept(folder, bytes), 'what was cut').toBe(true)
  if (way.inPlace) {
    const [verdict] = JSON.stringify((await call('verify', path, '--json')).out.toString()).match(
      /sound|corrupt|torn/,
    ) ?? ['']
    expect(verdict).toMatch(state === 'new' ? 'sound' : /corrupt|torn/)
  }

  const again = state === 'new' && !way.inPlace ? ['--force'] : []
  const { status, err } = await call(...argumentsOf(way, path), ...again)
  expect(status, err).toBe(0)
  expect(same(loadedFrom(target), way.after), 'the state after a second repair').toBe(true)
  for (const bytes of way.kept) expect(isKept(folder, bytes), 'what was cut').toBe(true)
  if (way.inPlace) for (const bytes of way.before) expect(isKept(folder, bytes), 'a part').toBe(true)
  expect(temporariesIn(folder)).toEqual([])
  return state
}

/** Numbers from 1 to `count`: all of them, or some. */
function sample(count: number, some: number): number[] {
  const numbers = Array.from({ length: count }, (_, i) => i + 1)
  if (LONG || count <= some) return numbers
  return Array.from({ length: some }, (_, i) => numbers[Math.floor(((i + 0.5) * count) / some)])
}

describe.each(WAYS)('a repair of $name', way => {
  it('that is killed at any of its calls leaves the old state or the new one', async () => {
    const calls = await callsOf(way)
    expect(calls).toBeGreaterThan(6)
    const states = new Set<string>()
    await forEachParallel(
      sample(calls, 4).flatMap(at => (LONG ? ['before', 'after'] : ['after']).map(when => ({ at, when }))),
      async ({ at, when }) => {
        const folder = mkdtempSync(join(home, 'killed-'))
        const path = place(folder, way.log)
        const { signal, err } = await interrupt(way, path, { AT: `${at}`, WHEN: when, SIGNAL: 'SIGKILL' })
        expect(signal, `${when} call ${at} of ${calls}: ${err}`).toBe('SIGKILL')
        const left = readdirSync(folder, { recursive: true }).join(' ')
        const context = `${when} call ${at} of ${calls}, which left ${left}`
        states.add(
          await expectOldOrNew(way, path).catch(error => {
            throw new Error(`${context}: ${error.message}`, { cause: error })
          }),
        )
      },
    )
    if (LONG) expect(states).toEqual(new Set(['old', 'new']))
  }, 600_000)

  it('that is told to end, at any of its calls, takes back what it did not finish', async () => {
    const calls = await callsOf(way)
    await forEachParallel([...sample(calls, 3).entries()], async ([i, at]) => {
      const folder = mkdtempSync(join(home, 'told-'))
      const path = place(folder, way.log)
      const before = stateOf(folder)
      const [SIGNAL, wanted] = i % 2 === 0 ? ['SIGINT', 130] : ['SIGTERM', 143]
      const { status, out, err } = await interrupt(way, path, {
        AT: `${at}`,
        WHEN: 'after',
        SIGNAL: `${SIGNAL}`,
      })
      const left = readdirSync(folder, { recursive: true }).join(' ')
      const context = `${SIGNAL} after call ${at} of ${calls}, which left ${left}`
      // At its very end it may be done, or say so, before it hears.
      const late = at === calls && (status === 0 || status === wanted)
      if (!late)
        expect({ status, out: out.toString(), err }, context).toEqual({ status: wanted, out: '', err: '' })
      expect(temporariesIn(folder), context).toEqual([])
      if (stateOf(folder) === before) return
      const target = way.inPlace ? path : `${path}.out`
      expect(same(loadedFrom(target), way.after), context).toBe(true)
      for (const bytes of way.kept) expect(isKept(folder, bytes), context).toBe(true)
    })
  }, 600_000)
})

describe('a repair of a large log', () => {
  const ONE = encode('SET', 'key', 'v'.repeat(1000))
  const size = LONG ? 50_000_000 : 12_000_000
  const sound = Buffer.concat(Array.from({ length: Math.floor(size / ONE.length) }, () => ONE))
  const tail = Buffer.concat([encode('MULTI'), sound.subarray(0, Math.floor(sound.length / 4))])
  const log = Buffer.concat([sound, tail])
  const way = { name: '', log, before: [log], after: [sound], kept: [tail] }

  it.each([true, false])(
    `that is killed at any moment leaves one state or the other (in place: %s, seed ${SEED})`,
    async inPlace => {
      const random = generator(SEED)
      const folder = temporaryFolder()
      const started = Date.now()
      const path = place(folder, log)
      expect((await ended(start(argumentsOf({ ...way, inPlace }, path)))).status).toBe(0)
      const whole = Date.now() - started
      for (let i = 0; i < (LONG ? 40 : 2); i++) {
        const folder = mkdtempSync(join(home, 'large-'))
        const path = place(folder, log)
        const child = start(argumentsOf({ ...way, inPlace }, path))
        const end = ended(child)
        // Most of the time goes into what stands first, starting and reading: rather towards the end.
        await wait(whole * (0.3 + 0.7 * random()))
        child.kill('SIGKILL')
        await end
        await expectOldOrNew({ ...way, inPlace }, path)
        rmSync(folder, { recursive: true })
      }
    },
    600_000,
  )
})

describe('a repair for which there is no room', () => {
  const ONE = encode('SET', 'key', 'v'.repeat(1000))
  const sound = Buffer.concat(Array.from({ length: 2000 }, () => ONE))
  const log = Buffer.concat([sound, ONE.subarray(0, 500)])

  it.for(
    ['in place', 'elsewhere', 'a folder in place', 'a folder elsewhere'].flatMap(where => [
      [where, []] as const,
      [where, ['--salvage']] as const,
    ]),
  )('on a full disk leaves everything as it was: %s %s', async ([where, more], context) => {
    const folder = temporaryFolder()
    const disk = join(folder, 'disk')
    mkdirSync(disk)
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=3m', 'tmpfs', disk], {
      encoding: 'utf8',
    })
    if (mounted.status !== 0)
      return context.skip(`no small disk can be mounted: ${mounted.stderr || mounted.error}`)
    try {
      const files = { ...PARTS, 'a.aof.2.incr.aof': log }
      const path = place(where.endsWith('place') ? disk : folder, where.startsWith('a folder') ? files : log)
      // The parts of a folder fit, and what is to be written beside them does not.
      if (!where.endsWith('place')) writeFileSync(join(disk, 'filler'), Buffer.alloc(2_000_000))
      const before = stateOf(folder)
      const way = where.endsWith('place') ? ['--in-place'] : ['--output', join(disk, 'out')]
      const { status, out, err } = await ended(start(['repair', path, ...way, ...more]))
      expect(err).toMatch(/^aofkit: cannot write .*: no space left on the disk\n$/)
      expect({ status, out: out.toString() }).toEqual({ status: 2, out: '' })
      expect(stateOf(folder)).toBe(before)
    } finally {
      execFileSync('umount', [disk])
    }
  })

  it('that may not write so large a file leaves everything as it was', async () => {
    for (const large of [log, { ...PARTS, 'a.aof.2.incr.aof': log }]) {
      for (const inPlace of [true, false]) {
        const folder = temporaryFolder()
        const path = place(folder, large)
        const before = stateOf(folder)
        const args = argumentsOf({ inPlace } as Way, path).map(arg => `'${arg}'`)
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

  it('of standard input says where there was none for the copy that it keeps', async context => {
    const folder = temporaryFolder()
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder], {
      encoding: 'utf8',
    })
    if (mounted.status !== 0)
      return context.skip(`no small disk can be mounted: ${mounted.stderr || mounted.error}`)
    try {
      chmodSync(folder, 0o777)
      const other = temporaryFolder()
      const child = start(['repair', '-', '--output', join(other, 'out')], {
        stdio: ['pipe', 'pipe', 'pipe'],
        env: { ...process.env, TMPDIR: folder },
      })
      child.stdin?.on('error', () => {})
      child.stdin?.end(log)
      const { status, err } = await ended(child)
      expect(err).toContain(
        `temporary file in ${folder} (TMPDIR names another place): no space left on the disk`,
      )
      expect(status).toBe(2)
      expect(readdirSync(other)).toEqual([])
    } finally {
      execFileSync('umount', [folder])
    }
  })
})
