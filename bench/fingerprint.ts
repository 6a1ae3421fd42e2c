import { KeyspaceDigest } from '../src/values/digest.ts'
import { type ElementSink, type Kind, NO_EXPIRY } from '../src/values/elements.ts'
import { KeyspaceFingerprint } from '../src/values/fingerprint.ts'
import { Slice } from '../src/values/slice.ts'

/*
 * What an element costs in a fingerprint, and in the digest of servers:
 *
 *     node scripts/run.js bench/fingerprint.ts
 */

const ROUNDS = 7

interface Taker extends ElementSink {
  key(db: number, key: Slice, kind: Kind, expireAtMs: bigint): unknown
}

interface Load {
  readonly name: string
  /** Bytes of an element, and how many there are. */
  readonly size: number
  readonly count: number
  tell(taker: Taker, count: number): void
}

const text = Buffer.alloc(1 << 20, 'the quick brown fox jumps over the lazy dog; ')
const key = new Slice()
const first = new Slice()
const second = new Slice()

function strings(size: number, count: number): Load {
  return {
    name: `strings of ${size} bytes, keys of 16`,
    size,
    count,
    tell(taker) {
      for (let i = 0; i < count; i++) {
        const at = i % 1000
        taker.key(0, key.set(text, at, at + 16), 'string', NO_EXPIRY)
        taker.begin('string', 1)
        taker.string(first.set(text, 0, size))
        taker.end()
      }
    },
  }
}

function collection(kind: Kind, size: number, count: number, one: (taker: Taker, i: number) => void): Load {
  return {
    name: `${kind}, elements of ${size} bytes`,
    size,
    count,
    tell(taker) {
      taker.key(0, key.set(text, 0, 16), kind, NO_EXPIRY)
      taker.begin(kind, count)
      for (let i = 0; i < count; i++) one(taker, i % 1000)
      taker.end()
    },
  }
}

const LOADS: readonly Load[] = [
  collection('set', 10, 2_000_000, (taker, at) => taker.member(first.set(text, at, at + 10))),
  collection('list', 10, 2_000_000, (taker, at) => taker.item(first.set(text, at, at + 10))),
  collection('zset', 10, 2_000_000, (taker, at) => taker.scored(first.set(text, at, at + 10), at)),
  collection('hash', 20, 2_000_000, (taker, at) =>
    taker.field(first.set(text, at, at + 8), second.set(text, at, at + 12), NO_EXPIRY),
  ),
  strings(16, 1_000_000),
  strings(80, 1_000_000),
  strings(1000, 300_000),
  strings(16_384, 40_000),
  strings(1 << 20, 600),
]

/** Nanoseconds an element, the median. */
function measure(load: Load, make: () => Taker): number {
  const times: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const taker = make()
    const from = process.cpuUsage().user
    load.tell(taker, load.count)
    times.push(process.cpuUsage().user - from)
  }
  times.sort((a, b) => a - b)
  return (times[ROUNDS >> 1] * 1000) / load.count
}

for (const load of LOADS) {
  const fingerprint = measure(load, () => new KeyspaceFingerprint())
  const digest = measure(load, () => new KeyspaceDigest({ server: 'redis-8.0' }))
  const rate = (ns: number) => `${((load.size / ns) * 1000).toFixed(0)} MB/s`
  console.log(
    `${load.name.padEnd(40)} fingerprint ${fingerprint.toFixed(0)} ns, ${rate(fingerprint)}; ` +
      `digest ${digest.toFixed(0)} ns, ${rate(digest)}`,
  )
}
