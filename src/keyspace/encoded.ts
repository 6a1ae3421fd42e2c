import { HashTemplates } from '../rdb/encodings/template.ts'
import { ValueReader } from '../rdb/value-reader.ts'
import type { ElementSink } from '../values/elements.ts'
import type { Extents } from './extents.ts'
import type { EncodedValue } from './types/opaques.ts'

/** Bytes that are read at once. */
const PIECE = 1 << 18

/**
 * Gives the elements of an encoded value that stands in the log.
 *
 * @param ends whether the sink is told of the end
 * @throws FormatError when it cannot be decoded, which is known of no value in a keyspace
 */
export function decodeValue(
  extents: Extents,
  { part, offset, length, magic, type }: EncodedValue,
  sink: ElementSink,
  ends: boolean,
): void {
  const reader = new ValueReader(new HashTemplates())
  reader.begin(magic, type, offset, sink)
  const piece = new Uint8Array(Math.min(PIECE, length))
  for (let done = 0; done < length; done += PIECE) {
    const size = Math.min(PIECE, length - done)
    extents.fill(part, offset + done, piece.subarray(0, size))
    reader.feed(piece, 0, size)
  }
  if (ends) reader.finish()
}
