/**
 * aofkit as its users call it: in this process, where many calls are made, or as a process of its own, where signals,
 * limits, pipes or memory matter. That one is bundled from `src`, whatever `dist` holds.
 */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { Chalk } from 'chalk'
import { buildSync } from 'esbuild'
import { afterAll } from 'vitest'
import type { Io } from '../../src/cli/io.ts'
import { main } from '../../src/cli/main.ts'

export interface Called {
  /** Exit status; null after a signal. */
  readonly status: number | null
  readonly signal: NodeJS.Signals | null
  readonly out: Buffer
  readonly err: string
}

/** Calls aofkit in this process. */
export async function call(...args: string[]): Promise<Called> {
  const out: Uint8Array[] = []
  let err = ''
  const io: Io = {
    out: text => {
      out.push(typeof text === 'string' ? Buffer.from(text) : Buffer.from(text))
    },
    err: text => {
      err += text
    },
    flush: async () => {},
    closed: false,
    columns: undefined,
    outIsTerminal: false,
    errIsTerminal: false,
    errStream: new Writable({ write: (_, __, done) => done() }),
    style: new Chalk({ level: 0 }),
  }
  const status = await main(args, io)
  return { status, signal: null, out: Buffer.concat(out), err }
}

/** Calls aofkit in this process with `--json`; its document, beside the exit status. */
export async function callJson<T>(...args: string[]): Promise<T & { status: number | null; err: string }> {
  const { status, out, err } = await call(...args, '--json')
  return { ...(out.length === 0 ? ({} as T) : (JSON.parse(out.toString()) as T)), status, err }
}

/** Starts aofkit as a process. */
export function start(args: readonly string[], options: SpawnOptions = {}): ChildProcess {
  return spawn(process.execPath, [bundle(), ...args], { stdio: ['ignore', 'pipe', 'pipe'], ...options })
}

/** Runs aofkit as a process, to its end. */
export async function run(
  args: readonly string[],
  options: SpawnOptions & { input?: Uint8Array } = {},
): Promise<Called> {
  const { input, ...rest } = options
  const child = start(args, input === undefined ? rest : { stdio: ['pipe', 'pipe', 'pipe'], ...rest })
  child.stdin?.on('error', () => {})
  child.stdin?.end(input)
  return ended(child)
}

/** Waits for the end of a process, and gathers what it says. */
export function ended(child: ChildProcess): Promise<Called> {
  const out: Buffer[] = []
  let err = ''
  child.stdout?.on('data', data => out.push(data))
  child.stderr?.setEncoding('utf8').on('data', text => {
    err += text
  })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (status, signal) => resolve({ status, signal, out: Buffer.concat(out), err }))
  })
}

/** The path of the script that {@link start} runs: for shells. */
export function bundle(): string {
  if (script !== undefined) return script
  const folder = mkdtempSync(join(tmpdir(), 'aofkit-test-'))
  bundled = folder
  // Also for tests that run it as another user.
  chmodSync(folder, 0o755)
  const outfile = join(folder, 'aofkit.mjs')
  buildSync({
    stdin: {
      contents: "import { run } from './src/cli/main.ts'\nawait run()",
      resolveDir: fileURLToPath(new URL('../..', import.meta.url)),
      loader: 'ts',
    },
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    outfile,
    banner: { js: "import{createRequire as r}from'node:module';const require=r(import.meta.url);" },
    logLevel: 'error',
  })
  script = outfile
  return script
}

let script: string | undefined
let bundled: string | undefined

// Of the file of tests that imports this: its process may be ended without a word.
afterAll(() => {
  if (bundled !== undefined) rmSync(bundled, { recursive: true, force: true })
})
