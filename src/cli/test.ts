// `causeway test`: tests of a cluster that runs.
import { type Group } from './command.ts'

export const testCommand: Group = {
  name: 'test',
  summary: 'test the network of a cluster with pods of its own',
  verbs: {
    connectivity: async () => (await import('./test-connectivity.ts')).testConnectivityCommand,
  },
}
