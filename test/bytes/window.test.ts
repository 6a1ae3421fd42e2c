import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BufferSource, type Source } from '../../src/bytes/source.ts'
import { Window } from '../../src/bytes/window.ts'
import { PieceSource } from '../helpers/chunks.ts'

/** A source of which each read is answered by `answer`, given its number from 0 on. */
function answering(
  answer: (call: number, target: Uint8Array, from: number, to: number) => number | Promise<number>,
  seekable = true,
): Source {
  let calls = 0
  return {
    name: 'answers',
    size: undefined,
    seekable,
    read: async (target, from, to) => answer(calls++, target, from, to),
    readAt: async () => 0,
    grow: async () => false,
    close: async () => {},
  }
}

const there = (window: Window) => Buffer.from(window.bytes.slice(window.start, window.end))
const numbers = (length: number) => Uint8Array.from({ length }, (_, i) => (i * 7 + (i >> 8)) & 0xff)

/** Moves over a whole source, and carries `carried` bytes each time; what went by, byte by byte. */
async function readAll(window: Window, carried: () => number): Promise<Buffer> {
  const pieces: Uint8Array[] = []
  for (;;) {
    const to = Math.max(window.start, window.end - carried())
    expect(window.offset).toBe(pieces.reduce((total, { length }) => total + length, 0))
    pieces.push(window.bytes.slice(window.start, to))
    if (!(await window.advance(to)) && window.start === window.end) return Buffer.concat(pieces)
  }
}

describe('a window', () => {
  it('shows each byte once, in order and at its offset, whatever the pieces and whatever is carried', async () => {
    const content = numbers(700)
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 80 }),
        fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 60 }),
        fc.infiniteStream(fc.nat(80)),
        async (chunk, sizes, carries) => {
          const pieces: Uint8Array[] = []
          for (let at = 0, i = 0; at < content.length; i++) {
            const size = sizes[i % sizes.length]
            pieces.push(content.subarray(at, at + size))
            at += size
          }
          const window = new Window(new PieceSource(pieces), chunk)
          // What is held back at the end cannot be carried for ever.
          const carry = () => (window.ended ? 0 : Math.min(chunk, carries.next().value as number))
          expect(await readAll(window, carry)).toEqual(Buffer.from(content))
        },
      ),
      { numRuns: 60 },
    )
  })

  it('gathers what is carried over many small pieces, up to its headroom', async () => {
    const content = numbers(40)
    const window = new Window(new PieceSource(Array.from(content, byte => Uint8Array.of(byte))), 40)
    let reads = 0
    while (await window.advance(window.start)) expect(there(window)).toHaveLength(++reads)
    expect(there(window)).toEqual(Buffer.from(content))
    expect(window.offset).toBe(0)
  })

  it('refuses to carry more than its headroom, and stays as it is', async () => {
    const window = new Window(new BufferSource(numbers(100)), 16)
    await window.advance(window.start)
    await window.advance(window.start)
    const before = { ...window, shown: there(window) }
    expect(before.shown).toHaveLength(32)
    await expect(window.advance(window.start)).rejects.toThrow(RangeError)
    expect({ ...window, shown: there(window) }).toEqual(before)
    expect(await window.advance(window.end - window.headroom)).toBe(true)
    expect(there(window)).toEqual(Buffer.from(numbers(100).subarray(16, 48)))
  })

  it('has nothing before it is moved, and only moves its start when nothing follows', async () => {
    const window = new Window(new BufferSource(numbers(5)), 16)
    expect([window.offset, there(window).length, window.ended]).toEqual([0, 0, false])
    expect(await window.advance(window.start)).toBe(true)
    expect(window.ended).toBe(false)
    expect(await window.advance(window.start + 2)).toBe(false)
    expect([window.offset, window.ended]).toEqual([2, true])
    expect(there(window)).toEqual(Buffer.from(numbers(5).subarray(2)))
    expect(await window.advance(window.end)).toBe(false)
    expect(window.offset).toBe(5)
  })

  it('may be read a little beyond its end, always', async () => {
    const window = new Window(new PieceSource([numbers(7), numbers(16), numbers(3)]), 16)
    do expect(window.bytes.length - window.end).toBeGreaterThanOrEqual(Window.SLACK)
    while (await window.advance(window.end))
  })

  it('begins at the offset that it is told', async () => {
    const from = 2 ** 40 + 1
    const window = new Window(new BufferSource(numbers(50)), 16, from)
    expect(window.offset).toBe(from)
    await window.advance(window.start)
    await window.advance(window.end - 3)
    expect(window.offset).toBe(from + 13)
    expect(there(window)).toEqual(Buffer.from(numbers(50).subarray(13, 32)))
  })

  it('keeps offsets exact beyond 2^31 and 2^32, through every step of 5 GB', async () => {
    const chunk = 1 << 20
    const size = 5_000_000_000
    let given = 0
    // Only where a read begins something is written: the offset of that place.
    const source = answering((_, target, from, to) => {
      const count = Math.min(to - from, size - given)
      if (count >= 8) Buffer.from(target.buffer).writeDoubleLE(given, from)
      given += count
      return count
    })
    const window = new Window(source, chunk)
    let expected = 0
    let last = 0
    for (;;) {
      const carried = Math.min(17, window.end - window.start)
      const from = window.end - carried
      expected += from - window.start
      last = window.base + window.end
      if (!(await window.advance(from))) break
      if (window.offset !== expected) expect(window.offset).toBe(expected)
      const fresh = window.start + carried
      if (window.end - fresh < 8) continue
      const written = Buffer.from(window.bytes.buffer).readDoubleLE(fresh)
      if (written !== window.base + fresh) expect(window.base + fresh).toBe(written)
    }
    expect(last).toBe(size)
    expect(window.offset).toBe(size - 17)
  })

  it('uses a handful of buffers, however long the source and however fast its reader', async () => {
    for (const seekable of [true, false]) {
      let left = 3000
      const window = new Window(
        answering((_, __, from, to) => (left-- > 0 ? to - from : 0), seekable),
        64,
      )
      const buffers = new Set<Uint8Array>()
      do buffers.add(window.bytes)
      while (await window.advance(window.end - 10))
      expect(left).toBeLessThan(1)
      expect(buffers.size).toBeLessThanOrEqual(4)
    }
  })
})

describe('reading ahead', () => {
  it('keeps the order of the bytes when a later read is done first', async () => {
    const waiting: (() => void)[] = []
    const source = answering((call, target, from) => {
      if (call >= 6) return 0
      target[from] = call
      return new Promise(resolve => waiting.push(() => resolve(1)))
    })
    const window = new Window(source, 8)
    const seen: number[] = []
    for (;;) {
      const more = window.advance(window.end)
      // Those that were asked for last are answered first.
      await new Promise(resolve => setImmediate(resolve))
      for (const answer of waiting.splice(0).reverse()) answer()
      if (!(await more)) break
      seen.push(...there(window))
    }
    expect(seen).toEqual([0, 1, 2, 3, 4, 5])
  })

  it('has several reads of a seekable source under way, of another only one', async () => {
    for (const seekable of [true, false]) {
      let running = 0
      let most = 0
      let left = 20
      const source = answering(async () => {
        most = Math.max(most, ++running)
        await new Promise(resolve => setImmediate(resolve))
        running--
        return left-- > 0 ? 1 : 0
      }, seekable)
      const window = new Window(source, 8)
      while (await window.advance(window.end)) {
        // On to the next.
      }
      if (seekable) expect(most).toBeGreaterThan(1)
      else expect(most).toBe(1)
    }
  })

  it('gives what came before an error, then the error', async () => {
    const failure = new Error('the disk is gone')
    for (const seekable of [true, false]) {
      for (const failing of [0, 1, 2, 3, 7]) {
        const source = answering(call => {
          if (call === failing) throw failure
          return 1
        }, seekable)
        const window = new Window(source, 8)
        for (let i = 0; i < failing; i++) expect(await window.advance(window.end)).toBe(true)
        await expect(window.advance(window.end)).rejects.toBe(failure)
        expect(window.offset).toBe(failing)
      }
    }
  })

  it('never goes on behind a read that failed: its bytes are missing', async () => {
    const source = answering(call => {
      if (call === 1) throw new Error('once')
      return 1
    })
    const window = new Window(source, 8)
    await window.advance(window.end)
    await expect(window.advance(window.end)).rejects.toThrow('once')
    for (let i = 0; i < 3; i++) {
      expect(await window.advance(window.end).catch(() => false)).toBe(false)
      expect([window.offset, there(window).length]).toEqual([1, 0])
    }
  })

  it('leaves no rejection unhandled when it is given up before an error was met', async () => {
    const unhandled: unknown[] = []
    const note = (error: unknown) => unhandled.push(error)
    process.on('unhandledRejection', note)
    const source = answering(call => {
      if (call > 0) throw new Error('nobody asks')
      return 1
    })
    await new Window(source, 8).advance(8)
    await new Promise(resolve => setTimeout(resolve, 5))
    process.off('unhandledRejection', note)
    expect(unhandled).toEqual([])
  })
})

describe('a source that grows', () => {
  it('goes on where it ended, with what was carried in front', async () => {
    const content = numbers(200)
    for (const chunk of [16, 64, 300]) {
      const source = new PieceSource([content.subarray(0, 90)])
      source.later = [content.subarray(90, 150), content.subarray(150)]
      const window = new Window(source, chunk)
      while (await window.advance(Math.max(window.start, window.end - 5))) {
        // To the end.
      }
      expect(window.ended).toBe(true)
      const carried = window.offset
      expect(carried).toBe(85)
      expect(await window.grow()).toBe(true)
      expect(window.ended).toBe(false)
      const rest: Buffer[] = []
      while (await window.advance(window.end - (rest.length === 0 ? 5 : 0))) rest.push(there(window))
      expect(Buffer.concat(rest)).toEqual(Buffer.from(content.subarray(carried)))
      expect(window.base + window.end).toBe(content.length)
    }
  })

  it('that has not grown stays at its end', async () => {
    const window = new Window(new PieceSource([numbers(10)]), 16)
    while (await window.advance(window.end)) {
      // To the end.
    }
    expect(await window.grow()).toBe(false)
    expect([window.ended, await window.advance(window.end), window.offset]).toEqual([true, false, 10])
  })

  it('may grow again and again', async () => {
    const source = new BufferSource(new Uint8Array(0))
    const window = new Window(source, 16)
    expect(await window.advance(window.end)).toBe(false)
    for (let i = 0; i < 20; i++) {
      source.append(Uint8Array.of(i))
      expect(await window.grow()).toBe(true)
      expect(await window.advance(window.end)).toBe(true)
      expect([...there(window)]).toEqual([i])
      expect(window.offset).toBe(i)
      expect(await window.advance(window.end)).toBe(false)
    }
  })

  it('drops none of its buffers for good when it grows', async () => {
    const source = new BufferSource(new Uint8Array(0))
    const window = new Window(source, 16)
    const buffers = new Set<Uint8Array>()
    await window.advance(window.end)
    for (let i = 0; i < 50; i++) {
      source.append(numbers(3))
      await window.grow()
      while (await window.advance(window.end)) buffers.add(window.bytes)
    }
    expect(buffers.size).toBeLessThanOrEqual(4)
  })
})
