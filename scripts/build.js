// Bundles src/ into dist/: the command line in chunks, so that a subcommand loads only what it needs, and the API.
import { existsSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

let esbuild
try {
  esbuild = await import('esbuild')
} catch {
  // `npm ci --omit=dev` in a package that brings its dist: nothing to build with, and nothing to build.
  if (existsSync(join(root, 'dist', 'cli.js'))) process.exit(0)
  console.error('aofkit: esbuild is missing; run `npm ci` without --omit=dev')
  process.exit(1)
}

rmSync(join(root, 'dist'), { recursive: true, force: true })
await esbuild.build({
  absWorkingDir: root,
  entryPoints: { cli: 'src/cli/main.ts', index: 'src/index.ts' },
  outdir: 'dist',
  bundle: true,
  splitting: true,
  platform: 'node',
  format: 'esm',
  target: 'node20.19',
  packages: 'external',
  chunkNames: 'chunks/[name]-[hash]',
  logLevel: 'warning',
})
