/**
 * Commands that a seed gives: of every family, on few keys, so that they collide, and often of the wrong type. Some are
 * for a client only ({@link Form.live}): what they do depends on the clock or on chance, and a server logs something
 * else for them.
 */
import { HANDLERS } from '../../src/keyspace/commands/table.ts'
import { CommandTable } from '../../src/servers/commands.ts'
import { SERVERS, type ServerName } from '../../src/servers/servers.ts'
import { generator } from './replaying.ts'

export type Random = (below: number) => number
export type Arg = string | Uint8Array
export type Command = readonly Arg[]

interface Form {
  /** In small letters, of a subcommand `container|name`. */
  readonly name: string
  readonly make: (random: Random) => Arg[]
  /** Not for a log that is made up: the clock or chance decides, or no server logs it. */
  readonly live: boolean
  /** What servers log for it, where that is something else. */
  readonly logged: readonly string[]
  /** Those that know it, where its name does not say so. */
  readonly servers: readonly ServerName[]
  /** How often, compared with others: 1. */
  readonly weight: number
}

/** Letters of keys by the type that they usually hold. */
const TYPES = ['s', 'n', 'b', 'p', 'l', 'h', 'e', 'z', 'g', 'x']
/** Databases in use. */
const DATABASES = 4

const one = <T>(r: Random, from: readonly T[]): T => from[r(from.length)]
const chance = (r: Random, of: number): boolean => r(of) === 0
const maybe = <T>(r: Random, ...items: T[]): T[] => (chance(r, 2) ? items : [])
const several = (r: Random, make: (r: Random) => Arg[], most = 4): Arg[] =>
  Array.from({ length: 1 + r(chance(r, 12) ? 150 : most) }, () => make(r)).flat()

function key(r: Random, type: string): string {
  const letter = chance(r, 18) ? one(r, TYPES) : type
  const index = r(3)
  return `${letter}${index}${index === 2 && letter > 'f' ? ' with a name that is longer than a cell has room for' : ''}`
}

const any = (r: Random): string => key(r, one(r, TYPES))

function text(r: Random): Arg {
  switch (r(24)) {
    case 0:
      return ''
    case 1:
      return 'long '.repeat(r(400))
    case 2:
    case 3:
      return String(r(1e9) - 5e8)
    case 4:
      return Buffer.from(Array.from({ length: r(90) }, () => r(256)))
    case 5:
      return `${one(r, ['0', '-', '+', ' ', ''])}${r(300)}${one(r, ['', '.0', 'e3', ' ', '\0'])}`
    default:
      return `${'abcdefghijklmnopqrstuvwxyz'.slice(0, r(26))}${r(30)}`
  }
}

const member = (r: Random): Arg =>
  chance(r, 40) ? `${'m'.repeat(r(90))}${r(3)}` : chance(r, 6) ? String(r(40) - 10) : `m${r(25)}`

/** Of hashes and streams: longer ones. */
const field = (r: Random): Arg => (chance(r, 40) ? `${'f'.repeat(r(400))}${r(3)}` : member(r))

const INTEGERS = [
  ...['0', '1', '-1', '9223372036854775807', '-9223372036854775808', '9223372036854775808', '01', '1.0', ''],
  ...['9007199254740993', '-9007199254740992', '4611686018427387904', ' 1', '+1', '-0'],
]
const integer = (r: Random): string =>
  chance(r, 4) ? one(r, INTEGERS) : String(r(2000) - (chance(r, 2) ? 1000 : 0))

const FLOATS = [
  ...[
    '0.1',
    '-0.25',
    '1e5',
    '3',
    '5.0e3',
    'abc',
    '1e-20',
    '123456789.123456789',
    '-7.77',
    'inf',
    '1e30',
    '.5',
  ],
  ...['0.3', '1e308', '-1e308', '5e-324', 'nan', '1.7976931348623157e308', '2.5 ', '-0'],
]
const float = (r: Random): string => (chance(r, 3) ? one(r, FLOATS) : String(r(1000) / 8 - 20))

const SCORES = [
  ...[
    '0',
    '1',
    '1.5',
    '-3',
    '1e10',
    'inf',
    '-inf',
    '+inf',
    '0.1',
    '0.2',
    '0.3',
    '+5',
    '1e400',
    'x',
    '1e-7',
    '.5',
  ],
  ...[
    '3.14159265358979',
    '12345678901234567890',
    '5.',
    ' 1',
    '1 ',
    '9007199254740993',
    '-0',
    'nan',
    '1e22',
    '5e-324',
  ],
]
const score = (r: Random): string => (chance(r, 3) ? one(r, SCORES) : String(r(60) / (chance(r, 3) ? 7 : 1)))
const bound = (r: Random): string => `${chance(r, 3) ? '(' : ''}${score(r)}`
const lex = (r: Random): string =>
  chance(r, 5) ? one(r, ['-', '+', 'x', '']) : `${one(r, ['(', '['])}m${r(25)}`

/** Milliseconds: to come, long past, around now. */
function time(r: Random): string {
  if (chance(r, 14)) return one(r, ['0', '-5', 'x', '9223372036854775807', '1', '9007199254740993'])
  if (chance(r, 5)) return String(1_600_000_000_000 + r(1e9))
  return String(2_000_000_000_000 + r(1e9))
}
const seconds = (r: Random): string => (chance(r, 14) ? time(r) : String(2_000_000_000 + r(1e8)))
/** To come: Redis drops fields whose time has passed as it loads, and aofkit, like valkey, does not. */
const fieldTime = (r: Random): string =>
  chance(r, 20) ? one(r, ['-5', 'x', '9223372036854775807']) : String(2_000_000_000_000 + r(1e9))
const later = (r: Random): string => String(1e9 + r(1e9))
/** Milliseconds from now: some are over soon. */
const soon = (r: Random): string => (chance(r, 2) ? String(1 + r(60)) : String(1e9 + r(1e9)))
const condition = (r: Random): string[] =>
  chance(r, 3) ? [one(r, ['NX', 'XX', 'GT', 'LT', 'nx', 'gt'])] : []

const numbered = (args: Arg[], each = 1): Arg[] => [String(args.length / each), ...args]
const keys = (r: Random, type: string): Arg[] =>
  Array.from({ length: 1 + r(3) }, () => (chance(r, 8) ? any(r) : key(r, chance(r, 4) ? 'e' : type)))
const database = (r: Random): string => String(chance(r, 20) ? 15 + r(4) : chance(r, 2) ? 0 : r(DATABASES))

const VALKEY: readonly ServerName[] = ['valkey-8.1', 'valkey-9.1']

const FORMS: Form[] = []

type Extra = Partial<Pick<Form, 'live' | 'logged' | 'weight' | 'servers'>>

function form(name: string, make: (r: Random) => Arg[], extra: Extra = {}): void {
  const args = name.toUpperCase().split('|')
  FORMS.push({
    name,
    live: false,
    weight: 1,
    servers: SERVERS,
    ...extra,
    logged: extra.logged ?? [name],
    // Names in logs come in any case.
    make: r => [...(chance(r, 30) ? args.map(arg => arg.toLowerCase()) : args), ...make(r)],
  })
}

// Strings.
form('set', r => [key(r, 's'), text(r)], { weight: 2 })
form('set', r => [key(r, 'n'), integer(r)])
form('set', r => [key(r, 'n'), float(r)])
form('set', r => [key(r, 's'), text(r), one(r, ['PXAT', 'pxat']), time(r)])
form('set', r => [key(r, 's'), text(r), 'EXAT', seconds(r)])
form('set', r => [key(r, 's'), text(r), 'PX', soon(r)], { live: true })
form('set', r => [key(r, 's'), text(r), one(r, ['EX', 'ex']), one(r, ['100000', '1', '0', 'x'])], {
  live: true,
})
form('set', r => [key(r, 's'), text(r), one(r, ['NX', 'XX']), 'PXAT', time(r), ...maybe(r, 'GET')])
form('set', r => [any(r), text(r), one(r, ['NX', 'XX', 'KEEPTTL', 'GET']), ...(chance(r, 3) ? ['XX'] : [])])
form('set', r => [key(r, 's'), text(r), 'IFEQ', text(r), ...maybe(r, 'GET')], { servers: VALKEY })
form('setnx', r => [key(r, 's'), text(r)])
form('setex', r => [key(r, 's'), one(r, ['100000', '0', '-1', 'x']), text(r)], { live: true })
form('psetex', r => [key(r, 's'), soon(r), text(r)], { live: true })
form('mset', r => several(r, q => [key(q, 's'), text(q)]))
form('msetnx', r => several(r, q => [key(q, 's'), text(q)]))
form('getset', r => [key(r, 's'), text(r)])
form('getdel', r => [key(r, 's')], { logged: ['getdel', 'del'] })
form('getex', r => [key(r, 's'), ...one(r, [['PERSIST'], ['PXAT', time(r)], []])])
form(
  'getex',
  r => [
    key(r, 's'),
    ...one(r, [
      ['EXAT', seconds(r)],
      ['EX', '100000'],
      ['PX', soon(r)],
    ]),
  ],
  {
    ...{ live: true, logged: ['pexpireat', 'persist', 'del', 'unlink'] },
  },
)
form('append', r => [key(r, 's'), text(r)])
form('append', r => [key(r, 'n'), String(r(100))])
form('setrange', r => [key(r, 's'), String(r(chance(r, 5) ? 9000 : 40) - 1), text(r)])
form('incr', r => [key(r, 'n')])
form('decr', r => [key(r, 'n')])
form('incrby', r => [key(r, 'n'), integer(r)])
form('decrby', r => [key(r, 'n'), integer(r)])
form('incrbyfloat', r => [key(r, 'n'), float(r)], { weight: 2 })
form('delifeq', r => [key(r, 's'), text(r)])
form('msetex', r => [
  ...numbered(
    several(r, q => [key(q, 's'), text(q)]),
    2,
  ),
  ...maybe(r, 'PXAT', time(r)),
])

// Bits.
const bitOffset = (r: Random): string => (chance(r, 12) ? one(r, ['-1', 'x', '70000']) : String(r(300)))
form('setbit', r => [key(r, 'b'), bitOffset(r), one(r, ['0', '1', '1', '2'])], { weight: 2 })
form('bitop', r => [
  one(r, ['AND', 'or', 'XOR', 'NOT', 'nope']),
  key(r, 'b'),
  ...several(r, q => [key(q, 'b')], 3).slice(0, 4),
])
form('bitop', r => ['NOT', key(r, 'b'), key(r, 'b')])
form('bitfield', r => [
  key(r, 'b'),
  ...Array.from({ length: 1 + r(4) }, () => [
    ...maybe(r, 'OVERFLOW', one(r, ['WRAP', 'SAT', 'FAIL'])),
    one(r, ['SET', 'INCRBY']),
    `${one(r, ['i', 'u'])}${one(r, [1, 5, 8, 13, 16, 32, 63, 64])}`,
    `${maybe(r, '#').join('')}${r(40)}`,
    integer(r),
  ]).flat(),
])
form('bitfield', r => [key(r, 'b'), 'GET', 'u8', String(r(90)), 'INCRBY', 'i5', `#${r(9)}`, integer(r)])

// HyperLogLogs.
form('pfadd', r => [key(r, 'p'), ...several(r, q => [`element ${q(3000)}`], 9)], { weight: 2 })
form('pfcount', r => [key(r, 'p')])
form('pfcount', r => [key(r, 'p'), key(r, 'p')])
form('pfmerge', r => [key(r, 'p'), key(r, 'p'), ...maybe(r, key(r, 'p'))])
form('pfmerge', r => [key(r, 'p')], { weight: 0.3 })
form('pfdebug', r => ['TODENSE', key(r, 'p')], { live: true })

// Keys.
form('del', r => several(r, q => [any(q)], 2).slice(0, 3), { weight: 0.7 })
form('unlink', r => [any(r)], { weight: 0.4 })
form('pexpireat', r => [any(r), time(r), ...condition(r)], { weight: 2 })
form('expireat', r => [any(r), seconds(r), ...condition(r)])
form('pexpire', r => [any(r), soon(r), ...condition(r)], { live: true })
form('expire', r => [any(r), one(r, ['100000', '-1', '0', 'x']), ...condition(r)], { live: true })
form('persist', r => [any(r)])
form('rename', r => [any(r), any(r)])
form('renamenx', r => [any(r), any(r)])
form('rename', r => {
  const type = one(r, TYPES)
  return [key(r, type), key(r, type)]
})
form('move', r => [any(r), database(r)])
form('copy', r => [any(r), any(r), ...maybe(r, 'REPLACE'), ...maybe(r, 'DB', database(r))])
form('copy', r => {
  const type = one(r, TYPES)
  return [key(r, type), key(r, type), 'REPLACE']
})
form('swapdb', r => [database(r), database(r)], { weight: 0.15 })
form('flushdb', r => maybe(r, one(r, ['ASYNC', 'sync'])), { weight: 0.04 })
form('flushall', () => [], { weight: 0.02 })
form('select', r => [database(r)], { weight: 0.8 })
form('touch', r => [any(r)], { weight: 0.1 })

// Hashes.
form('hset', r => [key(r, 'h'), ...several(r, q => [field(q), text(q)])], { weight: 3 })
form('hset', r => [key(r, 'h'), ...several(r, q => [field(q), integer(q)])])
form('hmset', r => [key(r, 'h'), ...several(r, q => [field(q), float(q)])])
form('hsetnx', r => [key(r, 'h'), field(r), text(r)])
form('hdel', r => [key(r, 'h'), ...several(r, q => [field(q)])], { weight: 2 })
form('hincrby', r => [key(r, 'h'), field(r), integer(r)])
form('hincrbyfloat', r => [key(r, 'h'), field(r), float(r)])

// Times of fields.
const fields = (r: Random): Arg[] => ['FIELDS', ...numbered(several(r, q => [field(q)]))]
const FIELD_EFFECTS = ['hpexpireat', 'hpersist', 'hdel']
form('hpexpireat', r => [key(r, 'h'), fieldTime(r), ...condition(r), ...fields(r)], { weight: 2 })
form('hexpireat', r => [key(r, 'h'), String(2_000_000_000 + r(1e8)), ...condition(r), ...fields(r)], {
  logged: FIELD_EFFECTS,
})
form('hexpire', r => [key(r, 'h'), one(r, ['100000', '900000', 'x', '-1']), ...condition(r), ...fields(r)], {
  ...{ live: true, logged: FIELD_EFFECTS },
})
form('hpexpire', r => [key(r, 'h'), later(r), ...condition(r), ...fields(r)], {
  live: true,
  logged: FIELD_EFFECTS,
})
form('hpexpire', r => [key(r, 'h'), soon(r), ...condition(r), ...fields(r)], {
  ...{ live: true, logged: FIELD_EFFECTS, servers: ['valkey-9.1'] },
})
form('hpexpireat', r => [key(r, 'h'), time(r), ...fields(r)], { servers: ['valkey-9.1'] })
form('hpersist', r => [key(r, 'h'), ...fields(r)])
form('hgetdel', r => [key(r, 'h'), ...fields(r)], { logged: ['hgetdel', 'hdel'] })
form('hgetex', r => [key(r, 'h'), ...one(r, [['PERSIST'], ['PXAT', fieldTime(r)], []]), ...fields(r)], {
  logged: ['hgetex', ...FIELD_EFFECTS],
})
form('hsetex', r => [
  key(r, 'h'),
  ...one(r, [[], [], ['FNX'], ['FXX']]),
  ...one(r, [[], ['KEEPTTL'], ['PXAT', fieldTime(r)], ['EXAT', String(2_000_000_000 + r(1e8))]]),
  'FIELDS',
  ...numbered(
    several(r, q => [field(q), text(q)]),
    2,
  ),
])
form('hsetex', r => [key(r, 'h'), one(r, ['EX', 'PX']), later(r), 'FIELDS', '1', field(r), text(r)], {
  ...{ live: true, logged: ['hsetex', 'hset', ...FIELD_EFFECTS] },
})
form('hgetex', r => [key(r, 'h'), one(r, ['EX', 'PX']), later(r), ...fields(r)], {
  ...{ live: true, logged: ['hgetex', ...FIELD_EFFECTS] },
})

// Sets.
const integerMember = (r: Random): Arg => (chance(r, 4) ? integer(r) : member(r))
form('sadd', r => [key(r, 'e'), ...several(r, q => [integerMember(q)])], { weight: 3 })
form('sadd', r => [key(r, 'e'), ...several(r, q => [String(q(70_000) - 30_000)])])
form('srem', r => [key(r, 'e'), ...several(r, q => [integerMember(q)])], { weight: 2 })
form('smove', r => [key(r, 'e'), key(r, 'e'), member(r)])
form('spop', r => [key(r, 'e'), ...maybe(r, String(r(6)))], { live: true, logged: ['srem', 'del', 'unlink'] })
for (const name of ['sinterstore', 'sunionstore', 'sdiffstore'])
  form(name, r => [key(r, 'e'), ...keys(r, 'e')], { weight: 0.6 })

// Lists.
for (const name of ['rpush', 'lpush'])
  form(name, r => [key(r, 'l'), ...several(r, q => [text(q)])], { weight: 1.5 })
form('rpush', r => [key(r, 'l'), ...several(r, q => [member(q)])], { weight: 2 })
for (const name of ['rpushx', 'lpushx'])
  form(name, r => [key(r, 'l'), ...several(r, q => [text(q)])], { weight: 0.5 })
for (const name of ['lpop', 'rpop']) form(name, r => [key(r, 'l'), ...maybe(r, String(r(5) - 1))])
form('ltrim', r => [key(r, 'l'), String(r(30) - 10), String(r(60) - 10)])
form('lset', r => [key(r, 'l'), String(r(60) - 30), text(r)])
form('lrem', r => [key(r, 'l'), String(r(5) - 2), member(r)])
form('linsert', r => [key(r, 'l'), one(r, ['BEFORE', 'after', 'x']), member(r), text(r)])
const side = (r: Random): string => one(r, ['LEFT', 'RIGHT', 'left', 'Right'])
form('lmove', r => [key(r, 'l'), key(r, 'l'), side(r), side(r)])
form('rpoplpush', r => [key(r, 'l'), key(r, 'l')])
form('lmpop', r => [...numbered(keys(r, 'l')), side(r), ...maybe(r, 'COUNT', String(r(5)))], {
  logged: ['lmpop', 'lpop', 'rpop'],
})
form('blmove', r => [key(r, 'l'), key(r, 'l'), side(r), side(r), '0.001'], {
  logged: ['blmove', 'lmove'],
  weight: 0.5,
})
form('brpoplpush', r => [key(r, 'l'), key(r, 'l'), '0.001'], {
  logged: ['brpoplpush', 'rpoplpush'],
  weight: 0.4,
})
form('blmpop', r => ['0.001', ...numbered(keys(r, 'l')), side(r), ...maybe(r, 'COUNT', String(1 + r(5)))], {
  logged: ['blmpop', 'lpop', 'rpop'],
  weight: 0.5,
})
for (const name of ['blpop', 'brpop'])
  form(name, r => [...keys(r, 'l'), '0.001'], { logged: [name, name.slice(1)], weight: 0.5 })

// Sorted sets.
form('zadd', r => [key(r, 'z'), ...several(r, q => [score(q), member(q)])], { weight: 3 })
form('zadd', r => [
  key(r, 'z'),
  ...one(r, [['NX'], ['XX'], ['GT'], ['LT'], ['XX', 'GT', 'CH'], ['NX', 'GT'], ['incr'], ['XX', 'LT']]),
  ...several(r, q => [score(q), member(q)]),
])
form('zincrby', r => [key(r, 'z'), score(r), member(r)])
form('zrem', r => [key(r, 'z'), ...several(r, q => [member(q)])], { weight: 1.5 })
for (const name of ['zpopmin', 'zpopmax']) form(name, r => [key(r, 'z'), ...maybe(r, String(r(5)))])
for (const name of ['bzpopmin', 'bzpopmax'])
  form(name, r => [...keys(r, 'z'), '0.001'], { logged: [name, name.slice(1)], weight: 0.5 })
const extreme = (r: Random): string => one(r, ['MIN', 'max'])
form('zmpop', r => [...numbered(keys(r, 'z')), extreme(r), ...maybe(r, 'COUNT', String(r(5)))], {
  logged: ['zmpop', 'zpopmin', 'zpopmax'],
})
form('bzmpop', r => ['0.001', ...numbered(keys(r, 'z')), extreme(r)], {
  logged: ['bzmpop', 'zpopmin', 'zpopmax'],
  weight: 0.4,
})
form('zremrangebyrank', r => [key(r, 'z'), String(r(20) - 5), String(r(10) - 5)])
form('zremrangebyscore', r => [key(r, 'z'), bound(r), bound(r)])
// Ranges by member are for sets in which all scores are equal: of others servers give what they happen to find.
const even = (r: Random): string => (chance(r, 30) ? 'h0' : `even ${r(3)}`)
form('zadd', r => [even(r), ...several(r, q => ['0', member(q)])], { weight: 2 })
form('zremrangebylex', r => [even(r), lex(r), lex(r)])
form('zrangestore', r => [
  key(r, 'z'),
  even(r),
  lex(r),
  lex(r),
  'BYLEX',
  ...maybe(r, 'REV'),
  ...maybe(r, 'LIMIT', String(r(3)), String(r(6) - 1)),
])
form('zrangestore', r => [
  key(r, 'z'),
  key(r, 'z'),
  ...one(r, [
    [String(r(9) - 3), String(r(12) - 5), ...maybe(r, 'REV')],
    [bound(r), bound(r), 'BYSCORE', ...maybe(r, 'LIMIT', String(r(3)), String(r(6) - 1))],
    [bound(r), bound(r), 'BYSCORE', 'REV'],
  ]),
])
for (const name of ['zunionstore', 'zinterstore'])
  form(name, r => {
    const from = keys(r, 'z')
    return [
      key(r, 'z'),
      ...numbered(from),
      ...maybe(r, 'WEIGHTS', ...from.map(() => one(r, ['1', '2', '-1', '0', '0.5', 'inf', 'x', '3.3']))),
      ...maybe(r, 'AGGREGATE', one(r, ['SUM', 'MIN', 'max', 'nope'])),
    ]
  })
form('zdiffstore', r => [key(r, 'z'), ...numbered(keys(r, 'z'))])

// Places.
const degrees = (r: Random, most: number): string => String((r(2e6) / 1e6 - 1) * most)
const place = (r: Random): string[] => [
  degrees(r, chance(r, 20) ? 200 : 180),
  degrees(r, chance(r, 20) ? 95 : 85),
]
form(
  'geoadd',
  r => [
    key(r, 'g'),
    ...one(r, [[], [], [], ['NX'], ['XX'], ['CH']]),
    ...several(r, q => [...place(q), member(q)]),
  ],
  { weight: 2 },
)
const unit = (r: Random): string => one(r, ['m', 'km', 'FT', 'mi'])
const radius = (r: Random): string => String(r(one(r, [100, 1000, 20_000])))
const order = (r: Random): Arg[] => one(r, [[], ['ASC'], ['desc']])
const most = (r: Random): Arg[] => maybe(r, 'COUNT', String(1 + r(5)))
form('geosearchstore', r => [
  key(r, 'g'),
  key(r, 'g'),
  ...one(r, [
    ['FROMMEMBER', member(r)],
    ['FROMLONLAT', ...place(r)],
  ]),
  ...one(r, [
    ['BYRADIUS', radius(r), unit(r)],
    ['BYBOX', radius(r), radius(r), unit(r)],
  ]),
  ...order(r),
  ...most(r),
  ...(chance(r, 4) ? ['STOREDIST'] : []),
])
form('geosearchstore', r => [
  ...[
    key(r, 'g'),
    key(r, 'g'),
    'FROMLONLAT',
    ...place(r),
    'BYRADIUS',
    radius(r),
    'km',
    'COUNT',
    String(1 + r(5)),
  ],
  ...[...maybe(r, 'ANY'), ...order(r), ...maybe(r, 'STOREDIST')],
])
form(
  'geosearchstore',
  r => [key(r, 'g'), key(r, 'g'), 'BYPOLYGON', '3', ...place(r), ...place(r), ...place(r)],
  {
    ...{ servers: ['valkey-9.1'], weight: 0.5 },
  },
)
form('georadius', r => [
  key(r, 'g'),
  ...place(r),
  radius(r),
  unit(r),
  ...order(r),
  ...most(r),
  one(r, ['STORE', 'store', 'STOREDIST']),
  key(r, 'g'),
])
form('georadiusbymember', r => [
  key(r, 'g'),
  member(r),
  radius(r),
  unit(r),
  ...order(r),
  ...most(r),
  one(r, ['STORE', 'store', 'STOREDIST']),
  key(r, 'g'),
])

// Sorted into lists: without ties, since servers do not break them alike.
form('sort', r => [
  one(r, [key(r, 'l'), key(r, 'e'), key(r, 'z')]),
  ...maybe(r, 'LIMIT', String(r(4)), String(r(9) - 1)),
  ...maybe(r, 'ALPHA'),
  ...one(r, [[], ['DESC'], ['asc']]),
  'STORE',
  key(r, 'l'),
])

// Streams.
const STREAMS = { stream: 'x', group: ['g1', 'g2', 'g3'], consumer: ['alice', 'bob', 'c'] } as const
const id = (r: Random): string =>
  chance(r, 20)
    ? one(r, ['0-0', '18446744073709551615-18446744073709551615', 'x', '5', '-', '0'])
    : `${r(80)}-${r(2)}`
const stream = (r: Random): string => key(r, STREAMS.stream)
const group = (r: Random): string => STREAMS.group[chance(r, 6) ? 2 : r(2)]
const consumer = (r: Random): string => one(r, STREAMS.consumer)
const trim = (r: Random): Arg[] =>
  one(r, [
    ['MAXLEN', ...maybe(r, '='), String(r(20))],
    ['MINID', ...maybe(r, '='), id(r)],
    ['MAXLEN', '~', String(r(20)), ...maybe(r, 'LIMIT', String(r(200)))],
    ['MINID', '~', id(r), ...maybe(r, 'LIMIT', String(r(200)))],
  ])
const entry = (r: Random): Arg[] => several(r, q => [member(q), text(q)], 3)
form(
  'xadd',
  r => [stream(r), ...maybe(r, 'NOMKSTREAM'), ...(chance(r, 3) ? trim(r) : []), id(r), ...entry(r)],
  { weight: 3 },
)
form('xadd', r => [stream(r), `${60 + r(60)}-*`, ...entry(r)])
form('xadd', r => [stream(r), '*', ...entry(r)], { live: true })
form('xdel', r => [stream(r), ...several(r, q => [id(q)], 9)])
form('xtrim', r => [stream(r), ...trim(r)])
form('xsetid', r => [stream(r), id(r), ...maybe(r, 'ENTRIESADDED', String(r(99)), 'MAXDELETEDID', id(r))])
form('xgroup|create', r => [
  stream(r),
  group(r),
  one(r, [id(r), '$', '0']),
  ...maybe(r, 'MKSTREAM'),
  ...maybe(r, 'ENTRIESREAD', String(r(30) - 2)),
])
form('xgroup|setid', r => [
  stream(r),
  group(r),
  one(r, [id(r), '$', '0']),
  ...maybe(r, 'ENTRIESREAD', String(r(30) - 2)),
])
form('xgroup|destroy', r => [stream(r), group(r)], { weight: 0.3 })
form('xgroup|createconsumer', r => [stream(r), group(r), consumer(r)])
form('xgroup|delconsumer', r => [stream(r), group(r), consumer(r)], { weight: 0.5 })
form('xack', r => [stream(r), group(r), ...several(r, q => [id(q)], 15)], { weight: 1.5 })
form(
  'xreadgroup',
  r => [
    'GROUP',
    group(r),
    consumer(r),
    ...maybe(r, 'COUNT', String(1 + r(5))),
    ...maybe(r, 'NOACK'),
    'STREAMS',
    stream(r),
    '>',
  ],
  {
    live: true,
    logged: ['xclaim', 'xgroup|setid', 'xgroup|createconsumer'],
    weight: 3,
  },
)
form(
  'xreadgroup',
  r => [
    ...['GROUP', group(r), consumer(r), ...maybe(r, 'BLOCK', '1'), ...maybe(r, 'NOACK'), 'STREAMS'],
    ...[stream(r), stream(r), '>', one(r, ['>', '>', '0', id(r)])],
  ],
  { live: true, logged: ['xclaim', 'xgroup|setid', 'xgroup|createconsumer'] },
)
form(
  'xclaim',
  r => [
    ...[stream(r), group(r), consumer(r), one(r, ['0', '5']), ...several(r, q => [id(q)])],
    ...one(r, [[], ['IDLE', '1000'], ['JUSTID'], ['FORCE', 'RETRYCOUNT', '3'], ['LASTID', id(r)]]),
  ],
  { live: true, logged: ['xclaim', 'xgroup|setid', 'xgroup|createconsumer'] },
)
form(
  'xclaim',
  r => [
    stream(r),
    group(r),
    consumer(r),
    '0',
    ...several(r, q => [id(q)]),
    'TIME',
    String(1_700_000_000_000 + r(1e9)),
    ...maybe(r, 'RETRYCOUNT', String(r(5))),
    ...maybe(r, 'FORCE'),
    ...maybe(r, 'JUSTID'),
    ...maybe(r, 'LASTID', id(r)),
  ],
  { weight: 2 },
)
form(
  'xautoclaim',
  r => [
    stream(r),
    group(r),
    consumer(r),
    '0',
    id(r),
    ...maybe(r, 'COUNT', String(1 + r(4))),
    ...maybe(r, 'JUSTID'),
  ],
  {
    live: true,
    logged: ['xclaim', 'xautoclaim', 'xgroup|createconsumer'],
  },
)

// Functions, and what reaches no key.
const library = (r: Random): string => {
  const name = `lib${r(4)}`
  return `#!lua name=${name}\nredis.register_function('f_${name}', function(keys, args) redis.call('SET', keys[1], args[1]); return redis.call('SADD', 'e1', args[1]) end)\n-- ${r(1000)}`
}
form('function|load', r => [...maybe(r, 'REPLACE'), library(r)], { weight: 0.5 })
form('function|delete', r => [`lib${r(4)}`], { weight: 0.2 })
form('function|flush', () => [], { weight: 0.05 })
form('fcall', r => [`f_lib${r(4)}`, '1', key(r, 's'), text(r)], { live: true, logged: ['set', 'sadd'] })
form('publish', r => ['channel', text(r)], { weight: 0.2 })
form('spublish', r => ['channel', text(r)], { weight: 0.1 })
form('script|load', () => ['return 1'], { live: true, weight: 0.1 })

/** Write commands that {@link FORMS} leave out. */
export const WITHOUT_FORM: Readonly<Record<string, string>> = {
  restore: 'needs what DUMP gives: logs.ts sends it',
  'restore-asking': 'the same',
  'function|restore': 'needs what FUNCTION DUMP gives: logs.ts sends it',
  migrate: 'is logged as DEL',
  'cluster|flushslot': 'is refused outside a cluster, and logged as DEL in one',
  vadd: 'opaque',
  vrem: 'opaque',
  vsetattr: 'opaque',
}

/** Names of commands that some form has. */
export function namesOfForms(): ReadonlySet<string> {
  return new Set(FORMS.map(({ name }) => name))
}

/** In redis 7.0 and valkey 8.1 a later SORT fails, since it looks at an error that the number left. */
const NUMBERS_OF_OLD = { '5e-324': '5e-300', '1e400': 'x' }
/** Arguments that make servers do what aofkit does not, and what stands in their place. */
const UNFIT: Partial<Record<ServerName, Readonly<Record<string, string>>>> = {
  'redis-7.0': NUMBERS_OF_OLD,
  // 8.1.1 takes the time of a key from elsewhere when it was before 1970 and the value is replaced.
  'valkey-8.1': { ...NUMBERS_OF_OLD, '-5': '5' },
}

/** Handled by the replay itself, or without an effect. */
const NO_HANDLER = new Set(['publish', 'spublish', 'script|load', 'touch', 'pfdebug', 'fcall'])

export interface GeneratorOptions {
  readonly server: ServerName
  readonly seed: number
  /** Whether the commands are for a server that then writes the log, not for a log. */
  readonly live: boolean
  /** Only commands whose name, in small letters, matches. */
  readonly only?: RegExp | undefined
}

export class Generator {
  readonly random: Random
  /** Names of commands whose handlers are not there. */
  readonly missing: readonly string[]
  readonly #forms: readonly Form[]
  readonly #weights: readonly number[]
  readonly #sum: number
  readonly #server: ServerName

  constructor({ server, seed, live, only }: GeneratorOptions) {
    this.random = generator(seed)
    this.#server = server
    const table = new CommandTable(server)
    const known = FORMS.filter(
      ({ name, servers }) =>
        servers.includes(server) && knows(table, name) && (only === undefined || only.test(name)),
    )
    const without = (name: string) =>
      HANDLERS[name] === undefined && !NO_HANDLER.has(name) && knows(table, name)
    const missing = new Set(known.flatMap(({ logged }) => logged.filter(without)))
    this.missing = [...missing].sort()
    this.#forms = known.filter(
      ({ live: needsLive, logged }) => (live || !needsLive) && !logged.some(name => missing.has(name)),
    )
    this.#weights = this.#forms.map(({ weight }) => weight)
    this.#sum = this.#weights.reduce((a, b) => a + b, 0)
  }

  /** The next command. */
  command(): Command {
    let at = (this.random(1e6) / 1e6) * this.#sum
    let i = 0
    while (i < this.#weights.length - 1 && at >= this.#weights[i]) at -= this.#weights[i++]
    const instead = UNFIT[this.#server]
    return this.#forms[i].make(this.random).map(arg => (typeof arg === 'string' && instead?.[arg]) || arg)
  }

  /** Commands as a log: transactions among them. */
  log(count: number): Command[] {
    const commands: Command[] = [['SELECT', '0']]
    while (commands.length < count) {
      if (chance(this.random, 25)) {
        commands.push(['MULTI'])
        for (let left = 1 + this.random(6); left > 0; left--) commands.push(this.command())
        commands.push(['EXEC'])
      } else commands.push(this.command())
    }
    return commands
  }
}

function knows(table: CommandTable, name: string): boolean {
  const [command, sub] = name.split('|').map(part => Buffer.from(part))
  const found = table.lookup(command, 0, command.length)
  return found >= 0 && (sub === undefined || table.lookupSub(found, sub, 0, sub.length) >= 0)
}
