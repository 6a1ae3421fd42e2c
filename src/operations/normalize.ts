import { CONTROL_IDS, Context } from '../aof/context.ts'
import { type PartVisitor, scanPart } from '../aof/scan.ts'
import { JobError } from '../bytes/errors.ts'
import type { Source } from '../bytes/source.ts'
import { DOLLAR, STAR } from '../resp/format.ts'
import type { LongRecord } from '../resp/long-record.ts'
import { type Batch, type Oddity, readHeader } from '../resp/scanner.ts'
import { argumentHeader, recordHeader, TERMINATOR } from '../resp/writer.ts'
import type { CommandTable } from '../servers/commands.ts'

/** A place where a log is not in the form that servers write. */
export interface Patch {
  readonly offset: number
  readonly end: number
  /** What servers would have written there; nothing where they would not have written at all. */
  readonly by: Uint8Array
  /** Code of the finding. */
  readonly reason: string
}

/** Codes of findings that stop no server, and that normalizing mends. */
export const MENDED: ReadonlySet<string> = new Set([
  'resp.bulk.terminator',
  'transaction.exec',
  'transaction.multi',
])

/** A log of nothing but wrong terminators takes this many patches in some 10 MB, and 100 bytes of memory for each. */
export const MAX_PATCHES = 1 << 20

const NOTHING = new Uint8Array(0)

/**
 * What is to be changed in the first `end` bytes of a part that servers load, so that check-aof does not refuse them:
 * wrong terminators become right ones, headers take the form that servers write, an `EXEC` without `MULTI` and a
 * `MULTI` inside a transaction, which servers pass over, go. Ascending; what is between the patches stays as it is.
 * Closes nothing. Throws a JobError where there are more than {@link MAX_PATCHES}.
 */
export async function findPatches(
  source: Source,
  end: number,
  table: CommandTable,
  databases: number,
): Promise<Patch[]> {
  const finder = new PatchFinder(source, table, databases)
  await scanPart(upTo(source, end), finder, { databases })
  return finder.patches
}

class PatchFinder implements PartVisitor {
  readonly patches: Patch[] = []
  readonly #source: Source
  readonly #table: CommandTable
  readonly #context: Context

  constructor(source: Source, table: CommandTable, databases: number) {
    this.#source = source
    this.#table = table
    this.#context = new Context(databases)
  }

  rdb(): void {}

  records(batch: Batch): void {
    const { oddities, bytes, base } = batch
    let next = 0
    for (let i = 0; i < batch.count; i++) {
      const from = batch.offset(i)
      const to = base + batch.record[i + 1]
      const problem = this.#control(batch, i)
      if (problem !== undefined) this.#add({ offset: from, end: to, by: NOTHING, reason: problem })
      for (; next < oddities.length && oddities[next].offset < to; next++) {
        // What goes as a whole needs no mending.
        if (problem !== undefined) continue
        const { offset, length } = oddities[next]
        this.#mend(oddities[next], bytes.subarray(offset - base, offset - base + length))
      }
    }
  }

  async long(record: LongRecord): Promise<void> {
    for (const oddity of record.oddities) {
      const bytes = new Uint8Array(oddity.length)
      await this.#source.readAt(bytes, oddity.offset)
      this.#mend(oddity, bytes)
    }
  }

  /** Why servers pass over record `i`, if they do: the code of the finding. */
  #control(batch: Batch, i: number): string | undefined {
    if (batch.argc(i) === 0) return undefined
    const a = batch.first[i]
    const id = this.#table.lookup(batch.bytes, batch.start[a], batch.length[a])
    if (!CONTROL_IDS.has(id)) return undefined
    const problem = this.#context.control(batch, i, id)
    if (problem === 'exec-alone') return 'transaction.exec'
    return problem === 'multi-nested' ? 'transaction.multi' : undefined
  }

  #mend({ code, offset, length }: Oddity, bytes: Uint8Array): void {
    const by = code === 'resp.bulk.terminator' ? TERMINATOR : headerInForm(bytes)
    this.#add({ offset, end: offset + length, by, reason: code })
  }

  #add(patch: Patch): void {
    if (this.patches.length === MAX_PATCHES) {
      throw new JobError(
        'repair.normalize',
        `more than ${MAX_PATCHES} places are to be normalized, which is no damage but another way to write logs`,
        'servers load it as it is, and write it anew at the next BGREWRITEAOF',
      )
    }
    this.patches.push(patch)
  }
}

/** A header line as a server would write it, of one that it reads. */
function headerInForm(line: Uint8Array): Uint8Array {
  const prefix = line[0] === STAR ? STAR : DOLLAR
  const header = readHeader(line, 0, line.length, true, prefix, 0)
  if (header === undefined || header instanceof Error) throw new Error('a header that was read once')
  return prefix === STAR ? recordHeader(header.value) : argumentHeader(header.value)
}

/** The first `end` bytes of a source. */
export function upTo(source: Source, end: number): Source {
  let position = 0
  return {
    name: source.name,
    size: end,
    seekable: true,
    async read(target, from, to) {
      const at = position
      const length = Math.min(to - from, end - at)
      if (length <= 0) return 0
      position += length
      return source.readAt(target.subarray(from, from + length), at)
    },
    readAt: (target, offset) =>
      source.readAt(target.subarray(0, Math.max(0, Math.min(target.length, end - offset))), offset),
    grow: async () => false,
    close: () => source.close(),
  }
}
