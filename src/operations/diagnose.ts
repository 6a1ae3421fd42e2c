import type { FormatError } from '../bytes/errors.ts'
import { formatCount } from '../bytes/figures.ts'
import type { Source } from '../bytes/source.ts'
import type { CommandTable } from '../servers/commands.ts'

/** Zeros in a row that are no accident of the data. */
const MIN_ZEROS = 8
const BLOCK = 1 << 16

export interface Scene {
  readonly error: FormatError
  /** The bytes from the last boundary on, as many as are at hand; its offset in the part. */
  readonly rest: Uint8Array
  readonly offset: number
  /** Bytes of the part. */
  readonly size: number
  readonly source: Source
  readonly table: CommandTable
}

/** The name of a known kind of damage, as a sentence; undefined when it looks like none. */
export async function nameDamage(scene: Scene): Promise<string | undefined> {
  const { error, rest, offset } = scene
  const head = Buffer.from(rest.buffer, rest.byteOffset, Math.min(rest.length, 512)).toString('latin1')
  if (/^\*\d+\n\$\d+\n/.test(head)) {
    return 'Lines end with LF alone: a transfer or an editor turned CRLF into LF, and values may be changed too; take the file again, as binary.'
  }
  if (/^\*\d+\r\r\n/.test(head)) {
    return 'Lines end with CR CR LF: a transfer or an editor turned LF into CRLF, and values may be changed too; take the file again, as binary.'
  }
  if (offset === 0) {
    if (head.startsWith('\xef\xbb\xbf'))
      return 'It begins with a byte order mark (UTF-8), which an editor has put there.'
    if (/^(\xff\xfe|\xfe\xff)/.test(head))
      return 'It begins with a byte order mark (UTF-16): an editor has converted it.'
    if (isInline(head, scene.table)) {
      return 'These are commands as one types them; a log holds them in RESP. `redis-cli < FILE` runs them.'
    }
  }
  const zeros = await zerosFrom(scene, error.offset)
  if (zeros >= MIN_ZEROS || (zeros > 0 && error.offset + zeros === scene.size)) {
    return error.offset + zeros === scene.size
      ? `From here to the end stand ${count(zeros)} zero bytes: the file was made longer, and its data never reached the disk, as after a power loss.`
      : `Here stand ${count(zeros)} zero bytes: a block that never reached the disk, as after a power loss.`
  }
  return undefined
}

function count(bytes: number): string {
  return formatCount(bytes)
}

function isInline(head: string, table: CommandTable): boolean {
  const name = /^([a-z]{2,20})[ \r\n]/i.exec(head)?.[1]
  return name !== undefined && table.lookup(Buffer.from(name), 0, name.length) >= 0
}

/** How many zero bytes stand in a row from `at` on. */
async function zerosFrom({ rest, offset, source, size }: Scene, at: number): Promise<number> {
  let position = at
  while (position - offset < rest.length) {
    if (rest[position - offset] !== 0) return position - at
    position++
  }
  if (!source.seekable) return position - at
  const block = new Uint8Array(BLOCK)
  while (position < size) {
    const read = await source.readAt(block, position)
    if (read === 0) break
    const other = block.subarray(0, read).findIndex(byte => byte !== 0)
    if (other >= 0) return position + other - at
    position += read
  }
  return position - at
}
