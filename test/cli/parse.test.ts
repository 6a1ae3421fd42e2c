import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { encode } from '../helpers/chunks.ts'
import { call } from '../helpers/command.ts'

const folder = mkdtempSync(join(tmpdir(), 'aofkit-test-'))
const path = join(folder, 'log')
writeFileSync(path, encode('SET', 'k', 'v'))
afterAll(() => rmSync(folder, { recursive: true }))

describe('a call that is refused says what is wrong with it', () => {
  it.each([
    [['verify', '--nonsense', path], 'no option --nonsense', 'verify '],
    [['verify', path, '--no-nonsense'], 'no option --no-nonsense', 'verify '],
    [['verify', path, '--no-databases'], 'no option --no-databases', 'verify '],
    [['verify', path, '--jsn'], 'no option --jsn; did you mean --json?', 'verify '],
    [['repair', path, '--no-bakcup'], 'no option --no-bakcup; did you mean --no-backup?', 'repair '],
    [['verify', path, '-x'], 'no option -x', 'verify '],
    [['-v'], 'no option -v', ''],
    [['inspekt', path], 'no command "inspekt"; did you mean inspect?', ''],
    [['VERIFY', path], 'no command "VERIFY"; did you mean verify?', ''],
    [['restore', path], 'no command "restore"', ''],
    [['\x1b[2J', path], 'no command "\\x1b[2J"', ''],
    [[], 'which command: inspect, print, verify, repair, rewind, replay, digest, compact?', ''],
    [['verify'], 'verify needs a PATH', 'verify '],
    [['verify', ''], 'the path is empty', 'verify '],
    [['verify', 'a', 'b\n'], 'verify takes one PATH, not 2: "a", "b\\n"', 'verify '],
    [['verify', path, '--strict=maybe'], '--strict takes no value', 'verify '],
    [['verify', path, '--strict='], '--strict takes no value', 'verify '],
    [
      ['verify', path, '--max-loss'],
      '--max-loss needs a value (behind a = where it begins with a dash)',
      'verify ',
    ],
  ])('%j', async (args, message, command) => {
    const { status, out, err } = await call(...args)
    expect({ status, out: out.toString() }).toEqual({ status: 2, out: '' })
    expect(err).toBe(`aofkit: ${message}\nTry: aofkit ${command}--help\n`)
  })
})

describe('a flag', () => {
  const isJson = async (...args: string[]) =>
    (await call('verify', path, ...args)).out.toString().startsWith('{')

  it('may be said to be true or false, or be taken back; the last one counts', async () => {
    expect(await isJson('--json=true')).toBe(true)
    expect(await isJson('--json=false')).toBe(false)
    expect(await isJson('--json', '--no-json')).toBe(false)
    expect(await isJson('--no-json', '--json')).toBe(true)
  })

  it('that is on by default is shown by the word that switches it off', async () => {
    const help = (await call('repair', '--help')).out.toString()
    expect(help).toMatch(/^ +--no-backup +Do not keep/m)
    expect(help).not.toMatch(/^ +--backup/m)
    expect((await call('repair', '--backup', path, '--dry-run')).status).toBe(0)
    expect((await call('repair', '--no-backup', path, '--dry-run')).status).toBe(0)
  })
})

describe('a command', () => {
  it('may stand behind options, and its path may be called "help"', async () => {
    expect(await call('--json', 'verify', path)).toEqual(await call('verify', '--json', path))
    const { status, err } = await call('verify', 'help')
    expect({ status, err }).toEqual({ status: 2, err: 'aofkit: help: no such file or folder\n' })
  })

  it.each(['inspect', 'print', 'verify', 'repair', 'rewind', 'replay', 'digest', 'compact'])(
    '%s shows its own options first',
    async name => {
      const headings = [...(await call(name, '--help')).out.toString().matchAll(/^(\w+):$/gm)].map(
        ([, word]) => word,
      )
      expect(headings).toEqual(['Options', 'Log', 'Output', 'Examples'])
    },
  )
})
