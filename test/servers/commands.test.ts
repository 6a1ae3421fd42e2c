import { describe, expect, it } from 'vitest'
import { CommandTable, Flag, idOf, ids, isModuleName, knownTo } from '../../src/servers/commands.ts'
import { SERVERS } from '../../src/servers/servers.ts'
import { foundServers, type Reply } from '../helpers/servers.ts'

/** A name in the middle of other bytes, as it stands in a window. */
function within(name: string, before = 3, after = 20): [Uint8Array, number, number] {
  const bytes = new Uint8Array(before + name.length + after).fill(0x53)
  bytes.set(Buffer.from(name, 'latin1'), before)
  return [bytes, before, name.length]
}

const redis8 = new CommandTable('redis-8.0')

describe('lookup', () => {
  it('finds a command in any case, with anything behind it and with nothing behind it', () => {
    for (const name of [
      'get',
      'set',
      'del',
      'hset',
      'pexpireat',
      'zremrangebyscore',
      'restore-asking',
      'bitfield_ro',
    ]) {
      for (const form of [name, name.toUpperCase(), name[0].toUpperCase() + name.slice(1)]) {
        for (const after of [0, 1, 4, 7, 8, 20])
          expect(redis8.lookup(...within(form, 3, after)), `${form} and ${after} bytes`).toBe(idOf(name))
      }
    }
  })

  it('finds nothing for a byte that differs from a letter or a mark only in the case bit', () => {
    // "-" is 0x2d and CR 0x0d; "_" is 0x5f and DEL 0x7f; "{" is no capital "[".
    for (const name of [
      'restore\rasking',
      'bitfield\x7fro',
      'set\0',
      '\0set',
      'se\x54\x20',
      's\x05t',
      'sET\xff',
    ])
      expect(redis8.lookup(...within(name)), JSON.stringify(name)).toBe(-1)
  })

  it('finds nothing for any single changed, missing or added byte of a name', () => {
    const known = new Set(Array.from({ length: redis8.flags.length }, (_, id) => redis8.name(id)))
    for (const name of ['set', 'expire', 'getrange', 'zrangebyscore']) {
      for (let i = 0; i < name.length; i++) {
        for (let byte = 0; byte < 256; byte++) {
          const changed = name.slice(0, i) + String.fromCharCode(byte) + name.slice(i + 1)
          if (known.has(changed.replace(/[A-Z]/g, letter => letter.toLowerCase()))) continue
          expect(redis8.lookup(...within(changed)), JSON.stringify(changed)).toBe(-1)
        }
      }
    }
    for (const name of [
      '',
      's',
      'se',
      'sett',
      'x'.repeat(31),
      'x'.repeat(32),
      'SET'.repeat(11),
      'a'.repeat(70_000),
    ])
      expect(redis8.lookup(...within(name)), name).toBe(-1)
  })

  it('finds nothing for a name that begins with a known one', () => {
    const bytes = Buffer.from('SET..       ')
    for (let suffix = 0; suffix < 1 << 16; suffix++) {
      bytes.writeUInt16LE(suffix, 3)
      const found = redis8.lookup(bytes, 0, 5)
      if (found >= 0) expect(redis8.name(found)).toBe(bytes.toString('latin1', 0, 5).toLowerCase())
    }
  })

  it('does not take a subcommand, or its full name, for a command', () => {
    expect(redis8.lookup(...within('create'))).toBe(-1)
    expect(redis8.lookup(...within('xgroup|create'))).toBe(-1)
  })

  it('finds subcommands in their container only', () => {
    const xgroup = redis8.lookup(...within('XGROUP'))
    expect(redis8.isContainer(xgroup)).toBe(true)
    expect(redis8.lookupSub(xgroup, ...within('CREATE'))).toBe(idOf('xgroup|create'))
    expect(redis8.lookupSub(xgroup, ...within('stream'))).toBe(-1)
    expect(redis8.isContainer(ids.select)).toBe(false)
    expect(redis8.lookupSub(ids.select, ...within('create'))).toBe(-1)
  })

  it('knows what its server knows: MSETEX on valkey 9.1, vector sets on redis 8.0', () => {
    const having = (name: string) =>
      SERVERS.filter(server => new CommandTable(server).lookup(...within(name)) >= 0)
    expect(having('MSETEX')).toEqual(['valkey-9.1'])
    expect(having('VADD')).toEqual(['redis-8.0'])
    expect(having('HEXPIRE')).toEqual(['redis-8.0', 'valkey-9.1'])
    expect(knownTo(...within('msetex'))).toEqual(['valkey-9.1'])
    expect(knownTo(...within('show'), idOf('script'))).toEqual(['valkey-8.1', 'valkey-9.1'])
    expect(knownTo(...within('script|show'))).toEqual([])
    expect(knownTo(...within('nosuch'))).toEqual([])
    expect(knownTo(...within('A'.repeat(100_000)))).toEqual([])
  })
})

describe('allowed names', () => {
  const table = new CommandTable('redis-8.0', [
    'MSETEX',
    'My.Command',
    'x'.repeat(300),
    'XGROUP|FROB',
    'SET',
    'PING|PONG',
  ])

  it('are known in any case and with any number of arguments', () => {
    for (const name of ['msetex', 'MY.command', 'X'.repeat(300)]) {
      const id = table.lookup(...within(name))
      expect(table.flags[id] & Flag.Allowed).toBe(Flag.Allowed)
      expect(table.arityOk(id, 1) && table.arityOk(id, 1_000_000)).toBe(true)
    }
    const frob = table.lookupSub(idOf('xgroup'), ...within('Frob'))
    expect(table.name(frob)).toBe('xgroup|frob')
  })

  it('do not loosen a command that the server knows', () => {
    const id = table.lookup(...within('SET'))
    expect(table.flags[id] & Flag.Allowed).toBe(0)
    expect(table.arityOk(id, 2)).toBe(false)
  })

  it('keep the id of a command that another server knows', () => {
    expect(table.lookup(...within('msetex'))).toBe(idOf('msetex'))
  })
})

it('takes a name with a dot for a module command, wherever the dot of another argument is', () => {
  expect(isModuleName(...within('JSON.SET'))).toBe(true)
  const [bytes] = within('JSON.SET')
  expect(isModuleName(bytes, 3, 4)).toBe(false)
})

it('judges the number of arguments by the server', () => {
  const zrank = idOf('zrank')
  expect(new CommandTable('redis-7.0').arityOk(zrank, 4)).toBe(false)
  expect(redis8.arityOk(zrank, 4)).toBe(true)
  expect(redis8.arityOk(zrank, 2)).toBe(false)
  expect(redis8.arity(idOf('get'))).toEqual({ min: 2, max: 2 })
  expect(redis8.arity(idOf('del'))).toEqual({ min: 2, max: Number.POSITIVE_INFINITY })
})

/** The keys of a command as words; words are separated by single spaces. */
function keysOf(text: string, table = redis8): string[] {
  const words = text.split(' ')
  const bytes = Buffer.from(text)
  const start: number[] = []
  let at = 0
  for (const word of words) {
    start.push(at)
    at += word.length + 1
  }
  const length = words.map(word => word.length)
  let id = table.lookup(bytes, start[0], length[0])
  if (table.isContainer(id)) id = table.lookupSub(id, bytes, start[1], length[1])
  // Behind two arguments of another record, as in a batch.
  const args = { bytes, start: [0, 0, ...start], length: [9, 9, ...length] }
  return table.keyPositions(id, args, 2, words.length).map(i => words[i])
}

const KEYS = [
  'SET a 1|a',
  'MSET a 1 b 2|a b',
  'DEL a b c|a b c',
  'BLPOP a b 0|a b',
  'RENAME a b|a b',
  'LCS a b|a b',
  'PFMERGE a b c|a b c',
  'ZUNIONSTORE d 2 a b WEIGHTS 1 2|d a b',
  'ZDIFF 1 a WITHSCORES|a',
  'EVAL x 0 a|',
  'EVAL x 2 a b c|a b',
  'XREADGROUP GROUP g c STREAMS a b 0 0|a b',
  'XREAD COUNT 5 STREAMS a >|a',
  'XGROUP CREATE s g 0|s',
  'SORT a BY STORE STORE b|a b',
  'SORT a LIMIT 0 STORE store b store c|a c',
  'SORT a STORE b STORE c|a c',
  'SORT a STORE b LIMIT STORE c|a b',
  'GEORADIUS a 0 0 1 m STORE b|a b',
  'PING|',
  'SELECT 1|',
  'PUBLISH channel message|',
] as const

describe('keyPositions', () => {
  it.each(KEYS.map(line => line.split('|')))('of %s: %s', (command, keys) => {
    expect(keysOf(command).join(' ')).toBe(keys)
  })

  it.each([
    'ZUNION 3 a b',
    'ZUNION -1 a b',
    'ZUNION 0 a b',
    'ZUNION 99999999999999999999 a b',
    'ZUNION 1e1 a b',
    'ZUNION 2x a b',
    'EVAL x 999999999 a',
    'XREAD COUNT 1 a b',
  ])('gives none for %s', command => {
    expect(keysOf(command)).toEqual([])
  })

  it('gives none from arguments whose bytes are not there', () => {
    const args = { bytes: new Uint8Array(4), start: [-1, 1e12, 2], length: [3, 1, 1] }
    expect(redis8.keyPositions(idOf('zunion'), args, 0, 3)).toEqual([])
  })
})

describe.each(foundServers())('%s', server => {
  it('knows exactly the commands and subcommands of the table, with that arity', async () => {
    const running = await server.load(new Uint8Array(0))
    const answer = (await running.query('COMMAND')) as Reply[][]
    await running.stop()
    const table = new CommandTable(server.name)
    const asked = answer.flatMap(command => [command, ...(command[9] as Reply[][])])
    const theirs = asked.map(([name, arity]) => `${String(name).toLowerCase()} ${arity}`).sort()
    const ours: string[] = []
    for (let id = 0; id < table.flags.length; id++) {
      const [name, sub] = table.name(id).split('|')
      const container = table.lookup(...within(name))
      const found = sub === undefined ? container : table.lookupSub(container, ...within(sub))
      if (found < 0) continue
      expect(found).toBe(id)
      const { min, max } = table.arity(id)
      ours.push(`${table.name(id)} ${max === min ? min : -min}`)
    }
    expect(ours.sort()).toEqual(theirs)
  })

  it('finds the keys that keyPositions finds', async () => {
    const running = await server.load(new Uint8Array(0))
    const differing: string[] = []
    for (const line of KEYS) {
      const words = line.split('|')[0].split(' ')
      const reply = await running.query('COMMAND', 'GETKEYS', ...words)
      const theirs = Array.isArray(reply) ? reply.join(' ') : ''
      const ours = keysOf(words.join(' '), new CommandTable(server.name)).join(' ')
      if (theirs !== ours) differing.push(`${words.join(' ')}: ${ours}, ${server.name}: ${theirs} ${reply}`)
    }
    await running.stop()
    expect(differing).toEqual([])
  })
})
