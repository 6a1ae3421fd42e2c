import { describe, expect, it } from 'vitest'
import { scanPart } from '../../../src/aof/scan.ts'
import { BufferSource } from '../../../src/bytes/source.ts'
import { Keyspace } from '../../../src/keyspace/keyspace.ts'
import { Replayer } from '../../../src/keyspace/replayer.ts'
import { CommandTable } from '../../../src/servers/commands.ts'
import { encodeCommand } from '../../helpers/servers.ts'
import { AnswerSink, type StreamAnswer } from '../../rdb/answers.ts'
import { argument } from '../replaying.ts'

/** What no server here knows yet. */
const NEWER = ['xdelex', 'xackdel', 'xnack', 'xcfgset', 'xidmprecord']

async function streamAfter(commands: string): Promise<{ stream: StreamAnswer; rejected: string[] }> {
  const log = Buffer.concat(
    commands
      .trim()
      .split('\n')
      .map(line => encodeCommand(line.trim().split(' '))),
  )
  const rejected: string[] = []
  const keyspace = new Keyspace({ databases: 16, server: 'redis-8.0' })
  const replayer = new Replayer(keyspace, new CommandTable('redis-8.0', NEWER), {
    rejected: (_offset, name, { reply }) => rejected.push(`${name}: ${reply}`),
    unsupported: (_offset, name) => rejected.push(`${name}: unsupported`),
  })
  const source = new BufferSource(log)
  replayer.enter(source)
  await scanPart(
    source,
    {
      rdb() {},
      records: batch => void replayer.records(batch),
      long: record => void replayer.long(record),
    },
    { databases: 16, allow: NEWER } as never,
  )
  const sink = new AnswerSink()
  keyspace.emit(keyspace.find(argument('s')), sink)
  return { stream: (sink.take() as { value: StreamAnswer }).value, rejected }
}

const ids = ({ entries }: StreamAnswer) => entries.map(([id]) => id).join(' ')
const pending = ({ groups }: StreamAnswer) => groups.map(group => group.pending.map(([id]) => id).join(' '))

/** Four entries; g has read three, of which one is acknowledged, h has read two and acknowledged both. */
const READ = `
  XADD s 1-1 a b
  XADD s 1-2 a b
  XADD s 1-3 a b
  XADD s 1-4 a b
  XGROUP CREATE s g 1-3
  XGROUP CREATE s h 1-2
  XCLAIM s g c 0 1-2 TIME 5 RETRYCOUNT 3 FORCE JUSTID
  XCLAIM s g c 0 1-3 TIME 5 RETRYCOUNT 3 FORCE JUSTID
`

describe('commands of redis 8.2 and later', () => {
  it('XDELEX deletes with, without, or instead of what is pending', async () => {
    const keep = await streamAfter(`${READ}XDELEX s IDS 2 1-2 1-4`)
    expect([ids(keep.stream), pending(keep.stream), keep.rejected]).toEqual(['1-1 1-3', ['1-2 1-3', ''], []])
    const forget = await streamAfter(`${READ}XDELEX s DELREF IDS 2 1-2 1-4`)
    expect([ids(forget.stream), pending(forget.stream)]).toEqual(['1-1 1-3', ['1-3', '']])
    const acked = await streamAfter(`${READ}xdelex s acked ids 4 1-1 1-2 1-3 1-4`)
    expect([ids(acked.stream), pending(acked.stream)]).toEqual(['1-2 1-3 1-4', ['1-2 1-3', '']])
    expect(acked.stream.maxDeletedId).toBe('1-1')
  })

  it('XACKDEL acknowledges, and deletes what nobody else is to read', async () => {
    const acked = await streamAfter(`${READ}XACKDEL s g ACKED IDS 3 1-1 1-2 1-3`)
    expect([ids(acked.stream), pending(acked.stream)]).toEqual(['1-1 1-3 1-4', ['', '']])
    const keep = await streamAfter(`${READ}XACKDEL s g IDS 2 1-1 1-3`)
    expect([ids(keep.stream), pending(keep.stream)]).toEqual(['1-1 1-2 1-4', ['1-2', '']])
  })

  it('XTRIM and XADD keep what is not acknowledged, when they are told so', async () => {
    const trimmed = await streamAfter(`${READ}XTRIM s MAXLEN = 0 ACKED`)
    expect(ids(trimmed.stream)).toBe('1-2 1-3 1-4')
    const added = await streamAfter(`${READ}XADD s DELREF MAXLEN = 2 1-5 a b`)
    expect([ids(added.stream), pending(added.stream)]).toEqual(['1-4 1-5', ['', '']])
  })

  it('counts of ids must be right', async () => {
    const { stream, rejected } = await streamAfter(`${READ}XDELEX s IDS 2 1-1
      XDELEX s IDS 0 1-1
      XDELEX s IDS 1 1-1 1-2
      XACKDEL s g IDS 1 x
      XDELEX s 1-1 1-2 1-3`)
    expect(ids(stream)).toBe('1-1 1-2 1-3 1-4')
    expect(rejected).toHaveLength(5)
  })

  it('XNACK takes an entry from its consumer, who is no longer waited for', async () => {
    const { stream, rejected } = await streamAfter(`${READ}XNACK s g FAIL IDS 2 1-2 1-1 RETRYCOUNT 7 FORCE`)
    expect(rejected).toEqual([])
    expect(stream.groups[0]).toMatchObject({
      pending: [
        ['1-1', '0', '7'],
        ['1-2', '0', '7'],
        ['1-3', '5', '3'],
      ],
      consumers: [{ name: 'c', owned: ['1-3'] }],
      nacked: ['1-1', '1-2'],
    })
  })

  it('an entry that its producer sends twice is added once', async () => {
    const { stream, rejected } = await streamAfter(`
      XADD s IDMP p one 1-1 a b
      XCFGSET s IDMP-DURATION 5 IDMP-MAXSIZE 2
      XADD s IDMP p one 1-2 a b
      XADD s IDMP p one 1-3 a b
      XADD s IDMP p two 1-4 a b
      XADD s IDMP p three 1-5 a b
      XIDMPRECORD s q x 1-4
      XIDMPRECORD s q x 1-4
      XIDMPRECORD s q x 1-5
      XIDMPRECORD s q y 9-9`)
    expect(ids(stream)).toBe('1-1 1-2 1-4 1-5')
    expect(stream.idempotence).toEqual({
      duration: '5',
      limit: '2',
      added: '4',
      repeated: '1',
      producers: [
        [
          'p',
          [
            ['two', '1-4'],
            ['three', '1-5'],
          ],
        ],
        ['q', [['x', '1-4']]],
      ],
    })
    expect(rejected).toHaveLength(2)
  })
})
