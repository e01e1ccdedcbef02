// Makes pictures of the page of `causeway ui` for the README, in light and in dark, as it is now.
// Usage: ui-picture.ts ADDRESS docs/images/NAME [VIEW]   (ADDRESS as the command printed it; writes NAME-light.png and NAME-dark.png)
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { chromium } from 'playwright-core'

const [address, target, view = '/'] = process.argv.slice(2)
if (address === undefined || target === undefined)
  throw new Error('usage: ui-picture.ts ADDRESS docs/images/NAME [VIEW]')

const widthPixels = 1200
const mostPixels = 1400
/** Until the first probes have lit up. */
const settleMs = 3_000

mkdirSync(dirname(target), { recursive: true })
await using browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] })
for (const colorScheme of ['light', 'dark'] as const) {
  const viewport = { width: widthPixels, height: 800 }
  await using page = await browser.newPage({ viewport, colorScheme, reducedMotion: 'reduce' })
  await page.goto(address)
  await page.locator('.headline').waitFor()
  await page.evaluate(`location.hash = ${JSON.stringify(view)}`)
  await page.waitForTimeout(settleMs)
  await page.getByText('Doctor is looking').waitFor({ state: 'hidden' })
  const height = Math.min(mostPixels, await page.evaluate<number>('document.documentElement.scrollHeight'))
  await page.setViewportSize({ width: widthPixels, height })
  await page.screenshot({ path: `${target}-${colorScheme}.png` })
}
