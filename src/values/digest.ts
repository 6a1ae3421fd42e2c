import type { ServerName } from '../servers/servers.ts'
import { IgnoredElements, type Kind, NO_EXPIRY } from './elements.ts'
import { scoreText17, scoreTextShortest } from './score.ts'
import { Sha1Registers } from './sha1.ts'
import type { Slice } from './slice.ts'

/*
 * What `DEBUG DIGEST` prints. H is SHA-1; `+` is exclusive or, so that order does not count; `d * x` is H(d + H(x)),
 * so that it does:
 *
 *     keyspace    for each database that has keys, by number:  d = d * number, then  + H(key digest) of each
 *     key         0 * key * type  value  + H("!!expire!!") if it expires
 *     string      * text
 *     list        * item …
 *     stream      (* "ms.seq" (* name * value) …) …
 *     set         + H(member) …
 *     zset        + H(0 * member * score as text) …
 *     hash        + H(0 * name * value + H("!!hexpire!!") if it expires, redis 8.0) …
 *
 * Numbers have four bytes, the high one first. Of a stream only entries count; functions do not.
 */

/** As objects are numbered in servers; what is missing has no digest. */
const TYPES: Partial<Record<Kind, number>> = { string: 0, list: 1, set: 2, zset: 3, hash: 4, stream: 6 }
/** Servers know no empty ones. */
const NEVER_EMPTY: ReadonlySet<Kind> = new Set(['list', 'set', 'zset', 'hash'])

/** Registers of {@link Sha1Registers}. */
const DATABASE = 0
const KEY = 1
const ELEMENT = 2
const SIGN = 3
const WHOLE = 4
const NOTHING = new Uint8Array(20)

const EXPIRE = Buffer.from('!!expire!!')
const FIELD_EXPIRE = Buffer.from('!!hexpire!!')
const NUMBERS = Array.from({ length: 7 }, (_, number) => fourBytes(number))

/** Members, and bytes of the longest one, that a sorted set has in a listpack at most (`zset-max-listpack-…`). */
const MOST_PACKED_MEMBERS = 128
const LONGEST_PACKED_MEMBER = 64

/** Keys and, of them, those that expire. */
export interface KeyCount {
  keys: number
  expires: number
}

/** Keys of a database, and all of their digests in 20 bytes. */
export interface DatabaseDigest extends Readonly<KeyCount> {
  readonly db: number
  readonly digest: Uint8Array
}

export interface DigestOptions {
  /** Whose digest: scores are printed in two ways, and fields that expire count with redis 8.0 only. */
  readonly server: ServerName
}

/**
 * Takes keys with their values, in any order:
 *
 *     key … begin … end   key … begin … end   hex
 *
 * A key whose value got no `end` does not count.
 */
export class KeyspaceDigest extends IgnoredElements {
  /** Whether the last value came to its end and had no elements, so that its key does not count. */
  empty = false
  readonly #scoreText: (score: number) => string
  readonly #marksFields: boolean
  readonly #registers = new Sha1Registers()
  readonly #databases = new Map<number, Uint8Array>()
  readonly #counts = new Map<number, KeyCount>()
  readonly #ascii = Buffer.alloc(64)

  #db = 0
  #kind: Kind = 'string'
  #expires = false
  /** Whether the value has not come to its end. */
  #open = false
  #elements = 0
  #inStream = false
  /** Whether it is a sorted set that will be packed, as far as is known. */
  #packed = false
  /** Whether there is anything in the register {@link SIGN}. */
  #signs = false

  constructor(options: DigestOptions) {
    super()
    this.#scoreText = options.server === 'redis-7.0' ? scoreText17 : scoreTextShortest
    this.#marksFields = options.server === 'redis-8.0'
  }

  /** Whether values of this kind have a digest: those of modules have one of their own. */
  static knows(kind: Kind): boolean {
    return TYPES[kind] !== undefined
  }

  /**
   * A key; its value follows.
   *
   * @param kind one that it {@link knows}
   * @param expireAtMs milliseconds since 1970, or `NO_EXPIRY`
   * @param unpacked that a sorted set is not in a listpack or ziplist yet: servers pack a small one when they load it, and
   *   then -0 loses its sign
   */
  key(db: number, key: Slice, kind: Kind, expireAtMs: bigint, unpacked = false): void {
    const type = TYPES[kind]
    if (type === undefined) throw new RangeError(`values of kind ${kind} have no digest`)
    if (db !== this.#db) this.#select(db)
    const registers = this.#registers
    // A value that could not be read left something.
    if (this.#open) registers.clear(KEY)
    this.#open = true
    this.empty = false
    if (this.#signs) registers.clear(SIGN)
    this.#signs = false
    registers.mix(KEY, key.bytes, key.at, key.end)
    registers.mix(KEY, NUMBERS[type], 0, 4)
    this.#kind = kind
    this.#expires = expireAtMs !== NO_EXPIRY
    this.#elements = 0
    this.#inStream = kind === 'stream'
    this.#packed = unpacked
  }

  override string(value: Slice): void {
    this.#mix(value)
  }

  override item(value: Slice): void {
    this.#elements++
    this.#mix(value)
  }

  override member(value: Slice): void {
    this.#elements++
    this.#registers.add(KEY, value.bytes, value.at, value.end)
  }

  override scored(member: Slice, score: number): void {
    this.#elements++
    if (member.length > LONGEST_PACKED_MEMBER) this.#packed = false
    const text = this.#scoreText(score)
    // Both ways until the size of the set is known: what changes is kept aside.
    if (this.#packed && text === '-0') {
      this.#signs = true
      this.#scored(SIGN, member, text)
      this.#scored(SIGN, member, '0')
      this.#scored(KEY, member, '0')
    } else this.#scored(KEY, member, text)
  }

  #scored(register: number, member: Slice, text: string): void {
    const registers = this.#registers
    registers.mix(ELEMENT, member.bytes, member.at, member.end)
    const size = this.#ascii.write(text, 'latin1')
    registers.mix(ELEMENT, this.#ascii, 0, size)
    registers.addRegister(register, ELEMENT)
  }

  override field(name: Slice, value: Slice, expireAtMs: bigint): void {
    if (this.#inStream) {
      this.#mix(name)
      this.#mix(value)
      return
    }
    this.#elements++
    const registers = this.#registers
    registers.mix(ELEMENT, name.bytes, name.at, name.end)
    registers.mix(ELEMENT, value.bytes, value.at, value.end)
    if (this.#marksFields && expireAtMs !== NO_EXPIRY)
      registers.add(ELEMENT, FIELD_EXPIRE, 0, FIELD_EXPIRE.length)
    registers.addRegister(KEY, ELEMENT)
  }

  override entry(ms: bigint, seq: bigint, _fields: number): void {
    const size = this.#ascii.write(`${ms}.${seq}`, 'latin1')
    this.#registers.mix(KEY, this.#ascii, 0, size)
  }

  override end(): void {
    const registers = this.#registers
    this.#open = false
    if (this.#elements === 0 && NEVER_EMPTY.has(this.#kind)) {
      this.empty = true
      registers.clear(KEY)
      return
    }
    if (!(this.#packed && this.#elements <= MOST_PACKED_MEMBERS)) this.#keepSigns()
    if (this.#expires) registers.add(KEY, EXPIRE, 0, EXPIRE.length)
    registers.addRegister(DATABASE, KEY)
    const count = this.#counts.get(this.#db)
    if (count === undefined) this.#counts.set(this.#db, { keys: 1, expires: this.#expires ? 1 : 0 })
    else {
      count.keys++
      if (this.#expires) count.expires++
    }
  }

  /** Of each database the keys so far: what {@link add} takes. */
  get soFar(): readonly DatabaseDigest[] {
    this.#select(this.#db)
    return [...this.#counts].map(([db, counts]) => ({
      db,
      ...counts,
      digest: this.#databases.get(db) as Uint8Array,
    }))
  }

  /** Adds keys that somebody else has digested; none of them may be among those that are here. */
  add(databases: readonly DatabaseDigest[]): void {
    for (const { db, keys, expires, digest } of databases) {
      this.#select(db)
      addTo(this.#registers.bytes(DATABASE), digest)
      const count = this.#counts.get(db)
      this.#counts.set(db, { keys: keys + (count?.keys ?? 0), expires: expires + (count?.expires ?? 0) })
    }
  }

  /** Keys by database, without those whose values did not count; in no order. */
  get counts(): ReadonlyMap<number, Readonly<KeyCount>> {
    return this.#counts
  }

  /** The digest of the keys so far: 40 digits. */
  hex(): string {
    const registers = this.#registers
    registers.clear(WHOLE)
    this.#select(this.#db)
    for (const db of [...this.#counts.keys()].sort((a, b) => a - b)) {
      registers.mix(WHOLE, fourBytes(db), 0, 4)
      addTo(registers.bytes(WHOLE), this.#databases.get(db) as Uint8Array)
    }
    return Buffer.from(registers.bytes(WHOLE)).toString('hex')
  }

  #mix(text: Slice): void {
    this.#registers.mix(KEY, text.bytes, text.at, text.end)
  }

  #keepSigns(): void {
    if (!this.#signs) return
    addTo(this.#registers.bytes(KEY), this.#registers.bytes(SIGN))
  }

  /** Keeps what the selected database has, and goes on with another one, or with the same. */
  #select(db: number): void {
    const register = this.#registers.bytes(DATABASE)
    this.#databases.set(this.#db, register.slice())
    register.set(this.#databases.get(db) ?? NOTHING)
    this.#db = db
  }
}

function fourBytes(number: number): Uint8Array {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(number)
  return bytes
}

function addTo(target: Uint8Array, bytes: Uint8Array): void {
  for (let i = 0; i < target.length; i++) target[i] ^= bytes[i]
}
