import { Writable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Io } from '../../../src/cli/io.ts'
import { progressText, startProgress } from '../../../src/cli/render/progress.ts'

const GB = 2 ** 30

describe('the text beside the bar', () => {
  it.each([
    [GB, 2 * GB, 100 * 2 ** 20, '1.0 GB, 100 MB/s, 11 s left'],
    [GB, 61 * GB, 2 ** 28, '1.0 GB, 256 MB/s, 4 min 0 s left'],
    [GB, 250 * GB, 2 ** 25, '1.0 GB, 32.0 MB/s, 2 h 12 min left'],
    [GB, undefined, 2 ** 25, '1.0 GB, 32.0 MB/s'],
    [0, GB, 0, '0 bytes, 0 bytes/s'],
  ])('of %d bytes of %d, at %d a second, says how much, how fast and how long', (done, total, rate, text) => {
    expect(progressText(done, total, rate)).toBe(text)
  })

  it('says that all is read when nothing is left but to look at it', () => {
    expect(progressText(GB, GB, 1000)).toBe('1.0 GB read')
  })

  it('has room beside the bar in 80 columns', () => {
    expect(30 + ' 100%  '.length + progressText(1000 * GB, 2000 * GB, 2 ** 28).length).toBeLessThan(80)
  })
})

describe('the bar', () => {
  beforeEach(() => vi.useFakeTimers({ toFake: ['Date'] }))
  afterEach(() => vi.useRealTimers())

  /** What a terminal gets while `work` is done. */
  function terminal(): { io: Io; screen: () => string } {
    let written = ''
    const errStream = new Writable({
      write(chunk, _encoding, done) {
        written += chunk
        done()
      },
    })
    Object.assign(errStream, { isTTY: true, columns: 80 })
    return { io: { errIsTerminal: true, errStream } as unknown as Io, screen: () => written }
  }

  /** Long enough for the bar to be loaded. */
  const loaded = (screen: () => string) => vi.waitFor(() => expect(screen()).not.toBe(''))

  it('is not shown for short work, nor where there is no terminal', async () => {
    const { io, screen } = terminal()
    const bar = startProgress(io, undefined, 1000)
    vi.advanceTimersByTime(300)
    bar.update(500)
    bar.stop()
    const nobody = startProgress({ ...io, errIsTerminal: false }, undefined, 1000)
    vi.advanceTimersByTime(3000)
    nobody.update(500)
    nobody.stop()
    await new Promise(resolve => setImmediate(resolve))
    expect(screen()).toBe('')
  })

  it('begins with what is known, and goes away', async () => {
    const { io, screen } = terminal()
    const bar = startProgress(io, undefined, 10_000)
    vi.advanceTimersByTime(2000)
    bar.update(4000)
    await loaded(screen)
    expect(screen()).toContain(' 40%  3.9 KB, 2.0 KB/s, 3 s left')
    bar.stop()
    expect(screen().endsWith('\u001b[2K') || screen().endsWith('\u001b[0K')).toBe(true)
  })

  it('tells the speed of late, not of everything', async () => {
    const { io, screen } = terminal()
    const bar = startProgress(io, undefined, 2 ** 20)
    for (let second = 1; second <= 60; second++) {
      vi.advanceTimersByTime(1000)
      bar.update(1024 * Math.min(second, 10) + 4096 * Math.max(0, second - 10))
    }
    await loaded(screen)
    expect(screen()).toContain(' 4.0 KB/s')
    bar.stop()
  })

  it('says for what all is read once more, at a speed of its own', async () => {
    const { io, screen } = terminal()
    const bar = startProgress(io, undefined, 10_240)
    vi.advanceTimersByTime(1000)
    bar.update(10_240)
    bar.again('replaying')
    vi.advanceTimersByTime(4000)
    bar.update(4096)
    await loaded(screen)
    expect(screen()).toContain(' 40%  replaying: 4.0 KB, 1.0 KB/s, 6 s left')
    bar.stop()
  })

  it('gives the cursor back to who interrupts it', async () => {
    const before = new Set(process.listeners('exit'))
    const { io, screen } = terminal()
    const bar = startProgress(io, undefined, 10_000)
    vi.advanceTimersByTime(2000)
    bar.update(4000)
    await loaded(screen)
    const added = process.listeners('exit').filter(listener => !before.has(listener))
    expect(screen()).not.toContain('\u001b[?25h')
    for (const listener of added) listener.call(process, 130)
    expect(screen()).toContain('\u001b[?25h')
    expect(screen()).toContain('\u001b[?7h')
    bar.stop()
    expect(process.listeners('exit').filter(listener => !before.has(listener))).toEqual([])
  })
})
