import { readSync } from 'node:fs'
import { type FileHandle, open, unlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type JobError, jobError } from './errors.ts'
import { escapeName } from './escape.ts'
import type { KeptSource, Source } from './source.ts'
import { randomHex } from './temporaries.ts'

/** Bytes read ahead at once when something is asked for that has not come yet. */
const AHEAD = 256 * 1024

/**
 * A source that cannot be read twice, kept in a temporary file as it is read, so that it can. The file loses its
 * name as soon as it is open: whatever happens to this process, its bytes are gone when it ends.
 */
export class SpoolSource implements KeptSource {
  readonly name: string
  readonly size = undefined
  readonly seekable = true
  readonly #source: Source
  readonly #folder: string
  readonly #file: FileHandle
  /** Bytes in the file. */
  #spooled = 0
  #position = 0
  #ended = false
  /** One at a time: reads in order and look-backs share the end of the file. */
  #queue: Promise<unknown> = Promise.resolve()

  private constructor(source: Source, folder: string, file: FileHandle) {
    this.name = source.name
    this.#source = source
    this.#folder = folder
    this.#file = file
  }

  /** @param folder for the temporary file; the system's (`TMPDIR`) unless given */
  static async create(source: Source, folder: string = tmpdir()): Promise<SpoolSource> {
    try {
      const path = join(folder, `aofkit-${randomHex(8)}`)
      const file = await open(path, 'wx+', 0o600)
      await unlink(path)
      return new SpoolSource(source, folder, file)
    } catch (error) {
      throw cannotSpool(folder, error)
    }
  }

  read(target: Uint8Array, from: number, to: number): Promise<number> {
    return this.#inTurn(async () => {
      let count: number
      if (this.#position < this.#spooled) {
        const length = Math.min(to - from, this.#spooled - this.#position)
        count = await this.#readBack(target, from, length, this.#position)
      } else count = await this.#readOn(target, from, to)
      this.#position += count
      return count
    })
  }

  readAt(target: Uint8Array, offset: number): Promise<number> {
    return this.#inTurn(async () => {
      const ahead = offset + target.length > this.#spooled ? new Uint8Array(AHEAD) : undefined
      while (ahead && !this.#ended && this.#spooled < offset + target.length) {
        await this.#readOn(ahead, 0, ahead.length)
      }
      const length = Math.min(target.length, this.#spooled - offset)
      return length > 0 ? this.#readBack(target, 0, length, offset) : 0
    })
  }

  readAtSync(target: Uint8Array, offset: number): number {
    const end = Math.min(target.length, this.#spooled - offset)
    let done = 0
    try {
      while (done < end) {
        const count = readSync(this.#file.fd, target, done, end - done, offset + done)
        if (count === 0) break
        done += count
      }
    } catch (error) {
      throw cannotSpool(this.#folder, error)
    }
    return done
  }

  async grow(): Promise<boolean> {
    return false
  }

  async close(): Promise<void> {
    await this.#source.close()
    await this.#queue
    await this.#file.close()
  }

  /** Reads from the source, and keeps what comes. */
  async #readOn(target: Uint8Array, from: number, to: number): Promise<number> {
    if (this.#ended) return 0
    const count = await this.#source.read(target, from, to)
    this.#ended = count === 0
    try {
      for (let done = 0; done < count; ) {
        done += (await this.#file.write(target, from + done, count - done, this.#spooled + done)).bytesWritten
      }
    } catch (error) {
      throw cannotSpool(this.#folder, error)
    }
    this.#spooled += count
    return count
  }

  async #readBack(target: Uint8Array, from: number, length: number, offset: number): Promise<number> {
    try {
      let done = 0
      while (done < length) {
        const { bytesRead } = await this.#file.read(target, from + done, length - done, offset + done)
        if (bytesRead === 0) throw new Error('the temporary file is shorter than what was written to it')
        done += bytesRead
      }
      return done
    } catch (error) {
      throw cannotSpool(this.#folder, error)
    }
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(work)
    this.#queue = result.catch(() => {})
    return result
  }
}

function cannotSpool(folder: string, error: unknown): JobError {
  return jobError(
    `keeping the input in a temporary file in ${escapeName(folder)} (TMPDIR names another place)`,
    error,
  )
}
