/**
 * File names. To the system a name is bytes; here it is a string, so that it can be compared, joined and put into
 * JSON. Bytes that are not UTF-8 become single code units from U+DC80 to U+DCFF, which no UTF-8 decodes to, and become
 * the same bytes again on the way to the system (Python's `surrogateescape`).
 */
import { readFileSync } from 'node:fs'

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Whether a UTF-16 unit stands for a byte of a name that is not UTF-8. */
export function isStrayByte(unit: number): boolean {
  return unit >= 0xdc80 && unit <= 0xdcff
}

const STRAY_BYTES = /[\ud800-\udbff][\udc00-\udfff]|([\udc80-\udcff])/g

/** Whether a name holds bytes that are not UTF-8. */
export function hasStrayBytes(name: string): boolean {
  for (const match of name.matchAll(STRAY_BYTES)) if (match[1] !== undefined) return true
  return false
}

/** A name as the system gave it, as a string. */
export function decodeName(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes)
  } catch {
    // Not UTF-8 as a whole: character by character.
  }
  let name = ''
  for (let at = 0; at < bytes.length; ) {
    const length = sequenceLength(bytes, at)
    if (length === 0) name += String.fromCharCode(0xdc00 | bytes[at++])
    else {
      name += decoder.decode(bytes.subarray(at, at + length))
      at += length
    }
  }
  return name
}

/** Bytes of the UTF-8 character that starts at `at`; 0 where none does. */
function sequenceLength(bytes: Uint8Array, at: number): number {
  const lead = bytes[at]
  const length = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0
  if (length < 2) return length
  try {
    decoder.decode(bytes.subarray(at, at + length))
    return length
  } catch {
    return 0
  }
}

/** A name's bytes. */
export function nameBytes(name: string): Buffer {
  if (!hasStrayBytes(name)) return Buffer.from(name)
  const pieces: Buffer[] = []
  let done = 0
  for (const match of name.matchAll(STRAY_BYTES)) {
    if (match[1] === undefined) continue
    pieces.push(Buffer.from(name.slice(done, match.index)), Buffer.of(match[1].charCodeAt(0) & 0xff))
    done = match.index + 1
  }
  pieces.push(Buffer.from(name.slice(done)))
  return Buffer.concat(pieces)
}

/** A name in the form that `node:fs` opens: every call that takes a path of ours passes it through here. */
export function systemPath(name: string): string | Buffer {
  return hasStrayBytes(name) ? nameBytes(name) : name
}

/**
 * An argument of this process with its bytes as they were given. Node decodes arguments as UTF-8 and puts U+FFFD for
 * what is not; where the system tells (Linux), the bytes are looked up. Arguments without U+FFFD come back unchanged.
 */
export function argumentName(argument: string): string {
  if (!argument.includes('\ufffd')) return argument
  try {
    let command = readFileSync('/proc/self/cmdline').subarray()
    while (command.length > 0) {
      const end = command.indexOf(0)
      const raw = command.subarray(0, end < 0 ? command.length : end)
      if (raw.toString() === argument) return decodeName(raw)
      command = command.subarray(raw.length + 1)
    }
  } catch {
    // No /proc: the argument stays as it is, and names a file that does not exist.
  }
  return argument
}
