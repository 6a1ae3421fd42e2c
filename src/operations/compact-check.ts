import { RebuildReader } from '../aof/rebuild-reader.ts'
import { type PartEnd, type PartVisitor, scanPart } from '../aof/scan.ts'
import { FormatError, JobError } from '../bytes/errors.ts'
import { quoteBytes } from '../bytes/escape.ts'
import type { KeptSource, Source } from '../bytes/source.ts'
import { type Entry, EntryReader } from '../rdb/entries.ts'
import type { EntryBatch, RdbEvent } from '../rdb/events.ts'
import { librarySource } from '../rdb/functions.ts'
import type { LongRecord } from '../resp/long-record.ts'
import type { Batch } from '../resp/scanner.ts'
import { type ElementSink, type Kind, NO_EXPIRY } from '../values/elements.ts'
import { type FingerprintWords, KeyspaceFingerprint } from '../values/fingerprint.ts'
import { Slice } from '../values/slice.ts'
import { SourceBytes } from './source-bytes.ts'

/*
 * A compacted log is read back before it takes the place of anything:
 *
 * 1. Its keys must be those that were written, in that order: name, database, kind and expiry of each. So none is
 *    missing, and none is there twice.
 * 2. A value that was copied must be, byte for byte, what stands in the source.
 * 3. All other values are decoded, and what comes out goes into a fingerprint, with functions, data of modules and
 *    commands that were copied. It must be that of what whoever wrote was told to write.
 * 4. Checksum and framing must be right, and so many keys as are announced; nothing may follow.
 *
 * Not compared is for whom an RDB is (its version and AUX fields), and when keys were used.
 */

/** Where an encoded value stands that was copied. */
export interface CopiedValue {
  readonly source: KeptSource
  readonly offset: number
  readonly length: number
  /** Of the RDB. */
  readonly type: number
  /** Whether it is the bytes of a string, which are not encoded there: before them stands their length. */
  readonly text?: boolean
}

export interface WrittenKey {
  readonly db: number
  readonly key: Slice
  readonly kind: Kind
  /** Milliseconds since 1970, or `NO_EXPIRY`. */
  readonly expireAtMs: bigint
  /** Undefined: its elements were written, and are in the fingerprint. */
  readonly copied: CopiedValue | undefined
}

/** The keys, in the order in which they were written. */
export interface WrittenKeys {
  /** The next one, void after the next call; undefined: there are no more. */
  next(): WrittenKey | undefined
}

/** The fingerprint when so many keys had been written, copied ones included. */
export interface Checkpoint {
  readonly keys: number
  readonly words: FingerprintWords
}

export interface WrittenOutput {
  readonly keys: WrittenKeys
  /**
   * Of all that was written but keys that were copied: of keys and elements (of commands: what `RebuildableElements`
   * leaves of them), libraries, and as unkeyed, in their order, records of module data with their opcode, annotations,
   * and commands that were copied, each from its header to its end.
   */
  readonly fingerprint: KeyspaceFingerprint | FingerprintWords
  /** Under which it was made. Default: that of this thread. */
  readonly secret?: ArrayLike<number> | undefined
  /** What the fingerprint was before, by rising number of keys: so that a difference can be placed. */
  readonly checkpoints?: readonly Checkpoint[] | undefined
  /** Databases that there may be. */
  readonly databases: number
  /** Bytes of the output; what follows is not looked at. Default: all. */
  readonly size?: number | undefined
  /** Offset from which on there are only commands that were copied. Default: there are none. */
  readonly copiedCommands?: number | undefined
}

export interface CheckedOutput {
  readonly keys: number
  /** Keys whose values were compared with those that they were copied from. */
  readonly copied: number
  readonly bytes: number
}

const TOO_LONG = 'a record that is longer than any that is written'
/** Larger buffers Node.js 20 does not have. */
const LARGEST_RECORD = 0xffff_ffff
/** Codes of what is odd about streams. */
const STREAM_CODES = 'rdb.stream.'
/** Bytes of a key that a message shows. */
const SHOWN = 60

/**
 * Reads an output back, once, and compares it with what was written. Takes the memory of its largest element, or of its
 * longest command.
 *
 * @param source of the output, from its beginning
 * @param progress is told the offset
 * @throws JobError `compact.verify` with the offset, and the key where that is known, when it is not what was written
 */
export async function checkOutput(
  source: KeptSource,
  written: WrittenOutput,
  progress?: (offset: number) => void,
): Promise<CheckedOutput> {
  const size = written.size ?? source.size ?? 0
  const check = new OutputCheck(source, written, progress)
  const end = await scanPart(new Beginning(source, size), check, {
    databases: written.databases,
    values: true,
  })
  check.finish(end, size)
  return { keys: check.keys, copied: check.copied, bytes: size }
}

class OutputCheck implements PartVisitor {
  keys = 0
  copied = 0
  readonly #source: KeptSource
  readonly #written: WrittenOutput
  readonly #progress: ((offset: number) => void) | undefined
  readonly #fingerprint: KeyspaceFingerprint
  readonly #entries: EntryReader
  readonly #rebuilt: RebuildReader
  readonly #library = new Slice()
  readonly #record = new Slice()
  readonly #sources = new Map<KeptSource, SourceBytes>()
  readonly #copiedFrom: number
  /** Whether it begins with an RDB. */
  #isRdb = false

  /** What was said about the database that is being read, and what it has so far. */
  #announced: { readonly keys: number; readonly expires: number } | undefined
  #keysBefore = 0
  #expires = 0

  /** The key at hand, and the offset of its entry or first command. */
  #key: WrittenKey | undefined
  #offset = 0
  /** Of the batch at hand, the entry that comes next; undefined while a value comes in pieces. */
  #batch: EntryBatch | undefined
  #next = 0
  /** Bytes of the value, which comes in pieces and was copied, that were compared. */
  #compared = 0
  /** What stands in the value before what was copied. */
  #head: Uint8Array = NO_HEAD
  /** When the key of commands expires. */
  #expireAtMs = NO_EXPIRY
  #checkpoint = 0
  /** Offset of the key behind the last checkpoint. */
  #checkedTo = 0

  constructor(source: KeptSource, written: WrittenOutput, progress: ((offset: number) => void) | undefined) {
    this.#source = source
    this.#written = written
    this.#progress = progress
    this.#copiedFrom = written.copiedCommands ?? Number.POSITIVE_INFINITY
    this.#fingerprint = new KeyspaceFingerprint(written.secret)
    this.#entries = new EntryReader({
      entry: entry => this.#entry(entry),
      damaged: error => {
        throw this.#unreadable(error)
      },
      odd: (code, offset, message) => {
        // What a stream says of itself may be odd in the keyspace as well; what an encoding says of itself is not in it.
        if (!code.startsWith(STREAM_CODES)) throw this.#differs(offset, message)
      },
    })
    this.#rebuilt = new RebuildReader({
      key: (db, key, kind, offset) => this.#command(db, key, kind, offset),
      expires: atMs => {
        this.#expireAtMs = atMs
        this.#fingerprint.expires(atMs)
      },
      functions: source => this.#fingerprint.functions(source),
    })
  }

  rdb(event: RdbEvent): void {
    this.#isRdb = true
    switch (event.kind) {
      case 'entries':
        this.#batch = event.inPieces ? undefined : event.entries
        this.#next = 0
        this.#entries.event(event)
        if (event.inPieces) this.#endPieces()
        return
      case 'piece':
        this.#batch = undefined
        this.#entries.event(event)
        this.#piece(event.bytes, event.from, event.to)
        return
      case 'function':
      case 'function-pre-release':
        this.#addLibrary(event.bytes, event.offset)
        return
      case 'module-aux':
        if (event.bytes === undefined) throw this.#differs(event.offset, TOO_LONG)
        this.#fingerprint.unkeyed(this.#record.set(event.bytes))
        return
      case 'select':
        this.#endDatabase(event.offset)
        return
      case 'resize':
        this.#announced = event
        return
      case 'slot-import':
        throw this.#differs(event.offset, 'a slot that is being imported, which nobody wrote')
      case 'end':
        this.#endDatabase(event.offset)
        if (event.checksum?.stored === 0n && event.checksum.computed !== 0n)
          throw this.#differs(event.checksum.offset, 'there is no checksum')
        return
      default:
        this.#entries.event(event)
    }
  }

  records(batch: Batch): void {
    let to = 0
    while (to < batch.count && batch.offset(to) < this.#copiedFrom) to++
    if (to > 0) {
      this.#mayFollow(batch.offset(0))
      this.#formatted(() => this.#rebuilt.records(batch, 0, to))
    }
    for (let i = 0; i < batch.count; i++) {
      if (i < to && batch.argc(i) > 0) continue
      this.#fingerprint.unkeyed(this.#record.set(batch.bytes, batch.record[i], batch.record[i + 1]))
    }
  }

  async long(record: LongRecord): Promise<void> {
    const size = record.end - record.offset
    if (size > LARGEST_RECORD) throw this.#differs(record.offset, TOO_LONG)
    const bytes = new Uint8Array(size)
    await this.#source.readAt(bytes, record.offset)
    if (record.offset >= this.#copiedFrom) {
      this.#fingerprint.unkeyed(this.#record.set(bytes))
      return
    }
    this.#mayFollow(record.offset)
    this.#formatted(() => this.#rebuilt.long(record, bytes))
  }

  progress(offset: number): undefined {
    this.#progress?.(offset)
  }

  /** The output was read, as far as it could be. */
  finish({ format, error, preambleEnd, offset }: PartEnd, size: number): void {
    if (format === 'rdb+resp') this.#mayFollow(preambleEnd)
    if (error !== undefined) {
      // It says itself in which key it is.
      this.#key = undefined
      throw this.#unreadable(error)
    }
    if (offset !== size) throw this.#differs(offset, `it ends, and there are ${size} bytes`)
    this.#formatted(() => this.#rebuilt.finish())
    this.#endKey()
    this.#key = undefined
    const missing = this.#written.keys.next()
    if (missing !== undefined) throw this.#differs(offset, `the key ${shown(missing.key)} is missing`)
    this.#compareAt(this.#written.fingerprint, offset)
  }

  /** What may follow an RDB are commands that were copied. */
  #mayFollow(offset: number): void {
    if (!this.#isRdb || offset >= this.#copiedFrom) return
    this.#key = undefined
    throw this.#differs(offset, 'bytes behind the end, which nobody wrote')
  }

  #formatted(read: () => void): void {
    try {
      read()
    } catch (error) {
      throw error instanceof FormatError ? this.#unreadable(error) : error
    }
  }

  #addLibrary(record: Uint8Array | undefined, offset: number): void {
    if (record === undefined) throw this.#differs(offset, TOO_LONG)
    this.#formatted(() => librarySource(record, offset, this.#library))
    this.#fingerprint.functions(this.#library)
  }

  /** Before another database, or the end: servers make room for as many keys as are announced. */
  #endDatabase(offset: number): void {
    const announced = this.#announced
    this.#announced = undefined
    const keys = this.keys - this.#keysBefore
    const expires = this.#expires
    this.#keysBefore = this.keys
    this.#expires = 0
    if (announced === undefined || (announced.keys === keys && announced.expires === expires)) return
    this.#key = undefined
    const { keys: more, expires: moreExpire } = announced
    throw this.#differs(
      offset,
      `${keys} keys end, of which ${expires} expire, where ${more} and ${moreExpire} were announced`,
    )
  }

  /** An entry of the RDB: who takes its value. */
  #entry(entry: Entry): ElementSink | undefined {
    const { db, key, kind, offset, expireAtMs } = entry
    const written = this.#nextKey(db, key, kind, offset)
    this.#checkExpiry(expireAtMs, written)
    if (expireAtMs !== NO_EXPIRY) this.#expires++
    const i = this.#next++
    const { copied } = written
    if (copied === undefined) return this.#fingerprint.key(db, key, kind, expireAtMs)
    this.copied++
    this.#head = copied.text === true ? lengthHead(copied.length) : NO_HEAD
    const type = copied.text === true ? STRING : copied.type
    if (type !== entry.type)
      throw this.#differs(offset, `the value is of type ${entry.type}, copied was one of type ${type}`)
    this.#compared = 0
    if (this.#batch !== undefined) {
      const { bytes, base, value, end } = this.#batch
      this.#compare(copied, bytes, value[i] - base, end[i] - base)
      this.#checkLength(copied)
    }
    return undefined
  }

  /** Compares the next bytes of a value that was copied. */
  #compare(copied: CopiedValue, bytes: Uint8Array, from: number, to: number): void {
    const { source, offset } = copied
    let at = this.#sources.get(source)
    if (at === undefined) {
      at = new SourceBytes(source)
      this.#sources.set(source, at)
    }
    const head = this.#head
    while (this.#compared < head.length && from < to) {
      if (bytes[from++] !== head[this.#compared++])
        throw this.#differs(this.#offset, `the string is not said to have ${copied.length} bytes`)
    }
    const place = offset + this.#compared - head.length
    this.#compared += to - from
    if (!at.equal(place, bytes, from, to))
      throw this.#differs(this.#offset, `the value is not the one at ${offset} from which it was copied`)
  }

  #checkLength({ length }: CopiedValue): void {
    if (this.#compared !== this.#head.length + length)
      throw this.#differs(this.#offset, `the value has ${this.#compared} bytes, copied were ${length}`)
  }

  #piece(bytes: Uint8Array, from: number, to: number): void {
    const copied = this.#key?.copied
    if (copied !== undefined) this.#compare(copied, bytes, from, to)
  }

  #endPieces(): void {
    const copied = this.#key?.copied
    if (copied !== undefined) this.#checkLength(copied)
  }

  /** The first command of a key: who takes its value. */
  #command(db: number, key: Slice, kind: Kind, offset: number): ElementSink {
    this.#endKey()
    const { copied } = this.#nextKey(db, key, kind, offset)
    if (copied !== undefined) throw new RangeError('a value in commands cannot be copied')
    return this.#fingerprint.key(db, key, kind, NO_EXPIRY)
  }

  /** The last key of commands is whole. */
  #endKey(): void {
    if (this.#isRdb || this.#key === undefined) return
    this.#checkExpiry(this.#expireAtMs, this.#key)
    this.#expireAtMs = NO_EXPIRY
  }

  #checkExpiry(expireAtMs: bigint, written: WrittenKey): void {
    if (expireAtMs !== written.expireAtMs)
      throw this.#differs(
        this.#offset,
        `it expires ${time(expireAtMs)}, and was written to expire ${time(written.expireAtMs)}`,
      )
  }

  /** Takes the next key that was written, which must be this one. */
  #nextKey(db: number, key: Slice, kind: Kind, offset: number): WrittenKey {
    const checkpoint = this.#written.checkpoints?.[this.#checkpoint]
    if (checkpoint?.keys === this.keys) {
      this.#compareAt(checkpoint.words, offset)
      this.#checkpoint++
      this.#checkedTo = offset
    }
    this.#key = undefined
    this.#offset = offset
    const written = this.#written.keys.next()
    if (written === undefined) throw this.#differs(offset, `the key ${shown(key)}, which nobody wrote`)
    if (!written.key.equals(key))
      throw this.#differs(offset, `the key ${shown(key)} stands where ${shown(written.key)} was written`)
    this.#key = written
    this.keys++
    if (written.db !== db)
      throw this.#differs(offset, `it is in database ${db}, and was written into ${written.db}`)
    if (written.kind !== kind)
      throw this.#differs(offset, `it is a ${kind}, and was written as a ${written.kind}`)
    return written
  }

  #compareAt(expected: KeyspaceFingerprint | FingerprintWords, offset: number): void {
    if (this.#fingerprint.equals(expected)) return
    this.#key = undefined
    const from = this.#checkedTo
    const count = this.keys - (this.#written.checkpoints?.[this.#checkpoint - 1]?.keys ?? 0)
    throw this.#differs(
      from,
      `what stands from there to ${offset} (${count} keys, functions and data of modules) is not what was written`,
    )
  }

  #unreadable({ offset, message }: FormatError): JobError {
    return this.#differs(offset, message)
  }

  #differs(offset: number, what: string): JobError {
    const key = this.#key === undefined ? '' : ` (key ${shown(this.#key.key)})`
    return new JobError('compact.verify', `the output is not what was written: at ${offset}, ${what}${key}`)
  }
}

const STRING = 0
const NO_HEAD = new Uint8Array(0)

/** The length of a string as it stands before its bytes, of those that are not short. */
function lengthHead(length: number): Uint8Array {
  const head = Buffer.alloc(length > 0xffff_ffff ? 9 : 5)
  head[0] = length > 0xffff_ffff ? 0x81 : 0x80
  if (length > 0xffff_ffff) head.writeBigUInt64BE(BigInt(length), 1)
  else head.writeUInt32BE(length, 1)
  return head
}

/** The beginning of a source. */
class Beginning implements Source {
  readonly name: string
  readonly size: number
  readonly seekable = false
  readonly #source: Source

  constructor(source: Source, size: number) {
    this.name = source.name
    this.size = size
    this.#source = source
  }

  #position = 0

  async read(target: Uint8Array, from: number, to: number): Promise<number> {
    const count = await this.#source.read(target, from, Math.min(to, from + this.size - this.#position))
    this.#position += count
    return count
  }

  readAt(target: Uint8Array, offset: number): Promise<number> {
    return this.#source.readAt(target.subarray(0, Math.max(0, this.size - offset)), offset)
  }

  async grow(): Promise<boolean> {
    return false
  }

  async close(): Promise<void> {}
}

function shown({ bytes, at, end }: Slice): string {
  return `${quoteBytes(bytes.subarray(at, Math.min(end, at + SHOWN)))}${end - at > SHOWN ? '…' : ''}`
}

function time(expireAtMs: bigint): string {
  return expireAtMs === NO_EXPIRY ? 'never' : `at ${expireAtMs}`
}
