import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { describe, expect, it } from 'vitest'

/** The folders of src/, the lower ones first; those of one layer know nothing of each other. */
const LAYERS: readonly (readonly string[])[] = [
  ['bytes'],
  ['servers'],
  ['values'],
  ['resp', 'rdb'],
  ['aof'],
  ['keyspace'],
  ['operations'],
  ['cli'],
  ['index.ts'],
]

const FILES = readdirSync('src', { recursive: true, encoding: 'utf8' })
  .filter(file => file.endsWith('.ts'))
  .sort()

/** What a file imports, types too: paths below src/, and names of packages. */
function imports(file: string): string[] {
  const text = readFileSync(join('src', file), 'utf8')
  const found = text.matchAll(/(?:^(?:import|export|\}).*\bfrom |^import |\bimport\()'([^']+)'/gm)
  return [...found].map(([, name]) => (name.startsWith('.') ? normalize(join(dirname(file), name)) : name))
}

const folderOf = (path: string) => path.split('/', 1)[0]
const layerOf = (path: string) => LAYERS.findIndex(layer => layer.includes(folderOf(path)))

describe('the layers of src/', () => {
  it('are all there is', () => {
    expect(FILES.filter(file => layerOf(file) < 0)).toEqual([])
    expect(FILES.length).toBeGreaterThan(50)
    expect(FILES.flatMap(imports).length).toBeGreaterThan(200)
  })

  it('import only what is below them', () => {
    const wrong = FILES.flatMap(file =>
      imports(file)
        .filter(name => layerOf(name) >= 0 && folderOf(name) !== folderOf(file))
        .filter(name => layerOf(name) >= layerOf(file))
        .map(name => `${file} imports ${name}`),
    )
    expect(wrong).toEqual([])
  })

  it('import only files that are there, with their endings', () => {
    const wrong = FILES.flatMap(file =>
      imports(file)
        .filter(name => layerOf(name) >= 0 && !FILES.includes(name))
        .map(name => `${file} imports ${name}`),
    )
    expect(wrong).toEqual([])
  })

  it('use packages in cli/ only', () => {
    const wrong = FILES.filter(file => folderOf(file) !== 'cli').flatMap(file =>
      imports(file)
        .filter(name => layerOf(name) < 0 && !name.startsWith('node:'))
        .map(name => `${file} imports ${name}`),
    )
    expect(wrong).toEqual([])
  })

  it('leave it to cli/ to print, to colour and to end the process', () => {
    const loud = /\bconsole\.|\bprocess\.(?:stdout|stderr|exit|exitCode)\b/
    const wrong = FILES.filter(file => folderOf(file) !== 'cli').filter(file =>
      readFileSync(join('src', file), 'utf8').match(loud),
    )
    expect(wrong).toEqual([])
  })
})
