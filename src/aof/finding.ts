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

interface FindingKind {
  count: number
  first: Finding
  last: Finding
}

/** What {@link Findings} have, as another thread can be told. */
export interface FoundSoFar {
  readonly listed: readonly Finding[]
  readonly kinds: ReadonlyMap<string, Readonly<FindingKind>>
}

/** Gathers findings. A kind that goes on and on is counted rather than listed. */
export class Findings {
  #list: Finding[] = []
  #kinds = new Map<string, FindingKind>()
  errors = 0
  warnings = 0

  add(finding: Finding): void {
    if (finding.severity === 'error') this.errors++
    else this.warnings++
    const key = kindOf(finding)
    const kind = this.#kinds.get(key)
    if (kind === undefined) this.#kinds.set(key, { count: 1, first: finding, last: finding })
    else {
      kind.count++
      kind.last = finding
      if (kind.count > MAX_LISTED) return
    }
    this.#list.push(finding)
  }

  get soFar(): FoundSoFar {
    return { listed: this.#list, kinds: this.#kinds }
  }

  /**
   * Adds what somebody else has found in the same log, and puts all of it in an order.
   *
   * @param compare as `Array.sort` has it; what is equal stays as it was
   */
  merge(others: readonly FoundSoFar[], compare: (a: Finding, b: Finding) => number): void {
    const kinds = new Map([...this.#kinds].map(([key, kind]) => [key, { ...kind }]))
    for (const other of others) {
      for (const [key, { count, first, last }] of other.kinds) {
        const kind = kinds.get(key)
        if (first.severity === 'error') this.errors += count
        else this.warnings += count
        if (kind === undefined) kinds.set(key, { count, first, last })
        else {
          kind.count += count
          if (compare(first, kind.first) < 0) kind.first = first
          if (compare(last, kind.last) >= 0) kind.last = last
        }
      }
    }
    this.#kinds = new Map([...kinds].sort(([, a], [, b]) => compare(a.first, b.first)))
    const listed = new Map<string, number>()
    this.#list = [...this.#list, ...others.flatMap(other => other.listed)].sort(compare).filter(finding => {
      const key = kindOf(finding)
      const count = (listed.get(key) ?? 0) + 1
      listed.set(key, count)
      return count <= MAX_LISTED
    })
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

function kindOf({ code, part }: Finding): string {
  return `${code}\0${part ?? ''}`
}
