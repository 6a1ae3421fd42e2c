import { describe, expect, it } from 'vitest'
import { writePayload } from '../../../src/rdb/payload.ts'
import { foundServers, type Reply, type Server } from '../../helpers/servers.ts'
import { FILLABLE, fill } from '../../rdb/fill.ts'
import { type Command, expectSame } from '../loading.ts'

/*
 * RESTORE as servers load it: payloads that they wrote themselves, of every type and encoding, and those that they refuse.
 */

const TEXT = writePayload(0, Buffer.from('\x05hello'), 9)
const MODULE = 7
const FAR = '1999999999999'

/** A payload of each version; checksums are right. */
const versions = [1, 6, 9, 10, 11, 12, 13, 15, 79, 80, 81, 90].map(version =>
  writePayload(0, Buffer.from('\x05hello'), version),
)
const wrong = Buffer.from(TEXT)
wrong[3] ^= 1

const MANY: Command[] = [
  ['SET', 'there', 'before', 'PXAT', FAR],
  ['RPUSH', 'list', 'a'],
  ['RESTORE', 'new', '0', TEXT],
  ['restore', 'with-ttl', FAR, TEXT, 'absttl'],
  ['RESTORE', 'relative', '100000', TEXT],
  ['RESTORE', 'there', '0', TEXT],
  ['RESTORE', 'there', 'x', TEXT, 'replace'],
  ['RESTORE', 'there', '-1', TEXT, 'REPLACE'],
  ['RESTORE', 'there', '-1', TEXT, 'foo'],
  ['RESTORE', 'there', '0', 'none', 'REPLACE'],
  ['RESTORE', 'there', '0', wrong, 'REPLACE'],
  ['RESTORE', 'list', '0', TEXT, 'replace'],
  ['RESTORE', 'lru', '0', TEXT, 'IDLETIME', '5', 'idletime', '6'],
  ['RESTORE', 'lfu', '0', TEXT, 'FREQ', '255'],
  ['RESTORE', 'both', '0', TEXT, 'FREQ', '5', 'IDLETIME', '4'],
  ['RESTORE', 'lfu2', '0', TEXT, 'FREQ', '256'],
  ['RESTORE', 'lfu2', '0', TEXT, 'FREQ', 'x'],
  ['RESTORE', 'lfu2', '0', TEXT, 'FREQ'],
  ['RESTORE', 'lru2', '0', TEXT, 'IDLETIME', '-1'],
  ['RESTORE', 'past', '1', TEXT, 'ABSTTL'],
  ...versions.map((payload, i): Command => ['RESTORE', `version${i}`, '0', payload]),
  // Of no elements, of a type that nobody knows, cut, and with something behind.
  ['RESTORE', 'empty', '0', writePayload(2, Buffer.from([0]), 9)],
  ['RESTORE', 'list', '0', writePayload(2, Buffer.from([0]), 9), 'REPLACE'],
  ['RESTORE', 'type', '0', writePayload(99, Buffer.from([0]), 9)],
  ['RESTORE', 'cut', '0', writePayload(1, Buffer.from([60, 1, 97]), 9)],
  ['RESTORE', 'list', '0', writePayload(1, Buffer.from([60, 1, 97]), 9), 'REPLACE'],
  ['RESTORE', 'number', '0', writePayload(0, Buffer.from([0xc1, 1, 2]), 9)],
  [
    'RESTORE',
    'long',
    '0',
    writePayload(0, Buffer.concat([Buffer.from([0x4f, 0xff]), Buffer.alloc(4095, 'x')]), 9),
  ],
  ['APPEND', 'long', 'more'],
]

async function payloadsOf(server: Server): Promise<Command[]> {
  const filled = await server.load(Buffer.alloc(0), { args: FILLABLE })
  try {
    const ask = (...args: (string | Uint8Array | number)[]): Promise<Reply> => filled.query(...args)
    await fill(ask, server.name, 4)
    const commands: Command[] = []
    for (let db = 0; db < 16; db++) {
      await ask('SELECT', db)
      const keys = (await ask('KEYS', '*')) as Buffer[]
      if (keys.length > 0) commands.push(['SELECT', db])
      for (const key of keys) {
        const payload = await ask('DUMP', key)
        // Values of modules have no digest.
        if (Buffer.isBuffer(payload) && payload[0] !== MODULE)
          commands.push(['RESTORE', key, '0', payload, 'REPLACE', 'ABSTTL'])
      }
    }
    return commands
  } finally {
    await filled.stop()
  }
}

describe.each(foundServers())('%s', server => {
  it('takes and refuses the same', () => expectSame(server, MANY))

  it('has the same keys of payloads that it wrote, of every type', async () => {
    const commands = await payloadsOf(server)
    expect(commands.length).toBeGreaterThan(100)
    await expectSame(server, commands)
  }, 60_000)
})
