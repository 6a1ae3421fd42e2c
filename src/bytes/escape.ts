/**
 * Bytes and names as text that can be shown: no control character, and nothing else that could move a cursor or turn
 * the direction of writing, reaches a terminal raw. Bytes look as `redis-cli --no-raw` shows them, so that what is
 * printed can be given back to `redis-cli`:
 *
 *     \n \r \t \a \b \" \\    as in C
 *     \xNN                    what else is not printable ASCII; two lower-case digits
 */

import { isStrayByte } from './names.ts'

/** Bytes that a single one can become: `\xNN`. */
const WIDEST = 4
/** Longer results are put together from pieces of this many bytes. */
const PIECE = 16 * 1024

const BACKSLASH = 0x5c
const QUOTE = 0x22
const HEX = Buffer.from('0123456789abcdef')

/** What follows the backslash: 0 where a byte stands for itself, `x` where it becomes `\xNN`. */
const ESCAPES = new Uint8Array(256).fill(0x78)
ESCAPES.fill(0, 0x20, 0x7f)
for (const [byte, letter] of ['\x07a', '\bb', '\tt', '\nn', '\rr', '""', '\\\\'])
  ESCAPES[byte.charCodeAt(0)] = letter.charCodeAt(0)

const scratch = Buffer.allocUnsafeSlow(WIDEST * PIECE)

/**
 * `bytes` as redis-cli shows a string, without the quotes around it.
 *
 * @param limit of a longer string only so many bytes are shown, followed by `…` and its size. (A `…` in the bytes
 *   themselves is escaped, so this one cannot be mistaken for content.)
 */
export function escapeBytes(bytes: Uint8Array, limit = Number.POSITIVE_INFINITY): string {
  if (bytes.length <= limit) return escapeRange(bytes, 0, bytes.length)
  return `${escapeRange(bytes, 0, limit)}… (${bytes.length} bytes)`
}

/** `bytes` as redis-cli shows a string, in double quotes. Shortened like {@link escapeBytes}, behind the quotes. */
export function quoteBytes(bytes: Uint8Array, limit = Number.POSITIVE_INFINITY): string {
  if (bytes.length <= limit) return `"${escapeRange(bytes, 0, bytes.length)}"`
  return `"${escapeRange(bytes, 0, limit)}"… (${bytes.length} bytes)`
}

/**
 * Writes `bytes[from, to)`, escaped, to `target` from `at` on, and returns the index behind it. For those who print
 * millions of lines and make no string of them. `target` needs room for four bytes to each byte.
 */
export function escapeInto(
  target: Uint8Array,
  at: number,
  bytes: Uint8Array,
  from: number,
  to: number,
): number {
  for (let index = from; index < to; index++) {
    const byte = bytes[index]
    const letter = ESCAPES[byte]
    if (letter === 0) {
      target[at++] = byte
      continue
    }
    target[at++] = BACKSLASH
    target[at++] = letter
    if (letter === 0x78) {
      target[at++] = HEX[byte >> 4]
      target[at++] = HEX[byte & 15]
    }
  }
  return at
}

/** Bytes that need no quotes: what keys, numbers and names are mostly made of. */
const PLAIN = new Uint8Array(256)
for (const byte of Buffer.from(
  'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_:.@{}/+,=%-|~^&#!',
)) {
  PLAIN[byte] = 1
}

/**
 * Writes `bytes[from, to)` to `target` from `at` on as an argument of a command is shown: as it is where that is a plain
 * word, else in quotes. Returns the index behind it. `target` needs room for four bytes to each byte, and two more.
 */
export function wordInto(
  target: Uint8Array,
  at: number,
  bytes: Uint8Array,
  from: number,
  to: number,
): number {
  let end = at
  let i = from
  while (i < to && PLAIN[bytes[i]] === 1) target[end++] = bytes[i++]
  if (i === to && to > from) return end
  target[at] = QUOTE
  end = escapeInto(target, at + 1, bytes, from, to)
  target[end] = QUOTE
  return end + 1
}

function escapeRange(bytes: Uint8Array, from: number, to: number): string {
  let text = ''
  for (let start = from; start < to; start += PIECE) {
    const length = escapeInto(scratch, 0, bytes, start, Math.min(start + PIECE, to))
    text += scratch.toString('latin1', 0, length)
  }
  return text
}

// Cc, Cf (direction, joiners, soft hyphen), line and paragraph separators, lone surrogates, unassigned and private.
const UNSHOWABLE = /[\p{C}\p{Zl}\p{Zp}\\]/gu

/**
 * A file name, or text with one in it, fit to be shown: letters of all scripts stay, what is invisible or moves the
 * cursor becomes the `\xNN` of its UTF-8 bytes (`\n`, `\t`, … where those are shorter), a backslash is doubled. A byte
 * that is not UTF-8 (see names.ts) is its `\xNN`.
 */
export function escapeName(name: string): string {
  return name.replace(UNSHOWABLE, character => {
    const unit = character.charCodeAt(0)
    if (character.length === 1 && isStrayByte(unit)) return escapeBytes(Uint8Array.of(unit & 0xff))
    return escapeBytes(Buffer.from(character))
  })
}

/**
 * A file name (or `-`, for standard input) as a word of a shell's command line: as it is where that is safe, in single quotes, or as `$'…'` (bash,
 * zsh, ksh) where it cannot be shown otherwise.
 */
export function quoteForShell(name: string): string {
  if (name === '-') return name
  if (/^[\w@%+=:,./-]+$/.test(name) && !name.startsWith('-')) return name
  const escaped = escapeName(name)
  const word = name.startsWith('-') ? `./${name}` : name
  if (escaped === name) return `'${word.replaceAll("'", `'\\''`)}'`
  return `$'${escapeName(word).replaceAll("'", "\\'")}'`
}
