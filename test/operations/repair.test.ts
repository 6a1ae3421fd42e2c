import { spawn } from 'node:child_process'
import {
  appendFileSync,
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { basename, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openPart, resolveInput } from '../../src/aof/parts.ts'
import { type PartOpener, planRepair } from '../../src/operations/repair.ts'
import { writeRepair } from '../../src/operations/repair-write.ts'
import { encode } from '../helpers/chunks.ts'
import { bundle, call, callJson, run } from '../helpers/command.ts'
import { temporaryFolder } from '../helpers/temp.ts'
import { entry, rdb, select, str } from '../rdb/build.ts'
import { expectWhole, MANIFEST, place, type RepairJson, stateOf, temporariesIn } from './repairing.ts'

const root = process.getuid?.() === 0

const SET = encode('SET', 'key', 'value')
const TORN = encode('SET', 'other', 'value').subarray(0, -9)
const SOUND = Buffer.concat([SET, encode('DEL', 'key'), SET])
const LOG = Buffer.concat([SOUND, TORN])
const BASE = rdb('REDIS0010', select(0), entry(0, 'in the base', str('1')))

/** A folder with a base and three incr parts; each can be given. */
function parts({ base = BASE, first = SOUND, second = SOUND, third = SOUND, manifest = PARTS } = {}) {
  return {
    'a.aof.1.base.rdb': base,
    'a.aof.1.incr.aof': first,
    'a.aof.2.incr.aof': second,
    'a.aof.3.incr.aof': third,
    [MANIFEST]: Buffer.from(manifest),
  }
}

/** What differs between a dry run and the other one. */
const WRITTEN = { status: 0, err: '', output: '', backups: [] }

const PARTS = `file a.aof.1.base.rdb seq 1 type b
file a.aof.1.incr.aof seq 1 type i
file a.aof.2.incr.aof seq 2 type i
file a.aof.3.incr.aof seq 3 type i
`

/** Calls repair and expects that it is refused, and that nothing has changed below `folder`; the message. */
async function refusal(folder: string, ...args: string[]): Promise<string> {
  const before = stateOf(folder)
  const { status, out, err } = await call('repair', ...args)
  expect(stateOf(folder), 'what is there').toBe(before)
  expect({ status, out: out.toString() }, err).toEqual({ status: 2, out: '' })
  expect(err).toMatch(/^aofkit: /)
  return err
}

/** Repairs in a way that must work; the report. */
async function repaired(...args: string[]): Promise<RepairJson> {
  const report = await callJson<RepairJson>('repair', ...args)
  expect(report.status, report.err).toBe(0)
  return report
}

describe('repair refuses', () => {
  it.each([
    ['cut', BASE.subarray(0, -3)],
    ['changed', Buffer.concat([BASE.subarray(0, 20), Buffer.of(0x7f), BASE.subarray(21)])],
  ])('a base that is an RDB and was %s, whatever else is wrong', async (_, base) => {
    const folder = temporaryFolder()
    const path = place(folder, parts({ base, third: LOG }))
    for (const way of [
      ['--output', join(folder, 'out')],
      ['--in-place', '--allow-empty'],
      ['--dry-run', '--keep-later-parts', '--normalize'],
    ]) {
      expect(await refusal(folder, path, ...way)).toContain(
        'a.aof.1.base.rdb is an RDB that servers do not load; cutting it would leave nothing of it',
      )
    }
  })

  it('an RDB alone that is damaged', async () => {
    const folder = temporaryFolder()
    const path = place(folder, BASE.subarray(0, -3))
    expect(await refusal(folder, path, '--in-place', '--allow-empty')).toContain('log is an RDB')
  })

  it.each([
    ['has a line that servers refuse', `${PARTS}file x seq\n`, 'line 5'],
    ['lists a part that is missing', `${PARTS}file a.aof.4.incr.aof seq 4 type i\n`, 'missing'],
    ['is empty', '', 'the manifest is empty'],
  ])('a manifest that %s', async (_, manifest, why) => {
    const folder = temporaryFolder()
    const path = place(folder, parts({ manifest, third: LOG }))
    const err = await refusal(folder, path, '--in-place', '--allow-empty')
    expect(err).toContain('repair cuts parts; it cannot mend what the manifest says or lacks')
    expect(err).toContain(why)
  })

  it('parts without a manifest', async () => {
    const folder = temporaryFolder()
    const path = place(folder, parts({ third: LOG }))
    rmSync(join(path, MANIFEST))
    expect(await refusal(folder, path, '--output', join(folder, 'out'))).toContain('the manifest is missing')
  })

  it('a part that is listed twice, since what is left of it would have to be two things', async () => {
    const folder = temporaryFolder()
    const manifest = PARTS.replace('a.aof.3.incr.aof', 'a.aof.2.incr.aof')
    const path = place(folder, parts({ manifest, second: LOG }))
    expect(await refusal(folder, path, '--in-place')).toContain(
      'a.aof.2.incr.aof is listed twice in the manifest',
    )
  })

  it.each([
    ['begins with a byte order mark', Buffer.concat([Buffer.from('\ufeff'), SOUND])],
    ['has LF line ends', Buffer.from(SOUND.toString().replaceAll('\r\n', '\n'))],
    ['is no AOF at all', Buffer.from('hello, world\n'.repeat(100))],
    ['is nothing but zeros', Buffer.alloc(5000)],
    ['has no whole command', SET.subarray(0, -2)],
    ['has only a transaction without an end', Buffer.concat([encode('MULTI'), SOUND])],
    [
      'has only annotations before the damage',
      Buffer.from(`#TS:1700000000\r\n#TS:1700000001\r\n${TORN.toString()}`),
    ],
  ])('a log that %s, unless it may become empty', async (_, log) => {
    const folder = temporaryFolder()
    const path = place(folder, log)
    const out = join(folder, 'out')
    for (const way of [['--output', out], ['--in-place'], ['--dry-run']]) {
      const err = await refusal(folder, path, ...way)
      expect(err).toContain('the cut would leave no command and no key, so nothing was changed')
      expect(err).toContain('--allow-empty')
    }
    const report = await repaired(path, '--output', out, '--allow-empty')
    expect(report.kept).toBeLessThanOrEqual(32)
    expectWhole(new Map([['log', log]]), report, out)
  })

  it('to empty a log of several parts whose base has no keys, but not one whose base has', async () => {
    const folder = temporaryFolder()
    const broken = Buffer.from('hello')
    const nothing = place(folder, parts({ base: rdb('REDIS0010'), first: broken }))
    expect(await refusal(folder, nothing, '--in-place')).toContain('would leave no command and no key')
    rmSync(nothing, { recursive: true })
    const path = place(folder, parts({ first: broken }))
    expect((await repaired(path, '--in-place')).cut).toBe(5 + 2 * SOUND.length)
  })

  it('to cut more than may be lost, in bytes and in per cent', async () => {
    const folder = temporaryFolder()
    const path = place(folder, LOG)
    const share = (TORN.length * 100) / LOG.length
    for (const limit of [`${TORN.length - 1}`, '0', `${(share - 0.1).toFixed(3)}%`, '0%']) {
      for (const way of ['--in-place', '--dry-run']) {
        expect(await refusal(folder, path, way, '--max-loss', limit), limit).toContain(
          `the repair would cut ${TORN.length} of ${LOG.length} bytes, more than --max-loss allows`,
        )
      }
    }
    for (const limit of [`${TORN.length}`, '1kb', `${(share + 0.1).toFixed(3)}%`, '100%']) {
      const out = join(folder, `out-${limit}`)
      rmSync(join(folder, `log.cut-${SOUND.length}`), { force: true })
      expect((await repaired(path, '--output', out, '--max-loss', limit)).cut).toBe(TORN.length)
    }
  })

  it('a result that exists, and replaces it with --force', async () => {
    const folder = temporaryFolder()
    const path = place(folder, LOG)
    const out = join(folder, 'out')
    writeFileSync(out, 'mine')
    expect(await refusal(folder, path, '--output', out)).toBe(`aofkit: ${out} exists already\n`)
    await repaired(path, '--output', out, '--force')
    expect(readFileSync(out).equals(SOUND)).toBe(true)
  })

  it('a folder that exists, and with --force keeps the old one', async () => {
    const folder = temporaryFolder()
    const path = place(folder, parts({ third: LOG }))
    const out = join(folder, 'out')
    mkdirSync(out)
    writeFileSync(join(out, 'mine'), 'mine')
    expect(await refusal(folder, path, '--output', out)).toBe(`aofkit: ${out} exists already\n`)
    const report = await repaired(path, '--output', out, '--force')
    expect(report.backups).toEqual([`${out}.old`])
    expect(readFileSync(join(folder, 'out.old', 'mine'), 'utf8')).toBe('mine')
    expect(readFileSync(join(out, 'a.aof.3.incr.aof')).equals(SOUND)).toBe(true)
  })

  it('to write over its source, by whatever name, also with --force', async () => {
    const folder = temporaryFolder()
    const path = place(folder, LOG)
    symlinkSync('log', join(folder, 'link'))
    symlinkSync('.', join(folder, 'here'))
    for (const out of [path, join(folder, 'link'), join(folder, 'here', 'log')]) {
      expect(await refusal(folder, path, '--output', out)).toContain('exists already')
      expect(await refusal(folder, path, '--output', out, '--force')).toContain('use --in-place')
    }
    expect(await refusal(folder, join(folder, 'link'), '--output', path, '--force')).toContain('--in-place')
  })

  it('to move its source aside with the folder that it is in', async () => {
    const folder = temporaryFolder()
    mkdirSync(join(folder, 'data'))
    const path = place(join(folder, 'data'), parts({ third: LOG }))
    symlinkSync('data', join(folder, 'link'))
    for (const out of [path, join(folder, 'data'), join(folder, 'link'), folder]) {
      expect(await refusal(folder, path, '--output', out, '--force')).toContain(
        'holds what is to be repaired; with --output that stays as it is',
      )
    }
    // A sibling whose name only begins alike is another folder.
    mkdirSync(join(folder, 'dat'))
    await repaired(path, '--output', join(folder, 'dat'), '--force')
  })

  it('to write standard input over the file that it comes from', async () => {
    const folder = temporaryFolder()
    const path = place(folder, LOG)
    const before = stateOf(folder)
    const fd = openSync(path, 'r')
    const { status, err } = await run(['repair', '-', '--output', path, '--force'], {
      stdio: [fd, 'pipe', 'pipe'],
    })
    closeSync(fd)
    expect(err).toContain('is what is to be repaired')
    expect(status).toBe(2)
    expect(stateOf(folder)).toBe(before)
  })

  it('to write the result where what is cut is to be kept', async () => {
    const folder = temporaryFolder()
    const path = place(folder, LOG)
    const out = join(folder, `log.cut-${SOUND.length}`)
    expect(await refusal(folder, path, '--output', out)).toContain('choose another name')
    writeFileSync(out, TORN)
    expect(await refusal(folder, path, '--output', out, '--force')).toContain('choose another name')
  })

  it('to write over what an earlier repair has kept, and takes it where it is the same', async () => {
    const folder = temporaryFolder()
    const path = place(folder, LOG)
    const kept = join(folder, `log.cut-${SOUND.length}`)
    for (const other of [Buffer.concat([TORN, TORN]), TORN.subarray(1), Buffer.from(TORN).fill(0, 3, 4)]) {
      writeFileSync(kept, other)
      for (const way of [
        ['--output', join(folder, 'out')],
        ['--in-place', '--force'],
      ]) {
        expect(await refusal(folder, path, ...way)).toContain(
          `${kept} exists already, with other bytes: it was to keep what is cut\nmove ${kept} away`,
        )
      }
    }
    writeFileSync(kept, TORN)
    expectWhole(new Map([['log', LOG]]), await repaired(path, '--in-place'), path)
    expect(readFileSync(kept).equals(TORN)).toBe(true)
  })

  it('to drop a part where one was dropped before', async () => {
    const folder = temporaryFolder()
    const path = place(folder, { ...parts({ second: LOG }), 'a.aof.3.incr.aof.dropped': Buffer.from('old') })
    expect(await refusal(folder, path, '--in-place')).toContain('a.aof.3.incr.aof.dropped exists already')
  })

  it('a log that a process holds open for writing, unless it is forced', async () => {
    const folder = temporaryFolder()
    const path = place(folder, parts({ third: LOG }))
    const fd = openSync(join(path, 'a.aof.3.incr.aof'), 'a')
    const writer = spawn('sleep', ['60'], { stdio: ['ignore', 'ignore', 'ignore', fd] })
    onTestFinished(() => void writer.kill())
    closeSync(fd)
    if (process.platform !== 'linux') return
    expect(await refusal(folder, path, '--in-place')).toBe(
      `aofkit: a.aof.3.incr.aof is open for writing by process ${writer.pid}: what that writes would be lost\nstop the server first, or write elsewhere with --output; --force replaces it all the same\n`,
    )
    await repaired(path, '--output', join(folder, 'out'))
    await repaired(path, '--in-place', '--force')
  })

  it('a folder that it may not write to', async context => {
    if (!root) return context.skip('needs root, to be another user')
    const folder = temporaryFolder()
    const path = place(folder, LOG)
    chmodSync(folder, 0o755)
    chmodSync(path, 0o644)
    const before = stateOf(folder)
    for (const way of [['--in-place'], ['--output', join(folder, 'out')]]) {
      const { status, err } = await run(['repair', path, ...way], { uid: 65534, gid: 65534 })
      expect(err).toContain('permission denied')
      expect(status).toBe(2)
    }
    expect(stateOf(folder)).toBe(before)
  })

  it('to repair in place what is compressed or comes from a pipe', async () => {
    const folder = temporaryFolder()
    const path = place(folder, gzipSync(LOG))
    expect(await refusal(folder, path, '--in-place')).toContain('is compressed (gzip): --output FILE')
    expect(await refusal(folder, '-', '--in-place')).toContain('standard input cannot be repaired in place')
    const piped = await run(['repair', '/dev/stdin', '--in-place'], { input: LOG })
    expect(piped.err).toContain('cannot be repaired in place')
    expect(piped.status).toBe(2)
  })

  it('to be told nothing, or two things at once, of where to write', async () => {
    const folder = temporaryFolder()
    const path = place(folder, LOG)
    const ways = [['--in-place'], ['--dry-run'], ['--output', join(folder, 'out')]]
    for (const two of [[], [ways[0], ways[1]], [ways[0], ways[2]], [ways[1], ways[2]]]) {
      expect(await refusal(folder, path, ...two.flat())).toContain(
        'repair takes one of --output DEST, --in-place and --dry-run',
      )
    }
  })
})

describe('repair', () => {
  it('of a log that needs none changes nothing in place, and copies it elsewhere', async () => {
    const folder = temporaryFolder()
    const path = place(folder, SOUND)
    const before = stateOf(folder)
    expect(await repaired(path, '--in-place')).toMatchObject({ verdict: 'sound', cut: 0, spans: [] })
    expect(await repaired(path, '--dry-run')).toMatchObject({ cut: 0, output: null })
    expect(stateOf(folder)).toBe(before)
    await repaired(path, '--output', join(folder, 'out'))
    expect(readFileSync(join(folder, 'out')).equals(SOUND)).toBe(true)
    expect(readdirSync(folder).sort()).toEqual(['log', 'out'])
  })

  it('in place keeps the old file, unless it is not wanted', async () => {
    const folder = temporaryFolder()
    const path = place(folder, LOG)
    const { ino } = statSync(path)
    expect((await repaired(path, '--in-place')).backups).toEqual([`${path}.old`])
    expect(statSync(`${path}.old`).ino).toBe(ino)
    expect(readdirSync(folder).sort()).toEqual(['log', `log.cut-${SOUND.length}`, 'log.old'])

    const other = temporaryFolder()
    const again = place(other, LOG)
    expect((await repaired(again, '--in-place', '--no-backup')).backups).toBeUndefined()
    expect(readdirSync(other).sort()).toEqual(['log', `log.cut-${SOUND.length}`])
  })

  it('in place on a link replaces the file that it leads to', async () => {
    const folder = temporaryFolder()
    mkdirSync(join(folder, 'data'))
    const path = place(join(folder, 'data'), LOG)
    symlinkSync('data/log', join(folder, 'link'))
    await repaired(join(folder, 'link'), '--in-place')
    expect(readFileSync(path).equals(SOUND)).toBe(true)
    expect(readdirSync(folder).sort()).toEqual(['data', 'link'])
    expect(readdirSync(join(folder, 'data')).sort()).toEqual(
      ['log', `link.cut-${SOUND.length}`, 'log.old'].sort(),
    )
  })

  it('writes through a link that leads nowhere yet', async () => {
    const folder = temporaryFolder()
    mkdirSync(join(folder, 'elsewhere'))
    const path = place(folder, LOG)
    symlinkSync('elsewhere/out', join(folder, 'link'))
    expectWhole(
      new Map([['log', LOG]]),
      await repaired(path, '--output', join(folder, 'link')),
      join(folder, 'elsewhere', 'out'),
    )
    expect(readdirSync(join(folder, 'elsewhere')).sort()).toEqual([`log.cut-${SOUND.length}`, 'out'])
  })

  it('gives all that it writes the mode and owner of its source', async context => {
    if (!root) return context.skip('needs root, to give files to another user')
    const folder = temporaryFolder()
    const path = place(folder, parts({ second: LOG }))
    for (const name of ['', ...readdirSync(path)]) {
      chownSync(join(path, name), 1234, 4321)
      chmodSync(join(path, name), name === '' ? 0o750 : 0o640)
    }
    const out = join(folder, 'out')
    await repaired(path, '--output', out)
    await repaired(path, '--in-place')
    for (const at of [out, path]) {
      expect(statSync(at)).toMatchObject({ uid: 1234, gid: 4321, mode: 0o40750 })
      for (const name of readdirSync(at)) {
        expect(statSync(join(at, name)), name).toMatchObject({ uid: 1234, gid: 4321, mode: 0o100640 })
      }
    }
  })

  it('of a part given alone looks at no other, and changes no other', async () => {
    const folder = temporaryFolder()
    const path = place(folder, parts({ second: LOG }))
    const alone = join(path, 'a.aof.2.incr.aof')
    const report = await repaired(alone, '--in-place')
    expectWhole(new Map([[basename(alone), LOG]]), report, alone)
    expect(readFileSync(join(path, MANIFEST), 'utf8')).toBe(PARTS)
    expect(readdirSync(path)).not.toContain('a.aof.3.incr.aof.dropped')
    expect(await callJson('verify', path)).toMatchObject({ status: 0, verdict: 'sound' })
  })

  it.each([
    ['a pipe', (log: Buffer) => ({ args: ['-'], input: log })],
    ['a compressed pipe', (log: Buffer) => ({ args: ['-'], input: gzipSync(log) })],
    ['a pipe by name', (log: Buffer) => ({ args: ['/dev/stdin'], input: log })],
  ])('of %s keeps all that came', async (_, make) => {
    const folder = temporaryFolder()
    const long = Buffer.concat([SET, encode('SET', 'long', Buffer.alloc(3_000_000, 120)), LOG])
    const out = join(folder, 'out')
    const { args, input } = make(long)
    const { status, out: said, err } = await run(['repair', ...args, '--output', out, '--json'], { input })
    expect({ status, err }).toEqual({ status: 0, err: '' })
    const report: RepairJson = JSON.parse(said.toString())
    expectWhole(new Map([[report.spans[0].part, long]]), report, out)
    expect(readFileSync(out).length).toBe(long.length - TORN.length)
  })

  it('of a compressed file writes it uncompressed, and what is cut too', async () => {
    const folder = temporaryFolder()
    const path = place(folder, gzipSync(LOG))
    const out = join(folder, 'out')
    expectWhole(new Map([['log', LOG]]), await repaired(path, '--output', out), out)
    expect(readFileSync(out).equals(SOUND)).toBe(true)
  })

  it('of a compressed file that is cut off keeps what can be unpacked', async () => {
    const folder = temporaryFolder()
    const log = Buffer.concat(
      Array.from({ length: 20_000 }, (_, i) => encode('SET', `key:${i}`, `${i * 7919}`)),
    )
    const packed = gzipSync(log)
    const path = place(folder, packed.subarray(0, packed.length / 2))
    const out = join(folder, 'out')
    const report = await repaired(path, '--output', out)
    expect(report.kept).toBeGreaterThan(log.length / 4)
    expectWhole(new Map([['log', log.subarray(0, report.kept + report.cut)]]), report, out)
  })

  it('finds the manifest by a relative name', async () => {
    const folder = temporaryFolder()
    const path = place(folder, parts({ second: LOG }))
    for (const way of [['--output', '../out'], ['--in-place']]) {
      const { status, err } = await run(['repair', MANIFEST, ...way, '--json'], { cwd: path })
      expect(status, err).toBe(0)
    }
    expect(readdirSync(join(folder, 'out'))).toContain(MANIFEST)
    for (const at of [join(folder, 'out'), path]) {
      expect(await callJson('verify', at), at).toMatchObject({ verdict: 'sound' })
    }
  })

  it.each(['a\nb', 'a b', 'it\'s "quoted"', '\u001b[31mred', '-name', 'ümlaut'])(
    'takes a file called %j',
    async name => {
      const folder = temporaryFolder()
      const path = join(folder, name)
      writeFileSync(path, LOG)
      const report = await repaired(path, '--in-place')
      expectWhole(new Map([[name, LOG]]), report, path)
      const { out } = await call('repair', path, '--dry-run')
      expect(out.toString()).not.toContain('\u001b')
    },
  )

  it('takes a file whose name is not UTF-8, and names what it keeps with the same bytes', async () => {
    const folder = temporaryFolder()
    const name = Buffer.from([0x61, 0xff, 0x62])
    const at = (suffix = '') => Buffer.concat([Buffer.from(`${folder}/`), name, Buffer.from(suffix)])
    writeFileSync(at(), LOG)
    const child = spawn('bash', ['-c', `exec ${process.execPath} ${bundle()} repair $'a\\xffb' --in-place`], {
      cwd: folder,
    })
    const status = await new Promise(resolve => child.once('exit', resolve))
    expect(status).toBe(0)
    expect(readFileSync(at()).equals(SOUND)).toBe(true)
    expect(readFileSync(at(`.cut-${SOUND.length}`)).equals(TORN)).toBe(true)
    expect(readFileSync(at('.old')).equals(LOG)).toBe(true)
  })

  it('follows a part that is a link, and leaves no link that leads nowhere', async () => {
    const folder = temporaryFolder()
    const path = place(folder, parts({ second: LOG }))
    for (const part of ['a.aof.2.incr.aof', 'a.aof.3.incr.aof']) {
      renameSync(join(path, part), join(path, `${part}.real`))
      symlinkSync(`${part}.real`, join(path, part))
    }
    await repaired(path, '--in-place')
    expect(readdirSync(path).sort()).toEqual(
      [
        MANIFEST,
        `${MANIFEST}.old`,
        'a.aof.1.base.rdb',
        'a.aof.1.incr.aof',
        `a.aof.2.incr.aof.cut-${SOUND.length}`,
        'a.aof.2.incr.aof.real.old',
        'a.aof.3.incr.aof.dropped',
        'a.aof.4.incr.aof',
      ].sort(),
    )
    expect(readFileSync(join(path, 'a.aof.3.incr.aof.dropped')).equals(SOUND)).toBe(true)
  })

  it('gives what is left of a middle part a name that nothing has, not even history', async () => {
    const folder = temporaryFolder()
    const manifest = `${PARTS}file a.aof.4.incr.aof seq 4 type h\n`
    const path = place(folder, {
      ...parts({ second: LOG, manifest }),
      'a.aof.5.incr.aof': Buffer.from('whoever made this'),
    })
    await repaired(path, '--in-place')
    expect(readFileSync(join(path, MANIFEST), 'utf8')).toBe(
      `${PARTS.split('\n').slice(0, 2).join('\n')}\nfile a.aof.6.incr.aof seq 6 type i\nfile a.aof.4.incr.aof seq 4 type h\n`,
    )
    expect(readFileSync(join(path, 'a.aof.5.incr.aof'), 'utf8')).toBe('whoever made this')
    expect(readFileSync(join(path, 'a.aof.6.incr.aof')).equals(SOUND)).toBe(true)
  })

  it('goes on with what a repair has left that was killed before the manifest knew of it', async () => {
    const folder = temporaryFolder()
    const path = place(folder, {
      ...parts({ second: LOG }),
      'a.aof.4.incr.aof': SOUND,
      [`a.aof.2.incr.aof.cut-${SOUND.length}`]: TORN,
    })
    await repaired(path, '--in-place')
    expect(readdirSync(path)).not.toContain('a.aof.5.incr.aof')
    expect(readFileSync(join(path, MANIFEST), 'utf8')).toContain('file a.aof.4.incr.aof seq 4 type i')
  })

  it('says in a dry run just what it does then, with the first commands of what goes', async () => {
    const folder = temporaryFolder()
    const tail = Buffer.concat([encode('MULTI'), encode('SET', 'user:1', 'x'), encode('DEL', 'user:2')])
    const path = place(folder, parts({ second: Buffer.concat([SOUND, tail]) }))
    const dry = await call('repair', path, '--dry-run')
    expect(dry.status).toBe(1)
    const text = dry.out.toString()
    expect(text).toContain(`a.aof.2.incr.aof: is cut at ${SOUND.length}; ${tail.length} bytes go`)
    expect(text).toContain(`    ${SOUND.length}: MULTI\n`)
    expect(text).toContain('SET user:1 x')
    expect(text).toContain('DEL user:2')
    expect(text).toContain(`a.aof.3.incr.aof: leaves the log, ${SOUND.length} bytes with 3 commands`)
    const planned = await callJson<RepairJson>('repair', path, '--dry-run')
    const done = await repaired(path, '--in-place')
    expect({ ...planned, ...WRITTEN }).toEqual({ ...done, ...WRITTEN })
    expect(done.output).toBe(path)
  })

  it('does not let what stands behind a cut into a result that it normalizes', async () => {
    const folder = temporaryFolder()
    // The cut is before the MULTI; what the transaction has of wrong terminators goes with it.
    const odd = (bytes: Buffer) => Buffer.from(bytes.toString().replace('key\r\n', 'key!!'))
    const log = Buffer.concat([SET, odd(SET), encode('MULTI'), odd(SET), SET])
    const path = place(folder, log)
    const out = join(folder, 'out')
    const report = await repaired(path, '--output', out, '--normalize')
    expectWhole(new Map([['log', log]]), report, out)
    expect(readFileSync(out).equals(Buffer.concat([SET, SET]))).toBe(true)
    const at = SET.length + odd(SET).indexOf('!!')
    expect(report.spans.map(({ offset, reason, file }) => ({ offset, reason, file }))).toEqual([
      { offset: at, reason: 'resp.bulk.terminator', file: `log.cut-${at}` },
      { offset: 2 * SET.length, reason: 'transaction.torn', file: `log.cut-${at}` },
    ])
  })

  it('normalizes a record of millions of arguments, every one of them', async () => {
    const folder = temporaryFolder()
    const count = 1_200_000
    const members = Array.from({ length: count }, (_, i) => {
      const member = `${i}`
      return `$${member.length}\r\n${member}\r\n`
    })
    const text = `*${count + 2}\r\n$4\r\nSADD\r\n$1\r\nk!!${members.join('')}`
    const path = place(folder, Buffer.from(text))
    await repaired(path, '--in-place', '--normalize')
    expect(readFileSync(path, 'latin1') === text.replace('!!', '\r\n')).toBe(true)
  })

  it('refuses to normalize what it could not name place by place', async () => {
    const folder = temporaryFolder()
    // More wrong terminators in one long record than the reader keeps account of.
    const pieces = [
      `*5001\r\n$3\r\nDEL\r\n`,
      ...Array.from({ length: 5000 }, () => `$1000\r\n${'k'.repeat(1000)}xx`),
    ]
    const path = place(folder, Buffer.from(pieces.join('')))
    expect(await refusal(folder, path, '--in-place', '--normalize')).toContain('nothing was replaced')
  })

  it('takes memory for places to normalize only up to a bound', async () => {
    const folder = temporaryFolder()
    const path = place(folder, Buffer.from('*1\r\n$4\r\nPING!!'.repeat(1_100_000)))
    const { status, err } = await run(['repair', path, '--dry-run', '--normalize'])
    expect(err).toContain('more than 1048576 places are to be normalized')
    expect(status).toBe(2)
  })
})

describe('repair in place, while somebody else is at work,', () => {
  const options = {
    databases: 16,
    allowCommands: [],
    keepLaterParts: false,
    allowEmpty: false,
    normalize: false,
    as: undefined,
  }
  const here = { force: true, backup: true }
  const open: PartOpener = part => openPart(part, { again: true })

  /** Plans, lets somebody do something, and writes; why it was refused. */
  async function interrupted(path: string, act: () => void): Promise<string> {
    const plan = await planRepair(await resolveInput(path), options, open)
    act()
    const before = stateOf(path)
    const error = await writeRepair(plan, options, open, here).then(
      () => 'it was not refused',
      error => `${error.code}: ${error.message}`,
    )
    expect(stateOf(path), 'left as somebody else made it').toBe(before)
    expect(temporariesIn(path.replace(/\/log$/, ''))).toEqual([])
    return error
  }

  it('does not lose what was appended since it was read', async () => {
    const folder = temporaryFolder()
    const path = place(folder, LOG)
    expect(await interrupted(path, () => appendFileSync(path, SET))).toMatch(
      /^output\.changed: .*log was changed/,
    )
    expect(readdirSync(folder)).toEqual(['log'])
  })

  it('does not replace a file that another has taken the place of', async () => {
    const folder = temporaryFolder()
    const path = place(folder, LOG)
    expect(
      await interrupted(path, () => {
        writeFileSync(join(folder, 'new'), LOG)
        renameSync(join(folder, 'new'), path)
      }),
    ).toMatch(/^output\.changed/)
    expect(readdirSync(folder)).toEqual(['log'])
  })

  it.each([
    ['the part that is cut', 'a.aof.2.incr.aof'],
    ['a part that is dropped', 'a.aof.3.incr.aof'],
    ['the manifest', MANIFEST],
  ])('leaves everything when %s was written to', async (_, name) => {
    const folder = temporaryFolder()
    const path = place(folder, parts({ second: LOG }))
    const error = await interrupted(path, () => appendFileSync(join(path, name), '\n'))
    expect(error).toMatch(new RegExp(`^output\\.changed: .*${name} was changed`))
  })

  it('notices a change at the last moment, and takes back what it had named', async () => {
    const folder = temporaryFolder()
    const path = place(folder, LOG)
    const plan = await planRepair(await resolveInput(path), options, open)
    // The change comes when what was cut has its name already: between that and the rename.
    const cut = join(folder, `log.cut-${SOUND.length}`)
    const timer = setInterval(() => {
      if (!existsSync(cut)) return
      clearInterval(timer)
      appendFileSync(path, SET)
    }, 0)
    onTestFinished(() => clearInterval(timer))
    const error = await writeRepair(plan, options, open, here).catch(error => error.code)
    if (typeof error === 'string') {
      expect(error).toBe('output.changed')
      expect(readdirSync(folder)).toEqual(['log'])
    }
  })
})
