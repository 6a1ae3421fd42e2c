import { describe, expect, it } from 'vitest'
import { JobError } from '../../src/bytes/errors.ts'
import { BufferSource } from '../../src/bytes/source.ts'
import { Window } from '../../src/bytes/window.ts'
import {
  type Checkpoint,
  checkOutput,
  type WrittenKey,
  type WrittenOutput,
} from '../../src/operations/compact-check.ts'
import { writePayload } from '../../src/rdb/payload.ts'
import { RDB_TARGETS } from '../../src/rdb/targets.ts'
import { RdbWalk } from '../../src/rdb/walk.ts'
import { RdbWriter } from '../../src/rdb/writer.ts'
import type { Command } from '../../src/values/command.ts'
import { NO_EXPIRY } from '../../src/values/elements.ts'
import { KeyspaceFingerprint } from '../../src/values/fingerprint.ts'
import { RebuildCommands } from '../../src/values/rebuild.ts'
import { RebuildableElements } from '../../src/values/rebuildable.ts'
import { encodeCommand } from '../helpers/servers.ts'
import { bytes, checksum } from '../rdb/build.ts'
import { slice, type ToldKey, type ToldStream, tellValue } from '../values/telling.ts'

const STREAM: ToldStream = {
  entries: [
    { id: [1n, 1n], fields: [['a', 'b']] },
    { id: [1n, 2n], fields: [['c', 'd']] },
  ],
  state: { length: 2n, lastId: [1n, 3n], firstId: [1n, 1n], maxDeletedId: [1n, 3n], entriesAdded: 3n },
  groups: [
    {
      name: 'g',
      lastId: [1n, 2n],
      entriesRead: 2n,
      pending: [
        { id: [1n, 1n], deliveredAtMs: 100n, deliveries: 1n },
        { id: [1n, 2n], deliveredAtMs: 100n, deliveries: 2n },
      ],
      consumers: [
        {
          name: 'x',
          seenAtMs: 100n,
          activeAtMs: 90n,
          owned: [
            [1n, 1n],
            [1n, 2n],
          ],
        },
        { name: 'y', seenAtMs: 100n, activeAtMs: 80n, owned: [] },
      ],
      nacked: [],
    },
  ],
  producers: [],
  idempotence: undefined,
}

const HEAD = { db: 0, expireAtMs: NO_EXPIRY }
const KEYS: ToldKey[] = [
  { ...HEAD, key: 'string', kind: 'string', value: 'some text' },
  { ...HEAD, key: 'long', kind: 'string', value: 'long text '.repeat(200) },
  { ...HEAD, key: 'expires', kind: 'string', value: '12345', expireAtMs: 1_700_000_000_000n },
  { ...HEAD, key: 'list', kind: 'list', value: ['a', 'b', 'c'] },
  { ...HEAD, key: 'set', kind: 'set', value: ['a', 'b', '7'] },
  {
    ...{ ...HEAD, key: 'zset', kind: 'zset' },
    value: [
      ['m', 1.5],
      ['n', -1],
    ],
  },
  {
    ...{ ...HEAD, key: 'hash', kind: 'hash', expireAtMs: 5n },
    value: [
      ['f', 'v', NO_EXPIRY],
      ['g', 'w', 1_800_000_000_000n],
    ],
  },
  { ...HEAD, db: 3, key: 'stream', kind: 'stream', value: STREAM },
  { ...HEAD, db: 3, key: 'string', kind: 'string', value: 'in another database' },
  { ...HEAD, db: 3, key: 'last', kind: 'string', value: 'x' },
]
const LIBRARY = '#!lua name=lib\nredis.register_function("f", function() end)'
/** Of module data, with its opcode, as a module may write it. */
const MODULE_AUX = Buffer.concat([Buffer.of(247, 0x81), Buffer.from('modulesX'), Buffer.of(2, 1, 2, 7, 0)])
const TARGET = RDB_TARGETS['valkey-9.1']

interface Content {
  keys?: readonly ToldKey[]
  libraries?: readonly string[]
  aux?: readonly Buffer[]
  /** Keys for which room is to be made in each database. */
  announced?: readonly ToldKey[]
}

function rdb({ keys = KEYS, libraries = [LIBRARY], aux = [MODULE_AUX], announced }: Content = {}): Buffer {
  const writer = new RdbWriter(TARGET, { modules: 'valkey' })
  for (const source of libraries) writer.function(slice(source))
  for (const record of aux) writer.copyRecord('module-aux', record, 0, record.length)
  let db = -1
  for (const [i, key] of keys.entries()) {
    if (key.db !== db) {
      writer.select(key.db)
      const end = keys.findIndex((other, j) => j > i && other.db !== key.db)
      const here = announced ?? keys.slice(i, end < 0 ? keys.length : end)
      writer.resize(here.length, here.filter(other => other.expireAtMs !== NO_EXPIRY).length)
    }
    db = key.db
    tellValue(writer.entry({ key: slice(key.key), expireAtMs: key.expireAtMs, idle: -1, frequency: -1 }), key)
  }
  writer.finish()
  return Buffer.from(writer.take())
}

/** The same with the checksum that belongs there. */
function summed(file: Uint8Array): Buffer {
  const content = file.subarray(0, -8)
  return bytes(content, checksum(content))
}

/** What whoever wrote this says of it; of a source, that the keys for which `copy` is true were copied from it. */
async function written(
  { keys = KEYS, libraries = [LIBRARY], aux = [MODULE_AUX] }: Content = {},
  from?: { source: BufferSource; file: Uint8Array; copy: (key: ToldKey) => boolean },
  commands = false,
): Promise<WrittenOutput & { checkpoints: Checkpoint[] }> {
  const fingerprint = new KeyspaceFingerprint()
  const rebuildable = new RebuildableElements(fingerprint)
  for (const source of libraries) fingerprint.functions(slice(source))
  for (const record of aux) fingerprint.unkeyed(slice(record.toString('latin1')))
  const places = from === undefined ? new Map() : await placesIn(from.file)
  const checkpoints: Checkpoint[] = []
  const list: WrittenKey[] = []
  for (const key of keys) {
    if (list.length % 2 === 0) checkpoints.push({ keys: list.length, words: fingerprint.words() })
    const copied = from?.copy(key)
      ? { source: from.source, ...places.get(`${key.db} ${key.key}`) }
      : undefined
    list.push({ ...key, key: slice(key.key), copied })
    if (copied !== undefined) continue
    fingerprint.key(key.db, slice(key.key), key.kind, key.expireAtMs)
    tellValue(commands ? rebuildable : fingerprint, key)
  }
  let next = 0
  return { keys: { next: () => list[next++] }, fingerprint, checkpoints, databases: 16 }
}

/** Where the values of an RDB stand, by database and key. */
async function placesIn(file: Uint8Array) {
  const places = new Map<string, { offset: number; length: number; type: number }>()
  const walk = new RdbWalk(new Window(new BufferSource(file)), { values: true })
  for (let event = await walk.next(); event !== undefined; event = await walk.next()) {
    if (event.kind !== 'entries') continue
    const { entries } = event
    for (let i = 0; i < entries.count; i++) {
      const offset = entries.value[i]
      const key = Buffer.from(entries.keyBytes(i) as Uint8Array).toString('latin1')
      places.set(`${entries.db} ${key}`, { offset, length: entries.end[i] - offset, type: entries.type[i] })
    }
  }
  return places
}

/** The message with which an output is refused; undefined when it is not. */
async function refusal(file: Uint8Array, output: WrittenOutput): Promise<string | undefined> {
  try {
    await checkOutput(new BufferSource(file), output)
    return undefined
  } catch (error) {
    if (!(error instanceof JobError)) throw error
    expect(error.code).toBe('compact.verify')
    expect(error.message).toMatch(/^the output is not what was written: at \d+, ./)
    return error.message.replace('the output is not what was written: ', '')
  }
}

/** Keys of which one is changed. */
function with_(key: string, change: (key: ToldKey) => unknown): ToldKey[] {
  const keys = structuredClone(KEYS)
  change(keys.find(one => one.key === key) as ToldKey)
  return keys
}

const STREAM_CHANGES: [what: string, change: (stream: ToldStream) => void][] = [
  ['a pending entry', s => s.groups[0].consumers[0].owned.pop() && s.groups[0].pending.pop()],
  ['a delivery count', s => s.groups[0].pending[0].deliveries++],
  ['a delivery time', s => s.groups[0].pending[0].deliveredAtMs++],
  [
    'the last id of a group',
    s => {
      s.groups[0].lastId = [1n, 1n]
    },
  ],
  ['how much a group has read', s => s.groups[0].entriesRead--],
  ['a consumer', s => s.groups[0].consumers.pop()],
  ['when a consumer was active', s => s.groups[0].consumers[1].activeAtMs++],
  ['a group', s => s.groups.pop()],
  [
    'a field of an entry',
    s => {
      s.entries[0].fields[0][0] = 'x'
    },
  ],
  [
    'the last id of the stream',
    s => {
      s.state.lastId = [1n, 4n]
    },
  ],
]

const CHANGES: [what: string, content: Content][] = [
  ['a byte of a value', { keys: with_('string', key => (key.value = 'some tezt')) }],
  ['a key', { keys: with_('string', key => (key.key = 'strinh')) }],
  ['an expiry', { keys: with_('expires', key => key.expireAtMs++) }],
  ['an expiry that is gone', { keys: with_('expires', key => (key.expireAtMs = NO_EXPIRY)) }],
  [
    'the expiry of a field',
    { keys: with_('hash', key => (key.value as [string, string, bigint][])[1][2]++) },
  ],
  ['the order of a list', { keys: with_('list', key => (key.value as string[]).reverse()) }],
  ['a member', { keys: with_('set', key => (key.value as string[]).pop()) }],
  ['a score', { keys: with_('zset', key => ((key.value as [string, number][])[0][1] = 1.25)) }],
  ['a kind', { keys: with_('list', key => (key.kind = 'set')) }],
  ['a function', { libraries: [LIBRARY.replace('end', 'end ')] }],
  ['a function that is missing', { libraries: [] }],
  ['a function too many', { libraries: [LIBRARY, LIBRARY] }],
  ['data of a module', { aux: [Buffer.concat([MODULE_AUX.subarray(0, -2), Buffer.of(8, 0)])] }],
  ['data of a module that is missing', { aux: [] }],
  ['a missing key', { keys: KEYS.filter(({ key }) => key !== 'set') }],
  ['a missing last key', { keys: KEYS.slice(0, -1) }],
  ['a key twice', { keys: [...KEYS.slice(0, 2), ...KEYS.slice(1)] }],
  ['a key twice at the end', { keys: [...KEYS, KEYS[9]] }],
  [
    'two keys that changed databases',
    { keys: KEYS.map(key => (key.key === 'string' ? { ...key, db: 3 - key.db } : key)) },
  ],
  ...STREAM_CHANGES.map(([what, change]): [string, Content] => [
    what,
    { keys: with_('stream', key => change(key.value as ToldStream)) },
  ]),
]

describe('reading an RDB back that was written', () => {
  it('accepts what was written, whether values were copied or not', async () => {
    const file = rdb()
    expect(await checkOutput(new BufferSource(file), await written())).toEqual({
      keys: 10,
      copied: 0,
      bytes: file.length,
    })
    const from = { source: new BufferSource(file), file, copy: (key: ToldKey) => key.key.length % 2 === 0 }
    const { copied } = await checkOutput(new BufferSource(file), await written({}, from))
    expect(copied).toBe(KEYS.filter(from.copy).length)
    expect(copied).toBeGreaterThan(2)
  })

  it.each(CHANGES)('refuses %s that is not what was written', async (_, content) => {
    const refused = await refusal(rdb(content), await written())
    expect(refused).toBeDefined()
    expect(await refusal(rdb(content), await written(content))).toBeUndefined()
  })

  it.each(CHANGES.filter(([, { keys }]) => keys !== undefined))(
    'refuses %s that is not what was copied',
    async (_, content) => {
      const file = rdb()
      const from = { source: new BufferSource(file), file, copy: () => true }
      expect(await refusal(rdb(content), await written({}, from))).toBeDefined()
    },
  )

  it('refuses every byte that is changed, with a checksum that belongs to it', {
    timeout: 60_000,
  }, async () => {
    const file = rdb()
    // Version and magic say for whom it is, and are not compared.
    for (let at = 9; at < file.length - 8; at++) {
      for (const bit of [1, 0x40]) {
        const changed = Buffer.from(file)
        changed[at] ^= bit
        const copy = (key: ToldKey) => key.key.length % 2 === 0
        const from = { source: new BufferSource(file), file, copy }
        expect(await refusal(summed(changed), await written({}, from)), `${at}`).toBeDefined()
      }
    }
  })

  it('refuses more or fewer keys than are announced', async () => {
    const output = await written()
    const refused = await refusal(rdb({ announced: KEYS.slice(0, 6) }), output)
    expect(refused).toMatch(/^at \d+, 7 keys end, of which 2 expire, where 6 and 1 were announced$/)
  })

  it('names the key, and the offset of its entry', async () => {
    const file = rdb()
    const at = file.indexOf('some text') - 'string'.length - 3
    const changed = with_('string', key => (key.value = 'some tezt'))
    const from = { source: new BufferSource(file), file, copy: () => true }
    expect(await refusal(rdb({ keys: changed }), await written({}, from))).toBe(
      `at ${at}, the value is not the one at ${at + 8} from which it was copied (key "string")`,
    )
    const missing = KEYS.slice(1)
    expect(await refusal(rdb({ keys: missing }), await written())).toBe(
      `at ${at}, the key "long" stands where "string" was written`,
    )
  })

  it('says what is other about a key', async () => {
    const messageFor = async (content: Content) => (await refusal(rdb(content), await written())) as string
    expect(await messageFor({ keys: with_('list', key => (key.kind = 'set')) })).toMatch(
      /^at \d+, it is a set, and was written as a list \(key "list"\)$/,
    )
    expect(await messageFor({ keys: with_('list', key => (key.db = 7)) })).toMatch(
      /^at \d+, it is in database 7, and was written into 0 \(key "list"\)$/,
    )
    expect(await messageFor({ keys: with_('expires', key => (key.expireAtMs = 1n)) })).toMatch(
      /^at \d+, it expires at 1, and was written to expire at 1700000000000 \(key "expires"\)$/,
    )
    expect(await messageFor({ keys: KEYS.slice(0, -1) })).toMatch(/^at \d+, the key "last" is missing$/)
    expect(await messageFor({ keys: [...KEYS, KEYS[9]] })).toMatch(
      /^at \d+, the key "last", which nobody wrote$/,
    )
  })

  it('refuses a value of another type, or of another length, than was copied', async () => {
    const file = rdb()
    const places = await placesIn(file)
    const zset = places.get('0 zset')!
    const from = () => ({ source: new BufferSource(file), file, copy: () => true })
    const retyped = Buffer.from(file)
    const at = zset.offset - 'zset'.length - 2
    expect(retyped[at]).toBe(17)
    // A ziplist: of the same kind.
    retyped[at] = 12
    expect(await refusal(summed(retyped), await written({}, from()))).toBe(
      `at ${at}, the value is of type 12, copied was one of type 17 (key "zset")`,
    )
    for (const change of [-1, 1]) {
      const output = await written({}, from())
      const next = () => {
        const key = output.keys.next()
        if (key?.copied === undefined || key.copied.offset !== zset.offset) return key
        return { ...key, copied: { ...key.copied, length: zset.length + change } }
      }
      expect(await refusal(file, { ...output, keys: { next } })).toBe(
        `at ${at}, the value has ${zset.length} bytes, copied were ${zset.length + change} (key "zset")`,
      )
    }
  })

  it('compares a string that was copied without its length, whole and in pieces', async () => {
    for (const size of [0, 1, 300, 5_000_000]) {
      const text = Buffer.alloc(size, 'text of a command ')
      const log = encodeCommand(['SET', 'key', text])
      const made = (head: number, value: Uint8Array) => {
        const before = bytes(Buffer.from('VALKEY080'), [0xfe, 0, 0, 3], Buffer.from('key'), 0x80)
        return bytes(before, [head >>> 24, head >>> 16, head >>> 8, head & 0xff], value, 0xff)
      }
      const whole = (content: Buffer) => bytes(content, checksum(content))
      const output = (change = 0): WrittenOutput => {
        const offset = log.length - 2 - size
        const place = { source: new BufferSource(log), offset, length: size + change, type: 0, text: true }
        const keys = [
          { db: 0, key: slice('key'), kind: 'string' as const, expireAtMs: NO_EXPIRY, copied: place },
        ]
        return { keys: { next: () => keys.shift() }, fingerprint: new KeyspaceFingerprint(), databases: 16 }
      }
      const file = whole(made(size, text))
      expect(await refusal(file, output())).toBeUndefined()
      expect(await refusal(file, output(1))).toContain('(key "key")')
      if (size === 0) continue
      expect(await refusal(file, output(-1))).toContain('(key "key")')
      for (const at of [0, size >> 1, size - 1]) {
        const changed = Buffer.from(text)
        changed[at] ^= 1
        expect(await refusal(whole(made(size, changed)), output()), String(at)).toContain('(key "key")')
      }
      expect(await refusal(whole(made(size - 1, text.subarray(1))), output())).toContain(
        `the string is not said to have ${size} bytes (key "key")`,
      )
    }
  })

  it('places a difference between two checkpoints', async () => {
    const file = rdb({ keys: with_('list', key => (key.value as string[]).reverse()) })
    const places = await placesIn(file)
    const message = (await refusal(file, await written())) as string
    const [from, to] = (
      /^at (\d+), what stands from there to (\d+) \(2 keys/.exec(message) as string[]
    ).slice(1)
    const at = places.get('0 list')?.offset as number
    expect(Number(from)).toBeLessThan(at)
    expect(Number(from)).toBeGreaterThan(places.get('0 long')?.offset as number)
    expect(Number(to)).toBeGreaterThan(at)
    const { checkpoints: _, ...without } = await written()
    expect(await refusal(file, without)).toContain(
      '10 keys, functions and data of modules) is not what was written',
    )
  })

  it('refuses a wrong checksum, and one that is not there', async () => {
    const file = rdb()
    const wrong = Buffer.from(file)
    wrong[file.length - 1] ^= 1
    expect(await refusal(wrong, await written())).toContain('the checksum is')
    const none = Buffer.from(file).fill(0, file.length - 8)
    expect(await refusal(none, await written())).toContain('there is no checksum')
  })

  it('refuses whatever follows', async () => {
    const file = rdb()
    for (const more of [
      '\0',
      '*',
      'x',
      encodeCommand(['SELECT', '3']),
      encodeCommand(['SET', 'a', 'b']),
      file,
    ])
      expect(await refusal(Buffer.concat([file, Buffer.from(more)]), await written())).toMatch(
        new RegExp(`^at ${file.length}, bytes behind the end, which nobody wrote`),
      )
  })

  it('leaves what follows alone where it is told where the output ends', async () => {
    const file = rdb()
    const longer = Buffer.concat([file, encodeCommand(['SET', 'a', 'b'])])
    const output = { ...(await written()), size: file.length }
    expect((await checkOutput(new BufferSource(longer), output)).bytes).toBe(file.length)
    expect(await refusal(file, { ...(await written()), size: file.length + 1 })).toContain(
      'it ends, and there are',
    )
  })

  it('refuses an end that is missing, wherever', async () => {
    const file = rdb()
    for (let end = 0; end < file.length; end += 7)
      expect(await refusal(file.subarray(0, end), await written()), String(end)).toBeDefined()
  })

  it('compares values that come in pieces', async () => {
    const big: ToldKey = { ...HEAD, key: 'big', kind: 'list', value: ['x'.repeat(9_000_000), 'y', 'z'] }
    const keys = [KEYS[0], big, KEYS[1]]
    const file = rdb({ keys })
    const from = () => ({ source: new BufferSource(file), file, copy: () => true })
    expect((await checkOutput(new BufferSource(file), await written({ keys }, from()))).copied).toBe(3)
    expect((await checkOutput(new BufferSource(file), await written({ keys }))).copied).toBe(0)
    const changed = structuredClone(keys)
    changed[1].value = ['x'.repeat(9_000_000), 'y', 'Z']
    const other = rdb({ keys: changed })
    expect(await refusal(other, await written({ keys }, from()))).toContain('(key "big")')
    expect(await refusal(other, await written({ keys }))).toBeDefined()
    const shorter = structuredClone(keys)
    shorter[1].value = ['x'.repeat(9_000_000), 'y']
    expect(await refusal(rdb({ keys: shorter }), await written({ keys }, from()))).toContain('(key "big")')
  })

  it('hashes commands that were copied behind it', async () => {
    const commands = [
      ['JSON.SET', 'k', '$', '1'],
      ['FT.CREATE', 'i'],
      ['JSON.SET', 'l', '$', 'x'.repeat(5_000_000)],
    ]
    const file = rdb()
    const encoded = commands.map(command => encodeCommand(command))
    const output = async () => {
      const made = await written()
      for (const command of encoded)
        (made.fingerprint as KeyspaceFingerprint).unkeyed(slice(command.toString('latin1')))
      return { ...made, copiedCommands: file.length }
    }
    expect(await refusal(Buffer.concat([file, ...encoded]), await output())).toBeUndefined()
    expect(await refusal(Buffer.concat([file, ...encoded.toReversed()]), await output())).toBeDefined()
    expect(await refusal(Buffer.concat([file, ...encoded.slice(1)]), await output())).toBeDefined()
    encoded[2][encoded[2].length - 3] ^= 1
    const changed = Buffer.concat([file, ...encoded])
    encoded[2][encoded[2].length - 3] ^= 1
    expect(await refusal(changed, await output())).toBeDefined()
  })
})

/** The commands for the same. */
function commands({ keys = KEYS, libraries = [LIBRARY] }: Content = {}): Buffer {
  const list: Buffer[] = []
  const rebuild = new RebuildCommands(
    ({ bytes, start, end, count }: Command) => {
      list.push(encodeCommand(Array.from({ length: count }, (_, a) => bytes.slice(start[a], end[a]))))
    },
    { payload: value => writePayload(7, value, 12) },
  )
  for (const source of libraries) rebuild.functions(slice(source))
  let db = -1
  for (const key of keys) {
    if (key.db !== db) list.push(encodeCommand(['SELECT', key.db]))
    db = key.db
    rebuild.key(slice(key.key), key.expireAtMs)
    tellValue(rebuild, key)
  }
  return Buffer.concat(list)
}

describe('reading commands back that were written', () => {
  const UNTOLD = ['when a consumer was active', 'data of a module', 'data of a module that is missing']
  const changes = CHANGES.filter(([what]) => !UNTOLD.includes(what))

  it('accepts what was written', async () => {
    const file = commands()
    const output = await written({ aux: [] }, undefined, true)
    expect(await checkOutput(new BufferSource(file), output)).toEqual({
      keys: 10,
      copied: 0,
      bytes: file.length,
    })
  })

  it.each(changes)('refuses %s that is not what was written', async (_, content) => {
    expect(await refusal(commands(content), await written({ aux: [] }, undefined, true))).toBeDefined()
    const same = await written({ ...content, aux: [] }, undefined, true)
    // Nobody can write a key twice.
    const twice = content.keys !== undefined && content.keys.length > KEYS.length
    if (!twice) expect(await refusal(commands(content), same)).toBeUndefined()
  })

  it('refuses every byte that is changed', { timeout: 60_000 }, async () => {
    const file = commands()
    for (let at = 0; at < file.length; at++) {
      if (at % 5 !== 0 && at > 700) continue
      const changed = Buffer.from(file)
      changed[at] ^= 1
      const output = await written({ aux: [] }, undefined, true)
      expect(await refusal(changed, output), `${at}: ${changed.subarray(at - 20, at + 20)}`).toBeDefined()
    }
  })

  it('sees a changed annotation', async () => {
    const file = Buffer.concat([Buffer.from('#TS:1700000000\r\n'), commands()])
    const output = () =>
      written({ aux: [Buffer.from('#TS:1700000000\r\n')], libraries: [LIBRARY] }, undefined, true)
    const { checkpoints: _, ...same } = await output()
    expect(await refusal(file, same)).toBeUndefined()
    file[5] ^= 1
    const { checkpoints: __, ...other } = await output()
    expect(await refusal(file, other)).toBeDefined()
  })

  it('takes commands that were copied behind the keys', async () => {
    const file = commands()
    const command = encodeCommand(['JSON.SET', 'k', '$', '1'])
    const output = await written({ aux: [command] }, undefined, true)
    const whole = Buffer.concat([file, command])
    const before = [...output.checkpoints]
    expect(before.length).toBeGreaterThan(1)
    const { checkpoints: _, ...rest } = output
    expect(await refusal(whole, { ...rest, copiedCommands: file.length })).toBeUndefined()
    const again = await written({ aux: [] }, undefined, true)
    expect(await refusal(whole, { ...again, copiedCommands: file.length })).toBeDefined()
  })
})
