import { integerIn } from '../bytes/decimal.ts'
import { corrupt, type FormatError } from '../bytes/errors.ts'
import { escapeBytes } from '../bytes/escape.ts'
import { HashTemplates } from '../rdb/encodings/template.ts'
import { readPayload } from '../rdb/payload.ts'
import { ValueReader } from '../rdb/value-reader.ts'
import type { LongRecord } from '../resp/long-record.ts'
import type { Batch } from '../resp/scanner.ts'
import { Command } from '../values/command.ts'
import { type ElementSink, type Kind, NO_EXPIRY } from '../values/elements.ts'
import { scoreIn } from '../values/score.ts'
import { Slice } from '../values/slice.ts'

/*
 * Keys out of the commands that rebuild them, as the servers' rewriters write them (`aof-use-rdb-preamble no`; redis 7.0,
 * redis 8.0, valkey 8.1 and 9.1 were looked at), and RebuildCommands:
 *
 *     any         SELECT db                                                 before its keys
 *                 FUNCTION LOAD source
 *                 PEXPIREAT key ms                                          behind the value
 *     string      SET key value
 *     list, set   RPUSH key item …        SADD key member …                 any number of times
 *     sorted set  ZADD key (score member)…
 *     hash        HMSET key (field value)…
 *                   HPEXPIREAT key ms FIELDS n field …                      of fields of the HMSET right before it
 *                 HSETEX key PXAT ms FIELDS n (field value)…                valkey 9
 *     stream      XADD key id (field value)… …                              or XADD key MAXLEN 0 0-1 x y
 *                 XSETID key id ENTRIESADDED n MAXDELETEDID id
 *                 XGROUP CREATE key group id ENTRIESREAD n
 *                   XGROUP CREATECONSUMER key group consumer
 *                   XCLAIM key group consumer 0 id TIME ms RETRYCOUNT n JUSTID FORCE
 *                   XNACK key group FAIL IDS n id … RETRYCOUNT n FORCE      redis 8.8
 *                 XCFGSET key IDMP-DURATION n IDMP-MAXSIZE n                redis 8.6
 *                 XIDMPRECORD key producer id entry                         redis 8.6
 *     module      RESTORE key 0 payload ABSTTL
 *     array       ARMSET key (index value)…   ARSEEK key index              redis 8.8
 */

/** Who is given what the commands rebuild. What is given is void after the call. */
export interface RebuiltKeys {
  /**
   * The next key: who takes its value. A pending entry comes right before the `owned` or `nacked` that tells who has it;
   * the place of an array's next insertion comes behind its slots. Times of which no command tells are -1.
   *
   * @param offset of its first command
   */
  key(db: number, key: Slice, kind: Kind, offset: number): ElementSink
  /** When it expires, before the value's `end`. Milliseconds since 1970. */
  expires(atMs: bigint): void
  /** A library of functions. */
  functions(source: Slice): void
}

/** Of whom no command says when he was seen. */
const NO_TIME = -1n
const UINT64_MAX = (1n << 64n) - 1n
const MODULE = 7
/** Fields of a command whose expiries are waited for. */
const USUAL_FIELDS = 64
/** Larger records do not fit into one buffer. */
const MOST_BYTES = 0xffff_ffff

/** How far the key is. */
const Phase = {
  Nothing: 0,
  /** Elements of the value. */
  Value: 1,
  /** Entries of a stream, before its XSETID. */
  Entries: 2,
  /** Behind XSETID or ARSEEK. */
  Groups: 3,
  /** Behind PEXPIREAT. */
  Done: 4,
} as const
type Phase = (typeof Phase)[keyof typeof Phase]

type Numbers = Int32Array | Float64Array

/**
 * Reads the records of such a log, in order, and takes nothing else: no other command, no other form, no key that is
 * changed in a way that would mean something else to a server. Keeps one command in memory. That a key comes again
 * after others is left to whoever compares: it is then given as another key.
 *
 *     reader.records(batch)  or  reader.long(record, bytes)      for what a part holds
 *     reader.finish()
 *
 * A FormatError `rebuild.command` tells what is wrong, at the offset of the record.
 */
export class RebuildReader {
  readonly #keys: RebuiltKeys
  #db = 0
  /** Whether a SELECT has no key yet. */
  #selected = false

  // The record at hand: argument `a` stands at `bytes[start[from + a], + length[from + a])`.
  #bytes: Uint8Array = new Uint8Array(0)
  #start: Numbers = new Int32Array(0)
  #length: Numbers = new Int32Array(0)
  #from = 0
  #argc = 0
  /** Of the record, and of `bytes[0]`. */
  #offset = 0
  #base = 0

  // The key that is being rebuilt.
  readonly #key = new Command()
  #sink: ElementSink | undefined
  #kind: Kind = 'string'
  #phase: Phase = Phase.Nothing

  // Fields that may get an expiry: name and value of each.
  readonly #fields = new Command()
  #expiries = new BigInt64Array(USUAL_FIELDS)
  /** The first field that HPEXPIREAT may name. */
  #nextField = 0

  // Of the stream.
  #entries = 0n
  #firstMs = 0n
  #firstSeq = 0n
  #lastMs = 0n
  #lastSeq = 0n
  readonly #group = new Command()
  readonly #consumer = new Command()
  #hasConsumer = false
  readonly #producer = new Command()
  #hasProducer = false

  #ms = 0n
  #seq = 0n
  readonly #held = new Slice()
  readonly #one = new Slice()
  readonly #two = new Slice()
  readonly #reader = new ValueReader(new HashTemplates())
  readonly #commands: ReadonlyMap<string, () => void>
  /** The name of the last command, and what takes it. */
  readonly #name = new Command()
  #run: () => void = () => {}

  constructor(keys: RebuiltKeys) {
    this.#keys = keys
    this.#commands = new Map<string, () => void>([
      ['SELECT', () => this.#select()],
      ['FUNCTION', () => this.#function()],
      ['PEXPIREAT', () => this.#pexpireat()],
      ['SET', () => this.#set()],
      ['RPUSH', () => this.#rpush()],
      ['SADD', () => this.#sadd()],
      ['ZADD', () => this.#zadd()],
      ['HMSET', () => this.#hmset()],
      ['HPEXPIREAT', () => this.#hpexpireat()],
      ['HSETEX', () => this.#hsetex()],
      ['XADD', () => this.#xadd()],
      ['XSETID', () => this.#xsetid()],
      ['XGROUP', () => this.#xgroup()],
      ['XCLAIM', () => this.#xclaim()],
      ['XNACK', () => this.#xnack()],
      ['XCFGSET', () => this.#xcfgset()],
      ['XIDMPRECORD', () => this.#xidmprecord()],
      ['RESTORE', () => this.#restore()],
      ['ARMSET', () => this.#armset()],
      ['ARSEEK', () => this.#arseek()],
    ])
  }

  /**
   * @param from the first record of the batch that is wanted
   * @param to behind the last one
   */
  records(batch: Batch, from = 0, to: number = batch.count): void {
    for (const { code, offset } of batch.oddities) {
      if (offset >= batch.offset(from) && offset < batch.offset(to))
        throw corrupt('rebuild.command', offset, `not as a server writes it: ${code}`)
    }
    this.#bytes = batch.bytes
    this.#base = batch.base
    this.#start = batch.start
    this.#length = batch.length
    for (let i = from; i < to; i++) {
      this.#from = batch.first[i]
      this.#argc = batch.first[i + 1] - batch.first[i]
      this.#offset = batch.base + batch.record[i]
      this.#command()
    }
  }

  /** A record larger than a window. @param bytes all of it */
  long(record: LongRecord, bytes: Uint8Array): void {
    if (record.oddities.length > 0 || record.kept < record.argc || bytes.length > MOST_BYTES)
      throw corrupt('rebuild.command', record.offset, 'a record that is not as a server writes it')
    this.#offset = record.offset
    this.#bytes = bytes
    this.#base = record.offset
    this.#start = record.start.map(offset => offset - record.offset)
    this.#length = record.length
    this.#from = 0
    this.#argc = record.argc
    this.#command()
  }

  /** There are no more records. */
  finish(): void {
    this.#argc = 0
    this.#endKey()
    if (this.#selected) throw this.#wrong('selects a database that has no keys')
  }

  #command(): void {
    // An annotation says when, and nothing else.
    if (this.#argc === 0) return
    // Mostly the same as before.
    if (!this.#equals(this.#name, 0)) {
      const run = this.#commands.get(this.#text(0))
      if (run === undefined) throw this.#wrong('rebuilds no key')
      this.#run = run
      this.#hold(this.#name, 0)
    }
    this.#run()
  }

  #select(): void {
    this.#check(this.#argc === 2)
    this.#endKey()
    const db = this.#integer(1)
    if (this.#selected || db < 0n || db > 0x7fff_ffffn) throw this.#form()
    this.#db = Number(db)
    this.#selected = true
  }

  #function(): void {
    this.#check(this.#argc === 3 && this.#is(1, 'LOAD'))
    this.#endKey()
    this.#keys.functions(this.#slice(2, this.#one))
  }

  #pexpireat(): void {
    this.#check(this.#argc === 3)
    this.#current()
    this.#flushFields()
    if (this.#phase === Phase.Done) throw this.#wrong('comes behind the end of its key')
    if (this.#phase === Phase.Entries) throw this.#wrong('comes before XSETID')
    const atMs = this.#integer(2)
    // Servers cannot tell it from none.
    if (atMs === NO_EXPIRY) throw this.#form()
    this.#phase = Phase.Done
    this.#keys.expires(atMs)
  }

  #set(): void {
    this.#check(this.#argc === 3)
    const sink = this.#new('string', 1)
    this.#phase = Phase.Value
    sink.string(this.#slice(2, this.#one))
  }

  #rpush(): void {
    this.#check(this.#argc > 2)
    const sink = this.#more('list')
    for (let a = 2; a < this.#argc; a++) sink.item(this.#slice(a, this.#one))
  }

  #sadd(): void {
    this.#check(this.#argc > 2)
    const sink = this.#more('set')
    for (let a = 2; a < this.#argc; a++) sink.member(this.#slice(a, this.#one))
  }

  #zadd(): void {
    this.#check(this.#argc > 3 && this.#argc % 2 === 0)
    const sink = this.#more('zset')
    for (let a = 2; a < this.#argc; a += 2) {
      const score = scoreIn(this.#slice(a, this.#one))
      if (score === undefined || Number.isNaN(score) || !isNumber(this.#one))
        throw this.#wrong(`has a score that is none: "${this.#text(a)}"`)
      sink.scored(this.#slice(a + 1, this.#two), score)
    }
  }

  #hmset(): void {
    this.#check(this.#argc > 3 && this.#argc % 2 === 0)
    this.#more('hash')
    this.#holdFields(2, NO_EXPIRY)
  }

  #hsetex(): void {
    this.#check(this.#argc > 7 && this.#argc % 2 === 0 && this.#is(2, 'PXAT') && this.#is(4, 'FIELDS'))
    this.#check(this.#integer(5) === BigInt((this.#argc - 6) / 2))
    const atMs = this.#integer(3)
    this.#check(atMs >= 0n)
    this.#more('hash')
    this.#holdFields(6, atMs)
    // Their expiries are known.
    this.#flushFields()
  }

  #hpexpireat(): void {
    this.#check(this.#argc > 5 && this.#is(3, 'FIELDS') && this.#integer(4) === BigInt(this.#argc - 5))
    this.#current()
    const atMs = this.#integer(2)
    this.#check(atMs >= 0n)
    const { count } = this.#fields
    for (let a = 5; a < this.#argc; a++) {
      while (this.#nextField < count && !this.#equals(this.#fields, a, this.#nextField)) this.#nextField += 2
      if (this.#nextField >= count) throw this.#wrong('names a field that is not in the HMSET before it')
      this.#expiries[this.#nextField >> 1] = atMs
      this.#nextField += 2
    }
  }

  /** Keeps the fields from argument `from` on until it is known when they expire. */
  #holdFields(from: number, expireAtMs: bigint): void {
    this.#nextField = 0
    for (let a = from; a < this.#argc; a++) this.#fields.slice(this.#slice(a, this.#one))
    const count = (this.#argc - from) / 2
    if (count > this.#expiries.length) this.#expiries = new BigInt64Array(count)
    this.#expiries.fill(expireAtMs, 0, count)
  }

  #flushFields(): void {
    const { bytes, start, end, count } = this.#fields
    if (count === 0) return
    const sink = this.#sink as ElementSink
    for (let f = 0; f < count; f += 2) {
      this.#one.set(bytes, start[f], end[f])
      this.#two.set(bytes, start[f + 1], end[f + 1])
      sink.field(this.#one, this.#two, this.#expiries[f >> 1])
    }
    this.#fields.clear()
  }

  #xadd(): void {
    this.#check(this.#argc > 4)
    const isNew = !this.#isCurrent()
    if (isNew) this.#new('stream', -1)
    else this.#ofKind('stream')
    if (isNew && this.#is(2, 'MAXLEN')) {
      this.#check(this.#argc === 7 && this.#is(3, '0') && this.#is(4, '0-1'))
      this.#check(this.#is(5, 'x') && this.#is(6, 'y'))
      this.#phase = Phase.Entries
      return
    }
    this.#check(this.#argc % 2 === 1)
    if (!isNew && (this.#phase !== Phase.Entries || this.#entries === 0n))
      throw this.#wrong('adds to a stream behind XSETID, or to one that is empty')
    this.#phase = Phase.Entries
    this.#id(2)
    if (this.#compare(this.#lastMs, this.#lastSeq) <= 0) throw this.#wrong('has an id that does not rise')
    if (this.#entries++ === 0n) {
      this.#firstMs = this.#ms
      this.#firstSeq = this.#seq
    }
    this.#lastMs = this.#ms
    this.#lastSeq = this.#seq
    const sink = this.#sink as ElementSink
    sink.entry(this.#ms, this.#seq, (this.#argc - 3) / 2)
    for (let a = 3; a < this.#argc; a += 2)
      sink.field(this.#slice(a, this.#one), this.#slice(a + 1, this.#two), NO_EXPIRY)
  }

  #xsetid(): void {
    this.#check(this.#argc === 7 && this.#is(3, 'ENTRIESADDED') && this.#is(5, 'MAXDELETEDID'))
    this.#current()
    this.#ofKind('stream')
    if (this.#phase !== Phase.Entries) throw this.#wrong('comes twice')
    const entriesAdded = this.#integer(4)
    this.#id(2)
    const lastId = { ms: this.#ms, seq: this.#seq }
    if (this.#compare(this.#lastMs, this.#lastSeq) < 0 && this.#entries > 0n)
      throw this.#wrong('sets an id below that of the last entry')
    this.#id(6)
    const maxDeletedId = { ms: this.#ms, seq: this.#seq }
    if (this.#compare(lastId.ms, lastId.seq) > 0)
      throw this.#wrong('sets an id below that of a deleted entry')
    if (entriesAdded < this.#entries) throw this.#wrong('tells of fewer entries than there are')
    this.#phase = Phase.Groups
    const sink = this.#sink as ElementSink
    const firstId = { ms: this.#firstMs, seq: this.#firstSeq }
    sink.state({ length: this.#entries, lastId, firstId, maxDeletedId, entriesAdded })
  }

  #xgroup(): void {
    this.#check(this.#argc > 4)
    const sink = this.#stream(2)
    if (this.#is(1, 'CREATE')) {
      this.#check(this.#argc === 7 && this.#is(5, 'ENTRIESREAD'))
      const entriesRead = this.#integer(6)
      this.#check(entriesRead >= -1n)
      this.#id(4)
      this.#hold(this.#group, 3)
      this.#hasConsumer = false
      sink.group(this.#slice(3, this.#one), this.#ms, this.#seq, entriesRead)
      return
    }
    this.#check(this.#argc === 5 && this.#is(1, 'CREATECONSUMER'))
    this.#ofGroup(3)
    this.#newConsumer(4)
  }

  #xclaim(): void {
    this.#check(this.#argc === 12 && this.#is(4, '0') && this.#is(6, 'TIME') && this.#is(8, 'RETRYCOUNT'))
    this.#check(this.#is(10, 'JUSTID') && this.#is(11, 'FORCE'))
    const sink = this.#stream(1)
    this.#ofGroup(2)
    if (!this.#hasConsumer || !this.#equals(this.#consumer, 3)) this.#newConsumer(3)
    const deliveredAtMs = this.#integer(7)
    const deliveries = this.#integer(9)
    this.#check(deliveries >= 0n)
    this.#id(5)
    sink.pending(this.#ms, this.#seq, deliveredAtMs, deliveries)
    sink.owned(this.#ms, this.#seq)
  }

  #xnack(): void {
    const ids = this.#argc - 9
    this.#check(ids > 0 && this.#is(3, 'FAIL') && this.#is(4, 'IDS') && this.#integer(5) === BigInt(ids))
    this.#check(this.#is(6 + ids, 'RETRYCOUNT') && this.#is(8 + ids, 'FORCE'))
    const sink = this.#stream(1)
    this.#ofGroup(2)
    const deliveries = this.#integer(7 + ids)
    this.#check(deliveries >= 0n)
    for (let a = 6; a < 6 + ids; a++) {
      this.#id(a)
      sink.pending(this.#ms, this.#seq, NO_TIME, deliveries)
      sink.nacked(this.#ms, this.#seq)
    }
  }

  #xcfgset(): void {
    this.#check(this.#argc === 6 && this.#is(2, 'IDMP-DURATION') && this.#is(4, 'IDMP-MAXSIZE'))
    const sink = this.#stream(1)
    // It makes servers forget them.
    if (this.#hasProducer) throw this.#wrong('comes behind XIDMPRECORD')
    sink.idempotence(this.#integer(3), this.#integer(5), 0n, 0n)
  }

  #xidmprecord(): void {
    this.#check(this.#argc === 5)
    const sink = this.#stream(1)
    if (!this.#hasProducer || !this.#equals(this.#producer, 2)) {
      this.#hold(this.#producer, 2)
      this.#hasProducer = true
      sink.producer(this.#slice(2, this.#one))
    }
    this.#id(4)
    sink.produced(this.#slice(3, this.#one), this.#ms, this.#seq)
  }

  #restore(): void {
    this.#check(this.#argc === 5 && this.#is(2, '0') && this.#is(4, 'ABSTTL'))
    this.#slice(3, this.#two)
    const offset = this.#base + this.#two.at
    const payload = this.#bytes.subarray(this.#two.at, this.#two.end)
    const { magic, type, value, end } = readPayload(payload, offset)
    // Everything else has commands of its own.
    if (type !== MODULE) throw this.#wrong(`restores a value of type ${type}`)
    const sink = this.#begin('module')
    this.#reader.begin(magic, type, offset + value, sink)
    this.#reader.feed(payload, value, end)
    this.#phase = Phase.Value
  }

  #armset(): void {
    this.#check(this.#argc > 3 && this.#argc % 2 === 0)
    const sink = this.#more('array')
    for (let a = 2; a < this.#argc; a += 2) sink.slot(this.#unsigned(a), this.#slice(a + 1, this.#one))
  }

  #arseek(): void {
    this.#check(this.#argc === 3)
    this.#current()
    this.#ofKind('array')
    if (this.#phase !== Phase.Value) throw this.#wrong('comes twice')
    this.#phase = Phase.Groups
    ;(this.#sink as ElementSink).next(this.#unsigned(2))
  }

  /** Begins a key, which is not there yet, and its value. */
  #begin(kind: Kind): ElementSink {
    if (this.#isCurrent()) throw this.#wrong('is for a key that is there already')
    this.#endKey()
    this.#selected = false
    this.#hold(this.#key, 1)
    this.#kind = kind
    this.#entries = 0n
    this.#firstMs = 0n
    this.#firstSeq = 0n
    this.#lastMs = 0n
    this.#lastSeq = 0n
    this.#hasProducer = false
    this.#hasConsumer = false
    this.#group.clear()
    this.#sink = this.#keys.key(this.#db, this.#slice(1, this.#one), kind, this.#offset)
    return this.#sink
  }

  #new(kind: Kind, count: number): ElementSink {
    const sink = this.#begin(kind)
    sink.begin(kind, count)
    return sink
  }

  /** Begins a collection, or goes on with it. */
  #more(kind: Kind): ElementSink {
    if (!this.#isCurrent()) {
      const sink = this.#new(kind, -1)
      this.#phase = Phase.Value
      return sink
    }
    this.#ofKind(kind)
    this.#flushFields()
    if (this.#phase !== Phase.Value) throw this.#wrong('comes behind the end of its key')
    return this.#sink as ElementSink
  }

  #endKey(): void {
    const sink = this.#sink
    if (sink === undefined) return
    this.#flushFields()
    if (this.#phase === Phase.Entries) throw this.#wrong('comes while a stream lacks its XSETID')
    this.#sink = undefined
    this.#phase = Phase.Nothing
    sink.end()
  }

  /** Whether the command is for the key that is being rebuilt. */
  #isCurrent(): boolean {
    return this.#sink !== undefined && this.#equals(this.#key, 1)
  }

  #current(): void {
    if (!this.#isCurrent()) throw this.#wrong('is for a key that is not there')
  }

  #ofKind(kind: Kind): void {
    if (this.#kind !== kind) throw this.#wrong(`is for a key that is a ${this.#kind}`)
  }

  /** The stream, behind its XSETID, whose key is argument `a`. */
  #stream(a: number): ElementSink {
    if (this.#sink === undefined || !this.#equals(this.#key, a))
      throw this.#wrong('is for a key that is not there')
    this.#ofKind('stream')
    if (this.#phase !== Phase.Groups) throw this.#wrong('does not stand between XSETID and PEXPIREAT')
    return this.#sink
  }

  /** @param a which argument is the group */
  #ofGroup(a: number): void {
    if (!this.#equals(this.#group, a)) throw this.#wrong('is for a group that was not made right before')
  }

  #newConsumer(a: number): void {
    this.#hold(this.#consumer, a)
    this.#hasConsumer = true
    const sink = this.#sink as ElementSink
    sink.consumer(this.#slice(a, this.#one), NO_TIME, NO_TIME)
  }

  #slice(a: number, slice: Slice): Slice {
    const at = this.#start[this.#from + a]
    return slice.set(this.#bytes, at, at + this.#length[this.#from + a])
  }

  /** Keeps argument `a`. */
  #hold(command: Command, a: number): void {
    command.clear()
    command.slice(this.#slice(a, this.#held))
  }

  /** Whether argument `a` is what is held as number `place`. */
  #equals({ bytes, start, end, count }: Command, a: number, place = 0): boolean {
    if (place >= count) return false
    const size = this.#length[this.#from + a]
    const from = start[place]
    if (end[place] - from !== size) return false
    const at = this.#start[this.#from + a]
    for (let i = 0; i < size; i++) if (bytes[from + i] !== this.#bytes[at + i]) return false
    return true
  }

  #is(a: number, text: string): boolean {
    if (this.#length[this.#from + a] !== text.length) return false
    const at = this.#start[this.#from + a]
    for (let i = 0; i < text.length; i++) if (this.#bytes[at + i] !== text.charCodeAt(i)) return false
    return true
  }

  /** Argument `a`, for people if it is long. */
  #text(a: number): string {
    const { bytes, at, end } = this.#slice(a, this.#held)
    return escapeBytes(bytes.subarray(at, end), SHOWN)
  }

  #integer(a: number): bigint {
    const { bytes, at, end } = this.#slice(a, this.#held)
    const value = integerIn(bytes, at, end)
    if (value === undefined) throw this.#wrong(`has no integer where there must be one: "${this.#text(a)}"`)
    return BigInt(value)
  }

  #unsigned(a: number): bigint {
    const { at, end } = this.#slice(a, this.#held)
    return this.#unsignedIn(at, end)
  }

  #unsignedIn(at: number, end: number): bigint {
    const value = integerIn(this.#bytes, at, end)
    if (value !== undefined && value >= 0) return BigInt(value)
    const text = Buffer.from(this.#bytes.subarray(at, Math.min(end, at + SHOWN))).toString('latin1')
    if (!/^[1-9]\d{18,19}$/.test(text) || BigInt(text) > UINT64_MAX)
      throw this.#wrong('has no number where there must be one')
    return BigInt(text)
  }

  /** Reads the id of an entry. */
  #id(a: number): void {
    const { bytes, at, end } = this.#slice(a, this.#held)
    let hyphen = at
    while (hyphen < end && bytes[hyphen] !== HYPHEN) hyphen++
    if (hyphen === end) throw this.#wrong(`has no id where there must be one: "${this.#text(a)}"`)
    this.#ms = this.#unsignedIn(at, hyphen)
    this.#seq = this.#unsignedIn(hyphen + 1, end)
  }

  /** How the id that was read last compares to another one. */
  #compare(ms: bigint, seq: bigint): number {
    if (this.#ms !== ms) return this.#ms < ms ? -1 : 1
    return this.#seq === seq ? 0 : this.#seq < seq ? -1 : 1
  }

  #check(right: boolean): void {
    if (!right) throw this.#form()
  }

  #form(): FormatError {
    return this.#wrong('does not have the form in which it rebuilds a key')
  }

  #wrong(what: string): FormatError {
    const name = this.#argc > 0 ? this.#text(0) : 'the end'
    return corrupt('rebuild.command', this.#offset, `${name} ${what}`)
  }
}

/** Whether the text of a score is a number from its beginning to its end. */
function isNumber({ bytes, at, end }: Slice): boolean {
  for (let i = at; i < end; i++) {
    const digit = bytes[i] - ZERO
    if ((digit >= 0 && digit <= 9) || (i === at && bytes[i] === HYPHEN)) continue
    const text = Buffer.from(bytes.subarray(at, Math.min(end, at + SHOWN))).toString('latin1')
    return /^-?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|inf)$/.test(text)
  }
  return end > at && bytes[end - 1] !== HYPHEN
}

const ZERO = 0x30
const HYPHEN = 0x2d
/** Bytes of an argument that a message shows. */
const SHOWN = 80
