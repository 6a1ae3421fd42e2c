import { integerIn } from '../../bytes/decimal.ts'
import { corrupt } from '../../bytes/errors.ts'
import { type ElementSink, NO_EXPIRY } from '../../values/elements.ts'
import { Slice } from '../../values/slice.ts'
import { Cursor } from '../cursor.ts'
import { ListpackReader } from './listpack.ts'
import type { Odd } from './packed.ts'
import { Texts } from './texts.ts'

/**
 * Hashes that share their field names (Redis 8.10). In files the names stand once, as a template, in front of all keys;
 * in `DUMP` payloads every hash has its own. Shorter names come first, and equally long ones in the order of their
 * bytes. Values stand in the order of names.
 *
 *     242  length id  length count  names                    a template
 *     29   names  string: listpack of an id and the values   the id means nothing
 *     30   string: listpack of the id and the values
 *     31   names  values
 *     32   length id  values
 *
 *     names:  length 0  string: listpack   or   length 1  length count  strings
 */
export type TemplateForm = 'listpack' | 'listpack-reference' | 'array' | 'array-reference'

const NAMES_PACKED = 0
const NAMES_ONE_BY_ONE = 1

/** Bytes of names that are kept at once: of all templates of a file, of one hash. */
const MOST_NAMES = 1 << 30

/** Names of a template: `count` of those in `texts`, from number `first` on. */
interface Names {
  readonly texts: Texts
  readonly first: number
  readonly count: number
}

/** The templates of a file, by id. All names stand in one place: there may be millions of templates with one each. */
export class HashTemplates {
  readonly #templates = new Map<number, Names>()
  readonly #texts = new Texts()
  readonly #cursor = new Cursor(Number.POSITIVE_INFINITY)
  readonly #name = new Slice()

  /**
   * Remembers what a record defines.
   *
   * @param bytes of all of the record, from the opcode on
   * @param offset of the opcode in the part
   * @throws FormatError `rdb.template` when its id is taken (servers refuse that), it has no names, or all names are more
   *   than 1 GiB; as `Cursor` does
   */
  define(bytes: Uint8Array, offset: number): void {
    const cursor = this.#cursor
    const name = this.#name
    const texts = this.#texts
    cursor.set(bytes, 1, bytes.length, offset + 1)
    const id = cursor.length()
    const count = cursor.length()
    if (count === 0) throw corrupt('rdb.template', offset, `the hash template ${id} has no names`)
    if (this.#templates.has(id))
      throw corrupt('rdb.template', offset, `the hash template ${id} stands there twice`)
    const first = texts.count
    for (let i = 0; i < count; i++) {
      cursor.packed(name)
      if (texts.size + name.length > MOST_NAMES)
        throw corrupt(
          'rdb.template',
          offset,
          `the names of hash templates have more than ${MOST_NAMES} bytes`,
        )
      texts.add(name)
    }
    this.#templates.set(id, { texts, first, count })
  }

  /** The names of the template; undefined when there is none. */
  names(id: number): Names | undefined {
    return this.#templates.get(id)
  }
}

/** What a step of the reader takes. */
const Part = { Head: 0, Name: 1, Packed: 2, Value: 3 } as const

/**
 * Decodes such a hash, one name, value or packed string after the other.
 *
 * Corrupt are `rdb.template` (an unknown one), `rdb.template.names` (none, or in a form that is not known) and
 * `rdb.template.values` (not as many as there are names). Odd is `rdb.template.order` of names.
 */
export class TemplateReader {
  readonly #templates: HashTemplates
  readonly #packed = new ListpackReader()
  readonly #own = new Texts()
  readonly #text = new Slice()
  readonly #element = new Slice()
  readonly #name = new Slice()
  #form: TemplateForm = 'listpack'
  #odd: Odd | undefined
  /** Names that values are given by. */
  #names: Names = { texts: this.#own, first: 0, count: 0 }
  #part: number = Part.Head
  /** Names or values that are still to come. */
  #left = 0

  constructor(templates: HashTemplates) {
    this.#templates = templates
  }

  /** Begins with a value. */
  begin(form: TemplateForm, odd: Odd | undefined): void {
    this.#form = form
    this.#odd = odd
    this.#part = form === 'listpack-reference' ? Part.Packed : Part.Head
    this.#own.clear()
  }

  /**
   * Takes the next part from the cursor; true after the last one. When the bytes run out on the way, nothing has
   * changed but the cursor.
   */
  step(cursor: Cursor, sink: ElementSink): boolean {
    switch (this.#part) {
      case Part.Head:
        if (this.#form === 'array-reference') {
          const { offset } = cursor
          this.#nextAreValues(this.#referred(cursor.length(), offset))
        } else if (this.#readHead(cursor)) this.#nextAreValues(this.#ownNames())
        return false
      case Part.Name: {
        const { offset } = cursor
        // Needed to the end, however long it is.
        cursor.packed(this.#text)
        this.#addName(this.#text, offset)
        if (--this.#left === 0) this.#nextAreValues(this.#ownNames())
        return false
      }
      case Part.Packed:
        this.#readPacked(cursor, sink)
        return true
      default:
        cursor.string(this.#text)
        sink.field(this.#nameAt(this.#names.count - this.#left), this.#text, NO_EXPIRY)
        return --this.#left === 0
    }
  }

  #referred(id: number, offset: number): Names {
    const names = this.#templates.names(id)
    if (names === undefined) throw corrupt('rdb.template', offset, `hash template ${id} does not exist`)
    return names
  }

  #ownNames(): Names {
    return { texts: this.#own, first: 0, count: this.#own.count }
  }

  #nameAt(index: number): Slice {
    const { texts, first } = this.#names
    return texts.get(first + index, this.#name)
  }

  /** Whether all names were there. */
  #readHead(cursor: Cursor): boolean {
    const { offset } = cursor
    const form = cursor.length()
    if (form === NAMES_ONE_BY_ONE) {
      const count = cursor.length()
      if (count === 0) throw corrupt('rdb.template.names', offset, 'a hash without field names')
      this.#left = count
      this.#part = Part.Name
      return false
    }
    if (form !== NAMES_PACKED)
      throw corrupt('rdb.template.names', offset, `field names in the form ${form}: known are 0 and 1`)
    const text = this.#text
    cursor.packed(text)
    const packed = this.#packed
    packed.open(text, cursor.textOffset, cursor.plain, this.#odd)
    while (packed.next(this.#element)) this.#addName(this.#element, packed.offset)
    if (this.#own.count === 0) throw corrupt('rdb.template.names', offset, 'a hash without field names')
    return true
  }

  #addName(name: Slice, offset: number): void {
    const own = this.#own
    if (this.#odd !== undefined && own.count > 0 && !rises(own.get(own.count - 1, this.#name), name))
      this.#odd(
        'rdb.template.order',
        offset,
        'field names of a hash are not in order, or one stands there twice',
      )
    if (own.size + name.length > MOST_NAMES)
      throw corrupt('rdb.template.names', offset, `field names of a hash have more than ${MOST_NAMES} bytes`)
    own.add(name)
  }

  #nextAreValues(names: Names): void {
    this.#names = names
    this.#left = names.count
    this.#part = this.#form === 'listpack' ? Part.Packed : Part.Value
  }

  #readPacked(cursor: Cursor, sink: ElementSink): void {
    const text = this.#text
    const packed = this.#packed
    cursor.packed(text)
    packed.open(text, cursor.textOffset, cursor.plain, this.#odd)
    const value = this.#element
    const id = packed.next(value) ? integerIn(value.bytes, value.at, value.end) : undefined
    if (id === undefined)
      throw corrupt('rdb.template', packed.offset, 'no id of a template in front of the values of a hash')
    if (this.#form === 'listpack-reference') this.#names = this.#referred(Number(id), packed.offset)
    const { count } = this.#names
    let values = 0
    for (; packed.next(value); values++) {
      if (values === count) throw this.#unlike(packed.offset)
      sink.field(this.#nameAt(values), value, NO_EXPIRY)
    }
    if (values < count) throw this.#unlike(packed.offset)
  }

  #unlike(offset: number) {
    return corrupt(
      'rdb.template.values',
      offset,
      `a hash of ${this.#names.count} names has not as many values`,
    )
  }
}

function rises(name: Slice, next: Slice): boolean {
  const { length } = name
  if (length !== next.length) return length < next.length
  for (let i = 0; i < length; i++) {
    const order = name.bytes[name.at + i] - next.bytes[next.at + i]
    if (order !== 0) return order < 0
  }
  return false
}
