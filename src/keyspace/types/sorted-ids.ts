import type { Id } from './stream-id.ts'

/** Ids in a chunk at most. */
const MOST = 256
const FEWEST = 4
/** Words of an id. */
const ID_WORDS = 4

interface Chunk {
  words: Int32Array
  count: number
}

/**
 * Ids in their order, each with some words beside it: in chunks of up to 256, so that a million of them can be added
 * and removed anywhere. One place in it is the current one, to which {@link find} and {@link seek} go.
 */
export class SortedIds {
  count = 0
  readonly #stride: number
  readonly #chunks: Chunk[] = []
  /** The current place: number of the chunk, and of the id in it. */
  #chunk = 0
  #index = 0

  /** @param beside how many words stand beside each id */
  constructor(beside: number) {
    this.#stride = ID_WORDS + beside
  }

  /** Whether there is an id at the current place. */
  get here(): boolean {
    return this.#chunk < this.#chunks.length && this.#index < this.#chunks[this.#chunk].count
  }

  /** The words in which the current id is; what is beside it begins at {@link at}. Void after a change. */
  get words(): Int32Array {
    return this.#chunks[this.#chunk].words
  }

  get at(): number {
    return this.#index * this.#stride + ID_WORDS
  }

  /** Makes `id` the current one. */
  read(id: Id): Id {
    return id.read(this.words, this.#index * this.#stride)
  }

  /** Goes to the id; false when it is not there: then to where it would be. */
  find(id: Id): boolean {
    const chunks = this.#chunks
    const stride = this.#stride
    // Nearly all are added behind the last one.
    let high = chunks.length - 1
    if (high < 0) {
      this.#chunk = 0
      this.#index = 0
      return false
    }
    let low = 0
    if (id.compareTo(chunks[high].words, 0) >= 0) low = high
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if (id.compareTo(chunks[middle].words, 0) < 0) high = middle - 1
      else low = middle
    }
    const { words, count } = chunks[low]
    let from = 0
    let to = count
    if (id.compareTo(words, (count - 1) * stride) > 0) from = count
    while (from < to) {
      const middle = (from + to) >>> 1
      if (id.compareTo(words, middle * stride) > 0) from = middle + 1
      else to = middle
    }
    this.#chunk = low
    this.#index = from
    return from < count && id.compareTo(words, from * stride) === 0
  }

  /** Goes to the first id that does not come before this one. */
  seek(id: Id): void {
    this.find(id)
    this.#settle()
  }

  /** Goes to the first of all. */
  first(): void {
    this.#chunk = 0
    this.#index = 0
  }

  /** Goes to the next one. */
  advance(): void {
    this.#index++
    this.#settle()
  }

  /** Adds an id that {@link find} has just not found, and goes to it: what is beside it is zeros. */
  insert(id: Id): void {
    const chunks = this.#chunks
    const stride = this.#stride
    this.count++
    if (this.#chunk === chunks.length) chunks.push({ words: new Int32Array(FEWEST * stride), count: 0 })
    let chunk = chunks[this.#chunk]
    if (chunk.count === MOST) {
      if (this.#index === MOST && this.#chunk === chunks.length - 1) {
        chunk = { words: new Int32Array(MOST * stride), count: 0 }
        chunks.push(chunk)
        this.#chunk++
        this.#index = 0
      } else chunk = this.#split(chunk)
    } else if (chunk.count * stride === chunk.words.length) {
      const larger = new Int32Array(Math.min(MOST, 2 * chunk.count) * stride)
      larger.set(chunk.words)
      chunk.words = larger
    }
    const at = this.#index * stride
    const { words } = chunk
    if (this.#index < chunk.count) words.copyWithin(at + stride, at, chunk.count * stride)
    words.fill(0, at, at + stride)
    id.write(words, at)
    chunk.count++
  }

  /** Removes the current id, and goes to the one behind it. */
  remove(): void {
    const chunk = this.#chunks[this.#chunk]
    const stride = this.#stride
    const at = this.#index * stride
    this.count--
    chunk.count--
    if (chunk.count === 0) {
      this.#chunks.splice(this.#chunk, 1)
      this.#index = 0
      return
    }
    chunk.words.copyWithin(at, at + stride, (chunk.count + 1) * stride)
    this.#settle()
  }

  /** From behind the last id of a chunk to the first of the next one. */
  #settle(): void {
    const chunk = this.#chunks[this.#chunk]
    if (chunk === undefined || this.#index < chunk.count) return
    this.#chunk++
    this.#index = 0
  }

  #split(chunk: Chunk): Chunk {
    const half = MOST / 2
    const stride = this.#stride
    const words = new Int32Array(MOST * stride)
    words.set(chunk.words.subarray(half * stride))
    const second = { words, count: MOST - half }
    this.#chunks.splice(this.#chunk + 1, 0, second)
    chunk.count = half
    if (this.#index <= half) return chunk
    this.#chunk++
    this.#index -= half
    return second
  }
}
