// Where the files of the page are: beside the program as it is shipped, two folders up from the source and from the bundle.
import { messageOf } from '#/lib/log.ts'
import { Assets } from './ui/assets.ts'

const folder = new URL('../../build/bundle/web/', import.meta.url).pathname

/** Throws when the page was not built. */
export function openAssets(): Assets {
  try {
    return new Assets(folder)
  } catch (error) {
    throw new Error(`the page was not built: ${messageOf(error)}; scripts/bundle.ts makes it`, { cause: error })
  }
}
