import { resolveInput } from '../../aof/parts.ts'
import { escapeBytes, escapeName, quoteForShell } from '../../bytes/escape.ts'
import { formatBytes, formatCount, formatTime, plural } from '../../bytes/figures.ts'
import { type Inspection, inspectLog, type PartSummary } from '../../operations/inspect.ts'
import { defineCommand } from '../define.ts'
import { Exit } from '../exit.ts'
import type { Io } from '../io.ts'
import { logOptions, outputOptions, readLogOptions } from '../options.ts'
import { renderFindings } from '../render/findings.ts'
import { jsonBytes, jsonName, toJson } from '../render/json.ts'
import { startProgress } from '../render/progress.ts'
import { renderTable } from '../render/table.ts'

export const inspect = defineCommand({
  command: 'inspect <path>',
  describe: 'What is this: parts, sizes, versions, keys, times; nothing is replayed',
  epilogue:
    'Exit status: 0 all of it could be read, 1 a part is torn or damaged (verify says what that means), 2 the job could not be done.',
  examples: [['aofkit inspect /var/lib/redis', 'the log of a data folder']],
  options: { ...logOptions, ...outputOptions },
  async run(args, io) {
    const options = readLogOptions(args)
    const input = await resolveInput(args.path)
    const bar = startProgress(io, args.progress, input.size)
    const inspection = await inspectLog(input, options, done => bar.update(done)).finally(() => bar.stop())
    io.out(
      args.json === true ? toJson(jsonReport(args.path, inspection)) : textReport(args.path, inspection, io),
    )
    const damaged =
      inspection.parts.some(({ error, wrong }) => error !== undefined || wrong > 0) ||
      inspection.findings.some(({ severity }) => severity === 'error')
    return damaged ? Exit.Damaged : Exit.Ok
  },
})

function jsonReport(
  path: string,
  { layout, parts, bytes, growthPercent, server, findings, writers }: Inspection,
) {
  return {
    path: jsonName(path),
    layout,
    parts: parts.map(({ aux, error, wrong, ...part }) => ({
      ...part,
      file: jsonName(part.file),
      ...(aux === undefined
        ? {}
        : { aux: Object.fromEntries([...aux].map(([name, value]) => [name, jsonBytes(value)])) }),
      ...(wrong === 0 ? {} : { wrong }),
      ...(error === undefined
        ? {}
        : { error: { code: error.code, offset: error.offset, message: error.message } }),
    })),
    bytes,
    ...(growthPercent === undefined ? {} : { growthPercent }),
    server,
    beingWritten: writers.pids.length > 0 ? true : writers.known ? false : null,
    findings: findings.map(finding => ({
      ...finding,
      ...(finding.part === undefined ? {} : { part: jsonName(finding.part) }),
    })),
  }
}

function textReport(path: string, inspection: Inspection, io: Io): string {
  const { style } = io
  const { parts, writers, growthPercent } = inspection
  const title = (text: string) => style.dim(text)
  const table = renderTable(
    [
      { title: title('part') },
      { title: title('type') },
      { title: title('format') },
      { title: title('size'), right: true },
      { title: title('keys'), right: true },
      { title: title('commands'), right: true },
      { title: title('transactions'), right: true },
      { title: title('databases') },
      { title: title('time') },
    ],
    parts.map(part => [
      escapeName(part.file),
      part.type,
      part.format,
      formatBytes(part.size),
      formatCount(part.keys),
      formatCount(part.commands),
      formatCount(part.transactions),
      ranges(part.databases),
      times(part),
    ]),
  )
  const blocks = parts.length > 0 ? [table] : []
  for (const part of parts) {
    if (part.rdbVersion === undefined) continue
    const aux = [...(part.aux ?? [])].map(([name, value]) => `${escapeName(name)}=${auxValue(name, value)}`)
    blocks.push(`${escapeName(part.file)}: ${part.rdbMagic} version ${part.rdbVersion}; ${aux.join(', ')}\n`)
  }
  const broken = parts.filter(({ error }) => error !== undefined)
  const lines: string[] = []
  const growth = growthPercent === undefined ? '' : `, grown by ${growthPercent} % since the last rewrite`
  lines.push(
    `${inspection.layout} log of ${plural(parts.length, 'part')}, ${formatBytes(inspection.bytes)}${growth}; read as ${inspection.server} would.`,
  )
  if (writers.pids.length > 0) lines.push(`It is being written to, by process ${writers.pids.join(', ')}.`)
  for (const { file, error } of broken) {
    lines.push(
      `${style.red('Not read to the end')}: ${escapeName(file)}:${error?.offset}: ${error?.message} (${error?.code}).`,
    )
  }
  for (const { file, wrong } of parts) {
    if (wrong > 0) {
      lines.push(
        `${style.red('Damaged')}: ${escapeName(file)} has ${plural(wrong, 'place')} that servers or check-aof refuse.`,
      )
    }
  }
  if (parts.some(({ error, wrong }) => error !== undefined || wrong > 0))
    lines.push(`Next: ${style.bold(`aofkit verify ${quoteForShell(path)}`)}`)
  blocks.push(`${lines.join('\n')}\n`)
  if (inspection.findings.length > 0) blocks.push(renderFindings(inspection.findings, style))
  return blocks.join('\n')
}

/** Times and sizes for people. */
function auxValue(name: string, value: Uint8Array): string {
  const text = escapeBytes(value, 60)
  if (name === 'ctime' && /^\d{1,12}$/.test(text)) return formatTime(Number(text))
  if (name === 'used-mem' && /^\d{1,15}$/.test(text)) return formatBytes(Number(text)).replace(' ', '')
  return text
}

/** `0-3, 7` */
function ranges(numbers: readonly number[]): string {
  const runs: string[] = []
  for (let i = 0; i < numbers.length; ) {
    let end = i
    while (numbers[end + 1] === numbers[end] + 1) end++
    runs.push(end === i ? `${numbers[i]}` : `${numbers[i]}-${numbers[end]}`)
    i = end + 1
  }
  return runs.length > 0 ? runs.join(', ') : '-'
}

function times({ firstTimestamp, lastTimestamp }: PartSummary): string {
  if (firstTimestamp === undefined || lastTimestamp === undefined) return '-'
  return `${formatTime(firstTimestamp)} to ${formatTime(lastTimestamp)}`
}
