import { statSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { corrupt, FormatError, JobError, jobError, torn } from '../../src/bytes/errors.ts'

function thrown(work: () => unknown): unknown {
  try {
    work()
  } catch (error) {
    return error
  }
  throw new Error('nothing was thrown')
}

describe('an error of the bytes', () => {
  it('says whether they end too early or are wrong, under which code, and where', () => {
    const cut = torn('resp.torn.bulk', 2 ** 40, 'cut')
    expect(cut).toBeInstanceOf(FormatError)
    expect(cut).toBeInstanceOf(Error)
    expect({ ...cut, message: cut.message }).toEqual({
      name: 'FormatError',
      kind: 'torn',
      code: 'resp.torn.bulk',
      offset: 2 ** 40,
      message: 'cut',
    })
    expect(corrupt('x', 0, '').kind).toBe('corrupt')
  })
})

describe('an error of the job', () => {
  it('is a sentence for each reason of the system, with the code for scripts', () => {
    expect(
      jobError(
        'cannot read a',
        thrown(() => statSync('/nonexistent/file')),
      ),
    ).toMatchObject({
      name: 'JobError',
      code: 'system.enoent',
      message: 'cannot read a: no such file or folder',
      hint: undefined,
    })
    for (const code of ['EACCES', 'ENOSPC', 'EROFS', 'EISDIR', 'EIO', 'EDQUOT', 'ELOOP', 'EMFILE']) {
      const error = jobError('writing', Object.assign(new Error(`${code}: raw, open 'x'`), { code }))
      expect(error.code).toBe(`system.${code.toLowerCase()}`)
      expect(error.message).toMatch(/^writing: [a-z/ -]+$/)
    }
  })

  it('keeps what it does not know', () => {
    expect(jobError('reading', Object.assign(new Error('odd'), { code: 'EODD' }))).toMatchObject({
      code: 'system.eodd',
      message: 'reading: odd',
    })
    expect(jobError('reading', new Error('plain'))).toMatchObject({
      code: 'job.failed',
      message: 'reading: plain',
    })
    expect(jobError('reading', 'a string')).toMatchObject({
      code: 'job.failed',
      message: 'reading: a string',
    })
    expect(jobError('reading', null)).toMatchObject({ code: 'job.failed', message: 'reading: null' })
  })

  it('is not wrapped twice', () => {
    const inner = new JobError('output.exists', 'it is there', 'use --force')
    expect(jobError('writing', inner)).toBe(inner)
    expect(inner).toMatchObject({ code: 'output.exists', message: 'it is there', hint: 'use --force' })
  })
})
