import { describe, it } from 'vitest'
import { writePayload } from '../../../src/rdb/payload.ts'
import { foundServers } from '../../helpers/servers.ts'
import { bytes, double, entry, len, listpack, rdb, str, ziplist } from '../../rdb/build.ts'
import { type Command, expectSame } from '../loading.ts'

/*
 * Servers keep a small sorted set packed, with scores as text, in which a zero has no sign; one that has grown is not
 * packed any more, also when it shrinks. Whether -0 keeps its sign says which of the two it is.
 */

const LONG = 'm'.repeat(65)
const FITS = 'm'.repeat(64)

/** `-0 FIRST … -0 LAST`. */
const zeros = (count: number, from = 0): string[] =>
  Array.from({ length: count }, (_, i) => ['-0', `m${from + i}`]).flat()

/** One command a member. */
const single = (key: string, count: number): Command[] =>
  Array.from({ length: count }, (_, i) => ['ZADD', key, '-0', `m${i}`])

const CASES: Readonly<Record<string, readonly Command[]>> = {
  'keeps no sign while it is small': [
    ['ZADD', 'z', '-0', 'a', '-0', FITS],
    ['ZADD', 'z', '-0', 'b'],
    ['ZINCRBY', 'z', '-0', 'c'],
  ],
  'keeps signs from a long member on': [
    ['ZADD', 'z', '-0', 'a'],
    ['ZADD', 'z', '-0', LONG],
    ['ZADD', 'z', '-0', 'b'],
    ['ZADD', 'z', '0', LONG, '-0', 'a', '5', 'b'],
    ['ZADD', 'z', '-0', 'b'],
  ],
  'keeps them, or not, of members before a long one in the command that makes it': [
    ['ZADD', 'last', '-0', 'a', '-0', LONG, '-0', 'b'],
    ['ZADD', 'first', '-0', LONG, '-0', 'a'],
    ['GEOADD', 'places', '1', '1', 'a', '2', '2', LONG],
    ['ZADD', 'places', '-0', 'b'],
  ],
  'keeps them, or not, of members before a long one in a later command': [
    ['ZADD', 'z', '1', 'x'],
    ['ZADD', 'z', '-0', 'a', '-0', LONG, '-0', 'b'],
    ['ZADD', 'xx', '1', 'x'],
    ['ZADD', 'xx', 'XX', '1', LONG],
    ['ZADD', 'xx', '-0', 'a'],
    ['ZADD', 'nx', '1', 'x'],
    ['ZADD', 'nx', 'NX', '-0', 'a', '-0', LONG, '-0', 'b'],
    ['ZADD', 'incr', '1', 'x'],
    ['ZADD', 'incr', 'INCR', '-0', LONG],
    ['ZADD', 'incr', '-0', 'a'],
    ['ZINCRBY', 'z', '-0', 'c'],
  ],
  'keeps them from the 129th member on': [...single('z', 130), ['ZADD', 'z', '-0', 'm3', '4', 'm5']],
  'keeps no sign of 128': [...single('z', 128), ['ZADD', 'z', '1', 'm3'], ['ZADD', 'z', '-0', 'm3']],
  'counts what a command brings, or not': [
    ['ZADD', 'exact', ...zeros(128)],
    ['ZADD', 'more', ...zeros(129)],
    ['ZADD', 'many', ...zeros(200)],
    ['ZADD', 'there', '-0', 'x'],
    ['ZADD', 'there', ...zeros(200)],
    ['ZADD', 'doubled', ...zeros(70), ...zeros(70)],
    ['ZADD', 'doubled', '-0', 'x'],
    ['ZADD', 'xx', '1', 'x'],
    ['ZADD', 'xx', 'XX', ...zeros(200)],
    ['ZADD', 'xx', '-0', 'a'],
    ['GEOADD', 'places', ...Array.from({ length: 70 }, () => ['1', '1', 'a', '2', '2', 'b']).flat()],
    ['ZADD', 'places', '-0', 'c'],
  ],
  'keeps them when it shrinks, and not when it begins anew': [
    ['ZADD', 'long', '1', LONG],
    ['ZADD', 'long', '1', 'x'],
    ['ZREM', 'long', LONG],
    ['ZADD', 'long', '-0', 'a'],
    ...single('many', 140),
    ['ZREMRANGEBYRANK', 'many', '2', '-1'],
    ['ZADD', 'many', '-0', 'a'],
    ['ZADD', 'anew', '-0', LONG],
    ['ZREM', 'anew', LONG],
    ['ZADD', 'anew', '-0', 'a'],
    ['ZADD', 'deleted', '-0', LONG],
    ['DEL', 'deleted'],
    ['ZADD', 'deleted', '-0', 'a'],
  ],
  'keeps them where it is copied, renamed or moved': [
    ['ZADD', 'z', '1', LONG, '1', 'x'],
    ['ZREM', 'z', LONG],
    ['COPY', 'z', 'copy'],
    ['COPY', 'z', 'z', 'DB', '2'],
    ['ZADD', 'copy', '-0', 'a'],
    ['RENAME', 'z', 'renamed'],
    ['ZADD', 'renamed', '-0', 'a'],
    ['MOVE', 'renamed', '3'],
    ['SELECT', '3'],
    ['ZADD', 'renamed', '-0', 'b'],
    ['SELECT', '2'],
    ['ZADD', 'z', '-0', 'b'],
  ],
  'packs what is stored when it is small': [
    ['ZADD', 'z', '-0', LONG, '-0', 'a', '-0', 'b'],
    ['ZADD', 'small', '-0', 'a', '-0', 'b'],
    ['ZUNIONSTORE', 'union', '1', 'z'],
    ['ZREM', 'z', LONG],
    ['ZADD', 'z', '-0', 'c'],
    ['ZUNIONSTORE', 'packed', '1', 'z'],
    ['ZADD', 'packed', '-0', 'd'],
    ['ZUNIONSTORE', 'weighted', '1', 'small', 'WEIGHTS', '-1'],
    ['ZINTERSTORE', 'inter', '2', 'z', 'small', 'WEIGHTS', '-1', '-1'],
    ['ZADD', 'inter', '-0', 'd'],
    ['ZDIFFSTORE', 'diff', '2', 'z', 'small'],
    ['ZADD', 'diff', '-0', 'd'],
    ['ZADD', 'many', ...zeros(129)],
    ['ZADD', 'many', ...zeros(129, 129)],
    ['ZUNIONSTORE', 'union of many', '1', 'many'],
    ['ZDIFFSTORE', 'diff of many', '2', 'many', 'small'],
    ['ZINTERSTORE', 'inter of many', '2', 'many', 'many', 'AGGREGATE', 'MIN'],
    ['ZREMRANGEBYRANK', 'inter of many', '1', '-1'],
    ['ZADD', 'inter of many', '-0', 'd'],
  ],
  'does not pack a range that is stored': [
    ['ZADD', 'z', '-0', LONG, ...zeros(200)],
    ['ZRANGESTORE', 'by rank', 'z', '0', '-1'],
    ['ZRANGESTORE', 'by score', 'z', '-inf', '+inf', 'BYSCORE'],
    ['ZRANGESTORE', 'by lex', 'z', '-', '+', 'BYLEX'],
    ['ZRANGESTORE', 'few', 'z', '0', '9'],
    ['ZRANGESTORE', 'exact', 'z', '0', '127'],
    ['ZRANGESTORE', 'more', 'z', '0', '128'],
    ['ZRANGESTORE', 'reversed', 'z', '0', '1', 'REV'],
    ['ZRANGESTORE', 'with a long one', 'z', '0', '9', 'REV'],
  ],
  'packs places that are stored': [
    ['GEOADD', 'g', '1', '1', LONG, '1.0001', '1', 'b', '1.0002', '1', 'c'],
    ['GEOSEARCHSTORE', 'all', 'g', 'FROMLONLAT', '1', '1', 'BYRADIUS', '100', 'km'],
    ['ZADD', 'all', '-0', 'd'],
    ['GEOSEARCHSTORE', 'near', 'g', 'FROMMEMBER', 'c', 'BYRADIUS', '12', 'm'],
    ['ZADD', 'near', '-0', 'd'],
    ['GEORADIUS', 'g', '1.0002', '1', '12', 'm', 'STORE', 'old'],
    ['ZADD', 'old', '-0', 'd'],
  ],
  'takes a sorted set apart to sort it': [
    ['ZADD', 'z', '1', '5', '2', '7'],
    ['SORT', 'z', 'STORE', 'l'],
    ['ZADD', 'z', '-0', '8'],
    ['ZADD', 'words', '1', 'a'],
    ['SORT', 'words', 'STORE', 'l'],
    ['ZADD', 'words', '-0', 'b'],
  ],
}

type Members = readonly (readonly [member: string, score: number])[]

const few: Members = [
  ['a', -0],
  ['b', -0],
  ['c', 3],
]
const long: Members = [...few, [LONG, 4]]
const many: Members = Array.from({ length: 129 }, (_, i) => [`m${String(i).padStart(3, '0')}`, -0])

const texts = (members: Members): string[] =>
  members.flatMap(([member, score]) => [member, Object.is(score, -0) ? '-0' : String(score)])

/** Types of sorted sets in an RDB, with a value. */
const TYPES: Readonly<Record<string, (members: Members) => [number, Buffer]>> = {
  'scores as text': members => [
    3,
    bytes(
      len(members.length),
      ...members.map(([name, score]) => [...str(name), ...str(Object.is(score, -0) ? '-0' : `${score}`)]),
    ),
  ],
  doubles: members => [
    5,
    bytes(len(members.length), ...members.map(([name, score]) => bytes(str(name), double(score)))),
  ],
  'a ziplist': members => [12, str(ziplist(...texts(members)))],
  'a listpack': members => [17, str(listpack(...texts(members)))],
}

/** What is done with each value when it is there: with fewer members another zero, then without the long one. */
const touch = (key: string): Command[] => [
  ['ZREM', key, 'm000', 'm001', 'm002'],
  ['ZADD', key, '-0', 'n'],
  ['ZREM', key, LONG],
  ['ZADD', key, '-0', 'o', '-0', 'c'],
]

describe.each(foundServers())('a sorted set of %s', server => {
  it.each(Object.keys(CASES))('%s', async name => {
    await expectSame(server, CASES[name])
  })

  it.each(Object.keys(TYPES))('is as packed as after an RDB that has %s', async name => {
    const all = name === 'a ziplist' ? { few, many } : { few, long, many }
    const values = Object.entries(all).map(([key, members]) => ({ key, value: TYPES[name](members) }))
    const preamble = rdb('REDIS0010', ...values.map(({ key, value }) => entry(value[0], key, value[1])))
    const restored = values.map(
      ({ key, value }): Command => ['RESTORE', `restored ${key}`, '0', writePayload(value[0], value[1], 10)],
    )
    const touched = values.flatMap(({ key }) => [...touch(key), ...touch(`restored ${key}`)])
    await expectSame(server, [...restored, ...touched], preamble)
    // As it came.
    await expectSame(server, restored, preamble)
  })
})
