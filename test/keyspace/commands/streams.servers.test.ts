import { readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { describe, expect, it } from 'vitest'
import { type Keyspace, KIND_NAMES } from '../../../src/keyspace/keyspace.ts'
import type { ServerName } from '../../../src/servers/servers.ts'
import { Slice } from '../../../src/values/slice.ts'
import { encodeCommand, foundServers, type Server } from '../../helpers/servers.ts'
import { AnswerSink, askAll, byPlace, place, type StreamAnswer } from '../../rdb/answers.ts'
import { digestOf, generator, replay, textOf } from '../replaying.ts'

/*
 * Streams as servers have them after loading a log, with groups and pending entries. When consumers were seen is not
 * compared, nor when an entry was delivered whose XCLAIM does not say it: both are the time of loading.
 */

type Command = readonly (string | number)[]
type Random = (below: number) => number

/** What is given as a time of delivery lies before. */
const NOW = 1_700_000_000_000

function comparable(stream: StreamAnswer): object {
  return {
    ...stream,
    groups: stream.groups.map(group => ({
      ...group,
      pending: group.pending.map(([id, time, count]) => [
        id,
        time === '0' || Number(time) > NOW ? 'now' : time,
        // Servers print it with a sign.
        String(BigInt.asIntN(64, BigInt(count))),
      ]),
      consumers: group.consumers.map(({ name, owned }) => ({ name, owned })),
    })),
  }
}

function streamsOf(keyspace: Keyspace): Record<string, object> {
  const streams: Record<string, object> = {}
  const key = new Slice()
  keyspace.forEach(cell => {
    if (KIND_NAMES[keyspace.kind(cell)] !== 'stream') return
    keyspace.key(cell, key)
    const sink = new AnswerSink()
    keyspace.emit(cell, sink)
    const answer = sink.take()
    if (answer.kind === 'stream')
      streams[place(keyspace.database(cell), textOf(key))] = comparable(answer.value)
  })
  return sorted(streams)
}

function sorted(streams: Record<string, object>): Record<string, object> {
  return Object.fromEntries(Object.entries(streams).sort(([a], [b]) => (a < b ? -1 : 1)))
}

interface State {
  digest: string
  complaints: string[]
  streams: Record<string, object>
}

const COMPLAINT =
  /is sending an error to its AOF-loading-client: '-?(?:ERR )?(.*)' after processing the command '(.*)'$/

async function theirs(server: Server, log: Buffer): Promise<State> {
  const loaded = await server.load(log)
  try {
    if (!loaded.started) throw new Error(`${server.name} does not start: ${loaded.log.slice(-3000)}`)
    const answers = await askAll((...args) => loaded.query(...args), server.name)
    const streams: Record<string, object> = {}
    for (const [name, answer] of byPlace(answers))
      if (answer.kind === 'stream') streams[name] = comparable(answer.value)
    const complaints = loaded.errors.flatMap(line => {
      const match = COMPLAINT.exec(line)
      return match === null ? [] : [`${match[2]}: ${match[1]}`]
    })
    return { digest: String(await loaded.query('DEBUG', 'DIGEST')), complaints, streams: sorted(streams) }
  } finally {
    await loaded.stop()
  }
}

async function ours(server: ServerName, log: Buffer): Promise<State> {
  const { keyspace, rejected } = await replay(log, { server })
  const complaints = rejected.map(complaint => complaint.replace(': ERR ', ': '))
  return { digest: digestOf(keyspace, server), complaints, streams: streamsOf(keyspace) }
}

async function expectSame(server: Server, commands: readonly Command[]): Promise<void> {
  const log = Buffer.concat(commands.map(encodeCommand))
  const [mine, real] = [await ours(server.name, log), await theirs(server, log)]
  if (isDeepStrictEqual(mine, real)) return
  let [good, bad] = [0, commands.length]
  while (bad - good > 1) {
    const middle = (good + bad) >>> 1
    const shorter = Buffer.concat(commands.slice(0, middle).map(encodeCommand))
    const [a, b] = [await ours(server.name, shorter), await theirs(server, shorter)]
    if (isDeepStrictEqual(a, b)) good = middle
    else bad = middle
  }
  const shortest = Buffer.concat(commands.slice(0, bad).map(encodeCommand))
  const last = JSON.stringify(commands[bad - 1]).slice(0, 500)
  expect(await ours(server.name, shortest), `differs after command ${bad}: ${last}`).toEqual(
    await theirs(server, shortest),
  )
}

/** A command as a log may have it. */
const split = (text: string): Command => text.split(' ').map(word => (word === "''" ? '' : word))
const split_ = (texts: string): Command[] =>
  texts
    .trim()
    .split('\n')
    .map(line => split(line.trim()))

/** redis 7.0 has no error of its own when sequence numbers have run out, and tells that of a command before. */
const IDS = [
  ...[
    '0',
    '0-0',
    '0-1',
    '1',
    '1-*',
    '1-1',
    '5-5',
    '5-*',
    '5',
    '5-18446744073709551615',
    '5-*',
    '6-0',
    '007-03',
    '+8-1',
  ],
  ...[
    '9-',
    '-9',
    '-',
    '+',
    '9--1',
    '9--01',
    '9-+4',
    '10-1-1',
    'x',
    '10-x',
    "''",
    '11.5',
    '11-18446744073709551616',
  ],
  ...[
    '12-99999999999999999999',
    '18446744073709551615-0',
    '18446744073709551615-*',
    '18446744073709551616-1',
  ],
  ...['18446744073709551615-18446744073709551615', '18446744073709551615-18446744073709551615', '*', '13-1'],
]

describe.each(foundServers())('%s', server => {
  it('takes the same ids for XADD', () =>
    expectSame(server, [
      ...(server.name === 'redis-7.0' ? IDS.filter(id => id !== '5-18446744073709551615') : IDS).map(id => [
        'XADD',
        's',
        id,
        'a',
        'b',
      ]),
      ...IDS.map(id => ['xadd', `s${id}`, id, 'a', 'b']).filter(command => command[2] !== '*'),
    ]))

  it('takes the same forms of XADD and XTRIM', () =>
    expectSame(
      server,
      split_(`
        SET string x
        XADD string 1-1 a b
        XADD none NOMKSTREAM 1-1 a b
        XADD s 1-1 a
        XADD s 1-1 a b c
        XADD s 1-1
        XADD s NOMKSTREAM
        XADD s 1-1 a b c d
        XADD s nomkstream 1-2 a b
        XADD s MAXLEN 3 1-3 a b
        XADD s MAXLEN = 3 1-4 a b
        XADD s maxlen ~ 1 1-5 a b
        XADD s MAXLEN = 2 LIMIT 5 1-6 a b
        XADD s LIMIT 5 1-7 a b
        XADD s LIMIT 0 1-7 a b
        XADD s LIMIT -1 1-8 a b
        XADD s LIMIT x 1-8 a b
        XADD s MAXLEN -1 1-8 a b
        XADD s MAXLEN x 1-8 a b
        XADD s MAXLEN 9223372036854775808 1-8 a b
        XADD s MAXLEN 9223372036854775807 1-8 a b
        XADD s MAXLEN 5 MINID 1-1 1-9 a b
        XADD s MINID 1-7 1-9 a b
        XADD s MINID = 1-8 1-10 a b
        XADD s MINID ~ 1-9 1-11 a b
        XADD s MINID - 1-12 a b
        XADD s MINID 1 1-12 a b
        XADD s MINID 99 1-13 a b
        XADD s 1-14 a b
        XADD s MAXLEN 0 1-15 a b
        XADD s NOMKSTREAM MAXLEN ~ 2 LIMIT 100 2-1 a b
        XADD s 2-2 MAXLEN 5
        XADD new MAXLEN 0 1-1 a b
        XADD new MINID 5 3-1 a b
        XADD new MAXLEN a b
        XADD new KEEPREF a b
        XTRIM new
        XTRIM s MAXLEN
        XTRIM s MAXLEN 1
        XTRIM s MAXLEN = 0
        XTRIM string MAXLEN 1
        XTRIM none MAXLEN 1
        XTRIM s NOMKSTREAM MAXLEN 1
        XTRIM s LIMIT 5
        XTRIM s LIMIT 0
        XTRIM s MAXLEN 1 LIMIT 1
        XTRIM s MAXLEN ~ 1 LIMIT 1
        XTRIM s MAXLEN 1 x
        XTRIM s MINID 0
        XTRIM s MINID x
      `).filter(command => command.length >= (command[0] === 'XADD' ? 5 : 4)),
    ))

  it('deletes, and sets ids, as servers do', () =>
    expectSame(
      server,
      split_(`
        SET string x
        XDEL string 1
        XDEL none x
        XDEL none 1
        XSETID none 1
        XSETID string 1
        XADD s 1-1 a b
        XADD s 1-2 a b
        XADD s 1-3 a b
        XADD s 2-1 a b
        XDEL s 1-2 x
        XDEL s 1-2 1-2 7
        XDEL s 1-1
        XDEL s 2-1
        XSETID s 1-2
        XSETID s 1-3
        XSETID s 2-0
        XSETID s 2
        XSETID s 9-9 ENTRIESADDED 0
        XSETID s 9-9 ENTRIESADDED -1
        XSETID s 9-9 ENTRIESADDED 1
        XSETID s 9-9 ENTRIESADDED x
        XSETID s 9-9 MAXDELETEDID 10
        XSETID s 9-9 MAXDELETEDID 8-7
        XSETID s 8-6
        XSETID s 8-8 entriesadded 9223372036854775807 maxdeletedid 0
        XSETID s 8-8 ENTRIESADDED
        XSETID s 8-8 MAXDELETEDID -
        XSETID s 9 ENTRIESADDED 5 ENTRIESADDED 7
        XADD s 9-1 a b
        XDEL s 1-3 9-1
        XSETID s 0-1
        XADD s 10-1 a b
        XADD s 10-2 a b
        XADD s 10-3 a b
        XDEL s 10-1
        XTRIM s MAXLEN 1
        COPY s t
        RENAME s u
        XADD u 11 a b
        XADD t 11 c d
      `),
    ))

  it('has the same groups', () =>
    expectSame(
      server,
      split_(`
        SET string x
        XGROUP CREATE none g 0
        XGROUP CREATE string g 0
        XGROUP CREATE made g 0 MKSTREAM
        XGROUP CREATE made g 0 MKSTREAM
        XGROUP CREATE made h $
        XGROUP CREATE bad g x MKSTREAM
        XGROUP CREATE made i 5-5 ENTRIESREAD 3
        XGROUP CREATE made j 5-5 ENTRIESREAD -1 mkstream
        XGROUP CREATE made k 5-5 ENTRIESREAD -2
        XGROUP CREATE made k 5-5 ENTRIESREAD x
        XGROUP CREATE made k 5-5 ENTRIESREAD
        XGROUP CREATE made k 5-5 ENTRIESREAD 1 MKSTREAM
        XGROUP CREATE made l 5-5 ENTRIESREAD 1 MKSTREAM MKSTREAM
        XGROUP CREATE made l - MKSTREAM
        XGROUP SETID made g 3-3
        XGROUP SETID made g 4 ENTRIESREAD 9223372036854775807
        XGROUP SETID made g - ENTRIESREAD
        XGROUP SETID made g -
        XGROUP SETID made h +
        XGROUP SETID made g x
        XGROUP SETID made none 1
        XGROUP SETID none g 1
        XGROUP SETID string g 1
        XGROUP CREATECONSUMER made g c
        XGROUP CREATECONSUMER made g c
        XGROUP CREATECONSUMER made none c
        XGROUP CREATECONSUMER none g c
        XGROUP CREATECONSUMER string g c
        XGROUP CREATECONSUMER made h ''
        XGROUP DELCONSUMER made g c
        XGROUP DELCONSUMER made g c
        XGROUP DELCONSUMER made none c
        XGROUP DELCONSUMER none g c
        XGROUP DELCONSUMER string g c
        XGROUP DESTROY made i
        XGROUP DESTROY made i
        XGROUP DESTROY none i
        XGROUP DESTROY string i
        XADD s 1-1 a b
        XADD s 1-2 a b
        XADD s 1-3 a b
        XADD s 1-4 a b
        XGROUP CREATE s g $
        XGROUP CREATE s h 1-1 ENTRIESREAD 1
        XCLAIM s h c 0 1-1
        XCLAIM s h d 0 1-1 FORCE
        XCLAIM s h c 0 1-2 TIME 1600000000000 RETRYCOUNT 3 FORCE JUSTID LASTID 1-2
        XCLAIM s h c 0 1-3 1-4 9-9 TIME 1600000000001 RETRYCOUNT 0 FORCE JUSTID LASTID 1-1
        XCLAIM s h d 0 1-3 TIME 1600000000002
        XCLAIM s h d 0 1-3 TIME 1600000000003 JUSTID
        XCLAIM s h d 0 1-3 RETRYCOUNT -1 TIME 1600000000004
        XCLAIM s h d 0 1-3 RETRYCOUNT 9223372036854775807 time 1600000000004 justid
        XCLAIM s h d 0 1-3 TIME -5
        XCLAIM s h e 9223372036854775807 1-3
        XCLAIM s h f 0 9-9 FORCE
        XCLAIM s h e x 1-3
        XCLAIM s h e -1 1-3 TIME 5
        XCLAIM s h e 0 1-3 TIME
        XCLAIM s h e 0 1-3 TIME x
        XCLAIM s h e 0 1-3 IDLE x
        XCLAIM s h e 0 1-3 RETRYCOUNT x
        XCLAIM s h e 0 1-3 LASTID x
        XCLAIM s h e 0 1-3 LASTID -
        XCLAIM s h e 0 1-3 WHAT
        XCLAIM s h e 0 JUSTID
        XCLAIM s h e 0 FORCE 1-2
        XCLAIM s none e 0 1-3
        XCLAIM none h e 0 1-3
        XCLAIM string h e 0 1-3
        XDEL s 1-2
        XCLAIM s h d 0 1-2 TIME 1600000000000 RETRYCOUNT 3 FORCE JUSTID LASTID 1-2
        XACK s h 1-1 1-1 x
        XACK s h 1-1 1-1 7
        XACK s none x
        XACK none h x
        XACK string h 1
        XGROUP DELCONSUMER s h d
        XAUTOCLAIM s h f 0 - COUNT 1
        XAUTOCLAIM s h f 0 0
        XAUTOCLAIM s h g 0 (1-3 JUSTID
        XAUTOCLAIM s h g 0 (18446744073709551615-18446744073709551615
        XAUTOCLAIM s h g x -
        XAUTOCLAIM s h g 0 x
        XAUTOCLAIM s h g 0 (-
        XAUTOCLAIM s h g 0 + COUNT 0
        XAUTOCLAIM s h g 0 + COUNT x
        XAUTOCLAIM s h g 0 + what
        XAUTOCLAIM s none g 0 -
        XAUTOCLAIM none h g 0 -
        XAUTOCLAIM string h g 0 -
        COPY s t
        RENAME t u
      `),
    ))

  it('reads with groups as servers do', () =>
    expectSame(
      server,
      split_(`
        SET string x
        XADD s 1-1 a b
        XADD s 1-2 a b
        XADD s 1-3 a b
        XADD s 1-4 a b
        XADD s 1-5 a b
        XGROUP CREATE s g 0
        XGROUP CREATE s h 0 ENTRIESREAD 0
        XGROUP CREATE s i 1-3
        XREADGROUP GROUP g c COUNT 2 STREAMS s >
        XREADGROUP GROUP g c COUNT 2 STREAMS s 0
        XREADGROUP GROUP g d NOACK STREAMS s >
        XREADGROUP GROUP g d STREAMS s >
        XDEL s 1-3
        XREADGROUP GROUP h c COUNT 1 STREAMS s >
        XREADGROUP GROUP i c STREAMS s >
        XREADGROUP GROUP h c COUNT -1 NOACK BLOCK 0 STREAMS s >
        XDEL s 1-1
        XREADGROUP GROUP g c STREAMS s 0
        XADD s 1-6 a b
        XREADGROUP GROUP h e STREAMS s >
        XREADGROUP GROUP none e STREAMS s >
        XREADGROUP GROUP h e STREAMS none >
        XREADGROUP GROUP h e STREAMS string >
        XREADGROUP GROUP h e STREAMS s $
        XREADGROUP GROUP h e STREAMS s x
        XREADGROUP GROUP h e STREAMS s s >
        XREADGROUP GROUP h e COUNT x STREAMS s >
        XREADGROUP GROUP h e BLOCK x STREAMS s >
        XREADGROUP GROUP h e what STREAMS s >
        XREADGROUP COUNT 1 NOACK STREAMS s >
        XREADGROUP GROUP h e COUNT 1 NOACK
        XADD t 1-1 a b
        XGROUP CREATE t h 0
        XREADGROUP GROUP h e STREAMS s t 0 >
        XGROUP SETID s h 0
        XREADGROUP GROUP h f STREAMS s >
        XREAD STREAMS s 0
        XINFO STREAM s
      `),
    ))

  it.each(Array.from({ length: process.env.AOFKIT_LONG ? 40 : 4 }, (_, i) => i + 1))(
    'has the same streams after a random log (seed %i)',
    async seed => {
      await expectSame(server, randomLog(generator(seed), 4000))
    },
  )

  it('has the streams of the log that the server itself wrote', async () => {
    const folder = await server.run(async client => {
      const send = async (...args: (string | number)[]) => {
        const reply = await client.query(...args)
        if (reply instanceof Error) throw reply
      }
      for (const group of ['g', 'h']) await send('XGROUP', 'CREATE', 's', group, 0, 'MKSTREAM')
      for (let i = 1; i < 700; i++) {
        await send(
          'XADD',
          's',
          ...(i % 3 === 0 ? ['MAXLEN', '~', 250] : []),
          '*',
          'a',
          i,
          'b',
          'x'.repeat(i % 90),
        )
        if (i % 50 === 0) await send('XTRIM', 's', 'MAXLEN', '~', 120, 'LIMIT', 300)
        if (i % 7 === 0) await send('XREADGROUP', 'GROUP', 'g', `c${i % 3}`, 'COUNT', 5, 'STREAMS', 's', '>')
        if (i % 11 === 0)
          await send('XREADGROUP', 'GROUP', 'h', `d${i % 2}`, 'COUNT', 9, 'NOACK', 'STREAMS', 's', '>')
        if (i % 13 === 0) await send('XAUTOCLAIM', 's', 'g', 'c0', 0, 0, 'COUNT', 3)
        if (i % 17 === 0) {
          const [entry] = (await client.query('XRANGE', 's', '-', '+', 'COUNT', 1)) as [[Buffer]]
          await send('XACK', 's', 'g', String(entry[0]))
          await send('XCLAIM', 's', 'g', 'c1', 0, String(entry[0]))
          await send('XDEL', 's', String(entry[0]))
        }
        if (i === 300) await send('XGROUP', 'DELCONSUMER', 's', 'g', 'c2')
      }
    })
    const log = readFileSync(join(folder, 'appendonly.aof.1.incr.aof'))
    await rm(dirname(folder), { recursive: true, force: true })
    expect(log.toString('latin1')).not.toMatch(/\$1\r\n~\r\n|\$1\r\n\*\r\n|XREADGROUP|XAUTOCLAIM/)
    expect(await ours(server.name, log)).toEqual(await theirs(server, log))
  })

  it('trims whole nodes where servers have them', async () => {
    const random = generator(7)
    const commands: Command[] = []
    const id = (i: number) => `${Math.max(0, i) * 1e6}-0`
    for (let i = 1; i < 8000; i++) {
      // Nodes of s0 end by their entries, those of the others by their bytes.
      const stream = random(3)
      const key = `s${stream}`
      const pairs = Array.from({ length: 1 + random(random(40) === 0 ? 300 : 4) }, (_, k) => [
        random(8) === 0 ? odd(random) : `name${k}`,
        odd(random),
      ]).flat()
      const trim = random(5)
      const limit =
        [
          ['MAXLEN', '~', random(600)],
          ['MINID', '~', id(i - random(3000))],
        ][trim] ?? []
      const seq = random(2) === 0 ? 0 : random(2 ** 31)
      commands.push(['XADD', key, ...limit, `${i * 1e6}-${seq}`, ...(stream === 0 ? ['a', i] : pairs)])
      if (random(30) === 0) commands.push(['XDEL', key, id(i - random(800)), id(i)])
      // Whole nodes, the last one among them.
      if (random(150) === 0) {
        const from = commands.length - (random(2) === 0 ? 0 : random(500))
        const ids = commands
          .slice(Math.max(0, from - random(600)), from)
          .flatMap(command => (command[0] === 'XADD' ? [idOf(command)] : []))
        if (ids.length > 0) commands.push(['XDEL', key, ...ids])
      }
      if (random(200) === 0) commands.push(['XTRIM', key, 'MAXLEN', '=', random(500)])
    }
    await expectSame(server, commands)
  })
})

/** Of an XADD, whose trimming may name another. */
function idOf(command: Command): string | number {
  return command[command[2] === 'MAXLEN' || command[2] === 'MINID' ? 5 : 2]
}

/** Elements that listpacks keep in different ways. */
function odd(random: Random): string {
  const kinds = [
    () => '',
    () => String(random(300) - 100),
    () => String(random(2 ** 31) - 2 ** 30),
    () => String((random(2 ** 31) - 2 ** 30) * 2 ** random(32)).replace(/e.*/, ''),
    () => `0${random(100)}`,
    () => 'x'.repeat(random(70)),
    () => 'y'.repeat(random(random(10) === 0 ? 5000 : 300)),
    () => '9223372036854775807',
    () => String(2 ** random(52)),
    () => String(-(2 ** random(52))),
  ]
  return kinds[random(kinds.length)]()
}

function randomLog(random: Random, count: number): Command[] {
  let ms = 1
  const key = () => `s${random(5)}`
  const group = () => `g${random(3)}`
  const consumer = () => `c${random(4)}`
  const near = () => `${Math.max(0, ms - random(60))}-${random(3)}`
  const ids = () => Array.from({ length: 1 + random(random(8) === 0 ? 40 : 3) }, near)
  const time = () => 1_600_000_000_000 + random(1e9)
  const makers: (() => Command)[] = [
    ...Array.from({ length: 8 }, () => () => {
      ms += random(3)
      const trim = [
        [],
        [],
        [],
        ['MAXLEN', '=', random(150)],
        ['MINID', '=', near()],
        ['MAXLEN', '~', random(100)],
      ][random(6)]
      const names = random(6) === 0 ? random(4) : 0
      return [
        'XADD',
        key(),
        ...trim,
        `${ms}-${random(3)}`,
        `f${names}`,
        odd(random),
        ...(random(3) === 0 ? ['x', odd(random)] : []),
      ]
    }),
    () => ['XDEL', key(), ...ids()],
    () => [
      'XTRIM',
      key(),
      ...[
        ['MAXLEN', random(200)],
        ['MINID', near()],
      ][random(2)],
    ],
    () => [
      'XGROUP',
      'CREATE',
      key(),
      group(),
      random(2) === 0 ? '$' : near(),
      ...(random(3) === 0 ? ['MKSTREAM'] : []),
      ...(random(2) === 0 ? ['ENTRIESREAD', random(50)] : []),
    ],
    () => [
      'XGROUP',
      'SETID',
      key(),
      group(),
      near(),
      ...(random(2) === 0 ? ['ENTRIESREAD', random(50)] : []),
    ],
    () => ['XGROUP', 'CREATECONSUMER', key(), group(), consumer()],
    () =>
      random(4) === 0
        ? ['XGROUP', 'DELCONSUMER', key(), group(), consumer()]
        : ['XACK', key(), group(), ...ids()],
    () => (random(20) === 0 ? ['XGROUP', 'DESTROY', key(), group()] : ['XACK', key(), group(), ...ids()]),
    ...Array.from(
      { length: 6 },
      () => (): Command => [
        'XCLAIM',
        key(),
        group(),
        consumer(),
        0,
        ...ids(),
        'TIME',
        time(),
        'RETRYCOUNT',
        random(9),
        ...(random(4) === 0 ? [] : ['FORCE']),
        'JUSTID',
        ...(random(2) === 0 ? ['LASTID', near()] : []),
      ],
    ),
    () => ['XAUTOCLAIM', key(), group(), consumer(), 0, near(), 'COUNT', 1 + random(9)],
    () => [
      'XREADGROUP',
      'GROUP',
      group(),
      consumer(),
      'COUNT',
      random(20),
      ...(random(4) === 0 ? ['NOACK'] : []),
      'STREAMS',
      key(),
      random(2) === 0 ? '>' : near(),
    ],
    () => [
      'XSETID',
      key(),
      `${ms + random(9)}-${random(3)}`,
      ...(random(2) === 0 ? ['ENTRIESADDED', random(3000)] : []),
      ...(random(3) === 0 ? ['MAXDELETEDID', near()] : []),
    ],
    () =>
      [
        ['COPY', key(), key(), 'REPLACE'],
        ['RENAME', key(), key()],
        ['DEL', key()],
        ['SET', key(), 'x'],
      ][random(random(12) === 0 ? 4 : 2)],
  ]
  return Array.from({ length: count }, () => makers[random(makers.length)]())
}
