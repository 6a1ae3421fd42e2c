/**
 * A script that is loaded before aofkit, counts the calls that change the disk, and strikes at one of them: before it, or when
 * it is done. Environment: `AT` (number of the call), `WHEN` (`before`, `after`), `SIGNAL`; or `COUNT`, a file that is told
 * how many there were.
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
