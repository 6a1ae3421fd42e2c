import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { basename, join } from 'node:path'
import { flatCosts } from './flat-cost.ts'
import { damagedLog, FIRST_TIME, largeLog, sessionLog, smallLog, timedLog } from './logs.ts'
import { aofkit, data, median, type Run, root, run, tool } from './processes.ts'
import { makeRdb } from './rdb-data.ts'
import { digestTime, loadTime, rewriteTime, saveTime } from './server-times.ts'

/*
 * Whole processes on the same file, in turn: aofkit and the tool that the server brings, or a command of the server when
 * it has loaded the file. What counts is the ratio of their times pair by pair; machines are noisy.
 *
 *     npm run bench [-- NAME ...]      the comparisons below, or those whose name contains a word
 *
 * Servers are those of AOFKIT_SERVERS (DIR/bin/redis-8.0-server, …), else of the PATH. The hot paths of replay alone:
 * hot-paths.ts.
 */

const PAIRS = 7

interface Comparison {
  readonly name: string
  readonly file: () => Promise<string> | string
  /** Words for `node`, before the path. */
  readonly ours: (path: string) => readonly string[]
  /** Done before each of ours. */
  readonly clean?: () => void
  readonly theirs: Tool | undefined
  /** How many times as fast we want to be, and the most memory in MB. */
  readonly reach: number
  readonly memory: number
}

/** What a server brings, as far as there is one here. */
interface Tool {
  readonly name: string
  time(path: string): Promise<number>
}

/** Of a log with times. */
const MIDDLE = FIRST_TIME + 150
const checkAof = checker('check-aof')
const checkRdb = checker('check-rdb')
const command =
  (...words: string[]) =>
  (path: string) => [aofkit, ...words, path]

const COMPARISONS: readonly Comparison[] = [
  {
    name: 'verify, 6 M commands of mixed types, 40-150 bytes',
    file: () => smallLog(data),
    ours: command('verify'),
    theirs: checkAof,
    reach: 6,
    memory: 150,
  },
  {
    name: 'verify, 3 M SET … PXAT of 80-280 bytes',
    file: () => sessionLog(data),
    ours: command('verify'),
    theirs: checkAof,
    reach: 4,
    memory: 150,
  },
  {
    name: 'verify, 120 k SET of 4-16 KiB',
    file: () => largeLog(data),
    ours: command('verify'),
    theirs: checkAof,
    reach: 0.8,
    memory: 150,
  },
  {
    name: 'rewind --list, 6 M commands of mixed types with times',
    file: () => timedLog(data),
    ours: path => [aofkit, 'rewind', path, '--list'],
    theirs: checkAof,
    reach: 4,
    memory: 150,
  },
  {
    name: 'rewind --to-time of the same log, into the middle: cut, copied, read back',
    file: () => timedLog(data),
    ours: path => [
      ...[aofkit, 'rewind', path, '--to-time', `${MIDDLE}`],
      ...['--output', join(data, 'rewound.aof'), '--force'],
    ],
    theirs: truncating(),
    reach: 1,
    memory: 150,
  },
  {
    name: 'salvage, 6 M commands with a damage on every page (dry run)',
    file: () => damagedLog(data),
    ours: command('repair', '--salvage', '--dry-run'),
    theirs: {
      name: 'verify',
      time: async path => (await run(process.execPath, [aofkit, 'verify', path])).seconds,
    },
    reach: 0.5,
    memory: 200,
  },
  {
    name: 'replay, 6 M commands of mixed types, 40-150 bytes',
    file: () => smallLog(data),
    ours: command('replay'),
    theirs: loading(),
    reach: 3,
    memory: 210,
  },
  {
    name: 'replay, 3 M SET … PXAT of 80-280 bytes',
    file: () => sessionLog(data),
    ours: command('replay'),
    theirs: loading(),
    reach: 4,
    memory: 170,
  },
  {
    name: 'replay, 120 k SET of 4-16 KiB',
    file: () => largeLog(data),
    ours: command('replay'),
    theirs: loading(),
    reach: 1,
    memory: 170,
  },
  ...(
    [
      ['6 M commands of mixed types, 40-150 bytes', () => smallLog(data), 2.5, 210, rewriting()],
      ['3 M SET … PXAT of 80-280 bytes', () => sessionLog(data), 3, 170, rewriting()],
      ['120 k SET of 4-16 KiB', () => largeLog(data), 1.5, 170, rewriting()],
      // Written by redis 8.0, which alone loads it.
      ['RDB base of 1.2 M keys with a tail of 1 MB', baseWithTail, 3, 300, rewriting(['redis-8.0'])],
    ] as const
  ).map(([name, file, reach, memory, theirs]) => ({
    ...{ name: `compact, ${name}`, file, reach, memory },
    ours: (path: string) => [aofkit, 'compact', path, '--output', join(data, 'compacted')],
    clean: () => rmSync(join(data, 'compacted'), { recursive: true, force: true }),
    theirs,
  })),
  {
    name: 'inspect of an RDB, 1.2 M keys: walk and checksum',
    file: keysRdb,
    ours: command('inspect'),
    theirs: checkRdb,
    reach: 2,
    memory: 150,
  },
  {
    name: 'verify of the same RDB: every value',
    file: keysRdb,
    ours: command('verify'),
    theirs: checkRdb,
    reach: 1,
    memory: 150,
  },
  {
    name: 'writing the same RDB from decoded values',
    file: keysRdb,
    ours: path => [
      join(root, 'scripts', 'run.js'),
      join('bench', 'write-rdb.ts'),
      path,
      join(data, 'written.rdb'),
    ],
    theirs: saving(),
    reach: 0.67,
    memory: 150,
  },
  {
    name: 'digest of the same RDB',
    file: keysRdb,
    ours: command('digest'),
    theirs: digesting(),
    reach: 1,
    memory: 150,
  },
]

async function keysRdb(): Promise<string> {
  const path = join(data, 'keys.rdb')
  const server = tool('server')
  if (!existsSync(path)) {
    if (server === undefined) throw new Error('no server to write an RDB with')
    await makeRdb(path, server)
  }
  return path
}

function checker(name: string): Tool | undefined {
  const path = tool(name)
  return path === undefined
    ? undefined
    : { name: basename(path), time: async file => (await run(path, [file])).seconds }
}

/** The server's tool, which cuts a copy. */
function truncating(): Tool | undefined {
  const path = tool('check-aof')
  if (path === undefined) return undefined
  const copy = join(data, 'truncated.aof')
  return {
    name: `cp and ${basename(path)} --truncate-to-timestamp`,
    async time(file) {
      const { seconds } = await run('cp', [file, copy])
      return seconds + (await run(path, ['--truncate-to-timestamp', `${MIDDLE}`, copy])).seconds
    },
  }
}

/** A server's SAVE of what it has loaded. */
function saving(): Tool | undefined {
  const path = tool('server')
  return path === undefined
    ? undefined
    : { name: `SAVE of ${basename(path)}`, time: async file => (await saveTime(file, path)).seconds }
}

/** The fastest server here at loading logs: valkey 9.1 by preference. */
function loading(): Tool | undefined {
  const path = tool('server', ['valkey-9.1', 'redis-8.0', 'redis-7.0'])
  return path === undefined
    ? undefined
    : { name: `loading by ${basename(path)}`, time: file => loadTime(file, path) }
}

/** The same, and its BGREWRITEAOF. */
function rewriting(servers = ['valkey-9.1', 'redis-8.0', 'redis-7.0']): Tool | undefined {
  const path = tool('server', servers)
  return path === undefined
    ? undefined
    : {
        name: `loading and BGREWRITEAOF by ${basename(path)}`,
        time: async file => (await rewriteTime(file, path)).seconds,
      }
}

/** Bytes of a log, a file or the folder of its parts. */
function sizeOf(path: string): number {
  if (!statSync(path).isDirectory()) return statSync(path).size
  return readdirSync(path).reduce((sum, name) => sum + statSync(join(path, name)).size, 0)
}

/** The RDB of {@link keysRdb} as a base, and a megabyte of commands behind it. */
async function baseWithTail(): Promise<string> {
  const folder = join(data, 'base-with-tail')
  if (existsSync(folder)) return folder
  const base = await keysRdb()
  const commands = readFileSync(smallLog(data)).subarray(0, 1 << 20)
  const unfinished = `${folder}.tmp`
  mkdirSync(unfinished, { recursive: true })
  copyFileSync(base, join(unfinished, 'appendonly.aof.1.base.rdb'))
  writeFileSync(
    join(unfinished, 'appendonly.aof.1.incr.aof'),
    commands.subarray(0, commands.lastIndexOf('\r\n*') + 2),
  )
  writeFileSync(
    join(unfinished, 'appendonly.aof.manifest'),
    'file appendonly.aof.1.base.rdb seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n',
  )
  renameSync(unfinished, folder)
  return folder
}

/** A server's DEBUG DIGEST of what it has loaded. */
function digesting(): Tool | undefined {
  const path = tool('server')
  return path === undefined
    ? undefined
    : {
        name: `DEBUG DIGEST of ${basename(path)}`,
        time: async file => (await digestTime(file, path)).seconds,
      }
}

const words = process.argv.slice(2)
const chosen = COMPARISONS.filter(({ name }) => words.length === 0 || words.some(word => name.includes(word)))
process.stdout.write(
  `${process.version}; medians of ${PAIRS} pairs of whole processes, after one of each that does not count\n\n`,
)
for (const { name, file, ours, clean, theirs, reach, memory } of chosen) {
  const path = await file()
  const size = sizeOf(path) / 1e6
  process.stdout.write(`${name} (${size.toFixed(0)} MB)\n`)
  const mine: Run[] = []
  const others: number[] = []
  for (let pair = 0; pair <= PAIRS; pair++) {
    clean?.()
    const one = await run(process.execPath, ours(path))
    const other = await theirs?.time(path)
    if (pair === 0) continue
    mine.push(one)
    if (other !== undefined) others.push(other)
  }
  const seconds = median(mine.map(run => run.seconds))
  const peak = Math.max(...mine.map(run => run.memory))
  process.stdout.write(
    `  aofkit: ${seconds.toFixed(2)} s, ${(size / seconds).toFixed(0)} MB/s, peak ${peak.toFixed(0)} MB (at most ${memory})\n`,
  )
  if (others.length === 0) {
    process.stdout.write('  nothing to compare with: no server tool found\n\n')
    continue
  }
  const ratio = median(others.map((other, i) => other / mine[i].seconds))
  process.stdout.write(
    `  ${theirs?.name}: ${median(others).toFixed(2)} s\n  ratio: ${ratio.toFixed(2)} times as fast (to reach: ${reach})\n\n`,
  )
}
await flatCosts(words)
const version: number[] = []
const idle: number[] = []
for (let i = 0; i < 15; i++) {
  version.push((await run(process.execPath, [aofkit, '--version'])).seconds)
  idle.push((await run(process.execPath, ['-e', '0'])).seconds)
}
process.stdout.write(
  `start-up: aofkit --version ${(median(version) * 1000).toFixed(0)} ms, node -e 0 ${(median(idle) * 1000).toFixed(0)} ms; ratio ${median(version.map((value, i) => value / idle[i])).toFixed(2)} (at most 2.5)\n`,
)
