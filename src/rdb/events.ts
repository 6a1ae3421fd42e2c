import type { Magic } from './format.ts'
import { decodeString } from './strings.ts'

/** Offsets from the start of the part; the end is exclusive. */
export interface Span {
  readonly offset: number
  readonly end: number
}

/** What an RDB holds, in its order. */
export type RdbEvent =
  | (Span & { readonly kind: 'header'; readonly magic: Magic; readonly version: number })
  | (Span & {
      readonly kind: 'aux'
      /** Undefined, with the value, when the record is too long to be kept: 64 KiB and more. */
      readonly name: Uint8Array | undefined
      readonly value: Uint8Array | undefined
    })
  | (Span & { readonly kind: 'select'; readonly db: number })
  /** How many keys the selected database is said to have, and how many of them with an expiry: a hint. */
  | (Span & { readonly kind: 'resize'; readonly keys: number; readonly expires: number })
  /** The same for a slot of a cluster. */
  | (Span & { readonly kind: 'slot'; readonly slot: number; readonly keys: number; readonly expires: number })
  | (Span & {
      readonly kind: 'function' | 'function-pre-release' | 'module-aux' | 'slot-import' | 'template'
      /** All of it, with the opcode, when values were asked for. Void after the call. */
      readonly bytes: Uint8Array | undefined
    })
  /**
   * The next bytes of a value that is not all at hand, when values were asked for: `bytes[from, to)`. The batch has the
   * entry, alone; its end is not known yet.
   */
  | {
      readonly kind: 'piece'
      readonly entries: EntryBatch
      readonly first: boolean
      readonly bytes: Uint8Array
      readonly from: number
      readonly to: number
    }
  | {
      readonly kind: 'entries'
      readonly entries: EntryBatch
      /** Whether the value of its one entry came in pieces. */
      readonly inPieces: boolean
    }
  /** The end mark. Files of versions before 5 have no checksum. */
  | (Span & { readonly kind: 'end'; readonly checksum: Checksum | undefined })

export interface Checksum {
  readonly offset: number
  /** As the file has it; 0 where it was switched off (`rdbchecksum no`). */
  readonly stored: bigint
  /** Of the bytes before it. */
  readonly computed: bigint
}

/** Entries in a batch at most. */
export const BATCH_CAPACITY = 1024

const NO_BYTES = new Uint8Array(0)

/**
 * Entries, in the order of the file, all of one database; each a column of the arrays. Offsets are bytes from the start
 * of the part:
 *
 *     ^offset  expiry, idle time, frequency, metadata (each if there is one)
 *              type (one byte)
 *     ^key     encoded key
 *     ^value   encoded value
 *     ^end
 *
 * Valid until the next call of `RdbWalk.next`.
 */
export class EntryBatch {
  count = 0
  db = 0
  readonly type: Uint8Array
  readonly offset: Float64Array
  readonly key: Float64Array
  readonly value: Float64Array
  readonly end: Float64Array
  /** Milliseconds since 1970, or `NO_EXPIRY`. */
  readonly expireAtMs: BigInt64Array
  /** The same as two words each: -1, -1 for `NO_EXPIRY`. */
  readonly expiryWords: Int32Array
  /** Seconds since the last use when the file was written, or -1. Servers keep 24 bits; beyond 2^53 it is rounded. */
  readonly idle: Float64Array
  /** Logarithmic count of uses, 0 to 255, or -1. */
  readonly frequency: Int16Array
  /** Where the encoded keys are: from `bytes[key - base]` on. Values are there only as far as by chance. */
  bytes: Uint8Array = NO_BYTES
  base = 0

  constructor(capacity: number) {
    this.type = new Uint8Array(capacity)
    this.offset = new Float64Array(capacity)
    this.key = new Float64Array(capacity)
    this.value = new Float64Array(capacity)
    this.end = new Float64Array(capacity)
    this.expireAtMs = new BigInt64Array(capacity)
    this.expiryWords = new Int32Array(this.expireAtMs.buffer)
    this.idle = new Float64Array(capacity)
    this.frequency = new Int16Array(capacity)
  }

  /**
   * The key of an entry, decoded; a view where it can be one. Undefined for one that takes more than 64 KiB in the file
   * and was cut by the end of a window, when values were not asked for.
   *
   * @throws FormatError `rdb.lzf` when it cannot be decompressed
   */
  keyBytes(entry: number): Uint8Array | undefined {
    const at = this.key[entry] - this.base
    const end = this.value[entry] - this.base
    if (at < 0 || end > this.bytes.length) return undefined
    return decodeString(this.bytes, at, end, this.base)
  }
}
