import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { argumentHeader, encodeRecord, recordHeader, TERMINATOR } from '../../src/resp/writer.ts'
import { PieceSource, scan } from '../helpers/chunks.ts'

describe('writing records', () => {
  it('has the form that servers write', () => {
    expect(Buffer.from(encodeRecord(['SET', 'k', ''])).toString()).toBe(
      '*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n',
    )
  })

  it('counts bytes, not characters', () => {
    expect(Buffer.from(encodeRecord(['ECHO', 'Grüße €'])).toString()).toBe(
      '*2\r\n$4\r\nECHO\r\n$11\r\nGrüße €\r\n',
    )
  })

  it('has headers for any count and size', () => {
    expect(Buffer.from(recordHeader(1_000_000)).toString()).toBe('*1000000\r\n')
    expect(Buffer.from(argumentHeader(0)).toString()).toBe('$0\r\n')
    expect(Buffer.from(argumentHeader(5_000_000_000)).toString()).toBe('$5000000000\r\n')
    expect([...TERMINATOR]).toEqual([13, 10])
  })

  it('is read back as it was given, without an oddity', async () => {
    const argument = fc.oneof(fc.uint8Array({ maxLength: 30 }), fc.constantFrom('', 'SET', 'Grüße', '€𝄞'))
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(argument, { minLength: 1, maxLength: 5 }), { maxLength: 5 }),
        async commands => {
          const log = Buffer.concat(commands.map(encodeRecord))
          const { records, oddities, stop, end } = await scan(new PieceSource([log]), 1 << 12)
          expect(records.map(({ args }) => args)).toEqual(
            commands.map(args => args.map(arg => Buffer.from(arg as string).toString('latin1'))),
          )
          expect({ oddities, stop, end }).toEqual({ oddities: [], stop: undefined, end: log.length })
        },
      ),
    )
  })

  it('leaves what it was given as it is, and shares nothing with it', () => {
    const value = Buffer.from('value')
    const record = encodeRecord(['SET', 'k', value])
    value.fill(0)
    expect(Buffer.from(record).includes('value')).toBe(true)
  })
})
