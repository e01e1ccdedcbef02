// The page of `causeway ui` in a real browser, with a server that says what each test needs.
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { type Page } from 'playwright-core'
import { type TraceLine } from '#/ui/contract.ts'
import { findBarriers, findPaleTexts, PageBrowser } from './browser.ts'
import * as traces from './page-traces.ts'
import { answersOf, crossingOf, detailOf, policies } from './ui-answers.ts'
import { UiFixture } from './ui-fixture.ts'
import * as rows from './ui-rows.ts'

const names = ['node-1', 'node-2', 'node-3', 'node-4', 'node-5', 'node-6', 'node-7']

const views = [
  '/',
  '/node/node-2',
  '/pair/node-1/node-2',
  '/matrix',
  '/bgp',
  '/policies',
  '/trace?from=default/a&to=default/b',
  '/finding/CW7002/node/node-2',
  '/finding/CW1/gone',
  '/nowhere',
]

const traceLines = (trace: ReturnType<typeof traces.dropped>): TraceLine[] => [
  { kind: 'progress', text: 'asking 2 nodes' },
  { kind: 'trace', trace: { ...trace, exitStatus: 1 } as unknown as Extract<TraceLine, { kind: 'trace' }>['trace'] },
]

const textOf = (page: Page, selector: string): Promise<string> => page.locator(selector).first().innerText()

const overflow = (page: Page): Promise<number> =>
  page.evaluate<number>('document.documentElement.scrollWidth - document.documentElement.clientWidth')

/** Until an expression is true. (Playwright's own waiting evaluates text within the page, which the page forbids.) */
async function until(page: Page, expression: string, timeoutMs = 5_000): Promise<void> {
  const end = Date.now() + timeoutMs
  while (!(await page.evaluate<boolean>(`Boolean(${expression})`))) {
    if (Date.now() > end) throw new Error(`this did not become true: ${expression}`)
    await page.waitForTimeout(20)
  }
}

/** What is wider than the window, for whoever is to mend it. */
const wide = (page: Page): Promise<string> =>
  page.evaluate<string>(
    `[...document.querySelectorAll('body *')].filter((each) => each.getBoundingClientRect().right > innerWidth + 1 && !each.closest('.scroll, .matrix-scroll')).slice(0, 6).map((each) => each.outerHTML.slice(0, 120)).join('; ')`,
  )

async function go(page: Page, hash: string): Promise<void> {
  await page.evaluate(`location.hash = ${JSON.stringify(hash)}`)
  await until(page, `document.querySelector('h1') && !document.querySelector('.loading')`)
}

suite('the page of causeway ui', { timeout: 180_000 }, () => {
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

  function show(line: Parameters<UiFixture['show']>[0], isBroken = false): void {
    ui.show(line)
    ui.answers = answersOf(() => isBroken, names)
    ui.traceLines = traceLines(traces.dropped())
    ui.posted.length = 0
  }

  test('all of it is small', () => {
    const files = ['index.html', 'page.js', 'page.css', 'icon.svg'].map((name) => gzipSync(ui.fileOf(name)).length)
    const sum = files.reduce((all, each) => all + each, 0)
    assert.ok(sum < 60_000, `${sum} bytes`)
  })

  test('every view has a form for narrow and wide windows, with one node and with thousands', async () => {
    for (const count of [1, 2, 7, 40, 2000]) {
      show(rows.allLine(count > 6 ? rows.troubledRows(count) : rows.rowsOf(count), rows.brokenDoctor), true)
      const page = await browser.visit(ui.url())
      await page.locator('.headline').waitFor()
      for (const width of [320, 700, 1280]) {
        await page.setViewportSize({ width, height: 800 })
        for (const view of count === 7 ? views : ['/', '/matrix']) {
          await go(page, view)
          assert.ok((await overflow(page)) <= 0, `${view} of ${count} nodes in ${width} pixels`)
        }
      }
      await page.close()
    }
    browser.assertQuiet()
  })

  test('no view has a barrier for those who do not see it, or not all colours, in light and in dark', async () => {
    show(rows.allLine(rows.troubledRows(7, { racks: 3 }), rows.brokenDoctor), true)
    for (const colorScheme of ['light', 'dark'] as const) {
      const page = await browser.visit(ui.url(), { colorScheme })
      for (const view of views) {
        await go(page, view)
        assert.deepEqual(await findBarriers(page), [], `${view}, ${colorScheme}`)
        assert.deepEqual(await findPaleTexts(page), [], `${view}, ${colorScheme}`)
      }
      await page.close()
    }
    browser.assertQuiet()
  })

  test('what breaks is told at once: in the headline, in words for a screen reader, in the title, and by a sign on its way', async () => {
    show(rows.allLine(rows.rowsOf(3), rows.healthyDoctor))
    const page = await browser.visit(ui.url())
    await page.locator('.headline.good').waitFor()
    assert.equal(await page.locator('.wrong').count(), 0)
    const broken = rows.brokenRows(3)
    ui.tell({ kind: 'nodes', changed: broken, gone: [], ...rows.timesNow() })
    await page.locator('.headline.bad').waitFor()
    const title = 'Packets do not cross to or from node-2'
    assert.equal(await textOf(page, 'h1'), title)
    assert.equal(await page.locator('[role=status]').first().textContent(), title)
    assert.equal(await page.title(), `(2) ${title} – Causeway`)
    assert.equal(await page.locator('.way-label.bad').count(), 2)
    // doctor finds the cause: one thing is wrong, and the rest follows from it
    ui.tell({ kind: 'doctor', doctor: rows.brokenDoctor })
    await until(page, `document.querySelectorAll('.wrong').length === 1`)
    assert.match(await textOf(page, '.wrong .mends'), /nft insert rule inet host-firewall/)
    ui.tell({ kind: 'nodes', changed: rows.rowsOf(3), gone: [], ...rows.timesNow() })
    ui.tell({ kind: 'doctor', doctor: rows.healthyDoctor })
    await page.locator('.headline.good').waitFor()
    assert.equal(await page.title(), '3 nodes, packets cross everywhere – Causeway')
    browser.assertQuiet()
    await page.close()
  })

  test('a rack whose name says that it is one is not called so twice', async () => {
    for (const count of [4, 60]) {
      const named = rows.rowsOf(count).map((row, index) => ({ ...row, rack: index % 2 === 0 ? 'rack 1' : 'b-2' }))
      show(rows.allLine(named, rows.healthyDoctor))
      const page = await browser.visit(ui.url())
      await page.locator('.headline').waitFor()
      const texts = await page.locator('.rack-name, .rack h3 span').allInnerTexts()
      assert.deepEqual(texts.sort(), ['rack 1', 'rack b-2'])
      await page.close()
    }
    browser.assertQuiet()
  })

  test('a finding is copied as a ticket that reads alone, and has an address of its own', async () => {
    show(rows.allLine(rows.brokenRows(3), rows.brokenDoctor), true)
    const page = await browser.visit(ui.url(), { permissions: ['clipboard-read', 'clipboard-write'] })
    await page.getByRole('button', { name: 'Copy as a ticket: CW7002 node/node-2' }).click()
    await page.getByText('Copied', { exact: true }).waitFor()
    const ticket = await page.evaluate<string>('navigator.clipboard.readText()')
    assert.match(ticket, /^CW7002 node\/node-2: table inet host-firewall drops/)
    for (const part of [
      'Known from: ',
      'Told by: node-2',
      'Remedy: ',
      '4 of the packets',
      'lab default, causeway 0.1.0, 20',
    ])
      assert.ok(ticket.includes(part), part)
    await page.getByRole('link', { name: 'CW7002 node/node-2' }).click()
    await page.locator('.wrong .so').waitFor()
    assert.equal(new URL(page.url()).hash, '#/finding/CW7002/node/node-2')
    assert.equal(await page.evaluate('document.activeElement.tagName'), 'H1')
    browser.assertQuiet()
    await page.close()
  })

  test('the table of pairs is walked by arrow keys, and a pair opens by Enter', async () => {
    show(rows.allLine(rows.brokenRows(6), rows.brokenDoctor), true)
    const page = await browser.visit(ui.url())
    await page.locator('.headline').waitFor()
    await go(page, '/matrix')
    await page.locator('.cell[tabindex="0"]').focus()
    for (const key of ['ArrowRight', 'ArrowRight', 'ArrowDown', 'ArrowLeft', 'End', 'Home', 'ArrowUp', 'ArrowRight'])
      await page.keyboard.press(key)
    const label = 'document.activeElement.getAttribute("aria-label")'
    assert.equal(await page.evaluate(label), 'node-1 to node-2: no packet arrives')
    assert.match(await textOf(page, '.matrix-said'), /^node-1 to node-2: VXLAN tunnel, no packet arrives$/)
    assert.equal(await page.locator('.cell[tabindex="0"]').count(), 1)
    await page.keyboard.press('Enter')
    await page.locator('.crossing').first().waitFor()
    assert.equal(new URL(page.url()).hash, '#/pair/node-1/node-2')
    assert.match(await textOf(page, '.reason'), /different subnets.*1450 bytes/)
    browser.assertQuiet()
    await page.close()
  })

  test('thousands of nodes: tiles by racks that arrow keys walk through, pairs by groups, a change drawn soon', async () => {
    show(rows.allLine(rows.troubledRows(2000), rows.brokenDoctor), true)
    const page = await browser.visit(ui.url())
    await until(page, `document.querySelectorAll('.racks .tile').length === 2000`)
    assert.equal(await page.locator('.racks .tile[tabindex="0"]').count(), 1)
    await page.locator('.racks .tile[tabindex="0"]').focus()
    for (const key of ['ArrowRight', 'ArrowDown', 'ArrowUp', 'End', 'Home', 'ArrowRight'])
      await page.keyboard.press(key)
    const label = 'document.activeElement.getAttribute("aria-label")'
    assert.match(await page.evaluate<string>(label), /^node-2: ready, with problems, \d+ pods/)
    assert.match(await textOf(page, '.tile-said'), /^node-2: ready, with problems/)
    assert.equal(await page.locator('.racks .tile[tabindex="0"]').count(), 1)
    const silent = rows
      .rowsOf(2000)
      .slice(300, 500)
      .map((row) => ({ ...row, state: 'silent' as const }))
    ui.tell({ kind: 'nodes', changed: silent, gone: [], ...rows.timesNow() })
    await until(page, `document.querySelectorAll('.racks .tile.silent').length === 201`)
    await page.getByRole('searchbox').fill('node-1999')
    await until(page, `document.querySelectorAll('.list tbody tr').length === 1`)
    await go(page, '/matrix')
    assert.equal(await page.locator('.matrix tbody tr').count(), 50)
    await page.locator('.matrix .cell.bad').first().click()
    await until(page, `document.querySelectorAll('.matrix tbody tr').length === 40`)
    browser.assertQuiet()
    await page.close()
  })

  test('a packet is followed: pods are completed, the ladder is walked by keys, and all of it is copied as a ticket', async () => {
    show(rows.allLine(rows.rowsOf(3), rows.healthyDoctor))
    const page = await browser.visit(ui.url(), { permissions: ['clipboard-read', 'clipboard-write'] })
    await page.locator('.headline').waitFor()
    await go(page, '/trace')
    await page.getByLabel('From', { exact: true }).fill('web')
    await until(page, `document.querySelectorAll('#from-pods option').length === 1`)
    await page.getByLabel('From', { exact: true }).fill('default/a')
    await page.getByLabel('To', { exact: true }).fill('default/b:80')
    assert.match(await page.locator('#protocol option').first().innerText(), /^usual: TCP/)
    await page.getByLabel('To', { exact: true }).fill('default/b')
    await page.getByLabel('Bytes').fill('1400')
    // arrows within a field move in its text
    await page.keyboard.press('ArrowLeft')
    await page.keyboard.press('Enter')
    await page.locator('.ladder').waitFor()
    assert.deepEqual(ui.posted, [['trace', JSON.stringify({ from: 'default/a', to: 'default/b', sizeBytes: 1400 })]])
    assert.equal(new URL(page.url()).hash, '#/trace?from=default%2Fa&to=default%2Fb')
    assert.equal(await textOf(page, '#verdict'), 'Lost')
    const count = (): Promise<string> => textOf(page, '#count')
    assert.match(await count(), /^1 of /)
    await page.keyboard.press('ArrowRight')
    assert.match(await count(), /^2 of /)
    await page.getByRole('button', { name: 'Last step' }).click()
    assert.match(await textOf(page, '#say'), /Ends here: dropped: NETFILTER_DROP/)
    assert.notEqual(await page.evaluate(`getComputedStyle(document.querySelector('.stack .inner')).flexGrow`), '0')
    await page.getByRole('button', { name: 'Copy as a ticket' }).click()
    await page.getByText('Copied', { exact: true }).waitFor()
    const ticket = await page.evaluate<string>('navigator.clipboard.readText()')
    assert.match(ticket, /^Lost: default\/a \(10\.244\.1\.2 on node-1\) → default\/b/)
    assert.match(ticket, /- node-2, eth0: DROPPED/)
    assert.deepEqual(await findBarriers(page), [])
    // another view ends the walk: its keys are free again
    await go(page, '/')
    await page.keyboard.press('ArrowRight')
    browser.assertQuiet()
    await page.close()
  })

  test('a view prints on white paper, whatever the colours of the browser, and without what one presses', async () => {
    show(rows.allLine(rows.troubledRows(7, { racks: 3 }), rows.brokenDoctor), true)
    const page = await browser.visit(ui.url(), { colorScheme: 'dark' })
    await page.locator('.headline').waitFor()
    for (const view of ['/', '/node/node-2', '/pair/node-1/node-2', '/matrix', '/trace?from=default/a&to=default/b']) {
      await go(page, view)
      if (view.startsWith('/trace')) {
        await page.getByRole('button', { name: 'Send it' }).click()
        await page.locator('.ladder').waitFor()
      }
      await page.emulateMedia({ media: 'print' })
      assert.deepEqual(await findPaleTexts(page), [], view)
      assert.equal(await page.locator('nav, button, input, .button').filter({ visible: true }).count(), 0, view)
      await page.emulateMedia({ media: 'screen' })
    }
    browser.assertQuiet()
    await page.close()
  })

  test('a trace that is refused says why', async () => {
    show(rows.allLine(rows.rowsOf(3), rows.healthyDoctor))
    ui.traceLines = [{ kind: 'refused', message: 'there is no pod default/x' }]
    const page = await browser.visit(ui.url())
    await page.locator('.headline').waitFor()
    await go(page, '/trace?from=default/x&to=node-1')
    await page.getByRole('button', { name: 'Send it' }).click()
    await page.getByText('there is no pod default/x').waitFor()
    browser.assertQuiet()
    await page.close()
  })

  test('whatever a trace holds, it walks within the page, and ends with the view', async () => {
    show(rows.allLine(rows.rowsOf(3), rows.healthyDoctor))
    const page = await browser.visit(ui.url())
    await page.locator('.headline').waitFor()
    for (const [name, trace] of Object.entries(traces)) {
      ui.traceLines = traceLines(trace() as ReturnType<typeof traces.dropped>)
      await go(page, `/trace?from=${name}&to=b`)
      await page.getByRole('button', { name: 'Send it' }).click()
      await page.locator('.trace-result').waitFor()
      assert.equal(await page.evaluate('window.broken'), undefined)
      await go(page, '/')
      assert.equal(await page.evaluate('document.adoptedStyleSheets.length'), 0, name)
    }
    browser.assertQuiet()
    await page.close()
  })

  test('when the command is away the page keeps what it knew, says how old it is, and goes on when it is back', async () => {
    show(rows.allLine(rows.rowsOf(3), rows.healthyDoctor))
    const page = await browser.visit(ui.url())
    await page.locator('.headline.good').waitFor()
    const { port } = ui
    await ui.close()
    await page.getByRole('alert').getByText('No news').waitFor()
    await page.locator('.age.bad').waitFor()
    assert.equal(await page.locator('.node-card').count(), 3)
    ui.show(rows.allLine(rows.rowsOf(4), rows.healthyDoctor))
    await ui.listen(port)
    await until(page, `document.querySelectorAll('.node-card').length === 4`, 15_000)
    assert.equal(await page.getByRole('alert').count(), 0)
    // the browser itself tells of each request that nobody answered
    assert.ok(browser.troubles.splice(0).every((each) => /ERR_CONNECTION_REFUSED|ERR_INCOMPLETE|ERR_EMPTY/.test(each)))
    await page.close()
  })

  test('a failure to find the agents is told, beside what was known', async () => {
    show(rows.allLine(rows.rowsOf(3), rows.healthyDoctor))
    const page = await browser.visit(ui.url())
    await page.locator('.headline.good').waitFor()
    ui.tell({ kind: 'failure', message: 'connection refused by the API server' })
    await page.getByRole('alert').getByText('connection refused by the API server').waitFor()
    assert.equal(await page.locator('.node-card').count(), 3)
    ui.tell({ kind: 'nodes', changed: [], gone: [], ...rows.timesNow() })
    await until(page, `document.querySelector('[role=alert]') === null`)
    browser.assertQuiet()
    await page.close()
  })

  test('names and messages stay text, whatever they are, in every view', async () => {
    const evil = (name: string): string =>
      `<img src=x onerror="window.broken='${name}'">"'&amp;<script>window.broken=1</script>\u202e${name.repeat(40)}`
    const texts = new Set([
      'name',
      'why',
      'rack',
      'zone',
      'message',
      'how',
      'remedy',
      'object',
      'to',
      'node',
      'pod',
      'text',
      'policy',
      'subject',
      'field',
      'reason',
      'key',
      'source',
      'summary',
      'lastError',
      'hostDevice',
      'dst',
      'podCIDR',
      'device',
    ])
    const spoiled = <T>(value: T): T =>
      JSON.parse(
        JSON.stringify(value, (key, each: unknown) =>
          typeof each === 'string' && texts.has(key)
            ? evil(each)
            : Array.isArray(each) && each.every((one) => typeof one === 'string')
              ? each.map(evil)
              : each,
        ),
      ) as T
    ui.show(spoiled(rows.allLine(rows.troubledRows(7, { racks: 3 }), rows.brokenDoctor)))
    ui.answers = (path, query) =>
      spoiled(
        path.startsWith('node/')
          ? detailOf('node-2', names, true)
          : path === 'crossing'
            ? crossingOf(query.get('from')!.length > 0 ? 'node-1' : '', 'node-2', true)
            : path === 'policies'
              ? policies
              : { pods: [{ pod: 'a/b', node: 'node-1', addrs: ['10.0.0.1'] }], more: 0 },
      )
    const page = await browser.visit(ui.url(), { viewport: { width: 320, height: 640 } })
    await page.locator('.headline').waitFor()
    const own = encodeURIComponent(evil('node-2').replace('\u202e', '\\u{202e}'))
    for (const view of [
      '/',
      `/node/${own}`,
      `/pair/${own}/${own}`,
      '/matrix',
      '/bgp',
      '/policies',
      '/trace',
      `/finding/CW7002/${own}`,
    ]) {
      await go(page, view)
      assert.equal(await page.evaluate('window.broken'), undefined, view)
      assert.equal(await page.locator('main img, main script').count(), 0, view)
      assert.ok(!(await page.content()).includes('\u202e'), view)
      assert.ok((await overflow(page)) <= 0, `${view.slice(0, 20)}: ${await wide(page)}`)
    }
    browser.assertQuiet()
    await page.close()
  })
})
