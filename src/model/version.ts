// The version of Causeway.
import packageFile from '../../package.json' with { type: 'json' }

/** The version in package.json, such as 0.1.0. */
export const version: string = packageFile.version
