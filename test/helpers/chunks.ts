import type { Source } from '../../src/bytes/source.ts'
import { Window } from '../../src/bytes/window.ts'
import { RespReader } from '../../src/resp/reader.ts'

/** A source that hands out exactly these pieces, one a read. */
export class PieceSource implements Source {
  readonly name = 'pieces'
  readonly size = undefined
  readonly seekable = true
  /** Pieces that appear when the source is asked whether it has grown. */
  later: Uint8Array[] = []
  #pieces: Uint8Array[]
  #next = 0

  constructor(pieces: readonly Uint8Array[]) {
    this.#pieces = [...pieces]
  }

  async read(target: Uint8Array, from: number, to: number): Promise<number> {
    while (this.#next < this.#pieces.length) {
      const piece = this.#pieces[this.#next++]
      if (piece.length === 0) continue
      if (piece.length > to - from) {
        this.#pieces.splice(this.#next, 0, piece.subarray(to - from))
        target.set(piece.subarray(0, to - from), from)
        return to - from
      }
      target.set(piece, from)
      return piece.length
    }
    return 0
  }

  async readAt(target: Uint8Array, offset: number): Promise<number> {
    const all = Buffer.concat(this.#pieces)
    const bytes = all.subarray(offset, offset + target.length)
    target.set(bytes)
    return bytes.length
  }

  async grow(): Promise<boolean> {
    if (this.later.length === 0) return false
    this.#pieces.push(...this.later)
    this.later = []
    return true
  }

  async close(): Promise<void> {}
}

/** `bytes` cut in two at every place, in single bytes, and whole. */
export function* everySplit(bytes: Uint8Array): Generator<Uint8Array[]> {
  yield [bytes]
  for (let i = 1; i < bytes.length; i++) yield [bytes.subarray(0, i), bytes.subarray(i)]
  yield Array.from(bytes, byte => Uint8Array.of(byte))
}

/** Arguments as a record, in the form that servers write. */
export function encode(...args: (string | Uint8Array)[]): Buffer {
  const pieces: Uint8Array[] = [Buffer.from(`*${args.length}\r\n`)]
  for (const arg of args) {
    const bytes = Buffer.from(arg as string)
    pieces.push(Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n'))
  }
  return Buffer.concat(pieces)
}

export interface Scanned {
  /** Offset of each record, and its arguments as latin1; an annotation: its line. */
  records: { offset: number; args: string[]; annotation?: string }[]
  oddities: { code: string; offset: number }[]
  stop: { kind: string; code: string; offset: number } | undefined
  /** Offset behind the last whole record. */
  end: number
}

/** Reads a log with a window of `chunk` bytes; long records give their kept arguments as `offset+length`. */
export async function scan(source: Source, chunk: number): Promise<Scanned> {
  const reader = new RespReader(new Window(source, chunk))
  const result: Scanned = { records: [], oddities: [], stop: undefined, end: 0 }
  for (let batch = await reader.next(); batch !== undefined; batch = await reader.next()) {
    const latin1 = (from: number, to: number) => Buffer.from(batch.bytes.slice(from, to)).toString('latin1')
    if (reader.long !== undefined) {
      const long = reader.long
      const args = Array.from({ length: long.kept }, (_, i) => `${long.start[i]}+${long.length[i]}`)
      result.records.push({ offset: long.offset, args })
      result.oddities.push(...long.oddities.map(({ code, offset }) => ({ code, offset })))
    }
    for (let i = 0; i < batch.count; i++) {
      if (batch.argc(i) === 0) {
        result.records.push({
          offset: batch.offset(i),
          args: [],
          annotation: latin1(batch.record[i], batch.record[i + 1]),
        })
        continue
      }
      const args = []
      for (let a = batch.first[i]; a < batch.first[i + 1]; a++)
        args.push(latin1(batch.start[a], batch.start[a] + batch.length[a]))
      result.records.push({ offset: batch.offset(i), args })
    }
    result.oddities.push(...batch.oddities.map(({ code, offset }) => ({ code, offset })))
    result.end = reader.offset
  }
  if (reader.error !== undefined) {
    const { kind, code, offset } = reader.error
    result.stop = { kind, code, offset }
  }
  return result
}
