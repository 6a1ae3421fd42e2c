import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { JobError } from '../../src/bytes/errors.ts'
import {
  choice,
  flag,
  lastGiven,
  list,
  logOptions,
  place,
  readLogOptions,
  server,
  size,
  sizeOrShare,
  time,
  usage,
  wholeNumber,
  word,
} from '../../src/cli/options.ts'
import { SERVERS } from '../../src/servers/servers.ts'

/** The error that reading a value ends with. */
function refused(read: () => unknown): JobError {
  try {
    read()
  } catch (error) {
    if (error instanceof JobError) return error
    throw error
  }
  throw new Error('it was accepted')
}

/** That `value` is refused as bad usage, naming the option and showing the value in one harmless line. */
function refuses(read: (option: string, value: string) => unknown, value: string): void {
  const { code, message } = refused(() => read('some-option', value))
  expect(code, value).toBe('usage')
  expect(message, value).toContain('--some-option')
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it is what must not be there
  expect(message, value).not.toMatch(/[\x00-\x1f\x7f]/)
}

describe('a list', () => {
  it('comes separated by commas, from a repeated option, or both', () => {
    expect(list(undefined)).toEqual([])
    expect(list('a')).toEqual(['a'])
    expect(list('a,b')).toEqual(['a', 'b'])
    expect(list(['a', 'b'])).toEqual(['a', 'b'])
    expect(list(['a,b', 'c', 'd,e'])).toEqual(['a', 'b', 'c', 'd', 'e'])
  })

  it('has no empty items', () => {
    expect(list('')).toEqual([])
    expect(list(',a,,b,')).toEqual(['a', 'b'])
    expect(list(['', 'a'])).toEqual(['a'])
  })
})

describe('an option that was repeated', () => {
  it('has its last value', () => {
    expect([lastGiven(undefined), lastGiven('a'), lastGiven(['a', 'b']), lastGiven([])]).toEqual([
      undefined,
      'a',
      'b',
      undefined,
    ])
    expect(wholeNumber('n', ['1', '2'])).toBe(2)
    expect(size('n', ['1kb', '2kb'])).toBe(2048)
    expect(time('n', ['1', '2'])).toBe(2)
    expect(place('n', ['a:1', 'b:2'])).toEqual({ part: 'b', offset: 2 })
    expect(server('n', ['redis-7.0', 'redis-8.0'])).toBe('redis-8.0')
    expect(choice('n', ['a', 'b'], ['a', 'b'])).toBe('b')
    refuses((option, value) => wholeNumber(option, ['1', value]), 'x')
  })
})

describe('without the option', () => {
  it('there is no value', () => {
    expect(wholeNumber('n', undefined)).toBeUndefined()
    expect(size('n', undefined)).toBeUndefined()
    expect(sizeOrShare('n', undefined)).toBeUndefined()
    expect(time('n', undefined)).toBeUndefined()
    expect(server('n', undefined)).toBeUndefined()
    expect(choice('n', undefined, ['a'])).toBeUndefined()
    expect(place('n', undefined)).toBeUndefined()
  })
})

describe('a whole number', () => {
  it.each([
    ['0', 0],
    ['16', 16],
    ['007', 7],
    ['9007199254740991', Number.MAX_SAFE_INTEGER],
  ])('%s is %d', (text, value) => {
    expect(wholeNumber('n', text)).toBe(value)
  })

  it.each([
    '',
    ' ',
    '-1',
    '+1',
    '1.0',
    '1e3',
    '0x10',
    '1 ',
    ' 1',
    '1,000',
    'x',
    '٣',
    '9007199254740992',
    '99999999999999999999',
    '1\n',
    '\x1b[31m',
  ])('%j is refused', text => {
    refuses(wholeNumber, text)
  })

  it('has a least one, where there is', () => {
    expect(wholeNumber('n', '1', 1)).toBe(1)
    expect(refused(() => wholeNumber('n', '0', 1)).message).toContain('from 1 on')
  })
})

describe('a size', () => {
  it.each([
    ['0', 0],
    ['1', 1],
    ['1b', 1],
    ['64mb', 64 * 1024 ** 2],
    ['64m', 64_000_000],
    ['1k', 1000],
    ['1kb', 1024],
    ['3g', 3e9],
    ['3gb', 3 * 1024 ** 3],
    ['64MB', 64 * 1024 ** 2],
    ['64Mb', 64 * 1024 ** 2],
    ['5000000000', 5e9],
  ])('%s is %d bytes', (text, bytes) => {
    expect(size('n', text)).toBe(bytes)
    expect(sizeOrShare('n', text)?.(123)).toBe(bytes)
  })

  it.each([
    '',
    'mb',
    '-1mb',
    '+1mb',
    '1.5gb',
    '64 mb',
    '64mb ',
    '64mib',
    '64x',
    '1e3',
    '0x10',
    'constructor',
    '1constructor',
    '1valueof',
    '9999999999gb',
    '9'.repeat(30),
    '1mb\n',
    '5%%',
    '%',
  ])('%j is refused', text => {
    refuses(size, text)
    refuses(sizeOrShare, text)
  })
})

describe('a share', () => {
  it.each([
    ['0%', 0],
    ['1%', 20],
    ['0.5%', 10],
    ['50%', 1000],
    ['100%', 2000],
  ])('%s of 2,000 is %d', (text, bytes) => {
    expect(sizeOrShare('n', text)?.(2000)).toBe(bytes)
  })

  it.each(['-1%', '1,5%', '.5%', '5.%', '1e1%', '5 %', '%5', '1000%', '1%x', 'x%'])('%j is refused', text => {
    refuses(sizeOrShare, text)
  })

  it('is no size', () => {
    refuses(size, '5%')
  })
})

describe('a time', () => {
  const noon = Date.UTC(2024, 4, 1, 12, 0, 0) / 1000

  it.each([
    ['1714564800', noon],
    ['1714564800.5', noon + 0.5],
    ['0', 0],
    ['2024-05-01T12:00:00Z', noon],
    ['2024-05-01T12:00:00', noon],
    ['2024-05-01 12:00:00', noon],
    ['2024-05-01t12:00:00z', noon],
    ['2024-05-01T12:00', noon],
    ['2024-05-01T12:00Z', noon],
    ['2024-05-01', noon - 12 * 3600],
    ['2024-05-01T12:00:00.250Z', noon + 0.25],
    ['2024-05-01T14:00:00+02:00', noon],
    ['2024-05-01T14:00:00+0200', noon],
    ['2024-05-01T14:00+02:00', noon],
    ['2024-05-01T06:30:00-05:30', noon],
    ['2024-02-29', Date.UTC(2024, 1, 29) / 1000],
    ['1970-01-01', 0],
  ])('%s is %d', (text, seconds) => {
    expect(time('n', text)).toBe(seconds)
  })

  it('has no zone but UTC when none is given, wherever it is read', () => {
    const before = process.env.TZ
    try {
      for (const zone of ['America/Los_Angeles', 'Asia/Kathmandu']) {
        process.env.TZ = zone
        expect(time('n', '2024-05-01T12:00:00')).toBe(noon)
        expect(time('n', '2024-05-01')).toBe(noon - 12 * 3600)
      }
    } finally {
      if (before === undefined) delete process.env.TZ
      else process.env.TZ = before
    }
  })

  it.each([
    ...['', 'now', 'yesterday', '12:00', '2024-05', '2024-5-1', '01.05.2024', '05/01/2024'],
    ...[
      '2024-13-01',
      '2024-00-01',
      '2024-05-32',
      '2024-05-01T25:00',
      '2024-05-01T12:60',
      '2024-05-01T12:00:61',
    ],
    ...[
      '2024-05-01T12',
      '2024-05-01T12:00:00+',
      '2024-05-01T12:00:00 UTC',
      '2024-05-01Z',
      '2024-05-01T12:00:00+99:00',
    ],
    ...['-1', '1e9', '1714564800.', '1714564800s', ' 1714564800', '9999999999999', '1714564800\n'],
  ])('%j is refused', text => {
    refuses(time, text)
  })

  // A day that does not exist would silently become another: a log cut in the wrong place.
  it.each(['2024-02-30', '2023-02-29', '2024-04-31', '2024-02-30T12:00:00Z', '2024-11-31T00:00:00+01:00'])(
    '%s is no day',
    text => {
      refuses(time, text)
    },
  )

  it('comes back from its own form, for every second', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4_000_000_000 }), seconds => {
        expect(time('n', new Date(seconds * 1000).toISOString())).toBe(seconds)
        expect(time('n', `${seconds}`)).toBe(seconds)
      }),
    )
  })
})

describe('a server', () => {
  it('is one of those that are known', () => {
    for (const name of SERVERS) expect(server('as', name)).toBe(name)
    for (const name of ['redis', 'Redis-8.0', 'redis-8', 'redis-9.9', '', 'toString', '__proto__'])
      refuses(server, name)
    expect(refused(() => server('as', 'x')).message).toContain(SERVERS.join(', '))
  })
})

describe('a word out of several', () => {
  it('is one of them, exactly', () => {
    expect(choice('format', 'resp', ['text', 'resp'])).toBe('resp')
    for (const text of ['RESP', 'res', '', 'text,resp', 'length'])
      refuses((option, value) => choice(option, value, ['text', 'resp']), text)
    expect(refused(() => choice('format', 'x', ['text', 'resp'])).message).toContain('text, resp')
  })
})

describe('a place', () => {
  it.each([
    ['0', undefined, 0],
    ['123', undefined, 123],
    ['5000000000', undefined, 5e9],
    ['a.aof:7', 'a.aof', 7],
    ['appendonly.aof.1.incr.aof:0', 'appendonly.aof.1.incr.aof', 0],
    ['with:colons:in:it:9', 'with:colons:in:it', 9],
    ['12:34', '12', 34],
    ['a b:1', 'a b', 1],
  ])('%s', (text, part, offset) => {
    expect(place('n', text)).toEqual({ part, offset })
  })

  it.each(['', ':', 'a:', 'a.aof', 'a:-1', 'a:1.5', '-1', 'a: 1', '1:x', 'a:9007199254740992', 'a:1\n'])(
    '%j is refused',
    text => {
      refuses(place, text)
    },
  )
})

describe('a value of any kind', () => {
  it('is accepted, or refused in one line that a terminal may show', () => {
    const readers = [wholeNumber, size, sizeOrShare, time, server, place]
    fc.assert(
      fc.property(
        fc.constantFrom(...readers),
        fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom(...'0123:-T%mbZ\x1b\n\0\u202e\ud800é') })),
        (read, text) => {
          try {
            read('some-option', text)
          } catch {
            refuses(read, text)
          }
        },
      ),
      { numRuns: 200 },
    )
  })
})

describe('declaring options', () => {
  it('says what yargs needs to know', () => {
    expect(word('What')).toEqual({ string: true, requiresArg: true, describe: 'What' })
    expect(word('What', { group: 'G:', default: '1' })).toMatchObject({ group: 'G:', default: '1' })
    expect(flag('What')).toEqual({ boolean: true, describe: 'What' })
    expect(flag('What', 'G:')).toEqual({ boolean: true, describe: 'What', group: 'G:' })
    expect(usage('text')).toMatchObject({ code: 'usage', message: 'text' })
  })
})

describe('the options of all that interpret a log', () => {
  const defaults = Object.fromEntries(
    Object.entries(logOptions).map(([name, option]) => [
      name,
      'default' in option ? option.default : undefined,
    ]),
  )

  it('are by default those of servers', () => {
    expect(defaults).toMatchObject({ databases: '16', 'hll-sparse-max-bytes': '3000' })
    expect(readLogOptions(defaults)).toEqual({ databases: 16, allowCommands: [], as: undefined })
  })

  it('are read', () => {
    expect(
      readLogOptions({ ...defaults, databases: '1', 'allow-commands': ['a,B', 'c'], as: 'valkey-9.1' }),
    ).toEqual({ databases: 1, allowCommands: ['a', 'B', 'c'], as: 'valkey-9.1' })
  })

  it.each([
    { databases: '0' },
    { databases: 'x' },
    { as: 'redis' },
    { 'hll-sparse-max-bytes': '-1' },
    { 'as-of': 'tomorrow' },
  ])('%j is refused, even where it does not matter yet', given => {
    expect(refused(() => readLogOptions({ ...defaults, ...given })).code).toBe('usage')
  })
})
