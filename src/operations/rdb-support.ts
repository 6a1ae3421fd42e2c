import { escapeBytes } from '../bytes/escape.ts'
import type { EntryBatch, RdbEvent } from '../rdb/events.ts'
import { type Magic, valueType } from '../rdb/format.ts'
import { loadsRdb, loadsType, SERVER_FACTS } from '../servers/servers.ts'
import type { Judgement } from './judgement.ts'
import type { LogServer } from './log-server.ts'

/** Bytes of a key that a message shows. */
const MAX_KEY = 60
const MODULE_VALUE = 7

/** Checks an RDB against what the server knows that is to load it: version, records, types. Nothing is decoded. */
export class RdbSupport {
  readonly #server: LogServer
  readonly #judgement: Judgement
  #header: { readonly magic: Magic; readonly version: number } | undefined

  constructor(server: LogServer, judgement: Judgement) {
    this.#server = server
    this.#judgement = judgement
  }

  /** Takes what the walk has met; of entries, what {@link types} says. */
  event(event: RdbEvent): void {
    switch (event.kind) {
      case 'header':
        this.#header = event
        this.#server.noteMagic(event.magic)
        return
      case 'aux':
        this.#server.noteAux(event.name, event.value)
        return
      case 'entries':
        this.types(event.entries)
        return
      case 'function-pre-release':
        // Redis 7.0 itself still loads what its release candidates wrote.
        if (this.#server.name !== 'redis-7.0') {
          const what = 'functions in the form of a release candidate of Redis 7.0'
          this.#refuse('rdb.opcode', event.offset, what)
        }
        return
      case 'slot':
        if (!SERVER_FACTS[this.#server.name].slots) this.#refuse('rdb.opcode', event.offset, 'sizes of slots')
        return
      case 'slot-import':
        this.#refuse('rdb.opcode', event.offset, 'a slot that is being imported')
        return
      case 'template':
        this.#refuse('rdb.opcode', event.offset, 'a template of hashes')
        return
      case 'module-aux': {
        const message = 'data of a module: a server loads it only with that module'
        this.#judgement.warn('rdb.module', event.offset, message)
        return
      }
    }
  }

  /** Checks the types of entries. */
  types(entries: EntryBatch): void {
    const server = this.#server.name
    const magic = this.#header?.magic ?? 'REDIS'
    for (let i = 0; i < entries.count; i++) {
      const type = entries.type[i]
      if (type < MODULE_VALUE) continue
      if (type === MODULE_VALUE) {
        // Vector sets are a module that is built in.
        if (server !== 'redis-8.0') {
          const message = `${keyOf(entries, i)} is a module's value: a server loads it only with that module`
          this.#judgement.warn('rdb.module', entries.offset[i], message)
        }
      } else if (!loadsType(server, magic, type)) {
        const name = valueType(magic, type)?.name ?? 'unknown'
        this.#refuse('rdb.type', entries.offset[i], `${keyOf(entries, i)} has type ${type} (${name})`)
      }
    }
  }

  /** What can be said of the file as a whole, once all of it was read. */
  end(): void {
    const server = this.#server.name
    if (this.#header === undefined || loadsRdb(server, this.#header.magic, this.#header.version)) return
    const { magic, version } = this.#header
    this.#judgement.refuse('rdb.version', 0, 0, `${magic} version ${version}: ${server} does not load it`)
  }

  #refuse(code: string, offset: number, what: string): void {
    this.#judgement.refuse(code, offset, 0, `${what}: ${this.#server.name} does not load it`)
  }
}

function keyOf(entries: EntryBatch, i: number): string {
  const key = entries.keyBytes(i)
  return key === undefined ? 'a key' : `key "${escapeBytes(key, MAX_KEY)}"`
}
