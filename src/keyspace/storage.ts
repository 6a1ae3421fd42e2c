import { type Cell, Cells } from './cells.ts'
import { Extents } from './extents.ts'
import { Memory } from './memory.ts'
import { Texts } from './texts.ts'

/** Where everything of a keyspace is kept: what the types of values share. */
export class Storage {
  readonly memory = new Memory()
  readonly texts = new Texts(this.memory)
  readonly cells = new Cells()
  readonly extents = new Extents()
  /** Keys whose value may have lost its last element: they go when the command is done. */
  readonly emptied: Cell[] = []
}
