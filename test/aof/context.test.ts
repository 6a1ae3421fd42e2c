import { describe, expect, it } from 'vitest'
import { CONTROL_IDS, Context, type ControlProblem } from '../../src/aof/context.ts'
import { Batch, Scanner } from '../../src/resp/scanner.ts'
import { CommandTable } from '../../src/servers/commands.ts'
import { encode } from '../helpers/chunks.ts'
import { foundServers } from '../helpers/servers.ts'

const table = new CommandTable('redis-8.0')

interface Read {
  context: Context
  problems: (ControlProblem | 'annotation' | undefined)[]
}

/** Shows a context records, the way readers of a log do. */
function read(records: readonly (readonly string[] | string)[], databases = 16, base = 0): Read {
  const bytes = Buffer.concat(
    records.map(record => (typeof record === 'string' ? Buffer.from(record) : encode(...record))),
  )
  const batch = new Batch(bytes.length + 64)
  batch.clear(Buffer.concat([bytes, Buffer.alloc(64)]), base)
  new Scanner().scan(batch, 0, bytes.length, true)
  expect(batch.count).toBe(records.length)
  const context = new Context(databases)
  const problems = records.map((_, i) => {
    if (batch.argc(i) === 0) return context.annotation(batch, i) ? undefined : 'annotation'
    const name = batch.first[i]
    const id = table.lookup(batch.bytes, batch.start[name], batch.length[name])
    return CONTROL_IDS.has(id) ? context.control(batch, i, id) : undefined
  })
  return { context, problems }
}

const SELECTS = ['0', '3', '15', '16', '-1', '03', ' 3', '+3', '3x', '', '9223372036854775808', '4294967299']

describe('the selected database', () => {
  it('is 0 at first, and what the last SELECT says', () => {
    expect(read([]).context.db).toBe(0)
    const { context, problems } = read([
      ['SELECT', '3'],
      ['SET', 'k', 'v'],
      ['select', '7'],
    ])
    expect([context.db, problems]).toEqual([7, [undefined, undefined, undefined]])
  })

  it.each(SELECTS)('after SELECT %j is another only when there is one of that number', db => {
    const { context, problems } = read([
      ['SELECT', '1'],
      ['SELECT', db],
    ])
    const valid = ['0', '3', '15'].includes(db)
    expect(context.db).toBe(valid ? Number(db) : 1)
    expect(problems[1]).toBe(valid ? undefined : 'select')
  })

  it('has the limit of the server', () => {
    expect(read([['SELECT', '3']], 4)).toMatchObject({ context: { db: 3 }, problems: [undefined] })
    expect(read([['SELECT', '4']], 4)).toMatchObject({ context: { db: 0 }, problems: ['select'] })
    expect(read([['SELECT', '16']], 100)).toMatchObject({ context: { db: 16 }, problems: [undefined] })
  })

  it('is not changed by a SELECT with more or fewer arguments', () => {
    expect(read([['SELECT', '3', '4'], ['SELECT']])).toMatchObject({
      context: { db: 0 },
      problems: ['select', 'select'],
    })
  })

  it('is 0 again after RESET', () => {
    expect(read([['SELECT', '3'], ['RESET']]).context.db).toBe(0)
  })
})

describe('a transaction', () => {
  it('is open from its MULTI, whose offset it has, to its EXEC', () => {
    expect(read([]).context.transaction).toBe(-1)
    const first = encode('SET', 'k', 'v')
    const { context } = read([['SET', 'k', 'v'], ['MULTI'], ['SET', 'k', 'w']], 16, 2 ** 40)
    expect(context.transaction).toBe(2 ** 40 + first.length)
    expect(context.transactions).toBe(0)
    const closed = read([['MULTI'], ['SET', 'k', 'v'], ['EXEC'], ['MULTI'], ['EXEC'], ['SET', 'k', 'w']])
    expect(closed).toMatchObject({ context: { transaction: -1, transactions: 2 } })
    expect(closed.problems.every(problem => problem === undefined)).toBe(true)
  })

  it('keeps its first MULTI when another comes, and has one EXEC', () => {
    const { context, problems } = read([['MULTI'], ['MULTI'], ['EXEC'], ['EXEC']])
    expect(problems).toEqual([undefined, 'multi-nested', undefined, 'exec-alone'])
    expect([context.transaction, context.transactions]).toEqual([-1, 1])
    expect(read([['SET', 'k', 'v'], ['MULTI'], ['MULTI']]).context.transaction).toBe(
      encode('SET', 'k', 'v').length,
    )
  })

  it('is needed by DISCARD', () => {
    expect(read([['DISCARD'], ['MULTI'], ['DISCARD']]).problems).toEqual([
      'discard-alone',
      undefined,
      undefined,
    ])
  })
})

describe('the time', () => {
  it('is that of the last timestamp; other annotations and broken ones leave it', () => {
    expect(read([['PING']]).context.time).toBeUndefined()
    const { context, problems } = read([
      '#TS:100\r\n',
      ['PING'],
      '#TS:90\r\n',
      '#comment\r\n',
      '#TS:x\r\n',
      '#TS:95\n',
    ])
    expect([context.time, problems]).toEqual([
      90,
      [undefined, undefined, undefined, undefined, 'annotation', 'annotation'],
    ])
    expect(read(['#TS:0\r\n']).context.time).toBe(0)
  })
})

describe.each(foundServers())('%s', server => {
  it('writes into the database that we say is selected, after every form of SELECT', async () => {
    const scripts = [
      ...SELECTS.map(db => [
        ['SELECT', '1'],
        ['SELECT', db],
      ]),
      [['SELECT', '3'], ['RESET']],
      [['SELECT', '3'], ['MULTI'], ['SELECT', '5'], ['EXEC']],
    ]
    const loaded = await server.load(
      Buffer.concat(
        scripts.flatMap((script, i) => [
          ...script.map(args => encode(...args)),
          encode('SET', `key${i}`, 'v'),
        ]),
      ),
    )
    try {
      expect(loaded.started, loaded.log).toBe(true)
      const databases = new Map<string, number>()
      for (let db = 0; db < 16; db++) {
        await loaded.query('SELECT', db)
        for (const key of (await loaded.query('KEYS', '*')) as Buffer[]) databases.set(String(key), db)
      }
      let before: string[][] = []
      for (const [i, script] of scripts.entries()) {
        before = [...before, ...script, ['SET', 'key', 'v']]
        expect([i, databases.get(`key${i}`)]).toEqual([i, read(before).context.db])
      }
    } finally {
      await loaded.stop()
    }
  })
})
