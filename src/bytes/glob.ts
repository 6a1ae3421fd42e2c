/**
 * Whether bytes match a glob as servers match keys (`KEYS`): `*`, `?`, `[abc]`, `[a-z]`, `[^a]`, `\x` for x itself.
 * Never takes longer than pattern times text.
 */
export class Glob {
  readonly #pattern: Uint8Array
  /** The pattern has nothing special: a plain comparison. */
  readonly #plain: boolean

  constructor(pattern: string | Uint8Array) {
    this.#pattern = typeof pattern === 'string' ? Buffer.from(pattern) : pattern
    this.#plain = !this.#pattern.some(byte => SPECIAL.has(byte))
  }

  test(bytes: Uint8Array, start: number, length: number): boolean {
    if (this.#plain) return this.#equal(bytes, start, length)
    const pattern = this.#pattern
    const end = start + length
    let p = 0
    let t = start
    // Where to go on when what follows the last star does not match here: only that one can be wrong.
    let starP = -1
    let starT = -1
    while (t < end || p < pattern.length) {
      if (p < pattern.length && pattern[p] === STAR) {
        starP = ++p
        starT = t
        continue
      }
      const next = p < pattern.length && t < end ? this.#one(p, bytes[t]) : -1
      if (next >= 0) {
        p = next
        t++
        continue
      }
      if (starP < 0 || starT >= end) return false
      p = starP
      t = ++starT
    }
    return true
  }

  /** Index behind the element of the pattern at `p` when it matches `byte`, else -1. */
  #one(p: number, byte: number): number {
    const pattern = this.#pattern
    switch (pattern[p]) {
      case QUESTION:
        return p + 1
      case BACKSLASH:
        if (p + 1 < pattern.length) return pattern[p + 1] === byte ? p + 2 : -1
        return byte === BACKSLASH ? p + 1 : -1
      case OPEN:
        return this.#set(p + 1, byte)
      default:
        return pattern[p] === byte ? p + 1 : -1
    }
  }

  #set(from: number, byte: number): number {
    const pattern = this.#pattern
    let p = from
    const negated = pattern[p] === CARET
    if (negated) p++
    let found = false
    // A set that is not closed ends with the pattern.
    while (p < pattern.length && pattern[p] !== CLOSE) {
      if (pattern[p] === BACKSLASH && p + 1 < pattern.length) {
        p++
        found ||= pattern[p] === byte
      } else if (p + 2 < pattern.length && pattern[p + 1] === DASH) {
        const low = Math.min(pattern[p], pattern[p + 2])
        const high = Math.max(pattern[p], pattern[p + 2])
        found ||= byte >= low && byte <= high
        p += 2
      } else {
        found ||= pattern[p] === byte
      }
      p++
    }
    return found === negated ? -1 : Math.min(p + 1, pattern.length)
  }

  #equal(bytes: Uint8Array, start: number, length: number): boolean {
    if (length !== this.#pattern.length) return false
    for (let i = 0; i < length; i++) if (bytes[start + i] !== this.#pattern[i]) return false
    return true
  }
}

const STAR = 0x2a
const QUESTION = 0x3f
const BACKSLASH = 0x5c
const OPEN = 0x5b
const CLOSE = 0x5d
const CARET = 0x5e
const DASH = 0x2d
const SPECIAL = new Set([STAR, QUESTION, BACKSLASH, OPEN])
