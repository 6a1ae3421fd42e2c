import { corrupt } from '../../bytes/errors.ts'

/**
 * LZF, as libLZF writes it. A control byte says what follows:
 *
 *     000nnnnn                        n + 1 bytes as they are
 *     lllddddd dddddddd               l + 2 bytes from d + 1 before here (l from 1 to 6)
 *     111ddddd llllllll dddddddd      l + 9 bytes from d + 1 before here
 */

/** No two or three bytes stand for more: what claims to grow further is refused before there is room for it. */
const MOST_GROWTH = 264 / 3

/**
 * `source[at, end)` decompressed to exactly `size` bytes.
 *
 * @param offset of the first compressed byte in the part, for the error
 * @throws FormatError `rdb.lzf`
 */
export function decompressLzf(
  source: Uint8Array,
  at: number,
  end: number,
  size: number,
  offset: number,
): Uint8Array {
  const wrong = (why: string) =>
    corrupt('rdb.lzf', offset, `compressed string (${end - start} bytes): ${why}`)
  const start = at
  if (size > (end - at) * MOST_GROWTH) throw wrong(`it cannot become ${size} bytes`)
  const target = new Uint8Array(size)
  let to = 0
  while (at < end) {
    const control = source[at++]
    if (control < 32) {
      const count = control + 1
      if (at + count > end) throw wrong('it ends inside a run')
      if (to + count > size) throw wrong(`it becomes more than the ${size} bytes that it claims`)
      target.set(source.subarray(at, at + count), to)
      at += count
      to += count
      continue
    }
    let count = control >> 5
    if (at + (count === 7 ? 2 : 1) > end) throw wrong('it ends inside a reference')
    if (count === 7) count += source[at++]
    count += 2
    let from = to - ((control & 31) << 8) - source[at++] - 1
    if (from < 0) throw wrong('it refers to before its beginning')
    if (to + count > size) throw wrong(`it becomes more than the ${size} bytes that it claims`)
    // One by one: the source may reach into what is being written.
    while (count-- > 0) target[to++] = target[from++]
  }
  if (to !== size) throw wrong(`it becomes ${to} bytes, not the ${size} that it claims`)
  return target
}
