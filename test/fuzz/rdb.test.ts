import { expect, it } from 'vitest'
import { fuzzRdb } from './rdb.ts'

/** About two seconds; AOFKIT_LONG=1 takes as many minutes. */
const RUNS = process.env.AOFKIT_LONG === undefined ? 150 : 10_000
const SEED = Number(process.env.AOFKIT_SEED ?? 20240501)

it(`reads RDB files that were changed at random, without harm (seed ${SEED})`, async () => {
  await expect(fuzzRdb(SEED, 0, RUNS)).resolves.toBeUndefined()
}, 1_800_000)
