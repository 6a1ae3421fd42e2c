/** Decodes an RDB from memory, in pieces of chosen sizes, into the form of answers.ts. */
import type { Source } from '../../src/bytes/source.ts'
import { Window } from '../../src/bytes/window.ts'
import { EntryReader } from '../../src/rdb/entries.ts'
import type { Magic } from '../../src/rdb/format.ts'
import { decodeString } from '../../src/rdb/strings.ts'
import { RdbWalk } from '../../src/rdb/walk.ts'
import { NO_EXPIRY } from '../../src/values/elements.ts'
import { PieceSource } from '../helpers/chunks.ts'
import { type Answer, AnswerSink, latin1, place, textOf } from './answers.ts'

export interface Decoded {
  readonly answers: readonly Answer[]
  /** By {@link place}. */
  readonly hints: ReadonlyMap<string, { readonly idle: number; readonly frequency: number }>
  /** RDB types that were met. */
  readonly types: ReadonlySet<number>
  /** Sources of libraries, sorted. */
  readonly functions: readonly string[]
  readonly magic: Magic
}

/**
 * All that aofkit decodes from an RDB; throws where it finds anything wrong.
 *
 * @param chunk bytes of a window
 * @param expected codes of what may be odd
 */
export async function decode(
  rdb: Uint8Array | readonly Uint8Array[] | Source,
  chunk?: number,
  expected: readonly string[] = [],
): Promise<Decoded> {
  const source =
    rdb instanceof Uint8Array ? new PieceSource([rdb]) : Array.isArray(rdb) ? new PieceSource(rdb) : rdb
  const answers: Answer[] = []
  const hints = new Map<string, { idle: number; frequency: number }>()
  const types = new Set<number>()
  const functions: string[] = []
  let magic: Magic = 'REDIS'
  let current: { answer: Pick<Answer, 'db' | 'key' | 'expireAtMs'>; sink: AnswerSink } | undefined
  const complete = () => {
    if (current !== undefined) answers.push({ ...current.answer, ...current.sink.take() })
    current = undefined
  }
  const reader = new EntryReader({
    entry({ db, key, type, expireAtMs, idle, frequency }) {
      complete()
      const answer = {
        ...{ db, key: textOf(key) },
        ...(expireAtMs === NO_EXPIRY ? {} : { expireAtMs: String(expireAtMs) }),
      }
      types.add(type)
      hints.set(place(db, answer.key), { idle, frequency })
      current = { answer, sink: new AnswerSink() }
      return current.sink
    },
    damaged(error) {
      throw error
    },
    odd(code, offset, message) {
      if (!expected.includes(code)) throw new Error(`${code} at ${offset}: ${message}`)
    },
  })
  const window = new Window(source as Source, chunk)
  const walk = new RdbWalk(window, { values: true })
  for (let event = await walk.next(); event !== undefined; event = await walk.next()) {
    reader.event(event)
    if (event.kind === 'header') magic = event.magic
    if (event.kind === 'function') {
      const { bytes } = event
      if (bytes === undefined) throw new Error(`the function at ${event.offset} is not there`)
      functions.push(latin1(decodeString(bytes, 1, bytes.length, event.offset)))
    }
  }
  if (walk.error !== undefined) throw walk.error
  complete()
  return { answers, hints, types, functions: functions.sort(), magic }
}
