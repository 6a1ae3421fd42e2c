import { expect, it } from 'vitest'
import { Call } from '../../src/keyspace/call.ts'
import { Extents } from '../../src/keyspace/extents.ts'
import { Batch, Scanner } from '../../src/resp/scanner.ts'
import { encodeCommand } from '../helpers/servers.ts'

function callOf(...args: (string | Buffer)[]): Call {
  const record = encodeCommand(args)
  const bytes = new Uint8Array(record.length + 64)
  bytes.set(record)
  const batch = new Batch(bytes.length)
  batch.clear(bytes, 0)
  new Scanner().scan(batch, 0, record.length, true)
  const call = new Call(new Extents())
  call.batch(batch)
  call.record(batch, 0, -1, 0)
  return call
}

it('reads integers of up to fifteen digits, and nothing else', () => {
  const integers = [
    '0',
    '7',
    '-1',
    '42',
    '123',
    '1234',
    '12345',
    '99999999',
    '-99999999',
    '123456789012345',
    '-100000000000000',
  ]
  for (const text of integers) expect(callOf('x', text).number(1)).toBe(Number(text))
  for (const text of [
    '',
    '-',
    '01',
    '-0',
    '+1',
    ' 1',
    '1 ',
    '1.5',
    '12:4',
    '123/',
    '1234a',
    '12;45678',
    '1234567890123456',
    '１',
  ]) {
    expect(callOf('x', text).number(1), text).toBeNaN()
  }
  for (let byte = 0; byte < 256; byte++) {
    for (let place = 0; place < 4; place++) {
      const text = Buffer.from('1111')
      text[place] = byte
      const isNumber =
        (byte >= 0x30 && byte <= 0x39 && !(place === 0 && byte === 0x30)) || (place === 0 && byte === 0x2d)
      expect(Number.isNaN(callOf('x', text).number(1)), `${byte} ${place}`).toBe(!isNumber)
    }
  }
})

it('knows words in any case', () => {
  const call = callOf('x', 'KeepTTL', 'PX', '@x')
  expect([
    call.is(1, 'KEEPTTL'),
    call.is(2, 'PXAT'),
    call.is(2, 'PX'),
    call.is(3, '`X'),
    call.word(1),
  ]).toEqual([true, false, true, false, 'KEEPTTL'])
})
