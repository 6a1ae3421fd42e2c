import { close, constants, fstat, open, read, readSync, type Stats } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { promisify } from 'node:util'
import { JobError, jobError } from './errors.ts'
import { systemPath } from './names.ts'
import type { KeptSource } from './source.ts'
import { shownName } from './stream-source.ts'

/** An open file. Offsets are from its start. */
export interface SharedFile {
  readonly name: string
  readonly fd: number
  readonly origin: number
  readonly end: number
}

/** A regular file, up to its size at opening (or when it last grew). */
export class FileSource implements KeptSource {
  readonly name: string
  readonly seekable = true
  readonly #fd: number
  /** False for a descriptor that the shell gave us. */
  readonly #owned: boolean
  /** Where in the file offset 0 is. */
  readonly #origin: number
  #size: number
  #position = 0
  #closed = false
  /** Reads under way: the descriptor must not be closed, and its number used again, under them. */
  readonly #reads = new Set<Promise<number>>()

  private constructor(name: string, fd: number, owned: boolean, origin: number, end: number) {
    this.name = name
    this.#fd = fd
    this.#owned = owned
    this.#origin = origin
    this.#size = Math.max(0, end - origin)
  }

  static async open(path: string): Promise<FileSource> {
    let fd: number | undefined
    try {
      // Looked at before it is opened (opening moves a tape, and fails for a socket with a strange reason), and again
      // afterwards; without O_NONBLOCK a named pipe that takes its place in between would keep us waiting.
      checkRegular(path, await stat(systemPath(path)))
      fd = await openFile(systemPath(path), constants.O_RDONLY | constants.O_NONBLOCK)
      const stats = await fileStatus(fd)
      checkRegular(path, stats)
      return new FileSource(path, fd, true, 0, stats.size)
    } catch (error) {
      if (fd !== undefined) await closeFile(fd)
      const code = (error as NodeJS.ErrnoException).code
      if (code === 'ENOENT' || code === 'ENOTDIR') {
        throw new JobError('input.missing', `${shownName(path)}: no such file or folder`)
      }
      throw jobError(`cannot read ${shownName(path)}`, error)
    }
  }

  /** A file that the shell opened, from its current position on (another process may have read some of it). */
  static async ofDescriptor(name: string, fd: number, size: number): Promise<FileSource> {
    return new FileSource(name, fd, false, await descriptorPosition(fd), size)
  }

  /** The same file up to the size that is known of it now, for another thread ({@link ofShared}). */
  get shared(): SharedFile {
    return { name: this.name, fd: this.#fd, origin: this.#origin, end: this.#origin + this.#size }
  }

  /** A file that another thread has open: it must not be closed there before this one is. */
  static ofShared({ name, fd, origin, end }: SharedFile): FileSource {
    return new FileSource(name, fd, false, origin, end)
  }

  get size(): number {
    return this.#size
  }

  async read(target: Uint8Array, from: number, to: number): Promise<number> {
    const at = this.#position
    const length = Math.min(to - from, this.#size - at)
    if (length <= 0) return 0
    // Taken at once: the next call may come before this one is done.
    this.#position += length
    return this.readAt(target.subarray(from, from + length), at)
  }

  async readAt(target: Uint8Array, offset: number): Promise<number> {
    let done = 0
    while (done < target.length && offset + done < this.#size) {
      const length = Math.min(target.length - done, this.#size - offset - done, MAX_READ)
      done += await this.#readBytes(target, done, length, offset + done)
    }
    return done
  }

  readAtSync(target: Uint8Array, offset: number): number {
    if (this.#closed) throw new JobError('input.closed', `${shownName(this.name)} is closed already`)
    let done = 0
    while (done < target.length && offset + done < this.#size) {
      const length = Math.min(target.length - done, this.#size - offset - done, MAX_READ)
      const count = this.#readSync(target, done, length, offset + done)
      if (count === 0) break
      done += count
    }
    return done
  }

  #readSync(target: Uint8Array, from: number, length: number, offset: number): number {
    try {
      return readSync(this.#fd, target, from, length, this.#origin + offset)
    } catch (error) {
      throw jobError(`reading ${shownName(this.name)} at ${offset}`, error)
    }
  }

  /** The first bytes; they will be read all the same. */
  async peek(count: number): Promise<Uint8Array> {
    const head = new Uint8Array(count)
    return head.subarray(0, await this.readAt(head, 0))
  }

  async grow(): Promise<boolean> {
    const size = (await this.#status()).size - this.#origin
    if (size < this.#size) throw this.#shrank(size)
    const grown = size > this.#size
    this.#size = size
    return grown
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await Promise.allSettled(this.#reads)
    if (this.#owned) await closeFile(this.#fd)
  }

  async #readBytes(target: Uint8Array, from: number, length: number, offset: number): Promise<number> {
    if (this.#closed) throw new JobError('input.closed', `${shownName(this.name)} is closed already`)
    const pending = readFrom(this.#fd, target, from, length, this.#origin + offset)
    this.#reads.add(pending)
    let count: number
    try {
      count = await pending
    } catch (error) {
      throw jobError(`reading ${shownName(this.name)} at ${offset}`, error)
    } finally {
      this.#reads.delete(pending)
    }
    if (count === 0) throw this.#shrank((await this.#status()).size - this.#origin)
    return count
  }

  async #status(): Promise<Stats> {
    try {
      return await fileStatus(this.#fd)
    } catch (error) {
      throw jobError(`reading ${shownName(this.name)}`, error)
    }
  }

  #shrank(size: number): JobError {
    const message = `${shownName(this.name)} became shorter while it was read: from ${this.#size} to ${size} bytes`
    return new JobError('input.shrank', message, 'read it again when nobody truncates or rewrites it')
  }
}

/** Linux reads at most 2 GiB less a page at once. */
const MAX_READ = 1 << 30

const openFile = promisify(open)
const closeFile = promisify(close)
export const fileStatus: (fd: number) => Promise<Stats> = promisify(fstat)

/** `fs.read` without the object that its promisified form makes for each call. */
function readFrom(fd: number, target: Uint8Array, from: number, length: number, at: number): Promise<number> {
  return new Promise((resolve, reject) => {
    read(fd, target, from, length, at, (error, count) => (error ? reject(error) : resolve(count)))
  })
}

/** Where the next read of a descriptor that we were given would begin: known on Linux, taken as 0 elsewhere. */
async function descriptorPosition(fd: number): Promise<number> {
  try {
    return Number(/^pos:\s*(\d+)$/m.exec(await readFile(`/proc/self/fdinfo/${fd}`, 'latin1'))?.[1] ?? 0)
  } catch {
    return 0
  }
}

function checkRegular(path: string, stats: Stats): void {
  if (stats.isFile()) return
  if (stats.isDirectory()) throw new JobError('input.folder', `${shownName(path)} is a folder`)
  const kind = stats.isFIFO()
    ? 'a named pipe'
    : stats.isSocket()
      ? 'a socket'
      : stats.isCharacterDevice() || stats.isBlockDevice()
        ? 'a device'
        : 'no regular file'
  throw new JobError(
    'input.kind',
    `${shownName(path)} is ${kind}, not a file`,
    'pipe its content in: … | aofkit … -',
  )
}
