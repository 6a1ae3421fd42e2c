import { statSync } from 'node:fs'
import { CONTROL_IDS, Context } from '../aof/context.ts'
import type { Finding } from '../aof/finding.ts'
import { type ManifestEntry, printManifest } from '../aof/manifest.ts'
import { type Input, openPart, type Part } from '../aof/parts.ts'
import { type PartEnd, type PartVisitor, scanPart } from '../aof/scan.ts'
import { type FormatError, JobError } from '../bytes/errors.ts'
import { escapeName } from '../bytes/escape.ts'
import { formatTime, plural } from '../bytes/figures.ts'
import { systemPath } from '../bytes/names.ts'
import type { KeptSource } from '../bytes/source.ts'
import type { RdbEvent } from '../rdb/walk.ts'
import { HASH, LF } from '../resp/format.ts'
import type { LongRecord } from '../resp/long-record.ts'
import type { Batch } from '../resp/scanner.ts'
import { type CommandTable, ids } from '../servers/commands.ts'
import { countBehind, windowFrom } from './behind.ts'
import type { CommandPattern } from './command-pattern.ts'
import { describeRecord } from './describe.ts'
import { LogServer } from './log-server.ts'
import { type FilterCounts, MatchFilter } from './match-filter.ts'
import type { Place } from './print.ts'
import type { LogOptions } from './verify.ts'

/*
 * Rewind, in this order:
 *
 * 1. Plan: one pass over the log finds the boundary at which it is cut, outside of transactions, and counts what is on
 *    either side; of `--without`, what the result will have. Nothing is written, and a dry run ends here.
 * 2. Write (rewind-write.ts): the parts of the result, into temporary files, read back and verified; the manifest last.
 *
 * The source is only read, so nothing is lost: what the result has not is still there, and no file keeps it twice.
 */

/** Up to where a log is kept. */
export type Moment =
  /** Unix seconds: what is annotated `#TS:` with a later time goes. */
  | { readonly kind: 'time'; readonly time: number }
  | { readonly kind: 'offset'; readonly place: Place }
  /** @property nth of the commands that match: the last one, or that of a number from 1 on */
  | { readonly kind: 'before'; readonly pattern: CommandPattern; readonly nth: number | 'last' }
  /** All of it is kept. */
  | { readonly kind: 'end' }
  /** The same, but for the commands that match. */
  | { readonly kind: 'without'; readonly pattern: CommandPattern }

export interface RewindOptions extends LogOptions {
  /** A result without a command or key is all right. */
  readonly allowEmpty: boolean
}

/** A part that the result has. */
export interface KeptPart {
  readonly part: Part
  /** Bytes of it that the result is made of. */
  readonly end: number
  /** Whether commands in front of that are left out. */
  readonly filtered: boolean
  /** What the result has of it. */
  readonly size: number
  readonly commands: number
  readonly keys: number
}

/** A boundary of records, outside of any transaction. */
export interface CutPlace {
  readonly part: Part
  readonly offset: number
  /** Unix seconds of the last timestamp in front of it. */
  readonly time: number | undefined
}

export interface RewindPlan {
  readonly input: Input
  readonly moment: Moment
  /** Undefined: nothing is cut off, whatever is left out in front of it. */
  readonly cut: CutPlace | undefined
  /** In the order in which they are loaded; those behind the cut are not among them. */
  readonly parts: readonly KeptPart[]
  readonly droppedParts: readonly Part[]
  /** Bytes that the result has, and that it has not. */
  readonly kept: number
  readonly dropped: number
  readonly commandsKept: number
  /** Whole commands; of what stands behind a damage none is counted. */
  readonly commandsDropped: number
  /** Commands that match the pattern, where there is one. */
  readonly matches: number
  /** What is to be known of it: warnings. */
  readonly findings: readonly Finding[]
}

/** How the parts of a log are opened, to be read more than once. */
export type KeptPartOpener = (part: Part) => Promise<KeptSource>

export const openKept: KeptPartOpener = part => openPart(part, { again: true }) as Promise<KeptSource>

/**
 * Finds where a log is cut to go back to a moment. Throws a JobError for what cannot be done: a moment that is not in the
 * log, or behind a damage; a result that would hold nothing.
 *
 * @param progress is told the bytes read so far, in all parts
 */
export async function planRewind(
  input: Input,
  moment: Moment,
  options: RewindOptions,
  open: KeptPartOpener = openKept,
  progress?: (bytes: number) => void,
): Promise<RewindPlan> {
  refuseManifest(input)
  const seeker = new Seeker(input, moment, options)
  for (const part of input.parts) {
    const source = await open(part)
    try {
      if (!(await seeker.part(part, source, progress))) break
    } finally {
      await source.close()
    }
  }
  return seeker.plan()
}

/** Where reading stands: what would be kept if the log were cut here. */
interface Point {
  /** Index of the part. */
  part: number
  offset: number
  time: number | undefined
  /** In front of it, in all parts. */
  commands: number
}

/** What was found in a part. */
interface Scanned {
  readonly size: number
  /** Commands in all parts up to its end. */
  readonly commands: number
  readonly keys: number
  /** Of what stays when matches are left out. */
  readonly filtered: FilterCounts
  /** End of what is whole, outside of a transaction. */
  readonly end: number
  readonly preambleEnd: number
}

const NOTHING: FilterCounts = { bytes: 0, commands: 0, matches: 0 }

class Seeker implements PartVisitor {
  readonly #input: Input
  readonly #moment: Moment
  readonly #options: RewindOptions
  readonly #server: LogServer
  readonly #findings: Finding[] = []
  readonly #scanned: Scanned[] = []
  /** Where it is cut, as far as that is known; of the last match the last one so far. */
  #cut: Point | undefined
  /** Whether no later match matters. */
  #settled = false
  #matches = 0
  /** Where the open transaction begins; undefined: none is open. */
  #open: Point | undefined
  #commands = 0
  #keys = 0
  #bytes = 0
  #firstTime: number | undefined
  /** Whether times go back to before the moment behind the cut. */
  #goesBack = false
  /** When the first RDB was written, in Unix seconds. */
  #writtenAt: number | undefined

  #part = 0
  #table: CommandTable | undefined
  #context: Context
  #filter: MatchFilter | undefined
  #progress: ((bytes: number) => void) | undefined

  constructor(input: Input, moment: Moment, options: RewindOptions) {
    this.#input = input
    this.#moment = moment
    this.#options = options
    this.#server = new LogServer(options.as, options.allowCommands)
    this.#context = new Context(options.databases)
    if (moment.kind === 'offset') this.#checkPlace(moment.place)
  }

  /** Reads a part. Whether reading goes on with the next one. */
  async part(
    part: Part,
    source: KeptSource,
    progress: ((bytes: number) => void) | undefined,
  ): Promise<boolean> {
    const { time } = this.#context
    this.#part = this.#input.parts.indexOf(part)
    this.#context = new Context(this.#options.databases)
    // Servers write a timestamp once a second, whatever part they are at.
    this.#context.time = time
    this.#open = undefined
    this.#keys = 0
    this.#progress = progress
    if (this.#moment.kind === 'without') this.#filter = new MatchFilter(this.#moment.pattern, this.#server)
    if (this.#isAt(0)) this.#settle({ part: this.#part, offset: 0, time, commands: this.#commands })
    const end = await scanPart(source, this, { databases: this.#options.databases })
    return this.#end(part, end, source)
  }

  rdb(event: RdbEvent): void {
    switch (event.kind) {
      case 'header':
        this.#server.noteMagic(event.magic)
        return
      case 'aux':
        this.#server.noteAux(event.name, event.value)
        if (event.name === undefined || event.value === undefined) return
        if (this.#writtenAt !== undefined || Buffer.from(event.name).toString('latin1') !== 'ctime') return
        this.#writtenAt = Number.parseInt(Buffer.from(event.value).toString('latin1'), 10) || undefined
        return
      case 'entries':
        this.#keys += event.entries.count
        return
    }
  }

  records(batch: Batch): void | Promise<void> {
    this.#table ??= this.#server.table
    const table = this.#table
    const { bytes, first, start, length } = batch
    const seeks = this.#seeks
    for (let i = 0; i < batch.count; i++) {
      const a = first[i]
      const argc = first[i + 1] - a
      if (seeks) this.#look(batch, i, argc, batch.base + batch.record[i + 1])
      if (argc === 0) {
        this.#annotation(batch, i)
        continue
      }
      const id = table.lookup(bytes, start[a], length[a])
      if (CONTROL_IDS.has(id)) this.#control(batch, i, id)
      this.#commands++
    }
    return this.#filter?.records(batch)
  }

  long(record: LongRecord): void | Promise<void> {
    this.#table ??= this.#server.table
    const head = record.asBatch()
    if (this.#seeks) this.#look(head, 0, record.argc, record.end)
    this.#commands++
    return this.#filter?.long(record)
  }

  progress(offset: number): undefined {
    this.#progress?.(this.#bytes + offset)
  }

  plan(): RewindPlan {
    const moment = this.#moment
    const cut = this.#cut
    if (moment.kind === 'before' && !this.#settled && (moment.nth !== 'last' || cut === undefined)) {
      throw this.#noMatch(moment)
    }
    if (moment.kind === 'time') this.#checkTimes(moment.time)
    const { parts } = this.#input
    // Without a cut all of what was read is kept.
    const last = cut?.part ?? this.#scanned.length - 1
    const kept: KeptPart[] = []
    for (let i = 0; i <= last; i++) {
      const scanned = this.#scanned[i]
      const end = cut?.part === i ? cut.offset : scanned.end
      // The first one stays, however little it has: a log without parts is none.
      if (end === 0 && cut?.part === i && i > 0) continue
      const before = this.#scanned[i - 1]?.commands ?? 0
      const until = cut?.part === i ? cut.commands : scanned.commands
      const filtered = moment.kind === 'without' && scanned.filtered.matches > 0
      kept.push({
        part: parts[i],
        end,
        filtered,
        size: filtered ? scanned.filtered.bytes : end,
        commands: filtered ? scanned.filtered.commands : until - before,
        keys: end === 0 ? 0 : scanned.keys,
      })
    }
    const total = parts.reduce((sum, part, i) => sum + (this.#scanned[i]?.size ?? part.size ?? 0), 0)
    const bytes = kept.reduce((sum, { size }) => sum + size, 0)
    const commandsKept = kept.reduce((sum, { commands }) => sum + commands, 0)
    const keys = kept.reduce((sum, { keys }) => sum + keys, 0)
    if (commandsKept === 0 && keys === 0 && !this.#options.allowEmpty) throw this.#empty(cut)
    const place = cut && { part: parts[cut.part], offset: cut.offset, time: cut.time }
    return {
      input: this.#input,
      moment,
      cut: place ?? this.#endOf(last),
      parts: kept,
      droppedParts: parts.filter(part => !kept.some(({ part: stays }) => stays === part)),
      kept: bytes,
      dropped: total - bytes,
      commandsKept,
      commandsDropped: this.#commands - commandsKept,
      matches: this.#matches,
      findings: this.#findings,
    }
  }

  #endOf(index: number): CutPlace | undefined {
    // What is left out is no cut.
    if (this.#moment.kind === 'without' && this.#scanned[index].end === this.#scanned[index].size)
      return undefined
    return { part: this.#input.parts[index], offset: this.#scanned[index].end, time: this.#context.time }
  }

  /** Whether each command is looked at: those that match are counted to the end. */
  get #seeks(): boolean {
    const { kind } = this.#moment
    return kind === 'before' || (kind === 'offset' && !this.#settled)
  }

  /** Looks whether the moment is here, in front of record `i`. */
  #look(batch: Batch, i: number, argc: number, end: number): void {
    const moment = this.#moment
    switch (moment.kind) {
      case 'offset':
        // In an RDB it is in front of all records.
        if (this.#settled || !this.#isInPart(moment.place) || end <= moment.place.offset) return
        if (batch.offset(i) <= moment.place.offset) this.#settle(this.#here(batch, i))
        return
      case 'before':
        if (argc === 0 || !moment.pattern.test(batch, i, argc)) return
        this.#matches++
        if (moment.nth === 'last') this.#cut = this.#here(batch, i)
        else if (moment.nth === this.#matches) this.#settle(this.#here(batch, i))
        return
    }
  }

  #annotation(batch: Batch, i: number): void {
    const context = this.#context
    const here = this.#moment.kind === 'time' && this.#cut === undefined ? this.#here(batch, i) : undefined
    const before = context.time
    context.annotation(batch, i)
    const { time } = context
    if (time === undefined) return
    this.#firstTime ??= time
    if (this.#moment.kind !== 'time') return
    if (here === undefined) this.#goesBack ||= time <= this.#moment.time && time !== before
    else if (time > this.#moment.time) this.#settle(here)
  }

  #control(batch: Batch, i: number, id: number): void {
    const context = this.#context
    const open = context.transaction
    context.control(batch, i, id)
    if (id === ids.multi && open < 0) this.#open = this.#place(batch, i)
    else if (context.transaction < 0) this.#open = undefined
  }

  /** The boundary in front of record `i`, or of the transaction that it is in. */
  #here(batch: Batch, i: number): Point {
    return this.#open ?? this.#place(batch, i)
  }

  #place(batch: Batch, i: number): Point {
    return {
      part: this.#part,
      offset: batch.offset(i),
      time: this.#context.time,
      commands: this.#commands,
    }
  }

  #settle(point: Point): void {
    this.#cut = point
    this.#settled = true
  }

  #isInPart({ part }: Place): boolean {
    return part === undefined || this.#input.parts[this.#part].name === part
  }

  /** Whether the part that begins is cut at its start. */
  #isAt(offset: number): boolean {
    const moment = this.#moment
    return moment.kind === 'offset' && this.#isInPart(moment.place) && moment.place.offset === offset
  }

  async #end(part: Part, end: PartEnd, source: KeptSource): Promise<boolean> {
    const { transaction } = this.#context
    const point = this.#open
    const valid =
      transaction >= 0 ? transaction : end.format === 'rdb' && end.error !== undefined ? 0 : end.offset
    const commands = point?.commands ?? this.#commands
    const filter = this.#filter
    this.#matches += filter?.matches ?? 0
    this.#scanned.push({
      size: end.size,
      commands,
      keys: this.#keys,
      filtered:
        filter === undefined ? NOTHING : { ...filter.counts, bytes: filter.counts.bytes + end.preambleEnd },
      end: valid,
      preambleEnd: end.preambleEnd,
    })
    this.#bytes += end.size
    const moment = this.#moment
    if (moment.kind === 'offset' && this.#isInPart(moment.place)) {
      if (moment.place.offset > end.size) throw beyondEnd(part, moment.place.offset, end.size)
      if (!this.#settled && moment.place.offset < end.preambleEnd) this.#intoRdb(moment.place.offset)
      else if (!this.#settled && moment.place.offset <= valid) {
        this.#settle({ part: this.#part, offset: valid, time: this.#context.time, commands })
      }
    }
    if (end.error === undefined && transaction < 0) return true
    await this.#damaged(part, end, valid, source)
    return false
  }

  /** An RDB cannot be cut: what the part adds goes, all of it. */
  #intoRdb(offset: number): void {
    const { parts } = this.#input
    throw new JobError(
      'rewind.rdb',
      `${offset} is inside the RDB that ${escapeName(parts[this.#part].name)} begins with, which ends at ${this.#scanned[this.#part].preambleEnd}: it can only be kept whole`,
      this.#part === 0 ? undefined : 'the offset 0 leaves the part out',
    )
  }

  /** The part ends in something that is wrong, or in an open transaction: nothing behind it was read. */
  async #damaged(part: Part, { error, size }: PartEnd, valid: number, source: KeptSource): Promise<void> {
    const what = error === undefined ? 'a transaction without EXEC' : this.#describe(error)
    const at = error?.offset ?? valid
    if (this.#settled) {
      this.#note(part, at, `damaged, behind the moment: ${what}; what stands there is not counted`)
      return
    }
    const last = part === this.#input.parts.at(-1)
    const torn = error === undefined || error.kind === 'torn'
    const behind =
      torn && error !== undefined && size - valid > 1
        ? await countBehind(windowFrom(source, valid + 1), this.#server.table)
        : undefined
    if (last && torn && behind === undefined && !(error !== undefined && valid === 0)) {
      this.#note(part, at, `torn: ${what}; what is behind ${valid} counts nowhere, and goes`)
      if (this.#moment.kind === 'offset' && this.#cut === undefined) {
        const { commands } = this.#scanned[this.#part]
        this.#settle({ part: this.#part, offset: valid, time: this.#context.time, commands })
      }
      return
    }
    if (this.#moment.kind === 'before' && this.#moment.nth === 'last' && this.#cut !== undefined) {
      this.#note(part, at, `damaged: ${what}; the last match in front of it counts, and nothing behind it`)
      return
    }
    throw new JobError(
      'rewind.damaged',
      `damaged at ${escapeName(part.name)}:${at} (${what}), in front of the moment${behind === undefined ? '' : `; ${plural(behind.commands, 'whole command')} behind it`}: what a server would have had then cannot be told`,
      'repair it first, and rewind the result: aofkit repair --output, or --salvage for what is behind the damage',
    )
  }

  #describe({ code, message }: FormatError): string {
    return `${message} (${code})`
  }

  #note(part: Part | undefined, offset: number | undefined, message: string): void {
    this.#findings.push({
      code: 'rewind.note',
      severity: 'warning',
      ...(part === undefined ? {} : { part: part.name }),
      ...(offset === undefined ? {} : { offset }),
      message,
    })
  }

  #checkPlace({ part }: Place): void {
    const { parts } = this.#input
    if (part === undefined) {
      if (parts.length > 1)
        throw new JobError('usage', 'the log has several parts: give the offset as PART:N')
    } else if (parts.every(({ name }) => name !== part)) {
      throw new JobError('usage', `no part is called ${escapeName(part)}`)
    }
  }

  #noMatch({ pattern, nth }: Moment & { kind: 'before' }): JobError {
    const shown = escapeName(pattern.text)
    return this.#matches === 0
      ? new JobError(
          'rewind.no-match',
          [`no command of the log matches "${shown}"`, ...this.#findings.map(({ message }) => message)].join(
            '; ',
          ),
          'aofkit print shows the commands as they are matched; the keys of an RDB are not among them',
        )
      : new JobError(
          'rewind.no-match',
          `only ${plural(this.#matches, 'command')} of the log match "${shown}": there is no number ${nth}`,
        )
  }

  #checkTimes(time: number): void {
    if (this.#firstTime === undefined) throw this.#noTimes()
    const written = this.#writtenAt
    if (this.#firstTime > time) {
      // Times are the server's idea of now, a tenth of a second old at most.
      if (written !== undefined && written > time) {
        throw new JobError(
          'rewind.too-early',
          `what the log begins with was written at ${formatTime(written)}, later than ${formatTime(time)}: the moment is not in it`,
          'an older backup may have it; --to-offset PART:0 of the first incr part keeps what it begins with',
        )
      }
      this.#note(
        undefined,
        undefined,
        `the first #TS: is ${formatTime(this.#firstTime)}: what stands in front of it has no time, and is kept`,
      )
    }
    if (this.#goesBack) {
      this.#note(
        undefined,
        undefined,
        `the clock went back: behind the first #TS: later than ${formatTime(time)}, where the log is cut, there are earlier ones`,
      )
    }
  }

  #noTimes(): JobError {
    const { parts } = this.#input
    const offers = parts.map((part, i) => {
      const end = this.#scanned[i]?.end ?? part.size ?? 0
      const place = parts.length > 1 ? `${part.name}:${end}` : `${end}`
      return `  --to-offset ${escapeName(place)} keeps all up to the end of ${escapeName(part.name)}${fileTime(part)}`
    })
    const written =
      this.#writtenAt === undefined ? [] : [`  its RDB was written at ${formatTime(this.#writtenAt)}`]
    return new JobError(
      'rewind.no-times',
      'the log has no #TS: annotations (aof-timestamp-enabled was no), so no time in it can be found',
      [
        'What there is instead:',
        ...written,
        ...offers,
        '  --before PATTERN (--before flushall), or any offset that aofkit print or aofkit rewind --list shows',
      ].join('\n'),
    )
  }

  #empty(cut: Point | undefined): JobError {
    const where = cut === undefined ? '' : ` at ${escapeName(this.#input.parts[cut.part].name)}:${cut.offset}`
    const first =
      this.#moment.kind === 'time' && this.#firstTime !== undefined
        ? `; the log begins at ${formatTime(this.#firstTime)}`
        : ''
    return new JobError(
      'rewind.empty',
      `the cut${where} would leave no command and no key${first}; nothing was written`,
      '--allow-empty does it all the same',
    )
  }
}

function fileTime({ path, size }: Part): string {
  if (size === undefined) return ''
  try {
    return `, last written at ${formatTime(Math.floor(statSync(systemPath(path)).mtimeMs / 1000))}`
  } catch {
    return ''
  }
}

function beyondEnd(part: Part, offset: number, size: number): JobError {
  return new JobError('usage', `${escapeName(part.name)} ends at ${size}: there is no offset ${offset} in it`)
}

/** Commands that a preview shows, and the bytes that are looked at for them. */
const SHOWN = 3
const LOOK = 1 << 16

/** The first commands that are cut off, for people; none of a source that cannot be read again. */
export async function firstDropped(
  { cut, dropped }: RewindPlan,
  open: KeptPartOpener,
): Promise<{ readonly offset: number; readonly text: string }[]> {
  if (cut === undefined || dropped === 0) return []
  const source = await open(cut.part)
  try {
    const bytes = new Uint8Array(LOOK)
    const there = bytes.subarray(0, await source.readAt(bytes, cut.offset))
    const shown: { offset: number; text: string }[] = []
    for (let at = 0; at < there.length && shown.length < SHOWN; ) {
      // An annotation is a line.
      if (there[at] === HASH) {
        at = there.indexOf(LF, at) + 1
        if (at === 0) break
        continue
      }
      const record = describeRecord(there.subarray(at))
      if (record === undefined) break
      shown.push({ offset: cut.offset + at, text: record.text })
      if (record.end === undefined) break
      at += record.end
    }
    return shown
  } finally {
    await source.close()
  }
}

/** What a manifest lists and is not there, or cannot be loaded, leaves a hole. */
function refuseManifest({ findings, parts, layout, manifest }: Input): void {
  const finding = findings.find(({ severity, code }) => severity === 'error' && code.startsWith('manifest.'))
  if (finding !== undefined || (layout === 'multi-part' && manifest === undefined)) {
    const where = finding?.part === undefined ? '' : `${escapeName(finding.part)}: `
    throw new JobError(
      'rewind.manifest',
      `the log is not whole: ${where}${finding?.message ?? 'the manifest is missing'}`,
      'correct that first; a part can be rewound alone: give its path',
    )
  }
  const names = new Set<string>()
  for (const { name } of parts) {
    if (names.has(name)) {
      throw new JobError(
        'rewind.manifest',
        `${escapeName(name)} is listed twice in the manifest: it cannot be cut in one place`,
      )
    }
    names.add(name)
  }
}

/** The manifest of a result: without history, and without the parts that are dropped. */
export function rewoundManifest({ input, parts }: RewindPlan): Uint8Array {
  const names = new Set(parts.map(({ part }) => part.name))
  const entries: readonly ManifestEntry[] = input.manifest?.entries ?? []
  return printManifest({ entries: entries.filter(({ file, type }) => type !== 'h' && names.has(file)) })
}
