/**
 * Which processes have a file open for writing. On Linux the system tells, in /proc/PID/fd and /proc/PID/fdinfo:
 *
 *     /proc/17/fd/9      -> /data/appendonlydir/appendonly.aof.1.incr.aof
 *     /proc/17/fdinfo/9  "pos: 0 \n flags: 0102001 \n …"      the last octal digit: 1 writing, 2 both
 */
import { readdirSync, readFileSync, readlinkSync, type Stats, statSync } from 'node:fs'
import { jobError } from './errors.ts'
import { escapeName } from './escape.ts'
import { systemPath } from './names.ts'

export interface Writers {
  /** Processes, other than this one, that hold the file open for writing. */
  readonly pids: readonly number[]
  /**
   * Whether these are all on this machine. False where the system does not tell, or not about processes of other users.
   * What runs on another machine, or in another container with a view of its own, is never seen.
   */
  readonly known: boolean
}

/** Looks for processes that hold the file at `path` open for writing, under whatever name they opened it. */
export async function writersOf(path: string): Promise<Writers> {
  let file: Stats
  try {
    file = statSync(systemPath(path))
  } catch (error) {
    throw jobError(`cannot read ${escapeName(path)}`, error)
  }
  if (process.platform !== 'linux') return { pids: [], known: false }
  let processes: number[]
  try {
    processes = readdirSync('/proc')
      .filter(name => /^\d+$/.test(name))
      .map(Number)
  } catch {
    return { pids: [], known: false }
  }
  const pids: number[] = []
  // With the mount option hidepid, processes of others are not even listed: not the first one either.
  let known = processes.includes(process.pid) && (processes.includes(1) || process.getuid?.() === 0)
  for (const pid of processes) {
    if (pid === process.pid) continue
    const writes = isWriter(pid, file)
    if (writes) pids.push(pid)
    else if (writes === undefined && !isKernelThread(pid)) known = false
  }
  return { pids: pids.sort((a, b) => a - b), known }
}

/** Whether a process holds the file open for writing; undefined when we may not look. */
function isWriter(pid: number, file: Stats): boolean | undefined {
  try {
    for (const fd of readdirSync(`/proc/${pid}/fd`)) if (isWriting(pid, fd, file)) return true
    return false
  } catch (error) {
    return isGone(error) ? false : undefined
  }
}

function isWriting(pid: number, fd: string, file: Stats): boolean {
  try {
    // Sockets, pipes and devices are not looked at: some of them would keep us waiting.
    const target = readlinkSync(`/proc/${pid}/fd/${fd}`)
    if (!target.startsWith('/') || target.startsWith('/dev/')) return false
    const { dev, ino } = statSync(`/proc/${pid}/fd/${fd}`)
    if (dev !== file.dev || ino !== file.ino) return false
    const flags = /^flags:\s*[0-7]*([0-7])$/m.exec(readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'latin1'))
    return flags === null || (Number(flags[1]) & 3) !== 0
  } catch (error) {
    if (isGone(error)) return false
    throw error
  }
}

/** Whether it failed because the process, or its descriptor, is not there any more. */
function isGone(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException
  return code === 'ENOENT' || code === 'ESRCH'
}

/** Threads of the kernel hold no files, and hide their list of none from all but root. */
function isKernelThread(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The name, in parentheses, may hold anything.
    const parent = stat.slice(stat.lastIndexOf(')') + 2).split(' ', 2)[1]
    return pid === 2 || parent === '2'
  } catch {
    return true
  }
}
