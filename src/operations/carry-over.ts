import { setTimeout as sleep } from 'node:timers/promises'
import type { Input } from '../aof/parts.ts'
import { scanPart } from '../aof/scan.ts'
import { JobError } from '../bytes/errors.ts'
import { escapeName } from '../bytes/escape.ts'
import { FileSource } from '../bytes/file-source.ts'
import { type FileStamp, type Sink, stampOf } from '../bytes/sink.ts'
import { encodeRecord } from '../resp/writer.ts'
import { type CommandTable, ids } from '../servers/commands.ts'
import { windowFrom } from './behind.ts'
import type { Replay } from './replay.ts'
import { sameBytes } from './same-bytes.ts'

/** Looks at an end that is torn before it is taken to be one, and the time between them. */
const LOOKS = 10
const BETWEEN_MS = 50
/** In the place of a command's id, which is negative for one that is not known. */
const ANNOTATION = -2

/** What was appended to a log while it was read. */
export interface CarriedOver {
  /** The part, and offsets in it: where it begins and ends. */
  readonly part: string
  readonly from: number
  readonly to: number
  readonly commands: number
}

/** Which files a log consists of: to see whether a server rewrites it meanwhile. */
export async function logStamps({ parts, manifestPath }: Input): Promise<ReadonlyMap<string, FileStamp>> {
  const stamps = new Map<string, FileStamp>()
  const paths = parts.filter(({ size }) => size !== undefined).map(({ path }) => path)
  for (const path of manifestPath === undefined ? paths : [...paths, manifestPath])
    stamps.set(path, await stampOf(path))
  return stamps
}

/**
 * Copies what was appended to the last part since it was replayed, whole commands up to its end as it is then; undefined
 * when that is nothing. The log may go on growing: once less comes than one look takes, it is its end.
 *
 * @param stamps of the log before it was read
 * @throws JobError `input.changed` when it is not the same log any more
 */
export async function carryOver(
  input: Input,
  { reached }: Replay,
  stamps: ReadonlyMap<string, FileStamp>,
  table: CommandTable,
  sink: Sink,
): Promise<CarriedOver | undefined> {
  const last = input.parts.at(-1)
  if (reached === undefined || last === undefined || last.size === undefined) return undefined
  if (input.compression !== undefined || reached.part !== last || !stamps.has(last.path)) return undefined
  let to = reached.offset
  let commands = 0
  for (let look = 0; look < LOOKS; ) {
    const source = await FileSource.open(last.path)
    try {
      if (source.size < to) throw changed(last.path)
      if (source.size === to) break
      const found = await wholeCommands(source, to, table)
      if (found.end === to) {
        look++
        await sleep(BETWEEN_MS)
        continue
      }
      look = 0
      if (to === reached.offset && reached.db !== 0)
        await sink.write(encodeRecord(['SELECT', String(reached.db)]))
      const at = sink.size
      await sink.copyRange(source, to, found.end)
      if (!(await sameBytes(source, to, await sink.reread(), at, found.end - to)))
        throw new JobError(
          'compact.verify',
          `what was appended to ${escapeName(last.path)} reads back otherwise`,
        )
      to = found.end
      commands += found.commands
    } finally {
      await source.close()
    }
  }
  for (const [path, before] of stamps) {
    const now = await stampOf(path)
    const grown = path === last.path && now.inode === before.inode && now.size >= before.size
    if (
      !grown &&
      (now.inode !== before.inode || now.size !== before.size || now.modifiedAtNs !== before.modifiedAtNs)
    )
      throw changed(path)
  }
  return to === reached.offset ? undefined : { part: last.name, from: reached.offset, to, commands }
}

/** Where the last whole command ends that is in no open transaction, from `from` on. */
async function wholeCommands(
  source: FileSource,
  from: number,
  table: CommandTable,
): Promise<{ end: number; commands: number }> {
  let end = from
  let commands = 0
  let waiting = 0
  let open = false
  const ended = (offset: number, id: number) => {
    if (id !== ANNOTATION) waiting++
    if (id === ids.multi) open = true
    if (id === ids.exec) open = false
    if (open) return
    end = offset
    commands += waiting
    waiting = 0
  }
  const { error } = await scanPart(
    source,
    {
      rdb() {},
      records(batch) {
        for (let i = 0; i < batch.count; i++) {
          const a = batch.first[i]
          const annotation = batch.argc(i) === 0
          ended(
            batch.base + batch.record[i + 1],
            annotation ? ANNOTATION : table.lookup(batch.bytes, batch.start[a], batch.length[a]),
          )
        }
      },
      long(record) {
        ended(record.end, -1)
      },
    },
    { databases: Number.POSITIVE_INFINITY, window: windowFrom(source, from) },
  )
  if (error !== undefined && error.kind !== 'torn') {
    throw new JobError(
      'compact.unsound',
      `what was appended meanwhile is not sound: ${escapeName(source.name)}:${error.offset}: ${error.message}`,
    )
  }
  return { end, commands }
}

function changed(path: string): JobError {
  return new JobError(
    'input.changed',
    `${escapeName(path)} was replaced or changed while it was read: a server rewrote the log; nothing was written`,
    'try again',
  )
}
