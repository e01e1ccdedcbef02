// Which version of Causeway this is.
import packageFile from '../../package.json' with { type: 'json' }

/** As in package.json, such as 0.1.0. */
export const version: string = packageFile.version
