import { describe, expect, it } from 'vitest'
import { CommandPattern } from '../../src/operations/command-pattern.ts'
import { Batch, Scanner } from '../../src/resp/scanner.ts'
import { encode } from '../helpers/chunks.ts'

function matches(pattern: string, ...args: string[]): boolean {
  const bytes = encode(...args)
  const batch = new Batch(bytes.length)
  batch.clear(bytes, 0)
  new Scanner().scan(batch, 0, bytes.length, true)
  return new CommandPattern(pattern).test(batch, 0, args.length)
}

describe('a pattern of commands', () => {
  it.each([
    ['flushall', ['FLUSHALL'], true],
    ['FLUSHALL', ['flushall', 'ASYNC'], true],
    ['flushall', ['FLUSHDB'], false],
    ['flush', ['FLUSHALL'], false],
    ['set', ['SETEX', 'a', '1', 'b'], false],
    ['xgroup|create', ['XGROUP', 'CREATE', 's', 'g', '$'], true],
    ['xgroup|create', ['XGROUP', 'DESTROY', 's', 'g'], false],
    ['xgroup', ['XGROUP', 'DESTROY', 's', 'g'], true],
    ['json.set', ['JSON.SET', 'k', '.', '1'], true],
  ])('that is the bare name %s takes %j: %j', (pattern, args, expected) => {
    expect(matches(pattern, ...args)).toBe(expected)
  })

  it.each([
    ['DEL user:*', ['DEL', 'user:1'], true],
    ['DEL user:*', ['DEL', 'users'], false],
    ['del user:*', ['DEL', 'user:1', 'b'], true],
    ['DEL user:*', ['Del', 'user:1'], true],
    ['DEL USER:*', ['DEL', 'user:1'], false],
    ['flush*', ['FLUSHALL'], true],
    ['FLUSHALL ', ['FLUSHALL'], false],
    ['*user:1*', ['RPUSH', 'queue', 'user:12'], true],
    ['*', ['PING'], true],
    ['?el *', ['del', 'a'], true],
    ['?el *', ['DEL', 'a'], false],
    ['SET note "the last*"', ['SET', 'note', 'the last one'], true],
    ['SET note the*', ['SET', 'note', 'the last one'], false],
    ['SET k ""', ['SET', 'k', ''], true],
    ['SET k "\\\\x00*"', ['SET', 'k', '\0a'], true],
  ])('that is the glob %s takes %j as it is printed: %j', (pattern, args, expected) => {
    expect(matches(pattern, ...args)).toBe(expected)
  })
})
