import type { Batch } from '../resp/scanner.ts'
import { type CommandTable, Flag } from '../servers/commands.ts'
import { Argument } from './argument.ts'
import { CellKind } from './cells.ts'
import { WHOLE_KEY_COMMANDS } from './commands/whole-keys.ts'
import type { Keyspace } from './keyspace.ts'
import { type Rejection, WRONGTYPE } from './rejection.ts'

/*
 * Commands that cannot be carried out: those of modules, and those that the user names. They are kept for their keys,
 * which become opaque, so that a server can carry them out later.
 */

/** Where the keys of a module's command are: the first, and how many arguments further the next one is (0: it is alone). */
type Keys = readonly [first: number, step: number]

const FIRST: Keys = [1, 0]
/** No key: it concerns something else that the module has, like an index. */
const NONE: Keys = [0, 0]

/** Modules whose commands have their key in the first place, and those among them that do not. */
export const MODULE_PREFIXES: readonly string[] = ['json.', 'bf.', 'cf.', 'cms.', 'topk.', 'tdigest.', 'ts.']
const EXCEPTIONS: Readonly<Record<string, Keys>> = {
  'json.mset': [1, 3],
  'ts.madd': [1, 3],
  // The second key is changed as well.
  'ts.createrule': [1, 1],
  'ts.deleterule': [1, 1],
  'ft.create': NONE,
  'ft.alter': NONE,
  'ft.drop': NONE,
  'ft.dropindex': NONE,
  'ft._drop': NONE,
  'ft._dropindexifx': NONE,
  'ft._dropifx': NONE,
  'ft._createifnx': NONE,
  'ft._alterifnx': NONE,
  'ft.aliasadd': NONE,
  'ft.aliasupdate': NONE,
  'ft.aliasdel': NONE,
  'ft._aliasaddifnx': NONE,
  'ft._aliasdelifx': NONE,
  'ft.synupdate': NONE,
  'ft.dictadd': NONE,
  'ft.dictdel': NONE,
  'ft.sugadd': FIRST,
  'ft.sugdel': FIRST,
}
/** Rules of time series: two keys, and what comes behind them is none. */
const PAIRS: ReadonlySet<string> = new Set(['ts.createrule', 'ts.deleterule'])
const NO_KEYS: readonly number[] = []
/** A name has no more. */
const LONGEST_NAME = 64

export class OpaqueCommands {
  /** Of the records that come (`Extents.add`). */
  part = 0
  readonly #keyspace: Keyspace
  readonly #table: CommandTable
  readonly #positions: ReadonlyMap<string, number>
  readonly #key = new Argument()

  /** @param positions by name in small letters: which argument of a command is its key; 0: none is */
  constructor(keyspace: Keyspace, table: CommandTable, positions: ReadonlyMap<string, number>) {
    this.#keyspace = keyspace
    this.#table = table
    this.#positions = positions
  }

  /** Which arguments of record `i` are its keys; undefined when that is not known. */
  positions(batch: Batch, i: number, id: number): readonly number[] | undefined {
    const a = batch.first[i]
    const name = nameOf(batch, a)
    const given = this.#positions.get(name)
    const builtIn = id >= 0 && (this.#table.flags[id] & Flag.Module) !== 0
    const keys = given === undefined ? keysOf(name, builtIn) : ([given, 0] as const)
    if (keys === undefined) return undefined
    const [first, step] = keys
    if (first === 0) return NO_KEYS
    const argc = batch.first[i + 1] - a
    if (first >= argc) return undefined
    const last = step === 0 ? first : PAIRS.has(name) ? first + 1 : argc - 1
    const positions: number[] = []
    for (let k = first; k <= last && k < argc; k += Math.max(1, step)) positions.push(k)
    return positions
  }

  /**
   * Keeps record `i` for its keys; false when it is not known where they are, a rejection when a module refuses it.
   * @param id of the command; negative: no server knows it
   */
  keep(batch: Batch, i: number, id: number, end: number): boolean | Rejection {
    const positions = this.positions(batch, i, id)
    if (positions === undefined) return false
    if (positions.length === 0) {
      const offset = batch.offset(i)
      this.#keyspace.unkeyed.push({ part: this.part, offset, length: end - offset })
      return true
    }
    const loose = this.#positions.has(nameOf(batch, batch.first[i]))
    let refused = false
    for (const k of positions) if (!this.#keepFor(batch, i, k, end, loose)) refused = true
    return refused ? WRONGTYPE : true
  }

  /** Keeps record `i`, which could be carried out, if one of its keys may hold anything. */
  keepLoose(batch: Batch, i: number, id: number, end: number): boolean {
    if ((this.#table.flags[id] & Flag.Write) === 0 || WHOLE_KEY_COMMANDS.has(this.#table.name(id)))
      return false
    const a = batch.first[i]
    const argc = batch.first[i + 1] - a
    const sub = this.#table.isContainer(id) && argc > 1 ? this.#subOf(batch, id, a + 1) : id
    const keys = this.#table.keyPositions(sub, batch, a, argc)
    if (!keys.some(k => this.#isLoose(batch, a + k))) return false
    for (const k of keys) this.#keepFor(batch, i, k, end, true)
    return true
  }

  #subOf(batch: Batch, id: number, a: number): number {
    return this.#table.lookupSub(id, batch.bytes, batch.start[a], batch.length[a])
  }

  #isLoose(batch: Batch, a: number): boolean {
    const cell = this.#keyspace.findKey(this.#keyAt(batch, a))
    if (cell === 0 || this.#keyspace.kind(cell) !== CellKind.Module) return false
    return this.#keyspace.opaques.isLoose(cell)
  }

  /**
   * @param loose whether the command may make anything of the key; else it makes a value of a module, and is refused
   *   (false) where there is one of another kind
   */
  #keepFor(batch: Batch, i: number, position: number, end: number, loose: boolean): boolean {
    const { opaques } = this.#keyspace
    const key = this.#keyAt(batch, batch.first[i] + position)
    let cell = this.#keyspace.findKey(key)
    if (cell === 0) {
      cell = this.#keyspace.create(key, CellKind.Module)
      if (loose) opaques.loosen(cell)
    } else if (this.#keyspace.kind(cell) !== CellKind.Module) {
      if (!loose) return false
      this.#keyspace.cover(cell)
    } else if (loose) opaques.loosen(cell)
    const offset = batch.offset(i)
    opaques.addCommand(cell, { part: this.part, offset, length: end - offset, position })
    return true
  }

  #keyAt({ bytes, start, length }: Batch, a: number): Argument {
    return this.#key.of(bytes, start[a], start[a] + length[a])
  }
}

/** Where the keys of a module's command are; undefined when that is not known. */
function keysOf(name: string, builtIn: boolean): Keys | undefined {
  if (Object.hasOwn(EXCEPTIONS, name)) return EXCEPTIONS[name]
  // Of those that servers have built in (vector sets) it is the first.
  return builtIn || MODULE_PREFIXES.some(prefix => name.startsWith(prefix)) ? FIRST : undefined
}

function nameOf(batch: Batch, a: number): string {
  const size = Math.min(batch.length[a], LONGEST_NAME)
  return Buffer.from(batch.bytes.subarray(batch.start[a], batch.start[a] + size))
    .toString('latin1')
    .toLowerCase()
}
