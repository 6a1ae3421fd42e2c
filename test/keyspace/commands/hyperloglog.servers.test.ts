import { describe, expect, it } from 'vitest'
import { Slice } from '../../../src/values/slice.ts'
import { encodeCommand, foundServers } from '../../helpers/servers.ts'
import { type Command, expectSame } from '../loading.ts'
import { argument, generator, replay, textOf } from '../replaying.ts'

/*
 * HyperLogLogs, byte for byte: the digest of a string is that of its bytes, cached cardinality and all.
 */

type Random = (below: number) => number

const pick = <T>(random: Random, items: readonly T[]): T => items[random(items.length)]
const KEYS = ['a', 'b', 'c', 'd', 'e', 'f']

function key(random: Random): string {
  return random(40) === 0 ? pick(random, ['list', 'text', 'damaged', 'nothing']) : pick(random, KEYS)
}

function element(random: Random): string {
  return random(20) === 0 ? 'long'.repeat(random(20)) + random(9) : 'x'.repeat(random(9)) + random(1 << 20)
}

const elements = (random: Random, most: number) => Array.from({ length: random(most) }, () => element(random))

function damaged(random: Random): Buffer {
  const bytes = Buffer.alloc(16 + random(40))
  bytes.write('HYLL')
  bytes[4] = random(5) === 0 ? random(3) : 1
  for (let i = 16; i < bytes.length; i++) bytes[i] = random(256)
  return bytes
}

function dense(random: Random): Buffer {
  const bytes = Buffer.alloc(12304)
  bytes.write('HYLL')
  for (let i = 16; i < bytes.length; i++) bytes[i] = random(3) === 0 ? random(256) : 0
  bytes[15] = 0x80
  return bytes
}

const COMMANDS: ((random: Random) => Command)[] = [
  r => ['PFADD', key(r), ...elements(r, 4)],
  r => ['pfadd', key(r), ...elements(r, 12)],
  r => ['PFADD', key(r), ...elements(r, r(10) === 0 ? 900 : 60)],
  r => ['PFADD', key(r)],
  r => ['PFCOUNT', key(r)],
  r => ['PFCOUNT', key(r)],
  r => ['pfcount', key(r), key(r), key(r)],
  r => ['PFMERGE', key(r), ...Array.from({ length: r(4) }, () => key(r))],
  r => (r(6) === 0 ? ['DEL', key(r)] : ['PFCOUNT', key(r)]),
  r => (r(20) === 0 ? ['PFDEBUG', pick(r, ['TODENSE', 'getreg', 'DECODE', 'Encoding']), key(r)] : ['PING']),
  r => (r(20) === 0 ? ['SET', 'damaged', damaged(r)] : ['PING']),
  r => (r(80) === 0 ? ['SET', key(r), dense(r)] : ['PING']),
  r => (r(20) === 0 ? ['SET', 'text', 'HYLL'] : ['COPY', key(r), key(r)]),
  r => (r(20) === 0 ? ['RPUSH', 'list', 'x'] : ['PFADD', key(r), ...elements(r, 30)]),
]

const ROUNDS = process.env.AOFKIT_LONG ? 30 : 2

describe.each(foundServers())('%s', server => {
  it.each(Array.from({ length: ROUNDS }, (_, i) => i + 1))(
    'has the same HyperLogLogs after random commands (seed %i)',
    async seed => {
      const random = generator(seed)
      await expectSame(
        server,
        Array.from({ length: 3000 }, () => pick(random, COMMANDS)(random)),
      )
    },
    120_000,
  )

  it('has the same HyperLogLog after each of many additions, until long after it is dense', async () => {
    const commands: Command[] = []
    for (let i = 0; i < 4000; i++) {
      commands.push(['PFADD', 'h', `element ${i}`])
      if (i % 50 === 0) commands.push(['PFCOUNT', 'h'], ['COPY', 'h', `h${i}`])
    }
    const log = Buffer.concat(commands.map(encodeCommand))
    const loaded = await server.load(log)
    const { keyspace } = await replay(log, { server: server.name })
    const text = new Slice()
    try {
      for (let i = 0; i < 4000; i += 50) {
        keyspace.strings.read(keyspace.find(argument(`h${i}`)), text)
        const theirs = (await loaded.query('GET', `h${i}`)) as Buffer
        expect(textOf(text) === theirs.toString('latin1'), `after ${i}`).toBe(true)
      }
    } finally {
      await loaded.stop()
    }
  })
})
