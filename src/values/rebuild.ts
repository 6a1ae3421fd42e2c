/**
 * A key as the commands that rebuild it, as the servers' own rewriters write them:
 *
 *     string    SET
 *     list      RPUSH          set  SADD          sorted set  ZADD          64 items a command
 *     hash      HMSET          HPEXPIREAT, or instead HSETEX, for fields that expire
 *     stream    XADD …  XSETID  (XGROUP CREATE  (XGROUP CREATECONSUMER | XCLAIM …)…  XNACK …)…  XCFGSET  XIDMPRECORD …
 *     module    RESTORE
 *     array     ARMSET …  ARSEEK
 *     any       PEXPIREAT
 */
import { Command } from './command.ts'
import { type ElementSink, type Kind, NO_EXPIRY, type StreamState } from './elements.ts'
import { PendingEntries } from './pending.ts'
import { Slice } from './slice.ts'

/** Which of the commands a server knows. */
export interface KnownCommands {
  /** `HPEXPIREAT`: Redis 7.4, Valkey 9.0. */
  readonly fieldExpiry: boolean
  /** What streams and groups count besides their entries (`ENTRIESADDED`, `ENTRIESREAD`): Redis 7.0. */
  readonly streamCounts: boolean
  /** `FUNCTION`: Redis 7.0. */
  readonly functions: boolean
  /** `XNACK`, `XCFGSET`, `XIDMPRECORD`, `ARMSET`: Redis 8.6 and 8.8. */
  readonly redis88: boolean
  /** Is told what it cannot have, and throws. */
  refuse(what: string): never
}

const ALL: KnownCommands = {
  fieldExpiry: true,
  streamCounts: true,
  functions: true,
  redis88: true,
  refuse: what => {
    throw new Error(what)
  },
}

export interface RebuildOptions {
  /**
   * Makes of the bytes of a module's value what RESTORE takes: type, value, version and checksum. Without it keys of
   * modules cannot be rebuilt, and nothing is given for them.
   */
  readonly payload?: ((value: Uint8Array) => Uint8Array) | undefined
  /** For whom: what not every server knows. Default: all of it. */
  readonly known?: KnownCommands | undefined
  /** Bytes of an argument that are kept, where a line shows no more. Default: all. */
  readonly keep?: number | undefined
  /**
   * Whether fields that expire are set with HSETEX, which Redis 8.0 and Valkey 9.0 have: fewer commands, and fewer bytes.
   * Default: no; HPEXPIREAT says afterwards when they expire.
   */
  readonly setWithExpiry?: boolean | undefined
}

const NO_BYTES = new Uint8Array(0)
const NOTHING = new Slice()
/** Items of one command: `AOF_REWRITE_ITEMS_PER_CMD` of servers. */
const ITEMS = 64
/** A command that has become so long gets no further items: 64 of them may be larger than memory. */
const LONG_COMMAND = 1 << 20
/** What a stream remembers of idempotent producers unless it was told otherwise, in seconds and entries. */
export const IDMP_DURATION = 100n
export const IDMP_MAXSIZE = 100n
/** The most that RETRYCOUNT takes. */
export const MOST_DELIVERIES = (1n << 63n) - 1n

/**
 * Gives the commands that rebuild keys, which servers load without an error. The same key gives the same commands. What
 * a command was given as is void after the call.
 *
 *     rebuild.key(key, expireAtMs)
 *     …                                the value, as to any sink
 *
 * Holds one command, and of a stream what is pending in one group. Two things have no command: entries that are pending
 * although they were deleted (XCLAIM passes over them, so servers' rewriters lose them too), and when consumers were
 * last seen. Fields that expire need Redis 7.4 or Valkey 9.0.
 */
export class RebuildCommands implements ElementSink {
  readonly #give: (command: Command) => void
  readonly #payload: ((value: Uint8Array) => Uint8Array) | undefined
  readonly #known: KnownCommands
  readonly #command: Command
  readonly #key: Command
  #expireAtMs = NO_EXPIRY
  #kind: Kind = 'string'
  /** Whether there is a command for the key yet: servers have no keys without elements. */
  #exists = false

  /** Items in the command. */
  #items = 0
  /** When the fields in the command expire; whether one of them does. */
  readonly #fieldExpiries = new BigInt64Array(ITEMS)
  #expiringFields = false
  readonly #expiry: Command
  readonly #setWithExpiry: boolean

  /** Fields that the entry of a stream still lacks. */
  #fieldsLeft = 0
  readonly #group: Command
  readonly #pending = new PendingEntries()
  readonly #consumer: Command
  /** Whether the consumer has no command yet: XCLAIM makes him, too. */
  #consumerIsNew = false
  /** Deliveries of the entries in an XNACK. */
  #deliveries = 0n
  readonly #handedBack: { ms: bigint; seq: bigint }[] = []
  #producer: Uint8Array = NO_BYTES
  readonly #produced: (readonly [producer: Uint8Array, id: Uint8Array, ms: bigint, seq: bigint])[] = []

  readonly #raw = new Command()
  #next: bigint | undefined

  constructor(give: (command: Command) => void, options: RebuildOptions = {}) {
    this.#give = give
    this.#payload = options.payload
    this.#known = options.known ?? ALL
    this.#setWithExpiry = options.setWithExpiry === true
    const held = () => new Command(options.keep)
    this.#command = held()
    this.#expiry = held()
    this.#key = held()
    this.#group = held()
    this.#consumer = held()
  }

  /** Gives the command that loads a library of functions. */
  functions(source: Slice): void {
    if (!this.#known.functions) this.#known.refuse('functions')
    const command = this.#command
    command.clear()
    command.text('FUNCTION')
    command.text('LOAD')
    command.slice(source)
    this.#give(command)
  }

  /** Which key the value that follows belongs to. Milliseconds since 1970, or `NO_EXPIRY`. */
  key(key: Slice, expireAtMs: bigint): void {
    hold(this.#key, key)
    this.#expireAtMs = expireAtMs
    this.#exists = false
    this.#items = 0
  }

  begin(kind: Kind, _count: number): void {
    this.#kind = kind
    this.#fieldsLeft = 0
    this.#consumerIsNew = false
    this.#handedBack.length = 0
    this.#produced.length = 0
    this.#next = undefined
    if (kind === 'module') hold(this.#raw, NOTHING)
  }

  string(value: Slice): void {
    this.#start('SET').slice(value)
    this.#finish()
  }

  item(value: Slice): void {
    this.#itemOf('RPUSH').slice(value)
    this.#itemDone()
  }

  member(value: Slice): void {
    this.#itemOf('SADD').slice(value)
    this.#itemDone()
  }

  scored(member: Slice, score: number): void {
    const command = this.#itemOf('ZADD')
    command.score(score)
    command.slice(member)
    this.#itemDone()
  }

  field(name: Slice, value: Slice, expireAtMs: bigint): void {
    if (this.#kind === 'stream') {
      this.#command.slice(name)
      this.#command.slice(value)
      if (--this.#fieldsLeft === 0) this.#finish()
      return
    }
    const command = this.#itemOf('HMSET')
    command.slice(name)
    command.slice(value)
    this.#fieldExpiries[this.#items] = expireAtMs
    if (expireAtMs !== NO_EXPIRY) this.#expiringFields = true
    this.#itemDone()
  }

  entry(ms: bigint, seq: bigint, fields: number): void {
    this.#start('XADD').id(ms, seq)
    this.#fieldsLeft = fields
    if (fields === 0) this.#finish()
  }

  state({ lastId, maxDeletedId, entriesAdded }: StreamState): void {
    if (!this.#known.streamCounts) this.#known.refuse('what a stream counts, in commands')
    if (!this.#exists) {
      // No command makes an empty stream, but one that keeps nothing of what it adds does.
      const command = this.#start('XADD')
      for (const text of ['MAXLEN', '0', '0-1', 'x', 'y']) command.text(text)
      this.#finish()
    }
    const command = this.#start('XSETID')
    command.id(lastId.ms, lastId.seq)
    command.text('ENTRIESADDED')
    command.integer(entriesAdded)
    command.text('MAXDELETEDID')
    command.id(maxDeletedId.ms, maxDeletedId.seq)
    this.#finish()
  }

  group(name: Slice, lastMs: bigint, lastSeq: bigint, entriesRead: bigint): void {
    this.#endGroup()
    hold(this.#group, name)
    this.#pending.clear()
    const command = this.#start('XGROUP', 'CREATE')
    command.slice(name)
    command.id(lastMs, lastSeq)
    command.text('ENTRIESREAD')
    command.integer(entriesRead)
    this.#finish()
  }

  pending(ms: bigint, seq: bigint, deliveredAtMs: bigint, deliveries: bigint): void {
    this.#pending.add(ms, seq, deliveredAtMs, deliveries)
  }

  consumer(name: Slice, _seenAtMs: bigint, _activeAtMs: bigint): void {
    this.#endConsumer()
    hold(this.#consumer, name)
    this.#consumerIsNew = true
  }

  owned(ms: bigint, seq: bigint): void {
    const place = this.#pending.find(ms, seq)
    if (place < 0) return
    this.#consumerIsNew = false
    const command = this.#start('XCLAIM')
    command.copy(this.#group, 0)
    command.copy(this.#consumer, 0)
    command.text('0')
    command.id(ms, seq)
    command.text('TIME')
    command.integer(this.#pending.deliveredAtMs(place))
    command.text('RETRYCOUNT')
    command.integer(least(this.#pending.deliveries(place), MOST_DELIVERIES))
    command.text('JUSTID')
    command.text('FORCE')
    this.#finish()
  }

  nacked(ms: bigint, seq: bigint): void {
    this.#endConsumer()
    const place = this.#pending.find(ms, seq)
    if (place < 0) return
    const deliveries = least(this.#pending.deliveries(place), MOST_DELIVERIES)
    if (this.#handedBack.length === ITEMS || deliveries !== this.#deliveries) this.#endHandedBack()
    this.#deliveries = deliveries
    this.#handedBack.push({ ms, seq })
  }

  producer(id: Slice): void {
    this.#endGroup()
    this.#producer = id.copy()
  }

  produced(id: Slice, ms: bigint, seq: bigint): void {
    // XCFGSET, of which only what follows them tells, forgets them: they wait for it.
    this.#produced.push([this.#producer, id.copy(), ms, seq])
  }

  idempotence(duration: bigint, limit: bigint, _added: bigint, _repeated: bigint): void {
    this.#endGroup()
    // XCFGSET takes no zeros, which a stream has that was never told.
    if ((duration === IDMP_DURATION && limit === IDMP_MAXSIZE) || duration === 0n || limit === 0n) return
    if (!this.#known.redis88) this.#known.refuse('what a stream remembers of idempotent producers')
    const command = this.#start('XCFGSET')
    command.text('IDMP-DURATION')
    command.integer(duration)
    command.text('IDMP-MAXSIZE')
    command.integer(limit)
    this.#finish()
  }

  raw(bytes: Slice): void {
    this.#raw.append(bytes)
  }

  next(index: bigint): void {
    this.#next = index
  }

  slot(index: bigint, value: Slice): void {
    if (!this.#known.redis88) this.#known.refuse('an array')
    const command = this.#itemOf('ARMSET')
    command.integer(index)
    command.slice(value)
    this.#itemDone()
  }

  end(): void {
    if (this.#kind === 'stream') this.#endStream()
    else if (this.#kind === 'module') this.#endModule()
    else if (this.#kind === 'array') this.#endArray()
    this.cut()
  }

  /** The value breaks off, unless it had its end: gives what was made of it, and when it expires. */
  cut(): void {
    if (this.#items > 0) this.#finish()
    if (this.#exists && this.#expireAtMs !== NO_EXPIRY) {
      this.#start('PEXPIREAT').integer(this.#expireAtMs)
      this.#finish()
    }
    this.#exists = false
  }

  /** Begins a command on the key. */
  #start(name: string, subcommand?: string): Command {
    const command = this.#command
    command.clear()
    command.text(name)
    if (subcommand !== undefined) command.text(subcommand)
    command.copy(this.#key, 0)
    return command
  }

  #finish(): void {
    this.#items = 0
    this.#exists = true
    if (this.#expiringFields && this.#setWithExpiry) {
      this.#setFields()
      return
    }
    this.#give(this.#command)
    if (this.#expiringFields) this.#expireFields()
  }

  /** The command that takes the next item. */
  #itemOf(name: string): Command {
    return this.#items === 0 ? this.#start(name) : this.#command
  }

  #itemDone(): void {
    if (++this.#items === ITEMS || this.#command.length > LONG_COMMAND) this.#finish()
  }

  /** Says when the fields of the HMSET that was given expire: of neighbours with one time in one command. */
  #expireFields(): void {
    this.#eachRun((time, from, to) => {
      const command = this.#startFields('HPEXPIREAT')
      command.integer(time)
      command.text('FIELDS')
      command.number(to - from)
      for (let i = from; i < to; i++) command.copy(this.#command, HMSET_FIELDS + 2 * i)
      this.#give(command)
    })
  }

  /** Gives, instead of the HMSET, one for the fields that do not expire, and an HSETEX for neighbours with one time. */
  #setFields(): void {
    const { count } = this.#command
    const command = this.#startFields('HMSET')
    for (let a = HMSET_FIELDS; a < count; a++)
      if (this.#fieldExpiries[(a - HMSET_FIELDS) >> 1] === NO_EXPIRY) command.copy(this.#command, a)
    if (command.count > HMSET_FIELDS) this.#give(command)
    this.#eachRun((time, from, to) => {
      const command = this.#startFields('HSETEX')
      command.text('PXAT')
      command.integer(time)
      command.text('FIELDS')
      command.number(to - from)
      for (let a = HMSET_FIELDS + 2 * from; a < HMSET_FIELDS + 2 * to; a++) command.copy(this.#command, a)
      this.#give(command)
    })
  }

  #startFields(name: string): Command {
    const command = this.#expiry
    command.clear()
    command.text(name)
    command.copy(this.#key, 0)
    return command
  }

  /** Calls `visit` with the fields of the HMSET that expire, neighbours with one time together. */
  #eachRun(visit: (time: bigint, from: number, to: number) => void): void {
    if (!this.#known.fieldExpiry) this.#known.refuse('fields that expire')
    this.#expiringFields = false
    const times = this.#fieldExpiries
    const fields = (this.#command.count - HMSET_FIELDS) / 2
    for (let from = 0, to = 0; from < fields; from = to) {
      const time = times[from]
      while (to < fields && times[to] === time) to++
      if (time !== NO_EXPIRY) visit(time, from, to)
    }
  }

  #endConsumer(): void {
    if (!this.#consumerIsNew) return
    this.#consumerIsNew = false
    const command = this.#start('XGROUP', 'CREATECONSUMER')
    command.copy(this.#group, 0)
    command.copy(this.#consumer, 0)
    this.#finish()
  }

  #endHandedBack(): void {
    const ids = this.#handedBack
    if (ids.length === 0) return
    if (!this.#known.redis88) this.#known.refuse('pending entries that were handed back')
    const command = this.#start('XNACK')
    command.copy(this.#group, 0)
    command.text('FAIL')
    command.text('IDS')
    command.number(ids.length)
    for (const { ms, seq } of ids) command.id(ms, seq)
    command.text('RETRYCOUNT')
    command.integer(this.#deliveries)
    command.text('FORCE')
    this.#finish()
    ids.length = 0
  }

  #endGroup(): void {
    this.#endConsumer()
    this.#endHandedBack()
  }

  #endStream(): void {
    this.#endGroup()
    if (this.#produced.length > 0 && !this.#known.redis88)
      this.#known.refuse('what a stream remembers of idempotent producers')
    for (const [producer, id, ms, seq] of this.#produced) {
      const command = this.#start('XIDMPRECORD')
      command.add(producer, 0, producer.length)
      command.add(id, 0, id.length)
      command.id(ms, seq)
      this.#finish()
    }
  }

  #endModule(): void {
    if (this.#payload === undefined) return
    const raw = this.#raw
    const payload = this.#payload(raw.bytes.subarray(raw.start[0], raw.end[0]))
    const command = this.#start('RESTORE')
    command.text('0')
    command.add(payload, 0, payload.length)
    command.text('ABSTTL')
    this.#finish()
  }

  #endArray(): void {
    if (this.#items > 0) this.#finish()
    if (this.#next === undefined || !this.#exists) return
    this.#start('ARSEEK').integer(this.#next)
    this.#finish()
  }
}

/** Arguments before the fields of an HMSET. */
const HMSET_FIELDS = 2

/** Makes bytes that are remembered from one call to the next the only argument. */
function hold(command: Command, bytes: Slice): void {
  command.clear()
  command.slice(bytes)
}

function least(a: bigint, b: bigint): bigint {
  return a < b ? a : b
}
