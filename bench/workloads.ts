import { type Emit, generator, LETTERS } from './logs.ts'

/* What applications do for long, in any size: nothing of it may cost more a command when there is more of it. */

export interface Workload {
  readonly name: string
  /** Commands at full size. */
  readonly commands: number
  /** Commands for each of `size` steps, and what they are; a structure grows with the size of the log. */
  readonly emit: (emit: Emit, size: number, random: Random) => void
  /** Why no server is asked. */
  readonly noServer?: string
}

export interface Random {
  /** Below `n`. */
  int(n: number): number
  text(low: number, high: number): string
}

export function randomOf(seed: number): Random {
  const random = generator(seed)
  const int = (n: number) => Math.floor(random() * n)
  return {
    int,
    text(low, high) {
      const at = int(20_000)
      return LETTERS.slice(at, at + low + int(high - low + 1))
    },
  }
}

const NOW = 1_700_000_000_000

export const WORKLOADS: readonly Workload[] = [
  {
    name: 'delayed jobs: ZADD, ZPOPMIN',
    commands: 2_000_000,
    emit(emit, size, { int }) {
      const backlog = size >>> 2
      for (let i = 0; i < backlog; i++) emit('ZADD', 'delayed', `${NOW + int(1e9)}`, `job:${i}`)
      for (let i = 0; i < size - 2 * backlog; i += 2) {
        emit('ZADD', 'delayed', `${NOW + int(1e9)}`, `later:${i}`)
        emit('ZPOPMIN', 'delayed')
      }
      for (let i = 0; i < backlog; i++) emit('ZPOPMIN', 'delayed')
    },
  },
  {
    name: 'sliding window: ZREMRANGEBYSCORE, ZADD, PEXPIREAT',
    commands: 2_400_000,
    emit(emit, size, { int }) {
      const users = Math.max(1, size >>> 9)
      const window = size >>> 4
      for (let i = 0; i < size; i += 3) {
        // Half of the traffic is one customer's.
        const user = int(2) === 0 ? 0 : 1 + int(users)
        emit('ZREMRANGEBYSCORE', `rate:${user}`, '-inf', `(${NOW + i - window}`)
        emit('ZADD', `rate:${user}`, `${NOW + i}`, `${NOW + i}:${int(1e6)}`)
        emit('PEXPIREAT', `rate:${user}`, `${NOW + i + window}`)
      }
    },
  },
  {
    name: 'leaderboard: ZADD, ZINCRBY, ZREMRANGEBYRANK',
    commands: 1_600_000,
    emit(emit, size, { int }) {
      const players = size >>> 2
      for (let i = 0; i < players; i++) emit('ZADD', 'board', `${int(1e6)}`, `player:${i}`)
      for (let i = 0; i < size - players; i += 3) {
        emit('ZADD', 'board', `${int(1e6)}`, `guest:${i}`)
        emit('ZINCRBY', 'board', `${int(100)}`, `guest:${i}`)
        const rank = `${int(players)}`
        emit('ZREMRANGEBYRANK', 'board', rank, rank)
      }
    },
  },
  {
    name: 'capped list: LPUSH, LTRIM',
    commands: 3_000_000,
    emit(emit, size, { text }) {
      const cap = size >>> 4
      for (let i = 0; i < size; i += 2) {
        emit('LPUSH', 'recent', text(20, 40))
        emit('LTRIM', 'recent', '0', `${cap - 1}`)
      }
    },
  },
  {
    name: 'long list: LSET',
    commands: 2_000_000,
    emit(emit, size, { int, text }) {
      const length = size >>> 2
      for (let i = 0; i < length; i++) emit('RPUSH', 'list', text(10, 40))
      for (let i = length; i < size; i++) emit('LSET', 'list', `${int(length)}`, text(10, 40))
    },
    noServer: 'it walks through half of a list for each LSET',
  },
  {
    name: 'long list: LINSERT and LREM near its ends',
    commands: 1_000_000,
    emit(emit, size, { int }) {
      const length = size >>> 1
      for (let i = 0; i < length; i++) emit('RPUSH', 'list', `item:${i}`)
      for (let i = length; i < size; i += 4) {
        const near = int(64)
        emit('LINSERT', 'list', 'BEFORE', `item:${near}`, `new:${i}`)
        emit('LREM', 'list', '1', `new:${i}`)
        emit('LREM', 'list', '-1', `item:${length - 1 - near}`)
        emit('RPUSH', 'list', `item:${length - 1 - near}`)
      }
    },
  },
  {
    name: 'one text: APPEND up to 64 MB',
    commands: 2_000_000,
    emit(emit, size, { text }) {
      for (let i = 0; i < size; i++) emit('APPEND', 'log', text(24, 40))
    },
  },
  {
    name: 'capped stream: XADD MAXLEN = and ~',
    commands: 1_600_000,
    emit(emit, size, { int, text }) {
      const cap = size >>> 4
      for (let i = 0; i < size; i++) {
        emit(
          ...['XADD', `events:${i & 1}`, 'MAXLEN', i & 1 ? '=' : '~', `${cap}`, `${NOW + i}-0`],
          ...['user', `${int(1e6)}`, 'what', text(8, 24)],
        )
      }
    },
  },
  {
    name: 'stream with a group: XADD, XCLAIM as logged, XACK',
    commands: 1_600_000,
    emit(emit, size, { int, text }) {
      const backlog = size >>> 4
      emit('XGROUP', 'CREATE', 'work', 'workers', '0', 'MKSTREAM')
      for (let i = 0; i < size >>> 2; i++) {
        const id = `${NOW + i}-0`
        emit('XADD', 'work', id, 'task', text(8, 24))
        // As a server logs XREADGROUP.
        emit(
          ...['XCLAIM', 'work', 'workers', `worker:${int(16)}`, '0', id, 'TIME', `${NOW + i}`],
          ...['RETRYCOUNT', '1', 'FORCE', 'JUSTID', 'LASTID', id],
        )
        emit('XGROUP', 'SETID', 'work', 'workers', id, 'ENTRIESREAD', `${i + 1}`)
        if (i >= backlog) emit('XACK', 'work', 'workers', `${NOW + i - backlog}-0`)
      }
    },
  },
  {
    name: 'stream with a group: XREADGROUP, XACK in any order, XDEL',
    commands: 1_200_000,
    emit(emit, size, { int, text }) {
      const backlog = size >>> 4
      const open: number[] = []
      emit('XGROUP', 'CREATE', 'work', 'workers', '0', 'MKSTREAM')
      for (let i = 0; i < size >>> 2; i++) {
        emit('XADD', 'work', `${NOW + i}-0`, 'task', text(8, 24))
        emit(
          ...['XREADGROUP', 'GROUP', 'workers', `worker:${int(16)}`, 'COUNT', '1'],
          ...['STREAMS', 'work', '>'],
        )
        if (open.length < backlog) {
          open.push(i)
          continue
        }
        const at = int(open.length)
        const id = `${NOW + open[at]}-0`
        open[at] = i
        emit('XACK', 'work', 'workers', id)
        emit('XDEL', 'work', id)
      }
    },
  },
  {
    name: 'sparse bits: SETBIT far out, one key',
    commands: 800_000,
    emit(emit, size, { int }) {
      for (let i = 0; i < size; i++) emit('SETBIT', 'seen', `${int(2 ** 32)}`, '1')
    },
  },
  {
    name: 'sparse bits: SETBIT far out, many keys',
    commands: 400_000,
    emit(emit, size, { int }) {
      for (let i = 0; i < size; i++) emit('SETBIT', `seen:${i}`, `${2 ** 27 + int(2 ** 27)}`, '1')
    },
    noServer: 'it needs 16 to 32 MiB a key',
  },
  {
    name: 'dense bits and fields: SETBIT, BITFIELD',
    commands: 1_600_000,
    emit(emit, size, { int }) {
      for (let i = 0; i < size; i += 2) {
        emit('SETBIT', 'active', `${int(4 * size)}`, `${i & 1}`)
        emit('BITFIELD', 'counts', 'OVERFLOW', 'SAT', 'INCRBY', 'u16', `#${int(size)}`, '3')
      }
    },
  },
  {
    name: 'keys that die: SET, DEL',
    commands: 3_000_000,
    emit(emit, size, { text }) {
      const alive = size >>> 4
      for (let i = 0; i < size; i += 2) {
        emit('SET', `token:${i}`, text(16, 40), 'PXAT', `${NOW + i}`)
        emit('DEL', `token:${i - 2 * alive}`)
      }
    },
  },
  {
    name: 'keys that die: SET, FLUSHDB',
    commands: 2_000_000,
    emit(emit, size, { text }) {
      const often = size >>> 3
      for (let i = 1; i <= size; i++) {
        if (i % often === 0) emit('FLUSHDB')
        else emit('SET', `cache:${i}`, text(16, 40), 'PXAT', `${NOW + i}`)
      }
    },
  },
  {
    name: 'one huge hash: HSET, HDEL',
    commands: 2_400_000,
    emit(emit, size, { int, text }) {
      const fields = size >>> 2
      for (let i = 0; i < fields; i++) emit('HSET', 'hash', `field:${i}`, text(10, 40))
      for (let i = fields; i < size; i += 3) {
        emit('HSET', 'hash', `field:${int(fields)}`, text(10, 40))
        emit('HDEL', 'hash', `field:${int(fields)}`)
        emit('HSET', 'hash', `field:${i}`, text(10, 40))
      }
    },
  },
  {
    name: 'one huge hash: RENAME',
    commands: 1_600_000,
    emit(emit, size, { int, text }) {
      const fields = size >>> 2
      for (let i = 0; i < fields; i++) emit('HSET', 'hash:0', `field:${i}`, text(10, 40))
      for (let i = 0; i < size - fields; i += 2) {
        emit('RENAME', `hash:${i}`, `hash:${i + 2}`)
        emit('HSET', `hash:${i + 2}`, `field:${int(fields)}`, text(10, 40))
      }
    },
  },
  {
    name: 'one huge set: SADD, SREM, SPOP as logged',
    commands: 2_400_000,
    emit(emit, size, { int }) {
      const members = size >>> 2
      for (let i = 0; i < members; i++) emit('SADD', 'set', `member:${i}`)
      for (let i = members; i < size; i += 3) {
        emit('SADD', 'set', `member:${i}`)
        emit('SREM', 'set', `member:${int(i)}`)
        emit('SADD', 'set', `member:${int(i)}`)
      }
    },
  },
  {
    name: 'databases swapped: SWAPDB, SET',
    commands: 1_600_000,
    emit(emit, size, { int, text }) {
      const keys = size >>> 2
      for (let i = 0; i < size; i += 2) {
        emit('SWAPDB', '0', '1')
        emit('SET', `key:${int(keys)}`, text(10, 40))
      }
    },
  },
]
