// The page of `causeway ui`.
import { render } from 'preact'
import { takeToken } from './state/ask.ts'
import { live } from './state/live.ts'
import { App } from './views/app.tsx'

takeToken()
// the address of a new start, in the tab of the last one: browsers load nothing where only the fragment is another
addEventListener('hashchange', () => {
  if (takeToken()) location.reload()
})
render(<App />, document.getElementById('page')!)
void live()
