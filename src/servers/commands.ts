import { parseInteger } from '../bytes/decimal.ts'
import { COMMANDS } from './commands.generated.ts'
import { SERVER_FACTS, SERVERS, type ServerName, serversIn } from './servers.ts'

/*
 * Which commands a server knows, under numbers. Ids are the same for every server, so that a caller can keep tables of
 * its own by id: first the commands and subcommands of all servers in the order of commands.generated.ts, then the
 * names that the user allowed.
 */

/** What is known of a command; combined in {@link CommandTable.flags}. */
export const Flag = {
  Write: 1,
  Readonly: 2,
  Admin: 4,
  Blocking: 8,
  Pubsub: 16,
  /** Of a module that the server has built in (redis 8: vector sets). */
  Module: 32,
  /** The number or place of its keys depends on its arguments. */
  MovableKeys: 64,
  /** Refused from clients inside MULTI by at least one server. */
  NoMulti: 128,
  /** Takes a subcommand as its first argument. */
  Container: 256,
  /** Named by the user; nothing is known about it but its name. */
  Allowed: 512,
} as const

const FLAG_LETTERS: Record<string, number> = {
  w: Flag.Write,
  r: Flag.Readonly,
  a: Flag.Admin,
  b: Flag.Blocking,
  p: Flag.Pubsub,
  m: Flag.Module,
  k: Flag.MovableKeys,
  n: Flag.NoMulti,
  c: Flag.Container,
}

interface Row {
  readonly name: string
  /** For each server in the order of SERVERS, as `COMMAND` says it: exact, or negative for "at least". 0: unknown. */
  readonly arity: readonly number[]
  readonly flags: number
  readonly keys: string
}

const ROWS: readonly Row[] = COMMANDS.trim()
  .split('\n')
  .map(line => {
    const [name, arity, letters, keys] = line.split(' ')
    const arities = arity!.split(',').map(Number)
    let flags = 0
    if (letters !== '-') for (const letter of letters!) flags |= FLAG_LETTERS[letter]
    return {
      name: name!,
      arity: arities.length === 1 ? SERVERS.map(() => arities[0]) : arities,
      flags,
      keys: keys ?? '',
    }
  })

const ID_BY_NAME = new Map(ROWS.map((row, id) => [row.name, id]))

/** The id of a command that one of the servers knows, by its lower-case name: `set`, `xgroup|create`. */
export function idOf(name: string): number {
  const id = ID_BY_NAME.get(name)
  if (id === undefined) throw new RangeError(`no server knows ${name}`)
  return id
}

/** The commands and subcommands that one of the servers knows, in lower case. */
export function commandNames(): readonly string[] {
  return ROWS.map(row => row.name)
}

/** Commands that are more than a change of the keyspace. */
export const ids = {
  select: idOf('select'),
  swapdb: idOf('swapdb'),
  multi: idOf('multi'),
  exec: idOf('exec'),
  discard: idOf('discard'),
  reset: idOf('reset'),
  watch: idOf('watch'),
  unwatch: idOf('unwatch'),
  flushall: idOf('flushall'),
  flushdb: idOf('flushdb'),
  publish: idOf('publish'),
  spublish: idOf('spublish'),
  eval: idOf('eval'),
  evalsha: idOf('evalsha'),
  fcall: idOf('fcall'),
  function: idOf('function'),
  script: idOf('script'),
} as const

/** Arguments by their positions, as a batch of records has them. */
export interface Arguments {
  readonly bytes: Uint8Array
  /** Index into `bytes` of each argument; one that is not within `bytes` has a length and no content. */
  readonly start: ArrayLike<number>
  readonly length: ArrayLike<number>
}

/** The commands that one server knows, and those that the user allows. */
export class CommandTable {
  readonly server: ServerName
  /** By id, from {@link Flag}. */
  readonly flags: Uint16Array
  readonly #names: string[]
  readonly #min: Int32Array
  readonly #max: Int32Array
  readonly #known: readonly number[]
  readonly #commands: NameIndex
  /** By container; made when first asked for. */
  readonly #subcommands = new Map<number, NameIndex>()

  /** @param allow further names in any case, a subcommand as `CONTAINER|NAME`: known with any number of arguments */
  constructor(server: ServerName, allow: readonly string[] = []) {
    this.server = server
    const column = SERVERS.indexOf(server)
    const allowed = new Set(allow.map(foldName))
    this.#names = ROWS.map(row => row.name)
    for (const name of allowed) if (!ID_BY_NAME.has(name)) this.#names.push(name)
    const count = this.#names.length
    this.flags = new Uint16Array(count)
    this.#min = new Int32Array(count)
    this.#max = new Int32Array(count)
    const known: number[] = []
    for (let id = 0; id < count; id++) {
      const row = ROWS[id]
      const arity = row?.arity[column] ?? 0
      this.flags[id] = row?.flags ?? 0
      if (arity !== 0) {
        this.#min[id] = Math.abs(arity)
        this.#max[id] = arity < 0 ? ANY : arity
      } else if (allowed.has(this.#names[id])) {
        this.flags[id] |= Flag.Allowed
        this.#min[id] = 1
        this.#max[id] = ANY
      } else continue
      known.push(id)
    }
    this.#known = known
    this.#commands = this.#index('')
  }

  /** The names that begin with `parent`, without it, and with no other part behind. */
  #index(parent: string): NameIndex {
    const entries: { id: number; name: Uint8Array }[] = []
    for (const id of this.#known) {
      const name = this.#names[id]
      if (name.startsWith(parent) && !name.includes('|', parent.length))
        entries.push({ id, name: ENCODER.encode(name.slice(parent.length)) })
    }
    return new NameIndex(entries)
  }

  /**
   * The id of the command named by `bytes[start, start + length)`, in any case; -1 when the server does not know it.
   * Called for every record: no allocation.
   */
  lookup(bytes: Uint8Array, start: number, length: number): number {
    return this.#commands.find(bytes, start, length)
  }

  /** The same for a subcommand of the container `id`; -1 as well when `id` is no container. */
  lookupSub(id: number, bytes: Uint8Array, start: number, length: number): number {
    if (id < 0 || !this.isContainer(id)) return -1
    let index = this.#subcommands.get(id)
    if (index === undefined) {
      index = this.#index(`${this.#names[id]}|`)
      this.#subcommands.set(id, index)
    }
    return index.find(bytes, start, length)
  }

  /** The lower-case name: `set`, `xgroup|create`. */
  name(id: number): string {
    return this.#names[id]
  }

  /** Whether the server takes `argc` arguments, the name (and subcommand) counted. */
  arityOk(id: number, argc: number): boolean {
    return argc >= this.#min[id] && argc <= this.#max[id]
  }

  /** What {@link arityOk} accepts, for messages: `max` is Infinity when there is no limit. */
  arity(id: number): { min: number; max: number } {
    const max = this.#max[id]
    return { min: this.#min[id], max: max === ANY ? Number.POSITIVE_INFINITY : max }
  }

  isContainer(id: number): boolean {
    return (this.flags[id] & Flag.Container) !== 0
  }

  /**
   * Where a command has keys: nowhere; one, which is always its first argument; otherwise. Undefined for one that no
   * server knows.
   */
  keys(id: number): 'none' | 'first' | 'more' | undefined {
    const keys = ROWS[id]?.keys
    if (keys === undefined) return undefined
    return keys === '' ? 'none' : keys === '1' ? 'first' : 'more'
  }

  /**
   * Which arguments of one command are keys, in the order of the server's key specs. The command's arguments are those
   * from `first` on, `argc` of them; the result counts from 0, the name. A count that does not fit, or is no number,
   * gives no keys.
   * @param id of the subcommand, where there is one
   */
  keyPositions(id: number, args: Arguments, first: number, argc: number): number[] {
    const keys: number[] = []
    const row = ROWS[id]
    if (row === undefined) return keys
    for (const spec of keySpecs(id, row.keys)) addKeys(keys, spec, args, first, argc)
    if (id === SORT) addSortTarget(keys, args, first, argc)
    return keys
  }
}

const ANY = 2 ** 31 - 1
const ENCODER = new TextEncoder()

/** The servers that know a command by this name (any case), or, given a container's id, a subcommand of it. */
export function knownTo(bytes: Uint8Array, start: number, length: number, container = -1): ServerName[] {
  const parent = container < 0 ? '' : `${ROWS[container]?.name}|`
  let name = parent
  for (let i = 0; i < length && i < LONGEST_NAME; i++) name += String.fromCharCode(FOLD[bytes[start + i]])
  const id = length > LONGEST_NAME ? undefined : ID_BY_NAME.get(name)
  if (id === undefined || (container < 0 && name.includes('|'))) return []
  return serversIn(
    SERVERS.reduce(
      (bits, server, i) => (ROWS[id].arity[i] === 0 ? bits : bits | SERVER_FACTS[server].bit),
      0,
    ),
  )
}

/** Whether a name can only be that of a module's command: `JSON.SET`. */
export function isModuleName(bytes: Uint8Array, start: number, length: number): boolean {
  for (let i = start; i < start + length; i++) if (bytes[i] === DOT) return true
  return false
}

const DOT = 0x2e
const LONGEST_NAME = Math.max(...ROWS.map(row => row.name.length))

/** ASCII capitals made small, every other byte as it is: servers compare names so. */
const FOLD = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte,
)

function foldName(name: string): string {
  return name.replace(/[A-Z]/g, letter => letter.toLowerCase())
}

/**
 * An open-addressed table from names to ids. Names of different lengths come in random order, so a loop over their
 * bytes costs more in wrongly predicted branches than in loads; the first eight bytes are therefore hashed and compared
 * at once:
 *
 *     slot: | id + 1 | length | keep, case bits, name: bytes 0 to 3 | the same: bytes 4 to 7 |
 *
 * `keep` clears what is behind the name. Case bits are set only where the name has a letter, so that exactly its
 * capital and its small form are equal. An id plus one of 0 ends a search.
 */
class NameIndex {
  readonly #slots: Int32Array
  readonly #mask: number
  readonly #shift: number
  /** By id: the lower-case name, for its bytes behind the eighth. */
  readonly #names: (Uint8Array | undefined)[] = []
  readonly #longest: number
  readonly #scratch: Uint8Array
  /** The buffer of the last search, and four bytes of it at a time. */
  #bytes: Uint8Array
  #view: DataView

  constructor(entries: readonly { id: number; name: Uint8Array }[]) {
    // Sparse, so that a search nearly always ends at its first slot.
    const bits = Math.max(4, Math.ceil(Math.log2(entries.length * 8 + 1)))
    this.#slots = new Int32Array(SLOT << bits)
    this.#mask = (1 << bits) - 1
    this.#shift = 32 - bits
    this.#longest = entries.reduce((most, { name }) => Math.max(most, name.length), 0)
    this.#scratch = new Uint8Array(this.#longest + HEAD)
    this.#bytes = this.#scratch
    this.#view = new DataView(this.#scratch.buffer)
    for (const { id, name } of entries) this.#add(id, name)
  }

  #add(id: number, name: Uint8Array): void {
    const slots = this.#slots
    this.#names[id] = name
    this.#scratch.fill(0)
    this.#scratch.set(name)
    let slot = hash(this.#view.getInt32(0, true), this.#view.getInt32(4, true), name.length) >>> this.#shift
    while (slots[slot * SLOT] !== 0) slot = (slot + 1) & this.#mask
    const at = slot * SLOT
    slots[at] = id + 1
    slots[at + 1] = name.length
    for (let i = 0; i < HEAD && i < name.length; i++) {
      const word = at + 2 + (i >> 2) * 3
      const shift = (i & 3) * 8
      slots[word] |= 0xff << shift
      if (name[i] >= 0x61 && name[i] <= 0x7a) slots[word + 1] |= 0x20 << shift
      slots[word + 2] |= name[i] << shift
    }
  }

  find(bytes: Uint8Array, start: number, length: number): number {
    if (bytes !== this.#bytes) {
      this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      this.#bytes = bytes
    }
    if (start + HEAD > bytes.length) return this.#findAtEnd(bytes, start, length)
    const slots = this.#slots
    const mask = this.#mask
    const low = this.#view.getInt32(start, true)
    const high = this.#view.getInt32(start + 4, true)
    for (let slot = hash(low, high, length) >>> this.#shift; ; slot = (slot + 1) & mask) {
      const at = slot * SLOT
      const id = slots[at] - 1
      if (id < 0) return -1
      const different =
        (slots[at + 1] ^ length) |
        (((low & slots[at + 2]) | slots[at + 3]) ^ slots[at + 4]) |
        (((high & slots[at + 5]) | slots[at + 6]) ^ slots[at + 7])
      if (different === 0 && (length <= HEAD || this.#sameTail(id, bytes, start, length))) return id
    }
  }

  #sameTail(id: number, bytes: Uint8Array, start: number, length: number): boolean {
    const name = this.#names[id] as Uint8Array
    let i = HEAD
    while (i < length && FOLD[bytes[start + i]] === name[i]) i++
    return i === length
  }

  // Eight bytes cannot be read from here.
  #findAtEnd(bytes: Uint8Array, start: number, length: number): number {
    if (length > this.#longest) return -1
    this.#scratch.set(bytes.subarray(start, start + length))
    return this.find(this.#scratch, 0, length)
  }
}

/** Numbers a slot. */
const SLOT = 8
/** Bytes of a name that are hashed and compared at once. */
const HEAD = 8

/** Which bytes of the two words belong to a name, by its length, modulo a size that exceeds every server's names. */
const LOW_BYTES = Int32Array.from({ length: 32 }, (_, length) => (length < 4 ? 2 ** (8 * length) - 1 : -1))
const HIGH_BYTES = Int32Array.from({ length: 32 }, (_, length) =>
  length <= 4 ? 0 : length < HEAD ? 2 ** (8 * (length - 4)) - 1 : -1,
)
const CASE_BITS = 0x20202020
const FACTOR_A = 0x0a33e47f
const FACTOR_B = 0xbe69c1c5

// The case bit is set rather than looked up: bytes that are no letters may meet in a slot, and are told apart there.
// With these factors no two commands of the servers meet.
function hash(low: number, high: number, length: number): number {
  return (
    Math.imul((low | CASE_BITS) & LOW_BYTES[length & 31], FACTOR_A) ^
    Math.imul(((high | CASE_BITS) & HIGH_BYTES[length & 31]) ^ length, FACTOR_B)
  )
}

/**
 * Where keys are, in two steps: where to begin (an argument's index, or behind a keyword that is searched from an
 * index on), and what to find from there (a range, or a count and the keys it counts).
 */
interface KeySpec {
  readonly index: number
  /** Lower case; empty: begin at `index`. */
  readonly keyword: string
  readonly count: boolean
  /** Range: last key (relative; negative: from the end), step, divisor of what is left. Count: its place, first key, step. */
  readonly find: readonly [number, number, number]
}

const SPEC = /^(?:(\w+)@)?(-?\d+)(?:([:#])(-?\d+)\/(-?\d+)\/(-?\d+))?$/
const specsById = new Map<number, KeySpec[]>()

function keySpecs(id: number, text: string): KeySpec[] {
  let specs = specsById.get(id)
  if (specs === undefined) {
    specs = text === '' ? [] : text.split(';').map(parseKeySpec)
    specsById.set(id, specs)
  }
  return specs
}

function parseKeySpec(text: string): KeySpec {
  const [, keyword = '', index, kind = ':', a = '0', b = '1', c = '0'] = SPEC.exec(text)!
  return {
    index: Number(index),
    keyword: keyword.toLowerCase(),
    count: kind === '#',
    find: [Number(a), Number(b), Number(c)],
  }
}

function addKeys(keys: number[], spec: KeySpec, args: Arguments, first: number, argc: number): void {
  const begin = spec.keyword === '' ? spec.index : behindKeyword(spec, args, first, argc)
  if (begin < 0 || begin >= argc) return
  let from = begin
  let last: number
  let step: number
  if (spec.count) {
    const [place, firstKey, keyStep] = spec.find
    const count = begin + place < argc ? integerAt(args, first + begin + place) : undefined
    if (count === undefined) return
    from = begin + firstKey
    step = keyStep
    last = from + (count - 1) * step
  } else {
    const [lastKey, keyStep, divisor] = spec.find
    step = keyStep
    if (lastKey >= 0) last = begin + lastKey
    else if (divisor > 1) last = begin + Math.trunc((argc - begin) / divisor) + lastKey
    else last = argc + lastKey
  }
  if (last >= argc) return
  for (let i = from; i <= last; i += step) keys.push(i)
}

function behindKeyword(spec: KeySpec, args: Arguments, first: number, argc: number): number {
  const forward = spec.index > 0
  const from = forward ? spec.index : argc + spec.index
  for (let i = from; forward ? i < argc : i > 0; i += forward ? 1 : -1)
    if (isWord(args, first + i, spec.keyword)) return i + 1
  return -1
}

const SORT = idOf('sort')

// Key specs cannot say it: the last STORE counts, and the word may as well be a pattern of GET or BY.
function addSortTarget(keys: number[], args: Arguments, first: number, argc: number): void {
  let target = -1
  for (let i = 2; i < argc; i++) {
    if (isWord(args, first + i, 'limit')) i += 2
    else if (isWord(args, first + i, 'get') || isWord(args, first + i, 'by')) i++
    else if (isWord(args, first + i, 'store') && i + 1 < argc) target = i + 1
  }
  if (target >= 0) keys.push(target)
}

/** Whether argument `index` (into `args`) is this lower-case ASCII word, in any case. */
export function isWord(args: Arguments, index: number, word: string): boolean {
  if (args.length[index] !== word.length) return false
  const start = args.start[index]
  for (let i = 0; i < word.length; i++) if (FOLD[args.bytes[start + i]] !== word.charCodeAt(i)) return false
  return true
}

/** Argument `index` (into `args`) as an integer, if it is one as servers take them. */
export function integerAt(args: Arguments, index: number): number | undefined {
  return parseInteger(args.bytes, args.start[index], args.length[index])
}
