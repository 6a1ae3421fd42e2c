import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Resync } from '../../src/aof/resync.ts'
import { CommandTable } from '../../src/servers/commands.ts'
import { encode } from '../helpers/chunks.ts'

const table = new CommandTable('redis-8.0')
const SLACK = 64

/** Looks for the first boundary in the last bytes of a file, or (`final` false) in bytes behind which more come. */
function find(
  bytes: Uint8Array,
  from = 0,
  final = true,
  end = bytes.length,
): { at: number; undecided: number } {
  // Behind the end stands what would make more of it than there is.
  const buffer = Buffer.concat([bytes, Buffer.alloc(SLACK, '*1\r\n$4\r\nPING\r\n')])
  const resync = new Resync(table, buffer.length)
  const at = resync.find(buffer, from, end, final)
  return { at, undecided: resync.undecided }
}

const PING = encode('PING')
const SET = encode('SET', 'key', 'value')
const TS = Buffer.from('#TS:1700000000\r\n')
const concat = (...pieces: (string | Uint8Array)[]) =>
  Buffer.concat(pieces.map(piece => Buffer.from(piece as string)))
const times = (count: number, piece: Uint8Array) => Array.from({ length: count }, () => piece)

/** Commands with values that hold no star, so that every star begins a record. */
const plain = fc.uint8Array({ maxLength: 30 }).map(bytes => bytes.map(byte => (byte === 0x2a ? 0x2b : byte)))
const command = fc.oneof(
  fc.tuple(plain, plain).map(([key, value]) => encode('SET', key, value)),
  fc.array(plain, { minLength: 1, maxLength: 12 }).map(keys => encode('del', ...keys)),
  fc.constant(PING),
  plain.map(key => encode('HSET', key, 'field', 'value')),
)

describe('what proves a boundary', () => {
  it('is three whole commands in a row, whatever follows', () => {
    expect(find(concat('x', ...times(3, SET), '?')).at).toBe(1)
    expect(find(concat('x', ...times(3, SET), '*3\r\n$3\r\nSET\r\n$99\r\n')).at).toBe(1)
    for (const odd of ['*1\r\n$4\r\nPINGxx', '*1\n$4\r\nPING\r\n', '#comment\r\n', '*1\r\n$5\r\nNOSUC\r\n'])
      expect(find(concat('x', ...times(3, SET), odd, SET)).at, odd).toBe(1)
    expect(find(concat('x', ...times(3, SET), PING, SET), 0, false).at).toBe(1)
  })

  it('is two, and the header and name of a third', () => {
    expect(find(concat('x', SET, SET, '*3\r\n$3\r\nSET\r\n$99\r\n')).at).toBe(1)
    expect(find(concat('x', SET, SET, '*3\r\n$3\r\nSET\r\n?')).at).toBe(1)
    for (const third of [
      '*3\r\n$3\r\nSETxx',
      '*3\r\n$3\r\nSEX\r\n',
      '*9\r\n$3\r\nGET\r\n',
      '*3\r\n$3\r\nSE',
      '*3\r\n',
    ])
      expect(find(concat('x', SET, SET, third)).at, third).toBe(-1)
  })

  it('is not two, or one', () => {
    for (const count of [1, 2]) expect(find(concat('x', ...times(count, SET), '?')).at).toBe(-1)
    expect(find(concat('x', SET, '*3\r\n$3\r\nSET\r\n$99\r\n')).at).toBe(-1)
  })

  it('is two, or one, when the data ends exactly there', () => {
    for (const count of [1, 2]) expect(find(concat('x*3\r\n', ...times(count, SET))).at).toBe(5)
    expect(find(concat('x', SET).subarray(0, -1)).at).toBe(-1)
  })

  it('is no name that the server does not know, and no number of arguments that it does not take', () => {
    for (const wrong of [
      encode('NOSUCH', 'k'),
      encode('GET'),
      encode('GET', 'a', 'b'),
      encode('JSON.SET', 'k'),
      encode(''),
    ]) {
      expect(find(concat(wrong, SET)).at, `${wrong}`).toBe(wrong.length)
      expect(find(concat(SET, SET, wrong, SET, SET, SET, '?')).at).toBe(SET.length * 2 + wrong.length)
    }
    const buffer = concat(encode('JSON.SET', 'k'), Buffer.alloc(SLACK))
    const allowing = new Resync(new CommandTable('redis-8.0', ['json.set']), buffer.length)
    expect(allowing.find(buffer, 0, buffer.length - SLACK, true)).toBe(0)
  })

  it('is the form that servers write, nothing that they merely read', () => {
    for (const odd of [
      '*1\n$4\r\nPING\r\n',
      '*1\r\n$+4\r\nPING\r\n',
      '*1\r\n$04\r\nPING\r\n',
      '*1\r\n$4\r\nPINGxx',
      '*01\r\n$4\r\nPING\r\n',
    ]) {
      expect(find(concat(odd, SET, SET, SET)).at, odd).toBe(odd.length)
      expect(find(concat(SET, odd, SET, SET, SET)).at, odd).toBe(SET.length + odd.length)
    }
  })

  it('may have any number of arguments', () => {
    const wide = encode('RPUSH', ...Array.from({ length: 3000 }, (_, i) => `${i}`))
    expect(find(concat('x', wide, wide, wide, '?')).at).toBe(1)
    expect(find(concat('x', wide, SET)).at).toBe(1)
  })

  it('may have timestamps between its commands: a log with few commands a second is full of them', () => {
    const log = concat('x', ...times(4, concat(TS, PING)), TS, '?')
    expect([1, 1 + TS.length]).toContain(find(log).at)
    expect([1, 1 + TS.length]).toContain(find(concat('x', TS, PING, TS, SET)).at)
    // They prove nothing themselves.
    expect(find(concat('x', ...times(5, TS), '?')).at).toBe(-1)
    expect(find(concat('x', SET, ...times(5, TS), '?')).at).toBe(-1)
  })
})

describe('looking for a boundary', () => {
  it('finds the next one from everywhere in a log', () => {
    fc.assert(
      fc.property(fc.array(command, { minLength: 1, maxLength: 8 }), commands => {
        const log = Buffer.concat(commands)
        const boundaries: number[] = []
        for (let at = 0, i = 0; i < commands.length; at += commands[i++].length) boundaries.push(at)
        for (let from = 0; from <= log.length; from++)
          expect(find(log, from).at).toBe(boundaries.find(at => at >= from) ?? -1)
      }),
      { numRuns: 60 },
    )
  })

  it('asks to look again from a place before the boundary, however little of it is there', () => {
    fc.assert(
      fc.property(plain, fc.array(command, { minLength: 3, maxLength: 6 }), (garbage, commands) => {
        const log = Buffer.concat([garbage, ...commands])
        for (let end = 0; end <= log.length; end++) {
          const { at, undecided } = find(log, 0, false, end)
          if (at >= 0) expect(at).toBe(garbage.length)
          else expect(undecided).toBeLessThanOrEqual(Math.min(end, garbage.length))
        }
      }),
      { numRuns: 60 },
    )
  })

  it('comes to the same whether it sees everything at once or a little more each time', () => {
    const word = fc.oneof(
      command,
      plain,
      fc.constantFrom('*', '*1\r\n', '*3\r\n$3\r\nSET\r\n', '$', '\r\n').map(text => Buffer.from(text)),
    )
    fc.assert(
      fc.property(fc.array(word, { maxLength: 10 }), fc.integer({ min: 1, max: 40 }), (words, step) => {
        const bytes = Buffer.concat(words)
        let from = 0
        let found = -1
        for (let end = Math.min(step, bytes.length); ; end = Math.min(end + step, bytes.length)) {
          const { at, undecided } = find(bytes, from, end === bytes.length, end)
          if (at >= 0 || end === bytes.length) {
            found = at
            break
          }
          expect(undecided).toBeGreaterThanOrEqual(from)
          from = undecided
        }
        expect(found).toBe(find(bytes).at)
      }),
      { numRuns: 300 },
    )
  })

  it('is not misled by commands in a value, unless they are as many as prove a boundary', () => {
    for (const count of [1, 2, 3, 4]) {
      const value = Buffer.concat(times(count, PING))
      const inside = concat('half of a value', value, '\r\n')
      const log = concat(inside, SET, SET, SET)
      expect(find(log).at).toBe(count < 3 ? inside.length : 'half of a value'.length)
      // Seen from outside it is a value.
      const whole = encode('SET', 'k', value)
      expect(find(concat('?', whole, PING, PING)).at).toBe(1)
    }
  })

  it('never answers for what is behind the end', () => {
    expect(find(Buffer.from('x'))).toEqual({ at: -1, undecided: 1 })
    expect(find(new Uint8Array(0))).toEqual({ at: -1, undecided: 0 })
    expect(find(concat(SET, SET, SET), 5, true, SET.length)).toEqual({ at: -1, undecided: SET.length })
  })
})

describe('hostile input', () => {
  /** Steps of the frame machine: it reads numbers from a view, and little else takes time. */
  function steps(bytes: Uint8Array): number {
    const read = DataView.prototype.getInt32
    let count = 0
    DataView.prototype.getInt32 = function (this: DataView, at: number, little?: boolean) {
      count++
      return read.call(this, at, little)
    }
    try {
      const buffer = Buffer.concat([bytes, Buffer.alloc(SLACK)])
      const resync = new Resync(table, buffer.length)
      for (let from = 0, at = 0; at >= 0 && from < bytes.length; from = at + 1)
        at = resync.find(buffer, from, bytes.length, true)
      return count
    } finally {
      DataView.prototype.getInt32 = read
    }
  }

  const LONG = '*99999\r\n$3\r\nDEL'
  const MANY = `*999\r\n$3\r\nDEL`

  it.each([
    ['half headers', '*1\r\n$4\r\n'],
    ['headers in headers', '*9\r\n$9\r\n'],
    ['stars', '*'],
    ['records that are cut', '*3\r\n$3\r\nSET\r\n$5\r\n'],
    ['lengths up to the end', '*2\r\n$3\r\nDEL\r\n$60000\r\n'],
    ['names that nobody knows', '*1\r\n$3\r\nxyz\r\n'],
    ['two whole commands, then none', '*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nPING\r\n?'],
    ['records of which each argument begins one more', `$${LONG.length}\r\n${LONG}\r\n`],
    ['the same of known size', `$${MANY.length}\r\n${MANY}\r\n`],
  ])('%s: twice as much takes twice as long, not four times', (_, unit) => {
    const small = steps(Buffer.from(unit.repeat(30_000 / unit.length)))
    const large = steps(Buffer.from(unit.repeat(60_000 / unit.length)))
    expect(large).toBeLessThan(2.5 * small + 1000)
    // And not much for each byte.
    expect(large).toBeLessThan(60_000 * 60)
  })
})
