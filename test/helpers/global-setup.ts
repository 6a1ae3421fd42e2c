import { foundServers, SERVERS_VARIABLE, versionOf } from './servers.ts'

/** Says once, before all tests, which real servers they are held against. */
export default function setup(): void {
  const servers = foundServers()
  const folder = process.env[SERVERS_VARIABLE]
  if (folder && servers.length === 0) throw new Error(`${SERVERS_VARIABLE}: no bin/NAME-server in ${folder}`)
  const lines =
    servers.length === 0
      ? [
          'No real server found: nothing is compared with what servers do. Install redis-server or valkey-server',
          `(redis 7.0 or 8.0, valkey 8.1 or 9.1), or name a folder with bin/NAME-server in ${SERVERS_VARIABLE}.`,
        ]
      : ['Real servers that the tests use:', ...servers.map(server => describe(server.name, server.binary))]
  process.stderr.write(`${lines.join('\n')}\n`)
}

function describe(name: string, binary: string): string {
  const version = versionOf(binary)
  if (version === '') throw new Error(`${binary} does not run`)
  return `  ${name}: ${version.replace(/ sha=.*/, '')} (${binary})`
}
