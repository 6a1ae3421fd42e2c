/**
 * The thread of the second half of a keyspace (shards.ts). Ends when it is told to.
 */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { type Answer, type HalfJob, secondHalf, sendError, type TaskCall } from './shard-messages.ts'
import { runTask } from './shard-tasks.ts'

const port = parentPort as MessagePort
const replay = secondHalf(workerData as HalfJob)

async function answer(id: number, value: () => Promise<unknown>): Promise<void> {
  let message: Answer
  try {
    message = { id, value: await value() }
  } catch (error) {
    message = { id, error: sendError(error) }
  }
  port.postMessage(message)
}

port.on('message', ({ id, task, argument }: TaskCall) => {
  answer(id, () => runTask(replay, task, argument as never))
})
await answer(0, async () => {
  await replay.run()
  return replay.report
})
