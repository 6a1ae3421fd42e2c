/**
 * zstd (RFC 8878), decompressed as it is read:
 *
 *     frame:     magic 28 b5 2f fd | descriptor 1 | window 0..1 | dictionary 0..4 | content size 0..8 |
 *                block … | checksum 0 or 4
 *     block:     last : 1, type : 2, size : 21 | data
 *     skippable: magic 5? 2a 4d 18 | size 4 | data
 *
 * Frames follow one another. Done here because Node has zstd from 22.15 on only, and the packages that decompress in
 * JavaScript trust their input: endless on some of it, wrong in silence where a distance or the checksum is.
 */
import { corrupt, type FormatError, JobError, torn } from './errors.ts'
import { Feed } from './feed.ts'
import type { Source } from './source.ts'
import { Xxh64 } from './xxh64.ts'
import { BlockDecoder, BlockError, MAX_BLOCK } from './zstd-block.ts'

const MAGIC = 0xfd2fb528
const SKIPPABLE = 0x184d2a50
const MAX_FRAME_HEADER = 18
/** What `zstd -d` accepts unless it is told otherwise. So much history has to stay in memory. */
const MAX_WINDOW = 1 << 27

const word = (bytes: Uint8Array, at: number): number =>
  (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0
const isMagic = (bytes: Uint8Array, at: number): boolean => word(bytes, at) === MAGIC
const isSkippable = (bytes: Uint8Array, at: number): boolean =>
  (word(bytes, at) & 0xfffffff0) >>> 0 === SKIPPABLE

interface FrameHeader {
  readonly length: number
  readonly window: number
  readonly contentSize: bigint | undefined
  readonly checksum: boolean
}

/**
 * The content of a zstd file, in pieces that are good until the next one is asked for. Throws a FormatError with the
 * offset in the compressed file (of the block or frame that is wrong), and a JobError for frames that need more memory
 * than is given, or a dictionary.
 */
export async function* decompressZstd(source: Source): AsyncGenerator<Uint8Array, void, undefined> {
  const feed = new Feed(source, 2 * MAX_BLOCK)
  const decoder = new BlockDecoder()
  const history = new History()
  for (let frames = 0; await feed.need(1); frames++) {
    const at = feed.offset
    if (!(await feed.need(4))) throw trailing(at, frames)
    if (isSkippable(feed.bytes, feed.start)) {
      if (!(await feed.need(8))) throw truncated(at)
      if (!(await feed.skip(8 + word(feed.bytes, feed.start + 4)))) throw truncated(at)
    } else if (isMagic(feed.bytes, feed.start)) yield* decompressFrame(feed, decoder, history)
    else throw trailing(at, frames)
  }
}

async function* decompressFrame(
  feed: Feed,
  decoder: BlockDecoder,
  history: History,
): AsyncGenerator<Uint8Array, void, undefined> {
  const frameAt = feed.offset
  // A whole frame can be shorter than its header can be: take what is there.
  await feed.need(MAX_FRAME_HEADER)
  const header = readHeader(feed.bytes.subarray(feed.start, feed.end), frameAt)
  feed.start += header.length
  const limit = Math.min(header.window, MAX_BLOCK)
  const hash = header.checksum ? new Xxh64() : undefined
  let size = 0n
  decoder.reset()
  history.reset(header.window)
  for (let last = false; !last; ) {
    const at = feed.offset
    if (!(await feed.need(3))) throw truncated(at)
    const blockHeader = word(feed.bytes, feed.start) & 0xffffff
    last = (blockHeader & 1) === 1
    const type = (blockHeader >> 1) & 3
    const claimed = blockHeader >> 3
    if (type === 3) throw badBlock(at, 'a type that does not exist')
    if (claimed > limit) throw badBlock(at, `${claimed} bytes claimed, at most ${limit} possible`)
    const stored = type === RLE ? 1 : claimed
    if (!(await feed.need(3 + stored))) throw truncated(at)
    const from = feed.start + 3
    history.reserve(limit)
    const { bytes, end } = history
    if (type === RAW) {
      bytes.set(feed.bytes.subarray(from, from + stored), end)
      history.end += stored
    } else if (type === RLE) {
      bytes.fill(feed.bytes[from], end, end + claimed)
      history.end += claimed
    } else {
      try {
        history.end = decoder.decode(feed.bytes, from, from + stored, bytes, end, limit)
      } catch (error) {
        throw error instanceof BlockError ? badBlock(at, error.message) : error
      }
    }
    feed.start = from + stored
    const decoded = bytes.subarray(end, history.end)
    if (decoded.length === 0) continue
    size += BigInt(decoded.length)
    hash?.update(decoded)
    yield decoded
  }
  if (header.contentSize !== undefined && header.contentSize !== size) {
    const message = `zstd: a frame decompresses to ${size} bytes, its header says ${header.contentSize}`
    throw corrupt('zstd.size', frameAt, message)
  }
  if (hash === undefined) return
  const at = feed.offset
  if (!(await feed.need(4))) throw truncated(at)
  const stored = word(feed.bytes, feed.start)
  const computed = Number(hash.digest() & 0xffffffffn)
  if (stored !== computed) {
    const message = `zstd: checksum ${hex(stored)} stored, ${hex(computed)} computed over the frame at ${frameAt}`
    throw corrupt('zstd.checksum', at, message)
  }
  feed.start += 4
}

const RAW = 0
const RLE = 1

function readHeader(bytes: Uint8Array, at: number): FrameHeader {
  if (bytes.length < 5) throw truncated(at)
  const descriptor = bytes[4]
  const single = (descriptor & 0x20) !== 0
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3]
  const sizeFlag = descriptor >> 6
  const sizeBytes = sizeFlag === 0 ? Number(single) : 1 << sizeFlag
  const windowBytes = single ? 0 : 1
  const length = 5 + windowBytes + dictionaryBytes + sizeBytes
  if (bytes.length < length) throw truncated(at)
  if ((descriptor & 8) !== 0)
    throw corrupt('zstd.header', at, 'zstd: a reserved bit of the frame header is set')
  let dictionary = 0
  for (let index = dictionaryBytes - 1; index >= 0; index--) {
    dictionary = dictionary * 256 + bytes[5 + windowBytes + index]
  }
  if (dictionary !== 0) {
    throw new JobError(
      'zstd.dictionary',
      `the zstd frame at ${at} needs dictionary ${dictionary}`,
      'decompress it with zstd -D and give the result',
    )
  }
  let size = 0n
  for (let index = length - 1; index >= length - sizeBytes; index--)
    size = (size << 8n) | BigInt(bytes[index])
  if (sizeFlag === 1) size += 256n
  let window = Number(size)
  if (!single) {
    const base = 2 ** (10 + (bytes[5] >> 3))
    window = base + (base / 8) * (bytes[5] & 7)
  }
  if (window > MAX_WINDOW) {
    throw new JobError(
      'zstd.window',
      `the zstd frame at ${at} needs ${window} bytes of memory, at most ${MAX_WINDOW} are given`,
      'pipe it in: zstd -dc --long=31 FILE | aofkit … -',
    )
  }
  return {
    length,
    window,
    contentSize: sizeBytes === 0 ? undefined : size,
    checksum: (descriptor & 4) !== 0,
  }
}

/** What has been decoded last: at least a window of it. */
class History {
  bytes = new Uint8Array(0)
  end = 0
  #window = 0

  reset(window: number): void {
    this.#window = window
    this.end = 0
    // An eighth more than the window: each byte is moved eight times at most, and memory stays near what must be kept.
    const size = window + Math.max(window >> 3, 8 * MAX_BLOCK)
    // Memory that has not been written to costs nothing yet: what a short frame claims is not taken.
    if (this.bytes.length < size) this.bytes = new Uint8Array(size)
  }

  /** Makes room for `count` bytes behind `end`. */
  reserve(count: number): void {
    if (this.end + count <= this.bytes.length) return
    this.bytes.copyWithin(0, this.end - this.#window, this.end)
    this.end = this.#window
  }
}

const hex = (value: number): string => value.toString(16).padStart(8, '0')

function truncated(at: number): FormatError {
  return torn('zstd.truncated', at, 'zstd: the compressed file ends inside a frame')
}

function badBlock(at: number, reason: string): FormatError {
  return corrupt('zstd.block', at, `zstd: a block cannot be decompressed: ${reason}`)
}

function trailing(at: number, frames: number): FormatError {
  return corrupt('zstd.trailing', at, `zstd: no frame here, behind ${frames} whole ones`)
}
