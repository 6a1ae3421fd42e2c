import { Chalk, type ChalkInstance, supportsColor } from 'chalk'
import { jobError } from '../bytes/errors.ts'
import { Exit } from './exit.ts'

/** Where a command writes, and what it knows about who reads it. Tests give their own. */
export interface Io {
  /** Results. Collected and written in larger pieces; {@link flush} before the end. */
  out(text: string | Uint8Array): void
  /** Warnings, progress, errors: at once. */
  err(text: string): void
  /** Resolves when what was written so far is on its way; call it now and then where much is written. */
  flush(): Promise<void>
  /** Whether whoever read our output has gone away: time to stop. */
  readonly closed: boolean
  /** Columns of the terminal on standard output; undefined when it is none. */
  readonly columns: number | undefined
  readonly outIsTerminal: boolean
  readonly errIsTerminal: boolean
  /** What progress is drawn on. */
  readonly errStream: NodeJS.WritableStream
  readonly style: ChalkInstance
}

const PIECE = 1 << 16

/** The process's own standard output and error. A closed pipe is no error: {@link Io.closed} turns true. */
export function processIo(): Io {
  let pieces: (string | Uint8Array)[] = []
  let size = 0
  let closed = false
  process.stdout.on('error', error => {
    closed = true
    if ((error as NodeJS.ErrnoException).code === 'EPIPE') return
    process.stderr.write(`${jobError('aofkit: standard output', error).message}\n`)
    process.exitCode = Exit.Failed
  })
  process.stderr.on('error', () => {})

  const write = (): void => {
    if (size === 0 || closed) return
    const bytes = pieces.every(piece => typeof piece === 'string')
      ? pieces.join('')
      : Buffer.concat(pieces.map(piece => (typeof piece === 'string' ? Buffer.from(piece) : piece)))
    pieces = []
    size = 0
    process.stdout.write(bytes)
  }

  return {
    out(text) {
      pieces.push(text)
      size += text.length
      if (size >= PIECE) write()
    },
    err(text) {
      process.stderr.write(text)
    },
    async flush() {
      write()
      if (!process.stdout.writableNeedDrain || closed) return
      await new Promise<void>(resolve => {
        const go = () => {
          process.stdout.off('drain', go)
          process.stdout.off('close', go)
          process.stdout.off('error', go)
          resolve()
        }
        process.stdout.once('drain', go).once('close', go).once('error', go)
      })
    },
    get closed() {
      return closed
    },
    get columns() {
      return process.stdout.isTTY ? process.stdout.columns : undefined
    },
    outIsTerminal: process.stdout.isTTY === true,
    errIsTerminal: process.stderr.isTTY === true,
    errStream: process.stderr,
    // chalk knows FORCE_COLOR and the terminal; https://no-color.org is left to us.
    style: new Chalk({ level: process.env.NO_COLOR ? 0 : supportsColor ? supportsColor.level : 0 }),
  }
}
