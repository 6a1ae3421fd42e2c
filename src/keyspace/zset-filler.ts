import { IgnoredElements } from '../values/elements.ts'
import type { Slice } from '../values/slice.ts'
import { Argument } from './argument.ts'
import type { Cell } from './cells.ts'
import type { Keyspace } from './keyspace.ts'
import { LONGEST_PACKED_MEMBER, MOST_PACKED_MEMBERS } from './types/zsets.ts'

/** Types of sorted sets that are not packed in the RDB, with scores as text and as doubles. */
export const UNPACKED_ZSETS: ReadonlySet<number> = new Set([3, 5])

/** Whether servers pack a sorted set of so many members, the longest with so many bytes. */
export function isPacked(count: number, longest = 0): boolean {
  return count <= MOST_PACKED_MEMBERS && longest <= LONGEST_PACKED_MEMBER
}

/** Fills a sorted set that is not packed: servers pack a small one as they load it, and then -0 loses its sign. */
export class ZsetFiller extends IgnoredElements {
  readonly #keyspace: Keyspace
  readonly #argument = new Argument()
  #cell: Cell = 0
  #longest = 0
  #count = 0
  /** Members whose score is -0, as long as there may be few. */
  #negative: Uint8Array[] = []

  constructor(keyspace: Keyspace) {
    super()
    this.#keyspace = keyspace
  }

  of(cell: Cell): this {
    this.#cell = cell
    this.#longest = 0
    this.#count = 0
    this.#negative = []
    return this
  }

  override scored(member: Slice, score: number): void {
    this.#longest = Math.max(this.#longest, member.length)
    if (++this.#count <= MOST_PACKED_MEMBERS && Object.is(score, -0)) this.#negative.push(member.copy())
    this.#keyspace.zsets.fill(this.#cell, this.#argument.ofSlice(member), score)
  }

  override end(): void {
    if (!isPacked(this.#count, this.#longest)) return
    for (const member of this.#negative) {
      const argument = this.#argument.of(member)
      this.#keyspace.zsets.delete(this.#cell, argument)
      this.#keyspace.zsets.fill(this.#cell, argument, 0)
    }
  }
}
