/**
 * Whether the keyspace is what a server has when both have loaded a log; where it is not, the shortest log that shows
 * it.
 */
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { quoteBytes } from '../../src/bytes/escape.ts'
import { encodeCommand, type Loaded, type Server } from '../helpers/servers.ts'
import { type Answer, askAll, askFunctions, byPlace, shortened } from '../rdb/answers.ts'
import { decode } from '../rdb/decoding.ts'
import type { Random } from './generate.ts'
import { appended, filesOf, type Log, nameOf, type Recorded, readParts, recordsOf, unitsOf } from './logs.ts'
import { answersOf, digestOf, functionsOf, replayParts } from './replaying.ts'

export interface State {
  readonly digest: string
  readonly answers: ReadonlyMap<string, Answer>
  readonly functions: readonly string[]
}

/** How a server is set up that loads logs; what a replay does not ask for must not matter to what it has then. */
export interface Settings {
  readonly hllSparseMaxBytes: number
  /** Elements and bytes up to which it packs hashes, sets and lists. */
  readonly packs: number
}

const DEFAULTS: Settings = { hllSparseMaxBytes: 3000, packs: 128 }

function argsOf({ hllSparseMaxBytes, packs }: Settings): string[] {
  const packing = ['hash-max-listpack-entries', 'hash-max-listpack-value', 'set-max-intset-entries']
  return [
    ...['--hll-sparse-max-bytes', String(hllSparseMaxBytes), '--list-max-listpack-size', String(packs)],
    ...packing.flatMap(name => [`--${name}`, String(packs)]),
  ]
}

/** A server that loads one log after the other, without being started anew: a hundred times as fast. */
export class Reloader {
  /** Logs that it did not load, or over which it died. */
  failures = 0
  /** Logs that it loaded. */
  loads = 0
  readonly server: Server
  readonly settings: Settings
  #running: Loaded | undefined

  constructor(server: Server, settings: Settings = DEFAULTS) {
    this.server = server
    this.settings = settings
  }

  /** A fresh start with the log. */
  start(log: Log): Promise<Loaded> {
    return this.server.load(filesOf(log), { args: argsOf(this.settings) })
  }

  /** What the server has when it has loaded the log; undefined when it cannot. */
  async state(log: Log): Promise<State | undefined> {
    this.#running ??= await this.start([appended(Buffer.alloc(0))])
    const { folder } = this.#running
    for (const [name, bytes] of Object.entries(filesOf(log)))
      writeFileSync(join(folder, 'appendonlydir', name), bytes)
    try {
      const reply = await this.#running.query('DEBUG', 'LOADAOF')
      if (reply instanceof Error) throw reply
      this.loads++
      return await stateOf(this.#running)
    } catch {
      this.failures++
      await this.stop()
      return undefined
    }
  }

  async stop(): Promise<void> {
    await this.#running?.stop()
    this.#running = undefined
  }
}

/** All that a server has, with what has expired: as it saves it. */
async function stateOf(running: Loaded): Promise<State> {
  const digest = String(await running.query('DEBUG', 'DIGEST'))
  const saved = await running.query('SAVE')
  if (saved instanceof Error) throw saved
  // Redis 7.0 sets the last id of a stream below one that was deleted, when it is told to.
  const expected = ['rdb.stream.deleted-id']
  const { answers, functions } = await decode(
    readFileSync(join(running.folder, 'dump.rdb')),
    undefined,
    expected,
  )
  return { digest, answers: byPlace(answers), functions }
}

interface Ours extends State {
  /** Names of commands that were rejected, in order. */
  readonly rejected: readonly string[]
}

async function ours({ server, settings }: Reloader, log: Log, torn = false): Promise<Ours> {
  const parts = log.map(({ bytes }) => bytes)
  const { hllSparseMaxBytes } = settings
  const options = { server: server.name, torn, hllSparseMaxBytes }
  const { keyspace, rejected, unsupported } = await replayParts(parts, options)
  if (unsupported.length > 0) throw new Error(`no handler for ${[...new Set(unsupported)].join(', ')}`)
  return {
    digest: digestOf(keyspace, server.name),
    answers: byPlace(answersOf(keyspace)),
    functions: functionsOf(keyspace),
    rejected: rejected.map(text => text.slice(0, text.indexOf(':'))),
  }
}

/** Consumers without their times. */
function comparable(answer: Answer | undefined): Answer | undefined {
  if (answer?.kind === 'stream') {
    const groups = answer.value.groups.map(group => ({
      ...group,
      consumers: group.consumers.map(({ name, owned }) => ({ name, seenAtMs: '', owned })),
    }))
    return { ...answer, value: { ...answer.value, groups } }
  }
  return answer
}

/** Keys of which it is not the same, in words; and what else. */
export function differences(mine: State, theirs: State): string[] {
  const found: string[] = []
  for (const place of new Set([...mine.answers.keys(), ...theirs.answers.keys()])) {
    const [a, b] = [mine.answers.get(place), theirs.answers.get(place)].map(comparable)
    if (!isDeepStrictEqual(a, b))
      found.push(`key ${JSON.stringify(place)}\n  ours   ${show(a)}\n  theirs ${show(b)}`)
  }
  if (!isDeepStrictEqual(mine.functions, theirs.functions))
    found.push(
      `functions\n  ours   ${JSON.stringify(mine.functions)}\n  theirs ${JSON.stringify(theirs.functions)}`,
    )
  // valkey's leaves out fields that have expired by its own clock.
  if (found.length === 0 && !hasPastFields(mine) && mine.digest !== theirs.digest)
    found.push(`digests only: ${mine.digest} and ${theirs.digest}`)
  return found
}

function hasPastFields({ answers }: State): boolean {
  for (const answer of answers.values()) {
    if (answer.kind === 'hash' && answer.value.some(([, , time]) => isPast(time))) return true
  }
  return false
}

/** Servers do not show them. */
function withoutPastFields(answers: ReadonlyMap<string, Answer>): Map<string, Answer> {
  const shown = new Map(answers)
  for (const [place, answer] of shown) {
    if (answer.kind === 'hash')
      shown.set(place, { ...answer, value: answer.value.filter(([, , time]) => !isPast(time)) })
  }
  return shown
}

function isPast(time: string | undefined): boolean {
  return time !== undefined && BigInt(time) <= BigInt(Date.now())
}

function show(answer: Answer | undefined): string {
  return answer === undefined ? 'none' : JSON.stringify(shortened(answer)).slice(0, 3000)
}

/** What differs when both have loaded the log; undefined when nothing does, or the server cannot load it. */
export type Oracle = (log: Log) => Promise<string | undefined>

function byState(reloader: Reloader): Oracle {
  return async log => {
    const theirs = await reloader.state(log)
    if (theirs === undefined) return undefined
    try {
      const found = differences(await ours(reloader, log), theirs)
      return found.length === 0 ? undefined : found.slice(0, 3).join('\n')
    } catch (error) {
      return `the replay fails: ${(error as Error).stack}`
    }
  }
}

const COMPLAINT =
  /is sending an error to its AOF-loading-client: '-?(.*)' after processing the command '(.*)'$/

/** The same in a fresh start, with the commands that are refused, and what the server answers to questions. */
function byStart(reloader: Reloader): Oracle {
  const { server } = reloader
  return async log => {
    const loaded = await reloader.start(log)
    try {
      if (!loaded.started) return undefined
      const theirs = await stateOf(loaded)
      const mine = await ours(reloader, log)
      const found = differences(mine, theirs)
      if (found.length === 0) found.push(...(await unlikeAnswers(server, loaded, mine)))
      const refused = loaded.errors.flatMap(line => {
        const match = COMPLAINT.exec(line)
        return match === null ? [] : [[match[2].toLowerCase(), match[1]]]
      })
      const odd = unlike(mine.rejected, refused)
      if (odd !== undefined) found.push(odd)
      return found.length === 0 ? undefined : found.slice(0, 3).join('\n')
    } catch (error) {
      return `the replay fails: ${(error as Error).stack}`
    } finally {
      await loaded.stop()
    }
  }
}

/** What differs between names of refused commands, in words. */
function unlike(mine: readonly string[], theirs: readonly string[][]): string | undefined {
  for (let i = 0; i < Math.max(mine.length, theirs.length); i++) {
    // In a transaction servers name only its end.
    if (i < theirs.length && (theirs[i][0] === mine[i] || (theirs[i][0] === 'exec' && i < mine.length)))
      continue
    return `${mine.length} and ${theirs.length} commands refused: number ${i + 1} is ${mine[i]}, theirs ${theirs[i]?.join(': ')}`
  }
  return undefined
}

/** Compares with what the server says when it is asked: keys that have not expired. */
async function unlikeAnswers(server: Server, loaded: Loaded, mine: State): Promise<string[]> {
  const ask = (...args: readonly (string | Uint8Array | number)[]) => loaded.query(...args)
  const answers = byPlace(await askAll(ask, server.name))
  const functions = await askFunctions(ask)
  const shown = new Map<string, Answer>()
  for (const [place, answer] of mine.answers) {
    if (!answers.has(place)) continue
    // A key with a time before 1970 is shown, as one that never expires: the time itself is not.
    const odd = answer.expireAtMs?.startsWith('-') === true
    shown.set(place, odd ? { ...answer, expireAtMs: '0' } : answer)
  }
  return differences(
    { ...mine, answers: withoutPastFields(shown) },
    { digest: mine.digest, answers: withoutPastFields(answers), functions },
  )
}

export interface Checked {
  /** In words, with the shortest log; undefined: nothing differs. */
  readonly failure: string | undefined
  /** Logs, whole and cut, that were compared. */
  readonly compared: number
}

export interface CheckOptions {
  readonly random: Random
  /** At boundaries of commands outside transactions. */
  readonly cuts: number
  /** Anywhere, each with a server that is started for it. */
  readonly tornCuts: number
  /** Seconds that a failure may take to be made small. Default: 8. */
  readonly patience?: number
}

/** Compares a log at its end and at cuts of it. */
export async function check(reloader: Reloader, log: Log, options: CheckOptions): Promise<Checked> {
  const { random } = options
  const { server } = reloader
  let compared = 0
  const start = byStart(reloader)
  const reload = byState(reloader)
  compared++
  const found = await start(log)
  if (found !== undefined) {
    const oracle = (await reload(log)) === undefined ? start : reload
    return { failure: `${await explain(server, oracle, log, options)}\nAt first it was:\n${found}`, compared }
  }
  const last = log[log.length - 1]
  const ends = last.name.endsWith('.rdb')
    ? []
    : unitsOf(recordsOf(last.bytes)).map(unit => unit[unit.length - 1].end)
  for (let i = 0; i < options.cuts && ends.length > 0; i++) {
    const cut = cutAt(log, ends[random(ends.length)])
    compared++
    if ((await reload(cut)) !== undefined)
      return { failure: await explain(server, reload, cut, options), compared }
  }
  for (let i = 0; i < options.tornCuts; i++) {
    const failure = await tornCut(reloader, cutAt(log, random(last.bytes.length)))
    compared++
    if (failure !== undefined) return { failure, compared }
  }
  return { failure: undefined, compared }
}

/** The log with only so many bytes of its last part. */
export function cutAt(log: Log, end: number): Log {
  const last = log[log.length - 1]
  return [...log.slice(0, -1), { ...last, bytes: last.bytes.subarray(0, end) }]
}

/** What differs, in words, when the last part may end anywhere. */
export async function tornCut(reloader: Reloader, log: Log): Promise<string | undefined> {
  const { server } = reloader
  const loaded = await reloader.start(log)
  try {
    // A cut inside an RDB.
    if (!loaded.started) return undefined
    const found = differences(await ours(reloader, log, true), await stateOf(loaded))
    if (found.length === 0) return undefined
    return `${server.name} differs when the log is cut at ${log.at(-1)?.bytes.length}:\n${found.join('\n')}\n${keep(log)}`
  } finally {
    await loaded.stop()
  }
}

/** The shortest log that differs, of one that was kept in a folder ({@link check} says where). */
export async function shrinkKept(server: Server, folder: string, patience: number): Promise<string> {
  const reloader = new Reloader(server)
  try {
    const log = readParts(folder)
    const reload = byState(reloader)
    const oracle = (await reload(log)) === undefined ? byStart(reloader) : reload
    return (await shrink(oracle, log, performance.now() + patience * 1000)).join('\n')
  } finally {
    await reloader.stop()
  }
}

/** Finds the command after which it differs first, and the shortest log in which it does. */
async function explain(
  server: Server,
  oracle: Oracle,
  log: Log,
  { patience = 8 }: CheckOptions,
): Promise<string> {
  const kept = keep(log)
  const last = log[log.length - 1]
  if (last.bytes.length === 0 || last.name.endsWith('.rdb'))
    return `${server.name} differs:\n${await oracle(log)}\n${kept}`
  const units = unitsOf(recordsOf(last.bytes))
  let good = 0
  let bad = units.length
  while (bad - good > 1) {
    const middle = (good + bad) >>> 1
    if ((await oracle(cutAt(log, endOf(units[middle - 1])))) === undefined) good = middle
    else bad = middle
  }
  const first = cutAt(log, endOf(units[bad - 1]))
  const found = await oracle(first)
  const what = `after ${textOf(units[bad - 1])} at ${units[bad - 1][0].offset} of ${last.name}:\n${found}`
  const small = await shrink(oracle, first, performance.now() + patience * 1000)
  return [`${server.name} differs ${what}`, kept, ...small].join('\n')
}

function endOf(unit: readonly Recorded[]): number {
  return unit[unit.length - 1].end
}

function keep(log: Log): string {
  const folder = mkdtempSync(join(tmpdir(), 'aofkit-replay-'))
  for (const [name, bytes] of Object.entries(filesOf(log))) writeFileSync(join(folder, name), bytes)
  return `The log is in ${folder}.`
}

type Unit = readonly Buffer[][]

/** Lines of text: the commands that are left, and what differs. */
async function shrink(oracle: Oracle, log: Log, until: number): Promise<string[]> {
  const isRdb =
    log[0].bytes.subarray(0, 5).toString('latin1') === 'REDIS' ||
    log[0].bytes.subarray(0, 6).toString('latin1') === 'VALKEY'
  const unitsIn = (parts: Log): Unit[] =>
    parts.flatMap(({ bytes }) => [
      [[Buffer.from('SELECT'), Buffer.from('0')]],
      ...unitsOf(recordsOf(bytes)).map(unit =>
        unit.flatMap(({ args }) => (args === undefined ? [] : [[...args]])),
      ),
    ])
  let base: Log = []
  let units = unitsIn(isRdb ? log.slice(1) : log)
  const build = (some: readonly Unit[]): Log => [
    ...base,
    appended(Buffer.concat(some.flat().map(encodeCommand))),
  ]
  const differs = async (some: readonly Unit[]) => (await oracle(build(some))) !== undefined
  if (isRdb && !(await differs(units))) base = log.slice(0, 1)
  if (!(await differs(units))) return ['It does not differ without timestamps.']
  units = await fewest(units, differs, until)
  // Transactions, as far as they do not matter, as single commands.
  const alone = units.flatMap(unit =>
    unit.filter(args => !/^(multi|exec)$/i.test(args[0].toString())).map(args => [args]),
  )
  if (alone.length < units.flat().length && (await differs(alone)))
    units = await fewest(alone, differs, until)
  for (let i = 0; i < units.length; i++) {
    if (units[i].length > 1) {
      const [begin, end] = [units[i][0], units[i][units[i].length - 1]]
      const inside = (some: readonly Buffer[][]) =>
        units.map((unit, j) => (j === i ? [begin, ...some, end] : unit))
      units = inside(await fewest(units[i].slice(1, -1), some => differs(inside(some)), until))
    }
    for (let k = 0; k < units[i].length; k++) {
      const put = (args: Buffer[]) =>
        units.map((unit, j) => (j === i ? unit.map((old, l) => (l === k ? args : old)) : unit))
      const fixed = units[i][k].slice(0, 2)
      const rest = await fewest(units[i][k].slice(2), some => differs(put([...fixed, ...some])), until)
      units = put([...fixed, ...rest])
    }
  }
  return [
    'The shortest log that differs:',
    ...(base.length === 0 ? [] : ['  (behind the RDB of the log)']),
    ...units.map(unit => unit.map(args => `  ${args.map(arg => quoteBytes(arg, 100)).join(' ')}`).join('\n')),
    `${await oracle(build(units))}`,
  ]
}

/** The fewest of the items for which it still holds: none can be left out alone. */
async function fewest<T>(
  items: readonly T[],
  holds: (some: readonly T[]) => Promise<boolean>,
  until: number,
): Promise<T[]> {
  let left = [...items]
  for (let size = left.length >>> 1; size > 0; ) {
    let fewer = false
    for (let at = 0; at < left.length && performance.now() < until; ) {
      const without = [...left.slice(0, at), ...left.slice(at + size)]
      if (await holds(without)) {
        left = without
        fewer = true
      } else at += size
    }
    if (performance.now() >= until) break
    if (size === 1 && !fewer) break
    size = size === 1 ? 1 : size >>> 1
  }
  return left
}

function textOf(unit: readonly Recorded[]): string {
  return unit
    .map(
      record =>
        `${
          (record.args ?? [])
            .map(arg => quoteBytes(arg, 60))
            .join(' ')
            .slice(0, 500) || nameOf(record)
        }`,
    )
    .join('; ')
}
