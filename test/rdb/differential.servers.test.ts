import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { resolveInput } from '../../src/aof/parts.ts'
import { digestLog } from '../../src/operations/digest.ts'
import { RDB_TARGETS } from '../../src/rdb/targets.ts'
import { SERVER_FACTS } from '../../src/servers/servers.ts'
import { foundServers, type Loaded, type Server } from '../helpers/servers.ts'
import { temporaryFolder } from '../helpers/temp.ts'
import {
  type Answer,
  type Ask,
  askAll,
  askFunctions,
  askTimes,
  byPlace,
  type FieldAnswer,
  place,
  shortened,
} from './answers.ts'
import { type Decoded, decode } from './decoding.ts'
import { FILLABLE, type Filled, fill } from './fill.ts'
import { rewritten } from './rewriting.ts'

/*
 * A server is filled with data that a seed gives (fill.ts), says what it has, and saves it in every way that it knows.
 * What aofkit decodes from the files must be what the server said, key by key, and what aofkit writes must be the same
 * to the server. Failures name the seed: `AOFKIT_SEED=N` runs it again. With AOFKIT_LONG=1 there are more seeds, and
 * more data for each.
 */

const LONG = process.env.AOFKIT_LONG !== undefined
const FIRST_SEED = Number(process.env.AOFKIT_SEED ?? 20240501)
const SEEDS = Array.from({ length: LONG ? 3 : 1 }, (_, i) => FIRST_SEED + i)
const TIMEOUT = LONG ? 120_000 : 30_000
const CASES = foundServers().flatMap(server => SEEDS.map(seed => ({ server, name: server.name, seed })))

interface Saved {
  /** With the times that were set. */
  readonly answers: ReadonlyMap<string, Answer>
  readonly functions: readonly string[]
  /** Of what has one that can be foretold, and a file with just that. */
  readonly digest: string
  readonly digestible: Buffer
  /** Files with the same data: saved compressed, saved as it is with idle times, a base part with frequencies. */
  readonly files: Readonly<Record<'compressed' | 'uncompressed' | 'base', Buffer>>
  /** Of some keys, by their places. */
  readonly idle: ReadonlyMap<string, number>
  readonly frequency: ReadonlyMap<string, number>
}

async function fillAndSave(server: Server, seed: number): Promise<Saved> {
  const running = await server.load(Buffer.alloc(0), { args: FILLABLE })
  try {
    if (!running.started) throw new Error(running.log)
    const ask = asking(running)
    const filled = await fill(ask, server.name, seed, { much: LONG })
    const answers = byPlace(await askAll(ask, server.name))
    const functions = await askFunctions(ask)
    await filled.expire()
    await addTimes(ask, server, answers, filled)
    const compressed = await save(running)
    await ask('CONFIG', 'SET', 'rdbcompression', 'no')
    const idle = await withHints(ask, 'allkeys-lru', 'IDLETIME', [0, 1, 63, 64, 20_000, 9_000_000])
    const uncompressed = await save(running)
    await ask('CONFIG', 'SET', 'rdbcompression', 'yes')
    await ask('CONFIG', 'SET', 'lfu-decay-time', 0)
    const frequency = await withHints(ask, 'allkeys-lfu', 'FREQ', [0, 1, 5, 127, 255])
    const base = await rewriteAof(running)
    const digest = await digestOf(ask, server, answers)
    const digestible = await save(running)
    const files = { compressed, uncompressed, base }
    return { answers, functions, files, idle, frequency, digest, digestible }
  } finally {
    await running.stop()
  }
}

/** What the server prints when it has nothing but keys whose digest can be foretold. */
async function digestOf(ask: Ask, server: Server, answers: ReadonlyMap<string, Answer>): Promise<string> {
  for (const answer of answers.values()) {
    if (hasDigest(server, answer)) continue
    await ask('SELECT', answer.db)
    const reply = await ask('DEL', Buffer.from(answer.key, 'latin1'))
    if (reply instanceof Error) throw reply
  }
  return String(await ask('DEBUG', 'DIGEST'))
}

/** Only servers know that of a module's value. valkey 9.1 leaves out fields that have expired, and aofkit has no clock. */
function hasDigest(server: Server, answer: Answer): boolean {
  if (answer.kind === 'module') return false
  if (answer.kind !== 'hash' || server.name !== 'valkey-9.1') return true
  return answer.value.every(([, , time]) => !isPast(time))
}

function isPast(time: string | undefined): boolean {
  return time !== undefined && BigInt(time) <= BigInt(Date.now())
}

/** What aofkit says that it would print. */
async function foretoldDigest(server: Server, rdb: Uint8Array): Promise<string> {
  const path = join(temporaryFolder(), 'dump.rdb')
  writeFileSync(path, rdb)
  const options = { as: server.name, databases: 16, allowCommands: [], ignoreOpaque: true }
  const { digest, findings } = await digestLog(await resolveInput(path), options)
  expect(findings).toEqual([])
  return digest
}

async function load(server: Server, rdb: Uint8Array): Promise<Loaded> {
  const running = await server.load(rdb, { as: 'base', args: FILLABLE })
  if (running.started) return running
  await running.stop()
  throw new Error(`${server.name} does not start: ${running.errors.join('; ')}`)
}

function asking(running: Loaded): Ask {
  return (...args) => running.query(...args)
}

/** Adds what was set, and asks the server about what is still to come. */
async function addTimes(
  ask: Ask,
  server: Server,
  answers: Map<string, Answer>,
  filled: Filled,
): Promise<void> {
  const now = BigInt(Date.now())
  for (const [at, time] of filled.keyTimes) {
    const answer = answers.get(at)!
    await ask('SELECT', answer.db)
    if (BigInt(time) > now)
      expect(String(await ask('PEXPIRETIME', Buffer.from(answer.key, 'latin1'))), at).toBe(time)
    answer.expireAtMs = time
  }
  for (const [at, times] of filled.fieldTimes) {
    const answer = answers.get(at)!
    if (answer.kind !== 'hash') throw new Error(`${at} is no hash`)
    const told = answer.value.map(([name]): FieldAnswer => [name, ''])
    await ask('SELECT', answer.db)
    // A hash that has expired cannot be asked.
    const gone = answer.expireAtMs !== undefined && BigInt(answer.expireAtMs) <= now
    if (!gone) await askTimes(ask, Buffer.from(answer.key, 'latin1'), told)
    for (const [i, field] of answer.value.entries()) {
      const time = times.get(field[0])
      if (!gone && (time === undefined || BigInt(time) > now))
        expect(told[i][2], `${server.name} ${at} ${field[0]}`).toBe(time)
      if (time !== undefined) field[2] = time
    }
  }
}

async function save(running: Loaded): Promise<Buffer> {
  const reply = await running.query('SAVE')
  if (reply instanceof Error) throw reply
  return readFileSync(join(running.folder, 'dump.rdb'))
}

/** Gives some streams a hint, and says what each has then. */
async function withHints(
  ask: Ask,
  policy: string,
  hint: 'IDLETIME' | 'FREQ',
  values: readonly number[],
): Promise<Map<string, number>> {
  await ask('CONFIG', 'SET', 'maxmemory', '1gb')
  await ask('CONFIG', 'SET', 'maxmemory-policy', policy)
  await ask('SELECT', 15)
  const keys = ((await ask('KEYS', 'stream:*')) as Buffer[]).slice(0, values.length)
  for (const [i, key] of keys.entries()) {
    const payload = (await ask('DUMP', key)) as Buffer
    const reply = await ask('RESTORE', key, 0, payload, 'REPLACE', hint, values[i])
    if (reply instanceof Error) throw reply
  }
  const hints = new Map<string, number>()
  for (const key of keys) hints.set(place(15, key.toString('latin1')), Number(await ask('OBJECT', hint, key)))
  return hints
}

async function rewriteAof(running: Loaded): Promise<Buffer> {
  await running.query('BGREWRITEAOF')
  for (;;) {
    const info = String(await running.query('INFO', 'persistence'))
    if (/aof_rewrite_in_progress:0/.test(info) && info.includes('aof_last_bgrewrite_status:ok')) break
    await wait(10)
  }
  const folder = join(running.folder, 'appendonlydir')
  const [base] = readdirSync(folder).filter(name => name.endsWith('.base.rdb'))
  return readFileSync(join(folder, base))
}

/** In what they differ: the first place in each key. */
function differences(expected: ReadonlyMap<string, Answer>, found: readonly Answer[]): string[] {
  const left = new Map(expected)
  const wrong: string[] = []
  for (const answer of found) {
    const at = place(answer.db, answer.key)
    const other = left.get(at)
    left.delete(at)
    if (!isDeepStrictEqual(answer, other)) wrong.push(firstDifference(shown(at), other, answer))
  }
  for (const at of left.keys()) wrong.push(`${shown(at)} was not found`)
  return wrong.slice(0, 10)
}

function firstDifference(path: string, expected: unknown, found: unknown): string {
  if (expected === undefined) return `${path} should not be there`
  if (isObject(expected) && isObject(found)) {
    const names = Object.keys({ ...expected, ...found })
    const name = names.find(name => !isDeepStrictEqual(expected[name], found[name]))
    if (name !== undefined) return firstDifference(`${path}.${name}`, expected[name], found[name])
  }
  return `${path}: expected ${shown(expected)}, found ${shown(found)}`
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

function shown(value: unknown): string {
  return JSON.stringify(shortened(value))?.slice(0, 300) ?? 'nothing'
}

/** What a server shows of it: nothing that has expired. */
function unexpired(answers: ReadonlyMap<string, Answer>): Map<string, Answer> {
  const shown = new Map<string, Answer>()
  for (const [at, answer] of answers) {
    if (isPast(answer.expireAtMs)) continue
    if (answer.kind !== 'hash') shown.set(at, answer)
    else shown.set(at, { ...answer, value: answer.value.filter(([, , time]) => !isPast(time)) })
  }
  return shown
}

describe.skipIf(CASES.length === 0)('what a server saved', () => {
  describe.each(CASES)('by $name, seed $seed', { timeout: TIMEOUT }, ({ server, seed }) => {
    const about = `${server.name}, AOFKIT_SEED=${seed}`
    let saved: Saved
    let decoded: Record<keyof Saved['files'], Decoded>

    beforeAll(async () => {
      saved = await fillAndSave(server, seed)
      const { compressed, uncompressed, base } = saved.files
      decoded = {
        compressed: await decode(compressed),
        uncompressed: await decode(uncompressed),
        base: await decode(base),
      }
    }, TIMEOUT)
    afterAll(() => {
      saved = undefined as unknown as Saved
      decoded = undefined as unknown as typeof decoded
    })

    it('has what the server says, key by key, in each file that it saved', () => {
      const { answers, functions } = saved
      for (const [name, { answers: found, functions: code }] of Object.entries(decoded)) {
        expect(differences(answers, found), `${about}, ${name}`).toEqual([])
        expect(code, about).toEqual(functions)
      }
      expect(answers.size).toBeGreaterThan(700)
    })

    it('has the types that the server writes', () => {
      const streams = server.name === 'redis-7.0' ? [19] : [20, 21]
      const fields = { 'redis-8.0': [7, 24, 25], 'valkey-9.1': [22] }[server.name as string] ?? []
      expect([...decoded.compressed.types].sort((a, b) => a - b)).toEqual(
        [0, 2, 4, 5, 11, 16, 17, 18, ...streams, ...fields].sort((a, b) => a - b),
      )
    })

    it('has the idle times and frequencies that the server says', () => {
      for (const [at, seconds] of saved.idle) {
        // Asked a moment before it was saved.
        const { idle } = decoded.uncompressed.hints.get(at)!
        expect(idle - seconds, `${about}, ${at}`).toBeGreaterThanOrEqual(0)
        expect(idle - seconds, `${about}, ${at}`).toBeLessThan(5)
      }
      for (const [at, frequency] of saved.frequency)
        expect(decoded.base.hints.get(at)!.frequency, `${about}, ${at}`).toBe(frequency)
      expect(saved.idle.size + saved.frequency.size).toBeGreaterThan(9)
    })

    it('is the same in small windows', async () => {
      for (const chunk of [200, 4096]) {
        const { answers, functions } = await decode(saved.files.compressed, chunk)
        expect(differences(saved.answers, answers), `${about}, windows of ${chunk}`).toEqual([])
        expect(functions, about).toEqual(saved.functions)
      }
    })

    it('has the digest that the server prints when it has loaded it', async () => {
      const running = await load(server, saved.digestible)
      try {
        // Not always that of the server that saved it: a small sorted set is packed now, and -0 lost its sign.
        const digest = String(await running.query('DEBUG', 'DIGEST'))
        expect(await foretoldDigest(server, saved.digestible), about).toBe(digest)
      } finally {
        await running.stop()
      }
    })

    it('written anew is the same, and so it is to the server that loads it', async () => {
      const target = RDB_TARGETS[server.name]
      const { family } = SERVER_FACTS[server.name]
      const plain = await rewritten(saved.files.base, target, { compress: false, modules: family })
      expect(differences(saved.answers, (await decode(plain)).answers), about).toEqual([])
      const written = await rewritten(saved.files.base, target, { modules: family })
      expect(differences(saved.answers, (await decode(written)).answers), about).toEqual([])
      const running = await load(server, written)
      try {
        const ask = asking(running)
        expect(await askFunctions(ask), about).toEqual(saved.functions)
        // Vector sets change when they are loaded: their links are made anew.
        const expected = new Map([...saved.answers].filter(([, { kind }]) => kind !== 'module'))
        const shown = (await askAll(ask, server.name)).filter(({ kind }) => kind !== 'module')
        expect(differences(unexpired(expected), shown), about).toEqual([])
        // What has expired is not shown, but saved.
        const again = (await decode(await save(running))).answers.filter(({ kind }) => kind !== 'module')
        expect(differences(expected, again), about).toEqual([])
        expect(await digestOf(ask, server, saved.answers), about).toBe(saved.digest)
      } finally {
        await running.stop()
      }
    })
  })
})
