import { expect, it } from 'vitest'
import { CommandTable, Flag } from '../../src/servers/commands.ts'
import { SERVERS } from '../../src/servers/servers.ts'
import { namesOfForms, WITHOUT_FORM } from './generate.ts'

it.each(SERVERS)('has every write command of %s, but for those that say why not', server => {
  const table = new CommandTable(server)
  const forms = namesOfForms()
  const left: string[] = []
  for (let id = 0; id < table.flags.length; id++) {
    const known = table.arity(id).min > 0
    const name = table.name(id)
    if (known && (table.flags[id] & Flag.Write) !== 0 && !forms.has(name) && !(name in WITHOUT_FORM))
      left.push(name)
  }
  expect(left).toEqual([])
})
