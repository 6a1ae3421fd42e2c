// Runs a TypeScript file of this repository: `node scripts/run.js bench/run.ts [ARG ...]`.
import { mkdirSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build } from 'esbuild'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const entry = resolve(process.argv[2])
const folder = join(root, 'node_modules', '.cache', 'aofkit')
mkdirSync(folder, { recursive: true })
const outfile = join(folder, `${basename(entry, '.ts')}-${process.pid}.mjs`)
await build({
  entryPoints: [entry],
  outfile,
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20.19',
  packages: 'external',
  sourcemap: 'inline',
  logLevel: 'warning',
})
process.argv.splice(1, 2, entry)
process.on('exit', async () => (await import('node:fs')).rmSync(outfile, { force: true }))
await import(pathToFileURL(outfile).href)
