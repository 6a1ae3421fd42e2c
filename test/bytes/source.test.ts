import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { beforeAll, describe, expect, it } from 'vitest'
import { openSource } from '../../src/bytes/open.ts'
import { BufferSource, type Source } from '../../src/bytes/source.ts'
import { SpoolSource } from '../../src/bytes/spool.ts'
import { StreamSource } from '../../src/bytes/stream-source.ts'
import { bundleScript } from '../helpers/child.ts'
import { temporaryFolder } from '../helpers/temp.ts'

async function readAll(source: Source, room = 7): Promise<string> {
  const pieces: Buffer[] = []
  for (;;) {
    const target = Buffer.alloc(room)
    const count = await source.read(target, 0, room)
    if (count === 0) break
    pieces.push(target.subarray(0, count))
  }
  await source.close()
  return Buffer.concat(pieces).toString()
}

async function failure(work: Promise<unknown>): Promise<{ code: string; message: string }> {
  return work.then(
    () => ({ code: 'none', message: 'it did not fail' }),
    error => error,
  )
}

describe('a file as a source', () => {
  it('delivers its bytes in order, and what is asked for by offset', async () => {
    const path = join(temporaryFolder(), 'log')
    writeFileSync(path, 'The quick brown fox jumps over the lazy dog')
    const source = await openSource(path)
    expect(source).toMatchObject({ name: path, size: 43, seekable: true })
    const target = Buffer.alloc(5)
    expect(await source.readAt(target, 4)).toBe(5)
    expect(target.toString()).toBe('quick')
    expect(await source.readAt(target, 40)).toBe(3)
    expect(await source.readAt(target, 99)).toBe(0)
    expect(await readAll(source)).toBe('The quick brown fox jumps over the lazy dog')
  })

  it('ends at its size at opening, and goes on when asked to look again', async () => {
    const path = join(temporaryFolder(), 'log')
    writeFileSync(path, 'abc')
    const source = await openSource(path)
    appendFileSync(path, 'def')
    const target = Buffer.alloc(10)
    expect(await source.read(target, 0, 10)).toBe(3)
    expect(await source.read(target, 0, 10)).toBe(0)
    expect(await source.grow()).toBe(true)
    expect(source.size).toBe(6)
    expect(await source.grow()).toBe(false)
    expect(await readAll(source)).toBe('def')
  })

  it('says so when it became shorter while it was read', async () => {
    const path = join(temporaryFolder(), 'log')
    writeFileSync(path, 'abcdef')
    const source = await openSource(path)
    await source.read(Buffer.alloc(4), 0, 4)
    truncateSync(path, 2)
    expect(await failure(source.read(Buffer.alloc(4), 0, 4))).toMatchObject({
      name: 'JobError',
      code: 'input.shrank',
      message: `${path} became shorter while it was read: from 6 to 2 bytes`,
    })
    expect(await failure(source.readAt(Buffer.alloc(4), 2))).toMatchObject({ code: 'input.shrank' })
    expect(await failure(source.grow())).toMatchObject({ code: 'input.shrank' })
    await source.close()
  })

  it('is still there for its reader when its name is gone', async () => {
    const path = join(temporaryFolder(), 'log')
    writeFileSync(path, 'abc')
    const source = await openSource(path)
    rmSync(path)
    expect(await readAll(source)).toBe('abc')
  })

  it('is closed only when no read is under way', async () => {
    const path = join(temporaryFolder(), 'log')
    writeFileSync(path, '')
    truncateSync(path, 64 << 20)
    const source = await openSource(path)
    const target = Buffer.alloc(64 << 20)
    let read = 0
    const reading = source.read(target, 0, target.length).then(count => {
      read = count
    })
    await Promise.all([source.close(), source.close()])
    expect(read).toBe(target.length)
    await reading
    expect(await failure(source.readAt(Buffer.alloc(1), 0))).toMatchObject({ code: 'input.closed' })
  })

  it('is found by a name that is not UTF-8', async () => {
    const folder = temporaryFolder()
    writeFileSync(Buffer.concat([Buffer.from(`${folder}/bad`), Buffer.of(0xff)]), 'abc')
    expect(await readAll(await openSource(`${folder}/bad\udcff`))).toBe('abc')
  })

  it('is refused, with the reason, when it is missing, a folder, a pipe, a socket or a device', async () => {
    const folder = temporaryFolder()
    mkdirSync(join(folder, 'folder'))
    execFileSync('mkfifo', [join(folder, 'pipe')])
    symlinkSync('nowhere', join(folder, 'dangling'))
    symlinkSync('loop', join(folder, 'loop'))
    const server = createServer().listen(join(folder, 'socket'))
    await once(server, 'listening')
    const refusal = async (name: string) => {
      const { code, message } = await failure(openSource(name))
      return `${code}: ${message.replace(folder, '…')}`
    }
    expect(await refusal(join(folder, 'no\nthing'))).toBe(
      'input.missing: …/no\\nthing: no such file or folder',
    )
    expect(await refusal(join(folder, 'dangling'))).toBe('input.missing: …/dangling: no such file or folder')
    expect(await refusal(join(folder, 'loop'))).toBe('system.eloop: cannot read …/loop: too many links')
    expect(await refusal(join(folder, 'folder'))).toBe('input.folder: …/folder is a folder')
    expect(await refusal(join(folder, 'pipe'))).toBe('input.kind: …/pipe is a named pipe, not a file')
    expect(await refusal(join(folder, 'socket'))).toBe('input.kind: …/socket is a socket, not a file')
    expect(await refusal('/dev/zero')).toBe('input.kind: /dev/zero is a device, not a file')
    server.close()
  })

  it('is refused when it may not be read', async context => {
    if (process.getuid?.() === 0) {
      // Root may read everything: another user asks.
      const folder = temporaryFolder()
      writeFileSync(join(folder, 'secret'), 'abc', { mode: 0o600 })
      execFileSync('chmod', ['755', folder])
      const script = bundleScript(
        folder,
        `import { openSource } from './src/bytes/open.ts'
         await openSource(process.argv[2]).catch(error => console.log(error.code, error.message))`,
      )
      const { stdout, status, stderr } = spawnSync(process.execPath, [script, join(folder, 'secret')], {
        uid: 65534,
        gid: 65534,
        encoding: 'utf8',
      })
      if (status !== 0) return context.skip(`no process of another user can be started: ${stderr}`)
      expect(stdout).toBe(`system.eacces cannot read ${folder}/secret: permission denied\n`)
      return
    }
    const path = join(temporaryFolder(), 'secret')
    writeFileSync(path, 'abc', { mode: 0 })
    expect(await failure(openSource(path))).toMatchObject({ code: 'system.eacces' })
  })
})

describe('standard input and descriptors', () => {
  const folderOf = { scripts: '' }
  let script: string
  beforeAll(() => {
    folderOf.scripts = join(process.cwd(), 'node_modules', '.cache')
    mkdirSync(folderOf.scripts, { recursive: true })
    script = bundleScript(
      folderOf.scripts,
      `import { openSource } from './src/bytes/open.ts'
       try {
         const source = await openSource(process.argv[2], { again: process.argv[3] === 'again' })
         let text = ''
         const target = Buffer.alloc(100_000)
         for (;;) {
           const count = await source.read(target, 0, target.length)
           if (count === 0) break
           text += target.toString('latin1', 0, count)
           if (process.argv[3] === 'once') break
         }
         let back = ''
         if (source.seekable) back = target.toString('latin1', 0, await source.readAt(target.subarray(0, 3), 1))
         await source.close()
         console.log(JSON.stringify({ size: source.size, length: text.length, start: text.slice(0, 9), back }))
       } catch (error) {
         console.log(error.code + ': ' + error.message)
       }`,
      `source-${process.pid}.mjs`,
    )
    return () => rmSync(script)
  })
  const shell = (command: string, cwd?: string): unknown => {
    const result = spawnSync('bash', ['-c', command.replaceAll('READ', `${process.execPath} ${script}`)], {
      encoding: 'utf8',
      timeout: 20_000,
      ...(cwd === undefined ? {} : { cwd }),
    })
    expect(result.stderr).toBe('')
    expect(result.status).toBe(0)
    return result.stdout.startsWith('{') ? JSON.parse(result.stdout) : result.stdout.trim()
  }

  it('are files where a file was redirected, from where it was read so far', () => {
    const folder = temporaryFolder()
    writeFileSync(join(folder, 'log'), 'first\nsecond\n')
    for (const name of ['-', '/dev/stdin', '/dev/fd/0', '/proc/self/fd/0']) {
      expect(shell(`READ ${name} < log`, folder)).toEqual({
        size: 13,
        length: 13,
        start: 'first\nsec',
        back: 'irs',
      })
    }
    expect(shell(`READ /dev/fd/7 7< log`, folder)).toEqual({
      size: 13,
      length: 13,
      start: 'first\nsec',
      back: 'irs',
    })
    expect(shell(`{ read line; READ -; } < log`, folder)).toEqual({
      size: 7,
      length: 7,
      start: 'second\n',
      back: 'eco',
    })
  })

  it('are pipes otherwise', () => {
    expect(shell(`seq 100000 | READ -`)).toEqual({ length: 588895, start: '1\n2\n3\n4\n5', back: '' })
    expect(shell(`READ <(seq 100000)`)).toEqual({ length: 588895, start: '1\n2\n3\n4\n5', back: '' })
    expect(shell(`(printf a; sleep 0.2; printf bc) | READ /dev/stdin`)).toMatchObject({ start: 'abc' })
    expect(shell(`READ - < /dev/null`)).toMatchObject({ length: 0 })
  })

  it('can be read twice on demand, by way of a temporary file that leaves nothing behind', () => {
    const folder = temporaryFolder()
    expect(shell(`seq 100000 | TMPDIR=${folder} READ - again; ls -A ${folder}`)).toEqual({
      length: 588895,
      start: '1\n2\n3\n4\n5',
      back: '\n2\n',
    })
    expect(shell(`seq 10 | TMPDIR=${folder}/none READ - again`)).toBe(
      `system.enoent: keeping the input in a temporary file in ${folder}/none (TMPDIR names another place): no such file or folder`,
    )
  })

  it('are decompressed', () => {
    expect(shell(`seq 100000 | gzip | READ -`)).toEqual({ length: 588895, start: '1\n2\n3\n4\n5', back: '' })
    expect(shell(`READ <(seq 100000 | gzip) again`)).toEqual({
      length: 588895,
      start: '1\n2\n3\n4\n5',
      back: '\n2\n',
    })
  })

  it('are refused when they are a folder, not open, or not for reading', () => {
    expect(shell(`READ - < /`)).toBe('input.folder: standard input is a folder')
    expect(shell(`READ /dev/fd/77`)).toBe(
      'system.ebadf: reading /dev/fd/77: EBADF: bad file descriptor, fstat',
    )
    expect(shell(`READ /dev/fd/7 7> ${temporaryFolder()}/out`)).toMatchObject({ length: 0 })
  })

  it('do not keep a process that is done waiting for more', async () => {
    const child = spawn(process.execPath, [script, '-', 'once'], { stdio: ['pipe', 'pipe', 'inherit'] })
    child.stdin.write('abcdefg')
    const [status] = await once(child, 'exit')
    expect(status).toBe(0)
    const start = performance.now()
    shell('READ <(exec 2>&-; printf abcdefg; exec sleep 15) once')
    expect(performance.now() - start).toBeLessThan(10_000)
  })
})

describe('a spooled source', () => {
  it('delivers every offset, whether it came already or not, and every byte in order all the same', async () => {
    const path = join(temporaryFolder(), 'log.gz')
    const content = Array.from({ length: 200_000 }, (_, index) => index).join(' ')
    writeFileSync(path, gzipSync(content))
    const source = await openSource(path, { again: true })
    const target = Buffer.alloc(6)
    expect(await source.readAt(target, 1_000_000)).toBe(6)
    expect(target.toString()).toBe(content.slice(1_000_000, 1_000_006))
    const [count] = await Promise.all([source.readAt(target, 3), source.read(Buffer.alloc(2), 0, 2)])
    expect(count).toBe(6)
    expect(target.toString()).toBe(content.slice(3, 9))
    expect(await source.readAt(target, content.length - 2)).toBe(2)
    expect(await source.readAt(target, content.length + 2)).toBe(0)
    expect(await readAll(source, 100_000)).toBe(content.slice(2))
  })
})

describe('a spooled source, asked for many things at once', () => {
  it('answers each of them as if it were alone', async () => {
    const content = Buffer.from(
      Array.from({ length: 40_000 }, (_, index) => (index * 7 + (index >> 8)) & 255),
    )
    async function* pieces() {
      for (let at = 0; at < content.length; at += 333) {
        await new Promise(resolve => setImmediate(resolve))
        yield content.subarray(at, at + 333)
      }
    }
    const source = await SpoolSource.create(new StreamSource('-', pieces(), async () => {}))
    const inOrder: Buffer[] = []
    const all: Promise<void>[] = []
    for (let round = 0; round < 200; round++) {
      const next = Buffer.alloc(250)
      all.push(
        source.read(next, 0, 250).then(count => {
          inOrder.push(next.subarray(0, count))
        }),
      )
      const back = Buffer.alloc(50)
      const offset = (round * 7919) % 39_000
      all.push(
        source.readAt(back, offset).then(count => {
          expect(back.subarray(0, count)).toEqual(content.subarray(offset, offset + 50))
        }),
      )
    }
    await Promise.all(all)
    const read = Buffer.concat(inOrder)
    expect(read.equals(content.subarray(0, read.length))).toBe(true)
    expect(read.length).toBeGreaterThan(20_000)
    await source.close()
  })
})

describe('a buffer as a source', () => {
  it('reads up to the splits it was given, never across', async () => {
    const source = new BufferSource(Buffer.from('abcdefgh'), { splits: [1, 3, 4] })
    const pieces: string[] = []
    for (;;) {
      const target = Buffer.alloc(8)
      const count = await source.read(target, 0, 8)
      if (count === 0) break
      pieces.push(target.toString('utf8', 0, count))
    }
    expect(pieces).toEqual(['a', 'bc', 'd', 'efgh'])
    source.append(Buffer.from('ij'))
    expect(await source.grow()).toBe(true)
    expect(await readAll(source)).toBe('ij')
    expect(await source.grow()).toBe(false)
  })
})

it('opening a file costs one descriptor, given back at closing or when it is refused', async context => {
  if (!existsSync('/proc/self/fd')) return context.skip('no /proc to count descriptors in')
  const path = join(temporaryFolder(), 'log')
  writeFileSync(path, gzipSync('abc'))
  const descriptors = () => readdirSync('/proc/self/fd').length
  const before = descriptors()
  const sources: Source[] = []
  for (let round = 0; round < 5; round++) sources.push(await openSource(path))
  expect(descriptors()).toBe(before + 5)
  for (const source of sources) await source.close()
  await failure(openSource(path, { again: true }).then(source => source.close()))
  expect(descriptors()).toBe(before)
})
