import { JobError } from '../bytes/errors.ts'
import { escapeName } from '../bytes/escape.ts'
import { type Cell, CellKind } from '../keyspace/cells.ts'
import type { Keyspace } from '../keyspace/keyspace.ts'
import type { Place } from '../keyspace/types/opaques.ts'
import { RecordOutput } from '../resp/output.ts'
import { Batch, Scanner } from '../resp/scanner.ts'
import { Command } from '../values/command.ts'
import { Slice } from '../values/slice.ts'

/** A command that only a server with its module can carry out, and the keys for which it was kept. */
interface KeptRecord extends Place {
  readonly keys: { readonly cell: Cell; readonly position: number }[]
}

/** Bytes behind a record that must be readable while it is scanned. */
const SLACK = 64
/** A record of a module that is longer is not held in memory. */
const LONGEST = 512 * 2 ** 20
/** The first byte of a command. */
const STAR = 0x2a

/**
 * The commands that a log keeps for its opaque keys, and for none: they go behind the keys, in their order. Taking them
 * takes them off: what stands beneath a key that they met, a value that is known, becomes its value again.
 */
export class OpaqueRecords {
  /** Data of modules in RDBs that belong to no key. */
  readonly aux: readonly Place[]
  readonly #keyspace: Keyspace
  readonly #records: readonly KeptRecord[]
  /** Keys that nothing is known of but their commands: they have no value to write. */
  readonly #bare = new Set<Cell>()
  /** Keys with commands. */
  readonly #changed = new Set<Cell>()
  /** Keys with commands that expire. */
  readonly #expiring: Cell[] = []

  constructor(keyspace: Keyspace) {
    this.#keyspace = keyspace
    const { opaques, unkeyed } = keyspace
    const records = new Map<string, KeptRecord>()
    const keep = (place: Place): KeptRecord => {
      const name = `${place.part}:${place.offset}`
      const known = records.get(name) ?? { ...place, keys: [] }
      records.set(name, known)
      return known
    }
    const [aux, commands] = this.#split(unkeyed)
    this.aux = aux
    for (const place of commands) keep(place)
    for (let cell = keyspace.nextKey(0); cell !== 0; cell = keyspace.nextKey(cell)) {
      if (keyspace.kind(cell) !== CellKind.Module) continue
      const count = opaques.commands(cell)
      if (count === 0) continue
      this.#changed.add(cell)
      for (let i = 0; i < count; i++) {
        const { position, ...place } = opaques.command(cell, i)
        keep(place).keys.push({ cell, position })
      }
      if (keyspace.hasExpiry(cell)) this.#expiring.push(cell)
      if (opaques.covers(cell)) opaques.uncover(cell)
      else if (opaques.value(cell) === undefined) this.#bare.add(cell)
    }
    this.#records = [...records.values()].sort((a, b) => a.part - b.part || a.offset - b.offset)
  }

  get count(): number {
    return this.#records.length
  }

  /** Keys that have no value. */
  get withoutValue(): number {
    return this.#bare.size
  }

  hasCommands(cell: Cell): boolean {
    return this.#changed.has(cell)
  }

  /** Whether the key has a value besides its commands. */
  hasValue(cell: Cell): boolean {
    return !this.#bare.has(cell)
  }

  /**
   * Gives the commands one by one, under the names that their keys have now, each as a record.
   *
   * @param give is awaited; the bytes are void after it
   * @throws JobError `compact.opaque` for one that is about several keys of which some are gone: it would bring them back
   */
  async records(give: (record: Uint8Array) => Promise<void>): Promise<void> {
    const output = new RecordOutput()
    let selected = 0
    const select = async (db: number) => {
      if (db === selected) return
      selected = db
      output.command(words('SELECT', String(db)))
      await give(output.take())
    }
    const key = new Slice()
    for (const record of this.#records) {
      const args = this.#argumentsOf(record)
      const [first] = record.keys
      if (first !== undefined) await select(this.#keyspace.database(first.cell))
      output.begin(args.length)
      args.forEach((arg, position) => {
        const named = record.keys.find(key => key.position === position)
        if (named === undefined) output.argument(arg, 0, arg.length)
        else {
          this.#keyspace.key(named.cell, key)
          output.argument(key.bytes, key.at, key.end)
        }
      })
      await give(output.take())
    }
    for (const cell of this.#expiring) {
      await select(this.#keyspace.database(cell))
      this.#keyspace.key(cell, key)
      const command = words('PEXPIREAT')
      command.slice(key)
      command.integer(this.#keyspace.expiry(cell))
      output.command(command)
      await give(output.take())
    }
  }

  #split(unkeyed: readonly Place[]): [aux: Place[], commands: Place[]] {
    const first = new Uint8Array(1)
    const aux: Place[] = []
    const commands: Place[] = []
    for (const place of unkeyed) {
      this.#keyspace.store.extents.fill(place.part, place.offset, first)
      if (first[0] === STAR) commands.push(place)
      else aux.push(place)
    }
    return [aux, commands]
  }

  #argumentsOf(record: KeptRecord): Uint8Array[] {
    const { part, offset, length, keys } = record
    const { extents } = this.#keyspace.store
    const place = `${escapeName(extents.source(part).name)}:${offset}`
    if (length > LONGEST)
      throw new JobError('compact.opaque', `${place}: a module's command of ${length} bytes`)
    const bytes = new Uint8Array(length + SLACK)
    extents.fill(part, offset, bytes.subarray(0, length))
    const batch = new Batch(length)
    batch.clear(bytes, offset)
    new Scanner().scan(batch, 0, length, true)
    const args: Uint8Array[] = []
    for (let a = batch.first[0]; a < batch.first[1]; a++)
      args.push(bytes.subarray(batch.start[a], batch.start[a] + batch.length[a]))
    this.#refuseGone(args, keys, place)
    return args
  }

  /** Of a command for several keys that have one name each, all must still be there, in one database. */
  #refuseGone(args: readonly Uint8Array[], keys: KeptRecord['keys'], place: string): void {
    const databases = new Set(keys.map(({ cell }) => this.#keyspace.database(cell)))
    const name = Buffer.from(args[0]).toString('latin1').toLowerCase()
    const wanted = SEVERAL[name]?.(args.length) ?? keys.length
    if (databases.size <= 1 && keys.length === wanted) return
    throw new JobError(
      'compact.opaque',
      `${place}: ${escapeName(name.toUpperCase())} is about several keys, of which some are gone or elsewhere: it cannot be kept for the others alone`,
      'let a server with its module load the log and rewrite it (BGREWRITEAOF)',
    )
  }
}

/** Commands of modules that are about several keys: how many of so many arguments. */
const SEVERAL: Readonly<Record<string, (argc: number) => number>> = {
  'json.mset': argc => (argc - 1) / 3,
  'ts.madd': argc => (argc - 1) / 3,
  'ts.createrule': () => 2,
  'ts.deleterule': () => 2,
}

function words(...texts: string[]): Command {
  const command = new Command()
  for (const text of texts) command.text(text)
  return command
}
