/*
 * XXH3 with 64 bits and without a seed: what DIGEST, IFDEQ and IFDNE of Redis 8.4 compare. They are rare, so that plain
 * bigints will do.
 */

const SECRET = Buffer.from(
  'b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221' +
    'b8084674f743248ee03590e6813a264c3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8' +
    'a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364eac5ac8334d3ebc3c581a0fffa1363eb' +
    '170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e',
  'hex',
)
const LOW = 0xffffffffn
const MASK = 0xffffffffffffffffn
const P32_1 = 0x9e3779b1n
const P32_2 = 0x85ebca77n
const P32_3 = 0xc2b2ae3dn
const P64_1 = 0x9e3779b185ebca87n
const P64_2 = 0xc2b2ae3d27d4eb4fn
const P64_3 = 0x165667b19e3779f9n
const P64_4 = 0x85ebca77c2b2ae63n
const P64_5 = 0x27d4eb2f165667c5n
const MX1 = 0x165667919e3779f9n
const MX2 = 0x9fb21c651e98df25n

const STRIPE = 64
const LANES = 8
/** Bytes of the secret by which one stripe is behind another. */
const STEP = 8
const BLOCK = ((SECRET.length - STRIPE) / STEP) * STRIPE
/** Where in the secret the last stripe, and the end, begin. */
const LAST_STRIPE = SECRET.length - STRIPE - 7
const MERGE = 11
/** As in the above, of the shortest secret that may be. */
const MIDDLE_END = 136 - 17
const MIDDLE_START = 3

/** The hash of some bytes, as an unsigned integer. */
export function xxh3(bytes: Uint8Array): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const { length } = bytes
  if (length > 240) return long(view)
  if (length > 128) return middle(view)
  if (length > 16) return short(view)
  return tiny(view)
}

const KEY = new DataView(SECRET.buffer, SECRET.byteOffset, SECRET.byteLength)

function key(at: number): bigint {
  return KEY.getBigUint64(at, true)
}

function tiny(view: DataView): bigint {
  const length = view.byteLength
  if (length > 8) {
    const low = view.getBigUint64(0, true) ^ key(24) ^ key(32)
    const high = view.getBigUint64(length - 8, true) ^ key(40) ^ key(48)
    return avalanche((BigInt(length) + swapped(low) + high + folded(low, high)) & MASK)
  }
  if (length > 3) {
    const first = BigInt(view.getUint32(0, true))
    const last = BigInt(view.getUint32(length - 4, true))
    let hash = (last + (first << 32n)) ^ key(8) ^ key(16)
    hash ^= rotated(hash, 49n) ^ rotated(hash, 24n)
    hash = (hash * MX2) & MASK
    hash ^= (hash >> 35n) + BigInt(length)
    hash = (hash * MX2) & MASK
    return hash ^ (hash >> 28n)
  }
  if (length === 0) return avalanche64(key(56) ^ key(64))
  const [first, middle, last] = [0, length >> 1, length - 1].map(at => BigInt(view.getUint8(at)))
  const all = (first! << 16n) | (middle! << 24n) | last! | (BigInt(length) << 8n)
  return avalanche64(all ^ (key(0) & LOW) ^ (key(0) >> 32n))
}

function short(view: DataView): bigint {
  const length = view.byteLength
  let sum = BigInt(length) * P64_1
  for (let i = (length - 1) >> 5; i >= 0; i--) {
    sum += mixed(view, 16 * i, 32 * i) + mixed(view, length - 16 * (i + 1), 32 * i + 16)
  }
  return avalanche(sum & MASK)
}

function middle(view: DataView): bigint {
  const length = view.byteLength
  let sum = BigInt(length) * P64_1
  for (let i = 0; i < 8; i++) sum += mixed(view, 16 * i, 16 * i)
  sum = avalanche(sum & MASK)
  for (let i = 8; i < length >> 4; i++) sum += mixed(view, 16 * i, 16 * (i - 8) + MIDDLE_START)
  return avalanche((sum + mixed(view, length - 16, MIDDLE_END)) & MASK)
}

function long(view: DataView): bigint {
  const length = view.byteLength
  const lanes = [P32_3, P64_1, P64_2, P64_3, P64_4, P32_2, P64_5, P32_1]
  for (let at = 0; at < length - STRIPE; at += STRIPE) {
    accumulate(lanes, view, at, ((at % BLOCK) / STRIPE) * STEP)
    if (at % BLOCK === BLOCK - STRIPE) scramble(lanes)
  }
  accumulate(lanes, view, length - STRIPE, LAST_STRIPE)
  let sum = BigInt(length) * P64_1
  for (let i = 0; i < LANES; i += 2) {
    sum += folded(lanes[i] ^ key(MERGE + 8 * i), lanes[i + 1] ^ key(MERGE + 8 * i + 8))
  }
  return avalanche(sum & MASK)
}

function accumulate(lanes: bigint[], view: DataView, at: number, secret: number): void {
  for (let i = 0; i < LANES; i++) {
    const data = view.getBigUint64(at + 8 * i, true)
    const keyed = data ^ key(secret + 8 * i)
    lanes[i ^ 1] = (lanes[i ^ 1] + data) & MASK
    lanes[i] = (lanes[i] + (keyed & LOW) * (keyed >> 32n)) & MASK
  }
}

function scramble(lanes: bigint[]): void {
  for (let i = 0; i < LANES; i++) {
    const lane = lanes[i]
    lanes[i] = ((lane ^ (lane >> 47n) ^ key(SECRET.length - STRIPE + 8 * i)) * P32_1) & MASK
  }
}

function mixed(view: DataView, at: number, secret: number): bigint {
  return folded(view.getBigUint64(at, true) ^ key(secret), view.getBigUint64(at + 8, true) ^ key(secret + 8))
}

/** The halves of a product of 128 bits, put together. */
function folded(a: bigint, b: bigint): bigint {
  const product = a * b
  return (product & MASK) ^ (product >> 64n)
}

function avalanche(of: bigint): bigint {
  const hash = ((of ^ (of >> 37n)) * MX1) & MASK
  return hash ^ (hash >> 32n)
}

/** That of XXH64. */
function avalanche64(of: bigint): bigint {
  let hash = ((of ^ (of >> 33n)) * P64_2) & MASK
  hash = ((hash ^ (hash >> 29n)) * P64_3) & MASK
  return hash ^ (hash >> 32n)
}

function rotated(value: bigint, bits: bigint): bigint {
  return ((value << bits) & MASK) | (value >> (64n - bits))
}

function swapped(value: bigint): bigint {
  let from = value
  let to = 0n
  for (let i = 0; i < 8; i++) {
    to = (to << 8n) | (from & 0xffn)
    from >>= 8n
  }
  return to
}
