import { CR, DOLLAR, LF, STAR } from './format.ts'

/** `*N\r\n`: the header of a record of so many arguments. */
export function recordHeader(argc: number): Uint8Array {
  return header(STAR, argc)
}

/** `$N\r\n`: the header of an argument of so many bytes; {@link TERMINATOR} stands behind them. */
export function argumentHeader(bytes: number): Uint8Array {
  return header(DOLLAR, bytes)
}

export const TERMINATOR: Uint8Array = Uint8Array.of(CR, LF)

function header(prefix: number, value: number): Uint8Array {
  return Buffer.from(`${String.fromCharCode(prefix)}${value}\r\n`, 'latin1')
}

/** A whole record, in the form that servers write. */
export function encodeRecord(args: readonly (string | Uint8Array)[]): Uint8Array {
  const pieces: Uint8Array[] = [recordHeader(args.length)]
  for (const arg of args) {
    const bytes = typeof arg === 'string' ? Buffer.from(arg) : arg
    pieces.push(argumentHeader(bytes.length), bytes, TERMINATOR)
  }
  return Buffer.concat(pieces)
}
