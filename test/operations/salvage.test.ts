import { describe, expect, it } from 'vitest'
import { generator } from '../../bench/logs.ts'
import { BufferSource } from '../../src/bytes/source.ts'
import { planSalvage, type Salvage } from '../../src/operations/salvage.ts'
import { CommandTable } from '../../src/servers/commands.ts'
import { DAMAGES, damage } from '../damage.ts'
import { encode } from '../helpers/chunks.ts'
import { madeLog, originalsOf, placesFor, salvageDamaged } from './salvaging.ts'

const SEED = Number(process.env.AOFKIT_SEED ?? 20240506)

function salvage(log: Uint8Array, skipUntilSelect = false): Promise<Salvage> {
  const source = new BufferSource(log)
  return planSalvage(source, 0, new CommandTable('redis-8.0'), { databases: 16, skipUntilSelect })
}

/** What is left of a log. */
async function kept(log: Buffer, skipUntilSelect = false): Promise<string> {
  const { spans } = await salvage(log, skipUntilSelect)
  const pieces: Uint8Array[] = []
  let at = 0
  for (const { offset, end, by } of spans) {
    pieces.push(log.subarray(at, offset), by)
    at = end
  }
  return readable(Buffer.concat([...pieces, log.subarray(at)]))
}

/** Commands, a word each argument: for records of short values. */
function readable(log: Buffer): string {
  return originalsOf(log)
    .map(({ offset, end }) => {
      const lines = log.toString('latin1', offset, end).split('\r\n')
      return lines.filter((_, i) => i > 0 && i % 2 === 0).join(' ')
    })
    .join(', ')
}

const concat = (...pieces: (string | Uint8Array)[]): Buffer =>
  Buffer.concat(pieces.map(piece => Buffer.from(piece as string)))
const set = (key: string, value = 'v') => encode('SET', key, value)
const some = (prefix: string, count = 3) =>
  concat(...Array.from({ length: count }, (_, i) => set(`${prefix}${i}`)))
const NOISE = '*?broken\r\n'

describe('a damage', () => {
  it('costs nothing where there is none', async () => {
    expect((await salvage(concat(some('a'), '#TS:1\r\n', some('b')))).spans).toEqual([])
    expect((await salvage(Buffer.alloc(0))).spans).toEqual([])
  })

  it('in a terminator costs that command alone, also before one that is damaged itself', async () => {
    const broken = concat(set('x').subarray(0, -2), '??')
    expect(await kept(concat(set('a'), broken, set('b')))).toBe('SET a v, SET b v')
    expect(await kept(concat(set('a'), broken, broken, set('b')))).toBe('SET a v, SET b v')
  })

  it('in the length of a value costs that command alone, made smaller or larger', async () => {
    const value = 'twelve bytes'
    for (const length of ['2', '10', '13', '20', '90', '99999999', '1', 'x', '-5', ''])
      expect(
        await kept(
          concat(some('a'), '*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$', length, '\r\n', value, '\r\n', some('b')),
        ),
        length,
      ).toBe(readable(concat(some('a'), some('b'))))
  })

  it('in a count costs that command alone, made smaller or larger', async () => {
    const record = encode('RPUSH', 'list', 'x', 'y', 'z').toString().slice(2)
    for (const count of ['1', '3', '4', '6', '9', '?', '-1', '0'])
      expect(await kept(concat(some('a'), '*', count, record, some('b'))), count).toBe(
        readable(concat(some('a'), some('b'))),
      )
  })

  it('is told from the commands in a value that is whole but for its end', async () => {
    const inner = concat(some('inner', 9))
    for (const value of [inner, inner.subarray(0, -2), concat('x\r\n', inner), inner.subarray(0, -7)]) {
      const broken = concat(encode('SET', 'log', value).subarray(0, -2), '??')
      expect(await kept(concat(some('a'), broken, some('b')))).toBe(readable(concat(some('a'), some('b'))))
    }
  })

  it('is told from the commands in a value of which the header is lost', async () => {
    const inner = some('inner', 9)
    const record = encode('SET', 'log', inner)
    const header = record.indexOf(`$${inner.length}`)
    for (const size of [1, 3, 20]) {
      const broken = concat(record.subarray(0, header), 'x'.repeat(size), record.subarray(header + size))
      expect(await kept(concat(some('a'), broken, some('b')))).toBe(readable(concat(some('a'), some('b'))))
    }
  })

  it('takes two commands for the log when a third begins behind them, and one at the end', async () => {
    expect(await kept(concat(NOISE, some('a', 2), '*3\r\n$3\r\nSET\r\n$9\r\n', some('b')))).toBe(
      readable(concat(some('a', 2), some('b'))),
    )
    expect(await kept(concat(set('a'), NOISE, set('b')))).toBe('SET a v, SET b v')
    expect(await kept(concat(some('a'), NOISE, set('lost'), NOISE, some('b')))).toBe(
      readable(concat(some('a'), some('b'))),
    )
  })

  it('that is a block standing twice costs nothing', async () => {
    const random = generator(SEED)
    const sound = Buffer.concat(
      Array.from({ length: 800 }, (_, i) => set(`key:${i}`, 'x'.repeat(random() * 80))),
    )
    for (const [from, size] of [
      [5001, 4096],
      [8192, 4096],
      [20_000, 1024],
      [12_345, 8192],
    ]) {
      const twice = concat(
        sound.subarray(0, from + size),
        sound.subarray(from, from + size),
        sound.subarray(from + size),
      )
      const { spans } = await salvage(twice)
      expect(spans.map(({ offset, end }) => end - offset)).toEqual([size])
      expect(concat(twice.subarray(0, spans[0].offset), twice.subarray(spans[0].end)).equals(sound)).toBe(
        true,
      )
    }
  })

  it('is skipped alone when it is a whole command that servers refuse', async () => {
    for (const record of [
      encode('SEX', 'a', 'b'),
      encode('SET', 'a'),
      encode('S.T', 'a', 'b'),
      encode('DEBUG', 'SEGFAULT'),
    ])
      expect(await kept(concat(set('a'), record, set('b')))).toBe('SET a v, SET b v')
    expect(await kept(concat(set('a'), encode('JSON.SET', 'k', '$', '1')))).toBe('SET a v, JSON.SET k $ 1')
  })

  it('at the end, or all that there is, is skipped', async () => {
    expect(await kept(concat(set('a'), set('b').subarray(0, -3)))).toBe('SET a v')
    expect(await kept(concat(set('a'), Buffer.alloc(5000)))).toBe('SET a v')
    expect(await kept(Buffer.from('nothing at all'))).toBe('')
  })

  it('has a reason, and a guess at what it was', async () => {
    const { spans, affected, first, damaged } = await salvage(
      concat(set('a'), encode('INCR', 'counter').subarray(0, -2), '??', set('b')),
    )
    expect(spans).toMatchObject([
      {
        offset: 27,
        end: 54,
        reason: 'resp.bulk.terminator',
        guess: { command: 'incr', key: Buffer.from('counter') },
      },
    ])
    expect({ first, damaged }).toEqual({ first: undefined, damaged: true })
    expect([...affected.counters.keys()]).toEqual(['counter'])
  })
})

describe('behind a gap', () => {
  const MULTI = encode('MULTI')
  const EXEC = encode('EXEC')
  const select = (db: number) => encode('SELECT', String(db))

  it('an open transaction is dropped whole, with what follows up to its EXEC', async () => {
    const lost = concat(MULTI, set('x'), NOISE, set('y'), set('z'), EXEC)
    expect(await kept(concat(some('a'), lost, some('b')))).toBe(readable(concat(some('a'), some('b'))))
  })

  it('what leads to an EXEC without a MULTI is dropped', async () => {
    expect(await kept(concat(some('a'), NOISE, some('x'), EXEC, some('b')))).toBe(
      readable(concat(some('a'), some('b'))),
    )
  })

  it('commands before the next MULTI stay, and an EXEC that stood alone before it too', async () => {
    const log = concat(some('a'), EXEC, NOISE, some('b'), MULTI, set('c'), EXEC)
    expect(await kept(log)).toBe(readable(concat(some('a'), EXEC, some('b'), MULTI, set('c'), EXEC)))
    expect((await salvage(log)).damaged).toBe(true)
  })

  it('a command in a transaction that servers refuse takes the transaction with it', async () => {
    const lost = concat(MULTI, set('x'), encode('SEX', 'a'), set('y'), EXEC)
    expect(await kept(concat(set('a'), lost, set('b')))).toBe('SET a v, SET b v')
  })

  it('a SELECT is inserted where one was dropped with its transaction, before a command that needs it', async () => {
    const lost = concat(MULTI, select(3), set('x'), NOISE, set('y'), EXEC)
    expect(await kept(concat(select(1), set('a'), lost, '#TS:1\r\n', set('b')))).toBe(
      'SELECT 1, SET a v, SELECT 3, SET b v',
    )
    expect(await kept(concat(select(1), set('a'), lost, select(2), set('b')))).toBe(
      'SELECT 1, SET a v, SELECT 2, SET b v',
    )
    expect(await kept(concat(select(3), set('a'), lost, set('b')))).toBe('SELECT 3, SET a v, SET b v')
    expect(await kept(concat(set('a'), lost, MULTI, set('b'), EXEC))).toBe(
      'SET a v, SELECT 3, MULTI, SET b v, EXEC',
    )
  })

  it('commands are kept from the next SELECT on only, when asked for', async () => {
    const log = concat(select(1), set('a'), NOISE, some('x'), select(1), set('b'))
    expect(await kept(log, true)).toBe('SELECT 1, SET a v, SELECT 1, SET b v')
    expect(await kept(concat(set('a'), NOISE, some('x'), MULTI, select(2), set('b'), EXEC), true)).toBe(
      'SET a v, MULTI, SELECT 2, SET b v, EXEC',
    )
    expect(
      await kept(concat(set('a'), NOISE, some('x'), MULTI, set('y'), select(2), EXEC, set('b')), true),
    ).toBe('SET a v, SELECT 2, SET b v')
    expect(await kept(concat(set('a'), NOISE, some('x')), true)).toBe('SET a v')
  })

  it('counts what it keeps and what it drops', async () => {
    const lost = concat(MULTI, set('x'), NOISE, set('y'), EXEC)
    const { commands, dropped, gaps } = await salvage(concat(some('a'), lost, some('b')))
    expect({ commands, dropped, gaps }).toEqual({ commands: 6, dropped: 4, gaps: 1 })
  })
})

describe('a damaged log', () => {
  const RUNS = process.env.AOFKIT_LONG === undefined ? 3 : 200

  it.each(Object.keys(DAMAGES))(
    'with %s in ten places loses three sound commands for each at most',
    async kind => {
      for (let run = 0; run < RUNS; run++) {
        const random = generator(SEED + run)
        const log = madeLog(1500, random, false)
        const places = Array.from({ length: 10 }, (_, i) => Math.floor(((i + random()) * log.length) / 10))
        const pieces = damage(
          log,
          places.map(() => DAMAGES[kind]),
          places.reverse(),
          random,
        )
        const { lost, invented } = await salvageDamaged(log, originalsOf(log), pieces)
        expect(invented, `seed ${SEED + run}`).toEqual([])
        expect(lost, `seed ${SEED + run}`).toBeLessThanOrEqual(30)
      }
    },
  )

  it('invents no command from a log that is a value, when it is damaged once', async () => {
    const kinds = Object.values(DAMAGES)
    for (let run = 0; run < 10 * RUNS; run++) {
      const random = generator(SEED + run)
      const log = madeLog(300, random)
      const pieces = damage(log, [kinds[run % kinds.length]], placesFor(1, log.length, random), random)
      const { lost, invented } = await salvageDamaged(log, originalsOf(log), pieces)
      const real = invented.filter(text => !text.includes('torn:'))
      expect(real, `seed ${SEED + run}`).toEqual([])
      expect(lost, `seed ${SEED + run}`).toBeLessThanOrEqual(3)
    }
  })
})
