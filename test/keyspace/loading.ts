import { encodeCommand, type Server } from '../helpers/servers.ts'
import { digestOf, replay } from './replaying.ts'

export type Command = readonly (string | Uint8Array | number)[]

/** What a server complains about while it loads: `name: reply`. */
const COMPLAINT =
  /is sending an error to its AOF-loading-client: '-?(.*)' after processing the command '(.*)'$/

const NO_BYTES = new Uint8Array(0)

export interface Difference {
  digests: [ours: string, theirs: string]
  /** Rejected commands, in order, where the lists differ. */
  rejected: [ours: string[], theirs: string[]]
}

/** Lets a server and the keyspace load the same commands, behind a preamble or none; what differs, if anything. */
export async function difference(
  server: Server,
  commands: readonly Command[],
  preamble: Uint8Array = NO_BYTES,
): Promise<Difference | undefined> {
  const log = Buffer.concat([preamble, ...commands.map(encodeCommand)])
  const loaded = await server.load(log)
  let theirs: string
  if (!loaded.started) throw new Error(`${server.name} does not start: ${loaded.log.slice(-3000)}`)
  try {
    theirs = String(await loaded.query('DEBUG', 'DIGEST'))
  } finally {
    await loaded.stop()
  }
  const complaints = loaded.errors.flatMap(line => {
    const match = COMPLAINT.exec(line)
    return match === null ? [] : [`${match[2]}: ${match[1]}`]
  })
  const { keyspace, rejected } = await replay(log, { server: server.name })
  const ours = digestOf(keyspace, server.name)
  const same = rejected.map(withoutCode).join('\n') === complaints.map(withoutCode).join('\n')
  if (ours === theirs && same) return undefined
  return { digests: [ours, theirs], rejected: [rejected, complaints] }
}

/** Servers leave the general code out of some complaints. */
function withoutCode(complaint: string): string {
  return complaint.replace(': ERR ', ': ')
}

/** Finds the command after which a server and the keyspace differ first, and fails with it. */
export async function expectSame(
  server: Server,
  commands: readonly Command[],
  preamble: Uint8Array = NO_BYTES,
): Promise<void> {
  let found = await difference(server, commands, preamble)
  if (found === undefined) return
  let good = 0
  let bad = commands.length
  while (bad - good > 1) {
    const middle = (good + bad) >>> 1
    const nearer = await difference(server, commands.slice(0, middle), preamble)
    if (nearer === undefined) good = middle
    else {
      bad = middle
      found = nearer
    }
  }
  const { digests, rejected } = found
  const last = rejected.map(list => list.slice(-3))
  throw new Error(
    `${server.name} differs after command ${bad}, ${JSON.stringify(commands[bad - 1])}: digests ${digests.join(' and ')}, rejected ${JSON.stringify(last)}`,
  )
}
