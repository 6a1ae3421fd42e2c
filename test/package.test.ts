import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

interface Manifest {
  readonly engines: { readonly node: string }
  readonly bin: Readonly<Record<string, string>>
  readonly exports: Readonly<Record<string, string | Readonly<Record<string, string>>>>
  readonly dependencies?: Readonly<Record<string, string>>
  readonly devDependencies?: Readonly<Record<string, string>>
}

const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as Manifest

/** Names of the packages that src/ imports. */
function packagesInSource(): string[] {
  const names = new Set<string>()
  for (const file of readdirSync('src', { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith('.ts')) continue
    const text = readFileSync(join('src', file), 'utf8')
    for (const [, name] of text.matchAll(/(?:^(?:import|\}).*\bfrom |^import |\bimport\()'([^'.][^']*)'/gm)) {
      if (!name.startsWith('node:')) names.add(name)
    }
  }
  return [...names].sort()
}

const used = packagesInSource()

describe('the package', () => {
  // Its scripts would build dist/ anew while other tests use it.
  const [packed] = JSON.parse(
    execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }),
  ) as { files: { path: string }[]; unpackedSize: number }[]
  const files = packed.files.map(({ path }) => path)

  it('holds what users need, and nothing else', () => {
    const other = files.filter(path => !/^(?:bin|dist)\//.test(path)).sort()
    expect(other).toEqual(['CHANGELOG.md', 'LICENSE', 'README.md', 'package.json'])
    expect(files.filter(path => /(?:^|\/)(?:src|test|fixtures|bench)\//.test(path))).toEqual([])
    expect(packed.unpackedSize).toBeLessThan(1 << 20)
  })

  it('holds every file that its manifest names', () => {
    const named = [
      ...Object.values(manifest.bin),
      ...Object.values(manifest.exports).flatMap(target =>
        typeof target === 'string' ? [target] : Object.values(target),
      ),
    ]
    expect(named.map(path => path.replace('./', '')).filter(path => !files.includes(path))).toEqual([])
  })

  it('holds what its program runs in another thread', () => {
    expect(files).toContain('dist/shard-worker.js')
  })

  it('holds every file that its program loads', () => {
    for (const path of files.filter(path => /\.js$/.test(path))) {
      const text = readFileSync(path, 'utf8')
      for (const [, name] of text.matchAll(/(?:\bfrom|\bimport\(?)"(\.[^"]+\.js)"/g)) {
        expect(files, `${path} loads ${name}`).toContain(join(path, '..', name))
      }
    }
  })

  it('needs Node 20.19 or later', () => {
    expect(manifest.engines.node).toBe('>=20.19')
  })

  it('declares every package that its source uses', () => {
    const declared = { ...manifest.devDependencies, ...manifest.dependencies }
    expect(used.filter(name => !(name in declared))).toEqual([])
    expect(used.length).toBeGreaterThan(2)
  })

  it('needs nothing at run time that its source does not use', () => {
    expect(Object.keys(manifest.dependencies ?? {}).filter(name => !used.includes(name))).toEqual([])
  })
})

describe('the README', () => {
  it('says of every dependency why it is there', () => {
    const readme = readFileSync('README.md', 'utf8')
    const section = /^## Dependencies\n([\s\S]*?)(?=^## |(?![\s\S]))/m.exec(readme)?.[1] ?? ''
    const mentioned = new Set(section.match(/[@\w/-]+/g))
    const typesOf = (name: string) => name.startsWith('@types/')
    const all = [...used, ...Object.keys({ ...manifest.dependencies, ...manifest.devDependencies })]
    expect(all.filter(name => !typesOf(name) && !mentioned.has(name))).toEqual([])
  })
})
