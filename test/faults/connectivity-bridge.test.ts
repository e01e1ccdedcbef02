import { playAll } from './kinds.ts'
import { connectivity } from './tested.ts'

playAll('the connectivity test, the bridge and the tunnel', ['--nodes', '2', '--pods', '2'], { look: connectivity })
