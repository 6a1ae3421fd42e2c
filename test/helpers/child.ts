import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildSync } from 'esbuild'

const root = fileURLToPath(new URL('../..', import.meta.url))

/**
 * Bundles a script that imports from this project (`import … from './src/bytes/open.ts'`) into `folder`, and returns
 * its path: for tests that need a process of their own, because of its descriptors, its limits or its death.
 */
export function bundleScript(folder: string, script: string, name = 'child.mjs'): string {
  const outfile = join(folder, name)
  buildSync({
    stdin: { contents: script, resolveDir: root, loader: 'ts' },
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    outfile,
    logLevel: 'error',
  })
  return outfile
}
