import { createReadStream, type Stats } from 'node:fs'
import { isatty } from 'node:tty'
import { type Compression, compressionOf, HEAD } from './compression.ts'
import { JobError, jobError } from './errors.ts'
import { FileSource, fileStatus } from './file-source.ts'
import type { Source } from './source.ts'
import { StreamSource, shownName } from './stream-source.ts'

export interface SourceOptions {
  /** Demands that `readAt` works: pipes and decompressed data are kept in a temporary file as they are read. */
  readonly again?: boolean
  /** False: bytes as they are, even when they look compressed. */
  readonly decompress?: boolean
}

/**
 * Opens a file, `-`, or a descriptor that the shell opened (`/dev/stdin`, `/dev/fd/63`); compressed content is
 * decompressed. Reading that throws a FormatError `gzip.…` or `zstd.…`, with the offset in the compressed file.
 *
 * Throws a JobError for what is missing, unreadable, a folder, a named pipe, a socket or a device; never waits for a
 * writer.
 */
export async function openSource(path: string, options: SourceOptions = {}): Promise<Source> {
  const raw = await openRaw(path)
  try {
    const compression = options.decompress === false ? undefined : compressionOf(await raw.peek(HEAD))
    const source = compression === undefined ? raw : await decompressed(raw, compression)
    if (!options.again || source.seekable) return source
    const { SpoolSource } = await import('./spool.ts')
    return await SpoolSource.create(source)
  } catch (error) {
    await raw.close()
    throw error
  }
}

// What few inputs need is loaded for them: Node's own modules of zlib and sockets take 4 ms each.
async function decompressed(raw: Source, compression: Compression): Promise<Source> {
  const pieces =
    compression === 'gzip'
      ? (await import('./gzip.ts')).decompressGzip(raw)
      : (await import('./zstd.ts')).decompressZstd(raw)
  return new StreamSource(raw.name, pieces, () => raw.close())
}

async function openRaw(path: string): Promise<FileSource | StreamSource> {
  const descriptor = path === '-' ? '0' : /^\/(?:dev|proc\/self)\/fd\/(\d{1,9})$/.exec(path)?.[1]
  if (descriptor !== undefined) return openDescriptor(path, Number(descriptor))
  if (path === '/dev/stdin') return openDescriptor(path, 0)
  return FileSource.open(path)
}

async function openDescriptor(name: string, fd: number): Promise<FileSource | StreamSource> {
  let stats: Stats
  try {
    stats = await fileStatus(fd)
  } catch (error) {
    throw jobError(`reading ${shownName(name)}`, error)
  }
  if (stats.isFile()) return FileSource.ofDescriptor(name, fd, stats.size)
  if (stats.isDirectory()) throw new JobError('input.folder', `${shownName(name)} is a folder`)
  if (isatty(fd)) {
    throw new JobError('input.terminal', `${shownName(name)} is a terminal`, 'give a path, or pipe a log in')
  }
  // A read in Node's thread pool cannot be called off and would hold up the end of the process: so sockets, which wait
  // in the event loop, for all that may keep us waiting.
  const waits = stats.isFIFO() || stats.isSocket()
  const stream = waits
    ? fd === 0
      ? process.stdin
      : new (await import('node:net')).Socket({ fd, readable: true, writable: false })
    : createReadStream('', { fd, autoClose: false })
  return new StreamSource(name, stream, async () => {
    stream.destroy()
  })
}
