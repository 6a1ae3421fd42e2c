import { Crc64 } from '../bytes/crc64.ts'
import { corrupt, FormatError, torn } from '../bytes/errors.ts'
import { escapeBytes } from '../bytes/escape.ts'
import type { Window } from '../bytes/window.ts'
import { BATCH_CAPACITY, EntryBatch, type RdbEvent } from './events.ts'
import {
  CHECKSUM_SIZE,
  FIRST_OPCODE,
  FIRST_VERSION_WITH_CHECKSUM,
  HEADER_SIZE,
  KNOWN_VERSIONS,
  type Magic,
  magicAt,
  Opcode,
  valueType,
} from './format.ts'
import { DEEPEST, KEY_STEPS, type Programs, programs, Step } from './layout.ts'
import { lengthAt, lengthSize, NO_LENGTH, noLength, tooLong } from './length.ts'
import { decodeString, stringEnd, stringHead } from './strings.ts'

/** A record of which so much is there is not begun anew when it is cut by the end of the window, but continued. */
const CARRY = 64 * 1024
/** Bytes of a key that are shown in a message. */
const SHOWN = 80
/** Bytes of a key, or of a record that is no entry, that are kept at most: servers let no string grow further. */
const MOST_HELD = 1 << 29
/** What was kept and is larger is given up again. */
const LARGEST_KEPT = 1 << 20
/** Records that are handed out as they are. */
const RECORDS: ReadonlySet<number> = new Set([
  Opcode.Function,
  Opcode.FunctionPreRelease,
  Opcode.ModuleAux,
  Opcode.SlotImport,
  Opcode.Template,
])
/** Bytes that must be there at once: an opcode and three lengths. */
const LEAST_HEADROOM = 28
/** Hash templates that are remembered at most. Servers have no limit; one a key would make no sense. */
const MOST_TEMPLATES = 1 << 21

const NO_BYTES = new Uint8Array(0)

export interface WalkOptions {
  /** Number of databases, as of a server: a record that selects another one is an error. Default: 16. */
  readonly databases?: number
  /** Whether values that are larger than a window are wanted in pieces, and records as they are. Default: no. */
  readonly values?: boolean
}

export { EntryBatch, type RdbEvent } from './events.ts'

const State = { Header: 0, Records: 1, Body: 2, Ended: 3 } as const

/**
 * An RDB, from the start of a window to its end, without decoding: where each entry begins and ends, and everything
 * that is not an entry. Takes constant memory, whatever sizes the file claims, and looks at each byte once.
 *
 *     for (let event = await walk.next(); event !== undefined; event = await walk.next()) …
 *     if (walk.error !== undefined) …
 *
 * Afterwards the window stands right behind the RDB, if that could be walked to its end. A checksum that is wrong is
 * the error after the event `end`, a file that ends too early one of kind `torn` at the offset of what is cut.
 */
export class RdbWalk {
  error: FormatError | undefined
  readonly window: Window
  readonly #databases: number

  #state: number = State.Header
  #version = 0
  #programs: Programs | undefined
  #magic: Magic = 'REDIS'

  #crc: Crc64 | undefined = new Crc64()
  /** Index in the window up to which the checksum goes. */
  #summed: number

  readonly #values: boolean
  readonly #batch = new EntryBatch(BATCH_CAPACITY)
  readonly #expireWords = new Int32Array(this.#batch.expireAtMs.buffer)

  // What was said about the next entry. Servers keep it until a key comes, whatever comes in between.
  #expireLow = -1
  #expireHigh = -1
  #idle = -1
  #frequency = -1
  /** Offset of the first of those, when they stand right before the entry; -1: there are none. */
  #prefix = -1

  // The record that is being walked.
  #code: number = Opcode.End
  #offset = 0
  #valueOffset = 0
  /** What is kept when it is longer than a window: the encoded key of an entry, or a whole record that is none. */
  #held = NO_BYTES
  #heldSize = 0
  /** The entry whose value is given in pieces, and the offset up to which it was; -1: no entry is. */
  #long: EntryBatch | undefined
  #given = -1
  #step = 0
  /** Bytes to be passed over before the next step. */
  #skip = 0
  readonly #counts = new Float64Array(DEEPEST)
  #depth = 0
  readonly #templates = new Map<number, number>()

  /** @param window with a headroom of 28 bytes at least */
  constructor(window: Window, options: WalkOptions = {}) {
    if (window.headroom < LEAST_HEADROOM)
      throw new RangeError(`a window of ${window.headroom} bytes is too small`)
    this.window = window
    this.#databases = options.databases ?? 16
    this.#values = options.values === true
    this.#summed = window.start
    this.#offset = window.offset
  }

  /** Offset up to which all is well: after an error the beginning of the record that it is in. */
  get offset(): number {
    if (this.error === undefined || this.error.code === 'rdb.checksum') return this.window.offset
    if (this.error.kind === 'torn') return this.error.offset
    return this.#prefix < 0 ? this.#offset : this.#prefix
  }

  /** What comes next; undefined at the end or at an error. What the last call returned is void. */
  async next(): Promise<RdbEvent | undefined> {
    const { window } = this
    this.#batch.count = 0
    try {
      while (this.#state !== State.Ended) {
        const event = this.#walk() ?? this.#piece()
        if (event !== undefined) return event
        this.#hold()
        this.#sum(window.start)
        const more = await window.advance(window.start)
        this.#summed = window.start
        if (!more) throw this.#tornHere()
      }
    } catch (error) {
      if (!(error instanceof FormatError)) throw error
      this.error ??= this.#withKey(error)
      this.#state = State.Ended
      // Entries before the one that is wrong.
      if (this.#batch.count > 0) return { kind: 'entries', entries: this.#batch, inPieces: false }
    }
    return undefined
  }

  /** The next event that the bytes at hand hold; undefined when more are needed. Moves the window's start. */
  #walk(): RdbEvent | undefined {
    if (this.#state === State.Header) return this.#header()
    if (this.#state === State.Body) {
      const event = this.#body()
      if (event !== undefined || this.#state === (State.Body as number)) return event
    }
    return this.#records()
  }

  #header(): RdbEvent | undefined {
    const { window } = this
    const { bytes, start, end, offset } = window
    if (end - start < HEADER_SIZE) return undefined
    const magic = magicAt(bytes, start, end)
    if (magic === undefined) throw this.#noMagic()
    const digits = Buffer.from(bytes.subarray(start + magic.length, start + HEADER_SIZE)).toString('latin1')
    // As servers take it, with atoi: blanks before the number and anything behind it do not matter.
    const version = Number.parseInt(digits, 10) || 0
    const [lowest, highest] = KNOWN_VERSIONS[magic]
    if (version < lowest || version > highest)
      throw corrupt(
        'rdb.version',
        offset,
        `${magic} version "${escapeBytes(Buffer.from(digits, 'latin1'))}": known are ${lowest} to ${highest}`,
      )
    this.#magic = magic
    this.#version = version
    this.#programs = programs(magic)
    if (version < FIRST_VERSION_WITH_CHECKSUM) this.#crc = undefined
    this.#state = State.Records
    window.start = start + HEADER_SIZE
    return { kind: 'header', offset, end: offset + HEADER_SIZE, magic, version }
  }

  #records(): RdbEvent | undefined {
    const { window } = this
    const { bytes, end, base } = window
    const { single } = this.#programs!
    const batch = this.#batch
    batch.bytes = bytes
    batch.base = base
    let at = window.start
    while (at < end && batch.count < BATCH_CAPACITY) {
      const code = bytes[at]
      if (code < FIRST_OPCODE) {
        const value = stringEnd(bytes, at + 1)
        if (value >= 0 && value <= end && single[code] === 1) {
          const next = stringEnd(bytes, value)
          if (next >= 0 && next <= end) {
            this.#add(code, base + at, base + value, base + next)
            at = next
            continue
          }
        }
        window.start = at
        if (!this.#beginEntry(value)) break
        at = window.start
        continue
      }
      if (code === Opcode.ExpireMs) {
        if (at + 9 > end) break
        if (this.#prefix < 0) this.#prefix = base + at
        this.#expireLow = int32At(bytes, at + 1)
        this.#expireHigh = int32At(bytes, at + 5)
        at += 9
        continue
      }
      window.start = at
      if (this.#isPrefix(code)) {
        if (!this.#passPrefix(code)) break
        at = window.start
        continue
      }
      if (batch.count > 0) break
      this.#prefix = -1
      return this.#opcode(code)
    }
    // Left in the middle of a record, the window stands where that is to go on.
    if (this.#state === State.Records && at > window.start) window.start = at
    return batch.count > 0 ? { kind: 'entries', entries: batch, inPieces: false } : undefined
  }

  #fill(batch: EntryBatch, i: number, type: number, typeAt: number, value: number, end: number): void {
    batch.type[i] = type
    batch.offset[i] = this.#prefix < 0 ? typeAt : this.#prefix
    batch.key[i] = typeAt + 1
    batch.value[i] = value
    batch.end[i] = end
    batch.idle[i] = this.#idle
    batch.frequency[i] = this.#frequency
  }

  /** Takes an entry into the batch: `typeAt` is the offset of its type byte. */
  #add(type: number, typeAt: number, value: number, end: number): void {
    const i = this.#batch.count++
    this.#fill(this.#batch, i, type, typeAt, value, end)
    this.#expireWords[2 * i + LOW_WORD] = this.#expireLow
    this.#expireWords[2 * i + 1 - LOW_WORD] = this.#expireHigh
    this.#expireLow = -1
    this.#expireHigh = -1
    this.#idle = -1
    this.#frequency = -1
    this.#prefix = -1
  }

  /**
   * Walks the entry at the window's start, of which not only the key is a plain string; `value` is the index of its
   * value, or something else where that cannot be said yet. False: more bytes are needed.
   */
  #beginEntry(value: number): boolean {
    const { window } = this
    const { bytes, start: at, end, base } = window
    const program = this.#programs!.start[bytes[at]]
    const keyIsHere = value >= 0 && value <= end
    this.#begin(bytes[at], base + at)
    if (program === 0) {
      // The key is waited for: it names what the error is about.
      if (!keyIsHere && this.#mayCarry(at)) return false
      throw this.#unknownType()
    }
    if (keyIsHere) this.#valueOffset = base + value
    this.#step = keyIsHere ? program : program - KEY_STEPS
    const next = this.#run(keyIsHere ? value : at + 1)
    if (this.#step === DONE) {
      this.#add(this.#code, this.#offset, this.#valueOffset, base + next)
      window.start = next
      return true
    }
    this.#suspend(at, next)
    return false
  }

  #begin(code: number, offset: number): void {
    this.#code = code
    this.#offset = offset
    this.#valueOffset = -1
    this.#depth = 0
    this.#skip = 0
    this.#heldSize = 0
    this.#given = -1
    if (this.#held.length > LARGEST_KEPT) this.#held = NO_BYTES
  }

  /** Whether a record that began at index `at` can still be begun anew when there is more of it. */
  #mayCarry(at: number): boolean {
    const { end, ended, headroom } = this.window
    return !ended && end - at <= Math.min(CARRY, headroom)
  }

  /** Leaves a record that began at `at` and went on to `next`, where the bytes at hand end. */
  #suspend(at: number, next: number): void {
    const { window } = this
    if (this.#mayCarry(at)) {
      window.start = at
      return
    }
    window.start = next
    this.#state = State.Body
  }

  /** Goes on with a record that was left in the middle. */
  #body(): RdbEvent | undefined {
    const { window } = this
    const next = this.#run(window.start)
    window.start = next
    if (this.#step !== DONE) return undefined
    const piece = this.#piece()
    if (piece !== undefined) return piece
    this.#hold()
    this.#state = State.Records
    const end = window.base + next
    if (this.#code >= FIRST_OPCODE) return this.#isPrefix(this.#code) ? undefined : this.#record(end)
    this.#add(this.#code, this.#offset, this.#valueOffset, end)
    this.#pointToKey(this.#batch)
    return { kind: 'entries', entries: this.#batch, inPieces: this.#given >= 0 }
  }

  /** What is at hand of a value that is longer than that, when that was asked for. */
  #piece(): RdbEvent | undefined {
    if (!this.#values || this.#state !== State.Body || this.#code >= FIRST_OPCODE || this.#valueOffset < 0)
      return undefined
    const { window } = this
    const from = Math.max(this.#given, this.#valueOffset)
    if (from >= window.offset) return undefined
    const first = this.#given < 0
    this.#long ??= new EntryBatch(1)
    if (first) {
      this.#hold()
      this.#long.db = this.#batch.db
      this.#fill(this.#long, 0, this.#code, this.#offset, this.#valueOffset, -1)
      this.#long.expireAtMs[0] = (BigInt(this.#expireHigh) << 32n) | BigInt(this.#expireLow >>> 0)
      this.#long.count = 1
    }
    this.#pointToKey(this.#long)
    this.#given = window.offset
    const { bytes, base, start } = window
    return { kind: 'piece', entries: this.#long, first, bytes, from: from - base, to: start }
  }

  #pointToKey(batch: EntryBatch): void {
    const { window } = this
    batch.bytes = this.#heldSize > 0 ? this.#held.subarray(0, this.#heldSize) : window.bytes
    batch.base = this.#heldSize > 0 ? this.#offset + 1 : window.base
  }

  /** Keeps what will be needed of a record whose bytes are about to leave the window. */
  #hold(): void {
    if (this.#state !== State.Body) return
    const { bytes, base, start, offset } = this.window
    const isEntry = this.#code < FIRST_OPCODE
    if (isEntry ? !this.#values && this.#valueOffset < 0 : !this.#values || !RECORDS.has(this.#code)) return
    const from = this.#offset + (isEntry ? 1 : 0) + this.#heldSize
    const to = isEntry && this.#valueOffset >= 0 ? this.#valueOffset : offset
    const at = from - base
    if (at < 0 || at > start || to <= from || this.#heldSize + to - from > MOST_HELD) return
    const size = this.#heldSize + to - from
    if (size > this.#held.length) {
      const larger = new Uint8Array(Math.max(2 * this.#held.length, size))
      larger.set(this.#held.subarray(0, this.#heldSize))
      this.#held = larger
    }
    this.#held.set(bytes.subarray(at, to - base), this.#heldSize)
    this.#heldSize = size
  }

  #isPrefix(code: number): boolean {
    return (
      code === Opcode.ExpireMs ||
      code === Opcode.Expire ||
      code === Opcode.Idle ||
      code === Opcode.Frequency ||
      (code === Opcode.KeyMetadata && this.#magic === 'REDIS')
    )
  }

  /** Takes what is said about the next entry, at the window's start. False: more bytes are needed. */
  #passPrefix(code: number): boolean {
    const { window } = this
    const { bytes, start: at, end, base } = window
    let next: number
    this.#begin(code, base + at)
    if (code === Opcode.Expire) {
      next = at + 5
      if (next > end) return false
      const ms = int32At(bytes, at + 1) * 1000
      this.#expireLow = ms | 0
      this.#expireHigh = Math.floor(ms / 0x1_0000_0000)
    } else if (code === Opcode.Frequency) {
      next = at + 2
      if (next > end) return false
      this.#frequency = bytes[at + 1]
    } else if (code === Opcode.Idle) {
      next = lengthEnd(bytes, at + 1, end, base)
      if (next > end) return false
      this.#idle = lengthAt(bytes, at + 1)
    } else {
      this.#step = this.#programs!.start[code]
      next = this.#run(at + 1)
      if (this.#step !== DONE) {
        this.#suspend(at, next)
        if (this.#state === State.Body && this.#prefix < 0) this.#prefix = base + at
        return false
      }
    }
    if (this.#prefix < 0) this.#prefix = base + at
    window.start = next
    return true
  }

  /** The record at the window's start, which is no entry and says nothing about one. */
  #opcode(code: number): RdbEvent | undefined {
    const { window } = this
    const { bytes, start: at, end, base } = window
    this.#begin(code, base + at)
    switch (code) {
      case Opcode.End:
        return this.#end()
      case Opcode.SelectDb: {
        const next = lengthEnd(bytes, at + 1, end, base)
        if (next > end) return undefined
        const db = lengthAt(bytes, at + 1)
        if (db >= this.#databases)
          throw corrupt(
            'rdb.database',
            base + at,
            `selects database ${db}; there are ${this.#databases} (--databases)`,
          )
        this.#batch.db = db
        window.start = next
        return { kind: 'select', offset: base + at, end: base + next, db }
      }
      case Opcode.ResizeDb:
      case Opcode.SlotInfo: {
        const numbers: number[] = []
        let next = at + 1
        for (let i = code === Opcode.SlotInfo ? 3 : 2; i > 0; i--) {
          const from = next
          next = lengthEnd(bytes, from, end, base)
          if (next > end) return undefined
          numbers.push(numberAt(bytes, from, base))
        }
        window.start = next
        const span = { offset: base + at, end: base + next }
        const [slot, keys, expires] = numbers.length === 3 ? numbers : [0, ...numbers]
        return code === Opcode.SlotInfo
          ? { kind: 'slot', ...span, slot, keys, expires }
          : { kind: 'resize', ...span, keys, expires }
      }
    }
    this.#step = this.#programs!.start[code]
    if (this.#step === 0) throw this.#unknownOpcode()
    const next = this.#run(at + 1)
    if (this.#step !== DONE) {
      this.#suspend(at, next)
      return undefined
    }
    window.start = next
    return this.#record(base + next)
  }

  /** The event for the record that ends at offset `end`. */
  #record(end: number): RdbEvent {
    const span = { offset: this.#offset, end, bytes: this.#recordBytes(end) }
    switch (this.#code) {
      case Opcode.Aux:
        return { kind: 'aux', offset: this.#offset, end, ...this.#auxField(end) }
      case Opcode.Function:
        return { kind: 'function', ...span }
      case Opcode.FunctionPreRelease:
        return { kind: 'function-pre-release', ...span }
      case Opcode.ModuleAux:
        return { kind: 'module-aux', ...span }
      case Opcode.Template:
        return { kind: 'template', ...span }
      default:
        return { kind: 'slot-import', ...span }
    }
  }

  #recordBytes(end: number): Uint8Array | undefined {
    if (!this.#values) return undefined
    const size = end - this.#offset
    if (this.#heldSize === size) return this.#held.subarray(0, size)
    const at = this.#offset - this.window.base
    return at < 0 ? undefined : this.window.bytes.subarray(at, at + size)
  }

  #auxField(end: number): { name: Uint8Array | undefined; value: Uint8Array | undefined } {
    const { bytes, base } = this.window
    const at = this.#offset + 1 - base
    const head = at < 0 ? undefined : stringHead(bytes, at, bytes.length, base)
    if (head === undefined) return { name: undefined, value: undefined }
    const middle = at + head.size + head.body
    return {
      name: decodeString(bytes, at, middle, base).slice(),
      value: decodeString(bytes, middle, end - base, base).slice(),
    }
  }

  #end(): RdbEvent | undefined {
    const { window } = this
    const { bytes, start: at, end, base } = window
    const offset = base + at
    if (this.#crc === undefined) {
      this.#state = State.Ended
      window.start = at + 1
      return { kind: 'end', offset, end: offset + 1, checksum: undefined }
    }
    if (at + 1 + CHECKSUM_SIZE > end) return undefined
    this.#sum(at + 1)
    this.#state = State.Ended
    window.start = at + 1 + CHECKSUM_SIZE
    const stored = (BigInt(int32At(bytes, at + 5) >>> 0) << 32n) | BigInt(int32At(bytes, at + 1) >>> 0)
    const computed = this.#crc.value()
    if (stored !== 0n && stored !== computed)
      this.error = corrupt(
        'rdb.checksum',
        offset + 1,
        `the checksum is ${hex(stored)}, that of the bytes before it ${hex(computed)}`,
      )
    return {
      kind: 'end',
      offset,
      end: offset + 1 + CHECKSUM_SIZE,
      checksum: { offset: offset + 1, stored, computed },
    }
  }

  #sum(to: number): void {
    this.#crc?.update(this.window.bytes, this.#summed, to)
  }

  /**
   * Runs the steps of the record from index `at` on, until they are done ({@link #step} is then `DONE`) or the bytes at
   * hand are. The index up to which they are used.
   */
  #run(at: number): number {
    const { bytes, end, base } = this.window
    const { steps } = this.#programs!
    const counts = this.#counts
    let step = this.#step
    let depth = this.#depth
    if (this.#skip > 0) {
      const passed = Math.min(this.#skip, end - at)
      this.#skip -= passed
      at += passed
      if (this.#skip > 0) return at
    }
    run: for (;;) {
      switch (steps[step]) {
        case Step.String: {
          const next = stringEnd(bytes, at)
          if (next >= 0 && next <= end) {
            at = next
            step++
            continue
          }
          const head = stringHead(bytes, at, end, base)
          if (head === undefined) break run
          step++
          at = this.#pass(at + head.size + head.body)
          if (this.#skip > 0) break run
          continue
        }
        case Step.Length: {
          const next = lengthEnd(bytes, at, end, base)
          if (next > end) break run
          at = next
          step++
          continue
        }
        case Step.Bytes: {
          at = this.#pass(at + steps[step + 1])
          step += 2
          if (this.#skip > 0) break run
          continue
        }
        case Step.Again:
          if (--counts[depth - 1] > 0) step = steps[step + 1]
          else {
            depth--
            step += 2
          }
          continue
        case Step.Count: {
          const next = lengthEnd(bytes, at, end, base)
          if (next > end) break run
          counts[depth++] = numberAt(bytes, at, base)
          at = next
          step++
          continue
        }
        case Step.Times:
          if (counts[depth - 1] > 0) step += 2
          else {
            depth--
            step = steps[step + 1]
          }
          continue
        case Step.Tag: {
          const next = lengthEnd(bytes, at, end, base)
          if (next > end) break run
          const tag = lengthAt(bytes, at)
          const target = tag < steps[step + 1] ? steps[step + 2 + tag] : 0
          if (target === 0) throw corrupt('rdb.tag', base + at, `${tag} where a tag is expected`)
          at = next
          step = target
          continue
        }
        case Step.Goto:
          step = steps[step + 1]
          continue
        case Step.Score: {
          if (at >= end) break run
          at = this.#pass(bytes[at] < LONGEST_SCORE ? at + 1 + bytes[at] : at + 1)
          step++
          if (this.#skip > 0) break run
          continue
        }
        case Step.CountDefined: {
          const second = lengthEnd(bytes, at, end, base)
          const next = second > end ? second : lengthEnd(bytes, second, end, base)
          if (next > end) break run
          counts[depth++] = this.#define(numberAt(bytes, at, base), numberAt(bytes, second, base))
          at = next
          step++
          continue
        }
        case Step.CountReferred: {
          const next = lengthEnd(bytes, at, end, base)
          if (next > end) break run
          const count = this.#templates.get(numberAt(bytes, at, base))
          if (count === undefined)
            throw corrupt('rdb.template', base + at, `hash template ${lengthAt(bytes, at)} does not exist`)
          counts[depth++] = count
          at = next
          step++
          continue
        }
        case Step.Value:
          this.#valueOffset = base + at
          step++
          continue
        default:
          step = DONE
          break run
      }
    }
    this.#step = step
    this.#depth = depth
    return at
  }

  /** Passes over what ends before `behind`, or over as much of it as is at hand: where to go on. */
  #pass(behind: number): number {
    const { end } = this.window
    if (behind <= end) return behind
    this.#skip = behind - end
    return end
  }

  /** Remembers how many names a template has. */
  #define(id: number, count: number): number {
    if (this.#templates.size >= MOST_TEMPLATES && !this.#templates.has(id))
      throw corrupt('rdb.template', this.#offset, `more than ${MOST_TEMPLATES} hash templates`)
    this.#templates.set(id, count)
    return count
  }

  #noMagic(): FormatError {
    const { bytes, start, end, offset } = this.window
    const seen = escapeBytes(bytes.subarray(start, Math.min(end, start + HEADER_SIZE)))
    return corrupt('rdb.magic', offset, `not an RDB: it starts with "${seen}", not with REDIS or VALKEY`)
  }

  #tornHere(): FormatError {
    const { window } = this
    const { bytes, start, end, base } = window
    const size = base + end
    if (this.#state === State.Header && magicAt(bytes, start, end) === undefined) return this.#noMagic()
    if (this.#state === State.Header)
      return torn(
        'rdb.truncated',
        window.offset,
        `the RDB ends inside its header, after ${end - start} bytes`,
      )
    if (this.#state === State.Records) {
      // Nothing of a record that was begun and is to be begun anew counts.
      if (start === end && this.#prefix < 0)
        return torn('rdb.truncated', size, 'the RDB ends between two records, without its end mark')
      this.#begin(start < end ? bytes[start] : Opcode.ExpireMs, base + start)
      if (this.#code < FIRST_OPCODE && this.#programs!.start[this.#code] === 0) return this.#unknownType()
    }
    const offset = this.#prefix < 0 ? this.#offset : this.#prefix
    const what =
      this.#code === Opcode.End
        ? 'its checksum'
        : this.#code < FIRST_OPCODE
          ? `an entry of type ${valueType(this.#magic, this.#code)?.name ?? this.#code}`
          : this.#prefix < 0
            ? `a record (opcode ${this.#code})`
            : 'what stands before an entry'
    return torn('rdb.truncated', offset, `the RDB ends inside ${what}, after ${size - offset} bytes of it`)
  }

  #unknownType(): FormatError {
    const why =
      this.#code === MODULE_PRE_RELEASE
        ? 'was written by release candidates of Redis 4.0, and no server loads it'
        : `is unknown in ${this.#magic} version ${this.#version}`
    return corrupt('rdb.type', this.#offset, `type ${this.#code} ${why}`)
  }

  #unknownOpcode(): FormatError {
    return corrupt(
      'rdb.opcode',
      this.#offset,
      `opcode ${this.#code} is unknown in ${this.#magic} version ${this.#version}`,
    )
  }

  /** The error with the key in whose entry it was met, when there is one and it is known. */
  #withKey(error: FormatError): FormatError {
    const key = this.#code < FIRST_OPCODE ? this.#shownKey() : undefined
    if (key === undefined) return error
    return new FormatError(error.kind, error.code, error.offset, `${error.message} (key "${key}")`)
  }

  /** The key of the entry that is being walked, for a message. */
  #shownKey(): string | undefined {
    let { bytes, base, end } = this.window
    let at = this.#offset + 1 - base
    if (this.#heldSize > 0) {
      bytes = this.#held.subarray(0, this.#heldSize)
      base = this.#offset + 1
      end = bytes.length
      at = 0
    }
    const behind = at < 0 ? -1 : stringEnd(bytes, at)
    if (behind < 0 || behind > end) return undefined
    try {
      return escapeBytes(decodeString(bytes, at, behind, base), SHOWN)
    } catch {
      return escapeBytes(bytes.subarray(at, behind), SHOWN)
    }
  }
}

/** Index behind the last step. */
const DONE = -1
/** Type 6: values of modules without tags. */
const MODULE_PRE_RELEASE = 6
/** Sizes of a score as text end below: 253 is NaN, 254 and 255 the infinities. */
const LONGEST_SCORE = 253
/** Which half of a 64-bit word is the low one here. */
const LOW_WORD = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1 ? 0 : 1

/** Index behind the length at `bytes[at]`; behind `end` when that cuts it. */
function lengthEnd(bytes: Uint8Array, at: number, end: number, base: number): number {
  if (at >= end) return end + 1
  const first = bytes[at]
  if (first < 0x40) return at + 1
  const size = lengthSize(first)
  if (size === NO_LENGTH) throw noLength(first, base + at)
  return at + size
}

/** The length at `bytes[at]`, which must be exact. */
function numberAt(bytes: Uint8Array, at: number, base: number): number {
  const number = lengthAt(bytes, at)
  if (number > Number.MAX_SAFE_INTEGER) throw tooLong(bytes, at, base + at)
  return number
}

function int32At(bytes: Uint8Array, at: number): number {
  return bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)
}

function hex(checksum: bigint): string {
  return checksum.toString(16).padStart(16, '0')
}
