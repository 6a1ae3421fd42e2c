import { integerIn } from '../bytes/decimal.ts'
import { JobError } from '../bytes/errors.ts'
import { type ElementSink, type Kind, NO_EXPIRY, type StreamState } from '../values/elements.ts'
import { Slice } from '../values/slice.ts'
import { IntsetWriter } from './encodings/intset.ts'
import { dividesServers, ListpackWriter } from './encodings/listpack.ts'
import type { PackedWriter } from './encodings/packed.ts'
import { StreamWriter } from './encodings/stream-writer.ts'
import { Texts } from './encodings/texts.ts'
import { ZiplistWriter } from './encodings/ziplist.ts'
import type { Output } from './output.ts'
import { type Family, PACKED_LIMITS, type RdbTarget } from './targets.ts'

/** Types that are written, see format.ts. */
const Type = {
  String: 0,
  Set: 2,
  Hash: 4,
  SortedSet: 5,
  Module: 7,
  Intset: 11,
  ListpackOfSet: 20,
  VolatileHash: { redis: 24, valkey: 22 },
  VolatileListpack: 25,
} as const

const PACKED_TYPES = {
  ziplist: { list: 14, zset: 12, hash: 13 },
  listpack: { list: 18, zset: 17, hash: 16 },
} as const

const STREAM_TYPES = { 1: 15, 2: 19, 3: 21 } as const

/** What a node of a list is: one item as it is, or several packed. Ziplists are all packed, and do not say so. */
const PLAIN_NODE = 1
const PACKED_NODE = 2
/** Bytes that servers reckon a listpack grows by, besides the text of an item. */
const LISTPACK_OVERHEAD = 8

/** When a field may expire, so that servers load it: Redis keeps 48 bits, and takes 0 for none. */
const FIELD_EXPIRIES = {
  redis: { earliest: 1n, latest: 0xffff_ffff_ffffn },
  valkey: { earliest: 0n, latest: 0x7fff_ffff_ffff_ffffn },
} as const

/** Scores and expiries for which room is kept for the next value. */
const MOST_KEPT = 1 << 16

/** Bytes of a module's id: the mark of a 64-bit length, 9 letters of 6 bits, 10 bits for the version. */
const MODULE_ID_SIZE = 9
/** The letters `vectorset`, as they stand there; the last byte is version, the one before both. */
const VECTOR_SETS = [0x81, 0xbd, 0xe7, 0x2d, 0xa2, 0xbb, 0x1e, 0xb4]

/**
 * Writes the value of one entry after the other, from its elements, as a target's servers would: packed while it is
 * small, which is only known at its end. Until then elements are gathered; once it is clear that they will not be
 * packed, and how many there are, they are written as they come.
 */
export class ValueWriter implements ElementSink {
  readonly #target: RdbTarget
  readonly #output: Output
  readonly #modules: Family | undefined
  readonly #refuse: (what: string) => never
  readonly #packer: PackedWriter
  readonly #intset = new IntsetWriter()
  readonly #streams: StreamWriter
  readonly #gathered = new Texts()
  /** Of the gathered members, or of the gathered pairs. */
  #scores = new Float64Array(PACKED_LIMITS.zset)
  #expiries = new BigInt64Array(PACKED_LIMITS.hash)
  readonly #order: number[] = []
  readonly #text = new Slice()
  readonly #other = new Slice()
  readonly #moduleId = new Uint8Array(MODULE_ID_SIZE)

  #kind: Kind = 'string'
  #typeAt = 0
  /** How many elements there should be; -1 unknown. */
  #announced = 0
  /** How many there were, of those that are written as they come. */
  #written = 0
  /** Whether elements are written as they come. */
  #plain = false
  /** Whether all elements so far are short enough to be packed. */
  #short = true
  /** Whether all members so far are integers. */
  #integers = true
  #mayExpire = false
  #expires = false
  /** Offset, and bytes, of the count that stands before what is written as it comes. */
  #countAt = 0
  #countSize = 0
  /** Nodes of the list that are written. */
  #nodes = 0
  #moduleBytes = 0

  /**
   * @param modules whose modules wrote the values that come as raw bytes; undefined where that is not known
   * @param refuse is told what the target cannot hold, and throws
   */
  constructor(
    target: RdbTarget,
    output: Output,
    modules: Family | undefined,
    refuse: (what: string) => never,
  ) {
    this.#target = target
    this.#output = output
    this.#modules = modules
    this.#refuse = refuse
    const listpacks = { narrow: target.backLengths === 'narrow' }
    this.#packer = target.packing === 'ziplist' ? new ZiplistWriter() : new ListpackWriter(listpacks)
    this.#streams = new StreamWriter(output, listpacks)
  }

  /**
   * The next calls bring the value of an entry, behind whose key the output stands, all held back.
   *
   * @param typeAt offset of its type, which is written when it is known
   * @param fieldsExpire whether fields may expire; undefined where that is not known
   */
  start(typeAt: number, fieldsExpire: boolean | undefined): void {
    this.#typeAt = typeAt
    this.#mayExpire = fieldsExpire !== false && this.#target.fieldExpiry !== undefined
  }

  begin(kind: Kind, count: number): void {
    this.#kind = kind
    this.#announced = count
    switch (kind) {
      case 'string':
        this.#is(Type.String)
        break
      case 'list':
        this.#is(PACKED_TYPES[this.#target.packing].list)
        this.#nodes = 0
        this.#packer.reset()
        break
      case 'stream':
        this.#is(STREAM_TYPES[this.#target.streams])
        this.#streams.begin(this.#target.streams)
        break
      case 'module':
        this.#beginModule()
        break
      case 'array':
        this.#refuse('an array')
        break
      default:
        this.#beginCollection(kind, count)
    }
  }

  end(): void {
    switch (this.#kind) {
      case 'list':
        this.#endList()
        break
      case 'set':
      case 'zset':
      case 'hash':
        if (this.#plain) this.#checkCount()
        else this.#endGathered()
        break
      case 'stream':
        this.#streams.end()
        break
      case 'module':
        if (this.#moduleBytes < MODULE_ID_SIZE) this.#refuse('a value of a module that does not say which')
    }
    this.#output.release()
  }

  #is(type: number): void {
    this.#output.change(this.#typeAt, type)
  }

  string(value: Slice): void {
    this.#output.text(value)
  }

  // Lists

  item(value: Slice): void {
    const { length } = present(value)
    if (length > this.#target.longestPackedItem) {
      this.#flushNode()
      this.#beginNode(PLAIN_NODE)
      this.#output.text(value)
      return
    }
    const packer = this.#packer
    if (packer.count > 0 && packer.size + length + this.#overhead(length) > PACKED_LIMITS.node)
      this.#flushNode()
    packer.append(value)
  }

  /** Bytes that servers reckon an item takes besides its text. */
  #overhead(length: number): number {
    if (this.#target.packing === 'listpack') return LISTPACK_OVERHEAD
    return (length < 254 ? 1 : 5) + (length < 64 ? 1 : length < 16384 ? 2 : 5)
  }

  #flushNode(): void {
    const packer = this.#packer
    if (packer.count === 0) return
    this.#beginNode(PACKED_NODE)
    this.#output.text(packer.finish())
    packer.reset()
  }

  #beginNode(container: number): void {
    const output = this.#output
    if (this.#nodes === 0) {
      // One node, as most lists have, until there are more.
      this.#countAt = output.size
      output.length(1)
    }
    this.#nodes++
    if (this.#target.packing === 'listpack') output.length(container)
  }

  #endList(): void {
    this.#flushNode()
    if (this.#nodes === 0) this.#output.length(0)
    else if (this.#nodes > 1) this.#output.replace(this.#countAt, 1, this.#nodes)
  }

  // Sets, sorted sets, hashes

  #beginCollection(kind: 'set' | 'zset' | 'hash', count: number): void {
    this.#plain = false
    this.#short = true
    this.#integers = true
    this.#expires = false
    this.#gathered.clear()
    if (this.#scores.length > MOST_KEPT) this.#scores = new Float64Array(PACKED_LIMITS.zset)
    if (this.#expiries.length > MOST_KEPT) this.#expiries = new BigInt64Array(PACKED_LIMITS.hash)
    const limit = kind === 'set' ? PACKED_LIMITS.intset : PACKED_LIMITS[kind]
    if (count > limit && (kind !== 'hash' || !this.#mayExpire)) this.#goPlain()
  }

  member(value: Slice): void {
    if (this.#plain) {
      this.#output.text(value)
      this.#written++
      return
    }
    this.#gathered.add(present(value))
    if (value.length > PACKED_LIMITS.element) this.#short = false
    if (this.#integers && integerIn(value.bytes, value.at, value.end) === undefined) this.#integers = false
    if (!this.#integers && this.#announced >= 0 && !this.#packsSet(this.#announced)) this.#goPlain()
  }

  #packsSet(count: number): boolean {
    return this.#target.highestType >= Type.ListpackOfSet && this.#short && count <= PACKED_LIMITS.set
  }

  scored(member: Slice, score: number): void {
    if (Number.isNaN(score)) this.#refuse('a score that is not a number')
    if (this.#plain) {
      this.#output.text(member)
      this.#output.double(score)
      this.#written++
      return
    }
    const { count } = this.#gathered
    if (count === this.#scores.length) {
      const larger = new Float64Array(2 * count)
      larger.set(this.#scores)
      this.#scores = larger
    }
    this.#scores[count] = score
    this.#gathered.add(present(member))
    if (member.length > PACKED_LIMITS.element) this.#short = false
  }

  field(name: Slice, value: Slice, expireAtMs: bigint): void {
    if (this.#kind === 'stream') {
      if (this.#target.backLengths === undefined) {
        if (dividesServers(name)) this.#refuseSize(name)
        if (dividesServers(value)) this.#refuseSize(value)
      }
      this.#streams.field(name, value)
      return
    }
    if (expireAtMs !== NO_EXPIRY) this.#checkExpiry(expireAtMs)
    if (this.#plain) {
      this.#output.text(name)
      this.#output.text(value)
      this.#written++
      return
    }
    if (this.#mayExpire) this.#keepExpiry(expireAtMs)
    this.#gathered.add(present(name))
    this.#gathered.add(present(value))
    if (name.length <= PACKED_LIMITS.element && value.length <= PACKED_LIMITS.element) return
    this.#short = false
    if (this.#announced >= 0 && !this.#mayExpire) this.#goPlain()
  }

  #refuseSize({ length }: Slice): never {
    this.#refuse(`a stream with a name or value of ${length} bytes, which servers keep in different forms`)
  }

  #checkExpiry(expireAtMs: bigint): void {
    const { fieldExpiry } = this.#target
    if (fieldExpiry === undefined) this.#refuse('fields that expire')
    if (!this.#mayExpire) throw new RangeError('a field that expires, in a hash that was said to have none')
    const { earliest, latest } = FIELD_EXPIRIES[fieldExpiry]
    if (expireAtMs < earliest || expireAtMs > latest) this.#refuse(`a field that expires at ${expireAtMs} ms`)
    this.#expires = true
  }

  #keepExpiry(expireAtMs: bigint): void {
    const pair = this.#gathered.count / 2
    if (pair === this.#expiries.length) {
      const larger = new BigInt64Array(2 * pair)
      larger.set(this.#expiries)
      this.#expiries = larger
    }
    this.#expiries[pair] = expireAtMs
  }

  /** Writes what is gathered, not packed; what follows is written as it comes. */
  #goPlain(): void {
    const gathered = this.#gathered
    const kind = this.#kind as 'set' | 'zset' | 'hash'
    const output = this.#output
    this.#is(kind === 'set' ? Type.Set : kind === 'zset' ? Type.SortedSet : Type.Hash)
    this.#plain = true
    this.#written = kind === 'hash' ? gathered.count / 2 : gathered.count
    this.#countAt = output.size
    output.length(this.#announced)
    this.#countSize = output.size - this.#countAt
    for (let i = 0; i < gathered.count; i++) {
      output.text(gathered.get(i, this.#text))
      if (kind === 'zset') output.double(this.#scores[i])
    }
    output.loosen()
  }

  /** The count that came first is what the value said of itself; what there was counts. */
  #checkCount(): void {
    if (this.#written === this.#announced) return
    if (!this.#output.has(this.#countAt))
      throw new JobError(
        'rdb.count',
        `a ${this.#kind} that was said to have ${this.#announced} elements has ${this.#written}`,
      )
    this.#output.replace(this.#countAt, this.#countSize, this.#written)
  }

  #endGathered(): void {
    const kind = this.#kind
    const texts = this.#gathered.count
    const count = kind === 'hash' ? texts / 2 : texts
    // Servers refuse some packed strings without elements, and pass over all keys without.
    const any = count > 0
    if (kind === 'set' && any && this.#integers && count <= PACKED_LIMITS.intset) this.#endIntset()
    else if (kind === 'set' && any && this.#packsSet(count)) this.#endPacked(Type.ListpackOfSet)
    else if (kind === 'zset' && any) this.#endSorted(count)
    else if (kind === 'hash' && this.#expires) this.#endVolatile(count)
    else if (kind === 'hash' && any && this.#short && count <= PACKED_LIMITS.hash)
      this.#endPacked(PACKED_TYPES[this.#target.packing].hash)
    else {
      this.#announced = count
      this.#goPlain()
    }
  }

  #endIntset(): void {
    const intset = this.#intset
    const gathered = this.#gathered
    intset.reset()
    for (let i = 0; i < gathered.count; i++) {
      const { bytes, at, end } = gathered.get(i, this.#text)
      intset.append(integerIn(bytes, at, end) as number | bigint)
    }
    this.#is(Type.Intset)
    this.#output.text(intset.finish())
  }

  #endPacked(type: number): void {
    const packer = this.#packer
    const gathered = this.#gathered
    packer.reset()
    for (let i = 0; i < gathered.count; i++) packer.append(gathered.get(i, this.#text))
    this.#is(type)
    this.#output.text(packer.finish())
  }

  #endSorted(count: number): void {
    const packer = this.#packer
    const output = this.#output
    const order = this.#order
    this.#sort(count, this.#byScore)
    if (this.#short && count <= PACKED_LIMITS.zset) {
      packer.reset()
      for (let i = 0; i < count; i++) {
        packer.append(this.#gathered.get(order[i], this.#text))
        packer.append(scoreText(this.#scores[order[i]], this.#text))
      }
      this.#is(PACKED_TYPES[this.#target.packing].zset)
      output.text(packer.finish())
      return
    }
    this.#is(Type.SortedSet)
    output.length(count)
    // From the greatest on: servers then put each in front, and need not look for its place.
    for (let i = count - 1; i >= 0; i--) {
      output.text(this.#gathered.get(order[i], this.#text))
      output.double(this.#scores[order[i]])
    }
  }

  /** With the expiry of each field behind it, or, for Redis, before it, counted from the earliest. */
  #endVolatile(count: number): void {
    const output = this.#output
    const gathered = this.#gathered
    const expiries = this.#expiries
    const family = this.#target.fieldExpiry as Family
    let earliest: bigint = FIELD_EXPIRIES.redis.latest
    if (family === 'redis') {
      for (let i = 0; i < count; i++)
        if (expiries[i] !== NO_EXPIRY && expiries[i] < earliest) earliest = expiries[i]
      output.int64(earliest)
      if (this.#short && count <= PACKED_LIMITS.hash) {
        this.#endVolatilePacked(count)
        return
      }
    }
    this.#is(Type.VolatileHash[family])
    output.length(count)
    for (let i = 0; i < count; i++) {
      const expiry = expiries[i]
      if (family === 'redis') output.length(expiry === NO_EXPIRY ? 0n : expiry - earliest + 1n)
      output.text(gathered.get(2 * i, this.#text))
      output.text(gathered.get(2 * i + 1, this.#text))
      if (family === 'valkey') output.int64(expiry)
    }
  }

  #endVolatilePacked(count: number): void {
    const packer = this.#packer
    const gathered = this.#gathered
    packer.reset()
    // Redis looks for the next that expires at the front.
    this.#sort(count, this.#byExpiry)
    for (let i = 0; i < count; i++) {
      const pair = this.#order[i]
      const expiry = this.#expiries[pair]
      packer.append(gathered.get(2 * pair, this.#text))
      packer.append(gathered.get(2 * pair + 1, this.#text))
      packer.append(this.#text.integer(expiry === NO_EXPIRY ? 0 : Number(expiry)))
    }
    this.#is(Type.VolatileListpack)
    this.#output.text(packer.finish())
  }

  /** Fills `#order` with the numbers below `count`; most come in order. */
  #sort(count: number, compare: (one: number, other: number) => number): void {
    const order = this.#order
    order.length = 0
    let sorted = true
    for (let i = 0; i < count; i++) {
      order.push(i)
      if (i > 0 && sorted && compare(i - 1, i) > 0) sorted = false
    }
    if (!sorted) order.sort(compare)
  }

  readonly #byScore = (one: number, other: number): number => {
    const a = this.#scores[one]
    const b = this.#scores[other]
    if (a !== b) return a < b ? -1 : 1
    return compareBytes(this.#gathered.get(one, this.#text), this.#gathered.get(other, this.#other))
  }

  readonly #byExpiry = (one: number, other: number): number => {
    const a = this.#expiries[one]
    const b = this.#expiries[other]
    if (a === b) return 0
    if (a === NO_EXPIRY) return 1
    return b === NO_EXPIRY || a < b ? -1 : 1
  }

  // Streams

  entry(ms: bigint, seq: bigint, fields: number): void {
    try {
      this.#streams.entry(ms, seq, fields)
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      this.#refuse(`entries of a stream that are out of order (${ms}-${seq})`)
    }
  }

  state(state: StreamState): void {
    this.#streams.state(state)
  }

  group(name: Slice, lastMs: bigint, lastSeq: bigint, entriesRead: bigint): void {
    this.#streams.group(name, lastMs, lastSeq, entriesRead)
  }

  pending(ms: bigint, seq: bigint, deliveredAtMs: bigint, deliveries: bigint): void {
    this.#streams.pending(ms, seq, deliveredAtMs, deliveries)
  }

  consumer(name: Slice, seenAtMs: bigint, activeAtMs: bigint): void {
    this.#streams.consumer(name, seenAtMs, activeAtMs)
  }

  owned(ms: bigint, seq: bigint): void {
    this.#streams.owned(ms, seq)
  }

  nacked(_ms: bigint, _seq: bigint): void {
    this.#refuse('entries that were handed back (XNACK)')
  }

  producer(_id: Slice): void {
    this.#refuse('idempotent producers')
  }

  produced(_id: Slice, _ms: bigint, _seq: bigint): void {
    this.#refuse('idempotent producers')
  }

  idempotence(_duration: bigint, _limit: bigint, added: bigint): void {
    // Every stream of Redis 8.6 says how long it would remember producers; most never had any.
    if (added > 0n) this.#refuse('idempotent producers')
  }

  // Modules

  #beginModule(): void {
    const { family } = this.#target
    if (family === undefined || this.#modules !== family)
      this.#refuse(
        this.#modules === undefined ? 'values of modules' : `values of modules of ${this.#modules}`,
      )
    this.#moduleBytes = 0
    this.#is(Type.Module)
  }

  raw(bytes: Slice): void {
    const { bytes: from, at, end } = bytes
    for (let i = at; i < end && this.#moduleBytes < MODULE_ID_SIZE; i++) {
      this.#moduleId[this.#moduleBytes++] = from[i]
      if (this.#moduleBytes === MODULE_ID_SIZE) this.#checkModule()
    }
    this.#output.raw(from, at, end)
    this.#output.loosen()
  }

  #checkModule(): void {
    const isVectorSet = VECTOR_SETS.every((byte, i) => (this.#moduleId[i] & (i === 7 ? 0xfc : 0xff)) === byte)
    if (isVectorSet && !this.#target.vectorSets) this.#refuse('vector sets')
  }

  // Arrays are refused at their beginning.

  next(): void {}

  slot(): void {}
}

/** The text itself, unless it was passed over: then nobody can write it. */
function present(text: Slice): Slice {
  if (text.end > text.bytes.length) throw new RangeError('a text whose bytes are not there')
  return text
}

/** Which of two comes first: below, above or equal to 0. */
function compareBytes(one: Slice, other: Slice): number {
  const common = Math.min(one.length, other.length)
  for (let i = 0; i < common; i++) {
    const difference = one.bytes[one.at + i] - other.bytes[other.at + i]
    if (difference !== 0) return difference
  }
  return one.length - other.length
}

/** A score as servers keep it in packed strings: text that is exactly that number. */
function scoreText(score: number, text: Slice): Slice {
  if (Number.isSafeInteger(score) && !Object.is(score, -0)) return text.integer(score)
  const digits = Object.is(score, -0)
    ? '-0'
    : Number.isFinite(score)
      ? String(score)
      : score > 0
        ? 'inf'
        : '-inf'
  const bytes = text.room(digits.length)
  for (let i = 0; i < digits.length; i++) bytes[i] = digits.charCodeAt(i)
  return text
}
