import { corrupt } from '../bytes/errors.ts'
import { type ElementSink, type Kind, NO_EXPIRY } from '../values/elements.ts'
import { parseScore, scoreIn } from '../values/score.ts'
import { Slice } from '../values/slice.ts'
import { type Cursor, SHORT } from './cursor.ts'
import { ArrayReader } from './encodings/array.ts'
import { IntsetReader } from './encodings/intset.ts'
import { ListpackReader } from './encodings/listpack.ts'
import type { Odd, PackedReader } from './encodings/packed.ts'
import { StreamReader, type StreamVersion } from './encodings/stream.ts'
import { type HashTemplates, type TemplateForm, TemplateReader } from './encodings/template.ts'
import { ZiplistReader } from './encodings/ziplist.ts'
import { ZipmapReader } from './encodings/zipmap.ts'
import { type Magic, valueType } from './format.ts'

/** Takes the values of one type apart, one step after the other. One object decodes many values. */
export interface Decoder {
  /** Begins with a value. */
  begin(): void
  /**
   * Takes one element from the cursor, or one string in which elements are packed, and gives it to the sink. True after
   * the last one. When the bytes run out on the way, the cursor throws, and the same step is made again with more: so
   * nothing is told to the sink, and nothing remembered, before all of them were taken.
   */
  step(cursor: Cursor, sink: ElementSink): boolean
  /** Whether the value ends where its bytes do, and nothing inside says so. */
  readonly open?: boolean
}

/** The decoders of all types, made when they are needed. */
export class Decoders {
  readonly #made: Readonly<Record<Magic, (Decoder | undefined)[]>> = { REDIS: [], VALKEY: [] }
  readonly #templates: HashTemplates
  readonly #odd: Odd | undefined

  constructor(templates: HashTemplates, odd: Odd | undefined) {
    this.#templates = templates
    this.#odd = odd
  }

  of(magic: Magic, type: number): Decoder | undefined {
    const made = this.#made[magic]
    made[type] ??= this.#make(valueType(magic, type)?.name ?? '')
    return made[type]
  }

  #make(name: string): Decoder | undefined {
    const odd = this.#odd
    switch (name) {
      case 'string':
        return new StringDecoder()
      case 'list-linked':
        return new ListDecoder()
      case 'set-hashtable':
        return new SetDecoder()
      case 'zset-v1':
        return new ZsetDecoder(textScore)
      case 'zset-v2':
        return new ZsetDecoder(cursor => cursor.double())
      case 'hash-hashtable':
        return new HashDecoder()
      case 'hash-hashtable-md-pre-release':
        return new HashDecoder('absolute')
      case 'hash-hashtable-md':
        return new HashDecoder('from-earliest')
      case 'hash-volatile-items':
        return new HashDecoder('behind')
      case 'hash-zipmap':
        return new PackedHashDecoder(new ZipmapReader(), odd)
      case 'list-ziplist':
        return new PackedListDecoder('list', new ZiplistReader(), odd)
      case 'set-intset':
        return new PackedListDecoder('set', new IntsetReader(), odd)
      case 'set-listpack':
        return new PackedListDecoder('set', new ListpackReader(), odd)
      case 'zset-ziplist':
        return new PackedZsetDecoder(new ZiplistReader(), odd)
      case 'zset-listpack':
        return new PackedZsetDecoder(new ListpackReader(), odd)
      case 'hash-ziplist':
        return new PackedHashDecoder(new ZiplistReader(), odd)
      case 'hash-listpack':
        return new PackedHashDecoder(new ListpackReader(), odd)
      case 'hash-listpack-md-pre-release':
        return new PackedHashDecoder(new ListpackReader(), odd, 'absolute')
      case 'hash-listpack-md':
        return new PackedHashDecoder(new ListpackReader(), odd, 'behind-earliest')
      case 'quicklist':
        return new QuicklistDecoder(new ZiplistReader(), odd, false)
      case 'quicklist-v2':
        return new QuicklistDecoder(new ListpackReader(), odd, true)
      case 'module-value':
        return new ModuleDecoder()
      case 'array':
        return new ArrayDecoder(odd)
    }
    const stream = STREAM_VERSIONS[name]
    if (stream !== undefined) return new StreamDecoder(stream, odd)
    const form = TEMPLATE_FORMS[name]
    return form === undefined ? undefined : new TemplateDecoder(form, this.#templates, odd)
  }
}

class StringDecoder implements Decoder {
  readonly #value = new Slice()

  begin(): void {}

  step(cursor: Cursor, sink: ElementSink): boolean {
    cursor.string(this.#value)
    sink.begin('string', 1)
    sink.string(this.#value)
    return true
  }
}

/** A count, and as many elements as it says. */
abstract class CountedDecoder implements Decoder {
  abstract readonly kind: Kind
  readonly first = new Slice()
  #left = -1

  begin(): void {
    this.#left = -1
  }

  step(cursor: Cursor, sink: ElementSink): boolean {
    if (this.#left >= 0) {
      this.element(cursor, sink)
      return --this.#left === 0
    }
    const count = this.count(cursor)
    this.#left = count
    sink.begin(this.kind, count)
    return count === 0
  }

  count(cursor: Cursor): number {
    return cursor.length()
  }

  abstract element(cursor: Cursor, sink: ElementSink): void
}

class ListDecoder extends CountedDecoder {
  readonly kind = 'list'

  element(cursor: Cursor, sink: ElementSink): void {
    cursor.string(this.first)
    sink.item(this.first)
  }
}

class SetDecoder extends CountedDecoder {
  readonly kind = 'set'

  element(cursor: Cursor, sink: ElementSink): void {
    cursor.string(this.first)
    sink.member(this.first)
  }
}

class ZsetDecoder extends CountedDecoder {
  readonly kind = 'zset'
  readonly #score: (cursor: Cursor) => number

  constructor(score: (cursor: Cursor) => number) {
    super()
    this.#score = score
  }

  element(cursor: Cursor, sink: ElementSink): void {
    cursor.string(this.first)
    const score = this.#score(cursor)
    sink.scored(this.first, score)
  }
}

/** A score as text: a byte for its size, or for what has no digits. */
function textScore(cursor: Cursor): number {
  const { offset } = cursor
  const size = cursor.byte()
  if (size === 253) return Number.NaN
  if (size === 254) return Number.POSITIVE_INFINITY
  if (size === 255) return Number.NEGATIVE_INFINITY
  cursor.take(size, SCORE)
  const score = scoreIn(SCORE)
  if (score === undefined) throw corrupt('rdb.score.text', offset, 'a score that is no number')
  return score
}

const SCORE = new Slice()

/**
 * How the expiries of fields stand there, in milliseconds. `absolute`: before each field, 0 for none. `from-earliest`:
 * the same, counted from one less than the earliest, which stands before the fields. `behind`: behind each value, -1 for
 * none.
 */
type FieldExpiries = 'absolute' | 'from-earliest' | 'behind'

/** Redis keeps 48 bits of a field's expiry, and refuses a file in which the earliest has more. */
const LATEST_EARLIEST = 1n << 48n

class HashDecoder extends CountedDecoder {
  readonly kind = 'hash'
  readonly #value = new Slice()
  readonly #expiries: FieldExpiries | undefined
  #earliest = 0n

  constructor(expiries?: FieldExpiries) {
    super()
    this.#expiries = expiries
  }

  override count(cursor: Cursor): number {
    const { offset } = cursor
    const earliest = this.#expiries === 'from-earliest' ? cursor.int64() : 1n
    if (BigInt.asUintN(64, earliest) > LATEST_EARLIEST)
      throw corrupt('rdb.hash.earliest', offset, `${earliest} is no time for fields to expire`)
    const count = cursor.length()
    this.#earliest = earliest
    return count
  }

  element(cursor: Cursor, sink: ElementSink): void {
    let expireAtMs = NO_EXPIRY
    if (this.#expiries === 'absolute' || this.#expiries === 'from-earliest') {
      const given = cursor.length64()
      if (given > 0n) expireAtMs = BigInt.asUintN(64, this.#earliest + given - 1n)
    }
    cursor.string(this.first)
    cursor.string(this.#value)
    if (this.#expiries === 'behind') expireAtMs = cursor.int64()
    sink.field(this.first, this.#value, expireAtMs)
  }
}

/** One string in which everything is packed. */
abstract class PackedDecoder implements Decoder {
  readonly reader: PackedReader
  readonly first = new Slice()
  readonly #odd: Odd | undefined
  readonly #packed = new Slice()

  constructor(reader: PackedReader, odd: Odd | undefined) {
    this.reader = reader
    this.#odd = odd
  }

  begin(): void {}

  step(cursor: Cursor, sink: ElementSink): boolean {
    cursor.packed(this.#packed)
    this.reader.open(this.#packed, cursor.textOffset, cursor.plain, this.#odd)
    this.elements(sink)
    return true
  }

  abstract elements(sink: ElementSink): void

  /** @throws FormatError when there is none: an element of the value is not whole */
  more(slice: Slice, code: string, what: string): void {
    if (!this.reader.next(slice)) throw corrupt(code, this.reader.offset, what)
  }
}

class PackedListDecoder extends PackedDecoder {
  readonly #kind: 'list' | 'set'

  constructor(kind: 'list' | 'set', reader: PackedReader, odd: Odd | undefined) {
    super(reader, odd)
    this.#kind = kind
  }

  elements(sink: ElementSink): void {
    const { reader, first } = this
    sink.begin(this.#kind, reader.count)
    if (this.#kind === 'list') while (reader.next(first)) sink.item(first)
    else while (reader.next(first)) sink.member(first)
  }
}

class PackedZsetDecoder extends PackedDecoder {
  readonly #score = new Slice()

  elements(sink: ElementSink): void {
    const { reader, first } = this
    sink.begin('zset', reader.count < 0 ? -1 : reader.count >> 1)
    while (reader.next(first)) {
      this.more(this.#score, 'rdb.zset.pairs', 'a member without a score')
      sink.scored(first, parseScore(this.#score))
    }
  }
}

/** How field expiries stand in a packed hash: behind each value; the earliest of them before the string. */
type PackedExpiries = 'absolute' | 'behind-earliest'

class PackedHashDecoder extends PackedDecoder {
  readonly #value = new Slice()
  readonly #expiry = new Slice()
  readonly #expiries: PackedExpiries | undefined

  constructor(reader: PackedReader, odd: Odd | undefined, expiries?: PackedExpiries) {
    super(reader, odd)
    this.#expiries = expiries
  }

  override step(cursor: Cursor, sink: ElementSink): boolean {
    if (this.#expiries === 'behind-earliest') cursor.int64()
    return super.step(cursor, sink)
  }

  elements(sink: ElementSink): void {
    const { reader, first } = this
    const value = this.#value
    const expiring = this.#expiries !== undefined
    const size = expiring ? 3 : 2
    sink.begin('hash', reader.count < 0 ? -1 : Math.floor(reader.count / size))
    while (reader.next(first)) {
      this.more(value, 'rdb.hash.pairs', 'a field without a value')
      sink.field(first, value, expiring ? this.#expireAtMs() : NO_EXPIRY)
    }
  }

  #expireAtMs(): bigint {
    const { reader } = this
    this.more(this.#expiry, 'rdb.hash.pairs', 'a field without an expiry')
    const { bytes, at, end } = this.#expiry
    const text = Buffer.from(bytes.buffer, bytes.byteOffset + at, end - at).toString('latin1')
    if (!/^-?\d{1,19}$/.test(text))
      throw corrupt('rdb.hash.expiry', reader.offset, 'the expiry of a field is no integer')
    const expireAtMs = BigInt(text)
    return expireAtMs === 0n ? NO_EXPIRY : expireAtMs
  }
}

const PLAIN_NODE = 1
const PACKED_NODE = 2

/** A count, and as many nodes as it says, in each of which elements are packed. */
class QuicklistDecoder implements Decoder {
  readonly #reader: PackedReader
  readonly #odd: Odd | undefined
  readonly #tagged: boolean
  readonly #node = new Slice()
  readonly #item = new Slice()
  #left = -1

  /** @param tagged whether a number before each node says how it is encoded: as a single element, or packed */
  constructor(reader: PackedReader, odd: Odd | undefined, tagged: boolean) {
    this.#reader = reader
    this.#odd = odd
    this.#tagged = tagged
  }

  begin(): void {
    this.#left = -1
  }

  step(cursor: Cursor, sink: ElementSink): boolean {
    if (this.#left < 0) {
      this.#left = cursor.length()
      sink.begin('list', this.#left === 0 ? 0 : -1)
      return this.#left === 0
    }
    const { offset } = cursor
    const container = this.#tagged ? cursor.length() : PACKED_NODE
    if (container === PLAIN_NODE) {
      cursor.string(this.#item)
      if (this.#item.length === 0) throw corrupt('rdb.quicklist.plain', offset, 'a node of nothing')
      sink.item(this.#item)
      return --this.#left === 0
    }
    if (container !== PACKED_NODE)
      throw corrupt('rdb.quicklist.container', offset, `a node of kind ${container}: known are 1 and 2`)
    cursor.packed(this.#node)
    const reader = this.#reader
    const item = this.#item
    reader.open(this.#node, cursor.textOffset, cursor.plain, this.#odd)
    if (reader.count === 0) this.#odd?.('rdb.quicklist.node', offset, 'a node without elements')
    while (reader.next(item)) sink.item(item)
    return --this.#left === 0
  }
}

class ModuleDecoder implements Decoder {
  readonly open = true
  readonly #bytes = new Slice()
  #begun = false

  begin(): void {
    this.#begun = false
  }

  step(cursor: Cursor, sink: ElementSink): boolean {
    if (!this.#begun) sink.begin('module', -1)
    this.#begun = true
    if (cursor.at === cursor.end) throw SHORT
    cursor.take(cursor.end - cursor.at, this.#bytes)
    sink.raw(this.#bytes)
    return false
  }
}

const STREAM_VERSIONS: Readonly<Record<string, StreamVersion>> = {
  stream: 1,
  'stream-v2': 2,
  'stream-v3': 3,
  'stream-v4': 4,
  'stream-v5': 5,
}

class StreamDecoder implements Decoder {
  readonly #version: StreamVersion
  readonly #odd: Odd | undefined
  readonly #reader = new StreamReader()
  #begun = false

  constructor(version: StreamVersion, odd: Odd | undefined) {
    this.#version = version
    this.#odd = odd
  }

  begin(): void {
    this.#begun = false
    this.#reader.begin(this.#version, this.#odd)
  }

  step(cursor: Cursor, sink: ElementSink): boolean {
    if (!this.#begun) sink.begin('stream', -1)
    this.#begun = true
    return this.#reader.step(cursor, sink)
  }
}

class ArrayDecoder implements Decoder {
  readonly #odd: Odd | undefined
  readonly #reader = new ArrayReader()
  #begun = false

  constructor(odd: Odd | undefined) {
    this.#odd = odd
  }

  begin(): void {
    this.#begun = false
    this.#reader.begin(this.#odd)
  }

  step(cursor: Cursor, sink: ElementSink): boolean {
    if (!this.#begun) sink.begin('array', -1)
    this.#begun = true
    return this.#reader.step(cursor, sink)
  }
}

const TEMPLATE_FORMS: Readonly<Record<string, TemplateForm>> = {
  'hash-template-listpack': 'listpack',
  'hash-template-listpack-ref': 'listpack-reference',
  'hash-template-array': 'array',
  'hash-template-array-ref': 'array-reference',
}

class TemplateDecoder implements Decoder {
  readonly #form: TemplateForm
  readonly #odd: Odd | undefined
  readonly #reader: TemplateReader
  #begun = false

  constructor(form: TemplateForm, templates: HashTemplates, odd: Odd | undefined) {
    this.#form = form
    this.#odd = odd
    this.#reader = new TemplateReader(templates)
  }

  begin(): void {
    this.#begun = false
    this.#reader.begin(this.#form, this.#odd)
  }

  step(cursor: Cursor, sink: ElementSink): boolean {
    if (!this.#begun) sink.begin('hash', -1)
    this.#begun = true
    return this.#reader.step(cursor, sink)
  }
}
