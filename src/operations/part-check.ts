import { Context } from '../aof/context.ts'
import type { Findings } from '../aof/finding.ts'
import { type PartEnd, type PartVisitor, scanPart } from '../aof/scan.ts'
import type { FormatError } from '../bytes/errors.ts'
import { escapeBytes, quoteBytes } from '../bytes/escape.ts'
import { formatCount } from '../bytes/figures.ts'
import type { Source } from '../bytes/source.ts'
import type { LongRecord } from '../resp/long-record.ts'
import type { Batch, Oddity } from '../resp/scanner.ts'
import { type Behind, countBehind, windowFrom } from './behind.ts'
import { CommandCheck } from './command-check.ts'
import { type Described, describeRecord } from './describe.ts'
import { nameDamage } from './diagnose.ts'
import { Judgement } from './judgement.ts'
import type { LogServer } from './log-server.ts'
import { RdbCheck } from './rdb-check.ts'
import type { Verdict } from './verdict.ts'

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
  readonly #server: LogServer
  readonly #databases: number
  readonly #context: Context
  readonly #judgement: Judgement
  readonly #rdbCheck: RdbCheck
  #check: CommandCheck | undefined
  #commands = 0
  #size = 0
  /** End of the RDB at its start; 0 when there is none. */
  #preamble = 0
  /** Offset of the first command, annotations left aside; -1 while there is none. */
  #firstCommand = -1
  /** Offset of the last boundary outside a transaction. */
  #boundary = 0
  #previous: Uint8Array = new Uint8Array(0)

  constructor(place: PartPlace, findings: Findings, server: LogServer, databases: number) {
    this.#place = place
    this.#server = server
    this.#databases = databases
    this.#context = new Context(databases)
    this.#judgement = new Judgement(place.file, findings)
    this.#rdbCheck = new RdbCheck(server, this.#judgement)
  }

  /** End of what servers load. */
  get #valid(): number {
    return Math.min(this.#judgement.stop, this.#boundary)
  }

  async run(source: Source, progress?: (offset: number) => void): Promise<PartReport> {
    const end = await scanPart(source, this.#visitor(progress), {
      databases: this.#databases,
      values: true,
    })
    this.#size = end.size
    await this.#close(source, end, progress)
    const { verdict } = this.#judgement
    return {
      file: this.#place.file,
      type: this.#place.type,
      format: end.format,
      verdict,
      size: this.#size,
      validUpTo: verdict === 'sound' || verdict === 'damaged' ? this.#size : this.#valid,
      preambleEnd: end.preambleEnd,
      commands: this.#commands,
      keys: this.#rdbCheck.keys,
    }
  }

  #visitor(progress: ((offset: number) => void) | undefined): PartVisitor {
    return {
      rdb: event => this.#rdbCheck.event(event),
      records: batch => this.#records(batch),
      long: record => this.#long(record),
      progress: offset => {
        progress?.(offset)
        return undefined
      },
    }
  }

  #records(batch: Batch): void {
    const { bytes, record, first, count } = batch
    const check = this.#commandCheck()
    let commands = count
    if (this.#firstCommand < 0) this.#firstCommand = firstCommandOf(batch)
    for (let i = 0; i < count; i++) {
      const argc = first[i + 1] - first[i]
      if (argc > 0) {
        check.check(batch, i, argc)
      } else {
        commands--
        this.#annotation(batch, i)
      }
    }
    this.#commands += commands
    for (const oddity of batch.oddities) {
      const at = oddity.offset - batch.base
      this.#odd(oddity, bytes.subarray(at, at + oddity.length))
    }
    this.#boundary = this.#context.transaction < 0 ? batch.base + record[count] : this.#context.transaction
    this.#previous = bytes.slice(record[count - 1], Math.min(record[count], record[count - 1] + PREVIOUS))
  }

  #long(record: LongRecord): void {
    if (this.#firstCommand < 0) this.#firstCommand = record.offset
    this.#commandCheck().check(record.asBatch(), 0, record.argc)
    this.#commands++
    for (const oddity of record.oddities) this.#odd(oddity)
    this.#boundary = this.#context.transaction < 0 ? record.end : this.#context.transaction
    this.#previous = record.head.subarray(0, PREVIOUS)
  }

  /** Made with the first command: only then is it settled whose behaviour counts. */
  #commandCheck(): CommandCheck {
    this.#check ??= new CommandCheck(this.#server.table, this.#context, this.#databases, this.#judgement)
    return this.#check
  }

  #odd({ code, offset }: Oddity, bytes?: Uint8Array): void {
    const found = bytes === undefined ? 'something else' : quoteBytes(bytes, MAX_NAME)

    switch (code) {
      case 'resp.bulk.terminator':
        this.#judgement.blame(
          'damaged',
          code,
          offset,
          `expected "\\r\\n" behind an argument, found ${found}: servers do not look at it, check-aof refuses it`,
        )
        return
      case 'resp.header.line':
        this.#judgement.blame(
          'damaged',
          code,
          offset,
          `expected a number and "\\r\\n", found ${found}: servers read it all the same, check-aof refuses it`,
        )
        return
      case 'resp.header.form':
        this.#judgement.warn(code, offset, `a number in a form that servers read but do not write: ${found}`)
        return
    }
  }

  #annotation(batch: Batch, i: number): void {
    if (this.#context.annotation(batch, i)) return
    const line = batch.bytes.subarray(batch.record[i], batch.record[i + 1])
    this.#judgement.warn(
      'annotation.timestamp',
      batch.offset(i),
      `a timestamp that is none: "${escapeBytes(line, MAX_NAME)}"; servers pass over it`,
    )
  }

  /** The end of the part, or what ended reading before it. */
  async #close(source: Source, end: PartEnd, progress?: (offset: number) => void): Promise<void> {
    const { error } = end
    this.#preamble = end.preambleEnd
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
    const from = transaction >= 0 ? transaction : end.format === 'rdb' ? 0 : this.#boundary
    const known = `What it holds is known up to ${this.#size}.`
    this.#judgement.refuse(
      code,
      offset,
      from,
      `${capital(message)} (offset in the compressed file). ${known}`,
    )
  }

  #brokenRdb({ code, offset, message }: FormatError): void {
    this.#judgement.refuse(
      code,
      offset,
      0,
      `${capital(message)}. Servers do not start on it: a preamble or base that is cut or changed is never loaded in part.`,
    )
  }

  #checkRdb(): void {
    if (this.#place.type === 'incr') {
      this.#judgement.blame(
        'damaged',
        'part.rdb-incr',
        0,
        'an RDB in the place of an incr part: servers load it, check-aof refuses it',
      )
    }
    this.#rdbCheck.end()
  }

  /** `MULTI` without `EXEC`, and the part ends with a whole command, or inside an annotation. */
  #openTransaction(): void {
    const at = this.#context.transaction
    this.#judgement.stopAt(at)
    const said = [`MULTI without EXEC up to the end: none of its ${bytesOf(this.#size - at)} counts.`]
    if (this.#place.last) {
      said.push(this.#loss('the transaction'))
      if (this.#preamble > 0 && this.#firstCommand === at) said.push(this.#preambleIsLost())
    } else {
      said.push(this.#tornTooEarly())
    }
    this.#judgement.blame(this.#place.last ? 'torn' : 'corrupt', 'transaction.torn', at, said.join(' '))
  }

  /** A torn part that is not the last: worse than corrupt, since the first start hides it. */
  #tornTooEarly(): string {
    this.doNotStart = true
    return 'Other parts follow: a server cuts this one on the disk and refuses to start; its next start succeeds and hides the loss.'
  }

  #loss(what: string): string {
    const lost = this.#size - this.#valid
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
      this.#judgement.stopAt(offset)
      this.doNotStart = true
      this.#judgement.blame(
        'torn',
        code,
        offset,
        `${what} A server starts, appends behind the unfinished line, and refuses its next start: repair before starting it.`,
      )
    } else {
      this.#boundary = this.#size
      this.#judgement.warn(code, offset, `${what} Servers load it, and write no more to this part.`)
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
    this.#judgement.stopAt(transaction >= 0 ? transaction : end.offset)
    const said = [foundInstead(error, end)]
    const damage = await nameDamage({
      error,
      rest: end.rest,
      offset: end.offset,
      size: end.size,
      source,
      table: this.#server.table,
    })
    if (damage !== undefined) said.push(damage)
    await this.#lookBehind(source, end, error, progress)
    if (error.kind === 'corrupt') {
      said.push('Servers do not start on it.')
      if (this.behind !== undefined) {
        said.push(`Behind it, from ${this.behind.offset} on, stand ${commandsOf(this.behind)}.`)
      }
    } else if (this.#place.last) {
      said.push(...this.#tornEnd(end, transaction >= 0))
    } else {
      said.push(this.#tornTooEarly())
    }
    const before = describeRecord(this.#previous)
    if (before !== undefined) said.push(`Before it: ${before.text}.`)
    const verdict = error.kind === 'torn' && this.#place.last ? 'torn' : 'corrupt'
    this.#judgement.blame(verdict, error.code, error.offset, said.join(' '))
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
        this.behind = await countBehind(windowFrom(source, end.offset + 1), this.#server.table, progress)
      }
      return
    }
    // A record larger than the window has gone by.
    this.behindUnknown = error.kind === 'torn' && end.window.offset > end.offset + 1
    if (end.window.offset === end.offset && end.window.start < end.window.end) end.window.start++
    this.behind = await countBehind(end.window, this.#server.table, progress)
    this.#size = end.window.base + end.window.end
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

function firstCommandOf(batch: Batch): number {
  for (let i = 0; i < batch.count; i++) if (batch.argc(i) > 0) return batch.offset(i)
  return -1
}

/** Bytes of the command before a damage that are kept to be shown. */
const PREVIOUS = 4096
const MAX_NAME = 60
