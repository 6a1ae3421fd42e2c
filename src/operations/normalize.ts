import { CONTROL_IDS, Context } from '../aof/context.ts'
import { type PartVisitor, scanPart } from '../aof/scan.ts'
import type { Source } from '../bytes/source.ts'
import type { LongRecord } from '../resp/long-record.ts'
import type { Batch, Oddity } from '../resp/scanner.ts'
import { argumentHeader, encodeRecord, recordHeader, TERMINATOR } from '../resp/writer.ts'
import type { CommandTable } from '../servers/commands.ts'

/** What normalizing writes, and what it takes out or changes. */
export interface NormalizeOutput {
  write(bytes: Uint8Array): Promise<void>
  /** Bytes `[from, to)` of the part, as they are. */
  copy(from: number, to: number): Promise<void>
  /** Bytes `[from, to)` of the part, which are not in the result as they were. */
  taken(from: number, to: number, reason: string): Promise<void>
}

/**
 * Writes a part anew that servers load and check-aof refuses: wrong terminators become right ones, headers take the form
 * that servers write, an `EXEC` without `MULTI` and a `MULTI` inside a transaction, which servers pass over, are left
 * out. Everything else is copied as it is.
 */
export async function normalizePart(
  source: Source,
  table: CommandTable,
  databases: number,
  output: NormalizeOutput,
): Promise<void> {
  const normalizer = new Normalizer(table, databases, output)
  const end = await scanPart(source, normalizer, { databases })
  await normalizer.copyUpTo(end.offset)
}

class Normalizer implements PartVisitor {
  readonly #table: CommandTable
  readonly #context: Context
  readonly #output: NormalizeOutput
  /** Up to here everything is written. */
  #done = 0

  constructor(table: CommandTable, databases: number, output: NormalizeOutput) {
    this.#table = table
    this.#context = new Context(databases)
    this.#output = output
  }

  rdb(): void {}

  async records(batch: Batch): Promise<void> {
    for (let i = 0; i < batch.count; i++) {
      const from = batch.offset(i)
      const to = batch.base + batch.record[i + 1]
      const a = batch.first[i]
      if (batch.argc(i) === 0) continue
      const id = this.#table.lookup(batch.bytes, batch.start[a], batch.length[a])
      const problem = CONTROL_IDS.has(id) ? this.#context.control(batch, i, id) : undefined
      if (problem === 'exec-alone' || problem === 'multi-nested') {
        await this.copyUpTo(from)
        await this.#output.taken(
          from,
          to,
          problem === 'exec-alone' ? 'transaction.exec' : 'transaction.multi',
        )
        this.#done = to
      } else if (batch.oddities.length > 0) {
        const odd = batch.oddities.filter(({ offset }) => offset >= from && offset < to)
        if (odd.length > 0) await this.#rewrite(batch, i, from, to, odd)
      }
    }
  }

  async long(record: LongRecord): Promise<void> {
    if (record.oddities.length === 0) return
    await this.copyUpTo(record.offset)
    await this.#takeOdd(record.oddities)
    await this.#output.write(recordHeader(record.argc))
    for (let a = 0; a < record.kept; a++) {
      await this.#output.write(argumentHeader(record.length[a]))
      await this.#output.copy(record.start[a], record.start[a] + record.length[a])
      await this.#output.write(TERMINATOR)
    }
    this.#done = record.end
  }

  async copyUpTo(offset: number): Promise<void> {
    if (offset > this.#done) await this.#output.copy(this.#done, offset)
    this.#done = offset
  }

  async #rewrite(batch: Batch, i: number, from: number, to: number, odd: readonly Oddity[]): Promise<void> {
    await this.copyUpTo(from)
    await this.#takeOdd(odd)
    const args = []
    for (let a = batch.first[i]; a < batch.first[i + 1]; a++) {
      args.push(batch.bytes.subarray(batch.start[a], batch.start[a] + batch.length[a]))
    }
    await this.#output.write(encodeRecord(args))
    this.#done = to
  }

  async #takeOdd(odd: readonly Oddity[]): Promise<void> {
    for (const { offset, length, code } of odd) await this.#output.taken(offset, offset + length, code)
  }
}
