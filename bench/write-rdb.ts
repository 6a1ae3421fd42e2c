import { FileSource } from '../src/bytes/file-source.ts'
import { Sink } from '../src/bytes/sink.ts'
import { Window } from '../src/bytes/window.ts'
import { EntryReader } from '../src/rdb/entries.ts'
import { fieldsMayExpire, isTargetName, RDB_TARGETS, type TargetName } from '../src/rdb/targets.ts'
import { RdbWalk } from '../src/rdb/walk.ts'
import { RdbWriter } from '../src/rdb/writer.ts'

/*
 * Decodes every value of an RDB and writes it anew, compressed: a whole process, to be timed.
 *
 *     node scripts/run.js bench/write-rdb.ts IN OUT [TARGET]
 */

const ENOUGH = 1 << 20

async function rewrite(from: string, to: string, target: TargetName): Promise<void> {
  const source = await FileSource.open(from)
  const sink = await Sink.create(to, { replace: true })
  try {
    const walk = new RdbWalk(new Window(source), { values: true })
    const { family } = RDB_TARGETS[target]
    const writer = new RdbWriter(RDB_TARGETS[target], { modules: family })
    const reader = new EntryReader({
      entry: entry => writer.entry(entry, fieldsMayExpire(entry.type)),
      damaged: error => {
        throw error
      },
    })
    let writing: Promise<void> = Promise.resolve()
    for (let event = await walk.next(); event !== undefined; event = await walk.next()) {
      switch (event.kind) {
        case 'select':
          writer.select(event.db)
          break
        case 'resize':
          writer.resize(event.keys, event.expires)
          break
        case 'aux':
          if (event.name !== undefined && event.value !== undefined)
            writer.aux(Buffer.from(event.name).toString(), Buffer.from(event.value).toString())
          break
        case 'function':
        case 'module-aux':
          if (event.bytes !== undefined) writer.copyRecord(event.kind, event.bytes, 0, event.bytes.length)
          break
        default:
          reader.event(event)
      }
      if (writer.pending < ENOUGH) continue
      await writing
      writing = sink.write(writer.take())
    }
    if (walk.error !== undefined) throw walk.error
    writer.finish()
    await writing
    await sink.write(writer.take())
    await sink.commit()
  } finally {
    await sink.abort()
    await source.close()
  }
}

const [from, to, target = 'redis-8.0'] = process.argv.slice(2)
if (!isTargetName(target)) throw new Error(`no target: ${target}`)
await rewrite(from, to, target)
