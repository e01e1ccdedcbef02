// Addresses of the page of `causeway ui` in a real browser: which view they are of, what must not be in them, and the token that comes by them.
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { type Page } from 'playwright-core'
import { type TraceLine } from '#/ui/contract.ts'
import { PageBrowser } from './browser.ts'
import { dropped } from './page-traces.ts'
import { answersOf } from './ui-answers.ts'
import { token, UiFixture } from './ui-fixture.ts'
import * as rows from './ui-rows.ts'

suite('addresses of the page of causeway ui', { timeout: 60_000 }, () => {
  let browser: PageBrowser
  let ui: UiFixture
  before(async () => {
    browser = await PageBrowser.start()
    ui = await UiFixture.start(rows.allLine(rows.rowsOf(3), rows.healthyDoctor))
  })
  after(async () => {
    await browser[Symbol.asyncDispose]()
    await ui[Symbol.asyncDispose]()
  })

  /** The page with a trace that was run. */
  async function traced(): Promise<Page> {
    const trace = { ...dropped(), exitStatus: 1 } as unknown as Extract<TraceLine, { kind: 'trace' }>['trace']
    ui.answers = answersOf(() => false)
    ui.traceLines = [{ kind: 'trace', trace }]
    const page = await browser.visit(ui.url())
    await page.locator('.headline.good').waitFor()
    await page.evaluate(`location.hash = '/trace?from=default/a&to=default/b'`)
    await page.getByRole('button', { name: 'Send it' }).click()
    return page
  }

  test('the token leaves the address at once, and links to views hold none', async () => {
    const page = await browser.visit(ui.url())
    await page.locator('.headline.good').waitFor()
    assert.equal(new URL(page.url()).hash, '#/')
    assert.equal(await page.locator('h1').innerText(), '3 nodes, packets cross everywhere')
    const links = await page.evaluate<string[]>(`[...document.links].map((each) => each.href)`)
    assert.ok(links.length > 10)
    assert.ok(!links.some((each) => each.includes('token')))
    browser.assertQuiet()
    await page.close()
  })

  test('without the token of this start it says what to do', async () => {
    const page = await browser.visit(ui.url('token=other'))
    await page.getByText('open the address that it printed').waitFor()
    // in the same tab, where the browser loads nothing by itself
    await page.goto(ui.url())
    await page.locator('.headline.good').waitFor()
    assert.equal(new URL(page.url()).hash, '#/')
    assert.ok(browser.troubles.splice(0).every((each) => each.includes('401')))
    await page.close()
  })

  test('the address of a command that was started anew works in the tab of the earlier one', async () => {
    const page = await browser.visit(ui.url('token=other'))
    await page.getByText('open the address that it printed').waitFor()
    await page.evaluate(`location.hash = 'token=${token}'`)
    await page.locator('.headline.good').waitFor()
    assert.equal(new URL(page.url()).hash, '#/')
    assert.ok(browser.troubles.splice(0).every((each) => each.includes('401')))
    await page.close()
  })

  test('what was followed between others is not shown below other ends', async () => {
    const page = await traced()
    await page.locator('.trace-result').waitFor()
    await page.evaluate(`location.hash = '/trace?from=default/c'`)
    await page.locator('.trace-result').waitFor({ state: 'detached' })
    assert.equal(await page.getByLabel('From', { exact: true }).inputValue(), 'default/c')
    browser.assertQuiet()
    await page.close()
  })

  test('a place that a trace refers to is gone to within the view', async () => {
    const page = await traced()
    await page.getByRole('button', { name: 'Open all' }).click()
    const link = page.locator('.trace-result .same a').first()
    const place = new URL((await link.getAttribute('href'))!, page.url()).hash.slice(1)
    const address = page.url()
    await link.click()
    assert.equal(page.url(), address)
    assert.equal(await page.locator('.trace-result').count(), 1)
    assert.equal(await page.evaluate('document.activeElement.id'), place)
    browser.assertQuiet()
    await page.close()
  })
})
