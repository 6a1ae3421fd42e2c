import { type Input, openPart } from '../aof/parts.ts'
import { scanPart } from '../aof/scan.ts'

/** How much more a log is than its base, in percent as servers reckon; `base` bytes of 0: there is none. */
export function growthPercent(bytes: number, base: number): number {
  return Math.floor((bytes * 100) / base) - 100
}

/** When servers rewrite a log by themselves. */
export interface RewriteRule {
  /** `auto-aof-rewrite-percentage`. */
  readonly percent: number
  /** `auto-aof-rewrite-min-size`, in bytes: up to it nothing is done. */
  readonly minSize: number
}

export interface Growth {
  readonly bytes: number
  /** Bytes of the base, or of the preamble. 0: there is none, and what servers compare with is 1 byte. */
  readonly base: number
  readonly percent: number
  /** Whether a server would rewrite it. */
  readonly due: boolean
}

/**
 * What `auto-aof-rewrite-percentage` and `auto-aof-rewrite-min-size` say of a log. Of a single file its preamble is read, of
 * others nothing. Undefined where its size is not known.
 */
export async function growthOf(input: Input, { percent, minSize }: RewriteRule): Promise<Growth | undefined> {
  const { size: bytes } = input
  if (bytes === undefined) return undefined
  let base = 0
  for (const part of input.parts) {
    if (part.role === 'base') base += part.size ?? 0
    if (part.role === 'single') base += await preambleEnd(input)
  }
  const grown = growthPercent(bytes, Math.max(1, base))
  return { bytes, base, percent: grown, due: bytes > minSize && grown >= percent }
}

async function preambleEnd({ parts: [part] }: Input): Promise<number> {
  const source = await openPart(part)
  try {
    let commands = false
    const found = () => {
      commands = true
    }
    const end = await scanPart(
      source,
      { rdb() {}, records: found, long: found, progress: () => commands },
      { databases: Number.POSITIVE_INFINITY },
    )
    // An RDB alone is its own base.
    return end.format === 'rdb' ? end.size : end.preambleEnd
  } finally {
    await source.close()
  }
}
