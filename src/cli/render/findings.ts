import type { ChalkInstance } from 'chalk'
import type { Finding } from '../../aof/finding.ts'
import { escapeName } from '../../bytes/escape.ts'
import type { Verdict } from '../../operations/verdict.ts'

/** `part:offset`, as far as there are any. */
export function place({ part, offset }: Pick<Finding, 'part' | 'offset'>): string {
  const file = part === undefined ? '' : escapeName(part)
  return offset === undefined ? file : `${file}:${offset}`
}

/** Findings, each as a line of place and code and an indented one of text. */
export function renderFindings(findings: readonly Finding[], style: ChalkInstance): string {
  return findings
    .map(finding => {
      const colour = finding.severity === 'error' ? style.red : style.yellow
      const head = [colour(finding.severity), style.bold(place(finding)), style.dim(finding.code)]
      return `${head.filter(word => word !== '').join(' ')}\n  ${finding.message}\n`
    })
    .join('')
}

export function renderVerdict(verdict: Verdict, style: ChalkInstance): string {
  const colour = { sound: style.green, damaged: style.yellow, torn: style.yellow, corrupt: style.red }[
    verdict
  ]
  return colour(verdict)
}
