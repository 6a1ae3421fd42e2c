import { writeSync } from 'node:fs'

/*
 * Writes a log of so many `SET key:NNNNNNNNNN v` to standard output, faster than it is read:
 *
 *     node scripts/run.js bench/many-keys.ts 100000000 | node bin/aofkit.js replay - --json
 *
 * 100 million keys take about 8 GB: docs/memory.md has the arithmetic.
 */

const COUNT = Number(process.argv[2] ?? 1_000_000)
const DIGITS = 10
const RECORD = Buffer.from(`*3\r\n$3\r\nSET\r\n$14\r\nkey:${'0'.repeat(DIGITS)}\r\n$1\r\nv\r\n`)
/** Where the last digit stands. */
const LAST = RECORD.indexOf('key:') + 4 + DIGITS - 1
const AT_ONCE = 20_000

const buffer = Buffer.alloc(RECORD.length * AT_ONCE)
for (let i = 0; i < AT_ONCE; i++) RECORD.copy(buffer, i * RECORD.length)

function write(bytes: Buffer): void {
  for (let done = 0; done < bytes.length; ) {
    try {
      done += writeSync(1, bytes, done)
    } catch (error) {
      // A full pipe that does not wait.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
    }
  }
}

for (let key = 0; key < COUNT; ) {
  const count = Math.min(AT_ONCE, COUNT - key)
  for (let i = 0; i < count; i++, key++) {
    let rest = key
    for (let at = i * RECORD.length + LAST; rest > 0; at--) {
      buffer[at] = 0x30 + (rest % 10)
      rest = Math.floor(rest / 10)
    }
    // A number never has fewer digits than the one that stood here before it.
  }
  write(buffer.subarray(0, count * RECORD.length))
}
