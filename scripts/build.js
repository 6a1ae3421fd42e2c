// Bundles src/ into dist/: the command line in chunks, so that a subcommand loads only what it needs, and the API with its
// types. What is bundled comes with its licenses.
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
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

/**
 * yargs lays out its help with string-width, which makes an Intl.Segmenter as it is loaded: 14 ms, a quarter of what
 * Node itself takes to start, for something that only text outside ASCII needs. So it is made when it is first used.
 */
const lazySegmenter = {
  name: 'lazy-segmenter',
  setup(build) {
    build.onLoad({ filter: /string-width[\\/]index\.js$/ }, ({ path }) => ({
      contents: readFileSync(path, 'utf8').replace(
        'const segmenter = new Intl.Segmenter();',
        'let made; const segmenter = { segment: text => (made ??= new Intl.Segmenter()).segment(text) };',
      ),
    }))
  },
}

rmSync(join(root, 'dist'), { recursive: true, force: true })
const { metafile } = await esbuild.build({
  absWorkingDir: root,
  entryPoints: {
    cli: 'src/cli/main.ts',
    index: 'src/index.ts',
    'shard-worker': 'src/operations/shard-worker.ts',
  },
  outdir: 'dist',
  bundle: true,
  splitting: true,
  minify: true,
  platform: 'node',
  format: 'esm',
  target: 'node20.19',
  // Node 20 has them; as literals they are compiled when they are used, as calls of RegExp at once: 8 ms.
  supported: { 'regexp-set-notation': true, 'regexp-unicode-property-escapes': true },
  plugins: [lazySegmenter],
  // Some of what is bundled is CommonJS and asks for Node's modules in its way.
  banner: {
    js: "import{createRequire as aofkitCreateRequire}from'node:module';const require=aofkitCreateRequire(import.meta.url);",
  },
  chunkNames: 'chunks/[name]-[hash]',
  legalComments: 'none',
  metafile: true,
  logLevel: 'warning',
})

writeFileSync(join(root, 'dist', 'THIRD-PARTY-LICENSES.txt'), licensesOf(Object.keys(metafile.inputs)))
execFileSync(
  process.execPath,
  [join(root, 'node_modules/typescript/bin/tsc'), '-p', 'scripts/tsconfig.types.json'],
  {
    cwd: root,
    stdio: 'inherit',
  },
)

/** The licenses of the packages that these files are from. */
function licensesOf(files) {
  const folders = new Set(files.flatMap(file => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0] ?? []))
  return [...folders]
    .sort()
    .map(folder => {
      const { name, version } = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'))
      const file = readdirSync(join(root, folder)).find(entry => /^licen[cs]e/i.test(entry))
      if (file === undefined) throw new Error(`${name} has no license file`)
      return `${name} ${version}\n\n${readFileSync(join(root, folder, file), 'utf8').trim()}\n`
    })
    .join(`\n${'-'.repeat(80)}\n\n`)
}
