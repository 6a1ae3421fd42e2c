import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { encodeCommand, foundServers, serversInFolder } from '../helpers/servers.ts'

const SET = encodeCommand(['SET', 'key', 'value'])

it('finds no server in a folder that has none', () => {
  expect(serversInFolder('/nonexistent')).toEqual([])
})

describe.each(foundServers())('%s', server => {
  it.each(['incr', 'base', 'single'] as const)('serves the keys of bytes loaded as %s', async as => {
    const loaded = await server.load(SET, { as })
    expect(loaded.started).toBe(true)
    expect(loaded.errors).toEqual([])
    expect(await loaded.query('GET', 'key')).toEqual(Buffer.from('value'))
    expect(await loaded.query('NOSUCH')).toBeInstanceOf(Error)
    expect(await loaded.query('LRANGE', 'none', 0, -1)).toEqual([])
    await loaded.stop()
  })

  it('tells the size of a part that the server cut, and what it said', async () => {
    const loaded = await server.load(Buffer.concat([SET, SET.subarray(0, 5)]))
    await loaded.stop()
    expect(loaded.sizes['appendonlydir/appendonly.aof.1.incr.aof']).toBe(SET.length)
    expect(loaded.errors.join()).toContain(`at offset ${SET.length}`)
  })

  it('tells a refusal from a crash', async () => {
    const refused = await server.load(SET.subarray(0, 5), { truncated: 'no' })
    await refused.stop()
    expect(refused).toMatchObject({ started: false, crashed: false, exit: 1 })
    expect(refused.errors.join()).toContain('Unexpected end of file')
    const crashed = await server.load(Buffer.from('*1\r\n$-1\r\n'))
    await crashed.stop()
    expect(crashed).toMatchObject({ started: false, crashed: true })
  })

  it('gives up a server that neither starts nor ends', async () => {
    const loaded = await server.load(encodeCommand(['EVAL', 'while true do end', 0]), { timeout: 300 })
    await loaded.stop()
    expect(loaded).toMatchObject({ started: false, crashed: true, exit: 'SIGKILL' })
  })

  it('writes a log in a run, which loads from its folder and from its files', async () => {
    const folder = await server.run([
      ['SET', 'a', 1],
      ['RPUSH', 'b', 'x', 'y'],
    ])
    const files = Object.fromEntries(
      readdirSync(folder).map(name => [name, readFileSync(join(folder, name))]),
    )
    for (const log of [folder, files]) {
      const loaded = await server.load(log)
      expect(await loaded.query('DBSIZE')).toBe(2)
      await loaded.stop()
    }
    await expect(server.run([['INCR']])).rejects.toThrow('wrong number of arguments')
  })

  it('leaves neither a process nor a folder behind', async () => {
    const loaded = await server.load(SET)
    const [pid] = String(await loaded.query('INFO', 'server')).match(/(?<=process_id:)\d+/)!
    await loaded.stop()
    expect(() => process.kill(Number(pid), 0)).toThrow('ESRCH')
    expect(existsSync(loaded.folder)).toBe(false)
    await loaded.stop()
  })
})
