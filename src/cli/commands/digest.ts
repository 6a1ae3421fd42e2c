import { resolveInput } from '../../aof/parts.ts'
import { plural } from '../../bytes/figures.ts'
import { type DigestReport, digestLog } from '../../operations/digest.ts'
import { defineCommand } from '../define.ts'
import { Exit } from '../exit.ts'
import { flag, logOptions, outputOptions, readReplayOptions, replayOptions } from '../options.ts'
import { renderFindings } from '../render/findings.ts'
import { jsonName, toJson } from '../render/json.ts'
import { startProgress } from '../render/progress.ts'

export const digest = defineCommand({
  command: 'digest <path>',
  describe: 'What DEBUG DIGEST would print on a server that loaded it',
  epilogue: `Nothing expires. Digests of different servers differ for the same keys (scores, fields that expire): compare with what the server of --as prints. They leave out consumer groups, functions, and when keys expire.
Exit status: 0 done, 1 something is damaged (the digest is that of what can be read), 2 the job could not be done.`,
  examples: [
    ['aofkit digest dump.rdb', 'compare with: redis-cli DEBUG DIGEST'],
    ['aofkit digest --as valkey-9.1 dump.rdb', 'before and after an upgrade'],
  ],
  options: {
    'ignore-opaque': flag('Leave out keys of modules, which have no digest here'),
    'load-truncated': flag('A torn end is fine, as for a server with aof-load-truncated yes (exit 0)'),
    ...logOptions,
    ...replayOptions,
    ...outputOptions,
  },
  async run(args, io) {
    const options = { ...readReplayOptions(args), ignoreOpaque: args['ignore-opaque'] === true }
    const input = await resolveInput(args.path)
    const bar = startProgress(io, args.progress, input.size)
    const report = await digestLog(input, options, done => bar.update(done)).finally(() => bar.stop())
    const accepted = report.torn && args['load-truncated'] === true
    const damaged = !accepted && report.findings.some(({ severity }) => severity === 'error')
    if (args.json === true) io.out(toJson(jsonReport(report)))
    else {
      io.out(`${report.digest}\n`)
      if (report.findings.length > 0) io.err(renderFindings(report.findings, io.style))
      if (report.opaque > 0) io.err(`Left out: ${plural(report.opaque, 'key')} of modules.\n`)
      if (report.scripts > 0) io.err(`Left out: ${plural(report.scripts, 'script')}.\n`)
      if (damaged) io.err('Damaged: the digest is that of what can be read.\n')
    }
    return damaged ? Exit.Damaged : Exit.Ok
  },
})

function jsonReport({ digest, server, databases, opaque, findings }: DigestReport): unknown {
  return {
    digest,
    databases: Object.fromEntries([...databases].sort(([a], [b]) => a - b)),
    server,
    ...(opaque > 0 ? { opaque } : {}),
    findings: findings.map(finding => ({
      ...finding,
      ...(finding.part === undefined ? {} : { part: jsonName(finding.part) }),
    })),
  }
}
