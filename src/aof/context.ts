import { parseInteger } from '../bytes/decimal.ts'
import type { Batch } from '../resp/scanner.ts'
import { ids } from '../servers/commands.ts'
import { looksLikeTimestamp, parseTimestamp } from './annotation.ts'

/** What a command that steers the connection did, when that is not what it should. */
export type ControlProblem = 'select' | 'exec-alone' | 'multi-nested' | 'discard-alone'

/** The commands that a {@link Context} must be told of: every other leaves it as it is. */
export const CONTROL_IDS: ReadonlySet<number> = new Set([
  ids.select,
  ids.multi,
  ids.exec,
  ids.discard,
  ids.reset,
])

/**
 * Where reading stands in a part, beyond its bytes: the selected database, the time, an open transaction. All of it
 * begins anew with every part, and behind a preamble.
 */
export class Context {
  db = 0
  /** Unix seconds of the last timestamp. */
  time: number | undefined
  /** Offset in the part of the `MULTI` of the open transaction; -1 when none is open. */
  transaction = -1
  /** Transactions that were closed. */
  transactions = 0
  readonly #databases: number

  /** @param databases how many there are: `SELECT` beyond them fails */
  constructor(databases: number) {
    this.#databases = databases
  }

  /** Takes note of annotation `i`; false when it claims to be a timestamp and is none. */
  annotation(batch: Batch, i: number): boolean {
    const from = batch.record[i]
    const to = batch.record[i + 1]
    const time = parseTimestamp(batch.bytes, from, to)
    if (time !== undefined) this.time = time
    return time !== undefined || !looksLikeTimestamp(batch.bytes, from, to)
  }

  /** Takes note of command `i`, one of {@link CONTROL_IDS}. */
  control(batch: Batch, i: number, id: number): ControlProblem | undefined {
    switch (id) {
      case ids.select: {
        const argument = batch.first[i] + 1
        const db =
          batch.argc(i) === 2
            ? parseInteger(batch.bytes, batch.start[argument], batch.length[argument])
            : undefined
        if (db === undefined || db < 0 || db >= this.#databases) return 'select'
        this.db = db
        return undefined
      }
      case ids.multi:
        if (this.transaction >= 0) return 'multi-nested'
        this.transaction = batch.offset(i)
        return undefined
      case ids.exec:
        if (this.transaction < 0) return 'exec-alone'
        this.transaction = -1
        this.transactions++
        return undefined
      case ids.discard:
        return this.transaction < 0 ? 'discard-alone' : undefined
      case ids.reset:
        if (this.transaction < 0) this.db = 0
        return undefined
    }
    return undefined
  }
}
