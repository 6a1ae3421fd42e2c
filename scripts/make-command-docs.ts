/**
 * Writes docs/commands.md: what replaying does with each command, from the tables that it goes by.
 *
 *     node scripts/run.js scripts/make-command-docs.ts
 */
import { writeFileSync } from 'node:fs'
import { commandDocs } from './command-docs.ts'

writeFileSync('docs/commands.md', commandDocs())
