/**
 * RDB files that were changed at random, and everything that reads RDB files run on them. What stands in an RDB may do
 * no more than be refused: no error but a FormatError, no time and no memory beyond what its size allows.
 *
 * Number `n` of seed `s` is the same input as number 0 of seed `s + n`.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { Chalk } from 'chalk'
import { generator } from '../../bench/logs.ts'
import { BufferSource } from '../../src/bytes/source.ts'
import { Window } from '../../src/bytes/window.ts'
import type { Io } from '../../src/cli/io.ts'
import { main } from '../../src/cli/main.ts'
import type { Cell } from '../../src/keyspace/cells.ts'
import { Keyspace } from '../../src/keyspace/keyspace.ts'
import { Preamble } from '../../src/keyspace/preamble.ts'
import { EntryReader } from '../../src/rdb/entries.ts'
import { RdbWalk } from '../../src/rdb/walk.ts'
import { SERVERS } from '../../src/servers/servers.ts'
import { answersOf, decodeAll } from '../keyspace/replaying.ts'
import { fileOf, VALUE_CASES } from '../operations/value-cases.ts'
import { Calls } from '../rdb/calls.ts'
import { around, VALUES } from '../rdb/values.ts'

/** Milliseconds of the processors that one reading of an input may take, and how much memory it may ask for. */
const MOST_TIME = 2000
const MOST_MEMORY = 64 << 20
const MEMORY_A_BYTE = 100
/** Larger fixtures would take most of the time. */
const LARGEST = 32 << 10

const FIXTURES = ['fixtures/rdb', 'fixtures/corrupt']

/** What is changed. */
function corpus(): Buffer[] {
  const files = FIXTURES.flatMap(folder =>
    readdirSync(folder)
      .filter(name => name.endsWith('.rdb'))
      .sort()
      .map(name => readFileSync(join(folder, name))),
  )
  const built = [...VALUES.map(value => around(value).file), ...VALUE_CASES.map(fileOf)]
  return [...files, ...built].filter(file => file.length <= LARGEST)
}

const HEADER = 9
/** The checksum, and what to change before it. */
const CHECKSUM = 8
const MOST_CHANGES = 4

type Random = () => number

/** Bytes that mean something somewhere: ends, sizes, encodings, types. */
const SPECIAL = [0, 1, 2, 0x3f, 0x40, 0x7f, 0x80, 0x81, 0xc0, 0xc3, 0xf0, 0xf4, 0xfa, 0xfd, 0xfe, 0xff]
const LENGTHS = [
  Buffer.of(0x7f, 0xff),
  Buffer.of(0x80, 0, 0, 0xff, 0xff),
  Buffer.of(0x80, 0x7f, 0xff, 0xff, 0xff),
  Buffer.of(0x80, 0xff, 0xff, 0xff, 0xff),
  Buffer.of(0x81, 0, 0, 0, 1, 0, 0, 0, 0),
  Buffer.of(0x81, 0, 0x1f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
  Buffer.of(0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
  // As listpacks have them.
  Buffer.of(0xf0, 0xff, 0xff, 0xff, 0x0f),
  Buffer.of(0xf0, 0xff, 0xff, 0xff, 0xff),
]

/** One of the files of a corpus, changed. Its checksum is switched off, so that what it holds is looked at. */
function changed(files: readonly Buffer[], random: Random): Buffer {
  const below = (count: number) => Math.floor(random() * count)
  const one = <T>(items: readonly T[]): T => items[below(items.length)]
  const file = one(files)
  let body = file.subarray(HEADER, Math.max(HEADER, file.length - CHECKSUM))
  for (let left = 1 + below(MOST_CHANGES); left > 0; left--) {
    const at = below(body.length + 1)
    const end = Math.min(body.length, at + 1 + below(random() < 0.7 ? 8 : 200))
    const [before, span, behind] = [body.subarray(0, at), body.subarray(at, end), body.subarray(end)]
    switch (below(7)) {
      case 0: {
        const flipped = Buffer.from(body)
        if (at < body.length) flipped[at] ^= 1 << below(8)
        body = flipped
        break
      }
      case 1:
        body = Buffer.concat([before, Buffer.of(one(SPECIAL)), body.subarray(at + 1)])
        break
      case 2: {
        // In place of as many bytes it leaves what is around it as it was.
        const length = one(LENGTHS)
        const replaced = random() < 0.7 ? length.length : 1
        body = Buffer.concat([before, length, body.subarray(at + replaced)])
        break
      }
      case 3:
        body = Buffer.concat([before, behind])
        break
      case 4:
        body = Buffer.concat([before, span, span, behind])
        break
      case 5: {
        const middle = Math.min(end + span.length, body.length)
        body = Buffer.concat([before, body.subarray(end, middle), span, body.subarray(middle)])
        break
      }
      default: {
        const other = one(files)
        const from = below(other.length)
        body = Buffer.concat([before, other.subarray(from, from + 1 + below(100)), behind])
      }
    }
  }
  const header = Buffer.from(file.subarray(0, HEADER))
  if (random() < 0.05) header[below(HEADER)] = below(256)
  // Now and then the end is cut off as well.
  const tail = random() < 0.9 ? [Buffer.of(0xff), Buffer.alloc(CHECKSUM)] : []
  return Buffer.concat([header, body, ...tail])
}

/** What reads the input, by name. */
function readers(path: string): Record<string, (input: Buffer, random: Random) => Promise<void>> {
  const command =
    (...args: string[]) =>
    async (_input: Buffer, random: Random) => {
      const server = SERVERS[Math.floor(random() * SERVERS.length)]
      let said = ''
      const io: Io = {
        out() {},
        err(text) {
          said += text
        },
        flush: async () => {},
        closed: false,
        columns: undefined,
        outIsTerminal: false,
        errIsTerminal: false,
        errStream: new Writable({ write: (_, __, done) => done() }),
        style: new Chalk({ level: 0 }),
      }
      const [name, ...rest] = args
      await main([name, path, ...rest, '--as', server], io)
      // With AOFKIT_DEBUG, what is neither a FormatError nor a JobError comes with its stack.
      if (/\n\s+at /.test(said)) throw new Error(`${args.join(' ')}: ${said}`)
    }
  return {
    values: readValues,
    keyspace: loadKeyspace,
    verify: command('verify', '--json'),
    print: command('print', '--full'),
    'print, jsonl': command('print', '--format', 'jsonl'),
    'print, resp': command('print', '--format', 'resp'),
    'replay --dump': command('replay', '--dump'),
    digest: command('digest', '--ignore-opaque'),
  }
}

/** Decodes all that can be decoded, from a window of any size. */
async function readValues(input: Buffer, random: Random): Promise<void> {
  const chunk = random() < 0.5 ? 1 << 8 : 1 << 16
  const walk = new RdbWalk(new Window(new BufferSource(input), chunk), { values: true })
  const calls = new Calls()
  const reader = new EntryReader(
    {
      entry() {
        calls.lines.length = 0
        return calls
      },
      damaged() {},
      odd() {},
    },
    random() < 0.5 ? {} : { most: Math.floor(random() * 100) },
  )
  for (let event = await walk.next(); event !== undefined; event = await walk.next()) reader.event(event)
}

/** Puts it into a keyspace: what stays encoded there can be decoded, now and later, and is the same then. */
async function loadKeyspace(input: Buffer, random: Random): Promise<void> {
  const chunk = random() < 0.5 ? 1 << 8 : 1 << 16
  const source = new BufferSource(input)
  const keyspace = new Keyspace({ databases: 16, server: 'redis-8.0' })
  const preamble = new Preamble(keyspace, keyspace.store.extents.add(source), {
    damaged() {},
    duplicate() {},
    refused() {},
  })
  const walk = new RdbWalk(new Window(source, chunk), { values: true })
  for (let event = await walk.next(); event !== undefined; event = await walk.next()) preamble.event(event)
  preamble.end()
  const cells: Cell[] = []
  keyspace.forEach(cell => {
    cells.push(cell)
  })
  const lengths = cells.map(cell => keyspace.length(cell))
  answersOf(keyspace)
  decodeAll(keyspace)
  answersOf(keyspace)
  cells.forEach((cell, i) => {
    const length = keyspace.length(cell)
    // Of elements that are there twice, which servers refuse, one is left.
    if (length > lengths[i] || (length === 0) !== (lengths[i] === 0))
      throw new Error(`${lengths[i]} elements, and then ${length}`)
  })
}

/** What is wrong with one of the inputs. */
export class Fault extends Error {
  override readonly name = 'Fault'
  readonly input: Buffer

  constructor(seed: number, reader: string, why: string, input: Buffer, cause?: unknown) {
    super(`seed ${seed}, ${reader}: ${why} (${input.length} bytes)`, { cause })
    this.input = input
  }
}

/** Reads inputs `from` to `to` of a seed with everything. Throws a {@link Fault} at the first that does harm. */
export async function fuzzRdb(
  seed: number,
  from: number,
  to: number,
  progress: (number: number) => void = () => {},
): Promise<void> {
  process.env.AOFKIT_DEBUG = '1'
  const files = corpus()
  const folder = mkdtempSync(join(tmpdir(), 'aofkit-fuzz-'))
  const path = join(folder, 'dump.rdb')
  const all = Object.entries(readers(path))
  const meter = new Meter()
  try {
    for (let number = from; number < to; number++) {
      progress(number)
      const random = generator(seed + number)
      const input = changed(files, random)
      writeFileSync(path, input)
      for (const [name, read] of all) {
        meter.start()
        let error: unknown
        try {
          await read(input, random)
        } catch (thrown) {
          error = thrown ?? new Error('nothing was thrown')
        }
        const { ms, bytes } = meter.stop()
        const wrong = (why: string) => new Fault(seed + number, name, why, input, error)
        if (error !== undefined) throw wrong(String((error as Error).stack ?? error))
        if (ms > MOST_TIME) throw wrong(`${Math.round(ms)} ms`)
        if (bytes > MOST_MEMORY + MEMORY_A_BYTE * input.length) throw wrong(`${bytes} bytes of memory`)
      }
    }
  } finally {
    meter.remove()
    rmSync(folder, { recursive: true, force: true })
  }
}

/**
 * Measures time, and the memory that is asked for in buffers and typed arrays: of what is made in the meantime all
 * counts, also what is given up again and what the system has not handed out yet.
 */
class Meter {
  #bytes = 0
  #begin = process.cpuUsage()
  #rss = 0
  readonly #undo: (() => void)[] = []

  constructor() {
    const count = (bytes: number) => {
      this.#bytes += bytes
    }
    for (const name of [
      'Uint8Array',
      'Int32Array',
      'Uint32Array',
      'Float64Array',
      'BigInt64Array',
    ] as const) {
      const plain = globalThis[name] as unknown as Uint8ArrayConstructor
      const counted = new Proxy(plain, {
        construct(target, args, newTarget) {
          const made = Reflect.construct(
            target,
            args,
            newTarget === counted ? target : newTarget,
          ) as Uint8Array
          if (!(args[0] instanceof ArrayBuffer)) count(made.byteLength)
          return made
        },
      })
      Object.assign(globalThis, { [name]: counted })
      this.#undo.push(() => Object.assign(globalThis, { [name]: plain }))
    }
    for (const name of ['alloc', 'allocUnsafe', 'allocUnsafeSlow', 'concat', 'from'] as const) {
      const plain = Buffer[name] as (...args: unknown[]) => Buffer
      const counted = (...args: unknown[]) => {
        const made = plain.apply(Buffer, args)
        if (!(args[0] instanceof ArrayBuffer)) count(made.length)
        return made
      }
      Object.assign(Buffer, { [name]: counted })
      this.#undo.push(() => Object.assign(Buffer, { [name]: plain }))
    }
  }

  start(): void {
    this.#bytes = 0
    this.#begin = process.cpuUsage()
    this.#rss = process.resourceUsage().maxRSS * 1024
  }

  /** The larger of what was asked for, and by how much the process has become larger than ever. */
  stop(): { ms: number; bytes: number } {
    const grown = process.resourceUsage().maxRSS * 1024 - this.#rss
    // What others do on the machine does not count.
    const { user, system } = process.cpuUsage(this.#begin)
    return { ms: (user + system) / 1000, bytes: Math.max(this.#bytes, grown) }
  }

  remove(): void {
    for (const undo of this.#undo) undo()
  }
}
