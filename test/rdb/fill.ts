/**
 * Fills a real server with data that was made up by a seed: every type, in every encoding that the server can be made
 * to use, around every size and number at which an encoding changes.
 *
 * The server must be a replica that takes writes (`--replicaof 127.0.0.1 1 --replica-read-only no`): nothing expires on
 * it, and times in the past can be set. What has expired cannot be asked for, though, so the times are set by
 * {@link Filled.expire} after the values were asked for.
 */
import { generator } from '../../bench/logs.ts'
import type { ServerName } from '../../src/servers/servers.ts'
import type { Reply } from '../helpers/servers.ts'
import { type Arg, type Ask, EXPIRES_FIELDS, place } from './answers.ts'
import { bytes, checksum, len } from './build.ts'

/** Arguments of the server that is to be filled. */
export const FILLABLE = ['--replica-read-only', 'no', '--databases', '16']

export interface Filled {
  /** Sets the times of keys and of fields. */
  expire(): Promise<void>
  /** When a key expires, by its {@link place}: what was set. */
  readonly keyTimes: ReadonlyMap<string, string>
  /** When the fields of a key expire, by its place and their names as latin1: what was set. */
  readonly fieldTimes: ReadonlyMap<string, ReadonlyMap<string, string>>
}

export interface FillOptions {
  /** More of everything, and larger. */
  readonly much?: boolean
}

const MOST_ARGUMENTS = 20_000

class Filler implements Filled {
  readonly server: ServerName
  readonly much: boolean
  readonly keyTimes = new Map<string, string>()
  readonly fieldTimes = new Map<string, Map<string, string>>()
  readonly #ask: Ask
  readonly #random: () => number
  #replies: Promise<void>[] = []
  #keys = 0
  #db = 0

  constructor(ask: Ask, server: ServerName, seed: number, options: FillOptions) {
    this.#ask = ask
    this.server = server
    this.#random = generator(seed)
    this.much = options.much ?? false
  }

  /** Sends a command; an error reply fails the next {@link settle}. */
  send(...args: Arg[]): void {
    const sent = this.#ask(...args).then(reply => {
      if (reply instanceof Error)
        throw new Error(`${this.server}: ${args.join(' ').slice(0, 200)}: ${reply.message}`)
    })
    // Handled later: until then it must not count as unhandled.
    sent.catch(() => {})
    this.#replies.push(sent)
  }

  /** A command for so many arguments at a time as a call can take: an even number. */
  sendAll(name: string, key: Arg, args: readonly Arg[]): void {
    for (let from = 0; from < args.length; from += MOST_ARGUMENTS)
      this.send(name, key, ...args.slice(from, from + MOST_ARGUMENTS))
  }

  async settle(): Promise<void> {
    const replies = this.#replies
    this.#replies = []
    await Promise.all(replies)
  }

  ask(...args: Arg[]): Promise<Reply> {
    return this.#ask(...args)
  }

  select(db: number): void {
    this.#db = db
    this.send('SELECT', db)
  }

  set(name: string, value: Arg): void {
    this.send('CONFIG', 'SET', name, value)
  }

  /** A key that has not been used. */
  key(what: string): string {
    return `${what}:${this.#keys++}`
  }

  int(below: number): number {
    return Math.floor(this.#random() * below)
  }

  pick<T>(from: readonly T[]): T {
    return from[this.int(from.length)]
  }

  /** Bytes that LZF cannot shorten. */
  noise(length: number): Buffer {
    const noise = Buffer.allocUnsafe(length)
    for (let i = 0; i < length; i++) noise[i] = this.#random() * 256
    return noise
  }

  /** A text of that length: noise, the same again and again, or something between. */
  text(length: number): Buffer {
    switch (this.int(4)) {
      case 0:
        return this.noise(length)
      case 1:
        return Buffer.alloc(length, 'x')
      case 2:
        return Buffer.alloc(length, this.noise(1 + this.int(300)))
      default: {
        const text = this.noise(length)
        // Copies from near and from far, as LZF refers to them.
        for (let at = 0; at < length; at += 1 + this.int(600)) {
          const from = this.int(at + 1)
          text.copy(text, at, from, from + this.int(400))
        }
        return text
      }
    }
  }

  /** An element as they are found in collections, sometimes one that is special. */
  element(): Buffer {
    const kind = this.int(10)
    if (kind < 2) return Buffer.from(this.pick(NUMBERS))
    if (kind < 4) return Buffer.from(String(this.int(2 ** this.int(50)) - this.int(2)))
    if (kind < 5) return this.text(this.pick(SHORT_SIZES))
    return Buffer.from(`element ${this.int(1e6)}`)
  }

  /** So many elements, each another one. */
  elements(count: number): Buffer[] {
    const seen = new Set<string>()
    const elements: Buffer[] = []
    while (elements.length < count) {
      const element =
        count > 1000
          ? Buffer.from(`${elements.length % 3 === 0 ? '' : 'e'}${elements.length}`)
          : this.element()
      const name = element.toString('latin1')
      if (seen.has(name)) continue
      seen.add(name)
      elements.push(element)
    }
    return elements
  }

  score(): string {
    const kind = this.int(8)
    if (kind < 2) return this.pick(SCORES)
    if (kind < 4) return String(this.int(5))
    if (kind < 5) return String(this.int(2 ** 40) / 2 ** this.int(40))
    for (;;) {
      const score = this.noise(8).readDoubleLE()
      if (Number.isFinite(score)) return String(score)
    }
  }

  expireKey(key: string, atMs: bigint): void {
    this.keyTimes.set(place(this.#db, key), String(atMs))
  }

  expireField(key: string, field: Buffer, atMs: bigint): void {
    const at = place(this.#db, key)
    const times = this.fieldTimes.get(at) ?? new Map<string, string>()
    this.fieldTimes.set(at, times.set(field.toString('latin1'), String(atMs)))
  }

  async expire(): Promise<void> {
    const split = (at: string) => {
      const space = at.indexOf(' ')
      this.send('SELECT', at.slice(0, space))
      return Buffer.from(at.slice(space + 1), 'latin1')
    }
    for (const [at, fields] of this.fieldTimes) {
      const key = split(at)
      const byTime = new Map<string, Buffer[]>()
      for (const [field, time] of fields)
        byTime.set(time, [...(byTime.get(time) ?? []), Buffer.from(field, 'latin1')])
      for (const [time, names] of byTime) this.send('HPEXPIREAT', key, time, 'FIELDS', names.length, ...names)
    }
    for (const [at, time] of this.keyTimes) this.send('PEXPIREAT', split(at), time)
    await this.settle()
  }
}

/** Around every limit of an integer encoding, and what only looks like a number. */
export const NUMBERS: readonly string[] = [
  ...[0n, 12n, 13n, 63n, 127n, 128n, 255n, 256n, 4095n, 4096n, 32767n, 32768n, 65535n, 65536n].flatMap(both),
  ...[2n ** 23n - 1n, 2n ** 23n, 2n ** 24n, 2n ** 31n - 1n, 2n ** 31n, 2n ** 32n, 2n ** 53n].flatMap(both),
  ...[2n ** 31n + 1n, 2n ** 53n + 1n, 2n ** 63n - 2n, 2n ** 63n - 1n, 2n ** 63n].flatMap(both),
  ...[2n ** 63n + 1n, 2n ** 64n - 1n, 2n ** 64n, 10n ** 19n, 10n ** 20n, 10n ** 21n].flatMap(both),
  ...['007', '+1', '-0', '-00', '00', '-', ' 1', '1 ', '1e3', '1.0', '0x10', '1\0', '1\n', '', 'inf', 'nan'],
]

function both(number: bigint): string[] {
  // 4097 and 129 below zero are limits as well.
  return number === 0n ? ['0', '-1'] : [`${number}`, `-${number}`, `-${number + 1n}`]
}

const SHORT_SIZES = [0, 1, 11, 20, 21, 61, 62, 63, 64, 65, 127, 128, 251, 252, 253, 254, 255, 256]
const LONG_SIZES = [257, 4094, 4095, 4096, 16383, 16384]
const LONGEST_SIZES = [65535, 65536]

const SCORES = [
  ...[
    'inf',
    '-inf',
    '0',
    '-0',
    '1',
    '-1',
    '127',
    '-129',
    '4095',
    '32768',
    '2147483648',
    '1e15',
    '1e17',
    '1e21',
  ],
  ...['9007199254740993', '9223372036854775807', '-9223372036854775808', '18446744073709551616'],
  ...['0.1', '-0.3', '1e-5', '1e-7', '1.5', '3.141592653589793', '0.30000000000000004'],
  ...['5e-324', '-5e-324', '2.2250738585072014e-308', '1.7976931348623157e308', '-1.7976931348623157e308'],
]

const NOW = BigInt(Date.now())
/** Long past, just past, to come, and as far as servers go. */
const KEY_TIMES = [
  ...[1n, 0n, 999n, NOW - 3_600_000n, NOW + 3_600_000n, 2n ** 31n * 1000n, 2n ** 32n, 2n ** 32n * 1000n],
  ...[2n ** 41n, 2n ** 53n - 1n, 2n ** 53n + 1n, 2n ** 63n - 2n, 2n ** 63n - 1n],
]
/** Redis keeps 46 bits of a field's time. */
const FIELD_TIMES = [1n, 1000n, NOW - 60_000n, NOW + 3_600_000n, 2n ** 32n, 2n ** 41n, 2n ** 46n - 1n]
const FIELD_TIMES_OF_VALKEY = [...FIELD_TIMES, 2n ** 46n, 2n ** 53n + 1n, 2n ** 63n - 1n]

const COUNTS = [1, 2, 3, 10, 63, 64, 65, 127, 128, 129, 252, 255, 256]

/**
 * Fills the server, the connection's database being 0, with what the seed gives: the same each time, but for the times
 * around now.
 */
export async function fill(
  ask: Ask,
  server: ServerName,
  seed: number,
  options: FillOptions = {},
): Promise<Filled> {
  const filler = new Filler(ask, server, seed, options)
  filler.send('DEBUG', 'SET-ACTIVE-EXPIRE', 0)
  // The first command makes the connection that the others share.
  await filler.settle()
  functions(filler)
  strings(filler)
  filler.select(1)
  defaults(filler)
  collections(filler, COUNTS)
  filler.select(2)
  tables(filler)
  // Counts are written in one byte, in two, in five.
  collections(filler, [1, 2, 63, 64, 300, ...(filler.much ? [16_383, 16_384] : [2000])])
  fieldTimes(filler)
  filler.select(3)
  packed(filler)
  collections(filler, [1, 2, 64, 300, 600])
  longElements(filler)
  longListpacks(filler)
  filler.select(7)
  defaults(filler)
  fieldTimes(filler)
  lists(filler)
  filler.select(15)
  streams(filler)
  modules(filler)
  defaults(filler)
  await filler.settle()
  return filler
}

/** The servers' own thresholds. */
function defaults(filler: Filler): void {
  thresholds(filler, { hash: 512, zset: 128, set: 128, intset: 512, value: 64 })
  filler.set('list-max-listpack-size', -2)
  filler.set('list-compress-depth', 0)
  filler.set('stream-node-max-entries', 100)
  filler.set('stream-node-max-bytes', 4096)
}

/** Nothing is packed. */
function tables(filler: Filler): void {
  thresholds(filler, { hash: 0, zset: 0, set: 0, intset: 0, value: 64 })
  filler.set('list-max-listpack-size', 1)
}

/** Everything is. */
function packed(filler: Filler): void {
  const most = 1_000_000
  thresholds(filler, { hash: most, zset: most, set: most, intset: most, value: most })
  filler.set('list-max-listpack-size', 30_000)
}

function thresholds(
  filler: Filler,
  { hash, zset, set, intset, value }: Record<'hash' | 'zset' | 'set' | 'intset' | 'value', number>,
): void {
  filler.set('hash-max-listpack-entries', hash)
  filler.set('hash-max-listpack-value', value)
  filler.set('zset-max-listpack-entries', zset)
  filler.set('zset-max-listpack-value', value)
  filler.set('set-max-intset-entries', intset)
  // Sets have listpacks since Redis 7.2.
  if (filler.server === 'redis-7.0') return
  filler.set('set-max-listpack-entries', set)
  filler.set('set-max-listpack-value', value)
}

function functions(filler: Filler): void {
  const library = (name: string, code: string) =>
    filler.send(
      'FUNCTION',
      'LOAD',
      `#!lua name=${name}\nredis.register_function('${name}', function() ${code} end)`,
    )
  library('short', 'return 1')
  library('long', `return '${filler.noise(20_000).toString('hex')}'`)
}

function strings(filler: Filler): void {
  const { much } = filler
  const texts = [
    ...NUMBERS.map(number => Buffer.from(number)),
    ...[...SHORT_SIZES, ...LONG_SIZES, ...LONGEST_SIZES].flatMap(size => [
      filler.noise(size),
      Buffer.alloc(size, 'x'),
      filler.text(size),
    ]),
    ...Array.from({ length: much ? 300 : 50 }, () => filler.text(filler.int(2 ** filler.int(14)))),
  ]
  for (const text of texts) {
    filler.send('SET', filler.key('string'), text)
    // As keys each of them once: later ones of the same name replace the earlier.
    filler.send('SET', text, 'value')
  }
  filler.send('PFADD', filler.key('hyperloglog'), ...filler.elements(20))
  filler.send('SETBIT', filler.key('bits'), 100_000, 1)
  const counter = filler.key('counter')
  filler.send('INCRBY', counter, 2 ** 40)
  filler.send('APPEND', filler.key('appended'), '12')
  for (const time of KEY_TIMES) {
    const key = filler.key('expires')
    filler.send('SET', key, 'value')
    filler.expireKey(key, time)
  }
}

/** A collection of each type, of each of the sizes. */
function collections(filler: Filler, counts: readonly number[]): void {
  for (const count of counts) {
    const list = filler.key('list')
    filler.sendAll('RPUSH', list, filler.elements(count))
    filler.sendAll('SADD', filler.key('set'), filler.elements(count))
    filler.sendAll(
      'HSET',
      filler.key('hash'),
      filler.elements(count).flatMap(name => [name, filler.element()]),
    )
    filler.sendAll(
      'ZADD',
      filler.key('zset'),
      filler.elements(count).flatMap(member => [filler.score(), member]),
    )
    for (const bits of count > 1000 ? [53] : [7, 15, 16, 31, 32, 53]) {
      const numbers = Array.from({ length: count }, () => filler.int(2 ** bits) - 2 ** (bits - 1))
      filler.sendAll('SADD', filler.key('intset'), numbers)
    }
    if (count < 100) filler.expireKey(list, filler.pick(KEY_TIMES))
  }
  filler.send('SADD', filler.key('intset'), ...NUMBERS.filter(isInt64))
  filler.send('ZADD', filler.key('zset'), ...SCORES.flatMap((score, i) => [score, `member ${i}`]))
  filler.send('ZADD', filler.key('zset'), ...filler.elements(30).flatMap(member => ['1.25', member]))
  filler.send('RPUSH', filler.key('list'), ...NUMBERS, ...NUMBERS)
  filler.send('HSET', filler.key('hash'), ...NUMBERS.flatMap(number => [number, number]))
  filler.send('SADD', filler.key('set'), ...NUMBERS)
}

function isInt64(text: string): boolean {
  return /^(?:0|-?[1-9]\d*)$/.test(text) && BigInt(text) === BigInt.asIntN(64, BigInt(text))
}

function longElements(filler: Filler): void {
  const texts = () =>
    [...SHORT_SIZES, ...LONG_SIZES, ...LONGEST_SIZES].map(size => {
      const text = filler.text(size)
      // Members must differ.
      return size < 4 ? text : Buffer.concat([Buffer.from(String(size % 997)), text]).subarray(0, size)
    })
  filler.send('RPUSH', filler.key('list'), ...texts())
  filler.send('SADD', filler.key('set'), ...texts())
  filler.send('HSET', filler.key('hash'), ...texts().flatMap(name => [name, filler.text(name.length)]))
  filler.send('ZADD', filler.key('zset'), ...texts().flatMap(member => [filler.score(), member]))
}

/** Packed collections of more elements than their header has room to say. */
function longListpacks(filler: Filler): void {
  const count = 33_000
  // Servers look for each field before they add it: adding them takes a minute, restoring a moment.
  const elements = Array.from({ length: 2 * count }, (_, i) => {
    const text = Buffer.from(`${i.toString(36)}.`)
    return bytes(0x80 | text.length, text, 1 + text.length)
  })
  const body = Buffer.concat(elements)
  const header = Buffer.alloc(6)
  header.writeUInt32LE(header.length + body.length + 1)
  // So many, or more.
  header.writeUInt16LE(65_535, 4)
  const packed = bytes(header, body, 0xff)
  const payload = bytes(16, 0x80, len(packed.length).subarray(1), packed, 10, 0)
  filler.send('RESTORE', filler.key('hash'), 0, bytes(payload, checksum(payload)))
  const set = filler.key('intset')
  const size = filler.much ? 70_000 : 5000
  filler.sendAll(
    'SADD',
    set,
    Array.from({ length: size }, (_, i) => i - 30_000),
  )
}

/** Nodes of every size, compressed and not. */
function lists(filler: Filler): void {
  for (const size of [1, 2, 3, 128, -1, -2, -3, -4, -5]) {
    filler.set('list-max-listpack-size', size)
    for (const depth of [0, 1, 3]) {
      filler.set('list-compress-depth', depth)
      const key = filler.key('list')
      filler.send('RPUSH', key, ...Array.from({ length: 200 }, () => filler.element()))
      filler.send('LPUSH', key, filler.text(9000), ...NUMBERS, filler.text(300))
      filler.send('LREM', key, 3, 'element 1')
      filler.send('LSET', key, 5, filler.text(5000))
      filler.send('LINSERT', key, 'BEFORE', filler.pick(NUMBERS), filler.text(70))
    }
  }
  // Above it, a node is one element.
  filler.send('DEBUG', 'QUICKLIST-PACKED-THRESHOLD', '100b')
  const key = filler.key('list')
  filler.send('RPUSH', key, 'a', filler.noise(200), Buffer.alloc(500, 'x'), '12', filler.noise(4096), 'b')
  filler.send('DEBUG', 'QUICKLIST-PACKED-THRESHOLD', '0')
}

/** Hashes in which some fields have a time, or all, or one. */
function fieldTimes(filler: Filler): void {
  if (!EXPIRES_FIELDS.has(filler.server)) return
  const times = filler.server === 'valkey-9.1' ? FIELD_TIMES_OF_VALKEY : FIELD_TIMES
  for (const count of [1, 2, 10, 100, 600]) {
    for (const share of [0.2, 0.8, 1]) {
      const key = filler.key('hash')
      const names = filler.elements(count)
      filler.send('HSET', key, ...names.flatMap(name => [name, filler.element()]))
      const time = filler.pick(times)
      for (const [i, name] of names.entries()) {
        if (i > 0 && filler.int(1000) >= share * 1000) continue
        filler.expireField(key, name, share === 1 ? time : filler.pick(times))
      }
      if (count === 10) filler.expireKey(key, filler.pick(KEY_TIMES))
    }
  }
}

const HIGHEST = 2n ** 64n - 1n

function streams(filler: Filler): void {
  for (const entries of [1, 2, 100, 0]) {
    for (const size of [60, 4096, 0]) {
      filler.set('stream-node-max-entries', entries)
      filler.set('stream-node-max-bytes', size)
      for (const count of [1, 7, 130]) stream(filler, count)
    }
  }
  if (filler.much) longStream(filler)
  emptyStreams(filler)
  const last = filler.key('stream')
  filler.send('XADD', last, `5-${HIGHEST}`, 'a', 'b')
  filler.send('XADD', last, `${HIGHEST}-0`, 'a', 'b')
  filler.send('XADD', last, `${HIGHEST}-${HIGHEST}`, 'a', 'b')
  filler.send('XGROUP', 'CREATE', last, 'group', 0)
  filler.send('XREADGROUP', 'GROUP', 'group', 'reader', 'STREAMS', last, '>')
}

/** Entries with the same fields and with others, deleted ones among them, groups that have read some of it. */
function stream(filler: Filler, count: number): void {
  const key = filler.key('stream')
  const fields = filler.elements(1 + filler.int(4))
  const ids: string[] = []
  let ms = BigInt(filler.int(2 ** 42))
  let sequence = 0n
  for (let i = 0; i < count; i++) {
    const step = filler.int(4)
    if (step === 0) ms += 2n ** BigInt(filler.int(50))
    else if (step === 1) sequence += 2n ** BigInt(filler.int(50))
    else if (step === 2) {
      ms++
      sequence = BigInt(filler.int(3))
    } else sequence++
    ids.push(`${ms}-${sequence}`)
    const names = filler.int(5) === 0 ? filler.elements(1 + filler.int(5)) : fields
    filler.send('XADD', key, ids[i], ...names.flatMap(name => [name, filler.element()]))
  }
  const some = (share: number) => ids.filter(() => filler.int(1000) < share * 1000)
  const groups = filler.elements(filler.int(4))
  for (const group of groups) {
    filler.send('XGROUP', 'CREATE', key, group, filler.pick([0, '$', filler.pick(ids)]))
    for (const consumer of filler.elements(filler.int(4))) {
      filler.send('XGROUP', 'CREATECONSUMER', key, group, consumer)
      if (filler.int(3) > 0)
        filler.send(
          'XREADGROUP',
          'GROUP',
          group,
          consumer,
          'COUNT',
          1 + filler.int(count),
          'STREAMS',
          key,
          '>',
        )
      const claimed = some(0.2)
      if (claimed.length > 0)
        filler.send(
          ...['XCLAIM', key, group, consumer, 0, ...claimed],
          ...['TIME', filler.pick([0, 1, 1_700_000_000_000]), 'RETRYCOUNT', filler.pick([0, 1, 70, 2 ** 40])],
          ...(filler.int(2) === 0 ? ['FORCE'] : []),
        )
      const acknowledged = some(0.2)
      if (acknowledged.length > 0) filler.send('XACK', key, group, ...acknowledged)
    }
    if (filler.int(4) === 0)
      filler.send(
        'XGROUP',
        'SETID',
        key,
        group,
        filler.pick(ids),
        'ENTRIESREAD',
        filler.pick([0, 5, 2 ** 40]),
      )
  }
  const kind = filler.int(5)
  // Single entries, and whole nodes at either end.
  const deleted = kind === 0 ? ids.slice(0, 120) : kind === 1 ? ids.slice(5) : kind === 2 ? some(0.5) : []
  if (deleted.length > 0) filler.send('XDEL', key, ...deleted)
  if (kind === 3) filler.send('XTRIM', key, 'MAXLEN', 5)
  if (filler.int(4) === 0)
    filler.send('XSETID', key, `${ms + 5n}-7`, 'ENTRIESADDED', 2 ** 50, 'MAXDELETEDID', ids[0])
}

/** One node of more elements than its listpack can say. */
function longStream(filler: Filler): void {
  filler.set('stream-node-max-entries', 0)
  filler.set('stream-node-max-bytes', 0)
  const key = filler.key('stream')
  for (let i = 1; i < 15_000; i++) filler.send('XADD', key, `${i}-1`, 'field', i)
  filler.send('XDEL', key, '3-1', '7-1', '14999-1')
}

function emptyStreams(filler: Filler): void {
  const deleted = filler.key('stream')
  filler.send('XADD', deleted, '1-1', 'a', 'b')
  filler.send('XGROUP', 'CREATE', deleted, 'group', 0)
  filler.send('XREADGROUP', 'GROUP', 'group', 'reader', 'STREAMS', deleted, '>')
  filler.send('XDEL', deleted, '1-1')
  filler.send('XGROUP', 'CREATE', filler.key('stream'), 'group', '5-5', 'MKSTREAM')
  const never = filler.key('stream')
  filler.send('XGROUP', 'CREATE', never, 'group', '$', 'MKSTREAM', 'ENTRIESREAD', 3)
  filler.send('XGROUP', 'CREATECONSUMER', never, 'group', 'idle')
  filler.send('XSETID', never, '9-9', 'ENTRIESADDED', 12, 'MAXDELETEDID', '8-8')
}

function modules(filler: Filler): void {
  if (filler.server !== 'redis-8.0') return
  const key = filler.key('vectors')
  for (const quantised of ['NOQUANT', 'BIN', 'Q8'])
    for (let i = 0; i < 5; i++)
      filler.send('VADD', `${key}:${quantised}`, 'VALUES', 3, i, -1, 2.5, `element ${i}`, quantised)
}
