/**
 * What servers do with a log.
 *
 * - `sound`: they start, and so do the tools that check logs.
 * - `damaged`: they start although something is wrong; `check-aof`, or a newer server, refuses it.
 * - `torn`: with `aof-load-truncated yes` they start with what is before an end that was cut off.
 * - `corrupt`: they do not start.
 */
export type Verdict = 'sound' | 'damaged' | 'torn' | 'corrupt'

const ORDER: readonly Verdict[] = ['sound', 'damaged', 'torn', 'corrupt']

export function worst(...verdicts: readonly Verdict[]): Verdict {
  return ORDER[Math.max(0, ...verdicts.map(verdict => ORDER.indexOf(verdict)))]
}
