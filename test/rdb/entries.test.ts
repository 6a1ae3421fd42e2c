import { describe, expect, it } from 'vitest'
import { Window } from '../../src/bytes/window.ts'
import { EntryReader } from '../../src/rdb/entries.ts'
import { EntryBatch, type RdbEvent, RdbWalk } from '../../src/rdb/walk.ts'
import { everySplit, PieceSource } from '../helpers/chunks.ts'
import { bytes, entry, int64, len, type Piece, rdb, select, str } from './build.ts'
import { Calls } from './calls.ts'

interface Read {
  /** `db key type expiry @offset value@offset`, then what its sink was told. */
  readonly lines: string[]
  readonly records: { readonly kind: string; readonly bytes: string }[]
  readonly error: string | undefined
}

async function read(
  pieces: readonly Uint8Array[],
  { chunk = 1024, unwanted = '', most }: { chunk?: number; unwanted?: string; most?: number } = {},
): Promise<Read> {
  const walk = new RdbWalk(new Window(new PieceSource(pieces), chunk), { values: true })
  const lines: string[] = []
  const records: { kind: string; bytes: string }[] = []
  const calls = new Calls()
  const take = () => lines.push(...calls.lines.splice(0))
  const reader = new EntryReader(
    {
      entry({ db, key, kind, expireAtMs, offset, valueOffset, idle, frequency }) {
        take()
        const name = Buffer.from(key.copy()).toString('latin1')
        lines.push(`${db} ${name} ${kind} ${expireAtMs} ${idle} ${frequency} @${offset} @${valueOffset}`)
        return name === unwanted ? undefined : calls
      },
      damaged(error, entry) {
        take()
        const key = entry && Buffer.from(entry.key.copy()).toString('latin1')
        lines.push(`${error.code} @${error.offset} in ${key}`)
      },
    },
    most === undefined ? {} : { most },
  )
  for (let event: RdbEvent | undefined = await walk.next(); event !== undefined; event = await walk.next()) {
    reader.event(event)
    if ('bytes' in event && event.kind !== 'piece')
      records.push({ kind: event.kind, bytes: Buffer.from(event.bytes ?? []).toString('latin1') })
  }
  take()
  return { lines, records, error: walk.error && `${walk.error.kind} ${walk.error.code}` }
}

const LONG = 'x'.repeat(200)
const hash = (...pairs: string[]): Piece[] => [len(pairs.length / 2), ...pairs.map(str)]

/** Two databases, values and keys shorter and longer than the windows below, and what stands before an entry. */
const CONTENT: Piece[] = [
  entry(0, 'plain', str('value')),
  select(3),
  [252, int64(2n ** 40n), entry(4, 'hash', hash('f', LONG, LONG, 'v', 'g', 'w'))],
  entry(1, `key ${LONG}`, len(2), str('a'), str(LONG)),
  [248, len(77), entry(2, 'set', len(1), str('m'))],
  [249, 5, entry(0, 'long', str(`${LONG}${LONG}`))],
  entry(0, 'last', [0xc0, 7]),
]
const FILE = rdb('REDIS0011', CONTENT)

function expected(): string[] {
  let at = 9
  const places = CONTENT.map(piece => {
    const offset = at
    at += bytes(piece).length
    return offset
  })
  const [plain, , ex, key, set, long, last] = places
  return [
    `0 plain string -1 -1 -1 @${plain} @${plain + 7}`,
    ...['begin string 1', 'string value', 'end'],
    `3 hash hash ${2n ** 40n} -1 -1 @${ex} @${ex + 9 + 6}`,
    ...['begin hash 3', `field f ${LONG} -1`, `field ${LONG} v -1`, 'field g w -1', 'end'],
    `3 key ${LONG} list -1 -1 -1 @${key} @${key + 1 + 2 + 204}`,
    ...['begin list 2', 'item a', `item ${LONG}`, 'end'],
    `3 set set -1 77 -1 @${set} @${set + 3 + 5}`,
    ...['begin set 1', 'member m', 'end'],
    `3 long string -1 -1 5 @${long} @${long + 2 + 6}`,
    ...['begin string 1', `string ${LONG}${LONG}`, 'end'],
    `3 last string -1 -1 -1 @${last} @${last + 6}`,
    ...['begin string 1', 'string 7', 'end'],
  ]
}

describe('the entries of an RDB', () => {
  it('come with key, expiry and hints, and their values element by element', async () => {
    expect(await read([FILE])).toEqual({ lines: expected(), records: [], error: undefined })
  })

  it('are the same however the file is cut, also where they are larger than a window', async () => {
    for (const chunk of [32, 64, 100, 256])
      for (const pieces of everySplit(FILE)) expect((await read(pieces, { chunk })).lines).toEqual(expected())
  })

  it('that nobody wants are passed over', async () => {
    for (const chunk of [32, 1024]) {
      const { lines } = await read([FILE], { chunk, unwanted: 'hash' })
      const all = expected()
      expect(lines).toEqual([...all.slice(0, 5), ...all.slice(10)])
    }
  })

  it('do not end with one that is damaged', async () => {
    const file = rdb(
      'REDIS0011',
      entry(18, 'bad', len(2), len(3), str(LONG), len(3), str(LONG)),
      entry(0, 'good', str('value')),
    )
    for (const chunk of [32, 1024])
      for (const pieces of [[file], Array.from(file, byte => Uint8Array.of(byte))])
        expect((await read(pieces, { chunk })).lines).toEqual([
          '0 bad list -1 -1 -1 @9 @14',
          ...['begin list -1', 'rdb.quicklist.container @15 in bad'],
          `0 good string -1 -1 -1 @${9 + 5 + 1 + 2 * 203} @${9 + 5 + 1 + 2 * 203 + 6}`,
          ...['begin string 1', 'string value', 'end'],
        ])
  })

  it('have no key where that cannot be decompressed', async () => {
    const key = bytes(0xc3, len(3), len(200), 1, 97, 98)
    const file = rdb('REDIS0011', entry(0, 'a', str('v')), bytes(0, key, str('w')), entry(0, 'b', str('x')))
    for (const pieces of everySplit(file)) {
      const { lines, error } = await read(pieces)
      expect(error).toBeUndefined()
      expect(lines.filter(line => line.includes('@'))).toEqual([
        '0 a string -1 -1 -1 @9 @12',
        'rdb.lzf @19 in ',
        '0 b string -1 -1 -1 @24 @27',
      ])
    }
  })

  it('leave a sink without an end where the file ends', async () => {
    const whole = expected()
    const { lines, error } = await read([FILE.subarray(0, 9 + 14 + 2 + 9 + 6 + 1 + 2 + 100)], { chunk: 32 })
    expect(error).toBe('torn rdb.truncated')
    expect(lines).toEqual([...whole.slice(0, 5), 'begin hash 3'])
  })

  it('keep strings that are longer than wanted to themselves', async () => {
    for (const chunk of [32, 1024]) {
      const { lines } = await read([FILE], { chunk, most: 100 })
      expect(lines.filter(line => line.includes('<'))).toEqual([
        ...['field f <200> -1', 'field <200> v -1', 'item <200>', 'string <400>'],
      ])
    }
  })
})

describe('a key that the walk could not keep', () => {
  it('is an error of its entry', () => {
    const lines: string[] = []
    const reader = new EntryReader({
      entry: () => undefined,
      damaged: (error, entry) => lines.push(`${error.code} @${error.offset} ${entry?.key.length}`),
    })
    const entries = new EntryBatch(1)
    entries.offset[0] = 100
    entries.key[0] = 101
    entries.value[0] = 101 + 2 ** 30
    entries.base = 2 ** 29
    entries.count = 1
    reader.event({ kind: 'entries', entries, inPieces: false })
    expect(lines).toEqual(['rdb.key.size @100 0'])
  })
})

describe('records that are no entries', () => {
  it('come as they are, however the file is cut', async () => {
    const code = `#!lua name=x\n${LONG}`
    const record = bytes(245, str(code))
    const file = rdb('REDIS0011', record, entry(0, 'key', str('value')))
    for (const chunk of [32, 1024])
      for (const pieces of everySplit(file)) {
        const { records, lines } = await read(pieces, { chunk })
        expect(records).toEqual([{ kind: 'function', bytes: record.toString('latin1') }])
        expect(lines[0]).toMatch(/^0 key string/)
      }
  })
})
