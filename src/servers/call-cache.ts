/**
 * Calls that were found to be in order: names with their numbers of arguments. A log has few different ones and
 * millions of each, and looking a name up in any case, then its arity, costs more than reading the record did; this
 * compares a name of up to twelve bytes, as it is written, by three loads.
 */
export class CallCache {
  /** Four numbers an entry: the name's first, second and last four bytes, and its length with the arguments. */
  readonly #entries = new Int32Array(4 * SIZE)

  /** Whether the name at `start` was found to be in order with `argc` arguments. Eight bytes must be readable there. */
  has(view: DataView, start: number, length: number, argc: number): boolean {
    if (length > LONGEST) return false
    const entries = this.#entries
    const first = view.getInt32(start, true) & FIRST_MASK[length]
    const second = view.getInt32(start + 4, true) & SECOND_MASK[length]
    const last = view.getInt32(start + TAIL[length], true) & FIRST_MASK[length]
    const at = slot(first, last, argc)
    return (
      entries[at] === first &&
      entries[at + 1] === second &&
      entries[at + 2] === last &&
      entries[at + 3] === ((argc << 4) | length)
    )
  }

  add(view: DataView, start: number, length: number, argc: number): void {
    if (length > LONGEST || argc > MOST_ARGUMENTS) return
    const first = view.getInt32(start, true) & FIRST_MASK[length]
    const last = view.getInt32(start + TAIL[length], true) & FIRST_MASK[length]
    const at = slot(first, last, argc)
    this.#entries[at] = first
    this.#entries[at + 1] = view.getInt32(start + 4, true) & SECOND_MASK[length]
    this.#entries[at + 2] = last
    this.#entries[at + 3] = (argc << 4) | length
  }
}

const SIZE = 256
const LONGEST = 12
const MOST_ARGUMENTS = 2 ** 27 - 1

const lengths = Array.from({ length: LONGEST + 1 }, (_, length) => length)
const mask = (bytes: number) => (bytes >= 4 ? -1 : (1 << (8 * Math.max(0, bytes))) - 1)
const FIRST_MASK = Int32Array.from(lengths, length => mask(length))
const SECOND_MASK = Int32Array.from(lengths, length => mask(length - 4))
/** Where the last four bytes begin. */
const TAIL = Int32Array.from(lengths, length => Math.max(0, length - 4))

function slot(first: number, last: number, argc: number): number {
  const mixed = Math.imul(first ^ Math.imul(last, 0x85ebca6b) ^ argc, 0x9e3779b1)
  return (mixed >>> 24) << 2
}
