/** Integers as they stand in memory of most machines: low byte first. Unlike a `DataView` at any place, without one. */

export function uint32At(bytes: Uint8Array, at: number): number {
  return int32At(bytes, at) >>> 0
}

export function int16At(bytes: Uint8Array, at: number): number {
  return ((bytes[at] | (bytes[at + 1] << 8)) << 16) >> 16
}

export function int24At(bytes: Uint8Array, at: number): number {
  return ((bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16)) << 8) >> 8
}

export function int32At(bytes: Uint8Array, at: number): number {
  return bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)
}

/** A bigint only where a number would not do. */
export function int64At(bytes: Uint8Array, at: number): number | bigint {
  const low = uint32At(bytes, at)
  const high = int32At(bytes, at + 4)
  if (high >= -0x20_0000 && high < 0x20_0000) return high * 0x1_0000_0000 + low
  return (BigInt(high) << 32n) | BigInt(low)
}

/** Writes the low `width` bytes (1 to 8) of an integer, low byte first. */
export function putInteger(bytes: Uint8Array, at: number, value: number | bigint, width: number): void {
  let low: number
  let high: number
  if (typeof value === 'bigint') {
    low = Number(BigInt.asIntN(32, value))
    high = Number(BigInt.asIntN(32, value >> 32n))
  } else {
    low = value | 0
    high = width > 4 ? Math.floor(value / 0x1_0000_0000) : 0
  }
  for (let i = 0; i < width; i++) {
    bytes[at + i] = i < 4 ? low >> (8 * i) : high >> (8 * (i - 4))
  }
}
