import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { encode } from '../helpers/chunks.ts'
import { call } from '../helpers/command.ts'
import { temporaryFolder } from '../helpers/temp.ts'
import { place } from './repairing.ts'

const LOG = Buffer.concat([
  encode('SET', 'user:1', 'a'),
  encode('RPUSH', 'user:2', 'b', 'c'),
  encode('PEXPIREAT', 'user:2', '1000'),
  encode('SET', 'other', 'x'),
  encode('SELECT', '3'),
  encode('HSET', 'user:3', 'f', 'v'),
  encode('FLUSHALL'),
  encode('SET', 'user:4', 'd'),
])
const EXPECTED = Buffer.concat([
  encode('SELECT', '0'),
  encode('SET', 'user:1', 'a'),
  encode('DEL', 'user:2'),
  encode('RPUSH', 'user:2', 'b', 'c'),
  encode('PEXPIREAT', 'user:2', '1000'),
  encode('SELECT', '3'),
  encode('DEL', 'user:3'),
  encode('HMSET', 'user:3', 'f', 'v'),
])

describe('rewind --only-key', () => {
  it('gives the commands that bring back the keys that match, each in the place of what is there', async () => {
    const folder = temporaryFolder()
    const path = place(folder, LOG)
    const words = ['rewind', path, '--before', 'flushall', '--only-key', 'user:*', '--output']
    const output = join(folder, 'keys.aof')
    const written = await call(...words, output)
    expect(written.status).toBe(0)
    expect(readFileSync(output)).toEqual(EXPECTED)
    expect(written.err).toContain('of 1 key the time to live is over')
    expect(written.out.toString()).toContain('3 keys as they were, in 8 commands')
    const piped = await call(...words, '-')
    expect(piped.status).toBe(0)
    expect(piped.out).toEqual(EXPECTED)
    expect((await call(...words, output)).err).toContain('exists already')
  })

  it('gives keys as they are at the end, without a moment', async () => {
    const path = place(temporaryFolder(), LOG)
    const { out, status } = await call('rewind', path, '--only-key', 'user:*', '--output', '-')
    expect(status).toBe(0)
    expect(out).toEqual(Buffer.concat([encode('SELECT', '3'), encode('SET', 'user:4', 'd')]))
  })

  it('says only how many there are with --dry-run', async () => {
    const path = place(temporaryFolder(), LOG)
    const words = ['rewind', path, '--before', 'flushall', '--dry-run', '--only-key']
    expect(await call(...words, 'other')).toMatchObject({ status: 1, err: '' })
    expect(await call(...words, 'nobody')).toMatchObject({ status: 0, err: '' })
  })

  it('leaves out what commands of modules have made, and says so', async () => {
    const log = Buffer.concat([
      encode('JSON.SET', 'doc', '.', '1'),
      encode('SET', 'a', 'b'),
      encode('FLUSHALL'),
    ])
    const path = place(temporaryFolder(), log)
    const words = ['rewind', path, '--before', 'flushall', '--only-key', '*', '--output', '-']
    const { status, out, err } = await call(...words, '--allow-commands', 'json.set@1')
    expect(out).toEqual(Buffer.concat([encode('SELECT', '0'), encode('SET', 'a', 'b')]))
    expect(err).toContain('cannot be rebuilt and is left out: "doc"')
    expect(status).toBe(1)
  })
})
