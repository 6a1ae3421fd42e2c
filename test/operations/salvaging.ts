/**
 * Damages logs, salvages them, and holds the result against what is known of the original: every byte is in the result
 * or in a span, no command is invented, and few that were sound are lost.
 */
import { BufferSource } from '../../src/bytes/source.ts'
import { planSalvage, type Salvage } from '../../src/operations/salvage.ts'
import { CommandTable } from '../../src/servers/commands.ts'
import type { ServerName } from '../../src/servers/servers.ts'
import type { Piece, Random } from '../damage.ts'

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

/** @param originals of which no two are the same, byte for byte */
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
  const numbers = new Map(originals.map(({ offset, end }, i) => [log.toString('latin1', offset, end), i]))
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
    const number = numbers.get(text)
    position = end
    if (number !== undefined && number > last.number) {
      last.number = number
      kept.push(number)
      continue
    }
    const from = offsetOf(offset)
    if (from < 0) continue
    const to = offsetOf(end - 1) + 1
    if (number === undefined && starts.has(from) && (ends.has(to) || to === damaged.length)) unseen++
    else
      invented.push(
        `${number === undefined ? 'new' : `again ${number}`} at ${from}: ${JSON.stringify(text.slice(0, 200))}`,
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
