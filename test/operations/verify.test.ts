import { describe, expect, it } from 'vitest'
import { temporaryFolder } from '../helpers/temp.ts'
import { verifyBytes } from '../helpers/verify.ts'
import { FRAMING_CASES } from '../servers/framing-cases.ts'

// framing.test.ts holds the same cases against real servers.
describe('framing, as servers read it', () => {
  it.each(FRAMING_CASES.map(framing => ({ ...framing })))(
    '$outcome: $name',
    async ({ bytes, outcome, validUpTo }) => {
      const report = await verifyBytes(temporaryFolder(), bytes, { as: 'valkey-9.1' })
      const codes = report.findings.map(({ code }) => code)
      const said = `${report.verdict}: ${codes.join(', ')}`
      if (outcome === 'loads') {
        // An annotation that is cut off loads, and is torn all the same: the server appends to it.
        if (codes.includes('resp.annotation.torn')) expect(report.verdict).toBe('torn')
        else expect(['sound', 'damaged'], said).toContain(report.verdict)
      } else if (outcome === 'torn') {
        expect(report.verdict, said).toBe('torn')
        if (validUpTo !== undefined) expect(report.parts[0].validUpTo).toBe(validUpTo)
      } else {
        expect(report.verdict, said).toBe('corrupt')
      }
    },
  )
})
