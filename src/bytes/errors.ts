/**
 * What is wrong with bytes, thrown by every parser of this project and turned into findings by the operations.
 *
 * `torn`: the data ends where more was promised. `corrupt`: the bytes that are there cannot be what they claim.
 */
export class FormatError extends Error {
  override readonly name = 'FormatError'
  /** Stable, dotted, for scripts: `resp.bulk.length`. */
  readonly code: string
  readonly kind: 'torn' | 'corrupt'
  /** Bytes from the start of the part, where the thing that is wrong begins. */
  readonly offset: number

  constructor(kind: 'torn' | 'corrupt', code: string, offset: number, message: string) {
    super(message)
    this.kind = kind
    this.code = code
    this.offset = offset
  }
}

export function torn(code: string, offset: number, message: string): FormatError {
  return new FormatError('torn', code, offset, message)
}

export function corrupt(code: string, offset: number, message: string): FormatError {
  return new FormatError('corrupt', code, offset, message)
}

/**
 * The job could not be done, for a reason outside the bytes: a missing file, a refused target, a full disk, a
 * combination of options. Ends as one line on standard error and exit status 2.
 */
export class JobError extends Error {
  override readonly name = 'JobError'
  /** Stable, dotted, for scripts: `input.missing`. */
  readonly code: string
  /** A further line for people: what to do now. */
  readonly hint: string | undefined

  constructor(code: string, message: string, hint?: string) {
    super(message)
    this.code = code
    this.hint = hint
  }
}

/** A system error (`ENOENT`, `EACCES`, `ENOSPC`, …) as a {@link JobError} that says what was being done to what. */
export function jobError(doing: string, error: unknown): JobError {
  if (error instanceof JobError) return error
  const code = (error as NodeJS.ErrnoException)?.code
  const why = (code !== undefined && SYSTEM_REASONS[code]) || (error as Error)?.message || String(error)
  return new JobError(code === undefined ? 'job.failed' : `system.${code.toLowerCase()}`, `${doing}: ${why}`)
}

const SYSTEM_REASONS: Record<string, string> = {
  EACCES: 'permission denied',
  EDQUOT: 'disk quota exceeded',
  EEXIST: 'it exists already',
  EFBIG: 'file too large for this file system or limit',
  EIO: 'input/output error of the disk',
  EISDIR: 'it is a folder',
  ELOOP: 'too many links',
  EMFILE: 'too many open files',
  ENAMETOOLONG: 'name too long',
  ENOENT: 'no such file or folder',
  ENOSPC: 'no space left on the disk',
  ENOTDIR: 'not a folder',
  EPERM: 'operation not permitted',
  EROFS: 'read-only file system',
  EXDEV: 'on another file system',
}
