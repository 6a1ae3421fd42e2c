import { type Finding, Findings } from '../aof/finding.ts'
import { type Input, openPart, type Part } from '../aof/parts.ts'
import type { Source } from '../bytes/source.ts'
import type { ServerName } from '../servers/servers.ts'
import type { Behind } from './behind.ts'
import { LogServer } from './log-server.ts'
import { PartCheck, type PartReport } from './part-check.ts'
import { type Verdict, worst } from './verdict.ts'

export interface LogOptions {
  /** Whose behaviour counts; by default that of the server that wrote the log. */
  readonly as?: ServerName | undefined
  /** How many databases there are: the servers' `databases`. */
  readonly databases: number
  /** Names of commands that aofkit does not know and shall take as they are. */
  readonly allowCommands: readonly string[]
}

export interface VerifyReport {
  readonly verdict: Verdict
  readonly bytes: number
  readonly commands: number
  readonly keys: number
  readonly parts: readonly PartReport[]
  readonly findings: readonly Finding[]
  /** Whose behaviour counted. */
  readonly server: ServerName
  /** Whole commands that stand behind the place where servers stop reading: a cut there would lose them. */
  readonly behind?: (Behind & { readonly part: string }) | undefined
  /** It cannot be said whether there are any: the input was a pipe. */
  readonly behindUnknown: boolean
  /** A server that starts on this log makes it worse. */
  readonly doNotStart: boolean
  /** A server that starts on this log throws away what its preamble holds. */
  readonly losesPreamble: boolean
}

/**
 * Reads every byte of a log and judges it as servers would; never writes.
 * @param progress is told the bytes read so far, in all parts
 * @param open how parts are opened; each is closed when it was read
 */
export async function verifyLog(
  input: Input,
  options: LogOptions,
  progress?: (bytes: number) => void,
  open: (part: Part) => Promise<Source> = openPart,
): Promise<VerifyReport> {
  const findings = new Findings()
  for (const finding of input.findings) findings.add(finding)
  let verdict: Verdict = findings.errors > 0 ? 'corrupt' : 'sound'
  const server = new LogServer(options.as, options.allowCommands)
  const parts: PartReport[] = []
  let behind: VerifyReport['behind']
  let doNotStart = input.doNotStart
  let losesPreamble = false
  let behindUnknown = false
  let bytes = 0
  for (const part of input.parts) {
    const source = await open(part)
    const before = bytes
    try {
      const check = new PartCheck(
        { file: part.name, type: part.role, last: part === input.parts.at(-1) },
        findings,
        server,
        options.databases,
      )
      const report = await check.run(source, progress && (offset => progress(before + offset)))
      parts.push(report)
      bytes += report.size
      verdict = worst(verdict, report.verdict)
      if (check.behind !== undefined) behind ??= { part: part.name, ...check.behind }
      doNotStart ||= check.doNotStart
      losesPreamble ||= check.losesPreamble
      behindUnknown ||= check.behindUnknown
    } finally {
      await source.close()
    }
  }
  return {
    verdict,
    bytes,
    commands: parts.reduce((total, part) => total + part.commands, 0),
    keys: parts.reduce((total, part) => total + part.keys, 0),
    parts,
    findings: findings.list(),
    server: server.name,
    behind,
    behindUnknown,
    doNotStart,
    losesPreamble,
  }
}
