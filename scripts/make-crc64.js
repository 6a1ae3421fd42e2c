// Assembles src/bytes/crc64.wat into src/bytes/crc64.generated.ts: run it after a change to the first.
import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import initWabt from 'wabt'

const folder = join(dirname(dirname(fileURLToPath(import.meta.url))), 'src', 'bytes')
const wabt = await initWabt()
const source = wabt.parseWat('crc64.wat', readFileSync(join(folder, 'crc64.wat'), 'utf8'), {
  bulk_memory: true,
  simd: true,
})
source.validate()
const { buffer } = source.toBinary({})
const base64 = Buffer.from(buffer).toString('base64')
writeFileSync(
  join(folder, 'crc64.generated.ts'),
  `// Made of crc64.wat by scripts/make-crc64.js: do not edit.\nexport const CRC64_MODULE =\n  '${base64}'\n`,
)
