import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatBytes, formatCount, formatDuration, formatTime, plural } from '../../src/bytes/figures.ts'

describe('a size for people', () => {
  it.each([
    [0, '0 bytes'],
    [1, '1 byte'],
    [2, '2 bytes'],
    [1023, '1023 bytes'],
    [1024, '1.0 KB'],
    [1536, '1.5 KB'],
    [10 * 1024, '10.0 KB'],
    [10.04 * 1024, '10.0 KB'],
    [99.9 * 1024, '99.9 KB'],
    [99.96 * 1024, '100 KB'],
    [1023 * 1024, '1023 KB'],
    [1023.4 * 1024, '1023 KB'],
    [1023.5 * 1024, '1.0 MB'],
    [1023.9 * 1024, '1.0 MB'],
    [1024 ** 2 - 1, '1.0 MB'],
    [1024 ** 2, '1.0 MB'],
    [250 * 1024 ** 3, '250 GB'],
    [1024 ** 4, '1.0 TB'],
    [Number.MAX_SAFE_INTEGER, '8.0 PB'],
  ])('%d is %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text)
  })

  it('is right to half of its last digit, below 1,024 of its unit, and three to four digits long', () => {
    const units = ['bytes', 'KB', 'MB', 'GB', 'TB', 'PB']
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.nat(52), (large, shift) => {
        const bytes = Math.floor(large / 2 ** shift)
        const [, figure, unit] = /^(\d+(?:\.\d)?) (\w+)$/.exec(formatBytes(bytes))!
        const scale = 1024 ** Math.max(0, units.indexOf(unit))
        const step = figure.includes('.') ? 0.1 : 1
        expect(Number(figure)).toBeLessThan(1024)
        expect(figure.replace('.', '').length).toBeLessThanOrEqual(4)
        expect(Math.abs(Number(figure) * scale - bytes)).toBeLessThanOrEqual((step / 2 + 1e-9) * scale)
      }),
      { numRuns: 2000 },
    )
  })
})

describe('a count', () => {
  it.each([
    [0, '0'],
    [999, '999'],
    [1000, '1,000'],
    [123456, '123,456'],
    [1234567, '1,234,567'],
    [-1234, '-1,234'],
    [-123, '-123'],
    [Number.MAX_SAFE_INTEGER, '9,007,199,254,740,991'],
  ])('%d is %s', (count, text) => {
    expect(formatCount(count)).toBe(text)
  })

  it('agrees with its noun', () => {
    expect([0, 1, 2, 1000].map(count => plural(count, 'command'))).toEqual([
      '0 commands',
      '1 command',
      '2 commands',
      '1,000 commands',
    ])
    expect([1, 2].map(count => plural(count, 'entry', 'entries'))).toEqual(['1 entry', '2 entries'])
  })
})

describe('a time', () => {
  it.each([
    [0, '1970-01-01T00:00:00Z'],
    [1714564800, '2024-05-01T12:00:00Z'],
    [1714564800.25, '2024-05-01T12:00:00.250Z'],
    [-1, '1969-12-31T23:59:59Z'],
    [8_640_000_000_000, '+275760-09-13T00:00:00Z'],
    [8_640_000_000_001, '8640000000001'],
    [999_999_999_999_999, '999999999999999'],
  ])('%d is %s', (seconds, text) => {
    expect(formatTime(seconds)).toBe(text)
  })
})

describe('a duration', () => {
  it.each([
    [0, '0 s'],
    [59.9, '59 s'],
    [60, '1 min 0 s'],
    [3599, '59 min 59 s'],
    [3600, '1 h 0 min'],
    [36 * 3600, '36 h 0 min'],
    [72 * 3600, '3 d 0 h'],
    [2_261_649_600, '26,176 d 12 h'],
  ])('of %d s is %s', (seconds, text) => {
    expect(formatDuration(seconds)).toBe(text)
  })
})
