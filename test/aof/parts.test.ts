import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, realpathSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { type Input, openPart, resolveInput } from '../../src/aof/parts.ts'
import { decodeName, systemPath } from '../../src/bytes/names.ts'
import { encodeCommand, foundServers } from '../helpers/servers.ts'
import { temporaryFolder } from '../helpers/temp.ts'

const SET = encodeCommand(['SET', 'key', 'value'])
const MANIFEST =
  'file a.aof.2.base.rdb seq 2 type b\nfile a.aof.3.incr.aof seq 3 type i\nfile a.aof.4.incr.aof seq 4 type i\n'
const LOG = {
  'a.aof.2.base.rdb': 'REDIS0011',
  'a.aof.3.incr.aof': SET,
  'a.aof.4.incr.aof': '',
  'a.aof.manifest': MANIFEST,
}

/** A new folder with files in it. */
function folderWith(files: Readonly<Record<string, string | Uint8Array>>): string {
  const folder = temporaryFolder()
  add(folder, files)
  return folder
}

function add(folder: string, files: Readonly<Record<string, string | Uint8Array>>): void {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(join(folder, name, '..'), { recursive: true })
    writeFileSync(systemPath(join(folder, name)), content)
  }
}

const parts = (input: Input) => input.parts.map(({ name, role }) => `${role} ${name}`)
const codes = (input: Input) => input.findings.map(({ code, severity }) => `${severity} ${code}`)
const ALL = ['base a.aof.2.base.rdb', 'incr a.aof.3.incr.aof', 'incr a.aof.4.incr.aof']

async function refusal(path: string): Promise<string> {
  const { code, message, hint } = await resolveInput(path).then(
    input => ({ code: 'none', message: JSON.stringify(input.findings), hint: '' }),
    error => error,
  )
  return `${code}: ${message}${hint ? `; ${hint}` : ''}`
}

describe('a single file', () => {
  it('is a log, whatever its name', async () => {
    const folder = folderWith({
      log: SET,
      'dump.manifest': 'REDIS0011',
      empty: '',
      'x.manifest': '*1\r\n',
      'y.manifest': '#TS:1\r\n',
    })
    for (const name of ['log', 'dump.manifest', 'empty', 'x.manifest', 'y.manifest']) {
      const path = join(folder, name)
      expect(await resolveInput(path)).toMatchObject({
        layout: 'single',
        path,
        findings: [],
        parts: [{ name, path, role: 'single' }],
      })
    }
    expect((await resolveInput(join(folder, 'log'))).size).toBe(SET.length)
  })

  it('may be compressed, and then its size is not known', async () => {
    const folder = folderWith({ gz: gzipSync(SET), zst: Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0]) })
    expect(await resolveInput(join(folder, 'gz'))).toMatchObject({ compression: 'gzip', size: undefined })
    expect(await resolveInput(join(folder, 'zst'))).toMatchObject({ compression: 'zstd', size: undefined })
  })

  it('may be standard input, which is not touched before it is read', async () => {
    expect(await resolveInput('-')).toMatchObject({
      layout: 'single',
      size: undefined,
      parts: [{ name: '-', path: '-' }],
    })
  })

  it('that is missing or unreadable is refused', async () => {
    const folder = folderWith({ log: SET })
    expect(await refusal(join(folder, 'no\x1bne'))).toBe(
      `input.missing: ${folder}/no\\x1bne: no such file or folder`,
    )
    expect(await refusal(join(folder, 'log', 'x'))).toBe(
      `input.missing: ${folder}/log/x: no such file or folder`,
    )
    execFileSync('mkfifo', [join(folder, 'pipe')])
    const input = await resolveInput(join(folder, 'pipe'))
    await expect(openPart(input.parts[0])).rejects.toMatchObject({ code: 'input.kind' })
  })
})

describe('a multi-part log', () => {
  it('is found by its manifest, its folder, and the data folder around it', async () => {
    const folder = realpathSync(folderWith({ 'appendonlydir/x': '' }))
    const inner = join(folder, 'appendonlydir')
    add(inner, LOG)
    for (const path of [folder, `${folder}/`, inner, join(inner, 'a.aof.manifest')]) {
      const input = await resolveInput(path)
      expect(input).toMatchObject({
        layout: 'multi-part',
        folder: inner,
        size: 9 + SET.length,
        findings: [],
        doNotStart: false,
      })
      expect(input.manifestPath).toBe(join(inner, 'a.aof.manifest'))
      expect(parts(input)).toEqual(ALL)
      expect(input.parts[1]).toEqual({
        name: 'a.aof.3.incr.aof',
        path: join(inner, 'a.aof.3.incr.aof'),
        role: 'incr',
        size: SET.length,
      })
    }
  })

  it('is found in a data folder where appenddirname is not the usual one', async () => {
    const folder = temporaryFolder()
    mkdirSync(join(folder, 'empty'))
    mkdirSync(join(folder, 'mine'))
    add(join(folder, 'mine'), LOG)
    expect(parts(await resolveInput(folder))).toEqual(ALL)
    mkdirSync(join(folder, 'yours'))
    add(join(folder, 'yours'), LOG)
    expect(await refusal(folder)).toBe(
      `input.several: ${folder} holds several logs: ${folder}/mine, ${folder}/yours; name one of them`,
    )
    mkdirSync(join(folder, 'appendonlydir'))
    add(join(folder, 'appendonlydir'), {
      'b.1.incr.aof': '',
      'b.manifest': 'file b.1.incr.aof seq 1 type i\n',
    })
    expect(parts(await resolveInput(folder))).toEqual(['incr b.1.incr.aof'])
  })

  it('is read as it is: a compressed part is no log to a server', async () => {
    const folder = folderWith({ ...LOG, 'a.aof.3.incr.aof': gzipSync(SET) })
    const source = await openPart((await resolveInput(folder)).parts[1])
    const head = Buffer.alloc(2)
    await source.read(head, 0, 2)
    await source.close()
    expect(head).toEqual(Buffer.of(0x1f, 0x8b))
  })

  it('with several manifests in its folder is refused, listing them', async () => {
    const folder = folderWith({ ...LOG, 'b\n.manifest': 'file x seq 1 type i\n' })
    expect(await refusal(folder)).toBe(
      `input.several: ${folder} holds several manifests: a.aof.manifest, b\\n.manifest; name one of them`,
    )
    expect(parts(await resolveInput(join(folder, 'a.aof.manifest')))).toEqual(ALL)
  })

  it('is not confused by manifests on their way to another name, nor by backups', async () => {
    const folder = folderWith({
      ...LOG,
      'temp-a.aof.manifest': MANIFEST,
      'temp_b.manifest': MANIFEST,
      '.a.aof.manifest.aofkit-12ab': MANIFEST,
      'a.aof.manifest.old': MANIFEST,
    })
    expect(parts(await resolveInput(folder))).toEqual(ALL)
  })

  it('whose manifest has another name is read, and said to be one that servers do not find', async () => {
    const folder = folderWith(LOG)
    renameSync(join(folder, 'a.aof.manifest'), join(folder, 'manifest.bak'))
    const input = await resolveInput(folder)
    expect(parts(input)).toEqual(ALL)
    expect(codes(input)).toEqual(['error manifest.misnamed'])
    expect(input.doNotStart).toBe(true)
  })

  it('has a finding for each part that is listed and missing, or no regular file', async () => {
    const folder = folderWith(LOG)
    rmSync(join(folder, 'a.aof.3.incr.aof'))
    rmSync(join(folder, 'a.aof.4.incr.aof'))
    mkdirSync(join(folder, 'a.aof.4.incr.aof'))
    const input = await resolveInput(folder)
    expect(parts(input)).toEqual(ALL.slice(0, 1))
    expect(input.findings).toEqual([
      {
        code: 'manifest.part.missing',
        severity: 'error',
        part: 'a.aof.3.incr.aof',
        message: 'is listed in the manifest but missing; a server refuses to start',
      },
      {
        code: 'manifest.part.kind',
        severity: 'error',
        part: 'a.aof.4.incr.aof',
        message: 'is no regular file: a server cannot load it',
      },
    ])
  })

  it('has one finding for all parts that are not listed', async () => {
    const files = Object.fromEntries(
      Array.from({ length: 3000 }, (_, index) => [`a.aof.${index + 10}.incr.aof`, '']),
    )
    const { findings } = await resolveInput(folderWith({ ...LOG, ...files, 'notes.txt': 'file x seq 1' }))
    expect(findings).toEqual([
      {
        code: 'manifest.unlisted',
        severity: 'warning',
        message:
          'named like parts but not listed in the manifest, so that no server reads them: a.aof.10.incr.aof, a.aof.100.incr.aof, a.aof.1000.incr.aof, a.aof.1001.incr.aof, a.aof.1002.incr.aof and 2995 more',
      },
    ])
  })

  it('warns of history, which servers delete, and of a missing base', async () => {
    const folder = folderWith({
      'a.manifest': 'file a.1.incr.aof seq 1 type h\nfile a.2.incr.aof seq 2 type i\n',
      'a.1.incr.aof': SET,
      'a.2.incr.aof': SET,
    })
    const input = await resolveInput(folder)
    expect(parts(input)).toEqual(['incr a.2.incr.aof'])
    expect(codes(input)).toEqual(['warning manifest.history', 'warning manifest.no-base'])
  })

  it('keeps to its folder: links that leave it are refused, others followed', async () => {
    const outside = folderWith({ 'secret.aof': SET })
    const folder = realpathSync(folderWith(LOG))
    renameSync(join(folder, 'a.aof.3.incr.aof'), join(folder, 'renamed'))
    symlinkSync('renamed', join(folder, 'a.aof.3.incr.aof'))
    expect((await resolveInput(folder)).parts[1]).toMatchObject({
      name: 'a.aof.3.incr.aof',
      path: join(folder, 'renamed'),
    })
    rmSync(join(folder, 'a.aof.3.incr.aof'))
    symlinkSync(join(outside, 'secret.aof'), join(folder, 'a.aof.3.incr.aof'))
    expect(await refusal(folder)).toBe(
      `input.link: part a.aof.3.incr.aof is a link that leaves its folder, to ${realpathSync(outside)}/secret.aof; a part can be read alone: give its path`,
    )
    add(folder, { 'a.aof.manifest': 'file ../secret.aof seq 1 type b\n' })
    const input = await resolveInput(folder)
    expect(input.parts).toEqual([])
    expect(codes(input)).toEqual(['error manifest.name', 'warning manifest.unlisted'])
  })

  it('may be reached through links to its folder or its manifest', async () => {
    const folder = realpathSync(folderWith(LOG))
    const links = temporaryFolder()
    symlinkSync(folder, join(links, 'appendonlydir'))
    expect((await resolveInput(links)).folder).toBe(folder)
    expect(parts(await resolveInput(join(links, 'appendonlydir', 'a.aof.manifest')))).toEqual(ALL)
  })

  it('may have names that are not UTF-8', async () => {
    const name = decodeName(Buffer.from([0x61, 0xff, 0x0a]))
    const folder = folderWith({
      [`${name}.1.incr.aof`]: SET,
      [`${name}.manifest`]: 'file "a\\xff\\n.1.incr.aof" seq 1 type i\n',
    })
    const input = await resolveInput(folder)
    expect(input.parts).toMatchObject([{ name: `${name}.1.incr.aof`, size: SET.length }])
    await (await openPart(input.parts[0])).close()
  })

  it('has the findings of a manifest that is empty, zeros, or a log', async () => {
    for (const [content, code] of [
      ['', 'error manifest.empty'],
      ['\0\0\0', 'error manifest.nul'],
      ['nonsense\n', 'error manifest.words'],
    ]) {
      const folder = folderWith({ 'a.manifest': content })
      expect(codes(await resolveInput(folder))).toEqual([code])
      expect(codes(await resolveInput(join(folder, 'a.manifest')))).toEqual([code])
    }
    expect(codes(await resolveInput(folderWith({ 'a.manifest': SET })))).toContain('error manifest.words')
  })
})

describe('a folder without a manifest', () => {
  it('that holds parts is named for what it is, and what a server would do', async () => {
    const folder = folderWith({
      'a.1.base.rdb': '',
      'a.2.base.rdb': '',
      'a.10.incr.aof': '',
      'a.9.incr.aof': '',
    })
    const input = await resolveInput(folder)
    expect(input).toMatchObject({
      layout: 'multi-part',
      manifestPath: undefined,
      manifest: undefined,
      doNotStart: true,
    })
    expect(parts(input)).toEqual(['base a.2.base.rdb', 'incr a.9.incr.aof', 'incr a.10.incr.aof'])
    expect(input.findings).toEqual([
      {
        code: 'manifest.missing',
        severity: 'error',
        message:
          'the manifest is missing, but parts of a log are here: a.1.base.rdb, a.10.incr.aof, a.2.base.rdb, a.9.incr.aof. A server would start empty, may overwrite a.1.base.rdb, append to a.1.incr.aof, and replay that on an empty base at its next start: do not start one before a.manifest is back',
      },
    ])
  })

  it('and with an old single log beside it is not started either', async () => {
    const folder = folderWith({ 'appendonlydir/appendonly.aof.1.incr.aof': SET, 'appendonly.aof': SET })
    const input = await resolveInput(folder)
    expect(input.doNotStart).toBe(true)
    expect(input.findings[0].message).toContain(
      `A server would take over the old single log ${realpathSync(folder)}/appendonly.aof and ignore these`,
    )
  })

  it('and without parts is refused, naming files that may be meant', async () => {
    expect(await refusal(folderWith({ 'notes.txt': '' }))).toMatch(
      /^input\.no-log: .* holds no manifest and no parts of a log$/,
    )
    const folder = folderWith({ 'appendonly.aof': SET, 'dump.rdb': 'REDIS0011' })
    expect(await refusal(folder)).toBe(
      `input.no-log: ${folder} holds no manifest and no parts of a log; name the file itself: ${folder}/appendonly.aof, ${folder}/dump.rdb`,
    )
  })
})

describe('an old single log above a multi-part one', () => {
  const base = 'file a.aof seq 1 type b\n'

  it('is mentioned: servers do not read it', async () => {
    const folder = temporaryFolder()
    add(folder, { 'a.aof': SET })
    mkdirSync(join(folder, 'appendonlydir'))
    add(join(folder, 'appendonlydir'), LOG)
    expect(codes(await resolveInput(folder))).toEqual(['warning manifest.old-log'])
  })

  it('is the base when a server was stopped in the middle of taking it over', async () => {
    const folder = realpathSync(folderWith({ 'appendonlydir/a.aof.manifest': base, 'a.aof': SET }))
    const input = await resolveInput(folder)
    expect(input.parts).toEqual([
      { name: 'a.aof', path: join(folder, 'a.aof'), role: 'base', size: SET.length },
    ])
    expect(codes(input)).toEqual(['warning manifest.upgrade'])
    add(folder, { 'appendonlydir/a.aof.manifest': `${base}file i seq 1 type i\n`, 'appendonlydir/i': '' })
    expect(codes(await resolveInput(folder))).toEqual([
      'error manifest.part.missing',
      'warning manifest.old-log',
    ])
  })

  it('is taken over when the manifest lists nothing', async () => {
    const folder = folderWith({ 'appendonlydir/a.aof.manifest': '# nothing\n', 'a.aof': SET })
    const input = await resolveInput(folder)
    expect(codes(input)).toEqual(['warning manifest.no-parts'])
    expect(input.findings[0].message).toContain('an old single log')
  })
})

it('says that a manifest without entries costs the parts beside it', async () => {
  const input = await resolveInput(folderWith({ 'a.manifest': '# nothing\n', 'a.1.incr.aof': SET }))
  expect(codes(input)).toEqual(['error manifest.no-parts'])
  expect(input.doNotStart).toBe(true)
})

describe.each(foundServers())('%s', server => {
  it('starts empty without a manifest, and writes over parts', async () => {
    const loaded = await server.load({
      'appendonly.aof.1.base.rdb': Buffer.from('precious'),
      'appendonly.aof.1.incr.aof': SET,
    })
    expect(loaded.started, loaded.log).toBe(true)
    expect(await loaded.query('DBSIZE')).toBe(0)
    expect(loaded.sizes['appendonlydir/appendonly.aof.1.base.rdb']).not.toBe(8)
    await loaded.stop()
  })

  it('refuses a part that is missing, and deletes history', async () => {
    const missing = await server.load({ 'appendonly.aof.manifest': Buffer.from('file x seq 1 type i\n') })
    expect(missing.started).toBe(false)
    await missing.stop()
    const history = await server.load({
      'appendonly.aof.manifest': Buffer.from('file h seq 1 type h\nfile x seq 1 type i\n'),
      h: SET,
      x: SET,
    })
    expect(history.started, history.log).toBe(true)
    // It does so in the background.
    await expect.poll(() => existsSync(join(history.folder, 'appendonlydir', 'h'))).toBe(false)
    await history.stop()
  })

  it('takes over an old single log where we say so, and nowhere else', async () => {
    const single = encodeCommand(['SET', 'single', '1'])
    const has = async (parts: Record<string, Uint8Array>, key: string): Promise<boolean> => {
      const loaded = await server.load({ '../appendonly.aof': single, ...parts })
      expect(loaded.started, loaded.log).toBe(true)
      const reply = await loaded.query('EXISTS', key)
      await loaded.stop()
      return reply === 1
    }
    const manifest = (text: string) => ({ 'appendonly.aof.manifest': Buffer.from(text) })
    expect(await has(manifest('file appendonly.aof seq 1 type b\n'), 'single')).toBe(true)
    expect(await has(manifest('# nothing\n'), 'single')).toBe(true)
    expect(await has({ 'appendonly.aof.1.incr.aof': SET }, 'single')).toBe(true)
    const more = manifest('file appendonly.aof seq 1 type b\nfile x seq 1 type i\n')
    const refused = await server.load({ '../appendonly.aof': single, ...more, x: SET })
    expect(refused.started).toBe(false)
    await refused.stop()
    const other = { ...manifest('file x seq 1 type i\n'), x: SET }
    expect(await has(other, 'single')).toBe(false)
    expect(await has(other, 'key')).toBe(true)
  })
})
