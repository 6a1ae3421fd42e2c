import { Slice } from '../values/slice.ts'
import { Cursor } from './cursor.ts'
import { Opcode } from './format.ts'

/**
 * Makes `source` the source of the function library in a whole record, as FUNCTION LOAD takes it.
 *
 *     245  string source
 *     246  string name, string engine, length 0 or 1, string description if 1, string code
 *
 * The second was written by release candidates of Redis 7.0, whose code said neither name nor engine; Redis 7.0 puts
 * them before it.
 *
 * @param bytes the record, with its opcode
 * @param offset of it in the part
 * @throws FormatError `rdb.lzf`
 */
export function librarySource(bytes: Uint8Array, offset: number, source: Slice): void {
  const cursor = new Cursor(Number.POSITIVE_INFINITY)
  cursor.set(bytes, 1, bytes.length, offset + 1)
  if (bytes[0] === Opcode.Function) {
    cursor.string(source)
    return
  }
  const part = new Slice()
  const texts: Uint8Array[] = []
  cursor.string(part)
  const name = part.copy()
  cursor.string(part)
  texts.push(HEAD, part.copy(), NAME, name, LINE_END)
  if (cursor.length() > 0) cursor.string(part)
  cursor.string(part)
  texts.push(part.copy())
  source.set(Buffer.concat(texts))
}

const HEAD = Buffer.from('#!')
const NAME = Buffer.from(' name=')
const LINE_END = Buffer.from('\n')
