// Makes the page of `causeway ui` of web/: one script, one style sheet, and the document that links them. Nothing in it comes from elsewhere.
import { copyFileSync, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { rolldown } from 'rolldown'
import { walkSource } from '#/trace/page/script.ts'
import { baseStyle } from '#/trace/page/style-base.ts'
import { ladderStyle } from '#/trace/page/style-ladder.ts'
import { tokenStyle } from '#/trace/page/style-tokens.ts'

const root = new URL('..', import.meta.url).pathname

/** What walks along with a packet is text, for the page that stands alone; within this one it is a module (web/walk.d.ts). */
const walkModule = {
  name: 'walk',
  resolveId: (id: string) => (id === 'walk' ? 'walk' : null),
  load: (id: string) => (id === 'walk' ? `export const walk = ${walkSource}` : null),
}

function styleText(): string {
  const own = globSync('web/style/*.css', { cwd: root })
    .sort()
    .map((path) => readFileSync(join(root, path), 'utf8'))
  const text = [tokenStyle, baseStyle, ladderStyle, ...own].join('')
  return text
    .replaceAll(/\/\*.*?\*\//gs, '')
    .replaceAll(/\s+/g, ' ')
    .replaceAll(/ ?([{};,]) ?/g, '$1')
}

/** Writes page.js, page.css, index.html and icon.svg into a folder. */
export async function bundleWeb(dir: string): Promise<void> {
  mkdirSync(dir, { recursive: true })
  const build = await rolldown({
    cwd: root,
    input: { page: 'web/main.tsx' },
    platform: 'browser',
    tsconfig: 'web/tsconfig.json',
    // a module that is imported for its types, or for one name of many, does nothing by itself
    treeshake: { moduleSideEffects: false },
    plugins: [walkModule],
  })
  await build.write({ dir, format: 'esm', entryFileNames: '[name].js', minify: true })
  await build.close()
  writeFileSync(join(dir, 'page.css'), styleText())
  for (const name of ['index.html', 'icon.svg']) copyFileSync(join(root, 'web', name), join(dir, name))
}
