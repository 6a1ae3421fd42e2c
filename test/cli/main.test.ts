import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { PassThrough } from 'node:stream'
import { Chalk } from 'chalk'
import { describe, expect, it } from 'vitest'
import type { Io } from '../../src/cli/io.ts'
import { main } from '../../src/cli/main.ts'
import { encode } from '../helpers/chunks.ts'
import { type Called, call } from '../helpers/command.ts'
import { temporaryFolder } from '../helpers/temp.ts'

const COMMANDS = ['inspect', 'print', 'verify', 'repair', 'rewind', 'replay', 'digest', 'compact']
/** What a command must be told, so that it does something and changes nothing. */
const MODES: Readonly<Record<string, readonly string[]>> = {
  repair: ['--dry-run'],
  rewind: ['--list'],
  compact: ['--output', '/nonexistent/folder/result'],
}
const LOG = Buffer.concat([encode('SELECT', '0'), encode('SET', 'k', 'v')])

/** A sound log under this name in a new folder; its path. */
function log(name = 'log.aof'): string {
  const path = join(temporaryFolder(), name)
  writeFileSync(path, LOG)
  return path
}

/** Calls in another folder. */
async function callIn(folder: string, ...args: string[]): Promise<Called> {
  const before = process.cwd()
  process.chdir(folder)
  try {
    return await call(...args)
  } finally {
    process.chdir(before)
  }
}

/** That a call is refused as it should be: status 2, nothing on standard output, one line and where to look. */
async function refused(...args: string[]): Promise<string> {
  const { status, out, err } = await call(...args)
  const shown = JSON.stringify({ args, err })
  expect(status, shown).toBe(2)
  expect(out.toString(), shown).toBe('')
  expect(err, shown).toMatch(/^aofkit: [^\n]+\nTry: aofkit [^\n]*--help\n$/)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it is what must not be there
  expect(err.replaceAll('\n', ''), shown).not.toMatch(/[\x00-\x1f\x7f]/)
  return err
}

describe('help and version', () => {
  it('go to standard output, and are success', async () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8'))
    expect(await call('--version')).toMatchObject({ status: 0, out: Buffer.from(`${version}\n`), err: '' })
    for (const args of [['--help'], ['-h'], ['--help', 'nonsense']]) {
      const { status, out, err } = await call(...args)
      expect([status, err], args.join()).toEqual([0, ''])
      for (const name of COMMANDS) expect(out.toString()).toContain(`aofkit ${name} `)
      expect(out.toString()).toMatch(/Exit status: 0 .*, 1 .*, 2 /)
    }
  })

  it.each(COMMANDS)('of %s tell its options, also with a path or other options', async name => {
    for (const args of [
      [name, '--help'],
      [name, '-h'],
      [name, 'PATH', '--help'],
      [name, '--help', '--nosuch'],
    ]) {
      const { status, out, err } = await call(...args)
      expect([status, err], args.join(' ')).toEqual([0, ''])
      expect(out.toString()).toContain(`aofkit ${name} PATH`)
      expect(out.toString()).toContain('--databases')
      expect(out.toString()).toMatch(/Exit status|exit status/)
    }
  })

  it('are no wider than a terminal of 100 columns where there is none', async () => {
    for (const args of [['--help'], ...COMMANDS.map(name => [name, '--help'])]) {
      const lines = (await call(...args)).out.toString().split('\n')
      // Examples and words that cannot be broken stand over.
      expect(lines.filter(line => line.length > 130)).toEqual([])
    }
  })

  it('show each command of the project', async () => {
    const { out } = await call('--help')
    expect([...out.toString().matchAll(/^ {2}aofkit (\w+) /gm)].map(match => match[1])).toEqual(COMMANDS)
  })
})

describe('a call that cannot be understood', () => {
  it('without a command', async () => {
    await refused()
    await refused('-v')
  })

  it.each([
    'nosuch',
    'verif',
    'Verify',
    'toString',
    '__proto__',
    'constructor',
    '',
    ' verify',
    '$0',
    'verify ',
  ])('with the command %j', async name => {
    const path = log()
    await refused(name, path)
    await refused(name)
  })

  it.each(COMMANDS)('%s without a path', async name => {
    await refused(name)
    await refused(name, '--databases', '4')
    await refused(name, '--json')
  })

  it.each(COMMANDS)('%s with an option that it does not have', async name => {
    const path = log()
    expect(await refused(name, path, '--nosuch')).toContain('nosuch')
    await refused(name, path, '--nosuch=5')
    await refused(name, path, '-x')
    await refused(name, '--jsn', path)
    await refused(name, path, '--__proto__', 'x')
    await refused(name, path, '--constructor.prototype.x', 'x')
  })

  it.each(COMMANDS)('%s with two paths', async name => {
    const [first, second] = [log(), log()]
    await refused(name, first, second)
    await refused(name, first, '--', second)
  })

  it('with an option that has no value', async () => {
    const path = log()
    await refused('verify', path, '--databases')
    await refused('verify', '--databases', '--json', path)
    await refused('verify', path, '--databases=')
    await refused('verify', path, '--as', '--databases', '4')
  })

  it('with a value that is none', async () => {
    const path = log()
    await refused('verify', path, '--databases', 'many')
    await refused('verify', path, '--max-loss', '-5')
    await refused('print', path, '--limit', '-1')
    await refused('print', path, '--limit=-1')
    await refused('print', path, '--since', '2024-02-30')
    await refused('verify', path, '--as', 'redis')
  })

  it('with options of options', async () => {
    const path = log()
    await refused('verify', path, '--databases.x', '1')
    await refused('verify', path, '--json.x')
  })

  it('with what would turn a terminal over', async () => {
    const path = log()
    await refused('verify', path, '--databases', '\x1b[31mred\n')
    await refused('verify', path, '--\x1b[31m')
    await refused('\x1b]0;title\x07', path)
    await refused('verify', path, 'line\nbreak')
  })

  it('says so before it reads anything', async () => {
    await refused('verify', '/nonexistent/file', '--databases', 'many')
    await refused('repair', '/nonexistent/file')
    await refused('repair', '/nonexistent/file', '--in-place', '--dry-run')
  })
})

describe('the words of a call', () => {
  it('are taken in any order', async () => {
    const path = log()
    const expected = await call('verify', path, '--json', '--databases', '4')
    expect(expected.status).toBe(0)
    expect(JSON.parse(expected.out.toString())).toMatchObject({ verdict: 'sound' })
    for (const args of [
      ['--json', '--databases', '4', path],
      ['--databases=4', path, '--json'],
      ['--databases', '4', '--json', path],
      ['--json', path, '--databases', '99', '--databases', '4'],
      ['--json', '--json', '--databases', '4', path],
      ['--databases', '4', '--json', '--', path],
    ])
      expect(await call('verify', ...args), args.join(' ')).toEqual(expected)
  })

  it('are not swallowed: an option takes the one word behind it, a flag none', async () => {
    const folder = temporaryFolder()
    for (const name of ['true', 'false', '1']) {
      writeFileSync(join(folder, name), LOG)
      expect((await callIn(folder, 'verify', '--json', name)).status, name).toBe(0)
      expect(JSON.parse((await callIn(folder, 'verify', '--json', name)).out.toString()).parts[0].file).toBe(
        name,
      )
    }
    const path = log()
    expect((await call('verify', '--allow-commands', 'a', path)).status).toBe(0)
    expect((await call('print', '--command', 'set', path)).out.toString()).toMatch(/SET k v/i)
    expect((await call('print', '--db', '0', path)).status).toBe(0)
  })

  it('make a list with commas, and when they are repeated', async () => {
    const path = join(temporaryFolder(), 'log')
    writeFileSync(path, Buffer.concat([encode('NOSUCH', 'a'), encode('OTHER', 'b'), encode('THIRD')]))
    for (const lists of [['nosuch,other,third'], ['nosuch', 'other,THIRD'], ['Nosuch', 'other', 'third']]) {
      const args = lists.flatMap(list => ['--allow-commands', list])
      expect((await call('verify', path, ...args)).status, lists.join(' ')).toBe(0)
    }
    expect((await call('verify', path, '--allow-commands', 'nosuch')).status).toBe(1)
  })

  it('may be paths that look like numbers', async () => {
    const folder = temporaryFolder()
    for (const name of ['123', '0x10', '1e3', '007', '-5']) {
      writeFileSync(join(folder, name), LOG)
      const { status, out } = await callIn(folder, 'verify', '--json', '--', name)
      expect(status, name).toBe(0)
      expect(JSON.parse(out.toString()).parts[0].file).toBe(name)
    }
    expect((await callIn(folder, 'verify', '123')).status).toBe(0)
    expect((await callIn(folder, 'verify', '0x10')).status).toBe(0)
  })

  it('behind -- are paths, whatever they look like', async () => {
    const folder = temporaryFolder()
    for (const name of ['-x', '--help', '--version', '--json', '-', '--', '--databases=5']) {
      if (name === '-') continue
      writeFileSync(join(folder, name), LOG)
      const { status, out, err } = await callIn(folder, 'verify', '--json', '--', name)
      expect([status, err], name).toEqual([0, ''])
      expect(JSON.parse(out.toString()).parts[0].file).toBe(name)
      expect((await callIn(folder, 'repair', '--dry-run', '--', name)).status).toBe(0)
    }
  })

  it('with -- before the command do the same, or are refused: never nothing', async () => {
    const path = log()
    const { status, out } = await call('--', 'verify', path)
    if (status === 0) expect(out).toEqual((await call('verify', path)).out)
    else expect(status).toBe(2)
  })

  it('are kept apart from names of the positional: --path is no option', async () => {
    const [first, second] = [log(), log()]
    await refused('verify', first, '--path', second)
    await refused('verify', '--path', first)
  })
})

describe('the exit status', () => {
  it('is 0 for a sound log, 1 for one that is not, 2 when the job cannot be done', async () => {
    const folder = temporaryFolder()
    const torn = join(folder, 'torn')
    writeFileSync(torn, LOG.subarray(0, -1))
    expect((await call('verify', log())).status).toBe(0)
    for (const args of [
      ['verify', torn],
      ['print', torn],
      ['inspect', torn],
      ['repair', torn, '--dry-run'],
    ])
      expect((await call(...args)).status, args[0]).toBe(1)
    for (const name of COMMANDS) {
      const { status, out, err } = await call(name, join(folder, 'missing'), ...(MODES[name] ?? []))
      expect([status, out.toString()], name).toEqual([2, ''])
      expect(err).toMatch(/^aofkit: .*missing: no such file or folder\n/)
    }
  })

  it('is 2 for what is not usage without sending people to the help', async () => {
    const { err } = await call('verify', '/nonexistent\x1b[31m\n')
    expect(err).toBe('aofkit: /nonexistent\\x1b[31m\\n: no such file or folder\n')
  })
})

describe('what nobody expected', () => {
  /** An io of which writing results fails like this. */
  function failing(failure: unknown): { io: Io; said: () => string } {
    let err = ''
    const io: Io = {
      out: () => {
        throw failure
      },
      err: text => {
        err += text
      },
      flush: async () => {},
      closed: false,
      columns: 80,
      outIsTerminal: false,
      errIsTerminal: false,
      errStream: new PassThrough(),
      style: new Chalk({ level: 0 }),
    }
    return { io, said: () => err }
  }

  it.each([
    ['an error', new TypeError("Cannot read properties of undefined (reading 'x')")],
    ['an error of several lines', new Error('first\nsecond\n    at somewhere (file.ts:1:2)')],
    ['a string', 'thrown'],
    ['an object without a prototype', Object.assign(Object.create(null), { toString: () => 'odd' })],
  ])('is told in one line without a stack trace, and ends with status 2: %s', async (_, failure) => {
    for (const args of [
      ['verify', log()],
      ['verify', log(), '--json'],
      ['inspect', log()],
      ['--help'],
      ['verify', '--help'],
    ]) {
      const { io, said } = failing(failure)
      expect(await main(args, io)).toBe(2)
      expect(said()).toMatch(/^aofkit: [^\n]*\n$/)
      expect(said()).not.toMatch(/\n\s+at /)
    }
  })
})

describe('a call', () => {
  it('leaves the process and its arguments alone: calls can be made one after the other, and at once', async () => {
    const argv = [...process.argv]
    const path = log()
    const alone = await call('verify', path)
    const results = await Promise.all([
      call('verify', path),
      call('--nosuch'),
      call('verify', path),
      call('--help'),
    ])
    expect(results.map(({ status }) => status)).toEqual([0, 2, 0, 0])
    expect([results[0], results[2]]).toEqual([alone, alone])
    expect(process.argv).toEqual(argv)
    expect(process.exitCode).toBeUndefined()
  })

  it('does not change what it reads', async () => {
    const folder = temporaryFolder()
    cpSync(resolve('fixtures/aof/redis-8.0-shop.aof'), join(folder, 'log'))
    const before = readFileSync(join(folder, 'log'))
    for (const name of COMMANDS) await call(name, join(folder, 'log'), ...(MODES[name] ?? []))
    expect(readFileSync(join(folder, 'log'))).toEqual(before)
  })
})
