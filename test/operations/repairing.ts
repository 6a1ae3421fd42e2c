/**
 * What holds of every repair, for tests: the figures add up, every byte is somewhere, the source is as it was.
 */
import { createHash } from 'node:crypto'
import { lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { expect } from 'vitest'
import type { Files } from './server-logs.ts'

export interface RepairJson {
  readonly verdict: string
  readonly kept: number
  readonly cut: number
  readonly spans: readonly {
    readonly part: string
    readonly offset: number
    readonly end: number
    readonly file: string
    readonly fileOffset: number
    readonly reason: string
    readonly replacedBy?: number
  }[]
  readonly output: string | null
  readonly backups?: readonly string[]
}

/** A log as it lies on the disk: one file, or the files of its folder. */
export type Log = Buffer | Files

/** Writes a log as `folder/log`; that path. */
export function place(folder: string, log: Log): string {
  const path = join(folder, 'log')
  if (log instanceof Uint8Array) writeFileSync(path, log)
  else {
    mkdirSync(path)
    for (const [name, bytes] of Object.entries(log)) writeFileSync(join(path, name), bytes)
  }
  return path
}

/** Everything below a path that could be told apart: names, kinds, modes, owners, content, and the times of files. */
export function stateOf(path: string): string {
  const hash = createHash('sha256')
  const visit = (at: string): void => {
    const stats = lstatSync(at)
    const { mode, uid, gid, ino } = stats
    // A folder in which a temporary file was is as it was.
    const times = stats.isDirectory() ? [] : [stats.mtimeMs, stats.nlink]
    hash.update(JSON.stringify([at.slice(path.length), mode, uid, gid, ino, ...times]))
    if (stats.isDirectory()) for (const name of readdirSync(at).sort()) visit(join(at, name))
    else if (stats.isSymbolicLink()) hash.update(readlinkSync(at))
    else if (stats.isFile()) hash.update(readFileSync(at))
  }
  visit(path)
  return hash.digest('hex')
}

/** The names of the parts that a manifest lists, in the order in which they are loaded. */
export function partsOf(manifest: Buffer): string[] {
  const lines = manifest.toString('latin1').split('\n')
  const named = (type: string) =>
    lines.flatMap(line => {
      const match = /^file (\S+) seq \d+ type (\w)/.exec(line)
      return match?.[2] === type ? [match[1]] : []
    })
  return [...named('b'), ...named('i')]
}

export const MANIFEST = 'appendonly.aof.manifest'

/** The parts of a log, by name, in their order. */
export function contentOf(log: Log, path: string): Map<string, Buffer> {
  if (log instanceof Uint8Array) return new Map([[basename(path), log]])
  return new Map(partsOf(log[MANIFEST]).map(name => [name, log[name]]))
}

/** The parts of a result on the disk, in their order. */
function resultParts(output: string): Buffer[] {
  if (lstatSync(output).isFile()) return [readFileSync(output)]
  return partsOf(readFileSync(join(output, MANIFEST))).map(name => readFileSync(join(output, name)))
}

/**
 * Puts the source together again from the result and what was cut, by the JSON report alone; fails where a byte is
 * missing, changed, or there twice.
 */
export function expectWhole(source: Map<string, Buffer>, report: RepairJson, output: string): void {
  const total = [...source.values()].reduce((sum, { length }) => sum + length, 0)
  expect(report.kept + report.cut).toBe(total)
  const folder = lstatSync(output).isFile() ? dirname(output) : output
  const results = resultParts(output)
  const used = new Map<string, number>()
  for (const [name, bytes] of source) {
    const spans = report.spans.filter(({ part }) => part === name)
    const dropped = spans.length === 1 && spans[0].reason === 'later-part'
    const result = dropped ? Buffer.alloc(0) : results.shift()
    if (result === undefined) throw new Error(`${name} is neither in the result nor dropped`)
    const pieces: Buffer[] = []
    let at = 0
    let from = 0
    for (const { offset, end, file, fileOffset, replacedBy = 0 } of spans) {
      pieces.push(result.subarray(from, from + offset - at))
      from += offset - at + replacedBy
      expect(fileOffset, `${file} holds its spans one after the other`).toBe(used.get(file) ?? 0)
      used.set(file, fileOffset + end - offset)
      pieces.push(readFileSync(join(folder, file)).subarray(fileOffset, fileOffset + end - offset))
      at = end
    }
    pieces.push(result.subarray(from))
    expect(Buffer.concat(pieces).equals(bytes), `${name}, put together again`).toBe(true)
  }
  expect(results, 'parts that are not in the source').toEqual([])
  for (const [file, size] of used) expect(readFileSync(join(folder, file)).length, file).toBe(size)
}

/** Names of temporary files, anywhere below a folder. */
export function temporariesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(name => name.includes('.aofkit-'))
}
