/**
 * Damages logs, salvages them, and holds the result against what is known of the original: every byte is in the result
 * or in a span, no command is invented, and few that were sound are lost.
 */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { BufferSource } from '../../src/bytes/source.ts'
import { planSalvage, type Salvage } from '../../src/operations/salvage.ts'
import { CommandTable } from '../../src/servers/commands.ts'
import type { ServerName } from '../../src/servers/servers.ts'
import type { Piece, Random } from '../damage.ts'
import type { Client, Loaded, Server } from '../helpers/servers.ts'

/** A record of the original. */
export interface Original {
  readonly offset: number
  readonly end: number
  /** Whether it stands in a transaction: then it goes with the others of it. */
  readonly transaction: number
}

/** The records of a sound log without an RDB; annotations are not among them. */
export function originalsOf(log: Buffer): Original[] {
  const found: Original[] = []
  let transaction = -1
  for (let at = 0; at < log.length; ) {
    const offset = at
    const line = (): number => {
      const end = log.indexOf('\r\n', at)
      const value = Number(log.toString('latin1', at + 1, end))
      at = end + 2
      return value
    }
    if (log[at] === 0x23) {
      line()
      continue
    }
    let name = ''
    for (let left = line(); left > 0; left--) {
      const size = line()
      if (name === '') name = log.toString('latin1', at, at + size).toLowerCase()
      at += size + 2
    }
    if (name === 'multi') transaction = offset
    found.push({ offset, end: at, transaction })
    if (name === 'exec') transaction = -1
  }
  return found
}

export interface Outcome {
  readonly salvage: Salvage
  readonly result: Buffer
  /** Commands of the original of which all bytes were there, not in a transaction that is damaged, and not in the result. */
  readonly lost: number
  /** The same, from transactions that were damaged. */
  readonly lostInTransactions: number
  /** Commands of the result that are not in the original, and begin and end where commands of the original do. */
  readonly unseen: number
  /** The same that do not: that must not be. */
  readonly invented: readonly string[]
  /** Commands of the original that are in the result, in its order, by number. */
  readonly kept: readonly number[]
}

export async function salvageDamaged(
  log: Buffer,
  originals: readonly Original[],
  pieces: readonly Piece[],
  server: ServerName = 'redis-8.0',
): Promise<Outcome> {
  const damaged = Buffer.concat(pieces.map(({ bytes }) => bytes))
  const salvage = await planSalvage(new BufferSource(damaged), 0, new CommandTable(server), {
    databases: 16,
    skipUntilSelect: false,
  })
  const stretches: { from: number; bytes: Buffer }[] = []
  let at = 0
  for (const { offset, end, by } of salvage.spans) {
    if (offset < at || end <= offset || end > damaged.length)
      throw new Error(`spans out of order at ${offset}`)
    stretches.push({ from: at, bytes: damaged.subarray(at, offset) }, { from: -1, bytes: Buffer.from(by) })
    at = end
  }
  stretches.push({ from: at, bytes: damaged.subarray(at) })
  const result = Buffer.concat(stretches.map(({ bytes }) => bytes))

  const intact = intactOf(originals, pieces)
  const starts = new Set(intact.starts)
  const ends = new Set(intact.ends)
  const numbers = new Map<string, number[]>()
  for (const [i, { offset, end }] of originals.entries()) {
    const text = log.toString('latin1', offset, end)
    const same = numbers.get(text)
    if (same === undefined) numbers.set(text, [i])
    else same.push(i)
  }
  const kept: number[] = []
  const invented: string[] = []
  let unseen = 0
  let position = 0
  const offsetOf = (p: number): number => {
    let sum = 0
    for (const { from, bytes } of stretches) {
      if (p < sum + bytes.length) return from < 0 ? -1 : from + p - sum
      sum += bytes.length
    }
    return damaged.length
  }
  const last = { number: -1 }
  for (const { offset, end } of originalsOf(result)) {
    const text = result.toString('latin1', offset, end)
    const same = numbers.get(text)
    const number = same?.find(number => number > last.number)
    position = end
    if (number !== undefined) {
      last.number = number
      kept.push(number)
      continue
    }
    const from = offsetOf(offset)
    if (from < 0) continue
    const to = offsetOf(end - 1) + 1
    if (same === undefined && starts.has(from) && (ends.has(to) || starts.has(to) || to === damaged.length))
      unseen++
    else
      invented.push(
        `${same === undefined ? 'new' : `again ${same[0]}`} at ${from}: ${JSON.stringify(text.slice(0, 200))}`,
      )
  }
  if (result.length > 0 && position < result.length && result[position] !== 0x23)
    throw new Error('the result does not end with a command')

  const there = new Set(kept)
  let lost = 0
  let lostInTransactions = 0
  for (const number of intact.whole) {
    if (there.has(number)) continue
    const { transaction } = originals[number]
    if (transaction >= 0) lostInTransactions++
    else lost++
  }
  return { salvage, result, lost, lostInTransactions, unseen, invented, kept }
}

/** What of the original is still there: commands by number, and where boundaries are in the damaged log. */
function intactOf(
  originals: readonly Original[],
  pieces: readonly Piece[],
): { whole: number[]; starts: number[]; ends: number[] } {
  const whole: number[] = []
  const starts: number[] = []
  const ends: number[] = []
  let position = 0
  const seen = new Set<number>()
  // Stretches that follow each other in the damaged log as they did in the original are one.
  const runs: { from: number; to: number; at: number }[] = []
  for (const { from, bytes } of pieces) {
    const run = runs.at(-1)
    if (from >= 0 && bytes.length > 0) {
      if (run !== undefined && run.to === from && run.at + run.to - run.from === position)
        run.to += bytes.length
      else runs.push({ from, to: from + bytes.length, at: position })
    }
    position += bytes.length
  }
  let first = 0
  for (const { from, to, at } of runs) {
    let i = from < (originals[first]?.offset ?? 0) ? 0 : first
    while (i < originals.length && originals[i].end <= from) i++
    for (; i < originals.length && originals[i].offset < to; i++) {
      const { offset, end } = originals[i]
      if (offset >= from) starts.push(at + offset - from)
      if (end <= to) ends.push(at + end - from)
      if (offset >= from && end <= to && !seen.has(i)) {
        seen.add(i)
        whole.push(i)
      }
    }
    first = Math.max(0, i - 1)
  }
  return { whole, starts, ends }
}

/** A kind of damage for each place. A page that stands twice is told by its bytes, so that nothing else is near it. */
export function kindsFor(places: readonly number[], names: readonly string[], random: Random): string[] {
  return places.map((place, i) => {
    const name = names[Math.floor(random() * names.length)]
    const alone = places.every((other, j) => i === j || Math.abs(other - place) > NEAR)
    return name === 'a page twice' && !alone ? 'a byte' : name
  })
}

const NEAR = 50_000

/** Places for so many damages, some next to each other. */
export function placesFor(count: number, size: number, random: Random): number[] {
  const places: number[] = []
  while (places.length < count) {
    const at = Math.floor(random() * size)
    places.push(at)
    if (places.length < count && random() < 0.15)
      places.push(Math.min(size - 1, at + Math.floor(random() * 300)))
  }
  return places
}

/**
 * A log of commands of which no two are the same; made without a server.
 * @param values whether some values hold commands, or logs, or pieces of them
 */
export function madeLog(commands: number, random: Random, values = true): Buffer {
  const pieces: Buffer[] = []
  const int = (below: number) => Math.floor(random() * below)
  const encode = (...args: (string | Buffer)[]): Buffer =>
    Buffer.concat([
      Buffer.from(`*${args.length}\r\n`),
      ...args.flatMap(arg => {
        const bytes = typeof arg === 'string' ? Buffer.from(arg, 'latin1') : arg
        return [Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n')]
      }),
    ])
  const binary = (size: number) => Buffer.from(Array.from({ length: size }, () => int(256)))
  const word = (size: number) =>
    Array.from({ length: size }, () => 'abcdefghijklmnopqrstuvwxyz0123456789'[int(36)]).join('')
  for (let i = 0; i < commands; i++) {
    const kind = random()
    if (kind < 0.4) pieces.push(encode('SET', `user:${int(5000)}`, `${i}:${word(int(90))}`))
    else if (kind < 0.55)
      pieces.push(encode('HSET', `h:${int(500)}`, `f${i}`, word(int(40)), `g${int(9)}`, `${i}`))
    else if (kind < 0.65)
      pieces.push(
        encode('RPUSH', `l:${int(50)}`, ...Array.from({ length: 1 + int(20) }, () => word(8)), `${i}`),
      )
    else if (kind < 0.75) pieces.push(encode('SADD', 'members', `m${i}`))
    else if (kind < 0.8) pieces.push(encode('SET', `bin:${i}`, binary(int(3000))))
    else if (kind < 0.85) pieces.push(encode('INCRBY', `count:${int(20)}`, `${i}`))
    else if (kind < 0.89 && !values) pieces.push(encode('SET', `plain:${i}`, word(int(99))))
    else if (kind < 0.87) pieces.push(encode('SET', `resp:${i}`, encode('SET', `inner:${i}`, word(int(30)))))
    else if (kind < 0.88) {
      const inner = Array.from({ length: int(40) }, (_, j) => encode('SET', `inner:${i}:${j}`, word(int(50))))
      pieces.push(encode('SET', `log:${i}`, Buffer.concat(inner)))
    } else if (kind < 0.885) {
      const inner = Array.from({ length: int(40) }, (_, j) => encode('SET', `torn:${i}:${j}`, word(int(50))))
      const whole = Buffer.concat(inner)
      pieces.push(encode('HSET', `torn:${i}`, 'log', whole.subarray(0, int(whole.length + 1)), 'n', `${i}`))
    } else if (kind < 0.89)
      pieces.push(encode('SET', `line:${i}`, `\r\n*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n${int(10)}`))
    else if (kind < 0.9) pieces.push(encode('SET', `long:${i}`, word(4000 + int(30_000))))
    else if (kind < 0.92) pieces.push(Buffer.from(`#TS:${1_700_000_000 + i}\r\n`))
    else pieces.push(encode('ZADD', `z:${int(30)}`, `${i}`, `m${int(1000)}`))
  }
  return Buffer.concat(pieces)
}

/** What a server writes of so many commands, of which no two are the same: strings, counters, collections, transactions. */
export async function serverLog(server: Server, commands: number, random: Random): Promise<Buffer> {
  const folder = await server.run(
    async client => {
      for (let i = 0; i < commands; ) {
        const replies: Promise<unknown>[] = []
        for (let end = Math.min(commands, i + 500); i < end; i++) replies.push(...send(client, i, random))
        for (const reply of await Promise.all(replies)) if (reply instanceof Error) throw reply
      }
    },
    { args: ['--aof-timestamp-enabled', 'yes'] },
  )
  return readFileSync(join(folder, 'appendonly.aof.1.incr.aof'))
}

function send(client: Client, i: number, random: Random): Promise<unknown>[] {
  const int = (below: number) => Math.floor(random() * below)
  const value = `${i}:${'abcdefghijklmnopqrstuvwxyz'.repeat(4).slice(int(90))}`
  const kind = random()
  if (kind < 0.4) return [client.query('SET', `user:${int(800)}`, value)]
  if (kind < 0.5) return [client.query('INCRBY', `count:${int(50)}`, i + 1)]
  if (kind < 0.6) return [client.query('RPUSH', `list:${int(100)}`, value, `${i}`)]
  if (kind < 0.7) return [client.query('HSET', `hash:${int(100)}`, `f${int(30)}`, value, 'last', i)]
  if (kind < 0.8) return [client.query('ZADD', `zset:${int(50)}`, i, `m${int(200)}`)]
  if (kind < 0.85) return [client.query('SADD', `set:${int(50)}`, `m${i}`)]
  if (kind < 0.88)
    return [
      client.query('SET', `binary:${i}`, Buffer.from(Array.from({ length: int(2000) }, () => int(256)))),
    ]
  if (kind < 0.92)
    return [
      client.query('SET', `resp:${i}`, `*3\r\n$3\r\nSET\r\n$1\r\na\r\n$${String(i).length}\r\n${i}\r\n`),
    ]
  if (kind < 0.96) return [client.query('SET', `gone:${i}`, value), client.query('DEL', `gone:${i}`)]
  return [
    client.query('MULTI'),
    client.query('SET', `both:${i}:a`, value),
    client.query('SET', `both:${i}:b`, value),
    client.query('EXEC'),
  ]
}

/** Each key of a server's database 0, with the digest of its value. */
export async function digestsOf(loaded: Loaded): Promise<Map<string, string>> {
  const keys = (await loaded.query('KEYS', '*')) as Buffer[]
  const digests = new Map<string, string>()
  for (let i = 0; i < keys.length; i += 500) {
    const some = keys.slice(i, i + 500)
    const found = (await loaded.query('DEBUG', 'DIGEST-VALUE', ...some)) as Buffer[]
    for (const [j, key] of some.entries()) digests.set(key.toString('latin1'), found[j].toString())
  }
  return digests
}

/** The first key of a record. */
export function keyOf(record: Buffer): string {
  const lines = record.toString('latin1').split('\r\n')
  return lines[4] ?? ''
}

/**
 * Loads what was salvaged on a server, with `aof-load-truncated no`, and compares each key that no lost or changed command
 * names with what it was; returns how many were compared, or throws.
 */
export async function compareSurvivors(
  server: Server,
  log: Buffer,
  originals: readonly Original[],
  { result, kept, salvage }: Outcome,
): Promise<number> {
  const there = new Set(kept)
  const touched = new Set<string>()
  for (const [i, { offset, end }] of originals.entries()) {
    if (!there.has(i)) touched.add(keyOf(log.subarray(offset, end)))
  }
  const known = new Set(originals.map(({ offset, end }) => log.toString('latin1', offset, end)))
  for (const { offset, end } of originalsOf(result)) {
    if (!known.has(result.toString('latin1', offset, end))) touched.add(keyOf(result.subarray(offset, end)))
  }
  const [before, after] = await Promise.all([
    server.load(log, { truncated: 'no' }),
    server.load(result, { truncated: 'no' }),
  ])
  try {
    if (!after.started) throw new Error(`${server.name} does not start: ${after.log.slice(-500)}`)
    const old = await digestsOf(before)
    const now = await digestsOf(after)
    let compared = 0
    for (const key of new Set([...old.keys(), ...now.keys()])) {
      if (touched.has(key)) continue
      compared++
      if (old.get(key) !== now.get(key))
        throw new Error(`${server.name}: ${key} is not what it was (${salvage.spans.length} spans)`)
    }
    return compared
  } finally {
    await Promise.all([before.stop(), after.stop()])
  }
}
