import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import initWabt from 'wabt'
import { SHA1_MODULE } from '../../src/values/sha1.generated.ts'
import { Sha1Registers } from '../../src/values/sha1.ts'

const sha1 = (bytes: Uint8Array) => createHash('sha1').update(bytes).digest()
const hex = (registers: Sha1Registers, register: number) =>
  Buffer.from(registers.bytes(register)).toString('hex')
const xor = (a: Uint8Array, b: Uint8Array) => Buffer.from(a.map((byte, i) => byte ^ b[i]))

describe('Sha1Registers', () => {
  it('hashes messages of every size up to 1,100 bytes', () => {
    const registers = new Sha1Registers()
    for (let size = 0; size <= 1100; size++) {
      const message = Buffer.alloc(size + 7, size)
      registers.add(3, message, 4, 4 + size)
      expect(hex(registers, 3), `${size} bytes`).toBe(sha1(message.subarray(4, 4 + size)).toString('hex'))
      registers.clear(3)
    }
  })

  it('gives what FIPS 180-4 gives', () => {
    const registers = new Sha1Registers()
    registers.add(0, Buffer.from('abc'), 0, 3)
    expect(hex(registers, 0)).toBe('a9993e364706816aba3e25717850c26c9cd0d89d')
    const million = Buffer.alloc(1_000_000, 'a')
    registers.add(1, million, 0, million.length)
    expect(hex(registers, 1)).toBe('34aa973cd4c4daa4f61eeb2bdbad27316534016f')
  })

  it('adds and mixes in any order, each register for itself', () => {
    const step = fc.record({
      register: fc.nat(3),
      what: fc.constantFrom('add', 'mix', 'register', 'clear'),
      message: fc.uint8Array({ maxLength: 150 }),
      long: fc.boolean(),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), steps => {
        const registers = new Sha1Registers()
        const expected = Array.from({ length: 4 }, () => Buffer.alloc(20))
        for (const { register, what, message, long } of steps) {
          const bytes = long ? Buffer.alloc(1300, Buffer.from([7, ...message])) : message
          if (what === 'add') {
            registers.add(register, bytes, 0, bytes.length)
            expected[register] = xor(expected[register], sha1(bytes))
          } else if (what === 'mix') {
            registers.mix(register, bytes, 0, bytes.length)
            expected[register] = sha1(xor(expected[register], sha1(bytes)))
          } else if (what === 'register') {
            const from = (register + 1) % 4
            registers.addRegister(register, from)
            expected[register] = xor(expected[register], sha1(expected[from]))
            expected[from] = Buffer.alloc(20)
          } else {
            registers.clear(register)
            expected[register] = Buffer.alloc(20)
          }
        }
        expect(expected.map((_, register) => hex(registers, register))).toEqual(
          expected.map(bytes => bytes.toString('hex')),
        )
      }),
    )
  })

  it('does not share anything with another one', () => {
    const [one, other] = [new Sha1Registers(), new Sha1Registers()]
    one.add(0, Buffer.from('a'), 0, 1)
    expect(hex(other, 0)).toBe('00'.repeat(20))
  })

  it('has sixteen registers', () => {
    const registers = new Sha1Registers()
    registers.mix(15, Buffer.from('abc'), 0, 3)
    registers.add(0, Buffer.alloc(64), 0, 64)
    expect(hex(registers, 15)).toBe(sha1(sha1(Buffer.from('abc'))).toString('hex'))
    expect(() => registers.bytes(16)).toThrow(RangeError)
  })
})

describe('the WebAssembly module', () => {
  it('is what sha1.wat assembles to', async () => {
    const wabt = await initWabt()
    const wat = await readFile('src/values/sha1.wat', 'utf8')
    const { buffer } = wabt.parseWat('sha1.wat', wat, { bulk_memory: true, simd: true }).toBinary({})
    expect(SHA1_MODULE, 'run `node scripts/make-wasm.js`').toBe(Buffer.from(buffer).toString('base64'))
  })
})
