import { CR, DOLLAR, LF, STAR, ZERO } from '../resp/format.ts'
import { Batch, digitsOf, plainNumber, readHeader, Scanner, Stop } from '../resp/scanner.ts'
import type { CommandTable } from '../servers/commands.ts'
import { parseTimestamp } from './annotation.ts'

/** Whole commands in a row that prove a boundary, where the data does not end before. */
const EVIDENCE = 3
/** Timestamps that may stand between them: servers write one before the first command of a second. */
const MOST_ANNOTATIONS = 5
/**
 * Arguments that may be read in vain, and how many more with each byte that is passed. When they are used up, only
 * records of few arguments are looked at: so the time grows with the number of bytes, whatever they are.
 */
const CREDIT = 50_000
const CREDIT_A_BYTE = 4
const FEW_ARGUMENTS = 100

/**
 * Finds places where commands begin, in bytes whose framing was lost. The format has no checksums and no blocks, and
 * values may hold anything, commands too; what counts as proof are whole records in a row, each in the form that
 * servers write, with a name that the server knows and a number of arguments that it takes: three of them, or two and
 * the header and name of a third that is damaged, or fewer when the last one ends exactly where the data ends.
 */
export class Resync {
  readonly #table: CommandTable
  readonly #scanner = new Scanner()
  readonly #batch: Batch

  /** @param window the most bytes that {@link find} will be given at once */
  constructor(table: CommandTable, window: number) {
    this.#table = table
    this.#batch = new Batch(window, EVIDENCE + MOST_ANNOTATIONS)
  }

  /**
   * The first boundary in `bytes[from, end)`. Not found: -1, and `undecided` is the index from which to look again
   * when more bytes are there (`end` when nothing before it can be one).
   */
  find(bytes: Uint8Array, from: number, end: number, final: boolean): number {
    let at = from
    for (;;) {
      const before = at
      at = bytes.indexOf(STAR, at)
      this.#credit += CREDIT_A_BYTE * (at < 0 ? 0 : at - before + 1)
      if (at < 0 || at >= end) {
        this.undecided = end
        return -1
      }
      this.#scanner.most = this.#credit > 0 ? Number.POSITIVE_INFINITY : FEW_ARGUMENTS
      this.#scanner.read = 0
      const verdict = this.#judge(bytes, at, end, final)
      if (verdict === 'boundary') return at
      this.#credit -= this.#scanner.read
      if (verdict === 'more') {
        this.undecided = at
        return -1
      }
      at++
    }
  }

  undecided = 0
  #credit = CREDIT

  /** Whether the first argument, as far as it is there, can be a name: cheaper than to read the record first. */
  #beginsWithName(bytes: Uint8Array, at: number, end: number): boolean {
    const dollar = bytes.indexOf(DOLLAR, at)
    const size = readHeader(bytes, dollar, end, true, DOLLAR, 0)
    if (size === undefined || size instanceof Error) return false
    if (size.next + size.value > end) return size.value <= LONGEST_NAME
    return this.#table.lookup(bytes, size.next, size.value) >= 0
  }

  /** What is too short for a proof, and broken off: two commands, and the header and the name of a third, are enough. */
  #followed(commands: number, bytes: Uint8Array, at: number, end: number): 'boundary' | 'no' {
    return commands === EVIDENCE - 1 && this.begins(bytes, at, end) ? 'boundary' : 'no'
  }

  /** Whether a command begins at `at`: its header, and a name that the server knows with so many arguments. */
  begins(bytes: Uint8Array, at: number, end: number): boolean {
    if (!looksLikeHeader(bytes, at, end) || bytes[at] !== STAR) return false
    const argc = plainNumber(bytes, at + 1)
    const line = at + 3 + digitsOf(argc)
    const size = argc < 1 ? -1 : plainNumber(bytes, line + 1)
    const name = line + 3 + digitsOf(size)
    if (size < 1 || name + size + 2 > end || bytes[name + size] !== CR || bytes[name + size + 1] !== LF)
      return false
    const id = this.#table.lookup(bytes, name, size)
    return id >= 0 && this.#table.arityOk(id, argc)
  }

  #judge(bytes: Uint8Array, at: number, end: number, final: boolean): 'boundary' | 'no' | 'more' {
    if (!looksLikeHeader(bytes, at, end)) return !final && end - at < SHORT ? 'more' : 'no'
    if (!this.#beginsWithName(bytes, at, end)) return 'no'
    const batch = this.#batch
    batch.clear(bytes, 0)
    const stop = this.#scanner.scan(batch, at, end, final)
    const odd = batch.oddities[0]?.offset ?? Number.POSITIVE_INFINITY
    let commands = 0
    for (let i = 0; i < batch.count; i++) {
      if (batch.record[i + 1] > odd) return this.#followed(commands, bytes, batch.record[i], end)
      if (batch.argc(i) === 0) {
        if (parseTimestamp(bytes, batch.record[i], batch.record[i + 1]) === undefined) return 'no'
      } else if (!isKnown(this.#table, batch, i)) {
        return 'no'
      } else if (++commands === EVIDENCE) {
        return 'boundary'
      }
    }
    if (this.#scanner.stop !== Stop.More) return this.#followed(commands, bytes, stop, end)
    if (final) return commands > 0 && stop === end ? 'boundary' : 'no'
    return 'more'
  }
}

/** Whether a record is a command that the server knows, with a number of arguments that it takes. */
export function isKnown(table: CommandTable, batch: Batch, i: number): boolean {
  const name = batch.first[i]
  const id = table.lookup(batch.bytes, batch.start[name], batch.length[name])
  return id >= 0 && table.arityOk(id, batch.argc(i))
}

/** No command's name is longer. */
const LONGEST_NAME = 64
/** More than the longest `*N\r\n$N\r\n` that {@link looksLikeHeader} accepts. */
const SHORT = 20

/** Whether `*N\r\n$N` stands at `at`, N a number without leading zero: cheap, and almost always the end of it. */
function looksLikeHeader(bytes: Uint8Array, at: number, end: number): boolean {
  let p = at + 1
  if (p >= end || bytes[p] <= ZERO || bytes[p] > ZERO + 9) return false
  while (p < end && p - at < 9 && bytes[p] >= ZERO && bytes[p] <= ZERO + 9) p++
  return (
    p + 3 < end && bytes[p] === CR && bytes[p + 1] === LF && bytes[p + 2] === DOLLAR && bytes[p + 3] > ZERO
  )
}
