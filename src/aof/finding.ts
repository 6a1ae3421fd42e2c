import { formatCount } from '../bytes/figures.ts'
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

/** How many findings of one code are listed for a part; of the others only their number. */
const MAX_LISTED = 20

/** Gathers findings. A kind that goes on and on is counted rather than listed. */
export class Findings {
  readonly #list: Finding[] = []
  readonly #kinds = new Map<string, { count: number; readonly first: Finding; last: Finding }>()
  errors = 0
  warnings = 0

  add(finding: Finding): void {
    if (finding.severity === 'error') this.errors++
    else this.warnings++
    const key = `${finding.code}\0${finding.part ?? ''}`
    const kind = this.#kinds.get(key)
    if (kind === undefined) this.#kinds.set(key, { count: 1, first: finding, last: finding })
    else {
      kind.count++
      kind.last = finding
      if (kind.count > MAX_LISTED) return
    }
    this.#list.push(finding)
  }

  /** Of each kind the first, and how many there are. */
  firsts(): { readonly first: Finding; readonly count: number }[] {
    return [...this.#kinds.values()].map(({ first, count }) => ({ first, count }))
  }

  /** All that are listed, in the order in which they were found; then one for each kind that is only counted. */
  list(): Finding[] {
    const counted = [...this.#kinds.values()].filter(({ count }) => count > MAX_LISTED)
    return [
      ...this.#list,
      ...counted.map(({ count, last }) => ({
        ...last,
        message: `${formatCount(count - MAX_LISTED)} more like these; the last one: ${last.message}`,
      })),
    ]
  }
}
