/*
 * `#TS:1700000000\r\n`: the clock of the server in Unix seconds, written before the first command of a second when
 * `aof-timestamp-enabled yes` (Redis 7.0 and later). Loading skips every line that begins with `#`.
 */

const PREFIX = Buffer.from('#TS:')
const MAX_DIGITS = 12

/** The time of an annotation `bytes[from, to)`, its line end included, in Unix seconds; undefined when it is none. */
export function parseTimestamp(bytes: Uint8Array, from: number, to: number): number | undefined {
  const digits = to - 2 - from - PREFIX.length
  if (digits < 1 || digits > MAX_DIGITS || bytes[to - 2] !== 0x0d) return undefined
  for (let i = 0; i < PREFIX.length; i++) if (bytes[from + i] !== PREFIX[i]) return undefined
  let seconds = 0
  for (let i = from + PREFIX.length; i < to - 2; i++) {
    const digit = bytes[i] - 0x30
    if (digit < 0 || digit > 9) return undefined
    seconds = seconds * 10 + digit
  }
  return seconds
}

/** Whether an annotation claims to be a timestamp, well formed or not. */
export function looksLikeTimestamp(bytes: Uint8Array, from: number, to: number): boolean {
  return to - from >= 3 && bytes[from + 1] === 0x54 && bytes[from + 2] === 0x53
}
