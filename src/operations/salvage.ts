import { Context } from '../aof/context.ts'
import { Findings } from '../aof/finding.ts'
import { type Gap, ResyncReader } from '../aof/resync-reader.ts'
import { JobError } from '../bytes/errors.ts'
import type { Source } from '../bytes/source.ts'
import { CR, DOLLAR, LF, STAR } from '../resp/format.ts'
import { type Batch, digitsOf, plainNumber } from '../resp/scanner.ts'
import { encodeRecord } from '../resp/writer.ts'
import { type Arguments, type CommandTable, ids } from '../servers/commands.ts'
import { CommandCheck } from './command-check.ts'
import { Judgement } from './judgement.ts'
import { MAX_PATCHES, type Patch } from './normalize.ts'

/*
 * What of a part's commands is kept when damage is skipped:
 *
 * - Where framing breaks, aof/resync-reader.ts says where it goes on; what lies between is skipped.
 * - A whole record that servers refuse (an unknown name, a wrong number of arguments, a command that ends them) is
 *   skipped alone.
 * - A transaction that any of this touches is skipped whole: what is open at a gap, and what leads from a gap to an
 *   `EXEC` whose `MULTI` was in it. One that is open at the end as well.
 * - The database selected behind a gap is taken to be the one before it. A `SELECT` is inserted only where one that is
 *   known was skipped with its transaction.
 */

/** What was in a span, as far as it can still be read. */
export interface Guess {
  /** Name of its first command, in small letters. */
  readonly command: string
  /** Its first key; absent where it has none, or none that can be read. */
  readonly key?: Uint8Array
}

export interface SalvageSpan extends Patch {
  readonly guess?: Guess | undefined
}

export interface SalvageOptions {
  readonly databases: number
  /** Behind a gap, commands are kept from the next `SELECT` on only. */
  readonly skipUntilSelect: boolean
}

export interface Salvage {
  /** Ascending; they do not overlap. */
  readonly spans: readonly SalvageSpan[]
  /** Commands of the result, and those that were whole and are not in it. */
  readonly commands: number
  readonly dropped: number
  /** What the first damage comes to that servers do not read over; `line`: perhaps they do. */
  readonly first: 'torn' | 'corrupt' | 'line' | undefined
  /** There is something that check-aof refuses and servers load. */
  readonly damaged: boolean
  /** Gaps behind which the selected database and what is in a transaction are not known. */
  readonly gaps: number
  /** Keys of lost commands that can still be read. */
  readonly affected: AffectedKeys
}

/** Keys that lost commands would have changed, as far as they can be read; `more` when they are too many to be kept. */
export class AffectedKeys {
  readonly keys = new Map<string, Uint8Array>()
  /** Those whose lost commands count from what was there before: a later command does not make up for them. */
  readonly counters = new Map<string, Uint8Array>()
  more = false

  add(guess: Guess | undefined): void {
    if (guess?.key === undefined) return
    const name = Buffer.from(guess.key).toString('latin1')
    if (this.keys.size >= MOST_KEYS && !this.keys.has(name)) {
      this.more = true
      return
    }
    this.keys.set(name, guess.key)
    if (COUNTING.has(guess.command)) this.counters.set(name, guess.key)
  }

  addAll(others: AffectedKeys): void {
    for (const [name, key] of others.keys) this.keys.set(name, key)
    for (const [name, key] of others.counters) this.counters.set(name, key)
    this.more ||= others.more
  }
}

/** What a salvage comes to, over all parts. */
export interface SalvageFigures {
  /** Commands of the result, and keys in its RDB parts. */
  readonly commands: number
  readonly keys: number
  /** Commands that were whole and are not in it: of transactions, those that servers refuse, those of which the database is not known. */
  readonly dropped: number
  readonly spans: number
  /** Places behind which the selected database, and what belongs to a transaction, are not known. */
  readonly gaps: number
  readonly affected: AffectedKeys
}

/** Keys that are kept for a report. */
const MOST_KEYS = 10_000
/** Bytes of a span that are looked at for what it was. */
const LOOK = 4096

/** Commands whose result depends on what they find. */
const COUNTING: ReadonlySet<string> = new Set(
  'append decr decrby hincrby hincrbyfloat incr incrby incrbyfloat linsert lpop lpush lpushx ltrim rpop rpoplpush rpush rpushx lmove setrange zincrby'.split(
    ' ',
  ),
)

/** Gathers what a check refuses, instead of telling it. */
class Refusals extends Judgement {
  code: string | undefined
  /** The last command is a module's, or looks like one. */
  module = false

  constructor() {
    super('', new Findings())
  }

  override warn(code: string): void {
    if (code === 'command.module') this.module = true
  }

  override blame(_verdict: string, code: string): void {
    this.code = code
  }

  override refuse(code: string): void {
    this.code = code
  }
}

/** Where the result stands: to go back to when what follows is not kept. */
interface Mark {
  readonly offset: number
  /** Selected in the result. */
  readonly db: number
  readonly commands: number
  readonly spans: number
  readonly last: SalvageSpan | undefined
}

/**
 * Plans what is kept of the commands of a part, from `from` on.
 * @param source of known size, readable by offset
 * @param from the end of its preamble
 */
export async function planSalvage(
  source: Source,
  from: number,
  table: CommandTable,
  options: SalvageOptions,
  progress?: (offset: number) => void,
): Promise<Salvage> {
  const planner = new SalvagePlanner(table, options)
  const reader = new ResyncReader(source, from, table)
  for (let batch = await reader.next(); batch !== undefined; batch = await reader.next()) {
    if (reader.gap !== undefined) planner.gap(reader.gap, await beginning(source, reader, reader.gap))
    if (reader.long !== undefined) planner.records(reader.long.asBatch(), reader.long.argc, reader.long.end)
    else if (batch.count > 0) planner.records(batch)
    progress?.(reader.offset)
  }
  return planner.end(source.size as number)
}

/** The first bytes of a gap: what can be told of it stands there. */
async function beginning(source: Source, reader: ResyncReader, { offset, end }: Gap): Promise<Uint8Array> {
  const to = Math.min(end, offset + LOOK)
  const there = reader.bytes(offset, to)
  if (there !== undefined) return there
  const bytes = new Uint8Array(to - offset)
  return bytes.subarray(0, await source.readAt(bytes, offset))
}

class SalvagePlanner {
  readonly #table: CommandTable
  readonly #skipUntilSelect: boolean
  /** As all commands that were read leave it, kept or not. */
  readonly #context: Context
  readonly #refusals = new Refusals()
  readonly #check: CommandCheck
  readonly #spans: SalvageSpan[] = []
  readonly #affected = new AffectedKeys()
  #commands = 0
  #dropped = 0
  #gaps = 0
  #first: Salvage['first']
  #damaged = false
  /** The database that is selected in the result: another than the context's when a `SELECT` was skipped. */
  #db = 0
  /** Before the open transaction. */
  #open: Mark | undefined
  /** What the open transaction selects comes too late for the commands before it. */
  #late = false
  /** Behind the last gap, until a `MULTI` or an `EXEC` says whether it is in a transaction. */
  #behind: Mark | undefined
  /** Behind the first gap since when no database was selected. */
  #skip: Mark | undefined

  constructor(table: CommandTable, options: SalvageOptions) {
    this.#table = table
    this.#skipUntilSelect = options.skipUntilSelect
    this.#context = new Context(options.databases)
    this.#check = new CommandCheck(table, this.#context, options.databases, this.#refusals)
  }

  /** @param bytes at its start */
  gap({ offset, end, code, kind }: Gap, bytes: Uint8Array): void {
    if (kind === 'twice') {
      this.#first ??= 'corrupt'
      this.#add(offset, end, code, undefined)
      return
    }
    if (kind === 'odd') this.#damaged = true
    else this.#first ??= code === 'resp.header.line' ? 'line' : kind
    const guesses = this.#guesses(bytes)
    for (const guess of guesses) this.#affected.add(guess)
    this.#lose(offset, end, code, guesses[0])
  }

  /**
   * Takes note of whole records.
   * @param argc of the only one, when it is larger than the batch; with its end
   */
  records(batch: Batch, argc?: number, end?: number): void {
    const { first } = batch
    const check = this.#check
    const context = this.#context
    const refusals = this.#refusals
    for (let i = 0; i < batch.count; i++) {
      const count = argc ?? first[i + 1] - first[i]
      if (count === 0) {
        context.annotation(batch, i)
        continue
      }
      this.#commands++
      const transaction = context.transaction
      const db = context.db
      check.check(batch, i, count)
      if (
        refusals.code !== undefined ||
        refusals.module ||
        transaction !== context.transaction ||
        db !== context.db ||
        db !== this.#db ||
        this.#skip !== undefined
      ) {
        this.#look(batch, i, transaction, count, end ?? batch.base + batch.record[i + 1])
      }
    }
  }

  /** A record that is refused, or where the transaction or the database changes or is not as in the result. */
  #look(batch: Batch, i: number, transaction: number, argc: number, end: number): void {
    const context = this.#context
    const offset = batch.offset(i)
    const { module } = this.#refusals
    let { code } = this.#refusals
    this.#refusals.code = undefined
    this.#refusals.module = false
    if (module && !this.#isModules(batch, i, argc)) code = 'command.unknown'
    if (transaction < 0 && context.transaction >= 0) {
      this.#begin(offset)
      return
    }
    if (transaction >= 0 && context.transaction < 0) {
      this.#end(end, code)
      return
    }
    if (code === 'transaction.exec') {
      this.#endUnseen(end)
      return
    }
    if (code === 'transaction.multi') {
      this.#damaged = true
      return
    }
    const id = this.#idOf(batch, i)
    const selects = code === undefined && id === ids.select
    if (this.#skip !== undefined) {
      if (selects) this.#found(offset)
    } else if (code !== undefined) {
      this.#first ??= 'corrupt'
      this.#commands--
      this.#dropped++
      const guess = guessOf(this.#table, batch, batch.first[i], batch.first[i + 1] - batch.first[i])
      this.#affected.add(guess)
      this.#lose(offset, end, code, guess)
    } else if (context.transaction < 0) {
      if (selects || id === ids.reset) this.#db = context.db
      else this.#select(offset)
    }
  }

  /** `MULTI`. */
  #begin(offset: number): void {
    this.#behind = undefined
    this.#late = false
    this.#open = this.#mark(offset, 1)
    if (this.#skip === undefined) this.#select(offset)
  }

  /** `EXEC` of a transaction that is there. */
  #end(end: number, code: string | undefined): void {
    const open = this.#open as Mark
    this.#open = undefined
    if (this.#skip !== undefined) {
      if (!this.#late) return
      this.#back(this.#skip, end, 'salvage.database')
      this.#skip = undefined
    } else if (code !== undefined) {
      this.#first ??= 'corrupt'
      this.#back(open, end, code)
    } else this.#db = this.#context.db
  }

  /** `EXEC` of a transaction whose `MULTI` was not seen. */
  #endUnseen(end: number): void {
    if (this.#behind === undefined) this.#damaged = true
    else if (this.#skip === undefined) this.#back(this.#behind, end, 'salvage.transaction')
    this.#behind = undefined
  }

  /** A database is selected, at `offset`, for the first time behind a gap. */
  #found(offset: number): void {
    const skip = this.#skip as Mark
    const open = this.#open
    // The MULTI before it counts.
    const between = open === undefined ? 0 : this.#commands - 1 - open.commands
    if (between > 1) {
      this.#late = true
      return
    }
    this.#skip = undefined
    this.#commands -= between + 1
    this.#back(skip, open?.offset ?? offset, 'salvage.database')
    if (open === undefined) this.#db = this.#context.db
    else this.#open = this.#mark(open.offset, 0)
    this.#commands += between + 1
  }

  /** Skips what could not be read, or is refused, and all that it leaves of a transaction. */
  #lose(offset: number, end: number, code: string, guess: Guess | undefined): void {
    this.#gaps++
    this.#context.transaction = -1
    if (this.#skip === undefined) {
      if (this.#open !== undefined) this.#back(this.#open, offset, 'salvage.transaction')
      this.#add(offset, end, code, guess)
      if (this.#skipUntilSelect) this.#skip = this.#mark(end, 0)
    }
    this.#open = undefined
    this.#behind = this.#mark(end, 0)
  }

  /** Skips all from a mark to `end`. */
  #back(mark: Mark, end: number, code: string): void {
    this.#dropped += this.#commands - mark.commands
    this.#commands = mark.commands
    this.#db = mark.db
    this.#spans.length = mark.spans
    if (mark.last !== undefined) this.#spans[mark.spans - 1] = mark.last
    if (end > mark.offset) this.#add(mark.offset, end, code, undefined)
  }

  /** @param counted commands from `offset` on that were counted already */
  #mark(offset: number, counted: number): Mark {
    const spans = this.#spans.length
    return { offset, db: this.#db, commands: this.#commands - counted, spans, last: this.#spans.at(-1) }
  }

  /** Before a command that is kept: selects its database, where what selected it was skipped. */
  #select(offset: number): void {
    const { db } = this.#context
    if (this.#db === db) return
    const last = this.#spans.at(-1)
    if (last === undefined || last.end > offset) throw new Error('what selected the database was not skipped')
    this.#spans[this.#spans.length - 1] = { ...last, by: encodeRecord(['SELECT', String(db)]) }
    this.#db = db
  }

  #add(offset: number, end: number, reason: string, guess: Guess | undefined): void {
    if (this.#spans.length === MAX_PATCHES) {
      throw new JobError(
        'salvage.spans',
        `more than ${MAX_PATCHES} spans would be skipped`,
        'where nearly everything is damaged, a backup or a replica is the better start',
      )
    }
    this.#spans.push({ offset, end, by: NOTHING, reason, ...(guess === undefined ? {} : { guess }) })
  }

  #idOf({ bytes, first, start, length }: Batch, i: number): number {
    const name = first[i]
    return this.#table.lookup(bytes, start[name], length[name])
  }

  /** Whether a name with a dot is a module's, and not that of a command of which a letter became a dot. */
  #isModules({ bytes, first, start, length }: Batch, i: number, argc: number): boolean {
    const name = Buffer.from(bytes.subarray(start[first[i]], start[first[i]] + length[first[i]])).toString(
      'latin1',
    )
    if (!/^[a-z][\w-]*\.[\w.-]+$/i.test(name)) return false
    const pattern = new RegExp(`^${name.replaceAll('.', '\\w').replaceAll('-', '\\-')}$`, 'i')
    return this.#table.flags.every(
      (_, id) => !this.#table.arityOk(id, argc) || !pattern.test(this.#table.name(id)),
    )
  }

  /** What stood in a span: its first commands, as far as they can still be read. */
  #guesses(bytes: Uint8Array): Guess[] {
    const guesses: Guess[] = []
    for (let at = bytes.indexOf(STAR); at >= 0 && guesses.length < MOST_GUESSES; ) {
      const guess = guessAt(this.#table, bytes, at, bytes.length)
      if (guess !== undefined) guesses.push(guess)
      at = bytes.indexOf(STAR, at + 1)
    }
    return guesses
  }

  end(size: number): Salvage {
    if (this.#skip !== undefined) this.#back(this.#skip, size, 'salvage.database')
    else if (this.#open !== undefined) {
      this.#first ??= 'torn'
      this.#back(this.#open, size, 'transaction.torn')
    }
    return {
      spans: this.#spans,
      commands: this.#commands,
      dropped: this.#dropped,
      first: this.#first,
      damaged: this.#damaged,
      gaps: this.#gaps,
      affected: this.#affected,
    }
  }
}

/** The command that begins at `at` in what may break off, or be wrong, anywhere; undefined where none can be read. */
function guessAt(table: CommandTable, bytes: Uint8Array, at: number, end: number): Guess | undefined {
  const argc = plainNumber(bytes, at + 1)
  if (argc < 1 || argc > end - at) return undefined
  let p = at + digitsOf(argc) + 3
  const start: number[] = []
  const length: number[] = []
  while (start.length < argc && start.length < MOST_ARGUMENTS && bytes[p] === DOLLAR) {
    const size = plainNumber(bytes, p + 1)
    if (size < 0) break
    p += digitsOf(size) + 3
    if (p + size > end) break
    const whole = bytes[p + size] === CR && bytes[p + size + 1] === LF && p + size + 2 <= end
    // A length that is wrong reads over lines.
    if (!whole && bytes.subarray(p, p + size).includes(LF)) break
    start.push(p)
    length.push(size)
    p += size + 2
    if (!whole) break
  }
  return guessOf(table, { bytes, start, length }, 0, start.length)
}

/** What a command is, by the arguments of it that are there. */
function guessOf(table: CommandTable, args: Arguments, first: number, there: number): Guess | undefined {
  if (there === 0) return undefined
  const { bytes, start, length } = args
  const id = table.lookup(bytes, start[first], length[first])
  if (id < 0) return undefined
  const sub = there > 1 ? table.lookupSub(id, bytes, start[first + 1], length[first + 1]) : -1
  const command = table.name(sub < 0 ? id : sub)
  const [key] = table.keyPositions(sub < 0 ? id : sub, args, first, there)
  if (key === undefined) return { command }
  const at = start[first + key]
  // Small buffers share their memory.
  return { command, key: Buffer.from(bytes.subarray(at, at + length[first + key])) }
}

/** Commands that are looked for at the start of a span, and arguments that are looked at for a key. */
const MOST_GUESSES = 16
const MOST_ARGUMENTS = 64

const NOTHING = new Uint8Array(0)
