import type { Slice } from '../../values/slice.ts'
import { jsonInteger, jsonPieces } from './json.ts'
import type { LineWriter } from './lines.ts'

const COMMA = 0x2c
const QUOTE = 0x22
/** From an opening bracket to the one that closes it. */
const TO_CLOSING = 2
export const ARRAY = 0x5b
export const OBJECT = 0x7b

/** Writes one document of JSON a line, item by item; brackets that were left open can be closed at any time. */
export class JsonLine {
  readonly #lines: LineWriter
  readonly #open: number[] = []
  /** Whether the next item needs no comma before it. */
  #first = true

  constructor(lines: LineWriter) {
    this.#lines = lines
  }

  open(bracket: typeof ARRAY | typeof OBJECT): void {
    this.#comma()
    this.#lines.byte(bracket)
    this.#open.push(bracket + TO_CLOSING)
    this.#first = true
  }

  /** Closes brackets until no more than `depth` are open. */
  closeTo(depth: number): void {
    while (this.#open.length > depth) {
      this.#lines.byte(this.#open.pop() as number)
      this.#first = false
    }
  }

  close(): void {
    this.closeTo(this.#open.length - 1)
  }

  /** The name of the next item: harmless ASCII. */
  name(name: string): void {
    this.#comma()
    this.#lines.text(`"${name}":`)
    this.#first = true
  }

  /** A byte string. */
  string({ bytes, at, end }: Slice): void {
    this.#comma()
    if (this.#lines.jsonString(bytes, at, end - at)) return
    for (const piece of jsonPieces(bytes.subarray(at, end))) this.#lines.text(piece)
  }

  /** A string of harmless ASCII. */
  word(text: string): void {
    this.#comma()
    this.#lines.byte(QUOTE)
    this.#lines.text(text)
    this.#lines.byte(QUOTE)
  }

  integer(value: bigint): void {
    const item = jsonInteger(value)
    if (typeof item === 'string') this.word(item)
    else this.literal(`${item}`)
  }

  /** A number, `true`, `null`. */
  literal(text: string): void {
    this.#comma()
    this.#lines.text(text)
  }

  /** Closes everything, and the line. */
  end(): void {
    this.closeTo(0)
    this.#lines.end()
    this.#first = true
  }

  #comma(): void {
    if (!this.#first) this.#lines.byte(COMMA)
    this.#first = false
  }
}
