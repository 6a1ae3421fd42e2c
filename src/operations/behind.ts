import { Resync } from '../aof/resync.ts'
import { FormatError } from '../bytes/errors.ts'
import type { Source } from '../bytes/source.ts'
import { DEFAULT_CHUNK, Window } from '../bytes/window.ts'
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
  const batch = new Batch(window.bytes.length)
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
      const sound = batch.oddities.length === 0 ? batch.count : soundRecords(batch)
      if (sound > 0) {
        if (first < 0) first = window.offset
        commands += sound
        bytes += batch.record[sound] - start
      }
      window.start = sound === batch.count ? next : batch.record[sound]
      synced = sound === batch.count && scanner.stop !== Stop.Error
      if (!synced) window.start++
      else if (scanner.stop === Stop.Full) continue
      if (!synced) continue
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
    if (!(await advance(window)) && (ended || window.start >= window.end)) break
  }
  return first < 0 ? undefined : { offset: first, commands, bytes }
}

/** What a source that is compressed holds may end at a damage of its own. */
async function advance(window: Window): Promise<boolean> {
  try {
    return await window.advance(window.start)
  } catch (error) {
    if (error instanceof FormatError) return false
    throw error
  }
}

/** Records before the first that is odd. */
function soundRecords(batch: Batch): number {
  const odd = batch.oddities[0].offset - batch.base
  let count = 0
  while (count < batch.count && batch.record[count + 1] <= odd) count++
  return count
}

/** A window on what a seekable source holds from `from` on. */
export function windowFrom(source: Source, from: number): Window {
  return new Window(tail(source, from), DEFAULT_CHUNK, from)
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
