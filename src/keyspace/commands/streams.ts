import { PASSED_OVER } from '../../values/elements.ts'
import type { Slice } from '../../values/slice.ts'
import type { Argument } from '../argument.ts'
import type { Call } from '../call.ts'
import { type Cell, CellKind } from '../cells.ts'
import type { Keyspace } from '../keyspace.ts'
import { NO_SUCH_KEY, NOT_AN_INTEGER, Rejection, SYNTAX, WRONGTYPE } from '../rejection.ts'
import { type Consumer, Group, Idempotence, NOBODY } from '../types/stream-groups.ts'
import { Id, Parsed, parseId } from '../types/stream-id.ts'
import { LARGEST_ENTRY } from '../types/streams.ts'
import type { Handlers } from './handler.ts'

const INVALID_ID = new Rejection('ERR Invalid stream ID specified as stream command argument')
const TWO_STRATEGIES = new Rejection(
  'ERR syntax error, MAXLEN and MINID options at the same time are not compatible',
)
const LIMIT_ALONE = new Rejection(
  'ERR syntax error, LIMIT cannot be used without specifying a trimming strategy',
)
const NO_STRATEGY = new Rejection('ERR syntax error, XTRIM must be called with a trimming strategy')
const NEGATIVE_MAXLEN = new Rejection('ERR The MAXLEN argument must be >= 0.')
const NEGATIVE_LIMIT = new Rejection('ERR The LIMIT argument must be >= 0.')
const XADD_ARITY = new Rejection("ERR wrong number of arguments for 'xadd' command")
const ID_ZERO = new Rejection('ERR The ID specified in XADD must be greater than 0-0')
const EXHAUSTED = new Rejection('ERR The stream has exhausted the last possible ID, unable to add more items')
const ID_TOO_SMALL = new Rejection(
  'ERR The ID specified in XADD is equal or smaller than the target stream top item',
)
const TOO_LARGE = new Rejection('ERR Elements are too large to be stored')
const IDMP_TWICE = new Rejection('ERR IDMP/IDMPAUTO specified multiple times')
const IDMP_EMPTY = new Rejection('ERR IDMP requires a non-empty producer ID and idempotent ID')
const XSETID_BELOW_GIVEN = new Rejection(
  'ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id',
)
const XSETID_BELOW_DELETED = new Rejection(
  'ERR The ID specified in XSETID is smaller than current max_deleted_entry_id',
)
const XSETID_BELOW_TOP = new Rejection(
  'ERR The ID specified in XSETID is smaller than the target stream top item',
)
const XSETID_FEW = new Rejection(
  'ERR The entries_added specified in XSETID is smaller than the target stream length',
)
const NEGATIVE_ADDED = new Rejection('ERR entries_added must be positive')
const NEGATIVE_READ = new Rejection('ERR value for ENTRIESREAD must be positive or -1')
const NO_STREAM = new Rejection(
  'ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty stream automatically.',
)
const BUSYGROUP = new Rejection('BUSYGROUP Consumer Group name already exists')
const UNBALANCED = new Rejection(
  "ERR Unbalanced 'xreadgroup' list of streams: for each stream key an ID or '>' must be specified.",
)
const UNBALANCED_OLD = new Rejection(
  "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.",
)
const INVALID_START = new Rejection('ERR invalid start ID for the interval')
const COUNT_TOO_SMALL = new Rejection('ERR COUNT must be > 0')
const NUMIDS = new Rejection('ERR Number of IDs must be a positive integer')
const NUMIDS_DIFFER = new Rejection('ERR The `numids` parameter must match the number of arguments')
const NO_ENTRY = new Rejection("ERR The specified stream ID was deleted or doesn't exist")
const OTHER_ENTRY = new Rejection(
  'ERR The specified IDMP producer-id/idempotent-id pair maps to a different stream ID',
)

/** What happens to what is pending in groups when its entry goes (redis 8.2). */
const Policy = { Keep: 0, Delete: 1, Acknowledged: 2 } as const
type Policy = (typeof Policy)[keyof typeof Policy]
const POLICIES: ReadonlyMap<string, Policy> = new Map([
  ['KEEPREF', Policy.Keep],
  ['DELREF', Policy.Delete],
  ['ACKED', Policy.Acknowledged],
])

/** How many a server claims at once, by default, and looks at for each. */
const AUTOCLAIM_COUNT = 100n
const AUTOCLAIM_FACTOR = 10n
const LARGEST_COUNT = (1n << 63n) / 16n - 1n

const ID = new Id()
const OTHER = new Id()
const NEXT = new Id()

function latin1({ bytes, at, end }: Slice): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + at, end - at).toString('latin1')
}

/** Argument `i`, whose bytes are only there when they are few. */
function content(call: Call, i: number): Argument {
  const value = call.value(i)
  return value.bytes === PASSED_OVER && value.length <= LONGEST_NEAR ? call.at(i) : value
}
const LONGEST_NEAR = 64

/** Why argument `from` and those behind it are no ids, if one is not. */
// biome-ignore lint/suspicious/noConfusingVoidType: as Handler
function checkIds(call: Call, from: number, to: number): Rejection | void {
  for (let i = from; i < to; i++) if (parseId(call.at(i), ID) === Parsed.Invalid) return INVALID_ID
}

interface Trim {
  /** What is left of the stream: so many entries; or -1, those that do not come before {@link minId}. */
  length: number
  minId: Id | undefined
  /** Only whole nodes. */
  whole: boolean
  policy: Policy
  keepsMissing: boolean
  /** Of XADD: number of the argument that is the id, which was `*`, without a sequence number, or whole. */
  idAt: number
  given: Parsed
  producer: string | undefined
  name: string | undefined
}

/** Options of XADD and XTRIM; those of XADD end with the id, which is read into {@link ID}. */
function parseTrim(call: Call, isAdd: boolean): Trim | Rejection {
  const trim: Trim = {
    length: -1,
    minId: undefined,
    whole: false,
    policy: Policy.Keep,
    keepsMissing: false,
    idAt: call.argc,
    given: Parsed.Whole,
    producer: undefined,
    name: undefined,
  }
  let limit = 0n
  let chosen = false
  let i = 2
  for (; i < call.argc; i++) {
    const more = call.argc - 1 - i
    if (isAdd && call.is(i, '*')) {
      trim.given = Parsed.Invalid
      break
    }
    const option = call.isWord(i) ? call.word(i) : ''
    if ((option === 'MAXLEN' || option === 'MINID') && more > 0) {
      if (chosen) return TWO_STRATEGIES
      chosen = true
      trim.whole = more > 1 && call.is(i + 1, '~')
      if (trim.whole || (more > 1 && call.is(i + 1, '='))) i++
      i++
      if (option === 'MAXLEN') {
        const length = call.int64(i)
        if (length === undefined) return NOT_AN_INTEGER
        if (length < 0n) return NEGATIVE_MAXLEN
        trim.length = Number(length)
      } else {
        trim.minId = new Id()
        if (parseId(call.at(i), trim.minId) === Parsed.Invalid) return INVALID_ID
      }
    } else if (option === 'LIMIT' && more > 0) {
      // Servers do not heed it in a log, where what it did is said otherwise.
      const given = call.int64(++i)
      if (given === undefined) return NOT_AN_INTEGER
      if (given < 0n) return NEGATIVE_LIMIT
      limit = given
    } else if (isAdd && option === 'NOMKSTREAM') trim.keepsMissing = true
    else if (POLICIES.has(option)) trim.policy = POLICIES.get(option) as Policy
    else if (isAdd && (option === 'IDMP' || option === 'IDMPAUTO') && more > (option === 'IDMP' ? 1 : 0)) {
      if (trim.producer !== undefined) return IDMP_TWICE
      trim.producer = latin1(call.at(++i))
      if (option === 'IDMP') trim.name = latin1(call.at(++i))
      if (trim.producer === '' || trim.name === '') return IDMP_EMPTY
    } else if (isAdd) {
      trim.given = parseId(call.at(i), ID, WITH_STAR)
      if (trim.given === Parsed.Invalid) return INVALID_ID
      break
    } else return SYNTAX
  }
  trim.idAt = i
  if (limit > 0n && !chosen) return LIMIT_ALONE
  if (!isAdd && !chosen) return NO_STRATEGY
  return trim
}
const WITH_STAR = { star: true }

function trimStream(keyspace: Keyspace, cell: Cell, { length, minId, whole, policy }: Trim): void {
  const { streams } = keyspace
  if (length < 0 && minId === undefined) return
  if (policy === Policy.Keep) {
    streams.trim(cell, length, minId, whole)
    return
  }
  const id = NEXT.set(0, 0, 0, 0)
  let deleted = false
  while ((minId !== undefined || streams.length(cell) > length) && streams.seek(cell, id)) {
    if (minId !== undefined && id.compare(minId) >= 0) break
    if (policy === Policy.Delete || !isReferenced(keyspace, cell, id)) {
      streams.delete(cell, id)
      forgetReferences(keyspace, cell, id)
      deleted = true
    }
    if (!id.increment()) break
  }
  if (deleted) streams.refresh(cell)
}

/** Whether a group has not read the entry, or has it pending. */
function isReferenced(keyspace: Keyspace, cell: Cell, id: Id): boolean {
  const readers = keyspace.streams.readers(cell)
  if (readers === undefined) return false
  for (const group of readers.groups.values()) {
    if (id.compare(group.lastId) > 0 || group.pending.find(id)) return true
  }
  return false
}

function forgetReferences(keyspace: Keyspace, cell: Cell, id: Id): void {
  const readers = keyspace.streams.readers(cell)
  if (readers !== undefined) for (const group of readers.groups.values()) group.acknowledge(id)
}

/** Deletes an entry as XDEL does; false when it is not there. */
function deleteEntry(keyspace: Keyspace, cell: Cell, id: Id): boolean {
  const { streams } = keyspace
  if (!streams.delete(cell, id)) return false
  if (id.compare(streams.maxDeletedId(cell, OTHER)) > 0) streams.setMaxDeletedId(cell, id)
  return true
}

/** After entries were deleted, one of which may have been the first. */
function refreshFirst(keyspace: Keyspace, cell: Cell): void {
  const { streams } = keyspace
  const first = streams.firstId(cell, OTHER)
  if (streams.length(cell) === 0 || !streams.has(cell, first)) streams.refresh(cell)
}

/** The stream at argument `i`; 0: there is no such key, a rejection: it is something else. */
function findStream(call: Call, keyspace: Keyspace, i: number): Cell | Rejection {
  const cell = keyspace.find(call.at(i))
  return cell !== 0 && keyspace.kind(cell) !== CellKind.Stream ? WRONGTYPE : cell
}

function noGroup(call: Call, key: number, group: number, rest = ''): Rejection {
  return new Rejection(
    `NOGROUP No such key '${latin1(call.at(key))}' or consumer group '${latin1(call.at(group))}'${rest}`,
  )
}

function noGroupForKey(call: Call): Rejection {
  return new Rejection(
    `NOGROUP No such consumer group '${latin1(call.at(3))}' for key name '${latin1(call.at(2))}'`,
  )
}

function subcommandSyntax(call: Call): Rejection {
  return new Rejection(
    `ERR unknown subcommand or wrong number of arguments for '${latin1(call.at(1))}'. Try XGROUP HELP.`,
  )
}

/** The consumer, who is made if need be, and was seen now. */
function see(keyspace: Keyspace, group: Group, name: string): Consumer {
  const consumer = group.consumers.get(name) ?? group.addConsumer(name, 0, -1)
  consumer.seenAtMs = keyspace.roughClock
  return consumer
}

/** Gives a consumer the current pending entry of a group. */
function claim(keyspace: Keyspace, group: Group, consumer: Consumer): void {
  group.give(consumer)
  consumer.activeAtMs = keyspace.roughClock
}

/** Whether the number of entries that a group has read can be counted on with the next one. */
function counts(keyspace: Keyspace, cell: Cell, group: Group, id: Id): boolean {
  const { streams, server } = keyspace
  if (BigInt(group.entriesRead) === -1n) return false
  const first = streams.firstId(cell, FIRST)
  const old = server === 'redis-7.0'
  if (!old && group.lastId.compare(first) < 0) return false
  const deleted = streams.maxDeletedId(cell, OTHER)
  if (streams.length(cell) === 0 || deleted.isZero) return true
  if (old && first.compare(deleted) > 0) return true
  return (old ? id : group.lastId).compare(deleted) > 0
}
const FIRST = new Id()

/** How many entries were added up to the id; -1: nobody knows. */
function estimateRead(keyspace: Keyspace, cell: Cell, id: Id): bigint {
  const { streams } = keyspace
  const added = streams.entriesAdded(cell)
  if (added === 0n) return 0n
  const length = streams.length(cell)
  const behind = id.compare(streams.lastId(cell, OTHER))
  if (length === 0 && behind <= 0) return added
  const deleted = streams.maxDeletedId(cell, OTHER)
  if (keyspace.server !== 'redis-7.0' && !id.isZero && id.compare(deleted) < 0) return -1n
  if (behind === 0) return added
  if (behind > 0) return -1n
  const first = streams.firstId(cell, FIRST)
  if (!deleted.isZero && deleted.compare(first) >= 0) return -1n
  const order = id.compare(first)
  if (order > 0) return -1n
  return order < 0 ? added - BigInt(length) : added - BigInt(length) + 1n
}

/** Gives a consumer what the group has not read, as XREADGROUP with `>` does. */
function readOn(
  keyspace: Keyspace,
  cell: Cell,
  group: Group,
  consumer: Consumer,
  count: bigint,
  noack: boolean,
): void {
  const { streams } = keyspace
  const id = NEXT.copy(group.lastId)
  let read = 0n
  // What there was to read before is not read again at the end of ids.
  while (id.increment() && streams.seek(cell, id)) {
    if (counts(keyspace, cell, group, id)) {
      group.entriesRead = BigInt(group.entriesRead) + 1n
    } else if (streams.entriesAdded(cell) > 0n) group.entriesRead = estimateRead(keyspace, cell, id)
    group.lastId.copy(id)
    if (!noack) {
      if (!group.pending.find(id)) group.add(id)
      group.deliveredAtMs = keyspace.clock
      group.deliveries = 1
      claim(keyspace, group, consumer)
    }
    if (++read === count) break
  }
}

/** Gives a consumer again what he has, as XREADGROUP with an id does. */
function readAgain(
  keyspace: Keyspace,
  cell: Cell,
  group: Group,
  consumer: Consumer,
  after: Id,
  count: bigint,
): void {
  const { owned } = consumer
  const id = NEXT.copy(after)
  id.increment()
  let read = 0n
  for (owned.seek(id); owned.here && (count === 0n || read < count); owned.advance(), read++) {
    owned.read(id)
    if (!keyspace.streams.has(cell, id) || !group.pending.find(id)) continue
    group.deliveredAtMs = keyspace.clock
    group.deliver()
  }
}

/** `… IDS n id…` from argument `i` on: number of the first id. */
function parseIds(call: Call, at: number): number | Rejection {
  if (at + 2 >= call.argc || !call.is(at, 'IDS')) return SYNTAX
  const count = call.int64(at + 1)
  if (count === undefined || count <= 0n) return NUMIDS
  return at + 2 + Number(count) > call.argc ? NUMIDS_DIFFER : at + 2
}

/** Of XDELEX and XACKDEL, whose options begin at argument `i`. */
function deletePolicy(call: Call, from: number): { policy: Policy; first: number } | Rejection {
  let policy: Policy = Policy.Keep
  let i = from
  const word = call.isWord(i) ? call.word(i) : ''
  const given = POLICIES.get(word)
  if (given !== undefined) {
    policy = given
    i++
  }
  const first = parseIds(call, i)
  if (first instanceof Rejection) return first
  if (first + Number(call.int64(i + 1)) !== call.argc) return NUMIDS_DIFFER
  return checkIds(call, first, call.argc) ?? { policy, first }
}

export const STREAMS: Handlers = {
  xadd(call, keyspace) {
    const { streams } = keyspace
    const options = parseTrim(call, true)
    if (options instanceof Rejection) return options
    const from = options.idAt + 1
    const rest = call.argc - from
    if (rest < 2 || rest % 2 === 1) return XADD_ARITY
    if (options.given === Parsed.Whole && ID.isZero) return ID_ZERO
    const found = findStream(call, keyspace, 1)
    if (found instanceof Rejection) return found
    if (found === 0 && options.keepsMissing) return
    if (found !== 0 && options.producer !== undefined && options.name !== undefined) {
      const idempotence = streams.readers(found)?.idempotence
      if (idempotence?.find(options.producer, options.name) !== undefined) {
        idempotence.repeated++
        return
      }
    }
    const last = OTHER.set(0, 0, 0, 0)
    if (found !== 0) streams.lastId(found, last)
    if (last.isLargest) return EXHAUSTED
    if (options.given === Parsed.Invalid) {
      ID.ofTime(keyspace.clock)
      if (ID.compare(last) <= 0) ID.copy(last).increment()
    } else if (
      options.given === Parsed.WithoutSequence &&
      ID.msHigh === last.msHigh &&
      ID.msLow === last.msLow
    ) {
      if ((last.seqHigh & last.seqLow) === -1) return ID_TOO_SMALL
      ID.copy(last).increment()
    }
    if (ID.compare(last) <= 0) return ID_TOO_SMALL
    let size = 0
    for (let i = from; i < call.argc; i++) size += call.value(i).length
    if (size > LARGEST_ENTRY) return TOO_LARGE
    const cell = found === 0 ? keyspace.create(call.at(1), CellKind.Stream) : found
    streams.start()
    for (let i = from; i < call.argc; i += 2) streams.field(call.at(i), content(call, i + 1))
    streams.add(cell, ID)
    if (options.producer !== undefined) {
      const readers = streams.makeReaders(cell)
      readers.idempotence ??= new Idempotence()
      readers.idempotence.added++
      if (options.name !== undefined) readers.idempotence.record(options.producer, options.name, ID)
    }
    trimStream(keyspace, cell, options)
  },

  xtrim(call, keyspace) {
    const options = parseTrim(call, false)
    if (options instanceof Rejection) return options
    const cell = findStream(call, keyspace, 1)
    if (cell instanceof Rejection) return cell
    if (cell !== 0) trimStream(keyspace, cell, options)
  },

  xdel(call, keyspace) {
    const cell = findStream(call, keyspace, 1)
    if (cell instanceof Rejection || cell === 0) return cell === 0 ? undefined : cell
    const wrong = checkIds(call, 2, call.argc)
    if (wrong !== undefined) return wrong
    let deleted = false
    for (let i = 2; i < call.argc; i++) {
      parseId(call.at(i), ID)
      if (deleteEntry(keyspace, cell, ID)) deleted = true
    }
    if (deleted) refreshFirst(keyspace, cell)
  },

  xdelex(call, keyspace) {
    const options = deletePolicy(call, 2)
    if (options instanceof Rejection) return options
    const cell = findStream(call, keyspace, 1)
    if (cell instanceof Rejection || cell === 0) return cell === 0 ? undefined : cell
    let deleted = false
    for (let i = options.first; i < call.argc; i++) {
      parseId(call.at(i), ID)
      if (options.policy === Policy.Acknowledged && isReferenced(keyspace, cell, ID)) continue
      if (!deleteEntry(keyspace, cell, ID)) continue
      if (options.policy === Policy.Delete) forgetReferences(keyspace, cell, ID)
      deleted = true
    }
    if (deleted) refreshFirst(keyspace, cell)
  },

  xsetid(call, keyspace) {
    const { streams, server } = keyspace
    if (parseId(call.at(2), ID) === Parsed.Invalid) return INVALID_ID
    let added: bigint | undefined
    const deleted = NEXT.set(0, 0, 0, 0)
    for (let i = 3; i < call.argc; i += 2) {
      const more = call.argc - 1 - i
      if (call.is(i, 'ENTRIESADDED') && more > 0) {
        added = call.int64(i + 1)
        if (added === undefined) return NOT_AN_INTEGER
        if (added < 0n) return NEGATIVE_ADDED
      } else if (call.is(i, 'MAXDELETEDID') && more > 0) {
        if (parseId(call.at(i + 1), deleted) === Parsed.Invalid) return INVALID_ID
        if (ID.compare(deleted) < 0) return XSETID_BELOW_GIVEN
      } else return SYNTAX
    }
    const cell = findStream(call, keyspace, 1)
    if (cell instanceof Rejection) return cell
    if (cell === 0) return NO_SUCH_KEY
    if (server !== 'redis-7.0' && ID.compare(streams.maxDeletedId(cell, OTHER)) < 0)
      return XSETID_BELOW_DELETED
    if (streams.length(cell) > 0) {
      streams.last(cell, OTHER)
      if (ID.compare(OTHER) < 0) return XSETID_BELOW_TOP
      if (added !== undefined && BigInt(streams.length(cell)) > added) return XSETID_FEW
    }
    streams.setLastId(cell, ID)
    if (added !== undefined) streams.setEntriesAdded(cell, added)
    if (!deleted.isZero) streams.setMaxDeletedId(cell, deleted)
  },

  'xgroup|create'(call, keyspace) {
    let makes = false
    let read = -1n
    for (let i = 5; i < call.argc; i++) {
      if (call.is(i, 'MKSTREAM')) makes = true
      else if (call.is(i, 'ENTRIESREAD') && i + 1 < call.argc) {
        const given = call.int64(++i)
        if (given === undefined) return NOT_AN_INTEGER
        if (given < -1n) return NEGATIVE_READ
        read = given
      } else return subcommandSyntax(call)
    }
    const found = findStream(call, keyspace, 2)
    if (found instanceof Rejection) return found
    if (found === 0 && !makes) return NO_STREAM
    if (call.argc > 8) return subcommandSyntax(call)
    ID.set(0, 0, 0, 0)
    if (call.is(4, '$')) {
      if (found !== 0) keyspace.streams.lastId(found, ID)
    } else if (parseId(call.at(4), ID) === Parsed.Invalid) return INVALID_ID
    const name = latin1(call.at(3))
    if (found !== 0 && keyspace.streams.group(found, name) !== undefined) return BUSYGROUP
    const cell = found === 0 ? keyspace.create(call.at(2), CellKind.Stream) : found
    const group = new Group()
    group.lastId.copy(ID)
    group.entriesRead = read
    keyspace.streams.makeReaders(cell).groups.set(name, group)
  },

  'xgroup|setid'(call, keyspace) {
    let read = -1n
    for (let i = 5; i < call.argc; i += 2) {
      if (!call.is(i, 'ENTRIESREAD') || i + 1 >= call.argc) return subcommandSyntax(call)
      const given = call.int64(i + 1)
      if (given === undefined) return NOT_AN_INTEGER
      if (given < -1n) return NEGATIVE_READ
      read = given
    }
    const cell = findStream(call, keyspace, 2)
    if (cell instanceof Rejection) return cell
    if (cell === 0) return NO_STREAM
    const group = keyspace.streams.group(cell, latin1(call.at(3)))
    if (group === undefined) return noGroupForKey(call)
    if (call.argc !== 5 && call.argc !== 7) return subcommandSyntax(call)
    if (call.is(4, '$')) keyspace.streams.lastId(cell, ID)
    else if (parseId(call.at(4), ID, { ends: true }) === Parsed.Invalid) return INVALID_ID
    group.lastId.copy(ID)
    group.entriesRead = read
  },

  'xgroup|destroy'(call, keyspace) {
    const cell = findStream(call, keyspace, 2)
    if (cell instanceof Rejection) return cell
    if (cell === 0) return NO_STREAM
    keyspace.streams.readers(cell)?.groups.delete(latin1(call.at(3)))
  },

  'xgroup|createconsumer'(call, keyspace) {
    const cell = findStream(call, keyspace, 2)
    if (cell instanceof Rejection) return cell
    if (cell === 0) return NO_STREAM
    const group = keyspace.streams.group(cell, latin1(call.at(3)))
    if (group === undefined) return noGroupForKey(call)
    const name = latin1(call.at(4))
    if (!group.consumers.has(name)) group.addConsumer(name, keyspace.roughClock, -1)
  },

  'xgroup|delconsumer'(call, keyspace) {
    const cell = findStream(call, keyspace, 2)
    if (cell instanceof Rejection) return cell
    if (cell === 0) return NO_STREAM
    const group = keyspace.streams.group(cell, latin1(call.at(3)))
    if (group === undefined) return noGroupForKey(call)
    const consumer = group.consumers.get(latin1(call.at(4)))
    if (consumer !== undefined) group.removeConsumer(consumer)
  },

  xack(call, keyspace) {
    const cell = findStream(call, keyspace, 1)
    if (cell instanceof Rejection) return cell
    const group = cell === 0 ? undefined : keyspace.streams.group(cell, latin1(call.at(2)))
    if (group === undefined) return
    const wrong = checkIds(call, 3, call.argc)
    if (wrong !== undefined) return wrong
    for (let i = 3; i < call.argc; i++) {
      parseId(call.at(i), ID)
      group.acknowledge(ID)
    }
  },

  xackdel(call, keyspace) {
    const options = deletePolicy(call, 3)
    if (options instanceof Rejection) return options
    const cell = findStream(call, keyspace, 1)
    if (cell instanceof Rejection) return cell
    const group = cell === 0 ? undefined : keyspace.streams.group(cell, latin1(call.at(2)))
    if (cell === 0 || group === undefined) return
    let deleted = false
    for (let i = options.first; i < call.argc; i++) {
      parseId(call.at(i), ID)
      if (!group.acknowledge(ID)) continue
      if (options.policy === Policy.Acknowledged && isReferenced(keyspace, cell, ID)) continue
      if (options.policy === Policy.Delete) forgetReferences(keyspace, cell, ID)
      if (deleteEntry(keyspace, cell, ID)) deleted = true
    }
    if (deleted) refreshFirst(keyspace, cell)
  },

  xnack(call, keyspace) {
    const mode = call.word(3)
    if (mode !== 'SILENT' && mode !== 'FAIL' && mode !== 'FATAL') return SYNTAX
    const first = parseIds(call, 4)
    if (first instanceof Rejection) return first
    const end = first + Number(call.int64(5))
    let retries: bigint | undefined
    let force = false
    for (let i = end; i < call.argc; i++) {
      if (call.is(i, 'FORCE')) force = true
      else if (call.is(i, 'RETRYCOUNT') && i + 1 < call.argc) {
        retries = call.int64(++i)
        if (retries === undefined || retries < 0n) return NOT_AN_INTEGER
      } else return SYNTAX
    }
    const cell = findStream(call, keyspace, 1)
    if (cell instanceof Rejection) return cell
    const group = cell === 0 ? undefined : keyspace.streams.group(cell, latin1(call.at(2)))
    if (group === undefined) return noGroup(call, 1, 2)
    const wrong = checkIds(call, first, end)
    if (wrong !== undefined) return wrong
    for (let i = first; i < end; i++) {
      parseId(call.at(i), ID)
      if (!group.pending.find(ID)) {
        if (!force || !keyspace.streams.has(cell, ID)) continue
        group.add(ID)
      }
      group.handBack()
      group.deliveredAtMs = 0
      if (retries !== undefined) group.deliveries = retries
      else if (mode === 'FATAL') group.deliveries = MOST_DELIVERIES
      else if (mode === 'SILENT' && group.deliveries > 0n) group.deliveries = group.deliveries - 1n
    }
  },

  xclaim(call, keyspace) {
    const { streams } = keyspace
    const cell = findStream(call, keyspace, 1)
    if (cell instanceof Rejection) return cell
    const group = cell === 0 ? undefined : streams.group(cell, latin1(call.at(2)))
    if (group === undefined) return noGroup(call, 1, 2)
    const idle = call.int64(4)
    if (idle === undefined) return new Rejection('ERR Invalid min-idle-time argument for XCLAIM')
    let end = 5
    while (end < call.argc && parseId(call.at(end), ID) !== Parsed.Invalid) end++
    let time: bigint | undefined
    let retries = -1n
    let force = false
    let justId = false
    const last = NEXT.set(0, 0, 0, 0)
    for (let i = end; i < call.argc; i++) {
      const more = i + 1 < call.argc
      const option = call.word(i)
      if (option === 'FORCE') force = true
      else if (option === 'JUSTID') justId = true
      else if (more && (option === 'IDLE' || option === 'TIME' || option === 'RETRYCOUNT')) {
        const value = call.int64(++i)
        if (value === undefined) return new Rejection(`ERR Invalid ${option} option argument for XCLAIM`)
        if (option === 'RETRYCOUNT') retries = value
        else time = option === 'TIME' ? value : BigInt(keyspace.clock) - value
      } else if (more && option === 'LASTID') {
        if (parseId(call.at(++i), last) === Parsed.Invalid) return INVALID_ID
      } else return new Rejection(`ERR Unrecognized XCLAIM option '${latin1(call.at(i))}'`)
    }
    if (last.compare(group.lastId) > 0) group.lastId.copy(last)
    // Servers make now of what lies in the future. For them that is the time of loading, behind all that was logged.
    if (time === undefined || time < 0n) time = BigInt(keyspace.clock)
    const name = latin1(call.at(3))
    let consumer = keyspace.server === 'redis-7.0' ? undefined : see(keyspace, group, name)
    for (let i = 5; i < end; i++) {
      parseId(call.at(i), ID)
      if (!streams.has(cell as Cell, ID)) {
        group.acknowledge(ID)
        continue
      }
      if (!group.pending.find(ID)) {
        if (!force) continue
        group.add(ID)
        group.deliveries = 1
      } else if (
        idle > 0n &&
        group.ownerNumber() > NOBODY &&
        BigInt(keyspace.clock) - group.deliveredAtMs < idle
      ) {
        continue
      }
      consumer ??= see(keyspace, group, name)
      group.deliveredAtMs = time
      if (retries >= 0n) group.deliveries = retries
      else if (!justId) group.deliver()
      claim(keyspace, group, consumer)
    }
  },

  xautoclaim(call, keyspace) {
    const { streams } = keyspace
    const idle = call.int64(4)
    if (idle === undefined) return new Rejection('ERR Invalid min-idle-time argument for XAUTOCLAIM')
    const start = call.at(5)
    const open = start.length > 1 && start.bytes[start.at] === 0x28
    if (open) start.at++
    const first = NEXT
    if (parseId(start, first, { ends: !open }) === Parsed.Invalid) return INVALID_ID
    if (open && !first.increment()) return INVALID_START
    let count = AUTOCLAIM_COUNT
    let justId = false
    for (let i = 6; i < call.argc; i++) {
      if (call.is(i, 'COUNT') && i + 1 < call.argc) {
        const given = call.int64(++i)
        if (given === undefined || given < 1n || given > LARGEST_COUNT) return COUNT_TOO_SMALL
        count = given
      } else if (call.is(i, 'JUSTID')) justId = true
      else return SYNTAX
    }
    const cell = findStream(call, keyspace, 1)
    if (cell instanceof Rejection) return cell
    const group = cell === 0 ? undefined : streams.group(cell, latin1(call.at(2)))
    if (group === undefined) return noGroup(call, 1, 2)
    const name = latin1(call.at(3))
    let consumer = keyspace.server === 'redis-7.0' ? undefined : see(keyspace, group, name)
    const { pending } = group
    let attempts = count * AUTOCLAIM_FACTOR
    pending.seek(first)
    while (attempts-- > 0n && count > 0n && pending.here) {
      if (!streams.has(cell as Cell, pending.read(ID))) {
        group.drop()
        count--
        continue
      }
      if (idle <= 0n || BigInt(keyspace.clock) - group.deliveredAtMs >= idle) {
        consumer ??= see(keyspace, group, name)
        group.deliveredAtMs = keyspace.clock
        if (!justId) group.deliver()
        claim(keyspace, group, consumer)
        count--
      }
      pending.advance()
    }
  },

  xreadgroup(call, keyspace) {
    const { streams } = keyspace
    let group = -1
    let count = 0n
    let noack = false
    let first = -1
    for (let i = 1; i < call.argc && first < 0; i++) {
      const more = call.argc - 1 - i
      const option = call.word(i)
      if ((option === 'BLOCK' || option === 'COUNT' || option === 'CLAIM') && more > 0) {
        const value = call.int64(++i)
        if (value === undefined) {
          return option === 'BLOCK'
            ? new Rejection('ERR timeout is not an integer or out of range')
            : NOT_AN_INTEGER
        }
        if (option === 'BLOCK' && value < 0n) return new Rejection('ERR timeout is negative')
        if (option === 'COUNT') count = value < 0n ? 0n : value
      } else if (option === 'STREAMS' && more > 0) first = i + 1
      else if (option === 'GROUP' && more > 1) {
        group = i + 1
        i += 2
      } else if (option === 'NOACK') noack = true
      else return SYNTAX
    }
    if (first < 0) return SYNTAX
    const keys = (call.argc - first) / 2
    if (!Number.isInteger(keys)) {
      return keyspace.server === 'redis-7.0' ? UNBALANCED_OLD : UNBALANCED
    }
    if (group < 0) return new Rejection('ERR Missing GROUP option for XREADGROUP')
    const name = latin1(call.at(group))
    for (let i = first; i < first + keys; i++) {
      const cell = findStream(call, keyspace, i)
      if (cell instanceof Rejection) return cell
      if (cell === 0 || streams.group(cell, name) === undefined) {
        return noGroup(call, i, group, ' in XREADGROUP with GROUP option')
      }
      const id = call.at(i + keys)
      if (call.is(i + keys, '$') || (call.is(i + keys, '+') && keyspace.server === 'redis-8.0')) {
        return new Rejection(
          `ERR The ${latin1(id)} ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by specifying a proper ID, or use the > ID to get new messages. The ${latin1(id)} ID would just return an empty result set.`,
        )
      }
      if (!call.is(i + keys, '>') && parseId(id, ID) === Parsed.Invalid) return INVALID_ID
    }
    for (let i = first; i < first + keys; i++) {
      const cell = keyspace.find(call.at(i))
      const reader = streams.group(cell, name) as Group
      const isNew = call.is(i + keys, '>')
      if (!isNew) parseId(call.at(i + keys), ID)
      const readsOn = isNew || ID.isLargest
      // Redis 7.0 makes no consumer for whom there is nothing.
      if (keyspace.server === 'redis-7.0' && readsOn) {
        if (!streams.last(cell, OTHER) || OTHER.compare(reader.lastId) <= 0) continue
      }
      const consumer = see(keyspace, reader, latin1(call.at(group + 1)))
      if (readsOn) readOn(keyspace, cell, reader, consumer, count, noack)
      else readAgain(keyspace, cell, reader, consumer, ID, count)
    }
  },

  xcfgset(call, keyspace) {
    let duration: bigint | undefined
    let limit: bigint | undefined
    for (let i = 2; i < call.argc; i += 2) {
      const value = i + 1 < call.argc ? call.int64(i + 1) : undefined
      if (call.is(i, 'IDMP-DURATION')) duration = value
      else if (call.is(i, 'IDMP-MAXSIZE')) limit = value
      else return SYNTAX
      if (value === undefined || value < 1n) return NOT_AN_INTEGER
    }
    const cell = findStream(call, keyspace, 1)
    if (cell instanceof Rejection) return cell
    if (cell === 0) return NO_SUCH_KEY
    const readers = keyspace.streams.makeReaders(cell)
    readers.idempotence ??= new Idempotence()
    const { idempotence } = readers
    idempotence.producers.clear()
    if (duration !== undefined) idempotence.duration = duration
    if (limit !== undefined) idempotence.limit = limit
  },

  xidmprecord(call, keyspace) {
    const cell = findStream(call, keyspace, 1)
    if (cell instanceof Rejection) return cell
    if (cell === 0) return NO_SUCH_KEY
    if (parseId(call.at(4), ID) === Parsed.Invalid) return INVALID_ID
    const producer = latin1(call.at(2))
    const name = latin1(call.at(3))
    if (producer === '' || name === '') return IDMP_EMPTY
    if (!keyspace.streams.has(cell, ID)) return NO_ENTRY
    const readers = keyspace.streams.makeReaders(cell)
    readers.idempotence ??= new Idempotence()
    const there = readers.idempotence.find(producer, name)
    if (there !== undefined) return there.compare(ID) === 0 ? undefined : OTHER_ENTRY
    readers.idempotence.record(producer, name, ID)
  },
}

const MOST_DELIVERIES = (1n << 63n) - 1n
