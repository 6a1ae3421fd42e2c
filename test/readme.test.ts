import { cpSync, mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { FIXTURES } from '../fixtures/all.ts'
import { call } from './helpers/command.ts'

const BLOCKS = [...readFileSync('README.md', 'utf8').matchAll(/```console\n(.*?)```/gs)].map(
  ([, block]) => block,
)

/**
 * Calls in the README's blocks of `console`, in a copy of the fixtures, and what is shown behind them. Blocks in which
 * others are called as well tell what was done with a server and its log.
 */
const SHOWN = BLOCKS.filter(block => !/^\$ (?!aofkit )/m.test(block)).flatMap(block =>
  block
    .split(/^\$ aofkit /m)
    .slice(1)
    .map(shown => {
      const [line, ...output] = shown.split('\n')
      return { line, output: output.join('\n').trim() }
    }),
)

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'aofkit-test-')))
cpSync(FIXTURES, folder, { recursive: true, verbatimSymlinks: true })
afterAll(() => rmSync(folder, { recursive: true, force: true }))

it.each(SHOWN)('prints what the README shows: aofkit $line', async ({ line, output }) => {
  const before = process.cwd()
  process.chdir(folder)
  try {
    const { out, err } = await call(...line.split(' '))
    expect(`${out}${err}`.trim()).toBe(output)
  } finally {
    process.chdir(before)
  }
})

it('finds them', () => {
  expect(SHOWN.length).toBeGreaterThan(10)
})
