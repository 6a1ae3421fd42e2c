import { describe, expect, it } from 'vitest'
import { type Finding, Findings } from '../../src/aof/finding.ts'

const finding = (code: string, offset: number, more: Partial<Finding> = {}): Finding => ({
  code,
  severity: 'error',
  part: 'a.aof',
  offset,
  message: `${code} at ${offset}`,
  ...more,
})

describe('findings', () => {
  it('are listed in the order in which they were found, and counted by severity', () => {
    const findings = new Findings()
    const all = [
      finding('b', 5),
      finding('a', 3, { severity: 'warning' }),
      finding('b', 9),
      { code: 'log', severity: 'warning', message: 'of the whole log' } as const,
    ]
    for (const item of all) findings.add(item)
    expect(findings.list()).toEqual(all)
    expect([findings.errors, findings.warnings]).toEqual([2, 2])
  })

  it('are none at first', () => {
    const findings = new Findings()
    expect([findings.list(), findings.errors, findings.warnings]).toEqual([[], 0, 0])
  })

  it('of one kind are listed twenty times; of the others the number and the last are told', () => {
    const findings = new Findings()
    for (let i = 0; i < 20; i++) findings.add(finding('a', i))
    expect(findings.list()).toHaveLength(20)
    findings.add(finding('a', 20))
    expect(findings.list()).toHaveLength(21)
    expect(findings.list().at(-1)?.message).toBe('1 more like these; the last one: a at 20')
    for (let i = 21; i < 5000; i++) findings.add(finding('a', i))
    findings.add(finding('b', 7))
    const list = findings.list()
    expect(list).toHaveLength(22)
    expect(list.slice(0, 20).map(({ offset }) => offset)).toEqual(Array.from({ length: 20 }, (_, i) => i))
    expect(list[20]).toEqual(finding('b', 7))
    expect(list[21]).toEqual(
      finding('a', 4999, { message: '4,980 more like these; the last one: a at 4999' }),
    )
    expect(findings.errors).toBe(5001)
  })

  it('are counted by part: one part does not hide what is wrong with another', () => {
    const findings = new Findings()
    for (const part of ['a', 'b', undefined])
      for (let i = 0; i < 25; i++)
        findings.add({ code: 'x', severity: 'warning', message: `${i}`, ...(part && { part }) })
    const list = findings.list()
    expect(list).toHaveLength(3 * 21)
    expect(list.slice(-3).map(({ part }) => part)).toEqual(['a', 'b', undefined])
    expect(findings.warnings).toBe(75)
  })

  it('take no room when there are millions of a kind', () => {
    const findings = new Findings()
    for (let i = 0; i < 200_000; i++) findings.add(finding('a', i))
    expect(findings.list()).toHaveLength(21)
    expect(findings.errors).toBe(200_000)
  })

  it('stay as they are when the list is asked for again', () => {
    const findings = new Findings()
    for (let i = 0; i < 30; i++) findings.add(finding('a', i))
    expect(findings.list()).toEqual(findings.list())
  })
})
