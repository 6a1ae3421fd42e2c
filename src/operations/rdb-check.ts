import { FormatError } from '../bytes/errors.ts'
import { escapeBytes } from '../bytes/escape.ts'
import { SEED } from '../bytes/seed.ts'
import { type Entry, EntryReader } from '../rdb/entries.ts'
import type { RdbEvent } from '../rdb/events.ts'
import type { Magic } from '../rdb/format.ts'
import { Sieve } from '../rdb/sieve.ts'
import { decodeString, LZF } from '../rdb/strings.ts'
import { loadsType, SERVER_FACTS, serversIn } from '../servers/servers.ts'
import { DuplicateKeys } from './duplicate-keys.ts'
import { FunctionCheck } from './function-check.ts'
import type { Judgement } from './judgement.ts'
import type { LogServer } from './log-server.ts'
import { RdbSupport } from './rdb-support.ts'
import { ValueCheck, type ValueFault } from './value-check.ts'

/** Bytes of a key that a message shows. */
const MAX_KEY = 60
const STRING_VALUE = 0
const MODULE_VALUE = 7
/** Elements with more bytes are not looked at (`ReadOptions.most`): they are told apart by nothing but their size. */
const MOST_BYTES = 4 << 20

/**
 * Checks what an RDB holds, down to the elements of its values, against the server that is to load it. Of plain strings
 * the walk has seen all that there is to see, unless they are compressed.
 */
export class RdbCheck {
  keys = 0
  readonly #server: LogServer
  readonly #judgement: Judgement
  readonly #support: RdbSupport
  #header: { readonly magic: Magic; readonly version: number } | undefined

  readonly #values = new ValueCheck((fault, refusing) => this.#fault(fault, refusing))
  readonly #reader = new EntryReader(
    {
      entry: entry => this.#entry(entry),
      damaged: (error, entry) => this.#damaged(error, entry),
      odd: (code, offset, message) => this.#values.odd(code, offset, message),
    },
    { most: MOST_BYTES },
  )
  #sieve: Sieve | undefined
  /** Types below 32 that the server loads without a word, as a set of bits; undefined when that is to be found out. */
  #loaded: number | undefined
  readonly #functions = new FunctionCheck()
  readonly #duplicates = new DuplicateKeys()
  /** Whose value is being decoded. */
  #decoding: Entry | undefined
  /** Where the encoded values stand that come with the event: that at offset `n` in `bytes[n - base]`. */
  #bytes: Uint8Array = new Uint8Array(0)
  #base = 0
  /** Offsets of entries that servers pass over, since their values have no elements. */
  readonly #empty: number[] = []

  constructor(server: LogServer, judgement: Judgement) {
    this.#server = server
    this.#judgement = judgement
    this.#support = new RdbSupport(server, judgement)
  }

  event(event: RdbEvent): void {
    switch (event.kind) {
      case 'header':
        this.#header = event
        this.#support.event(event)
        this.#loaded = undefined
        this.#reader.event(event)
        return
      case 'aux':
        this.#support.event(event)
        this.#loaded = undefined
        return
      case 'piece':
        if (event.first) {
          this.#bytes = event.bytes
          this.#base = event.entries.value[0] - event.from
        }
        this.#reader.event(event)
        return
      case 'entries':
        this.#batch(event)
        return
      case 'function':
        if (event.bytes !== undefined) this.#function(event.bytes, event.offset)
        return
      case 'template':
        this.#support.event(event)
        this.#reader.event(event)
        return
      default:
        this.#support.event(event)
    }
  }

  /** What can be said of the file as a whole, once all of it was read. */
  end(): void {
    for (const { start, db, offset } of this.#duplicates.found())
      this.#refuse(
        'rdb.key.duplicate',
        offset,
        `key "${escapeBytes(start, MAX_KEY)}" is there twice in database ${db}`,
      )
    this.#support.end()
  }

  #batch(event: RdbEvent & { kind: 'entries' }): void {
    const { entries, inPieces } = event
    this.keys += entries.count
    if (inPieces) {
      this.#closely(event)
      this.#duplicates.add(entries, this.#empty)
    } else {
      this.#sieve ??= new Sieve(SEED)
      this.#loaded ??= this.#loadedTypes()
      const { closely, prints } = this.#sieve
      this.#bytes = entries.bytes
      this.#base = entries.base
      this.#sieve.look(entries, this.#loaded)
      if (closely.count > 0) this.#closely({ ...event, entries: closely })
      this.#duplicates.add(entries, this.#empty, prints)
    }
    this.#empty.length = 0
  }

  #closely(event: RdbEvent & { kind: 'entries' }): void {
    this.#support.types(event.entries)
    this.#reader.event(event)
  }

  #loadedTypes(): number {
    const magic = this.#header?.magic ?? 'REDIS'
    let bits = 0
    for (let type = 0; type < 32; type++)
      if (type < MODULE_VALUE || loadsType(this.#server.name, magic, type)) bits |= 1 << type
    return bits & ~(1 << MODULE_VALUE)
  }

  /** Who takes the elements of the value. */
  #entry(entry: Entry): ValueCheck | undefined {
    const { type } = entry
    if (type === STRING_VALUE && this.#bytes[entry.valueOffset - this.#base] !== LZF) return undefined
    if (type === MODULE_VALUE) return undefined
    this.#decoding = entry
    this.#values.start(entry.magic, type, entry.offset)
    return this.#values
  }

  #damaged({ code, offset, message }: FormatError, entry: Entry | undefined): void {
    if (entry === undefined) this.#refuse(code, offset, message)
    else if (this.#values.open) this.#values.broken(code, offset, message)
    else if (code === 'rdb.key.size')
      this.#judgement.warn(code, offset, `${message}: its value was not checked`)
    else this.#refuse(code, offset, `the key of an entry: ${message}`)
  }

  /** Something is wrong with the value that has just ended. */
  #fault({ code, offset, message }: ValueFault, refusing: number): void {
    const entry = this.#decoding
    if (entry === undefined) return
    if (code === 'rdb.value.empty') this.#empty.push(entry.offset)
    const { bytes, at, end } = entry.key
    const what = `key "${escapeBytes(bytes.subarray(at, end), MAX_KEY)}": ${message}`
    const server = this.#server.name
    if (refusing === 0) {
      this.#judgement.warn(code, offset, what)
    } else if ((refusing & SERVER_FACTS[server].bit) !== 0) {
      this.#refuse(code, offset, what)
    } else {
      const others = serversIn(refusing)
      this.#judgement.blame(
        'damaged',
        code,
        offset,
        `${what}: ${server} loads it all the same; ${others.join(', ')} ${others.length === 1 ? 'refuses' : 'refuse'} it, as does "sanitize-dump-payload yes"`,
      )
    }
  }

  #function(record: Uint8Array, offset: number): void {
    try {
      const fault = this.#functions.add(decodeString(record, 1, record.length, offset))
      if (fault !== undefined) this.#refuse(fault.code, offset, fault.message)
    } catch (error) {
      if (!(error instanceof FormatError)) throw error
      this.#refuse(error.code, error.offset, `a library of functions: ${error.message}`)
    }
  }

  #refuse(code: string, offset: number, what: string): void {
    this.#judgement.refuse(code, offset, 0, `${what}: ${this.#server.name} does not load it`)
  }
}
