/** Logs of real servers: has one write them, and takes them apart. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { entriesToLoad, parseManifest } from '../../src/aof/manifest.ts'
import { Client, encodeCommand, type Loaded, type Server } from '../helpers/servers.ts'
import { type Command, Generator, type Random } from './generate.ts'

export interface Part {
  readonly name: string
  readonly bytes: Buffer
}

/** A base first, if there is one; then what was appended. */
export type Log = readonly Part[]

/** The log of a server as it is now. */
export function readLog(folder: string): Log {
  return readParts(join(folder, 'appendonlydir'))
}

/** The log whose manifest is in this folder. */
export function readParts(folder: string): Log {
  const manifest = 'appendonly.aof.manifest'
  const read = (name: string) => readFileSync(join(folder, name))
  const entries = entriesToLoad(parseManifest(read(manifest), manifest).manifest)
  return entries.map(({ file }) => ({ name: file, bytes: read(file) }))
}

/** The files of which a log consists, by name, with their manifest. */
export function filesOf(log: Log): Record<string, Buffer> {
  let seq = 0
  const lines = log.map(({ name }) => {
    const base = name.includes('.base.')
    return `file ${name} seq ${base ? 1 : ++seq} type ${base ? 'b' : 'i'}\n`
  })
  const files = Object.fromEntries(log.map(({ name, bytes }) => [name, bytes]))
  return { ...files, 'appendonly.aof.manifest': Buffer.from(lines.join('')) }
}

/** A part that was appended. */
export function appended(bytes: Buffer): Part {
  return { name: 'appendonly.aof.1.incr.aof', bytes }
}

export interface Recorded {
  /** Offsets in the part; the end is exclusive. */
  readonly offset: number
  readonly end: number
  /** Undefined: it is an annotation. */
  readonly args: readonly Buffer[] | undefined
}

/** The records of a part without an RDB, up to one that is cut. */
export function recordsOf(bytes: Buffer): Recorded[] {
  const records: Recorded[] = []
  for (let at = 0; at < bytes.length; ) {
    const offset = at
    const line = (): string => {
      const end = bytes.indexOf('\r\n', at)
      const text = end < 0 ? '' : bytes.toString('latin1', at, end)
      at = end < 0 ? Number.POSITIVE_INFINITY : end + 2
      return text
    }
    const head = line()
    if (head[0] === '#') {
      records.push({ offset, end: at, args: undefined })
      continue
    }
    const args: Buffer[] = []
    for (let left = Number(head.slice(1)); left > 0; left--) {
      const length = Number(line().slice(1))
      args.push(bytes.subarray(at, at + length))
      at += length + 2
    }
    if (at > bytes.length) break
    records.push({ offset, end: at, args })
  }
  return records
}

export function nameOf({ args }: Recorded): string {
  return args === undefined ? '#' : args[0].toString('latin1').toLowerCase()
}

/** Records that take effect together: single ones, and transactions. One that stays open is left out. */
export function unitsOf(records: readonly Recorded[]): (readonly Recorded[])[] {
  const units: Recorded[][] = []
  let open: Recorded[] | undefined
  for (const record of records) {
    const name = nameOf(record)
    if (open === undefined && name === 'multi') open = []
    if (open === undefined) units.push([record])
    else open.push(record)
    if (open !== undefined && name === 'exec') {
      units.push(open)
      open = undefined
    }
  }
  return units
}

export interface Course {
  readonly seed: number
  readonly commands: number
  /** Whether rewrites write RDBs. */
  readonly preamble: boolean
  /** Whether it is a replica of nobody, on which nothing expires and times in the past can be set. */
  readonly replica: boolean
  readonly timestamps: boolean
  /** Rewrites in between. */
  readonly rewrites: number
  readonly only?: RegExp | undefined
}

/** A log that no server wrote, of commands that it loads. */
export function madeUp(
  server: Server,
  { seed, commands, only }: Pick<Course, 'seed' | 'commands' | 'only'>,
): Log {
  const generator = new Generator({ server: server.name, seed, live: false, only })
  return [appended(Buffer.concat(generator.log(commands).map(encodeCommand)))]
}

/** Lets a server write a log: what it is before each rewrite, and in the end. */
export async function written(server: Server, course: Course): Promise<Log[]> {
  const yesNo = (on: boolean) => (on ? 'yes' : 'no')
  const running = await server.load(Buffer.alloc(0), {
    args: [
      ...(course.replica ? ['--replica-read-only', 'no'] : ['--replicaof', 'no', 'one']),
      ...['--aof-use-rdb-preamble', yesNo(course.preamble)],
      ...['--aof-timestamp-enabled', yesNo(course.timestamps)],
    ],
  })
  if (!running.started) throw new Error(`${server.name} does not start: ${running.log}`)
  const clients: Client[] = []
  try {
    for (let i = 0; i < 2; i++) clients.push(await Client.connect(join(running.folder, 'socket')))
    const [client, other] = clients
    return await new Driver(server, course, running, client, other).run()
  } catch (error) {
    throw new Error(`${server.name}, seed ${course.seed}, while it writes: ${String(error)}`, {
      cause: error,
    })
  } finally {
    for (const client of clients) client.close()
    await running.stop()
  }
}

const THRESHOLDS = [
  ...['hash-max-listpack-entries', 'zset-max-listpack-entries', 'set-max-intset-entries'],
  ...[
    'set-max-listpack-entries',
    'hash-max-listpack-value',
    'zset-max-listpack-value',
    'stream-node-max-entries',
    'stream-node-max-bytes',
    'list-max-listpack-size',
    'list-compress-depth',
    'hll-sparse-max-bytes',
  ],
]

const SCRIPT = `
for _, command in ipairs(cjson.decode(ARGV[1])) do redis.pcall(unpack(command)) end
return 1`

class Driver {
  readonly #generator: Generator
  readonly #random: Random
  readonly #course: Course
  readonly #running: Loaded
  readonly #client: Client
  readonly #other: Client

  constructor(server: Server, course: Course, running: Loaded, client: Client, other: Client) {
    this.#generator = new Generator({ server: server.name, seed: course.seed, live: true, only: course.only })
    this.#random = this.#generator.random
    this.#course = course
    this.#running = running
    this.#client = client
    this.#other = other
  }

  async run(): Promise<Log[]> {
    const { commands, rewrites } = this.#course
    const logs: Log[] = []
    if (this.#random(2) === 0) await this.#client.query('DEBUG', 'SET-ACTIVE-EXPIRE', '0')
    for (let sent = 0; sent < commands; ) {
      if (sent >= ((logs.length + 1) * commands) / (rewrites + 1)) {
        logs.push(readLog(this.#running.folder))
        await this.#client.query('BGREWRITEAOF')
      }
      sent += await this.#step()
    }
    await this.#settled()
    logs.push(readLog(this.#running.folder))
    return logs
  }

  /** How many commands it sent. */
  async #step(): Promise<number> {
    const random = this.#random
    const kind = random(100)
    if (kind < 4) return this.#transaction()
    if (kind < 7) return this.#script()
    if (kind < 9) return this.#blocked()
    if (kind < 11) {
      const name = THRESHOLDS[random(THRESHOLDS.length)]
      // Not every server has every one.
      await this.#client.query('CONFIG', 'SET', name, [0, 1, 4, 20, 128, 512][random(6)])
      return 0
    }
    if (kind < 13) return this.#restore()
    await this.#client.query(...this.#generator.command())
    return 1
  }

  async #transaction(): Promise<number> {
    const commands = this.#several()
    await this.#client.query('MULTI')
    for (const command of commands) await this.#client.query(...command)
    await this.#client.query(this.#random(8) === 0 ? 'DISCARD' : 'EXEC')
    return commands.length
  }

  async #script(): Promise<number> {
    const commands = this.#several().map(command => command.map(String))
    await this.#client.query('EVAL', SCRIPT, 0, JSON.stringify(commands))
    return commands.length
  }

  /** Somebody waits while somebody else works. */
  async #blocked(): Promise<number> {
    const n = () => this.#random(4)
    const waiting = [
      ['BLPOP', `l${n()}`, `l${n()}`, '0.005'],
      ['BRPOP', `l${n()}`, '0.005'],
      ['BLMOVE', `l${n()}`, `l${n()}`, 'LEFT', 'RIGHT', '0.005'],
      ['BLMPOP', '0.005', '2', `l${n()}`, `l${n()}`, 'RIGHT', 'COUNT', '2'],
      ['BZPOPMIN', `z${n()}`, `z${n()}`, '0.005'],
      ['BZMPOP', '0.005', '1', `z${n()}`, 'MAX', 'COUNT', '2'],
    ][this.#random(6)]
    const list = waiting[0].startsWith('BL') || waiting[0] === 'BRPOP'
    if (this.#course.only !== undefined && !this.#course.only.test(list ? 'lpop' : 'zpopmin')) return 0
    const answer = this.#other.query(...waiting)
    const key = `${list ? 'l' : 'z'}${n()}`
    await this.#client.query('SELECT', '0')
    if (this.#random(2) === 0) await this.#client.query('DEL', key)
    if (list) await this.#client.query('RPUSH', key, 'a', 'b', 'c', String(this.#random(100)))
    else await this.#client.query('ZADD', key, '1', 'a', '2', 'b', String(this.#random(100)), 'c')
    await answer
    return 2
  }

  /** What one key holds comes to another one by DUMP and RESTORE. */
  async #restore(): Promise<number> {
    const { only } = this.#course
    if (only !== undefined && !only.test('restore')) return 0
    const random = this.#random
    if (random(20) === 0) {
      const libraries = (await this.#client.query('FUNCTION', 'DUMP')) as Buffer
      if (random(2) === 0) await this.#client.query(...this.#generator.command())
      await this.#client.query('FUNCTION', 'RESTORE', libraries, ['FLUSH', 'REPLACE', 'append'][random(3)])
      return 1
    }
    const payload = await this.#client.query('DUMP', `${'snbplhezgx'[random(10)]}${random(4)}`)
    if (!(payload instanceof Uint8Array)) return 0
    const [ttl, ...options] = [['0'], ['100000'], ['2000000001234', 'ABSTTL'], ['1', 'ABSTTL']][random(4)]
    const replace = random(4) > 0 ? ['REPLACE'] : []
    const key = `${'snbplhezgx'[random(10)]}${random(4)}`
    const name = random(6) === 0 ? 'RESTORE-ASKING' : 'RESTORE'
    const age =
      random(6) === 0
        ? [
            ['IDLETIME', '100'],
            ['FREQ', '7'],
          ][random(2)]
        : []
    await this.#client.query(name, key, ttl, payload, ...options, ...replace, ...age)
    return 1
  }

  #several(): Command[] {
    return Array.from({ length: 1 + this.#random(6) }, () => this.#generator.command())
  }

  async #settled(): Promise<void> {
    for (;;) {
      const info = String(await this.#client.query('INFO', 'persistence'))
      if (/aof_rewrite_in_progress:0/.test(info) && /aof_rewrite_scheduled:0/.test(info)) return
      await wait(5)
    }
  }
}
