/**
 * One compressed block of a zstd frame (RFC 8878, 3.1.1.2.3), decoded behind what is decoded already:
 *
 *     literals header | Huffman tree? | literals: 1 or 4 streams | sequences header | FSE tables | sequences
 *     <------------------ literals section ------------------->   <--------- sequences section ---------->
 *
 * A sequence says: copy so many literals, then copy so many bytes from so far back. Streams of bits are read backwards,
 * from a marker bit in their last byte. Every length, distance and table is checked against what is there; a block
 * costs time in proportion to its bytes and its 128 KiB of output, whatever it claims.
 */

/** The most that one block decodes to, in bytes. */
export const MAX_BLOCK = 128 * 1024
/** Bytes that must be readable before and behind a block: streams are read in words of four. */
export const BLOCK_MARGIN = 16

const HUFFMAN_MAX_BITS = 11
const WEIGHTS_MAX_LOG = 6
/** Offset codes above this reach further back than any window that is accepted. */
const MAX_OFFSET_CODE = 28

/** Thrown for a block that cannot be decoded; whoever knows where the block stands makes a FormatError of it. */
export class BlockError extends Error {
  override readonly name = 'BlockError'
}

/** Entries are symbol | bits << 8 | next state << 16. */
interface FseTable {
  readonly entries: Int32Array
  log: number
  /** False until a block has defined it: "repeat" is an error then. */
  defined: boolean
}

const LITERAL_LENGTH_BITS = [
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14,
  15, 16,
]
const MATCH_LENGTH_BITS = [
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1,
  2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
]
const LITERAL_LENGTH_DEFAULT = [
  4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1, -1, -1, -1,
  -1,
]
const MATCH_LENGTH_DEFAULT = [
  1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
  1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1,
]
const OFFSET_DEFAULT = [
  1, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1,
]

/** First value of each code: each code covers 2^bits values. */
function bases(bits: readonly number[], first: number): Int32Array {
  const result = new Int32Array(bits.length)
  for (const [code, width] of bits.entries()) {
    result[code] = first
    first += 1 << width
  }
  return result
}

const LITERAL_LENGTH_BASE = bases(LITERAL_LENGTH_BITS, 0)
const MATCH_LENGTH_BASE = bases(MATCH_LENGTH_BITS, 3)
const LITERAL_LENGTH_WIDTH = Uint8Array.from(LITERAL_LENGTH_BITS)
const MATCH_LENGTH_WIDTH = Uint8Array.from(MATCH_LENGTH_BITS)

/** What a kind of code allows. */
interface Kind {
  readonly name: string
  readonly maxLog: number
  readonly maxSymbol: number
  readonly defaults: readonly number[]
  readonly defaultLog: number
}
const LITERAL_LENGTHS: Kind = {
  name: 'literal lengths',
  maxLog: 9,
  maxSymbol: 35,
  defaults: LITERAL_LENGTH_DEFAULT,
  defaultLog: 6,
}
const MATCH_LENGTHS: Kind = {
  name: 'match lengths',
  maxLog: 9,
  maxSymbol: 52,
  defaults: MATCH_LENGTH_DEFAULT,
  defaultLog: 6,
}
const OFFSETS: Kind = { name: 'offsets', maxLog: 8, maxSymbol: 31, defaults: OFFSET_DEFAULT, defaultLog: 5 }

/** Position of the highest bit that is set. */
const highestBit = (value: number): number => 31 - Math.clz32(value)

/** Decodes the compressed blocks of a frame, in order: tables and distances are carried from block to block. */
export class BlockDecoder {
  readonly #literals = new Uint8Array(MAX_BLOCK)
  /** Symbol | bits << 8, by the next `#huffmanBits` bits of the stream. */
  readonly #huffman = new Uint16Array(1 << HUFFMAN_MAX_BITS)
  #huffmanBits = 0
  readonly #weights = new Uint8Array(256)
  readonly #weightTable = emptyTable(WEIGHTS_MAX_LOG)
  readonly #literalLengths = emptyTable(LITERAL_LENGTHS.maxLog)
  readonly #matchLengths = emptyTable(MATCH_LENGTHS.maxLog)
  readonly #offsets = emptyTable(OFFSETS.maxLog)
  readonly #probabilities = new Int16Array(256)
  readonly #nextStates = new Int32Array(256)
  readonly #distances = new Int32Array(3)

  // Where the literals of the current block stand.
  #literalBytes = this.#literals
  #literalStart = 0
  #literalEnd = 0

  /** Forgets everything: a new frame begins. */
  reset(): void {
    this.#huffmanBits = 0
    for (const table of [this.#literalLengths, this.#matchLengths, this.#offsets]) table.defined = false
    this.#distances.set([1, 4, 8])
  }

  /**
   * Decodes the block `bytes[from, to)` to `target`, behind the frame's last bytes in `target[0, at)`, and returns the
   * index behind what it wrote. `bytes` is readable {@link BLOCK_MARGIN} bytes before and behind the block, `target` has room for
   * `limit` bytes. Throws a BlockError.
   */
  decode(bytes: Uint8Array, from: number, to: number, target: Uint8Array, at: number, limit: number): number {
    const sequences = this.#readLiterals(bytes, from, to, limit)
    return this.#runSequences(bytes, sequences, to, target, at, at + limit)
  }

  /** Reads the literals section and returns the index behind it. */
  #readLiterals(bytes: Uint8Array, from: number, to: number, limit: number): number {
    if (from >= to) throw new BlockError('empty')
    const first = bytes[from]
    const type = first & 3
    const format = (first >> 2) & 3
    if (type < 2) {
      const header = (format & 1) === 0 ? 1 : format === 1 ? 2 : 3
      let size = (format & 1) === 0 ? first >> 3 : (first >> 4) | (bytes[from + 1] << 4)
      if (header === 3) size |= bytes[from + 2] << 12
      const start = from + header
      const end = start + (type === 0 ? size : 1)
      if (end > to || size > limit) throw new BlockError('literals longer than the block')
      if (type === 0) this.#setLiterals(bytes, start, size)
      else {
        this.#literals.fill(bytes[start], 0, size)
        this.#setLiterals(this.#literals, 0, size)
      }
      return end
    }
    const header = format < 2 ? 3 : format + 2
    const width = format < 2 ? 10 : format === 2 ? 14 : 18
    // At most 4 + 2 * 18 bits: more than an integer operation of JavaScript holds.
    let value = 0
    for (let index = header - 1; index >= 0; index--) value = value * 256 + bytes[from + index]
    value = Math.floor(value / 16)
    const size = value % (1 << width)
    const end = from + header + Math.floor(value / (1 << width))
    let start = from + header
    if (end > to || size > limit) throw new BlockError('literals longer than the block')
    if (type === 2) start = this.#readHuffmanTree(bytes, start, end)
    else if (this.#huffmanBits === 0) throw new BlockError('repeats a Huffman tree before there is one')
    if (format === 0) this.#readHuffman(bytes, start, end, 0, size)
    else {
      const streams = start + 6
      const part = (size + 3) >> 2
      if (streams > end || 3 * part > size)
        throw new BlockError('four streams of literals without room for them')
      const second = streams + (bytes[start] | (bytes[start + 1] << 8))
      const third = second + (bytes[start + 2] | (bytes[start + 3] << 8))
      const fourth = third + (bytes[start + 4] | (bytes[start + 5] << 8))
      if (fourth > end) throw new BlockError('streams of literals longer than the section')
      this.#readHuffman(bytes, streams, second, 0, part)
      this.#readHuffman(bytes, second, third, part, 2 * part)
      this.#readHuffman(bytes, third, fourth, 2 * part, 3 * part)
      this.#readHuffman(bytes, fourth, end, 3 * part, size)
    }
    this.#setLiterals(this.#literals, 0, size)
    return end
  }

  #setLiterals(bytes: Uint8Array, start: number, size: number): void {
    this.#literalBytes = bytes as Uint8Array<ArrayBuffer>
    this.#literalStart = start
    this.#literalEnd = start + size
  }

  /** Decodes one stream of Huffman codes to `literals[at, end)`. */
  #readHuffman(bytes: Uint8Array, from: number, to: number, at: number, end: number): void {
    let left = bitsOf(bytes, from, to)
    const width = this.#huffmanBits
    const mask = (1 << width) - 1
    const table = this.#huffman
    const literals = this.#literals
    const base = from << 3
    // Two codes of at most 11 bits fit into the 25 bits that a word gives at any bit position.
    for (const pairs = end - 1; at < pairs; at += 2) {
      if (left < 0) break
      const bit = base + left - 2 * width
      const byte = bit >> 3
      const word =
        (bytes[byte] | (bytes[byte + 1] << 8) | (bytes[byte + 2] << 16) | (bytes[byte + 3] << 24)) >>>
        (bit & 7)
      const one = table[(word >>> width) & mask]
      const used = one >> 8
      const two = table[(word >>> (width - used)) & mask]
      literals[at] = one
      literals[at + 1] = two
      left -= used + (two >> 8)
    }
    if (at < end && left >= 0) {
      const bit = base + left - width
      const byte = bit >> 3
      const one =
        table[((bytes[byte] | (bytes[byte + 1] << 8) | (bytes[byte + 2] << 16)) >> (bit & 7)) & mask]
      literals[at++] = one
      left -= one >> 8
    }
    if (left !== 0) throw new BlockError('a stream of literals does not end where it should')
  }

  /** Reads the description of a Huffman tree: the weight of every symbol but the last. */
  #readHuffmanTree(bytes: Uint8Array, from: number, to: number): number {
    if (from >= to) throw new BlockError('Huffman tree cut off')
    const weights = this.#weights
    const header = bytes[from++]
    let count = 0
    let end: number
    if (header < 128) {
      end = from + header
      if (end > to) throw new BlockError('Huffman tree longer than its section')
      count = this.#readWeights(bytes, from, end)
    } else {
      count = header - 127
      end = from + ((count + 1) >> 1)
      if (end > to) throw new BlockError('Huffman tree longer than its section')
      for (let index = 0; index < count; index++) {
        const pair = bytes[from + (index >> 1)]
        weights[index] = (index & 1) === 0 ? pair >> 4 : pair & 15
      }
    }
    this.#buildHuffman(count)
    return end
  }

  /** Weights compressed with two interleaved FSE states; returns how many there are. */
  #readWeights(bytes: Uint8Array, from: number, to: number): number {
    const table = this.#weightTable
    const start = this.#readTable(bytes, from, to, table, 'weights', WEIGHTS_MAX_LOG, 255)
    const weights = this.#weights
    const entries = table.entries
    let left = bitsOf(bytes, start, to)
    const read = (width: number): number => {
      left -= width
      const bit = (start << 3) + left
      return ((bytes[bit >> 3] | (bytes[(bit >> 3) + 1] << 8)) >> (bit & 7)) & ((1 << width) - 1)
    }
    let one = read(table.log)
    let two = read(table.log)
    if (left < 0) throw new BlockError('Huffman weights cut off')
    for (let count = 0; count < 254; ) {
      weights[count++] = entries[one]
      one = (entries[one] >>> 16) + read((entries[one] >> 8) & 255)
      if (left < 0) {
        weights[count++] = entries[two]
        return count
      }
      const next = two
      two = one
      one = next
    }
    throw new BlockError('more than 255 Huffman weights')
  }

  /** Makes the table from `count` weights; the weight of the last symbol is what is missing to a power of two. */
  #buildHuffman(count: number): void {
    const weights = this.#weights
    const ranks = new Int32Array(HUFFMAN_MAX_BITS + 2)
    let sum = 0
    for (let symbol = 0; symbol < count; symbol++) {
      const weight = weights[symbol]
      if (weight > HUFFMAN_MAX_BITS) throw new BlockError('Huffman code too long')
      ranks[weight]++
      if (weight > 0) sum += 1 << (weight - 1)
    }
    const width = sum === 0 ? 0 : highestBit(sum) + 1
    if (width === 0 || width > HUFFMAN_MAX_BITS) throw new BlockError('no proper Huffman tree')
    const rest = (1 << width) - sum
    if ((rest & (rest - 1)) !== 0) throw new BlockError('no proper Huffman tree')
    weights[count] = highestBit(rest) + 1
    ranks[weights[count]]++
    count++
    if (ranks[1] < 2 || (ranks[1] & 1) !== 0) throw new BlockError('no proper Huffman tree')
    const places = new Int32Array(HUFFMAN_MAX_BITS + 2)
    for (let weight = 1; weight <= width; weight++) {
      places[weight + 1] = places[weight] + (ranks[weight] << (weight - 1))
    }
    for (let symbol = 0; symbol < count; symbol++) {
      const weight = weights[symbol]
      if (weight === 0) continue
      const entry = symbol | ((width + 1 - weight) << 8)
      const place = places[weight]
      places[weight] += 1 << (weight - 1)
      this.#huffman.fill(entry, place, places[weight])
    }
    this.#huffmanBits = width
  }

  /** Reads the sequences section and carries it out; returns the index behind what it wrote. */
  #runSequences(
    bytes: Uint8Array,
    from: number,
    to: number,
    target: Uint8Array,
    at: number,
    end: number,
  ): number {
    if (from >= to) throw new BlockError('no count of sequences')
    let count = bytes[from++]
    if (count > 127) {
      if (count < 255) count = ((count - 128) << 8) | bytes[from++]
      else {
        count = (bytes[from] | (bytes[from + 1] << 8)) + 0x7f00
        from += 2
      }
    }
    const literals = this.#literalBytes
    let literal = this.#literalStart
    const literalEnd = this.#literalEnd
    if (count === 0) {
      if (from !== to) throw new BlockError('bytes behind a block without sequences')
    } else {
      if (from >= to) throw new BlockError('sequences cut off')
      const modes = bytes[from++]
      if ((modes & 3) !== 0) throw new BlockError('reserved bits set')
      from = this.#readMode(bytes, from, to, modes >> 6, this.#literalLengths, LITERAL_LENGTHS)
      from = this.#readMode(bytes, from, to, (modes >> 4) & 3, this.#offsets, OFFSETS)
      from = this.#readMode(bytes, from, to, (modes >> 2) & 3, this.#matchLengths, MATCH_LENGTHS)
      const literalLengths = this.#literalLengths.entries
      const matchLengths = this.#matchLengths.entries
      const offsets = this.#offsets.entries
      // The stream is what is between `bit` and `first`, read from its end.
      const first = from << 3
      let bit = first + bitsOf(bytes, from, to)
      let [near, middle, far] = this.#distances

      bit -= this.#literalLengths.log
      let literalState = peek(bytes, bit, this.#literalLengths.log)
      bit -= this.#offsets.log
      let offsetState = peek(bytes, bit, this.#offsets.log)
      bit -= this.#matchLengths.log
      let matchState = peek(bytes, bit, this.#matchLengths.log)

      for (;;) {
        const literalEntry = literalLengths[literalState]
        const offsetEntry = offsets[offsetState]
        const matchEntry = matchLengths[matchState]

        const offsetCode = offsetEntry & 255
        if (offsetCode > MAX_OFFSET_CODE) throw new BlockError('distance beyond any window')
        let value = 1 << offsetCode
        bit -= offsetCode
        if (offsetCode <= 25) value += peek(bytes, bit, offsetCode)
        else value += (peek(bytes, bit + 16, offsetCode - 16) << 16) + peek(bytes, bit, 16)

        const matchCode = matchEntry & 255
        const literalCode = literalEntry & 255
        const matchWidth = MATCH_LENGTH_WIDTH[matchCode]
        const literalWidth = LITERAL_LENGTH_WIDTH[literalCode]
        let match = MATCH_LENGTH_BASE[matchCode]
        let run = LITERAL_LENGTH_BASE[literalCode]
        if (matchWidth + literalWidth > 0) {
          bit -= matchWidth
          match += peek(bytes, bit, matchWidth)
          bit -= literalWidth
          run += peek(bytes, bit, literalWidth)
        }

        if (value > 3) {
          far = middle
          middle = near
          near = value - 3
        } else {
          if (run === 0) value++
          if (value === 2) {
            const swap = middle
            middle = near
            near = swap
          } else if (value > 2) {
            const next = value === 3 ? far : near - 1
            far = middle
            middle = near
            near = next
          }
        }
        if (literal + run > literalEnd) throw new BlockError('a sequence takes more literals than there are')
        if (at + run + match > end) throw new BlockError('decodes to more than a block may hold')
        if (run > 16) {
          target.set(literals.subarray(literal, literal + run), at)
          literal += run
          at += run
        } else while (run-- > 0) target[at++] = literals[literal++]
        let source = at - near
        if (source < 0 || near <= 0) throw new BlockError('a distance reaches back beyond the start')
        if (near >= match && match > 32) {
          target.copyWithin(at, source, source + match)
          at += match
        } else while (match-- > 0) target[at++] = target[source++]

        if (--count === 0) break
        if (bit < first) throw new BlockError('sequences cut off')
        const literalBits = (literalEntry >> 8) & 255
        const matchBits = (matchEntry >> 8) & 255
        const offsetBits = (offsetEntry >> 8) & 255
        bit -= literalBits + matchBits
        const both = peek(bytes, bit, literalBits + matchBits)
        literalState = (literalEntry >>> 16) + (both >> matchBits)
        matchState = (matchEntry >>> 16) + (both & ((1 << matchBits) - 1))
        bit -= offsetBits
        offsetState = (offsetEntry >>> 16) + peek(bytes, bit, offsetBits)
      }
      if (bit !== first) throw new BlockError('sequences do not end where they should')
      this.#distances[0] = near
      this.#distances[1] = middle
      this.#distances[2] = far
    }
    if (at + literalEnd - literal > end) throw new BlockError('decodes to more than a block may hold')
    target.set(literals.subarray(literal, literalEnd), at)
    return at + literalEnd - literal
  }

  /** Gets the table of one kind of code ready: predefined, a single symbol, described here, or as before. */
  #readMode(bytes: Uint8Array, from: number, to: number, mode: number, table: FseTable, kind: Kind): number {
    if (mode === 3) {
      if (!table.defined) throw new BlockError(`repeats a table of ${kind.name} before there is one`)
      return from
    }
    table.defined = true
    if (mode === 0) {
      this.#probabilities.set(kind.defaults)
      this.#buildTable(table, kind.defaultLog, kind.defaults.length)
      return from
    }
    if (mode === 2) return this.#readTable(bytes, from, to, table, kind.name, kind.maxLog, kind.maxSymbol)
    if (from >= to) throw new BlockError('sequences cut off')
    if (bytes[from] > kind.maxSymbol) throw new BlockError(`no such code among the ${kind.name}`)
    table.entries[0] = bytes[from]
    table.log = 0
    return from + 1
  }

  /** Reads the description of an FSE table, bits from the front; returns the index behind it. */
  #readTable(
    bytes: Uint8Array,
    from: number,
    to: number,
    table: FseTable,
    name: string,
    maxLog: number,
    maxSymbol: number,
  ): number {
    if (from >= to) throw new BlockError(`table of ${name} cut off`)
    const log = (bytes[from] & 15) + 5
    if (log > maxLog) throw new BlockError(`table of ${name} too large`)
    const end = to << 3
    let bit = (from << 3) + 4
    let remaining = (1 << log) + 1
    let threshold = 1 << log
    let width = log + 1
    let symbol = 0
    while (remaining > 1) {
      if (symbol > maxSymbol || bit > end) throw new BlockError(`table of ${name} does not add up`)
      const bits = peek(bytes, bit, width)
      // Values up to `remaining` can occur: the lower ones among them are a bit shorter.
      const spared = 2 * threshold - 1 - remaining
      let count = bits & (threshold - 1)
      if (count < spared) bit += width - 1
      else {
        count = bits
        if (count >= threshold) count -= spared
        bit += width
      }
      count--
      remaining -= Math.abs(count)
      this.#probabilities[symbol++] = count
      if (count === 0) {
        for (;;) {
          const zeros = peek(bytes, bit, 2)
          bit += 2
          if (symbol + zeros > maxSymbol + 1 || bit > end) {
            throw new BlockError(`table of ${name} does not add up`)
          }
          this.#probabilities.fill(0, symbol, symbol + zeros)
          symbol += zeros
          if (zeros < 3) break
        }
      }
      while (remaining < threshold) {
        width--
        threshold >>= 1
      }
    }
    if (bit > end) throw new BlockError(`table of ${name} does not add up`)
    this.#buildTable(table, log, symbol)
    return (bit + 7) >> 3
  }

  /** Spreads the probabilities of `symbols` symbols over a table of 2^log states. */
  #buildTable(table: FseTable, log: number, symbols: number): void {
    const { entries } = table
    const probabilities = this.#probabilities
    const next = this.#nextStates
    const size = 1 << log
    let high = size - 1
    for (let symbol = 0; symbol < symbols; symbol++) {
      const probability = probabilities[symbol]
      next[symbol] = probability < 0 ? 1 : probability
      if (probability < 0) entries[high--] = symbol
    }
    const step = (size >> 1) + (size >> 3) + 3
    let place = 0
    for (let symbol = 0; symbol < symbols; symbol++) {
      for (let count = probabilities[symbol]; count > 0; count--) {
        entries[place] = symbol
        do place = (place + step) & (size - 1)
        while (place > high)
      }
    }
    if (place !== 0) throw new BlockError('table does not add up')
    for (let state = 0; state < size; state++) {
      const symbol = entries[state]
      const number = next[symbol]++
      const bits = log - highestBit(number)
      entries[state] = symbol | (bits << 8) | (((number << bits) - size) << 16)
    }
    table.log = log
  }
}

function emptyTable(log: number): FseTable {
  return { entries: new Int32Array(1 << log), log: 0, defined: false }
}

/** `width` bits, at most 25, from bit `bit` of `bytes` on. */
function peek(bytes: Uint8Array, bit: number, width: number): number {
  const byte = bit >> 3
  const word = bytes[byte] | (bytes[byte + 1] << 8) | (bytes[byte + 2] << 16) | (bytes[byte + 3] << 24)
  return (word >>> (bit & 7)) & ((1 << width) - 1)
}

/** Bits in the stream `bytes[from, to)`, without the marker that ends it. */
function bitsOf(bytes: Uint8Array, from: number, to: number): number {
  const last = to > from ? bytes[to - 1] : 0
  if (last === 0) throw new BlockError('a stream of bits without an end')
  return ((to - from - 1) << 3) + highestBit(last)
}
