/** Streams in tests: piece by piece, sound and damaged, with what each server makes of them. */
import type { ServerName } from '../../../src/servers/servers.ts'
import { bytes, int64, len, type Piece, str } from '../build.ts'

type Id = readonly [ms: number | bigint, seq: number | bigint]

export function rawId([ms, seq]: Id): Buffer {
  const buffer = Buffer.alloc(16)
  buffer.writeBigUInt64BE(BigInt(ms))
  buffer.writeBigUInt64BE(BigInt(seq), 8)
  return buffer
}

/** A listpack of integers, and of texts of less than 64 bytes. */
export function packed(...items: (string | number | bigint)[]): Buffer {
  const body = items.map(item => {
    if (typeof item === 'string') {
      const text = Buffer.from(item, 'latin1')
      return bytes(0x80 | text.length, text, 1 + text.length)
    }
    if (item >= 0 && item < 128) return bytes(Number(item), 1)
    if (item < -4096 || item > 4095) return bytes(0xf4, int64(item), 9)
    return bytes(0xc0 | ((Number(item) >> 8) & 0x1f), Number(item) & 0xff, 2)
  })
  const content = Buffer.concat(body)
  const head = Buffer.alloc(6)
  head.writeUInt32LE(content.length + 7, 0)
  head.writeUInt16LE(items.length, 4)
  return bytes(head, content, 0xff)
}

type Items = (string | number | bigint)[]

/** The head of a node whose entries have these names. */
const head = (count: number | string, deleted: number | string, ...names: string[]): Items => [
  ...[count, deleted, names.length],
  ...[...names, 0],
]
/** An entry with those names, so far from the id of the node. */
const same = (ms: number | bigint, seq: number | bigint, ...values: string[]): Items => [
  ...[2, ms, seq],
  ...[...values, values.length + 3],
]
const deleted = (ms: number, seq: number, value: string): Items => [3, ms, seq, value, 4]

export const node = (id: Id, ...items: Items): Piece => [str(rawId(id)), str(packed(...items))]

const NOW = int64(1_700_000_000_000)
const pending = (id: Id): Piece => [rawId(id), NOW, len(1)]
const consumer = (name: string, ...owned: Id[]): Piece => [
  ...[str(name), NOW],
  ...[len(owned.length), owned.map(rawId)],
]
const group = (name: string, pendings: Piece[], consumers: Piece[]): Piece => [
  ...[str(name), len(2), len(1), len(2)],
  ...[len(pendings.length), pendings, len(consumers.length), consumers],
]

interface Parts {
  nodes?: Piece[]
  length?: number | bigint
  last?: Id
  first?: Id
  highestDeleted?: Id
  added?: number | bigint
  groups?: Piece[]
}

/** Entries 1-1 and 2-1. */
const PLAIN = node([1, 1], ...head(2, 0, 'f'), ...same(0, 0, 'v'), ...same(1, 0, 'w'))

/** A stream of type 19; without further ado, one that is sound. */
function stream({
  nodes = [PLAIN],
  length = 2,
  last = [2, 1],
  first = [1, 1],
  highestDeleted = [0, 0],
  added = 2,
  groups = [],
}: Parts): Buffer {
  return bytes(
    len(nodes.length),
    nodes,
    len(length),
    [last, first, highestDeleted].map(([ms, seq]) => [len(ms), len(seq)]),
    len(added),
    [len(groups.length), groups],
  )
}

/** A stream of one node, which says of itself that it has one entry, 1-1. */
export const one = (...items: Items): Buffer =>
  stream({ nodes: [node([1, 1], ...items)], length: 1, last: [1, 1], added: 1 })

/** A node of which a byte was changed: in a listpack whose string stands behind 17 bytes of id, and a length. */
function changed(at: number, by: number): Buffer {
  const value = Buffer.from(stream({}))
  value[1 + 17 + 1 + at] += by
  return value
}

/** Which servers refuse it as they are by default; the others load it. */
type Refusal = 'all' | 'none' | readonly ServerName[]

const VALKEY_9: Refusal = ['valkey-9.1']

export interface Damage {
  name: string
  /** Of type 19. */
  value: Buffer
  /** What the reader throws: the code. */
  error?: string
  /** What it says is odd. */
  odd?: string[]
  refused: Refusal
}

export const DAMAGES: readonly Damage[] = [
  { name: 'nothing', value: stream({}), refused: 'none' },
  {
    name: 'nothing, with a group',
    value: stream({
      groups: [
        group('g', [pending([1, 1]), pending([2, 1])], [consumer('c', [1, 1]), consumer('d', [2, 1])]),
      ],
    }),
    refused: 'none',
  },
  {
    name: 'the id of a node has 15 bytes',
    value: stream({ nodes: [[str(rawId([1, 1]).subarray(1)), str(packed(...head(0, 0)))]] }),
    error: 'rdb.stream.key',
    refused: 'all',
  },
  {
    name: 'a listpack has another size',
    value: changed(0, 1),
    error: 'rdb.listpack.size',
    refused: 'all',
  },
  { name: 'a node without elements', value: one(), error: 'rdb.stream.empty-node', refused: 'all' },
  { name: 'a listpack counts wrong', value: changed(4, 1), odd: ['rdb.listpack.count'], refused: VALKEY_9 },
  // On the others it ends the server that reads the key, or loads it.
  {
    name: 'names that are no number',
    value: one(1, 0, 'x', 'f', 0, ...same(0, 0, 'v')),
    error: 'rdb.stream.node',
    refused: VALKEY_9,
  },
  {
    name: 'more names than there is room for',
    value: one(1, 0, 100, 'f', 0, ...same(0, 0, 'v')),
    error: 'rdb.stream.node',
    refused: VALKEY_9,
  },
  {
    name: 'fewer names than none',
    value: one(1, 0, -1, 0, ...same(0, 0)),
    error: 'rdb.stream.node',
    refused: VALKEY_9,
  },
  {
    name: 'flags that are no number',
    value: one(...head(1, 0, 'f'), 'x', 0, 0, 'v', 4),
    error: 'rdb.stream.node',
    refused: VALKEY_9,
  },
  {
    name: 'an id that is no number',
    value: one(...head(1, 0, 'f'), 2, 'x', 0, 'v', 4),
    error: 'rdb.stream.node',
    refused: VALKEY_9,
  },
  {
    name: 'fewer fields than none',
    value: one(...head(1, 0, 'f'), 0, 0, 0, -1, 3),
    error: 'rdb.stream.node',
    refused: VALKEY_9,
  },
  {
    name: 'an entry that is cut',
    value: one(...head(1, 0, 'f'), 2, 0),
    error: 'rdb.stream.node',
    refused: VALKEY_9,
  },
  {
    name: 'something behind the last entry',
    value: one(...head(1, 0, 'f'), ...same(0, 0, 'v'), 7),
    error: 'rdb.stream.node',
    refused: VALKEY_9,
  },
  {
    name: 'a node counts too many entries',
    value: one(...head(2, 0, 'f'), ...same(0, 0, 'v')),
    odd: ['rdb.stream.count'],
    refused: VALKEY_9,
  },
  {
    name: 'a node counts a deleted entry as one that is there',
    value: one(...head(2, 0, 'f'), ...same(0, 0, 'v'), ...deleted(1, 0, 'w')),
    odd: ['rdb.stream.count', 'rdb.stream.last-id'],
    refused: VALKEY_9,
  },
  {
    name: 'a count that is no number',
    value: one(...head('x', 0, 'f'), ...same(0, 0, 'v')),
    odd: ['rdb.stream.count'],
    refused: VALKEY_9,
  },
  {
    name: 'names that do not end with 0',
    value: one(1, 0, 1, 'f', 5, ...same(0, 0, 'v')),
    odd: ['rdb.stream.lp-count'],
    refused: VALKEY_9,
  },
  {
    name: 'another lp-count',
    value: one(...head(1, 0, 'f'), 2, 0, 0, 'v', 5),
    odd: ['rdb.stream.lp-count'],
    refused: VALKEY_9,
  },
  {
    name: 'no lp-count',
    value: one(...head(1, 0, 'f'), 2, 0, 0, 'v'),
    odd: ['rdb.stream.lp-count'],
    refused: VALKEY_9,
  },
  {
    name: 'the length is not that of the nodes',
    value: stream({ length: 3, added: 3 }),
    odd: ['rdb.stream.length'],
    refused: VALKEY_9,
  },
  {
    name: 'flags that nobody knows',
    value: one(...head(1, 0, 'f'), 6, 0, 0, 'v', 4),
    odd: ['rdb.stream.flags'],
    refused: 'none',
  },
  {
    name: 'falling ids in a node',
    value: stream({
      nodes: [node([1, 1], ...head(2, 0, 'f'), ...same(5, 0, 'v'), ...same(1, 0, 'w'))],
      last: [6, 1],
      first: [6, 1],
    }),
    odd: ['rdb.stream.order'],
    refused: 'none',
  },
  {
    name: 'an id below that of its node',
    value: stream({
      nodes: [node([5, 1], ...head(2, 0, 'f'), ...same(-2, 0, 'v'), ...same(0, 0, 'w'))],
      last: [5, 1],
      first: [3, 1],
    }),
    odd: ['rdb.stream.order'],
    refused: 'none',
  },
  {
    name: 'falling nodes',
    value: stream({
      nodes: [
        node([5, 1], ...head(1, 0, 'f'), ...same(0, 0, 'x')),
        node([1, 1], ...head(1, 0, 'f'), ...same(0, 0, 'v')),
      ],
      last: [5, 1],
    }),
    odd: ['rdb.stream.order'],
    refused: 'none',
  },
  {
    name: 'a last id before the last entry',
    value: stream({ last: [1, 5] }),
    odd: ['rdb.stream.last-id'],
    refused: 'none',
  },
  {
    name: 'another first id',
    value: stream({ first: [1, 0] }),
    odd: ['rdb.stream.first-id'],
    refused: 'none',
  },
  {
    name: 'a deleted id behind the last one',
    value: stream({ highestDeleted: [9, 9] }),
    odd: ['rdb.stream.deleted-id'],
    refused: 'none',
  },
  {
    name: 'more entries than were added',
    value: stream({ added: 1 }),
    odd: ['rdb.stream.added'],
    refused: 'none',
  },
  {
    name: 'a node twice',
    value: stream({ nodes: [PLAIN, PLAIN] }),
    error: 'rdb.stream.duplicate',
    refused: 'all',
  },
  {
    name: 'a node twice, with another between them',
    value: stream({ nodes: [PLAIN, node([5, 1], ...head(1, 0, 'f'), ...same(0, 0, 'x')), PLAIN] }),
    error: 'rdb.stream.duplicate',
    odd: ['rdb.stream.order'],
    refused: 'all',
  },
  { name: 'a length and no nodes', value: stream({ nodes: [] }), error: 'rdb.stream.nodes', refused: 'all' },
  {
    name: 'a group twice',
    value: stream({ groups: [group('g', [], []), group('h', [], []), group('g', [], [])] }),
    error: 'rdb.stream.duplicate',
    refused: 'all',
  },
  {
    name: 'a consumer twice',
    value: stream({ groups: [group('g', [], [consumer('c'), consumer('d'), consumer('c')])] }),
    error: 'rdb.stream.duplicate',
    refused: 'all',
  },
  {
    name: 'a pending entry twice',
    value: stream({ groups: [group('g', [pending([1, 1]), pending([1, 1])], [consumer('c', [1, 1])])] }),
    error: 'rdb.stream.duplicate',
    refused: 'all',
  },
  {
    name: 'a pending entry twice, with another between them',
    value: stream({
      groups: [
        group('g', [pending([1, 1]), pending([2, 1]), pending([1, 1])], [consumer('c', [1, 1], [2, 1])]),
      ],
    }),
    error: 'rdb.stream.duplicate',
    refused: 'all',
  },
  {
    name: 'an entry with a consumer that is not pending',
    value: stream({ groups: [group('g', [pending([1, 1])], [consumer('c', [1, 1], [2, 1])])] }),
    error: 'rdb.stream.owned',
    refused: 'all',
  },
  {
    name: 'an entry twice with a consumer',
    value: stream({ groups: [group('g', [pending([1, 1])], [consumer('c', [1, 1], [1, 1])])] }),
    error: 'rdb.stream.duplicate',
    refused: 'all',
  },
  {
    name: 'a pending entry of two consumers',
    value: stream({
      groups: [group('g', [pending([1, 1])], [consumer('c', [1, 1]), consumer('d', [1, 1])])],
    }),
    odd: ['rdb.stream.owners'],
    refused: ['redis-7.0', 'redis-8.0', 'valkey-9.1'],
  },
  // `XINFO STREAM FULL` ends the others.
  {
    name: 'a pending entry of nobody',
    value: stream({ groups: [group('g', [pending([1, 1]), pending([2, 1])], [consumer('c', [1, 1])])] }),
    odd: ['rdb.stream.unowned'],
    refused: VALKEY_9,
  },
  {
    name: 'nothing: falling pending entries',
    value: stream({
      groups: [group('g', [pending([2, 1]), pending([1, 1])], [consumer('c', [2, 1], [1, 1])])],
    }),
    refused: 'none',
  },
  {
    name: 'nothing: ids that wrap',
    value: stream({
      nodes: [node([2n ** 64n - 2n, 3], ...head(2, 0, 'f'), ...same(0, 0, 'v'), ...same(1, -3, 'w'))],
      last: [2n ** 64n - 1n, 0],
      first: [2n ** 64n - 2n, 3],
    }),
    refused: 'none',
  },
  {
    name: 'nothing: numbers as texts',
    value: one('1', '0', '1', 'f', '0', '2', '0', '0', 'v', '4'),
    refused: 'none',
  },
  {
    name: 'nothing: an entry without fields',
    value: one(...head(1, 0), ...same(0, 0)),
    refused: 'none',
  },
  {
    name: 'nothing: no entries',
    value: stream({ nodes: [], length: 0, last: [5, 5], first: [0, 0], added: 7 }),
    refused: 'none',
  },
  {
    name: 'nothing: only deleted entries',
    value: stream({
      nodes: [node([5, 1], ...head(0, 1, 'f'), ...deleted(0, 0, 'v'))],
      ...{ length: 0, last: [5, 1], first: [0, 0], highestDeleted: [5, 1] },
    }),
    refused: 'none',
  },
]

/** A stream of type 15 that starts with a deleted entry; its groups have read up to these ids. */
export function oldStream(last: Id, groups: readonly Id[], entries = true): Buffer {
  const nodes = entries
    ? [node([1, 1], ...head(2, 1, 'f'), ...deleted(0, 0, 'v'), ...same(1, 0, 'w'), ...same(3, 0, 'x'))]
    : []
  return bytes(
    ...[len(nodes.length), nodes, len(entries ? 2 : 0), len(last[0]), len(last[1])],
    len(groups.length),
    groups.map(([ms, seq]) => [str(`${ms}-${seq}`), len(ms), len(seq), len(0), len(1), consumer('c')]),
  )
}
