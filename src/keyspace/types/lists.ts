import type { ElementSink } from '../../values/elements.ts'
import { Slice } from '../../values/slice.ts'
import type { Argument } from '../argument.ts'
import { type Cell, segmentOfCell, Word, wordOf } from '../cells.ts'
import { Sequence, SequenceWalk } from '../sequence.ts'
import type { Storage } from '../storage.ts'
import { Values } from '../values.ts'

/** Lists: items by position, which counts from 0, the head. */
export class Lists {
  readonly #store: Storage
  readonly #sequence: Sequence
  readonly #values: Values
  readonly #walk: ListWalk
  readonly #item = new Slice()

  constructor(store: Storage) {
    this.#store = store
    this.#sequence = new Sequence(store)
    this.#values = new Values(store)
    this.#walk = new ListWalk(store, this.#values)
  }

  begin(cell: Cell): void {
    this.#sequence.begin(this.#words(cell), wordOf(cell) + Word.Value)
  }

  release(cell: Cell): void {
    this.#sequence.release(this.#words(cell), wordOf(cell) + Word.Value)
  }

  length(cell: Cell): number {
    return this.#sequence.count(this.#words(cell), wordOf(cell) + Word.Value)
  }

  pushBack(cell: Cell, value: Argument): void {
    this.#sequence.pushBack(this.#words(cell), wordOf(cell) + Word.Value, value)
  }

  pushFront(cell: Cell, value: Argument): void {
    this.#sequence.pushFront(this.#words(cell), wordOf(cell) + Word.Value, value)
  }

  /** Makes the slice the item at a position that is there: void after the next change. */
  read(cell: Cell, position: number, slice: Slice): void {
    this.#sequence.read(this.#words(cell), wordOf(cell) + Word.Value, position, slice)
  }

  /**
   * The item at a position that is there, to be given to the keyspace again: of its own memory, so that it outlives
   * changes.
   */
  take(cell: Cell, position: number, argument: Argument): void {
    this.#sequence.readArgument(this.#words(cell), wordOf(cell) + Word.Value, position, argument)
    if (argument.offset >= 0) return
    const bytes = argument.copy()
    argument.of(bytes)
  }

  /** Puts an item before the one at `position`; at the length: behind the last. */
  insert(cell: Cell, position: number, value: Argument): void {
    this.#sequence.insert(this.#words(cell), wordOf(cell) + Word.Value, position, value)
  }

  set(cell: Cell, position: number, value: Argument): void {
    this.#sequence.replace(this.#words(cell), wordOf(cell) + Word.Value, position, value)
  }

  delete(cell: Cell, position: number): void {
    this.#sequence.remove(this.#words(cell), wordOf(cell) + Word.Value, position)
    this.#settle(cell)
  }

  /** Removes up to so many items from the head. */
  dropFront(cell: Cell, count: number): void {
    const most = Math.min(count, this.length(cell))
    this.#sequence.dropFront(this.#words(cell), wordOf(cell) + Word.Value, most)
    this.#settle(cell)
  }

  /** Removes up to so many items from the tail. */
  dropBack(cell: Cell, count: number): void {
    const most = Math.min(count, this.length(cell))
    this.#sequence.dropBack(this.#words(cell), wordOf(cell) + Word.Value, most)
    this.#settle(cell)
  }

  /** A walk from the head; the list must not be changed meanwhile. */
  walk(): ListWalk {
    return new ListWalk(this.#store, this.#values)
  }

  emit(cell: Cell, sink: ElementSink): void {
    sink.begin('list', this.length(cell))
    const walk = this.#walk
    for (walk.begin(cell); walk.next(); ) {
      walk.read(this.#item)
      sink.item(this.#item)
    }
  }

  #words(cell: Cell): Int32Array {
    return this.#store.cells.words[segmentOfCell(cell)]
  }

  #settle(cell: Cell): void {
    if (this.length(cell) === 0) this.#store.emptied.push(cell)
  }
}

/** A walk through a list from its head, or from its tail: it must not be changed meanwhile. */
export class ListWalk {
  readonly #store: Storage
  readonly #values: Values
  readonly #walk: SequenceWalk

  constructor(store: Storage, values: Values) {
    this.#store = store
    this.#values = values
    this.#walk = new SequenceWalk(store)
  }

  begin(cell: Cell): void {
    this.#walk.begin(this.#store.cells.words[segmentOfCell(cell)], wordOf(cell) + Word.Value)
  }

  /** Begins behind the tail: only {@link previous} may follow. */
  beginBack(cell: Cell): void {
    this.#walk.beginBack(this.#store.cells.words[segmentOfCell(cell)], wordOf(cell) + Word.Value)
  }

  /** Goes to the next item; false when there is none. */
  next(): boolean {
    return this.#walk.next()
  }

  /** Goes to the item before; false when there is none. */
  previous(): boolean {
    return this.#walk.previous()
  }

  /** Makes the slice the item. */
  read(slice: Slice): void {
    this.#values.read(this.#walk.bytes, this.#walk.item, slice)
  }

  equals(value: Slice): boolean {
    return this.#values.equals(this.#walk.bytes, this.#walk.item, value)
  }
}
