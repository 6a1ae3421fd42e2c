import { encodeCommand } from '../helpers/servers.ts'

/**
 * Forms of a log and what every server at hand does with them, as the only incr part. `torn`: starts with
 * `aof-load-truncated yes`, having cut the file to `validUpTo` bytes, and stops with `no`. `crashes` and `stops`: with
 * both settings. framing.test.ts holds real servers against it.
 */
export interface FramingCase {
  readonly name: string
  readonly bytes: Uint8Array
  readonly outcome: 'loads' | 'torn' | 'stops' | 'crashes'
  /** Keys that are there afterwards, sorted, all in database 0 but those of `SELECT`. */
  readonly keys: readonly string[]
  readonly validUpTo?: number
}

const BEFORE = encodeCommand(['SET', 'before', '1'])
const AFTER = encodeCommand(['SET', 'after', '1'])
const bytes = (text: string) => Buffer.from(text, 'latin1')
const commands = (...lines: string[]) =>
  lines.map(line => encodeCommand(line.split(' ')).toString('latin1')).join('')

export const FRAMING_CASES: FramingCase[] = []

/** Between two commands. */
function between(outcome: FramingCase['outcome'], keys: string, cases: Record<string, string>): void {
  for (const [name, text] of Object.entries(cases)) {
    FRAMING_CASES.push({
      name: `${name}, between two commands`,
      bytes: Buffer.concat([BEFORE, bytes(text), AFTER]),
      outcome,
      keys: keys === '' ? [] : keys.split(' '),
      ...(outcome === 'torn' ? { validUpTo: BEFORE.length } : {}),
    })
  }
}

/** Behind a command, at the end of the file. */
function atEnd(outcome: FramingCase['outcome'], keys: string, cases: Record<string, string>): void {
  for (const [name, text] of Object.entries(cases)) {
    FRAMING_CASES.push({
      name: `${name}, at the end`,
      bytes: Buffer.concat([BEFORE, bytes(text)]),
      outcome,
      keys: keys === '' ? [] : keys.split(' '),
      ...(outcome === 'torn' ? { validUpTo: BEFORE.length } : {}),
    })
  }
}

function alone(outcome: FramingCase['outcome'], texts: string[]): void {
  for (const text of texts) {
    FRAMING_CASES.push({
      name: `nothing but ${JSON.stringify(text)}`,
      bytes: bytes(text),
      outcome,
      keys: [],
      ...(outcome === 'torn' ? { validUpTo: 0 } : {}),
    })
  }
}

/** `SET x 1` with something else for its first header, or for the header of its last argument. */
const star = (header: string) => `${header}\r\n$3\r\nSET\r\n$1\r\nx\r\n$1\r\n1\r\n`
const dollar = (header: string, value = '1') => `*3\r\n$3\r\nSET\r\n$1\r\nx\r\n${header}\r\n${value}\r\n`
const named = (texts: readonly string[], form: (text: string) => string, label = '') =>
  Object.fromEntries(texts.map(text => [JSON.stringify(text) + label, form(text)]))
const ofSizes = (label: string, sizes: readonly number[], form: (size: number) => string) =>
  Object.fromEntries(sizes.map(size => [`${label} of ${size} bytes`, form(size)]))
const zeros = (count: number) => '\0'.repeat(count)

// The number behind "*" is read by atoi: what strtol makes of it, cut to 32 bits.
const SAME_AS_3 = ['* 3', '*+3', '*003', '*3x', '*3 ', '*\t3', '*\v3', '*3\x003', '*3.9', '*3*3']
between('loads', 'after before x', named(SAME_AS_3, star))
between('loads', 'after before x', named(['*4294967299', '*8589934595', '*-4294967293'], star))
const NO_COUNT = ['*', '*0', '*-0', '*-1', '*--3', '*0x3', '*x', '*2147483648', '*4294967296', '*-2147483645']
between('stops', '', named(NO_COUNT, star))
// strtol stays at the ends of 64 bits, whose lower half is -1 or 0.
const SATURATED = [
  '*9223372036854775808',
  '*9223372036854775811',
  '*18446744073709551619',
  '*-9223372036854775809',
]
between('stops', '', named(SATURATED, star))
// More arguments than there are: what follows is no argument.
between('stops', '', named(['*1048576', '*134217728', '*2147483647'], star))
// A first byte of NUL ends the line for C, which servers take for a failed read, and at the end of file for a short one.
between('stops', '', named(['*\x003', '\x00*3'], star))

// The number behind "$" is read by strtol.
const SAME_AS_1 = ['$+1', '$ 1', '$1x', '$001', '$1 ', '$\t1', '$1\x002', '$1.9', '$ +1']
between(
  'loads',
  'after before x',
  named(SAME_AS_1, header => dollar(header)),
)
const SAME_AS_0 = ['$', '$0', '$00', '$-0', '$x', '$+', '$--1', '$0x1', '$\x001']
between(
  'loads',
  'after before x',
  named(SAME_AS_0, header => dollar(header, ''), ' and no byte'),
)
between(
  'stops',
  '',
  named(SAME_AS_0, header => dollar(header), ' and a byte'),
)
between(
  'stops',
  '',
  named([' $1', '\x00$1', '*1', '#'], header => dollar(header)),
)
const BEYOND = ['$100', '$600000000', '$2147483648', '$4294967296', '$100000000000', '$70368744177664']
between(
  'torn',
  'before',
  named(BEYOND, header => dollar(header)),
)
// Memory for it cannot be had: above some value between 2^46 and 2^47, by server and address space.
const TOO_LARGE = [
  '$140737488355328',
  '$4611686018427387904',
  '$9223372036854775807',
  '$18446744073709551617',
]
between(
  'crashes',
  '',
  named(TOO_LARGE, header => dollar(header)),
)
between(
  'crashes',
  '',
  named(['$-1', '$-3', '$-20', '$-4294967295', '$-9223372036854775809'], header => dollar(header)),
)

// Headers end with LF alone; the two bytes behind an argument are not looked at, but they are two.
between('loads', 'after before x', {
  'headers ended by LF': '*3\n$3\nSET\r\n$1\nx\r\n$1\n1\r\n',
  'terminators of other bytes': '*3\r\n$3\r\nSETxx$1\r\nxxx$1\r\n1xx',
  'a NUL behind the count': star('*3\0\0'),
})
between('stops', '', {
  'everything ended by LF': '*3\n$3\nSET\n$1\nx\n$1\n1\n',
  'an empty name': '*1\r\n$0\r\n\r\n',
  CRLF: '\r\n',
  LF: '\n',
  CR: '\r',
  'a space': ' ',
  'an inline command': 'SET x 1\r\n',
  'an annotation before the first argument': '*3\r\n#TS:1\r\n$3\r\nSET\r\n$1\r\nx\r\n$1\r\n1\r\n',
  'an annotation before the second argument': '*3\r\n$3\r\nSET\r\n#TS:1\r\n$1\r\nx\r\n$1\r\n1\r\n',
  'a command within a command': '*3\r\n$3\r\nSET\r\n*1\r\n$1\r\nx\r\n',
  'an unknown command': commands('NOSUCH x'),
  'an unknown command in a transaction': commands('MULTI', 'NOSUCH x', 'EXEC'),
})

// 1,023 bytes are read as a line; what is behind them is read as whatever stands next.
between('loads', 'after before x', {
  ...ofSizes('a count', [1022, 1023], size => star(`*${'0'.repeat(size - 4)}3`)),
  ...ofSizes('a length', [1022, 1023], size => dollar(`$${'0'.repeat(size - 4)}1`)),
  'a count of 1023 bytes without line end': `*3${' '.repeat(1021)}$3\r\nSET\r\n$1\r\nx\r\n$1\r\n1\r\n`,
  'a length of 1023 bytes without line end': `*3\r\n$3\r\nSET\r\n$1\r\nx\r\n$1${' '.repeat(1021)}1\r\n`,
  '1,023 bytes of annotation, a command in its line': `${'#'.repeat(1023)}${commands('SET x 1')}`,
})
between('stops', '', {
  ...ofSizes('a count', [1024, 1025, 1026], size => star(`*${'0'.repeat(size - 4)}3`)),
  ...ofSizes('a length', [1024, 1025], size => dollar(`$${'0'.repeat(size - 4)}1`)),
})
between('loads', 'after before', {
  ...ofSizes('an annotation with CRLF', [3, 1021, 1022, 1023], size => `#${'x'.repeat(size - 3)}\r\n`),
  ...ofSizes('an annotation with LF', [2, 1022, 1023], size => `#${'x'.repeat(size - 2)}\n`),
  ...ofSizes('an annotation of nothing but #', [2046, 3000], size => `${'#'.repeat(size - 2)}\r\n`),
  'a malformed timestamp': '#TS:abc\r\n',
  'an annotation with NUL': '#ab\0cd\r\n',
})
between('stops', '', {
  ...ofSizes('an annotation with CRLF', [1024, 1025, 1026, 1030], size => `#${'x'.repeat(size - 3)}\r\n`),
  ...ofSizes('an annotation with LF', [1024, 1025], size => `#${'x'.repeat(size - 2)}\n`),
  'an annotation cut in two by LF': '#ab\0\ncd\r\n',
})
between('loads', 'after before in', {
  'annotations in a transaction': `${commands('MULTI')}#TS:1\r\n${commands('SET in 1')}#TS:2\r\n${commands('EXEC')}`,
  'a nested MULTI': commands('MULTI', 'SET in 1', 'MULTI', 'EXEC'),
})
between('loads', 'after before', {
  'a lone EXEC': commands('EXEC'),
  'a lone DISCARD': commands('DISCARD'),
  'an empty transaction': commands('MULTI', 'EXEC'),
  'SELECT beyond the databases': commands('SELECT 16'),
  ...named(
    ['abc', '01', '+1', '-0', '1.0', '0x1', '4294967297', '-1'],
    db => commands(`SELECT ${db}`),
    ' as a database',
  ),
})
between('loads', 'before', {
  'a SELECT': commands('SELECT 3'),
  'a SELECT in a transaction': commands('MULTI', 'SELECT 3', 'EXEC'),
})
between('torn', 'before', {
  'a MULTI that nothing ends': commands('MULTI'),
  'a DISCARD in a transaction without EXEC': commands('MULTI', 'SET in 1', 'DISCARD'),
  'a RESET in a transaction without EXEC': commands('MULTI', 'SET in 1', 'RESET'),
})
between('crashes', '', {
  'a DISCARD in a transaction': commands('MULTI', 'SET in 1', 'DISCARD', 'EXEC'),
  'a transaction discarded, another one executed': commands('MULTI', 'DISCARD', 'MULTI', 'EXEC'),
})

const SET = commands('SET x 1')
atEnd('torn', 'before', {
  ...Object.fromEntries(
    Array.from({ length: SET.length - 1 }, (_, i) => [
      `the first ${i + 1} bytes of a command`,
      SET.slice(0, i + 1),
    ]),
  ),
  // The line goes on with NUL, but the file ends before the line does: a short read.
  ...ofSizes('"*" and zeros', [2, 11, 1022], size => `*${zeros(size - 1)}`),
  ...ofSizes('"*3" and zeros', [12, 1022], size => `*3${zeros(size - 2)}`),
  '"$" and zeros': `*1\r\n$${zeros(10)}`,
  '"$4" and zeros': `*1\r\n$4${zeros(10)}`,
  'half a terminator of NUL': `*1\r\n$4\r\nPING${zeros(1)}`,
  'a length that is none': '*1\r\n$x\r\n',
  'half a negative length': '*1\r\n$-',
  'a count of 2,000,000,000': '*2000000000',
  'a count of 1,022 bytes without line end': `*3${' '.repeat(1020)}`,
  'an open transaction': commands('MULTI', 'SET in 1'),
  'an annotation in an open transaction': `${commands('MULTI', 'SET in 1')}#TS:2`,
})
atEnd('loads', 'before', {
  'an annotation without line end': '#TS:17',
  'an annotation and CR': '#TS:17\r',
  'an annotation and zeros': `#TS:1${zeros(10)}`,
  '1,023 bytes of annotation': `#${'x'.repeat(1022)}`,
  '2,000 bytes of #': '#'.repeat(2000),
  'a terminator of NUL': `*1\r\n$4\r\nPING${zeros(2)}`,
})
atEnd('stops', '', {
  ...ofSizes('zeros', [1, 2, 10, 1022, 1023, 1024, 5000], zeros),
  'zeros and LF': `${zeros(10)}\n`,
  'zeros in an open transaction': `${commands('MULTI', 'SET in 1')}${zeros(1)}`,
  '"*" and 1,022 zeros': `*${zeros(1022)}`,
  '"*3" and 5,000 zeros': `*3${zeros(5000)}`,
  '"*3", CRLF and zeros': `*3\r\n${zeros(10)}`,
  '"$4" and 5,000 zeros': `*1\r\n$4${zeros(5000)}`,
  'a name that goes on as zeros': `*3\r\n$3\r\nSE${zeros(10)}`,
  'a value that goes on as zeros': `*3\r\n$3\r\nSET\r\n$1\r\nx\r\n$10\r\nab${zeros(5000)}`,
  'a terminator that goes on as zeros': `*1\r\n$4\r\nPING${zeros(10)}`,
  'an annotation and 5,000 zeros': `#TS:1${zeros(5000)}`,
  '1,024 bytes of annotation': `#${'x'.repeat(1023)}`,
  'a count of 1,024 bytes without line end': `*3${' '.repeat(1022)}`,
  ...named(
    ['\r\n', '\n', '\r', ' ', '*0', '*0\r', '*x', '*-', '$', 'x', '*1\r\nx', '*1\r\nx\r\n'],
    text => text,
  ),
  'an inline command': 'SET x 1\r\n',
})
atEnd(
  'crashes',
  '',
  named(['*1\r\n$-1', '*1\r\n$99999999999999999999'], text => text),
)

alone('loads', ['', '#', '# ', '#\r\n'])
alone('torn', ['*', '*1', '*1\r', '*1\r\n', '*1\r\n$', '*1\r\n$4', '*1\r\n$4\r\nPING', '*1\r\n$4\r\nPING\r'])
alone('stops', [
  '$',
  '\0',
  'R',
  'V',
  '\n',
  '\r',
  '\r\n',
  'REDI',
  'REDIS',
  'REDIS0',
  'REDIS0010',
  'VALKEY',
  'VALKEY080',
])
alone('stops', [
  '*\r\n',
  'any text',
  'file a seq 1 type b\n',
  '\xef\xbb\xbf*1\r\n$4\r\nPING\r\n',
  'SET x 1\r\n',
])
