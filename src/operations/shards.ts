import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import type { Finding } from '../aof/finding.ts'
import { type Input, openPart, type Part } from '../aof/parts.ts'
import { FileSource } from '../bytes/file-source.ts'
import { Window } from '../bytes/window.ts'
import type { Keyspace } from '../keyspace/keyspace.ts'
import { Batch, Scanner } from '../resp/scanner.ts'
import type { ServerName } from '../servers/servers.ts'
import { type HalfReport, LogReplay, NeedsBoth, type ReplayOptions, replayLog } from './replay.ts'
import { type Half, type HalfJob, secondHalf } from './shard-messages.ts'
import { runTask, type TaskArgument, type TaskName, type TaskResult } from './shard-tasks.ts'

/*
 * A large log is replayed in two threads. Each reads all of it, which is a small share of the work, and carries out the
 * commands whose keys are in its half of the keyspace (keyspace/shard.ts). They do not wait for each other before they
 * are done; then each is asked what its half holds.
 *
 * What is found is that of one thread, whatever machine it is: whether there are halves depends on the log alone, and
 * where there is one core they are filled in one thread.
 */

/** Bytes of a log from which on it is worth a thread, which takes some 40 ms to start. */
const LEAST = 64 << 20

/**
 * Bytes of a record, on average, up to which it is worth it: of longer ones reading is most of the work, and both threads do
 * that (by measurement: 71 bytes 1.5 times as fast, 250 bytes no faster, and 28 MB of memory more).
 */
const LONGEST_RECORD = 160
/** Bytes that are looked at to find that out. */
const LOOKED_AT = 1 << 20

export interface Sharing {
  /** Bytes of a log that is replayed in halves. */
  readonly least?: number
  /** Bytes of its records, on average. */
  readonly longestRecord?: number
  /** Whether the second half has a thread; default: when there is a core for it. */
  readonly thread?: boolean
  /** What that thread runs; default: shard-worker.js of the package. */
  readonly worker?: URL
}

/** A log that was replayed: of what it holds everything is asked for by {@link each}. */
export interface ShardedReplay {
  readonly server: ServerName
  readonly commands: number
  readonly rejected: number
  readonly scripts: number
  readonly bytes: number
  readonly findings: readonly Finding[]
  readonly firstFindings: readonly { readonly first: Finding; readonly count: number }[]
  readonly torn: boolean
  readonly writtenAt: number | undefined
  readonly keys: number
  /** Libraries of functions. */
  readonly functions: number
  /** How many keyspaces there are: every key is in one of them. */
  readonly shards: number
  /**
   * Has a task of the registry (shard-tasks.ts) done with each keyspace, at the same time where there are threads.
   *
   * @returns what each has to say, always in the same order
   */
  each<N extends TaskName>(task: N, argument: TaskArgument<N>): Promise<TaskResult<N>[]>
  /** Closes the parts and ends the threads. */
  close(): Promise<void>
}

/**
 * As {@link replayLog}, in halves where that pays: of a log in files, that is large, and in which no command needs keys of
 * both halves at once. From the first that does, it is replayed as a whole.
 */
export async function replayShards(
  input: Input,
  options: ReplayOptions,
  progress?: (bytes: number) => void,
  sharing: Sharing = {},
): Promise<ShardedReplay> {
  const halves = await replayHalves(input, options, progress, sharing)
  return halves ?? new Shards(await replayLog(input, options, progress), undefined, [])
}

async function replayHalves(
  input: Input,
  options: ReplayOptions,
  progress: ((bytes: number) => void) | undefined,
  { least = LEAST, longestRecord = LONGEST_RECORD, thread = availableParallelism() > 1, worker }: Sharing,
): Promise<Shards | undefined> {
  // What another thread cannot be told.
  if (options.open !== undefined || options.watch !== undefined || options.omit !== undefined)
    return undefined
  if (input.compression !== undefined) return undefined
  if (input.size === undefined || input.size < least) return undefined
  const files = await openFiles(input)
  if (files === undefined) return undefined
  if (longestRecord !== Number.POSITIVE_INFINITY && (await recordBytes(files)) > longestRecord) {
    await closeAll(files)
    return undefined
  }
  const job = jobOf(input, options, files)
  const open = async (part: Part) => files[input.parts.indexOf(part)]
  const first = new LogReplay(input, { ...options, open }, progress, 0)
  const runs = thread ? (worker ?? workerFile()) : undefined
  const second = runs === undefined ? new LocalHalf(job) : await threadHalf(runs, job)
  let givenUp = false
  let late: HalfReport | undefined
  first.takeOthers = async () => {
    givenUp = true
    await second.close()
    late = await replayLate(first.keyspace, job)
  }
  const reading = first.run()
  const readingToo = second.ahead?.catch(error => {
    if (givenUp || error instanceof NeedsBoth) return undefined
    throw error
  })
  try {
    await Promise.all([reading, readingToo])
    if (late !== undefined) {
      first.finish([late])
      return new Shards(first, undefined, files)
    }
    const report = await (readingToo ?? second.run())
    // Of a log that grew under way each may have seen another end.
    if (report?.ends.join() !== first.report.ends.join()) throw new NeedsBoth()
    first.finish([report])
    return new Shards(first, second, files, report.keys)
  } catch (error) {
    first.stop()
    givenUp = true
    await second.close()
    await Promise.allSettled([reading, readingToo])
    await closeAll(files)
    if (error instanceof NeedsBoth) return undefined
    throw error
  }
}

/**
 * Adds the keys of the second half to a keyspace that has those of the first: up to the command that needs both, what the
 * second one has done is done once more. So nothing has to be carried from one thread to the other, and everything is as
 * the commands made it; it takes half as long as it took to come here.
 *
 * @throws NeedsBoth when there is no such command
 */
async function replayLate(keyspace: Keyspace, job: HalfJob): Promise<HalfReport> {
  const { selected } = keyspace
  keyspace.setAside()
  const second = secondHalf(job, keyspace)
  const missing = await second.run().catch(error => error)
  if (missing === undefined) throw new NeedsBoth()
  if (!(missing instanceof NeedsBoth)) throw missing
  keyspace.takeBack()
  keyspace.selected = selected
  return second.report
}

/** The parts, if all of them are files that two threads can read. */
async function openFiles({ parts }: Input): Promise<FileSource[] | undefined> {
  const files: FileSource[] = []
  try {
    for (const part of parts) {
      const source = await openPart(part)
      if (source instanceof FileSource) {
        files.push(source)
        continue
      }
      await source.close()
      await closeAll(files)
      return undefined
    }
  } catch (error) {
    await closeAll(files)
    throw error
  }
  return files
}

/** Bytes of a record at the beginning of the largest part, on average; Infinity: there are none, as in an RDB. */
async function recordBytes(files: readonly FileSource[]): Promise<number> {
  const largest = files.reduce((a, b) => (b.size > a.size ? b : a))
  const bytes = new Uint8Array(LOOKED_AT + Window.SLACK)
  const count = await largest.readAt(bytes.subarray(0, LOOKED_AT), 0)
  const batch = new Batch(LOOKED_AT)
  batch.clear(bytes, 0)
  const end = new Scanner().scan(batch, 0, count, false)
  return batch.count === 0 ? Number.POSITIVE_INFINITY : end / batch.count
}

async function closeAll(files: readonly FileSource[]): Promise<void> {
  for (const file of files) await file.close()
}

function jobOf(
  { parts, size }: Input,
  { ends, open: _open, watch: _watch, omit: _omit, ...options }: ReplayOptions,
  files: readonly FileSource[],
): HalfJob {
  return {
    parts: parts.map(part => ({ ...part })),
    size: size as number,
    files: files.map(file => file.shared),
    ends: parts.map(part => ends?.get(part)),
    options,
  }
}

/** Beside the bundle that this is in, or above; undefined when this is not bundled. */
function workerFile(): URL | undefined {
  for (const path of ['./shard-worker.js', '../shard-worker.js']) {
    const url = new URL(path, import.meta.url)
    if (existsSync(url)) return url
  }
  return undefined
}

class Shards implements ShardedReplay {
  readonly keys: number
  readonly #first: LogReplay
  readonly #second: Half | undefined
  readonly #files: readonly FileSource[]

  /** @param keys of the second half */
  constructor(first: LogReplay, second: Half | undefined, files: readonly FileSource[], keys = 0) {
    this.#first = first
    this.#second = second
    this.#files = files
    this.keys = first.keyspace.size + keys
  }

  get server(): ServerName {
    return this.#first.server
  }

  get commands(): number {
    return this.#first.commands
  }

  get rejected(): number {
    return this.#first.rejected
  }

  get scripts(): number {
    return this.#first.scripts
  }

  get bytes(): number {
    return this.#first.bytes
  }

  get findings(): readonly Finding[] {
    return this.#first.findings
  }

  get firstFindings(): ShardedReplay['firstFindings'] {
    return this.#first.firstFindings
  }

  get torn(): boolean {
    return this.#first.torn
  }

  get writtenAt(): number | undefined {
    return this.#first.writtenAt
  }

  get functions(): number {
    return this.#first.keyspace.functions.size
  }

  get shards(): number {
    return this.#second === undefined ? 1 : 2
  }

  async each<N extends TaskName>(task: N, argument: TaskArgument<N>): Promise<TaskResult<N>[]> {
    // The other thread first, so that it is at work when this one begins.
    const second = this.#second?.task(task, argument) as Promise<TaskResult<N>> | undefined
    const first = runTask(this.#first, task, argument)
    const results = await Promise.allSettled(second === undefined ? [first] : [first, second])
    return results.map(result => {
      if (result.status === 'rejected') throw result.reason
      return result.value
    })
  }

  async close(): Promise<void> {
    await this.#second?.close()
    await this.#first.close()
    await closeAll(this.#files)
  }
}

// Loaded for those who need it: Node's own module of threads takes its time.
async function threadHalf(worker: URL, job: HalfJob): Promise<Half> {
  const { ThreadHalf } = await import('./shard-thread.ts')
  return new ThreadHalf(worker, job)
}

/** In this thread, after the first half. */
class LocalHalf implements Half {
  readonly ahead = undefined
  readonly #replay: LogReplay

  constructor(job: HalfJob) {
    this.#replay = secondHalf(job)
  }

  async run(): Promise<HalfReport> {
    await this.#replay.run()
    return this.#replay.report
  }

  task(name: TaskName, argument: unknown): Promise<unknown> {
    return runTask(this.#replay, name, argument as never)
  }

  close(): Promise<void> {
    return this.#replay.close()
  }
}
