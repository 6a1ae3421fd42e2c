/** A value of each type that there is, in every form that its layout tells apart. */
import {
  bytes,
  checksum,
  double,
  entry,
  int64,
  len,
  listpack,
  type Piece,
  select,
  str,
  ziplist,
} from './build.ts'

export interface Value {
  type: number
  name: string
  /** Magic and version that first have it. */
  header: string
  encoded: Piece[]
  /** False where servers look into the value and refuse it: it has the form and no sense. */
  loads: boolean
}

const id = (sequence: number): Buffer => Buffer.concat([Buffer.alloc(15), Buffer.of(sequence)])
const NOW = int64(1_700_000_000_000)

function stream(version: 1 | 2 | 3 | 4 | 5): Piece[] {
  const from = (first: number, ...pieces: Piece[]) => (version >= first ? pieces : [])
  const node = listpack('1', '0', '1', 'field', '0', '2', '0', '0', 'value', '4')
  const consumer = (name: string, ...pending: Buffer[]) => [
    ...[str(name), NOW, from(3, NOW), len(pending.length)],
    ...pending,
  ]
  return [
    [len(1), str(id(1)), str(node), len(1)],
    [len(2n ** 63n), len(0), from(2, len(0), len(1), len(0), len(0), len(5))],
    [len(2), str('group'), len(0), len(2), from(2, len(2n ** 64n - 1n))],
    [len(2), id(1), NOW, len(1), id(2), NOW, len(300)],
    [len(3), consumer('reader', id(1)), consumer('other', id(2)), consumer('idle')],
    from(5, len(1), id(1)),
    [str('empty'), len(0), len(0), from(2, len(0)), len(0), len(0), from(5, len(0))],
    from(4, len(100), len(10), len(1), str('producer'), len(2)),
    from(4, str('first'), len(1), len(2), str('second'), len(3), len(4), len(7), len(8)),
  ]
}

/** What a module may write, each once. */
export const MODULE_DATA: Piece[] = [
  [len(2), len(2n ** 64n - 1n), len(1), len(5)],
  [len(3), Buffer.alloc(4), len(4), double(1.5), len(5), str('text'), len(0)],
]

const value = (type: number, name: string, header: string, ...encoded: Piece[]): Value => ({
  ...{ type, name, header, encoded },
  loads: true,
})
const form = (...args: Parameters<typeof value>): Value => ({ ...value(...args), loads: false })
const pair = (field: string, text: string): Piece[] => [str(field), str(text)]
const score = (member: string, text: string): Piece[] => [str(member), text.length, Buffer.from(text)]

export const VALUES: Value[] = [
  value(0, 'string', 'REDIS0001', str('text')),
  value(0, '14-bit string', 'REDIS0006', str('x'.repeat(64))),
  value(0, '32-bit string', 'REDIS0006', 0x80, 0, 0, 0, 2, Buffer.from('ab')),
  value(0, '64-bit string', 'REDIS0009', 0x81, 0, 0, 0, 0, 0, 0, 0, 2, Buffer.from('ab')),
  value(0, '8-bit integer', 'REDIS0006', 0xc0, 0x80),
  value(0, '16-bit integer', 'REDIS0006', 0xc1, 0, 1),
  value(0, '32-bit integer', 'REDIS0006', 0xc2, 0, 0, 0, 1),
  value(0, 'compressed string', 'REDIS0006', 0xc3, len(5), len(10), Buffer.of(0, 97, 0xe0, 0, 0)),
  form(0, 'longer compressed string', 'REDIS0006', 0xc3, len(100), len(70_000), Buffer.alloc(100)),
  value(1, 'list', 'REDIS0001', len(3), str('a'), str(''), [0xc0, 7]),
  value(1, 'list whose count looks like an encoding', 'REDIS0001', 0xc2, str('a'), str('b')),
  value(1, 'empty list', 'REDIS0001', len(0)),
  value(2, 'set', 'REDIS0001', len(2), str('a'), str('b')),
  value(3, 'sorted set of texts', 'REDIS0001', len(3), score('a', '1.5'), str('b'), 254, str('c'), 255),
  form(3, 'sorted set of texts, not a number', 'REDIS0001', len(1), str('a'), 253),
  value(4, 'hash', 'REDIS0001', len(2), pair('f', 'v'), pair('g', 'w')),
  value(5, 'sorted set', 'REDIS0008', len(2), str('a'), double(1), str('b'), double(2)),
  form(7, 'module value', 'REDIS0008', len(2n ** 63n + 7n), MODULE_DATA),
  value(9, 'zipmap', 'REDIS0002', str(bytes(1, 1, 97, 1, 0, 98, 255))),
  value(10, 'list as a ziplist', 'REDIS0002', str(ziplist('a', 'b'))),
  value(11, 'intset', 'REDIS0002', str(bytes(2, 0, 0, 0, 1, 0, 0, 0, 5, 0))),
  value(12, 'sorted set as a ziplist', 'REDIS0002', str(ziplist('a', '1'))),
  value(13, 'hash as a ziplist', 'REDIS0004', str(ziplist('a', 'b'))),
  value(14, 'quicklist', 'REDIS0007', len(2), str(ziplist('a')), str(ziplist('b', 'c'))),
  value(15, 'stream', 'REDIS0009', stream(1)),
  value(16, 'hash as a listpack', 'REDIS0010', str(listpack('a', 'b'))),
  value(17, 'sorted set as a listpack', 'REDIS0010', str(listpack('a', '1'))),
  value(18, 'quicklist of listpacks', 'REDIS0010', len(2), [len(2), str(listpack('a'))], [len(1), str('b')]),
  value(19, 'stream, second version', 'REDIS0010', stream(2)),
  value(20, 'set as a listpack', 'REDIS0011', str(listpack('a'))),
  value(21, 'stream, third version', 'REDIS0011', stream(3)),
  value(22, 'hash with expiries, pre-release', 'REDIS0012', len(1), len(2n ** 41n), pair('f', 'v')),
  value(
    22,
    'hash with expiries',
    'VALKEY080',
    len(2),
    pair('f', 'v'),
    int64(-1),
    pair('g', 'w'),
    int64(2n ** 41n),
  ),
  value(23, 'listpack with expiries, pre-release', 'REDIS0012', str(listpack('f', 'v', '0'))),
  value(
    24,
    'hash with expiries',
    'REDIS0012',
    int64(2n ** 41n),
    len(2),
    len(1),
    pair('f', 'v'),
    len(0),
    pair('g', 'w'),
  ),
  value(25, 'listpack with expiries', 'REDIS0012', int64(0), str(listpack('f', 'v', '0'))),
  value(26, 'stream, fourth version', 'REDIS0013', stream(4)),
  value(27, 'stream, fifth version', 'REDIS0014', stream(5)),
  value(
    ...([28, 'array', 'REDIS0014', len(3), len(0)] as const),
    ...[
      [len(0), len(0), str('a')],
      [len(5), len(1), int64(1)],
      [len(2n ** 40n), len(2), double(1)],
    ],
  ),
  value(28, 'array with a place', 'REDIS0014', len(1), len(1), len(7), len(0), len(3), str('short')),
  value(
    29,
    'names in a listpack',
    'REDIS0015',
    len(0),
    str(listpack('f', 'g')),
    str(listpack('0', 'v', 'w')),
  ),
  value(
    29,
    'names one by one',
    'REDIS0015',
    len(1),
    len(2),
    str('f'),
    str('g'),
    str(listpack('0', 'v', 'w')),
  ),
  value(30, 'hash of a template, listpack', 'REDIS0015', str(listpack('7', 'v', 'w'))),
  value(31, 'names and values', 'REDIS0015', len(1), len(2), str('f'), str('g'), str('v'), str('w')),
  value(32, 'hash of a template', 'REDIS0015', len(7), str('v'), str('w')),
]

/** A file with that value, under `key`, between two other keys of database 2; where its entry begins and ends. */
export function around({ header, type, encoded }: Value): { file: Buffer; at: number; end: number } {
  const templates = header === 'REDIS0015' ? [242, len(7), len(2), str('f'), str('g')] : []
  const before = bytes(Buffer.from(header), templates, select(2), entry(0, 'before', str('value')))
  const middle = entry(type, 'key', encoded)
  const content = bytes(before, middle, entry(0, 'after', str('value')), 0xff)
  const version = Number(header.slice(-3))
  return {
    file: version < 5 ? content : bytes(content, checksum(content)),
    at: before.length,
    end: before.length + middle.length,
  }
}
