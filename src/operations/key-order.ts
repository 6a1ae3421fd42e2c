import { type Cell, CellKind } from '../keyspace/cells.ts'
import { EncodedPlace } from '../keyspace/encoded.ts'
import type { Keyspace } from '../keyspace/keyspace.ts'
import type { Extent } from '../keyspace/types/strings.ts'

/** Bytes of the log whose values are read together: sorted in memory, so it is also how far reading jumps back. */
const REGION = 4 * 2 ** 20
/** Regions of all databases at most: beyond that they are made larger. */
const MOST_REGIONS = 2 ** 20

/** Keys of a database, in the order in which they are written. */
export interface OrderedDatabase {
  readonly db: number
  readonly expires: number
  /** Keys are `cell(from)` to, not including, `cell(to)`. */
  readonly from: number
  readonly to: number
}

/**
 * The order in which keys are written: by database, first those whose values are in memory, in the order of their
 * cells, then those whose values stand in the log, in its order, so that it is read from its start to its end. It
 * depends on nothing but the log. Takes 4 bytes a key, 400 MB for 100 million of them.
 */
export class KeyOrder {
  readonly databases: readonly OrderedDatabase[]
  readonly #cells: Int32Array

  /** @param wanted which keys are to be written. Default: all */
  constructor(keyspace: Keyspace, wanted: (cell: Cell) => boolean = () => true) {
    const scale = new Scale(keyspace, cellsOf(keyspace, wanted))
    const { regions } = scale
    const rows = new Map<number, { expires: number; counts: Uint32Array }>()
    let keys = 0
    for (const cell of cellsOf(keyspace, wanted)) {
      const db = keyspace.database(cell)
      let row = rows.get(db)
      if (row === undefined) {
        row = { expires: 0, counts: new Uint32Array(regions) }
        rows.set(db, row)
      }
      row.counts[scale.regionOf(cell)]++
      if (keyspace.hasExpiry(cell)) row.expires++
      keys++
    }
    const cells = new Int32Array(keys)
    const databases: OrderedDatabase[] = []
    let next = 0
    for (const db of [...rows.keys()].sort((a, b) => a - b)) {
      const { expires, counts } = rows.get(db) as { expires: number; counts: Uint32Array }
      const from = next
      for (let region = 0; region < regions; region++) {
        const count = counts[region]
        counts[region] = next
        next += count
      }
      databases.push({ db, expires, from, to: next })
    }
    for (const cell of cellsOf(keyspace, wanted)) {
      const { counts } = rows.get(keyspace.database(cell)) as { counts: Uint32Array }
      cells[counts[scale.regionOf(cell)]++] = cell
    }
    // The counts are where regions end now. What is in memory keeps the order of its cells.
    for (const { db } of databases) {
      const { counts } = rows.get(db) as { counts: Uint32Array }
      for (let region = 1; region < regions; region++) {
        sortByOffset(cells.subarray(counts[region - 1], counts[region]), scale, region)
      }
    }
    this.databases = databases
    this.#cells = cells
  }

  /** Keys in all databases. */
  get size(): number {
    return this.#cells.length
  }

  cell(i: number): Cell {
    return this.#cells[i]
  }
}

function* cellsOf(keyspace: Keyspace, wanted: (cell: Cell) => boolean): Generator<Cell> {
  for (let cell = keyspace.nextKey(0); cell !== 0; cell = keyspace.nextKey(cell)) if (wanted(cell)) yield cell
}

/** Where values stand in all parts, one behind the other, and in which region that is: 0 for those in memory. */
class Scale {
  readonly regions: number
  /** Bytes of a region. */
  readonly size: number
  readonly #keyspace: Keyspace
  readonly #place = new EncodedPlace()
  /** By part: where it begins. */
  readonly #starts: number[] = []

  constructor(keyspace: Keyspace, cells: Iterable<Cell>) {
    this.#keyspace = keyspace
    const ends: number[] = []
    const databases = new Set<number>()
    for (const cell of cells) {
      databases.add(keyspace.database(cell))
      const extent = this.#extent(cell)
      if (extent === undefined) continue
      const { part, offset } = extent
      while (ends.length <= part) ends.push(0)
      if (offset >= ends[part]) ends[part] = offset + 1
    }
    let end = 0
    for (const size of ends) {
      this.#starts.push(end)
      end += size
    }
    let size = REGION
    while (((2 + end / size) * databases.size) / MOST_REGIONS > 1) size *= 2
    this.size = size
    this.regions = 2 + Math.floor(end / size)
  }

  /** Offset on the scale; -1: it is in memory. */
  offsetOf(cell: Cell): number {
    const extent = this.#extent(cell)
    return extent === undefined ? -1 : this.#starts[extent.part] + extent.offset
  }

  regionOf(cell: Cell): number {
    const offset = this.offsetOf(cell)
    return offset < 0 ? 0 : 1 + Math.floor(offset / this.size)
  }

  #extent(cell: Cell): Extent | undefined {
    const keyspace = this.#keyspace
    if (keyspace.encoded(cell, this.#place)) return this.#place
    return keyspace.kind(cell) === CellKind.String ? keyspace.strings.extent(cell) : undefined
  }
}

function sortByOffset(cells: Int32Array, scale: Scale, region: number): void {
  const { length } = cells
  // Offset and index in one number, exact: numbers alone are sorted fastest.
  if (length < 2 || length * scale.size > Number.MAX_SAFE_INTEGER) return
  const start = (region - 1) * scale.size
  const keys = new Float64Array(length)
  for (let i = 0; i < length; i++) keys[i] = (scale.offsetOf(cells[i]) - start) * length + i
  keys.sort()
  const before = cells.slice()
  for (let i = 0; i < length; i++) cells[i] = before[keys[i] % length]
}
