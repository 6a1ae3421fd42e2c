import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { generator } from '../../bench/logs.ts'
import type { VerifyReport } from '../../src/operations/verify.ts'
import { encode } from '../helpers/chunks.ts'
import { forEachParallel } from '../helpers/parallel.ts'
import { foundServers, type Server } from '../helpers/servers.ts'
import { verifyBytes } from '../helpers/verify.ts'

/*
 * The verdict is that of real servers: whether they start on a log with `aof-load-truncated yes` and `no`. With
 * AOFKIT_LONG=1 every truncation and thousands of damages are tried, otherwise a sample.
 */

const LONG = process.env.AOFKIT_LONG !== undefined
const SEED = Number(process.env.AOFKIT_SEED ?? 20240501)

/** A log that the server itself wrote: a base, several databases, timestamps, transactions, binary values. */
async function logOf(server: Server): Promise<{ base: Buffer; incr: Buffer }> {
  const folder = await server.run(
    async client => {
      await client.query('SET', 'before', 'the rewrite')
      await client.query('BGREWRITEAOF')
      for (;;) {
        const info = String(await client.query('INFO', 'persistence'))
        if (/aof_rewrite_in_progress:0/.test(info) && /aof_last_bgrewrite_status:ok/.test(info)) break
      }
      await client.query('SET', 'key', Buffer.from([0, 13, 10, 42, 255]))
      await client.query('SELECT', 3)
      await client.query('MULTI')
      await client.query('RPUSH', 'list', 'a', 'b', '')
      await client.query('INCR', 'counter')
      await client.query('EXEC')
      await client.query('HSET', 'hash', 'field', '*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n')
      await client.query('SELECT', 0)
      await client.query('DEL', 'key')
    },
    { args: ['--aof-timestamp-enabled', 'yes', '--auto-aof-rewrite-percentage', '0'] },
  )
  const files = readdirSync(folder)
  const read = (suffix: RegExp) =>
    readFileSync(
      join(
        folder,
        files
          .filter(name => suffix.test(name))
          .sort()
          .at(-1) as string,
      ),
    )
  return { base: read(/base\.rdb$/), incr: read(/incr\.aof$/) }
}

/** What the server does with the bytes, and what verify says; fails where they differ. */
async function agree(
  server: Server,
  folder: string,
  bytes: Uint8Array,
  as: 'incr' | 'single',
  what: string,
): Promise<void> {
  const report = await verifyBytes(folder, bytes, { as: server.name })
  const codes = report.findings.map(({ code }) => code)
  const yes = await server.load(bytes, { truncated: 'yes', as })
  await yes.stop()
  const no = await server.load(bytes, { truncated: 'no', as })
  await no.stop()
  const context = `${what}: ${report.verdict} (${codes.join(', ')}) at ${report.parts[0].validUpTo}, yes: ${yes.started}, no: ${no.started}\n${yes.log.slice(-600)}`
  // Redis does not look at the number of arguments (TRAPS): it may load what valkey refuses, or crash on it.
  if (codes.includes('command.arity') && server.name.startsWith('redis')) return
  const torn = report.verdict === 'torn'
  expect(yes.started, context).toBe(report.verdict !== 'corrupt')
  // An annotation that is cut off is read as one all the same.
  const readsOn = torn && codes.includes('resp.annotation.torn')
  expect(no.started, context).toBe(report.verdict === 'sound' || report.verdict === 'damaged' || readsOn)
  const { validUpTo } = report.parts[0]
  if (torn && !readsOn && cutsAsWeDo(server, bytes, validUpTo, report)) {
    const size = yes.sizes[`appendonlydir/appendonly.aof${as === 'single' ? '' : '.1.incr.aof'}`]
    // Servers cut behind the last command; the annotations that follow it are whole as well.
    expect(withoutAnnotations(bytes.subarray(size, validUpTo)), `${context}: cut to ${size}`).toBe('')
    expect(size, context).toBeLessThanOrEqual(validUpTo)
  }
  if (torn || report.verdict === 'corrupt') {
    const prefix = await server.load(bytes.subarray(0, validUpTo), { truncated: 'no', as })
    await prefix.stop()
    expect(prefix.started, `${context}: the prefix of ${validUpTo} bytes`).toBe(true)
    const again = await verifyBytes(folder, bytes.subarray(0, validUpTo), { as: server.name })
    expect(['sound', 'damaged'], `${context}: the prefix of ${validUpTo} bytes`).toContain(again.verdict)
  }
}

/** Whether the server cuts a torn log where we say: the older ones do not before a transaction that was cut, or behind an RDB. */
function cutsAsWeDo(server: Server, bytes: Uint8Array, validUpTo: number, report: VerifyReport): boolean {
  // With a MULTI inside a transaction all of them take its place for that of the transaction.
  if (server.name === 'valkey-9.1') return report.findings.every(({ code }) => code !== 'transaction.multi')
  const cut = Buffer.from(bytes.subarray(validUpTo)).toString('latin1')
  return !/^\*1\r\n\$5\r\nmulti\r\n/i.test(cut) && !report.losesPreamble
}

function withoutAnnotations(bytes: Uint8Array): string {
  return Buffer.from(bytes)
    .toString('latin1')
    .replace(/#[^\n]*\n/g, '')
}

/** A folder for each lane of a parallel run. */
function folders(): { take(): string; give(folder: string): void; remove(): void } {
  const home = mkdtempSync(join(tmpdir(), 'aofkit-test-'))
  const free: string[] = []
  return {
    take: () => free.pop() ?? mkdtempSync(join(home, 'lane-')),
    give: folder => free.push(folder),
    remove: () => rmSync(home, { recursive: true, force: true }),
  }
}

async function agreeOnAll(
  server: Server,
  cases: readonly { bytes: Uint8Array; what: string }[],
  as: 'incr' | 'single',
): Promise<void> {
  const lanes = folders()
  try {
    await forEachParallel(cases, async ({ bytes, what }) => {
      const folder = lanes.take()
      await agree(server, folder, bytes, as, what)
      lanes.give(folder)
    })
  } finally {
    lanes.remove()
  }
}

/** All of them, or some spread evenly over them. */
function sample<T>(items: readonly T[], count: number): T[] {
  if (LONG || items.length <= count) return [...items]
  return Array.from({ length: count }, (_, i) => items[Math.floor((i * items.length) / count)])
}

const servers = foundServers()

describe.skipIf(servers.length === 0).each(servers.map(server => ({ server, name: server.name })))(
  'as $name does',
  ({ server }) => {
    it('judges every truncation of a log with annotations, transactions and several databases', async () => {
      const { incr } = await logOf(server)
      const cuts = Array.from({ length: incr.length + 1 }, (_, cut) => ({
        bytes: incr.subarray(0, cut),
        what: `cut at ${cut} of ${incr.length}`,
      }))
      await agreeOnAll(server, sample(cuts, 24), 'incr')
    }, 600_000)

    it('judges every truncation of a single file that begins with an RDB', async () => {
      const { base, incr } = await logOf(server)
      const whole = Buffer.concat([base, incr])
      // Of the RDB itself only some: all of them are refused.
      const places = [
        ...sample(
          Array.from({ length: base.length }, (_, cut) => cut),
          8,
        ),
        ...sample(
          Array.from({ length: incr.length + 1 }, (_, cut) => base.length + cut),
          12,
        ),
      ]
      const cuts = places.map(cut => ({
        bytes: whole.subarray(0, cut),
        what: `cut at ${cut} of ${whole.length}`,
      }))
      await agreeOnAll(server, cuts, 'single')
    }, 600_000)

    it(`judges flipped, deleted, inserted and overwritten bytes (seed ${SEED})`, async () => {
      const { incr } = await logOf(server)
      const random = generator(SEED)
      const cases = Array.from({ length: LONG ? 1500 : 40 }, (_, i) => damage(incr, random, i))
      await agreeOnAll(server, cases, 'incr')
    }, 3_000_000)

    it('judges headers, lengths and counts in every form', async () => {
      const set = encode('SET', 'a', '1').toString('latin1')
      const forms = [
        '',
        '*',
        '*\r\n',
        '*0\r\n',
        '*-1\r\n',
        '*1',
        '* 1\r\n$4\r\nPING\r\n',
        '*+1\r\n$4\r\nPING\r\n',
        '*001\r\n$4\r\nPING\r\n',
        '*1x\r\n$4\r\nPING\r\n',
        '*1\n$4\nPING\r\n',
        '*4294967297\r\n$4\r\nPING\r\n',
        '*4294967296\r\n$4\r\nPING\r\n',
        '*1000000\r\n$4\r\nPING\r\n',
        '*3\r\n$3\r\nSET\r\n$1\r\na\r\n$100\r\nx\r\n',
        '*3\r\n$3\r\nSET\r\n$1\r\na\r\n$600000000\r\nx\r\n',
        '*3\r\n$3\r\nSET\r\n$1\r\na\r\n$-1\r\n',
        '*3\r\n$3\r\nSET\r\n$1\r\na\r\n$9223372036854775807\r\n',
        '*3\r\n$3\r\nSET\r\n$1\r\na\r\n$+1\r\nx\r\n',
        '*3\r\n$3\r\nSET\r\n$1\r\na\r\n$ 1\r\nx\r\n',
        '*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1x\r\nx\r\n',
        '*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nxyz',
        '*3\r\n$3\r\nSET\r\n$1\r\na\r\n$-0\r\n\r\n',
        '*3\r\n$3\r\nSET\r\n$1\r\na\r\n$\r\n\r\n',
        `${set}\r\n`,
        `${set}\n${set}`,
        `${set}SET a b\r\n`,
        `\xef\xbb\xbf${set}`,
        set.replaceAll('\r\n', '\n'),
        set.replaceAll('\n', '\r\n'),
        `${set}\0`,
        `${set}${'\0'.repeat(5000)}`,
        `${set}#`,
        `${set}#TS:170000000`,
        `${set}#TS:1700000000\r\n`,
        `${set}#TS:nonsense\r\n`,
        `#${'x'.repeat(1020)}\r\n${set}`,
        `#${'x'.repeat(1021)}\r\n${set}`,
        `#${'x'.repeat(1022)}\r\n${set}`,
        `#${'x'.repeat(1023)}\r\n${set}`,
        `#${'x'.repeat(3000)}\r\n${set}`,
        `${'#'.repeat(3000)}\r\n${set}`,
        `*3${' '.repeat(1100)}\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n`,
        'RED',
        'REDIS',
        'REDIS0009',
      ]
      const commands = [
        encode('NOSUCHCOMMAND', 'a'),
        encode('XGROUP', 'NOSUCH', 'a'),
        encode('XGROUP'),
        encode('GET', 'a', 'b'),
        encode('SELECT', '99'),
        encode('SELECT', 'abc'),
        encode('EXEC'),
        encode('DISCARD'),
        encode('MULTI'),
        Buffer.concat([encode('MULTI'), encode('MULTI'), encode('SET', 'b', '1'), encode('EXEC')]),
        Buffer.concat([encode('MULTI'), encode('DISCARD'), encode('EXEC')]),
        Buffer.concat([encode('MULTI'), encode('SET', 'b', '1'), encode('SELECT', '1'), encode('EXEC')]),
        Buffer.concat([encode('MULTI'), encode('SET', 'b', '1').subarray(0, -4)]),
        Buffer.concat([encode('MULTI'), encode('MULTI'), encode('SET', 'b', '1')]),
        encode('set', 'lower', 'case'),
        encode('SET', 'k'.repeat(70_000), 'v'.repeat(100_000)),
      ].map(bytes => Buffer.concat([encode('SET', 'a', '1'), bytes]).toString('latin1'))
      const cases = [...forms, ...commands].map(log => ({
        bytes: Buffer.from(log, 'latin1'),
        what: JSON.stringify(log.slice(0, 120)),
      }))
      await agreeOnAll(server, cases, 'incr')
    }, 600_000)
  },
)

/** One of the damages that disks, transfers and programs do, at a random place. */
function damage(log: Buffer, random: () => number, number: number): { bytes: Uint8Array; what: string } {
  const at = Math.floor(random() * log.length)
  const copy = Buffer.from(log)
  switch (number % 6) {
    case 0: {
      const bit = Math.floor(random() * 8)
      copy[at] ^= 1 << bit
      return { bytes: copy, what: `bit ${bit} flipped at ${at}` }
    }
    case 1:
      return { bytes: Buffer.concat([log.subarray(0, at), log.subarray(at + 1)]), what: `byte ${at} deleted` }
    case 2: {
      const byte = Math.floor(random() * 256)
      return {
        bytes: Buffer.concat([log.subarray(0, at), Buffer.of(byte), log.subarray(at)]),
        what: `byte ${byte} inserted at ${at}`,
      }
    }
    case 3: {
      const digit = Math.floor(random() * 10)
      const digits = [...log.keys()].filter(i => log[i] >= 0x30 && log[i] <= 0x39)
      const place = digits[Math.floor(random() * digits.length)]
      copy[place] = 0x30 + digit
      return { bytes: copy, what: `digit ${digit} at ${place}` }
    }
    case 4: {
      const length = 1 + Math.floor(random() * 40)
      copy.fill(0, at, Math.min(copy.length, at + length))
      return { bytes: copy, what: `${length} zeros at ${at}` }
    }
    default: {
      const length = 1 + Math.floor(random() * 30)
      return {
        bytes: Buffer.concat([log.subarray(0, at + length), log.subarray(at)]),
        what: `${length} bytes twice at ${at}`,
      }
    }
  }
}
