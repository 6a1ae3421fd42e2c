/**
 * What happens to the bytes of a log on its way through disks, file systems and editors, as named kinds of damage. Each
 * says which bytes of the original are still there: so what was lost, and what was not, is known without aofkit.
 */

/** Bytes of a damaged log: a stretch of the original, or something else. */
export interface Piece {
  /** Offset in the original; -1: not from there. */
  readonly from: number
  readonly bytes: Buffer
}

export type Random = () => number

/** A damage of the stretch [at, …) of a log. */
export type Damage = (log: Buffer, at: number, random: Random) => readonly Piece[]

const int = (random: Random, below: number): number => Math.floor(random() * below)
const noise = (random: Random, size: number): Buffer =>
  Buffer.from(Array.from({ length: size }, () => int(random, 256)))
const text = (random: Random, size: number): Buffer =>
  Buffer.from(Array.from({ length: size }, () => 32 + int(random, 95)))

/** `by` in the place of `size` bytes at `at`. */
function instead(log: Buffer, at: number, size: number, by: Buffer): Piece[] {
  const end = Math.min(log.length, at + size)
  return [
    { from: 0, bytes: log.subarray(0, at) },
    { from: -1, bytes: by },
    { from: end, bytes: log.subarray(end) },
  ]
}

/** The first place at or behind `at` where one of these bytes stands behind a line end, or any of them with `inside`. */
function place(log: Buffer, at: number, bytes: string, inside = false): number {
  for (let p = Math.max(2, at); p < log.length; p++) {
    if (bytes.includes(String.fromCharCode(log[p])) && (inside || log[p - 1] === 0x0a)) return p
  }
  return at
}

const overwritten =
  (size: (random: Random) => number, make: (random: Random, size: number) => Buffer): Damage =>
  (log, at, random) => {
    const length = Math.min(size(random), log.length - at)
    return instead(log, at, length, make(random, length))
  }

const short = (random: Random): number => 1 + int(random, 600)
const one = (): number => 1
const zeros = (_: Random, size: number): Buffer => Buffer.alloc(size)
const PAGE = 4096

/** A byte of a header becomes another one: `*`, `$`, one of its digits, or of its line end. */
const inHeader =
  (prefix: string, byte: (random: Random, log: Buffer, line: number) => number): Damage =>
  (log, at, random) => {
    const line = place(log, at, prefix)
    const end = log.indexOf('\r\n', line) + 2
    if (end < 2) return instead(log, at, 0, Buffer.alloc(0))
    const where = line + byte(random, log, line)
    if (where >= end) return instead(log, at, 0, Buffer.alloc(0))
    const digit = log[where] >= 0x30 && log[where] <= 0x39 && random() < 0.7
    return instead(log, where, 1, digit ? Buffer.from(String(int(random, 10))) : noise(random, 1))
  }

const digitsAt = (log: Buffer, line: number): number => log.indexOf(13, line) - line - 1

export const DAMAGES: Readonly<Record<string, Damage>> = {
  'a byte': overwritten(one, noise),
  'a bit': (log, at, random) => instead(log, at, 1, Buffer.of(log[at] ^ (1 << int(random, 8)))),
  'a count': inHeader('*', (random, log, line) => 1 + int(random, Math.max(1, digitsAt(log, line)))),
  'a length': inHeader('$', (random, log, line) => 1 + int(random, Math.max(1, digitsAt(log, line)))),
  'a prefix': inHeader('*$', () => 0),
  'a line end': inHeader('*$', (random, log, line) => 1 + digitsAt(log, line) + int(random, 2)),
  'a terminator': (log, at, random) => {
    const line = place(log, at, '*$#')
    return instead(log, line - 1 - int(random, 2), 1, noise(random, 1))
  },
  'noise, up to 600 bytes': overwritten(short, noise),
  'text, up to 600 bytes': overwritten(short, text),
  'zeros, up to 600 bytes': overwritten(short, zeros),
  'a page of zeros': (log, at, random) => {
    const from = random() < 0.5 ? at : at - (at % PAGE)
    return instead(log, from, PAGE, zeros(random, Math.min(PAGE, log.length - from)))
  },
  'a page of noise': overwritten(() => PAGE, noise),
  'a page lost': (log, at, random) =>
    instead(log, random() < 0.5 ? at : at - (at % PAGE), PAGE, Buffer.alloc(0)),
  'a page twice': (log, at, random) => {
    const from = Math.min(log.length - PAGE, random() < 0.5 ? at : at - (at % PAGE))
    return instead(log, Math.min(log.length, from + PAGE), 0, log.subarray(from, from + PAGE))
  },
  'bytes lost': (log, at, random) => instead(log, at, 1 + int(random, 30), Buffer.alloc(0)),
  'bytes inserted': (log, at, random) => instead(log, at, 0, noise(random, 1 + int(random, 30))),
  'a line inserted': (log, at) => instead(log, place(log, at, '*'), 0, Buffer.from('hello\r\n')),
}

/** Blocks that are larger than most logs: for long runs. */
export const LARGE_DAMAGES: Readonly<Record<string, Damage>> = {
  'zeros, up to 1 MB': overwritten(random => 1 + int(random, 1 << 20), zeros),
  'noise, up to 1 MB': overwritten(random => 1 + int(random, 1 << 20), noise),
}

/** Puts damages one on the other; the pieces of the result. `at` are places in the original, ascending. */
export function damage(
  log: Buffer,
  kinds: readonly Damage[],
  at: readonly number[],
  random: Random,
): Piece[] {
  let pieces: Piece[] = [{ from: 0, bytes: log }]
  for (const [i, kind] of kinds.entries()) {
    const whole = Buffer.concat(pieces.map(({ bytes }) => bytes))
    const mapped: Piece[] = []
    for (const piece of kind(whole, Math.min(at[i], whole.length - 1), random)) {
      if (piece.from < 0) mapped.push(piece)
      else mapped.push(...within(pieces, piece.from, piece.from + piece.bytes.length))
    }
    pieces = mapped
  }
  return pieces
}

function within(pieces: readonly Piece[], from: number, to: number): Piece[] {
  const found: Piece[] = []
  let offset = 0
  for (const { from: origin, bytes } of pieces) {
    const low = Math.max(from, offset)
    const high = Math.min(to, offset + bytes.length)
    if (low < high) {
      found.push({
        from: origin < 0 ? -1 : origin + low - offset,
        bytes: bytes.subarray(low - offset, high - offset),
      })
    }
    offset += bytes.length
  }
  return found
}
