import { Findings } from '../aof/finding.ts'
import { Crc64 } from '../bytes/crc64.ts'
import { FormatError, JobError } from '../bytes/errors.ts'
import type { Source } from '../bytes/source.ts'
import { Window } from '../bytes/window.ts'
import type { EntryBatch, RdbEvent } from '../rdb/events.ts'
import {
  CHECKSUM_SIZE,
  FIRST_OPCODE,
  HEADER_SIZE,
  type Magic,
  magicAt,
  Opcode,
  valueType,
} from '../rdb/format.ts'
import { stringEnd } from '../rdb/strings.ts'
import { RdbWalk } from '../rdb/walk.ts'
import { Judgement } from './judgement.ts'
import type { LogServer } from './log-server.ts'
import { MAX_PATCHES } from './normalize.ts'
import { RdbCheck } from './rdb-check.ts'
import type { AffectedKeys, SalvageSpan } from './salvage.ts'

/*
 * Salvage of an RDB:
 *
 * 1. Entries are walked and decoded, down to their elements. One that is framed and does not decode is skipped alone; so
 *    is the second of two entries of one key, on which servers stop.
 * 2. Where framing breaks, the entry before is skipped too: a wrong length in it, or what overwrote its end, shows only
 *    behind it. Reading goes on at the next place from which three entries in a row decode, with keys that are not
 *    empty and not the same, or fewer up to the end of the RDB.
 * 3. Behind a gap the selected database is taken to be the one before it.
 * 4. The checksum is made anew; a missing end is added.
 */

/** Entries in a row that prove a boundary. */
const EVIDENCE = 3
/** Bytes that are looked at for them, at first and at most. */
const NEAR = 64 << 10
const FAR = 4 << 20
/** Bytes in which boundaries are looked for at once. */
const BLOCK = 1 << 20
/** An entry begins within so many bytes: those before its type, and the beginning of its key. */
const LEAST = 32
const FIRST_YEARS = 2 ** 16

export interface RdbSalvage {
  readonly spans: readonly SalvageSpan[]
  /** Keys of the result. */
  readonly keys: number
  /** Where commands begin, or the file ends. */
  readonly end: number
  /** Code of what is wrong first; undefined when nothing is. */
  readonly first: string | undefined
  readonly gaps: number
}

/**
 * Plans what is kept of the RDB at the start of a source of known size, readable by offset. Throws a JobError when its
 * header cannot be read.
 */
export async function planRdbSalvage(
  source: Source,
  server: LogServer,
  databases: number,
  affected: AffectedKeys,
  progress?: (offset: number) => void,
): Promise<RdbSalvage> {
  const salvager = new RdbSalvager(source, server, databases, affected)
  return salvager.run(progress)
}

/** How a walk ended: at the end of the RDB, or, with -1 there, at what is wrong. */
interface Stop {
  readonly end: number
  readonly at: number
  readonly code: string
  readonly message: string
  readonly torn: boolean
}

const NO_END: Omit<Stop, 'at'> = {
  end: -1,
  code: 'rdb.opcode',
  message: 'the end of the RDB, and something else behind it',
  torn: false,
}

class RdbSalvager {
  readonly #source: Source
  readonly #size: number
  readonly #server: LogServer
  readonly #databases: number
  readonly #affected: AffectedKeys
  readonly #spans: SalvageSpan[] = []
  readonly #refused: { readonly code: string; readonly offset: number }[] = []
  readonly #check: RdbCheck
  #header: Uint8Array = new Uint8Array(0)
  #magic: Magic = 'REDIS'
  #db = 0
  #keys = 0
  #first: string | undefined
  #gaps = 0
  /** The last entry that was kept. */
  #last = { offset: -1, end: -1 }

  constructor(source: Source, server: LogServer, databases: number, affected: AffectedKeys) {
    this.#source = source
    this.#size = source.size as number
    this.#server = server
    this.#databases = databases
    this.#affected = affected
    this.#check = new RdbCheck(server, new Refusals(this.#refused))
  }

  async run(progress?: (offset: number) => void): Promise<RdbSalvage> {
    this.#header = new Uint8Array(HEADER_SIZE)
    await this.#source.readAt(this.#header, 0)
    this.#magic = magicAt(this.#header, 0, HEADER_SIZE) ?? 'REDIS'
    let from = 0
    let end = -1
    while (end < 0) {
      const stop = await this.#walk(from, progress)
      if (stop.end >= 0) {
        end = stop.end
        break
      }
      if (stop.at < HEADER_SIZE) {
        throw new JobError(
          'salvage.rdb-header',
          `the header of the RDB cannot be read: ${stop.message}; what the rest means depends on its version`,
        )
      }
      let at = stop.at
      from = stop.torn ? await this.#find(at + 1) : -1
      // What is wrong with the entry before may show only behind it; but not when the file is merely cut.
      if (this.#last.end === at && from !== this.#size) {
        at = this.#last.offset
        this.#keys--
        from = -1
      }
      this.#first ??= stop.code
      this.#gaps++
      if (from < 0) from = await this.#find(at + 1)
      this.#skip(at, from, stop.code)
      if (from === this.#size) break
    }
    await this.#dropTwice()
    const last = this.#spans.at(-1)
    if (end < 0 || this.#spans.length > 0 || this.#first === 'rdb.checksum') await this.#finish(end, last)
    return {
      spans: this.#spans,
      keys: this.#keys,
      end: end < 0 ? this.#size : end,
      first: this.#first,
      gaps: this.#gaps,
    }
  }

  /** Walks from `from` on, to the end of the RDB or to what is wrong. */
  async #walk(from: number, progress?: (offset: number) => void): Promise<Stop> {
    const prefix = from === 0 ? new Uint8Array(0) : this.#prefix()
    const source = behind(prefix, this.#source, from)
    const walk = new RdbWalk(new Window(source, undefined, from - prefix.length), {
      databases: this.#databases,
      values: true,
    })
    let end = -1
    for (let event = await walk.next(); event !== undefined; event = await walk.next()) {
      this.#check.event(event)
      if (event.kind === 'select') this.#db = event.db
      else if (event.kind === 'end') {
        if (!(await this.#mayFollow(event.end))) return { ...NO_END, at: event.offset }
        end = event.end
      } else if (event.kind === 'entries') this.#entries(event)
      else if (event.kind !== 'piece' && this.#refused.length > 0) {
        const [{ code }] = this.#refused.splice(0)
        if (event.kind === 'header') throw unreadable(code)
        this.#skip(event.offset, event.end, code)
      }
      progress?.(walk.window.offset)
    }
    const { error } = walk
    if (end >= 0) {
      if (error !== undefined) this.#first ??= from === 0 ? error.code : undefined
      return { end, at: -1, code: '', message: '', torn: false }
    }
    if (error === undefined) throw new Error('a walk ends at an end or at an error')
    const { code, message, kind } = error
    return { end: -1, at: Math.max(from, walk.offset), code, message, torn: kind === 'torn' }
  }

  /** Whether what stands at `offset` can follow an RDB. */
  async #mayFollow(offset: number): Promise<boolean> {
    const next = new Uint8Array(LEAST)
    const there = await this.#source.readAt(next, offset)
    return there === 0 || beginsCommands(next.subarray(0, there))
  }

  /** Takes note of entries; those that do not decode are skipped. */
  #entries({ entries }: RdbEvent & { kind: 'entries' }): void {
    const { count, offset, end } = entries
    this.#keys += count
    for (const { code, offset: wrong } of this.#refused.splice(0)) {
      let i = 0
      while (i < count - 1 && end[i] <= wrong) i++
      if (this.#spans.at(-1)?.offset === offset[i]) continue
      this.#first ??= code
      this.#keys--
      const key = keyOf(entries, i)
      if (key !== undefined) this.#affected.add({ command: 'restore', key })
      this.#skip(offset[i], end[i], code, key)
    }
    const last = this.#spans.at(-1)
    const kept = last === undefined || last.end !== end[count - 1]
    this.#last = kept ? { offset: offset[count - 1], end: end[count - 1] } : { offset: -1, end: -1 }
  }

  #skip(offset: number, end: number, reason: string, key?: Uint8Array): void {
    this.#first ??= reason
    if (this.#spans.length === MAX_PATCHES)
      throw new JobError('salvage.spans', `more than ${MAX_PATCHES} spans would be skipped`)
    const guess = key === undefined ? {} : { guess: { command: 'restore', key } }
    this.#spans.push({ offset, end, by: new Uint8Array(0), reason, ...guess })
  }

  /** The next place that is proved to be a boundary; the size when there is none. */
  async #find(from: number): Promise<number> {
    const block = new Uint8Array(BLOCK + LEAST)
    for (let base = from; base < this.#size; base += BLOCK) {
      const there = await this.#source.readAt(block, base)
      for (let at = 0; at < Math.min(BLOCK, there); at++) {
        if (this.#mayBegin(block, at, there) && (await this.#isProved(base + at))) return base + at
      }
    }
    return this.#size
  }

  /** Whether an entry or another record may begin at `at`: cheap, and almost always the end of it. */
  #mayBegin(bytes: Uint8Array, at: number, end: number): boolean {
    let p = at
    if (bytes[p] === Opcode.ExpireMs) {
      // A time of this era: its high bytes are zero.
      if (bytes[p + 8] !== 0 || bytes[p + 7] !== 0 || (bytes[p + 6] << 8) + bytes[p + 5] > FIRST_YEARS)
        return false
      p += 9
    }
    if (bytes[p] === Opcode.SelectDb)
      return bytes[p + 1] < this.#databases && bytes[p + 2] === Opcode.ResizeDb
    if (bytes[p] === Opcode.End) return true
    if (p + 2 > end || bytes[p] >= FIRST_OPCODE || valueType(this.#magic, bytes[p]) === undefined)
      return false
    const value = stringEnd(bytes, p + 1)
    // No empty key.
    if (bytes[p + 1] === 0 || value < 0) return false
    if (!ONE_STRING.has(bytes[p]) || value >= end) return true
    const next = stringEnd(bytes, value)
    return next < 0 || next >= end || this.#isCode(bytes[next])
  }

  /** Whether a byte can stand where an entry or another record begins. */
  #isCode(code: number): boolean {
    return code >= FIRST_OPCODE ? code >= Opcode.Function : valueType(this.#magic, code) !== undefined
  }

  /** Whether entries in a row begin at `offset`, which decode. */
  async #isProved(offset: number): Promise<boolean> {
    for (let size = NEAR; ; size = FAR) {
      const prefix = this.#prefix()
      const bytes = new Uint8Array(prefix.length + Math.min(size, this.#size - offset))
      bytes.set(prefix)
      await this.#source.readAt(bytes.subarray(prefix.length), offset)
      const whole = offset + bytes.length - prefix.length === this.#size
      const { proved, more } = await this.#probe(bytes, prefix.length, whole)
      if (proved || !more || whole || size === FAR) return proved
    }
  }

  async #probe(
    bytes: Uint8Array,
    prefix: number,
    whole: boolean,
  ): Promise<{ proved: boolean; more: boolean }> {
    const refused: { readonly code: string; readonly offset: number }[] = []
    const check = new RdbCheck(this.#server, new Refusals(refused))
    const walk = new RdbWalk(new Window(behind(bytes, undefined, 0), Math.max(NEAR, bytes.length)), {
      databases: this.#databases,
      values: true,
    })
    const keys = new Set<string>()
    let found = 0
    for (let event = await walk.next(); event !== undefined; event = await walk.next()) {
      check.event(event)
      if (event.kind === 'entries') {
        const { count } = event.entries
        for (let i = 0; i < count; i++) {
          const key = keyOf(event.entries, i)
          const wrong = refused.some(({ offset }) => offset < event.entries.end[i])
          if (key === undefined || wrong) return { proved: false, more: false }
          keys.add(Buffer.from(key).toString('latin1'))
          if (key.length === 0 || keys.size !== ++found) return { proved: false, more: false }
          if (found === EVIDENCE) return { proved: true, more: false }
        }
      }
      if (refused.length > 0) return { proved: false, more: false }
      if (event.kind === 'end') {
        const at = event.end
        const follows = at === bytes.length ? whole : beginsCommands(bytes.subarray(at, at + LEAST))
        const matches = found > 0 || at - prefix === 1 + CHECKSUM_SIZE
        return { proved: follows && matches, more: false }
      }
    }
    return { proved: false, more: walk.error?.kind === 'torn' }
  }

  /** The header and the database of the RDB, for what is read from its middle. */
  #prefix(): Uint8Array {
    return Buffer.concat([this.#header, Buffer.of(Opcode.SelectDb, this.#db)])
  }

  /** Skips entries of keys that are there already. */
  async #dropTwice(): Promise<void> {
    this.#refused.length = 0
    this.#check.end()
    for (const { code, offset } of this.#refused.splice(0)) {
      if (
        code !== 'rdb.key.duplicate' ||
        this.#spans.some(span => offset >= span.offset && offset < span.end)
      )
        continue
      const prefix = this.#prefix()
      const walk = new RdbWalk(new Window(behind(prefix, this.#source, offset), NEAR, offset - prefix.length))
      for (let event = await walk.next(); event !== undefined; event = await walk.next()) {
        if (event.kind !== 'entries') continue
        this.#keys--
        const key = keyOf(event.entries, 0)?.slice()
        if (key !== undefined) this.#affected.add({ command: 'restore', key })
        this.#skip(offset, event.entries.end[0], code, key)
        break
      }
    }
    this.#spans.sort((a, b) => a.offset - b.offset)
  }

  /** The end that the result needs, with its checksum. */
  async #finish(end: number, last: SalvageSpan | undefined): Promise<void> {
    const version = Number.parseInt(
      Buffer.from(this.#header.subarray(this.#magic.length)).toString('latin1'),
      10,
    )
    const summed = version >= FIRST_WITH_CHECKSUM
    const crc = new Crc64()
    const upTo = end < 0 ? this.#size : end - (summed ? CHECKSUM_SIZE : 0)
    const block = new Uint8Array(BLOCK)
    let at = 0
    for (const { offset, end } of [...this.#spans, { offset: upTo, end: upTo }]) {
      for (; at < Math.min(offset, upTo); ) {
        const count = await this.#source.readAt(
          block.subarray(0, Math.min(BLOCK, offset - at, upTo - at)),
          at,
        )
        crc.update(block, 0, count)
        at += count
      }
      at = Math.max(at, end)
    }
    const mark = end < 0 ? Buffer.of(Opcode.End) : Buffer.alloc(0)
    crc.update(mark)
    const sum = Buffer.alloc(summed ? CHECKSUM_SIZE : 0)
    if (summed) sum.writeBigUInt64LE(crc.value())
    const by = Buffer.concat([mark, sum])
    if (end >= 0) {
      if (summed) this.#spans.push({ offset: upTo, end, by, reason: 'rdb.checksum' })
    } else if (last !== undefined && last.end === this.#size)
      this.#spans[this.#spans.length - 1] = { ...last, by }
    else this.#spans.push({ offset: this.#size, end: this.#size, by, reason: 'rdb.truncated' })
  }
}

/** Types whose values are one string. */
const ONE_STRING: ReadonlySet<number> = new Set([0, 9, 10, 11, 12, 13, 16, 17, 20])

const FIRST_WITH_CHECKSUM = 5

/** Gathers what a check refuses. */
class Refusals extends Judgement {
  readonly #list: { readonly code: string; readonly offset: number }[]

  constructor(list: { readonly code: string; readonly offset: number }[]) {
    super('', new Findings())
    this.#list = list
  }

  override warn(): void {}

  override blame(): void {}

  override refuse(code: string, offset: number): void {
    this.#list.push({ code, offset })
  }
}

/** Whether these bytes can be the first behind an RDB: a header, or an annotation. */
function beginsCommands(bytes: Uint8Array): boolean {
  return /^(\*\d*($|\r($|\n($|\$)))|#(T|$))/.test(Buffer.from(bytes).toString('latin1'))
}

function unreadable(code: string): JobError {
  return new JobError(
    'salvage.rdb-header',
    `the server in question loads no RDB of this version (${code})`,
    '--as names another one',
  )
}

function keyOf(entries: EntryBatch, i: number): Uint8Array | undefined {
  try {
    return entries.keyBytes(i)?.slice()
  } catch (error) {
    if (error instanceof FormatError) return undefined
    throw error
  }
}

/** Bytes, and behind them what a source holds from `from` on. */
function behind(prefix: Uint8Array, source: Source | undefined, from: number): Source {
  let position = 0
  const size = prefix.length + (source === undefined ? 0 : (source.size as number) - from)
  const readAt = async (target: Uint8Array, offset: number): Promise<number> => {
    if (offset < prefix.length) {
      const piece = prefix.subarray(offset, offset + target.length)
      target.set(piece)
      return piece.length
    }
    return source === undefined ? 0 : source.readAt(target, offset - prefix.length + from)
  }
  return {
    name: source?.name ?? '',
    size,
    seekable: true,
    async read(target, start, end) {
      const at = position
      const length = Math.min(end - start, size - at, at < prefix.length ? prefix.length - at : end - start)
      if (length <= 0) return 0
      position += length
      return readAt(target.subarray(start, start + length), at)
    },
    readAt,
    grow: async () => false,
    close: async () => {},
  }
}
