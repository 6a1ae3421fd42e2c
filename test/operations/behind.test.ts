import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { scanPart } from '../../src/aof/scan.ts'
import { corrupt, JobError } from '../../src/bytes/errors.ts'
import { BufferSource, type Source } from '../../src/bytes/source.ts'
import { Window } from '../../src/bytes/window.ts'
import { type Behind, countBehind, windowFrom } from '../../src/operations/behind.ts'
import { CommandTable } from '../../src/servers/commands.ts'
import { encode, PieceSource } from '../helpers/chunks.ts'

const table = new CommandTable('redis-8.0')
const TS = Buffer.from('#TS:1700000000\r\n')
const PING = encode('PING')

/** Larger than most logs here. */
const WINDOW = 1 << 17

const count = (bytes: Uint8Array, from: number, chunk = WINDOW): Promise<Behind | undefined> =>
  countBehind(new Window(new BufferSource(bytes.subarray(from)), chunk, from), table)

/** Where reading stops, as verify reads. */
async function stopIn(bytes: Uint8Array): Promise<number | undefined> {
  const nothing = () => {}
  const visitor = { rdb: nothing, records: nothing, long: nothing }
  const source = new BufferSource(bytes)
  const { error, offset } = await scanPart(source, visitor, {
    databases: 16,
    window: new Window(source, WINDOW),
  })
  return error === undefined ? undefined : offset
}

interface Log {
  readonly bytes: Buffer
  /** Offset of each command, and its size. */
  readonly commands: readonly { readonly at: number; readonly size: number }[]
}

function logOf(records: readonly Uint8Array[]): Log {
  const commands: { at: number; size: number }[] = []
  let at = 0
  for (const record of records) {
    if (record[0] === 0x2a) commands.push({ at, size: record.length })
    at += record.length
  }
  return { bytes: Buffer.concat(records), commands }
}

/** What is to be found behind `from`. */
function behind({ commands }: Log, from: number): Behind | undefined {
  const found = commands.filter(({ at }) => at >= from)
  if (found.length === 0) return undefined
  return {
    offset: found[0].at,
    commands: found.length,
    bytes: found.reduce((total, { size }) => total + size, 0),
  }
}

// No value holds a star, so that every star begins a record.
const plain = fc.uint8Array({ maxLength: 24 }).map(bytes => bytes.map(byte => (byte === 0x2a ? 0x2b : byte)))
const command = fc.oneof(
  fc.tuple(plain, plain).map(([key, value]) => encode('SET', key, value)),
  fc.array(plain, { minLength: 1, maxLength: 11 }).map(keys => encode('DEL', ...keys)),
  fc.constant(PING),
)

/** A log in which one number behind a `*` or `$` became another; its commands are those that are still whole. */
function changeNumber({ bytes, commands }: Log, which: number, by: string): Log {
  const headers = [...bytes.toString('latin1').matchAll(/(?<=^|\r\n)[*$]\d+(?=\r\n)/g)].map(
    ({ index }) => index,
  )
  const header = headers[which % headers.length]
  const end = bytes.indexOf('\r\n', header)
  const changed = Buffer.concat([bytes.subarray(0, header + 1), Buffer.from(by), bytes.subarray(end)])
  return {
    bytes: changed,
    commands: commands
      .filter(({ at, size }) => header < at || header >= at + size)
      .map(({ at, size }) => ({ at: at < header ? at : at + changed.length - bytes.length, size })),
  }
}

describe('whole commands behind a damage', () => {
  it('are as many as there are, whatever number was changed, through any window', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(command, { minLength: 2, maxLength: 30 }),
        fc.nat(),
        fc.constantFrom('1', '2', '4', '9', '11', '70', '99999'),
        fc.constantFrom(1200, 4000, WINDOW),
        async (records, which, by, chunk) => {
          const damaged = changeNumber(logOf(records), which, by)
          const stop = await stopIn(damaged.bytes)
          if (stop !== undefined)
            expect(await count(damaged.bytes, stop + 1, chunk)).toEqual(behind(damaged, stop + 1))
        },
      ),
      { numRuns: 150 },
    )
  })

  it('are counted where a header is overwritten', async () => {
    const log = logOf(Array.from({ length: 500 }, (_, i) => encode('SET', `key:${i}`, `value ${i}`)))
    for (const i of [0, 1, 250, 496, 497, 498, 499]) {
      const { at } = log.commands[i]
      const damaged = Buffer.from(log.bytes)
      damaged[at] = 0
      expect(await stopIn(damaged)).toBe(at)
      expect(await count(damaged, at + 1, 1000)).toEqual(behind(log, at + 1))
    }
  })

  it('are found between timestamps, which are not counted', async () => {
    for (const each of [1, 2, 5]) {
      const records = Array.from({ length: 60 }, (_, i) => [
        ...(i % each === 0 ? [TS] : []),
        encode('SET', `key:${i}`, 'value'),
      ]).flat()
      const log = logOf(records)
      for (const i of [0, 7, 40, 58]) {
        const { at } = log.commands[i]
        const damaged = Buffer.from(log.bytes)
        damaged[at] = 0x3f
        for (const chunk of [400, WINDOW]) {
          const found = await count(damaged, at + 1, chunk)
          expect(found, `a time every ${each}, damage ${i}`).toMatchObject({
            offset: log.commands[i + 1].at,
            commands: 60 - i - 1,
          })
        }
      }
    }
  })

  it('are counted where all have thousands of arguments', async () => {
    const items = Array.from({ length: 2500 }, (_, i) => `item ${i}`)
    const log = logOf(Array.from({ length: 20 }, (_, i) => encode('RPUSH', `list:${i}`, ...items)))
    const damaged = Buffer.from(log.bytes)
    damaged[log.commands[3].at] = 0x3f
    expect(await count(damaged, log.commands[3].at + 1)).toEqual(behind(log, log.commands[3].at + 1))
  })

  it('do not include what no server writes, or knows', async () => {
    const five = Buffer.concat(Array.from({ length: 5 }, () => PING))
    for (const other of [
      '*1\r\n$4\r\nPINGxx',
      '*1\r\n$+4\r\nPING\r\n',
      '*1\r\n$6\r\nNOSUCH\r\n',
      '*1\r\n$3\r\nGET\r\n',
      '?',
    ]) {
      const log = Buffer.concat([Buffer.from('?'), five, Buffer.from(other), five])
      expect(await count(log, 0), other).toEqual({ offset: 1, commands: 10, bytes: 2 * five.length })
    }
  })

  it('are none where there are none', async () => {
    for (const text of [
      '',
      'x',
      '\0'.repeat(5000),
      '*',
      '*3\r\n$3\r\nSET\r\n',
      'SET a b\r\n'.repeat(100),
      `${PING}x`,
    ])
      expect(await count(Buffer.from(text), 0, 64)).toBeUndefined()
  })

  it('are counted up to a torn end, and up to another damage and behind it', async () => {
    const records = Array.from({ length: 40 }, (_, i) => encode('SET', `key:${i}`, 'value'))
    const log = logOf(records)
    const torn = log.bytes.subarray(0, -3)
    expect(await count(torn, 1)).toEqual(behind(logOf(records.slice(0, -1)), 1))
    const twice = Buffer.from(log.bytes)
    twice[log.commands[20].at] = 0x3f
    expect(await count(twice, 1)).toMatchObject({ offset: log.commands[1].at, commands: 38 })
    // Two between two damages are no proof.
    twice[log.commands[23].at] = 0x3f
    expect(await count(twice, 1)).toMatchObject({ commands: 19 + 16 })
  })

  it('do not include those that stand in values of whole commands', async () => {
    const inner = Buffer.concat(Array.from({ length: 10 }, () => PING))
    const deeper = encode('SET', 'log', Buffer.concat([inner, encode('RPUSH', 'logs', inner), inner]))
    const records = [encode('GET', 'x'), PING, deeper, PING, deeper, PING, PING]
    const log = logOf(records)
    for (const chunk of [1200, WINDOW]) {
      const damaged = Buffer.from(log.bytes)
      damaged[0] = 0x3f
      expect(await count(damaged, 1, chunk)).toEqual(behind(log, 1))
    }
  })

  it('include those in the value of a command that is broken itself, when they prove themselves', async () => {
    for (const inside of [2, 3, 10]) {
      const inner = Buffer.concat(Array.from({ length: inside }, () => PING))
      const damaged = encode('SET', 'log', inner)
      damaged[0] = 0x3f
      const log = Buffer.concat([damaged, encode('SET', 'a', 'b'), PING, PING])
      expect(await count(log, 1)).toMatchObject({ commands: (inside >= 3 ? inside : 0) + 3 })
    }
  })

  it('go on behind one that is larger than the window', async () => {
    const large = encode('SET', 'large', 'x'.repeat(5000))
    const after = Array.from({ length: 5 }, () => PING)
    const log = Buffer.concat([PING, PING, PING, PING, large, ...after])
    expect(await count(log, 1, 1000)).toMatchObject({ offset: PING.length, commands: 3 + 5 })
    expect(await count(log, 1)).toMatchObject({ commands: 3 + 1 + 5 })
  })

  it('are found behind a length that lies, whatever the window', async () => {
    const many = Buffer.concat(Array.from({ length: 300 }, () => PING))
    const log = Buffer.concat([
      PING,
      PING,
      PING,
      PING,
      Buffer.from('*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$900000\r\nv\r\n'),
      many,
    ])
    for (const chunk of [200, 1000, 3000, WINDOW])
      expect(await count(log, 1, chunk), `${chunk}`).toMatchObject({ offset: PING.length, commands: 3 + 300 })
  })

  it('have exact offsets beyond 2^32', async () => {
    const base = 5_000_000_000
    const log = Buffer.concat([Buffer.from('??'), PING, PING, PING])
    expect(await countBehind(new Window(new BufferSource(log), 256, base), table)).toEqual({
      offset: base + 2,
      commands: 3,
      bytes: 3 * PING.length,
    })
    // The same by way of a source that is asked for what stands so far behind.
    const asked: number[] = []
    const source: Source = {
      ...new BufferSource(new Uint8Array(0)),
      name: 'large',
      size: base + log.length,
      seekable: true,
      read: async () => 0,
      async readAt(target, offset) {
        asked.push(offset)
        const piece = log.subarray(offset - base, offset - base + target.length)
        target.set(piece)
        return piece.length
      },
      grow: async () => false,
      close: async () => {},
    }
    expect(await countBehind(windowFrom(source, base), table)).toMatchObject({
      offset: base + 2,
      commands: 3,
    })
    expect(asked[0]).toBe(base)
  })
})

describe('looking behind a damage', () => {
  it('ends, with what was found, where what is decompressed is damaged itself', async () => {
    for (const once of [true, false]) {
      const pieces = [Buffer.concat([Buffer.from('?'), PING, PING, PING, PING.subarray(0, 5)])]
      let failed = 0
      const source: Source = {
        name: 'gz',
        size: undefined,
        seekable: false,
        async read(target, from) {
          const piece = pieces.shift()
          if (piece !== undefined) {
            target.set(piece, from)
            return piece.length
          }
          if (++failed > 50) throw new Error('it is asked again and again')
          if (once && failed > 1) return 0
          throw corrupt('gzip.data', 7, 'damaged')
        },
        readAt: async () => 0,
        grow: async () => false,
        close: async () => {},
      }
      expect(await countBehind(new Window(source, 1 << 10), table)).toMatchObject({ offset: 1, commands: 3 })
    }
  })

  it('fails when the system does', async () => {
    const source = new PieceSource([PING])
    source.read = async () => {
      throw new JobError('system.eio', 'broken disk')
    }
    await expect(countBehind(new Window(source, 1 << 10), table)).rejects.toThrow('broken disk')
  })

  it('tells how far it is, in rising offsets of the part', async () => {
    const log = Buffer.concat(Array.from({ length: 1000 }, () => PING))
    const told: number[] = []
    await countBehind(new Window(new BufferSource(log), 1000, 77), table, offset => told.push(offset))
    expect(told.length).toBeGreaterThan(10)
    expect(told).toEqual([...told].sort((a, b) => a - b))
    expect(told[0]).toBeGreaterThanOrEqual(77)
    expect(told.at(-1)).toBeLessThanOrEqual(77 + log.length)
  })

  it('comes to the same whatever the pieces', async () => {
    const log = Buffer.concat([
      Buffer.from('?'),
      PING,
      encode('SET', 'k', PING),
      TS,
      PING,
      PING,
      Buffer.from('*1\r\n$9\r\nPING'),
      PING,
    ])
    const expected = await count(log, 0)
    for (let size = 1; size < 40; size++) {
      const pieces = Array.from({ length: Math.ceil(log.length / size) }, (_, i) =>
        log.subarray(i * size, (i + 1) * size),
      )
      expect(await countBehind(new Window(new PieceSource(pieces), 600), table)).toEqual(expected)
    }
  })

  /** Steps of the frame machine: it reads numbers from a view, and little else takes time. */
  async function steps(bytes: Uint8Array): Promise<number> {
    const read = DataView.prototype.getInt32
    let calls = 0
    DataView.prototype.getInt32 = function (this: DataView, at: number, little?: boolean) {
      calls++
      return read.call(this, at, little)
    }
    try {
      await count(bytes, 1, 1 << 15)
      return calls
    } finally {
      DataView.prototype.getInt32 = read
    }
  }

  const LONG = '*99999\r\n$3\r\nDEL'
  const ODD = `${PING}${PING}${PING}*1\r\n$4\r\nPINGxx`

  it.each([
    ['half headers', '*1\r\n$4\r\n'],
    ['headers in headers', '*9\r\n$9\r\n'],
    ['records of which each argument begins one more', `$${LONG.length}\r\n${LONG}\r\n`],
    ['records that are too large', '*2\r\n$3\r\nDEL\r\n$99999999\r\n'],
    ['three commands and an oddity', ODD],
    ['three commands and a damage', `${PING}${PING}${PING}?`],
  ])('takes as long as its input is long: %s', async (_, unit) => {
    const small = await steps(Buffer.from(unit.repeat(60_000 / unit.length)))
    const large = await steps(Buffer.from(unit.repeat(180_000 / unit.length)))
    expect(large).toBeLessThan(4 * small + 1000)
    expect(large).toBeLessThan(40 * 180_000)
  })
})
