import type { SingleBar } from 'cli-progress'
import { formatBytes } from '../../bytes/figures.ts'
import type { Io } from '../io.ts'

/** Work shorter than this shows no bar. */
const PATIENCE_MS = 500
const EVERY_MS = 100

export interface Progress {
  /** @param done bytes so far */
  update(done: number): void
  /** Takes the bar away again. */
  stop(): void
}

/**
 * A bar on standard error for work on `total` bytes (undefined: not known).
 * @param wanted what the user said; undefined: only on a terminal
 */
export function startProgress(io: Io, wanted: boolean | undefined, total: number | undefined): Progress {
  if (!(wanted ?? io.errIsTerminal)) return { update() {}, stop() {} }
  const started = Date.now()
  let shown = started + (wanted === true ? 0 : PATIENCE_MS) - EVERY_MS
  let bar: SingleBar | undefined
  let stopped = false
  // Loaded when work takes long enough to show it.
  const start = async () => {
    const { default: cliProgress } = await import('cli-progress')
    if (stopped) return
    bar = new cliProgress.SingleBar({
      stream: io.errStream,
      format: total === undefined ? '{text}' : '{bar} {percentage}%  {text}',
      clearOnComplete: true,
      hideCursor: true,
      noTTYOutput: !io.errIsTerminal,
      notTTYSchedule: 1000,
      linewrap: false,
      gracefulExit: false,
      barCompleteChar: '█',
      barIncompleteChar: '░',
    })
    bar.start(total ?? 1, 0, { text: '' })
  }
  let loading = false
  return {
    update(done) {
      const now = Date.now()
      if (now - shown < EVERY_MS) return
      shown = now
      if (!loading) start().catch(() => {})
      loading = true
      const rate = done / Math.max(1, now - started)
      const left = total === undefined ? '' : `, ${Math.ceil(Math.max(0, total - done) / rate / 1000)} s left`
      const text = `${formatBytes(done)}, ${formatBytes(Math.round(rate * 1000))}/s${left}`
      bar?.update(Math.min(done, total ?? done), { text })
    },
    stop() {
      stopped = true
      bar?.stop()
    },
  }
}
