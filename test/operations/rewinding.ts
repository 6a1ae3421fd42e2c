/**
 * Rewinding, for tests: made-up logs of several parts, and what is left of one up to a moment, found out in the simplest
 * way there is.
 */
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { encode } from '../helpers/chunks.ts'
import { nameOf, type Recorded, recordsOf } from '../keyspace/logs.ts'
import { MANIFEST, partsOf } from './repairing.ts'
import type { Files } from './server-logs.ts'

export interface RewindJson {
  readonly kept: number
  readonly dropped: number
  readonly commandsDropped: number
  readonly cutAt: { readonly part: string; readonly offset: number; readonly time?: number } | null
  readonly output: string | null
  readonly matches?: number
  readonly droppedParts: readonly string[]
}

/** The parts of a log by name, in their order; of one of them the bytes that are left. */
export type Parts = ReadonlyMap<string, Buffer>

export function partsIn(path: string): Parts {
  if (statSync(path).isFile()) return new Map([['log', readFileSync(path)]])
  return new Map(
    partsOf(readFileSync(join(path, MANIFEST))).map(name => [name, readFileSync(join(path, name))]),
  )
}

export function folderOf(parts: Parts): Files {
  let seq = 0
  const lines = [...parts.keys()].map(name =>
    name.includes('.base.') ? `file ${name} seq 1 type b\n` : `file ${name} seq ${++seq} type i\n`,
  )
  return { ...Object.fromEntries(parts), [MANIFEST]: Buffer.from(lines.join('')) }
}

/** A record, and where a cut in front of it is. */
export interface Stood extends Recorded {
  readonly part: string
  /** Offset of the record, or of the MULTI of the transaction that it is in. */
  readonly boundary: number
  /** Of the last annotation up to it, itself included. */
  readonly time: number | undefined
}

/** The records of parts without an RDB. */
export function recordsIn(parts: Parts): Stood[] {
  const all: Stood[] = []
  let time: number | undefined
  for (const [part, bytes] of parts) {
    let open = -1
    for (const record of recordsOf(bytes)) {
      const name = nameOf(record)
      if (name === '#') time = Number(bytes.toString('latin1', record.offset + 4, record.end - 2))
      if (name === 'multi' && open < 0) open = record.offset
      all.push({ ...record, part, boundary: open < 0 ? record.offset : open, time })
      if (name === 'exec') open = -1
    }
  }
  return all
}

/** What is in front of a place; a part of which nothing is left is there only when it is the first. */
export function prefix(parts: Parts, part: string, offset: number): Parts {
  const names = [...parts.keys()]
  const last = names.indexOf(part)
  return new Map(
    names
      .slice(0, last + 1)
      .map((name, i): [string, Buffer] => [
        name,
        (parts.get(name) as Buffer).subarray(0, i === last ? offset : undefined),
      ])
      .filter(([, { length }], i) => i < last || i === 0 || length > 0),
  )
}

/** Made-up parts: transactions, times, flushes, several databases. @param random a whole number below its argument */
export function madeUpParts(random: (below: number) => number, count: number): Parts {
  let time = 1_700_000_000
  const parts = new Map<string, Buffer>()
  for (let p = 1; p <= count; p++) {
    const pieces: Buffer[] = []
    for (let left = 3 + random(30); left > 0; left--) {
      const kind = random(12)
      if (kind < 2) {
        time += 1 + random(3)
        pieces.push(Buffer.from(`#TS:${time}\r\n`))
      } else if (kind === 2) {
        const inside = Array.from({ length: random(4) }, () => someCommand(random))
        if (random(3) === 0) inside.splice(random(inside.length + 1), 0, Buffer.from(`#TS:${++time}\r\n`))
        pieces.push(encode('MULTI'), ...inside, encode('EXEC'))
      } else pieces.push(someCommand(random))
    }
    parts.set(`appendonly.aof.${p}.incr.aof`, Buffer.concat(pieces))
  }
  return parts
}

function someCommand(random: (below: number) => number): Buffer {
  const key = `key:${random(9)}`
  switch (random(8)) {
    case 0:
      return encode('SELECT', `${random(3)}`)
    case 1:
      return encode(['flushall', 'FLUSHALL', 'FlushDB'][random(3)])
    case 2:
      return encode('DEL', key)
    case 3:
      return encode('RPUSH', `list:${random(3)}`, 'two words', 'x'.repeat(random(90)))
    default:
      return encode('SET', key, `${random(1000)}`)
  }
}
