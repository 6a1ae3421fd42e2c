export type Compression = 'gzip' | 'zstd'

/** Bytes at the start that show how an input is compressed. */
export const HEAD = 4

/** How data that begins with `head` is compressed: by its magic, zstd's of a skippable frame included. */
export function compressionOf(head: Uint8Array): Compression | undefined {
  if (head.length >= 3 && head[0] === 0x1f && head[1] === 0x8b && head[2] === 8) return 'gzip'
  if (head.length < HEAD) return undefined
  const magic = ((head[1] << 16) | (head[2] << 8) | head[3]) >>> 0
  if (head[0] === 0x28 && magic === 0xb52ffd) return 'zstd'
  return head[0] >> 4 === 5 && magic === 0x2a4d18 ? 'zstd' : undefined
}
