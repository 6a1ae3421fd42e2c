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

  constructor(keyspace: Keyspace) {
    super()
    this.#keyspace = keyspace
  }

  of(cell: Cell): this {
    this.#cell = cell
    return this
  }

  override scored(member: Slice, score: number): void {
    this.#keyspace.zsets.fill(this.#cell, this.#argument.ofSlice(member), score)
  }

  override end(): void {
    this.#keyspace.zsets.pack(this.#cell)
  }
}
