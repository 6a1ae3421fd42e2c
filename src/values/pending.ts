const FIRST_CAPACITY = 16

/**
 * Entries that were read by a group and are not acknowledged: told before the consumers who have them, and so
 * remembered until those come. 40 bytes each.
 */
export class PendingEntries {
  #count = 0
  #ms = new BigUint64Array(FIRST_CAPACITY)
  #seq = new BigUint64Array(FIRST_CAPACITY)
  #deliveredAtMs = new BigInt64Array(FIRST_CAPACITY)
  #deliveries = new BigUint64Array(FIRST_CAPACITY)
  /** Places by rising id; made when one is looked for in a list that does not rise, as every server writes it. */
  #order: Uint32Array | undefined
  #rising = true

  clear(): void {
    this.#count = 0
    this.#order = undefined
    this.#rising = true
  }

  add(ms: bigint, seq: bigint, deliveredAtMs: bigint, deliveries: bigint): void {
    if (this.#count === this.#ms.length) this.#grow()
    const i = this.#count++
    this.#ms[i] = ms
    this.#seq[i] = seq
    this.#deliveredAtMs[i] = deliveredAtMs
    this.#deliveries[i] = deliveries
    this.#order = undefined
    if (i > 0 && this.#compare(i - 1, ms, seq) >= 0) this.#rising = false
  }

  /** The place of an entry; -1 when it is not pending. */
  find(ms: bigint, seq: bigint): number {
    if (!this.#rising) this.#order ??= this.#sorted()
    let from = 0
    let to = this.#count
    while (from < to) {
      const middle = (from + to) >>> 1
      const i = this.#order?.[middle] ?? middle
      const order = this.#compare(i, ms, seq)
      if (order === 0) return i
      if (order < 0) from = middle + 1
      else to = middle
    }
    return -1
  }

  deliveredAtMs(place: number): bigint {
    return this.#deliveredAtMs[place]
  }

  deliveries(place: number): bigint {
    return this.#deliveries[place]
  }

  #compare(i: number, ms: bigint, seq: bigint): number {
    if (this.#ms[i] !== ms) return this.#ms[i] < ms ? -1 : 1
    if (this.#seq[i] !== seq) return this.#seq[i] < seq ? -1 : 1
    return 0
  }

  #sorted(): Uint32Array {
    const order = new Uint32Array(this.#count)
    for (let i = 0; i < order.length; i++) order[i] = i
    return order.sort((a, b) => this.#compare(a, this.#ms[b], this.#seq[b]))
  }

  #grow(): void {
    const capacity = 2 * this.#count
    const ms = new BigUint64Array(capacity)
    const seq = new BigUint64Array(capacity)
    const deliveredAtMs = new BigInt64Array(capacity)
    const deliveries = new BigUint64Array(capacity)
    ms.set(this.#ms)
    seq.set(this.#seq)
    deliveredAtMs.set(this.#deliveredAtMs)
    deliveries.set(this.#deliveries)
    this.#ms = ms
    this.#seq = seq
    this.#deliveredAtMs = deliveredAtMs
    this.#deliveries = deliveries
  }
}
