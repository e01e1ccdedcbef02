// The page of `causeway ui`.
import { render } from 'preact'
import { takeToken } from './state/ask.ts'
import { live } from './state/live.ts'
import { App } from './views/app.tsx'

takeToken()
render(<App />, document.getElementById('page')!)
void live()
