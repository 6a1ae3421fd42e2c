import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { generator } from '../../bench/logs.ts'
import { encode } from '../helpers/chunks.ts'
import { call, callJson } from '../helpers/command.ts'
import { forEachParallel } from '../helpers/parallel.ts'
import { foundServers, type Server } from '../helpers/servers.ts'
import { temporaryFolder } from '../helpers/temp.ts'
import {
  contentOf,
  expectWhole,
  type Log,
  MANIFEST,
  partsOf,
  place,
  type RepairJson,
  stateOf,
  temporariesIn,
} from './repairing.ts'
import { type Files, multiPartLog } from './server-logs.ts'

/*
 * Logs that servers wrote, damaged and repaired: the server that wrote them loads the result with
 * `aof-load-truncated no`, and no byte is lost. With AOFKIT_LONG=1 hundreds of truncations and damages are tried, otherwise some.
 */

const LONG = process.env.AOFKIT_LONG !== undefined
const SEED = Number(process.env.AOFKIT_SEED ?? 20240502)

/** A damaged log. */
interface Case {
  readonly what: string
  readonly log: Log
  readonly args?: readonly string[]
}

/** Why it was refused; undefined where it was repaired. */
type Outcome = string | undefined

/** Repairs a log in every way, and holds the results against everything that was promised. */
async function repairEveryWay(server: Server, { what, log, args = [] }: Case): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), 'aofkit-test-'))
  try {
    return await tryEveryWay(server, folder, log, ['--as', server.name, ...args])
  } catch (error) {
    const files = log instanceof Uint8Array ? { log } : log
    const shown = Object.entries(files).map(([name, bytes]) => `${name}: ${bytes.toString('base64')}`)
    throw new Error(`${what}: ${(error as Error).message}\n${shown.join('\n')}`, { cause: error })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function tryEveryWay(server: Server, folder: string, log: Log, args: string[]): Promise<Outcome> {
  const path = place(folder, log)
  const source = contentOf(log, path)
  const before = stateOf(folder)

  const dry = await callJson<RepairJson>('repair', path, '--dry-run', ...args)
  expect(stateOf(folder), 'after a dry run').toBe(before)
  if (dry.status === 2) {
    for (const way of [['--output', join(folder, 'out')], ['--in-place']]) {
      const refused = await call('repair', path, ...way, ...args)
      expect(refused.status, way[0]).toBe(2)
      expect(refused.err, way[0]).toBe(dry.err)
      expect(stateOf(folder), `after ${way[0]} was refused`).toBe(before)
    }
    return dry.err
  }
  const changes = dry.status === 1
  expect(dry.cut > 0 || dry.spans.length > 0, 'a dry run that exits 1 has something to do').toBe(changes)

  const inPlace = join(folder, 'in-place')
  mkdirSync(inPlace)
  cpSync(path, join(inPlace, 'log'), { recursive: true })
  const origin = stateOf(path)

  const out = join(folder, 'out')
  const repaired = join(inPlace, 'log')
  for (const call of [
    [path, '--output', out],
    [repaired, '--in-place'],
  ]) {
    const report = await callJson<RepairJson>('repair', ...call, ...args)
    const way = call[1]
    expect(report.err.replace(NOT_KNOWN, ''), way).toBe('')
    expect(report.status, way).toBe(0)
    expect(report.verdict, way).toBe(dry.verdict)
    expect(report.spans, `${way} does what the dry run said`).toEqual(dry.spans)
    expectWhole(source, report, way === '--output' ? out : repaired)
  }
  expect(temporariesIn(folder)).toEqual([])
  expect(stateOf(path), 'the source of --output').toBe(origin)
  expect(readResult(out), 'both ways have the same result').toEqual(readResult(repaired))
  if (changes) expectBackups(log, repaired)
  await expectLoads(server, repaired)
  await expectNothingLeft(repaired, args)
  return undefined
}

/** Said on machines that hide processes. */
const NOT_KNOWN = /^aofkit: warning: whether another process writes to .* could not be found out\n/gm

function readResult(target: string): string[] {
  if (!existsSync(join(target, MANIFEST))) return [readFileSync(target, 'latin1')]
  return partsOf(readFileSync(join(target, MANIFEST))).map(name => readFileSync(join(target, name), 'latin1'))
}

async function expectLoads(server: Server, target: string): Promise<void> {
  const multiPart = existsSync(join(target, MANIFEST))
  const loaded = await server.load(multiPart ? target : readFileSync(target), {
    as: 'single',
    truncated: 'no',
  })
  await loaded.stop()
  expect(loaded.started, `${server.name} on the result: ${loaded.log.slice(-500)}`).toBe(true)
}

/** Nothing in the result stops a server, and a second repair has nothing to do. */
async function expectNothingLeft(target: string, args: string[]): Promise<void> {
  const before = stateOf(target)
  const { verdict, status, cut, spans, err } = await callJson<RepairJson>(
    'repair',
    target,
    '--in-place',
    ...args,
  )
  expect(['sound', 'damaged']).toContain(verdict)
  expect({ status, cut, spans, err }).toEqual({ status: 0, cut: 0, spans: [], err: '' })
  expect(stateOf(target), 'after a second repair').toBe(before)
}

/** Every file that is not as it was is still there as NAME.old, or as what was dropped. */
function expectBackups(log: Log, path: string): void {
  if (log instanceof Uint8Array) {
    expect(readFileSync(`${path}.old`).equals(log)).toBe(true)
    return
  }
  for (const [name, bytes] of Object.entries(log)) {
    const kept = [name, `${name}.old`, `${name}.dropped`].filter(name => existsSync(join(path, name)))
    expect(
      kept.some(file => readFileSync(join(path, file)).equals(bytes)),
      `${name} as it was`,
    ).toBe(true)
  }
}

/** One of the damages that disks, transfers and programs do. */
function damage(bytes: Buffer, random: () => number, kind: number): { bytes: Buffer; what: string } {
  const at = Math.floor(random() * bytes.length)
  const copy = Buffer.from(bytes)
  switch (kind % 6) {
    case 0:
      return { bytes: copy.subarray(0, at), what: `cut at ${at}` }
    case 1: {
      const bit = Math.floor(random() * 8)
      copy[at] ^= 1 << bit
      return { bytes: copy, what: `bit ${bit} flipped at ${at}` }
    }
    case 2:
      return {
        bytes: Buffer.concat([copy.subarray(0, at), copy.subarray(at + 1)]),
        what: `byte ${at} deleted`,
      }
    case 3: {
      const length = 1 + Math.floor(random() * 40)
      copy.fill(0, at, at + length)
      return { bytes: copy, what: `${length} zeros at ${at}` }
    }
    case 4: {
      const length = 1 + Math.floor(random() * 30)
      return {
        bytes: Buffer.concat([copy.subarray(0, at + length), copy.subarray(at)]),
        what: `${length} bytes twice at ${at}`,
      }
    }
    default: {
      const digits = [...copy.keys()].filter(i => copy[i] >= 0x30 && copy[i] <= 0x39)
      const place = digits[Math.floor(random() * digits.length)]
      copy[place] = 0x30 + Math.floor(random() * 10)
      return { bytes: copy, what: `another digit at ${place}` }
    }
  }
}

/** `count` places in a part of `length` bytes, evenly spread, its end among them; many more with AOFKIT_LONG. */
function places(length: number, count: number, from = 0): number[] {
  const all = Math.min(LONG ? 400 : count, length - from)
  return Array.from({ length: all }, (_, i) => from + Math.floor(((i + 1) * (length - from)) / all))
}

async function repairAll(server: Server, cases: readonly Case[]): Promise<Outcome[]> {
  const outcomes: Outcome[] = new Array(cases.length)
  await forEachParallel([...cases.entries()], async ([i, each]) => {
    outcomes[i] = await repairEveryWay(server, each)
  })
  return outcomes
}

const servers = foundServers()

describe.skipIf(servers.length === 0).each(servers.map(server => ({ server, name: server.name })))(
  'a log of $name',
  ({ server }) => {
    let log: Files
    let parts: string[]
    beforeAll(async () => {
      log = await multiPartLog(server)
      parts = partsOf(log[MANIFEST])
      expect(parts).toHaveLength(4)
    })
    const incr = () => Buffer.concat(parts.slice(1).map(name => log[name]))
    const withPart = (name: string, bytes: Buffer): Files => ({ ...log, [name]: bytes })

    it('that is one file of commands is repaired wherever it ends', async () => {
      const whole = incr()
      // Shorter ones have nothing that could be kept.
      const shortest = whole.indexOf('*3') + 30
      const cases = places(whole.length, 5, shortest).map(at => ({
        what: `${at} of ${whole.length} bytes`,
        log: whole.subarray(0, at),
      }))
      expect(new Set(await repairAll(server, cases))).toEqual(new Set([undefined]))
    }, 600_000)

    it('that begins with a preamble is repaired wherever its commands end, and refused inside the preamble', async () => {
      const base = log[parts[0]]
      const whole = Buffer.concat([base, log[parts[1]]])
      const behind = places(whole.length, 3, base.length - 1).map(at => ({
        what: `${at} of ${whole.length} bytes, preamble of ${base.length}`,
        log: whole.subarray(0, at),
      }))
      expect(new Set(await repairAll(server, behind))).toEqual(new Set([undefined]))
      const inside = places(base.length - 1, 2, 9).map(at => ({
        what: `${at} of a preamble of ${base.length}`,
        log: whole.subarray(0, at),
      }))
      for (const outcome of await repairAll(server, inside)) {
        expect(outcome).toMatch(/^aofkit: log is an RDB that servers do not load/)
      }
    }, 600_000)

    it('of several parts is repaired wherever one of them ends', async () => {
      for (const name of parts.slice(1)) {
        const cases = places(log[name].length - 1, 2).map(at => ({
          what: `${name}: ${at} of ${log[name].length} bytes`,
          log: withPart(name, log[name].subarray(0, at)),
        }))
        expect(new Set(await repairAll(server, cases)), name).toEqual(new Set([undefined]))
      }
    }, 600_000)

    it('of several parts is repaired with its later parts, when they are to be kept', async () => {
      const args = ['--keep-later-parts']
      const [, first, second, third] = parts
      const cases: Case[] = places(log[first].length - 1, 2).map(at => ({
        what: `${first}: ${at} bytes`,
        log: withPart(first, log[first].subarray(0, at)),
        args,
      }))
      cases.push({
        what: 'damage in all three',
        log: {
          ...log,
          [first]: log[first].subarray(0, -7),
          [second]: Buffer.concat([log[second].subarray(0, 300), log[second].subarray(301)]),
          [third]: log[third].subarray(0, -1),
        },
        args,
      })
      expect(new Set(await repairAll(server, cases))).toEqual(new Set([undefined]))
    }, 600_000)

    it(`is repaired whatever happened to one of its parts (seed ${SEED})`, async () => {
      const random = generator(SEED)
      const count = LONG ? 600 : 9
      const cases = Array.from({ length: count }, (_, i): Case => {
        const name = parts[1 + (i % 3)]
        const { bytes, what } = damage(log[name], random, Math.floor(i / 3))
        return { what: `${name}: ${what}`, log: withPart(name, bytes) }
      })
      for (let i = 0; i < count / 3; i++) {
        const { bytes, what } = damage(incr(), random, i)
        cases.push({ what: `single: ${what}`, log: bytes })
      }
      const refused = (await repairAll(server, cases)).filter(outcome => outcome !== undefined)
      // A first command that is broken leaves nothing of a single file.
      for (const reason of refused) expect(reason).toContain('would leave no command and no key')
      expect(refused.length).toBeLessThan(count / 4)
    }, 3_000_000)

    it('whose base holds commands is cut inside that base, without or with its incr parts', async () => {
      const plain = await multiPartLog(server, ['--aof-use-rdb-preamble', 'no'])
      const [base] = partsOf(plain[MANIFEST])
      expect(base).toMatch(/\.base\.aof$/)
      const cases = places(plain[base].length - 1, 2, 120).flatMap(at =>
        [[], ['--keep-later-parts']].map(args => ({
          what: `base: ${at} of ${plain[base].length} bytes ${args}`,
          log: { ...plain, [base]: plain[base].subarray(0, at) },
          args,
        })),
      )
      expect(new Set(await repairAll(server, cases))).toEqual(new Set([undefined]))
    }, 600_000)

    it('whose base is an old single file is cut behind its preamble', async () => {
      const old = Buffer.concat([log[parts[0]], log[parts[1]]])
      const adopted = await server.load(old, { as: 'single' })
      await adopted.query('SET', 'x', 'y')
      const folder = join(adopted.folder, 'appendonlydir')
      const files: Files = Object.fromEntries(
        readdirSync(folder).map(name => [name, readFileSync(join(folder, name))]),
      )
      await adopted.stop()
      expect(partsOf(files[MANIFEST])[0]).toBe('appendonly.aof')
      const cases = places(old.length - 1, 2, log[parts[0]].length).map(at => ({
        what: `base: ${at} of ${old.length} bytes`,
        log: { ...files, 'appendonly.aof': old.subarray(0, at) },
      }))
      expect(new Set(await repairAll(server, cases))).toEqual(new Set([undefined]))
    }, 600_000)

    it('whose base is a damaged RDB is left alone', async () => {
      const [base] = parts
      const cases = [
        log[base].subarray(0, -1),
        log[base].subarray(0, 60),
        Buffer.concat([log[base].subarray(0, 100), log[base].subarray(101)]),
      ].map((bytes, i) => ({ what: `base: damage ${i}`, log: withPart(base, bytes) }))
      for (const outcome of await repairAll(server, cases)) {
        expect(outcome).toMatch(/^aofkit: appendonly\.aof\.2\.base\.rdb is an RDB that servers do not load/)
      }
    }, 600_000)

    it('keeps what its manifest says of the parts that stay, also what no server knows', async () => {
      const [, first, second, third] = parts
      const folder = temporaryFolder()
      const note = (line: string) => (line.startsWith('file') ? `${line} note "some \\x01 words"` : line)
      const manifest = log[MANIFEST].toString().split('\n').map(note).join('\n')
      const damaged = {
        ...withPart(second, log[second].subarray(0, -5)),
        [MANIFEST]: Buffer.from(manifest),
        'unlisted.txt': Buffer.from('not ours'),
      }
      const lineOf = (name: string) => manifest.split('\n').find(line => line.includes(` ${name} `))
      expect(lineOf(third)).toContain('note')
      const path = place(folder, damaged)
      const out = join(folder, 'out')
      expect((await call('repair', path, '--output', out)).status).toBe(0)
      const kept = [parts[0], first, second].map(lineOf).join('\n')
      expect(readFileSync(join(out, MANIFEST), 'utf8')).toBe(`${kept}\n`)
      expect(readdirSync(out).sort()).toEqual(
        [MANIFEST, parts[0], first, second, `${second}.cut-${cutIn(out, second)}`, `${third}.dropped`].sort(),
      )

      expect((await call('repair', path, '--in-place')).status).toBe(0)
      // What is left of a middle part gets the next number: that of the file which no server knows yet.
      const successor = lineOf(second)
        ?.replace(second, 'appendonly.aof.5.incr.aof')
        .replace(' seq 3 ', ' seq 5 ')
      expect(readFileSync(join(path, MANIFEST), 'utf8')).toBe(
        `${[lineOf(parts[0]), lineOf(first), successor].join('\n')}\n`,
      )
      expect(readFileSync(join(path, 'unlisted.txt'), 'utf8')).toBe('not ours')
      for (const result of [out, path]) await expectLoads(server, result)
    })

    it('goes on to be written by the server after a repair in place', async () => {
      const folder = temporaryFolder()
      const [, , second] = parts
      const path = place(folder, withPart(second, log[second].subarray(0, -5)))
      expect((await call('repair', path, '--in-place')).status).toBe(0)
      const first = await server.load(path, { truncated: 'no', args: ['--replicaof', 'no', 'one'] })
      await first.query('SET', 'written', 'afterwards')
      const data = join(first.folder, 'appendonlydir')
      const again = await server.load(data, { truncated: 'no' })
      expect(String(await again.query('GET', 'written'))).toBe('afterwards')
      expect(await again.query('EXISTS', 'second:string', 'third:string')).toBe(1)
      await again.stop()
      await first.stop()
    })

    it('that is merely damaged passes check-aof when it was normalized, and holds the same', async context => {
      const checker = server.binary.replace(/-server$/, '-check-aof')
      if (!existsSync(checker)) return context.skip(`no ${checker}`)
      const damages = merelyDamaged(log[parts[2]])
      await forEachParallel(damages, async ({ what, bytes }) => {
        const folder = mkdtempSync(join(tmpdir(), 'aofkit-test-'))
        try {
          const damaged = withPart(parts[2], bytes)
          const path = place(folder, damaged)
          expect(check(checker, join(path, parts[2])).status, `${what}: before`).not.toBe(0)
          const args = ['--normalize', '--as', server.name]
          await tryEveryWay(server, mkdtempSync(join(folder, 'every-')), damaged, args)
          const out = join(folder, 'out')
          expect((await call('repair', path, '--output', out, ...args)).err, what).toBe('')
          const { status, stdout } = check(checker, join(out, parts[2]))
          expect(status, `${what}: ${stdout}`).toBe(0)
          expect(await digest(server, out, what), what).toBe(await digest(server, path, what))
        } finally {
          rmSync(folder, { recursive: true, force: true })
        }
      })
    }, 600_000)

    it('that is torn and damaged at once is cut and normalized, and loads as far as that', async () => {
      const [, , , third] = parts
      const cases = merelyDamaged(log[third]).flatMap(({ what, bytes }) =>
        (LONG ? [3, 60, 200] : [60]).map(cut => ({
          what: `${what}, and ${cut} bytes cut off`,
          log: withPart(third, bytes.subarray(0, -cut)),
          args: ['--normalize'],
        })),
      )
      expect(new Set(await repairAll(server, cases))).toEqual(new Set([undefined]))
    }, 600_000)
  },
)

/** Logs that servers load although something is wrong, made of one that is sound. */
function merelyDamaged(sound: Buffer): { what: string; bytes: Buffer }[] {
  const text = sound.toString('latin1')
  const changed = (what: string, bytes: string) => {
    expect(bytes).not.toBe(text)
    return { what, bytes: Buffer.from(bytes, 'latin1') }
  }
  const exec = encode('EXEC').toString('latin1')
  const multi = encode('MULTI').toString('latin1')
  return [
    changed('a wrong terminator', text.replace('list\r\n', 'list!!')),
    changed('wrong terminators everywhere', text.replace(/([a-z])\r\n/g, '$1\n\n')),
    changed('a lone EXEC', text.replace('*2\r\n$6\r\nSELECT', `${exec}*2\r\n$6\r\nSELECT`)),
    changed('a nested MULTI', text.replace(multi, `${multi}${multi}`)),
    changed('EXEC twice, with a wrong terminator', text.replace(exec, `${exec}${exec.slice(0, -2)}\0\0`)),
    changed(
      'odd headers beside a wrong terminator',
      // Of the same length where a value has them too.
      text
        .replaceAll('$3\r\nSET', '$3 \nSET')
        .replaceAll('*3\r\n', '*3 \n')
        .replace('*5\r\n$5\r\nRPUSH', '*+005 or so\r\n$ 5\r\nRPUSH')
        .replace('list\r\n', 'list\r\r'),
    ),
    ...(LONG
      ? [
          changed(
            'a huge odd record',
            `${text}*3\r\n$3\r\nSET\r\n$1\r\na\r\n$5000000\r\n${'v'.repeat(5_000_000)}xx`,
          ),
        ]
      : []),
  ]
}

/** The part alone: of a whole log, valkey's checker refuses the base that valkey 9 writes. */
function check(checker: string, part: string) {
  // The program goes by the name that it is started with.
  return spawnSync(checker, [part], { encoding: 'latin1', argv0: 'redis-check-aof' })
}

async function digest(server: Server, folder: string, what: string): Promise<string> {
  const loaded = await server.load(folder, { truncated: 'no' })
  try {
    expect(loaded.started, `${what}: ${loaded.log}`).toBe(true)
    return String(await loaded.query('DEBUG', 'DIGEST'))
  } finally {
    await loaded.stop()
  }
}

function cutIn(folder: string, part: string): string {
  const names = readdirSync(folder).filter(name => name.startsWith(`${part}.cut-`))
  expect(names).toHaveLength(1)
  return names[0].slice(`${part}.cut-`.length)
}
