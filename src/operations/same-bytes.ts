import type { Source } from '../bytes/source.ts'

const AT_ONCE = 1 << 20

/** Whether two sources hold the same `length` bytes from two offsets on. */
export async function sameBytes(
  a: Source,
  fromA: number,
  b: Source,
  fromB: number,
  length: number,
): Promise<boolean> {
  const one = new Uint8Array(Math.min(AT_ONCE, length))
  const other = new Uint8Array(one.length)
  for (let done = 0; done < length; done += AT_ONCE) {
    const count = Math.min(AT_ONCE, length - done)
    const [readA, readB] = await Promise.all([
      a.readAt(one.subarray(0, count), fromA + done),
      b.readAt(other.subarray(0, count), fromB + done),
    ])
    if (readA < count || readB < count) return false
    if (Buffer.compare(one.subarray(0, count), other.subarray(0, count)) !== 0) return false
  }
  return true
}
