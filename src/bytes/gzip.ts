/**
 * gzip (RFC 1952), decompressed as it is read:
 *
 *     member: 1f 8b | method 8 | flags 1 | time 4 | 2 bytes | extra? | name\0? | comment\0? | header CRC? |
 *             deflate stream … | CRC32 4 | size modulo 2^32 4
 *
 * Members follow one another and are read as one; zeros may follow the last one (tapes, block devices). The members
 * are taken apart here and only the deflate streams given to zlib: Node's own gunzip stops in silence at the first zero
 * behind a member, and says nowhere at which offset it met what.
 */
import { constants, crc32, createInflateRaw, type InflateRaw } from 'node:zlib'
import { corrupt, type FormatError, torn } from './errors.ts'
import { Feed } from './feed.ts'
import type { Source } from './source.ts'

const HEADER = 10
const TRAILER = 8
const FLAG_HEADER_CRC = 2
const FLAG_EXTRA = 4
const FLAG_NAME = 8
const FLAG_COMMENT = 16
const RESERVED_FLAGS = 0xe0
/** Bytes asked for at once; zlib is given up to twice as many. */
const INPUT = 128 * 1024
/** Bytes that zlib delivers at once, each time in a new buffer: garbage that piles up for a while. */
const OUTPUT = 64 * 1024

const startsMember = (bytes: Uint8Array, at: number): boolean =>
  bytes[at] === 0x1f && bytes[at + 1] === 0x8b && bytes[at + 2] === 8

/**
 * The content of a gzip file, in pieces that are good until the next one is asked for. Throws a FormatError with the
 * offset in the compressed file; for a deflate stream that is wrong, the offset of the piece of at most 256 KiB in which it is.
 */
export async function* decompressGzip(source: Source): AsyncGenerator<Uint8Array, void, undefined> {
  const feed = new Feed(source, INPUT)
  for (let members = 0; await feed.need(1); members++) {
    const at = feed.offset
    if (members > 0 && feed.bytes[feed.start] === 0) {
      await skipZeros(feed)
      return
    }
    if (!(await feed.need(3)) || !startsMember(feed.bytes, feed.start)) {
      throw corrupt('gzip.trailing', at, `gzip: no member here, behind ${members} whole ones`)
    }
    await skipHeader(feed)
    yield* inflateMember(feed, at)
  }
}

async function skipZeros(feed: Feed): Promise<void> {
  do {
    while (feed.start < feed.end) {
      if (feed.bytes[feed.start] !== 0) {
        throw corrupt('gzip.trailing', feed.offset, 'gzip: data behind the zeros that follow the last member')
      }
      feed.start++
    }
  } while (await feed.more())
}

async function skipHeader(feed: Feed): Promise<void> {
  const at = feed.offset
  if (!(await feed.need(HEADER))) throw truncated(at)
  const flags = feed.bytes[feed.start + 3]
  if ((flags & RESERVED_FLAGS) !== 0) {
    throw corrupt('gzip.header', at + 3, 'gzip: reserved flags are set in a header')
  }
  feed.start += HEADER
  if ((flags & FLAG_EXTRA) !== 0) {
    if (!(await feed.need(2))) throw truncated(at)
    const length = feed.bytes[feed.start] | (feed.bytes[feed.start + 1] << 8)
    if (!(await feed.skip(2 + length))) throw truncated(at)
  }
  for (const flag of [FLAG_NAME, FLAG_COMMENT]) {
    if ((flags & flag) === 0) continue
    for (;;) {
      if (!(await feed.need(1))) throw truncated(at)
      const end = feed.bytes.subarray(0, feed.end).indexOf(0, feed.start)
      feed.start = end < 0 ? feed.end : end + 1
      if (end >= 0) break
    }
  }
  if ((flags & FLAG_HEADER_CRC) !== 0 && !(await feed.skip(2))) throw truncated(at)
}

async function* inflateMember(feed: Feed, memberAt: number): AsyncGenerator<Uint8Array, void, undefined> {
  // SYNC_FLUSH: what a cut stream holds is delivered before we find out, at its end, that it is cut.
  const inflate = createInflateRaw({ chunkSize: OUTPUT, finishFlush: constants.Z_SYNC_FLUSH })
  const progress = { at: memberAt, whole: false }
  const pumped = pump(feed, inflate, progress).catch((error: Error) => {
    inflate.destroy(error)
  })
  let crc = 0
  let size = 0
  try {
    for await (const piece of inflate) {
      crc = crc32(piece, crc)
      // Modulo 2^32, as the trailer has it.
      size = (size + piece.length) >>> 0
      yield piece
    }
    await pumped
  } catch (error) {
    if (!(error as NodeJS.ErrnoException).code?.startsWith('Z_')) throw error
    const reason = (error as Error).message
    throw corrupt('gzip.data', progress.at, `gzip: the compressed data is damaged: ${reason}`)
  } finally {
    inflate.destroy()
  }
  const at = feed.offset
  if (!progress.whole || !(await feed.need(TRAILER))) throw truncated(memberAt)
  const trailer = new DataView(feed.bytes.buffer, feed.start, TRAILER)
  const storedCrc = trailer.getUint32(0, true)
  if (storedCrc !== crc) {
    throw corrupt('gzip.checksum', at, `gzip: checksum ${hex(storedCrc)} stored, ${hex(crc)} computed`)
  }
  const storedSize = trailer.getUint32(4, true)
  if (storedSize !== size) {
    throw corrupt('gzip.size', at + 4, `gzip: size ${storedSize} stored, ${size} decompressed (modulo 2^32)`)
  }
  feed.start += TRAILER
}

/**
 * Gives `inflate` bytes until it takes no more: then the deflate stream is whole, and what was left over is in front of
 * `feed` again. zlib calls back for a piece when all that it holds has been taken by the reader.
 */
async function pump(
  feed: Feed,
  inflate: InflateRaw,
  progress: { at: number; whole: boolean },
): Promise<void> {
  let given = 0
  while (feed.left > 0 || (await feed.more())) {
    progress.at = feed.offset
    given += feed.left
    const piece = feed.bytes.subarray(feed.start, feed.end)
    await new Promise<void>(resolve => inflate.write(piece, () => resolve()))
    if (inflate.destroyed) return
    const over = given - inflate.bytesWritten
    feed.start = feed.end - over
    if (over > 0) {
      progress.whole = true
      return
    }
  }
  inflate.end()
}

const hex = (value: number): string => value.toString(16).padStart(8, '0')

function truncated(at: number): FormatError {
  return torn('gzip.truncated', at, 'gzip: the compressed file ends inside the member that begins here')
}
