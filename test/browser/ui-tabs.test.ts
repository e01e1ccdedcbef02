// Several tabs with the page of `causeway ui`: what they share, and that a browser opens few connections to one address.
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { type Page } from 'playwright-core'
import { PageBrowser } from './browser.ts'
import { answersOf } from './ui-answers.ts'
import { UiFixture } from './ui-fixture.ts'
import * as rows from './ui-rows.ts'

/** As when somebody turns to another tab, or back. */
const hide = (page: Page, isHidden: boolean): Promise<void> =>
  page.evaluate<void>(
    `Object.defineProperty(document, 'hidden', { configurable: true, get: () => ${isHidden} }); document.dispatchEvent(new Event('visibilitychange'))`,
  )

suite('tabs with the page of causeway ui', { timeout: 120_000 }, () => {
  let browser: PageBrowser
  let ui: UiFixture
  before(async () => {
    browser = await PageBrowser.start()
    ui = await UiFixture.start(rows.allLine(rows.rowsOf(3), rows.healthyDoctor))
    ui.answers = answersOf(() => false)
  })
  after(async () => {
    await browser[Symbol.asyncDispose]()
    await ui[Symbol.asyncDispose]()
  })

  async function pagesAre(count: number): Promise<void> {
    const end = Date.now() + 5_000
    while (ui.pages !== count) {
      assert.ok(Date.now() < end, `${ui.pages} pages follow`)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  test('a link opens in a new tab, and an address that was passed on opens in any', async () => {
    const window = await browser.window()
    const page = await browser.tab(window, ui.url())
    await page.locator('.headline.good').waitFor()
    const opened = window.waitForEvent('page')
    await page
      .locator('.list a.name')
      .first()
      .click({ modifiers: ['Control'] })
    await (await opened).getByRole('heading', { name: 'Kernel objects' }).waitFor()
    const other = await browser.tab(window, ui.url('/node/node-2'))
    await other.getByRole('heading', { name: 'Kernel objects' }).waitFor()
    browser.assertQuiet()
    await window.close()
  })

  test('the address of a new start in one tab is enough for all', async () => {
    const window = await browser.window()
    const old = await browser.tab(window, ui.url('token=old'))
    await old.getByText('open the address that it printed').waitFor()
    const page = await browser.tab(window, ui.url())
    await page.locator('.headline.good').waitFor()
    await old.locator('.headline.good').waitFor()
    assert.ok(browser.troubles.splice(0).every((each) => each.includes('401')))
    await window.close()
  })

  test('many tabs leave each other room: hidden ones hold few connections, and go on when they are seen', async () => {
    const window = await browser.window()
    const hidden: Page[] = []
    for (let count = 1; count <= 7; count++) {
      const page = await browser.tab(window, ui.url())
      await page.locator('.headline.good').waitFor()
      await hide(page, true)
      hidden.push(page)
      await pagesAre(Math.min(count, 2))
    }
    const page = await browser.tab(window, ui.url())
    await page.locator('.headline.good').waitFor()
    await page.evaluate(`location.hash = '/node/node-1'`)
    await page.getByRole('heading', { name: 'Kernel objects' }).waitFor()
    ui.show(rows.allLine(rows.brokenRows(3), rows.brokenDoctor))
    const told = await Promise.all(hidden.map((each) => each.title()))
    const last = hidden.at(-1)!
    assert.match(told.at(-1)!, /^Last known: 3 nodes, packets cross everywhere/)
    await hide(last, false)
    await last.locator('.headline.bad').waitFor()
    assert.equal(await last.getByRole('alert').count(), 0)
    // who is seen has no place of the hidden ones
    await hide(hidden[0]!, false)
    await hide(last, true)
    await pagesAre(4)
    browser.assertQuiet()
    await window.close()
  })
})
