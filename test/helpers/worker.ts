/** The second thread of a replay, bundled from `src` as the package has it from its own. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { buildSync } from 'esbuild'
import { afterAll } from 'vitest'

/** Bundles a file for a thread; gone when the tests of the file are over. */
export function bundleWorker(entry = 'src/operations/shard-worker.ts'): URL {
  const folder = mkdtempSync(join(tmpdir(), 'aofkit-worker-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  const outfile = join(folder, 'worker.mjs')
  buildSync({
    entryPoints: [entry],
    outfile,
    bundle: true,
    minify: true,
    platform: 'node',
    format: 'esm',
    target: 'node20.19',
  })
  return pathToFileURL(outfile)
}
