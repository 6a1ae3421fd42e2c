import { CRC64_MODULE } from './crc64.generated.ts'

/** Bytes that the module takes at once: small enough to stay in a core's cache between the copy and the work. */
const BLOCK = 128 * 1024
/** Where the block stands in the module's memory (crc64.wat). */
const BLOCK_AT = 32768

interface Module {
  /** The module's block, to be filled before each call of {@link update}. */
  readonly block: Uint8Array
  update(crc: bigint, length: number): bigint
}

/** What is used of it here; Node's own types leave it out. */
declare const WebAssembly: {
  readonly Module: new (binary: Uint8Array) => object
  readonly Instance: new (module: object) => { readonly exports: unknown }
}

let module: Module | undefined

// Assembled when first used: it takes 0.3 ms and 192 KiB, which most commands need not pay.
function load(): Module {
  const instance = new WebAssembly.Instance(new WebAssembly.Module(Buffer.from(CRC64_MODULE, 'base64')))
  const { memory, update } = instance.exports as Pick<Module, 'update'> & { memory: { buffer: ArrayBuffer } }
  return { block: new Uint8Array(memory.buffer, BLOCK_AT, BLOCK), update }
}

/**
 * The checksum of RDB files and of DUMP payloads: CRC-64 with Jones' polynomial 0xad93d23594c935a9, reflected, zero
 * before and after. `"123456789"` has 0xe9c6d914c4b8d9ca. Bytes may come in any number of pieces.
 */
export class Crc64 {
  #crc = 0n

  /** Continues over `bytes[start, end)`. */
  update(bytes: Uint8Array, start = 0, end = bytes.length): void {
    module ??= load()
    const { block } = module
    for (let at = start; at < end; at += BLOCK) {
      const length = Math.min(BLOCK, end - at)
      block.set(bytes.subarray(at, at + length))
      this.#crc = module.update(this.#crc, length)
    }
  }

  /** The checksum of all bytes so far, unsigned; files hold it little-endian. */
  value(): bigint {
    return BigInt.asUintN(64, this.#crc)
  }
}
