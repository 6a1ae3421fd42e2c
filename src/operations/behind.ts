import { isKnown, Resync } from '../aof/resync.ts'
import type { Source } from '../bytes/source.ts'
import { Window } from '../bytes/window.ts'
import { Batch, Scanner, Stop } from '../resp/scanner.ts'
import type { CommandTable } from '../servers/commands.ts'

/** Whole commands behind a place where reading stopped. */
export interface Behind {
  /** Offset in the part of the first of them. */
  readonly offset: number
  readonly commands: number
  /** Bytes that they take. */
  readonly bytes: number
}

/**
 * Counts the whole commands from a window's start on that can be recognised as such (see Resync), in one pass and with
 * the memory of the window; undefined when there are none. Reads to the end of the source.
 */
export async function countBehind(
  window: Window,
  table: CommandTable,
  progress?: (offset: number) => void,
): Promise<Behind | undefined> {
  const resync = new Resync(table, window.bytes.length)
  const scanner = new Scanner()
  // Behind a boundary only a little is read at first: where damage is dense, the rest would be read again and again.
  const few = new Batch(window.bytes.length, 16)
  const many = new Batch(window.bytes.length)
  let batch = few
  let first = -1
  let commands = 0
  let bytes = 0
  let synced = false
  for (;;) {
    const { start, end, ended } = window
    if (synced) {
      batch.clear(window.bytes, window.base)
      const next = scanner.scan(batch, start, end, ended)
      // What servers load but do not write is no proof of a boundary.
      const sound = soundRecords(batch, table)
      for (let i = 0; i < sound; i++) {
        if (batch.argc(i) === 0) continue
        if (first < 0) first = batch.offset(i)
        commands++
        bytes += batch.record[i + 1] - batch.record[i]
      }
      window.start = sound === batch.count ? next : batch.record[sound]
      synced = sound === batch.count && scanner.stop !== Stop.Error
      if (!synced) window.start++
      batch = synced ? many : few
      if (!synced || scanner.stop === Stop.Full) continue
    } else {
      const boundary = resync.find(window.bytes, start, end, ended)
      if (boundary >= 0) {
        window.start = boundary
        synced = true
        continue
      }
      window.start = resync.undecided
    }
    // A record larger than the window cannot be told from a length that lies: look behind its header.
    if (window.end - window.start > window.headroom) {
      window.start++
      synced = false
      continue
    }
    progress?.(window.offset)
    if (!(await window.advance(window.start)) && (ended || window.start >= window.end)) break
  }
  return first < 0 ? undefined : { offset: first, commands, bytes }
}

/** Records before the first that no server writes so, or that the server does not know. */
function soundRecords(batch: Batch, table: CommandTable): number {
  const odd = (batch.oddities[0]?.offset ?? Number.POSITIVE_INFINITY) - batch.base
  let count = 0
  while (count < batch.count && batch.record[count + 1] <= odd) {
    if (batch.argc(count) > 0 && !isKnown(table, batch, count)) break
    count++
  }
  return count
}

/** A window on what a seekable source holds from `from` on. */
export function windowFrom(source: Source, from: number): Window {
  return new Window(tail(source, from), undefined, from)
}

function tail(source: Source, from: number): Source {
  let position = from
  return {
    name: source.name,
    size: source.size === undefined ? undefined : source.size - from,
    seekable: true,
    async read(target, start, end) {
      const at = position
      position += end - start
      return source.readAt(target.subarray(start, end), at)
    },
    readAt: (target, offset) => source.readAt(target, from + offset),
    grow: async () => false,
    close: async () => {},
  }
}
