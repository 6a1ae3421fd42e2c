import type { Finding } from '../aof/finding.ts'
import type { Glob } from '../bytes/glob.ts'
import { Argument } from '../keyspace/argument.ts'
import { CellKind } from '../keyspace/cells.ts'
import { type Keyspace, KIND_NAMES } from '../keyspace/keyspace.ts'
import type { ElementSink, Kind } from '../values/elements.ts'
import type { Slice } from '../values/slice.ts'

/** Which keys are wanted: those that meet every condition. */
export interface KeySelection {
  readonly key?: Glob | undefined
  readonly databases?: ReadonlySet<number> | undefined
  readonly types?: ReadonlySet<Kind> | undefined
}

/** A key of the keyspace. Void after the call that brings it. */
export interface Key {
  readonly db: number
  readonly key: Slice
  readonly kind: Kind
  /** Milliseconds since 1970, or `NO_EXPIRY`. */
  readonly expireAtMs: bigint
}

/** Takes values of keys. */
export interface KeySink extends ElementSink {
  /** Whether the last value has elements, or is a stream: servers have no other keys. */
  readonly exists: boolean
}

/** Who is given the keyspace. */
export interface KeyVisitor {
  /** The next key: who takes its value. */
  key(key: Key): KeySink
  /** The value of the last key breaks off, unless it had its `end`: its sink gets no more. */
  cut(): void
  /**
   * Something for which the log does not load as it is.
   * @param count how many of its code there are: this is the first
   */
  damage(finding: Finding, count: number): Promise<void>
  /** Called once a window, and when {@link full}, with the bytes read so far in all parts: time to write. */
  pause(bytes: number): Promise<void>
  /** Whether it has much to write: a window holds little of what may come out of it. */
  readonly full: boolean
  /** Whether it wants no more. */
  readonly done: boolean
}

/** Keys that are given before whoever takes them may write. */
const AT_ONCE = 1000

/** Hands a keyspace on, key by key. @param bytes read of the log, for `pause` */
export async function visitKeys(
  keyspace: Keyspace,
  selection: KeySelection,
  visitor: KeyVisitor,
  bytes: number,
): Promise<void> {
  const key = new Argument()
  let waiting = 0
  for (let cell = keyspace.nextKey(0); cell !== 0 && !visitor.done; cell = keyspace.nextKey(cell)) {
    if (visitor.full || ++waiting > AT_ONCE) {
      waiting = 0
      await visitor.pause(bytes)
    }
    const kind = KIND_NAMES[keyspace.kind(cell)] as Kind
    const db = keyspace.database(cell)
    if (selection.databases?.has(db) === false || selection.types?.has(kind) === false) continue
    keyspace.key(cell, key)
    if (selection.key !== undefined && !selection.key.test(key.bytes, key.at, key.length)) continue
    const sink = visitor.key({ db, key, kind, expireAtMs: keyspace.expiry(cell) })
    keyspace.emit(cell, sink)
    if (keyspace.kind(cell) === CellKind.Module && keyspace.opaques.commands(cell) > 0) visitor.cut()
  }
}
