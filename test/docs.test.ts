import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { commandDocs } from '../scripts/command-docs.ts'

it('has a line for each command in docs/commands.md, as it is replayed (scripts/make-command-docs.ts)', () => {
  expect(readFileSync('docs/commands.md', 'utf8')).toBe(commandDocs())
})
