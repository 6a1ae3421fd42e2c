import type { Slice } from '../../values/slice.ts'

/*
 * Small collections stand in one string: elements one after the other, packed. Whoever reads them need not know in
 * which of the formats (listpack.ts, ziplist.ts).
 */

/**
 * Told what is odd about an encoded value: it can be decoded all the same, and servers load it, or some do. The offset
 * is in the part; inside what is compressed, it is that of the compressed string.
 */
export type Odd = (code: string, offset: number, message: string) => void

/** Reads a packed string, element by element. One object reads many. */
export interface PackedReader {
  /**
   * Begins with the string at `text`.
   *
   * @param offset of the text in the part
   * @param plain whether it stands there as it is, so that offsets go on inside it (else it was compressed)
   * @param odd where to say what does not add up (counts, back-lengths, what stands behind the end); absent: not looked at
   * @throws FormatError when its header cannot be right
   */
  open(text: Slice, offset: number, plain: boolean, odd: Odd | undefined): void
  /** How many elements the header promises; -1 where it does not say (more than it has room for). */
  readonly count: number
  /**
   * Makes `slice` the next element: a view, or the digits of an integer. False at the end.
   *
   * @throws FormatError when the element cannot be read
   */
  next(slice: Slice): boolean
  /** Offset in the part of the element that `next` gave last; of the string where that was compressed. */
  readonly offset: number
}

/** Writes a packed string. One object writes many. */
export interface PackedWriter {
  /** Elements so far. */
  readonly count: number
  /** Bytes that the string would have now. */
  readonly size: number
  /** Begins anew. */
  reset(): void
  /** Adds an element, as the servers would encode it: as an integer when its text is exactly that of one. */
  append(element: Slice): void
  /** Completes the string: a view, valid until the next reset. */
  finish(): Slice
}
