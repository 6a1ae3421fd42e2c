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
  /** To be kept as it is. */
  | (Span & {
      readonly kind: 'function' | 'function-pre-release' | 'module-aux' | 'slot-import' | 'template'
    })
  | { readonly kind: 'entries'; readonly entries: EntryBatch }
  /** The end mark. Files of versions before 5 have no checksum. */
  | (Span & { readonly kind: 'end'; readonly checksum: Checksum | undefined })

export interface Checksum {
  readonly offset: number
  /** As the file has it; 0 where it was switched off (`rdbchecksum no`). */
  readonly stored: bigint
  /** Of the bytes before it. */
  readonly computed: bigint
}

/** No expiry. Servers cannot tell it from the time -1 either. */
export const NO_EXPIRY = -1n

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
  readonly type = new Uint8Array(BATCH_CAPACITY)
  readonly offset = new Float64Array(BATCH_CAPACITY)
  readonly key = new Float64Array(BATCH_CAPACITY)
  readonly value = new Float64Array(BATCH_CAPACITY)
  readonly end = new Float64Array(BATCH_CAPACITY)
  /** Milliseconds since 1970, or {@link NO_EXPIRY}. */
  readonly expireAtMs = new BigInt64Array(BATCH_CAPACITY)
  /** Seconds since the last use when the file was written, or -1. Servers keep 24 bits; beyond 2^53 it is rounded. */
  readonly idle = new Float64Array(BATCH_CAPACITY)
  /** Logarithmic count of uses, 0 to 255, or -1. */
  readonly frequency = new Int16Array(BATCH_CAPACITY)
  /** Where the encoded keys are: from `bytes[key - base]` on. Values are there only as far as by chance. */
  bytes: Uint8Array = NO_BYTES
  base = 0

  /**
   * The key of an entry, decoded; a view where it can be one. Undefined for one that takes more than 64 KiB in the file
   * and was cut by the end of a window.
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
