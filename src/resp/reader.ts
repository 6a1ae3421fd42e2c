import type { FormatError } from '../bytes/errors.ts'
import type { Window } from '../bytes/window.ts'
import { LongRecord } from './long-record.ts'
import { Batch, Scanner, Stop } from './scanner.ts'

/**
 * The records of a part, batch by batch: what stands in the window from its `start` on. One await a window.
 *
 *     for (let batch = await reader.next(); batch !== undefined; batch = await reader.next()) …
 *     if (reader.error !== undefined) …   // at reader.offset
 */
export class RespReader {
  /** Why reading ended before the end of the source; the records before {@link offset} are whole. */
  error: FormatError | undefined
  /** A record larger than the window, when that is what the last {@link next} found: its batch is empty. */
  long: LongRecord | undefined

  /** The record that was being read when {@link error} was met, when it is larger than the window. */
  broken: LongRecord | undefined

  readonly window: Window
  readonly #scanner = new Scanner()
  readonly #batch: Batch
  #ended = false
  /** A growing file is read to the first boundary at or behind this, its size when its end was reached. */
  #until = Number.POSITIVE_INFINITY

  constructor(window: Window) {
    this.window = window
    this.#batch = new Batch(window.bytes.length)
  }

  /** Offset in the part behind the last whole record. */
  get offset(): number {
    return this.broken?.offset ?? this.window.offset
  }

  /** The next whole records; undefined at the end or at an error. What it returned before is void. */
  async next(): Promise<Batch | undefined> {
    const { window } = this
    const batch = this.#batch
    this.long = undefined
    while (!this.#ended) {
      batch.clear(window.bytes, window.base)
      const from = window.start
      window.start = this.#scanner.scan(batch, from, window.end, window.ended)
      if (batch.count > 0) {
        if (window.offset >= this.#until) this.#trim(batch)
        return batch
      }
      if (this.#scanner.stop === Stop.Error) {
        const error = this.#scanner.error!
        if (error.kind === 'torn' && (await this.#grown())) continue
        return this.#fail(error)
      }
      if (window.end - window.start > window.headroom) return await this.#readLong()
      if (!(await window.advance(window.start)) && window.start === window.end) this.#ended = true
    }
    return undefined
  }

  async #readLong(): Promise<Batch | undefined> {
    const { window } = this
    const record = new LongRecord(window.offset)
    for (;;) {
      window.start = record.feed(window.bytes, window.start, window.end, window.ended, window.base)
      if (record.done) break
      if (record.error !== undefined) {
        if (record.error.kind === 'torn' && (await this.#grown())) {
          record.error = undefined
          continue
        }
        this.broken = record
        return this.#fail(record.error)
      }
      await window.advance(window.start)
    }
    if (record.end >= this.#until) this.#ended = true
    this.long = record
    this.#batch.clear(window.bytes, window.base)
    return this.#batch
  }

  /** A torn end is looked at once more: whoever writes the file may have been in the middle of it. */
  async #grown(): Promise<boolean> {
    if (this.#until !== Number.POSITIVE_INFINITY) return false
    const size = this.window.base + this.window.end
    if (!(await this.window.grow())) return false
    this.#until = size
    return true
  }

  #trim(batch: Batch): void {
    while (batch.count > 0 && batch.base + batch.record[batch.count - 1] >= this.#until) batch.count--
    this.window.start = batch.record[batch.count]
    this.#ended = true
  }

  #fail(error: FormatError): undefined {
    this.error = error
    this.#ended = true
    return undefined
  }
}
