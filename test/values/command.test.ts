import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Command, scoreText } from '../../src/values/command.ts'
import { PASSED_OVER } from '../../src/values/elements.ts'
import { Slice } from '../../src/values/slice.ts'

function argumentsOf({ bytes, start, end, count }: Command): string[] {
  return Array.from({ length: count }, (_, a) =>
    Buffer.from(bytes.subarray(start[a], end[a])).toString('latin1'),
  )
}

describe('a command', () => {
  it('has what was added to it, again and again', () => {
    const command = new Command()
    const argument = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.integer(),
      fc.maxSafeInteger(),
      fc.bigInt(-(2n ** 63n), 2n ** 64n - 1n),
    )
    fc.assert(
      fc.property(fc.array(argument, { maxLength: 300 }), args => {
        command.clear()
        for (const arg of args) {
          if (typeof arg === 'number') command.number(arg)
          else if (typeof arg === 'bigint') command.integer(arg)
          else command.slice(new Slice().set(arg))
        }
        const texts = args.map(arg =>
          typeof arg === 'object' ? Buffer.from(arg).toString('latin1') : String(arg),
        )
        expect(argumentsOf(command)).toEqual(texts)
        expect([...command.size.subarray(0, command.count)]).toEqual(texts.map(({ length }) => length))
        expect(command.length).toBe(texts.join('').length)
      }),
    )
  })

  it('keeps the first bytes of long arguments, when told so, and knows how long they are', () => {
    const command = new Command(3)
    const other = new Command(3)
    command.text('SET')
    command.slice(new Slice().set(Buffer.from('abcdef'), 1, 6))
    command.slice(new Slice().set(PASSED_OVER, 0, 1000))
    other.copy(command, 1)
    other.append(new Slice().set(Buffer.from('!')))
    expect(argumentsOf(command)).toEqual(['SET', 'bcd', ''])
    expect([...command.size.subarray(0, 3), command.length]).toEqual([3, 5, 1000, 1008])
    expect(argumentsOf(other)).toEqual(['bcd!'])
    expect([other.size[0], other.length]).toEqual([6, 6])
  })

  it('has scores that read back as the same number', () => {
    const command = new Command()
    fc.assert(
      fc.property(fc.oneof(fc.double({ noNaN: true }), fc.integer(), fc.constant(2 ** 53)), score => {
        command.clear()
        command.score(score)
        const [text] = argumentsOf(command)
        expect(text).toBe(scoreText(score))
        const back = text.endsWith('inf') ? Number(text.replace('inf', 'Infinity')) : Number(text)
        expect(Object.is(back, score)).toBe(true)
      }),
    )
    expect([1 / 0, -1 / 0, -0, 0 / 0].map(scoreText)).toEqual(['inf', '-inf', '-0', 'nan'])
  })
})
