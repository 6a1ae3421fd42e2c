import { CONTROL_IDS } from '../aof/context.ts'
import type { LongRecord } from '../resp/long-record.ts'
import type { Batch } from '../resp/scanner.ts'
import { type CommandTable, ids } from '../servers/commands.ts'
import type { CommandPattern } from './command-pattern.ts'
import type { LogServer } from './log-server.ts'

/** Who takes what stays. */
export interface FilterOutput {
  /** Takes `bytes[from, to)`, which are void after the call. */
  bytes(bytes: Uint8Array, from: number, to: number): void
  /** Takes a span of the part, larger than memory perhaps. */
  span(from: number, to: number): Promise<void>
  /** Called behind each batch: time to write. */
  pause(): void | Promise<void>
}

export interface FilterCounts {
  /** That stay. */
  readonly bytes: number
  readonly commands: number
  /** Commands that match, and do not stay. */
  readonly matches: number
}

/** What is held of a transaction of which nothing but its beginning was seen, at most: then it is let go. */
const MAX_HELD = 1 << 20

/**
 * One part without the commands that match. `SELECT`, `MULTI` and `EXEC` never do: what is left would land in other
 * databases. Of a transaction in which nothing else is left its MULTI and EXEC go as well; a SELECT in it stays, and so
 * do annotations. What stays is byte for byte what it was, in its order.
 */
export class MatchFilter {
  readonly #pattern: CommandPattern
  readonly #server: LogServer
  readonly #output: FilterOutput | undefined
  #table: CommandTable | undefined
  #bytes = 0
  #commands = 0
  #matches = 0
  /** The counts as they were in front of the open transaction; undefined: none is open. */
  #before: FilterCounts | undefined
  /** Its MULTI, and what followed that stays in any case, while nothing else came; empty: it is out already. */
  #held: Uint8Array[] = []
  #heldBytes = 0
  #heldCommands = 0
  /** Whether something in it was left out. */
  #dropped = false

  /** @param output undefined: only to count */
  constructor(pattern: CommandPattern, server: LogServer, output?: FilterOutput) {
    this.#pattern = pattern
    this.#server = server
    this.#output = output
  }

  /** Of all in front of a transaction that is still open. */
  get counts(): FilterCounts {
    return this.#before ?? this.#now
  }

  /** Commands that matched, in a transaction that is still open too. */
  get matches(): number {
    return this.#matches
  }

  get #now(): FilterCounts {
    return { bytes: this.#bytes, commands: this.#commands, matches: this.#matches }
  }

  /** What stands in front of the records: an RDB. */
  preamble(end: number): Promise<void> | undefined {
    this.#bytes += end
    return this.#output?.span(0, end)
  }

  records(batch: Batch): void | Promise<void> {
    this.#table ??= this.#server.table
    const table = this.#table
    const { bytes, record, first, start, length } = batch
    // What stays goes in runs.
    let from = 0
    const flush = (to: number) => {
      if (to > from) this.#give(bytes, record[from], record[to])
      from = to
    }
    for (let i = 0; i < batch.count; i++) {
      const a = first[i]
      const argc = first[i + 1] - a
      const id = argc === 0 ? ANNOTATION : table.lookup(bytes, start[a], length[a])
      if (id === ANNOTATION || CONTROL_IDS.has(id)) {
        if (this.#control(batch, i, id, flush)) from = i + 1
        continue
      }
      if (this.#pattern.test(batch, i, argc)) {
        flush(i)
        from = i + 1
        this.#matches++
        this.#dropped = true
        continue
      }
      this.#commands++
      if (this.#held.length > 0) this.#release()
    }
    flush(batch.count)
    return this.#output?.pause()
  }

  async long(record: LongRecord): Promise<void> {
    if (this.#pattern.test(record.asBatch(), 0, record.argc)) {
      this.#matches++
      this.#dropped = true
      return
    }
    if (this.#held.length > 0) this.#release()
    this.#commands++
    this.#bytes += record.end - record.offset
    await this.#output?.span(record.offset, record.end)
  }

  /** Takes note of an annotation or of what steers the connection. Whether it was taken out of the run. */
  #control(batch: Batch, i: number, id: number, flush: (to: number) => void): boolean {
    if (id === ids.multi && this.#before === undefined) {
      flush(i)
      this.#before = this.#now
      this.#dropped = false
      this.#hold(batch, i, id)
      return true
    }
    if (id === ids.exec && this.#before !== undefined) {
      this.#before = undefined
      if (this.#held.length === 0) {
        this.#commands++
        return false
      }
      if (this.#dropped) this.#releaseBehind()
      else {
        this.#hold(batch, i, id)
        this.#release()
      }
      return true
    }
    if (this.#held.length > 0) {
      this.#hold(batch, i, id)
      if (this.#heldBytes > MAX_HELD) this.#release()
      return true
    }
    if (id !== ANNOTATION) this.#commands++
    return false
  }

  #hold(batch: Batch, i: number, id: number): void {
    const bytes = batch.bytes.slice(batch.record[i], batch.record[i + 1])
    this.#held.push(bytes)
    this.#heldBytes += bytes.length
    if (id !== ANNOTATION) this.#heldCommands++
  }

  /** Something stays in the transaction: all of what is held does. */
  #release(): void {
    for (const bytes of this.#held) this.#give(bytes, 0, bytes.length)
    this.#commands += this.#heldCommands
    this.#clear()
  }

  /** Nothing stays in the transaction but what is held behind its MULTI. */
  #releaseBehind(): void {
    for (const bytes of this.#held.slice(1)) this.#give(bytes, 0, bytes.length)
    this.#commands += this.#heldCommands - 1
    this.#clear()
  }

  #clear(): void {
    this.#held = []
    this.#heldBytes = 0
    this.#heldCommands = 0
  }

  #give(bytes: Uint8Array, from: number, to: number): void {
    this.#bytes += to - from
    this.#output?.bytes(bytes, from, to)
  }
}

const ANNOTATION = -2
