import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { encode } from '../helpers/chunks.ts'
import { bundle, call, ended, run, start } from '../helpers/command.ts'
import { temporaryFolder } from '../helpers/temp.ts'

/*
 * The commands among other processes: readers that go away or take their time, disks and devices that take nothing, and
 * inputs that come from pipes.
 */

const LONG = process.env.AOFKIT_LONG !== undefined
const SIZE = LONG ? 400_000_000 : 40_000_000

let home: string
/** A log of which nobody wants to wait for the end. */
let large: string

beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'aofkit-test-'))
  large = join(home, 'large.aof')
  const one = encode('SET', 'user:1234', 'x'.repeat(60))
  writeFileSync(large, Buffer.concat(Array.from({ length: SIZE / one.length }, () => one)))
})

afterAll(() => rmSync(home, { recursive: true, force: true }))

/** Runs a shell command in which `aofkit` is ours; what it says, and the exit status of each process in its pipe. */
function shell(command: string, env: Record<string, string> = {}) {
  const script = `aofkit() { '${process.execPath}' '${bundle()}' "$@"; }
${command}
echo "status \${PIPESTATUS[*]}" >&3`
  const { stdout, stderr, output, error } = spawnSync('bash', ['-c', script], {
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    env: { ...process.env, ...env },
  })
  if (error !== undefined) throw error
  return { out: stdout, err: stderr, status: output[3]?.trim() }
}

describe('a reader that goes away', () => {
  it.each(['text', 'jsonl', 'resp'])('ends print quietly and soon: %s', format => {
    const figure = join(temporaryFolder(), 'io')
    const preload = join(home, 'io.cjs')
    writeFileSync(
      preload,
      `const fs = require('node:fs')
       process.on('exit', () => fs.existsSync('/proc/self/io') && fs.writeFileSync(process.env.FIGURE, fs.readFileSync('/proc/self/io')))`,
    )
    const { out, err, status } = shell(`aofkit print ${large} --format ${format} | head -c 60`, {
      NODE_OPTIONS: `--require ${preload}`,
      FIGURE: figure,
    })
    expect(out).toHaveLength(60)
    expect({ err, status }).toEqual({ err: '', status: 'status 0 0' })
    if (!existsSync(figure)) return
    // It has not read on to the end, only so far as it reads ahead.
    const read = Number(/^rchar: (\d+)$/m.exec(readFileSync(figure, 'latin1'))?.[1])
    expect(read).toBeLessThan(30_000_000)
  })

  it('ends print of one line after the other as quietly', () => {
    const { out, err, status } = shell(`aofkit print ${large} | head -3 | tail -1`)
    expect(out).toMatch(/^large\.aof:190 0 - SET user:1234 x{60}\n$/)
    expect({ err, status }).toEqual({ err: '', status: 'status 0 0 0' })
  })

  it.each([
    ['print --last', () => `print ${large} --last 1000`],
    ['verify', () => `verify ${large}`],
    ['inspect', () => `inspect ${large} --json`],
    ['repair', () => `repair ${large} --dry-run`],
    ['--help', () => '--help'],
  ])('ends %s quietly, even when it takes nothing at all', (_, args) => {
    // true reads nothing; the sleep lets it be gone when there is something to write.
    const { err, status } = shell(`{ sleep 0.1; aofkit ${args()}; } | true`)
    expect({ err, status }).toEqual({ err: '', status: 'status 0 0' })
  })

  it('does not hide damage that was found before it went', () => {
    const torn = join(temporaryFolder(), 'torn')
    writeFileSync(torn, encode('SET', 'a', 'b').subarray(0, -3))
    const { status } = shell(`{ sleep 0.1; aofkit verify ${torn} 2>&1; } | true`)
    expect(status).toBe('status 1 0')
  })

  it('from standard error changes nothing', () => {
    const torn = join(temporaryFolder(), 'torn')
    writeFileSync(torn, Buffer.concat([encode('SET', 'a', 'b'), encode('SET', 'a', 'b').subarray(0, -3)]))
    const { out, status } = shell(`{ aofkit print ${torn} 2>&4 4>&-; echo "status $?"; } 4> >(true)`)
    expect(out).toBe('torn:0 0 - SET a b\nstatus 1\n')
    expect(status).toBe('status 0')
  })
})

describe('a reader that takes his time', () => {
  it('is waited for, in bounded memory', async () => {
    const child = start(['print', large, '--format', 'resp'], { stdio: ['ignore', 'pipe', 'pipe'] })
    let taken = 0
    let most = 0
    child.stdout?.on('data', data => {
      taken += data.length
      const status = `/proc/${child.pid}/status`
      if (existsSync(status)) most = Math.max(most, memoryOf(readFileSync(status, 'latin1')))
      child.stdout?.pause()
      setTimeout(() => child.stdout?.resume(), LONG ? 0 : 1)
    })
    const [status] = await once(child, 'close')
    expect(status).toBe(0)
    // The SELECT that it begins with is not needed: it is database 0.
    expect(taken).toBe(statSync(large).size)
    expect(most).toBeLessThan(150)
  }, 120_000)
})

function memoryOf(status: string): number {
  return Number(/^VmHWM:\s*(\d+) kB$/m.exec(status)?.[1] ?? 0) / 1024
}

describe('standard output that takes nothing', () => {
  it.runIf(existsSync('/dev/full')).each([
    ['print', () => ['print', large]],
    ['verify', () => ['verify', large]],
    ['inspect', () => ['inspect', large, '--json']],
    ['repair', () => ['repair', large, '--dry-run']],
  ])('is an error with a reason: %s', (_, args) => {
    const { err, status } = shell(`aofkit ${args().join(' ')} > /dev/full`)
    expect(err).toBe('aofkit: standard output: no space left on the disk\n')
    expect(status).toBe('status 2')
  })
})

describe('a log from a pipe', () => {
  const log = Buffer.concat(Array.from({ length: 2000 }, (_, i) => encode('SET', `key:${i}`, 'v'.repeat(i))))

  it.each([
    ['as it is', log],
    ['compressed', gzipSync(log)],
  ])('is read like a file: %s', async (_, input) => {
    const path = join(temporaryFolder(), 'log')
    writeFileSync(path, log)
    for (const args of [
      ['print', '--json', '--last', '3'],
      ['verify', '--json'],
      ['inspect', '--json'],
      ['repair', '--dry-run', '--json'],
    ]) {
      const [command, ...options] = args
      const piped = await run([command, '-', ...options], { input })
      const direct = await call(command, path, ...options)
      expect({ status: piped.status, err: piped.err }, args.join(' ')).toEqual({ status: 0, err: '' })
      const named = (out: Buffer) =>
        out
          .toString()
          .replaceAll('"-"', '"log"')
          .replace(`"${path}"`, '"log"')
          .replace(/"beingWritten": \w+/, '')
      expect(named(piped.out) === named(direct.out), args.join(' ')).toBe(true)
    }
  })

  it('that is torn is as torn', async () => {
    const input = log.subarray(0, -10)
    const printed = await run(['print', '-', '--format', 'resp'], { input })
    expect(printed.status).toBe(1)
    expect(printed.err).toMatch(/^aofkit: -:\d+: .*resp\.torn/)
    expect(printed.out.equals(log.subarray(0, printed.out.length))).toBe(true)
    expect((await run(['verify', '-', '--json'], { input })).out.toString()).toContain('"torn"')
  })

  it('that is empty is an empty log', async () => {
    for (const command of ['print', 'verify', 'inspect']) {
      const { status, err } = await run([command, '-'], { input: Buffer.alloc(0) })
      expect({ status, err }, command).toEqual({ status: 0, err: '' })
    }
  })

  it('that the shell gives a name is read too', () => {
    const { out, err, status } = shell(`aofkit print <(head -c 190 ${large}) --format resp`)
    expect(out).toBe(encode('SET', 'user:1234', 'x'.repeat(60)).toString().repeat(2))
    expect({ err, status }).toEqual({ err: '', status: 'status 0' })
  })

  it('whose writer stops in the middle does not keep a signal waiting', async () => {
    const child = spawn(process.execPath, [bundle(), 'verify', '-'], { stdio: ['pipe', 'pipe', 'pipe'] })
    child.stdin.on('error', () => {})
    const end = ended(child)
    // More than a pipe holds: once it is gone, the process is there and reading.
    const much = Buffer.concat([...Array(Math.ceil((1 << 20) / log.length)).fill(log), log.subarray(0, 5000)])
    await new Promise(resolve => child.stdin.write(much, resolve))
    child.kill('SIGTERM')
    const { status, out, err } = await end
    expect({ status, out: out.toString(), err }).toEqual({ status: 143, out: '', err: '' })
  })
})
