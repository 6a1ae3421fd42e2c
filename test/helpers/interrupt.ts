/**
 * A script to be loaded before aofkit (`node --require`): it counts the calls that change the disk, and strikes with
 * `SIGNAL` at number `AT` of them, `WHEN` being `before` or `after` it; `COUNT` names a file for their number.
 */
export const PRELOAD = `
const fs = require('node:fs')
const { syncBuiltinESMExports } = require('node:module')
const { AT, SIGNAL, WHEN, COUNT } = process.env
let count = 0
const strike = (number, when) => {
  if (number === Number(AT) && when === WHEN) process.kill(process.pid, SIGNAL)
}
const counted = () => {
  strike(++count, 'before')
  return count
}
for (const name of ['open', 'write', 'fsync', 'fdatasync', 'ftruncate', 'fchmod', 'fchown']) {
  const real = fs[name]
  fs[name] = (...args) => {
    if (name === 'open' && !/[wa+]/.test(String(args[1]))) return real(...args)
    const number = counted()
    const done = args.pop()
    real(...args, (...results) => {
      strike(number, 'after')
      done(...results)
    })
  }
}
for (const name of ['link', 'rename', 'unlink', 'mkdir', 'rm']) {
  const real = fs.promises[name]
  fs.promises[name] = async (...args) => {
    const number = counted()
    const result = await real(...args)
    strike(number, 'after')
    return result
  }
  const sync = fs[name + 'Sync']
  fs[name + 'Sync'] = (...args) => {
    const number = counted()
    const result = sync(...args)
    strike(number, 'after')
    return result
  }
}
syncBuiltinESMExports()
if (COUNT) process.on('exit', () => fs.writeFileSync(COUNT, String(count)))
`
