import type { ElementSink } from '../../values/elements.ts'
import type { Argument } from '../argument.ts'
import type { Cell } from '../cells.ts'
import { Members, type Walk } from '../members.ts'
import type { Storage } from '../storage.ts'

/** Sets: members without a payload. */
export class Sets {
  readonly #members: Members
  readonly #walk: Walk

  constructor(store: Storage) {
    this.#members = new Members(store, 0)
    this.#walk = this.#members.walk()
  }

  begin(cell: Cell): void {
    this.#members.begin(cell)
  }

  release(cell: Cell): void {
    this.#members.release(cell, undefined)
  }

  length(cell: Cell): number {
    return this.#members.count(cell)
  }

  has(cell: Cell, member: Argument): boolean {
    return this.#members.find(cell, member)
  }

  /** Whether it is new. */
  add(cell: Cell, member: Argument): boolean {
    if (this.#members.find(cell, member)) return false
    this.#members.add(cell, member, 0)
    return true
  }

  /** Whether it was there. */
  delete(cell: Cell, member: Argument): boolean {
    if (!this.#members.find(cell, member)) return false
    this.#members.remove(cell)
    return true
  }

  /** A walk through the members; the set must not be changed meanwhile. */
  walk(): Walk {
    return this.#members.walk()
  }

  emit(cell: Cell, sink: ElementSink): void {
    sink.begin('set', this.length(cell))
    const walk = this.#walk
    for (walk.begin(cell); walk.next(); ) sink.member(walk.name)
  }
}
