/** Exit status, as `diff` and `grep` have it. */
export const Exit = {
  /** Sound, done, no difference. */
  Ok: 0,
  /** Damage, a difference, a missed expectation. */
  Damaged: 1,
  /** The job could not be done: usage, a missing or unreadable file, refused, disk full. */
  Failed: 2,
} as const
export type Exit = (typeof Exit)[keyof typeof Exit]
