import { describe, expect, it } from 'vitest'
import { encode } from '../helpers/chunks.ts'
import { call } from '../helpers/command.ts'
import { temporaryFolder } from '../helpers/temp.ts'
import { entry, rdb, select, str } from '../rdb/build.ts'
import { place } from './repairing.ts'
import { folderOf } from './rewinding.ts'

/** The commands that are printed, and what is said besides. */
async function printed(
  log: readonly string[] | ReadonlyMap<string, Buffer>,
  ...args: string[]
): Promise<{ lines: string[]; err: string; status: number | null }> {
  const bytes =
    log instanceof Map
      ? folderOf(log)
      : Buffer.concat((log as string[]).map(line => encode(...line.split(' '))))
  const path = place(temporaryFolder(), bytes)
  const { out, err, status } = await call('print', path, ...args)
  const lines = out.toString().split('\n').slice(0, -1)
  return { lines: lines.map(line => line.replace(/^\S+ \d+ \S+ /, '')), err, status }
}

describe('print --key', () => {
  it('has the flushes and swaps that did something to the key, besides what names it', async () => {
    const log = [
      'SET a 1',
      'SET b 1',
      'FLUSHDB',
      'SUNIONSTORE a x y',
      'SWAPDB 0 1',
      'MOVE a 3',
      'FLUSHALL ASYNC',
    ]
    const { lines, err } = await printed(log, '--key', 'a')
    expect(lines).toEqual(log.filter(line => line !== 'SET b 1'))
    expect(err).toBe('')
    const filtered = await printed(log, '--key', 'a', '--command', 'set,move')
    expect(filtered.lines).toEqual(['SET a 1', 'MOVE a 3'])
  })

  it('has no flush among commands that are to be run again', async () => {
    const log = ['SET a 1', 'FLUSHALL', 'SET a 2', 'SWAPDB 0 1']
    const { lines } = await printed(log, '--key', 'a', '--format', 'resp')
    expect(lines.join('\n')).toContain('SET')
    expect(lines.join('\n')).not.toMatch(/FLUSHALL|SWAPDB/)
  })

  it('goes by the database that something happens in, with --db', async () => {
    const log = [
      'SELECT 1',
      'SET a 1',
      'FLUSHDB',
      'MOVE a 0',
      'MOVE a 2',
      'COPY a a DB 0',
      'COPY a a DB 2',
      'SWAPDB 0 1',
      'SWAPDB 1 2',
      'FLUSHALL',
    ]
    const { lines } = await printed(log, '--key', 'a', '--db', '0')
    expect(lines).toEqual(['MOVE a 0', 'COPY a a DB 0', 'SWAPDB 0 1', 'FLUSHALL'])
  })

  it('says when what the key holds was known under another name', async () => {
    const { lines, err } = await printed(['SET tmp 1', 'RENAME tmp a', 'RENAME a b'], '--key', 'a')
    expect(lines).toEqual(['RENAME tmp a', 'RENAME a b'])
    expect(err).toContain('--history shows what was before that')
    expect((await printed(['SET a 1', 'RENAME a b'], '--key', 'a')).err).toBe('')
  })
})

describe('print --key --history', () => {
  it('follows the key through RENAME and COPY, under each name up to the last time', async () => {
    const log = [
      'SET one 1',
      'RENAMENX one two',
      'SET one 2',
      'COPY two a',
      'SET two 3',
      'DEL a',
      'APPEND a 1',
      'RENAME a b',
      'SET b 4',
      'SET other 5',
    ]
    const { lines, err } = await printed(log, '--key', 'a', '--history')
    expect(lines).toEqual([
      'SET one 1',
      'RENAMENX one two',
      'COPY two a',
      'DEL a',
      'APPEND a 1',
      'RENAME a b',
    ])
    expect(err).toBe('')
  })

  it('goes back over the parts of a log, into its RDB', async () => {
    const log = new Map([
      [
        'appendonly.aof.1.base.rdb',
        rdb('REDIS0010', select(0), entry(0, 'first', str('v')), entry(0, 'no', str('v'))),
      ],
      [
        'appendonly.aof.1.incr.aof',
        Buffer.concat([encode('RENAME', 'first', 'second'), encode('SET', 'first', '2')]),
      ],
      ['appendonly.aof.2.incr.aof', encode('RENAME', 'second', 'a')],
    ])
    const { lines } = await printed(log, '--key', 'a', '--history')
    expect(lines).toEqual(['SET first v', 'RENAME first second', 'RENAME second a'])
  })

  it('comes to an end when names go round', async () => {
    const { lines } = await printed(
      ['RENAME a b', 'RENAME b a', 'RENAME a b', 'SET b 1'],
      '--key',
      'a',
      '--history',
    )
    expect(lines).toEqual(['RENAME a b', 'RENAME b a', 'RENAME a b'])
  })

  it.each([
    [['--history'], 'takes the --key of one key'],
    [['--history', '--key', 'a*'], 'takes the --key of one key'],
    [['--history', '--key', 'a', '--format', 'resp'], 'does not go with --format resp'],
  ])('refuses %j', async (args, message) => {
    const { status, err } = await printed(['SET a 1'], ...args)
    expect(status).toBe(2)
    expect(err).toContain(message)
  })
})
