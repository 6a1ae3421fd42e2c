/**
 * Real servers for tests: which ones are on this machine, a fresh copy of one started on a given log, and one made to
 * write a log. Everything lives in temporary folders and on unix sockets, and dies with the process that started it,
 * however that ends.
 */
import { execFileSync, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { SERVERS, type ServerName } from '../../src/servers/servers.ts'

/** Names the folder with `bin/NAME-server` for each server; without it, what the PATH has is used. */
export const SERVERS_VARIABLE = 'AOFKIT_SERVERS'

/** The servers on this machine, in the order of `SERVERS`. Synchronous, for `describe.each`. */
export function foundServers(): Server[] {
  const folder = process.env[SERVERS_VARIABLE]
  return folder ? serversInFolder(folder) : serversOnPath()
}

/** The servers in a folder that has `bin/NAME-server` for each. */
export function serversInFolder(folder: string): Server[] {
  return SERVERS.map(name => new Server(name, join(folder, 'bin', `${name}-server`))).filter(server =>
    existsSync(server.binary),
  )
}

function serversOnPath(): Server[] {
  const found = new Map<ServerName, Server>()
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    for (const product of ['redis', 'valkey']) {
      const binary = join(folder, `${product}-server`)
      const name = folder !== '' && existsSync(binary) ? nameByVersion(versionOf(binary)) : undefined
      if (name !== undefined && !found.has(name)) found.set(name, new Server(name, binary))
    }
  }
  return SERVERS.flatMap(name => found.get(name) ?? [])
}

/** The first line of `--version`; empty when the program does not run. */
export function versionOf(binary: string): string {
  try {
    return execFileSync(binary, ['--version'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
      .split('\n', 1)[0]
      .trim()
  } catch {
    return ''
  }
}

// Only releases that the four names stand for: differential tests against others would fail for good reasons.
function nameByVersion(line: string): ServerName | undefined {
  const match = /^(Redis|Valkey) server v=(\d+\.\d+)\./.exec(line)
  const name = match === null ? '' : `${match[1].toLowerCase()}-${match[2]}`
  return SERVERS.find(server => server === name)
}

export interface LoadOptions {
  /**
   * How bytes become an AOF: the only incr part of a multi-part log, its base, or an old-style `appendonly.aof` in the
   * data folder, which servers adopt. Default: incr.
   */
  as?: 'incr' | 'base' | 'single'
  /** `aof-load-truncated`; default yes, as with servers. */
  truncated?: 'yes' | 'no'
  /** Further arguments of the server: `['--databases', '4']`. */
  args?: readonly string[]
  /** Milliseconds after which a server that is neither ready nor gone is given up. Default: 20,000. */
  timeout?: number
}

/**
 * A log to start on: bytes (see {@link LoadOptions.as}), a folder with a manifest and its parts, or those files by
 * name.
 */
export type Log = Uint8Array | string | Readonly<Record<string, Uint8Array>>

export interface Loaded {
  /** Whether the server became ready to serve; otherwise it has exited. */
  readonly started: boolean
  /** How it exited, when it did: a status, or the signal of a crash. */
  readonly exit: number | NodeJS.Signals | undefined
  /** Whether it neither started nor refused in an orderly way: a signal, a failed assertion, or the timeout. */
  readonly crashed: boolean
  /** All that it printed until it was ready or gone. */
  readonly log: string
  /** Messages of its log that are critical (level `#`), warnings about the machine left out. */
  readonly errors: readonly string[]
  /** Bytes of each file of the data folder after the start, by path below it. */
  readonly sizes: Readonly<Record<string, number>>
  /** The data folder; gone after {@link stop}. */
  readonly folder: string
  /** Asks the server; an error reply is a value, see {@link Reply}. */
  query(...args: (string | Uint8Array | number)[]): Promise<Reply>
  stop(): Promise<void>
}

export class Server {
  readonly name: ServerName
  readonly binary: string

  constructor(name: ServerName, binary: string) {
    this.name = name
    this.binary = binary
  }

  // Shown by vitest in names of tests.
  toString(): string {
    return this.name
  }

  /** Starts a fresh server on a copy of `log`; resolves when it serves or has exited. Call `stop()` afterwards. */
  async load(log: Log, options: LoadOptions = {}): Promise<Loaded> {
    const folder = await newFolder()
    await place(log, folder, options.as ?? 'incr')
    return this.#start(
      folder,
      ['--aof-load-truncated', options.truncated ?? 'yes', ...(options.args ?? [])],
      options.timeout,
    )
  }

  /**
   * Starts the server on an empty folder with the AOF on, sends it `commands` (or lets a function talk to it), kills
   * it, and gives the path of the folder with the manifest and the parts. An error reply throws.
   */
  async run(
    commands: readonly (readonly (string | Uint8Array | number)[])[] | ((client: Client) => Promise<void>),
    options: { args?: readonly string[] } = {},
  ): Promise<string> {
    const folder = await newFolder()
    // A primary: a replica of nobody would refuse writes.
    const running = await this.#start(folder, ['--replicaof', 'no', 'one', ...(options.args ?? [])])
    if (!running.started) throw new Error(`${this.name} does not start: ${running.log}`)
    const client = await Client.connect(join(folder, 'socket'))
    try {
      if (typeof commands === 'function') await commands(client)
      else
        for (const args of commands) {
          const reply = await client.query(...args)
          if (reply instanceof Error) throw new Error(`${this.name}: ${args.join(' ')}: ${reply.message}`)
        }
    } finally {
      client.close()
    }
    await running.kill()
    return join(folder, 'appendonlydir')
  }

  async #start(folder: string, args: readonly string[], timeout = 20_000): Promise<Running> {
    const child = spawn(
      this.binary,
      [...BASE_ARGS, '--dir', folder, '--unixsocket', join(folder, 'socket'), ...args],
      { stdio: ['ignore', 'pipe', 'pipe'], cwd: folder },
    )
    let log = ''
    let exit: number | NodeJS.Signals | undefined
    let late = false
    const gone = new Promise<void>(resolve => {
      child.once('error', error => {
        log += String(error)
        exit = 127
        resolve()
      })
      child.once('exit', (code, signal) => {
        exit = signal ?? code ?? 127
        if (child.pid !== undefined) forget(child.pid)
        // The last lines of the log come before 'close'; a child that the server forked may put that off.
        child.once('close', resolve)
        setTimeout(resolve, 300).unref()
      })
    })
    if (child.pid !== undefined) watch(child.pid)
    const ready = new Promise<void>(resolve => {
      const hear = (text: string) => {
        log += text
        // A line that came in two pieces counts as well.
        if (READY.test(log.slice(-text.length - 64))) resolve()
      }
      child.stdout.setEncoding('utf8').on('data', hear)
      child.stderr.setEncoding('utf8').on('data', hear)
    })
    const timer = setTimeout(() => {
      late = true
      child.kill('SIGKILL')
    }, timeout)
    await Promise.race([ready, gone])
    clearTimeout(timer)
    const started = exit === undefined && !late
    const sizes = await sizesIn(folder)
    let client: Client | undefined
    const kill = async () => {
      client?.close()
      child.kill('SIGKILL')
      await gone
    }
    const text = log
    return {
      started,
      exit,
      crashed: !started && (late || typeof exit === 'string' || text.includes('BUG REPORT START')),
      log: text,
      errors: criticalLines(text),
      sizes,
      folder,
      async query(...args) {
        client ??= await Client.connect(join(folder, 'socket'))
        return client.query(...args)
      },
      kill,
      async stop() {
        await kill()
        await rm(folder, { recursive: true, force: true })
      },
    }
  }
}

interface Running extends Loaded {
  /** Ends the server and leaves its folder. */
  kill(): Promise<void>
}

// A replica of nobody expires no keys. A failed assertion must not test the machine's memory before it says so.
const BASE_ARGS = [
  ...['--port', '0', '--save', '', '--appendonly', 'yes', '--appendfsync', 'no'],
  ...[
    '--auto-aof-rewrite-percentage',
    '0',
    '--crash-memcheck-enabled',
    'no',
    '--enable-debug-command',
    'yes',
  ],
  ...['--replicaof', '127.0.0.1', '1'],
]

async function place(log: Log, folder: string, as: 'incr' | 'base' | 'single'): Promise<void> {
  const parts = join(folder, 'appendonlydir')
  if (typeof log === 'string') return cp(log, parts, { recursive: true })
  if (log instanceof Uint8Array && as === 'single') return writeFile(join(folder, 'appendonly.aof'), log)
  await mkdir(parts)
  const files =
    log instanceof Uint8Array
      ? as === 'incr'
        ? { 'appendonly.aof.1.incr.aof': log, 'appendonly.aof.manifest': INCR_MANIFEST }
        : { 'appendonly.aof.1.base.aof': log, 'appendonly.aof.manifest': BASE_MANIFEST }
      : log
  for (const [name, bytes] of Object.entries(files)) await writeFile(join(parts, name), bytes)
}

const INCR_MANIFEST = Buffer.from('file appendonly.aof.1.incr.aof seq 1 type i\n')
const BASE_MANIFEST = Buffer.from('file appendonly.aof.1.base.aof seq 1 type b\n')

function criticalLines(log: string): string[] {
  return log.split('\n').flatMap(line => {
    const message = /^\d+:[A-Z] \d\d \w{3} \d{4} [\d:.]+ # (.*)$/.exec(line)?.[1]
    return message === undefined || NOT_ABOUT_THE_LOG.test(message) ? [] : [message]
  })
}

const NOT_ABOUT_THE_LOG =
  /^(WARNING|Warning:|oO0|Redis version=|Valkey version=|Configuration loaded|Server initialized|Error condition on socket for SYNC)/

async function sizesIn(folder: string): Promise<Record<string, number>> {
  const sizes: Record<string, number> = {}
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    try {
      sizes[path.slice(folder.length + 1)] = (await stat(path)).size
    } catch {
      // A temporary file of the server, gone by now.
    }
  }
  return sizes
}

let home: Promise<string> | undefined
let folders = 0

async function newFolder(): Promise<string> {
  home ??= mkdtemp(join(tmpdir(), 'aofkit-')).then(path => {
    tell(`home ${path}`)
    return path
  })
  const folder = join(await home, String(++folders))
  await mkdir(folder)
  return folder
}

// A helper process that outlives this one by a moment: when its input ends, for whatever reason, it kills what still
// runs and removes the folders. An exit handler would not run when this process is killed.
const WATCHDOG = `
trap '' INT TERM HUP
live=' '
home=
while read -r word value; do
  case $word in
    start) live="$live$value " ;;
    end) case $live in *" $value "*) live="\${live%% $value *} \${live#* $value }" ;; esac ;;
    home) home=$value ;;
  esac
done
[ "$live" = ' ' ] || kill -9 $live
[ -z "$home" ] || rm -rf "$home"
`

let tell = (line: string): void => {
  const dog = spawn('/bin/sh', ['-c', WATCHDOG], { stdio: ['pipe', 'ignore', 'ignore'], detached: true })
  dog.unref()
  ;(dog.stdin as unknown as Socket).unref()
  dog.stdin.on('error', () => {})
  tell = next => {
    dog.stdin.write(`${next}\n`)
  }
  tell(line)
}

const watch = (pid: number) => tell(`start ${pid}`)
const forget = (pid: number) => tell(`end ${pid}`)

// Capitalised or not, by server and kind of socket.
const READY = /ready to accept connections/i

/** A reply: a status or bulk string as bytes, an integer (a bigint beyond 2^53), null, an error as a value, or a list. */
export type Reply = Buffer | number | bigint | null | Error | Reply[]

/** A connection that sends one command after the other and waits for each reply (RESP2). */
export class Client {
  readonly #socket: Socket
  #bytes = Buffer.alloc(0)
  #waiting: { resolve: (reply: Reply) => void; reject: (error: Error) => void }[] = []

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', data => {
      this.#bytes = this.#bytes.length === 0 ? data : Buffer.concat([this.#bytes, data])
      let at = 0
      for (;;) {
        const parsed = parseReply(this.#bytes, at)
        if (parsed === undefined) break
        at = parsed.end
        this.#waiting.shift()?.resolve(parsed.reply)
      }
      this.#bytes = this.#bytes.subarray(at)
    })
    const fail = (why: string) => {
      for (const { reject } of this.#waiting.splice(0)) reject(new Error(why))
    }
    socket.on('error', error => fail(error.message))
    socket.on('close', () => fail('the server closed the connection'))
  }

  static connect(path: string): Promise<Client> {
    return new Promise((resolve, reject) => {
      const socket = connect(path)
      socket.once('error', reject)
      socket.once('connect', () => {
        socket.off('error', reject)
        resolve(new Client(socket))
      })
    })
  }

  query(...args: readonly (string | Uint8Array | number)[]): Promise<Reply> {
    return new Promise((resolve, reject) => {
      if (this.#socket.destroyed) return reject(new Error('the connection is closed'))
      this.#waiting.push({ resolve, reject })
      this.#socket.write(encodeCommand(args))
    })
  }

  close(): void {
    this.#socket.destroy()
  }
}

/** A command as RESP bytes, the form in which it stands in a log. */
export function encodeCommand(args: readonly (string | Uint8Array | number)[]): Buffer {
  const pieces: Uint8Array[] = [Buffer.from(`*${args.length}\r\n`)]
  for (const arg of args) {
    const bytes = arg instanceof Uint8Array ? arg : Buffer.from(String(arg))
    pieces.push(Buffer.from(`$${bytes.length}\r\n`), bytes, CRLF)
  }
  return Buffer.concat(pieces)
}

const CRLF = Buffer.from('\r\n')

function parseReply(bytes: Buffer, at: number): { reply: Reply; end: number } | undefined {
  const line = bytes.indexOf('\r\n', at)
  if (line < 0) return undefined
  const text = bytes.toString('latin1', at + 1, line)
  const after = line + 2
  switch (String.fromCharCode(bytes[at])) {
    case '+':
      return { reply: bytes.subarray(at + 1, line), end: after }
    case '-':
      return { reply: new Error(text), end: after }
    case ':': {
      const exact = BigInt(text)
      const number = Number(exact)
      return { reply: Number.isSafeInteger(number) ? number : exact, end: after }
    }
    case '$': {
      const length = Number(text)
      if (length < 0) return { reply: null, end: after }
      const end = after + length
      return bytes.length < end + 2 ? undefined : { reply: bytes.subarray(after, end), end: end + 2 }
    }
    case '*': {
      const count = Number(text)
      if (count < 0) return { reply: null, end: after }
      const list: Reply[] = []
      let end = after
      for (let i = 0; i < count; i++) {
        const item = parseReply(bytes, end)
        if (item === undefined) return undefined
        list.push(item.reply)
        end = item.end
      }
      return { reply: list, end }
    }
    default:
      throw new Error(`not a reply: ${JSON.stringify(bytes.toString('latin1', at, line))}`)
  }
}
