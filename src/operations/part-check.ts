import { CONTROL_IDS, Context, type ControlProblem } from '../aof/context.ts'
import type { Findings, Severity } from '../aof/finding.ts'
import { type PartEnd, type PartVisitor, scanPart } from '../aof/scan.ts'
import type { FormatError } from '../bytes/errors.ts'
import { escapeBytes, quoteBytes } from '../bytes/escape.ts'
import { formatCount } from '../bytes/figures.ts'
import type { Source } from '../bytes/source.ts'
import type { Magic } from '../rdb/format.ts'
import type { RdbEvent } from '../rdb/walk.ts'
import type { LongRecord } from '../resp/long-record.ts'
import type { Batch, Oddity } from '../resp/scanner.ts'
import { CallCache } from '../servers/call-cache.ts'
import { type CommandTable, Flag, idOf, ids, isModuleName, knownTo } from '../servers/commands.ts'
import { HAZARDOUS_IDS, hazardOf } from '../servers/hazards.ts'
import { loadsRdb, SERVERS } from '../servers/servers.ts'
import { type Behind, countBehind, windowFrom } from './behind.ts'
import { type Described, describeRecord } from './describe.ts'
import { nameDamage } from './diagnose.ts'
import type { LogServer } from './log-server.ts'
import { type Verdict, worst } from './verdict.ts'

/** Where a part stands in its log. */
export interface PartPlace {
  readonly file: string
  readonly type: 'base' | 'incr' | 'single'
  /** Whether servers read it last: only there do they forgive a torn end. */
  readonly last: boolean
}

export interface PartReport {
  readonly file: string
  readonly type: 'base' | 'incr' | 'single'
  readonly format: 'resp' | 'rdb' | 'rdb+resp'
  readonly verdict: Verdict
  /** Bytes; of compressed input, those that it unpacks to. */
  readonly size: number
  /** End of the longest prefix that is whole commands, outside any transaction, and that servers load. */
  readonly validUpTo: number
  /** End of the RDB at its start; 0 when there is none, or none that servers load. */
  readonly preambleEnd: number
  readonly commands: number
  readonly keys: number
}

/** Checks one part: what servers refuse, lose or pass over in it becomes findings. */
export class PartCheck {
  /** Whole commands behind the place where servers stop reading. */
  behind: Behind | undefined
  /** What stands there came through a pipe and is gone. */
  behindUnknown = false
  /** Starting a server on it makes it worse. */
  doNotStart = false
  /** A server that starts on it throws away the preamble. */
  losesPreamble = false

  readonly #place: PartPlace
  readonly #findings: Findings
  readonly #server: LogServer
  readonly #databases: number
  readonly #context: Context
  #table!: CommandTable
  /** By id: 1 where a command needs a closer look than at its number of arguments. */
  #special = new Uint8Array(0)
  /** Calls that need no look any more. */
  readonly #calls = new CallCache()
  #verdict: Verdict = 'sound'
  #commands = 0
  #size = 0
  #keys = 0
  /** End of the RDB at its start; 0 when there is none. */
  #preamble = 0
  /** Offset of the first command, annotations left aside; -1 while there is none. */
  #firstCommand = -1
  /** Offset of the last boundary outside a transaction. */
  #boundary = 0
  /** Where servers stop, or the transaction around it begins; infinite while they do not. */
  #stop = Number.POSITIVE_INFINITY
  /** Hazards in the open transaction. */
  #queued: { readonly code: string; readonly offset: number; readonly message: string }[] = []
  #rdbHeader: { readonly magic: Magic; readonly version: number } | undefined
  #previous: Uint8Array = new Uint8Array(0)

  constructor(place: PartPlace, findings: Findings, server: LogServer, databases: number) {
    this.#place = place
    this.#findings = findings
    this.#server = server
    this.#databases = databases
    this.#context = new Context(databases)
  }

  async run(source: Source, progress?: (offset: number) => void): Promise<PartReport> {
    const end = await scanPart(source, this.#visitor(progress), { databases: this.#databases })
    this.#size = end.size
    await this.#close(source, end, progress)
    const valid = Math.min(this.#stop, this.#boundary)
    return {
      file: this.#place.file,
      type: this.#place.type,
      format: end.format,
      verdict: this.#verdict,
      size: this.#size,
      validUpTo: this.#verdict === 'sound' || this.#verdict === 'damaged' ? this.#size : valid,
      preambleEnd: end.preambleEnd,
      commands: this.#commands,
      keys: this.#keys,
    }
  }

  #visitor(progress: ((offset: number) => void) | undefined): PartVisitor {
    return {
      rdb: event => this.#rdb(event),
      records: batch => this.#records(batch),
      long: record => this.#long(record),
      progress: offset => {
        progress?.(offset)
        return undefined
      },
    }
  }

  #add(code: string, severity: Severity, offset: number, message: string): void {
    this.#findings.add({ code, severity, part: this.#place.file, offset, message })
  }

  /** Something that stops servers, in the record at `offset`. */
  #refuse(code: string, offset: number, message: string): void {
    this.#add(code, 'error', offset, message)
    this.#verdict = worst(this.#verdict, 'corrupt')
    this.#stop = Math.min(this.#stop, this.#context.transaction >= 0 ? this.#context.transaction : offset)
  }

  #records(batch: Batch): void {
    if (this.#special.length === 0) this.#settleServer()
    const { bytes, view, record, first, start, length, count } = batch
    const table = this.#table
    const special = this.#special
    const calls = this.#calls
    let commands = count
    if (this.#firstCommand < 0) this.#firstCommand = firstCommandOf(batch)
    for (let i = 0; i < count; i++) {
      const name = first[i]
      const argc = first[i + 1] - name
      if (argc === 0) {
        commands--
        this.#annotation(batch, i)
        continue
      }
      if (calls.has(view, start[name], length[name], argc)) continue
      const id = table.lookup(bytes, start[name], length[name])
      if (id < 0 || special[id] === 1 || !table.arityOk(id, argc)) this.#look(batch, i, id, argc)
      else calls.add(view, start[name], length[name], argc)
    }
    this.#commands += commands
    if (batch.oddities.length > 0) for (const oddity of batch.oddities) this.#odd(oddity)
    this.#boundary = this.#context.transaction < 0 ? batch.base + record[count] : this.#context.transaction
    this.#previous = bytes.slice(record[count - 1], Math.min(record[count], record[count - 1] + PREVIOUS))
  }

  #long(record: LongRecord): void {
    if (this.#special.length === 0) this.#settleServer()
    const batch = record.asBatch()
    if (this.#firstCommand < 0) this.#firstCommand = record.offset
    const name = batch.first[1] === 0 ? -1 : this.#table.lookup(batch.bytes, batch.start[0], batch.length[0])
    if (name < 0 || this.#special[name] === 1 || !this.#table.arityOk(name, record.argc)) {
      this.#look(batch, 0, name, record.argc)
    }
    this.#commands++
    for (const oddity of record.oddities) this.#odd(oddity)
    this.#boundary = this.#context.transaction < 0 ? record.end : this.#context.transaction
    this.#previous = record.head.subarray(0, PREVIOUS)
  }

  #settleServer(): void {
    this.#table = this.#server.table
    this.#special = new Uint8Array(this.#table.flags.length)
    for (let id = 0; id < this.#special.length; id++) {
      if (SPECIAL_IDS.has(id) || this.#table.isContainer(id) || (this.#table.flags[id] & Flag.Admin) !== 0) {
        this.#special[id] = 1
      }
    }
  }

  /** A command that is not simply known, with the right number of arguments. */
  #look(batch: Batch, i: number, id: number, argc: number): void {
    const { bytes, start, length } = batch
    const offset = batch.offset(i)
    const a = batch.first[i]
    const there = batch.first[i + 1] - a
    const server = this.#server.name
    const nameLength = there > 0 ? length[a] : 0
    const text = escapeBytes(bytes.subarray(start[a], start[a] + nameLength), MAX_NAME)
    if (id < 0) {
      if (isModuleName(bytes, start[a], nameLength)) {
        this.#add(
          'command.module',
          'warning',
          offset,
          `${text} is a module's command: a server loads it only with that module`,
        )
        return
      }
      const others = knownTo(bytes, start[a], nameLength)
      const hint =
        others.length > 0
          ? ` (${others.join(', ')} know${others.length === 1 ? 's' : ''} it: --as ${others.at(-1)})`
          : ''
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
      const message = `${who} ${hazard.what} on ${text}; no server writes it into its log`
      if (!hazard.servers.includes(this.#server.name)) {
        this.#add('command.hazard', 'warning', offset, message)
      } else if (inside) {
        // What is queued happens at the EXEC, if there is one.
        this.#queued.push({ code: 'command.hazard', offset, message })
      } else {
        this.#refuse('command.hazard', offset, message)
      }
    } else if (SCRIPT_IDS.has(id)) {
      this.#add(
        'command.script',
        'warning',
        offset,
        `${text}: the script runs again as the log is loaded; where a call in it fails, outside a transaction, servers crash`,
      )
    } else if (id === ids.watch) {
      this.#add(
        'transaction.watch',
        'warning',
        offset,
        'WATCH: if one of its keys changes before the next EXEC, servers pass over that transaction',
      )
    } else if ((this.#table.flags[id] & Flag.Admin) !== 0) {
      this.#add(
        'command.admin',
        'warning',
        offset,
        `${text} is carried out as the log is loaded; no server writes it there`,
      )
    }
  }

  /** A transaction that began at `from` has come to its `EXEC`: what it queued happens. */
  #executed(from: number): void {
    for (const { code, offset, message } of this.#queued) {
      this.#refuse(code, offset, message)
      this.#stop = Math.min(this.#stop, from)
    }
    this.#queued = []
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
        this.#add(
          'command.select',
          'warning',
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
        this.#add('transaction.discard', 'warning', offset, 'DISCARD without MULTI: servers pass over it')
        return
    }
  }

  #damage(code: string, offset: number, message: string): void {
    this.#add(code, 'error', offset, message)
    this.#verdict = worst(this.#verdict, 'damaged')
  }

  #odd({ code, offset }: Oddity): void {
    switch (code) {
      case 'resp.bulk.terminator':
        this.#damage(
          code,
          offset,
          'expected CR LF behind an argument, found other bytes: servers do not look at them, check-aof refuses them',
        )
        return
      case 'resp.header.line':
        this.#damage(
          code,
          offset,
          'expected a number and CR LF, found a line that servers read as one all the same; check-aof refuses it',
        )
        return
      case 'resp.header.form':
        this.#add(code, 'warning', offset, 'a number in a form that servers read but do not write')
        return
    }
  }

  #annotation(batch: Batch, i: number): void {
    if (this.#context.annotation(batch, i)) return
    const line = batch.bytes.subarray(batch.record[i], batch.record[i + 1])
    this.#add(
      'annotation.timestamp',
      'warning',
      batch.offset(i),
      `a timestamp that is none: "${escapeBytes(line, MAX_NAME)}"; servers pass over it`,
    )
  }

  /** The end of the part, or what ended reading before it. */
  async #close(source: Source, end: PartEnd, progress?: (offset: number) => void): Promise<void> {
    const { error } = end
    this.#preamble = end.preambleEnd
    if (this.#special.length === 0) this.#settleServer()
    if (end.format !== 'resp') this.#checkRdb()
    if (error === undefined) {
      if (end.offset === end.preambleEnd) this.#boundary = end.offset
      if (this.#context.transaction >= 0) this.#openTransaction()
      return
    }
    this.#boundary = Math.max(this.#boundary, end.preambleEnd)
    if (/^(gzip|zstd)\./.test(error.code)) this.#brokenCompression(end, error)
    else if (end.format === 'rdb') this.#brokenRdb(error)
    else if (error.code === 'resp.annotation.torn') this.#tornAnnotation(error)
    else await this.#brokenOff(source, end, error, progress)
  }

  #brokenCompression(end: PartEnd, { code, offset, message }: FormatError): void {
    const { transaction } = this.#context
    this.#verdict = worst(this.#verdict, 'corrupt')
    this.#stop = Math.min(
      this.#stop,
      transaction >= 0 ? transaction : end.format === 'rdb' ? 0 : this.#boundary,
    )
    const known = `What it holds is known up to ${this.#size}.`
    this.#add(code, 'error', offset, `${capital(message)} (offset in the compressed file). ${known}`)
  }

  #brokenRdb({ code, offset, message }: FormatError): void {
    this.#refuse(
      code,
      offset,
      `${capital(message)}. Servers do not start on it: a preamble or base that is cut or changed is never loaded in part.`,
    )
    this.#stop = 0
  }

  /** Functions as release candidates of Redis 7.0 wrote them. */
  #oldFunctions(offset: number): void {
    const server = this.#server.name
    if (server === 'redis-7.0') return
    this.#refuse(
      'rdb.opcode',
      offset,
      `functions in the form of a release candidate: redis 7.0 loads them, ${server} does not`,
    )
    this.#stop = 0
  }

  #checkRdb(): void {
    const server = this.#server.name
    if (this.#place.type === 'incr') {
      this.#damage(
        'part.rdb-incr',
        0,
        'an RDB in the place of an incr part: servers load it, check-aof refuses it',
      )
    }
    if (this.#rdbHeader !== undefined && !loadsRdb(server, this.#rdbHeader.magic, this.#rdbHeader.version)) {
      const { magic, version } = this.#rdbHeader
      this.#refuse('rdb.version', 0, `${magic} version ${version}: ${server} does not load it`)
      this.#stop = 0
    }
  }

  /** `MULTI` without `EXEC`, and the part ends with a whole command, or inside an annotation. */
  #openTransaction(): void {
    const at = this.#context.transaction
    this.#stop = Math.min(this.#stop, at)
    const said = [`MULTI without EXEC up to the end: none of its ${bytesOf(this.#size - at)} counts.`]
    if (this.#place.last) {
      this.#verdict = worst(this.#verdict, 'torn')
      said.push(this.#loss('the transaction'))
      if (this.#preamble > 0 && this.#firstCommand === at) said.push(this.#preambleIsLost())
    } else {
      said.push(this.#tornTooEarly())
    }
    this.#add('transaction.torn', 'error', at, said.join(' '))
  }

  /** A torn part that is not the last: worse than corrupt, since the first start hides it. */
  #tornTooEarly(): string {
    this.#verdict = worst(this.#verdict, 'corrupt')
    this.doNotStart = true
    return 'Other parts follow: a server cuts this one on the disk and refuses to start; its next start succeeds and hides the loss.'
  }

  #loss(what: string): string {
    const lost = this.#size - Math.min(this.#stop, this.#boundary)
    return `A server with the default configuration starts and loses ${bytesOf(lost)}: ${what}.`
  }

  #preambleIsLost(): string {
    this.losesPreamble = true
    this.doNotStart = true
    return 'redis 7.0, redis 8.0 and valkey 8.1 load the preamble, cut the file to nothing, and have lost everything at their next start: repair before starting the server.'
  }

  /** The file ends inside an annotation, which servers read as a whole one. */
  #tornAnnotation({ code, offset }: FormatError): void {
    const what = 'The file ends inside an annotation.'
    if (this.#context.transaction >= 0) {
      this.#openTransaction()
    } else if (this.#place.last) {
      this.#stop = Math.min(this.#stop, offset)
      this.#verdict = worst(this.#verdict, 'torn')
      this.doNotStart = true
      this.#add(
        code,
        'error',
        offset,
        `${what} A server starts, appends behind the unfinished line, and refuses its next start: repair before starting it.`,
      )
    } else {
      this.#boundary = this.#size
      this.#add(code, 'warning', offset, `${what} Servers load it, and write no more to this part.`)
    }
  }

  /** Reading ended at a record that is cut or wrong. */
  async #brokenOff(
    source: Source,
    end: PartEnd,
    error: FormatError,
    progress?: (offset: number) => void,
  ): Promise<void> {
    const { transaction } = this.#context
    this.#stop = Math.min(this.#stop, transaction >= 0 ? transaction : end.offset)
    const said = [foundInstead(error, end)]
    const damage = await nameDamage({
      error,
      rest: end.rest,
      offset: end.offset,
      size: end.size,
      source,
      table: this.#table,
    })
    if (damage !== undefined) said.push(damage)
    await this.#lookBehind(source, end, error, progress)
    if (error.kind === 'corrupt') {
      this.#verdict = worst(this.#verdict, 'corrupt')
      said.push('Servers do not start on it.')
      if (this.behind !== undefined) {
        said.push(`Behind it, from ${this.behind.offset} on, stand ${commandsOf(this.behind)}.`)
      }
    } else if (this.#place.last) {
      this.#verdict = worst(this.#verdict, 'torn')
      said.push(...this.#tornEnd(end, transaction >= 0))
    } else {
      said.push(this.#tornTooEarly())
    }
    const before = describeRecord(this.#previous)
    if (before !== undefined) said.push(`Before it: ${before.text}.`)
    this.#add(error.code, 'error', error.offset, said.join(' '))
  }

  /** What a server that starts on a torn end does. */
  #tornEnd(end: PartEnd, inTransaction: boolean): string[] {
    const record = describeRecord(end.rest)
    const cut = record === undefined ? 'a record that had just begun' : piece(record)
    const said = [this.#loss(inTransaction ? `a transaction that ends inside ${cut}` : cut)]
    if (this.behind !== undefined) {
      this.doNotStart = true
      said.push(
        `It would discard ${commandsOf(this.behind)} that stand behind, from ${this.behind.offset} on: a length was changed.`,
      )
    }
    if (this.behindUnknown) {
      said.push('Whether whole commands stand in it cannot be said of a pipe: verify the file.')
    }
    if (this.#preamble > 0 && this.#firstCommand < 0) {
      said.push(this.#preambleIsLost())
    } else if (inTransaction) {
      this.doNotStart = true
      said.push(
        'redis 7.0, redis 8.0 and valkey 8.1 leave the transaction open in the file and lose what they write next: repair before starting the server.',
      )
    }
    return said
  }

  /** Looks at all that stands behind the place where servers stop reading. */
  async #lookBehind(
    source: Source,
    end: PartEnd,
    error: FormatError,
    progress?: (offset: number) => void,
  ): Promise<void> {
    if (source.seekable) {
      if (end.size - end.offset > 1) {
        this.behind = await countBehind(windowFrom(source, end.offset + 1), this.#table, progress)
      }
      return
    }
    // A record larger than the window has gone by.
    this.behindUnknown = error.kind === 'torn' && end.window.offset > end.offset + 1
    if (end.window.offset === end.offset && end.window.start < end.window.end) end.window.start++
    this.behind = await countBehind(end.window, this.#table, progress)
    this.#size = end.window.base + end.window.end
  }

  #rdb(event: RdbEvent): void {
    switch (event.kind) {
      case 'header':
        this.#rdbHeader = event
        this.#server.noteMagic(event.magic)
        return
      case 'aux':
        this.#server.noteAux(event.name, event.value)
        return
      case 'entries':
        this.#keys += event.entries.count
        return
      case 'function-pre-release':
        this.#oldFunctions(event.offset)
        return
    }
  }
}

function bytesOf(count: number): string {
  return count === 1 ? '1 byte' : `${formatCount(count)} bytes`
}

function commandsOf({ commands, bytes }: Behind): string {
  return `${commands === 1 ? '1 whole command' : `${formatCount(commands)} whole commands`} (${bytesOf(bytes)})`
}

function piece({ text, whole, promised }: Described): string {
  return `a cut \`${text}\` (${whole} of ${promised} arguments)`
}

/** The parser's message, with what stands there instead of what it expected. */
function foundInstead({ code, message, offset }: FormatError, end: PartEnd): string {
  if (code !== 'resp.record.type' && code !== 'resp.bulk.type') return `${capital(message)}.`
  const at = offset - end.offset
  if (at < 0 || at >= end.rest.length) return `${capital(message)}.`
  return `${capital(message)}, found ${quoteBytes(end.rest.subarray(at, at + FOUND))}.`
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}

/** Bytes that are shown of what was found instead. */
const FOUND = 16
const SCRIPT_IDS: ReadonlySet<number> = new Set(
  ['eval', 'eval_ro', 'evalsha', 'evalsha_ro', 'fcall', 'fcall_ro'].map(idOf),
)
const SPECIAL_IDS: ReadonlySet<number> = new Set([...CONTROL_IDS, ...HAZARDOUS_IDS, ...SCRIPT_IDS, ids.watch])

function firstCommandOf(batch: Batch): number {
  for (let i = 0; i < batch.count; i++) if (batch.argc(i) > 0) return batch.offset(i)
  return -1
}

/** Bytes of the command before a damage that are kept to be shown. */
const PREVIOUS = 4096
const MAX_NAME = 60
