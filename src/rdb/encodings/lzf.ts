import { corrupt, type FormatError } from '../../bytes/errors.ts'
import { type Exports, instantiate } from '../../bytes/wasm.ts'
import type { Slice } from '../../values/slice.ts'
import { LZF_MODULE } from './lzf.generated.ts'

/*
 * LZF, as libLZF writes it. A control byte says what follows:
 *
 *     000nnnnn                        n + 1 bytes as they are: a run
 *     lllddddd dddddddd               l + 2 bytes from d + 1 before here (l from 1 to 6): a reference
 *     111ddddd llllllll dddddddd      l + 9 bytes from d + 1 before here
 *
 * The work is done in WebAssembly, block by block; lzf.wat says where things stand in its memory. Compared with
 * JavaScript, copying included, compressing takes two thirds of the time for the strings of an RDB (58 bytes on average:
 * short ones gain nothing) and half for long ones; decompressing takes half, and a third.
 */

/** No two or three bytes stand for more: what claims to grow further is refused before there is room for it. */
const MOST_GROWTH = 264 / 3
/** Longer ones no buffer of Node.js 20 takes. */
export const LONGEST_STRING = 0xffff_ffff
/** A reference reaches no further back. */
const MOST_DISTANCE = 8192
/** Servers compress only what becomes at least so much smaller (`rdbSaveLzfStringObject`). */
const LEAST_SAVED = 4

const BLOCK = 262_144
const INPUT_AT = 262_144
const OUTPUT_AT = 532_544
const RESULT_AT = 811_008
/** Of a block that does not compress at all. */
const MOST_OUTPUT = BLOCK + BLOCK / 32

type Module = Exports<{
  compress(size: number, limit: number): number
  decompress(size: number, room: number, history: number): void
}>

let loaded: Module | undefined
let result = new Int32Array(2)

function load(): Module {
  const module: Module = instantiate(LZF_MODULE)
  result = new Int32Array(module.bytes.buffer, RESULT_AT, 2)
  loaded = module
  return module
}

/**
 * Compresses `source[at, end)` into `target`, from `to` on, where there must be room for four bytes less. The result
 * is the same whatever was compressed before.
 *
 * @returns bytes written; 0 when that would not save four bytes at least, and then what is behind `to` is void. Servers
 *   do not try strings of 20 bytes and less.
 */
export function compressLzf(
  source: Uint8Array,
  at: number,
  end: number,
  target: Uint8Array,
  to: number,
): number {
  const module = loaded ?? load()
  const limit = end - at - LEAST_SAVED
  if (limit <= 0) return 0
  let written = 0
  for (let from = at; from < end; from += BLOCK) {
    const next = Math.min(from + BLOCK, end)
    module.bytes.set(source.subarray(from, next), INPUT_AT)
    const size = module.compress(next - from, Math.min(limit - written, MOST_OUTPUT))
    if (size === 0) return 0
    target.set(module.bytes.subarray(OUTPUT_AT, OUTPUT_AT + size), to + written)
    written += size
  }
  return written
}

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
  checkSize(end - at, size, offset)
  const target = new Uint8Array(size)
  decompress(source, at, end, size, offset, target)
  return target
}

/** The same into `slice`, into room of its own; it is empty when that fails. `source` must not be that room. */
export function decompressLzfInto(
  slice: Slice,
  source: Uint8Array,
  at: number,
  end: number,
  size: number,
  offset: number,
): void {
  checkSize(end - at, size, offset)
  const target = slice.room(size)
  slice.end = 0
  decompress(source, at, end, size, offset, target)
  slice.end = size
}

function decompress(
  source: Uint8Array,
  at: number,
  end: number,
  size: number,
  offset: number,
  target: Uint8Array,
): void {
  const { bytes, decompress } = loaded ?? load()
  let written = 0
  let history = 0
  for (let from = at; from < end; ) {
    bytes.set(source.subarray(from, Math.min(from + BLOCK, end)), INPUT_AT)
    decompress(Math.min(BLOCK, end - from), Math.min(BLOCK, size - written), history)
    const used = result[0]
    const grown = result[1]
    // A block has room for any run and any reference: one that cannot be, or that goes beyond an end.
    if (used === 0) throw whatIsWrong(source, at, end, size, offset)
    target.set(bytes.subarray(OUTPUT_AT, OUTPUT_AT + grown), written)
    from += used
    written += grown
    if (from < end) {
      history = Math.min(history + grown, MOST_DISTANCE)
      const behind = OUTPUT_AT + grown
      bytes.copyWithin(OUTPUT_AT - history, behind - history, behind)
    }
  }
  if (written !== size) throw whatIsWrong(source, at, end, size, offset)
}

/** The error that {@link LzfCheck} finds. */
function whatIsWrong(source: Uint8Array, at: number, end: number, size: number, offset: number): FormatError {
  try {
    const check = new LzfCheck()
    check.begin(end - at, size, offset)
    check.feed(source, at, end)
  } catch (error) {
    return error as FormatError
  }
  throw new Error(`a compressed string at ${offset} is right and was not decompressed`)
}

function checkSize(compressedSize: number, size: number, offset: number): void {
  checkGrowth(compressedSize, size, offset)
  if (size > LONGEST_STRING)
    throw wrong(compressedSize, offset, `${size} bytes are more than memory takes at once`)
}

function checkGrowth(compressedSize: number, size: number, offset: number): void {
  if (size > compressedSize * MOST_GROWTH)
    throw wrong(compressedSize, offset, `it cannot become ${size} bytes`)
}

function wrong(compressedSize: number, offset: number, why: string): FormatError {
  return corrupt('rdb.lzf', offset, `compressed string (${compressedSize} bytes): ${why}`)
}

const Next = { Control: 0, Length: 1, Distance: 2 } as const

/**
 * Finds what `decompressLzf` finds, without making the output: from pieces of any size, in constant memory. One object
 * checks many strings.
 */
export class LzfCheck {
  #offset = 0
  #compressedSize = 0
  #size = 0
  /** Compressed bytes that are still to come. */
  #left = 0
  /** Bytes of output so far. */
  #written = 0
  /** Bytes of a run that are still to come. */
  #run = 0
  #next: number = Next.Control
  /** Of the reference that is being read. */
  #count = 0
  #distance = 0

  /**
   * @param offset of the first compressed byte in the part, for the error
   * @throws FormatError `rdb.lzf`
   */
  begin(compressedSize: number, plainSize: number, offset: number): void {
    this.#offset = offset
    this.#compressedSize = compressedSize
    this.#size = plainSize
    this.#left = compressedSize
    this.#written = 0
    this.#run = 0
    this.#next = Next.Control
    checkGrowth(compressedSize, plainSize, offset)
  }

  /**
   * Takes the next compressed bytes: no more than were said. With the last of them it knows that all is well.
   *
   * @throws FormatError `rdb.lzf`
   */
  feed(bytes: Uint8Array, at: number, end: number): void {
    this.#left -= end - at
    let from = at
    while (from < end) {
      if (this.#run > 0) {
        const passed = Math.min(this.#run, end - from)
        this.#run -= passed
        from += passed
        continue
      }
      const byte = bytes[from++]
      if (this.#next === Next.Control && byte < 32) {
        this.#run = byte + 1
        this.#grow(this.#run)
      } else if (this.#next === Next.Control) {
        this.#count = (byte >> 5) + 2
        this.#distance = ((byte & 31) << 8) + 1
        this.#next = this.#count === 9 ? Next.Length : Next.Distance
      } else if (this.#next === Next.Length) {
        this.#count += byte
        this.#next = Next.Distance
      } else {
        if (this.#distance + byte > this.#written) throw this.#wrong('it refers to before its beginning')
        this.#grow(this.#count)
        this.#next = Next.Control
      }
    }
    if (this.#left > 0) return
    if (this.#run > 0) throw this.#wrong('it ends inside a run')
    if (this.#next !== Next.Control) throw this.#wrong('it ends inside a reference')
    if (this.#written !== this.#size)
      throw this.#wrong(`it becomes ${this.#written} bytes, not the ${this.#size} that it claims`)
  }

  #grow(count: number): void {
    this.#written += count
    if (this.#written > this.#size)
      throw this.#wrong(`it becomes more than the ${this.#size} bytes that it claims`)
  }

  #wrong(why: string): FormatError {
    return wrong(this.#compressedSize, this.#offset, why)
  }
}
