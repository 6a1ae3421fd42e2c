import { randomFillSync } from 'node:crypto'

/**
 * Two words that are others in every process: hashes that depend on them cannot be known beforehand, so nobody can write
 * a file in which many things have the same.
 */
export const SEED = randomFillSync(new Int32Array(2))
