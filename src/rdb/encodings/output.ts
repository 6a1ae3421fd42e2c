/** What writes an encoded value: how its strings are encoded, and where its bytes go, is decided behind it. */
export interface ValueOutput {
  /** A number in the length encoding, of up to 64 bits. */
  length(value: number | bigint): void
  /** A string, as an integer or compressed where that is shorter. */
  string(bytes: Uint8Array, at: number, end: number): void
  /** Bytes as they are. */
  raw(bytes: Uint8Array, at: number, end: number): void
}
