import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { resolveInput } from '../../src/aof/parts.ts'
import { type DigestReport, digestLog } from '../../src/operations/digest.ts'
import { encodeCommand } from '../helpers/servers.ts'
import { temporaryFolder } from '../helpers/temp.ts'
import { bytes, entry, len, rdb, select, str } from '../rdb/build.ts'

const MANIFEST = 'file a.aof.1.base.rdb seq 1 type b\nfile a.aof.1.incr.aof seq 1 type i\n'
const BASE = rdb('REDIS0010', select(0), entry(0, 'k', str('v')), select(3), entry(0, 'l', str('w')))

async function digest(content: Uint8Array, options: { ignoreOpaque?: boolean } = {}): Promise<DigestReport> {
  const path = join(temporaryFolder(), 'log')
  writeFileSync(path, content)
  return digestPath(path, options)
}

async function digestPath(path: string, options: { ignoreOpaque?: boolean } = {}): Promise<DigestReport> {
  return digestLog(await resolveInput(path), {
    databases: 16,
    allowCommands: [],
    ignoreOpaque: options.ignoreOpaque === true,
  })
}

function multiPart(incr: Uint8Array): string {
  const path = join(temporaryFolder(), 'log')
  mkdirSync(path)
  writeFileSync(join(path, 'a.aof.manifest'), MANIFEST)
  writeFileSync(join(path, 'a.aof.1.base.rdb'), BASE)
  writeFileSync(join(path, 'a.aof.1.incr.aof'), incr)
  return path
}

describe('digestLog', () => {
  it('takes an RDB, a preamble with nothing behind it, and parts without commands', async () => {
    const { digest: expected, databases } = await digest(BASE)
    expect(databases).toEqual(
      new Map([
        [0, { keys: 1, expires: 0 }],
        [3, { keys: 1, expires: 0 }],
      ]),
    )
    expect((await digestPath(multiPart(new Uint8Array(0)))).digest).toBe(expected)
    expect((await digestPath(multiPart(Buffer.from('#TS:1700000000\r\n')))).digest).toBe(expected)
  })

  it('replays commands, long ones too, wherever they stand', async () => {
    const long = encodeCommand(['SET', 'k', Buffer.alloc(9_000_000)])
    const onBase = { 0: { keys: 1, expires: 0 }, 3: { keys: 1, expires: 0 } }
    for (const [commands, alone] of [
      [encodeCommand(['SET', 'k', 'x']), { 0: { keys: 1, expires: 0 } }],
      [long, { 0: { keys: 1, expires: 0 } }],
    ] as const) {
      const first = await digest(commands)
      expect(Object.fromEntries(first.databases)).toEqual(alone)
      const behind = await digest(Buffer.concat([BASE, commands]))
      expect(Object.fromEntries(behind.databases)).toEqual(onBase)
      expect(behind.digest).not.toBe(first.digest)
      expect((await digestPath(multiPart(commands))).digest).toBe(behind.digest)
    }
  })

  it('names a key of a module, or leaves such keys out', async () => {
    const module = readFileSync('fixtures/rdb/redis-8.0-module.rdb')
    await expect(digest(module)).rejects.toMatchObject({
      name: 'JobError',
      code: 'digest.opaque',
      message: expect.stringContaining('"vectors"'),
    })
    const { opaque, databases } = await digest(module, { ignoreOpaque: true })
    expect(opaque).toBe(1)
    expect(databases.size).toBe(0)
    const command = encodeCommand(['SET', 'k', 'v'])
    await expect(digest(Buffer.concat([module, command]))).rejects.toMatchObject({
      code: 'digest.opaque',
      message: expect.stringContaining('"vectors"'),
    })
    expect(await digest(Buffer.concat([module, command]), { ignoreOpaque: true })).toMatchObject({
      opaque: 1,
      databases: new Map([[0, { keys: 1, expires: 0 }]]),
    })
  })

  it('goes on behind a value that cannot be decoded, and says so', async () => {
    const reference = bytes(0xc3, len(2), len(3), 0x20, 9)
    const bad = rdb('REDIS0010', select(0), entry(0, 'bad', reference), entry(0, 'k', str('v')))
    const good = rdb('REDIS0010', select(0), entry(0, 'k', str('v')))
    const report = await digest(bad)
    expect(report.findings).toMatchObject([{ code: 'rdb.lzf', severity: 'error' }])
    expect(report.digest).toBe((await digest(good)).digest)
  })

  it('says which keys are there twice, an empty collection not being one', async () => {
    const twice = [select(0), entry(0, 'k', str('v')), entry(2, 'e', len(0)), entry(0, 'e', str('v'))]
    expect((await digest(rdb('REDIS0010', ...twice))).findings).toEqual([])
    const { findings } = await digest(rdb('REDIS0010', ...twice, entry(0, 'k', str('w'))))
    expect(findings).toMatchObject([
      { code: 'rdb.key.duplicate', severity: 'error', message: expect.stringContaining('"k"') },
    ])
  })

  it('has the keys in front of a torn end', async () => {
    const report = await digest(BASE.subarray(0, -12))
    expect(report.findings).toMatchObject([{ code: 'rdb.truncated', severity: 'error' }])
    expect(report.databases.get(0)).toEqual({ keys: 1, expires: 0 })
  })

  it('digests as the server that wrote it, or as the one that is named', async () => {
    const path = 'fixtures/rdb/redis-7.0-types.rdb'
    expect((await digestPath(path)).server).toBe('redis-7.0')
    const as = await digestLog(await resolveInput(path), {
      databases: 16,
      allowCommands: [],
      ignoreOpaque: false,
      as: 'valkey-8.1',
    })
    expect(as.server).toBe('valkey-8.1')
    expect(as.digest).not.toBe((await digestPath(path)).digest)
  })
})
