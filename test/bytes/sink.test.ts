import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { beforeAll, describe, expect, it } from 'vitest'
import { FolderSink, Sink, type SinkOptions, stampOf } from '../../src/bytes/sink.ts'
import { BufferSource } from '../../src/bytes/source.ts'
import { bundleScript } from '../helpers/child.ts'
import { temporaryFolder } from '../helpers/temp.ts'

const root = process.getuid?.() === 0

async function writeWhole(target: string, content: string, options: SinkOptions = {}, backup = false) {
  const sink = await Sink.create(target, options)
  await sink.write(Buffer.from(content))
  return sink.commit({ backup })
}

async function refusal(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'it was not refused',
    error => `${error.code}: ${error.message}`,
  )
}

describe('a sink', () => {
  it('gives its file a name when it is complete, and leaves nothing else behind', async () => {
    const folder = temporaryFolder()
    const sink = await Sink.create(join(folder, 'log'))
    await sink.write(Buffer.from('abc'))
    await sink.write(Buffer.from('def'))
    expect(sink.size).toBe(6)
    expect(existsSync(join(folder, 'log'))).toBe(false)
    expect(readdirSync(folder)).toEqual([expect.stringMatching(/^\.log\.aofkit-\d+-[0-9a-f]{12}$/)])
    expect(await sink.commit()).toEqual({ path: join(folder, 'log'), backup: undefined, warnings: [] })
    expect(readdirSync(folder)).toEqual(['log'])
    expect(readFileSync(join(folder, 'log'), 'utf8')).toBe('abcdef')
    await sink.abort()
    expect(readdirSync(folder)).toEqual(['log'])
  })

  it('removes what it wrote when it is given up', async () => {
    const folder = temporaryFolder()
    const sink = await Sink.create(join(folder, 'log'))
    await sink.write(Buffer.alloc(100))
    await sink.abort()
    await sink.abort()
    expect(readdirSync(folder)).toEqual([])
  })

  it('refuses a target that exists, also one that appears while it writes', async () => {
    const folder = temporaryFolder()
    writeFileSync(join(folder, 'log'), 'old')
    expect(await refusal(Sink.create(join(folder, 'log')))).toBe(
      `output.exists: ${folder}/log exists already`,
    )
    const sink = await Sink.create(join(folder, 'late'))
    await sink.write(Buffer.from('mine'))
    writeFileSync(join(folder, 'late'), 'yours')
    expect(await refusal(sink.commit())).toBe(`output.exists: ${folder}/late exists already`)
    expect(readFileSync(join(folder, 'late'), 'utf8')).toBe('yours')
    expect(readdirSync(folder)).toEqual(['late', 'log'])
  })

  it('refuses what is no place for a file', async () => {
    const folder = temporaryFolder()
    mkdirSync(join(folder, 'folder'))
    execFileSync('mkfifo', [join(folder, 'pipe')])
    symlinkSync('loop', join(folder, 'loop'))
    const replace = { replace: true }
    expect(await refusal(Sink.create(join(folder, 'folder'), replace))).toBe(
      `output.kind: ${folder}/folder is a folder, and the result is a file`,
    )
    expect(await refusal(Sink.create(join(folder, 'pipe'), replace))).toBe(
      `output.kind: ${folder}/pipe is no regular file`,
    )
    expect(await refusal(Sink.create('/dev/null', replace))).toBe('output.kind: /dev/null is no regular file')
    expect(await refusal(Sink.create(join(folder, 'no', 'log')))).toBe(
      `system.enoent: cannot write to the folder of ${folder}/no/log: no such file or folder`,
    )
    expect(await refusal(Sink.create(join(folder, 'loop')))).toBe(
      `system.eloop: cannot write ${folder}/loop: too many links`,
    )
  })

  it('replaces the file behind a link, and keeps the link', async () => {
    const folder = temporaryFolder()
    mkdirSync(join(folder, 'data'))
    writeFileSync(join(folder, 'data', 'log'), 'old')
    symlinkSync('data', join(folder, 'there'))
    symlinkSync('there/log', join(folder, 'link'))
    expect(await writeWhole(join(folder, 'link'), 'new', { replace: true })).toMatchObject({
      path: join(folder, 'data', 'log'),
    })
    expect(readlinkSync(join(folder, 'link'))).toBe('there/log')
    expect(readFileSync(join(folder, 'data', 'log'), 'utf8')).toBe('new')
    symlinkSync('data/fresh', join(folder, 'dangling'))
    await writeWhole(join(folder, 'dangling'), 'fresh')
    expect(readFileSync(join(folder, 'data', 'fresh'), 'utf8')).toBe('fresh')
  })

  it('keeps what it replaces, each time under a name of its own', async () => {
    const folder = temporaryFolder()
    const log = join(folder, 'log')
    writeFileSync(log, '1')
    const { ino } = statSync(log)
    expect((await writeWhole(log, '2', { replace: true }, true)).backup).toBe(`${log}.old`)
    expect((await writeWhole(log, '3', { replace: true }, true)).backup).toBe(`${log}.old.1`)
    expect((await writeWhole(log, '4', { replace: true }, true)).backup).toBe(`${log}.old.2`)
    expect(
      ['log', 'log.old', 'log.old.1', 'log.old.2'].map(name => readFileSync(join(folder, name), 'utf8')),
    ).toEqual([...['4', '1', '2', '3']])
    expect(statSync(`${log}.old`).ino).toBe(ino)
  })

  it('does not replace a file that was changed in the meantime', async () => {
    const folder = temporaryFolder()
    const log = join(folder, 'log')
    const attempt = async (change: () => void) => {
      writeFileSync(log, 'old')
      utimesSync(log, 1, 1)
      const unchanged = await stampOf(log)
      const sink = await Sink.create(log, { replace: true })
      await sink.write(Buffer.from('new'))
      change()
      return refusal(sink.commit({ unchanged, backup: true }))
    }
    expect(await attempt(() => {})).toBe('it was not refused')
    expect(await attempt(() => writeFileSync(log, 'more than before'))).toBe(
      `output.changed: ${log} was changed while its replacement was made (3 bytes then, 16 now); nothing was replaced`,
    )
    expect(await attempt(() => utimesSync(log, 2, 2))).toContain('output.changed')
    expect(readdirSync(folder)).toEqual(['log', 'log.old'])
  })

  it('gives the result mode, owner and group of its model', async () => {
    const folder = temporaryFolder()
    const model = join(folder, 'model')
    writeFileSync(model, '')
    if (root) chownSync(model, 1234, 4321)
    chmodSync(model, 0o2640)
    const sink = await Sink.create(join(folder, 'log'), { like: model })
    const [temporary] = readdirSync(folder).filter(name => name.startsWith('.'))
    expect(statSync(join(folder, temporary)).mode & 0o777).toBe(0o600)
    expect((await sink.commit()).warnings).toEqual([])
    const { mode, uid, gid } = statSync(model)
    expect(statSync(join(folder, 'log'))).toMatchObject({ mode, uid, gid })
    await writeWhole(join(folder, 'plain'), '')
    expect(statSync(join(folder, 'plain')).mode & 0o777).toBe(0o666 & ~process.umask())
  })

  it('copies ranges of a source, of any length, and says when it is shorter', async () => {
    const folder = temporaryFolder()
    const bytes = Buffer.alloc(5_000_000, 'abcdefghijklmnopqrstuvw')
    const source = new BufferSource(bytes, { name: 'src\n' })
    const sink = await Sink.create(join(folder, 'log'))
    await sink.copyRange(source, 3, 3)
    await sink.copyRange(source, 0, 10)
    await sink.write(Buffer.from('--'))
    await sink.copyRange(source, 1_000, 4_500_001)
    await sink.commit()
    const expected = Buffer.concat([
      bytes.subarray(0, 10),
      Buffer.from('--'),
      bytes.subarray(1_000, 4_500_001),
    ])
    expect(readFileSync(join(folder, 'log')).equals(expected)).toBe(true)
    const short = await Sink.create(join(folder, 'short'))
    expect(await refusal(short.copyRange(source, 4_000_000, 6_000_000))).toBe(
      'input.shrank: src\\n ends at 5000000, while bytes up to 6000000 were to be copied',
    )
    expect(readdirSync(folder)).toEqual(['log'])
  })

  it('begins with a part of a file when asked to', async () => {
    const folder = temporaryFolder()
    writeFileSync(join(folder, 'log'), 'abcdefgh')
    const sink = await Sink.create(join(folder, 'log'), { replace: true, like: join(folder, 'log') })
    await sink.copyPrefix(join(folder, 'log'), 5)
    expect(sink.size).toBe(5)
    await sink.write(Buffer.from('XY'))
    await sink.commit()
    expect(readFileSync(join(folder, 'log'), 'utf8')).toBe('abcdeXY')
    const long = await Sink.create(join(folder, 'long'))
    expect(await refusal(long.copyPrefix(join(folder, 'log'), 9))).toContain('input.shrank')
    await long.abort()
    expect(readdirSync(folder)).toEqual(['log'])
  })

  it('writes names that are not UTF-8 or as long as names can be', async () => {
    const folder = temporaryFolder()
    const long = 'ä'.repeat(127)
    await writeWhole(join(folder, long), '1')
    await writeWhole(`${folder}/bad\udcff`, '2')
    await writeWhole(`${folder}/bad\udcff`, '3', { replace: true }, true)
    expect(readdirSync(folder, { encoding: 'latin1' }).sort()).toEqual(
      ['bad\xff', 'bad\xff.old', Buffer.from(long).toString('latin1')].sort(),
    )
  })
})

describe('a sink for a folder', () => {
  it('gives the folder its name when all of it is there', async () => {
    const parent = temporaryFolder()
    const target = join(parent, 'out')
    const sink = await FolderSink.create(target)
    await writeWhole(join(sink.folder, 'part'), 'abc')
    expect(existsSync(target)).toBe(false)
    expect(await sink.commit()).toEqual({ path: target, backup: undefined, warnings: [] })
    expect(readdirSync(parent)).toEqual(['out'])
    expect(readdirSync(target)).toEqual(['part'])
    await sink.abort()
    expect(readdirSync(target)).toEqual(['part'])
  })

  it('refuses a target that exists, or keeps it under another name', async () => {
    const parent = temporaryFolder()
    const target = join(parent, 'out')
    mkdirSync(target)
    writeFileSync(join(target, 'mine'), '')
    expect(await refusal(FolderSink.create(target))).toBe(`output.exists: ${target} exists already`)
    const sink = await FolderSink.create(target, { replace: true })
    expect((await sink.commit()).backup).toBe(`${target}.old`)
    expect(readdirSync(join(parent, 'out.old'))).toEqual(['mine'])
    expect(readdirSync(target)).toEqual([])
    const late = await FolderSink.create(join(parent, 'late'))
    mkdirSync(join(parent, 'late'))
    expect(await refusal(late.commit())).toContain('output.exists')
    writeFileSync(join(parent, 'file'), '')
    expect(await refusal(FolderSink.create(join(parent, 'file'), { replace: true }))).toContain('output.kind')
    expect(readdirSync(parent)).toEqual(['file', 'late', 'out', 'out.old'])
  })

  it('can be entered by those who may read the file that it is modelled on', async () => {
    const parent = temporaryFolder()
    writeFileSync(join(parent, 'log'), '')
    chmodSync(join(parent, 'log'), 0o640)
    await (await FolderSink.create(join(parent, 'one'), { like: join(parent, 'log') })).commit()
    expect(statSync(join(parent, 'one')).mode & 0o777).toBe(0o750)
    chmodSync(join(parent, 'one'), 0o711)
    await (await FolderSink.create(join(parent, 'two'), { like: join(parent, 'one') })).commit()
    expect(statSync(join(parent, 'two')).mode & 0o777).toBe(0o711)
  })

  it('is removed with all that is in it when it is given up', async () => {
    const parent = temporaryFolder()
    const sink = await FolderSink.create(join(parent, 'out'))
    await writeWhole(join(sink.folder, 'part'), 'abc')
    await sink.abort()
    expect(readdirSync(parent)).toEqual([])
  })
})

describe('a process that writes', () => {
  let script: string
  const home = { folder: '' }
  beforeAll(() => {
    home.folder = join(process.cwd(), 'node_modules', '.cache')
    mkdirSync(home.folder, { recursive: true })
    script = bundleScript(
      home.folder,
      `import { FolderSink, Sink } from './src/bytes/sink.ts'
       import { removeTemporaries } from './src/bytes/temporaries.ts'
       const [target, job] = process.argv.slice(2)
       process.on('SIGTERM', () => { removeTemporaries(); process.exit(143) })
       try {
         if (job === 'loop') {
           for (let round = 0; ; round++) {
             const letter = Buffer.alloc(200_000, round % 2 === 0 ? 'a' : 'b')
             const sink = await Sink.create(target, { replace: true })
             for (let piece = 0; piece < 5; piece++) await sink.write(letter)
             await sink.commit()
             if (round === 0) console.log('ready')
           }
         }
         if (job === 'hang') {
           await FolderSink.create(target + '.folder')
           const sink = await Sink.create(target)
           await sink.write(Buffer.alloc(1000))
           console.log('ready')
           setInterval(() => {}, 1000)
         } else {
           const sink = await Sink.create(target, { replace: true, like: process.argv[4] })
           const block = Buffer.alloc(1 << 20, 'n')
           for (let piece = 0; piece < 8; piece++) await sink.write(block)
           const { warnings } = await sink.commit()
           console.log(['done', ...warnings].join(': '))
         }
       } catch (error) {
         console.log(error.code + ': ' + error.message)
       }`,
      `sink-${process.pid}.mjs`,
    )
    return () => execFileSync('rm', [script])
  })
  const start = async (target: string, job: string) => {
    const child = spawn(process.execPath, [script, target, job], { stdio: ['ignore', 'pipe', 'inherit'] })
    await once(child.stdout, 'data')
    return child
  }

  it('leaves the old file or the new one when it is killed, and no more than one temporary file', async () => {
    const folder = temporaryFolder()
    const log = join(folder, 'log')
    for (let round = 0; round < 12; round++) {
      const child = await start(log, 'loop')
      await wait(round * 3)
      child.kill('SIGKILL')
      await once(child, 'exit')
      const content = readFileSync(log, 'latin1')
      expect(content.length).toBe(1_000_000)
      expect(content).toBe(content[0].repeat(1_000_000))
      const others = readdirSync(folder).filter(name => name !== 'log')
      expect(others.length).toBeLessThanOrEqual(1)
      for (const name of others) expect(name).toMatch(/^\.log\.aofkit-/)
    }
  })

  it('removes what processes that were killed have left for the same target, and only that', async () => {
    const folder = temporaryFolder()
    const log = join(folder, 'log')
    const child = await start(log, 'hang')
    const running = `.log.aofkit-${process.pid}-0123456789ab`
    const others = [running, '.log.aofkit-1-x', '.log.aofkit-notes', '.logs.aofkit-999999999-0123456789ab']
    for (const name of others) writeFileSync(join(folder, name), '')
    const left = readdirSync(folder).filter(name => name.startsWith(`.log.aofkit-${child.pid}`))
    expect(left).toHaveLength(1)
    await writeWhole(log, '1')
    expect(readdirSync(folder)).toContain(left[0])
    child.kill('SIGKILL')
    await once(child, 'exit')
    await writeWhole(log, '2', { replace: true })
    await (await FolderSink.create(`${log}.folder`)).commit()
    expect(readdirSync(folder).sort()).toEqual([...others, 'log', 'log.folder'].sort())
  })

  it('leaves nothing behind when it is told to end', async () => {
    const folder = temporaryFolder()
    const child = await start(join(folder, 'log'), 'hang')
    expect(readdirSync(folder)).toHaveLength(2)
    child.kill('SIGTERM')
    expect(await once(child, 'exit')).toEqual([143, null])
    expect(readdirSync(folder)).toEqual([])
  })

  it('leaves the target as it was when a file may not become so large', () => {
    const folder = temporaryFolder()
    writeFileSync(join(folder, 'log'), 'old')
    const { stdout } = spawnSync('bash', [
      '-c',
      `ulimit -f 2048; exec ${process.execPath} ${script} ${folder}/log once`,
    ])
    expect(stdout.toString()).toBe(
      `system.efbig: cannot write ${folder}/log: file too large for this file system or limit\n`,
    )
    expect(readFileSync(join(folder, 'log'), 'utf8')).toBe('old')
    expect(readdirSync(folder)).toEqual(['log'])
  })

  it('leaves the target as it was when the disk is full', context => {
    const folder = temporaryFolder()
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', folder], {
      encoding: 'utf8',
    })
    if (mounted.status !== 0)
      return context.skip(`no small disk can be mounted: ${mounted.stderr || mounted.error}`)
    try {
      writeFileSync(join(folder, 'log'), 'old')
      const { stdout } = spawnSync(process.execPath, [script, join(folder, 'log'), 'once'], {
        encoding: 'utf8',
      })
      expect(stdout).toBe(`system.enospc: cannot write ${folder}/log: no space left on the disk\n`)
      expect(readFileSync(join(folder, 'log'), 'utf8')).toBe('old')
      expect(readdirSync(folder)).toEqual(['log'])
    } finally {
      execFileSync('umount', [folder])
    }
  })

  it('that may not change owners says so, and writes all the same', context => {
    if (!root) return context.skip('needs root, to be another user')
    const folder = temporaryFolder()
    chmodSync(folder, 0o777)
    writeFileSync(join(folder, 'model'), '')
    chownSync(join(folder, 'model'), 1234, 4321)
    chmodSync(join(folder, 'model'), 0o644)
    const { stdout } = spawnSync(
      process.execPath,
      [script, join(folder, 'log'), 'once', join(folder, 'model')],
      {
        uid: 65534,
        gid: 65534,
        encoding: 'utf8',
      },
    )
    expect(stdout).toBe(
      `done: ${folder}/log could not be given its owner 1234 and group 4321: a server that runs as another user may not be able to open it\n`,
    )
    expect(statSync(join(folder, 'log'))).toMatchObject({ uid: 65534, mode: 0o100644 })
  })

  it('is refused a folder that it may not write to', context => {
    if (!root) return context.skip('needs root, to be another user')
    const folder = temporaryFolder()
    chmodSync(folder, 0o755)
    const { stdout } = spawnSync(process.execPath, [script, join(folder, 'log'), 'once'], {
      uid: 65534,
      gid: 65534,
      encoding: 'utf8',
    })
    expect(stdout).toBe(`system.eacces: cannot write ${folder}/log: permission denied\n`)
  })
})

it('does not follow a second name: the other one keeps the old content', async () => {
  const folder = temporaryFolder()
  writeFileSync(join(folder, 'log'), 'old')
  linkSync(join(folder, 'log'), join(folder, 'snapshot'))
  await writeWhole(join(folder, 'log'), 'new', { replace: true })
  expect(readFileSync(join(folder, 'snapshot'), 'utf8')).toBe('old')
  expect(lstatSync(join(folder, 'log')).nlink).toBe(1)
})
