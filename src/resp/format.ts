/*
 * A log is a sequence of records and annotations, each beginning at the start of a "line":
 *
 *     *3\r\n                 header: number of arguments
 *     $3\r\nSET\r\n          argument: length, bytes, two bytes of terminator
 *     $6\r\nuser:1\r\n
 *     $2\r\nv1\r\n
 *     #TS:1700000000\r\n     annotation: one line
 *
 * Servers read it with fgets into 1,024 bytes, atoi for the number behind `*` and strtol for the one behind `$`
 * (aof.c, loadSingleAppendOnlyFile): a header ends with LF alone, a number ends at the first byte that is no digit,
 * and a line longer than 1,023 bytes goes on as if a new one began. The scanner has a fast path for what servers
 * write and this reading for everything else, so that its verdict is theirs.
 */

export const STAR = 0x2a
export const DOLLAR = 0x24
export const HASH = 0x23
export const CR = 0x0d
export const LF = 0x0a
export const ZERO = 0x30

/** The most that servers read as one line, in bytes, its LF counted (AOF_ANNOTATION_LINE_MAX_LEN less the NUL). */
export const MAX_LINE = 1023
