import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { existsSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { bundleScript } from '../helpers/child.ts'
import { ended } from '../helpers/command.ts'
import { temporaryFolder } from '../helpers/temp.ts'

/** A process that does `script` with its `io`. */
function child(script: string, options: SpawnOptions = {}): ChildProcess {
  const folder = temporaryFolder()
  const path = bundleScript(
    folder,
    `import { processIo } from './src/cli/io.ts'
     const pause = ms => new Promise(resolve => setTimeout(resolve, ms))
     const io = processIo()
     ${script}`,
  )
  const { NO_COLOR: _, FORCE_COLOR: __, ...env } = process.env
  return spawn(process.execPath, [path], {
    stdio: ['ignore', 'pipe', 'pipe'],
    ...options,
    env: { ...env, ...(options.env ?? {}) },
  })
}

describe('standard output', () => {
  it('has text and bytes in the order in which they were written, and nothing else', async () => {
    const { status, out, err } = await ended(
      child(`
        io.out('first ')
        io.out(Uint8Array.of(0, 255, 128))
        io.out('Grüße €\\n')
        await io.flush()
        io.out(Buffer.from('x'.repeat(200000)))
        io.out('last\\n')
        await io.flush()
        await io.flush()
      `),
    )
    expect([status, err]).toEqual([0, ''])
    const expected = Buffer.concat([
      Buffer.from('first '),
      Buffer.of(0, 255, 128),
      Buffer.from(`Grüße €\n${'x'.repeat(200_000)}last\n`),
    ])
    expect(out.equals(expected)).toBe(true)
  })

  it('has what a caller wrote when it wrote it, whatever becomes of its buffer: once flushed', async () => {
    const { out } = await ended(
      child(`
        const buffer = Buffer.from('before')
        io.out(buffer)
        await io.flush()
        buffer.fill('!')
        io.out('after')
        await io.flush()
      `),
    )
    expect(out.toString()).toBe('beforeafter')
  })

  it('waits for a slow reader instead of gathering what he does not take', async () => {
    const process = child(`
      const piece = Buffer.alloc(1 << 16, 'x')
      for (let i = 1; i <= 200; i++) {
        io.err('.')
        io.out(piece)
        await io.flush()
      }
    `)
    let err = ''
    process.stderr?.setEncoding('utf8').on('data', text => {
      err += text
    })
    process.stdout?.pause()
    // Up to the moment when it does not get on any more.
    for (let before = -1; err.length === 0 || err.length !== before; ) {
      before = err.length
      await pause(150)
    }
    expect(err.length).toBeLessThan(50)
    const end = ended(process)
    process.stdout?.resume()
    const { status, out } = await end
    expect([status, out.length]).toEqual([0, 200 * (1 << 16)])
  })

  it('that goes nowhere any more is no error: it is noticed, and the end is quiet', async () => {
    const process = child(`
      let rounds = 0
      while (!io.closed && ++rounds < 1000) {
        io.out('line\\n'.repeat(5000))
        await io.flush()
        await pause(1)
      }
      io.out('more')
      await io.flush()
      io.err(io.closed ? 'closed' : 'still open')
    `)
    process.stdout?.once('data', () => process.stdout?.destroy())
    expect(await ended(process)).toMatchObject({ status: 0, signal: null, err: 'closed' })
  })

  it('that cannot be written is told, and ends with status 2', async context => {
    if (!existsSync('/dev/full')) return context.skip('/dev/full is missing')
    const process = child(
      `
        io.out('text')
        await io.flush()
        await pause(20)
        io.err(io.closed ? 'closed' : 'still open')
      `,
      { stdio: ['ignore', openSync('/dev/full', 'w'), 'pipe'] },
    )
    const { status, err } = await ended(process)
    expect(err).toMatch(/^aofkit: standard output: no space left on the disk\n/)
    expect(err).not.toMatch(/\n\s+at /)
    expect(status).toBe(2)
  })

  it('is written to a file whole', async () => {
    const path = join(temporaryFolder(), 'out')
    const process = child(
      `
        for (let i = 0; i < 300; i++) io.out(\`\${i} \${'y'.repeat(1000)}\\n\`)
        await io.flush()
      `,
      { stdio: ['ignore', openSync(path, 'w'), 'pipe'] },
    )
    expect(await ended(process)).toMatchObject({ status: 0, err: '' })
    const lines = readFileSync(path, 'utf8').split('\n')
    expect(lines).toHaveLength(301)
    expect(lines[299]).toBe(`299 ${'y'.repeat(1000)}`)
  })
})

describe('standard error', () => {
  it('is written at once, and may be gone', async () => {
    const process = child(`
      io.out('result')
      for (let i = 0; i < 50; i++) {
        io.err('warning')
        await pause(1)
      }
      await io.flush()
    `)
    process.stderr?.destroy()
    expect(await ended(process)).toMatchObject({ status: 0, out: Buffer.from('result') })
  })
})

describe('what is known of the reader', () => {
  it('is nothing in a pipe: no columns, no terminals', async () => {
    const { out } = await ended(
      child(
        'io.out(JSON.stringify([io.columns ?? null, io.outIsTerminal, io.errIsTerminal])); await io.flush()',
      ),
    )
    expect(JSON.parse(out.toString())).toEqual([null, false, false])
  })

  it.each([
    ['none in a pipe', {}, false],
    ['some with FORCE_COLOR', { FORCE_COLOR: '1' }, true],
    ['none with NO_COLOR', { NO_COLOR: '1', FORCE_COLOR: '1' }, false],
    ['some with an empty NO_COLOR, which counts as none', { NO_COLOR: '', FORCE_COLOR: '1' }, true],
  ])('has colours: %s', async (_, env, coloured) => {
    const { out, err } = await ended(
      child("io.out(io.style.red('text')); await io.flush()", { env: env as unknown as NodeJS.ProcessEnv }),
    )
    expect(err).toBe('')
    expect(out.toString()).toBe(coloured ? '\x1b[31mtext\x1b[39m' : 'text')
  })
})
