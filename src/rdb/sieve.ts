import { type Exports, instantiate } from '../bytes/wasm.ts'
import { BATCH_CAPACITY, EntryBatch } from './events.ts'
import { SIEVE_MODULE } from './sieve.generated.ts'

/*
 * Nearly all values of nearly all files are sound. To see that of a small collection takes a fraction of the time that
 * it takes to decode it: no element is handed out, and nothing is said about what is wrong. So values go through a sieve
 * first, in WebAssembly, a batch at a time. What it does not pass is looked at again, by those who make findings.
 */

/** Where things stand in the module's memory (sieve.wat). */
const KEY_AT = 65_536
const VALUE_AT = 73_728
const END_AT = 81_920
const TYPE_AT = 90_112
const PRINTS_AT = 91_136
const CLOSELY_AT = 99_328
const INPUT_AT = 176_128
const INPUT_SIZE = 1 << 20

interface Memory {
  readonly module: Module
  readonly key: Float64Array
  readonly value: Float64Array
  readonly end: Float64Array
  readonly type: Uint8Array
  readonly prints: Int32Array
  readonly closely: Int32Array
}

type Module = Exports<{
  begin(first: number, second: number): void
  look(from: number, to: number, base: number, db: number, types: number, place: number): number
}>

let memory: Memory | undefined

/** Tells the entries with which nothing is wrong from those that must be looked at closely. */
export class Sieve {
  /** Those of the last batch that must be looked at closely, in their order: entries `0` to `count`. Valid as that is. */
  readonly closely = new EntryBatch(BATCH_CAPACITY)
  /**
   * Fingerprints of the keys of the last batch, two words each; zeros for integers, and where a key was not read. The same that `fingerprint` of operations/fingerprints.ts makes with the same seed and
   * the database as salt.
   */
  readonly prints: Int32Array
  readonly #memory: Memory

  /** @param seed two words that nobody knows beforehand; the same for all objects */
  constructor(seed: Int32Array) {
    memory ??= load(seed)
    this.#memory = memory
    this.prints = memory.prints
  }

  /**
   * Looks at a batch whose values are all there, in `bytes` of the batch. One that is passed has a key and a value that
   * decode without error, in a usual encoding in which nothing is odd; its value has elements, none of them twice, and
   * scores that are numbers, and in order where they should be.
   *
   * @param types those that may be passed, as a set of bits; types from 32 on never are
   */
  look(entries: EntryBatch, types: number): void {
    const { key, value, end, type, prints, module, closely } = this.#memory
    const { count, bytes, base } = entries
    key.set(entries.key.subarray(0, count))
    value.set(entries.value.subarray(0, count))
    end.set(entries.end.subarray(0, count))
    type.set(entries.type.subarray(0, count))
    let place = 0
    for (let from = 0; from < count; ) {
      const first = entries.key[from]
      let to = from
      while (to < count && entries.end[to] - first <= INPUT_SIZE) to++
      if (to > from) {
        module.bytes.set(bytes.subarray(first - base, entries.end[to - 1] - base), INPUT_AT)
        place = module.look(from, to, first, entries.db, types, place)
        from = to
      } else {
        prints.fill(0, 2 * from, 2 * from + 2)
        closely[place++] = from++
      }
    }
    this.#take(entries, place)
  }

  #take(entries: EntryBatch, count: number): void {
    const { closely } = this
    const numbers = this.#memory.closely
    closely.count = count
    closely.db = entries.db
    closely.bytes = entries.bytes
    closely.base = entries.base
    for (let i = 0; i < count; i++) {
      const from = numbers[i]
      closely.type[i] = entries.type[from]
      closely.offset[i] = entries.offset[from]
      closely.key[i] = entries.key[from]
      closely.value[i] = entries.value[from]
      closely.end[i] = entries.end[from]
      closely.expireAtMs[i] = entries.expireAtMs[from]
      closely.idle[i] = entries.idle[from]
      closely.frequency[i] = entries.frequency[from]
    }
  }
}

function load(seed: Int32Array): Memory {
  const module: Module = instantiate(SIEVE_MODULE)
  const { buffer } = module.bytes
  module.begin(seed[0], seed[1])
  return {
    module,
    key: new Float64Array(buffer, KEY_AT, BATCH_CAPACITY),
    value: new Float64Array(buffer, VALUE_AT, BATCH_CAPACITY),
    end: new Float64Array(buffer, END_AT, BATCH_CAPACITY),
    type: new Uint8Array(buffer, TYPE_AT, BATCH_CAPACITY),
    prints: new Int32Array(buffer, PRINTS_AT, 2 * BATCH_CAPACITY),
    closely: new Int32Array(buffer, CLOSELY_AT, BATCH_CAPACITY),
  }
}
