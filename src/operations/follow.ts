import { stat } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Input, type Part, resolveInput } from '../aof/parts.ts'
import { JobError } from '../bytes/errors.ts'
import { systemPath } from '../bytes/names.ts'
import type { Source } from '../bytes/source.ts'

/** How often a log that is followed is looked at. */
const EVERY_MS = 100

/**
 * A part that is being written, as a source without an end: it waits for what is appended, until the log goes on in
 * another file.
 */
export class FollowedSource implements Source {
  readonly name: string
  readonly size = undefined
  readonly seekable = false
  readonly #source: Source
  readonly #over: () => Promise<boolean>
  readonly #idle: () => Promise<boolean>

  /**
   * @param over whether nothing will be appended to this file any more
   * @param idle called whenever everything that is there was read; true ends it
   */
  constructor(source: Source, over: () => Promise<boolean>, idle: () => Promise<boolean>) {
    this.name = source.name
    this.#source = source
    this.#over = over
    this.#idle = idle
  }

  async read(target: Uint8Array, from: number, to: number): Promise<number> {
    for (;;) {
      const count = await this.#source.read(target, from, to)
      if (count > 0) return count
      if (await this.#idle()) return 0
      // Asked before the size: what is appended before it is over is still read.
      const over = await this.#over()
      if (await this.#source.grow()) continue
      if (over) return 0
      await sleep(EVERY_MS)
    }
  }

  /** Values larger than a window are looked up in the file. */
  readAt(target: Uint8Array, offset: number): Promise<number> {
    return this.#source.readAt(target, offset)
  }

  async grow(): Promise<boolean> {
    return false
  }

  close(): Promise<void> {
    return this.#source.close()
  }
}

/** Follows a log from part to part, across rewrites. */
export class LogFollower {
  readonly #path: string
  readonly #multiPart: boolean
  #current: Part
  #identity = ''
  #next: Part | undefined

  constructor(input: Input) {
    const last = input.parts.at(-1)
    if (last === undefined || last.size === undefined || input.compression !== undefined) {
      throw new JobError('print.follow', 'only a log in files, uncompressed, can be followed')
    }
    this.#path = input.path
    this.#multiPart = input.layout === 'multi-part'
    this.#current = last
  }

  /** Begins with `part`, which was just opened. */
  async begin(part: Part): Promise<void> {
    this.#current = part
    this.#next = undefined
    this.#identity = await identity(part.path)
  }

  /** Whether the log goes on elsewhere: in a new incr part, or in a file that took the name of this one. */
  async over(): Promise<boolean> {
    if (this.#next !== undefined) return true
    if (!this.#multiPart) {
      const now = await identity(this.#current.path)
      if (now !== '' && now !== this.#identity) this.#next = this.#current
      return this.#next !== undefined
    }
    const input = await resolveInput(this.#path).catch(() => undefined)
    const incr = input?.parts.filter(({ role }) => role === 'incr') ?? []
    const at = incr.findIndex(({ name }) => name === this.#current.name)
    // A rewrite starts a new incr before its base is done; when it is done, the old incr is no longer listed.
    this.#next = at < 0 ? incr[0] : incr[at + 1]
    return this.#next !== undefined
  }

  /** Where it goes on, after {@link over} said so. */
  get next(): Part | undefined {
    return this.#next
  }
}

async function identity(path: string): Promise<string> {
  try {
    const { dev, ino } = await stat(systemPath(path), { bigint: true })
    return `${dev}:${ino}`
  } catch {
    return ''
  }
}
