import { describe, expect, it } from 'vitest'
import { SERVERS } from '../../../src/servers/servers.ts'
import { encodeCommand } from '../../helpers/servers.ts'
import { answersOf, replay } from '../replaying.ts'

const CLOCK = 1_900_000_000
const NAMES = ['HEXPIRE', 'HPEXPIRE', 'HPEXPIREAT', 'HSETEX', 'HGETEX', 'HGETDEL', 'HPERSIST']
const FIELDS = ['FIELDS', '1', 'f']

async function carriedOut(server: (typeof SERVERS)[number], ...commands: string[][]) {
  const log = Buffer.concat([Buffer.from(`#TS:${CLOCK}\r\n`), ...commands.map(encodeCommand)])
  const { keyspace, rejected } = await replay(log, { server, allow: NAMES })
  const answers = answersOf(keyspace)
  return { rejected, fields: answers.length === 0 ? undefined : answers[0].value }
}

describe.each(SERVERS)('fields that expire, as %s has them', server => {
  it.each([
    ['HEXPIRE', '100', CLOCK * 1000 + 100_000],
    ['HPEXPIRE', '100', CLOCK * 1000 + 100],
  ])('%s counts from the clock of the log', async (command, time, at) => {
    const { fields, rejected } = await carriedOut(
      server,
      ['HSET', 'h', 'f', 'v'],
      [command, 'h', time, ...FIELDS],
    )
    expect([fields, rejected]).toEqual([[['f', 'v', String(at)]], []])
  })

  it.each([
    ['EX', '100', CLOCK * 1000 + 100_000],
    ['px', '100', CLOCK * 1000 + 100],
  ])('HSETEX and HGETEX count %s from the clock of the log', async (unit, time, at) => {
    const set = await carriedOut(server, ['HSETEX', 'h', unit, time, ...FIELDS, 'v'])
    const got = await carriedOut(server, ['HSET', 'h', 'f', 'v'], ['HGETEX', 'h', unit, time, ...FIELDS])
    expect([set.fields, got.fields]).toEqual(Array(2).fill([['f', 'v', String(at)]]))
  })

  it('are there when their time is past', async () => {
    const past = ['HPEXPIREAT', 'h', '1000', ...FIELDS]
    const { fields } = await carriedOut(server, ['HSET', 'h', 'f', '5'], past, ['HINCRBY', 'h', 'f', '1'])
    expect(fields).toEqual([['f', '6', '1000']])
    const kept = await carriedOut(server, ['HSET', 'h', 'f', '5'], past, ['HPERSIST', 'h', ...FIELDS])
    expect(kept.fields).toEqual([['f', '5']])
    const set = await carriedOut(server, ['HSET', 'h', 'f', '5'], past, [
      'HSETEX',
      'h',
      'FNX',
      ...FIELDS,
      '6',
    ])
    expect(set.fields).toEqual([['f', '5', '1000']])
  })

  it('leave no key behind when the last one is taken', async () => {
    const { fields, rejected } = await carriedOut(
      server,
      ['HSET', 'h', 'f', 'v'],
      ['HGETDEL', 'h', ...FIELDS],
    )
    expect([fields, rejected]).toEqual([undefined, []])
  })

  it('are refused, not misread, when arguments are missing', async () => {
    const { fields, rejected } = await carriedOut(
      server,
      ['HSET', 'h', 'f', 'v'],
      ...NAMES.flatMap(name => [
        [name],
        [name, 'h'],
        [name, 'h', 'FIELDS'],
        [name, 'h', 'PX', '5', 'FIELDS'],
      ]),
    )
    expect(fields).toEqual([['f', 'v']])
    expect(rejected).toHaveLength(4 * NAMES.length)
  })
})
