/*
 * Short texts are copied, moved and compared so often that four bytes at a time, in place, beat the calls that the
 * engine has for it: those are worth it from some hundred bytes on.
 */

const LONG = 192

/** Copies `count` bytes from one buffer to another. */
export function copyText(source: DataView, from: number, target: DataView, to: number, count: number): void {
  if (count > LONG) {
    const bytes = new Uint8Array(source.buffer, source.byteOffset + from, count)
    new Uint8Array(target.buffer, target.byteOffset + to, count).set(bytes)
    return
  }
  if (count < 4) {
    for (let i = 0; i < count; i++) target.setUint8(to + i, source.getUint8(from + i))
    return
  }
  const last = count - 4
  for (let i = 0; i < last; i += 4) target.setInt32(to + i, source.getInt32(from + i))
  // Some of them once more, rather than one by one.
  target.setInt32(to + last, source.getInt32(from + last))
}

/** Whether `count` bytes are the same. */
export function sameText(a: DataView, from: number, b: DataView, at: number, count: number): boolean {
  if (count < 4) {
    for (let i = 0; i < count; i++) if (a.getUint8(from + i) !== b.getUint8(at + i)) return false
    return true
  }
  const last = count - 4
  // What differs mostly differs at its end.
  if (a.getInt32(from + last) !== b.getInt32(at + last)) return false
  for (let i = 0; i < last; i += 4) if (a.getInt32(from + i) !== b.getInt32(at + i)) return false
  return true
}

/** Moves the bytes from `from` to `end` to `to`, within one buffer. */
export function moveText(view: DataView, to: number, from: number, end: number): void {
  const count = end - from
  if (count > LONG) {
    new Uint8Array(view.buffer, view.byteOffset).copyWithin(to, from, end)
    return
  }
  if (to < from) {
    let i = 0
    for (; i + 4 <= count; i += 4) view.setInt32(to + i, view.getInt32(from + i))
    for (; i < count; i++) view.setUint8(to + i, view.getUint8(from + i))
    return
  }
  let i = count
  for (; i >= 4; i -= 4) view.setInt32(to + i - 4, view.getInt32(from + i - 4))
  for (; i > 0; i--) view.setUint8(to + i - 1, view.getUint8(from + i - 1))
}
