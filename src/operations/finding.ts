/** `error`: a server refuses it, or loses something. `warning`: odd, but every server at hand loads it. */
export type Severity = 'error' | 'warning'

/** What is wrong with a log, and what it means: the only vocabulary of problems. */
export interface Finding {
  /** Stable, dotted: `resp.bulk.terminator`. */
  readonly code: string
  readonly severity: Severity
  /** Name of the part's file; absent for what concerns the whole log. */
  readonly part?: string
  /** Bytes from the start of the part. */
  readonly offset?: number
  /** What was expected and what was found, what it means. Bytes of the input in it are escaped. */
  readonly message: string
}
