/** Packed strings in tests: read from the middle of other bytes, damaged, asked of real servers. */
import fc from 'fast-check'
import { FormatError } from '../../../src/bytes/errors.ts'
import type { PackedReader } from '../../../src/rdb/encodings/packed.ts'
import { decodeString } from '../../../src/rdb/strings.ts'
import { Slice } from '../../../src/values/slice.ts'
import { foundServers, type Loaded, type Server } from '../../helpers/servers.ts'
import { bytes, checksum } from '../build.ts'
import { fixtures, walk } from '../walking.ts'

export const SERVERS = foundServers()

export interface Reading {
  /** As latin1. */
  elements: string[]
  offsets: number[]
  count: number | undefined
  odd: { code: string; offset: number }[]
  error?: { code: string; offset: number; kind: string }
}

export interface ReadingOptions {
  offset?: number
  plain?: boolean
  /** What stands before and behind the string in memory. */
  around?: number
  /** Whether to look for what is odd. */
  look?: boolean
}

/** All of a packed string, read from the middle of a larger buffer. Errors other than `FormatError` are thrown. */
export function read(
  reader: PackedReader,
  packed: Uint8Array,
  { offset = 0, plain = true, around = 0xff, look = true }: ReadingOptions = {},
): Reading {
  const margin = Buffer.alloc(24, around)
  const buffer = Buffer.concat([margin, packed, margin])
  const reading: Reading = { elements: [], offsets: [], count: undefined, odd: [] }
  const odd = (code: string, at: number) => reading.odd.push({ code, offset: at })
  const slice = new Slice()
  try {
    reader.open(
      new Slice().set(buffer, margin.length, margin.length + packed.length),
      offset,
      plain,
      look ? odd : undefined,
    )
    reading.count = reader.count
    while (reader.next(slice)) {
      reading.elements.push(Buffer.from(slice.copy()).toString('latin1'))
      reading.offsets.push(reader.offset)
      // A byte each at least, and two elements from a byte in no format.
      if (reading.elements.length > packed.length) throw new Error('more elements than bytes')
    }
    if (reader.next(slice)) throw new Error('another element behind the last')
  } catch (error) {
    if (!(error instanceof FormatError)) throw error
    reading.error = { code: error.code, offset: error.offset, kind: error.kind }
  }
  return reading
}

/** The bytes, with those of the changes put at their places. */
export function patched(packed: Uint8Array, changes: Record<number, number>): Buffer {
  const copy = Buffer.from(packed)
  for (const [at, byte] of Object.entries(changes))
    copy[Number(at) < 0 ? copy.length + Number(at) : Number(at)] = byte
  return copy
}

/** Texts on both sides of every border that packed formats have: integers, what only looks like one, lengths. */
export const BORDERS: string[] = [
  ...[0n, 12n, 13n, 127n, 128n, 4095n, 4096n, 32767n, 32768n, 8388607n, 8388608n, 2147483647n, 2147483648n],
  ...[9007199254740991n, 9007199254740992n, 9007199254740993n, 9223372036854775807n, 9223372036854775808n],
  ...[-1n, -128n, -129n, -4096n, -4097n, -32768n, -32769n, -8388608n, -8388609n, -2147483648n, -2147483649n],
  ...[-9007199254740991n, -9007199254740992n, -9223372036854775808n, -9223372036854775809n],
].map(String)
BORDERS.push(
  '-0',
  '00',
  '01',
  '-01',
  '-',
  '--1',
  '+1',
  ' 1',
  '1 ',
  '1e3',
  '1.0',
  '0x10',
  '12a',
  '/',
  ':',
  '1:',
)
BORDERS.push('18446744073709551615', '18446744073709551616', '99999999999999999999', '100000000000000000000')
BORDERS.push('', '\0', '\xff', '1\0', '\xff\xff\xff')
for (const length of [1, 62, 63, 64, 65, 125, 126, 127, 128, 247, 248, 249, 250, 251, 252, 253, 254, 255])
  BORDERS.push('x'.repeat(length))
for (const length of [4094, 4095, 4096, 16377, 16378, 16379, 16382, 16383, 16384, 2097145, 2097146, 2097147])
  BORDERS.push('y'.repeat(length))

export const element = fc.oneof(
  fc.string({ unit: 'binary-ascii', maxLength: 80 }),
  fc.bigInt({ min: -(2n ** 64n), max: 2n ** 64n }).map(String),
  fc.integer().map(String),
  fc.integer({ min: -5000, max: 5000 }).map(String),
  fc.uint8Array({ maxLength: 300 }).map(text => Buffer.from(text).toString('latin1')),
  fc.constantFrom(...BORDERS.filter(text => text.length < 5000)),
)
export const elements = fc.array(element, { maxLength: 30 })

/** How to damage bytes: some changed, cut or made longer. */
export const damage = fc.record({
  changes: fc.array(fc.tuple(fc.nat(400), fc.integer({ min: 0, max: 255 })), { maxLength: 6 }),
  cut: fc.option(fc.nat(40), { nil: 0 }),
  more: fc.uint8Array({ maxLength: 4 }),
})

export function damaged(
  packed: Uint8Array,
  { changes, cut, more }: { changes: [number, number][]; cut: number; more: Uint8Array },
): Buffer {
  const copy = Buffer.concat([packed.subarray(0, Math.max(0, packed.length - cut)), more])
  for (const [at, byte] of changes) if (copy.length > 0) copy[at % copy.length] = byte
  return copy
}

/** Values of a type that real servers wrote (fixtures/rdb), decompressed. */
export async function written(type: number): Promise<{ name: string; packed: Buffer }[]> {
  const all: { name: string; packed: Buffer }[] = []
  for (const { name, bytes: file } of fixtures()) {
    const { entries } = await walk(file, { chunk: 1 << 20 })
    for (const entry of entries)
      if (entry.type === type)
        all.push({
          name: `${name}: ${entry.key}`,
          packed: Buffer.from(decodeString(file, entry.valueAt, entry.end, 0)),
        })
  }
  return all
}

/** Starts a server that takes writes, compresses nothing, and looks at all of what it is given. */
export function open(server: Server, ...args: string[]): Promise<Loaded> {
  return server.load(new Uint8Array(0), {
    args: [...WRITABLE, ...args],
  })
}

const WRITABLE = ['--replicaof', 'no', 'one', '--rdbcompression', 'no', '--sanitize-dump-payload', 'yes']

/** The packed string of a value that is nothing else, as a server dumps it. */
export async function dump(server: Loaded, key: string): Promise<{ type: number; packed: Buffer }> {
  const payload = (await server.query('DUMP', key)) as Buffer
  return { type: payload[0], packed: Buffer.from(decodeString(payload, 1, payload.length - 10, 0)) }
}

/** What RESTORE takes for such a value. */
export function payload(type: number, value: Uint8Array): Buffer {
  // Version 10 is known to all of them.
  const content = bytes(type, value, 10, 0)
  return bytes(content, checksum(content))
}

export const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1')
