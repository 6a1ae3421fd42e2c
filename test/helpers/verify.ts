import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { resolveInput } from '../../src/aof/parts.ts'
import { type LogOptions, type VerifyReport, verifyLog } from '../../src/operations/verify.ts'

const DEFAULTS: LogOptions = { databases: 16, allowCommands: [] }

/** Verifies a file or folder. */
export async function verifyPath(path: string, options: Partial<LogOptions> = {}): Promise<VerifyReport> {
  return verifyLog(await resolveInput(path), { ...DEFAULTS, ...options })
}

/** Verifies bytes, as a file in `folder`. */
export async function verifyBytes(
  folder: string,
  bytes: Uint8Array,
  options: Partial<LogOptions> = {},
): Promise<VerifyReport> {
  const path = join(folder, 'appendonly.aof')
  writeFileSync(path, bytes)
  return verifyPath(path, options)
}
