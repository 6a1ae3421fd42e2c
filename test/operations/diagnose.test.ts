import { describe, expect, it } from 'vitest'
import { scanPart } from '../../src/aof/scan.ts'
import { corrupt } from '../../src/bytes/errors.ts'
import { BufferSource, type Source } from '../../src/bytes/source.ts'
import { Window } from '../../src/bytes/window.ts'
import { nameDamage } from '../../src/operations/diagnose.ts'
import { CommandTable } from '../../src/servers/commands.ts'
import { encode, PieceSource } from '../helpers/chunks.ts'

const table = new CommandTable('redis-8.0')
const LOG = Buffer.concat([
  encode('SELECT', '0'),
  encode('SET', 'key', 'value'),
  encode('RPUSH', 'list', 'a', 'b', 'c'),
])
const text = (content: string) => Buffer.from(content, 'latin1')

/** What is said of bytes where reading them ends; undefined also when it does not. */
async function damageOf(
  bytes: Uint8Array,
  chunk = 1 << 12,
  source: Source = new BufferSource(bytes),
): Promise<string | undefined> {
  const nothing = () => {}
  const window = new Window(source, chunk)
  const end = await scanPart(
    source,
    { rdb: nothing, records: nothing, long: nothing },
    { databases: 16, window },
  )
  if (end.error === undefined) return undefined
  return nameDamage({ error: end.error, rest: end.rest, offset: end.offset, size: end.size, source, table })
}

describe('a known kind of damage is named', () => {
  it.each([
    ['from the first line on', text(LOG.toString('latin1').replaceAll('\r\n', '\n'))],
    ['from some line on', Buffer.concat([LOG, text(LOG.toString('latin1').replaceAll('\r\n', '\n'))])],
    ['in commands of many arguments', text('*12\n$3\nDEL\n$1\na\n$1\nb\n')],
  ])('LF for CRLF, %s', async (_, bytes) => {
    expect(await damageOf(bytes)).toMatch(/LF alone.*again, as binary/)
  })

  it('CR CR LF for CRLF', async () => {
    expect(await damageOf(text(LOG.toString('latin1').replaceAll('\n', '\r\n')))).toMatch(
      /CR CR LF.*again, as binary/,
    )
  })

  it.each([
    ['UTF-8', Buffer.concat([text('\xef\xbb\xbf'), LOG])],
    ['UTF-16', Buffer.concat([text('\xff\xfe'), Buffer.from(LOG.toString('latin1'), 'utf16le')])],
    ['UTF-16', text('\xfe\xff\0*\x003')],
  ])('a byte order mark of %s', async (name, bytes) => {
    expect(await damageOf(bytes)).toMatch(new RegExp(`byte order mark \\(${name}\\)`))
  })

  it('commands as one types them', async () => {
    for (const typed of ['SET a b\nGET a\n', 'set a b\r\n', 'FLUSHALL\r\n', 'PING'.concat('\n')])
      expect(await damageOf(text(typed)), typed).toMatch(/as one types them.*redis-cli/)
  })

  it.each([
    ['behind the last command', LOG, 4096],
    ['of any size', LOG, 1],
    ['of any size', LOG, 200_000],
    ['from the very start', new Uint8Array(0), 5000],
    [
      'in a command of which the first arguments are there',
      encode('SET', 'key', 'value').subarray(0, 23),
      4096,
    ],
  ])('zeros up to the end, %s', async (_, before, zeros) => {
    const bytes = Buffer.concat([before, Buffer.alloc(zeros)])
    for (const chunk of [1 << 11, 1 << 16]) {
      const said = await damageOf(bytes, chunk)
      expect(said).toMatch(/to the end stand [\d,]+ zero bytes.*power loss/)
      if (before === LOG) expect(said).toContain(`stand ${zeros.toLocaleString('en')} zero bytes`)
    }
  })

  it('zeros in the middle, also many', async () => {
    for (const zeros of [8, 512, 100_000]) {
      const bytes = Buffer.concat([LOG, Buffer.alloc(zeros), LOG])
      expect(await damageOf(bytes)).toMatch(
        new RegExp(`^Here stand ${zeros.toLocaleString('en')} zero bytes.*power loss`),
      )
    }
  })

  it('zeros that a pipe brings, as far as they are at hand', async () => {
    const source = new PieceSource([LOG, Buffer.alloc(3000)])
    Object.defineProperty(source, 'seekable', { value: false })
    source.readAt = async () => {
      throw new Error('a pipe cannot be read twice')
    }
    expect(await damageOf(new Uint8Array(0), 1 << 12, source)).toMatch(/3,000 zero bytes/)
  })

  it('zeros inside a command that is larger than what is kept of it', async () => {
    const large = Buffer.concat([
      text('*4\r\n$4\r\nHSET\r\n$150000\r\n'),
      Buffer.alloc(150_000, 'x'),
      text('\r\n'),
    ])
    const bytes = Buffer.concat([LOG, large, Buffer.alloc(70_000)])
    for (const chunk of [1 << 11, 1 << 18])
      expect(await damageOf(bytes, chunk)).toMatch(/to the end stand 70,000 zero bytes/)
  })

  it('zeros beyond 2^32, counted exactly', async () => {
    const at = 5_000_000_000
    const size = at + 300_000
    const source: Source = {
      name: 'large',
      size,
      seekable: true,
      read: async () => 0,
      async readAt(target, offset) {
        const count = Math.max(0, Math.min(target.length, size - offset))
        target.fill(0, 0, count)
        return count
      },
      grow: async () => false,
      close: async () => {},
    }
    const error = corrupt('resp.record.type', at, '')
    expect(await nameDamage({ error, rest: new Uint8Array(100), offset: at, size, source, table })).toContain(
      '300,000 zero bytes',
    )
  })
})

describe('nothing is named', () => {
  it.each([
    ['a command that is cut', LOG.subarray(0, -3)],
    ['a single zero among other bytes', Buffer.concat([LOG, text('\0*1\r\n$4\r\nPING\r\n')])],
    ['seven zeros among other bytes', Buffer.concat([LOG, Buffer.alloc(7), LOG])],
    ['a changed count', Buffer.concat([text('*9'), LOG.subarray(2)])],
    ['a changed length', text('*2\r\n$9\r\nECHO\r\n$2\r\nhi\r\n')],
    ['a missing byte', LOG.subarray(1)],
    ['text that is no command', text('once upon a time\n')],
    ['a letter of the alphabet', text('x')],
    ['a word without its end', text('SET')],
    ['typed commands behind a log', Buffer.concat([LOG, text('SET a b\r\n')])],
    ['a byte order mark behind a log', Buffer.concat([LOG, text('\xef\xbb\xbf'), LOG])],
    ['a count that ends in LF, in a command that is cut', text('*2\n$4\r\nECHO\r\n$2\r\nh')],
    ['a value with LF, cut', encode('SET', 'k', 'a\nb\nc\n').subarray(0, -1)],
  ])('of %s', async (_, bytes) => {
    expect(await damageOf(bytes)).toBeUndefined()
  })

  it('where nothing is wrong', async () => {
    expect(await damageOf(LOG)).toBeUndefined()
    // Zeros and LFs may stand in values.
    expect(await damageOf(encode('SET', 'k', `${'\0'.repeat(500)}\n\n`))).toBeUndefined()
  })
})
