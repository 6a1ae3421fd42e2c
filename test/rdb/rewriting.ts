/** Decodes an RDB from memory and writes it anew, as an operation would. */
import { Window } from '../../src/bytes/window.ts'
import { EntryReader } from '../../src/rdb/entries.ts'
import { auxFields, fieldsMayExpire, type Place, type RdbTarget } from '../../src/rdb/targets.ts'
import { RdbWalk } from '../../src/rdb/walk.ts'
import { RdbWriter, type WriteOptions } from '../../src/rdb/writer.ts'
import { PieceSource } from '../helpers/chunks.ts'

export interface RewriteOptions extends WriteOptions {
  /** Bytes that are taken at once at least; 0: only at the end. */
  readonly enough?: number
  /** Bytes of a window. */
  readonly chunk?: number
  /** Whether the writer is told which hashes have no fields that expire. Default: true. */
  readonly told?: boolean
  /** Where it will stand. Default: as the base of a log. */
  readonly place?: Place
  /** Whether entries are copied as they stand where the target can have them so. */
  readonly copied?: boolean
}

/** The RDB for `target`, with what `rdb` has. */
export async function rewritten(
  rdb: Uint8Array,
  target: RdbTarget,
  { enough = 0, chunk, told = true, copied = false, place = 'base', ...options }: RewriteOptions = {},
): Promise<Buffer> {
  const writer = new RdbWriter(target, options)
  const taken: Buffer[] = []
  for (const [name, value] of auxFields(target, place)) writer.aux(name, value)
  const reader = new EntryReader({
    entry: entry => writer.entry(entry, told ? fieldsMayExpire(entry.type) : undefined),
    damaged(error) {
      throw error
    },
  })
  let magic: 'REDIS' | 'VALKEY' = 'REDIS'
  const walk = new RdbWalk(new Window(new PieceSource([rdb]), chunk), { values: true })
  for (let event = await walk.next(); event !== undefined; event = await walk.next()) {
    if (event.kind === 'header') magic = event.magic
    if (event.kind === 'select') writer.select(event.db)
    if (event.kind === 'resize') writer.resize(event.keys, event.expires)
    if ((event.kind === 'function' || event.kind === 'module-aux') && event.bytes !== undefined)
      writer.copyRecord(event.kind, event.bytes, 0, event.bytes.length)
    if (copied && event.kind === 'entries' && !event.inPieces) {
      const { bytes, base, offset, end, count } = event.entries
      for (let i = 0; i < count; i++)
        if (!writer.copyEntry(magic, bytes, offset[i] - base, end[i] - base))
          throw new Error(`the entry at ${offset[i]} cannot be copied`)
    } else {
      reader.event(event)
    }
    if (enough > 0 && writer.pending >= enough) taken.push(Buffer.from(writer.take()))
  }
  if (walk.error !== undefined) throw walk.error
  writer.finish()
  taken.push(Buffer.from(writer.take()))
  return Buffer.concat(taken)
}
