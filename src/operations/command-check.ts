import { CONTROL_IDS, type Context, type ControlProblem } from '../aof/context.ts'
import { escapeBytes } from '../bytes/escape.ts'
import type { Batch } from '../resp/scanner.ts'
import { CallCache } from '../servers/call-cache.ts'
import { type CommandTable, Flag, idOf, ids, isModuleName, knownTo } from '../servers/commands.ts'
import { HAZARDOUS_IDS, hazardOf } from '../servers/hazards.ts'
import { SERVERS } from '../servers/servers.ts'
import type { Judgement } from './judgement.ts'

/** Bytes of a name or argument that a message shows. */
const MAX_NAME = 60

const SCRIPT_IDS: ReadonlySet<number> = new Set(
  ['eval', 'eval_ro', 'evalsha', 'evalsha_ro', 'fcall', 'fcall_ro'].map(idOf),
)
const SPECIAL_IDS: ReadonlySet<number> = new Set([...CONTROL_IDS, ...HAZARDOUS_IDS, ...SCRIPT_IDS, ids.watch])

/** Checks the commands of one part: whether a server knows them, takes their arguments, and survives them. */
export class CommandCheck {
  readonly #table: CommandTable
  readonly #context: Context
  readonly #databases: number
  readonly #judgement: Judgement
  /** By id: 1 where a command needs a closer look than at its number of arguments. */
  readonly #special: Uint8Array
  /** Calls that need no look any more. */
  readonly #calls = new CallCache()
  /** Hazards in the open transaction. */
  #queued: { readonly offset: number; readonly message: string }[] = []

  constructor(table: CommandTable, context: Context, databases: number, judgement: Judgement) {
    this.#table = table
    this.#context = context
    this.#databases = databases
    this.#judgement = judgement
    this.#special = Uint8Array.from(table.flags, (flags, id) =>
      Number(SPECIAL_IDS.has(id) || table.isContainer(id) || (flags & Flag.Admin) !== 0),
    )
  }

  /**
   * Checks record `i`, which is no annotation.
   * @param argc its arguments; in the batch there may be fewer, of a record larger than the window
   */
  check(batch: Batch, i: number, argc: number): void {
    const { bytes, view, first, start, length } = batch
    const name = first[i]
    if (this.#calls.has(view, start[name], length[name], argc)) return
    const id = this.#table.lookup(bytes, start[name], length[name])
    if (id < 0 || this.#special[id] === 1 || !this.#table.arityOk(id, argc)) this.#look(batch, i, id, argc)
    else this.#calls.add(view, start[name], length[name], argc)
  }

  /** A command that is not simply known, with the right number of arguments. */
  #look(batch: Batch, i: number, id: number, argc: number): void {
    const { bytes, start, length } = batch
    const offset = batch.offset(i)
    const a = batch.first[i]
    const there = batch.first[i + 1] - a
    const server = this.#table.server
    const nameLength = there > 0 ? length[a] : 0
    const text = escapeBytes(bytes.subarray(start[a], start[a] + nameLength), MAX_NAME)
    if (id < 0) {
      if (isModuleName(bytes, start[a], nameLength)) {
        this.#judgement.warn(
          'command.module',
          offset,
          `${text} is a module's command: a server loads it only with that module`,
        )
        return
      }
      const others = knownTo(bytes, start[a], nameLength)
      const hint =
        others.length > 0
          ? ` (${others.join(', ')} know${others.length === 1 ? 's' : ''} it: --as ${others.at(-1)})`
          : ' (--allow-commands takes it as it is)'
      this.#refuse(
        'command.unknown',
        offset,
        `${server} knows no command "${text}"${hint}: ${others.length > 0 ? 'it does' : 'servers do'} not start on it`,
      )
      return
    }
    if (!this.#table.arityOk(id, argc)) {
      this.#arity(offset, text, id, argc)
      return
    }
    if (this.#table.isContainer(id) && there > 1) {
      const sub = this.#table.lookupSub(id, bytes, start[a + 1], length[a + 1])
      const subText = `${text} ${escapeBytes(bytes.subarray(start[a + 1], start[a + 1] + length[a + 1]), MAX_NAME)}`
      if (sub < 0) {
        this.#refuse(
          'command.unknown',
          offset,
          `${server} knows no command "${subText}": it does not start on it`,
        )
        return
      }
      if (!this.#table.arityOk(sub, argc)) this.#arity(offset, subText, sub, argc)
      else this.#effects(batch, a, there, sub, subText, offset)
      return
    }
    this.#effects(batch, a, there, id, text, offset)
    const open = this.#context.transaction
    const problem = this.#context.control(batch, i, id)
    if (problem !== undefined) this.#control(problem, batch, i, offset)
    if (open >= 0 && this.#context.transaction < 0) this.#executed(open)
  }

  /** A command that is in order, and does something to the server that replays it. */
  #effects(batch: Batch, a: number, there: number, id: number, text: string, offset: number): void {
    const inside = this.#context.transaction >= 0
    const hazard = hazardOf(id, batch, a, there, inside)
    if (hazard !== undefined) {
      const who = hazard.servers.length === SERVERS.length ? 'every server' : hazard.servers.join(', ')
      const message = `${text}: ${who} ${hazard.what}; no server writes it into its log`
      if (!hazard.servers.includes(this.#table.server)) {
        this.#judgement.warn('command.hazard', offset, message)
      } else if (inside) {
        // What is queued happens at the EXEC, if there is one.
        this.#queued.push({ offset, message })
      } else {
        this.#refuse('command.hazard', offset, message)
      }
    } else if (SCRIPT_IDS.has(id)) {
      this.#judgement.warn(
        'command.script',
        offset,
        `${text}: the script runs again as the log is loaded; where a call in it fails, outside a transaction, servers crash`,
      )
    } else if (id === ids.watch) {
      this.#judgement.warn(
        'transaction.watch',
        offset,
        'WATCH: if one of its keys changes before the next EXEC, servers pass over that transaction',
      )
    } else if ((this.#table.flags[id] & Flag.Admin) !== 0) {
      this.#judgement.warn(
        'command.admin',
        offset,
        `${text} is carried out as the log is loaded; no server writes it there`,
      )
    }
  }

  /** A transaction that began at `from` has come to its `EXEC`: what it queued happens. */
  #executed(from: number): void {
    for (const { offset, message } of this.#queued) {
      this.#judgement.refuse('command.hazard', offset, from, message)
    }
    this.#queued = []
  }

  #refuse(code: string, offset: number, message: string): void {
    const { transaction } = this.#context
    this.#judgement.refuse(code, offset, transaction >= 0 ? transaction : offset, message)
  }

  #damage(code: string, offset: number, message: string): void {
    this.#judgement.blame('damaged', code, offset, message)
  }

  #arity(offset: number, text: string, id: number, argc: number): void {
    const { min, max } = this.#table.arity(id)
    const wanted =
      min === max
        ? `${min - 1}`
        : max === Number.POSITIVE_INFINITY
          ? `${min - 1} or more`
          : `${min - 1} to ${max - 1}`
    this.#refuse(
      'command.arity',
      offset,
      `${text} with ${argc - 1} arguments instead of ${wanted}: valkey does not start on it; redis does not look, and loads it or crashes`,
    )
  }

  #control(problem: ControlProblem, batch: Batch, i: number, offset: number): void {
    switch (problem) {
      case 'select': {
        const a = batch.first[i] + 1
        const db = escapeBytes(
          batch.bytes.subarray(batch.start[a], batch.start[a] + batch.length[a]),
          MAX_NAME,
        )
        this.#judgement.warn(
          'command.select',
          offset,
          `SELECT ${db} fails with ${this.#databases} databases: what follows is written to database ${this.#context.db}`,
        )
        return
      }
      case 'exec-alone':
        this.#damage(
          'transaction.exec',
          offset,
          'EXEC without MULTI: servers pass over it, check-aof refuses it',
        )
        return
      case 'multi-nested':
        this.#damage(
          'transaction.multi',
          offset,
          'MULTI inside MULTI: servers pass over it, check-aof refuses it',
        )
        return
      case 'discard-alone':
        this.#judgement.warn('transaction.discard', offset, 'DISCARD without MULTI: servers pass over it')
        return
    }
  }
}
