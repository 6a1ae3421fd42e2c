import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { encode } from '../helpers/chunks.ts'
import { call, callJson, run } from '../helpers/command.ts'
import { temporaryFolder } from '../helpers/temp.ts'
import { entry, rdb, select, str } from '../rdb/build.ts'
import { contentOf, expectWhole, MANIFEST, place, type RepairJson, stateOf } from './repairing.ts'

interface SalvageJson extends RepairJson {
  readonly commands: number
  readonly keys: number
  readonly commandsDropped: number
  readonly gaps: number
  readonly keysAffected: readonly string[]
  readonly counters: readonly string[]
}

const SET = encode('SET', 'key', 'value')
const SOUND = Buffer.concat([SET, encode('DEL', 'key'), SET])
const BROKEN = encode('INCR', 'counter').subarray(0, -1)
const LOG = Buffer.concat([SOUND, BROKEN, SOUND, BROKEN, SOUND, BROKEN])
const KEPT = Buffer.concat([SOUND, SOUND, SOUND])
const PREAMBLE = rdb('REDIS0010', select(0), entry(0, 'in the base', str('1')))

const PARTS = {
  'a.aof.1.base.rdb': PREAMBLE,
  'a.aof.1.incr.aof': LOG,
  'a.aof.2.incr.aof': SOUND,
  'a.aof.3.incr.aof': LOG,
  [MANIFEST]: Buffer.from(
    'file a.aof.1.base.rdb seq 1 type b\nfile a.aof.1.incr.aof seq 1 type i\nfile a.aof.2.incr.aof seq 2 type i\nfile a.aof.3.incr.aof seq 3 type i\n',
  ),
}

function salvage(...args: string[]) {
  return callJson<SalvageJson>('repair', ...args, '--salvage')
}

describe('repair --salvage', () => {
  it.each([
    ['a log', LOG, KEPT],
    ['a log behind a preamble', Buffer.concat([PREAMBLE, LOG]), Buffer.concat([PREAMBLE, KEPT])],
  ])(
    'keeps what is sound of %s, and each skipped span beside it, elsewhere and in place',
    async (_, log, kept) => {
      const folder = temporaryFolder()
      const path = place(folder, log)
      const before = stateOf(folder)
      const dry = await salvage(path, '--dry-run')
      expect(dry).toMatchObject({ status: 1, output: null, commands: 9, gaps: 3, counters: ['counter'] })
      expect(stateOf(folder)).toBe(before)

      const out = join(folder, 'out')
      const there = await salvage(path, '--output', out)
      expect(there).toMatchObject({
        status: 0,
        verdict: 'corrupt',
        spans: dry.spans,
        keysAffected: ['counter'],
      })
      expect(readFileSync(out).equals(kept)).toBe(true)
      expectWhole(contentOf(log, path), there, out)

      const elsewhere = temporaryFolder()
      const repaired = place(elsewhere, log)
      const here = await salvage(repaired, '--in-place')
      expect(readFileSync(repaired).equals(kept)).toBe(true)
      expect(readFileSync(`${repaired}.old`).equals(log)).toBe(true)
      expectWhole(contentOf(log, repaired), here, repaired)
      expect(await salvage(repaired, '--in-place')).toMatchObject({ status: 0, spans: [], cut: 0 })
    },
  )

  it('keeps later parts, each salvaged by itself', async () => {
    const folder = temporaryFolder()
    const path = place(folder, PARTS)
    const out = join(folder, 'out')
    const report = await salvage(path, '--output', out)
    expect(report).toMatchObject({ status: 0, verdict: 'corrupt', commands: 21 })
    expectWhole(contentOf(PARTS, path), report, out)
    expect(readdirSync(out).sort()).toEqual([
      'a.aof.1.base.rdb',
      'a.aof.1.incr.aof',
      `a.aof.1.incr.aof.cut-${SOUND.length}`,
      'a.aof.2.incr.aof',
      'a.aof.3.incr.aof',
      `a.aof.3.incr.aof.cut-${SOUND.length}`,
      MANIFEST,
    ])
    expect(await salvage(path, '--in-place')).toMatchObject({ status: 0, spans: report.spans })
    expect((await call('verify', path)).status).toBe(0)
  })

  it('keeps the entries of a base that can be read, and makes its checksum anew', async () => {
    const base = rdb(
      'REDIS0010',
      select(0),
      ...Array.from({ length: 8 }, (_, i) => entry(0, `key:${i}`, str(`${i}`))),
    )
    const damaged = Buffer.from(base)
    damaged[base.indexOf('key:4') - 2] = 0xf0
    const path = place(temporaryFolder(), { ...PARTS, 'a.aof.1.base.rdb': damaged })
    const report = await salvage(path, '--in-place')
    expect(report).toMatchObject({ status: 0, verdict: 'corrupt', keys: 6, gaps: 7, commands: 21 })
    expectWhole(contentOf({ ...PARTS, 'a.aof.1.base.rdb': damaged }, path), report, path)
    expect(await callJson('verify', path)).toMatchObject({ status: 0, verdict: 'sound', keys: 6 })
  })

  it.each([
    ['is missing', undefined, []],
    ['cannot be read', 'file "a.aof.1.base.rdb seq 1 type b\nfile a.aof.2.incr.aof seq 2 type i\n', []],
    [
      'lists what is not there',
      `${PARTS[MANIFEST]}file a.aof.4.incr.aof seq 4 type i\n`,
      ['a.aof.4.incr.aof'],
    ],
  ])('makes a manifest from the parts when it %s', async (_, manifest, missing) => {
    const { [MANIFEST]: sound, ...parts } = PARTS
    const files = manifest === undefined ? parts : { ...parts, [MANIFEST]: Buffer.from(manifest) }
    const name = manifest === undefined ? 'a.aof.manifest' : MANIFEST
    const folder = temporaryFolder()
    const path = place(folder, files)
    const before = stateOf(folder)
    const dry = await salvage(path, '--dry-run')
    expect(dry).toMatchObject({
      status: 1,
      verdict: 'corrupt',
      manifest: sound.toString(),
      partsMissing: missing,
    })
    expect(stateOf(folder)).toBe(before)
    expect(await salvage(path, '--output', join(folder, 'out'))).toMatchObject({ status: 0, commands: 21 })
    expect(await salvage(path, '--in-place')).toMatchObject({ status: 0, commands: 21 })
    for (const place of [path, join(folder, 'out')]) {
      expect(readFileSync(join(place, name)).equals(sound)).toBe(true)
      expect((await call('verify', place)).status).toBe(0)
    }
    if (manifest !== undefined) expect(readFileSync(join(path, `${name}.old`), 'utf8')).toBe(manifest)
  })

  it('takes the base with the highest number, and refuses two parts of one number', async () => {
    const { [MANIFEST]: _, ...parts } = PARTS
    const path = place(temporaryFolder(), { ...parts, 'a.aof.2.base.rdb': PREAMBLE })
    expect(await salvage(path, '--dry-run')).toMatchObject({
      manifest: expect.stringContaining('file a.aof.2.base.rdb seq 2 type b\n'),
      filesLeft: ['a.aof.1.base.rdb'],
    })
    const twice = place(temporaryFolder(), { ...parts, 'a.aof.02.incr.aof': SOUND })
    expect((await call('repair', twice, '--salvage', '--dry-run')).err).toContain('have the number 2')
  })

  it('reads standard input and compressed files, and writes them elsewhere only', async () => {
    const folder = temporaryFolder()
    const path = join(folder, 'log.gz')
    writeFileSync(path, gzipSync(LOG))
    expect(await salvage(path, '--output', join(folder, 'out'))).toMatchObject({ status: 0, commands: 9 })
    expect(readFileSync(join(folder, 'out')).equals(KEPT)).toBe(true)
    expect((await call('repair', path, '--salvage', '--in-place')).status).toBe(2)
    const piped = await run(['repair', '-', '--salvage', '--output', join(folder, 'piped')], { input: LOG })
    expect(piped.err).toBe('')
    expect(readFileSync(join(folder, 'piped')).equals(KEPT)).toBe(true)
    expect(readFileSync(join(folder, `stdin.cut-${SOUND.length}`)).length).toBe(3 * BROKEN.length)
  })

  it('has the verdict that verify has', async () => {
    const folder = temporaryFolder()
    for (const [i, log] of [
      LOG,
      SOUND,
      Buffer.concat([SOUND, BROKEN]),
      Buffer.concat([SOUND, SET.subarray(0, -2), Buffer.from('xx'), SOUND]),
      Buffer.concat([SOUND, encode('EXEC')]),
      Buffer.concat([SOUND, encode('MULTI'), SET]),
      Buffer.concat([SOUND, Buffer.from('*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$99999\r\nvalue\r\n'), SOUND]),
      Buffer.concat([SOUND, encode('NOSUCH'), SOUND]),
      Buffer.concat([SOUND, Buffer.from('*1\n$4\r\nPING\r\n'), SOUND]),
    ].entries()) {
      const path = join(folder, `${i}`)
      writeFileSync(path, log)
      const { verdict } = await callJson<{ verdict: string }>('verify', path)
      expect((await salvage(path, '--dry-run')).verdict, `${i}`).toBe(verdict)
    }
  })

  it('refuses to skip more than may be lost, and what would leave nothing', async () => {
    const folder = temporaryFolder()
    const path = place(folder, LOG)
    const before = stateOf(folder)
    expect((await call('repair', path, '--salvage', '--in-place', '--max-loss', '10')).err).toContain(
      '--max-loss',
    )
    expect((await call('repair', path, '--salvage', '--dry-run', '--max-loss', '90%')).status).toBe(1)
    expect(stateOf(folder)).toBe(before)
    const noise = join(folder, 'noise')
    writeFileSync(noise, 'no log')
    expect((await call('repair', noise, '--salvage', '--in-place')).err).toContain('no command and no key')
  })

  const fixtures = fileURLToPath(new URL('../../fixtures', import.meta.url))
  const logs = ['corrupt', 'manifest'].flatMap(kind =>
    readdirSync(join(fixtures, kind))
      .filter(name => !name.endsWith('.expect.json'))
      .map(name => `${kind}/${name}`),
  )

  it.each(logs)('makes of %s what servers load, or refuses it with a reason', async name => {
    const out = join(temporaryFolder(), 'out')
    const report = await salvage(join(fixtures, name), '--output', out)
    if (report.status === 2) {
      expect(report.err).toMatch(/^aofkit: /)
      return
    }
    expect(report.status, report.err).toBe(0)
    const { verdict, keys } = await callJson<{ verdict: string; keys: number }>('verify', out)
    expect(['sound', 'damaged']).toContain(verdict)
    expect(keys).toBe(report.keys)
  })

  it('does not go with --normalize, nor --after-gap without it', async () => {
    const path = place(temporaryFolder(), LOG)
    expect((await call('repair', path, '--dry-run', '--salvage', '--normalize')).status).toBe(2)
    expect((await call('repair', path, '--dry-run', '--after-gap', 'skip-until-select')).status).toBe(2)
    expect((await call('repair', path, '--dry-run', '--salvage', '--after-gap', 'x')).status).toBe(2)
  })
})
