import { type Finding, Findings } from '../aof/finding.ts'

/** Of each kind of error the first, and how many there are. */
export class FirstFindings extends Findings {
  readonly #kinds = new Map<string, { readonly first: Finding; count: number; reported: boolean }>()

  override add(finding: Finding): void {
    if (finding.severity !== 'error') return
    const kind = this.#kinds.get(finding.code)
    if (kind === undefined) this.#kinds.set(finding.code, { first: finding, count: 1, reported: false })
    else kind.count++
  }

  /** Tells of what was not told yet. */
  async report(tell: (first: Finding, count: number) => Promise<void>): Promise<void> {
    for (const kind of this.#kinds.values()) {
      if (kind.reported) continue
      kind.reported = true
      await tell(kind.first, kind.count)
    }
  }
}
