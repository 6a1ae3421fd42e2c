/** Four words each, high ones first: their order is that of the ids. */
const WORDS = 4
const SMALLEST = 16
/** Room that was needed once for many is not kept. */
const LARGEST_KEPT = 1 << 16

/**
 * Ids of 16 bytes, to be found again; each may have an owner. They mostly come in rising order, and are looked for in
 * rising order: so they are kept as they come, sorted only when they were not, and looked for from the last hit on.
 * 20 bytes each, for as many as came: nothing is set aside for those that are only promised.
 */
export class IdTable {
  count = 0
  /** How many have an owner. */
  owned = 0
  #words = new Uint32Array(SMALLEST * WORDS)
  #owners = new Uint32Array(0)
  #rising = true
  #hit = 0

  clear(): void {
    this.count = 0
    this.owned = 0
    this.#rising = true
    this.#hit = 0
    if (this.#words.length > LARGEST_KEPT * WORDS) this.#words = new Uint32Array(SMALLEST * WORDS)
    this.#owners = new Uint32Array(0)
  }

  /** Adds the id at `bytes[at]`. False when it is the one that was added last. */
  add(bytes: Uint8Array, at: number): boolean {
    const { count } = this
    if ((count + 1) * WORDS > this.#words.length) {
      const larger = new Uint32Array(2 * this.#words.length)
      larger.set(this.#words)
      this.#words = larger
    }
    const words = this.#words
    const to = count * WORDS
    for (let i = 0; i < WORDS; i++) words[to + i] = wordAt(bytes, at + 4 * i)
    const order = count === 0 ? 1 : this.#compare(to, words, to - WORDS)
    if (order === 0) return false
    if (order < 0) this.#rising = false
    this.count = count + 1
    return true
  }

  /** Whether each was higher than the one before. */
  get rising(): boolean {
    return this.#rising
  }

  /** After all were added, before any is looked for. False when one stands there twice. */
  settle(): boolean {
    this.#owners = new Uint32Array(this.count)
    if (this.#rising) return true
    const { count } = this
    const words = this.#words
    const order = new Uint32Array(count)
    for (let i = 0; i < count; i++) order[i] = i
    order.sort((a, b) => this.#compare(a * WORDS, words, b * WORDS))
    const sorted = new Uint32Array(count * WORDS)
    for (let i = 0; i < count; i++)
      for (let j = 0; j < WORDS; j++) sorted[i * WORDS + j] = words[order[i] * WORDS + j]
    this.#words = sorted
    this.#rising = true
    for (let i = 1; i < count; i++) if (this.#compare(i * WORDS, sorted, (i - 1) * WORDS) === 0) return false
    return true
  }

  /** Number of the id at `bytes[at]`; -1 when it is not there. */
  find(bytes: Uint8Array, at: number): number {
    for (let i = 0; i < WORDS; i++) WANTED[i] = wordAt(bytes, at + 4 * i)
    const { count } = this
    let low = this.#hit
    let high = count
    if (low >= count || this.#compare(low * WORDS, WANTED, 0) > 0) {
      high = Math.min(low, count)
      low = 0
    } else {
      // In steps of doubled size, until it is passed: the next one is mostly near.
      for (let step = 1; low + step < count; step *= 2) {
        if (this.#compare((low + step) * WORDS, WANTED, 0) > 0) {
          high = low + step
          break
        }
        low += step
      }
    }
    while (low < high) {
      const middle = (low + high) >>> 1
      const order = this.#compare(middle * WORDS, WANTED, 0)
      if (order === 0) {
        this.#hit = middle
        return middle
      }
      if (order < 0) low = middle + 1
      else high = middle
    }
    return -1
  }

  /** Who owns number `index`; 0 for nobody. */
  owner(index: number): number {
    return this.#owners[index]
  }

  /** @param owner not 0 */
  own(index: number, owner: number): void {
    if (this.#owners[index] === 0) this.owned++
    this.#owners[index] = owner
  }

  #compare(at: number, others: Uint32Array, other: number): number {
    const words = this.#words
    for (let i = 0; i < WORDS; i++) {
      const a = words[at + i]
      const b = others[other + i]
      if (a !== b) return a < b ? -1 : 1
    }
    return 0
  }
}

const WANTED = new Uint32Array(WORDS)

function wordAt(bytes: Uint8Array, at: number): number {
  return ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0
}
