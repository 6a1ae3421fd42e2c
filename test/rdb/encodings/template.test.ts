import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { HashTemplates, type TemplateForm, TemplateReader } from '../../../src/rdb/encodings/template.ts'
import { Slice } from '../../../src/values/slice.ts'
import { bytes, len, listpack, type Piece, str } from '../build.ts'
import { VALUES } from '../values.ts'
import { type SteppingOptions, stepped } from './stepping.ts'

const FORMS: Readonly<Record<number, TemplateForm>> = {
  29: 'listpack',
  30: 'listpack-reference',
  31: 'array',
  32: 'array-reference',
}

const record = (id: number, ...names: string[]) => bytes(242, len(id), len(names.length), names.map(str))

function templates(): HashTemplates {
  const templates = new HashTemplates()
  templates.define(record(7, 'f', 'g'), 0)
  return templates
}

function read(form: TemplateForm, value: Uint8Array, options?: SteppingOptions) {
  const reader = new TemplateReader(templates())
  return stepped(
    odd => {
      reader.begin(form, odd)
      return reader
    },
    value,
    options,
  )
}

const single = (...names: string[]): Piece => [len(1), len(names.length), names.map(str)]
const HASH = ['field f v -1', 'field g w -1']

describe('TemplateReader', () => {
  const values = VALUES.filter(({ type }) => type in FORMS)

  it('gives the fields of a hash of each type', () => {
    expect(values).toHaveLength(5)
    for (const { type, encoded } of values) {
      const value = bytes(encoded)
      const { lines, odd, end, taken } = read(FORMS[type], value)
      expect([...odd, end, taken]).toEqual(['done', value.length])
      expect(lines).toEqual(HASH)
    }
  })

  it('takes names that are packed, and values that are not', () => {
    const value = bytes(len(0), str(listpack('f', 'g')), str('v'), str('w'))
    expect(read('array', value)).toMatchObject({ lines: HASH, odd: [], end: 'done' })
  })

  it('takes integers for names and values', () => {
    const value = bytes(len(0), str(listpack('1', '22')), str(listpack('0', '3', '44')))
    expect(read('listpack', value).lines).toEqual(['field 1 3 -1', 'field 22 44 -1'])
  })

  it('tells the same wherever the bytes at hand end for a while, and wants more of what is cut', () => {
    for (const { type, encoded } of values) {
      const value = bytes(encoded)
      const whole = read(FORMS[type], value)
      for (let cut = 0; cut <= value.length; cut++)
        expect(read(FORMS[type], value, { cuts: [cut] })).toEqual(whole)
      for (let size = 0; size < value.length; size++)
        expect(read(FORMS[type], value.subarray(0, size)).end).toBe('short')
    }
  })

  it.each([
    ['an unknown template', 'array-reference', bytes(len(8), str('v')), 'rdb.template 0'],
    ['an unknown template', 'listpack-reference', bytes(str(listpack('8', 'v', 'w'))), 'rdb.template 7'],
    ['no template', 'listpack-reference', bytes(str(listpack())), 'rdb.template'],
    [
      'a template that is no number',
      'listpack-reference',
      bytes(str(listpack('x', 'v', 'w'))),
      'rdb.template 7',
    ],
    ['too few values', 'listpack-reference', bytes(str(listpack('7', 'v'))), 'rdb.template.values 9'],
    [
      'too many values',
      'listpack-reference',
      bytes(str(listpack('7', 'v', 'w', 'x'))),
      'rdb.template.values 15',
    ],
    ['too few values', 'listpack', bytes(single('f'), str(listpack('0'))), 'rdb.template.values'],
    ['no names', 'array', bytes(single()), 'rdb.template.names 0'],
    ['no names', 'listpack', bytes(len(0), str(listpack())), 'rdb.template.names 0'],
    ['names in another form', 'listpack', bytes(len(2), str('f')), 'rdb.template.names 0'],
  ] as const)('refuses %s (%s)', (_, form, value, error) => {
    const { end } = read(form, value)
    expect(error.includes(' ') ? end : end.split(' ')[0]).toBe(error)
  })

  it('finds odd names that are not in the order of servers: by length, then by bytes', () => {
    const odd = (...names: string[]) => read('array', bytes(single(...names), names.map(str))).odd.length
    expect(odd('a', 'b', 'aa')).toBe(0)
    expect(odd('aa', 'b')).toBe(1)
    expect(odd('b', 'a')).toBe(1)
    expect(odd('a', 'a')).toBe(1)
  })

  it('keeps nothing of a hash for the next', () => {
    const reader = new TemplateReader(templates())
    const one = (form: TemplateForm, value: Uint8Array) =>
      stepped(odd => {
        reader.begin(form, odd)
        return reader
      }, value)
    expect(one('array', bytes(single('a', 'b', 'c'), str('1'))).end).toBe('short')
    expect(one('array', bytes(single('x'), str('1'))).lines).toEqual(['field x 1 -1'])
    expect(one('array-reference', bytes(len(7), str('v'), str('w'))).lines).toEqual(HASH)
    expect(one('listpack', bytes(single('x'), str(listpack('7', '1')))).lines).toEqual(['field x 1 -1'])
  })

  it('gives nothing but a FormatError for arbitrary bytes, and for sound ones with one changed', () => {
    const forms = Object.values(FORMS)
    fc.assert(
      fc.property(fc.constantFrom(...forms), fc.uint8Array({ maxLength: 60 }), (form, value) => {
        read(form, value)
      }),
    )
    fc.assert(
      fc.property(fc.constantFrom(...values), fc.nat(), fc.nat(255), ({ type, encoded }, at, byte) => {
        const value = bytes(encoded)
        value[at % value.length] = byte
        read(FORMS[type], value)
      }),
      { numRuns: 500 },
    )
  })
})

describe('HashTemplates', () => {
  it('remembers the names of templates, compressed ones decompressed', () => {
    const templates = new HashTemplates()
    templates.define(
      bytes(242, len(300), len(2), [0xc0, 5], [0xc3, len(5), len(10), Buffer.of(0, 97, 0xe0, 0, 0)]),
      0,
    )
    templates.define(record(1, 'x'), 100)
    const names = templates.names(300)!
    const slice = new Slice()
    expect([0, 1].map(i => Buffer.from(names.texts.get(names.first + i, slice).copy()).toString())).toEqual([
      '5',
      'aaaaaaaaaa',
    ])
    expect(templates.names(1)?.count).toBe(1)
    expect(templates.names(2)).toBeUndefined()
  })

  it('refuses a template that is there already, one without names, and what is no string', () => {
    const templates = new HashTemplates()
    templates.define(record(1, 'x'), 0)
    const refused = (bytes: Uint8Array) => {
      try {
        templates.define(bytes, 40)
      } catch (error) {
        return error
      }
      return undefined
    }
    expect(refused(record(1, 'y'))).toMatchObject({ code: 'rdb.template', offset: 40 })
    expect(refused(record(2))).toMatchObject({ code: 'rdb.template', offset: 40 })
    // The opcode, id, count, then what is no string.
    expect(refused(bytes(242, len(2), len(1), 0xc7))).toMatchObject({ code: 'rdb.string', offset: 43 })
  })
})
