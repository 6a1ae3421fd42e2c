import { Glob } from '../bytes/glob.ts'
import type { ServerName } from '../servers/servers.ts'
import type { DatabaseDigest } from '../values/digest.ts'
import { type KeySelection, visitKeys } from './keys.ts'
import { digestOf } from './keyspace-digest.ts'
import { type DatabaseSummary, KeyspaceSummary } from './keyspace-summary.ts'
import type { LogReplay } from './replay.ts'

/** What a half of a keyspace is asked for: what it says goes to another thread, and is of its own keys. */
export interface PartialDigest {
  readonly databases: readonly DatabaseDigest[]
  readonly opaque: number
}

/** As {@link KeySelection}; a key as a glob's text. */
export interface SentSelection extends Omit<KeySelection, 'key'> {
  readonly key?: string | undefined
}

/** How many keys of what kind there are. */
async function summary(
  replay: LogReplay,
  { key, ...rest }: SentSelection,
): Promise<ReadonlyMap<number, DatabaseSummary>> {
  const selection = { ...rest, key: key === undefined ? undefined : new Glob(key) }
  const { extents } = replay.keyspace.store
  const counts = new KeyspaceSummary()
  // To count takes no look at what stands in the log.
  extents.passOver = true
  await visitKeys(
    replay.keyspace,
    selection,
    {
      key: key => counts.key(key),
      cut: () => counts.cut(),
      async damage() {},
      async pause() {},
      full: false,
      done: false,
    },
    replay.bytes,
  )
  extents.passOver = false
  return counts.databases
}

/** @throws JobError `digest.opaque` for a key without a digest, unless `ignoreOpaque` */
function digest(
  replay: LogReplay,
  options: { readonly server: ServerName; readonly ignoreOpaque: boolean },
): PartialDigest {
  const { digest, opaque } = digestOf(replay.keyspace, options.server, options.ignoreOpaque)
  return { databases: digest.soFar, opaque }
}

/** By name: what can be done with the keys of a half, in the thread that has it. Arguments and results are cloned. */
export const TASKS = { summary, digest }

export type TaskName = keyof typeof TASKS
export type TaskArgument<N extends TaskName> = Parameters<(typeof TASKS)[N]>[1]
export type TaskResult<N extends TaskName> = Awaited<ReturnType<(typeof TASKS)[N]>>

export async function runTask<N extends TaskName>(
  replay: LogReplay,
  name: N,
  argument: TaskArgument<N>,
): Promise<TaskResult<N>> {
  const task = TASKS[name] as (replay: LogReplay, argument: unknown) => TaskResult<N> | Promise<TaskResult<N>>
  return task(replay, argument)
}
