import { parseInteger } from '../src/bytes/decimal.ts'
import { Argument } from '../src/keyspace/argument.ts'
import { type Cell, CellKind } from '../src/keyspace/cells.ts'
import { parseScoreArgument } from '../src/keyspace/doubles.ts'
import { hashInView, hashOf } from '../src/keyspace/hash.ts'
import { Keyspace } from '../src/keyspace/keyspace.ts'
import { CommandTable } from '../src/servers/commands.ts'
import { generator } from './logs.ts'

/*
 * What replay does millions of times, alone, so that a regression can be found:
 *
 *     node scripts/run.js bench/hot-paths.ts [NAME ...]      those whose name contains a word
 *
 * The times are those of the fastest tenth of many short rounds, and so depend little on what else the machine does. Of
 * the lookups, which wait for memory, they do depend on it.
 */

const KEYS = 500_000
const TEXTS = 1 << 16
/** Calls in a round, and how many rounds. */
const ROUND = 1 << 14
const ROUNDS = 300
const GROUP = 64

const random = generator(7)
const int = (below: number) => Math.floor(random() * below)

/** Texts one behind the other. */
interface Texts {
  readonly bytes: Uint8Array
  readonly view: DataView
  readonly start: Int32Array
  readonly length: Int32Array
}

/** `TEXTS` of them; their number is a power of two. */
function texts(make: () => string): Texts {
  const all = Array.from({ length: TEXTS }, make)
  const bytes = new Uint8Array(Buffer.from(`${all.join(' ')}${' '.repeat(16)}`))
  const start = new Int32Array(TEXTS)
  let at = 0
  for (let i = 0; i < TEXTS; i++) {
    start[i] = at
    at += all[i].length + 1
  }
  const length = Int32Array.from(all, text => text.length)
  return { bytes, view: new DataView(bytes.buffer), start, length }
}

const keyspace = new Keyspace({ databases: 16, server: 'redis-8.0', expected: KEYS })
const argument = new Argument()
const value = new Argument().ofText('v'.repeat(35))

function cellOf(name: string, kind: CellKind): Cell {
  return keyspace.create(argument.ofText(name), kind)
}

function hashWith(name: string, fields: number): Cell {
  const cell = cellOf(name, CellKind.Hash)
  for (let i = 0; i < fields; i++) keyspace.hashes.set(cell, argument.ofText(`field:${i}`), value)
  return cell
}

for (let i = 0; i < KEYS; i++) {
  keyspace.strings.set(cellOf(`user:${i}:name`, CellKind.String), argument.ofText('0123456789'))
}
const small = hashWith('small', 12)
const large = hashWith('large', 200_000)
const list = cellOf('list', CellKind.List)
for (let i = 0; i < 1000; i++) keyspace.lists.pushBack(list, value)
keyspace.store.emptied.length = 0

const kept = texts(() => `user:${int(KEYS)}:name`)
const missing = texts(() => `user:${int(KEYS)}:mail`)
const integers = texts(() => `${int(1e9)}`)
const scores = texts(() => (random() < 0.5 ? `${int(100_000)}` : `${int(100_000)}.5`))
const fewFields = texts(() => `field:${int(12)}`)
const manyFields = texts(() => `field:${int(200_000)}`)
const NAMES = ['SET', 'hset', 'INCRBY', 'zadd', 'SADD', 'RPUSH', 'lpop', 'PEXPIREAT', 'DEL']
const names = texts(() => NAMES[int(NAMES.length)])
const table = new CommandTable('redis-8.0')

const hashes = new Int32Array(GROUP)
const starts = new Int32Array(GROUP)
const lengths = new Int32Array(GROUP)
const { texts: memory } = keyspace.store

/** @returns something that depends on what was done, so that it is done */
type Pass = (texts: Texts, from: number, to: number) => number

function argumentOf({ bytes, start, length }: Texts, i: number): Argument {
  return argument.of(bytes, start[i], start[i] + length[i])
}

const find: Pass = (texts, from, to) => {
  let found = 0
  for (let i = from; i < to; i++) found += keyspace.find(argumentOf(texts, i)) === 0 ? 0 : 1
  return found
}

const prefetch: Pass = ({ view, start, length }, from, to) => {
  for (let i = from; i < to; i += GROUP) {
    for (let k = 0; k < GROUP; k++) {
      starts[k] = start[i + k]
      lengths[k] = length[i + k]
      hashes[k] = hashInView(view, starts[k], lengths[k])
    }
    keyspace.prefetch(view, hashes, starts, lengths, GROUP)
  }
  return keyspace.touched
}

const fieldIn =
  (cell: Cell): Pass =>
  (texts, from, to) => {
    let found = 0
    for (let i = from; i < to; i++) found += keyspace.hashes.has(cell, argumentOf(texts, i)) ? 1 : 0
    return found
  }

const PATHS: readonly { readonly name: string; readonly texts: Texts; readonly pass: Pass }[] = [
  {
    name: 'hash of a key, byte by byte',
    texts: kept,
    pass: ({ bytes, start, length }, from, to) => {
      let sum = 0
      for (let i = from; i < to; i++) sum ^= hashOf(bytes, start[i], start[i] + length[i])
      return sum
    },
  },
  {
    name: 'hash of a key, four bytes at a time',
    texts: kept,
    pass: ({ view, start, length }, from, to) => {
      let sum = 0
      for (let i = from; i < to; i++) sum ^= hashInView(view, start[i], length[i])
      return sum
    },
  },
  {
    name: 'name of a command',
    texts: names,
    pass: ({ bytes, start, length }, from, to) => {
      let sum = 0
      for (let i = from; i < to; i++) sum += table.lookup(bytes, start[i], length[i])
      return sum
    },
  },
  { name: 'key that is there', texts: kept, pass: find },
  { name: 'key that is not', texts: missing, pass: find },
  { name: `keys that are there, ${GROUP} together`, texts: kept, pass: prefetch },
  { name: `keys that are not, ${GROUP} together`, texts: missing, pass: prefetch },
  {
    name: 'integer',
    texts: integers,
    pass: ({ bytes, start, length }, from, to) => {
      let sum = 0
      for (let i = from; i < to; i++) sum += parseInteger(bytes, start[i], length[i]) ?? 0
      return sum
    },
  },
  {
    name: 'score, half of them with a fraction',
    texts: scores,
    pass: (texts, from, to) => {
      let sum = 0
      for (let i = from; i < to; i++) sum += parseScoreArgument(argumentOf(texts, i), 'redis-8.0') ?? 0
      return sum
    },
  },
  { name: 'field of a hash of 12', texts: fewFields, pass: fieldIn(small) },
  { name: 'field of a hash of 200,000', texts: manyFields, pass: fieldIn(large) },
  {
    name: 'item pushed to and popped from a list of 1,000',
    texts: kept,
    pass: (texts, from, to) => {
      for (let i = from; i < to; i++) {
        keyspace.lists.pushBack(list, argumentOf(texts, i))
        keyspace.lists.dropFront(list, 1)
      }
      return keyspace.lists.length(list)
    },
  },
  {
    name: 'text added and freed',
    texts: kept,
    pass: ({ bytes, start, length }, from, to) => {
      let sum = 0
      for (let i = from; i < to; i++) {
        const ref = memory.add(bytes, start[i], start[i] + length[i])
        sum ^= ref
        memory.free(ref, length[i])
      }
      return sum
    },
  },
]

const words = process.argv.slice(2)
process.stdout.write(`${process.version}; nanoseconds a call, and the texts that were given by then\n\n`)
let result = 0
for (const { name, texts, pass } of PATHS) {
  if (words.length > 0 && !words.some(word => name.includes(word))) continue
  const rounds: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const from = (round * ROUND) % TEXTS
    const started = process.hrtime.bigint()
    result += pass(texts, from, from + ROUND)
    rounds.push(Number(process.hrtime.bigint() - started) / ROUND)
  }
  const time = rounds.sort((a, b) => a - b)[ROUNDS / 10]
  const size = texts.length.reduce((sum, length) => sum + length, 0) / TEXTS
  process.stdout.write(
    `${name.padEnd(48)} ${time.toFixed(1).padStart(7)} ns ${((size / time) * 1000).toFixed(0).padStart(6)} MB/s\n`,
  )
}
if (Number.isNaN(result)) process.exitCode = 1
