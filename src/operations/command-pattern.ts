import { wordInto } from '../bytes/escape.ts'
import { Glob } from '../bytes/glob.ts'
import type { Batch } from '../resp/scanner.ts'

/** `flushall`, `XGROUP|CREATE`: a name and nothing else. */
const BARE = /^[\w.-]+(?:\|[\w.-]+)?$/
/** What ends the text at the start of a glob that stands for itself. */
const SPECIAL = /[*?[\\ ]/
/** Behind the last argument of a record that is not there whole. */
const MORE = Buffer.from(' …')
const SPACE = 0x20

/**
 * Which commands are meant: those of a name, in any case and with any arguments (`flushall`, `xgroup|create`), or those
 * whose text, as `print --full` shows it, matches a glob (`DEL user:*`). What a glob has in front of its first `*`, `?`,
 * `[`, `\` or space is a part of a name, and matches in any case.
 *
 * Of a record larger than the window a glob sees what stands in its first 64 KiB, and `…`.
 */
export class CommandPattern {
  /** As it was given. */
  readonly text: string
  /** Of a bare name: its words. Of a glob: what it begins with. Capitals. */
  readonly #words: readonly Uint8Array[]
  /** What follows those words; undefined: they are all there is to match. */
  readonly #glob: Glob | undefined
  #scratch = new Uint8Array(1 << 12)

  constructor(text: string) {
    this.text = text
    if (BARE.test(text)) {
      this.#words = text.split('|').map(capitals)
      this.#glob = undefined
      return
    }
    const special = text.search(SPECIAL)
    const start = special < 0 ? text.length : special
    this.#words = [capitals(text.slice(0, start))]
    this.#glob = new Glob(text.slice(start))
  }

  /**
   * Whether it means record `i`, which is no annotation.
   * @param argc its arguments; in the batch there may be fewer, of a record larger than the window
   */
  test(batch: Batch, i: number, argc: number): boolean {
    const a = batch.first[i]
    const there = batch.first[i + 1] - a
    const words = this.#words
    if (this.#glob === undefined) {
      if (there < words.length) return false
      for (let w = 0; w < words.length; w++) {
        if (batch.length[a + w] !== words[w].length || !startsWith(batch, a + w, words[w])) return false
      }
      return true
    }
    if (there === 0 || !startsWith(batch, a, words[0])) return false
    const end = this.#write(batch, a, there, argc)
    const from = words[0].length
    return end >= from && this.#glob.test(this.#scratch, from, end - from)
  }

  /** Writes the command as it is shown; the index behind it. */
  #write(batch: Batch, a: number, there: number, argc: number): number {
    const { bytes, start, length } = batch
    let needed = MORE.length
    for (let k = a; k < a + there; k++) needed += 4 * length[k] + 3
    if (this.#scratch.length < needed) this.#scratch = new Uint8Array(2 * needed)
    const target = this.#scratch
    let at = 0
    for (let k = a; k < a + there; k++) {
      if (k > a) target[at++] = SPACE
      at = wordInto(target, at, bytes, start[k], start[k] + length[k])
    }
    if (there === argc) return at
    target.set(MORE, at)
    return at + MORE.length
  }
}

/** Whether an argument begins with a word of capitals, in any case. */
function startsWith({ bytes, start, length }: Batch, argument: number, word: Uint8Array): boolean {
  if (length[argument] < word.length) return false
  const at = start[argument]
  for (let k = 0; k < word.length; k++) {
    const byte = bytes[at + k]
    const letter = byte >= 0x61 && byte <= 0x7a ? byte - 0x20 : byte
    if (letter !== word[k]) return false
  }
  return true
}

function capitals(text: string): Uint8Array {
  return Buffer.from(text.replace(/[a-z]/g, letter => letter.toUpperCase()))
}
