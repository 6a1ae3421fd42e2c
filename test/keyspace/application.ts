/**
 * What programs do with a server: a queue of jobs in Lua scripts, one in transactions, sessions, a cache with its
 * counters and limits, events for groups of consumers. It runs as fast as the server answers, for a given time, with
 * rewrites in between, until the server is killed.
 */
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { resolveInput } from '../../src/aof/parts.ts'
import { digestLog } from '../../src/operations/digest.ts'
import type { ServerName } from '../../src/servers/servers.ts'
import { Client, type Reply, type Server } from '../helpers/servers.ts'
import { check, cutAt, Reloader, tornCut } from './comparing.ts'
import type { Random } from './generate.ts'
import { filesOf, type Log, readParts, recordsOf } from './logs.ts'
import { generator } from './replaying.ts'

/** Milliseconds. Other keys live for an hour at least. */
const LONGEST_OF_SHORT_LIVES = 1000

type Arg = string | number
type Ask = (...args: Arg[]) => Promise<Reply>

export interface ApplicationOptions {
  readonly seconds: number
  readonly seed: number
  /** Rewrites, at equal distances. */
  readonly rewrites: number
  readonly preamble: boolean
}

export interface Ran {
  /** With the manifest and the parts, as the kill left them. */
  readonly folder: string
  /** Commands that the clients sent; those of scripts are not counted. */
  readonly sent: number
  /** Bytes of the log before each rewrite, and in the end. */
  readonly sizes: readonly number[]
}

/** Each program goes on until its connection ends. */
type Program = (ask: Ask, random: Random, server: ServerName) => Promise<void>

/** Lets the programs run on a server that is killed while they do. */
export async function runApplication(server: Server, options: ApplicationOptions): Promise<Ran> {
  const { seconds, seed, rewrites, preamble } = options
  const sizes: number[] = []
  let sent = 0
  const clients: Client[] = []
  const programs: Promise<void>[] = []
  const folder = await server.run(
    async client => {
      const [, socket] = (await client.query('CONFIG', 'GET', 'unixsocket')) as Buffer[]
      const parts = join(String(socket), '..', 'appendonlydir')
      for (const [i, [db, program]] of PROGRAMS.entries()) {
        const own = await Client.connect(String(socket))
        clients.push(own)
        const ask: Ask = async (...args) => {
          sent++
          const reply = await own.query(...args)
          if (reply instanceof Error) throw new Refused(`${args.join(' ').slice(0, 200)}: ${reply.message}`)
          return reply
        }
        const random = generator(seed + i)
        programs.push(
          ask('SELECT', db)
            .then(() => program(ask, random, server.name))
            .catch(error => {
              if (error instanceof Refused) throw error
            }),
        )
      }
      // What a program complains of ends it all at once.
      const failure = Promise.all(programs)
      for (let i = 0; i <= rewrites; i++) {
        await Promise.race([wait((seconds * 1000) / (rewrites + 1)), failure])
        sizes.push(sizeOf(parts))
        if (i < rewrites) await client.query('BGREWRITEAOF')
      }
    },
    {
      args: ['--appendfsync', 'everysec', '--aof-use-rdb-preamble', preamble ? 'yes' : 'no', '--hz', '100'],
    },
  )
  await Promise.all(programs)
  for (const client of clients) client.close()
  return { folder, sent, sizes }
}

/** The server does not do what a program asks for: then nothing is proved. */
class Refused extends Error {}

function sizeOf(folder: string): number {
  return readdirSync(folder).reduce((sum, name) => {
    // One that was there a moment ago.
    const file = statSync(join(folder, name), { throwIfNoEntry: false })
    return sum + (file?.size ?? 0)
  }, 0)
}

const one = <T>(r: Random, from: readonly T[]): T => from[r(from.length)]
const words = (r: Random, most: number): string => 'lorem ipsum dolor sit amet '.repeat(1 + r(most))

/** KEYS: jobs waiting, delayed, events, counter. ARGV: prefix of jobs, time, delay, data. */
const ADD = `
local id = redis.call('INCR', KEYS[4])
local job = ARGV[1] .. id
redis.call('HSET', job, 'data', ARGV[4], 'added', ARGV[2], 'attempts', 0)
if tonumber(ARGV[3]) > 0 then
  redis.call('ZADD', KEYS[2], tonumber(ARGV[2]) + tonumber(ARGV[3]), id)
  redis.call('XADD', KEYS[3], 'MAXLEN', '~', 200, '*', 'event', 'delayed', 'job', id)
else
  redis.call('LPUSH', KEYS[1], id)
  redis.call('XADD', KEYS[3], 'MAXLEN', '~', 200, '*', 'event', 'waiting', 'job', id)
end
return id`

/** KEYS: waiting, active, delayed, events. ARGV: prefix of jobs, time, token. The job's number, or false. */
const TAKE = `
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], 0, ARGV[2], 'LIMIT', 0, 20)) do
  redis.call('ZREM', KEYS[3], id)
  redis.call('LPUSH', KEYS[1], id)
end
local id = redis.call('LMOVE', KEYS[1], KEYS[2], 'RIGHT', 'LEFT')
if not id then return false end
redis.call('SET', ARGV[1] .. id .. ':lock', ARGV[3], 'PX', 300)
redis.call('HSET', ARGV[1] .. id, 'processed', ARGV[2])
redis.call('XADD', KEYS[4], 'MAXLEN', '~', 200, '*', 'event', 'active', 'job', id)
return id`

/** KEYS: active, completed, delayed, events. ARGV: prefix of jobs, time, number of the job, result ('': it failed). */
const FINISH = `
local job = ARGV[1] .. ARGV[3]
redis.call('DEL', job .. ':lock')
if redis.call('LREM', KEYS[1], -1, ARGV[3]) == 0 then return 0 end
if ARGV[4] == '' then
  local attempts = redis.call('HINCRBY', job, 'attempts', 1)
  if attempts < 3 then
    redis.call('ZADD', KEYS[3], tonumber(ARGV[2]) + 10 * 2 ^ attempts, ARGV[3])
    return 1
  end
  redis.call('HSET', job, 'failed', ARGV[2])
  redis.call('EXPIRE', job, 3600)
else
  redis.call('HSET', job, 'result', ARGV[4], 'finished', ARGV[2])
end
redis.call('ZADD', KEYS[2], ARGV[2], ARGV[3])
for _, old in ipairs(redis.call('ZRANGE', KEYS[2], 0, -301)) do redis.call('DEL', ARGV[1] .. old) end
redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -301)
redis.call('XADD', KEYS[4], 'MAXLEN', '~', 200, '*', 'event', 'finished', 'job', ARGV[3])
return 1`

const Q = (name: string): string => `queue:{mail}:${name}`
const JOBS = Q('job:')

const producer: Program = async (ask, random) => {
  const add = String(await ask('SCRIPT', 'LOAD', ADD))
  for (;;) {
    const delay = random(4) === 0 ? random(200) : 0
    const data = JSON.stringify({ to: `user${random(500)}@example.org`, text: words(random, 12) })
    await ask(
      ...['EVALSHA', add, 4, Q('wait'), Q('delayed'), Q('events'), Q('id')],
      JOBS,
      Date.now(),
      delay,
      data,
    )
    if (random(20) === 0) await ask('PUBLISH', Q('news'), 'added')
    // So that workers keep up with it.
    if (Number(await ask('LLEN', Q('wait'))) > 500) await wait(5)
  }
}

const worker: Program = async (ask, random) => {
  const take = String(await ask('SCRIPT', 'LOAD', TAKE))
  const finish = String(await ask('SCRIPT', 'LOAD', FINISH))
  const token = `worker:${random(1e9)}`
  for (;;) {
    const taken = await ask(
      'EVALSHA',
      take,
      4,
      Q('wait'),
      Q('active'),
      Q('delayed'),
      Q('events'),
      JOBS,
      Date.now(),
      token,
    )
    let id = taken === null ? '' : String(taken)
    if (taken === null) {
      const moved = await ask('BLMOVE', Q('wait'), Q('active'), 'RIGHT', 'LEFT', '0.05')
      if (moved === null) continue
      id = String(moved)
    }
    // Now and then a worker forgets a job; its lock runs out.
    if (random(200) === 0) continue
    const result = random(6) === 0 ? '' : JSON.stringify({ sent: random(1000) / 7 })
    const keys = [Q('active'), Q('completed'), Q('delayed'), Q('events')]
    await ask('EVALSHA', finish, 4, ...keys, JOBS, Date.now(), id, result)
  }
}

/** Puts forgotten jobs back, in transactions that fail when somebody else was there. */
const janitor: Program = async (ask, random) => {
  for (;;) {
    await wait(20)
    await ask('WATCH', Q('active'))
    const active = (await ask('LRANGE', Q('active'), 0, -1)) as Buffer[]
    const lost: string[] = []
    for (const id of active) if ((await ask('EXISTS', `${JOBS}${id}:lock`)) === 0) lost.push(String(id))
    await ask('MULTI')
    for (const id of lost) {
      await ask('LREM', Q('active'), 1, id)
      await ask('RPUSH', Q('wait'), id)
      await ask('HINCRBY', `${JOBS}${id}`, 'stalled', 1)
    }
    await ask('SET', Q('checked'), Date.now(), 'EX', 3600)
    await ask(random(10) === 0 ? 'DISCARD' : 'EXEC')
  }
}

/** Lists of jobs as JSON, a schedule, and statistics in transactions. */
const background: Program = async (ask, random) => {
  for (let n = 0; ; n++) {
    const job = JSON.stringify({
      class: one(random, ['Resize', 'Index', 'Purge']),
      jid: n,
      args: [random(99)],
    })
    await ask('MULTI')
    await ask('SADD', 'queues', 'default', 'low')
    await ask('LPUSH', one(random, ['queue:default', 'queue:low']), job)
    await ask('EXEC')
    if (random(3) === 0) await ask('ZADD', 'schedule', (Date.now() + random(400)) / 1000, job)
    for (const due of (await ask(
      ...['ZRANGE', 'schedule', '-inf', Date.now() / 1000, 'BYSCORE', 'LIMIT', 0, 3],
    )) as Buffer[]) {
      if ((await ask('ZREM', 'schedule', String(due))) === 1) await ask('LPUSH', 'queue:default', String(due))
    }
    const popped = (await ask('BRPOP', 'queue:default', 'queue:low', '0.05')) as Buffer[] | null
    if (popped === null) continue
    const day = new Date().toISOString().slice(0, 10)
    await ask('MULTI')
    await ask('INCRBY', 'stat:processed', 1)
    await ask('INCRBY', `stat:processed:${day}`, 1)
    await ask('EXPIRE', `stat:processed:${day}`, 86_400)
    await ask('HSET', 'process:1', 'busy', random(5), 'beat', (Date.now() / 1000).toFixed(3))
    await ask('EXPIRE', 'process:1', 7200)
    await ask('EXEC')
    if (random(30) === 0) await ask('ZADD', 'dead', Date.now() / 1000, String(popped[1]))
    if (random(60) === 0) await ask('ZREMRANGEBYRANK', 'dead', 0, -21)
  }
}

const sessions: Program = async (ask, random) => {
  for (;;) {
    const user = random(2000)
    const key = `session:${user}`
    switch (random(7)) {
      case 0:
      case 1:
        await ask(
          'SET',
          key,
          JSON.stringify({ user, cart: words(random, 20) }),
          'PX',
          one(random, [50 + random(400), 9e6]),
        )
        break
      case 2:
        await ask('GETEX', key, ...one(random, [['PX', 40 + random(300)], ['EX', 7200], ['PERSIST']]))
        break
      case 3:
        await ask('EXPIRE', key, one(random, [1, 3600, 7200]))
        break
      case 4:
        await ask('HSET', `seen:${user}`, 'page', `/p/${random(40)}`, 'at', Date.now())
        await ask('HINCRBY', `seen:${user}`, 'views', 1)
        await ask('PEXPIRE', `seen:${user}`, one(random, [200 + random(500), 9e6]))
        break
      case 5:
        if ((await ask('SET', `lock:${user}`, 'me', 'NX', 'PX', 80)) !== null)
          await ask('DEL', `lock:${user}`)
        break
      default:
        await ask('UNLINK', key)
    }
  }
}

const cache: Program = async (ask, random, server) => {
  const expiresFields = server === 'redis-8.0' || server === 'valkey-9.1'
  for (;;) {
    const n = random(3000)
    switch (random(12)) {
      case 0:
      case 1:
        await ask('SETEX', `page:${n}`, one(random, [1, 3600]), `<html>${words(random, 60)}</html>`)
        break
      case 2:
        await ask('MSET', `item:${n}`, n, `item:${n + 1}`, words(random, 3))
        break
      case 3: {
        const limit = `limit:${random(50)}:${Math.floor(Date.now() / 1000)}`
        if ((await ask('INCR', limit)) === 1) await ask('EXPIRE', limit, 1)
        break
      }
      case 4:
        await ask('ZADD', `window:${random(30)}`, Date.now(), `${Date.now()}-${random(1e6)}`)
        await ask('ZREMRANGEBYSCORE', `window:${random(30)}`, '-inf', Date.now() - 500)
        break
      case 5:
        await ask('ZINCRBY', 'leaders', random(100) / 8, `player${random(3000)}`)
        break
      case 6:
        await ask('PFADD', `visitors:${random(5)}`, `ip${random(20_000)}`)
        if (random(9) === 0) await ask('PFCOUNT', `visitors:${random(5)}`)
        break
      case 7:
        await ask(
          'HSET',
          `user:${n}`,
          'name',
          words(random, 1),
          'visits',
          random(9),
          `f${random(30)}`,
          random(1000),
        )
        // Fields whose time has passed when the log is loaded are what servers do not agree about.
        if (expiresFields) await ask('HEXPIRE', `user:${n}`, 3600, 'FIELDS', 2, 'visits', `f${random(30)}`)
        if (expiresFields && random(3) === 0) await ask('HPERSIST', `user:${n}`, 'FIELDS', 1, 'visits')
        break
      case 8:
        await ask('HINCRBYFLOAT', `user:${n}`, 'balance', (random(2000) - 900) / 10)
        break
      case 9:
        await ask('SADD', `tags:${n % 50}`, n, `tag${random(40)}`)
        await ask('SPOP', `tags:${random(50)}`)
        break
      case 10:
        await ask('BITFIELD', 'flags', 'INCRBY', 'u4', `#${random(500)}`, 1)
        await ask('GEOADD', 'places', random(300) - 150, random(160) - 80, `place${random(500)}`)
        break
      default:
        await ask('UNLINK', `page:${n}`, `user:${random(3000)}`)
    }
  }
}

const events: Program = async (ask, random) => {
  const reply = await ask('EXISTS', 'log')
  if (reply === 0)
    for (const group of ['mail', 'audit']) await ask('XGROUP', 'CREATE', 'log', group, '$', 'MKSTREAM')
  for (;;) {
    for (let i = random(5); i >= 0; i--)
      await ask(
        'XADD',
        'log',
        'MAXLEN',
        '~',
        1000,
        '*',
        'user',
        random(500),
        'what',
        one(random, ['in', 'out']),
      )
    const group = one(random, ['mail', 'audit'])
    const consumer = `${group}-${random(3)}`
    const read = (await ask(
      ...['XREADGROUP', 'GROUP', group, consumer, 'COUNT', 1 + random(8), 'STREAMS', 'log', '>'],
    )) as [Buffer, [Buffer, Reply][]][] | null
    const ids = read === null ? [] : read[0][1].map(([id]) => String(id))
    // Some are never acknowledged by the one that got them.
    const done = ids.filter(() => random(8) > 0)
    if (done.length > 0) await ask('XACK', 'log', group, ...done)
    if (random(20) === 0) await ask('XAUTOCLAIM', 'log', group, consumer, 50, '0', 'COUNT', 20)
    if (random(300) === 0) await ask('XGROUP', 'DELCONSUMER', 'log', group, `${group}-${random(3)}`)
  }
}

/** With the database that each one uses. */
const PROGRAMS: readonly (readonly [db: number, program: Program])[] = [
  ...([
    [0, producer],
    [0, worker],
    [0, worker],
    [0, janitor],
  ] as const),
  ...([
    [1, background],
    [1, events],
    [1, sessions],
  ] as const),
  ...([
    [2, sessions],
    [2, cache],
    [2, cache],
  ] as const),
]

export interface Outcome extends Ran {
  /** What aofkit says without a server, of the log as the kill left it. */
  readonly digest: string
  readonly keys: number
  /** Commands in the log since the last rewrite. */
  readonly commands: number
  /** Logs, whole and cut, of which everything was compared. */
  readonly compared: number
  /** In words; undefined: nothing differs. */
  readonly failure: string | undefined
}

/** Lets the programs write a log, and compares what comes of it with what the server has that loads a copy. */
export async function compareApplication(server: Server, options: ApplicationOptions): Promise<Outcome> {
  const ran = await runApplication(server, options)
  // What lives shortly is over now, so that no time passes while servers are asked.
  await wait(LONGEST_OF_SHORT_LIVES)
  const input = await resolveInput(ran.folder)
  const report = await digestLog(input, {
    ...{ as: server.name, databases: 16, allowCommands: [], ignoreOpaque: false },
  })
  const log = readParts(ran.folder)
  const records = recordsOf(log[log.length - 1].bytes)
  const outcome = {
    ...ran,
    digest: report.digest,
    keys: [...report.databases.values()].reduce((sum, { keys }) => sum + keys, 0),
    commands: records.length,
  }
  const theirs = await digestOfServer(server, log)
  const reloader = new Reloader(server)
  try {
    if (report.digest !== theirs)
      return { ...outcome, compared: 1, failure: `digests ${report.digest} and ${theirs} of ${ran.folder}` }
    const torn = await tornCut(reloader, log)
    if (torn !== undefined) return { ...outcome, compared: 2, failure: torn }
    const whole = cutAt(log, records.at(-1)?.end ?? 0)
    const random = generator(options.seed)
    const { compared, failure } = await check(reloader, whole, { random, cuts: 4, tornCuts: 0 })
    return { ...outcome, compared: compared + 2, failure }
  } finally {
    await reloader.stop()
  }
}

async function digestOfServer(server: Server, log: Log): Promise<string> {
  const loaded = await server.load(filesOf(log), { timeout: 120_000 })
  try {
    if (!loaded.started) throw new Error(`${server.name} does not start: ${loaded.log.slice(-2000)}`)
    return String(await loaded.query('DEBUG', 'DIGEST'))
  } finally {
    await loaded.stop()
  }
}
