import { describe, expect, it } from 'vitest'
import { Argument } from '../../src/keyspace/argument.ts'
import { type Cell, CellKind } from '../../src/keyspace/cells.ts'
import { Keyspace } from '../../src/keyspace/keyspace.ts'
import { NO_EXPIRY } from '../../src/values/elements.ts'
import { Slice } from '../../src/values/slice.ts'
import { argument, generator, textOf } from './replaying.ts'

function textOfSize(random: (below: number) => number, seed: string): string {
  const size = random(40) === 0 ? random(9000) : random(10) === 0 ? 50 + random(300) : random(30)
  return `${seed}${String.fromCharCode(97 + random(26)).repeat(size)}`
}

function keyspaceWith(kind: CellKind): { keyspace: Keyspace; cell: Cell } {
  const keyspace = new Keyspace({ databases: 16, server: 'valkey-9.1' })
  return { keyspace, cell: keyspace.create(argument('key'), kind) }
}

describe('a hash', () => {
  it.each([30, 200, 5000])('has the fields of a Map after the same changes (%i names)', names => {
    const random = generator(names)
    const { keyspace, cell } = keyspaceWith(CellKind.Hash)
    const { hashes } = keyspace
    const model = new Map<string, { value: string; expiry: bigint }>()
    const pool = Array.from({ length: names }, (_, i) => textOfSize(random, `${i}:`))
    const slice = new Slice()
    for (let i = 0; i < 20_000; i++) {
      const name = pool[random(names)]
      const old = model.get(name)
      const choice = random(10)
      if (choice < 6) {
        const value = textOfSize(random, `${i}=`)
        const keep = random(2) === 0
        expect(hashes.set(cell, argument(name), argument(value), keep)).toBe(old === undefined)
        model.set(name, { value, expiry: (keep && old?.expiry) || NO_EXPIRY })
      } else if (choice < 8) {
        expect(hashes.delete(cell, argument(name))).toBe(model.delete(name))
      } else if (choice < 9) {
        const expiry = random(3) === 0 ? NO_EXPIRY : (1n << 62n) + BigInt(i)
        expect(hashes.setExpiry(cell, argument(name), expiry)).toBe(old !== undefined)
        if (old !== undefined) old.expiry = expiry
      } else {
        expect(hashes.get(cell, argument(name), slice) ? textOf(slice) : undefined).toBe(old?.value)
        expect(hashes.expiry(cell, argument(name))).toBe(old?.expiry ?? NO_EXPIRY)
      }
      expect(hashes.length(cell)).toBe(model.size)
    }
    const found = new Map<string, { value: string; expiry: bigint }>()
    const walk = hashes.walk()
    for (walk.begin(cell); walk.next(); ) {
      hashes.valueOf(walk, slice)
      const value = textOf(slice)
      found.set(textOf(walk.name), { value, expiry: hashes.expiryOf(walk) })
    }
    expect(found).toEqual(model)
  })
})

describe('a sorted set', () => {
  it.each([20, 300, 4000])('keeps members in order of score and bytes (%i names)', names => {
    const random = generator(names)
    const { keyspace, cell } = keyspaceWith(CellKind.Zset)
    const { zsets } = keyspace
    const model = new Map<string, number>()
    const pool = Array.from({ length: names }, (_, i) => textOfSize(random, `${i}:`))
    const slice = new Slice()
    const ranked = () =>
      [...model].sort(
        ([a, x], [b, y]) => x - y || Buffer.compare(Buffer.from(a, 'latin1'), Buffer.from(b, 'latin1')),
      )
    for (let i = 0; i < 8000; i++) {
      const name = pool[random(names)]
      const choice = random(20)
      if (choice < 13) {
        const score = random(3) === 0 ? random(10) : random(1000) / 7 - 50
        expect(zsets.set(cell, argument(name), score)).toBe(!model.has(name))
        model.set(name, score)
      } else if (choice < 17) expect(zsets.delete(cell, argument(name))).toBe(model.delete(name))
      else if (i > 4000 && random(20) === 0 && model.size > 0) {
        const order = ranked()
        const rank = random(order.length)
        const score = zsets.atRank(cell, rank, slice)
        expect([textOf(slice), score]).toEqual(order[rank])
        expect(zsets.countBelow(cell, score, false)).toBe(order.findIndex(([, other]) => other >= score))
        expect(zsets.countBelow(cell, score, true)).toBe(order.filter(([, other]) => other <= score).length)
        const to = rank + random(5)
        zsets.removeRanks(cell, rank, to)
        for (const [gone] of order.slice(rank, to)) model.delete(gone)
      }
      expect(zsets.length(cell)).toBe(model.size)
    }
    const order = ranked()
    for (let rank = 0; rank < order.length; rank += 1 + random(20)) {
      const score = zsets.atRank(cell, rank, slice)
      expect([textOf(slice), score]).toEqual(order[rank])
    }
    for (const [name, score] of order) expect(zsets.score(cell, argument(name))).toBe(score)
  })
})

describe('a list', () => {
  it.each([10, 300, 20_000])('has the items of an array after the same changes (about %i)', size => {
    const random = generator(size)
    const { keyspace, cell } = keyspaceWith(CellKind.List)
    const { lists } = keyspace
    const model: string[] = []
    const slice = new Slice()
    for (let i = 0; i < 3 * size + 3000; i++) {
      const choice = random(model.length < size ? 8 : 14)
      const value = textOfSize(random, `${i}=`)
      const position = random(model.length)
      if (choice < 2) {
        lists.pushBack(cell, argument(value))
        model.push(value)
      } else if (choice < 4) {
        lists.pushFront(cell, argument(value))
        model.unshift(value)
      } else if (choice < 7) {
        const place = random(model.length + 1)
        lists.insert(cell, place, argument(value))
        model.splice(place, 0, value)
      } else if (choice < 8 && model.length > 0) {
        lists.set(cell, position, argument(value))
        model[position] = value
      } else if (choice < 12 && model.length > 0) {
        lists.delete(cell, position)
        model.splice(position, 1)
      } else if (random(50) === 0) {
        const front = random(model.length)
        lists.dropFront(cell, front)
        model.splice(0, front)
        const back = random(model.length + 10)
        lists.dropBack(cell, back)
        model.splice(Math.max(0, model.length - back))
      }
      expect(lists.length(cell)).toBe(model.length)
      if (model.length > 0 && random(10) === 0) {
        const place = random(model.length)
        lists.read(cell, place, slice)
        expect(textOf(slice)).toBe(model[place])
      }
    }
    const found: string[] = []
    const walk = lists.walk()
    for (walk.begin(cell); walk.next(); ) {
      walk.read(slice)
      found.push(textOf(slice))
    }
    expect(found).toEqual(model)
  })
})

describe('a string', () => {
  it('has the bytes of a buffer after the same writes', () => {
    const random = generator(3)
    for (let round = 0; round < 200; round++) {
      const { keyspace, cell } = keyspaceWith(CellKind.String)
      let model = Buffer.alloc(0)
      const slice = new Slice()
      for (let i = 0; i < 30; i++) {
        if (random(15) === 0) {
          const number = random(2) === 0 ? -random(1e9) : random(1e9)
          keyspace.strings.setNumber(cell, number)
          model = Buffer.from(String(number))
        } else {
          const offset = random(8) === 0 ? random(20_000) : random(model.length + 10)
          const value = Buffer.from(textOfSize(random, '!'))
          keyspace.strings.write(cell, offset, new Argument().of(value))
          const longer = Buffer.alloc(Math.max(model.length, offset + value.length))
          model.copy(longer)
          value.copy(longer, offset)
          model = longer
        }
        keyspace.strings.read(cell, slice)
        expect(Buffer.compare(slice.copy(), model)).toBe(0)
        expect(keyspace.strings.length(cell)).toBe(model.length)
      }
    }
  })

  it('counts to the ends of 64 bits', () => {
    const { keyspace, cell } = keyspaceWith(CellKind.String)
    for (const value of [0n, -1n, 2n ** 53n, -(2n ** 63n), 2n ** 63n - 1n]) {
      keyspace.strings.setInt64(cell, value)
      expect(keyspace.strings.int64(cell)).toBe(value)
      keyspace.strings.set(cell, argument(String(value)))
      expect(keyspace.strings.int64(cell)).toBe(value)
    }
    for (const text of [
      '',
      '-',
      '+1',
      '01',
      '-0',
      '1 ',
      '9223372036854775808',
      '-9223372036854775809',
      '1.0',
    ]) {
      keyspace.strings.set(cell, argument(text))
      expect(keyspace.strings.int64(cell)).toBeUndefined()
    }
  })
})

it('gives back the memory of what is removed', () => {
  const keyspace = new Keyspace({ databases: 16, server: 'valkey-9.1' })
  const fill = () => {
    for (const kind of [CellKind.Hash, CellKind.Set, CellKind.Zset, CellKind.List]) {
      const cell = keyspace.create(argument(`key ${kind}`), kind)
      for (let i = 0; i < 3000; i++) {
        const name = argument(`name ${i} ${'x'.repeat(i % 400)}`)
        const value = argument('y'.repeat(i % 5000))
        if (kind === CellKind.Hash) keyspace.hashes.set(cell, name, value)
        else if (kind === CellKind.Set) keyspace.sets.add(cell, name)
        else if (kind === CellKind.Zset) keyspace.zsets.set(cell, name, i)
        else keyspace.lists.pushBack(cell, value)
      }
      if (kind === CellKind.Zset) keyspace.zsets.countBelow(cell, 5, true)
    }
    for (const kind of [CellKind.Hash, CellKind.Set, CellKind.Zset, CellKind.List]) {
      keyspace.remove(keyspace.find(argument(`key ${kind}`)))
    }
  }
  fill()
  const { size } = keyspace.store.memory
  for (let i = 0; i < 5; i++) fill()
  expect(keyspace.store.memory.size).toBe(size)
})
