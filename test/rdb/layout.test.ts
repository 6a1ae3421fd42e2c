import { describe, expect, it } from 'vitest'
import { type Magic, Opcode, VALUE_TYPES, valueType } from '../../src/rdb/format.ts'
import { DEEPEST, type Layout, OPCODE_LAYOUTS, VALUE_LAYOUTS } from '../../src/rdb/layout.ts'

/** How many counts are open at once at most. */
function depth(layout: Layout): number {
  let deepest = 0
  let open = 0
  for (const part of layout) {
    if (typeof part === 'number') continue
    if (typeof part === 'string') {
      if (part.startsWith('count')) deepest = Math.max(deepest, ++open)
      continue
    }
    const inner =
      'times' in part ? [part.times] : Object.values('tagged' in part ? part.tagged : part.untilZero)
    deepest = Math.max(deepest, ...inner.map(each => open + depth(each)))
    if ('times' in part) open--
  }
  expect(open, 'each count is used up').toBe(0)
  return deepest
}

const ALL: Layout[] = [
  ...Object.values(VALUE_LAYOUTS),
  ...Object.values(OPCODE_LAYOUTS).flatMap(layouts => Object.values(layouts)),
]

describe('layouts', () => {
  it('need no more room for counts than the walker has', () => {
    expect(Math.max(...ALL.map(depth))).toBe(DEEPEST)
  })

  it('are there for each type, and for nothing else', () => {
    expect(Object.keys(VALUE_LAYOUTS).sort()).toEqual(VALUE_TYPES.map(({ name }) => name).sort())
  })
})

describe('types', () => {
  it('mean one thing under each magic', () => {
    for (const magic of ['REDIS', 'VALKEY'] as Magic[]) {
      const codes = VALUE_TYPES.filter(type => type[magic] !== undefined).map(({ code }) => code)
      expect(new Set(codes).size).toBe(codes.length)
    }
    expect(valueType('REDIS', 22)?.name).toBe('hash-hashtable-md-pre-release')
    expect(valueType('VALKEY', 22)?.name).toBe('hash-volatile-items')
    expect(valueType('REDIS', 8)).toBeUndefined()
    expect(valueType('VALKEY', Opcode.End)).toBeUndefined()
  })
})
