import { type Magic, Opcode, VALUE_TYPES } from './format.ts'

/**
 * How the value of each type, and each long record that is no key, is laid out: a small grammar, as data. It says where
 * things end and not what they mean. {@link programs} turns it into instructions for the walker.
 */

/** Parts that follow each other. */
export type Layout = readonly Part[]

export type Part =
  /** A string in any of its encodings. */
  | 'string'
  /** A number in the length encoding, of up to 64 bits, that decides nothing here. */
  | 'length'
  /** A sorted set's score as text: a byte for its size, or for an infinity or NaN. */
  | 'score'
  /** So many bytes. */
  | number
  /** How often the next `times` runs. */
  | 'count'
  /** An id and a count, which is remembered under the id. */
  | 'count-defined'
  /** An id, for the count that was remembered under it. */
  | 'count-referred'
  /** The layout, as often as the last count says. */
  | { readonly times: Layout }
  /** A number that selects what follows it; others are refused. */
  | { readonly tagged: Readonly<Record<number, Layout>> }
  /** Tagged parts one after the other, up to the tag 0. */
  | { readonly untilZero: Readonly<Record<number, Layout>> }

function repeat(...layout: Part[]): Part[] {
  return ['count', { times: layout }]
}

/** Signed, unsigned, float, double, string: what a module may write, tagged so that others can pass over it. */
const MODULE_DATA: Part = { untilZero: { 1: ['length'], 2: ['length'], 3: [4], 4: [8], 5: ['string'] } }

function stream(version: 1 | 2 | 3 | 4 | 5): Layout {
  const id: Part[] = ['length', 'length']
  const from = (first: number, ...layout: Part[]): Part[] => (version >= first ? layout : [])
  return [
    // Nodes: the id of the first entry, and a listpack. Then the number of entries, and the last id.
    ...repeat('string', 'string'),
    'length',
    ...id,
    // First id, highest deleted id, entries added.
    ...from(2, ...id, ...id, 'length'),
    // Groups: name, last id, entries read,
    ...repeat(
      'string',
      ...id,
      ...from(2, 'length'),
      // pending: id, time of delivery, deliveries;
      ...repeat(16, 8, 'length'),
      // consumers: name, seen, active, ids of what is pending;
      ...repeat('string', 8, ...from(3, 8), ...repeat(16)),
      // ids that were handed back (XNACK).
      ...from(5, ...repeat(16)),
    ),
    // Idempotent producers: duration, limit; the id of each, with what it sent and as which entry; two sums.
    ...from(4, 'length', 'length', ...repeat('string', ...repeat('string', ...id)), 'length', 'length'),
  ]
}

/** By the name of the type. */
export const VALUE_LAYOUTS: Readonly<Record<string, Layout>> = {
  string: ['string'],
  'list-linked': repeat('string'),
  'set-hashtable': repeat('string'),
  'zset-v1': repeat('string', 'score'),
  'hash-hashtable': repeat('string', 'string'),
  'zset-v2': repeat('string', 8),
  'module-value': ['length', MODULE_DATA],
  'hash-zipmap': ['string'],
  'list-ziplist': ['string'],
  'set-intset': ['string'],
  'zset-ziplist': ['string'],
  'hash-ziplist': ['string'],
  quicklist: repeat('string'),
  stream: stream(1),
  'hash-listpack': ['string'],
  'zset-listpack': ['string'],
  // What a node is (1 a string, 2 a listpack), and the node.
  'quicklist-v2': repeat('length', 'string'),
  'stream-v2': stream(2),
  'set-listpack': ['string'],
  'stream-v3': stream(3),
  // When a field expires, in milliseconds, or 0; from type 24 on counted from the earliest, which comes first.
  'hash-hashtable-md-pre-release': repeat('length', 'string', 'string'),
  'hash-volatile-items': repeat('string', 'string', 8),
  'hash-listpack-md-pre-release': ['string'],
  'hash-hashtable-md': [8, ...repeat('length', 'string', 'string')],
  'hash-listpack-md': [8, 'string'],
  'stream-v4': stream(4),
  'stream-v5': stream(5),
  // The index of the last insertion, when it was said. Slots: index, and text, integer, double, or short text.
  array: [
    'count',
    { tagged: { 0: [], 1: ['length'] } },
    { times: ['length', { tagged: { 0: ['string'], 1: [8], 2: [8], 3: ['string'] } }] },
  ],
  // Names in a listpack, or one by one; values.
  'hash-template-listpack': [{ tagged: { 0: ['string'], 1: repeat('string') } }, 'string'],
  'hash-template-listpack-ref': ['string'],
  // All names, then all values. (With the names in a listpack their number would stand inside it: nobody writes that.)
  'hash-template-array': [{ tagged: { 1: repeat('string', 'string') } }],
  'hash-template-array-ref': ['count-referred', { times: ['string'] }],
}

/** Which module; before (1) or after (2) the keys, as an unsigned number; data. */
const MODULE_AUX: Layout = ['length', { tagged: { 2: ['length'] } }, MODULE_DATA]

/** Name, engine, description when there is one, code. */
const FUNCTION_PRE_RELEASE: Layout = ['string', 'string', { tagged: { 0: [], 1: ['string'] } }, 'string']

/** Operands of the opcodes that are not short and of fixed form. */
export const OPCODE_LAYOUTS: Readonly<Record<Magic, Readonly<Record<number, Layout>>>> = {
  REDIS: {
    [Opcode.Template]: ['count-defined', { times: ['string'] }],
    // Classes: which, and what the module wrote.
    [Opcode.KeyMetadata]: repeat(4, MODULE_DATA),
    [Opcode.Function]: ['string'],
    [Opcode.FunctionPreRelease]: FUNCTION_PRE_RELEASE,
    [Opcode.ModuleAux]: MODULE_AUX,
    [Opcode.Aux]: ['string', 'string'],
  },
  VALKEY: {
    // Name of the job, ranges of slots.
    [Opcode.SlotImport]: ['string', ...repeat('length', 'length')],
    [Opcode.Function]: ['string'],
    [Opcode.FunctionPreRelease]: FUNCTION_PRE_RELEASE,
    [Opcode.ModuleAux]: MODULE_AUX,
    [Opcode.Aux]: ['string', 'string'],
  },
}

/** The walker's instructions; what operands they have. */
export const Step = {
  Done: 0,
  String: 1,
  Length: 2,
  Score: 3,
  /** How many. */
  Bytes: 4,
  Count: 5,
  CountDefined: 6,
  CountReferred: 7,
  /** Where to go when there is nothing to repeat. */
  Times: 8,
  /** Where to repeat from. */
  Again: 9,
  /** How many tags, then where to go for each; 0 for one that is refused. */
  Tag: 10,
  /** Where. */
  Goto: 11,
  /** The key has been passed: here the value begins. */
  Value: 12,
} as const

/** The most counts that are open at once in any layout: a group's consumer's pending ids. */
export const DEEPEST = 3

export interface Programs {
  readonly steps: Int32Array
  /** Where the program of a type's value, or of an opcode's operands, begins; 0 where there is none. */
  readonly start: Int32Array
  /** 1 where a value is a single string. */
  readonly single: Uint8Array
}

/** So far before the program of a value begins one that passes over the key as well. */
export const KEY_STEPS = 2

const compiled: Partial<Record<Magic, Programs>> = {}

/** The programs for files under `magic`. */
export function programs(magic: Magic): Programs {
  compiled[magic] ??= compile(magic)
  return compiled[magic]
}

function compile(magic: Magic): Programs {
  // Place 0 stays unused, so that it can mean "none".
  const steps: number[] = [Step.Done]
  const start = new Int32Array(256)
  const single = new Uint8Array(256)
  const add = (code: number, layout: Layout) => {
    start[code] = steps.length
    append(steps, layout)
    steps.push(Step.Done)
  }
  for (const type of VALUE_TYPES) {
    if (type[magic] === undefined) continue
    const layout = VALUE_LAYOUTS[type.name]
    steps.push(Step.String, Step.Value)
    add(type.code, layout)
    if (layout.length === 1 && layout[0] === 'string') single[type.code] = 1
  }
  for (const [code, layout] of Object.entries(OPCODE_LAYOUTS[magic])) add(Number(code), layout)
  return { steps: Int32Array.from(steps), start, single }
}

function append(steps: number[], layout: Layout): void {
  for (const part of layout) {
    if (part === 'string') steps.push(Step.String)
    else if (part === 'length') steps.push(Step.Length)
    else if (part === 'score') steps.push(Step.Score)
    else if (part === 'count') steps.push(Step.Count)
    else if (part === 'count-defined') steps.push(Step.CountDefined)
    else if (part === 'count-referred') steps.push(Step.CountReferred)
    else if (typeof part === 'number') steps.push(Step.Bytes, part)
    else if ('times' in part) appendTimes(steps, part.times)
    else if ('tagged' in part) appendTagged(steps, part.tagged, false)
    else appendTagged(steps, part.untilZero, true)
  }
}

function appendTimes(steps: number[], body: Layout): void {
  const at = steps.push(Step.Times, 0)
  append(steps, body)
  steps.push(Step.Again, at)
  steps[at - 1] = steps.length
}

function appendTagged(steps: number[], cases: Readonly<Record<number, Layout>>, untilZero: boolean): void {
  const tags = Math.max(...Object.keys(cases).map(Number)) + 1
  const at = steps.push(Step.Tag, tags) - 2
  for (let tag = 0; tag < tags; tag++) steps.push(0)
  const ends: number[] = []
  for (const [tag, layout] of Object.entries(cases)) {
    steps[at + 2 + Number(tag)] = steps.length
    append(steps, layout)
    ends.push(steps.push(Step.Goto, untilZero ? at : 0) - 1)
  }
  if (untilZero) steps[at + 2] = steps.length
  else for (const end of ends) steps[end] = steps.length
}
