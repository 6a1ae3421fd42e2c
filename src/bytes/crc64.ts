import { CRC64_MODULE } from './crc64.generated.ts'
import { type Exports, instantiate } from './wasm.ts'

/** Bytes that the module takes at once: small enough to stay in a core's cache between the copy and the work. */
const BLOCK = 128 * 1024
/** Where the block stands in the module's memory (crc64.wat). */
const BLOCK_AT = 32768

/** Continues `crc` over so many bytes of the block. */
let module: Exports<{ update(crc: bigint, length: number): bigint }> | undefined

/**
 * The checksum of RDB files and of DUMP payloads: CRC-64 with Jones' polynomial 0xad93d23594c935a9, reflected, zero
 * before and after. `"123456789"` has 0xe9c6d914c4b8d9ca. Bytes may come in any number of pieces.
 */
export class Crc64 {
  #crc = 0n

  /** Continues over `bytes[start, end)`. */
  update(bytes: Uint8Array, start = 0, end = bytes.length): void {
    module ??= instantiate(CRC64_MODULE)
    for (let at = start; at < end; at += BLOCK) {
      const length = Math.min(BLOCK, end - at)
      module.bytes.set(bytes.subarray(at, at + length), BLOCK_AT)
      this.#crc = module.update(this.#crc, length)
    }
  }

  /** The checksum of all bytes so far, unsigned; files hold it little-endian. */
  value(): bigint {
    return BigInt.asUintN(64, this.#crc)
  }
}
