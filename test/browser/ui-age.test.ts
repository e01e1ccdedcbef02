// How old what the page of `causeway ui` shows is: news that does not come, clocks that differ, and a tab that nobody looks at.
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { type Page } from 'playwright-core'
import { PageBrowser } from './browser.ts'
import { answersOf } from './ui-answers.ts'
import { UiFixture } from './ui-fixture.ts'
import * as rows from './ui-rows.ts'

const hourMs = 3_600_000

/** What is to come again was due so long ago. */
const dueAgo = (ms: number) => ({ ...rows.timesNow(), dueMs: Date.now() - ms })

const background = (page: Page, selector: string): Promise<string> =>
  page.evaluate<string>(`getComputedStyle(document.querySelector('${selector}')).backgroundColor`)

const transparent = 'rgba(0, 0, 0, 0)'

suite('how old what the page of causeway ui shows is', { timeout: 120_000 }, () => {
  let browser: PageBrowser
  let ui: UiFixture
  before(async () => {
    browser = await PageBrowser.start()
    ui = await UiFixture.start(rows.allLine([]))
  })
  after(async () => {
    await browser[Symbol.asyncDispose]()
    await ui[Symbol.asyncDispose]()
  })

  test('where the command lives and tells no more of the nodes, nothing stays green', async () => {
    ui.show(rows.allLine(rows.brokenRows(4), rows.healthyDoctor))
    const page = await browser.visit(ui.url())
    await page.locator('.headline.bad').waitFor()
    ui.show(rows.allLine(rows.rowsOf(4), rows.healthyDoctor))
    await page.locator('.headline.good').waitFor()
    assert.notEqual(await background(page, '.node-card.good > .sign'), transparent)
    // no line comes after this one
    ui.tell({ kind: 'nodes', changed: [], gone: [], ...dueAgo(9_000) })
    await page.locator('.headline.none').waitFor()
    assert.equal(await page.locator('h1').innerText(), 'Last known: 4 nodes, packets cross everywhere')
    assert.equal(await page.title(), 'Last known: 4 nodes, packets cross everywhere – Causeway')
    assert.match(await page.locator('.age.unknown').innerText(), /^asked \d+ s ago$/)
    assert.equal(await background(page, '.node-card.good > .sign'), transparent)
    await page.evaluate(`location.hash = '/matrix'`)
    await page.locator('.matrix').waitFor()
    assert.equal(await background(page, '.matrix .cell.good'), transparent)
    // and comes back with the next news
    await page.evaluate(`location.hash = '/'`)
    ui.tell({ kind: 'nodes', changed: [], gone: [], ...rows.timesNow() })
    await page.locator('.headline.good').waitFor()
    assert.notEqual(await background(page, '.node-card.good > .sign'), transparent)
    browser.assertQuiet()
    await page.close()
  })

  test('what was wrong before news failed to come is not said to be wrong now', async () => {
    ui.show({ ...rows.allLine(rows.brokenRows(3), rows.brokenDoctor), ...dueAgo(hourMs) })
    const page = await browser.visit(ui.url())
    await page.getByRole('heading', { name: 'Wrong when it was last known' }).waitFor()
    ui.tell({ kind: 'nodes', changed: [], gone: [], ...rows.timesNow() })
    await page.getByRole('heading', { name: 'Wrong now' }).waitFor()
    browser.assertQuiet()
    await page.close()
  })

  test('what was asked of nodes says since when there is no newer answer', async () => {
    ui.show(rows.allLine(rows.rowsOf(3), rows.healthyDoctor))
    const answers = answersOf(() => false)
    ui.answers = answers
    const page = await browser.visit(ui.url())
    await page.locator('.headline.good').waitFor()
    for (const view of ['/node/node-2', '/pair/node-1/node-2']) {
      await page.evaluate(`location.hash = ${JSON.stringify(view)}`)
      await page.locator('h2').first().waitFor()
      ui.answers = () => undefined
      await page.getByText(/^No news for \d+ s: there is nothing at/).waitFor({ timeout: 10_000 })
      assert.ok((await page.locator('h2').count()) > 0, 'what was answered stays')
      ui.answers = answers
      await page.getByText(/^No news/).waitFor({ state: 'detached', timeout: 10_000 })
    }
    assert.ok(browser.troubles.splice(0).every((each) => each.includes('404')))
    await page.close()
  })

  test('the command may run on a computer whose clock is another: times are by its clock', async () => {
    for (const skewMs of [hourMs, -hourMs]) {
      const [silent, ...others] = rows.rowsOf(3)
      const shifted = Date.now() + skewMs
      const times = { nowMs: shifted, askedMs: shifted, dueMs: shifted + 1_000 }
      const row = { ...silent!, state: 'silent' as const, why: 'it hangs', heardMs: shifted - 60_000 }
      ui.show({ ...rows.allLine([row, ...others], rows.healthyDoctor), ...times })
      const page = await browser.visit(ui.url())
      await page.locator('.age.good', { hasText: 'live' }).waitFor()
      assert.match(await page.locator('.wrong').innerText(), /heard 6\d s ago/)
      await page.close()
    }
    browser.assertQuiet()
  })

  test('the title of a tab that is hidden goes on: it is what is seen of it', async () => {
    ui.show(rows.allLine(rows.rowsOf(3), rows.healthyDoctor))
    const page = await browser.visit(ui.url())
    await page.locator('.headline.good').waitFor()
    // as browsers do with hidden tabs
    await page.evaluate(
      `Object.defineProperty(document, 'hidden', { get: () => true }); window.requestAnimationFrame = () => 0`,
    )
    ui.tell({ kind: 'nodes', changed: rows.brokenRows(3), gone: [], ...rows.timesNow() })
    const end = Date.now() + 5_000
    while ((await page.title()) !== '(2) Packets do not cross to or from node-2 – Causeway') {
      assert.ok(Date.now() < end, await page.title())
      await page.waitForTimeout(50)
    }
    browser.assertQuiet()
    await page.close()
  })
})
