/**
 * What the documentation says of commands, by family: what is there after some of them, and what is refused. Each is
 * tried with the keyspace alone, and with servers.
 */
import type { ServerName } from '../../../src/servers/servers.ts'

export interface Documented {
  /** Arguments stand apart by a space; `''` is an empty one. */
  readonly commands: readonly string[]
  /**
   * By key, and with a database before a colon where it is not 0: a string as it is, `[items]`, `{members}`,
   * `(member score, …)`, `<field=value …>`; behind it `@` and the time.
   */
  readonly keys: Readonly<Record<string, string>>
  /** Commands that are refused, and the first words of the answer. */
  readonly refused?: readonly string[]
  /** Default: all of them. */
  readonly servers?: readonly ServerName[]
}

const WRONGTYPE = 'WRONGTYPE'
const FIELDS_EXPIRE: readonly ServerName[] = ['redis-8.0', 'valkey-9.1']

export const DOCUMENTED: Readonly<Record<string, readonly Documented[]>> = {
  strings: [
    {
      commands: ['SET k a', 'SET k b NX', 'SET n c XX', 'SET m d NX', 'SET k e XX'],
      keys: { k: 'e', m: 'd' },
    },
    {
      commands: ['SET k a PXAT 5000', 'SET k b', 'SET l a EXAT 5', 'SET l b KEEPTTL'],
      keys: { k: 'b', l: 'b@5000' },
    },
    { commands: ['MSETNX a 1 b 2', 'MSETNX b 3 c 4', 'MSET d 5 d 6'], keys: { a: '1', b: '2', d: '6' } },
    {
      commands: ['SET k a PXAT 5000', 'GETSET k b', 'SET l a PXAT 5000', 'APPEND l b', 'SETRANGE l 4 x'],
      keys: { k: 'b', l: 'ab\0\0x@5000' },
    },
    {
      commands: ["SETRANGE k 3 ''", 'SETRANGE k -1 a', "APPEND n ''"],
      keys: { n: '' },
      refused: ['setrange: ERR offset'],
    },
    {
      commands: ['SET k a', 'GETDEL k', 'SET l a PXAT 5000', 'GETEX l PERSIST', 'GETEX l'],
      keys: { l: 'a' },
    },
    {
      commands: ['SET k a', 'GETEX k EXAT 7', 'GETEX k PXAT 8 PERSIST'],
      keys: { k: 'a@7000' },
      refused: ['getex: ERR syntax'],
    },
    {
      commands: ['RPUSH l a', 'APPEND l b', 'GETSET l b', 'SETNX l b', 'SET l b'],
      keys: { l: 'b' },
      refused: [`append: ${WRONGTYPE}`, `getset: ${WRONGTYPE}`],
    },
  ],
  counters: [
    {
      commands: ['INCR a', 'DECR b', 'INCRBY c 7', 'DECRBY c 10', 'INCRBY a -3'],
      keys: { a: '-2', b: '-1', c: '-3' },
    },
    {
      commands: [
        'SET a 9223372036854775806',
        'INCR a',
        'INCR a',
        'SET b -9223372036854775808',
        'DECR b',
        'DECRBY c -9223372036854775808',
      ],
      keys: { a: '9223372036854775807', b: '-9223372036854775808' },
      refused: ['incr: ERR increment or decrement', 'decr: ERR increment or decrement', 'decrby: ERR'],
    },
    {
      commands: ['SET a 01', 'INCR a', 'SET b 1.0', 'INCR b', 'INCRBY c x'],
      keys: { a: '01', b: '1.0' },
      refused: [
        'incr: ERR value is not an integer',
        'incr: ERR value is not an integer',
        'incrby: ERR value is not an integer',
      ],
    },
    {
      commands: ['SET a 10.50', 'INCRBYFLOAT a 0.1', 'SET b 5.0e3', 'INCRBYFLOAT b 2.0e2', 'INCRBYFLOAT b x'],
      keys: { a: '10.6', b: '5200' },
      refused: ['incrbyfloat: ERR value is not a valid float'],
    },
  ],
  bits: [
    { commands: ['SETBIT a 7 1', 'SETBIT a 0 1', 'SETBIT a 7 0', 'SETBIT a 9 1'], keys: { a: '\x80\x40' } },
    {
      commands: [
        'SET a foobar',
        'SET b abcdef',
        'BITOP AND c a b',
        'SET d x',
        'BITOP OR e a d',
        'BITOP NOT f d',
      ],
      keys: { a: 'foobar', b: 'abcdef', c: '`bc`ab', d: 'x', e: '~oobar', f: '\x87' },
    },
    {
      commands: ['SET a x', 'BITOP XOR a no no2', 'BITOP NOT b a a', 'SETBIT c 1 2'],
      keys: {},
      refused: ['bitop: ERR BITOP NOT', 'setbit: ERR bit is not'],
    },
    {
      commands: [
        'BITFIELD a INCRBY u2 100 1 OVERFLOW SAT INCRBY u2 102 3 INCRBY u2 102 3',
        'BITFIELD b SET i8 0 -1 OVERFLOW FAIL INCRBY u8 0 1',
      ],
      keys: { a: `${'\0'.repeat(12)}\x07`, b: '\xff' },
    },
  ],
  lists: [
    {
      commands: ['RPUSH l a b c', 'LPUSH l x y', 'RPUSHX l d', 'LPUSHX no x', 'LPOP l', 'RPOP l 2'],
      keys: { l: '[x a b]' },
    },
    {
      commands: ['RPUSH l a b a c a', 'LREM l -2 a', 'RPUSH m a b a', 'LREM m 0 a', 'LREM m 1 b'],
      keys: { l: '[a b c]' },
    },
    {
      commands: ['RPUSH l a b c d', 'LTRIM l 1 -2', 'LSET l -1 x', 'LSET l 5 x', 'LSET no 0 x'],
      keys: { l: '[b x]' },
      refused: ['lset: ERR index out of range', 'lset: ERR no such key'],
    },
    {
      commands: [
        'RPUSH l a b a',
        'LINSERT l BEFORE a x',
        'LINSERT l AFTER b y',
        'LINSERT l AFTER no z',
        'LINSERT l BESIDE a z',
      ],
      keys: { l: '[x a b y a]' },
      refused: ['linsert: ERR syntax'],
    },
    {
      commands: [
        'RPUSH l a b c',
        'LMOVE l l LEFT RIGHT',
        'LMOVE l m RIGHT LEFT',
        'RPOPLPUSH l m',
        'RPOPLPUSH no m',
        'BLMOVE l n LEFT LEFT 0',
      ],
      keys: { m: '[c a]', n: '[b]' },
    },
    {
      commands: [
        'RPUSH l a b c',
        'LMPOP 2 no l RIGHT COUNT 2',
        'BLPOP l 0',
        'RPUSH m a b',
        'BLMPOP 0 1 m LEFT',
      ],
      keys: { m: '[b]' },
    },
    {
      commands: [
        'SET s x',
        'LPUSH s a',
        'RPUSHX s a',
        'LPOP s',
        'LTRIM s 0 1',
        'RPOPLPUSH s l',
        'RPUSH l a',
        'LPOP l -1',
      ],
      keys: { s: 'x', l: '[a]' },
      refused: ['lpush', 'rpushx', 'lpop', 'ltrim', 'rpoplpush']
        .map(name => `${name}: ${WRONGTYPE}`)
        .concat('lpop: ERR value is out of range'),
    },
  ],
  sets: [
    {
      commands: ['SADD e a b a', 'SREM e b no', 'SMOVE e f a', 'SMOVE f e no', 'SADD e c'],
      keys: { e: '{c}', f: '{a}' },
    },
    {
      commands: [
        'SADD a 1 2 3',
        'SADD b 2 3 4',
        'SINTERSTORE i a b',
        'SUNIONSTORE u a no b',
        'SDIFFSTORE d a b',
        'SDIFFSTORE a a b',
      ],
      keys: { a: '{1}', b: '{2 3 4}', i: '{2 3}', u: '{1 2 3 4}', d: '{1}' },
    },
    {
      commands: [
        'SADD a x',
        'SET i old',
        'SINTERSTORE i a no',
        'SET s x',
        'SADD s y',
        'SUNIONSTORE a a s',
        'SMOVE a s x',
      ],
      keys: { a: '{x}', s: 'x' },
      refused: ['sadd', 'sunionstore', 'smove'].map(name => `${name}: ${WRONGTYPE}`),
    },
  ],
  'sorted sets': [
    {
      commands: [
        'ZADD z 1 a 2 b',
        'ZADD z NX 5 a 3 c',
        'ZADD z XX 7 b 8 no',
        'ZADD z GT 0 a 9 c',
        'ZADD z LT CH 1 b',
      ],
      keys: { z: '(a 1, b 1, c 9)' },
    },
    {
      commands: [
        'ZADD z 1 a',
        'ZADD z INCR 2 a',
        'ZINCRBY z -0.5 a',
        'ZINCRBY z 4 b',
        'ZADD z NX INCR 9 a',
        'ZADD z XX INCR 9 no',
      ],
      keys: { z: '(a 2.5, b 4)' },
    },
    {
      commands: [
        'ZADD z NX XX 1 a',
        'ZADD z GT LT 1 a',
        'ZADD z INCR 1 a 2 b',
        'ZADD z 1 a x b',
        'ZADD z inf a',
        'ZINCRBY z -inf a',
      ],
      keys: { z: '(a Infinity)' },
      refused: [
        'zadd: ERR XX and NX',
        'zadd: ERR GT, LT',
        'zadd: ERR INCR option',
        'zadd: ERR value is not a valid float',
        'zincrby: ERR resulting score',
      ],
    },
    {
      commands: [
        'ZADD z 1 a 2 b 3 c 4 d 5 e',
        'ZPOPMIN z',
        'ZPOPMAX z 2',
        'ZREMRANGEBYRANK z -1 -1',
        'ZREM z no',
      ],
      keys: { z: '(b 2)' },
    },
    {
      commands: [
        'ZADD z 1 a 2 b 3 c 4 d',
        'ZREMRANGEBYSCORE z (1 (3',
        'ZREMRANGEBYSCORE z 4 +inf',
        'ZREMRANGEBYSCORE z x 1',
      ],
      keys: { z: '(a 1, c 3)' },
      refused: ['zremrangebyscore: ERR min or max'],
    },
    {
      commands: [
        'ZADD z 0 a 0 b 0 c 0 d',
        'ZREMRANGEBYLEX z (a [b',
        'ZREMRANGEBYLEX z [d +',
        'ZREMRANGEBYLEX z a b',
      ],
      keys: { z: '(a 0, c 0)' },
      refused: ['zremrangebylex: ERR min or max'],
    },
    {
      commands: [
        'ZADD a 1 x 2 y',
        'ZADD b 10 x 20 z',
        'SADD s y',
        'ZUNIONSTORE u 3 a b s WEIGHTS 2 1 5',
        'ZINTERSTORE i 2 a b AGGREGATE MAX',
        'ZINTERSTORE n 2 a b AGGREGATE MIN',
        'ZDIFFSTORE d 2 a b',
      ],
      keys: {
        a: '(x 1, y 2)',
        b: '(x 10, z 20)',
        s: '{y}',
        u: '(y 9, x 12, z 20)',
        i: '(x 10)',
        n: '(x 1)',
        d: '(y 2)',
      },
    },
    {
      commands: [
        'ZADD z 1 a 2 b 3 c 4 d',
        'ZRANGESTORE r z 1 2',
        'ZRANGESTORE s z (1 +inf BYSCORE LIMIT 1 1',
        'ZRANGESTORE q z 2 3 BYSCORE',
        'ZRANGESTORE t z 0 0 REV',
        'ZRANGESTORE r2 z 0 -1 LIMIT 0 1',
        'ZMPOP 2 no z MAX COUNT 3',
      ],
      keys: { z: '(a 1)', r: '(b 2, c 3)', s: '(c 3)', q: '(b 2, c 3)', t: '(d 4)' },
      refused: ['zrangestore: ERR syntax error, LIMIT'],
    },
    {
      commands: [
        'SET s x',
        'ZADD s 1 a',
        'ZINCRBY s 1 a',
        'ZREM s a',
        'ZPOPMIN s',
        'ZRANGESTORE d s 0 1',
        'ZUNIONSTORE d 1 s',
        'ZUNIONSTORE d 0 s',
      ],
      keys: { s: 'x' },
      refused: ['zadd', 'zincrby', 'zrem', 'zpopmin', 'zrangestore', 'zunionstore']
        .map(name => `${name}: ${WRONGTYPE}`)
        .concat('zunionstore: ERR at least 1 input key'),
    },
  ],
  hashes: [
    {
      commands: ['HSET h a 1 b 2', 'HSETNX h a 9', 'HSETNX h c 3', 'HMSET h d 4', 'HDEL h b no'],
      keys: { h: '<a=1 c=3 d=4>' },
    },
    {
      commands: [
        'HINCRBY h a 5',
        'HINCRBY h a -7',
        'HINCRBYFLOAT h f 10.5',
        'HINCRBYFLOAT h f 0.1',
        'HSET h t x',
        'HINCRBY h t 1',
        'HINCRBYFLOAT h t 1',
      ],
      keys: { h: '<a=-2 f=10.6 t=x>' },
      refused: ['hincrby: ERR hash value is not an integer', 'hincrbyfloat: ERR hash value is not a float'],
    },
    {
      commands: ['SET s x', 'HSET s a 1', 'HDEL s a', 'HINCRBY s a 1', 'HDEL h a', 'HSET g a 1', 'HDEL g a'],
      keys: { s: 'x' },
      refused: ['hset', 'hdel', 'hincrby'].map(name => `${name}: ${WRONGTYPE}`),
    },
    {
      commands: [
        'HSET h a 1 b 2 c 3',
        'HPEXPIREAT h 4102444800000 FIELDS 2 a b',
        'HPERSIST h FIELDS 1 b',
        'HSET h a 9',
        'HSETEX h PXAT 4102444800001 FIELDS 1 c 4',
      ],
      keys: { h: '<a=9 b=2 c=4@4102444800001>' },
      servers: FIELDS_EXPIRE,
    },
    {
      commands: [
        'HSET h a 1 b 2',
        'HPEXPIREAT h 4102444800000 FIELDS 1 a',
        'HPEXPIREAT h 4102444800009 NX FIELDS 2 a b',
        'HPEXPIREAT h 4102444800001 LT FIELDS 2 a b',
        'HPEXPIREAT h 4102444800002 GT FIELDS 1 a',
        'HPEXPIREAT h 1 FIELDS 2 a',
      ],
      keys: { h: '<a=1@4102444800002 b=2@4102444800001>' },
      refused: ['hpexpireat: ERR'],
      servers: FIELDS_EXPIRE,
    },
    {
      commands: [
        'HSET h a 1 b 2 c 3',
        'HGETDEL h FIELDS 2 a no',
        'HGETEX h PXAT 4102444800000 FIELDS 1 b',
        'HGETEX h PERSIST FIELDS 1 b',
        'HSETEX h FNX FIELDS 1 b 9',
        'HSETEX h FXX FIELDS 2 b 8 no 1',
      ],
      keys: { h: '<b=2 c=3>' },
      servers: FIELDS_EXPIRE,
    },
  ],
  streams: [
    {
      commands: [
        'XADD x 1-1 a b',
        'XADD x 1-1 a b',
        'XADD x 0-0 a b',
        'XADD y NOMKSTREAM 1-1 a b',
        'XADD x 1-* c d',
        'DEL x',
      ],
      keys: {},
      refused: ['xadd: ERR The ID specified in XADD is equal', 'xadd: ERR The ID specified in XADD must'],
    },
    {
      commands: [
        'XADD x 1 a b',
        'XGROUP CREATE x g 0',
        'XGROUP CREATE x g 0',
        'XGROUP CREATE no g 0',
        'XGROUP SETID x no 0',
        'XCLAIM x no c 0 1',
        'XSETID x 0-1',
        'DEL x',
        'SET s x',
        'XADD s 1 a b',
        'XTRIM s MAXLEN 1',
      ],
      keys: { s: 'x' },
      refused: [
        'xgroup|create: BUSYGROUP',
        'xgroup|create: ERR The XGROUP',
        'xgroup|setid: NOGROUP',
        'xclaim: NOGROUP',
        'xsetid: ERR The ID specified in XSETID',
        `xadd: ${WRONGTYPE}`,
        `xtrim: ${WRONGTYPE}`,
      ],
    },
  ],
  keys: [
    {
      commands: [
        'SET a 1 PXAT 5000',
        'RENAME a b',
        'RENAMENX b b',
        'SET c 2',
        'RENAMENX b c',
        'RENAME no b',
        'RENAME c d',
      ],
      keys: { b: '1@5000', d: '2' },
      refused: ['rename: ERR no such key'],
    },
    {
      commands: [
        'SET a 1',
        'SET b 2 PXAT 9000',
        'COPY b a',
        'COPY b c',
        'COPY b a REPLACE DB 1',
        'COPY a a',
        'COPY b c DB 99',
        'SET b 3',
      ],
      keys: { a: '1', b: '3', c: '2@9000', '1:a': '2@9000' },
      refused: ['copy: ERR source and destination', 'copy: ERR DB index'],
    },
    {
      commands: [
        'SET a 1',
        'MOVE a 1',
        'SET a 2',
        'MOVE a 1',
        'MOVE a 0',
        'MOVE no 1',
        'MOVE a 99',
        'SWAPDB 0 99',
        'SELECT 1',
        'SET b 3',
        'SWAPDB 0 1',
        'SET c 4',
        'SELECT 16',
        'SET d 5',
      ],
      keys: { a: '1', b: '3', '1:a': '2', '1:c': '4', '1:d': '5' },
      refused: [
        'move: ERR source and destination',
        'move: ERR DB index',
        'swapdb: ERR',
        'select: ERR DB index',
      ],
    },
    {
      commands: [
        'SET a 1',
        'PEXPIREAT a 5000 XX',
        'PEXPIREAT a 5000 NX',
        'PEXPIREAT a 4000 GT',
        'PEXPIREAT a 6000 LT',
        'SET b 1',
        'EXPIREAT b 7',
        'PEXPIREAT b 9000 GT',
        'SET c 1 PXAT 1',
        'PERSIST c',
        'PEXPIREAT a 1 NX GT',
        'PEXPIREAT a x',
      ],
      keys: { a: '1@5000', b: '1@9000', c: '1' },
      refused: ['pexpireat: ERR NX and XX', 'pexpireat: ERR value is not an integer'],
    },
    {
      commands: [
        'SET a 1',
        'SET b 2',
        'SELECT 2',
        'SET c 3',
        'FLUSHDB ASYNC',
        'SELECT 0',
        'DEL a no',
        'UNLINK no',
      ],
      keys: { b: '2' },
    },
    { commands: ['SET a 1', 'SELECT 2', 'SET c 3', 'FLUSHALL', 'SET d 1'], keys: { '2:d': '1' } },
  ],
  sort: [
    {
      commands: [
        'RPUSH l 3 10 2',
        'SORT l STORE up',
        'SORT l DESC LIMIT 1 2 STORE down',
        'SORT l ALPHA STORE words',
        'SORT no STORE l',
      ],
      keys: { up: '[2 3 10]', down: '[3 2]', words: '[10 2 3]' },
    },
    {
      commands: [
        'SADD e a b',
        'MSET w:a 2 w:b 1 v:a x',
        'SORT e BY w:* GET v:* GET # STORE d',
        'DEL w:a w:b v:a e',
      ],
      keys: { d: '[ b x a]' },
    },
    {
      commands: [
        'RPUSH l a b',
        'SORT l STORE d',
        'SET s x',
        'SORT s STORE d',
        'ZADD z 2 a 1 b',
        'SORT z BY nosort STORE d',
      ],
      keys: { l: '[a b]', s: 'x', z: '(b 1, a 2)', d: '[b a]' },
      refused: ["sort: ERR One or more scores can't", `sort: ${WRONGTYPE}`],
    },
  ],
  places: [
    {
      commands: [
        'GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania',
        'GEOADD g NX 0 0 Palermo',
        'GEOADD g XX 0 0 Rome',
        'GEOSEARCHSTORE near g FROMLONLAT 15 37 BYRADIUS 100 km',
        'GEORADIUS g 15 37 200 km STORE all',
        'DEL g',
      ],
      keys: {
        near: '(Catania 3479447370796909)',
        all: '(Palermo 3479099956230698, Catania 3479447370796909)',
      },
    },
    {
      commands: [
        'GEOADD g 181 0 a',
        'GEOADD g x 1 a',
        'SET s x',
        'GEOADD s 1 1 a',
        'GEOSEARCHSTORE d s FROMLONLAT 1 1 BYRADIUS 1 m',
        'GEOSEARCHSTORE d no FROMLONLAT 1 1 BYRADIUS 1 parsec',
      ],
      keys: { s: 'x' },
      refused: [
        'geoadd: ERR invalid longitude',
        'geoadd: ERR value is not a valid float',
        `geoadd: ${WRONGTYPE}`,
        `geosearchstore: ${WRONGTYPE}`,
        'geosearchstore: ERR unsupported unit',
      ],
    },
  ],
}

export function argumentsOf(command: string): string[] {
  return command.split(' ').map(text => (text === "''" ? '' : text))
}
