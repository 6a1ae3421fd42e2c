import { describe, expect, it } from 'vitest'
import { type Finding, Findings } from '../../src/aof/finding.ts'
import { BufferSource, type Source } from '../../src/bytes/source.ts'
import { LogServer } from '../../src/operations/log-server.ts'
import { PartCheck, type PartPlace, type PartReport } from '../../src/operations/part-check.ts'
import type { ServerName } from '../../src/servers/servers.ts'
import { encode, PieceSource } from '../helpers/chunks.ts'
import { aux, entry, rdb, select, str } from '../rdb/build.ts'

interface Checked extends PartReport {
  check: PartCheck
  findings: Finding[]
  /** `code@offset` of each finding. */
  found: string[]
}

async function check(
  content: Source | readonly Uint8Array[],
  {
    as,
    allow = [],
    databases = 16,
    ...place
  }: Partial<PartPlace> & { as?: ServerName; allow?: string[]; databases?: number } = {},
): Promise<Checked> {
  const findings = new Findings()
  const part = { file: 'a.aof', type: 'single', last: true, ...place } as const
  const source = 'read' in content ? content : new BufferSource(Buffer.concat(content))
  const checker = new PartCheck(part, findings, new LogServer(as, allow), databases)
  const report = await checker.run(source)
  const list = findings.list()
  expect(list.every(finding => finding.part === 'a.aof')).toBe(true)
  return {
    ...report,
    check: checker,
    findings: list,
    found: list.map(({ code, offset }) => `${code}@${offset}`),
  }
}

const SET = encode('SET', 'k', 'v')
const PING = encode('PING')
const [MULTI, EXEC] = [encode('MULTI'), encode('EXEC')]
const TS = Buffer.from('#TS:1700000000\r\n')
const RDB = rdb(
  'REDIS0011',
  aux('redis-ver', '7.2.0'),
  select(0),
  entry(0, 'a', str('1')),
  entry(0, 'b', str('2')),
)

describe('a sound part', () => {
  it('is counted: commands, without annotations, and keys', async () => {
    const size = RDB.length + TS.length + 2 * SET.length + MULTI.length + EXEC.length
    expect(await check([RDB, TS, SET, MULTI, SET, EXEC])).toMatchObject({
      file: 'a.aof',
      type: 'single',
      format: 'rdb+resp',
      verdict: 'sound',
      size,
      validUpTo: size,
      preambleEnd: RDB.length,
      commands: 4,
      keys: 2,
      findings: [],
    })
  })

  it('may be empty', async () => {
    expect(await check([])).toMatchObject({
      format: 'resp',
      verdict: 'sound',
      size: 0,
      validUpTo: 0,
      commands: 0,
      findings: [],
    })
  })

  it('may hold commands larger than any window, looked at as all others', async () => {
    const large = Buffer.alloc(5_000_000, 'x')
    const report = await check([encode('SET', 'k', large), encode('RPUSH', 'l', 'a', large, 'b'), SET])
    expect(report).toMatchObject({ verdict: 'sound', commands: 3, findings: [] })
    const many = Buffer.from(`*400001\r\n$3\r\nDEL\r\n${'$12\r\nkey:12345678\r\n'.repeat(400_000)}`)
    expect(await check([many, SET])).toMatchObject({ verdict: 'sound', commands: 2, findings: [] })
  })

  it('is the same through a pipe that brings single bytes', async () => {
    const bytes = Buffer.concat([RDB, TS, SET, MULTI, SET, EXEC])
    const source = new PieceSource(Array.from(bytes, byte => Uint8Array.of(byte)))
    expect(await check(source)).toMatchObject({
      verdict: 'sound',
      size: bytes.length,
      commands: 4,
      keys: 2,
      findings: [],
    })
  })
})

describe('commands', () => {
  it('that the server does not know stop it at the first; all are told, with who knows them', async () => {
    const vadd = encode('VADD', 'k', 'VALUES', '1', '1', 'e')
    const report = await check([SET, vadd, SET, encode('NOSUCH'), SET], { as: 'redis-7.0' })
    const second = SET.length + vadd.length + SET.length
    expect(report).toMatchObject({ verdict: 'corrupt', validUpTo: SET.length, commands: 5 })
    expect(report.found).toEqual([`command.unknown@${SET.length}`, `command.unknown@${second}`])
    expect(report.findings[0].message).toMatch(/VADD.*redis-8.0 knows it/)
    expect(report.findings[1].message).not.toMatch(/knows? it/)
  })

  it('are those of the server that wrote the preamble', async () => {
    const vadd = encode('VADD', 'k', 'VALUES', '1', '1', 'e')
    const by = (version: string) => rdb('REDIS0010', aux('redis-ver', version))
    expect(await check([by('8.0.6'), vadd])).toMatchObject({ verdict: 'sound' })
    expect(await check([by('7.0.15'), vadd])).toMatchObject({ verdict: 'corrupt' })
    expect(await check([by('7.0.15'), vadd], { as: 'redis-8.0' })).toMatchObject({ verdict: 'sound' })
  })

  it('of modules are warned of, and those that are allowed are not', async () => {
    expect(await check([encode('JSON.SET', 'k', '$', '1')])).toMatchObject({
      verdict: 'sound',
      found: ['command.module@0'],
    })
    expect(
      await check([encode('MyThing', 'k'), encode('json.set')], { allow: ['mything', 'JSON.SET'] }),
    ).toMatchObject({
      verdict: 'sound',
      findings: [],
    })
  })

  it('with a wrong number of arguments stop it, also when they were right before, and right ones are no longer looked at', async () => {
    const report = await check([SET, SET, encode('SET', 'k'), SET, encode('GET', 'a', 'b')])
    expect(report).toMatchObject({ verdict: 'corrupt', validUpTo: 2 * SET.length })
    expect(report.found).toEqual([
      `command.arity@${2 * SET.length}`,
      `command.arity@${3 * SET.length + encode('SET', 'k').length}`,
    ])
    expect(report.findings[0].message).toMatch(/^SET with 1 arguments? instead of 2 or more/)
  })

  it('are looked at by their subcommand', async () => {
    expect(await check([encode('XGROUP', 'CREATE', 's', 'g', '$', 'MKSTREAM')])).toMatchObject({
      verdict: 'sound',
      findings: [],
    })
    expect(await check([encode('XGROUP', 'NOSUCH', 's', 'g')])).toMatchObject({
      verdict: 'corrupt',
      found: ['command.unknown@0'],
    })
    expect(await check([encode('XGROUP', 'CREATE', 's')])).toMatchObject({
      verdict: 'corrupt',
      found: ['command.arity@0'],
    })
  })

  it('larger than any window are looked at too', async () => {
    const large = Buffer.alloc(5_000_000, 'x')
    const report = await check([
      SET,
      encode('NOSUCH', large),
      encode('GET', 'k', large),
      encode('SELECT', '3', large),
    ])
    expect(report).toMatchObject({ verdict: 'corrupt', validUpTo: SET.length, commands: 4 })
    expect(report.findings.map(({ code }) => code)).toEqual([
      'command.unknown',
      'command.arity',
      'command.arity',
    ])
  })

  it('may have a name that no message should hold', async () => {
    const name = Buffer.concat([Buffer.from('\x1b[31m\n'), Buffer.alloc(200_000, 'N')])
    const [finding] = (await check([encode(name)])).findings
    expect(finding.code).toBe('command.unknown')
    expect(finding.message).toContain('\\x1b[31m\\n')
    expect(finding.message.length).toBeLessThan(400)
  })

  it('with a framing that servers load are damaged when check-aof refuses it, else a warning', async () => {
    expect(await check([SET, Buffer.from('*1\r\n$4\r\nPINGxx'), SET])).toMatchObject({
      verdict: 'damaged',
      validUpTo: 2 * SET.length + 14,
      found: [`resp.bulk.terminator@${SET.length + 12}`],
      findings: [{ severity: 'error' }],
    })
    expect(await check([Buffer.from('*1\r\n$+4\r\nPING\r\n')])).toMatchObject({
      verdict: 'sound',
      found: ['resp.header.form@4'],
      findings: [{ severity: 'warning' }],
    })
  })

  it('that go on being wrong are counted, not listed', async () => {
    const report = await check(Array.from({ length: 3000 }, () => encode('EXEC')))
    expect(report).toMatchObject({ verdict: 'damaged', commands: 3000 })
    expect(report.findings).toHaveLength(21)
    expect(report.findings[20].message).toContain('2,980 more like these')
  })
})

describe('transactions', () => {
  it('that are open at the end do not count: what is valid ends before them', async () => {
    const report = await check([SET, MULTI, SET, SET])
    expect(report).toMatchObject({
      verdict: 'torn',
      validUpTo: SET.length,
      commands: 4,
      found: [`transaction.torn@${SET.length}`],
    })
    expect(report.findings[0].message).toContain(`${MULTI.length + 2 * SET.length} bytes`)
  })

  it('that are cut inside a command end what is valid before their MULTI, and the server must not be started', async () => {
    const report = await check([SET, MULTI, SET, SET.subarray(0, -4)])
    expect(report).toMatchObject({ verdict: 'torn', validUpTo: SET.length })
    expect(report.check.doNotStart).toBe(true)
  })

  it('have whatever stops servers take back to their MULTI', async () => {
    const report = await check([SET, MULTI, encode('NOSUCH'), EXEC, SET])
    expect(report).toMatchObject({ verdict: 'corrupt', validUpTo: SET.length })
  })

  it('do harm at their EXEC, and none without it', async () => {
    const harm = encode('DEBUG', 'SEGFAULT')
    expect(await check([SET, MULTI, harm, SET])).toMatchObject({
      verdict: 'torn',
      found: [`transaction.torn@${SET.length}`],
    })
    const report = await check([SET, MULTI, harm, SET, EXEC, SET, MULTI, SET, EXEC])
    expect(report).toMatchObject({ verdict: 'corrupt', validUpTo: SET.length })
    expect(report.found).toEqual([`command.hazard@${SET.length + MULTI.length}`])
    // And only at their own.
    expect(await check([MULTI, SET, EXEC, MULTI, harm, EXEC])).toMatchObject({
      verdict: 'corrupt',
      validUpTo: MULTI.length + SET.length + EXEC.length,
    })
  })

  it('need a MULTI for each EXEC, and one only', async () => {
    expect(await check([EXEC, MULTI, MULTI, EXEC])).toMatchObject({
      verdict: 'damaged',
      found: ['transaction.exec@0', `transaction.multi@${EXEC.length + MULTI.length}`],
    })
  })
})

describe('the end of a part', () => {
  it('that is torn keeps what is before it, and says what is lost and what was before', async () => {
    const half = encode('SET', 'user:1', 'a long value').subarray(0, 30)
    const report = await check([SET, encode('SET', 'before', 'it'), half])
    const valid = SET.length + encode('SET', 'before', 'it').length
    expect(report).toMatchObject({ verdict: 'torn', validUpTo: valid, size: valid + 30, commands: 2 })
    const [{ message }] = report.findings
    expect(message).toContain('loses 30 bytes')
    expect(message).toContain('a cut `SET user:1` (2 of 3 arguments)')
    expect(message).toContain('Before it: SET before it.')
    expect(report.check).toMatchObject({ behind: undefined, doNotStart: false, losesPreamble: false })
  })

  it('that is torn although other parts follow is worse than corrupt', async () => {
    for (const tail of [SET.subarray(0, -1), Buffer.concat([MULTI, SET])]) {
      const report = await check([SET, tail], { type: 'incr', last: false })
      expect(report).toMatchObject({ verdict: 'corrupt', validUpTo: SET.length })
      expect(report.check.doNotStart).toBe(true)
    }
  })

  it('inside an annotation is torn before it', async () => {
    const report = await check([SET, TS, SET, TS.subarray(0, 7)])
    const valid = 2 * SET.length + TS.length
    expect(report).toMatchObject({
      verdict: 'torn',
      validUpTo: valid,
      found: [`resp.annotation.torn@${valid}`],
    })
    expect(report.check.doNotStart).toBe(true)
  })

  it('right behind a preamble costs servers the preamble', async () => {
    for (const [before, loses] of [
      [[RDB], true],
      [[RDB, SET], false],
      [[SET], false],
    ] as const) {
      const report = await check([...before, SET.subarray(0, -1)])
      const valid = Buffer.concat(before).length
      expect(report).toMatchObject({ verdict: 'torn', validUpTo: valid })
      expect([report.check.losesPreamble, report.check.doNotStart]).toEqual([loses, loses])
    }
  })

  it('in the middle, by a length that reaches beyond the file, has whole commands behind it', async () => {
    const liar = Buffer.from('*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$999999\r\nv\r\n')
    const report = await check([SET, liar, SET, SET, PING])
    expect(report).toMatchObject({
      verdict: 'torn',
      validUpTo: SET.length,
      found: [`resp.torn.bulk@${SET.length + 20}`],
    })
    expect(report.check.behind).toEqual({
      offset: SET.length + liar.length,
      commands: 3,
      bytes: 2 * SET.length + PING.length,
    })
    expect(report.findings[0].message).toMatch(/discard 3 whole commands/)
  })

  it('in the middle, by other bytes, has them too', async () => {
    const report = await check([SET, Buffer.from('oops'), SET, SET, PING])
    expect(report).toMatchObject({
      verdict: 'corrupt',
      validUpTo: SET.length,
      size: 3 * SET.length + 4 + PING.length,
    })
    expect(report.check.behind).toMatchObject({ offset: SET.length + 4, commands: 3 })
    expect(report.findings[0].message).toMatch(/expected "\*", found "oops\*3/i)
  })

  it('is where a command larger than the window breaks off, with the place of the argument that is cut', async () => {
    const large = encode('SET', 'k', Buffer.alloc(6_000_000, 'x'))
    const report = await check([SET, large.subarray(0, 5_000_000)])
    const header = SET.length + large.indexOf('$6000000')
    expect(report).toMatchObject({
      verdict: 'torn',
      validUpTo: SET.length,
      found: [`resp.torn.bulk@${header}`],
    })
    expect(report.findings[0].message).toMatch(/6000000 bytes needs 1000032 more/)
    expect(report.findings[0].message).toContain('(6,000,000 bytes)')
  })

  it('in an RDB leaves nothing that is valid', async () => {
    const report = await check([RDB.subarray(0, -10)], { type: 'base' })
    expect(report).toMatchObject({ format: 'rdb', verdict: 'corrupt', validUpTo: 0, preambleEnd: 0 })
  })
})

describe('databases', () => {
  it('are limited: what a failing SELECT leads to is told', async () => {
    const report = await check([encode('SELECT', '3'), encode('SELECT', '16'), SET])
    expect(report).toMatchObject({
      verdict: 'sound',
      found: [`command.select@${encode('SELECT', '3').length}`],
    })
    expect(report.findings[0].message).toContain('database 3')
    expect(await check([encode('SELECT', '16')], { databases: 17 })).toMatchObject({ findings: [] })
  })
})
