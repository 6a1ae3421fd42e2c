import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  renameSync,
  statSync,
  writeSync,
} from 'node:fs'
import { dirname, join } from 'node:path'

/*
 * The logs that the benchmarks read, generated once into bench/.data: the same bytes on every machine.
 */

/** mulberry32: small, seeded, the same everywhere. */
export function generator(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

export type Emit = (...args: string[]) => void

/** When the logs with times begin, in Unix seconds. */
export const FIRST_TIME = 1_700_000_000
/** Commands of a second in them. */
const A_SECOND = 20_000

/**
 * Writes a log of what is emitted, unless it is there.
 * @param timed whether there is a `#TS:` each so many commands
 */
export function write(path: string, produce: (emit: Emit) => void, timed = false): string {
  if (existsSync(path)) return path
  mkdirSync(dirname(path), { recursive: true })
  const fd = openSync(`${path}.tmp`, 'w')
  let pieces: string[] = []
  let size = 0
  let count = 0
  const flush = () => {
    writeSync(fd, Buffer.from(pieces.join(''), 'latin1'))
    pieces = []
    size = 0
  }
  produce((...args) => {
    let record = `*${args.length}\r\n`
    if (timed && count++ % A_SECOND === 0)
      record = `#TS:${FIRST_TIME + Math.floor(count / A_SECOND)}\r\n${record}`
    for (const arg of args) record += `$${arg.length}\r\n${arg}\r\n`
    pieces.push(record)
    size += record.length
    if (size > 1 << 22) flush()
  })
  flush()
  closeSync(fd)
  renameSync(`${path}.tmp`, path)
  return path
}

/** Stretches of it are values. */
export const LETTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789'.repeat(400)

/** 6 million commands of mixed types, 40 to 150 bytes each. */
export function smallLog(folder: string, commands = 6_000_000): string {
  return write(join(folder, `small-${commands}.aof`), mixed(commands))
}

/** The same with times: 300 seconds. */
export function timedLog(folder: string, commands = 6_000_000): string {
  return write(join(folder, `timed-${commands}.aof`), mixed(commands), true)
}

function mixed(commands: number): (emit: Emit) => void {
  return emit => {
    const random = generator(1)
    const int = (n: number) => Math.floor(random() * n)
    const text = (low: number, high: number) => {
      const at = int(20_000)
      return LETTERS.slice(at, at + low + int(high - low + 1))
    }
    emit('SELECT', '0')
    for (let i = 1; i < commands; i++) {
      const kind = random()
      if (kind < 0.3) emit('SET', `user:${int(500_000)}:name`, text(20, 90))
      else if (kind < 0.45) emit('HSET', `session:${int(100_000)}`, `field${int(12)}`, text(10, 60))
      else if (kind < 0.55) emit('INCRBY', `counter:${int(50_000)}`, `${int(1000)}`)
      else if (kind < 0.65) emit('ZADD', `board:${int(20_000)}`, `${int(100_000)}`, `player:${int(1000)}`)
      else if (kind < 0.75) emit('SADD', `tags:${int(50_000)}`, `tag:${int(300)}`)
      else if (kind < 0.83) emit('RPUSH', `queue:${int(2000)}`, text(20, 80))
      else if (kind < 0.91) emit('LPOP', `queue:${int(2000)}`)
      else if (kind < 0.96) emit('PEXPIREAT', `user:${int(500_000)}:name`, `${1_900_000_000_000 + int(1e9)}`)
      else emit('DEL', `user:${int(500_000)}:name`)
    }
  }
}

/** 3 million `SET … PXAT` of 80 to 280 byte values: a session store. */
export function sessionLog(folder: string, commands = 3_000_000): string {
  return write(join(folder, `session-${commands}.aof`), emit => {
    const random = generator(2)
    const int = (n: number) => Math.floor(random() * n)
    emit('SELECT', '0')
    for (let i = 1; i < commands; i++) {
      const at = int(20_000)
      emit(
        'SET',
        `session:${int(400_000)}`,
        LETTERS.slice(at, at + 80 + int(201)),
        'PXAT',
        `${1_900_000_000_000 + int(1e9)}`,
      )
    }
  })
}

/** 120 thousand `SET` of 4 to 16 KiB: pages, documents. */
export function largeLog(folder: string, commands = 120_000): string {
  return write(join(folder, `large-${commands}.aof`), emit => {
    const random = generator(3)
    const int = (n: number) => Math.floor(random() * n)
    emit('SELECT', '0')
    for (let i = 1; i < commands; i++) {
      const at = int(8000)
      emit('SET', `page:${int(20_000)}`, LETTERS.slice(at, at + 4096 + int(12_289)))
    }
  })
}

/** The small log, with 1 to 40 bytes overwritten on each page of 4 KiB. */
export function damagedLog(folder: string): string {
  const path = join(folder, 'small-damaged.aof')
  if (existsSync(path)) return path
  copyFileSync(smallLog(folder), `${path}.tmp`)
  const fd = openSync(`${path}.tmp`, 'r+')
  const random = generator(4)
  const { size } = statSync(`${path}.tmp`)
  for (let page = 0; page + 4096 < size; page += 4096) {
    const noise = Buffer.from(Array.from({ length: 1 + Math.floor(random() * 40) }, () => random() * 256))
    writeSync(fd, noise, 0, noise.length, page + Math.floor(random() * 4000))
  }
  closeSync(fd)
  renameSync(`${path}.tmp`, path)
  return path
}
