import type { Source } from '../bytes/source.ts'
import { Window } from '../bytes/window.ts'
import { CR, DOLLAR, HASH, LF, STAR } from '../resp/format.ts'
import { LongRecord } from '../resp/long-record.ts'
import { Batch, digitsOf, plainNumber, Scanner, Stop } from '../resp/scanner.ts'
import type { CommandTable } from '../servers/commands.ts'
import { Resync } from './resync.ts'

/*
 * Reads records behind damages too. Where framing breaks, at the record R:
 *
 * 1. R itself is in question; so is the one before it, when a wrong length or count there explains the break as well.
 * 2. Where the lengths in R survived and a command begins where R ends by them, only R is left out.
 * 3. Where a block of the file stands there twice, one of the two is left out, and R is whole.
 * 4. Else the next boundary that is proved (resync.ts) and does not stand inside a value: a value is what an argument's
 *    header claims, when it ends with CR LF or belongs to R, and no command that begins in it goes on behind it.
 * 5. A run of commands that ends before a lone CR LF was inside a value whose header is lost: it is left out as well.
 */

/** What was passed over, and why. */
export interface Gap {
  readonly offset: number
  readonly end: number
  /** Code of what is wrong at its start. */
  readonly code: string
  /**
   * `odd`: servers read on behind it, as we do. `twice`: the same bytes stand before it, so that nothing is lost or
   * unknown.
   */
  readonly kind: 'torn' | 'corrupt' | 'odd' | 'twice'
}

/** Bytes before what is being read that stay in memory. */
const LOOKBACK = 160 << 10
/** A run behind a damage is looked at for so many bytes before any of it is given out. */
const PROBATION = 64 << 10
/** The record before a damage is looked at when it is not larger. */
const SUSPECT = 64 << 10
/** Bytes behind a block that stands twice that are looked at for how the record before it goes on. */
const JOINED = 256 << 10
/** Line ends in a value of which the beginning is missing that are looked at. */
const MOST_LINES = 16
/** Sizes of what disks and file systems lose or write twice. */
const BLOCKS = [4096, 512, 1024, 2048, 8192, 16384, 32768, 65536] as const
/** Bytes that must be the same for a block to be compared as a whole. */
const SAME = 32
/** A value that holds a command has more. */
const SHORTEST_CLAIM = 14
/** Claims that are kept in mind at a time: the largest. */
const MOST_CLAIMS = 8
/**
 * Bytes and arguments that may be read in vain to follow claims out of the window, and how many more with each byte
 * that is passed: so the time grows with the number of bytes, whatever they claim.
 */
const CREDIT = 64 << 20
const CREDIT_A_BYTE = 4
/** What one look outside the window costs. */
const PEEK = 4096

/**
 * The records of a source that can be read, batch by batch, with what was passed over between them:
 *
 *     for (let batch = await reader.next(); batch !== undefined; batch = await reader.next()) {
 *       if (reader.gap !== undefined) …     // before the records of this batch, of which there may be none
 *       if (reader.long !== undefined) …    // instead of records
 *     }
 *
 * In one pass, with the memory of the window. Records are whole and in the form that servers write, but for forms of
 * numbers that check-aof reads as well; their names are not looked at.
 */
export class ResyncReader {
  gap: Gap | undefined
  long: LongRecord | undefined

  readonly #source: Source
  readonly #size: number
  readonly #window: Window
  readonly #scanner = new Scanner()
  readonly #batch: Batch
  readonly #few: Batch
  readonly #resync: Resync
  /** A gap that ends where the next records begin. */
  #open: Gap | undefined
  /** Where the damage that is being passed begins; -1 when there is none. */
  #from = -1
  #code = ''
  #kind: Gap['kind'] = 'corrupt'
  /** Offset of what is wrong. */
  #wrong = 0
  /** The record that is wrong there. */
  #record = 0
  /** Whether the last {@link #byLengths} met a length that goes beyond the end. */
  #beyond = false
  /** Up to where no boundary was found. */
  #search = 0
  /**
   * Ends of values, their terminators included, by headers that stand in the gap: of those that end as a value does, and
   * of the record that is wrong in any case. Headers were looked for up to {@link #claimed}.
   */
  #claims: number[] = []
  #claimed = 0
  /** The lowest offset that is still in the window. */
  #low: number
  #credit = CREDIT
  #credited: number

  /**
   * @param source its size is known, and it can be read by offset
   * @param from offset of the first record
   */
  constructor(source: Source, from: number, table: CommandTable, chunk?: number) {
    if (source.size === undefined) throw new RangeError('a source of unknown size')
    this.#source = source
    this.#size = source.size
    this.#window = new Window(tail(source, from), chunk, from)
    this.#batch = new Batch(this.#window.bytes.length)
    this.#few = new Batch(this.#window.bytes.length, 16)
    this.#resync = new Resync(table, this.#window.bytes.length)
    this.#scanner.strict = true
    this.#low = from
    this.#credited = from
  }

  /** Offset that was reached. */
  get offset(): number {
    return this.#window.offset
  }

  /** The bytes [offset, end), as long as they are in memory: void after the next call; else undefined. */
  bytes(offset: number, end: number): Uint8Array | undefined {
    const { bytes, base } = this.#window
    if (offset < this.#low || end > base + this.#window.end) return undefined
    return bytes.subarray(offset - base, end - base)
  }

  async next(): Promise<Batch | undefined> {
    const window = this.#window
    const batch = this.#batch
    this.gap = undefined
    this.long = undefined
    for (;;) {
      if (this.#from >= 0) {
        const joined =
          (this.#search === this.#from + 1 ? await this.#twice(this.#wrong) : undefined) ??
          (await this.#pass())
        if (joined !== undefined) return joined
      }
      const from = window.start
      batch.clear(window.bytes, window.base)
      const to = this.#scanner.scan(batch, from, window.end, window.ended)
      const { stop } = this.#scanner
      if (stop === Stop.Error) {
        const last = batch.count > 0 ? batch.record[batch.count - 1] : to
        if (!window.ended && window.end - to < SUSPECT && window.end - last <= window.headroom) {
          // Of what is wrong there, more is to be seen first.
          if (this.#open === undefined && batch.count > 1) {
            batch.count--
            window.start = last
            return this.#give(batch)
          }
          const from = this.#open === undefined ? last : window.start
          if (window.end - from <= window.headroom) {
            await this.#advance(from)
            continue
          }
        }
        if (this.#broken(batch, to)) return this.#give(batch)
        continue
      }
      if (stop === Stop.Full) {
        batch.count--
        window.start = batch.record[batch.count]
        return this.#give(batch)
      }
      if (window.ended) {
        if (batch.count === 0 && this.#open === undefined) return undefined
        window.start = to
        return this.#give(batch)
      }
      if (this.#open !== undefined && window.end - from < Math.min(PROBATION, window.headroom)) {
        await this.#advance(from)
        continue
      }
      if (batch.count === 0 && window.end - from > window.headroom) {
        const long = await this.#readLong()
        if (long === undefined) continue
        this.long = long
        batch.clear(window.bytes, window.base)
        return this.#give(batch)
      }
      // The last one is given out when it is seen that something follows it.
      const last = batch.count > 0 ? batch.record[batch.count - 1] : from
      const held = batch.count > 0 && window.end - last <= Math.min(SUSPECT, window.headroom)
      if (held) batch.count--
      if (batch.count > 0) {
        window.start = held ? last : to
        return this.#give(batch)
      }
      await this.#advance(held ? last : to)
    }
  }

  #give(batch: Batch): Batch {
    this.gap = this.#open
    this.#open = undefined
    return batch
  }

  /** Framing breaks at index `at`, behind the records of a batch; true when something is to be given out first. */
  #broken(batch: Batch, at: number): boolean {
    const window = this.#window
    const error = this.#scanner.error!
    const open = this.#open
    this.#claims = []
    this.#wrong = error.offset
    const lone = open !== undefined && this.#isLoneEnd(window.start, at)
    let from = at
    if (lone) batch.count = 0
    else if (batch.count > 0 && this.#isSuspect(batch, at)) from = batch.record[--batch.count]
    this.#record = window.base + from
    this.#search = this.#record + (lone ? 2 : 1)
    this.#claimed = this.#record
    window.start = from
    if (open !== undefined && batch.count === 0) {
      // That was no boundary, or one inside a value: the gap goes on.
      this.#open = undefined
      this.#from = open.offset
      this.#code = open.code
      this.#kind = open.kind === 'torn' ? 'torn' : 'corrupt'
      return false
    }
    this.#from = this.#record
    this.#code = error.code
    this.#kind = error.kind === 'torn' ? 'torn' : 'corrupt'
    return batch.count > 0
  }

  /** Whether `\r\n` stands at `at` where a record should, soon behind a gap, and a record or argument behind it. */
  #isLoneEnd(from: number, at: number): boolean {
    const { bytes, end, ended } = this.#window
    if (at - from > PROBATION || at + 2 > end || bytes[at] !== CR || bytes[at + 1] !== LF) return false
    return at + 2 === end ? ended : isPrefix(bytes[at + 2])
  }

  /**
   * Whether a damage in the last record of a batch explains that none begins behind it, at `at`: a count or length that
   * is wrong, or bytes that are missing, and the record ends by chance where a line does.
   */
  #isSuspect(batch: Batch, at: number): boolean {
    const { bytes, end } = this.#window
    const record = batch.record[batch.count - 1]
    if (batch.argc(batch.count - 1) === 0) return false
    if (bytes[at] === STAR || bytes[at] === HASH) {
      // What stands there may be a record that is itself damaged.
      const last = batch.first[batch.count] - 1
      if (at - record > SUSPECT) return false
      for (let p = bytes.indexOf(CR, record); p >= 0 && p < at - 2; p = bytes.indexOf(CR, p + 1)) {
        if (bytes[p + 1] === LF && isPrefix(bytes[p + 2]) && isInside(batch, p, last)) return true
      }
      return false
    }
    if (bytes[at] === DOLLAR) return true
    // What is left of a value that ends as one does. Zeros up to the end, or noise, are something else.
    let lines = MOST_LINES
    for (let p = bytes.indexOf(CR, at); p >= 0 && p + 2 < end; p = bytes.indexOf(CR, p + 1)) {
      if (bytes[p + 1] !== LF) continue
      if (isPrefix(bytes[p + 2])) return true
      if (--lines === 0) break
    }
    return false
  }

  /** Goes to the next boundary, and leaves the gap open there; or finds that a block stands twice, as {@link #twice}. */
  async #pass(): Promise<Batch | undefined> {
    let end = await this.#byLengths(this.#record, true)
    if (end < this.#search || !(await this.#beginsAt(end))) {
      const fresh = this.#search === this.#from + 1
      end = await this.#find()
      const joined = fresh ? await this.#twice(end) : undefined
      if (joined !== undefined) return joined
    } else if (this.#code === 'resp.bulk.terminator' && this.#record === this.#from) this.#kind = 'odd'
    await this.#moveTo(end)
    this.#open = { offset: this.#from, end, code: this.#code, kind: this.#kind }
    this.#from = -1
    return undefined
  }

  /** Where the record at `offset` ends by its lengths, its terminators not looked at; -1 when a header is wrong. */
  async #byLengths(offset: number, claims = false): Promise<number> {
    let at = offset
    let left = -1
    this.#beyond = false
    while (left !== 0) {
      const value = await this.#headerAt(at, left < 0 ? STAR : DOLLAR)
      if (value < 0 || this.#credit-- < 0) return -1
      at += digitsOf(value) + 3
      if (left < 0) {
        if (value === 0) return -1
        left = value
      } else {
        left--
        at += value + 2
        if (claims && value >= SHORTEST_CLAIM && at <= this.#size) this.#claim(at)
      }
      if (at > this.#size) {
        this.#beyond = true
        return -1
      }
    }
    return at
  }

  /** The number in the header at `offset`; -1 when there is none in the form that servers write. */
  async #headerAt(offset: number, prefix: number): Promise<number> {
    const { bytes, base, end, ended } = this.#window
    const at = offset - base
    if (offset >= this.#low && at < end && (at + SAME <= end || ended)) {
      const value = bytes[at] === prefix ? plainNumber(bytes, at + 1) : -1
      return value >= 0 && at + digitsOf(value) + 3 > end ? -1 : value
    }
    const there = await this.#peek(offset, SAME)
    const value = there[0] === prefix ? plainNumber(there, 1) : -1
    return value >= 0 && digitsOf(value) + 3 > there.length ? -1 : value
  }

  /** Whether a command begins at `offset`, or the source ends there. */
  async #beginsAt(offset: number): Promise<boolean> {
    if (offset >= this.#size) return offset === this.#size
    const { bytes, base, end, ended } = this.#window
    const at = offset - base
    if (offset >= this.#low && at < end && (at + NAMED <= end || ended))
      return this.#resync.begins(bytes, at, end)
    const there = await this.#peek(offset, NAMED)
    return this.#resync.begins(there, 0, there.length)
  }

  /** Bytes that are not in the window; none when too many were asked for in vain. */
  async #peek(offset: number, length: number): Promise<Uint8Array> {
    this.#credit -= PEEK
    if (this.#credit < 0 || offset >= this.#size) return new Uint8Array(0)
    const bytes = new Uint8Array(length)
    return bytes.subarray(0, await this.#source.readAt(bytes, offset))
  }

  /** The next boundary that is proved and does not stand in a value; the size when there is none. */
  async #find(): Promise<number> {
    const window = this.#window
    for (;;) {
      if (this.#search > window.base + window.end) await this.#moveTo(this.#search)
      const from = Math.max(this.#search - window.base, this.#low - window.base)
      const found = this.#resync.find(window.bytes, from, window.end, window.ended)
      const upTo = found >= 0 ? found : this.#resync.undecided
      await this.#noteClaims(window.base + upTo)
      if (found >= 0) {
        const within = await this.#valueAround(window.base + found)
        if (within < 0) return window.base + found
        this.#search = within
        continue
      }
      this.#search = window.base + upTo
      if (window.end - upTo > window.headroom) {
        if (await this.#isLongRecord(this.#search)) {
          const within = await this.#valueAround(this.#search)
          if (within < 0) return this.#search
          this.#search = within
        } else this.#search++
        continue
      }
      if (!(await this.#advance(Math.min(upTo, window.end))) && window.ended && upTo >= window.end)
        return this.#size
    }
  }

  /** Looks for headers of arguments up to `offset`, and keeps those whose values go on behind it. */
  async #noteClaims(offset: number): Promise<void> {
    const window = this.#window
    const { bytes, base } = window
    const to = offset - base
    if (this.#claims.length > 0) this.#claims = this.#claims.filter(end => end > offset)
    for (
      let p = bytes.indexOf(DOLLAR, Math.max(this.#claimed, this.#low) - base);
      p >= 0 && p < to;
      p = bytes.indexOf(DOLLAR, p + 1)
    ) {
      const size = plainNumber(bytes, p + 1)
      if (size < SHORTEST_CLAIM || (p > 0 && bytes[p - 1] !== LF)) continue
      const end = base + p + digitsOf(size) + 3 + size + 2
      if (end <= offset || end > this.#size) continue
      if (await this.#endsAt(end)) this.#claim(end)
    }
    this.#claimed = Math.max(this.#claimed, offset)
  }

  #claim(end: number): void {
    const claims = this.#claims
    if (claims.includes(end)) return
    if (claims.length < MOST_CLAIMS) claims.push(end)
    else {
      const least = claims.indexOf(Math.min(...claims))
      claims[least] = Math.max(claims[least], end)
    }
  }

  /** Whether a terminator stands before `offset`, and at it what can follow an argument. */
  async #endsAt(offset: number): Promise<boolean> {
    const { bytes, base, end } = this.#window
    let there = bytes
    let at = offset - base
    if (at + 1 > end) {
      there = await this.#peek(offset - 2, 3)
      at = 2
      if (there.length < 2) return false
    }
    if (there[at - 2] !== CR || there[at - 1] !== LF) return false
    return offset === this.#size || offset === this.#wrong || isPrefix(there[at])
  }

  /** The end of a value in which the commands from `offset` on stand; -1 when there is none. */
  async #valueAround(offset: number): Promise<number> {
    for (const end of this.#claims) if (end > offset && !(await this.#runsOver(offset, end))) return end
    return -1
  }

  /** Whether a command among those from `offset` on goes on behind `end`, where a value is said to end. */
  async #runsOver(offset: number, end: number): Promise<boolean> {
    const window = this.#window
    let { bytes } = window
    let at = offset - window.base
    let to = end - window.base
    let limit = window.end
    let final = window.ended
    const large = to > window.end
    if (large) {
      // Only the last stretch of a value larger than what is there: do commands in it go on behind it?
      const from = Math.max(offset, end - PROBATION)
      bytes = new Uint8Array(end - from + PROBATION + Window.SLACK)
      this.#credit -= bytes.length
      if (this.#credit < 0) return false
      limit = await this.#source.readAt(bytes.subarray(0, bytes.length - Window.SLACK), from)
      final = from + limit === this.#size
      to = end - from
      at = from === offset ? 0 : this.#resync.find(bytes, 0, to, false)
      if (at < 0) return false
    }
    const few = this.#few
    const scanner = this.#scanner
    for (;;) {
      few.clear(bytes, 0)
      const next = scanner.scan(few, at, limit, final)
      for (let i = 1; i <= few.count; i++) {
        if (few.record[i] === to - 2) return false
        if (few.record[i] === to) return large
        if (few.record[i] > to) return true
      }
      // A record that goes on behind what is there goes on behind the value.
      if (scanner.stop === Stop.More) return next < to && limit > to
      if (scanner.stop === Stop.Error) {
        // Another damage: what stands behind it in the value tells as much.
        const again = this.#resync.find(bytes, next + 1, limit, final)
        if (again < 0 || again >= to) return false
        at = again
        continue
      }
      at = next
    }
  }

  /** Whether the record at `offset`, larger than the window, is whole, known, and followed by another. */
  async #isLongRecord(offset: number): Promise<boolean> {
    if (!(await this.#beginsAt(offset))) return false
    const end = await this.#byLengths(offset)
    return end >= 0 && (await this.#endsAt(end)) && (await this.#beginsAt(end))
  }

  /** Reads a record larger than the window; undefined when it is broken. */
  async #readLong(): Promise<LongRecord | undefined> {
    const window = this.#window
    const offset = window.offset
    const end = await this.#byLengths(offset)
    // Before it is gone by: it is not read for nothing.
    const follows = end >= 0 && (await this.#endsAt(end))
    if (!follows) {
      const code = end >= 0 ? 'resp.bulk.terminator' : this.#beyond ? 'resp.torn.bulk' : 'resp.bulk.type'
      this.#startAt(offset, code, this.#beyond ? 'torn' : 'corrupt')
      return undefined
    }
    const record = new LongRecord(offset)
    for (;;) {
      window.start = record.feed(window.bytes, window.start, window.end, window.ended, window.base)
      if (record.done || record.error !== undefined) break
      this.#low = window.offset
      await this.#advance(window.start)
    }
    return record
  }

  /** A damage begins at `offset`, which is where the window is. */
  #startAt(offset: number, code: string, kind: Gap['kind']): void {
    const open = this.#open
    this.#open = undefined
    this.#claims = []
    this.#from = open?.offset ?? offset
    this.#code = open?.code ?? code
    this.#kind = open?.kind === 'torn' ? 'torn' : kind
    this.#wrong = offset
    this.#record = offset
    this.#search = offset + 1
    this.#claimed = offset
  }

  /**
   * A block that stands twice, one behind the other, and of which the second holds `offset`: then that is the gap, and
   * the record that it breaks is given out from around it.
   */
  async #twice(offset: number): Promise<Batch | undefined> {
    const window = this.#window
    const { bytes, base } = window
    const wrong = offset - base
    const from = this.#from - base
    const low = this.#low - base
    if (from < low) return undefined
    for (const size of BLOCKS) {
      if (wrong - size < low || wrong < from || wrong + SAME > window.end || !isSame(bytes, wrong, size))
        continue
      if (window.end - from < 3 * size + JOINED && !window.ended && window.end - from <= window.headroom) {
        await this.#advance(from)
        return this.#twice(offset)
      }
      let first = wrong
      while (first > low + size && first > from && bytes[first - 1] === bytes[first - 1 - size]) first--
      let behind = wrong
      while (behind < window.end && behind - first < size && bytes[behind] === bytes[behind - size]) behind++
      if (behind - first < size) continue
      const joined = this.#joined(from, first, size)
      if (joined !== undefined) return joined
    }
    return undefined
  }

  /** The record at index `from` without the block of `size` bytes at `first`, when that is how it is whole. */
  #joined(from: number, first: number, size: number): Batch | undefined {
    const window = this.#window
    const head = first - from
    const rest = window.bytes.subarray(first + size, Math.min(window.end, first + size + JOINED))
    const joined = new Uint8Array(head + rest.length + Window.SLACK)
    joined.set(window.bytes.subarray(from, first))
    joined.set(rest, head)
    const limit = head + rest.length
    const final = window.ended && first + size + rest.length === window.end
    if (this.#resync.find(joined, 0, limit, final) !== 0) return undefined
    const one = new Batch(joined.length, 1)
    one.clear(joined, this.#from)
    this.#scanner.scan(one, 0, limit, final)
    if (one.count === 0) return undefined
    const offset = window.base + first
    // All of it lies before the block: nothing is to be put together.
    if (one.record[1] <= head) return undefined
    window.start = first + size + one.record[1] - head
    this.#from = -1
    this.gap = { offset, end: offset + size, code: 'salvage.twice', kind: 'twice' }
    return one
  }

  async #moveTo(offset: number): Promise<void> {
    const window = this.#window
    while (offset > window.base + window.end) {
      if (!(await this.#advance(window.end))) break
    }
    window.start = Math.min(window.end, offset - window.base)
  }

  /** {@link Window.advance}, with what stands before kept as well. */
  async #advance(from: number): Promise<boolean> {
    const window = this.#window
    const room = window.headroom - (window.end - from)
    const kept = Math.max(0, Math.min(LOOKBACK, room, from + window.base - this.#low))
    const more = await window.advance(from - kept)
    this.#low = window.offset
    window.start += kept
    this.#credit = Math.min(
      CREDIT,
      this.#credit + CREDIT_A_BYTE * Math.max(0, window.offset - this.#credited),
    )
    this.#credited = Math.max(this.#credited, window.offset)
    return more
  }
}

/** Bytes that hold a header and a name. */
const NAMED = 128

/** What can stand behind an argument. */
function isPrefix(byte: number): boolean {
  return byte === STAR || byte === DOLLAR || byte === HASH
}

/** Whether index `p` is inside an argument of the last record of a batch. */
function isInside(batch: Batch, p: number, last: number): boolean {
  for (let a = batch.first[batch.count - 1]; a <= last; a++) {
    if (p >= batch.start[a] && p < batch.start[a] + batch.length[a]) return true
  }
  return false
}

/** Whether the bytes at `at` are those `size` bytes before them. */
function isSame(bytes: Uint8Array, at: number, size: number): boolean {
  for (let i = at; i < at + SAME; i++) if (bytes[i] !== bytes[i - size]) return false
  return true
}

/** What a source holds from `from` on. */
function tail(source: Source, from: number): Source {
  let position = from
  const size = source.size as number
  return {
    name: source.name,
    size: size - from,
    seekable: true,
    async read(target, start, end) {
      const at = position
      const length = Math.min(end - start, size - at)
      if (length <= 0) return 0
      position += length
      return source.readAt(target.subarray(start, start + length), at)
    },
    readAt: (target, offset) => source.readAt(target, from + offset),
    grow: async () => false,
    close: async () => {},
  }
}
