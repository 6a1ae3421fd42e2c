import { JobError } from '../bytes/errors.ts'
import { escapeBytes } from '../bytes/escape.ts'
import { type Keyspace, KIND_NAMES } from '../keyspace/keyspace.ts'
import type { ServerName } from '../servers/servers.ts'
import { KeyspaceDigest } from '../values/digest.ts'
import type { Kind } from '../values/elements.ts'
import { Slice } from '../values/slice.ts'

/** Bytes of a key that are shown in a message. */
const SHOWN = 80

/**
 * Digests a keyspace; keys that have no digest are left out and counted.
 *
 * @throws JobError `digest.opaque` for such a key, unless `ignoreOpaque`
 */
export function digestOf(
  keyspace: Keyspace,
  server: ServerName,
  ignoreOpaque: boolean,
): { digest: KeyspaceDigest; opaque: number } {
  const digest = new KeyspaceDigest({ server })
  const key = new Slice()
  let opaque = 0
  for (let cell = keyspace.nextKey(0); cell !== 0; cell = keyspace.nextKey(cell)) {
    const kind = KIND_NAMES[keyspace.kind(cell)] as Kind
    keyspace.key(cell, key)
    if (!KeyspaceDigest.knows(kind)) {
      if (!ignoreOpaque) throw noDigest(`database ${keyspace.database(cell)}`, key, kind)
      opaque++
      continue
    }
    digest.key(keyspace.database(cell), key, kind, keyspace.expiry(cell))
    keyspace.emit(cell, digest)
  }
  return { digest, opaque }
}

export function noDigest(place: string, key: Slice, kind: Kind): JobError {
  return new JobError(
    'digest.opaque',
    `${place}: the key "${escapeBytes(key.bytes.subarray(key.at, key.end), SHOWN)}" holds a value (${kind}) whose digest only a server knows`,
    '--ignore-opaque leaves such keys out',
  )
}
