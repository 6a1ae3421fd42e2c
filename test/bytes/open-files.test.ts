import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, closeSync, linkSync, openSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { writersOf } from '../../src/bytes/open-files.ts'
import { bundleScript } from '../helpers/child.ts'
import { temporaryFolder } from '../helpers/temp.ts'

/** A process that holds `path` open the way the shell's redirection does. */
async function holder(redirection: string, path: string): Promise<ChildProcess> {
  const child = spawn('bash', ['-c', `exec 9${redirection}"$1"; echo ready; read`, 'bash', path], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  await once(child.stdout, 'data')
  return child
}

/** A script that asks who writes to the file it is given. */
function asking(folder: string): string {
  return bundleScript(
    folder,
    `import { writersOf } from './src/bytes/open-files.ts'
     console.log(JSON.stringify(await writersOf(process.argv[2])))`,
  )
}

describe.runIf(process.platform === 'linux')('a file', () => {
  it('is held by the processes that have it open for writing, under any name, and by no reader', async () => {
    const folder = temporaryFolder()
    const log = join(folder, 'log')
    writeFileSync(log, '')
    writeFileSync(join(folder, 'other'), '')
    linkSync(log, join(folder, 'second name'))
    const writers = [
      await holder('>>', log),
      await holder('<>', join(folder, 'second name')),
      await holder('>', log),
    ]
    const reader = await holder('<', log)
    const other = await holder('>>', join(folder, 'other'))
    renameSync(log, join(folder, 'renamed'))
    const { pids } = await writersOf(join(folder, 'renamed'))
    expect(pids).toEqual(writers.map(({ pid }) => pid).sort((a, b) => a! - b!))
    expect(pids).not.toContain(reader.pid)
    expect(pids).not.toContain(other.pid)
    for (const writer of writers) {
      writer.kill('SIGKILL')
      await once(writer, 'exit')
    }
    expect((await writersOf(join(folder, 'renamed'))).pids).toEqual([])
  })

  it('is known to be held by no others when we may look at all', context => {
    const folder = temporaryFolder()
    const log = join(folder, 'log')
    const inside = `exec 9>>${log}; ${process.execPath} ${asking(folder)} ${log}; ${process.execPath} ${asking(folder)} ${folder}`
    const { status, stdout, stderr } = spawnSync('unshare', ['-fp', '--mount-proc', 'bash', '-c', inside], {
      encoding: 'utf8',
    })
    if (status !== 0) return context.skip(`needs a namespace of its own: ${stderr}`)
    expect(stdout).toBe('{"pids":[1],"known":true}\n{"pids":[],"known":true}\n')
  })

  it('is not held by this process itself', async () => {
    const log = join(temporaryFolder(), 'log')
    const fd = openSync(log, 'w')
    expect((await writersOf(log)).pids).toEqual([])
    closeSync(fd)
  })

  it('may be held by others when we may not look at them', async context => {
    if (process.getuid?.() !== 0) return context.skip('needs root, to be another user')
    const folder = temporaryFolder()
    chmodSync(folder, 0o755)
    const log = join(folder, 'log')
    writeFileSync(log, '')
    await holder('>>', log)
    const script = asking(folder)
    const { stdout } = spawnSync(process.execPath, [script, log], {
      uid: 65534,
      gid: 65534,
      encoding: 'utf8',
    })
    expect(JSON.parse(stdout)).toEqual({ pids: [], known: false })
  })
})

it('that is missing cannot be asked about', async () => {
  await expect(writersOf(join(temporaryFolder(), 'none'))).rejects.toMatchObject({ name: 'JobError' })
})
