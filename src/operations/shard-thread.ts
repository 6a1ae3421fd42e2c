import { Worker } from 'node:worker_threads'
import { JobError } from '../bytes/errors.ts'
import type { HalfReport } from './replay.ts'
import { type Answer, type Half, type HalfJob, receiveError, type TaskCall } from './shard-messages.ts'
import type { TaskName } from './shard-tasks.ts'

interface Waiting {
  readonly resolve: (value: never) => void
  readonly reject: (error: Error) => void
}

/**
 * MiB for objects that have just been made, of which a replay has few: by default there is room for 48, and all of it is
 * used before any is given back.
 */
const YOUNG_MIB = 8

/** In a thread of its own, at once. */
export class ThreadHalf implements Half {
  readonly ahead: Promise<HalfReport>
  readonly #worker: Worker
  /** By number of the call. */
  readonly #waiting = new Map<number, Waiting>()
  #calls = 0
  /** Why nothing more can be asked. */
  #ended: Error | undefined

  constructor(url: URL, workerData: HalfJob) {
    this.#worker = new Worker(url, {
      workerData,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MIB },
    })
    this.#worker.on('message', (answer: Answer) => this.#answer(answer))
    this.#worker.on('error', error => this.#end(lost(error)))
    this.#worker.on('exit', () => this.#end(lost(undefined)))
    this.ahead = this.#wait(this.#calls++)
  }

  run(): Promise<HalfReport> {
    return this.ahead
  }

  task(task: TaskName, argument: unknown): Promise<unknown> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended)
    const call: TaskCall = { id: this.#calls++, task, argument }
    const answer = this.#wait(call.id)
    this.#worker.postMessage(call)
    return answer
  }

  async close(): Promise<void> {
    await this.#worker.terminate()
  }

  /** The process waits for the thread only as long as somebody waits for an answer. */
  #wait<T>(id: number): Promise<T> {
    this.#worker.ref()
    return new Promise<T>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
    })
  }

  #answer(answer: Answer): void {
    const waiting = this.#waiting.get(answer.id)
    this.#waiting.delete(answer.id)
    if (this.#waiting.size === 0) this.#worker.unref()
    if ('error' in answer) waiting?.reject(receiveError(answer.error))
    else waiting?.resolve(answer.value as never)
  }

  #end(error: Error): void {
    this.#ended ??= error
    for (const { reject } of this.#waiting.values()) reject(this.#ended)
    this.#waiting.clear()
  }
}

/** A thread has ended that was not asked to. */
function lost(error: unknown): JobError {
  const code = (error as NodeJS.ErrnoException | undefined)?.code
  if (code === 'ERR_WORKER_OUT_OF_MEMORY') {
    return new JobError('memory.limit', 'the thread that replays half of the keys has run out of memory')
  }
  const why = error instanceof Error ? `: ${error.message}` : ''
  return new JobError('replay.thread', `the thread that replays half of the keys has ended${why}`)
}
