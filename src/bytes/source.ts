/**
 * Bytes to read: a file, a buffer, standard input, or one of these decompressed. One interface, in order, with the
 * possibility to look back where the input is a file.
 */
export interface Source {
  /** As the user named it: a path or `-`. Escape before showing. */
  readonly name: string
  /** Bytes that will be delivered; undefined while that is unknown (a pipe, compressed input). */
  readonly size: number | undefined
  /** Whether {@link readAt} works. */
  readonly seekable: boolean
  /**
   * Reads the next bytes into `target[from, to)`; the number read, at least 1, or 0 at the end (a file: at its size
   * at opening). Throws a JobError when the system refuses or the file has shrunk.
   */
  read(target: Uint8Array, from: number, to: number): Promise<number>
  /** Fills `target` from `offset`; the number read, less than its length only at the end. */
  readAt(target: Uint8Array, offset: number): Promise<number>
  /** Looks at the size of a file once more; true when it has grown, and {@link read} goes on up to the new size. */
  grow(): Promise<boolean>
  close(): Promise<void>
}
