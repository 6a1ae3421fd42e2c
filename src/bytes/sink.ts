/**
 * Writing that leaves the old state or the new one, whenever it is stopped:
 *
 *     .NAME.aofkit-PID-RANDOM   written, fsync     } in the target's folder
 *     NAME.old                  hard link to NAME  } when asked for
 *     NAME                      rename or link     }
 *     fsync of the folder
 *
 * What a killed process leaves under the temporary name is no log to anybody (manifests do not list it, see
 * aof/parts.ts), and is removed by the next one that writes to the same target: the number in the name says whether
 * its process is still there.
 */
import {
  close,
  constants,
  fchmod,
  fchown,
  fdatasync,
  fsync,
  ftruncate,
  linkSync,
  open,
  renameSync,
  type Stats,
  unlinkSync,
  write,
} from 'node:fs'
import {
  copyFile,
  link,
  lstat,
  mkdir,
  readdir,
  readlink,
  realpath,
  rename,
  rm,
  stat,
  unlink,
} from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { JobError, jobError } from './errors.ts'
import { escapeName } from './escape.ts'
import { FileSource, fileStatus } from './file-source.ts'
import { decodeName, nameBytes, systemPath } from './names.ts'
import type { Source } from './source.ts'
import { randomHex, temporaries } from './temporaries.ts'

export interface SinkOptions {
  /** What already has the target's name is replaced. Without it, an existing target is refused. */
  readonly replace?: boolean
  /** A file whose mode, owner and group the result takes. Without it they are those of any new file. */
  readonly like?: string
}

export interface CommitOptions {
  /** Keeps what is replaced, as `NAME.old`, or `NAME.old.1` and so on where that exists already. */
  readonly backup?: boolean
  /** What the target must still be: see {@link stampOf}. */
  readonly unchanged?: FileStamp
}

export interface Committed {
  /** The target, links resolved. */
  readonly path: string
  /** Where the file that was replaced is now. */
  readonly backup: string | undefined
  /** What could not be done as asked, and cost no data: an owner that only root can set. */
  readonly warnings: readonly string[]
}

/** Bytes copied at once. */
const BLOCK = 1 << 20
/** Bytes after which the disk is asked to write them: so that the last fsync has not everything left to do. */
const SYNC_EVERY = 32 << 20
/** Links that are followed, as many as Linux does. */
const MAX_LINKS = 40
const MAX_NAME = 255

/** A file that is being written, and gets its name when it is complete. End with `commit` or `abort`, in a `finally`. */
export class Sink {
  /** The target, links resolved. */
  readonly path: string
  readonly #replace: boolean
  readonly #like: Stats | undefined
  readonly #temporary: string
  #fd: number
  #size = 0
  #open = true
  /** The fsync under way. */
  #syncing: Promise<void> = Promise.resolve()
  #synced = 0

  private constructor(
    path: string,
    temporary: string,
    fd: number,
    replace: boolean,
    like: Stats | undefined,
  ) {
    this.path = path
    this.#temporary = temporary
    this.#fd = fd
    this.#replace = replace
    this.#like = like
  }

  /**
   * Begins to write what will be `target`. Throws a JobError where that cannot be: it exists and is not to be replaced,
   * it is no regular file, its folder is missing or read-only.
   */
  static async create(target: string, options: SinkOptions = {}): Promise<Sink> {
    const path = await resolveLinks(target)
    const existing = await statusOf(path)
    if (existing !== undefined) checkReplaceable(path, existing, options.replace === true)
    const like = await modelOf(options.like)
    await removeLeftovers(path)
    const temporary = temporaryName(path)
    try {
      // Nobody else may read it before it has the owner it shall have.
      const mode = like === undefined ? 0o666 : 0o600
      const fd = await openFile(systemPath(temporary), 'wx+', mode)
      temporaries.add(temporary)
      return new Sink(path, temporary, fd, options.replace === true, like)
    } catch (error) {
      throw cannotWrite(path, error)
    }
  }

  /** Bytes written so far. */
  get size(): number {
    return this.#size
  }

  /** Appends `bytes`, which must not be changed until it is done. Throws a JobError when the disk is full. */
  async write(bytes: Uint8Array): Promise<void> {
    await this.#attempt(async () => {
      for (let done = 0; done < bytes.length; ) {
        done += await writeTo(this.#fd, bytes, done, this.#size + done)
      }
      this.#size += bytes.length
      if (this.#size - this.#synced < SYNC_EVERY) return
      this.#synced = this.#size
      await this.#syncing
      this.#syncing = syncData(this.#fd)
      // Awaited by the next one, or at the end.
      this.#syncing.catch(() => {})
    })
  }

  /** Forgets what was written so far. */
  async restart(): Promise<void> {
    await this.#attempt(async () => {
      await this.#syncing
      await truncate(this.#fd, 0)
      this.#size = 0
      this.#synced = 0
    })
  }

  /** Appends the bytes `[from, to)` of a source that can be read by offset. */
  async copyRange(source: Source, from: number, to: number): Promise<void> {
    let block = new Uint8Array(Math.min(BLOCK, to - from))
    let spare = new Uint8Array(block.length)
    let reading = readBlock(source, block, from, to)
    for (let at = from; at < to; ) {
      const count = await reading
      if (count === 0) {
        await this.abort()
        throw tooShort(source.name, at, to)
      }
      const full = block
      block = spare
      spare = full
      at += count
      reading = readBlock(source, block, at, to)
      reading.catch(() => {})
      await this.write(full.subarray(0, count))
    }
  }

  /**
   * Begins with the first `length` bytes of a file, without copying them where the file system can share them (XFS,
   * Btrfs): cutting the end off a large log then costs neither time nor space. Only before anything is written.
   */
  async copyPrefix(path: string, length: number): Promise<void> {
    if (this.#size > 0) throw new Error('something is written already')
    if (await this.#clonePrefix(path, length)) return
    const source = await FileSource.open(path)
    try {
      await this.copyRange(source, 0, length)
    } finally {
      await source.close()
    }
  }

  async #clonePrefix(path: string, length: number): Promise<boolean> {
    const clone = temporaryName(this.path)
    temporaries.add(clone)
    try {
      const mode = constants.COPYFILE_FICLONE_FORCE | constants.COPYFILE_EXCL
      await copyFile(systemPath(path), systemPath(clone), mode)
    } catch {
      temporaries.delete(clone)
      return false
    }
    return this.#attempt(async () => {
      const fd = await openFile(systemPath(clone), 'r+')
      await closeFile(this.#fd)
      this.#fd = fd
      await rename(systemPath(clone), systemPath(this.#temporary))
      temporaries.delete(clone)
      const { size } = await fileStatus(fd)
      if (size < length) throw tooShort(path, size, length)
      await truncate(fd, length)
      this.#size = length
      this.#synced = length
      return true
    })
  }

  /** What was written so far, to be read back: before it takes the name of anything. */
  reread(): Promise<FileSource> {
    return FileSource.ofDescriptor(this.path, this.#fd, this.#size)
  }

  /**
   * Makes what was written the target. When it resolves, the target and its name are on the disk. Throws a JobError,
   * and leaves the target as it was, when that cannot be done.
   */
  async commit(options: CommitOptions = {}): Promise<Committed> {
    return this.#attempt(async () => {
      const warnings = this.#like === undefined ? [] : await takeOver(this.path, this.#fd, this.#like)
      await this.#syncing
      await syncFile(this.#fd)
      this.#open = false
      await closeFile(this.#fd)
      if (options.unchanged !== undefined) await checkUnchanged(this.path, options.unchanged)
      let backup: string | undefined
      if (this.#replace) {
        // Without an await in between: a signal finds the old name and no backup, or the new one and its backup.
        if (options.backup) backup = keepBackup(this.path)
        try {
          renameSync(systemPath(this.#temporary), systemPath(this.path))
          temporaries.delete(this.#temporary)
        } catch (error) {
          if (backup !== undefined) unlinkSync(systemPath(backup))
          throw error
        }
      } else await giveNewName(this.#temporary, this.path)
      temporaries.delete(this.#temporary)
      await syncFolder(dirname(this.path))
      return { path: this.path, backup, warnings }
    })
  }

  /** Removes what was written; the target stays as it is. Does nothing after a commit. */
  async abort(): Promise<void> {
    if (this.#open) {
      this.#open = false
      await this.#syncing.catch(() => {})
      await closeFile(this.#fd).catch(() => {})
    }
    if (!temporaries.delete(this.#temporary)) return
    await rm(systemPath(this.#temporary), { force: true }).catch(() => {})
  }

  async #attempt<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      await this.abort()
      throw cannotWrite(this.path, error)
    }
  }
}

/** A folder that is being filled, and gets its name when it is complete. */
export class FolderSink {
  /** The target, links resolved. */
  readonly path: string
  /** Where to create its files meanwhile. */
  readonly folder: string
  readonly #replace: boolean
  readonly #like: Stats | undefined

  private constructor(path: string, folder: string, replace: boolean, like: Stats | undefined) {
    this.path = path
    this.folder = folder
    this.#replace = replace
    this.#like = like
  }

  /** Begins to fill what will be the folder `target`; `like` may be a folder, or a file in one. */
  static async create(target: string, options: SinkOptions = {}): Promise<FolderSink> {
    const path = await resolveLinks(target)
    const existing = await statusOf(path)
    if (existing !== undefined && options.replace !== true) throw exists(path)
    if (existing !== undefined && !existing.isDirectory()) {
      throw new JobError('output.kind', `${escapeName(path)} is no folder, and the result is one`)
    }
    await removeLeftovers(path)
    const like = await modelOf(options.like)
    const folder = temporaryName(path)
    try {
      await mkdir(systemPath(folder), { mode: like === undefined ? 0o777 : 0o700 })
    } catch (error) {
      throw cannotWrite(path, error)
    }
    temporaries.add(folder)
    return new FolderSink(path, folder, options.replace === true, like)
  }

  /**
   * Makes what was filled the target. A folder that is replaced is kept as `NAME.old` (two folders cannot be exchanged
   * in one step: killed in between, the old one is there under that name, the new one under its temporary name).
   */
  async commit(): Promise<Committed> {
    let backup: string | undefined
    try {
      const warnings = await this.#takeOver()
      await syncFolder(this.folder)
      if (this.#replace && (await statusOf(this.path)) !== undefined) {
        backup = await freeName(this.path)
        await rename(systemPath(this.path), systemPath(backup))
      } else if ((await statusOf(this.path)) !== undefined) throw exists(this.path)
      await rename(systemPath(this.folder), systemPath(this.path))
      temporaries.delete(this.folder)
      await syncFolder(dirname(this.path))
      return { path: this.path, backup, warnings }
    } catch (error) {
      if (backup !== undefined && (await statusOf(this.path)) === undefined) {
        await rename(systemPath(backup), systemPath(this.path)).catch(() => {})
      }
      await this.abort()
      throw cannotWrite(this.path, error)
    }
  }

  async #takeOver(): Promise<string[]> {
    if (this.#like === undefined) return []
    const fd = await openFile(systemPath(this.folder), constants.O_RDONLY)
    try {
      return await takeOver(this.path, fd, this.#like)
    } finally {
      await closeFile(fd)
    }
  }

  /** Removes what was filled; the target stays as it is. Does nothing after a commit. */
  async abort(): Promise<void> {
    if (!temporaries.delete(this.folder)) return
    await rm(systemPath(this.folder), { recursive: true, force: true }).catch(() => {})
  }
}

async function modelOf(path: string | undefined): Promise<Stats | undefined> {
  if (path === undefined) return undefined
  try {
    return await stat(systemPath(path))
  } catch (error) {
    throw jobError(`cannot read ${escapeName(path)}`, error)
  }
}

/** Gives a file, or a folder, the mode, owner and group of its model; returns what could not be done. */
async function takeOver(path: string, fd: number, like: Stats): Promise<string[]> {
  const warnings: string[] = []
  try {
    await changeOwner(fd, like.uid, like.gid)
  } catch {
    // Not root: the group at least, when we are in it.
    await changeOwner(fd, -1, like.gid).catch(() => {})
    warnings.push(
      `${escapeName(path)} could not be given its owner ${like.uid} and group ${like.gid}: a server that runs as another user may not be able to open it`,
    )
  }
  const folder = (await fileStatus(fd)).isDirectory()
  const mode = like.mode & 0o7777
  // A folder is entered by those who may read the file that it is modelled on. After the owner: changing that may take
  // bits away.
  await changeMode(fd, folder && !like.isDirectory() ? mode | ((mode & 0o444) >> 2) : mode)
  return warnings
}

/** What a file is at a moment: to be sure before it is replaced that nobody has changed it. */
export interface FileStamp {
  readonly device: bigint
  readonly inode: bigint
  readonly size: bigint
  readonly modifiedAtNs: bigint
}

export async function stampOf(path: string): Promise<FileStamp> {
  try {
    const stats = await stat(systemPath(path), { bigint: true })
    return { device: stats.dev, inode: stats.ino, size: stats.size, modifiedAtNs: stats.mtimeNs }
  } catch (error) {
    throw jobError(`cannot read ${escapeName(path)}`, error)
  }
}

async function checkUnchanged(path: string, before: FileStamp): Promise<void> {
  const now = await stampOf(path)
  if (
    now.device === before.device &&
    now.inode === before.inode &&
    now.size === before.size &&
    now.modifiedAtNs === before.modifiedAtNs
  ) {
    return
  }
  throw new JobError(
    'output.changed',
    `${escapeName(path)} was changed while its replacement was made (${before.size} bytes then, ${now.size} now); nothing was replaced`,
    'stop the server that writes to it, and try again',
  )
}

/** Gives the file at `path` a second name, and returns it: `NAME.old`, or the first of `NAME.old.N` that is free. */
export function keepBackup(path: string): string {
  for (let number = 0; ; number++) {
    const name = backupName(path, number)
    try {
      linkSync(systemPath(path), systemPath(name))
      return name
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code
      if (code === 'EEXIST') continue
      if (code !== undefined && NO_LINKS.has(code)) {
        throw new JobError(
          'output.backup',
          `${escapeName(path)} cannot be kept under a second name: its file system has no hard links, or does not allow this one`,
          'write elsewhere with --output, or give up the old file with --no-backup',
        )
      }
      throw jobError(`cannot keep ${escapeName(path)} as ${escapeName(name)}`, error)
    }
  }
}

/** How file systems without hard links answer. */
const NO_LINKS: ReadonlySet<string> = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'])

const backupName = (path: string, number: number): string => `${path}.old${number === 0 ? '' : `.${number}`}`

async function freeName(path: string): Promise<string> {
  for (let number = 0; ; number++) {
    const name = backupName(path, number)
    if ((await statusOf(name)) === undefined) return name
  }
}

/** Renames a file, never over another one. */
async function giveNewName(temporary: string, path: string): Promise<void> {
  try {
    // A rename would replace what somebody else has put there in the meantime.
    await link(systemPath(temporary), systemPath(path))
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'EEXIST') throw exists(path)
    if (code === undefined || !NO_LINKS.has(code)) throw error
    // Without links: the name is taken first, then replaced.
    await closeFile(
      await openFile(systemPath(path), 'wx').catch(reason => {
        throw reason.code === 'EEXIST' ? exists(path) : reason
      }),
    )
    await rename(systemPath(temporary), systemPath(path))
    return
  }
  await unlink(systemPath(temporary))
}

function temporaryName(path: string): string {
  const prefix = temporaryPrefix(path)
  return join(dirname(path), `${prefix}${process.pid}-${randomHex(6)}`)
}

function temporaryPrefix(path: string): string {
  const name = basename(path)
  // A name as long as names may be has no room for more.
  return nameBytes(name).length > MAX_NAME - 40 ? '.aofkit-' : `.${name}.aofkit-`
}

/** Removes what processes that are gone have left of their attempts to write `path`. */
async function removeLeftovers(path: string): Promise<void> {
  const prefix = temporaryPrefix(path)
  const folder = dirname(path)
  const names = await readdir(systemPath(folder), { encoding: 'buffer' }).catch(() => [])
  for (const bytes of names) {
    const name = decodeName(bytes)
    const owner = name.startsWith(prefix) ? /^(\d+)-[0-9a-f]{12}$/.exec(name.slice(prefix.length)) : null
    if (owner === null || isRunning(Number(owner[1]))) continue
    await rm(systemPath(join(folder, name)), { recursive: true, force: true }).catch(() => {})
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
}

/** The path behind all links, of which the last may lead to nothing. */
async function resolveLinks(path: string): Promise<string> {
  try {
    let target = resolve(path)
    for (let count = 0; count < MAX_LINKS; count++) {
      const folder = decodeName(await realpath(systemPath(dirname(target)), { encoding: 'buffer' }))
      target = join(folder, basename(target))
      const next = await readlink(systemPath(target), { encoding: 'buffer' }).catch(() => undefined)
      if (next === undefined) return target
      target = resolve(folder, decodeName(next))
    }
  } catch (error) {
    throw jobError(`cannot write to the folder of ${escapeName(path)}`, error)
  }
  throw new JobError('system.eloop', `cannot write ${escapeName(path)}: too many links`)
}

async function statusOf(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(systemPath(path))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw cannotWrite(path, error)
  }
}

function checkReplaceable(path: string, stats: Stats, replace: boolean): void {
  if (stats.isDirectory())
    throw new JobError('output.kind', `${escapeName(path)} is a folder, and the result is a file`)
  if (!stats.isFile()) throw new JobError('output.kind', `${escapeName(path)} is no regular file`)
  if (!replace) throw exists(path)
}

function exists(path: string): JobError {
  return new JobError('output.exists', `${escapeName(path)} exists already`)
}

function tooShort(name: string, size: number, wanted: number): JobError {
  const message = `${escapeName(name)} ends at ${size}, while bytes up to ${wanted} were to be copied`
  return new JobError('input.shrank', message)
}

function cannotWrite(path: string, error: unknown): JobError {
  return jobError(`cannot write ${escapeName(path)}`, error)
}

async function readBlock(source: Source, block: Uint8Array, at: number, to: number): Promise<number> {
  const wanted = Math.min(block.length, to - at)
  return wanted > 0 ? source.readAt(block.subarray(0, wanted), at) : 0
}

async function syncFolder(path: string): Promise<void> {
  const fd = await openFile(systemPath(path), constants.O_RDONLY)
  try {
    await syncFile(fd)
  } catch (error) {
    // Some network file systems have no fsync of folders, and write names through.
    const code = (error as NodeJS.ErrnoException).code
    if (code !== 'EINVAL' && code !== 'ENOTSUP' && code !== 'EBADF') throw error
  } finally {
    await closeFile(fd)
  }
}

const openFile = promisify(open)
const closeFile = promisify(close)
const syncFile = promisify(fsync)
const syncData = promisify(fdatasync)
const truncate = promisify(ftruncate)
const changeOwner = promisify(fchown)
const changeMode = promisify(fchmod)

function writeTo(fd: number, bytes: Uint8Array, from: number, at: number): Promise<number> {
  return new Promise((resolve, reject) => {
    write(fd, bytes, from, bytes.length - from, at, (error, count) =>
      error ? reject(error) : resolve(count),
    )
  })
}
