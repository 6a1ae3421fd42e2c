import { CONTROL_IDS, Context } from '../aof/context.ts'
import { type Input, openPart, type Part } from '../aof/parts.ts'
import { type PartEnd, type PartVisitor, scanPart } from '../aof/scan.ts'
import type { FormatError } from '../bytes/errors.ts'
import { escapeBytes } from '../bytes/escape.ts'
import { formatTime, plural } from '../bytes/figures.ts'
import type { RdbEvent } from '../rdb/walk.ts'
import type { LongRecord } from '../resp/long-record.ts'
import type { Batch } from '../resp/scanner.ts'
import { idOf, ids } from '../servers/commands.ts'
import { describeRecord } from './describe.ts'
import { LogServer } from './log-server.ts'
import type { LogOptions } from './verify.ts'

/*
 * The moments of a log that one may want to go back to: times, and what took much away. One pass over positions, without
 * a keyspace: what a command did to it is not known, only what it says.
 */

/** Where a log can be cut, and what comes behind. */
export interface RewindMoment {
  /**
   * `part`: one begins. `time`: a `#TS:`. `flush`: FLUSHALL or FLUSHDB. `swap`: SWAPDB. `deletion`: many keys are deleted
   * one after the other. `transaction`: one of many commands. `end`: of what can be read.
   */
  readonly kind: 'part' | 'time' | 'flush' | 'swap' | 'deletion' | 'transaction' | 'end'
  readonly part: string
  /** In front of it, outside of any transaction: what `--to-offset` takes. */
  readonly offset: number
  /** Unix seconds of the last timestamp up to there; of a `time` its own. */
  readonly time: number | undefined
  /** What happens there, in words; bytes of the input in it are escaped. */
  readonly what: string
  /** Selected, where that matters. */
  readonly db?: number
  /** Offset behind it, in the same part. */
  readonly end?: number
  /** Keys that are deleted, or that an RDB has. */
  readonly keys?: number
  /** That it consists of; of a `time` or a `part` those up to the next one of its kind. */
  readonly commands?: number
}

export interface Moments {
  /** In the order of the log. */
  readonly moments: readonly RewindMoment[]
  /** Moments that are left out because there are too many of their kind: the last ones are kept. */
  readonly omitted: ReadonlyMap<RewindMoment['kind'], number>
  /** Whether there are timestamps. */
  readonly timed: boolean
  /** Why reading ended before the end, and where. */
  readonly damage: { readonly part: string; readonly error: FormatError | undefined } | undefined
}

/** Times that are listed at most; between them there are more. */
const MOST_TIMES = 40
/** Seconds from one to the next; the first at which there are not too many. */
const STEPS = [1, 10, 60, 600, 3600, 6 * 3600, 86_400, 7 * 86_400, 30 * 86_400, 365 * 86_400]
/** Moments of another kind. */
const MOST = 200
/** Keys that must be deleted, and commands that a transaction must have, to be told of. */
const MUCH = 100
/** A deletion ends when other commands come: each counts as many keys that are not deleted… */
const OTHERS_WEIGH = 4
/** …however many were deleted before. */
const LONGEST_PAUSE = 100 * OTHERS_WEIGH
/** Seconds without a deletion after which it has ended. */
const PAUSE = 60
/** Bytes of what keys have in common that are shown. */
const SHOWN = 60
/** Names of commands in a transaction that are told. */
const NAMES = 4

const DELETIONS: ReadonlySet<number> = new Set([idOf('del'), idOf('unlink')])
const FLUSHES: ReadonlySet<number> = new Set([ids.flushall, ids.flushdb])

/**
 * Lists the moments of a log.
 *
 * @param progress is told the bytes read so far, in all parts
 */
export async function listMoments(
  input: Input,
  options: LogOptions,
  progress?: (bytes: number) => void,
): Promise<Moments> {
  const finder = new Finder(input, options, progress)
  for (const part of input.parts) {
    const source = await openPart(part)
    try {
      finder.begin(part)
      if (!finder.end(await scanPart(source, finder, { databases: options.databases }))) break
    } finally {
      await source.close()
    }
  }
  return finder.moments()
}

/** A moment, and where it stands among others. */
interface Found {
  readonly moment: RewindMoment
  readonly index: number
  /** Commands in front of it. */
  readonly commands: number
}

/** The last ones of a kind. */
class LastOnes {
  count = 0
  readonly #ring: Found[] = []

  add(found: Found): void {
    this.#ring[this.count++ % MOST] = found
  }

  get kept(): readonly Found[] {
    return this.#ring
  }
}

/** Timestamps, so many that they can be looked at, evenly in time. */
class Times {
  list: Found[] = []
  #step = 0
  #bucket = Number.NEGATIVE_INFINITY

  /** @param make called when it is one to be kept */
  add(time: number, make: () => Found): void {
    const bucket = Math.floor(time / STEPS[this.#step])
    // Clocks may go back: that is a moment, too.
    if (bucket === this.#bucket) return
    this.#bucket = bucket
    this.list.push(make())
    while (this.list.length > MOST_TIMES && this.#step < STEPS.length - 1) this.#thin()
    // A clock that is not one.
    if (this.list.length > 2 * MOST_TIMES) this.list = this.list.filter((_, i) => i % 2 === 0)
  }

  #thin(): void {
    this.#step++
    let before = Number.NEGATIVE_INFINITY
    this.list = this.list.filter(({ moment }) => {
      const bucket = Math.floor((moment.time as number) / STEPS[this.#step])
      const another = bucket !== before
      before = bucket
      return another
    })
    this.#bucket = before
  }
}

/** Keys that are deleted one after the other. */
interface Deletion {
  readonly offset: number
  readonly from: number
  readonly time: number | undefined
  readonly db: number
  /** What its keys begin with; the first key, while there is one. */
  prefix: Uint8Array
  keys: number
  /** Behind the last command that deletes. */
  end: number
  until: number
  lastTime: number | undefined
  /** Of keys deleted against other commands. */
  score: number
}

const Role = { Other: 0, Control: 1, Flush: 2, Deletion: 3, Swap: 4 } as const

class Finder implements PartVisitor {
  readonly #input: Input
  readonly #options: LogOptions
  readonly #progress: ((bytes: number) => void) | undefined
  readonly #server: LogServer
  readonly #times = new Times()
  readonly #kinds = new Map<RewindMoment['kind'], LastOnes>()
  readonly #parts: Found[] = []
  #damage: Moments['damage']
  #timed = false
  /** By id: what is to be done with a command. */
  #roles: Uint8Array | undefined
  #commands = 0
  #bytes = 0

  #part = ''
  #index = -1
  #role: Part['role'] = 'single'
  #context: Context
  #keys = 0
  #writtenAt: number | undefined
  #isRdb = false
  #deletion: Deletion | undefined
  /** Of the open transaction: commands in front of it, its time, and how many of each name. */
  #before = 0
  #openTime: number | undefined
  #names = new Int32Array(0)
  #named: number[] = []

  constructor(input: Input, options: LogOptions, progress: ((bytes: number) => void) | undefined) {
    this.#input = input
    this.#options = options
    this.#progress = progress
    this.#server = new LogServer(options.as, options.allowCommands)
    this.#context = new Context(options.databases)
  }

  begin(part: Part): void {
    const { time } = this.#context
    this.#context = new Context(this.#options.databases)
    this.#context.time = time
    this.#part = part.name
    this.#index++
    this.#role = part.role
    this.#keys = 0
    this.#writtenAt = undefined
    this.#isRdb = false
  }

  rdb(event: RdbEvent): void {
    switch (event.kind) {
      case 'header':
        this.#server.noteMagic(event.magic)
        this.#isRdb = true
        return
      case 'aux':
        this.#server.noteAux(event.name, event.value)
        if (event.name === undefined || event.value === undefined) return
        if (Buffer.from(event.name).toString('latin1') === 'ctime')
          this.#writtenAt = Number.parseInt(Buffer.from(event.value).toString('latin1'), 10) || undefined
        return
      case 'entries':
        this.#keys += event.entries.count
        return
    }
  }

  records(batch: Batch): void {
    const roles = this.#rolesOf()
    const { table } = this.#server
    const { bytes, first, start, length } = batch
    const context = this.#context
    for (let i = 0; i < batch.count; i++) {
      const a = first[i]
      if (first[i + 1] === a) {
        this.#annotation(batch, i)
        continue
      }
      const id = table.lookup(bytes, start[a], length[a])
      const role = id < 0 ? Role.Other : roles[id]
      if (role !== Role.Other) this.#special(batch, i, id, role, first[i + 1] - a)
      else {
        if (context.transaction >= 0) this.#count(id)
        if (this.#deletion !== undefined) this.#other(this.#deletion)
      }
      this.#commands++
    }
  }

  long(record: LongRecord): void {
    const batch = record.asBatch()
    const roles = this.#rolesOf()
    const there = batch.first[1] > 0
    const id = there ? this.#server.table.lookup(batch.bytes, batch.start[0], batch.length[0]) : -1
    if (id >= 0 && roles[id] === Role.Deletion) this.#delete(batch, 0, record.argc - 1, record.end)
    else if (this.#deletion !== undefined) this.#other(this.#deletion)
    if (this.#context.transaction >= 0) this.#count(id)
    this.#commands++
  }

  progress(offset: number): undefined {
    this.#progress?.(this.#bytes + offset)
  }

  /** The part was read. Whether reading goes on with the next one. */
  end(end: PartEnd): boolean {
    this.#finish()
    this.#bytes += end.size
    const written = this.#writtenAt === undefined ? '' : `, written at ${formatTime(this.#writtenAt)}`
    const rdb = this.#isRdb ? `an RDB with ${plural(this.#keys, 'key')}${written}; ` : ''
    const kind = this.#role === 'single' ? 'the log' : `${this.#role} part`
    this.#parts.push({
      index: this.#index,
      commands: this.#partCommands,
      moment: {
        kind: 'part',
        part: this.#part,
        offset: 0,
        time: this.#partTime,
        what: `${kind} begins: ${rdb}`,
        ...(rdb === '' ? {} : { keys: this.#keys }),
      },
    })
    const open = this.#context.transaction
    const broken = end.error !== undefined || open >= 0
    if (broken) this.#damage = { part: this.#part, error: end.error }
    if (broken || this.#index === this.#input.parts.length - 1) {
      const rdbBroken = end.error !== undefined && end.format === 'rdb'
      const what =
        end.error !== undefined
          ? `damaged here: ${end.error.message}`
          : open >= 0
            ? 'a transaction without EXEC begins: the end'
            : 'the end'
      this.#add('end', {
        offset: open >= 0 ? open : rdbBroken ? 0 : end.offset,
        time: this.#context.time,
        what,
      })
    }
    this.#partCommands = this.#commands
    this.#partTime = this.#context.time
    return !broken
  }

  /** As the part began. */
  #partCommands = 0
  #partTime: number | undefined

  moments(): Moments {
    const omitted = new Map<RewindMoment['kind'], number>()
    const all = [
      ...withCommands(this.#parts, this.#commands),
      ...withCommands(this.#times.list, this.#commands),
    ]
    for (const [kind, ones] of this.#kinds) {
      all.push(...ones.kept)
      if (ones.count > MOST) omitted.set(kind, ones.count - MOST)
    }
    all.sort(
      (a, b) =>
        a.index - b.index || a.moment.offset - b.moment.offset || rank(a.moment.kind) - rank(b.moment.kind),
    )
    return {
      moments: all.map(({ moment }) => moment),
      omitted,
      timed: this.#timed,
      damage: this.#damage,
    }
  }

  #rolesOf(): Uint8Array {
    if (this.#roles !== undefined) return this.#roles
    const { length } = this.#server.table.flags
    this.#names = new Int32Array(length)
    this.#roles = Uint8Array.from({ length }, (_, id) => {
      if (CONTROL_IDS.has(id)) return Role.Control
      if (FLUSHES.has(id)) return Role.Flush
      if (DELETIONS.has(id)) return Role.Deletion
      return id === ids.swapdb ? Role.Swap : Role.Other
    })
    return this.#roles
  }

  #annotation(batch: Batch, i: number): void {
    const context = this.#context
    const before = context.time
    context.annotation(batch, i)
    const { time } = context
    if (time === undefined || time === before) return
    this.#timed = true
    const deletion = this.#deletion
    if (deletion !== undefined && time - (deletion.lastTime ?? time) > PAUSE) this.#finish()
    this.#times.add(time, () => ({
      index: this.#index,
      commands: context.transaction >= 0 ? this.#before : this.#commands,
      moment: { kind: 'time', part: this.#part, offset: this.#here(batch, i), time, what: '' },
    }))
  }

  #special(batch: Batch, i: number, id: number, role: number, argc: number): void {
    const context = this.#context
    if (role === Role.Control) {
      const open = context.transaction
      context.control(batch, i, id)
      if (id === ids.multi && open < 0) this.#open()
      else if (open >= 0 && context.transaction < 0) this.#executed(open, batch.base + batch.record[i + 1])
      return
    }
    if (context.transaction >= 0) this.#count(id)
    if (role === Role.Deletion) {
      this.#delete(batch, i, argc - 1, batch.base + batch.record[i + 1])
      return
    }
    this.#finish()
    const text = describeRecord(batch.bytes.subarray(batch.record[i], batch.record[i + 1]))?.text ?? ''
    const inside = context.transaction >= 0 ? ', in a transaction' : ''
    const where = id === ids.flushdb ? ` of database ${context.db}` : ''
    this.#add(role === Role.Swap ? 'swap' : 'flush', {
      offset: this.#here(batch, i),
      time: context.time,
      db: context.db,
      what: `${text}${where}${inside}`,
    })
  }

  /** A command deletes so many keys. */
  #delete(batch: Batch, i: number, keys: number, end: number): void {
    const a = batch.first[i] + 1
    const there = batch.first[i + 1] - a
    const { time, db } = this.#context
    this.#deletion ??= {
      offset: this.#here(batch, i),
      from: this.#commands,
      time,
      db,
      prefix:
        there > 0
          ? batch.bytes.slice(batch.start[a], batch.start[a] + Math.min(batch.length[a], SHOWN))
          : NOTHING,
      keys: 0,
      end,
      until: 0,
      lastTime: time,
      score: 0,
    }
    const deletion = this.#deletion
    for (let k = a; k < a + there; k++) {
      const { prefix } = deletion
      let same = 0
      const most = Math.min(prefix.length, batch.length[k])
      while (same < most && prefix[same] === batch.bytes[batch.start[k] + same]) same++
      if (same < prefix.length) deletion.prefix = prefix.subarray(0, same)
    }
    deletion.keys += keys
    deletion.end = end
    deletion.until = this.#commands + 1
    deletion.lastTime = time
    deletion.score = Math.min(deletion.score + keys, LONGEST_PAUSE)
  }

  #other(deletion: Deletion): void {
    deletion.score -= OTHERS_WEIGH
    if (deletion.score <= 0) this.#finish()
  }

  /** The deletion that was going on is over. */
  #finish(): void {
    const deletion = this.#deletion
    if (deletion === undefined) return
    this.#deletion = undefined
    const { keys, from, until, offset, end, time, lastTime, prefix, db } = deletion
    if (keys < MUCH) return
    const commands = until - from
    const span =
      time === undefined || lastTime === undefined || lastTime === time
        ? ''
        : `, in ${plural(lastTime - time, 'second')}`
    const alike = prefix.length === 0 ? '' : `, ${escapeBytes(prefix)}*`
    this.#add(
      'deletion',
      {
        offset,
        time,
        db,
        end,
        keys,
        commands,
        what: `${plural(keys, 'key')} deleted by ${plural(commands, 'command')}${span}${alike}`,
      },
      from,
    )
  }

  #open(): void {
    this.#before = this.#commands
    this.#openTime = this.#context.time
  }

  /** Counts a command of the open transaction. */
  #count(id: number): void {
    if (id < 0) return
    if (this.#names[id]++ === 0) this.#named.push(id)
  }

  #executed(offset: number, end: number): void {
    // MULTI and EXEC are not of it.
    const commands = this.#commands - this.#before - 1
    if (commands >= MUCH) {
      const { table } = this.#server
      const names = this.#named
        .map(id => [table.name(id).toUpperCase(), this.#names[id]] as const)
        .sort((a, b) => b[1] - a[1])
      const told = names.slice(0, NAMES).map(([name, count]) => `${name} ${count}`)
      const more = names.length > NAMES ? ', …' : ''
      this.#add(
        'transaction',
        {
          offset,
          time: this.#openTime,
          end,
          commands,
          what: `a transaction of ${plural(commands, 'command')}: ${told.join(', ')}${more}`,
        },
        this.#before,
      )
    }
    for (const id of this.#named) this.#names[id] = 0
    this.#named.length = 0
  }

  #here(batch: Batch, i: number): number {
    const { transaction } = this.#context
    return transaction >= 0 ? transaction : batch.offset(i)
  }

  #add(
    kind: RewindMoment['kind'],
    moment: Omit<RewindMoment, 'kind' | 'part'>,
    commands = this.#commands,
  ): void {
    let ones = this.#kinds.get(kind)
    if (ones === undefined) {
      ones = new LastOnes()
      this.#kinds.set(kind, ones)
    }
    ones.add({ index: this.#index, commands, moment: { kind, part: this.#part, ...moment } })
  }
}

const NOTHING = new Uint8Array(0)

/** At one offset: what it is behind, then what comes. */
function rank(kind: RewindMoment['kind']): number {
  return ['part', 'time', 'transaction', 'deletion', 'swap', 'flush', 'end'].indexOf(kind)
}

/** Says how many commands there are from one to the next, and of the last one to the end. */
function withCommands(list: readonly Found[], end: number): Found[] {
  return list.map((found, i) => {
    const commands = (list[i + 1]?.commands ?? end) - found.commands
    const { moment } = found
    const until =
      moment.kind === 'part' ? '' : i + 1 < list.length ? ' until the next time here' : ' until the end'
    const what = `${moment.what}${plural(commands, 'command')}${until}`
    return { ...found, moment: { ...moment, what, commands } }
  })
}
