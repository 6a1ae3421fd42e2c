/** The error with which a server answers a command that it refuses; loading goes on behind it. */
export class Rejection {
  /** As the client would see it, without the `-`. */
  readonly reply: string

  constructor(reply: string) {
    this.reply = reply
  }
}

export const WRONGTYPE = new Rejection('WRONGTYPE Operation against a key holding the wrong kind of value')
export const SYNTAX = new Rejection('ERR syntax error')
export const NOT_AN_INTEGER = new Rejection('ERR value is not an integer or out of range')
export const NOT_A_FLOAT = new Rejection('ERR value is not a valid float')
export const OUT_OF_RANGE = new Rejection('ERR value is out of range, must be positive')
export const NO_SUCH_KEY = new Rejection('ERR no such key')
export const INDEX_OUT_OF_RANGE = new Rejection('ERR index out of range')
export const WOULD_OVERFLOW = new Rejection('ERR increment or decrement would overflow')
export const NAN_OR_INFINITY = new Rejection('ERR increment would produce NaN or Infinity')
