/**
 * Changes RDB files at random and reads them with everything (test/fuzz/rdb.ts says what counts as harm):
 *
 *     node scripts/run.js scripts/fuzz-rdb.ts [RUNS] [SEED]
 *
 * Prints the seed. An input that does harm is left in a file; `scripts/fuzz-rdb.ts 1 SEED`, with the seed of the message,
 * makes it again. The reading goes on in a thread of its own, so that one that does not end is noticed.
 */
import { writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { Fault, fuzzRdb } from '../test/fuzz/rdb.ts'

/** Milliseconds without an input that was done. */
const PATIENCE = 30_000

interface Task {
  readonly seed: number
  readonly runs: number
  /** The number of the input that is being read. */
  readonly current: Int32Array
}

async function work({ seed, runs, current }: Task): Promise<void> {
  try {
    await fuzzRdb(seed, 0, runs, number => Atomics.store(current, 0, number))
    parentPort?.postMessage(undefined)
  } catch (error) {
    parentPort?.postMessage(
      error instanceof Fault ? { message: error.message, input: error.input } : { message: String(error) },
    )
  }
}

function watch(runs: number, seed: number): void {
  console.log(`${runs} runs, seed ${seed}`)
  const current = new Int32Array(new SharedArrayBuffer(4))
  const worker = new Worker(fileURLToPath(import.meta.url), { workerData: { seed, runs, current } })
  const began = performance.now()
  let last = -1
  const timer = setInterval(() => {
    const number = Atomics.load(current, 0)
    if (number === last) end(`seed ${seed + number}: no end after ${PATIENCE / 1000} s`)
    last = number
  }, PATIENCE)
  const end = (why: string | undefined) => {
    clearInterval(timer)
    void worker.terminate()
    const seconds = (performance.now() - began) / 1000
    console.log(why ?? `no harm done, in ${seconds.toFixed(1)} s`)
    process.exitCode = why === undefined ? 0 : 1
  }
  worker.on('error', error => end(String(error.stack)))
  worker.on('message', (fault: { message: string; input?: Uint8Array } | undefined) => {
    if (fault?.input !== undefined) {
      const path = join(tmpdir(), 'aofkit-fuzz.rdb')
      writeFileSync(path, fault.input)
      console.log(`the input is in ${path}`)
    }
    end(fault?.message)
  })
}

if (isMainThread) watch(Number(process.argv[2] ?? 10_000), Number(process.argv[3] ?? Date.now() % 1_000_000))
else await work(workerData as Task)
