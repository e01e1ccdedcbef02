// The page of `causeway ui`.
import { render } from 'preact'
import { takeToken } from './state/ask.ts'
import { live } from './state/live.ts'
import { App } from './views/app.tsx'

takeToken()
// the address of a command that was started anew at the same port, put into this tab, loads nothing by itself
addEventListener('hashchange', () => {
  if (takeToken()) location.reload()
})
render(<App />, document.getElementById('page')!)
void live()
