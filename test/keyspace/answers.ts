import { expect } from 'vitest'
import { encodeCommand, type Server } from '../helpers/servers.ts'
import { type Answer, askAll, byPlace, shortened } from '../rdb/answers.ts'
import type { Command } from './loading.ts'
import { answersOf, replay } from './replaying.ts'

/** Fails where a server that has loaded the commands answers otherwise: digests know no times. */
export async function expectSameAnswers(server: Server, commands: readonly Command[]): Promise<void> {
  const log = Buffer.concat(commands.map(encodeCommand))
  const { keyspace } = await replay(log, { server: server.name })
  const loaded = await server.load(log)
  try {
    const theirs = await askAll((...args) => loaded.query(...args), server.name)
    expect(sorted(answersOf(keyspace))).toEqual(sorted(theirs))
  } finally {
    await loaded.stop()
  }
}

function sorted(answers: readonly Answer[]): [string, Answer][] {
  return shortened([...byPlace(answers)]).sort(([a], [b]) => (a < b ? -1 : 1))
}
