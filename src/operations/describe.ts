import { escapeBytes } from '../bytes/escape.ts'
import { formatCount } from '../bytes/figures.ts'
import { DOLLAR, STAR } from '../resp/format.ts'
import { readHeader } from '../resp/scanner.ts'

/** Bytes of one argument, and arguments of one command, that a message shows. */
const MAX_SHOWN_BYTES = 40
const MAX_SHOWN_ARGUMENTS = 4

/** A command in few words, whole or cut: `SET user:1 "long val"… (5000 bytes)`, and how many of its arguments are there. */
export interface Described {
  readonly text: string
  /** Whole arguments that are there, and how many its header promises. */
  readonly whole: number
  readonly promised: number
  /** Index behind it when it is whole. */
  readonly end: number | undefined
}

/** Describes the record at the start of `bytes`, which may end anywhere; undefined when not even its name is there. */
export function describeRecord(bytes: Uint8Array): Described | undefined {
  const header = readHeader(bytes, 0, bytes.length, true, STAR, 0)
  if (header === undefined || header instanceof Error) return undefined
  let p = header.next
  let whole = 0
  const shown: string[] = []
  while (whole < header.value) {
    const line = readHeader(bytes, p, bytes.length, true, DOLLAR, 0)
    if (line === undefined || line instanceof Error) break
    const there = Math.min(line.value, bytes.length - line.next)
    const isWhole = line.next + line.value + 2 <= bytes.length
    if (shown.length < MAX_SHOWN_ARGUMENTS && (there > 0 || isWhole)) {
      shown.push(word(bytes.subarray(line.next, line.next + there), line.value))
    }
    if (!isWhole) break
    whole++
    p = line.next + line.value + 2
  }
  if (shown.length === 0) return undefined
  if (shown.length < header.value && shown.length === MAX_SHOWN_ARGUMENTS) shown.push('…')
  return { text: shown.join(' '), whole, promised: header.value, end: whole === header.value ? p : undefined }
}

/** One argument for a message: as it is where that is a plain word, else quoted and shortened. */
function word(bytes: Uint8Array, size: number): string {
  const text = escapeBytes(bytes.subarray(0, MAX_SHOWN_BYTES))
  if (size <= MAX_SHOWN_BYTES && bytes.length === size) return /^[\w:.@{}-]+$/.test(text) ? text : `"${text}"`
  return `"${text}"… (${formatCount(size)} bytes)`
}
