import { type Finding, Findings } from '../aof/finding.ts'
import type { Input, Part } from '../aof/parts.ts'
import { formatCount, formatDuration } from '../bytes/figures.ts'
import type { ServerName } from '../servers/servers.ts'
import { digestShards } from './digest.ts'
import { KeyspaceSummary } from './keyspace-summary.ts'
import type { ReplayOptions } from './replay.ts'
import { replayShards, type ShardedReplay } from './shards.ts'
import type { VerifyReport } from './verify.ts'

/** What a log must hold. */
export interface Expectations {
  /** How many keys, both included. */
  readonly keys?: { readonly least: number; readonly most: number } | undefined
  /** What `DEBUG DIGEST` must print, in small letters. */
  readonly digest?: string | undefined
  /** How old the last that was written may be, in seconds. */
  readonly newerThan?: number | undefined
}

export interface ReplayCheck {
  readonly summary: KeyspaceSummary
  readonly functions: number
  readonly rejected: number
  readonly scripts: number
  /** When it was asked for. */
  readonly digest: string | undefined
  readonly writtenAt: number | undefined
  /** `replay.…` and `expect.…`. */
  readonly findings: readonly Finding[]
}

/**
 * Replays what servers load of a log that was verified, and looks whether it is what is expected.
 *
 * @param now Unix seconds
 * @param ignoreOpaque whether keys that have no digest are left out of it
 * @throws JobError as `replayLog`
 */
export async function checkReplay(
  input: Input,
  report: VerifyReport,
  options: ReplayOptions & { readonly ignoreOpaque: boolean },
  expectations: Expectations,
  now: number,
  progress?: (bytes: number) => void,
): Promise<ReplayCheck> {
  const replay = await replayShards(input, { ...options, ends: loadedEnds(input, report) }, progress)
  try {
    const findings = new Findings()
    for (const finding of replay.findings) if (finding.code.startsWith('replay.')) findings.add(finding)
    const summary = new KeyspaceSummary()
    for (const databases of await replay.each('summary', {})) summary.add(databases)
    const { keys, functions, rejected, scripts, writtenAt } = replay
    const expected = (code: string, message: string) => findings.add({ code, severity: 'error', message })
    checkKeys(keys, expectations, expected)
    checkAge(writtenAt, expectations, now, expected)
    const digest = await checkDigest(replay, report.server, options.ignoreOpaque, expectations, expected)
    return {
      summary,
      functions,
      rejected,
      scripts,
      digest,
      writtenAt,
      findings: findings.list(),
    }
  } finally {
    await replay.close()
  }
}

/** Where servers stop reading, by part; parts behind it are left out. */
function loadedEnds(input: Input, report: VerifyReport): ReadonlyMap<Part, number> {
  const ends = new Map<Part, number>()
  let stopped = false
  input.parts.forEach((part, i) => {
    const { verdict, validUpTo } = report.parts[i]
    if (stopped) ends.set(part, 0)
    else if (verdict === 'torn' || verdict === 'corrupt') {
      ends.set(part, validUpTo)
      stopped = true
    }
  })
  return ends
}

type Missed = (code: string, message: string) => void

function checkKeys(found: number, { keys }: Expectations, missed: Missed): void {
  if (keys === undefined || (found >= keys.least && found <= keys.most)) return
  const most = keys.most === Number.POSITIVE_INFINITY ? ' or more' : ` to ${formatCount(keys.most)}`
  missed('expect.keys', `expected ${formatCount(keys.least)}${most} keys, found ${formatCount(found)}`)
}

function checkAge(
  writtenAt: number | undefined,
  { newerThan }: Expectations,
  now: number,
  missed: Missed,
): void {
  if (newerThan === undefined) return
  if (writtenAt === undefined) {
    missed('expect.newer', 'when it was written is not known: it has no #TS:, and no RDB that says so')
  } else if (writtenAt < now - newerThan) {
    const when = new Date(writtenAt * 1000).toISOString().replace('.000Z', 'Z')
    missed(
      'expect.newer',
      `the last that was written is of ${when}, ${formatDuration(now - writtenAt)} ago; expected at most ${formatDuration(newerThan)}`,
    )
  }
}

async function checkDigest(
  replay: ShardedReplay,
  server: ServerName,
  ignoreOpaque: boolean,
  { digest: expected }: Expectations,
  missed: Missed,
): Promise<string | undefined> {
  if (expected === undefined) return undefined
  const digest = (await digestShards(replay, server, ignoreOpaque)).digest.hex()
  if (digest !== expected)
    missed('expect.digest', `expected the digest ${expected}, found ${digest} (as ${server})`)
  return digest
}
