// Assembles each src/…/NAME.wat into NAME.generated.ts beside it: run it after a change to one.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import initWabt from 'wabt'

const root = join(dirname(dirname(fileURLToPath(import.meta.url))), 'src')
const wabt = await initWabt()
for (const file of readdirSync(root, { recursive: true, encoding: 'utf8' })) {
  if (!file.endsWith('.wat')) continue
  const name = basename(file, '.wat')
  const source = wabt.parseWat(file, readFileSync(join(root, file), 'utf8'), {
    bulk_memory: true,
    simd: true,
  })
  source.validate()
  const base64 = Buffer.from(source.toBinary({}).buffer).toString('base64')
  writeFileSync(
    join(root, dirname(file), `${name}.generated.ts`),
    `// Made of ${name}.wat by scripts/make-wasm.js: do not edit.\nexport const ${name.toUpperCase()}_MODULE =\n  '${base64}'\n`,
  )
}
