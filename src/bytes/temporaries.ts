import { rmSync } from 'node:fs'
import { systemPath } from './names.ts'

/** Temporary files and folders of this process. */
export const temporaries = new Set<string>()

/** Removes what is unfinished: for the end of the process by a signal, hence synchronous. Nothing is thrown. */
export function removeTemporaries(): void {
  for (const path of temporaries) {
    try {
      rmSync(systemPath(path), { recursive: true, force: true })
    } catch {
      // The next run that writes to the same target tries again.
    }
  }
  temporaries.clear()
}

/** So many random bytes as hex digits, for names. Not secret; `node:crypto` would take 6 ms to load. */
export function randomHex(bytes: number): string {
  let digits = ''
  for (let i = 0; i < bytes; i++)
    digits += Math.floor(Math.random() * 256)
      .toString(16)
      .padStart(2, '0')
  return digits
}
