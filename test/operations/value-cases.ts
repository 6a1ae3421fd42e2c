/**
 * Values that something is wrong with, and who refuses a log whose base has one: tried on redis 7.0.15, redis 8.0.6,
 * valkey 8.1.1 and valkey 9.1.2 with their default configuration.
 */
import type { ServerName } from '../../src/servers/servers.ts'
import {
  bytes,
  double,
  entry,
  int64,
  len,
  listpack,
  type Piece,
  rdb,
  select,
  str,
  ziplist,
} from '../rdb/build.ts'
import { DAMAGES } from '../rdb/encodings/streams.ts'

export interface ValueCase {
  readonly name: string
  /** Magic and version: the first that has the type, so that servers that do not know it refuse the file for that. */
  readonly header: string
  readonly pieces: readonly Piece[]
  /** What is to be found; undefined: nothing is. */
  readonly code: string | undefined
  /** Servers that refuse it, of those that know magic and type: all, valkey 9.1 as the only one to look closely, none. */
  readonly refused: 'all' | 'close' | 'none' | readonly ServerName[]
}

/** The file: the case, and a key behind it. */
export function fileOf({ header, pieces }: ValueCase): Buffer {
  return rdb(header, ...pieces, entry(0, 'last', str('value')))
}

const cases: ValueCase[] = []
let header = 'REDIS0010'

function add(
  name: string,
  refused: ValueCase['refused'],
  code: string | undefined,
  ...pieces: readonly Piece[]
): void {
  cases.push({ name, header, pieces, code, refused })
}

const KEY = 'key'
const value = (type: number, ...encoded: Piece[]): Piece => entry(type, KEY, ...encoded)
const packed = (type: number, text: Uint8Array): Piece => value(type, str(text))

function texts(count: number, text: (i: number) => string): string[] {
  return Array.from({ length: count }, (_, i) => text(i))
}

/** So many members or fields, each with something behind it. */
const pairs = (count: number, second = '1'): string[] =>
  texts(count, i => `m${i}`).flatMap(name => [name, second])

function with32(packed: Uint8Array, at: number, number: number): Buffer {
  const changed = Buffer.from(packed)
  changed.writeUInt32LE(number, at)
  return changed
}

function with16(packed: Uint8Array, at: number, number: number): Buffer {
  const changed = Buffer.from(packed)
  changed.writeUInt16LE(number, at)
  return changed
}

/** The byte at `at`, from the end where that is negative, is another one. */
export function withByte(packed: Uint8Array, at: number, byte: number): Buffer {
  const changed = Buffer.from(packed)
  changed[at < 0 ? changed.length + at : at] = byte
  return changed
}

/** With more bytes behind the end byte, and a size that has room for them. */
function extended(packed: Uint8Array, ...more: number[]): Buffer {
  const longer = bytes(packed, ...more)
  return with32(longer, 0, longer.length)
}

const UNKNOWN = 65_535
const listpackCount = (packed: Uint8Array, count: number): Buffer => with16(packed, 4, count)
const ziplistCount = (packed: Uint8Array, count: number): Buffer => with16(packed, 8, count)

function intset(width: 2 | 4 | 8, count: number, ...members: number[]): Buffer {
  const set = Buffer.alloc(8 + members.length * width)
  set.writeUInt32LE(width, 0)
  set.writeUInt32LE(count, 4)
  members.forEach((member, i) => {
    if (width === 8) set.writeBigInt64LE(BigInt(member), 8 + 8 * i)
    else set.writeIntLE(member, 8 + width * i, width)
  })
  return set
}

/** A listpack of elements that are encoded already. */
function listpackOf(...elements: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(elements)
  const head = Buffer.alloc(6)
  head.writeUInt32LE(body.length + 7, 0)
  head.writeUInt16LE(elements.length, 4)
  return bytes(head, body, 0xff)
}

const textElement = (text: string): Buffer => bytes(0x80 | text.length, Buffer.from(text), 1 + text.length)
const int64Element = (number: bigint): Buffer => bytes(0xf4, int64(number), 9)

// Elements that are there twice.
const twice = (what: string, refused: ValueCase['refused'], ...pieces: Piece[]) =>
  add(`${what}, an element twice`, refused, 'rdb.value.duplicate', ...pieces)
twice('a set', 'all', value(2, len(3), str('a'), str('b'), str('a')))
twice('a set of integers', 'all', value(2, len(3), [0xc0, 7], str('8'), str('7')))
twice('a set of 601', 'all', value(2, len(601), texts(600, i => `m${i}`).map(str), str('m599')))
twice('a sorted set', 'all', value(5, len(2), str('a'), double(1), str('a'), double(2)))
twice('a sorted set of texts', 'all', value(3, len(2), str('a'), 1, 0x31, str('a'), 1, 0x32))
const field = (name: string, text: string): Piece => [str(name), str(text)]
const AA = [field('a', '1'), field('a', '2')]
twice('a hash', 'close', value(4, len(2), AA))
twice(
  'a hash of 512',
  'close',
  value(
    4,
    len(512),
    texts(511, i => `m${i}`).map(name => field(name, 'v')),
    field('m5', 'w'),
  ),
)
twice(
  'a hash of 513',
  'all',
  value(
    4,
    len(513),
    texts(512, i => `m${i}`).map(name => field(name, 'v')),
    field('m5', 'w'),
  ),
)
for (const [size, refused] of [
  [64, 'close'],
  [65, 'all'],
] as const) {
  const long = 'x'.repeat(size)
  twice(`a hash with a name of ${size} bytes`, refused, value(4, len(3), AA, field(long, 'b')))
  twice(`a hash with a value of ${size} bytes`, refused, value(4, len(3), AA, field('b', long)))
  twice(`a hash that begins with a value of ${size} bytes`, refused, value(4, len(3), field('b', long), AA))
}
twice('a hash as a listpack', 'close', packed(16, listpack('a', '1', 'a', '2')))
twice('a hash as a listpack of 512', 'close', packed(16, listpack(...pairs(511), 'm5', '1')))
twice('a hash as a listpack of 513', 'all', packed(16, listpack(...pairs(512), 'm5', '1')))
twice('a sorted set as a listpack', 'close', packed(17, listpack('a', '1', 'a', '2')))
twice('a sorted set as a listpack of 128', 'close', packed(17, listpack(...pairs(127), 'm5', '1')))
twice('a sorted set as a listpack of 129', 'all', packed(17, listpack(...pairs(128), 'm5', '1')))
twice('a listpack that says 129', 'all', packed(17, listpackCount(listpack('a', '1', 'a', '2'), 258)))
twice(
  'a listpack that says 128 and a half',
  'close',
  packed(17, listpackCount(listpack('a', '1', 'a', '2'), 257)),
)
twice(
  'a listpack that does not say how many',
  'close',
  packed(16, listpackCount(listpack('a', '1', 'a', '2'), UNKNOWN)),
)
twice(
  '513 that do not say how many',
  'all',
  packed(16, listpackCount(listpack(...pairs(512), 'm5', '1'), UNKNOWN)),
)
twice('a hash as a ziplist', 'all', packed(13, ziplist('a', '1', 'a', '2')))
twice('a sorted set as a ziplist', 'all', packed(12, ziplist('a', '1', 'a', '2')))
twice('a hash as a zipmap', 'all', packed(9, bytes(2, 1, 97, 1, 0, 98, 1, 97, 1, 0, 98, 255)))
twice('an intset of 513', 'all', packed(11, intset(2, 513, ...texts(513, i => `${i >> 1}`).map(Number))))

// Elements that are not whole.
add('a hash as a listpack, a name alone', 'close', 'rdb.hash.pairs', packed(16, listpack('a', '1', 'b')))
add(
  'a sorted set as a listpack, a member alone',
  'close',
  'rdb.zset.pairs',
  packed(17, listpack('a', '1', 'b')),
)
add('the same of 129', 'all', 'rdb.zset.pairs', packed(17, listpack(...pairs(129), 'b')))
add('a hash of 513, a name alone', 'all', 'rdb.hash.pairs', packed(16, listpack(...pairs(513), 'b')))
add('a hash as a ziplist, a name alone', 'all', 'rdb.hash.pairs', packed(13, ziplist('a', '1', 'b')))
add('a sorted set as a ziplist, a member alone', 'all', 'rdb.zset.pairs', packed(12, ziplist('a', '1', 'b')))
add('a zipmap, a name alone', 'all', 'rdb.zipmap.element', packed(9, bytes(1, 1, 97, 255)))

// Listpacks.
const FOUR = listpack('a', '1', 'b', '2')
/** Index of the size behind the first element, `a`. */
const FIRST_BACK = 8
for (const [type, what] of [
  [16, 'hash'],
  [17, 'sorted set'],
] as const) {
  const listpackCase = (
    how: string,
    refused: ValueCase['refused'],
    code: string | undefined,
    text: Uint8Array,
  ) => add(`a ${what} as a listpack, ${how}`, refused, code && `rdb.listpack.${code}`, packed(type, text))
  listpackCase('count too high', 'close', 'count', listpackCount(FOUR, 6))
  listpackCase('count too low', 'close', 'count', listpackCount(FOUR, 2))
  listpackCase('count 0', 'close', 'count', listpackCount(FOUR, 0))
  listpackCase('count not said', 'none', undefined, listpackCount(FOUR, UNKNOWN))
  listpackCase('size too high', 'all', 'size', with32(FOUR, 0, FOUR.length + 1))
  listpackCase('size too low', 'all', 'size', with32(FOUR, 0, FOUR.length - 1))
  listpackCase('nothing at all', 'all', 'size', Buffer.alloc(0))
  listpackCase('no end byte', 'all', 'end', withByte(FOUR, -1, 0x7f))
  listpackCase('bytes behind the end', 'close', 'behind', extended(FOUR, 1, 2, 0xff))
  listpackCase('bytes behind its size', 'all', 'size', bytes(FOUR, 0xff))
  listpackCase('first back-length', 'close', 'backlen', withByte(FOUR, FIRST_BACK, 5))
  listpackCase('last back-length', 'close', 'backlen', withByte(FOUR, -2, 5))
  listpackCase(
    'first back-length, count not said',
    'all',
    'backlen',
    withByte(listpackCount(FOUR, UNKNOWN), FIRST_BACK, 5),
  )
  listpackCase('an element that is too long', 'close', 'element', withByte(FOUR, 6, 0x80 | 40))
  listpackCase('an element of no kind', 'close', 'element', withByte(FOUR, 6, 0xf8))
  listpackCase(
    'an element of no kind, count not said',
    'all',
    'element',
    withByte(listpackCount(FOUR, UNKNOWN), 6, 0xf8),
  )
}
const MANY = listpack(...pairs(200))
add('many in a listpack, back-length', 'all', 'rdb.listpack.backlen', packed(17, withByte(MANY, 9, 9)))
add(
  'many in a listpack, an element of no kind',
  'all',
  'rdb.listpack.element',
  packed(17, withByte(MANY, 6, 0xf8)),
)
add('many in a listpack, count too high', 'close', 'rdb.listpack.count', packed(17, listpackCount(MANY, 402)))
add('many in a listpack, count 4', 'close', 'rdb.listpack.count', packed(17, listpackCount(MANY, 4)))
add(
  'many in a listpack, bytes behind the end',
  'close',
  'rdb.listpack.behind',
  packed(17, extended(MANY, 1, 1, 0xff)),
)
add('an empty listpack', 'none', 'rdb.value.empty', packed(16, listpack()))
add(
  'an empty listpack that does not say so',
  'none',
  'rdb.value.empty',
  packed(16, listpackCount(listpack(), UNKNOWN)),
)
add('an empty listpack that says 2', 'close', 'rdb.listpack.count', packed(16, listpackCount(listpack(), 2)))

header = 'REDIS0011'
twice('a set as a listpack', 'close', packed(20, listpack('a', 'b', 'a')))
twice(
  'a set as a listpack, as integer and text',
  'close',
  packed(20, listpackOf(Buffer.of(7, 1), textElement('7'))),
)
twice('a set as a listpack of 128', 'close', packed(20, listpack(...texts(127, i => `m${i}`), 'm5')))
twice('a set as a listpack of 129', 'all', packed(20, listpack(...texts(128, i => `m${i}`), 'm5')))
add(
  'a set as a listpack, back-length',
  'close',
  'rdb.listpack.backlen',
  packed(20, withByte(listpack('a', 'b'), -2, 9)),
)
add(
  'a set of 200 as a listpack, back-length',
  'all',
  'rdb.listpack.backlen',
  packed(20, withByte(listpack(...texts(200, i => `m${i}`)), 9, 9)),
)
header = 'REDIS0010'

// Scores.
add('a score that is not a number', 'all', 'rdb.score.nan', value(5, len(1), str('a'), double(Number.NaN)))
add('a score that says so', 'all', 'rdb.score.nan', value(3, len(1), str('a'), 253))
add('a score of the text nan', 'all', undefined, value(3, len(1), str('a'), 3, Buffer.from('nan')))
add('a score of letters', 'all', 'rdb.score.text', value(3, len(1), str('a'), 3, Buffer.from('abc')))
add('a score of no text', 'all', 'rdb.score.text', value(3, len(1), str('a'), 0))
for (const text of ['1x', ' 1 ', 'inf', '-inf', '1e999', '+1', '.5', '1.', '1e-400'])
  add(
    `a score of the text "${text}"`,
    'none',
    undefined,
    value(3, len(1), str('a'), text.length, Buffer.from(text)),
  )
for (const [type, what, pack] of [
  [17, 'listpack', listpack],
  [12, 'ziplist', ziplist],
] as const) {
  const nan = (refused: ValueCase['refused'], count: number, text: string) =>
    add(
      `${count} scores in a ${what}, one of the text "${text}"`,
      refused,
      'rdb.score.nan',
      packed(type, pack(...pairs(count - 1), 'z', text)),
    )
  for (const text of ['nan', 'NAN', '-nan', '+nan', 'nan(1)', 'nanx']) nan('close', 1, text)
  nan('close', 128, 'nan')
  nan('all', 129, 'nan')
  for (const text of ['abc', '', '1x', ' 1', '1 ', 'inf', '-inf', '1e999', '0x10', '+1', '1e-400', 'n'])
    add(`a score in a ${what}, of the text "${text}"`, 'none', undefined, packed(type, pack('a', text)))
  add(`scores in a ${what} that fall`, 'none', 'rdb.score.order', packed(type, pack('a', '2', 'b', '1')))
}

// Intsets.
add('an intset that falls', 'close', 'rdb.intset.order', packed(11, intset(2, 3, 5, 3, 9)))
add('an intset, a member twice', 'close', 'rdb.intset.order', packed(11, intset(2, 3, 5, 5, 9)))
add(
  'an intset of 600 that falls',
  'close',
  'rdb.intset.order',
  packed(11, intset(2, 600, ...texts(600, i => `${600 - i}`).map(Number))),
)
add('an intset, count too high', 'all', 'rdb.intset.size', packed(11, intset(2, 4, 1, 2, 3)))
add('an intset, count too low', 'all', 'rdb.intset.size', packed(11, intset(2, 2, 1, 2, 3)))
add('an intset of width 3', 'all', 'rdb.intset.encoding', packed(11, withByte(intset(2, 2, 1, 2), 0, 3)))
add('an intset that is wider than it need be', 'none', undefined, packed(11, intset(8, 2, 1, 2)))
add('an empty intset', 'all', 'rdb.intset.empty', packed(11, intset(2, 0)))
add('half an intset', 'all', 'rdb.intset.size', packed(11, Buffer.of(2, 0, 0, 0)))

// Ziplists.
const ZIPLIST = ziplist('a', '1', 'b', '2')
for (const [type, what] of [
  [10, 'list'],
  [12, 'sorted set'],
  [13, 'hash'],
  [14, 'quicklist'],
] as const) {
  const ziplistCase = (
    how: string,
    refused: ValueCase['refused'],
    code: string | undefined,
    text: Uint8Array,
  ) => {
    const encoded = type === 14 ? value(14, len(2), str(ziplist('q')), str(text)) : packed(type, text)
    add(`a ${what} as a ziplist, ${how}`, refused, code && `rdb.ziplist.${code}`, encoded)
  }
  ziplistCase('count too high', 'all', 'count', ziplistCount(ZIPLIST, 6))
  ziplistCase('count too low', 'all', 'count', ziplistCount(ZIPLIST, 2))
  ziplistCase('count not said', 'none', undefined, ziplistCount(ZIPLIST, UNKNOWN))
  ziplistCase('size too high', 'all', 'size', with32(ZIPLIST, 0, ZIPLIST.length + 1))
  ziplistCase('tail', 'all', 'tail', with32(ZIPLIST, 4, 10))
  ziplistCase('length of the one before', 'all', 'prevlen', withByte(ZIPLIST, 13, 9))
  ziplistCase('length of the one before the first', 'all', 'prevlen', withByte(ZIPLIST, 10, 5))
  ziplistCase('no end byte', 'all', 'end', withByte(ZIPLIST, -1, 0x7f))
  ziplistCase('bytes behind the end', 'all', 'behind', extended(ZIPLIST, 0xff))
  ziplistCase('an element that is too long', 'all', 'element', withByte(ZIPLIST, 11, 60))
  ziplistCase('an element of no kind', 'all', 'element', withByte(ZIPLIST, 11, 0xff))
  ziplistCase('nothing at all', 'all', 'size', Buffer.alloc(0))
}
add('an empty ziplist', 'none', 'rdb.value.empty', packed(13, ziplist()))

// Zipmaps.
add('a zipmap, count too high', 'all', 'rdb.zipmap.count', packed(9, bytes(5, 1, 97, 1, 0, 98, 255)))
add('a zipmap, count not said', 'none', undefined, packed(9, bytes(254, 1, 97, 1, 0, 98, 255)))
add('a zipmap without its end', 'all', 'rdb.zipmap.end', packed(9, bytes(1, 1, 97, 1, 0, 98)))
add(
  'a zipmap, bytes behind the end',
  'none',
  'rdb.zipmap.behind',
  packed(9, bytes(1, 1, 97, 1, 0, 98, 255, 255)),
)
add('an empty zipmap', 'all', 'rdb.zipmap.empty', packed(9, bytes(0, 255)))
add('a zipmap with room left', 'none', undefined, packed(9, bytes(1, 1, 97, 1, 2, 98, 0, 0, 255)))
add(
  'a zipmap, a name that is too long',
  'all',
  'rdb.zipmap.element',
  packed(9, bytes(1, 9, 97, 1, 0, 98, 255)),
)
add('nothing of a zipmap', 'all', 'rdb.zipmap.size', packed(9, Buffer.alloc(0)))

// Quicklists.
const node = (container: number, content: Uint8Array | string): Piece => [len(container), str(content)]
const NODE = listpack('a', 'b')
add('a node of kind 0', 'all', 'rdb.quicklist.container', value(18, len(1), node(0, NODE)))
add('a node of kind 3', 'all', 'rdb.quicklist.container', value(18, len(1), node(3, NODE)))
add(
  'an empty node and another one',
  'none',
  'rdb.quicklist.node',
  value(18, len(2), node(2, listpack()), node(2, NODE)),
)
add('only an empty node', 'none', 'rdb.value.empty', value(18, len(1), node(2, listpack())))
add('a node of nothing', 'all', 'rdb.listpack.size', value(18, len(1), node(2, '')))
add('a plain node', 'none', undefined, value(18, len(1), node(1, 'x')))
add('a plain node of nothing', 'all', 'rdb.quicklist.plain', value(18, len(2), node(1, ''), node(1, 'x')))
add('a node, size', 'all', 'rdb.listpack.size', value(18, len(1), node(2, with32(NODE, 0, 5))))
add('a node, count', 'close', 'rdb.listpack.count', value(18, len(1), node(2, listpackCount(NODE, 3))))
add('a node, back-length', 'close', 'rdb.listpack.backlen', value(18, len(1), node(2, withByte(NODE, 8, 9))))
add(
  'a node, an element of no kind',
  'close',
  'rdb.listpack.element',
  value(18, len(1), node(2, withByte(NODE, 6, 0xf8))),
)

// Collections without elements.
for (const type of [1, 2, 3, 4, 5, 14, 18])
  add(`nothing in type ${type}`, 'none', 'rdb.value.empty', value(type, len(0)))

// Keys.
const key = (name: string): Piece => entry(0, name, str('value'))
add('a key twice', 'all', 'rdb.key.duplicate', key('a'), key('a'))
add(
  'a key twice, between others',
  'all',
  'rdb.key.duplicate',
  key('a'),
  select(1),
  key('b'),
  select(0),
  key('a'),
)
add('a key twice, once as an integer', 'all', 'rdb.key.duplicate', key('7'), [0, 0xc0, 7, str('value')])
add(
  'a key twice, once compressed',
  'all',
  'rdb.key.duplicate',
  [0, 0xc3, len(5), len(10), Buffer.of(0, 97, 0xe0, 0, 0), str('x')],
  key('a'.repeat(10)),
)
add('a key twice, expired', 'all', 'rdb.key.duplicate', [252, int64(5), key('a')], key('a'))
add('the empty key twice', 'all', 'rdb.key.duplicate', key(''), key(''))
add('a long key twice', 'all', 'rdb.key.duplicate', key('k'.repeat(20_000)), key('k'.repeat(20_000)))
add('a key in two databases', 'none', undefined, key('a'), select(1), key('a'))
add('a key behind an empty one', 'none', 'rdb.value.empty', entry(1, 'a', len(0)), key('a'))
add('a key before an empty one', 'none', 'rdb.value.empty', key('a'), entry(1, 'a', len(0)))
add(
  'a key behind one that says it is empty',
  'close',
  'rdb.listpack.count',
  entry(16, 'a', str(listpackCount(FOUR, 0))),
  key('a'),
)

add(
  'a key behind one that says it is empty and cannot be read',
  'close',
  'rdb.listpack.element',
  entry(16, 'a', str(listpackCount(withByte(FOUR, 6, 0xf8), 0))),
  key('a'),
)

// Compressed strings.
const BAD_LZF = [0xc3, len(3), len(10), Buffer.of(1, 97, 98)]
add('a string that becomes too short', 'all', 'rdb.lzf', value(0, BAD_LZF))
add(
  'a string that becomes too long',
  'all',
  'rdb.lzf',
  value(0, 0xc3, len(5), len(5), Buffer.of(0, 97, 0xe0, 0, 0)),
)
add(
  'a string of 2^40 bytes, it says',
  'all',
  'rdb.lzf',
  value(0, 0xc3, len(3), len(2n ** 40n), Buffer.of(1, 97, 98)),
)
add('a listpack that becomes too short', 'all', 'rdb.lzf', value(16, BAD_LZF))
add('a member that becomes too short', 'all', 'rdb.lzf', value(2, len(1), BAD_LZF))
add('a key that becomes too short', 'all', 'rdb.lzf', [0, BAD_LZF, str('value')])

// Functions.
const library = (head: string, name = 'f'): Piece =>
  bytes(245, str(`${head}\nredis.register_function('${name}', function() end)`))
add('a library', 'none', undefined, library('#!lua name=l'))
add('a library by any case', 'none', undefined, library('#!LUA NAME=l_9Z'))
add('a library in quotes', 'none', undefined, library(`#!lua  "name=\\x6c" `))
add('a library with a carriage return', 'none', undefined, library('#!lua\tname=l\r'))
add(
  'libraries whose names differ in case',
  'none',
  undefined,
  library('#!lua name=l'),
  library('#!lua name=L', 'g'),
)
add('a library twice', 'all', 'rdb.function.duplicate', library('#!lua name=l'), library('#!lua name=l', 'g'))
for (const head of [
  '',
  ' #!lua name=l',
  '#!',
  '#! lua name=l',
  '#!js name=l',
  '#!lua',
  '#!lua name=',
  '#!lua name=l-x',
  '#!lua name=é',
  '#!lua name=l x=1',
  '#!lua name=l name=m',
  '#!lua name=l\0',
])
  add(`a library of "${head}"`, 'all', 'rdb.function.header', library(head))
add('a library of one line', 'all', 'rdb.function.header', bytes(245, str('#!lua name=l')))
add('a library of nothing', 'all', 'rdb.function.header', bytes(245, str('')))
add('a library that cannot be decompressed', 'all', 'rdb.lzf', bytes(245, BAD_LZF))

// Fields that expire, of Redis.
header = 'REDIS0012'
const LATER = 1_900_000_000_000n
const expiring = (earliest: bigint, ...fields: [expiry: bigint, name: string, text: string][]): Piece =>
  value(
    24,
    int64(earliest),
    len(fields.length),
    fields.map(([expiry, name, text]) => [len(expiry), field(name, text)]),
  )
const many = (count: number) =>
  texts(count, i => `m${i}`).map(name => [1n, name, 'v'] as [bigint, string, string])
add('fields that expire', 'none', undefined, expiring(LATER, [1n, 'a', 'b'], [0n, 'c', 'd']))
add('fields that do not expire', 'none', undefined, expiring(0n, [0n, 'a', 'b']))
add('the latest expiry', 'none', undefined, expiring(2n ** 48n - 1n, [1n, 'a', 'b']))
add('an expiry beyond the latest', 'all', 'rdb.hash.expiry', expiring(2n ** 48n, [1n, 'a', 'b']))
add('an expiry that goes round', 'none', undefined, expiring(LATER, [2n ** 64n - 1n, 'a', 'b']))
add('an earliest expiry of -1', 'all', 'rdb.hash.earliest', expiring(-1n, [1n, 'a', 'b']))
add('an earliest expiry of -5, and none', 'all', 'rdb.hash.earliest', expiring(-5n, [0n, 'a', 'b']))
twice('fields that expire', 'none', expiring(LATER, [1n, 'a', 'b'], [2n, 'a', 'd']))
twice('fields that expire, 513', 'all', expiring(LATER, ...many(512), [1n, 'm4', 'x']))
twice(
  'fields that expire, one of them long',
  'all',
  expiring(LATER, [1n, 'a', 'b'], [2n, 'a', 'd'], [1n, 'c', 'x'.repeat(65)]),
)
add('no fields that expire', 'none', 'rdb.value.empty', expiring(0n))
const preRelease = (...fields: [expiry: bigint, name: string, text: string][]): Piece =>
  value(
    22,
    len(fields.length),
    fields.map(([expiry, name, text]) => [len(expiry), field(name, text)]),
  )
add('a pre-release', 'none', undefined, preRelease([LATER, 'a', 'b']))
add('a pre-release, beyond the latest', 'all', 'rdb.hash.expiry', preRelease([2n ** 48n, 'a', 'b']))
twice('a pre-release', 'none', preRelease([LATER, 'a', 'b'], [0n, 'a', 'c']))
twice(
  'a pre-release, one of them long',
  'all',
  preRelease([LATER, 'a', 'b'], [0n, 'a', 'c'], [0n, 'b', 'x'.repeat(65)]),
)
const expiringListpack = (text: Uint8Array): Piece => value(25, int64(5), str(text))
const triples = (count: number, text = '5') => texts(count, i => `m${i}`).flatMap(name => [name, 'v', text])
add('a listpack with expiries', 'none', undefined, expiringListpack(listpack('a', 'b', '5', 'c', 'd', '0')))
add(
  'a listpack with expiries, out of order',
  'none',
  'rdb.hash.order',
  expiringListpack(listpack('a', 'b', '9', 'c', 'd', '5')),
)
add(
  'a listpack with expiries, none before some',
  'none',
  'rdb.hash.order',
  expiringListpack(listpack('a', 'b', '0', 'c', 'd', '5')),
)
twice('a listpack with expiries', 'none', expiringListpack(listpack('a', 'b', '5', 'a', 'd', '5')))
twice('a listpack with 513 expiries', 'all', expiringListpack(listpack(...triples(512), 'm3', 'v', '5')))
add(
  'a listpack with 4 elements for triples',
  'none',
  'rdb.hash.pairs',
  expiringListpack(listpack('a', 'b', '0', 'c')),
)
add(
  'a listpack with 513 triples and a half',
  'all',
  'rdb.hash.pairs',
  expiringListpack(listpack(...triples(513), 'x')),
)
add('a first expiry that is a text', 'all', 'rdb.hash.expiry', expiringListpack(listpack('a', 'b', 'x')))
add(
  'a second expiry that is a text',
  'none',
  'rdb.hash.expiry',
  expiringListpack(listpack('a', 'b', '5', 'c', 'd', 'x')),
)
add(
  '513 expiries, one of them a text',
  'all',
  'rdb.hash.expiry',
  expiringListpack(listpack(...triples(512), 'm', 'v', 'x')),
)
add(
  'a negative expiry in a listpack',
  'none',
  'rdb.hash.expiry',
  expiringListpack(listpackOf(textElement('a'), textElement('b'), int64Element(-5n))),
)
add(
  'an expiry beyond the latest in a listpack',
  'none',
  'rdb.hash.expiry',
  expiringListpack(listpackOf(textElement('a'), textElement('b'), int64Element(2n ** 48n))),
)
add(
  'a negative expiry among 513',
  'all',
  'rdb.hash.expiry',
  expiringListpack(listpackCount(listpackOf(textElement('a'), textElement('b'), int64Element(-5n)), 3 * 513)),
)
const TRIPLES = listpack('a', 'b', '5', 'c', 'd', '0')
add('triples, count too high', 'none', 'rdb.listpack.count', expiringListpack(listpackCount(TRIPLES, 9)))
add('triples, first back-length', 'all', 'rdb.listpack.backlen', expiringListpack(withByte(TRIPLES, 8, 9)))
add('triples, fourth back-length', 'none', 'rdb.listpack.backlen', expiringListpack(withByte(TRIPLES, 16, 9)))
add(
  'triples, a first element of no kind',
  'all',
  'rdb.listpack.element',
  expiringListpack(withByte(TRIPLES, 6, 0xf8)),
)
add(
  'triples, a fourth element of no kind',
  'none',
  'rdb.listpack.element',
  expiringListpack(withByte(TRIPLES, 14, 0xf8)),
)
add(
  'a pre-release listpack, a first expiry that is a text',
  'all',
  'rdb.hash.expiry',
  packed(23, listpack('a', 'b', 'x')),
)

// Streams.
header = 'REDIS0010'
for (const { name, value: encoded, error, odd = [], refused } of DAMAGES)
  add(
    `a stream: ${name}`,
    typeof refused !== 'string' && refused.length === 1 ? 'close' : refused,
    error ?? odd[0],
    value(19, encoded),
  )

// And of Valkey.
header = 'VALKEY080'
const volatile = (...fields: [name: string, text: string, expiry: bigint][]): Piece =>
  value(
    22,
    len(fields.length),
    fields.map(([name, text, expiry]) => [field(name, text), int64(expiry)]),
  )
add(
  'volatile fields',
  'none',
  undefined,
  volatile(['a', 'b', -1n], ['c', 'd', LATER], ['e', 'f', 0n], ['g', 'h', 2n ** 63n - 1n]),
)
add('a volatile field before 1970', 'all', 'rdb.hash.expiry', volatile(['a', 'b', -5n]))
twice('volatile fields', 'all', volatile(['a', 'b', LATER], ['a', 'c', -1n]))
add('no volatile fields', 'none', 'rdb.value.empty', volatile())
twice('a hash of Valkey 9', 'close', value(4, len(2), AA))
add('a listpack of Valkey 9, a name alone', 'close', 'rdb.hash.pairs', packed(16, listpack('a', '1', 'b')))

export const VALUE_CASES: readonly ValueCase[] = cases
