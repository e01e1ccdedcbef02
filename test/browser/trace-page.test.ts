// The page of a trace in a real browser: it comes up from a file and asks for nothing, is walked by keys, read without its script, printed.
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { type Page } from 'playwright-core'
import { tracePage } from '#/trace/page/page.ts'
import { findBarriers, findPaleTexts, PageBrowser } from './browser.ts'
import * as traces from './page-traces.ts'

const pages = Object.fromEntries(
  Object.entries(traces).map(([name, trace]) => [name, tracePage(trace(), 'causeway 0')]),
) as Record<keyof typeof traces, string>

const narrowest = { width: 320, height: 640 }

const styleOf = (page: Page, selector: string, name: string): Promise<string> =>
  page.evaluate<string>(`getComputedStyle(document.querySelector('${selector}')).${name}`)

suite('the page of a trace', { timeout: 120_000 }, () => {
  let browser: PageBrowser
  before(async () => {
    browser = await PageBrowser.start()
  })
  after(async () => {
    await browser[Symbol.asyncDispose]()
  })

  test('every page comes up from a file, asks for nothing, and has a form for narrow windows', async () => {
    await using page = await browser.open(pages.answered, { viewport: narrowest })
    for (const [name, html] of Object.entries(pages)) {
      await browser.show(page, html)
      assert.equal(await page.locator('h2').first().isVisible(), true, name)
      const excess = await page.evaluate('document.documentElement.scrollWidth - innerWidth')
      assert.equal(excess, 0, `${name} is wider than its window`)
      browser.assertQuiet()
    }
  })

  test('a usual page is small', () => {
    assert.ok(pages.answered.length < 150_000, `${pages.answered.length} bytes`)
  })

  test('no page has a barrier for those who do not see it, or not all colours, in light and in dark', async () => {
    await using page = await browser.open(pages.answered)
    for (const colorScheme of ['light', 'dark'] as const)
      for (const name of ['dropped', 'untold'] as const) {
        await page.emulateMedia({ colorScheme })
        await browser.show(page, pages[name])
        if (name === 'dropped') await page.getByRole('button', { name: 'Open all' }).click()
        assert.deepEqual(await findBarriers(page), [], `${name}, ${colorScheme}`)
        assert.deepEqual(await findPaleTexts(page), [], `${name}, ${colorScheme}`)
      }
  })

  test('one walks by keys, buttons and slider, and hears each step', async () => {
    await using page = await browser.open(pages.answered)
    const say = page.locator('#say')
    const here = page.locator('[aria-current=step]')
    assert.match((await say.textContent())!, /^node-1, pod default\/a, eth0: out, 98 bytes/)
    await page.keyboard.press('ArrowRight')
    await page.keyboard.press('ArrowRight')
    assert.match((await say.textContent())!, /^node-1, cw-br0: in/)
    assert.equal(await here.count(), 1)
    await page.keyboard.press('ArrowLeft')
    assert.match((await say.textContent())!, /cwv1/)
    await page.getByRole('button', { name: 'Last step' }).click()
    assert.match((await say.textContent())!, /^node-1, pod default\/a, eth0: in/)
    assert.equal(await page.locator('#count').textContent(), '20 of 20')
    await page.getByRole('slider', { name: 'Step' }).focus()
    await page.keyboard.press('Home')
    assert.equal(await page.locator('#count').textContent(), '1 of 20')
    const order = await page.locator('[data-step]').evaluateAll((all) => all.map(({ id }) => id))
    assert.deepEqual(order.slice(8, 12), ['there-9', 'there-10', 'back-1', 'back-2'])
    browser.assertQuiet()
  })

  test('the bar shows the headers grow in the tunnel, and shrink behind it', async () => {
    await using page = await browser.open(pages.answered)
    const names: string[] = []
    for (let index = 0; index < 7; index++) {
      names.push((await page.locator('#stage .bar').getAttribute('aria-label'))!)
      await page.keyboard.press('ArrowRight')
    }
    assert.equal(names[0], '98 bytes: Ethernet 14, IPv4 20, ICMP 8, payload 56')
    assert.equal(names[4], `148 bytes: Ethernet 14, IPv4 20, UDP 8, VXLAN 8, ${names[0].replace(/^.*: /, '')}`)
    assert.equal(names[6], names[0])
    // as long as it has bytes
    const widths = await page
      .locator('#there-5 .bar .seg')
      .evaluateAll((all) => all.map((each) => each.getBoundingClientRect().width))
    assert.ok(Math.abs(widths[1]! / widths[0]! - 20 / 14) < 0.15, String(widths))
  })

  test('it walks by itself until it is stopped', async () => {
    await using page = await browser.open(pages.answered, { reducedMotion: 'no-preference' })
    await page.getByRole('button', { name: 'Play' }).click()
    await page.locator('#count', { hasText: '2 of' }).waitFor()
    await page.getByRole('button', { name: 'Pause' }).click()
    const at = await page.locator('#count').textContent()
    await page.waitForTimeout(1_300)
    assert.equal(await page.locator('#count').textContent(), at)
    assert.notEqual(await styleOf(page, '#packet', 'transitionDuration'), '0s')
    browser.assertQuiet()
    await using still = await browser.open(pages.answered)
    assert.equal(await styleOf(still, '#packet', 'transitionDuration'), '0s')
  })

  test('a place opens by the keyboard, and so does each header with what is other than before', async () => {
    await using page = await browser.open(pages.answered)
    const place = page.locator('#there-4')
    await place.locator('summary').first().focus()
    assert.notEqual(await styleOf(page, '#there-4 summary', 'outlineStyle'), 'none')
    await page.keyboard.press('Enter')
    assert.match(await place.locator('.steps').innerText(), /tunnel.*VNI 1/s)
    await place.locator('.header summary', { hasText: 'IPv4' }).focus()
    await page.keyboard.press('Enter')
    const row = place.getByRole('row', { name: /^TTL/ })
    assert.match(await row.innerText(), /63 was 64/)
    assert.match(await place.locator('.header[open] pre').innerText(), /^45 00 /)
  })

  test('where it ends is marked once, in words, on the way of the packet', async () => {
    await using page = await browser.open(pages.answered)
    assert.equal(await page.locator('.end').count(), 0)
    for (const [name, where, words] of [
      ['dropped', '#there-6', /Ends here dropped: NETFILTER_DROP in nft_do_chain/],
      ['lostBetween', '.wire', /Ends here lost between the nodes/],
      ['answerLost', '.wire', /Ends here lost between the nodes/],
      ['notSent', '.node', /Ends here the kernel did not send it/],
      ['untold', '.wire, #there-5', /Not known nobody watched what became of it/],
    ] as const) {
      await browser.show(page, pages[name])
      const mark = page.locator('#ladder .end')
      assert.equal(await mark.count(), 1, name)
      assert.match((await mark.innerText()).replaceAll(/\s+/g, ' '), words)
      const holders = page.locator(where).filter({ has: page.locator('.end') })
      assert.ok((await holders.count()) > 0, `${name}: not at ${where}`)
    }
  })

  test('what would become of a packet is walked by what kernels would do, and no place is said to have missed it', async () => {
    await using page = await browser.open(pages.wouldEnd)
    assert.deepEqual(await findBarriers(page), [])
    assert.deepEqual(await findPaleTexts(page), [])
    await page.keyboard.press('ArrowRight')
    await page.keyboard.press('ArrowRight')
    assert.match((await page.locator('#say').textContent()) ?? '', /^node-1, cw-br0: in\. route: route 10\.244\.2\.0/)
    assert.equal(await page.locator('.missing, .passed').count(), 0)
    assert.equal(await page.locator('#there-6 .end').textContent(), 'Would end here it would get no further')
    assert.equal(await page.locator('#there-7.barred').count(), 1)
    await browser.show(page, pages.wouldArrive)
    assert.equal(await page.locator('#ladder .end, #ladder .barred').count(), 0)
    assert.equal(await page.locator('#count').textContent(), '1 of 20')
    browser.assertQuiet()
  })

  test('the verdict stands with its code, and what mends it is copied', async () => {
    await using page = await browser.open(pages.dropped)
    const verdict = page.getByRole('region', { name: 'Lost' })
    assert.match(await verdict.innerText(), /CW7002 is explained in docs\/problems\.md/)
    await verdict.getByRole('button', { name: 'Copy' }).click()
    await page.locator('#copied', { hasText: /Copied|Selected/ }).waitFor()
  })

  test('names stay text, whatever they are', async () => {
    await using page = await browser.open(pages.hostile)
    assert.equal(await page.evaluate('window.broken'), undefined)
    assert.equal(await page.locator('img').count(), 0)
    assert.equal(await page.locator('script').count(), 1)
    assert.match((await page.locator('h1').textContent()) ?? '', /<img src=x onerror=.*\\u\{202e\}/)
    browser.assertQuiet()
  })

  test('it is read without its script', async () => {
    await using page = await browser.open(pages.dropped, { javaScriptEnabled: false })
    assert.equal(await page.locator('#walker').isVisible(), false)
    assert.equal(await page.getByRole('button').count(), 0)
    await page.locator('#there-5 > details > summary').click()
    assert.equal(await page.locator('#there-5 .header').first().isVisible(), true)
  })

  test('it prints, without what one presses', async () => {
    await using page = await browser.open(pages.answered)
    const pdf = await page.pdf({ format: 'A4' })
    assert.equal(pdf.subarray(0, 5).toString(), '%PDF-')
    await page.emulateMedia({ media: 'print' })
    assert.equal(await page.locator('#walker').isVisible(), false)
    assert.equal(await page.locator('#packet').isVisible(), false)
    // paper is white, also for who reads white on black
    await page.emulateMedia({ media: 'print', colorScheme: 'dark' })
    assert.deepEqual(await findPaleTexts(page), [])
    browser.assertQuiet()
  })
})
