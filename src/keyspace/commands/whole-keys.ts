/**
 * Commands that take a key as a whole, or give it a new value, whatever it holds: an opaque key is the same to them as
 * any other.
 */
export const WHOLE_KEY_COMMANDS: ReadonlySet<string> = new Set([
  'del',
  'unlink',
  'expire',
  'pexpire',
  'expireat',
  'pexpireat',
  'persist',
  'rename',
  'renamenx',
  'move',
  'copy',
  'swapdb',
  'flushdb',
  'flushall',
  'restore',
  'restore-asking',
  'set',
  'setnx',
  'setex',
  'psetex',
  'mset',
  'msetnx',
])
