import { escapeBytes } from '../bytes/escape.ts'
import { type Magic, valueType } from '../rdb/format.ts'
import { SERVER_FACTS, SERVERS } from '../servers/servers.ts'
import { IgnoredElements, type Kind, NO_EXPIRY, PASSED_OVER } from '../values/elements.ts'
import type { Slice } from '../values/slice.ts'
import { FingerprintTable, fingerprint } from './fingerprints.ts'

/** All servers, as a set. */
const ALL = SERVERS.reduce((bits, name) => bits | SERVER_FACTS[name].bit, 0)
/** Those that look into every value they load, as the others do with `sanitize-dump-payload yes`. */
const CLOSE = SERVER_FACTS['valkey-9.1'].bit
const NONE = 0

export interface ValueFault {
  readonly code: string
  /** In the part. */
  readonly offset: number
  readonly message: string
}

/**
 * When a server meets a fault and does not load the file, tried on all four:
 *
 * - `always`.
 * - `read`: when it goes through a listpack: to look closely, to count elements where their number is not said, or to
 *   take them out.
 * - `taken-out`: when it looks closely, or takes elements out of their string into a table, since there are many.
 * - `small-hash`: the same for a plain hash, which is packed into a string when it is loaded, or becomes a table.
 * - `closely`: when it looks closely.
 * - `by-owner`: when it looks closely, or remembers whose a pending entry of a stream is; valkey 8.1 does not.
 * - `never`.
 */
type Met = 'always' | 'read' | 'taken-out' | 'small-hash' | 'closely' | 'by-owner' | 'never'

/** What decides, by the type of a value, when faults are met. */
interface Form {
  /** Elements above which they are in a table, with the default configuration. */
  readonly limit: number
  readonly duplicates: Met
  readonly notANumber: Met
  /** Of fields. Absent: they have none. */
  readonly expiries?: { readonly latest: bigint; readonly beyond: Met }
  /** Whether elements are in a listpack. */
  readonly listpack?: boolean
  /** Whether members are integers that must rise: their reader sees to that. */
  readonly intset?: boolean
  /** Whether scores, or the expiries of fields, must rise. */
  readonly sorted?: boolean
}

const HASH_LIMIT = 512
const INTSET_LIMIT = 512
const SET_LIMIT = 128
const ZSET_LIMIT = 128
/** A plain hash with a longer name or value becomes a table. */
const SMALL_TEXT = 64

const NO_LIMIT = Number.POSITIVE_INFINITY
const REDIS_LATEST = (1n << 48n) - 1n
const VALKEY_LATEST = (1n << 63n) - 1n

const PLAIN: Form = { limit: NO_LIMIT, duplicates: 'always', notANumber: 'always' }
const HASH: Form = { ...PLAIN, limit: HASH_LIMIT, duplicates: 'small-hash' }
const EXPIRING_HASH: Form = { ...HASH, expiries: { latest: REDIS_LATEST, beyond: 'always' } }
const LISTPACK: Form = { ...PLAIN, duplicates: 'taken-out', notANumber: 'taken-out', listpack: true }
const HASH_LISTPACK: Form = { ...LISTPACK, limit: HASH_LIMIT }
const EXPIRING_LISTPACK: Form = {
  ...HASH_LISTPACK,
  expiries: { latest: REDIS_LATEST, beyond: 'taken-out' },
  sorted: true,
}

/** By the name of the type. Others are {@link PLAIN}. */
const FORMS: Readonly<Record<string, Form>> = {
  'hash-hashtable': HASH,
  'hash-hashtable-md-pre-release': EXPIRING_HASH,
  'hash-hashtable-md': EXPIRING_HASH,
  'hash-volatile-items': { ...PLAIN, expiries: { latest: VALKEY_LATEST, beyond: 'always' } },
  'hash-listpack': HASH_LISTPACK,
  'hash-listpack-md-pre-release': EXPIRING_LISTPACK,
  'hash-listpack-md': EXPIRING_LISTPACK,
  'set-intset': { ...PLAIN, limit: INTSET_LIMIT, duplicates: 'taken-out', intset: true },
  'set-listpack': { ...LISTPACK, limit: SET_LIMIT },
  'zset-ziplist': { ...PLAIN, limit: ZSET_LIMIT, notANumber: 'taken-out', sorted: true },
  'zset-listpack': { ...LISTPACK, limit: ZSET_LIMIT, sorted: true },
}

/** Servers turn these into listpacks when they load one, and look at all of it then. */
const ALWAYS_READ = /^rdb\.(?:ziplist|zipmap)\./

/** Oddities that servers load even when they look closely. */
const HARMLESS: ReadonlySet<string> = new Set([
  'rdb.quicklist.node',
  'rdb.zipmap.behind',
  'rdb.stream.flags',
  'rdb.stream.order',
  'rdb.stream.first-id',
  'rdb.stream.last-id',
  'rdb.stream.deleted-id',
  'rdb.stream.added',
])

/** Kinds that have no values without elements: servers pass over their keys. */
const NEVER_EMPTY: ReadonlySet<Kind> = new Set(['list', 'set', 'zset', 'hash'])

/** Elements of a value that are looked at for duplicates: 48 MiB at most. */
const MOST_ELEMENTS = 1 << 21
/** So many are compared with each other; more go into a table. */
const FEW = 16
/** Bytes of an element that a message shows. */
const SHOWN = 40

/** Looks for what is wrong with a value, while its elements come. One object checks many values. */
export class ValueCheck extends IgnoredElements {
  /** Whether servers find no elements in the value, and pass over its key. */
  empty = false
  /** Whether a value has begun and not ended. */
  open = false
  readonly #report: (fault: ValueFault, refusing: number) => void
  readonly #forms: Readonly<Record<Magic, (Form | undefined)[]>> = { REDIS: [], VALKEY: [] }
  #form = PLAIN
  #offset = 0
  /** Elements that it says it has; -1 where it does not. */
  #declared = 0
  /** Elements that came. */
  #count = 0
  /** Bytes of the longest name or value of a field. */
  #longest = 0
  /** Whether fields are those of a stream's entries. */
  #isStream = false

  readonly #prints = new Int32Array(2 * FEW)
  readonly #table = new FingerprintTable()
  #lastScore = Number.NEGATIVE_INFINITY
  #lastExpiry = 0n

  readonly #faults: (ValueFault & { readonly met: Met })[] = []
  /** Codes of what was found by this object itself: each counts once. */
  readonly #found = new Set<string>()

  /**
   * @param report is told what is wrong with a value once that has ended, and the set of servers ({@link serversIn})
   *   that refuse a file for it, as long as they know the type
   */
  constructor(report: (fault: ValueFault, refusing: number) => void) {
    super()
    this.#report = report
  }

  /** A value of `type` is to come, whose entry stands at `offset` in the part. */
  start(magic: Magic, type: number, offset: number): void {
    this.#forms[magic][type] ??= FORMS[valueType(magic, type)?.name ?? ''] ?? PLAIN
    this.#form = this.#forms[magic][type] as Form
    this.#offset = offset
    this.#declared = 0
    this.#count = 0
    this.empty = false
    this.open = true
    if (this.#found.size > 0) this.#found.clear()
  }

  override begin(kind: Kind, count: number): void {
    this.#declared = count
    this.#longest = 0
    this.#isStream = kind === 'stream'
    this.#lastScore = Number.NEGATIVE_INFINITY
    this.#lastExpiry = 0n
    this.empty = count <= 0 && NEVER_EMPTY.has(kind)
    if (this.#table.count > 0) this.#table.clear()
  }

  override item(_value: Slice): void {
    this.#count++
  }

  override member(value: Slice): void {
    if (this.#form.intset === true && this.#declared <= INTSET_LIMIT) this.#count++
    else if (!this.#isNew(value)) this.#duplicate('member', value)
  }

  override scored(member: Slice, score: number): void {
    if (!this.#isNew(member)) this.#duplicate('member', member)
    if (score >= this.#lastScore) this.#lastScore = score
    else this.#checkScore(member, score)
  }

  override field(name: Slice, value: Slice, expireAtMs: bigint): void {
    if (this.#isStream) return
    const length = name.end - name.at
    const valueLength = value.end - value.at
    if (length > this.#longest) this.#longest = length
    if (valueLength > this.#longest) this.#longest = valueLength
    if (!this.#isNew(name)) this.#duplicate('field', name)
    if (this.#form.expiries !== undefined) this.#checkExpiry(name, expireAtMs)
  }

  override end(): void {
    // What says that it has none has none to servers, whatever stands there.
    if (this.empty && this.#declared < 0) this.empty = this.#count === 0
    this.#close()
  }

  /** The value cannot be decoded any further; so it has ended. */
  broken(code: string, offset: number, message: string): void {
    this.#faults.push({ code, offset, message, met: this.#metBy(code, 'always') })
    this.empty = this.empty && this.#declared === 0
    this.#close()
  }

  #close(): void {
    this.open = false
    if (this.empty)
      this.#add('rdb.value.empty', 'never', () => 'it has no elements: servers pass over the key')
    if (this.#faults.length > 0) this.#judge()
  }

  /** Something about its encoding is odd. */
  odd(code: string, offset: number, message: string): void {
    this.#faults.push({ code, offset, message, met: this.#metBy(code, 'closely') })
  }

  /** When servers meet what readers find wrong with an encoding. */
  #metBy(code: string, others: Met): Met {
    // To know when the first of the fields expires, servers go through three elements.
    const first = this.#form.expiries !== undefined && this.#form.listpack === true && this.#count === 0
    switch (code) {
      case 'rdb.listpack.backlen':
      case 'rdb.listpack.element':
        return first ? 'always' : 'read'
      case 'rdb.hash.expiry':
        return first ? 'always' : 'taken-out'
      case 'rdb.hash.pairs':
      case 'rdb.zset.pairs':
        return this.#form.listpack === true ? 'taken-out' : 'always'
      case 'rdb.stream.node':
        return 'closely'
      case 'rdb.stream.owners':
        return 'by-owner'
      default:
        if (HARMLESS.has(code)) return 'never'
        return ALWAYS_READ.test(code) ? 'always' : others
    }
  }

  /** Reports what was found: only now is known how many elements there are. */
  #judge(): void {
    const faults = this.#faults
    for (const { met, ...fault } of faults) this.#report(fault, this.#refusing(met))
    faults.length = 0
  }

  #refusing(met: Met): number {
    const { limit, listpack } = this.#form
    const isTable = (this.#declared < 0 ? this.#count : this.#declared) > limit
    switch (met) {
      case 'always':
        return ALL
      case 'read':
        return isTable || (listpack === true && this.#declared < 0) ? ALL : CLOSE
      case 'taken-out':
        return isTable ? ALL : CLOSE
      case 'small-hash':
        return isTable || this.#longest > SMALL_TEXT ? ALL : CLOSE
      case 'closely':
        return CLOSE
      case 'by-owner':
        return ALL & ~SERVER_FACTS['valkey-8.1'].bit
      case 'never':
        return NONE
    }
  }

  /** @param message is only made once: such faults come by the million */
  #add(code: string, met: Met, message: () => string): void {
    if (this.#found.has(code)) return
    this.#found.add(code)
    this.#faults.push({ code, offset: this.#offset, message: message(), met })
  }

  /** Whether the element was not there before. Of very many, and of one that was passed over, that is not known. */
  #isNew(element: Slice): boolean {
    const count = this.#count++
    if (count >= FEW) return this.#isNewToTable(element, count)
    const prints = this.#prints
    const place = 2 * count
    if (element.bytes === PASSED_OVER) {
      prints[place] = count
      prints[place + 1] = -1
      return true
    }
    fingerprint(element.bytes, element.at, element.end, 0, prints, place)
    const first = prints[place]
    for (let i = 0; i < place; i += 2)
      if (prints[i] === first && prints[i + 1] === prints[place + 1]) return false
    return true
  }

  #isNewToTable(element: Slice, count: number): boolean {
    const prints = this.#prints
    const table = this.#table
    if (count === FEW) for (let i = 0; i < 2 * FEW; i += 2) table.add(prints, i)
    if (count >= MOST_ELEMENTS || element.bytes === PASSED_OVER) return true
    fingerprint(element.bytes, element.at, element.end, 0, prints, 0)
    return table.add(prints, 0)
  }

  #duplicate(what: string, element: Slice): void {
    this.#add(
      'rdb.value.duplicate',
      this.#form.duplicates,
      () => `the ${what} "${shown(element)}" is there twice`,
    )
  }

  /** A score that does not rise. */
  #checkScore(member: Slice, score: number): void {
    const { notANumber, sorted } = this.#form
    if (Number.isNaN(score))
      this.#add('rdb.score.nan', notANumber, () => `the score of "${shown(member)}" is not a number`)
    else if (sorted === true)
      this.#add(
        'rdb.score.order',
        'never',
        () => `scores must rise: ${score}, of "${shown(member)}", stands behind ${this.#lastScore}`,
      )
    this.#lastScore = score
  }

  #checkExpiry(name: Slice, expireAtMs: bigint): void {
    const { expiries, sorted } = this.#form
    const latest = expiries?.latest ?? VALKEY_LATEST
    if (expireAtMs !== NO_EXPIRY && (expireAtMs < 0n || expireAtMs > latest))
      this.#add(
        'rdb.hash.expiry',
        expiries?.beyond ?? 'never',
        () => `the field "${shown(name)}" expires at ${expireAtMs} ms, which is not from 0 to ${latest}`,
      )
    if (sorted !== true) return
    // Those that do not expire come last.
    const rank = expireAtMs === NO_EXPIRY ? VALKEY_LATEST : expireAtMs
    if (rank < this.#lastExpiry)
      this.#add(
        'rdb.hash.order',
        'never',
        () => `fields must stand in the order in which they expire: "${shown(name)}" does not`,
      )
    this.#lastExpiry = rank
  }
}

function shown({ bytes, at, end }: Slice): string {
  return escapeBytes(bytes.subarray(at, end), SHOWN)
}
