// Makes pictures of a trace's page for the README, in light and in dark: its top and the way of the probe, at the place where the probe ends.
// Usage: page-picture.ts PAGE.html docs/images/NAME   (writes NAME-light.png and NAME-dark.png)
import { mkdirSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { chromium } from 'playwright-core'

const [path, target] = process.argv.slice(2)
if (path === undefined || target === undefined) throw new Error('usage: page-picture.ts PAGE.html docs/images/NAME')

const widthPixels = 1200
const marginPixels = 16

mkdirSync(dirname(target), { recursive: true })
await using browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] })
for (const colorScheme of ['light', 'dark'] as const) {
  const viewport = { width: widthPixels, height: 900 }
  await using page = await browser.newPage({ viewport, colorScheme, reducedMotion: 'reduce' })
  await page.goto(pathToFileURL(resolve(path)).href)
  await page.getByRole('button', { name: 'Last step' }).click()
  const box = await page.locator('.direction').first().boundingBox()
  const scrolled = await page.evaluate<number>('scrollY')
  if (box === null) throw new Error(`${path}: this page has no way of a probe`)
  const height = Math.ceil(box.y + scrolled + box.height + marginPixels)
  await page.setViewportSize({ width: widthPixels, height })
  await page.evaluate('scrollTo(0, 0)')
  await page.screenshot({ path: `${target}-${colorScheme}.png`, clip: { x: 0, y: 0, width: widthPixels, height } })
}
