import { Rejection } from '../rejection.ts'
import type { Handlers } from './handler.ts'

const DISCARD_ALONE = new Rejection('ERR DISCARD without MULTI')

/** What steers the connection, and is no transaction (replayer.ts): SELECT is among the keys' commands. */
export const CONNECTION: Handlers = {
  // In a transaction servers do not survive it: that is what verify says.
  discard: () => DISCARD_ALONE,

  reset(_call, keyspace) {
    keyspace.selected = 0
  },
}
