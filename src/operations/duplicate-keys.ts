import { FormatError } from '../bytes/errors.ts'
import { BATCH_CAPACITY, type EntryBatch } from '../rdb/events.ts'
import { FingerprintTable, fingerprint } from './fingerprints.ts'

/** Keys that are looked at: 32 MiB of fingerprints. */
const MOST_KEYS = 1 << 22
/** Fingerprints that are kept in one piece. */
const PIECE = 1 << 14
/** Of as many keys as are looked at, one in eight finds its bit set by another one. */
const BITS = 1 << 25
/** Bits by which suspects are told from most others: so many stay in the processor's first cache. */
const SIEVE_BITS = 1 << 18
/** Keys that are suspected at most: twice as many as come to be by chance. */
const MOST_SUSPECTS = 1 << 19
/** Bytes of a key that are kept, to be shown. */
const KEPT = 61

const NO_BYTES = new Uint8Array(0)

/** A key that was there before, in the same database. */
export interface DuplicateKey {
  readonly db: number
  /** Of its entry, in the part. */
  readonly offset: number
  /** Its first bytes. */
  readonly start: Uint8Array
}

/**
 * Finds keys that an RDB has twice in a database, by their fingerprints. Beyond four million keys it does not look.
 *
 * A table of all fingerprints would be too large for the processor's cache, and looked at all over. So a key only sets
 * one of many bits, and its fingerprint goes to the end of a list. A key whose bit was set already is suspected: it is
 * kept, and in the end all fingerprints are held against those of the suspects, which are few.
 */
export class DuplicateKeys {
  #count = 0
  readonly #prints = new Int32Array(2 * BATCH_CAPACITY)
  #bits: Int32Array | undefined
  readonly #pieces: Int32Array[] = []

  #suspects = 0
  /** For each: number of the key, offset of its entry, database, end of what is kept of it. */
  #columns = new Float64Array(4 * 64)
  #kept = NO_BYTES
  #keptSize = 0

  /**
   * Takes the keys of a batch.
   *
   * @param passedOver offsets, rising, of those entries that are no keys to servers
   * @param prints fingerprints of the keys, two words each, with the database as salt; zeros where they are to be made
   *   yet. Written to.
   */
  add(entries: EntryBatch, passedOver: readonly number[], prints: Int32Array = this.#prints.fill(0)): void {
    const count = Math.min(entries.count, MOST_KEYS - this.#count)
    for (let i = 0; i < count; i++)
      if ((prints[2 * i] | prints[2 * i + 1]) === 0) this.#print(entries, i, prints)
    for (let i = 0, passed = 0; passed < passedOver.length && i < count; i++) {
      if (passedOver[passed] !== entries.offset[i]) continue
      prints.fill(0, 2 * i, 2 * i + 2)
      passed++
    }
    this.#note(entries, prints, count)
    this.#keep(prints, count)
  }

  /** Sets the bits of keys, and remembers those whose bit was set already. */
  #note(entries: EntryBatch, prints: Int32Array, count: number): void {
    this.#bits ??= new Int32Array(BITS / 32)
    const bits = this.#bits
    for (let i = 0; i < count; i++) {
      const first = prints[2 * i]
      if ((first | prints[2 * i + 1]) === 0) continue
      const word = (first >>> 5) & (BITS / 32 - 1)
      const set = bits[word]
      const bit = 1 << (first & 31)
      if ((set & bit) !== 0) this.#suspect(entries, i)
      else bits[word] = set | bit
    }
  }

  /** Adds to the list of all fingerprints. */
  #keep(prints: Int32Array, count: number): void {
    for (let from = 0; from < count; ) {
      const place = this.#count % PIECE
      if (place === 0) this.#pieces.push(new Int32Array(2 * PIECE))
      const taken = Math.min(count - from, PIECE - place)
      this.#pieces[this.#pieces.length - 1].set(prints.subarray(2 * from, 2 * (from + taken)), 2 * place)
      this.#count += taken
      from += taken
    }
  }

  /** Gives what was found; once, and after all keys. */
  *found(): Generator<DuplicateKey> {
    const table = new FingerprintTable()
    // What the table does not have is mostly known from less.
    const sieve = new Int32Array(SIEVE_BITS / 32)
    for (let i = 0; i < this.#suspects; i++) {
      const number = this.#columns[4 * i]
      const piece = this.#pieces[Math.floor(number / PIECE)]
      const place = 2 * (number % PIECE)
      table.add(piece, place)
      sieve[(piece[place] >>> 5) & (SIEVE_BITS / 32 - 1)] |= 1 << (piece[place] & 31)
    }
    /** Slots whose fingerprint was met. */
    const met = new Uint8Array(table.size)
    let suspect = 0
    for (let from = 0; from < this.#count && suspect < this.#suspects; from += PIECE) {
      const again = metAgain(
        this.#pieces[from / PIECE],
        Math.min(PIECE, this.#count - from),
        sieve,
        table,
        met,
      )
      // All that is met again is suspected.
      for (const i of again) {
        while (suspect < this.#suspects && this.#columns[4 * suspect] < from + i) suspect++
        if (this.#columns[4 * suspect] === from + i) yield this.#duplicate(suspect)
      }
    }
  }

  /** Puts the fingerprint of a key into its place, unless the key cannot be read. */
  #print(entries: EntryBatch, i: number, prints: Int32Array): void {
    const { bytes, base, db } = entries
    const at = entries.key[i] - base
    const end = entries.value[i] - base
    const first = bytes[at]
    // Plain text, as nearly all are.
    if (first < 0x80 && at >= 0 && end <= bytes.length) {
      fingerprint(bytes, at + (first < 0x40 ? 1 : 2), end, db, prints, 2 * i)
      return
    }
    const key = keyOf(entries, i)
    if (key !== undefined) fingerprint(key, 0, key.length, db, prints, 2 * i)
  }

  #suspect(entries: EntryBatch, i: number): void {
    const key = keyOf(entries, i)?.subarray(0, KEPT)
    if (key === undefined || this.#suspects === MOST_SUSPECTS) return
    const row = 4 * this.#suspects++
    if (row === this.#columns.length) {
      const columns = new Float64Array(2 * row)
      columns.set(this.#columns)
      this.#columns = columns
    }
    if (this.#keptSize + key.length > this.#kept.length) {
      const kept = new Uint8Array(2 * this.#kept.length + 64 * KEPT)
      kept.set(this.#kept)
      this.#kept = kept
    }
    this.#kept.set(key, this.#keptSize)
    this.#keptSize += key.length
    this.#columns.set([this.#count + i, entries.offset[i], entries.db, this.#keptSize], row)
  }

  #duplicate(suspect: number): DuplicateKey {
    const row = 4 * suspect
    const [, offset, db, end] = this.#columns.subarray(row, row + 4)
    const from = suspect === 0 ? 0 : this.#columns[row - 1]
    return { db, offset, start: this.#kept.subarray(from, end) }
  }
}

/** Numbers of the fingerprints in a piece that are in the table and were met before; notes those that are met. */
function metAgain(
  piece: Int32Array,
  count: number,
  sieve: Int32Array,
  table: FingerprintTable,
  met: Uint8Array,
): number[] {
  const again: number[] = []
  for (let i = 0; i < count; i++) {
    const first = piece[2 * i]
    if ((sieve[(first >>> 5) & (SIEVE_BITS / 32 - 1)] & (1 << (first & 31))) === 0) continue
    const slot = table.slotOf(piece, 2 * i)
    if (slot < 0) continue
    if (met[slot] === 1) again.push(i)
    met[slot] = 1
  }
  return again
}

function keyOf(entries: EntryBatch, i: number): Uint8Array | undefined {
  try {
    return entries.keyBytes(i)
  } catch (error) {
    if (error instanceof FormatError) return undefined
    throw error
  }
}
