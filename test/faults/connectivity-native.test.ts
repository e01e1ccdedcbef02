import { playAll } from './kinds.ts'
import { connectivity } from './tested.ts'

playAll(
  'the connectivity test, without a tunnel, a mesh of BGP',
  ['--nodes', '2', '--pods', '2', '--routing', 'native'],
  { look: connectivity },
)
