import type { Findings } from '../aof/finding.ts'
import { type Verdict, worst } from './verdict.ts'

/** What is found in one part, and what it comes to. */
export class Judgement {
  verdict: Verdict = 'sound'
  /** Where servers stop, or the transaction around it begins; infinite while they do not. */
  stop = Number.POSITIVE_INFINITY
  readonly #file: string
  readonly #findings: Findings

  constructor(file: string, findings: Findings) {
    this.#file = file
    this.#findings = findings
  }

  /** Odd, and without consequence for whether servers start. */
  warn(code: string, offset: number, message: string): void {
    this.#findings.add({ code, severity: 'warning', part: this.#file, offset, message })
  }

  /** Wrong, and what it makes of the part. */
  blame(verdict: Verdict, code: string, offset: number, message: string): void {
    this.#findings.add({ code, severity: 'error', part: this.#file, offset, message })
    this.verdict = worst(this.verdict, verdict)
  }

  /** Something that stops servers; what they load before it ends at `from`. */
  refuse(code: string, offset: number, from: number, message: string): void {
    this.blame('corrupt', code, offset, message)
    this.stopAt(from)
  }

  stopAt(offset: number): void {
    this.stop = Math.min(this.stop, offset)
  }
}
