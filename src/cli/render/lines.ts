import { escapeInto, wordInto } from '../../bytes/escape.ts'
import { TERMINATOR } from '../../resp/writer.ts'

/** Bytes that stand for themselves in a string of JSON, and are one character each. */
const JSON_PLAIN = new Uint8Array(256).fill(1, 0x20, 0x7f)
for (const byte of Buffer.from('"\\')) JSON_PLAIN[byte] = 0

const ESCAPED_AT_ONCE = 1 << 14
/** Longer pieces of text do not go through the buffer. */
const LONG_TEXT = 1 << 14
/** Nor do longer spans of bytes. */
const LONG_SPAN = 1 << 16
const QUOTE = 0x22
const SPACE = 0x20
const NEWLINE = 0x0a
const ZERO = 0x30
/** Up to here numbers are written with the arithmetic of 32 bits. */
const MAX_INT32 = 2 ** 31 - 1
const MAX_DIGITS = 10

/**
 * Lines put together as bytes in one buffer, without a string for each: for millions of them. An argument stands as it
 * is where it is a plain word, else in quotes as redis-cli shows it; longer ones are shortened.
 */
export class LineWriter {
  #buffer = Buffer.allocUnsafeSlow(1 << 17)
  #at = 0
  readonly #out: (bytes: Uint8Array) => void

  constructor(out: (bytes: Uint8Array) => void) {
    this.#out = out
  }

  /** Text that is known to be harmless. */
  text(text: string): void {
    if (text.length > LONG_TEXT) {
      this.flush()
      this.#out(Buffer.from(text))
      return
    }
    this.#room(text.length * 3)
    this.#at += this.#buffer.write(text, this.#at)
  }

  /** The same as bytes. */
  bytes(bytes: Uint8Array): void {
    this.#room(bytes.length)
    let at = this.#at
    for (let i = 0; i < bytes.length; i++) this.#buffer[at++] = bytes[i]
    this.#at = at
  }

  /** A whole number, 0 or more. */
  number(value: number): void {
    if (value > MAX_INT32) {
      this.text(`${value}`)
      return
    }
    this.#room(MAX_DIGITS)
    let end = this.#at + 1
    for (let limit = 10; limit <= value; limit *= 10) end++
    this.#at = end
    let rest = value
    do {
      const tens = (rest / 10) | 0
      this.#buffer[--end] = ZERO + rest - 10 * tens
      rest = tens
    } while (rest > 0)
  }

  byte(byte: number): void {
    this.#room(1)
    this.#buffer[this.#at++] = byte
  }

  space(): void {
    this.byte(SPACE)
  }

  /** Ends the line. */
  end(): void {
    this.byte(NEWLINE)
    this.written(false)
  }

  /** Hands on what was written when it is much, or when that is to be done `now`. */
  written(now: boolean): void {
    if (now || this.#at > this.#buffer.length / 2) this.flush()
  }

  /** A header of RESP. */
  header(prefix: number, value: number): void {
    this.byte(prefix)
    this.number(value)
    this.bytes(TERMINATOR)
  }

  /** `bytes[start, end)`; many of them do not go through the buffer. */
  span(bytes: Uint8Array, start: number, end: number): void {
    if (end - start > LONG_SPAN) {
      this.flush()
      this.#out(bytes.slice(start, end))
      return
    }
    this.#room(end - start)
    let at = this.#at
    for (let i = start; i < end; i++) this.#buffer[at++] = bytes[i]
    this.#at = at
  }

  /**
   * One argument, `bytes[start, start + there)`, of `size` bytes in all.
   * @param limit the most bytes that are shown
   */
  argument(bytes: Uint8Array, start: number, there: number, size: number, limit: number): void {
    const shown = Math.min(there, limit)
    this.#room(shown * 4 + 64)
    const buffer = this.#buffer
    if (shown === size) {
      this.#at = wordInto(buffer, this.#at, bytes, start, start + size)
      return
    }
    buffer[this.#at++] = QUOTE
    this.#at = escapeInto(buffer, this.#at, bytes, start, start + shown)
    buffer[this.#at++] = QUOTE
    this.text(`… (${size} bytes)`)
  }

  /** `bytes[start, start + length)` as a string of JSON, if they are such bytes; whether they were. */
  jsonString(bytes: Uint8Array, start: number, length: number): boolean {
    if (length > LONG_TEXT) return false
    this.#room(length + 2)
    const buffer = this.#buffer
    let at = this.#at
    buffer[at++] = QUOTE
    let i = start
    while (i < start + length && JSON_PLAIN[bytes[i]] === 1) buffer[at++] = bytes[i++]
    if (i < start + length) return false
    buffer[at++] = QUOTE
    this.#at = at
    return true
  }

  /** Bytes inside quotes. */
  escaped(bytes: Uint8Array): void {
    for (let from = 0; from < bytes.length; from += ESCAPED_AT_ONCE) {
      const to = Math.min(bytes.length, from + ESCAPED_AT_ONCE)
      this.#room((to - from) * 4)
      this.#at = escapeInto(this.#buffer, this.#at, bytes, from, to)
    }
  }

  flush(): void {
    if (this.#at === 0) return
    this.#out(Buffer.from(this.#buffer.subarray(0, this.#at)))
    this.#at = 0
  }

  #room(bytes: number): void {
    if (this.#at + bytes <= this.#buffer.length) return
    this.flush()
    if (bytes > this.#buffer.length) this.#buffer = Buffer.allocUnsafeSlow(bytes)
  }
}
