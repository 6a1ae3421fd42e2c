/** Walks an RDB from memory, in pieces of chosen sizes, and tells what was met in plain values. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Source } from '../../src/bytes/source.ts'
import { Window } from '../../src/bytes/window.ts'
import { type RdbEvent, RdbWalk, type WalkOptions } from '../../src/rdb/walk.ts'
import { PieceSource } from '../helpers/chunks.ts'

export interface WalkedEntry {
  db: number
  type: number
  offset: number
  /** Offsets of encoded key and value. */
  keyAt: number
  valueAt: number
  end: number
  /** Decoded, as latin1; undefined where it is not at hand. */
  key: string | undefined
  expireAtMs: bigint
  idle: number
  frequency: number
}

export interface Walked {
  entries: WalkedEntry[]
  /** All else, in order. */
  records: Exclude<RdbEvent, { kind: 'entries' | 'piece' }>[]
  error: { kind: string; code: string; offset: number; message: string } | undefined
  /** Up to where all is well. */
  offset: number
  /** What stands in the window behind the RDB. */
  behind: Buffer
  batches: number
}

/** @param chunk of the window; the smaller, the sooner records are continued instead of begun anew */
export async function walk(
  pieces: Uint8Array | readonly Uint8Array[] | Source,
  { chunk = 1 << 12, ...options }: WalkOptions & { chunk?: number } = {},
): Promise<Walked> {
  const source =
    pieces instanceof Uint8Array
      ? new PieceSource([pieces])
      : Array.isArray(pieces)
        ? new PieceSource(pieces)
        : (pieces as Source)
  const window = new Window(source, chunk)
  const walk = new RdbWalk(window, options)
  const entries: WalkedEntry[] = []
  const records: Walked['records'] = []
  let batches = 0
  for (let event = await walk.next(); event !== undefined; event = await walk.next()) {
    if (event.kind === 'piece') continue
    if (event.kind !== 'entries') {
      records.push(event)
      continue
    }
    batches++
    const batch = event.entries
    for (let i = 0; i < batch.count; i++) {
      const key = batch.keyBytes(i)
      entries.push({
        db: batch.db,
        type: batch.type[i],
        offset: batch.offset[i],
        keyAt: batch.key[i],
        valueAt: batch.value[i],
        end: batch.end[i],
        key: key === undefined ? undefined : Buffer.from(key).toString('latin1'),
        expireAtMs: batch.expireAtMs[i],
        idle: batch.idle[i],
        frequency: batch.frequency[i],
      })
    }
  }
  const { error } = walk
  return {
    entries,
    records,
    error: error && { kind: error.kind, code: error.code, offset: error.offset, message: error.message },
    offset: walk.offset,
    behind: Buffer.from(window.bytes.subarray(window.start, window.end)),
    batches,
  }
}

/** Where each record begins, entries with what is said before them, and the end of the last one. */
export function boundaries({ entries, records }: Walked): number[] {
  const spans = [...entries, ...records].sort((a, b) => a.offset - b.offset)
  return [...spans.map(span => span.offset), spans.at(-1)!.end]
}

export interface Fixture {
  name: string
  bytes: Buffer
  facts: {
    databases: Record<string, { size: number; keys: Record<string, { type: string; expireAtMs?: number }> }>
  }
}

/** What real servers wrote (fixtures/make-rdb.ts), with what they said of it. */
export function fixtures(): Fixture[] {
  const folder = 'fixtures/rdb'
  return readdirSync(folder)
    .filter(file => file.endsWith('.rdb') && /^(redis|valkey)-\d/.test(file))
    .map(file => ({
      name: file.slice(0, -4),
      bytes: readFileSync(join(folder, file)),
      facts: JSON.parse(readFileSync(join(folder, file.replace('.rdb', '.json')), 'utf8')),
    }))
}
