import { type TargetName, targetOf } from '../rdb/targets.ts'
import { CommandTable } from '../servers/commands.ts'
import { DEFAULT_SERVER, type ServerName, serverOf } from '../servers/servers.ts'

/**
 * Whose behaviour counts for a log: the server that the user names, else the one that wrote the first RDB in it, else
 * {@link DEFAULT_SERVER}. Decided when the first command is met, since the RDB stands before it.
 */
export class LogServer {
  readonly #chosen: ServerName | undefined
  readonly #allow: readonly string[]
  readonly #aux = new Map<string, string>()
  #magic: 'REDIS' | 'VALKEY' | undefined
  #table: CommandTable | undefined

  constructor(chosen: ServerName | undefined, allowCommands: readonly string[]) {
    this.#chosen = chosen
    this.#allow = allowCommands
  }

  noteMagic(magic: 'REDIS' | 'VALKEY'): void {
    this.#magic ??= magic
  }

  /** Takes note of an AUX field; undefined where it was too long to be read. */
  noteAux(name: Uint8Array | undefined, value: Uint8Array | undefined): void {
    if (name === undefined || value === undefined) return
    const text = Buffer.from(name).toString('latin1')
    if (!this.#aux.has(text)) this.#aux.set(text, Buffer.from(value).toString('latin1'))
  }

  get name(): ServerName {
    if (this.#chosen !== undefined) return this.#chosen
    const writer = this.#magic === undefined ? undefined : serverOf(this.#aux, this.#magic)
    return writer ?? DEFAULT_SERVER
  }

  /** For whom an RDB is to be written so that this server loads it; undefined where the log does not say who wrote it. */
  get target(): TargetName | undefined {
    if (this.#magic === undefined) return undefined
    return targetOf(this.#aux)
  }

  /** The commands that the server knows; from the first call on it is settled who it is. */
  get table(): CommandTable {
    this.#table ??= new CommandTable(this.name, this.#allow)
    return this.#table
  }
}
