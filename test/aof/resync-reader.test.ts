import { describe, expect, it } from 'vitest'
import { generator } from '../../bench/logs.ts'
import { ResyncReader } from '../../src/aof/resync-reader.ts'
import { BufferSource } from '../../src/bytes/source.ts'
import { CommandTable } from '../../src/servers/commands.ts'
import { encode } from '../helpers/chunks.ts'

const table = new CommandTable('redis-8.0')

interface Read {
  /** Offsets of records, and ends of the long ones among them. */
  readonly records: number[]
  readonly long: [offset: number, end: number][]
  readonly gaps: [offset: number, end: number, code: string, kind: string][]
}

async function read(log: Uint8Array, chunk?: number): Promise<Read> {
  const reader = new ResyncReader(new BufferSource(log), 0, table, chunk)
  const found: Read = { records: [], long: [], gaps: [] }
  for (let batch = await reader.next(); batch !== undefined; batch = await reader.next()) {
    if (reader.gap !== undefined) {
      const { offset, end, code, kind } = reader.gap
      found.gaps.push([offset, end, code, kind])
    }
    if (reader.long !== undefined) {
      found.long.push([reader.long.offset, reader.long.end])
      found.records.push(reader.long.offset)
    }
    for (let i = 0; i < batch.count; i++) found.records.push(batch.offset(i))
  }
  return found
}

const concat = (...pieces: (string | Uint8Array)[]): Buffer =>
  Buffer.concat(pieces.map(piece => Buffer.from(piece as string)))
const set = (key: string, size = 5) => encode('SET', key, 'v'.repeat(size))
const some = (count: number, from = 0) =>
  concat(...Array.from({ length: count }, (_, i) => set(`key:${from + i}`, (i * 37) % 90)))

describe('records that are read behind damage', () => {
  it('are all there when nothing is damaged, whatever the window', async () => {
    const log = concat(
      some(300),
      set('long', 20_000),
      some(300),
      '#TS:1\r\n',
      set('longer', 100_000),
      set('end'),
    )
    const whole = await read(log)
    expect(whole).toMatchObject({ gaps: [], long: [] })
    expect(whole.records.length).toBe(604)
    for (const chunk of [4096, 5000, 16_384, 65_536]) {
      const { records, gaps } = await read(log, chunk)
      expect({ records, gaps }, `${chunk}`).toEqual({ records: whole.records, gaps: [] })
    }
    expect((await read(log, 4096)).long.length).toBe(2)
    expect((await read(Buffer.alloc(0))).records).toEqual([])
  })

  it('are the same with windows of other sizes', async () => {
    for (let run = 0; run < 30; run++) {
      const random = generator(run)
      const log = some(3000)
      for (let i = 0; i < 12; i++) {
        const at = Math.floor(random() * (log.length - 600))
        for (let j = Math.floor(random() * 600); j >= 0; j--) log[at + j] = Math.floor(random() * 256)
      }
      const whole = await read(log)
      for (const chunk of [16_384, 40_000, 65_536])
        expect(await read(log, chunk), `${run}, ${chunk}`).toEqual(whole)
    }
  })

  it('larger than the window are left out alone, when their end is damaged', async () => {
    const long = set('long', 20_000)
    for (const broken of [
      concat(long.subarray(0, -2), '??'),
      concat(long.subarray(0, -2), '??', long.subarray(0, -1), '?'),
    ]) {
      const log = concat(some(9), broken, some(9, 9))
      const { gaps, records } = await read(log, 4096)
      const from = some(9).length
      expect(gaps.map(([offset, end]) => [offset, end])).toEqual([[from, from + broken.length]])
      expect(records.length).toBe(18)
    }
  })

  it('are found behind a length that claims more than there is, or much more than is true', async () => {
    for (const claim of [50_000, 5_000_000]) {
      const log = concat(
        some(9),
        '*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$',
        `${claim}`,
        '\r\nvalue\r\n',
        some(3000, 9),
      )
      const { gaps, records } = await read(log, 4096)
      expect(gaps.length, `${claim}`).toBe(1)
      expect(records.length).toBe(3009)
    }
  })

  it('larger than the window are found behind a damage, and prove a boundary', async () => {
    const log = concat(some(3), 'noise', set('long', 20_000), set('longer', 50_000), some(3, 3))
    const { gaps, long, records } = await read(log, 4096)
    const from = some(3).length
    // What stands before a rest of a value is in question.
    const first = from - set('key:2', 74).length
    expect(gaps).toEqual([[first, from + 5, 'resp.record.type', 'corrupt']])
    expect(long.length).toBe(2)
    expect(records.length).toBe(7)
  })

  it('in a value larger than the window are the value, not the log', async () => {
    const inner = some(2000)
    const broken = concat(encode('SET', 'log', inner).subarray(0, -2), '??')
    const log = concat(some(9), broken, some(9, 9))
    for (const chunk of [4096, 16_384, undefined]) {
      const { gaps, records } = await read(log, chunk)
      expect(gaps.length, `${chunk}`).toBe(1)
      expect(records.length, `${chunk}`).toBe(18)
    }
  })

  it('are found behind a length that claims too much, also when another damage stands in what it claims', async () => {
    const log = concat(
      some(9),
      '*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$9000\r\nvalue\r\n',
      some(50, 9),
      '*?\r\n',
      some(500, 59),
    )
    const { gaps, records } = await read(log)
    expect(gaps.length).toBe(2)
    expect(records.length).toBe(559)
  })

  it('behind large blocks of zeros and noise are found', async () => {
    const random = generator(7)
    const noise = Buffer.from(Array.from({ length: 1 << 20 }, () => random() * 256))
    for (const block of [Buffer.alloc(1 << 20), noise]) {
      const { gaps, records } = await read(concat(some(9), block, some(9, 9)), 65_536)
      expect(gaps.length).toBe(1)
      expect(records.length).toBeGreaterThanOrEqual(17)
    }
  })
})

describe('time', () => {
  const inputs: [string, (size: number) => Buffer][] = [
    [
      'damage in every record',
      size =>
        concat(...Array.from({ length: size / 30 }, (_, i) => concat(set(`k${i}`).subarray(0, -2), '??'))),
    ],
    [
      'claims of more than the window, one in the other',
      size => Buffer.from('*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$99999\r\n'.repeat(size / 30)),
    ],
    [
      'records of very many arguments, none of which ends',
      size => Buffer.from('*9999999\r\n$4\r\nMSET\r\n$1\r\na\r\n'.repeat(size / 28)),
    ],
    [
      'three commands, then a claim that ends well',
      size => Buffer.from(`${set('a', 1).toString().repeat(3)}*3\r\n$3\r\nSET\r\n$60\r\n`.repeat(size / 100)),
    ],
  ]

  it.each(inputs)('grows with the size, and not with its square: %s', async (_, make) => {
    const time = async (size: number) => {
      const log = make(size)
      let best = Number.POSITIVE_INFINITY
      for (let i = 0; i < 3; i++) {
        const started = process.cpuUsage().user
        await read(log, 65_536)
        best = Math.min(best, process.cpuUsage(undefined).user - started)
      }
      return best
    }
    await time(50_000)
    const small = await time(100_000)
    const large = await time(800_000)
    // Eight times as much; its square would be 64 times.
    expect(large / Math.max(small, 5000)).toBeLessThan(30)
  })
})
