import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FormatError } from '../../src/bytes/errors.ts'
import { readPayload, writePayload } from '../../src/rdb/payload.ts'
import { foundServers } from '../helpers/servers.ts'

const error = (bytes: Uint8Array, offset = 0): string => {
  try {
    readPayload(bytes, offset)
  } catch (thrown) {
    if (thrown instanceof FormatError) return `${thrown.code} at ${thrown.offset}`
    throw thrown
  }
  return 'none'
}

describe('a payload of DUMP', () => {
  it('is read as it was written', () => {
    fc.assert(
      fc.property(fc.nat(255), fc.uint8Array(), fc.integer({ min: 1, max: 15 }), (type, value, version) => {
        const bytes = writePayload(type, value, version)
        const payload = readPayload(bytes, 0)
        expect(payload).toMatchObject({ type, version, magic: 'REDIS' })
        expect(bytes.slice(payload.value, payload.end)).toEqual(value)
      }),
    )
  })

  it('belongs to Valkey from version 80 on', () => {
    expect(readPayload(writePayload(22, new Uint8Array(3), 80), 0).magic).toBe('VALKEY')
  })

  it('is refused when it has no room for type, version and checksum', () => {
    expect(error(new Uint8Array(10), 7)).toBe('rdb.payload.size at 7')
  })

  it('is refused when nobody writes its version', () => {
    for (const version of [0, 16, 79, 82, 65535])
      expect(error(writePayload(0, Buffer.from('\x01a'), version), 100), String(version)).toBe(
        'rdb.payload.version at 103',
      )
  })

  it('is refused when any byte before the checksum has changed', () => {
    const sound = writePayload(0, Buffer.from('\x05value'), 10)
    for (let at = 0; at < sound.length - 10; at++) {
      const bytes = sound.slice()
      bytes[at] ^= 4
      expect(error(bytes, 50), String(at)).toBe('rdb.payload.checksum at 59')
    }
  })

  it('stands anywhere in a buffer', () => {
    const payload = writePayload(0, Buffer.from('\x05value'), 10)
    const buffer = Buffer.concat([Buffer.from('before'), payload])
    expect(readPayload(buffer.subarray(6), 0)).toMatchObject({ type: 0, value: 1, end: 7 })
  })

  it('of arbitrary bytes gives nothing but errors', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), bytes => {
        error(bytes)
      }),
    )
  })
})

const SERVERS = foundServers()

describe.skipIf(SERVERS.length === 0).each(SERVERS)('%s', server => {
  it('reads what is written, and writes what is read', async () => {
    const loaded = await server.load(Buffer.alloc(0), { args: ['--replicaof', 'no', 'one'] })
    try {
      const written = writePayload(0, Buffer.from('\x05value'), 9)
      expect(String(await loaded.query('RESTORE', 'key', 0, written))).toBe('OK')
      const dumped = (await loaded.query('DUMP', 'key')) as Buffer
      const { type, value, end } = readPayload(dumped, 0)
      expect([type, dumped.toString('latin1', value, end)]).toEqual([0, '\x05value'])
      written[3] ^= 1
      expect(String(await loaded.query('RESTORE', 'other', 0, written))).toContain('checksum are wrong')
    } finally {
      await loaded.stop()
    }
  })
})
