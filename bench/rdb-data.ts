import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { copyFile, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

/*
 * The RDB file that the benchmarks read: 1.2 million keys of all types in about 118 MB, as a real server saves it.
 */

const KEYS = 1_200_000
const KEYS_A_CALL = 10_000

/**
 * Of 100 keys 68 are strings (a third of them with an expiry, a tenth numbers), 12 hashes, 8 sets, 6 sorted sets,
 * 4 lists, 2 streams; one collection in 500 is too large for the compact encodings.
 */
const SCRIPT = `
local alphabet = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_'
local seed = tonumber(ARGV[1]) + 1
local function int(n)
  seed = (seed * 16807) % 2147483647
  return seed % n
end
local letters = {}
for i = 1, 4096 do
  local at = int(64) + 1
  letters[i] = string.sub(alphabet, at, at)
end
local pool = table.concat(letters)
local function text(low, high)
  local at = int(3800) + 1
  return string.sub(pool, at, at + low + int(high - low + 1) - 1)
end
for i = tonumber(ARGV[1]), tonumber(ARGV[2]) do
  local kind = int(100)
  local large = int(500) == 0
  local n = large and 600 or 4 + int(6)
  if kind < 68 then
    local key = 'session:' .. i .. ':' .. text(4, 12)
    local third = int(3)
    if third == 0 then redis.call('SET', key, text(26, 90), 'PXAT', 1900000000000 + int(100000000))
    elseif third == 1 and int(10) < 3 then redis.call('SET', key, int(2000000000))
    else redis.call('SET', key, text(24, 60)) end
  elseif kind < 80 then
    local args = {}
    for f = 1, n do args[2 * f - 1] = 'field:' .. f; args[2 * f] = text(4, 20) end
    redis.call('HSET', 'user:' .. i, unpack(args))
  elseif kind < 88 then
    local args = {}
    local numbers = int(2) == 0
    for m = 1, n do args[m] = numbers and int(1000000) or text(6, 16) end
    redis.call('SADD', 'tags:' .. i, unpack(args))
  elseif kind < 94 then
    local args = {}
    for m = 1, n do args[2 * m - 1] = int(100000) / 8; args[2 * m] = text(6, 16) end
    redis.call('ZADD', 'ranking:' .. i, unpack(args))
  elseif kind < 98 then
    local args = {}
    for m = 1, n do args[m] = text(8, 24) end
    redis.call('RPUSH', 'queue:' .. i, unpack(args))
  else
    for m = 1, 4 do redis.call('XADD', 'events:' .. i, m .. '-1', 'type', text(4, 8), 'data', text(20, 40)) end
  end
end`

/** Makes the file at `path` with the server at `serverBinary`, unless it is there already. Takes about 10 seconds. */
export async function makeRdb(path: string, serverBinary: string): Promise<string> {
  if (existsSync(path)) return path
  const folder = await mkdtemp(join(tmpdir(), 'aofkit-bench-'))
  const socketPath = join(folder, 'socket')
  const server = spawn(
    serverBinary,
    ['--port', '0', '--unixsocket', socketPath, '--dir', folder, '--save', '', '--appendonly', 'no'],
    { stdio: 'ignore' },
  )
  try {
    const gone = once(server, 'exit')
    while (!existsSync(socketPath)) await new Promise(resolve => setTimeout(resolve, 20))
    const socket = connect(socketPath)
    let replies = ''
    socket.on('data', data => {
      replies += data
    })
    socket.on('error', () => {})
    for (let from = 0; from < KEYS; from += KEYS_A_CALL)
      socket.write(command('EVAL', SCRIPT, '0', String(from), String(from + KEYS_A_CALL - 1)))
    socket.write(command('SHUTDOWN', 'SAVE'))
    await gone
    socket.destroy()
    if (replies.includes('-ERR')) throw new Error(replies.slice(replies.indexOf('-ERR')).split('\r', 1)[0])
    await mkdir(dirname(path), { recursive: true })
    // Not a rename: temporary folders may be on another file system.
    await copyFile(join(folder, 'dump.rdb'), path)
  } finally {
    server.kill('SIGKILL')
    await rm(folder, { recursive: true, force: true })
  }
  return path
}

function command(...args: string[]): string {
  return `*${args.length}\r\n${args.map(arg => `$${Buffer.byteLength(arg)}\r\n${arg}\r\n`).join('')}`
}
