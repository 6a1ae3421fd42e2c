import type { Batch } from '../resp/scanner.ts'
import type { Slice } from '../values/slice.ts'

/** Which part of keys, and how many bytes of the log are about them. */
export interface PrefixSpace {
  /** The beginning that keys have in common; undefined: all others together. */
  readonly prefix: Uint8Array | undefined
  /** In the log, by an estimate; and in the result. */
  readonly before: number
  readonly after: number
}

const COLON = 0x3a
const ZERO = 0x30
const NINE = 0x39
/** Bytes of a prefix at most. */
const LONGEST = 64
/** Prefixes that are told apart: those that come later are counted together. */
const MOST = 10_000

/**
 * Which keys a log's bytes are about, by the beginnings of their names: up to the last colon, else up to the first digit. Of
 * the log a sample is looked at, which costs next to nothing.
 */
export class Space {
  /** Not always the same in a row: logs repeat themselves. */
  readonly #sampled: number
  readonly #before = new Counts()
  #after = new Counts()
  #skip = 0
  #state = 1

  /** @param sampled one in so many commands is looked at */
  constructor(sampled: number) {
    this.#sampled = sampled
  }

  /** Looks at records. */
  watch({ count, bytes, record, first, start, length }: Batch): void {
    let i = this.#skip
    for (; i < count; i += this.#step()) {
      const a = first[i] + 1
      if (first[i + 1] <= a) continue
      const size = (record[i + 1] - record[i]) * this.#sampled
      this.#before.add(bytes, start[a], start[a] + length[a], size)
    }
    this.#skip = i - count
  }

  /** A key takes so many bytes of the result. */
  wrote({ bytes, at, end }: Slice, size: number): void {
    this.#after.add(bytes, at, end, size)
  }

  /** Nothing was written yet. */
  restart(): void {
    this.#after = new Counts()
  }

  /** The prefixes of which most is gone, those of which nothing is left out. */
  superseded(most: number): PrefixSpace[] {
    const found: PrefixSpace[] = []
    for (const [name, before] of this.#before.entries()) {
      const after = this.#after.get(name)
      if (before > after)
        found.push({ prefix: name === undefined ? undefined : Buffer.from(name, 'latin1'), before, after })
    }
    return found.sort((a, b) => b.before - b.after - (a.before - a.after)).slice(0, most)
  }

  /** Between 1 and 2 * sampled - 1, sampled on average, the same in every run. */
  #step(): number {
    this.#state = (Math.imul(this.#state, 1_103_515_245) + 12_345) & 0x7fffffff
    return 1 + ((this.#state >>> 8) % (2 * this.#sampled - 1))
  }
}

/** Bytes by prefix. */
class Counts {
  readonly #bytes = new Map<string, number>()
  #others = 0
  /** The last prefix: neighbours often have the same. */
  #last = ''
  #lastBytes = 0

  add(bytes: Uint8Array, at: number, end: number, size: number): void {
    const to = prefixEnd(bytes, at, end)
    if (to === at) {
      this.#others += size
      return
    }
    if (isText(bytes, at, to, this.#last)) {
      this.#lastBytes += size
      return
    }
    this.#settle()
    this.#last = Buffer.from(bytes.buffer, bytes.byteOffset + at, to - at).toString('latin1')
    this.#lastBytes = size
  }

  get(name: string | undefined): number {
    this.#settle()
    return name === undefined ? this.#others : (this.#bytes.get(name) ?? 0)
  }

  *entries(): Generator<[name: string | undefined, bytes: number]> {
    this.#settle()
    yield* this.#bytes
    if (this.#others > 0) yield [undefined, this.#others]
  }

  #settle(): void {
    if (this.#lastBytes === 0) return
    const known = this.#bytes.get(this.#last)
    if (known === undefined && this.#bytes.size >= MOST) this.#others += this.#lastBytes
    else this.#bytes.set(this.#last, (known ?? 0) + this.#lastBytes)
    this.#lastBytes = 0
  }
}

/** Where the prefix of a name ends: behind the last colon before a digit or the end, else before the first digit. */
function prefixEnd(bytes: Uint8Array, at: number, end: number): number {
  const limit = Math.min(end, at + LONGEST)
  let colon = -1
  for (let i = at; i < limit; i++) {
    const byte = bytes[i]
    if (byte === COLON) colon = i
    else if (byte >= ZERO && byte <= NINE) return colon < 0 ? i : colon + 1
  }
  return colon < 0 ? limit : colon + 1
}

function isText(bytes: Uint8Array, at: number, end: number, text: string): boolean {
  if (end - at !== text.length) return false
  for (let i = at; i < end; i++) if (bytes[i] !== text.charCodeAt(i - at)) return false
  return true
}
