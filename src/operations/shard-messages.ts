import type { Part } from '../aof/parts.ts'
import { JobError } from '../bytes/errors.ts'
import { FileSource, type SharedFile } from '../bytes/file-source.ts'
import type { Keyspace } from '../keyspace/keyspace.ts'
import { type HalfReport, LogReplay, NeedsBoth, type ReplayOptions } from './replay.ts'
import type { TaskName } from './shard-tasks.ts'

/*
 * What two threads that have a half of a keyspace each say to one another. The second one is started with a HalfJob, and
 * answers it as call 0; after that, it answers calls.
 */

/** Half of a log to be replayed, as another thread can be told. */
export interface HalfJob {
  readonly parts: readonly Part[]
  readonly size: number
  /** By part. */
  readonly files: readonly SharedFile[]
  /** By part; undefined: all of it is read. */
  readonly ends: readonly (number | undefined)[]
  readonly options: Omit<ReplayOptions, 'ends' | 'open' | 'watch' | 'omit'>
}

/** The second half, wherever it is. */
export interface Half {
  /** What comes of reading the log, where that is under way from the start: NeedsBoth, when it could not go on. */
  readonly ahead: Promise<HalfReport> | undefined
  /** Reads the log, where it is not. */
  run(): Promise<HalfReport>
  task(name: TaskName, argument: unknown): Promise<unknown>
  close(): Promise<void>
}

export interface TaskCall {
  readonly id: number
  readonly task: TaskName
  readonly argument: unknown
}

export type Answer =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: SentError }

/** The replay of the second half. @param keyspace where it is built; default: a new one */
export function secondHalf({ parts, size, files, ends, options }: HalfJob, keyspace?: Keyspace): LogReplay {
  const limits = new Map<Part, number>()
  ends.forEach((end, i) => {
    if (end !== undefined) limits.set(parts[i], end)
  })
  const open = async (part: Part) => FileSource.ofShared(files[parts.indexOf(part)])
  return new LogReplay(
    { parts, size, findings: [] },
    { ...options, ends: limits, open },
    undefined,
    1,
    keyspace,
  )
}

type SentError =
  | {
      readonly kind: 'job'
      readonly code: string
      readonly message: string
      readonly hint: string | undefined
    }
  | { readonly kind: 'needs-both' }
  | { readonly kind: 'other'; readonly message: string; readonly stack: string | undefined }

/** An error as another thread can be told: the classes of errors do not go there. */
export function sendError(error: unknown): SentError {
  if (error instanceof JobError) {
    const { code, message, hint } = error
    return { kind: 'job', code, message, hint }
  }
  if (error instanceof NeedsBoth) return { kind: 'needs-both' }
  if (error instanceof Error) return { kind: 'other', message: error.message, stack: error.stack }
  return { kind: 'other', message: String(error), stack: undefined }
}

export function receiveError(sent: SentError): Error {
  if (sent.kind === 'job') return new JobError(sent.code, sent.message, sent.hint)
  if (sent.kind === 'needs-both') return new NeedsBoth()
  const error = new Error(sent.message)
  if (sent.stack !== undefined) error.stack = sent.stack
  return error
}
