import type { Call } from '../call.ts'
import type { Keyspace } from '../keyspace.ts'
import type { Rejection } from '../rejection.ts'

/**
 * Carries out a command, whose number of arguments the server accepts, as a server does while it loads: nothing
 * expires, and nobody is answered. What it returns is why the server would refuse it; the keyspace is then unchanged.
 */
// biome-ignore lint/suspicious/noConfusingVoidType: a handler that refuses nothing returns nothing
export type Handler = (call: Call, keyspace: Keyspace) => Rejection | void

/** By name in small letters; of a subcommand `container|name`. */
export type Handlers = Readonly<Record<string, Handler>>

/** Of a command that changes no key. */
export const nothing: Handler = () => {}
