import { createHash } from 'node:crypto'
import { type Exports, instantiate } from '../bytes/wasm.ts'
import { SHA1_MODULE } from './sha1.generated.ts'

/*
 * SHA-1, as digests of keyspaces use it: some millions of times, for some 20 bytes each. `node:crypto` takes 600 to
 * 1,000 ns for that, libraries 350 and more, most of it for what surrounds the hash; sha1.wat takes 130. From 1 KiB on
 * `node:crypto` is faster, three times in the end.
 */

const HASH_AT = 384
const REGISTERS_AT = 512
const REGISTER_SIZE = 32
const REGISTERS = 16
const HASH_SIZE = 20
const MESSAGE_AT = 1024
/** Longer messages go to `node:crypto`. */
const LONGEST = 1000
/** Shorter ones are copied faster one by one than by a call. */
const SHORT = 24

type Module = Exports<{
  add(register: number): void
  mix(register: number): void
  add_register(register: number, from: number): void
  add_message(register: number, size: number): void
  mix_message(register: number, size: number): void
}>

/** Some digests of 20 bytes, zero at first, that hashes of messages are brought into. */
export class Sha1Registers {
  readonly #module: Module = instantiate(SHA1_MODULE)

  /** Adds the hash of `bytes[at, end)`: the order of what is added does not count. */
  add(register: number, bytes: Uint8Array, at: number, end: number): void {
    const size = end - at
    if (size > LONGEST) {
      this.#hash(bytes, at, end)
      this.#module.add(place(register))
    } else {
      this.#copy(bytes, at, end)
      this.#module.add_message(place(register), size)
    }
  }

  /** Adds the hash of `bytes[at, end)` and makes the register its own hash: the order counts. */
  mix(register: number, bytes: Uint8Array, at: number, end: number): void {
    const size = end - at
    if (size > LONGEST) {
      this.#hash(bytes, at, end)
      this.#module.mix(place(register))
    } else {
      this.#copy(bytes, at, end)
      this.#module.mix_message(place(register), size)
    }
  }

  /** Adds the hash of another register, and clears that. */
  addRegister(register: number, from: number): void {
    this.#module.add_register(place(register), place(from))
  }

  clear(register: number): void {
    this.bytes(register).fill(0)
  }

  /** What the register holds, not a copy. */
  bytes(register: number): Uint8Array {
    if (register >= REGISTERS) throw new RangeError(`there is no register ${register}`)
    return this.#module.bytes.subarray(place(register), place(register) + HASH_SIZE)
  }

  #copy(source: Uint8Array, at: number, end: number): void {
    const { bytes } = this.#module
    if (end - at > SHORT) bytes.set(source.subarray(at, end), MESSAGE_AT)
    else for (let to = MESSAGE_AT; at < end; ) bytes[to++] = source[at++]
  }

  #hash(bytes: Uint8Array, at: number, end: number): void {
    this.#module.bytes.set(createHash('sha1').update(bytes.subarray(at, end)).digest(), HASH_AT)
  }
}

function place(register: number): number {
  return REGISTERS_AT + register * REGISTER_SIZE
}
