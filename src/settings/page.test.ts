import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { agentGroups } from './agent-settings.ts'
import { controllerGroups } from './controller-settings.ts'
import { settingsHelp } from './help.ts'
import { settingsPage } from './page.ts'

test('docs/settings.md tells the settings as they are declared', () => {
  const page = readFileSync(new URL('../../docs/settings.md', import.meta.url), 'utf8')
  assert.equal(page, settingsPage(), 'write it anew: node_modules/.bin/node scripts/settings-page.ts')
})

test('help and page name every setting; no line of help is longer than a terminal is wide', () => {
  const page = settingsPage()
  for (const groups of [agentGroups, controllerGroups]) {
    const help = settingsHelp(groups)
    for (const line of help.split('\n')) assert.ok(line.length <= 80, line)
    for (const { variable } of groups.flatMap(({ settings }) => Object.values(settings))) {
      assert.match(help, new RegExp(`^  ${variable}$|^  ${variable} `, 'm'))
      assert.ok(page.includes(`| \`${variable}\` |`), variable)
    }
  }
})
