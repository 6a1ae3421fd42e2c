/** Runs decoders that take a value step by step, on bytes that come in pieces; an output that collects bytes. */
import { FormatError } from '../../../src/bytes/errors.ts'
import { Cursor, SHORT } from '../../../src/rdb/cursor.ts'
import type { ValueOutput } from '../../../src/rdb/encodings/output.ts'
import type { Odd } from '../../../src/rdb/encodings/packed.ts'
import type { ElementSink } from '../../../src/values/elements.ts'
import { len, str } from '../build.ts'
import { Calls } from '../calls.ts'

export interface Stepper {
  step(cursor: Cursor, sink: ElementSink): boolean
}

export interface Stepped {
  lines: string[]
  odd: string[]
  /** Code and offset of the error, or `short` when the bytes were not enough. */
  end: 'done' | 'short' | string
  message?: string
  /** Bytes that were taken. */
  taken: number
}

export interface SteppingOptions {
  /** Where the bytes at hand end, for a while; rising. */
  cuts?: readonly number[]
  /** Offset of the first byte. */
  offset?: number
  /** Whether to look for what is odd. */
  look?: boolean
}

/**
 * All that a decoder makes of `value`, which stands in the middle of other bytes. Errors other than `FormatError` are
 * thrown. After each cut the step that needed more is made again.
 */
export function stepped(
  begin: (odd: Odd | undefined) => Stepper,
  value: Uint8Array,
  { cuts = [], offset = 0, look = true }: SteppingOptions = {},
): Stepped {
  const margin = Buffer.alloc(9, 0xff)
  const bytes = Buffer.concat([margin, value, margin])
  const sink = new Calls()
  const odd: string[] = []
  const stepper = begin(look ? (code, at) => odd.push(`${code} ${at}`) : undefined)
  const cursor = new Cursor(Number.POSITIVE_INFINITY)
  const ends = [...cuts, value.length]
  let at = 0
  let end: Stepped['end'] = 'short'
  let message: string | undefined
  try {
    while (end === 'short') {
      cursor.set(bytes, margin.length + at, margin.length + ends[0], offset + at)
      try {
        if (stepper.step(cursor, sink)) end = 'done'
        at = cursor.at - margin.length
      } catch (error) {
        if (error !== SHORT) throw error
        if (ends.length === 1) break
        ends.shift()
      }
    }
  } catch (error) {
    if (!(error instanceof FormatError)) throw error
    end = `${error.code} ${error.offset}`
    message = error.message
  }
  return { lines: sink.lines, odd, end, ...(message === undefined ? {} : { message }), taken: at }
}

/** What is written, with strings as they are. */
export class Output implements ValueOutput {
  readonly pieces: Uint8Array[] = []

  length(value: number | bigint): void {
    this.pieces.push(len(value))
  }

  string(bytes: Uint8Array, at: number, end: number): void {
    this.pieces.push(str(bytes.slice(at, end)))
  }

  raw(bytes: Uint8Array, at: number, end: number): void {
    this.pieces.push(bytes.slice(at, end))
  }

  /** All so far; begins anew. */
  take(): Buffer {
    return Buffer.concat(this.pieces.splice(0))
  }
}
