import { describe, expect, it } from 'vitest'
import { VALUE_TYPES } from '../../src/rdb/format.ts'
import { loadsRdb, loadsType, SERVERS, type ServerName } from '../../src/servers/servers.ts'
import { temporaryFolder } from '../helpers/temp.ts'
import { verifyBytes } from '../helpers/verify.ts'
import { fileOf, VALUE_CASES, type ValueCase } from './value-cases.ts'

/** Servers that know magic, version and all types of the case. */
function serversFor({ header }: ValueCase): ServerName[] {
  const magic = header.startsWith('VALKEY') ? 'VALKEY' : 'REDIS'
  const version = Number(header.slice(magic.length))
  const types = VALUE_TYPES.filter(type => (type[magic] ?? Number.POSITIVE_INFINITY) <= version)
  return SERVERS.filter(
    server => loadsRdb(server, magic, version) && types.every(({ code }) => loadsType(server, magic, code)),
  )
}

/** Verdicts that agree with the servers. */
function verdictsFor({ refused, code }: ValueCase, server: ServerName): string[] {
  const refusing: readonly ServerName[] =
    refused === 'all' ? SERVERS : refused === 'close' ? ['valkey-9.1'] : refused === 'none' ? [] : refused
  if (refusing.includes(server)) return ['corrupt']
  // Whether one that only others know is damaged for those cannot be tried.
  if (refusing.length === 0) return code === undefined ? ['sound'] : ['sound', 'damaged']
  return ['damaged']
}

describe('a value that something is wrong with', () => {
  it.each(VALUE_CASES)('is judged as by each server: $name', async value => {
    const folder = temporaryFolder()
    const servers = serversFor(value)
    expect(servers.length).toBeGreaterThan(0)
    for (const as of servers) {
      const { verdict, findings, keys } = await verifyBytes(folder, fileOf(value), { as })
      const found = findings.map(({ code }) => code)
      expect(verdictsFor(value, as), `${as}: ${verdict} (${found})`).toContain(verdict)
      if (value.code !== undefined) expect(found, as).toContain(value.code)
      if (value.code === undefined && value.refused === 'none') expect(found, as).toEqual([])
      // The check goes on behind it.
      expect(keys).toBeGreaterThan(0)
      for (const { message, code } of findings)
        if (!/^rdb\.(function|lzf|key)/.test(code)) expect(message, code).toMatch(/key "(key|a)"/)
    }
  })
})
