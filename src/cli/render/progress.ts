import type { SingleBar } from 'cli-progress'
import { formatBytes, formatDuration } from '../../bytes/figures.ts'
import type { Io } from '../io.ts'

/** Work shorter than this shows no bar. */
const PATIENCE_MS = 500
const EVERY_MS = 100
const LATELY_MS = 10_000
/** So that all of it has room in 80 columns. */
const BAR_SIZE = 30

export interface Progress {
  /** @param done bytes so far */
  update(done: number): void
  /** All is read once more, for what the word says; bytes count from 0 again. */
  again(word: string): void
  /** Takes the bar away again. */
  stop(): void
}

/**
 * A bar on standard error for work on `total` bytes (undefined: not known).
 * @param wanted what the user said; undefined: only on a terminal
 */
export function startProgress(io: Io, wanted: boolean | undefined, total: number | undefined): Progress {
  if (!(wanted ?? io.errIsTerminal)) return { update() {}, again() {}, stop() {} }
  let rate = new Rate(Date.now())
  let word = ''
  let shown = Date.now() + (wanted === true ? 0 : PATIENCE_MS) - EVERY_MS
  let bar: SingleBar | undefined
  let text = ''
  let done = 0
  let stopped = false
  const restore = () => bar?.stop()
  // Loaded when work takes long enough to show it.
  const start = async () => {
    const { default: cliProgress } = await import('cli-progress')
    if (stopped) return
    bar = new cliProgress.SingleBar({
      stream: io.errStream,
      format: total === undefined ? '{text}' : '{bar} {percentage}%  {text}',
      barsize: BAR_SIZE,
      clearOnComplete: true,
      hideCursor: true,
      noTTYOutput: !io.errIsTerminal,
      notTTYSchedule: 1000,
      linewrap: false,
      gracefulExit: false,
      barCompleteChar: '█',
      barIncompleteChar: '░',
    })
    // Who is interrupted wants a cursor again.
    process.once('exit', restore)
    bar.start(total ?? 1, Math.min(done, total ?? done), { text })
  }
  let loading = false
  return {
    update(bytes) {
      const now = Date.now()
      if (now - shown < EVERY_MS) return
      shown = now
      done = bytes
      text = word + progressText(done, total, rate.at(now, done))
      if (!loading) start().catch(() => {})
      loading = true
      bar?.update(Math.min(done, total ?? done), { text })
    },
    again(what) {
      word = `${what}: `
      rate = new Rate(Date.now())
    },
    stop() {
      stopped = true
      process.off('exit', restore)
      restore()
    },
  }
}

/** Bytes a second of late: what was long ago says little of what is to come. */
class Rate {
  /** Two moments, the second at most {@link LATELY_MS} ago. */
  #before: { at: number; done: number }
  #since: { at: number; done: number }

  constructor(now: number) {
    this.#before = { at: now, done: 0 }
    this.#since = this.#before
  }

  at(now: number, done: number): number {
    if (now - this.#since.at >= LATELY_MS) {
      this.#before = this.#since
      this.#since = { at: now, done }
    }
    return ((done - this.#before.done) * 1000) / Math.max(1, now - this.#before.at)
  }
}

/**
 * What stands beside the bar: `1.4 GB, 120 MB/s, 2 min 5 s left`.
 * @param rate bytes a second
 */
export function progressText(done: number, total: number | undefined, rate: number): string {
  // Who has read everything may still have to look at what came of it.
  if (total !== undefined && done >= total) return `${formatBytes(done)} read`
  const text = `${formatBytes(done)}, ${formatBytes(Math.round(rate))}/s`
  return total === undefined || rate <= 0
    ? text
    : `${text}, ${formatDuration(Math.ceil((total - done) / rate))} left`
}
