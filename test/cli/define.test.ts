import { describe, expect, expectTypeOf, it } from 'vitest'
import { compact } from '../../src/cli/commands/compact.ts'
import { digest } from '../../src/cli/commands/digest.ts'
import { inspect } from '../../src/cli/commands/inspect.ts'
import { print } from '../../src/cli/commands/print.ts'
import { repair } from '../../src/cli/commands/repair.ts'
import { replay } from '../../src/cli/commands/replay.ts'
import { rewind } from '../../src/cli/commands/rewind.ts'
import { verify } from '../../src/cli/commands/verify.ts'
import { type Arguments, defineCommand, type Given } from '../../src/cli/define.ts'
import { Exit } from '../../src/cli/exit.ts'
import { flag, logOptions, outputOptions, word } from '../../src/cli/options.ts'

const COMMANDS = { inspect, print, repair, rewind, verify, replay, digest, compact }

describe('defining a command', () => {
  it('leaves it as it is', async () => {
    const command = {
      command: 'thing <path>',
      describe: 'Does it',
      options: { full: flag('All'), limit: word('So many') },
      run: async () => Exit.Ok,
    }
    expect(defineCommand(command)).toBe(command)
  })

  it('gives its run the kind of value that each option has', () => {
    const options = { full: flag('All'), limit: word('So many') } as const
    expectTypeOf<Arguments<typeof options>>().toEqualTypeOf<
      { readonly full: boolean | undefined; readonly limit: Given } & { readonly path: string }
    >()
  })
})

describe.each(Object.entries(COMMANDS))('%s', (name, command) => {
  const options = Object.entries(command.options)

  it('is called by its name, with a path', () => {
    expect(command.command).toBe(`${name} <path>`)
  })

  it('has what every command that interprets a log has', () => {
    expect(command.options).toMatchObject({ ...logOptions, ...outputOptions })
  })

  it('has options that are flags or take a value, and say what they do in a line', () => {
    for (const [option, declared] of options) {
      expect(option).toMatch(/^[a-z]+(-[a-z]+)*$/)
      expect(declared.describe, option).toMatch(/^\S.*[^.\s]$/)
      expect('boolean' in declared ? declared : { ...declared, requiresArg: true }, option).toEqual(declared)
      expect('boolean' in declared && 'string' in declared).toBe(false)
    }
  })

  it('says what it does, what its exit status means, and shows a call', () => {
    expect(command.describe).toMatch(/^[A-Z].*[^.]$/)
    expect(command.epilogue).toMatch(/exit status/i)
    expect(command.examples?.length).toBeGreaterThan(0)
    for (const [call] of command.examples ?? []) {
      expect(call).toContain(`aofkit ${name} `)
      // Options in examples exist.
      for (const [, option] of call.matchAll(/aofkit.*? --([a-z-]+)/g))
        expect(Object.keys(command.options)).toContain(option)
    }
  })
})

// Scripts are written against these.
describe('the command line that is promised', () => {
  it.each([
    ['inspect', []],
    [
      'print',
      [
        'command',
        'key',
        'history',
        'db',
        'from-offset',
        'to-offset',
        'since',
        'until',
        'limit',
        'last',
        'follow',
        'format',
        'full',
      ],
    ],
    [
      'verify',
      [
        ...['load-truncated', 'max-loss', 'strict', 'skip-scripts', 'ignore-opaque'],
        ...['replay', 'expect-keys', 'expect-digest', 'expect-newer-than'],
      ],
    ],
    ['replay', ['dump', 'key', 'db', 'type', 'load-truncated', 'skip-scripts']],
    ['digest', ['ignore-opaque', 'load-truncated', 'skip-scripts']],
    [
      'repair',
      [
        'output',
        'in-place',
        'dry-run',
        'force',
        'backup',
        'keep-later-parts',
        'allow-empty',
        'max-loss',
        'normalize',
        'salvage',
        'after-gap',
      ],
    ],
    [
      'compact',
      [
        ...['output', 'in-place', 'layout', 'preamble', 'compress', 'target', 'if-growth', 'min-size'],
        ...['drop-expired', 'verify', 'backup', 'force', 'load-truncated', 'skip-scripts'],
      ],
    ],
    [
      'rewind',
      [
        ...['output', 'list', 'dry-run', 'to-time', 'to-offset', 'before', 'nth', 'without', 'only-key'],
        ...['preview', 'force', 'allow-empty', 'skip-scripts'],
      ],
    ],
  ] as const)('%s has its options', (name, own) => {
    const common = ['databases', 'hll-sparse-max-bytes', 'allow-commands', 'as', 'as-of', 'json', 'progress']
    expect(Object.keys(COMMANDS[name].options).sort()).toEqual([...own, ...common].sort())
  })

  it('has flags and words where it should', () => {
    const flags = Object.values(COMMANDS).flatMap(({ options }) =>
      Object.entries(options).flatMap(([name, option]) => ('boolean' in option ? [name] : [])),
    )
    expect([...new Set(flags)].sort()).toEqual([
      ...['allow-empty', 'backup', 'compress', 'drop-expired', 'dry-run', 'dump', 'follow', 'force'],
      ...[
        'full',
        'history',
        'ignore-opaque',
        'in-place',
        'json',
        'keep-later-parts',
        'list',
        'load-truncated',
      ],
      ...[
        'normalize',
        'preamble',
        'preview',
        'progress',
        'replay',
        'salvage',
        'skip-scripts',
        'strict',
        'verify',
      ],
    ])
  })
})
